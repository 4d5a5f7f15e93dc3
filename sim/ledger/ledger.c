#include "ledger_state.h"

#include "base/assert.h"
#include "sim/program/application.h"

#include <stdlib.h>
#include <string.h>

struct ledger *ledger_new(struct world *world, size_t machine_count)
{
    struct datum passing = DATUM_TEXT(TABLES_PASSING);
    struct ledger *ledger = calloc(1, sizeof *ledger);

    GV_ASSERT(ledger != NULL);
    ledger->world = world;
    ledger->member_count = machine_count;
    ledger->members = calloc(machine_count, sizeof *ledger->members);
    GV_ASSERT(ledger->members != NULL);
    names_init(&ledger->names);
    ledger->passing = names_value(&ledger->names, &passing);
    for (size_t i = 0; i < TABLES; i++)
        for (size_t j = 0; j < tables[i].column_count; j++)
            ledger->initial[i][j] =
                names_value(&ledger->names, &tables[i].columns[j].initial);
    return ledger;
}

void ledger_free(struct ledger *ledger)
{
    if (ledger == NULL)
        return;
    for (size_t i = 0; i < ledger->origin_count; i++) {
        for (size_t j = 0; j < ledger->origins[i].count; j++)
            publication_free(ledger->origins[i].list[j]);
        free(ledger->origins[i].list);
    }
    for (size_t i = 0; i < ledger->member_count; i++) {
        struct member *member = &ledger->members[i];

        look_close(&member->look);
        free(member->vv.at);
        free(member->rows);
        free(member->transactions);
        free(member->instead);
    }
    names_close(&ledger->names);
    free(ledger->origins);
    free(ledger->members);
    free(ledger);
}

static struct member *member_of(struct ledger *ledger,
                                const struct machine *machine)
{
    GV_ASSERT(machine_index(machine) < ledger->member_count);
    return &ledger->members[machine_index(machine)];
}

static const struct vv *vv_of(struct machine *machine)
{
    struct keeper *keeper = machine_keeper(machine);

    return keeper->methods->vv(keeper);
}

static size_t site_of(struct ledger *ledger, struct machine *machine)
{
    struct keeper *keeper = machine_keeper(machine);

    return ledger_site(ledger, keeper->methods->site(keeper));
}

static gv_version entry_of(const struct ledger *ledger, const struct vv *vv,
                           size_t site)
{
    for (size_t i = 0; i < vv->count; i++)
        if (memcmp(&vv->entries[i].site, &ledger->origins[site].id,
                   sizeof(struct site)) == 0)
            return vv->entries[i].version;
    return 0;
}

void ledger_unreadable(struct ledger *ledger, const struct member *member,
                       const struct machine *machine)
{
    world_fail(ledger->world, "I19", "n%zu: its tables cannot be read: %s",
               machine_index(machine), look_error(&member->look));
}

void ledger_expect_drops(struct ledger *ledger)
{
    ledger->drops = true;
}

/* Programs */

void ledger_program_committed(struct ledger *ledger, size_t machine,
                              size_t program, int64_t number, bool durable)
{
    struct member *member = &ledger->members[machine];

    if (member->transaction_count == member->transaction_capacity) {
        member->transaction_capacity = member->transaction_capacity * 2 + 64;
        member->transactions =
            reallocarray(member->transactions, member->transaction_capacity,
                         sizeof *member->transactions);
        GV_ASSERT(member->transactions != NULL);
    }
    member->transactions[member->transaction_count++] = (struct transaction){
        .program = application_number(machine, program),
        .number = number,
        .durable = durable,
    };
    ledger->transaction_count++;
}

static void note_vanished(struct ledger *ledger, size_t machine,
                          struct transaction *transaction)
{
    if (transaction->durable || transaction->state == SEALED)
        world_fail(ledger->world, "I4",
                   "n%zu lost transaction #%lld of program %lld, which"
                   " was %s",
                   machine, (long long)transaction->number,
                   (long long)transaction->program,
                   transaction->durable ? "durable" : "sealed");
    transaction->state = VANISHED;
}

