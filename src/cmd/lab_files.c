#include "lab_files.h"

#include "fields.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* Below the range from which the system takes ports for outgoing
 * connections, where a connection could meet itself. */
#define LAB_PORT_FIRST 20000
#define LAB_PORT_LAST 29999

static const char *const topology_names[] = {"full", "line", "ring", "star"};

const char *lab_topology_name(enum lab_topology topology)
{
    return topology_names[topology];
}

bool lab_topology_parse(const char *name, enum lab_topology *topology)
{
    for (int i = LAB_FULL; i <= LAB_STAR; i++) {
        if (strcmp(name, topology_names[i]) == 0) {
            *topology = (enum lab_topology)i;
            return true;
        }
    }
    return false;
}

bool lab_dials(const struct lab *lab, int from, int to)
{
    switch (lab->topology) {
    case LAB_FULL:
        return to < from;
    case LAB_LINE:
        return to == from - 1;
    case LAB_RING:
        return to == from - 1 ||
               (lab->nodes > 2 && from == 0 && to == lab->nodes - 1);
    case LAB_STAR:
        return to == 0 && from > 0;
    }
    return false;
}

int lab_degree(const struct lab *lab, int node)
{
    int degree = 0;

    for (int other = 0; other < lab->nodes; other++)
        degree += lab_dials(lab, node, other) || lab_dials(lab, other, node);
    return degree;
}

static int fail(struct gv_error *error, int code, const char *what,
                const char *meaning, const char *remedy)
{
    memset(error, 0, sizeof *error);
    error->code = code;
    snprintf(error->what, sizeof error->what, "%s", what);
    snprintf(error->meaning, sizeof error->meaning, "%s", meaning);
    snprintf(error->remedy, sizeof error->remedy, "%s", remedy);
    return code;
}

/* As fail(), where @path is what it is about and @why what the system
 * says. */
static int fail_path(struct gv_error *error, int code, const char *path,
                     const char *why)
{
    char what[400];

    snprintf(what, sizeof what, "%s cannot be made: %s.", path, why);
    return fail(error, code, what,
                "The lab keeps all it has in one directory.",
                "Name a directory that may be written with --dir.");
}

char *lab_path(const struct lab *lab, int node, const char *ending)
{
    char *path;

    if (asprintf(&path, "%s/%d.%s", lab->directory, node + 1, ending) < 0)
        abort();
    return path;
}

static char *settings_path(const char *directory)
{
    char *path;

    if (asprintf(&path, "%s/lab.json", directory) < 0)
        abort();
    return path;
}

/* False: @json is no lab's. */
static bool read_settings(const json_t *json, struct lab *lab)
{
    const char *topology = field_text(json, "topology");
    const char *mesh = field_text(json, "mesh");
    const json_t *ports = json_object_get(json, "ports");

    lab->nodes = (int)json_array_size(ports);
    if (lab->nodes < 1 || lab->nodes > LAB_NODES_MAX || mesh[0] == '\0' ||
        !lab_topology_parse(topology, &lab->topology))
        return false;
    snprintf(lab->mesh, sizeof lab->mesh, "%s", mesh);
    for (int i = 0; i < lab->nodes; i++)
        lab->ports[i] =
            (int)json_integer_value(json_array_get(ports, (size_t)i));
    return true;
}

int lab_load(const char *directory, struct lab *lab, struct gv_error *error)
{
    char *path = settings_path(directory);
    bool there = access(path, F_OK) == 0;
    json_t *json = json_load_file(path, 0, NULL);
    char what[400];
    int rc = GV_OK;

    *lab = (struct lab){.directory = directory};
    if (!there) {
        snprintf(what, sizeof what, "There is no lab in %s.", directory);
        rc = fail(error, GV_ENOTFOUND, what, "None was started there.",
                  "Start one with: grapevine lab up 3");
    } else if (json == NULL || !read_settings(json, lab)) {
        snprintf(what, sizeof what, "%s is not a lab's settings.", path);
        rc = fail(error, GV_EINVAL, what, "It may have been edited.",
                  "Choose another directory with --dir, or delete this one.");
    }
    json_decref(json);
    free(path);
    return rc;
}

/* A name of its own, so that a lab never links with another one that came
 * by its ports. */
static void name_mesh(struct lab *lab)
{
    unsigned number = 0;

    if (getrandom(&number, sizeof number, 0) != sizeof number)
        number = (unsigned)getpid();
    snprintf(lab->mesh, sizeof lab->mesh, "lab-%06x", number & 0xffffff);
}

int lab_save(const struct lab *lab, struct gv_error *error)
{
    struct lab named = *lab;
    char *path = settings_path(lab->directory);
    json_t *ports = json_array();
    json_t *json;
    int rc = GV_OK;

    for (int i = 0; i < lab->nodes; i++)
        json_array_append_new(ports, json_integer(lab->ports[i]));
    if (named.mesh[0] == '\0')
        name_mesh(&named);
    json = json_pack("{s:s, s:s, s:o}", "mesh", named.mesh, "topology",
                     lab_topology_name(lab->topology), "ports", ports);
    if ((mkdir(lab->directory, 0777) != 0 && errno != EEXIST) ||
        json_dump_file(json, path, JSON_INDENT(2)) != 0) {
        rc = fail_path(error, GV_EIO, path, strerror(errno));
    }
    json_decref(json);
    free(path);
    return rc;
}

static bool port_free(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int yes = 1;
    bool is_free;

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    is_free = bind(fd, (struct sockaddr *)&address, sizeof address) == 0 &&
              listen(fd, 1) == 0;
    if (fd >= 0)
        close(fd);
    return is_free;
}

static bool port_taken(const struct lab *lab, int port)
{
    for (int i = 0; i < lab->nodes; i++) {
        if (lab->ports[i] == port)
            return true;
    }
    return false;
}

int lab_choose_ports(struct lab *lab, struct gv_error *error)
{
    int port = LAB_PORT_FIRST;

    for (int i = 0; i < lab->nodes; i++) {
        if (lab->ports[i] != 0 && port_free(lab->ports[i]))
            continue;
        while (port <= LAB_PORT_LAST &&
               (port_taken(lab, port) || !port_free(port)))
            port++;
        if (port > LAB_PORT_LAST)
            return fail(error, GV_EADDRESS,
                        "There is no free port on 127.0.0.1 from 20000 up.",
                        "Each node of the lab listens on one.",
                        "Stop what listens on them: see 'ss -ltnp'.");
        lab->ports[i] = port;
    }
    return GV_OK;
}

static int make_table(const char *path, struct gv_error *error)
{
    sqlite3 *db = NULL;
    int rc = sqlite3_open(path, &db);

    if (rc == SQLITE_OK)
        rc = sqlite3_exec(db,
                          "CREATE TABLE IF NOT EXISTS contacts(id TEXT "
                          "PRIMARY KEY, name TEXT, phone TEXT, email TEXT)",
                          NULL, NULL, NULL);
    if (rc != SQLITE_OK)
        fail_path(error, GV_EIO, path, sqlite3_errmsg(db));
    sqlite3_close(db);
    return rc == SQLITE_OK ? GV_OK : GV_EIO;
}

int lab_make_database(const struct lab *lab, int node, struct gv_error *error)
{
    char *path = lab_path(lab, node, "db");
    struct gv_db *db = NULL;
    int rc = make_table(path, error);

    if (rc == GV_OK)
        rc = gv_open(path, 0, &db, error);
    if (rc == GV_OK)
        rc = gv_track(db, "contacts", NULL, error);
    gv_close(db);
    free(path);
    return rc;
}
