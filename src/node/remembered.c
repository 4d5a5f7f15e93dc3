/* A line a peer: endpoint, site in hex, seconds since 1970 when it was last
 * linked.  Lines that do not read so are skipped: the file only helps. */
#include "node/remembered.h"

#include "node/loop.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A mesh that is being started changes often for a moment; and a file that
 * says when peers were last there is worth a write a day. */
#define REMEMBERED_PAUSE_MS 2000
#define REMEMBERED_EVERY_MS (24 * 3600 * 1000)

_Static_assert(REMEMBERED_EVERY_MS < CORE_PEER_AGE_MAX_MS,
               "what is there is written again before it is too old");

static char *path_of(const struct gv_node *node, const char *name)
{
    char *path;

    return asprintf(&path, "%s-gv/%s", node->path, name) < 0 ? NULL : path;
}

static bool read_site(const char *hex, struct site *site)
{
    if (strlen(hex) != 2 * sizeof site->bytes)
        return false;
    for (size_t i = 0; i < sizeof site->bytes; i++) {
        unsigned byte;

        if (sscanf(hex + 2 * i, "%2x", &byte) != 1)
            return false;
        site->bytes[i] = (uint8_t)byte;
    }
    return true;
}

static void load_line(struct gv_node *node, const char *line, gv_time_ms wall)
{
    char endpoint[MESSAGE_TEXT_SIZE_MAX + 1], hex[33];
    struct site site;
    int64_t heard;
    gv_time_ms age;

    if (sscanf(line, "%255s %32s %" SCNd64, endpoint, hex, &heard) != 3 ||
        !read_site(hex, &site) || heard < 0 || heard > wall / 1000 * 2)
        return;
    /* A clock that was ahead when the file was written makes nobody old. */
    age = heard * 1000 < wall ? wall - heard * 1000 : 0;
    if (net_check_endpoint(endpoint, false, &(bool){false}, NULL) == GV_OK)
        (void)core_know_peer(node->core, endpoint, &site, age);
}

void remembered_load(struct gv_node *node)
{
    char *path = path_of(node, "peers"), *line = NULL;
    FILE *file =
        path != NULL && !node->config.static_peers ? fopen(path, "re") : NULL;
    gv_time_ms wall = node->host->wall(node->host->context);
    size_t room = 0;

    for (size_t i = 0;
         file != NULL && i < CORE_KNOWN_MAX && getline(&line, &room, file) > 0;
         i++)
        load_line(node, line, wall);
    node->remembered.changes = core_known_changes(node->core);
    node->remembered.saved_at = loop_now();
    if (file != NULL)
        fclose(file);
    free(line);
    free(path);
}

static void write_lines(const struct gv_node *node, FILE *file)
{
    gv_time_ms wall = node->host->wall(node->host->context);
    struct known_peer peer;

    for (size_t i = 0; core_known_peer(node->core, i, loop_now(), &peer);
         i++) {
        char hex[33];

        if (!peer.heard || strpbrk(peer.endpoint, " \t") != NULL)
            continue;
        site_format(&peer.site, hex);
        fprintf(file, "%s %s %" PRId64 "\n", peer.endpoint, hex,
                (wall - peer.age) / 1000);
    }
}

/* Whole or not at all: a new file takes the place of the old one. */
static bool replace(const struct gv_node *node, const char *path,
                    const char *fresh)
{
    FILE *file = fopen(fresh, "we");
    bool written;

    if (file == NULL)
        return false;
    write_lines(node, file);
    written = fflush(file) == 0 && fsync(fileno(file)) == 0;
    written &= fclose(file) == 0;
    written = written && rename(fresh, path) == 0;
    if (!written)
        unlink(fresh); /* after a rename there is none */
    return written;
}

void remembered_save(struct gv_node *node)
{
    char *path = path_of(node, "peers"), *fresh = path_of(node, "peers.new");

    if (node->core != NULL && !node->config.static_peers && path != NULL &&
        fresh != NULL && !replace(node, path, fresh))
        log_line(&node->log, GV_LOG_WARNING,
                 "the peers that were found cannot be written to %s: %s", path,
                 strerror(errno));
    if (node->core != NULL)
        node->remembered.changes = core_known_changes(node->core);
    node->remembered.saved_at = loop_now();
    free(path);
    free(fresh);
}

void remembered_turn(struct gv_node *node)
{
    gv_time_ms age = loop_now() - node->remembered.saved_at;
    bool changed = core_known_changes(node->core) != node->remembered.changes;

    if ((changed && age >= REMEMBERED_PAUSE_MS) || age >= REMEMBERED_EVERY_MS)
        remembered_save(node);
}
