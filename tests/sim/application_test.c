/* Programs on a simulated disk: what they leave in a file, and what can be
 * read of it afterwards. */
#include "check.h"
#include "sim/machine/machine.h"
#include "sim/program/application.h"
#include "sim/program/tables.h"

#define ACTS 300

static gv_time_ms wall(void *context)
{
    (void)context;
    return MACHINE_WALL;
}

/* A file with the tables, programs' reports, and an observer. */
struct place {
    struct world *world;
    struct disk *disk;
    struct process *observing;
    sqlite3 *observer;
    size_t committed, refused, logged;
    int64_t last;
    bool durable;
};

static void heard(void *context, size_t machine, size_t program,
                  int64_t number, bool durable)
{
    struct place *place = context;

    CHECK_INT(machine, ==, 3);
    CHECK_INT(program, <, 2);
    place->committed++;
    place->logged += application_logs(number);
    place->last = number;
    place->durable = durable;
}

static void refused(void *context, size_t machine, size_t program, int code,
                    const char *statement)
{
    struct place *place = context;

    (void)machine;
    (void)program;
    fprintf(stderr, "refused (%d): %s\n", code, statement);
    place->refused++;
}

static void place_open(struct place *place)
{
    static const struct disk_options options = {
        .seed = 7, .sector = 512, .wall = wall};
    /* What is not captured is not written. */
    char schema[4096];

    snprintf(schema, sizeof schema,
             "%s%sCREATE TRIGGER shared AFTER INSERT ON skew BEGIN SELECT 1;"
             " END; CREATE TABLE gv_table(wire, away);",
             application_schema, application_skew(SKEW_WHOLE));
    memset(place, 0, sizeof *place);
    place->world = world_new(1);
    disk_seed_sqlite(1);
    place->disk = disk_new(&options);
    place->observing = process_new(place->disk, "observer", true);
    CHECK_INT(sqlite3_open_v2(MACHINE_PATH, &place->observer,
                              SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE,
                              process_vfs(place->observing)),
              ==, SQLITE_OK);
    CHECK_INT(sqlite3_exec(place->observer, "PRAGMA journal_mode=WAL", NULL,
                           NULL, NULL),
              ==, SQLITE_OK);
    CHECK_INT(sqlite3_exec(place->observer, schema, NULL, NULL, NULL), ==,
              SQLITE_OK);
}

static void place_close(struct place *place)
{
    sqlite3_close(place->observer);
    process_free(place->observing);
    disk_free(place->disk);
    world_free(place->world);
}

static struct application *program_new(struct place *place, size_t program,
                                       const struct application_habits *habits)
{
    struct application_listener listener = {place, heard, refused};

    return application_new(place->world, place->disk, 3, program, habits,
                           &listener);
}

static int64_t ask(struct place *place, const char *text)
{
    sqlite3_stmt *statement;
    int64_t answer;

    CHECK_INT(sqlite3_prepare_v2(place->observer, text, -1, &statement, NULL),
              ==, SQLITE_OK);
    CHECK_INT(sqlite3_step(statement), ==, SQLITE_ROW);
    answer = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return answer;
}

static const struct application_habits wild = {.deletes = 200000,
                                               .hot = 300000,
                                               .odd_text = true,
                                               .odd_numbers = true,
                                               .misbehave = true,
                                               .huge = true,
                                               .kinds = true,
                                               .skew = true,
                                               .full_sync = true};

/* What the ledger relies on. */
static void check_promises(struct place *place)
{
    CHECK_INT(ask(place, "SELECT count(*) FROM pair WHERE x IS NOT y"), ==, 0);
    CHECK_INT(ask(place, "SELECT count(*) FROM log WHERE id GLOB 'never*'"),
              ==, 0);
    CHECK_INT(ask(place, "SELECT (SELECT count(*) FROM t0 WHERE 'passing' IN"
                         " (a,b,c)) + (SELECT count(*) FROM t7 WHERE"
                         " 'passing' IN (a,b))"),
              ==, 0);
    CHECK_INT(ask(place, "SELECT count(*) FROM log"), ==, place->logged);
    CHECK_INT(ask(place, "SELECT count(*) FROM (SELECT number FROM written"
                         " UNION SELECT CAST(substr(id,"
                         " instr(id,'-') + 1) AS INTEGER) FROM log)"),
              ==, place->committed);
}

TEST(a_program_writes_all_tables_and_keeps_its_promises)
{
    struct place place;
    struct application *program;

    place_open(&place);
    program = program_new(&place, 0, &wild);
    for (uint64_t seed = 0; seed < ACTS; seed++)
        application_act(program, seed);
    CHECK_INT(place.committed, >, ACTS / 3);
    CHECK_INT(place.refused, ==, 0);
    CHECK(place.durable);
    check_promises(&place);
    for (size_t i = 0; i < TABLES; i++) {
        char text[64];

        snprintf(text, sizeof text, "SELECT count(*) FROM %s", tables[i].name);
        if (ask(&place, text) == 0)
            CHECK_TEXT(tables[i].name, "a table with rows");
    }
    application_free(program);
    place_close(&place);
}

