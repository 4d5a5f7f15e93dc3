/* From looks to publications.  A look before a node's transaction shows what
 * its seal will find; what differs from the fold is what it will publish. */
#include "ledger_state.h"

#include "base/assert.h"

#include <stdlib.h>
#include <string.h>

/* A pause this long starts a run with a version of its own; and the last time
 * that SQLite's clock knows. */
#define RUN_PAUSE_MS 10000
#define TIME_MAX_MS 253402300799999
#define UNTIMED (-1)
/* A version tells times to the year 4199 but for its last 16 ms. */
#define WALL_MAX_MS (((gv_time_ms)1 << 46) - 16)
/* The clock goes on between a look and its seal, but not by more than this. */
#define SEAL_TIME_MAX_MS 60000

gv_version vector_get(const struct vector *vector, size_t site)
{
    return site < vector->count ? vector->at[site] : 0;
}

void vector_set(struct vector *vector, size_t site, gv_version version)
{
    if (site >= vector->count) {
        vector->at = reallocarray(vector->at, site + 1, sizeof *vector->at);
        GV_ASSERT(vector->at != NULL);
        memset(vector->at + vector->count, 0,
               (site + 1 - vector->count) * sizeof *vector->at);
        vector->count = site + 1;
    }
    vector->at[site] = version;
}

size_t ledger_site(struct ledger *ledger, const struct site *site)
{
    for (size_t i = 0; i < ledger->origin_count; i++)
        if (memcmp(&ledger->origins[i].id, site, sizeof *site) == 0)
            return i;
    ledger->origins = reallocarray(ledger->origins, ledger->origin_count + 1,
                                   sizeof *ledger->origins);
    GV_ASSERT(ledger->origins != NULL);
    ledger->origins[ledger->origin_count] = (struct origin){.id = *site};
    return ledger->origin_count++;
}

void publication_free(struct publication *publication)
{
    free(publication->seen.at);
    free(publication->changes);
    free(publication->runs);
    free(publication);
}

/* What differs */

static uint32_t difference(struct names *names, uint32_t now, uint32_t before)
{
    struct datum added = DATUM_INTEGER(names_integer(names, now) -
                                       names_integer(names, before));

    return names_value(names, &added);
}

static bool derive_row(struct ledger *ledger, struct member *member,
                       struct machine *machine, uint32_t row,
                       struct change *change)
{
    const struct model_row *model = fold_row(member, row);
    const struct look_row *seen = look_at(&member->look, row);
    size_t table = names_table(&ledger->names, row);
    bool alive = model->length % 2 == 1, any;

    if (table == TABLE_SKEW && !member->look.skew.shared)
        return false;
    if (table == TABLE_SKEW && seen == NULL && alive &&
        skew_row_lost(ledger, machine, row))
        return false;
    *change = (struct change){.row = row};
    change->existence = any = (seen != NULL) != alive;
    change->length = model->length + change->existence;
    for (size_t i = 0; seen != NULL && i < tables[table].column_count; i++) {
        uint32_t held = fold_shown(ledger, model, row, i), known = held;

        if (change->existence)
            held = known = ledger->initial[table][i];
        else if (table == TABLE_SKEW)
            known = skew_known(ledger, member, model, row, i);
        if (seen->values[i] == known || seen->values[i] == held ||
            seen->values[i] == LOOK_ABSENT)
            continue;
        if (table == TABLE_SKEW && !change->existence &&
            seen->values[i] == ledger->initial[table][i] &&
            skew_hollow(ledger, member, machine, row, i))
            continue;
        change->written[i] = any = true;
        change->values[i] =
            tables[table].columns[i].shows == SHOWS_SUM
                ? difference(&ledger->names, seen->values[i], known)
                : seen->values[i];
    }
    return any;
}

static void derive(struct ledger *ledger, struct member *member,
                   struct machine *machine, struct publication *publication)
{
    size_t capacity = 0;

    for (uint32_t row = 0; row < ledger->names.rows.count; row++) {
        struct change change;

        if (!derive_row(ledger, member, machine, row, &change))
            continue;
        if (publication->change_count == capacity) {
            capacity = capacity * 2 + 16;
            publication->changes = reallocarray(publication->changes, capacity,
                                                sizeof *publication->changes);
            GV_ASSERT(publication->changes != NULL);
        }
        publication->changes[publication->change_count++] = change;
    }
}

