/* SPDX-License-Identifier: MIT */
/*
 * Census: which pages of an address space have been written, epoch by epoch.
 *
 * The engine whose targets wait for nobody: the kernel lifts the protection of a page
 * by itself at its first write (UFFD_FEATURE_WP_ASYNC), and a pass over the memory
 * collects what was written and protects it anew in one call (pagescan.h).  A pass goes
 * in slices well below a millisecond, between events: threads in a layout event wait
 * for the reader here as with the other engine.
 *
 *	pass n:     begun ---- slice ---- slice ---- slice		pass n + 1 ...
 *	dirty:      ts0 = begin of pass n, or of the arming; ts = end of its slice
 *
 * What a layout change took with it unlooked at is a gap since the pass before.
 */
#ifndef WATCH_CENSUS_H
#define WATCH_CENSUS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/range.h"
#include "watch/cover.h"
#include "watch/doubt.h"
#include "watch/event.h"
#include "watch/pagescan.h"

struct region;
struct space;
struct space_todo;

struct census {
	struct doubts doubts;
	struct cover settled;	/* armed there: every entry has been protected once */
	uint64_t due;		/* when the next pass is to begin */
	uint64_t begun;		/* of the pass under way; 0: none is */
	uint64_t before;	/* begin of the last pass that can be relied on */
	uint64_t older;		/* of the one before that: records of it may be queued still */
	uint64_t epoch;		/* passes begun */
	uint64_t at;		/* how far the pass has come */
	uint64_t scanned;	/* begin of the last call that looked */
	uint64_t at_end;	/* when it had come to the end; 0: it has not */
	uint64_t spent;		/* by the pass, without its rests */
	uint64_t width;		/* of a slice: wide where there is little */
	uint64_t moved_since;	/* since when what an event moves has not been told of */
	bool complete;		/* nothing of the last pass is owed to the trace */
	uint64_t held;		/* ns that the calls of passes and armings took, in all */
	unsigned int cold_every;	/* each so many passes what is cold is looked at, too */
	uint64_t oldest;	/* since then some of it may not have been looked at */
	bool skipped;		/* the pass under way has left something cold out */
	uint64_t rest_since;	/* nothing is watched; 0: it is */
	uint64_t rest_at;	/* how far the protection has been taken off since */
};

/*
 * n > 0 runs of pages that were written between t0 and t1, in region g, in order; the
 * epoch is s->census.epoch.
 */
typedef void (*census_dirty)(void *arg, struct space *s, const struct region *g,
			     const struct range *runs, size_t n, uint64_t t0, uint64_t t1);
/* A pass over the space has ended; its epoch is s->census.epoch. */
typedef void (*census_passed)(void *arg, struct space *s);

void census_init(struct census *c, uint32_t page_size, uint64_t now);
void census_done(struct census *c);
/*
 * Of a forked child, after census_init(): what its parent had written since its last pass
 * is seen here, too.
 */
void census_clone(struct census *ret, const struct census *c, uint64_t now);

/* Its layout has been copied: what its parent had not come to arm is owed here as well. */
void census_born(struct space *s);

/*
 * Do one slice of what is due: of an arming, or of a pass.  1: something was done; 0:
 * nothing is due, or the trace has no room for it now.
 */
int census_step(struct space *s);
/* When the next slice is due; UINT64_MAX: never. */
uint64_t census_due(const struct space *s);
/* Begin the next pass at once. */
void census_hasten(struct space *s);
/* The last slices, as long as they take but not beyond `limit`; between events. */
void census_finish(struct space *s, uint64_t limit);
/* The end: declare what no pass has looked at any more. */
void census_confess(struct space *s);
/* Promise nothing more of what is armed. */
void census_forget(struct space *s);

/*
 * Watch nothing: what is protected is let go in slices (census_step()), and a gap lasts
 * until census_resume() owes everything an arming again.
 */
void census_rest(struct space *s, uint64_t now);
void census_resume(struct space *s, uint64_t now);

/* Before a layout event changes the layout, and afterwards. */
void census_before_event(struct space *s, const struct event *ev, uint64_t now);
void census_after_event(struct space *s, const struct event *ev);
/* A reading of the maps shows a region: new, changed or gone.  After it was judged. */
void census_on_region(struct space *s, struct region *g, bool gone);
/* Costs only where there are pages: it may be larger than the machine's memory. */
bool census_is_lazy(const struct region *g);
/* What was written before that has been told, but in what is not armed yet. */
uint64_t census_all_told_until(const struct space *s);
/* The same, and what is new and not armed has been declared. */
uint64_t census_owes_since(const struct space *s);
/* Bytes that are armed. */
uint64_t census_armed(const struct space *s);
/* Is the userfaultfd of this very address space?  0, -EXDEV, -EACCES: it cannot be read. */
int census_prove(struct space *s);

/* The following is for census*.c alone. */

/* Clean pages cost little: so much of them is a slice. */
#define CENSUS_WIDTH_EASY (UINT64_C(64) << 20)
#define CENSUS_REREAD_DELAY (2 * NSEC_PER_MSEC)
/* A layout change is under way: its thread shall have the processor. */
#define CENSUS_CHANGE_DELAY (200 * NSEC_PER_USEC)

/* What was written in the region after that has been told by no pass. */
uint64_t census_told_until(const struct space *s, const struct region *g);
/* What was written in r since then nobody has looked at. */
void census_gap(struct space *s, struct range r, uint64_t since, uint64_t now);
/* The census's word for the memory of a region. */
enum pagescan_kind census_kind(const struct region *g);
/* Of r, what is to be done in one go; and what to learn from how long that took. */
struct range census_slice(const struct space *s, const struct region *g, struct range r);
void census_adapt(struct space *s, struct range done, uint64_t took);
/* Is a layout change under way, or the word of one not read yet? */
bool census_changing(const struct space *s);

/* census-arm.c: one slice of what is owed.  As census_step(). */
int census_arm_step(struct space *s, struct space_todo *t);

/*
 * census-settled.c: page tables of private memory all of whose entries, as far as they
 * are in the region, have been protected once.  Without memory fewer are remembered.
 */

/* `part` has been protected just now: note the tables that are there. */
void census_settle(struct space *s, const struct region *g, struct range part);
/* The pages of this run were found written, and are protected: note whole tables. */
void census_settle_written(struct space *s, const struct region *g, struct range run);
/* Pages may have gone there, or go. */
void census_unsettle(struct space *s, struct range r);
/* The way to scan *r, which is cut where another one begins. */
enum pagescan_kind census_way(const struct space *s, const struct region *g, struct range *r);


/* census-rest.c */

/* One slice of letting go.  1: done; 0: not now. */
int census_rest_step(struct space *s);
/* The end, in a rest. */
void census_rest_confess(struct space *s, uint64_t now);
/* Is it cold, and left out of the pass under way? */
bool census_leaves_out(struct space *s, struct region *g);

#endif
