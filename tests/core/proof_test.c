/* Looking for the rows in which a peer differs: when, with whom, how often;
 * the store's part is played by hand. */
#include "lone.h"

static const struct site own = {{5, 5, 5}};
static const struct site other = {{9, 9, 9}};
static const struct site third = {{1, 1, 1}};
static const struct hash128 print_a = {1, 2}, print_b = {3, 4};

/* Of the peers that say HELLO. */
static uint64_t features = FEATURES_ALL;

static const struct effect *effect(const struct lone *lone,
                                   enum effect_kind kind)
{
    return nth_effect(lone, kind, 0);
}

static void greet(struct lone *lone, gv_link link, struct site site)
{
    struct message hello = hello_of(site, 88);

    hello.as.hello.dialect.features = features;
    feed(lone, (struct event){.kind = EVENT_LINK_UP, .link = link});
    message_in(lone, link, &hello);
}

/* The peer holds @version of @own, and that is all there is. */
static void vv_in(struct lone *lone, gv_link link, gv_version version,
                  struct hash128 fingerprint)
{
    struct message message = {.kind = MESSAGE_VV};
    struct vv_entry entry = {own, version};
    uint8_t bytes[VV_ENTRY_SIZE];
    struct vv vv;

    vv_init(&vv);
    CHECK_INT(vv_raise(&vv, &own, version), ==, GV_OK);
    vv_entry_store(&entry, bytes);
    message.as.vv.epoch = LONE_EPOCH;
    message.as.vv.entries = (struct vv_view){bytes, 1};
    message.as.vv.vv_hash = vv.hash;
    message.as.vv.fingerprint = fingerprint;
    message_in(lone, link, &message);
    vv_close(&vv);
}

static void lone_init(struct lone *lone)
{
    struct core_config config = {.now = 1000,
                                 .site = own,
                                 .mesh = "fish",
                                 .name = "me",
                                 .instance = 77,
                                 .seed = 1,
                                 .fingerprint = print_a,
                                 .schema_digest = 1};

    memset(lone, 0, sizeof(*lone));
    CHECK_INT(vv_raise(&lone->vv, &own, 100), ==, GV_OK);
    lone_open(lone, &config);
    greet(lone, 1, other);
}

/* What the store says next; @what 0: that was all. */
static void proved(struct lone *lone, uint64_t token, enum check_what what,
                   uint64_t differ)
{
    struct event event = {.kind = EVENT_PROVED, .link = 1};

    event.as.proved.token = token;
    event.as.proved.what = what;
    event.as.proved.bytes = (const uint8_t *)"ask";
    event.as.proved.size = what != 0 ? 3 : 0;
    event.as.proved.differ = differ;
    feed(lone, event);
}

/* The peer differs; the look that begins, by its token. */
static uint64_t diverged(struct lone *lone)
{
    const struct effect *begun;

    vv_in(lone, 1, 100, print_b);
    tick(lone, 1);
    begun = effect(lone, EFFECT_PROVE);
    CHECK(begun != NULL);
    CHECK_INT(begun->as.prove.meet.count, ==, 1);
    CHECK(!begun->as.prove.mend && !begun->as.prove.asked);
    CHECK_TEXT(begun->as.prove.peer, "you");
    return begun->as.prove.token;
}

static struct message answer_of(uint64_t token)
{
    struct message message = {.kind = MESSAGE_PROOF};

    message.as.proof.token = token;
    message.as.proof.done = true;
    message.as.proof.bytes = (const uint8_t *)"told";
    message.as.proof.size = 4;
    return message;
}

TEST(a_divergence_is_looked_at_question_by_question)
{
    struct lone lone;
    struct message answer;
    const struct message *asked;
    uint64_t token;

    lone_init(&lone);
    token = diverged(&lone);
    proved(&lone, token, CHECK_SUMS, 0);
    asked = sent(&lone, 1, MESSAGE_CHECK);
    CHECK(asked != NULL && asked->as.check.token == token);
    CHECK_INT(asked->as.check.what, ==, CHECK_SUMS);
    CHECK_INT(asked->as.check.meet.count, ==, 1);
    CHECK_INT(vv_view_at(asked->as.check.meet, 0).version, ==, 100);
    answer = answer_of(token);
    message_in(&lone, 1, &answer);
    CHECK(effect(&lone, EFFECT_PROVE_ON) != NULL);
    CHECK_INT(effect(&lone, EFFECT_PROVE_ON)->as.prove_on.size, ==, 4);
    message_in(&lone, 1, &answer); /* twice: only the first counts */
    CHECK(effect(&lone, EFFECT_PROVE_ON) == NULL);
    proved(&lone, token, 0, 3);
    CHECK_INT(core_counters(lone.core)->proofs, ==, 1);
    CHECK_INT(core_counters(lone.core)->rows_differed, ==, 3);
    lone_close(&lone);
}

