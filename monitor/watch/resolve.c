/* SPDX-License-Identifier: MIT */
/* Resolve: answer one fault.  See resolve.h. */

#include "watch/resolve.h"

#include <errno.h>
#include <sys/mman.h>

#include "watch/uffd.h"
#include "watch/watchable.h"

int resolve_source_open(struct resolve_source *s, uint64_t len)
{
	void *p = mmap(NULL, len, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return -ENOMEM;
	*s = (struct resolve_source){ .zeros = p, .len = len };
	return 0;
}

void resolve_source_close(struct resolve_source *s)
{
	if (s->zeros)
		munmap((void *)(uintptr_t)s->zeros, s->len);
	s->zeros = NULL;
}

/*
 * Errors that all answers share.  ENOENT: the range is not registered any more;
 * EEXIST: somebody supplied the page, and the kernel does not wake for it; EINVAL
 * and EFAULT: the mapping changed its nature under us; ENOSPC: kernels before 6 say
 * so of a dying address space.  In each the thread is woken to fault again, or not.
 */
static int settle(int uffd, int error, struct resolve_answer *ret)
{
	switch (error) {
	case -EEXIST:
	case -ENOENT:
	case -EINVAL:
	case -EFAULT:
	case -ENOSPC:
		ret->act = ACT_WAKE;
		error = uffd_wake(uffd, ret->page);
		/* A wake cannot be refused for a range that is merely gone. */
		return error == -ESRCH ? -ESRCH : 0;
	}
	return error;
}

/*
 * A block reaches over pages that nobody has asked for, and the layout may be behind:
 * the kernel then refuses in the middle (ENOENT), with the first part changed.  The page
 * alone is tried next.  EAGAIN comes before anything is changed.
 */
static int answer_protected(int uffd, struct range block, struct resolve_answer *ret)
{
	struct range page = ret->page;
	int r;

	if (range_contains(block, page))
		ret->page = block;
	r = uffd_unprotect(uffd, ret->page);
	if (r && r != -EAGAIN && r != -ESRCH && range_len(ret->page) > range_len(page)) {
		ret->torn = true;
		ret->page = page;
		r = uffd_unprotect(uffd, page);
	}
	if (!r) {
		ret->act = ACT_UNPROTECT;
		ret->supplied = true;
	}
	return settle(uffd, r, ret);
}

static int answer_minor(int uffd, bool protect, struct resolve_answer *ret)
{
	int r = uffd_continue(uffd, ret->page, protect);

	if (!r) {
		ret->act = ACT_CONTINUE;
		ret->supplied = true;
		ret->armed = protect;
	}
	return settle(uffd, r, ret);
}

/*
 * A read is answered with the zero page where nothing has to be protected; where
 * the first write after it must be seen, protection has to come in the same step,
 * and UFFDIO_ZEROPAGE has no such mode: so a page of zeros is copied.  hugetlb has
 * no ZEROPAGE at all.
 */
static int answer_missing(int uffd, bool write, bool protect, const struct resolve_place *place,
			  const struct resolve_source *src, struct resolve_answer *ret)
{
	bool zeropage = !write && !protect && place->kind != VMA_KIND_HUGETLB;
	int r;

	if (range_len(ret->page) > src->len)
		return -ENOMEM;
	r = zeropage ? uffd_zeropage(uffd, ret->page) :
		       uffd_copy(uffd, ret->page, src->zeros, protect);
	/*
	 * Of a mapping that was armed and then became read-only, say, or of which we know
	 * no better than that it is not registered: ZEROPAGE takes the marker of an empty,
	 * protected page for a page (mfill_atomic_pte_zeropage wants pte_none), COPY does
	 * not, and keeps it protected.
	 */
	if (zeropage && r == -EEXIST) {
		zeropage = false;
		protect = place->modes & WATCH_MODE_WRITE;
		r = uffd_copy(uffd, ret->page, src->zeros, true);
		/* The mapping is not registered for that, so there was no marker. */
		if (r == -EINVAL)
			r = -EEXIST;
	}
	if (!r) {
		ret->act = zeropage ? ACT_ZEROPAGE : ACT_COPY;
		ret->supplied = true;
		ret->armed = protect;
	}
	return settle(uffd, r, ret);
}

int resolve_fault(int uffd, const struct event *ev, const struct resolve_place *place,
		  const struct resolve_source *src, struct resolve_answer *ret)
{
	bool protect = !ev->fault.write && place->arm && (place->modes & WATCH_MODE_WRITE);
	uint64_t lo = align_down(ev->fault.addr, place->page_size);

	*ret = (struct resolve_answer){
		.act = ACT_NONE,
		.page = { lo, lo + place->page_size },
	};
	if (ev->fault.wp)
		return answer_protected(uffd, place->block, ret);
	if (ev->fault.minor)
		return answer_minor(uffd, protect, ret);
	return answer_missing(uffd, ev->fault.write, protect, place, src, ret);
}
