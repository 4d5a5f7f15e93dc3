/* What must hold after a crash, and in the end. */
#include "crash_pair_internal.h"

#include <stdio.h>
#include <string.h>

#define EXCHANGES_MAX 8

/* Which numbers of the script stand in @table: @there[n]. */
static bool read_numbers(struct pair *pair, struct side *side,
                         const char *table, bool *there)
{
    char text[64];
    sqlite3_stmt *statement;
    int rc;

    snprintf(text, sizeof text, "SELECT n FROM %s WHERE n<%d", table, OTHERS);
    rc = sqlite3_prepare_v2(side->db, text, -1, &statement, NULL);
    memset(there, 0, PAIR_TRANSACTIONS_MAX + 1);
    while (rc == SQLITE_OK && (rc = sqlite3_step(statement)) == SQLITE_ROW) {
        int n = sqlite3_column_int(statement, 0);

        rc = SQLITE_OK;
        if (n >= 1 && n <= pair->step)
            there[n] = true;
        else
            pair_violate(pair, "number %d came from nowhere", n);
    }
    sqlite3_finalize(statement);
    if (rc != SQLITE_DONE)
        return pair_failed(pair, "reading numbers", rc, table);
    return pair->end != PAIR_VIOLATED;
}

/* What became of one number; *@missing is the first one that is not there and
 * was not missing before. */
static bool check_number(struct pair *pair, int n, bool there, int *missing)
{
    uint8_t *state = &pair->numbers[n];

    if (there && *state == NUMBER_LOST)
        return pair_violate(pair, "number %d came back", n);
    if (there && *state != NUMBER_DURABLE && *missing != 0)
        return pair_violate(pair, "number %d is lost, and %d is not", *missing,
                            n);
    if (there) {
        if (!pair->kept_all)
            *state = NUMBER_DURABLE;
        else if (*state == NUMBER_TRIED)
            *state = NUMBER_ACKED;
        return true;
    }
    if (*state == NUMBER_DURABLE)
        return pair_violate(pair, "number %d was durable and is lost", n);
    if (*state == NUMBER_ACKED && pair->kept_all)
        return pair_violate(pair, "number %d is lost without a power cut", n);
    if (*state != NUMBER_LOST && *missing == 0)
        *missing = n;
    *state = NUMBER_LOST;
    return true;
}

/* Every number that was durable is there, none that was never tried, and of
 * the others only the last ones are missing. */
static bool check_numbers(struct pair *pair)
{
    bool there[PAIR_TRANSACTIONS_MAX + 1];
    int missing = 0;

    if (!read_numbers(pair, &pair->a, "ledger", there))
        return false;
    for (int n = 1; n <= pair->step; n++)
        if (!check_number(pair, n, there[n], &missing))
            return false;
    return true;
}

/* Nothing that the other one was told may be gone, and nothing makes a new
 * identity necessary. */
bool check_told(struct pair *pair)
{
    const struct vv *vv = store_vv(pair->a.store);
    const struct vv *other = store_vv(pair->b.store);
    gv_version own = vv_get(vv, &pair->site);

    if (pair->told == 0)
        return true;
    if (!site_equal(store_site(pair->a.store), &pair->site))
        return pair_violate(pair, "the store took a new identity");
    if (own < pair->told || own < vv_get(other, &pair->site))
        return pair_violate(pair, "the store forgot what it had published");
    if (pair->kept_all && vv_get(vv, store_site(pair->b.store)) < pair->heard)
        return pair_violate(pair, "the store forgot what it had applied");
    return true;
}

static void found(void *context, const struct store_finding *finding)
{
    struct pair *pair = context;

    pair_violate(pair, "verify: %s %s: %s", finding->table, finding->key,
                 finding->text);
}

static bool check_store(struct pair *pair, struct side *side)
{
    struct store_verified verified;
    struct gv_error error = {0};
    int rc = store_verify(side->store, found, pair, &verified, &error);

    if (rc != GV_OK)
        return pair_failed(pair, "verify", rc, error.what);
    return pair->end != PAIR_VIOLATED;
}

