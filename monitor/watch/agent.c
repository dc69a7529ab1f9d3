/* SPDX-License-Identifier: MIT */
/* Agent, the monitor's side: its process, messages, and what comes when it comes. */

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "watch/agent-parts.h"

/* How long an answer may take: see agent-ask.c.  After so long one asks again later. */
#define OPEN_MAX (2 * NSEC_PER_MSEC)
/* Nobody has been waited for in vain for so long: wait again. */
#define SLOW_SPELL (20 * NSEC_PER_MSEC)
#define FETCH_MAX (100 * NSEC_PER_MSEC)
#define COME_MAX NSEC_PER_SEC

int agent_new(struct agent **ret, const pid_t *targets, unsigned int n, void (*settle)(void))
{
	struct agent *a = calloc(1, sizeof(*a));
	int pair[2], r;

	if (!a)
		return -ENOMEM;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
		r = -errno;
		free(a);
		return r;
	}
	a->next_id = 1;
	a->pid = fork();
	if (!a->pid)
		agent_main(pair[1], targets, n, settle);
	r = a->pid < 0 ? -errno : 0;
	a->sock = pair[0];
	close(pair[1]);
	if (r < 0) {
		close(a->sock);
		free(a);
		return r;
	}
	*ret = a;
	return 0;
}

static void close_all(int *fds, unsigned int *n)
{
	while (*n)
		close(fds[--*n]);
}

struct agent *agent_free(struct agent *a)
{
	if (!a)
		return NULL;
	close_fd(&a->sock);
	for (int i = 0; i < AGENT_LOANS; i++)
		close_all(a->loans[i].fds, &a->loans[i].nfds);
	for (int i = 0; i < OPENINGS; i++)
		close_all(a->openings[i].fds, &a->openings[i].nfds);
	while (waitpid(a->pid, NULL, 0) < 0 && errno == EINTR)
		;
	free(a);
	return NULL;
}

int agent_fd(const struct agent *a)
{
	return a ? a->sock : -1;
}

pid_t agent_pid(const struct agent *a)
{
	return a ? a->pid : 0;
}

static struct loan *loan_of(struct agent *a, uint32_t id)
{
	for (int i = 0; a && i < AGENT_LOANS; i++)
		if (a->loans[i].asked.id == id)
			return &a->loans[i];
	return NULL;
}

static void fail_loan(struct loan *l, int error, const char *words)
{
	struct pagetap_failure *f = &l->reply.borrow.failure;

	l->reply = (struct agent_reply){ .result = error };
	f->error = -error;
	snprintf(f->text, sizeof(f->text), "%s", words);
	l->come = true;
}

static void has_gone(struct agent *a)
{
	close_fd(&a->sock);
	for (int i = 0; i < AGENT_LOANS; i++)
		if (a->loans[i].asked.id && !a->loans[i].come)
			fail_loan(&a->loans[i], -EPIPE, "the agent process has gone");
	for (int i = 0; i < OPENINGS; i++)
		if (a->openings[i].asked.id && !a->openings[i].come)
			fail_loan(&a->openings[i], -EPIPE, "");
}

static struct loan *opening_by_id(struct agent *a, uint32_t id)
{
	for (int i = 0; i < OPENINGS; i++)
		if (a->openings[i].asked.id == id)
			return &a->openings[i];
	return NULL;
}

int agent_read_one(struct agent *a, const struct agent_request *want, struct agent_reply *reply,
		   int fds[AGENT_FDS_MAX], unsigned int *nfds)
{
	int64_t n = agent_receive_reply(a->sock, reply, fds, nfds);
	struct loan *l;

	if (n == -EAGAIN)
		return -EAGAIN;
	if (n < 0 || *nfds > AGENT_FDS_MAX) {
		has_gone(a);
		return -EPIPE;
	}
	if (want && agent_reply_valid(reply, (size_t)n, *nfds, want))
		return 1;
	l = n == sizeof(*reply) && reply->id ? loan_of(a, reply->id) : NULL;
	if (!l && n == sizeof(*reply) && reply->id)
		l = opening_by_id(a, reply->id);
	if (l && !l->come && agent_reply_valid(reply, (size_t)n, *nfds, &l->asked)) {
		l->reply = *reply;
		memcpy(l->fds, fds, *nfds * sizeof(int));
		l->nfds = *nfds;
		l->come = true;
		*nfds = 0;
	}
	close_all(fds, nfds);
	return 0;
}

static void end_opening(struct loan *l)
{
	close_all(l->fds, &l->nfds);
	l->asked.id = 0;
}

void agent_expire(struct agent *a, uint64_t now)
{
	for (int i = 0; a && i < OPENINGS; i++) {
		struct loan *l = &a->openings[i];

		if (l->asked.id && now - l->since > (l->come ? FETCH_MAX : COME_MAX))
			end_opening(l);
	}
}

