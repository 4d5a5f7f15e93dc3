#include "base/hook.h"

#ifdef GV_TEST_HOOKS

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOOKS_MAX 16

struct hook {
    const char *place;
    size_t place_size;
    unsigned long passing; /* the one that is armed, from 1 */
    atomic_ulong passed;
};

static struct hook hooks[HOOKS_MAX];
static size_t hook_count;

/* A test that armed nothing by a slip of the pen would prove nothing. */
static _Noreturn void hook_refuse(const char *text)
{
    fprintf(stderr, "GRAPEVINE_HOOK: expected PLACE:N[,PLACE:N...], not %s\n",
            text);
    abort();
}

/* Read one PLACE:N at @text; returns what follows it. */
static const char *hook_parse_one(const char *text)
{
    struct hook *hook = &hooks[hook_count];
    const char *colon = strchr(text, ':');
    char *end;

    if (colon == NULL || colon == text || hook_count == HOOKS_MAX)
        hook_refuse(text);
    hook->place = text;
    hook->place_size = (size_t)(colon - text);
    hook->passing = strtoul(colon + 1, &end, 10);
    if (hook->passing == 0 || (*end != '\0' && *end != ','))
        hook_refuse(text);
    hook_count++;
    return *end == ',' ? end + 1 : end;
}

static void hook_parse(void)
{
    const char *text = getenv("GRAPEVINE_HOOK");

    if (text == NULL || (text = strdup(text)) == NULL)
        return;
    while (*text != '\0')
        text = hook_parse_one(text);
}

static pthread_once_t hooks_read = PTHREAD_ONCE_INIT;

static bool hook_is(const struct hook *hook, const char *place)
{
    return hook->place_size == strlen(place) &&
           memcmp(hook->place, place, hook->place_size) == 0;
}

bool hook_reached(const char *place)
{
    bool reached = false;

    pthread_once(&hooks_read, hook_parse);
    for (size_t i = 0; i < hook_count; i++) {
        struct hook *hook = &hooks[i];
        if (hook_is(hook, place))
            reached |= atomic_fetch_add(&hook->passed, 1) + 1 == hook->passing;
    }
    return reached;
}

unsigned long hook_number(const char *place, unsigned long otherwise)
{
    pthread_once(&hooks_read, hook_parse);
    for (size_t i = 0; i < hook_count; i++) {
        if (hook_is(&hooks[i], place))
            return hooks[i].passing;
    }
    return otherwise;
}

void hook_kill(const char *place)
{
    if (hook_reached(place))
        raise(SIGKILL);
}

#endif
