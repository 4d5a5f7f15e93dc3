/* Three files that seal, and take intervals and deltas, in slices of a few
 * rows and in random order: whoever has a vector has what all others with that
 * vector have.  SEED and CASES in the environment choose the cases. */
#include "copies.h"

#define FILES 3
#define KEPT 64
#define SEEN 4096

static const char schema[] =
    "CREATE TABLE t(id INTEGER PRIMARY KEY, a, n INTEGER DEFAULT 3, m);"
    "CREATE TABLE u(k TEXT PRIMARY KEY, a, b DEFAULT 'x') WITHOUT ROWID;"
    "CREATE TABLE v(k PRIMARY KEY, a)";

/* What a file sent, until it is delivered, or is not. */
struct sent {
    uint8_t *bytes;
    size_t size;
    bool delta; /* for one file, which asked for it */
    size_t to;
    struct vv claim;
};

struct world {
    struct copy files[FILES];
    struct sent sent[KEPT];
    uint64_t vectors[SEEN];
    struct hash128 fingerprints[SEEN];
    size_t seen, steps;
    uint64_t random, token;
};

static struct world world;

static size_t below(size_t end)
{
    world.random = world.random * UINT64_C(6364136223846793005) + 1;
    return (size_t)(world.random >> 33) % end;
}

static void start(uint64_t seed)
{
    static const struct store_kind list[] = {{"n", COLUMN_COUNTER},
                                             {"m", COLUMN_MV}};
    static const struct store_kinds kinds = {list, 2};
    struct gv_error error = {0};

    memset(&world, 0, sizeof world);
    world.random = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    copies_wall = host_system()->wall(NULL);
    copies_slices = (struct store_slices){.delta_size = 50 + below(600),
                                          .journal_rows = 2 + below(20),
                                          .rows = 1 + below(9),
                                          .keys = 1 + below(9),
                                          .seal_many = 1 + below(20),
                                          .apply_many = 1 + below(20)};
    for (size_t i = 0; i < FILES; i++) {
        char name[32];
        struct buffer notes;

        snprintf(name, sizeof name, "triangle%llu-%zu",
                 (unsigned long long)seed, i);
        copy_make(&world.files[i], name, schema);
        buffer_init(&notes, 65536);
        CHECK_INT(
            store_track_as(world.files[i].store, "t", &kinds, &notes, &error),
            ==, GV_OK);
        buffer_close(&notes);
        track(&world.files[i], "u");
        track(&world.files[i], "v");
    }
}

/* Whoever has this vector has this fingerprint. */
static void look_at(const struct copy *file)
{
    uint64_t vector = store_vv(file->store)->hash;
    struct hash128 fingerprint = store_fingerprint(file->store);

    if (store_busy(file->store))
        return;
    for (size_t i = 0; i < world.seen; i++) {
        if (world.vectors[i] != vector)
            continue;
        CHECK(hash128_equal(world.fingerprints[i], fingerprint));
        return;
    }
    if (world.seen == SEEN)
        return;
    world.vectors[world.seen] = vector;
    world.fingerprints[world.seen++] = fingerprint;
}

static struct sent *free_place(void)
{
    struct sent *sent = &world.sent[below(KEPT)];

    free(sent->bytes);
    vv_close(&sent->claim);
    memset(sent, 0, sizeof *sent);
    vv_init(&sent->claim);
    return sent;
}

static void keep(const struct store_sealed *sealed)
{
    struct sent *sent;

    if (!sealed->any || sealed->interval.bytes == NULL)
        return;
    sent = free_place();
    sent->bytes = malloc(sealed->interval.size);
    sent->size = sealed->interval.size;
    memcpy(sent->bytes, sealed->interval.bytes, sent->size);
}

