/* Faults in what files live through: schemas that differ, columns and tables
 * that come and go, counters, conflicts, the audit, a store on an
 * application's connection.  As in fault_test.c: whatever fails, nothing is
 * there by half, and the next try succeeds. */
#include "faults.h"
#include "store/bundle.h"
#include "store/changes.h"

static struct copy from, to;
static int round_number;

struct deed {
    const char *name;
    const char *from_schema, *to_schema;
    void (*share)(void);   /* or NULL: t of both is tracked */
    void (*prepare)(void); /* without a fault */
    int (*perform)(void);
    void (*finish)(void); /* after it succeeded, or NULL */
    bool unclean; /* verify may find what the deed has not dealt with yet */
};

/* With the number of the round for each %d. */
static void write_round(struct copy *copy, const char *format)
{
    char text[2000], *out = text;

    for (const char *at = format; *at != '\0'; at++) {
        CHECK(out < text + sizeof text - 16);
        if (at[0] == '%' && at[1] == 'd') {
            out += sprintf(out, "%d", round_number);
            at++;
        } else {
            *out++ = *at;
        }
    }
    *out = '\0';
    sql(copy, text);
}

/* The same deed again and again, with another call failing each time. */

static bool covered(void)
{
    return vv_covers(store_vv(to.store), store_vv(from.store));
}

static void judge(const struct deed *deed, int rc, bool reached,
                  const char *where)
{
    if (may_fail(rc) && (rc == GV_OK || reached))
        return;
    fprintf(stderr, "%s, %s%s: %d, %s\n", deed->name, where,
            reached ? "" : ", again", rc, gv_strerror(rc));
    exit(1);
}

static void try_again(const struct deed *deed, const char *where)
{
    if (to.store == NULL)
        copy_reopen(&to, STORE_WRITE);
    judge(deed, deed->perform(), false, where);
}

static void fail_at(const struct deed *deed, enum fault fault, int call,
                    bool again, bool *reached)
{
    struct hash128 before;
    char where[100];
    int rc;

    snprintf(where, sizeof where, "%s, call %d%s", fault_names[fault], call,
             again ? " and on" : "");
    round_number++;
    deed->prepare();
    before = store_fingerprint(to.store);
    arm(fault, call, again);
    rc = deed->perform();
    *reached = disarm();
    if (!sqlite3_get_autocommit(to.app)) /* memory for it failed too */
        sql(&to, "ROLLBACK");
    judge(deed, rc, *reached, where);
    if (rc == GV_EIO || to.store == NULL) {
        copy_reopen(&to, STORE_WRITE);
        copy_reopen(&from, STORE_WRITE);
    }
    if (!covered() && !deed->unclean)
        CHECK(hash128_equal(store_fingerprint(to.store), before));
    if (rc != GV_OK) {
        seal(&to); /* what comes next reads again what could not be read */
        if (!deed->unclean)
            check_store(&to);
        try_again(deed, where);
        if (to.store == NULL)
            copy_reopen(&to, STORE_WRITE);
    }
    if (deed->finish != NULL)
        deed->finish();
    check_store(&to);
}

/* Each deed is done some hundred times: more of them with FAULT_STRIDE.  Our
 * own allocations are few, and nobody else looks after them. */
static void fail_everywhere(const struct deed *deed)
{
    const char *text = getenv("FAULT_STRIDE");

    for (int fault = 0; fault < FAULT_COUNT; fault++)
        for (int again = 0; again < 2; again++) {
            bool reached = true;
            int stride = text != NULL            ? atoi(text)
                         : fault == FAULT_MALLOC ? 50
                                                 : 6;

            for (int call = 1; reached; call += 1 + call / stride)
                fail_at(deed, (enum fault)fault, call, again, &reached);
        }
}

