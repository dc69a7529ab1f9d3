/* SPDX-License-Identifier: MIT */
/*
 * Arm: write protection of what is owed, a chunk at a time, between events.
 *
 * UFFDIO_WRITEPROTECT holds the target's mmap lock for reading, about 90 ns a page;
 * a chunk keeps that, and the wait of a fault that comes meanwhile, below a
 * millisecond.  A success means that the whole chunk was registered and that no
 * layout change was under way (else ENOENT, EAGAIN): so the claim is true.
 */

#include <errno.h>
#include <unistd.h>

#include "base/clock.h"
#include "watch/pagescan.h"
#include "watch/space.h"
#include "watch/uffd.h"

#define ARM_CHUNK (UINT64_C(16) << 20)
/* One call over armed pages costs less than two calls around them. */
#define ARM_BRIDGE (UINT64_C(256) << 10)
/* With more to be looked at than that, no bridge is worth the search. */
#define LOOKS_MANY 1024
#define CHECK_PAGES 2048
#define CHECK_DELAY (20 * NSEC_PER_MSEC)
#define REREAD_DELAY (2 * NSEC_PER_MSEC)
#define SKIPS_A_STEP 256
/* A layout change is over when its thread has run: it shall have the processor. */
#define CHANGE_DELAY (200 * NSEC_PER_USEC)

uint64_t arm_due(const struct space *s)
{
	uint64_t due = space_todo_first(s);

	if (s->async)
		return census_due(s);
	return due < s->arm_after ? s->arm_after : due;
}

bool arm_owes(const struct space *s, uint64_t since)
{
	return space_todo_first(s) <= since;
}

struct range arm_allowed(const struct space *s, struct range r)
{
	const struct watch_filter *f = s->filter;
	struct range best = { r.hi, r.hi };

	if (!f->nr_ranges || s->whole)
		return r;
	for (unsigned int i = 0; i < f->nr_ranges; i++) {
		struct range wide = {
			align_down(f->ranges[i].lo, s->shared->page_size),
			align_up(f->ranges[i].hi, s->shared->page_size),
		};
		struct range part = range_common(r, wide);

		if (!range_empty(part) && part.lo < best.lo)
			best = part;
	}
	return best;
}

static struct range align_run(struct range run, const struct region *g)
{
	return range_common((struct range){ align_down(run.lo, g->page_size),
					    align_up(run.hi, g->page_size) }, g->r);
}

/* Cut it before the first page that is not to be armed; false: it begins with one. */
static bool without_spares(const struct space *s, const struct region *g, struct range *run)
{
	uint64_t page = spare_first(s, g, *run);

	if (page == run->hi)
		return true;
	page = align_down(page, g->page_size);
	if (page > run->lo) {
		run->hi = page;
		return true;
	}
	run->hi = run->lo + g->page_size;
	return false;
}

/*
 * What has lost its protection and is still to be looked at there, would get it back
 * before that is seen, and with it a write be lost.
 */
static bool is_unsure(const struct space *s, struct range r)
{
	bool unsure = ksm_may_hide(s) || !s->pid || s->nlooks > LOOKS_MANY;

	for (unsigned int i = s->todo_head; s->nlooks && !unsure && i < s->ntodo; i++)
		unsure = s->todo[i].what != TODO_ARM &&
			 !range_empty(range_common(s->todo[i].r, r));
	return unsure;
}

/*
 * The next chunk of `t` to protect, and its region; t->r shrinks to what is left.
 * False: nothing of it is left to do.
 */
