/* The lab: several nodes on this machine, to try things out. */
#include "command.h"
#include "fields.h"
#include "lab_files.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LAB_READY_MS 30000
#define LAB_STEP_MS 20
#define LAB_DOWN_MS 10000

extern char **environ;

struct lab_options {
    const char *directory;
    const char *topology;
};

/* The state of one node, as its control socket tells it. */
struct lab_node {
    bool running;
    int64_t rows, journal;
    int links_up;
    char fingerprint[33];
    json_t *vv;
};

static int count_up(const json_t *links)
{
    size_t index;
    json_t *link;
    int up = 0;

    json_array_foreach(links, index, link)
    {
        up += strcmp(field_text(link, "state"), "up") == 0;
    }
    return up;
}

static int64_t count_rows(const json_t *tables)
{
    size_t index;
    json_t *table;
    int64_t rows = 0;

    json_array_foreach(tables, index, table)
    {
        rows += field_number(table, "rows");
    }
    return rows;
}

static void read_node(const char *text, struct lab_node *node)
{
    json_t *status = json_loads(text, 0, NULL);

    node->running = json_is_true(json_object_get(status, "running"));
    node->rows = count_rows(json_object_get(status, "tables"));
    node->journal = field_number(status, "journal");
    node->links_up = count_up(json_object_get(status, "links"));
    snprintf(node->fingerprint, sizeof node->fingerprint, "%s",
             field_text(status, "fingerprint"));
    node->vv = json_incref(json_object_get(status, "vv"));
    json_decref(status);
}

/* Ask node @index; one that does not run is left zero. */
static void ask_node(const struct lab *lab, int index, struct lab_node *node)
{
    char *path = lab_path(lab, index, "db");
    struct gv_db *db = NULL;
    char *text = NULL;

    memset(node, 0, sizeof *node);
    if (gv_open(path, 0, &db, NULL) == GV_OK &&
        gv_status(db, &text, NULL) == GV_OK)
        read_node(text, node);
    gv_free(text);
    gv_close(db);
    free(path);
}

static bool any_running(const struct lab *lab)
{
    bool running = false;

    for (int i = 0; i < lab->nodes && !running; i++) {
        struct lab_node node;

        ask_node(lab, i, &node);
        running = node.running;
        json_decref(node.vv);
    }
    return running;
}

/* ---- up ---- */

struct arguments {
    char *items[2 * LAB_NODES_MAX + 16];
    size_t count;
};

static void add(struct arguments *arguments, char *item)
{
    arguments->items[arguments->count++] = item;
}

static char *endpoint_of(const struct lab *lab, int node)
{
    char *endpoint;

    if (asprintf(&endpoint, "tcp://127.0.0.1:%d", lab->ports[node]) < 0)
        abort();
    return endpoint;
}

/* grapevine run D/i.db --mesh … --peer … */
static void make_arguments(const struct lab *lab, int node,
                           struct arguments *arguments)
{
    char *name;

    if (asprintf(&name, "node%d", node + 1) < 0)
        abort();
    add(arguments, strdup("grapevine"));
    add(arguments, strdup("run"));
    add(arguments, lab_path(lab, node, "db"));
    add(arguments, strdup("--mesh"));
    add(arguments, strdup(lab->mesh));
    add(arguments, strdup("--name"));
    add(arguments, name);
    add(arguments, strdup("--static"));
    add(arguments, strdup("--listen"));
    add(arguments, endpoint_of(lab, node));
    for (int peer = 0; peer < lab->nodes; peer++) {
        if (!lab_dials(lab, node, peer))
            continue;
        add(arguments, strdup("--peer"));
        add(arguments, endpoint_of(lab, peer));
    }
    add(arguments, NULL);
}

