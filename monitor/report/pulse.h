/* SPDX-License-Identifier: MIT */
/*
 * Pulse: how often each of many things happens now, and did a moment ago.
 *
 * Pure.  What happens is added; an interval is closed when it is known how long it was, which
 * makes rates of what was added since the last one.  Each thing keeps its last intervals.
 */
#ifndef REPORT_PULSE_H
#define REPORT_PULSE_H

#include <stddef.h>
#include <stdint.h>

#include "report/keys.h"

#define PULSE_STRIP 128u
/* More things than that are one, whose key is PULSE_OTHERS twice. */
#define PULSE_ROWS_MAX 8192u
#define PULSE_OTHERS UINT64_MAX

struct pulse_row {
	uint64_t a, b;			/* its key */
	uint64_t now;			/* since the last interval was closed */
	uint64_t last;			/* in the last one */
	uint64_t rate;			/* a second, in the last one */
	uint64_t total;
	uint32_t strip[PULSE_STRIP];	/* rates, a ring; see pulse_past() */
};

/* Everything is for reading. */
struct pulse {
	struct keys keys;
	struct pulse_row *rows;		/* keys.n */
	size_t room;
	struct pulse_row all;		/* of everything */
	uint64_t closed;		/* intervals */
	uint64_t covered_ns;		/* the length of the last one */
};

/* n of the thing with that key.  -ENOMEM. */
int pulse_add(struct pulse *p, uint64_t a, uint64_t b, uint64_t n);
/* ns: at least 1. */
void pulse_close(struct pulse *p, uint64_t ns);
/* The rate of a thing so many intervals ago; 0: the last one that was closed. */
uint32_t pulse_past(const struct pulse *p, const struct pulse_row *row, unsigned int ago);
void pulse_done(struct pulse *p);

#endif
