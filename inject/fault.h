/* SPDX-License-Identifier: MIT */
/*
 * Fault: a test build dies or fails on purpose at a named phase.
 *
 *	PAGETAP_FAULT=grab:die		SIGKILL to whoever performs the phase
 *	PAGETAP_FAULT=grab:fail		the phase fails with EIO
 *	PAGETAP_FAULT=grab:stop		SIGSTOP instead
 *	PAGETAP_FAULT=open:late2	its second call does not end before we give up on it
 *	PAGETAP_FAULT=grab:killparent	SIGKILL to the caller of the library
 *
 * Compiled to nothing unless PAGETAP_FAULTS is defined.
 */
#ifndef INJECT_FAULT_H
#define INJECT_FAULT_H

#include <stdbool.h>
#include <sys/types.h>

#include "pagetap/inject.h"

#ifdef PAGETAP_FAULTS
int fault_at(enum pagetap_phase phase, pid_t caller);
/* Is this call of the phase, the next one, to be late? */
bool fault_late(enum pagetap_phase phase);
#else
static inline bool fault_late(enum pagetap_phase phase)
{
	(void)phase;
	return false;
}

static inline int fault_at(enum pagetap_phase phase, pid_t caller)
{
	(void)phase;
	(void)caller;
	return 0;
}
#endif

#endif
