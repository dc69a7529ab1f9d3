/* SPDX-License-Identifier: MIT */
/* Cmd report, tables: by mapping, thread, process and page. */

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "cmd-report.h"
#include "words.h"

#define PAGES_SHOWN_MAX 65536

/* A row on its way to the paper: what is sorted. */
struct row {
	uint64_t weight, second;
	size_t index;
};

static int by_weight(const void *a, const void *b)
{
	const struct row *x = a, *y = b;

	if (x->weight != y->weight)
		return x->weight < y->weight ? 1 : -1;
	if (x->second != y->second)
		return x->second < y->second ? 1 : -1;
	return (x->index > y->index) - (x->index < y->index);
}

/* Names of the columns; what is last has no width. */
static void head(const struct report_view *v, const char *last)
{
	printf("  %12s %7s %19s %12s %6s  %s\n", report_noun(v), "share", "pages", "faults", "gaps",
	       last);
}

static void line(const struct report_view *v, const struct tally_counts *c, uint64_t gaps,
		 uint64_t all)
{
	struct words weight, pages, size, faults, holes;
	struct report_share share;
	char both[48];

	snprintf(both, sizeof(both), "%s (%s)", words_count(c->pages, &pages),
		 words_bytes(c->pages * v->l->tally->page_size, &size));
	printf("  %12s %7s %19s %12s %6s  ", words_count(report_weight(v, c), &weight),
	       report_share(report_weight(v, c), all, &share), both,
	       words_count(c->faults, &faults), gaps ? words_count(gaps, &holes) : "");
}

/* Columns of a line before its name. */
#define NAME_AT 64

int report_by_mapping(const struct report_view *v)
{
	const struct tally *t = v->l->tally;
	uint64_t all = report_weight(v, &t->total);
	_free_ struct row *rows = calloc(t->nr_labels + 1, sizeof(*rows));
	size_t n = 0, shown;
	char name[1024];

	if (!rows)
		return -ENOMEM;
	for (size_t i = 0; i < t->nr_labels; i++) {
		const struct tally_label *l = &t->labels[i];

		if (l->c.faults || l->c.written || l->gaps)
			rows[n++] = (struct row){ report_weight(v, &l->c), l->c.faults, i };
	}
	qsort(rows, n, sizeof(*rows), by_weight);
	report_title(v, "by mapping");
	head(v, "mapping");
	shown = report_rows(v, n);
	for (size_t i = 0; i < shown; i++) {
		const struct tally_label *l = &t->labels[rows[i].index];
		const struct model_label *label = model_label(v->l->model, rows[i].index);
		char many[16] = "";

		if (label->mappings > 1)
			snprintf(many, sizeof(many), " x%" PRIu32, label->mappings);
		line(v, &l->c, l->gaps, all);
		printf("%s%s\n", report_name(v, label->text,
					     v->width - NAME_AT - (unsigned int)strlen(many), name,
					     sizeof(name)), many);
	}
	report_more(shown, n);
	return 0;
}

/* Writes of each thread, as its faults tell; and what nobody saw. */
int report_by_thread(const struct report_view *v)
{
	const struct tally *t = v->l->tally;
	bool writes = t->watches_writes;
	uint64_t all = writes ? t->total.written : t->total.faults, seen;
	_free_ struct row *rows = calloc(t->nr_threads + 1, sizeof(*rows));
	struct words weight, faults, wait;
	struct report_share share;
	char name[128];
	size_t shown;

	if (!rows)
		return -ENOMEM;
	seen = writes ? t->total.writes : t->total.faults;
	all = seen > all ? seen : all;
	for (size_t i = 0; i < t->nr_threads; i++) {
		const struct tally_counts *c = &t->threads[i].c;

		rows[i] = (struct row){ writes ? c->writes : c->faults, c->faults, i };
	}
	qsort(rows, t->nr_threads, sizeof(*rows), by_weight);
	report_title(v, "by thread");
	printf("  %12s %7s %12s %8s %8s  %s\n", report_noun(v), "share", "faults", "waited",
	       "tid", "thread");
	shown = report_rows(v, t->nr_threads);
	for (size_t i = 0; i < shown; i++) {
		const struct tally_thread *th = &t->threads[rows[i].index];
		struct model_text comm = th->tid ? report_comm(v, th->pid, th->mm, th->tid) :
					 (struct model_text){ 11, "(not known)" };

		printf("  %12s %7s %12s %8s %8" PRId32 "  %s\n",
		       words_count(rows[i].weight, &weight),
		       report_share(rows[i].weight, all, &share),
		       words_count(th->c.faults, &faults),
		       th->stop_ns ? words_duration(th->stop_ns, &wait) : "", th->tid,
		       report_name(v, comm, 20, name, sizeof(name)));
	}
	report_more(shown, t->nr_threads);
	if (all > seen)
		printf("  %12s %7s %12s %8s %8s  %s\n", words_count(all - seen, &weight),
		       report_share(all - seen, all, &share), "", "", "", "(no certain witness)");
	return 0;
}

int report_by_process(const struct report_view *v)
{
	const struct tally *t = v->l->tally;
	uint64_t all = report_weight(v, &t->total);
	_free_ struct row *rows = calloc(t->nr_spaces + 1, sizeof(*rows));
	size_t shown;
	char name[128];

	if (!rows)
		return -ENOMEM;
	for (size_t i = 0; i < t->nr_spaces; i++)
		rows[i] = (struct row){ report_weight(v, &t->spaces[i].c), t->spaces[i].c.faults,
					i };
	qsort(rows, t->nr_spaces, sizeof(*rows), by_weight);
	report_title(v, "by process");
	head(v, "process (address space)");
	shown = report_rows(v, t->nr_spaces);
	for (size_t i = 0; i < shown; i++) {
		const struct tally_space *row = &t->spaces[rows[i].index];
		const struct model_space *s = model_space(v->l->model, row->mm);
		int32_t pid = s ? s->pid : 0;

		line(v, &row->c, 0, all);
		printf("%s %" PRId32 " (%" PRIu32 ")\n",
		       report_name(v, report_comm(v, pid, row->mm, 0), 20, name, sizeof(name)), pid,
		       row->mm);
	}
	report_more(shown, t->nr_spaces);
	return 0;
}

/* The mapping is the one that lies there at the end of the trace. */
int report_by_page(const struct report_view *v)
{
	const struct tally *t = v->l->tally;
	size_t max = v->top && v->top < PAGES_SHOWN_MAX ? (size_t)v->top : PAGES_SHOWN_MAX, n;
	_free_ struct page_top *top = calloc(max, sizeof(*top));
	struct words written, faults;
	char name[1024];

	if (!top)
		return -ENOMEM;
	n = pages_top(&t->pages, top, max);
	report_title(v, "by page");
	printf("  %12s %12s  %18s %6s  %s\n", report_noun(v), "faults", "address", "space",
	       "mapping");
	for (size_t i = 0; i < n; i++) {
		const struct model_vma *a = model_find(v->l->model, top[i].mm,
						       top[i].page * t->page_size);

		printf("  %12s %12s  %#18" PRIx64 " %6" PRIu32 "  %s\n",
		       words_count(top[i].written, &written), words_count(top[i].faults, &faults),
		       top[i].page * t->page_size, top[i].mm,
		       report_name(v, a ? a->label->text : (struct model_text){ 1, "-" },
				   v->width - 56, name, sizeof(name)));
	}
	report_more(n, (size_t)(t->pages.touched - t->pages.released));
	if (t->pages.released)
		printf("  %s pages of processes that have ended are not listed\n",
		       words_count(t->pages.released, &written));
	return 0;
}
