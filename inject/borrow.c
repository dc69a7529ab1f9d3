/* SPDX-License-Identifier: MIT */
/*
 * Borrow: the injector process, and what comes back from it.
 *
 * A process of its own, because the caller may be killed, or may itself be serving
 * faults of the target; in a session of its own, so that no key press reaches it; with
 * no exit signal, so that it never shows in the caller's wait(2).  It finishes what it
 * has begun, and then exits, whatever has become of the caller.
 */

#include "pagetap/inject.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "compat/sys.h"
#include "failure.h"
#include "inject.h"
#include "injector.h"
#include "target.h"

#define TIMEOUT_MS 1000
#define SLACK_MS 25000			/* more than the sum of the injector's own limits */

struct pagetap_borrowing {
	pid_t injector;
	int sock;
	int pidfd;
	uint64_t start_time;
	uint64_t limit;
	struct progress *progress;
};

static void read_opts(const struct pagetap_opts *from, struct pagetap_opts *ret)
{
	*ret = (struct pagetap_opts){ .size = sizeof(*ret) };
	if (from)
		memcpy(ret, from, from->size < sizeof(*ret) ? from->size : sizeof(*ret));
	if (!ret->timeout_ms)
		ret->timeout_ms = TIMEOUT_MS;
}

static void borrowing_free(struct pagetap_borrowing *b)
{
	if (!b)
		return;
	close_fd(&b->sock);
	close_fd(&b->pidfd);
	if (b->progress)
		munmap(b->progress, sizeof(*b->progress));
	free(b);
}

static struct pagetap_borrowing *borrowing_new(void)
{
	struct pagetap_borrowing *b = calloc(1, sizeof(*b));
	void *shared;

	if (!b)
		return NULL;
	b->sock = b->pidfd = -1;
	shared = mmap(NULL, sizeof(*b->progress), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED) {
		borrowing_free(b);
		return NULL;
	}
	b->progress = shared;
	b->progress->caller = getpid();
	return b;
}

/* fork(2) without an exit signal.  Signals are blocked until the child has its own. */
static pid_t start_injector(struct inject *in, int sock)
{
	sigset_t all, before;
	pid_t pid;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pid = (pid_t)syscall(SYS_clone, 0, NULL, NULL, NULL, NULL);
	if (!pid)
		injector_main(in, sock);
	if (pid < 0)
		pid = -errno;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return pid;
}

