/* Extract: what another vector lacks, from one snapshot whose journal is
 * empty, every value checked against its digest before it is sent.
 *
 * A little is found by ranges of gv_ver, row by row; a lot (an empty asker, or
 * more rows than places.c keeps) by one walk per table in key order, joined
 * with the user's table, or beside what gather.c has read of it. */
#include "store/extract.h"

#include "base/assert.h"
#include "base/plant.h"
#include "store/directory.h"
#include "store/fragments.h"
#include "store/identity.h"
#include "store/kept.h"
#include "store/reader.h"
#include "store/schema.h"
#include "store/seal.h"
#include "store/transaction.h"

#include <stdio.h>
#include <stdlib.h>

#define CHUNK_SIZE 65536

/* Begin */

int extract_open_spool(struct extract *extract)
{
    struct store *store = extract->store;
    char name[16], *path;

    GV_ASSERT(extract->slot < EXTRACTS_MAX);
    snprintf(name, sizeof name, "out-%u", extract->slot);
    path = store_file_path(store, name);
    if (path == NULL)
        return GV_ENOMEM;
    spool_init(&extract->spool, store->vfs, store->limits.spool_size, path);
    extract->next = store->extracts;
    store->extracts = extract;
    return GV_OK;
}

static int take_slot(struct extract *extract)
{
    struct store *store = extract->store;
    bool used[EXTRACTS_MAX] = {false};

    for (struct extract *other = store->extracts; other != NULL;
         other = other->next) {
        GV_ASSERT(other->slot < EXTRACTS_MAX);
        GV_ASSERT(!used[other->slot]); /* two would share a file */
        used[other->slot] = true;
    }
    while (extract->slot < EXTRACTS_MAX && used[extract->slot])
        extract->slot++;
    if (extract->slot < EXTRACTS_MAX)
        return extract_open_spool(extract);
    extract->slot = 0;
    return kept_give_way(store) ? take_slot(extract) : GV_ELIMIT;
}

static int note_vectors(struct extract *extract, struct vv_view asker)
{
    struct store *store = extract->store;
    struct vv vv;
    int rc;

    GV_ASSERT(extract->asker == NULL && extract->claim.size == 0);
    GV_ASSERT(store->site_count > 0); /* number 0 is nobody */
    vv_init(&vv);
    rc = vv_raise_view(&vv, asker);
    if (rc == GV_OK)
        rc = buffer_append(&extract->asked, asker.bytes,
                           asker.count * VV_ENTRY_SIZE);
    extract->asker_count = store->site_count;
    extract->asker = calloc(store->site_count + 1, sizeof *extract->asker);
    if (extract->asker == NULL)
        rc = GV_ENOMEM;
    for (size_t i = 1; rc == GV_OK && i < store->site_count; i++)
        extract->asker[i] = vv_get(&vv, &store->sites[i]);
    vv_close(&vv);
    for (size_t i = 0; rc == GV_OK && i < store->vv.count; i++) {
        uint8_t *room = buffer_extend(&extract->claim, VV_ENTRY_SIZE);

        if (room == NULL)
            return GV_ENOMEM;
        vv_entry_store(&store->vv.entries[i], room);
    }
    GV_ASSERT(rc != GV_OK ||
              extract->claim.size == store->vv.count * VV_ENTRY_SIZE);
    return rc;
}

struct extract *extract_new(struct store *store)
{
    struct extract *extract = calloc(1, sizeof *extract);

    if (extract == NULL)
        return NULL;
    extract->store = store;
    extract->schema_generation = store->schema_generation;
    buffer_init(&extract->asked, SIZE_MAX);
    buffer_init(&extract->claim, SIZE_MAX);
    buffer_init(&extract->chunk, SIZE_MAX);
    fragments_init(&extract->fragments, &extract->chunk);
    do
        store->host->random(store->host->context, &extract->spool_id,
                            sizeof extract->spool_id);
    while (extract->spool_id == 0);
    return extract;
}

/* Whether this is still the file that was opened, and what @vv says of it is
 * so. */
