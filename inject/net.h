/* SPDX-License-Identifier: MIT */
/*
 * Net: what makes our own death harmless while a thread's registers are bent.
 *
 *	sp -> | rt_sigreturn | frame: fetch the numbers of fds    |
 *	      | rt_sigreturn | frame: close(fd 0), then sp = next |
 *	      | rt_sigreturn | frame: close(fd 1), ...            |
 *	      | rt_sigreturn | last frame: all registers, signal  |
 *	      |              | mask, extended state -> as before  |
 *
 * Every call is made with `syscall; ret` and this stack pointer.  With a tracer the
 * thread stops behind `syscall`; without one, ret enters the chain, whose frames are
 * loaded by rt_sigreturn(2), and the thread goes on where it was.  The tracer itself
 * never lets it come that far: it puts the registers back, because rt_sigreturn
 * forgets restart blocks.
 *
 * Order: registers, then signal mask when bending; mask, then registers when
 * straightening.  So the original mask is in force or in a frame at every instant.
 *
 * The number of a new userfaultfd appears in a register alone, which no frame can read.
 * libc has two instructions that close it: they come before the frames then.  Without
 * them it can be foreseen while nobody else uses the table; else, if we die in the
 * microseconds before it is noted, it stays open in the target and does nothing.
 */
#ifndef INJECT_NET_H
#define INJECT_NET_H

#include "visit.h"

/* After visit_open(): find scratch memory, hang the net, bend, block signals. */
int net_hang(struct visit *v);
/* Note that slot must be closed if we die; fd -1: no longer. */
int net_hold(struct visit *v, unsigned int slot, int fd);
/*
 * A call is about to write the number of slot's descriptor to address at: the net will
 * read it there, so that not an instant passes between the two.  0: as net_hold() says.
 */
int net_watch(struct visit *v, unsigned int slot, uint64_t at);
/*
 * Where the numbers of slot and those behind it are held, for a call that writes there
 * itself; some address for arguments if there is no net.
 */
uint64_t net_holds(const struct visit *v, unsigned int slot);
/* Release scratch memory, straighten: mask, registers, bytes.  Not yet detached. */
int net_take_down(struct visit *v);

#endif
