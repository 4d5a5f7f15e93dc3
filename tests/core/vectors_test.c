/* What vectors cost on the wire, with as many sites as there may be, and what
 * nodes learn of sites they have no link with.  A few cores with their frames,
 * every byte counted; nothing takes time but what a test lets pass. */
#include "base/random.h"
#include "check.h"
#include "core/core.h"
#include "grapevine.h"
#include "wire/frame.h"

#include <stdlib.h>
#include <string.h>

#define NODES_MAX 4
#define WALL 1700000000000

struct parcel {
    struct parcel *next;
    size_t to;
    gv_link link;
    size_t size;
    uint8_t bytes[];
};

struct node {
    struct core *core;
    struct site site;
    struct vv vv;
    gv_link accepted;
    uint64_t epoch; /* of its last HELLO */
    /* Of each link: the other node, and its number there. */
    struct {
        gv_link number, theirs;
        size_t other;
    } links[16];
    size_t link_count;
};

static struct node nodes[NODES_MAX];
static size_t node_count;
static gv_time_ms now;
static struct parcel *first, **end;

/* Since count_anew(). */
static size_t bytes_sent, frames_sent, largest_vv, words_sent, wants_sent,
    largest_want;

/* The last delta that was asked for: by whom, and the vector it is read for.
 */
static size_t extracts_asked, extract_asker;
static uint64_t extract_hash;

static void count_anew(void)
{
    bytes_sent = frames_sent = largest_vv = words_sent = wants_sent = 0;
    largest_want = 0;
}

static struct site site_of(uint64_t number)
{
    struct random random;
    struct site site;

    random_seed(&random, number);
    for (size_t i = 0; i < 2; i++) {
        uint64_t bits = random_u64(&random);
        memcpy(site.bytes + 8 * i, &bits, 8);
    }
    return site;
}

static void deliver(size_t index, const struct event *event);

static gv_link number_of(size_t index, gv_link link, size_t *other)
{
    const struct node *node = &nodes[index];

    for (size_t i = 0; i < node->link_count; i++) {
        if (node->links[i].number == link) {
            *other = node->links[i].other;
            return node->links[i].theirs;
        }
    }
    return 0;
}

static void send(size_t index, gv_link link, const struct message *message)
{
    struct buffer frame;
    struct parcel *parcel;
    size_t other = 0;
    gv_link theirs = number_of(index, link, &other);

    buffer_init(&frame, MESSAGE_FRAME_SIZE_MAX);
    CHECK_INT(frame_encode(message, &frame), ==, GV_OK);
    bytes_sent += frame.size;
    frames_sent++;
    wants_sent += message->kind == MESSAGE_WANT;
    if (message->kind == MESSAGE_WANT && frame.size > largest_want)
        largest_want = frame.size;
    if (message->kind == MESSAGE_HELLO)
        nodes[index].epoch = message->as.hello.epoch;
    if (message->kind == MESSAGE_VV) {
        words_sent += message->as.vv.word_count;
        if (frame.size > largest_vv)
            largest_vv = frame.size;
    }
    parcel = malloc(sizeof(*parcel) + frame.size);
    CHECK(parcel != NULL);
    *parcel = (struct parcel){.to = other, .link = theirs, .size = frame.size};
    memcpy(parcel->bytes, frame.data, frame.size);
    *end = parcel;
    end = &parcel->next;
    buffer_close(&frame);
}

static void add_link(size_t index, gv_link number, size_t other,
                     gv_link theirs)
{
    struct node *node = &nodes[index];

    CHECK_INT(node->link_count, <, 16);
    node->links[node->link_count].number = number;
    node->links[node->link_count].other = other;
    node->links[node->link_count++].theirs = theirs;
}

static void connect(size_t index, gv_link link, size_t to)
{
    gv_link theirs = nodes[to].accepted;
    struct event up = {.kind = EVENT_LINK_UP, .link = link};

    nodes[to].accepted += 2;
    add_link(index, link, to, theirs);
    add_link(to, theirs, index, link);
    deliver(index, &up);
    up.link = theirs;
    deliver(to, &up);
}

/* What a delta was asked for by node @other of node @index. */
static void keep_extract(size_t index, const struct effect *effect)
{
    struct vv vv;

    vv_init(&vv);
    CHECK_INT(vv_raise_view(&vv, effect->as.extract.vv), ==, GV_OK);
    (void)number_of(index, effect->link, &extract_asker);
    extract_hash = vv.hash;
    extracts_asked++;
    vv_close(&vv);
}

