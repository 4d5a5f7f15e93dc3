/* Who pushes what to whom, when it leaves, and what comes before its time:
 * one core fed by hand, and meshes in which copies are counted. */
#include "lone.h"
#include "mesh.h"

static const struct site own = {{5, 5, 5}};
static const struct site left = {{1, 1, 1}};  /* on link 1 */
static const struct site right = {{3, 3, 3}}; /* on link 3 */
static const struct site far = {{9, 9, 9}};   /* on no link */

#define GATHER_MS 50
#define PATIENCE_MS CORE_WANT_PATIENCE_MS

static void greet(struct lone *hand, gv_link link, struct site site)
{
    struct message hello = hello_of(site, 88);

    feed(hand, (struct event){.kind = EVENT_LINK_UP, .link = link});
    message_in(hand, link, &hello);
}

static void hand_init(struct lone *hand)
{
    struct core_config config = {.now = 1000,
                                 .site = own,
                                 .mesh = "fish",
                                 .name = "me",
                                 .instance = 77,
                                 .seed = 1,
                                 .schema_digest = 1};

    memset(hand, 0, sizeof(*hand));
    CHECK_INT(vv_raise(&hand->vv, &own, 100), ==, GV_OK);
    lone_open(hand, &config);
    greet(hand, 1, left);
    greet(hand, 3, right);
}

static void hand_close(struct lone *hand)
{
    CHECK_INT(hand->refused, ==, 0);
    lone_close(hand);
}

/* The links live on while time passes. */
static void pass(struct lone *hand, gv_time_ms ms)
{
    struct message beat = {.kind = MESSAGE_ACK};

    for (; ms > 0; ms -= CORE_HEARTBEAT_MS) {
        tick(hand, ms < CORE_HEARTBEAT_MS ? ms : CORE_HEARTBEAT_MS);
        message_in(hand, 1, &beat);
        message_in(hand, 3, &beat);
    }
}

/* Whether a PRUNE of @kind on @link names @site. */
static bool says(const struct lone *hand, gv_link link, enum prune_kind kind,
                 struct site site)
{
    const struct effect *item;

    for (size_t i = 0; (item = nth_effect(hand, EFFECT_SEND, i)) != NULL;
         i++) {
        const struct message *message = &item->as.send.message;
        if (item->link != link || message->kind != MESSAGE_PRUNE ||
            message->as.prune.kind != kind)
            continue;
        for (size_t j = 0; j < message->as.prune.count; j++) {
            if (memcmp(message->as.prune.sites + 16 * j, site.bytes, 16) == 0)
                return true;
        }
    }
    return false;
}

static void prune_in(struct lone *hand, gv_link link, enum prune_kind kind,
                     struct site site)
{
    struct message message = {.kind = MESSAGE_PRUNE};

    message.as.prune.sites = site.bytes;
    message.as.prune.count = 1;
    message.as.prune.kind = kind;
    message_in(hand, link, &message);
}

static uint8_t bytes[MESSAGE_NEWS_SIZE_MAX];

static struct interval interval_of(struct site site, gv_version from,
                                   gv_version to, size_t size)
{
    return (struct interval){
        .site = site, .from = from, .to = to, .bytes = bytes, .size = size};
}

static void news_in(struct lone *hand, gv_link link, struct interval interval)
{
    struct message message = {.kind = MESSAGE_NEWS};

    message.as.news.intervals[0] = interval;
    message.as.news.interval_count = 1;
    message_in(hand, link, &message);
}

static void applied(struct lone *hand, gv_link link, struct interval interval)
{
    struct event event = {.kind = EVENT_APPLIED, .link = link};

    event.as.applied.interval = interval;
    feed(hand, event);
}

/* It comes on @link, and the store takes it. */
static void passes(struct lone *hand, gv_link link, struct interval interval)
{
    news_in(hand, link, interval);
    CHECK(nth_effect(hand, EFFECT_APPLY, 0) != NULL);
    applied(hand, link, interval);
}

static void sealed(struct lone *hand, gv_version from, gv_version to)
{
    struct event event = {.kind = EVENT_SEALED};

    event.as.sealed.interval = interval_of(own, from, to, 50);
    feed(hand, event);
}

static void tells(struct lone *hand, gv_link link, struct site site,
                  gv_version version)
{
    struct message message = {.kind = MESSAGE_VV};
    struct vv_entry entry = {site, version};
    uint8_t view[VV_ENTRY_SIZE];

    vv_entry_store(&entry, view);
    message.as.vv.epoch = LONE_EPOCH;
    message.as.vv.entries = (struct vv_view){view, 1};
    message_in(hand, link, &message);
}

