/* Meshes of nodes that speak differently, and who is told why not. */
#include "check.h"
#include "core/dialect.h"
#include "mesh.h"

#define NODES 6

static struct agreed agree(struct dialect a, struct dialect b)
{
    struct agreed agreed = {0}, other = {0};
    bool both = dialect_agree(&a, &b, &agreed);

    CHECK(dialect_agree(&b, &a, &other) == both);
    CHECK(agreed.version == other.version);
    CHECK(agreed.features == other.features);
    return agreed;
}

TEST(the_highest_version_and_the_common_features_are_agreed)
{
    struct agreed agreed = agree((struct dialect){2, 5, 0xff},
                                 (struct dialect){3, 4, UINT64_MAX << 4});

    CHECK_INT(agreed.version, ==, 4);
    CHECK_INT(agreed.features, ==, 0xf0);
    agreed = agree((struct dialect){1, 2, 1}, (struct dialect){2, 9, 2});
    CHECK_INT(agreed.version, ==, 2);
    CHECK_INT(agreed.features, ==, 0);
    CHECK_INT(
        agree((struct dialect){1, 2, 1}, (struct dialect){3, 9, 1}).version,
        ==, 0);
}

TEST(the_reason_names_both_and_who_is_to_be_upgraded)
{
    struct dialect old = {1, 2, 0}, new = {3, 3, 0};
    char text[200];

    dialect_reason(&old, &new, text, sizeof(text));
    CHECK_TEXT(text, "it speaks protocol version 3, this node versions 1 to "
                     "2: this node is to be upgraded");
    dialect_reason(&new, &old, text, sizeof(text));
    CHECK_TEXT(text, "it speaks protocol versions 1 to 2, this node version "
                     "3: it is to be upgraded");
}

TEST(each_feature_has_a_name_of_its_own)
{
    for (uint64_t bit = 1; bit != 0; bit <<= 1) {
        const char *name = dialect_feature_name(bit);

        CHECK((name[0] != '\0') == ((FEATURES_ALL & bit) != 0));
        for (uint64_t less = 1; less < bit && name[0] != '\0'; less <<= 1)
            CHECK(strcmp(name, dialect_feature_name(less)) != 0);
    }
}

static void speak(struct mesh *mesh, size_t node, struct dialect dialect)
{
    mesh_kill(mesh, node);
    mesh->nodes[node].dialect = dialect;
    mesh_start(mesh, node);
}

static uint64_t prunes(const struct mesh *mesh)
{
    return mesh->sent[MESSAGE_PRUNE];
}

/* Each release in turn is rolled out over a mesh that writes. */
static void roll_out(struct mesh *mesh, const struct dialect *dialects,
                     size_t count)
{
    for (size_t i = 0; i < count; i++) {
        for (size_t node = 0; node < NODES; node++) {
            speak(mesh, node, dialects[i]);
            for (size_t other = 0; other < NODES; other++) {
                if (other != node)
                    mesh_dial(mesh, node, other);
            }
            for (size_t writer = 0; writer < NODES; writer++)
                mesh_commit(mesh, writer);
            mesh_run(mesh, 1500);
        }
    }
    CHECK(mesh_settle(mesh, 60000));
    CHECK(mesh_equal(mesh));
}

TEST(a_mesh_is_upgraded_node_by_node_and_back)
{
    struct dialect releases[] = {
        {PROTOCOL_VERSION_MIN, PROTOCOL_VERSION_MIN, 0},
        {PROTOCOL_VERSION_MIN, PROTOCOL_VERSION_MAX, FEATURES_ALL},
        {PROTOCOL_VERSION_MIN, PROTOCOL_VERSION_MAX + 3, UINT64_MAX},
        {PROTOCOL_VERSION_MIN, PROTOCOL_VERSION_MAX, FEATURE_RESUME}};
    struct mesh *mesh = mesh_new(7, NODES);

    roll_out(mesh, releases, 4);
    CHECK(prunes(mesh) > 0);
    mesh_free(mesh);
}

TEST(without_the_feature_nobody_is_told_of_trees)
{
    struct dialect plain = {PROTOCOL_VERSION_MIN, PROTOCOL_VERSION_MAX, 0};
    struct mesh *mesh = mesh_new(7, NODES);

    roll_out(mesh, &plain, 1);
    CHECK_INT(prunes(mesh), ==, 0);
    mesh_free(mesh);
}

TEST(meshes_of_any_features_converge)
{
    for (uint64_t seed = 1; seed <= 30; seed++) {
        struct mesh *mesh = mesh_new(seed, NODES);

        mesh->drop = seed % 3 == 0 ? 50 : 0;
        mesh->delay_max = 1 + (gv_time_ms)(seed % 40);
        for (size_t node = 0; node < NODES; node++)
            speak(mesh, node,
                  (struct dialect){PROTOCOL_VERSION_MIN, PROTOCOL_VERSION_MAX,
                                   random_u64(&mesh->random)});
        if (seed % 2 == 0)
            mesh_line(mesh);
        else
            mesh_full(mesh);
        for (size_t i = 0; i < 40; i++) {
            mesh_commit(mesh, i % NODES);
            mesh_run(mesh, 100);
        }
        mesh->drop = 0;
        CHECK(mesh_settle(mesh, 60000));
        mesh_free(mesh);
    }
}

int main(int argc, char **argv)
{
    return check_main(argc, argv);
}
