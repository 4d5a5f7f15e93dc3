#include "mesh.h"

#include "base/assert.h"
#include "orders.h"
#include "rest.h"
#include "send.h"

#include <stdlib.h>
#include <string.h>

/* Rounds of all exchanges until a "full" must have ended. */
#define ROUNDS_MAX 8
#define LIST_MAX 256

/* What a renewal moved to the new site id is in no publication, so those that
 * follow it come early until a delta has brought it. */
static bool follows_renewal(const struct run *run, const size_t *list,
                            size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (run->publications[list[i]].site.bytes[15] > 0)
            return true;
    return false;
}

/* Every second order hands the publications over youngest first. */
static void push(struct run *run, struct replica *from, struct replica *to)
{
    size_t list[LIST_MAX], count = 0, total = run->publication_count;
    struct gv_error error = {0};
    int left;

    for (size_t i = 0; i < total; i++) {
        size_t index = run->manner.order % 2 == 0 ? i : total - 1 - i;

        if (!send_held(from, &run->publications[index]))
            continue;
        GV_ASSERT(count < LIST_MAX);
        list[count++] = index;
    }
    left = send_list(run, to, list, count, &error);
    if (left > 0 && follows_renewal(run, list, count))
        return;
    if (left != 0 && error.code != GV_EFORK)
        run_fail(run, "%c does not take what %c has: %s", to->letter,
                 from->letter, error.what);
}

void mesh_exchange(struct run *run, struct replica *from, struct replica *to)
{
    struct gv_error error = {0};

    send_must_seal(run, from);
    send_must_seal(run, to);
    if (run->failed || vv_covers(store_vv(to->store), store_vv(from->store)))
        return;
    if (!run->manner.pull)
        push(run, from, to);
    /* A file that went back in time is told so by a delta. */
    if (!run->failed &&
        !vv_covers(store_vv(to->store), store_vv(from->store)) &&
        send_delta(run, from, to, &error) != GV_OK)
        run_fail(run, "%c does not take %c's delta: %s", to->letter,
                 from->letter, error.what);
    if (!run->failed && !vv_covers(store_vv(to->store), store_vv(from->store)))
        run_fail(run, "%c holds less than %c after the exchange", to->letter,
                 from->letter);
}

/* Parts */

/* The @number-th publication of a site (0: all of them), if @from holds it. */
static void add_part(const struct run *run, const struct replica *from,
                     char letter, size_t number, size_t *list, size_t *count)
{
    size_t seen = 0;

    for (size_t i = 0; i < run->publication_count; i++) {
        const struct publication *publication = &run->publications[i];

        if (publication->site.bytes[0] != (uint8_t)letter)
            continue;
        seen++;
        if ((number != 0 && number != seen) || !send_held(from, publication))
            continue;
        GV_ASSERT(*count < LIST_MAX);
        list[(*count)++] = i;
    }
}

static size_t read_part(const struct run *run, const struct replica *from,
                        const char *part, size_t *list)
{
    size_t count = 0;

    while (*part >= 'A' && *part <= 'D') {
        char letter = *part++;
        char *end;
        size_t number = strtoul(part, &end, 10);

        if (end == part)
            add_part(run, from, letter, 0, list, &count);
        while (end != part) {
            add_part(run, from, letter, number, list, &count);
            part = end;
            number = strtoul(part, &end, 10);
        }
        while (*part == ' ')
            part++;
    }
    return count;
}

void mesh_part(struct run *run, struct replica *from, struct replica *to,
               const char *part, bool early)
{
    size_t list[LIST_MAX], count;
    struct gv_error error = {0};
    int left;

    send_must_seal(run, from);
    count = read_part(run, from, part, list);
    left = send_list(run, to, list, count, &error);
    if (count == 0 || left < 0 || (left > 0) != early)
        run_fail(run, "%zu publications sent, %d left waiting: %s", count,
                 left, error.what);
}

void mesh_half(struct run *run, struct replica *from, struct replica *to)
{
    struct gv_error error = {0};
    struct delta delta;

    send_must_seal(run, from);
    if (delta_want(&delta, from->store, store_vv(to->store), &error) !=
        GV_OK) {
        run_fail(run, "no delta: %s", error.what);
        return;
    }
    delta_stage(&delta, to->store, ++run->token, delta.bytes.size / 2);
    run->touched |= 1u << run_index(run, to);
    delta_close(&delta);
}

/* Full exchanges */

unsigned mesh_orders(size_t count)
{
    return orders_count(count * (count - 1));
}

static uint64_t vectors(const struct run *run)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < run->count; i++)
        sum = sum * 31 + store_vv(run->replicas[i].store)->hash;
    return sum;
}

