/* Who is known, with whom a node links, what it hears of clocks: small meshes
 * that find one another, and one core that is told of many. */
#include "base/utf8.h"
#include "check.h"
#include "core/clock.h"
#include "lone.h"
#include "mesh.h"

/* Meshes */

/* Whether @node says something with @part in it within @ms. */
static bool says(struct mesh *mesh, size_t node, const char *part,
                 gv_time_ms ms)
{
    struct mesh_node *at = &mesh->nodes[node];
    bool said;

    at->awaited = part;
    for (gv_time_ms i = 0; i < ms && at->awaited != NULL; i++)
        mesh_run(mesh, 1);
    said = at->awaited == NULL;
    at->awaited = NULL;
    return said;
}

static struct mesh *exchanging(uint64_t seed, size_t count)
{
    struct mesh *mesh = mesh_new(seed, count);

    mesh_exchange(mesh);
    return mesh;
}

static size_t least_links(const struct mesh *mesh)
{
    size_t least = SIZE_MAX;

    for (size_t i = 0; i < mesh->node_count; i++) {
        size_t up = mesh->nodes[i].alive ? mesh_links_up(mesh, i) : least;
        least = up < least ? up : least;
    }
    return least;
}

TEST(nodes_that_know_one_peer_each_find_all_others)
{
    struct mesh *mesh = exchanging(1, 12);

    for (size_t i = 1; i < 12; i++)
        mesh_dial(mesh, i, i - 1);
    mesh_run(mesh, 15000);
    CHECK_INT(least_links(mesh), ==, 11);
    mesh_free(mesh);
}

TEST(nodes_without_exchange_tell_of_others_and_dial_nobody)
{
    struct mesh *mesh = mesh_new(2, 4);

    /* 3 is told of 1 and 2 by 0, which was told to dial them. */
    mesh_kill(mesh, 3);
    mesh->nodes[3].exchange = true;
    mesh_start(mesh, 3);
    mesh_dial(mesh, 0, 1);
    mesh_dial(mesh, 0, 2);
    mesh_dial(mesh, 3, 0);
    mesh_run(mesh, 10000);
    CHECK_INT(mesh_links_up(mesh, 3), ==, 3);
    CHECK_INT(mesh_links_up(mesh, 1), ==, 2);
    CHECK_INT(mesh_links_up(mesh, 2), ==, 2);
    mesh_free(mesh);
}

TEST(a_node_that_can_only_dial_is_linked_with_all)
{
    struct mesh *mesh = exchanging(3, 6);

    mesh_kill(mesh, 5);
    mesh->nodes[5].hidden = true;
    mesh_start(mesh, 5);
    for (size_t i = 1; i < 6; i++)
        mesh_dial(mesh, i, 0);
    mesh_run(mesh, 10000);
    CHECK_INT(mesh_links_up(mesh, 5), ==, 5);
    mesh_commit(mesh, 5);
    mesh_commit(mesh, 2);
    CHECK(mesh_settle(mesh, 1000));
    mesh_free(mesh);
}

TEST(a_mesh_that_found_itself_lives_without_the_node_all_began_with)
{
    struct mesh *mesh = exchanging(4, 6);

    for (size_t i = 1; i < 6; i++)
        mesh_dial(mesh, i, 0);
    mesh_run(mesh, 10000);
    mesh_kill(mesh, 0);
    mesh_run(mesh, 10000);
    for (size_t i = 1; i < 6; i++)
        CHECK_INT(mesh_links_up(mesh, i), ==, 4);
    mesh_commit(mesh, 3);
    CHECK(mesh_settle(mesh, 1000));
    mesh_free(mesh);
}

TEST(after_all_know_one_another_links_carry_heartbeats_only)
{
    struct mesh *mesh = exchanging(5, 5);
    size_t before[MESSAGE_KIND_MAX + 1];

    for (size_t i = 1; i < 5; i++)
        mesh_dial(mesh, i, 0);
    mesh_run(mesh, 20000);
    memcpy(before, mesh->sent, sizeof(before));
    mesh_run(mesh, 100000);
    for (size_t kind = MESSAGE_HELLO; kind <= MESSAGE_BYE; kind++) {
        if (kind != MESSAGE_VV)
            CHECK_INT(mesh->sent[kind], ==, before[kind]);
    }
    /* Once in a while they tell again. */
    mesh_run(mesh, 600000);
    CHECK_INT(mesh->sent[MESSAGE_PEERS], >, before[MESSAGE_PEERS]);
    mesh_free(mesh);
}