static void everywhere(const struct deed *deed)
{
    round_number = 10;
    copy_make(&from, "from", deed->from_schema);
    copy_make(&to, "to", deed->to_schema);
    if (deed->share != NULL) {
        deed->share();
    } else {
        track(&from, "t");
        track(&to, "t");
    }
    fail_everywhere(deed);
    sync_both(&from, &to);
    check_equal(&from, &to);
    copy_close(&from);
    copy_close(&to);
    copies_remove();
}

/* What is tried */

static int try_seal(void)
{
    struct store_sealed sealed;
    struct gv_error error = {0};
    int rc = store_begin(to.store, &error);

    return rc == GV_OK ? store_commit(to.store, &sealed, &error) : rc;
}

static int stage_all(struct extract *extract, uint64_t token)
{
    static uint8_t piece[4096];
    int rc = store_stage(to.store, token, 0, NULL, 0);

    for (uint64_t at = 0; rc == GV_OK && at < extract_size(extract);) {
        uint64_t left = extract_size(extract) - at;
        size_t size = left < sizeof piece ? (size_t)left : sizeof piece;

        rc = extract_read(extract, at, piece, size);
        if (rc == GV_OK)
            rc = store_stage(to.store, token, at, piece, size);
        at += size;
    }
    return rc;
}

static int apply_staged(const struct extract *extract, uint64_t token)
{
    struct store_sealed sealed;
    struct gv_error error = {0};
    int rc = store_begin(to.store, &error), committed;

    if (rc != GV_OK)
        return rc;
    rc = store_apply_delta(to.store, token, extract_claim(extract), &error);
    committed = store_commit(to.store, &sealed, &error);
    return rc == GV_OK ? committed : rc;
}

/* Both have sealed. */
static int try_delta(void)
{
    static uint8_t bytes[VV_ENTRY_SIZE * 8];
    static uint64_t token;
    struct gv_error error = {0};
    struct extract *extract;
    struct vv_view view;
    int rc;

    view_of(store_vv(to.store), bytes, &view);
    rc = extract_whole(&from, view, &extract, &error);
    if (rc != GV_OK)
        return rc;
    rc = stage_all(extract, ++token);
    if (rc == GV_OK)
        rc = apply_staged(extract, token);
    store_stage_drop(to.store, token);
    extract_free(extract);
    return rc;
}

/* Schemas that differ: values that columns change (a), refuse (b), that have
 * none (c); and what a peer beats, which is kept as history. */

#define WIDE "CREATE TABLE t(id TEXT PRIMARY KEY, a, b INTEGER, c TEXT)"

static void write_both(void)
{
    write_round(&from, "INSERT INTO t VALUES('k%d', '%d', NULL, 'c%d'),"
                       " ('l%d', 'text', 4, NULL), ('m%d', x'00', 5, 'm');"
                       "UPDATE t SET a = '0%d', b = %d - b, c = a WHERE id ="
                       " 'l' || (%d - 1);"
                       "DELETE FROM t WHERE id = 'm' || (%d - 2);"
                       "DELETE FROM t WHERE id = 'k' || (%d - 5);"
                       "UPDATE t SET a = 'theirs' WHERE id = 'k' || (%d - 1)");
    seal(&from);
    write_round(&to, "UPDATE t SET a = %d WHERE id = 'k' || (%d - 1);"
                     "DELETE FROM t WHERE id = 'k' || (%d - 3);"
                     "UPDATE t SET a = 'new' WHERE id = 'l' || (%d - 2)");
    seal(&to);
}

TEST(values_are_parked_whole_or_not_at_all)
{
    static const struct deed deed = {
        .name = "parked values",
        .from_schema = WIDE,
        .to_schema = "CREATE TABLE t(id TEXT PRIMARY KEY, a INTEGER,"
                     " b INTEGER NOT NULL DEFAULT 3)",
        .prepare = write_both,
        .perform = try_delta};

    everywhere(&deed);
}

/* A column that comes back */

