/* The simulated network: what arrives, in which order, and who hears of what
 * breaks. */
#include "check.h"
#include "sim/network/network.h"

#include "base/hash.h"

#define NODES 4
#define CALLS 4096
#define PATH (10 * SIM_MS)

enum call_kind { CALL_UP, CALL_DOWN, CALL_FRAME };

struct call {
    enum call_kind kind;
    size_t node;
    gv_link link;
    sim_time when;
    size_t size;
    uint8_t first; /* byte of the frame */
    char reason[40];
};

struct play {
    struct world *world;
    struct network *network;
    struct call calls[CALLS];
    size_t count;
};

static struct call *add_call(struct play *play, enum call_kind kind,
                             size_t node, gv_link link)
{
    struct call *call = &play->calls[play->count++];

    CHECK(play->count < CALLS);
    memset(call, 0, sizeof *call);
    call->kind = kind;
    call->node = node;
    call->link = link;
    call->when = world_now(play->world);
    return call;
}

static void on_up(void *context, size_t node, gv_link link)
{
    add_call(context, CALL_UP, node, link);
}

static void on_down(void *context, size_t node, gv_link link,
                    const char *reason)
{
    struct call *call = add_call(context, CALL_DOWN, node, link);

    snprintf(call->reason, sizeof call->reason, "%s", reason);
}

static void on_frame(void *context, size_t node, gv_link link,
                     const uint8_t *bytes, size_t size)
{
    struct call *call = add_call(context, CALL_FRAME, node, link);

    call->size = size;
    call->first = size > 0 ? bytes[0] : 0;
}

static struct play *play_new(uint64_t seed)
{
    struct play *play = calloc(1, sizeof *play);
    struct network_listener listener = {play, on_up, on_down, on_frame};

    CHECK(play != NULL);
    play->world = world_new(seed);
    play->network = network_new(play->world, NODES, PATH, &listener);
    for (size_t i = 0; i < NODES; i++)
        network_listen(play->network, i);
    return play;
}

static void play_free(struct play *play)
{
    network_free(play->network);
    world_free(play->world);
    free(play);
}

static void pass(struct play *play, sim_time time)
{
    sim_time until = world_now(play->world) + time;

    while (world_step(play->world, until))
        ;
}

static void dial(struct play *play, size_t from, gv_link link, size_t to)
{
    network_connect(play->network, from, link,
                    network_endpoint(play->network, to));
}

static int send_sized(struct play *play, size_t node, gv_link link,
                      uint8_t number, size_t size)
{
    static uint8_t bytes[MESSAGE_FRAME_SIZE_MAX];

    bytes[0] = number;
    return network_send(play->network, node, link, bytes, size);
}

static void send_number(struct play *play, size_t node, gv_link link,
                        uint8_t number)
{
    CHECK_INT(send_sized(play, node, link, number, 100), ==, GV_OK);
}

/* Node 0 dials node 1 as link 2; both have heard the other: link 1 there. */
static void join(struct play *play)
{
    dial(play, 0, 2, 1);
    pass(play, 2 * PATH);
    send_number(play, 0, 2, 0);
    pass(play, PATH);
    CHECK_INT(play->count, ==, 3);
    CHECK_INT(play->calls[2].kind, ==, CALL_FRAME);
    CHECK_INT(play->calls[2].link, ==, 1);
    play->count = 0;
}

static size_t count_kind(const struct play *play, enum call_kind kind,
                         size_t node)
{
    size_t count = 0;

    for (size_t i = 0; i < play->count; i++)
        count += play->calls[i].kind == kind && play->calls[i].node == node;
    return count;
}

static void check_downs(struct play *play, size_t at_0, size_t at_1)
{
    CHECK_INT(count_kind(play, CALL_DOWN, 0), ==, at_0);
    CHECK_INT(count_kind(play, CALL_DOWN, 1), ==, at_1);
}