/* Start node @node in a session of its own; 0 on failure. */
static pid_t start_node(const struct lab *lab, int node)
{
    struct arguments arguments = {.count = 0};
    char *log = lab_path(lab, node, "log");
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    pid_t pid = 0;

    make_arguments(lab, node, &arguments);
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&files, 1, log,
                                     O_WRONLY | O_CREAT | O_APPEND, 0666);
    posix_spawn_file_actions_adddup2(&files, 1, 2);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);
    if (posix_spawn(&pid, "/proc/self/exe", &files, &attributes,
                    arguments.items, environ) != 0)
        pid = 0;
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&files);
    for (size_t i = 0; i < arguments.count; i++)
        free(arguments.items[i]);
    free(log);
    return pid;
}

static bool node_ready(const struct lab *lab, int index)
{
    struct lab_node node;
    bool ready;

    ask_node(lab, index, &node);
    ready = node.running && node.links_up >= lab_degree(lab, index);
    json_decref(node.vv);
    return ready;
}

static int report_failed(const struct lab *lab, int node, const char *how)
{
    struct gv_error error = {.code = GV_EIO};
    char *log = lab_path(lab, node, "log");

    snprintf(error.what, sizeof error.what, "Node %d of the lab %s.", node + 1,
             how);
    snprintf(error.meaning, sizeof error.meaning,
             "The nodes started so far were stopped again.");
    snprintf(error.remedy, sizeof error.remedy, "Read %s.", log);
    free(log);
    return report_error(&error);
}

/* Wait until every node answers and has its links. */
static int wait_ready(const struct lab *lab, const pid_t *pids)
{
    struct timespec pause = {.tv_nsec = LAB_STEP_MS * 1000 * 1000};
    int waited_ms = 0;

    for (int node = 0; node < lab->nodes;) {
        if (waitpid(pids[node], NULL, WNOHANG) == pids[node])
            return report_failed(lab, node, "ended at once");
        if (node_ready(lab, node)) {
            node++;
        } else if (waited_ms >= LAB_READY_MS) {
            return report_failed(lab, node, "did not come up within 30 s");
        } else {
            nanosleep(&pause, NULL);
            waited_ms += LAB_STEP_MS;
        }
    }
    return EXIT_DONE;
}

static int start_nodes(const struct lab *lab)
{
    pid_t pids[LAB_NODES_MAX] = {0};
    int rc = EXIT_DONE;

    for (int i = 0; i < lab->nodes && rc == EXIT_DONE; i++) {
        pids[i] = start_node(lab, i);
        if (pids[i] == 0)
            rc = report_failed(lab, i, "could not be started");
    }
    if (rc == EXIT_DONE)
        rc = wait_ready(lab, pids);
    for (int i = 0; i < lab->nodes && rc != EXIT_DONE; i++) {
        if (pids[i] != 0 && kill(pids[i], SIGTERM) == 0)
            waitpid(pids[i], NULL, 0);
    }
    return rc;
}

static void print_hints(const struct lab *lab)
{
    const char *d = lab->directory;

    printf("%d node%s of mesh %s, linked as a %s graph:\n", lab->nodes,
           lab->nodes == 1 ? "" : "s", lab->mesh,
           lab_topology_name(lab->topology));
    for (int i = 0; i < lab->nodes; i++)
        printf("  node%-3d %s/%d.db  tcp://127.0.0.1:%d\n", i + 1, d, i + 1,
               lab->ports[i]);
    printf("\nWrite into one file and read another:\n\n"
           "  sqlite3 %s/1.db \"INSERT INTO contacts VALUES('ann', 'Ann', "
           "'555-0100', 'ann@x.org')\"\n"
           "  sqlite3 %s/%d.db 'SELECT * FROM contacts'\n\n",
           d, d, lab->nodes);
    printf("Then:\n\n  grapevine lab status --dir %s\n"
           "  grapevine lab down --dir %s\n",
           d, d);
}

static int refuse_up(const char *what, const char *directory,
                     const char *meaning, const char *remedy)
{
    struct gv_error error = {.code = GV_EEXIST};

    snprintf(error.what, sizeof error.what, "%s %s.", what, directory);
    snprintf(error.meaning, sizeof error.meaning, "%s", meaning);
    snprintf(error.remedy, sizeof error.remedy, "%s", remedy);
    return report_error(&error);
}

