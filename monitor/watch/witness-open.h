/* SPDX-License-Identifier: MIT */
/*
 * Witness, opening: the events that the witness puts on a thread, by our own right or
 * the agent's.
 */
#ifndef WATCH_WITNESS_OPEN_H
#define WATCH_WITNESS_OPEN_H

#include <stdbool.h>
#include <sys/types.h>

#include "watch/agent.h"

enum witness_what {
	WHAT_MAPS,		/* new mappings, threads, programs */
	WHAT_TOUCHES,		/* page faults */
	WHAT_POINT_USER,	/* page faults that are writes, of the program */
	WHAT_POINT_KERNEL,	/* and of the kernel, in its system calls */
};

struct witness_want {
	enum witness_what what;
	pid_t tid;
	int cpu;
	struct agent *agent;	/* may be NULL */
	bool follow;		/* children inherit it, else threads alone */
	bool chains;		/* with the user's call chain */
};

/* The points only where perf_point_of() knows them.  A descriptor or -errno. */
int witness_event_open(const struct witness_want *want);

#endif
