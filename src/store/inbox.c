/* gv_inbox: the bytes of a delta by their place, as rows of 64 KiB,
 * and under HEAD_AT the head of one that is complete:
 *
 *     token                  8 bytes, big-endian, as all numbers
 *     `at` of the first byte 8
 *     size                   8
 *     entries wanted         4, the vector when the first byte came
 *     entries claimed        4
 *     both                   24 bytes each (wire/README.md, vv)
 *
 * Each row has the hash of its bytes: what was damaged could still be read as
 * a delta, of other values than the peer's.
 *
 * Places are never used again while bytes stand under them: what was given up
 * lies below what comes, and is swept away in pieces. */
#include "store/apply.h"

#include "base/assert.h"
#include "store/transaction.h"
#include "store/work.h"

#include <stdlib.h>
#include <string.h>

#define HEAD_AT (-1)
#define HEAD_SIZE 32
/* A commit takes the lock for about a millisecond.  So much is lost in a
 * crash, and a piece on its way: less than a credit in all.  What cannot be
 * committed because an application holds the lock waits in memory, up to the
 * second. */
#define BATCH_SIZE (512 * 1024)
#define MEMORY_SIZE_MAX (16 * 1024 * 1024)
/* A slice reads the next row under the lock: a tenth of a millisecond. */
#define ROW_SIZE_MAX (64 * 1024)
/* Rows of gv_inbox that one sweep deletes: about a millisecond of the lock. */
#define SWEEP_ROWS "32"

_Static_assert(INBOX_SHORT_SIZE <= BATCH_SIZE, "what is short is in memory");
_Static_assert(BATCH_SIZE + MESSAGE_DELTA_SIZE_MAX <= CORE_DELTA_CREDIT,
               "what waits to be committed leaves credit for a piece");

size_t inbox_batch_size(void)
{
    return BATCH_SIZE;
}

void inbox_init(struct inbox *inbox)
{
    *inbox = (struct inbox){0};
    vv_init(&inbox->wanted);
    vv_init(&inbox->claim);
    buffer_init(&inbox->memory, SIZE_MAX);
    buffer_init(&inbox->window, SIZE_MAX);
}

void inbox_rewind(struct inbox *inbox)
{
    if (inbox->slices == NULL)
        return;
    incoming_close(inbox->slices);
    free(inbox->slices);
    inbox->slices = NULL;
}

void inbox_close(struct inbox *inbox)
{
    inbox_rewind(inbox);
    vv_close(&inbox->wanted);
    vv_close(&inbox->claim);
    buffer_close(&inbox->memory);
    buffer_close(&inbox->window);
}

void inbox_forget(struct inbox *inbox)
{
    bool litter = inbox->litter || inbox->stored > 0;

    GV_ASSERT(!inbox->accepting && !inbox->ending);
    inbox_close(inbox);
    inbox_init(inbox);
    inbox->litter = litter;
}

uint64_t inbox_size(const struct inbox *inbox)
{
    return inbox->stored + inbox->memory.size;
}

/* Storing */

static int begin_at(struct store *store)
{
    struct inbox *inbox = &store->inbox;
    int64_t last;
    int rc = sql_number(store->db, &last,
                        "SELECT coalesce(max(at),-1) FROM gv_inbox");

    GV_ASSERT(inbox->stored == 0);
    if (rc == GV_OK)
        rc = sql_number(store->db, &inbox->base,
                        "SELECT coalesce(max(at+length(bytes)),0)"
                        " FROM gv_inbox WHERE at=%lld AND at>=0",
                        (long long)last);
    GV_ASSERT(rc != GV_OK || inbox->base > HEAD_AT);
    return rc;
}

int inbox_insert(struct store *store, int64_t at, const void *bytes,
                 size_t size)
{
    sqlite3_stmt *statement;
    int rc = sql_prepare(store->db, &statement,
                         "INSERT INTO gv_inbox(at,bytes,sum) VALUES(%lld,?1,"
                         "%lld)",
                         (long long)at, (long long)hash64_block(bytes, size));

    GV_ASSERT(store->in_transaction);
    if (rc != GV_OK)
        return rc;
    sqlite3_bind_blob64(statement, 1, bytes, size, SQLITE_STATIC);
    rc = sql_finish(statement);
    sqlite3_finalize(statement);
    return rc;
}