TEST(what_did_not_move_is_not_looked_at_again_for_an_hour)
{
    struct lone lone;

    lone_init(&lone);
    proved(&lone, diverged(&lone), 0, 3);
    for (gv_time_ms ms = 0; ms < CORE_PROOF_AGAIN_MS - 2000; ms += 1000) {
        vv_in(&lone, 1, 100, print_b);
        tick(&lone, 1000);
        CHECK(effect(&lone, EFFECT_PROVE) == NULL);
    }
    vv_in(&lone, 1, 100, print_b);
    tick(&lone, 2000);
    CHECK(effect(&lone, EFFECT_PROVE) != NULL);
    lone_close(&lone);
}

TEST(what_moved_is_looked_at_again_after_a_minute)
{
    struct lone lone;
    struct hash128 print_c = {5, 6};

    lone_init(&lone);
    proved(&lone, diverged(&lone), 0, 3);
    for (gv_time_ms ms = 0; ms < CORE_PROOF_REST_MS - 2000; ms += 1000) {
        vv_in(&lone, 1, 100, print_c);
        tick(&lone, 1000);
        CHECK(effect(&lone, EFFECT_PROVE) == NULL);
    }
    vv_in(&lone, 1, 100, print_c);
    tick(&lone, 2000);
    CHECK(effect(&lone, EFFECT_PROVE) != NULL);
    lone_close(&lone);
}

TEST(agreement_ends_the_wish_to_look)
{
    struct lone lone;

    lone_init(&lone);
    vv_in(&lone, 1, 100, print_b);
    vv_in(&lone, 1, 100, print_a);
    tick(&lone, 1);
    CHECK(effect(&lone, EFFECT_PROVE) == NULL);
    lone_close(&lone);
}

static void wish(struct lone *lone, bool mend)
{
    struct event event = {.kind = EVENT_PROVE, .link = 1};

    event.as.prove.mend = mend;
    feed(lone, event);
}

TEST(a_person_need_not_wait_and_may_have_it_mended)
{
    struct lone lone;
    uint64_t token;

    lone_init(&lone);
    vv_in(&lone, 1, 100, print_a);
    wish(&lone, true);
    CHECK(effect(&lone, EFFECT_PROVE) != NULL);
    CHECK(effect(&lone, EFFECT_PROVE)->as.prove.mend);
    CHECK(effect(&lone, EFFECT_PROVE)->as.prove.asked);
    token = effect(&lone, EFFECT_PROVE)->as.prove.token;
    proved(&lone, token, CHECK_MEND, 0);
    CHECK_INT(sent(&lone, 1, MESSAGE_CHECK)->as.check.what, ==, CHECK_MEND);
    lone_close(&lone);
}

/* A CHECK of the peer's about pieces; whether it came to the store. */
static bool piece_in(struct lone *lone, gv_link link, uint64_t token,
                     enum check_what what)
{
    struct message message = {.kind = MESSAGE_CHECK};

    message.as.check.token = token;
    message.as.check.what = what;
    message.as.check.bytes = (const uint8_t *)"piece";
    message.as.check.size = 5;
    message_in(lone, link, &message);
    return effect(lone, EFFECT_ATTEST) != NULL;
}

static void attested(struct lone *lone, uint64_t token, int code)
{
    struct event event = {.kind = EVENT_ATTESTED, .link = 1, .code = code};

    event.as.proved.token = token;
    feed(lone, event);
}

static bool dropped(const struct lone *lone, uint64_t token)
{
    const struct effect *drop = effect(lone, EFFECT_DROP_ATTEST);

    return drop != NULL && drop->as.drop.token == token;
}

