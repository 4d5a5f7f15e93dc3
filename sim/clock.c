/* A wrong wall clock for one process: a library to preload.
 *
 * GVCLOCK names a file of eight bytes, how many milliseconds the clock is
 * ahead (host byte order, may be negative).  The file is mapped, so that
 * whoever writes it sets the clock of a process that runs, and of all that
 * share the file.  Only the time since 1970 is moved: waiting goes by
 * CLOCK_MONOTONIC, as it does where somebody sets a real clock.
 *
 * The kernel is asked directly: looking up libc's own functions would need
 * an allocator, which a sanitizer's run time may not have ready yet. */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define PUBLIC __attribute__((visibility("default")))

static const volatile int64_t *ahead_ms;

__attribute__((constructor)) static void map_offset(void)
{
    const char *path = getenv("GVCLOCK");
    void *mapped;
    int fd;

    if (path == NULL)
        return;
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd == -1)
        return;
    mapped = mmap(NULL, sizeof(*ahead_ms), PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    if (mapped != MAP_FAILED)
        ahead_ms = mapped;
}

/* The time since 1970 in nanoseconds. */
static int64_t wall_ns(void)
{
    struct timespec now = {0, 0};
    int64_t moved = ahead_ms == NULL ? 0 : *ahead_ms;

    syscall(SYS_clock_gettime, CLOCK_REALTIME, &now);
    return (now.tv_sec * INT64_C(1000) + moved) * 1000000 + now.tv_nsec;
}

PUBLIC int clock_gettime(clockid_t clock, struct timespec *now)
{
    int64_t ns;

    if (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE)
        return (int)syscall(SYS_clock_gettime, clock, now);
    ns = wall_ns();
    now->tv_sec = ns / 1000000000;
    now->tv_nsec = ns % 1000000000;
    return 0;
}

PUBLIC int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    int64_t ns = wall_ns();

    (void)zone;
    now->tv_sec = ns / 1000000000;
    now->tv_usec = ns % 1000000000 / 1000;
    return 0;
}

PUBLIC time_t time(time_t *result)
{
    time_t now = wall_ns() / 1000000000;

    if (result != NULL)
        *result = now;
    return now;
}
