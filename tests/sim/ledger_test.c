/* The ledger against real stores driven by hand: what is right passes, and
 * each thing that may go wrong is named. */
#include "sim/ledger/ledger.h"
#include "sim/program/application.h"
#include "sim/program/tables.h"
#include "store/copies.h"

/* A machine as far as the ledger looks at it. */
struct machine {
    struct keeper keeper;
    size_t index;
    struct copy copy;
    sqlite3 *observer;
};

size_t machine_index(const struct machine *machine)
{
    return machine->index;
}

gv_time_ms machine_wall(const struct machine *machine)
{
    (void)machine;
    return copies_wall;
}

struct keeper *machine_keeper(struct machine *machine)
{
    return &machine->keeper;
}

sqlite3 *machine_observer(struct machine *machine)
{
    return machine->observer;
}

bool machine_alive(const struct machine *machine)
{
    return machine->copy.store != NULL;
}

static const struct vv *keeper_vv(const struct keeper *keeper)
{
    return store_vv(((const struct machine *)keeper)->copy.store);
}

static const struct site *keeper_site(const struct keeper *keeper)
{
    return store_site(((const struct machine *)keeper)->copy.store);
}

static const struct keeper_methods methods = {.vv = keeper_vv,
                                              .site = keeper_site};

/* Two machines and their ledger */

static struct world *world;
static struct ledger *ledger;
static struct machine machines[2], *both[2] = {&machines[0], &machines[1]};
static int64_t numbers;

static void track_tally(struct copy *copy)
{
    const struct store_kind list[] = {{"n", COLUMN_COUNTER},
                                      {"note", COLUMN_MV}};
    const struct store_kinds kinds = {list, 2};
    struct gv_error error = {0};
    struct buffer notes;

    buffer_init(&notes, SIZE_MAX);
    CHECK_INT(store_track_as(copy->store, "tally", &kinds, &notes, &error), ==,
              GV_OK);
    buffer_close(&notes);
}

static void machine_make(size_t index)
{
    struct machine *machine = &machines[index];
    char list[200], name[20], *rest = list;
    const char *table;

    snprintf(list, sizeof list, "t0 t1 t2 t4 log pair");
    snprintf(name, sizeof name, "m%zu-%lld", index, (long long)numbers);
    copy_make(&machine->copy, name, application_schema);
    while ((table = strsep(&rest, " ")) != NULL)
        track(&machine->copy, table);
    track_tally(&machine->copy);
    machine->index = index;
    machine->keeper.methods = &methods;
    CHECK_INT(sqlite3_open(machine->copy.path, &machine->observer), ==,
              SQLITE_OK);
    ledger_opened(ledger, machine);
}

static void begin(void)
{
    copies_wall = 1700000000000;
    numbers++;
    world = world_new(1);
    ledger = ledger_new(world, 2);
    machine_make(0);
    machine_make(1);
}

static void end(void)
{
    ledger_free(ledger);
    for (size_t i = 0; i < 2; i++) {
        sqlite3_close(machines[i].observer);
        copy_close(&machines[i].copy);
    }
    world_free(world);
}

/* A program's transaction. */
static int64_t act(struct machine *machine, const char *text)
{
    char mark[200];

    copies_wall += 5;
    numbers++;
    snprintf(mark, sizeof mark, "BEGIN; INSERT INTO written VALUES(%lld,%lld)",
             (long long)application_number(machine->index, 0),
             (long long)numbers);
    sql(&machine->copy, mark);
    if (application_logs(numbers)) {
        char id[APPLICATION_LOG_SIZE];

        application_log_id(application_number(machine->index, 0), numbers, id);
        snprintf(mark, sizeof mark, "INSERT INTO log(id) VALUES('%s')", id);
        sql(&machine->copy, mark);
    }
    sql(&machine->copy, text);
    sql(&machine->copy, "COMMIT");
    ledger_program_committed(ledger, machine->index, 0, numbers, false);
    return numbers;
}

/* A node's transaction, with what @other has. */
static void turn(struct machine *machine, struct machine *other)
{
    struct gv_error error = {0};
    struct store_sealed sealed = {0};

    copies_wall += 5;
    ledger_turning(ledger, machine);
    sealed = seal(&machine->copy);
    ledger_committed(ledger, machine, &sealed);
    if (other != NULL) {
        CHECK_INT(pull(&machine->copy, &other->copy, &error), ==, GV_OK);
        ledger_committed(ledger, machine, &(struct store_sealed){0});
    }
    ledger_compare(ledger, machine);
}

