#include "copies.h"

#include "store/changes.h"

#define CONTACTS "CREATE TABLE t(id TEXT PRIMARY KEY, a, b INTEGER DEFAULT 7)"
#define LIST_MAX 64

/* All that @vv lacks of a copy, with its sum and the vector to claim. */
struct set {
    struct changes *changes;
    struct change rows[LIST_MAX];
    const struct change *list[LIST_MAX];
    size_t count;
    struct changes_sum sum;
};

/* Borrowed bytes of a row live until the next one is read. */
static const void *keep(const void *bytes, size_t size)
{
    static uint8_t kept[65536];
    static size_t used;
    uint8_t *at = kept + used;

    CHECK(used + size + 1 <= sizeof kept);
    if (size > 0)
        memcpy(at, bytes, size);
    used += size + 1;
    return at;
}

static void add_up(struct set *set)
{
    set->sum = (struct changes_sum){.count = set->count};
    for (size_t i = 0; i < set->count; i++) {
        set->list[i] = &set->rows[i];
        set->sum.hash += change_hash(&set->rows[i]);
    }
}

static void read_set(struct copy *from, struct vv_view vv, struct set *set)
{
    struct gv_error error = {0};
    struct change *row = set->rows;

    memset(set, 0, sizeof *set);
    CHECK_INT(changes_read(from->store, vv, &set->changes, &error), ==, GV_OK);
    while (changes_next(set->changes, row) > 0) {
        row->table.bytes = keep(row->table.bytes, row->table.size);
        row->key = keep(row->key, row->key_size);
        if (row->column.bytes != NULL)
            row->column.bytes = keep(row->column.bytes, row->column.size);
        if (row->value.size > 0)
            row->value.bytes = keep(row->value.bytes, row->value.size);
        row->over.bytes =
            keep(row->over.bytes, row->over.count * VV_ENTRY_SIZE);
        row++;
        CHECK(++set->count < LIST_MAX);
    }
    add_up(set);
}

static int apply_set(struct copy *to, struct set *set, struct vv_view base)
{
    struct gv_error error = {0};
    int rc = changes_apply(to->store, set->list, set->count, &set->sum, base,
                           changes_claim(set->changes), &error);

    CHECK_INT(error.code, ==, rc);
    CHECK(rc == GV_OK || error.what[0] != '\0');
    return rc;
}

static void pair(struct copy *a, struct copy *b)
{
    static int number;
    char name[32];

    snprintf(name, sizeof name, "changes%d-a", ++number);
    copy_make(a, name, CONTACTS);
    snprintf(name, sizeof name, "changes%d-b", number);
    copy_make(b, name, CONTACTS);
    track(a, "t");
    track(b, "t");
}

TEST(a_delta_taken_apart_is_a_delta_when_put_together)
{
    struct copy a, b;
    struct set set;
    struct vv_view none = {0};

    pair(&a, &b);
    sql(&a,
        "INSERT INTO t VALUES('x', 'v', 1), ('y', NULL, 7), ('z', 2.5, 0)");
    seal(&a);
    sql(&a, "UPDATE t SET a = x'00' WHERE id = 'x';"
            "DELETE FROM t WHERE id = 'y'");
    read_set(&a, none, &set);
    CHECK_INT(set.count, ==, 7); /* one of them is a death */
    CHECK_INT(apply_set(&b, &set, none), ==, GV_OK);
    check_equal(&a, &b);
    CHECK_INT(verify_findings(&b, NULL), ==, 0);
    /* Twice is as good as once. */
    CHECK_INT(apply_set(&b, &set, none), ==, GV_OK);
    check_equal(&a, &b);
    changes_free(set.changes);
    copy_close(&a);
    copy_close(&b);
}

static void kinds_pair(struct copy *a, struct copy *b)
{
    static const struct store_kind list[] = {{"n", COLUMN_COUNTER},
                                             {"m", COLUMN_MV}};
    static const struct store_kinds kinds = {list, 2};
    static int number;

    for (int i = 0; i < 2; i++) {
        struct copy *copy = i == 0 ? a : b;
        struct buffer notes;
        char name[32];

        buffer_init(&notes, 65536);
        snprintf(name, sizeof name, "kinds%d", ++number);
        copy_make(copy, name,
                  "CREATE TABLE t(id TEXT PRIMARY KEY, n INT, m, x)");
        CHECK_INT(store_track_as(copy->store, "t", &kinds, &notes, NULL), ==,
                  GV_OK);
        buffer_close(&notes);
    }
}

