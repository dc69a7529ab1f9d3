/* SPDX-License-Identifier: MIT */
/* Top view: layout.  See top-view.h. */

#include "top-view.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "words.h"

#define HEAD_ROWS 5		/* three lines, an empty one, the names of the columns */
#define FOOT_ROWS 1
#define INTERVAL_MAX (60 * NSEC_PER_SEC)
/* Columns; the strip takes a share of what is left, the name the rest. */
#define RATE_WIDTH 11
#define SPEED_WIDTH 11
#define SHARE_WIDTH 7
#define TOTAL_WIDTH 13
#define NUMBERS (RATE_WIDTH + SPEED_WIDTH + SHARE_WIDTH + TOTAL_WIDTH)
#define NAME_MIN 18
#define STRIP_MIN 6
#define STRIP_MAX 60

const struct pulse *top_pulse(const struct watched *w, enum top_what what)
{
	return what == TOP_MAPPINGS ? &w->mappings : what == TOP_THREADS ? &w->threads : &w->code;
}

/* ---- rows ------------------------------------------------------------------------------ */

static int by_name(const struct top_line *x, const struct top_line *y)
{
	int r = strcmp(x->name, y->name);

	if (r)
		return r;
	return x->row->a != y->row->a ? (x->row->a < y->row->a ? -1 : 1) :
	       x->row->b != y->row->b ? (x->row->b < y->row->b ? -1 : 1) : 0;
}

static int descend(uint64_t x, uint64_t y)
{
	return x < y ? 1 : x > y ? -1 : 0;
}

static int by_rate(const void *a, const void *b)
{
	const struct top_line *x = a, *y = b;
	int r = descend(x->row->rate, y->row->rate);

	r = r ? r : descend(x->row->total, y->row->total);
	return r ? r : by_name(x, y);
}

static int by_total(const void *a, const void *b)
{
	const struct top_line *x = a, *y = b;
	int r = descend(x->row->total, y->row->total);

	return r ? r : by_name(x, y);
}

static int by_names(const void *a, const void *b)
{
	return by_name(a, b);
}

struct top_line *top_lines(const struct watched *w, enum top_what what, enum top_sort sort,
			   size_t *ret_n)
{
	static int (*const orders[TOP_SORTS])(const void *a, const void *b) = {
		by_rate, by_total, by_names,
	};
	const struct pulse *p = top_pulse(w, what);
	size_t n = p->keys.n;
	struct top_line *lines = n ? malloc(n * sizeof(*lines)) : NULL;

	*ret_n = lines ? n : 0;
	for (size_t i = 0; lines && i < n; i++) {
		struct top_line *l = &lines[i];

		l->row = &p->rows[i];
		if (what == TOP_MAPPINGS)
			watched_mapping(w, l->row, l->name, sizeof(l->name));
		else if (what == TOP_THREADS)
			watched_thread(w, l->row, l->name, sizeof(l->name));
		else
			snprintf(l->name, sizeof(l->name), "%s", watched_code(l->row));
	}
	if (lines)
		qsort(lines, n, sizeof(*lines), orders[sort]);
	return lines;
}

unsigned int top_view_lines(const struct top_view *v, const struct watched *w)
{
	return (unsigned int)top_pulse(w, v->what)->keys.n;
}

/* ---- keys ------------------------------------------------------------------------------ */

static void scroll_by(struct top_view *v, int by, unsigned int lines, unsigned int shown)
{
	unsigned int most = lines > shown ? lines - shown : 0;
	int64_t to = (int64_t)v->scroll + by;

	v->scroll = to < 0 ? 0 : to > (int64_t)most ? most : (unsigned int)to;
}

static void look_at(struct top_view *v, enum top_what what)
{
	v->what = what;
	v->scroll = 0;
}

static enum top_act on_move(struct top_view *v, int key, unsigned int lines, unsigned int shown)
{
	int page = shown > 1 ? (int)shown - 1 : 1;

