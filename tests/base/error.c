#include "base/error.h"
#include "base/utf8.h"
#include "check.h"

TEST(every_code_has_its_text)
{
    CHECK_TEXT(gv_strerror(GV_OK), "done");
    CHECK_TEXT(gv_strerror(GV_ENOMEM), "out of memory");
    CHECK_TEXT(gv_strerror(GV_EMISUSE), "this cannot be done in this state");
    for (int code = GV_EMISUSE; code <= GV_OK; code++)
        CHECK(strcmp(gv_strerror(code), "unknown error") != 0);
}

TEST(a_number_that_is_no_code_has_a_text_too)
{
    CHECK_TEXT(gv_strerror(1), "unknown error");
    CHECK_TEXT(gv_strerror(GV_EMISUSE - 1), "unknown error");
}

TEST(an_error_gets_its_three_sentences)
{
    struct gv_error error;

    memset(&error, 'x', sizeof(error));
    CHECK_INT(error_set(&error, GV_EIO, "Row %d.", 7), ==, GV_EIO);
    CHECK_INT(error.code, ==, GV_EIO);
    CHECK_TEXT(error.what, "Row 7.");
    CHECK_TEXT(error.meaning, "");
    CHECK_TEXT(error.remedy, "");
    error_meaning(&error, "It %s.", "is gone");
    error_remedy(&error, "Try %c.", 'b');
    CHECK_TEXT(error.what, "Row 7.");
    CHECK_TEXT(error.meaning, "It is gone.");
    CHECK_TEXT(error.remedy, "Try b.");
}

TEST(a_long_sentence_is_cut)
{
    struct gv_error error;

    error_set(&error, GV_EIO, "%0600d", 1);
    CHECK_INT(strlen(error.what), ==, sizeof(error.what) - 1);
    CHECK_TEXT(error.what + sizeof error.what - 6, "00\u2026");
    /* Not within a character, nor within the one that is left out. */
    for (int before = 500; before < 512; before++) {
        error_set(&error, GV_EIO, "%0*d\u6771\u4eac\u6771\u4eac", before, 1);
        CHECK(utf8_printable(error.what, strlen(error.what)));
        CHECK_TEXT(error.what + strlen(error.what) - 3, "\u2026");
    }
}

TEST(what_a_terminal_would_obey_is_not_shown)
{
    struct gv_error error;

    error_set(&error, GV_EINVAL, "'%s' is none.", "a\x1b[2J\nb\u00e9");
    CHECK_TEXT(error.what, "'a [2J b\u00e9' is none.");
    error_meaning(&error, "Line %s.", "\xff\xfe\x01x");
    CHECK_TEXT(error.meaning, "Line ?? x.");
    error_remedy(&error, "See %s.", "\x7f");
    CHECK_TEXT(error.remedy, "See  .");
}

TEST(no_error_to_fill_is_harmless)
{
    CHECK_INT(error_set(NULL, GV_EFULL, "%s", "x"), ==, GV_EFULL);
    error_meaning(NULL, "x");
    error_remedy(NULL, "x");
}

int main(int argc, char **argv)
{
    return check_main(argc, argv);
}
