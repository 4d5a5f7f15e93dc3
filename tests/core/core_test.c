/* The protocol, case by case: one core that is fed by hand, where the very
 * message matters; small meshes, where the outcome does. */
#include "check.h"
#include "core/clock.h"
#include "lone.h"
#include "mesh.h"

static const struct site own = {{5, 5, 5}};
static const struct site other = {{9, 9, 9}};
static const struct site third = {{1, 1, 1}};
static const struct hash128 print_a = {1, 2}, print_b = {3, 4};

#define OWN_INSTANCE 77
#define OTHER_INSTANCE 88
#define OTHER_EPOCH LONE_EPOCH
static void lone_new(struct lone *lone)
{
    struct core_config config = {.now = 1000,
                                 .site = own,
                                 .mesh = "fish",
                                 .name = "me",
                                 .instance = OWN_INSTANCE,
                                 .seed = 1,
                                 .fingerprint = print_a,
                                 .schema_digest = 1,
                                 .stage = lone->stage};

    lone_open(lone, &config);
    lone->wall_ahead = -config.now;
}

static void lone_init(struct lone *lone)
{
    memset(lone, 0, sizeof(*lone));
    CHECK_INT(vv_raise(&lone->vv, &own, 100), ==, GV_OK);
    lone_new(lone);
}

static const struct effect *effect(const struct lone *lone,
                                   enum effect_kind kind)
{
    return nth_effect(lone, kind, 0);
}

static bool said_bye(const struct lone *lone, gv_link link, enum bye_code code)
{
    const struct message *bye = sent(lone, link, MESSAGE_BYE);
    const struct effect *closed = effect(lone, EFFECT_CLOSE);

    return bye != NULL && bye->as.bye.code == code && closed != NULL &&
           closed->link == link;
}

static bool logged(const struct lone *lone, const char *part)
{
    for (size_t i = 0; i < lone->effects.count; i++) {
        const struct effect *item = &lone->effects.items[i];
        if (item->kind == EFFECT_LOG && strstr(item->as.log.line, part))
            return true;
    }
    return false;
}

static void up(struct lone *lone, gv_link link)
{
    feed(lone, (struct event){.kind = EVENT_LINK_UP, .link = link});
}

static void down(struct lone *lone, gv_link link, const char *reason)
{
    feed(lone, (struct event){
                   .kind = EVENT_LINK_DOWN, .link = link, .reason = reason});
}

static struct text text(const char *bytes)
{
    return (struct text){bytes, strlen(bytes)};
}

static void greet(struct lone *lone, gv_link link, struct site site)
{
    struct message hello = hello_of(site, OTHER_INSTANCE);

    up(lone, link);
    message_in(lone, link, &hello);
}

/* A VV of the other side that says that it holds @version of @site. */
static void vv_in(struct lone *lone, gv_link link, struct site site,
                  gv_version version, uint64_t hash,
                  struct hash128 fingerprint)
{
    struct message message = {.kind = MESSAGE_VV};
    struct vv_entry entry = {site, version};
    uint8_t bytes[VV_ENTRY_SIZE];

    vv_entry_store(&entry, bytes);
    message.as.vv.epoch = OTHER_EPOCH;
    message.as.vv.entries = (struct vv_view){bytes, version > 0};
    message.as.vv.vv_hash = hash;
    message.as.vv.fingerprint = fingerprint;
    message_in(lone, link, &message);
}

/* As above, with the hash that such a vector has if there is no more. */
static void tells(struct lone *lone, gv_link link, struct site site,
                  gv_version version)
{
    struct vv vv;

    vv_init(&vv);
    CHECK_INT(vv_raise(&vv, &site, version), ==, GV_OK);
    vv_in(lone, link, site, version, vv.hash, print_b);
    vv_close(&vv);
}

static uint8_t news_bytes[MESSAGE_NEWS_SIZE_MAX];

static struct message news_of(struct site site, gv_version from, gv_version to,
                              size_t size)
{
    struct message message = {.kind = MESSAGE_NEWS};

    message.as.news.interval_count = 1;
    message.as.news.intervals[0].site = site;
    message.as.news.intervals[0].from = from;
    message.as.news.intervals[0].to = to;
    message.as.news.intervals[0].bytes = news_bytes;
    message.as.news.intervals[0].size = size;
    return message;
}

static void applied(struct lone *lone, const struct message *news,
                    gv_link link, int code)
{
    struct event event = {
        .kind = EVENT_APPLIED, .link = link, .code = code, .reason = "why"};

    event.as.applied.interval = news->as.news.intervals[0];
    event.as.applied.fingerprint = print_b;
    feed(lone, event);
}

static void sealed(struct lone *lone, gv_version from, gv_version to,
                   size_t size)
{
    struct event event = {.kind = EVENT_SEALED};

    event.as.sealed.interval =
        (struct interval){.site = own, .from = from, .to = to, .size = size};
    event.as.sealed.interval.bytes = size > 0 ? news_bytes : NULL;
    event.as.sealed.fingerprint = print_a;
    feed(lone, event);
}

static struct link_info info_of(const struct lone *lone, size_t index)
{
    struct link_info info;

    CHECK_INT(index, <, core_link_count(lone->core));
    core_link_info(lone->core, index, lone->now, &info);
    return info;
}

static const struct core_counters *counters(const struct lone *lone)
{
    return core_counters(lone->core);
}

/* Links */

TEST(both_sides_say_hello_and_their_whole_vector_at_once)
{
    struct lone lone;
    const struct message *hello, *vv;

    lone_init(&lone);
    up(&lone, 1);
    hello = sent(&lone, 1, MESSAGE_HELLO);
    vv = sent(&lone, 1, MESSAGE_VV);
    CHECK(hello != NULL && vv != NULL);
    CHECK_INT(hello->as.hello.vv_count, ==, 1);
    CHECK_INT(vv->as.vv.entries.count, ==, 1);
    CHECK_INT(vv_view_at(vv->as.vv.entries, 0).version, ==, 100);
    CHECK(vv->as.vv.epoch == hello->as.hello.epoch);
    CHECK(vv->as.vv.vv_hash == lone.vv.hash);
    CHECK_INT(info_of(&lone, 0).state, ==, LINK_GREETING);
    lone_close(&lone);
}

TEST(a_vector_of_ten_thousand_sites_is_shown_then_sent_in_two_frames)
{
    struct lone lone = {0};
    struct message hello = hello_of(other, OTHER_INSTANCE);
    size_t frames = 0, entries = 0;

    for (uint32_t i = 0; i < VV_SITES_MAX; i++) {
        struct site site = {{(uint8_t)(i >> 8), (uint8_t)i, 1}};
        CHECK_INT(vv_raise(&lone.vv, &site, 1 + i), ==, GV_OK);
    }
    lone_new(&lone);
    up(&lone, 1);
    CHECK(sent(&lone, 1, MESSAGE_VV) == NULL);
    CHECK_INT(sent(&lone, 1, MESSAGE_HELLO)->as.hello.sketch.count, ==, 512);
    message_in(&lone, 1, &hello);
    for (size_t i = 0; i < lone.effects.count; i++) {
        const struct effect *item = &lone.effects.items[i];
        if (item->kind != EFFECT_SEND ||
            item->as.send.message.kind != MESSAGE_VV)
            continue;
        frames++;
        entries += item->as.send.message.as.vv.entries.count;
        CHECK_INT(item->as.send.message.as.vv.entries.count, <=, 9000);
        CHECK(vv_view_valid(item->as.send.message.as.vv.entries));
    }
    CHECK_INT(frames, ==, 2);
    CHECK_INT(entries, ==, VV_SITES_MAX);
    lone_close(&lone);
}

TEST(a_link_is_up_when_hello_and_all_its_entries_have_come)
{
    struct lone lone;
    struct link_info info;
    struct message hello = hello_of(other, OTHER_INSTANCE);

    lone_init(&lone);
    up(&lone, 1);
    hello.as.hello.vv_count = 2;
    message_in(&lone, 1, &hello);
    CHECK_INT(info_of(&lone, 0).state, ==, LINK_GREETING);
    tells(&lone, 1, other, 7);
    CHECK_INT(info_of(&lone, 0).state, ==, LINK_GREETING);
    tells(&lone, 1, third, 7);
    CHECK_INT(info_of(&lone, 0).state, ==, LINK_UP);
    CHECK(logged(&lone, "linked with you (09090900)"));
    CHECK_TEXT(info_of(&lone, 0).name, "you");
    info = info_of(&lone, 0);
    CHECK(site_equal(&info.site, &other));
    lone_close(&lone);
}

TEST(who_does_not_say_hello_first_is_told_to)
{
    struct lone lone;

    lone_init(&lone);
    up(&lone, 1);
    tells(&lone, 1, other, 7);
    CHECK(said_bye(&lone, 1, BYE_SAY_HELLO));
    CHECK_INT(lone.code, ==, GV_OK);
    CHECK_INT(core_link_count(lone.core), ==, 0);
    lone_close(&lone);
}

static void dial(struct lone *lone, const char *endpoint)
{
    CHECK_INT(core_add_peer(lone->core, endpoint), ==, GV_OK);
    tick(lone, 0);
    CHECK(effect(lone, EFFECT_CONNECT) != NULL);
    CHECK_TEXT(effect(lone, EFFECT_CONNECT)->as.connect.endpoint, endpoint);
}

static void bye_in(struct lone *lone, gv_link link, enum bye_code code)
{
    struct message bye = {.kind = MESSAGE_BYE};

    bye.as.bye.code = code;
    bye.as.bye.text = text("go\naway");
    message_in(lone, link, &bye);
}

TEST(a_dialler_that_is_told_to_say_hello_dials_again_soon)
{
    struct lone lone;

    lone_init(&lone);
    dial(&lone, "tcp://x:1");
    greet(&lone, 2, other);
    bye_in(&lone, 2, BYE_SAY_HELLO);
    CHECK(effect(&lone, EFFECT_CLOSE) != NULL);
    CHECK_INT(core_deadline(lone.core), <=, lone.now + 150);
    tick(&lone, 150);
    CHECK_INT(effect(&lone, EFFECT_CONNECT)->link, ==, 4);
    lone_close(&lone);
}

TEST(peers_are_bounded_distinct_and_of_sane_length)
{
    struct lone lone;
    char endpoint[400];

    lone_init(&lone);
    CHECK_INT(core_add_peer(lone.core, ""), ==, GV_EINVAL);
    memset(endpoint, 'x', sizeof(endpoint));
    endpoint[399] = '\0';
    CHECK_INT(core_add_peer(lone.core, endpoint), ==, GV_EINVAL);
    for (int i = 0; i < CORE_PEERS_MAX; i++) {
        snprintf(endpoint, sizeof(endpoint), "tcp://x:%d", i);
        CHECK_INT(core_add_peer(lone.core, endpoint), ==, GV_OK);
    }
    CHECK_INT(core_add_peer(lone.core, endpoint), ==, GV_EEXIST);
    CHECK_INT(core_add_peer(lone.core, "tcp://y:1"), ==, GV_ELIMIT);
    lone_close(&lone);
}

TEST(redials_back_off_with_jitter_and_complain_once)
{
    struct lone lone;
    gv_time_ms longest = 0, last = 0;
    bool jitter = false;

    lone_init(&lone);
    dial(&lone, "tcp://x:1");
    for (gv_link link = 2; link < 60; link += 2) {
        gv_time_ms wait;
        down(&lone, link, "no route");
        CHECK_INT(logged(&lone, "cannot reach tcp://x:1: no route"), ==,
                  link == 2);
        CHECK_INT(info_of(&lone, 0).state, ==, LINK_WAITING);
        CHECK_TEXT(info_of(&lone, 0).reason, "no route");
        wait = core_deadline(lone.core) - lone.now;
        CHECK_INT(wait, >=, CORE_RECONNECT_MIN_MS / 2);
        CHECK_INT(wait, <=, CORE_RECONNECT_MAX_MS * 3 / 2);
        jitter |= link > 40 && wait != last;
        last = wait;
        longest = wait > longest ? wait : longest;
        tick(&lone, wait);
        CHECK_INT(effect(&lone, EFFECT_CONNECT)->link, ==, link + 2);
    }
    CHECK_INT(longest, >, CORE_RECONNECT_MAX_MS / 2);
    CHECK(jitter);
    greet(&lone, 60, other);
    CHECK_INT(info_of(&lone, 0).state, ==, LINK_UP);
    CHECK_TEXT(info_of(&lone, 0).reason, "");
    down(&lone, 60, "reset");
    CHECK(logged(&lone, "lost the link with you (09090900): reset"));
    lone_close(&lone);
}