TEST(pieces_are_kept_between_questions_and_not_for_ever)
{
    struct lone lone;

    lone_init(&lone);
    vv_in(&lone, 1, 100, print_a);
    CHECK(piece_in(&lone, 1, 7, CHECK_PIECE));
    attested(&lone, 7, GV_OK);
    CHECK(sent(&lone, 1, MESSAGE_PROOF) != NULL);
    /* The same comparison goes on, another one does not. */
    CHECK(piece_in(&lone, 1, 7, CHECK_REST));
    CHECK(effect(&lone, EFFECT_DROP_ATTEST) == NULL);
    attested(&lone, 7, GV_OK);
    CHECK(piece_in(&lone, 1, 8, CHECK_SUMS));
    CHECK(dropped(&lone, 7));
    attested(&lone, 8, GV_OK);
    /* What the store refuses it has let go of. */
    CHECK(piece_in(&lone, 1, 9, CHECK_PIECE));
    attested(&lone, 9, GV_EBUSY);
    CHECK(piece_in(&lone, 1, 10, CHECK_PIECE));
    CHECK(effect(&lone, EFFECT_DROP_ATTEST) == NULL);
    attested(&lone, 10, GV_OK);
    for (gv_time_ms ms = 0; ms < CORE_PROOF_PATIENCE_MS - 1000; ms += 1000) {
        vv_in(&lone, 1, 100, print_a);
        tick(&lone, 1000);
        CHECK(!dropped(&lone, 10));
    }
    vv_in(&lone, 1, 100, print_a);
    tick(&lone, 1000);
    CHECK(dropped(&lone, 10));
    /* Nor do they outlive the link. */
    CHECK(piece_in(&lone, 1, 11, CHECK_PIECE));
    attested(&lone, 11, GV_OK);
    feed(&lone, (struct event){.kind = EVENT_LINK_DOWN, .link = 1});
    CHECK(dropped(&lone, 11));
    lone_close(&lone);
}

TEST(pieces_are_taken_and_sent_where_both_know_of_them)
{
    struct lone lone;

    lone_init(&lone);
    vv_in(&lone, 1, 100, print_a);
    wish(&lone, true);
    CHECK(effect(&lone, EFFECT_PROVE)->as.prove.pieces);
    features = FEATURES_ALL & ~FEATURE_PIECES;
    greet(&lone, 3, third);
    features = FEATURES_ALL;
    CHECK(!piece_in(&lone, 3, 7, CHECK_PIECE));
    CHECK(sent(&lone, 3, MESSAGE_PROOF) == NULL);
    CHECK(sent(&lone, 3, MESSAGE_BYE) == NULL);
    CHECK(piece_in(&lone, 3, 7, CHECK_MEND));
    lone_close(&lone);
}

/* What the peer lacks of the other's is not compared; it may come soon. */
TEST(only_what_both_hold_is_compared)
{
    struct lone lone;
    const struct effect *begun;

    lone_init(&lone);
    vv_in(&lone, 1, 60, print_b);
    wish(&lone, false);
    CHECK(effect(&lone, EFFECT_PROVE) == NULL);
    tick(&lone, CORE_HEARTBEAT_MS + CORE_VV_PROGRESS_MS);
    begun = effect(&lone, EFFECT_PROVE);
    CHECK(begun != NULL);
    CHECK_INT(vv_view_at(begun->as.prove.meet, 0).version, ==, 60);
    lone_close(&lone);
}

TEST(one_comparison_at_a_time)
{
    struct lone lone;
    struct event event = {.kind = EVENT_PROVE, .link = 3};
    uint64_t token;

    lone_init(&lone);
    greet(&lone, 3, third);
    token = diverged(&lone);
    vv_in(&lone, 3, 100, print_a);
    feed(&lone, event);
    tick(&lone, 1);
    CHECK(effect(&lone, EFFECT_PROVE) == NULL);
    proved(&lone, token, 0, 1);
    tick(&lone, 1);
    CHECK(effect(&lone, EFFECT_PROVE) != NULL);
    CHECK_INT(effect(&lone, EFFECT_PROVE)->link, ==, 3);
    lone_close(&lone);
}

TEST(silence_and_the_end_of_the_link_end_it)
{
    struct lone lone;
    uint64_t token;

    lone_init(&lone);
    token = diverged(&lone);
    proved(&lone, token, CHECK_SUMS, 0);
    for (gv_time_ms ms = 0; ms < CORE_PROOF_PATIENCE_MS - 1000; ms += 1000) {
        vv_in(&lone, 1, 100, print_a);
        tick(&lone, 1000);
        CHECK(effect(&lone, EFFECT_DROP_PROOF) == NULL);
    }
    vv_in(&lone, 1, 100, print_a);
    tick(&lone, 1001);
    CHECK(effect(&lone, EFFECT_DROP_PROOF) != NULL);
    wish(&lone, false);
    CHECK(effect(&lone, EFFECT_PROVE) != NULL);
    feed(&lone, (struct event){.kind = EVENT_LINK_DOWN, .link = 1});
    CHECK(effect(&lone, EFFECT_DROP_PROOF) != NULL);
    lone_close(&lone);
}

static struct message question(uint64_t token, gv_version version,
                               uint8_t *bytes)
{
    struct message message = {.kind = MESSAGE_CHECK};
    struct vv_entry entry = {own, version};

    vv_entry_store(&entry, bytes);
    message.as.check.token = token;
    message.as.check.what = CHECK_SUMS;
    message.as.check.meet = (struct vv_view){bytes, 1};
    return message;
}

