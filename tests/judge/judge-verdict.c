/* SPDX-License-Identifier: MIT */
/*
 * Judge, verdict: what each true write of a page deserved, and got.
 *
 * The life of a page is states with boundaries between them; a boundary is an
 * instant (a fault: its thread stood still then) or an interval (everything else).
 * A touch collects the states it overlaps and is judged once the next boundary lies
 * behind it: in nothing but covered time it had to be told.
 */

#include <stdio.h>

#include "judge.h"

static uint8_t saw_of(enum page_state s)
{
	switch (s) {
	case PAGE_COVERED:
		return SAW_COVERED;
	case PAGE_SPENT:
		return SAW_SPENT;
	case PAGE_FRESH:
		return SAW_FRESH;
	default:
		return SAW_BLIND;
	}
}

static enum verdict verdict_of(const struct touch *x)
{
	unsigned int saw = x->saw & (SAW_COVERED | SAW_SPENT | SAW_BLIND | SAW_FRESH | SAW_UNSURE);

	if (x->saw & SAW_FOUND)
		return x->saw & SAW_REQUIRED ? V_FOUND : V_TOLD;
	if (x->what == TOUCH_UNSURE || (saw & SAW_UNSURE))
		return V_AMBIGUOUS;
	if (saw == SAW_COVERED)
		return V_LOST;
	if (saw == (SAW_COVERED | SAW_SPENT) && (x->saw & SAW_CROSSED))
		return V_SHARED;
	if (saw & SAW_COVERED)
		return V_AMBIGUOUS;
	if (saw & SAW_FRESH)
		return V_UNDECLARED;
	return saw & SAW_SPENT ? V_SPENT : V_BLIND;
}

static void settle(struct judge *j, struct mm *mm, uint64_t page, const struct page *p,
		   struct touch *x, const struct boundary *b)
{
	/* A read is only there to be matched. */
	if (x->what == TOUCH_READ) {
		x->verdict = V_OUTSIDE;
		return;
	}
	x->verdict = x->t0 < j->first ? V_OUTSIDE : (uint8_t)verdict_of(x);
	/* Found missing by the next fault, and not armed again in between. */
	if (x->verdict == V_LOST && b->fault && p->again < x->t1)
		x->verdict = V_LATE;
	if (x->verdict == V_UNDECLARED && b->end)
		x->verdict = V_TAIL;
	j->verdicts[x->verdict]++;
	if (x->verdict != V_LOST && x->verdict != V_LATE && x->verdict != V_UNDECLARED)
		return;
	j->candidates = grow(j->candidates, j->ncandidates, sizeof(*j->candidates));
	j->candidates[j->ncandidates++] = (struct candidate){ mm, x, page, j->seq };
}

/* The touches before a boundary see the state that it ends. */
static void look(struct judge *j, struct mm *mm, uint64_t page, const struct page *p,
		 const struct boundary *b)
{
	struct slot *s = truth_slot(j->truth, mm->process, page);
	bool unsure = b->t0 < b->t1 && b->to != PAGE_BLIND &&
		      (p->state == PAGE_COVERED) != (b->to == PAGE_COVERED);
	struct touch *v;

	if (!s)
		return;
	v = &j->truth->touches[s->first];
	for (uint32_t i = s->cursor; i < s->n && v[i].t0 <= b->t1; i++) {
		if (v[i].verdict)
			continue;
		if (v[i].t0 < b->t0 && v[i].t1 > p->since)
			v[i].saw |= saw_of(p->state);
		if (v[i].t1 < b->t0) {
			settle(j, mm, page, p, &v[i], b);
			continue;
		}
		if (unsure)
			v[i].saw |= SAW_UNSURE;
		if (b->to == PAGE_BLIND && b->t0 < b->t1)
			v[i].saw |= SAW_BLIND;
		if (b->fault)
			v[i].saw |= SAW_CROSSED;
	}
	while (s->cursor < s->n && v[s->cursor].verdict)
		s->cursor++;
}

