#include "census.h"

#include "base/assert.h"
#include "base/hash.h"
#include "sim/program/application.h"
#include "sim/program/tables.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

struct entry {
    int64_t program, number;
    bool durable, gone;
};

struct file {
    struct entry *entries;
    size_t count, capacity;
    size_t looked; /* entries at the last look before a transaction */
    bool rewound;
    struct site site; /* of the file when it was opened last */
    bool opened, renewed;
};

struct census {
    struct world *world;
    struct file *files;
    size_t count;
    bool restored; /* of some file: additions may count twice */
    uint64_t transactions;
};

struct census *census_new(struct world *world, size_t machine_count)
{
    struct census *census = calloc(1, sizeof *census);

    GV_ASSERT(census != NULL);
    census->world = world;
    census->count = machine_count;
    census->files = calloc(machine_count, sizeof *census->files);
    GV_ASSERT(census->files != NULL);
    return census;
}

void census_free(struct census *census)
{
    if (census == NULL)
        return;
    for (size_t i = 0; i < census->count; i++)
        free(census->files[i].entries);
    free(census->files);
    free(census);
}

static struct file *file_of(struct census *census, struct machine *machine)
{
    return &census->files[machine_index(machine)];
}

uint64_t census_transactions(const struct census *census)
{
    return census->transactions;
}

uint64_t census_machine_transactions(const struct census *census,
                                     size_t machine)
{
    return census->files[machine].count;
}

/* As it happens */

void census_program_committed(struct census *census, size_t machine,
                              size_t program, int64_t number, bool durable)
{
    struct file *file = &census->files[machine];

    if (file->count == file->capacity) {
        file->capacity = file->capacity * 2 + 64;
        file->entries =
            reallocarray(file->entries, file->capacity, sizeof *file->entries);
        GV_ASSERT(file->entries != NULL);
    }
    file->entries[file->count++] =
        (struct entry){.program = application_number(machine, program),
                       .number = number,
                       .durable = durable};
    census->transactions++;
}

/* A number that SQL gives; -1: none.  The parameters are the program, the
 * transaction's number and its row in log. */
static int64_t ask(struct census *census, struct machine *machine,
                   const char *sql, const struct entry *entry)
{
    char id[APPLICATION_LOG_SIZE];
    sqlite3_stmt *statement;
    int64_t number = -1;

    if (sqlite3_prepare_v2(machine_observer(machine), sql, -1, &statement,
                           NULL) != SQLITE_OK) {
        world_fail(census->world, "I19", "n%zu: its tables cannot be read: %s",
                   machine_index(machine),
                   sqlite3_errmsg(machine_observer(machine)));
        return -1;
    }
    if (entry != NULL) {
        application_log_id(entry->program, entry->number, id);
        sqlite3_bind_int64(statement, 1, entry->program);
        sqlite3_bind_int64(statement, 2, entry->number);
        sqlite3_bind_text(statement, 3, id, -1, SQLITE_STATIC);
    }
    if (sqlite3_step(statement) == SQLITE_ROW)
        number = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return number;
}

static void fail_entry(struct census *census, struct machine *machine,
                       const struct entry *entry, const char *invariant,
                       const char *what)
{
    world_fail(census->world, invariant,
               "n%zu: transaction #%lld of program %lld%s %s",
               machine_index(machine), (long long)entry->number,
               (long long)entry->program, entry->durable ? ", durable," : "",
               what);
}

void census_opened(struct census *census, struct machine *machine)
{
    struct file *file = file_of(census, machine);
    struct keeper *keeper = machine_keeper(machine);
    const struct site *site = keeper->methods->site(keeper);

    file->renewed |= file->opened && !site_equal(site, &file->site);
    file->opened = true;
    file->site = *site;
    for (size_t i = 0; i < file->count; i++) {
        struct entry *entry = &file->entries[i];

        if (entry->gone ||
            ask(census, machine,
                "SELECT EXISTS(SELECT 1 FROM written WHERE program=?1 AND"
                " number=?2) OR EXISTS(SELECT 1 FROM log WHERE id=?3)",
                entry) != 0)
            continue;
        entry->gone = true;
        if (entry->durable)
            fail_entry(census, machine, entry, "I4", "was lost in a crash");
    }
}

void census_turning(struct census *census, struct machine *machine)
{
    struct file *file = file_of(census, machine);

    file->looked = file->count;
}

/* What was taken back, or overwritten in the transaction that wrote it. */
static void check_forbidden(struct census *census, struct machine *machine)
{
    char sql[2000] = "SELECT EXISTS(SELECT 1 FROM log WHERE id LIKE"
                     " '" TABLES_NEVER "%')";
    size_t used = strlen(sql);

    for (size_t i = 0; i < TABLES_FREE; i++)
        for (size_t j = 0; j < tables[i].column_count; j++)
            used += (size_t)snprintf(
                sql + used, sizeof sql - used,
                " OR EXISTS(SELECT 1 FROM %s WHERE %s='" TABLES_PASSING "')",
                tables[i].name, tables[i].columns[j].name);
    GV_ASSERT(used < sizeof sql);
    if (ask(census, machine, sql, NULL) > 0)
        world_fail(census->world, "I5",
                   "n%zu: shows what no program committed",
                   machine_index(machine));
}

void census_committed(struct census *census, struct machine *machine,
                      bool sealed)
{
    struct file *file = file_of(census, machine);

    check_forbidden(census, machine);
    /* Between slices a transaction of a peer may be there in part. */
    if (!machine_busy(machine) &&
        ask(census, machine, "SELECT count(*) FROM pair WHERE x IS NOT y",
            NULL) > 0)
        world_fail(census->world, "I12",
                   "n%zu: the two values of a pair are not one",
                   machine_index(machine));
    /* The log was synced, with all that came before. */
    for (size_t i = 0; sealed && i < file->looked; i++)
        file->entries[i].durable = true;
}

