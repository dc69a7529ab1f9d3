/* SPDX-License-Identifier: MIT */
/* Witness, opening.  See witness-open.h. */

#include "watch/witness-open.h"

#include <errno.h>
#include <time.h>
#include <unistd.h>

#include "watch/perf-points.h"
#include "watch/perf.h"
#include "watch/witness.h"

static struct perf_event_attr attr_of(const struct witness_want *want)
{
	bool touches = want->what != WHAT_MAPS, chains = touches && want->chains;

	return (struct perf_event_attr){
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(struct perf_event_attr),
		.config = touches ? PERF_COUNT_SW_PAGE_FAULTS : PERF_COUNT_SW_DUMMY,
		.sample_period = 1,
		.sample_type = WITNESS_SAMPLE | (chains ? PERF_SAMPLE_CALLCHAIN : 0),
		.exclude_callchain_kernel = chains,
		.sample_max_stack = chains ? WITNESS_FRAMES : 0,
		.read_format = PERF_FORMAT_LOST,
		.inherit = 1,
		/* Linux 5.13: threads inherit, children do not. */
		.inherit_thread = !want->follow,
		.mmap = !touches,
		.mmap2 = !touches,
		.mmap_data = !touches,
		.comm = !touches,
		.comm_exec = !touches,
		.task = !touches,
		.sample_id_all = 1,
		.exclude_hv = 1,
		.use_clockid = 1,
		.clockid = CLOCK_MONOTONIC,
	};
}

static bool is_point(const struct witness_want *want)
{
	return want->what == WHAT_POINT_USER || want->what == WHAT_POINT_KERNEL;
}

/* In place of the fault address, which samples of tracepoints lack, come their fields. */
static void make_point(struct perf_event_attr *attr, enum witness_what what)
{
	uint64_t config;

	perf_point_of(what == WHAT_POINT_USER ? PERF_POINT_USER : PERF_POINT_KERNEL, &config);
	attr->type = PERF_TYPE_TRACEPOINT;
	attr->config = config;
	attr->sample_type |= PERF_SAMPLE_RAW;
}

/* By our own right, which a running monitor has given up, or by the agent's. */
static int open_it(const struct witness_want *want, struct perf_event_attr *attr)
{
	int fd = perf_event_for(attr, want->tid, want->cpu);

	if ((fd == -EPERM || fd == -EACCES) && want->agent)
		fd = agent_perf(want->agent, attr, want->tid, want->cpu);
	return fd;
}

int witness_event_open(const struct witness_want *want)
{
	struct perf_event_attr attr = attr_of(want);
	int fd, r;

	if (is_point(want))
		make_point(&attr, want->what);
	fd = open_it(want, &attr);
	if (fd == -EINVAL && attr.read_format) {	/* Linux 6.0: counts what was lost */
		attr.read_format = 0;
		fd = open_it(want, &attr);
	}
	if (fd == -EINVAL && attr.inherit_thread) {
		attr.inherit_thread = 0;
		fd = open_it(want, &attr);
	}
	if (fd < 0 || !is_point(want))
		return fd;
	/* A read then costs its thread no sample. */
	r = perf_event_filter(fd, PERF_POINT_WRITES);
	if (r < 0) {
		close(fd);
		return r;
	}
	return fd;
}
