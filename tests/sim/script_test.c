#include "sim/script/script.h"

#include "check.h"
#include "grapevine.h"

#include <stdbool.h>

static const struct wishes no_wishes;

static bool wished_off(const struct wishes *wishes, enum fault fault)
{
    return wishes->forbid[fault] || (wishes->only && !wishes->force[fault]);
}

static char *text_of(const struct script *script)
{
    char *text;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    CHECK(out != NULL);
    script_write(script, out);
    CHECK_INT(fclose(out), ==, 0);
    return text;
}

static int read_text(struct script *script, const char *text)
{
    FILE *in = fmemopen((void *)(uintptr_t)text, strlen(text), "r");
    int rc;

    CHECK(in != NULL);
    rc = script_read(script, in);
    fclose(in);
    return rc;
}

/* What holds of every script, also of one that lost some of its actions. */
static void check_script(const struct script *script)
{
    for (size_t i = 0; i < script->count; i++) {
        const struct action *action = &script->actions[i];

        CHECK(i == 0 || action[-1].when <= action->when);
        CHECK_INT(action->when, >=, 0);
        CHECK_INT(action->when, <=, script->swarm.chaos);
        CHECK_INT(action->machine, <, script->swarm.nodes);
        CHECK_INT(action->other, <, script->swarm.nodes);
        CHECK_INT(action->duration, >=, 0);
        CHECK(action->fault == 0 || script->swarm.on[action->fault]);
        if (action->kind == ACTION_RESET || action->kind == ACTION_COPIED_FILE)
            CHECK_INT(action->machine, !=, action->other);
        if (action->kind == ACTION_KILL || action->kind == ACTION_POWER_CUT ||
            action->kind == ACTION_STEP_KILL)
            CHECK_INT(action->amount, >=, 1);
    }
}

static size_t count_kind(const struct script *script, enum action_kind kind)
{
    size_t count = 0;

    for (size_t i = 0; i < script->count; i++)
        count += script->actions[i].kind == kind;
    return count;
}

TEST(a_seed_draws_the_same_script_each_time_and_another_seed_another_one)
{
    struct script first, second, other;
    char *texts[3];

    CHECK_INT(script_draw(&first, 7, &no_wishes), ==, GV_OK);
    CHECK_INT(script_draw(&second, 7, &no_wishes), ==, GV_OK);
    CHECK_INT(script_draw(&other, 8, &no_wishes), ==, GV_OK);
    texts[0] = text_of(&first);
    texts[1] = text_of(&second);
    texts[2] = text_of(&other);
    CHECK_TEXT(texts[0], texts[1]);
    CHECK(strcmp(texts[0], texts[2]) != 0);
    for (size_t i = 0; i < 3; i++)
        free(texts[i]);
    script_close(&first);
    script_close(&second);
    script_close(&other);
}

TEST(drawn_scripts_are_in_order_and_in_range)
{
    for (uint64_t seed = 0; seed < 500; seed++) {
        struct script script;

        CHECK_INT(script_draw(&script, seed, &no_wishes), ==, GV_OK);
        check_script(&script);
        CHECK_INT(script.swarm.nodes, >=, 3);
        CHECK_INT(script.swarm.nodes, <=, 7);
        CHECK_INT(count_kind(&script, ACTION_WRITE), ==,
                  script.swarm.operations);
        script_close(&script);
    }
}

TEST(a_script_read_back_is_the_script_written)
{
    for (uint64_t seed = 0; seed < 200; seed++) {
        struct script script, copy;
        char *text, *again;

        CHECK_INT(script_draw(&script, seed, &no_wishes), ==, GV_OK);
        text = text_of(&script);
        CHECK_INT(read_text(&copy, text), ==, GV_OK);
        again = text_of(&copy);
        CHECK_TEXT(again, text);
        CHECK_INT(copy.count, ==, script.count);
        CHECK(memcmp(&copy.swarm.on, &script.swarm.on, sizeof copy.swarm.on) ==
              0);
        for (size_t i = 0; i < copy.count; i++) {
            const struct action *a = &script.actions[i];
            const struct action *b = &copy.actions[i];

            CHECK(a->when == b->when && a->kind == b->kind &&
                  a->fault == b->fault && a->machine == b->machine &&
                  a->other == b->other && a->amount == b->amount &&
                  a->duration == b->duration && a->seed == b->seed);
        }
        free(text);
        free(again);
        script_close(&script);
        script_close(&copy);
    }
}

