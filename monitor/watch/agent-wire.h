/* SPDX-License-Identifier: MIT */
/*
 * Agent-wire: the messages between the monitor and its agent, and what is accepted.
 *
 * Both are one program and one machine, so the messages are structs; but either side
 * may be in the hands of somebody else, so each message is held against these rules
 * before anything of it is used.  SOCK_SEQPACKET keeps their bounds.
 */
#ifndef WATCH_AGENT_WIRE_H
#define WATCH_AGENT_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "pagetap/inject.h"
#include "watch/filesystem.h"
#include "watch/perf.h"
#include "watch/procinfo.h"

enum agent_op {
	AGENT_BORROW = 1,	/* a userfaultfd from pid; answered when it has come */
	AGENT_OPEN,		/* a door to pid */
	AGENT_ABOUT,		/* who pid is */
	AGENT_FILESYSTEM,	/* what kind of file system lies behind a mapping of pid */
	AGENT_SHARES,		/* is its address space also that of the process in `lo` */
	AGENT_PERF,		/* a perf event on a thread, whose id is pid */
	AGENT_GUARD,		/* start a watchdog; pid is the monitor, a memfd comes along */
	AGENT_OP_NR,
};

#define AGENT_MAGIC 0x70746167u
#define AGENT_TIMEOUT_MAX 600000	/* ms */

struct agent_request {
	uint32_t magic;
	uint32_t op;		/* enum agent_op */
	uint32_t id;		/* comes back in the reply; not 0 */
	int32_t pid;
	uint64_t lo, hi;	/* FILESYSTEM: the mapping, as the maps have it */
	uint32_t timeout_ms;	/* BORROW: for the target to stop; 0 the default */
	int32_t cpu;		/* PERF */
	uint32_t async;		/* BORROW: for the engine whose faults wait for nobody */
	uint32_t unused;	/* 0 */
	struct perf_event_attr attr;	/* PERF */
};

/* Which descriptors a reply carries, in this order. */
enum {
	AGENT_HAS_UFFD = 1,
	AGENT_HAS_PIDFD = 2,
	AGENT_HAS_PROCFD = 4,
	AGENT_HAS_MAPS = 8,
	AGENT_HAS_PAGEMAP = 16,
	AGENT_HAS_MEM = 32,
	AGENT_HAS_EVENT = 64,
};
#define AGENT_FDS_MAX 6
/* Instead of a number: they have come, and this process has no room for all of them. */
#define AGENT_FDS_LOST (AGENT_FDS_MAX + 2)

struct agent_reply {
	uint32_t magic;
	uint32_t op, id;	/* of the request */
	int32_t result;		/* 0 or -errno; nothing else is set then but failure */
	uint32_t fds;		/* AGENT_HAS_* */
	uint32_t plain;		/* door.plain */
	union {
		struct {
			struct pagetap_loan loan;	/* its descriptors mean nothing */
			struct pagetap_failure failure;
			uint64_t features;	/* the handshake has been made */
		} borrow;
		struct procinfo about;
		struct filesystem filesystem;
		struct {
			uint32_t same;
		} shares;
		struct {
			int32_t pid;
		} guard;
	};
};

/* Pure.  Is this a request?  len: as recvmsg(2) gave it; nfds: descriptors that came. */
bool agent_request_valid(const void *bytes, size_t len, unsigned int nfds);
/* Pure.  Is this the reply to that request? */
bool agent_reply_valid(const void *bytes, size_t len, unsigned int nfds,
		       const struct agent_request *to);

/*
 * One message with nfds descriptors.  0, -EPIPE when the other side has gone, -EAGAIN
 * (flags MSG_DONTWAIT) or what sendmsg(2) says.
 */
int agent_send(int sock, const void *bytes, size_t len, const int *fds, unsigned int nfds,
	       int flags);
/*
 * One message of at most cap bytes.  Its length, which is more than cap for one that
 * was too long; -EPIPE at the end; -EAGAIN.  Of descriptors at most AGENT_FDS_MAX are
 * stored, close-on-exec; with more than that *ret_nfds is AGENT_FDS_MAX + 1 and none
 * is stored; nor is one with AGENT_FDS_LOST: RLIMIT_NOFILE is reached (MSG_CTRUNC, unix(7)).
 */
int64_t agent_receive(int sock, void *bytes, size_t cap, int fds[AGENT_FDS_MAX],
		      unsigned int *ret_nfds, int flags);
/*
 * One that waits.  A reply whose descriptors are lost is one that failed with -EMFILE: it
 * is our want, and no fault of the other side.
 */
int64_t agent_receive_reply(int sock, struct agent_reply *ret, int fds[AGENT_FDS_MAX],
			    unsigned int *ret_nfds);

#endif
