#include "send.h"

#include "base/assert.h"
#include "wire/frame.h"

#include <stdlib.h>

static void keep(struct run *run, const struct interval *interval)
{
    struct message message = {.kind = MESSAGE_NEWS};
    struct publication *publication;

    /* What was sealed in slices is pushed to nobody.  Else no case publishes
     * more at once than a frame holds. */
    GV_ASSERT(interval->bytes != NULL || run->file->slices > 0);
    if (interval->bytes == NULL)
        return;
    run->publications =
        realloc(run->publications,
                (run->publication_count + 1) * sizeof *run->publications);
    GV_ASSERT(run->publications != NULL);
    publication = &run->publications[run->publication_count++];
    *publication = (struct publication){
        .site = interval->site, .from = interval->from, .to = interval->to};
    buffer_init(&publication->frame, SIZE_MAX);
    message.as.news.intervals[0] = *interval;
    message.as.news.interval_count = 1;
    GV_ASSERT(frame_encode(&message, &publication->frame) == GV_OK);
}

/* As a node does: a file that was replaced is opened anew. */
static int begin(struct replica *replica, struct gv_error *error)
{
    int rc = store_begin(replica->store, error);

    if (rc != GV_EMOVED)
        return rc;
    replica_restart(replica);
    return store_begin(replica->store, error);
}

/* @wrote: something was applied. */
static int commit(struct run *run, struct replica *replica, bool wrote,
                  struct gv_error *error)
{
    struct store_sealed sealed = {0};
    int rc = store_commit(replica->store, &sealed, error);

    if (rc == GV_OK && sealed.any)
        keep(run, &sealed.interval);
    if (rc == GV_EMOVED)
        replica_restart(replica);
    if (wrote || sealed.any || rc != GV_OK) {
        run->touched |= 1u << run_index(run, replica);
        run_watch(run, replica);
    }
    return rc;
}

bool send_seal(struct run *run, struct replica *replica,
               struct gv_error *error)
{
    return begin(replica, error) == GV_OK &&
           commit(run, replica, false, error) == GV_OK;
}

void send_must_seal(struct run *run, struct replica *replica)
{
    struct gv_error error = {0};

    if (!send_seal(run, replica, &error))
        run_fail(run, "%c cannot seal: %s", replica->letter, error.what);
}

bool send_work(struct run *run, struct replica *replica)
{
    struct store_worked worked = {0};
    struct gv_error error = {0};

    if (store_work(replica->store, &worked, &error) != GV_OK)
        run_fail(run, "%c cannot go on: %s", replica->letter, error.what);
    if (worked.sealed.any)
        keep(run, &worked.sealed.interval);
    run->touched |= 1u << run_index(run, replica);
    run_watch(run, replica);
    return worked.more && !run->failed;
}

#define AUDIT_ROWS 100

static void audit(struct run *run, struct replica *replica)
{
    struct store_audit report = {.due = 0};
    struct gv_error error = {0};

    do {
        if (store_audit_step(replica->store, replica->audit_now, AUDIT_ROWS,
                             &report, &error) != GV_OK) {
            run_fail(run, "%c cannot audit: %s", replica->letter, error.what);
            return;
        }
        if (report.write)
            send_must_seal(run, replica);
    } while (report.write || report.due <= replica->audit_now);
}

void send_audit(struct run *run, struct replica *replica, gv_time_ms later)
{
    audit(run, replica);
    replica->audit_now += later;
    audit(run, replica);
}

/* Intervals */

bool send_held(const struct replica *replica,
               const struct publication *publication)
{
    return vv_get(store_vv(replica->store), &publication->site) >=
           publication->to;
}

int send_interval(struct run *run, struct replica *to, size_t index,
                  struct gv_error *error)
{
    const struct buffer *frame = &run->publications[index].frame;
    struct message message;
    int rc;

