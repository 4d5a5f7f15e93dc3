/* Whole conversations with nodes of other releases, byte for byte.
 *
 * A file of conversations/ has what passes between a core of today and a peer
 * that is not there: each line one thing that happens, a frame as hex without
 * its hash.  What the core sends must be what the file says, and nothing
 * else.  conversations/README.md has the words. */
#include "base/buffer.h"
#include "base/hash.h"
#include "check.h"
#include "core/core.h"
#include "wire/frame.h"

#include <ctype.h>

#define FRAMES_MAX 64
#define FRAME_SIZE 4096
#define NAMES_MAX 32
#define STORE_MAX 1024

/* A number that the core drew, or bytes that the file gave a name. */
struct name {
    char text[32];
    uint8_t bytes[FRAME_SIZE];
    size_t size;
};

struct frame {
    uint8_t bytes[FRAME_SIZE];
    size_t size;
};

struct talk {
    const char *file;
    unsigned line;
    struct core *core;
    gv_time_ms now;
    gv_link link;
    struct name names[NAMES_MAX];
    size_t name_count;
    struct frame sent[FRAMES_MAX];
    size_t sent_count, read_count;
    /* The store: a vector, a sum of hashes, and what is being staged. */
    struct vv vv;
    struct hash128 fingerprint;
    uint8_t staged[STORE_MAX];
    size_t staged_size;
    struct event done[FRAMES_MAX];
    uint8_t done_vv[STORE_MAX];
    size_t done_count;
};

static const struct site own = {{5, 5, 5}};
/* What an extract gives, whatever is asked. */
static const uint8_t extract[] = {'r', 'o', 'w', 's'};
#define WALL 1700000000000

static void fail(const struct talk *talk, const char *what)
{
    fprintf(stderr, "%s:%u: %s\n", talk->file, talk->line, what);
    exit(1);
}

static void add_to_fingerprint(struct talk *talk, const uint8_t *bytes,
                               size_t size)
{
    talk->fingerprint.low += hash64(bytes, size);
}

/* Store work, which ends in the next step. */

static struct event *ended(struct talk *talk, enum event_kind kind)
{
    struct event *event = &talk->done[talk->done_count++];

    *event = (struct event){.kind = kind, .link = talk->link};
    return event;
}

static void apply(struct talk *talk, const struct interval *interval)
{
    struct event *event = ended(talk, EVENT_APPLIED);

    CHECK_INT(vv_raise(&talk->vv, &interval->site, interval->to), ==, GV_OK);
    add_to_fingerprint(talk, interval->bytes, interval->size);
    event->as.applied.interval = *interval;
    event->as.applied.fingerprint = talk->fingerprint;
}

static void stage(struct talk *talk, const struct effect *effect)
{
    struct event *event = ended(talk, EVENT_STAGED);
    size_t size = effect->as.stage.size;

    CHECK_INT(effect->as.stage.offset + size, <=, STORE_MAX);
    memcpy(talk->staged + effect->as.stage.offset, effect->as.stage.bytes,
           size);
    talk->staged_size = effect->as.stage.offset + size;
    event->as.staged.token = effect->as.stage.token;
    event->as.staged.size = size;
    event->as.staged.kept = talk->staged_size;
}

static void apply_delta(struct talk *talk, const struct effect *effect)
{
    struct event *event = ended(talk, EVENT_DELTA_APPLIED);

    for (size_t i = 0; i < effect->as.apply_delta.claim.count; i++) {
        struct vv_entry entry = vv_view_at(effect->as.apply_delta.claim, i);
        int rc = vv_raise(&talk->vv, &entry.site, entry.version);
        CHECK(rc == GV_OK || rc == GV_EDUPLICATE);
    }
    add_to_fingerprint(talk, talk->staged, talk->staged_size);
    for (size_t i = 0; i < talk->vv.count; i++)
        vv_entry_store(&talk->vv.entries[i],
                       talk->done_vv + i * VV_ENTRY_SIZE);
    event->as.delta_applied.token = effect->as.apply_delta.token;
    event->as.delta_applied.vv =
        (struct vv_view){talk->done_vv, talk->vv.count};
    event->as.delta_applied.fingerprint = talk->fingerprint;
}

static void send_message(struct talk *talk, const struct message *message)
{
    struct frame *frame = &talk->sent[talk->sent_count++];
    struct buffer out;

    buffer_init(&out, MESSAGE_FRAME_SIZE_MAX);
    CHECK_INT(frame_encode(message, &out), ==, GV_OK);
    CHECK_INT(out.size, <=, FRAME_SIZE);
    CHECK_INT(talk->sent_count, <, FRAMES_MAX);
    frame->size = out.size - FRAME_HASH_SIZE;
    memcpy(frame->bytes, out.data, frame->size);
    buffer_close(&out);
}