void inbox_put_vector(struct buffer *out, const struct vv *vv)
{
    for (size_t i = 0; i < vv->count; i++) {
        uint8_t *room = buffer_extend(out, VV_ENTRY_SIZE);

        if (room != NULL)
            vv_entry_store(&vv->entries[i], room);
    }
}

/* What is in memory into the file.  The bytes stay in memory until that is
 * committed. */
static int store_memory(struct store *store)
{
    struct inbox *inbox = &store->inbox;
    const struct buffer *memory = &inbox->memory;
    int rc = inbox->stored == 0 ? begin_at(store) : GV_OK;

    if (rc == GV_OK && inbox->stored == 0)
        rc = arriving_put(store);
    for (size_t at = 0, size; rc == GV_OK && at < memory->size; at += size) {
        size = memory->size - at;
        if (size > ROW_SIZE_MAX)
            size = ROW_SIZE_MAX;
        rc = inbox_insert(store, inbox->base + (int64_t)(inbox->stored + at),
                          memory->data + at, size);
    }
    return rc;
}

static int store_batch(struct store *store)
{
    struct inbox *inbox = &store->inbox;
    struct store_sealed sealed;
    int rc = transaction_begin(store, NULL);

    GV_ASSERT(!inbox->accepted && inbox->memory.size > 0);
    if (rc != GV_OK)
        return rc;
    rc = store_memory(store);
    if (rc != GV_OK) {
        store_rollback(store);
        return rc;
    }
    rc = store_commit(store, &sealed, NULL);
    GV_ASSERT(!sealed.any); /* it did not look at the journal */
    if (rc != GV_OK)
        return rc;
    inbox->stored += inbox->memory.size;
    buffer_clear(&inbox->memory);
    return GV_OK;
}

/* An application's own connection has its transaction, and no slices. */
static bool may_store(const struct store *store)
{
    return !store->borrowed && !store->in_transaction && store->joined;
}

static size_t stage_size(const struct store *store)
{
    return store->stage_each ? 1 : store->limits.stage_size;
}

static int append(struct store *store, const uint8_t *bytes, size_t size)
{
    struct inbox *inbox = &store->inbox;
    int rc = buffer_append(&inbox->memory, bytes, size);

    GV_ASSERT(!inbox->accepted && inbox->token != 0);
    if (rc != GV_OK || inbox->memory.size < stage_size(store) ||
        !may_store(store))
        return rc;
    rc = store_batch(store);
    return rc == GV_EBUSY && inbox->memory.size < MEMORY_SIZE_MAX ? GV_OK : rc;
}

/* Whether @stage goes on with what is here. */
static bool goes_on(const struct inbox *inbox, const struct core_stage *stage)
{
    GV_ASSERT(!inbox->accepted);
    return inbox->token != 0 && stage->spool != 0 && stage->size > 0 &&
           stage->spool == inbox->spool && stage->size == inbox_size(inbox) &&
           site_equal(&stage->site, &inbox->site);
}

static int begin_stage(struct store *store, const struct core_stage *stage)
{
    struct inbox *inbox = &store->inbox;

    if (goes_on(inbox, stage)) {
        inbox->token = stage->token;
        return GV_OK;
    }
    inbox_forget(inbox);
    inbox->token = stage->token;
    inbox->site = stage->site;
    inbox->spool = stage->spool;
    GV_ASSERT(inbox_size(inbox) == 0);
    return vv_copy(&inbox->wanted, &store->vv);
}

/* What waits for more bytes, or for an application's lock to go. */
static uint64_t kept_of(const struct store *store)
{
    const struct inbox *inbox = &store->inbox;

    GV_ASSERT(!inbox->accepted || inbox->memory.size == 0);
    return !may_store(store) || inbox->memory.size >= stage_size(store)
               ? inbox_size(inbox)
               : inbox->stored;
}

