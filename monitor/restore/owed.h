/* SPDX-License-Identifier: MIT */
/*
 * Owed: which pages of one restored process are still to come, and whence.
 *
 * Pure.  Runs of run-time addresses in a tree, each with the address that its pages
 * have in the image: the same at first, another one after mremap(2).  A run is free, or
 * in flight: somebody asked for its pages or is copying them.  What has come, or is not
 * wanted any more, is not in the tree; everything is O(log n) in the number of runs.
 *
 * This is bookkeeping, and the kernel has the last word: UFFDIO_COPY never overwrites a
 * page that is there (-EEXIST).  So forgetting to take a page out is harmless, and all
 * of it can be built anew from the image and the address space itself: a page of a
 * registered mapping that is neither present nor swapped in /proc/PID/pagemap has not
 * come.  What that cannot tell is a page that was dropped (MADV_DONTNEED) and not touched
 * since from one that never came.
 *
 * Addresses and lengths are whole pages.  No thread rules: the caller locks.
 */
#ifndef RESTORE_OWED_H
#define RESTORE_OWED_H

#include <bsd/sys/tree.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/range.h"

struct owed_run;
RB_HEAD(owed_tree, owed_run);
RB_HEAD(owed_flights, owed_run);

/* Why pages are not owed any more. */
enum owed_end {
	OWED_ARRIVED,		/* copied */
	OWED_THERE,		/* a page was there before ours, -EEXIST */
	OWED_UNMAPPED,
	OWED_REMOVED,		/* MADV_DONTNEED and the like: zeroes from now on */
	OWED_POISONED,		/* could not be had: SIGBUS for who touches it */
	OWED_LOST,		/* the address is not registered, and nobody said so */
	OWED_GONE,		/* the process ended */
	OWED_ENDS,
};

/* All in pages. */
struct owed_totals {
	uint64_t added;			/* at the start or by a fork */
	uint64_t free, flight;
	uint64_t ended[OWED_ENDS];	/* added = free + flight + the sum of these */
};

struct owed {
	struct owed_tree runs;
	struct owed_flights flights;	/* those in flight, by id and image address */
	struct owed_run *spare;		/* in store, for a cut without memory */
	unsigned int nspare;
	uint32_t page_size;
	uint64_t nruns;
	struct owed_totals totals;
};

/* A stretch of pages in one state. */
struct owed_part {
	struct range at;	/* run-time addresses */
	uint64_t image;		/* of its first page */
	uint64_t id;		/* of the flight; 0: free */
	bool doubt;		/* unmapped, perhaps: see owed_unmap() */
	bool moved;		/* by mremap, to where it is now */
};

/* -ENOMEM: no memory for the spare runs. */
int owed_init(struct owed *o, uint32_t page_size);
void owed_done(struct owed *o);

/*
 * Owe `at`, whose first page is at `image`.  -EINVAL not whole pages, empty, or the
 * image's end wraps; -EEXIST: part of it is owed already; -ENOMEM.
 */
int owed_add(struct owed *o, struct range at, uint64_t image);
/* As it was taken down from another one by owed_run(), but free.  As owed_add() otherwise. */
int owed_put(struct owed *o, const struct owed_part *part);
/*
 * A forked child: what its parent is owed, it is owed too.  Nothing of it is in flight,
 * for who copies copies to the parent.  -ENOMEM: *ret is empty, and not to be freed.
 */
int owed_clone(struct owed *ret, const struct owed *o);

/* The run that addr lies in.  False: nothing is owed there. */
bool owed_find(const struct owed *o, uint64_t addr, struct owed_part *ret);
/* The first run that ends above `from`, whole.  False: none. */
bool owed_run(const struct owed *o, uint64_t from, struct owed_part *ret);
/* The first free part at or after `from`, of at most `most` bytes.  False: none. */
bool owed_next(const struct owed *o, uint64_t from, uint64_t most, struct owed_part *ret);

/* Free pages become those of flight `id` (not 0).  -ENOENT: not all of r is free. */
int owed_take(struct owed *o, struct range r, uint64_t id);
/* The first part of this flight whose image address is `image` or more. */
bool owed_flight(const struct owed *o, uint64_t id, uint64_t image, struct owed_part *ret);
/* What of r is in flight is free again.  The number of pages, or -ENOMEM: as it was. */
int64_t owed_give_back(struct owed *o, struct range r);

/*
 * What of r is owed, free or in flight, is not any more.  The number of pages, or
 * -ENOMEM: nothing has changed.  One cut is kept in store, so that this takes a lack of
 * memory that lasts.
 */
int64_t owed_close(struct owed *o, struct range r, enum owed_end why);
/*
 * The process unmapped r.  The message may be stale: another thread may have moved a
 * mapping to the same place before it was queued.  Only mremap brings registered memory
 * to a new place, so runs that never moved are forgotten, and those that did are in
 * doubt: they stay, and UFFDIO_COPY shows by -ENOENT whether they are gone.  As
 * owed_close() otherwise.
 */
int64_t owed_unmap(struct owed *o, struct range r);
/*
 * mremap: what is owed in `from` is now owed at `to`; what was owed there is forgotten
 * as unmapped.  -EINVAL: the new place wraps.  -ENOMEM: nothing has changed.
 */
int owed_remap(struct owed *o, struct range from, uint64_t to);

/* Nothing is owed. */
static inline bool owed_none(const struct owed *o)
{
	return !o->totals.free && !o->totals.flight;
}

#endif
