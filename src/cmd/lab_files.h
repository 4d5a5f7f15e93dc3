/* A lab's directory: what it is, kept in D/lab.json, and its databases. */
#ifndef CMD_LAB_FILES_H
#define CMD_LAB_FILES_H

#include "grapevine.h"

#define LAB_NODES_MAX 64

enum lab_topology { LAB_FULL, LAB_LINE, LAB_RING, LAB_STAR };

struct lab {
    const char *directory; /* borrowed */
    int nodes;
    enum lab_topology topology;
    char mesh[32];
    int ports[LAB_NODES_MAX];
};

/* The name of @topology. */
const char *lab_topology_name(enum lab_topology topology);
/* False: @name is none. */
bool lab_topology_parse(const char *name, enum lab_topology *topology);

/* Whether node @from dials node @to (both from 0). */
bool lab_dials(const struct lab *lab, int from, int to);
/* How many links node @node has when all are up. */
int lab_degree(const struct lab *lab, int node);

/* The path of node @node's file with @ending ("db", "log"), to be freed. */
char *lab_path(const struct lab *lab, int node, const char *ending);

/* Read D/lab.json.  Errors: GV_ENOTFOUND (there is no lab), GV_EINVAL. */
int lab_load(const char *directory, struct lab *lab, struct gv_error *error);
/* Make the directory if need be and write D/lab.json. */
int lab_save(const struct lab *lab, struct gv_error *error);

/* Give each node a port that is free, its old one if it can be. */
int lab_choose_ports(struct lab *lab, struct gv_error *error);

/* Make node @node's database with its table, and track it. */
int lab_make_database(const struct lab *lab, int node, struct gv_error *error);

#endif