int store_stage_from(struct store *store, const struct core_stage *stage,
                     const uint8_t *bytes, size_t size, uint64_t *kept)
{
    struct inbox *inbox = &store->inbox;
    int rc = GV_OK;

    GV_ASSERT(stage->token != 0); /* 0 says that nothing is staged */
    GV_ASSERT(bytes != NULL || size == 0);
    if (inbox->accepted && stage->token != inbox->token)
        return GV_EBUSY;
    if (stage->token != inbox->token)
        rc = begin_stage(store, stage);
    if (rc == GV_OK && stage->size != inbox_size(inbox))
        return GV_EPROTO;
    if (rc == GV_OK && size > 0)
        rc = append(store, bytes, size);
    if (rc != GV_OK)
        store_stage_drop(store, stage->token);
    else
        *kept = kept_of(store);
    GV_ASSERT((rc == GV_OK) == (inbox->token == stage->token));
    GV_ASSERT(rc != GV_OK || inbox_size(inbox) == stage->size + size);
    return rc;
}

int store_stage(struct store *store, uint64_t token, uint64_t offset,
                const uint8_t *bytes, size_t size)
{
    struct core_stage stage = {.token = token, .size = offset};
    uint64_t kept;

    return store_stage_from(store, &stage, bytes, size, &kept);
}

void store_stage_each(struct store *store, bool each)
{
    GV_ASSERT(!store->in_transaction);
    store->stage_each = each;
}

void store_stage_held(const struct store *store, struct core_stage *held)
{
    const struct inbox *inbox = &store->inbox;

    *held = (struct core_stage){0};
    if (inbox->accepted || inbox->spool == 0 || inbox_size(inbox) == 0)
        return;
    GV_ASSERT(inbox->token != 0);
    *held = (struct core_stage){.token = inbox->token,
                                .site = inbox->site,
                                .spool = inbox->spool,
                                .size = inbox_size(inbox)};
}

void store_stage_drop(struct store *store, uint64_t token)
{
    if (token != 0 && token == store->inbox.token && !store->inbox.accepted)
        inbox_forget(&store->inbox);
}

/* Reading */

bool inbox_is_sound(sqlite3_stmt *statement, int at)
{
    const void *bytes = sqlite3_column_blob(statement, at);
    size_t size = (size_t)sqlite3_column_bytes(statement, at);

    int64_t sum = sqlite3_column_int64(statement, at + 1);

    GV_ASSERT(sqlite3_column_count(statement) == at + 2);
    /* What came before this hash was used may still be there. */
    return bytes != NULL && ((int64_t)hash64_block(bytes, size) == sum ||
                             (int64_t)hash64(bytes, size) == sum);
}

static int load_window(struct store *store, uint64_t offset)
{
    struct inbox *inbox = &store->inbox;
    sqlite3_stmt *statement = store->inbox_row;
    int64_t at = inbox->base + (int64_t)offset;
    int rc;

    GV_ASSERT(!sqlite3_stmt_busy(statement));
    buffer_clear(&inbox->window);
    sqlite3_bind_int64(statement, 1, at);
    rc = sql_step(statement);
    if (rc >= 0) {
        int64_t first = rc > 0 ? sqlite3_column_int64(statement, 0) : HEAD_AT;
        size_t size = (size_t)sqlite3_column_bytes(statement, 1);

        inbox->window_at = (uint64_t)(first - inbox->base);
        rc = first < inbox->base || at - first >= (int64_t)size ||
                     !inbox_is_sound(statement, 1)
                 ? GV_ECORRUPT
                 : buffer_append(&inbox->window,
                                 sqlite3_column_blob(statement, 1), size);
    }
    sqlite3_reset(statement);
    return rc;
}