TEST(frames_that_pass_one_way_only_are_found_and_said_on_both_sides)
{
    struct mesh *mesh = mesh_new(6, 2);

    mesh_dial(mesh, 0, 1);
    mesh_run(mesh, 2000);
    mesh_cut_one_way(mesh, 1, 0, true);
    CHECK(says(mesh, 1, "one way only", 4000));
    CHECK(strstr(mesh->nodes[0].last_log, "nothing was heard") != NULL);
    CHECK_INT(mesh_links_up(mesh, 0), ==, 0);
    /* Each new try is ended on both sides too. */
    for (int i = 0; i < 3; i++) {
        CHECK(says(mesh, 1, "linked with", 10000));
        CHECK(says(mesh, 1, "one way only", 4000));
    }
    mesh_cut_one_way(mesh, 1, 0, false);
    mesh_run(mesh, 15000);
    CHECK_INT(mesh_links_up(mesh, 0), ==, 1);
    mesh_free(mesh);
}

/* How long after a commit at 0 node 1 holds it, while 2 takes @slow for each
 * apply; 100 commits of 8 KB. */
static gv_time_ms latency_beside(gv_time_ms slow)
{
    struct mesh *mesh = mesh_new(7, 3);
    gv_time_ms longest = 0;

    mesh_dial(mesh, 0, 1);
    mesh_dial(mesh, 0, 2);
    mesh_run(mesh, 1000);
    mesh->nodes[2].slow = slow;
    for (int i = 0; i < 100; i++) {
        size_t number = mesh_commit_of(mesh, 0, 8192, 1);
        gv_time_ms began = mesh->now;
        while (!mesh->nodes[1].has[number] && mesh->now < began + 5000)
            mesh_run(mesh, 1);
        longest = mesh->now - began > longest ? mesh->now - began : longest;
        mesh_run(mesh, 5);
    }
    if (slow > 0)
        CHECK_INT(mesh->nodes[2].applied, <, 50);
    CHECK_INT(mesh_links_up(mesh, 0), ==, 2);
    mesh_free(mesh);
    return longest;
}

TEST(a_slow_peer_makes_no_other_wait)
{
    CHECK_INT(latency_beside(1000), ==, latency_beside(0));
}

TEST(round_trips_and_offsets_of_clocks_are_measured)
{
    struct mesh *mesh = mesh_new(8, 2);
    struct link_info info;

    mesh->nodes[1].wall_ahead = 5000;
    mesh_dial(mesh, 0, 1);
    mesh->delay_max = 40;
    mesh_run(mesh, 10000);
    info = mesh_link(mesh, 0, 0);
    CHECK_INT(info.rtt_ms, >, 1);
    CHECK_INT(info.rtt_ms, <=, 80);
    CHECK_INT(info.offset_ms, >, 5000 - 41);
    CHECK_INT(info.offset_ms, <, 5000 + 41);
    mesh_free(mesh);
}

TEST(a_node_whose_clock_is_ahead_of_most_others_says_so)
{
    struct mesh *mesh = mesh_new(9, 4);
    struct core_status status;

    mesh->nodes[0].wall_ahead = 40000;
    mesh_full(mesh);
    CHECK(says(mesh, 0, "ahead of those of most", 3000));
    mesh_run(mesh, 3000);
    core_status(mesh->nodes[0].core, &status);
    CHECK_INT(status.clocks, ==, 3);
    CHECK_INT(status.clock_ahead_ms, >, 39000);
    CHECK(!says(mesh, 1, "clock", 3000));
    core_status(mesh->nodes[1].core, &status);
    CHECK_INT(status.clock_ahead_ms, <, 1000);
    mesh_free(mesh);
}

TEST(a_refusal_for_the_clock_is_known_on_both_sides_with_its_end)
{
    struct mesh *mesh = mesh_new(10, 2);
    struct link_info info;

    mesh->nodes[0].wall_ahead = 90000;
    mesh_dial(mesh, 0, 1);
    mesh_run(mesh, 2000);
    mesh_commit(mesh, 0);
    mesh_run(mesh, 4000);
    info = mesh_link(mesh, 1, 0);
    CHECK(info.refused);
    CHECK_INT(info.retry_ms, >, 0);
    CHECK_INT(info.peer_refuses, ==, REFUSES_NOTHING);
    info = mesh_link(mesh, 0, 0);
    CHECK(!info.refused);
    CHECK_INT(info.peer_refuses, ==, REFUSES_CLOCK);
    CHECK_INT(info.peer_retry_ms, >, 0);
    CHECK(mesh_settle(mesh, 60000));
    mesh_run(mesh, 2000);
    CHECK_INT(mesh_link(mesh, 0, 0).peer_refuses, ==, REFUSES_NOTHING);
    mesh_free(mesh);
}

