/* The side that asks:
 *
 *     sum up the log                        ask for the peer's sums
 *     sum up again without what it left     which ranges differ?
 *       out, if it left out anything
 *     for some ranges at a time:
 *       write down the rows of them         ask for the peer's; name what
 * differs if a person wants it: the rows named, a few at a time     ask the
 * peer to take them and send its own; take these and compare once more: what
 * is named again was not mended */
#include "store/pass.h"

#include "base/assert.h"
#include "base/plant.h"
#include "base/utf8.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Rows that are written down at once, so that a frame holds them as a rule. */
#define BATCH_ROWS 800
/* Rows mended by one question, and their bytes. */
#define MEND_ROWS 64
#define MEND_SIZE_MAX (120 * 1024)

enum phase {
    PHASE_SUMMING,
    PHASE_SUMS_ASKED,
    PHASE_SUMMING_AGAIN,
    PHASE_HEADING,
    PHASE_HEADS_ASKED,
    PHASE_MENDING,
    PHASE_MEND_ASKED,
    PHASE_ENDED
};

/* A row that differs; its name as it stands in a question. */
struct named {
    struct proof_finding finding;
    uint8_t *name;
    size_t name_size;
    bool again;       /* found by the second comparison too */
    const char *left; /* why it was not mended; NULL */
};

struct proof {
    struct store *store;
    struct buffer meet;
    char *peer;
    bool mend;  /* still to be done */
    bool again; /* it was: what is found now is left */
    bool wrote;
    const char *file_wrong; /* what of the file is, beside its rows; NULL */
    uint64_t found;         /* rows, by this comparison */
    enum phase phase;
    struct pass *pass;
    struct buffer left_out; /* by the peer */
    struct hash128 theirs[PROOF_RANGES];
    uint32_t counts[PROOF_RANGES];
    uint8_t differing[PROOF_SET_SIZE]; /* and not looked at yet */
    uint8_t batch[PROOF_SET_SIZE];
    size_t batch_ranges, batch_rows;
    size_t mend_at, mend_count; /* of @named */
    size_t mend_max;
    struct buffer question;
    enum check_what what;

    struct named *named;
    size_t count, capacity;
    uint64_t more; /* that are not kept by name */
};

static struct vv_view meet_of(const struct proof *proof)
{
    return (struct vv_view){proof->meet.data,
                            proof->meet.size / VV_ENTRY_SIZE};
}

static int start_pass(struct proof *proof, enum pass_kind kind,
                      struct gv_error *error)
{
    GV_ASSERT(proof->pass == NULL);
    return pass_new(proof->store, kind, meet_of(proof), &proof->pass, error);
}

static void end_pass(struct proof *proof)
{
    pass_free(proof->pass);
    proof->pass = NULL;
}

int proof_begin(struct store *store, struct vv_view meet, const char *peer,
                bool mend, struct proof **out, struct gv_error *error)
{
    struct proof *proof = calloc(1, sizeof *proof);
    size_t meet_size = meet.count * VV_ENTRY_SIZE;
    int rc;

    GV_ASSERT(peer != NULL);
    if (proof == NULL)
        return error_set(error, GV_ENOMEM, "There is no memory left.");
    proof->store = store;
    proof->mend = mend;
    proof->peer = strdup(peer);
    proof->batch_rows = BATCH_ROWS;
    proof->mend_max = MEND_ROWS;
    buffer_init(&proof->meet, SIZE_MAX);
    buffer_init(&proof->left_out, SIZE_MAX);
    /* The meet goes with it. */
    buffer_init(&proof->question, meet_size < MESSAGE_DELTA_SIZE_MAX
                                      ? MESSAGE_DELTA_SIZE_MAX - meet_size
                                      : 0);
    rc = proof->peer == NULL
             ? GV_ENOMEM
             : buffer_append(&proof->meet, meet.bytes, meet_size);
    if (rc == GV_OK)
        rc = start_pass(proof, PASS_SUMS, error);
    if (rc != GV_OK) {
        proof_free(proof);
        return rc;
    }
    *out = proof;
    return GV_OK;
}

