/* SPDX-License-Identifier: MIT */
/* Head: the header record.  See head.h. */

#include "head.h"

#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "filter-args.h"

/*
 * Both clocks of one instant: the reading of the wall clock that the two readings
 * of the monotonic one enclose most tightly.
 */
static void read_clocks(uint64_t *ret_mono, uint64_t *ret_real)
{
	uint64_t best = UINT64_MAX;

	for (int i = 0; i < 5; i++) {
		uint64_t before = clock_now(), after;
		struct timespec ts;

		clock_gettime(CLOCK_REALTIME, &ts);
		after = clock_now();
		if (after - before >= best)
			continue;
		best = after - before;
		*ret_mono = before + best / 2;
		*ret_real = (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
	}
}

void head_fill(struct head *h, const char *engine, uint32_t modes, uint32_t kinds,
	       uint64_t features, const char *const *argv)
{
	memset(h, 0, sizeof(*h));
	uname(&h->uts);
	filter_args_mode_names(modes, h->modes);
	filter_args_kind_names(kinds, h->events);
	features_names(features, h->features);
	h->header = (struct record_header){
		.version = PAGETAP_VERSION,
		.host = h->uts.nodename,
		.kernel = h->uts.release,
		.arch = h->uts.machine,
		.engine = engine,
		.page_size = (uint32_t)sysconf(_SC_PAGESIZE),
		.modes = h->modes,
		.features = h->features,
		.events = h->events,
		.argv = argv,
	};
	read_clocks(&h->header.base_mono_ns, &h->header.base_real_ns);
}
