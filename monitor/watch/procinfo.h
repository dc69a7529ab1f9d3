/* SPDX-License-Identifier: MIT */
/*
 * Procinfo: who a process is - name, program, parent, threads - from /proc.
 *
 * Names are the target's bytes: not escaped, not NUL-free beyond their length.
 */
#ifndef WATCH_PROCINFO_H
#define WATCH_PROCINFO_H

#include <limits.h>
#include <stdint.h>
#include <sys/types.h>

struct procinfo {
	pid_t ppid;
	uint32_t threads;
	char state;
	int64_t exit_code;	/* as wait(2) gives it, of a zombie; else 0; -1: not known */
	uint64_t start_time;	/* clock ticks since boot, proc_pid_stat(5) field 22 */
	uint32_t comm_len, exe_len;
	char comm[64];
	char exe[PATH_MAX];	/* empty if it cannot be read */
};

/* procfd: a directory fd of /proc/PID.  -ESRCH when the process has gone. */
int procinfo_read(int procfd, struct procinfo *ret);
/* The same by pid, for a process that no descriptor pins. */
int procinfo_of(pid_t pid, struct procinfo *ret);
/* Page faults that needed no disk (minflt), of all its threads.  -ESRCH. */
int procinfo_faults(int procfd, uint64_t *ret);
/* Pages of it that are in memory.  -ESRCH, and *ret is as before. */
int procinfo_resident(int procfd, uint64_t *ret);
/* The CPU that a thread of it is on, or was on last.  -ESRCH. */
int procinfo_cpu(int procfd, pid_t tid);
/* Tgid of any thread id, through /proc; 0 if it has gone. */
pid_t procinfo_tgid(pid_t tid);

/*
 * Children of a process as /proc/PID/task/TID/children lists them.  Returns how many
 * were stored (at most max).
 */
unsigned int procinfo_children(int procfd, pid_t *ret, unsigned int max);

#endif
