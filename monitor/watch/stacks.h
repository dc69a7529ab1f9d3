/* SPDX-License-Identifier: MIT */
/*
 * Stacks: call chains, each kept once and known by a number.
 *
 * Pure.  Bounded: when there is no room for another chain it has no number, until
 * stacks_forget() makes room for new ones.
 *
 * Chains are kept as they came, which is quick.  Only when one is to be told is it looked
 * at, and perhaps cut: two that are equal then are told as one.
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
 * before.  A touch of the user's without a chain has one of a single frame, its ip.  0:
 * it has none, or there is no room.
 */
uint32_t stacks_number(struct stacks *s, uint32_t process, const struct witness_event *touch);
/* Its first frame: where the thread was.  0: forgotten. */
uint64_t stacks_ip(const struct stacks *s, uint32_t number);

/* How many of n frames, innermost first, are good: 1 to n. */
typedef size_t (*stacks_good)(const void *arg, const uint64_t *frames, size_t n);
/*
 * The number under which a chain is told, after `good` has been asked of it, once; 0: it
 * is forgotten.  If that is to be told now, because it never was, *ret_frames are its
 * frames, valid until the next call, and *ret_n how many; else *ret_n is 0.
 */
uint32_t stacks_tell(struct stacks *s, uint32_t number, stacks_good good, const void *arg,
		     const uint64_t **ret_frames, size_t *ret_n);

/* Is most of the room taken? */
bool stacks_crowded(const struct stacks *s);
/* Forget all chains; numbers go on, none is used again. */
void stacks_forget(struct stacks *s);

#endif
