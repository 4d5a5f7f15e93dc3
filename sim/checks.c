#include "sim/checks.h"

#include "base/assert.h"
#include "core/clock.h"

#include <stdlib.h>
#include <string.h>

/* Versions stay so near to the clock of whoever accepts them. */
#define DRIFT_MAX_MS CLOCK_DRIFT_MAX_MS
/* One interval goes to one peer at most so often per connection. */
#define REPEATS_MAX 2
/* At rest: one frame each way per heartbeat, with what an ACK may add. */
#define REST_FRAME_SIZE_MAX 256
/* More events than this without a tick of the clock: a loop. */
#define STILL_EVENTS_MAX 10000
#define LOG_SIZE_MAX (64 << 20)
#define MEMORY_MAX (64 << 20)

static const struct {
    const char *id, *what;
} invariants[] = {
    {"I1", "equal vectors, equal fingerprints and equal tables"},
    {"I2", "after healing all living nodes come to hold the same, in time"},
    {"I3", "a node shows what the set of publications it covers says"},
    {"I4", "no acknowledged and durable transaction is lost"},
    {"I4b", "a table that is only inserted into loses no row"},
    {"I5", "nothing is shown that no program committed"},
    {"I7", "a node's vector does not fall; what it told stays its own"},
    {"I8", "a vector claims only what its file holds or has replaced"},
    {"I9", "one site and version is one content, for ever"},
    {"I10", "a deleted row comes back only by a new insert"},
    {"I11", "a row shows only cells of its present life"},
    {"I12", "a transaction is shown whole or not at all"},
    {"I13", "nothing is held without what it depends on"},
    {"I14", "a site's versions rise above all that it had seen"},
    {"I15", "no version is accepted from too far ahead"},
    {"I16", "memory and the write-ahead log stay bounded"},
    {"I17", "at rest: heartbeats only, and no write to the disk"},
    {"I18", "an interval goes to one peer at most twice per connection"},
    {"I19", "integrity_check is ok, and the schema as the programs left it"},
    {"I20", "nothing that was written is missed by the capture"},
    {"I21", "what a node tells of itself is synced"},
    {"I22", "programs can write, whatever the network does"},
    {"I24", "one seed is one run (with --twice)"},
    {"I27", "verify recomputes every digest and sum, and finds nothing"},
    {"I30", "time goes on: no endless loop"},
    {"core", "the numbered invariants of the core, after each step"},
};

/* A message's interval as it left its origin first. */
struct dot {
    struct site site;
    gv_version from, to;
    uint64_t content;
};

struct push {
    gv_link link;
    gv_version to;
    struct site site;
    unsigned times;
};

struct watch {
    struct vv vv;      /* the last seen of this run of the node */
    struct vv ever;    /* the largest ever seen here, for versions */
    gv_version synced; /* own entry that is on the platter */
    uint64_t schema;   /* hash of the file's schema */
    struct push *pushes;
    size_t push_count, push_capacity;
    struct machine_sent sent; /* when the quiet time began */
    uint64_t operations;
    size_t links;
};

struct checks {
    struct world *world;
    struct ledger *ledger;
    size_t count;
    struct watch *watches;
    struct dot *dots; /* open addressing, by site and to */
    size_t dot_count, dot_capacity;
    sim_time still_at;
    uint64_t still_steps;
};

struct checks *checks_new(struct world *world, struct ledger *ledger,
                          size_t machine_count)
{
    struct checks *checks = calloc(1, sizeof *checks);

    GV_ASSERT(checks != NULL);
    checks->world = world;
    checks->ledger = ledger;
    checks->count = machine_count;
    checks->watches = calloc(machine_count, sizeof *checks->watches);
    GV_ASSERT(checks->watches != NULL);
    for (size_t i = 0; i < machine_count; i++) {
        vv_init(&checks->watches[i].vv);
        vv_init(&checks->watches[i].ever);
    }
    return checks;
}

void checks_free(struct checks *checks)
{
    if (checks == NULL)
        return;
    for (size_t i = 0; i < checks->count; i++) {
        vv_close(&checks->watches[i].vv);
        vv_close(&checks->watches[i].ever);
        free(checks->watches[i].pushes);
    }
    free(checks->watches);
    free(checks->dots);
    free(checks);
}

