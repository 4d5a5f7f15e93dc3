/* Random meshes under random faults: whatever happened, after healing all
 * nodes hold the same.  The mesh checks the invariants after each step. */
#include "check.h"
#include "mesh.h"

#include <signal.h>

#define SEEDS 1000

/* A failure ends the program by exit() here, by abort() in the mesh; then
 * people need the seed. */
static uint64_t seed_running;

static void print_seed(void)
{
    if (seed_running != 0)
        fprintf(stderr, "seed %" PRIu64 "\n", seed_running);
}

static void link_at_random(struct mesh *mesh)
{
    switch (random_below(&mesh->random, 3)) {
    case 0:
        mesh_full(mesh);
        return;
    case 1:
        mesh_line(mesh);
        return;
    default:
        for (size_t i = 1; i < mesh->node_count; i++)
            mesh_dial(mesh, i, random_below(&mesh->random, i));
    }
}

/* The links that a node dials at its start, as in link_at_random(). */
static void start_again(struct mesh *mesh, size_t node)
{
    mesh_start(mesh, node);
    for (size_t i = 0; i < mesh->node_count; i++) {
        if (i != node)
            mesh_dial(mesh, node, i);
    }
}

static void trouble(struct mesh *mesh)
{
    size_t count = mesh->node_count;
    size_t size = random_below(&mesh->random, 10) == 0 ? 60000 : 5000;
    size_t a = random_below(&mesh->random, count);
    size_t b = (a + 1 + random_below(&mesh->random, count - 1)) % count;

    switch (random_below(&mesh->random, 12)) {
    case 0:
        mesh_cut(mesh, a, b, true);
        break;
    case 1:
        mesh_cut(mesh, a, b, false);
        break;
    case 2:
        mesh_break(mesh, a, b);
        break;
    case 3:
        if (mesh->nodes[a].alive)
            mesh_kill(mesh, a);
        else
            start_again(mesh, a);
        break;
    default:
        break;
    }
    for (size_t i = 0; i < count; i++) {
        if (mesh->nodes[i].alive && random_below(&mesh->random, 3) == 0)
            mesh_commit_of(mesh, i, 8 + random_below(&mesh->random, size), 1);
    }
    mesh_run(mesh, (gv_time_ms)random_below(&mesh->random, 400));
}

static void heal(struct mesh *mesh)
{
    mesh->drop = mesh->duplicate = 0;
    for (size_t i = 0; i < mesh->node_count; i++) {
        for (size_t j = 0; j < mesh->node_count; j++)
            mesh->cut[i][j] = false;
    }
    for (size_t i = 0; i < mesh->node_count; i++) {
        if (!mesh->nodes[i].alive)
            start_again(mesh, i);
    }
}

static void set_faults(struct mesh *mesh)
{
    mesh->drop = (unsigned)random_below(&mesh->random, 2) * 30;
    mesh->duplicate = (unsigned)random_below(&mesh->random, 2) * 30;
    mesh->delay_max = 1 + (gv_time_ms)random_below(&mesh->random, 2) * 80;
    mesh->work_max = 1 + (gv_time_ms)random_below(&mesh->random, 2) * 200;
    for (size_t i = 0; i < mesh->node_count; i++) {
        if (random_below(&mesh->random, 3) == 0)
            mesh->nodes[i].news_limit = 2000;
    }
}

static uint64_t run(uint64_t seed)
{
    struct mesh *mesh =
        mesh_new(seed, 2 + (size_t)(seed % (MESH_NODES_MAX / 2)));
    uint64_t result;
    size_t gaps = 0;

    seed_running = seed;
    link_at_random(mesh);
    set_faults(mesh);
    for (int i = 0; i < 25; i++)
        trouble(mesh);
    heal(mesh);
    CHECK(mesh_settle(mesh, 60000));
    /* Quiet: a moment later there are heartbeats and nothing else. */
    mesh_run(mesh, 15000);
    memset(mesh->sent, 0, sizeof(mesh->sent));
    mesh_run(mesh, 5000);
    CHECK_INT(mesh->sent[MESSAGE_WANT], ==, 0);
    CHECK_INT(mesh->sent[MESSAGE_DELTA], ==, 0);
    CHECK_INT(mesh->sent[MESSAGE_NEWS], ==, 0);
    CHECK_INT(mesh->sent[MESSAGE_ACK], ==, 0);
    for (size_t i = 0; i < mesh->node_count; i++) {
        CHECK_INT(core_counters(mesh->nodes[i].core)->divergences, ==, 0);
        CHECK_INT(core_counters(mesh->nodes[i].core)->forks, ==, 0);
        CHECK_INT(core_counters(mesh->nodes[i].core)->bad_messages, ==, 0);
        gaps += mesh->nodes[i].gaps;
        for (size_t j = 0; j < core_link_count(mesh->nodes[i].core); j++)
            CHECK_INT(mesh_link(mesh, i, j).lag_ms, ==, 0);
    }
    CHECK_INT(gaps, ==, 0); /* nothing out of causal order reached a store */
    result = mesh->trace;
    mesh_free(mesh);
    seed_running = 0;
    return result;
}

static uint64_t environment(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);

    return text != NULL ? strtoull(text, NULL, 10) : otherwise;
}

TEST(every_mesh_converges_after_healing_and_then_is_quiet)
{
    uint64_t first = environment("SEED", 1);
    uint64_t count = environment("SEEDS", SEEDS);

    for (uint64_t seed = first; seed < first + count; seed++)
        run(seed);
}

TEST(one_seed_is_one_history)
{
    for (uint64_t seed = 1; seed <= 10; seed++)
        CHECK(run(seed) == run(seed));
    CHECK(run(1) != run(7));
}

static void aborted(int number)
{
    (void)number;
    print_seed();
}

int main(int argc, char **argv)
{
    atexit(print_seed);
    signal(SIGABRT, aborted);
    return check_main(argc, argv);
}
