/* SPDX-License-Identifier: MIT */
/*
 * Demo view: the three busiest mappings of a finished trace.
 *
 * Reads the file again, as any other program would; knows nothing of the run.
 */
#ifndef MONITOR_DEMO_VIEW_H
#define MONITOR_DEMO_VIEW_H

#include "picture.h"

#define DEMO_VIEW_MAX 3

struct demo_view {
	uint64_t missing, wp;		/* faults by kind */
	unsigned int n;
	struct picture picture[DEMO_VIEW_MAX];	/* by address */
	char name[DEMO_VIEW_MAX][64];	/* foreign bytes, cut, NUL-terminated */
};

/* An uncompressed trace.  -EBADMSG: not one; -errno. */
int demo_view_read(const char *path, struct demo_view *ret);
void demo_view_done(struct demo_view *v);

#endif