static void exchange(void)
{
    turn(&machines[0], NULL);
    turn(&machines[1], &machines[0]);
    turn(&machines[0], &machines[1]);
    ledger_told(ledger, &machines[0], store_vv(machines[0].copy.store));
    ledger_told(ledger, &machines[1], store_vv(machines[1].copy.store));
}

/* Change what a table shows, past the triggers. */
static void tamper(struct machine *machine, const char *text)
{
    sqlite3_db_config(machine->copy.app, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0,
                      NULL);
    sql(&machine->copy, text);
    sqlite3_db_config(machine->copy.app, SQLITE_DBCONFIG_ENABLE_TRIGGER, 1,
                      NULL);
}

static void check_broken(const char *invariant, const char *says)
{
    CHECK_TEXT(world_broken(world), invariant);
    if (strstr(world_failure(world), says) == NULL)
        CHECK_TEXT(world_failure(world), says);
}

static void check_whole(void)
{
    CHECK_TEXT(world_failure(world), "");
}

static void restart(struct machine *machine)
{
    ledger_died(ledger, machine);
    copy_reopen(&machine->copy, STORE_WRITE);
    ledger_opened(ledger, machine);
}

/* The file as it was: what a power cut leaves, or an old copy put back. */
struct kept {
    char path[300];
};

static struct kept keep(struct machine *machine)
{
    struct kept kept;

    snprintf(kept.path, sizeof kept.path, "%s.kept", machine->copy.path);
    shell("cp '%s' '%s'", machine->copy.path, kept.path);
    shell("cp '%s-wal' '%s-wal'", machine->copy.path, kept.path);
    shell("cp -r '%s-gv' '%s-gv'", machine->copy.path, kept.path);
    return kept;
}

/* Without a clean end: connections are closed on what is not the file any
 * more. */
static void put_back(struct machine *machine, const struct kept *kept)
{
    ledger_died(ledger, machine);
    sqlite3_close(machine->observer);
    store_close(machine->copy.store);
    machine->copy.store = NULL;
    sqlite3_close(machine->copy.app);
    shell("rm -f '%s-wal' '%s-shm'", machine->copy.path, machine->copy.path);
    shell("cat '%s' > '%s'", kept->path, machine->copy.path);
    shell("cat '%s-wal' > '%s-wal'", kept->path, machine->copy.path);
    shell("cat '%s-gv/state' > '%s-gv/state'", kept->path, machine->copy.path);
    CHECK_INT(sqlite3_open(machine->copy.path, &machine->copy.app), ==,
              SQLITE_OK);
    CHECK_INT(sqlite3_open(machine->copy.path, &machine->observer), ==,
              SQLITE_OK);
    copy_reopen(&machine->copy, STORE_WRITE);
    ledger_opened(ledger, machine);
}

/* What is right */

TEST(two_machines_that_exchange_agree_with_the_ledger)
{
    begin();
    act(&machines[0], "INSERT INTO t0(id,a) VALUES('k',1),('l',2);"
                      "INSERT INTO t2(y,x,b) VALUES(1,'z',-0.0)");
    act(&machines[1], "INSERT INTO t0(id,a,c) VALUES('k',3,'c');"
                      "INSERT INTO t4 VALUES(x'00',1.0)");
    exchange();
    act(&machines[0], "DELETE FROM t0 WHERE id = 'k'");
    act(&machines[1], "UPDATE t0 SET b = NULL");
    exchange();
    act(&machines[1], "INSERT INTO t0(id,b) VALUES('k',7)");
    copies_wall += 30000;
    act(&machines[1], "UPDATE t4 SET l = 2; INSERT INTO t1(id) VALUES(5)");
    exchange();
    ledger_account(ledger, both, 2);
    check_whole();
    CHECK_INT(ledger_publications(ledger), >=, 5);
    CHECK_INT(ledger_transactions(ledger), ==, 6);
    CHECK_INT(ledger_machine_transactions(ledger, 1), ==, 4);
    end();
}

TEST(concurrent_writes_of_one_cell_go_to_the_later)
{
    begin();
    act(&machines[0], "INSERT INTO t0(id,a) VALUES('k','first')");
    act(&machines[1], "INSERT INTO t0(id,a) VALUES('k','second')");
    exchange();
    check_whole();
    CHECK_TEXT(ask(&machines[0].copy, "SELECT a FROM t0"), "second");
    tamper(&machines[0], "UPDATE t0 SET a = 'first'");
    ledger_compare(ledger, &machines[0]);
    check_broken("I3", "column a of row tk of t0 is tfirst, not tsecond");
    end();
}

