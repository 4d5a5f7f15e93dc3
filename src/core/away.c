/* Who dialled this node and was turned away, for what does not pass by itself:
 * the dialler's status shows its peer as refused, and here there is no peer to
 * show it for.  People read it in status, and once in the log. */
#include "core/away.h"

#include "base/assert.h"
#include "core/hello.h"
#include "core/state.h"

#include <string.h>

/* A peer that is refused comes again after CORE_REFUSED_RETRY_MS and half of
 * that at most: one that missed two turns does not come any more. */
#define AWAY_KEEP_MS (3 * CORE_REFUSED_RETRY_MS)

static bool is_kept(const struct away *away, gv_time_ms now)
{
    return away->code != 0 && away->at > now - AWAY_KEEP_MS;
}

static struct away *find(struct core *core, const struct site *site)
{
    for (size_t i = 0; i < CORE_AWAY_MAX; i++) {
        if (is_kept(&core->away[i], core->now) &&
            site_equal(&core->away[i].site, site))
            return &core->away[i];
    }
    return NULL;
}

/* A free place, else that of who came last longest ago. */
static struct away *oldest(struct core *core)
{
    struct away *oldest = &core->away[0];

    for (size_t i = 0; i < CORE_AWAY_MAX; i++) {
        struct away *away = &core->away[i];
        if (!is_kept(away, core->now))
            return away;
        if (away->at < oldest->at)
            oldest = away;
    }
    return oldest;
}

bool away_note(struct core *core, const struct message_hello *hello,
               enum bye_code code, const char *reason)
{
    struct away *away = find(core, &hello->site);
    bool known = away != NULL && away->code == code;

    GV_ASSERT(code != 0 && reason[0] != '\0');
    if (away == NULL)
        away = oldest(core);
    away->site = hello->site;
    hello_text(hello->name, away->name);
    away->code = code;
    (void)snprintf(away->reason, sizeof(away->reason), "%s", reason);
    away->at = core->now;
    GV_ASSERT(find(core, &hello->site) == away);
    return !known;
}

void away_forget(struct core *core, const struct site *site)
{
    struct away *away = find(core, site);

    if (away != NULL)
        away->code = 0;
    GV_ASSERT(find(core, site) == NULL);
}

bool core_away_info(const struct core *core, size_t index, gv_time_ms now,
                    struct away_info *info)
{
    for (size_t i = 0; i < CORE_AWAY_MAX; i++) {
        const struct away *away = &core->away[i];
        if (!is_kept(away, now) || index-- > 0)
            continue;
        info->site = away->site;
        info->name = away->name;
        info->reason = away->reason;
        info->ago_ms = now > away->at ? now - away->at : 0;
        return true;
    }
    return false;
}
