/* How the protocol does in a large mesh: scenarios on the model of a store,
 * and what they cost. */
#ifndef SIM_SCALE_H
#define SIM_SCALE_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* The scenarios, one a line. */
void scale_list(FILE *out);

/* Play @scenario and print its figures; draw them into @svg, if not NULL.
 * @nodes: 0 for the scenario's.  0:
 * everything arrived everywhere and all nodes hold the same; 1: not so; 2: no
 * such scenario. */
int scale_run(const char *scenario, uint64_t seed, size_t nodes,
              const char *svg, FILE *out);

#endif
