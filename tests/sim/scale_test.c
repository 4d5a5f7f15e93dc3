/* The scenarios of scale, made small: everything arrives, and a seed says all
 * that happens. */
#include "check.h"
#include "sim/scale/scale.h"

#include <stdlib.h>

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

/* The number behind @text in the first line that has it, @skip numbers on. */
static double figure(FILE *out, const char *text, size_t skip)
{
    char line[200];

    rewind(out);
    while (fgets(line, sizeof line, out) != NULL) {
        char *at = strstr(line, text);
        double number = 0;
        if (at == NULL)
            continue;
        at += strlen(text);
        for (size_t i = 0; i <= skip; i++)
            number = strtod(at, &at);
        return number;
    }
    CHECK_TEXT(text, "");
    return 0;
}

/* Gossip Glomers 3d, by RELIABILITY's gate: 25 nodes, 100 ms, 8 links. */
TEST(an_operation_takes_less_than_30_frames_and_400_ms)
{
    for (uint64_t seed = 1; seed <= 3; seed++) {
        FILE *out = tmpfile();

        CHECK(out != NULL);
        CHECK_INT(scale_run("glomers-random", seed, 0, NULL, out), ==, 0);
        CHECK(figure(out, "  all     ", 2) < 30);
        CHECK(figure(out, "an operation to all nodes", 0) < 400);
        CHECK(figure(out, "an operation to all nodes", 2) < 600);
        CHECK(figure(out, "copies of an interval received by a node:", 0) <
              1.1);
        CHECK(figure(out, "  wants", 0) == 0);
        fclose(out);
    }
}

/* Where links are few, packets late or everybody linked with everybody. */
TEST(each_interval_comes_once_whatever_the_graph)
{
    static const char *const names[] = {"glomers-ring", "glomers-grid",
                                        "glomers-tree", "glomers-full"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        FILE *out = tmpfile();

        CHECK(out != NULL);
        CHECK_INT(scale_run(names[i], 3, 0, NULL, out), ==, 0);
        CHECK(figure(out, "copies of an interval received by a node:", 0) <
              1.1);
        CHECK(figure(out, "  wants", 0) == 0);
        fclose(out);
    }
}

TEST(figures_are_drawn)
{
    static const char path[] = "scale_test.svg";
    FILE *out = tmpfile(), *svg;
    char bytes[32 * 1024];
    size_t size;

    CHECK(out != NULL);
    CHECK_INT(scale_run("glomers", 1, 9, path, out), ==, 0);
    CHECK_INT(scale_run("lan", 1, 9, "/no/such/place", out), ==, 2);
    fclose(out);
    svg = fopen(path, "r");
    CHECK(svg != NULL);
    size = fread(bytes, 1, sizeof bytes - 1, svg);
    bytes[size] = '\0';
    fclose(svg);
    (void)remove(path);
    CHECK(strncmp(bytes, "<svg ", 5) == 0);
    CHECK(strstr(bytes, "glomers-full: ") != NULL);
    CHECK(strcmp(bytes + size - 7, "</svg>\n") == 0);
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
