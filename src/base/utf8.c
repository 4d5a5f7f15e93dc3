#include "base/utf8.h"

#include <stdint.h>
#include <string.h>

/* The size of the character that starts at @at, 0 if none does. */
static size_t utf8_character(const uint8_t *at, size_t left)
{
    uint32_t point;
    size_t size;

    if (at[0] < 0x80)
        return at[0] >= 0x20 && at[0] != 0x7f;
    if (at[0] < 0xc2 || at[0] > 0xf4)
        return 0;
    size = at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : 4;
    if (size > left)
        return 0;
    point = at[0] & (0x7fu >> size);
    for (size_t i = 1; i < size; i++) {
        if ((at[i] & 0xc0) != 0x80)
            return 0;
        point = point << 6 | (at[i] & 0x3f);
    }
    if (size == 3 && (point < 0x800 || (point & 0xf800) == 0xd800))
        return 0;
    if (size == 4 && (point < 0x10000 || point > 0x10ffff))
        return 0;
    return size;
}

bool utf8_printable(const char *text, size_t size)
{
    uint8_t four[4];

    for (size_t at = 0, step; at < size; at += step) {
        size_t left = size - at < sizeof(four) ? size - at : sizeof(four);
        memcpy(four, text + at, left);
        step = utf8_character(four, left);
        if (step == 0)
            return false;
    }
    return true;
}
