/* What a case expects.  README.md has the grammar. */
#ifndef TESTS_CONFORMANCE_EXPECT_H
#define TESTS_CONFORMANCE_EXPECT_H

#include "run.h"

/* @text is what stands behind the word "expect". */
void expect_check(struct run *run, const char *text);

#endif
