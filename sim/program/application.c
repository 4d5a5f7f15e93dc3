#include "application.h"

#include "base/assert.h"
#include "sim/machine/machine.h"
#include "statements.h"

#include <stdlib.h>
#include <string.h>

/* Small, so that programs move the log into the file in a short run too. */
#define CHECKPOINT_PAGES 200
#define LONG_TRANSACTION 30

struct application {
    struct world *world;
    struct disk *disk;
    size_t machine, program;
    struct application_habits habits;
    struct application_listener listener;
    struct random random; /* of the transaction in hand */
    int64_t number;       /* of the last transaction tried */
    uint64_t lives;
    struct process *process;
    sqlite3 *db;
    uint64_t kill_next; /* operations of its next life; 0: none */
    struct statements statements;
    struct odd_counts counts;
    bool holding;
    struct application *next; /* of all, on all machines */
};

/* Who else may hold the lock of a file. */
static struct application *everyone;

struct application *
application_new(struct world *world, struct disk *disk, size_t machine,
                size_t program, const struct application_habits *habits,
                const struct application_listener *listener)
{
    struct application *application = calloc(1, sizeof *application);

    GV_ASSERT(application != NULL);
    application->world = world;
    application->disk = disk;
    application->machine = machine;
    application->program = program;
    application->habits = *habits;
    application->listener = *listener;
    application->next = everyone;
    everyone = application;
    return application;
}

static void note(const struct application *application, const char *what)
{
    world_note(application->world, "n%zu app%zu #%lld: %s",
               application->machine, application->program,
               (long long)application->number, what);
}

/* Its life as a process */

static void bury(struct application *application)
{
    sqlite3_db_config(application->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1,
                      NULL);
    sqlite3_close(application->db);
    process_free(application->process);
    application->db = NULL;
    application->process = NULL;
    application->holding = false;
}

void application_free(struct application *application)
{
    struct application **at = &everyone;

    if (application == NULL)
        return;
    while (*at != application)
        at = &(*at)->next;
    *at = application->next;
    if (application->process != NULL)
        bury(application);
    free(application);
}

void application_kill(struct application *application)
{
    if (application->process == NULL)
        return;
    note(application, "killed");
    process_kill(application->process);
    bury(application);
}

void application_kill_at(struct application *application, uint64_t n)
{
    if (application->process == NULL)
        application->kill_next = n;
    else
        process_kill_at(application->process, n, n % 2 == 0);
}

/* Whether the operation at which it was to die has come. */
static bool fallen(struct application *application)
{
    if (application->process == NULL || !process_dead(application->process))
        return false;
    application_kill(application);
    return true;
}

static int set_up(struct application *application)
{
    sqlite3 *db = application->db;
    char text[120];

    sqlite3_extended_result_codes(db, 1);
    snprintf(text, sizeof text,
             "PRAGMA synchronous=%s; PRAGMA wal_autocheckpoint=%d",
             application->habits.full_sync ? "EXTRA" : "NORMAL",
             CHECKPOINT_PAGES);
    return sqlite3_exec(db, text, NULL, NULL, NULL);
}

static bool wake_up(struct application *application)
{
    char name[48];
    int rc;

    if (application->process != NULL)
        return !fallen(application);
    snprintf(name, sizeof name, "n%zu-app%zu-%llu", application->machine,
             application->program, (unsigned long long)++application->lives);
    application->process = process_new(application->disk, name, false);
    GV_ASSERT(application->process != NULL);
    if (application->kill_next > 0)
        application_kill_at(application, application->kill_next);
    application->kill_next = 0;
    rc = sqlite3_open_v2(MACHINE_PATH, &application->db,
                         SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX,
                         process_vfs(application->process));
    if (rc == SQLITE_OK)
        rc = set_up(application);
    if (rc == SQLITE_OK)
        return true;
    note(application, "cannot open the file");
    bury(application);
    return false;
}

/* One transaction */

static void begin_work(struct application *application, uint64_t seed)
{
    random_seed(&application->random, seed);
    application->number++;
    statements_init(&application->statements, application->db,
                    &application->random, &application->habits,
                    &application->counts);
}

static unsigned percent(struct application *application)
{
    return (unsigned)random_below(&application->random, 100);
}

static bool has_failed(int code)
{
    int base = code & 0xff;

    return base == SQLITE_IOERR || base == SQLITE_FULL ||
           base == SQLITE_NOMEM || base == SQLITE_CANTOPEN;
}

static bool another_holds(const struct application *application)
{
    const struct application *other = everyone;

    while (other != NULL && (!other->holding || other == application ||
                             other->disk != application->disk))
        other = other->next;
    return other != NULL;
}

/* A statement that should have worked did not. */
static void complain(struct application *application, int code,
                     const char *statement)
{
    bool busy = (code & 0xff) == SQLITE_BUSY;

    if (has_failed(code) || process_dead(application->process) ||
        (busy && another_holds(application)))
        return;
    application->listener.refused(application->listener.context,
                                  application->machine, application->program,
                                  code, statement);
}

static void narrate(struct application *application, int code)
{
    struct statements *statements = &application->statements;

    if (code == SQLITE_OK)
        note(application, statements->trace);
    else
        world_note(application->world, "n%zu app%zu #%lld: %s: error %d",
                   application->machine, application->program,
                   (long long)application->number, statements->trace, code);
}

static void committed(struct application *application)
{
    application->listener.committed(application->listener.context,
                                    application->machine, application->program,
                                    application->number,
                                    application->habits.full_sync);
}

