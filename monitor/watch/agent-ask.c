/* SPDX-License-Identifier: MIT */
/* Agent, the monitor's side: questions that are answered at once. */

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "compat/sys.h"
#include "watch/agent-parts.h"

/*
 * What is answered at once takes a tenth of a millisecond where a processor is free; with
 * a thousand forks a second on two of them one in a hundred took 4 to 14 ms, and one 112.
 * Threads of the targets may wait for us meanwhile.
 */
#define ANSWER_MAX (250 * NSEC_PER_MSEC)	/* where no answer would make us do wrong */
#define ABOUT_MAX (10 * NSEC_PER_MSEC)		/* where the trace would lack a name */

/* Ask, and wait for the answer: 0 or -errno, its own or of the way.  fd goes along; -1 none. */
static int ask_with(struct agent *a, const struct agent_request *q, int fd,
		    struct agent_reply *reply, int fds[AGENT_FDS_MAX], unsigned int *nfds)
{
	uint64_t now = clock_now(), until;
	struct pollfd p = { .events = POLLIN };
	int r = agent_send_request(a, q, fd);

	*nfds = 0;
	until = now + (q->op == AGENT_ABOUT ? ABOUT_MAX : ANSWER_MAX);
	while (!r) {
		r = agent_read_one(a, q, reply, fds, nfds);
		if (r != -EAGAIN)
			continue;
		now = clock_now();
		if (now >= until)
			return -ETIMEDOUT;
		p.fd = a->sock;
		poll(&p, 1, (int)((until - now) / NSEC_PER_MSEC) + 1);
		r = 0;
	}
	return r < 0 ? r : reply->result;
}

static int ask(struct agent *a, const struct agent_request *q, struct agent_reply *reply,
	       int fds[AGENT_FDS_MAX], unsigned int *nfds)
{
	return ask_with(a, q, -1, reply, fds, nfds);
}

int agent_about(struct agent *a, pid_t pid, struct procinfo *ret)
{
	struct agent_request q;
	struct agent_reply p;
	int r = procinfo_of(pid, ret), fds[AGENT_FDS_MAX];
	unsigned int nfds;

	/* Who may read the link may read the exit code; 0 to others (do_task_stat()). */
	if (r < 0 || ret->exe_len || !a)
		return r;
	q = agent_request(a, AGENT_ABOUT, pid);
	ret->exit_code = -1;
	if (!ask(a, &q, &p, fds, &nfds))
		*ret = p.about;
	return 0;
}

int agent_filesystem(struct agent *a, pid_t pid, int procfd, struct range r,
		     struct filesystem *ret)
{
	struct agent_request q;
	struct agent_reply p;
	int error = filesystem_at(procfd, r, ret), fds[AGENT_FDS_MAX];
	unsigned int nfds;

	if ((error != -EACCES && error != -EPERM) || !a)
		return error;
	q = agent_request(a, AGENT_FILESYSTEM, pid);
	q.lo = r.lo;
	q.hi = r.hi;
	error = ask(a, &q, &p, fds, &nfds);
	if (!error)
		*ret = p.filesystem;
	return error;
}

int agent_shares(struct agent *a, pid_t pid, pid_t other)
{
	struct agent_request q;
	struct agent_reply p;
	int r, fds[AGENT_FDS_MAX];
	unsigned int nfds;

	if (!a)
		return sys_kcmp_vm(pid, other);
	q = agent_request(a, AGENT_SHARES, pid);
	q.lo = (uint64_t)other;
	r = ask(a, &q, &p, fds, &nfds);
	return r < 0 ? r : p.shares.same != 0;
}

int agent_perf(struct agent *a, const struct perf_event_attr *attr, pid_t tid, int cpu)
{
	int r, fds[AGENT_FDS_MAX];
	struct agent_request q;
	struct agent_reply p;
	unsigned int nfds;

	if (!a)
		return -EPIPE;
	q = agent_request(a, AGENT_PERF, tid);
	q.attr = *attr;
	q.cpu = cpu;
	r = ask(a, &q, &p, fds, &nfds);
	return r < 0 ? r : fds[0];
}

int agent_guard(struct agent *a, int page, pid_t *ret_pid)
{
	int r, fds[AGENT_FDS_MAX];
	struct agent_request q;
	struct agent_reply p;
	unsigned int nfds;

	if (!a)
		return -EPIPE;
	q = agent_request(a, AGENT_GUARD, getpid());
	r = ask_with(a, &q, page, &p, fds, &nfds);
	if (r < 0)
		return r;
	*ret_pid = p.guard.pid;
	return fds[0];
}
