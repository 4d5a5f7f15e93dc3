#include "script.h"

#include "base/assert.h"

#include <stdlib.h>
#include <string.h>

struct shrink {
    struct script *script;
    bool (*fails)(void *context, const struct script *script);
    void *context;
    size_t tries;        /* left */
    struct action *part; /* room for what is tried */
};

/* Try the script without the actions that @leaves_out names; keep it so if it
 * still fails. */
static bool shrink_try(struct shrink *shrink, const struct swarm *swarm,
                       bool (*leaves_out)(size_t index,
                                          const struct action *action,
                                          const size_t range[2]),
                       const size_t range[2])
{
    struct script *script = shrink->script;
    struct script trial = {*swarm, script->seed, shrink->part, 0};

    if (shrink->tries == 0)
        return false;
    for (size_t i = 0; i < script->count; i++)
        if (!leaves_out(i, &script->actions[i], range))
            shrink->part[trial.count++] = script->actions[i];
    shrink->tries--;
    if (!shrink->fails(shrink->context, &trial))
        return false;
    memcpy(script->actions, shrink->part, trial.count * sizeof *shrink->part);
    script->count = trial.count;
    script->swarm = *swarm;
    return true;
}

static bool is_of_kind(size_t index, const struct action *action,
                       const size_t range[2])
{
    (void)index;
    return (size_t)action->kind == range[0];
}

static bool is_of_class(size_t index, const struct action *action,
                        const size_t range[2])
{
    (void)index;
    return (size_t)action->fault == range[0];
}

static bool is_between(size_t index, const struct action *action,
                       const size_t range[2])
{
    (void)action;
    return index >= range[0] && index < range[1];
}

static void shrink_kinds(struct shrink *shrink)
{
    const struct script *script = shrink->script;

    for (size_t kind = 0; kind < ACTIONS; kind++) {
        size_t of_kind = 0;

        for (size_t i = 0; i < script->count; i++)
            of_kind += (size_t)script->actions[i].kind == kind;
        if (of_kind > 0)
            shrink_try(shrink, &script->swarm, is_of_kind,
                       (const size_t[2]){kind});
    }
}

/* A class that is off also spares its chances in the network and in what the
 * programs write. */
static void shrink_classes(struct shrink *shrink)
{
    for (enum fault fault = 1; fault < FAULTS; fault++) {
        struct swarm swarm = shrink->script->swarm;

        if (!swarm.on[fault])
            continue;
        swarm.on[fault] = false;
        shrink_try(shrink, &swarm, is_of_class, (const size_t[2]){fault});
    }
}

/* Parts of @size, one after the other.  True if one could go. */
static bool shrink_parts(struct shrink *shrink, size_t size)
{
    bool shrunk = false;
    size_t at = 0;

    while (at < shrink->script->count && shrink->tries > 0) {
        if (shrink_try(shrink, &shrink->script->swarm, is_between,
                       (const size_t[2]){at, at + size}))
            shrunk = true;
        else
            at += size;
    }
    return shrunk;
}

void script_shrink(struct script *script,
                   bool (*fails)(void *context, const struct script *script),
                   void *context, size_t tries_max)
{
    struct shrink shrink = {script, fails, context, tries_max, NULL};

    shrink.part = reallocarray(NULL, script->count + 1, sizeof *shrink.part);
    GV_ASSERT(shrink.part != NULL);
    shrink_kinds(&shrink);
    shrink_classes(&shrink);
    for (size_t size = script->count / 2; size > 1; size /= 2)
        shrink_parts(&shrink, size);
    while (shrink.tries > 0 && shrink_parts(&shrink, 1))
        ;
    free(shrink.part);
}
