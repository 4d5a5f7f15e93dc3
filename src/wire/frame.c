#include "wire/frame.h"

#include "base/assert.h"
#include "base/hash.h"
#include "base/plant.h"
#include "base/utf8.h"
#include "grapevine.h"
#include "wire/cursor.h"
#include "wire/pack.h"

#include <string.h>

/* Wall clocks end where the versions made of them do: 2^46 - 1 ms. */
#define FRAME_CLOCK_MAX ((gv_time_ms)(VERSION_MAX >> 16))

/* Elements of each message, its kind included; of an interval. */
/* The last elements of HELLO, NEWS, VV and WANT may be missing: the first
 * releases had less. */
#define HELLO_COUNT_MIN 14
#define HELLO_FEATURES_COUNT 15
#define HELLO_COUNT 16
#define NEWS_COUNT_MIN 2
#define NEWS_COUNT 3
#define VV_COUNT_MIN 9
#define VV_COUNT 11
#define WANT_COUNT_MIN 6
#define WANT_COUNT 7
#define DELTA_COUNT 7
#define ACK_COUNT 5
#define PEERS_COUNT 2
#define PRUNE_COUNT 3
#define BYE_COUNT 3
#define CHECK_COUNT 5
#define PROOF_COUNT 4
#define INTERVAL_COUNT 5
/* Of what stands inside them. */
#define WORD_COUNT 9
#define BEAT_COUNT 5
#define ADDRESS_COUNT 3

/* Heads, numbers and hash of any message.  NEWS has the most: 64 heads of
 * intervals of at most 5 bytes; VV, WANT and DELTA stay under 128 without the
 * words of a VV. */
#define FRAME_HEADS_MAX (MESSAGE_INTERVALS_MAX * 5 + 128 + FRAME_HASH_SIZE)
_Static_assert(FRAME_HEADS_MAX + MESSAGE_DELTA_SIZE_MAX <=
                   MESSAGE_FRAME_SIZE_MAX,
               "the longest DELTA fits a frame");
_Static_assert(FRAME_HEADS_MAX + MESSAGE_NEWS_SIZE_MAX <=
                   MESSAGE_FRAME_SIZE_MAX,
               "the longest NEWS fit a frame");
_Static_assert(FRAME_HEADS_MAX + VV_SITES_MAX * VV_ENTRY_SIZE <=
                   MESSAGE_FRAME_SIZE_MAX,
               "the longest vector fits a frame");
/* Heads and numbers of a word. */
#define WORD_HEADS_MAX 80
#define WORDS_SIZE_MAX                                                        \
    (MESSAGE_WORDS_MAX * (WORD_HEADS_MAX + MESSAGE_WORD_NAME_MAX +            \
                          MESSAGE_WORD_ENTRIES_MAX * VV_ENTRY_SIZE))
_Static_assert(FRAME_HEADS_MAX + VV_SITES_MAX * VV_ENTRY_SIZE +
                       WORDS_SIZE_MAX <=
                   MESSAGE_FRAME_SIZE_MAX,
               "words fit beside any entries");
_Static_assert(FRAME_HEADS_MAX +
                       MESSAGE_PEERS_MAX * (MESSAGE_TEXT_SIZE_MAX + 32) <=
                   MESSAGE_FRAME_SIZE_MAX,
               "the longest PEERS fit a frame");

/* Encoding. */

static void encode_text(msgpack_packer *packer, struct text text)
{
    GV_ASSERT(text.size <= MESSAGE_TEXT_SIZE_MAX);
    pack_text(packer, text.bytes, text.size);
}

static void encode_bool(msgpack_packer *packer, bool value)
{
    if (value)
        msgpack_pack_true(packer);
    else
        msgpack_pack_false(packer);
}

