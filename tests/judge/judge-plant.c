/* SPDX-License-Identifier: MIT */
/*
 * Judge, plant: faults put into a trace on purpose, to prove that they are found.
 *
 * A first reading finds the places where each kind can be told at all: a dropped
 * fault only where nothing else explains that its write is missing, and so on.  Then
 * the trace is read again for some of them, with one record changed.
 */

#include <stdio.h>
#include <stdlib.h>

#include "judge.h"

#define SITES_MAX 65536
/* A pass takes less: what was written before is not of the next epoch as well. */
#define PASS_NS UINT64_C(8000000)

static const struct {
	const char *name;
	unsigned int expected;		/* bits of enum judge_error: one of them goes up */
	bool sync, async;		/* traces that have a place for it */
} kinds[PLANT_NR] = {
	[PLANT_DROP_FAULT] = { "drop-fault", 1u << E_LOST | 1u << E_LATE, true, false },
	[PLANT_INVENT] = { "invent", 1u << E_PHANTOM, true, false },
	[PLANT_WRONG_THREAD] = { "wrong-thread", 1u << E_WRONG_THREAD, true, true },
	[PLANT_WRONG_ADDRESS] = { "wrong-address", 1u << E_PHANTOM, true, false },
	[PLANT_DUPLICATE] = { "duplicate", 1u << E_DUPLICATE, true, false },
	[PLANT_LATE_ARM] = { "late-arm", 1u << E_LATE | 1u << E_LOST, true, false },
	[PLANT_DROP_LAYOUT] = { "drop-layout", 1u << E_LAYOUT_MISSING, true, true },
	[PLANT_DROP_GAP] = { "drop-gap", 1u << E_UNDECLARED | 1u << E_LOST, true, false },
	[PLANT_DROP_DIRTY] = { "drop-dirty", 1u << E_LOST, false, true },
	[PLANT_INVENT_DIRTY] = { "invent-dirty", 1u << E_PHANTOM, false, true },
};

const char *plant_name(enum plant k)
{
	return k < PLANT_NR ? kinds[k].name : NULL;
}

/* When there is no more room every second place goes, and from then on fewer are kept. */
void plant_site(struct judge *j, enum plant k, uint32_t seq, uint64_t value)
{
	size_t *n = &j->nsites[k];

	if (j->plant != PLANT_LOOK || (j->skipped[k] && ++j->passed[k] % j->skipped[k]))
		return;
	if (*n == SITES_MAX) {
		for (size_t i = 0; i < *n; i += 2)
			j->sites[k][i / 2] = j->sites[k][i];
		*n /= 2;
		j->skipped[k] = j->skipped[k] ? j->skipped[k] * 2 : 2;
	}
	if (!j->sites[k])
		j->sites[k] = calloc(SITES_MAX, sizeof(**j->sites));
	if (!j->sites[k])
		abort();
	j->sites[k][(*n)++] = (struct plant_site){ value, seq };
}

/*
 * A gap may reach back over the same write: whether one does is known at the end.  What
 * a child has of its parent's pages may name a write of the parent.
 */
static void keep_place(struct judge *j, enum plant k, uint64_t value, struct candidate c)
{
	const struct slot *s = truth_slot(j->truth, c.mm->process, c.page);
	const struct touch *v = s ? &j->truth->touches[s->first] : NULL;

	if (!s || c.touch < v || c.touch >= v + s->n)
		return;
	j->places = grow(j->places, j->nplaces, sizeof(*j->places));
	j->places[j->nplaces++] = (struct place){ .kind = k, .value = value, .write = c };
}

/* A covered page of the same chunk that nobody touches then. */
static uint64_t quiet_page(struct judge *j, struct mm *mm, uint64_t page, uint64_t t0, uint64_t t1)
{
	uint64_t end = page - page % CHUNK_PAGES + CHUNK_PAGES;

	for (uint64_t q = page + 1; q < end; q++) {
		const struct page *p = page_of(j, mm, q);

		if (p->judged && p->state == PAGE_COVERED &&
		    !touch_of_others(j, mm, q, t0, t1, 0))
			return q;
	}
	return 0;
}

/* Another thread that wrote nothing there then, and lived on. */
static uint32_t idle_thread(struct judge *j, struct mm *mm, uint64_t page, uint64_t at,
			    uint32_t tid)
{
	const struct process *p = mm->process;

	for (size_t i = 0; i < p->nthreads; i++) {
		const struct truth_thread *t = &p->threads[i];

		if (t->tid != tid && t->last > at &&
		    !touch_match(j, mm, page, at, at, t->tid, true))
			return t->tid;
	}
	return 0;
}

