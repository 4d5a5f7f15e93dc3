/* Curves of scenarios as one SVG: which part of all (operation, node) pairs
 * has arrived after how long. */
#include "scale_state.h"

#include "base/assert.h"

#include <stdlib.h>

#define WIDTH 760
#define HEIGHT 380
#define LEFT 50
#define TOP 20
#define RIGHT 20
#define BOTTOM 90
#define PLOT_WIDTH (WIDTH - LEFT - RIGHT)
#define PLOT_HEIGHT (HEIGHT - TOP - BOTTOM)
#define LINES 5

static const char *const colours[] = {"#1b6ca8", "#c8553d", "#3a7d44",
                                      "#8e44ad", "#b8860b", "#555555"};
#define COLOURS (sizeof colours / sizeof colours[0])

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

void scale_plot_add(struct scale_plot *plot, struct scale *scale)
{
    struct scale_curve *curve = &plot->curves[plot->count];
    size_t count = scale->latency_count;

    if (plot->count == SCALE_CURVES_MAX || count == 0)
        return;
    plot->count++;
    qsort(scale->waits, count, sizeof *scale->waits, compare);
    for (size_t i = 0; i < SCALE_POINTS; i++)
        curve->ms[i] =
            scale->waits[(count - 1) * i / (SCALE_POINTS - 1)] / 10.0;
    scale_summary(scale, curve->title, sizeof curve->title);
    GV_ASSERT(curve->ms[0] <= curve->ms[SCALE_POINTS - 1]);
}

/* The longest wait, rounded up to one, two or five times a power of ten. */
static double axis_end(const struct scale_plot *plot)
{
    static const double steps[] = {1, 2, 2.5, 5};
    double longest = 1, power = 1;

    for (size_t i = 0; i < plot->count; i++) {
        if (plot->curves[i].ms[SCALE_POINTS - 1] > longest)
            longest = plot->curves[i].ms[SCALE_POINTS - 1];
    }
    for (;; power *= 10) {
        for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
            if (power * steps[i] >= longest)
                return power * steps[i];
        }
    }
}

static void draw_axes(double end, FILE *out)
{
    for (int i = 0; i <= LINES; i++) {
        double x = LEFT + (double)PLOT_WIDTH * i / LINES;
        double y = TOP + (double)PLOT_HEIGHT * i / LINES;
        fprintf(out,
                "<path d='M%.1f %d V%d M%d %.1f H%d' stroke='#ddd'/>\n"
                "<text x='%.1f' y='%d' text-anchor='middle'>%g</text>\n"
                "<text x='%d' y='%.1f' text-anchor='end'>%d %%</text>\n",
                x, TOP, TOP + PLOT_HEIGHT, LEFT, y, LEFT + PLOT_WIDTH, x,
                TOP + PLOT_HEIGHT + 16, end * i / LINES, LEFT - 6, y + 4,
                100 - 100 * i / LINES);
    }
    fprintf(out,
            "<text x='%d' y='%d' text-anchor='end'>ms after the write "
            "(or after the halves met)</text>\n",
            LEFT + PLOT_WIDTH, TOP + PLOT_HEIGHT + 32);
}

static void draw_curve(const struct scale_curve *curve, size_t index,
                       double end, FILE *out)
{
    const char *colour = colours[index % COLOURS];
    int y = TOP + PLOT_HEIGHT + 48 + 14 * (int)(index / 2);
    int x = LEFT + (int)(index % 2) * (PLOT_WIDTH / 2);

    fprintf(out, "<path fill='none' stroke-width='2' stroke='%s' d='M",
            colour);
    for (size_t i = 0; i < SCALE_POINTS; i++)
        fprintf(out, "%s%.1f %.1f", i > 0 ? " L" : "",
                LEFT + PLOT_WIDTH * curve->ms[i] / end,
                TOP + PLOT_HEIGHT * (1 - (double)i / (SCALE_POINTS - 1)));
    fprintf(out,
            "'/>\n<rect x='%d' y='%d' width='10' height='10' fill='%s'/>\n"
            "<text x='%d' y='%d'>%s</text>\n",
            x, y - 9, colour, x + 15, y, curve->title);
}

int scale_plot_write(const struct scale_plot *plot, const char *path)
{
    FILE *out = fopen(path, "w");
    double end = axis_end(plot);
    bool well;

    if (out == NULL)
        return -1;
    fprintf(out,
            "<svg xmlns='http://www.w3.org/2000/svg' width='%d' height='%d' "
            "font-family='sans-serif' font-size='11'>\n"
            "<rect width='100%%' height='100%%' fill='white'/>\n",
            WIDTH, HEIGHT);
    draw_axes(end, out);
    for (size_t i = 0; i < plot->count; i++)
        draw_curve(&plot->curves[i], i, end, out);
    fprintf(out, "</svg>\n");
    well = !ferror(out);
    return fclose(out) == 0 && well ? 0 : -1;
}