static void encode_hello(msgpack_packer *packer,
                         const struct message_hello *hello)
{
    GV_ASSERT(hello->endpoint_count <= MESSAGE_ENDPOINTS_MAX);
    msgpack_pack_array(packer, HELLO_COUNT);
    msgpack_pack_uint8(packer, MESSAGE_HELLO);
    msgpack_pack_uint32(packer, hello->dialect.min);
    msgpack_pack_uint32(packer, hello->dialect.max);
    encode_text(packer, hello->mesh);
    pack_site(packer, &hello->site);
    msgpack_pack_uint64(packer, hello->instance);
    msgpack_pack_uint64(packer, hello->epoch);
    encode_text(packer, hello->name);
    msgpack_pack_array(packer, hello->endpoint_count);
    for (size_t i = 0; i < hello->endpoint_count; i++)
        encode_text(packer, hello->endpoints[i]);
    msgpack_pack_uint32(packer, hello->vv_count);
    msgpack_pack_uint64(packer, hello->schema_digest);
    msgpack_pack_int64(packer, hello->clock);
    pack_blob(packer, hello->sketch.bytes,
              hello->sketch.count * SKETCH_HASH_SIZE);
    encode_bool(packer, hello->urgent);
    msgpack_pack_uint64(packer, hello->dialect.features);
    encode_bool(packer, hello->looks);
}

static void encode_news(msgpack_packer *packer,
                        const struct message_news *news)
{
    size_t size = 0;

    GV_ASSERT(news->interval_count >= 1 || news->token != 0);
    GV_ASSERT(news->interval_count <= MESSAGE_INTERVALS_MAX);
    msgpack_pack_array(packer, NEWS_COUNT);
    msgpack_pack_uint8(packer, MESSAGE_NEWS);
    msgpack_pack_array(packer, news->interval_count);
    for (size_t i = 0; i < news->interval_count; i++) {
        const struct interval *interval = &news->intervals[i];
        size += interval->size;
        pack_blob(packer, interval->bytes, interval->size);
    }
    GV_ASSERT(size <= MESSAGE_NEWS_SIZE_MAX);
    msgpack_pack_uint64(packer, news->token);
}

static void encode_word(msgpack_packer *packer, const struct word *word)
{
    GV_ASSERT(word->name.size <= MESSAGE_WORD_NAME_MAX);
    GV_ASSERT(word->differs.count <= MESSAGE_WORD_ENTRIES_MAX);
    msgpack_pack_array(packer, WORD_COUNT);
    pack_site(packer, &word->site);
    msgpack_pack_uint64(packer, word->instance);
    encode_text(packer, word->name);
    msgpack_pack_int64(packer, word->clock);
    msgpack_pack_uint64(packer, word->age_ms);
    encode_bool(packer, word->linked);
    msgpack_pack_uint64(packer, word->vv_hash);
    encode_bool(packer, word->whole);
    pack_vv(packer, word->differs);
}

static void encode_beat(msgpack_packer *packer,
                        const struct message_beat *beat)
{
    GV_ASSERT(beat->refusal < REFUSALS);
    msgpack_pack_array(packer, BEAT_COUNT);
    msgpack_pack_int64(packer, beat->stamp);
    msgpack_pack_int64(packer, beat->echo);
    msgpack_pack_int64(packer, beat->held);
    msgpack_pack_uint8(packer, (uint8_t)beat->refusal);
    msgpack_pack_int64(packer, beat->retry);
}

static void encode_vv(msgpack_packer *packer, const struct message_vv *vv)
{
    uint8_t fingerprint[16];

    store_u64(fingerprint, vv->fingerprint.high);
    store_u64(fingerprint + 8, vv->fingerprint.low);
    msgpack_pack_array(packer, VV_COUNT);
    msgpack_pack_uint8(packer, MESSAGE_VV);
    msgpack_pack_uint64(packer, vv->epoch);
    pack_vv(packer, vv->entries);
    msgpack_pack_uint64(packer, vv->vv_hash);
    pack_blob(packer, fingerprint, sizeof(fingerprint));
    msgpack_pack_int64(packer, vv->clock);
    GV_ASSERT(vv->word_count <= MESSAGE_WORDS_MAX);
    msgpack_pack_array(packer, vv->word_count);
    for (size_t i = 0; i < vv->word_count; i++)
        encode_word(packer, &vv->words[i]);
    encode_beat(packer, &vv->beat);
    msgpack_pack_uint64(packer, vv->news_size);
    msgpack_pack_uint64(packer, vv->answers);
    msgpack_pack_uint64(packer, vv->answered);
}

