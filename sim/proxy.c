/* gvproxy: a network that can be broken on purpose, for real nodes.
 *
 *     gvproxy --route NAME LISTENPORT TARGETPORT [--route …]
 *
 * Each route listens on 127.0.0.1:LISTENPORT and passes what comes to
 * 127.0.0.1:TARGETPORT.  It prints "ready", then reads a command a line from
 * its standard input and answers each with one line, "ok" or "error …":
 *
 *     cut NAME [in|out]   pass nothing; or nothing of one direction
 *     heal NAME [in|out]  pass everything again; or that of one direction
 *     delay NAME MS       pass each byte MS milliseconds late
 *     loss NAME PERCENT   hold up so many of the packets, as TCP would that
 *                         has to send them again
 *     drop NAME           reset the connections that stand
 *     stats               "ok", and of each route what it passed
 *
 * "out" is what the dialler sends, "in" what it receives.  A cut looks like a
 * network that eats packets: connections stand, nothing arrives, not even
 * their end.  What was on its way arrives after the heal, as TCP's
 * retransmissions would bring it.  Who dials into a cut is accepted, hears
 * nothing, and is closed at the heal, so that it dials again.
 *
 * It ends when its input does, or by SIGTERM. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define ROUTES_MAX 1024
#define CONNECTIONS_MAX 2048
#define NAME_SIZE 32
#define LINE_SIZE 256
/* What one direction of a connection holds; when it is full the proxy stops
 * reading, and the sender feels it. */
#define PIPE_SIZE (256u * 1024)
#define PIPE_MARKS 256u
/* What Linux waits at least before it sends a segment again; and what fits
 * into one on an Ethernet. */
#define RESEND_MS 200
#define SEGMENT_SIZE 1448

enum direction { OUT, IN, DIRECTIONS };

struct route {
    char name[NAME_SIZE];
    int listener;
    uint16_t target;
    bool cut[DIRECTIONS];
    int64_t delay_ms;
    double lost; /* 0 to 1: the share of segments that are sent again */
    uint64_t passed[DIRECTIONS];
};

/* Bytes up to offset @end of the stream may pass at @due. */
struct mark {
    uint64_t end;
    int64_t due;
};

/* One direction of a connection: a ring of bytes and a ring of marks, both
 * indexed by counters that only grow. */
struct pipe {
    uint8_t *bytes;
    uint64_t read, written;
    struct mark marks[PIPE_MARKS];
    uint64_t marks_read, marks_written;
    bool ended;  /* its sender closed */
    bool closed; /* and its receiver was told, or is gone */
};

struct connection {
    struct route *route;
    int ends[DIRECTIONS]; /* where OUT and IN come from: dialler, target */
    bool connecting;
    struct pipe pipes[DIRECTIONS];
};

struct proxy {
    struct route routes[ROUTES_MAX];
    size_t route_count;
    struct connection *connections[CONNECTIONS_MAX];
    size_t connection_count;
    struct pollfd polls[1 + ROUTES_MAX + 2 * CONNECTIONS_MAX];
    char line[LINE_SIZE];
    size_t line_size;
    bool over;
};

/* Its seed is fixed: two runs throw the same dice, if not at the same
 * bytes. */
static unsigned short dice[3] = {0x6776, 0x7072, 0x6f78};

static volatile sig_atomic_t stopped;

static void stop(int number)
{
    (void)number;
    stopped = 1;
}

static int64_t clock_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool is_cut(const struct route *route)
{
    return route->cut[OUT] || route->cut[IN];
}

/* Someone who dialled into a cut: there is no connection to the target. */
static bool is_stranded(const struct connection *connection)
{
    return connection->ends[IN] == -1;
}

static struct sockaddr_in loopback(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET};

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    return address;
}

/* Pipes */

static bool pipe_open(struct pipe *pipe)
{
    pipe->bytes = malloc(PIPE_SIZE);
    return pipe->bytes != NULL;
}

static bool pipe_has_room(const struct pipe *pipe)
{
    return !pipe->ended && pipe->written - pipe->read < PIPE_SIZE;
}

