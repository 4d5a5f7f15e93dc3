#include "wire/frame.h"

#include "base/buffer.h"
#include "base/hash.h"
#include "bytes.h"
#include "check.h"
#include "grapevine.h"
#include "wire/proof.h"

#include <msgpack.h>

/* A small vector of three sites. */
static uint8_t vv_bytes[3 * VV_ENTRY_SIZE];
static struct vv_view vv_three;
static const struct site site_one = {
    {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}};

static void make_vv(void)
{
    for (uint8_t i = 0; i < 3; i++) {
        struct vv_entry entry = {{{i}}, 100 + i};
        vv_entry_store(&entry, vv_bytes + (size_t)i * VV_ENTRY_SIZE);
    }
    vv_three = (struct vv_view){vv_bytes, 3};
}

static struct text text_of(const char *string)
{
    return (struct text){string, strlen(string)};
}

static bool text_is(struct text text, const char *string)
{
    return text.size == strlen(string) &&
           memcmp(text.bytes, string, text.size) == 0;
}

static bool view_equal(struct vv_view a, struct vv_view b)
{
    return a.count == b.count &&
           (a.count == 0 ||
            memcmp(a.bytes, b.bytes, a.count * VV_ENTRY_SIZE) == 0);
}

/* One message of each kind. */

static const uint8_t sketch_two[2 * SKETCH_HASH_SIZE] = {1, 2, 3, [15] = 255};

static struct message sample_hello(void)
{
    struct message message = {.kind = MESSAGE_HELLO};
    struct message_hello *hello = &message.as.hello;

    hello->dialect = (struct dialect){1, 3, 0x1000000000000005};
    hello->mesh = text_of("fleet");
    hello->site = site_one;
    hello->instance = UINT64_MAX;
    hello->epoch = 7;
    hello->name = text_of("böat");
    hello->endpoints[0] = text_of("tcp://127.0.0.1:20001");
    hello->endpoints[1] = text_of("");
    hello->endpoint_count = 2;
    hello->vv_count = VV_SITES_MAX;
    hello->schema_digest = UINT64_C(0xfedcba9876543210);
    hello->clock = 1700000000000;
    hello->sketch.bytes = sketch_two;
    hello->sketch.count = 2;
    hello->looks = true;
    return message;
}

static struct message sample_news(struct buffer *out)
{
    struct message message = {.kind = MESSAGE_NEWS};
    struct vv_view none = {NULL, 0};
    size_t first;

    buffer_clear(out);
    interval_encode(&site_one, 0, 5, none, (const uint8_t *)"stream", 6, out);
    first = out->size;
    interval_encode(&site_one, VERSION_MAX - 1, VERSION_MAX, vv_three, NULL, 0,
                    out);
    message.as.news.interval_count = 2;
    message.as.news.token = UINT64_MAX;
    message.as.news.intervals[0].bytes = out->data;
    message.as.news.intervals[0].size = first;
    message.as.news.intervals[1].bytes = out->data + first;
    message.as.news.intervals[1].size = out->size - first;
    return message;
}

static struct message sample_vv(void)
{
    struct message message = {.kind = MESSAGE_VV};

    message.as.vv.epoch = 7;
    message.as.vv.entries = vv_three;
    message.as.vv.vv_hash = UINT64_MAX;
    message.as.vv.fingerprint.high = UINT64_C(0x0102030405060708);
    message.as.vv.fingerprint.low = UINT64_C(0xfffefdfcfbfaf9f8);
    message.as.vv.clock = 0;
    message.as.vv.word_count = 2;
    message.as.vv.words[0] = (struct word){
        .site = site_one, .instance = 1, .name = text_of("böat")};
    message.as.vv.words[1] = (struct word){.site = site_one,
                                           .instance = UINT64_MAX,
                                           .name = text_of(""),
                                           .clock = 1700000000000,
                                           .age_ms = 1234,
                                           .linked = true,
                                           .vv_hash = 77,
                                           .whole = true,
                                           .differs = vv_three};
    message.as.vv.beat =
        (struct message_beat){INT64_C(1) << 62, 3, 250, REFUSES_CLOCK, 5000};
    message.as.vv.news_size = 70000;
    message.as.vv.says_answer = true;
    message.as.vv.answers = UINT64_MAX;
    message.as.vv.answered = INT64_MAX;
    return message;
}

static struct message sample_want(void)
{
    struct message message = {.kind = MESSAGE_WANT};

    message.as.want = (struct message_want){vv_three, 1, 1 << 20, 0, 0, 0};
    return message;
}

static struct message sample_delta(bool last)
{
    struct message message = {.kind = MESSAGE_DELTA};

    message.as.delta.token = UINT64_MAX;
    message.as.delta.spool = 12;
    message.as.delta.offset = INT64_MAX;
    message.as.delta.bytes = (const uint8_t *)"part";
    message.as.delta.size = 4;
    message.as.delta.last = last;
    if (last)
        message.as.delta.claim = vv_three;
    return message;
}

static struct message sample_ack(void)
{
    struct message message = {.kind = MESSAGE_ACK};

    message.as.ack = (struct message_ack){65536, 9, UINT64_MAX, true};
    return message;
}

static struct message sample_bye(void)
{
    struct message message = {.kind = MESSAGE_BYE};

    message.as.bye.code = BYE_SILENT;
    message.as.bye.text = text_of("nothing was heard for 3 s");
    return message;
}

static struct message sample_peers(void)
{
    struct message message = {.kind = MESSAGE_PEERS};
    struct message_peers *peers = &message.as.peers;

    peers->count = 2;
    peers->addresses[0] = (struct peer_address){text_of("tcp://10.0.0.1:7401"),
                                                site_one, UINT32_MAX};
    peers->addresses[1] =
        (struct peer_address){text_of("tcp://[fe80::1]:1"), site_one, 0};
    return message;
}

static struct message sample_prune(void)
{
    struct message message = {.kind = MESSAGE_PRUNE};

    message.as.prune.sites =
        (const uint8_t *)"0123456789abcdefFEDCBA9876543210";
    message.as.prune.count = 2;
    message.as.prune.kind = PRUNE_LINKED;
    return message;
}

static struct message sample_check(void)
{
    struct message message = {.kind = MESSAGE_CHECK};

    message.as.check = (struct message_check){UINT64_MAX, CHECK_MEND, vv_three,
                                              (const uint8_t *)"rows", 4};
    return message;
}

static struct message sample_proof(void)
{
    struct message message = {.kind = MESSAGE_PROOF};

    message.as.proof =
        (struct message_proof){9, true, (const uint8_t *)"sums", 4};
    return message;
}

#define SAMPLES 12

static struct message sample(size_t index, struct buffer *intervals)
{
    make_vv();
    switch (index) {
    case 0:
        return sample_hello();
    case 1:
        return sample_news(intervals);
    case 2:
        return sample_vv();
    case 3:
        return sample_want();
    case 4:
        return sample_delta(false);
    case 5:
        return sample_delta(true);
    case 6:
        return sample_ack();
    case 7:
        return sample_peers();
    case 8:
        return sample_prune();
    case 9:
        return sample_check();
    case 10:
        return sample_proof();
    default:
        return sample_bye();
    }
}

static uint8_t *encode(const struct message *message, size_t *size)
{
    struct buffer out;
    uint8_t *exact;

    buffer_init(&out, MESSAGE_FRAME_SIZE_MAX);
    CHECK_INT(frame_encode(message, &out), ==, GV_OK);
    *size = out.size;
    exact = bytes_exact(out.data, out.size);
    buffer_close(&out);
    return exact;
}

/* A frame of any bytes, with their hash behind them, in an allocation of its
 * exact size: what is to be refused for its message has the right hash. */
static uint8_t *framed(const uint8_t *bytes, size_t size)
{
    uint8_t *frame = malloc(size + FRAME_HASH_SIZE);

    if (size > 0)
        memcpy(frame, bytes, size);
    store_u64(frame + size, hash64(bytes, size));
    return frame;
}

