#include "base/utf8.h"
#include "check.h"

static bool printable(const char *text)
{
    size_t size = strlen(text);
    char *exact = malloc(size + 1);
    bool result;

    /* So that a sanitizer sees a read behind the end. */
    memcpy(exact, text, size);
    exact = realloc(exact, size > 0 ? size : 1);
    result = utf8_printable(exact, size);
    free(exact);
    return result;
}

TEST(what_people_write_is_printable)
{
    CHECK(printable(""));
    CHECK(printable("tcp://127.0.0.1:7401 ~"));
    CHECK(printable("Zoë, 東京, 🍇"));
    CHECK(printable("\xc2\x80 \xdf\xbf \xe0\xa0\x80 \xed\x9f\xbf \xee\x80\x80 "
                    "\xef\xbf\xbf \xf0\x90\x80\x80 \xf4\x8f\xbf\xbf"));
}

TEST(control_characters_are_not)
{
    CHECK(!printable("a\nb"));
    CHECK(!printable("\x1b[2J"));
    CHECK(!printable("\x7f"));
    CHECK(!utf8_printable("a\0b", 3));
}

TEST(what_is_not_utf8_is_not)
{
    static const char *const wrong[] = {"\x80",
                                        "\xbf",
                                        "a\xc3",
                                        "\xc3(",
                                        "\xe2\x82",
                                        "\xf0\x9f\x8d",
                                        "\xc0\x80",
                                        "\xc1\xbf",
                                        "\xe0\x9f\xbf",
                                        "\xf0\x8f\xbf\xbf",
                                        "\xed\xa0\x80",
                                        "\xed\xbf\xbf",
                                        "\xf4\x90\x80\x80",
                                        "\xf5\x80\x80\x80",
                                        "\xff",
                                        "\xfe",
                                        "\xe2\x28\xa1",
                                        "\xf0\x28\x8c\xbc"};

    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
        CHECK(!printable(wrong[i]));
}

int main(int argc, char **argv)
{
    return check_main(argc, argv);
}
