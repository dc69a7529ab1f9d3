/* SPDX-License-Identifier: MIT */
/* HTML, tables: a row for each mapping and each thread, as many as fit. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report/html-parts.h"

#define THREADS_MAX 200
#define SPACES_MAX 16	/* of a mapping, told one by one */

static void write_process(struct pen *p, const struct html_report *r, int32_t pid, uint32_t mm)
{
	const struct model_text comm = model_comm(r->model, pid, mm, pid);
	char name[HTML_PLAIN_MAX], words[HTML_PLAIN_MAX + 16];

	html_plain_name(comm.s ? comm.s : "", comm.len, name);
	snprintf(words, sizeof(words), "%s%s%" PRId32, name, *name ? " " : "", pid);
	html_json_name(p, words, strlen(words));
}

/* The address spaces that have mappings of the label. */
struct spaces {
	uint32_t mm[SPACES_MAX];
	int32_t pid;		/* of the first */
	size_t n;		/* SPACES_MAX + 1: more */
};

static void spaces_add(struct spaces *s, const struct model_vma *v)
{
	for (size_t i = 0; i < s->n && i < SPACES_MAX; i++)
		if (s->mm[i] == v->mm)
			return;
	if (!s->n)
		s->pid = v->pid;
	if (s->n < SPACES_MAX)
		s->mm[s->n] = v->mm;
	if (s->n <= SPACES_MAX)
		s->n++;
}

/* Of all labels at once: the mappings may be many. */
static struct spaces *spaces_of_labels(const struct html_report *r)
{
	struct spaces *s = calloc(model_labels(r->model) + 1, sizeof(*s));

	for (size_t i = 0; s && i < model_vmas(r->model); i++) {
		const struct model_vma *v = model_vma(r->model, i);

		spaces_add(&s[v->label->index], v);
	}
	return s;
}

static void write_spaces(struct pen *p, const struct html_report *r, const struct spaces *s)
{
	char words[48];

	pen_text(p, ",\"process\":");
	if (s->n == 1) {
		write_process(p, r, s->pid, s->mm[0]);
	} else {
		snprintf(words, sizeof(words), "%s%zu address spaces",
			 s->n > SPACES_MAX ? "more than " : "",
			 s->n > SPACES_MAX ? (size_t)SPACES_MAX : s->n);
		pen_json_text(p, s->n ? words : "");
	}
	/* null: any of them. */
	pen_text(p, ",\"mms\":");
	if (s->n > SPACES_MAX) {
		pen_text(p, "null");
		return;
	}
	for (size_t i = 0; i < s->n; i++)
		pen_format(p, "%s%" PRIu32, i ? "," : "[", s->mm[i]);
	pen_text(p, s->n ? "]" : "[]");
}

static void write_map(struct pen *p, const struct html_report *r, uint32_t label,
		      const struct spaces *s)
{
	const struct model_label *l = model_label(r->model, label);
	const struct tally_label *t = &r->tally->labels[label];

	pen_text(p, "{\"name\":");
	html_json_name(p, l->text.s, l->text.len);
	pen_text(p, ",\"path\":");
	html_json_name(p, l->name.s ? l->name.s : "", l->name.len);
	pen_format(p, ",\"kind\":\"%s\"", label ? vma_kind_name(l->kind) : "");
	write_spaces(p, r, s);
	pen_format(p, ",\"mappings\":%" PRIu32 ",\"n\":%" PRIu64 ",\"written\":%" PRIu64,
		   l->mappings, html_count(r, label), t->c.written);
	pen_format(p, ",\"faults\":%" PRIu64 ",\"pages\":%" PRIu64 ",\"gaps\":%" PRIu64 "}",
		   t->c.faults, t->c.pages, t->gaps);
}

void html_write_maps(struct pen *p, struct html_state *s)
{
	struct spaces *spaces = spaces_of_labels(s->r);
	const size_t n = s->n_ranked < HTML_MAPS_MAX ? s->n_ranked : HTML_MAPS_MAX;

	if (!spaces)
		s->error = -ENOMEM;
	pen_text(p, "[");
	for (size_t i = 0; spaces && i < n; i++) {
		pen_text(p, i ? ",\n" : "");
		write_map(p, s->r, s->ranked[i], &spaces[s->ranked[i]]);
	}
	pen_text(p, "],\"maps_left_out\":");
	pen_number(p, s->n_ranked - n);
	free(spaces);
}

static int by_faults(const void *a, const void *b)
{
	const struct tally_thread *const *x = a, *const *y = b;

	if ((*x)->c.faults != (*y)->c.faults)
		return (*x)->c.faults < (*y)->c.faults ? 1 : -1;
	return ((*x)->tid > (*y)->tid) - ((*x)->tid < (*y)->tid);
}

static void write_thread(struct pen *p, const struct html_report *r,
			 const struct tally_thread *t)
{
	const struct model_text comm = model_comm(r->model, t->pid, t->mm, t->tid);

	pen_text(p, "{\"name\":");
	html_json_name(p, comm.s ? comm.s : "", comm.len);
	pen_format(p, ",\"tid\":%" PRId32 ",\"process\":", t->tid);
	write_process(p, r, t->pid, t->mm);
	pen_format(p, ",\"writes\":%" PRIu64 ",\"faults\":%" PRIu64 ",\"stop_ns\":%" PRIu64 "}",
		   t->c.writes, t->c.faults, t->stop_ns);
}

void html_write_threads(struct pen *p, struct html_state *s)
{
	const struct tally *t = s->r->tally;
	const struct tally_thread **sorted = calloc(t->nr_threads + 1, sizeof(*sorted));
	const size_t n = t->nr_threads < THREADS_MAX ? t->nr_threads : THREADS_MAX;

	pen_text(p, "[");
	if (!sorted)
		s->error = -ENOMEM;
	for (size_t i = 0; sorted && i < t->nr_threads; i++)
		sorted[i] = &t->threads[i];
	if (sorted)
		qsort(sorted, t->nr_threads, sizeof(*sorted), by_faults);
	for (size_t i = 0; sorted && i < n; i++) {
		pen_text(p, i ? ",\n" : "");
		write_thread(p, s->r, sorted[i]);
	}
	pen_text(p, "],\"threads_left_out\":");
	pen_number(p, t->nr_threads - n);
	free(sorted);
}

void html_write_summary_maps(struct pen *p, const struct html_state *s)
{
	const size_t n = s->n_ranked < HTML_MAPS_MAX ? s->n_ranked : HTML_MAPS_MAX;

	pen_text(p, "<table>\n<tr><th>mapping</th><th>written</th><th>faults</th>"
		    "<th>pages</th></tr>\n");
	for (size_t i = 0; i < n; i++) {
		const struct model_label *l = model_label(s->r->model, s->ranked[i]);
		const struct tally_counts *c = &s->r->tally->labels[s->ranked[i]].c;

		pen_text(p, "<tr><td>");
		html_markup_name(p, l->text.s, l->text.len);
		pen_format(p, "</td><td>%" PRIu64 "</td><td>%" PRIu64 "</td><td>%" PRIu64
			   "</td></tr>\n", c->written, c->faults, c->pages);
	}
	pen_text(p, "</table>\n");
	if (s->n_ranked > n)
		pen_format(p, "<p>%zu mappings with less are left out.</p>\n", s->n_ranked - n);
}