static struct watch *watch_of(struct checks *checks,
                              const struct machine *machine)
{
    return &checks->watches[machine_index(machine)];
}

static const struct vv *vv_of(struct machine *machine)
{
    struct keeper *keeper = machine_keeper(machine);

    return keeper->methods->vv(keeper);
}

static const struct site *site_of(struct machine *machine)
{
    struct keeper *keeper = machine_keeper(machine);

    return keeper->methods->site(keeper);
}

static struct hash128 fingerprint_of(struct machine *machine)
{
    struct keeper *keeper = machine_keeper(machine);

    return keeper->methods->fingerprint(keeper);
}

/* Files */

static int64_t ask_number(struct machine *machine, const char *sql)
{
    sqlite3_stmt *statement;
    int64_t number = -1;

    if (sqlite3_prepare_v2(machine_observer(machine), sql, -1, &statement,
                           NULL) != SQLITE_OK)
        return -1;
    if (sqlite3_step(statement) == SQLITE_ROW)
        number = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return number;
}

/* I19 */
static void check_integrity(struct checks *checks, struct machine *machine)
{
    sqlite3_stmt *statement;
    const char *text = "no answer";
    int rc =
        sqlite3_prepare_v2(machine_observer(machine),
                           "PRAGMA integrity_check(1)", -1, &statement, NULL);

    if (rc == SQLITE_OK && sqlite3_step(statement) == SQLITE_ROW)
        text = (const char *)sqlite3_column_text(statement, 0);
    if (text == NULL || strcmp(text, "ok") != 0)
        world_fail(checks->world, "I19", "n%zu: integrity_check: %s",
                   machine_index(machine), text == NULL ? "NULL" : text);
    sqlite3_finalize(statement);
}

static uint64_t schema_hash(struct machine *machine)
{
    sqlite3_stmt *statement;
    uint64_t sum = 1;

    if (sqlite3_prepare_v2(machine_observer(machine),
                           "SELECT sql FROM sqlite_schema WHERE sql NOT NULL"
                           " AND name NOT LIKE 'gv\\_%' ESCAPE '\\'"
                           " ORDER BY name",
                           -1, &statement, NULL) != SQLITE_OK)
        return 0;
    while (sqlite3_step(statement) == SQLITE_ROW) {
        const char *text = (const char *)sqlite3_column_text(statement, 0);

        sum = sum * 31 + hash64(text, strlen(text));
    }
    sqlite3_finalize(statement);
    return sum;
}

static void check_schema(struct checks *checks, struct machine *machine)
{
    struct watch *watch = watch_of(checks, machine);
    uint64_t hash = schema_hash(machine);

    if (watch->schema == 0)
        watch->schema = hash;
    else if (watch->schema != hash)
        world_fail(checks->world, "I19",
                   "n%zu: the schema is not what the programs made",
                   machine_index(machine));
}

/* Vectors */

/* I7, I15 and, for our own entry, I14.  @limit: the clock of who accepts. */
static void check_entry(struct checks *checks, struct machine *machine,
                        const struct vv_entry *entry)
{
    struct watch *watch = watch_of(checks, machine);
    gv_version before = vv_get(&watch->vv, &entry->site);

    if (entry->version < before)
        world_fail(checks->world, "I7",
                   "n%zu: an entry of its vector fell from %llu to %llu",
                   machine_index(machine), (unsigned long long)before,
                   (unsigned long long)entry->version);
    if (entry->version > before &&
        !site_equal(&entry->site, site_of(machine)) &&
        clock_wall(entry->version) > machine_wall(machine) + DRIFT_MAX_MS)
        world_fail(
            checks->world, "I15",
            "n%zu: took a version %lld ms ahead of its clock",
            machine_index(machine),
            (long long)(clock_wall(entry->version) - machine_wall(machine)));
}

static gv_version largest(const struct vv *vv)
{
    gv_version most = 0;

    for (size_t i = 0; i < vv->count; i++)
        if (vv->entries[i].version > most)
            most = vv->entries[i].version;
    return most;
}