static const struct core_counters *counters(const struct lone *hand)
{
    return core_counters(hand->core);
}

/* Frames */

TEST(a_commit_alone_leaves_at_once_and_those_close_behind_it_together)
{
    struct lone hand;
    const struct message *news;

    hand_init(&hand);
    tick(&hand, 100);
    sealed(&hand, 100, 101);
    CHECK_INT(sent(&hand, 1, MESSAGE_NEWS)->as.news.interval_count, ==, 1);
    sealed(&hand, 101, 102);
    CHECK(sent(&hand, 1, MESSAGE_NEWS) == NULL);
    sealed(&hand, 102, 103);
    CHECK(sent(&hand, 1, MESSAGE_NEWS) == NULL);
    CHECK_INT(core_deadline(hand.core), ==, hand.now + 2);
    tick(&hand, 2);
    news = sent(&hand, 1, MESSAGE_NEWS);
    CHECK_INT(news->as.news.interval_count, ==, 2);
    CHECK(news->as.news.intervals[0].to == 102 &&
          news->as.news.intervals[1].to == 103);
    CHECK(sent(&hand, 3, MESSAGE_NEWS) != NULL);
    CHECK_INT(counters(&hand)->news_sent, ==, 6);
    CHECK_INT(counters(&hand)->news_frames, ==, 4);
    tick(&hand, 10);
    sealed(&hand, 103, 104);
    CHECK(sent(&hand, 1, MESSAGE_NEWS) != NULL);
    hand_close(&hand);
}

TEST(what_a_peer_gets_elsewhere_while_it_is_held_does_not_leave)
{
    struct lone hand;

    hand_init(&hand);
    tick(&hand, 100);
    passes(&hand, 1, interval_of(far, 0, 7, 100));
    CHECK(sent(&hand, 3, MESSAGE_NEWS) != NULL);
    passes(&hand, 1, interval_of(far, 7, 8, 100));
    CHECK(sent(&hand, 3, MESSAGE_NEWS) == NULL);
    tells(&hand, 3, far, 8);
    tick(&hand, 10);
    CHECK(sent(&hand, 3, MESSAGE_NEWS) == NULL);
    CHECK_INT(counters(&hand)->news_sent, ==, 1);
    hand_close(&hand);
}

TEST(more_than_a_frame_holds_leaves_as_soon_as_it_is_full)
{
    struct lone hand;
    size_t frames = 0;

    hand_init(&hand);
    tick(&hand, 100);
    for (gv_version version = 100; version < 230; version++) {
        sealed(&hand, version, version + 1);
        frames += sent(&hand, 1, MESSAGE_NEWS) != NULL;
    }
    CHECK_INT(frames, >=, 2);
    tick(&hand, 2);
    CHECK_INT(counters(&hand)->news_sent, ==, 2 * 130);
    hand_close(&hand);
}

/* Marks */

TEST(a_copy_that_comes_twice_is_answered_by_a_prune_and_its_source_stays)
{
    struct lone hand;

    hand_init(&hand);
    tick(&hand, 100);
    passes(&hand, 1, interval_of(far, 0, 7, 100));
    news_in(&hand, 3, interval_of(far, 0, 7, 100));
    tick(&hand, 0);
    CHECK(says(&hand, 3, PRUNE_STOP, far));
    CHECK(sent(&hand, 1, MESSAGE_PRUNE) == NULL);
    news_in(&hand, 1, interval_of(far, 0, 7, 100)); /* from its source */
    tick(&hand, 0);
    CHECK(sent(&hand, 1, MESSAGE_PRUNE) == NULL);
    CHECK_INT(counters(&hand)->prunes_sent, ==, 3); /* two as links came up */
    hand_close(&hand);
}

TEST(a_prune_that_was_lost_is_said_again)
{
    struct lone hand;

    hand_init(&hand);
    tick(&hand, 100);
    passes(&hand, 1, interval_of(far, 0, 7, 100));
    news_in(&hand, 3, interval_of(far, 0, 7, 100));
    tick(&hand, 0);
    CHECK(says(&hand, 3, PRUNE_STOP, far));
    news_in(&hand, 3, interval_of(far, 0, 7, 100)); /* was on its way */
    tick(&hand, CORE_HEARTBEAT_MS - 1);
    CHECK(!says(&hand, 3, PRUNE_STOP, far));
    tick(&hand, 1);
    news_in(&hand, 3, interval_of(far, 0, 7, 100));
    tick(&hand, 0);
    CHECK(says(&hand, 3, PRUNE_STOP, far));
    hand_close(&hand);
}

