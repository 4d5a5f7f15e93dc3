#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define LOG_LINE_SIZE_MAX 1000

/* Cut @line to @size bytes, and then back to the end of a character, so that
 * what was UTF-8 stays UTF-8. */
static void log_cut(char *line, size_t size)
{
    while (size > 0 && ((unsigned char)line[size] & 0xc0) == 0x80)
        size--;
    line[size] = '\0';
}

/* Names that peers chose stand in lines; none of them may begin another line
 * or move a terminal's cursor. */
static void log_tame(char *line)
{
    for (; *line != '\0'; line++) {
        if ((unsigned char)*line < 0x20 || *line == 0x7f)
            *line = '?';
    }
}

void log_line(const struct log *log, enum gv_log_level level,
              const char *format, ...)
{
    char line[LOG_LINE_SIZE_MAX + 2];
    va_list arguments;

    if (log->sink == NULL)
        return;
    va_start(arguments, format);
    vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    if (strlen(line) > LOG_LINE_SIZE_MAX)
        log_cut(line, LOG_LINE_SIZE_MAX);
    log_tame(line);
    log->sink(log->context, level, line);
}
