/* SPDX-License-Identifier: MIT */
/*
 * Head: what line 1 of a trace says about this machine and this run.
 */
#ifndef MONITOR_HEAD_H
#define MONITOR_HEAD_H

#include <sys/utsname.h>

#include "feature-names.h"
#include "trace/record.h"

struct head {
	struct record_header header;	/* points into this struct: do not copy it */
	struct utsname uts;
	const char *modes[8], *events[8], *features[FEATURES_MAX];
};

/*
 * engine: sync, async or both; modes: WATCH_MODE_*; kinds: WATCH_KIND_*; features:
 * UFFD_FEATURE_* of this kernel; argv: NULL-terminated, borrowed.  Takes both clocks now:
 * the base of every ts.
 */
void head_fill(struct head *h, const char *engine, uint32_t modes, uint32_t kinds,
	       uint64_t features, const char *const *argv);

#endif
