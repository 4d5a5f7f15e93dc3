#include "node/config.h"

#include "base/error.h"
#include "base/utf8.h"
#include "core/core.h"
#include "net/interfaces.h"
#include "net/net.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int config_check_endpoint(const char *where, const char *endpoint,
                          bool listening, bool insecure,
                          struct gv_error *error)
{
    bool off_loopback = false;
    struct gv_error inner = {0};
    int rc = net_check_endpoint(endpoint, listening, &off_loopback, &inner);

    if (rc != GV_OK) {
        error_set(error, rc, "%s: %s", where, inner.what);
        error_meaning(error, "%s", inner.meaning);
        error_remedy(error, "%s", inner.remedy);
        return rc;
    }
    if (!off_loopback || insecure)
        return GV_OK;
    error_set(error, GV_EINVAL, "%s: %s lies outside this machine.", where,
              endpoint);
    error_meaning(error,
                  "Nothing encrypts the links yet: whoever can reach the "
                  "port could read and change the data.");
    error_remedy(error, "Use 127.0.0.1, or add --insecure where you trust "
                        "everyone on the network.");
    return GV_EINVAL;
}

static int out_of_memory(struct gv_error *error)
{
    return error_set(error, GV_ENOMEM, "There is no memory left.");
}

static int add_peer(struct config *config, const char *where,
                    const char *endpoint, struct gv_error *error)
{
    char **peers;
    int rc =
        config_check_endpoint(where, endpoint, false, config->insecure, error);

    if (rc != GV_OK)
        return rc;
    if (config->peer_count == CORE_PEERS_MAX) {
        error_set(error, GV_EINVAL, "%s: more than %d peers were named.",
                  where, CORE_PEERS_MAX);
        error_meaning(error, "A node keeps at most %d links that it dials.",
                      CORE_PEERS_MAX);
        error_remedy(error, "Name fewer: news finds its way over any graph "
                            "that hangs together.");
        return GV_EINVAL;
    }
    peers = reallocarray(config->peers, config->peer_count + 1, sizeof *peers);
    if (peers == NULL)
        return out_of_memory(error);
    config->peers = peers;
    peers[config->peer_count] = strdup(endpoint);
    if (peers[config->peer_count] == NULL)
        return out_of_memory(error);
    config->peer_count++;
    return GV_OK;
}

/* Cut comment and blanks off @line; what is left. */
static char *trim(char *line)
{
    char *end;

    line[strcspn(line, "#\r\n")] = '\0';
    while (isspace((unsigned char)*line))
        line++;
    end = line + strlen(line);
    while (end > line && isspace((unsigned char)end[-1]))
        end--;
    *end = '\0';
    return line;
}

static int read_peers(struct config *config, const char *path, FILE *file,
                      struct gv_error *error)
{
    char *line = NULL;
    size_t room = 0;
    int rc = GV_OK;

    for (unsigned number = 1; rc == GV_OK && getline(&line, &room, file) >= 0;
         number++) {
        char where[300];
        const char *endpoint = trim(line);

        snprintf(where, sizeof where, "%.200s, line %u", path, number);
        if (*endpoint != '\0')
            rc = add_peer(config, where, endpoint, error);
    }
    if (rc == GV_OK && ferror(file))
        rc = error_set(error, GV_EIO, "The peers file %s cannot be read.",
                       path);
    free(line);
    return rc;
}

static int add_peers_file(struct config *config, const char *path,
                          struct gv_error *error)
{
    FILE *file = fopen(path, "re");
    int rc;

    if (file == NULL) {
        rc = errno == ENOENT ? GV_ENOTFOUND : GV_EIO;
        error_set(error, rc, "The peers file %s cannot be read: %s.", path,
                  strerror(errno));
        error_meaning(error,
                      "It should name one endpoint a line; what follows a # "
                      "is a comment.");
        error_remedy(error, "Check the path given with --peers.");
        return rc;
    }
    rc = read_peers(config, path, file, error);
    fclose(file);
    return rc;
}

