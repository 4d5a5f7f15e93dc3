/* A program with a node inside: what is typed here is read there.
 *
 *     shared-notes FILE [--listen tcp://…] [--peer tcp://…]
 *
 * Each line of the input becomes a row of the table notes, by plain SQL on a
 * connection of this program's own; each note of another node is printed when
 * it comes.  The node runs in a thread of its own and says that something
 * came; the main loop then looks what. */
#include <grapevine.h>

#include <poll.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LEVEL_TIMEOUT_MS 10000

struct program {
    sqlite3 *sql;
    struct gv_db *db;
    struct gv_node *node;
    int wake[2]; /* a pipe from the node's thread to the main loop */
    sqlite3_int64 shown;
    bool dials;
};

static int complain(const char *what)
{
    fprintf(stderr, "shared-notes: %s\n", what);
    return 1;
}

/* In the node's thread: short, and without calls to the library. */
static void row_came(void *context, const struct gv_row_event *event)
{
    struct program *program = context;
    ssize_t size = event->local ? 0 : write(program->wake[1], "!", 1);

    (void)size; /* a full pipe wakes as well */
}

static int print_row(void *context, int count, char **values, char **names)
{
    struct program *program = context;

    (void)count;
    (void)names;
    sscanf(values[2], "%lld", &program->shown);
    printf("%s: %s\n", values[0], values[1]);
    fflush(stdout);
    return 0;
}

/* Notes have random keys; the rowid says what is new in this file. */
static void show_new(struct program *program)
{
    char *query = sqlite3_mprintf("SELECT author, text, rowid FROM notes"
                                  " WHERE rowid > %lld AND author <> %Q"
                                  " ORDER BY rowid",
                                  program->shown,
                                  sqlite3_db_filename(program->sql, NULL));

    sqlite3_exec(program->sql, query, print_row, program, NULL);
    sqlite3_free(query);
}

static int add_note(struct program *program, const char *text)
{
    char *insert =
        sqlite3_mprintf("INSERT INTO notes VALUES(hex(randomblob(8)), %Q, %Q)",
                        sqlite3_db_filename(program->sql, NULL), text);
    int rc = sqlite3_exec(program->sql, insert, NULL, NULL, NULL);

    sqlite3_free(insert);
    return rc == SQLITE_OK ? 0 : complain(sqlite3_errmsg(program->sql));
}

static int open_file(struct program *program, const char *path)
{
    struct gv_error error = {0};

    if (sqlite3_open(path, &program->sql) != SQLITE_OK)
        return complain("the file cannot be opened");
    sqlite3_busy_timeout(program->sql, 10000);
    if (sqlite3_exec(program->sql,
                     "CREATE TABLE IF NOT EXISTS notes(id TEXT PRIMARY KEY,"
                     " author TEXT, text TEXT)",
                     NULL, NULL, NULL) != SQLITE_OK)
        return complain(sqlite3_errmsg(program->sql));
    if (gv_open(path, 0, &program->db, &error) != GV_OK ||
        gv_track(program->db, "notes", NULL, &error) != GV_OK)
        return complain(error.what);
    return 0;
}

static int start(struct program *program, struct gv_node_options *options)
{
    struct gv_error error = {0};

    if (pipe(program->wake) != 0)
        return complain("there is no pipe to be had");
    options->mesh = "notes";
    options->row = row_came;
    options->event_context = program;
    if (gv_node_new(program->db, options, &program->node, &error) != GV_OK ||
        gv_node_start(program->node, &error) != GV_OK)
        return complain(error.what);
    return 0;
}

/* Until the input ends. */
static int serve(struct program *program)
{
    struct pollfd fds[2] = {{.fd = STDIN_FILENO, .events = POLLIN},
                            {.fd = program->wake[0], .events = POLLIN}};
    char line[1000], bytes[64];

    setvbuf(stdin, NULL, _IONBF, 0); /* poll() sees what stdio holds back */
    while (poll(fds, 2, -1) >= 0) {
        if (fds[1].revents != 0) {
            if (read(program->wake[0], bytes, sizeof bytes) < 0)
                return complain("the pipe broke");
            show_new(program);
        }
        if (fds[0].revents == 0)
            continue;
        if (fgets(line, sizeof line, stdin) == NULL)
            return 0;
        line[strcspn(line, "\n")] = '\0';
        if (add_note(program, line) != 0)
            return 1;
    }
    return 0;
}

/* What was typed last reaches the peer before this program ends. */
static int finish(struct program *program)
{
    struct gv_error error = {0};
    int rc = GV_OK;

    if (program->dials)
        rc = gv_wait(program->db, 0, LEVEL_TIMEOUT_MS, &error);

    if (rc != GV_OK)
        fprintf(stderr, "shared-notes: %s %s\n", error.what, error.meaning);
    gv_node_stop(program->node);
    if (gv_node_join(program->node, &error) != GV_OK)
        return complain(error.what);
    return rc == GV_OK ? 0 : 1;
}

int main(int argc, char **argv)
{
    struct program program = {.shown = 0};
    struct gv_node_options options = {.name = argc > 1 ? argv[1] : NULL};
    const char *peer = NULL;
    int rc;

    for (int i = 2; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--listen") == 0)
            options.listen = argv[i + 1];
        if (strcmp(argv[i], "--peer") == 0)
            peer = argv[i + 1];
    }
    if (argc < 2 || argc % 2 != 0) {
        fputs("usage: shared-notes FILE [--listen EP] [--peer EP]\n", stderr);
        return 2;
    }
    options.peers = &peer;
    options.peer_count = peer != NULL;
    program.dials = peer != NULL;
    rc = open_file(&program, argv[1]);
    if (rc == 0)
        rc = start(&program, &options);
    if (rc == 0)
        rc = serve(&program);
    if (rc == 0)
        rc = finish(&program);
    gv_node_free(program.node);
    gv_close(program.db);
    sqlite3_close(program.sql);
    return rc;
}