void proof_free(struct proof *proof)
{
    if (proof == NULL)
        return;
    end_pass(proof);
    for (size_t i = 0; i < proof->count; i++) {
        free(proof->named[i].finding.table);
        free(proof->named[i].finding.key);
        free(proof->named[i].finding.text);
        free(proof->named[i].name);
    }
    free(proof->named);
    free(proof->peer);
    buffer_close(&proof->meet);
    buffer_close(&proof->left_out);
    buffer_close(&proof->question);
    free(proof);
}

/* Naming */

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
                const char *text, const struct buffer *name)
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

/* A row that differs, or with no table something of the whole file, whose name
 * is the text. */
static int name_it(struct proof *proof, const char *table, const char *key,
                   const char *text, const struct buffer *name)
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
        return keep(proof, table, key, text, name);
    proof->more++;
    return GV_OK;
}

static int name_file(struct proof *proof, const char *text)
{
    struct buffer name;
    int rc;

    GV_ASSERT(text != NULL);
    buffer_init(&name, SIZE_MAX);
    rc = buffer_append(&name, text, strlen(text));
    if (rc == GV_OK)
        rc = name_it(proof, "", "", text, &name);
    buffer_close(&name);
    return rc;
}

/* What is unlike, in words.  "here" is this file. */

static const char *column_name(const struct store_table *table, uint64_t hash)
{
    for (size_t i = 0; table != NULL && i < table->column_count; i++)
        if (table->columns[i].wire_hash == hash)
            return table->columns[i].local != NULL ? table->columns[i].local
                                                   : table->columns[i].wire;
    return "?";
}

static void say_record(const struct proof_record *record, const char *where,
                       char *text, size_t size)
{
    char site[33];

    GV_ASSERT(record->version > 0);
    site_format(&record->site, site);
    snprintf(text, size, "its record of site %.8s at version %llu is only %s",
             site, (unsigned long long)record->version, where);
}

/* The first cell that two records of one dot do not agree on. */
static void say_cells(const struct store_table *table,
                      const struct proof_record *ours,
                      const struct proof_record *theirs, char *text,
                      size_t size)
{
    char site[33];
    uint32_t at = 0;
    uint64_t column, theirs_column;

    GV_ASSERT(ours->version == theirs->version);
    GV_ASSERT(site_equal(&ours->site, &theirs->site));
    site_format(&ours->site, site);
    while (at < ours->cell_count && at < theirs->cell_count &&
           memcmp(ours->cells + at * PROOF_CELL_SIZE,
                  theirs->cells + at * PROOF_CELL_SIZE, PROOF_CELL_SIZE) == 0)
        at++;
    if (at == ours->cell_count || at == theirs->cell_count) {
        snprintf(text, size,
                 "the record of site %.8s at version %llu has other columns"
                 " here",
                 site, (unsigned long long)ours->version);
        return;
    }
    column = load_u64(ours->cells + at * PROOF_CELL_SIZE);
    theirs_column = load_u64(theirs->cells + at * PROOF_CELL_SIZE);
    if (column != theirs_column) {
        snprintf(text, size,
                 "the record of site %.8s at version %llu has column '%s'"
                 " here, and '%s' there",
                 site, (unsigned long long)ours->version,
                 column_name(table, column),
                 column_name(table, theirs_column));
        return;
    }
    snprintf(
        text, size,
        "column '%s', written by site %.8s at version %llu, has digest"
        " %016llx here and %016llx there",
        column_name(table, column), site, (unsigned long long)ours->version,
        (unsigned long long)load_u64(ours->cells + at * PROOF_CELL_SIZE + 8),
        (unsigned long long)load_u64(theirs->cells + at * PROOF_CELL_SIZE +
                                     8));
}