/* A crash may have taken transactions that no sync had confirmed, and no
 * others (I4). */
static void look_for_vanished(struct ledger *ledger, struct member *member,
                              struct machine *machine)
{
    for (size_t i = 0; i < member->transaction_count; i++) {
        struct transaction *transaction = &member->transactions[i];
        char id[APPLICATION_LOG_SIZE];
        bool there;

        if (transaction->moved || transaction->state == VANISHED)
            continue;
        application_log_id(transaction->program, transaction->number, id);
        if (!look_written(&member->look, machine_observer(machine),
                          transaction->program, transaction->number, id,
                          &there)) {
            ledger_unreadable(ledger, member, machine);
            return;
        }
        if (!there)
            note_vanished(ledger, machine_index(machine), transaction);
    }
}

/* What a machine's watcher is told */

static bool held_by_anyone(const struct ledger *ledger,
                           const struct publication *publication)
{
    for (size_t i = 0; i < ledger->member_count; i++)
        if (vector_get(&ledger->members[i].vv, publication->site) >=
            publication->to)
            return true;
    return false;
}

/* What only a file had that was put back or lost is nobody's fault. */
static void excuse_lost(struct ledger *ledger)
{
    for (size_t i = 0; i < ledger->origin_count; i++)
        for (size_t j = 0; j < ledger->origins[i].count; j++) {
            struct publication *publication = ledger->origins[i].list[j];

            if (publication->rewound && publication->state == PUBLISHED &&
                !held_by_anyone(ledger, publication))
                publication->excused = true;
        }
}

/* I7, where the own entry has fallen; and what that takes back.  A file that
 * was put back as a whole cannot know: it starts from what it has. */
static void look_back(struct ledger *ledger, struct member *member,
                      struct machine *machine)
{
    gv_version own = entry_of(ledger, vv_of(machine), member->site);
    /* A site that is new moves the origins. */
    bool renewed = site_of(ledger, machine) != member->site;
    struct origin *origin = &ledger->origins[member->site];

    if (member->rewound) {
        if (!renewed && origin->told > own)
            origin->told = own;
        return;
    }
    if (own < origin->told && !renewed)
        world_fail(ledger->world, "I7",
                   "n%zu told others of its %llu, and now holds its own"
                   " up to %llu",
                   machine_index(machine), (unsigned long long)origin->told,
                   (unsigned long long)own);
    if (own < vector_get(&member->vv, member->site))
        seals_withdraw(ledger, member->site, own);
}

void ledger_opened(struct ledger *ledger, struct machine *machine)
{
    struct member *member = member_of(ledger, machine);

    look_forget(&member->look);
    member->candidate = NULL;
    if (member->known)
        look_back(ledger, member, machine);
    member->known = true;
    member->rewound = false;
    member->site = site_of(ledger, machine);
    fold_follow(ledger, member, machine_index(machine), vv_of(machine), true);
    skew_opened(ledger, member, machine);
    look_for_vanished(ledger, member, machine);
    excuse_lost(ledger);
}

void ledger_turning(struct ledger *ledger, struct machine *machine)
{
    struct member *member = member_of(ledger, machine);
    size_t own = member->site;
    gv_version version = entry_of(ledger, vv_of(machine), own);

    /* A seal of which the disk did not confirm the end is in the file. */
    if (version > vector_get(&member->vv, own))
        fold_follow(ledger, member, machine_index(machine), vv_of(machine),
                    false);
    seals_drop(ledger, member);
    seals_look(ledger, member, machine);
}

static void confirm_transactions(struct member *member, bool sealed)
{
    for (size_t i = 0; i < member->looked; i++) {
        struct transaction *transaction = &member->transactions[i];

        if (transaction->state == PENDING)
            transaction->state = UNCHANGED;
        /* The log was synced, with all that came before. */
        transaction->durable |= sealed;
    }
    if (member->settled < member->looked)
        member->settled = member->looked;
}

