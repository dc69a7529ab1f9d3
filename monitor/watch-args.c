/* SPDX-License-Identifier: MIT */
/* Watch arguments: what goes with what.  See watch-args.h. */

#include "watch-args.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"

#define WATCHDOG_MIN (50 * NSEC_PER_MSEC)

int watch_args_watchdog(void *member, const char *word, struct options_error *e)
{
	uint64_t ns = 0;

	if (strcmp(word, "0") && (!options_seconds(word, &ns) || ns < WATCHDOG_MIN))
		return options_wrong(e, "'%s' is neither 0 nor at least 0.05 seconds", word);
	*(uint64_t *)member = ns;
	return 0;
}

const char *watch_args_wants_sync(const struct watch_args *a)
{
	return a->rearm_ms ? "--rearm" :
	       a->granularity > 1 ? "--granularity" :
	       a->max_faults ? "--count" :
	       filter_args_filter(&a->filter).modes != WATCH_MODE_WRITE ?
	       "--mode missing or minor" : NULL;
}

const char *watch_args_wants_async(const struct watch_args *a)
{
	return a->who ? "--who" :
	       a->sure ? "--sure" :
	       a->epoch_ms ? "--epoch" :
	       a->budget_ppm ? "--budget" : NULL;
}

int watch_args_check(struct watch_args *a, char **argv, int argc, int operand,
		     struct options_error *e)
{
	const uint32_t modes = filter_args_filter(&a->filter).modes;

	if (operand < argc && a->targets.n)
		return options_wrong(e, "either -p or a COMMAND, not both");
	if (operand >= argc && !a->targets.n)
		return options_wrong(e, "no process: -p PID, or -- COMMAND");
	if (!(modes & WATCH_MODE_WRITE) && (a->rearm_ms || a->granularity > 1))
		return options_wrong(e, "%s needs --mode write",
				     a->rearm_ms ? "--rearm" : "--granularity");
	if (engine_check(a->engine, watch_args_wants_sync(a), watch_args_wants_async(a), e))
		return -EINVAL;
	if (a->sure && !a->who && !a->may_who)
		return options_wrong(e, "--sure needs --who");
	if (a->engine == ENGINE_BOTH && modes != WATCH_MODE_WRITE)
		return options_wrong(e, "--mode missing or minor needs --engine sync");
	if (a->engine == ENGINE_BOTH && !(a->filter.nr_ranges + a->filter.nr_globs))
		return options_wrong(e, "--engine both needs -m or -a");
	a->command = operand < argc ? argv + operand : NULL;
	a->argv = (const char *const *)argv - 1;
	return 0;
}

struct session_opts watch_args_opts(const struct watch_args *a, bool async)
{
	return (struct session_opts){
		.filter = filter_args_filter(&a->filter),
		.kinds = a->filter.kinds ? a->filter.kinds : WATCH_KIND_ALL,
		.async = async,
		.both = a->engine == ENGINE_BOTH,
		.who = a->who,
		.sure = a->sure,
		.epoch_ns = a->epoch_ms * NSEC_PER_MSEC,
		.budget_ppm = a->budget_ppm,
		.follow = a->follow,
		.rearm_ns = a->rearm_ms * NSEC_PER_MSEC,
		.granularity = (unsigned int)a->granularity,
		.duration_ns = a->duration_ns,
		.max_faults = a->max_faults,
		.watchdog_ns = a->watchdog_ns,
		.max_processes = (unsigned int)a->max_processes,
		.output_fd = -1,
		.limit_fd = -1,
	};
}