static int launch(struct pagetap_borrowing *b, struct inject *in, struct pagetap_failure *ret)
{
	_close_ int theirs = -1;
	int pair[2], r;

	b->progress->phase = PAGETAP_PHASE_FORK;
	r = fault_at(PAGETAP_PHASE_FORK, getpid());
	if (!r && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		r = -errno;
	if (r < 0)
		return failure_set(ret, PAGETAP_PHASE_FORK, PAGETAP_REASON_NONE, -r,
				   "starting the injector: %s", strerrorname_np(-r));
	b->sock = pair[0];
	theirs = pair[1];
	b->injector = start_injector(in, theirs);
	if (b->injector < 0)
		return failure_set(ret, PAGETAP_PHASE_FORK, PAGETAP_REASON_NONE, -b->injector,
				   "starting the injector: %s", strerrorname_np(-b->injector));
	return 0;
}

/* The pidfd first, and then once more what /proc says: so both mean one process. */
static int identify(struct pagetap_borrowing *b, struct inject *in, struct pagetap_failure *ret)
{
	struct facts now = { 0 };
	int r;

	b->pidfd = sys_pidfd_open(in->pid, 0);
	if (b->pidfd < 0 && b->pidfd != -ESRCH)
		return failure_set(ret, PAGETAP_PHASE_LOOK, PAGETAP_REASON_NONE, -b->pidfd,
				   "pidfd_open: %s", strerrorname_np(-b->pidfd));
	r = b->pidfd < 0 ? b->pidfd : facts_stat(in->procfd, &now);
	if (r < 0 && r != -ESRCH && r != -ENOENT)
		return failure_set(ret, PAGETAP_PHASE_LOOK, PAGETAP_REASON_PROC, -r,
				   "reading /proc: %s", strerrorname_np(-r));
	if (r < 0) {
		failure_set(ret, PAGETAP_PHASE_LOOK, PAGETAP_REASON_EXITED, 0,
			    "it exited while being looked at");
		failure_conclude(ret, PAGETAP_TARGET_GONE);
		return -ret->error;
	}
	in->pidfd = b->pidfd;
	b->start_time = in->facts.start_time;
	return 0;
}

int pagetap_borrow_start(struct pagetap_borrowing **ret, pid_t pid,
			 const struct pagetap_opts *opts, struct pagetap_failure *ret_failure)
{
	struct pagetap_borrowing *b;
	struct pagetap_opts o;
	struct inject *in;
	int r;

	*ret = NULL;
	failure_clear(ret_failure);
	read_opts(opts, &o);
	r = fault_at(PAGETAP_PHASE_LOOK, getpid());
	if (r < 0)
		return failure_set(ret_failure, PAGETAP_PHASE_LOOK, PAGETAP_REASON_NONE, -r,
				   "look: %s", strerrorname_np(-r));
	b = borrowing_new();
	in = b ? calloc(1, sizeof(*in)) : NULL;
	if (!in) {
		borrowing_free(b);
		return failure_set(ret_failure, PAGETAP_PHASE_FORK, PAGETAP_REASON_NONE, ENOMEM,
				   "out of memory");
	}
	in->pid = pid;
	in->procfd = -1;
	in->flags = o.flags;
	in->timeout_ns = o.timeout_ms * NSEC_PER_MSEC;
	in->progress = b->progress;
	b->limit = clock_now() + (o.timeout_ms + (uint64_t)SLACK_MS) * NSEC_PER_MSEC;
	r = target_look(pid, o.flags, &in->procfd, &in->facts, ret_failure);
	if (!r)
		r = identify(b, in, ret_failure);
	if (!r)
		r = launch(b, in, ret_failure);
	close_fd(&in->procfd);
	free(in);
	if (r < 0) {
		borrowing_free(b);
		return r;
	}
	*ret = b;
	return 0;
}

int pagetap_borrow_fd(const struct pagetap_borrowing *b)
{
	return b->sock;
}

/* The injector is gone without a word. */
static int explain_death(const struct pagetap_borrowing *b, int status,
			 struct pagetap_failure *ret)
{
	const struct progress *p = b->progress;
	enum pagetap_phase phase = (enum pagetap_phase)p->phase;
	const char *name = pagetap_phase_name(p->phase);
	int sig = WIFSIGNALED(status) ? WTERMSIG(status) : 0;

	if (p->bent && !p->netted)
		return failure_damage(ret, phase, EOWNERDEAD,
				      "the injector was killed (signal %d, phase %s) with the "
				      "registers of a thread bent and no net; the target is lost",
				      sig, name ? name : "?");
	failure_set(ret, phase, PAGETAP_REASON_NONE, EOWNERDEAD,
		    "the injector was killed (signal %d, phase %s)", sig, name ? name : "?");
	failure_conclude(ret, p->touched || p->bent ? PAGETAP_TARGET_RESTORED :
						      PAGETAP_TARGET_UNTOUCHED);
	return -EOWNERDEAD;
}

static int reap(pid_t pid)
{
	int status = 0;

	/* __WALL: it has no exit signal. */
	while (waitpid(pid, &status, __WALL) < 0 && errno == EINTR)
		;
	return status;
}

static int await(const struct pagetap_borrowing *b)
{
	struct pollfd p = { .fd = b->sock, .events = POLLIN };

	for (;;) {
		uint64_t now = clock_now();
		int r;

		if (now >= b->limit)
			return -ETIMEDOUT;
		r = poll(&p, 1, (int)((b->limit - now) / NSEC_PER_MSEC) + 1);
		if (r > 0)
			return 0;
		if (r < 0 && errno != EINTR)
			return -errno;
	}
}

static int receive(const struct pagetap_borrowing *b, struct injector_report *ret)
{
	int r = await(b);

	if (r == -ETIMEDOUT)		/* somebody has stopped it; its net holds */
		kill(b->injector, SIGKILL);
	return injector_receive(b->sock, ret);
}

static void lend_out(struct pagetap_borrowing *b, const struct pagetap_loan *from,
		     struct pagetap_loan *ret)
{
	size_t size = ret->size < sizeof(*ret) ? ret->size : sizeof(*ret);
	struct pagetap_loan loan = *from;

	loan.size = ret->size;
	loan.pidfd = steal_fd(&b->pidfd);
	loan.start_time = b->start_time;
	memcpy(ret, &loan, size);
}

int pagetap_borrow_finish(struct pagetap_borrowing *b, struct pagetap_loan *ret,
			  struct pagetap_failure *ret_failure)
{
	struct injector_report report;
	int r, status;

	failure_clear(ret_failure);
	r = receive(b, &report);
	close_fd(&b->sock);
	status = reap(b->injector);
	if (r < 0) {
		r = explain_death(b, status, ret_failure);
	} else if (report.result < 0) {
		r = report.result;
		*ret_failure = report.failure;
	} else {
		lend_out(b, &report.loan, ret);
	}
	borrowing_free(b);
	return r;
}

int pagetap_borrow(pid_t pid, const struct pagetap_opts *opts, struct pagetap_loan *ret,
		   struct pagetap_failure *ret_failure)
{
	struct pagetap_borrowing *b;
	int r = pagetap_borrow_start(&b, pid, opts, ret_failure);

	return b ? pagetap_borrow_finish(b, ret, ret_failure) : r;
}
