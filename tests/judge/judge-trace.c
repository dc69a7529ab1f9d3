/* SPDX-License-Identifier: MIT */
/* Judge, trace: the records, in their order, as changes of the tables. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "judge.h"
#include "trace/reader-file.h"

struct spread {
	struct boundary b;
	const struct record *r;
	uint64_t lo, to;
};

static void arm_page(struct judge *j, struct mm *mm, uint64_t page, struct page *p, void *arg)
{
	const struct spread *s = arg;

	p->registered = true;
	p->async = s->r->arm.mode == ARM_ASYNC;
	if (p->state == PAGE_COVERED) {
		p->again = s->b.t1;
		return;
	}
	if (p->state == PAGE_SPENT)
		plant_spent_ends(j, mm, page, p, &s->b);
	/* What is not protected, but collected, may find what the gap declares. */
	if (p->young && !p->async)
		plant_gap_ends(j, mm, page, p, &s->b);
	page_change(j, mm, page, p, &s->b);
}

static void on_arm(struct judge *j, struct mm *mm, const struct record *r, uint64_t ts)
{
	struct spread s = { { .t0 = j->base + r->ts0, .t1 = ts, .to = PAGE_COVERED }, .r = r };
	uint64_t lo = r->addr / j->page_size;

	if (r->arm.mode == ARM_WP || r->arm.mode == ARM_ASYNC)
		pages_each(j, mm, lo, lo + r->npages, arm_page, &s);
}

static void gap_page(struct judge *j, struct mm *mm, uint64_t page, struct page *p, void *arg)
{
	const struct spread *s = arg;
	struct page was = *p;
	/* What the gap of a new mapping has told stays told when its arming goes on with it. */
	bool goes_on = was.state == PAGE_BLIND && was.young && s->b.t0 == was.since;

	if (!goes_on)
		was.blind = NULL;
	if (was.state == PAGE_FRESH)
		plant_gap_tells(j, mm, page, &was, &s->b);
	if (s->r->gap.reason != GAP_RESYNC && s->r->gap.reason != GAP_RING)
		p->registered = false;
	page_change(j, mm, page, p, &s->b);
	p->young = was.state == PAGE_FRESH || goes_on;
	p->blind = was.blind;
	if (goes_on)
		p->seq = was.seq;
}

static void on_gap(struct judge *j, struct mm *mm, const struct record *r, uint64_t ts)
{
	struct spread s = {
		.b = { .t0 = j->base + r->ts0, .t1 = ts, .to = PAGE_BLIND }, .r = r,
	};
	uint64_t lo = r->npages ? r->addr / j->page_size : 0;
	struct layout_record l = {
		.kind = RECORD_GAP, .ts0 = s.b.t0, .ts = ts, .seq = j->seq,
		.lo = lo, .hi = r->npages ? lo + r->npages : UINT64_MAX, .to = r->gap.reason,
	};

	layout_keep(mm, &l);
	pages_each(j, mm, l.lo, l.hi, gap_page, &s);
}

static void vma_page(struct judge *j, struct mm *mm, uint64_t page, struct page *p, void *arg)
{
	const struct spread *s = arg;

	if (p->state == PAGE_FRESH)
		page_change(j, mm, page, p, &s->b);
}

/* Gone without an event, as from a child (MADV_DONTFORK): what comes there next has none. */
static void vma_gone(struct judge *j, struct mm *mm, uint64_t page, struct page *p, void *arg)
{
	(void)j, (void)mm, (void)page, (void)arg;
	p->registered = false;
}

/* In the first snapshot, or not watched: that is a declaration. */
static void on_vma(struct judge *j, struct mm *mm, const struct record *r, uint64_t ts)
{
	struct spread s = { .b = { .t0 = ts, .t1 = ts, .to = PAGE_BLIND } };
	uint64_t lo = r->addr / j->page_size;

	if (r->vma.op == VMA_OP_GONE)
		pages_each(j, mm, lo, lo + r->npages, vma_gone, NULL);
	else if (r->vma.op == VMA_OP_SNAPSHOT || !r->vma.watch)
		pages_each(j, mm, lo, lo + r->npages, vma_page, &s);
}