static void send_delta(struct talk *talk, const struct effect *effect)
{
    struct message message = {.kind = MESSAGE_DELTA};
    struct message_delta *delta = &message.as.delta;
    uint8_t claim[STORE_MAX];

    for (size_t i = 0; i < talk->vv.count; i++)
        vv_entry_store(&talk->vv.entries[i], claim + i * VV_ENTRY_SIZE);
    delta->token = effect->as.send_delta.token;
    delta->spool = effect->as.send_delta.spool;
    delta->offset = effect->as.send_delta.offset;
    delta->bytes = extract + delta->offset;
    delta->size = effect->as.send_delta.size;
    delta->last = effect->as.send_delta.last;
    delta->claim = (struct vv_view){claim, talk->vv.count};
    send_message(talk, &message);
}

static void carry_out(struct talk *talk, const struct effect *effect)
{
    struct event *event;

    switch ((int)effect->kind) {
    case EFFECT_SEND:
        send_message(talk, &effect->as.send.message);
        break;
    case EFFECT_SEND_DELTA:
        send_delta(talk, effect);
        break;
    case EFFECT_APPLY:
        apply(talk, &effect->as.apply.interval);
        break;
    case EFFECT_STAGE:
        stage(talk, effect);
        break;
    case EFFECT_APPLY_DELTA:
        apply_delta(talk, effect);
        break;
    case EFFECT_EXTRACT:
        event = ended(talk, EVENT_EXTRACTED);
        event->as.extracted.token = effect->as.extract.token;
        event->as.extracted.spool = 7;
        event->as.extracted.size = sizeof(extract);
        event->as.extracted.claim_count = talk->vv.count;
        break;
    case EFFECT_ATTEST:
        event = ended(talk, EVENT_ATTESTED);
        event->as.proved.token = effect->as.attest.token;
        event->as.proved.bytes = extract;
        event->as.proved.size = sizeof(extract);
        event->as.proved.fingerprint = talk->fingerprint;
        break;
    case EFFECT_PROVE:
        fail(talk, "rows are compared with a peer that cannot");
        break;
    default:
        break; /* a line, a file that may go */
    }
}

static void feed(struct talk *talk, struct event event)
{
    const char *which = "";
    struct effects effects;

    event.now = talk->now;
    event.wall = WALL + talk->now;
    (void)core_step(talk->core, &event, &effects);
    for (size_t i = 0; i < effects.count; i++)
        carry_out(talk, &effects.items[i]);
    if (!core_check(talk->core, &which))
        fail(talk, which);
    while (talk->done_count > 0) {
        struct event next = talk->done[0];
        memmove(talk->done, talk->done + 1, --talk->done_count * sizeof(next));
        feed(talk, next);
    }
}

static void begin(struct talk *talk)
{
    struct core_config config = {.site = own,
                                 .mesh = "fish",
                                 .name = "me",
                                 .instance = 77,
                                 .seed = 1,
                                 .exchange = true,
                                 .vv = &talk->vv,
                                 .schema_digest = 1};

    vv_init(&talk->vv);
    CHECK_INT(vv_raise(&talk->vv, &own, 100), ==, GV_OK);
    talk->fingerprint = config.fingerprint = (struct hash128){0, 10};
    talk->now = 1000;
    CHECK_INT(core_new(&config, &talk->core), ==, GV_OK);
}

/* Reading the file. */

static struct name *find_name(struct talk *talk, const char *text)
{
    for (size_t i = 0; i < talk->name_count; i++) {
        if (strcmp(talk->names[i].text, text) == 0)
            return &talk->names[i];
    }
    return NULL;
}

static struct name *new_name(struct talk *talk, const char *text)
{
    struct name *name = &talk->names[talk->name_count++];

    CHECK_INT(talk->name_count, <, NAMES_MAX);
    CHECK_INT(strlen(text), <, sizeof(name->text));
    strcpy(name->text, text);
    name->size = 0;
    return name;
}

/* "05", or "00*13": one byte so many times.  Returns how many; 0: neither. */
static size_t read_bytes(const char *word, uint8_t *byte)
{
    char *end;

    if (!isxdigit((unsigned char)word[0]) ||
        !isxdigit((unsigned char)word[1]) ||
        (word[2] != '\0' && word[2] != '*'))
        return 0;
    *byte = (uint8_t)strtoul(word, &end, 16);
    return *end == '*' ? strtoul(end + 1, NULL, 10) : 1;
}