TEST(a_dial_is_up_after_a_round_trip_and_accepted_with_its_first_frame)
{
    struct play *play = play_new(1);

    dial(play, 0, 2, 1);
    pass(play, 2 * PATH - 1);
    CHECK_INT(play->count, ==, 0);
    pass(play, 1);
    CHECK_INT(play->count, ==, 1);
    CHECK_INT(play->calls[0].kind, ==, CALL_UP);
    CHECK_INT(play->calls[0].link, ==, 2);
    pass(play, SIM_SECOND);
    CHECK_INT(play->count, ==, 1);
    send_number(play, 0, 2, 7);
    pass(play, PATH);
    CHECK_INT(play->count, ==, 3);
    CHECK_INT(play->calls[1].kind, ==, CALL_UP);
    CHECK_INT(play->calls[1].node, ==, 1);
    CHECK_INT(play->calls[1].link, ==, 1);
    CHECK_INT(play->calls[2].first, ==, 7);
    send_number(play, 1, 1, 8);
    pass(play, PATH);
    CHECK_INT(play->calls[3].node, ==, 0);
    CHECK_INT(play->calls[3].link, ==, 2);
    CHECK_INT(play->calls[3].first, ==, 8);
    play_free(play);
}

TEST(a_dial_to_nobody_is_refused_and_to_a_dark_or_blocked_one_times_out)
{
    struct play *play = play_new(1);

    network_leave(play->network, 1, false);
    network_leave(play->network, 2, true);
    network_block(play->network, 3, 0, true, true);
    dial(play, 0, 2, 1);
    dial(play, 0, 4, 2);
    dial(play, 0, 6, 3);
    network_connect(play->network, 0, 8, "tcp://elsewhere:1");
    pass(play, 2 * PATH);
    CHECK_INT(play->count, ==, 2);
    CHECK_INT(play->calls[0].link, ==, 2);
    CHECK_TEXT(play->calls[0].reason, "connection refused");
    CHECK_INT(play->calls[1].link, ==, 8);
    pass(play, 3 * SIM_SECOND - 2 * PATH - 1);
    CHECK_INT(play->count, ==, 2);
    pass(play, 1);
    CHECK_INT(play->count, ==, 4);
    CHECK_INT(count_kind(play, CALL_DOWN, 0), ==, 4);
    play_free(play);
}

TEST(frames_keep_their_order_though_their_delays_differ)
{
    struct play *play = play_new(1);
    struct network_faults faults = {.jitter = 50 * SIM_MS};

    join(play);
    network_set_faults(play->network, &faults);
    for (int i = 0; i < 200; i++) {
        send_number(play, 0, 2, (uint8_t)i);
        pass(play, SIM_MS);
    }
    pass(play, 60 * SIM_SECOND);
    CHECK_INT(play->count, ==, 200);
    for (int i = 0; i < 200; i++)
        CHECK_INT(play->calls[i].first, ==, i);
    CHECK_INT(network_count(play->network, NETWORK_REORDERED), ==, 0);
    play_free(play);
}

TEST(the_reorder_fault_lets_frames_overtake_and_loses_none)
{
    struct play *play = play_new(1);
    struct network_faults faults = {.reorder = 200000};
    size_t late = 0;

    join(play);
    network_set_faults(play->network, &faults);
    for (int i = 0; i < 200; i++) {
        send_number(play, 0, 2, (uint8_t)i);
        pass(play, SIM_MS);
    }
    pass(play, 60 * SIM_SECOND);
    CHECK_INT(play->count, ==, 200);
    for (int i = 1; i < 200; i++)
        late += play->calls[i].first < play->calls[i - 1].first;
    CHECK_INT(late, >, 10);
    CHECK_INT(network_count(play->network, NETWORK_REORDERED), >, 20);
    play_free(play);
}

TEST(every_frame_that_is_lost_is_counted)
{
    struct play *play = play_new(1);
    struct network_faults faults = {.lose = 300000};
    uint64_t lost;

    join(play);
    network_set_faults(play->network, &faults);
    for (int i = 0; i < 1000; i++)
        send_number(play, 0, 2, (uint8_t)i);
    pass(play, SIM_SECOND);
    lost = network_count(play->network, NETWORK_LOST);
    CHECK_INT(lost, >, 200);
    CHECK_INT(lost, <, 400);
    CHECK_INT(play->count, ==, 1000 - lost);
    play_free(play);
}

TEST(a_duplicate_arrives_twice)
{
    struct play *play = play_new(1);
    struct network_faults faults = {.duplicate = 1000000};

    join(play);
    network_set_faults(play->network, &faults);
    for (int i = 0; i < 10; i++)
        send_number(play, 0, 2, (uint8_t)i);
    pass(play, SIM_SECOND);
    CHECK_INT(play->count, ==, 20);
    CHECK_INT(network_count(play->network, NETWORK_DUPLICATED), ==, 10);
    play_free(play);
}