static bool next_chunk(struct space *s, struct space_todo *t, struct range *ret,
		       struct region **ret_region)
{
	for (int skips = 0; skips < SKIPS_A_STEP; skips++) {
		struct region *g = layout_from(&s->layout, t->r.lo);
		struct range part, run, more;

		if (!g || g->r.lo > t->r.lo)
			space_todo_skip(s, t, g ? g->r.lo : t->r.hi);
		if (range_empty(t->r))
			return false;
		part = range_common(t->r, g->r);
		if (!g->arm || !(g->modes & WATCH_MODE_WRITE)) {
			space_todo_skip(s, t, part.hi);
			continue;
		}
		part = arm_allowed(s, part);
		if (!cover_next_unclaimed(&s->cover, part, &run)) {
			t->r.lo = range_empty(part) ? range_common(t->r, g->r).hi : part.hi;
			continue;
		}
		for (more = run; more.hi < part.hi && run.hi - run.lo < ARM_CHUNK;) {
			struct range beyond = { run.hi, run.hi + ARM_BRIDGE };

			if (!cover_next_unclaimed(&s->cover, range_common(beyond, part), &more) ||
			    is_unsure(s, (struct range){ run.hi, more.lo }))
				break;
			run.hi = more.hi;
		}
		if (run.hi - run.lo > ARM_CHUNK)
			run.hi = run.lo + ARM_CHUNK;
		run = align_run(run, g);
		if (!without_spares(s, g, &run)) {
			t->r.lo = run.hi;
			continue;
		}
		*ret = run;
		*ret_region = g;
		return true;
	}
	return true;
}

/*
 * ENOENT: a part is not registered.  The mapping may have been replaced before it
 * was registered, and look the same: registering again is idempotent (EBUSY only
 * for another's), but of the whole (see enrol.c).  What still fails is declared and
 * left to the next survey, which shall not take it for what it was.
 */
static int protect_again(struct space *s, struct region *g, struct range chunk)
{
	int r = enrol(s, g, g->modes);

	if (!r)
		r = uffd_protect(s->uffd, chunk);
	g->again |= r == -ESTALE || r == -ENOENT;
	return r;
}

static int arm_chunk(struct space *s, struct space_todo *t, struct region *g, struct range chunk)
{
	uint64_t t0 = clock_now(), t1;
	int r;

	r = uffd_protect(s->uffd, chunk);
	if (r == -ENOENT)
		r = protect_again(s, g, chunk);
	/* The other one may still be about to say that something else went from here. */
	if (!r && s->whole && space_changing(s->whole))
		r = -EAGAIN;
	t1 = clock_now();
	if (r == -EAGAIN) {
		s->arm_after = t1 + CHANGE_DELAY;
		return r;
	}
	if (r == -ESRCH) {
		s->dead = true;
		return r;
	}
	t->r.lo = chunk.hi;
	if (r < 0 || cover_arm(&s->cover, chunk) < 0) {
		emit_gap(&s->shared->emit, s->pid, s->mm, t->since ? t->since : t0, t1, chunk,
			 GAP_REGISTER);
		space_reread(s, t1, REREAD_DELAY);
		return 1;
	}
	if (t->since)
		emit_gap(&s->shared->emit, s->pid, s->mm, t->since, t1, chunk, t->why);
	emit_arm(&s->shared->emit, s->pid, s->mm, t0, t1, chunk, ARM_WP);
	return 1;
}

/* What was armed here since the removal was told of, by whomever, may have gone with it. */
static void owe_look(struct space *s, struct range r, uint64_t told)
{
	space_owe(s, r, clock_now() + CHECK_DELAY + space_drop_takes(s, r), TODO_CHECK, told);
}

/* Pages that we claim and the kernel does not hold protected: declare, arm again. */
static void disclaim(struct space *s, struct range r, uint64_t since, enum gap_reason why)
{
	uint64_t now = clock_now();

	cover_drop(&s->cover, r);
	emit_gap(&s->shared->emit, s->pid, s->mm, since, now, r, why);
	space_owe(s, r, now, TODO_ARM, 0);
}

/* What is said when a check can not be made. */
static enum gap_reason check_reason(const struct space *s, const struct space_todo *t)
{
	if (t->armed == s->born_at)
		return GAP_FORK;
	return ksm_is_check(s, t) ? GAP_KSM : GAP_REMOVE_RACE;
}

/*
 * Pages of what is registered are dropped under the mmap lock, held for reading
 * (madvise_dontneed_single_vma() in mm/madvise.c).  Whoever had it, or stood in line for it,
 * when the pages were armed, has let it go when a call that wants it for writing has got it
 * (UFFDIO_UNREGISTER).  Once for all checks of what was armed by then.  MADV_REMOVE of shared
 * memory goes without that lock: there only time tells.
 */