/* Bytes of the file: as many as one of its rows has. */
static int read_stored(struct store *store, uint64_t offset, uint8_t *bytes,
                       size_t *size)
{
    struct inbox *inbox = &store->inbox;
    size_t left, in;
    int rc = GV_OK;

    GV_ASSERT(offset < inbox->stored);
    if (offset < inbox->window_at ||
        offset - inbox->window_at >= inbox->window.size)
        rc = load_window(store, offset);
    if (rc != GV_OK) {
        buffer_clear(&inbox->window);
        return rc;
    }
    in = (size_t)(offset - inbox->window_at);
    left = inbox->window.size - in;
    if (*size > left)
        *size = left;
    GV_ASSERT(*size > 0);
    memcpy(bytes, inbox->window.data + in, *size);
    return GV_OK;
}

int inbox_read(struct store *store, uint64_t offset, void *bytes, size_t size)
{
    struct inbox *inbox = &store->inbox;
    uint8_t *at = bytes;

    GV_ASSERT(offset <= inbox_size(inbox));
    GV_ASSERT(size <= inbox_size(inbox) - offset);
    while (size > 0) {
        size_t piece = size;
        int rc = GV_OK;

        if (offset < inbox->stored)
            rc = read_stored(store, offset, at, &piece);
        else
            memcpy(at, inbox->memory.data + (offset - inbox->stored), piece);
        if (rc != GV_OK)
            return rc;
        at += piece;
        offset += piece;
        size -= piece;
    }
    return GV_OK;
}

/* The head */

int inbox_accept(struct store *store, const struct vv *claim)
{
    struct inbox *inbox = &store->inbox;
    struct buffer head;
    int rc = store_memory(store);

    GV_ASSERT(store->in_transaction && !store->borrowed);
    GV_ASSERT(inbox->token != 0 && !inbox->accepted);
    if (rc == GV_OK)
        rc = arriving_drop(store);
    buffer_init(&head, SIZE_MAX);
    buffer_append_u64(&head, inbox->token);
    buffer_append_u64(&head, (uint64_t)inbox->base);
    buffer_append_u64(&head, inbox_size(inbox));
    buffer_append_u32(&head, (uint32_t)inbox->wanted.count);
    buffer_append_u32(&head, (uint32_t)claim->count);
    GV_ASSERT(head.error != GV_OK || head.size == HEAD_SIZE);
    inbox_put_vector(&head, &inbox->wanted);
    inbox_put_vector(&head, claim);
    if (rc == GV_OK)
        rc = head.error;
    if (rc == GV_OK)
        rc = inbox_insert(store, HEAD_AT, head.data, head.size);
    buffer_close(&head);
    if (rc == GV_OK)
        rc = vv_copy(&inbox->claim, claim);
    inbox->accepting = rc == GV_OK;
    return rc;
}

int inbox_end(struct store *store)
{
    GV_ASSERT(store->in_transaction && store->inbox.accepted);
    store->inbox.ending = true;
    return sql_run(store->db, "DELETE FROM gv_inbox WHERE at=%d", HEAD_AT);
}

void inbox_settle(struct store *store, bool held)
{
    struct inbox *inbox = &store->inbox;
    bool accepting = inbox->accepting, ending = inbox->ending;

    GV_ASSERT(!ending || inbox->accepted || accepting);
    inbox->accepting = inbox->ending = false;
    if (accepting && held) {
        inbox->stored += inbox->memory.size;
        buffer_close(&inbox->memory);
        buffer_init(&inbox->memory, SIZE_MAX);
        inbox->accepted = true;
    } else if (accepting || (ending && held)) {
        inbox_forget(inbox);
    } else if (!held) {
        inbox_rewind(inbox); /* it named sites that are not there now */
    }
    GV_ASSERT(!inbox->accepted || inbox->memory.size == 0);
}

/* After a crash */