	switch (key) {
	case TOP_KEY_UP: scroll_by(v, -1, lines, shown); break;
	case TOP_KEY_DOWN: scroll_by(v, 1, lines, shown); break;
	case TOP_KEY_PAGE_UP: scroll_by(v, -page, lines, shown); break;
	case TOP_KEY_PAGE_DOWN: scroll_by(v, page, lines, shown); break;
	case TOP_KEY_HOME: scroll_by(v, -(int)v->scroll, lines, shown); break;
	case TOP_KEY_END: scroll_by(v, (int)lines, lines, shown); break;
	default: return TOP_NOTHING;
	}
	return TOP_REDRAW;
}

enum top_act top_view_key(struct top_view *v, int key, unsigned int lines, unsigned int rows)
{
	unsigned int shown = rows > HEAD_ROWS + FOOT_ROWS ? rows - HEAD_ROWS - FOOT_ROWS : 0;

	if (key == 'q' || key == 'Q')
		return TOP_QUIT;
	if (v->help) {
		v->help = false;	/* any key */
		return TOP_REDRAW;
	}
	switch (key) {
	case ' ': v->paused = !v->paused; break;
	case 's': v->sort = (v->sort + 1) % TOP_SORTS; break;
	case 'm': look_at(v, TOP_MAPPINGS); break;
	case 't': look_at(v, TOP_THREADS); break;
	case 'w': look_at(v, TOP_CODE); break;
	case 'h':
	case '?': v->help = true; break;
	case '+':
		if (v->interval_ns <= INTERVAL_MAX / 2)
			v->interval_ns *= 2;
		break;
	case '-':
		if (v->interval_ns / 2 >= v->interval_min_ns)
			v->interval_ns /= 2;
		break;
	case '\f': break;
	default: return on_move(v, key, lines, shown);
	}
	return TOP_REDRAW;
}

/* ---- the lines at the top -------------------------------------------------------------- */

static unsigned int say(struct screen *s, unsigned int row, unsigned int at, enum screen_tone tone,
			const char *label, const char *value)
{
	if (at)
		at += 3;
	at += screen_say(s, row, at, SCREEN_PLAIN, label);
	return at + screen_say(s, row, at, tone, value);
}

static void draw_title(const struct top_view *v, struct screen *s)
{
	struct words ran, every;
	char text[96];
	unsigned int at = screen_say(s, 0, 0, SCREEN_STRONG, "pagetap top  ");

	at += screen_say(s, 0, at, SCREEN_PLAIN, v->target);
	snprintf(text, sizeof(text), "  %s, every %s  %s", v->engine,
		 words_duration(v->interval_ns, &every), words_duration(v->ran_ns, &ran));
	at += screen_say(s, 0, at, SCREEN_FAINT, text);
	if (v->paused)
		screen_say(s, 0, at + 2, SCREEN_STRONG, "paused");
}

static void draw_rates(const struct watched *w, struct screen *s)
{
	const struct pulse_row *all = &w->mappings.all;
	struct words n, m;
	char text[96];
	unsigned int at;

	snprintf(text, sizeof(text), "%s pages/s (%s/s)", words_count(all->rate, &n),
		 words_bytes(all->rate * w->o.page_size, &m));
	at = say(s, 1, 0, SCREEN_STRONG, w->o.writes ? "written " : "touched ", text);
	if (w->has_stats && w->stats.distinct_pages != RECORD_UNKNOWN) {
		uint64_t pages = (uint64_t)w->stats.distinct_pages;

		snprintf(text, sizeof(text), "%s (%s pages)",
			 words_bytes(pages * w->o.page_size, &m), words_count(pages, &n));
		at = say(s, 1, at, SCREEN_STRONG, "working set ", text);
	}
	say(s, 1, at, SCREEN_PLAIN, "in all ", words_count(all->total, &n));
}

