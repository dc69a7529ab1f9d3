/* SPDX-License-Identifier: MIT */
/*
 * Export, folded: writers as stacks with counts, for flame graphs and speedscope.
 *
 * Both are of one tree.  Their sums are the writes that a fault tells of.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "report/export.h"
#include "report/writers.h"

/* Deeper than any chain of writers. */
#define DEPTH_MAX 1024u

static int begin(struct export *e)
{
	struct writers *w = NULL;
	int r = writers_new(&w, e->model);

	e->state = w;
	return r;
}

static int record(struct export *e, const struct reader_record *r, bool picked)
{
	return picked ? writers_record(e->state, &r->record) : 0;
}

static void done(struct export *e)
{
	e->state = writers_free(e->state);
}

/* ---- the tree, a node after the other ------------------------------------------- */

struct path {
	uint32_t node[DEPTH_MAX];	/* from below the top on */
	size_t n;
	uint32_t top;
};

/* The next node below the top, children first; false when all have been. */
static bool path_next(struct path *p, const struct chains *c)
{
	uint32_t at = p->n ? p->node[p->n - 1] : p->top, next = chains_node(c, at)->child;

	if (p->n == DEPTH_MAX)
		next = CHAINS_NONE;
	while (next == CHAINS_NONE && p->n) {
		next = chains_node(c, p->node[p->n - 1])->next;
		p->n--;
	}
	if (next == CHAINS_NONE)
		return false;
	p->node[p->n++] = next;
	return true;
}

static int folded_end(struct export *e)
{
	struct chains *c = NULL;
	struct path p = { .top = 0 };
	int r = writers_chains(e->state, e->symbols, true, &c);

	while (!r && path_next(&p, c)) {
		const struct chains_node *n = chains_node(c, p.node[p.n - 1]);

		for (size_t i = 0; n->self && i < p.n; i++) {
			const char *name = chains_node(c, p.node[i])->name;

			pen_text(e->pen, i ? ";" : "");
			pen_frame(e->pen, name, strlen(name));
		}
		if (n->self)
			pen_format(e->pen, " %llu\n", (unsigned long long)n->self);
	}
	chains_free(c);
	return r;
}

/* ---- speedscope ----------------------------------------------------------------- */

static void write_frames(struct pen *p, const struct chains *c)
{
	size_t n;
	const struct chains_row *rows = chains_rows(c, &n);

	pen_text(p, "\"shared\":{\"frames\":[");
	for (size_t i = 0; i < n; i++) {
		pen_text(p, i ? ",\n{\"name\":" : "\n{\"name\":");
		pen_json_text(p, rows[i].name);
		if (rows[i].file) {
			pen_text(p, ",\"file\":");
			pen_json_text(p, rows[i].file);
			if (rows[i].line)
				pen_format(p, ",\"line\":%u", rows[i].line);
		} else if (rows[i].module) {
			pen_text(p, ",\"file\":");
			pen_json_text(p, rows[i].module);
		}
		pen_text(p, "}");
	}
	pen_text(p, "]},\n");
}

/* Of one thread: the stacks in which it wrote, and how often. */
static void write_profile(struct pen *p, const struct chains *c, uint32_t top)
{
	const struct chains_node *thread = chains_node(c, top);
	struct path at = { .top = top };
	bool first = true;

	pen_text(p, "{\"type\":\"sampled\",\"name\":");
	pen_json_text(p, thread->name);
	pen_format(p, ",\"unit\":\"none\",\"startValue\":0,\"endValue\":%llu,\n\"samples\":[",
		   (unsigned long long)thread->total);
	while (path_next(&at, c)) {
		if (!chains_node(c, at.node[at.n - 1])->self)
			continue;
		pen_text(p, first ? "[" : ",\n[");
		first = false;
		for (size_t i = 0; i < at.n; i++)
			pen_format(p, i ? ",%u" : "%u", chains_node(c, at.node[i])->row);
		pen_text(p, "]");
	}
	pen_text(p, "],\n\"weights\":[");
	at.n = 0;
	first = true;
	while (path_next(&at, c)) {
		const struct chains_node *n = chains_node(c, at.node[at.n - 1]);

		if (n->self)
			pen_format(p, first ? "%llu" : ",%llu", (unsigned long long)n->self);
		first = first && !n->self;
	}
	pen_text(p, "]}");
}

static int speedscope_end(struct export *e)
{
	struct chains *c = NULL;
	struct pen *p = e->pen;
	int r = writers_chains(e->state, e->symbols, true, &c);
	uint32_t top;

	if (r)
		return r;
	pen_text(p, "{\"$schema\":\"https://www.speedscope.app/file-format-schema.json\",\n"
		    "\"exporter\":");
	pen_json_text(p, "pagetap@" PAGETAP_VERSION);
	pen_text(p, ",\"name\":\"first writes to pages, by thread\",\"activeProfileIndex\":0,\n");
	write_frames(p, c);
	pen_text(p, "\"profiles\":[\n");
	top = chains_node(c, 0)->child;
	while (top != CHAINS_NONE) {
		write_profile(p, c, top);
		top = chains_node(c, top)->next;
		pen_text(p, top == CHAINS_NONE ? "\n" : ",\n");
	}
	pen_text(p, "]}\n");
	chains_free(c);
	return 0;
}

const struct export_form export_folded = { "folded", begin, record, folded_end, done };
const struct export_form export_speedscope = { "speedscope", begin, record, speedscope_end, done };