/* How many bytes may pass at @now. */
static size_t pipe_due(struct pipe *pipe, int64_t now)
{
    uint64_t end = pipe->read;

    for (uint64_t i = pipe->marks_read; i != pipe->marks_written; i++) {
        const struct mark *mark = &pipe->marks[i % PIPE_MARKS];

        if (mark->due > now)
            break;
        end = mark->end;
    }
    return (size_t)(end - pipe->read);
}

/* Whether its receiver can be told something: bytes, or that it ended. */
static bool pipe_has_news(struct pipe *pipe, int64_t now)
{
    if (pipe->closed)
        return false;
    return pipe_due(pipe, now) > 0 ||
           (pipe->ended && pipe->read == pipe->written);
}

/* When more of it may pass; INT64_MAX: not before something is read. */
static int64_t pipe_deadline(const struct pipe *pipe)
{
    if (pipe->marks_read == pipe->marks_written)
        return INT64_MAX;
    return pipe->marks[pipe->marks_read % PIPE_MARKS].due;
}

/* With all marks in use, the last one takes the new bytes too. */
static void pipe_mark(struct pipe *pipe, int64_t due)
{
    struct mark mark = {pipe->written, due};

    if (pipe->marks_written - pipe->marks_read == PIPE_MARKS)
        pipe->marks_written--;
    pipe->marks[pipe->marks_written++ % PIPE_MARKS] = mark;
}

/* How long what is read now is held up by segments that get lost: each loss
 * in a row costs one more wait, twice as long. */
static int64_t hold_up(const struct route *route, size_t size)
{
    size_t segments = (size + SEGMENT_SIZE - 1) / SEGMENT_SIZE;
    int64_t longest = 0;

    for (size_t i = 0; route->lost > 0 && i < segments; i++) {
        int64_t held = 0;

        for (int64_t wait = RESEND_MS;
             wait <= 8 * RESEND_MS && erand48(dice) < route->lost; wait *= 2)
            held += wait;
        if (held > longest)
            longest = held;
    }
    return longest;
}

static void pipe_fill(struct pipe *pipe, int fd, const struct route *route,
                      int64_t now)
{
    size_t at = pipe->written % PIPE_SIZE;
    size_t room = PIPE_SIZE - (size_t)(pipe->written - pipe->read);
    ssize_t size;

    if (room > PIPE_SIZE - at)
        room = PIPE_SIZE - at;
    size = recv(fd, pipe->bytes + at, room, MSG_DONTWAIT);
    if (size > 0) {
        pipe->written += (uint64_t)size;
        pipe_mark(pipe, now + route->delay_ms + hold_up(route, (size_t)size));
    } else if (size == 0 || (errno != EAGAIN && errno != EINTR)) {
        pipe->ended = true;
    }
}

/* Returns how many bytes passed. */
static size_t pipe_drain(struct pipe *pipe, int fd, int64_t now)
{
    size_t at = pipe->read % PIPE_SIZE, due = pipe_due(pipe, now);
    ssize_t size;

    if (due > PIPE_SIZE - at)
        due = PIPE_SIZE - at;
    if (due > 0) {
        size = send(fd, pipe->bytes + at, due, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (size < 0 && errno != EAGAIN && errno != EINTR)
            pipe->ended = pipe->closed = true;
        due = size > 0 ? (size_t)size : 0;
        pipe->read += due;
    }
    while (pipe->marks_read != pipe->marks_written &&
           pipe->marks[pipe->marks_read % PIPE_MARKS].end <= pipe->read)
        pipe->marks_read++;
    if (pipe->ended && !pipe->closed && pipe->read == pipe->written) {
        shutdown(fd, SHUT_WR);
        pipe->closed = true;
    }
    return due;
}

/* Connections */

static void close_connection(struct proxy *proxy, size_t index, bool reset)
{
    struct connection *connection = proxy->connections[index];
    struct linger at_once = {1, 0};

    for (int i = 0; i < DIRECTIONS; i++) {
        int fd = connection->ends[i];

        if (fd != -1 && reset)
            setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
        if (fd != -1)
            close(fd);
        free(connection->pipes[i].bytes);
    }
    free(connection);
    proxy->connections[index] = proxy->connections[--proxy->connection_count];
}

static int dial(uint16_t port)
{
    struct sockaddr_in address = loopback(port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd == -1)
        return -1;
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0 &&
        errno != EINPROGRESS) {
        close(fd);
        return -1;
    }
    return fd;
}