static void drop_page(struct judge *j, struct mm *mm, uint64_t page, struct page *p, void *arg)
{
	const struct spread *s = arg;

	if (s->b.to == PAGE_BLIND && (p->state == PAGE_FRESH || p->state == PAGE_BEFORE))
		return;
	if (s->b.to == PAGE_FRESH)
		p->registered = false;
	page_change(j, mm, page, p, &s->b);
}

static void on_layout(struct judge *j, struct mm *mm, const struct record *r, uint64_t ts)
{
	struct spread s = { .b.to = r->kind == RECORD_REMOVE ? PAGE_BLIND : PAGE_FRESH };
	uint64_t lo = r->addr / j->page_size;
	struct layout_record l = {
		.kind = r->kind, .ts0 = j->base + r->ts0, .ts = ts, .lo = lo,
		.hi = lo + r->npages, .seq = j->seq,
	};

	layout_keep(mm, &l);
	layout_narrow(j, mm, &l);
	s.b.t0 = l.ts0;
	s.b.t1 = l.ts;
	pages_each(j, mm, l.lo, l.hi, drop_page, &s);
}

static void move_page(struct judge *j, struct mm *mm, uint64_t page, struct page *p, void *arg)
{
	const struct spread *s = arg;
	struct page was = *p, *to;
	struct boundary b = s->b;

	if (was.async)
		async_moves(j, mm, page, b.t1);
	b.to = PAGE_FRESH;
	page_change(j, mm, page, p, &b);
	p->registered = false;
	to = page_of(j, mm, s->to + (page - s->lo));
	if (!to)
		return;
	b.to = was.state == PAGE_BEFORE ? PAGE_FRESH : was.state;
	page_change(j, mm, s->to + (page - s->lo), to, &b);
	to->registered = was.registered;
	to->async = was.async;
	to->huge |= was.huge;
}

static void on_remap(struct judge *j, struct mm *mm, const struct record *r, uint64_t ts)
{
	uint64_t lo = r->addr / j->page_size;
	struct layout_record l = {
		.kind = r->kind, .ts0 = j->base + r->ts0, .ts = ts, .lo = lo,
		.hi = lo + r->npages, .to = r->remap.new_addr / j->page_size, .seq = j->seq,
	};
	struct spread s = { .lo = lo, .to = l.to };

	layout_keep(mm, &l);
	layout_narrow(j, mm, &l);
	s.b.t0 = l.ts0;
	s.b.t1 = l.ts;
	pages_each(j, mm, l.lo, l.hi, move_page, &s);
}

/* What only the witness lost are touches that nothing required. */
static void on_lost(struct judge *j, const struct record *r)
{
	struct complaint c = { .what = E_TRACE, .seq = j->seq };

	j->declared_lost += r->lost.n == RECORD_UNKNOWN ? 1 : (uint64_t)r->lost.n;
	if (r->lost.reason == LOST_PERF && !r->lost.faults)
		return;
	snprintf(c.words, sizeof(c.words), "the trace says that it lost records (%s)",
		 lost_reason_name(r->lost.reason));
	complain(j, &c);
}

static void take_memory(struct judge *j, const struct record *r, uint64_t ts)
{
	struct mm *mm = mm_new(j, r->mm, r->pid, ts);

	if (mm->end != FOREVER)
		return;
	acts_until(j, mm, ts);
	switch ((enum record_kind)r->kind) {
	case RECORD_VMA:
		on_vma(j, mm, r, ts);
		break;
	case RECORD_ARM:
		on_arm(j, mm, r, ts);
		break;
	case RECORD_FAULT:
		take_fault(j, mm, r, ts);
		break;
	case RECORD_DIRTY:
		take_dirty(j, mm, r, ts);
		break;
	case RECORD_GAP:
		on_gap(j, mm, r, ts);
		break;
	case RECORD_REMAP:
		on_remap(j, mm, r, ts);
		break;
	case RECORD_REMOVE:
	case RECORD_UNMAP:
		on_layout(j, mm, r, ts);
		break;
	default:
		break;
	}
}

