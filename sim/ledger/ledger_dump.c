/* The ledger as lines of JSON: each an object with its kind.  Versions are
 * strings (they exceed 2^53), values are texts that are equal if and only if
 * the values are. */
#include "ledger_state.h"

#include "grapevine.h"

static void put_site(const struct ledger *ledger, size_t site, FILE *out)
{
    char text[33];

    site_format(&ledger->origins[site].id, text);
    fprintf(out, "\"%s\"", text);
}

static void put_vector(const struct ledger *ledger,
                       const struct vector *vector, FILE *out)
{
    const char *comma = "";

    fputc('{', out);
    for (size_t i = 0; i < vector->count; i++) {
        if (vector->at[i] == 0)
            continue;
        fputs(comma, out);
        put_site(ledger, i, out);
        fprintf(out, ":\"%llu\"", (unsigned long long)vector->at[i]);
        comma = ",";
    }
    fputc('}', out);
}

static void put_value(const struct ledger *ledger, uint32_t value, FILE *out)
{
    char text[NAMES_VALUE_SIZE];

    names_format_value(&ledger->names, value, text, sizeof text);
    fprintf(out, "\"%s\"", text);
}

static void put_key(const struct ledger *ledger, uint32_t row, FILE *out)
{
    char text[NAMES_KEY_SIZE];

    names_format_key(&ledger->names, row, text, sizeof text);
    fprintf(out, "\"%s\"", text);
}

static void dump_sums(const struct table *table, FILE *out)
{
    const char *comma = "";

    for (size_t i = 0; i < table->column_count; i++) {
        if (table->columns[i].shows != SHOWS_SUM)
            continue;
        fprintf(out, "%s\"%s\"", comma, table->columns[i].name);
        comma = ",";
    }
}

/* Without skew, the last: machines may show other things of it. */
static void dump_tables(const struct ledger *ledger, FILE *out)
{
    for (size_t i = 0; i < TABLE_SKEW; i++) {
        fprintf(out, "{\"kind\":\"table\",\"name\":\"%s\",\"defaults\":{",
                tables[i].name);
        for (size_t j = 0; j < tables[i].column_count; j++) {
            fprintf(out, "%s\"%s\":", j == 0 ? "" : ",",
                    tables[i].columns[j].name);
            put_value(ledger, ledger->initial[i][j], out);
        }
        fputs("},\"sums\":[", out);
        dump_sums(&tables[i], out);
        fputs("]}\n", out);
    }
}

static void dump_change(const struct ledger *ledger,
                        const struct change *change, FILE *out)
{
    const struct table *table =
        &tables[names_table(&ledger->names, change->row)];
    const char *comma = "";

    fprintf(out, "{\"table\":\"%s\",\"key\":", table->name);
    put_key(ledger, change->row, out);
    fprintf(out, ",\"version\":\"%llu\",\"length\":%u,\"cells\":{",
            (unsigned long long)change->version, change->length);
    for (size_t i = 0; i < table->column_count; i++) {
        if (!change->written[i])
            continue;
        fprintf(out, "%s\"%s\":", comma, table->columns[i].name);
        put_value(ledger, change->values[i], out);
        comma = ",";
    }
    fputs("}}", out);
}

static void dump_publication(const struct ledger *ledger,
                             const struct publication *publication, FILE *out)
{
    const char *comma = "";

    fputs("{\"kind\":\"publication\",\"site\":", out);
    put_site(ledger, publication->site, out);
    fprintf(out, ",\"from\":\"%llu\",\"to\":\"%llu\",\"seen\":",
            (unsigned long long)publication->from,
            (unsigned long long)publication->to);
    put_vector(ledger, &publication->seen, out);
    fputs(",\"changes\":[", out);
    for (size_t i = 0; i < publication->change_count; i++) {
        const struct change *change = &publication->changes[i];

        if (names_table(&ledger->names, change->row) == TABLE_SKEW)
            continue;
        fputs(comma, out);
        dump_change(ledger, change, out);
        comma = ",";
    }
    fputs("]}\n", out);
}

static bool must_be_held(const struct transaction *transaction)
{
    if (transaction->state == SEALED)
        return !transaction->publication->excused;
    return transaction->state == PENDING;
}

static void dump_transactions(const struct ledger *ledger, size_t machine,
                              FILE *out)
{
    const struct member *member = &ledger->members[machine];

    for (size_t i = 0; i < member->transaction_count; i++) {
        const struct transaction *transaction = &member->transactions[i];

        fprintf(out,
                "{\"kind\":\"transaction\",\"machine\":%zu,\"program\":%lld,"
                "\"number\":%lld,\"durable\":%s,\"required\":%s",
                machine, (long long)transaction->program,
                (long long)transaction->number,
                transaction->durable ? "true" : "false",
                must_be_held(transaction) ? "true" : "false");
        if (transaction->state == SEALED) {
            fputs(",\"site\":", out);
            put_site(ledger, transaction->publication->site, out);
            fprintf(out, ",\"to\":\"%llu\"",
                    (unsigned long long)transaction->publication->to);
        }
        fputs("}\n", out);
    }
}

static void dump_row(const struct ledger *ledger, const struct member *member,
                     uint32_t row, FILE *out)
{
    size_t table = names_table(&ledger->names, row);
    const struct look_row *seen = look_at(&member->look, row);

    put_key(ledger, row, out);
    fputs(":{", out);
    for (size_t i = 0; i < tables[table].column_count; i++) {
        fprintf(out, "%s\"%s\":", i == 0 ? "" : ",",
                tables[table].columns[i].name);
        put_value(ledger, seen->values[i], out);
    }
    fputc('}', out);
}

static void dump_machine(const struct ledger *ledger, size_t machine,
                         FILE *out)
{
    const struct member *member = &ledger->members[machine];

    fprintf(out, "{\"kind\":\"machine\",\"index\":%zu,\"vv\":", machine);
    put_vector(ledger, &member->vv, out);
    fputs(",\"tables\":{", out);
    for (size_t table = 0; table < TABLE_SKEW; table++) {
        const char *comma = "";

        fprintf(out, "%s\"%s\":{", table == 0 ? "" : ",", tables[table].name);
        for (uint32_t row = 0; row < ledger->names.rows.count; row++) {
            if (names_table(&ledger->names, row) != table ||
                look_at(&member->look, row) == NULL)
                continue;
            fputs(comma, out);
            dump_row(ledger, member, row, out);
            comma = ",";
        }
        fputc('}', out);
    }
    fputs("}}\n", out);
}

/* The tables are those of the last look; of a machine that does not run there
 * is none. */
int ledger_dump(const struct ledger *ledger, struct machine *const *machines,
                size_t count, FILE *out)
{
    dump_tables(ledger, out);
    for (size_t i = 0; i < ledger->origin_count; i++)
        for (size_t j = 0; j < ledger->origins[i].count; j++)
            if (ledger->origins[i].list[j]->state == PUBLISHED)
                dump_publication(ledger, ledger->origins[i].list[j], out);
    for (size_t i = 0; i < count; i++) {
        if (!machine_alive(machines[i]))
            continue;
        dump_transactions(ledger, machine_index(machines[i]), out);
        dump_machine(ledger, machine_index(machines[i]), out);
    }
    return ferror(out) || fflush(out) != 0 ? GV_EIO : GV_OK;
}
