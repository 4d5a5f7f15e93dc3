/* The write-ahead log on the disk: its sync, and what a failed one leaves.
 *
 * After a sync that failed the system may take pages for clean that never
 * reached the disk, and no later sync writes them (fsync on Linux).  SQLite
 * reads a log up to its first gap, so nothing behind such a page would outlive
 * a power cut.  A failure leaves a mark, the file "unsynced": the salts of the
 * log, how far it was confirmed before (8 bytes), and hash64 of both; what is
 * not whole says nothing.  The next open writes once more what stands behind
 * that place, and only that: where the power fails meanwhile, bytes that were
 * on the disk already can be spoilt.  A log with other salts was begun when a
 * checkpoint had moved the marked one into the database file, and synced it.
 *
 * A power cut may take the mark, but then it took the pages too. */
#include "store/log.h"

#include "base/assert.h"
#include "store/borrowed.h"
#include "store/directory.h"
#include "store/file.h"
#include "store/internal.h"
#include "store/transaction.h"

#include <stdlib.h>
#include <string.h>

/* Of SQLite's file format: a header, and before each page its frame's. */
#define LOG_HEADER_SIZE 32
#define LOG_SALTS 16
#define FRAME_HEADER_SIZE 24
#define FRAME_SALTS 8
/* Of the header of its shared index (struct WalIndexHdr in wal.c), which
 * stands there twice, in the machine's byte order. */
#define INDEX_VERSION 3007000
#define INDEX_SIZE 48
#define INDEX_PAGE_SIZE 14
#define INDEX_FRAMES 16
#define INDEX_SALTS 32
#define INDEX_REGION 32768

_Static_assert(INDEX_SALTS + LOG_SALTS_SIZE <= INDEX_SIZE, "parts of it");
_Static_assert(LOG_SALTS + LOG_SALTS_SIZE <= LOG_HEADER_SIZE, "parts of it");

#define MARK_SIZE (LOG_SALTS_SIZE + 8 + 8)

sqlite3_file *log_file(struct store *store)
{
    sqlite3_file *file = NULL;
    int rc = sqlite3_file_control(store->db, "main",
                                  SQLITE_FCNTL_JOURNAL_POINTER, &file);

    return rc == SQLITE_OK && file != NULL && file->pMethods != NULL ? file
                                                                     : NULL;
}

sqlite3_file *log_database(struct store *store)
{
    sqlite3_file *file = NULL;
    int rc = sqlite3_file_control(store->db, "main", SQLITE_FCNTL_FILE_POINTER,
                                  &file);

    return rc == SQLITE_OK && file != NULL && file->pMethods != NULL ? file
                                                                     : NULL;
}

volatile uint8_t *log_index(sqlite3_file *file)
{
    volatile void *region = NULL;

    if (file->pMethods == NULL || file->pMethods->iVersion < 2 ||
        file->pMethods->xShmMap == NULL ||
        file->pMethods->xShmMap(file, 0, INDEX_REGION, 0, &region) !=
            SQLITE_OK)
        return NULL;
    if (region == NULL || *(const volatile uint32_t *)region != INDEX_VERSION)
        return NULL;
    return region;
}

/* False while somebody writes it. */
static bool read_index(sqlite3_file *file, uint8_t header[INDEX_SIZE])
{
    const volatile uint8_t *index = log_index(file);
    uint8_t second[INDEX_SIZE];

    if (index == NULL)
        return false;
    for (size_t i = 0; i < INDEX_SIZE; i++)
        header[i] = index[i];
    file->pMethods->xShmBarrier(file);
    for (size_t i = 0; i < INDEX_SIZE; i++)
        second[i] = index[INDEX_SIZE + i];
    return memcmp(header, second, INDEX_SIZE) == 0;
}

/* How far commits reach in the log.  An application's connection may have no
 * index in a file, and asking for it would make one. */
