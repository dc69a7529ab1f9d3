/* SPDX-License-Identifier: MIT */
/*
 * Stacks: call chains, each kept once and known by a number.
 *
 * Pure.  Bounded: when there is no room for another chain it has no number, until
 * stacks_forget() makes room for new ones.
 */
#ifndef WATCH_STACKS_H
#define WATCH_STACKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "watch/witness-decode.h"

struct stacks;

/* Room for so many chains with so many frames in all.  -ENOMEM. */
int stacks_new(struct stacks **ret, uint32_t chains, uint32_t frames);
struct stacks *stacks_free(struct stacks *s);

/*
 * The number of a touch's chain in this process: the same as that of an equal one
 * before.  0: it has none, or there is no room.
 */
uint32_t stacks_number(struct stacks *s, uint32_t process, const struct witness_event *touch);
/*
 * Its frames, innermost first, valid until the next call; how many in *ret_n.  NULL:
 * forgotten.  *ret_first: this was never asked before.
 */
const uint64_t *stacks_frames(struct stacks *s, uint32_t number, size_t *ret_n, bool *ret_first);

/* Is most of the room taken? */
bool stacks_crowded(const struct stacks *s);
/* Forget all chains; numbers go on, none is used again. */
void stacks_forget(struct stacks *s);

#endif
