/* SPDX-License-Identifier: MIT */
/*
 * Place: put pages into the address space of a restored process, as far as it goes.
 *
 * The only file of the room that asks for what answers a fault.  Decides nothing but how
 * the kernel's answers are to be read; no bookkeeping, no log, no waiting.
 */
#ifndef RESTORE_PLACE_H
#define RESTORE_PLACE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/range.h"

/* Why it went no further. */
enum place_end {
	PLACE_ALL,		/* it went to the end */
	PLACE_THERE,		/* the next page is there already; never written over */
	PLACE_BUSY,		/* the layout changes: the message must be read first */
	PLACE_NOWHERE,		/* the next page's address is not registered, and nothing is
				   under way that could explain it */
	PLACE_UNREADABLE,	/* the next page cannot be read where it should come from */
	PLACE_NO_MEMORY,
	PLACE_GONE,		/* the address space */
	PLACE_REFUSED,		/* for a reason that the kernel does not have, by its manual */
};

/*
 * Copy src to r, write-protected with wp where that is registered, and wake who waits
 * there.  *ret_done: bytes, whole pages, that were copied before the end.  -ENOENT of the
 * kernel is asked twice: a layout change that began between its two looks shows as PLACE_BUSY
 * then, if nobody reads the messages of this userfaultfd meanwhile.
 */
enum place_end place_copy(int uffd, struct range r, const void *src, bool wp,
			  uint64_t *ret_done);
/* A page of zeroes, where nothing else is; who waits is woken in any case but PLACE_GONE,
 * and asks again unless it is PLACE_ALL or PLACE_THERE. */
enum place_end place_zero(int uffd, struct range page);
/* Registered for missing pages: for first writes as well.  0 or -errno. */
int place_watch_writes(int uffd, struct range r);
/* Protect the pages that are there.  -EAGAIN: the layout changes; -ENOENT: not all of it. */
int place_protect(int uffd, struct range r);
/* Lift it from a page, and wake who waits to write to it. */
enum place_end place_unprotect(int uffd, struct range page);
/* SIGBUS for who touches the page.  PLACE_REFUSED: the kernel cannot, before 6.6. */
enum place_end place_poison(int uffd, struct range page);
/* Is there an address space?  Nothing in it is touched. */
bool place_alive(int uffd);
/* Who waits there runs, and faults again if there is no page. */
void place_wake(int uffd, struct range r);
/* Wherever. */
void place_wake_all(int uffd);

#endif