static void find_end(struct store *store, struct log_place *place)
{
    uint8_t header[INDEX_SIZE];
    sqlite3_file *file = store->borrowed ? NULL : log_database(store);
    uint16_t page;
    uint32_t frames, size;

    *place = (struct log_place){.known = false};
    if (file == NULL || !read_index(file, header))
        return;
    memcpy(&page, header + INDEX_PAGE_SIZE, sizeof page);
    memcpy(&frames, header + INDEX_FRAMES, sizeof frames);
    size = page == 1 ? 65536 : page;
    if (size < 512)
        return; /* before the first commit */
    place->known = true;
    /* The first frame brings the log's header with it. */
    if (frames > 0)
        place->end =
            LOG_HEADER_SIZE + (uint64_t)frames * (FRAME_HEADER_SIZE + size);
    memcpy(place->salts, header + INDEX_SALTS, LOG_SALTS_SIZE);
}

static bool same_log(const struct log_place *a, const struct log_place *b)
{
    return a->known && b->known &&
           memcmp(a->salts, b->salts, LOG_SALTS_SIZE) == 0;
}

/* A frame bears the salts of its log; what stood there before it has those of
 * an older one. */
bool store_shows_writer(struct store *store)
{
    uint8_t header[FRAME_HEADER_SIZE];
    sqlite3_file *file = log_file(store);
    struct log_place place;
    uint64_t at;

    find_end(store, &place);
    if (file == NULL || !place.known)
        return true;
    at = place.end > 0 ? place.end : LOG_HEADER_SIZE;
    GV_ASSERT(at < INT64_MAX);
    return file->pMethods->xRead(file, header, sizeof header,
                                 (sqlite3_int64)at) == SQLITE_OK &&
           memcmp(header + FRAME_SALTS, place.salts, LOG_SALTS_SIZE) == 0;
}

/* The mark */

static void write_mark(struct store *store, const struct log_place *place)
{
    uint8_t bytes[MARK_SIZE] = {0};
    char *path = store_file_path(store, "unsynced");
    struct file *mark;

    GV_ASSERT(!place->known || place->end <= INT64_MAX);
    if (place->known) {
        memcpy(bytes, place->salts, LOG_SALTS_SIZE);
        store_u64(bytes + LOG_SALTS_SIZE, place->end);
        store_u64(bytes + MARK_SIZE - 8, hash64(bytes, MARK_SIZE - 8));
    }
    if (path != NULL && file_open(store->vfs, path, 1, &mark) == GV_OK) {
        (void)file_write(mark, 0, bytes, sizeof bytes);
        file_close(mark);
    }
    free(path);
}

/* Nothing of @place is known where the mark is not whole. */
static int read_mark(struct store *store, const char *path,
                     struct log_place *place)
{
    uint8_t bytes[MARK_SIZE];
    struct file *mark;
    int rc = file_open(store->vfs, path, 0, &mark);

    *place = (struct log_place){.known = false};
    if (rc != GV_OK)
        return rc;
    if (file_read(mark, 0, bytes, sizeof bytes) == GV_OK &&
        load_u64(bytes + MARK_SIZE - 8) == hash64(bytes, MARK_SIZE - 8)) {
        place->known = true;
        memcpy(place->salts, bytes, LOG_SALTS_SIZE);
        place->end = load_u64(bytes + LOG_SALTS_SIZE);
    }
    file_close(mark);
    GV_ASSERT(!place->known || place->end >= LOG_HEADER_SIZE ||
              place->end == 0);
    return GV_OK;
}

/* A checkpoint over a gap in the log writes pages of commits that a power cut
 * takes: what is left then is no state at all. */
static void log_hold(struct store *store, bool held)
{
    if (!store->borrowed)
        sqlite3_db_config(store->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, held,
                          NULL);
}

void log_doubt(struct store *store)
{
    struct log_place now;

    GV_ASSERT(store->wal);
    find_end(store, &now);
    now.end = same_log(&now, &store->log_synced) ? store->log_synced.end : 0;
    write_mark(store, &now);
    store->log_doubted = true;
    log_hold(store, true);
}

