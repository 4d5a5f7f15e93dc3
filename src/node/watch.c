#include "node/watch.h"

#include "grapevine.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define WATCH_DIRECTORY_MASK                                                  \
    (IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_ONLYDIR)

/* The log may not exist yet; then the directory tells when it does. */
static void watch_log(struct watch *watch)
{
    watch->log = inotify_add_watch(watch->fd, watch->log_path, IN_MODIFY);
}

static int watch_directory(struct watch *watch, const char *path)
{
    const char *slash = strrchr(path, '/');
    char *directory;

    if (slash == NULL)
        directory = strdup(".");
    else if (slash == path)
        directory = strdup("/");
    else
        directory = strndup(path, (size_t)(slash - path));
    if (directory == NULL)
        return GV_ENOMEM;
    watch->directory =
        inotify_add_watch(watch->fd, directory, WATCH_DIRECTORY_MASK);
    free(directory);
    if (watch->directory >= 0)
        return GV_OK;
    return errno == ENOSPC ? GV_ELIMIT : GV_EIO;
}

int watch_init(struct watch *watch, const char *path)
{
    const char *slash;
    int rc;

    *watch = (struct watch){.fd = -1, .timer = -1, .directory = -1, .log = -1};
    if (asprintf(&watch->log_path, "%s-wal", path) < 0) {
        watch->log_path = NULL;
        return GV_ENOMEM;
    }
    slash = strrchr(watch->log_path, '/');
    watch->log_name = slash != NULL ? slash + 1 : watch->log_path;
    watch->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    watch->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    rc = watch->fd < 0 || watch->timer < 0 ? GV_ELIMIT
                                           : watch_directory(watch, path);
    if (rc != GV_OK) {
        watch_close(watch);
        return rc;
    }
    watch_log(watch);
    return GV_OK;
}

void watch_close(struct watch *watch)
{
    if (watch->fd >= 0)
        close(watch->fd);
    if (watch->timer >= 0)
        close(watch->timer);
    free(watch->log_path);
    *watch = (struct watch){.fd = -1, .timer = -1, .directory = -1, .log = -1};
}

/* Whether @name is the database's, which is the log's without "-wal". */
static bool watch_is_database(const struct watch *watch, const char *name)
{
    size_t size = strlen(watch->log_name) - strlen("-wal");

    return strlen(name) == size && memcmp(name, watch->log_name, size) == 0;
}

static bool watch_take(struct watch *watch, const struct inotify_event *event)
{
    /* What the system has no room for may have been anything. */
    if ((event->mask & IN_Q_OVERFLOW) != 0) {
        watch->replaced = true;
        watch_log(watch);
        return true;
    }
    if (event->wd != watch->directory || event->len == 0)
        return event->wd == watch->log;
    if (watch_is_database(watch, event->name)) {
        watch->replaced = true;
        return true;
    }
    if (strcmp(event->name, watch->log_name) != 0)
        return false;
    /* Another file bears the name now; watching one that is watched already
     * changes nothing. */
    watch_log(watch);
    return true;
}

/* True if any of what happened concerns the log. */
static bool watch_hinted(struct watch *watch)
{
    _Alignas(struct inotify_event) char bytes[4096];
    bool hinted = false;
    ssize_t size;

    while ((size = read(watch->fd, bytes, sizeof bytes)) > 0) {
        const char *at = bytes;

        while (at < bytes + size) {
            const struct inotify_event *event = (const void *)at;

            if (watch_take(watch, event))
                hinted = true;
            at += sizeof *event + event->len;
        }
    }
    return hinted;
}

static int64_t now_us(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000 + time.tv_nsec / 1000;
}

/* Have the timer end the next step, if there is one. */
static void watch_arm(struct watch *watch, int64_t now)
{
    int64_t passed = now - watch->hinted_us;
    int64_t step = passed / 4;
    struct itimerspec time = {0};

    if (passed >= WATCH_LOOK_US)
        return;
    if (step < WATCH_STEP_MIN_US)
        step = WATCH_STEP_MIN_US;
    if (step > WATCH_STEP_MAX_US)
        step = WATCH_STEP_MAX_US;
    time.it_value.tv_nsec = (long)step * 1000;
    timerfd_settime(watch->timer, 0, &time, NULL);
    watch->armed = true;
}

bool watch_drain(struct watch *watch)
{
    int64_t now = now_us();
    uint64_t expirations;
    bool due;

    watch->hinted = false;
    if (watch->fd < 0)
        return false;
    watch->hinted = watch_hinted(watch);
    due = read(watch->timer, &expirations, sizeof expirations) > 0;
    if (watch->hinted)
        watch->hinted_us = now;
    watch->armed &= !due;
    if (watch->hinted || due)
        watch_arm(watch, now);
    return watch->hinted || due;
}

void watch_rest(struct watch *watch)
{
    const struct itimerspec never = {0};

    if (!watch->armed)
        return;
    timerfd_settime(watch->timer, 0, &never, NULL);
    watch->armed = false;
}
