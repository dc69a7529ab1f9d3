/* SPDX-License-Identifier: MIT */
/*
 * Cmd report, JSON: one object with all that the text has and more; pagetap-report(1).
 *
 * As in a trace, integers are below 2^53 and text of the target has its raw bytes beside
 * it where it is no UTF-8.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "cmd-report-json.h"
#include "cmd-report.h"
#include "report-times.h"
#include "trace/record-json.h"

#define PAGES_MAX 65536

static int add_counts(json_t *o, const struct tally_counts *c)
{
	return record_json_int(o, "faults", c->faults) |
	       record_json_int(o, "missing", c->kind[FAULT_MISSING]) |
	       record_json_int(o, "wp", c->kind[FAULT_WP]) |
	       record_json_int(o, "minor", c->kind[FAULT_MINOR]) |
	       record_json_int(o, "writes", c->writes) |
	       record_json_int(o, "unsure", c->unsure) |
	       record_json_int(o, "witnesses", c->witnesses) |
	       record_json_int(o, "dirty", c->dirty) |
	       record_json_int(o, "written", c->written) |
	       record_json_int(o, "pages", c->pages);
}

/* What a thread did: whose a page of a dirty record is, nobody knows. */
static int put_faults(json_t *o, const struct tally_counts *c)
{
	return record_json_int(o, "faults", c->faults) |
	       record_json_int(o, "writes", c->writes) |
	       record_json_int(o, "unsure", c->unsure);
}

static int put_text(json_t *o, const char *key, const char *key_hex, struct model_text t)
{
	return record_json_text(o, key, key_hex, t.s, t.len);
}

static int put_trace(json_t *o, const struct report_view *v)
{
	const struct walk_end *e = &v->l->end;
	const struct tally *t = v->l->tally;
	const struct reader_header *h = walk_header(v->l->walk);

	return record_json_word(o, "engine", h->engine) |
	       record_json_word(o, "host", h->host) |
	       record_json_int(o, "page_size", h->page_size) |
	       record_json_int(o, "records", e->records) |
	       json_object_set_new(o, "complete", json_boolean(e->complete && !e->cut)) |
	       json_object_set_new(o, "cut", json_boolean(e->cut)) |
	       record_json_int(o, "cut_offset", e->cut_offset) |
	       json_object_set_new(o, "damaged", json_boolean(e->damaged)) |
	       record_json_int(o, "holes", e->holes) |
	       record_json_int(o, "missing", e->missing) |
	       record_json_int(o, "unreadable", e->unreadable) |
	       record_json_int(o, "unknown", e->unknown) |
	       record_json_int(o, "stacks_left_out", model_stacks_left_out(v->l->model)) |
	       record_json_int(o, "last_ns", e->last_ts) |
	       json_object_set_new(o, "armed_ns", t->arm_ts == UINT64_MAX ? json_null() :
				   json_integer((json_int_t)t->arm_ts)) |
	       json_object_set_new(o, "detach", t->detached ?
				   json_string(detach_reason_name(t->detach_reason)) :
				   json_null());
}

static int put_total(json_t *o, const struct tally *t)
{
	uint64_t seen = t->total.writes < t->total.written ? t->total.writes : t->total.written;

	return add_counts(o, &t->total) |
	       json_object_set_new(o, "pages_exact",
				   json_boolean(!t->pages.left_out && !t->unreported)) |
	       record_json_int(o, "unwitnessed", t->total.written - seen) |
	       record_json_int(o, "released_pages", t->pages.released) |
	       record_json_int(o, "stop_ns", t->stop.sum) |
	       record_json_int(o, "local", t->src[SRC_LOCAL]) |
	       record_json_int(o, "remote", t->src[SRC_REMOTE]) |
	       record_json_int(o, "dropped_pages", t->dropped_pages) |
	       record_json_int(o, "armed_pages", t->armed_pages) |
	       json_object_set_new(o, "slowdown_ppm", !t->has_stats ||
				   t->stats.slowdown_ppm == RECORD_UNKNOWN ? json_null() :
				   json_integer(t->stats.slowdown_ppm));
}

