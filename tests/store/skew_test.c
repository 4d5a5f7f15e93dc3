/* Nodes whose tables differ, whatever is written and exchanged: equal vectors
 * are equal logs, verify finds nothing, nobody publishes what nobody wrote;
 * and once all have the same table, all show the same rows.  SEED and CASES
 * in the environment choose which cases are run. */
#include "copies.h"

#include "base/random.h"

#define NODES 3
#define COLUMNS 3

static struct random dice;

static unsigned roll(unsigned below)
{
    return (unsigned)random_below(&dice, below);
}

static const char *const types[] = {"", "INTEGER", "TEXT", "REAL"};
static const char *const key_types[] = {"", "TEXT", "INT"};
static const char *const values[] = {"NULL", "1",      "'1'",    "1.0",
                                     "-0.0", "'x'",    "x'31'",  "2",
                                     "0.1",  "'2.50'", "'long'", "7"};
static const char *const keys[] = {"1", "'1'", "'a'", "'b'", "2"};

#define PICK(list) list[roll(sizeof(list) / sizeof *(list))]

/* A table with the key and some columns, each of any type; a column that it
 * lacks is registered, as when a peer's definition came. */
static void make_skewed(struct copy *copy, unsigned number, bool has[COLUMNS])
{
    static unsigned made;
    char text[512], name[32];
    size_t used;

    used = (size_t)snprintf(text, sizeof text, "CREATE TABLE t(id %s",
                            PICK(key_types));
    for (int i = 0; i < COLUMNS; i++) {
        has[i] = roll(3) > 0;
        if (has[i])
            used += (size_t)snprintf(text + used, sizeof text - used,
                                     ",c%d %s%s", i, PICK(types),
                                     roll(6) == 0 ? " NOT NULL" : "");
    }
    snprintf(text + used, sizeof text - used, ", PRIMARY KEY(id))");
    snprintf(name, sizeof name, "skew%u-%u", ++made, number);
    copy_make(copy, name, text);
    track(copy, "t");
    if (roll(4) == 0 && has[0])
        sql(copy, "CREATE UNIQUE INDEX one ON t(c0)");
    for (int i = 0; i < COLUMNS; i++) {
        snprintf(text, sizeof text,
                 "INSERT INTO gv_col(tbl, bit, wire, kind, type) SELECT 1,"
                 " 1 + count(*), 'c%d', 'lww', '' FROM gv_col WHERE bit > 0",
                 i);
        if (!has[i])
            sql(copy, text);
    }
    sql(copy, "CREATE TABLE moved(x)");
    seal(copy);
}

/* A statement that may be refused by the node's own constraints. */
static void write_something(struct copy *copy, const bool has[COLUMNS])
{
    char text[256];
    unsigned column = roll(COLUMNS);
    const char *key = PICK(keys);

    if (roll(5) == 0)
        snprintf(text, sizeof text, "DELETE FROM t WHERE id = %s", key);
    else if (!has[column] || roll(3) == 0)
        snprintf(text, sizeof text, "INSERT OR IGNORE INTO t(id) VALUES(%s)",
                 key);
    else
        snprintf(text, sizeof text,
                 "UPDATE OR IGNORE t SET c%u = %s WHERE id = %s", column,
                 PICK(values), key);
    sqlite3_exec(copy->app, text, NULL, NULL, NULL);
}

/* Everybody gets what everybody has; nobody has anything new to say. */
static void settle_all(struct copy *nodes)
{
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < NODES; i++)
            must_pull(&nodes[(i + 1) % NODES], &nodes[i]);
    for (int i = 0; i < NODES; i++) {
        CHECK(!seal(&nodes[i]).any);
        CHECK_INT(verify_findings(&nodes[i], NULL), ==, 0);
        check_equal(&nodes[0], &nodes[i]);
    }
}

/* The same table everywhere, the way migrations do it. */
static void agree(struct copy *copy, const bool has[COLUMNS])
{
    char columns[64] = "id";
    char text[512];

    for (int i = 0; i < COLUMNS; i++)
        if (has[i])
            snprintf(columns + strlen(columns),
                     sizeof columns - strlen(columns), ",c%d", i);
    snprintf(text, sizeof text,
             "BEGIN; CREATE TABLE made(id PRIMARY KEY, c0, c1, c2);"
             "INSERT INTO made(%s) SELECT %s FROM t; DROP TABLE t;"
             "ALTER TABLE made RENAME TO t; COMMIT",
             columns, columns);
    sql(copy, text);
    seal(copy);
    CHECK_INT(audit_now(copy), ==, 0);
    seal(copy);
}

#define ROWS                                                                  \
    "SELECT coalesce(group_concat(quote(id)||quote(c0)||quote(c1)||"          \
    "quote(c2)), '') FROM (SELECT * FROM t ORDER BY typeof(id), id)"

static void play(void)
{
    struct copy nodes[NODES];
    bool has[NODES][COLUMNS];

    for (unsigned i = 0; i < NODES; i++)
        make_skewed(&nodes[i], i, has[i]);
    for (unsigned step = 10 + roll(30); step > 0; step--) {
        unsigned who = roll(NODES);

        if (roll(3) > 0)
            write_something(&nodes[who], has[who]);
        else
            must_pull(&nodes[who], &nodes[(who + 1 + roll(2)) % NODES]);
    }
    settle_all(nodes);
    for (int i = 0; i < NODES; i++)
        agree(&nodes[i], has[i]);
    settle_all(nodes);
    for (int i = 0; i < NODES; i++) {
        CHECK_TEXT(ask(&nodes[i], ROWS), ask(&nodes[0], ROWS));
        CHECK_TEXT(ask(&nodes[i], "SELECT count(*) FROM gv_parked"), "0");
    }
    for (int i = 0; i < NODES; i++)
        copy_close(&nodes[i]);
}

TEST(equal_vectors_are_equal_logs_whatever_the_tables_can_show)
{
    const char *seed = getenv("SEED"), *cases = getenv("CASES");
    unsigned long first = seed == NULL ? 1 : strtoul(seed, NULL, 10);
    unsigned long count = cases == NULL ? 40 : strtoul(cases, NULL, 10);

    for (unsigned long i = first; i < first + count; i++) {
        printf("seed %lu\n", i);
        fflush(stdout);
        random_seed(&dice, i);
        play();
        copies_remove();
    }
}

int main(int argc, char **argv)
{
    return check_main(argc, argv);
}