/* One core that is told of many */

static struct site site_at(size_t number)
{
    return (struct site){{9, (uint8_t)(number >> 8), (uint8_t)number, 1}};
}

static void lone_init_at(struct lone *lone, bool exchange, gv_time_ms now)
{
    struct core_config config = {.now = now,
                                 .site = {{5}},
                                 .mesh = "fish",
                                 .name = "me",
                                 .instance = 7,
                                 .seed = 1,
                                 .exchange = exchange,
                                 .schema_digest = 1};

    memset(lone, 0, sizeof(*lone));
    lone_open(lone, &config);
}

static void lone_init(struct lone *lone, bool exchange)
{
    lone_init_at(lone, exchange, 1000);
}

static void greet(struct lone *lone, gv_link link, size_t number,
                  const char *endpoint, bool local, bool urgent)
{
    struct message message = hello_of(site_at(number), 1000 + number);
    struct message_hello *hello = &message.as.hello;
    struct event up = {.kind = EVENT_LINK_UP, .link = link};

    up.as.up.local = local;
    feed(lone, up);
    hello->epoch = 1;
    hello->endpoint_count = endpoint != NULL;
    if (endpoint != NULL)
        hello->endpoints[0] = (struct text){endpoint, strlen(endpoint)};
    hello->clock = LONE_WALL + lone->now;
    hello->urgent = urgent;
    message_in(lone, link, &message);
}

/* PEERS on @link with @count endpoints from number @first on. */
static void tell_of(struct lone *lone, gv_link link, size_t first,
                    size_t count, uint32_t age_s)
{
    static char texts[MESSAGE_PEERS_MAX][64];
    struct message message = {.kind = MESSAGE_PEERS};

    message.as.peers.count = count;
    for (size_t i = 0; i < count; i++) {
        struct peer_address *address = &message.as.peers.addresses[i];
        snprintf(texts[i], sizeof(texts[i]), "tcp://10.0.0.%zu:7401",
                 first + i);
        address->endpoint = (struct text){texts[i], strlen(texts[i])};
        address->site = site_at(first + i);
        address->age_s = age_s;
    }
    message_in(lone, link, &message);
}

static size_t known(const struct lone *lone)
{
    struct known_peer peer;
    size_t count = 0;

    while (core_known_peer(lone->core, count, lone->now, &peer))
        count++;
    return count;
}

/* All links but @but say something, so that none is silent. */
static void keep_alive(struct lone *lone, gv_link first, gv_link last)
{
    for (gv_link link = first; link <= last; link += 2) {
        struct message message = {.kind = MESSAGE_ACK};
        message_in(lone, link, &message);
    }
}

/* Ticks until @ms have passed; returns how many dials began. */
static size_t dials_within(struct lone *lone, gv_time_ms ms)
{
    gv_time_ms end = lone->now + ms;
    size_t dials = 0;

    while (lone->now < end) {
        lone->now += 10;
        keep_alive(lone, 1, 1);
        feed(lone, (struct event){.kind = EVENT_TICK});
        for (size_t i = 0; nth_effect(lone, EFFECT_CONNECT, i) != NULL; i++)
            dials++;
    }
    return dials;
}

TEST(whom_a_node_was_told_of_it_dials_one_after_another)
{
    struct lone lone;

    lone_init(&lone, true);
    greet(&lone, 1, 1, NULL, false, false);
    tell_of(&lone, 1, 10, 32, 0);
    CHECK_INT(known(&lone), ==, 32);
    CHECK_INT(dials_within(&lone, 500), <=, 11);
    CHECK_INT(dials_within(&lone, 2000), >=, 20);
    lone_close(&lone);
}

TEST(a_static_node_dials_nobody_it_was_told_of)
{
    struct lone lone;

    lone_init(&lone, false);
    greet(&lone, 1, 1, "tcp://10.0.0.1:1", false, false);
    tell_of(&lone, 1, 10, 32, 0);
    CHECK_INT(known(&lone), ==, 0);
    CHECK_INT(dials_within(&lone, 1000), ==, 0);
    lone_close(&lone);
}