    GV_ASSERT(frame_decode(frame->data, frame->size, &message) == GV_OK);
    GV_ASSERT(message.kind == MESSAGE_NEWS);
    run->publications[index].sent |= 1u << run_index(run, to);
    rc = begin(to, error);
    if (rc != GV_OK)
        return rc;
    /* The commit may move the publications, never their frames' bytes. */
    rc = store_apply_interval(to->store, &message.as.news.intervals[0], error);
    if (commit(run, to, rc == GV_OK, &(struct gv_error){0}) != GV_OK &&
        rc == GV_OK)
        rc = GV_EIO;
    return rc;
}

/* The second time it is held already, or still too early. */
static int send_twice(struct run *run, struct replica *to, size_t index,
                      struct gv_error *error)
{
    int rc = send_interval(run, to, index, error), again;

    if (rc != GV_OK && rc != GV_EGAP)
        return rc;
    again = send_interval(run, to, index, &(struct gv_error){0});
    if (again != (rc == GV_OK ? GV_EDUPLICATE : GV_EGAP))
        run_fail(run, "%c answers a publication that came twice with: %s",
                 to->letter, gv_strerror(again));
    return rc;
}

int send_list(struct run *run, struct replica *to, const size_t *list,
              size_t count, struct gv_error *error)
{
    int left, taken;

    do {
        left = taken = 0;
        for (size_t i = 0; i < count && !run->failed; i++) {
            int rc;

            if (send_held(to, &run->publications[list[i]]))
                continue;
            rc = send_twice(run, to, list[i], error);
            if (rc != GV_OK && rc != GV_EGAP)
                return -1;
            left += rc == GV_EGAP;
            taken += rc == GV_OK;
        }
    } while (left > 0 && taken > 0 && !run->failed);
    return left;
}

/* Deltas */

static int apply_delta(struct run *run, const struct delta *delta,
                       struct replica *to, struct gv_error *error)
{
    int rc = begin(to, error);

    if (rc != GV_OK)
        return rc;
    run->token++;
    delta_stage(delta, to->store, run->token, delta->bytes.size);
    rc = store_apply_delta(to->store, run->token, delta_claim(delta), error);
    if (commit(run, to, rc == GV_OK, &(struct gv_error){0}) != GV_OK &&
        rc == GV_OK)
        rc = GV_EIO;
    return rc;
}

bool send_same_state(const struct replica *replica, uint64_t vv_hash,
                     struct hash128 fingerprint)
{
    return store_vv(replica->store)->hash == vv_hash &&
           hash128_equal(store_fingerprint(replica->store), fingerprint);
}

void send_again(struct run *run, const struct delta *delta, struct replica *to)
{
    uint64_t hash = store_vv(to->store)->hash;
    struct hash128 fingerprint = store_fingerprint(to->store);
    struct gv_error error = {0};

    if (apply_delta(run, delta, to, &error) != GV_OK)
        run_fail(run, "%c refuses a delta that came again: %s", to->letter,
                 error.what);
    else if (!send_same_state(to, hash, fingerprint))
        run_fail(run, "a delta that came again changes %c", to->letter);
}

static int send_delta_once(struct run *run, struct replica *from,
                           struct replica *to, struct gv_error *error)
{
    struct delta delta;
    int rc;

    send_must_seal(run, from);
    rc = delta_want(&delta, from->store, store_vv(to->store), error);
    if (rc == GV_EMOVED)
        replica_restart(from);
    if (rc != GV_OK)
        return rc;
    rc = apply_delta(run, &delta, to, error);
    if (rc == GV_OK)
        send_again(run, &delta, to);
    if (rc == GV_OK && run->late_count < RUN_LATE_MAX)
        run->late[run->late_count++] =
            (struct late_delta){run_index(run, to), delta};
    else
        delta_close(&delta);
    return rc;
}

/* A row that was changed past the triggers is sealed by the next try; a file
 * that went back in time has another site id by then. */
int send_delta(struct run *run, struct replica *from, struct replica *to,
               struct gv_error *error)
{
    int rc = GV_EDIFFERS;

    for (int i = 0;
         i < 3 && (rc == GV_EDIFFERS || rc == GV_EFORK || rc == GV_EMOVED);
         i++)
        rc = send_delta_once(run, from, to, error);
    return rc;
}
