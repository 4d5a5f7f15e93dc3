#include "store/sql.h"

#include "base/assert.h"
#include "base/plant.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* SQLite's codes are positive and ours negative: one number says whose. */
_Static_assert(SQLITE_OK == 0 && GV_OK == 0, "success is 0 to both");
_Static_assert(SQLITE_ERROR > 0 && GV_ENOMEM < 0 && GV_EMISUSE < 0,
               "a failure's sign says whose it is");

int sql_code(int rc)
{
    GV_ASSERT(rc >= 0); /* one of ours has been through here already */
    switch (rc & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
        return GV_OK;
    case SQLITE_NOMEM:
        return GV_ENOMEM;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return GV_EBUSY;
    case SQLITE_FULL:
        return GV_EFULL;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_FORMAT:
        return GV_ECORRUPT;
    case SQLITE_TOOBIG:
        return GV_ELIMIT;
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
    case SQLITE_ERROR:
    case SQLITE_SCHEMA:
    case SQLITE_AUTH:
        return GV_ESCHEMA;
    default:
        return GV_EIO;
    }
}

/* What a person can do about SQLite's words. */
static void advise(struct gv_error *error, int code)
{
    GV_ASSERT(code < 0);
    if (code == GV_EBUSY) {
        error_meaning(error, "Another program is within a transaction that"
                             " writes, and has not ended it.");
        error_remedy(error, "Let it COMMIT or ROLLBACK, then try again.");
    } else if (code == GV_EFULL) {
        error_meaning(error, "Nothing can be written until there is room.");
        error_remedy(error, "Make room on the disk, then try again.");
    } else if (code == GV_EIO) {
        error_meaning(error, "The file, or one beside it, could not be read"
                             " or written.");
        error_remedy(error, "Look whether this user may write the file and"
                            " its directory, and at the state of the disk.");
    } else if (code == GV_ECORRUPT) {
        error_meaning(error, "The file is damaged.");
        error_remedy(error, "See what SQLite says to PRAGMA integrity_check;"
                            " restore a backup, or begin with an empty file"
                            " and 'grapevine run --create': peers have what"
                            " was published.");
    }
}

int sql_fail(sqlite3 *db, int rc, struct gv_error *error, const char *what)
{
    int code = rc > 0 ? sql_code(rc) : rc;

    GV_ASSERT(code < 0); /* SQLITE_ROW and _DONE are no failures */
    /* What we found wrong ourselves SQLite knows nothing of. */
    error_set(error, code, "%s: %s.", what,
              db == NULL || sql_code(sqlite3_errcode(db)) == GV_OK
                  ? gv_strerror(code)
                  : sqlite3_errmsg(db));
    advise(error, code);
    return code;
}

static int sql_vprepare(sqlite3 *db, sqlite3_stmt **statement, unsigned flags,
                        const char *format, va_list arguments)
{
    char *text = sqlite3_vmprintf(format, arguments);
    int rc;

    GV_ASSERT(db != NULL);
    *statement = NULL;
    if (text == NULL)
        return GV_ENOMEM;
    rc = sqlite3_prepare_v3(db, text, -1, flags, statement, NULL);
    sqlite3_free(text);
    /* A text without SQL in it prepares to nothing, without an error. */
    GV_ASSERT((rc == SQLITE_OK) == (*statement != NULL));
    return sql_code(rc);
}

int sql_prepare(sqlite3 *db, sqlite3_stmt **statement, const char *format, ...)
{
    va_list arguments;
    int rc;

    va_start(arguments, format);
    rc = sql_vprepare(db, statement, SQLITE_PREPARE_PERSISTENT, format,
                      arguments);
    va_end(arguments);
    return rc;
}

int sql_run(sqlite3 *db, const char *format, ...)
{
    va_list arguments;
    char *text;
    int rc;

    GV_ASSERT(db != NULL);
    va_start(arguments, format);
    text = sqlite3_vmprintf(format, arguments);
    va_end(arguments);
    if (text == NULL)
        return GV_ENOMEM;
    rc = sqlite3_exec(db, text, NULL, NULL, NULL);
    sqlite3_free(text);
    return sql_code(rc);
}

int sql_step(sqlite3_stmt *statement)
{
    int rc = sqlite3_step(statement);

    GV_ASSERT(rc != SQLITE_MISUSE); /* never prepared, or finalized */
    if (rc == SQLITE_ROW)
        return 1;
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    return sql_code(rc);
}

int sql_finish(sqlite3_stmt *statement)
{
    int rc;

    do
        rc = sql_step(statement);
    while (rc > 0);
    GV_ASSERT(!sqlite3_stmt_busy(statement));
    return rc;
}