static void draw_costs(const struct top_view *v, const struct watched *w, struct screen *s)
{
	enum screen_tone lost = w->lost || w->uncounted ? SCREEN_ALARM : SCREEN_PLAIN;
	struct words n;
	char text[64];
	unsigned int at = 0;

	if (w->has_stats && w->stats.slowdown_ppm != RECORD_UNKNOWN) {
		snprintf(text, sizeof(text), "%.1f %%", (double)w->stats.slowdown_ppm / 1e4);
		at = say(s, 2, at, SCREEN_PLAIN, "slowed down by ", text);
	}
	snprintf(text, sizeof(text), "%.1f %%", (double)v->cpu_ppm / 1e4);
	at = say(s, 2, at, SCREEN_PLAIN, "pagetap's CPU ", text);
	snprintf(text, sizeof(text), "%s%s", words_count(w->lost, &n),
		 w->uncounted ? " and more" : "");
	at = say(s, 2, at, lost, "lost ", text);
	at = say(s, 2, at, w->gaps ? SCREEN_ALARM : SCREEN_PLAIN, "gaps ",
		 words_count(w->gaps, &n));
	if (w->has_stats && w->stats.unwitnessed != RECORD_UNKNOWN && v->who)
		say(s, 2, at, w->stats.unwitnessed ? SCREEN_ALARM : SCREEN_PLAIN, "by nobody seen ",
		    words_count((uint64_t)w->stats.unwitnessed, &n));
}

/* ---- the table ------------------------------------------------------------------------- */

struct columns {
	unsigned int strip, strip_width, name;	/* strip_width 0: there is none */
};

static struct columns columns_of(const struct screen *s)
{
	struct columns c = { .strip = NUMBERS + 2, .name = NUMBERS + 2 };
	unsigned int left = s->columns > NUMBERS + 2 ? s->columns - NUMBERS - 2 : 0;

	if (left < NAME_MIN + STRIP_MIN + 2)
		return c;
	c.strip_width = (left - NAME_MIN) * 2 / 3;
	c.strip_width = c.strip_width < STRIP_MIN ? STRIP_MIN :
			c.strip_width > STRIP_MAX ? STRIP_MAX : c.strip_width;
	c.name = c.strip + c.strip_width + 2;
	return c;
}

static void draw_head(const struct top_view *v, const struct watched *w, struct screen *s)
{
	static const char *const names[TOP_WHATS] = { "MAPPING", "THREAD", "CODE" };
	const struct columns c = columns_of(s);
	const unsigned int row = HEAD_ROWS - 1;
	struct words span;
	char text[64];

	screen_right(s, row, 0, RATE_WIDTH, SCREEN_HEAD, "PAGES/S");
	screen_right(s, row, RATE_WIDTH, SPEED_WIDTH, SCREEN_HEAD, "SIZE/S");
	screen_right(s, row, RATE_WIDTH + SPEED_WIDTH, SHARE_WIDTH, SCREEN_HEAD, "%");
	screen_right(s, row, NUMBERS - TOTAL_WIDTH, TOTAL_WIDTH, SCREEN_HEAD, "PAGES");
	snprintf(text, sizeof(text), "LAST %s",
		 words_duration(w->mappings.covered_ns * c.strip_width, &span));
	if (strlen(text) > c.strip_width)
		snprintf(text, sizeof(text), "LAST");
	if (c.strip_width)
		screen_say(s, row, c.strip, SCREEN_HEAD, text);
	screen_say(s, row, c.name, SCREEN_HEAD, names[v->what]);
	screen_tint(s, row, SCREEN_HEAD);
}

/* The newest at the right. */
static void draw_strip(const struct pulse *p, const struct pulse_row *r, const struct columns *c,
		       uint64_t most, struct screen *s, unsigned int row)
{
	for (unsigned int i = 0; i < c->strip_width; i++)
		screen_heat(s, row, c->strip + i,
			    screen_shade(pulse_past(p, r, c->strip_width - 1 - i), most));
}