TEST(a_dial_that_is_not_greeted_in_three_seconds_is_tried_again)
{
    struct lone lone;

    lone_init(&lone);
    dial(&lone, "tcp://x:1");
    up(&lone, 2);
    tick(&lone, CORE_SILENCE_MAX_MS - 1);
    CHECK(effect(&lone, EFFECT_CLOSE) == NULL);
    tick(&lone, 1);
    CHECK_INT(effect(&lone, EFFECT_CLOSE)->link, ==, 2);
    CHECK(logged(&lone, "cannot reach tcp://x:1: no answer"));
    tick(&lone, 150);
    CHECK_INT(effect(&lone, EFFECT_CONNECT)->link, ==, 4);
    up(&lone, 2); /* late, of a link given up */
    CHECK_INT(lone.effects.count, ==, 0);
    lone_close(&lone);
}

TEST(silence_on_a_link_closes_it_and_frames_keep_it)
{
    struct lone lone;

    lone_init(&lone);
    dial(&lone, "tcp://x:1");
    greet(&lone, 2, other);
    for (int i = 0; i < 5; i++) {
        tick(&lone, 2000);
        CHECK(sent(&lone, 2, MESSAGE_VV) != NULL);
        CHECK(effect(&lone, EFFECT_CLOSE) == NULL);
        vv_in(&lone, 2, other, 0, 0, print_b);
    }
    tick(&lone, CORE_SILENCE_MAX_MS);
    CHECK(said_bye(&lone, 2, BYE_SILENT));
    CHECK(logged(&lone, "lost the link"));
    tick(&lone, 150);
    CHECK(effect(&lone, EFFECT_CONNECT) != NULL);
    lone_close(&lone);
}

TEST(heartbeats_carry_only_what_changed)
{
    struct lone lone;

    lone_init(&lone);
    greet(&lone, 1, other);
    tick(&lone, CORE_HEARTBEAT_MS);
    CHECK_INT(sent(&lone, 1, MESSAGE_VV)->as.vv.entries.count, ==, 0);
    CHECK(sent(&lone, 1, MESSAGE_VV)->as.vv.vv_hash == lone.vv.hash);
    sealed(&lone, 100, 101, 0); /* too long for NEWS: a VV tells it */
    CHECK(sent(&lone, 1, MESSAGE_NEWS) == NULL);
    tick(&lone, CORE_VV_PROGRESS_MS);
    CHECK_INT(sent(&lone, 1, MESSAGE_VV)->as.vv.entries.count, ==, 1);
    lone_close(&lone);
}

TEST(another_mesh_is_refused_said_and_tried_rarely)
{
    struct lone lone;
    struct message hello = hello_of(other, OTHER_INSTANCE);

    lone_init(&lone);
    hello.as.hello.mesh = text("fowl");
    dial(&lone, "tcp://x:1");
    up(&lone, 2);
    message_in(&lone, 2, &hello);
    CHECK(said_bye(&lone, 2, BYE_OTHER_MESH));
    CHECK(logged(&lone, "mesh 'fowl'"));
    CHECK_INT(info_of(&lone, 0).state, ==, LINK_REFUSED);
    CHECK(strstr(info_of(&lone, 0).reason, "fowl") != NULL);
    tick(&lone, CORE_REFUSED_RETRY_MS - 1);
    CHECK(effect(&lone, EFFECT_CONNECT) == NULL);
    tick(&lone, 1);
    CHECK(effect(&lone, EFFECT_CONNECT) != NULL);
    CHECK_INT(info_of(&lone, 0).state, ==, LINK_REFUSED);
    up(&lone, 4);
    message_in(&lone, 4, &hello);
    CHECK(!logged(&lone, "fowl"));
    lone_close(&lone);
}

TEST(a_refusal_by_the_other_side_is_shown_with_its_words)
{
    struct lone lone;

    lone_init(&lone);
    dial(&lone, "tcp://x:1");
    up(&lone, 2);
    bye_in(&lone, 2, BYE_OTHER_VERSION);
    CHECK(logged(&lone, "tcp://x:1 refuses this node"));
    CHECK_INT(info_of(&lone, 0).state, ==, LINK_REFUSED);
    CHECK(strstr(info_of(&lone, 0).reason, "version of the protocol"));
    CHECK(strstr(info_of(&lone, 0).reason, "go?away"));
    lone_close(&lone);
}

TEST(another_protocol_version_is_refused)
{
    struct lone lone;
    struct message hello = hello_of(other, OTHER_INSTANCE);

    lone_init(&lone);
    hello.as.hello.dialect.min = PROTOCOL_VERSION_MAX + 1;
    hello.as.hello.dialect.max = 9;
    up(&lone, 1);
    message_in(&lone, 1, &hello);
    CHECK(said_bye(&lone, 1, BYE_OTHER_VERSION));
    hello.as.hello.dialect.min = 1; /* a range that overlaps */
    up(&lone, 3);
    message_in(&lone, 3, &hello);
    CHECK_INT(info_of(&lone, 0).state, ==, LINK_UP);
    lone_close(&lone);
}

TEST(a_clock_that_is_wrong_is_told_until_it_is_right)
{
    struct lone lone;
    struct message hello = hello_of(other, OTHER_INSTANCE);
    struct message vv = {.kind = MESSAGE_VV};

    lone_init(&lone);
    up(&lone, 1);
    hello.as.hello.clock = MESH_WALL - CLOCK_DRIFT_MAX_MS - 1000000;
    message_in(&lone, 1, &hello);
    CHECK_INT(info_of(&lone, 0).clock_ahead_ms, >, CLOCK_DRIFT_MAX_MS);
    vv.as.vv.epoch = OTHER_EPOCH;
    vv.as.vv.clock = MESH_WALL + CLOCK_DRIFT_MAX_MS + 1000000;
    message_in(&lone, 1, &vv);
    CHECK_INT(info_of(&lone, 0).clock_ahead_ms, <, -CLOCK_DRIFT_MAX_MS);
    vv.as.vv.clock = MESH_WALL;
    message_in(&lone, 1, &vv);
    CHECK_INT(info_of(&lone, 0).clock_ahead_ms, ==, 0);
    lone_close(&lone);
}

TEST(a_node_that_dials_itself_does_so_once)
{
    struct lone lone;
    struct message hello = hello_of(own, OWN_INSTANCE);

    lone_init(&lone);
    dial(&lone, "tcp://me:1");
    up(&lone, 2);
    up(&lone, 1);
    message_in(&lone, 1, &hello);
    CHECK(said_bye(&lone, 1, BYE_SELF));
    message_in(&lone, 2, &hello);
    CHECK(said_bye(&lone, 2, BYE_SELF));
    CHECK_INT(info_of(&lone, 0).state, ==, LINK_REFUSED);
    CHECK_TEXT(info_of(&lone, 0).reason, "this is this node itself");
    CHECK(info_of(&lone, 0).itself);
    tick(&lone, 1000000);
    CHECK(effect(&lone, EFFECT_CONNECT) == NULL);
    lone_close(&lone);
}

TEST(a_live_copy_of_this_file_is_refused_loudly)
{
    struct lone lone;
    struct message hello = hello_of(own, OTHER_INSTANCE);

    lone_init(&lone);
    dial(&lone, "tcp://x:1");
    up(&lone, 2);
    message_in(&lone, 2, &hello);
    CHECK(said_bye(&lone, 2, BYE_SAME_SITE));
    CHECK(logged(&lone, "copy of the other"));
    CHECK(effect(&lone, EFFECT_HEARD_OWN) == NULL); /* it started later */
    CHECK_INT(info_of(&lone, 0).state, ==, LINK_REFUSED);
    tick(&lone, 2 * CORE_RECONNECT_MIN_MS);
    CHECK(effect(&lone, EFFECT_CONNECT) != NULL);
    lone_close(&lone);
}

TEST(of_two_live_copies_the_later_one_gives_up_its_site_id)
{
    struct lone lone;
    struct message hello = hello_of(own, OWN_INSTANCE - 1);
    const struct effect *heard;

    lone_init(&lone);
    up(&lone, 1);
    message_in(&lone, 1, &hello);
    CHECK(said_bye(&lone, 1, BYE_SAME_SITE));
    heard = effect(&lone, EFFECT_HEARD_OWN);
    CHECK(heard != NULL && heard->as.heard_own.version == VERSION_MAX);
    lone_close(&lone);
}

/* Instance @number of a site comes on a connection of its own. */
static void come(struct lone *lone, gv_link link, uint64_t instance)
{
    struct message hello = hello_of(other, instance);

    up(lone, link);
    message_in(lone, link, &hello);
}

TEST(of_two_live_nodes_with_one_id_that_come_in_turns_the_later_is_told)
{
    struct lone lone;

    lone_init(&lone);
    come(&lone, 1, OTHER_INSTANCE);
    come(&lone, 3, OTHER_INSTANCE + 1);
    CHECK(said_bye(&lone, 1, BYE_DUPLICATE));
    come(&lone, 5, OTHER_INSTANCE);
    CHECK(said_bye(&lone, 3, BYE_DUPLICATE));
    come(&lone, 7, OTHER_INSTANCE + 1);
    CHECK(said_bye(&lone, 5, BYE_DUPLICATE));
    come(&lone, 9, OTHER_INSTANCE);
    CHECK(said_bye(&lone, 7, BYE_SAME_SITE));
    CHECK(logged(&lone, "two live nodes have one site id"));
    CHECK(!said_bye(&lone, 9, BYE_DUPLICATE));
    lone_close(&lone);
}

TEST(the_later_of_two_is_told_too_where_it_comes_last)
{
    struct lone lone;

    lone_init(&lone);
    come(&lone, 1, OTHER_INSTANCE + 1);
    come(&lone, 3, OTHER_INSTANCE);
    come(&lone, 5, OTHER_INSTANCE + 1);
    come(&lone, 7, OTHER_INSTANCE);
    come(&lone, 9, OTHER_INSTANCE + 1);
    CHECK(said_bye(&lone, 9, BYE_SAME_SITE));
    CHECK(!said_bye(&lone, 7, BYE_DUPLICATE));
    CHECK_INT(info_of(&lone, 0).state, ==, LINK_UP);
    lone_close(&lone);
}

TEST(a_node_that_is_started_anew_again_and_again_is_no_twin)
{
    struct lone lone;

    lone_init(&lone);
    for (uint64_t i = 0; i < 9; i++) {
        come(&lone, 1 + 2 * i, OTHER_INSTANCE + i);
        CHECK_INT(info_of(&lone, 0).state, ==, LINK_UP);
        CHECK_INT(info_of(&lone, 0).link, ==, 1 + 2 * i);
    }
    lone_close(&lone);
}

/* Turns that are far apart are starts from a machine's images, one by one. */
TEST(turns_that_take_long_are_no_twins)
{
    struct lone lone;

    lone_init(&lone);
    for (uint64_t i = 0; i < 9; i++) {
        tick(&lone, 40000);
        come(&lone, 1 + 2 * i, OTHER_INSTANCE + i % 2);
        CHECK_INT(info_of(&lone, 0).state, ==, LINK_UP);
        CHECK_INT(info_of(&lone, 0).link, ==, 1 + 2 * i);
    }
    lone_close(&lone);
}

TEST(who_is_told_by_a_third_node_that_its_id_is_taken_gives_it_up)
{
    struct lone lone;
    struct message bye = {.kind = MESSAGE_BYE};
    const struct effect *heard;

    lone_init(&lone);
    bye.as.bye.code = BYE_SAME_SITE;
    bye.as.bye.text = text("taken");
    greet(&lone, 1, other);
    message_in(&lone, 1, &bye);
    heard = effect(&lone, EFFECT_HEARD_OWN);
    CHECK(heard != NULL && heard->as.heard_own.version == VERSION_MAX);
    /* Before its HELLO it may be the twin itself. */
    up(&lone, 3);
    message_in(&lone, 3, &bye);
    CHECK(effect(&lone, EFFECT_HEARD_OWN) == NULL);
    lone_close(&lone);
}

TEST(a_dialled_node_that_another_took_the_place_of_is_dialled_again)
{
    struct lone lone;
    struct message hello = hello_of(other, OTHER_INSTANCE);

    lone_init(&lone);
    dial(&lone, "tcp://x:1");
    up(&lone, 2);
    message_in(&lone, 2, &hello);
    come(&lone, 1, OTHER_INSTANCE + 1);
    CHECK(said_bye(&lone, 2, BYE_DUPLICATE));
    tick(&lone, 2 * CORE_RECONNECT_MIN_MS);
    CHECK(effect(&lone, EFFECT_CONNECT) != NULL);
    lone_close(&lone);
}