TEST(peers_are_told_of_each_other_with_their_age)
{
    struct lone lone;
    const struct message_peers *told;

    lone_init(&lone, true);
    greet(&lone, 1, 1, "tcp://10.0.0.1:1", false, false);
    CHECK(sent(&lone, 1, MESSAGE_PEERS) == NULL); /* it knows itself */
    greet(&lone, 3, 3, "tcp://10.0.0.3:1", false, false);
    CHECK(sent(&lone, 3, MESSAGE_PEERS) != NULL);
    told = &sent(&lone, 3, MESSAGE_PEERS)->as.peers;
    CHECK_INT(told->count, ==, 1);
    CHECK(site_equal(&told->addresses[0].site, &(struct site){{9, 0, 1, 1}}));
    CHECK_INT(told->addresses[0].age_s, ==, 0);
    feed(&lone, (struct event){.kind = EVENT_LINK_DOWN, .link = 1});
    feed(&lone, (struct event){.kind = EVENT_LINK_DOWN, .link = 3});
    lone.now += 40000;
    greet(&lone, 5, 5, NULL, false, false);
    told = &sent(&lone, 5, MESSAGE_PEERS)->as.peers;
    CHECK_INT(told->count, ==, 2);
    CHECK_INT(told->addresses[0].age_s, ==, 40);
    /* What was not seen for more than an hour is not told. */
    feed(&lone, (struct event){.kind = EVENT_LINK_DOWN, .link = 5});
    lone.now += 3600 * 1000;
    greet(&lone, 7, 7, NULL, false, false);
    CHECK(sent(&lone, 7, MESSAGE_PEERS) == NULL);
    lone_close(&lone);
}

TEST(hearsay_is_not_passed_on)
{
    struct lone lone;

    lone_init(&lone, true);
    greet(&lone, 1, 1, NULL, false, false);
    tell_of(&lone, 1, 10, 32, 0);
    greet(&lone, 3, 3, NULL, false, false);
    CHECK(sent(&lone, 3, MESSAGE_PEERS) == NULL);
    lone_close(&lone);
}

TEST(loopback_addresses_stay_on_this_machine)
{
    struct lone lone;
    struct message message = {.kind = MESSAGE_PEERS};

    lone_init(&lone, true);
    greet(&lone, 1, 1, "tcp://127.0.0.1:7401", true, false);
    greet(&lone, 3, 3, NULL, false, false);
    CHECK(sent(&lone, 3, MESSAGE_PEERS) == NULL);
    greet(&lone, 5, 5, NULL, true, false);
    CHECK_INT(sent(&lone, 5, MESSAGE_PEERS)->as.peers.count, ==, 1);
    /* Nor are those of others taken for one here. */
    message.as.peers.count = 1;
    message.as.peers.addresses[0].endpoint =
        (struct text){"tcp://[::1]:7402", 16};
    message.as.peers.addresses[0].site = site_at(8);
    lone.now += 1000;
    message_in(&lone, 3, &message);
    CHECK_INT(known(&lone), ==, 1);
    message_in(&lone, 5, &message);
    CHECK_INT(known(&lone), ==, 2);
    lone_close(&lone);
}

TEST(a_flood_of_names_makes_no_more_known_than_there_is_room_for)
{
    struct lone lone;
    size_t before;

    lone_init(&lone, true);
    greet(&lone, 1, 1, NULL, false, false);
    /* Within the pause the second is not read. */
    tell_of(&lone, 1, 0, 32, 0);
    tell_of(&lone, 1, 32, 32, 0);
    CHECK_INT(known(&lone), ==, 32);
    for (size_t i = 1; i < 100; i++) {
        lone.now += 600;
        keep_alive(&lone, 1, 1);
        tell_of(&lone, 1, i * 32, 32, 0);
        CHECK_INT(lone.code, ==, GV_OK);
        CHECK_INT(known(&lone), <=, CORE_KNOWN_MAX);
    }
    /* Too many, or none, break the protocol; too old ones are not kept. */
    before = known(&lone);
    lone.now += 600;
    tell_of(&lone, 1, 5000, 1, 2 * 3600);
    CHECK_INT(known(&lone), ==, before);
    tell_of(&lone, 1, 0, 0, 0);
    CHECK_INT(lone.code, ==, GV_EPROTO);
    lone_close(&lone);
}

