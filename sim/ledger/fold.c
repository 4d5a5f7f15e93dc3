/* From publications to rows: a pure function of the set that a vector covers,
 * so the order of folding does not matter. */
#include "ledger_state.h"

#include "base/assert.h"

#include <stdlib.h>
#include <string.h>

struct model_row *fold_row(struct member *member, uint32_t row)
{
    if (row >= member->row_count) {
        size_t count = ((size_t)row + 256) * 3 / 2;

        member->rows = reallocarray(member->rows, count, sizeof *member->rows);
        GV_ASSERT(member->rows != NULL);
        memset(member->rows + member->row_count, 0,
               (count - member->row_count) * sizeof *member->rows);
        member->row_count = count;
    }
    return &member->rows[row];
}

uint32_t fold_shown(const struct ledger *ledger, const struct model_row *model,
                    uint32_t row, size_t column)
{
    if (model->dots[column].version != 0)
        return model->values[column];
    return ledger->initial[names_table(&ledger->names, row)][column];
}

static bool beats(const struct ledger *ledger, struct dot a, struct dot b)
{
    if (a.version != b.version)
        return a.version > b.version;
    return a.version != 0 &&
           memcmp(ledger->origins[a.site].id.bytes,
                  ledger->origins[b.site].id.bytes, sizeof(struct site)) > 0;
}

static void fold_sum(struct ledger *ledger, struct model_row *row,
                     const struct change *change, size_t column)
{
    uint32_t before = fold_shown(ledger, row, change->row, column);
    struct datum sum =
        DATUM_INTEGER(names_integer(&ledger->names, before) +
                      names_integer(&ledger->names, change->values[column]));

    row->values[column] = names_value(&ledger->names, &sum);
}

static void fold_cell(struct ledger *ledger, struct model_row *row,
                      const struct change *change, struct dot dot,
                      size_t column)
{
    size_t table = names_table(&ledger->names, change->row);
    bool sums = tables[table].columns[column].shows == SHOWS_SUM;
    bool won = beats(ledger, dot, row->dots[column]);

    if (sums)
        fold_sum(ledger, row, change, column);
    else if (won)
        row->values[column] = change->values[column];
    if (won)
        row->dots[column] = dot;
}

static void fold_change(struct ledger *ledger, struct member *member,
                        const struct change *change, size_t site)
{
    struct model_row *row = fold_row(member, change->row);
    struct dot dot = {change->version, site};

    if (change->length < row->length)
        return;
    if (change->length > row->length)
        *row = (struct model_row){.length = change->length};
    if (change->existence && beats(ledger, dot, row->existence))
        row->existence = dot;
    for (size_t i = 0; i < TABLE_COLUMNS_MAX; i++)
        if (change->written[i])
            fold_cell(ledger, row, change, dot, i);
}

static void fold_site(struct ledger *ledger, struct member *member,
                      size_t site, gv_version to)
{
    const struct origin *origin = &ledger->origins[site];
    gv_version from = vector_get(&member->vv, site);

    for (size_t i = 0; i < origin->count; i++) {
        const struct publication *publication = origin->list[i];

        if (publication->state != PUBLISHED || publication->to <= from ||
            publication->to > to)
            continue;
        for (size_t j = 0; j < publication->change_count; j++)
            fold_change(ledger, member, &publication->changes[j], site);
    }
    vector_set(&member->vv, site, to);
}

/* I13: what a publication saw is held by whoever holds it. */
static void check_causes(struct ledger *ledger, const struct member *member,
                         size_t machine, size_t site, gv_version from)
{
    const struct origin *origin = &ledger->origins[site];
    gv_version to = vector_get(&member->vv, site);

    for (size_t i = 0; i < origin->count; i++) {
        const struct publication *publication = origin->list[i];

        if (publication->state != PUBLISHED || publication->to <= from ||
            publication->to > to)
            continue;
        for (size_t j = 0; j < publication->seen.count; j++)
            if (publication->seen.at[j] > vector_get(&member->vv, j))
                world_fail(ledger->world, "I13",
                           "n%zu holds version %llu of n%zu, but not what"
                           " was there before it: %llu of another site",
                           machine, (unsigned long long)publication->to,
                           publication->machine,
                           (unsigned long long)publication->seen.at[j]);
    }
}

static gv_version entry_of(const struct vv *vv, const struct site *site)
{
    for (size_t i = 0; i < vv->count; i++)
        if (memcmp(&vv->entries[i].site, site, sizeof *site) == 0)
            return vv->entries[i].version;
    return 0;
}

static bool fallen(struct ledger *ledger, const struct member *member,
                   const struct vv *vv, size_t *site)
{
    for (*site = 0; *site < member->vv.count; (*site)++)
        if (entry_of(vv, &ledger->origins[*site].id) < member->vv.at[*site])
            return true;
    return false;
}

static void start_anew(struct member *member)
{
    if (member->rows != NULL)
        memset(member->rows, 0, member->row_count * sizeof *member->rows);
    if (member->vv.at != NULL)
        memset(member->vv.at, 0, member->vv.count * sizeof *member->vv.at);
}

static void raise_entry(struct ledger *ledger, struct member *member,
                        size_t machine, size_t site, gv_version to)
{
    if (seals_find(ledger, site, to) == NULL) {
        world_fail(ledger->world, "I5",
                   "n%zu holds a site up to %llu, where nothing ends that"
                   " was published",
                   machine, (unsigned long long)to);
        return;
    }
    fold_site(ledger, member, site, to);
}

void fold_follow(struct ledger *ledger, struct member *member, size_t machine,
                 const struct vv *vv, bool back)
{
    gv_version *before;
    size_t site;

    if (fallen(ledger, member, vv, &site)) {
        if (!back) {
            world_fail(
                ledger->world, "I7",
                "n%zu: an entry of its vector fell from %llu to %llu", machine,
                (unsigned long long)member->vv.at[site],
                (unsigned long long)entry_of(vv, &ledger->origins[site].id));
            return;
        }
        start_anew(member);
    }
    before = calloc(vv->count + 1, sizeof *before);
    GV_ASSERT(before != NULL);
    for (size_t i = 0; i < vv->count; i++) {
        site = ledger_site(ledger, &vv->entries[i].site);
        before[i] = vector_get(&member->vv, site);
        if (vv->entries[i].version > before[i])
            raise_entry(ledger, member, machine, site, vv->entries[i].version);
    }
    for (size_t i = 0; i < vv->count; i++)
        if (vv->entries[i].version > before[i])
            check_causes(ledger, member, machine,
                         ledger_site(ledger, &vv->entries[i].site), before[i]);
    free(before);
}
