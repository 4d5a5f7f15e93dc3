/* The scenarios of scale, made small: everything arrives, and a seed says all
 * that happens. */
#include "check.h"
#include "sim/scale/scale.h"

/* The line with the seed and the hash, without how long it took. */
static void play(const char *name, uint64_t seed, size_t nodes, char last[200])
{
    FILE *out = tmpfile();
    char line[200];

    CHECK(out != NULL);
    CHECK_INT(scale_run(name, seed, nodes, NULL, out), ==, 0);
    rewind(out);
    last[0] = '\0';
    while (fgets(line, sizeof line, out) != NULL) {
        CHECK(strstr(line, "DIFFERS") == NULL);
        snprintf(last, sizeof line, "%s", line);
    }
    fclose(out);
    CHECK(strstr(last, "simulated in") != NULL);
    *strstr(last, "simulated in") = '\0';
}

TEST(everything_arrives_in_small_meshes)
{
    static const char *const names[] = {"lan", "wan", "glomers-line",
                                        "glomers-grid", "glomers-tree"};
    char line[200];

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        play(names[i], i, 10 + i, line);
}

TEST(halves_that_were_apart_for_an_hour_are_equal_again)
{
    char line[200];

    play("split", 1, 6, line);
}

TEST(one_seed_is_one_run)
{
    char a[200], b[200], c[200];

    play("wan", 5, 12, a);
    play("wan", 5, 12, b);
    play("wan", 6, 12, c);
    CHECK_TEXT(a, b);
    CHECK(strcmp(a, c) != 0);
}

TEST(an_unknown_scenario_is_said_to_be_none)
{
    FILE *out = tmpfile();

    CHECK(out != NULL);
    CHECK_INT(scale_run("none", 1, 0, NULL, out), ==, 2);
    CHECK(ftell(out) > 0);
    fclose(out);
}

int main(int argc, char **argv)
{
    return check_main(argc, argv);
}