TEST(what_was_pruned_and_comes_first_does_not_silence_the_source)
{
    struct lone hand;

    hand_init(&hand);
    tick(&hand, 100);
    passes(&hand, 1, interval_of(far, 0, 7, 100));
    news_in(&hand, 3, interval_of(far, 0, 7, 100));
    tick(&hand, 0);
    passes(&hand, 3, interval_of(far, 7, 8, 100)); /* sent before the PRUNE */
    news_in(&hand, 1, interval_of(far, 7, 8, 100));
    tick(&hand, GATHER_MS);
    CHECK(!says(&hand, 1, PRUNE_STOP, far));
    hand_close(&hand);
}

TEST(a_lazy_link_is_told_when_it_is_quiet)
{
    struct lone hand;

    hand_init(&hand);
    tick(&hand, 100);
    prune_in(&hand, 3, PRUNE_STOP, own);
    sealed(&hand, 100, 101);
    CHECK(sent(&hand, 1, MESSAGE_NEWS) != NULL);
    CHECK(sent(&hand, 3, MESSAGE_NEWS) == NULL);
    tick(&hand, CORE_VV_QUIET_MS - 1);
    CHECK(sent(&hand, 3, MESSAGE_VV) == NULL);
    tick(&hand, 1);
    CHECK_INT(sent(&hand, 3, MESSAGE_VV)->as.vv.entries.count, ==, 1);
    hand_close(&hand);
}

/* The answer to what this node asked for on link 3. */
static void answered(struct lone *hand, gv_version version)
{
    struct message delta = {.kind = MESSAGE_DELTA};
    struct event event = {.kind = EVENT_STAGED, .link = 3};
    struct vv_entry entry = {far, version};
    uint8_t view[VV_ENTRY_SIZE];

    vv_entry_store(&entry, view);
    delta.as.delta.token = sent(hand, 3, MESSAGE_WANT)->as.want.token;
    delta.as.delta.spool = 5;
    delta.as.delta.last = true;
    delta.as.delta.claim = (struct vv_view){view, 1};
    message_in(hand, 3, &delta);
    event.as.staged.token = delta.as.delta.token;
    feed(hand, event);
    event.kind = EVENT_DELTA_APPLIED;
    event.as.delta_applied.token = delta.as.delta.token;
    event.as.delta_applied.vv = delta.as.delta.claim;
    feed(hand, event);
}

TEST(who_is_asked_twice_what_the_source_did_not_bring_pushes_again)
{
    struct lone hand;

    hand_init(&hand);
    tick(&hand, 100);
    passes(&hand, 1, interval_of(far, 0, 7, 100));
    news_in(&hand, 3, interval_of(far, 0, 7, 100));
    tick(&hand, 0);
    CHECK(says(&hand, 3, PRUNE_STOP, far));
    for (gv_version version = 8; version < 10; version++) {
        tells(&hand, 3, far, version);
        tick(&hand, CORE_GRACE_MS);
        CHECK(sent(&hand, 3, MESSAGE_WANT) == NULL); /* there is a source */
        tick(&hand, CORE_SOURCE_GRACE_MS);
        CHECK(sent(&hand, 3, MESSAGE_WANT) != NULL);
        CHECK_INT(says(&hand, 3, PRUNE_PUSH, far), ==, version == 9);
        answered(&hand, version);
        tick(&hand, 0);
    }
    passes(&hand, 3, interval_of(far, 9, 10, 100)); /* the source now */
    news_in(&hand, 1, interval_of(far, 9, 10, 100));
    tick(&hand, 0);
    CHECK(says(&hand, 1, PRUNE_STOP, far));
    hand_close(&hand);
}

TEST(a_prune_taken_back_makes_eager_again)
{
    struct lone hand;

    hand_init(&hand);
    tick(&hand, 100);
    prune_in(&hand, 3, PRUNE_STOP, own);
    prune_in(&hand, 3, PRUNE_PUSH, own);
    sealed(&hand, 100, 101);
    CHECK(sent(&hand, 3, MESSAGE_NEWS) != NULL);
    hand_close(&hand);
}