static void deliver(size_t index, const struct event *given)
{
    struct event event = *given;
    struct effects effects;
    const char *which = "";
    size_t connects = 0;
    struct {
        gv_link link;
        size_t to;
    } dials[8];

    event.now = now;
    event.wall = WALL + now;
    CHECK_INT(core_step(nodes[index].core, &event, &effects), ==, GV_OK);
    CHECK(core_check(nodes[index].core, &which));
    for (size_t i = 0; i < effects.count; i++) {
        const struct effect *effect = &effects.items[i];
        if (effect->kind == EFFECT_EXTRACT) {
            keep_extract(index, effect);
        } else if (effect->kind == EFFECT_SEND) {
            send(index, effect->link, &effect->as.send.message);
        } else if (effect->kind == EFFECT_CONNECT &&
                   (size_t)(effect->as.connect.endpoint[0] - '0') <
                       node_count) {
            dials[connects].link = effect->link;
            dials[connects++].to =
                (size_t)(effect->as.connect.endpoint[0] - '0');
        }
    }
    for (size_t i = 0; i < connects; i++)
        connect(index, dials[i].link, dials[i].to);
}

static void deliver_all(void)
{
    while (first != NULL) {
        struct parcel *parcel = first;
        struct message message;
        struct event event = {.kind = EVENT_MESSAGE, .link = parcel->link};

        first = parcel->next;
        if (first == NULL)
            end = &first;
        CHECK_INT(frame_decode(parcel->bytes, parcel->size, &message), ==,
                  GV_OK);
        event.as.message.message = &message;
        event.as.message.frame_size = parcel->size;
        deliver(parcel->to, &event);
        free(parcel);
    }
}

static void run(gv_time_ms ms)
{
    struct event tick = {.kind = EVENT_TICK};

    for (gv_time_ms until = now + ms; now < until; now += 10) {
        for (size_t i = 0; i < node_count; i++) {
            if (core_deadline(nodes[i].core) <= now)
                deliver(i, &tick);
        }
        deliver_all();
    }
}

static void start(size_t index)
{
    char name[] = "node0";
    struct core_config config = {.site = nodes[index].site,
                                 .mesh = "fish",
                                 .name = name,
                                 .instance = 1 + index,
                                 .seed = 7 + index,
                                 .vv = &nodes[index].vv,
                                 .fingerprint = {1, 2}};

    name[4] = (char)('0' + index);
    nodes[index].accepted = 1;
    CHECK_INT(core_new(&config, &nodes[index].core), ==, GV_OK);
}

/* @count nodes that hold the same @sites sites. */
static void begin(size_t count, size_t sites)
{
    memset(nodes, 0, sizeof(nodes));
    node_count = count;
    now = 1000;
    end = &first;
    for (size_t i = 0; i < count; i++) {
        nodes[i].site = site_of(1 + i);
        for (size_t s = 0; s < sites; s++) {
            struct site site = site_of(1 + s);
            CHECK_INT(vv_raise(&nodes[i].vv, &site, 1000 + s), ==, GV_OK);
        }
    }
}

static void start_all(void)
{
    for (size_t i = 0; i < node_count; i++)
        start(i);
    count_anew();
}

static void dial(size_t from, size_t to)
{
    char endpoint[2] = {(char)('0' + to), '\0'};

    CHECK_INT(core_add_peer(nodes[from].core, endpoint), ==, GV_OK);
}

static void finish(void)
{
    deliver_all();
    for (size_t i = 0; i < node_count; i++) {
        core_free(nodes[i].core);
        vv_close(&nodes[i].vv);
    }
}

/* The link of @node with @other, which is up, is believed to hold its vector,
 * all of it. */
static void check_believed(size_t node, size_t other)
{
    struct link_info info;

    for (size_t i = 0; i < core_link_count(nodes[node].core); i++) {
        core_link_info(nodes[node].core, i, now, &info);
        if (!site_equal(&info.site, &nodes[other].site))
            continue;
        CHECK_INT(info.state, ==, LINK_UP);
        CHECK_INT(info.believed->count, ==, core_vv(nodes[other].core)->count);
        CHECK(info.believed->hash == core_vv(nodes[other].core)->hash);
        return;
    }
    CHECK(false);
}

