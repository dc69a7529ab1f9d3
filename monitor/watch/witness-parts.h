/* SPDX-License-Identifier: MIT */
/* Witness, parts: what its files share.  Private to witness*.c. */
#ifndef WATCH_WITNESS_PARTS_H
#define WATCH_WITNESS_PARTS_H

#include "watch/perf.h"
#include "watch/witness.h"

struct witness_cpu {
	int nr;
	struct perf_ring maps, touches;
	uint64_t seen;		/* head of touches, when witness_busiest() was asked last */
};

struct witness_pair {
	pid_t tid;
	int maps;		/* descriptors; -1: none */
	int touches[2];		/* all of them, or those of the program and of the kernel */
};

struct witness {
	struct witness_cpu *cpus;
	unsigned int ncpus;
	struct witness_pair *events;	/* a thread and CPU each */
	size_t nevents, room, prune_at;
	struct agent *agent;		/* borrowed; may be NULL */
	int epoll;
	enum witness_touches what;
	bool follow, full;
	bool points, unsure;	/* of page faults there are, and could not be used */
	uint64_t lost_maps, lost_touches;	/* told so far */
	uint64_t gone_maps, gone_touches;	/* lost by events that were closed */
};

static inline bool witness_has_chains(const struct witness *w)
{
	return w->what == WITNESS_CHAINS || w->what == WITNESS_WRITES;
}

/* What it has lost since it was opened, see perf_event_lost(). */
uint64_t witness_pair_lost(const struct witness_pair *p);
void witness_pair_close(struct witness_pair *p);

#endif
