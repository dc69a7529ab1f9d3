/* SPDX-License-Identifier: MIT */
/* Live sum: tables of what happened.  See live-sum.h. */

#include "live-sum.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "report/keys.h"
#include "report/lexicon.h"
#include "report/live.h"
#include "report/spread.h"

struct row {
	const char *kind;	/* of the table of kinds */
	uint64_t a, b;		/* its key */
	uint64_t events, pages;
	struct spread *stop;	/* owned; NULL: nobody stood still */
};

struct table {
	struct keys keys;
	struct row *rows;
	size_t room;
};

struct live_sum {
	const struct model *model;
	struct table kinds, labels, threads;
};

int live_sum_new(struct live_sum **ret, const struct model *model)
{
	struct live_sum *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->model = model;
	*ret = s;
	return 0;
}

static void table_done(struct table *t)
{
	for (size_t i = 0; i < t->keys.n; i++)
		free(t->rows[i].stop);
	free(t->rows);
	keys_done(&t->keys);
}

struct live_sum *live_sum_free(struct live_sum *s)
{
	if (!s)
		return NULL;
	table_done(&s->kinds);
	table_done(&s->labels);
	table_done(&s->threads);
	free(s);
	return NULL;
}

static struct row *row_of(struct table *t, uint64_t a, uint64_t b)
{
	/* Room first: a key without its row cannot be taken back. */
	struct row *rows = keys_room(t->rows, t->keys.n, &t->room, sizeof(*rows));
	uint32_t index;

	if (!rows)
		return NULL;
	t->rows = rows;
	switch (keys_index(&t->keys, a, b, &index)) {
	case 1:
		rows[index] = (struct row){ .a = a, .b = b };
		return &rows[index];
	case 0:
		return &rows[index];
	default:
		return NULL;
	}
}

static int count(struct row *row, const struct record *r, uint64_t pages)
{
	if (!row)
		return -ENOMEM;
	row->events++;
	row->pages += pages;
	if (r->kind != RECORD_FAULT || r->fault.via != VIA_UFFD)
		return 0;
	if (!row->stop)
		row->stop = calloc(1, sizeof(*row->stop));
	if (!row->stop)
		return -ENOMEM;
	spread_add(row->stop, r->fault.stop_ns);
	return 0;
}

int live_sum_add(struct live_sum *s, const struct record *r)
{
	bool page = r->kind == RECORD_FAULT || r->kind == RECORD_DIRTY;
	const struct model_vma *v = page ? model_place(s->model, r) : NULL;
	uint64_t pages = r->kind == RECORD_FAULT ? 1 : page ? r->npages : 0;
	const char *kind = live_kind(r);
	struct row *row = row_of(&s->kinds, (uintptr_t)kind, 0);
	int err = count(row, r, pages);

	if (!err)
		row->kind = kind;
	if (!page || err)
		return err;
	err = count(row_of(&s->labels, v ? v->label->index : 0, 0), r, pages);
	if (err || r->kind != RECORD_FAULT)
		return err;
	return count(row_of(&s->threads, (uint32_t)r->pid, (uint32_t)r->fault.tid), r, pages);
}

/* ---- the tables ------------------------------------------------------------------------ */

static int by_pages(const void *a, const void *b)
{
	const struct row *x = a, *y = b;

	if (x->pages != y->pages)
		return x->pages < y->pages ? 1 : -1;
	if (x->events != y->events)
		return x->events < y->events ? 1 : -1;
	return x->a != y->a ? (x->a < y->a ? -1 : 1) : x->b < y->b ? -1 : x->b > y->b;
}

static const char *duration(const struct spread *stop, unsigned int per_mille, char buf[16])
{
	double ns = stop ? (double)spread_quantile(stop, per_mille) : 0;

	if (!stop)
		return "-";
	snprintf(buf, 16, "%.1f %s", ns < 1e6 ? ns / 1e3 : ns < 1e9 ? ns / 1e6 : ns / 1e9,
		 ns < 1e6 ? "us" : ns < 1e9 ? "ms" : "s");
	return buf;
}

typedef void (*say_name)(const struct live_sum *s, struct lexicon *words, const struct row *row,
			 FILE *out);

static const char *word(struct lexicon *words, struct model_text t)
{
	const char *w = t.len ? lexicon_word(words, t.s, t.len) : NULL;

	return w ? w : "?";
}

static void say_kind(const struct live_sum *s, struct lexicon *words, const struct row *row,
		     FILE *out)
{
	(void)s;
	(void)words;
	fputs(row->kind, out);
}

static void say_label(const struct live_sum *s, struct lexicon *words, const struct row *row,
		      FILE *out)
{
	fputs(word(words, model_label(s->model, row->a)->text), out);
}

static void say_thread(const struct live_sum *s, struct lexicon *words, const struct row *row,
		       FILE *out)
{
	const int32_t pid = (int32_t)row->a, tid = (int32_t)row->b;
	const struct model_thread *t = model_thread(s->model, pid, tid);
	struct model_text comm = t ? t->comm : (struct model_text){ 0, "" };

	/* Without its own name that of its process, whose first address space suffices. */
	for (size_t i = 0; !comm.len && i < model_spaces(s->model); i++)
		if (model_space_at(s->model, i)->pid == pid)
			comm = model_space_at(s->model, i)->comm;
	fprintf(out, "%s/%d", word(words, comm), (int)tid);
}

static int print_table(const struct live_sum *s, const struct table *t, const char *what,
		       say_name name, FILE *out)
{
	size_t n = t->keys.n;
	struct row *rows = malloc((n + 1) * sizeof(*rows));
	struct lexicon *words = NULL;
	uint64_t all = 0;
	char p50[16], p99[16];
	int r = rows ? lexicon_new(&words) : -ENOMEM;

	if (r < 0) {
		free(rows);
		return r;
	}
	if (n)
		memcpy(rows, t->rows, n * sizeof(*rows));
	qsort(rows, n, sizeof(*rows), by_pages);
	for (size_t i = 0; i < n; i++)
		all += rows[i].pages;
	fprintf(out, "%% pages       pages      events     stop p50     stop p99  %s\n", what);
	fputs("------- ----------- ----------- ------------ ------------  ----------------\n", out);
	for (size_t i = 0; i < n; i++) {
		fprintf(out, "%7.2f %11" PRIu64 " %11" PRIu64 " %12s %12s  ",
			all ? 100.0 * (double)rows[i].pages / (double)all : 0.0, rows[i].pages,
			rows[i].events, duration(rows[i].stop, 500, p50),
			duration(rows[i].stop, 990, p99));
		name(s, words, &rows[i], out);
		fputc('\n', out);
	}
	lexicon_free(words);
	free(rows);
	return 0;
}

int live_sum_print(const struct live_sum *s, FILE *out)
{
	int r = print_table(s, &s->kinds, "kind", say_kind, out);

	if (!r && s->labels.keys.n) {
		fputc('\n', out);
		r = print_table(s, &s->labels, "mapping", say_label, out);
	}
	if (!r && s->threads.keys.n) {
		fputc('\n', out);
		r = print_table(s, &s->threads, "thread", say_thread, out);
	}
	return r;
}
