/* What a comparison has found, by name. */
#include "store/proof_internal.h"

#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct named *find_named(const struct proof *proof,
                                const struct buffer *name)
{
    GV_ASSERT(name->size > 0); /* of a row, or the words themselves */
    for (size_t i = 0; i < proof->count; i++)
        if (proof->named[i].name_size == name->size &&
            (name->size == 0 ||
             memcmp(proof->named[i].name, name->data, name->size) == 0))
            return &proof->named[i];
    return NULL;
}

static int keep(struct proof *proof, const char *table, const char *key,
                const char *text, enum lone lone, const struct buffer *name)
{
    struct named *named;

    GV_ASSERT(proof->count <= proof->capacity);
    if (proof->count == proof->capacity) {
        size_t capacity = 2 * proof->capacity + 16;
        struct named *grown = realloc(proof->named, capacity * sizeof *grown);

        if (grown == NULL)
            return GV_ENOMEM;
        proof->named = grown;
        proof->capacity = capacity;
    }
    GV_ASSERT(proof->count < PROOF_FINDINGS_MAX);
    named = &proof->named[proof->count];
    *named = (struct named){.finding = {.table = strdup(table),
                                        .key = strdup(key),
                                        .text = strdup(text)},
                            .name = malloc(name->size + 1),
                            .name_size = name->size,
                            .lone = lone,
                            .again = proof->again};
    proof->count++;
    if (named->finding.table == NULL || named->finding.key == NULL ||
        named->finding.text == NULL || named->name == NULL)
        return GV_ENOMEM;
    if (name->size > 0)
        memcpy(named->name, name->data, name->size);
    return GV_OK;
}

/* It differs still: people read why behind how it does. */
static int say_left(struct named *named)
{
    char *text = named->finding.text;
    size_t size = strlen(text) + strlen(named->left) + sizeof "; ";
    char *longer = malloc(size);

    GV_ASSERT(named->again);
    if (longer == NULL)
        return GV_ENOMEM;
    snprintf(longer, size, "%s; %s", text, named->left);
    free(text);
    named->finding.text = longer;
    named->left = NULL;
    return GV_OK;
}

int findings_name(struct proof *proof, const char *table, const char *key,
                  const char *text, enum lone lone, const struct buffer *name)
{
    struct named *known = find_named(proof, name);

    GV_ASSERT(text[0] != '\0');
    if (known != NULL) {
        known->again = proof->again;
        return known->left != NULL ? say_left(known) : GV_OK;
    }
    log_line(&proof->store->log, GV_LOG_ERROR, "differs from %s: %s%s%s%s%s",
             proof->peer, table, table[0] == '\0' ? "" : " ", key,
             table[0] == '\0' ? "" : ": ", text);
    if (proof->count < PROOF_FINDINGS_MAX)
        return keep(proof, table, key, text, lone, name);
    proof->more++;
    return GV_OK;
}

int findings_name_file(struct proof *proof, const char *text)
{
    struct buffer name;
    int rc;

    GV_ASSERT(text != NULL);
    buffer_init(&name, SIZE_MAX);
    rc = buffer_append(&name, text, strlen(text));
    if (rc == GV_OK)
        rc = findings_name(proof, "", "", text, LONE_NOT, &name);
    buffer_close(&name);
    return rc;
}

/* What was left may not have been looked at again: a row that only the peer
 * has, damaged, is in no sum. */
static bool is_mended(const struct proof *proof, const struct named *named)
{
    return proof->again && !named->again && named->left == NULL;
}

bool proof_finding(const struct proof *proof, size_t index,
                   struct proof_finding *finding)
{
    if (index >= proof->count)
        return false;
    *finding = proof->named[index].finding;
    finding->mended = is_mended(proof, &proof->named[index]);
    return true;
}

uint64_t proof_differ(const struct proof *proof)
{
    return proof->count + proof->more;
}

uint64_t proof_mended(const struct proof *proof)
{
    uint64_t mended = 0;

    GV_ASSERT(proof->count <= PROOF_FINDINGS_MAX);
    for (size_t i = 0; i < proof->count; i++)
        mended += is_mended(proof, &proof->named[i]);
    return mended;
}