static int look(struct store *store, struct vv_view vv, struct gv_error *error)
{
    int rc;

    GV_ASSERT(!store->in_transaction && store->within == STORE_ALONE);
    if (store->moved || log_is_orphan(store))
        return error_set(error, GV_EMOVED,
                         "The file was replaced or restored while it was"
                         " open.");
    rc = identity_heard_view(store, vv, error);
    if (rc == GV_EFORK && error != NULL)
        error->code = GV_EMOVED;
    return rc == GV_EFORK ? GV_EMOVED : rc;
}

/* Open the reader's snapshot, if the store stands at its vector. */
static int open_snapshot(struct store *store, struct vv_view vv,
                         struct gv_error *error)
{
    int rc = reader_open(store, error);

    if (rc != GV_OK)
        return rc;
    GV_ASSERT(sqlite3_get_autocommit(store->reader));
    /* A reader that was opened just now may read another file. */
    rc = look(store, vv, error);
    if (rc != GV_OK)
        return rc;
    /* After a transaction that failed, the next one reads anew what the file
     * holds. */
    if (store->stale || store->schema_version == -1)
        return error_set(error, GV_EBUSY, "The last transaction failed.");
    if (store->committed.busy != 0 && !plant("busy-forgotten"))
        return error_set(error, GV_EBUSY,
                         "A long seal or apply is under way.");
    rc = snapshot_open(store);
    return rc == GV_OK
               ? rc
               : sql_fail(store->reader, rc, error, "cannot open a snapshot");
}

/* The rows to send are known: each once. */
static int take_places(struct extract *extract, const struct row_place *places,
                       size_t count)
{
    extract->places = calloc(count, sizeof *extract->places);
    if (extract->places == NULL)
        return GV_ENOMEM;
    for (size_t i = 0; i < count; i++)
        if (i == 0 || place_compare(&places[i - 1], &places[i]) != 0)
            extract->places[extract->place_count++] = places[i];
    extract->place_capacity = count;
    GV_ASSERT(extract->place_count <= count);
    return GV_OK;
}

static int begin(struct store *store, struct vv_view vv,
                 const struct row_place *places, size_t place_count,
                 struct extract **extract, struct gv_error *error)
{
    struct extract *made;
    int rc = open_snapshot(store, vv, error);

    if (rc != GV_OK)
        return rc;
    made = extract_new(store);
    rc = made == NULL ? GV_ENOMEM : take_slot(made);
    if (rc == GV_OK)
        rc = note_vectors(made, vv);
    if (rc == GV_OK && places != NULL) {
        rc = take_places(made, places, place_count);
    } else if (rc == GV_OK) {
        made->whole = vv.count == 0;
        if (!made->whole)
            rc = places_find(made);
    }
    if (rc != GV_OK) {
        sql_fail(store->reader, rc, error, "cannot begin an extract");
        snapshot_end(store);
        extract_free(made);
        return rc;
    }
    GV_ASSERT(!sqlite3_get_autocommit(store->reader));
    GV_ASSERT(made->place_at == 0 && made->table_at == 0);
    *extract = made;
    return GV_OK;
}

int extract_begin(struct store *store, struct vv_view vv,
                  struct extract **extract, struct gv_error *error)
{
    return begin(store, vv, NULL, 0, extract, error);
}

int extract_rows(struct store *store, const struct row_place *places,
                 size_t count, struct extract **extract,
                 struct gv_error *error)
{
    struct vv_view nothing = {NULL, 0};

    GV_ASSERT(places != NULL && count > 0);
    return begin(store, nothing, places, count, extract, error);
}

/* Step */

void extract_add_effort(struct extract *extract, sqlite3_stmt *statement)
{
    extract->scan_steps += (uint64_t)sqlite3_stmt_status(
        statement, SQLITE_STMTSTATUS_FULLSCAN_STEP, 1);
    extract->vm_steps +=
        (uint64_t)sqlite3_stmt_status(statement, SQLITE_STMTSTATUS_VM_STEP, 1);
}

static int flush_chunk(struct extract *extract, size_t above)
{
    int rc = GV_OK;

    GV_ASSERT(extract->chunk.error == GV_OK);
    if (extract->chunk.size > above) {
        rc = spool_append(&extract->spool, extract->chunk.data,
                          extract->chunk.size);
        buffer_clear(&extract->chunk);
    }
    return rc;
}

