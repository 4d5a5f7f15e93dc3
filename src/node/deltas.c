#include "node/deltas.h"

#include "node/loop.h"

#include <stdlib.h>
#include <string.h>

enum job_state {
    JOB_WAITING, /* to be begun */
    JOB_SEALING, /* to be begun after the next commit of ours */
    JOB_READING,
    JOB_DONE
};

struct delta_job {
    struct delta_job *next;
    gv_link link;
    uint64_t token;
    enum job_state state;
    unsigned tries;
    gv_time_ms since;
    uint64_t spool, offset; /* of the cursor; 0: none */
    struct extract *extract;
    size_t vv_count;
    uint8_t vv[];
};

void deltas_init(struct deltas *deltas)
{
    deltas->first = NULL;
}

static void job_free(struct delta_job *job, bool applied, gv_time_ms now)
{
    if (applied || job->state != JOB_DONE)
        extract_free(job->extract);
    else
        extract_keep(job->extract, now);
    free(job);
}

void deltas_close(struct deltas *deltas, gv_time_ms now)
{
    while (deltas->first != NULL) {
        struct delta_job *job = deltas->first;

        deltas->first = job->next;
        job_free(job, false, now);
    }
}

int deltas_add(struct deltas *deltas, const struct effect *effect,
               gv_time_ms now)
{
    struct vv_view vv = effect->as.extract.vv;
    struct delta_job **at = &deltas->first;
    struct delta_job *job = calloc(1, sizeof *job + vv.count * VV_ENTRY_SIZE);

    if (job == NULL)
        return GV_ENOMEM;
    job->link = effect->link;
    job->token = effect->as.extract.token;
    job->since = now;
    job->spool = effect->as.extract.spool;
    job->offset = effect->as.extract.offset;
    job->vv_count = vv.count;
    if (vv.count > 0)
        memcpy(job->vv, vv.bytes, vv.count * VV_ENTRY_SIZE);
    while (*at != NULL)
        at = &(*at)->next;
    *at = job;
    return GV_OK;
}

static struct delta_job **deltas_at(struct deltas *deltas, gv_link link,
                                    uint64_t token)
{
    struct delta_job **at = &deltas->first;

    while (*at != NULL && ((*at)->link != link || (*at)->token != token))
        at = &(*at)->next;
    return at;
}

void deltas_drop(struct deltas *deltas, gv_link link, uint64_t token,
                 bool applied, gv_time_ms now)
{
    struct delta_job **at = deltas_at(deltas, link, token);
    struct delta_job *job = *at;

    if (job == NULL)
        return;
    *at = job->next;
    job_free(job, applied, now);
}

struct extract *deltas_find(struct deltas *deltas, gv_link link,
                            uint64_t token)
{
    struct delta_job *job = *deltas_at(deltas, link, token);

    return job != NULL && job->state == JOB_DONE ? job->extract : NULL;
}

/* The first that is not done; the others wait for it. */
static struct delta_job *deltas_current(const struct deltas *deltas)
{
    struct delta_job *job = deltas->first;

    while (job != NULL && job->state == JOB_DONE)
        job = job->next;
    return job;
}

bool deltas_ready(const struct deltas *deltas)
{
    const struct delta_job *job = deltas_current(deltas);

    return job != NULL && job->state != JOB_SEALING;
}

static void job_fail(struct gv_node *node, struct delta_job *job, int code,
                     const struct gv_error *why)
{
    gv_link link = job->link;
    uint64_t token = job->token;
    struct event event = {.kind = EVENT_EXTRACTED,
                          .link = link,
                          .code = code,
                          .reason = why->what};

    event.as.extracted.token = token;
    log_line(&node->log, GV_LOG_WARNING, "a delta could not be read: %s",
             why->what);
    deltas_drop(&node->deltas, link, token, false, loop_now());
    loop_feed(node, &event);
}

static void job_seal_first(struct gv_node *node, struct delta_job *job)
{
    job->state = JOB_SEALING;
    node->write_wanted = true;
}

static void job_done(struct gv_node *node, struct delta_job *job,
                     uint64_t offset)
{
    struct event event = {.kind = EVENT_EXTRACTED, .link = job->link};

    job->state = JOB_DONE;
    event.as.extracted.token = job->token;
    event.as.extracted.offset = offset;
    event.as.extracted.spool = extract_spool(job->extract);
    event.as.extracted.size = extract_size(job->extract);
    event.as.extracted.claim_count = extract_claim(job->extract).count;
    log_line(&node->log, GV_LOG_DEBUG, "a delta of %llu bytes is ready",
             (unsigned long long)event.as.extracted.size);
    loop_feed(node, &event);
}

static void job_begin(struct gv_node *node, struct delta_job *job)
{
    struct vv_view vv = {job->vv, job->vv_count};
    struct gv_error why = {0};
    int rc = GV_OK;

    if (job->spool != 0)
        rc = extract_resume(node->store, vv, job->spool, job->offset,
                            &job->extract, &why);
    if (rc == GV_OK && job->extract != NULL) {
        job_done(node, job, job->offset);
        return;
    }
    if (rc == GV_OK)
        rc = extract_begin(node->store, vv, &job->extract, &why);
    if (rc == GV_OK)
        job->state = JOB_READING;
    else if (rc == GV_EBUSY)
        job_seal_first(node, job);
    else if (rc == GV_EMOVED)
        loop_moved(node, &why);
    else
        job_fail(node, job, rc, &why);
}

static void job_read(struct gv_node *node, struct delta_job *job)
{
    bool done = false;
    struct gv_error why = {0};
    int rc = extract_step(job->extract, DELTAS_STEP_ROWS, &done, &why);

    if (rc == GV_OK) {
        if (done)
            job_done(node, job, 0);
        return;
    }
    extract_free(job->extract);
    job->extract = NULL;
    if (rc == GV_EDIFFERS && ++job->tries < DELTAS_TRIES_MAX) {
        log_line(&node->log, GV_LOG_WARNING,
                 "%s It is sealed as a write, and the delta read again.",
                 why.what);
        job_seal_first(node, job);
    } else {
        job_fail(node, job, rc, &why);
    }
}

void deltas_sealed(struct gv_node *node)
{
    struct delta_job *job = deltas_current(&node->deltas);

    if (job != NULL && job->state == JOB_SEALING) {
        job->state = JOB_WAITING;
        job_begin(node, job);
    }
}

void deltas_turn(struct gv_node *node)
{
    struct delta_job *job = deltas_current(&node->deltas);

    if (job == NULL)
        return;
    if (job->state == JOB_WAITING)
        job_begin(node, job);
    else if (job->state == JOB_READING)
        job_read(node, job);
}

void deltas_expire(struct gv_node *node)
{
    struct delta_job *job = deltas_current(&node->deltas);
    struct gv_error why = {0};

    extracts_expire(node->store, loop_now());
    if (job == NULL || job->state != JOB_SEALING ||
        loop_now() - job->since < DELTAS_PATIENCE_MS)
        return;
    error_set(&why, GV_EBUSY,
              "the file was written without a pause for too long");
    job_fail(node, job, GV_EBUSY, &why);
}