/* All that @from has to @to, as changes. */
static void carry(struct copy *from, struct copy *to)
{
    struct set set;
    struct vv_view none = {0};

    read_set(from, none, &set);
    CHECK_INT(apply_set(to, &set, none), ==, GV_OK);
    changes_free(set.changes);
}

TEST(cells_by_site_are_changes_of_their_own)
{
    struct copy a, b, c, d;
    struct set set;
    size_t numbers = 0, siblings = 0, over = 0;

    kinds_pair(&a, &b);
    kinds_pair(&c, &d);
    sql(&a, "INSERT INTO t VALUES('r', 10, 'first', 'x')");
    must_pull(&b, &a);
    sql(&a, "UPDATE t SET n = n + 1, m = 'of a'");
    sql(&b, "UPDATE t SET n = n + 5, m = NULL");
    sync_both(&a, &b);
    read_set(&a, (struct vv_view){0}, &set);
    for (size_t i = 0; i < set.count; i++) {
        const struct text *column = &set.rows[i].column;

        numbers += column->size == 1 && column->bytes[0] == 'n';
        siblings += column->size == 1 && column->bytes[0] == 'm';
        over += set.rows[i].over.count;
    }
    CHECK_INT(numbers, ==, 2);
    CHECK_INT(siblings, ==, 2);
    CHECK_INT(over, ==, 1); /* b's is over a's first; a's own needs no word */
    changes_free(set.changes);
    carry(&a, &c);
    check_equal(&a, &c);
    CHECK_TEXT(ask(&c, "SELECT n FROM t"), "16");
    CHECK_TEXT(ask(&c, "SELECT count(*) FROM gv_siblings"), "2");
    CHECK_INT(verify_findings(&c, NULL), ==, 0);
    /* What is written over both there comes back the same way. */
    sql(&c, "UPDATE t SET n = n + 100, m = 'of c'");
    carry(&c, &d);
    carry(&c, &b);
    check_equal(&c, &b);
    check_equal(&c, &d);
    CHECK_TEXT(ask(&b, "SELECT n||m FROM t"), "116of c");
    CHECK_TEXT(ask(&b, "SELECT count(*) FROM gv_siblings"), "1");
    sql(&b, "DELETE FROM t");
    carry(&b, &a);
    check_equal(&a, &b);
    copy_close(&a);
    copy_close(&b);
    copy_close(&c);
    copy_close(&d);
}

static void spoil_cell(struct copy *to, struct set *set, struct change *row,
                       struct change as)
{
    struct change before = *row;

    *row = as;
    add_up(set);
    CHECK_INT(apply_set(to, set, (struct vv_view){0}), ==, GV_EPROTO);
    *row = before;
    add_up(set);
}

TEST(cells_that_are_none_are_refused)
{
    struct copy a, b;
    struct set set;

    kinds_pair(&a, &b);
    sql(&a, "INSERT INTO t VALUES('r', 10, 'first', 'x')");
    must_pull(&b, &a);
    sql(&b, "UPDATE t SET m = 'second', n = 3, x = 'y'");
    read_set(&b, (struct vv_view){0}, &set);
    for (size_t i = 0; i < set.count; i++) {
        struct change *row = &set.rows[i], as = *row;
        const struct vv_view over = {
            (const uint8_t *)"0123456789abcdef\0\0\0\0\0\0\0\1", 1};

        if (row->column.bytes == NULL)
            continue;
        if (row->column.bytes[0] != 'm') {
            as.over = over;
            spoil_cell(&a, &set, row, as);
            as = *row;
        }
        if (row->column.bytes[0] == 'n') {
            as.value = (struct value){.class = VALUE_REAL, .real = 1};
            spoil_cell(&a, &set, row, as);
            as = *row;
        }
        if (row->column.bytes[0] != 'x') {
            as.hollow = true;
            spoil_cell(&a, &set, row, as);
        }
    }
    CHECK_INT(verify_findings(&a, NULL), ==, 0);
    CHECK_INT(apply_set(&a, &set, (struct vv_view){0}), ==, GV_OK);
    check_equal(&a, &b);
    changes_free(set.changes);
    copy_close(&a);
    copy_close(&b);
}