/* The file there took a new id meanwhile, and has nobody to dial. */
TEST(a_node_whose_site_another_has_too_is_dialled_again_when_it_was_away)
{
    struct lone lone;
    struct message hello = hello_of(other, OTHER_INSTANCE);

    lone_init(&lone);
    dial(&lone, "tcp://x:1");
    up(&lone, 2);
    message_in(&lone, 2, &hello);
    bye_in(&lone, 2, BYE_STOPPING);
    come(&lone, 1, OTHER_INSTANCE + 1);
    CHECK(effect(&lone, EFFECT_CONNECT) == NULL);
    tick(&lone, 2 * CORE_RECONNECT_MIN_MS);
    CHECK(effect(&lone, EFFECT_CONNECT) != NULL);
    lone_close(&lone);
}

TEST(a_core_that_follows_another_goes_on_with_its_link_numbers)
{
    struct vv vv;
    struct core_config config = {.site = own,
                                 .mesh = "m",
                                 .name = "n",
                                 .instance = OWN_INSTANCE,
                                 .first_link = 8,
                                 .vv = &vv};
    struct event event = {.kind = EVENT_TICK, .now = 1, .wall = 1};
    struct effects effects;
    struct core *core;

    vv_init(&vv);
    CHECK_INT(core_new(&config, &core), ==, GV_OK);
    CHECK_INT(core_add_peer(core, "tcp://x:1"), ==, GV_OK);
    CHECK_INT(core_step(core, &event, &effects), ==, GV_OK);
    CHECK_INT(effects.count, ==, 1);
    CHECK_INT(effects.items[0].kind, ==, EFFECT_CONNECT);
    CHECK_INT(effects.items[0].link, ==, 8);
    CHECK_INT(core_next_link(core), ==, 10);
    core_free(core);
}

/* Link 2 is dialled by this node (site 5…), link 1 by the other. */
static void dialled_and_accepted(struct lone *lone, struct site site)
{
    lone_init(lone);
    dial(lone, "tcp://x:1");
    greet(lone, 2, site);
    greet(lone, 1, site);
}

TEST(of_two_links_the_one_dialled_by_the_smaller_site_stays)
{
    struct lone lone;

    dialled_and_accepted(&lone, other); /* larger */
    CHECK(said_bye(&lone, 1, BYE_DUPLICATE));
    CHECK_INT(core_link_count(lone.core), ==, 1);
    CHECK_INT(info_of(&lone, 0).link, ==, 2);
    lone_close(&lone);
    dialled_and_accepted(&lone, third); /* smaller */
    CHECK(said_bye(&lone, 2, BYE_DUPLICATE));
    CHECK(!logged(&lone, "linked")); /* nothing new for people */
    CHECK_INT(core_link_count(lone.core), ==, 1);
    CHECK_INT(info_of(&lone, 0).link, ==, 1);
    CHECK_INT(info_of(&lone, 0).state, ==, LINK_UP);
    CHECK_TEXT(info_of(&lone, 0).endpoint, "tcp://x:1");
    lone_close(&lone);
}

TEST(a_peer_with_another_link_is_dialled_again_when_that_is_gone)
{
    struct lone lone;

    dialled_and_accepted(&lone, third);
    for (int i = 0; i < 20; i++) {
        tick(&lone, CORE_HEARTBEAT_MS);
        CHECK(effect(&lone, EFFECT_CONNECT) == NULL);
        vv_in(&lone, 1, third, 0, 0, print_b);
    }
    down(&lone, 1, "gone");
    CHECK_INT(core_deadline(lone.core), <=, lone.now + 150);
    tick(&lone, 150);
    CHECK(effect(&lone, EFFECT_CONNECT) != NULL);
    lone_close(&lone);
}

TEST(of_two_links_dialled_by_one_side_the_older_stays)
{
    struct lone lone;

    lone_init(&lone);
    greet(&lone, 1, other);
    greet(&lone, 3, other);
    CHECK(said_bye(&lone, 3, BYE_DUPLICATE));
    CHECK_INT(core_link_count(lone.core), ==, 1);
    lone_close(&lone);
}

TEST(a_link_of_an_earlier_run_of_the_peer_is_closed)
{
    struct lone lone;
    struct message hello = hello_of(other, OTHER_INSTANCE + 1);

    lone_init(&lone);
    greet(&lone, 1, other);
    up(&lone, 3);
    message_in(&lone, 3, &hello);
    CHECK(said_bye(&lone, 1, BYE_DUPLICATE));
    CHECK_INT(info_of(&lone, 0).link, ==, 3);
    CHECK_INT(core_link_count(lone.core), ==, 1);
    lone_close(&lone);
}

TEST(more_links_than_there_is_room_for_are_told_so)
{
    struct lone lone;
    gv_link link = 1;

    lone_init(&lone);
    for (; link < 2 * CORE_LINKS_MAX; link += 2)
        up(&lone, link);
    up(&lone, link);
    CHECK(said_bye(&lone, link, BYE_FULL));
    CHECK_INT(core_link_count(lone.core), ==, CORE_LINKS_MAX);
    lone_close(&lone);
}

TEST(a_bad_frame_closes_its_link_and_no_other)
{
    struct lone lone;

    lone_init(&lone);
    greet(&lone, 1, other);
    greet(&lone, 3, third);
    feed(&lone, (struct event){
                    .kind = EVENT_BAD_FRAME, .link = 1, .code = GV_EPROTO});
    CHECK_INT(lone.code, ==, GV_EPROTO);
    CHECK(said_bye(&lone, 1, BYE_BAD_MESSAGE));
    CHECK_INT(counters(&lone)->bad_messages, ==, 1);
    CHECK_INT(core_link_count(lone.core), ==, 1);
    lone_close(&lone);
}

TEST(messages_that_break_the_protocol_close_their_link)
{
    uint8_t entries[2 * VV_ENTRY_SIZE] = {0}; /* version 0, one site twice */
    struct vv_view broken = {entries, 2};
    struct message vv = {.kind = MESSAGE_VV};
    struct message want = {.kind = MESSAGE_WANT};
    struct message news = news_of(other, 7, 7, 100);
    struct message hello = hello_of(third, OTHER_INSTANCE);
    struct message late = news_of(other, 0, 7, 100);
    const struct message *all[] = {&vv, &want, &news, &hello, &late};

    vv.as.vv.entries = broken;
    vv.as.vv.epoch = OTHER_EPOCH;
    want.as.want.credit = 1; /* no token */
    late.as.news.intervals[0].dependencies = broken;
    for (size_t i = 0; i < 5; i++) {
        struct lone lone;
        lone_init(&lone);
        greet(&lone, 1, other);
        message_in(&lone, 1, all[i]);
        CHECK_INT(lone.code, ==, GV_EPROTO);
        CHECK(said_bye(&lone, 1, BYE_BAD_MESSAGE));
        lone_close(&lone);
    }
}

TEST(events_of_links_that_are_gone_change_nothing)
{
    struct lone lone;
    struct message news = news_of(other, 0, 7, 100);
    struct event event = {.link = 1};

    lone_init(&lone);
    greet(&lone, 1, other);
    message_in(&lone, 1, &news);
    CHECK(effect(&lone, EFFECT_APPLY) != NULL);
    down(&lone, 1, "gone");
    message_in(&lone, 1, &news);
    CHECK_INT(lone.effects.count, ==, 0);
    down(&lone, 1, "gone");
    CHECK_INT(lone.effects.count, ==, 0);
    event.kind = EVENT_STAGED;
    feed(&lone, event);
    event.kind = EVENT_DELTA_APPLIED;
    feed(&lone, event);
    event.kind = EVENT_EXTRACTED;
    feed(&lone, event);
    event.kind = EVENT_BAD_FRAME;
    feed(&lone, event);
    CHECK_INT(lone.effects.count, ==, 0);
    applied(&lone, &news, 1, GV_OK); /* the store's word counts all the same */
    CHECK_INT(vv_get(core_vv(lone.core), &other), ==, 7);
    lone_close(&lone);
}

TEST(a_stop_says_goodbye_on_all_links)
{
    struct lone lone;

    lone_init(&lone);
    greet(&lone, 1, other);
    greet(&lone, 3, third);
    core_stop(lone.core, lone.now, &lone.effects);
    CHECK_INT(sent(&lone, 1, MESSAGE_BYE)->as.bye.code, ==, BYE_STOPPING);
    CHECK_INT(sent(&lone, 3, MESSAGE_BYE)->as.bye.code, ==, BYE_STOPPING);
    CHECK(nth_effect(&lone, EFFECT_CLOSE, 1) != NULL);
    lone_close(&lone);
}

TEST(what_peers_call_themselves_can_stand_in_a_line)
{
    struct lone lone;
    struct message hello = hello_of(other, OTHER_INSTANCE);

    lone_init(&lone);
    hello.as.hello.name = text("a\033[1mb\xff");
    up(&lone, 1);
    message_in(&lone, 1, &hello);
    CHECK_TEXT(info_of(&lone, 0).name, "a?[1mb?");
    down(&lone, 1, "gone");
    hello.as.hello.name = text("Z\xc3\xbcrich");
    up(&lone, 3);
    message_in(&lone, 3, &hello);
    CHECK_TEXT(info_of(&lone, 0).name, "Z\xc3\xbcrich");
    lone_close(&lone);
}

TEST(a_schema_that_moved_is_told_with_a_new_hello)
{
    struct lone lone;
    struct event event = {.kind = EVENT_SCHEMA_CHANGED};
    struct message hello = hello_of(other, OTHER_INSTANCE);

    lone_init(&lone);
    greet(&lone, 1, other);
    CHECK(!info_of(&lone, 0).schema_differs);
    event.as.schema.schema_digest = 2;
    event.as.schema.fingerprint = print_a;
    feed(&lone, event);
    CHECK_INT(sent(&lone, 1, MESSAGE_HELLO)->as.hello.schema_digest, ==, 2);
    CHECK(sent(&lone, 1, MESSAGE_VV) == NULL); /* that it was told before */
    CHECK(info_of(&lone, 0).schema_differs);
    tells(&lone, 1, own, 100);
    hello.as.hello.schema_digest = 2;
    message_in(&lone, 1, &hello);
    CHECK(!info_of(&lone, 0).schema_differs);
    CHECK_INT(info_of(&lone, 0).state, ==, LINK_UP);
    CHECK_INT(info_of(&lone, 0).believed->count, ==, 1);
    lone_close(&lone);
}

TEST(a_peer_that_greets_anew_is_told_all_again)
{
    struct lone lone;
    struct message hello = hello_of(other, OTHER_INSTANCE);

    lone_init(&lone);
    greet(&lone, 1, other);
    tells(&lone, 1, own, 100);
    hello.as.hello.epoch = OTHER_EPOCH + 1;
    message_in(&lone, 1, &hello);
    CHECK_INT(sent(&lone, 1, MESSAGE_VV)->as.vv.entries.count, ==, 1);
    CHECK_INT(info_of(&lone, 0).believed->count, ==, 0);
    CHECK_INT(info_of(&lone, 0).state, ==, LINK_UP);
    lone_close(&lone);
}

TEST(a_hello_whose_sketch_has_another_size_than_its_vector_is_refused)
{
    struct lone lone;
    struct message hello = hello_of(other, OTHER_INSTANCE);
    uint8_t bytes[2 * SKETCH_HASH_SIZE] = {0};

    lone_init(&lone);
    up(&lone, 1);
    hello.as.hello.sketch = (struct sketch_view){bytes, 2};
    hello.as.hello.vv_count = 32;
    message_in(&lone, 1, &hello);
    CHECK(said_bye(&lone, 1, BYE_BAD_MESSAGE));
    up(&lone, 3);
    hello.as.hello.vv_count = 33;
    message_in(&lone, 3, &hello);
    CHECK_INT(info_of(&lone, 0).state, ==, LINK_GREETING);
    tells(&lone, 3, other, 7); /* not a full frame: all has come */
    CHECK_INT(info_of(&lone, 0).state, ==, LINK_UP);
    lone_close(&lone);
}

/* News */

