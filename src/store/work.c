/* What is done in slices, each a transaction by itself, so that no application
 * waits for the write lock longer than for one of them: README.md, Slices.
 *
 * A delta that was accepted is first checked to its end, so that one that is
 * refused was not shown in part; then it is merged, and the store is busy; the
 * last slice claims. */
#include "store/work.h"

#include "base/assert.h"
#include "base/hook.h"
#include "base/plant.h"
#include "store/apply.h"
#include "store/audit.h"
#include "store/batch.h"
#include "store/early.h"
#include "store/seal.h"
#include "store/transaction.h"

#include <stdlib.h>

/* A journal of so many rows holds the lock for some 50 ms. */
#define JOURNAL_ROWS 10000
/* 2 to 5 ms each.  Keys in order stand anywhere in the journal, and to delete
 * them there costs more than a merge of rows in order. */
#define SLICE_ROWS 1000
#define SLICE_KEYS 250
/* A check reads 4 rows while a merge writes one, or compares 2 with the
 * log. */
#define CHECK_FACTOR 4
#define COMPARE_FACTOR 2
/* A run of fewer rows is not worth the statements. */
#define RUN_ROWS_MIN 16
/* A table of fewer rows is in the cache as a whole, or nearly. */
#define GATHER_ROWS_MIN 8192
/* Rows past the triggers that one begin seals: each begins the delta anew. */
#define PAST_MAX 1000
/* store_begin() waits STORE_BUSY_NODE_MS for another writer. */
#define BUSY_TRIES_MAX (STORE_BUSY_COMMAND_MS / STORE_BUSY_NODE_MS)

_Static_assert(SLICE_ROWS < JOURNAL_ROWS, "less is not worth slices");

void work_limits(struct store_slices *limits)
{
    if (limits->delta_size == 0)
        limits->delta_size = INBOX_SHORT_SIZE;
    if (limits->journal_rows == 0)
        limits->journal_rows = JOURNAL_ROWS;
    if (limits->rows == 0)
        limits->rows = SLICE_ROWS;
    if (limits->keys == 0)
        limits->keys = SLICE_KEYS;
    if (limits->seal_many == 0)
        limits->seal_many = BATCH_ROWS_MIN;
    if (limits->apply_many == 0)
        limits->apply_many = RUN_ROWS_MIN;
    if (limits->extract_many == 0)
        limits->extract_many = GATHER_ROWS_MIN;
    if (limits->spool_size == 0)
        limits->spool_size = MESSAGE_DELTA_SIZE_MAX;
    if (limits->stage_size == 0)
        limits->stage_size = inbox_batch_size();
    if (limits->value_size == 0)
        limits->value_size = VALUE_SIZE_MAX;
    GV_ASSERT(limits->rows > 0 && limits->keys > 0);
    GV_ASSERT(limits->value_size <= VALUE_SIZE_MAX);
}

bool store_working(const struct store *store)
{
    GV_ASSERT(!store->in_transaction);
    return store->inbox.accepted;
}

bool store_busy(const struct store *store)
{
    return store->committed.busy != 0;
}

/* The journal */

/* Ids begin at 1 whenever the journal is empty, so the last one is no less
 * than the rows that there are. */
static int journal_rows(struct store *store, size_t most, bool *more)
{
    char *list;
    int64_t last = 0, found = 0;
    int rc = sql_step(store->journal_last);

    if (rc > 0)
        last = sqlite3_column_int64(store->journal_last, 0);
    rc = rc < 0 ? rc : sql_finish(store->journal_last);
    *more = false;
    most += store->withheld.count; /* no slice takes them */
    if (rc != GV_OK || last <= (int64_t)most)
        return rc;
    list = audit_list(store);
    if (list == NULL)
        return GV_ENOMEM;
    rc = sql_number(store->db, &found,
                    "SELECT EXISTS(SELECT 1 FROM gv_journal WHERE tbl NOT"
                    " IN(%s) LIMIT 1 OFFSET %lld)",
                    list, (long long)most);
    sqlite3_free(list);
    *more = found != 0;
    return rc;
}