static int take_head(struct store *store, const uint8_t *bytes, size_t size)
{
    struct inbox *inbox = &store->inbox;
    size_t wanted = size < HEAD_SIZE ? 0 : load_u32(bytes + 24);
    size_t claim = size < HEAD_SIZE ? 0 : load_u32(bytes + 28);
    struct vv_view view;
    int rc;

    if (size < HEAD_SIZE || wanted > VV_SITES_MAX || claim > VV_SITES_MAX ||
        size != HEAD_SIZE + (wanted + claim) * VV_ENTRY_SIZE)
        return GV_ECORRUPT;
    inbox->token = load_u64(bytes);
    inbox->base = (int64_t)load_u64(bytes + 8);
    inbox->stored = load_u64(bytes + 16);
    view = (struct vv_view){bytes + HEAD_SIZE, wanted};
    if (!vv_view_valid(view) || inbox->token == 0 || inbox->base < 0 ||
        inbox->stored > (uint64_t)(INT64_MAX - inbox->base))
        return GV_ECORRUPT;
    rc = vv_raise_view(&inbox->wanted, view);
    view = (struct vv_view){view.bytes + wanted * VV_ENTRY_SIZE, claim};
    if (rc == GV_OK)
        rc = vv_view_valid(view) ? vv_raise_view(&inbox->claim, view)
                                 : GV_ECORRUPT;
    inbox->accepted = rc == GV_OK;
    return rc;
}

/* A power cut may have taken what the delta was to be added to.  Not once a
 * part of it was applied: what is on the disk is the beginning of what was
 * committed. */
static int drop_uncovered(struct store *store)
{
    struct inbox *inbox = &store->inbox;

    GV_ASSERT(inbox->accepted || inbox->stored == 0);
    if (!inbox->accepted || store_applying(store) ||
        vv_covers(&store->vv, &inbox->wanted))
        return GV_OK;
    log_line(&store->log, GV_LOG_WARNING,
             "a delta that had arrived is dropped: the file went back to"
             " before it was asked for");
    inbox->accepted = false;
    inbox_forget(inbox);
    return sql_run(store->db, "DELETE FROM gv_inbox WHERE at=%d", HEAD_AT);
}

/* Whether all bytes that the head names are there. */
static int check_bytes(struct store *store)
{
    const struct inbox *inbox = &store->inbox;
    int64_t whole = 0;
    int rc = sql_number(store->db, &whole,
                        "SELECT coalesce(min(at)=%lld AND"
                        " max(at+length(bytes))=%lld AND"
                        " sum(length(bytes))=%lld,0)"
                        " FROM gv_inbox WHERE at>=%lld",
                        (long long)inbox->base,
                        (long long)inbox->base + (long long)inbox->stored,
                        (long long)inbox->stored, (long long)inbox->base);

    GV_ASSERT(inbox->accepted && inbox->base >= 0);
    return rc == GV_OK && whole == 0 ? GV_ECORRUPT : rc;
}

/* The head, if there is one; GV_ECORRUPT: it or what it names is damaged, or
 * it is missing. */
static int read_head(struct store *store)
{
    sqlite3_stmt *statement;
    int rc =
        sql_prepare(store->db, &statement,
                    "SELECT bytes,sum FROM gv_inbox WHERE at=%d", HEAD_AT);

    inbox_forget(&store->inbox);
    if (rc == GV_OK && (rc = sql_step(statement)) > 0)
        rc = inbox_is_sound(statement, 0)
                 ? take_head(store, sqlite3_column_blob(statement, 0),
                             (size_t)sqlite3_column_bytes(statement, 0))
                 : GV_ECORRUPT;
    sqlite3_finalize(statement);
    GV_ASSERT(rc != GV_OK ||
              store->inbox.accepted == (store->inbox.token != 0));
    if (rc == GV_OK && store->inbox.accepted)
        rc = check_bytes(store);
    else if (rc == GV_OK && store_applying(store))
        rc = GV_ECORRUPT;
    return rc;
}

/* Nothing that it says holds; its bytes are swept away. */
static void forget_damaged(struct inbox *inbox)
{
    GV_ASSERT(inbox->memory.size == 0);
    inbox->accepted = false;
    inbox->stored = 0;
    inbox_forget(inbox);
}

int inbox_damaged(struct gv_error *error)
{
    error_set(error, GV_ECORRUPT,
              "A delta that is being applied in slices is damaged.");
    error_meaning(error, "Something outside Grapevine changed gv_inbox, or the"
                         " disk did. A part of the delta is in the tables, so"
                         " nothing of this file is sent, and nothing else is"
                         " taken.");
    error_remedy(error, "Put a backup of a peer's file ('grapevine backup') in"
                        " this one's place; what was written here and not"
                        " sent yet is in the tables of this one.");
    return GV_ECORRUPT;
}

