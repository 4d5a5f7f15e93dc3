/* Random programs on random copies, against a plain model.
 *
 * Applications write random SQL into two to four copies of eight tables;
 * seals, intervals (late, twice, out of order, never) and deltas between any
 * two happen at random.  The model knows only what a person can see: the
 * user's tables at each seal (the looks) and which publications each copy's
 * vector covers.  What a copy must show is a pure function of that set: for a
 * row the largest causal length, for a cell of that life the largest
 * (version, site), for what was never written the default.
 *
 * SEED and SEEDS in the environment choose the first seed and how many. */
#include "copies.h"

#include <time.h>

#define COPIES_MAX 4
#define SITES 24
#define TABLES 8
#define KEYS 96
#define COLUMNS 72
#define STEPS 260

struct shape {
    const char *name, *keys, *columns, *schema;
    int key_kind[2]; /* 't'ext, 'i'nteger, 'b'lob, 'r'eal, 'u'ntyped, 0 */
    bool rowid;      /* UPDATE … SET rowid makes sense */
};

static const struct shape shapes[TABLES] = {
    {"t0",
     "id",
     "a,b,c",
     "CREATE TABLE t0(id TEXT PRIMARY KEY, a, b INTEGER DEFAULT 7, c TEXT)",
     {'t', 0},
     true},
    {"t1",
     "id",
     "a,b,c",
     "CREATE TABLE t1(id INTEGER PRIMARY KEY, a TEXT DEFAULT 'x', b REAL,"
     " c NUMERIC DEFAULT '5')",
     {'i', 0},
     true},
    {"t2",
     "y,x",
     "a,b",
     "CREATE TABLE t2(x TEXT, y INTEGER, a, b BLOB DEFAULT x'00',"
     " PRIMARY KEY(y, x)) WITHOUT ROWID",
     {'i', 't'},
     false},
    {"t3",
     "k",
     "a,b",
     "CREATE TABLE t3(k PRIMARY KEY, a INT, b)",
     {'u', 0},
     true},
    {"t4",
     "k,l",
     "",
     "CREATE TABLE t4(k BLOB, l INT, PRIMARY KEY(k, l))",
     {'b', 'u'},
     true},
    {"t5",
     "id",
     "a,b,c",
     "CREATE TABLE t5(id TEXT PRIMARY KEY, a INT NOT NULL DEFAULT 3, b REAL,"
     " c ANY) STRICT",
     {'t', 0},
     true},
    {"t6",
     "k",
     "a",
     "CREATE TABLE t6(k REAL PRIMARY KEY, a DEFAULT -1.5)",
     {'r', 0},
     true},
    {"t7", "id", NULL, NULL, {'i', 0}, true}, /* 68 columns */
};
static const char *const extra_types[] = {"e1 DEFAULT 2",
                                          "e2 TEXT DEFAULT 'q'", "e3 REAL"};

/* Randomness */

static uint64_t random_state;

static uint32_t rnd(uint32_t below)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((random_state >> 33) % below);
}

static bool chance(uint32_t percent)
{
    return rnd(100) < percent;
}

/* Values are numbers of texts, so that equal means equal bit for bit. */

static char **texts;
static int text_count;

static int intern(const char *text)
{
    for (int i = 0; i < text_count; i++)
        if (strcmp(texts[i], text) == 0)
            return i;
    texts = realloc(texts, (size_t)(text_count + 1) * sizeof *texts);
    CHECK(texts != NULL);
    texts[text_count] = strdup(text);
    return text_count++;
}

static void texts_free(void)
{
    for (int i = 0; i < text_count; i++)
        free(texts[i]);
    free(texts);
    texts = NULL;
    text_count = 0;
}

/* A stored value, exactly; with @key as keys compare. */
static void describe(sqlite3_stmt *row, int column, bool key, char *out)
{
    const uint8_t *bytes;
    double real;
    int size;
    uint64_t sum = 14695981039346656037u;

    switch (sqlite3_column_type(row, column)) {
    case SQLITE_NULL:
        strcpy(out, "null");
        return;
    case SQLITE_INTEGER:
        sprintf(out, "%lld", (long long)sqlite3_column_int64(row, column));
        return;
    case SQLITE_FLOAT:
        real = sqlite3_column_double(row, column);
        if (key && real >= -9e18 && real <= 9e18 &&
            (double)(long long)real == real)
            sprintf(out, "%lld", (long long)real);
        else
            sprintf(out, "r%a", real);
        return;
    default:
        break;
    }
    bytes = sqlite3_column_blob(row, column);
    size = sqlite3_column_bytes(row, column);
    for (int i = 0; i < size; i++)
        sum = (sum ^ bytes[i]) * 1099511628211u;
    sprintf(out, "%c%d:%016llx",
            sqlite3_column_type(row, column) == SQLITE_TEXT ? 't' : 'b', size,
            (unsigned long long)sum);
}