TEST(damage_turns_one_bit_or_ends_the_frame_early)
{
    struct play *play = play_new(1);
    struct network_faults flip = {.flip = 1000000};
    struct network_faults truncate = {.truncate = 1000000};

    join(play);
    network_set_faults(play->network, &flip);
    CHECK_INT(send_sized(play, 0, 2, 0, 1), ==, GV_OK);
    pass(play, SIM_SECOND);
    CHECK_INT(play->count, ==, 1);
    CHECK_INT(__builtin_popcount(play->calls[0].first), ==, 1);
    network_set_faults(play->network, &truncate);
    send_number(play, 0, 2, 0);
    pass(play, SIM_SECOND);
    CHECK_INT(play->calls[1].size, <, 100);
    CHECK_INT(network_count(play->network, NETWORK_FLIPPED), ==, 1);
    CHECK_INT(network_count(play->network, NETWORK_TRUNCATED), ==, 1);
    play_free(play);
}

TEST(a_replay_goes_only_to_a_link_that_stands)
{
    struct play *play = play_new(1);
    struct network_faults faults = {.replay = 1000000}, rare = {.replay = 1};

    join(play);
    network_set_faults(play->network, &faults);
    for (int i = 0; i < 20; i++)
        send_number(play, 0, 2, 5);
    network_set_faults(play->network, &rare);
    pass(play, 300 * SIM_SECOND);
    CHECK_INT(play->count, >, 20);
    CHECK_INT(play->count, <, 40);
    CHECK_INT(network_count(play->network, NETWORK_REPLAYED), ==,
              play->count - 20);
    network_close(play->network, 0, 2);
    pass(play, SIM_SECOND);
    play->count = 0;
    pass(play, 600 * SIM_SECOND);
    CHECK_INT(play->count, ==, 0);
    play_free(play);
}

TEST(a_replay_reaches_a_later_link_between_the_same_two)
{
    struct play *play = play_new(1);
    struct network_faults faults = {.replay = 1000000}, rare = {.replay = 1};

    join(play);
    network_set_faults(play->network, &faults);
    for (int i = 0; i < 20; i++)
        send_number(play, 0, 2, 5);
    network_set_faults(play->network, &rare);
    network_reset(play->network, 0, 1);
    dial(play, 0, 4, 1);
    pass(play, 3 * PATH);
    send_number(play, 0, 4, 6);
    pass(play, PATH);
    play->count = 0;
    pass(play, 600 * SIM_SECOND);
    CHECK_INT(play->count, >, 15);
    CHECK_INT(play->calls[0].node, ==, 1);
    CHECK_INT(play->calls[0].link, ==, 3);
    CHECK_INT(play->calls[0].first, ==, 5);
    play_free(play);
}

TEST(nothing_is_replayed_once_the_network_is_healed)
{
    struct play *play = play_new(1);
    struct network_faults faults = {.replay = 1000000};

    join(play);
    network_set_faults(play->network, &faults);
    for (int i = 0; i < 20; i++)
        send_number(play, 0, 2, 5);
    network_heal(play->network);
    pass(play, 600 * SIM_SECOND);
    CHECK_INT(play->count, ==, 20);
    play_free(play);
}

TEST(a_block_may_stop_one_way_alone)
{
    struct play *play = play_new(1);

    join(play);
    network_block(play->network, 0, 1, true, false);
    CHECK(network_blocked(play->network, 0, 1));
    CHECK(!network_blocked(play->network, 1, 0));
    send_number(play, 0, 2, 1);
    send_number(play, 1, 1, 2);
    pass(play, SIM_SECOND);
    CHECK_INT(play->count, ==, 1);
    CHECK_INT(play->calls[0].node, ==, 0);
    CHECK_INT(network_count(play->network, NETWORK_HELD), ==, 1);
    network_block(play->network, 0, 1, false, false);
    pass(play, SIM_SECOND);
    CHECK_INT(play->count, ==, 1);
    send_number(play, 0, 2, 3);
    pass(play, SIM_SECOND);
    CHECK_INT(play->count, ==, 2);
    CHECK_INT(play->calls[1].first, ==, 3);
    play_free(play);
}

