/* Where lines for people go.  A sink is a function and its context; with no
 * function set, lines vanish. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "grapevine.h"

struct log {
    void (*sink)(void *context, enum gv_log_level level, const char *line);
    void *context;
};

/* One line, printf style, no newline at its end; cut at 1,000 bytes. */
void log_line(const struct log *log, enum gv_log_level level,
              const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
