/* A script as text:
 *
 *     seed 42
 *     mesh nodes=3 programs=1 chaos=93.5 operations=300 sector=512 …
 *     on kill partition
 *     12.000345 write machine=2 seed=77
 *     12.100000 kill machine=1 amount=7 for=2.5 seed=9 fault=kill
 *
 * Times are seconds.  What is 0 is left out.  Lines that begin with '#' are
 * for people. */
#include "script.h"

#include "grapevine.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define MACHINES_MAX 1000
/* Of the counts in a script; 100 years of microseconds fit as well. */
#define NUMBER_MAX INT64_C(4000000000000000)

static const char *const kind_names[ACTIONS] = {
    [ACTION_WRITE] = "write",
    [ACTION_HOLD] = "hold",
    [ACTION_PROGRAM_KILL] = "program-kill",
    [ACTION_KILL] = "kill",
    [ACTION_STEP_KILL] = "step-kill",
    [ACTION_POWER_CUT] = "power-cut",
    [ACTION_PARTITION] = "partition",
    [ACTION_RESET] = "reset",
    [ACTION_CLOG] = "clog",
    [ACTION_DISK] = "disk",
    [ACTION_JUMP] = "jump",
    [ACTION_DRIFT] = "drift",
    [ACTION_PAUSE] = "pause",
    [ACTION_AWAY] = "away",
    [ACTION_OLD_FILE] = "old-file",
    [ACTION_COPIED_FILE] = "copied-file",
    [ACTION_TWIN] = "twin",
    [ACTION_ALTER] = "alter",
};

void script_close(struct script *script)
{
    free(script->actions);
    *script = (struct script){0};
}

/* Writing */

static void time_write(const char *key, sim_time time, FILE *out)
{
    fprintf(out, "%s%" PRId64 ".%06" PRId64, key, time / SIM_SECOND,
            time % SIM_SECOND);
}

static void swarm_write(const struct swarm *swarm, FILE *out)
{
    fprintf(out, "mesh nodes=%zu programs=%zu", swarm->nodes, swarm->programs);
    time_write(" chaos=", swarm->chaos, out);
    fprintf(out,
            " operations=%zu sector=%u characteristics=%d full_sync=%d "
            "strength=%u",
            swarm->operations, swarm->sector, swarm->characteristics,
            swarm->full_sync, swarm->seed_of_strength);
    if (swarm->rows > 0)
        fprintf(out, " rows=%zu", swarm->rows);
    fprintf(out, "\non");
    for (enum fault fault = 1; fault < FAULTS; fault++)
        if (swarm->on[fault])
            fprintf(out, " %s", fault_class(fault)->name);
    fprintf(out, "\n");
}

static void action_write(const struct action *action, FILE *out)
{
    time_write("", action->when, out);
    fprintf(out, " %s machine=%zu", kind_names[action->kind], action->machine);
    if (action->other != 0)
        fprintf(out, " other=%zu", action->other);
    if (action->amount != 0)
        fprintf(out, " amount=%" PRId64, action->amount);
    if (action->duration != 0)
        time_write(" for=", action->duration, out);
    if (action->seed != 0)
        fprintf(out, " seed=%" PRIu64, action->seed);
    if (action->fault != 0)
        fprintf(out, " fault=%s", fault_class(action->fault)->name);
    fprintf(out, "\n");
}

void script_write(const struct script *script, FILE *out)
{
    fprintf(out, "seed %" PRIu64 "\n", script->seed);
    swarm_write(&script->swarm, out);
    for (size_t i = 0; i < script->count; i++)
        action_write(&script->actions[i], out);
}

/* Reading */

struct reader {
    struct script *script;
    size_t capacity;
    size_t line;
    bool wrong;
};