static void name_unsealed(struct ledger *ledger, struct machine *machine,
                          const struct publication *candidate)
{
    char key[NAMES_KEY_SIZE];
    uint32_t row = candidate->changes[0].row;

    names_format_key(&ledger->names, row, key, sizeof key);
    world_fail(ledger->world, "I20",
               "n%zu sealed nothing though row %s of %s was changed",
               machine_index(machine), key,
               tables[names_table(&ledger->names, row)].name);
}

static void take_sealed(struct ledger *ledger, struct machine *machine,
                        const struct interval *interval,
                        struct publication *candidate)
{
    size_t index = machine_index(machine);

    if (candidate == NULL)
        world_fail(ledger->world, "I5",
                   "n%zu published up to %llu though nothing had changed",
                   index, (unsigned long long)interval->to);
    else if (ledger_site(ledger, &interval->site) != candidate->site ||
             interval->from != candidate->from)
        world_fail(ledger->world, "I14",
                   "n%zu published from %llu, where its own last was %llu",
                   index, (unsigned long long)interval->from,
                   (unsigned long long)candidate->from);
    else if (!seals_fit(candidate, interval->to))
        world_fail(ledger->world, "I14",
                   "n%zu published up to %llu; by its journal's times and"
                   " what it had seen (%llu) it is %llu",
                   index, (unsigned long long)interval->to,
                   (unsigned long long)candidate->seen_max,
                   (unsigned long long)candidate->to);
    else
        seals_publish(ledger, candidate);
}

void ledger_committed(struct ledger *ledger, struct machine *machine,
                      const struct store_sealed *sealed)
{
    struct member *member = member_of(ledger, machine);
    struct publication *candidate = member->candidate;

    member->candidate = NULL;
    if (sealed->any)
        take_sealed(ledger, machine, &sealed->interval, candidate);
    else if (candidate != NULL)
        name_unsealed(ledger, machine, candidate);
    if (world_failed(ledger->world))
        return;
    confirm_transactions(member, sealed->any);
    fold_follow(ledger, member, machine_index(machine), vv_of(machine), false);
    if (look_journal_any(&member->look, machine_observer(machine)))
        world_fail(ledger->world, "I20",
                   "n%zu committed, and its journal is not empty",
                   machine_index(machine));
}

void ledger_died(struct ledger *ledger, struct machine *machine)
{
    struct member *member = member_of(ledger, machine);

    look_forget(&member->look);
    /* Whether it was sealed shows when somebody holds it. */
    member->candidate = NULL;
}

void ledger_told(struct ledger *ledger, struct machine *machine,
                 const struct vv *vv)
{
    struct member *member = member_of(ledger, machine);
    struct origin *origin = &ledger->origins[member->site];
    gv_version told = entry_of(ledger, vv, member->site);

    if (told > vector_get(&member->vv, member->site))
        world_fail(ledger->world, "I21",
                   "n%zu tells of its %llu, which no commit has reported",
                   machine_index(machine), (unsigned long long)told);
    if (origin->told < told)
        origin->told = told;
}

void ledger_rewound(struct ledger *ledger, struct machine *machine)
{
    struct member *member = member_of(ledger, machine);
    size_t index = machine_index(machine);

    look_forget(&member->look);
    member->rewound = true;
    member->candidate = NULL;
    for (size_t i = 0; i < member->transaction_count; i++) {
        struct transaction *transaction = &member->transactions[i];

        transaction->moved = true;
        if (transaction->state == PENDING || transaction->state == UNCHANGED)
            transaction->state = EXCUSED;
    }
    member->settled = member->transaction_count;
    for (size_t i = 0; i < ledger->origin_count; i++)
        for (size_t j = 0; j < ledger->origins[i].count; j++)
            if (ledger->origins[i].list[j]->machine == index)
                ledger->origins[i].list[j]->rewound = true;
}

/* For the figures */

uint64_t ledger_transactions(const struct ledger *ledger)
{
    return ledger->transaction_count;
}

uint64_t ledger_publications(const struct ledger *ledger)
{
    return ledger->publication_count;
}

uint64_t ledger_machine_transactions(const struct ledger *ledger,
                                     size_t machine)
{
    return ledger->members[machine].transaction_count;
}