static int decode_framed(const uint8_t *bytes, size_t size)
{
    struct message message;
    uint8_t *frame = framed(bytes, size);
    int rc = frame_decode(frame, size + FRAME_HASH_SIZE, &message);

    free(frame);
    return rc;
}

/* @message through a frame; the frame is the caller's to free. */
static uint8_t *through_frame(const struct message *message,
                              struct message *back)
{
    size_t size;
    uint8_t *frame = encode(message, &size);

    memset(back, 0xa5, sizeof(*back));
    CHECK_INT(frame_decode(frame, size, back), ==, GV_OK);
    CHECK_INT(back->kind, ==, message->kind);
    return frame;
}

TEST(a_hello_comes_back)
{
    struct message message = sample_hello(), back;
    uint8_t *frame = through_frame(&message, &back);
    const struct message_hello *hello = &back.as.hello;

    CHECK(hello->dialect.min == 1 && hello->dialect.max == 3);
    CHECK(hello->dialect.features == 0x1000000000000005);
    CHECK(text_is(hello->mesh, "fleet"));
    CHECK(site_equal(&hello->site, &site_one));
    CHECK(hello->instance == UINT64_MAX && hello->epoch == 7);
    CHECK(text_is(hello->name, "böat"));
    CHECK_INT(hello->endpoint_count, ==, 2);
    CHECK(text_is(hello->endpoints[0], "tcp://127.0.0.1:20001"));
    CHECK(text_is(hello->endpoints[1], ""));
    CHECK_INT(hello->vv_count, ==, VV_SITES_MAX);
    CHECK(hello->schema_digest == UINT64_C(0xfedcba9876543210));
    CHECK(hello->clock == 1700000000000);
    CHECK_INT(hello->sketch.count, ==, 2);
    CHECK(memcmp(hello->sketch.bytes, sketch_two, sizeof(sketch_two)) == 0);
    free(frame);
}

TEST(news_come_back_byte_for_byte)
{
    struct buffer intervals;
    struct message message, back;
    const struct interval *got;
    const uint8_t *fragments;
    struct interval interval;
    uint8_t *frame;
    size_t size;

    make_vv();
    buffer_init(&intervals, 1000);
    message = sample_news(&intervals);
    frame = through_frame(&message, &back);
    CHECK_INT(back.as.news.interval_count, ==, 2);
    CHECK(back.as.news.token == UINT64_MAX);
    got = back.as.news.intervals;
    for (size_t i = 0; i < 2; i++) {
        CHECK_INT(got[i].size, ==, message.as.news.intervals[i].size);
        CHECK(memcmp(got[i].bytes, message.as.news.intervals[i].bytes,
                     got[i].size) == 0);
        CHECK(site_equal(&got[i].site, &site_one));
    }
    CHECK(got[0].from == 0 && got[0].to == 5);
    CHECK_INT(got[0].dependencies.count, ==, 0);
    CHECK(got[1].from == VERSION_MAX - 1 && got[1].to == VERSION_MAX);
    CHECK(view_equal(got[1].dependencies, vv_three));
    CHECK_INT(interval_decode(got[0].bytes, got[0].size, &interval, &fragments,
                              &size),
              ==, GV_OK);
    CHECK_INT(size, ==, 6);
    CHECK(memcmp(fragments, "stream", 6) == 0);
    CHECK(interval.to == 5 && interval.bytes == got[0].bytes);
    free(frame);
    buffer_close(&intervals);
}

TEST(a_vv_comes_back)
{
    struct message message, back;
    uint8_t *frame;

    make_vv();
    message = sample_vv();
    frame = through_frame(&message, &back);
    CHECK(back.as.vv.epoch == 7 && back.as.vv.vv_hash == UINT64_MAX);
    CHECK(view_equal(back.as.vv.entries, vv_three));
    CHECK(hash128_equal(back.as.vv.fingerprint, message.as.vv.fingerprint));
    CHECK(back.as.vv.clock == 0);
    CHECK_INT(back.as.vv.word_count, ==, 2);
    CHECK(text_is(back.as.vv.words[0].name, "böat"));
    CHECK(!back.as.vv.words[0].linked && !back.as.vv.words[0].whole);
    CHECK_INT(back.as.vv.words[0].differs.count, ==, 0);
    CHECK(site_equal(&back.as.vv.words[1].site, &site_one));
    CHECK(back.as.vv.words[1].instance == UINT64_MAX);
    CHECK(back.as.vv.words[1].clock == 1700000000000);
    CHECK_INT(back.as.vv.words[1].age_ms, ==, 1234);
    CHECK(back.as.vv.words[1].linked && back.as.vv.words[1].whole);
    CHECK_INT(back.as.vv.words[1].vv_hash, ==, 77);
    CHECK(view_equal(back.as.vv.words[1].differs, vv_three));
    CHECK(back.as.vv.beat.stamp == INT64_C(1) << 62);
    CHECK(back.as.vv.beat.echo == 3 && back.as.vv.beat.held == 250);
    CHECK(back.as.vv.beat.refusal == REFUSES_CLOCK);
    CHECK(back.as.vv.beat.retry == 5000);
    CHECK_INT(back.as.vv.news_size, ==, 70000);
    CHECK(back.as.vv.says_answer && back.as.vv.answers == UINT64_MAX);
    CHECK(back.as.vv.answered == INT64_MAX);
    free(frame);
    message.as.vv.entries.count = 0;
    free(through_frame(&message, &back));
    CHECK_INT(back.as.vv.entries.count, ==, 0);
}

TEST(a_want_comes_back)
{
    struct message message, back;
    uint8_t *frame;

    make_vv();
    message = sample_want();
    message.as.want.spool = UINT64_MAX;
    message.as.want.offset = 240;
    message.as.want.answer = ANSWER_WHOLE;
    frame = through_frame(&message, &back);
    CHECK(view_equal(back.as.want.vv, vv_three));
    CHECK(back.as.want.token == 1 && back.as.want.credit == 1 << 20);
    CHECK(back.as.want.spool == UINT64_MAX && back.as.want.offset == 240);
    CHECK(back.as.want.answer == ANSWER_WHOLE);
    free(frame);
}

TEST(a_delta_comes_back_with_its_claim_when_it_is_the_last)
{
    for (int last = 0; last < 2; last++) {
        struct message message, back;
        uint8_t *frame;

        make_vv();
        message = sample_delta(last);
        frame = through_frame(&message, &back);
        CHECK(back.as.delta.token == UINT64_MAX && back.as.delta.spool == 12);
        CHECK(back.as.delta.offset == INT64_MAX);
        CHECK_INT(back.as.delta.size, ==, 4);
        CHECK(memcmp(back.as.delta.bytes, "part", 4) == 0);
        CHECK_INT(back.as.delta.last, ==, last);
        CHECK_INT(back.as.delta.claim.count, ==, last ? 3 : 0);
        free(frame);
    }
}

TEST(peers_come_back)
{
    struct message message = sample_peers(), back;
    uint8_t *frame = through_frame(&message, &back);
    const struct peer_address *addresses = back.as.peers.addresses;

    CHECK_INT(back.as.peers.count, ==, 2);
    CHECK(site_equal(&addresses[0].site, &site_one));
    CHECK_INT(addresses[0].age_s, ==, UINT32_MAX);
    CHECK_INT(addresses[1].endpoint.size, ==, 17);
    CHECK(memcmp(addresses[1].endpoint.bytes, "tcp://[fe80::1]:1", 17) == 0);
    free(frame);
}

TEST(an_ack_comes_back)
{
    struct message message = sample_ack(), back;

    free(through_frame(&message, &back));
    CHECK(back.as.ack.news_size == 65536 && back.as.ack.token == 9);
    CHECK(back.as.ack.delta_size == UINT64_MAX && back.as.ack.delta_applied);
    message.as.ack.delta_applied = false;
    free(through_frame(&message, &back));
    CHECK(!back.as.ack.delta_applied);
}

