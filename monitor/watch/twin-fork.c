/* SPDX-License-Identifier: MIT */
/*
 * Twin, forks: which two of the userfaultfds that forks bring are of one child.
 *
 * fork(2) copies the mappings in the order of their addresses, and at the first of each
 * owner it counts a change of that owner (dup_userfaultfd(), fs/userfaultfd.c).  Later,
 * without a lock, its thread sends the words of it: in the order of that count, and the
 * second when the first has been read and the thread has run
 * (dup_userfaultfd_complete()).  Nothing in them says whose they are.
 *
 * So as long as the lowest registered mapping is the other one's, not the twin's, each fork
 * tells the other one first, and if its forks are read one at a time, the next word of one
 * that comes to the twin is of the same fork.  If the twin counts no change any more and
 * has nothing to read, there is none to come: nothing of the child is the twin's.
 *
 * Where the order is not known the child is watched by the other one alone, or let go.
 */

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "watch/pagescan.h"
#include "watch/space.h"
#include "watch/uffd.h"

/* The thread that forks has to get a processor in between. */
#define AWAIT_MAX (20 * NSEC_PER_MSEC)
#define AWAIT_LOOK_MS 1
/* Mappings that are asked before they are taken for another process's. */
#define TRIES 8

static uint64_t lowest(const struct space *s)
{
	const struct region *g = layout_from(&s->layout, 0);

	while (g && !g->modes)
		g = layout_next(&s->layout, g);
	return g ? g->r.lo : UINT64_MAX;
}

void twin_forked(struct space *twin, int uffd)
{
	if (twin->awaits && twin->forked < 0) {
		twin->forked = uffd;
		return;
	}
	close(uffd);
	twin->strays--;
}

static int await(struct space *twin, uint64_t until)
{
	for (;;) {
		bool more = space_changing(twin);
		int64_t r = serve(twin, clock_now());

		if (twin->forked >= 0)
			return 0;
		if (r < 0)
			return (int)r;
		if (!more)
			return -ENOENT;
		if (clock_now() >= until)
			return -EAGAIN;
		poll(&(struct pollfd){ .fd = twin->uffd, .events = POLLIN }, 1, AWAIT_LOOK_MS);
	}
}

/* Not all that forks have told one of them, has come to the other. */
static int strayed(struct space *whole)
{
	struct space *twin = whole->twin;

	if (!space_changing(twin))
		twin->strays += twin->strays < 0 ? 1 : -twin->strays;
	else
		twin->strays++;
	return twin->strays > 0 ? -EAGAIN : -ENOENT;
}

int twin_await(struct space *whole)
{
	struct space *twin = whole->twin;
	int uffd, r;

	if (twin->strays || lowest(twin) < lowest(whole))
		return strayed(whole);
	twin->awaits = true;
	r = await(twin, clock_now() + AWAIT_MAX);
	twin->awaits = false;
	uffd = twin->forked;
	twin->forked = -1;
	if (r < 0 && r != -ENOENT)
		twin->strays++;
	/* Two have come at once, and the order is another one. */
	if (!r && twin->strays) {
		close(uffd);
		return -ENOENT;
	}
	return r < 0 ? r : uffd;
}

void twin_orphaned(struct space *child, uint64_t since, uint64_t now)
{
	for (struct region *g = layout_from(&child->layout, 0); g;
	     g = layout_next(&child->layout, g)) {
		if (!g->held)
			continue;
		emit_gap(&child->shared->emit, 0, child->mm, since, now, g->r, GAP_FORK);
		g->held = false;
		g->again = true;
	}
}

/* 1: the bit goes to and fro with what is done through the userfaultfd; 0: it does not. */
static int obeys(struct space *twin, struct range page, bool armed)
{
	uint32_t size = twin->shared->page_size;
	int before = pagescan_protected(twin->pagemap, page.lo, size), between, r;
	uint64_t since = before ? clock_now() : twin->born_at;

	if (before < 0)
		return before;
	r = before ? uffd_unprotect(twin->uffd, page) : uffd_protect(twin->uffd, page);
	if (r < 0)
		return r;
	between = pagescan_protected(twin->pagemap, page.lo, size);
	r = before ? uffd_protect(twin->uffd, page) : uffd_unprotect(twin->uffd, page);
	/* It was bare for a moment, or has been since the fork (MADV_WIPEONFORK). */
	if (armed) {
		cover_drop(&twin->cover, page);
		emit_gap(&twin->shared->emit, twin->pid, twin->mm, since, clock_now(), page,
			 GAP_FORK);
		space_owe(twin, page, clock_now(), TODO_ARM, 0);
	}
	if (r < 0)
		return r;
	return between == !before &&
	       pagescan_protected(twin->pagemap, page.lo, size) == before;
}

/* A page to ask with: written and told of already, or one that is claimed. */
static bool page_of(const struct space *s, const struct region *g, struct range *ret,
		    bool *ret_armed)
{
	struct range run;

	if (!(g->modes & WATCH_MODE_WRITE) || g->kind == VMA_KIND_HUGETLB)
		return false;
	*ret_armed = !cover_next_spent(&s->cover, g->r, &run);
	if (*ret_armed && !cover_next_armed(&s->cover, g->r, &run))
		return false;
	*ret = (struct range){ run.lo, run.lo + s->shared->page_size };
	return spare_first(s, g, *ret) == ret->hi;
}

int twin_prove(struct space *twin)
{
	unsigned int tries = 0;
	int r;

	if (twin->pagemap < 0)
		return 0;
	r = spare_learn(twin, clock_now());
	if (r < 0)
		return r;
	for (struct region *g = layout_from(&twin->layout, 0); g && tries < TRIES;
	     g = layout_next(&twin->layout, g)) {
		struct range page;
		bool armed;

		if (!page_of(twin, g, &page, &armed))
			continue;
		r = obeys(twin, page, armed);
		if (r == 1)
			return 0;
		if (r == -EAGAIN || r == -ESRCH)
			return r;
		tries++;
	}
	return tries ? -EXDEV : 0;
}