TEST(a_seal_is_pushed_at_once_to_all_links)
{
    struct lone lone;

    lone_init(&lone);
    greet(&lone, 1, other);
    greet(&lone, 3, third);
    up(&lone, 5); /* not greeted yet */
    sealed(&lone, 100, 101, 50);
    CHECK_INT(sent(&lone, 1, MESSAGE_NEWS)->as.news.intervals[0].to, ==, 101);
    CHECK(sent(&lone, 3, MESSAGE_NEWS) != NULL);
    CHECK(sent(&lone, 5, MESSAGE_NEWS) == NULL);
    CHECK_INT(counters(&lone)->news_sent, ==, 2);
    lone_close(&lone);
}

TEST(news_is_applied_acknowledged_and_passed_on_once)
{
    struct lone lone;
    struct message news = news_of(other, 0, 7, 100);

    lone_init(&lone);
    greet(&lone, 1, other);
    greet(&lone, 3, third);
    message_in(&lone, 1, &news);
    CHECK_INT(effect(&lone, EFFECT_APPLY)->as.apply.interval.to, ==, 7);
    CHECK_INT(effect(&lone, EFFECT_APPLY)->link, ==, 1);
    tick(&lone, 40);
    CHECK(sent(&lone, 1, MESSAGE_ACK) == NULL); /* not before the commit */
    CHECK_INT(vv_get(core_vv(lone.core), &other), ==, 0);
    applied(&lone, &news, 1, GV_OK);
    CHECK_INT(vv_get(core_vv(lone.core), &other), ==, 7);
    CHECK(sent(&lone, 1, MESSAGE_NEWS) == NULL);
    CHECK(sent(&lone, 3, MESSAGE_NEWS) != NULL);
    tick(&lone, CORE_VV_QUIET_MS); /* the ACK rides on a VV */
    CHECK(sent(&lone, 1, MESSAGE_ACK) == NULL);
    CHECK_INT(sent(&lone, 1, MESSAGE_VV)->as.vv.news_size, ==, 100);
    CHECK_INT(sent(&lone, 1, MESSAGE_VV)->as.vv.entries.count, ==, 1);
    CHECK(sent(&lone, 3, MESSAGE_VV) == NULL); /* the NEWS told it all */
    message_in(&lone, 3, &news);
    CHECK(effect(&lone, EFFECT_APPLY) == NULL);
    CHECK_INT(counters(&lone)->news_duplicate, ==, 1);
    CHECK_INT(counters(&lone)->news_applied, ==, 1);
    CHECK_INT(info_of(&lone, 0).news_received, ==, 1);
    CHECK_INT(info_of(&lone, 0).news_duplicate, ==, 0);
    CHECK_INT(info_of(&lone, 0).news_bytes, ==, 100);
    CHECK_INT(info_of(&lone, 1).news_duplicate, ==, 1);
    tick(&lone, CORE_HEARTBEAT_MS);
    CHECK_INT(sent(&lone, 3, MESSAGE_VV)->as.vv.news_size, ==, 100);
    CHECK_INT(sent(&lone, 1, MESSAGE_VV)->as.vv.news_size, ==, 0);
    lone_close(&lone);
}

TEST(news_queues_behind_what_is_being_applied)
{
    struct lone lone;
    struct message first = news_of(other, 0, 7, 100);
    struct message second = news_of(other, 7, 8, 100);

    lone_init(&lone);
    greet(&lone, 1, other);
    message_in(&lone, 1, &first);
    message_in(&lone, 1, &second);
    CHECK(effect(&lone, EFFECT_APPLY) != NULL);
    message_in(&lone, 1, &second);
    CHECK(effect(&lone, EFFECT_APPLY) == NULL); /* a duplicate by now */
    applied(&lone, &first, 1, GV_ENOMEM);
    applied(&lone, &second, 1, GV_EGAP);
    message_in(&lone, 1, &second); /* nothing is pending any more */
    CHECK(effect(&lone, EFFECT_APPLY) == NULL);
    message_in(&lone, 1, &first);
    CHECK(effect(&lone, EFFECT_APPLY) != NULL);
    lone_close(&lone);
}

TEST(an_effect_before_its_cause_is_dropped_and_asked_for)
{
    struct lone lone;
    struct message news = news_of(other, 0, 7, 100);
    struct vv_entry cause = {third, 5};
    uint8_t bytes[VV_ENTRY_SIZE];
    const struct message *want;

    lone_init(&lone);
    vv_entry_store(&cause, bytes);
    news.as.news.intervals[0].dependencies = (struct vv_view){bytes, 1};
    greet(&lone, 1, other);
    message_in(&lone, 1, &news);
    CHECK(effect(&lone, EFFECT_APPLY) == NULL);
    CHECK_INT(counters(&lone)->news_early, ==, 1);
    tick(&lone, CORE_GRACE_MS + CORE_SOURCE_GRACE_MS - 1);
    CHECK(sent(&lone, 1, MESSAGE_WANT) == NULL);
    tick(&lone, 1);
    want = sent(&lone, 1, MESSAGE_WANT);
    CHECK(want != NULL && want->as.want.token != 0);
    CHECK_INT(want->as.want.vv.count, ==, 0); /* all was told before */
    CHECK_INT(want->as.want.credit, ==, CORE_DELTA_CREDIT);
    lone_close(&lone);
}

TEST(news_after_a_hole_is_dropped)
{
    struct lone lone;
    struct message news = news_of(other, 6, 7, 100);

    lone_init(&lone);
    greet(&lone, 1, other);
    message_in(&lone, 1, &news);
    CHECK(effect(&lone, EFFECT_APPLY) == NULL);
    CHECK_INT(counters(&lone)->news_early, ==, 1);
    lone_close(&lone);
}

TEST(an_interval_that_straddles_is_a_fork_and_not_applied)
{
    struct lone lone;
    struct message first = news_of(other, 0, 7, 100);
    struct message fork = news_of(other, 5, 9, 100);
    struct message ours = news_of(own, 100, 101, 100);
    struct message known = news_of(own, 90, 100, 100);

    lone_init(&lone);
    greet(&lone, 1, other);
    message_in(&lone, 1, &first);
    applied(&lone, &first, 1, GV_OK);
    message_in(&lone, 1, &fork);
    CHECK(effect(&lone, EFFECT_APPLY) == NULL);
    CHECK_INT(counters(&lone)->forks, ==, 1);
    CHECK(logged(&lone, "straddle"));
    lone_close(&lone);

    lone_init(&lone);
    greet(&lone, 1, other);
    message_in(&lone, 1, &known);
    CHECK_INT(counters(&lone)->news_duplicate, ==, 1);
    message_in(&lone, 1, &ours);
    CHECK(effect(&lone, EFFECT_APPLY) == NULL);
    CHECK(logged(&lone, "went back in time"));
    CHECK_INT(counters(&lone)->forks, ==, 1);
    lone_close(&lone);
}

/* Only the store knows where all of its intervals ended. */
TEST(what_a_peer_holds_of_this_site_is_compared_with_its_ends)
{
    struct lone lone;
    struct message news = news_of(own, 20, 50, 100);
    const struct effect *heard;

    lone_init(&lone);
    greet(&lone, 1, other);
    tells(&lone, 1, own, 40);
    heard = effect(&lone, EFFECT_HEARD_OWN);
    CHECK(heard != NULL && heard->as.heard_own.version == 40);
    tells(&lone, 1, own, 40);
    CHECK(effect(&lone, EFFECT_HEARD_OWN) == NULL); /* known by now */
    message_in(&lone, 1, &news);
    heard = effect(&lone, EFFECT_HEARD_OWN);
    CHECK(heard != NULL && heard->as.heard_own.version == 50);
    tells(&lone, 1, own, 100);
    CHECK(effect(&lone, EFFECT_HEARD_OWN) == NULL); /* what it said last */
    tells(&lone, 1, own, 101);
    heard = effect(&lone, EFFECT_HEARD_OWN);
    CHECK(heard != NULL && heard->as.heard_own.version == 101);
    lone_close(&lone);
}

TEST(without_news_credit_a_vv_tells_instead)
{
    struct lone lone;
    struct message ack = {.kind = MESSAGE_ACK};
    gv_version version = 100;

    lone_init(&lone);
    greet(&lone, 1, other);
    for (int i = 0; i < 4; i++, version++) {
        sealed(&lone, version, version + 1, 60000);
        CHECK(sent(&lone, 1, MESSAGE_NEWS) != NULL);
    }
    sealed(&lone, version, version + 1, 60000);
    CHECK(sent(&lone, 1, MESSAGE_NEWS) == NULL);
    tick(&lone, CORE_VV_PROGRESS_MS);
    CHECK_INT(sent(&lone, 1, MESSAGE_VV)->as.vv.entries.count, ==, 1);
    ack.as.ack.news_size = 60000;
    message_in(&lone, 1, &ack);
    sealed(&lone, version + 1, version + 2, 60000);
    CHECK(sent(&lone, 1, MESSAGE_NEWS) != NULL);
    lone_close(&lone);
}

TEST(a_vv_that_covers_all_that_was_pushed_returns_the_credit)
{
    struct lone lone;
    gv_version version = 100;

    lone_init(&lone);
    greet(&lone, 1, other);
    for (int i = 0; i < 4; i++, version++)
        sealed(&lone, version, version + 1, 60000);
    tells(&lone, 1, own, version); /* the ACKs were lost */
    sealed(&lone, version, version + 1, 60000);
    CHECK(sent(&lone, 1, MESSAGE_NEWS) != NULL);
    lone_close(&lone);
}

TEST(a_peer_that_sends_past_its_credit_is_closed)
{
    struct lone lone;
    int sends = 0;

    lone_init(&lone);
    greet(&lone, 1, other);
    do {
        struct message news =
            news_of(other, (gv_version)sends, (gv_version)sends + 1, 60000);
        message_in(&lone, 1, &news);
        CHECK_INT(++sends, <, 20);
    } while (lone.code == GV_OK);
    CHECK_INT(sends * 60000, >, 2 * CORE_NEWS_CREDIT);
    CHECK(said_bye(&lone, 1, BYE_BAD_MESSAGE));
    lone_close(&lone);
}

TEST(acknowledgements_are_coalesced_up_to_64_kib)
{
    struct lone lone;
    struct message news = news_of(other, 0, 1, 30000);
    struct message again = news_of(other, 0, 1, 30000);

    lone_init(&lone);
    greet(&lone, 1, other);
    message_in(&lone, 1, &news);
    applied(&lone, &news, 1, GV_OK);
    message_in(&lone, 1, &again);
    CHECK(sent(&lone, 1, MESSAGE_ACK) == NULL);
    message_in(&lone, 1, &again);
    CHECK_INT(sent(&lone, 1, MESSAGE_ACK)->as.ack.news_size, ==, 90000);
    lone_close(&lone);
}

TEST(lag_is_measured_until_the_peer_says_that_it_holds_all)
{
    struct lone lone;

    lone_init(&lone);
    greet(&lone, 1, other);
    tells(&lone, 1, own, 100);
    CHECK_INT(info_of(&lone, 0).lag_ms, ==, 0);
    sealed(&lone, 100, 101, 50);
    lone.now += 30;
    CHECK_INT(info_of(&lone, 0).lag_ms, ==, 30);
    sealed(&lone, 101, 102, 50);
    lone.now += 30;
    tells(&lone, 1, own, 101);
    CHECK_INT(info_of(&lone, 0).lag_ms, ==, 60);
    tells(&lone, 1, own, 102);
    CHECK_INT(info_of(&lone, 0).lag_ms, ==, 0);
    lone_close(&lone);
}

TEST(a_vv_of_an_earlier_hello_is_dropped)
{
    struct lone lone;
    struct message message = {.kind = MESSAGE_VV};
    struct vv_entry entry = {other, 50};
    uint8_t bytes[VV_ENTRY_SIZE];

    lone_init(&lone);
    greet(&lone, 1, other);
    vv_entry_store(&entry, bytes);
    message.as.vv.epoch = OTHER_EPOCH - 1;
    message.as.vv.entries = (struct vv_view){bytes, 1};
    message_in(&lone, 1, &message);
    CHECK_INT(lone.code, ==, GV_OK);
    tick(&lone, CORE_GRACE_MS);
    CHECK(sent(&lone, 1, MESSAGE_WANT) == NULL);
    message.as.vv.epoch = OTHER_EPOCH;
    message_in(&lone, 1, &message);
    tick(&lone, CORE_GRACE_MS);
    CHECK(sent(&lone, 1, MESSAGE_WANT) != NULL);
    lone_close(&lone);
}