static bool same_record(const struct proof_record *a,
                        const struct proof_record *b)
{
    return a->existence == b->existence && a->cell_count == b->cell_count &&
           (a->cell_count == 0 ||
            memcmp(a->cells, b->cells,
                   (size_t)a->cell_count * PROOF_CELL_SIZE) == 0);
}

/* The record of @like's dot; false if there is none. */
static bool find_record(const struct proof_head *head,
                        const struct proof_record *like,
                        struct proof_record *found)
{
    const uint8_t *at = head->records;

    GV_ASSERT(like->version > 0);
    for (uint32_t i = 0; i < head->record_count; i++) {
        proof_next_record(&at, found);
        if (found->version == like->version &&
            site_equal(&found->site, &like->site))
            return true;
    }
    return false;
}

/* Whether each record of @a is in @b as it is; @text says which is not. */
static bool covers(const struct store_table *table, const struct proof_head *a,
                   const struct proof_head *b, const char *where, char *text,
                   size_t size)
{
    const uint8_t *at = a->records;

    GV_ASSERT(a->kind == PROOF_SOUND && b->kind == PROOF_SOUND);
    for (uint32_t i = 0; i < a->record_count; i++) {
        struct proof_record record, other;

        proof_next_record(&at, &record);
        if (!find_record(b, &record, &other)) {
            say_record(&record, where, text, size);
            return false;
        }
        if (!same_record(&record, &other)) {
            say_cells(table, &record, &other, text, size);
            return false;
        }
    }
    return true;
}

/* Whether a row that both may compare is alike.  NULL: that side has none. */
static bool alike(const struct store_table *table,
                  const struct proof_head *ours,
                  const struct proof_head *theirs, char *text, size_t size)
{
    GV_ASSERT(ours != NULL || theirs != NULL);
    if (ours != NULL && ours->kind == PROOF_DAMAGED)
        snprintf(text, size, "its log is damaged here%s",
                 theirs == NULL                  ? ", and the peer has none"
                 : theirs->kind == PROOF_DAMAGED ? " and there"
                                                 : "");
    else if (theirs != NULL && theirs->kind == PROOF_DAMAGED)
        snprintf(text, size, "its log is damaged there");
    else if (ours == NULL)
        snprintf(text, size, "the log has no such row here");
    else if (theirs == NULL)
        snprintf(text, size, "the log has no such row there");
    else if (ours->causal_length != theirs->causal_length)
        snprintf(text, size, "it is %s here, in life %llu, and %s there, %llu",
                 ours->causal_length % 2 == 1 ? "alive" : "deleted",
                 (unsigned long long)ours->causal_length,
                 theirs->causal_length % 2 == 1 ? "alive" : "deleted",
                 (unsigned long long)theirs->causal_length);
    else
        return covers(table, ours, theirs, "here", text, size) &&
               covers(table, theirs, ours, "there", text, size);
    return false;
}

static int compare_rows(struct proof *proof, const struct proof_head *ours,
                        const struct proof_head *theirs)
{
    const struct proof_head *any = ours != NULL ? ours : theirs;
    const struct store_table *table =
        schema_by_wire(proof->store, any->table.bytes, any->table.size);
    struct proof_name name = {any->table, any->key, any->key_size};
    char text[300], key[256] = "", wire[200];
    struct buffer bytes;
    int rc;

    GV_ASSERT(any != NULL);
    if ((ours != NULL && ours->kind == PROOF_BEYOND) ||
        (theirs != NULL && theirs->kind == PROOF_BEYOND) ||
        alike(table, ours, theirs, text, sizeof text))
        return GV_OK;
    snprintf(wire, sizeof wire, "%.*s", (int)any->table.size,
             any->table.bytes);
    if (!utf8_printable(wire, strlen(wire)))
        snprintf(wire, sizeof wire, "a table whose name cannot be shown");
    key_format(any->key, any->key_size, key, sizeof key);
    buffer_init(&bytes, SIZE_MAX);
    proof_write_name(&bytes, &name);
    proof->found++;
    rc = bytes.error != GV_OK
             ? bytes.error
             : name_it(proof, table != NULL ? table->local : wire, key, text,
                       &bytes);
    buffer_close(&bytes);
    return rc;
}

