/* SPDX-License-Identifier: MIT */
/* Census: which pages have been written, epoch by epoch.  See census.h. */

#include "watch/census.h"

#include <errno.h>

#include "base/clock.h"
#include "watch/pagescan.h"
#include "watch/space.h"

/* All written, that is 8,192 pages of some 45 ns; huge pages are not cut in two. */
#define WIDTH (UINT64_C(32) << 20)
/* A page table that is not there costs nothing: reserves of terabytes are crossed fast. */
#define WIDTH_MAX (UINT64_C(4) << 30)
#define QUICK (8 * NSEC_PER_USEC)
#define EASY (100 * NSEC_PER_USEC)
#define SLOW (250 * NSEC_PER_USEC)
#define RUNS_MAX 4096
#define SKIPS_A_STEP 256
/* A pass may take one part in this many of the time: then the next one comes later. */
#define PASS_SHARE 4
#define QUIET_MAX (20 * NSEC_PER_MSEC)
#define NO_ROOM_RETRY NSEC_PER_MSEC

void census_init(struct census *c, uint32_t page_size, uint64_t now)
{
	*c = (struct census){
		.due = now, .before = now, .older = now, .oldest = now, .width = WIDTH,
		.cold_every = 1,
	};
	cover_init(&c->settled, page_size);
}

void census_done(struct census *c)
{
	cover_done(&c->settled);
}

void census_clone(struct census *ret, const struct census *c, uint64_t now)
{
	uint32_t page_size = ret->settled.page_size;

	*ret = *c;
	/* MADV_WIPEONFORK has emptied tables, and nobody says which. */
	cover_init(&ret->settled, page_size);
	ret->begun = ret->at = 0;
	ret->due = now;
	ret->complete = false;
	if (c->rest_since)
		ret->rest_since = now;
}

void census_forget(struct space *s)
{
	for (struct region *g = layout_from(&s->layout, 0); g; g = layout_next(&s->layout, g))
		g->armed = (struct range){ 0, 0 };
	cover_done(&s->census.settled);
	cover_init(&s->census.settled, s->shared->page_size);
	s->census.doubts.n = 0;
	s->census.begun = s->census.at = 0;
}

void census_gap(struct space *s, struct range r, uint64_t since, uint64_t now)
{
	emit_gap(&s->shared->emit, s->pid, s->mm, since, now, r, GAP_EPOCH);
}

static bool is_armed(const struct region *g)
{
	return g->modes && !range_empty(range_common(g->armed, g->r));
}

uint64_t census_told_until(const struct space *s, const struct region *g)
{
	uint64_t t = g->seen && g->seen < s->census.before ? g->seen : s->census.before;

	return g->armed_at > t ? g->armed_at : t;
}

enum pagescan_kind census_kind(const struct region *g)
{
	if (g->prot & RECORD_PROT_SHARED || g->kind == VMA_KIND_HUGETLB)
		return PAGESCAN_SHARED;
	/* A private mapping of tmpfs is one of a file. */
	return g->kind == VMA_KIND_FILE || g->kind == VMA_KIND_SHMEM ? PAGESCAN_PRIVATE_FILE :
								       PAGESCAN_ANON;
}

bool census_is_lazy(const struct region *g)
{
	return census_kind(g) != PAGESCAN_SHARED;
}

/*
 * The kernel does not take it for registered, or the call failed: some pages may have
 * been collected and not told.  Whatever it is, it is looked at anew.
 */
static void give_up_on(struct space *s, struct region *g, struct range part)
{
	uint64_t now = clock_now();

	census_gap(s, part, census_told_until(s, g), now);
	g->armed = (struct range){ 0, 0 };
	g->again = true;
	space_reread(s, now, CENSUS_REREAD_DELAY);
}

uint64_t census_all_told_until(const struct space *s)
{
	return s->census.oldest < s->census.before ? s->census.oldest : s->census.before;
}

