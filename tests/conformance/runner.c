/* Runs the conformance cases and prints what ran, what did not yet, and what
 * is refused.
 *
 *     conformance_test DIRECTORY [--list] [--expect RUN,WAITING,REFUSED]
 *                      [ID…]
 *
 * With --expect the totals must be these.  README.md has the format. */
#include "mesh.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CASES_MAX 256

enum outcome { RUN, WAITING, REFUSED, FAILED };

struct totals {
    unsigned counts[4];
    unsigned parts; /* cases of which a variant waits */
    unsigned runs;
};

static void report(const struct run *run)
{
    printf("FAILED %s%s%s, by %s, order %u%s, line %d:\n  %s\n", run->file->id,
           run->variant->name[0] == '\0' ? "" : " ", run->variant->name,
           run->manner.pull ? "deltas" : "intervals", run->manner.order,
           !run->manner.crash              ? ""
           : run->manner.loss == LOSS_NONE ? ", processes killed"
                                           : ", power cut",
           run->line, run->what);
    for (size_t i = 0; i < run->file->line_count; i++)
        if (run->file->lines[i].number == run->line)
            printf("  %s\n", run->file->lines[i].text);
}

static bool play(struct run_start *start, const struct case_file *file,
                 const struct case_variant *variant, struct run_manner manner)
{
    struct run *run = calloc(1, sizeof *run);
    bool ok;

    if (run == NULL)
        return false;
    run->start = start;
    run->file = file;
    run->variant = variant;
    run->manner = manner;
    run_play(run);
    ok = !run->failed;
    if (!ok)
        report(run);
    run_close(run);
    free(run);
    return ok;
}

/* A case without a "full" has one order of exchange: its own. */
static unsigned orders_of(const struct case_file *file)
{
    for (size_t i = 0; i < file->line_count; i++)
        if (strncmp(file->lines[i].text, "full", 4) == 0)
            return mesh_orders(strlen(file->sites));
    return 1;
}

/* All orders by intervals and by deltas; then both with a crash after every
 * step. */
static bool play_variant(struct run_start *start, const struct case_file *file,
                         const struct case_variant *variant,
                         struct totals *totals)
{
    unsigned orders = orders_of(file);
    bool ok = true;

    for (unsigned i = 0; i < 2 * orders && ok; i++, totals->runs++)
        ok = play(start, file, variant,
                  (struct run_manner){.pull = i % 2 == 1, .order = i / 2});
    for (unsigned i = 0; i < 4 && ok; i++, totals->runs++)
        ok = play(start, file, variant,
                  (struct run_manner){.pull = i % 2 == 1,
                                      .order = i % orders,
                                      .crash = true,
                                      .loss = i < 2 ? LOSS_NONE : LOSS_TAIL});
    return ok;
}

static enum outcome run_case(const struct case_file *file,
                             struct totals *totals)
{
    struct run_start start = {{NULL}};
    bool waiting = false, ok = true;

    if (file->waits != NULL)
        return WAITING;
    for (size_t i = 0; i < file->variant_count && ok; i++) {
        const struct case_variant *variant = &file->variants[i];

        if (variant->waits != NULL)
            waiting = true;
        else
            ok = play_variant(&start, file, variant, totals);
    }
    for (size_t i = 0; i < CASE_SITES_MAX; i++)
        disk_image_free(start.images[i]);
    if (!ok)
        return FAILED;
    totals->parts += waiting;
    return file->refused != NULL ? REFUSED : RUN;
}

static void list_case(const struct case_file *file, enum outcome outcome)
{
    static const char *const words[] = {"run", "not run yet", "refused",
                                        "FAILED"};

    printf("  %-4s %s", file->id, words[outcome]);
    if (file->waits != NULL)
        printf(", waits for: %s", file->waits);
    if (file->refused != NULL)
        printf(": %s", file->refused);
    if (file->policy != NULL)
        printf(" (P: %s)", file->policy);
    printf("\n");
    for (size_t i = 0; i < file->variant_count; i++)
        if (file->variants[i].waits != NULL)
            printf("       in part: '%s' waits for: %s\n",
                   file->variants[i].name, file->variants[i].waits);
}

