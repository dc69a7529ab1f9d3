/* SPDX-License-Identifier: MIT */
/* Fault: a test build dies or fails on purpose at a named phase. */

#include "fault.h"

#ifdef PAGETAP_FAULTS

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int fault_at(enum pagetap_phase phase, pid_t caller)
{
	const char *want = getenv("PAGETAP_FAULT"), *name = pagetap_phase_name(phase);
	size_t n = name ? strlen(name) : 0;

	if (!want || !n || strncmp(want, name, n) || want[n] != ':')
		return 0;
	want += n + 1;
	if (!strcmp(want, "fail"))
		return -EIO;
	if (!strcmp(want, "die"))
		kill(getpid(), SIGKILL);
	else if (!strcmp(want, "stop"))
		kill(getpid(), SIGSTOP);
	else if (!strcmp(want, "killparent"))
		kill(caller, SIGKILL);
	return 0;
}

bool fault_late(enum pagetap_phase phase)
{
	const char *want = getenv("PAGETAP_FAULT"), *name = pagetap_phase_name(phase);
	static enum pagetap_phase last;
	static unsigned int calls;
	size_t n = name ? strlen(name) : 0;

	calls = phase == last ? calls + 1 : 1;
	last = phase;
	if (!want || !n || strncmp(want, name, n) || strncmp(want + n, ":late", 5))
		return false;
	return strtoul(want + n + 5, NULL, 10) == calls;
}

#endif
