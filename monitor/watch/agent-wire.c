/* SPDX-License-Identifier: MIT */
/* Agent-wire: the messages, and what is accepted.  See agent-wire.h. */

#include "watch/agent-wire.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "watch/perf-points.h"

/* unix(7): SCM_MAX_FD; more never come in one message. */
#define SCM_FDS 253

static bool is_zero(const void *bytes, size_t len)
{
	const unsigned char *p = bytes;

	while (len && !p[len - 1])
		len--;
	return !len;
}

/* What a thread does with memory and nothing of what is in it. */
static bool harmless(const struct perf_event_attr *a)
{
	const uint64_t sample = PERF_SAMPLE_IP | PERF_SAMPLE_TID | PERF_SAMPLE_TIME |
				PERF_SAMPLE_ADDR | PERF_SAMPLE_CPU | PERF_SAMPLE_PERIOD |
				PERF_SAMPLE_ID | PERF_SAMPLE_STREAM_ID | PERF_SAMPLE_IDENTIFIER |
				PERF_SAMPLE_CALLCHAIN;

	if (a->size != sizeof(*a))
		return false;
	/* What a tracepoint tells depends on which it is. */
	if (a->type == PERF_TYPE_TRACEPOINT)
		return perf_point_is_one(a->config) &&
		       !(a->sample_type & ~(sample | PERF_SAMPLE_RAW));
	return a->type == PERF_TYPE_SOFTWARE &&
	       (a->config == PERF_COUNT_SW_PAGE_FAULTS || a->config == PERF_COUNT_SW_DUMMY) &&
	       !(a->sample_type & ~sample);
}

bool agent_request_valid(const void *bytes, size_t len, unsigned int nfds)
{
	struct agent_request q;
	bool perf;

	if (len != sizeof(q))
		return false;
	memcpy(&q, bytes, sizeof(q));
	if (q.magic != AGENT_MAGIC || !q.op || q.op >= AGENT_OP_NR || !q.id || q.pid <= 0 ||
	    nfds != (q.op == AGENT_GUARD))
		return false;
	if (q.async > (q.op == AGENT_BORROW) || q.unused)
		return false;
	perf = q.op == AGENT_PERF;
	if (perf ? q.cpu < 0 || !harmless(&q.attr) : q.cpu || !is_zero(&q.attr, sizeof(q.attr)))
		return false;
	if (q.op == AGENT_FILESYSTEM)
		return q.lo < q.hi && !q.timeout_ms;
	if (q.op == AGENT_SHARES)
		return q.lo && q.lo <= INT_MAX && !q.hi && !q.timeout_ms;
	return !q.lo && !q.hi && q.timeout_ms <= (q.op == AGENT_BORROW ? AGENT_TIMEOUT_MAX : 0);
}

static bool fds_fit(uint32_t op, uint32_t fds)
{
	const uint32_t door = AGENT_HAS_PIDFD | AGENT_HAS_PROCFD | AGENT_HAS_MAPS;

	if (op == AGENT_BORROW || op == AGENT_OPEN)
		fds &= ~(uint32_t)(AGENT_HAS_PAGEMAP | AGENT_HAS_MEM);
	switch (op) {
	case AGENT_BORROW:
		return fds == (door | AGENT_HAS_UFFD);
	case AGENT_OPEN:
		return fds == door;
	case AGENT_PERF:
		return fds == AGENT_HAS_EVENT;
	case AGENT_GUARD:
		return fds == AGENT_HAS_PIDFD;
	default:
		return !fds;
	}
}

/* Text that ends within its array; lengths within theirs. */
static bool texts_end(const struct agent_reply *p)
{
	const struct pagetap_failure *f = &p->borrow.failure;

	if (p->op == AGENT_BORROW)
		return memchr(f->text, 0, sizeof(f->text)) && memchr(f->hint, 0, sizeof(f->hint)) &&
		       f->phase < PAGETAP_PHASE_NR && f->reason < PAGETAP_REASON_NR;
	if (p->op == AGENT_ABOUT)
		return p->about.comm_len <= sizeof(p->about.comm) &&
		       p->about.exe_len <= sizeof(p->about.exe);
	if (p->op == AGENT_GUARD)
		return p->guard.pid > 0;
	return true;
}