/* One row of the places found; *@done after the last. */
static int step_place(struct extract *extract, bool *done,
                      struct gv_error *error)
{
    struct row_place *place;
    struct store_table *table;
    int rc;

    GV_ASSERT(!extract->whole);
    GV_ASSERT(extract->place_at <= extract->place_count);
    if (extract->place_at == extract->place_count) {
        *done = true;
        return GV_OK;
    }
    place = &extract->places[extract->place_at++];
    /* Ascending, so that a table's statement serves all of its rows. */
    GV_ASSERT(extract->place_at == 1 || place_compare(place - 1, place) < 0);
    table = schema_by_id(extract->store, place->table);
    rc = outgoing_use(extract, table, error);
    if (rc != GV_OK)
        return rc;
    sqlite3_bind_int64(extract->read, 1, place->rid);
    rc = sql_step(extract->read);
    if (rc > 0)
        rc = outgoing_row(extract, table, error);
    else if (plant("unread-is-end") && rc == GV_EIO)
        rc = GV_OK;
    else if (rc == 0)
        rc = GV_ECORRUPT; /* gv_ver names a row that is not there */
    sqlite3_reset(extract->read);
    return rc;
}

/* What is read ahead for the next row; *@ready: it can be sent. */
static int read_ahead(struct extract *extract, struct store_table *table,
                      bool *ready)
{
    int rc;

    *ready = true;
    if (extract->gather == NULL)
        return GV_OK;
    rc = gather_turn(extract, ready);
    return rc == GV_OK && gather_in_vain(extract->gather)
               ? outgoing_join_rows(extract, table)
               : rc;
}

/* The next row of the table, or the step to the next one. */
static int send_next(struct extract *extract, struct store_table *table,
                     struct gv_error *error)
{
    int rc = sql_step(extract->read);

    if (plant("unread-is-end") && rc == GV_EIO)
        rc = GV_OK;
    if (rc < 0)
        return rc;
    if (extract->gather != NULL &&
        gather_met(extract->gather, rc > 0) != GV_OK)
        return GV_ECORRUPT;
    if (rc == 0) {
        extract->table_at++;
        return GV_OK;
    }
    rc = outgoing_row(extract, table, error);
    if (rc == GV_OK && extract->gather != NULL)
        gather_next(extract->gather);
    return rc;
}

/* One row of a table: read ahead, or sent. */
static int step_join(struct extract *extract, bool *done,
                     struct gv_error *error)
{
    struct store *store = extract->store;
    struct store_table *table;
    bool ready;
    int rc;

    GV_ASSERT(extract->whole);
    GV_ASSERT(extract->table_at <= store->table_count);
    if (extract->table_at == store->table_count) {
        *done = true;
        return GV_OK;
    }
    table = store->tables[extract->table_at];
    /* Who has nothing yet learns of tables without rows too, if there is
     * anything to learn. */
    rc = extract->claim.size == 0
             ? GV_OK
             : fragments_define(&extract->fragments, table);
    if (rc == GV_OK)
        rc = outgoing_use(extract, table, error);
    if (rc == GV_OK)
        rc = read_ahead(extract, table, &ready);
    return rc == GV_OK && ready ? send_next(extract, table, error) : rc;
}

static int finish_spool(struct extract *extract)
{
    struct spool_head head = {
        .site = *store_site(extract->store),
        .id = extract->spool_id,
        .asked = {extract->asked.data, extract->asked.size / VV_ENTRY_SIZE},
        .claim = extract_claim(extract)};

    GV_ASSERT(!extract->done && extract->spool_id != 0);
    return spool_finish(&extract->spool, &head);
}

int extract_step(struct extract *extract, size_t rows, bool *done,
                 struct gv_error *error)
{
    struct store *store = extract->store;
    bool ended = false;
    int rc = GV_OK;