/* Node @node publishes something too long for NEWS. */
static void publish(size_t node)
{
    struct event event = {.kind = EVENT_SEALED};
    const struct vv *vv = core_vv(nodes[node].core);

    event.as.sealed.interval.site = nodes[node].site;
    event.as.sealed.interval.from = vv_get(vv, &nodes[node].site);
    event.as.sealed.interval.to = event.as.sealed.interval.from + 1;
    event.as.sealed.fingerprint = (struct hash128){1, 3};
    deliver(node, &event);
}

TEST(equal_vectors_of_ten_thousand_sites_cost_a_sketch)
{
    begin(2, VV_SITES_MAX);
    start_all();
    dial(0, 1);
    run(200);
    check_believed(0, 1);
    check_believed(1, 0);
    /* The whole of them, as both would send it, is 480,000 bytes. */
    printf("equal, 10,000 sites: %zu bytes in %zu frames\n", bytes_sent,
           frames_sent);
    CHECK_INT(bytes_sent, <=, 9000);
    CHECK_INT(wants_sent, ==, 0);
    finish();
}

static void differ(size_t changed)
{
    /* Both sides' entries of each range: 40, as sites are random. */
    size_t bound = 9000 + changed * 2 * 40 * VV_ENTRY_SIZE;

    begin(2, VV_SITES_MAX);
    for (size_t i = 0; i < changed; i++) {
        struct site site = site_of(100 + 7 * i);
        CHECK_INT(vv_raise(&nodes[i % 2].vv, &site, 1 << 20), ==, GV_OK);
    }
    start_all();
    dial(0, 1);
    run(80); /* before anybody asks for anything */
    check_believed(0, 1);
    check_believed(1, 0);
    printf("%zu of 10,000 differ: %zu bytes\n", changed, bytes_sent);
    CHECK_INT(bytes_sent, <=, bound);
    CHECK_INT(wants_sent, ==, 0);
    finish();
}

TEST(what_differs_costs_in_proportion)
{
    differ(1);
    differ(10);
    differ(100);
    differ(1000);
}

TEST(a_newcomer_is_told_everything)
{
    static const size_t sites[] = {1, 32, 33, 40, 100, 9000, VV_SITES_MAX - 1};

    for (size_t i = 0; i < sizeof(sites) / sizeof(sites[0]); i++) {
        begin(2, 0);
        for (size_t s = 0; s < sites[i]; s++) {
            struct site site = site_of(100 + s);
            CHECK_INT(vv_raise(&nodes[0].vv, &site, 1000 + s), ==, GV_OK);
        }
        CHECK_INT(vv_raise(&nodes[1].vv, &nodes[1].site, 5), ==, GV_OK);
        start_all();
        dial(i % 2, !(i % 2));
        run(80);
        check_believed(0, 1);
        check_believed(1, 0);
        finish();
    }
}

TEST(vectors_of_any_two_sizes_are_learnt_whole)
{
    static const size_t sites[] = {31, 32, 33, 64, 129, 700};
    static const size_t count = sizeof(sites) / sizeof(sites[0]);

    for (size_t i = 0; i < count * count; i++) {
        begin(2, sites[i / count]);
        for (size_t s = 0; s < sites[i % count]; s++) {
            struct site site = site_of(20 + 2 * s);
            CHECK_INT(vv_raise(&nodes[1].vv, &site, 3000 + s), ==, GV_OK);
        }
        start_all();
        dial(0, 1);
        run(80);
        check_believed(0, 1);
        check_believed(1, 0);
        CHECK_INT(wants_sent, ==, 0);
        finish();
    }
}

TEST(a_change_among_ten_thousand_sites_is_told_by_its_entry)
{
    begin(2, VV_SITES_MAX);
    start_all();
    dial(0, 1);
    run(300);
    count_anew();
    publish(0);
    run(60);
    CHECK_INT(bytes_sent, >, 0);
    CHECK_INT(largest_vv, <=, 256);
    CHECK_INT(bytes_sent, <=, 2 * 256);
    check_believed(1, 0);
    finish();
}