TEST(held_frames_go_on_after_the_block_in_order_and_before_later_ones)
{
    struct play *play = play_new(1);

    join(play);
    network_block(play->network, 0, 1, true, true);
    for (int i = 0; i < 50; i++)
        send_number(play, 0, 2, (uint8_t)i);
    pass(play, 2 * SIM_SECOND - PATH / 2);
    send_number(play, 0, 2, 50);
    pass(play, PATH / 4);
    CHECK_INT(play->count, ==, 0);
    CHECK_INT(network_count(play->network, NETWORK_HELD), ==, 50);
    network_block(play->network, 0, 1, false, false);
    send_number(play, 0, 2, 51);
    pass(play, PATH);
    CHECK_INT(play->count, ==, 52);
    for (int i = 0; i < 52; i++)
        CHECK_INT(play->calls[i].first, ==, i);
    play_free(play);
}

TEST(a_block_that_comes_back_before_the_release_goes_on_holding)
{
    struct play *play = play_new(1);

    join(play);
    network_block(play->network, 0, 1, true, true);
    send_number(play, 0, 2, 1);
    pass(play, SIM_SECOND);
    network_block(play->network, 0, 1, false, false);
    pass(play, PATH / 2);
    network_block(play->network, 0, 1, true, true);
    pass(play, SIM_SECOND);
    CHECK_INT(play->count, ==, 0);
    network_heal(play->network);
    pass(play, SIM_SECOND);
    CHECK_INT(play->count, ==, 1);
    play_free(play);
}

TEST(a_dialler_that_closes_is_heard_of_after_its_last_words)
{
    struct play *play = play_new(1);

    join(play);
    send_number(play, 0, 2, 1);
    network_close(play->network, 0, 2);
    CHECK_INT(send_sized(play, 0, 2, 1, 1), ==, GV_ENOTFOUND);
    send_number(play, 1, 1, 9);
    pass(play, SIM_SECOND);
    CHECK_INT(play->count, ==, 2);
    CHECK_INT(play->calls[0].first, ==, 1);
    CHECK_INT(play->calls[1].kind, ==, CALL_DOWN);
    CHECK_INT(play->calls[1].node, ==, 1);
    CHECK_INT(send_sized(play, 1, 1, 1, 1), ==, GV_ENOTFOUND);
    play_free(play);
}

TEST(a_frame_on_a_link_that_its_accepter_closed_is_a_new_link)
{
    struct play *play = play_new(1);

    join(play);
    network_close(play->network, 1, 1);
    pass(play, SIM_SECOND);
    CHECK_INT(play->count, ==, 0);
    send_number(play, 0, 2, 1);
    pass(play, SIM_SECOND);
    CHECK_INT(play->count, ==, 2);
    CHECK_INT(play->calls[0].kind, ==, CALL_UP);
    CHECK_INT(play->calls[0].link, ==, 3);
    CHECK_INT(play->calls[1].link, ==, 3);
    play_free(play);
}

TEST(a_process_that_ends_takes_its_links_along)
{
    struct play *play = play_new(1);

    join(play);
    network_leave(play->network, 1, false);
    CHECK_INT(send_sized(play, 1, 1, 1, 1), ==, GV_ENOTFOUND);
    pass(play, PATH);
    check_downs(play, 1, 0);
    play_free(play);
}

TEST(a_silent_end_leaves_links_half_open_until_the_machine_is_back)
{
    struct play *play = play_new(1);

    join(play);
    network_leave(play->network, 1, true);
    send_number(play, 0, 2, 1);
    pass(play, 60 * SIM_SECOND);
    CHECK_INT(play->count, ==, 0);
    network_listen(play->network, 1);
    pass(play, 60 * SIM_SECOND);
    CHECK_INT(play->count, ==, 0);
    send_number(play, 0, 2, 2);
    pass(play, 2 * PATH);
    CHECK_INT(play->count, ==, 1);
    check_downs(play, 1, 0);
    play_free(play);
}

TEST(a_dialler_that_was_away_silently_does_not_get_its_old_links_back)
{
    struct play *play = play_new(1);

    join(play);
    network_leave(play->network, 0, true);
    network_listen(play->network, 0);
    send_number(play, 1, 1, 1);
    pass(play, 2 * PATH);
    CHECK_INT(play->count, ==, 1);
    check_downs(play, 0, 1);
    play_free(play);
}

