/* One core that is fed by hand, where the very message matters: its clock and
 * the effects of its last step. */
#ifndef TESTS_CORE_LONE_H
#define TESTS_CORE_LONE_H

#include "check.h"
#include "core/core.h"

#define LONE_WALL 1700000000000
/* Of the vectors that peers send. */
#define LONE_EPOCH 99

struct lone {
    struct core *core;
    struct effects effects;
    gv_time_ms now;
    gv_time_ms wall_ahead; /* of LONE_WALL + now */
    int code;              /* what the last step ended with */
    size_t refused;        /* steps that ended with an error */
    struct vv vv;
    struct core_stage stage; /* that an earlier run left */
    uint64_t kept, kept_of;  /* bytes staged, and the token */
};

/* A core whose vector is that of @lone, at @config's time. */
static inline void lone_open(struct lone *lone, struct core_config *config)
{
    config->vv = &lone->vv;
    CHECK_INT(core_new(config, &lone->core), ==, GV_OK);
    lone->now = config->now;
}

static inline void lone_close(struct lone *lone)
{
    core_free(lone->core);
    vv_close(&lone->vv);
}

static inline void feed(struct lone *lone, struct event event)
{
    const char *which = "";

    event.now = lone->now;
    event.wall = LONE_WALL + lone->now + lone->wall_ahead;
    lone->code = core_step(lone->core, &event, &lone->effects);
    lone->refused += lone->code != GV_OK;
    if (!core_check(lone->core, &which))
        CHECK_TEXT(which, "");
}

static inline void tick(struct lone *lone, gv_time_ms ms)
{
    lone->now += ms;
    feed(lone, (struct event){.kind = EVENT_TICK});
    CHECK_INT(core_deadline(lone->core), >, lone->now);
}

static inline void message_in(struct lone *lone, gv_link link,
                              const struct message *message)
{
    struct event event = {.kind = EVENT_MESSAGE, .link = link};

    event.as.message.message = message;
    event.as.message.frame_size = 100;
    feed(lone, event);
}

static inline struct message hello_of(struct site site, uint64_t instance)
{
    struct message message = {.kind = MESSAGE_HELLO};
    struct message_hello *hello = &message.as.hello;

    hello->dialect = (struct dialect){PROTOCOL_VERSION_MAX,
                                      PROTOCOL_VERSION_MAX, FEATURES_ALL};
    hello->mesh = (struct text){"fish", 4};
    hello->site = site;
    hello->instance = instance;
    hello->epoch = LONE_EPOCH;
    hello->name = (struct text){"you", 3};
    hello->schema_digest = 1;
    hello->clock = LONE_WALL;
    return message;
}

/* The effect of @kind that comes after @nth others of it, or NULL. */
static inline const struct effect *
nth_effect(const struct lone *lone, enum effect_kind kind, size_t nth)
{
    for (size_t i = 0; i < lone->effects.count; i++) {
        if (lone->effects.items[i].kind == kind && nth-- == 0)
            return &lone->effects.items[i];
    }
    return NULL;
}

/* The first message of @kind sent on @link, or NULL. */
static inline const struct message *sent(const struct lone *lone, gv_link link,
                                         enum message_kind kind)
{
    const struct effect *item;

    for (size_t i = 0; (item = nth_effect(lone, EFFECT_SEND, i)) != NULL;
         i++) {
        if (item->link == link && item->as.send.message.kind == kind)
            return &item->as.send.message;
    }
    return NULL;
}

#endif