TEST(a_want_among_ten_thousand_sites_names_what_was_not_told)
{
    begin(2, VV_SITES_MAX);
    start_all();
    dial(0, 1);
    run(300);
    count_anew();
    publish(0);
    publish(1);
    run(500);
    CHECK_INT(wants_sent, >=, 2);
    CHECK_INT(largest_want, <=, 256);
    /* And what is read for it leaves out all that the asker has. */
    CHECK_INT(extracts_asked, >=, 1);
    CHECK(extract_hash == core_vv(nodes[extract_asker].core)->hash);
    finish();
}

TEST(a_heartbeat_of_an_idle_link_has_at_most_256_bytes)
{
    begin(2, VV_SITES_MAX);
    start_all();
    dial(0, 1);
    run(2000);
    count_anew();
    run(10000);
    printf("heartbeat: %zu bytes\n", largest_vv);
    CHECK_INT(largest_vv, <=, 256);
    CHECK_INT(frames_sent, >=, 18);
    CHECK_INT(frames_sent, <=, 22);
    finish();
}

TEST(a_link_that_comes_back_is_told_what_changed_meanwhile)
{
    struct event down = {.kind = EVENT_LINK_DOWN, .reason = "cut"};

    begin(2, VV_SITES_MAX);
    start_all();
    dial(0, 1);
    run(300);
    down.link = 2;
    deliver(0, &down);
    down.link = 1;
    deliver(1, &down);
    publish(0);
    publish(1);
    count_anew();
    run(320);
    check_believed(0, 1);
    check_believed(1, 0);
    CHECK_INT(bytes_sent, <=, 15000);
    finish();
}

TEST(a_hello_repeated_for_the_schema_renews_no_vector)
{
    struct event schema = {.kind = EVENT_SCHEMA_CHANGED};

    begin(2, VV_SITES_MAX);
    start_all();
    dial(0, 1);
    run(300);
    count_anew();
    schema.as.schema.schema_digest = 9;
    schema.as.schema.fingerprint = (struct hash128){1, 2};
    deliver(0, &schema);
    run(80);
    check_believed(0, 1);
    check_believed(1, 0);
    CHECK_INT(bytes_sent, <=, 6000);
    finish();
}

/* What is known of whom */

static struct known_info known_of(size_t node, size_t other)
{
    struct known_info info;

    for (size_t i = 0; i < core_known_count(nodes[node].core); i++) {
        core_known_info(nodes[node].core, i, now, &info);
        if (site_equal(&info.site, &nodes[other].site))
            return info;
    }
    return (struct known_info){.name = NULL};
}

static void check_known(size_t node, size_t other)
{
    struct known_info info = known_of(node, other);
    char name[] = "node0";

    name[4] = (char)('0' + other);
    CHECK_TEXT(info.name, name);
    CHECK(info.vv != NULL && info.exact);
    CHECK(info.vv->hash == core_vv(nodes[other].core)->hash);
}

static void line(size_t count, size_t sites)
{
    begin(count, sites);
    start_all();
    for (size_t i = 0; i + 1 < count; i++)
        dial(i, i + 1);
}

TEST(what_a_far_site_holds_comes_by_word_of_mouth)
{
    line(4, 10);
    run(5000);
    for (size_t i = 0; i < 4; i++) {
        for (size_t j = 0; j < 4; j++) {
            if (i == j)
                continue;
            check_known(i, j);
            CHECK_INT(known_of(i, j).linked, ==, i + 1 == j || j + 1 == i);
        }
    }
    /* Nothing of it is applied here, so all stay where they are but one. */
    publish(3);
    run(5000);
    check_known(0, 3);
    CHECK_INT(vv_get(known_of(0, 3).vv, &nodes[3].site), ==,
              vv_get(core_vv(nodes[0].core), &nodes[3].site) + 1);
    finish();
}

TEST(words_cost_what_differs_and_not_what_there_is)
{
    line(3, VV_SITES_MAX / 4);
    run(5000);
    check_known(0, 2);
    count_anew();
    publish(2);
    run(3000);
    check_known(0, 2);
    CHECK_INT(words_sent, >=, 1);
    CHECK_INT(words_sent, <=, 4);
    finish();
}

TEST(at_rest_a_word_a_minute_says_that_a_far_site_lives)
{
    line(3, 10);
    run(10000);
    count_anew();
    run(600 * 1000);
    printf("words in ten minutes: %zu\n", words_sent);
    CHECK_INT(words_sent, >=, 18);
    CHECK_INT(words_sent, <=, 22);
    CHECK_INT(largest_vv, <=, 256);
    CHECK_INT(known_of(0, 2).heard_ms, <=, 63000);
    CHECK_INT(known_of(0, 1).heard_ms, <=, CORE_HEARTBEAT_MS);
    finish();
}

