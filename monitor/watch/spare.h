/* SPDX-License-Identifier: MIT */
/*
 * Spare: the pages that the kernel writes when a thread ends.  They are never armed.
 *
 * At its end a thread has its tid word set to zero and the words of its robust list
 * marked (set_tid_address(2), get_robust_list(2)); pthread_join(3) and waiters of
 * robust mutexes sleep until then.  handle_userfault() in fs/userfaultfd.c lets no
 * fault of a PF_EXITING task wait: it fails, nobody is told, and on a write-protected
 * page the write is simply not made.  The sleepers would sleep for ever.
 *
 * A page is known by the robust list head of its thread - glibc has it beside the tid
 * word -, by the locks in that list, and, for a thread that was born a moment ago, by
 * where it is.  A stack lies on a small inaccessible mapping and has its thread's area
 * at the top, as far up as those of the other threads; what is mapped right above may
 * have been merged with it.  get_robust_list(2) asks for the right to trace; a monitor
 * that has given that up goes by the place alone, and reads the lists there.
 */
#ifndef WATCH_SPARE_H
#define WATCH_SPARE_H

#include <stdint.h>

#include "base/range.h"

struct space;
struct region;

/* Stacks of more sizes than this: the sizes last seen count. */
#define SPARE_SIZES 8

struct spares {
	uint64_t *page;			/* addresses, in order */
	unsigned int n, room;
	uint64_t due;			/* not to be looked for again before, ns */
	uint64_t size[SPARE_SIZES];	/* of stacks, their thread's area included */
	unsigned int nsizes;
	uint64_t tid_word;		/* of the thread that was borrowed; 0: not known */
	uint64_t head;			/* of the robust list, in its page; 0: not known */
};

void spare_done(struct spares *s);
/* For a fork.  -ENOMEM. */
int spare_clone(struct spares *ret, const struct spares *s);

/*
 * Look for them, if the last look is not too recent.  A page that is new among them is
 * disarmed and declared as a gap; one that is none any more is owed an arming.  0;
 * -EAGAIN: an event must be read first; -ENOMEM.  In both cases nothing may be armed.
 */
int spare_learn(struct space *s, uint64_t now);

/* The first of them in r, which is a part of the region; r.hi if there is none. */
uint64_t spare_first(const struct space *s, const struct region *g, struct range r);

#endif
