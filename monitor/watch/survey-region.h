/* SPDX-License-Identifier: MIT */
/*
 * Survey, region: what is done about a mapping that a reading has found, changed or missed.
 *
 * Private to survey*.c.  Registers what may be watched, tells of it, and declares what may
 * have been written in it before.
 */
#ifndef WATCH_SURVEY_REGION_H
#define WATCH_SURVEY_REGION_H

#include "watch/space.h"

struct survey_pass {
	struct space *s;
	uint64_t since;		/* what is new now was not there then */
	int64_t differences;
};

/* For layout_reconcile_part(); arg: a struct survey_pass. */
void survey_region(void *arg, enum vma_op op, struct region *g);

#endif
