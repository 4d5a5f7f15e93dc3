/* Database files in a temporary directory, each open in a connection that has
 * the extension loaded, as an application has it. */
#ifndef TESTS_EXTENSION_FILES_H
#define TESTS_EXTENSION_FILES_H

#include "check.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <unistd.h>

struct file {
    char path[256];
    sqlite3 *db;
};

static char files_directory[128];

static void files_remove(void)
{
    char command[256];

    snprintf(command, sizeof command, "rm -rf '%s'", files_directory);
    if (system(command) != 0)
        fprintf(stderr, "cannot remove %s\n", files_directory);
}

static inline void load(sqlite3 *db)
{
    const char *extension = getenv("GRAPEVINE_EXTENSION");
    char *message = NULL;

    CHECK(extension != NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 1, NULL);
    if (sqlite3_load_extension(db, extension, NULL, &message) != SQLITE_OK) {
        fprintf(stderr, "load: %s\n", message);
        exit(1);
    }
}

static inline void file_open(struct file *file)
{
    CHECK_INT(sqlite3_open(file->path, &file->db), ==, SQLITE_OK);
    sqlite3_busy_timeout(file->db, 5000);
    load(file->db);
}

/* Nothing of the extension may keep the connection open. */
static inline void file_close(struct file *file)
{
    CHECK_INT(sqlite3_close(file->db), ==, SQLITE_OK);
    file->db = NULL;
}

/* The message of a failure, or "" */
static inline const char *attempt(struct file *file, const char *sql)
{
    static char text[2048];
    char *message = NULL;

    text[0] = '\0';
    if (sqlite3_exec(file->db, sql, NULL, NULL, &message) != SQLITE_OK)
        snprintf(text, sizeof text, "%s", message);
    sqlite3_free(message);
    return text;
}

static inline void sql(struct file *file, const char *text)
{
    const char *message = attempt(file, text);

    if (message[0] != '\0') {
        fprintf(stderr, "%s: %s\n", text, message);
        exit(1);
    }
}

/* It fails, and says @words. */
static inline void refused(struct file *file, const char *text,
                           const char *words)
{
    const char *message = attempt(file, text);

    if (strstr(message, words) == NULL) {
        fprintf(stderr, "%s: said '%s', not '%s'\n", text, message, words);
        exit(1);
    }
}

/* The first column of the first row as text, or "(none)". */
static inline const char *ask(struct file *file, const char *text)
{
    static char answers[8][4096];
    static unsigned next;
    char *answer = answers[next++ % 8];
    sqlite3_stmt *statement;

    if (sqlite3_prepare_v2(file->db, text, -1, &statement, NULL) !=
            SQLITE_OK ||
        (sqlite3_step(statement) != SQLITE_ROW &&
         sqlite3_errcode(file->db) != SQLITE_DONE)) {
        fprintf(stderr, "%s: %s\n", text, sqlite3_errmsg(file->db));
        exit(1);
    }
    snprintf(answer, sizeof answers[0], "(none)");
    if (sqlite3_data_count(statement) > 0) {
        const char *value = (const char *)sqlite3_column_text(statement, 0);

        snprintf(answer, sizeof answers[0], "%s",
                 value == NULL ? "(null)" : value);
    }
    CHECK_INT(sqlite3_finalize(statement), ==, SQLITE_OK);
    return answer;
}

/* A new file with @schema. */
static inline void file_make(struct file *file, const char *schema)
{
    static int number;

    if (files_directory[0] == '\0') {
        const char *base = getenv("TMPDIR");

        snprintf(files_directory, sizeof files_directory, "%s/gv-XXXXXX",
                 base == NULL ? "/tmp" : base);
        CHECK(mkdtemp(files_directory) != NULL);
        atexit(files_remove);
    }
    snprintf(file->path, sizeof file->path, "%s/%d.db", files_directory,
             ++number);
    file_open(file);
    sql(file, schema);
}

#define TABLE "CREATE TABLE t(id INTEGER PRIMARY KEY, a, b)"

/* Two files that track the table t. */
static inline void pair(struct file *a, struct file *b, const char *schema)
{
    file_make(a, schema);
    file_make(b, schema);
    ask(a, "SELECT gv_track('t')");
    ask(b, "SELECT gv_track('t')");
}

static inline sqlite3_stmt *prepare(struct file *file, const char *text)
{
    sqlite3_stmt *statement;

    if (sqlite3_prepare_v2(file->db, text, -1, &statement, NULL) !=
        SQLITE_OK) {
        fprintf(stderr, "%s: %s\n", text, sqlite3_errmsg(file->db));
        exit(1);
    }
    return statement;
}

