/* SPDX-License-Identifier: MIT */
/* Launch: a COMMAND from fork to its exit status.  See launch.h. */

#include "launch.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "compat/sys.h"
#include "exit.h"

/* A program that has executed stops at once; a page of it may come from a disk. */
#define HOLD_STEP_US 100
#define HOLD_STEPS 20000

static int executable(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return errno == ENOTDIR ? -ENOENT : -errno;
	return S_ISREG(st.st_mode) && !access(path, X_OK) ? 0 : -EACCES;
}

/* As execvp(3) searches: a file that may not be run is passed over, and remembered. */
int launch_find(const char *name)
{
	const char *path = getenv("PATH"), *next;
	char full[PATH_MAX];
	int found = -ENOENT, r;

	if (!*name)
		return -ENOENT;
	if (strchr(name, '/'))
		return executable(name);
	for (path = path ? path : "/bin:/usr/bin"; path; path = next) {
		int len = (int)strcspn(path, ":");

		next = path[len] ? path + len + 1 : NULL;
		r = snprintf(full, sizeof(full), "%.*s%s%s", len, path, len ? "/" : "./", name);
		if (r < 0 || r >= (int)sizeof(full))
			continue;
		r = executable(full);
		if (!r)
			return 0;
		if (r == -EACCES)
			found = r;
	}
	return found;
}

/* Async-signal-safe up to execvp: other threads may exist one day. */
static void be_command(char *const argv[], const sigset_t *mask, int gate, int report)
{
	char go;
	ssize_t n;
	int error;

	do
		n = read(gate, &go, 1);
	while (n < 0 && errno == EINTR);
	if (n != 1)
		_exit(EXIT_COMMAND_FAILED);
	sigprocmask(SIG_SETMASK, mask, NULL);
	execvp(argv[0], argv);
	error = errno;
	n = write(report, &error, sizeof(error));
	_exit(n == sizeof(error) ? EXIT_COMMAND_FAILED : EXIT_RUNTIME);
}

int launch_fork(struct launch *l, char *const argv[], const sigset_t *mask)
{
	_close_ int gate_in = -1, gate_out = -1, report_in = -1, report_out = -1;
	int p[2];
	pid_t pid;

	if (pipe2(p, O_CLOEXEC) < 0)
		return -errno;
	gate_in = p[0];
	gate_out = p[1];
	if (pipe2(p, O_CLOEXEC) < 0)
		return -errno;
	report_in = p[0];
	report_out = p[1];
	pid = fork();
	if (pid < 0)
		return -errno;
	if (!pid) {
		/* Our end of the gate in the child would keep it waiting for ever. */
		close(gate_out);
		be_command(argv, mask, gate_in, report_out);
	}
	l->pid = pid;
	l->pidfd = sys_pidfd_open(pid, 0);
	l->hold = launch_hold(pid);
	l->gate = steal_fd(&gate_out);
	l->report = steal_fd(&report_in);
	return 0;
}

static void reap(struct launch *l, int options)
{
	pid_t r;

	if (l->reaped || !l->pid)
		return;
	do
		r = waitpid(l->pid, &l->status, options);
	while (r < 0 && errno == EINTR);
	l->reaped = r == l->pid || r < 0;
}

/* Stopped, or ended: either way it runs no further. */
static bool stands_still(pid_t pid)
{
	siginfo_t si = { .si_pid = 0 };

	return waitid(P_PID, (id_t)pid, &si, WSTOPPED | WEXITED | WNOHANG | WNOWAIT) < 0 ||
	       si.si_pid;
}

static void await_stop(pid_t pid)
{
	for (int i = 0; i < HOLD_STEPS && !stands_still(pid); i++)
		usleep(HOLD_STEP_US);
}

int launch_exec(struct launch *l)
{
	int error = 0;
	ssize_t n;

	n = write(l->gate, "", 1);
	close_fd(&l->gate);
	if (n != 1)
		return -EPIPE;
	do
		n = read(l->report, &error, sizeof(error));
	while (n < 0 && errno == EINTR);
	close_fd(&l->report);
	if (n) {
		close_fd(&l->hold);
		reap(l, 0);
		return n == sizeof(error) && error > 0 ? -error : -EIO;
	}
	/*
	 * The kernel closes close-on-exec descriptors when the new address space
	 * stands.  This is for where there is no perf event; twice does no harm, a
	 * SIGCONT takes back every stop that has not been acted on.
	 */
	launch_signal(l, SIGSTOP);
	await_stop(l->pid);
	launch_hold_done(&l->hold);
	return 0;
}

/* Through the pidfd: kill(2), which reaches anybody, is forbidden later (sandbox.h). */
void launch_signal(const struct launch *l, int sig)
{
	if (!l->pid || l->reaped)
		return;
	if (l->pidfd < 0 || sys_pidfd_send_signal(l->pidfd, sig) == -ENOSYS)
		kill(l->pid, sig);
}

void launch_go(struct launch *l)
{
	launch_signal(l, SIGCONT);
}

bool launch_ended(struct launch *l)
{
	reap(l, WNOHANG);
	return l->reaped;
}

/* True: SIGINT. */
static bool pass_on(struct launch *l, int signal_fd)
{
	struct signalfd_siginfo si;

	while (read(signal_fd, &si, sizeof(si)) == sizeof(si)) {
		if (si.ssi_signo == SIGINT)
			return true;
		if (si.ssi_signo == SIGTERM || si.ssi_signo == SIGHUP)
			launch_signal(l, (int)si.ssi_signo);
	}
	return false;
}

int launch_wait(struct launch *l, int signal_fd)
{
	struct pollfd p[2] = {
		{ .fd = l->pidfd, .events = POLLIN },
		{ .fd = signal_fd, .events = POLLIN },
	};

	while (!l->reaped) {
		/* Without a pidfd (before 5.3) the wait is a plain one. */
		if (l->pidfd < 0 || p[0].revents) {
			reap(l, 0);
			break;
		}
		if (p[1].revents && pass_on(l, signal_fd))
			return -EINTR;
		if (poll(p, 2, -1) < 0 && errno != EINTR)
			return -errno;
	}
	return 0;
}

void launch_end(struct launch *l)
{
	bool waits = l->gate >= 0;

	close_fd(&l->gate);
	close_fd(&l->report);
	close_fd(&l->hold);
	close_fd(&l->pidfd);
	if (waits)
		reap(l, 0);
}

int launch_status(int error)
{
	switch (-error) {
	case ENOENT:
		return EXIT_COMMAND_NOT_FOUND;
	case EACCES:
	case EPERM:
	case ENOEXEC:
		return EXIT_COMMAND_NOT_EXECUTABLE;
	default:
		return EXIT_COMMAND_FAILED;
	}
}

void launch_die_by(int sig)
{
	struct rlimit none = { 0, 0 };
	sigset_t one;

	setrlimit(RLIMIT_CORE, &none);
	signal(sig, SIG_DFL);
	sigemptyset(&one);
	sigaddset(&one, sig);
	raise(sig);
	sigprocmask(SIG_UNBLOCK, &one, NULL);
}

int launch_finish_like(int wait_status)
{
	if (WIFSIGNALED(wait_status)) {
		launch_die_by(WTERMSIG(wait_status));
		return 128 + WTERMSIG(wait_status);
	}
	return WEXITSTATUS(wait_status);
}
