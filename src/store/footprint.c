/* A file that was written over while it is in use.
 *
 * SQLite does not see that: with a write-ahead log only a checkpoint writes to
 * the database file, so what its connections hold in memory, and the pages in
 * the log, stand for pages of the file that are gone.  Read together they are
 * a state that never was, and the next checkpoint makes it one on the disk.
 *
 * What tells are two pages as the file has them: that of gv_meta, which
 * changes with each checkpoint that moves a commit of ours, and the first one,
 * by which a backup that has the same gv_meta, but other pages (VACUUM INTO),
 * is another file.  A checkpoint leaves its traces in the log's shared index
 * first (walCheckpoint() in SQLite's wal.c): the salts of the log, how many
 * frames were moved, and up to which one it was tried.  All three the same and
 * other pages: no checkpoint wrote them.
 *
 * Then the log belongs to a state that is gone, and goes too.  Nothing that
 * was sealed is lost, for peers have it; what was not, whoever copied the file
 * over it threw away.  An index whose header is zero makes each connection of
 * any program read the log anew. */
#include "store/footprint.h"

#include "base/assert.h"
#include "base/plant.h"
#include "store/file.h"
#include "store/internal.h"
#include "store/log.h"

#include <stdlib.h>
#include <string.h>

/* The start of the index: two copies of its header, then where checkpoints
 * stand (struct WalIndexHdr and WalCkptInfo). */
#define INDEX_CHANGE 8
#define INDEX_FRAMES 16
#define INDEX_SALTS 32
#define INDEX_HEADER_SIZE 48
#define INDEX_MOVED 96
#define INDEX_TRIED 128
#define INDEX_REGION 32768

_Static_assert(INDEX_FRAMES + 4 <= INDEX_SALTS, "the header's parts");
_Static_assert(INDEX_SALTS + 8 <= INDEX_HEADER_SIZE, "the header's parts");
_Static_assert(2 * INDEX_HEADER_SIZE == INDEX_MOVED, "what follows it");
_Static_assert(INDEX_TRIED + 4 <= INDEX_REGION, "all of it in one region");
_Static_assert(8 + 4 + 4 == FOOTPRINT_TRACES, "what checkpoints leave");

static void copy_index(uint8_t *to, const volatile uint8_t *from, size_t size)
{
    for (size_t i = 0; i < size; i++)
        to[i] = from[i];
}

/* False while a checkpoint is under way, or one that was cut off. */
static bool read_traces(sqlite3_file *file, uint8_t traces[FOOTPRINT_TRACES])
{
    const volatile uint8_t *index = log_index(file);

    if (index == NULL)
        return false;
    copy_index(traces, index + INDEX_SALTS, 8);
    copy_index(traces + 8, index + INDEX_MOVED, 4);
    copy_index(traces + 12, index + INDEX_TRIED, 4);
    return memcmp(traces + 8, traces + 12, 4) == 0;
}

/* The first page and that at @taken->at as the file has them; what lies behind
 * its end is 0. */
static bool hash_page(sqlite3_file *file, struct footprint *taken)
{
    uint8_t *page = calloc(1, (size_t)taken->size);
    uint64_t first;
    int rc;

    GV_ASSERT(taken->size >= 512 && taken->size <= 65536);
    GV_ASSERT(taken->at >= 0 && taken->at % taken->size == 0);
    if (page == NULL)
        return false;
    rc = file->pMethods->xRead(file, page, (int)taken->size, 0);
    first = hash64(page, (size_t)taken->size);
    if (rc == SQLITE_OK || rc == SQLITE_IOERR_SHORT_READ) {
        memset(page, 0, (size_t)taken->size);
        rc = file->pMethods->xRead(file, page, (int)taken->size, taken->at);
    }
    taken->hash = hash64(page, (size_t)taken->size) + first * 31;
    free(page);
    return rc == SQLITE_OK || rc == SQLITE_IOERR_SHORT_READ;
}

static bool same_traces(const struct footprint *a, const struct footprint *b)
{
    return memcmp(a->traces, b->traces, FOOTPRINT_TRACES) == 0;
}

