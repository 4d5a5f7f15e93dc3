/* What a machine of a pair does: its application's SQL, its node's
 * transactions and exchanges.  What passes between nodes goes through frames,
 * as it would on a link. */
#include "crash_pair_internal.h"

#include "base/assert.h"
#include "wire/frame.h"

#include <stdio.h>

#define MESH "crash"
/* Small enough that checkpoints and new write-ahead logs fall into the
 * script. */
#define CHECKPOINT_PAGES "60"
#define PIECE_SIZE 20000

/* Applications */

bool side_open_application(struct pair *pair, struct side *side)
{
    char text[200];
    int rc;

    if (side->db != NULL)
        return true;
    rc = sqlite3_open_v2(PAIR_PATH, &side->db, SQLITE_OPEN_READWRITE,
                         process_vfs(side->application));
    snprintf(text, sizeof text,
             "PRAGMA synchronous=%s; PRAGMA wal_autocheckpoint"
             "=" CHECKPOINT_PAGES,
             pair->setting.full ? "FULL" : "NORMAL");
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(side->db, text, NULL, NULL, NULL);
    if (rc != SQLITE_OK)
        return pair_failed(pair, "the application opens the file", rc,
                           sqlite3_errmsg(side->db));
    return true;
}

bool side_run(struct pair *pair, struct side *side, int number)
{
    char *sql = crash_script_transaction(pair->setting.seed, number);
    int rc = sqlite3_exec(side->db, sql, NULL, NULL, NULL);

    sqlite3_free(sql);
    if (rc != SQLITE_OK)
        return pair_failed(pair, "the application commits", rc,
                           sqlite3_errmsg(side->db));
    return true;
}

int64_t side_ask(struct side *side, const char *text)
{
    sqlite3_stmt *statement;
    int64_t found = -1;

    if (sqlite3_prepare_v2(side->db, text, -1, &statement, NULL) ==
            SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW)
        found = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return found;
}

/* Stores */

bool side_open_store(struct pair *pair, struct side *side)
{
    struct store_options options = {
        .mode = STORE_WRITE,
        .host = process_host(side->node),
        .vfs = process_vfs(side->node),
        .slices = {
            .delta_size = 3000, .journal_rows = 30, .rows = 10, .keys = 10}};
    struct gv_error error = {0};
    int rc;

    if (side->store != NULL)
        return true;
    rc = store_open(PAIR_PATH, &options, &side->store, &error);
    return rc == GV_OK || pair_failed(pair, "the store opens", rc, error.what);
}

bool side_join(struct pair *pair, struct side *side)
{
    struct gv_error error = {0};
    struct buffer notes;
    int rc = store_join(side->store, MESH, &error);

    for (size_t i = 0; i < 3 && rc == GV_OK; i++) {
        buffer_init(&notes, 65536);
        rc = store_track(side->store, crash_script_tables[i], &notes, &error);
        buffer_close(&notes);
    }
    return rc == GV_OK || pair_failed(pair, "the store joins", rc, error.what);
}

/* A store_commit() of the first machine returned. */
static void note_commit(struct pair *pair, const struct store_sealed *sealed)
{
    pair->heard = vv_get(store_vv(pair->a.store), store_site(pair->b.store));
    if (!sealed->any)
        return;
    pair->site = *store_site(pair->a.store);
    pair->told = sealed->interval.to;
    for (int n = 1; n <= pair->step; n++)
        if (pair->numbers[n] == NUMBER_ACKED)
            pair->numbers[n] = NUMBER_DURABLE;
}

static bool put_in_frame(struct pair *pair, struct side *side,
                         const struct store_sealed *sealed)
{
    struct message message = {.kind = MESSAGE_NEWS};

    buffer_clear(&side->news);
    if (!sealed->any || sealed->interval.bytes == NULL)
        return true;
    message.as.news.intervals[0] = sealed->interval;
    message.as.news.interval_count = 1;
    return frame_encode(&message, &side->news) == GV_OK ||
           pair_violate(pair, "what was sealed does not fit a frame");
}