static void encode_want(msgpack_packer *packer,
                        const struct message_want *want)
{
    msgpack_pack_array(packer, WANT_COUNT);
    msgpack_pack_uint8(packer, MESSAGE_WANT);
    pack_vv(packer, want->vv);
    msgpack_pack_uint64(packer, want->token);
    msgpack_pack_uint64(packer, want->credit);
    msgpack_pack_uint64(packer, want->spool);
    msgpack_pack_uint64(packer, want->offset);
    msgpack_pack_uint8(packer, (uint8_t)want->answer);
}

static void encode_delta(msgpack_packer *packer,
                         const struct message_delta *delta)
{
    struct vv_view none = {NULL, 0};
    struct vv_view claim = delta->last ? delta->claim : none;

    GV_ASSERT(delta->size + claim.count * VV_ENTRY_SIZE <=
              MESSAGE_DELTA_SIZE_MAX);
    msgpack_pack_array(packer, DELTA_COUNT);
    msgpack_pack_uint8(packer, MESSAGE_DELTA);
    msgpack_pack_uint64(packer, delta->token);
    msgpack_pack_uint64(packer, delta->spool);
    msgpack_pack_uint64(packer, delta->offset);
    pack_blob(packer, delta->bytes, delta->size);
    encode_bool(packer, delta->last);
    pack_vv(packer, claim);
}

static void encode_ack(msgpack_packer *packer, const struct message_ack *ack)
{
    msgpack_pack_array(packer, ACK_COUNT);
    msgpack_pack_uint8(packer, MESSAGE_ACK);
    msgpack_pack_uint64(packer, ack->news_size);
    msgpack_pack_uint64(packer, ack->token);
    msgpack_pack_uint64(packer, ack->delta_size);
    encode_bool(packer, ack->delta_applied);
}

static void encode_peers(msgpack_packer *packer,
                         const struct message_peers *peers)
{
    GV_ASSERT(peers->count >= 1 && peers->count <= MESSAGE_PEERS_MAX);
    msgpack_pack_array(packer, PEERS_COUNT);
    msgpack_pack_uint8(packer, MESSAGE_PEERS);
    msgpack_pack_array(packer, peers->count);
    for (size_t i = 0; i < peers->count; i++) {
        const struct peer_address *address = &peers->addresses[i];
        msgpack_pack_array(packer, ADDRESS_COUNT);
        encode_text(packer, address->endpoint);
        pack_site(packer, &address->site);
        msgpack_pack_uint32(packer, address->age_s);
    }
}

static void encode_prune(msgpack_packer *packer,
                         const struct message_prune *prune)
{
    GV_ASSERT(prune->count >= 1 && prune->count <= VV_SITES_MAX);
    msgpack_pack_array(packer, PRUNE_COUNT);
    msgpack_pack_uint8(packer, MESSAGE_PRUNE);
    pack_blob(packer, prune->sites, prune->count * sizeof(struct site));
    msgpack_pack_uint8(packer, (uint8_t)prune->kind);
}

static void encode_bye(msgpack_packer *packer, const struct message_bye *bye)
{
    msgpack_pack_array(packer, BYE_COUNT);
    msgpack_pack_uint8(packer, MESSAGE_BYE);
    msgpack_pack_uint32(packer, (uint32_t)bye->code);
    encode_text(packer, bye->text);
}