/* The model */

struct dot {
    uint64_t version; /* 0: nobody wrote it */
    int site;
};

struct model_row {
    uint64_t length;
    struct dot existence;
    struct dot dots[COLUMNS];
    int values[COLUMNS];
};

struct change {
    int table, key;
    uint64_t version, length;
    bool existence;
    bool written[COLUMNS];
    int values[COLUMNS];
};

struct publication {
    int site;
    uint64_t from, to;
    uint64_t seen[SITES]; /* the vector before it */
    struct change *changes;
    int change_count;
    struct interval interval;
    uint8_t *bytes; /* NULL: too long to be pushed */
};

struct member {
    struct copy copy;
    int site;
    uint64_t vv[SITES];
    uint64_t clock;
    gv_time_ms skew;
    bool has[TABLES][COLUMNS];
    struct model_row rows[TABLES][KEYS];
};

struct world {
    int count;
    struct member *members[COPIES_MAX];
    struct site sites[SITES];
    int site_count;
    char *columns[TABLES][COLUMNS];
    int column_count[TABLES];
    int defaults[TABLES][COLUMNS];
    int keys[TABLES][KEYS];
    int key_count[TABLES];
    struct publication *publications;
    int publication_count;
    gv_time_ms start, elapsed;
    uint64_t statements;
};

static struct world world;

static bool beats(struct dot a, struct dot b)
{
    if (a.version != b.version)
        return a.version > b.version;
    return a.version != 0 && memcmp(world.sites[a.site].bytes,
                                    world.sites[b.site].bytes, 16) > 0;
}

static void fold_change(struct model_row *row, const struct change *change,
                        int site)
{
    struct dot dot = {change->version, site};

    if (change->length < row->length)
        return;
    if (change->length > row->length) {
        memset(row, 0, sizeof *row);
        row->length = change->length;
    }
    if (change->existence && beats(dot, row->existence))
        row->existence = dot;
    for (int i = 0; i < COLUMNS; i++)
        if (change->written[i] && beats(dot, row->dots[i])) {
            row->dots[i] = dot;
            row->values[i] = change->values[i];
        }
}

/* Raise the model's vector and fold in what it newly covers. */
static void cover(struct member *member, int site, uint64_t version)
{
    for (int i = 0; i < world.publication_count; i++) {
        const struct publication *p = &world.publications[i];

        if (p->site != site || p->to <= member->vv[site] || p->to > version)
            continue;
        for (int j = 0; j < p->change_count; j++)
            fold_change(&member->rows[p->changes[j].table][p->changes[j].key],
                        &p->changes[j], site);
    }
    if (member->vv[site] < version)
        member->vv[site] = version;
    if (member->clock < version)
        member->clock = version;
}

static int key_number(int table, int text)
{
    for (int i = 0; i < world.key_count[table]; i++)
        if (world.keys[table][i] == text)
            return i;
    CHECK_INT(world.key_count[table], <, KEYS);
    world.keys[table][world.key_count[table]] = text;
    return world.key_count[table]++;
}

/* The user's table as it is: present[] and values[] by key number. */
struct look {
    bool present[KEYS];
    int values[KEYS][COLUMNS];
};

static void look(struct member *member, int table, struct look *seen)
{
    char text[4096], value[200], key[500];
    sqlite3_stmt *rows;
    int columns[COLUMNS], count = 0, key_columns;

    memset(seen, 0, sizeof *seen);
    snprintf(text, sizeof text, "SELECT %s", shapes[table].keys);
    key_columns = shapes[table].key_kind[1] != 0 ? 2 : 1;
    for (int i = 0; i < world.column_count[table]; i++)
        if (member->has[table][i]) {
            strcat(strcat(text, ","), world.columns[table][i]);
            columns[count++] = i;
        }
    strcat(strcat(text, " FROM main."), shapes[table].name);
    CHECK_INT(sqlite3_prepare_v2(member->copy.app, text, -1, &rows, NULL), ==,
              SQLITE_OK);
    while (sqlite3_step(rows) == SQLITE_ROW) {
        int number;
        bool null = false;

        key[0] = '\0';
        for (int i = 0; i < key_columns; i++) {
            null |= sqlite3_column_type(rows, i) == SQLITE_NULL;
            describe(rows, i, true, value);
            strcat(strcat(key, value), "|");
        }
        if (null)
            continue;
        number = key_number(table, intern(key));
        CHECK(!seen->present[number]);
        seen->present[number] = true;
        for (int i = 0; i < count; i++) {
            describe(rows, key_columns + i, false, value);
            seen->values[number][columns[i]] = intern(value);
        }
    }
    CHECK_INT(sqlite3_finalize(rows), ==, SQLITE_OK);
}