/* With a clock ahead of SQLite's the journal's own times count. */
TEST(a_pause_in_the_journal_parts_versions)
{
    begin();
    copies_wall = 4000000000000;
    act(&machines[0],
        "INSERT INTO t0(id,a) VALUES('k','early'),('l','early')");
    act(&machines[0],
        "UPDATE t0 SET a = 'late' WHERE id = 'l';"
        "UPDATE gv_journal SET day = day + 40 / 86400.0 WHERE id ="
        " (SELECT max(id) FROM gv_journal)");
    act(&machines[1], "INSERT INTO t0(id,a) VALUES('k','between'),"
                      "('l','between');"
                      "UPDATE gv_journal SET day = day + 20 / 86400.0");
    exchange();
    ledger_account(ledger, both, 2);
    check_whole();
    CHECK_TEXT(ask(&machines[1].copy,
                   "SELECT group_concat(a) FROM (SELECT a FROM t0"
                   " ORDER BY id)"),
               "between,late");
    end();
}

TEST(what_a_program_undoes_before_the_look_is_no_change)
{
    begin();
    act(&machines[0], "INSERT INTO t0(id) VALUES('k')");
    turn(&machines[0], NULL);
    act(&machines[0], "DELETE FROM t0; INSERT INTO t0(id) VALUES('k');"
                      "UPDATE t1 SET a = 1");
    numbers += application_logs(numbers + 1); /* without a row in log */
    turn(&machines[0], NULL);
    check_whole();
    end();
}

/* What is wrong in a table */

static void with_rows(void)
{
    begin();
    act(&machines[0], "INSERT INTO t0(id,a) VALUES('k',1),('gone',1);"
                      "INSERT INTO pair VALUES(1,5,5);"
                      "INSERT INTO log(id) VALUES('mine')");
    exchange();
    act(&machines[0], "DELETE FROM t0 WHERE id = 'gone'");
    exchange();
    check_whole();
}

static void check_tampering(const char *text, const char *invariant,
                            const char *says)
{
    with_rows();
    tamper(&machines[1], text);
    ledger_compare(ledger, &machines[1]);
    check_broken(invariant, says);
    end();
}

TEST(a_wrong_cell_is_found)
{
    check_tampering("UPDATE t0 SET a = 2", "I3",
                    "n1: column a of row tk of t0 is i2, not i1");
}

TEST(a_cell_that_nobody_wrote_shows_its_default)
{
    check_tampering("UPDATE t0 SET b = 8", "I11", "is i8, not i7");
}

TEST(a_lost_row_is_found)
{
    check_tampering("DELETE FROM t0", "I3", "row tk of t0 is alive, and is");
}

TEST(a_lost_row_of_the_log_is_found)
{
    check_tampering("DELETE FROM log WHERE id = 'mine'", "I4b", "row tmine");
}

TEST(a_resurrected_row_is_found)
{
    check_tampering("INSERT INTO t0(id) VALUES('gone')", "I10",
                    "row tgone of t0 was deleted");
}

TEST(a_row_from_nowhere_is_found)
{
    check_tampering("INSERT INTO t0(id) VALUES('new')", "I5",
                    "row tnew of t0 was published by nobody");
}

TEST(a_torn_pair_is_found)
{
    check_tampering("UPDATE pair SET y = 6", "I12", "is i6, not i5");
}

TEST(a_value_that_was_only_passing_is_found)
{
    check_tampering("UPDATE t0 SET a = 'passing'", "I5", "overwritten");
}

TEST(a_row_that_was_rolled_back_is_found)
{
    check_tampering("INSERT INTO log(id) VALUES('neverp0-1')", "I5",
                    "rolled back");
}

TEST(values_are_compared_bit_by_bit)
{
    check_tampering("UPDATE t0 SET a = 1.0", "I3", "is r0x1p+0, not i1");
}

/* What is wrong in a seal or a vector */

TEST(a_write_that_the_journal_missed_is_found)
{
    with_rows();
    tamper(&machines[0], "UPDATE t0 SET a = 9");
    act(&machines[0], "INSERT INTO t1(id) VALUES(1)");
    ledger_turning(ledger, &machines[0]);
    check_broken("I20", "row tk of t0 was changed");
    end();
}

TEST(a_change_that_is_not_sealed_is_found)
{
    with_rows();
    act(&machines[0], "UPDATE t0 SET a = 9");
    ledger_turning(ledger, &machines[0]);
    ledger_committed(ledger, &machines[0], &(struct store_sealed){0});
    check_broken("I20", "sealed nothing though row tk of t0");
    end();
}

static struct store_sealed look_and_seal(struct machine *machine)
{
    ledger_turning(ledger, machine);
    return seal(&machine->copy);
}