/* I14: what a node seals lies above all that stood in its vector before. */
static void check_sealed(struct checks *checks, struct machine *machine,
                         const struct interval *interval)
{
    struct watch *watch = watch_of(checks, machine);

    if (interval->to <= largest(&watch->vv) ||
        interval->from != vv_get(&watch->vv, &interval->site))
        world_fail(checks->world, "I14",
                   "n%zu: sealed (%llu, %llu] though it had seen %llu",
                   machine_index(machine), (unsigned long long)interval->from,
                   (unsigned long long)interval->to,
                   (unsigned long long)largest(&watch->vv));
}

static void note_vector(struct checks *checks, struct machine *machine)
{
    struct watch *watch = watch_of(checks, machine);
    const struct vv *vv = vv_of(machine);
    int rc = vv_copy(&watch->vv, vv);

    GV_ASSERT(rc == GV_OK);
}

void checks_opened(struct checks *checks, struct machine *machine)
{
    struct watch *watch = watch_of(checks, machine);

    vv_clear(&watch->vv);
    note_vector(checks, machine);
    watch->synced = vv_get(&watch->vv, site_of(machine));
    watch->push_count = 0;
    if (checks->ledger == NULL)
        return;
    check_integrity(checks, machine);
    check_schema(checks, machine);
}

void checks_committed(struct checks *checks, struct machine *machine,
                      const struct store_sealed *sealed)
{
    struct watch *watch = watch_of(checks, machine);
    const struct vv *vv = vv_of(machine);

    if (sealed->any)
        check_sealed(checks, machine, &sealed->interval);
    for (size_t i = 0; i < vv->count; i++)
        check_entry(checks, machine, &vv->entries[i]);
    if (vv->count < watch->vv.count)
        world_fail(checks->world, "I7", "n%zu: its vector lost a site",
                   machine_index(machine));
    note_vector(checks, machine);
    if (!sealed->any)
        return;
    /* Right after a commit that sealed, the log may hold nothing that is not
     * on the platter. */
    if (checks->ledger != NULL &&
        !disk_synced(machine_disk(machine), MACHINE_PATH "-wal"))
        world_fail(checks->world, "I21",
                   "n%zu: sealed %llu, and its log is not synced",
                   machine_index(machine),
                   (unsigned long long)sealed->interval.to);
    watch->synced = sealed->interval.to;
}

/* Messages */

static void check_own_entry(struct checks *checks, struct machine *machine,
                            gv_version version, const char *where)
{
    if (version > watch_of(checks, machine)->synced)
        world_fail(checks->world, "I21",
                   "n%zu: tells of its own %llu in a %s; synced is %llu",
                   machine_index(machine), (unsigned long long)version, where,
                   (unsigned long long)watch_of(checks, machine)->synced);
}

static void check_view(struct checks *checks, struct machine *machine,
                       struct vv_view view, const char *where)
{
    const struct site *site = site_of(machine);

    for (size_t i = 0; i < view.count; i++) {
        struct vv_entry entry = vv_view_at(view, i);

        if (site_equal(&entry.site, site))
            check_own_entry(checks, machine, entry.version, where);
    }
}

static struct dot *dot_at(struct dot *dots, size_t capacity,
                          const struct site *site, gv_version to)
{
    uint64_t hash =
        hash64(site->bytes, sizeof site->bytes) ^ to * 0x9e3779b97f4a7c15;
    size_t at = (hash ^ hash >> 32) & (capacity - 1);

    while (dots[at].to != 0 &&
           (dots[at].to != to || !site_equal(&dots[at].site, site)))
        at = (at + 1) & (capacity - 1);
    return &dots[at];
}

static void dots_grow(struct checks *checks)
{
    size_t capacity =
        checks->dot_capacity == 0 ? 1024 : checks->dot_capacity * 2;
    struct dot *dots = calloc(capacity, sizeof *dots);

    GV_ASSERT(dots != NULL);
    for (size_t i = 0; i < checks->dot_capacity; i++)
        if (checks->dots[i].to != 0)
            *dot_at(dots, capacity, &checks->dots[i].site,
                    checks->dots[i].to) = checks->dots[i];
    free(checks->dots);
    checks->dots = dots;
    checks->dot_capacity = capacity;
}

