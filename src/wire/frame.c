/* Messages and intervals into bytes. */
#include "wire/frame.h"

#include "base/assert.h"
#include "base/hash.h"
#include "grapevine.h"
#include "wire/elements.h"
#include "wire/pack.h"

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
    GV_ASSERT(check->what >= CHECK_SUMS && check->what <= CHECK_REST);
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
