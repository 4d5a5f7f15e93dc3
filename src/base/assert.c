#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>

_Noreturn void assert_failed(const char *expression, const char *file,
                             int line)
{
    fprintf(stderr, "%s:%d: a bug: not so: %s\n", file, line, expression);
    abort();
}