TEST(a_prune_comes_back)
{
    struct message message = sample_prune(), back;
    uint8_t *frame = through_frame(&message, &back);

    CHECK_INT(back.as.prune.count, ==, 2);
    CHECK(memcmp(back.as.prune.sites, message.as.prune.sites, 32) == 0);
    CHECK(back.as.prune.kind == PRUNE_LINKED);
    free(frame);
}

TEST(a_bye_comes_back)
{
    struct message message = sample_bye(), back;
    uint8_t *frame = through_frame(&message, &back);

    CHECK_INT(back.as.bye.code, ==, BYE_SILENT);
    CHECK(text_is(back.as.bye.text, "nothing was heard for 3 s"));
    free(frame);
}

static void check_frame(const struct message *message, const uint8_t *bytes,
                        size_t size)
{
    size_t frame_size;
    uint8_t *frame = encode(message, &frame_size);
    uint8_t *expected = framed(bytes, size);

    CHECK_INT(frame_size, ==, size + FRAME_HASH_SIZE);
    CHECK(memcmp(frame, expected, frame_size) == 0);
    free(expected);
    free(frame);
}

/* The bytes of two messages and an interval, so that the format cannot
 * drift. */
TEST(messages_are_what_the_format_says)
{
    static const uint8_t ack[] = {0x95, 6,    0xce, 0,    1,    0,
                                  0,    9,    0xcf, 0xff, 0xff, 0xff,
                                  0xff, 0xff, 0xff, 0xff, 0xff, 0xc3};
    static const uint8_t bye[] = {0x93, 9, 1, 0xa2, 'o', 'k'};
    static const uint8_t interval[] = {
        0x95, 0xc4, 16, 1,  2,  3,  4, 5, 6,    7, 8,    9, 10,
        11,   12,   13, 14, 15, 16, 0, 5, 0xc4, 0, 0xc4, 1, 's'};
    struct message message = sample_ack();
    struct vv_view none = {NULL, 0};
    struct buffer out;

    check_frame(&message, ack, sizeof(ack));
    message.kind = MESSAGE_BYE;
    message.as.bye.code = BYE_STOPPING;
    message.as.bye.text = text_of("ok");
    check_frame(&message, bye, sizeof(bye));

    buffer_init(&out, 1000);
    CHECK_INT(
        interval_encode(&site_one, 0, 5, none, (const uint8_t *)"s", 1, &out),
        ==, GV_OK);
    CHECK_INT(out.size, ==, sizeof(interval));
    CHECK(memcmp(out.data, interval, sizeof(interval)) == 0);
    buffer_close(&out);
}

/* The example in src/wire/README.md: the key and the order of the hash's
 * bytes cannot drift either. */
TEST(a_frame_ends_with_the_hash_that_the_format_says)
{
    static const uint8_t bye[] = {0x93, 9,    1,    0xa2, 'o',  'k',  0x1b,
                                  0x9a, 0x03, 0x63, 0x65, 0xca, 0x11, 0x91};
    struct message message = {.kind = MESSAGE_BYE}, back;
    size_t size;
    uint8_t *frame;

    message.as.bye.code = BYE_STOPPING;
    message.as.bye.text = text_of("ok");
    frame = encode(&message, &size);
    CHECK_INT(size, ==, sizeof(bye));
    CHECK(memcmp(frame, bye, sizeof(bye)) == 0);
    CHECK_INT(frame_decode(bye, sizeof(bye), &back), ==, GV_OK);
    free(frame);
}

/* A frame behind others in one buffer is hashed by itself. */
TEST(a_frame_that_is_appended_comes_back)
{
    struct message first = sample_ack(), second = sample_bye(), back;
    struct buffer out;
    size_t start;

    buffer_init(&out, 1000);
    CHECK_INT(frame_encode(&first, &out), ==, GV_OK);
    start = out.size;
    CHECK_INT(frame_encode(&second, &out), ==, GV_OK);
    CHECK_INT(frame_decode(out.data, start, &back), ==, GV_OK);
    CHECK_INT(back.kind, ==, MESSAGE_ACK);
    CHECK_INT(frame_decode(out.data + start, out.size - start, &back), ==,
              GV_OK);
    CHECK_INT(back.kind, ==, MESSAGE_BYE);
    CHECK_INT(frame_decode(out.data, out.size, &back), ==, GV_EPROTO);
    buffer_close(&out);
}

