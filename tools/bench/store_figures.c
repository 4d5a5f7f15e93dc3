/* What the store itself costs: seal, extract, apply and the room that its
 * tables take, each beside the figure to hold it to.
 *
 * CPU time of one thread on files in a directory; README.md explains the
 * output. */
#include "contacts.h"
#include "locks.h"
#include "measure.h"
#include "tracked.h"
#include "wire/frame.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* One cell in a large table: enough samples for a p99. */
#define CELLS 1000
#define LARGE_ROWS 1000000
#define SMALL_ROWS 10000

struct settings {
    const char *directory;
    const char *only; /* NULL: all */
    uint32_t rows;
    int rounds;
    bool large;
};

/* A file, the store on it and an application's connection. */
struct file {
    char path[600];
    const struct contacts_shape *shape;
    sqlite3 *db;
    struct store *store; /* NULL: not tracked */
};

static void file_make(struct file *file, const char *name,
                      const struct contacts_shape *shape, bool track)
{
    snprintf(file->path, sizeof file->path, "%s", directory_file(name));
    file->shape = shape;
    file->db = plain_open(file->path);
    contacts_create(file->db, shape);
    file->store = NULL;
    if (track) {
        file->store = tracked_open(file->path);
        tracked_track(file->store);
    }
}

static void file_remove(struct file *file)
{
    static const char *const suffixes[] = {"", "-wal", "-shm"};
    char name[640];

    store_close(file->store);
    if (sqlite3_close(file->db) != SQLITE_OK)
        die("Cannot close the file: %s.", sqlite3_errmsg(file->db));
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        snprintf(name, sizeof name, "%s%s", file->path, suffixes[i]);
        unlink(name);
    }
}

/* In an application's order; returns what it costs. */
static struct span file_insert(struct file *file, uint32_t rows)
{
    sqlite3_stmt *insert = contacts_prepare_insert(file->db, file->shape);
    struct span begin = span_begin(), cost;

    plain_run(file->db, "BEGIN IMMEDIATE");
    for (uint32_t row = 0; row < rows; row++) {
        contacts_bind(insert, file->shape, row);
        plain_finish(insert);
    }
    plain_run(file->db, "COMMIT");
    cost = span_end(begin);
    sqlite3_finalize(insert);
    plain_checkpoint(file->db);
    return cost;
}

static const char update_phone[] = "UPDATE contacts SET phone=?2 WHERE id=?1";
static const char update_note[] = "UPDATE contacts SET note=?2 WHERE id=?1";

/* One column of every @step-th row. */
static void file_update(struct file *file, const char *text, uint32_t rows,
                        uint32_t step)
{
    sqlite3_stmt *update = plain_prepare(file->db, text);

    plain_run(file->db, "BEGIN IMMEDIATE");
    for (uint32_t row = 0; row < rows; row += step) {
        contacts_bind_key(update, 1, file->shape, row);
        contacts_bind_change(update, 2, row, 1);
        plain_finish(update);
    }
    plain_run(file->db, "COMMIT");
    sqlite3_finalize(update);
    plain_checkpoint(file->db);
}

/* What the syncs of this process cost: SQLite calls this function instead of
 * the C library's, so that a seal's own work can be told from the disk's. */
static struct span sync_cost;

__attribute__((visibility("default"))) int fdatasync(int file)
{
    struct span begin = span_begin(), cost;
    int rc = (int)syscall(SYS_fdatasync, file);

    cost = span_end(begin);
    sync_cost.wall_ns += cost.wall_ns;
    sync_cost.cpu_ns += cost.cpu_ns;
    return rc;
}

/* The rows of @from in the order of their keys into @to, as a delta brings
 * them: the plain work that an apply is compared with. */
static struct span plain_copy(struct file *from, struct file *to)
{
    sqlite3_stmt *select =
        plain_prepare(from->db, "SELECT * FROM contacts ORDER BY id");
    sqlite3_stmt *insert = contacts_prepare_insert(to->db, to->shape);
    struct span total = {0}, begin;
    sqlite3_value **rows;
    size_t count = 0, columns = (size_t)to->shape->columns + 1;
    size_t room =
        (size_t)plain_number(from->db, "SELECT count(*) FROM contacts");

