#include "base/error.h"

#include "base/utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *gv_strerror(int code)
{
    switch (code) {
#define ERROR_TEXT(name, number, text)                                        \
    case number:                                                              \
        return text;
        GV_ERROR_MAP(ERROR_TEXT)
#undef ERROR_TEXT
    default:
        return "unknown error";
    }
}

/* Where a text that has no room ends. */
#define ELLIPSIS "\xe2\x80\xa6"

/* End @text, cut to @size bytes, with a whole character and an ellipsis. */
static void end_cut(char *text, size_t size)
{
    size -= strlen(ELLIPSIS);
    while (size > 0 && ((unsigned char)text[size] & 0xc0) == 0x80)
        size--;
    memcpy(text + size, ELLIPSIS, sizeof ELLIPSIS);
}

/* Names and paths come from anywhere, and a terminal obeys what it is shown:
 * one line of whole characters is left. */
static void make_plain(char *text)
{
    if (utf8_printable(text, strlen(text)))
        return;
    for (char *c = text; *c != '\0'; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = ' ';
    if (utf8_printable(text, strlen(text)))
        return;
    for (char *c = text; *c != '\0'; c++)
        if ((unsigned char)*c >= 0x80)
            *c = '?';
}

static void write_text(char *text, size_t room, const char *format,
                       va_list arguments)
{
    int size = vsnprintf(text, room, format, arguments);

    if (size < 0)
        text[0] = '\0';
    else if ((size_t)size >= room)
        end_cut(text, room - 1);
    make_plain(text);
}

int error_set(struct gv_error *error, int code, const char *what, ...)
{
    va_list arguments;

    if (error == NULL)
        return code;
    error->code = code;
    error->meaning[0] = '\0';
    error->remedy[0] = '\0';
    va_start(arguments, what);
    write_text(error->what, sizeof error->what, what, arguments);
    va_end(arguments);
    return code;
}

void error_meaning(struct gv_error *error, const char *meaning, ...)
{
    va_list arguments;

    if (error == NULL)
        return;
    va_start(arguments, meaning);
    write_text(error->meaning, sizeof error->meaning, meaning, arguments);
    va_end(arguments);
}

void error_remedy(struct gv_error *error, const char *remedy, ...)
{
    va_list arguments;

    if (error == NULL)
        return;
    va_start(arguments, remedy);
    write_text(error->remedy, sizeof error->remedy, remedy, arguments);
    va_end(arguments);
}
