/* SPDX-License-Identifier: MIT */
/*
 * Restore bar: how far a restore is, in one line of a terminal.
 *
 * Pure.
 */
#ifndef MONITOR_RESTORE_BAR_H
#define MONITOR_RESTORE_BAR_H

#include <stddef.h>
#include <stdint.h>

/* The longest line that is drawn, on the widest terminal, with its NUL. */
#define BAR_MAX 128

struct bar {
	uint64_t bytes, of;	/* that are over with, whatever became of them, and all */
	uint64_t rate;		/* bytes a second, of late */
	uint64_t faults;
	uint64_t p99;		/* ns; 0: nobody knows yet */
};

/*
 * Fits in `columns`; what matters least is left out where there is no room, the bar itself last
 * of all.  Returns buf.
 *
 *	 62 % [###########-------]  158 MiB of 256 MiB  2.3 GiB/s  1,204 faults  p99 48 us
 */
const char *bar_draw(const struct bar *b, unsigned int columns, char buf[BAR_MAX]);

/* The rate of late: over the last looks. */
#define BAR_LOOKS 8
struct bar_rate {
	uint64_t at[BAR_LOOKS], bytes[BAR_LOOKS];	/* ns, a ring */
	unsigned int n;
};

/* Now it is so many bytes: the rate since the oldest look that is remembered. */
uint64_t bar_rate(struct bar_rate *r, uint64_t now, uint64_t bytes);

#endif