/* Small writes must not wait for each other's acknowledgement: the proxy is
 * to add nothing but what it was told to. */
static void send_at_once(int fd)
{
    int on = 1;

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

static bool prepare_connection(struct connection *connection)
{
    send_at_once(connection->ends[OUT]);
    if (is_cut(connection->route))
        return pipe_open(&connection->pipes[OUT]);
    connection->ends[IN] = dial(connection->route->target);
    if (connection->ends[IN] == -1)
        return false;
    send_at_once(connection->ends[IN]);
    connection->connecting = true;
    return pipe_open(&connection->pipes[OUT]) &&
           pipe_open(&connection->pipes[IN]);
}

static void accept_connection(struct proxy *proxy, struct route *route)
{
    int fd =
        accept4(route->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    struct connection *connection;

    if (fd == -1)
        return;
    connection = proxy->connection_count == CONNECTIONS_MAX
                     ? NULL
                     : calloc(1, sizeof(*connection));
    if (connection == NULL) {
        close(fd);
        return;
    }
    connection->route = route;
    connection->ends[OUT] = fd;
    connection->ends[IN] = -1;
    proxy->connections[proxy->connection_count++] = connection;
    if (!prepare_connection(connection))
        close_connection(proxy, proxy->connection_count - 1, true);
}

/* False if the target cannot be reached. */
static bool finish_connecting(struct connection *connection, short revents)
{
    int error = 0;
    socklen_t size = sizeof(error);

    if (!connection->connecting || revents == 0)
        return true;
    getsockopt(connection->ends[IN], SOL_SOCKET, SO_ERROR, &error, &size);
    connection->connecting = error != 0;
    return error == 0;
}

/* What someone stranded says is lost; only the end of it matters. */
static bool serve_stranded(struct connection *connection, short revents)
{
    struct pipe *pipe = &connection->pipes[OUT];

    if (revents == 0)
        return true;
    pipe_fill(pipe, connection->ends[OUT], connection->route, 0);
    pipe->read = pipe->written;
    pipe->marks_read = pipe->marks_written;
    return !pipe->ended;
}

/* Pass what may pass; false when the connection is over. */
static bool serve_connection(struct connection *connection,
                             const struct pollfd polls[DIRECTIONS],
                             int64_t now)
{
    struct route *route = connection->route;

    if (is_stranded(connection))
        return serve_stranded(connection, polls[OUT].revents);
    if (!finish_connecting(connection, polls[IN].revents))
        return false;
    for (int i = 0; i < DIRECTIONS; i++) {
        struct pipe *pipe = &connection->pipes[i];

        if ((polls[i].revents & ~POLLOUT) != 0 && pipe_has_room(pipe))
            pipe_fill(pipe, connection->ends[i], route, now);
        if (!route->cut[i] && !connection->connecting)
            route->passed[i] += pipe_drain(pipe, connection->ends[1 - i], now);
    }
    return !connection->pipes[OUT].closed || !connection->pipes[IN].closed;
}

/* What to wait for at the end where direction @i comes from. */
static struct pollfd want(struct connection *connection, int i, int64_t now)
{
    struct pipe *from = &connection->pipes[i];
    struct pipe *to = &connection->pipes[1 - i];
    struct pollfd poll_end = {.fd = connection->ends[i]};

    if (is_stranded(connection)) {
        poll_end.events = POLLIN;
        return poll_end;
    }
    if (connection->connecting) {
        poll_end.events = i == IN ? POLLOUT : 0;
    } else {
        if (pipe_has_room(from))
            poll_end.events |= POLLIN;
        if (!connection->route->cut[1 - i] && pipe_has_news(to, now))
            poll_end.events |= POLLOUT;
    }
    /* Else an end that hung up would wake us for ever. */
    if (poll_end.events == 0)
        poll_end.fd = -1;
    return poll_end;
}

/* Commands */

static struct route *find_route(struct proxy *proxy, const char *name)
{
    for (size_t i = 0; i < proxy->route_count; i++)
        if (strcmp(proxy->routes[i].name, name) == 0)
            return &proxy->routes[i];
    return NULL;
}

static const char *set_cut(struct route *route, const char *direction, bool is)
{
    if (*direction == '\0')
        route->cut[OUT] = route->cut[IN] = is;
    else if (strcmp(direction, "out") == 0)
        route->cut[OUT] = is;
    else if (strcmp(direction, "in") == 0)
        route->cut[IN] = is;
    else
        return "the direction is in or out";
    return NULL;
}

static void drop(struct proxy *proxy, const struct route *route,
                 bool only_stranded)
{
    for (size_t i = proxy->connection_count; i-- > 0;) {
        const struct connection *connection = proxy->connections[i];

        if (connection->route == route &&
            (!only_stranded || is_stranded(connection)))
            close_connection(proxy, i, true);
    }
}

/* Who dialled into a cut can go on only when it is gone both ways. */
static const char *heal(struct proxy *proxy, struct route *route,
                        const char *direction)
{
    const char *error = set_cut(route, direction, false);

    if (error == NULL && !is_cut(route))
        drop(proxy, route, true);
    return error;
}

static const char *delay(struct route *route, const char *text)
{
    char *end;
    long ms = strtol(text, &end, 10);

    if (*text == '\0' || *end != '\0' || ms < 0 || ms > 60000)
        return "the delay is 0 to 60000 ms";
    route->delay_ms = ms;
    return NULL;
}

static const char *lose(struct route *route, const char *text)
{
    char *end;
    double percent = strtod(text, &end);

    if (*text == '\0' || *end != '\0' || !(percent >= 0 && percent <= 90))
        return "the loss is 0 to 90 percent";
    route->lost = percent / 100;
    return NULL;
}

static const char *cut_name(const struct route *route)
{
    if (route->cut[OUT] && route->cut[IN])
        return "both";
    if (route->cut[OUT])
        return "out";
    return route->cut[IN] ? "in" : "none";
}

static void print_stats(const struct proxy *proxy)
{
    printf("ok");
    for (size_t i = 0; i < proxy->route_count; i++) {
        const struct route *route = &proxy->routes[i];
        size_t count = 0;

        for (size_t j = 0; j < proxy->connection_count; j++)
            count += proxy->connections[j]->route == route;
        printf("%s %s connections %zu out %llu in %llu cut %s delay %lld",
               i == 0 ? "" : ";", route->name, count,
               (unsigned long long)route->passed[OUT],
               (unsigned long long)route->passed[IN], cut_name(route),
               (long long)route->delay_ms);
    }
    printf("\n");
}

static const char *obey_on_route(struct proxy *proxy, const char *verb,
                                 const char *name, const char *argument)
{
    struct route *route = find_route(proxy, name);

    if (route == NULL)
        return "no such route";
    if (strcmp(verb, "cut") == 0)
        return set_cut(route, argument, true);
    if (strcmp(verb, "heal") == 0)
        return heal(proxy, route, argument);
    if (strcmp(verb, "delay") == 0)
        return delay(route, argument);
    if (strcmp(verb, "loss") == 0)
        return lose(route, argument);
    if (*argument != '\0')
        return "one word too many";
    if (strcmp(verb, "drop") != 0)
        return "no such command";
    drop(proxy, route, false);
    return NULL;
}

static void obey(struct proxy *proxy, const char *line)
{
    char words[3][LINE_SIZE] = {"", "", ""};
    const char *error;

    sscanf(line, "%255s %255s %255s", words[0], words[1], words[2]);
    if (strcmp(words[0], "stats") == 0) {
        print_stats(proxy);
    } else {
        error = obey_on_route(proxy, words[0], words[1], words[2]);
        if (error == NULL)
            printf("ok\n");
        else
            printf("error %s\n", error);
    }
    fflush(stdout);
}

static void read_commands(struct proxy *proxy)
{
    size_t room = sizeof(proxy->line) - 1 - proxy->line_size;
    ssize_t size = read(STDIN_FILENO, proxy->line + proxy->line_size, room);
    char *end;

    if (size <= 0) {
        proxy->over = size == 0 || errno != EINTR;
        return;
    }
    proxy->line_size += (size_t)size;
    proxy->line[proxy->line_size] = '\0';
    while ((end = strchr(proxy->line, '\n')) != NULL) {
        *end = '\0';
        obey(proxy, proxy->line);
        proxy->line_size -= (size_t)(end + 1 - proxy->line);
        memmove(proxy->line, end + 1, proxy->line_size + 1);
    }
    /* No command is that long. */
    if (proxy->line_size == sizeof(proxy->line) - 1)
        proxy->over = true;
}

/* The loop */

static int timeout_until(int64_t deadline, int64_t now)
{
    if (deadline == INT64_MAX)
        return -1;
    return deadline <= now ? 0 : (int)(deadline - now);
}

/* Fill the polls; returns when the next delayed byte is due. */
static int64_t prepare_polls(struct proxy *proxy, int64_t now)
{
    int64_t deadline = INT64_MAX;
    struct pollfd *next = proxy->polls;

    *next++ = (struct pollfd){.fd = STDIN_FILENO, .events = POLLIN};
    for (size_t i = 0; i < proxy->route_count; i++)
        *next++ =
            (struct pollfd){.fd = proxy->routes[i].listener, .events = POLLIN};
    for (size_t i = 0; i < proxy->connection_count; i++) {
        struct connection *connection = proxy->connections[i];

        for (int j = 0; j < DIRECTIONS; j++) {
            int64_t due = pipe_deadline(&connection->pipes[j]);

            *next++ = want(connection, j, now);
            if (!connection->route->cut[j] && due > now && due < deadline)
                deadline = due;
        }
    }
    return deadline;
}

/* Backwards, for a connection that ends gives its place to the last. */
static void serve_connections(struct proxy *proxy, int64_t now)
{
    const struct pollfd *polls = proxy->polls + 1 + proxy->route_count;

    for (size_t i = proxy->connection_count; i-- > 0;)
        if (!serve_connection(proxy->connections[i], polls + 2 * i, now))
            close_connection(proxy, i, proxy->connections[i]->connecting);
}

static int run(struct proxy *proxy)
{
    sigset_t all, none;

    sigfillset(&all);
    sigemptyset(&none);
    /* A signal comes while we wait, or is seen before we wait again. */
    sigprocmask(SIG_BLOCK, &all, NULL);
    while (!proxy->over && !stopped) {
        int64_t now = clock_ms();
        int wait_ms = timeout_until(prepare_polls(proxy, now), now);
        struct timespec wait = {wait_ms / 1000, wait_ms % 1000 * 1000000L};
        size_t count = 1 + proxy->route_count + 2 * proxy->connection_count;

        if (ppoll(proxy->polls, count, wait_ms < 0 ? NULL : &wait, &none) < 0)
            continue;
        serve_connections(proxy, clock_ms());
        for (size_t i = 0; i < proxy->route_count; i++)
            if (proxy->polls[1 + i].revents != 0)
                accept_connection(proxy, &proxy->routes[i]);
        if (proxy->polls[0].revents != 0)
            read_commands(proxy);
    }
    return 0;
}

static bool read_port(const char *text, uint16_t *port)
{
    char *end;
    long number = strtol(text, &end, 10);

    *port = (uint16_t)number;
    return *end == '\0' && number >= 1 && number <= 65535;
}

static bool listen_on(struct route *route, uint16_t port)
{
    struct sockaddr_in address = loopback(port);
    int on = 1;

    route->listener =
        socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(route->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(route->listener, (struct sockaddr *)&address, sizeof(address)) !=
            0 ||
        listen(route->listener, 1024) != 0) {
        fprintf(stderr, "gvproxy: port %d: %s\n", port, strerror(errno));
        return false;
    }
    return true;
}

static int usage(void)
{
    fprintf(stderr,
            "usage: gvproxy --route NAME LISTENPORT TARGETPORT [--route …]\n");
    return 2;
}

int main(int argc, char **argv)
{
    static struct proxy proxy;
    struct sigaction action = {.sa_handler = stop};

    for (int i = 1; i < argc; i += 4) {
        struct route *route = &proxy.routes[proxy.route_count];
        uint16_t port;

        if (i + 3 >= argc || strcmp(argv[i], "--route") != 0 ||
            strlen(argv[i + 1]) >= NAME_SIZE ||
            !read_port(argv[i + 2], &port) ||
            !read_port(argv[i + 3], &route->target) ||
            proxy.route_count == ROUTES_MAX)
            return usage();
        strcpy(route->name, argv[i + 1]);
        if (!listen_on(route, port))
            return 1;
        proxy.route_count++;
    }
    if (proxy.route_count == 0)
        return usage();
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    printf("ready\n");
    fflush(stdout);
    return run(&proxy);
}