bool agent_reply_valid(const void *bytes, size_t len, unsigned int nfds,
		       const struct agent_request *to)
{
	const struct agent_reply *p = bytes;

	if (len != sizeof(*p) || p->magic != AGENT_MAGIC || p->op != to->op || p->id != to->id)
		return false;
	if (p->result > 0 || p->result < -4095 || p->plain > 1)
		return false;
	if (nfds != (unsigned int)__builtin_popcount(p->fds))
		return false;
	if (p->result < 0 ? p->fds : !fds_fit(p->op, p->fds))
		return false;
	/* A failure of a loan has its words; of the rest a failure is a number. */
	return (p->result < 0 && p->op != AGENT_BORROW) || texts_end(p);
}

union control {
	struct cmsghdr head;
	unsigned char room[CMSG_SPACE(SCM_FDS * sizeof(int))];
};

int agent_send(int sock, const void *bytes, size_t len, const int *fds, unsigned int nfds,
	       int flags)
{
	struct iovec data = { (void *)(uintptr_t)bytes, len };
	struct msghdr m = { .msg_iov = &data, .msg_iovlen = 1 };
	union control c;

	if (nfds > AGENT_FDS_MAX)
		return -E2BIG;
	if (nfds) {
		memset(&c.head, 0, sizeof(c.head));
		c.head.cmsg_level = SOL_SOCKET;
		c.head.cmsg_type = SCM_RIGHTS;
		c.head.cmsg_len = CMSG_LEN(nfds * sizeof(int));
		memcpy(CMSG_DATA(&c.head), fds, nfds * sizeof(int));
		m.msg_control = &c;
		m.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
	}
	for (;;) {
		if (sendmsg(sock, &m, MSG_NOSIGNAL | flags) >= 0)
			return 0;
		if (errno != EINTR)
			return errno == ECONNRESET ? -EPIPE : -errno;
	}
}

/* All of them, so that none stays open: the room is what the kernel sends at most. */
static unsigned int take_fds(struct msghdr *m, int fds[AGENT_FDS_MAX])
{
	int all[SCM_FDS];
	unsigned int n = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t at = CMSG_LEN(0); at + sizeof(int) <= c->cmsg_len && n < SCM_FDS;
		     at += sizeof(int))
			memcpy(&all[n++], (char *)c + at, sizeof(int));
	}
	if (n <= AGENT_FDS_MAX && !(m->msg_flags & MSG_CTRUNC)) {
		memcpy(fds, all, n * sizeof(int));
		return n;
	}
	while (n)
		close(all[--n]);
	/* All that a well-meaning sender sends fits into the room: then it is the limit. */
	return m->msg_flags & MSG_CTRUNC ? AGENT_FDS_LOST : AGENT_FDS_MAX + 1;
}

int64_t agent_receive(int sock, void *bytes, size_t cap, int fds[AGENT_FDS_MAX],
		      unsigned int *ret_nfds, int flags)
{
	struct iovec data = { bytes, cap };
	union control c;
	struct msghdr m = {
		.msg_iov = &data,
		.msg_iovlen = 1,
		.msg_control = &c,
		.msg_controllen = sizeof(c),
	};
	ssize_t n;

	*ret_nfds = 0;
	do
		/* MSG_TRUNC: the whole length, also of what did not fit. */
		n = recvmsg(sock, &m, MSG_CMSG_CLOEXEC | MSG_TRUNC | flags);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == ECONNRESET ? -EPIPE : -errno;
	*ret_nfds = take_fds(&m, fds);
	return n ? n : -EPIPE;
}

int64_t agent_receive_reply(int sock, struct agent_reply *ret, int fds[AGENT_FDS_MAX],
			    unsigned int *ret_nfds)
{
	int64_t n = agent_receive(sock, ret, sizeof(*ret), fds, ret_nfds, MSG_DONTWAIT);

	if (n != sizeof(*ret) || *ret_nfds != AGENT_FDS_LOST)
		return n;
	*ret_nfds = 0;
	*ret = (struct agent_reply){
		.magic = ret->magic, .op = ret->op, .id = ret->id, .result = -EMFILE,
	};
	if (ret->op == AGENT_BORROW)
		ret->borrow.failure = (struct pagetap_failure){
			.error = EMFILE, .text = "pagetap has no free descriptor",
		};
	return n;
}
