/* Nodes as processes of their own, run by the grapevine command. */
#ifndef BENCH_PROCESSES_H
#define BENCH_PROCESSES_H

#include <stdint.h>
#include <sys/types.h>

/* Run the command with @arguments (NULL at the end) and wait; ends the
 * program unless it exits with 0. */
void command_run(const char *const *arguments);
/* Start it and go on; its output goes to @log.  It is ended with this
 * program. */
pid_t command_start(const char *const *arguments, const char *log);
/* SIGTERM, then wait. */
void command_stop(pid_t pid);
/* CPU time that @pid has used, all threads, user and system, in ms. */
int64_t command_cpu_ms(pid_t pid);
/* Use this program instead of the one built beside the benchmark. */
void command_use(const char *path);

#endif