void page_change(struct judge *j, struct mm *mm, uint64_t page, struct page *p,
		 const struct boundary *b)
{
	struct boundary c = *b;

	/* A gap may reach back before the state that it ends. */
	if (c.t1 < p->since)
		c.t1 = p->since;
	if (c.t0 < p->since && c.to != PAGE_BLIND)
		c.t0 = p->since;
	if (mm->process)
		look(j, mm, page, p, &c);
	p->state = (uint8_t)c.to;
	p->since0 = c.t0;
	p->since = c.t1;
	p->again = 0;
	p->young = false;
	if (c.to != PAGE_COVERED)
		p->late = NULL;
	p->seq = j->seq;
}

struct touch *touch_match(struct judge *j, struct mm *mm, uint64_t page, uint64_t t0,
			  uint64_t t1, uint32_t tid, bool reads)
{
	struct slot *s = truth_slot(j->truth, mm->process, page);
	struct touch *v, *best = NULL;
	uint32_t i;

	if (!s)
		return NULL;
	v = &j->truth->touches[s->first];
	/* An answer may come after the change that settled its touch. */
	i = s->cursor > 64 ? s->cursor - 64 : 0;
	for (; i < s->n && v[i].t0 <= t1; i++) {
		if (v[i].who != tid || v[i].t1 < t0 || (v[i].what == TOUCH_READ && !reads))
			continue;
		if (!best || best->what == TOUCH_READ || best->verdict)
			best = &v[i];
	}
	return best;
}

struct touch *touch_of_others(struct judge *j, struct mm *mm, uint64_t page, uint64_t t0,
			      uint64_t t1, uint32_t tid)
{
	struct slot *s = truth_slot(j->truth, mm->process, page);
	struct touch *v;
	uint32_t i;

	if (!s)
		return NULL;
	v = &j->truth->touches[s->first];
	i = s->cursor > 64 ? s->cursor - 64 : 0;
	for (; i < s->n && v[i].t0 <= t1; i++)
		if (v[i].who != tid && v[i].t1 >= t0 && v[i].what != TOUCH_READ)
			return &v[i];
	return NULL;
}

void touch_found(struct judge *j, struct touch *x, bool required)
{
	x->saw |= SAW_FOUND | (required ? SAW_REQUIRED : 0);
	if (!x->verdict || x->verdict == V_FOUND || x->verdict == V_TOLD)
		return;
	/* Settled by a change that was told before the answer. */
	if (x->what != TOUCH_READ) {
		j->verdicts[x->verdict]--;
		j->verdicts[V_TOLD]++;
	}
	x->verdict = V_TOLD;
}

struct ending {
	uint64_t when;
	bool ended;
};

/*
 * The end of a process: nothing of it comes after.  The end of the trace: what is not
 * over by then is not judged.
 */
static void end_page(struct judge *j, struct mm *mm, uint64_t page, struct page *p, void *arg)
{
	const struct ending *e = arg;
	struct slot *s = truth_slot(j->truth, mm->process, page);
	struct boundary b = { .t0 = e->ended ? FOREVER : e->when, .t1 = FOREVER,
			      .to = PAGE_BLIND, .end = true };
	struct touch *v;

	if (!s)
		return;
	look(j, mm, page, p, &b);
	v = &j->truth->touches[s->first];
	for (uint32_t i = s->cursor; i < s->n; i++) {
		if (v[i].verdict)
			continue;
		v[i].verdict = v[i].saw & SAW_FOUND ? V_TOLD : V_OUTSIDE;
		j->verdicts[v[i].verdict] += v[i].what != TOUCH_READ;
	}
	s->cursor = s->n;
}

void verdicts_end(struct judge *j, struct mm *mm, uint64_t when, bool ended)
{
	struct ending e = { when, ended };

	if (mm->process)
		pages_each(j, mm, 0, UINT64_MAX, end_page, &e);
}