static void park_column(void)
{
    sql(&to, "ALTER TABLE t DROP COLUMN c");
    seal(&to);
    write_both();
    must_pull(&to, &from);
    CHECK_TEXT(ask(&to, "SELECT count(*) > 0 FROM gv_parked"), "1");
    sql(&to, "ALTER TABLE t ADD COLUMN c TEXT DEFAULT 'none'");
}

static void check_shown(void)
{
    CHECK_TEXT(ask(&to, "SELECT count(*) FROM gv_parked WHERE value IS NOT"
                        " NULL AND held"),
               "0");
    write_round(&to, "SELECT 1");
    seal(&to);
}

TEST(a_column_that_comes_is_shown_whole_or_not_at_all)
{
    static const struct deed deed = {.name = "a column that is shown",
                                     .from_schema = WIDE,
                                     .to_schema = WIDE,
                                     .prepare = park_column,
                                     .perform = try_seal,
                                     .finish = check_shown,
                                     .unclean = true};

    everywhere(&deed);
}

/* Untrack and track */

static int try_untrack(void)
{
    struct gv_error error = {0};
    struct buffer notes;
    int rc;

    buffer_init(&notes, 65536);
    rc = store_untrack(to.store, "t", false, &notes, &error);
    buffer_close(&notes);
    /* The first try may have been committed and not confirmed by the disk. */
    if (rc == GV_ENOTFOUND &&
        strcmp(ask(&to, "SELECT tracked FROM gv_table"), "0") == 0)
        return GV_OK;
    return rc;
}

static int try_track_t(void)
{
    struct gv_error error = {0};

    return try_track(&to, "t", &error);
}

static void write_tracked(void)
{
    write_both();
    must_pull(&to, &from);
}

static void track_again(void)
{
    track(&to, "t");
}

static void write_untracked(void)
{
    CHECK_INT(try_untrack(), ==, GV_OK);
    write_both();
    must_pull(&to, &from);
}

TEST(an_untrack_that_fails_can_be_tried_again)
{
    static const struct deed deed = {.name = "an untrack",
                                     .from_schema = WIDE,
                                     .to_schema = WIDE,
                                     .prepare = write_tracked,
                                     .perform = try_untrack,
                                     .finish = track_again,
                                     .unclean = true};

    everywhere(&deed);
}

TEST(a_table_that_is_tracked_again_is_shown_whole_or_not_at_all)
{
    static const struct deed deed = {.name = "a track of a known table",
                                     .from_schema = WIDE,
                                     .to_schema = WIDE,
                                     .prepare = write_untracked,
                                     .perform = try_track_t,
                                     .unclean = true};

    everywhere(&deed);
}

/* Counters and multi-value columns */

static void share_kinds(void)
{
    static const struct store_kind list[] = {{"n", COLUMN_COUNTER},
                                             {"m", COLUMN_MV}};
    static const struct store_kinds kinds = {list, 2};
    struct copy *const copies[] = {&from, &to};

    for (size_t i = 0; i < 2; i++) {
        struct gv_error error = {0};
        struct buffer notes;

        buffer_init(&notes, 65536);
        CHECK_INT(
            store_track_as(copies[i]->store, "t", &kinds, &notes, &error), ==,
            GV_OK);
        buffer_close(&notes);
    }
}

static void count_both(void)
{
    write_round(&from,
                "INSERT INTO t VALUES('k%d', 1, 'from'), ('l%d', %d, NULL);"
                "UPDATE t SET n = n + %d, m = 'from%d' WHERE id <> 'l%d';"
                "DELETE FROM t WHERE id = 'l' || (%d - 3)");
    seal(&from);
    write_round(&to, "UPDATE t SET n = n + 1, m = 'to%d' WHERE id > 'k%d' OR"
                     " id = 'k' || (%d - 1);"
                     "DELETE FROM t WHERE id = 'k' || (%d - 2)");
    seal(&to);
}