/* Two lists of heads, side by side */

struct heads {
    struct proof_head *items;
    size_t count;
};

static int by_head(const void *a, const void *b)
{
    const struct proof_head *x = a, *y = b;
    size_t size = x->key_size < y->key_size ? x->key_size : y->key_size;
    int order;

    if (x->place != y->place)
        return x->place < y->place ? -1 : 1;
    order = size == 0 ? 0 : memcmp(x->key, y->key, size);
    if (order != 0 || x->key_size != y->key_size)
        return order != 0 ? order : x->key_size < y->key_size ? -1 : 1;
    if (x->table.size != y->table.size)
        return x->table.size < y->table.size ? -1 : 1;
    return memcmp(x->table.bytes, y->table.bytes, x->table.size);
}

static int read_heads(const uint8_t *at, size_t size, struct heads *heads)
{
    const uint8_t *end = at + size;
    size_t capacity = 0;

    GV_ASSERT(heads->items == NULL && heads->count == 0);
    while (at < end) {
        if (heads->count == capacity) {
            struct proof_head *grown;

            capacity = 2 * capacity + 64;
            grown = realloc(heads->items, capacity * sizeof *grown);
            if (grown == NULL)
                return GV_ENOMEM;
            heads->items = grown;
        }
        if (proof_read_head(&at, end, &heads->items[heads->count]) != GV_OK)
            return GV_EPROTO;
        heads->count++;
    }
    if (heads->count > 0)
        qsort(heads->items, heads->count, sizeof *heads->items, by_head);
    return GV_OK;
}

static int compare_lists(struct proof *proof, const struct heads *ours,
                         const struct heads *theirs)
{
    size_t i = 0, j = 0;
    int rc = GV_OK;

    GV_ASSERT(proof->phase == PHASE_HEADS_ASKED);
    while (rc == GV_OK && (i < ours->count || j < theirs->count)) {
        int order = i == ours->count ? 1
                    : j == theirs->count
                        ? -1
                        : by_head(&ours->items[i], &theirs->items[j]);

        rc = compare_rows(proof, order <= 0 ? &ours->items[i] : NULL,
                          order >= 0 ? &theirs->items[j] : NULL);
        i += order <= 0;
        j += order >= 0;
    }
    return rc;
}

static int compare_heads(struct proof *proof, const uint8_t *bytes,
                         size_t size)
{
    struct heads ours = {NULL, 0}, theirs = {NULL, 0};
    int rc =
        read_heads(proof->pass->heads.data, proof->pass->heads.size, &ours);

    GV_ASSERT(proof->pass != NULL && proof->pass->done);
    GV_ASSERT(rc == GV_OK || rc == GV_ENOMEM); /* we wrote them */
    if (rc == GV_OK)
        rc = read_heads(bytes, size, &theirs);
    if (rc == GV_OK)
        rc = compare_lists(proof, &ours, &theirs);
    free(ours.items);
    free(theirs.items);
    return rc;
}

/* The steps */

static void ask(struct proof *proof, enum phase phase, enum check_what what)
{
    GV_ASSERT(proof->question.error == GV_OK);
    proof->phase = phase;
    proof->what = what;
}

/* All ranges were looked at.  Where rows differ the kept sum is that of what
 * is gone, and right again once they are mended. */
static int compared(struct proof *proof)
{
    int rc = GV_OK;

    GV_ASSERT(proof->pass == NULL);
    if (proof->file_wrong != NULL && proof->found == 0)
        rc = name_file(proof, proof->file_wrong);
    proof->phase =
        proof->mend && proof->count > 0 ? PHASE_MENDING : PHASE_ENDED;
    return rc;
}