/* I9 */
static void check_dot(struct checks *checks, struct machine *machine,
                      const struct interval *interval)
{
    struct dot *dot;
    uint64_t content = hash64(interval->bytes, interval->size);

    if (checks->dot_count * 2 >= checks->dot_capacity)
        dots_grow(checks);
    dot = dot_at(checks->dots, checks->dot_capacity, &interval->site,
                 interval->to);
    if (dot->to == 0) {
        *dot = (struct dot){interval->site, interval->from, interval->to,
                            content};
        checks->dot_count++;
    } else if (dot->content != content || dot->from != interval->from) {
        world_fail(checks->world, "I9",
                   "n%zu: sends other content as version %llu of one site",
                   machine_index(machine), (unsigned long long)interval->to);
    }
}

/* I18 */
static void check_repeats(struct checks *checks, struct machine *machine,
                          gv_link link, const struct interval *interval)
{
    struct watch *watch = watch_of(checks, machine);
    struct push *push = watch->pushes;
    size_t i = 0;

    while (i < watch->push_count &&
           (push[i].link != link || push[i].to != interval->to ||
            !site_equal(&push[i].site, &interval->site)))
        i++;
    if (i == watch->push_count) {
        if (watch->push_count == watch->push_capacity) {
            watch->push_capacity = watch->push_capacity * 2 + 64;
            watch->pushes = reallocarray(watch->pushes, watch->push_capacity,
                                         sizeof *watch->pushes);
            GV_ASSERT(watch->pushes != NULL);
        }
        /* Long ago is enough: repeats come soon. */
        if (watch->push_count == 256)
            watch->push_count = 0;
        watch->pushes[watch->push_count++] =
            (struct push){link, interval->to, interval->site, 1};
    } else if (++push[i].times > REPEATS_MAX) {
        world_fail(checks->world, "I18",
                   "n%zu: sends version %llu on one link the %uth time",
                   machine_index(machine), (unsigned long long)interval->to,
                   push[i].times);
    }
}

static void check_news(struct checks *checks, struct machine *machine,
                       gv_link link, const struct message_news *news)
{
    const struct site *site = site_of(machine);

    for (size_t i = 0; i < news->interval_count; i++) {
        const struct interval *interval = &news->intervals[i];

        if (site_equal(&interval->site, site))
            check_own_entry(checks, machine, interval->to, "NEWS");
        if (checks->ledger == NULL)
            continue;
        check_dot(checks, machine, interval);
        check_repeats(checks, machine, link, interval);
    }
}

void checks_sending(struct checks *checks, struct machine *machine,
                    gv_link link, const struct message *message)
{
    if (message->kind == MESSAGE_NEWS)
        check_news(checks, machine, link, &message->as.news);
    else if (message->kind == MESSAGE_VV)
        check_view(checks, machine, message->as.vv.entries, "VV");
    else if (message->kind == MESSAGE_WANT)
        check_view(checks, machine, message->as.want.vv, "WANT");
    else if (message->kind == MESSAGE_DELTA && message->as.delta.last)
        check_view(checks, machine, message->as.delta.claim, "DELTA");
}

/* I30 and the core's own. */
void checks_stepped(struct checks *checks, struct machine *machine,
                    const struct event *event)
{
    const char *which;
    sim_time now = world_now(checks->world);

    (void)event;
    if (now != checks->still_at) {
        checks->still_at = now;
        checks->still_steps = world_steps(checks->world);
    } else if (world_steps(checks->world) - checks->still_steps >
               STILL_EVENTS_MAX) {
        world_fail(checks->world, "I30", "n%zu: the clock stands still",
                   machine_index(machine));
    }
    if (!core_check(machine_core(machine), &which))
        world_fail(checks->world, "core", "n%zu: %s", machine_index(machine),
                   which);
}

void checks_died(struct checks *checks, struct machine *machine)
{
    watch_of(checks, machine)->push_count = 0;
}

void checks_rewound(struct checks *checks, struct machine *machine)
{
    vv_clear(&watch_of(checks, machine)->vv);
}

void checks_refused(struct checks *checks, size_t machine, int code,
                    const char *statement)
{
    world_fail(checks->world, "I22", "n%zu: a program's %s failed with %d",
               machine, statement, code);
}

/* At rest */