    rows = calloc(room * columns + 1, sizeof(sqlite3_value *));
    if (rows == NULL)
        die("Out of memory.");
    while (sqlite3_step(select) == SQLITE_ROW)
        for (size_t i = 0; i < columns; i++)
            rows[count++] =
                sqlite3_value_dup(sqlite3_column_value(select, (int)i));
    sqlite3_finalize(select);
    begin = span_begin();
    plain_run(to->db, "BEGIN IMMEDIATE");
    for (size_t at = 0; at < count; at += columns) {
        for (size_t i = 0; i < columns; i++)
            sqlite3_bind_value(insert, (int)i + 1, rows[at + i]);
        plain_finish(insert);
    }
    plain_run(to->db, "COMMIT");
    total = span_end(begin);
    for (size_t i = 0; i < count; i++)
        sqlite3_value_free(rows[i]);
    free(rows);
    sqlite3_finalize(insert);
    return total;
}

/* One column of every second row, in the order of the keys. */
static struct span plain_change(struct file *file, uint32_t rows)
{
    sqlite3_stmt *update = plain_prepare(file->db, update_phone);
    sqlite3_stmt *keys;
    struct span begin;

    plain_run(file->db, "CREATE TEMP TABLE half(id PRIMARY KEY)");
    keys = plain_prepare(file->db, "INSERT INTO half VALUES(?1)");
    plain_run(file->db, "BEGIN");
    for (uint32_t row = 0; row < rows; row += 2) {
        contacts_bind_key(keys, 1, file->shape, row);
        plain_finish(keys);
    }
    plain_run(file->db, "COMMIT");
    sqlite3_finalize(keys);
    plain_checkpoint(file->db);
    keys = plain_prepare(file->db, "SELECT id FROM half ORDER BY id");
    plain_run(file->db, "BEGIN IMMEDIATE");
    begin = span_begin();
    while (sqlite3_step(keys) == SQLITE_ROW) {
        sqlite3_bind_value(update, 1, sqlite3_column_value(keys, 0));
        contacts_bind_change(update, 2, (uint32_t)sqlite3_data_count(keys), 7);
        plain_finish(update);
    }
    plain_run(file->db, "COMMIT");
    begin = span_end(begin);
    sqlite3_finalize(keys);
    sqlite3_finalize(update);
    return begin;
}

/* Output */

static double per_row_us(struct samples *samples, uint32_t rows)
{
    return (double)samples_median(samples) / rows / 1000;
}

static void print_speed(const char *what, const struct contacts_shape *shape,
                        struct samples *cpu, uint32_t rows, double target)
{
    double us = per_row_us(cpu, rows);

    printf("%-34s %-13s %8.2f us a row %10.0f rows/s   hold to %.0f\n", what,
           shape->name, us, 1e6 / us, target);
    fflush(stdout);
}

static void print_ratio(const char *what, const struct contacts_shape *shape,
                        struct samples *cpu, struct samples *plain,
                        uint32_t rows, double target)
{
    double us = per_row_us(cpu, rows), plain_us = per_row_us(plain, rows);

    printf("%-34s %-13s %8.2f us a row, plain %.2f: %.2f x", what, shape->name,
           us, plain_us, us / plain_us);
    if (target > 0)
        printf("   hold to %.1f x", target);
    putchar('\n');
    fflush(stdout);
}

/* Bytes in our tables and their indexes. */
static double bytes_per_row(struct file *file, uint32_t rows)
{
    int64_t bytes;

    plain_checkpoint(file->db);
    bytes = plain_number(file->db, "SELECT sum(pgsize) FROM dbstat WHERE name"
                                   " IN (SELECT name FROM sqlite_schema WHERE"
                                   " tbl_name GLOB 'gv_*')");
    return (double)bytes / rows;
}

