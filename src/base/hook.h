/* Places where a test build can make the program fail on purpose.
 *
 * GRAPEVINE_HOOK=PLACE:N[,PLACE:N…] arms each PLACE for its Nth passing.  A
 * place is a plain word.  Only builds with GV_TEST_HOOKS look; in others
 * hook_reached() is the constant false and the compiler drops the branch. */
#ifndef BASE_HOOK_H
#define BASE_HOOK_H

#include <stdbool.h>

#ifdef GV_TEST_HOOKS
/* True at the Nth call with this @place (counted per process). */
bool hook_reached(const char *place);
/* The number with which @place is armed, in place of a passing; @otherwise if
 * it is not. */
unsigned long hook_number(const char *place, unsigned long otherwise);
/* kill -9 this process when hook_reached(@place). */
void hook_kill(const char *place);
#else
static inline bool hook_reached(const char *place)
{
    (void)place;
    return false;
}
static inline unsigned long hook_number(const char *place,
                                        unsigned long otherwise)
{
    (void)place;
    return otherwise;
}
static inline void hook_kill(const char *place)
{
    (void)place;
}
#endif

#endif