bool checks_equal(struct machine *const *machines, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct vv *vv;

        if (!machine_alive(machines[i]))
            return false;
        vv = vv_of(machines[i]);
        if (vv->hash != vv_of(machines[0])->hash ||
            vv->hash != core_vv(machine_core(machines[i]))->hash)
            return false;
        if (machine_observer(machines[i]) != NULL &&
            ask_number(machines[i], "SELECT count(*) FROM gv_journal") != 0)
            return false;
    }
    return true;
}

static void describe(struct machine *machine, struct machine *other,
                     char *text, size_t size)
{
    const struct vv *vv;

    if (!machine_alive(machine)) {
        snprintf(text, size, "n%zu does not run", machine_index(machine));
        return;
    }
    vv = vv_of(machine);
    snprintf(text, size, "n%zu holds %zu sites", machine_index(machine),
             vv->count);
    if (!machine_alive(other))
        return;
    snprintf(text, size, "n%zu lacks something of %zu sites that n%zu holds",
             machine_index(machine), vv_lacks(vv, vv_of(other)),
             machine_index(other));
}

void checks_unequal(struct checks *checks, struct machine *const *machines,
                    size_t count)
{
    char text[600] = "", one[100];

    for (size_t i = 0; i < count; i++) {
        describe(machines[i], machines[(i + 1) % count], one, sizeof one);
        if (strlen(text) + strlen(one) + 3 < sizeof text)
            strcat(strcat(text, i > 0 ? "; " : ""), one);
    }
    world_fail(checks->world, "I2", "not equal in time: %s", text);
}

/* I17 */

/* What was sent since @before, in all and by kind for people. */
static uint64_t frames_since(const struct machine *machine,
                             const struct machine_sent *before,
                             uint64_t *bytes, char *text, size_t size)
{
    static const char *const names[] = {"",      "HELLO", "NEWS", "VV",
                                        "WANT",  "DELTA", "ACK",  "PRUNE",
                                        "PEERS", "BYE"};
    const struct machine_sent *sent = machine_sent(machine);
    uint64_t frames = 0;
    size_t used = 0;

    *bytes = 0;
    text[0] = '\0';
    for (size_t i = MESSAGE_HELLO; i <= MESSAGE_BYE; i++) {
        uint64_t count = sent->frames[i] - before->frames[i];

        frames += count;
        *bytes += sent->bytes[i] - before->bytes[i];
        if (count > 0 && used < size)
            used += (size_t)snprintf(text + used, size - used, " %llu %s",
                                     (unsigned long long)count, names[i]);
    }
    return frames;
}

static size_t links_up(const struct machine *machine)
{
    const struct core *core = machine_core(machine);
    size_t up = 0;

    for (size_t i = 0; i < core_link_count(core); i++) {
        struct link_info info;

        core_link_info(core, i, 0, &info);
        up += info.state == LINK_UP;
    }
    return up;
}

void checks_rest_begin(struct checks *checks, struct machine *const *machines,
                       size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct watch *watch = watch_of(checks, machines[i]);

        watch->sent = *machine_sent(machines[i]);
        watch->operations = machine_operations(machines[i]);
        watch->links = links_up(machines[i]);
    }
}

static bool linked(struct machine *machine, struct machine *other)
{
    const struct core *core = machine_core(machine);

    for (size_t i = 0; i < core_link_count(core); i++) {
        struct link_info info;

        core_link_info(core, i, 0, &info);
        if (info.state == LINK_UP && site_equal(&info.site, site_of(other)))
            return true;
    }
    return false;
}

/* Whether a machine waits for its turn to dial another of these. */
static bool unlinked(struct machine *const *machines, size_t count)
{
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < count; j++)
            if (machine_dials(machines[i], machine_index(machines[j])) &&
                !linked(machines[i], machines[j]))
                return true;
    return false;
}

bool checks_restless(struct checks *checks, struct machine *const *machines,
                     size_t count)
{
    if (unlinked(machines, count))
        return true;
    for (size_t i = 0; i < count; i++) {
        const struct machine_sent *before =
            &watch_of(checks, machines[i])->sent;
        const struct machine_sent *sent = machine_sent(machines[i]);

        if (machine_audits(machines[i]))
            return true;
        for (size_t kind = MESSAGE_HELLO; kind <= MESSAGE_BYE; kind++)
            if (kind != MESSAGE_VV &&
                sent->frames[kind] != before->frames[kind])
                return true;
    }
    return false;
}