/* The bytes that @words stand for. */
static size_t read_frame(struct talk *talk, char *words,
                         uint8_t bytes[FRAME_SIZE])
{
    size_t size = 0;

    for (char *word = strtok(words, " "); word; word = strtok(NULL, " ")) {
        const struct name *name = find_name(talk, word);
        uint8_t byte;
        size_t count = read_bytes(word, &byte);

        if (count == 0 && name == NULL)
            fail(talk, word);
        CHECK_INT(size + count + FRAME_HASH_SIZE, <=, FRAME_SIZE);
        if (count > 0) {
            memset(bytes + size, byte, count);
            size += count;
        } else {
            CHECK_INT(size + name->size + FRAME_HASH_SIZE, <=, FRAME_SIZE);
            memcpy(bytes + size, name->bytes, name->size);
            size += name->size;
        }
    }
    return size;
}

static void differs(const struct talk *talk, const struct frame *frame,
                    size_t at)
{
    fprintf(stderr, "%s:%u: byte %zu of what was sent is another:\n",
            talk->file, talk->line, at);
    for (size_t i = 0; i < frame->size; i++)
        fprintf(stderr, " %02x", frame->bytes[i]);
    fprintf(stderr, "\n");
    exit(1);
}

/* A number that the core drew: from now on @word stands for it. */
static size_t take_drawn(struct talk *talk, const char *word,
                         const struct frame *frame, size_t at)
{
    struct name *name = new_name(talk, word);

    name->size = 9;
    if (at + name->size > frame->size || frame->bytes[at] != 0xcf)
        differs(talk, frame, at);
    memcpy(name->bytes, frame->bytes + at, name->size);
    return name->size;
}

/* A word of what is to be sent, with the bytes from @at; returns how many. */
static size_t expect(struct talk *talk, const char *word,
                     const struct frame *frame, size_t at)
{
    const struct name *name = find_name(talk, word);
    uint8_t byte, expected[FRAME_SIZE];
    size_t count = read_bytes(word, &byte);

    if (strcmp(word, "...") == 0)
        return frame->size - at;
    if (strncmp(word, "..", 2) == 0)
        return word[2] == '*' ? strtoul(word + 3, NULL, 10) : 1;
    if (strcmp(word, "[") == 0)
        return frame->bytes[at] == 0xdc ? 3 : 1;
    if (count == 0 && name == NULL)
        return take_drawn(talk, word, frame, at);
    if (count > 0) {
        memset(expected, byte, count);
    } else {
        count = name->size;
        memcpy(expected, name->bytes, count);
    }
    for (size_t i = 0; i < count; i++) {
        if (at + i >= frame->size || frame->bytes[at + i] != expected[i])
            differs(talk, frame, at + i);
    }
    return count;
}

static void sends(struct talk *talk, char *words)
{
    const struct frame *frame = &talk->sent[talk->read_count];
    size_t at = 0;

    if (talk->read_count == talk->sent_count)
        fail(talk, "nothing is sent");
    talk->read_count++;
    for (char *word = strtok(words, " "); word; word = strtok(NULL, " "))
        at += expect(talk, word, frame, at);
    if (at != frame->size)
        differs(talk, frame, at);
}

static void receives(struct talk *talk, char *words)
{
    struct event event = {.kind = EVENT_MESSAGE, .link = talk->link};
    uint8_t bytes[FRAME_SIZE];
    size_t size = read_frame(talk, words, bytes);
    uint64_t hash = hash64(bytes, size);
    static struct message message;

    if (talk->read_count < talk->sent_count)
        differs(talk, &talk->sent[talk->read_count], 0);
    for (size_t i = 0; i < FRAME_HASH_SIZE; i++)
        bytes[size + i] = (uint8_t)(hash >> (56 - 8 * i));
    size += FRAME_HASH_SIZE;
    event.code = frame_decode(bytes, size, &message);
    if (event.code != GV_OK)
        event.kind = EVENT_BAD_FRAME;
    event.as.message.message = &message;
    event.as.message.frame_size = size;
    feed(talk, event);
}

/* "seal VERSION NAME": this node publishes the interval of that name. */
static void seal(struct talk *talk, const char *words)
{
    struct event event = {.kind = EVENT_SEALED};
    const struct name *name;
    const uint8_t *fragments;
    size_t size;
    char text[32];

    CHECK_INT(sscanf(words, "%31s", text), ==, 1);
    name = find_name(talk, text);
    if (name == NULL)
        fail(talk, "what is sealed has no such name");
    CHECK_INT(interval_decode(name->bytes, name->size,
                              &event.as.sealed.interval, &fragments, &size),
              ==, GV_OK);
    CHECK_INT(vv_raise(&talk->vv, &own, event.as.sealed.interval.to), ==,
              GV_OK);
    add_to_fingerprint(talk, name->bytes, name->size);
    event.as.sealed.fingerprint = talk->fingerprint;
    feed(talk, event);
}