static char *host_name(void)
{
    char name[65] = "";

    if (gethostname(name, sizeof name - 1) != 0 || name[0] == '\0')
        return strdup("node");
    return strdup(name);
}

static int check_text(const char *option, const char *text,
                      struct gv_error *error)
{
    size_t size = text != NULL ? strlen(text) : 1;
    bool fits = size >= 1 && size <= MESSAGE_TEXT_SIZE_MAX;

    if (fits && (text == NULL || utf8_printable(text, size)))
        return GV_OK;
    if (!fits) {
        error_set(error, GV_EINVAL, "%s has %zu bytes.", option, size);
        error_meaning(error, "It may have from 1 to %d.",
                      MESSAGE_TEXT_SIZE_MAX);
    } else {
        error_set(error, GV_EINVAL, "%s is no text that can be shown.",
                  option);
        error_meaning(error, "Peers would refuse what is not UTF-8, or has"
                             " control characters.");
    }
    error_remedy(error, "Choose another one.");
    return GV_EINVAL;
}

static int check_discover(const struct gv_node_options *options,
                          struct gv_error *error)
{
    if (!options->discover || !options->static_peers)
        return GV_OK;
    error_set(error, GV_EINVAL, "--discover does not go with --static.");
    error_meaning(error, "The one looks for peers on the LAN, the other keeps"
                         " the node to those it was given.");
    error_remedy(error, "Leave one of them out.");
    return GV_EINVAL;
}

static int check(const struct gv_node_options *options, struct gv_error *error)
{
    int rc = check_text("--mesh", options->mesh, error);

    if (rc == GV_OK)
        rc = check_discover(options, error);
    if (rc == GV_OK)
        rc = check_text("--name", options->name, error);
    if (rc == GV_OK && options->listen != NULL)
        rc = config_check_endpoint("--listen", options->listen, true,
                                   options->insecure, error);
    if (rc == GV_OK && options->advertise != NULL)
        rc = config_check_endpoint("--advertise", options->advertise, false,
                                   options->insecure, error);
    return rc;
}

/* False when out of memory. */
static bool copy(char **to, const char *from)
{
    *to = from != NULL ? strdup(from) : NULL;
    return from == NULL || *to != NULL;
}

/* Who shall be found must listen: where peers may come from, on any port. */
static const char *listening(const struct gv_node_options *options)
{
    if (options->listen != NULL || !options->discover)
        return options->listen;
    if (!options->insecure)
        return "tcp://127.0.0.1:*";
    return interfaces_have_ipv6() ? "tcp://[::]:*" : "tcp://*:*";
}

static int fill(struct config *config, const struct gv_node_options *options,
                struct gv_error *error)
{
    int rc = GV_OK;

    config->static_peers = options->static_peers;
    config->insecure = options->insecure;
    config->discover = options->discover;
    config->create_tables = options->create_tables;
    config->row = options->row;
    config->link = options->link;
    config->event_context = options->event_context;
    if (!copy(&config->mesh, options->mesh) ||
        !copy(&config->listen, listening(options)) ||
        !copy(&config->advertise, options->advertise))
        return out_of_memory(error);
    config->name = options->name != NULL ? strdup(options->name) : host_name();
    if (config->name == NULL)
        return out_of_memory(error);
    for (size_t i = 0; rc == GV_OK && i < options->peer_count; i++)
        rc = add_peer(config, "--peer", options->peers[i], error);
    if (rc == GV_OK && options->peers_file != NULL)
        rc = add_peers_file(config, options->peers_file, error);
    return rc;
}

int config_init(struct config *config, const struct gv_node_options *options,
                struct gv_error *error)
{
    int rc = check(options, error);

    *config = (struct config){0};
    if (rc == GV_OK)
        rc = fill(config, options, error);
    if (rc != GV_OK)
        config_close(config);
    return rc;
}

void config_close(struct config *config)
{
    for (size_t i = 0; i < config->peer_count; i++)
        free(config->peers[i]);
    free(config->peers);
    free(config->mesh);
    free(config->name);
    free(config->listen);
    free(config->advertise);
    *config = (struct config){0};
}