static void write_rows(struct copy *file)
{
    static const char *const texts[] = {
        "INSERT OR REPLACE INTO t(id,a,m) VALUES(%d,%d,%d)",
        "UPDATE t SET a=%d, n=n+%d WHERE id%%7=%d%%7",
        "UPDATE t SET m=%d, n=n-%d WHERE id=%d%%40",
        "DELETE FROM t WHERE id=%d%%40 OR id=%d%%40 OR id=%d",
        "INSERT OR IGNORE INTO t(id) WITH RECURSIVE i(x) AS (SELECT %d%%20"
        " UNION ALL SELECT x+1 FROM i LIMIT 1+%d%%30) SELECT x+%d%%9 FROM i",
        "INSERT OR REPLACE INTO u(k,a) VALUES('k'||(%d%%25),%d),"
        "('k'||(%d%%25),'two')",
        "UPDATE OR REPLACE u SET k='k'||(%d%%25) WHERE k='k'||(%d%%25)"
        " OR a=%d",
        "UPDATE u SET b=%d||a WHERE a<>%d AND k<'k'||%d",
        "DELETE FROM u WHERE k>'k'||(%d%%25) AND a<>%d AND a<>%d",
        "REPLACE INTO v(k,a) VALUES(%d%%4,%d),(''||(%d%%4),1)",
        "UPDATE v SET a=%d WHERE typeof(k)='text' OR k=%d OR a=%d",
        "DELETE FROM v WHERE k=''||(%d%%4) OR k=%d%%4 OR a=%d",
    };
    int count = 1 + (int)below(4);

    for (int i = 0; i < count; i++) {
        char *text =
            sqlite3_mprintf(texts[below(sizeof texts / sizeof *texts)],
                            (int)below(60), (int)below(60), (int)below(60));

        sql(file, text);
        sqlite3_free(text);
    }
}

static void maintain(struct copy *file)
{
    static const char *const texts[] = {
        "VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)",
        "CREATE INDEX IF NOT EXISTS by_a ON t(a)", "DROP INDEX IF EXISTS by_a",
        "ANALYZE"};

    sql(file, texts[below(sizeof texts / sizeof *texts)]);
}

static bool at_rest(const struct copy *file)
{
    return !store_working(file->store) && !store_busy(file->store);
}

static void work(struct copy *file)
{
    struct store_worked worked;
    struct gv_error error = {0};
    int rc = store_work(file->store, &worked, &error);

    if (rc != GV_OK)
        fprintf(stderr, "work: %s\n", error.what);
    CHECK_INT(rc, ==, GV_OK);
    CHECK_INT(worked.code, ==, GV_OK);
    keep(&worked.sealed);
}

/* It finishes what is under way. */
static void look_whole(struct copy *file)
{
    struct store_sealed sealed = seal(file);

    keep(&sealed);
    CHECK(at_rest(file));
}

/* A delta for what @to has now. */
static void ask_for_delta(struct copy *from, size_t to)
{
    static uint8_t bytes[VV_ENTRY_SIZE * 8];
    struct gv_error error = {0};
    struct extract *extract;
    struct vv_view view;
    struct sent *sent;

    view_of(store_vv(world.files[to].store), bytes, &view);
    if (extract_whole(from, view, &extract, &error) != GV_OK)
        return; /* busy, or its journal is not empty */
    sent = free_place();
    sent->delta = true;
    sent->to = to;
    sent->size = (size_t)extract_size(extract);
    sent->bytes = malloc(sent->size + 1);
    CHECK_INT(extract_read(extract, 0, sent->bytes, sent->size), ==, GV_OK);
    CHECK_INT(vv_raise_view(&sent->claim, extract_claim(extract)), ==, GV_OK);
    extract_free(extract);
}

static void take_delta(struct copy *to, const struct sent *sent)
{
    static uint8_t bytes[VV_ENTRY_SIZE * 8];
    struct gv_error error = {0};
    struct store_sealed sealed;
    struct vv_view view;

    if (store_working(to->store) || store_busy(to->store))
        return;
    world.token++;
    CHECK_INT(store_stage(to->store, world.token, 0, sent->bytes, sent->size),
              ==, GV_OK);
    view_of(&sent->claim, bytes, &view);
    CHECK_INT(store_begin(to->store, &error), ==, GV_OK);
    CHECK_INT(store_apply_delta(to->store, world.token, view, &error), ==,
              GV_OK);
    CHECK_INT(store_commit(to->store, &sealed, &error), ==, GV_OK);
    keep(&sealed);
}

