/* SPDX-License-Identifier: MIT */
/* Pick arguments: which part of a trace a command is about.  See pick-args.h. */

#include "pick-args.h"

#include <assert.h>
#include <string.h>

static_assert(PICK_MAX >= FILTER_ARGS_MAX, "room for all");
static_assert(PICK_MAX >= TARGET_ARGS_MAX, "room for all");

static const struct {
	uint32_t option, kind;
} kinds[] = {
	{ WATCH_KIND_MISSING, PICK_KIND_MISSING },
	{ WATCH_KIND_WP, PICK_KIND_WP },
	{ WATCH_KIND_MINOR, PICK_KIND_MINOR },
	{ WATCH_KIND_FORK, PICK_KIND_FORK },
	{ WATCH_KIND_EXIT, PICK_KIND_EXIT },
	{ WATCH_KIND_MAP, PICK_KIND_MAP },
};

int pick_args_pick(const struct pick_args *args, struct pick *ret, struct options_error *ret_error)
{
	const struct filter_args *f = &args->filter;

	if (args->until && args->since >= args->until)
		return options_wrong(ret_error, "--since is not before --until");
	memset(ret, 0, sizeof(*ret));
	memcpy(ret->ranges, f->ranges, sizeof(f->ranges));
	memcpy(ret->globs, f->globs, sizeof(f->globs));
	for (unsigned int i = 0; i < args->targets.n; i++)
		ret->pids[i] = args->targets.pid[i];
	ret->nr_ranges = f->nr_ranges;
	ret->nr_globs = f->nr_globs;
	ret->nr_pids = args->targets.n;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (f->kinds & kinds[i].option)
			ret->kinds |= kinds[i].kind;
	ret->since = args->since;
	ret->until = args->until;
	return 0;
}