void census_rewound(struct census *census, struct machine *machine,
                    bool restored)
{
    struct file *file = file_of(census, machine);

    for (size_t i = 0; i < file->count; i++)
        file->entries[i].gone = true;
    file->rewound = true;
    file->looked = 0;
    census->restored |= restored;
}

/* At the end */

/* 1 and 1.0 are one key, and each file shows the one that came first. */
static bool is_whole(double real)
{
    return real >= -9e18 && real <= 9e18 &&
           (double)(sqlite3_int64)real >= real &&
           (double)(sqlite3_int64)real <= real;
}

static uint64_t hash_number(uint64_t hash, int type, sqlite3_int64 integer)
{
    return (hash * 31 + (uint64_t)type) * 31 +
           hash64(&integer, sizeof integer);
}

static uint64_t hash_value(uint64_t hash, sqlite3_stmt *row, int column,
                           bool key)
{
    int type = sqlite3_column_type(row, column);
    const void *bytes;
    size_t size;
    double real;

    if (type == SQLITE_NULL)
        return hash * 31;
    if (type == SQLITE_INTEGER)
        return hash_number(hash, type, sqlite3_column_int64(row, column));
    if (type == SQLITE_FLOAT) {
        real = sqlite3_column_double(row, column);
        if (key && is_whole(real))
            return hash_number(hash, SQLITE_INTEGER, (sqlite3_int64)real);
        return hash * 31 + hash64(&real, sizeof real);
    }
    bytes = sqlite3_column_blob(row, column);
    size = (size_t)sqlite3_column_bytes(row, column);
    return (hash * 31 + (uint64_t)type) * 31 +
           hash64(size == 0 ? "" : bytes, size);
}

/* The keys, then the columns.  A row with a NULL in its key stays in its
 * file. */
static void put_select(const struct table *table, char *sql, size_t size)
{
    const char *key = table->keys[0].name, *second = key;
    size_t used;

    if (table->key_count > 1)
        second = table->keys[1].name;
    used = (size_t)snprintf(sql, size, "SELECT %s,%s", key, second);
    for (size_t i = 0; i < table->column_count; i++)
        used += (size_t)snprintf(sql + used, size - used, ",%s",
                                 table->columns[i].name);
    used += (size_t)snprintf(sql + used, size - used,
                             " FROM %s WHERE %s NOT NULL AND %s NOT NULL"
                             " ORDER BY 1,2",
                             table->name, key, second);
    GV_ASSERT(used < size);
}

/* 0 if it cannot be read. */
static uint64_t hash_table(struct machine *machine, size_t table)
{
    sqlite3_stmt *rows;
    uint64_t hash = 1;
    char sql[300];

    put_select(&tables[table], sql, sizeof sql);
    if (sqlite3_prepare_v2(machine_observer(machine), sql, -1, &rows, NULL) !=
        SQLITE_OK)
        return 0;
    while (sqlite3_step(rows) == SQLITE_ROW)
        for (int i = 0; i < sqlite3_column_count(rows); i++)
            hash = hash_value(hash, rows, i, i < 2);
    sqlite3_finalize(rows);
    return hash;
}

static void compare_tables(struct census *census, struct machine *a,
                           struct machine *b)
{
    for (size_t i = 0; i < TABLE_SKEW; i++)
        if (hash_table(a, i) != hash_table(b, i))
            world_fail(census->world, "I1",
                       "n%zu and n%zu have equal vectors and show another %s",
                       machine_index(a), machine_index(b), tables[i].name);
}

static void account_for(struct census *census, struct machine *const *machines,
                        size_t count, const struct entry *entry)
{
    if (entry->gone || !application_logs(entry->number))
        return;
    for (size_t i = 0; i < count; i++)
        if (ask(census, machines[i],
                "SELECT ?1,?2 WHERE EXISTS(SELECT 1 FROM log WHERE id=?3)",
                entry) < 0)
            fail_entry(census, machines[i], entry, "I4b",
                       "has no row in log at the end");
}

/* I26: written, which never leaves its file, says how many there were.  What
 * was added under an id that was given up, and nobody had yet, is lost
 * (src/store/moving.c). */
static void check_score(struct census *census, struct machine *home,
                        struct machine *machine, size_t program)
{
    bool renewed = file_of(census, home)->renewed;
    struct entry entry = {
        .program = application_number(machine_index(home), program)};
    int64_t made = ask(census, home,
                       "SELECT count(*) FROM written WHERE program=?1 AND"
                       " ?2=0 AND ?3 NOT NULL",
                       &entry);
    int64_t shown = ask(census, machine,
                        "SELECT coalesce(max(n),0) FROM score WHERE"
                        " program=?1 AND ?2=0 AND ?3 NOT NULL",
                        &entry);

    if ((shown < made && !renewed) || (shown > made && !census->restored))
        world_fail(census->world, "I26",
                   "n%zu: its counter of program %lld shows %lld, and there"
                   " were %lld",
                   machine_index(machine), (long long)entry.program,
                   (long long)shown, (long long)made);
}

void census_account(struct census *census, struct machine *const *machines,
                    size_t count, size_t programs)
{
    for (size_t i = 0; i < count; i++) {
        struct file *file = file_of(census, machines[i]);

        compare_tables(census, machines[0], machines[i]);
        for (size_t j = 0; j < file->count; j++)
            account_for(census, machines, count, &file->entries[j]);
        /* What a file held that is gone may be counted or not. */
        for (size_t j = 0; j < count && !file->rewound; j++)
            for (size_t p = 0; p < programs; p++)
                check_score(census, machines[i], machines[j], p);
    }
}
