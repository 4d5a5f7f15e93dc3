/* What two nodes speak with one another: versions of the protocol, and
 * features.  wire/README.md says what each of both may change. */
#ifndef CORE_DIALECT_H
#define CORE_DIALECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROTOCOL_VERSION_MIN 2
#define PROTOCOL_VERSION_MAX 2

/* A feature is a kind of message, or a use of one, that its sender reads and
 * heeds.  It is used on a link where both sides have it; bits that are not
 * known mean nothing, and none gets another meaning. */
#define FEATURE_TREES ((uint64_t)1 << 0)    /* PRUNE */
#define FEATURE_EXCHANGE ((uint64_t)1 << 1) /* PEERS */
#define FEATURE_PROOFS ((uint64_t)1 << 2)   /* CHECK and PROOF */
#define FEATURE_RESUME ((uint64_t)1 << 3)   /* the cursor of a WANT */
#define FEATURE_PIECES ((uint64_t)1 << 4)   /* CHECK of long rows */
#define FEATURE_VECTORS ((uint64_t)1 << 5)  /* a WANT for a vector */
#define FEATURES_ALL                                                          \
    (FEATURE_TREES | FEATURE_EXCHANGE | FEATURE_PROOFS | FEATURE_RESUME |     \
     FEATURE_PIECES | FEATURE_VECTORS)

/* @min <= @max, from 1. */
struct dialect {
    uint32_t min;
    uint32_t max;
    uint64_t features;
};

/* What is agreed on a link; version 0: nothing yet. */
struct agreed {
    uint32_t version;
    uint64_t features;
};

/* The highest version and all features that both have; false, and @agreed
 * unchanged, if they have no version in common. */
bool dialect_agree(const struct dialect *own, const struct dialect *theirs,
                   struct agreed *agreed);
/* Why @own and @theirs agreed on nothing, and who is to be upgraded. */
void dialect_reason(const struct dialect *own, const struct dialect *theirs,
                    char *text, size_t size);
/* The name of a feature that this version knows, of one bit. */
const char *dialect_feature_name(uint64_t feature);

#endif
