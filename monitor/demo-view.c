/* SPDX-License-Identifier: MIT */
/* Demo view: a trace read back.  See demo-view.h. */

#include "demo-view.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "trace/reader.h"

#define VMAS_MAX 512

struct vma {
	uint32_t id;
	struct range r;		/* the widest it has been */
	uint64_t faults;
	char name[64];
};

struct reading {
	struct vma vma[VMAS_MAX];
	unsigned int n;
	struct demo_view *view;
};

static void on_vma(struct reading *g, const struct record *r, uint32_t page_size)
{
	struct range now = { r->addr, r->addr + r->npages * page_size };
	const char *name = r->text && r->text->len[0] ? r->text->bytes : NULL;
	struct vma *v = g->vma;

	while (v < g->vma + g->n && v->id != r->vma.id)
		v++;
	if (r->vma.op == VMA_OP_GONE || v == g->vma + VMAS_MAX)
		return;
	if (v == g->vma + g->n) {
		g->n++;
		*v = (struct vma){ .id = r->vma.id, .r = now };
		if (name)
			snprintf(v->name, sizeof(v->name), "%.*s", (int)r->text->len[0], name);
		else
			snprintf(v->name, sizeof(v->name), "%s", vma_kind_name(r->vma.kind));
	}
	v->r.lo = now.lo < v->r.lo ? now.lo : v->r.lo;
	v->r.hi = now.hi > v->r.hi ? now.hi : v->r.hi;
}

static void on_fault(struct reading *g, const struct record *r)
{
	g->view->missing += r->fault.kind == FAULT_MISSING;
	g->view->wp += r->fault.kind == FAULT_WP;
	for (unsigned int i = 0; i < g->n; i++)
		if (g->vma[i].id == r->fault.vma)
			g->vma[i].faults++;
}

static void count(struct reading *g, const struct record *r, uint32_t page_size)
{
	if (r->kind == RECORD_VMA)
		on_vma(g, r, page_size);
	else if (r->kind == RECORD_FAULT)
		on_fault(g, r);
}

static void draw(struct reading *g, const struct record *r, uint32_t page_size)
{
	(void)page_size;
	for (unsigned int i = 0; r->kind == RECORD_FAULT && i < g->view->n; i++)
		picture_add(&g->view->picture[i], r->addr);
}

static int read_header(FILE *f, char **line, size_t *cap, uint32_t *ret_page_size)
{
	struct reader_header h;
	struct reader_error e;
	ssize_t len = getline(line, cap, f);
	int r;

	if (len < 1)
		return -EBADMSG;
	r = reader_header(*line, (size_t)len - 1, &h, &e);
	if (r < 0)
		return r;
	*ret_page_size = h.page_size;
	reader_header_release(&h);
	return 0;
}

static int pass(FILE *f, struct reading *g,
		void (*on)(struct reading *g, const struct record *r, uint32_t page_size),
		uint32_t *ret_page_size)
{
	_free_ char *line = NULL;
	struct reader rd = { 0 };
	size_t cap = 0;
	ssize_t len;
	int r;

	rewind(f);
	r = read_header(f, &line, &cap, &rd.page_size);
	*ret_page_size = rd.page_size;
	while (!r && (len = getline(&line, &cap, f)) > 0) {
		struct reader_record rr = { 0 };
		struct reader_error e;

		r = reader_record(&rd, line, (size_t)len - 1, &rr, &e);
		if (r < 0)
			break;
		if (!rr.unknown)
			on(g, &rr.record, rd.page_size);
		record_release(&rr.record);
	}
	return r;
}

static int by_faults(const void *a, const void *b)
{
	const struct vma *x = a, *y = b;

	return (x->faults < y->faults) - (x->faults > y->faults);
}

static int by_address(const void *a, const void *b)
{
	const struct vma *x = a, *y = b;

	return (x->r.lo > y->r.lo) - (x->r.lo < y->r.lo);
}

static int choose(struct reading *g, uint32_t page_size)
{
	struct demo_view *v = g->view;
	unsigned int n = 0;
	int r = 0;

	qsort(g->vma, g->n, sizeof(g->vma[0]), by_faults);
	while (n < g->n && n < DEMO_VIEW_MAX && g->vma[n].faults)
		n++;
	qsort(g->vma, n, sizeof(g->vma[0]), by_address);
	for (unsigned int i = 0; i < n && r != -ENOMEM; i++) {
		r = picture_init(&v->picture[v->n], g->vma[i].r, page_size);
		if (r < 0)
			continue;	/* too large for a picture */
		memcpy(v->name[v->n], g->vma[i].name, sizeof(v->name[0]));
		v->n++;
	}
	return r == -ENOMEM ? r : 0;
}

int demo_view_read(const char *path, struct demo_view *ret)
{
	_fclose_ FILE *f = fopen(path, "re");
	_free_ struct reading *g = calloc(1, sizeof(*g));
	uint32_t page_size;
	int r;

	memset(ret, 0, sizeof(*ret));
	if (!f)
		return -errno;
	if (!g)
		return -ENOMEM;
	g->view = ret;
	r = pass(f, g, count, &page_size);
	if (!r)
		r = choose(g, page_size);
	if (!r)
		r = pass(f, g, draw, &page_size);
	if (r < 0)
		demo_view_done(ret);
	return r;
}

void demo_view_done(struct demo_view *v)
{
	for (unsigned int i = 0; i < v->n; i++)
		picture_done(&v->picture[i]);
	v->n = 0;
}