/* Whether the journal is sealed in slices before anything else is done. */
static int seals_in_slices(struct store *store, bool *slices)
{
    size_t most = store_applying(store) ? store->limits.rows
                                        : store->limits.journal_rows;

    if (!(store->numbers.busy & BUSY_SEALING))
        return journal_rows(store, most, slices);
    *slices = true;
    return GV_OK;
}

int work_waits(struct store *store, bool *waits)
{
    *waits = true;
    return store->inbox.accepted ? GV_OK : seals_in_slices(store, waits);
}

/* A delta */

static int begin_slices(struct store *store)
{
    struct inbox *inbox = &store->inbox;
    struct apply *apply = calloc(1, sizeof *apply);

    GV_ASSERT(inbox->accepted && inbox->slices == NULL);
    if (apply == NULL)
        return GV_ENOMEM;
    *apply = (struct apply){.store = store,
                            .claim = &inbox->claim,
                            .size = inbox_size(inbox),
                            .checking = !store_applying(store),
                            .held = true,
                            .schema_generation = store->schema_generation};
    buffer_init(&apply->item, STREAM_ITEM_SIZE_MAX);
    inbox->slices = apply;
    return GV_OK;
}

static int merge_ended(struct apply *apply)
{
    int rc = apply_claim(apply);

    GV_ASSERT(!apply->checking || apply->held);
    return rc == GV_OK ? inbox_end(apply->store) : rc;
}

/* What is shown from now on is not what the vector says; if there is nothing
 * to show, all is done. */
static int check_ended(struct apply *apply)
{
    struct store *store = apply->store;

    GV_ASSERT(apply->checking && !store_applying(store));
    if (apply->held)
        return merge_ended(apply);
    store->numbers.busy |= BUSY_APPLYING;
    for (size_t i = 0; i < apply->claim->count; i++)
        if (store->numbers.clock < apply->claim->entries[i].version)
            store->numbers.clock = apply->claim->entries[i].version;
    return sql_run(store->db, "UPDATE gv_meta SET busy=%u",
                   store->numbers.busy);
}

/* The next @rows rows, of the check or the merge; *@ended: the delta was. */
static int slice(struct store *store, size_t rows, bool *ended,
                 struct gv_error *error)
{
    struct inbox *inbox = &store->inbox;
    struct apply *apply;
    bool part = false;
    int rc;

    /* The tables that it knows are not there any more. */
    if (inbox->slices != NULL &&
        inbox->slices->schema_generation != store->schema_generation)
        inbox_rewind(inbox);
    rc = inbox->slices == NULL ? begin_slices(store) : GV_OK;
    *ended = false;
    if (rc != GV_OK)
        return rc;
    apply = inbox->slices;
    apply->error = error;
    if (apply->checking)
        rc = apply_rows(apply,
                        rows * (apply->held ? COMPARE_FACTOR : CHECK_FACTOR),
                        check_ended, &part);
    else
        rc = apply_rows(apply, rows, merge_ended, &part);
    if (rc == GV_OK && !part && !apply->checking && plant("claim-in-part")) {
        part = true;
        rc = merge_ended(apply);
    }
    apply->schema_generation = store->schema_generation;
    *ended = rc == GV_OK && part && (!apply->checking || apply->held);
    if (rc != GV_OK || part)
        inbox_rewind(inbox);
    return rc;
}

/* Whether what a check found will be found each time. */
static bool refused(const struct store *store, int code)
{
    return code != GV_OK && !store_applying(store) && store->lost == GV_OK;
}

/* What the check has read cannot be malformed. */
static int explain(const struct store *store, int code, struct gv_error *error)
{
    return code == GV_EPROTO && store_applying(store) ? inbox_damaged(error)
                                                      : code;
}

/* A row that got past the triggers stands in the journal now, or its table is
 * suspended: what the journal holds is told with the claim. */
