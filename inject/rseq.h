/* SPDX-License-Identifier: MIT */
/*
 * Rseq: a thread stopped inside a restartable sequence, rseq(2).
 *
 * The kernel aborts such a sequence when it returns to user mode after a preemption,
 * but it forgets the sequence when it sees the thread elsewhere first, as it does while
 * we make calls in it.  So the abort is done here, on the saved registers.
 */
#ifndef INJECT_RSEQ_H
#define INJECT_RSEQ_H

#include "memory.h"
#include "tracee.h"

/* 0 also where the kernel (before 5.13) does not tell.  Errors of reading memory. */
int rseq_abort(const struct tracee *t, const struct memory *m, struct arch_regs *io);

#endif