static int shown(const struct model_row *row, int table, int column)
{
    return row->dots[column].version != 0 ? row->values[column]
                                          : world.defaults[table][column];
}

/* The copy's tables, vector and journal are what the model says. */
static void compare(struct member *member)
{
    static struct look seen;
    const struct vv *vv = store_vv(member->copy.store);
    size_t entries = 0;

    for (int site = 0; site < world.site_count; site++) {
        entries += member->vv[site] > 0;
        CHECK_INT(vv_get(vv, &world.sites[site]), ==, member->vv[site]);
    }
    CHECK_INT(vv->count, ==, entries);
    CHECK_TEXT(ask(&member->copy, "SELECT count(*) FROM gv_journal"), "0");
    for (int table = 0; table < TABLES; table++) {
        look(member, table, &seen);
        for (int key = 0; key < world.key_count[table]; key++) {
            const struct model_row *row = &member->rows[table][key];
            bool alive = row->length % 2 == 1;

            if (seen.present[key] != alive) {
                fprintf(stderr, "%s %s: is %d, not %d (length %d)\n",
                        shapes[table].name, texts[world.keys[table][key]],
                        seen.present[key], alive, (int)row->length);
                exit(1);
            }
            for (int i = 0; alive && i < world.column_count[table]; i++)
                if (member->has[table][i] &&
                    seen.values[key][i] != shown(row, table, i)) {
                    fprintf(stderr, "%s %s.%s is %s, not %s\n",
                            shapes[table].name, texts[world.keys[table][key]],
                            world.columns[table][i],
                            texts[seen.values[key][i]],
                            texts[shown(row, table, i)]);
                    exit(1);
                }
        }
    }
}

/* Seal */

/* What this look publishes of one table. */
static void derive(struct member *member, int table,
                   struct publication *publication)
{
    static struct look seen;

    look(member, table, &seen);
    for (int key = 0; key < world.key_count[table]; key++) {
        const struct model_row *row = &member->rows[table][key];
        struct change change = {.table = table, .key = key};
        bool alive = row->length % 2 == 1, any;

        change.existence = any = seen.present[key] != alive;
        change.length = row->length + change.existence;
        for (int i = 0; seen.present[key] && i < world.column_count[table];
             i++) {
            int known = change.existence ? world.defaults[table][i]
                                         : shown(row, table, i);

            if (!member->has[table][i] || seen.values[key][i] == known)
                continue;
            change.written[i] = any = true;
            change.values[i] = seen.values[key][i];
        }
        if (!any)
            continue;
        publication->changes =
            realloc(publication->changes,
                    (size_t)(publication->change_count + 1) * sizeof change);
        CHECK(publication->changes != NULL);
        publication->changes[publication->change_count++] = change;
    }
}

/* Each change's version, from the journal as anyone can read it: a pause of
 * ten seconds starts a run, a key belongs to its last run, and a run's version
 * is its largest time, unless something larger was seen. */
static void give_versions(struct member *member, struct publication *p)
{
    char key[500], value[200];
    uint64_t versions[200], last = member->vv[member->site];
    int64_t times[200], before = 0;
    int *run_of[TABLES], runs = 0;
    sqlite3_stmt *rows;

    for (int t = 0; t < TABLES; t++) {
        run_of[t] = malloc(KEYS * sizeof(int));
        CHECK(run_of[t] != NULL);
        memset(run_of[t], 0xff, KEYS * sizeof(int));
    }
    CHECK_INT(sqlite3_prepare_v2(member->copy.app,
                                 "SELECT substr(local,2)+1,CAST(round((day-"
                                 "2440587.5)*86400000) AS INTEGER),k1,k2 FROM"
                                 " gv_journal JOIN gv_table AS t ON"
                                 " t.id=tbl ORDER BY gv_journal.id",
                                 -1, &rows, NULL),
              ==, SQLITE_OK);
    while (sqlite3_step(rows) == SQLITE_ROW) {
        int table = sqlite3_column_int(rows, 0) - 1;
        int count = shapes[table].key_kind[1] != 0 ? 2 : 1;
        int64_t ms = sqlite3_column_int64(rows, 1);
        bool null = false;

        key[0] = '\0';
        for (int i = 0; i < count; i++) {
            null |= sqlite3_column_type(rows, 2 + i) == SQLITE_NULL;
            describe(rows, 2 + i, true, value);
            strcat(strcat(key, value), "|");
        }
        if (null)
            continue;
        /* A delete is not timed (0): it is of the run it stands in. */
        if (runs == 0 || (ms != 0 && before != 0 && ms - before >= 10000)) {
            CHECK_INT(runs, <, 200);
            times[runs++] = ms;
        }
        before = ms != 0 ? ms : before;
        if (times[runs - 1] < ms)
            times[runs - 1] = ms;
        run_of[table][key_number(table, intern(key))] = runs - 1;
    }
    sqlite3_finalize(rows);
    for (int i = 0; i < runs; i++) {
        int64_t ms =
            times[i] != 0 && times[i] < copies_wall ? times[i] : copies_wall;
        uint64_t version = (uint64_t)ms << 16;

        if (version <= last)
            version = last + 1;
        if (version <= member->clock)
            version = member->clock + 1;
        versions[i] = last = version;
    }
    for (int i = 0; i < p->change_count; i++) {
        int run = run_of[p->changes[i].table][p->changes[i].key];

        CHECK(run >= 0);
        p->changes[i].version = versions[run];
        if (p->to < versions[run])
            p->to = versions[run];
    }
    for (int t = 0; t < TABLES; t++)
        free(run_of[t]);
}