void take_record(struct judge *j, const struct record *r, uint32_t seq)
{
	uint64_t ts = j->base + r->ts;

	j->seq = seq;
	j->records++;
	j->last = ts > j->last ? ts : j->last;
	switch ((enum record_kind)r->kind) {
	case RECORD_ATTACH:
		take_attach(j, r, ts);
		break;
	case RECORD_FORK:
		take_memory(j, r, ts);
		take_fork(j, r, ts);
		break;
	case RECORD_EXEC:
		take_exec(j, r, ts);
		break;
	case RECORD_EXIT:
		take_exit(j, r, ts);
		break;
	case RECORD_LOST:
		on_lost(j, r);
		break;
	case RECORD_STATS:
	case RECORD_DETACH:
	case RECORD_ERROR:
	case RECORD_HEADER:
	case RECORD_STACK:
	case RECORD_BUDGET:
	case RECORD_THREAD:
		break;
	default:
		take_memory(j, r, ts);
	}
}

static void take_line(struct judge *j, struct reader *rd, const char *line, size_t len)
{
	struct reader_record rec = { 0 };
	struct reader_error e = { "" };
	struct record more;
	bool twice = false;

	if (reader_record(rd, line, len, &rec, &e) < 0) {
		struct complaint c = { .what = E_TRACE, .seq = j->seq };

		snprintf(c.words, sizeof(c.words), "no record: %.70s", e.text);
		complain(j, &c);
		return;
	}
	if (!rec.unknown && plant_apply(j, &rec.record, (uint32_t)rec.seq, &more, &twice)) {
		take_record(j, &rec.record, (uint32_t)rec.seq);
		if (twice)
			take_record(j, &more, (uint32_t)rec.seq);
	}
	record_release(&rec.record);
}

static int read_header(struct judge *j, struct reader_file *f, struct reader *rd)
{
	struct reader_error e = { "not a trace" };
	struct reader_header h;
	const char *line;
	size_t len;
	int r = reader_file_next(f, &line, &len);

	r = r == 1 ? reader_header(line, len, &h, &e) : -EBADMSG;
	if (r < 0) {
		fprintf(stderr, "judge: %s: %s\n", j->path, e.text);
		return r;
	}
	rd->page_size = j->page_size = h.page_size;
	j->base = h.base_mono_ns;
	j->async = !strcmp(h.engine, "async") || !strcmp(h.engine, "both");
	j->sync = strcmp(h.engine, "async");
	reader_header_release(&h);
	return 0;
}

int trace_read(struct judge *j)
{
	struct reader_file *f = NULL;
	struct reader rd = { 0 };
	const char *line;
	size_t len;
	int r = reader_file_open(&f, j->path);

	if (r < 0) {
		fprintf(stderr, "judge: %s: %s\n", j->path, strerror(-r));
		return r;
	}
	r = read_header(j, f, &rd);
	while (!r && reader_file_next(f, &line, &len) == 1)
		take_line(j, &rd, line, len);
	reader_file_close(f);
	return r;
}

void judge_begin(struct judge *j, struct truth *t, const char *path)
{
	truth_reset(t);
	*j = (struct judge){ .truth = t, .path = path };
}

/* Writes of programs that the trace never followed are nobody's to judge. */
static void count_unseen(struct judge *j)
{
	const struct truth *t = j->truth;

	for (size_t i = 0; i < t->ntouches; i++) {
		if (t->touches[i].verdict || t->touches[i].what == TOUCH_READ)
			continue;
		j->verdicts[t->touches[i].t0 < j->first || t->touches[i].t1 > j->last ?
			    V_OUTSIDE : V_UNSEEN]++;
	}
}

void judge_end(struct judge *j)
{
	struct complaint c = { .what = E_SYSCALL, .words = "a call failed that should not have" };

	for (struct mm *mm = j->mms; mm; mm = mm->next) {
		acts_until(j, mm, FOREVER);
		if (mm->end == FOREVER)
			verdicts_end(j, mm, j->last, false);
	}
	verdicts_excuse(j);
	for (struct mm *mm = j->mms; mm; mm = mm->next)
		layout_check(j, mm);
	plant_places_end(j);
	family_check(j);
	for (uint64_t i = 0; i < j->truth->syscall_errors; i++)
		complain(j, &c);
	count_unseen(j);
}

void judge_free(struct judge *j)
{
	for (struct mm *mm = j->mms, *next; mm; mm = next) {
		next = mm->next;
		pages_free(j, mm);
		free(mm->records);
		free(mm->gaps);
		free(mm->claims);
		free(mm);
	}
	for (int i = 0; i < PLANT_NR; i++)
		free(j->sites[i]);
	free(j->by_id);
	free(j->candidates);
	free(j->places);
}