TEST(cells_by_site_are_applied_whole_or_not_at_all)
{
    static const struct deed deed = {
        .name = "counters and siblings",
        .from_schema = "CREATE TABLE t(id TEXT PRIMARY KEY, n INT, m)",
        .to_schema = "CREATE TABLE t(id TEXT PRIMARY KEY, n INT, m)",
        .share = share_kinds,
        .prepare = count_both,
        .perform = try_delta};

    everywhere(&deed);
}

/* Each value that lost stands once in the history. */

static int history_count;

static void write_conflict(void)
{
    write_round(&from, "INSERT INTO t VALUES('k%d', 1, 2, 3)");
    seal(&from);
    must_pull(&to, &from);
    history_count = atoi(ask(&to, "SELECT count(*) FROM gv_history"));
    write_round(&from, "UPDATE t SET a = 'from%d' WHERE id = 'k%d'");
    write_round(&to, "UPDATE t SET a = 'to%d' WHERE id = 'k%d'");
    seal(&from);
    seal(&to);
}

static void check_history(void)
{
    CHECK_INT(atoi(ask(&to, "SELECT count(*) FROM gv_history")), ==,
              history_count + 1);
}

TEST(what_lost_is_kept_once)
{
    static const struct deed deed = {.name = "a conflict",
                                     .from_schema = WIDE,
                                     .to_schema = WIDE,
                                     .prepare = write_conflict,
                                     .perform = try_delta,
                                     .finish = check_history};

    everywhere(&deed);
}

/* The audit */

