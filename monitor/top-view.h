/* SPDX-License-Identifier: MIT */
/*
 * Top view: the screen of `pagetap top`, drawn into cells, and what the keys do to it.
 *
 * Pure.
 */
#ifndef MONITOR_TOP_VIEW_H
#define MONITOR_TOP_VIEW_H

#include "report/screen.h"
#include "report/watched.h"

enum top_what { TOP_MAPPINGS, TOP_THREADS, TOP_CODE, TOP_WHATS };
enum top_sort { TOP_BY_RATE, TOP_BY_TOTAL, TOP_BY_NAME, TOP_SORTS };

/* Keys as top-paint.h gives them, beside characters. */
enum {
	TOP_KEY_UP = 256, TOP_KEY_DOWN, TOP_KEY_PAGE_UP, TOP_KEY_PAGE_DOWN, TOP_KEY_HOME,
	TOP_KEY_END,
};

struct top_view {
	enum top_what what;
	enum top_sort sort;
	bool paused, help;
	bool plain;			/* printed: no line of keys */
	bool who;			/* threads and code are known */
	unsigned int scroll;		/* the first row that is shown */
	uint64_t interval_ns, interval_min_ns;
	/* For the lines at the top; borrowed. */
	const char *target, *engine;
	uint64_t ran_ns;
	uint64_t cpu_ppm;		/* of a CPU, what pagetap takes itself */
};

enum top_act { TOP_NOTHING, TOP_REDRAW, TOP_QUIT };

/* What a key does; lines: rows that there are. */
enum top_act top_view_key(struct top_view *v, int key, unsigned int lines,
			  unsigned int screen_rows);
/* -ENOMEM. */
int top_view_draw(const struct top_view *v, const struct watched *w, struct screen *s);
/* How many rows the view has. */
unsigned int top_view_lines(const struct top_view *v, const struct watched *w);

/* One row, with its name found out; the name is not harmless. */
struct top_line {
	const struct pulse_row *row;
	char name[256];
};
/* The rows of one kind in that order; to be freed.  NULL: no memory, or none. */
struct top_line *top_lines(const struct watched *w, enum top_what what, enum top_sort sort,
			   size_t *ret_n);
const struct pulse *top_pulse(const struct watched *w, enum top_what what);

#endif