/* The next ranges that differ, as many as one answer holds. */
static int next_batch(struct proof *proof, struct gv_error *error)
{
    size_t rows = 0;
    int rc;

    GV_ASSERT(proof->pass == NULL);
    memset(proof->batch, 0, sizeof proof->batch);
    proof->batch_ranges = 0;
    for (size_t i = 0; i < PROOF_RANGES && proof->more == 0; i++) {
        if (!proof_set_has(proof->differing, i))
            continue;
        if (proof->batch_ranges > 0 &&
            rows + proof->counts[i] > proof->batch_rows)
            break;
        rows += proof->counts[i];
        proof_set_add(proof->batch, i);
        proof->batch_ranges++;
    }
    if (proof->batch_ranges == 0)
        return compared(proof);
    proof->phase = PHASE_HEADING;
    rc = start_pass(proof, PASS_HEADS, error);
    if (rc == GV_OK)
        proof->pass->wanted = proof->batch;
    return rc;
}

/* What the file keeps as the sum and the list of its rows, if all of them can
 * be read. */
static void check_kept(struct proof *proof)
{
    const struct pass *pass = proof->pass;

    GV_ASSERT(pass->done && pass->kind == PASS_SUMS);
    proof->file_wrong = NULL;
    if (pass->damaged_count > 0)
        return;
    if (pass->unlike || !hash128_equal(pass->total, pass->kept))
        proof->file_wrong = "the fingerprint that this file keeps is not the"
                            " sum of its records";
    else if (pass->strays)
        proof->file_wrong = "gv_ver lists records that no row of this file"
                            " has";
}

static int summed(struct proof *proof)
{
    struct pass *pass = proof->pass;

    GV_ASSERT(proof->phase == PHASE_SUMMING);
    check_kept(proof);
    memcpy(proof->counts, pass->counts, sizeof proof->counts);
    buffer_clear(&proof->question);
    buffer_append(&proof->question, pass->beyond.data, pass->beyond.size);
    if (proof->question.error != GV_OK)
        return proof->question.error;
    ask(proof, PHASE_SUMS_ASKED, CHECK_SUMS);
    return GV_OK;
}

static int compare_sums(struct proof *proof, struct gv_error *error)
{
    const struct pass *pass = proof->pass;

    GV_ASSERT(pass->done && pass->kind == PASS_SUMS);
    memcpy(proof->differing, pass->damaged, sizeof proof->differing);
    for (size_t i = 0;
         i < (plant("ranges-halved") ? PROOF_RANGES / 2 : PROOF_RANGES); i++)
        if (!hash128_equal(pass->sums[i], proof->theirs[i]))
            proof_set_add(proof->differing, i);
    end_pass(proof);
    return next_batch(proof, error);
}

static int take_sums(struct proof *proof, const uint8_t *bytes, size_t size,
                     struct gv_error *error)
{
    int rc;

    GV_ASSERT(proof->phase == PHASE_SUMS_ASKED);
    GV_ASSERT(proof->pass != NULL);
    if (size < PROOF_SUMS_SIZE || (size - PROOF_SUMS_SIZE) % 8 != 0)
        return GV_EPROTO;
    for (size_t i = 0; i < PROOF_RANGES; i++) {
        proof->theirs[i].high = load_u64(bytes + 16 * i);
        proof->theirs[i].low = load_u64(bytes + 16 * i + 8);
    }
    if (size == PROOF_SUMS_SIZE)
        return compare_sums(proof, error);
    buffer_clear(&proof->left_out);
    rc = buffer_append(&proof->left_out, bytes + PROOF_SUMS_SIZE,
                       size - PROOF_SUMS_SIZE);
    end_pass(proof);
    if (rc == GV_OK)
        rc = start_pass(proof, PASS_SUMS, error);
    if (rc != GV_OK)
        return rc;
    proof->pass->left_out = proof->left_out.data;
    proof->pass->left_out_size = proof->left_out.size;
    proof->phase = PHASE_SUMMING_AGAIN;
    return GV_OK;
}

static int smaller_batch(struct proof *proof, struct gv_error *error)
{
    GV_ASSERT(proof->batch_ranges > 1);
    proof->batch_rows = proof->batch_rows / 2;
    end_pass(proof);
    return next_batch(proof, error);
}