static void print_bytes(const char *what, const struct contacts_shape *shape,
                        double bytes, double target)
{
    printf("%-34s %-13s %8.0f bytes a row", what, shape->name, bytes);
    if (target > 0)
        printf("   hold to %.0f", target);
    putchar('\n');
    fflush(stdout);
}

/* What one shape of table costs */

struct targets {
    double seal, extract, bytes;
};

struct figures {
    struct samples seal, change, extract, apply, plain, as_written,
        apply_change, plain_change, reapply;
    double bytes, second_writer, tombstone;
    size_t delta_size;
};

static void figures_free(struct figures *figures)
{
    struct samples *all[] = {
        &figures->seal,         &figures->change,  &figures->extract,
        &figures->apply,        &figures->plain,   &figures->apply_change,
        &figures->plain_change, &figures->reapply, &figures->as_written};

    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        samples_free(all[i]);
}

static void timed_seal(struct file *file, struct samples *into)
{
    struct span begin = span_begin();

    tracked_seal(file->store);
    samples_add(into, span_end(begin).cpu_ns);
}

static void timed_apply(struct file *file, const struct delta *delta,
                        struct samples *into)
{
    struct span begin;

    tracked_stage(file->store, delta);
    begin = span_begin();
    tracked_apply(file->store, delta);
    samples_add(into, span_end(begin).cpu_ns);
}

static void timed_extract(struct file *file, struct delta *delta,
                          struct samples *into)
{
    tracked_extract(file->store, NULL, delta);
    samples_add(into, delta->cost.cpu_ns);
}

static void measure_whole(struct figures *figures, struct file *origin,
                          struct file *copy, struct file *plain, uint32_t rows)
{
    struct delta delta;

    file_insert(origin, rows);
    timed_seal(origin, &figures->seal);
    figures->bytes = bytes_per_row(origin, rows);
    timed_extract(origin, &delta, &figures->extract);
    figures->delta_size = delta.size;
    timed_apply(copy, &delta, &figures->apply);
    timed_apply(copy, &delta, &figures->reapply);
    delta_free(&delta);
    samples_add(&figures->plain, plain_copy(origin, plain).cpu_ns);
}

/* The plain work again, as an application does it. */
static void measure_plain(struct figures *figures,
                          const struct contacts_shape *shape, uint32_t rows)
{
    struct file file;

    file_make(&file, "written.db", shape, false);
    samples_add(&figures->as_written, file_insert(&file, rows).cpu_ns);
    file_remove(&file);
}

static void measure_half(struct figures *figures, struct file *origin,
                         struct file *copy, struct file *plain, uint32_t rows)
{
    struct delta delta;

    file_update(origin, update_phone, rows, 2);
    timed_seal(origin, &figures->change);
    tracked_extract(origin->store, store_vv(copy->store), &delta);
    plain_checkpoint(copy->db);
    timed_apply(copy, &delta, &figures->apply_change);
    delta_free(&delta);
    samples_add(&figures->plain_change, plain_change(plain, rows).cpu_ns);
}

/* Another site writes one column of every row; then every row dies. */
static void measure_room(struct figures *figures, struct file *copy,
                         uint32_t rows)
{
    double before;

    plain_run(copy->db, "VACUUM");
    before = bytes_per_row(copy, rows);
    file_update(copy, update_note, rows, 1);
    tracked_seal(copy->store);
    plain_run(copy->db, "VACUUM");
    figures->second_writer = bytes_per_row(copy, rows) - before;
    plain_run(copy->db, "DELETE FROM contacts");
    tracked_seal(copy->store);
    plain_run(copy->db, "VACUUM");
    figures->tombstone = bytes_per_row(copy, rows);
}

static void measure_round(struct figures *figures,
                          const struct contacts_shape *shape, uint32_t rows,
                          bool room)
{
    struct file origin, copy, plain;

    file_make(&origin, "origin.db", shape, true);
    file_make(&copy, "copy.db", shape, true);
    file_make(&plain, "plain.db", shape, false);
    measure_whole(figures, &origin, &copy, &plain, rows);
    measure_plain(figures, shape, rows);
    measure_half(figures, &origin, &copy, &plain, rows);
    if (room)
        measure_room(figures, &copy, rows);
    file_remove(&origin);
    file_remove(&copy);
    file_remove(&plain);
}

