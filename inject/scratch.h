/* SPDX-License-Identifier: MIT */
/*
 * Scratch: memory of the target for arguments and for the net.
 *
 * Only where bytes are dead for certain: below the red zone of a stack that is known
 * to be one.  The stack pointer may also lie in a heap (Go, coroutines), where the
 * bytes below it can be somebody's data: then the caller maps memory.
 */
#ifndef INJECT_SCRATCH_H
#define INJECT_SCRATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "memory.h"

#define SCRATCH_MAX 24576		/* bytes that can be put back */
#define SCRATCH_HANDLER_ROOM 65536	/* below it, for a signal handler if we die */

struct scratch {
	uint64_t at;			/* 64-byte aligned; 0: none */
	size_t len;
	struct range mapped;		/* empty unless it was mapped for us */
	bool dirty;			/* saved bytes must be put back */
	unsigned char saved[SCRATCH_MAX];
};

/*
 * Pure.  Where len bytes may lie, given the stack pointer, the thread pointer and the
 * mappings at the stack pointer and right below that mapping (NULL: none).  0: nowhere.
 */
uint64_t scratch_position(uint64_t sp, uint64_t tls, size_t len, const struct mapping *at,
			  const struct mapping *below);

/* Find the place and save what lies there.  -ENOENT: none that is safe. */
int scratch_take(struct scratch *s, const struct memory *m, uint64_t sp, uint64_t tls,
		 size_t len);
/* Use memory that was mapped for us. */
void scratch_use(struct scratch *s, struct range mapped, size_t len);
/* Put the bytes back.  Twice is harmless. */
int scratch_give_back(struct scratch *s, const struct memory *m, pid_t tid);

#endif
