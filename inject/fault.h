/* SPDX-License-Identifier: MIT */
/*
 * Fault: a test build dies or fails on purpose at a named phase.
 *
 *	PAGETAP_FAULT=grab:die		SIGKILL to whoever performs the phase
 *	PAGETAP_FAULT=grab:fail		the phase fails with EIO
 *	PAGETAP_FAULT=grab:stop		SIGSTOP instead
 *	PAGETAP_FAULT=grab:killparent	SIGKILL to the caller of the library
 *
 * Compiled to nothing unless PAGETAP_FAULTS is defined.
 */
#ifndef INJECT_FAULT_H
#define INJECT_FAULT_H

#include <sys/types.h>

#include "pagetap/inject.h"

#ifdef PAGETAP_FAULTS
int fault_at(enum pagetap_phase phase, pid_t caller);
#else
static inline int fault_at(enum pagetap_phase phase, pid_t caller)
{
	(void)phase;
	(void)caller;
	return 0;
}
#endif

#endif
