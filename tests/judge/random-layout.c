/* SPDX-License-Identifier: MIT */
/* Random, layout: mappings that come, move, shrink, lose their pages and go. */

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "random.h"

#define FEW 4		/* regions that are always left */
#define PAGES_MAX 512

static unsigned int count(const struct worker *w)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < REGIONS; i++)
		n += w->r[i].kind != REGION_NONE;
	return n;
}

/* Its mapping may be cut and moved about: no brk, no stack. */
static bool plain(const struct region *r)
{
	return r->kind == REGION_ANON || r->kind == REGION_SHARED || r->kind == REGION_MEMFD ||
	       r->kind == REGION_COPY;
}

void layout_map(struct worker *w)
{
	static const enum region_kind kinds[] = {
		REGION_ANON, REGION_ANON, REGION_SHARED, REGION_MEMFD, REGION_COPY,
	};
	struct region *r = region_free_slot(w);
	enum region_kind kind = kinds[random_below(w, 5)];
	size_t pages = 1 + random_below(w, 128);

	if (r)
		region_make(w, r, kind, pages);
}

static bool unmap(struct worker *w, unsigned char *at, size_t pages)
{
	uint64_t t0 = now_ns();

	if (munmap(at, pages * PAGE)) {
		region_error(w, SYS_munmap, errno);
		return false;
	}
	truth_note(w->truth, TRUTH_UNMAP, t0, at, pages * PAGE, 0, 0);
	return true;
}

/* The whole, the end, or a middle that leaves two. */
void layout_unmap(struct worker *w)
{
	struct region *r = region_pick(w);
	size_t cut;

	if (!plain(r) || count(w) <= FEW)
		return;
	if (random_below(w, 3) || r->pages < 8) {
		if (unmap(w, r->at, r->pages))
			region_forget(r);
		return;
	}
	cut = 1 + random_below(w, r->pages / 2);
	if (unmap(w, r->at + (r->pages - cut) * PAGE, cut))
		region_resize_shadow(r, r->pages - cut);
}

