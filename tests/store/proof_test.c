/* Two files are compared and made equal, the questions and answers carried by
 * hand. */
#include "copies.h"

#include "store/keys.h"
#include "store/pass.h"
#include "store/proofs.h"
#include "store/rows.h"
#include "store/settle.h"
#include "store/transaction.h"
#include "wire/proof.h"

#define SCHEMA "CREATE TABLE t(id TEXT PRIMARY KEY, a, b)"

static struct store_kind kinds[] = {{"a", COLUMN_COUNTER}, {"b", COLUMN_MV}};

/* Of two vectors what both cover. */
static size_t meet_of(const struct copy *a, const struct copy *b,
                      uint8_t *bytes, struct vv_view *view)
{
    struct vv meet;
    size_t count;

    vv_init(&meet);
    for (size_t i = 0; i < store_vv(a->store)->count; i++) {
        struct vv_entry entry = store_vv(a->store)->entries[i];
        gv_version other = vv_get(store_vv(b->store), &entry.site);

        if (other < entry.version)
            entry.version = other;
        if (entry.version > 0)
            CHECK_INT(vv_raise(&meet, &entry.site, entry.version), ==, GV_OK);
    }
    count = view_of(&meet, bytes, view);
    vv_close(&meet);
    return count;
}

/* @b's answer to what @proof asks. */
static int answer(struct proof *proof, struct copy *b, struct vv_view meet,
                  struct gv_error *error)
{
    struct message_check check = {.token = 1, .meet = meet};
    struct attest *attest = NULL;
    const uint8_t *bytes = NULL;
    size_t size = 0;
    bool done = false;
    int rc;

    check.what = proof_question(proof, &check.bytes, &check.size);
    rc = attest_begin(b->store, &check, &attest, error);
    while (rc == GV_OK && !done)
        rc = attest_step(attest, 7, &done, error);
    if (rc == GV_OK)
        bytes = attest_bytes(attest, &size);
    CHECK(rc != GV_OK || size <= MESSAGE_DELTA_SIZE_MAX);
    rc = proof_answer(proof, rc == GV_OK, bytes, size, error);
    attest_free(attest);
    return rc;
}

/* Compare @a with @b to the end; the proof is the caller's. */
static struct proof *compare(struct copy *a, struct copy *b, bool mend)
{
    uint8_t bytes[VV_ENTRY_SIZE * 64];
    struct gv_error error = {0};
    struct proof *proof = NULL;
    struct vv_view meet;
    bool stands = false;
    int rc;

    meet_of(a, b, bytes, &meet);
    rc = proof_begin(a->store, meet, "b", mend, false, &proof, &error);
    for (int i = 0; rc == GV_OK && i < 100000; i++) {
        const uint8_t *asked;
        size_t size;

        rc = proof_step(proof, 7, &stands, &error);
        if (rc != GV_OK || !stands)
            continue;
        if (proof_question(proof, &asked, &size) == 0)
            return proof;
        rc = answer(proof, b, meet, &error);
    }
    fprintf(stderr, "compare: %d %s\n", rc, error.what);
    exit(1);
}

/* How many differ, and the first's words. */
static uint64_t differ(struct copy *a, struct copy *b, const char **text)
{
    static char words[512];
    struct proof *proof = compare(a, b, false);
    uint64_t count = proof_differ(proof);
    struct proof_finding finding;

    words[0] = '\0';
    if (proof_finding(proof, 0, &finding))
        snprintf(words, sizeof words, "%s %s: %s", finding.table, finding.key,
                 finding.text);
    *text = words;
    CHECK_INT(proof_mended(proof), ==, 0);
    CHECK(!proof_wrote(proof));
    proof_free(proof);
    return count;
}

static bool says(const char *text, const char *part)
{
    if (strstr(text, part) != NULL)
        return true;
    fprintf(stderr, "'%s' is not in '%s'\n", part, text);
    return false;
}

/* All that differs is mended, and both files are sound and equal. */
static void mends(struct copy *a, struct copy *b, uint64_t count)
{
    struct proof *proof = compare(a, b, true);
    const char *text;

    CHECK_INT(proof_differ(proof), ==, count);
    CHECK_INT(proof_mended(proof), ==, count);
    proof_free(proof);
    sync_both(a, b);
    CHECK_INT(differ(a, b, &text), ==, 0);
    CHECK_INT(differ(b, a, &text), ==, 0);
    CHECK_INT(verify_findings(a, NULL), ==, 0);
    CHECK_INT(verify_findings(b, NULL), ==, 0);
    check_equal(a, b);
    CHECK_TEXT(ask(a, "SELECT group_concat(quote(id)||quote(a)||quote(b)) FROM"
                      " (SELECT * FROM t ORDER BY id)"),
               ask(b, "SELECT group_concat(quote(id)||quote(a)||quote(b)) FROM"
                      " (SELECT * FROM t ORDER BY id)"));
}

