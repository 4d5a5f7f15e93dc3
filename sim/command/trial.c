#include "trial.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* Of CPU, for each ten minutes that the script lasts: a run of three minutes
 * takes less than a second, with a sanitizer some seconds.  The month of
 * FAULT_CHURN, in which all are away, costs nothing. */
#define HANG_SECONDS 120
#define MONTH (30 * 86400 * SIM_SECOND)
/* A run that waits for something real, which nothing here should. */
#define STILL_SECONDS 1800
#define TAIL_SIZE 65536
#define TAIL_LINES 40
#define TOLD_MAX (1 << 20)

/* What the process leaves behind, also when it dies. */
struct trial_room {
    bool done;
    struct run_result result;
    size_t tail_size; /* bytes ever written */
    char tail[TAIL_SIZE];
};

static _Noreturn void give_up(const char *what)
{
    fprintf(stderr, "gvsim: %s: %s\n", what, strerror(errno));
    exit(2);
}

static ssize_t tail_write(void *cookie, const char *bytes, size_t size)
{
    struct trial_room *room = cookie;

    for (size_t i = 0; i < size; i++)
        room->tail[room->tail_size++ % TAIL_SIZE] = bytes[i];
    return (ssize_t)size;
}

static FILE *tail_open(struct trial_room *room)
{
    FILE *tail =
        fopencookie(room, "w", (cookie_io_functions_t){.write = tail_write});

    if (tail == NULL)
        give_up("fopencookie");
    setvbuf(tail, NULL, _IOLBF, 4096);
    return tail;
}

/* The last lines of the tail. */
static void tail_print(const struct trial_room *room, FILE *out)
{
    size_t begin = room->tail_size;
    size_t first =
        room->tail_size > TAIL_SIZE ? room->tail_size - TAIL_SIZE : 0;
    size_t lines = 0;

    while (begin > first && (room->tail[(begin - 1) % TAIL_SIZE] != '\n' ||
                             lines++ < TAIL_LINES))
        begin--;
    for (; begin < room->tail_size; begin++)
        fputc(room->tail[begin % TAIL_SIZE], out);
}

/* The process */

static void limit(const struct script *script)
{
    sim_time busy = script->swarm.chaos;
    rlim_t seconds = HANG_SECONDS;
    struct rlimit cpu;

    if (script->swarm.on[FAULT_CHURN] && busy > MONTH)
        busy -= MONTH;
    seconds += (rlim_t)(busy / (600 * SIM_SECOND)) * HANG_SECONDS;
    cpu = (struct rlimit){seconds, seconds + 5};
    setrlimit(RLIMIT_CPU, &cpu);
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    alarm((unsigned)seconds + STILL_SECONDS);
}

static void run_again(const struct script *script,
                      const struct trial_options *options,
                      struct run_result *result)
{
    struct run_options again = options->run;
    struct run_result second = {0};

    again.follow = NULL;
    again.ledger = NULL;
    run_script(script, &again, &second);
    if (result->broken[0] != '\0' || result->hash == second.hash)
        return;
    snprintf(result->broken, sizeof result->broken, "I24");
    snprintf(result->failure, sizeof result->failure,
             "the first run's trace hashes to %016" PRIx64
             ", the second one's to %016" PRIx64,
             result->hash, second.hash);
}

static _Noreturn void be_trial(const struct trial *trial,
                               const struct script *script,
                               const struct trial_options *options)
{
    limit(script);
    if (dup2(trial->told, STDERR_FILENO) < 0)
        give_up("dup2");
    run_script(script, &options->run, &trial->room->result);
    if (options->twice)
        run_again(script, options, &trial->room->result);
    trial->room->done = true;
    exit(0);
}

