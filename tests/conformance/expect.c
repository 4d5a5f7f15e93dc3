#include "expect.h"

#include "core/clock.h"
#include "entries.h"
#include "rest.h"
#include "send.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One expectation of one replica; @text stands behind the site's letter. */
typedef bool expectation(struct run *run, struct replica *replica,
                         const char *text);

static void compare(struct run *run, const struct replica *replica,
                    const char *found, const char *expected)
{
    if (strcmp(found, expected) != 0)
        run_fail(run, "%c: expected %s, found %s", replica->letter, expected,
                 found);
}

/* What stands behind the last " = "; @left gets what stands before. */
static const char *split(const char *text, char *left, size_t size)
{
    const char *at = text, *last = NULL;

    while ((at = strstr(at, " = ")) != NULL)
        last = at++;
    if (last == NULL)
        return NULL;
    snprintf(left, size, "%.*s", (int)(last - text), text);
    return last + 3;
}

/* "[SQL] = rows", "app [SQL] = rows": the latter in the application's
 * transaction. */
static bool expect_query(struct run *run, struct replica *replica,
                         const char *text)
{
    bool app = strncmp(text, "app [", 5) == 0;
    const char *end = strstr(text, "] = ");
    char sql[1000], *rows;

    text += app ? 4 : 0;
    if (text[0] != '[' || end == NULL)
        return false;
    snprintf(sql, sizeof sql, "%.*s", (int)(end - text - 1), text + 1);
    rows = app ? replica_ask_app(replica, sql) : replica_ask(replica, sql);
    compare(run, replica, rows, end + 4);
    free(rows);
    return true;
}

/* "t: rows", in the order of the first column. */
static bool expect_table(struct run *run, struct replica *replica,
                         const char *text)
{
    const char *colon = strstr(text, ": ");
    char sql[200], *rows;

    if (colon == NULL || strchr(text, ' ') != colon + 1)
        return false;
    snprintf(sql, sizeof sql, "SELECT * FROM \"%.*s\" ORDER BY 1",
             (int)(colon - text), text);
    rows = replica_ask(replica, sql);
    compare(run, replica, rows, colon + 2);
    free(rows);
    return true;
}

static bool find_row(struct run *run, struct replica *replica,
                     const char *table, size_t table_size, const char *key,
                     struct entry_row *row)
{
    struct gv_error error = {0};
    char name[64];

    snprintf(name, sizeof name, "%.*s", (int)table_size, table);
    if (send_seal(run, replica, &error) &&
        entries_find(replica, name, key, row, &error) == GV_OK)
        return true;
    run_fail(run, "%c: cannot read the log: %s", replica->letter, error.what);
    return false;
}

/* "length t KEY = N". */
static bool expect_length(struct run *run, struct replica *replica,
                          const char *text)
{
    char left[200], number[24];
    const char *right, *key;
    struct entry_row row;

    if (strncmp(text, "length ", 7) != 0)
        return false;
    right = split(text + 7, left, sizeof left);
    key = right == NULL ? NULL : strchr(left, ' ');
    if (key == NULL)
        return false;
    if (!find_row(run, replica, left, (size_t)(key - left), key + 1, &row))
        return true;
    snprintf(number, sizeof number, "%llu", (unsigned long long)row.length);
    compare(run, replica, number, right);
    return true;
}

static void check_origins(struct run *run, const struct replica *replica,
                          const struct entry_row *row, const char *column,
                          const char *site)
{
    size_t found = 0;

    for (size_t i = 0; i < row->cell_count; i++) {
        char name[8];

        if (column != NULL && strcmp(column, row->cells[i].column) != 0)
            continue;
        compare(run, replica, replica_site_name(&row->cells[i].site, name),
                site);
        found++;
    }
    if (found == 0)
        compare(run, replica, "nobody", site);
}

/* "origin t KEY.column = S", "origin t KEY.* = S" (the row's existence),
 * "origins t KEY = S" (everything of the row). */
static bool expect_origin(struct run *run, struct replica *replica,
                          const char *text)
{
    bool all = strncmp(text, "origins ", 8) == 0;
    char left[200];
    const char *right, *key;
    char *dot = NULL;
    struct entry_row row;

    if (!all && strncmp(text, "origin ", 7) != 0)
        return false;
    right = split(strchr(text, ' ') + 1, left, sizeof left);
    key = right == NULL ? NULL : strchr(left, ' ');
    if (!all && key != NULL)
        dot = strrchr(left, '.');
    if (key == NULL || (!all && dot == NULL))
        return false;
    if (dot != NULL)
        *dot++ = '\0';
    if (find_row(run, replica, left, (size_t)(key - left), key + 1, &row))
        check_origins(run, replica, &row, dot, right);
    return true;
}

/* "published N": how many intervals. */
static bool expect_published(struct run *run, struct replica *replica,
                             const char *text)
{
    unsigned long long wanted, count = 0;

    if (sscanf(text, "published %llu", &wanted) != 1)
        return false;
    for (size_t i = 0; i < run->publication_count; i++)
        count +=
            run->publications[i].site.bytes[0] == (uint8_t)replica->letter;
    if (count != wanted)
        run_fail(run, "%c: expected %llu publications, found %llu",
                 replica->letter, wanted, count);
    return true;
}