/* A lab that is down comes up again with its data, if it is the one that is
 * asked for. */
static int check_old(const struct lab *old, const struct lab *wanted)
{
    char remedy[128];

    if (any_running(old))
        return refuse_up("A lab runs already in", old->directory,
                         "Nothing was started or changed.",
                         "Stop it with grapevine lab down, or choose another "
                         "directory with --dir.");
    if (old->nodes == wanted->nodes && old->topology == wanted->topology)
        return EXIT_DONE;
    snprintf(remedy, sizeof remedy,
             "Start it again with: lab up %d --topology %s; or choose "
             "another directory with --dir.",
             old->nodes, lab_topology_name(old->topology));
    return refuse_up("Another lab is kept in", old->directory,
                     "Its nodes hold data, and have other links.", remedy);
}

static int prepare(struct lab *lab, struct gv_error *error)
{
    int rc = lab_choose_ports(lab, error);

    if (rc == GV_OK)
        rc = lab_save(lab, error);
    if (rc == GV_OK)
        rc = lab_load(lab->directory, lab, error);
    for (int i = 0; i < lab->nodes && rc == GV_OK; i++)
        rc = lab_make_database(lab, i, error);
    return rc;
}

static int lab_up(struct lab *wanted)
{
    struct gv_error error = {0};
    struct lab lab = *wanted;
    int rc = lab_load(wanted->directory, &lab, &error);

    if (rc == GV_OK) {
        rc = check_old(&lab, wanted);
        if (rc != EXIT_DONE)
            return rc;
    } else if (rc == GV_ENOTFOUND) {
        lab = *wanted;
    } else {
        return report_error(&error);
    }
    if (prepare(&lab, &error) != GV_OK)
        return report_error(&error);
    rc = start_nodes(&lab);
    if (rc == EXIT_DONE)
        print_hints(&lab);
    return rc;
}

/* ---- status and down ---- */

static int no_node(const struct lab *lab)
{
    struct gv_error error = {.code = GV_ENONODE};

    snprintf(error.what, sizeof error.what,
             "No node of the lab in %s answers.", lab->directory);
    snprintf(error.meaning, sizeof error.meaning,
             "The lab is down; its data is kept.");
    snprintf(error.remedy, sizeof error.remedy,
             "Start it again with: lab up %d --topology %s --dir %s",
             lab->nodes, lab_topology_name(lab->topology), lab->directory);
    return report_error(&error);
}

static void print_node(const struct lab *lab, int index,
                       const struct lab_node *node)
{
    printf("  node%-3d tcp://127.0.0.1:%d ", index + 1, lab->ports[index]);
    if (node->running)
        printf("%8" PRId64 " row%s  %.12s  %d of %d links  %" PRId64
               " not sealed\n",
               node->rows, node->rows == 1 ? " " : "s", node->fingerprint,
               node->links_up, lab_degree(lab, index), node->journal);
    else
        puts("  does not answer");
}

static bool same_state(const struct lab_node *a, const struct lab_node *b)
{
    return b->running && a->journal == 0 && b->journal == 0 &&
           strcmp(a->fingerprint, b->fingerprint) == 0 &&
           json_equal(a->vv, b->vv);
}

static int lab_status(const struct lab *lab)
{
    struct lab_node nodes[LAB_NODES_MAX];
    bool equal = true;
    int running = 0;

    for (int i = 0; i < lab->nodes; i++) {
        ask_node(lab, i, &nodes[i]);
        running += nodes[i].running;
        equal = equal && nodes[0].running && same_state(&nodes[0], &nodes[i]);
    }
    if (running > 0) {
        printf("lab in %s, mesh %s, %s:\n", lab->directory, lab->mesh,
               lab_topology_name(lab->topology));
        for (int i = 0; i < lab->nodes; i++)
            print_node(lab, i, &nodes[i]);
        puts(equal ? "All nodes are equal." : "The nodes are not equal.");
    }
    for (int i = 0; i < lab->nodes; i++)
        json_decref(nodes[i].vv);
    return running > 0 ? EXIT_DONE : no_node(lab);
}

