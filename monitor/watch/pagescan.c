/* SPDX-License-Identifier: MIT */
/* Pagescan: PAGEMAP_SCAN.  See pagescan.h. */

#include "watch/pagescan.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <unistd.h>

#include "base/cleanup.h"

static int scan(int pagemap, struct pm_scan_arg *a)
{
	int r;

	do {
		r = ioctl(pagemap, PAGEMAP_SCAN, a);
	} while (r < 0 && errno == EINTR && a->walk_end <= a->start);
	return r < 0 ? -errno : r;
}

/* Our own pages, in a build without position too: any page that holds this function's data. */
static struct pm_scan_arg own_page(void)
{
	static const char here = 1;
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t at = align_down((uint64_t)(uintptr_t)&here, page);

	return (struct pm_scan_arg){
		.size = sizeof(struct pm_scan_arg),
		.start = at,
		.end = at + page,
		.return_mask = PAGE_IS_PRESENT,
		.category_anyof_mask = PAGE_IS_PRESENT,
	};
}

struct pagescan_able pagescan_probe(void)
{
	_close_ int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	struct page_region v;
	struct pm_scan_arg a = own_page();
	struct pagescan_able able = { 0 };

	if (fd < 0)
		return able;
	a.vec = (uint64_t)(uintptr_t)&v;
	a.vec_len = 1;
	able.scan = scan(fd, &a) >= 0;
	/* A category that it does not know is refused: EINVAL. */
	a.category_inverted = a.category_mask = PAGE_IS_GUARD;
	able.guard = able.scan && scan(fd, &a) >= 0;
	return able;
}

/* What is there in private memory, and has not been written. */
static uint64_t not_own(enum pagescan_kind kind, bool guard)
{
	return PAGE_IS_PFNZERO | (kind == PAGESCAN_PRIVATE_FILE ? PAGE_IS_FILE : 0) |
	       (guard ? PAGE_IS_GUARD : 0);
}

/*
 * A richer mask is used for private memory alone: there a page that was dropped
 * (MADV_DONTNEED) is not there, and so no candidate; elsewhere it must be WRITTEN.
 */
static void choose(struct pm_scan_arg *a, enum pagescan_kind kind, bool guard)
{
	uint64_t unset = 0;

	a->category_mask = PAGE_IS_WRITTEN;
	if (kind == PAGESCAN_SHARED)
		return;
	unset = not_own(kind, guard);
	a->category_mask |= unset;
	a->category_inverted = unset;
	a->category_anyof_mask = PAGE_IS_PRESENT | PAGE_IS_SWAPPED;
}

static int64_t look(int pagemap, struct pm_scan_arg *a, struct page_region *v, uint32_t n,
		    uint64_t *ret_end)
{
	int e;

	a->size = sizeof(*a);
	a->flags = PM_SCAN_CHECK_WPASYNC;
	a->vec = (uint64_t)(uintptr_t)v;
	a->vec_len = n;
	e = scan(pagemap, a);
	if (e < 0)
		return e;
	*ret_end = a->walk_end ? a->walk_end : a->end;
	return e;
}

int64_t pagescan_entries(int pagemap, struct range r, struct page_region *v, uint32_t n,
			 uint64_t *ret_end)
{
	struct pm_scan_arg a = {
		.start = r.lo,
		.end = r.hi,
		.category_anyof_mask = PAGE_IS_PRESENT | PAGE_IS_SWAPPED,
	};

	return look(pagemap, &a, v, n, ret_end);
}

int64_t pagescan_own(int pagemap, struct range r, enum pagescan_kind kind, bool guard,
		     struct page_region *v, uint32_t n, uint64_t *ret_end)
{
	uint64_t unset = not_own(kind, guard);
	struct pm_scan_arg a = {
		.start = r.lo,
		.end = r.hi,
		.category_mask = PAGE_IS_PRESENT | unset,
		.category_inverted = unset,
	};

	return look(pagemap, &a, v, n, ret_end);
}

int64_t pagescan_take(int pagemap, struct range r, enum pagescan_kind kind, bool guard,
		      struct page_region *v, uint32_t n, uint64_t *ret_end)
{
	struct pm_scan_arg a = {
		.size = sizeof(a),
		.flags = PM_SCAN_WP_MATCHING | PM_SCAN_CHECK_WPASYNC,
		.start = r.lo,
		.end = r.hi,
		.vec = (uint64_t)(uintptr_t)v,
		.vec_len = n,
		.return_mask = n ? PAGE_IS_WRITTEN : 0,
	};
	int e;

	if (!n)
		a.vec = 0;
	choose(&a, kind, guard);
	e = scan(pagemap, &a);
	if (e < 0)
		return e;
	*ret_end = a.walk_end ? a.walk_end : r.hi;
	return e;
}

int pagescan_registered(int pagemap, struct range r)
{
	struct page_region v;
	struct pm_scan_arg a = {
		.size = sizeof(a),
		.flags = PM_SCAN_CHECK_WPASYNC,
		.start = r.lo,
		.end = r.hi,
		.vec = (uint64_t)(uintptr_t)&v,
		.vec_len = 1,
		.category_mask = PAGE_IS_WRITTEN,
		.return_mask = PAGE_IS_WRITTEN,
	};
	int e = scan(pagemap, &a);

	return e < 0 ? e : 0;
}

int pagescan_protected(int pagemap, uint64_t addr, uint32_t page_size)
{
	uint64_t entry;

	if (pread(pagemap, &entry, sizeof(entry),
		  (off_t)(addr / page_size * sizeof(entry))) != sizeof(entry))
		return -ESRCH;
	return !!(entry & PAGEMAP_UFFD_WP);
}
