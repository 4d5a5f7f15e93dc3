/* Files of older formats become files of this one, in the transaction that
 * opens them.  What each step adds is what schema_create() makes for a new
 * file.
 *
 *     1    no definitions of columns, nothing parked, no history
 *     2    now */
#include "store/upgrade.h"

#include "base/assert.h"
#include "store/borrowed.h"
#include "store/internal.h"

static int from_1(struct store *store)
{
    return sql_run(store->db, "ALTER TABLE gv_meta ADD COLUMN pending INT;"
                              "ALTER TABLE gv_meta ADD COLUMN creates INT;"
                              "ALTER TABLE gv_meta ADD COLUMN audited INT;"
                              "ALTER TABLE gv_meta ADD COLUMN audited_at INT;"
                              "ALTER TABLE gv_table ADD COLUMN tracked INT;"
                              "ALTER TABLE gv_table ADD COLUMN options INT;"
                              "ALTER TABLE gv_table ADD COLUMN away INT;"
                              "ALTER TABLE gv_col ADD COLUMN type TEXT;"
                              "ALTER TABLE gv_col ADD COLUMN peer TEXT;"
                              "ALTER TABLE gv_col ADD COLUMN differs INT;"
                              "UPDATE gv_table SET tracked=1;" TABLES_OF_2);
}

int upgrade(struct store *store, struct gv_error *error)
{
    static int (*const steps[])(struct store *) = {from_1};
    int64_t format;
    int rc = sql_number(store->db, &format, "SELECT format FROM gv_meta");

    _Static_assert(sizeof steps / sizeof *steps == STORE_FORMAT - 1,
                   "a step from each older format");
    /* All steps or none. */
    GV_ASSERT(rc != GV_OK || transaction_open(store));
    if (rc == GV_OK && (format < 1 || format > STORE_FORMAT))
        rc = GV_ECORRUPT;
    for (int64_t i = format; rc == GV_OK && i < STORE_FORMAT; i++) {
        GV_ASSERT(i >= 1);
        rc = steps[i - 1](store);
        if (rc == GV_OK)
            log_line(&store->log, GV_LOG_INFO,
                     "the sync metadata is now of format %d", (int)i + 1);
    }
    if (rc == GV_OK && format < STORE_FORMAT)
        rc = sql_run(store->db, "UPDATE gv_meta SET format=%d", STORE_FORMAT);
    return rc == GV_OK ? rc
                       : sql_fail(store->db, rc, error,
                                  "cannot bring the metadata to this format");
}