TEST(who_is_linked_with_a_site_tells_its_neighbours_before_it_is_pushed)
{
    struct lone hand;

    hand_init(&hand);
    tick(&hand, GATHER_MS);
    CHECK(says(&hand, 1, PRUNE_LINKED, right));
    CHECK(says(&hand, 3, PRUNE_LINKED, left));
    CHECK(!says(&hand, 1, PRUNE_LINKED, left));
    prune_in(&hand, 1, PRUNE_LINKED, far);
    tick(&hand, GATHER_MS);
    CHECK(says(&hand, 3, PRUNE_STOP, far));
    CHECK(sent(&hand, 1, MESSAGE_PRUNE) == NULL);
    prune_in(&hand, 3, PRUNE_LINKED, far); /* there is a source */
    tick(&hand, GATHER_MS);
    CHECK(sent(&hand, 1, MESSAGE_PRUNE) == NULL);
    hand_close(&hand);
}

TEST(when_a_source_is_gone_or_lost_its_own_all_push_again)
{
    struct lone hand;

    for (int gone = 0; gone < 2; gone++) {
        hand_init(&hand);
        prune_in(&hand, 1, PRUNE_LINKED, far);
        tick(&hand, GATHER_MS);
        CHECK(says(&hand, 3, PRUNE_STOP, far));
        if (gone)
            feed(&hand, (struct event){.kind = EVENT_LINK_DOWN, .link = 1});
        else
            prune_in(&hand, 1, PRUNE_PUSH, far);
        tick(&hand, GATHER_MS);
        CHECK(says(&hand, 3, PRUNE_PUSH, far));
        CHECK_INT(says(&hand, 3, PRUNE_PUSH, left), ==, gone);
        hand_close(&hand);
    }
}

TEST(sites_that_nobody_holds_take_half_of_the_marks_at_most)
{
    static uint8_t sites[VV_SITES_MAX * sizeof(struct site)];
    struct message message = {.kind = MESSAGE_PRUNE};
    struct lone hand;
    struct link_info info;

    hand_init(&hand);
    tick(&hand, 100);
    for (size_t i = 0; i < VV_SITES_MAX; i++) {
        sites[16 * i] = 200;
        sites[16 * i + 1] = (uint8_t)(i >> 8);
        sites[16 * i + 2] = (uint8_t)i;
    }
    message.as.prune.sites = sites;
    message.as.prune.count = VV_SITES_MAX;
    message_in(&hand, 3, &message);
    message_in(&hand, 3, &message);
    core_link_info(hand.core, 1, hand.now, &info);
    CHECK_INT(info.lazy, <=, VV_SITES_MAX / 2);
    passes(&hand, 1, interval_of(far, 0, 7, 100));
    passes(&hand, 1, interval_of(far, 7, 8, 100));
    news_in(&hand, 3, interval_of(far, 7, 8, 100));
    tick(&hand, 0);
    CHECK(says(&hand, 3, PRUNE_STOP, far)); /* it has its mark */
    hand_close(&hand);
}

/* The waiting room */

static struct interval answer_of(struct site cause, uint8_t *view)
{
    struct interval answer = interval_of(far, 0, 7, 100);
    struct vv_entry entry = {cause, 5};

    vv_entry_store(&entry, view);
    answer.dependencies = (struct vv_view){view, 1};
    return answer;
}

TEST(an_effect_waits_for_its_cause_and_is_applied_behind_it)
{
    struct lone hand;
    uint8_t view[VV_ENTRY_SIZE];
    struct interval cause = interval_of(right, 0, 5, 60);
    struct interval answer = answer_of(right, view);

    hand_init(&hand);
    tick(&hand, 100);
    news_in(&hand, 1, answer);
    CHECK(nth_effect(&hand, EFFECT_APPLY, 0) == NULL);
    memset(view, 0, sizeof(view)); /* the frame is gone */
    news_in(&hand, 3, cause);
    CHECK(site_equal(
        &nth_effect(&hand, EFFECT_APPLY, 0)->as.apply.interval.site, &right));
    CHECK(site_equal(
        &nth_effect(&hand, EFFECT_APPLY, 1)->as.apply.interval.site, &far));
    CHECK_INT(nth_effect(&hand, EFFECT_APPLY, 1)->link, ==, 1);
    CHECK_INT(counters(&hand)->news_in_time, ==, 1);
    applied(&hand, 3, cause);
    applied(&hand, 1, answer);
    CHECK_INT(vv_get(core_vv(hand.core), &far), ==, 7);
    tick(&hand, CORE_HEARTBEAT_MS);
    CHECK_INT(sent(&hand, 1, MESSAGE_VV)->as.vv.news_size, ==, 100);
    CHECK_INT(counters(&hand)->wants_sent, ==, 0);
    hand_close(&hand);
}

