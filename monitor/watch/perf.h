/* SPDX-License-Identifier: MIT */
/*
 * Perf: rings of records, perf_event_open(2), nothing decided here.
 *
 * A ring belongs to a CPU and to nobody else: the event that holds its memory is a
 * dummy of its own, so that a ring outlives the threads that write to it
 * (PERF_EVENT_IOC_SET_OUTPUT redirects their events).
 */
#ifndef WATCH_PERF_H
#define WATCH_PERF_H

#include <linux/perf_event.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct perf_ring {
	int fd;			/* readable once `watermark` bytes have come */
	void *map;		/* a page of head and tail, then the data */
	size_t bytes;		/* of the data, a power of two */
	size_t page;
};

#define PERF_RING_NULL { .fd = -1 }

/* bytes: a power of two, at least a page.  -EACCES, -EPERM: perf_event_paranoid. */
int perf_ring_open(struct perf_ring *ret, int cpu, size_t bytes, uint32_t watermark);
/* Bytes that were ever put into it.  Costs nothing. */
uint64_t perf_ring_head(const struct perf_ring *r);
void perf_ring_close(struct perf_ring *r);

/* An event on thread tid and one CPU: a descriptor or -errno. */
int perf_event_for(struct perf_event_attr *attr, pid_t tid, int cpu);
/* Of a tracepoint's event, and those that inherit it: only what passes the filter. */
int perf_event_filter(int event, const char *filter);
/* Its records go to the ring, which is of the same CPU. */
int perf_event_to_ring(int event, const struct perf_ring *out);

/*
 * Hand every record that is there now to take(), in order; gives their room back.  A
 * record is valid during the call.  Returns the bytes that were there.
 */
size_t perf_ring_read(struct perf_ring *r,
		      void (*take)(void *arg, const void *record, size_t len), void *arg);

/* Records of this event that did not fit (PERF_FORMAT_LOST, Linux 6.0); 0 if unknown. */
uint64_t perf_event_lost(int fd);

#endif