TEST(a_hollow_cell_goes_as_its_digest)
{
    struct copy a, b;
    struct set set;
    struct vv_view none = {0};
    uint64_t digest;

    pair(&a, &b);
    sql(&a, "INSERT INTO t VALUES('x', 'v', 1)");
    read_set(&a, none, &set);
    digest = value_digest(&set.rows[1].value);
    set.rows[1].hollow = true;
    set.rows[1].digest = digest;
    set.rows[1].value = (struct value){.class = VALUE_NULL};
    add_up(&set);
    CHECK_INT(apply_set(&b, &set, none), ==, GV_OK);
    check_equal(&a, &b);
    CHECK_TEXT(ask(&b, "SELECT quote(a) || b FROM t"), "NULL1");
    changes_free(set.changes);
    read_set(&b, none, &set);
    CHECK(set.rows[1].hollow && !set.rows[2].hollow);
    CHECK(set.rows[1].digest == digest);
    changes_free(set.changes);
    copy_close(&a);
    copy_close(&b);
}

/* What a hostile hand may do to a set, with a sum that fits it. */

static void other_table(struct set *set)
{
    set->rows[1].table = (struct text){"unknown", 7};
}

static void other_column(struct set *set)
{
    set->rows[1].column = (struct text){"unknown", 7};
}

static void key_cut(struct set *set)
{
    for (size_t i = 0; i < set->count; i++)
        set->rows[i].key_size--;
}

static void no_key(struct set *set)
{
    set->rows[0].key_size = 0;
}

static void two_lengths(struct set *set)
{
    set->rows[1].causal_length += 2;
}

static void dead_with_values(struct set *set)
{
    for (size_t i = 0; i < set->count; i++)
        set->rows[i].causal_length = 2;
}

static void no_existence(struct set *set)
{
    set->rows[0] = set->rows[--set->count];
}

static void beyond_the_claim(struct set *set)
{
    set->rows[1].version += 5;
}

static void unknown_site(struct set *set)
{
    set->rows[1].site.bytes[3] ^= 1;
}

/* More writers of one cell than a row has cells at all. */
static void one_cell_often(struct set *set)
{
    while (set->count < LIST_MAX) {
        set->rows[set->count] = set->rows[1];
        set->rows[set->count].version -= set->count;
        set->count++;
    }
}

static void sum_unlike(struct set *set)
{
    set->sum.hash++;
}

static void one_less(struct set *set)
{
    set->count--;
}

TEST(a_set_that_is_no_delta_is_refused_and_leaves_nothing)
{
    static const struct {
        void (*spoil)(struct set *set);
        bool summed_again;
        int expected;
    } cases[] = {
        {other_table, true, GV_ESCHEMA}, {other_column, true, GV_ESCHEMA},
        {key_cut, true, GV_EPROTO},      {no_key, true, GV_EPROTO},
        {two_lengths, true, GV_EPROTO},  {dead_with_values, true, GV_EPROTO},
        {no_existence, true, GV_EPROTO}, {beyond_the_claim, true, GV_EPROTO},
        {unknown_site, true, GV_EPROTO}, {one_cell_often, true, GV_EPROTO},
        {sum_unlike, false, GV_EPROTO},  {one_less, false, GV_EPROTO},
    };
    struct copy a, b;
    struct set set;
    struct vv_view none = {0};

    pair(&a, &b);
    sql(&a, "INSERT INTO t VALUES('x', 'v', 1)");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        read_set(&a, none, &set);
        CHECK_INT(set.count, ==, 3);
        cases[i].spoil(&set);
        if (cases[i].summed_again)
            add_up(&set);
        fprintf(stderr, "case %zu\n", i);
        CHECK_INT(apply_set(&b, &set, none), ==, cases[i].expected);
        CHECK_TEXT(ask(&b, "SELECT count(*) FROM t"), "0");
        CHECK_TEXT(ask(&b, "SELECT count(*) FROM gv_ver"), "0");
        CHECK_INT(store_vv(b.store)->count, ==, 0);
        changes_free(set.changes);
    }
    must_pull(&b, &a);
    check_equal(&a, &b);
    copy_close(&a);
    copy_close(&b);
}

TEST(changes_for_one_who_holds_more_are_refused)
{
    struct copy a, b;
    struct set set;
    struct vv_view base;
    uint8_t bytes[VV_ENTRY_SIZE * 8];

    pair(&a, &b);
    sql(&a, "INSERT INTO t VALUES('x', 'v', 1)");
    seal(&a);
    view_of(store_vv(a.store), bytes, &base);
    sql(&a, "UPDATE t SET a = 'w'");
    read_set(&a, base, &set);
    CHECK_INT(set.count, ==, 1);
    CHECK_INT(apply_set(&b, &set, base), ==, GV_EGAP);
    CHECK_INT(store_vv(b.store)->count, ==, 0);
    changes_free(set.changes);
    copy_close(&a);
    copy_close(&b);
}

int main(int argc, char **argv)
{
    return check_main(argc, argv);
}