void plant_fault_seen(struct judge *j, struct mm *mm, uint64_t page, struct page *p,
		      const struct touch *x, uint64_t at)
{
	uint64_t other;

	if (j->plant != PLANT_LOOK || !p->judged || !(x->saw & SAW_REQUIRED))
		return;
	plant_site(j, PLANT_DUPLICATE, j->seq, 0);
	if (p->late)
		keep_place(j, PLANT_LATE_ARM, p->late->t0 - 1,
			   (struct candidate){ mm, p->late, page, p->seq });
	if (j->looked++ % 16)	/* enough places, and the search takes time */
		return;
	other = idle_thread(j, mm, page, at, x->who);
	if (other)
		plant_site(j, PLANT_WRONG_THREAD, j->seq, other);
	other = quiet_page(j, mm, page, x->t0, x->t1);
	if (other) {
		plant_site(j, PLANT_INVENT, j->seq, other);
		plant_site(j, PLANT_WRONG_ADDRESS, j->seq, other);
	}
}

void plant_dirty_seen(struct judge *j, struct mm *mm, const struct record *r, uint64_t page,
		      struct touch *x)
{
	uint64_t other;

	if (j->plant != PLANT_LOOK)
		return;
	/* Whether a gap lies over it, too, is known at the end. */
	if (x && r->npages == 1 && x->t0 > j->base + r->ts0 &&
	    x->t1 + PASS_NS < j->base + r->ts)
		keep_place(j, PLANT_DROP_DIRTY, 0, (struct candidate){ mm, x, page, j->seq });
	if (j->looked++ % 16)
		return;
	other = quiet_page(j, mm, page, j->base + r->ts0, j->base + r->ts);
	if (other && dirty_would_be_found(j, mm, other, j->base + r->ts0, j->base + r->ts))
		plant_site(j, PLANT_INVENT_DIRTY, j->seq, other);
}

void plant_witnessed(struct judge *j, struct mm *mm, uint64_t page, const struct touch *x,
		     uint64_t at)
{
	uint32_t other;

	if (j->plant != PLANT_LOOK || j->looked++ % 16)
		return;
	other = idle_thread(j, mm, page, at, x->who);
	if (other)
		plant_site(j, PLANT_WRONG_THREAD, j->seq, other);
}

void plant_spent_ends(struct judge *j, struct mm *mm, uint64_t page, struct page *p,
		      const struct boundary *b)
{
	struct slot *s;
	struct touch *v, *required = NULL;
	bool alone = true;

	p->late = NULL;
	s = j->plant == PLANT_LOOK ? truth_slot(j->truth, mm->process, page) : NULL;
	if (!s || !p->judged)
		return;
	v = &j->truth->touches[s->first];
	for (uint32_t i = s->cursor; i < s->n && v[i].t0 < b->t0; i++) {
		if (v[i].what == TOUCH_READ)
			continue;
		if (v[i].t0 <= p->since && v[i].t1 >= p->since) {
			if ((v[i].saw & SAW_REQUIRED) && v[i].t1 < b->t0)
				required = &v[i];
			alone &= !!(v[i].saw & SAW_FOUND);
		} else if (!v[i].verdict && v[i].what == TOUCH_WRITE && v[i].t1 < b->t0 &&
			   v[i].t0 > p->since + 1) {
			p->late = &v[i];
		}
	}
	/* A long one may have been stopped twice: then the first fault tells of it, too. */
	if (alone && required && p->required)
		keep_place(j, PLANT_DROP_FAULT, 0,
			   (struct candidate){ mm, required, page, p->seq });
}

/* The memory is new: a write that nothing else than this gap declares. */
void plant_gap_tells(struct judge *j, struct mm *mm, uint64_t page, struct page *p,
		     const struct boundary *b)
{
	struct slot *s = j->plant == PLANT_LOOK ? truth_slot(j->truth, mm->process, page) : NULL;
	struct touch *v = s ? &j->truth->touches[s->first] : NULL;

	for (uint32_t i = s ? s->cursor : 0; s && i < s->n && v[i].t0 < b->t1; i++) {
		if (v[i].what != TOUCH_WRITE || v[i].t0 <= p->since || v[i].t0 <= b->t0 ||
		    v[i].t1 >= b->t1)
			continue;
		p->blind = &v[i];
		return;
	}
}

