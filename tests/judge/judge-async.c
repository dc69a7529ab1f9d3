/* SPDX-License-Identifier: MIT */
/*
 * Judge, async: pages found dirty between two instants.
 *
 * A page stays covered from its arm on, whatever is written to it; each write must lie
 * in the interval of a dirty record of its page, and each dirty record must have a write
 * in its interval.
 */

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "judge.h"

struct found {
	const struct record *r;
	uint64_t ts0, ts;
};

/* The writes of the interval; *ret_only: the one that nothing else explains. */
static unsigned int writes_between(struct judge *j, struct mm *mm, uint64_t page,
				   const struct page *p, const struct found *f,
				   struct touch **ret_only)
{
	struct slot *s = truth_slot(j->truth, mm->process, page);
	struct touch *v = s ? &j->truth->touches[s->first] : NULL;
	unsigned int n = 0;

	*ret_only = NULL;
	for (uint32_t i = s && s->cursor > 64 ? s->cursor - 64 : 0; s && i < s->n; i++) {
		bool inside;

		if (v[i].t0 > f->ts)
			break;
		if (v[i].what == TOUCH_READ || v[i].t1 < f->ts0)
			continue;
		inside = p->state == PAGE_COVERED && v[i].t0 >= p->since && v[i].t0 > f->ts0 &&
			 v[i].t1 < f->ts && v[i].what == TOUCH_WRITE;
		*ret_only = !n && inside ? &v[i] : NULL;
		n++;
		if (p->state == PAGE_COVERED)
			v[i].saw |= SAW_COVERED;
		touch_found(j, &v[i], p->state == PAGE_COVERED && v[i].t0 >= p->since &&
			    v[i].what == TOUCH_WRITE);
	}
	return n;
}

/* A thread that was killed, or left with its process, may not have said what it did. */
static bool unlogged(const struct mm *mm, uint64_t ts)
{
	const struct process *p = mm->process;

	for (size_t i = 0; i < p->nthreads; i++)
		if (!p->threads[i].ended && ts >= p->threads[i].last)
			return true;
	return false;
}

/*
 * It came here, or the process did, with what had been written before; or nobody told
 * then who writes there.
 */
static bool dirty_is_judged(const struct mm *mm, const struct page *p, uint64_t ts0)
{
	return p->state == PAGE_COVERED && p->since0 < ts0 && mm->begin < ts0 &&
	       p->judged_at < ts0;
}

#define HUGE_PAGES 512u

/* The kernel that judges is the one that ran the target: huge pages come unasked. */
static bool huge_always(void)
{
	static int known = -1;
	_fclose_ FILE *f = known < 0 ? fopen("/sys/kernel/mm/transparent_hugepage/enabled", "re") :
				       NULL;
	char words[64] = "";

	if (known < 0)
		known = f && fgets(words, sizeof(words), f) && strstr(words, "[always]");
	return known;
}

/*
 * What the kernel puts into a page counts as written: all of a huge page, when it comes
 * at the first write to any part of it (pagetap-trace(5)).
 */
static bool came_with_huge(const struct judge *j, const struct mm *mm, const struct page *p,
			   uint64_t page, const struct found *f)
{
	uint64_t first = page - page % HUGE_PAGES;

	for (uint64_t q = first; (p->huge || huge_always()) && q < first + HUGE_PAGES; q++) {
		const struct slot *s = truth_slot(j->truth, mm->process, q);
		const struct touch *v = s ? &j->truth->touches[s->first] : NULL;

		for (uint32_t i = 0; s && i < s->n && v[i].t0 <= f->ts; i++)
			if (v[i].what != TOUCH_READ && v[i].t1 >= f->ts0)
				return true;
	}
	return false;
}

bool dirty_would_be_found(struct judge *j, struct mm *mm, uint64_t page, uint64_t ts0,
			  uint64_t ts)
{
	const struct page *p = page_of(j, mm, page);
	const struct found f = { NULL, ts0, ts };

	return dirty_is_judged(mm, p, ts0) && !unlogged(mm, ts) &&
	       !came_with_huge(j, mm, p, page, &f);
}

/* A page that is covered by one engine is not told of by the other. */
void other_engine(struct judge *j, const struct mm *mm, uint64_t page, const struct page *p)
{
	struct complaint c = {
		.what = E_PHANTOM, .mm = mm->id, .pid = mm->pid, .seq = j->seq, .page = page,
		.t0 = p->since0, .t1 = p->since,
	};

	snprintf(c.words, sizeof(c.words), "it is armed %s, and told of by the other engine",
		 p->async ? "async" : "wp");
	complain(j, &c);
}

static void dirty_page(struct judge *j, struct mm *mm, uint64_t page, struct page *p, void *arg)
{
	const struct found *f = arg;
	struct complaint c = {
		.what = E_PHANTOM, .mm = mm->id, .pid = mm->pid, .seq = j->seq, .page = page,
		.t0 = f->ts0, .t1 = f->ts,
	};
	struct touch *only;
	unsigned int n;

	p->dirty = f->ts0;
	/* It may be on its way out, and what was written before is told all the same. */
	n = writes_between(j, mm, page, p, f, &only);
	if (!p->judged)
		return;
	j->dirty++;
	if (p->state == PAGE_COVERED && !p->async)
		other_engine(j, mm, page, p);
	if (n)
		plant_dirty_seen(j, mm, f->r, page, only);
	if (n || !dirty_is_judged(mm, p, f->ts0) || came_with_huge(j, mm, p, page, f))
		return;
	if (unlogged(mm, f->ts)) {
		j->unlogged++;
		return;
	}
	snprintf(c.words, sizeof(c.words), "dirty, and nobody wrote there");
	complain(j, &c);
}

void take_dirty(struct judge *j, struct mm *mm, const struct record *r, uint64_t ts)
{
	struct found f = { r, j->base + r->ts0, ts };
	uint64_t lo = r->addr / j->page_size;

	if (mm->process)
		pages_each(j, mm, lo, lo + r->npages, dirty_page, &f);
}

void async_moves(struct judge *j, struct mm *mm, uint64_t page, uint64_t t0)
{
	struct slot *s = truth_slot(j->truth, mm->process, page);
	struct touch *v = s ? &j->truth->touches[s->first] : NULL;

	for (uint32_t i = s ? s->cursor : 0; s && i < s->n && v[i].t0 <= t0; i++)
		if (!v[i].verdict && !(v[i].saw & SAW_FOUND))
			v[i].saw |= SAW_UNSURE;
}