/* Section by section, then by number. */
static int compare_names(const struct dirent **a, const struct dirent **b)
{
    const char *x = (*a)->d_name, *y = (*b)->d_name;

    return x[0] != y[0] ? x[0] - y[0] : atoi(x + 1) - atoi(y + 1);
}

static int is_case(const struct dirent *entry)
{
    const char *dot = strrchr(entry->d_name, '.');

    return dot != NULL && strcmp(dot, ".case") == 0;
}

struct request {
    const char *directory;
    const char *expected; /* or NULL */
    bool list;
    char **ids;
    int id_count;
};

static bool wanted(const struct request *request, const char *id)
{
    for (int i = 0; i < request->id_count; i++)
        if (strcmp(request->ids[i], id) == 0)
            return true;
    return request->id_count == 0;
}

static void run_file(const struct request *request, const char *path,
                     struct totals *totals)
{
    struct case_file *file = case_read(path);

    if (wanted(request, file->id)) {
        enum outcome outcome = run_case(file, totals);

        totals->counts[outcome]++;
        if (request->list)
            list_case(file, outcome);
    }
    case_free(file);
}

static void print_counts(const char *name, const struct totals *totals)
{
    printf("%s: %u run, %u not run yet, %u refused%s\n", name,
           totals->counts[RUN], totals->counts[WAITING],
           totals->counts[REFUSED],
           totals->counts[FAILED] > 0 ? ", some FAILED" : "");
    fflush(stdout);
}

static void run_section(const struct request *request, const char *section,
                        struct totals *all)
{
    struct totals totals = {0};
    struct dirent **entries;
    char path[1000];
    int count;

    snprintf(path, sizeof path, "%s/%s", request->directory, section);
    count = scandir(path, &entries, is_case, compare_names);
    for (int i = 0; i < count; i++) {
        snprintf(path, sizeof path, "%s/%s/%s", request->directory, section,
                 entries[i]->d_name);
        run_file(request, path, &totals);
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
    for (int i = 0; i < 4; i++)
        all->counts[i] += totals.counts[i];
    all->parts += totals.parts;
    all->runs += totals.runs;
    if (request->id_count == 0)
        print_counts(section, &totals);
}

static bool as_expected(const struct request *request,
                        const struct totals *totals)
{
    char found[64];

    snprintf(found, sizeof found, "%u,%u,%u", totals->counts[RUN],
             totals->counts[WAITING], totals->counts[REFUSED]);
    if (request->expected == NULL || strcmp(found, request->expected) == 0)
        return true;
    printf("the totals should be %s and are %s\n", request->expected, found);
    return false;
}

int main(int argc, char **argv)
{
    static const char *const sections[] = {"L", "D", "K", "N", "M", "W",
                                           "P", "G", "C", "T", "X", "Q"};
    struct request request = {.directory = argc > 1 ? argv[1] : "."};
    struct totals totals = {0};
    int i = 2;

    for (; i < argc && strncmp(argv[i], "--", 2) == 0; i++) {
        if (strcmp(argv[i], "--list") == 0)
            request.list = true;
        else if (strcmp(argv[i], "--expect") == 0 && i + 1 < argc)
            request.expected = argv[++i];
    }
    if (i < argc) {
        request.ids = argv + i;
        request.id_count = argc - i;
    }
    for (size_t j = 0; j < sizeof sections / sizeof sections[0]; j++)
        run_section(&request, sections[j], &totals);
    printf("%u runs; %u of the cases run in part\n", totals.runs,
           totals.parts);
    print_counts("conformance", &totals);
    return totals.counts[FAILED] > 0 || !as_expected(&request, &totals);
}