int agent_read(struct agent *a)
{
	int fds[AGENT_FDS_MAX], r = 0;
	struct agent_reply reply;
	unsigned int nfds;

	if (!a || a->sock < 0)
		return -EPIPE;
	while (!r)
		r = agent_read_one(a, NULL, &reply, fds, &nfds);
	return r == -EAGAIN ? 0 : r;
}

struct agent_request agent_request(struct agent *a, enum agent_op op, pid_t pid)
{
	struct agent_request q = {
		.magic = AGENT_MAGIC, .op = op, .id = a->next_id++, .pid = pid,
	};

	if (!a->next_id)
		a->next_id = 1;
	return q;
}

int agent_send_request(struct agent *a, const struct agent_request *q, int fd)
{
	int r = a->sock < 0 ? -EPIPE :
		agent_send(a->sock, q, sizeof(*q), &fd, fd >= 0, MSG_DONTWAIT);

	if (r == -EPIPE && a->sock >= 0)
		has_gone(a);
	return r;
}

int agent_borrow(struct agent *a, pid_t pid, bool async, unsigned int timeout_ms,
		 uint32_t *ret_id)
{
	struct loan *l = loan_of(a, 0);
	int r;

	if (!a || a->sock < 0)
		return -EPIPE;
	if (!l)
		return -EBUSY;
	l->asked = agent_request(a, AGENT_BORROW, pid);
	l->asked.timeout_ms = timeout_ms;
	l->asked.async = async;
	l->come = false;
	r = agent_send_request(a, &l->asked, -1);
	if (r < 0) {
		l->asked.id = 0;
		return r;
	}
	*ret_id = l->asked.id;
	return 0;
}

bool agent_finished(const struct agent *a, uint32_t id)
{
	const struct loan *l = loan_of((struct agent *)(uintptr_t)a, id);

	return !l || l->come;
}

/* In the order of AGENT_HAS_*. */
static void take_door(struct door *d, const struct agent_reply *p, const int *fds, pid_t pid)
{
	*d = (struct door)DOOR_NULL;
	d->pid = pid;
	d->plain = p->plain;
	d->pidfd = *fds++;
	d->procfd = *fds++;
	d->maps = *fds++;
	if (p->fds & AGENT_HAS_PAGEMAP)
		d->pagemap = *fds++;
	if (p->fds & AGENT_HAS_MEM)
		d->mem = *fds;
}

int agent_finish(struct agent *a, uint32_t id, struct agent_loan *ret,
		 struct pagetap_failure *ret_failure)
{
	struct loan *l = loan_of(a, id);
	int r;

	if (!l || !l->come)
		return -EINVAL;
	r = l->reply.result;
	if (r < 0) {
		*ret_failure = l->reply.borrow.failure;
	} else {
		ret->loan = l->reply.borrow.loan;
		ret->features = l->reply.borrow.features;
		ret->loan.uffd = l->fds[0];
		take_door(&ret->door, &l->reply, l->fds + 1, l->asked.pid);
		ret->loan.pidfd = ret->door.pidfd;
	}
	l->nfds = 0;
	l->asked.id = 0;
	return r;
}

static struct loan *opening_of(struct agent *a, pid_t pid)
{
	for (int i = 0; i < OPENINGS; i++)
		if (a->openings[i].asked.id && a->openings[i].asked.pid == pid)
			return &a->openings[i];
	return NULL;
}

/* In vain: then the agent does not come to run, and the next ones are not waited for. */
static void wait_for_opening(struct agent *a, const struct loan *l)
{
	uint64_t now = clock_now(), until = now + OPEN_MAX;
	struct pollfd p = { .events = POLLIN };

	if (now < a->slow_until)
		return;
	while (!agent_read(a) && !l->come && now < until) {
		p.fd = a->sock;
		poll(&p, 1, (int)((until - now) / NSEC_PER_MSEC) + 1);
		now = clock_now();
	}
	if (!l->come)
		a->slow_until = now + SLOW_SPELL;
}

/* -EAGAIN: there are too many already. */
static int ask_to_open(struct agent *a, pid_t pid, struct loan **ret)
{
	struct agent_request q = agent_request(a, AGENT_OPEN, pid);
	uint64_t now = clock_now();
	struct loan *l;
	int r;

	agent_expire(a, now);
	l = opening_by_id(a, 0);
	r = l ? agent_send_request(a, &q, -1) : -EAGAIN;
	if (r < 0)
		return r;
	l->asked = q;
	l->come = false;
	l->since = now;
	*ret = l;
	return 0;
}

int agent_open(struct agent *a, pid_t pid, struct door *ret)
{
	int r = door_open(ret, pid, -1);
	struct loan *l;

	if (r != -EACCES || !a)
		return r;
	r = 0;
	agent_read(a);
	l = opening_of(a, pid);
	if (!l)
		r = ask_to_open(a, pid, &l);
	if (r < 0)
		return r;
	if (!l->come)
		wait_for_opening(a, l);
	if (!l->come)
		return -EAGAIN;
	r = l->reply.result;
	if (!r) {
		take_door(ret, &l->reply, l->fds, pid);
		l->nfds = 0;
	}
	end_opening(l);
	return r;
}
