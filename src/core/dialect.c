#include "core/dialect.h"

#include "base/assert.h"
#include "core/message.h"

#include <stdio.h>

_Static_assert(PROTOCOL_VERSION_MIN >= 1 &&
                   PROTOCOL_VERSION_MIN <= PROTOCOL_VERSION_MAX,
               "there is a version to speak");

bool dialect_agree(const struct dialect *own, const struct dialect *theirs,
                   struct agreed *agreed)
{
    GV_ASSERT(own->min >= 1 && own->min <= own->max);
    GV_ASSERT(theirs->min <= theirs->max);
    if (theirs->min > own->max || theirs->max < own->min)
        return false;
    agreed->version = theirs->max < own->max ? theirs->max : own->max;
    agreed->features = own->features & theirs->features;
    GV_ASSERT(agreed->version >= own->min && agreed->version >= theirs->min);
    return true;
}

/* "version 2", "versions 2 to 4". */
static void name_versions(const struct dialect *dialect, char *text,
                          size_t size)
{
    if (dialect->min == dialect->max)
        (void)snprintf(text, size, "version %u", dialect->min);
    else
        (void)snprintf(text, size, "versions %u to %u", dialect->min,
                       dialect->max);
}

void dialect_reason(const struct dialect *own, const struct dialect *theirs,
                    char *text, size_t size)
{
    char here[64], there[64];

    GV_ASSERT(theirs->min > own->max || theirs->max < own->min);
    name_versions(own, here, sizeof(here));
    name_versions(theirs, there, sizeof(there));
    (void)snprintf(text, size,
                   "it speaks protocol %s, this node %s: %s is to be upgraded",
                   there, here, theirs->max < own->min ? "it" : "this node");
}

uint64_t dialect_needs(enum message_kind kind)
{
    switch (kind) {
    case MESSAGE_PRUNE:
        return FEATURE_TREES;
    case MESSAGE_PEERS:
        return FEATURE_EXCHANGE;
    case MESSAGE_CHECK:
    case MESSAGE_PROOF:
        return FEATURE_PROOFS;
    case MESSAGE_HELLO:
    case MESSAGE_NEWS:
    case MESSAGE_VV:
    case MESSAGE_WANT:
    case MESSAGE_DELTA:
    case MESSAGE_ACK:
    case MESSAGE_BYE:
        break;
    }
    return 0;
}

const char *dialect_feature_name(uint64_t feature)
{
    static const struct {
        uint64_t feature;
        const char *name;
    } names[] = {{FEATURE_TREES, "trees"},   {FEATURE_EXCHANGE, "exchange"},
                 {FEATURE_PROOFS, "proofs"}, {FEATURE_RESUME, "resume"},
                 {FEATURE_PIECES, "pieces"}, {FEATURE_VECTORS, "vectors"}};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (names[i].feature == feature)
            return names[i].name;
    }
    return "";
}
