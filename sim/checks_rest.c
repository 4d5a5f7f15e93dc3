/* Whether a mesh has come to rest, and what it may do there. */
#include "checks_internal.h"

#include <string.h>

/* At rest: one frame each way per heartbeat, with what an ACK may add. */
#define REST_FRAME_SIZE_MAX 256

bool checks_equal(struct machine *const *machines, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct vv *vv;

        if (!machine_alive(machines[i]))
            return false;
        vv = checks_vv(machines[i]);
        if (vv->hash != checks_vv(machines[0])->hash ||
            vv->hash != core_vv(machine_core(machines[i]))->hash)
            return false;
        if (machine_observer(machines[i]) != NULL &&
            checks_number(machines[i], "SELECT count(*) FROM gv_journal") != 0)
            return false;
    }
    return true;
}

static void describe(struct machine *machine, struct machine *other,
                     char *text, size_t size)
{
    const struct vv *vv;

    if (!machine_alive(machine)) {
        snprintf(text, size, "n%zu does not run", machine_index(machine));
        return;
    }
    vv = checks_vv(machine);
    snprintf(text, size, "n%zu holds %zu sites", machine_index(machine),
             vv->count);
    if (!machine_alive(other))
        return;
    snprintf(text, size, "n%zu lacks something of %zu sites that n%zu holds",
             machine_index(machine), vv_lacks(vv, checks_vv(other)),
             machine_index(other));
}

void checks_unequal(struct checks *checks, struct machine *const *machines,
                    size_t count)
{
    char text[600] = "", one[100];

    for (size_t i = 0; i < count; i++) {
        describe(machines[i], machines[(i + 1) % count], one, sizeof one);
        if (strlen(text) + strlen(one) + 3 < sizeof text)
            strcat(strcat(text, i > 0 ? "; " : ""), one);
    }
    world_fail(checks->world, "I2", "not equal in time: %s", text);
}

/* I17 */

/* What was sent since @before, in all and by kind for people. */
static uint64_t frames_since(const struct machine *machine,
                             const struct machine_sent *before,
                             uint64_t *bytes, char *text, size_t size)
{
    static const char *const names[] = {"",      "HELLO", "NEWS",  "VV",
                                        "WANT",  "DELTA", "ACK",   "PRUNE",
                                        "PEERS", "BYE",   "CHECK", "PROOF"};
    const struct machine_sent *sent = machine_sent(machine);
    uint64_t frames = 0;
    size_t used = 0;

    *bytes = 0;
    text[0] = '\0';
    for (size_t i = MESSAGE_HELLO; i <= MESSAGE_KIND_MAX; i++) {
        uint64_t count = sent->frames[i] - before->frames[i];

        frames += count;
        *bytes += sent->bytes[i] - before->bytes[i];
        if (count > 0 && used < size)
            used += (size_t)snprintf(text + used, size - used, " %llu %s",
                                     (unsigned long long)count, names[i]);
    }
    return frames;
}

static size_t links_up(const struct machine *machine)
{
    const struct core *core = machine_core(machine);
    size_t up = 0;

    for (size_t i = 0; i < core_link_count(core); i++) {
        struct link_info info;

        core_link_info(core, i, 0, &info);
        up += info.state == LINK_UP;
    }
    return up;
}

void checks_rest_begin(struct checks *checks, struct machine *const *machines,
                       size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct watch *watch = checks_watch(checks, machines[i]);

        watch->sent = *machine_sent(machines[i]);
        watch->operations = machine_operations(machines[i]);
        watch->links = links_up(machines[i]);
    }
}

static bool linked(struct machine *machine, struct machine *other)
{
    const struct core *core = machine_core(machine);

    for (size_t i = 0; i < core_link_count(core); i++) {
        struct link_info info;

        core_link_info(core, i, 0, &info);
        if (info.state == LINK_UP &&
            site_equal(&info.site, checks_site(other)))
            return true;
    }
    return false;
}

/* Whether a machine waits for its turn to dial another of these. */
static bool unlinked(struct machine *const *machines, size_t count)
{
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < count; j++)
            if (i != j &&
                (machine_exchanges(machines[i]) ||
                 machine_dials(machines[i], machine_index(machines[j]))) &&
                !linked(machines[i], machines[j]))
                return true;
    return false;
}

bool checks_restless(struct checks *checks, struct machine *const *machines,
                     size_t count)
{
    if (unlinked(machines, count))
        return true;
    for (size_t i = 0; i < count; i++) {
        const struct machine_sent *before =
            &checks_watch(checks, machines[i])->sent;
        const struct machine_sent *sent = machine_sent(machines[i]);

        /* A giver that nobody answers lets go of its spool after 30 s, and
         * may delete a file then. */
        if (machine_audits(machines[i]) || machine_gives(machines[i]))
            return true;
        for (size_t kind = MESSAGE_HELLO; kind <= MESSAGE_KIND_MAX; kind++)
            if (kind != MESSAGE_VV &&
                sent->frames[kind] != before->frames[kind])
                return true;
    }
    return false;
}

/* I37 */
static void check_found(struct checks *checks, struct machine *const *machines,
                        size_t count)
{
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < i && machine_exchanges(machines[i]); j++)
            if (!linked(machines[i], machines[j]))
                world_fail(checks->world, "I37",
                           "n%zu and n%zu have not found one another",
                           machine_index(machines[i]),
                           machine_index(machines[j]));
}

void checks_rest_end(struct checks *checks, struct machine *const *machines,
                     size_t count, sim_time duration)
{
    check_found(checks, machines, count);
    for (size_t i = 0; i < count; i++) {
        struct watch *watch = checks_watch(checks, machines[i]);
        uint64_t beats = (uint64_t)(duration / SIM_SECOND + 1);
        uint64_t bytes, frames;
        char kinds[120];

        frames = frames_since(machines[i], &watch->sent, &bytes, kinds,
                              sizeof kinds);
        if (frames > beats * watch->links ||
            bytes > frames * REST_FRAME_SIZE_MAX)
            world_fail(checks->world, "I17",
                       "n%zu: sent%s (%llu bytes) on %zu links in %llu"
                       " heartbeats at rest",
                       machine_index(machines[i]), kinds,
                       (unsigned long long)bytes, watch->links,
                       (unsigned long long)beats);
        if (machine_operations(machines[i]) != watch->operations)
            world_fail(checks->world, "I17", "n%zu: wrote to its disk at rest",
                       machine_index(machines[i]));
    }
}