static void at_clock_of(const struct member *member)
{
    copies_wall = world.start + member->skew + world.elapsed;
}

static void model_seal(struct member *member)
{
    struct publication p = {.site = member->site};
    struct store_sealed sealed;

    at_clock_of(member);
    p.from = member->vv[member->site];
    memcpy(p.seen, member->vv, sizeof p.seen);
    for (int table = 0; table < TABLES; table++)
        derive(member, table, &p);
    give_versions(member, &p);
    sealed = seal(&member->copy);
    CHECK_INT(sealed.any, ==, p.change_count > 0);
    if (!sealed.any) {
        free(p.changes);
        compare(member);
        return;
    }
    CHECK_INT(sealed.interval.from, ==, p.from);
    CHECK_INT(sealed.interval.to, ==, p.to);
    p.interval = sealed.interval;
    if (sealed.interval.bytes != NULL) {
        p.bytes = malloc(sealed.interval.size);
        CHECK(p.bytes != NULL);
        memcpy(p.bytes, sealed.interval.bytes, sealed.interval.size);
        p.interval.bytes = p.bytes;
    }
    world.publications = realloc(
        world.publications, (size_t)(world.publication_count + 1) * sizeof p);
    CHECK(world.publications != NULL);
    world.publications[world.publication_count++] = p;
    cover(member, p.site, p.to);
    compare(member);
}

static void deliver(struct member *to, int number)
{
    struct gv_error error = {0};
    int expected = GV_OK, rc;
    bool covered = true;
    const struct publication *p;

    if (world.publications[number].bytes == NULL)
        return;
    model_seal(to);
    p = &world.publications[number];
    for (int i = 0; i < world.site_count; i++)
        covered &= to->vv[i] >= p->seen[i];
    if (p->to <= to->vv[p->site])
        expected = GV_EDUPLICATE;
    else if (!covered)
        expected = GV_EGAP;
    rc = apply_interval(&to->copy, &p->interval, &error);
    if (rc != expected)
        fprintf(stderr, "interval: %s\n", error.what);
    CHECK_INT(rc, ==, expected);
    if (rc == GV_OK)
        cover(to, p->site, p->to);
    compare(to);
}

static void pull_delta(struct member *to, struct member *from)
{
    struct gv_error error = {0};
    int rc;

    model_seal(from);
    model_seal(to);
    rc = pull(&to->copy, &from->copy, &error);
    if (rc != GV_OK)
        fprintf(stderr, "delta: %s (%d)\n", error.what, rc);
    CHECK_INT(rc, ==, GV_OK);
    for (int i = 0; rc == GV_OK && i < world.site_count; i++)
        if (to->vv[i] < from->vv[i])
            cover(to, i, from->vv[i]);
    compare(to);
}

/* Equal vectors: equal tables follow from compare(), fingerprints do not. */
static void compare_fingerprints(void)
{
    for (int i = 0; i < world.count; i++)
        for (int j = 0; j < i; j++) {
            struct member *a = world.members[i], *b = world.members[j];

            if (memcmp(a->vv, b->vv, sizeof a->vv) == 0)
                check_equal(&a->copy, &b->copy);
        }
}

/* Random SQL */

static const char *random_value(void)
{
    static const char *const values[] = {"NULL",
                                         "0",
                                         "1",
                                         "-1",
                                         "2",
                                         "7",
                                         "3",
                                         "9007199254740993",
                                         "9223372036854775807",
                                         "-9223372036854775808",
                                         "1.0",
                                         "1.5",
                                         "-0.0",
                                         "0.1",
                                         "1e300",
                                         "9e999",
                                         "-1.5",
                                         "9007199254740992.0",
                                         "''",
                                         "'a'",
                                         "'x'",
                                         "'007'",
                                         "'5'",
                                         "'1e3'",
                                         "'q'",
                                         "'o''k'",
                                         "'a'||char(0)||'b'",
                                         "CAST(x'ff61' AS TEXT)",
                                         "x''",
                                         "x'00'",
                                         "x'00ff'",
                                         "zeroblob(300)",
                                         "printf('%.300c','z')",
                                         "hex(zeroblob(2500))",
                                         "zeroblob(9000)",
                                         "random()",
                                         "random()/1e10"};

    if (rnd(400) == 0)
        return "hex(zeroblob(35000))";
    return values[rnd(sizeof values / sizeof values[0])];
}

