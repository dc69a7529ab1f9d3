/* SPDX-License-Identifier: MIT */
/*
 * Judge, layout: what the target moved, dropped and unmapped, and whether it was told.
 *
 * An act of the truth on pages that were registered when it began must have a record
 * whose interval overlaps its own.  The other way round, an act narrows the interval
 * of the record that tells of it: the change came within both.
 */

#include <inttypes.h>
#include <stdio.h>
#include <sys/mman.h>

#include "judge.h"

#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED 24
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

/* No act that is looked for lasts longer. */
#define ACT_NS UINT64_C(1000000000)

static uint64_t first_page(const struct judge *j, uint64_t addr)
{
	return addr / j->page_size;
}

static uint64_t behind_page(const struct judge *j, uint64_t addr, uint64_t len)
{
	return (addr + len + j->page_size - 1) / j->page_size;
}

static enum record_kind record_of(const struct truth_entry *e)
{
	switch (e->op) {
	case TRUTH_REMAP:
		/* Shrunk in place: what is cut off is unmapped. */
		return e->aux == e->addr ? RECORD_UNMAP : RECORD_REMAP;
	case TRUTH_ADVISE:
		return RECORD_REMOVE;
	case TRUTH_UNMAP:
	case TRUTH_REPLACE:
		return RECORD_UNMAP;
	default:
		return RECORD_NR;
	}
}

static bool drops(const struct truth_entry *e)
{
	int advice = e->flags & ~TRUTH_UNCERTAIN;

	return advice == MADV_DONTNEED || advice == MADV_FREE || advice == MADV_REMOVE ||
	       advice == MADV_DONTNEED_LOCKED;
}

/* Which pages of the act the userfaultfd must tell of. */
static bool told_pages(const struct judge *j, const struct truth_entry *e, uint64_t *ret_lo,
		       uint64_t *ret_hi)
{
	*ret_lo = first_page(j, e->addr);
	*ret_hi = behind_page(j, e->addr, e->len);
	if (record_of(e) == RECORD_NR || (e->op == TRUTH_ADVISE && !drops(e)))
		return false;
	if (e->op == TRUTH_REMAP && e->aux == e->addr)
		*ret_lo = behind_page(j, e->addr, e->aux2);
	return *ret_lo < *ret_hi && !(e->flags & TRUTH_UNCERTAIN);
}

struct judged {
	const struct truth_entry *e;
	bool judged, gone, huge, unseen;	/* unseen: moved before it was registered */
};

static void claim(struct mm *mm, struct truth_act *act, uint64_t lo, uint64_t hi)
{
	mm->claims = grow(mm->claims, mm->nclaims, sizeof(*mm->claims));
	mm->claims[mm->nclaims++] = (struct layout_claim){ act, lo, hi };
}

struct claiming {
	struct truth_act *act;
	uint64_t lo, hi;
};

static void claim_page(struct judge *j, struct mm *mm, uint64_t page, struct page *p, void *arg)
{
	struct claiming *c = arg;

	(void)j;
	if (!p->registered || p->since >= c->act->e.t0)
		return;
	if (c->hi == page && c->hi > c->lo) {
		c->hi++;
		return;
	}
	if (c->hi > c->lo)
		claim(mm, c->act, c->lo, c->hi);
	c->lo = page;
	c->hi = page + 1;
}

static void mark_page(struct judge *j, struct mm *mm, uint64_t page, struct page *p, void *arg)
{
	const struct judged *a = arg;
	struct boundary b = { .t0 = a->e->t0, .t1 = a->e->t0, .to = PAGE_FRESH };

	p->judged = a->judged;
	p->judged_at = a->e->t0;
	p->huge = a->huge;
	/*
	 * The kernel lets go of who unmaps as soon as the event is read, so its next act may
	 * begin before the record does: what is there then is registered no more.
	 */
	if (a->gone)
		p->registered = false;
	/* New memory, after the first look at the process: to be declared. */
	if (a->judged && !a->unseen && p->state == PAGE_BEFORE && a->e->t0 > mm->begin)
		page_change(j, mm, page, p, &b);
}

static void mark(struct judge *j, struct mm *mm, const struct truth_entry *e, uint64_t addr,
		 uint64_t len, bool judged, bool gone)
{
	const struct page *moved = e->op == TRUTH_REMAP ?
				   page_of(j, mm, first_page(j, e->addr)) : NULL;
	struct judged a = {
		.e = e, .judged = judged, .gone = gone, .huge = moved && moved->huge,
		.unseen = moved && !moved->registered,
	};

	pages_each(j, mm, first_page(j, addr), behind_page(j, addr, len), mark_page, &a);
}

