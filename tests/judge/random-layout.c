/* SPDX-License-Identifier: MIT */
/* Random, layout: mappings that come, move, shrink and go. */

#include <errno.h>
#include <fcntl.h>
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

static void unmap_whole(struct worker *w, struct region *r)
{
	if (region_unmap(w, r->at, r->pages))
		region_forget(r);
}

static void unmap_end(struct worker *w, struct region *r)
{
	size_t cut = 1 + random_below(w, r->pages / 2);

	if (region_unmap(w, r->at + (r->pages - cut) * PAGE, cut))
		region_resize_shadow(r, r->pages - cut);
}

static void unmap_begin(struct worker *w, struct region *r)
{
	size_t cut = 1 + random_below(w, r->pages / 2);

	if (!region_unmap(w, r->at, cut))
		return;
	r->at += cut * PAGE;
	r->from += cut;
	memmove(r->shadow, r->shadow + cut * PAGE, (r->pages - cut) * PAGE);
	region_resize_shadow(r, r->pages - cut);
}

static void *told_remap(struct worker *w, unsigned char *old, size_t old_pages, size_t pages,
			int flags, void *to)
{
	uint64_t t0 = now_ns();
	void *p = flags & MREMAP_FIXED ? mremap(old, old_pages * PAGE, pages * PAGE, flags, to) :
		  mremap(old, old_pages * PAGE, pages * PAGE, flags);

	if (p == MAP_FAILED) {
		region_error(w, SYS_mremap, errno);
		return NULL;
	}
	if (w->truth)
		truth_tell(w->truth, (struct truth_entry){
			.t0 = t0, .t1 = now_ns(), .addr = (uint64_t)(uintptr_t)old,
			.len = old_pages * PAGE, .aux = (uint64_t)(uintptr_t)p,
			.aux2 = pages * PAGE, .op = TRUTH_REMAP, .flags = (uint16_t)flags,
			.who = (uint32_t)syscall(SYS_gettid),
		});
	return p;
}

/*
 * What is behind the hole moves to the place of another region; where it cannot, the
 * hole is filled again.
 */
static void unmap_middle(struct worker *w, struct region *r)
{
	struct region *to = r->patched ? NULL : region_free_slot(w);
	size_t page = 1 + random_below(w, r->pages - 2);
	size_t n = 1 + random_below(w, r->pages - page - 1), rest = r->pages - page - n;

	/* What it is for a fork belongs to all of it. */
	if ((!to && (r->no_fork || r->wipe_on_fork)) ||
	    !region_unmap(w, r->at + page * PAGE, n))
		return;
	if (!to) {
		region_map_part(w, r, page, n, false);
		return;
	}
	if (!told_remap(w, r->at + (page + n) * PAGE, rest, rest, MREMAP_MAYMOVE | MREMAP_FIXED,
			region_place(w, to)))
		die("the rest of a mapping");
	*to = (struct region){
		.kind = r->kind, .at = region_place(w, to), .from = r->from + page + n,
		.no_fork = r->no_fork, .wipe_on_fork = r->wipe_on_fork,
		.fd = r->fd < 0 ? -1 : fcntl(r->fd, F_DUPFD_CLOEXEC, 0),
	};
	region_resize_shadow(to, rest);
	memcpy(to->shadow, r->shadow + (page + n) * PAGE, rest * PAGE);
	region_resize_shadow(r, page);
}

/* The whole, the end, the begin, or a middle that leaves two. */
void layout_unmap(struct worker *w)
{
	static void (*const ways[])(struct worker *, struct region *) = {
		unmap_whole, unmap_end, unmap_begin, unmap_middle, unmap_middle,
	};
	struct region *r = region_pick(w);
	uint64_t way = random_below(w, 5);

	if (!region_plain(r) || count(w) <= FEW)
		return;
	if (r->pages < 8)
		way = 0;
	ways[way](w, r);
}

/* MAP_FIXED over a part: the begin, the end, a middle or all. */
void layout_replace(struct worker *w)
{
	struct region *r = region_pick(w);
	size_t page = random_below(w, r->pages), n = 1 + random_below(w, r->pages - page);

	if (!region_plain(r) || r->no_fork || r->wipe_on_fork)
		return;
	switch (random_below(w, 4)) {
	case 0:
		page = 0;
		break;
	case 1:
		n = r->pages - page;
		break;
	default:
		break;
	}
	region_map_part(w, r, page, n, true);
}

/* Gone, and at the same address something new at once. */
void layout_reuse(struct worker *w)
{
	struct region *r = region_pick(w);
	size_t pages = r->pages;
	enum region_kind kind = random_below(w, 2) ? REGION_ANON : REGION_SHARED;

	if (!region_plain(r) || r->at != region_place(w, r) || !region_unmap(w, r->at, pages))
		return;
	region_forget(r);
	region_make(w, r, kind, pages);
	if (r->kind != REGION_NONE)
		store_sweep(w);
}

static bool remap(struct worker *w, struct region *r, size_t pages, int flags, void *to)
{
	void *p = told_remap(w, r->at, r->pages, pages, flags, to);

	if (p)
		r->at = p;
	return p;
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
	unsigned char *to = r->at < home + SLOT / 4 ? home + SLOT / 2 : home;
	size_t pages = r->pages;

	if (!region_plain(r) || r->patched)
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

	if (!region_plain(r))
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
