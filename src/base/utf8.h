/* Whether bytes that came from outside may be shown to people. */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* Whether @text is UTF-8 as RFC 3629 has it (no overlong forms, surrogates or
 * numbers above U+10FFFF) and without control characters (below U+0020, and
 * U+007F). */
bool utf8_printable(const char *text, size_t size);

#endif
