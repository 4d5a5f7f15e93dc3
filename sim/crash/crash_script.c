#include "crash_script.h"

#include "base/random.h"

#include <sqlite3.h>

const char *const crash_script_tables[3] = {"contacts", "items", "done"};

static int draw(struct random *random, int bound)
{
    return (int)random_below(random, (uint64_t)bound);
}

static void contacts_statement(struct random *random, int n, sqlite3_str *sql)
{
    int key = draw(random, 20);

    switch (draw(random, 5)) {
    case 0:
    case 1:
        sqlite3_str_appendf(sql,
                            "INSERT INTO contacts(id,name,phone) VALUES"
                            "('k%d','name %d',%d) ON CONFLICT(id) DO UPDATE"
                            " SET name=excluded.name;",
                            key, n, draw(random, 1000));
        break;
    case 2:
        sqlite3_str_appendf(
            sql, "UPDATE contacts SET phone='%d' WHERE id='k%d';", n, key);
        break;
    case 3:
        sqlite3_str_appendf(sql,
                            "UPDATE contacts SET note='note %d' WHERE id"
                            " LIKE 'k%d%%';",
                            n, key % 3);
        break;
    default:
        sqlite3_str_appendf(sql, "DELETE FROM contacts WHERE id='k%d';", key);
        break;
    }
}

static void items_statement(struct random *random, int n, sqlite3_str *sql)
{
    int key = draw(random, 40);

    switch (draw(random, 5)) {
    case 0:
    case 1:
        sqlite3_str_appendf(
            sql,
            "WITH RECURSIVE r(i) AS (SELECT %d UNION ALL SELECT i+1 FROM r"
            " WHERE i<%d) INSERT OR IGNORE INTO items"
            " SELECT i,%d,i/7.0,zeroblob(i) FROM r;",
            key, key + draw(random, 6), n);
        break;
    case 2:
        sqlite3_str_appendf(sql,
                            "UPDATE items SET a=a+%d, b=a/3.0 WHERE"
                            " id%%5=%d;",
                            n, key % 5);
        break;
    case 3: /* more than a page */
        sqlite3_str_appendf(sql,
                            "UPDATE items SET c=zeroblob(%d) WHERE id=%d;",
                            1000 + draw(random, 4000), key);
        break;
    default:
        sqlite3_str_appendf(sql,
                            "DELETE FROM items WHERE id BETWEEN %d AND"
                            " %d;",
                            key, key + draw(random, 6));
        break;
    }
}

char *crash_script_transaction(uint64_t seed, int n)
{
    sqlite3_str *sql = sqlite3_str_new(NULL);
    struct random random;
    int count;

    random_seed(&random, seed * 1000003 + (uint64_t)n);
    count = 1 + draw(&random, 3);
    sqlite3_str_appendf(sql, "BEGIN IMMEDIATE;");
    for (int i = 0; i < count; i++) {
        if (draw(&random, 2) == 0)
            contacts_statement(&random, n, sql);
        else
            items_statement(&random, n, sql);
    }
    sqlite3_str_appendf(sql,
                        "INSERT INTO done VALUES(%d);"
                        "INSERT INTO ledger VALUES(%d);COMMIT",
                        n, n);
    return sqlite3_str_finish(sql);
}