/* When */

/* Runs follow the journal's order, and a delete is of the run in which it
 * stands. */
static size_t run_of(struct publication *publication, gv_time_ms ms,
                     gv_time_ms *last)
{
    size_t *count = &publication->run_count;

    if (ms <= 0 || ms > TIME_MAX_MS)
        ms = UNTIMED;
    if (*count == 0 ||
        (ms != UNTIMED && *last != UNTIMED && ms - *last >= RUN_PAUSE_MS)) {
        publication->runs = reallocarray(publication->runs, *count + 1,
                                         sizeof *publication->runs);
        GV_ASSERT(publication->runs != NULL);
        publication->runs[(*count)++] = ms;
    }
    if (ms != UNTIMED)
        *last = ms;
    if (publication->runs[*count - 1] < ms)
        publication->runs[*count - 1] = ms;
    return *count - 1;
}

/* I20: what differs must stand in the journal; a key written in several runs
 * belongs to the last. */
static void place(struct ledger *ledger, struct publication *publication,
                  const struct look_journal *journal, size_t count)
{
    uint32_t *places = calloc(ledger->names.rows.count + 1, sizeof *places);
    gv_time_ms last = UNTIMED;

    GV_ASSERT(places != NULL);
    for (size_t i = 0; i < count; i++)
        places[journal[i].row] =
            (uint32_t)run_of(publication, journal[i].ms, &last) + 1;
    for (size_t i = 0; i < publication->change_count; i++) {
        struct change *change = &publication->changes[i];
        char key[NAMES_KEY_SIZE];

        if (places[change->row] > 0) {
            change->run = places[change->row] - 1;
            continue;
        }
        names_format_key(&ledger->names, change->row, key, sizeof key);
        world_fail(ledger->world, "I20",
                   "n%zu: row %s of %s was changed, and its journal does"
                   " not say so",
                   publication->machine, key,
                   tables[names_table(&ledger->names, change->row)].name);
    }
    free(places);
}

static gv_version give_versions(struct publication *publication,
                                gv_time_ms now)
{
    gv_version last = publication->from, to = 0;
    gv_version *versions = calloc(publication->run_count + 1, sizeof last);

    GV_ASSERT(versions != NULL);
    if (last < publication->seen_max)
        last = publication->seen_max;
    for (size_t i = 0; i < publication->run_count; i++) {
        gv_time_ms ms = publication->runs[i];
        gv_time_ms wall = ms == UNTIMED || ms > now ? now : ms;
        gv_version version = wall >= WALL_MAX_MS ? 0 : (gv_version)wall << 16;

        last = version > last ? version : last + 1;
        versions[i] = last;
    }
    for (size_t i = 0; i < publication->change_count; i++) {
        struct change *change = &publication->changes[i];

        change->version = versions[change->run];
        if (to < change->version)
            to = change->version;
    }
    free(versions);
    return to;
}

bool seals_fit(struct publication *publication, gv_version to)
{
    gv_time_ms later = (gv_time_ms)(to >> 16);

    publication->to = give_versions(publication, publication->now);
    if (publication->to != to && later > publication->now &&
        later - publication->now <= SEAL_TIME_MAX_MS)
        publication->to = give_versions(publication, later);
    return publication->to == to;
}

/* Candidates */

static void list_add(struct origin *origin, struct publication *publication)
{
    if (origin->count == origin->capacity) {
        origin->capacity = origin->capacity * 2 + 32;
        origin->list = reallocarray(origin->list, origin->capacity,
                                    sizeof(struct publication *));
        GV_ASSERT(origin->list != NULL);
    }
    origin->list[origin->count++] = publication;
}

static struct publication *publication_new(const struct member *member,
                                           struct machine *machine)
{
    struct publication *publication = calloc(1, sizeof *publication);

    GV_ASSERT(publication != NULL);
    publication->site = member->site;
    publication->machine = machine_index(machine);
    publication->from = vector_get(&member->vv, member->site);
    publication->now = machine_wall(machine);
    publication->looked = member->transaction_count;
    for (size_t i = 0; i < member->vv.count; i++) {
        vector_set(&publication->seen, i, member->vv.at[i]);
        if (publication->seen_max < member->vv.at[i])
            publication->seen_max = member->vv.at[i];
    }
    return publication;
}

