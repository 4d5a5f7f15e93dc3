/* What every benchmark needs: clocks, samples, a directory on a disk. */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Print a sentence and end; what was made in the directory is removed. */
_Noreturn void die(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

/* Time by the wall and CPU time of this process, all threads, user and
 * system. */
struct span {
    int64_t wall_ns;
    int64_t cpu_ns;
};

int64_t wall_now_ns(void);
struct span span_begin(void);
struct span span_end(struct span begin);
void sleep_ns(int64_t ns);
/* Sleep until wall_now_ns() is @at_ns. */
void sleep_until_ns(int64_t at_ns);

/* A growing list of durations. */
struct samples {
    int64_t *ns;
    size_t count;
    size_t capacity;
};

void samples_add(struct samples *samples, int64_t ns);
/* The sample below which @part (0 to 1) of all lie, nearest rank.  Sorts.
 * 0 of none. */
int64_t samples_at(struct samples *samples, double part);
int64_t samples_median(struct samples *samples);
void samples_free(struct samples *samples);

/* A new directory below @parent, removed with all in it when the program
 * ends. */
const char *directory_make(const char *parent);
/* "DIR/name", in one of a few buffers that take turns. */
const char *directory_file(const char *name);
/* The name of the file system at @path; *@memory if nothing there ever
 * reaches a disk. */
const char *file_system(const char *path, bool *memory);

/* How this program was built, for the head of the output. */
const char *build_kind(void);

#endif