TEST(any_part_of_a_script_is_a_script)
{
    struct random random;
    struct script script, part;

    random_seed(&random, 1);
    for (uint64_t seed = 0; seed < 100; seed++) {
        char *text;
        size_t kept = 0;

        CHECK_INT(script_draw(&script, seed, &no_wishes), ==, GV_OK);
        for (size_t i = 0; i < script.count; i++)
            if (random_below(&random, 2) == 0)
                script.actions[kept++] = script.actions[i];
        script.count = kept;
        check_script(&script);
        text = text_of(&script);
        CHECK_INT(read_text(&part, text), ==, GV_OK);
        CHECK_INT(part.count, ==, kept);
        free(text);
        script_close(&part);
        script_close(&script);
    }
}

TEST(a_script_that_is_wrong_is_refused)
{
    static const char mesh[] = "mesh nodes=3 programs=1 chaos=9 sector=512\n";
    static const char *const wrong[] = {
        "",
        "seed 1\n",
        "1.0 write machine=0\n",
        "MESH1.0 sing machine=0\n",
        "MESH1.0\n",
        "MESH1.0 write machine=3\n",
        "MESH1.0 write machine=-1\n",
        "MESH1.0 write machine\n",
        "MESH1.0 write colour=3\n",
        "MESH1.0 write seed=\n",
        "MESH1.0 write fault=nonsense\n",
        "MESH1.0000001 write machine=0\n",
        "MESH-1 write machine=0\n",
        "MESH2 write machine=0\n1 write machine=0\n",
        "MESHon nonsense\n",
        "MESHseed -3\n",
        "mesh nodes=1 sector=512\n",
        "mesh nodes=5000 sector=512\n",
    };

    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        bool with_mesh = strncmp(wrong[i], "MESH", 4) == 0;
        struct script script;
        char text[256];

        snprintf(text, sizeof text, "%s%s", with_mesh ? mesh : "# no mesh\n",
                 wrong[i] + (with_mesh ? 4 : 0));
        CHECK_INT(read_text(&script, text), ==, GV_EINVAL);
        CHECK(script.actions == NULL);
    }
}

TEST(wishes_turn_classes_on_and_off)
{
    struct wishes wishes = {0};

    wishes.force[FAULT_KILL] = true;
    wishes.forbid[FAULT_PARTITION] = true;
    wishes.forbid[FAULT_POWER] = true;
    for (uint64_t seed = 0; seed < 100; seed++) {
        struct script script;

        CHECK_INT(script_draw(&script, seed, &wishes), ==, GV_OK);
        CHECK(script.swarm.on[FAULT_KILL]);
        CHECK_INT(count_kind(&script, ACTION_KILL), >=, 1);
        CHECK_INT(count_kind(&script, ACTION_PARTITION), ==, 0);
        CHECK_INT(count_kind(&script, ACTION_POWER_CUT), ==, 0);
        for (enum fault fault = 1; fault < FAULTS; fault++)
            CHECK(!script.swarm.on[fault] || !wished_off(&wishes, fault));
        script_close(&script);
    }
}

TEST(only_turns_all_others_off)
{
    struct wishes wishes = {.only = true};
    struct script script;

    CHECK_INT(script_draw(&script, 3, &wishes), ==, GV_OK);
    CHECK_INT(count_kind(&script, ACTION_WRITE), ==, script.count);
    script_close(&script);
    wishes.force[FAULT_PAUSE] = true;
    CHECK_INT(script_draw(&script, 3, &wishes), ==, GV_OK);
    CHECK_INT(count_kind(&script, ACTION_PAUSE), >=, 1);
    CHECK_INT(count_kind(&script, ACTION_PAUSE) +
                  count_kind(&script, ACTION_WRITE),
              ==, script.count);
    script_close(&script);
}

TEST(wishing_for_a_class_leaves_the_others_as_the_seed_has_them)
{
    for (uint64_t seed = 0; seed < 100; seed++) {
        struct wishes wishes = {0};
        struct script plain, wished;

        CHECK_INT(script_draw(&plain, seed, &no_wishes), ==, GV_OK);
        wishes.force[FAULT_HUGE] = true;
        CHECK_INT(script_draw(&wished, seed, &wishes), ==, GV_OK);
        plain.swarm.on[FAULT_HUGE] = true;
        CHECK(memcmp(plain.swarm.on, wished.swarm.on, sizeof plain.swarm.on) ==
              0);
        script_close(&plain);
        script_close(&wished);
    }
}

