/* SPDX-License-Identifier: MIT */
/* Judge, fault: a write that a thread was stopped at, or that the witness saw. */

#include <stdio.h>

#include "judge.h"

struct seen {
	const struct record *r;
	uint64_t at, ts, first, last;	/* its thread stood still at `at`; pages of the block */
	struct touch *touch;
	bool required;			/* what it told of had to be told */
};

/*
 * Nothing but the instant when its message was read: the thread stood still then, and
 * until the answer, so another touch of that thread before the answer is not this one.
 * A huge page is one: the block that holds the address.
 */
static void match(struct judge *j, struct mm *mm, struct seen *f)
{
	uint32_t tid = (uint32_t)f->r->fault.tid;
	bool reads = !f->r->fault.write || f->r->fault.unsure;
	uint64_t page = f->r->addr / j->page_size;

	f->touch = touch_match(j, mm, page, f->at, f->at, tid, reads);
	for (uint64_t p = f->first; p < f->last && !f->touch && f->last - f->first > 1; p++)
		f->touch = touch_match(j, mm, p, f->at, f->at, tid, reads);
}

/* The thread was killed, or its process left, before it could say. */
static bool unlogged(const struct mm *mm, const struct seen *f)
{
	const struct truth_thread *t = truth_thread(mm->process, (uint32_t)f->r->fault.tid);

	return t ? !t->ended && f->at >= t->last : false;
}

/*
 * The thread read the page, for the first time, and then it was written in a way that
 * raises no fault of the process; or it had written there, and reads what was paged out
 * meanwhile: pagetap-record(1) says that this may be mistaken.
 */
static bool misread(struct judge *j, struct mm *mm, const struct seen *f, const struct page *p)
{
	uint64_t page = f->r->addr / j->page_size;
	uint32_t tid = (uint32_t)f->r->fault.tid;

	return j->async && f->r->fault.via == VIA_PERF &&
	       touch_match(j, mm, page, f->at, f->at, tid, true) &&
	       (touch_of_others(j, mm, page, f->at, j->base + f->r->ts, 0) ||
		(p->dirty && touch_match(j, mm, page, p->dirty, f->at, tid, false)));
}

static void unmatched(struct judge *j, struct mm *mm, const struct seen *f, const struct page *p)
{
	uint64_t page = f->r->addr / j->page_size;
	struct touch *other = NULL;
	struct complaint c = {
		.what = E_PHANTOM, .mm = mm->id, .pid = mm->pid, .seq = j->seq,
		.tid = (uint32_t)f->r->fault.tid, .page = page, .t0 = f->at, .t1 = f->ts,
	};

	/* What perf saw may be told late: of memory that was not judged yet. */
	if (!p->judged || (f->r->fault.via == VIA_PERF && f->at < p->judged_at))
		return;
	if (unlogged(mm, f)) {
		j->unlogged++;
		return;
	}
	if (misread(j, mm, f, p)) {
		j->misread++;
		return;
	}
	for (uint64_t q = f->first; q < f->last && !other; q++)
		other = touch_of_others(j, mm, q, f->at, f->at, c.tid);
	if (other) {
		c.what = E_WRONG_THREAD;
		snprintf(c.words, sizeof(c.words), "thread %u wrote there then", other->who);
	} else {
		snprintf(c.words, sizeof(c.words), "nobody wrote there then (%s, %s)",
			 fault_kind_name(f->r->fault.kind), fault_via_name(f->r->fault.via));
	}
	complain(j, &c);
}

static void duplicate(struct judge *j, struct mm *mm, const struct seen *f, const struct page *p)
{
	struct complaint c = {
		.what = E_DUPLICATE, .mm = mm->id, .pid = mm->pid, .seq = j->seq,
		.tid = (uint32_t)f->r->fault.tid, .page = f->r->addr / j->page_size,
		.t0 = f->at, .t1 = f->ts,
	};

	if (!p->judged)
		return;
	snprintf(c.words, sizeof(c.words), "told before, by seq %u, and not armed since", p->seq);
	complain(j, &c);
}

static void spend_page(struct judge *j, struct mm *mm, uint64_t page, struct page *p, void *arg)
{
	const struct seen *f = arg;
	uint64_t at = f->at > p->since ? f->at : p->since;
	struct boundary b = { .t0 = at, .t1 = at, .to = PAGE_SPENT, .fault = true };

	if (p->state != PAGE_COVERED)
		return;
	page_change(j, mm, page, p, &b);
	p->required = f->required;
}

void take_fault(struct judge *j, struct mm *mm, const struct record *r, uint64_t ts)
{
	uint64_t page = r->addr / j->page_size;
	bool held = r->fault.via == VIA_UFFD, was_covered;
	/* Nobody waited for what perf saw: its time is the kernel's. */
	struct seen f = {
		.r = r, .at = held ? ts - r->fault.lat_ns : j->base + r->ts0,
		.ts = held ? ts : j->base + r->ts0,
		.first = page - page % r->npages, .last = page - page % r->npages + r->npages,
	};
	struct page *p = page_of(j, mm, page);

	if (!p || !mm->process)
		return;
	j->faults++;
	j->perf += !held;
	match(j, mm, &f);
	if (!f.touch)
		unmatched(j, mm, &f, p);
	if (!held && f.touch && r->fault.write && j->async)
		plant_witnessed(j, mm, page, f.touch, f.at);
	if (!held || !r->fault.write)
		return;
	was_covered = p->state == PAGE_COVERED;
	if (was_covered && p->async)
		other_engine(j, mm, page, p);
	if (p->state == PAGE_SPENT && f.touch)
		duplicate(j, mm, &f, p);
	j->told_uncovered += !was_covered;
	/* What began while nothing else than covered can only end with a fault. */
	f.required = f.touch && was_covered && f.touch->t0 >= p->since &&
		     !(f.touch->saw & ~SAW_COVERED);
	if (f.touch && f.touch->what != TOUCH_READ)
		touch_found(j, f.touch, f.required);
	if (was_covered && f.touch && r->npages == 1)
		plant_fault_seen(j, mm, page, p, f.touch, f.at);
	pages_each(j, mm, f.first, f.last, spend_page, &f);
}
