/* Two live nodes with one site id that do not meet.
 *
 * A link of another instance of a site means that its node was started anew,
 * and the older link goes.  Two files of which one is a copy of the other look
 * like that too, where each is linked with this node but not with the other:
 * then both come again, and take turns here for ever.
 *
 * A node that was started anew comes once.  The old run's HELLO may have been
 * under way so long that it comes after the new one's, which then comes again:
 * three turns.  The fourth is made by an old run that said HELLO twice after
 * it was over, so it is not over. */
#include "core/rivals.h"

#include "base/assert.h"
#include "core/state.h"

#define TURNS_OF_TWO 4
/* Dialling again takes 5 s at most, half as long again by its spread. */
#define TURN_WITHIN_MS 30000

static bool are_these(const struct rivals *rivals, const struct link *link)
{
    return rivals->turns > 0 && site_equal(&rivals->site, &link->site);
}

/* Those of the site of @link; else an empty place, or the oldest. */
static struct rivals *place_of(struct core *core, const struct link *link)
{
    struct rivals *place = &core->rivals[0];

    for (size_t i = 0; i < CORE_RIVALS_MAX; i++) {
        struct rivals *rivals = &core->rivals[i];

        GV_ASSERT(rivals->turns <= TURNS_OF_TWO);
        if (are_these(rivals, link))
            return rivals;
        if (rivals->turns == 0 ? place->turns > 0
                               : place->turns > 0 && rivals->at < place->at)
            place = rivals;
    }
    *place = (struct rivals){.site = link->site};
    return place;
}

bool rivals_turn(struct core *core, const struct link *old,
                 const struct link *new)
{
    struct rivals *rivals = place_of(core, new);
    bool again = rivals->turns > 0 && rivals->instances[0] == new->instance &&
                 rivals->instances[1] == old->instance &&
                 core->now - rivals->at <= TURN_WITHIN_MS;

    GV_ASSERT(old->greeted && new->greeted);
    GV_ASSERT(site_equal(&old->site, &new->site));
    GV_ASSERT(old->instance != new->instance);
    rivals->instances[0] = old->instance;
    rivals->instances[1] = new->instance;
    rivals->turns = again ? rivals->turns + 1 : 1;
    rivals->at = core->now;
    if (rivals->turns < TURNS_OF_TWO)
        return false;
    rivals->turns = 0; /* whoever goes on comes four times again */
    return true;
}
