#include "check.h"

#include "core/core.h"
#include "node/config.h"

#include <unistd.h>

static char path[] = "/tmp/grapevine-peers-XXXXXX";

static void write_peers(const char *text)
{
    FILE *file = fopen(path, "w");

    CHECK(file != NULL);
    CHECK(fputs(text, file) >= 0);
    CHECK_INT(fclose(file), ==, 0);
}

TEST(a_peers_file_has_one_endpoint_a_line_and_comments)
{
    struct gv_node_options options = {.peers_file = path, .name = "n"};
    struct gv_error error;
    struct config config;

    write_peers("# all of them\n\n  tcp://127.0.0.1:20001  # the first\r\n"
                "tcp://127.0.0.1:20002");
    CHECK_INT(config_init(&config, &options, &error), ==, GV_OK);
    CHECK_INT(config.peer_count, ==, 2);
    CHECK_TEXT(config.peers[0], "tcp://127.0.0.1:20001");
    CHECK_TEXT(config.peers[1], "tcp://127.0.0.1:20002");
    config_close(&config);
}

TEST(a_bad_line_of_a_peers_file_is_named)
{
    struct gv_node_options options = {.peers_file = path};
    struct gv_error error = {0};
    struct config config;
    char where[100];

    write_peers("# one\ntcp://127.0.0.1:20001\nudp://x\n");
    CHECK_INT(config_init(&config, &options, &error), ==, GV_EINVAL);
    snprintf(where, sizeof where, "%s, line 3: ", path);
    CHECK(strncmp(error.what, where, strlen(where)) == 0);
    CHECK(error.remedy[0] != '\0');
}

TEST(off_loopback_is_refused_unless_insecure)
{
    static const char *const peer[] = {"tcp://192.0.2.1:7401"};
    struct gv_node_options listening = {.listen = "tcp://0.0.0.0:7401"};
    struct gv_node_options dialling = {.peers = peer, .peer_count = 1};
    struct gv_error error = {0};
    struct config config;

    CHECK_INT(config_init(&config, &listening, &error), ==, GV_EINVAL);
    CHECK(strstr(error.remedy, "--insecure") != NULL);
    CHECK_INT(config_init(&config, &dialling, &error), ==, GV_EINVAL);
    listening.insecure = true;
    CHECK_INT(config_init(&config, &listening, &error), ==, GV_OK);
    config_close(&config);
    dialling.insecure = true;
    CHECK_INT(config_init(&config, &dialling, &error), ==, GV_OK);
    config_close(&config);
}

TEST(the_name_defaults_to_the_host_and_has_a_bound)
{
    char name[MESSAGE_TEXT_SIZE_MAX + 2];
    struct gv_node_options options = {.name = name};
    struct config config;

    memset(name, 'x', sizeof name);
    name[MESSAGE_TEXT_SIZE_MAX + 1] = '\0';
    CHECK_INT(config_init(&config, &options, NULL), ==, GV_EINVAL);
    options.name = NULL;
    CHECK_INT(config_init(&config, &options, NULL), ==, GV_OK);
    CHECK(config.name[0] != '\0');
    config_close(&config);
}

TEST(names_that_peers_would_refuse_are_refused_here)
{
    static const char *const bad[] = {"caf\xe9", "two\nlines", "\x1b[2J"};
    struct gv_node_options options = {.name = "caf\xc3\xa9"};
    struct config config;

    CHECK_INT(config_init(&config, &options, NULL), ==, GV_OK);
    config_close(&config);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        options = (struct gv_node_options){.name = bad[i]};
        CHECK_INT(config_init(&config, &options, NULL), ==, GV_EINVAL);
        options = (struct gv_node_options){.mesh = bad[i]};
        CHECK_INT(config_init(&config, &options, NULL), ==, GV_EINVAL);
    }
}

TEST(more_peers_than_links_are_refused)
{
    const char *peers[CORE_PEERS_MAX + 1];
    struct gv_node_options options = {.peers = peers,
                                      .peer_count = CORE_PEERS_MAX + 1};
    struct config config;

    for (size_t i = 0; i <= CORE_PEERS_MAX; i++)
        peers[i] = "tcp://127.0.0.1:20001";
    CHECK_INT(config_init(&config, &options, NULL), ==, GV_EINVAL);
}

int main(int argc, char **argv)
{
    int fd = mkstemp(path);
    int rc;

    CHECK_INT(fd, >=, 0);
    close(fd);
    rc = check_main(argc, argv);
    unlink(path);
    return rc;
}