static void exchange_all(struct run *run, const char *letters)
{
    size_t count = strlen(letters), edges = count * (count - 1);
    size_t order[ORDERS_ITEMS_MAX];

    orders_permute(edges, run->manner.order % orders_count(edges), order);
    for (size_t i = 0; i < edges && !run->failed; i++) {
        size_t from = order[i] / (count - 1), to = order[i] % (count - 1);

        to += to >= from;
        mesh_exchange(run, run_replica(run, letters[from]),
                      run_replica(run, letters[to]));
        mesh_crash_point(run);
    }
}

void mesh_full(struct run *run, const char *letters)
{
    uint64_t before;
    int round = 0;

    do {
        before = vectors(run);
        exchange_all(run, letters);
        if (++round == ROUNDS_MAX)
            run_fail(run, "the exchange does not come to rest");
    } while (!run->failed && vectors(run) != before);
    if (!run->failed)
        rest_equal(run, letters);
    if (!run->failed)
        rest_quiet(run, letters);
}

static void late_interval(struct run *run, size_t index, struct replica *to)
{
    struct hash128 fingerprint = store_fingerprint(to->store);
    uint64_t hash = store_vv(to->store)->hash;

    if (!send_held(to, &run->publications[index]))
        return;
    send_interval(run, to, index, &(struct gv_error){0});
    if (!send_same_state(to, hash, fingerprint))
        run_fail(run, "a publication that comes late changes %c", to->letter);
}

void mesh_late(struct run *run)
{
    for (size_t i = 0; i < run->count; i++)
        send_must_seal(run, &run->replicas[i]);
    for (size_t i = 0; i < run->publication_count; i++)
        for (size_t j = 0; j < run->count && !run->failed; j++)
            if (run->publications[i].sent & 1u << j)
                late_interval(run, i, &run->replicas[j]);
    for (size_t i = 0; i < run->late_count && !run->failed; i++)
        send_again(run, &run->late[i].delta, &run->replicas[run->late[i].to]);
}

/* Crashes */

static void forget_late(struct run *run, size_t to)
{
    size_t kept = 0;

    for (size_t i = 0; i < run->late_count; i++) {
        if (run->late[i].to == to)
            delta_close(&run->late[i].delta);
        else
            run->late[kept++] = run->late[i];
    }
    run->late_count = kept;
}

/* What a renewal moved to another site id is in no publication. */
static void heal_by_delta(struct run *run, struct replica *replica,
                          const struct vv *before, struct gv_error *error)
{
    for (size_t i = 0; i < run->count && !run->failed; i++)
        if (&run->replicas[i] != replica &&
            !vv_covers(store_vv(replica->store), before))
            send_delta(run, &run->replicas[i], replica, error);
}

/* A power cut may have taken what other sites published; it comes again. */
static void heal(struct run *run, struct replica *replica,
                 const struct vv *before)
{
    const struct site own = *store_site(replica->store);
    struct gv_error error = {0};

    if (vv_get(store_vv(replica->store), &own) < vv_get(before, &own))
        run_fail(run, "%c lost what it published", replica->letter);
    for (size_t i = 0; i < run->publication_count && !run->failed; i++)
        if (!send_held(replica, &run->publications[i]) &&
            run->publications[i].to <=
                vv_get(before, &run->publications[i].site))
            send_interval(run, replica, i, &error);
    heal_by_delta(run, replica, before, &error);
    if (!vv_covers(store_vv(replica->store), before))
        run_fail(run, "%c does not get back what a crash took: %s",
                 replica->letter, error.what);
}

void mesh_crash(struct run *run, struct replica *replica, enum disk_loss loss)
{
    struct hash128 fingerprint = store_fingerprint(replica->store);
    struct vv before;

    vv_init(&before);
    GV_ASSERT(vv_copy(&before, store_vv(replica->store)) == GV_OK);
    replica_crash(replica, loss);
    if (loss != LOSS_NONE)
        run_unwatch(run, replica);
    /* A delta answers a WANT of one run of a node. */
    forget_late(run, run_index(run, replica));
    heal(run, replica, &before);
    if (!run->failed && !send_same_state(replica, before.hash, fingerprint))
        run_fail(run, "%c is not what it was before the crash",
                 replica->letter);
    vv_close(&before);
}

void mesh_crash_point(struct run *run)
{
    unsigned touched = run->touched;

    for (size_t i = 0; i < run->count && run->manner.crash; i++)
        if ((touched & 1u << i) != 0 && !run->failed &&
            sqlite3_get_autocommit(run->replicas[i].app))
            mesh_crash(run, &run->replicas[i], run->manner.loss);
    run->touched = 0;
}