TEST(what_comes_before_a_hole_is_filled_waits_in_any_order)
{
    struct lone hand;

    hand_init(&hand);
    tick(&hand, 100);
    news_in(&hand, 1, interval_of(far, 2, 3, 100));
    news_in(&hand, 1, interval_of(far, 1, 2, 100));
    news_in(&hand, 3, interval_of(far, 1, 2, 100)); /* no second guest */
    CHECK_INT(counters(&hand)->news_waited, ==, 2);
    CHECK_INT(counters(&hand)->news_duplicate, ==, 1);
    news_in(&hand, 1, interval_of(far, 0, 1, 100));
    for (gv_version to = 1; to <= 3; to++)
        CHECK_INT(
            nth_effect(&hand, EFFECT_APPLY, to - 1)->as.apply.interval.to, ==,
            to);
    hand_close(&hand);
}

TEST(what_waits_for_another_origin_is_asked_for_later_than_a_hole)
{
    struct lone hand;
    uint8_t view[VV_ENTRY_SIZE];

    for (int hole = 0; hole < 2; hole++) {
        gv_time_ms grace = CORE_GRACE_MS + (hole ? 0 : CORE_SOURCE_GRACE_MS);

        hand_init(&hand);
        tick(&hand, 100);
        news_in(&hand, 1,
                hole ? interval_of(far, 2, 3, 100) : answer_of(right, view));
        tick(&hand, grace - 1);
        CHECK(sent(&hand, 1, MESSAGE_WANT) == NULL);
        tick(&hand, 1);
        CHECK(sent(&hand, 1, MESSAGE_WANT) != NULL);
        hand_close(&hand);
    }
}

TEST(the_room_of_a_link_is_bounded_and_leaves_room_for_others)
{
    struct lone hand;

    hand_init(&hand);
    tick(&hand, 100);
    for (gv_version from = 10; from < 80; from++)
        news_in(&hand, 1, interval_of(far, from, from + 1, 10));
    CHECK_INT(counters(&hand)->news_early, ==, 70);
    CHECK_INT(counters(&hand)->news_waited, ==, 64);
    news_in(&hand, 3, interval_of(far, 100, 101, 60000));
    CHECK_INT(counters(&hand)->news_waited, ==, 65);
    for (gv_version from = 200; from < 206; from++)
        news_in(&hand, 3, interval_of(far, from, from + 1, 60000));
    CHECK_INT(counters(&hand)->news_waited, ==, 68); /* 256 KiB of a link */
    hand_close(&hand);
}

TEST(who_waits_in_vain_goes_and_returns_its_credit)
{
    struct lone hand;

    hand_init(&hand);
    tick(&hand, 100);
    news_in(&hand, 1, interval_of(far, 2, 3, 100));
    pass(&hand, PATIENCE_MS - CORE_HEARTBEAT_MS);
    CHECK_INT(counters(&hand)->news_in_time, ==, 0);
    tick(&hand, CORE_HEARTBEAT_MS);
    CHECK_INT(sent(&hand, 1, MESSAGE_VV)->as.vv.news_size, ==, 100);
    news_in(&hand, 3, interval_of(far, 2, 3, 100)); /* there is a place */
    CHECK_INT(counters(&hand)->news_waited, ==, 2);
    hand_close(&hand);
}

/* Vectors after progress */

TEST(a_delta_that_brings_nothing_is_told_to_nobody)
{
    for (int brings = 0; brings < 2; brings++) {
        struct message delta = {.kind = MESSAGE_DELTA};
        struct event event = {.kind = EVENT_STAGED, .link = 1};
        struct vv_entry entry = {far, 7};
        uint8_t view[VV_ENTRY_SIZE];
        struct lone hand;

        hand_init(&hand);
        pass(&hand, 950);
        tells(&hand, 1, far, 7);
        tick(&hand, CORE_GRACE_MS);
        vv_entry_store(&entry, view);
        delta.as.delta.token = sent(&hand, 1, MESSAGE_WANT)->as.want.token;
        delta.as.delta.spool = 5;
        delta.as.delta.last = true;
        delta.as.delta.claim = (struct vv_view){view, (size_t)brings};
        message_in(&hand, 1, &delta);
        event.as.staged.token = delta.as.delta.token;
        feed(&hand, event);
        CHECK(nth_effect(&hand, EFFECT_APPLY_DELTA, 0) != NULL);
        event.kind = EVENT_DELTA_APPLIED;
        event.as.delta_applied.token = delta.as.delta.token;
        event.as.delta_applied.vv = delta.as.delta.claim;
        feed(&hand, event);
        tick(&hand, CORE_VV_PROGRESS_MS);
        CHECK_INT(sent(&hand, 3, MESSAGE_VV) != NULL, ==, brings);
        hand_close(&hand);
    }
}

