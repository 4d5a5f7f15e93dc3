#include "run.h"

#include "base/assert.h"
#include "mesh.h"
#include "rest.h"
#include "steps.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void run_fail(struct run *run, const char *format, ...)
{
    va_list arguments;

    if (run->failed)
        return;
    run->failed = true;
    va_start(arguments, format);
    vsnprintf(run->what, sizeof run->what, format, arguments);
    va_end(arguments);
}

struct replica *run_replica(struct run *run, char letter)
{
    for (size_t i = 0; i < run->count; i++)
        if (run->replicas[i].letter == letter)
            return &run->replicas[i];
    run_fail(run, "there is no site %c", letter);
    return &run->replicas[0];
}

size_t run_index(const struct run *run, const struct replica *replica)
{
    return (size_t)(replica - run->replicas);
}

void run_watch(struct run *run, struct replica *replica)
{
    int64_t *last = run->monotone + run_index(run, replica) * CASE_LIST_MAX;

    for (size_t i = 0; i < run->file->never_count; i++) {
        char *rows = replica_ask(replica, run->file->nevers[i]);

        if (strcmp(rows, "none") != 0)
            run_fail(run, "%c shows what must never be seen (%s): %s",
                     replica->letter, run->file->nevers[i], rows);
        free(rows);
    }
    for (size_t i = 0; i < run->file->monotone_count; i++) {
        char *rows = replica_ask(replica, run->file->monotones[i]);
        int64_t now = strtoll(rows, NULL, 10);

        if (now < last[i])
            run_fail(run, "%c: %s fell from %lld to %lld", replica->letter,
                     run->file->monotones[i], (long long)last[i],
                     (long long)now);
        last[i] = now;
        free(rows);
    }
}

void run_unwatch(struct run *run, const struct replica *replica)
{
    for (size_t i = 0; i < CASE_LIST_MAX; i++)
        run->monotone[run_index(run, replica) * CASE_LIST_MAX + i] = INT64_MIN;
}

static void track_tables(struct run *run, struct replica *replica)
{
    for (size_t i = 0; i < run->file->track_count; i++) {
        struct gv_error error = {0};

        if (strcmp(run->file->tracks[i], "none") != 0 &&
            replica_track(replica, run->file->tracks[i], &error) != GV_OK)
            run_fail(run, "%c: %s", replica->letter, error.what);
    }
}

static void make_replica(struct run *run, size_t index, char letter)
{
    struct replica *replica = &run->replicas[index];
    struct disk_image **image = &run->start->images[index];
    const char *schema = run->file->site_schema[letter - 'A'];
    const char *golden = run->file->site_file[letter - 'A'];

    replica_init(replica, letter);
    replica->slice_rows = run->file->slices;
    if (*image != NULL) {
        replica_wake(replica, *image);
    } else if (golden != NULL) {
        replica_make_old(replica, golden);
    } else {
        replica_make(replica, schema != NULL ? schema : run->file->schema);
        track_tables(run, replica);
        *image = replica_take(replica);
    }
    run_unwatch(run, replica);
}

static void make(struct run *run)
{
    run->monotone =
        calloc(CASE_SITES_MAX * CASE_LIST_MAX, sizeof *run->monotone);
    GV_ASSERT(run->monotone != NULL);
    run->count = strlen(run->file->sites);
    for (size_t i = 0; i < run->count; i++)
        make_replica(run, i, run->file->sites[i]);
}

static void play_lines(struct run *run, size_t first, size_t end)
{
    for (size_t i = first; i < end && !run->failed; i++) {
        run->line = run->file->lines[i].number;
        steps_do(run, run->file->lines[i].text);
        for (size_t j = 0; j < run->count && !run->failed; j++)
            if (run->touched & 1u << j)
                run_watch(run, &run->replicas[j]);
        mesh_crash_point(run);
    }
}

void run_play(struct run *run)
{
    make(run);
    play_lines(run, 0, run->file->common_end);
    play_lines(run, run->variant->first, run->variant->end);
    if (!run->failed)
        mesh_late(run);
    for (size_t i = 0; i < run->count && !run->failed; i++)
        if (!run->findings)
            rest_verify(run, &run->replicas[i], 0);
}

void run_close(struct run *run)
{
    for (size_t i = 0; i < run->count; i++)
        replica_close(&run->replicas[i]);
    for (size_t i = 0; i < run->publication_count; i++)
        buffer_close(&run->publications[i].frame);
    for (size_t i = 0; i < run->late_count; i++)
        delta_close(&run->late[i].delta);
    free(run->publications);
    free(run->monotone);
}
