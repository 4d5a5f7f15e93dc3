#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>

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

int error_set(struct gv_error *error, int code, const char *what, ...)
{
    va_list arguments;

    if (error == NULL)
        return code;
    error->code = code;
    error->meaning[0] = '\0';
    error->remedy[0] = '\0';
    va_start(arguments, what);
    vsnprintf(error->what, sizeof(error->what), what, arguments);
    va_end(arguments);
    return code;
}

void error_meaning(struct gv_error *error, const char *meaning, ...)
{
    va_list arguments;

    if (error == NULL)
        return;
    va_start(arguments, meaning);
    vsnprintf(error->meaning, sizeof(error->meaning), meaning, arguments);
    va_end(arguments);
}

void error_remedy(struct gv_error *error, const char *remedy, ...)
{
    va_list arguments;

    if (error == NULL)
        return;
    va_start(arguments, remedy);
    vsnprintf(error->remedy, sizeof(error->remedy), remedy, arguments);
    va_end(arguments);
}