static void complain(struct reader *reader, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void complain(struct reader *reader, const char *format, ...)
{
    va_list arguments;

    if (reader->wrong)
        return;
    reader->wrong = true;
    fprintf(stderr, "the script, line %zu: ", reader->line);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fprintf(stderr, "\n");
}

static int64_t read_number(struct reader *reader, const char *text,
                           int64_t low, int64_t high)
{
    char *end;
    long long number = strtoll(text, &end, 10);

    if (end == text || *end != '\0' || number < low || number > high) {
        complain(reader, "'%s' is not a number from %" PRId64 " to %" PRId64,
                 text, low, high);
        return low;
    }
    return number;
}

static uint64_t read_seed(struct reader *reader, const char *text)
{
    char *end;
    unsigned long long number = strtoull(text, &end, 10);

    if (*text < '0' || *text > '9' || *end != '\0')
        complain(reader, "'%s' is not a seed", text);
    return number;
}

static sim_time read_time(struct reader *reader, char *text)
{
    char digits[7] = "000000";
    char *point = strchr(text, '.');

    if (point != NULL) {
        size_t size = strlen(point + 1);

        if (size > 6 || strspn(point + 1, "0123456789") != size)
            complain(reader, "'%s' is not a time in seconds", text);
        else
            memcpy(digits, point + 1, size);
        *point = '\0';
    }
    return read_number(reader, text, 0, NUMBER_MAX / SIM_SECOND) * SIM_SECOND +
           strtoll(digits, NULL, 10);
}

static enum fault read_fault(struct reader *reader, const char *name)
{
    enum fault fault = fault_find(name);

    if (fault == 0)
        complain(reader, "there is no class of faults '%s'", name);
    return fault;
}

/* Cut @word at its '='.  Returns what follows it. */
static char *value_of(struct reader *reader, char *word)
{
    char *equals = strchr(word, '=');

    if (equals == NULL) {
        complain(reader, "a word of it is not KEY=VALUE");
        return word + strlen(word);
    }
    *equals = '\0';
    return equals + 1;
}

static void read_swarm_word(struct reader *reader, char *word)
{
    struct swarm *swarm = &reader->script->swarm;
    char *value = value_of(reader, word);

    if (strcmp(word, "nodes") == 0)
        swarm->nodes = (size_t)read_number(reader, value, 2, MACHINES_MAX);
    else if (strcmp(word, "programs") == 0)
        swarm->programs = (size_t)read_number(reader, value, 1, 16);
    else if (strcmp(word, "chaos") == 0)
        swarm->chaos = read_time(reader, value);
    else if (strcmp(word, "operations") == 0)
        swarm->operations = (size_t)read_number(reader, value, 0, NUMBER_MAX);
    else if (strcmp(word, "rows") == 0)
        swarm->rows = (size_t)read_number(reader, value, 0, NUMBER_MAX);
    else if (strcmp(word, "sector") == 0)
        swarm->sector = (unsigned)read_number(reader, value, 512, 65536);
    else if (strcmp(word, "characteristics") == 0)
        swarm->characteristics = (int)read_number(reader, value, 0, INT32_MAX);
    else if (strcmp(word, "full_sync") == 0)
        swarm->full_sync = read_number(reader, value, 0, 1) != 0;
    else if (strcmp(word, "strength") == 0)
        swarm->seed_of_strength =
            (unsigned)read_number(reader, value, 0, UINT32_MAX);
    else
        complain(reader, "a mesh has no '%s'", word);
}

static void read_action_word(struct reader *reader, struct action *action,
                             char *word)
{
    int64_t machine_max = (int64_t)reader->script->swarm.nodes - 1;
    char *value = value_of(reader, word);

    if (strcmp(word, "machine") == 0)
        action->machine = (size_t)read_number(reader, value, 0, machine_max);
    else if (strcmp(word, "other") == 0)
        action->other = (size_t)read_number(reader, value, 0, machine_max);
    else if (strcmp(word, "amount") == 0)
        action->amount = read_number(reader, value, -NUMBER_MAX, NUMBER_MAX);
    else if (strcmp(word, "for") == 0)
        action->duration = read_time(reader, value);
    else if (strcmp(word, "seed") == 0)
        action->seed = read_seed(reader, value);
    else if (strcmp(word, "fault") == 0)
        action->fault = read_fault(reader, value);
    else
        complain(reader, "an action has no '%s'", word);
}

static enum action_kind read_kind(struct reader *reader, const char *name)
{
    for (enum action_kind kind = 0; kind < ACTIONS; kind++)
        if (name != NULL && strcmp(name, kind_names[kind]) == 0)
            return kind;
    complain(reader, "there is no action '%s'", name != NULL ? name : "");
    return 0;
}

static struct action *read_append(struct reader *reader)
{
    struct script *script = reader->script;

    if (script->count == reader->capacity) {
        size_t capacity = reader->capacity * 2 + 64;
        struct action *actions =
            reallocarray(script->actions, capacity, sizeof *actions);

        if (actions == NULL) {
            complain(reader, "out of memory");
            return NULL;
        }
        script->actions = actions;
        reader->capacity = capacity;
    }
    script->actions[script->count] = (struct action){0};
    return &script->actions[script->count++];
}

static void read_action(struct reader *reader, char *time, char **rest)
{
    struct action *action = read_append(reader);
    char *word;

    if (action == NULL)
        return;
    if (reader->script->swarm.nodes == 0)
        complain(reader, "an action before the line of the mesh");
    action->when = read_time(reader, time);
    action->kind = read_kind(reader, strtok_r(NULL, " \n", rest));
    while ((word = strtok_r(NULL, " \n", rest)) != NULL)
        read_action_word(reader, action, word);
    if (reader->script->count > 1 && action[-1].when > action->when)
        complain(reader, "an action before the one above it");
}

static void read_line(struct reader *reader, char *line)
{
    char *rest;
    char *word = strtok_r(line, " \n", &rest);

    if (word == NULL || word[0] == '#')
        return;
    if (strcmp(word, "seed") == 0) {
        word = strtok_r(NULL, " \n", &rest);
        reader->script->seed = read_seed(reader, word != NULL ? word : "");
    } else if (strcmp(word, "mesh") == 0) {
        while ((word = strtok_r(NULL, " \n", &rest)) != NULL)
            read_swarm_word(reader, word);
    } else if (strcmp(word, "on") == 0) {
        while ((word = strtok_r(NULL, " \n", &rest)) != NULL)
            reader->script->swarm.on[read_fault(reader, word)] = true;
    } else {
        read_action(reader, word, &rest);
    }
}

int script_read(struct script *script, FILE *in)
{
    struct reader reader = {.script = script};
    char *line = NULL;
    size_t size = 0;

    *script = (struct script){0};
    while (!reader.wrong && getline(&line, &size, in) >= 0) {
        reader.line++;
        read_line(&reader, line);
    }
    free(line);
    if (script->swarm.nodes == 0 || script->swarm.sector == 0)
        complain(&reader, "it ends without the line of the mesh");
    if (reader.wrong) {
        script_close(script);
        return GV_EINVAL;
    }
    return 0;
}