void checks_rest_end(struct checks *checks, struct machine *const *machines,
                     size_t count, sim_time duration)
{
    for (size_t i = 0; i < count; i++) {
        struct watch *watch = watch_of(checks, machines[i]);
        uint64_t beats = (uint64_t)(duration / SIM_SECOND + 1);
        uint64_t bytes, frames;
        char kinds[120];

        frames = frames_since(machines[i], &watch->sent, &bytes, kinds,
                              sizeof kinds);
        if (frames > beats * watch->links ||
            bytes > frames * REST_FRAME_SIZE_MAX)
            world_fail(checks->world, "I17",
                       "n%zu: sent%s (%llu bytes) on %zu links in %llu"
                       " heartbeats at rest",
                       machine_index(machines[i]), kinds,
                       (unsigned long long)bytes, watch->links,
                       (unsigned long long)beats);
        if (machine_operations(machines[i]) != watch->operations)
            world_fail(checks->world, "I17", "n%zu: wrote to its disk at rest",
                       machine_index(machines[i]));
    }
}

/* The end */

static void found(void *context, const struct store_finding *finding)
{
    char *first = context;

    if (first[0] == '\0')
        snprintf(first, 200, "%s %s: %s", finding->table, finding->key,
                 finding->text);
}

/* I27 and I20: what the node can recompute by itself. */
static void check_verify(struct checks *checks, struct machine *machine)
{
    struct store *store = store_keeper_store(machine_keeper(machine));
    struct store_verified verified = {0};
    struct gv_error why = {0};
    char first[200] = "";
    int rc = store_verify(store, found, first, &verified, &why);

    if (rc != GV_OK)
        world_fail(checks->world, "I27", "n%zu: verify fails: %s",
                   machine_index(machine), why.what);
    else if (verified.findings > 0)
        world_fail(checks->world, "I27", "n%zu: verify finds %s",
                   machine_index(machine), first);
}

/* I16: a record is a cell or row someone still needs. */
static void check_bounds(struct checks *checks, struct machine *machine)
{
    int64_t spare = ask_number(
        machine, "SELECT count(*) FROM gv_ver AS v WHERE NOT EXISTS (SELECT 1"
                 " FROM gv_site AS s WHERE s.num=v.site AND"
                 " s.version>=v.version)");
    uint64_t log = disk_file_size(machine_disk(machine), MACHINE_PATH "-wal");

    if (spare != 0)
        world_fail(checks->world, "I16",
                   "n%zu: %lld records that its vector does not cover",
                   machine_index(machine), (long long)spare);
    if (log > LOG_SIZE_MAX || sqlite3_memory_used() > MEMORY_MAX)
        world_fail(checks->world, "I16",
                   "n%zu: the log has %llu bytes, SQLite %lld",
                   machine_index(machine), (unsigned long long)log,
                   (long long)sqlite3_memory_used());
}

/* I1 */
static void check_pair(struct checks *checks, struct machine *a,
                       struct machine *b)
{
    if (vv_of(a)->hash == vv_of(b)->hash &&
        !hash128_equal(fingerprint_of(a), fingerprint_of(b)))
        world_fail(checks->world, "I1",
                   "n%zu and n%zu have equal vectors and other fingerprints",
                   machine_index(a), machine_index(b));
}

void checks_end(struct checks *checks, struct machine *const *machines,
                size_t count)
{
    for (size_t i = 0; i < count; i++) {
        check_pair(checks, machines[0], machines[i]);
        if (checks->ledger == NULL)
            continue;
        ledger_compare(checks->ledger, machines[i]);
        check_verify(checks, machines[i]);
        check_bounds(checks, machines[i]);
        check_integrity(checks, machines[i]);
        check_schema(checks, machines[i]);
    }
    if (checks->ledger != NULL)
        ledger_account(checks->ledger, machines, count);
}

void checks_list(FILE *out)
{
    for (size_t i = 0; i < checks_count(); i++)
        fprintf(out, "  %-5s %s\n", invariants[i].id, invariants[i].what);
}

size_t checks_count(void)
{
    return sizeof invariants / sizeof invariants[0];
}
