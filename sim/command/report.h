/* What gvsim prints of its runs. */
#ifndef SIM_REPORT_H
#define SIM_REPORT_H

#include "trial.h"

/* One run in detail. */
void report_one(const struct outcome *outcome, FILE *out);

/* What failed, what came before, and how to see it again.  @again: what shapes
 * the run besides its seed; NULL: it was played from a script. */
void report_failure(const struct outcome *outcome, const char *again,
                    FILE *out);

struct totals {
    uint64_t seeds, failures;
    uint64_t commits, publications, fired;
    double node_hours, node_hours_counted;
    uint64_t on[FAULTS], fired_in[FAULTS], times[FAULTS];
};

void totals_add(struct totals *totals, const struct outcome *outcome);
/* @seconds: of real time, for all of it; @busy: of all processors. */
void totals_print(const struct totals *totals, double seconds, double busy,
                  FILE *out);

#endif
