/* A machine's file: made, opened by its node, looked at from outside, put back
 * and copied over. */
#include "machine_state.h"

#include "base/assert.h"

#include <stdio.h>
#include <string.h>

static struct world *world_of(const struct machine *machine)
{
    return machine->options.world;
}

void machine_open_observer(struct machine *machine)
{
    char name[40];
    int rc;

    snprintf(name, sizeof name, "%s-observer", machine->name);
    rc = visit_begin(&machine->observer, machine->disk, name);
    GV_ASSERT(rc == SQLITE_OK);
    sqlite3_exec(machine->observer.db, "PRAGMA query_only=ON", NULL, NULL,
                 NULL);
}

void machine_close_observer(struct machine *machine)
{
    if (machine->observer.db != NULL)
        visit_end(&machine->observer);
}

static void note_line(void *context, enum gv_log_level level, const char *line)
{
    struct machine *machine = context;

    if (level <= GV_LOG_INFO)
        world_note(world_of(machine), "%s: %s", machine->name, line);
}

void machine_open_process(struct machine *machine)
{
    char name[40];

    snprintf(name, sizeof name, "%s-node-%llu", machine->name,
             (unsigned long long)machine->starts);
    machine->process = process_new(machine->disk, name, false);
    GV_ASSERT(machine->process != NULL);
}

void machine_close_process(struct machine *machine)
{
    machine->operations += process_operations(machine->process);
    process_free(machine->process);
    machine->process = NULL;
}

/* Without slices what the ledger sees is what one transaction did. */
static struct store_slices slices_of(const struct machine *machine)
{
    struct store_slices slices = machine->options.slices;

    if (slices.rows > 0)
        return slices;
    slices.delta_size = slices.journal_rows = INT64_MAX;
    slices.rows = 1000;
    return slices;
}

int machine_open_keeper(struct machine *machine, struct gv_error *why)
{
    struct store_slices slices = slices_of(machine);
    struct log log = {note_line, machine};

    return store_keeper_open(MACHINE_PATH, process_vfs(machine->process),
                             process_host(machine->process), log, &slices,
                             &machine->keeper, why);
}

/* "table" or "table:counter,multi-value". */
static int track_one(struct store *store, char *table, struct buffer *notes)
{
    struct gv_error why = {0};
    char *columns = table;
    struct store_kind kinds[2] = {{NULL, COLUMN_COUNTER}, {NULL, COLUMN_MV}};
    struct store_kinds chosen = {kinds, 0};

    table = strsep(&columns, ":");
    kinds[0].column = strsep(&columns, ",");
    kinds[1].column = columns;
    while (chosen.count < 2 && kinds[chosen.count].column != NULL)
        chosen.count++;
    return store_track_as(store, table, &chosen, notes, &why);
}

static void track_all(struct store *store, const char *tables)
{
    char list[512], *rest = list;
    char *table;

    snprintf(list, sizeof list, "%s", tables);
    while ((table = strsep(&rest, " ")) != NULL) {
        struct buffer notes;
        int rc;

        buffer_init(&notes, SIZE_MAX);
        rc = track_one(store, table, &notes);
        buffer_close(&notes);
        GV_ASSERT(rc == GV_OK);
    }
}

static void make_file(struct machine *machine, const char *schema)
{
    sqlite3 *db;
    int rc = sqlite3_open_v2(MACHINE_PATH, &db,
                             SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE |
                                 SQLITE_OPEN_NOMUTEX,
                             process_vfs(machine->process));

    GV_ASSERT(rc == SQLITE_OK);
    /* Small pages: deeper trees with fewer rows, and less to copy. */
    sqlite3_exec(db, "PRAGMA page_size=1024", NULL, NULL, NULL);
    rc = sqlite3_exec(db, schema, NULL, NULL, NULL);
    GV_ASSERT(rc == SQLITE_OK);
    sqlite3_close(db);
}

void machine_prepare(struct machine *machine, const char *schema,
                     const char *tables, const char *rows)
{
    struct gv_error why = {0};
    struct store *store;
    int rc;

    machine_open_process(machine);
    make_file(machine, schema);
    rc = machine_open_keeper(machine, &why);
    GV_ASSERT(rc == GV_OK);
    store = store_keeper_store(machine->keeper);
    rc = store_join(store, MACHINE_MESH, &why);
    GV_ASSERT(rc == GV_OK);
    track_all(store, tables);
    machine->keeper->methods->close(machine->keeper);
    machine->keeper = NULL;
    make_file(machine, rows);
    machine_close_process(machine);
    disk_power_cut(machine->disk, LOSS_NONE);
    machine_open_observer(machine);
}

bool machine_idle(const struct machine *machine)
{
    return machine->alive && !machine->options.model && !machine->work.pending;
}

bool machine_track(struct machine *machine, const char *table)
{
    struct gv_error why = {0};
    struct buffer notes;
    int rc;

    GV_ASSERT(machine_idle(machine));
    buffer_init(&notes, SIZE_MAX);
    rc = store_track(store_keeper_store(machine->keeper), table, &notes, &why);
    buffer_close(&notes);
    world_note(world_of(machine), "%s: track %s: %s", machine->name, table,
               rc == GV_OK ? "done" : why.what);
    machine->schema_moved = true;
    machine->write_wanted = true;
    if (machine_fallen(machine))
        return false;
    driver_wake(machine, world_now(world_of(machine)));
    return rc == GV_OK;
}

void machine_replace_file(struct machine *machine,
                          const struct disk_image *image, bool same_files)
{
    GV_ASSERT(!machine->alive);
    machine_close_observer(machine);
    disk_image_put(machine->disk, image, same_files);
    machine_open_observer(machine);
}

bool machine_checkpoint(struct machine *machine)
{
    char name[40];
    struct visit visit;
    int log = -1, moved = -1;
    int rc;

    snprintf(name, sizeof name, "%s-checkpoint", machine->name);
    rc = visit_begin(&visit, machine->disk, name);
    /* One that has read nothing finds no log. */
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(visit.db, "SELECT 1 FROM gv_meta", NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_wal_checkpoint_v2(
            visit.db, NULL, SQLITE_CHECKPOINT_PASSIVE, &log, &moved);
    visit_end(&visit);
    driver_look(machine);
    return rc == SQLITE_OK && log >= 0 && log == moved;
}

void machine_copy_over(struct machine *machine, struct disk *disk,
                       const char *path)
{
    GV_ASSERT(machine_idle(machine) && machine->powered);
    machine_close_observer(machine);
    disk_copy_over(machine->disk, MACHINE_PATH, disk, path);
    driver_look(machine);
    machine_open_observer(machine);
}
