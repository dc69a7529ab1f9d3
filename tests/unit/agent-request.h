/* SPDX-License-Identifier: MIT */
/* A request to the agent that nothing is wrong with. */
#ifndef TESTS_AGENT_REQUEST_H
#define TESTS_AGENT_REQUEST_H

#include "watch/agent-wire.h"

#define DOOR (AGENT_HAS_PIDFD | AGENT_HAS_PROCFD | AGENT_HAS_MAPS)

static struct agent_request good(enum agent_op op)
{
	struct agent_request q = { .magic = AGENT_MAGIC, .op = op, .id = 7, .pid = 4242 };

	if (op == AGENT_FILESYSTEM)
		q.hi = 4096;
	if (op == AGENT_SHARES)
		q.lo = 4243;
	if (op == AGENT_PERF)
		q.attr = (struct perf_event_attr){
			.type = PERF_TYPE_SOFTWARE, .size = sizeof(q.attr),
			.config = PERF_COUNT_SW_PAGE_FAULTS, .sample_type = PERF_SAMPLE_ADDR,
		};
	return q;
}

#endif
