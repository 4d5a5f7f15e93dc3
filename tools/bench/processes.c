#include "processes.h"

#include "measure.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define COMMANDS_MAX 8
#define ARGUMENTS_MAX 32

static const char *program = BENCH_GRAPEVINE;
static pid_t started[COMMANDS_MAX];

void command_use(const char *path)
{
    program = path;
}

static void stop_all(void)
{
    for (int i = 0; i < COMMANDS_MAX; i++)
        if (started[i] != 0)
            kill(started[i], SIGTERM);
}

static _Noreturn void become(const char *const *arguments, const char *log)
{
    char *list[ARGUMENTS_MAX] = {strdup(program)};
    int file = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);

    for (int i = 0; arguments[i] != NULL && i + 2 < ARGUMENTS_MAX; i++)
        list[i + 1] = strdup(arguments[i]);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (file >= 0) {
        dup2(file, STDOUT_FILENO);
        dup2(file, STDERR_FILENO);
    }
    execv(program, list);
    fprintf(stderr, "Cannot run %s: %s.\n", program, strerror(errno));
    _exit(127);
}

static pid_t spawn(const char *const *arguments, const char *log)
{
    pid_t pid;

    fflush(NULL);
    pid = fork();
    if (pid < 0)
        die("Cannot start a process: %s.", strerror(errno));
    if (pid == 0)
        become(arguments, log);
    return pid;
}

static void show(const char *log)
{
    char line[512];
    FILE *file = fopen(log, "r");

    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        fputs(line, stderr);
    if (file != NULL)
        fclose(file);
}

void command_run(const char *const *arguments)
{
    const char *log = directory_file("command.log");
    pid_t pid = spawn(arguments, log);
    int status;

    if (waitpid(pid, &status, 0) != pid || status != 0) {
        show(log);
        die("%s %s failed.", program, arguments[0]);
    }
}

pid_t command_start(const char *const *arguments, const char *log)
{
    static bool registered;
    int slot = 0;

    if (!registered)
        atexit(stop_all);
    registered = true;
    while (slot < COMMANDS_MAX && started[slot] != 0)
        slot++;
    if (slot == COMMANDS_MAX)
        die("Too many nodes.");
    started[slot] = spawn(arguments, log);
    return started[slot];
}

void command_stop(pid_t pid)
{
    for (int i = 0; i < COMMANDS_MAX; i++)
        if (started[i] == pid)
            started[i] = 0;
    kill(pid, SIGTERM);
    waitpid(pid, NULL, 0);
}

int64_t command_cpu_ms(pid_t pid)
{
    char path[64], text[1024], *at;
    unsigned long long user = 0, system = 0;
    FILE *file;
    size_t size;

    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    file = fopen(path, "r");
    if (file == NULL)
        die("The node %d ended.", (int)pid);
    size = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[size] = '\0';
    /* The name in brackets may hold anything; fields 14 and 15 follow. */
    at = strrchr(text, ')');
    if (at == NULL ||
        sscanf(at + 1,
               " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu"
               " %llu",
               &user, &system) != 2)
        die("Cannot read %s.", path);
    return (int64_t)((user + system) * 1000 /
                     (unsigned long long)sysconf(_SC_CLK_TCK));
}
