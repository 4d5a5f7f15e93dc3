/* Which cells of a multi-value column count: the examples, then the algebra
 * over histories of writers who saw parts of one another. */
#include "base/error.h"
#include "base/random.h"
#include "check.h"
#include "core/siblings.h"

#define SITES 4
#define CELLS 64

static const struct site sites[SITES] = {{{9}}, {{5, 1}}, {{5}}, {{1, 200}}};

/* A cell with its own memory. */
struct kept {
    size_t site;
    gv_version version;
    uint8_t over[SITES * VV_ENTRY_SIZE];
    size_t over_count;
};

/* What one replica holds. */
struct replica {
    struct kept cells[CELLS];
    size_t count;
};

static void view(const struct replica *replica, struct sibling *cells)
{
    for (size_t i = 0; i < replica->count; i++) {
        const struct kept *kept = &replica->cells[i];

        cells[i] = (struct sibling){
            .site = &sites[kept->site],
            .version = kept->version,
            .over = {kept->over, kept->over_count},
        };
    }
}

/* Bring @from's cells to @to, and keep those that count. */
static void meet(struct replica *to, const struct replica *from)
{
    struct sibling cells[CELLS];
    size_t kept = 0;

    for (size_t i = 0; i < from->count; i++) {
        bool known = false;

        for (size_t j = 0; j < to->count; j++)
            known |= to->cells[j].site == from->cells[i].site &&
                     to->cells[j].version == from->cells[i].version;
        if (!known)
            to->cells[to->count++] = from->cells[i];
    }
    view(to, cells);
    siblings_judge(cells, to->count);
    for (size_t i = 0; i < to->count; i++)
        if (!cells[i].dead)
            to->cells[kept++] = to->cells[i];
    to->count = kept;
}

/* @site writes over all that @replica holds. */
static void assign(struct replica *replica, size_t site, gv_version version)
{
    struct sibling cells[CELLS];
    struct replica written = {.count = 1};
    struct kept *kept = &written.cells[0];
    struct vv over;

    view(replica, cells);
    vv_init(&over);
    CHECK_INT(siblings_over(cells, replica->count, &sites[site], &over), ==,
              GV_OK);
    kept->site = site;
    kept->version = version;
    kept->over_count = over.count;
    for (size_t i = 0; i < over.count; i++)
        vv_entry_store(&over.entries[i], kept->over + i * VV_ENTRY_SIZE);
    vv_close(&over);
    meet(replica, &written);
    CHECK_INT(replica->count, ==, 1);
}

static bool has(const struct replica *replica, size_t site, gv_version version)
{
    for (size_t i = 0; i < replica->count; i++)
        if (replica->cells[i].site == site &&
            replica->cells[i].version == version)
            return true;
    return false;
}

static bool same(const struct replica *a, const struct replica *b)
{
    for (size_t i = 0; i < a->count; i++)
        if (!has(b, a->cells[i].site, a->cells[i].version))
            return false;
    return a->count == b->count;
}

TEST(two_who_write_apart_are_both_kept_and_the_larger_is_shown)
{
    struct replica a = {.count = 0}, b = {.count = 0};
    struct sibling cells[CELLS];

    assign(&a, 0, 10);
    assign(&b, 1, 10);
    meet(&a, &b);
    CHECK_INT(a.count, ==, 2);
    view(&a, cells);
    siblings_judge(cells, a.count);
    CHECK_INT(a.cells[siblings_shown(cells, a.count)].site, ==, 0);
    CHECK_INT(siblings_shown(cells, 0), ==, 0);
}

TEST(who_saw_both_replaces_both_and_neither_comes_back)
{
    struct replica a = {.count = 0}, b = {.count = 0}, old;

    assign(&a, 0, 10);
    assign(&b, 1, 11);
    old = a;
    meet(&b, &a);
    assign(&b, 1, 12);
    meet(&a, &b);
    CHECK_INT(a.count, ==, 1);
    CHECK(has(&a, 1, 12));
    meet(&a, &old);
    CHECK_INT(a.count, ==, 1);
}

TEST(what_was_replaced_stays_replaced_by_all_that_follows)
{
    struct replica a = {.count = 0}, c = {.count = 0}, old;

    assign(&a, 0, 10);
    old = a;
    assign(&a, 1, 11);
    assign(&a, 2, 12);
    assign(&a, 3, 13);
    meet(&c, &old);
    meet(&c, &a);
    CHECK_INT(c.count, ==, 1);
    CHECK(has(&c, 3, 13));
}

/* Writers at random replicas, who hear of one another at random. */
static void random_history(struct replica *replicas, size_t count,
                           struct random *random)
{
    memset(replicas, 0, count * sizeof *replicas);
    for (gv_version version = 1; version < 20; version++) {
        size_t at = random_below(random, SITES);

        if (random_below(random, 2) == 0)
            assign(&replicas[at], at, version);
        else
            meet(&replicas[at], &replicas[random_below(random, count)]);
    }
}

TEST(meeting_is_commutative_associative_and_idempotent)
{
    struct random random;

    random_seed(&random, 46);
    for (int i = 0; i < 20000; i++) {
        struct replica r[SITES], ab, ba, left, right;

        random_history(r, SITES, &random);
        ab = r[0];
        meet(&ab, &r[1]);
        ba = r[1];
        meet(&ba, &r[0]);
        CHECK(same(&ab, &ba));
        left = ab;
        meet(&left, &r[2]);
        right = r[1];
        meet(&right, &r[2]);
        meet(&right, &r[0]);
        CHECK(same(&left, &right));
        meet(&left, &r[1]);
        CHECK(same(&left, &right));
    }
}

/* A cell that nobody replaced is there when all have met. */
TEST(nothing_is_lost_that_nobody_replaced)
{
    struct replica a = {.count = 0};

    for (size_t site = 0; site < SITES; site++) {
        struct replica one = {.count = 0};

        assign(&one, site, 5);
        meet(&a, &one);
    }
    CHECK_INT(a.count, ==, SITES);
}

int main(int argc, char **argv)
{
    return check_main(argc, argv);
}