static int seal_past(struct store *store, struct gv_error *why)
{
    int rc = store->lost;

    GV_ASSERT(store_applying(store));
    if (rc == GV_OK)
        rc = seal_journal(store, why);
    if (rc == GV_OK) {
        *why = (struct gv_error){0};
        store->journalled = false;
    }
    return rc;
}

int work_finish(struct store *store, struct gv_error *error)
{
    struct gv_error why = {0};
    bool ended = false;
    int rc = GV_OK, past = 0;

    while (rc == GV_OK && !ended) {
        rc = slice(store, SIZE_MAX / CHECK_FACTOR, &ended, &why);
        if (rc == GV_EDIFFERS && past++ < PAST_MAX)
            rc = seal_past(store, &why);
    }
    if (refused(store, rc)) {
        log_line(&store->log, GV_LOG_WARNING,
                 "a delta that had arrived is refused: %s", why.what);
        return inbox_end(store);
    }
    rc = explain(store, rc, &why);
    if (rc != GV_OK && error != NULL)
        *error = why;
    GV_ASSERT(rc != GV_OK || store->numbers.busy == 0);
    return rc;
}

/* With nothing left in the journal.  What a slice came to is noted in
 * @worked. */
static int apply_sealed(struct store *store, struct store_worked *worked,
                        struct gv_error *error)
{
    uint64_t token = store->inbox.token;
    bool ended = false;
    size_t rows =
        store->slice_rows > 0 ? store->slice_rows : store->limits.rows;
    int rc = slice(store, rows, &ended, &worked->why);

    rc = explain(store, rc, &worked->why);
    worked->code = rc;
    GV_ASSERT(!ended || store->numbers.busy == 0);
    if (rc == GV_EDIFFERS) {
        rc = GV_OK; /* it stands in the journal now */
    } else if (refused(store, rc)) {
        worked->token = token;
        return inbox_end(store);
    } else if (ended) {
        worked->token = token;
    }
    if (rc != GV_OK && error != NULL)
        *error = worked->why;
    return rc;
}

static int apply_part(struct store *store, struct store_worked *worked,
                      struct gv_error *error)
{
    bool seal = false;
    int rc = seals_in_slices(store, &seal);

    /* Somebody committed a lot while the lock was waited for. */
    if (rc != GV_OK || seal)
        return rc;
    rc = seal_journal(store, error);
    return rc == GV_OK ? apply_sealed(store, worked, error) : rc;
}

/* Turns */

/* Run @part in a transaction.  What stands in the journal because of an error
 * is committed with what was sealed. */
static int turn(struct store *store,
                int (*part)(struct store *store, struct store_worked *worked,
                            struct gv_error *error),
                struct store_worked *worked, struct gv_error *error)
{
    int rc = transaction_begin(store, error);

    GV_ASSERT(worked->token == 0 && !worked->sealed.any);
    if (rc != GV_OK)
        return rc;
    rc = store->lost != GV_OK ? store->lost : transaction_look(store, error);
    if (rc == GV_OK)
        rc = part(store, worked, error);
    if (rc != GV_OK) {
        store_rollback(store);
        worked->token = 0;
        return rc;
    }
    hook_kill("slice");
    rc = store_commit(store, &worked->sealed, error);
    if (rc != GV_OK)
        worked->token = 0;
    return rc;
}

static int seal_part(struct store *store, struct store_worked *worked,
                     struct gv_error *error)
{
    bool outrun;
    int rc = seal_slice(store, &outrun, error);

    GV_ASSERT(worked->token == 0);
    /* The journal would be long again before the next turn. */
    if (rc == GV_OK && outrun && store->inbox.accepted)
        rc = apply_sealed(store, worked, error);
    return rc;
}

static int work(struct store *store, struct store_worked *worked,
                struct gv_error *error)
{
    struct inbox *inbox = &store->inbox;
    bool seal = false;
    int rc;

