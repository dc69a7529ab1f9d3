/* SPDX-License-Identifier: MIT */
/* Report times: windows of the course.  See report-times.h. */

#include "report-times.h"

#include <stdlib.h>

#include "base/clock.h"

static const unsigned int per_mille[REPORT_TIMES_NR] = { 500, 750, 950, 990, 1000 };

static int compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* The smallest value that so many of n sorted ones do not exceed. */
static uint64_t at(const uint64_t *v, uint32_t n, unsigned int mille)
{
	uint32_t rank = (uint32_t)(((uint64_t)n * mille + 999) / 1000);

	return n ? v[rank ? rank - 1 : 0] : 0;
}

/*
 * What was written between two collections is told all at once: windows that are shorter
 * would be empty, or full.
 */
static unsigned int level_of(const struct tally *t)
{
	unsigned int fine = course_level(&t->course, REPORT_TIMES_WINDOWS);
	unsigned int coarse = course_level_of(&t->course, spread_quantile(&t->interval, 500));

	return fine > coarse ? fine : coarse;
}

/* Before the first arming nothing is seen, but by the perf ring. */
static uint32_t first_of(const struct tally *t, uint64_t since, const struct report_times *times)
{
	uint64_t begin = !since && t->arm_ts != UINT64_MAX ? t->arm_ts : since;
	uint32_t first = (uint32_t)(begin / times->window_ns);

	for (uint32_t i = (uint32_t)(since / times->window_ns); i < first; i++)
		if (course_window(&t->course, times->level, i).writes)
			return i;
	return first;
}

void report_times(const struct tally *t, uint64_t since, struct report_times *ret)
{
	uint64_t writes[REPORT_TIMES_WINDOWS], pages[REPORT_TIMES_WINDOWS];
	const struct course *c = &t->course;
	uint32_t all, n = 0;

	*ret = (struct report_times){ .level = level_of(t) };
	ret->window_ns = course_window_ns(c, ret->level);
	all = course_windows(c, ret->level);
	ret->first = first_of(t, since, ret);
	for (uint32_t i = ret->first; i < all && n < REPORT_TIMES_WINDOWS; i++, n++) {
		struct course_window w = course_window(c, ret->level, i);

		writes[n] = w.writes;
		pages[n] = w.pages;
	}
	ret->n = n;
	qsort(writes, n, sizeof(*writes), compare);
	qsort(pages, n, sizeof(*pages), compare);
	for (unsigned int i = 0; i < REPORT_TIMES_NR; i++) {
		ret->rate[i] = clock_rate((double)at(writes, n, per_mille[i]), ret->window_ns);
		ret->pages[i] = at(pages, n, per_mille[i]);
	}
}
