/* SPDX-License-Identifier: MIT */
/* Family: which process a forked child's userfaultfd belongs to.  See family.h. */

#include "watch/family.h"

#include <errno.h>
#include <unistd.h>

#include "base/clock.h"
#include "watch/pagescan.h"
#include "watch/procinfo.h"
#include "watch/uffd.h"

/* Whether it is protected now is not known, and does not matter. */
static bool async_page(const struct space *child, struct range *ret)
{
	for (const struct region *g = layout_from(&child->layout, 0); g;
	     g = layout_next(&child->layout, g)) {
		struct range part = range_common(g->armed, g->r);

		if (!g->modes || g->kind == VMA_KIND_HUGETLB || range_empty(part))
			continue;
		*ret = (struct range){ part.lo, part.lo + child->shared->page_size };
		return true;
	}
	return false;
}

/* A page of the child to ask with: one that it holds protected, as far as we know. */
static bool probe_page(const struct space *child, struct range *ret)
{
	struct range all = { 0, align_down(UINT64_MAX, child->shared->page_size) };
	const struct region *g;

	if (child->async)
		return async_page(child, ret);
	while (cover_next_armed(&child->cover, all, ret)) {
		g = layout_find(&child->layout, ret->lo);
		if (g && g->kind != VMA_KIND_HUGETLB && (g->modes & WATCH_MODE_WRITE)) {
			ret->hi = ret->lo + child->shared->page_size;
			return true;
		}
		all.lo = ret->hi;
	}
	return false;
}

/* The page was bare for a moment: what was written in it then may be missing. */
static int protect_again(struct space *child, struct range page, uint64_t t0)
{
	struct emit *e = &child->shared->emit;
	uint64_t t1, since = t0;
	int r;

	/* Whether it had been written since the last pass is not known any more. */
	if (child->async)
		since = child->census.before;
	cover_drop(&child->cover, page);
	emit_gap(e, child->pid, child->mm, since, clock_now(), page, GAP_FORK);
	r = uffd_protect(child->uffd, page);
	t1 = clock_now();
	if (r < 0 && child->async) {
		child->bare = r == -EAGAIN ? page : (struct range){ 0, 0 };
		child->resync |= r != -EAGAIN;
		return r == -ESRCH ? r : -EAGAIN;
	}
	if (child->async) {
		child->bare = (struct range){ 0, 0 };
		emit_arm(e, child->pid, child->mm, t0, t1, page, ARM_ASYNC);
		return 0;
	}
	if (r < 0) {
		space_owe(child, page, t1, TODO_ARM, 0);
		return r == -ESRCH ? r : -EAGAIN;
	}
	if (!cover_arm(&child->cover, page))
		emit_arm(e, child->pid, child->mm, t0, t1, page, ARM_WP);
	return 0;
}

/* It may be asked again, and again: the door stays open until another is looked at. */
static int pagemap_of(struct space *child, pid_t pid)
{
	int r;

	if (child->door.pid == pid)
		return child->door.pagemap;
	door_close(&child->door);
	r = agent_open(child->shared->agent, pid, &child->door);
	return r < 0 ? r : child->door.pagemap;
}

int family_match(struct space *child, pid_t pid)
{
	uint32_t page_size = child->shared->page_size;
	uint64_t t0 = clock_now();
	struct range page;
	int pagemap, before, after, r;

	/* It must not be taken for another's, whatever comes of this. */
	if (!range_empty(child->bare) && protect_again(child, child->bare, t0) < 0)
		return space_alive(child) ? -EAGAIN : -ESRCH;
	if (!probe_page(child, &page))
		return 0;
	pagemap = pagemap_of(child, pid);
	if (pagemap < 0)
		return pagemap == -EAGAIN ? -EAGAIN : 0;
	before = pagescan_protected(pagemap, page.lo, page_size);
	if (before < 0 || (!before && !child->async))
		return 0;
	r = uffd_unprotect(child->uffd, page);
	if (r < 0)
		return r == -EAGAIN || r == -ESRCH ? r : 0;
	after = pagescan_protected(pagemap, page.lo, page_size);
	r = protect_again(child, page, t0);
	if (r < 0)
		return r;
	/*
	 * Both ways: in a process that shares its memory with the parent (vfork) the bit may
	 * go at that instant by a madvise() of its own, but it does not come back.
	 */
	return after == 0 && pagescan_protected(pagemap, page.lo, page_size) == 1;
}

pid_t family_find(struct space *child, const pid_t *candidates, unsigned int n)
{
	int r;

	if (child->born_ptid && child->tids_plain) {
		pid_t tgid = procinfo_tgid((pid_t)child->born_ptid);

		if (tgid)
			return tgid;
	}
	for (unsigned int i = 0; i < n; i++) {
		r = family_match(child, candidates[i]);
		if (r == 1)
			return candidates[i];
		if (r == -ESRCH || r == -EAGAIN)
			return r;
	}
	return 0;
}