uint64_t census_owes_since(const struct space *s)
{
	uint64_t since = census_all_told_until(s);

	for (unsigned int i = s->todo_head; i < s->ntodo; i++)
		if (s->todo[i].since && s->todo[i].since < since)
			since = s->todo[i].since;
	return since;
}

/* Whole huge pages, at one place or another: a part of one would have it cut in two. */
struct range census_slice(const struct space *s, const struct region *g, struct range r)
{
	uint64_t unit = g->page_size > WIDTH ? g->page_size : WIDTH;
	uint64_t width = s->census.width > unit ? s->census.width : unit;

	if (range_len(r) > width)
		r.hi = align_down(r.lo + width, unit);
	return r;
}

/*
 * Where there is little to walk over, more at once; where nothing is, much more.  Should
 * all of it be written at the next pass, a slice still ends within a millisecond, but for
 * the first after a great silence.
 */
void census_adapt(struct space *s, struct range done, uint64_t took)
{
	struct census *c = &s->census;
	uint64_t most = took > EASY ? c->width :
			took > QUICK || s->shared->narrow ? CENSUS_WIDTH_EASY : WIDTH_MAX;

	if (took > SLOW)
		c->width = WIDTH;
	else if (c->width < most && range_len(done) >= c->width)
		c->width *= 2;
	else if (c->width > CENSUS_WIDTH_EASY && took > QUICK)
		c->width = CENSUS_WIDTH_EASY;
}

/*
 * Memory may have moved or gone, and a pass have gone over a hole, while the word of it is
 * not there yet; and a child may have been forked before what is here was registered or
 * protected.  With a twin, what it is still to tell of may have been where we are now.
 */
bool census_changing(const struct space *s)
{
	return space_changing(s) || (s->twin && space_changing(s->twin));
}

/* ---- a pass ------------------------------------------------------------------ */

/* What was dropped in there since the last pass: only that it may have been written. */
static void declare_doubts(struct space *s, struct region *g, struct range part, uint64_t t0,
			   uint64_t now)
{
	struct range rest = part, run;
	const struct doubt *d;

	if (g->kind == VMA_KIND_HUGETLB && doubt_first(&s->census.doubts, rest, &run)) {
		give_up_on(s, g, g->armed);
		return;
	}
	while ((d = doubt_first(&s->census.doubts, rest, &run))) {
		census_gap(s, run, d->since, now);
		emit_arm(&s->shared->emit, s->pid, s->mm, t0, now, run, ARM_ASYNC);
		rest.lo = run.hi;
	}
}

static void tell(struct space *s, const struct region *g, struct range run, uint64_t t0,
		 uint64_t now)
{
	s->shared->dirty(s->shared->census_arg, s, g, &run, 1, t0, now);
}

/* A page of shared memory that was dropped counts as written, whether it was or not. */
static void tell_sure(struct space *s, const struct region *g, struct range run, uint64_t t0,
		      uint64_t now)
{
	struct range rest = run, bad;

	while (doubt_first(&s->census.doubts, rest, &bad)) {
		if (bad.lo > rest.lo)
			tell(s, g, (struct range){ rest.lo, bad.lo }, t0, now);
		rest.lo = bad.hi;
	}
	if (!range_empty(rest))
		tell(s, g, rest, t0, now);
}

/*
 * A layout change under way may have emptied page tables (mremap(2)), so that what was
 * found may only have gone.  What is there now was written, all else is declared.
 */
static void tell_doubtful(struct space *s, const struct region *g, struct range run,
			  uint64_t t0)
{
	struct page_region v[64];
	uint64_t end;

	for (; !range_empty(run); run.lo = end) {
		int64_t n = pagescan_own(s->pagemap, run, census_kind(g), s->shared->guard_pages,
					 v, 64, &end);
		uint64_t now = clock_now();

		end = n < 0 ? run.hi : end;
		n = guard_released(s->shared->guard) ? 0 : n;
		for (int64_t i = 0; i < n; i++)
			tell(s, g, (struct range){ v[i].start, v[i].end }, t0, now);
		if (n != 1 || v[0].start > run.lo || v[0].end < end)
			census_gap(s, (struct range){ run.lo, end }, t0, now);
	}
}

