/* Merge algebra on real files: whatever the order, the grouping and the
 * repetition, the same publications give the same fingerprint and rows. */
#include "copies.h"

#include "base/random.h"
#include "wire/stream.h"

#define SITES 3
#define ROUNDS 30
#define CASES 40

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

#define ITEMS_MAX 4096

/* The items of @extract, its names first and in their order, its rows
 * shuffled and some of them twice, staged at @to under @token. */
static void stage_shuffled(struct copy *to, struct extract *extract,
                           uint64_t token, struct random *random)
{
    size_t size = (size_t)extract_size(extract), at = 0, row_count = 0;
    uint8_t *bytes = malloc(size + 1);
    size_t *rows = malloc(ITEMS_MAX * sizeof *rows);
    uint64_t staged = 0;

    CHECK_INT(extract_read(extract, 0, bytes, size), ==, GV_OK);
    CHECK_INT(store_stage(to->store, token, 0, NULL, 0), ==, GV_OK);
    while (at < size) {
        size_t length = load_u32(bytes + at) + STREAM_HEADER_SIZE;
        struct stream_item item;

        CHECK_INT(stream_decode(bytes + at + STREAM_HEADER_SIZE,
                                length - STREAM_HEADER_SIZE, &item),
                  ==, GV_OK);
        if (item.kind == STREAM_ROW) {
            for (uint64_t n = random_below(random, 2) + 1; n > 0; n--) {
                CHECK_INT(row_count, <, ITEMS_MAX);
                rows[row_count++] = at;
            }
        } else {
            CHECK_INT(
                store_stage(to->store, token, staged, bytes + at, length), ==,
                GV_OK);
            staged += length;
        }
        at += length;
    }
    for (size_t i = row_count; i > 1; i--) {
        size_t other = (size_t)random_below(random, i);
        size_t kept = rows[i - 1];

        rows[i - 1] = rows[other];
        rows[other] = kept;
    }
    for (size_t i = 0; i < row_count; i++) {
        size_t length = load_u32(bytes + rows[i]) + STREAM_HEADER_SIZE;

        CHECK_INT(
            store_stage(to->store, token, staged, bytes + rows[i], length), ==,
            GV_OK);
        staged += length;
    }
    free(bytes);
    free(rows);
}

/* Copies @from's rows to @to in a random order with repetitions. */
static void pull_shuffled(struct copy *to, struct copy *from,
                          struct random *random)
{
    static uint64_t token = 1u << 20;
    uint8_t bytes[VV_ENTRY_SIZE * 16];
    struct gv_error error = {0};
    struct store_sealed sealed;
    struct extract *extract;
    struct vv_view view;

    view_of(store_vv(to->store), bytes, &view);
    CHECK_INT(extract_whole(from, view, &extract, &error), ==, GV_OK);
    stage_shuffled(to, extract, ++token, random);
    CHECK_INT(store_begin(to->store, &error), ==, GV_OK);
    CHECK_INT(
        store_apply_delta(to->store, token, extract_claim(extract), &error),
        ==, GV_OK);
    CHECK_INT(store_commit(to->store, &sealed, &error), ==, GV_OK);
    extract_free(extract);
}

TEST(any_permutation_and_repetition_of_a_batch_gives_the_same_state)
{
    for (uint64_t seed = 1; seed <= CASES; seed++) {
        struct copy a, b, c;
        struct random random;
        char name[64];

        random_seed(&random, 1000 + seed);
        snprintf(name, sizeof name, "p%d-a", (int)seed);
        copy_make(&a, name, schema);
        snprintf(name, sizeof name, "p%d-b", (int)seed);
        copy_make(&b, name, schema);
        snprintf(name, sizeof name, "p%d-c", (int)seed);
        copy_make(&c, name, schema);
        track(&a, "t");
        track(&b, "t");
        track(&c, "t");
        for (int round = 0; round < 40; round++) {
            write_something(&a, &random);
            write_something(&b, &random);
            seal(&a);
            seal(&b);
            if (random_below(&random, 8) == 0)
                pull_shuffled(&a, &b, &random);
            if (random_below(&random, 8) == 0)
                pull_shuffled(&c, &a, &random);
        }
        pull_shuffled(&c, &b, &random);
        pull_shuffled(&c, &a, &random);
        pull_shuffled(&a, &c, &random);
        pull_shuffled(&b, &c, &random);
        check_equal(&a, &b);
        check_equal(&a, &c);
        CHECK_TEXT(rows(&a), rows(&b));
        CHECK_TEXT(rows(&a), rows(&c));
        CHECK_INT(verify_findings(&c, NULL), ==, 0);
        copy_close(&a);
        copy_close(&b);
        copy_close(&c);
    }
}

int main(int argc, char **argv)
{
    return check_main(argc, argv);
}