int inbox_inspect(struct store *store, struct gv_error *error)
{
    int rc = read_head(store);

    GV_ASSERT(store->mode == STORE_READ);
    forget_damaged(&store->inbox);
    return rc == GV_ECORRUPT ? inbox_damaged(error) : rc;
}

/* Peers still have what was not begun. */
static int drop_damaged(struct store *store)
{
    log_line(&store->log, GV_LOG_WARNING,
             "a delta that had arrived is dropped: it is damaged in gv_inbox");
    GV_ASSERT(!store_applying(store));
    forget_damaged(&store->inbox);
    return sql_run(store->db, "DELETE FROM gv_inbox WHERE at=%d", HEAD_AT);
}

int inbox_load(struct store *store, struct gv_error *error)
{
    int64_t rows = 0;
    int rc = read_head(store);

    GV_ASSERT(store->mode == STORE_WRITE);
    if (rc == GV_ECORRUPT && store_applying(store)) {
        forget_damaged(&store->inbox);
        return inbox_damaged(error);
    }
    if (rc == GV_ECORRUPT)
        rc = drop_damaged(store);
    if (rc == GV_OK)
        rc = drop_uncovered(store);
    if (rc == GV_OK && !store->inbox.accepted)
        rc = arriving_read(store);
    if (rc == GV_OK)
        rc = sql_number(store->db, &rows,
                        "SELECT EXISTS(SELECT 1 FROM gv_inbox WHERE at>=0)");
    store->inbox.litter = rows > 0;
    return rc == GV_OK
               ? rc
               : sql_fail(store->db, rc, error, "cannot read gv_inbox");
}

/* Sweeping */

static int delete_litter(struct store *store)
{
    const struct inbox *inbox = &store->inbox;
    int64_t below = inbox->stored > 0 ? inbox->base : INT64_MAX;

    GV_ASSERT(store->in_transaction && below >= 0);
    return sql_run(store->db,
                   "DELETE FROM gv_inbox WHERE at IN(SELECT at FROM gv_inbox"
                   " WHERE (at>=0 AND at<%lld) OR at=%d ORDER BY at LIMIT"
                   " " SWEEP_ROWS ")",
                   (long long)below,
                   inbox->stored > 0 ? INT32_MIN : INBOX_ARRIVING_AT);
}

/* Where SQLite was built to overwrite what is deleted it would write each page
 * that becomes free, too, which takes as long as it took to store the delta.
 * FAST leaves those as they are, as SQLite does by default. */
static int sweep(struct store *store)
{
    int64_t before;
    int rc = sql_number(store->db, &before, "PRAGMA main.secure_delete");

    if (rc == GV_OK && before != 0)
        rc = sql_run(store->db, "PRAGMA main.secure_delete=FAST");
    if (rc != GV_OK)
        return rc;
    rc = delete_litter(store);
    GV_ASSERT(before >= 0 && before <= 2);
    /* It changes nothing in the file and cannot fail where the other did not;
     * what the application's rows leave is overwritten as before. */
    return before != 1 ||
                   sql_run(store->db, "PRAGMA main.secure_delete=ON") == GV_OK
               ? rc
               : GV_ENOMEM;
}

int inbox_sweep(struct store *store, struct gv_error *error)
{
    struct store_sealed sealed;
    int64_t before = sqlite3_total_changes64(store->db);
    int rc = transaction_begin(store, error);

    GV_ASSERT(store->inbox.litter);
    if (rc != GV_OK)
        return rc;
    rc = sweep(store);
    if (rc != GV_OK) {
        sql_fail(store->db, rc, error, "cannot clear gv_inbox");
        store_rollback(store);
        return rc;
    }
    if (sqlite3_total_changes64(store->db) == before)
        store->inbox.litter = false;
    return store_commit(store, &sealed, error);
}