static void write_past(void)
{
    write_tracked();
    sqlite3_db_config(to.app, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
    write_round(&to, "INSERT INTO t VALUES('past%d', 1, 2, 'c');"
                     "UPDATE t SET a = %d WHERE id = 'l%d';"
                     "DELETE FROM t WHERE id = 'past' || (%d - 1)");
    sqlite3_db_config(to.app, SQLITE_DBCONFIG_ENABLE_TRIGGER, 1, NULL);
}

static int try_accept(void)
{
    struct gv_error error = {0};
    uint64_t published;

    return store_audit_accept(to.store, &published, &error);
}

TEST(an_audit_that_fails_publishes_nothing_by_half)
{
    static const struct deed deed = {.name = "an audit",
                                     .from_schema = WIDE,
                                     .to_schema = WIDE,
                                     .prepare = write_past,
                                     .perform = try_accept,
                                     .unclean = true};

    everywhere(&deed);
}

static void migrate(void)
{
    write_tracked();
    write_round(&to, "BEGIN; CREATE TABLE new_t(id TEXT PRIMARY KEY, a,"
                     " b INTEGER, c TEXT);"
                     "INSERT INTO new_t SELECT id, a, b, 'c%d' FROM t;"
                     "DROP TABLE t; ALTER TABLE new_t RENAME TO t; COMMIT");
}

/* As a node in its idle time, with a clock of our own. */
static int try_steps(void)
{
    static gv_time_ms now = 1000;
    struct store_audit report = {.due = 0};
    gv_time_ms end = now + 120000;
    int rc = GV_OK;

    while (rc == GV_OK && now < end) {
        struct gv_error error = {0};

        rc = store_audit_step(to.store, now, 50, &report, &error);
        /* A step writes nothing, and is tried again whatever it said. */
        if (rc == GV_ESCHEMA && fired)
            return GV_ENOMEM;
        if (rc == GV_OK && report.write)
            rc = try_seal();
        else if (report.due > now)
            now = report.due < end ? report.due : end;
    }
    return rc;
}

/* A table that is not in the log at all, found in slices of four rows, one of
 * whose calls fails. */
static bool walk_with_a_fault(int call)
{
    static gv_time_ms now = 1000000;
    struct store_audit report = {.due = 0};
    int calls = 0;
    bool was;

    copy_make(&to, "to", "CREATE TABLE t(id TEXT PRIMARY KEY, a)");
    track(&to, "t");
    audit_now(&to);
    sqlite3_db_config(to.app, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
    sql(&to, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n"
             " WHERE i < 20) INSERT INTO t SELECT 'k' || i, i FROM n;"
             "CREATE TABLE moved(x)"); /* a reason to look */
    sqlite3_db_config(to.app, SQLITE_DBCONFIG_ENABLE_TRIGGER, 1, NULL);
    try_seal();
    arm(FAULT_SQLITE, call, false);
    for (int quiet = 0; quiet < 3 && calls < 1000; calls++) {
        struct gv_error error = {0};
        int rc = store_audit_step(to.store, now, 4, &report, &error);

        CHECK(rc == GV_OK || fired);
        if (rc == GV_OK && report.write)
            try_seal();
        else if (rc == GV_OK && report.due > now) {
            now = report.due < now + 90000 ? report.due : now + 90000;
            quiet++;
        }
    }
    was = disarm();
    CHECK_INT(verify_findings(&to, NULL), ==, 0);
    CHECK_TEXT(ask(&to, "SELECT count(*) FROM gv_row_1"), "20");
    copy_close(&to);
    copies_remove();
    return was;
}

TEST(an_audit_in_slices_passes_over_nothing_that_failed)
{
    int call = 1;

    while (walk_with_a_fault(call))
        call += 3;
    CHECK_INT(call, >, 30);
}

TEST(a_migration_is_audited_step_by_step_under_faults)
{
    static const struct deed deed = {.name = "audit steps",
                                     .from_schema = WIDE,
                                     .to_schema = WIDE,
                                     .prepare = migrate,
                                     .perform = try_steps,
                                     .unclean = true};

    everywhere(&deed);
}

/* A delta while the table is away, and its return */

static void take_away(void)
{
    write_both();
    sql(&to, "ALTER TABLE t RENAME TO away; CREATE TABLE t(x)");
}

static void bring_back(void)
{
    sql(&to, "DROP TABLE t; ALTER TABLE away RENAME TO t");
    audit_now(&to);
    CHECK_TEXT(ask(&to, "SELECT count(*) FROM gv_parked"), "0");
}

TEST(what_comes_while_a_table_is_away_is_kept_whole_or_not_at_all)
{
    static const struct deed deed = {.name = "a delta for a table away",
                                     .from_schema = WIDE,
                                     .to_schema = WIDE,
                                     .prepare = take_away,
                                     .perform = try_delta,
                                     .finish = bring_back,
                                     .unclean = true};

    everywhere(&deed);
}

/* A bundle on an application's connection, as gv_apply() of the extension
 * does it: alone, and within the application's transaction. */

static struct buffer bundle;

static void write_bundle(void)
{
    static uint8_t bytes[VV_ENTRY_SIZE * 8];
    struct gv_error error = {0};
    struct vv_view view;

    write_both();
    view_of(store_vv(to.store), bytes, &view);
    buffer_close(&bundle);
    buffer_init(&bundle, SIZE_MAX);
    CHECK_INT(bundle_write_buffer(from.store, view, &bundle, &error), ==,
              GV_OK);
}

static int apply_borrowed(enum store_within within)
{
    struct store_options options = {.mode = STORE_WRITE,
                                    .host = copies_host(),
                                    .borrowed = to.app,
                                    .within = within};
    struct gv_error error = {0};
    struct store *store;
    int rc;

    store_close(to.store);
    to.store = NULL;
    rc = store_open(to.path, &options, &store, &error);
    if (rc != GV_OK)
        return rc;
    rc = bundle_apply_bytes(store, bundle.data, bundle.size, &error);
    store_close(store);
    return rc;
}

static int try_borrowed(void)
{
    return apply_borrowed(STORE_ALONE);
}

static int exec(const char *text)
{
    switch (sqlite3_exec(to.app, text, NULL, NULL, NULL)) {
    case SQLITE_OK:
        return GV_OK;
    case SQLITE_NOMEM:
        return GV_ENOMEM;
    default:
        return GV_EIO;
    }
}

static int try_within(void)
{
    int rc = exec("BEGIN");

    if (rc == GV_OK)
        rc = exec("INSERT INTO other VALUES(1)");
    if (rc == GV_OK)
        rc = exec("SAVEPOINT gv_call");
    if (rc == GV_OK)
        rc = apply_borrowed(STORE_IN_TRANSACTION);
    if (rc == GV_OK)
        rc = exec("COMMIT");
    if (rc != GV_OK && !sqlite3_get_autocommit(to.app))
        exec("ROLLBACK");
    return rc;
}

TEST(a_bundle_on_a_borrowed_connection_is_applied_whole_or_not_at_all)
{
    static const struct deed deed = {.name = "a borrowed connection",
                                     .from_schema = WIDE,
                                     .to_schema = WIDE,
                                     .prepare = write_bundle,
                                     .perform = try_borrowed};

    everywhere(&deed);
    buffer_close(&bundle);
}

TEST(a_bundle_within_a_transaction_stands_or_falls_with_it)
{
    static const struct deed deed = {.name = "a borrowed transaction",
                                     .from_schema = WIDE,
                                     .to_schema =
                                         WIDE "; CREATE TABLE other(x)",
                                     .prepare = write_bundle,
                                     .perform = try_within};

    everywhere(&deed);
    buffer_close(&bundle);
}

/* A delta as rows */

#define CHANGES_MAX 500

struct set {
    struct change rows[CHANGES_MAX];
    const struct change *list[CHANGES_MAX];
    struct changes_sum sum;
    uint8_t bytes[1 << 20];
    size_t used;
};

/* A change borrows its bytes until the next one is read. */
static const void *keep(struct set *set, const void *bytes, size_t size)
{
    uint8_t *at = set->bytes + set->used;

    if (bytes == NULL)
        return NULL;
    CHECK(set->used + size + 1 <= sizeof set->bytes);
    memcpy(at, bytes, size);
    set->used += size + 1;
    return at;
}

static int read_set(struct changes *changes, struct set *set)
{
    struct change change;
    int rc;

    set->used = 0;
    set->sum = (struct changes_sum){0};
    while ((rc = changes_next(changes, &change)) > 0) {
        change.table.bytes = keep(set, change.table.bytes, change.table.size);
        change.key = keep(set, change.key, change.key_size);
        change.column.bytes =
            keep(set, change.column.bytes, change.column.size);
        change.value.bytes = keep(set, change.value.bytes, change.value.size);
        CHECK(set->sum.count < CHANGES_MAX);
        set->rows[set->sum.count] = change;
        set->list[set->sum.count] = &set->rows[set->sum.count];
        set->sum.hash += change_hash(&change);
        set->sum.count++;
    }
    return rc;
}

static int try_changes(void)
{
    static uint8_t bytes[VV_ENTRY_SIZE * 8];
    static struct set set;
    struct gv_error error = {0};
    struct changes *changes;
    struct vv_view base;
    int rc;

    view_of(store_vv(to.store), bytes, &base);
    rc = changes_read(from.store, base, &changes, &error);
    if (rc != GV_OK)
        return rc;
    rc = read_set(changes, &set);
    if (rc == GV_OK)
        rc = changes_apply(to.store, set.list, set.sum.count, &set.sum, base,
                           changes_claim(changes), &error);
    changes_free(changes);
    return rc;
}

TEST(changes_are_merged_whole_or_not_at_all)
{
    static const struct deed deed = {.name = "changes",
                                     .from_schema = WIDE,
                                     .to_schema = WIDE,
                                     .prepare = write_both,
                                     .perform = try_changes};

    everywhere(&deed);
}

int main(int argc, char **argv)
{
    faults_install();
    return check_main(argc, argv);
}