/* @count dials that fail at once, over and over for @ms. */
static void all_dials_fail(struct lone *lone, gv_time_ms ms)
{
    gv_time_ms end = lone->now + ms;

    while (lone->now < end) {
        gv_time_ms next = core_deadline(lone->core);
        if (next > lone->now)
            lone->now = next < lone->now + 2000 ? next : lone->now + 2000;
        keep_alive(lone, 1, 1);
        feed(lone, (struct event){.kind = EVENT_TICK});
        while (nth_effect(lone, EFFECT_CONNECT, 0) != NULL)
            feed(lone, (struct event){
                           .kind = EVENT_LINK_DOWN,
                           .link = nth_effect(lone, EFFECT_CONNECT, 0)->link,
                           .reason = "refused"});
    }
}

TEST(addresses_that_nobody_answers_at_die_out)
{
    struct lone lone;
    struct core_status status;

    lone_init(&lone, true);
    greet(&lone, 1, 1, NULL, false, false);
    tell_of(&lone, 1, 10, 8, 0);
    all_dials_fail(&lone, 60000);
    core_status(lone.core, &status);
    CHECK_INT(status.known, ==, 0); /* not likely any more, but known */
    CHECK_INT(known(&lone), ==, 8);
    /* Hardly tried while they are told of, and forgotten afterwards. */
    CHECK_INT(dials_within(&lone, 60000), <=, 8);
    all_dials_fail(&lone, 4 * 3600 * 1000);
    CHECK_INT(known(&lone), ==, 0);
    lone_close(&lone);
}

TEST(a_site_that_moved_is_known_where_it_is_only)
{
    struct lone lone;
    struct known_peer peer;

    lone_init(&lone, true);
    greet(&lone, 1, 1, "tcp://10.0.0.1:1", false, false);
    feed(&lone, (struct event){.kind = EVENT_LINK_DOWN, .link = 1});
    greet(&lone, 3, 1, "tcp://10.0.0.1:2", false, false);
    CHECK_INT(known(&lone), ==, 1);
    CHECK(core_known_peer(lone.core, 0, lone.now, &peer));
    CHECK_TEXT(peer.endpoint, "tcp://10.0.0.1:2");
    CHECK(peer.heard && peer.age == 0);
    lone_close(&lone);
}

TEST(what_was_kept_from_an_earlier_start_is_dialled)
{
    struct lone lone;
    struct site site = site_at(4);
    gv_time_ms day = 86400 * 1000;

    lone_init(&lone, true);
    CHECK_INT(core_know_peer(lone.core, "tcp://10.0.0.4:1", &site, day), ==,
              GV_OK);
    CHECK_INT(core_know_peer(lone.core, "tcp://10.0.0.5:1", &site, 31 * day),
              ==, GV_EINVAL);
    lone.now += 500;
    feed(&lone, (struct event){.kind = EVENT_TICK});
    CHECK(nth_effect(&lone, EFFECT_CONNECT, 0) != NULL);
    CHECK_TEXT(nth_effect(&lone, EFFECT_CONNECT, 0)->as.connect.endpoint,
               "tcp://10.0.0.4:1");
    lone_close(&lone);
    lone_init(&lone, false);
    CHECK_INT(core_know_peer(lone.core, "tcp://10.0.0.4:1", &site, day), ==,
              GV_EINVAL);
    lone_close(&lone);
}

/* A machine's monotonic clock says how long it has been up: that is nothing
 * that a peer's age has to do with. */
TEST(what_was_kept_is_as_old_on_a_machine_that_has_been_up_for_long)
{
    struct lone lone;
    struct site site = site_at(4);
    struct known_peer peer;
    gv_time_ms day = 86400 * 1000;

    lone_init_at(&lone, true, 40 * day);
    CHECK_INT(core_know_peer(lone.core, "tcp://10.0.0.4:1", &site, day), ==,
              GV_OK);
    all_dials_fail(&lone, 60000);
    CHECK(core_known_peer(lone.core, 0, lone.now, &peer));
    CHECK_INT(peer.age, ==, day + (lone.now - 40 * day));
    lone_close(&lone);
}

