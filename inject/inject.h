/* SPDX-License-Identifier: MIT */
/*
 * Inject: the transaction.  look -> seize -> stop -> call -> hand over -> restore ->
 * detach -> sweep.
 *
 * Runs in a process of its own, which borrow.c starts; everything it uses is in struct
 * inject, because after a fork() in a process with threads nothing may be allocated.
 */
#ifndef INJECT_INJECT_H
#define INJECT_INJECT_H

#include "facts.h"
#include "handover.h"
#include "visit.h"

struct inject {
	/* set by the caller */
	pid_t pid;
	int procfd, pidfd;
	struct facts facts;
	unsigned int flags;
	uint64_t timeout_ns;
	struct progress *progress;

	/* results */
	struct pagetap_failure failure;
	struct pagetap_loan loan;

	struct handover handover;
	struct choose candidates;
	struct visit visit;
	uint64_t since;			/* ticks: before anything was opened */
};

/* 0, or a negative errno and in->failure complete.  On 0 loan.uffd is open. */
int inject_run(struct inject *in);

#endif
