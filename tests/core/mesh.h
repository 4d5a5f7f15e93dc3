/* A mesh in memory: cores, a virtual clock, connections as queues, and a
 * model store instead of SQLite.  Everything random comes from one seed.
 *
 * The model's data are intervals: commit() makes one, and a node holds it or
 * not.  An interval's number stands in its bytes.  After each event the
 * mesh checks core_check(), that a TICK leaves no deadline in the past, that
 * the store holds exactly what its vector says, and that nothing is applied
 * before what it depends on. */
#ifndef TESTS_CORE_MESH_H
#define TESTS_CORE_MESH_H

#include "base/random.h"
#include "core/core.h"

#define MESH_NODES_MAX 12
#define MESH_INTERVALS_MAX 4096
#define MESH_WALL 1700000000000

/* One interval, as its origin made it. */
struct made {
    struct site site;
    gv_version from;
    gv_version to;
    struct vv dependencies;
    size_t size;
    int schema; /* of the nodes that can store it */
};

struct frame; /* on its way */
struct job;   /* store work under way */

struct mesh_node {
    bool alive;
    struct site site;
    uint64_t instance;
    struct core *core;
    int schema;
    gv_time_ms wall_ahead;
    bool exchange;   /* from its next start: dials whom peers tell of */
    bool hidden;     /* from its next start: cannot be dialled, and says no
                        place */
    gv_time_ms slow; /* each apply takes so long */
    struct dialect dialect; /* from its next start; zeroes: today's */

    struct vv vv;
    bool has[MESH_INTERVALS_MAX];
    struct hash128 fingerprint;
    size_t news_limit; /* a longer interval is sealed without its bytes */

    struct job *jobs; /* applies, in order */
    uint64_t stage_token;
    uint8_t *stage;
    size_t stage_size;

    struct {
        gv_link link;
        uint64_t token;
        uint8_t *bytes;
        size_t size;
        struct vv claim;
    } extracts[32];

    gv_link next_accepted;
    size_t peer_count;
    char last_log[1024];
    size_t log_count;
    const char *awaited; /* part of a line, or NULL once it was said */
    size_t applied;      /* intervals applied out of NEWS */
    size_t gaps;         /* applies that the store refused as early */
};

/* One connection.  number[0] is the dialler's link, number[1] the
 * accepter's; 0 where that side has none. */
struct wire {
    bool open;
    size_t node[2];
    gv_link number[2];
    gv_time_ms due[2]; /* of the last frame sent by each side */
    size_t frames[2];  /* counted as they arrive */
};

#define MESH_WIRES_MAX 4096

struct mesh {
    struct random random;
    gv_time_ms now;
    size_t node_count;
    struct mesh_node nodes[MESH_NODES_MAX];
    struct made made[MESH_INTERVALS_MAX];
    size_t made_count;
    struct wire wires[MESH_WIRES_MAX];
    size_t wire_count;
    struct frame *frames; /* by arrival */
    uint64_t frame_order;
    bool cut[MESH_NODES_MAX][MESH_NODES_MAX]; /* [from][to] */

    /* Faults, in frames of 1,000. */
    unsigned drop, duplicate;
    gv_time_ms delay_max; /* a frame takes 1 to this */
    gv_time_ms work_max;  /* store work takes 0 to this */

    uint64_t trace; /* a hash of all effects so far */
    /* Sent, per kind of message. */
    size_t sent[MESSAGE_KIND_MAX + 1];
    size_t delta_bytes;
};

struct mesh *mesh_new(uint64_t seed, size_t node_count);
void mesh_free(struct mesh *mesh);

/* @from dials @to from the next step on. */
void mesh_dial(struct mesh *mesh, size_t from, size_t to);
void mesh_full(struct mesh *mesh);
void mesh_line(struct mesh *mesh);

/* Node @node writes: one interval of @size bytes for files of @schema. */
size_t mesh_commit_of(struct mesh *mesh, size_t node, size_t size, int schema);
size_t mesh_commit(struct mesh *mesh, size_t node);

void mesh_run(struct mesh *mesh, gv_time_ms ms);
/* Until all nodes that live hold the same and are linked; false if that has
 * not come within @ms. */
bool mesh_settle(struct mesh *mesh, gv_time_ms ms);
bool mesh_equal(const struct mesh *mesh);

/* Nothing passes between @a and @b; connections hang. */
void mesh_cut(struct mesh *mesh, size_t a, size_t b, bool cut);
/* Nothing passes from @from to @to. */
void mesh_cut_one_way(struct mesh *mesh, size_t from, size_t to, bool cut);
/* Connections between @a and @b break, and their ends learn of it. */
void mesh_break(struct mesh *mesh, size_t a, size_t b);
/* kill -9, and a new start. */
void mesh_kill(struct mesh *mesh, size_t node);
void mesh_start(struct mesh *mesh, size_t node);
/* All are started anew and exchange peers. */
void mesh_exchange(struct mesh *mesh);

void mesh_feed(struct mesh *mesh, size_t node, struct event *event);
void mesh_schema(struct mesh *mesh, size_t node, int schema);

/* The state of the link of @node's first peer to dial. */
struct link_info mesh_link(const struct mesh *mesh, size_t node, size_t index);
size_t mesh_links_up(const struct mesh *mesh, size_t node);

#endif