TEST(whom_is_being_dialled_was_not_heard_of_by_that)
{
    struct lone lone;
    struct site site = site_at(4);
    struct known_peer peer;

    lone_init(&lone, true);
    CHECK_INT(core_know_peer(lone.core, "tcp://10.0.0.4:1", &site, 5000), ==,
              GV_OK);
    lone.now += 60000;
    feed(&lone, (struct event){.kind = EVENT_TICK});
    CHECK_INT(lone.effects.items[0].kind, ==, EFFECT_CONNECT);
    CHECK(core_known_peer(lone.core, 0, lone.now, &peer));
    CHECK_INT(peer.age, ==, 65000);
    lone_close(&lone);
}

TEST(whom_a_person_names_is_dialled_at_once_however_it_was_known)
{
    struct lone lone;

    lone_init(&lone, true);
    greet(&lone, 1, 1, NULL, false, false);
    tell_of(&lone, 1, 10, 1, 0);
    all_dials_fail(&lone, 1800 * 1000);
    CHECK_INT(core_add_peer(lone.core, "tcp://10.0.0.10:7401"), ==, GV_OK);
    keep_alive(&lone, 1, 1);
    feed(&lone, (struct event){.kind = EVENT_TICK});
    CHECK(nth_effect(&lone, EFFECT_CONNECT, 0) != NULL);
    lone_close(&lone);
}

TEST(whom_a_person_names_is_not_forgotten_with_its_link)
{
    struct lone lone;
    gv_link link;

    lone_init(&lone, true);
    CHECK_INT(core_learn_peer(lone.core, "tcp://10.0.0.4:1"), ==, GV_OK);
    lone.now += 500;
    feed(&lone, (struct event){.kind = EVENT_TICK});
    link = nth_effect(&lone, EFFECT_CONNECT, 0)->link;
    greet(&lone, link, 4, NULL, false, false);
    core_forget_peer(lone.core, "tcp://10.0.0.4:1");
    CHECK_INT(core_add_peer(lone.core, "tcp://10.0.0.4:1"), ==, GV_OK);
    feed(&lone, (struct event){.kind = EVENT_LINK_DOWN, .link = link});
    CHECK_INT(known(&lone), ==, 1);
    lone_close(&lone);
}

/* The frame that told of it would be refused, and its link with it. */
TEST(a_peer_that_says_an_empty_place_is_at_none)
{
    struct lone lone;

    lone_init(&lone, true);
    greet(&lone, 1, 1, "", false, false);
    greet(&lone, 3, 3, NULL, false, false);
    CHECK(sent(&lone, 3, MESSAGE_PEERS) == NULL);
    lone_close(&lone);
}

TEST(what_a_refusal_says_is_cut_between_characters)
{
    struct lone lone;
    struct message message = {.kind = MESSAGE_HELLO};
    struct message_hello *hello = &message.as.hello;
    const struct message *bye;
    char mesh[2 * 120];

    for (size_t i = 0; i < sizeof(mesh); i += 2)
        memcpy(mesh + i, "\xc3\xa9", 2);
    lone_init(&lone, true);
    hello->dialect = (struct dialect){PROTOCOL_VERSION_MAX,
                                      PROTOCOL_VERSION_MAX, FEATURES_ALL};
    /* Of both parities, one of which is cut within a character. */
    for (gv_link link = 1; link <= 3; link += 2) {
        if (link == 3)
            mesh[0] = mesh[1] = 'x';
        hello->mesh =
            (struct text){mesh + (link == 3), sizeof(mesh) - (link == 3)};
        feed(&lone, (struct event){.kind = EVENT_LINK_UP, .link = link});
        message_in(&lone, link, &message);
        bye = sent(&lone, link, MESSAGE_BYE);
        CHECK_INT(bye->as.bye.code, ==, BYE_OTHER_MESH);
        CHECK_INT(bye->as.bye.text.size, >=, MESSAGE_TEXT_SIZE_MAX - 1);
        CHECK(utf8_printable(bye->as.bye.text.bytes, bye->as.bye.text.size));
    }
    lone_close(&lone);
}