static void fence(struct space *s, const struct space_todo *t)
{
	uint64_t now = clock_now();

	if (s->fenced > t->when - CHECK_DELAY)
		return;
	s->dead |= !space_alive(s);
	s->fenced = now;
}

/*
 * The REMOVE event comes before the zap (kernel-measured: a re-arm right after it
 * was lost in up to 45 of 500 runs), and a fork may leave pages behind; so claims
 * made there are held against pagemap.  Of a child without a name everything will be,
 * when it has one.  Where there is no pagemap (it cannot be opened of a process that is
 * just exiting: ESRCH, seen on 6.18), nothing is believed.
 */
static int check_step(struct space *s, struct space_todo *t)
{
	uint64_t entry[CHECK_PAGES], page = s->shared->page_size, since = t->armed;
	enum gap_reason why = ksm_is_check(s, t) ? GAP_KSM : GAP_REMOVE_RACE;
	struct range run, bad;
	ssize_t n;

	if (!s->pid || !cover_next_armed(&s->cover, t->r, &run)) {
		struct space_todo done = *t;

		space_todo_done(s);
		if (ksm_is_check(s, &done))
			ksm_checked(s);
		return 1;
	}
	if (s->pagemap < 0) {
		why = check_reason(s, t);
		t->r.lo = run.hi;
		disclaim(s, run, since, why);
		return 1;
	}
	if (check_reason(s, t) == GAP_REMOVE_RACE)
		fence(s, t);
	if (range_len(run) > CHECK_PAGES * page)
		run.hi = run.lo + CHECK_PAGES * page;
	n = pread(s->pagemap, entry, range_len(run) / page * 8, (off_t)(run.lo / page * 8));
	if (n <= 0) {
		/* Nothing is read of a process that exits; what is owed then, is confessed. */
		t->when = clock_now() + CHECK_DELAY;
		return 1;
	}
	t->r.lo = run.lo + (uint64_t)n / 8 * page;
	for (int64_t i = 0; i < n / 8; i++) {
		if (entry[i] & PAGEMAP_UFFD_WP)
			continue;
		bad.lo = run.lo + (uint64_t)i * page;
		while (i < n / 8 && !(entry[i] & PAGEMAP_UFFD_WP))
			i++;
		bad.hi = run.lo + (uint64_t)i * page;
		disclaim(s, bad, since, why);
	}
	return 1;
}

/* Claims of `r` that check t was to be made of; empty: there are none. */
static struct range checked_part(const struct space *s, const struct space_todo *t, struct range r)
{
	struct range part = range_common(t->r, r), none = { r.lo, r.lo };

	if (t->what == TODO_ARM || range_empty(part) || !cover_armed_any(&s->cover, part))
		return none;
	return part;
}

bool arm_confess_part(struct space *s, struct range r, uint64_t now)
{
	bool any = false, all = false;

	if (s->async || !cover_armed_any(&s->cover, r))
		return false;
	/* Of a child without a name pagemap has not been read yet. */
	if (!s->pid) {
		emit_gap(&s->shared->emit, 0, s->mm, s->born_at, now, r, GAP_FORK);
		all = true;
	} else if (!s->doubting) {
		all = ksm_confess(s, r, now);
	}
	for (unsigned int i = s->todo_head; s->pid && s->nlooks && i < s->ntodo; i++) {
		struct range part = checked_part(s, &s->todo[i], r);

		if (range_empty(part))
			continue;
		emit_gap(&s->shared->emit, s->pid, s->mm, s->todo[i].armed, now, part,
			 check_reason(s, &s->todo[i]));
		any = true;
	}
	for (unsigned int i = s->todo_head; any && !all && i < s->ntodo; i++)
		cover_drop(&s->cover, checked_part(s, &s->todo[i], r));
	if (all)
		cover_drop(&s->cover, r);
	return any || all;
}

