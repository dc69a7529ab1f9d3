/* SPDX-License-Identifier: MIT */
/* Scratch: memory of the target for arguments and for the net. */

#include "scratch.h"

#include <errno.h>

#define RED_ZONE 128			/* System V ABI, AMD64 3.2.2; others have less */
#define ALIGN 64			/* of an extended state in a signal frame */

uint64_t scratch_position(uint64_t sp, uint64_t tls, size_t len, const struct mapping *at,
			  const struct mapping *below)
{
	uint64_t lo = at->range.lo, top;
	bool guarded = below && below->range.hi == lo && !below->readable && !below->writable &&
		       !below->executable;

	if (!at->readable || !at->writable || at->shared || !range_has(at->range, sp))
		return 0;
	if (sp - lo < RED_ZONE + len + ALIGN)
		return 0;
	top = align_down(sp - RED_ZONE - len, ALIGN);
	if (at->is_stack)
		return top;
	/*
	 * A thread's stack: a guard below, the thread's own block above.  Its far end
	 * is the part that is least likely to be in use by a coroutine.
	 */
	if (!guarded || tls <= sp || !range_has(at->range, tls))
		return 0;
	return top - lo > SCRATCH_HANDLER_ROOM ? align_up(lo + SCRATCH_HANDLER_ROOM, ALIGN) : top;
}

int scratch_take(struct scratch *s, const struct memory *m, uint64_t sp, uint64_t tls, size_t len)
{
	struct mapping at, below;
	bool has_below;
	int r;

	s->at = 0;
	s->dirty = false;
	s->mapped = (struct range){ 0, 0 };
	if (len > sizeof(s->saved))
		return -ENOSPC;
	r = memory_mapping_at(m, sp, &at);
	if (r < 0)
		return r;
	has_below = !at.is_stack && !memory_mapping_at(m, at.range.lo - 1, &below);
	s->at = scratch_position(sp, tls, len, &at, has_below ? &below : NULL);
	if (!s->at)
		return -ENOENT;
	s->len = len;
	r = memory_read(m, s->at, s->saved, len);
	if (r < 0) {
		s->at = 0;
		return r;
	}
	s->dirty = true;
	return 0;
}

void scratch_use(struct scratch *s, struct range mapped, size_t len)
{
	s->mapped = mapped;
	s->at = align_down(mapped.hi - len, ALIGN);
	s->len = len;
	s->dirty = false;
}

int scratch_give_back(struct scratch *s, const struct memory *m, pid_t tid)
{
	int r;

	if (!s->dirty)
		return 0;
	r = memory_restore(m, tid, s->at, s->saved, s->len);
	if (!r)
		s->dirty = false;
	return r;
}
