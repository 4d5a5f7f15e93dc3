#include "measure.h"

#include <errno.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

static char directory[512];
static pid_t directory_owner;

void die(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(1);
}

/* Clocks */

static int64_t clock_ns(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t wall_now_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

struct span span_begin(void)
{
    return (struct span){clock_ns(CLOCK_MONOTONIC),
                         clock_ns(CLOCK_PROCESS_CPUTIME_ID)};
}

struct span span_end(struct span begin)
{
    struct span now = span_begin();

    return (struct span){now.wall_ns - begin.wall_ns,
                         now.cpu_ns - begin.cpu_ns};
}

void sleep_ns(int64_t ns)
{
    struct timespec time = {ns / 1000000000, ns % 1000000000};

    while (nanosleep(&time, &time) != 0 && errno == EINTR)
        ;
}

void sleep_until_ns(int64_t at_ns)
{
    struct timespec time = {at_ns / 1000000000, at_ns % 1000000000};

    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL) ==
           EINTR)
        ;
}

/* Samples */

void samples_add(struct samples *samples, int64_t ns)
{
    if (samples->count == samples->capacity) {
        samples->capacity = 2 * samples->capacity + 64;
        samples->ns =
            realloc(samples->ns, samples->capacity * sizeof *samples->ns);
        if (samples->ns == NULL)
            die("Out of memory.");
    }
    samples->ns[samples->count++] = ns;
}

static int compare_ns(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return x < y ? -1 : x > y;
}

int64_t samples_at(struct samples *samples, double part)
{
    size_t rank;

    if (samples->count == 0)
        return 0;
    qsort(samples->ns, samples->count, sizeof *samples->ns, compare_ns);
    rank = (size_t)(part * (double)samples->count);
    return samples->ns[rank < samples->count ? rank : samples->count - 1];
}

int64_t samples_median(struct samples *samples)
{
    return samples_at(samples, 0.5);
}

void samples_free(struct samples *samples)
{
    free(samples->ns);
    *samples = (struct samples){0};
}

/* Directory */

static int remove_one(const char *path, const struct stat *status, int type,
                      struct FTW *position)
{
    (void)status;
    (void)type;
    (void)position;
    return remove(path);
}

/* A child that ends before it becomes another program leaves it alone. */
static void directory_remove(void)
{
    if (directory[0] != '\0' && directory_owner == getpid())
        nftw(directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

const char *directory_make(const char *parent)
{
    int size =
        snprintf(directory, sizeof directory, "%s/bench-XXXXXX", parent);

    if (size < 0 || (size_t)size >= sizeof directory ||
        mkdtemp(directory) == NULL) {
        directory[0] = '\0';
        die("Cannot make a directory in %s: %s.", parent, strerror(errno));
    }
    directory_owner = getpid();
    atexit(directory_remove);
    return directory;
}

const char *directory_file(const char *name)
{
    static char paths[8][sizeof directory + 64];
    static unsigned next;
    char *path = paths[next++ % 8];

    snprintf(path, sizeof paths[0], "%s/%s", directory, name);
    return path;
}

const char *file_system(const char *path, bool *memory)
{
    static const struct {
        unsigned long magic;
        const char *name;
        bool memory;
    } known[] = {
        {0xef53, "ext4", false},      {0x58465342, "xfs", false},
        {0x9123683e, "btrfs", false}, {0xf2f52010, "f2fs", false},
        {0x2fc12fc1, "zfs", false},   {0x794c7630, "overlay", false},
        {0x01021994, "tmpfs", true},  {0x858458f6, "ramfs", true},
        {0x6969, "nfs", false},       {0x65735546, "fuse", false},
    };
    static char other[32];
    struct statfs found;

    if (statfs(path, &found) != 0)
        die("Cannot look at %s: %s.", path, strerror(errno));
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (known[i].magic == (unsigned long)found.f_type) {
            *memory = known[i].memory;
            return known[i].name;
        }
    }
    *memory = false;
    snprintf(other, sizeof other, "type 0x%lx", (unsigned long)found.f_type);
    return other;
}

const char *build_kind(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    return "with sanitizers: its figures mean nothing";
#elif !defined(__OPTIMIZE__)
    return "not optimized: its figures mean little (use the release preset)";
#elif defined(GV_TEST_HOOKS)
    return "optimized, with test hooks";
#else
    return "optimized";
#endif
}
