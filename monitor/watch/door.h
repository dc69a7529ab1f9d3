/* SPDX-License-Identifier: MIT */
/*
 * Door: the descriptors through which one process is read.
 *
 * The kernel asks for the right to trace a process when its maps, pagemap and mem are
 * opened, not when they are read (mm_access() in proc_mem_open(), fs/proc/base.c).  So
 * a door may be opened by one process (agent.h) and used by another.
 */
#ifndef WATCH_DOOR_H
#define WATCH_DOOR_H

#include <stdbool.h>
#include <sys/types.h>

struct door {
	pid_t pid;		/* 0: none is open */
	int pidfd;
	int procfd;		/* /proc/PID, O_PATH: pins the process */
	int maps;
	int pagemap;		/* -1: this kernel has none */
	int mem;		/* to read alone, of the locks of threads (spare.h); or -1 */
	bool plain;		/* its thread ids are those of our pid namespace */
};

#define DOOR_NULL { .pidfd = -1, .procfd = -1, .maps = -1, .pagemap = -1, .mem = -1 }

/*
 * By the caller's own right.  pidfd is taken, on failure too; -1: one is opened.  What
 * comes out is one process, not two that had the number after one another.  -ESRCH,
 * -EACCES (EPERM is given as this too), -EMFILE.
 */
int door_open(struct door *ret, pid_t pid, int pidfd);
void door_close(struct door *d);

#endif
