/* SPDX-License-Identifier: MIT */
/*
 * Progress: how far the injector has come, where the caller can still read it after
 * the injector has died; and the places where a test build fails on purpose.
 *
 * Lives in memory shared between the two; one writer.
 */
#ifndef INJECT_PROGRESS_H
#define INJECT_PROGRESS_H

#include <stdbool.h>
#include <sys/types.h>

#include "fault.h"
#include "pagetap/inject.h"

struct progress {
	volatile unsigned int phase;	/* enum pagetap_phase */
	volatile bool bent;		/* registers of a thread differ from what they were */
	volatile bool netted;		/* and a net hangs below it */
	volatile bool touched;		/* something was executed in the target */
	bool nested;			/* a visit to another process: phase stays */
	pid_t caller;
};

/* A negative errno only from a fault that a test asked for. */
static inline int progress_enter(struct progress *p, enum pagetap_phase phase)
{
	if (p->nested)
		return 0;
	p->phase = phase;
	return fault_at(phase, p->caller);
}

#endif