static const char *random_key(int kind)
{
    static const char *const text[] = {
        "'a'", "'b'",  "'c'", "''",   "'x'||char(0)", "CAST(x'ff' AS TEXT)",
        "'A'", "NULL", "7",   "x'61'"};
    static const char *const integer[] = {"0",
                                          "1",
                                          "2",
                                          "-1",
                                          "3",
                                          "-5",
                                          "9223372036854775807",
                                          "4",
                                          "-9223372036854775807-1"};
    static const char *const untyped[] = {"1",
                                          "1.0",
                                          "'1'",
                                          "x'31'",
                                          "0",
                                          "-0.0",
                                          "1.5",
                                          "''",
                                          "x''",
                                          "NULL",
                                          "9007199254740993",
                                          "9007199254740992.0",
                                          "1e300"};
    static const char *const real[] = {
        "0",      "-0.0", "1", "1.5", "'2'", "'z'", "9007199254740993",
        "-1e300", "NULL"};

    switch (kind) {
    case 't':
        return text[rnd(10)];
    case 'i':
        return integer[rnd(9)];
    case 'r':
        return real[rnd(9)];
    default:
        return untyped[rnd(13)];
    }
}

struct text_out {
    char bytes[16384];
};

static void put(struct text_out *out, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void put(struct text_out *out, const char *format, ...)
{
    size_t used = strlen(out->bytes);
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(out->bytes + used, sizeof out->bytes - used, format, arguments);
    va_end(arguments);
}

static int random_column(const struct member *member, int table)
{
    int i;

    if (world.column_count[table] == 0)
        return -1;
    for (int tries = 0; tries < 20; tries++) {
        i = (int)rnd((uint32_t)world.column_count[table]);
        if (member->has[table][i])
            return i;
    }
    return -1;
}

static void put_where(struct text_out *out, int table)
{
    const struct shape *shape = &shapes[table];
    char first[8], *comma;

    snprintf(first, sizeof first, "%s", shape->keys);
    comma = strchr(first, ',');
    if (comma != NULL)
        *comma = '\0';
    put(out, " WHERE %s = %s", first, random_key(shape->key_kind[0]));
    if (comma != NULL && chance(70))
        put(out, " AND %s = %s", comma + 1, random_key(shape->key_kind[1]));
}

static void put_insert(struct text_out *out, const struct member *member,
                       int table)
{
    static const char *const verbs[] = {
        "INSERT INTO", "INSERT OR REPLACE INTO", "INSERT OR IGNORE INTO",
        "REPLACE INTO", "INSERT OR FAIL INTO"};
    const struct shape *shape = &shapes[table];
    int columns[3], count = (int)rnd(4), column;

    put(out, "%s %s(%s", verbs[rnd(5)], shape->name, shape->keys);
    for (int i = 0; i < count; i++) {
        columns[i] = random_column(member, table);
        for (int j = 0; j < i; j++)
            if (columns[j] == columns[i])
                columns[i] = -1;
        if (columns[i] >= 0)
            put(out, ",%s", world.columns[table][columns[i]]);
    }
    put(out, ") VALUES(%s", random_key(shape->key_kind[0]));
    if (shape->key_kind[1] != 0)
        put(out, ",%s", random_key(shape->key_kind[1]));
    for (int i = 0; i < count; i++)
        if (columns[i] >= 0)
            put(out, ",%s", random_value());
    put(out, ")");
    column = random_column(member, table);
    if (chance(25) && column >= 0)
        put(out, " ON CONFLICT(%s) DO UPDATE SET %s = %s", shape->keys,
            world.columns[table][column], random_value());
    else if (chance(10))
        put(out, " ON CONFLICT DO NOTHING");
}

static void put_update(struct text_out *out, const struct member *member,
                       int table)
{
    const struct shape *shape = &shapes[table];
    int column = random_column(member, table);
    char first[8];

    snprintf(first, sizeof first, "%s", shape->keys);
    if (strchr(first, ',') != NULL)
        *strchr(first, ',') = '\0';
    put(out, "UPDATE %s%s SET ",
        chance(20)   ? "OR REPLACE "
        : chance(20) ? "OR IGNORE "
                     : "",
        shape->name);
    if (chance(25) || column < 0)
        put(out, "%s = %s", first, random_key(shape->key_kind[0]));
    else if (table == 1 && chance(20))
        put(out, "%s = %s", chance(50) ? "rowid" : "oid", random_key('i'));
    else
        put(out, "%s = %s", world.columns[table][column], random_value());
    column = random_column(member, table);
    if (chance(30) && column >= 0)
        put(out, ",%s = %s", world.columns[table][column], random_value());
    if (chance(85))
        put_where(out, table);
}

static void put_statement(struct text_out *out, const struct member *member)
{
    int table = (int)rnd(TABLES);
    uint32_t kind = rnd(100);
    int column = random_column(member, table);

    if (kind < 50) {
        put_insert(out, member, table);
    } else if (kind < 80) {
        put_update(out, member, table);
    } else if (kind < 93) {
        put(out, "DELETE FROM %s", shapes[table].name);
        if (chance(93))
            put_where(out, table);
    } else if (kind < 96 && shapes[table].rowid && table != 1 && table != 7) {
        put(out, "UPDATE %s SET rowid = rowid + 1000", shapes[table].name);
    } else if (column >= 0) {
        const char *name = world.columns[table][column];

        put(out, "UPDATE %s SET %s = %s.%s || 'x'", shapes[table].name, name,
            shapes[table].name, name);
        if (chance(50))
            put(out, "; UPDATE %s SET %s = NULL WHERE %s = 'x'",
                shapes[table].name, name, name);
    }
    put(out, ";");
}

/* A program of the application: errors are its own affair. */
static void application(struct member *member)
{
    struct text_out out = {""};
    uint32_t count = 1 + rnd(chance(10) ? 30 : 4);
    bool transaction = chance(60);

    sqlite3_exec(member->copy.app,
                 chance(30) ? "PRAGMA recursive_triggers=ON"
                            : "PRAGMA recursive_triggers=OFF",
                 NULL, NULL, NULL);
    if (transaction)
        sqlite3_exec(member->copy.app, "BEGIN IMMEDIATE", NULL, NULL, NULL);
    for (uint32_t i = 0; i < count; i++) {
        static const char *const others[] = {
            "SAVEPOINT s", "ROLLBACK TO s", "RELEASE s",
            ("UPDATE gv_journal SET day = day + 20 / 86400.0 WHERE id > "
             "(SELECT max(id) - 3 FROM gv_journal)")};

        out.bytes[0] = '\0';
        if (chance(12) && transaction)
            put(&out, "%s", others[rnd(4)]);
        else
            put_statement(&out, member);
        sqlite3_exec(member->copy.app, out.bytes, NULL, NULL, NULL);
        world.statements++;
    }
    if (!sqlite3_get_autocommit(member->copy.app))
        sqlite3_exec(member->copy.app, chance(75) ? "COMMIT" : "ROLLBACK",
                     NULL, NULL, NULL);
    if (!sqlite3_get_autocommit(member->copy.app))
        sqlite3_exec(member->copy.app, "ROLLBACK", NULL, NULL, NULL);
}

/* The world */

static void add_column(int table, const char *name, const char *initial)
{
    int i = world.column_count[table]++;

    CHECK_INT(i, <, COLUMNS);
    world.columns[table][i] = strdup(name);
    world.defaults[table][i] = intern(initial);
}

static const char *wide_schema(void)
{
    static char text[2048];

    strcpy(text, "CREATE TABLE t7(id INTEGER PRIMARY KEY");
    for (int i = 0; i < 68; i++)
        sprintf(text + strlen(text), ",c%d", i);
    return strcat(text, ")");
}

static void describe_default(const char *sql_value, char *out)
{
    sqlite3 *db;
    sqlite3_stmt *row;

    CHECK_INT(sqlite3_open(":memory:", &db), ==, SQLITE_OK);
    CHECK_INT(sqlite3_prepare_v2(db, sql_value, -1, &row, NULL), ==,
              SQLITE_OK);
    CHECK_INT(sqlite3_step(row), ==, SQLITE_ROW);
    describe(row, 0, false, out);
    sqlite3_finalize(row);
    sqlite3_close(db);
}

static void columns_of(int table, const char *names,
                       const char *const *initials)
{
    char list[64], initial[100];

    strcpy(list, names);
    for (char *name = strtok(list, ","); name != NULL;
         name = strtok(NULL, ",")) {
        describe_default(*initials++, initial);
        add_column(table, name, initial);
    }
}

static void make_columns(void)
{
    static const char *const initials[TABLES][3] = {
        {"SELECT NULL", "SELECT 7", "SELECT NULL"},
        {"SELECT 'x'", "SELECT NULL", "SELECT 5"},
        {"SELECT NULL", "SELECT x'00'", NULL},
        {"SELECT NULL", "SELECT NULL", NULL},
        {NULL, NULL, NULL},
        {"SELECT 3", "SELECT NULL", "SELECT NULL"},
        {"SELECT -1.5", NULL, NULL}};
    static const char *const extra[] = {"SELECT 2", "SELECT 'q'",
                                        "SELECT NULL"};

    for (int table = 0; table < TABLES; table++) {
        if (table < 7) {
            columns_of(table, shapes[table].columns, initials[table]);
        } else {
            char name[16];

            for (int i = 0; i < 68; i++) {
                snprintf(name, sizeof name, "c%d", i);
                add_column(table, name, "null");
            }
        }
        columns_of(table, "e1,e2,e3", extra);
    }
}

static int site_of(const struct site *site)
{
    for (int i = 0; i < world.site_count; i++)
        if (memcmp(world.sites[i].bytes, site->bytes, 16) == 0)
            return i;
    CHECK_INT(world.site_count, <, SITES);
    world.sites[world.site_count] = *site;
    return world.site_count++;
}

static void member_make(int index, uint64_t seed)
{
    struct member *member = calloc(1, sizeof *member);
    char name[40];

    CHECK(member != NULL);
    world.members[index] = member;
    member->skew = seed % 4 < 2 ? 0 : (gv_time_ms)rnd(20000);
    at_clock_of(member);
    snprintf(name, sizeof name, "r%llu-%d", (unsigned long long)seed, index);
    copy_make(&member->copy, name, "PRAGMA page_size=1024");
    sqlite3_exec(member->copy.app, "PRAGMA synchronous=OFF", NULL, NULL, NULL);
    for (int i = 0; i < TABLES; i++) {
        int table = (i + 3 * index) % TABLES; /* no two number them alike */

        sql(&member->copy, shapes[table].schema != NULL ? shapes[table].schema
                                                        : wide_schema());
        track(&member->copy, shapes[table].name);
        for (int j = 0; j < world.column_count[table] - 3; j++)
            member->has[table][j] = true;
    }
    member->site = site_of(store_site(member->copy.store));
}

static void alter(struct member *member)
{
    int table = (int)rnd(TABLES), which = (int)rnd(3);
    int column = world.column_count[table] - 3 + which;
    char text[100];

    if (member->has[table][column])
        return;
    snprintf(text, sizeof text, "ALTER TABLE %s ADD COLUMN %s",
             shapes[table].name, extra_types[which]);
    if (table == 5) /* STRICT columns have types */
        snprintf(text, sizeof text, "ALTER TABLE t5 ADD COLUMN %s",
                 which == 0   ? "e1 ANY DEFAULT 2"
                 : which == 1 ? "e2 TEXT DEFAULT 'q'"
                              : "e3 REAL");
    model_seal(member);
    sql(&member->copy, text);
    member->has[table][column] = true;
    /* What came for it before is shown, and is no write. */
    CHECK(!seal(&member->copy).any);
    compare(member);
}

/* The file becomes a copy of itself: it must take another site id. */
static void become_copy(struct member *member)
{
    char command[1400];

    if (world.site_count == SITES)
        return;
    model_seal(member);
    store_close(member->copy.store);
    member->copy.store = NULL;
    sqlite3_close(member->copy.app);
    snprintf(command, sizeof command, "cp '%s' '%s.k' && mv '%s.k' '%s'",
             member->copy.path, member->copy.path, member->copy.path,
             member->copy.path);
    CHECK_INT(system(command), ==, 0);
    CHECK_INT(sqlite3_open(member->copy.path, &member->copy.app), ==,
              SQLITE_OK);
    sqlite3_busy_timeout(member->copy.app, 5000);
    copy_reopen(&member->copy, STORE_WRITE);
    CHECK(memcmp(store_site(member->copy.store)->bytes,
                 world.sites[member->site].bytes, 16) != 0);
    member->site = site_of(store_site(member->copy.store));
}

static void disturb(struct member *member)
{
    static const char *const statements[] = {
        "VACUUM",
        "PRAGMA wal_checkpoint(TRUNCATE)",
        "CREATE INDEX IF NOT EXISTS i0 ON t0(a)",
        "DROP INDEX IF EXISTS i0",
        "ANALYZE",
        "REINDEX",
        "DROP TRIGGER IF EXISTS gv_2_u",
        ("CREATE TRIGGER IF NOT EXISTS mine AFTER INSERT ON t3 BEGIN"
         " SELECT 1; END")};

    at_clock_of(member);
    switch (rnd(6)) {
    case 0:
        copy_reopen(&member->copy, STORE_WRITE);
        break;
    case 1:
        if (chance(15))
            become_copy(member);
        break;
    case 2:
        alter(member);
        break;
    default:
        model_seal(member);
        sql(&member->copy, statements[rnd(8)]);
        /* Missing triggers are put back before anybody writes again. */
        model_seal(member);
        CHECK_INT(audit_now(&member->copy), ==, 0);
    }
}

/* Mostly one of the last. */
static int random_publication(void)
{
    uint32_t count = (uint32_t)world.publication_count;
    uint32_t last = count < 8 || chance(30) ? count : 8;

    return (int)(count - 1 - rnd(last));
}

static void step(void)
{
    struct member *a = world.members[rnd((uint32_t)world.count)];
    struct member *b = world.members[rnd((uint32_t)world.count)];
    uint32_t kind = rnd(100);

    world.elapsed += rnd(4) == 0 ? rnd(30) : 0;
    if (kind < 45)
        application(a);
    else if (kind < 65)
        model_seal(a);
    else if (kind < 88 && world.publication_count > 0)
        deliver(a, random_publication());
    else if (kind < 95 && a != b)
        pull_delta(a, b);
    else if (kind < 97)
        CHECK_INT(verify_findings(&a->copy, NULL), ==, 0);
    else
        disturb(a);
    compare_fingerprints();
}

static void everything_everywhere(void)
{
    for (int i = 0; i < world.count; i++)
        for (int table = 0; table < TABLES; table++)
            for (int e = 0; e < 3; e++)
                while (!world.members[i]
                            ->has[table][world.column_count[table] - 3 + e])
                    alter(world.members[i]);
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < world.count; i++)
            for (int j = 0; j < world.count; j++)
                if (i != j)
                    pull_delta(world.members[i], world.members[j]);
    for (int i = 0; i < world.count; i++) {
        CHECK(memcmp(world.members[i]->vv, world.members[0]->vv,
                     sizeof world.members[0]->vv) == 0);
        CHECK_INT(verify_findings(&world.members[i]->copy, NULL), ==, 0);
    }
    compare_fingerprints();
}