TEST(a_publication_of_nothing_is_found)
{
    struct store_sealed sealed;

    with_rows();
    turn(&machines[0], NULL);
    act(&machines[0], "UPDATE t0 SET a = 9");
    sealed = look_and_seal(&machines[0]);
    ledger_committed(ledger, &machines[0], &sealed);
    check_whole();
    ledger_committed(ledger, &machines[0], &sealed);
    check_broken("I5", "though nothing had changed");
    end();
}

TEST(a_version_that_does_not_follow_from_the_times_is_found)
{
    struct store_sealed sealed;

    with_rows();
    act(&machines[0], "UPDATE t0 SET a = 9");
    sealed = look_and_seal(&machines[0]);
    sealed.interval.to--;
    ledger_committed(ledger, &machines[0], &sealed);
    check_broken("I14", "by its journal's times");
    end();
}

TEST(an_interval_that_hides_what_came_before_is_found)
{
    struct store_sealed sealed;

    with_rows();
    act(&machines[0], "UPDATE t0 SET a = 9");
    sealed = look_and_seal(&machines[0]);
    sealed.interval.from--;
    ledger_committed(ledger, &machines[0], &sealed);
    check_broken("I14", "where its own last was");
    end();
}

TEST(a_claim_of_what_nobody_published_is_found)
{
    char text[200];

    with_rows();
    snprintf(text, sizeof text,
             "UPDATE gv_site SET version = version + 1 WHERE num ="
             " (SELECT site FROM gv_meta)");
    sql(&machines[0].copy, text);
    restart(&machines[0]);
    check_broken("I5", "where nothing ends that was published");
    end();
}

TEST(a_claim_without_what_it_depends_on_is_found)
{
    with_rows();
    act(&machines[1], "UPDATE t0 SET a = 2");
    exchange();
    check_whole();
    /* n1 forgets what it held of n0 before it wrote. */
    sql(&machines[1].copy, "UPDATE gv_site SET version = 0 WHERE num <>"
                           " (SELECT site FROM gv_meta)");
    restart(&machines[1]);
    check_broken("I13", "but not what was there before it");
    end();
}

TEST(a_vector_in_the_file_unlike_the_nodes_is_found)
{
    with_rows();
    sql(&machines[1].copy, "UPDATE gv_site SET version = version - 1 WHERE"
                           " version > 0");
    ledger_compare(ledger, &machines[1]);
    check_broken("I7", "its file has");
    end();
}

/* Crashes */

TEST(a_seal_that_no_commit_reported_counts_when_the_file_has_it)
{
    with_rows();
    act(&machines[0], "UPDATE t0 SET a = 9");
    look_and_seal(&machines[0]); /* and dies before it can say so */
    restart(&machines[0]);
    exchange();
    ledger_account(ledger, both, 2);
    check_whole();
    CHECK_TEXT(ask(&machines[1].copy, "SELECT a FROM t0"), "9");
    end();
}

TEST(a_seal_that_the_file_does_not_have_is_forgotten)
{
    struct kept kept;

    with_rows();
    act(&machines[0], "UPDATE t0 SET a = 9");
    kept = keep(&machines[0]);
    look_and_seal(&machines[0]);
    put_back(&machines[0], &kept); /* the power was cut before the sync */
    copies_wall += 1000;
    act(&machines[0], "UPDATE t0 SET c = 'later'");
    exchange();
    ledger_account(ledger, both, 2);
    check_whole();
    CHECK_TEXT(ask(&machines[1].copy, "SELECT a || c FROM t0"), "9later");
    end();
}

TEST(a_transaction_that_was_not_durable_may_vanish)
{
    struct kept kept;

    with_rows();
    kept = keep(&machines[0]);
    act(&machines[0], "UPDATE t0 SET a = 9");
    put_back(&machines[0], &kept);
    exchange();
    ledger_account(ledger, both, 2);
    check_whole();
    end();
}

TEST(a_durable_transaction_that_vanished_is_found)
{
    struct kept kept;

    with_rows();
    kept = keep(&machines[0]);
    act(&machines[0], "UPDATE t0 SET a = 9");
    ledger_program_committed(ledger, 0, 0, ++numbers, true);
    put_back(&machines[0], &kept);
    check_broken("I4", "which was durable");
    end();
}

TEST(a_sealed_transaction_that_vanished_is_found)
{
    struct kept kept;

    with_rows();
    kept = keep(&machines[0]);
    act(&machines[0], "UPDATE t0 SET a = 9");
    turn(&machines[0], NULL);
    check_whole();
    put_back(&machines[0], &kept);
    check_broken("I4", "which was durable");
    end();
}

