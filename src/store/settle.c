/* What gv_ver and the fingerprint should be, made anew from the rows. */
#include "store/settle.h"

#include "base/assert.h"
#include "store/pass.h"
#include "store/sql.h"
#include "store/ver.h"

/* Read all rows; what gv_ver lacks of them is put there. */
static int sum_up(struct store *store, struct pass **out,
                  struct gv_error *error)
{
    struct vv_view nothing = {NULL, 0};
    struct pass *pass = NULL;
    int rc = pass_new(store, PASS_SETTLE, nothing, &pass, error);

    while (rc == GV_OK && !pass->done)
        rc = pass_step(pass, SIZE_MAX, error);
    if (rc == GV_OK)
        *out = pass;
    else
        pass_free(pass);
    return rc;
}

/* What gv_ver lists beside that goes: it is made anew. */
static int drop_listed(struct store *store, struct pass **pass,
                       struct gv_error *error)
{
    int rc = sql_run(store->db, "DELETE FROM gv_ver WHERE tbl IN (SELECT id"
                                " FROM gv_table)");

    GV_ASSERT(store->in_transaction && (*pass)->strays);
    pass_free(*pass);
    *pass = NULL;
    return rc == GV_OK ? sum_up(store, pass, error) : rc;
}

int settle_log(struct store *store, struct gv_error *error)
{
    struct pass *pass = NULL;
    int rc = ver_flush(store);

    GV_ASSERT(store->lost == GV_OK);
    if (rc == GV_OK)
        rc = sum_up(store, &pass, error);
    if (rc == GV_OK && pass->strays)
        rc = drop_listed(store, &pass, error);
    if (rc == GV_OK && pass->damaged_count == 0) {
        store->numbers.fingerprint = pass->total;
        /* A commit that has written nothing keeps what was. */
        rc = sql_run(store->db,
                     "UPDATE gv_meta SET fingerprint=x'%016llx%016llx' WHERE"
                     " fingerprint IS NOT x'%016llx%016llx'",
                     (unsigned long long)pass->total.high,
                     (unsigned long long)pass->total.low,
                     (unsigned long long)pass->total.high,
                     (unsigned long long)pass->total.low);
    }
    if (rc == GV_OK)
        store->audit.damaged = pass->damaged_count;
    pass_free(pass);
    return rc;
}