static void encode_check(msgpack_packer *packer,
                         const struct message_check *check)
{
    GV_ASSERT(check->what >= CHECK_SUMS && check->what <= CHECK_MEND);
    GV_ASSERT(check->size + check->meet.count * VV_ENTRY_SIZE <=
              MESSAGE_DELTA_SIZE_MAX);
    msgpack_pack_array(packer, CHECK_COUNT);
    msgpack_pack_uint8(packer, MESSAGE_CHECK);
    msgpack_pack_uint64(packer, check->token);
    msgpack_pack_uint32(packer, (uint32_t)check->what);
    pack_vv(packer, check->meet);
    pack_blob(packer, check->bytes, check->size);
}

static void encode_proof(msgpack_packer *packer,
                         const struct message_proof *proof)
{
    GV_ASSERT(proof->size <= MESSAGE_DELTA_SIZE_MAX);
    msgpack_pack_array(packer, PROOF_COUNT);
    msgpack_pack_uint8(packer, MESSAGE_PROOF);
    msgpack_pack_uint64(packer, proof->token);
    encode_bool(packer, proof->done);
    pack_blob(packer, proof->bytes, proof->size);
}

static void encode_message(msgpack_packer *packer,
                           const struct message *message)
{
    switch (message->kind) {
    case MESSAGE_HELLO:
        encode_hello(packer, &message->as.hello);
        return;
    case MESSAGE_NEWS:
        encode_news(packer, &message->as.news);
        return;
    case MESSAGE_VV:
        encode_vv(packer, &message->as.vv);
        return;
    case MESSAGE_WANT:
        encode_want(packer, &message->as.want);
        return;
    case MESSAGE_DELTA:
        encode_delta(packer, &message->as.delta);
        return;
    case MESSAGE_ACK:
        encode_ack(packer, &message->as.ack);
        return;
    case MESSAGE_BYE:
        encode_bye(packer, &message->as.bye);
        return;
    case MESSAGE_PRUNE:
        encode_prune(packer, &message->as.prune);
        return;
    case MESSAGE_CHECK:
        encode_check(packer, &message->as.check);
        return;
    case MESSAGE_PROOF:
        encode_proof(packer, &message->as.proof);
        return;
    case MESSAGE_PEERS:
        encode_peers(packer, &message->as.peers);
        return;
    }
    assert_failed("the kind can be sent", __FILE__, __LINE__);
}

int frame_encode(const struct message *message, struct buffer *out)
{
    msgpack_packer packer = pack_into(out);
    size_t start = out->size;

    encode_message(&packer, message);
    if (out->error == GV_OK)
        buffer_append_u64(out, hash64(out->data + start, out->size - start));
    if (out->error == GV_OK && out->size - start > MESSAGE_FRAME_SIZE_MAX)
        out->error = GV_ELIMIT;
    if (out->error != GV_OK)
        out->size = start; /* No part of a frame stays. */
    return out->error;
}

int interval_encode(const struct site *site, gv_version from, gv_version to,
                    struct vv_view dependencies, const uint8_t *fragments,
                    size_t fragments_size, struct buffer *out)
{
    msgpack_packer packer = pack_into(out);

    GV_ASSERT(from < to && to <= VERSION_MAX);
    msgpack_pack_array(&packer, INTERVAL_COUNT);
    pack_site(&packer, site);
    msgpack_pack_uint64(&packer, from);
    msgpack_pack_uint64(&packer, to);
    pack_vv(&packer, dependencies);
    pack_blob(&packer, fragments, fragments_size);
    return out->error;
}

/* Decoding.  Each function reads one field and fails the cursor when the
 * field is not what it may be; frame_decode() looks once at the end. */

static void decode_fail(struct cursor *cursor)
{
    cursor->error = GV_EPROTO;
    cursor->at = cursor->end;
}

static uint64_t decode_number(struct cursor *cursor, uint64_t min,
                              uint64_t max)
{
    uint64_t number = cursor_u64(cursor);

    if (number >= min && number <= max)
        return number;
    decode_fail(cursor);
    return min;
}