static int stop_node(const struct lab *lab, int node, struct gv_error *error)
{
    char *path = lab_path(lab, node, "db");
    struct gv_db *db = NULL;
    int rc = gv_open(path, 0, &db, error);

    if (rc == GV_OK)
        rc = gv_shutdown(db, LAB_DOWN_MS, error);
    gv_close(db);
    free(path);
    return rc;
}

static int lab_down(const struct lab *lab)
{
    int stopped = 0;

    for (int i = 0; i < lab->nodes; i++) {
        struct gv_error error = {0};
        int rc = stop_node(lab, i, &error);

        if (rc == GV_OK)
            stopped++;
        else if (rc != GV_ENONODE)
            return report_error(&error);
    }
    if (stopped == 0)
        return no_node(lab);
    printf("%d node%s stopped; the data is kept in %s.\n", stopped,
           stopped == 1 ? "" : "s", lab->directory);
    return EXIT_DONE;
}

/* ---- the command line ---- */

static int take_options(int argc, char **argv, struct lab_options *options)
{
    static const struct option names[] = {
        {"dir", required_argument, NULL, 'd'},
        {"topology", required_argument, NULL, 't'},
        {0},
    };
    int found;

    opterr = 0;
    while ((found = getopt_long(argc, argv, ":", names, NULL)) != -1) {
        if (found == 'd')
            options->directory = optarg;
        else if (found == 't')
            options->topology = optarg;
        else
            return report_option("lab", found, argv);
    }
    return EXIT_DONE;
}

static int up(int argc, char **argv, const struct lab_options *options)
{
    struct lab lab = {.directory = options->directory, .topology = LAB_FULL};
    char *end = NULL;
    long nodes;

    if (argc - optind != 2)
        return report_usage("lab", "lab up takes the number of nodes.");
    nodes = strtol(argv[optind + 1], &end, 10);
    if (*end != '\0' || nodes < 1 || nodes > LAB_NODES_MAX)
        return report_usage("lab", "A lab has from 1 to %d nodes, not %s.",
                            LAB_NODES_MAX, argv[optind + 1]);
    if (options->topology != NULL &&
        !lab_topology_parse(options->topology, &lab.topology))
        return report_usage("lab",
                            "A topology is full, line, ring or star, not "
                            "%s.",
                            options->topology);
    lab.nodes = (int)nodes;
    return lab_up(&lab);
}

static int down_or_status(int argc, char **argv,
                          const struct lab_options *options)
{
    struct gv_error error = {0};
    struct lab lab;
    int rc;

    if (argc - optind != 1)
        return report_usage("lab", "lab %s takes no further argument.",
                            argv[optind]);
    if (options->topology != NULL)
        return report_usage("lab", "--topology belongs to lab up.");
    rc = lab_load(options->directory, &lab, &error);
    if (rc == GV_ENOTFOUND)
        error.code = GV_ENONODE;
    if (rc != GV_OK)
        return report_error(&error);
    return strcmp(argv[optind], "down") == 0 ? lab_down(&lab)
                                             : lab_status(&lab);
}

int command_lab(int argc, char **argv)
{
    struct lab_options options = {.directory = "grapevine-lab"};
    int rc = take_options(argc, argv, &options);

    if (rc != EXIT_DONE)
        return rc;
    if (optind == argc)
        return report_usage("lab", "lab takes up, status or down.");
    if (strcmp(argv[optind], "up") == 0)
        return up(argc, argv, &options);
    if (strcmp(argv[optind], "down") == 0 ||
        strcmp(argv[optind], "status") == 0)
        return down_or_status(argc, argv, &options);
    return report_usage("lab", "lab takes up, status or down, not %s.",
                        argv[optind]);
}
