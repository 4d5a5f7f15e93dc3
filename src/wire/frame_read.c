/* Bytes into messages and intervals.  Each function reads one field and fails
 * the cursor when the field is not what it may be; frame_decode() looks once
 * at the end. */
#include "wire/frame.h"

#include "base/hash.h"
#include "base/plant.h"
#include "base/utf8.h"
#include "grapevine.h"
#include "wire/cursor.h"
#include "wire/elements.h"

#include <string.h>

/* Wall clocks end where the versions made of them do: 2^46 - 1 ms. */
#define FRAME_CLOCK_MAX ((gv_time_ms)(VERSION_MAX >> 16))

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
        (enum check_what)decode_number(cursor, CHECK_SUMS, CHECK_REST);
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