/* Known only if no checkpoint wrote meanwhile. */
static void take_page(struct store *store, struct footprint *taken)
{
    struct footprint after = {0};
    sqlite3_file *file = log_database(store);

    taken->known = file != NULL && read_traces(file, taken->traces) &&
                   hash_page(file, taken) && read_traces(file, after.traces) &&
                   same_traces(taken, &after);
}

/* Anew, of the page where gv_meta lies now: VACUUM moves it. */
static void take(struct store *store)
{
    struct footprint taken = {0};
    int64_t root;

    if (sql_number(store->db, &root,
                   "SELECT rootpage FROM main.sqlite_schema WHERE"
                   " name='gv_meta'") != GV_OK ||
        sql_number(store->db, &taken.size, "PRAGMA main.page_size") != GV_OK)
        return;
    GV_ASSERT(root > 0); /* a table has a page */
    taken.at = (root - 1) * taken.size;
    take_page(store, &taken);
    GV_ASSERT(!taken.known || taken.size >= 512);
    if (taken.known)
        store->footprint = taken;
}

bool footprint_changed(struct store *store)
{
    const struct footprint *last = &store->footprint;
    struct footprint now = *last;

    GV_ASSERT(store->wal && !store->overwritten);
    if (plant("overwrite-unnoticed"))
        return false;
    if (last->known) {
        take_page(store, &now);
        if (now.known && same_traces(&now, last))
            return now.hash != last->hash;
    }
    take(store);
    return false;
}

void footprint_follow(struct store *store)
{
    struct footprint now = {0};
    sqlite3_file *file;

    if (!store->footprint.known)
        return;
    file = log_database(store);
    if (file != NULL && read_traces(file, now.traces) &&
        !same_traces(&now, &store->footprint))
        take(store);
}

/* A number of the index; false where there is none. */
static bool read_index(struct store *store, size_t at, uint32_t *number)
{
    sqlite3_file *file = log_database(store);
    const volatile uint8_t *index = file == NULL ? NULL : log_index(file);

    GV_ASSERT(at % sizeof *number == 0 && at < INDEX_REGION);
    if (!store->wal || index == NULL)
        return false;
    *number = *(const volatile uint32_t *)(index + at);
    return true;
}

void footprint_note_change(struct store *store)
{
    if (!read_index(store, INDEX_CHANGE, &store->change))
        store->change = 0;
}

bool store_shows_commit(struct store *store)
{
    uint32_t change;

    return read_index(store, INDEX_CHANGE, &change) && change != store->change;
}

int store_wal_frames(struct store *store)
{
    uint32_t frames, moved;

    GV_ASSERT(store->wal_frames >= 0);
    if (!read_index(store, INDEX_FRAMES, &frames) ||
        !read_index(store, INDEX_MOVED, &moved))
        return store->wal_frames;
    return frames == moved || frames > INT32_MAX ? 0 : (int)frames;
}

int footprint_drop_log(struct store *store)
{
    sqlite3_file *file = log_database(store), *log = log_file(store);
    volatile uint8_t *index;
    int rc;

    GV_ASSERT(store->mode == STORE_WRITE);
    GV_ASSERT(store->reader == NULL);
    /* Nobody writes to the log meanwhile. */
    rc = sqlite3_get_autocommit(store->db) ? sql_finish(store->begin) : GV_OK;
    if (rc != GV_OK)
        return rc;
    index = file == NULL ? NULL : log_index(file);
    if (index == NULL || log == NULL)
        rc = GV_EIO;
    if (rc == GV_OK)
        rc = sql_code(log->pMethods->xTruncate(log, 0));
    /* Or a power cut brings it back, to be played into the new file. */
    if (rc == GV_OK)
        rc = sql_code(log->pMethods->xSync(log, SQLITE_SYNC_NORMAL));
    if (rc == GV_OK) {
        for (size_t i = 0; i < 2 * INDEX_HEADER_SIZE; i++)
            index[i] = 0;
        file->pMethods->xShmBarrier(file);
    }
    sql_finish(store->rollback);
    GV_ASSERT(sqlite3_get_autocommit(store->db));
    /* Else closing would move what SQLite remembers of it into the file. */
    sqlite3_db_config(store->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    return rc;
}
