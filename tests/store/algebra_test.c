/* The merge is a join, on real SQLite.
 *
 * A case is one row that three sites a, b and c have written, deleted and
 * written again, partly knowing of each other.  A batch has many such rows,
 * whose states travel as deltas between stores that were equal before it, so
 * that one transaction judges all of them:
 *
 *     a + b = b + a          (a + b) + c = a + (b + c)          a + a = a
 *     what a site has since a vector, or since an older one: the same
 *     any order and repetition of rows, and of intervals: the same
 *     a second time writes nothing at all
 *
 * The rows are the same ones in the next batch, with the history that they
 * have by then, until the epoch ends; then an empty store takes everything at
 * once.  SEED is the first epoch's, CASES how many cases are run.  The files
 * are in memory. */
#include "copies.h"

#include "base/random.h"
#include "sim/disk/disk.h"
#include "wire/stream.h"

#include <time.h>

#define CASES 10000
#define ROWS 96
#define EPOCH_BATCHES 40
#define SITES 3
#define NEWS_MAX (2 * SITES)

enum {
    LEFT = SITES, /* (a + b) + c */
    SWAPPED,      /* b + a, and what c has since then */
    PAIR,         /* b + c, then a */
    RIGHT,        /* a + (b + c) */
    SHUFFLED,     /* all in any order, some twice */
    NEWS,         /* interval by interval, some twice */
    EMPTY,        /* joins when the epoch ends */
    STORES
};

static const char *const names[STORES] = {
    "a",    "b",     "c",        "left", "swapped",
    "pair", "right", "shuffled", "news", "empty"};

struct member {
    struct copy copy;
    struct disk *disk;
    struct process *process;
    sqlite3_stmt *put[3], *replace, *remove, *read, *version;
    struct buffer rows; /* as they were read last */
};

/* A delta or an interval, kept. */
struct parcel {
    uint8_t *bytes;
    size_t size;
    uint8_t *claim;
    struct vv_view view;
    struct interval interval;
};

static struct {
    uint64_t seed, batch, cases;
    struct random random;
    struct member members[STORES];
    struct parcel news[NEWS_MAX];
    size_t news_count;
} epoch;

static gv_time_ms wall;
static uint64_t token;

static void say_where(void)
{
    if (epoch.seed != 0)
        fprintf(stderr, "SEED=%" PRIu64 ", batch %" PRIu64 "\n", epoch.seed,
                epoch.batch);
}

static gv_time_ms wall_now(void *context)
{
    (void)context;
    return wall;
}

/* Stores */

static sqlite3_stmt *prepared(struct member *member, const char *text)
{
    sqlite3_stmt *statement;

    CHECK_INT(sqlite3_prepare_v2(member->copy.app, text, -1, &statement, NULL),
              ==, SQLITE_OK);
    return statement;
}

static void finished(sqlite3_stmt *statement)
{
    CHECK_INT(sqlite3_step(statement), ==, SQLITE_DONE);
    sqlite3_reset(statement);
}

static void prepare_all(struct member *member)
{
    char text[200];

    for (int i = 0; i < 3; i++) {
        snprintf(text, sizeof text,
                 "INSERT INTO t(id, %c) VALUES(?1, ?2) ON CONFLICT(id) DO"
                 " UPDATE SET %c = excluded.%c",
                 "abc"[i], "abc"[i], "abc"[i]);
        member->put[i] = prepared(member, text);
    }
    member->replace =
        prepared(member, "REPLACE INTO t(id, a, c) VALUES(?1, ?2, ?2)");
    member->remove = prepared(member, "DELETE FROM t WHERE id = ?1");
    member->read = prepared(member, "SELECT id, a, b, c FROM t ORDER BY id");
    member->version = prepared(member, "PRAGMA data_version");
}

