/* SPDX-License-Identifier: MIT */
/* Restore crew: forks, execs and ends.  See restore-crew.h. */

#include "restore-crew.h"

#include <errno.h>
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "compat/sys.h"

/* Killed processes go at once, but for the time that the kernel takes for their memory. */
#define UNDO_STEP_MS 10
#define UNDO_STEPS 1000

static void be_pager(int (*run)(void *arg, int ready), void *arg, int ready, int words)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	/* Of our death it learns by an error of write(2), if at all. */
	signal(SIGPIPE, SIG_IGN);
	setpgid(0, 0);
	if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0 ||
	    dup2(words, STDERR_FILENO) < 0)
		_exit(1);
	close(null);
	close(words);
	_exit(run(arg, ready));
}

int crew_start_pager(struct crew *c, int (*run)(void *arg, int ready), void *arg)
{
	_close_ int words = -1, ready = -1;
	int p[2];
	pid_t pid;

	if (pipe2(p, O_CLOEXEC) < 0)
		return -errno;
	c->words = p[0];
	words = p[1];
	fcntl(c->words, F_SETFL, O_NONBLOCK);
	if (pipe2(p, O_CLOEXEC) < 0)
		return -errno;
	c->ready = p[0];
	ready = p[1];
	/* What is buffered would be written twice. */
	fflush(NULL);
	pid = fork();
	if (pid < 0)
		return -errno;
	if (!pid) {
		close(c->words);
		close(c->ready);
		be_pager(run, arg, steal_fd(&ready), steal_fd(&words));
	}
	c->pager.pid = pid;
	c->pager.fd = sys_pidfd_open(pid, 0);
	return c->pager.fd < 0 ? c->pager.fd : 0;
}

int crew_start_criu(struct crew *c, char *const argv[], const sigset_t *mask, bool quiet)
{
	_close_ int report_in = -1, report_out = -1;
	sigset_t blocked = *mask;
	int p[2], error = 0;
	ssize_t n;
	pid_t pid;

	if (pipe2(p, O_CLOEXEC) < 0)
		return -errno;
	report_in = p[0];
	report_out = p[1];
	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	sigaddset(&blocked, SIGINT);
	sigaddset(&blocked, SIGTSTP);
	pid = fork();
	if (pid < 0)
		return -errno;
	if (!pid) {
		sigprocmask(SIG_SETMASK, &blocked, NULL);
		if (quiet)
			dup2(STDERR_FILENO, STDOUT_FILENO);
		execvp(argv[0], argv);
		error = errno;
		n = write(report_out, &error, sizeof(error));
		_exit(n == sizeof(error) ? 127 : 1);
	}
	c->criu.pid = pid;
	c->criu.fd = sys_pidfd_open(pid, 0);
	close_fd(&report_out);
	do
		n = read(report_in, &error, sizeof(error));
	while (n < 0 && errno == EINTR);
	return n == sizeof(error) ? -error : c->criu.fd < 0 ? c->criu.fd : 0;
}

static void has_ended(struct crew_member *m, pid_t pid, int status)
{
	if (!m->pid || m->pid != pid || m->ended)
		return;
	m->ended = true;
	m->status = status;
}

void crew_reap(struct crew *c)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		has_ended(&c->pager, pid, status);
		has_ended(&c->criu, pid, status);
	}
}

void crew_signal(const struct crew_member *m, int sig)
{
	if (m->pid && !m->ended && m->fd >= 0)
		sys_pidfd_send_signal(m->fd, sig);
}

bool crew_await(struct crew *c, const struct crew_member *m, int ms)
{
	struct pollfd p = { .fd = m->fd, .events = POLLIN };

	if (m->pid && !m->ended && m->fd >= 0)
		poll(&p, 1, ms);
	crew_reap(c);
	return !m->pid || m->ended;
}

static unsigned int kill_children(const struct crew *c, pid_t parent);

static unsigned int kill_children_of_thread(const struct crew *c, const char *path)
{
	_fclose_ FILE *f = fopen(path, "re");
	unsigned int n = 0;
	int child;

	while (f && fscanf(f, "%d", &child) == 1) {
		if (child == c->pager.pid)
			continue;
		n += kill_children(c, child) + 1;
		kill(child, SIGKILL);
	}
	return n;
}

/* Kill the descendants of a process, but the pager's; how many there were. */
static unsigned int kill_children(const struct crew *c, pid_t parent)
{
	char path[sizeof("/proc//task//children") + 2 * 256];
	_closedir_ DIR *threads = NULL;
	unsigned int n = 0;
	struct dirent *e;

	snprintf(path, sizeof(path), "/proc/%d/task", parent);
	threads = opendir(path);
	while (threads && (e = readdir(threads))) {
		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/proc/%d/task/%s/children", parent, e->d_name);
		n += kill_children_of_thread(c, path);
	}
	return n;
}

unsigned int crew_undo(struct crew *c)
{
	unsigned int left = 0;

	/* Orphans become our children; so none is left out for long. */
	for (int i = 0; i < UNDO_STEPS; i++) {
		left = kill_children(c, getpid());
		if (!left)
			break;
		poll(NULL, 0, UNDO_STEP_MS);
		crew_reap(c);
	}
	crew_reap(c);
	crew_let_go();
	return left;
}

void crew_let_go(void)
{
	prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0);
}

void crew_close(struct crew *c)
{
	close_fd(&c->pager.fd);
	close_fd(&c->criu.fd);
	close_fd(&c->words);
	close_fd(&c->ready);
}
