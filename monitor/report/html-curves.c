/* SPDX-License-Identifier: MIT */
/* HTML, curves: how much was written in each window of time, and of how many pages. */
#include <inttypes.h>

#include "report/html-parts.h"
#include "words.h"

#define WINDOWS_MAX 400
#define SET_WINDOWS_MAX 32	/* of the working set, which longer windows tell of */

/* One number of each window, from the first that holds anything. */
static void write_numbers(struct pen *p, const struct course *c, unsigned int level,
			  uint32_t first,
			  uint64_t (*number)(const struct course_window *w, void *sum))
{
	const uint32_t n = course_windows(c, level);
	uint64_t sum = 0;

	pen_text(p, "[");
	for (uint32_t i = first; i < n; i++) {
		const struct course_window w = course_window(c, level, i);

		pen_text(p, i > first ? "," : "");
		pen_number(p, number(&w, &sum));
	}
	pen_text(p, "]");
}

static uint64_t writes_of(const struct course_window *w, void *sum)
{
	(void)sum;
	return w->writes;
}

static uint64_t pages_so_far(const struct course_window *w, void *sum)
{
	return *(uint64_t *)sum += w->fresh;
}

static unsigned int coarser(unsigned int a, unsigned int b)
{
	return a > b ? a : b;
}

/* How many pages were written in the longer window around each window. */
static void write_set(struct pen *p, const struct course *c, unsigned int level,
		      uint32_t first, unsigned int longer)
{
	const uint32_t n = course_windows(c, level);
	uint64_t pages = 0;

	pen_text(p, "[");
	for (uint32_t i = first; i < n; i++) {
		if (i == first || !(i & ((1u << (longer - level)) - 1)))
			pages = course_window(c, longer, i >> (longer - level)).pages;
		pen_text(p, i > first ? "," : "");
		pen_number(p, pages);
	}
	pen_text(p, "]");
}

void html_write_curves(struct pen *p, const struct html_state *s)
{
	const struct course *c = &s->r->tally->course;
	const unsigned int collection = course_level_of(c, html_collection_ns(s->r));
	const unsigned int level = coarser(course_level(c, WINDOWS_MAX), collection);
	const uint64_t step = course_window_ns(c, level);
	const uint32_t n = course_windows(c, level);
	const unsigned int longer = coarser(course_level(c, SET_WINDOWS_MAX), level);
	const char *verb = s->r->tally->watches_writes ? "written" : "touched";
	struct words w;
	uint32_t first = (uint32_t)(s->r->tally->heat.origin / step);

	if (first >= n)
		first = 0;
	pen_format(p, "{\"step\":%" PRIu64 ",\"times\":[", step);
	for (uint32_t i = first; i < n; i++) {
		pen_text(p, i > first ? "," : "");
		pen_number(p, i * step);
	}
	pen_format(p, "],\n\"rates\":[{\"name\":\"%ss\",\"n\":", html_unit(s->r));
	write_numbers(p, c, level, first, writes_of);
	pen_format(p, "}],\n\"sets\":[{\"name\":\"%s so far\",\"pages\":", verb);
	write_numbers(p, c, level, first, pages_so_far);
	pen_format(p, "},{\"name\":\"%s in each %s\",\"pages\":", verb,
		   words_duration(course_window_ns(c, longer), &w));
	write_set(p, c, level, first, longer);
	pen_text(p, "}]}");
}