/* MAP_FIXED over a part: fresh zero pages, the same kind of mapping. */
void layout_replace(struct worker *w)
{
	struct region *r = region_pick_kind(w, REGION_ANON);
	size_t page, n;
	uint64_t t0;
	void *p;

	/* What it is for a fork belongs to all of it. */
	if (!r || r->no_fork || r->wipe_on_fork)
		return;
	page = random_below(w, r->pages);
	n = 1 + random_below(w, r->pages - page);
	t0 = now_ns();
	p = mmap(r->at + page * PAGE, n * PAGE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	if (p == MAP_FAILED) {
		region_error(w, SYS_mmap, errno);
		return;
	}
	truth_note(w->truth, TRUTH_REPLACE, t0, p, n * PAGE, PROT_READ | PROT_WRITE,
		   TRUTH_KIND_ANON);
	memset(r->shadow + page * PAGE, 0, n * PAGE);
	r->patched = true;
}

/* Gone, and at the same address something new at once. */
void layout_reuse(struct worker *w)
{
	struct region *r = region_pick(w);
	size_t pages = r->pages;
	enum region_kind kind = random_below(w, 2) ? REGION_ANON : REGION_SHARED;

	if (!plain(r) || r->at != region_place(w, r) || !unmap(w, r->at, pages))
		return;
	region_forget(r);
	region_make(w, r, kind, pages);
	if (r->kind != REGION_NONE)
		store_sweep(w);
}

static bool remap(struct worker *w, struct region *r, size_t pages, int flags, void *to)
{
	unsigned char *old = r->at;
	uint64_t t0 = now_ns();
	void *p = flags & MREMAP_FIXED ? mremap(old, r->pages * PAGE, pages * PAGE, flags, to) :
		  mremap(old, r->pages * PAGE, pages * PAGE, flags);

	if (p == MAP_FAILED) {
		region_error(w, SYS_mremap, errno);
		return false;
	}
	if (w->truth)
		truth_tell(w->truth, (struct truth_entry){
			.t0 = t0, .t1 = now_ns(), .addr = (uint64_t)(uintptr_t)old,
			.len = r->pages * PAGE, .aux = (uint64_t)(uintptr_t)p,
			.aux2 = pages * PAGE, .op = TRUTH_REMAP, .flags = (uint16_t)flags,
			.who = (uint32_t)syscall(SYS_gettid),
		});
	r->at = p;
	return true;
}

/* Larger or smaller: there is room behind it, so that it stays where it is. */
void layout_grow(struct worker *w)
{
	struct region *r = region_pick(w);
	size_t pages = 1 + random_below(w, PAGES_MAX);

	if ((r->kind != REGION_ANON && r->kind != REGION_SHARED) || r->patched)
		return;
	/* Shared anonymous memory has an end of its own: beyond it is SIGBUS. */
	if (r->kind == REGION_SHARED && pages > r->pages)
		return;
	if (remap(w, r, pages, 0, NULL))
		region_resize_shadow(r, pages);
}

/* To the other half of its slot, or back; perhaps it grows on the way. */
void layout_move(struct worker *w)
{
	struct region *r = region_pick(w);
	unsigned char *home = region_place(w, r);
	unsigned char *to = r->at == home ? home + SLOT / 2 : home;
	size_t pages = r->pages;

	if (!plain(r) || r->patched)
		return;
	if (r->kind == REGION_ANON && random_below(w, 3) == 0)
		pages += random_below(w, 64);
	if (remap(w, r, pages, MREMAP_MAYMOVE | MREMAP_FIXED, to))
		region_resize_shadow(r, pages);
}

/* MREMAP_DONTUNMAP: the pages go, the old mapping stays, empty. */
void layout_leave(struct worker *w)
{
	struct region *r = region_pick_kind(w, REGION_ANON), *to = region_free_slot(w);
	unsigned char *old;
	size_t pages;

	if (!r || !to || r->patched)
		return;
	old = r->at;
	pages = r->pages;
	if (!remap(w, r, pages, MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP,
		   region_place(w, to)))
		return;
	*to = *r;
	*r = (struct region){ .fd = -1, .kind = REGION_ANON, .at = old,
			      .no_fork = to->no_fork, .wipe_on_fork = to->wipe_on_fork };
	region_resize_shadow(r, pages);
}

#ifndef MADV_COLD
#define MADV_COLD 20
#define MADV_PAGEOUT 21
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

/* Advice that changes no byte; some of it may be refused. */
void layout_advise(struct worker *w)
{
	static const int advice[] = {
		MADV_NORMAL, MADV_RANDOM, MADV_SEQUENTIAL, MADV_WILLNEED, MADV_COLD,
		MADV_PAGEOUT, MADV_HUGEPAGE, MADV_NOHUGEPAGE, MADV_COLLAPSE, MADV_MERGEABLE,
		MADV_UNMERGEABLE, MADV_DONTFORK, MADV_DOFORK, MADV_WIPEONFORK, MADV_KEEPONFORK,
	};
	struct region *r = region_pick(w);
	int a = advice[random_below(w, sizeof(advice) / sizeof(advice[0]))];
	uint64_t t0 = now_ns();

	if (!plain(r) || madvise(r->at, r->pages * PAGE, a))
		return;
	truth_note(w->truth, TRUTH_ADVISE, t0, r->at, r->pages * PAGE, 0, (unsigned int)a);
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

/* MADV_DONTNEED, MADV_FREE, MADV_REMOVE: pages that are lost. */
void layout_drop(struct worker *w)
{
	struct region *r = region_pick(w);
	size_t page = random_below(w, r->pages), n = 1 + random_below(w, 16);
	int a = r->kind == REGION_MEMFD ? MADV_REMOVE :
		r->kind == REGION_ANON && random_below(w, 3) == 0 ? MADV_FREE : MADV_DONTNEED;
	uint64_t t0 = now_ns();

	if (n > r->pages - page)
		n = r->pages - page;
	if (!plain(r) || r->kind == REGION_SHARED)
		return;
	if (madvise(r->at + page * PAGE, n * PAGE, a)) {
		region_error(w, SYS_madvise, errno);
		return;
	}
	truth_note(w->truth, TRUTH_ADVISE, t0, r->at + page * PAGE, n * PAGE, 0, (unsigned int)a);
	if (a == MADV_FREE)		/* the old bytes or zeros, until it is written */
		write_over(w, r, page, n);
	else if (r->kind == REGION_COPY)
		(void)!pread(w->data, r->shadow + page * PAGE, n * PAGE, (off_t)(page * PAGE));
	else
		memset(r->shadow + page * PAGE, 0, n * PAGE);
	/* Written within microseconds: what is armed too early is lost. */
	if (a == MADV_DONTNEED && random_below(w, 2))
		write_over(w, r, page, 1);
}

static bool protect(struct worker *w, struct region *r, size_t page, size_t n, int prot)
{
	uint64_t t0 = now_ns();

	if (mprotect(r->at + page * PAGE, n * PAGE, prot)) {
		region_error(w, SYS_mprotect, errno);
		return false;
	}
	truth_note(w->truth, TRUTH_PROTECT, t0, r->at + page * PAGE, n * PAGE, (uint64_t)prot, 0);
	return true;
}

void layout_protect(struct worker *w)
{
	struct region *r = region_pick(w);
	size_t page = random_below(w, r->pages), n = 1 + random_below(w, r->pages - page);

	if (!plain(r))
		return;
	if (protect(w, r, page, n, random_below(w, 4) ? PROT_READ : PROT_NONE))
		protect(w, r, page, n, PROT_READ | PROT_WRITE);
}

/* The first thread alone: what lies above the old end is its own. */
void layout_brk(struct worker *w)
{
	struct region *r = region_pick_kind(w, REGION_BRK);
	size_t pages = 1 + random_below(w, 64);
	uint64_t t0 = now_ns();
	unsigned char *end, *at;

	if (w->nr || w->depth != opt.depth)
		return;
	if (!r) {
		r = region_free_slot(w);
		end = sbrk(0);
		at = (unsigned char *)(((uintptr_t)end + PAGE - 1) / PAGE * PAGE);
		if (!r || brk(at + pages * PAGE))
			return;
		*r = (struct region){ .fd = -1, .kind = REGION_BRK, .at = at };
		region_resize_shadow(r, pages);
		truth_note(w->truth, TRUTH_AREA, t0, at, pages * PAGE, PROT_READ | PROT_WRITE,
			   TRUTH_KIND_BRK);
		return;
	}
	if (sbrk(0) != r->at + r->pages * PAGE)	/* somebody else's is behind it */
		return;
	t0 = now_ns();
	if (brk(r->at + pages * PAGE)) {
		region_error(w, SYS_brk, errno);
		return;
	}
	if (pages > r->pages)
		truth_note(w->truth, TRUTH_AREA, t0, r->at + r->pages * PAGE,
			   (pages - r->pages) * PAGE, PROT_READ | PROT_WRITE, TRUTH_KIND_BRK);
	else if (pages < r->pages)
		truth_note(w->truth, TRUTH_UNMAP, t0, r->at + pages * PAGE,
			   (r->pages - pages) * PAGE, 0, 1);
	region_resize_shadow(r, pages);
}

/* A store below its begin makes it grow, without any call. */
void layout_down(struct worker *w)
{
	struct region *r = region_pick_kind(w, REGION_DOWN);
	unsigned char *below;
	uint64_t t0, v = random_next(w);

	if (!r || r->pages >= PAGES_MAX / 4)
		return;
	below = r->at - PAGE;
	t0 = now_ns();
	*(volatile uint64_t *)(void *)below = v;
	truth_note(w->truth, TRUTH_AREA, t0, below, PAGE, PROT_READ | PROT_WRITE,
		   TRUTH_KIND_GROWSDOWN);
	wrote(w, below, 8, t0);
	region_resize_shadow(r, r->pages + 1);
	memmove(r->shadow + PAGE, r->shadow, (r->pages - 1) * PAGE);
	memset(r->shadow, 0, PAGE);
	memcpy(r->shadow, &v, 8);
	r->at = below;
}
