/* SPDX-License-Identifier: MIT */
/*
 * Pagescan: PAGEMAP_SCAN, nothing decided here.
 *
 * The only file that issues it.  A page that has been written since it was protected
 * is WRITTEN, and one that never was protected is so too; what counts beside that
 * depends on the memory (enum pagescan_kind).  Collecting and protecting anew is one
 * call under one page table lock: no write falls between the two.
 */
#ifndef WATCH_PAGESCAN_H
#define WATCH_PAGESCAN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/range.h"
#include "compat/pagemap.h"

/* Which pages of a mapping can be told to have been written. */
enum pagescan_kind {
	/*
	 * Private memory without a file: a page is there because it was written, or it
	 * is the zero page.  What is not there needs no protection and no page table.
	 */
	PAGESCAN_ANON,
	/* A private mapping of a file: likewise, or it is the file's own page. */
	PAGESCAN_PRIVATE_FILE,
	/*
	 * Shared memory, huge pages: a page comes by reading as well, so all are protected.
	 * By this mask alone the kernel goes its short way (pagemap_scan_pmd_entry(), half
	 * the time), so it serves for private memory, too, where all entries of a page
	 * table have been protected once (census-settled.c).
	 */
	PAGESCAN_SHARED,
};

/* What this kernel's call knows; asked once, of our own memory. */
struct pagescan_able {
	bool scan;		/* there is such a call (Linux 6.7) */
	bool guard;		/* and it tells guard pages (Linux 6.15) */
};
struct pagescan_able pagescan_probe(void);

/*
 * Runs of written pages in `r`, in order, and all of them protected anew.  pagemap: a
 * descriptor of /proc/PID/pagemap.  Returns the number of runs, at most n, and where
 * the scan has ended: r.hi, or before if there was no room for more.  With n 0 pages
 * are protected and none told.
 * -EPERM: a part is not registered for asynchronous write protection (pages before it
 * may have been protected).  An address space that has gone has no written pages.
 */
int64_t pagescan_take(int pagemap, struct range r, enum pagescan_kind kind, bool guard,
		      struct page_region *v, uint32_t n, uint64_t *ret_end);

/*
 * Runs of `r` that have entries in page tables: pages, swapped ones, markers.  Protects
 * nothing.  As pagescan_take().
 */
int64_t pagescan_entries(int pagemap, struct range r, struct page_region *v, uint32_t n,
			 uint64_t *ret_end);
/*
 * Runs of `r` where there is a page of the process's own now, written or not; kind is
 * that of the memory.  Protects nothing.  As pagescan_take().
 */
int64_t pagescan_own(int pagemap, struct range r, enum pagescan_kind kind, bool guard,
		     struct page_region *v, uint32_t n, uint64_t *ret_end);

/*
 * Is the page at addr write-protected by userfaultfd?  Of the table of pages itself, so it
 * serves without PAGEMAP_SCAN.  1, 0; -ESRCH: there is nothing to be read.
 */
int pagescan_protected(int pagemap, uint64_t addr, uint32_t page_size);

/* Is `r` registered for asynchronous write protection?  0, -EPERM. */
int pagescan_registered(int pagemap, struct range r);

#endif