/* How many there are in all: of rows, the heaviest alone may be told. */
static int put_rows(json_t *o, const struct report_view *v)
{
	const struct tally *t = v->l->tally;

	return record_json_int(o, "processes", t->nr_spaces) |
	       record_json_int(o, "mappings", t->nr_labels) |
	       record_json_int(o, "threads", t->nr_threads) |
	       record_json_int(o, "pages", t->pages.touched);
}

static int put_records(json_t *o, const struct tally *t)
{
	int err = 0;

	for (unsigned int i = RECORD_ATTACH; i < RECORD_NR; i++)
		err |= record_json_int(o, record_kind_name(i), t->records[i]);
	return err;
}

static int put_lost(json_t *list, const struct tally *t)
{
	int err = 0;

	for (unsigned int i = 0; i < LOST_NR; i++) {
		const struct tally_lost *l = &t->lost[i];
		json_t *o = l->records ? json_object() : NULL;

		if (!l->records)
			continue;
		err |= record_json_word(o, "reason", lost_reason_name(i)) |
		       record_json_int(o, "records", l->records) |
		       record_json_int(o, "n", l->n) |
		       json_object_set_new(o, "uncounted", json_boolean(l->uncounted)) |
		       json_array_append_new(list, o);
	}
	return err;
}

static int put_gaps(json_t *list, const struct tally *t)
{
	int err = 0;

	for (unsigned int i = 0; i < GAP_NR; i++) {
		const struct tally_gap *g = &t->gap[i];
		json_t *o = g->n ? json_object() : NULL;

		if (!g->n)
			continue;
		err |= record_json_word(o, "reason", gap_reason_name(i)) |
		       record_json_int(o, "records", g->n) |
		       record_json_int(o, "whole", g->whole) |
		       record_json_int(o, "pages", g->pages) |
		       record_json_int(o, "ns", g->ns) |
		       record_json_int(o, "longest_ns", g->longest_ns) |
		       json_array_append_new(list, o);
	}
	return err;
}

/* Which rows are told where there are more than v->top: the heaviest, in their order. */
struct choice {
	bool all;
	uint64_t least;		/* what the lightest of them weighs */
	size_t ties;		/* how many of that weight are still wanted */
};

static int heavier(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x < *y) - (*x > *y);
}

/* The weight of row i: what there is most of. */
static uint64_t weigh(const struct tally_counts *c)
{
	return c->faults > c->written ? c->faults : c->written;
}

/* counts: of the first row; the others are `size` bytes apart.  -1: no memory. */
static int choose(const struct report_view *v, const struct tally_counts *counts, size_t size,
		  size_t n, struct choice *ret)
{
	_free_ uint64_t *weights = NULL;

	*ret = (struct choice){ .all = !v->top || n <= v->top };
	if (ret->all)
		return 0;
	weights = calloc(n, sizeof(*weights));
	if (!weights)
		return -1;
	for (size_t i = 0; i < n; i++)
		weights[i] = weigh((const void *)((const char *)counts + i * size));
	qsort(weights, n, sizeof(*weights), heavier);
	ret->least = weights[v->top - 1];
	for (size_t i = 0; i < v->top; i++)
		ret->ties += weights[i] == ret->least;
	return 0;
}

static bool is_chosen(struct choice *c, const struct tally_counts *counts)
{
	uint64_t weight = weigh(counts);

	if (c->all || weight > c->least)
		return true;
	return weight == c->least && c->ties && c->ties--;
}

static int put_processes(json_t *list, const struct report_view *v)
{
	const struct tally *t = v->l->tally;
	struct choice choice;
	int err = choose(v, t->nr_spaces ? &t->spaces->c : NULL, sizeof(*t->spaces), t->nr_spaces,
			 &choice);

	for (size_t i = 0; i < t->nr_spaces && !err; i++) {
		const struct tally_space *row = &t->spaces[i];
		const struct model_space *s = model_space(v->l->model, row->mm);
		struct model_text none = { 0, "" };
		json_t *o;

		if (!is_chosen(&choice, &row->c))
			continue;
		o = json_object();
		err = record_json_int(o, "mm", row->mm) |
		      record_json_int(o, "pid", s ? (uint64_t)s->pid : 0) |
		      put_text(o, "comm", "comm_hex", s ? s->comm : none) |
		      put_text(o, "exe", "exe_hex", s ? s->exe : none) |
		      add_counts(o, &row->c) | json_array_append_new(list, o);
	}
	return err;
}

