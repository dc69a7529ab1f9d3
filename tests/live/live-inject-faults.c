/* SPDX-License-Identifier: MIT */
/*
 * The injector's own death and failure, at every named phase and at random.
 *
 *	live-inject-faults [PART-OF-A-NAME]
 *
 * The files that know phases are compiled in here once more with PAGETAP_FAULTS, so
 * that this program needs no other build of the library.
 *
 * limit: 280
 */

#define PAGETAP_FAULTS
#include "../../inject/fault.c"

#include "../../inject/borrow.c"
#include "../../inject/handover.c"
#include "../../inject/inject.c"
#include "../../inject/injector.c"
#include "../../inject/net.c"
#include "../../inject/remote.c"
#include "../../inject/visit.c"

#include "inject/cases-faults.h"

#define EACH(words, what) \
	{ "one thread, " words, case_phases, FAULT_##what }, \
	{ "four threads, " words, case_phases, FAULT_##what | FAULT_THREADS }

static const struct live_case cases[] = {
	EACH("injector dies at each phase x20", DIE),
	EACH("each phase fails x20", FAIL),
	EACH("caller killed at each phase", KILLPARENT),
	{ "blocked in a call, injector dies at each phase", case_blocked_die, 0 },
	{ "device lent, injector dies at each phase", case_lent_die, 2 },
	{ "device lent, one thread, injector dies at each phase", case_lent_die, 1 },
	{ "coroutine, injector dies at each phase with a net", case_coroutine_die, 0 },
	{ "one thread, injector killed at random x300", case_random, 1 },
	{ "four threads, injector killed at random x300", case_random, 4 },
	{ "one thread, caller killed at random x100", case_random_caller, 1 },
	{ "four threads, caller killed at random x100", case_random_caller, 4 },
	{ "a call is given up on before it ends", case_late, LATE_PLAIN },
	{ "one thread, a call is given up on before it ends", case_late, LATE_ALONE },
	{ "device lent, a call is given up on before it ends", case_late, LATE_LENT },
	{ "the pid is another process meanwhile", case_recycled, 0 },
	{ "the process is gone meanwhile", case_recycled, 1 },
	{ "the look at it takes longer than it may take to stop", case_slow_look, 0 },
	{ "injector stopped for ever is not waited for for ever", case_stopped_injector, 0 },
};

int main(int argc, char **argv)
{
	return cases_run(cases, sizeof(cases) / sizeof(cases[0]), argc, argv);
}