static void member_make(struct member *member, const char *name,
                        uint64_t number)
{
    struct disk_options disk = {.seed = number, .sector = 512};
    struct store_options options = {.mode = STORE_WRITE};
    struct gv_error error = {0};

    disk.wall = wall_now;
    memset(member, 0, sizeof *member);
    member->disk = disk_new(&disk);
    member->process = process_new(member->disk, name, false);
    snprintf(member->copy.path, sizeof member->copy.path, "/%s.db", name);
    CHECK_INT(sqlite3_open_v2(member->copy.path, &member->copy.app,
                              SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE,
                              process_vfs(member->process)),
              ==, SQLITE_OK);
    sql(&member->copy, number % 2 == 0
                           ? "CREATE TABLE t(id INTEGER PRIMARY KEY, a,"
                             " b DEFAULT 'd', c)"
                           : "CREATE TABLE t(id TEXT PRIMARY KEY, a,"
                             " b DEFAULT 'd', c) WITHOUT ROWID");
    options.host = process_host(member->process);
    options.vfs = process_vfs(member->process);
    CHECK_INT(
        store_open(member->copy.path, &options, &member->copy.store, &error),
        ==, GV_OK);
    track(&member->copy, "t");
    sql(&member->copy, "PRAGMA synchronous = OFF");
    buffer_init(&member->rows, SIZE_MAX);
    prepare_all(member);
}

static void member_close(struct member *member)
{
    sqlite3_stmt *statement;

    while ((statement = sqlite3_next_stmt(member->copy.app, NULL)) != NULL)
        sqlite3_finalize(statement);
    buffer_close(&member->rows);
    copy_close(&member->copy);
    process_free(member->process);
    disk_free(member->disk);
}

/* Writing */

static void bind_something(sqlite3_stmt *statement)
{
    switch (random_below(&epoch.random, 9)) {
    case 0:
        sqlite3_bind_null(statement, 2);
        break;
    case 1:
        sqlite3_bind_text(statement, 2, "a\0b", 3, SQLITE_STATIC);
        break;
    case 2:
        sqlite3_bind_blob(statement, 2, "\xff", 1, SQLITE_STATIC);
        break;
    case 3:
        sqlite3_bind_double(statement, 2, -0.0);
        break;
    case 4:
        sqlite3_bind_double(statement, 2, 1.0);
        break;
    case 5:
        sqlite3_bind_text(statement, 2, "d", 1, SQLITE_STATIC);
        break;
    default:
        sqlite3_bind_int(statement, 2, (int)random_below(&epoch.random, 3));
        break;
    }
}

static void write_row(struct member *member, int id)
{
    uint64_t what = random_below(&epoch.random, 10);
    sqlite3_stmt *statement = what < 3   ? member->put[what]
                              : what < 4 ? member->replace
                              : what < 6 ? member->remove
                                         : NULL;

    if (statement == NULL)
        return;
    sqlite3_bind_int(statement, 1, id);
    if (statement != member->remove)
        bind_something(statement);
    finished(statement);
}

static void keep_news(const struct interval *interval)
{
    struct parcel *parcel = &epoch.news[epoch.news_count++];
    size_t claim = interval->dependencies.count * VV_ENTRY_SIZE;

    CHECK(interval->bytes != NULL && epoch.news_count <= NEWS_MAX);
    *parcel = (struct parcel){.interval = *interval, .size = interval->size};
    parcel->bytes = malloc(interval->size + 1);
    memcpy(parcel->bytes, interval->bytes, interval->size);
    parcel->claim = malloc(claim + 1);
    memcpy(parcel->claim, interval->dependencies.bytes, claim);
    parcel->interval.bytes = parcel->bytes;
    parcel->interval.dependencies.bytes = parcel->claim;
}

static void write_rows(struct member *member)
{
    struct store_sealed sealed;

    sql(&member->copy, "BEGIN IMMEDIATE");
    for (int id = 0; id < ROWS; id++)
        write_row(member, id);
    sql(&member->copy, "COMMIT");
    sealed = seal(&member->copy);
    if (sealed.any)
        keep_news(&sealed.interval);
}

/* Parcels */

