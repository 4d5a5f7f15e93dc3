/* A conformance case as it stands in its file.  README.md has the format. */
#ifndef TESTS_CONFORMANCE_CASE_H
#define TESTS_CONFORMANCE_CASE_H

#include <stdbool.h>
#include <stddef.h>

#define CASE_SITES_MAX 4 /* A to D */
#define CASE_LINES_MAX 160
#define CASE_LIST_MAX 8

struct case_line {
    int number;       /* in the file */
    const char *text; /* without the blanks around it */
};

/* A way through the steps: those before the first "variant" line, then those
 * below this one. */
struct case_variant {
    const char *name;  /* "" if the case has no variants */
    const char *waits; /* what it waits for, or NULL */
    size_t first, end; /* its lines, of case.lines */
};

struct case_file {
    char id[16];
    char *bytes; /* all texts point into them */
    const char *source;
    const char *policy;  /* or NULL */
    const char *waits;   /* or NULL */
    const char *refused; /* what is refused, or NULL */
    const char *sites;   /* "ABC" */
    bool seal_each;      /* every write is sealed before the next */
    size_t slices;       /* rows of a slice; 0: as many as usual */
    const char *schema;  /* for all sites */
    const char *site_schema[CASE_SITES_MAX]; /* in its place, or NULL */
    /* A file that an older program left, in place of a new one, or NULL. */
    const char *site_file[CASE_SITES_MAX];
    const char *tracks[CASE_LIST_MAX]; /* "none" stands for no table */
    size_t track_count;
    const char *nevers[CASE_LIST_MAX];
    size_t never_count;
    const char *monotones[CASE_LIST_MAX];
    size_t monotone_count;

    struct case_line lines[CASE_LINES_MAX]; /* the steps */
    size_t line_count;
    size_t common_end; /* lines before the first variant */
    struct case_variant variants[CASE_LIST_MAX];
    size_t variant_count; /* at least 1 */
};

/* Read the case at @path.  Ends the program with a message when the file
 * cannot be read or its head is not in order. */
struct case_file *case_read(const char *path);
void case_free(struct case_file *file);

#endif