bool side_turn(struct pair *pair, struct side *side, const struct buffer *news,
               int *applied)
{
    struct store_sealed sealed = {0};
    struct gv_error error = {0};
    struct message message;
    int rc = store_work_all(side->store, 0, &sealed, &error);

    *applied = GV_OK;
    if (rc == GV_OK && side == &pair->a)
        note_commit(pair, &sealed);
    if (rc == GV_OK)
        rc = store_begin(side->store, &error);
    if (rc == GV_OK && news != NULL && news->size > 0) {
        if (frame_decode(news->data, news->size, &message) != GV_OK)
            return pair_violate(pair, "a frame cannot be read");
        *applied = store_apply_interval(side->store,
                                        &message.as.news.intervals[0], &error);
    }
    if (rc == GV_OK)
        rc = store_commit(side->store, &sealed, &error);
    if (rc != GV_OK)
        return pair_failed(pair, "a node's transaction", rc, error.what);
    if (*applied != GV_OK && *applied != GV_EDUPLICATE && *applied != GV_EGAP)
        return pair_failed(pair, "an interval", *applied, error.what);
    if (side == &pair->a)
        note_commit(pair, &sealed);
    return put_in_frame(pair, side, &sealed);
}

/* Deltas */

static bool extract_all(struct pair *pair, struct side *from,
                        struct vv_view vv, struct extract **extract)
{
    struct gv_error error = {0};
    bool done = false;
    int rc = extract_begin(from->store, vv, extract, &error);

    if (rc != GV_OK)
        return pair_failed(pair, "extract_begin", rc, error.what);
    while (rc == GV_OK && !done)
        rc = extract_step(*extract, 30, &done, &error);
    if (rc == GV_OK)
        return true;
    extract_free(*extract);
    return pair_failed(pair, "extract_step", rc, error.what);
}

/* A piece goes through a frame, as it would on a link. */
static bool carry_piece(struct pair *pair, struct side *to,
                        struct extract *extract, uint64_t offset, size_t size)
{
    static uint8_t bytes[PIECE_SIZE];
    struct message message = {.kind = MESSAGE_DELTA}, carried;
    struct message_delta *delta = &message.as.delta;
    struct buffer frame;
    int rc = extract_read(extract, offset, bytes, size);

    delta->token = pair->token;
    delta->spool = extract_spool(extract);
    delta->offset = offset;
    delta->bytes = bytes;
    delta->size = size;
    delta->last = offset + size == extract_size(extract);
    if (delta->last)
        delta->claim = extract_claim(extract);
    buffer_init(&frame, MESSAGE_FRAME_SIZE_MAX);
    if (rc == GV_OK)
        rc = frame_encode(&message, &frame);
    if (rc == GV_OK)
        rc = frame_decode(frame.data, frame.size, &carried);
    if (rc == GV_OK)
        rc = store_stage(to->store, carried.as.delta.token,
                         carried.as.delta.offset, carried.as.delta.bytes,
                         carried.as.delta.size);
    buffer_close(&frame);
    return rc == GV_OK || pair_failed(pair, "a delta's bytes", rc, "");
}

static bool carry(struct pair *pair, struct side *to, struct extract *extract)
{
    uint64_t size = extract_size(extract), at = 0;

    pair->token++;
    do {
        uint64_t piece = size - at < PIECE_SIZE ? size - at : PIECE_SIZE;

        if (!carry_piece(pair, to, extract, at, (size_t)piece))
            return false;
        at += piece;
    } while (at < size);
    return true;
}

static bool apply_staged(struct pair *pair, struct side *to,
                         struct vv_view claim)
{
    struct store_sealed sealed = {0};
    struct gv_error error = {0};
    int rc = store_begin(to->store, &error);

    if (rc == GV_OK)
        rc = store_apply_delta(to->store, pair->token, claim, &error);
    if (rc == GV_OK)
        rc = store_commit(to->store, &sealed, &error);
    if (rc == GV_OK && to == &pair->a)
        note_commit(pair, &sealed);
    if (rc == GV_OK)
        rc = store_work_all(to->store, pair->token, &sealed, &error);
    if (rc != GV_OK)
        return pair_failed(pair, "a delta", rc, error.what);
    if (to == &pair->a)
        note_commit(pair, &sealed);
    return true;
}

bool side_pull(struct pair *pair, struct side *to, struct side *from)
{
    uint8_t bytes[8 * VV_ENTRY_SIZE];
    const struct vv *vv;
    struct extract *extract;
    int applied;
    bool done;

    if (!side_turn(pair, from, NULL, &applied))
        return false;
    vv = store_vv(to->store);
    GV_ASSERT(vv->count <= 8);
    for (size_t i = 0; i < vv->count; i++)
        vv_entry_store(&vv->entries[i], bytes + i * VV_ENTRY_SIZE);
    if (!extract_all(pair, from, (struct vv_view){bytes, vv->count}, &extract))
        return false;
    done = carry(pair, to, extract) &&
           apply_staged(pair, to, extract_claim(extract));
    extract_free(extract);
    return done;
}
