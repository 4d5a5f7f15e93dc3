#include "steps.h"

#include "expect.h"
#include "mesh.h"
#include "send.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Writes */

static int exec(struct replica *replica, const char *sql)
{
    return sqlite3_exec(replica->app, sql, NULL, NULL, NULL);
}

static void judge(struct run *run, struct replica *replica, int rc,
                  bool must_fail, const char *sql)
{
    if (must_fail && rc == SQLITE_OK)
        run_fail(run, "%c: %s should fail", replica->letter, sql);
    if (!must_fail && rc != SQLITE_OK)
        run_fail(run, "%c: %s: %s", replica->letter, sql,
                 sqlite3_errmsg(replica->app));
}

static void write_transaction(struct run *run, struct replica *replica,
                              const char *sql, bool must_fail)
{
    struct gv_error error = {0};
    int rc = exec(replica, "BEGIN IMMEDIATE");

    if (rc == SQLITE_OK)
        rc = exec(replica, sql);
    judge(run, replica, rc, must_fail, sql);
    if (!sqlite3_get_autocommit(replica->app))
        exec(replica, rc == SQLITE_OK ? "COMMIT" : "ROLLBACK");
    run->touched |= 1u << run_index(run, replica);
    if (run->file->seal_each && !send_seal(run, replica, &error))
        run_fail(run, "%c cannot seal: %s", replica->letter, error.what);
}

static void write_raw(struct run *run, struct replica *replica,
                      const char *sql, bool must_fail)
{
    judge(run, replica, exec(replica, sql), must_fail, sql);
    run->touched |= 1u << run_index(run, replica);
}

/* Words */

static const char *skip(const char *text, const char *word)
{
    size_t size = strlen(word);

    if (strncmp(text, word, size) != 0)
        return NULL;
    text += size;
    return text + strspn(text, " ");
}

static bool is_letter(char byte)
{
    return byte >= 'A' && byte <= 'D';
}

/* "A: SQL", "A fails: SQL", "A raw: SQL", "A raw fails: SQL". */
static bool do_write(struct run *run, const char *line)
{
    static const struct {
        const char *words;
        bool raw, fails;
    } forms[] = {
        {":", false, false},
        {" fails:", false, true},
        {" raw:", true, false},
        {" raw fails:", true, true},
    };
    const char *concurrent = skip(line, "|| ");

    line = concurrent == NULL ? line : concurrent;
    for (size_t i = 0; is_letter(*line) && i < 4; i++) {
        const char *sql = skip(line + 1, forms[i].words);
        struct replica *replica;

        if (sql == NULL)
            continue;
        replica = run_replica(run, *line);
        (forms[i].raw ? write_raw : write_transaction)(run, replica, sql,
                                                       forms[i].fails);
        return true;
    }
    return false;
}

/* "A > B", "A > B half", "A > B {A 2} early". */
static bool do_exchange(struct run *run, const char *line)
{
    struct replica *from, *to;
    const char *rest;

    if (!is_letter(line[0]) || strncmp(line + 1, " > ", 3) != 0 ||
        !is_letter(line[4]))
        return false;
    from = run_replica(run, line[0]);
    to = run_replica(run, line[4]);
    rest = line + 5 + strspn(line + 5, " ");
    if (rest[0] == '\0')
        mesh_exchange(run, from, to);
    else if (rest[0] == '{')
        mesh_part(run, from, to, rest + 1, strstr(rest, "} early") != NULL);
    else if (strcmp(rest, "half") == 0)
        mesh_half(run, from, to);
    else
        return false;
    return true;
}

/* A publication that was pushed before is pushed once more. */
static void do_replay(struct run *run, const char *text)
{
    struct replica *to = run_replica(run, text[0]);

    for (size_t i = 0; i < run->publication_count; i++)
        if (run->publications[i].sent & 1u << run_index(run, to))
            send_interval(run, to, i, &(struct gv_error){0});
}

static void do_full(struct run *run, const char *text)
{
    mesh_full(run, *text == '\0' ? run->file->sites : text);
}

/* "A 5", "all +20": milliseconds since the case began, or later than now. */
static void do_wall(struct run *run, const char *text)
{
    const char *at = strpbrk(text, "+-0123456789");
    bool all = skip(text, "all") != NULL;

    if (at == NULL) {
        run_fail(run, "no time");
        return;
    }
    for (size_t i = 0; i < run->count; i++) {
        struct replica *replica = &run->replicas[i];

        if (!all && replica->letter != text[0])
            continue;
        replica->wall = strtoll(at, NULL, 10) +
                        (*at == '+' ? replica->wall : REPLICA_EPOCH_MS);
    }
}

/* "A", "A refused". */
static void do_seal(struct run *run, const char *text)
{
    struct replica *replica = run_replica(run, text[0]);
    struct gv_error error = {0};
    bool refused = strstr(text, "refused") != NULL;

    if (send_seal(run, replica, &error) == refused)
        run_fail(run, "%c %s: %s", replica->letter,
                 refused ? "seals" : "cannot seal", error.what);
}

