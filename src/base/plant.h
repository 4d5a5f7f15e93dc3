/* Bugs planted on purpose, to see that the simulator finds them.
 *
 * Each stands where a real system had it, as a branch on plant("name").  Only
 * the build with GV_PLANTS has them, and there one at a time is chosen at run
 * time; in all others plant() is the constant false and the compiler drops the
 * branch. */
#ifndef BASE_PLANT_H
#define BASE_PLANT_H

#include <stdbool.h>
#include <stddef.h>

/* One bug.  @needs: the class of faults without which it does no harm, or
 * NULL; @budget: seeds within which it has to be found. */
struct plant {
    const char *name;
    const char *what;
    const char *needs;
    unsigned budget;
};

#ifdef GV_PLANTS
bool plant(const char *name);
/* NULL: none.  False: there is no such plant. */
bool plant_choose(const char *name);
const struct plant *plant_list(size_t *count);
#else
static inline bool plant(const char *name)
{
    (void)name;
    return false;
}
static inline bool plant_choose(const char *name)
{
    return name == NULL;
}
static inline const struct plant *plant_list(size_t *count)
{
    *count = 0;
    return NULL;
}
#endif

#endif