TEST(no_seed_turns_on_what_is_not_built_or_planted)
{
    bool seen[FAULTS] = {false};

    for (uint64_t seed = 0; seed < 1000; seed++) {
        struct script script;

        CHECK_INT(script_draw(&script, seed, &no_wishes), ==, GV_OK);
        for (enum fault fault = 1; fault < FAULTS; fault++)
            seen[fault] |= script.swarm.on[fault];
        script_close(&script);
    }
    for (enum fault fault = 1; fault < FAULTS; fault++)
        CHECK_INT(seen[fault], ==,
                  fault_class(fault)->waits == NULL && fault != FAULT_PLANT);
}

TEST(classes_are_found_by_name_and_by_number)
{
    for (enum fault fault = 1; fault < FAULTS; fault++) {
        char number[16];

        snprintf(number, sizeof number, "%d", (int)fault);
        CHECK_INT(fault_find(fault_class(fault)->name), ==, fault);
        CHECK_INT(fault_find(number), ==, fault);
    }
    CHECK_INT(fault_find("0"), ==, 0);
    CHECK_INT(fault_find("99"), ==, 0);
    CHECK_INT(fault_find(""), ==, 0);
    CHECK_INT(fault_find("kil"), ==, 0);
}

/* Shrinking */

struct artificial {
    size_t tries;
    const struct action *needed[2]; /* of another copy of the script */
};

static bool holds_action(const struct script *script,
                         const struct action *action)
{
    for (size_t i = 0; i < script->count; i++)
        if (script->actions[i].seed == action->seed)
            return true;
    return false;
}

static bool fails_with_both(void *context, const struct script *script)
{
    struct artificial *artificial = context;

    artificial->tries++;
    check_script(script);
    return holds_action(script, artificial->needed[0]) &&
           holds_action(script, artificial->needed[1]);
}

static struct artificial pick_two(const struct script *script, size_t at)
{
    return (struct artificial){
        .needed = {&script->actions[at * 7919 % script->count],
                   &script->actions[(at * 104729 + 1) % script->count]}};
}

TEST(shrinking_finds_the_two_actions_that_are_needed)
{
    for (uint64_t seed = 1; seed < 40; seed++) {
        struct script script, whole;
        struct artificial artificial;
        size_t needed;

        CHECK_INT(script_draw(&script, seed, &no_wishes), ==, GV_OK);
        CHECK_INT(script_draw(&whole, seed, &no_wishes), ==, GV_OK);
        artificial = pick_two(&whole, seed);
        needed = artificial.needed[0] == artificial.needed[1] ? 1 : 2;
        script_shrink(&script, fails_with_both, &artificial, 600);
        CHECK_INT(script.count, ==, needed);
        CHECK(holds_action(&script, artificial.needed[0]));
        CHECK(holds_action(&script, artificial.needed[1]));
        script_close(&script);
        script_close(&whole);
    }
}

TEST(shrinking_turns_off_the_classes_that_are_not_needed)
{
    struct wishes wishes = {.only = true};
    struct script script, whole;
    struct artificial artificial;
    size_t at = 0;

    wishes.force[FAULT_TEXT] = true;
    wishes.force[FAULT_FRAMES] = true;
    wishes.force[FAULT_KILL] = true;
    CHECK_INT(script_draw(&script, 5, &wishes), ==, GV_OK);
    CHECK_INT(script_draw(&whole, 5, &wishes), ==, GV_OK);
    while (whole.actions[at].kind != ACTION_KILL)
        at++;
    artificial = (struct artificial){
        .needed = {&whole.actions[at], &whole.actions[at]}};
    script_shrink(&script, fails_with_both, &artificial, 600);
    CHECK(!script.swarm.on[FAULT_TEXT]);
    CHECK(!script.swarm.on[FAULT_FRAMES]);
    CHECK(script.swarm.on[FAULT_KILL]);
    CHECK_INT(script.count, ==, 1);
    script_close(&script);
    script_close(&whole);
}

TEST(shrinking_stops_at_its_number_of_tries)
{
    struct script script, whole;
    struct artificial artificial;

    CHECK_INT(script_draw(&script, 9, &no_wishes), ==, GV_OK);
    CHECK_INT(script_draw(&whole, 9, &no_wishes), ==, GV_OK);
    artificial = pick_two(&whole, 9);
    script_shrink(&script, fails_with_both, &artificial, 10);
    CHECK_INT(artificial.tries, ==, 10);
    CHECK(holds_action(&script, artificial.needed[0]));
    CHECK(holds_action(&script, artificial.needed[1]));
    script_close(&script);
    script_close(&whole);
}

int main(int argc, char **argv)
{
    return check_main(argc, argv);
}