TEST(a_frame_with_any_one_bit_turned_is_refused)
{
    struct buffer intervals;

    buffer_init(&intervals, 1000);
    for (size_t i = 0; i < SAMPLES; i++) {
        struct message message = sample(i, &intervals), back;
        size_t size;
        uint8_t *frame = encode(&message, &size);

        for (size_t bit = 0; bit < size * 8; bit++) {
            frame[bit / 8] ^= (uint8_t)(1u << bit % 8);
            CHECK_INT(frame_decode(frame, size, &back), ==, GV_EPROTO);
            frame[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
        CHECK_INT(frame_decode(frame, size, &back), ==, GV_OK);
        free(frame);
    }
    buffer_close(&intervals);
}

/* Also where the bit is of a value, which any other decoder would take. */
TEST(news_of_64_kib_with_any_one_bit_turned_are_refused)
{
    static uint8_t fragments[65510];
    struct message message = {.kind = MESSAGE_NEWS}, back;
    struct vv_view none = {NULL, 0};
    struct buffer interval;
    uint8_t *frame;
    size_t size;

    buffer_init(&interval, MESSAGE_NEWS_SIZE_MAX);
    interval_encode(&site_one, 1, 2, none, fragments, sizeof(fragments),
                    &interval);
    message.as.news.interval_count = 1;
    message.as.news.intervals[0].bytes = interval.data;
    message.as.news.intervals[0].size = interval.size;
    frame = encode(&message, &size);
    /* 1,009 is odd, so that each bit of a byte has its turn. */
    for (size_t bit = 0; bit < size * 8; bit += 1009) {
        frame[bit / 8] ^= (uint8_t)(1u << bit % 8);
        CHECK_INT(frame_decode(frame, size, &back), ==, GV_EPROTO);
        frame[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    CHECK_INT(frame_decode(frame, size, &back), ==, GV_OK);
    free(frame);
    buffer_close(&interval);
}

TEST(a_hash_without_a_message_is_no_frame)
{
    uint8_t *frame = framed((const uint8_t *)"", 0);
    struct message message;

    for (size_t size = 0; size <= FRAME_HASH_SIZE; size++)
        CHECK_INT(frame_decode(frame + FRAME_HASH_SIZE - size, size, &message),
                  ==, GV_EPROTO);
    free(frame);
    CHECK_INT(decode_framed((const uint8_t *)"\x90", 1), ==, GV_EPROTO);
}

TEST(every_truncation_of_a_frame_is_refused)
{
    struct buffer intervals;

    buffer_init(&intervals, 1000);
    for (size_t i = 0; i < SAMPLES; i++) {
        struct message message = sample(i, &intervals), back;
        size_t size;
        uint8_t *frame = encode(&message, &size);

        for (size_t cut = 0; cut < size; cut++) {
            uint8_t *exact = bytes_exact(frame, cut);
            CHECK_INT(frame_decode(exact, cut, &back), ==, GV_EPROTO);
            free(exact);
        }
        for (size_t cut = 0; cut < size - FRAME_HASH_SIZE; cut++)
            CHECK_INT(decode_framed(frame, cut), ==, GV_EPROTO);
        free(frame);
    }
    buffer_close(&intervals);
}

TEST(every_truncation_of_an_interval_is_refused)
{
    struct interval interval;
    const uint8_t *fragments;
    struct buffer out;
    size_t size;

    make_vv();
    buffer_init(&out, 1000);
    interval_encode(&site_one, 1, 300, vv_three, (const uint8_t *)"s", 1,
                    &out);
    for (size_t cut = 0; cut < out.size; cut++) {
        uint8_t *exact = bytes_exact(out.data, cut);
        CHECK_INT(interval_decode(exact, cut, &interval, &fragments, &size),
                  ==, GV_EPROTO);
        free(exact);
    }
    buffer_close(&out);
}

/* Read all that a decoded message points to. */
static uint64_t touch(const void *bytes, size_t size)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < size; i++)
        sum += ((const uint8_t *)bytes)[i];
    return sum;
}

static uint64_t touch_view(struct vv_view view)
{
    CHECK(vv_view_valid(view));
    return touch(view.bytes, view.count * VV_ENTRY_SIZE);
}

static uint64_t walk_hello(const struct message_hello *hello)
{
    uint64_t sum = touch(hello->mesh.bytes, hello->mesh.size) +
                   touch(hello->name.bytes, hello->name.size);

    CHECK(hello->endpoint_count <= MESSAGE_ENDPOINTS_MAX);
    CHECK(hello->dialect.min <= hello->dialect.max);
    for (size_t i = 0; i < hello->endpoint_count; i++)
        sum += touch(hello->endpoints[i].bytes, hello->endpoints[i].size);
    return sum;
}

static uint64_t walk_news(const struct message_news *news)
{
    uint64_t sum = 0;

    CHECK(news->interval_count >= 1);
    CHECK(news->interval_count <= MESSAGE_INTERVALS_MAX);
    for (size_t i = 0; i < news->interval_count; i++) {
        const struct interval *interval = &news->intervals[i];
        CHECK(interval->from < interval->to && interval->to <= VERSION_MAX);
        sum += touch(interval->bytes, interval->size) +
               touch_view(interval->dependencies);
    }
    return sum;
}

static uint64_t walk_peers(const struct message_peers *peers)
{
    uint64_t sum = 0;

    CHECK(peers->count >= 1 && peers->count <= MESSAGE_PEERS_MAX);
    for (size_t i = 0; i < peers->count; i++) {
        struct text endpoint = peers->addresses[i].endpoint;
        CHECK_INT(endpoint.size, >=, 1);
        sum += touch(endpoint.bytes, endpoint.size);
    }
    return sum;
}

static uint64_t walk(const struct message *message)
{
    switch (message->kind) {
    case MESSAGE_HELLO:
        return walk_hello(&message->as.hello);
    case MESSAGE_NEWS:
        return walk_news(&message->as.news);
    case MESSAGE_VV:
        CHECK(message->as.vv.clock >= 0 && message->as.vv.beat.held >= 0);
        CHECK(message->as.vv.beat.refusal < REFUSALS);
        return touch_view(message->as.vv.entries);
    case MESSAGE_WANT:
        return touch_view(message->as.want.vv);
    case MESSAGE_DELTA:
        CHECK(message->as.delta.last || message->as.delta.claim.count == 0);
        return touch(message->as.delta.bytes, message->as.delta.size) +
               touch_view(message->as.delta.claim);
    case MESSAGE_ACK:
        return message->as.ack.token;
    case MESSAGE_BYE:
        return touch(message->as.bye.text.bytes, message->as.bye.text.size);
    case MESSAGE_PRUNE:
        return touch(message->as.prune.sites, message->as.prune.count * 16);
    case MESSAGE_CHECK:
        return touch(message->as.check.bytes, message->as.check.size) +
               touch_view(message->as.check.meet);
    case MESSAGE_PROOF:
        CHECK(message->as.proof.done || message->as.proof.size == 0);
        return touch(message->as.proof.bytes, message->as.proof.size);
    case MESSAGE_PEERS:
        return walk_peers(&message->as.peers);
    }
    CHECK(message->kind == MESSAGE_BYE);
    return 0;
}

/* The mutations get their right hash, or the decoder would see none. */
TEST(mutated_messages_are_refused_or_read_without_fault)
{
    struct buffer intervals;
    struct random random;
    int accepted = 0;

    buffer_init(&intervals, 1000);
    random_seed(&random, 11);
    for (size_t i = 0; i < SAMPLES; i++) {
        struct message message = sample(i, &intervals), back;
        size_t whole;
        uint8_t *frame = encode(&message, &whole);

        for (int j = 0; j < 200000 / SAMPLES; j++) {
            size_t size = whole - FRAME_HASH_SIZE;
            uint8_t *bytes = bytes_mutated(&random, frame, &size);
            uint8_t *mutated = framed(bytes, size);
            int rc = frame_decode(mutated, size + FRAME_HASH_SIZE, &back);
            CHECK(rc == GV_OK || rc == GV_EPROTO);
            if (rc == GV_OK)
                walk(&back);
            accepted += rc == GV_OK;
            free(mutated);
            free(bytes);
        }
        free(frame);
    }
    CHECK_INT(accepted, >, 5000);
    CHECK_INT(accepted, <, 150000);
    buffer_close(&intervals);
}

TEST(random_bytes_are_no_frame)
{
    struct random random;
    struct message message;
    uint8_t bytes[64];

    random_seed(&random, 12);
    for (int i = 0; i < 100000; i++) {
        size_t size = (size_t)random_below(&random, sizeof(bytes) + 1);
        uint8_t *frame;
        for (size_t j = 0; j < size; j++)
            bytes[j] = (uint8_t)random_u64(&random);
        if (size > 2) {
            bytes[0] = (uint8_t)(0x90 + bytes[0] % 16);
            bytes[1] %= 12;
        }
        frame = framed(bytes, size);
        if (frame_decode(frame, size + FRAME_HASH_SIZE, &message) == GV_OK)
            walk(&message);
        free(frame);
    }
}

/* Frames by hand. */

struct raw {
    msgpack_sbuffer buffer;
    msgpack_packer packer;
};

static void raw_init(struct raw *raw, uint32_t count, int kind)
{
    msgpack_sbuffer_init(&raw->buffer);
    msgpack_packer_init(&raw->packer, &raw->buffer, msgpack_sbuffer_write);
    msgpack_pack_array(&raw->packer, count);
    msgpack_pack_int(&raw->packer, kind);
}

static void raw_u64(struct raw *raw, uint64_t number)
{
    msgpack_pack_uint64(&raw->packer, number);
}

static void raw_blob(struct raw *raw, const void *bytes, size_t size)
{
    msgpack_pack_bin(&raw->packer, size);
    msgpack_pack_bin_body(&raw->packer, bytes, size);
}

static void raw_text(struct raw *raw, const void *bytes, size_t size)
{
    msgpack_pack_str(&raw->packer, size);
    msgpack_pack_str_body(&raw->packer, bytes, size);
}

static int raw_decode(struct raw *raw)
{
    int rc = decode_framed((uint8_t *)raw->buffer.data, raw->buffer.size);

    msgpack_sbuffer_destroy(&raw->buffer);
    return rc;
}

/* @message with its head in the long form, which counts any number of
 * elements, and @more bytes of room behind; the hash is left out. */
static uint8_t *long_headed(const struct message *message, size_t more,
                            size_t *size)
{
    uint8_t *frame = encode(message, size);
    uint8_t *bytes = malloc(*size + 2 + more);

    *size -= FRAME_HASH_SIZE;
    if (frame[0] == 0xdc) {
        memcpy(bytes, frame, *size);
        free(frame);
        return bytes;
    }
    CHECK_INT(frame[0] & 0xf0, ==, 0x90);
    bytes[0] = 0xdc;
    bytes[1] = 0;
    bytes[2] = frame[0] & 0x0f;
    memcpy(bytes + 3, frame + 1, *size - 1);
    *size += 2;
    free(frame);
    return bytes;
}

TEST(fields_of_a_newer_version_are_ignored)
{
    struct buffer intervals;

    buffer_init(&intervals, 1000);
    for (size_t i = 0; i < SAMPLES; i++) {
        struct message message = sample(i, &intervals);
        size_t size;
        uint8_t *more = long_headed(&message, 4, &size);

        memcpy(more + size, "\x92\xa1x\xc0", 4);
        more[2]++;
        CHECK_INT(decode_framed(more, size + 4), ==, GV_OK);
        CHECK_INT(decode_framed(more, size + 3), ==, GV_EPROTO);
        more[2]--;
        CHECK_INT(decode_framed(more, size + 4), ==, GV_EPROTO);
        more[2]--;
        CHECK_INT(decode_framed(more, size), ==, GV_EPROTO);
        free(more);
    }
    buffer_close(&intervals);
}

TEST(an_interval_of_a_newer_version_is_read_too)
{
    struct interval interval;
    const uint8_t *fragments;
    struct buffer out;
    size_t size;

    make_vv();
    buffer_init(&out, 1000);
    interval_encode(&site_one, 1, 300, vv_three, (const uint8_t *)"s", 1,
                    &out);
    buffer_append_u8(&out, 0xc0);
    CHECK_INT(
        interval_decode(out.data, out.size, &interval, &fragments, &size), ==,
        GV_EPROTO);
    out.data[0]++;
    CHECK_INT(
        interval_decode(out.data, out.size, &interval, &fragments, &size), ==,
        GV_OK);
    CHECK(interval.to == 300 && size == 1);
    buffer_close(&out);
}

static int message_of_kind(int kind)
{
    struct raw raw;

    raw_init(&raw, 12, kind);
    for (int i = 1; i < 12; i++)
        msgpack_pack_nil(&raw.packer);
    return raw_decode(&raw);
}

TEST(reserved_and_unknown_kinds_are_refused)
{
    CHECK_INT(message_of_kind(0), ==, GV_EPROTO);
    CHECK_INT(message_of_kind(MESSAGE_PEERS), ==, GV_EPROTO);
    CHECK_INT(message_of_kind(MESSAGE_KIND_MAX + 1), ==, GV_EPROTO);
    CHECK_INT(message_of_kind(-1), ==, GV_EPROTO);
    CHECK_INT(frame_decode(NULL, 0, &(struct message){0}), ==, GV_EPROTO);
}

TEST(a_check_and_a_proof_come_back)
{
    struct message message, back;
    uint8_t *frame;

    make_vv();
    message = sample_check();
    frame = through_frame(&message, &back);
    CHECK(back.as.check.token == UINT64_MAX);
    CHECK_INT(back.as.check.what, ==, CHECK_MEND);
    CHECK_INT(back.as.check.meet.count, ==, vv_three.count);
    CHECK(back.as.check.size == 4 &&
          memcmp(back.as.check.bytes, "rows", 4) == 0);
    free(frame);
    message = sample_proof();
    frame = through_frame(&message, &back);
    CHECK(back.as.proof.token == 9 && back.as.proof.done);
    CHECK(back.as.proof.size == 4 &&
          memcmp(back.as.proof.bytes, "sums", 4) == 0);
    free(frame);
}

static int check_of(uint64_t what, size_t size)
{
    static char bytes[MESSAGE_DELTA_SIZE_MAX + 1];
    struct raw raw;

    raw_init(&raw, 5, MESSAGE_CHECK);
    raw_u64(&raw, 1);
    raw_u64(&raw, what);
    raw_blob(&raw, "", 0);
    raw_blob(&raw, bytes, size);
    return raw_decode(&raw);
}

static int proof_of(bool done, size_t size)
{
    static char bytes[MESSAGE_DELTA_SIZE_MAX + 1];
    struct raw raw;

    raw_init(&raw, 4, MESSAGE_PROOF);
    raw_u64(&raw, 1);
    if (done)
        msgpack_pack_true(&raw.packer);
    else
        msgpack_pack_false(&raw.packer);
    raw_blob(&raw, bytes, size);
    return raw_decode(&raw);
}

TEST(checks_and_proofs_have_limits)
{
    CHECK_INT(check_of(CHECK_SUMS, 0), ==, GV_OK);
    CHECK_INT(check_of(0, 0), ==, GV_EPROTO);
    CHECK_INT(check_of(CHECK_REST, 0), ==, GV_OK);
    CHECK_INT(check_of(CHECK_REST + 1, 0), ==, GV_EPROTO);
    CHECK_INT(check_of(CHECK_MEND, MESSAGE_DELTA_SIZE_MAX), ==, GV_OK);
    CHECK_INT(check_of(CHECK_MEND, MESSAGE_DELTA_SIZE_MAX + 1), ==, GV_EPROTO);
    CHECK_INT(proof_of(true, MESSAGE_DELTA_SIZE_MAX), ==, GV_OK);
    CHECK_INT(proof_of(true, MESSAGE_DELTA_SIZE_MAX + 1), ==, GV_EPROTO);
    CHECK_INT(proof_of(false, 0), ==, GV_OK);
    CHECK_INT(proof_of(false, 1), ==, GV_EPROTO);
}

static int piece_of(uint64_t at, uint64_t whole, size_t size)
{
    struct proof_piece piece;
    struct buffer bytes;
    int rc;

    buffer_init(&bytes, SIZE_MAX);
    buffer_append_u64(&bytes, at);
    buffer_append_u64(&bytes, whole);
    buffer_append(&bytes, "0123456789", size);
    rc = proof_read_piece(bytes.data, bytes.size, &piece);
    CHECK(rc != GV_OK ||
          (piece.at == at && piece.whole == whole && piece.size == size));
    CHECK_INT(proof_read_piece(bytes.data, 15, &piece), ==, GV_EPROTO);
    buffer_close(&bytes);
    return rc;
}

TEST(a_piece_lies_within_its_whole)
{
    struct proof_piece piece = {3, 9, (const uint8_t *)"abc", 3}, back;
    struct buffer bytes;

    buffer_init(&bytes, SIZE_MAX);
    proof_write_piece(&bytes, &piece);
    CHECK_INT(proof_read_piece(bytes.data, bytes.size, &back), ==, GV_OK);
    CHECK(back.at == 3 && back.whole == 9 && back.size == 3);
    CHECK(memcmp(back.bytes, "abc", 3) == 0);
    buffer_close(&bytes);
    CHECK_INT(piece_of(0, 0, 0), ==, GV_OK);
    CHECK_INT(piece_of(0, 10, 10), ==, GV_OK);
    CHECK_INT(piece_of(10, 10, 0), ==, GV_EPROTO); /* says nothing */
    CHECK_INT(piece_of(1, 10, 10), ==, GV_EPROTO);
    CHECK_INT(piece_of(11, 10, 1), ==, GV_EPROTO);
    CHECK_INT(piece_of(UINT64_MAX, UINT64_MAX, 1), ==, GV_EPROTO);
    CHECK_INT(piece_of(0, UINT64_MAX, 1), ==, GV_OK);
}

static int bye_of(uint64_t code, const char *text, size_t size)
{
    struct raw raw;

    raw_init(&raw, 3, MESSAGE_BYE);
    raw_u64(&raw, code);
    raw_text(&raw, text, size);
    return raw_decode(&raw);
}

TEST(texts_have_a_limit_and_can_be_printed)
{
    char text[256];

    memset(text, 'x', sizeof(text));
    CHECK_INT(bye_of(1, text, 255), ==, GV_OK);
    CHECK_INT(bye_of(1, text, 256), ==, GV_EPROTO);
    CHECK_INT(bye_of(1, "a\nb", 3), ==, GV_EPROTO);
    CHECK_INT(bye_of(1, "a\0b", 3), ==, GV_EPROTO);
    CHECK_INT(bye_of(1, "\xff", 1), ==, GV_EPROTO);
    CHECK_INT(bye_of(0, "", 0), ==, GV_EPROTO);
    CHECK_INT(bye_of(UINT64_C(1) << 32, "", 0), ==, GV_EPROTO);
}

/* A HELLO with one field as given. */
static int hello_of(uint64_t min, uint64_t max, size_t site_size,
                    uint32_t endpoints, uint64_t vv_count, uint64_t clock,
                    size_t sketch_size)
{
    struct raw raw;

    static const uint8_t sketch[2 * SKETCH_HASHES_MAX * SKETCH_HASH_SIZE];

    raw_init(&raw, 14, MESSAGE_HELLO);
    raw_u64(&raw, min);
    raw_u64(&raw, max);
    raw_text(&raw, "mesh", 4);
    raw_blob(&raw, "0123456789abcdefg", site_size);
    raw_u64(&raw, 1);
    raw_u64(&raw, 2);
    raw_text(&raw, "name", 4);
    msgpack_pack_array(&raw.packer, endpoints);
    for (uint32_t i = 0; i < endpoints; i++)
        raw_text(&raw, "tcp://h:1", 9);
    raw_u64(&raw, vv_count);
    raw_u64(&raw, 3);
    raw_u64(&raw, clock);
    raw_blob(&raw, sketch, sketch_size);
    msgpack_pack_true(&raw.packer);
    return raw_decode(&raw);
}

TEST(a_hello_without_features_has_none)
{
    struct message message = sample_hello(), back;
    size_t size, behind = 9 + 1 + FRAME_HASH_SIZE;
    uint8_t *frame, *bytes;

    memset(&back, 0xa5, sizeof(back));
    frame = encode(&message, &size);
    CHECK_INT(frame[0], ==, 0xdc);
    frame[2] = 14;
    bytes = framed(frame, size - behind);
    CHECK_INT(frame_decode(bytes, size - behind + FRAME_HASH_SIZE, &back), ==,
              GV_OK);
    CHECK(back.as.hello.dialect.features == 0 && !back.as.hello.looks);
    CHECK(back.as.hello.urgent == message.as.hello.urgent);
    free(bytes);
    free(frame);
}

/* @message without its last @count elements, of @behind bytes. */
static void decode_without(const struct message *message, uint8_t count,
                           size_t behind, struct message *back)
{
    size_t size;
    uint8_t *bytes = long_headed(message, 0, &size), *frame;

    bytes[2] = (uint8_t)(bytes[2] - count);
    memset(back, 0xa5, sizeof(*back));
    frame = framed(bytes, size - behind);
    CHECK_INT(frame_decode(frame, size - behind + FRAME_HASH_SIZE, back), ==,
              GV_OK);
    free(frame);
    free(bytes);
}

TEST(messages_of_the_first_releases_end_earlier)
{
    struct message message, back;
    struct buffer intervals;

    buffer_init(&intervals, 1000);
    message = sample_news(&intervals);
    decode_without(&message, 1, 9, &back);
    CHECK_INT(back.as.news.interval_count, ==, 2);
    CHECK(back.as.news.token == 0);
    make_vv();
    message = sample_vv();
    decode_without(&message, 2, 18, &back);
    CHECK(!back.as.vv.says_answer && back.as.vv.answers == 0);
    CHECK_INT(back.as.vv.news_size, ==, 70000);
    message = sample_want();
    decode_without(&message, 1, 1, &back);
    CHECK(back.as.want.answer == ANSWER_DELTA);
    buffer_close(&intervals);
}

TEST(a_bye_for_a_reason_of_a_newer_version_is_one)
{
    static const uint8_t bye[] = {0x93, 9, 0xcc, 0xc8, 0xa2, 'n', 'o'};
    uint8_t *frame = framed(bye, sizeof(bye));
    struct message back;

    CHECK_INT(frame_decode(frame, sizeof(bye) + FRAME_HASH_SIZE, &back), ==,
              GV_OK);
    CHECK_INT(back.as.bye.code, ==, BYE_UNKNOWN);
    CHECK(text_is(back.as.bye.text, "no"));
    free(frame);
}

/* What stands behind the elements of @array, the @at-th byte of a message,
 * that this version knows. */
static int with_one_more(const struct message *message, size_t array,
                         size_t end)
{
    size_t size;
    uint8_t *frame = encode(message, &size);
    uint8_t *more = malloc(size + 1);
    int rc;

    size -= FRAME_HASH_SIZE;
    memcpy(more, frame, size - end);
    more[size - end] = 0xc0;
    memcpy(more + size - end + 1, frame + size - end, end);
    CHECK_INT(more[array] & 0xf0, ==, 0x90);
    more[array]++;
    rc = decode_framed(more, size + 1);
    free(more);
    free(frame);
    return rc;
}

TEST(beats_and_addresses_of_a_newer_version_are_read_too)
{
    struct message vv = {.kind = MESSAGE_VV}, peers = {.kind = MESSAGE_PEERS};

    vv.as.vv.beat.stamp = 1;
    /* Behind the beat of five numbers stand three more. */
    CHECK_INT(with_one_more(&vv, 26, 3), ==, GV_OK);
    peers.as.peers.count = 1;
    peers.as.peers.addresses[0].endpoint = text_of("tcp://h:1");
    CHECK_INT(with_one_more(&peers, 3, 0), ==, GV_OK);
}

TEST(a_hello_out_of_range_is_refused)
{
    uint64_t far = ((uint64_t)1 << 46) - 1;

    CHECK_INT(hello_of(1, 1, 16, 8, 10000, far, 0), ==, GV_OK);
    CHECK_INT(hello_of(1, 1, 16, 0, 0, 0, 0), ==, GV_OK);
    CHECK_INT(hello_of(0, 1, 16, 8, 0, 0, 0), ==, GV_EPROTO);
    CHECK_INT(hello_of(2, 1, 16, 8, 0, 0, 0), ==, GV_EPROTO);
    CHECK_INT(hello_of(1, UINT64_C(1) << 32, 16, 8, 0, 0, 0), ==, GV_EPROTO);
    CHECK_INT(hello_of(1, 1, 15, 8, 0, 0, 0), ==, GV_EPROTO);
    CHECK_INT(hello_of(1, 1, 17, 8, 0, 0, 0), ==, GV_EPROTO);
    CHECK_INT(hello_of(1, 1, 16, 9, 0, 0, 0), ==, GV_EPROTO);
    CHECK_INT(hello_of(1, 1, 16, 8, 10001, 0, 0), ==, GV_EPROTO);
    CHECK_INT(hello_of(1, 1, 16, 8, 0, far + 1, 0), ==, GV_EPROTO);
    CHECK_INT(hello_of(1, 1, 16, 0, 99, 0, 8), ==, GV_OK);
    CHECK_INT(hello_of(1, 1, 16, 0, 99, 0, 4096), ==, GV_OK);
    CHECK_INT(hello_of(1, 1, 16, 0, 99, 0, 7), ==, GV_EPROTO);
    CHECK_INT(hello_of(1, 1, 16, 0, 99, 0, 24), ==, GV_EPROTO);
    CHECK_INT(hello_of(1, 1, 16, 0, 99, 0, 8192), ==, GV_EPROTO);
}

static void raw_beat(struct raw *raw, uint32_t elements, size_t index,
                     uint64_t number)
{
    msgpack_pack_array(&raw->packer, elements);
    for (uint32_t i = 0; i < elements; i++)
        raw_u64(raw, i == index ? number : 1);
}

/* A VV with @count words of which one has these. */
static int word_of(uint32_t count, uint32_t fields, size_t name_size,
                   const void *differs, size_t size)
{
    char letters[MESSAGE_WORD_NAME_MAX + 1];
    struct raw raw;

    memset(letters, 'n', sizeof(letters));
    raw_init(&raw, 9, MESSAGE_VV);
    raw_u64(&raw, 1);
    raw_blob(&raw, "", 0);
    raw_u64(&raw, 1);
    raw_blob(&raw, "0123456789abcdef", 16);
    raw_u64(&raw, 1);
    msgpack_pack_array(&raw.packer, count);
    for (uint32_t i = 0; i < count; i++) {
        msgpack_pack_array(&raw.packer, fields);
        raw_blob(&raw, "0123456789abcdef", 16);
        raw_u64(&raw, 1);
        raw_text(&raw, letters, name_size);
        raw_u64(&raw, 1);
        raw_u64(&raw, 1);
        msgpack_pack_true(&raw.packer);
        raw_u64(&raw, 1);
        msgpack_pack_false(&raw.packer);
        raw_blob(&raw, differs, size);
    }
    raw_beat(&raw, 5, 5, 0);
    raw_u64(&raw, 0);
    return raw_decode(&raw);
}

TEST(words_have_limits_and_may_say_that_nothing_is_held)
{
    uint8_t bytes[(MESSAGE_WORD_ENTRIES_MAX + 1) * VV_ENTRY_SIZE] = {0};

    for (size_t i = 0; i <= MESSAGE_WORD_ENTRIES_MAX; i++)
        bytes[i * VV_ENTRY_SIZE] = (uint8_t)i;
    CHECK_INT(word_of(0, 9, 0, bytes, 0), ==, GV_OK);
    CHECK_INT(word_of(8, 9, 64, bytes, sizeof(bytes) - VV_ENTRY_SIZE), ==,
              GV_OK);
    CHECK_INT(word_of(9, 9, 0, bytes, 0), ==, GV_EPROTO);
    CHECK_INT(word_of(1, 8, 0, bytes, 0), ==, GV_EPROTO);
    CHECK_INT(word_of(1, 10, 0, bytes, 0), ==, GV_EPROTO);
    CHECK_INT(word_of(1, 9, 65, bytes, 0), ==, GV_EPROTO);
    CHECK_INT(word_of(1, 9, 0, bytes, sizeof(bytes)), ==, GV_EPROTO);
    CHECK_INT(word_of(1, 9, 0, bytes, VV_ENTRY_SIZE - 1), ==, GV_EPROTO);
    bytes[0] = 1; /* a site twice */
    CHECK_INT(word_of(1, 9, 0, bytes, 2 * VV_ENTRY_SIZE), ==, GV_EPROTO);
    bytes[16] = 0x40; /* version 2^62 */
    CHECK_INT(word_of(1, 9, 0, bytes, VV_ENTRY_SIZE), ==, GV_EPROTO);
}

static int peers_of(uint32_t count, uint32_t elements, size_t endpoint_size,
                    uint64_t age)
{
    char endpoint[300];
    struct raw raw;

    memset(endpoint, 'x', sizeof(endpoint));
    raw_init(&raw, 2, MESSAGE_PEERS);
    msgpack_pack_array(&raw.packer, count);
    for (uint32_t i = 0; i < count; i++) {
        msgpack_pack_array(&raw.packer, elements);
        raw_text(&raw, endpoint, endpoint_size);
        raw_blob(&raw, "0123456789abcdef", 16);
        raw_u64(&raw, age);
    }
    return raw_decode(&raw);
}

TEST(peers_are_one_to_32)
{
    CHECK_INT(peers_of(1, 3, 1, 0), ==, GV_OK);
    CHECK_INT(peers_of(32, 3, 255, UINT32_MAX), ==, GV_OK);
    CHECK_INT(peers_of(0, 3, 1, 0), ==, GV_EPROTO);
    CHECK_INT(peers_of(33, 3, 1, 0), ==, GV_EPROTO);
    CHECK_INT(peers_of(1, 2, 1, 0), ==, GV_EPROTO);
    CHECK_INT(peers_of(1, 3, 0, 0), ==, GV_EPROTO);
    CHECK_INT(peers_of(1, 3, 256, 0), ==, GV_EPROTO);
    CHECK_INT(peers_of(1, 3, 1, UINT64_C(1) << 32), ==, GV_EPROTO);
}

/* A VV with one number of its beat as given. */
static int beat_of(uint32_t elements, size_t index, uint64_t number)
{
    struct raw raw;

    raw_init(&raw, 9, MESSAGE_VV);
    raw_u64(&raw, 1);
    raw_blob(&raw, "", 0);
    raw_u64(&raw, 0);
    raw_blob(&raw, "0123456789abcdef", 16);
    raw_u64(&raw, 1);
    msgpack_pack_array(&raw.packer, 0);
    raw_beat(&raw, elements, index, number);
    raw_u64(&raw, 0);
    return raw_decode(&raw);
}

TEST(a_beat_out_of_range_is_refused)
{
    uint64_t far = UINT64_C(1) << 62;

    CHECK_INT(beat_of(5, 9, 0), ==, GV_OK);
    CHECK_INT(beat_of(4, 9, 0), ==, GV_EPROTO);
    CHECK_INT(beat_of(6, 9, 0), ==, GV_OK);
    CHECK_INT(beat_of(5, 3, REFUSALS), ==, GV_EPROTO);
    for (size_t i = 0; i < 5; i++) {
        if (i == 3)
            continue;
        CHECK_INT(beat_of(5, i, far), ==, GV_OK);
        CHECK_INT(beat_of(5, i, far + 1), ==, GV_EPROTO);
    }
}

static int want_of(const void *vv, size_t size)
{
    struct raw raw;

    raw_init(&raw, 6, MESSAGE_WANT);
    raw_blob(&raw, vv, size);
    for (int i = 0; i < 4; i++)
        raw_u64(&raw, 0);
    return raw_decode(&raw);
}

TEST(a_vector_that_breaks_its_promises_is_refused)
{
    uint8_t bytes[sizeof(vv_bytes)];

    make_vv();
    CHECK_INT(want_of("", 0), ==, GV_OK);
    CHECK_INT(want_of(vv_bytes, sizeof(vv_bytes)), ==, GV_OK);
    CHECK_INT(want_of(vv_bytes, sizeof(vv_bytes) - 1), ==, GV_EPROTO);
    CHECK_INT(want_of(vv_bytes, sizeof(vv_bytes) - 8), ==, GV_EPROTO);
    memcpy(bytes, vv_bytes, sizeof(bytes));
    bytes[VV_ENTRY_SIZE] = 2; /* the second site is the third */
    CHECK_INT(want_of(bytes, sizeof(bytes)), ==, GV_EPROTO);
    memcpy(bytes, vv_bytes, sizeof(bytes));
    bytes[0] = 9; /* unsorted */
    CHECK_INT(want_of(bytes, sizeof(bytes)), ==, GV_EPROTO);
    memcpy(bytes, vv_bytes, sizeof(bytes));
    bytes[23] = 0; /* version 0 */
    CHECK_INT(want_of(bytes, sizeof(bytes)), ==, GV_EPROTO);
    bytes[16] = 0x40; /* version 2^62 */
    CHECK_INT(want_of(bytes, sizeof(bytes)), ==, GV_EPROTO);
}

static int interval_of(uint64_t from, uint64_t to)
{
    struct raw raw;
    struct interval interval;
    const uint8_t *fragments;
    size_t size;
    int rc;

    msgpack_sbuffer_init(&raw.buffer);
    msgpack_packer_init(&raw.packer, &raw.buffer, msgpack_sbuffer_write);
    msgpack_pack_array(&raw.packer, 5);
    raw_blob(&raw, "0123456789abcdef", 16);
    raw_u64(&raw, from);
    raw_u64(&raw, to);
    raw_blob(&raw, "", 0);
    raw_blob(&raw, "", 0);
    rc = interval_decode((uint8_t *)raw.buffer.data, raw.buffer.size,
                         &interval, &fragments, &size);
    msgpack_sbuffer_destroy(&raw.buffer);
    return rc;
}

TEST(an_interval_goes_forward_and_stays_in_range)
{
    CHECK_INT(interval_of(0, 1), ==, GV_OK);
    CHECK_INT(interval_of(VERSION_MAX - 1, VERSION_MAX), ==, GV_OK);
    CHECK_INT(interval_of(0, 0), ==, GV_EPROTO);
    CHECK_INT(interval_of(7, 7), ==, GV_EPROTO);
    CHECK_INT(interval_of(8, 7), ==, GV_EPROTO);
    CHECK_INT(interval_of(0, VERSION_MAX + 1), ==, GV_EPROTO);
    CHECK_INT(interval_of(UINT64_MAX, 1), ==, GV_EPROTO);
    CHECK_INT(interval_of(VERSION_MAX, VERSION_MAX), ==, GV_EPROTO);
}

static int news_of(uint32_t count, size_t fragments_size)
{
    struct vv_view none = {NULL, 0};
    uint8_t *fragments = calloc(fragments_size + 1, 1);
    struct buffer interval;
    struct raw raw;

    buffer_init(&interval, MESSAGE_FRAME_SIZE_MAX);
    interval_encode(&site_one, 1, 2, none, fragments, fragments_size,
                    &interval);
    raw_init(&raw, 2, MESSAGE_NEWS);
    msgpack_pack_array(&raw.packer, count);
    for (uint32_t i = 0; i < count; i++)
        raw_blob(&raw, interval.data, interval.size);
    buffer_close(&interval);
    free(fragments);
    return raw_decode(&raw);
}

TEST(news_have_one_to_64_intervals_and_64_kib)
{
    /* An interval of 65,510 bytes of fragments has a head of 26. */
    CHECK_INT(news_of(0, 0), ==, GV_EPROTO);
    CHECK_INT(news_of(1, 0), ==, GV_OK);
    CHECK_INT(news_of(64, 0), ==, GV_OK);
    CHECK_INT(news_of(65, 0), ==, GV_EPROTO);
    CHECK_INT(news_of(1, 65510), ==, GV_OK);
    CHECK_INT(news_of(1, 65511), ==, GV_EPROTO);
    CHECK_INT(news_of(2, 32742), ==, GV_OK);
    CHECK_INT(news_of(2, 32743), ==, GV_EPROTO);
}

static int delta_of(size_t size, bool last, size_t claim, uint64_t offset)
{
    uint8_t *bytes = calloc(size + 1, 1);
    struct raw raw;

    make_vv();
    raw_init(&raw, 7, MESSAGE_DELTA);
    raw_u64(&raw, 1);
    raw_u64(&raw, 2);
    raw_u64(&raw, offset);
    raw_blob(&raw, bytes, size);
    if (last)
        msgpack_pack_true(&raw.packer);
    else
        msgpack_pack_false(&raw.packer);
    raw_blob(&raw, vv_bytes, claim * VV_ENTRY_SIZE);
    free(bytes);
    return raw_decode(&raw);
}

static int prune_of(size_t size, uint64_t kind)
{
    static const uint8_t bytes[(VV_SITES_MAX + 1) * sizeof(struct site)];
    struct raw raw;

    CHECK(size <= sizeof(bytes));
    raw_init(&raw, 3, MESSAGE_PRUNE);
    raw_blob(&raw, bytes, size);
    raw_u64(&raw, kind);
    return raw_decode(&raw);
}

TEST(a_prune_names_whole_sites_and_not_too_many)
{
    CHECK_INT(prune_of(16, PRUNE_STOP), ==, GV_OK);
    CHECK_INT(prune_of(32, PRUNE_PUSH), ==, GV_OK);
    CHECK_INT(prune_of(32, PRUNE_KINDS), ==, GV_EPROTO);
    CHECK_INT(prune_of(0, PRUNE_STOP), ==, GV_EPROTO);
    CHECK_INT(prune_of(15, PRUNE_STOP), ==, GV_EPROTO);
    CHECK_INT(prune_of(17, PRUNE_STOP), ==, GV_EPROTO);
    CHECK_INT(prune_of(16 * VV_SITES_MAX, PRUNE_STOP), ==, GV_OK);
    CHECK_INT(prune_of(16 * (VV_SITES_MAX + 1), PRUNE_STOP), ==, GV_EPROTO);
}

TEST(a_delta_has_240_kib_with_its_claim)
{
    size_t max = MESSAGE_DELTA_SIZE_MAX;

    CHECK_INT(delta_of(max, false, 0, 0), ==, GV_OK);
    CHECK_INT(delta_of(max, true, 0, 0), ==, GV_OK);
    CHECK_INT(delta_of(max + 1, false, 0, 0), ==, GV_EPROTO);
    CHECK_INT(delta_of(max - 48, true, 2, 0), ==, GV_OK);
    CHECK_INT(delta_of(max - 47, true, 2, 0), ==, GV_EPROTO);
    CHECK_INT(delta_of(10, false, 1, 0), ==, GV_EPROTO);
    CHECK_INT(delta_of(0, true, 0, INT64_MAX), ==, GV_OK);
    CHECK_INT(delta_of(0, true, 0, UINT64_C(1) << 63), ==, GV_EPROTO);
}

TEST(the_longest_vector_fits_a_frame)
{
    struct message message = sample_vv(), back;
    uint8_t *bytes = malloc((VV_SITES_MAX + 1) * VV_ENTRY_SIZE);
    uint8_t *frame;

    for (uint32_t i = 0; i <= VV_SITES_MAX; i++) {
        struct vv_entry entry = {{{0}}, VERSION_MAX};
        store_u32(entry.site.bytes, i);
        vv_entry_store(&entry, bytes + (size_t)i * VV_ENTRY_SIZE);
    }
    message.as.vv.entries = (struct vv_view){bytes, VV_SITES_MAX};
    frame = through_frame(&message, &back);
    CHECK_INT(back.as.vv.entries.count, ==, VV_SITES_MAX);
    CHECK_INT(want_of(bytes, VV_SITES_MAX * VV_ENTRY_SIZE), ==, GV_OK);
    CHECK_INT(want_of(bytes, (VV_SITES_MAX + 1) * VV_ENTRY_SIZE), ==,
              GV_EPROTO);
    free(frame);
    free(bytes);
}

TEST(a_frame_longer_than_256_kib_is_refused_and_not_made)
{
    static uint8_t bytes[MESSAGE_FRAME_SIZE_MAX + VV_ENTRY_SIZE];
    struct message message = sample_want();
    size_t max = MESSAGE_FRAME_SIZE_MAX - FRAME_HASH_SIZE;
    struct buffer out;

    /* An ACK with a newer field of nearly all the frame. */
    memcpy(bytes, "\x96\x06\x00\x00\x00\xc2\xc6", 7);
    store_u32(bytes + 7, (uint32_t)max - 11);
    CHECK_INT(decode_framed(bytes, max), ==, GV_OK);
    store_u32(bytes + 7, (uint32_t)max - 10);
    CHECK_INT(decode_framed(bytes, max + 1), ==, GV_EPROTO);

    message.as.want.vv =
        (struct vv_view){bytes, sizeof(bytes) / VV_ENTRY_SIZE};
    buffer_init(&out, 1000000);
    CHECK_INT(frame_encode(&message, &out), ==, GV_ELIMIT);
    CHECK_INT(out.size, ==, 0);
    buffer_close(&out);
}

/* A WANT of 7 bytes of heads, 10,921 entries, numbers of 9, 9, 5, 1 and 1
 * bytes has 262,136: with its hash it is the longest frame. */
TEST(the_hash_counts_in_the_256_kib)
{
    static uint8_t bytes[10921 * VV_ENTRY_SIZE];
    struct message message = {.kind = MESSAGE_WANT};
    struct vv_view entries = {bytes, 10921};
    struct buffer out;

    message.as.want = (struct message_want){entries,    UINT64_MAX, UINT64_MAX,
                                            UINT32_MAX, INT8_MAX,   0};
    buffer_init(&out, 1000000);
    CHECK_INT(frame_encode(&message, &out), ==, GV_OK);
    CHECK_INT(out.size, ==, MESSAGE_FRAME_SIZE_MAX);
    buffer_clear(&out);
    message.as.want.offset = UINT8_MAX; /* one byte more */
    CHECK_INT(frame_encode(&message, &out), ==, GV_ELIMIT);
    CHECK_INT(out.size, ==, 0);
    buffer_close(&out);
}

TEST(a_full_buffer_keeps_no_part_of_a_frame)
{
    struct message message = sample_ack();
    struct buffer out;

    /* The second frame's message has room, its hash has not. */
    buffer_init(&out, 26 + 18 + 7);
    CHECK_INT(frame_encode(&message, &out), ==, GV_OK);
    CHECK_INT(out.size, ==, 26);
    CHECK_INT(frame_encode(&message, &out), ==, GV_ELIMIT);
    CHECK_INT(out.size, ==, 26);
    buffer_close(&out);
}

int main(int argc, char **argv)
{
    return check_main(argc, argv);
}