TEST(divergence_is_counted_once_and_cleared_by_agreement)
{
    struct lone lone;
    struct message news = news_of(other, 0, 7, 100);
    struct hash128 hidden = {0, 0};

    lone_init(&lone);
    greet(&lone, 1, other);
    vv_in(&lone, 1, own, 100, lone.vv.hash, hidden);
    CHECK(!info_of(&lone, 0).diverged); /* not shown, not compared */
    vv_in(&lone, 1, own, 100, lone.vv.hash + 1, print_b);
    CHECK(!info_of(&lone, 0).diverged); /* other vectors */
    for (int i = 0; i < 3; i++) {
        vv_in(&lone, 1, own, 100, lone.vv.hash, print_b);
        CHECK_INT(logged(&lone, "different data"), ==, i == 0);
        CHECK(info_of(&lone, 0).diverged);
        CHECK_INT(counters(&lone)->divergences, ==, 1);
    }
    vv_in(&lone, 1, own, 100, lone.vv.hash, print_a);
    CHECK(!info_of(&lone, 0).diverged);
    message_in(&lone, 1, &news); /* while it is applied nothing is compared */
    vv_in(&lone, 1, own, 100, lone.vv.hash, print_b);
    CHECK(!info_of(&lone, 0).diverged);
    tick(&lone, CORE_HEARTBEAT_MS);
    CHECK(
        hash128_equal(sent(&lone, 1, MESSAGE_VV)->as.vv.fingerprint, hidden));
    lone_close(&lone);
}

/* Deltas, asked for */

/* Link 1 holds 50 of @other, and was asked; returns the token. */
static uint64_t asked(struct lone *lone)
{
    greet(lone, 1, other);
    tells(lone, 1, other, 50);
    tick(lone, CORE_GRACE_MS);
    CHECK(sent(lone, 1, MESSAGE_WANT) != NULL);
    return sent(lone, 1, MESSAGE_WANT)->as.want.token;
}

static uint8_t delta_bytes[MESSAGE_DELTA_SIZE_MAX];
static uint8_t claim_bytes[2 * VV_ENTRY_SIZE];

static struct message delta_of(uint64_t token, uint64_t offset, size_t size,
                               bool last)
{
    struct message message = {.kind = MESSAGE_DELTA};
    struct vv_entry ours = {own, 100}, theirs = {other, 50};

    message.as.delta.token = token;
    message.as.delta.spool = 3;
    message.as.delta.offset = offset;
    message.as.delta.bytes = delta_bytes;
    message.as.delta.size = size;
    message.as.delta.last = last;
    if (last) {
        vv_entry_store(&ours, claim_bytes);
        vv_entry_store(&theirs, claim_bytes + VV_ENTRY_SIZE);
        message.as.delta.claim = (struct vv_view){claim_bytes, 2};
    }
    return message;
}

static void staged(struct lone *lone, uint64_t token, size_t size, int code)
{
    struct event event = {.kind = EVENT_STAGED, .link = 1, .code = code};

    event.as.staged.token = token;
    event.as.staged.size = size;
    if (lone->kept_of != token)
        lone->kept = 0;
    lone->kept_of = token;
    lone->kept += size;
    event.as.staged.kept = lone->kept;
    feed(lone, event);
}

static void delta_applied(struct lone *lone, uint64_t token, int code)
{
    struct event event = {.kind = EVENT_DELTA_APPLIED,
                          .link = 1,
                          .code = code,
                          .reason = "no such table"};

    event.as.delta_applied.token = token;
    event.as.delta_applied.vv = (struct vv_view){claim_bytes, 2};
    event.as.delta_applied.fingerprint = print_b;
    feed(lone, event);
}

TEST(a_delta_is_staged_applied_and_acknowledged)
{
    struct lone lone;
    uint64_t token;
    struct message delta;

    lone_init(&lone);
    token = asked(&lone);
    delta = delta_of(token, 0, 200000, false);
    message_in(&lone, 1, &delta);
    CHECK_INT(effect(&lone, EFFECT_STAGE)->as.stage.size, ==, 200000);
    staged(&lone, token, 200000, GV_OK);
    CHECK_INT(sent(&lone, 1, MESSAGE_ACK)->as.ack.delta_size, ==, 200000);
    delta = delta_of(token, 200000, 1000, true);
    message_in(&lone, 1, &delta);
    CHECK(effect(&lone, EFFECT_APPLY_DELTA) == NULL); /* not staged yet */
    staged(&lone, token, 1000, GV_OK);
    CHECK_INT(effect(&lone, EFFECT_APPLY_DELTA)->as.apply_delta.size, ==,
              201000);
    CHECK_INT(effect(&lone, EFFECT_APPLY_DELTA)->as.apply_delta.claim.count,
              ==, 2);
    CHECK_INT(vv_get(core_vv(lone.core), &other), ==, 0);
    delta_applied(&lone, token, GV_OK);
    CHECK_INT(vv_get(core_vv(lone.core), &other), ==, 50);
    CHECK(sent(&lone, 1, MESSAGE_ACK)->as.ack.delta_applied);
    CHECK_INT(counters(&lone)->deltas_applied, ==, 1);
    tick(&lone, CORE_VV_PROGRESS_MS);
    CHECK_INT(sent(&lone, 1, MESSAGE_VV)->as.vv.entries.count, ==, 1);
    tick(&lone, CORE_GRACE_MS);
    CHECK(sent(&lone, 1, MESSAGE_WANT) == NULL);
    lone_close(&lone);
}

TEST(a_delta_that_was_not_asked_for_is_dropped)
{
    struct lone lone;
    uint64_t token;
    struct message delta;

    lone_init(&lone);
    delta = delta_of(1, 0, 100, true);
    greet(&lone, 3, third);
    message_in(&lone, 3, &delta);
    CHECK_INT(lone.effects.count, ==, 0);
    token = asked(&lone);
    delta = delta_of(token + 1, 0, 100, true);
    message_in(&lone, 1, &delta); /* a wrong token */
    CHECK_INT(lone.effects.count, ==, 0);
    delta = delta_of(token, 0, 100, true);
    message_in(&lone, 3, &delta); /* a wrong link */
    CHECK_INT(lone.effects.count, ==, 0);
    message_in(&lone, 1, &delta);
    CHECK(effect(&lone, EFFECT_STAGE) != NULL);
    lone_close(&lone);
}

TEST(a_delta_with_a_hole_is_given_up_and_asked_for_again)
{
    struct lone lone;
    uint64_t token, second;
    struct message delta;

    lone_init(&lone);
    token = asked(&lone);
    delta = delta_of(token, 100, 100, true);
    message_in(&lone, 1, &delta);
    CHECK(effect(&lone, EFFECT_STAGE) == NULL);
    CHECK_INT(effect(&lone, EFFECT_DROP_STAGE)->as.drop.token, ==, token);
    tick(&lone, CORE_GRACE_MS);
    second = sent(&lone, 1, MESSAGE_WANT)->as.want.token;
    CHECK(second != token);
    delta = delta_of(second, 0, 100, false);
    message_in(&lone, 1, &delta);
    staged(&lone, second, 0, GV_EFULL); /* the disk is full: as well */
    CHECK(effect(&lone, EFFECT_DROP_STAGE) != NULL);
    tick(&lone, CORE_GRACE_MS);
    CHECK(sent(&lone, 1, MESSAGE_WANT) == NULL); /* it backs off */
    tick(&lone, CORE_GRACE_MS);
    CHECK(sent(&lone, 1, MESSAGE_WANT) != NULL);
    lone_close(&lone);
}

TEST(one_want_at_a_time_goes_to_who_has_most)
{
    struct lone lone;
    uint64_t token;
    struct message delta;

    lone_init(&lone);
    greet(&lone, 1, other);
    greet(&lone, 3, third);
    tells(&lone, 1, other, 50);
    tells(&lone, 3, other, 50);
    tells(&lone, 3, third, 50);
    tick(&lone, CORE_GRACE_MS);
    CHECK(sent(&lone, 1, MESSAGE_WANT) == NULL);
    CHECK(sent(&lone, 3, MESSAGE_WANT) != NULL);
    token = sent(&lone, 3, MESSAGE_WANT)->as.want.token;
    tick(&lone, 1000);
    CHECK(sent(&lone, 1, MESSAGE_WANT) == NULL);
    delta = delta_of(token, 0, 100, false);
    message_in(&lone, 3, &delta);
    down(&lone, 3, "gone"); /* then the next best is asked at once */
    CHECK_INT(effect(&lone, EFFECT_DROP_STAGE)->as.drop.token, ==, token);
    tick(&lone, 0);
    CHECK(sent(&lone, 1, MESSAGE_WANT) != NULL);
    lone_close(&lone);
}

TEST(a_want_that_brings_nothing_is_given_up)
{
    struct lone lone;
    uint64_t token;
    gv_time_ms passed = 0;

    lone_init(&lone);
    token = asked(&lone);
    greet(&lone, 3, third);
    tells(&lone, 3, other, 50);
    for (; passed < CORE_WANT_PATIENCE_MS; passed += 1000) {
        CHECK(effect(&lone, EFFECT_DROP_STAGE) == NULL);
        vv_in(&lone, 1, other, 0, 0, print_b);
        vv_in(&lone, 3, other, 0, 0, print_b);
        tick(&lone, 1000);
    }
    CHECK_INT(effect(&lone, EFFECT_DROP_STAGE)->as.drop.token, ==, token);
    tick(&lone, CORE_GRACE_MS);
    CHECK(sent(&lone, 3, MESSAGE_WANT) != NULL); /* someone else */
    lone_close(&lone);
}

/* Link 1 says that it answers, and how much of that has left. */
static void answers(struct lone *lone, uint64_t token, uint64_t answered)
{
    struct message message = {.kind = MESSAGE_VV};

    message.as.vv.epoch = OTHER_EPOCH;
    message.as.vv.vv_hash = 5;
    message.as.vv.says_answer = true;
    message.as.vv.answers = token;
    message.as.vv.answered = answered;
    message_in(lone, 1, &message);
}

TEST(a_provider_that_says_that_it_reads_is_waited_for)
{
    struct lone lone;
    uint64_t token;
    gv_time_ms passed = 0;

    lone_init(&lone);
    token = asked(&lone);
    for (; passed < CORE_WANT_READING_MS; passed += 1000) {
        answers(&lone, token, 0);
        tick(&lone, 1000);
        CHECK(effect(&lone, EFFECT_DROP_STAGE) == NULL);
    }
    /* Not for ever. */
    for (passed = 0; passed < CORE_WANT_PATIENCE_MS - 2000; passed += 1000) {
        answers(&lone, token, 0);
        tick(&lone, 1000);
        CHECK(effect(&lone, EFFECT_DROP_STAGE) == NULL);
    }
    for (passed = 0; passed < 3000; passed += 1000) {
        answers(&lone, token, 0);
        tick(&lone, 1000);
        if (effect(&lone, EFFECT_DROP_STAGE) != NULL)
            break;
    }
    CHECK_INT(effect(&lone, EFFECT_DROP_STAGE)->as.drop.token, ==, token);
    lone_close(&lone);
}

/* A provider that sends @size bytes a second: when another one, which has all
 * as well, is asked; at most two minutes. */
static gv_time_ms asked_elsewhere(size_t size)
{
    struct lone lone;
    struct message delta;
    uint64_t token, offset = 0;
    gv_time_ms passed = 0;

    lone_init(&lone);
    token = asked(&lone);
    greet(&lone, 3, third);
    tells(&lone, 3, other, 50);
    while (sent(&lone, 3, MESSAGE_WANT) == NULL && passed < 120000) {
        delta = delta_of(token, offset, size, false);
        message_in(&lone, 1, &delta);
        if (effect(&lone, EFFECT_STAGE) != NULL)
            staged(&lone, token, size, GV_OK);
        offset += size;
        passed += 1000;
        vv_in(&lone, 3, other, 0, 0, print_b);
        tick(&lone, 1000);
        if (sent(&lone, 1, MESSAGE_WANT) != NULL)
            CHECK_INT(passed, <, 0); /* it was to be another one */
    }
    lone_close(&lone);
    return passed;
}

TEST(a_provider_that_trickles_gives_way_to_another_one)
{
    CHECK_INT(asked_elsewhere(1), ==, CORE_WANT_PACE_MS + 1000);
    CHECK_INT(asked_elsewhere(15000), ==, CORE_WANT_PACE_MS + 1000);
    CHECK_INT(asked_elsewhere(20000), ==, 120000);
}