/* What @from has and a store with @vv lacks. */
static struct parcel take(struct member *from, struct vv_view vv)
{
    struct parcel parcel = {0};
    struct gv_error error = {0};
    struct extract *extract;
    struct vv_view claim;

    CHECK_INT(extract_whole(&from->copy, vv, &extract, &error), ==, GV_OK);
    parcel.size = (size_t)extract_size(extract);
    parcel.bytes = malloc(parcel.size + 1);
    CHECK_INT(extract_read(extract, 0, parcel.bytes, parcel.size), ==, GV_OK);
    claim = extract_claim(extract);
    parcel.claim = malloc(claim.count * VV_ENTRY_SIZE + 1);
    memcpy(parcel.claim, claim.bytes, claim.count * VV_ENTRY_SIZE);
    parcel.view = (struct vv_view){parcel.claim, claim.count};
    extract_free(extract);
    return parcel;
}

static void parcel_close(struct parcel *parcel)
{
    free(parcel->bytes);
    free(parcel->claim);
}

/* @bytes stand for those of @parcel. */
static void give_bytes(struct member *to, const struct parcel *parcel,
                       const uint8_t *bytes, size_t size)
{
    struct gv_error error = {0};
    struct store_sealed sealed;

    token++;
    CHECK_INT(store_stage(to->copy.store, token, 0, bytes, size), ==, GV_OK);
    CHECK_INT(store_begin(to->copy.store, &error), ==, GV_OK);
    CHECK_INT(store_apply_delta(to->copy.store, token, parcel->view, &error),
              ==, GV_OK);
    CHECK_INT(store_commit(to->copy.store, &sealed, &error), ==, GV_OK);
    CHECK(!sealed.any);
}

static void give(struct member *to, const struct parcel *parcel)
{
    give_bytes(to, parcel, parcel->bytes, parcel->size);
}

/* @to lacks and gets what @from has since @to's vector. */
static void pull_since(struct member *to, struct member *from)
{
    uint8_t bytes[VV_ENTRY_SIZE * STORES];
    struct vv_view view;
    struct parcel parcel;

    view_of(store_vv(to->copy.store), bytes, &view);
    parcel = take(from, view);
    give(to, &parcel);
    parcel_close(&parcel);
}

/* The rows of @parcel in any order and some of them twice, behind the names
 * that they use. */
static void give_shuffled(struct member *to, const struct parcel *parcel)
{
    uint8_t *bytes = malloc(2 * parcel->size + 1);
    size_t *rows = malloc((2 * ROWS + 1) * sizeof *rows);
    size_t size = 0, count = 0;

    for (size_t at = 0, length; at < parcel->size; at += length) {
        struct stream_item item;

        length = load_u32(parcel->bytes + at) + STREAM_HEADER_SIZE;
        CHECK_INT(stream_decode(parcel->bytes + at + STREAM_HEADER_SIZE,
                                length - STREAM_HEADER_SIZE, &item),
                  ==, GV_OK);
        if (item.kind != STREAM_ROW) {
            memcpy(bytes + size, parcel->bytes + at, length);
            size += length;
            continue;
        }
        for (uint64_t n = 1 + random_below(&epoch.random, 2); n > 0; n--) {
            CHECK_INT(count, <=, 2 * ROWS);
            rows[count++] = at;
        }
    }
    for (; count > 0; count--) {
        size_t drawn = (size_t)random_below(&epoch.random, count);
        size_t length =
            load_u32(parcel->bytes + rows[drawn]) + STREAM_HEADER_SIZE;

        memcpy(bytes + size, parcel->bytes + rows[drawn], length);
        size += length;
        rows[drawn] = rows[count - 1];
    }
    give_bytes(to, parcel, bytes, size);
    free(bytes);
    free(rows);
}

/* Any next interval at any time: one that comes early is tried again, some
 * come again later. */
