#include "report.h"

#include <inttypes.h>
#include <string.h>

static uint64_t fired_in_all(const struct run_result *result)
{
    uint64_t fired = 0;

    for (enum fault fault = 1; fault < FAULTS; fault++)
        fired += result->fired[fault];
    return fired;
}

static void print_swarm(const struct swarm *swarm, FILE *out)
{
    bool any = false;

    fprintf(out,
            "  %zu nodes, %zu program%s each, %zu transactions in %.1f s "
            "of faults%s\n  on:",
            swarm->nodes, swarm->programs, swarm->programs == 1 ? "" : "s",
            swarm->operations, (double)swarm->chaos / (double)SIM_SECOND,
            swarm_needs_model(swarm) ? " (model of a store, no SQLite)" : "");
    for (enum fault fault = 1; fault < FAULTS; fault++) {
        if (!swarm->on[fault])
            continue;
        fprintf(out, " %s", fault_class(fault)->name);
        any = true;
    }
    fprintf(out, "%s\n", any ? "" : " nothing");
}

static void print_fired(const struct run_result *result, FILE *out)
{
    if (fired_in_all(result) == 0)
        return;
    fprintf(out, "  fired:");
    for (enum fault fault = 1; fault < FAULTS; fault++)
        if (result->fired[fault] > 0)
            fprintf(out, " %s %" PRIu64, fault_class(fault)->name,
                    result->fired[fault]);
    fprintf(out, "\n");
}

void report_one(const struct outcome *outcome, FILE *out)
{
    const struct run_result *result = &outcome->result;

    print_swarm(&outcome->swarm, out);
    print_fired(result, out);
    fprintf(out,
            "  %" PRIu64 " commits, %" PRIu64 " publications, %" PRIu64
            " steps, %" PRIu64 " operations of disks\n",
            result->commits, result->publications, result->steps,
            result->operations);
    fprintf(out, "  %.1f s simulated, at rest %.1f s after healing\n",
            (double)result->simulated / (double)SIM_SECOND,
            (double)result->settled / (double)SIM_SECOND);
    fprintf(out, "  trace %016" PRIx64 "\n", result->hash);
}

void report_failure(const struct outcome *outcome, const char *again,
                    FILE *out)
{
    fprintf(out, "seed %" PRIu64 ": %s is broken: %s\n", outcome->seed,
            outcome->result.broken, outcome->result.failure);
    fputs(outcome->told, out);
    if (again != NULL)
        fprintf(out,
                "again:  gvsim --seed %" PRIu64 "%s\n"
                "shrink: gvsim --seed %" PRIu64 "%s --shrink\n",
                outcome->seed, again, outcome->seed, again);
    fflush(out);
}

/* Totals */

void totals_add(struct totals *totals, const struct outcome *outcome)
{
    const struct run_result *result = &outcome->result;

    totals->seeds++;
    totals->failures += result->broken[0] != '\0';
    totals->commits += result->commits;
    totals->publications += result->publications;
    totals->fired += fired_in_all(result);
    totals->node_hours += result->node_hours;
    totals->node_hours_counted += result->node_hours_counted;
    for (enum fault fault = 1; fault < FAULTS; fault++) {
        totals->on[fault] += outcome->swarm.on[fault];
        totals->fired_in[fault] += result->fired[fault] > 0;
        totals->times[fault] += result->fired[fault];
    }
}

static void print_classes(const struct totals *totals, FILE *out)
{
    fprintf(out, "%-18s %8s %9s %12s\n", "class", "on in", "fired in",
            "times");
    for (enum fault fault = 1; fault < FAULTS; fault++) {
        const struct fault_class *class = fault_class(fault);

        if (class->waits != NULL)
            continue;
        fprintf(out, "%2d %-15s %8" PRIu64 " %9" PRIu64 " %12" PRIu64 "\n",
                fault, class->name, totals->on[fault], totals->fired_in[fault],
                totals->times[fault]);
    }
}

void totals_print(const struct totals *totals, double seconds, double busy,
                  FILE *out)
{
    double minutes = seconds / 60;

    print_classes(totals, out);
    fprintf(out,
            "%" PRIu64 " seeds in %.1f s (%.2f a second), %" PRIu64
            " failures\n",
            totals->seeds, seconds, (double)totals->seeds / seconds,
            totals->failures);
    fprintf(out,
            "a minute of real time: %.1f node-hours (%.1f with at least 60 "
            "commits of the node and 6 faults in the run), %.0f commits, %.0f "
            "faults\n",
            totals->node_hours / minutes, totals->node_hours_counted / minutes,
            (double)totals->commits / minutes,
            (double)totals->fired / minutes);
    fprintf(out, "a minute of one processor: %.1f node-hours\n",
            totals->node_hours / (busy / 60));
    fflush(out);
}