TEST(a_reset_is_heard_at_both_ends_and_loses_what_was_on_its_way)
{
    struct play *play = play_new(1);

    join(play);
    send_number(play, 0, 2, 1);
    network_reset(play->network, 1, 0);
    pass(play, SIM_SECOND);
    CHECK_INT(play->count, ==, 2);
    check_downs(play, 1, 1);
    play_free(play);
}

TEST(the_reset_fault_breaks_the_connection_as_the_frame_is_sent)
{
    struct play *play = play_new(1);
    struct network_faults faults = {.reset = 1000000};

    join(play);
    network_set_faults(play->network, &faults);
    send_number(play, 0, 2, 1);
    pass(play, SIM_SECOND);
    CHECK_INT(play->count, ==, 2);
    check_downs(play, 1, 1);
    CHECK_INT(network_count(play->network, NETWORK_RESET), ==, 1);
    play_free(play);
}

TEST(bandwidth_spaces_frames_by_their_size)
{
    struct play *play = play_new(1);
    struct network_faults faults = {.bandwidth = 100000};
    sim_time start;

    join(play);
    network_set_faults(play->network, &faults);
    start = world_now(play->world);
    for (int i = 0; i < 10; i++)
        CHECK_INT(send_sized(play, 0, 2, 1, 1000), ==, GV_OK);
    pass(play, SIM_SECOND);
    CHECK_INT(play->count, ==, 10);
    for (int i = 0; i < 10; i++)
        CHECK_INT(play->calls[i].when, ==,
                  start + PATH + (i + 1) * 10 * SIM_MS);
    CHECK_INT(network_count(play->network, NETWORK_CLOGGED), ==, 9);
    play_free(play);
}

TEST(sending_fails_while_the_queue_is_full)
{
    struct play *play = play_new(1);
    struct network_faults faults = {.queue_max = 3};

    join(play);
    network_set_faults(play->network, &faults);
    for (int i = 0; i < 3; i++)
        send_number(play, 0, 2, (uint8_t)i);
    CHECK_INT(send_sized(play, 0, 2, 3, 100), ==, GV_ELIMIT);
    CHECK_INT(network_count(play->network, NETWORK_CLOGGED), ==, 1);
    send_number(play, 1, 1, 9);
    pass(play, PATH);
    send_number(play, 0, 2, 3);
    pass(play, PATH);
    CHECK_INT(count_kind(play, CALL_FRAME, 1), ==, 4);
    play_free(play);
}

/* All faults at once on some links, with resets, closes and new dials. */
static uint64_t storm(uint64_t seed)
{
    struct play *play = play_new(seed);
    struct network_faults faults = {.lose = 50000,
                                    .duplicate = 50000,
                                    .reorder = 50000,
                                    .replay = 20000,
                                    .flip = 20000,
                                    .truncate = 20000,
                                    .reset = 20000,
                                    .jitter = 5 * SIM_MS,
                                    .bandwidth = 1000000,
                                    .queue_max = 20};
    struct random random;
    gv_link links[NODES] = {0};
    uint64_t hash;

    random_seed(&random, seed);
    network_set_faults(play->network, &faults);
    for (int i = 0; i < 1500; i++) {
        size_t from = random_below(&random, NODES);
        size_t to = random_below(&random, NODES);
        if (links[from] == 0 || chance(&random, 30000))
            dial(play, from, links[from] = 2 * (gv_link)i + 2, to);
        pass(play, between(&random, 0, 20 * SIM_MS));
        (void)send_sized(play, from, links[from], (uint8_t)i, 50);
        if (chance(&random, 20000))
            network_block(play->network, from, to, true, i % 2 == 0);
        if (chance(&random, 20000))
            network_close(play->network, from, links[from]);
        if (chance(&random, 20000)) {
            network_leave(play->network, to, i % 2 == 0);
            network_listen(play->network, to);
        }
        if (chance(&random, 20000))
            network_heal(play->network);
        network_set_faults(play->network, &faults);
    }
    pass(play, 700 * SIM_SECOND);
    CHECK_INT(play->count, >, 300);
    hash = hash64(play->calls, play->count * sizeof play->calls[0]) ^
           world_hash(play->world);
    play_free(play);
    return hash;
}

TEST(one_seed_makes_the_same_calls_and_another_one_others)
{
    CHECK(storm(1) == storm(1));
    CHECK(storm(1) != storm(2));
    CHECK(storm(77) == storm(77));
}

int main(int argc, char **argv)
{
    return check_main(argc, argv);
}