static void give_news(struct member *to)
{
    bool held[NEWS_MAX] = {false};
    size_t left = epoch.news_count;

    while (left > 0) {
        size_t drawn = (size_t)random_below(&epoch.random, epoch.news_count);
        struct gv_error error = {0};
        int rc =
            apply_interval(&to->copy, &epoch.news[drawn].interval, &error);

        if (held[drawn]) {
            CHECK_INT(rc, ==, GV_EDUPLICATE);
        } else if (rc == GV_OK) {
            held[drawn] = true;
            left--;
        } else {
            CHECK_INT(rc, ==, GV_EGAP);
        }
    }
}

/* Judging */

static void read_rows(struct member *member)
{
    buffer_clear(&member->rows);
    while (sqlite3_step(member->read) == SQLITE_ROW) {
        for (int i = 0; i < 4; i++) {
            uint8_t type = (uint8_t)sqlite3_column_type(member->read, i);
            double real = sqlite3_column_double(member->read, i);
            const void *bytes = sqlite3_column_blob(member->read, i);
            int size = sqlite3_column_bytes(member->read, i);

            buffer_append(&member->rows, &type, 1);
            buffer_append(&member->rows, &real, sizeof real);
            buffer_append(&member->rows, &size, sizeof size);
            if (size > 0)
                buffer_append(&member->rows, bytes, (size_t)size);
        }
    }
    sqlite3_reset(member->read);
    CHECK_INT(member->rows.error, ==, GV_OK);
}

/* For people. */
static void show_rows(struct member *one, struct member *other)
{
    for (int id = 0; id < ROWS; id++) {
        char text[200];
        const char *a, *b;

        snprintf(text, sizeof text,
                 "SELECT quote(a) || typeof(b) || quote(b) || quote(c)"
                 " FROM t WHERE id = %d",
                 id);
        a = ask(&one->copy, text);
        b = ask(&other->copy, text);
        if (strcmp(a, b) != 0)
            fprintf(stderr, "row %d: %s, %s\n", id, a, b);
    }
}

static void must_equal(int one, int other)
{
    struct member *a = &epoch.members[one], *b = &epoch.members[other];
    bool vectors =
        store_vv(a->copy.store)->hash == store_vv(b->copy.store)->hash;
    bool states = hash128_equal(store_fingerprint(a->copy.store),
                                store_fingerprint(b->copy.store));
    bool rows;

    read_rows(a);
    read_rows(b);
    rows = a->rows.size == b->rows.size &&
           (a->rows.size == 0 ||
            memcmp(a->rows.data, b->rows.data, a->rows.size) == 0);
    if (vectors && states && rows)
        return;
    fprintf(stderr, "%s and %s differ:%s%s%s\n", names[one], names[other],
            vectors ? "" : " vectors", states ? "" : " fingerprints",
            rows ? "" : " rows");
    show_rows(a, b);
    exit(1);
}

static int64_t data_version(struct member *member)
{
    int64_t version;

    CHECK_INT(sqlite3_step(member->version), ==, SQLITE_ROW);
    version = sqlite3_column_int64(member->version, 0);
    sqlite3_reset(member->version);
    return version;
}

/* What is held already changes no row and no version: no page is written. */
static void again(struct member *member, const struct parcel *parcel)
{
    struct hash128 fingerprint = store_fingerprint(member->copy.store);
    uint64_t hash = store_vv(member->copy.store)->hash;
    int64_t version = data_version(member);

    give(member, parcel);
    CHECK(hash128_equal(store_fingerprint(member->copy.store), fingerprint));
    CHECK(store_vv(member->copy.store)->hash == hash);
    CHECK_INT(data_version(member), ==, version);
}

/* Batches */

static void write_and_mix(void)
{
    for (int phase = 0; phase < 2; phase++) {
        wall += (gv_time_ms)random_below(&epoch.random, 2);
        for (int i = 0; i < SITES; i++)
            write_rows(&epoch.members[i]);
        if (phase == 0 && random_below(&epoch.random, 2) == 0) {
            uint64_t to = random_below(&epoch.random, SITES);
            uint64_t from = (to + 1 + random_below(&epoch.random, 2)) % SITES;

            pull_since(&epoch.members[to], &epoch.members[from]);
        }
    }
}