    *worked = (struct store_worked){0};
    GV_ASSERT(!store->in_transaction);
    if (!store->joined || store->borrowed)
        return GV_OK;
    rc = seals_in_slices(store, &seal);
    if (rc != GV_OK)
        return sql_fail(store->db, rc, error, "cannot read the journal");
    if (seal && (rc = seal_early(store)) != GV_OK)
        return sql_fail(store->db, rc, error, "cannot read the journal");
    if (!seal && inbox->accepted)
        early_read(store);
    if (seal)
        rc = turn(store, seal_part, worked, error);
    else if (inbox->accepted)
        rc = turn(store, apply_part, worked, error);
    else if (inbox->litter)
        rc = inbox_sweep(store, error);
    else
        return GV_OK;
    worked->more = inbox->accepted || inbox->litter;
    if (rc == GV_OK && !worked->more)
        rc = seals_in_slices(store, &worked->more);
    return rc;
}

int store_work(struct store *store, struct store_worked *worked,
               struct gv_error *error)
{
    struct gv_error why = {0};
    int rc = work(store, worked, &why);

    GV_ASSERT(rc <= GV_OK);
    if (rc != GV_OK && error != NULL)
        *error = why;
    /* Another writer, and a file that is another, say nothing of it. */
    if (rc == GV_EBUSY || rc == GV_EMOVED)
        return rc;
    why.code = rc;
    store->stuck = why;
    return rc;
}

void store_slice_rows(struct store *store, size_t rows)
{
    GV_ASSERT(!store->in_transaction);
    store->slice_rows = rows;
}

/* A sentence or two on why the store is busy, and what ends that. */
static char *busy_note(const struct store *store, const struct gv_error *why)
{
    GV_ASSERT(store_busy(store));
    if (why->code != GV_OK)
        return sqlite3_mprintf("what is done in slices cannot go on now, and"
                               " nothing is sent before it is done: %s %s %s",
                               why->what, why->meaning, why->remedy);
    return sqlite3_mprintf(
        store_applying(store)
            ? "a long delta is being applied in slices, and nothing is sent"
              " before it is: a node, or the next command that writes, goes on"
              " with it; if it does not end, 'grapevine verify' may say why"
            : "a long journal is being sealed in slices, and nothing is sent"
              " before it is: a node, or the next command that writes, goes on"
              " with it");
}

int work_status(struct store *store, char **note)
{
    struct gv_error why = store->stuck;

    *note = NULL;
    GV_ASSERT(store->joined);
    if (!store_busy(store))
        return GV_OK;
    if (store->mode == STORE_READ && store_applying(store))
        why.code = inbox_inspect(store, &why);
    if (why.code != GV_OK && why.code != GV_ECORRUPT &&
        store->mode == STORE_READ)
        return why.code;
    *note = busy_note(store, &why);
    return *note == NULL ? GV_ENOMEM : GV_OK;
}

/* On an application's own connection store_begin() does all of it. */
static int work_borrowed(struct store *store, struct store_sealed *sealed,
                         struct gv_error *error)
{
    int rc;

    GV_ASSERT(store->borrowed);
    if (!store->inbox.accepted && store->committed.busy == 0)
        return GV_OK;
    rc = store_begin(store, error);
    return rc == GV_OK ? store_commit(store, sealed, error) : rc;
}

int store_work_all(struct store *store, uint64_t token,
                   struct store_sealed *sealed, struct gv_error *error)
{
    struct store_worked worked = {.more = true};
    struct store_sealed ignored;
    int code = GV_OK, tries = 0;

    if (sealed == NULL)
        sealed = &ignored;
    *sealed = (struct store_sealed){0};
    if (store->borrowed)
        return work_borrowed(store, sealed, error);
    while (worked.more) {
        int rc = store_work(store, &worked, error);
        if (rc == GV_EBUSY && tries++ < BUSY_TRIES_MAX)
            worked.more = true;
        else if (rc != GV_OK)
            return rc;
        if (worked.sealed.any)
            *sealed = worked.sealed;
        if (token == 0 || worked.token != token || worked.code == GV_OK)
            continue;
        code = worked.code;
        if (error != NULL)
            *error = worked.why;
    }
    return code;
}
