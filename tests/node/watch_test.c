#include "check.h"

#include "grapevine.h"
#include "node/watch.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

static char directory[] = "/tmp/grapevine-watch-XXXXXX";
static char db[100], wal[110], other[110];

static void append(const char *file)
{
    int fd = open(file, O_WRONLY | O_CREAT | O_APPEND, 0600);

    CHECK_INT(fd, >=, 0);
    CHECK_INT(write(fd, "x", 1), ==, 1);
    close(fd);
}

/* Whether a hint is there (it is, before write() returns).  A look that is
 * due is none. */
static bool hinted(struct watch *watch)
{
    int64_t before = watch->hinted_us;

    watch_drain(watch);
    return watch->hinted_us != before;
}

TEST(a_write_to_the_log_is_noticed_and_one_to_another_file_is_not)
{
    struct watch watch;

    append(wal);
    CHECK_INT(watch_init(&watch, db), ==, GV_OK);
    CHECK(!hinted(&watch));
    append(wal);
    CHECK(hinted(&watch));
    CHECK(!hinted(&watch));
    append(other);
    CHECK(!hinted(&watch));
    watch_close(&watch);
}

TEST(a_log_that_comes_later_or_is_replaced_is_watched)
{
    struct watch watch;

    unlink(wal);
    CHECK_INT(watch_init(&watch, db), ==, GV_OK);
    append(wal);
    CHECK(hinted(&watch));
    append(wal);
    CHECK(hinted(&watch));
    unlink(wal);
    append(other);
    CHECK_INT(rename(other, wal), ==, 0);
    CHECK(hinted(&watch));
    append(wal);
    CHECK(hinted(&watch));
    watch_close(&watch);
}

TEST(a_database_that_is_replaced_is_noticed)
{
    struct watch watch;

    append(db);
    CHECK_INT(watch_init(&watch, db), ==, GV_OK);
    append(db);
    CHECK(!hinted(&watch));
    CHECK(!watch.replaced);
    append(other);
    CHECK_INT(rename(other, db), ==, 0);
    CHECK(hinted(&watch));
    CHECK(watch.replaced);
    watch_close(&watch);
}

/* More than the system keeps. */
static void flood(void)
{
    FILE *file = fopen("/proc/sys/fs/inotify/max_queued_events", "re");
    int kept = 0;

    CHECK(file != NULL);
    CHECK_INT(fscanf(file, "%d", &kept), ==, 1);
    fclose(file);
    for (int i = 0; i <= kept / 2; i++) {
        append(other);
        unlink(other);
    }
}

TEST(what_happens_while_too_much_does_is_looked_for)
{
    struct watch watch;

    unlink(wal);
    CHECK_INT(watch_init(&watch, db), ==, GV_OK);
    flood();
    append(wal); /* of which the system tells nothing any more */
    CHECK(hinted(&watch));
    CHECK(watch.replaced);
    append(wal);
    CHECK(hinted(&watch));
    watch_close(&watch);
}

static int looks_after_a_hint(struct watch *watch)
{
    struct pollfd timer = {.fd = watch->timer, .events = POLLIN};
    int looks = 0;

    append(wal);
    CHECK(hinted(watch));
    while (poll(&timer, 1, 1000) == 1) {
        CHECK(watch_drain(watch));
        looks++;
    }
    return looks;
}

TEST(after_a_hint_looks_follow_and_then_end)
{
    struct watch watch;
    int looks = 0;

    append(wal);
    CHECK_INT(watch_init(&watch, db), ==, GV_OK);
    /* A machine that is busy elsewhere comes too late for most of them, but
     * not each time. */
    for (int i = 0; i < 50 && looks < 5; i++) {
        looks = looks_after_a_hint(&watch);
        CHECK_INT(looks, >=, 1);
        CHECK_INT(looks, <, 100);
    }
    CHECK_INT(looks, >=, 5);
    watch_close(&watch);
}

TEST(no_look_follows_a_rest_until_the_next_write)
{
    struct watch watch;
    struct pollfd timer = {.events = POLLIN};

    append(wal);
    CHECK_INT(watch_init(&watch, db), ==, GV_OK);
    timer.fd = watch.timer;
    for (int i = 0; i < 3; i++) {
        append(wal);
        CHECK(hinted(&watch));
        watch_rest(&watch);
        CHECK_INT(poll(&timer, 1, 200), ==, 0);
        CHECK(!watch_drain(&watch));
    }
    append(wal);
    CHECK(hinted(&watch));
    CHECK_INT(poll(&timer, 1, 60000), ==, 1);
    watch_close(&watch);
}

int main(int argc, char **argv)
{
    int rc;

    CHECK(mkdtemp(directory) != NULL);
    snprintf(db, sizeof db, "%s/app.db", directory);
    snprintf(wal, sizeof wal, "%s-wal", db);
    snprintf(other, sizeof other, "%s/other", directory);
    rc = check_main(argc, argv);
    unlink(db);
    unlink(wal);
    unlink(other);
    rmdir(directory);
    return rc;
}
