/* SPDX-License-Identifier: MIT */
/* Random, advice: madvise(2) of every kind, but for those that harm the machine. */

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "random.h"

#ifndef MADV_COLD
#define MADV_COLD 20
#define MADV_PAGEOUT 21
#endif
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif
#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED 24
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#define MADV_GUARD_REMOVE 103
#endif

/* What is for a fork is for a whole region: become_child() forgets all of it or none. */
static bool for_forks(int a)
{
	return a == MADV_DONTFORK || a == MADV_DOFORK || a == MADV_WIPEONFORK ||
	       a == MADV_KEEPONFORK;
}

/* Leaves no trace in the flags of the mapping, and so does not cut it. */
static bool leaves_whole(int a)
{
	return a == MADV_WILLNEED || a == MADV_COLD || a == MADV_PAGEOUT || a == MADV_COLLAPSE ||
	       a == MADV_POPULATE_READ;
}

/* Advice that changes no byte; some of it may be refused.  Of the whole, or a part. */
void advice_any(struct worker *w)
{
	static const int advice[] = {
		MADV_NORMAL, MADV_RANDOM, MADV_SEQUENTIAL, MADV_WILLNEED, MADV_COLD,
		MADV_PAGEOUT, MADV_HUGEPAGE, MADV_NOHUGEPAGE, MADV_COLLAPSE, MADV_MERGEABLE,
		MADV_UNMERGEABLE, MADV_DONTFORK, MADV_DOFORK, MADV_WIPEONFORK, MADV_KEEPONFORK,
		MADV_DONTDUMP, MADV_DODUMP, MADV_POPULATE_READ,
	};
	struct region *r = region_pick(w);
	int a = advice[random_below(w, sizeof(advice) / sizeof(advice[0]))];
	bool part = random_below(w, 4) == 0 && !for_forks(a);
	size_t page = part ? random_below(w, r->pages) : 0;
	size_t n = part ? 1 + random_below(w, r->pages - page) : r->pages;
	uint64_t t0 = now_ns();

	if (!region_plain(r) || madvise(r->at + page * PAGE, n * PAGE, a))
		return;
	truth_note(w->truth, TRUTH_ADVISE, t0, r->at + page * PAGE, n * PAGE, 0, (unsigned int)a);
	if (a == MADV_POPULATE_READ)
		truth_note(w->truth, TRUTH_READ, t0, r->at + page * PAGE, n * PAGE, 0, 0);
	if (part && !leaves_whole(a))
		r->patched = true;
	if (a == MADV_DONTFORK || a == MADV_DOFORK)
		r->no_fork = a == MADV_DONTFORK;
	if (a == MADV_WIPEONFORK || a == MADV_KEEPONFORK)
		r->wipe_on_fork = a == MADV_WIPEONFORK;
}

static void write_over(struct worker *w, struct region *r, size_t page, size_t n)
{
	unsigned char value = (unsigned char)random_next(w);
	uint64_t t0 = now_ns();

	memset(r->at + page * PAGE, value, n * PAGE);
	wrote(w, r->at + page * PAGE, n * PAGE, t0);
	memset(r->shadow + page * PAGE, value, n * PAGE);
}

static int way_to_drop(struct worker *w, const struct region *r)
{
	switch (random_below(w, 4)) {
	case 0:
		return r->kind == REGION_ANON ? MADV_FREE : MADV_DONTNEED;
	case 1:
		return r->kind == REGION_SHARED || r->kind == REGION_MEMFD ? MADV_REMOVE :
									    MADV_DONTNEED;
	case 2:
		return MADV_DONTNEED_LOCKED;
	default:
		return MADV_DONTNEED;
	}
}

static void dropped(struct worker *w, struct region *r, size_t page, size_t n, int a)
{
	bool shared = r->kind == REGION_SHARED || r->kind == REGION_MEMFD;

	if (a == MADV_FREE)		/* the old bytes or zeros, until it is written */
		write_over(w, r, page, n);
	else if (r->kind == REGION_COPY)
		region_reload(w, r, page, n);
	else if (!shared || a == MADV_REMOVE)	/* else the file has them still */
		memset(r->shadow + page * PAGE, 0, n * PAGE);
}

/* MADV_DONTNEED, MADV_FREE, MADV_REMOVE: pages that are lost. */
void advice_drop(struct worker *w)
{
	struct region *r = region_pick(w);
	size_t page = random_below(w, r->pages), n = 1 + random_below(w, 16);
	int a = way_to_drop(w, r);
	uint64_t t0 = now_ns();

	if (n > r->pages - page)
		n = r->pages - page;
	if (!region_plain(r) && !r->twin)
		return;
	if (madvise(r->at + page * PAGE, n * PAGE, a)) {
		if (a != MADV_DONTNEED_LOCKED || errno != EINVAL)	/* before Linux 5.18 */
			region_error(w, SYS_madvise, errno);
		return;
	}
	truth_note(w->truth, TRUTH_ADVISE, t0, r->at + page * PAGE, n * PAGE, 0, (unsigned int)a);
	dropped(w, r, page, n, a);
	/* Written within microseconds: what is armed too early is lost. */
	if (a != MADV_FREE && random_below(w, 2))
		write_over(w, r, page, 1);
}

/*
 * Guard pages at the end of a region, which it then loses.  No event tells of them and
 * what was armed is armed no more, so these pages are not judged from then on.
 */
void advice_guard(struct worker *w)
{
	struct region *r = region_pick_kind(w, REGION_ANON);
	size_t n = 1 + random_below(w, 4);
	unsigned char *at;
	uint64_t word;

	if (!r || r->pages < 8)
		return;
	at = r->at + (r->pages - n) * PAGE;
	region_unjudge(w, at, n);
	if (!madvise(at, n * PAGE, MADV_GUARD_INSTALL)) {	/* since Linux 6.13 */
		if (madvise(at, n * PAGE, MADV_GUARD_REMOVE))
			region_error(w, SYS_madvise, errno);
		for (size_t i = 0; i < n; i++) {
			memcpy(&word, at + i * PAGE, 8);
			w->mismatches += word != 0;
			memset(at + i * PAGE, 0xa5, PAGE);
		}
	}
	if (munmap(at, n * PAGE))
		region_error(w, SYS_munmap, errno);
	region_resize_shadow(r, r->pages - n);
}
