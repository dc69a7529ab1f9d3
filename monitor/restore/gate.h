/* SPDX-License-Identifier: MIT */
/*
 * Gate: nobody copies into an address space while messages of it are read.
 *
 * The thread that caused a layout event runs on as soon as its message has been read, and
 * from then on the kernel does not refuse copies any more (-EAGAIN).  Who decided to copy
 * a page before the event, and does it after, would put it where now something else is,
 * or where zeroes are due.  So deciding, copying and writing down that it was copied are
 * one step, inside; and reading a message and doing what it says are one step, with the
 * gate closed.
 *
 * Who copies passes in and out by an atomic operation each.  Who closes waits for those
 * inside: for one piece of copying, which is kept short.
 */
#ifndef RESTORE_GATE_H
#define RESTORE_GATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct gate {
	_Atomic uint32_t inside;	/* how many; GATE_WAITED: the closer sleeps */
	_Atomic bool closed;
};

/* False: it is closed, come again some time later.  Any thread. */
bool gate_enter(struct gate *g);
void gate_leave(struct gate *g);
/* For who is inside: somebody waits for him to leave. */
static inline bool gate_wanted(struct gate *g)
{
	return atomic_load_explicit(&g->closed, memory_order_relaxed);
}
/* Returns when nobody is inside.  One thread only. */
void gate_close(struct gate *g);
void gate_open(struct gate *g);

#endif