void trial_start(struct trial *trial, const struct script *script,
                 const struct trial_options *options)
{
    *trial = (struct trial){.seed = script->seed, .swarm = script->swarm};
    trial->room = mmap(NULL, sizeof *trial->room, PROT_READ | PROT_WRITE,
                       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (trial->room == MAP_FAILED)
        give_up("mmap");
    trial->told = memfd_create("told", MFD_CLOEXEC);
    if (trial->told < 0)
        give_up("memfd_create");
    /* What is in the buffers would be written twice. */
    fflush(NULL);
    trial->pid = fork();
    if (trial->pid < 0)
        give_up("fork");
    if (trial->pid == 0)
        be_trial(trial, script, options);
}

/* How it ended */

static char *take_told(int told)
{
    off_t size = lseek(told, 0, SEEK_END);
    char *text;
    ssize_t got = 0;

    if (size > TOLD_MAX)
        size = TOLD_MAX;
    text = calloc(1, (size_t)size + 1);
    if (text == NULL)
        give_up("calloc");
    if (size > 0)
        got = pread(told, text, (size_t)size, 0);
    if (got >= 0)
        text[got] = '\0';
    close(told);
    return text;
}

/* A process that died leaves no verdict, whatever it had found before. */
static void judge_death(struct run_result *result, int status)
{
    const char *broken = "exit";

    if (WIFSIGNALED(status)) {
        int signal = WTERMSIG(status);

        broken = signal == SIGABRT ? "assert" : "crash";
        if (signal == SIGXCPU || signal == SIGALRM || signal == SIGKILL)
            broken = "hang";
        snprintf(result->failure, sizeof result->failure,
                 "the run ended by signal %d (%s)", signal, strsignal(signal));
    } else {
        snprintf(result->failure, sizeof result->failure,
                 "the run ended with exit code %d", WEXITSTATUS(status));
    }
    snprintf(result->broken, sizeof result->broken, "%s", broken);
}

void trial_end(struct trial *trial, int status, struct outcome *outcome)
{
    *outcome = (struct outcome){.seed = trial->seed,
                                .swarm = trial->swarm,
                                .result = trial->room->result};
    if (!trial->room->done || status != 0)
        judge_death(&outcome->result, status);
    outcome->told = take_told(trial->told);
    munmap(trial->room, sizeof *trial->room);
    trial->room = NULL;
}

void trial_wait(struct trial *trial, struct outcome *outcome)
{
    int status;

    while (waitpid(trial->pid, &status, 0) < 0)
        if (errno != EINTR)
            give_up("waitpid");
    trial_end(trial, status, outcome);
}

bool outcome_died(const struct outcome *outcome)
{
    static const char *const deaths[] = {"assert", "crash", "hang", "exit"};

    for (size_t i = 0; i < sizeof deaths / sizeof deaths[0]; i++)
        if (strcmp(outcome->result.broken, deaths[i]) == 0)
            return true;
    return false;
}

/* The same run again, with its notes written where they outlive it. */
void trial_narrate_death(const struct script *script,
                         const struct trial_options *options,
                         struct outcome *outcome)
{
    struct trial_room *room = mmap(NULL, sizeof *room, PROT_READ | PROT_WRITE,
                                   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct trial_options again = *options;
    struct outcome second;
    struct trial trial;
    FILE *told;
    char *text;
    size_t size;

    if (room == MAP_FAILED)
        give_up("mmap");
    again.run.follow = tail_open(room);
    again.run.ledger = NULL;
    trial_start(&trial, script, &again);
    trial_wait(&trial, &second);
    told = open_memstream(&text, &size);
    if (told == NULL)
        give_up("open_memstream");
    tail_print(room, told);
    fprintf(told, "%s", second.told);
    fclose(told);
    fclose(again.run.follow);
    munmap(room, sizeof *room);
    outcome_close(&second);
    free(outcome->told);
    outcome->told = text;
}

void trial_run(const struct script *script,
               const struct trial_options *options, struct outcome *outcome)
{
    struct trial trial;

    trial_start(&trial, script, options);
    trial_wait(&trial, outcome);
    if (outcome_died(outcome))
        trial_narrate_death(script, options, outcome);
}

void outcome_close(struct outcome *outcome)
{
    free(outcome->told);
    outcome->told = NULL;
}