/* Sync */

/* Done inside the commit the sync would hold the write lock.  One sync covers
 * all commits before it. */
int log_sync(struct store *store)
{
    struct log_place end = {.known = false};
    sqlite3_file *file;
    int rc;

    if (store->within != STORE_ALONE)
        return GV_OK; /* nothing is committed yet */
    if (store->log_doubted)
        return GV_EIO; /* it would be confirmed without what was lost */
    /* Where there is no such log (an application's connection may have another
     * journal mode), a commit is in the database file itself. */
    GV_ASSERT(store->wal || store->borrowed);
    file = store->wal ? log_file(store) : log_database(store);
    if (file == NULL)
        return GV_EIO;
    if (store->wal)
        find_end(store, &end);
    rc = file->pMethods->xSync(file, SQLITE_SYNC_NORMAL);
    if (rc == SQLITE_OK)
        store->log_synced = end;
    else if (store->wal)
        log_doubt(store);
    return sql_code(rc);
}

void log_leave(struct store *store)
{
    if (store->db == NULL || store->mode != STORE_WRITE || store->borrowed ||
        !store->joined || !store->wal || log_is_orphan(store))
        return;
    GV_ASSERT(!store->overwritten);
    GV_ASSERT(store->within == STORE_ALONE);
    (void)log_sync(store);
}

/* Mending */

#define COPY_SIZE 32768
_Static_assert(COPY_SIZE < 1 << 17, "the unix VFS keeps 17 bits of a size");

static int rewrite(sqlite3_file *file, sqlite3_int64 from)
{
    uint8_t bytes[COPY_SIZE];
    sqlite3_int64 size = 0;
    int rc = file->pMethods->xFileSize(file, &size);

    GV_ASSERT(from >= 0);
    for (sqlite3_int64 at = from; at < size && rc == SQLITE_OK;) {
        int piece = size - at < COPY_SIZE ? (int)(size - at) : COPY_SIZE;

        GV_ASSERT(piece > 0);
        rc = file->pMethods->xRead(file, bytes, piece, at);
        if (rc == SQLITE_OK)
            rc = file->pMethods->xWrite(file, bytes, piece, at);
        at += piece;
    }
    return sql_code(rc);
}

/* The salts in the file itself, which any connection can read. */
static bool of_this_log(sqlite3_file *file, const struct log_place *mark)
{
    uint8_t salts[LOG_SALTS_SIZE];

    GV_ASSERT(mark->known);
    return file->pMethods->xRead(file, salts, LOG_SALTS_SIZE, LOG_SALTS) ==
               SQLITE_OK &&
           memcmp(salts, mark->salts, LOG_SALTS_SIZE) == 0;
}

static int mend(struct store *store, const struct log_place *mark)
{
    sqlite3_file *file = log_file(store);
    int rc = GV_OK;

    if (file == NULL)
        return GV_EIO;
    if (!mark->known)
        rc = rewrite(file, 0);
    else if (of_this_log(file, mark))
        rc = rewrite(file, (sqlite3_int64)mark->end);
    store->log_synced = *mark; /* if it fails again, it reaches no farther */
    return rc == GV_OK ? log_sync(store) : rc;
}

int log_mend(struct store *store)
{
    char *path = store_file_path(store, "unsynced");
    struct log_place mark;
    int rc = path == NULL ? GV_ENOMEM : read_mark(store, path, &mark);

    /* Another writer's frames would be lost under ours. */
    GV_ASSERT(transaction_open(store));
    GV_ASSERT(!store->log_doubted);
    if (rc == GV_OK) {
        /* Who left WAL mode moved all of it into the database file. */
        rc = store->wal ? mend(store, &mark) : log_sync(store);
        if (rc == GV_OK)
            rc = file_delete(store->vfs, path);
    } else if (rc == GV_ENOTFOUND) {
        rc = GV_OK;
    }
    if (rc == GV_OK)
        log_hold(store, false);
    free(path);
    return rc;
}
