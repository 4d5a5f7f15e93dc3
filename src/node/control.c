#include "node/control.h"

#include "base/buffer.h"
#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

struct client {
    int fd;
    struct buffer in;  /* a line that is not complete yet */
    struct buffer out; /* answers that the client has not read yet */
    size_t sent;       /* of out */
    bool watches;
    uint64_t lost; /* lines it was not told */
};

struct control {
    int directory;
    int listener; /* -1 after control_unlink() */
    int spare;    /* makes room for who is turned away */
    control_answer *answer;
    void *context;
    size_t count;
    struct client clients[CONTROL_CLIENTS_MAX];
};

int control_address(const char *path, struct sockaddr_un *address)
{
    char *directory;
    int fd;

    if (asprintf(&directory, "%s-gv", path) < 0)
        return -1;
    fd = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
    free(directory);
    if (fd < 0)
        return -1;
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    snprintf(address->sun_path, sizeof address->sun_path,
             "/proc/self/fd/%d/control", fd);
    return fd;
}

static int control_listen(struct control *control, const char *path)
{
    struct sockaddr_un address;

    control->directory = control_address(path, &address);
    if (control->directory < 0)
        return GV_EIO;
    unlinkat(control->directory, "control", 0);
    control->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
    control->listener =
        socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (control->listener < 0 ||
        bind(control->listener, (struct sockaddr *)&address, sizeof address) !=
            0 ||
        fchmodat(control->directory, "control", 0600, 0) != 0 ||
        listen(control->listener, CONTROL_CLIENTS_MAX) != 0)
        return GV_EIO;
    return GV_OK;
}

int control_open(const char *path, control_answer *answer, void *context,
                 struct control **control, struct gv_error *error)
{
    struct control *fresh = calloc(1, sizeof *fresh);

    if (fresh == NULL)
        return error_set(error, GV_ENOMEM, "There is no memory left.");
    fresh->directory = -1;
    fresh->listener = -1;
    fresh->spare = -1;
    fresh->answer = answer;
    fresh->context = context;
    if (control_listen(fresh, path) != GV_OK) {
        error_set(error, GV_EIO,
                  "The control socket %s-gv/control cannot be made: %s.", path,
                  strerror(errno));
        error_meaning(error,
                      "Without it the node could not be asked or stopped.");
        error_remedy(error,
                     "Look at the rights of %s-gv, and whether its "
                     "file system allows sockets.",
                     path);
        control_free(fresh);
        return GV_EIO;
    }
    *control = fresh;
    return GV_OK;
}

static void client_drop(struct control *control, size_t index)
{
    struct client *client = &control->clients[index];

    close(client->fd);
    buffer_close(&client->in);
    buffer_close(&client->out);
    control->count--;
    control->clients[index] = control->clients[control->count];
}

void control_unlink(struct control *control)
{
    if (control->listener < 0)
        return;
    unlinkat(control->directory, "control", 0);
    close(control->listener);
    control->listener = -1;
}

void control_free(struct control *control)
{
    if (control == NULL)
        return;
    control_unlink(control);
    while (control->count > 0)
        client_drop(control, control->count - 1);
    if (control->directory >= 0)
        close(control->directory);
    if (control->spare >= 0)
        close(control->spare);
    free(control);
}

size_t control_poll(const struct control *control, struct pollfd *fds)
{
    /* With no place free a new client waits in the backlog. */
    bool room = control->count < CONTROL_CLIENTS_MAX;

    fds[0] =
        (struct pollfd){.fd = room ? control->listener : -1, .events = POLLIN};
    for (size_t i = 0; i < control->count; i++) {
        const struct client *client = &control->clients[i];
        bool behind = client->sent < client->out.size;

        fds[i + 1] = (struct pollfd){.fd = client->fd,
                                     .events = behind ? POLLOUT : POLLIN};
    }
    return control->count + 1;
}

/* There is no descriptor for a client.  One that waited would keep the
 * listener readable, and the node awake. */