/* Two files that hold the same, with rows that both wrote and a dead one. */
static void equal_files(struct copy *a, struct copy *b)
{
    two(a, b, SCHEMA);
    sql(a, "INSERT INTO t VALUES('ann', 1, 2), ('bob', 3, 4), ('cy', 5, 6),"
           " ('dan', 7, 8)");
    sync_both(a, b);
    sql(b, "UPDATE t SET b = 44 WHERE id = 'bob'; DELETE FROM t WHERE id ="
           " 'dan'");
    sync_both(a, b);
}

TEST(equal_files_do_not_differ_and_nothing_is_written)
{
    struct copy a, b;
    const char *text, *before;

    equal_files(&a, &b);
    before = ask(&a, "PRAGMA data_version");
    CHECK_INT(differ(&a, &b, &text), ==, 0);
    CHECK_TEXT(ask(&a, "PRAGMA data_version"), before);
    close_two(&a, &b);
}

static void damaged(const char *damage, const char *part)
{
    struct copy a, b;
    const char *text;

    equal_files(&a, &b);
    sql(&a, damage);
    CHECK_INT(differ(&a, &b, &text), ==, 1);
    CHECK(says(text, part));
    CHECK_INT(differ(&b, &a, &text), ==, 1);
    mends(&a, &b, 1);
    close_two(&a, &b);
    /* And when the one that is not damaged asks. */
    equal_files(&a, &b);
    sql(&a, damage);
    mends(&b, &a, 1);
    close_two(&a, &b);
}

TEST(a_damaged_state_is_named_and_taken_from_the_peer)
{
    damaged("UPDATE gv_row_1 SET state = substr(state, 1, 12)||x'00'||"
            "substr(state, 14) WHERE k1 = 'bob'",
            "t 'bob': its log is damaged here");
    damaged("UPDATE gv_row_1 SET state = x'' WHERE k1 = 'cy'", "t 'cy': its");
    damaged("UPDATE gv_row_1 SET cl = 4 WHERE k1 = 'dan'", "t 'dan': its log");
}

TEST(the_log_of_a_row_that_is_gone_comes_back)
{
    damaged("DELETE FROM gv_row_1 WHERE k1 = 'bob'",
            "t 'bob': the log has no such row here");
    damaged("DELETE FROM gv_row_1 WHERE k1 = 'dan'", "t 'dan': the log");
}

TEST(a_record_that_nobody_would_find_is_listed_again)
{
    damaged("DELETE FROM gv_ver WHERE rid = (SELECT rid FROM gv_row_1 WHERE"
            " k1 = 'ann')",
            "t 'ann': its log is damaged here");
}

TEST(a_sum_that_is_wrong_is_made_anew)
{
    struct copy a, b;
    const char *text;

    equal_files(&a, &b);
    a.store->numbers.fingerprint.low ^= 1;
    a.store->committed.fingerprint.low ^= 1;
    CHECK_INT(differ(&a, &b, &text), ==, 1);
    CHECK(says(text, "not the sum"));
    CHECK_INT(differ(&b, &a, &text), ==, 0); /* it is the other's */
    mends(&a, &b, 1);
    close_two(&a, &b);
}

/* Done to the file of a running node, which holds the right sum itself. */
static void beside_the_rows(const char *damage, const char *word)
{
    struct copy a, b;
    const char *text;

    equal_files(&a, &b);
    sql(&a, damage);
    CHECK_INT(verify_findings(&a, NULL), ==, 1);
    CHECK_INT(differ(&a, &b, &text), ==, 1);
    CHECK(says(text, word));
    CHECK_INT(differ(&b, &a, &text), ==, 0); /* it is the other's */
    mends(&a, &b, 1);
    CHECK_INT(verify_findings(&a, NULL), ==, 0);
    close_two(&a, &b);
}

TEST(what_is_wrong_beside_the_rows_is_made_anew)
{
    beside_the_rows("UPDATE gv_meta SET fingerprint = zeroblob(16)",
                    "not the sum");
    beside_the_rows("UPDATE gv_meta SET fingerprint = NULL", "not the sum");
    beside_the_rows("INSERT INTO gv_ver(site, version, tbl, rid) SELECT site,"
                    " version - 1, tbl, rid FROM gv_ver LIMIT 1",
                    "gv_ver lists");
    beside_the_rows("INSERT INTO gv_ver(site, version, tbl, rid) SELECT site,"
                    " version, tbl, 4711 FROM gv_ver LIMIT 1",
                    "gv_ver lists");
}