static bool read_machine(struct ledger *ledger, struct member *member,
                         struct machine *machine,
                         struct look_journal **journal, size_t *count)
{
    sqlite3 *db = machine_observer(machine);

    if (!look_journal(&member->look, &ledger->names, db, journal, count))
        return false;
    return *count == 0 || look_take(&member->look, &ledger->names, db);
}

void seals_look(struct ledger *ledger, struct member *member,
                struct machine *machine)
{
    struct publication *publication;
    struct look_journal *journal;
    size_t count;

    member->looked = member->transaction_count;
    if (!read_machine(ledger, member, machine, &journal, &count)) {
        ledger_unreadable(ledger, member, machine);
        free(journal);
        return;
    }
    if (count == 0)
        return;
    publication = publication_new(member, machine);
    derive(ledger, member, machine, publication);
    if (publication->change_count > 0) {
        gv_version clock =
            look_clock(&member->look, machine_observer(machine));

        if (publication->seen_max < clock)
            publication->seen_max = clock;
        place(ledger, publication, journal, count);
        member->candidate = publication;
        list_add(&ledger->origins[member->site], publication);
    } else {
        publication_free(publication);
    }
    free(journal);
}

void seals_drop(struct ledger *ledger, struct member *member)
{
    struct publication *candidate = member->candidate;
    struct origin *origin;
    size_t i;

    member->candidate = NULL;
    if (candidate == NULL || candidate->state != CANDIDATE)
        return;
    origin = &ledger->origins[candidate->site];
    i = origin->count;
    while (i > 0 && origin->list[i - 1] != candidate)
        i--;
    GV_ASSERT(i > 0);
    memmove(&origin->list[i - 1], &origin->list[i],
            (origin->count - i) * sizeof(struct publication *));
    origin->count--;
    publication_free(candidate);
}

/* Publications */

static void seal_transactions(struct ledger *ledger,
                              struct publication *publication)
{
    struct member *member = &ledger->members[publication->machine];

    for (size_t i = member->settled; i < publication->looked; i++) {
        struct transaction *transaction = &member->transactions[i];

        if (transaction->state != PENDING)
            continue;
        transaction->state = SEALED;
        transaction->publication = publication;
    }
    if (member->settled < publication->looked)
        member->settled = publication->looked;
}

void seals_publish(struct ledger *ledger, struct publication *publication)
{
    const struct origin *origin = &ledger->origins[publication->site];

    for (size_t i = 0; i < origin->count; i++) {
        const struct publication *other = origin->list[i];

        if (other != publication && other->state == PUBLISHED &&
            other->to > publication->from)
            world_fail(ledger->world, "I9",
                       "n%zu published (%llu, %llu] though n%zu published"
                       " up to %llu under the same id",
                       publication->machine,
                       (unsigned long long)publication->from,
                       (unsigned long long)publication->to, other->machine,
                       (unsigned long long)other->to);
    }
    publication->state = PUBLISHED;
    ledger->publication_count++;
    seal_transactions(ledger, publication);
}

void seals_withdraw(struct ledger *ledger, size_t site, gv_version above)
{
    struct origin *origin = &ledger->origins[site];

    for (size_t i = 0; i < origin->count; i++) {
        struct publication *publication = origin->list[i];
        struct member *member = &ledger->members[publication->machine];

        if (publication->state != PUBLISHED || publication->to <= above ||
            publication->to <= origin->told)
            continue;
        publication->state = WITHDRAWN;
        for (size_t j = 0; j < member->transaction_count; j++) {
            struct transaction *transaction = &member->transactions[j];

            if (transaction->state != SEALED ||
                transaction->publication != publication)
                continue;
            transaction->state = PENDING;
            transaction->publication = NULL;
            if (member->settled > j)
                member->settled = j;
        }
    }
}

struct publication *seals_find(struct ledger *ledger, size_t site,
                               gv_version to)
{
    struct origin *origin = &ledger->origins[site];

    for (size_t i = origin->count; i > 0; i--)
        if (origin->list[i - 1]->state == PUBLISHED &&
            origin->list[i - 1]->to == to)
            return origin->list[i - 1];
    for (size_t i = origin->count; i > 0; i--)
        if (origin->list[i - 1]->state == CANDIDATE &&
            seals_fit(origin->list[i - 1], to)) {
            seals_publish(ledger, origin->list[i - 1]);
            return origin->list[i - 1];
        }
    return NULL;
}
