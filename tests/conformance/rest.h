/* What must hold of all replicas, or some, at rest. */
#ifndef TESTS_CONFORMANCE_REST_H
#define TESTS_CONFORMANCE_REST_H

#include "run.h"

/* Equal vectors, fingerprints and, where the schema is equal, tables. */
void rest_equal(struct run *run, const char *letters);

/* Nothing to seal and nothing to send, where vectors are equal. */
void rest_quiet(struct run *run, const char *letters);

/* A full recomputation finds exactly @findings things. */
void rest_verify(struct run *run, struct replica *replica, uint64_t findings);

#endif