/* One statement that is a transaction. */
static bool autocommit(struct application *application)
{
    struct statements *statements = &application->statements;
    bool logs = application_logs(application->number);
    int64_t program =
        application_number(application->machine, application->program);
    int rc =
        logs ? statements_log(statements, program, application->number, false)
             : statements_run(statements, true);

    if (logs)
        snprintf(statements->trace, sizeof statements->trace, "INSERT log");
    narrate(application, rc);
    if (rc == SQLITE_OK && logs)
        committed(application);
    else if (rc != SQLITE_OK)
        complain(application, rc, statements->trace);
    return rc == SQLITE_OK;
}

/* The marks that say that it was here. */
static int mark(struct application *application)
{
    struct statements *statements = &application->statements;
    int64_t program =
        application_number(application->machine, application->program);
    int rc = statements_mark(statements, program, application->number);

    if (rc == SQLITE_OK && application->habits.score)
        rc = statements_score(statements, program);
    if (rc == SQLITE_OK && application_logs(application->number))
        rc = statements_log(statements, program, application->number, false);
    return rc;
}

static size_t draw_length(struct application *application)
{
    bool is_long = application->habits.misbehave && percent(application) < 6;

    return 1 +
           random_below(&application->random, is_long ? LONG_TRANSACTION : 4);
}

static int fill(struct application *application)
{
    struct statements *statements = &application->statements;
    bool mark_first = percent(application) < 50;
    size_t count = draw_length(application);
    int rc = mark_first ? mark(application) : SQLITE_OK;

    for (size_t i = 0; i < count && rc == SQLITE_OK; i++) {
        bool back = application->habits.misbehave && percent(application) < 8;

        application->counts.misbehaved += back;
        rc = back ? statements_take_back(statements, application->number)
                  : statements_run(statements, false);
    }
    if (rc == SQLITE_OK && !mark_first)
        rc = mark(application);
    return rc;
}

static int begin(struct application *application, bool immediate)
{
    const char *sql = immediate ? "BEGIN IMMEDIATE" : "BEGIN";
    int rc = sqlite3_exec(application->db, sql, NULL, NULL, NULL);

    if (rc == SQLITE_OK && !immediate && percent(application) < 50)
        rc = sqlite3_exec(application->db, "SELECT count(*) FROM t0", NULL,
                          NULL, NULL);
    if (rc != SQLITE_OK && immediate)
        complain(application, rc, sql);
    return rc;
}

static void roll_back(struct application *application)
{
    if (!sqlite3_get_autocommit(application->db))
        sqlite3_exec(application->db, "ROLLBACK", NULL, NULL, NULL);
}

static bool commit(struct application *application)
{
    int rc = sqlite3_exec(application->db, "COMMIT", NULL, NULL, NULL);

    if (rc != SQLITE_OK) {
        world_note(application->world, "n%zu app%zu #%lld: COMMIT: error %d",
                   application->machine, application->program,
                   (long long)application->number, rc);
        roll_back(application);
        return false;
    }
    committed(application);
    return true;
}

static bool transaction(struct application *application)
{
    struct statements *statements = &application->statements;
    bool taken_back = percent(application) < 6;
    int rc = begin(application, percent(application) < 60);

    if (rc == SQLITE_OK)
        rc = fill(application);
    if (rc == SQLITE_OK && taken_back) {
        rc = statements_log(statements, 0, application->number, true);
        roll_back(application);
        note(application, "ROLLBACK");
        return false;
    }
    narrate(application, rc);
    if (rc == SQLITE_OK)
        return commit(application);
    roll_back(application);
    return false;
}

static bool disturb(struct application *application)
{
    static const char *const statements[] = {
        "VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)",
        "PRAGMA wal_checkpoint(PASSIVE)", "PRAGMA wal_checkpoint(RESTART)"};
    int rc = statements_plain(&application->statements,
                              statements[percent(application) % 4]);

    application->counts.misbehaved++;
    narrate(application, rc);
    return rc == SQLITE_OK;
}

static void choose_settings(struct application *application)
{
    bool recursive =
        application->habits.misbehave && percent(application) < 40;

    sqlite3_exec(application->db,
                 recursive ? "PRAGMA recursive_triggers=ON"
                           : "PRAGMA recursive_triggers=OFF",
                 NULL, NULL, NULL);
}

bool application_act(struct application *application, uint64_t seed)
{
    unsigned kind;
    bool done;

    if (application->holding || !wake_up(application))
        return false;
    begin_work(application, seed);
    choose_settings(application);
    kind = percent(application);
    if (application->habits.misbehave && kind < 6)
        done = disturb(application);
    else if (kind < 30)
        done = autocommit(application);
    else
        done = transaction(application);
    fallen(application);
    return done;
}

const struct odd_counts *
application_counts(const struct application *application)
{
    return &application->counts;
}

void application_hold(struct application *application, uint64_t seed)
{
    int rc;

    if (application->holding || !wake_up(application))
        return;
    begin_work(application, seed);
    choose_settings(application);
    rc = begin(application, true);
    if (rc == SQLITE_OK)
        rc = fill(application);
    narrate(application, rc);
    application->holding = rc == SQLITE_OK;
    if (application->holding)
        note(application, "holds its transaction open");
    else
        roll_back(application);
    fallen(application);
}

bool application_release(struct application *application)
{
    bool done;

    if (!application->holding)
        return false;
    application->holding = false;
    done = commit(application);
    if (done)
        note(application, "COMMIT of what was held");
    fallen(application);
    return done;
}

bool application_holding(const struct application *application)
{
    return application->holding;
}
