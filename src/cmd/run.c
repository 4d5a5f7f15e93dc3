#include "command.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum {
    OPTION_LISTEN = 1,
    OPTION_PEER,
    OPTION_PEERS,
    OPTION_STATIC,
    OPTION_ADVERTISE,
    OPTION_MESH,
    OPTION_NAME,
    OPTION_INSECURE,
    OPTION_CREATE,
    OPTION_DISCOVER
};

struct run_options {
    struct gv_node_options node;
    const char **peers; /* room for one an argument */
    unsigned open_flags;
};

static struct gv_node *running;

static void stop_running(int signal)
{
    (void)signal;
    gv_node_stop(running);
}

static void log_to_stderr(void *context, enum gv_log_level level,
                          const char *line)
{
    static const char *const names[] = {"error", "warning", "info", "debug"};
    struct timeval now;
    struct tm local;

    (void)context;
    if (level == GV_LOG_DEBUG)
        return;
    gettimeofday(&now, NULL);
    localtime_r(&now.tv_sec, &local);
    fprintf(stderr, "%02d:%02d:%02d.%03d %s %s\n", local.tm_hour, local.tm_min,
            local.tm_sec, (int)(now.tv_usec / 1000), names[level], line);
}

static void take_option(struct run_options *options, int found)
{
    switch (found) {
    case OPTION_LISTEN:
        options->node.listen = optarg;
        break;
    case OPTION_PEER:
        options->peers[options->node.peer_count++] = optarg;
        break;
    case OPTION_PEERS:
        options->node.peers_file = optarg;
        break;
    case OPTION_STATIC:
        options->node.static_peers = true;
        break;
    case OPTION_ADVERTISE:
        options->node.advertise = optarg;
        break;
    case OPTION_MESH:
        options->node.mesh = optarg;
        break;
    case OPTION_NAME:
        options->node.name = optarg;
        break;
    case OPTION_INSECURE:
        options->node.insecure = true;
        break;
    case OPTION_DISCOVER:
        options->node.discover = true;
        break;
    case OPTION_CREATE:
        options->open_flags = GV_OPEN_CREATE;
        options->node.create_tables = true;
        break;
    default:
        break;
    }
}

static int take_options(int argc, char **argv, struct run_options *options)
{
    static const struct option names[] = {
        {"listen", required_argument, NULL, OPTION_LISTEN},
        {"peer", required_argument, NULL, OPTION_PEER},
        {"peers", required_argument, NULL, OPTION_PEERS},
        {"static", no_argument, NULL, OPTION_STATIC},
        {"advertise", required_argument, NULL, OPTION_ADVERTISE},
        {"mesh", required_argument, NULL, OPTION_MESH},
        {"name", required_argument, NULL, OPTION_NAME},
        {"discover", no_argument, NULL, OPTION_DISCOVER},
        {"insecure", no_argument, NULL, OPTION_INSECURE},
        {"create", no_argument, NULL, OPTION_CREATE},
        {0},
    };
    int found;

    opterr = 0;
    while ((found = getopt_long(argc, argv, ":", names, NULL)) != -1) {
        if (found == '?' || found == ':')
            return report_option("run", found, argv);
        take_option(options, found);
    }
    options->node.peers = options->peers;
    options->node.log = log_to_stderr;
    return EXIT_DONE;
}

/* SIG_BLOCK or SIG_UNBLOCK the signals that stop a node. */
static void mask_signals(int how)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigprocmask(how, &set, NULL);
}

static void catch_signals(void)
{
    struct sigaction action = {.sa_handler = stop_running};

    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    /* A reader of the log that went away must not end the node. */
    action.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &action, NULL);
}

/* Run on @db; @made names the file if it was made just now. */
static int run(struct gv_db *db, const struct run_options *options,
               const char *made)
{
    struct gv_error error = {0};
    int rc;

    /* The node is ready before it runs: a signal in between must wait. */
    mask_signals(SIG_BLOCK);
    rc = gv_node_new(db, &options->node, &running, &error);
    if (rc != GV_OK) {
        mask_signals(SIG_UNBLOCK);
        /* The file names no mesh, and nor do the options. */
        if (rc == GV_EMESH && options->node.mesh == NULL)
            error.code = GV_EINVAL;
        return report_options(&error);
    }
    if (made != NULL)
        fprintf(stderr,
                "grapevine: made the empty database %s; the tables of the "
                "mesh appear in it as peers send them; a table of your own is "
                "shared with: grapevine track %s TABLE\n",
                made, made);
    catch_signals();
    mask_signals(SIG_UNBLOCK);
    rc = gv_node_run(running, &error);
    /* No handler may meet a node that is gone. */
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    gv_node_free(running);
    return rc == GV_OK ? EXIT_DONE : report_error(&error);
}

/* A wrong command line leaves no file behind. */
static void remove_if_empty(const char *path)
{
    struct stat status;

    if (stat(path, &status) == 0 && status.st_size == 0)
        unlink(path);
}

static int open_and_run(int argc, char **argv,
                        const struct run_options *options)
{
    const char *path = optind < argc ? argv[optind] : NULL;
    bool fresh = path != NULL && access(path, F_OK) != 0;
    int rc = EXIT_DONE;
    struct gv_db *db =
        open_argument("run", argc, argv, options->open_flags, &rc);

    if (db == NULL)
        return rc;
    rc = run(db, options, fresh ? path : NULL);
    gv_close(db);
    if (rc != EXIT_DONE && fresh)
        remove_if_empty(path);
    return rc;
}

int command_run(int argc, char **argv)
{
    struct run_options options = {0};
    int rc;

    options.peers = calloc((size_t)argc, sizeof *options.peers);
    if (options.peers == NULL)
        return EXIT_FAILED;
    rc = take_options(argc, argv, &options);
    if (rc == EXIT_DONE)
        rc = open_and_run(argc, argv, &options);
    free(options.peers);
    return rc;
}