static void judge(const struct parcel *a, const struct parcel *b,
                  const struct parcel *c, struct vv_view before)
{
    struct member *members = epoch.members;
    const struct parcel *all[] = {a, b, c};
    size_t first = (size_t)random_below(&epoch.random, 3);
    size_t step = 1 + (size_t)random_below(&epoch.random, 2);
    struct parcel both;

    give(&members[LEFT], a);
    again(&members[LEFT], a);
    give(&members[LEFT], b);
    give(&members[SWAPPED], b);
    give(&members[SWAPPED], a);
    must_equal(LEFT, SWAPPED);
    give(&members[LEFT], c);
    pull_since(&members[SWAPPED], &members[2]);
    must_equal(LEFT, SWAPPED);

    give(&members[PAIR], b);
    give(&members[PAIR], c);
    both = take(&members[PAIR], before);
    give(&members[RIGHT], a);
    give(&members[RIGHT], &both);
    must_equal(LEFT, RIGHT);
    give(&members[PAIR], a);
    must_equal(LEFT, PAIR);
    again(&members[LEFT], &both);
    parcel_close(&both);

    for (size_t i = 0; i < 3; i++)
        give_shuffled(&members[SHUFFLED], all[(first + i * step) % 3]);
    must_equal(LEFT, SHUFFLED);
    give_news(&members[NEWS]);
    must_equal(LEFT, NEWS);
}

static void batch(void)
{
    struct member *members = epoch.members;
    uint8_t bytes[VV_ENTRY_SIZE * STORES];
    struct vv_view before;
    struct parcel parcels[SITES];

    view_of(store_vv(members[LEFT].copy.store), bytes, &before);
    write_and_mix();
    for (int i = 0; i < SITES; i++)
        parcels[i] = take(&members[i], before);
    judge(&parcels[0], &parcels[1], &parcels[2], before);
    for (int i = 0; i < SITES; i++) {
        pull_since(&members[i], &members[LEFT]);
        must_equal(LEFT, i);
        parcel_close(&parcels[i]);
    }
    for (; epoch.news_count > 0; epoch.news_count--)
        parcel_close(&epoch.news[epoch.news_count - 1]);
    epoch.cases += ROWS;
}

static void epoch_run(uint64_t seed, uint64_t cases)
{
    epoch.seed = seed;
    wall = 1700000000000;
    random_seed(&epoch.random, seed);
    disk_seed_sqlite(seed);
    for (int i = 0; i < STORES; i++)
        member_make(&epoch.members[i], names[i],
                    seed + 2 * (uint64_t)i * UINT64_C(1000003));
    for (epoch.batch = 1; epoch.batch <= EPOCH_BATCHES && epoch.cases < cases;
         epoch.batch++)
        batch();
    pull_since(&epoch.members[EMPTY], &epoch.members[SHUFFLED]);
    must_equal(LEFT, EMPTY);
    for (int i = 0; i < STORES; i++) {
        CHECK_INT(verify_findings(&epoch.members[i].copy, NULL), ==, 0);
        member_close(&epoch.members[i]);
    }
    epoch.seed = 0;
}

static uint64_t environment(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);

    return text != NULL ? strtoull(text, NULL, 10) : otherwise;
}

TEST(merge_is_commutative_associative_and_idempotent_in_any_grouping)
{
    uint64_t seed = environment("SEED", 1);
    uint64_t cases = environment("CASES", CASES);
    clock_t start = clock();

    atexit(say_where);
    while (epoch.cases < cases)
        epoch_run(seed++, cases);
    fprintf(stderr, "%" PRIu64 " cases, %.0f a second of processor time\n",
            epoch.cases,
            (double)epoch.cases * CLOCKS_PER_SEC / (double)(clock() - start));
}

int main(int argc, char **argv)
{
    return check_main(argc, argv);
}
