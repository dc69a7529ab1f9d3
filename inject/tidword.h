/* SPDX-License-Identifier: MIT */
/*
 * Tidword: where the kernel writes 0 when a thread ends (set_tid_address(2)).
 */
#ifndef INJECT_TIDWORD_H
#define INJECT_TIDWORD_H

#include "visit.h"

/* Before it is stopped: v->tid_word if it can be told from outside, or 0. */
void tidword_look(struct visit *v);
/*
 * On a visited thread: ask the kernel for it, if it is not known.  0 also where the kernel
 * does not tell.
 */
int tidword_ask(struct visit *v);

#endif