TEST(where_all_are_linked_no_words_pass)
{
    begin(4, 10);
    start_all();
    for (size_t i = 0; i < 4; i++) {
        for (size_t j = i + 1; j < 4; j++)
            dial(i, j);
    }
    run(5000);
    count_anew();
    publish(0);
    run(300 * 1000);
    CHECK_INT(words_sent, ==, 0);
    CHECK(known_of(3, 0).linked);
    finish();
}

TEST(a_site_that_went_away_is_known_as_of_when_it_was_heard)
{
    struct event down = {.kind = EVENT_LINK_DOWN, .reason = "cut"};
    gv_version held;

    line(3, 10);
    run(5000);
    down.link = 2; /* of 1 with 2 */
    deliver(1, &down);
    core_free(nodes[2].core);
    node_count = 2;
    vv_close(&nodes[2].vv);
    nodes[1].link_count = 1; /* what it dials now goes nowhere */
    held = vv_get(core_vv(nodes[0].core), &nodes[0].site);
    publish(0);
    for (int i = 0; i < 20; i++) {
        now += 1000;
        run(10);
    }
    CHECK_INT(known_of(1, 2).heard_ms, >=, 19000);
    CHECK_INT(known_of(0, 2).heard_ms, >=, 19000);
    CHECK(!known_of(1, 2).linked);
    CHECK_INT(vv_get(known_of(0, 2).vv, &nodes[0].site), ==, held);
    CHECK_INT(vv_get(known_of(1, 2).vv, &nodes[0].site), ==, held);
    finish();
}

/* A peer that makes up sites without end. */
TEST(words_of_any_number_of_sites_fill_a_bounded_place)
{
    struct message message = {.kind = MESSAGE_VV};
    struct event event = {.kind = EVENT_MESSAGE, .link = 1};
    uint8_t bytes[VV_ENTRY_SIZE];

    line(2, 10);
    run(1000);
    message.as.vv.epoch = nodes[0].epoch;
    message.as.vv.vv_hash = core_vv(nodes[0].core)->hash;
    message.as.vv.word_count = MESSAGE_WORDS_MAX;
    event.as.message.message = &message;
    for (uint64_t i = 0; i < 2000; i++) {
        struct link_info info;
        core_link_info(nodes[1].core, 0, now, &info);
        CHECK_INT(info.state, ==, LINK_UP);
        for (size_t w = 0; w < MESSAGE_WORDS_MAX; w++) {
            struct vv_entry entry = {site_of(1000000 + 8 * i + w), 5};
            vv_entry_store(&entry, bytes);
            message.as.vv.words[w] = (struct word){.site = entry.site,
                                                   .instance = 1,
                                                   .clock = (gv_time_ms)i,
                                                   .whole = true,
                                                   .differs = {bytes, 1}};
        }
        deliver(1, &event);
    }
    CHECK_INT(core_known_count(nodes[1].core), ==, 256);
    finish();
}

/* What this node says of it in turn would be refused with the whole frame, and
 * cost the links between others. */
TEST(a_word_as_old_as_can_be_is_passed_on_no_older)
{
    struct message message = {.kind = MESSAGE_VV};
    struct event event = {.kind = EVENT_MESSAGE, .link = 1};
    struct link_info info;

    line(3, 10);
    run(1000);
    message.as.vv.epoch = nodes[0].epoch;
    message.as.vv.vv_hash = core_vv(nodes[0].core)->hash;
    message.as.vv.word_count = 1;
    message.as.vv.words[0] =
        (struct word){.site = site_of(1000000),
                      .instance = 1,
                      .age_ms = (uint64_t)(VERSION_MAX >> 16)};
    event.as.message.message = &message;
    deliver(1, &event);
    CHECK_INT(core_known_count(nodes[1].core), ==, 3);
    now += 5;
    run(5000);
    CHECK_INT(core_known_count(nodes[2].core), ==, 3);
    core_link_info(nodes[2].core, 0, now, &info);
    CHECK_INT(info.state, ==, LINK_UP);
    finish();
}

int main(int argc, char **argv)
{
    return check_main(argc, argv);
}
