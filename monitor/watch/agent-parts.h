/* SPDX-License-Identifier: MIT */
/* Agent, parts: what the files of the monitor's side share.  Private to agent*.c. */
#ifndef WATCH_AGENT_PARTS_H
#define WATCH_AGENT_PARTS_H

#include "watch/agent-wire.h"
#include "watch/agent.h"

/* Doors that were not waited for, at most; who does not fetch one needs it no more. */
#define OPENINGS 12

/* An answer that comes when it comes. */
struct loan {
	struct agent_request asked;	/* id 0: free */
	struct agent_reply reply;
	int fds[AGENT_FDS_MAX];
	unsigned int nfds;
	bool come;
	uint64_t since;			/* of an opening: when it was asked for */
};

struct agent {
	pid_t pid;
	int sock;			/* -1: it has gone */
	uint32_t next_id;
	struct loan loans[AGENT_LOANS];
	struct loan openings[OPENINGS];
	uint64_t slow_until;		/* openings are not waited for */
};

/* With a number of its own. */
struct agent_request agent_request(struct agent *a, enum agent_op op, pid_t pid);
/* fd goes along; -1: none.  Waits for nothing: -EAGAIN; -EPIPE: the agent has gone. */
int agent_send_request(struct agent *a, const struct agent_request *q, int fd);
/*
 * One message.  A loan or a door goes to its place; the answer to *want comes out, with 1.  What
 * nobody waits for any more is closed.  -EAGAIN: none is there.
 */
int agent_read_one(struct agent *a, const struct agent_request *want, struct agent_reply *reply,
		   int fds[AGENT_FDS_MAX], unsigned int *nfds);

#endif
