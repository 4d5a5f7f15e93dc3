#include "node/client.h"

#include "base/buffer.h"
#include "base/error.h"
#include "node/control.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

struct call {
    int fd;
    int64_t deadline; /* monotonic ms */
};

static int64_t now_ms(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

/* Wait until the socket is ready for @events. */
static int call_wait(const struct call *call, short events)
{
    for (;;) {
        struct pollfd fd = {.fd = call->fd, .events = events};
        int64_t left = call->deadline - now_ms();
        int rc =
            left <= 0 ? 0 : poll(&fd, 1, left > INT_MAX ? INT_MAX : (int)left);

        if (rc > 0)
            return GV_OK;
        if (rc == 0)
            return GV_EBUSY;
        if (errno != EINTR)
            return GV_EIO;
    }
}

/* A Unix socket connects at once, or says EAGAIN when the backlog is
 * full. */
static int call_connect(struct call *call, const char *path)
{
    struct sockaddr_un address;
    struct timespec pause = {.tv_nsec = 10 * 1000 * 1000};
    int directory = control_address(path, &address);
    int rc = GV_OK;

    if (directory < 0)
        return GV_ENONODE;
    call->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    while (rc == GV_OK && connect(call->fd, (struct sockaddr *)&address,
                                  sizeof address) != 0) {
        if (errno != EAGAIN && errno != EINTR)
            rc = GV_ENONODE;
        else if (now_ms() >= call->deadline)
            rc = GV_EBUSY;
        else
            nanosleep(&pause, NULL);
    }
    close(directory);
    return rc;
}

static int call_send(const struct call *call, const char *text, size_t size)
{
    while (size > 0) {
        ssize_t sent = send(call->fd, text, size, MSG_NOSIGNAL);
        int rc;

        if (sent >= 0) {
            text += sent;
            size -= (size_t)sent;
            continue;
        }
        if (errno != EAGAIN && errno != EINTR)
            return GV_ENONODE;
        rc = call_wait(call, POLLOUT);
        if (rc != GV_OK)
            return rc;
    }
    return GV_OK;
}

/* Append what comes next; *@closed at the end of the stream. */
static int call_receive(const struct call *call, struct buffer *in,
                        bool *closed)
{
    uint8_t bytes[16384];
    ssize_t size;
    int rc = call_wait(call, POLLIN);

    if (rc != GV_OK)
        return rc;
    size = recv(call->fd, bytes, sizeof bytes, 0);
    if (size < 0 && (errno == EAGAIN || errno == EINTR))
        return GV_OK;
    *closed = size <= 0;
    return *closed ? GV_OK : buffer_append(in, bytes, (size_t)size);
}

static int call_answer(const struct call *call, struct buffer *in)
{
    bool closed = false;
    int rc = GV_OK;

    while (rc == GV_OK && !closed) {
        rc = call_receive(call, in, &closed);
        if (rc == GV_OK && in->size > 0 && in->data[in->size - 1] == '\n')
            return GV_OK;
    }
    return rc == GV_OK ? GV_ENONODE : rc;
}

static int call_until_closed(const struct call *call, struct buffer *in)
{
    bool closed = false;
    int rc = GV_OK;

    while (rc == GV_OK && !closed)
        rc = call_receive(call, in, &closed);
    return rc;
}

static int call_run(struct call *call, const char *path, const char *request,
                    bool until_closed, struct buffer *in)
{
    int rc = call_connect(call, path);

    if (rc == GV_OK)
        rc = call_send(call, request, strlen(request));
    if (rc == GV_OK)
        rc = call_send(call, "\n", 1);
    if (rc == GV_OK)
        rc = call_answer(call, in);
    if (rc == GV_OK) {
        in->data[in->size - 1] = '\0';
        if (until_closed)
            rc = call_until_closed(call, in);
    }
    return rc;
}

static int explain(int rc, const char *path, struct gv_error *error)
{
    if (rc == GV_ENONODE) {
        error_set(error, rc, "No node answers for %s.", path);
        error_meaning(error, "None runs on this file, or it just ended.");
        error_remedy(error, "Start one with: grapevine run %s --mesh NAME …",
                     path);
    } else if (rc == GV_EBUSY) {
        error_set(error, rc, "The node of %s did not answer in time.", path);
        error_meaning(error, "It runs, and is busy with something long.");
        error_remedy(error, "Try again, and look at what it logs.");
    } else {
        error_set(error, rc, "The node of %s could not be asked: %s.", path,
                  gv_strerror(rc));
    }
    return rc;
}

int client_ask(const char *path, const char *request, bool until_closed,
               int patience_ms, char **answer, struct gv_error *error)
{
    struct call call = {.fd = -1, .deadline = now_ms() + patience_ms};
    struct buffer in;
    int rc;

    buffer_init(&in, CLIENT_ANSWER_SIZE_MAX);
    rc = call_run(&call, path, request, until_closed, &in);
    if (call.fd >= 0)
        close(call.fd);
    if (rc != GV_OK) {
        buffer_close(&in);
        return explain(rc, path, error);
    }
    /* The buffer's memory is plain malloc()'s. */
    *answer = (char *)in.data;
    return GV_OK;
}

/* Call @line for each whole line of @in; *@ended when it returned non-zero.
 * What is left stays. */
static void take_lines(struct buffer *in,
                       int (*line)(void *context, const char *text),
                       void *context, bool *ended)
{
    size_t start = 0;

    for (size_t i = 0; i < in->size && !*ended; i++) {
        if (in->data[i] != '\n')
            continue;
        in->data[i] = '\0';
        *ended = line(context, (const char *)in->data + start) != 0;
        start = i + 1;
    }
    memmove(in->data, in->data + start, in->size - start);
    in->size -= start;
}

/* There is no end but the node's, or the caller's. */
static int follow(struct call *call, struct buffer *in,
                  int (*line)(void *context, const char *text), void *context)
{
    bool closed = false, ended = false;
    int rc = GV_OK;

    call->deadline = INT64_MAX;
    while (rc == GV_OK && !closed && !ended) {
        rc = call_receive(call, in, &closed);
        if (rc == GV_OK && in->size > 0)
            take_lines(in, line, context, &ended);
    }
    return rc == GV_OK && closed && !ended ? GV_ENONODE : rc;
}

int client_follow(const char *path, const char *request,
                  int (*line)(void *context, const char *text), void *context,
                  struct gv_error *error)
{
    struct call call = {.fd = -1, .deadline = now_ms() + CLIENT_PATIENCE_MS};
    struct buffer in;
    int rc = call_connect(&call, path);

    buffer_init(&in, CLIENT_ANSWER_SIZE_MAX);
    if (rc == GV_OK)
        rc = call_send(&call, request, strlen(request));
    if (rc == GV_OK)
        rc = call_send(&call, "\n", 1);
    if (rc == GV_OK)
        rc = follow(&call, &in, line, context);
    if (call.fd >= 0)
        close(call.fd);
    buffer_close(&in);
    return rc == GV_OK ? GV_OK : explain(rc, path, error);
}

bool client_answers(const char *path)
{
    struct call call = {.fd = -1, .deadline = now_ms()};
    int rc = call_connect(&call, path);

    if (call.fd >= 0)
        close(call.fd);
    return rc != GV_ENONODE;
}