void arm_confess(struct space *s)
{
	struct emit *e = &s->shared->emit;
	struct range none = { 0, 0 }, run;
	uint64_t now = clock_now();

	if (s->async) {
		census_confess(s);
		if (s->twin)
			arm_confess(s->twin);
		return;
	}
	if (!s->pid)
		emit_gap(e, 0, s->mm, s->born_at, now, none, GAP_FORK);
	else if (s->shared->ksm.merged)
		ksm_doubt(s, now);
	for (unsigned int i = s->todo_head; s->pid && i < s->ntodo; i++) {
		struct space_todo *t = &s->todo[i];
		enum gap_reason why = check_reason(s, t);

		if (t->since)
			space_todo_skip(s, t, t->r.hi);
		if (t->what != TODO_ARM && cover_next_armed(&s->cover, t->r, &run))
			emit_gap(e, s->pid, s->mm, t->armed, now,
				 why == GAP_REMOVE_RACE ? t->r : none, why);
	}
}

static int arm_next(struct space *s, struct space_todo *t)
{
	struct space_todo was = *t;
	struct region *g = NULL;
	struct range chunk;
	bool more = next_chunk(s, t, &chunk, &g);
	int r = g ? arm_chunk(s, t, g, chunk) : 1;

	if (more)
		was.r.hi = t->r.lo;
	else
		space_todo_done(s);
	if (was.what == TODO_REARM_AFTER_REMOVE)
		owe_look(s, was.r, was.armed);
	return r;
}

int arm_step(struct space *s)
{
	struct space_todo *t;
	uint64_t now = clock_now();
	int r;

	if (s->async)
		return census_step(s);
	/* An answer still owed could land after a new arming, and undo it unseen. */
	if (s->npending || now < s->arm_after)
		return -EAGAIN;
	t = space_todo_due(s, now);
	if (!t)
		return 0;
	if (t->what == TODO_CHECK)
		return check_step(s, t);
	r = spare_learn(s, now);
	if (r < 0)
		return r == -ENOMEM ? 0 : r;
	/* It may have been moved, for more is owed now. */
	t = space_todo_due(s, now);
	if (!t)
		return 0;
	return arm_next(s, t);
}

uint64_t arm_epoch(struct space *s, uint64_t now)
{
	uint64_t pages = 0;

	for (struct region *g = layout_from(&s->layout, 0); g; g = layout_next(&s->layout, g)) {
		struct range rest = g->r, run;

		if (!g->arm || !(g->modes & WATCH_MODE_WRITE))
			continue;
		while (cover_next_spent(&s->cover, rest, &run)) {
			cover_drop(&s->cover, run);
			pages += range_len(run) / s->shared->page_size;
			rest.lo = run.hi;
		}
		if (rest.lo != g->r.lo)
			space_owe(s, g->r, now, TODO_ARM, 0);
	}
	return pages;
}

/*
 * A hostile target could have handed over the userfaultfd of another address space.
 * Arm a page through it, and see bit 57 come up in this process's pagemap.  Some
 * pages may be written in between; all of eight hardly are.
 */
int arm_prove(struct space *s)
{
	unsigned int tries = 0;
	int r;

	if (s->async)
		return census_prove(s);
	if (s->pagemap < 0)
		return 0;
	r = spare_learn(s, clock_now());
	if (r < 0)
		return r;
	for (struct region *g = layout_from(&s->layout, 0); g && tries < 8;
	     g = layout_next(&s->layout, g)) {
		struct range p = { g->r.lo, g->r.lo + g->page_size };

		if (!(g->modes & WATCH_MODE_WRITE) || range_empty(arm_allowed(s, p)) ||
		    spare_first(s, g, p) < p.hi)
			continue;
		r = uffd_protect(s->uffd, p);
		if (r == -EAGAIN || r == -ESRCH)
			return r;
		if (r < 0)
			continue;
		tries++;
		if (pagescan_protected(s->pagemap, p.lo, s->shared->page_size) == 1)
			return 0;
	}
	return tries ? -EXDEV : 0;
}
