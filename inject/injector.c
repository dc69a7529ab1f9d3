/* SPDX-License-Identifier: MIT */
/* Injector: the child process that carries a transaction out. */

#include "injector.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include "compat/sys.h"
#include "failure.h"
#include "procfile.h"

#define TICK_US 10000			/* interrupts waits, so that they can be bounded */

static void on_tick(int sig)
{
	(void)sig;
}

static void set_signals(void)
{
	struct sigaction tick = { .sa_handler = on_tick };
	struct itimerval every = {
		.it_interval = { .tv_usec = TICK_US },
		.it_value = { .tv_usec = TICK_US },
	};
	sigset_t all_but_tick;

	sigaction(SIGALRM, &tick, NULL);
	sigfillset(&all_but_tick);
	sigdelset(&all_but_tick, SIGALRM);
	setitimer(ITIMER_REAL, &every, NULL);
	sigprocmask(SIG_SETMASK, &all_but_tick, NULL);
}

static bool is_kept(int fd, const int *keep, int n)
{
	for (int i = 0; i < n; i++)
		if (keep[i] == fd)
			return true;
	return false;
}

static void close_between(unsigned int from, unsigned int to)
{
	struct procfile_numbers fds;
	int dir, fd;

	if (from > to || !syscall(SYS_close_range, from, to, 0))
		return;
	dir = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return;
	procfile_numbers_init(&fds, dir);
	while (procfile_numbers_next(&fds, &fd) > 0)
		if (fd != dir && (unsigned int)fd >= from && (unsigned int)fd <= to)
			close(fd);
	close(dir);
}

/*
 * A descriptor of the caller that stayed open here would outlive it: the userfaultfds
 * of other targets above all, whose threads are freed only by the last close.
 */
static void close_others(const int *keep, int n)
{
	unsigned int from = 3;

	/* Nothing is printed; should libc try, it must not hit what we open under 0..2. */
	for (int fd = 0; fd < 3; fd++)
		if (!is_kept(fd, keep, n))
			dup2(keep[0], fd);
	for (;;) {
		unsigned int next = ~0u;

		for (int i = 0; i < n; i++)
			if (keep[i] >= 0 && (unsigned int)keep[i] >= from &&
			    (unsigned int)keep[i] < next)
				next = (unsigned int)keep[i];
		if (next == ~0u)
			break;
		if (next > from)
			close_between(from, next - 1);
		from = next + 1;
	}
	close_between(from, ~0u);
}

static void report(int sock, struct inject *in, int result)
{
	struct injector_report r = { .result = result, .failure = in->failure, .loan = in->loan };
	union {
		struct cmsghdr head;
		unsigned char room[CMSG_SPACE(sizeof(int))];
	} control = { .head = { .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET,
				.cmsg_type = SCM_RIGHTS } };
	struct iovec data = { &r, sizeof(r) };
	struct msghdr m = { .msg_iov = &data, .msg_iovlen = 1 };

	if (!result) {
		memcpy(CMSG_DATA(&control.head), &in->loan.uffd, sizeof(int));
		m.msg_control = &control;
		m.msg_controllen = sizeof(control);
	}
	while (sendmsg(sock, &m, MSG_NOSIGNAL) < 0 && errno == EINTR)
		;
}

void injector_main(struct inject *in, int sock)
{
	const int keep[] = { sock, in->procfd, in->pidfd };
	int r, fault;

	setsid();
	set_signals();
	close_others(keep, 3);
	r = inject_run(in);
	fault = progress_enter(in->progress, PAGETAP_PHASE_REPORT);
	if (fault < 0 && !r) {
		r = failure_set(&in->failure, PAGETAP_PHASE_REPORT, PAGETAP_REASON_NONE, -fault,
				"report: %s", strerrorname_np(-fault));
		failure_conclude(&in->failure, PAGETAP_TARGET_RESTORED);
	}
	report(sock, in, r);
	_exit(0);
}

int injector_receive(int sock, struct injector_report *ret)
{
	union {
		struct cmsghdr head;
		unsigned char room[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec data = { ret, sizeof(*ret) };
	struct msghdr m = {
		.msg_iov = &data,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	const struct cmsghdr *c;
	ssize_t n;

	do {
		n = recvmsg(sock, &m, MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n != (ssize_t)sizeof(*ret))
		return -EPIPE;
	c = CMSG_FIRSTHDR(&m);
	ret->loan.uffd = -1;
	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
	    c->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(&ret->loan.uffd, CMSG_DATA(c), sizeof(int));
	if (!ret->result && ret->loan.uffd < 0)
		return -EPIPE;
	return 0;
}