TEST(the_only_provider_goes_on_at_its_pace)
{
    struct lone lone;
    struct message delta;
    const struct message *want;
    uint64_t token;

    lone_init(&lone);
    token = asked(&lone);
    for (uint64_t at = 0; at < 60; at++) {
        delta = delta_of(token, at, 1, false);
        message_in(&lone, 1, &delta);
        if (effect(&lone, EFFECT_STAGE) != NULL)
            staged(&lone, token, 1, GV_OK);
        tick(&lone, 1000);
    }
    tick(&lone, CORE_GRACE_MS);
    want = sent(&lone, 1, MESSAGE_WANT);
    CHECK(want != NULL && want->as.want.spool == 3);
    CHECK_INT(want->as.want.offset, >=, 60);
    lone_close(&lone);
}

/* A delta of which @size bytes have come when its link goes. */
static void cut_after(struct lone *lone, size_t size)
{
    uint64_t token;
    struct message delta;

    lone_init(lone);
    token = asked(lone);
    for (size_t at = 0; at < size; at += 100000) {
        delta = delta_of(token, at, 100000, false);
        message_in(lone, 1, &delta);
        staged(lone, token, 100000, GV_OK);
    }
    down(lone, 1, "gone");
    CHECK(effect(lone, EFFECT_DROP_STAGE) == NULL);
}

TEST(a_delta_that_is_cut_goes_on_where_it_was)
{
    struct lone lone;
    uint64_t token;
    struct message delta;

    cut_after(&lone, 200000);
    greet(&lone, 3, other);
    tells(&lone, 3, other, 50);
    tick(&lone, CORE_GRACE_MS);
    CHECK_INT(sent(&lone, 3, MESSAGE_WANT)->as.want.spool, ==, 3);
    CHECK_INT(sent(&lone, 3, MESSAGE_WANT)->as.want.offset, ==, 200000);
    token = sent(&lone, 3, MESSAGE_WANT)->as.want.token;
    delta = delta_of(token, 200000, 100, true);
    message_in(&lone, 3, &delta);
    CHECK(effect(&lone, EFFECT_DROP_STAGE) == NULL);
    CHECK_INT(effect(&lone, EFFECT_STAGE)->as.stage.offset, ==, 200000);
    CHECK_INT(effect(&lone, EFFECT_STAGE)->as.stage.spool, ==, 3);
    lone.kept = 200000;
    lone.kept_of = token;
    staged(&lone, token, 100, GV_OK);
    CHECK_INT(effect(&lone, EFFECT_APPLY_DELTA)->as.apply_delta.size, ==,
              200100);
    CHECK_INT(counters(&lone)->deltas_resumed, ==, 1);
    lone_close(&lone);
}

TEST(a_provider_without_the_spool_starts_over)
{
    struct lone lone;
    uint64_t token;
    struct message delta;

    cut_after(&lone, 200000);
    greet(&lone, 3, other);
    tells(&lone, 3, other, 50);
    tick(&lone, CORE_GRACE_MS);
    token = sent(&lone, 3, MESSAGE_WANT)->as.want.token;
    delta = delta_of(token, 0, 100, true);
    delta.as.delta.spool = 4;
    message_in(&lone, 3, &delta);
    CHECK(effect(&lone, EFFECT_DROP_STAGE) != NULL);
    CHECK_INT(effect(&lone, EFFECT_STAGE)->as.stage.offset, ==, 0);
    staged(&lone, token, 100, GV_OK);
    CHECK_INT(effect(&lone, EFFECT_APPLY_DELTA)->as.apply_delta.size, ==, 100);
    CHECK_INT(counters(&lone)->deltas_resumed, ==, 0);
    lone_close(&lone);
}

TEST(a_delta_changes_its_spool_between_pieces_no_more)
{
    struct lone lone;
    uint64_t token;
    struct message delta;

    lone_init(&lone);
    token = asked(&lone);
    delta = delta_of(token, 0, 100, false);
    message_in(&lone, 1, &delta);
    delta = delta_of(token, 100, 100, false);
    delta.as.delta.spool = 4;
    message_in(&lone, 1, &delta);
    CHECK_INT(lone.code, ==, GV_EPROTO);
    CHECK(said_bye(&lone, 1, BYE_BAD_MESSAGE));
    lone_close(&lone);
}

/* Another provider, @size bytes after the first one's end; when it is asked.
 */
static gv_time_ms taken_over_after(size_t size)
{
    struct lone lone;
    gv_time_ms passed = 0;

    cut_after(&lone, size);
    greet(&lone, 3, third);
    tells(&lone, 3, other, 50);
    while (sent(&lone, 3, MESSAGE_WANT) == NULL && passed < 10000) {
        passed += 100;
        vv_in(&lone, 3, other, 0, 0, print_b);
        tick(&lone, 100);
    }
    CHECK_INT(sent(&lone, 3, MESSAGE_WANT)->as.want.spool, ==, 0);
    CHECK(effect(&lone, EFFECT_DROP_STAGE) != NULL);
    lone_close(&lone);
    return passed;
}

TEST(another_provider_takes_over_when_one_dies)
{
    CHECK_INT(taken_over_after(100000), ==, CORE_GRACE_MS);
    /* So much is worth waiting for. */
    CHECK_INT(taken_over_after(1200000), ==, 3000);
}

TEST(what_an_earlier_run_left_of_a_delta_goes_on)
{
    struct lone lone;

    lone_init(&lone);
    core_free(lone.core);
    lone.stage = (struct core_stage){11, other, 3, 2000000};
    lone_new(&lone);
    greet(&lone, 1, third);
    tells(&lone, 1, other, 50);
    for (int passed = 0; passed < 2800; passed += 100) {
        vv_in(&lone, 1, other, 0, 0, print_b);
        tick(&lone, 100);
        CHECK(sent(&lone, 1, MESSAGE_WANT) == NULL);
    }
    greet(&lone, 3, other);
    tells(&lone, 3, other, 50);
    tick(&lone, CORE_GRACE_MS);
    CHECK(sent(&lone, 1, MESSAGE_WANT) == NULL);
    CHECK_INT(sent(&lone, 3, MESSAGE_WANT)->as.want.spool, ==, 3);
    CHECK_INT(sent(&lone, 3, MESSAGE_WANT)->as.want.offset, ==, 2000000);
    lone_close(&lone);
}

TEST(what_is_not_missing_any_more_is_dropped)
{
    struct lone lone;
    struct message news = news_of(other, 0, 50, 100);

    cut_after(&lone, 200000);
    greet(&lone, 3, other);
    message_in(&lone, 3, &news);
    applied(&lone, &news, 3, GV_OK);
    tick(&lone, 0);
    CHECK(effect(&lone, EFFECT_DROP_STAGE) != NULL);
    lone_close(&lone);
}

TEST(an_extract_that_is_kept_is_sent_from_the_cursor)
{
    struct lone lone;
    struct message want = {.kind = MESSAGE_WANT};
    struct event event = {.kind = EVENT_EXTRACTED, .link = 1};

    lone_init(&lone);
    greet(&lone, 1, other);
    want.as.want.token = 5;
    want.as.want.credit = CORE_DELTA_CREDIT;
    want.as.want.spool = 9;
    want.as.want.offset = 1000;
    message_in(&lone, 1, &want);
    CHECK_INT(effect(&lone, EFFECT_EXTRACT)->as.extract.spool, ==, 9);
    CHECK_INT(effect(&lone, EFFECT_EXTRACT)->as.extract.offset, ==, 1000);
    event.as.extracted.token = 5;
    event.as.extracted.spool = 9;
    event.as.extracted.offset = 1000;
    event.as.extracted.size = 900000;
    event.as.extracted.claim_count = 1;
    feed(&lone, event);
    CHECK_INT(effect(&lone, EFFECT_SEND_DELTA)->as.send_delta.offset, ==,
              1000);
    CHECK_INT(counters(&lone)->deltas_resumed, ==, 1);
    down(&lone, 1, "gone");
    CHECK(!effect(&lone, EFFECT_DROP_EXTRACT)->as.drop.applied);
    lone_close(&lone);
}

TEST(an_empty_delta_still_claims)
{
    struct lone lone;
    uint64_t token;
    struct message delta;

    lone_init(&lone);
    token = asked(&lone);
    delta = delta_of(token, 0, 0, true);
    message_in(&lone, 1, &delta);
    CHECK(effect(&lone, EFFECT_STAGE) != NULL);
    staged(&lone, token, 0, GV_OK);
    CHECK(effect(&lone, EFFECT_APPLY_DELTA) != NULL);
    lone_close(&lone);
}

TEST(a_delta_past_its_credit_closes_the_link)
{
    struct lone lone;
    uint64_t token, offset = 0;
    struct message delta;

    lone_init(&lone);
    token = asked(&lone);
    do {
        delta = delta_of(token, offset, MESSAGE_DELTA_SIZE_MAX, false);
        message_in(&lone, 1, &delta);
        offset += MESSAGE_DELTA_SIZE_MAX;
    } while (lone.code == GV_OK);
    CHECK_INT(offset, >, CORE_DELTA_CREDIT);
    CHECK_INT(offset, <=, CORE_DELTA_CREDIT + MESSAGE_DELTA_SIZE_MAX);
    CHECK(said_bye(&lone, 1, BYE_BAD_MESSAGE));
    lone_close(&lone);
}

static void delta_refused(struct lone *lone, int code)
{
    uint64_t token;
    struct message delta;

    lone_init(lone);
    token = asked(lone);
    delta = delta_of(token, 0, 100, true);
    message_in(lone, 1, &delta);
    staged(lone, token, 100, GV_OK);
    delta_applied(lone, token, code);
}

/* Time passes with heartbeats; whether a WANT was sent. */
static bool wants_within(struct lone *lone, gv_time_ms ms)
{
    for (; ms > 0; ms -= 500) {
        tick(lone, 500);
        if (sent(lone, 1, MESSAGE_WANT) != NULL)
            return true;
        vv_in(lone, 1, other, 0, 0, print_b);
    }
    return false;
}

TEST(what_the_schema_refuses_is_asked_for_when_the_schema_moved)
{
    struct lone lone;
    struct event event = {.kind = EVENT_SCHEMA_CHANGED};

    delta_refused(&lone, GV_ESCHEMA);
    CHECK(logged(&lone, "no such table"));
    CHECK_INT(vv_get(core_vv(lone.core), &other), ==, 0);
    CHECK(info_of(&lone, 0).refused);
    CHECK_TEXT(info_of(&lone, 0).reason, "no such table");
    CHECK_INT(counters(&lone)->deltas_refused, ==, 1);
    CHECK(!wants_within(&lone, 60000));
    event.as.schema.schema_digest = 2;
    event.as.schema.fingerprint = print_a;
    feed(&lone, event);
    CHECK(!info_of(&lone, 0).refused);
    CHECK(wants_within(&lone, 500));
    lone_close(&lone);
}

TEST(what_the_clock_refuses_is_asked_for_when_its_time_has_come)
{
    struct lone lone;

    delta_refused(&lone, GV_ECLOCK);
    CHECK(info_of(&lone, 0).refused);
    CHECK(wants_within(&lone, 500)); /* the claim is old: at once */
    lone_close(&lone);
}

/* The third site's version @to: refused once, and then once more offered. */
TEST(what_the_clock_refuses_is_not_asked_for_before_its_time)
{
    struct lone lone;
    uint64_t token;
    struct message delta;
    gv_version far = (gv_version)(MESH_WALL + CLOCK_DRIFT_MAX_MS + 20000)
                     << 16;

    lone_init(&lone);
    greet(&lone, 1, other);
    tells(&lone, 1, other, far);
    tick(&lone, CORE_GRACE_MS);
    token = sent(&lone, 1, MESSAGE_WANT)->as.want.token;
    delta = delta_of(token, 0, 100, true);
    vv_entry_store(&(struct vv_entry){other, far},
                   claim_bytes + VV_ENTRY_SIZE);
    message_in(&lone, 1, &delta);
    staged(&lone, token, 100, GV_OK);
    delta_applied(&lone, token, GV_ECLOCK);
    CHECK(info_of(&lone, 0).refused);
    CHECK(!wants_within(&lone, 10000));
    down(&lone, 1, "gone"); /* nor from another, nor over another link */
    greet(&lone, 3, third);
    tells(&lone, 3, other, far);
    for (int passed = 0; passed < 8000; passed += 500) {
        tick(&lone, 500);
        CHECK(sent(&lone, 3, MESSAGE_WANT) == NULL);
        vv_in(&lone, 3, other, 0, 0, print_b);
    }
    CHECK(info_of(&lone, 0).refused);
    CHECK_TEXT(info_of(&lone, 0).reason, "no such table");
    lone.wall_ahead += 3000; /* the clock is put right */
    tick(&lone, 0);
    CHECK(sent(&lone, 3, MESSAGE_WANT) != NULL);
    CHECK(!info_of(&lone, 0).refused);
    lone_close(&lone);
}