static int put_mappings(json_t *list, const struct report_view *v)
{
	const struct tally *t = v->l->tally;
	struct choice choice;
	int err = choose(v, t->nr_labels ? &t->labels->c : NULL, sizeof(*t->labels), t->nr_labels,
			 &choice);

	for (size_t i = 0; i < t->nr_labels && !err; i++) {
		const struct tally_label *row = &t->labels[i];
		const struct model_label *l = model_label(v->l->model, i);
		json_t *o;

		if ((!row->c.faults && !row->c.written && !row->gaps) ||
		    !is_chosen(&choice, &row->c))
			continue;
		o = json_object();
		err = put_text(o, "name", "name_hex", l->name) |
		      put_text(o, "label", "label_hex", l->text) |
		      record_json_word(o, "kind", i ? vma_kind_name(l->kind) : "unknown") |
		      record_json_int(o, "mappings", l->mappings) |
		      add_counts(o, &row->c) | record_json_int(o, "gaps", row->gaps) |
		      json_array_append_new(list, o);
	}
	return err;
}

static int put_threads(json_t *list, const struct report_view *v)
{
	const struct tally *t = v->l->tally;
	struct choice choice;
	int err = choose(v, t->nr_threads ? &t->threads->c : NULL, sizeof(*t->threads),
			 t->nr_threads, &choice);

	for (size_t i = 0; i < t->nr_threads && !err; i++) {
		const struct tally_thread *row = &t->threads[i];
		json_t *o;

		if (!is_chosen(&choice, &row->c))
			continue;
		o = json_object();
		err = record_json_int(o, "pid", (uint64_t)row->pid) |
		      record_json_int(o, "tid", (uint64_t)row->tid) |
		      put_text(o, "comm", "comm_hex",
			       model_comm(v->l->model, row->pid, row->mm, row->tid)) |
		      put_faults(o, &row->c) | record_json_int(o, "stop_ns", row->stop_ns) |
		      json_array_append_new(list, o);
	}
	return err;
}

static int put_pages(json_t *list, const struct report_view *v)
{
	const struct tally *t = v->l->tally;
	size_t max = v->top && v->top < PAGES_MAX ? (size_t)v->top : PAGES_MAX, n;
	_free_ struct page_top *top = calloc(max, sizeof(*top));
	int err = 0;

	if (!top)
		return -1;
	n = pages_top(&t->pages, top, max);
	for (size_t i = 0; i < n && !err; i++) {
		const struct model_vma *a = model_find(v->l->model, top[i].mm,
						       top[i].page * t->page_size);
		json_t *o = json_object();

		err = record_json_int(o, "mm", top[i].mm) |
		      record_json_hex(o, "addr", top[i].page * t->page_size) |
		      record_json_int(o, "page", top[i].page) |
		      put_text(o, "label", "label_hex",
			       a ? a->label->text : (struct model_text){ 0, "" }) |
		      record_json_int(o, "written", top[i].written) |
		      record_json_int(o, "faults", top[i].faults) |
		      json_array_append_new(list, o);
	}
	return err;
}

static int put_spread(json_t *o, const struct spread *s)
{
	json_t *list = json_array();
	int err = record_json_int(o, "n", s->n) |
		  record_json_int(o, "p50_ns", spread_quantile(s, 500)) |
		  record_json_int(o, "p75_ns", spread_quantile(s, 750)) |
		  record_json_int(o, "p95_ns", spread_quantile(s, 950)) |
		  record_json_int(o, "p99_ns", spread_quantile(s, 990)) |
		  record_json_int(o, "max_ns", s->max);

	/* Element i: from 2^i ns on. */
	for (unsigned int i = 0; i < 53; i++)
		err |= json_array_append_new(list,
					     json_integer((json_int_t)spread_octave(s, i)));
	return err | json_object_set_new(o, "octaves", list);
}