static int headed(struct proof *proof, struct gv_error *error)
{
    if (proof->pass->cut && proof->batch_ranges > 1)
        return smaller_batch(proof, error);
    buffer_clear(&proof->question);
    buffer_append(&proof->question, proof->batch, sizeof proof->batch);
    if (proof->question.error != GV_OK)
        return proof->question.error;
    ask(proof, PHASE_HEADS_ASKED, CHECK_HEADS);
    return GV_OK;
}

static int take_heads(struct proof *proof, const uint8_t *bytes, size_t size,
                      struct gv_error *error)
{
    bool cut = size > 0 && bytes[0] == 0;
    int rc;

    GV_ASSERT(proof->phase == PHASE_HEADS_ASKED);
    GV_ASSERT(proof->batch_ranges > 0);
    if (size == 0 || bytes[0] > 1)
        return GV_EPROTO;
    if (cut && proof->batch_ranges > 1)
        return smaller_batch(proof, error);
    rc = cut || proof->pass->cut
             ? name_file(proof, "a range has more rows than one answer can"
                                " hold; they were not compared")
             : compare_heads(proof, bytes + 1, size - 1);
    end_pass(proof);
    for (size_t i = 0; i < sizeof proof->batch; i++)
        proof->differing[i] &= (uint8_t)~proof->batch[i];
    return rc == GV_OK ? next_batch(proof, error) : rc;
}

/* Mending */

static int again(struct proof *proof, struct gv_error *error)
{
    proof->mend = false;
    proof->again = true;
    proof->more = 0;
    proof->found = 0;
    proof->phase = PHASE_SUMMING;
    return start_pass(proof, PASS_SUMS, error);
}

static int write_names(struct proof *proof)
{
    struct buffer *out = &proof->question;
    size_t left = proof->count - proof->mend_at;

    GV_ASSERT(proof->phase == PHASE_MENDING);
    GV_ASSERT(left > 0);
    proof->mend_count = left < proof->mend_max ? left : proof->mend_max;
    buffer_clear(out);
    buffer_append_u32(out, 0);
    for (size_t i = 0; i < proof->mend_count; i++) {
        const struct named *named = &proof->named[proof->mend_at + i];

        if (named->finding.table[0] != '\0')
            buffer_append(out, named->name, named->name_size);
    }
    if (out->error == GV_OK)
        store_u32(out->data, (uint32_t)out->size - 4);
    return out->error;
}

/* The row at hand stays as it is. */
static void leave_row(struct proof *proof, const char *why)
{
    struct named *named = &proof->named[proof->mend_at];
    const struct proof_finding *row = &named->finding;

    GV_ASSERT(proof->mend_at < proof->count);
    GV_ASSERT(named->left == NULL);
    log_line(&proof->store->log, GV_LOG_ERROR,
             "not made equal with %s: %s%s%s: %s", proof->peer, row->table,
             row->table[0] == '\0' ? row->text : " ", row->key, why);
    named->left = why;
    proof->mend_at++;
}

/* Fewer rows at once; one that does not fit by itself is left as it is. */
static void mend_fewer(struct proof *proof, const char *why)
{
    GV_ASSERT(proof->mend_count > 0);
    if (proof->mend_count > 1)
        proof->mend_max = (proof->mend_count + 1) / 2;
    else
        leave_row(proof, why);
    proof->phase = PHASE_MENDING;
}

/* GV_ELIMIT: they do not fit one question. */
static int ask_rows(struct proof *proof, struct gv_error *error)
{
    struct store *store = proof->store;
    struct buffer stream;
    int rc = write_names(proof);

    GV_ASSERT(proof->mend_count > 0);
    if (rc != GV_OK)
        return rc;
    buffer_init(&stream, SIZE_MAX);
    proof->wrote = true; /* it seals */
    rc = mend_read(store, meet_of(proof), proof->question.data + 4,
                   proof->question.size - 4, MEND_SIZE_MAX, &stream, error);
    if (rc == GV_OK)
        rc = buffer_append(&proof->question, stream.data, stream.size);
    buffer_close(&stream);
    if (rc == GV_OK)
        ask(proof, PHASE_MEND_ASKED, CHECK_MEND);
    return rc;
}