static void ask_huge(struct judge *j, struct mm *mm, uint64_t page, struct page *p, void *arg)
{
	(void)j;
	(void)mm;
	(void)page;
	(void)arg;
	p->huge = true;
}

/* What is huge stays so, whatever is said later. */
static void advice_begins(struct judge *j, struct mm *mm, const struct truth_entry *e)
{
	int advice = e->flags & ~TRUTH_UNCERTAIN;

	if (advice == MADV_HUGEPAGE || advice == MADV_COLLAPSE)
		pages_each(j, mm, first_page(j, e->addr), behind_page(j, e->addr, e->len),
			   ask_huge, NULL);
}

static void act_begins(struct judge *j, struct mm *mm, struct truth_act *act)
{
	const struct truth_entry *e = &act->e;
	struct claiming c = { .act = act };
	uint64_t lo, hi;

	if (told_pages(j, e, &lo, &hi)) {
		pages_each(j, mm, lo, hi, claim_page, &c);
		if (c.hi > c.lo)
			claim(mm, act, c.lo, c.hi);
	}
	switch (e->op) {
	case TRUTH_ADVISE:
		advice_begins(j, mm, e);
		break;
	case TRUTH_AREA:
	case TRUTH_REPLACE:
		mark(j, mm, e, e->addr, e->len, true, e->op == TRUTH_REPLACE);
		break;
	case TRUTH_UNMAP:
		mark(j, mm, e, e->addr, e->len, false, !(e->flags & TRUTH_UNCERTAIN));
		break;
	case TRUTH_REMAP:
		mark(j, mm, e, e->addr, e->len, false,
		     e->aux != e->addr && !(e->flags & MREMAP_DONTUNMAP));
		mark(j, mm, e, e->aux, e->aux2, true, false);
		break;
	}
}

void acts_until(struct judge *j, struct mm *mm, uint64_t when)
{
	struct process *p = mm->process;

	while (p && mm->act < p->nacts && p->acts[mm->act].e.t0 <= when)
		act_begins(j, mm, &p->acts[mm->act++]);
}

void layout_keep(struct mm *mm, const struct layout_record *l)
{
	struct layout_record **v = l->kind == RECORD_GAP ? &mm->gaps : &mm->records;
	size_t *n = l->kind == RECORD_GAP ? &mm->ngaps : &mm->nrecords;

	*v = grow(*v, *n, sizeof(**v));
	(*v)[(*n)++] = *l;
}

static bool can_tell_of(const struct layout_record *l, const struct truth_entry *e)
{
	switch (l->kind) {
	case RECORD_UNMAP:
		return e->op == TRUTH_UNMAP || e->op == TRUTH_REPLACE || e->op == TRUTH_REMAP ||
		       e->op == TRUTH_AREA;
	case RECORD_REMAP:
		return e->op == TRUTH_REMAP;
	default:
		return e->op == TRUTH_ADVISE && drops(e);
	}
}

static bool touches(const struct judge *j, const struct layout_record *l,
		    const struct truth_entry *e)
{
	uint64_t len = e->op == TRUTH_REMAP && e->aux2 > e->len ? e->aux2 : e->len;

	if (first_page(j, e->addr) < l->hi && behind_page(j, e->addr, len) > l->lo)
		return true;
	return e->op == TRUTH_REMAP && first_page(j, e->aux) < l->hi &&
	       behind_page(j, e->aux, e->aux2) > l->lo;
}

static void any_judged(struct judge *j, struct mm *mm, uint64_t page, struct page *p, void *arg)
{
	(void)j;
	(void)mm;
	(void)page;
	*(bool *)arg |= p->judged && p->registered;
}

static void unexplained(struct judge *j, struct mm *mm, const struct layout_record *l)
{
	struct complaint c = {
		.what = E_LAYOUT_PHANTOM, .mm = mm->id, .pid = mm->pid, .seq = l->seq,
		.page = l->lo, .t0 = l->ts0, .t1 = l->ts,
	};
	bool judged = false;

	pages_each(j, mm, l->lo, l->hi, any_judged, &judged);
	if (!judged)
		return;
	snprintf(c.words, sizeof(c.words), "%s of %" PRIu64 " pages that the truth does not know",
		 record_kind_name(l->kind), l->hi - l->lo);
	complain(j, &c);
}