/* "time >= MS": of its last publication, since the case began. */
static bool expect_time(struct run *run, struct replica *replica,
                        const char *text)
{
    long long wanted;
    gv_time_ms found = clock_wall(vv_get(store_vv(replica->store),
                                         store_site(replica->store))) -
                       REPLICA_EPOCH_MS;

    if (sscanf(text, "time >= %lld", &wanted) != 1)
        return false;
    if (found < wanted)
        run_fail(run, "%c: expected a time of at least %lld, found %lld",
                 replica->letter, wanted, (long long)found);
    return true;
}

/* "renewed N": how often the file took a new site id. */
static bool expect_renewed(struct run *run, struct replica *replica,
                           const char *text)
{
    int wanted, found = store_site(replica->store)->bytes[15];

    if (sscanf(text, "renewed %d", &wanted) != 1)
        return false;
    if (found != wanted)
        run_fail(run, "%c: expected %d renewals, found %d", replica->letter,
                 wanted, found);
    return true;
}

/* "findings N": of verify. */
static bool expect_findings(struct run *run, struct replica *replica,
                            const char *text)
{
    unsigned long long wanted;

    if (sscanf(text, "findings %llu", &wanted) != 1)
        return false;
    run->findings |= wanted > 0;
    rest_verify(run, replica, wanted);
    return true;
}

static int64_t null_keys(const struct store_status *status)
{
    return status->table_count == 0 ? 0 : status->tables[0].null_keys;
}

static int64_t parked(const struct store_status *status)
{
    return status->parked;
}

static int64_t hollow(const struct store_status *status)
{
    return status->hollow;
}

/* "nulls N", rows with NULL in their key; "parked N", values that no table
 * shows; "hollow N", cells noted as without a value. */
static bool expect_count(struct run *run, struct replica *replica,
                         const char *text)
{
    static const struct {
        const char *format;
        int64_t (*of)(const struct store_status *status);
    } counts[] = {{"nulls %lld", null_keys},
                  {"parked %lld", parked},
                  {"hollow %lld", hollow}};
    struct store_status status;
    struct gv_error error = {0};
    long long wanted, found;
    size_t i = 0;

    while (i < 3 && sscanf(text, counts[i].format, &wanted) != 1)
        i++;
    if (i == 3)
        return false;
    if (store_status(replica->store, &status, &error) != GV_OK) {
        run_fail(run, "%c: %s", replica->letter, error.what);
        return true;
    }
    found = counts[i].of(&status);
    if (found != wanted)
        run_fail(run, "%c: expected %s, found %lld", replica->letter, text,
                 found);
    store_status_close(&status);
    return true;
}

/* "warns WORDS": status has a warning with these words; "warns nothing". */
static bool expect_warning(struct run *run, struct replica *replica,
                           const char *text)
{
    struct store_status status;
    struct gv_error error = {0};
    bool found = false;

    if (strncmp(text, "warns ", 6) != 0)
        return false;
    if (store_status(replica->store, &status, &error) != GV_OK) {
        run_fail(run, "%c: %s", replica->letter, error.what);
        return true;
    }
    for (size_t i = 0; i < status.warning_count; i++)
        found |= strstr(status.warnings[i], text + 6) != NULL;
    if (strcmp(text + 6, "nothing") == 0)
        found = status.warning_count == 0;
    if (!found)
        run_fail(run, "%c: expected that it %s; it has %zu warnings: %s",
                 replica->letter, text, status.warning_count,
                 status.warning_count == 0 ? "" : status.warnings[0]);
    store_status_close(&status);
    return true;
}

static void expect_of(struct run *run, struct replica *replica,
                      const char *text)
{
    static expectation *const list[] = {
        expect_query,     expect_table,  expect_length,  expect_origin,
        expect_published, expect_time,   expect_renewed, expect_findings,
        expect_count,     expect_warning};

    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++)
        if (list[i](run, replica, text))
            return;
    run_fail(run, "not an expectation");
}

/* "unequal A B": the check of convergence sees that they differ. */
static void expect_unequal(struct run *run, const char *letters)
{
    char pair[3] = {letters[0], letters[2], '\0'};

    if (run->failed)
        return;
    rest_equal(run, pair);
    if (!run->failed)
        run_fail(run, "%s are equal", pair);
    else
        run->failed = false;
}

void expect_check(struct run *run, const char *text)
{
    const char *sites = run->file->sites;
    size_t count = strcspn(text, " ");

    if (strncmp(text, "equal", 5) == 0) {
        rest_equal(run, text[5] == ' ' ? text + 6 : sites);
        return;
    }
    if (strcmp(text, "quiet") == 0) {
        rest_quiet(run, sites);
        return;
    }
    if (strncmp(text, "unequal ", 8) == 0) {
        expect_unequal(run, text + 8);
        return;
    }
    if (strncmp(text, "all ", 4) != 0)
        sites = text;
    else
        count = strlen(sites);
    for (size_t i = 0; i < count && !run->failed; i++)
        expect_of(run, run_replica(run, sites[i]),
                  text + strcspn(text, " ") + 1);
}