static bool same_row(const struct model_row *a, const struct model_row *b)
{
    bool same = a->length == b->length &&
                a->existence.version == b->existence.version &&
                a->existence.site == b->existence.site;

    for (int i = 0; i < COLUMNS && same; i++)
        same = a->dots[i].version == b->dots[i].version &&
               a->dots[i].site == b->dots[i].site &&
               a->values[i] == b->values[i];
    return same;
}

/* The whole fold anew, from nothing but the publications. */
static void fold_again(void)
{
    struct member *member = calloc(1, sizeof *member);

    CHECK(member != NULL);
    for (int i = world.publication_count - 1; i >= 0; i--) {
        const struct publication *p = &world.publications[i];

        for (int j = 0; j < p->change_count; j++)
            fold_change(&member->rows[p->changes[j].table][p->changes[j].key],
                        &p->changes[j], p->site);
    }
    for (int table = 0; table < TABLES; table++)
        for (int key = 0; key < KEYS; key++)
            CHECK(same_row(&member->rows[table][key],
                           &world.members[0]->rows[table][key]));
    free(member);
}

static void world_close(void)
{
    for (int i = 0; i < world.count; i++) {
        char path[260];

        snprintf(path, sizeof path, "%s", world.members[i]->copy.path);
        copy_close(&world.members[i]->copy);
        unlink(path);
        free(world.members[i]);
    }
    for (int i = 0; i < world.publication_count; i++) {
        free(world.publications[i].changes);
        free(world.publications[i].bytes);
    }
    free(world.publications);
    for (int table = 0; table < TABLES; table++)
        for (int i = 0; i < world.column_count[table]; i++)
            free(world.columns[table][i]);
    texts_free();
    memset(&world, 0, sizeof world);
}