static gv_time_ms decode_clock(struct cursor *cursor)
{
    return (gv_time_ms)decode_number(cursor, 0, (uint64_t)FRAME_CLOCK_MAX);
}

/* Texts are shown to people, so they are printable. */
static struct text decode_text(struct cursor *cursor)
{
    struct text text;

    text.bytes = cursor_text(cursor, &text.size);
    if (text.size > MESSAGE_TEXT_SIZE_MAX ||
        !utf8_printable(text.bytes, text.size))
        decode_fail(cursor);
    return text;
}

/* A blob of exactly @size bytes; NULL on error. */
static const uint8_t *decode_fixed(struct cursor *cursor, size_t size)
{
    size_t read;
    const uint8_t *bytes = cursor_blob(cursor, &read);

    if (read == size)
        return bytes;
    decode_fail(cursor);
    return NULL;
}

static struct site decode_site(struct cursor *cursor)
{
    struct site site = {{0}};
    const uint8_t *bytes = decode_fixed(cursor, sizeof(site.bytes));

    if (bytes != NULL)
        memcpy(site.bytes, bytes, sizeof(site.bytes));
    return site;
}

static struct vv_view decode_vv_view(struct cursor *cursor)
{
    struct vv_view view;
    size_t size;

    view.bytes = cursor_blob(cursor, &size);
    view.count = size / VV_ENTRY_SIZE;
    if (size % VV_ENTRY_SIZE != 0 || !vv_view_valid(view))
        decode_fail(cursor);
    return view;
}

static struct sketch_view decode_sketch(struct cursor *cursor)
{
    struct sketch_view sketch;
    size_t size;

    sketch.bytes = cursor_blob(cursor, &size);
    sketch.count = size / SKETCH_HASH_SIZE;
    if (size % SKETCH_HASH_SIZE != 0 || sketch.count > SKETCH_HASHES_MAX ||
        (sketch.count & (sketch.count - 1)) != 0)
        decode_fail(cursor);
    return sketch;
}

/* Returns how many of the @count elements were read; so do the others whose
 * last elements may be missing. */
static uint32_t decode_hello(struct cursor *cursor,
                             struct message_hello *hello, uint32_t count)
{
    hello->dialect.min = (uint32_t)decode_number(cursor, 1, UINT32_MAX);
    hello->dialect.max =
        (uint32_t)decode_number(cursor, hello->dialect.min, UINT32_MAX);
    hello->mesh = decode_text(cursor);
    hello->site = decode_site(cursor);
    hello->instance = cursor_u64(cursor);
    hello->epoch = cursor_u64(cursor);
    hello->name = decode_text(cursor);
    hello->endpoint_count = cursor_array(cursor);
    if (hello->endpoint_count > MESSAGE_ENDPOINTS_MAX) {
        decode_fail(cursor);
        return HELLO_COUNT_MIN;
    }
    for (size_t i = 0; i < hello->endpoint_count; i++)
        hello->endpoints[i] = decode_text(cursor);
    hello->vv_count = (uint32_t)decode_number(cursor, 0, VV_SITES_MAX);
    hello->schema_digest = cursor_u64(cursor);
    hello->clock = decode_clock(cursor);
    hello->sketch = decode_sketch(cursor);
    hello->urgent = cursor_bool(cursor);
    hello->dialect.features =
        count < HELLO_FEATURES_COUNT ? 0 : cursor_u64(cursor);
    hello->looks = count >= HELLO_COUNT && cursor_bool(cursor);
    if (count < HELLO_FEATURES_COUNT)
        return HELLO_COUNT_MIN;
    return count < HELLO_COUNT ? HELLO_FEATURES_COUNT : HELLO_COUNT;
}

