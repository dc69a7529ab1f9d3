/* SPDX-License-Identifier: MIT */
/*
 * Witness, decoding: a record of a perf ring, perf_event_open(2), as a struct.
 *
 * Pure.  Knows the layouts that witness.c asks the kernel for: samples with
 * WITNESS_SAMPLE, perhaps with a call chain behind it and the fields of a tracepoint of
 * page faults behind that, and everything else with the same fields of sample_id behind
 * it.
 */
#ifndef WATCH_WITNESS_DECODE_H
#define WATCH_WITNESS_DECODE_H

#include <linux/perf_event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/range.h"

#define WITNESS_SAMPLE \
	(PERF_SAMPLE_IP | PERF_SAMPLE_TID | PERF_SAMPLE_TIME | PERF_SAMPLE_ADDR)

/* What a page fault was for. */
enum witness_access {
	WITNESS_UNKNOWN,	/* nobody says */
	WITNESS_READ,
	WITNESS_WRITE,
};

enum witness_kind {
	WITNESS_TOUCH,	/* a page fault: addr, ip, access */
	WITNESS_MAP,	/* a mapping is new, or has got another protection.  Its span may be
			 * wider than what was asked for, because mappings merge */
	WITNESS_FORK,	/* process or thread: parent, parent_tid; pid, tid are the child's */
	WITNESS_EXEC,	/* name, also */
	WITNESS_NAME,	/* a thread is called name now */
	WITNESS_LOST,	/* n records did not fit */
	WITNESS_OTHER,	/* nothing that concerns us */
};

struct witness_event {
	enum witness_kind kind;
	pid_t pid, tid;		/* as this process sees them; 0 outside its namespace */
	uint64_t time;		/* CLOCK_MONOTONIC, ns */
	union {
		struct {
			uint64_t addr, ip;	/* ip: of the kernel, if `kernel` */
			const void *frames;	/* of the user's call chain, 8 bytes each; innermost
						 * first; in the record that was decoded */
			uint32_t nframes;
			bool kernel;
			uint8_t access;		/* enum witness_access */
		} touch;
		struct { struct range span; bool writable; } map;
		struct { pid_t parent, parent_tid; };
		struct { const char *name; size_t len; };	/* in the record */
		uint64_t n;
	};
};

/* Frame i of a touch, which has so many. */
uint64_t witness_frame(const struct witness_event *ev, uint32_t i);

/* len: as the record's header says.  -EBADMSG: too short for what it claims to be. */
int witness_decode(const void *record, size_t len, struct witness_event *ret);

#endif