/* Of new memory a gap has been told; it is armed now. */
void plant_gap_ends(struct judge *j, struct mm *mm, uint64_t page, struct page *p,
		    const struct boundary *b)
{
	struct slot *s = j->plant == PLANT_LOOK ? truth_slot(j->truth, mm->process, page) : NULL;
	struct touch *v = s ? &j->truth->touches[s->first] : NULL;

	for (uint32_t i = s ? s->cursor : 0; s && !p->blind && i < s->n && v[i].t0 < b->t0; i++) {
		if (v[i].what == TOUCH_WRITE && v[i].t0 > p->since && v[i].t1 < b->t0)
			p->blind = &v[i];
	}
	if (p->blind)
		keep_place(j, PLANT_DROP_GAP, 0, (struct candidate){ mm, p->blind, page, p->seq });
}

void plant_places_end(struct judge *j)
{
	for (size_t i = 0; i < j->nplaces; i++) {
		const struct place *q = &j->places[i];
		const struct candidate *c = &q->write;

		if (gaps_over(c->mm, c->page, c->touch, c->seq) ||
		    (q->kind == PLANT_DROP_GAP && !gaps_over(c->mm, c->page, c->touch, 0)))
			continue;
		if (q->kind == PLANT_DROP_DIRTY && (c->touch->verdict != V_FOUND ||
						    moved_since(c->mm, c->page, c->touch->t0)))
			continue;
		plant_site(j, q->kind, c->seq, q->value);
	}
}

bool plant_apply(struct judge *j, struct record *r, uint32_t seq, struct record *ret_more,
		 bool *ret_twice)
{
	uint64_t v = j->site.value;

	if (j->plant == PLANT_NONE || j->plant == PLANT_LOOK || seq != j->site.seq)
		return true;
	j->planted = true;
	switch (j->plant) {
	case PLANT_INVENT_DIRTY:
	case PLANT_INVENT:
		*ret_more = *r;
		ret_more->npages = 1;
		ret_more->addr = v * j->page_size;
		*ret_twice = true;
		return true;
	case PLANT_DUPLICATE:
		*ret_more = *r;
		*ret_twice = true;
		return true;
	case PLANT_WRONG_THREAD:
		r->fault.tid = (int32_t)v;
		return true;
	case PLANT_WRONG_ADDRESS:
		r->addr = v * j->page_size;
		return true;
	case PLANT_LATE_ARM:
		r->ts0 = r->ts = v - j->base;
		return true;
	default:
		return false;
	}
}

static bool plant_one(struct truth *t, const char *path, const uint64_t *clean, enum plant k,
		      struct plant_site site)
{
	struct judge j;
	bool found = false;

	judge_begin(&j, t, path);
	j.plant = k;
	j.site = site;
	if (!trace_read(&j)) {
		judge_end(&j);
		for (int e = 0; e < E_NR; e++)
			found |= (kinds[k].expected & 1u << e) && j.errors[e] > clean[e];
	}
	if (!found)
		printf("plant: %s at seq %u (%llu) was not found\n", kinds[k].name, site.seq,
		       (unsigned long long)site.value);
	found &= j.planted;
	judge_free(&j);
	return found;
}

int plants_run(struct truth *t, const char *path, enum plant only, unsigned int each)
{
	struct judge j;
	int missed = 0, r;

	judge_begin(&j, t, path);
	j.plant = PLANT_LOOK;
	r = trace_read(&j);
	if (!r)
		judge_end(&j);
	for (enum plant k = PLANT_NONE + 1; !r && k < PLANT_NR; k++) {
		size_t n = j.nsites[k];
		unsigned int found = 0, tried = n < each ? (unsigned int)n : each;

		if ((only != PLANT_NONE && only != k) ||
		    !((j.async && kinds[k].async) || (j.sync && kinds[k].sync)))
			continue;
		for (unsigned int i = 0; i < tried; i++)
			found += plant_one(t, path, j.errors, k,
					   j.sites[k][(i + 1) * n / (tried + 1)]);
		printf("plant %s places %zu planted %u found %u\n", kinds[k].name, n, tried, found);
		missed += (int)(tried - found);
	}
	judge_free(&j);
	return r < 0 ? r : missed;
}