static struct link_info describe(const struct talk *talk)
{
    struct link_info info = {0};

    for (size_t i = 0; i < core_link_count(talk->core); i++) {
        core_link_info(talk->core, i, talk->now, &info);
        if (info.link == talk->link)
            return info;
    }
    fail(talk, "the link is gone");
    return info;
}

/* Both hold the same, and know it. */
static void check_equal(struct talk *talk)
{
    struct link_info info = describe(talk);

    if (info.state != LINK_UP || info.diverged || info.lag_ms > 0 ||
        info.believed->hash != talk->vv.hash)
        fail(talk, "the two are not equal");
}

/* "agreed VERSION FEATURES" */
static void check_agreed(struct talk *talk, const char *words)
{
    struct link_info info = describe(talk);
    unsigned version, features;

    CHECK_INT(sscanf(words, "%u %u", &version, &features), ==, 2);
    if (info.agreed.version != version || info.agreed.features != features)
        fail(talk, "something else is agreed");
}

/* "away TEXT": one was turned away, and that is why. */
static void check_away(struct talk *talk, const char *words)
{
    struct away_info info;

    CHECK_INT(core_link_count(talk->core), ==, 0);
    if (!core_away_info(talk->core, 0, talk->now, &info))
        fail(talk, "nobody was turned away");
    CHECK_TEXT(info.reason, words);
    CHECK(!core_away_info(talk->core, 1, talk->now, &info));
}

static void play(struct talk *talk, char *line)
{
    char *words = line + strcspn(line, " ");

    if (*words != '\0')
        *words++ = '\0';
    if (strcmp(line, "<") == 0) {
        receives(talk, words);
    } else if (strcmp(line, ">") == 0) {
        sends(talk, words);
    } else if (strcmp(line, "up") == 0 || strcmp(line, "down") == 0) {
        talk->link = strtoull(words, NULL, 10);
        feed(talk, (struct event){.kind = line[0] == 'u' ? EVENT_LINK_UP
                                                         : EVENT_LINK_DOWN,
                                  .link = talk->link});
    } else if (strcmp(line, "tick") == 0) {
        talk->now += strtol(words, NULL, 10);
        feed(talk, (struct event){.kind = EVENT_TICK});
    } else if (strcmp(line, "let") == 0) {
        struct name *name;
        char *text = words;

        words += strcspn(words, " ");
        *words++ = '\0';
        name = new_name(talk, text);
        name->size = read_frame(talk, words, name->bytes);
    } else if (strcmp(line, "seal") == 0) {
        seal(talk, words);
    } else if (strcmp(line, "equal") == 0) {
        check_equal(talk);
    } else if (strcmp(line, "agreed") == 0) {
        check_agreed(talk, words);
    } else if (strcmp(line, "away") == 0) {
        check_away(talk, words);
    } else {
        fail(talk, "no such word");
    }
}

static void run(const char *file)
{
    struct talk *talk = calloc(1, sizeof(*talk));
    char path[1024], line[4096];
    FILE *stream;

    CHECK(talk != NULL);
    snprintf(path, sizeof(path), "%s/%s", CONVERSATIONS, file);
    stream = fopen(path, "r");
    CHECK(stream != NULL);
    talk->file = file;
    begin(talk);
    while (fgets(line, sizeof(line), stream) != NULL) {
        talk->line++;
        line[strcspn(line, "#\n")] = '\0';
        for (size_t end = strlen(line); end > 0 && line[end - 1] == ' ';)
            line[--end] = '\0';
        if (line[0] != '\0')
            play(talk, line);
    }
    if (talk->read_count < talk->sent_count)
        differs(talk, &talk->sent[talk->read_count], 0);
    fclose(stream);
    core_free(talk->core);
    vv_close(&talk->vv);
    free(talk);
}

TEST(a_peer_of_yesterday_asks_and_is_asked_and_ends_equal)
{
    run("yesterday.txt");
}

TEST(a_peer_of_tomorrow_is_understood)
{
    run("tomorrow.txt");
}

TEST(a_message_that_nobody_agreed_on_ends_the_link)
{
    run("unknown.txt");
}

TEST(a_peer_of_another_age_is_turned_away_with_a_reason)
{
    run("older.txt");
    run("newer.txt");
}

int main(int argc, char **argv)
{
    return check_main(argc, argv);
}
