/* The steps of a case.  README.md has their grammar. */
#ifndef TESTS_CONFORMANCE_STEPS_H
#define TESTS_CONFORMANCE_STEPS_H

#include "run.h"

void steps_do(struct run *run, const char *line);

#endif