    GV_ASSERT(!extract->done);
    if (extract->schema_generation != store->schema_generation)
        rc = GV_EBUSY;
    for (size_t i = 0; i < rows && rc == GV_OK && !ended; i++) {
        rc = extract->whole ? step_join(extract, &ended, error)
                            : step_place(extract, &ended, error);
        if (rc == GV_OK)
            rc = flush_chunk(extract, CHUNK_SIZE);
    }
    if (rc == GV_OK && ended) {
        rc = flush_chunk(extract, 0);
        if (rc == GV_OK)
            rc = finish_spool(extract);
    }
    if (rc != GV_OK || ended) {
        outgoing_end(extract);
        snapshot_end(store);
        extract->done = true;
        extract->complete = rc == GV_OK;
        GV_ASSERT(extract->read == NULL);
        GV_ASSERT(store->reader == NULL ||
                  sqlite3_get_autocommit(store->reader));
    }
    if (rc != GV_OK) {
        if (error != NULL && error->code != rc)
            sql_fail(store->reader, rc, error,
                     "cannot read what a peer lacks");
        return rc;
    }
    *done = ended;
    return GV_OK;
}

/* What was read */

uint64_t extract_spool(const struct extract *extract)
{
    return extract->spool_id;
}

uint64_t extract_size(const struct extract *extract)
{
    GV_ASSERT(extract->done); /* it still grows */
    return spool_size(&extract->spool);
}

struct vv_view extract_claim(const struct extract *extract)
{
    GV_ASSERT(extract->claim.size % VV_ENTRY_SIZE == 0);
    return (struct vv_view){extract->claim.data,
                            extract->claim.size / VV_ENTRY_SIZE};
}

int extract_read(struct extract *extract, uint64_t offset, uint8_t *bytes,
                 size_t size)
{
    int rc;

    GV_ASSERT(extract->done);
    rc = spool_read(&extract->spool, offset, bytes, size);
    if (rc != GV_OK)
        extract->complete = false;
    return rc;
}

void extract_effort(const struct extract *extract, uint64_t *scan_steps,
                    uint64_t *vm_steps)
{
    *scan_steps = extract->scan_steps;
    *vm_steps = extract->vm_steps;
}

/* @leave: its file stays for a later run. */
static void release(struct extract *extract, bool leave)
{
    for (struct extract **at = &extract->store->extracts; *at != NULL;
         at = &(*at)->next)
        if (*at == extract) {
            *at = extract->next;
            break;
        }
    if (!extract->done) {
        outgoing_end(extract);
        snapshot_end(extract->store);
    }
    if (leave)
        spool_leave(&extract->spool);
    else
        spool_close(&extract->spool);
    buffer_close(&extract->asked);
    buffer_close(&extract->claim);
    buffer_close(&extract->chunk);
    fragments_close(&extract->fragments);
    free(extract->asker);
    free(extract->places);
    free(extract);
}

void extract_free(struct extract *extract)
{
    if (extract != NULL)
        release(extract, false);
}

void extracts_close(struct store *store)
{
    while (store->extracts != NULL)
        release(store->extracts, store->extracts->kept);
}

/* Again */

/* Whether the asker lacks nothing else than what @extract was read for, and
 * this file still holds what that claims. */
static bool is_good_for(const struct extract *extract, const struct vv *vv)
{
    struct vv_view asked = {extract->asked.data,
                            extract->asked.size / VV_ENTRY_SIZE};

    GV_ASSERT(extract->done && extract->kept);
    return vv_covers_view(vv, asked) &&
           vv_covers_view(&extract->store->vv, extract_claim(extract));
}

int extract_resume(struct store *store, struct vv_view vv, uint64_t spool,
                   uint64_t offset, struct extract **extract,
                   struct gv_error *error)
{
    struct extract *found = store->extracts;
    struct vv asker;
    int rc = look(store, vv, error);

    *extract = NULL;
    while (found != NULL && (!found->kept || found->spool_id != spool))
        found = found->next;
    if (rc != GV_OK || found == NULL || offset > extract_size(found))
        return rc;
    vv_init(&asker);
    rc = vv_raise_view(&asker, vv);
    if (rc == GV_OK && is_good_for(found, &asker)) {
        found->kept = false;
        *extract = found;
    }
    vv_close(&asker);
    return rc;
}