static void print_figures(struct figures *figures,
                          const struct contacts_shape *shape, uint32_t rows,
                          const struct targets *targets)
{
    print_speed("seal, new rows", shape, &figures->seal, rows, targets->seal);
    print_speed("seal, a column of every 2nd row", shape, &figures->change,
                rows / 2, 180000);
    print_speed("extract all", shape, &figures->extract, rows,
                targets->extract);
    print_ratio("apply into an empty file", shape, &figures->apply,
                &figures->as_written, rows, 1.5);
    print_ratio("  beside an insert in key order", shape, &figures->apply,
                &figures->plain, rows, 0);
    print_ratio("apply, a column of every 2nd row", shape,
                &figures->apply_change, &figures->plain_change, rows / 2, 2.5);
    printf("%-34s %-13s %8.2f us a row   hold to 0.7\n", "re-apply",
           shape->name, per_row_us(&figures->reapply, rows));
    print_bytes("metadata, one writer", shape, figures->bytes, targets->bytes);
    print_bytes("metadata, a second writer adds", shape,
                figures->second_writer, 45);
    print_bytes("metadata, tombstone", shape, figures->tombstone, 135);
    print_bytes("delta", shape, (double)figures->delta_size / rows, 0);
}

static void measure_shape(const struct settings *settings,
                          const struct contacts_shape *shape,
                          const struct targets *targets)
{
    struct figures figures = {0};

    if (settings->only != NULL && strcmp(settings->only, shape->name) != 0)
        return;
    for (int i = 0; i < settings->rounds; i++)
        measure_round(&figures, shape, settings->rows, i == 0);
    print_figures(&figures, shape, settings->rows, targets);
    putchar('\n');
    figures_free(&figures);
}

/* One cell */

static size_t want_size(const struct vv *vv)
{
    struct message message = {.kind = MESSAGE_WANT};
    struct buffer out;
    size_t size;

    message.as.want = (struct message_want){
        .vv = tracked_view(vv), .token = UINT64_MAX, .credit = 1024 * 1024};
    buffer_init(&out, MESSAGE_FRAME_SIZE_MAX);
    if (frame_encode(&message, &out) != GV_OK)
        die("Cannot encode a WANT.");
    size = out.size;
    buffer_close(&out);
    return size;
}

static size_t delta_frame_size(const struct delta *delta)
{
    struct message message = {.kind = MESSAGE_DELTA};
    struct buffer out;
    size_t size;

    message.as.delta =
        (struct message_delta){.token = UINT64_MAX,
                               .spool = UINT64_MAX,
                               .bytes = delta->bytes,
                               .size = delta->size,
                               .last = true,
                               .claim = tracked_view(&delta->claim)};
    buffer_init(&out, MESSAGE_FRAME_SIZE_MAX);
    if (frame_encode(&message, &out) != GV_OK)
        die("Cannot encode a DELTA.");
    size = out.size;
    buffer_close(&out);
    return size;
}

struct cell_samples {
    struct samples seal, extract, both, wall, sync, apply;
};

static void one_cell(struct file *origin, struct file *copy,
                     sqlite3_stmt *update, uint32_t row, uint32_t round,
                     struct cell_samples *into, bool show)
{
    struct delta delta;
    struct span begin, seal, extract;