/* Meshes */

static uint64_t received(const struct mesh *mesh)
{
    uint64_t count = 0;

    for (size_t i = 0; i < mesh->node_count; i++)
        count += core_counters(mesh->nodes[i].core)->news_received;
    return count;
}

static void ring(struct mesh *mesh)
{
    for (size_t i = 0; i < mesh->node_count; i++)
        mesh_dial(mesh, i, (i + 1) % mesh->node_count);
}

/* Each dials three others. */
static void thick(struct mesh *mesh)
{
    for (size_t i = 0; i < mesh->node_count; i++) {
        for (size_t step = 1; step <= 3; step++)
            mesh_dial(mesh, i, (i + step) % mesh->node_count);
    }
}

TEST(each_change_crosses_once_to_each_node_whatever_the_graph)
{
    void (*const graphs[])(struct mesh *) = {mesh_full, mesh_line, ring,
                                             thick};

    for (size_t graph = 0; graph < 4; graph++) {
        struct mesh *mesh = mesh_new(7 + graph, 9);
        uint64_t before;

        graphs[graph](mesh);
        CHECK(mesh_settle(mesh, 20000));
        for (size_t round = 0; round < 2; round++) {
            for (size_t i = 0; i < 9; i++) {
                (void)mesh_commit(mesh, i);
                mesh_run(mesh, 300);
            }
        }
        before = received(mesh);
        for (size_t i = 0; i < 18; i++) {
            (void)mesh_commit(mesh, i % 9);
            mesh_run(mesh, 100);
        }
        CHECK(mesh_settle(mesh, 20000));
        CHECK_INT(received(mesh) - before, ==, 18 * 8);
        CHECK_INT(mesh->sent[MESSAGE_WANT], ==, 0);
        mesh_free(mesh);
    }
}

TEST(a_tree_whose_link_breaks_grows_another_way)
{
    struct mesh *mesh = mesh_new(11, 9);

    ring(mesh);
    CHECK(mesh_settle(mesh, 20000));
    for (size_t i = 0; i < 18; i++) {
        (void)mesh_commit(mesh, i % 9);
        mesh_run(mesh, 300);
    }
    mesh_cut(mesh, 0, 1, true);
    mesh_break(mesh, 0, 1);
    mesh_run(mesh, 500);
    (void)mesh_commit(mesh, 0);
    mesh_run(mesh, 1500);
    for (size_t i = 1; i < 9; i++)
        CHECK(vv_get(core_vv(mesh->nodes[i].core), &mesh->nodes[0].site) ==
              vv_get(core_vv(mesh->nodes[0].core), &mesh->nodes[0].site));
    CHECK_INT(mesh->sent[MESSAGE_WANT], ==, 0);
    mesh_free(mesh);
}

/* Answers by NEWS */

static void wants(struct lone *hand, gv_link link, uint64_t token,
                  enum want_answer answer)
{
    struct message message = {.kind = MESSAGE_WANT};

    message.as.want.token = token;
    message.as.want.credit = CORE_DELTA_CREDIT;
    message.as.want.answer = answer;
    message_in(hand, link, &message);
}

static void answers(struct lone *hand, gv_link link, uint64_t token,
                    struct interval interval)
{
    struct message message = {.kind = MESSAGE_NEWS};

    message.as.news.intervals[0] = interval;
    message.as.news.interval_count = 1;
    message.as.news.token = token;
    message_in(hand, link, &message);
}

/* A heartbeat that says how far the answer to @token has got. */
static void progress(struct lone *hand, gv_link link, uint64_t token,
                     uint64_t bytes_left)
{
    struct message message = {.kind = MESSAGE_VV};

    message.as.vv.epoch = LONE_EPOCH;
    message.as.vv.says_answer = true;
    message.as.vv.answers = token;
    message.as.vv.answered = bytes_left;
    message_in(hand, link, &message);
}

/* Link 1 tells of something that does not come; returns the WANT's token. */
static uint64_t lacks(struct lone *hand)
{
    const struct message *want;

    tells(hand, 1, far, 7);
    tick(hand, CORE_GRACE_MS);
    want = sent(hand, 1, MESSAGE_WANT);
    CHECK(want != NULL);
    CHECK(want->as.want.answer == ANSWER_NEWS ||
          want->as.want.answer == ANSWER_WHOLE);
    return want->as.want.token;
}