TEST(a_delta_that_makes_no_sense_closes_the_link)
{
    struct lone lone;

    delta_refused(&lone, GV_EPROTO);
    CHECK(said_bye(&lone, 1, BYE_BAD_MESSAGE));
    lone_close(&lone);
}

TEST(a_delta_goes_on_being_applied_when_its_link_is_gone)
{
    struct lone lone;
    uint64_t token;
    struct message delta;

    lone_init(&lone);
    token = asked(&lone);
    delta = delta_of(token, 0, 100, true);
    message_in(&lone, 1, &delta);
    staged(&lone, token, 100, GV_OK);
    down(&lone, 1, "gone");
    CHECK(effect(&lone, EFFECT_DROP_STAGE) == NULL);
    delta_applied(&lone, token, GV_OK);
    CHECK_INT(vv_get(core_vv(lone.core), &other), ==, 50);
    lone_close(&lone);
}

TEST(pieces_may_come_faster_than_they_are_staged)
{
    struct lone lone;
    uint64_t token;
    struct message delta;

    lone_init(&lone);
    token = asked(&lone);
    delta = delta_of(token, 0, 100, false);
    message_in(&lone, 1, &delta);
    delta = delta_of(token, 100, 100, true);
    message_in(&lone, 1, &delta);
    staged(&lone, token, 100, GV_OK);
    CHECK(effect(&lone, EFFECT_APPLY_DELTA) == NULL);
    staged(&lone, token, 100, GV_OK);
    CHECK(effect(&lone, EFFECT_APPLY_DELTA) != NULL);
    lone_close(&lone);
}

TEST(news_that_follows_a_claim_queues_behind_it)
{
    struct lone lone;
    uint64_t token;
    struct message delta, news = news_of(other, 50, 51, 100);

    lone_init(&lone);
    token = asked(&lone);
    delta = delta_of(token, 0, 100, true);
    message_in(&lone, 1, &delta);
    message_in(&lone, 1, &news);
    CHECK(effect(&lone, EFFECT_APPLY) == NULL); /* it waits */
    staged(&lone, token, 100, GV_OK);
    CHECK(nth_effect(&lone, EFFECT_APPLY_DELTA, 0) + 1 ==
          effect(&lone, EFFECT_APPLY));
    delta_applied(&lone, token, GV_OK);
    applied(&lone, &news, 1, GV_OK);
    CHECK_INT(vv_get(core_vv(lone.core), &other), ==, 51);
    lone_close(&lone);
}

TEST(a_want_names_what_stands_not_what_is_being_applied)
{
    struct lone lone;
    struct message news = news_of(third, 0, 7, 100);

    lone_init(&lone);
    greet(&lone, 3, third);
    message_in(&lone, 3, &news);
    (void)asked(&lone);
    CHECK_INT(sent(&lone, 1, MESSAGE_WANT)->as.want.vv.count, ==, 0);
    lone_close(&lone);
}

TEST(a_delta_that_lacks_what_was_promised_is_not_asked_for_at_once)
{
    struct lone lone;
    uint64_t token;
    struct message delta;

    lone_init(&lone);
    token = asked(&lone);
    delta = delta_of(token, 0, 100, true);
    delta.as.delta.claim.count = 1;
    message_in(&lone, 1, &delta);
    staged(&lone, token, 100, GV_OK);
    {
        struct event event = {.kind = EVENT_DELTA_APPLIED, .link = 1};
        event.as.delta_applied.token = token;
        event.as.delta_applied.vv = (struct vv_view){claim_bytes, 1};
        feed(&lone, event);
    }
    tick(&lone, CORE_GRACE_MS - 1);
    CHECK(sent(&lone, 1, MESSAGE_WANT) == NULL);
    tick(&lone, 1);
    CHECK(sent(&lone, 1, MESSAGE_WANT) != NULL);
    lone_close(&lone);
}

/* Site @third sorts first, so a look for what is missing finds it first. */
TEST(a_hole_behind_a_stream_of_news_is_asked_for)
{
    struct lone lone;
    gv_time_ms passed = 0;
    struct vv theirs;

    vv_init(&theirs);
    lone_init(&lone);
    greet(&lone, 1, other);
    tells(&lone, 1, third, 1);
    CHECK_INT(vv_raise(&theirs, &third, 1), ==, GV_OK);
    CHECK_INT(vv_raise(&theirs, &other, 50), ==, GV_OK);
    vv_in(&lone, 1, other, 50, theirs.hash, print_b);
    for (gv_version version = 0;; version++) {
        struct message news = news_of(third, version, version + 1, 100);
        CHECK_INT(vv_raise(&theirs, &third, version + 2), ==, GV_OK);
        vv_in(&lone, 1, third, version + 2, theirs.hash, print_b);
        message_in(&lone, 1, &news);
        applied(&lone, &news, 1, GV_OK);
        tick(&lone, CORE_GRACE_MS / 2);
        if (sent(&lone, 1, MESSAGE_WANT) != NULL)
            break;
        passed += CORE_GRACE_MS / 2;
        CHECK_INT(passed, <=, 30 * CORE_GRACE_MS);
    }
    CHECK_INT(passed, >=, 8 * CORE_GRACE_MS);
    vv_close(&theirs);
    lone_close(&lone);
}

TEST(a_vv_that_was_lost_is_noticed_by_its_hash)
{
    struct lone lone;

    lone_init(&lone);
    greet(&lone, 1, other);
    vv_in(&lone, 1, other, 0, 12345, print_b); /* it holds what we missed */
    tick(&lone, CORE_GRACE_MS - 1);
    CHECK(sent(&lone, 1, MESSAGE_WANT) == NULL);
    tick(&lone, 1);
    CHECK(sent(&lone, 1, MESSAGE_WANT) != NULL);
    /* Nothing is known to be missing. */
    CHECK(sent(&lone, 1, MESSAGE_WANT)->as.want.answer == ANSWER_VECTOR);
    lone_close(&lone);
}

TEST(a_lost_vv_that_hid_what_is_missing_is_made_up_for_with_it)
{
    struct lone lone;

    lone_init(&lone);
    greet(&lone, 1, other);
    vv_in(&lone, 1, other, 50, 12345, print_b);
    tick(&lone, CORE_GRACE_MS);
    CHECK(sent(&lone, 1, MESSAGE_WANT) != NULL); /* as for what is missing */
    CHECK(sent(&lone, 1, MESSAGE_WANT)->as.want.answer == ANSWER_WHOLE);
    lone_close(&lone);
}

TEST(who_asks_for_a_vector_gets_all_of_it_and_no_interval)
{
    struct lone lone;
    struct message want = {.kind = MESSAGE_WANT};

    lone_init(&lone);
    greet(&lone, 1, other);
    want.as.want.token = 8;
    want.as.want.credit = CORE_DELTA_CREDIT;
    want.as.want.answer = ANSWER_VECTOR;
    message_in(&lone, 1, &want);
    CHECK(effect(&lone, EFFECT_EXTRACT) == NULL);
    CHECK_INT(sent(&lone, 1, MESSAGE_NEWS)->as.news.interval_count, ==, 0);
    CHECK(sent(&lone, 1, MESSAGE_NEWS)->as.news.token == 8);
    CHECK_INT(sent(&lone, 1, MESSAGE_VV)->as.vv.entries.count, ==, 1);
    lone_close(&lone);
}

/* Deltas, given */

static uint64_t want_in(struct lone *lone, gv_link link, uint64_t token)
{
    struct message want = {.kind = MESSAGE_WANT};

    want.as.want.token = token;
    want.as.want.credit = CORE_DELTA_CREDIT;
    message_in(lone, link, &want);
    return token;
}

static void extracted(struct lone *lone, gv_link link, uint64_t token,
                      uint64_t size, size_t claim_count)
{
    struct event event = {.kind = EVENT_EXTRACTED, .link = link};

    event.as.extracted.token = token;
    event.as.extracted.spool = 4;
    event.as.extracted.size = size;
    event.as.extracted.claim_count = claim_count;
    feed(lone, event);
}

TEST(a_delta_is_sent_in_pieces_as_far_as_credit_goes)
{
    struct lone lone;
    struct message ack = {.kind = MESSAGE_ACK};
    uint64_t offset = 0, size = CORE_DELTA_CREDIT + 300000;
    const struct effect *piece;

    lone_init(&lone);
    greet(&lone, 1, other);
    want_in(&lone, 1, 8);
    CHECK_INT(effect(&lone, EFFECT_EXTRACT)->as.extract.token, ==, 8);
    extracted(&lone, 1, 8, size, 1);
    for (size_t i = 0;
         (piece = nth_effect(&lone, EFFECT_SEND_DELTA, i)) != NULL; i++) {
        CHECK_INT(piece->as.send_delta.offset, ==, offset);
        CHECK_INT(piece->as.send_delta.size, <=, MESSAGE_DELTA_SIZE_MAX);
        CHECK(!piece->as.send_delta.last);
        offset += piece->as.send_delta.size;
    }
    CHECK_INT(offset, ==, CORE_DELTA_CREDIT);
    ack.as.ack.token = 8;
    ack.as.ack.delta_size = 400000;
    message_in(&lone, 1, &ack);
    for (size_t i = 0;
         (piece = nth_effect(&lone, EFFECT_SEND_DELTA, i)) != NULL; i++) {
        offset += piece->as.send_delta.size;
        CHECK_INT(piece->as.send_delta.last, ==, offset == size);
    }
    CHECK_INT(offset, ==, size);
    ack.as.ack.delta_size = size - 400000;
    ack.as.ack.delta_applied = true;
    message_in(&lone, 1, &ack);
    CHECK_INT(effect(&lone, EFFECT_DROP_EXTRACT)->as.drop.token, ==, 8);
    lone_close(&lone);
}

/* The last ACK may be lost; the asker's own word is as good. */
TEST(an_asker_that_says_that_it_holds_all_needs_the_spool_no_more)
{
    struct lone lone;

    lone_init(&lone);
    greet(&lone, 1, other);
    want_in(&lone, 1, 8);
    extracted(&lone, 1, 8, 10000, 1);
    CHECK(nth_effect(&lone, EFFECT_SEND_DELTA, 0)->as.send_delta.last);
    vv_in(&lone, 1, own, 99, 0, print_b);
    CHECK(effect(&lone, EFFECT_DROP_EXTRACT) == NULL);
    vv_in(&lone, 1, own, 100, 0, print_b);
    CHECK_INT(effect(&lone, EFFECT_DROP_EXTRACT)->as.drop.token, ==, 8);
    CHECK(effect(&lone, EFFECT_DROP_EXTRACT)->as.drop.applied);
    lone_close(&lone);
}

TEST(a_claim_that_does_not_fit_the_last_bytes_goes_alone)
{
    struct lone lone;
    const struct effect *piece;

    lone_init(&lone);
    greet(&lone, 1, other);
    want_in(&lone, 1, 8);
    extracted(&lone, 1, 8, 10000, VV_SITES_MAX);
    piece = nth_effect(&lone, EFFECT_SEND_DELTA, 0);
    CHECK(piece->as.send_delta.size == 10000 && !piece->as.send_delta.last);
    piece = nth_effect(&lone, EFFECT_SEND_DELTA, 1);
    CHECK(piece->as.send_delta.size == 0 && piece->as.send_delta.last);
    CHECK_INT(piece->as.send_delta.offset, ==, 10000);
    lone_close(&lone);
}

TEST(an_empty_delta_sends_one_last_piece)
{
    struct lone lone;

    lone_init(&lone);
    greet(&lone, 1, other);
    want_in(&lone, 1, 8);
    extracted(&lone, 1, 8, 0, 1);
    CHECK(effect(&lone, EFFECT_SEND_DELTA)->as.send_delta.last);
    CHECK(nth_effect(&lone, EFFECT_SEND_DELTA, 1) == NULL);
    lone_close(&lone);
}