static void take_interval(struct copy *to, const struct sent *sent)
{
    struct gv_error error = {0};
    struct store_sealed sealed;
    struct interval interval = {.bytes = sent->bytes, .size = sent->size};
    int rc;

    if (!at_rest(to) && below(4) != 0)
        return;
    CHECK_INT(store_begin(to->store, &error), ==, GV_OK);
    rc = store_apply_interval(to->store, &interval, &error);
    CHECK(rc == GV_OK || rc == GV_EGAP || rc == GV_EDUPLICATE);
    CHECK_INT(store_commit(to->store, &sealed, &error), ==, GV_OK);
    keep(&sealed);
}

static void deliver(size_t to)
{
    struct sent *sent = &world.sent[below(KEPT)];

    for (int tries = 0; tries < 20 && sent->bytes == NULL; tries++)
        sent = &world.sent[below(KEPT)];
    if (sent->bytes == NULL || (sent->delta && sent->to != to))
        return;
    if (sent->delta)
        take_delta(&world.files[to], sent);
    else
        take_interval(&world.files[to], sent);
}

static void step(void)
{
    size_t at = below(FILES);
    struct copy *file = &world.files[at];

    switch (below(16)) {
    case 0:
    case 1:
    case 2:
        write_rows(file);
        break;
    case 3:
    case 4:
    case 5:
    case 6:
    case 7:
        work(file);
        break;
    case 8:
        look_whole(file);
        break;
    case 9:
        ask_for_delta(file, (at + 1 + below(FILES - 1)) % FILES);
        break;
    case 10:
        if (below(4) == 0)
            copy_reopen(file, STORE_WRITE);
        break;
    case 11:
        if (below(4) == 0)
            maintain(file);
        break;
    case 12:
        copies_wall += (int)below(4000) - 2000;
        break;
    default:
        deliver(at);
    }
    look_at(file);
    world.steps++;
}

static void end(void)
{
    for (size_t i = 0; i < FILES; i++)
        look_whole(&world.files[i]);
    for (size_t round = 0; round < 2; round++) {
        for (size_t i = 0; i < FILES; i++)
            sync_both(&world.files[i], &world.files[(i + 1) % FILES]);
    }
    for (size_t i = 0; i < FILES; i++) {
        struct copy *file = &world.files[i];
        static const char all[] =
            "SELECT (SELECT group_concat(id||quote(a)||n||quote(m)) FROM"
            " (SELECT * FROM t ORDER BY id))||(SELECT group_concat(k||"
            "quote(a)||quote(b)) FROM u)||(SELECT group_concat(quote(k)||"
            "quote(a)) FROM (SELECT * FROM v ORDER BY k))";

        look_at(file);
        check_equal(file, &world.files[0]);
        CHECK_TEXT(ask(file, all), ask(&world.files[0], all));
        CHECK_INT(verify_findings(file, NULL), ==, 0);
        CHECK(!seal(file).any);
    }
    for (size_t i = 0; i < FILES; i++)
        copy_close(&world.files[i]);
    for (size_t i = 0; i < KEPT; i++) {
        free(world.sent[i].bytes);
        vv_close(&world.sent[i].claim);
    }
    copies_remove();
}

TEST(three_files_in_slices_become_equal)
{
    const char *seed = getenv("SEED"), *cases = getenv("CASES");
    uint64_t first = seed == NULL ? 1 : strtoull(seed, NULL, 10);
    uint64_t count = cases == NULL ? 12 : strtoull(cases, NULL, 10);

    for (uint64_t i = first; i < first + count; i++) {
        fprintf(stderr, "seed %llu\n", (unsigned long long)i);
        start(i);
        for (int n = 0; n < 300; n++)
            step();
        end();
    }
}

int main(int argc, char **argv)
{
    return check_main(argc, argv);
}