static void control_turn_away(struct control *control)
{
    int fd;

    if (control->spare < 0)
        return;
    close(control->spare);
    fd = accept4(control->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0)
        close(fd);
    control->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void control_accept(struct control *control)
{
    int fd =
        accept4(control->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    struct client *client;

    if (fd < 0 && (errno == EMFILE || errno == ENFILE))
        control_turn_away(control);
    if (fd < 0)
        return;
    client = &control->clients[control->count++];
    client->fd = fd;
    client->sent = 0;
    client->watches = false;
    client->lost = 0;
    buffer_init(&client->in, CONTROL_LINE_MAX);
    buffer_init(&client->out, CONTROL_ANSWERS_MAX);
}

/* False: the client is to be dropped. */
static bool client_send(struct client *client)
{
    while (client->sent < client->out.size) {
        ssize_t size = send(client->fd, client->out.data + client->sent,
                            client->out.size - client->sent, MSG_NOSIGNAL);

        if (size < 0)
            return errno == EAGAIN || errno == EINTR;
        client->sent += (size_t)size;
    }
    buffer_clear(&client->out);
    client->sent = 0;
    return true;
}

static bool client_answer(struct control *control, struct client *client,
                          const char *line, size_t size)
{
    bool watches = client->watches;
    char *answer = control->answer(control->context, line, size, &watches);

    if (answer == NULL)
        return false;
    buffer_append(&client->out, answer, strlen(answer));
    buffer_append_u8(&client->out, '\n');
    free(answer);
    client->watches = watches;
    return client->out.error == GV_OK;
}

/* Answer every whole line; keep the rest. */
static bool client_lines(struct control *control, struct client *client)
{
    struct buffer *in = &client->in;
    size_t start = 0;

    for (size_t i = 0; i < in->size; i++) {
        if (in->data[i] != '\n')
            continue;
        in->data[i] = '\0';
        if (!client_answer(control, client, (char *)in->data + start,
                           i - start))
            return false;
        start = i + 1;
    }
    memmove(in->data, in->data + start, in->size - start);
    in->size -= start;
    return true;
}

static bool client_read(struct control *control, struct client *client)
{
    uint8_t bytes[4096];
    ssize_t size = recv(client->fd, bytes, sizeof bytes, 0);

    if (size < 0)
        return errno == EAGAIN || errno == EINTR;
    if (size == 0 || buffer_append(&client->in, bytes, (size_t)size) != GV_OK)
        return false;
    return client_lines(control, client) && client_send(client);
}

size_t control_watchers(const struct control *control)
{
    size_t count = 0;

    for (size_t i = 0; i < control->count; i++)
        count += control->clients[i].watches;
    return count;
}

static bool client_has_room(const struct client *client, size_t size)
{
    return client->out.size - client->sent + size <= CONTROL_BACKLOG_MAX;
}

/* Take what was sent out of the backlog, now and then. */
static void client_compact(struct client *client)
{
    if (client->sent < CONTROL_BACKLOG_MAX / 2)
        return;
    client->out.size -= client->sent;
    memmove(client->out.data, client->out.data + client->sent,
            client->out.size);
    client->sent = 0;
}

static void client_tell(struct client *client, const char *line)
{
    char missed[64];
    size_t size = strlen(line);

    client_compact(client);

    /* What was missed is said before anything newer. */
    if (!client_has_room(client, size + sizeof missed)) {
        client->lost++;
        return;
    }
    if (client->lost > 0) {
        int length = snprintf(missed, sizeof missed,
                              "{\"event\":\"lost\",\"count\":%" PRIu64 "}\n",
                              client->lost);
        buffer_append(&client->out, missed, (size_t)length);
        client->lost = 0;
    }
    buffer_append(&client->out, line, size);
    buffer_append_u8(&client->out, '\n');
}

void control_tell(struct control *control, const char *line)
{
    for (size_t i = 0; i < control->count; i++) {
        if (control->clients[i].watches)
            client_tell(&control->clients[i], line);
    }
}

void control_serve(struct control *control, const struct pollfd *fds,
                   size_t count)
{
    /* From the end, because a client that goes gives its place to the last
     * one. */
    for (size_t i = count - 1; i > 0; i--) {
        struct client *client = &control->clients[i - 1];
        bool stays = true;

        if ((fds[i].revents & POLLOUT) != 0)
            stays = client_send(client);
        else if (fds[i].revents != 0)
            stays = client_read(control, client);
        if (!stays)
            client_drop(control, i - 1);
    }
    if ((fds[0].revents & POLLIN) != 0)
        control_accept(control);
}