void layout_narrow(struct judge *j, struct mm *mm, struct layout_record *l)
{
	uint64_t t0 = FOREVER, t1 = 0, from = l->ts0 > ACT_NS ? l->ts0 - ACT_NS : 0;
	const struct process *p = mm->process;

	for (size_t i = p ? truth_act(p, from) : 0; p && i < p->nacts; i++) {
		const struct truth_entry *e = &p->acts[i].e;

		if (e->t0 > l->ts)
			break;
		if (e->t1 < l->ts0 || !can_tell_of(l, e) || !touches(j, l, e))
			continue;
		t0 = e->t0 < t0 ? e->t0 : t0;
		t1 = e->t1 > t1 ? e->t1 : t1;
	}
	if (!t1) {
		if (p)
			unexplained(j, mm, l);
		return;
	}
	l->ts0 = t0 > l->ts0 ? t0 : l->ts0;
	l->ts = t1 < l->ts ? t1 : l->ts;
}

/* Another thread at the same pages at the same time: whose the event is nobody can tell. */
static bool contended(const struct judge *j, const struct mm *mm, const struct layout_claim *c)
{
	const struct process *p = mm->process;
	const struct truth_entry *e = &c->act->e;
	uint64_t from = e->t0 > ACT_NS ? e->t0 - ACT_NS : 0;

	for (size_t i = truth_act(p, from); i < p->nacts; i++) {
		const struct truth_entry *o = &p->acts[i].e;

		if (o->t0 > e->t1)
			return false;
		if (o == e || o->t1 < e->t0 || o->who == e->who ||
		    (record_of(o) == RECORD_NR && o->op != TRUTH_AREA))
			continue;
		if (first_page(j, o->addr) < c->hi && behind_page(j, o->addr, o->len) > c->lo)
			return true;
	}
	return false;
}

/*
 * The budget was spent: these pages were let go, and nobody knows when within the gap.  In
 * a stall everything is, and what became of it is read from the maps after it.  Of what a
 * child did not get from its parent (MADV_DONTFORK, or a mapping registered after it was
 * copied) its first reading tells, by a gap since its birth, or its end, if that comes first:
 * what it has done there before has no events.
 */
static bool lets_go(const struct mm *mm, const struct layout_record *g)
{
	return g->to == GAP_STALL || (g->to == GAP_BUDGET && g->hi != UINT64_MAX) ||
	       ((g->to == GAP_REMOVE_RACE || g->to == GAP_FORK) && mm->forked &&
		g->ts0 <= mm->begin + ACT_NS / 1000);
}

static bool given_up(const struct mm *mm, const struct layout_claim *c)
{
	for (size_t i = 0; i < mm->ngaps; i++) {
		const struct layout_record *g = &mm->gaps[i];

		if (lets_go(mm, g) && g->lo <= c->lo && g->hi >= c->hi &&
		    g->ts0 <= c->act->e.t1 && g->ts >= c->act->e.t0)
			return true;
	}
	return false;
}

static void check_claim(struct judge *j, struct mm *mm, const struct layout_claim *c)
{
	const struct truth_entry *e = &c->act->e;
	enum record_kind kind = record_of(e);
	const struct layout_record *only = NULL;
	struct complaint what = {
		.what = E_LAYOUT_MISSING, .mm = mm->id, .pid = mm->pid, .tid = e->who,
		.page = c->lo, .t0 = e->t0, .t1 = e->t1,
	};
	size_t lo = 0, hi = mm->nrecords, n = 0;
	uint64_t pages = 0;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (mm->records[mid].ts < e->t0)
			lo = mid + 1;
		else
			hi = mid;
	}
	/* ts0 does not decrease either, but for what was read in one go. */
	for (; lo < mm->nrecords && mm->records[lo].ts0 <= e->t1 + ACT_NS; lo++) {
		const struct layout_record *l = &mm->records[lo];

		if (l->kind != kind || l->ts0 > e->t1 || l->lo >= c->hi || l->hi <= c->lo)
			continue;
		only = l;
		n++;
		pages += (l->hi < c->hi ? l->hi : c->hi) - (l->lo > c->lo ? l->lo : c->lo);
	}
	if (n == 1 && only->lo <= c->lo && only->hi >= c->hi && !contended(j, mm, c))
		plant_site(j, PLANT_DROP_LAYOUT, only->seq, 0);
	if (pages >= c->hi - c->lo || contended(j, mm, c) || given_up(mm, c))
		return;
	snprintf(what.words, sizeof(what.words), "no %s for %" PRIu64 " of %" PRIu64
		 " registered pages", record_kind_name(kind), c->hi - c->lo - pages, c->hi - c->lo);
	complain(j, &what);
}

void layout_check(struct judge *j, struct mm *mm)
{
	for (size_t i = 0; i < mm->nclaims; i++)
		if (mm->claims[i].act->e.t1 + ACT_NS / 10 < j->last)
			check_claim(j, mm, &mm->claims[i]);
}
