/* The journal handed out a slice at a time: each key once, in key order, and
 * no row is deleted but those that were read. */
#include "copies.h"

#include "store/journal.h"
#include "store/keys.h"
#include "store/schema.h"

static struct copy a;

static void make(const char *name)
{
    copy_make(&a, name,
              "CREATE TABLE t(id TEXT PRIMARY KEY, n INT);"
              "CREATE TABLE u(id INTEGER PRIMARY KEY)");
    track(&a, "t");
    track(&a, "u");
    sql(&a, "INSERT INTO t VALUES('c', 1), ('a', 1), ('b', 1);"
            "INSERT INTO u VALUES(7), (-7);"
            "UPDATE t SET n = 2 WHERE id = 'c'");
}

static void load(struct journal *journal)
{
    CHECK_INT(journal_load(a.store, journal), ==, GV_OK);
}

/* A transaction as a seal's, which has not read the journal. */
static void begin(void)
{
    sqlite3_exec(a.store->db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
    a.store->in_transaction = true;
}

static void commit(void)
{
    a.store->in_transaction = false;
    sqlite3_exec(a.store->db, "COMMIT", NULL, NULL, NULL);
}

/* "t 'a', t 'b'": the next @count keys from @at on. */
static const char *next_keys(struct journal *journal, size_t *at, int count)
{
    static char text[400];
    size_t used = 0;

    text[0] = '\0';
    for (int i = 0; i < count; i++) {
        const struct journal_entry *entry = journal_next(journal, at);
        struct row_key key;
        char name[100] = "none";

        if (entry != NULL) {
            CHECK_INT(row_key_decode(&key, journal->keys.data + entry->key_at,
                                     entry->key_size, entry->table->key_count),
                      ==, GV_OK);
            row_name(entry->table, &key, name, sizeof name);
        }
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%s",
                                 i == 0 ? "" : ", ", name);
    }
    return text;
}

#define LEFT "SELECT group_concat(id) FROM gv_journal"

TEST(keys_come_in_order_and_go_a_slice_at_a_time)
{
    struct journal journal;
    size_t at;

    make("slices");
    journal_init(&journal);
    begin();
    load(&journal);
    at = journal.done;
    CHECK_TEXT(next_keys(&journal, &at, 3), "t 'a', t 'b', t 'c'");
    CHECK_INT(journal_delete(a.store, &journal, at), ==, GV_OK);
    commit();
    CHECK_TEXT(ask(&a, LEFT), "4,5");
    begin();
    CHECK_TEXT(next_keys(&journal, &at, 3), "u -7, u 7, none");
    CHECK_INT(journal_delete(a.store, &journal, at), ==, GV_OK);
    commit();
    CHECK_TEXT(ask(&a, LEFT), "(null)");
    journal_close(&journal);
    copy_close(&a);
}

TEST(what_is_written_between_slices_stays_and_comes_with_the_next_load)
{
    struct journal journal;
    size_t at;

    make("between");
    journal_init(&journal);
    begin();
    load(&journal);
    at = journal.done;
    CHECK_TEXT(next_keys(&journal, &at, 2), "t 'a', t 'b'");
    CHECK_INT(journal_delete(a.store, &journal, at), ==, GV_OK);
    commit();
    sql(&a, "UPDATE t SET n = 3 WHERE id <> 'b'; INSERT INTO u VALUES(0)");
    begin();
    load(&journal);
    at = journal.done;
    CHECK_TEXT(next_keys(&journal, &at, 6),
               "t 'a', t 'c', u -7, u 0, u 7, none");
    CHECK_INT(journal_delete(a.store, &journal, at), ==, GV_OK);
    commit();
    CHECK_TEXT(ask(&a, LEFT), "(null)");
    journal_close(&journal);
    copy_close(&a);
}

TEST(rows_of_a_suspended_table_stay_and_come_when_it_is_lifted)
{
    struct journal journal;
    struct store_table *u;
    size_t at;

    make("suspended");
    u = schema_by_local(a.store, "u");
    journal_init(&journal);
    begin();
    load(&journal);
    u->suspended = true; /* since it was read */
    at = journal.done;
    CHECK_TEXT(next_keys(&journal, &at, 4), "t 'a', t 'b', t 'c', none");
    CHECK_INT(journal_delete(a.store, &journal, at), ==, GV_OK);
    CHECK_TEXT(ask(&a, LEFT), "1,2,3,4,5,6");
    load(&journal);
    at = journal.done;
    CHECK_TEXT(next_keys(&journal, &at, 1), "none");
    u->suspended = false;
    load(&journal);
    at = journal.done;
    CHECK_TEXT(next_keys(&journal, &at, 3), "u -7, u 7, none");
    CHECK_INT(journal_delete(a.store, &journal, at), ==, GV_OK);
    commit();
    CHECK_TEXT(ask(&a, LEFT), "(null)");
    journal_close(&journal);
    copy_close(&a);
}

TEST(other_tables_in_memory_make_it_begin_anew)
{
    struct journal journal;
    size_t at;

    make("anew");
    journal_init(&journal);
    begin();
    load(&journal);
    commit();
    sql(&a, "DROP TABLE u; INSERT INTO t VALUES('d', 1)");
    CHECK_INT(schema_refresh(a.store, false, NULL), ==, GV_OK);
    begin();
    load(&journal);
    at = journal.done;
    CHECK_TEXT(next_keys(&journal, &at, 5),
               "t 'a', t 'b', t 'c', t 'd', none");
    commit();
    journal_close(&journal);
    copy_close(&a);
}

int main(int argc, char **argv)
{
    return check_main(argc, argv);
}
