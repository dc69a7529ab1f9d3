/* SPDX-License-Identifier: MIT */
/*
 * Resolve: answer one fault, so that its thread runs on.
 *
 * The only room that asks uffd.h for what answers faults.  Nothing here allocates,
 * formats, logs or waits.  Answers are idempotent: a signal during a parked fault
 * repeats its message, several threads may wait for one page, and a page may have
 * come by another way.
 */
#ifndef WATCH_RESOLVE_H
#define WATCH_RESOLVE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/range.h"
#include "pagetap/trace.h"
#include "watch/event.h"

/* Zeros to supply pages from: as large as the largest page (one huge page). */
struct resolve_source {
	const void *zeros;
	uint64_t len;
};

/* -ENOMEM.  A private read-only mapping: costs address space, no memory. */
int resolve_source_open(struct resolve_source *s, uint64_t len);
void resolve_source_close(struct resolve_source *s);

/* What is known of the place; zero if it is in no region we know. */
struct resolve_place {
	uint32_t modes;		/* WATCH_MODE_* registered */
	uint32_t page_size;	/* of the mapping: 4096, 2 MiB ... */
	uint8_t kind;		/* enum vma_kind */
	bool arm;		/* supplied for a read: protect it in the same step */
	struct range block;	/* a write takes the protection off all of it; empty: the page */
};

struct resolve_answer {
	enum fault_act act;
	struct range page;	/* what was answered */
	bool supplied;		/* a page came by this answer, not by another one */
	bool armed;		/* and it came write-protected */
	bool torn;		/* the block was refused, and part of it may be unprotected */
};

/*
 * 0: the thread runs (act says by what; WAKE if the page was there already, or the
 * range is not ours any more, so that the thread finds out for itself).
 * -EAGAIN: layout events must be read first, try again.  -ENOMEM: no memory for the
 * page, the thread still waits, try again.  -ESRCH: the address space has gone.
 */
int resolve_fault(int uffd, const struct event *ev, const struct resolve_place *place,
		  const struct resolve_source *src, struct resolve_answer *ret);

#endif