static bool check_integrity(struct pair *pair, struct side *side)
{
    return side_ask(side, "SELECT integrity_check='ok' FROM"
                          " pragma_integrity_check") == 1 ||
           pair_failed(pair, "integrity_check", 0, "the file is damaged");
}

bool check_kept(struct pair *pair)
{
    return check_integrity(pair, &pair->a) && check_numbers(pair);
}

static bool is_equal(const struct pair *pair)
{
    return store_vv(pair->a.store)->hash == store_vv(pair->b.store)->hash;
}

static bool exchange(struct pair *pair)
{
    int applied;

    for (int i = 0; i < EXCHANGES_MAX; i++) {
        if (!side_turn(pair, &pair->a, NULL, &applied) ||
            !side_turn(pair, &pair->b, NULL, &applied))
            return false;
        if (is_equal(pair))
            return true;
        if (!side_pull(pair, &pair->a, &pair->b) ||
            !side_pull(pair, &pair->b, &pair->a))
            return false;
    }
    return pair_violate(pair, "the stores do not come to rest");
}

/* All rows of a table, exactly, as one number. */
static uint64_t content_hash(struct side *side, const char *table)
{
    char text[100];
    sqlite3_stmt *statement;
    struct buffer rows;
    uint64_t hash = 0;

    snprintf(text, sizeof text, "SELECT * FROM %s ORDER BY 1", table);
    if (sqlite3_prepare_v2(side->db, text, -1, &statement, NULL) != SQLITE_OK)
        return 0;
    buffer_init(&rows, SIZE_MAX);
    while (sqlite3_step(statement) == SQLITE_ROW)
        for (int i = 0; i < sqlite3_column_count(statement); i++) {
            double real = sqlite3_column_double(statement, i);

            buffer_append_u8(&rows,
                             (uint8_t)sqlite3_column_type(statement, i));
            if (sqlite3_column_type(statement, i) == SQLITE_FLOAT)
                buffer_append(&rows, &real, sizeof real);
            buffer_append(&rows, sqlite3_column_blob(statement, i),
                          (size_t)sqlite3_column_bytes(statement, i));
        }
    hash = hash64(rows.data, rows.size);
    buffer_close(&rows);
    sqlite3_finalize(statement);
    return hash;
}

/* The numbers in the tracked table are those that survived here and those
 * that the other machine wrote; no code of the merge says so. */
static bool check_done(struct pair *pair, struct side *side)
{
    bool there[PAIR_TRANSACTIONS_MAX + 1];

    if (!read_numbers(pair, side, "done", there))
        return false;
    for (int n = 1; n <= pair->step; n++)
        if (there[n] != (pair->numbers[n] == NUMBER_DURABLE ||
                         pair->numbers[n] == NUMBER_ACKED))
            return pair_violate(pair, "number %d is %s in the end", n,
                                there[n] ? "there again" : "gone");
    if (side_ask(side, "SELECT count(*) FROM done WHERE n>100000") !=
        pair->others)
        return pair_violate(pair, "the other machine's numbers are gone");
    return true;
}

bool pair_finish(struct pair *pair)
{
    if (!exchange(pair))
        return false;
    for (size_t i = 0; i < 3; i++)
        if (content_hash(&pair->a, crash_script_tables[i]) !=
            content_hash(&pair->b, crash_script_tables[i]))
            return pair_violate(pair, "equal vectors, unequal tables %s",
                                crash_script_tables[i]);
    if (!hash128_equal(store_fingerprint(pair->a.store),
                       store_fingerprint(pair->b.store)))
        return pair_violate(pair, "equal vectors, unequal fingerprints");
    return check_done(pair, &pair->a) && check_done(pair, &pair->b) &&
           check_store(pair, &pair->a);
}
