/* SPDX-License-Identifier: MIT */
/* Course: writes over time.  See course.h. */

#include "report/course.h"

#include <string.h>

uint32_t course_tick(uint64_t ns)
{
	uint64_t tick = ns / COURSE_TICK_NS;

	return tick < COURSE_NEVER ? (uint32_t)tick : COURSE_NEVER - 1;
}

/* Two units become one: what was the first of its page in a half may not be in the whole. */
static void halve(struct course *c)
{
	for (uint32_t i = 0; i < COURSE_BINS; i++) {
		const uint64_t *a = c->bin[i];
		uint64_t both[COURSE_LEVELS];

		/* bin[i] is read before it is written: i / 2 <= i. */
		memcpy(both, a, sizeof(both));
		memset(c->bin[i], 0, sizeof(both));
		for (unsigned int k = 0; k < COURSE_LEVELS; k++)
			c->bin[i / 2][k] += both[k];
	}
	c->used = (c->used + 1) / 2;
	c->shift++;
}

/*
 * Windows of 2^k ticks with k below this do not hold both times; those of 2^k and longer
 * do, so that the page is no news there.
 */
static unsigned int first_shared(uint32_t tick, uint32_t last)
{
	if (last == COURSE_NEVER)
		return COURSE_LEVELS - 1;
	return tick == last ? 0 : 32u - (unsigned int)__builtin_clz(tick ^ last);
}

void course_add(struct course *c, uint32_t tick, uint32_t last, uint64_t n)
{
	uint32_t unit;

	while (tick >> c->shift >= COURSE_BINS)
		halve(c);
	unit = tick >> c->shift;
	c->bin[unit][first_shared(tick, last)] += n;
	if (unit >= c->used)
		c->used = unit + 1;
}

uint32_t course_windows(const struct course *c, unsigned int level)
{
	return (c->used + (1u << level) - 1) >> level;
}

uint64_t course_window_ns(const struct course *c, unsigned int level)
{
	return COURSE_TICK_NS << (c->shift + level);
}

struct course_window course_window(const struct course *c, unsigned int level, uint32_t i)
{
	struct course_window w = { 0 };
	uint32_t lo = i << level, hi = lo + (1u << level);

	for (uint32_t u = lo; u < hi && u < COURSE_BINS; u++)
		for (unsigned int k = 0; k < COURSE_LEVELS; k++) {
			w.writes += c->bin[u][k];
			w.pages += k > c->shift + level ? c->bin[u][k] : 0;
			w.fresh += k == COURSE_LEVELS - 1 ? c->bin[u][k] : 0;
		}
	return w;
}

unsigned int course_level(const struct course *c, uint32_t windows)
{
	unsigned int level = 0;

	while (level < 10 && course_windows(c, level) > windows)
		level++;
	return level;
}

unsigned int course_level_of(const struct course *c, uint64_t window_ns)
{
	unsigned int level = 0;

	while (level < 10 && course_window_ns(c, level) < window_ns)
		level++;
	return level;
}
