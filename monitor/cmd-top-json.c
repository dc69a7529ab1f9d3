/* SPDX-License-Identifier: MIT */
/* Top, once: one interval as text or as one JSON object. */

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/utf8.h"
#include "cmd-top.h"
#include "exit.h"

#define TEXT_COLUMNS 132

int top_print_text(const struct top_view *v, const struct watched *w)
{
	char line[TEXT_COLUMNS * 4 + 1];
	struct top_view all = *v;
	struct screen s;
	int r;

	all.plain = true;
	for (all.what = 0; all.what < TOP_WHATS; all.what++) {
		unsigned int n = top_view_lines(&all, w);

		if (all.what != TOP_MAPPINGS && !n)
			continue;
		r = screen_init(&s, n + 6 + (n == 0) * 2, TEXT_COLUMNS, false);
		if (!r)
			r = top_view_draw(&all, w, &s);
		if (r < 0) {
			log_error("%s", strerror(-r));
			screen_done(&s);
			return EXIT_RUNTIME;
		}
		for (unsigned int i = all.what == TOP_MAPPINGS ? 0 : 3; i < s.rows; i++) {
			screen_row(&s, i, line, sizeof(line));
			puts(line);
		}
		screen_done(&s);
	}
	return EXIT_OK;
}

/* What is not UTF-8 is U+FFFD each byte; JSON has no other text. */
static json_t *text(const char *bytes)
{
	size_t len = strlen(bytes), at = 0;
	char *clean = malloc(3 * len + 1);
	json_t *j;

	if (!clean)
		return NULL;
	for (size_t i = 0, n; i < len; i += n) {
		n = utf8_sequence(bytes + i, len - i);
		memcpy(clean + at, n ? bytes + i : "\xef\xbf\xbd", n ? n : 3);
		at += n ? n : 3;
		n = n ? n : 1;
	}
	j = json_stringn(clean, at);
	free(clean);
	return j;
}

static json_t *number(int64_t n)
{
	return n == RECORD_UNKNOWN ? json_null() : json_integer(n);
}

static double share(const struct pulse *p, const struct pulse_row *r)
{
	return p->all.last ? (double)r->last / (double)p->all.last : 0;
}

static json_t *line_json(const struct watched *w, enum top_what what, const struct top_line *l)
{
	const struct pulse_row *r = l->row;
	json_t *o = json_pack("{s:o, s:I, s:I, s:f, s:I}", "name", text(l->name),
			      "pages", (json_int_t)r->last, "pages_per_s", (json_int_t)r->rate,
			      "share", share(top_pulse(w, what), r), "pages_in_all",
			      (json_int_t)r->total);
	const struct model_vma *v = what == TOP_MAPPINGS ? watched_vma(w, r) : NULL;
	char addr[24];

	if (what == TOP_THREADS && o)
		json_object_set_new(o, "tid", json_integer((int32_t)r->b));
	if (what == TOP_THREADS && o)
		json_object_set_new(o, "pid", json_integer((int32_t)r->a));
	if (!v || !o)
		return o;
	snprintf(addr, sizeof(addr), "0x%llx", (unsigned long long)v->lo);
	json_object_set_new(o, "kind", json_string(vma_kind_name(v->label->kind)));
	json_object_set_new(o, "pid", json_integer(v->pid));
	json_object_set_new(o, "addr", json_string(addr));
	json_object_set_new(o, "bytes", json_integer((json_int_t)(v->hi - v->lo)));
	return o;
}

static json_t *lines_json(const struct watched *w, enum top_what what, enum top_sort sort)
{
	json_t *list = json_array();
	size_t n;
	struct top_line *lines = top_lines(w, what, sort, &n);

	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, line_json(w, what, &lines[i]));
	free(lines);
	return list;
}

static json_t *pids_json(const struct cmd_watch *c)
{
	json_t *list = json_array();

	for (unsigned int i = 0; i < c->a.targets.n; i++)
		json_array_append_new(list, json_integer(c->a.targets.pid[i]));
	return list;
}

int top_print_json(const struct top_view *v, const struct watched *w, const struct cmd_watch *c)
{
	const struct pulse *p = &w->mappings;
	const struct record_stats *s = &w->stats;
	json_t *o = json_pack(
		"{s:s, s:o, s:s, s:f, s:I, s:I, s:I, s:I, s:o, s:o, s:f, s:o, s:I}",
		"tool", "pagetap top", "pids", pids_json(c), "engine", v->engine,
		"interval_s", (double)p->covered_ns / NSEC_PER_SEC,
		"page_size", (json_int_t)w->o.page_size, "pages", (json_int_t)p->all.last,
		"pages_per_s", (json_int_t)p->all.rate, "pages_in_all", (json_int_t)p->all.total,
		"working_set_pages", number(w->has_stats ? s->distinct_pages : RECORD_UNKNOWN),
		"slowdown_ppm", number(w->has_stats ? s->slowdown_ppm : RECORD_UNKNOWN),
		"cpu_share", (double)v->cpu_ppm / 1e6,
		"lost", w->uncounted ? json_null() : json_integer((json_int_t)w->lost),
		"gaps", (json_int_t)w->gaps);
	int r;

	if (o) {
		json_object_set_new(o, "mappings", lines_json(w, TOP_MAPPINGS, v->sort));
		json_object_set_new(o, "threads", v->who ? lines_json(w, TOP_THREADS, v->sort) :
							   json_null());
		json_object_set_new(o, "writers", v->who ? lines_json(w, TOP_CODE, v->sort) :
							   json_null());
	}
	r = o ? json_dumpf(o, stdout, JSON_INDENT(2)) : -1;
	json_decref(o);
	if (r < 0) {
		log_error("the object cannot be made: %s", strerror(ENOMEM));
		return EXIT_RUNTIME;
	}
	putchar('\n');
	return EXIT_OK;
}