/* "A": one slice; "A all": those that are left. */
static void do_work(struct run *run, const char *text)
{
    struct replica *replica = run_replica(run, text[0]);
    bool all = strstr(text, "all") != NULL;

    while (send_work(run, replica) && all)
        ;
}

/* "A": its node meets another live one with the same id, which keeps it. */
static void do_twin(struct run *run, const char *text)
{
    struct replica *replica = run_replica(run, text[0]);
    struct gv_error error = {0};

    if (store_heard_own(replica->store, VERSION_MAX, &error) != GV_EMOVED)
        run_fail(run, "%c goes on under an id that is another's: %s",
                 replica->letter, error.what);
    replica_restart(replica);
}

/* "A": the audit as far as it goes in no time; "A 10000": then after so many
 * ms without a change of the schema. */
static void do_audit(struct run *run, const char *text)
{
    const char *at = text + 1 + strspn(text + 1, " ");

    send_audit(run, run_replica(run, text[0]), strtoll(at, NULL, 10));
}

/* "A t", "A t refused: WORDS". */
static void do_track(struct run *run, const char *text)
{
    struct replica *replica = run_replica(run, text[0]);
    const char *refused = strstr(text, " refused: ");
    struct gv_error error = {0};
    size_t size = refused == NULL ? strlen(text) : (size_t)(refused - text);
    char table[64];
    int rc;

    snprintf(table, sizeof table, "%.*s", (int)size - 2, text + 2);
    rc = replica_track(replica, table, &error);
    if (refused == NULL && rc != GV_OK)
        run_fail(run, "table %s is refused: %s", table, error.what);
    else if (refused != NULL && rc != GV_EREFUSED)
        run_fail(run, "table %s is not refused", table);
    else if (refused != NULL && strstr(error.what, refused + 10) == NULL)
        run_fail(run, "the reason is another: %s", error.what);
    else if (refused != NULL && error.remedy[0] == '\0')
        run_fail(run, "no way out is named: %s", error.what);
}

static void do_restart(struct run *run, const char *text)
{
    replica_restart(run_replica(run, text[0]));
}

static void do_crash(struct run *run, const char *text)
{
    mesh_crash(run, run_replica(run, text[0]), LOSS_TAIL);
}

static void do_save(struct run *run, const char *text)
{
    replica_save(run_replica(run, text[0]));
}

/* "A", "A to B", "A running": the last backup of A comes back. */
static void do_restore(struct run *run, const char *text)
{
    struct replica *from = run_replica(run, text[0]);
    const char *to = skip(text + 1, " to ");

    replica_restore(to == NULL ? from : run_replica(run, *to), from,
                    strstr(text, "running") != NULL);
}

/* The disk as it is now, and back: the whole machine goes back in time, as a
 * virtual machine's does. */
static void do_snapshot(struct run *run, const char *text)
{
    replica_snapshot(run_replica(run, text[0]));
}

/* "A", "A to B": the latter makes B a twin of A. */
static void do_rewind(struct run *run, const char *text)
{
    struct replica *from = run_replica(run, text[0]);
    const char *to = skip(text + 1, " to ");

    replica_rewind(to == NULL ? from : run_replica(run, *to), from);
}

/* "A", "A running": its file is deleted, and the last backup gets its name. */
static void do_replace(struct run *run, const char *text)
{
    replica_replace(run_replica(run, text[0]),
                    strstr(text, "running") != NULL);
}

/* "A 2": so many names its file has. */
static void do_links(struct run *run, const char *text)
{
    run_replica(run, text[0])->links = strtoul(text + 1, NULL, 10);
}

/* "A B": B asks while A's journal is not empty, and must wait. */
static void do_busy(struct run *run, const char *text)
{
    struct replica *from = run_replica(run, text[0]);
    struct replica *to = run_replica(run, text[2]);
    struct delta delta;
    int rc = delta_want(&delta, from->store, store_vv(to->store),
                        &(struct gv_error){0});

    if (rc == GV_EBUSY)
        return;
    run_fail(run, "%c answers before it has sealed: %s", from->letter,
             gv_strerror(rc));
    if (rc == GV_OK)
        delta_close(&delta);
}

void steps_do(struct run *run, const char *line)
{
    static const struct {
        const char *word;
        void (*run)(struct run *run, const char *text);
    } words[] = {
        {"expect ", expect_check}, {"full", do_full},
        {"seal ", do_seal},        {"wall ", do_wall},
        {"track ", do_track},      {"restart ", do_restart},
        {"crash ", do_crash},      {"save ", do_save},
        {"restore ", do_restore},  {"replay ", do_replay},
        {"busy ", do_busy},        {"snapshot ", do_snapshot},
        {"rewind ", do_rewind},    {"replace ", do_replace},
        {"links ", do_links},      {"audit ", do_audit},
        {"twin ", do_twin},        {"work ", do_work},
    };

    if (do_write(run, line) || do_exchange(run, line))
        return;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        const char *text = skip(line, words[i].word);

        if (text == NULL)
            continue;
        words[i].run(run, text);
        return;
    }
    run_fail(run, "not a step");
}