static void draw_line(const struct watched *w, const struct pulse *p, const struct top_line *l,
		      uint64_t most, struct screen *s, unsigned int row)
{
	const struct columns c = columns_of(s);
	const struct pulse_row *r = l->row;
	enum screen_tone tone = r->rate ? SCREEN_PLAIN : SCREEN_FAINT;
	struct words n;
	char share[16];

	snprintf(share, sizeof(share), "%.1f",
		 p->all.last ? 100.0 * (double)r->last / (double)p->all.last : 0.0);
	screen_right(s, row, 0, RATE_WIDTH, tone, words_count(r->rate, &n));
	screen_right(s, row, RATE_WIDTH, SPEED_WIDTH, tone,
		     words_bytes(r->rate * w->o.page_size, &n));
	screen_right(s, row, RATE_WIDTH + SPEED_WIDTH, SHARE_WIDTH, tone, share);
	screen_right(s, row, NUMBERS - TOTAL_WIDTH, TOTAL_WIDTH, tone, words_count(r->total, &n));
	draw_strip(p, r, &c, most, s, row);
	screen_say(s, row, c.name, tone, l->name);
}

static uint64_t hottest(const struct pulse *p, unsigned int width)
{
	uint64_t most = 0;

	for (size_t i = 0; i < p->keys.n; i++)
		for (unsigned int k = 0; k < width; k++)
			if (pulse_past(p, &p->rows[i], k) > most)
				most = pulse_past(p, &p->rows[i], k);
	return most;
}

static void draw_keys(const struct top_view *v, struct screen *s)
{
	static const char *const orders[TOP_SORTS] = { "rate", "pages", "name" };
	char text[160];

	snprintf(text, sizeof(text), "q quit  space pause  s sort (%s)  m mappings  t threads  "
		 "w writers  + - interval  h help", orders[v->sort]);
	screen_say(s, s->rows - 1, 0, SCREEN_FAINT, text);
}

static void draw_help(struct screen *s)
{
	static const char *const lines[] = {
		"q             quit; the process goes on",
		"space         hold the picture, and let it go again",
		"s             sort by rate, by pages in all, by name",
		"m             written pages of each mapping",
		"t             first writes of each thread (--who, --engine sync)",
		"w             first writes of each function (--who, --engine sync)",
		"+ -           look less often, more often",
		"up down       scroll; page up and down, home, end",
		"Ctrl-L        paint anew",
		"Ctrl-Z        back to the shell; fg comes back",
		"",
		"PAGES/S       pages written a second, each once in a collection",
		"LAST ...      the same over time, the newest at the right",
		"lost, gaps    what is missing: pagetap(7)",
	};

	for (unsigned int i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		screen_say(s, 4 + i, 2, SCREEN_PLAIN, lines[i]);
}

static const char *nothing_yet(const struct top_view *v, const struct watched *w)
{
	if (v->what != TOP_MAPPINGS && !v->who)
		return "Who writes is not asked for: --who, or --engine sync.";
	return w->mappings.closed ? "Nothing has been written." : "Nothing has been collected yet.";
}

int top_view_draw(const struct top_view *v, const struct watched *w, struct screen *s)
{
	const struct pulse *p = top_pulse(w, v->what);
	struct top_line *lines;
	uint64_t most;
	size_t n;

	screen_clear(s);
	draw_title(v, s);
	if (v->help) {
		draw_help(s);
		return 0;
	}
	draw_rates(w, s);
	draw_costs(v, w, s);
	draw_head(v, w, s);
	lines = top_lines(w, v->what, v->sort, &n);
	if (!lines && p->keys.n)
		return -ENOMEM;
	most = hottest(p, columns_of(s).strip_width);
	for (size_t i = v->scroll;
	     lines && i < n && HEAD_ROWS + i - v->scroll + FOOT_ROWS < s->rows; i++)
		draw_line(w, p, &lines[i], most, s, (unsigned int)(HEAD_ROWS + i - v->scroll));
	if (!n)
		screen_say(s, HEAD_ROWS + 1, 2, SCREEN_FAINT, nothing_yet(v, w));
	if (s->rows > HEAD_ROWS + FOOT_ROWS && !v->plain)
		draw_keys(v, s);
	free(lines);
	return 0;
}