TEST(a_question_is_answered_when_the_store_has_the_answer)
{
    struct lone lone;
    uint8_t bytes[VV_ENTRY_SIZE];
    struct message check = question(7, 100, bytes);
    struct event event = {.kind = EVENT_ATTESTED, .link = 1};

    lone_init(&lone);
    message_in(&lone, 1, &check);
    CHECK(effect(&lone, EFFECT_ATTEST) != NULL);
    check.as.check.token = 8; /* a newer one takes its place */
    message_in(&lone, 1, &check);
    CHECK_INT(effect(&lone, EFFECT_DROP_ATTEST)->as.drop.token, ==, 7);
    CHECK_INT(effect(&lone, EFFECT_ATTEST)->as.attest.token, ==, 8);
    event.as.proved.token = 7;
    feed(&lone, event);
    CHECK(sent(&lone, 1, MESSAGE_PROOF) == NULL);
    event.as.proved.token = 8;
    event.as.proved.bytes = (const uint8_t *)"sum";
    event.as.proved.size = 3;
    feed(&lone, event);
    CHECK(sent(&lone, 1, MESSAGE_PROOF)->as.proof.done);
    CHECK_INT(sent(&lone, 1, MESSAGE_PROOF)->as.proof.size, ==, 3);
    feed(&lone, event);
    CHECK(sent(&lone, 1, MESSAGE_PROOF) == NULL);
    lone_close(&lone);
}

TEST(of_what_is_not_held_nothing_is_said)
{
    struct lone lone;
    uint8_t bytes[VV_ENTRY_SIZE];
    struct message check = question(7, 101, bytes);

    lone_init(&lone);
    message_in(&lone, 1, &check);
    CHECK(effect(&lone, EFFECT_ATTEST) == NULL);
    CHECK(!sent(&lone, 1, MESSAGE_PROOF)->as.proof.done);
    check.as.check.token = 0;
    message_in(&lone, 1, &check);
    CHECK_INT(lone.code, ==, GV_EPROTO);
    lone_close(&lone);
}

TEST(a_question_that_makes_no_sense_ends_the_link)
{
    struct lone lone;
    uint8_t bytes[VV_ENTRY_SIZE];
    struct message check = question(7, 100, bytes);
    struct event event = {.kind = EVENT_ATTESTED,
                          .link = 1,
                          .code = GV_EPROTO,
                          .reason = "no question"};

    lone_init(&lone);
    message_in(&lone, 1, &check);
    event.as.proved.token = 7;
    feed(&lone, event);
    CHECK_INT(sent(&lone, 1, MESSAGE_BYE)->as.bye.code, ==, BYE_BAD_MESSAGE);
    CHECK(effect(&lone, EFFECT_CLOSE) != NULL);
    CHECK(effect(&lone, EFFECT_LOG) != NULL);
    lone_close(&lone);
}

TEST(a_question_may_be_refused_without_a_word_why)
{
    struct lone lone;
    uint8_t bytes[VV_ENTRY_SIZE];
    struct message check = question(7, 100, bytes);
    struct event event = {
        .kind = EVENT_ATTESTED, .link = 1, .code = GV_EPROTO};

    lone_init(&lone);
    message_in(&lone, 1, &check);
    event.as.proved.token = 7;
    feed(&lone, event);
    CHECK_INT(sent(&lone, 1, MESSAGE_BYE)->as.bye.code, ==, BYE_BAD_MESSAGE);
    CHECK_INT(sent(&lone, 1, MESSAGE_BYE)->as.bye.text.size, >, 0);
    lone_close(&lone);
}

TEST(a_wish_is_pending_until_it_ended_or_its_link_did)
{
    struct lone lone;

    lone_init(&lone);
    vv_in(&lone, 1, 60, print_b);
    CHECK(!core_prove_pending(lone.core));
    wish(&lone, false); /* after the next heartbeat */
    CHECK(core_prove_pending(lone.core));
    feed(&lone, (struct event){.kind = EVENT_LINK_DOWN, .link = 1});
    CHECK(!core_prove_pending(lone.core));
    greet(&lone, 3, other);
    vv_in(&lone, 3, 100, print_a);
    feed(&lone, (struct event){.kind = EVENT_PROVE, .link = 3});
    CHECK(core_prove_pending(lone.core));
    proved(&lone, effect(&lone, EFFECT_PROVE)->as.prove.token, 0, 0);
    CHECK(!core_prove_pending(lone.core));
    lone_close(&lone);
}

int main(int argc, char **argv)
{
    return check_main(argc, argv);
}