static uint64_t run(uint64_t seed)
{
    uint64_t statements;

    random_state = seed * 0x9e3779b97f4a7c15u + 1;
    (void)rnd(2);
    make_columns();
    /* With a clock behind the triggers' all times are capped: many versions
     * of different sites are equal then. */
    world.start = seed % 2 == 0 ? 4000000000000 : 1600000000000;
    world.count = 2 + (int)rnd(COPIES_MAX - 1);
    for (int i = 0; i < world.count; i++)
        member_make(i, seed);
    for (int i = 0; i < STEPS; i++)
        step();
    everything_everywhere();
    fold_again();
    statements = world.statements;
    world_close();
    return statements;
}

static uint64_t number_of(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);

    return text == NULL ? otherwise : strtoull(text, NULL, 10);
}

TEST(what_a_copy_shows_is_a_function_of_what_its_vector_covers)
{
    uint64_t first = number_of("SEED", 1), count = number_of("SEEDS", 5);
    uint64_t statements = 0;

    for (uint64_t seed = first; seed < first + count; seed++) {
        fprintf(stderr, "seed %llu\n", (unsigned long long)seed);
        statements += run(seed);
    }
    fprintf(stderr, "%llu statements\n", (unsigned long long)statements);
}

int main(int argc, char **argv)
{
    return check_main(argc, argv);
}