TEST(what_was_told_and_is_lost_is_found)
{
    struct kept kept;

    with_rows();
    kept = keep(&machines[0]);
    act(&machines[0], "UPDATE t0 SET a = 9");
    exchange();
    check_whole();
    put_back(&machines[0], &kept);
    check_broken("I7", "n0 told others of its");
    end();
}

TEST(a_file_put_back_on_purpose_is_excused)
{
    struct kept kept;

    with_rows();
    kept = keep(&machines[0]);
    act(&machines[0], "UPDATE t0 SET a = 9");
    exchange();
    act(&machines[0], "UPDATE t0 SET a = 10");
    turn(&machines[0], NULL);
    ledger_rewound(ledger, &machines[0]);
    /* The state file stays ahead: the machine takes a new id. */
    shell("cp '%s-gv/state' '%s-gv/state'", machines[0].copy.path, kept.path);
    put_back(&machines[0], &kept);
    exchange();
    exchange();
    ledger_account(ledger, both, 2);
    check_whole();
    CHECK_TEXT(ask(&machines[0].copy, "SELECT a FROM t0"), "9");
    end();
}

TEST(a_transaction_that_was_never_sealed_is_found_at_the_end)
{
    with_rows();
    act(&machines[0], "UPDATE t0 SET a = 9");
    ledger_account(ledger, both, 2);
    check_broken("I4", "was never sealed");
    end();
}

TEST(a_transaction_that_one_machine_lacks_is_found_at_the_end)
{
    with_rows();
    act(&machines[0], "UPDATE t0 SET a = 9");
    turn(&machines[0], NULL);
    ledger_account(ledger, both, 2);
    check_broken("I4", "is not held by all");
    end();
}

static void with_tally(void)
{
    begin();
    act(&machines[0], "INSERT INTO tally VALUES(1,10,'first')");
    exchange();
    act(&machines[0], "UPDATE tally SET n=n+5, note='a'");
    act(&machines[1], "UPDATE tally SET n=n-3, note='b'");
    exchange();
    exchange();
    check_whole();
}

TEST(a_counter_shows_the_sum_and_a_note_its_siblings)
{
    with_tally();
    for (size_t i = 0; i < 2; i++)
        CHECK_TEXT(ask(&machines[i].copy, "SELECT n FROM tally"), "12");
    ledger_account(ledger, both, 2);
    check_whole();
    end();
}

TEST(a_sum_that_counts_twice_is_found)
{
    with_tally();
    tamper(&machines[0], "UPDATE tally SET n=17");
    ledger_compare(ledger, &machines[0]);
    check_broken("I3", "column n of row i1 of tally is i17, not i12");
    end();
}

TEST(a_sibling_that_is_gone_is_found)
{
    with_tally();
    tamper(&machines[0], "DELETE FROM gv_cell WHERE value='a'");
    ledger_account(ledger, both, 2);
    check_broken("I31", "lacks a sibling");
    end();
}

TEST(a_sibling_that_was_replaced_is_found)
{
    with_tally();
    act(&machines[0], "UPDATE tally SET note='both'");
    exchange();
    exchange();
    ledger_account(ledger, both, 2);
    check_whole();
    tamper(&machines[1], "INSERT INTO gv_cell SELECT tbl,rid,bit,3-site,"
                         "version-9,'a',NULL FROM gv_cell WHERE value='both'");
    ledger_account(ledger, both, 2);
    check_broken("I31", "has a sibling");
    end();
}

TEST(the_dump_has_what_the_oracle_needs)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    with_rows();
    CHECK_INT(ledger_dump(ledger, both, 2, out), ==, GV_OK);
    fclose(out);
    CHECK(strstr(text, "{\"kind\":\"table\",\"name\":\"t1\",\"defaults\":"
                       "{\"a\":\"tx\",\"b\":\"null\",\"c\":\"i5\"},"
                       "\"sums\":[]}\n") != NULL);
    CHECK(strstr(text, "\"sums\":[\"n\"]}\n") != NULL);
    CHECK(strstr(text, "{\"table\":\"t0\",\"key\":\"tk\",\"version\":\"") !=
          NULL);
    CHECK(strstr(text, "\"length\":2,\"cells\":{}") != NULL);
    CHECK(strstr(text, "\"pair\":{\"i1\":{\"x\":\"i5\",\"y\":\"i5\"}}") !=
          NULL);
    CHECK(strstr(text, "{\"kind\":\"transaction\",\"machine\":0,") != NULL);
    free(text);
    end();
}

int main(int argc, char **argv)
{
    return check_main(argc, argv);
}
