/* SPDX-License-Identifier: MIT */
/* Restore bar: one line.  See restore-bar.h. */

#include "restore-bar.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "words.h"

#define BAR_LEAST 10u
#define BAR_MOST 24u
#define PARTS 4

/* What stands behind the bar; the later ones go first. */
static void make_parts(const struct bar *b, char part[PARTS][40])
{
	struct words v, w;

	snprintf(part[0], 40, "  %s of %s", words_bytes(b->bytes, &v), words_bytes(b->of, &w));
	snprintf(part[1], 40, "  %s/s", words_bytes(b->rate, &v));
	snprintf(part[2], 40, "  %s fault%s", words_count(b->faults, &v),
		 b->faults == 1 ? "" : "s");
	part[3][0] = '\0';
	if (b->p99)
		snprintf(part[3], 40, "  p99 %s", words_duration(b->p99, &v));
}

/* 100 only when nothing is missing. */
static unsigned int percent(const struct bar *b)
{
	return b->bytes < b->of ? (unsigned int)((double)b->bytes * 100 / (double)b->of) : 100;
}

const char *bar_draw(const struct bar *b, unsigned int columns, char buf[BAR_MAX])
{
	unsigned int room = columns < BAR_MAX ? columns : BAR_MAX - 1;
	unsigned int done = percent(b), used, len, full, n = PARTS;
	char part[PARTS][40], bar[BAR_MOST + 1];
	int at;

	make_parts(b, part);
	/* "100 %" and, around the bar, " [" and "]". */
	for (;;) {
		used = 5;
		for (unsigned int i = 0; i < n; i++)
			used += (unsigned int)strlen(part[i]);
		if (!n || used + 3 + BAR_LEAST <= room)
			break;
		n--;
	}
	len = room > used + 3 ? room - used - 3 : 0;
	len = len > BAR_MOST ? BAR_MOST : len;
	full = len * done / 100;
	memset(bar, '-', len);
	memset(bar, '#', full);
	bar[len] = '\0';
	at = snprintf(buf, room + 1, len ? "%3u %% [%s]" : "%3u %%", done, bar);
	for (unsigned int i = 0; i < n && at > 0 && (unsigned int)at < room; i++)
		at += snprintf(buf + at, room + 1 - (unsigned int)at, "%s", part[i]);
	return buf;
}

uint64_t bar_rate(struct bar_rate *r, uint64_t now, uint64_t bytes)
{
	unsigned int oldest = r->n < BAR_LOOKS ? 0 : r->n % BAR_LOOKS;
	uint64_t rate = 0, ns;

	if (r->n && now > r->at[oldest] && bytes > r->bytes[oldest]) {
		ns = now - r->at[oldest];
		rate = (uint64_t)((double)(bytes - r->bytes[oldest]) * (double)NSEC_PER_SEC /
				  (double)ns);
	}
	r->at[r->n % BAR_LOOKS] = now;
	r->bytes[r->n % BAR_LOOKS] = bytes;
	r->n++;
	return rate;
}