static uint32_t decode_news(struct cursor *cursor, struct message_news *news,
                            uint32_t count)
{
    size_t total = 0;

    news->interval_count = cursor_array(cursor);
    if (news->interval_count > MESSAGE_INTERVALS_MAX) {
        decode_fail(cursor);
        return NEWS_COUNT_MIN;
    }
    for (size_t i = 0; i < news->interval_count; i++) {
        const uint8_t *bytes, *fragments;
        size_t size, fragments_size;
        bytes = cursor_blob(cursor, &size);
        total += size;
        if (total > MESSAGE_NEWS_SIZE_MAX ||
            interval_decode(bytes, size, &news->intervals[i], &fragments,
                            &fragments_size) != GV_OK) {
            decode_fail(cursor);
            return NEWS_COUNT_MIN;
        }
    }
    news->token = count < NEWS_COUNT ? 0 : cursor_u64(cursor);
    if (news->interval_count == 0 && news->token == 0)
        decode_fail(cursor);
    return count < NEWS_COUNT ? NEWS_COUNT_MIN : NEWS_COUNT;
}

/* Skip the elements that a newer version put behind the @known ones of
 * @count. */
static void decode_skip(struct cursor *cursor, uint32_t count, uint32_t known)
{
    if (count < known)
        decode_fail(cursor);
    for (; count > known && cursor->error == GV_OK; count--)
        cursor_skip(cursor);
}

static void decode_word(struct cursor *cursor, struct word *word)
{
    uint32_t count = cursor_array(cursor);
    size_t size;

    word->site = decode_site(cursor);
    word->instance = cursor_u64(cursor);
    word->name = decode_text(cursor);
    word->clock = decode_clock(cursor);
    word->age_ms = decode_number(cursor, 0, MESSAGE_WORD_AGE_MAX);
    word->linked = cursor_bool(cursor);
    word->vv_hash = cursor_u64(cursor);
    word->whole = cursor_bool(cursor);
    word->differs.bytes = cursor_blob(cursor, &size);
    word->differs.count = size / VV_ENTRY_SIZE;
    if (word->name.size > MESSAGE_WORD_NAME_MAX || size % VV_ENTRY_SIZE != 0 ||
        word->differs.count > MESSAGE_WORD_ENTRIES_MAX ||
        !vv_view_valid_from(word->differs, 0))
        decode_fail(cursor);
    decode_skip(cursor, count, WORD_COUNT);
}

/* A time of somebody's monotonic clock, or a span: what is added to one never
 * overflows. */
static gv_time_ms decode_span(struct cursor *cursor)
{
    return (gv_time_ms)decode_number(cursor, 0, (uint64_t)1 << 62);
}

static void decode_beat(struct cursor *cursor, struct message_beat *beat)
{
    uint32_t count = cursor_array(cursor);

    beat->stamp = decode_span(cursor);
    beat->echo = decode_span(cursor);
    beat->held = decode_span(cursor);
    beat->refusal = (enum beat_refusal)decode_number(cursor, 0, REFUSALS - 1);
    beat->retry = decode_span(cursor);
    decode_skip(cursor, count, BEAT_COUNT);
}

static uint32_t decode_vv(struct cursor *cursor, struct message_vv *vv,
                          uint32_t count)
{
    const uint8_t *fingerprint;

    vv->epoch = cursor_u64(cursor);
    vv->entries = decode_vv_view(cursor);
    vv->vv_hash = cursor_u64(cursor);
    fingerprint = decode_fixed(cursor, 16);
    if (fingerprint != NULL) {
        vv->fingerprint.high = load_u64(fingerprint);
        vv->fingerprint.low = load_u64(fingerprint + 8);
    }
    vv->clock = decode_clock(cursor);
    vv->word_count = cursor_array(cursor);
    if (vv->word_count > MESSAGE_WORDS_MAX) {
        decode_fail(cursor);
        return VV_COUNT_MIN;
    }
    for (size_t i = 0; i < vv->word_count; i++)
        decode_word(cursor, &vv->words[i]);
    decode_beat(cursor, &vv->beat);
    vv->news_size = cursor_u64(cursor);
    vv->says_answer = count >= VV_COUNT;
    vv->answers = vv->answered = 0;
    if (!vv->says_answer)
        return VV_COUNT_MIN;
    vv->answers = cursor_u64(cursor);
    vv->answered = decode_number(cursor, 0, INT64_MAX);
    return VV_COUNT;
}

