/* SPDX-License-Identifier: MIT */
/*
 * Layout: what we believe the target's address space looks like.
 *
 * Pure: no fd, no clock, no log.  An ordered map of disjoint regions (a red-black
 * tree, O(log n) an event).  Seeded and corrected from a reading of the maps by
 * layout_reconcile(), cut and moved by follow.c as events arrive.
 *
 *	before    [----- A -----)[-- B --)
 *	cut           [//////////////)
 *	after     [-A-)              [B--)	ids stay with the first piece
 *
 *	before    [----- A -----)
 *	cut            [//)
 *	after     [-A--)  [- A' -)		A' gets a new id
 */
#ifndef WATCH_LAYOUT_H
#define WATCH_LAYOUT_H

#include <bsd/sys/tree.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/range.h"
#include "maps.h"
#include "pagetap/trace.h"

struct region {
	RB_ENTRY(region) node;
	struct range r;
	uint64_t off, ino;
	uint32_t dev_major, dev_minor;
	uint32_t id;		/* of the trace, never reused */
	uint32_t prot;		/* RECORD_PROT_* */
	uint32_t modes;		/* WATCH_MODE_* registered; set by survey.c */
	uint64_t registered;	/* when that was, CLOCK_MONOTONIC ns; set by survey.c */
	uint64_t told;		/* when the kernel made it what it is, if that was told */
	uint32_t page_size;	/* of its pages; 0 = the base page; set by survey.c */
	uint64_t tabled;	/* tables.c: bytes counted as armed at the cost of page tables */
	struct range armed;	/* census.c: this part of it is; moves along */
	uint64_t armed_at;	/* begin of its first arming */
	uint64_t seen;		/* moved, or left out: the last pass that is sure to have seen it */
	bool moved;		/* since then: what is written there may have been so elsewhere */
	uint8_t quiet;		/* passes in a row that found nothing in it */
	bool wrote;		/* the pass under way has found something */
	uint8_t kind;		/* enum vma_kind */
	uint8_t why;		/* enum vma_why; set by whoever judges */
	bool arm;		/* write-protect it */
	bool held;		/* it is the twin's (space.h) */
	bool again;		/* it may have been replaced by its like: judge it anew */
	uint32_t name_len;
	char *name;		/* owned, not NUL-terminated; NULL if empty */
	uint8_t build_id_len;	/* 0: it has none, or nobody has looked; set by survey.c */
	unsigned char build_id[MAPS_BUILD_ID_MAX];
};

RB_HEAD(region_tree, region);

struct layout {
	struct region_tree tree;
	size_t n, limit;	/* regions now, at most */
};

/* limit: mappings a target may have (vm.max_map_count is 65,530 by default). */
void layout_init(struct layout *l, size_t limit);
void layout_done(struct layout *l);

/* The region that holds addr, or NULL. */
struct region *layout_find(const struct layout *l, uint64_t addr);
/* The first region that ends after addr (it may hold addr), or NULL. */
struct region *layout_from(const struct layout *l, uint64_t addr);
/* The next one, or NULL. */
struct region *layout_next(const struct layout *l, const struct region *r);

/* What happened to a region.  GONE: freed after the call. */
typedef void (*layout_notify)(void *arg, enum vma_op op, struct region *r);

/*
 * Remove [r.lo, r.hi) from whatever lies there; holes are fine.  A region that
 * loses its middle becomes two, the upper one with a new id from *next_id.
 * notify: CHANGE for a shortened region, ADD for the upper piece, GONE.
 * -ENOMEM: nothing changed.  -EOVERFLOW: the limit.
 */
int layout_cut(struct layout *l, struct range r, uint32_t *next_id, layout_notify notify,
	       void *arg);

/*
 * The mapped content of `from` now lives at `to` (an mremap that moved).  What lay
 * at the destination is cut first.  The moved pieces keep kind, prot, name, modes
 * and get new ids (GONE there, ADD here).  -ENOMEM, -EOVERFLOW.
 */
int layout_move(struct layout *l, struct range from, uint64_t to, uint32_t *next_id,
		layout_notify notify, void *arg);

/*
 * Make the layout equal to a reading of the maps.  A region keeps its id as long
 * as it overlaps an entry of the same identity (anonymous: same kind and name;
 * file: same device, inode and file position); of several that merged the lowest
 * keeps it.  Order of notices: every GONE, then every CHANGE that only shrinks or
 * alters, then those that grow, then every ADD, so that no notice ever overlaps
 * a region still standing.  A region that both shrinks and grows is noticed twice.
 * `modes`, `why` and `arm` of changed regions are left alone; of added ones zero.
 * First reading: op SNAPSHOT for everything instead of ADD if `snapshot`.
 * -ENOMEM, -EOVERFLOW: the layout may be partly updated but is consistent.
 */
int layout_reconcile(struct layout *l, const struct maps *m, bool snapshot, uint32_t *next_id,
		     layout_notify notify, void *arg);

/*
 * The same for a part of the address space, of which `m` is a reading: no region and
 * no mapping may cross its bounds.  layout_widen() makes r so wide that no region
 * crosses them; true if that changed it.
 */
int layout_reconcile_part(struct layout *l, struct range within, const struct maps *m,
			  bool snapshot, uint32_t *next_id, layout_notify notify, void *arg);
bool layout_widen(const struct layout *l, struct range *r);

/* Copy for a fork: same ranges and modes, new ids.  notify: SNAPSHOT for each. */
int layout_clone(struct layout *ret, const struct layout *l, uint32_t *next_id,
		 layout_notify notify, void *arg);

#endif
