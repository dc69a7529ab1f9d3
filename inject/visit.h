/* SPDX-License-Identifier: MIT */
/*
 * Visit: a thread stopped, with room for arguments and a net below it, until it runs on
 * exactly as it was found.
 *
 *	visit_open(v, procfd, tid)	seize, stop, save
 *	net_hang(v)			net.h: scratch, net, signals blocked
 *	remote_call(v, ...)		remote.h
 *	visit_close(v)			everything back, detached
 */
#ifndef INJECT_VISIT_H
#define INJECT_VISIT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "arch.h"
#include "choose.h"
#include "dispatch.h"
#include "memory.h"
#include "pagetap/inject.h"
#include "seat.h"
#include "progress.h"
#include "scratch.h"
#include "tracee.h"

#define VISIT_ARGS 1024			/* bytes for arguments, at scratch.at */

struct visit;
/*
 * A call that makes or closes a descriptor was given up on before it ended: what became
 * of it, so that the descriptor is known and can be closed.
 */
typedef void (*visit_outcome)(struct visit *v, bool made, int64_t result);

struct visit {
	/* set by the caller before visit_open() */
	struct progress *progress;
	struct pagetap_failure *failure;
	unsigned int flags;		/* PAGETAP_* */
	bool alone;			/* no other thread or process uses its descriptors */
	bool shadow_stack;
	pid_t self;			/* the process in its own pid namespace */
	uint64_t patience;		/* ns, for a thread to stop */

	struct tracee tracee;
	struct memory memory;
	struct arch_insns insns;
	struct scratch scratch;
	struct arch_net net;
	struct arch_regs home;		/* what the thread gets back */
	struct arch_regs bent;
	struct dispatch dispatch;	/* as found */
	bool is_saved, is_bent, mask_set, has_net;
	bool was_bare;			/* some call was made without a net below it */
	int seccomp;			/* mode of the thread */
	int fds[ARCH_NET_FDS];		/* descriptors of ours in the target, -1 none */
	visit_outcome outcome;		/* of the call under way; NULL: it opens nothing */
	struct { unsigned int slot; int fd; } closing;
	int taskdir;			/* /proc/PID/task; -1: not open */
	struct seat seat;		/* of ours, while it is stopped */
	uint64_t tid_word;		/* of the thread, as tidword.h tells; 0: not known */
	unsigned int calls;
	unsigned int refusals;		/* of PTRACE_SEIZE, over all attempts */
	uint64_t stopped_at;
	unsigned char room[65536];	/* for searching text, and the image of the net */
};

/* Before the first visit_open(): memory, instructions.  Touches nothing. */
int visit_prepare(struct visit *v, int procfd);
/* Choose among candidates, seize, check that it is still start_time's process, stop. */
int visit_open(struct visit *v, int procfd, int pidfd, uint64_t start_time,
	       const struct choose *candidates);
/* Undo everything that is still done.  0, or what failed; *ret_ns: how long it stood. */
int visit_close(struct visit *v, uint64_t *ret_ns);
/* Close descriptors of our own; without effect on the target. */
void visit_done(struct visit *v);

#endif