static uint64_t hash_of_run(uint64_t first)
{
    struct place place;
    struct application *program;
    uint64_t hash;

    place_open(&place);
    program = program_new(&place, 0, &wild);
    for (uint64_t seed = first; seed < first + 100; seed++)
        application_act(program, seed);
    hash = world_hash(place.world) ^ disk_hash(place.disk);
    application_free(program);
    place_close(&place);
    return hash;
}

TEST(one_seed_is_one_transaction)
{
    uint64_t hash = hash_of_run(5);

    CHECK(hash_of_run(5) == hash);
    CHECK(hash_of_run(6) != hash);
}

TEST(the_schemas_defaults_are_those_of_the_tables_known)
{
    struct place place;
    sqlite3_stmt *statement;

    place_open(&place);
    for (size_t i = 0; i < TABLES; i++)
        for (size_t j = 0; j < tables[i].column_count; j++) {
            const struct datum *initial = &tables[i].columns[j].initial;
            char text[200];

            snprintf(text, sizeof text,
                     "INSERT INTO %s(%s%s%s) VALUES(x'aa'%s) RETURNING %s IS ?"
                     " AND typeof(%s) = typeof(?1)",
                     tables[i].name, tables[i].keys[0].name,
                     tables[i].key_count > 1 ? "," : "",
                     tables[i].key_count > 1 ? tables[i].keys[1].name : "",
                     tables[i].key_count > 1 ? ",1" : "",
                     tables[i].columns[j].name, tables[i].columns[j].name);
            if (tables[i].keys[0].kind == KEY_INTEGER ||
                strcmp(tables[i].name, "t5") == 0)
                memcpy(strstr(text, "x'aa'"), "'111'", 5);
            sqlite3_exec(place.observer, "BEGIN", NULL, NULL, NULL);
            CHECK_INT(
                sqlite3_prepare_v2(place.observer, text, -1, &statement, NULL),
                ==, SQLITE_OK);
            datum_bind(statement, 1, initial);
            CHECK_INT(sqlite3_step(statement), ==, SQLITE_ROW);
            CHECK_INT(sqlite3_column_int(statement, 0), ==, 1);
            sqlite3_finalize(statement);
            sqlite3_exec(place.observer, "ROLLBACK", NULL, NULL, NULL);
        }
    place_close(&place);
}

TEST(a_killed_program_leaves_whole_transactions_and_starts_again)
{
    struct place place;
    struct application *program;

    place_open(&place);
    program = program_new(&place, 1, &wild);
    for (uint64_t seed = 0; seed < ACTS; seed++) {
        if (seed % 3 == 0)
            application_kill_at(program, 1 + seed % 11);
        application_act(program, seed);
        if (seed % 50 == 0)
            application_kill(program);
        CHECK_INT(ask(&place, "SELECT count(*) FROM pair WHERE x IS NOT y"),
                  ==, 0);
    }
    CHECK_INT(place.committed, >, ACTS / 8);
    CHECK_INT(ask(&place, "SELECT count(*) FROM log"), >=, place.logged);
    CHECK_INT(ask(&place, "SELECT count(*) FROM log WHERE id GLOB 'never*'"),
              ==, 0);
    application_free(program);
    place_close(&place);
}

TEST(a_held_transaction_keeps_others_out_until_it_is_released)
{
    struct place place;
    struct application *one, *other;

    place_open(&place);
    one = program_new(&place, 0, &wild);
    other = program_new(&place, 1, &wild);
    for (uint64_t seed = 0; !application_holding(one); seed++)
        application_hold(one, seed);
    place.committed = 0;
    for (uint64_t seed = 0; seed < 40; seed++)
        application_act(other, seed);
    CHECK_INT(place.committed, ==, 0);
    CHECK_INT(place.refused, ==, 0); /* it is no fault of the node's */
    CHECK(application_release(one));
    CHECK(!application_holding(one));
    CHECK_INT(place.committed, ==, 1);
    for (uint64_t seed = 0; seed < 40; seed++)
        application_act(other, seed);
    CHECK_INT(place.committed, >, 10);
    application_free(one);
    application_free(other);
    place_close(&place);
}

TEST(a_lock_that_no_program_holds_is_reported)
{
    struct place place;
    struct application *program;

    place_open(&place);
    program = program_new(&place, 0, &wild);
    CHECK_INT(
        sqlite3_exec(place.observer, "BEGIN IMMEDIATE", NULL, NULL, NULL), ==,
        SQLITE_OK);
    for (uint64_t seed = 0; seed < 10; seed++)
        application_act(program, seed);
    CHECK_INT(place.committed, ==, 0);
    CHECK_INT(place.refused, >, 0);
    application_free(program);
    place_close(&place);
}

int main(int argc, char **argv)
{
    return check_main(argc, argv);
}
