/* A test program is a list of functions named by what they prove.
 *
 *     TEST(raise_of_a_new_site_fails_when_full) { …; CHECK_INT(rc, ==, 0); }
 *     int main(int argc, char **argv) { return check_main(argc, argv); }
 *
 * A failure prints the expression and both values and ends the program. */
#ifndef TESTS_CHECK_H
#define TESTS_CHECK_H

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct check_test {
    const char *name;
    void (*run)(void);
    struct check_test *next;
};
static struct check_test *check_tests, **check_end = &check_tests;

#define TEST(name)                                                            \
    static void name(void);                                                   \
    __attribute__((constructor)) static void name##_register(void)            \
    {                                                                         \
        static struct check_test test = {#name, name, NULL};                  \
        *check_end = &test;                                                   \
        check_end = &test.next;                                               \
    }                                                                         \
    static void name(void)

#define CHECK(expression)                                                     \
    do {                                                                      \
        if (!(expression)) {                                                  \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__,        \
                    #expression);                                             \
            exit(1);                                                          \
        }                                                                     \
    } while (0)

#define CHECK_INT(a, operator, b)                                             \
    do {                                                                      \
        long long check_a = (long long)(a), check_b = (long long)(b);         \
        if (!(check_a operator check_b)) {                                    \
            fprintf(stderr, "%s:%d: not so: %s %s %s (%lld, %lld)\n",         \
                    __FILE__, __LINE__, #a, #operator, #b, check_a, check_b); \
            exit(1);                                                          \
        }                                                                     \
    } while (0)

#define CHECK_TEXT(a, b)                                                      \
    do {                                                                      \
        const char *check_a = (a), *check_b = (b);                            \
        if (strcmp(check_a, check_b) != 0) {                                  \
            fprintf(stderr, "%s:%d: %s is\n  '%s', not\n  '%s'\n", __FILE__,  \
                    __LINE__, #a, check_a, check_b);                          \
            exit(1);                                                          \
        }                                                                     \
    } while (0)

/* With arguments: only the tests named. */
static inline int check_main(int argc, char **argv)
{
    int count = 0;

    for (struct check_test *test = check_tests; test != NULL;
         test = test->next) {
        int wanted = argc < 2;
        for (int i = 1; i < argc; i++)
            wanted |= strcmp(argv[i], test->name) == 0;
        if (!wanted)
            continue;
        fprintf(stderr, "%s\n", test->name);
        test->run();
        count++;
    }
    fprintf(stderr, "%d tests passed\n", count);
    return count == 0;
}

#endif