/* While this process stood still its watchdog took protection off: that is not written. */
static void tell_released(struct space *s, struct region *g, const struct page_region *v, size_t n,
			  uint64_t now)
{
	for (size_t i = 0; i < n; i++)
		census_gap(s, (struct range){ v[i].start, v[i].end }, census_told_until(s, g), now);
}

/* What a scan by the plain mask, or by the other one, has found in `r` at `now`. */
static void tell_found(struct space *s, struct region *g, struct range r,
		       const struct page_region *v, size_t n, bool plain, uint64_t now)
{
	static struct range runs[RUNS_MAX];
	uint64_t since = census_told_until(s, g);
	bool lazy = census_is_lazy(g), doubtful = lazy && plain && census_changing(s);
	struct range part;
	bool doubts = !lazy && doubt_first(&s->census.doubts, r, &part);

	for (size_t i = 0; i < n; i++) {
		runs[i] = (struct range){ v[i].start, v[i].end };
		if (doubts)
			tell_sure(s, g, runs[i], since, now);
		else if (doubtful)
			tell_doubtful(s, g, runs[i], since);
		if (lazy && !plain)
			census_settle_written(s, g, runs[i]);
	}
	if (!doubts && !doubtful)
		s->shared->dirty(s->shared->census_arg, s, g, runs, n, since, now);
}

/* One call, at the head of *rest, and what it has found. */
static int scan_once(struct space *s, struct region *g, struct range *rest)
{
	static struct page_region v[RUNS_MAX];	/* one thread scans */
	uint32_t room = queue_room(s->shared->emit.queue);
	uint64_t begin = clock_now(), now, end;
	struct range r = *rest;
	enum pagescan_kind way = census_way(s, g, &r);
	int64_t n = pagescan_take(s->pagemap, r, way, s->shared->guard_pages, v,
				  room > RUNS_MAX ? RUNS_MAX : room ? room : 1, &end);

	now = clock_now();
	s->census.scanned = begin;
	s->census.held += now - begin;
	g->wrote |= n > 0;
	if (n < 0) {
		give_up_on(s, g, *rest);
		return (int)n;
	}
	/* exit_mmap() takes the pages before the mappings: bare is not written. */
	if (n && way == PAGESCAN_SHARED && !space_alive(s)) {
		s->dead = true;
		return -ESRCH;
	}
	r.hi = rest->lo = end;
	declare_doubts(s, g, r, begin, now);
	if (guard_released(s->shared->guard))
		tell_released(s, g, v, (size_t)n, now);
	else if (n)
		tell_found(s, g, r, v, (size_t)n, way == PAGESCAN_SHARED, now);
	return range_empty(g->armed) ? -ESTALE : 0;
}

/* As far as there is room in the queue; where that ended in *ret_end. */
static int scan_part(struct space *s, struct region *g, struct range part, uint64_t *ret_end)
{
	struct range rest = part;
	uint64_t begin = clock_now(), took;
	int r = 0;

	while (!r && !range_empty(rest) && queue_roomy(s->shared->emit.queue))
		r = scan_once(s, g, &rest);
	took = clock_now() - begin;
	s->census.spent += took;
	if (range_empty(rest))
		census_adapt(s, part, took);
	*ret_end = rest.lo;
	return r;
}

static void begin_pass(struct space *s, uint64_t now)
{
	s->census.begun = now;
	s->census.at = s->census.at_end = s->census.spent = 0;
	s->census.skipped = false;
	s->census.epoch++;
}

/*
 * An address space that has gone has no written pages, and the call does not say so:
 * if it is there now, it was there all the time.  A pass that no quiet instant follows
 * has told what it has found, and is not relied on: the one before is, once more.  Nor is
 * one under which the watchdog has let everything go, as that is a gap since a pass.
 */