    contacts_bind_key(update, 1, origin->shape, row);
    contacts_bind_change(update, 2, row, round);
    plain_finish(update);
    sync_cost = (struct span){0};
    begin = span_begin();
    tracked_seal(origin->store);
    seal = span_end(begin);
    seal.cpu_ns -= sync_cost.cpu_ns;
    samples_add(&into->sync, sync_cost.wall_ns);
    tracked_extract(origin->store, store_vv(copy->store), &delta);
    extract = delta.cost;
    samples_add(&into->seal, seal.cpu_ns);
    samples_add(&into->extract, extract.cpu_ns);
    samples_add(&into->both, seal.cpu_ns + extract.cpu_ns);
    samples_add(&into->wall, seal.wall_ns + extract.wall_ns);
    if (show)
        printf("a peer that lacks 1 row: WANT %zu and DELTA %zu bytes (hold"
               " to 2048 together);\n  extract: %llu full-scan steps (none),"
               " %llu steps (under 10000)\n",
               want_size(store_vv(copy->store)), delta_frame_size(&delta),
               (unsigned long long)delta.scan_steps,
               (unsigned long long)delta.vm_steps);
    timed_apply(copy, &delta, &into->apply);
    delta_free(&delta);
}

static double us_at(struct samples *samples, double part)
{
    return (double)samples_at(samples, part) / 1000;
}

static void print_cells(struct cell_samples *cells, uint32_t rows)
{
    printf("one cell in %u rows, us p50/p99: seal + extract %.0f/%.0f CPU"
           " without the sync (hold to 60/250)\n"
           "  seal %.0f/%.0f, extract %.0f/%.0f, apply %.0f/%.0f CPU\n"
           "  the sync %.0f/%.0f, seal + extract with it %.0f/%.0f by the"
           " wall\n",
           rows, us_at(&cells->both, 0.5), us_at(&cells->both, 0.99),
           us_at(&cells->seal, 0.5), us_at(&cells->seal, 0.99),
           us_at(&cells->extract, 0.5), us_at(&cells->extract, 0.99),
           us_at(&cells->apply, 0.5), us_at(&cells->apply, 0.99),
           us_at(&cells->sync, 0.5), us_at(&cells->sync, 0.99),
           us_at(&cells->wall, 0.5), us_at(&cells->wall, 0.99));
}

static void measure_cells(uint32_t rows)
{
    struct cell_samples cells = {0};
    struct file origin, copy;
    struct delta delta;
    sqlite3_stmt *update;

    file_make(&origin, "origin.db", &contacts_narrow, true);
    file_make(&copy, "copy.db", &contacts_narrow, true);
    file_insert(&origin, rows);
    tracked_seal(origin.store);
    tracked_extract(origin.store, NULL, &delta);
    tracked_stage(copy.store, &delta);
    tracked_apply(copy.store, &delta);
    delta_free(&delta);
    plain_checkpoint(origin.db);
    plain_checkpoint(copy.db);
    update = plain_prepare(origin.db, update_phone);
    for (uint32_t i = 0; i < CELLS; i++)
        one_cell(&origin, &copy, update, i * 7919 % rows, i, &cells, i == 0);
    sqlite3_finalize(update);
    print_cells(&cells, rows);
    samples_free(&cells.seal);
    samples_free(&cells.extract);
    samples_free(&cells.both);
    samples_free(&cells.wall);
    samples_free(&cells.sync);
    samples_free(&cells.apply);
    file_remove(&origin);
    file_remove(&copy);
}

/* The lock */

/* Seals of so many rows each, of rows that lie all over the table. */
static void measure_lock(struct file *file, uint32_t rows, uint32_t changed,
                         int rounds)
{
    struct samples cpu = {0}, wall = {0}, whole = {0};
    sqlite3_stmt *update = plain_prepare(file->db, update_phone);

    for (int round = 0; round < rounds; round++) {
        struct span begin, held;

        plain_run(file->db, "BEGIN IMMEDIATE");
        for (uint32_t i = 0; i < changed; i++) {
            uint32_t row = (uint32_t)((i * UINT64_C(7919) +
                                       (uint32_t)round * UINT64_C(104729)) %
                                      rows);

            contacts_bind_key(update, 1, file->shape, row);
            contacts_bind_change(update, 2, row, (uint32_t)round + 1);
            plain_finish(update);
        }
        plain_run(file->db, "COMMIT");
        begin = span_begin();
        tracked_seal(file->store);
        samples_add(&whole, span_end(begin).cpu_ns);
        held = locks_held();
        samples_add(&cpu, held.cpu_ns);
        samples_add(&wall, held.wall_ns);
        plain_checkpoint(file->db);
    }
    sqlite3_finalize(update);
    printf("a seal of %u of %u rows holds the lock, ms p50/p99: %.2f/%.2f"
           " CPU, %.2f/%.2f by the wall (hold to 50), of %.2f/%.2f CPU\n",
           changed, rows, us_at(&cpu, 0.5) / 1000, us_at(&cpu, 0.99) / 1000,
           us_at(&wall, 0.5) / 1000, us_at(&wall, 0.99) / 1000,
           us_at(&whole, 0.5) / 1000, us_at(&whole, 0.99) / 1000);
    samples_free(&cpu);
    samples_free(&wall);
    samples_free(&whole);
}