TEST(what_the_network_tells_of_is_dialled_until_it_tells_otherwise)
{
    struct lone lone;
    gv_link link;

    lone_init(&lone, true);
    CHECK_INT(core_learn_peer(lone.core, "tcp://10.0.0.4:1"), ==, GV_OK);
    CHECK_INT(core_learn_peer(lone.core, "tcp://10.0.0.5:1"), ==, GV_OK);
    core_forget_peer(lone.core, "tcp://10.0.0.5:1");
    CHECK_INT(known(&lone), ==, 1);
    lone.now += 500;
    feed(&lone, (struct event){.kind = EVENT_TICK});
    CHECK(nth_effect(&lone, EFFECT_CONNECT, 1) == NULL);
    link = nth_effect(&lone, EFFECT_CONNECT, 0)->link;
    /* A link that stands stays; its end is that of the peer. */
    greet(&lone, link, 4, NULL, false, false);
    core_forget_peer(lone.core, "tcp://10.0.0.4:1");
    CHECK_INT(known(&lone), ==, 1);
    feed(&lone, (struct event){.kind = EVENT_LINK_DOWN, .link = link});
    CHECK_INT(known(&lone), ==, 0);
    CHECK_INT(dials_within(&lone, 10000), ==, 0);
    lone_close(&lone);
}

TEST(who_is_not_wanted_any_more_is_one_that_was_learned_or_none)
{
    for (int exchange = 0; exchange <= 1; exchange++) {
        struct lone lone;

        lone_init(&lone, exchange != 0);
        CHECK_INT(core_add_peer(lone.core, "tcp://10.0.0.4:1"), ==, GV_OK);
        CHECK_INT(core_add_peer(lone.core, "tcp://10.0.0.5:1"), ==, GV_OK);
        core_drop_peer(lone.core, "tcp://10.0.0.4:1");
        core_drop_peer(lone.core, "tcp://10.0.0.6:1");
        feed(&lone, (struct event){.kind = EVENT_TICK});
        CHECK_INT(known(&lone), ==, exchange != 0 ? 2 : 1);
        CHECK_INT(core_link_count(lone.core), >=, 1);
        CHECK_INT(core_add_peer(lone.core, "tcp://10.0.0.4:1"), ==, GV_OK);
        CHECK_INT(core_add_peer(lone.core, "tcp://10.0.0.5:1"), ==, GV_EEXIST);
        lone_close(&lone);
    }
}

TEST(who_is_linked_stays_though_nobody_wants_the_peer_any_more)
{
    for (int exchange = 0; exchange <= 1; exchange++) {
        const struct effect *dial;
        struct core_status seen;
        struct lone lone;

        lone_init(&lone, exchange != 0);
        CHECK_INT(core_add_peer(lone.core, "tcp://10.0.0.4:1"), ==, GV_OK);
        feed(&lone, (struct event){.kind = EVENT_TICK});
        dial = nth_effect(&lone, EFFECT_CONNECT, 0);
        CHECK(dial != NULL);
        greet(&lone, dial->link, 4, "tcp://10.0.0.4:1", false, false);
        core_drop_peer(lone.core, "tcp://10.0.0.4:1");
        feed(&lone, (struct event){.kind = EVENT_TICK});
        core_status(lone.core, &seen);
        CHECK_INT(seen.links_up, ==, 1);
        CHECK_INT(known(&lone), ==, 1);
        lone_close(&lone);
    }
}

/* A heartbeat on link 1, @rtt after the stamp that this node sent 720 ms ago,
 * whose sender's clock is @ahead. */
static struct link_info beat(struct lone *lone, gv_time_ms rtt,
                             gv_time_ms ahead)
{
    struct message message = {.kind = MESSAGE_VV};
    const struct message *heard = NULL;
    struct link_info info;

    while (heard == NULL) {
        lone->now += 10;
        keep_alive(lone, 1, 1);
        feed(lone, (struct event){.kind = EVENT_TICK});
        heard = sent(lone, 1, MESSAGE_VV);
    }
    message.as.vv.epoch = 1;
    message.as.vv.beat.stamp = 12345;
    message.as.vv.beat.echo = heard->as.vv.beat.stamp;
    message.as.vv.beat.held = 720 - rtt;
    lone->now += 720;
    message.as.vv.clock = MESH_WALL + lone->now - rtt / 2 + ahead;
    message_in(lone, 1, &message);
    core_link_info(lone->core, 0, lone->now, &info);
    return info;
}

