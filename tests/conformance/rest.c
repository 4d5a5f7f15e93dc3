#include "rest.h"

#include "base/assert.h"
#include "send.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The query for all rows of @table that are shared: those without NULL in
 * their key.  A real in a key that is exactly an integer is that integer. */
static char *rows_sql(struct replica *replica, const char *table)
{
    static const char text[] =
        "SELECT 'SELECT '||group_concat(CASE WHEN pk THEN printf("
        "'CASE WHEN \"%%w\"=CAST(\"%%w\" AS INT) THEN CAST(\"%%w\" AS INT)"
        " ELSE \"%%w\" END',name,name,name,name)"
        " ELSE printf('\"%%w\"',name) END)"
        "||printf(' FROM \"%%w\" WHERE 1',%Q)"
        "||group_concat(CASE WHEN pk THEN printf(' AND \"%%w\" NOT NULL',"
        "name) ELSE '' END,'')||' ORDER BY 1'"
        "||CASE WHEN count(*)>1 THEN ',2' ELSE '' END FROM "
        "pragma_table_info(%Q)";
    sqlite3_stmt *statement;
    char *sql = sqlite3_mprintf(text, table, table), *made;

    GV_ASSERT(sqlite3_prepare_v2(replica->look, sql, -1, &statement, NULL) ==
              SQLITE_OK);
    GV_ASSERT(sqlite3_step(statement) == SQLITE_ROW);
    made = sqlite3_mprintf("%s", sqlite3_column_text(statement, 0));
    sqlite3_finalize(statement);
    sqlite3_free(sql);
    return made;
}

static void compare_tables(struct run *run, struct replica *a,
                           struct replica *b)
{
    static const char names_sql[] =
        "SELECT name FROM sqlite_schema WHERE type='table' AND name NOT LIKE"
        " 'gv_%' AND name NOT LIKE 'sqlite_%' ORDER BY name";
    sqlite3_stmt *names;

    GV_ASSERT(sqlite3_prepare_v2(a->look, names_sql, -1, &names, NULL) ==
              SQLITE_OK);
    while (sqlite3_step(names) == SQLITE_ROW) {
        char *sql = rows_sql(a, (const char *)sqlite3_column_text(names, 0));
        char *rows = replica_ask(a, sql), *others = replica_ask(b, sql);

        if (strcmp(rows, others) != 0)
            run_fail(run, "%c and %c differ: %s and %s", a->letter, b->letter,
                     rows, others);
        free(rows);
        free(others);
        sqlite3_free(sql);
    }
    sqlite3_finalize(names);
}

static void check_pair(struct run *run, struct replica *a, struct replica *b)
{
    static const char schema_sql[] =
        "SELECT sql FROM sqlite_schema WHERE type='table' AND name NOT LIKE"
        " 'gv_%' ORDER BY name";
    char *schema, *other;

    if (store_vv(a->store)->hash != store_vv(b->store)->hash)
        run_fail(run, "%c and %c have unequal vectors", a->letter, b->letter);
    else if (!hash128_equal(store_fingerprint(a->store),
                            store_fingerprint(b->store)))
        run_fail(run, "%c and %c have equal vectors and unequal fingerprints",
                 a->letter, b->letter);
    schema = replica_ask(a, schema_sql);
    other = replica_ask(b, schema_sql);
    if (strcmp(schema, other) == 0)
        compare_tables(run, a, b);
    free(schema);
    free(other);
}

void rest_equal(struct run *run, const char *letters)
{
    for (size_t i = 1; letters[i] != '\0' && !run->failed; i++)
        check_pair(run, run_replica(run, letters[0]),
                   run_replica(run, letters[i]));
}

static void check_nothing_for(struct run *run, struct replica *from,
                              const struct replica *to)
{
    struct gv_error error = {0};
    struct delta delta;

    if (delta_want(&delta, from->store, store_vv(to->store), &error) !=
        GV_OK) {
        run_fail(run, "%c gives no delta: %s", from->letter, error.what);
        return;
    }
    if (delta.bytes.size > 0)
        run_fail(run, "%c has %zu bytes left to send to %c", from->letter,
                 delta.bytes.size, to->letter);
    delta_close(&delta);
}

/* Where the vectors are equal, one asker stands for all. */
void rest_quiet(struct run *run, const char *letters)
{
    size_t total = run->publication_count, count = strlen(letters);

    for (size_t i = 0; i < count && !run->failed; i++) {
        struct replica *from = run_replica(run, letters[i]);

        send_must_seal(run, from);
        if (run->publication_count != total)
            run_fail(run, "%c has something left to publish", letters[i]);
        check_nothing_for(run, from,
                          run_replica(run, letters[(i + 1) % count]));
    }
}

static void keep_finding(void *context, const struct store_finding *finding)
{
    char *last = context;

    snprintf(last, 600, "%s %s: %s", finding->table, finding->key,
             finding->text);
}

void rest_verify(struct run *run, struct replica *replica, uint64_t findings)
{
    struct store_verified verified = {0};
    struct gv_error error = {0};
    char last[600] = "";

    if (store_verify(replica->store, keep_finding, last, &verified, &error) !=
        GV_OK)
        run_fail(run, "%c: verify: %s", replica->letter, error.what);
    else if (verified.findings != findings)
        run_fail(run, "%c: verify finds %llu things, not %llu: %s",
                 replica->letter, (unsigned long long)verified.findings,
                 (unsigned long long)findings, last);
}