static uint32_t decode_want(struct cursor *cursor, struct message_want *want,
                            uint32_t count)
{
    want->vv = decode_vv_view(cursor);
    want->token = cursor_u64(cursor);
    want->credit = cursor_u64(cursor);
    want->spool = cursor_u64(cursor);
    want->offset = decode_number(cursor, 0, INT64_MAX);
    want->answer = ANSWER_DELTA;
    if (count < WANT_COUNT)
        return WANT_COUNT_MIN;
    want->answer = (enum want_answer)decode_number(cursor, 0, ANSWERS - 1);
    return WANT_COUNT;
}

static void decode_delta(struct cursor *cursor, struct message_delta *delta)
{
    delta->token = cursor_u64(cursor);
    delta->spool = cursor_u64(cursor);
    delta->offset = decode_number(cursor, 0, INT64_MAX);
    delta->bytes = cursor_blob(cursor, &delta->size);
    delta->last = cursor_bool(cursor);
    delta->claim = decode_vv_view(cursor);
    if (delta->size + delta->claim.count * VV_ENTRY_SIZE >
            MESSAGE_DELTA_SIZE_MAX ||
        (!delta->last && delta->claim.count > 0))
        decode_fail(cursor);
}

static void decode_ack(struct cursor *cursor, struct message_ack *ack)
{
    ack->news_size = cursor_u64(cursor);
    ack->token = cursor_u64(cursor);
    ack->delta_size = cursor_u64(cursor);
    ack->delta_applied = cursor_bool(cursor);
}

static void decode_peers(struct cursor *cursor, struct message_peers *peers)
{
    peers->count = cursor_array(cursor);
    if (peers->count < 1 || peers->count > MESSAGE_PEERS_MAX) {
        decode_fail(cursor);
        return;
    }
    for (size_t i = 0; i < peers->count; i++) {
        struct peer_address *address = &peers->addresses[i];
        uint32_t count = cursor_array(cursor);

        address->endpoint = decode_text(cursor);
        address->site = decode_site(cursor);
        address->age_s = (uint32_t)decode_number(cursor, 0, UINT32_MAX);
        if (address->endpoint.size == 0)
            decode_fail(cursor);
        decode_skip(cursor, count, ADDRESS_COUNT);
    }
}

static void decode_prune(struct cursor *cursor, struct message_prune *prune)
{
    size_t size;

    prune->sites = cursor_blob(cursor, &size);
    prune->count = size / sizeof(struct site);
    prune->kind =
        (enum prune_kind)decode_number(cursor, PRUNE_STOP, PRUNE_KINDS - 1);
    if (size == 0 || size % sizeof(struct site) != 0 ||
        prune->count > VV_SITES_MAX)
        decode_fail(cursor);
}

static void decode_bye(struct cursor *cursor, struct message_bye *bye)
{
    uint64_t code = decode_number(cursor, BYE_STOPPING, UINT32_MAX);

    /* Whoever ends a link is heard, whatever its reason. */
    bye->code = code <= BYE_SILENT ? (enum bye_code)code : BYE_UNKNOWN;
    bye->text = decode_text(cursor);
}

static void decode_check(struct cursor *cursor, struct message_check *check)
{
    check->token = cursor_u64(cursor);
    check->what =
        (enum check_what)decode_number(cursor, CHECK_SUMS, CHECK_MEND);
    check->meet = decode_vv_view(cursor);
    check->bytes = cursor_blob(cursor, &check->size);
    if (check->size + check->meet.count * VV_ENTRY_SIZE >
        MESSAGE_DELTA_SIZE_MAX)
        decode_fail(cursor);
}