TEST(a_want_for_what_passed_lately_is_answered_by_news)
{
    const struct message *news;
    struct lone hand;

    hand_init(&hand);
    tick(&hand, 100);
    tells(&hand, 3, own, 100);
    prune_in(&hand, 3, PRUNE_STOP, far);
    prune_in(&hand, 3, PRUNE_STOP, left);
    passes(&hand, 1, interval_of(far, 0, 7, 100));
    passes(&hand, 1, interval_of(left, 0, 3, 50));
    passes(&hand, 1, interval_of(far, 7, 9, 100));
    wants(&hand, 3, 5, ANSWER_NEWS);
    CHECK(nth_effect(&hand, EFFECT_EXTRACT, 0) == NULL);
    news = sent(&hand, 3, MESSAGE_NEWS);
    CHECK(news != NULL && news->as.news.token == 5);
    CHECK_INT(news->as.news.interval_count, ==, 3);
    CHECK(news->as.news.intervals[0].to == 7 &&
          news->as.news.intervals[1].to == 3 &&
          news->as.news.intervals[2].to == 9);
    tells(&hand, 3, far, 7); /* what it holds is not sent again */
    wants(&hand, 3, 6, ANSWER_NEWS);
    CHECK_INT(sent(&hand, 3, MESSAGE_NEWS)->as.news.interval_count, ==, 2);
    hand_close(&hand);
}

TEST(a_want_for_more_than_passed_lately_is_answered_by_a_delta)
{
    struct lone hand;

    hand_init(&hand);
    tick(&hand, 100);
    prune_in(&hand, 3, PRUNE_STOP, far);
    passes(&hand, 1, interval_of(far, 0, 7, 100));
    wants(&hand, 3, 5, ANSWER_NEWS); /* our own 100 is older than this run */
    CHECK(nth_effect(&hand, EFFECT_EXTRACT, 0) != NULL);
    CHECK(sent(&hand, 3, MESSAGE_NEWS) == NULL);
    tells(&hand, 3, own, 100);
    wants(&hand, 3, 6, ANSWER_NEWS);
    CHECK(sent(&hand, 3, MESSAGE_NEWS) != NULL);
    wants(&hand, 3, 7, ANSWER_DELTA); /* an older version */
    CHECK(nth_effect(&hand, EFFECT_EXTRACT, 0) != NULL);
    for (gv_version version = 0; version < 511; version++)
        passes(&hand, 1, interval_of(left, version, version + 1, 20));
    passes(&hand, 1, interval_of(far, 7, 9, 20)); /* 0 to 7 is forgotten */
    tells(&hand, 3, left, 511);
    wants(&hand, 3, 8, ANSWER_NEWS);
    CHECK(sent(&hand, 3, MESSAGE_NEWS) == NULL);
    CHECK(nth_effect(&hand, EFFECT_EXTRACT, 0) != NULL);
    hand_close(&hand);
}

TEST(an_answer_of_more_than_a_frame_is_a_delta)
{
    struct lone hand;

    hand_init(&hand);
    tick(&hand, 100);
    tells(&hand, 3, own, 100);
    prune_in(&hand, 3, PRUNE_STOP, far);
    for (gv_version version = 0; version < 64; version++)
        passes(&hand, 1, interval_of(far, version, version + 1, 20));
    wants(&hand, 3, 5, ANSWER_NEWS);
    CHECK_INT(sent(&hand, 3, MESSAGE_NEWS)->as.news.interval_count, ==, 64);
    passes(&hand, 1, interval_of(far, 64, 65, 20));
    wants(&hand, 3, 6, ANSWER_NEWS);
    CHECK(sent(&hand, 3, MESSAGE_NEWS) == NULL);
    CHECK(nth_effect(&hand, EFFECT_EXTRACT, 0) != NULL);
    hand_close(&hand);
}

TEST(who_did_not_hear_all_is_told_the_vector_whole)
{
    const struct message *vv;
    struct lone hand;

    hand_init(&hand);
    tick(&hand, 100);
    prune_in(&hand, 3, PRUNE_STOP, far);
    passes(&hand, 1, interval_of(far, 0, 7, 100));
    tick(&hand, CORE_HEARTBEAT_MS);
    tells(&hand, 3, own, 100);
    tells(&hand, 3, far, 7); /* it has all, and does not know that we do */
    wants(&hand, 3, 5, ANSWER_WHOLE);
    CHECK_INT(sent(&hand, 3, MESSAGE_NEWS)->as.news.interval_count, ==, 0);
    vv = sent(&hand, 3, MESSAGE_VV);
    CHECK(vv != NULL);
    CHECK_INT(vv->as.vv.entries.count, ==, 2);
    hand_close(&hand);
}