static void measure_locks(uint32_t rows)
{
    struct file file;

    file_make(&file, "locked.db", &contacts_narrow, true);
    file_insert(&file, rows);
    tracked_seal(file.store);
    measure_lock(&file, rows, 1, 200);
    measure_lock(&file, rows, 1000, 100);
    measure_lock(&file, rows, rows < 10000 ? rows : 10000, 100);
    file_remove(&file);
}

/* Slices */

struct slice_samples {
    struct samples cpu, wall; /* that the lock was held */
    struct samples whole;     /* CPU */
};

static void print_slices(const char *what, struct slice_samples *slices)
{
    printf("%-27s holds the lock, %4zu of them, ms p50/p99: %.2f/%.2f CPU,"
           " %.2f/%.2f by the wall (hold to 5), of %.2f/%.2f CPU\n",
           what, slices->cpu.count, us_at(&slices->cpu, 0.5) / 1000,
           us_at(&slices->cpu, 0.99) / 1000, us_at(&slices->wall, 0.5) / 1000,
           us_at(&slices->wall, 0.99) / 1000,
           us_at(&slices->whole, 0.5) / 1000,
           us_at(&slices->whole, 0.99) / 1000);
    samples_free(&slices->cpu);
    samples_free(&slices->wall);
    samples_free(&slices->whole);
}

/* One slice; false: it was the last. */
static bool one_slice(struct store *store, struct slice_samples *into)
{
    struct store_worked worked;
    struct gv_error error = {0};
    struct span begin, held;

    begin = span_begin();
    if (store_work(store, &worked, &error) != GV_OK)
        die("A slice failed: %s", error.what);
    samples_add(&into->whole, span_end(begin).cpu_ns);
    held = locks_held();
    samples_add(&into->cpu, held.cpu_ns);
    samples_add(&into->wall, held.wall_ns);
    return worked.more;
}

static void slices_of_seal(struct file *file)
{
    struct slice_samples seal = {0};

    while (one_slice(file->store, &seal))
        ;
    print_slices("a slice of a seal", &seal);
}

static void slices_of_apply(struct file *file, const struct delta *delta)
{
    struct slice_samples check = {0}, merge = {0}, sweep = {0};
    bool more = true;

    tracked_stage(file->store, delta);
    tracked_accept(file->store, delta);
    while (more) {
        bool busy = store_busy(file->store);
        bool working = store_working(file->store);

        more = one_slice(file->store, busy      ? &merge
                                      : working ? &check
                                                : &sweep);
    }
    print_slices("a slice of a delta's check", &check);
    print_slices("a slice of an apply", &merge);
    print_slices("a slice of what it leaves", &sweep);
}

static void measure_slices(uint32_t rows)
{
    struct file origin, copy;
    struct delta delta;

    printf("\nslices, %u rows\n", rows);
    file_make(&origin, "origin.db", &contacts_narrow, true);
    file_make(&copy, "copy.db", &contacts_narrow, true);
    file_insert(&origin, rows);
    slices_of_seal(&origin);
    tracked_extract(origin.store, NULL, &delta);
    slices_of_apply(&copy, &delta);
    delta_free(&delta);
    file_remove(&origin);
    file_remove(&copy);
}

