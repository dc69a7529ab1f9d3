/* SPDX-License-Identifier: MIT */
/*
 * Pages: what happened to each page, by address space and address.
 *
 * Pure.  Twelve bytes a page where pages lie close, in pieces of 16; all together have
 * PAGES_BYTES_MAX.  Beyond that, those of address spaces that have ended are let go (they
 * have been counted, but cannot be listed any more), and then new ones are left out.
 */
#ifndef REPORT_PAGES_H
#define REPORT_PAGES_H

#include <stdbool.h>
#include <stdint.h>

#include "report/course.h"
#include "report/keys.h"

#define PAGES_BYTES_MAX (UINT64_C(160) << 20)

struct page_cell {
	uint32_t written;	/* first writes */
	uint32_t faults;	/* fault records */
	uint32_t last;		/* the tick of the last write, + 1; 0: none */
};

struct pages_chunk;

struct pages {
	struct keys keys;		/* by mm and number of the piece */
	struct pages_chunk **chunks;	/* owned */
	size_t room;
	struct pages_chunk *last;	/* found last */
	uint64_t distinct;		/* pages that were written */
	uint64_t touched;		/* pages of which anything was told */
	uint64_t left_out;		/* writes and faults of pages there was no room for */
	uint64_t released;		/* pages that were let go: of `touched`, not listed */
	struct keys ended;		/* address spaces */
	size_t ended_swept, sweep_after;
};

/* A page that stands out. */
struct page_top {
	uint32_t mm;
	uint64_t page;			/* address / page size */
	uint64_t written, faults;
};

/*
 * n pages from `page` on were written at that tick: each once.  *ret_new: how many of
 * them for the first time.  Tells the course.  -ENOMEM.
 */
int pages_write(struct pages *p, uint32_t mm, uint64_t page, uint64_t n, uint32_t tick,
		struct course *c, uint64_t *ret_new);
/* The address space has ended: nothing more of it will be told.  -ENOMEM. */
int pages_end(struct pages *p, uint32_t mm);
/* A fault record names the page.  -ENOMEM. */
int pages_fault(struct pages *p, uint32_t mm, uint64_t page);
/*
 * The pages written most often, or, where none was, of the most faults; the first by
 * address among equals.  Returns how many, at most max.
 */
size_t pages_top(const struct pages *p, struct page_top *ret, size_t max);
void pages_done(struct pages *p);

#endif