static void decode_proof(struct cursor *cursor, struct message_proof *proof)
{
    proof->token = cursor_u64(cursor);
    proof->done = cursor_bool(cursor);
    proof->bytes = cursor_blob(cursor, &proof->size);
    if (proof->size > MESSAGE_DELTA_SIZE_MAX ||
        (!proof->done && proof->size > 0))
        decode_fail(cursor);
}

/* Decode the fields behind the kind of a message of @count elements; returns
 * how many of them this version knows, 0 for a kind that it does not. */
static uint32_t decode_message(struct cursor *cursor, struct message *message,
                               uint32_t count)
{
    message->kind =
        (enum message_kind)decode_number(cursor, 1, MESSAGE_KIND_MAX);
    switch (message->kind) {
    case MESSAGE_HELLO:
        return decode_hello(cursor, &message->as.hello, count);
    case MESSAGE_NEWS:
        return decode_news(cursor, &message->as.news, count);
    case MESSAGE_VV:
        return decode_vv(cursor, &message->as.vv, count);
    case MESSAGE_WANT:
        return decode_want(cursor, &message->as.want, count);
    case MESSAGE_DELTA:
        decode_delta(cursor, &message->as.delta);
        return DELTA_COUNT;
    case MESSAGE_ACK:
        decode_ack(cursor, &message->as.ack);
        return ACK_COUNT;
    case MESSAGE_BYE:
        decode_bye(cursor, &message->as.bye);
        return BYE_COUNT;
    case MESSAGE_PRUNE:
        decode_prune(cursor, &message->as.prune);
        return PRUNE_COUNT;
    case MESSAGE_CHECK:
        decode_check(cursor, &message->as.check);
        return CHECK_COUNT;
    case MESSAGE_PROOF:
        decode_proof(cursor, &message->as.proof);
        return PROOF_COUNT;
    case MESSAGE_PEERS:
        decode_peers(cursor, &message->as.peers);
        return PEERS_COUNT;
    }
    decode_fail(cursor);
    return 0;
}

/* As decode_skip(); nothing may follow. */
static int decode_end(struct cursor *cursor, uint32_t count, uint32_t known)
{
    decode_skip(cursor, count, known);
    return cursor->at == cursor->end ? cursor->error : GV_EPROTO;
}

/* @frame has a message, and it is what its sender hashed. */
static bool frame_intact(const uint8_t *frame, size_t size)
{
    size_t message_size;

    if (size <= FRAME_HASH_SIZE || size > MESSAGE_FRAME_SIZE_MAX)
        return false;
    message_size = size - FRAME_HASH_SIZE;
    return plant("hash-unchecked") ||
           load_u64(frame + message_size) == hash64(frame, message_size);
}

int frame_decode(const uint8_t *frame, size_t size, struct message *message)
{
    struct cursor cursor;
    uint32_t count, known;

    if (!frame_intact(frame, size))
        return GV_EPROTO;
    cursor_init(&cursor, frame, size - FRAME_HASH_SIZE);
    count = cursor_array(&cursor);
    known = decode_message(&cursor, message, count);
    return decode_end(&cursor, count, known);
}

int interval_decode(const uint8_t *bytes, size_t size,
                    struct interval *interval, const uint8_t **fragments,
                    size_t *fragments_size)
{
    struct interval decoded = {.bytes = bytes, .size = size};
    struct cursor cursor;
    uint32_t count;
    const uint8_t *stream;
    size_t stream_size;
    int rc;

    cursor_init(&cursor, bytes, size);
    count = cursor_array(&cursor);
    decoded.site = decode_site(&cursor);
    decoded.from = decode_number(&cursor, 0, VERSION_MAX - 1);
    decoded.to = decode_number(&cursor, decoded.from + 1, VERSION_MAX);
    decoded.dependencies = decode_vv_view(&cursor);
    stream = cursor_blob(&cursor, &stream_size);
    rc = decode_end(&cursor, count, INTERVAL_COUNT);
    if (rc != GV_OK)
        return rc;
    *interval = decoded;
    *fragments = stream;
    *fragments_size = stream_size;
    return GV_OK;
}