static json_t *five(const uint64_t v[REPORT_TIMES_NR])
{
	static const char *const names[] = REPORT_TIMES_NAMES;
	json_t *o = json_object();
	int err = 0;

	for (unsigned int i = 0; i < REPORT_TIMES_NR; i++)
		err |= record_json_int(o, names[i], v[i]);
	if (!err)
		return o;
	json_decref(o);
	return NULL;
}

static int put_course(json_t *o, const struct report_view *v)
{
	const struct tally *t = v->l->tally;
	json_t *writes = json_array(), *pages = json_array();
	struct report_times times;
	int err = 0;

	report_times(t, v->pick->since, &times);
	for (uint32_t i = times.first; i < times.first + times.n; i++) {
		struct course_window w = course_window(&t->course, times.level, i);

		err |= json_array_append_new(writes, json_integer((json_int_t)w.writes)) |
		       json_array_append_new(pages, json_integer((json_int_t)w.pages));
	}
	return err | record_json_int(o, "window_ns", times.window_ns) |
	       record_json_int(o, "ts", times.first * times.window_ns) |
	       json_object_set_new(o, "writes", writes) |
	       json_object_set_new(o, "pages", pages) |
	       json_object_set_new(o, "writes_per_s", five(times.rate)) |
	       json_object_set_new(o, "working_set", five(times.pages));
}

typedef int (*put_part)(json_t *part, const struct report_view *v);

static int add(json_t *o, const char *key, json_t *part, put_part put, const struct report_view *v)
{
	int err = part ? put(part, v) : -1;

	return err | json_object_set_new(o, key, part);
}

#define OF_TALLY(name, put, member)                                                            \
	static int name(json_t *o, const struct report_view *v)                                \
	{                                                                                      \
		return put(o, member);                                                         \
	}

OF_TALLY(total, put_total, v->l->tally)
OF_TALLY(records, put_records, v->l->tally)
OF_TALLY(lost, put_lost, v->l->tally)
OF_TALLY(gaps, put_gaps, v->l->tally)
OF_TALLY(latency, put_spread, &v->l->tally->latency)
OF_TALLY(stop, put_spread, &v->l->tally->stop)

static int print(json_t *o)
{
	size_t cap = json_dumpb(o, NULL, 0, JSON_COMPACT) * 6 + 16;
	_free_ char *line = malloc(cap);
	int64_t len = line ? record_json_line(o, line, cap) : -ENOMEM;

	if (len < 0)
		return (int)len;
	fwrite(line, 1, (size_t)len, stdout);
	return 0;
}

int report_json(const struct report_view *v, const char *path)
{
	_json_ json_t *o = json_object();
	int err = record_json_word(o, "schema", "pagetap.report/1") |
		  record_json_text(o, "file", "file_hex", path, strlen(path)) |
		  add(o, "trace", json_object(), put_trace, v) |
		  add(o, "total", json_object(), total, v) |
		  add(o, "lost", json_array(), lost, v) |
		  add(o, "gaps", json_array(), gaps, v) |
		  add(o, "records", json_object(), records, v) |
		  add(o, "rows", json_object(), put_rows, v) |
		  add(o, "processes", json_array(), put_processes, v) |
		  add(o, "mappings", json_array(), put_mappings, v) |
		  add(o, "threads", json_array(), put_threads, v) |
		  add(o, "functions", json_array(), report_json_functions, v) |
		  add(o, "pages", json_array(), put_pages, v) |
		  add(o, "latency", json_object(), latency, v) |
		  add(o, "stop", json_object(), stop, v) |
		  add(o, "course", json_object(), put_course, v);

	if (v->heatmap)
		err |= add(o, "heat", json_object(), report_json_heat, v);
	return err ? -ENOMEM : print(o);
}