static void end_pass(struct space *s, uint64_t now)
{
	struct census *c = &s->census;
	uint64_t took = c->spent;
	bool relied = !guard_released(s->shared->guard) && !census_changing(s);

	if (!space_alive(s)) {
		s->dead = true;
		return;
	}
	if (!relied && now < c->at_end + QUIET_MAX) {
		s->arm_after = now + CENSUS_CHANGE_DELAY;
		return;
	}
	if (relied) {
		c->older = c->before;
		c->before = c->begun;
		c->oldest = c->skipped ? c->oldest : c->begun;
		doubt_scanned(&c->doubts, c->begun);
	}
	c->due = c->begun + s->shared->epoch_ns;
	if (c->due < now + took * PASS_SHARE)
		c->due = now + took * PASS_SHARE;
	c->begun = 0;
	if (s->shared->passed)
		s->shared->passed(s->shared->census_arg, s);
}

/* The next chunk from the cursor on; false: there is none in reach, or no more. */
static struct region *next_region(struct space *s, bool *ret_end)
{
	struct census *c = &s->census;
	struct region *g = layout_from(&s->layout, c->at);

	for (int i = 0; g && i < SKIPS_A_STEP; i++, g = layout_next(&s->layout, g)) {
		if (is_armed(g) && range_common(g->armed, g->r).hi > c->at &&
		    !census_leaves_out(s, g))
			return g;
		c->at = g->r.hi;
	}
	*ret_end = !g;
	return NULL;
}

static int pass_step(struct space *s)
{
	struct census *c = &s->census;
	bool over = false;
	struct region *g = next_region(s, &over);
	struct range whole, chunk, part;
	uint64_t end;
	int r = 0;

	if (!g && over) {
		c->at_end = c->at_end ? c->at_end : clock_now();
		end_pass(s, clock_now());
	}
	if (!g)
		return 1;
	whole = range_common(g->armed, g->r);
	chunk = whole;
	if (chunk.lo < c->at)
		chunk.lo = c->at;
	chunk = census_slice(s, g, chunk);
	c->at = chunk.hi;
	for (part = arm_allowed(s, chunk); !range_empty(part) && !r;
	     part = arm_allowed(s, (struct range){ part.hi, chunk.hi })) {
		r = scan_part(s, g, part, &end);
		if (!r && end < part.hi) {
			c->at = end;
			return 1;
		}
	}
	if (chunk.hi == whole.hi) {
		g->seen = 0;
		g->moved = false;
		g->quiet = g->wrote ? 0 : g->quiet < UINT8_MAX ? g->quiet + 1 : UINT8_MAX;
		g->wrote = false;
	}
	return 1;
}

/*
 * Arming first: a pass goes over what is armed alone, and so finds a region in one piece.
 * A trace that is written too slowly gets fewer epochs, and loses nothing.
 */
int census_step(struct space *s)
{
	uint64_t now = clock_now();
	struct space_todo *t;

	if (s->pagemap < 0 || s->dead || now < s->arm_after)
		return 0;
	if (!queue_roomy(s->shared->emit.queue)) {
		s->arm_after = now + NO_ROOM_RETRY;
		return 0;
	}
	if (s->census.rest_since)
		return census_rest_step(s);
	t = space_todo_due(s, now);
	if (t)
		return census_arm_step(s, t);
	if (!s->census.begun && now < s->census.due)
		return 0;
	if (!s->census.begun)
		begin_pass(s, now);
	return pass_step(s);
}

uint64_t census_due(const struct space *s)
{
	uint64_t due = space_todo_first(s), pass = s->census.begun ? 0 : s->census.due;

	if (s->pagemap < 0)
		return UINT64_MAX;
	if (s->census.rest_since)
		return s->census.rest_at == UINT64_MAX ? UINT64_MAX : s->arm_after;
	if (pass < due)
		due = pass;
	return due < s->arm_after ? s->arm_after : due;
}

void census_hasten(struct space *s)
{
	if (!s->census.begun)
		s->census.due = 0;
}