int sql_number(sqlite3 *db, int64_t *number, const char *format, ...)
{
    sqlite3_stmt *statement;
    va_list arguments;
    int rc;

    va_start(arguments, format);
    rc = sql_vprepare(db, &statement, 0, format, arguments);
    va_end(arguments);
    if (rc != GV_OK)
        return rc;
    GV_ASSERT(sqlite3_column_count(statement) == 1);
    rc = sql_step(statement);
    if (rc > 0) {
        *number = sqlite3_column_int64(statement, 0);
        rc = GV_OK;
    } else if (rc == 0) {
        rc = GV_ENOTFOUND;
    }
    sqlite3_finalize(statement);
    return rc;
}

char *sql_text_dup(sqlite3_stmt *statement, int column)
{
    const unsigned char *text = sqlite3_column_text(statement, column);

    return strdup(text == NULL ? "" : (const char *)text);
}

void sql_bind_value(sqlite3_stmt *statement, int index,
                    const struct value *value)
{
    /* Past either end SQLite keeps an error that nobody here reads. */
    GV_ASSERT(index >= 1);
    GV_ASSERT(index <= sqlite3_bind_parameter_count(statement));
    GV_ASSERT(!sqlite3_stmt_busy(statement));
    GV_ASSERT(value->class <= VALUE_BLOB);
    switch (value->class) {
    case VALUE_NULL:
        sqlite3_bind_null(statement, index);
        break;
    case VALUE_INTEGER:
        sqlite3_bind_int64(statement, index, value->integer);
        break;
    case VALUE_REAL:
        sqlite3_bind_double(statement, index, value->real);
        break;
    case VALUE_TEXT:
        sqlite3_bind_text64(statement, index,
                            value->size == 0 ? "" : (const char *)value->bytes,
                            value->size, SQLITE_STATIC, SQLITE_UTF8);
        break;
    case VALUE_BLOB:
        if (value->size == 0)
            sqlite3_bind_zeroblob(statement, index, 0);
        else
            sqlite3_bind_blob64(statement, index, value->bytes, value->size,
                                SQLITE_STATIC);
        break;
    }
}

static void result(sqlite3_context *context, const struct value *value,
                   sqlite3_destructor_type whose)
{
    GV_ASSERT(value->class <= VALUE_BLOB);
    switch (value->class) {
    case VALUE_NULL:
        sqlite3_result_null(context);
        break;
    case VALUE_INTEGER:
        sqlite3_result_int64(context, value->integer);
        break;
    case VALUE_REAL:
        sqlite3_result_double(context, value->real);
        break;
    case VALUE_TEXT:
        sqlite3_result_text64(
            context, value->size == 0 ? "" : (const char *)value->bytes,
            value->size, whose, SQLITE_UTF8);
        break;
    case VALUE_BLOB:
        sqlite3_result_blob64(
            context, value->size == 0 ? "" : (const char *)value->bytes,
            value->size, whose);
        break;
    }
}

void sql_result_value(sqlite3_context *context, const struct value *value)
{
    result(context, value, SQLITE_STATIC);
}

void sql_result_copy(sqlite3_context *context, const struct value *value)
{
    GV_ASSERT(value->size == 0 || value->bytes != NULL);
    result(context, value, SQLITE_TRANSIENT);
}

bool sql_checked(const char *line)
{
    static const char forbidden[] = "NULL value in ";

    return line != NULL && (strcmp(line, "ok") == 0 ||
                            strncmp(line, forbidden, strlen(forbidden)) == 0);
}

void sql_column_value(sqlite3_stmt *statement, int index, struct value *value)
{
    /* Asked for once: each question of a column goes by its statement's error
     * state first. */
    sqlite3_value *column = sqlite3_column_value(statement, index);

    *value = (struct value){.class = VALUE_NULL};
    switch (sqlite3_value_type(column)) {
    case SQLITE_INTEGER:
        value->class = VALUE_INTEGER;
        value->integer = sqlite3_value_int64(column);
        break;
    case SQLITE_FLOAT:
        value->class = VALUE_REAL;
        value->real = sqlite3_value_double(column);
        if (plant("real-by-text")) {
            char digits[40];

            snprintf(digits, sizeof digits, "%.16g", value->real);
            value->real = strtod(digits, NULL);
        }
        break;
    case SQLITE_TEXT:
        value->class = VALUE_TEXT;
        value->bytes = sqlite3_value_blob(column);
        value->size = (size_t)sqlite3_value_bytes(column);
        break;
    case SQLITE_BLOB:
        value->class = VALUE_BLOB;
        value->bytes = sqlite3_value_blob(column);
        value->size = (size_t)sqlite3_value_bytes(column);
        break;
    default:
        break;
    }
}