TEST(extracts_are_read_one_at_a_time_and_the_newest_want_of_a_link_counts)
{
    struct lone lone;

    lone_init(&lone);
    greet(&lone, 1, other);
    greet(&lone, 3, third);
    want_in(&lone, 1, 8);
    want_in(&lone, 3, 9);
    CHECK(effect(&lone, EFFECT_EXTRACT) == NULL);
    want_in(&lone, 3, 10);
    CHECK(effect(&lone, EFFECT_DROP_EXTRACT) == NULL); /* was not started */
    extracted(&lone, 1, 8, 100, 1);
    CHECK_INT(effect(&lone, EFFECT_EXTRACT)->as.extract.token, ==, 10);
    want_in(&lone, 3, 11);
    CHECK_INT(effect(&lone, EFFECT_DROP_EXTRACT)->as.drop.token, ==, 10);
    CHECK_INT(effect(&lone, EFFECT_EXTRACT)->as.extract.token, ==, 11);
    extracted(&lone, 3, 10, 100, 1); /* late */
    CHECK(effect(&lone, EFFECT_SEND_DELTA) == NULL);
    down(&lone, 3, "gone");
    CHECK_INT(effect(&lone, EFFECT_DROP_EXTRACT)->as.drop.token, ==, 11);
    down(&lone, 1, "gone");
    CHECK_INT(effect(&lone, EFFECT_DROP_EXTRACT)->as.drop.token, ==, 8);
    lone_close(&lone);
}

TEST(an_extract_that_nobody_acknowledges_is_dropped)
{
    struct lone lone;
    bool dropped = false;

    lone_init(&lone);
    greet(&lone, 1, other);
    want_in(&lone, 1, 8);
    extracted(&lone, 1, 8, 100, 1);
    for (int i = 0; i < 60 && !dropped; i++) {
        vv_in(&lone, 1, other, 0, 0, print_b);
        tick(&lone, 1000);
        dropped = effect(&lone, EFFECT_DROP_EXTRACT) != NULL;
    }
    CHECK(dropped);
    lone_close(&lone);
}

/* Meshes */

static struct mesh *settled(size_t count, void (*shape)(struct mesh *mesh))
{
    struct mesh *mesh = mesh_new(count, count);

    shape(mesh);
    mesh_run(mesh, 500);
    for (size_t i = 0; i < count; i++)
        CHECK_INT(mesh_links_up(mesh, i), >, 0);
    return mesh;
}

TEST(a_commit_crosses_to_the_other_node_in_one_trip)
{
    struct mesh *mesh = settled(2, mesh_line);

    mesh_commit(mesh, 0);
    mesh_run(mesh, 1);
    CHECK(mesh_equal(mesh));
    mesh_commit(mesh, 1);
    mesh_run(mesh, 1);
    CHECK(mesh_equal(mesh));
    CHECK_INT(mesh->sent[MESSAGE_WANT], ==, 0);
    mesh_free(mesh);
}

TEST(in_a_full_mesh_each_push_is_direct)
{
    struct mesh *mesh = settled(3, mesh_full);

    mesh_commit(mesh, 0);
    mesh_run(mesh, 1);
    CHECK(mesh_equal(mesh));
    CHECK_INT(mesh->nodes[1].applied + mesh->nodes[2].applied, ==, 2);
    CHECK_INT(mesh->sent[MESSAGE_WANT], ==, 0);
    mesh_free(mesh);
}

TEST(when_both_sides_dial_one_link_stays)
{
    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct mesh *mesh = mesh_new(seed, 2);
        mesh->delay_max = 1 + (gv_time_ms)(seed % 50);
        mesh_full(mesh);
        mesh_run(mesh, 3000);
        for (size_t i = 0; i < 2; i++) {
            CHECK_INT(core_link_count(mesh->nodes[i].core), ==, 1);
            CHECK_INT(mesh_link(mesh, i, 0).state, ==, LINK_UP);
            CHECK_TEXT(mesh_link(mesh, i, 0).endpoint,
                       i == 0 ? "mem:1" : "mem:0");
        }
        CHECK(mesh_link(mesh, 0, 0).dialled != mesh_link(mesh, 1, 0).dialled);
        mesh_free(mesh);
    }
}

TEST(changes_cross_a_line_both_ways)
{
    struct mesh *mesh = settled(3, mesh_line);

    mesh_commit(mesh, 0);
    mesh_run(mesh, 2);
    CHECK(mesh_equal(mesh));
    mesh_commit(mesh, 2);
    mesh_run(mesh, 2);
    CHECK(mesh_equal(mesh));
    CHECK_INT(mesh->sent[MESSAGE_WANT], ==, 0);
    CHECK_INT(mesh->sent[MESSAGE_NEWS], ==, 4);
    mesh_free(mesh);
}

/* 1 answers a write of 0; the write is lost on its way to 2, the answer is
 * not. */
TEST(an_effect_is_not_shown_before_its_cause)
{
    struct mesh *mesh = settled(3, mesh_full);
    size_t cause, answer;

    mesh_cut(mesh, 0, 2, true);
    mesh_cut(mesh, 1, 2, true);
    cause = mesh_commit(mesh, 0);
    mesh_run(mesh, 2);
    CHECK(mesh->nodes[1].has[cause]);
    mesh_cut(mesh, 0, 2, false);
    mesh_cut(mesh, 1, 2, false);
    answer = mesh_commit(mesh, 1);
    mesh_run(mesh, 1);
    CHECK(!mesh->nodes[2].has[answer]);
    CHECK_INT(core_counters(mesh->nodes[2].core)->news_early, ==, 1);
    mesh_run(mesh, CORE_GRACE_MS + CORE_SOURCE_GRACE_MS + 5);
    CHECK(mesh->nodes[2].has[answer] && mesh->nodes[2].has[cause]);
    CHECK_INT(mesh->nodes[2].gaps, ==, 0);
    CHECK_INT(mesh->sent[MESSAGE_WANT], ==, 1);
    mesh_free(mesh);
}

TEST(a_new_node_catches_up_from_a_peer_that_is_not_the_origin)
{
    struct mesh *mesh = mesh_new(4, 3);

    mesh_dial(mesh, 0, 1);
    mesh_run(mesh, 100);
    for (int i = 0; i < 200; i++) {
        mesh_commit_of(mesh, 0, 20000, 1);
        mesh_run(mesh, 20);
    }
    mesh_run(mesh, 100);
    CHECK_INT(mesh->nodes[1].vv.hash == mesh->nodes[0].vv.hash, ==, 1);
    mesh_kill(mesh, 0);
    mesh_dial(mesh, 2, 1);
    CHECK(mesh_settle(mesh, 2000));
    CHECK_INT(mesh->delta_bytes, ==, 200 * 20000);
    CHECK_INT(core_counters(mesh->nodes[2].core)->wants_sent, ==, 1);
    mesh_free(mesh);
}

TEST(a_cut_node_catches_up_and_others_do_not_wait_for_it)
{
    struct mesh *mesh = settled(3, mesh_full);

    mesh_cut(mesh, 0, 2, true);
    mesh_cut(mesh, 1, 2, true);
    for (int i = 0; i < 100; i++) {
        mesh_commit(mesh, (size_t)i % 3);
        mesh_run(mesh, 50);
    }
    CHECK(mesh->nodes[0].vv.hash == mesh->nodes[1].vv.hash);
    CHECK(!mesh_equal(mesh));
    CHECK_INT(mesh_links_up(mesh, 2), ==, 0);
    mesh_cut(mesh, 0, 2, false);
    mesh_cut(mesh, 1, 2, false);
    CHECK(mesh_settle(mesh,
                      2 * CORE_RECONNECT_MAX_MS + 2 * CORE_SILENCE_MAX_MS));
    mesh_free(mesh);
}

TEST(credit_that_runs_out_is_repaired_by_vv_and_want)
{
    struct mesh *mesh = settled(2, mesh_line);

    mesh->work_max = 300;
    for (int i = 0; i < 40; i++)
        mesh_commit_of(mesh, 0, 60000, 1);
    CHECK_INT(mesh->sent[MESSAGE_NEWS], ==, 4);
    CHECK(mesh_settle(mesh, 5000));
    CHECK_INT(mesh->sent[MESSAGE_WANT], >, 0);
    mesh_commit_of(mesh, 0, 60000, 1); /* and the push works again */
    mesh->work_max = 0;
    mesh_run(mesh, 300);
    mesh_commit_of(mesh, 0, 60000, 1);
    mesh_run(mesh, 1);
    CHECK(mesh_equal(mesh));
    mesh_free(mesh);
}

TEST(duplicate_news_is_harmless)
{
    struct mesh *mesh = settled(3, mesh_full);

    mesh->duplicate = 1000;
    for (int i = 0; i < 30; i++) {
        mesh_commit(mesh, (size_t)i % 3);
        mesh_run(mesh, 30);
    }
    CHECK(mesh_settle(mesh, 1000));
    for (size_t i = 0; i < 3; i++) {
        CHECK_INT(core_counters(mesh->nodes[i].core)->forks, ==, 0);
        CHECK_INT(mesh->nodes[i].applied, ==, 20);
    }
    mesh_free(mesh);
}

TEST(what_a_schema_refuses_comes_after_the_alter)
{
    struct mesh *mesh = settled(2, mesh_line);
    size_t number;

    mesh->nodes[0].schema = 2;
    number = mesh_commit_of(mesh, 0, 100, 2);
    mesh_run(mesh, 10000);
    CHECK(!mesh->nodes[1].has[number]);
    CHECK(mesh_link(mesh, 1, 0).refused);
    CHECK_INT(mesh->sent[MESSAGE_WANT], ==, 0);
    CHECK_INT(mesh_link(mesh, 0, 0).lag_ms, >, 9000);
    mesh_schema(mesh, 1, 2);
    mesh_run(mesh, 200);
    CHECK(mesh_equal(mesh));
    CHECK(!mesh_link(mesh, 1, 0).refused);
    mesh_free(mesh);
}

TEST(what_is_too_far_ahead_comes_when_its_time_does)
{
    struct mesh *mesh = settled(2, mesh_line);
    size_t number;

    mesh->nodes[0].wall_ahead = CLOCK_DRIFT_MAX_MS + 20000;
    number = mesh_commit(mesh, 0);
    mesh_run(mesh, 19000);
    CHECK(!mesh->nodes[1].has[number]);
    CHECK(mesh_link(mesh, 1, 0).refused);
    CHECK_INT(mesh->sent[MESSAGE_WANT], <=, 5);
    CHECK(mesh_settle(mesh, 2500));
    mesh_free(mesh);
}

TEST(a_link_under_a_stream_of_news_still_fills_an_older_hole)
{
    struct mesh *mesh = settled(3, mesh_full);

    mesh->drop = 300;
    for (int i = 0; i < 300; i++) {
        mesh_commit(mesh, (size_t)i % 2);
        mesh_run(mesh, 10);
    }
    mesh->drop = 0; /* a WANT that was lost is given up after 10 s */
    for (int i = 0; i < 1300; i++) {
        mesh_commit(mesh, (size_t)i % 2);
        mesh_run(mesh, 10);
    }
    for (size_t i = 0; i < 2; i++) {
        gv_version held = vv_get(&mesh->nodes[2].vv, &mesh->nodes[i].site);
        gv_version made = vv_get(&mesh->nodes[i].vv, &mesh->nodes[i].site);
        CHECK_INT(clock_wall(made) - clock_wall(held), <, 1500);
    }
    CHECK(mesh_settle(mesh, 2000));
    mesh_free(mesh);
}

TEST(a_node_killed_and_started_again_is_linked_and_equal_soon)
{
    struct mesh *mesh = settled(3, mesh_full);

    mesh_kill(mesh, 1);
    mesh_commit(mesh, 0);
    mesh_commit(mesh, 2);
    mesh_run(mesh, 20);
    mesh_start(mesh, 1);
    mesh_dial(mesh, 1, 0);
    mesh_dial(mesh, 1, 2);
    CHECK(mesh_settle(mesh, 1000));
    mesh_run(mesh, 1000);
    CHECK_INT(mesh_links_up(mesh, 1), ==, 2);
    mesh_free(mesh);
}

TEST(after_convergence_there_are_heartbeats_only)
{
    struct mesh *mesh = settled(4, mesh_full);

    for (int i = 0; i < 20; i++)
        mesh_commit(mesh, (size_t)i % 4);
    CHECK(mesh_settle(mesh, 2000));
    mesh_run(mesh, 4000); /* PEERS of the links that came up too */
    memset(mesh->sent, 0, sizeof(mesh->sent));
    mesh_run(mesh, 10000);
    for (int kind = MESSAGE_HELLO; kind <= MESSAGE_KIND_MAX; kind++) {
        if (kind != MESSAGE_VV)
            CHECK_INT(mesh->sent[kind], ==, 0);
    }
    CHECK_INT(mesh->sent[MESSAGE_VV], >=, 4 * 3 * 9);
    CHECK_INT(mesh->sent[MESSAGE_VV], <=, 4 * 3 * 11);
    mesh_free(mesh);
}

int main(int argc, char **argv)
{
    return check_main(argc, argv);
}