static int send_rows(struct proof *proof, struct gv_error *error)
{
    struct store *store = proof->store;
    int rc;

    GV_ASSERT(proof->mend && !proof->again);
    GV_ASSERT(proof->mend_at <= proof->count);
    if (store->reader != NULL && !sqlite3_get_autocommit(store->reader))
        return GV_OK; /* a delta is being read */
    if (proof->mend_at == proof->count)
        return again(proof, error);
    rc = ask_rows(proof, error);
    if (rc != GV_ELIMIT)
        return rc;
    mend_fewer(proof, "it is too large for a frame");
    return GV_OK;
}

static int take_rows(struct proof *proof, const uint8_t *bytes, size_t size,
                     struct gv_error *error)
{
    int rc = mend_apply(proof->store, meet_of(proof), bytes, size, error);

    GV_ASSERT(proof->phase == PHASE_MEND_ASKED);
    GV_ASSERT(proof->mend_count > 0);
    if (rc != GV_OK)
        return rc;
    proof->mend_at += proof->mend_count;
    proof->phase = PHASE_MENDING;
    return GV_OK;
}

static int passed(struct proof *proof, struct gv_error *error)
{
    if (proof->phase == PHASE_SUMMING)
        return summed(proof);
    if (proof->phase == PHASE_SUMMING_AGAIN)
        return compare_sums(proof, error);
    GV_ASSERT(proof->phase == PHASE_HEADING);
    return headed(proof, error);
}

int proof_step(struct proof *proof, size_t rows, bool *stands,
               struct gv_error *error)
{
    int rc = GV_OK;

    GV_ASSERT(proof->what == 0);
    if (proof->phase == PHASE_MENDING) {
        rc = send_rows(proof, error);
    } else if (proof->phase != PHASE_ENDED) {
        rc = pass_step(proof->pass, rows, error);
        if (rc == GV_OK && proof->pass->done)
            rc = passed(proof, error);
    }
    *stands = rc == GV_OK && (proof->what != 0 || proof->phase == PHASE_ENDED);
    return rc;
}

enum check_what proof_question(const struct proof *proof,
                               const uint8_t **bytes, size_t *size)
{
    *bytes = proof->question.data;
    *size = proof->question.size;
    return proof->what;
}

int proof_answer(struct proof *proof, bool done, const uint8_t *bytes,
                 size_t size, struct gv_error *error)
{
    enum check_what what = proof->what;
    int rc = GV_EPROTO;

    GV_ASSERT(what != 0 && proof->phase != PHASE_ENDED);
    proof->what = 0;
    if (!done && what == CHECK_MEND) {
        mend_fewer(proof, "the peer could not take it, or its own is too"
                          " large for a frame");
        return GV_OK;
    }
    if (!done)
        return error_set(error, GV_EBUSY, "The peer cannot answer now.");
    switch (what) {
    case CHECK_SUMS:
        rc = take_sums(proof, bytes, size, error);
        break;
    case CHECK_HEADS:
        rc = take_heads(proof, bytes, size, error);
        break;
    case CHECK_MEND:
        rc = take_rows(proof, bytes, size, error);
        break;
    }
    if (rc == GV_EPROTO)
        error_set(error, rc, "The peer's answer makes no sense.");
    return rc;
}

bool proof_finding(const struct proof *proof, size_t index,
                   struct proof_finding *finding)
{
    if (index >= proof->count)
        return false;
    *finding = proof->named[index].finding;
    finding->mended = proof->again && !proof->named[index].again;
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
    for (size_t i = 0; i < proof->count && proof->again; i++)
        mended += !proof->named[i].again;
    return mended;
}

bool proof_wrote(const struct proof *proof)
{
    return proof->wrote;
}
