/* SPDX-License-Identifier: MIT */
/*
 * Event: what a userfaultfd says, decoded.  Each kind states what is owed.
 *
 * Pure.  One decoder for the live loop, the tests and the fuzzer.
 */
#ifndef WATCH_EVENT_H
#define WATCH_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/range.h"

enum event_kind {
	/* A thread sleeps on this page.  Owe: resolve.c, before anything else. */
	EVENT_FAULT,
	/* Owns a new userfaultfd.  Owe: a space for the child, or close it. */
	EVENT_FORK,
	/* `from` now lives at `to`; registration and protection moved with it.  The
	 * length is the old one (kernel-facts: a growing move is told too short).
	 * Owe: follow, read the layout again. */
	EVENT_REMAP,
	/* Pages are about to be dropped (madvise, hole punch), the range stays.
	 * Owe: forget the cover; arm again once the zap is over. */
	EVENT_REMOVE,
	/* Range gone, perhaps already something else.  Owe: cut, read again. */
	EVENT_UNMAP,
};

struct event {
	enum event_kind kind;
	union {
		struct {
			uint64_t addr;
			uint32_t ptid;	/* in the pid namespace of the thread; 0 unknown */
			bool write, wp, minor;
		} fault;
		struct { int fd; } fork;
		struct { struct range from; uint64_t to; } remap;
		struct range span;	/* REMOVE, UNMAP */
	};
};

#define EVENT_SIZE 32

/*
 * Decode one message of EVENT_SIZE bytes.  0; -EBADMSG for a wrong length, a kind
 * this program never asked for, or a range that wraps.
 */
int event_decode(const void *buf, size_t len, struct event *ret);

#endif