/* Another value under the dot that it had, with its digest and all sums. */
static void forge(struct copy *a, const char *id, int64_t value)
{
    struct value name = {
        .class = VALUE_TEXT, .bytes = (const uint8_t *)id, .size = strlen(id)};
    struct value forged = {.class = VALUE_INTEGER, .integer = value};
    struct gv_error error = {0};
    struct store_sealed sealed;
    struct buffer bytes;
    struct row_key key;
    char text[200];

    seal(a);
    sqlite3_db_config(a->app, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
    snprintf(text, sizeof text, "UPDATE t SET b = %lld WHERE id = '%s'",
             (long long)value, id);
    sql(a, text);
    sqlite3_db_config(a->app, SQLITE_DBCONFIG_ENABLE_TRIGGER, 1, NULL);
    buffer_init(&bytes, 1000);
    key_append(&bytes, &name);
    CHECK_INT(row_key_decode(&key, bytes.data, bytes.size, 1), ==, GV_OK);
    CHECK_INT(store_begin(a->store, &error), ==, GV_OK);
    CHECK_INT(rows_find(a->store, a->store->tables[0], &key, &error), ==,
              GV_OK);
    a->store->space.digests[2] = value_digest(&forged);
    CHECK_INT(rows_save(a->store, a->store->tables[0], &key), ==, GV_OK);
    CHECK_INT(store_commit(a->store, &sealed, &error), ==, GV_OK);
    buffer_close(&bytes);
}

/* Which of the two wins is chance; both have the same then. */
TEST(of_two_contents_of_one_dot_one_wins_on_both_sides)
{
    for (int64_t value = 100; value < 104; value++) {
        struct copy a, b;
        const char *text;

        equal_files(&a, &b);
        forge(&a, "bob", value);
        CHECK_INT(verify_findings(&a, NULL), ==, 0);
        CHECK(store_vv(a.store)->hash == store_vv(b.store)->hash);
        CHECK(!hash128_equal(store_fingerprint(a.store),
                             store_fingerprint(b.store)));
        CHECK_INT(differ(&a, &b, &text), ==, 1);
        CHECK(says(text, "t 'bob': column 'b', written by site"));
        mends(&a, &b, 1);
        close_two(&a, &b);
    }
}

TEST(what_only_one_has_heard_of_is_left_out)
{
    struct copy a, b;
    const char *text;

    equal_files(&a, &b);
    sql(&a, "UPDATE t SET a = 9 WHERE id = 'ann'; INSERT INTO t VALUES('eve',"
            " 1, 1)");
    seal(&a);
    sql(&b, "DELETE FROM t WHERE id = 'bob'; INSERT INTO t VALUES('fay', 1,"
            " 1)");
    seal(&b);
    CHECK_INT(differ(&a, &b, &text), ==, 0);
    CHECK_INT(differ(&b, &a, &text), ==, 0);
    sql(&a, "UPDATE gv_row_1 SET state = x'' WHERE k1 = 'cy'");
    CHECK_INT(differ(&a, &b, &text), ==, 1);
    CHECK(says(text, "t 'cy'"));
    mends(&a, &b, 1);
    close_two(&a, &b);
}

TEST(a_write_that_waits_in_the_journal_is_kept)
{
    struct copy a, b;

    equal_files(&a, &b);
    sql(&a, "UPDATE gv_row_1 SET state = x'' WHERE k1 = 'cy'");
    sql(&a, "UPDATE t SET a = 'mine' WHERE id = 'ann'");
    sql(&b, "UPDATE t SET b = 'yours' WHERE id = 'ann'");
    mends(&a, &b, 1);
    CHECK_TEXT(ask(&b, "SELECT a||b FROM t WHERE id = 'ann'"), "mineyours");
    close_two(&a, &b);
}

#define DAMAGE(id) "UPDATE gv_row_1 SET state = x'' WHERE k1 = '" id "'"

/* How many rows' writes wait; the first is @name. */
static void check_withheld(struct copy *a, size_t count, const char *name)
{
    const char *row;
    char journal[20];

    snprintf(journal, sizeof journal, "%zu", count);
    CHECK_INT(store_withheld(a->store, &row), ==, count);
    CHECK_TEXT(row, name);
    CHECK_TEXT(ask(a, "SELECT count(*) FROM gv_journal"), journal);
}

/* The rest is sealed and goes; the row's own write goes when it was mended. */
static void withholds(const char *write, const char *rows)
{
    struct copy a, b;

    equal_files(&a, &b);
    sql(&a, DAMAGE("bob"));
    sql(&a, write);
    sql(&a, "UPDATE t SET a = 'too' WHERE id = 'ann'");
    CHECK(seal(&a).any);
    check_withheld(&a, 1, "t 'bob'");
    CHECK(!seal(&a).any);
    must_pull(&b, &a);
    CHECK_TEXT(ask(&b, "SELECT a FROM t WHERE id = 'ann'"), "too");
    CHECK_TEXT(ask(&b, "SELECT a||b FROM t WHERE id = 'bob'"), "344");
    copy_reopen(&a, STORE_WRITE);
    CHECK(!seal(&a).any);
    check_withheld(&a, 1, "t 'bob'");
    mends(&a, &b, 1);
    check_withheld(&a, 0, "");
    CHECK_TEXT(ask(&b, "SELECT coalesce(group_concat(a||b), 'none') FROM t"
                       " WHERE id = 'bob'"),
               rows);
    close_two(&a, &b);
}

TEST(a_write_to_a_row_whose_log_is_damaged_waits_until_it_is_mended)
{
    withholds("UPDATE t SET a = 'mine' WHERE id = 'bob'", "mine44");
    withholds("DELETE FROM t WHERE id = 'bob'", "none");
    withholds("UPDATE t SET a = x'00ff' WHERE id = 'bob';"
              "UPDATE t SET a = 1.5, b = zeroblob(0) WHERE id = 'bob';"
              "UPDATE t SET a = 'last', b = 'both' WHERE id = 'bob'",
              "lastboth");
    withholds("DELETE FROM t WHERE id = 'bob';"
              "INSERT INTO t VALUES('bob', 3, 44)",
              "344");
}

TEST(a_row_that_was_dead_and_is_written_anew_waits_likewise)
{
    struct copy a, b;

    equal_files(&a, &b);
    sql(&a, DAMAGE("dan"));
    sql(&a, "INSERT INTO t VALUES('dan', 'new', 'life')");
    CHECK(!seal(&a).any);
    check_withheld(&a, 1, "t 'dan'");
    mends(&a, &b, 1);
    CHECK_TEXT(ask(&b, "SELECT a||b FROM t WHERE id = 'dan'"), "newlife");
    close_two(&a, &b);
}

TEST(a_seal_in_slices_goes_around_rows_whose_log_is_damaged)
{
    struct copy a, b;
    struct store_worked worked = {.more = true};
    struct gv_error error = {0};
    int turns = 0;

    copies_slices = (struct store_slices){.journal_rows = 1, .keys = 1};
    equal_files(&a, &b);
    sql(&a, DAMAGE("ann") ";" DAMAGE("cy"));
    sql(&a, "UPDATE t SET a = 'new'; INSERT INTO t SELECT 'x'||column1, 1, 1"
            " FROM (VALUES(1),(2),(3),(4),(5),(6),(7),(8),(9))");
    while (worked.more) {
        CHECK_INT(turns++, <, 30);
        CHECK_INT(store_work(a.store, &worked, &error), ==, GV_OK);
    }
    CHECK(worked.sealed.any);
    check_withheld(&a, 2, "t 'ann'");
    CHECK_INT(store_work(a.store, &worked, &error), ==, GV_OK);
    CHECK(!worked.more);
    must_pull(&b, &a);
    mends(&a, &b, 2);
    CHECK_TEXT(ask(&b, "SELECT count(*) FROM t WHERE a = 'new'"), "3");
    close_two(&a, &b);
    copies_slices = (struct store_slices){0};
}

TEST(too_many_rows_whose_log_is_damaged_stop_the_seal)
{
    struct gv_error error = {0};
    struct copy a, b;

    two(&a, &b, SCHEMA);
    sql(&a, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n"
            " WHERE i < 300) INSERT INTO t SELECT 'r'||i, i, i FROM n");
    sync_both(&a, &b);
    sql(&a, "UPDATE gv_row_1 SET state = x''; UPDATE t SET a = 'x'");
    CHECK_INT(store_begin(a.store, &error), ==, GV_ECORRUPT);
    CHECK_TEXT(ask(&a, "SELECT count(*) FROM gv_journal"), "300");
    close_two(&a, &b);
}

TEST(cells_of_all_sites_are_mended)
{
    struct store_kinds chosen = {kinds, 2};
    struct copy a, b;
    struct buffer notes;
    struct gv_error error = {0};
    const char *text;

    copy_make(&a, "a", SCHEMA);
    copy_make(&b, "b", SCHEMA);
    buffer_init(&notes, 65536);
    CHECK_INT(store_track_as(a.store, "t", &chosen, &notes, &error), ==,
              GV_OK);
    CHECK_INT(store_track_as(b.store, "t", &chosen, &notes, &error), ==,
              GV_OK);
    buffer_close(&notes);
    sql(&a, "INSERT INTO t VALUES('ann', 1, 'x'), ('bob', 2, 'y')");
    sync_both(&a, &b);
    sql(&a, "UPDATE t SET a = a + 10, b = 'of a'");
    sql(&b, "UPDATE t SET a = a + 100, b = 'of b'");
    sync_both(&a, &b);
    CHECK_INT(differ(&a, &b, &text), ==, 0);
    sql(&a, "UPDATE gv_row_1 SET state = x'00' WHERE k1 = 'bob'");
    sql(&b, "UPDATE gv_cell SET value = 7 WHERE bit = 1 AND rid = (SELECT rid"
            " FROM gv_row_1 WHERE k1 = 'ann')");
    mends(&a, &b, 2);
    CHECK_TEXT(ask(&a, "SELECT group_concat(a) FROM t"), "111,112");
    close_two(&a, &b);
}

TEST(many_rows_are_mended_a_few_at_a_time)
{
    struct copy a, b;

    two(&a, &b, SCHEMA);
    sql(&a, "WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i <"
            " 3000) INSERT INTO t SELECT 'key '||i, i, zeroblob(i) FROM n");
    sync_both(&a, &b);
    sql(&a, "UPDATE gv_row_1 SET state = x'' WHERE rid % 10 = 3");
    sql(&b, "UPDATE gv_row_1 SET state = x'' WHERE rid % 10 = 7");
    mends(&a, &b, 600);
    close_two(&a, &b);
}

TEST(more_than_is_kept_by_name_is_counted)
{
    struct copy a, b;
    const char *text;
    struct proof *proof;

    two(&a, &b, SCHEMA);
    sql(&a, "WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i <"
            " 2000) INSERT INTO t SELECT 'key '||i, i, i FROM n");
    sync_both(&a, &b);
    sql(&a, "UPDATE gv_row_1 SET state = x''");
    CHECK_INT(differ(&a, &b, &text), >, PROOF_FINDINGS_MAX);
    proof = compare(&a, &b, true);
    CHECK_INT(proof_mended(proof), ==, PROOF_FINDINGS_MAX);
    CHECK_INT(proof_differ(proof), >, proof_mended(proof));
    proof_free(proof);
    mends(&a, &b, 1000);
    close_two(&a, &b);
}

/* A peer of before pieces. */
TEST(a_row_that_fits_no_frame_stays_where_the_peer_takes_no_pieces)
{
    struct copy a, b;
    struct proof *proof;

    two(&a, &b, SCHEMA);
    sql(&a, "INSERT INTO t VALUES('big', zeroblob(300000), 1), ('small', 1,"
            " 1)");
    sync_both(&a, &b);
    sql(&a, "UPDATE gv_row_1 SET state = x''");
    proof = compare(&a, &b, true);
    CHECK_INT(proof_differ(proof), ==, 2);
    CHECK_INT(proof_mended(proof), ==, 1);
    proof_free(proof);
    close_two(&a, &b);
}

/* The next event of one that may take many turns. */
static struct event turn(struct proofs *proofs, struct copy *copy)
{
    struct event event = {.code = GV_EBUSY};

    for (int i = 0; i < 100000 && proofs_ready(proofs); i++)
        if (proofs_turn(proofs, copy->store, &event))
            break;
    return event;
}

/* As the nodes of @a and @b compare and mend them; the event of the end. */
static struct event nodes_mend(struct copy *a, struct proofs *proofs,
                               struct copy *b, bool pieces)
{
    struct effect prove = {.kind = EFFECT_PROVE, .link = 1};
    uint8_t bytes[VV_ENTRY_SIZE * 64];
    struct proofs peers;
    struct event event;

    proofs_init(&peers);
    prove.as.prove.token = 7;
    prove.as.prove.mend = prove.as.prove.asked = true;
    prove.as.prove.pieces = pieces;
    prove.as.prove.peer = "b";
    meet_of(a, b, bytes, &prove.as.prove.meet);
    proofs_take(proofs, a->store, &prove);
    for (event = turn(proofs, a); event.as.proved.what != 0;
         event = turn(proofs, a)) {
        struct effect attest = {.kind = EFFECT_ATTEST, .link = 1};
        struct effect on = {.kind = EFFECT_PROVE_ON, .link = 1};
        struct event answer;

        attest.as.attest.token = 7;
        attest.as.attest.what = event.as.proved.what;
        attest.as.attest.meet = prove.as.prove.meet;
        attest.as.attest.bytes = event.as.proved.bytes;
        attest.as.attest.size = event.as.proved.size;
        CHECK_INT(event.as.proved.size, <=, MESSAGE_DELTA_SIZE_MAX);
        proofs_take(&peers, b->store, &attest);
        answer = turn(&peers, b);
        on.as.prove_on.token = 7;
        on.as.prove_on.done = answer.code == GV_OK;
        if (on.as.prove_on.done) {
            on.as.prove_on.bytes = answer.as.proved.bytes;
            on.as.prove_on.size = answer.as.proved.size;
        }
        proofs_take(proofs, a->store, &on);
    }
    proofs_close(&peers);
    return event;
}

/* How the row of @key differs, and whether it was mended. */
static const char *words_of(const struct proof *proof, const char *key,
                            bool *mended)
{
    struct proof_finding finding;

    for (size_t i = 0; proof_finding(proof, i, &finding); i++)
        if (strcmp(finding.key, key) == 0) {
            *mended = finding.mended;
            return finding.text;
        }
    *mended = false;
    return "";
}

/* Of two contents of one dot each side sends its own. */
TEST(rows_that_fit_no_frame_together_do_not_end_a_comparison)
{
    struct proofs proofs;
    struct event event;
    struct copy a, b;
    bool mended;

    two(&a, &b, SCHEMA);
    sql(&a, "INSERT INTO t VALUES('big', zeroblob(300000), 1), ('gone',"
            " zeroblob(300000), 1), ('x', zeroblob(70000), 1), ('y',"
            " zeroblob(70000), 1), ('z', zeroblob(70000), 1)");
    sync_both(&a, &b);
    forge(&a, "big", 100);
    forge(&a, "x", 101);
    forge(&a, "y", 102);
    forge(&a, "z", 103);
    sql(&a, "DELETE FROM gv_row_1 WHERE k1 = 'gone'");
    proofs_init(&proofs);
    event = nodes_mend(&a, &proofs, &b, false);
    CHECK_INT(event.code, ==, GV_OK);
    CHECK(proofs.shown != NULL);
    CHECK_INT(event.as.proved.differ, ==, 5);
    CHECK_INT(event.as.proved.mended, ==, 3);
    CHECK(says(words_of(proofs.shown, "'big'", &mended),
               "; it is too large for a frame"));
    CHECK(!mended);
    CHECK(says(words_of(proofs.shown, "'gone'", &mended),
               "; the peer could not take it"));
    CHECK(!mended);
    (void)words_of(proofs.shown, "'y'", &mended);
    CHECK(mended);
    proofs_close(&proofs);
    close_two(&a, &b);
}

/* All of @a that differs is mended, whatever its size, and nothing stays in
 * the directories. */
static void nodes_agree(struct copy *a, struct copy *b, uint64_t count)
{
    struct proofs proofs;
    struct event event;
    const char *text;

    proofs_init(&proofs);
    event = nodes_mend(a, &proofs, b, true);
    CHECK_INT(event.code, ==, GV_OK);
    CHECK_INT(event.as.proved.differ, ==, count);
    CHECK_INT(event.as.proved.mended, ==, count);
    proofs_close(&proofs);
    sync_both(a, b);
    CHECK_INT(differ(a, b, &text), ==, 0);
    CHECK_INT(verify_findings(a, NULL), ==, 0);
    CHECK_INT(verify_findings(b, NULL), ==, 0);
    check_equal(a, b);
}

TEST(rows_that_fit_no_frame_are_mended_in_pieces)
{
    struct copy a, b;

    for (int side = 0; side < 2; side++) {
        two(&a, &b, SCHEMA);
        sql(&a, "INSERT INTO t VALUES('big', randomblob(1000000), 1),"
                " ('gone', randomblob(300000), zeroblob(700000)), ('lost',"
                " randomblob(500000), 2), ('one', 1, 1), ('two', 1, 1)");
        sync_both(&a, &b);
        forge(&a, "big", 100);
        sql(&a, "DELETE FROM gv_row_1 WHERE k1 = 'gone'");
        sql(&a, "UPDATE gv_row_1 SET state = x'' WHERE k1 IN ('lost','two')");
        /* Of a row that both have and that both need, both go. */
        forge(&b, "big", 200);
        if (side == 0)
            nodes_agree(&a, &b, 4);
        else
            nodes_agree(&b, &a, 4);
        CHECK_TEXT(ask(&b, "SELECT length(a) FROM t WHERE id = 'gone'"),
                   "300000");
        close_two(&a, &b);
    }
}

/* The row's log is damaged in @a, and gone in @b with the row, where all is
 * as if it had never been. */
static void damage_both(struct copy *a, struct copy *b, bool also_row)
{
    struct gv_error error = {0};
    struct store_sealed sealed;

    sql(a, "UPDATE gv_row_1 SET state = x'' WHERE k1 = 'cy'");
    sqlite3_db_config(a->app, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
    if (also_row)
        sql(a, "DELETE FROM t WHERE id = 'cy'");
    sqlite3_db_config(a->app, SQLITE_DBCONFIG_ENABLE_TRIGGER, 1, NULL);
    sqlite3_db_config(b->app, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
    sql(b, "DELETE FROM t WHERE id = 'cy'; DELETE FROM gv_row_1 WHERE k1 ="
           " 'cy'; DELETE FROM gv_ver WHERE tbl = 1 AND rid NOT IN (SELECT"
           " rid FROM gv_row_1)");
    sqlite3_db_config(b->app, SQLITE_DBCONFIG_ENABLE_TRIGGER, 1, NULL);
    CHECK_INT(store_begin(b->store, &error), ==, GV_OK);
    CHECK_INT(settle_log(b->store, &error), ==, GV_OK);
    CHECK_INT(store_commit(b->store, &sealed, &error), ==, GV_OK);
}

TEST(a_damaged_row_that_the_peer_has_not_is_written_anew)
{
    struct copy a, b;

    equal_files(&a, &b);
    damage_both(&a, &b, false);
    nodes_agree(&a, &b, 1);
    CHECK_TEXT(ask(&b, "SELECT a||' '||b FROM t WHERE id = 'cy'"), "5 6");
    CHECK_TEXT(ask(&a, "SELECT a||' '||b FROM t WHERE id = 'cy'"), "5 6");
    close_two(&a, &b);
}

TEST(a_damaged_row_of_which_nothing_is_left_goes)
{
    struct copy a, b;

    equal_files(&a, &b);
    damage_both(&a, &b, true);
    nodes_agree(&a, &b, 1);
    CHECK_TEXT(ask(&a, "SELECT count(*) FROM gv_row_1 WHERE k1 = 'cy'"), "0");
    CHECK_TEXT(ask(&b, "SELECT count(*) FROM t WHERE id = 'cy'"), "0");
    close_two(&a, &b);
}

static size_t range_of(const struct copy *a, const char *id)
{
    struct value name = {
        .class = VALUE_TEXT, .bytes = (const uint8_t *)id, .size = strlen(id)};
    struct buffer key, bytes;
    uint64_t place;

    buffer_init(&key, SIZE_MAX);
    buffer_init(&bytes, SIZE_MAX);
    key_append(&key, &name);
    place = pass_place(&bytes, a->store->tables[0], key.data, key.size);
    buffer_close(&key);
    buffer_close(&bytes);
    return proof_range(place);
}

/* A key of the same range as 'cy'. */
static const char *key_beside(const struct copy *a)
{
    static char id[20];

    for (int i = 0; i < 100000; i++) {
        snprintf(id, sizeof id, "k%d", i);
        if (range_of(a, id) == range_of(a, "cy"))
            return id;
    }
    CHECK(false);
    return id;
}

/* Nobody may drop what the other side alone has: its own node does.  It is in
 * no sum, so that it is only seen beside another one. */
TEST(a_damaged_row_that_only_the_peer_has_is_left_to_it)
{
    struct proofs proofs;
    struct event event;
    struct copy a, b;
    const char *id;
    char text[100];
    bool mended;

    equal_files(&a, &b);
    id = key_beside(&a);
    snprintf(text, sizeof text, "INSERT INTO t VALUES('%s', 1, 1)", id);
    sql(&b, text);
    sync_both(&a, &b);
    damage_both(&a, &b, false);
    forge(&a, id, 100);
    proofs_init(&proofs);
    event = nodes_mend(&b, &proofs, &a, true);
    CHECK_INT(event.code, ==, GV_OK);
    CHECK_INT(event.as.proved.differ, ==, 2);
    CHECK_INT(event.as.proved.mended, ==, 1);
    CHECK(says(words_of(proofs.shown, "'cy'", &mended),
               "its log is damaged there"));
    CHECK(!mended);
    proofs_close(&proofs);
    nodes_agree(&a, &b, 1);
    close_two(&a, &b);
}

/* An asker that stops in the middle, or says another piece than is next. */
TEST(pieces_that_nobody_goes_on_with_are_let_go)
{
    static uint8_t bytes[1000];
    struct proof_piece piece = {0, 2000000, bytes, sizeof bytes};
    struct effect attest = {.kind = EFFECT_ATTEST, .link = 1};
    struct effect drop = {.kind = EFFECT_DROP_ATTEST, .link = 1};
    struct buffer question;
    struct proofs peers;
    struct copy a, b;

    two(&a, &b, SCHEMA);
    proofs_init(&peers);
    buffer_init(&question, SIZE_MAX);
    proof_write_piece(&question, &piece);
    attest.as.attest.token = drop.as.drop.token = 7;
    attest.as.attest.what = CHECK_PIECE;
    attest.as.attest.bytes = question.data;
    attest.as.attest.size = question.size;
    proofs_take(&peers, b.store, &attest);
    CHECK_INT(turn(&peers, &b).code, ==, GV_OK);
    /* One place: who comes later has it, who is told waits no more. */
    attest.link = 3;
    proofs_take(&peers, b.store, &attest);
    CHECK_INT(turn(&peers, &b).code, ==, GV_OK);
    attest.link = 1;
    store_u32(question.data + 4, 1000); /* the piece behind it */
    proofs_take(&peers, b.store, &attest);
    CHECK_INT(turn(&peers, &b).code, ==, GV_EBUSY);
    attest.link = 3; /* which goes on */
    proofs_take(&peers, b.store, &attest);
    CHECK_INT(turn(&peers, &b).code, ==, GV_OK);
    CHECK(peers.told != NULL || peers.carried != NULL);
    drop.link = 3;
    proofs_take(&peers, b.store, &drop);
    CHECK(peers.told == NULL && peers.carried == NULL);
    /* Longer than any row. */
    store_u32(question.data + 4, 0);
    store_u32(question.data + 8, 1);
    proofs_take(&peers, b.store, &attest);
    CHECK_INT(turn(&peers, &b).code, ==, GV_ELIMIT);
    buffer_close(&question);
    proofs_close(&peers);
    close_two(&a, &b);
}

/* 64 names are more than a question holds. */
TEST(rows_with_long_keys_are_mended_a_few_at_a_time)
{
    struct copy a, b;

    two(&a, &b, SCHEMA);
    sql(&a, "WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i <"
            " 70) INSERT INTO t SELECT hex(zeroblob(2500))||i, i, i FROM n");
    sync_both(&a, &b);
    sql(&a, "UPDATE gv_row_1 SET state = x''");
    mends(&a, &b, 70);
    close_two(&a, &b);
}

/* Questions and answers of any bytes are refused or read without fault. */
TEST(what_makes_no_sense_is_refused)
{
    uint8_t bytes[VV_ENTRY_SIZE * 64];
    uint8_t noise[PROOF_SUMS_SIZE + 8] = {0};
    struct message_check check = {.token = 1, .bytes = noise};
    struct gv_error error = {0};
    struct attest *attest = NULL;
    struct proof *proof;
    struct copy a, b;
    bool stands = false, done;

    equal_files(&a, &b);
    meet_of(&a, &b, bytes, &check.meet);
    check.what = CHECK_SUMS;
    check.size = 7;
    CHECK_INT(attest_begin(b.store, &check, &attest, &error), ==, GV_EPROTO);
    check.size = 16;
    noise[0] = 1; /* places that descend */
    CHECK_INT(attest_begin(b.store, &check, &attest, &error), ==, GV_EPROTO);
    check.what = CHECK_HEADS;
    CHECK_INT(attest_begin(b.store, &check, &attest, &error), ==, GV_EPROTO);
    check.what = CHECK_MEND;
    CHECK_INT(attest_begin(b.store, &check, &attest, &error), ==, GV_EPROTO);
    store_u32(noise, 0);
    noise[4] = 9; /* an item longer than what came */
    CHECK_INT(attest_begin(b.store, &check, &attest, &error), ==, GV_OK);
    CHECK_INT(attest_step(attest, 7, &done, &error), ==, GV_EPROTO);
    attest_free(attest);
    CHECK_INT(
        proof_begin(a.store, check.meet, "b", false, false, &proof, &error),
        ==, GV_OK);
    while (!stands)
        CHECK_INT(proof_step(proof, 100, &stands, &error), ==, GV_OK);
    CHECK_INT(proof_answer(proof, true, noise, PROOF_SUMS_SIZE + 1, &error),
              ==, GV_EPROTO);
    proof_free(proof);
    CHECK_INT(verify_findings(&b, NULL), ==, 0);
    close_two(&a, &b);
}

int main(int argc, char **argv)
{
    return check_main(argc, argv);
}