/* Growth */

static void print_growth(const char *what, struct samples *small,
                         struct samples *large, double plain)
{
    double growth =
        per_row_us(large, LARGE_ROWS) / per_row_us(small, SMALL_ROWS);

    printf("  %-10s %6.2f -> %6.2f us a row: %.1f x", what,
           per_row_us(small, SMALL_ROWS), per_row_us(large, LARGE_ROWS),
           growth);
    if (plain > 0)
        printf("   hold to %.1f x", plain * 1.5);
    putchar('\n');
}

static void measure_growth(void)
{
    struct figures small = {0}, large = {0};
    double plain;

    for (int i = 0; i < 5; i++)
        measure_round(&small, &contacts_narrow, SMALL_ROWS, false);
    measure_round(&large, &contacts_narrow, LARGE_ROWS, false);
    plain = per_row_us(&large.plain, LARGE_ROWS) /
            per_row_us(&small.plain, SMALL_ROWS);
    printf("\ngrowth, %d -> %d rows\n", SMALL_ROWS, LARGE_ROWS);
    print_growth("plain", &small.plain, &large.plain, 0);
    print_growth("seal", &small.seal, &large.seal, plain);
    print_growth("extract", &small.extract, &large.extract, plain);
    print_growth("apply", &small.apply, &large.apply, plain);
    print_growth("re-apply", &small.reapply, &large.reapply, plain);
    figures_free(&small);
    figures_free(&large);
    measure_cells(LARGE_ROWS);
}

static void take_options(int argc, char **argv, struct settings *settings)
{
    static const struct option names[] = {
        {"dir", required_argument, NULL, 'd'},
        {"rows", required_argument, NULL, 'r'},
        {"rounds", required_argument, NULL, 'n'},
        {"only", required_argument, NULL, 'o'},
        {"large", no_argument, NULL, 'l'},
        {0}};
    int found;

    while ((found = getopt_long(argc, argv, "", names, NULL)) != -1) {
        if (found == 'd')
            settings->directory = optarg;
        else if (found == 'r')
            settings->rows = (uint32_t)strtoul(optarg, NULL, 10);
        else if (found == 'n')
            settings->rounds = atoi(optarg);
        else if (found == 'o')
            settings->only = optarg;
        else if (found == 'l')
            settings->large = true;
        else
            die("bench-store [--dir D] [--rows N] [--rounds N] [--large]"
                " [--only '5 columns'|'5, ascending'|'20 columns'|'integer "
                "key'|cell|lock|slices]");
    }
    if (settings->rows < 2 || settings->rounds < 1)
        die("Rows and rounds are numbers above 0.");
}

int main(int argc, char **argv)
{
    static const struct targets narrow = {250000, 450000, 175},
                                wide = {170000, 300000, 310},
                                integer = {550000, 1500000, 85};
    struct settings settings = {
        .directory = BENCH_DIRECTORY, .rows = 200000, .rounds = 5};
    bool memory;

    take_options(argc, argv, &settings);
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0); /* as the command has it */
    locks_watch();
    directory_make(settings.directory);
    printf("store: SQLite %s, %s, %s; %u rows, CPU time, medians of %d\n\n",
           sqlite3_libversion(), file_system(settings.directory, &memory),
           build_kind(), settings.rows, settings.rounds);
    measure_shape(&settings, &contacts_narrow, &narrow);
    measure_shape(&settings, &contacts_ordered, &narrow);
    measure_shape(&settings, &contacts_wide, &wide);
    measure_shape(&settings, &contacts_integer, &integer);
    if (settings.only == NULL || strcmp(settings.only, "cell") == 0)
        measure_cells(settings.rows);
    if (settings.only == NULL || strcmp(settings.only, "lock") == 0)
        measure_locks(settings.rows);
    if (settings.only == NULL || strcmp(settings.only, "slices") == 0)
        measure_slices(settings.rows);
    if (settings.large)
        measure_growth();
    return 0;
}
