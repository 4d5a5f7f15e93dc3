/* Merge algebra on real files: whatever the order, the grouping and the
 * repetition, the same publications give the same fingerprint and rows. */
#include "copies.h"

#include "base/random.h"

#define SITES 3
#define ROUNDS 30
#define CASES 12

static const char schema[] =
    "CREATE TABLE t(id INTEGER PRIMARY KEY, a, b DEFAULT 'd', c)";

static void write_something(struct copy *copy, struct random *random)
{
    char text[200];
    int key = (int)random_below(random, 4);
    int value = (int)random_below(random, 3);

    switch (random_below(random, 5)) {
    case 0:
        snprintf(text, sizeof text, "DELETE FROM t WHERE id = %d", key);
        break;
    case 1:
        snprintf(text, sizeof text,
                 "INSERT OR REPLACE INTO t(id, a) VALUES(%d, %d)", key, value);
        break;
    default:
        snprintf(text, sizeof text,
                 "INSERT INTO t(id, %c) VALUES(%d, %d) ON CONFLICT(id) DO"
                 " UPDATE SET %c = excluded.%c",
                 "abc"[value], key, value, "abc"[value], "abc"[value]);
        break;
    }
    sql(copy, text);
}

static const char *rows(struct copy *copy)
{
    return ask(copy, "SELECT coalesce(group_concat(quote(id)||quote(a)||"
                     "quote(b)||quote(c)), 'empty') FROM"
                     " (SELECT * FROM t ORDER BY id)");
}

TEST(any_order_grouping_and_repetition_gives_the_same_state)
{
    for (uint64_t seed = 1; seed <= CASES; seed++) {
        struct copy writers[SITES], readers[4];
        struct random random;
        char name[64];

        random_seed(&random, seed);
        for (int i = 0; i < SITES; i++) {
            snprintf(name, sizeof name, "w%d-%d", (int)seed, i);
            copy_make(&writers[i], name, schema);
            track(&writers[i], "t");
        }
        for (int i = 0; i < 4; i++) {
            snprintf(name, sizeof name, "r%d-%d", (int)seed, i);
            copy_make(&readers[i], name, schema);
            track(&readers[i], "t");
        }
        for (int round = 0; round < ROUNDS; round++) {
            struct copy *writer = &writers[random_below(&random, SITES)];

            for (uint64_t n = random_below(&random, 4); n > 0; n--)
                write_something(writer, &random);
            seal(writer);
            if (random_below(&random, 3) == 0)
                must_pull(writer, &writers[random_below(&random, SITES)]);
            /* Readers take in between what they like, again and again. */
            if (random_below(&random, 2) == 0)
                must_pull(&readers[random_below(&random, 4)],
                          random_below(&random, 3) == 0
                              ? &readers[random_below(&random, 4)]
                              : writer);
        }
        for (int reader = 0; reader < 4; reader++) {
            int first = (int)random_below(&random, SITES);

            for (int i = 0; i < 2 * SITES; i++)
                must_pull(&readers[reader], &writers[(first + i) % SITES]);
            CHECK_INT(verify_findings(&readers[reader], NULL), ==, 0);
            CHECK(!seal(&readers[reader]).any);
            check_equal(&readers[0], &readers[reader]);
            CHECK_TEXT(rows(&readers[reader]), rows(&readers[0]));
        }
        for (int i = 0; i < SITES; i++) {
            must_pull(&writers[i], &readers[0]);
            check_equal(&writers[i], &readers[0]);
            CHECK_TEXT(rows(&writers[i]), rows(&readers[0]));
            CHECK_INT(verify_findings(&writers[i], NULL), ==, 0);
        }
        for (int i = 0; i < SITES; i++)
            copy_close(&writers[i]);
        for (int i = 0; i < 4; i++)
            copy_close(&readers[i]);
    }
}

int main(int argc, char **argv)
{
    return check_main(argc, argv);
}