static size_t first_since(const struct layout_record *v, size_t n, uint64_t ts)
{
	size_t lo = 0, hi = n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (v[mid].ts < ts)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* Was a covered page unmapped after the write and before the gap?  Then it is another's gap. */
static bool unmapped_between(const struct candidate *c, const struct layout_record *gap)
{
	const struct mm *mm = c->mm;

	for (size_t i = first_since(mm->records, mm->nrecords, c->touch->t1);
	     i < mm->nrecords && mm->records[i].ts <= gap->ts; i++)
		if (mm->records[i].kind != RECORD_REMOVE && c->page >= mm->records[i].lo &&
		    c->page < mm->records[i].hi)
			return true;
	return false;
}

bool moved_since(const struct mm *mm, uint64_t page, uint64_t when)
{
	for (size_t i = first_since(mm->records, mm->nrecords, when); i < mm->nrecords; i++)
		if (mm->records[i].kind == RECORD_REMAP && page >= mm->records[i].lo &&
		    page < mm->records[i].hi)
			return true;
	return false;
}

/*
 * What is not collected moves along with its page, and so does the doubt whether it can
 * be: the gap is told of where the page is by then.
 */
static bool excused_elsewhere(const struct candidate *c)
{
	const struct mm *mm = c->mm;
	uint64_t page = c->page;

	for (size_t i = first_since(mm->records, mm->nrecords, c->touch->t0); i < mm->nrecords;
	     i++) {
		const struct layout_record *m = &mm->records[i];

		if (m->kind != RECORD_REMAP || page < m->lo || page >= m->hi)
			continue;
		page = m->to + (page - m->lo);
		if (gaps_over(mm, page, c->touch, 0))
			return true;
	}
	return false;
}

/* A gap is told when it is known, and may reach back over what was judged before. */
static bool excused(const struct candidate *c)
{
	const struct mm *mm = c->mm;

	for (size_t i = first_since(mm->gaps, mm->ngaps, c->touch->t0); i < mm->ngaps; i++) {
		const struct layout_record *g = &mm->gaps[i];

		if (g->ts0 <= c->touch->t1 && c->page >= g->lo && c->page < g->hi &&
		    (g->to != GAP_NEW_MAPPING || c->touch->verdict == V_UNDECLARED ||
		     !unmapped_between(c, g)))
			return true;
	}
	return false;
}

size_t gaps_over(const struct mm *mm, uint64_t page, const struct touch *x, uint32_t but)
{
	size_t n = 0;

	for (size_t i = first_since(mm->gaps, mm->ngaps, x->t0); i < mm->ngaps; i++)
		n += mm->gaps[i].ts0 <= x->t1 && page >= mm->gaps[i].lo && page < mm->gaps[i].hi &&
		     mm->gaps[i].seq != but;
	return n;
}

void verdicts_excuse(struct judge *j)
{
	static const struct { enum judge_error e; const char *words; } told[V_NR] = {
		[V_LOST] = { E_LOST, "a write of a covered page is not in the trace" },
		[V_LATE] = { E_LATE, "a write after the arm was told, and not this one" },
		[V_UNDECLARED] = { E_UNDECLARED, "a write of a page neither covered nor declared" },
	};

	for (size_t i = 0; i < j->ncandidates; i++) {
		const struct candidate *c = &j->candidates[i];
		struct touch *x = c->touch;
		struct complaint what = {
			.what = told[x->verdict].e, .mm = c->mm->id, .pid = c->mm->pid,
			.seq = c->seq, .tid = x->who, .page = c->page, .t0 = x->t0, .t1 = x->t1,
		};

		if (x->verdict == V_TOLD)
			continue;
		if (excused(c) || (j->async && excused_elsewhere(c))) {
			j->verdicts[x->verdict]--;
			x->verdict = V_BLIND;
			j->verdicts[V_BLIND]++;
			continue;
		}
		snprintf(what.words, sizeof(what.words), "%s", told[x->verdict].words);
		complain(j, &what);
	}
}