/* The answer of `SELECT …(?)` to @argument, if there is one. */
static inline sqlite3_stmt *call(struct file *file, const char *text,
                                 sqlite3_value *argument)
{
    sqlite3_stmt *statement = prepare(file, text);

    if (argument != NULL)
        sqlite3_bind_value(statement, 1, argument);
    if (sqlite3_step(statement) != SQLITE_ROW) {
        fprintf(stderr, "%s: %s\n", text, sqlite3_errmsg(file->db));
        exit(1);
    }
    return statement;
}

static inline sqlite3_value *vector_of(struct file *file)
{
    sqlite3_stmt *statement = call(file, "SELECT gv_vv()", NULL);
    sqlite3_value *vv = sqlite3_value_dup(sqlite3_column_value(statement, 0));

    sqlite3_finalize(statement);
    return vv;
}

/* What @vv lacks of @file. */
static inline sqlite3_value *delta_for(struct file *file, sqlite3_value *vv)
{
    sqlite3_stmt *statement = call(file, "SELECT gv_delta(?)", vv);
    sqlite3_value *delta =
        sqlite3_value_dup(sqlite3_column_value(statement, 0));

    sqlite3_finalize(statement);
    return delta;
}

static inline void apply(struct file *file, sqlite3_value *delta)
{
    sqlite3_finalize(call(file, "SELECT gv_apply(?)", delta));
}

/* @to gets all that it lacks of @from, as one blob. */
static inline void pull(struct file *to, struct file *from)
{
    sqlite3_value *vv = vector_of(to), *delta = delta_for(from, vv);

    apply(to, delta);
    sqlite3_value_free(delta);
    sqlite3_value_free(vv);
}

/* The same by way of gv_changes, row by row, but for row number @skip. */
static inline int copy_changes(struct file *to, struct file *from,
                               sqlite3_value *vv, int skip)
{
    sqlite3_stmt *read =
        prepare(from, "SELECT * FROM gv_changes WHERE since = ?");
    sqlite3_stmt *write =
        prepare(to, "INSERT INTO gv_changes VALUES(?,?,?,?,?,?,?)");
    int rc = SQLITE_DONE;

    sqlite3_bind_value(read, 1, vv);
    for (int row = 0; rc == SQLITE_DONE && sqlite3_step(read) == SQLITE_ROW;
         row++) {
        if (row == skip)
            continue;
        for (int i = 0; i < 7; i++)
            sqlite3_bind_value(write, i + 1, sqlite3_column_value(read, i));
        rc = sqlite3_step(write);
        sqlite3_reset(write);
    }
    CHECK_INT(sqlite3_finalize(read), ==, SQLITE_OK);
    sqlite3_finalize(write);
    return rc;
}

static inline void pull_rows(struct file *to, struct file *from)
{
    sqlite3_value *vv = vector_of(to);

    sql(to, "BEGIN");
    if (copy_changes(to, from, vv, -1) != SQLITE_DONE) {
        fprintf(stderr, "insert: %s\n", sqlite3_errmsg(to->db));
        exit(1);
    }
    sql(to, "COMMIT");
    sqlite3_value_free(vv);
}

static inline void exchange(struct file *a, struct file *b,
                            void (*way)(struct file *to, struct file *from))
{
    way(b, a);
    way(a, b);
    way(b, a);
}

/* Everything that the file says, except who it is. */
static inline void contents(struct file *file, char *text, size_t size)
{
    sqlite3_stmt *rows =
        prepare(file, "SELECT id||'='||quote(a)||','||quote(b) FROM t"
                      " ORDER BY id");

    snprintf(text, size, "%s", "");
    while (sqlite3_step(rows) == SQLITE_ROW) {
        size_t used = strlen(text);

        snprintf(text + used, size - used, "%s;",
                 (const char *)sqlite3_column_text(rows, 0));
    }
    sqlite3_finalize(rows);
}

static inline void check_equal(struct file *a, struct file *b)
{
    char of_a[4096], of_b[4096];

    contents(a, of_a, sizeof of_a);
    contents(b, of_b, sizeof of_b);
    CHECK_TEXT(of_a, of_b);
    CHECK_TEXT(ask(a, "SELECT hex(gv_vv())"), ask(b, "SELECT hex(gv_vv())"));
    CHECK_TEXT(ask(a, "SELECT hex(fingerprint) FROM gv_meta"),
               ask(b, "SELECT hex(fingerprint) FROM gv_meta"));
}

/* Every row of the application's and ours. */
static inline void snapshot(struct file *file, char *text, size_t size)
{
    sqlite3_stmt *dump = prepare(
        file, "SELECT (SELECT group_concat(id||quote(a)||quote(b)) FROM t)"
              "||(SELECT count(*) FROM sqlite_schema)");

    snprintf(text, size, "(none)");
    if (sqlite3_step(dump) == SQLITE_ROW &&
        sqlite3_column_text(dump, 0) != NULL)
        snprintf(text, size, "%s", sqlite3_column_text(dump, 0));
    sqlite3_finalize(dump);
}

#endif