TEST(news_that_answer_a_want_end_it_and_are_passed_on)
{
    struct lone hand;
    uint64_t token;

    hand_init(&hand);
    tick(&hand, 100);
    token = lacks(&hand);
    answers(&hand, 1, token, interval_of(far, 0, 7, 100));
    CHECK(nth_effect(&hand, EFFECT_APPLY, 0) != NULL);
    applied(&hand, 1, interval_of(far, 0, 7, 100));
    CHECK(sent(&hand, 3, MESSAGE_NEWS) != NULL);
    CHECK_INT(counters(&hand)->wants_by_news, ==, 1);
    tells(&hand, 1, right, 3); /* the next WANT does not wait */
    tick(&hand, 2 * CORE_SOURCE_GRACE_MS);
    CHECK(sent(&hand, 1, MESSAGE_WANT) != NULL);
    hand_close(&hand);
}

TEST(a_want_that_was_lost_is_sent_again_after_a_vv_that_knows_nothing_of_it)
{
    struct lone hand;
    uint64_t token;

    hand_init(&hand);
    tick(&hand, 100);
    token = lacks(&hand);
    progress(&hand, 1, 0, 0); /* it left before the WANT came */
    CHECK(nth_effect(&hand, EFFECT_DROP_STAGE, 0) == NULL);
    tick(&hand, 900);
    progress(&hand, 1, token, 0); /* it is being read */
    CHECK(nth_effect(&hand, EFFECT_DROP_STAGE, 0) == NULL);
    tick(&hand, 900);
    progress(&hand, 1, 0, 0);
    CHECK(nth_effect(&hand, EFFECT_DROP_STAGE, 0) != NULL);
    tick(&hand, CORE_GRACE_MS);
    CHECK(sent(&hand, 1, MESSAGE_WANT) != NULL);
    CHECK_INT(counters(&hand)->wants_lost, ==, 1);
    hand_close(&hand);
}

TEST(a_piece_that_left_before_a_vv_and_did_not_come_was_lost)
{
    struct lone hand;
    uint64_t token;

    hand_init(&hand);
    tick(&hand, 100);
    token = lacks(&hand);
    progress(&hand, 1, token, 0);
    CHECK(nth_effect(&hand, EFFECT_DROP_STAGE, 0) == NULL);
    progress(&hand, 1, token, 1000);
    CHECK(nth_effect(&hand, EFFECT_DROP_STAGE, 0) != NULL);
    hand_close(&hand);
}

/* Links aside */

TEST(a_link_over_which_the_peer_only_looks_is_no_part_of_a_tree)
{
    static const struct site looker = {{7, 7, 7}};
    struct message message = {.kind = MESSAGE_HELLO};
    struct message_hello *hello = &message.as.hello;
    struct lone hand;

    hand_init(&hand);
    tick(&hand, 100);
    feed(&hand, (struct event){.kind = EVENT_LINK_UP, .link = 5});
    hello->dialect = (struct dialect){PROTOCOL_VERSION_MAX,
                                      PROTOCOL_VERSION_MAX, FEATURES_ALL};
    hello->mesh = (struct text){"fish", 4};
    hello->site = looker;
    hello->instance = 88;
    hello->epoch = LONE_EPOCH;
    hello->clock = MESH_WALL;
    hello->looks = true;
    message_in(&hand, 5, &message);
    tick(&hand, GATHER_MS);
    CHECK(!says(&hand, 1, PRUNE_LINKED, looker));
    sealed(&hand, 100, 101);
    CHECK(sent(&hand, 1, MESSAGE_NEWS) != NULL);
    CHECK(sent(&hand, 5, MESSAGE_NEWS) == NULL);
    hello->looks = false; /* it stays */
    message_in(&hand, 5, &message);
    tick(&hand, GATHER_MS);
    CHECK(says(&hand, 1, PRUNE_LINKED, looker));
    sealed(&hand, 101, 102);
    CHECK(sent(&hand, 5, MESSAGE_NEWS) != NULL);
    hand_close(&hand);
}

int main(int argc, char **argv)
{
    return check_main(argc, argv);
}