TEST(the_shortest_round_trip_tells_the_offset_until_a_clock_is_set)
{
    struct lone lone;
    struct link_info info;

    lone_init(&lone, false);
    greet(&lone, 1, 1, NULL, false, false);
    info = beat(&lone, 20, 5000);
    CHECK_INT(info.rtt_ms, ==, 20);
    CHECK_INT(info.offset_ms, ==, 5000);
    info = beat(&lone, 500, 5200);
    CHECK_INT(info.rtt_ms, ==, 20);
    CHECK_INT(info.offset_ms, ==, 5000);
    info = beat(&lone, 500, -60000);
    CHECK_INT(info.rtt_ms, ==, 500);
    CHECK_INT(info.offset_ms, ==, -60000);
    /* The eighth after it pushes the shortest out. */
    (void)beat(&lone, 30, -60000);
    for (int i = 0; i < 8; i++)
        info = beat(&lone, 300, -60000);
    CHECK_INT(info.rtt_ms, ==, 300);
    lone_close(&lone);
}

/* The view */

static void greet_as(struct lone *lone, gv_link link, size_t number,
                     bool urgent)
{
    char endpoint[64];

    snprintf(endpoint, sizeof(endpoint), "tcp://10.9.9.9:%zu", number);
    greet(lone, link, number, endpoint, false, urgent);
}

/* A core that knows of 96 and has @links links with others, from 1 on. */
static void narrow_init(struct lone *lone, size_t links)
{
    struct core_status status;

    lone_init(lone, true);
    for (size_t i = 0; i < 3; i++) {
        greet_as(lone, 1 + 2 * (gv_link)i, 300 + i, false);
        tell_of(lone, 1 + 2 * (gv_link)i, 10 + 32 * i, 32, 0);
    }
    for (size_t i = 3; i < links; i++)
        greet_as(lone, 1 + 2 * (gv_link)i, 300 + i, false);
    core_status(lone->core, &status);
    CHECK(status.narrow);
    CHECK_INT(status.links_up, ==, links < 8 ? links : 8);
}

TEST(a_node_that_knows_many_dials_until_it_has_the_links_it_wants)
{
    struct lone lone;
    size_t dials = 0;

    narrow_init(&lone, 3);
    for (int i = 0; i < 100; i++) {
        lone.now += 10;
        keep_alive(&lone, 1, 5);
        feed(&lone, (struct event){.kind = EVENT_TICK});
        for (size_t j = 0; nth_effect(&lone, EFFECT_CONNECT, j) != NULL; j++)
            dials++;
    }
    /* Three, and one that is looked at. */
    CHECK_INT(dials, >=, CORE_VIEW_WANTED - 3);
    CHECK_INT(dials, <=, CORE_VIEW_WANTED - 3 + 1);
    lone_close(&lone);
}

TEST(a_node_that_is_full_names_others)
{
    struct lone lone;
    const struct message *bye;

    narrow_init(&lone, 8);
    greet_as(&lone, 101, 400, false);
    bye = sent(&lone, 101, MESSAGE_BYE);
    CHECK(bye != NULL);
    CHECK_INT(bye->as.bye.code, ==, BYE_FULL);
    CHECK(sent(&lone, 101, MESSAGE_PEERS) != NULL);
    lone_close(&lone);
}

TEST(who_has_hardly_a_link_is_let_in_by_a_node_that_is_full)
{
    struct lone lone;
    struct core_status status;

    narrow_init(&lone, 8);
    greet_as(&lone, 101, 400, true);
    CHECK(sent(&lone, 101, MESSAGE_BYE) == NULL);
    core_status(lone.core, &status);
    CHECK_INT(status.links_up, ==, 8);
    lone_close(&lone);
}

TEST(a_node_that_comes_to_know_many_lets_go_of_links_one_by_one)
{
    struct lone lone;
    struct core_status status;

    lone_init(&lone, true);
    for (size_t i = 0; i < 20; i++)
        greet_as(&lone, 1 + 2 * (gv_link)i, 300 + i, false);
    for (size_t i = 0; i < 3; i++)
        tell_of(&lone, 1 + 2 * (gv_link)i, 10 + 32 * i, 32, 0);
    lone.now += 10;
    feed(&lone, (struct event){.kind = EVENT_TICK});
    core_status(lone.core, &status);
    CHECK_INT(status.links_up, ==, 19);
    for (int i = 0; i < 30; i++) {
        lone.now += 1000;
        keep_alive(&lone, 1, 39);
        feed(&lone, (struct event){.kind = EVENT_TICK});
    }
    core_status(lone.core, &status);
    CHECK_INT(status.links_up, ==, CORE_VIEW_MAX);
    lone_close(&lone);
}

int main(int argc, char **argv)
{
    return check_main(argc, argv);
}
