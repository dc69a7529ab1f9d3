/* SPDX-License-Identifier: MIT */
/* Sweep: copies of our descriptors in processes forked while they were open. */

#include "sweep.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "compat/sys.h"
#include "facts.h"
#include "net.h"
#include "procfile.h"
#include "remote.h"

#define HANG_UP_MS 5
#define SWEEP_MAX (5 * NSEC_PER_SEC)
#define KCMP_FILE 0			/* <linux/kcmp.h> */

uint64_t sweep_now(void)
{
	uint64_t hz = (uint64_t)sysconf(_SC_CLK_TCK);
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (uint64_t)ts.tv_sec * hz + (uint64_t)ts.tv_nsec / (NSEC_PER_SEC / hz);
}

static bool hung_up(const struct handover *h, int ms)
{
	struct pollfd p = { .fd = h->socket, .events = POLLIN };
	uint64_t until = clock_now() + (uint64_t)ms * NSEC_PER_MSEC;

	do {
		if (poll(&p, 1, ms) > 0)
			return p.revents & POLLHUP;
	} while (clock_now() < until);		/* our own timer interrupts */
	return false;
}

static bool same_file(pid_t pid, int theirs, int ours)
{
	return ours >= 0 && !syscall(SYS_kcmp, getpid(), pid, KCMP_FILE, ours, theirs);
}

/* Ours, or made for us?  By identity, since a child may have userfaultfds of its own. */
static bool is_copy(const struct handover *h, pid_t pid, int fd, const char *link)
{
	struct stat st;
	uint64_t ino;

	if (!strncmp(link, "socket:[", 8)) {
		if (!procfile_number(link + 8, 10, &ino, NULL))
			return false;
		return (h->far && ino == h->far) ||
		       (!fstat(h->socket, &st) && ino == st.st_ino);
	}
	if (!strcmp(link, "anon_inode:[userfaultfd]"))
		return same_file(pid, fd, h->uffd);
	return !strcmp(link, "/dev/userfaultfd") && same_file(pid, fd, h->device);
}

static unsigned int find_copies(const struct handover *h, int procfd, pid_t pid,
				int ret[ARCH_NET_FDS])
{
	_close_ int dir = openat(procfd, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct procfile_numbers fds;
	char name[16], link[64];
	unsigned int n = 0;
	int fd;

	if (dir < 0)
		return 0;
	procfile_numbers_init(&fds, dir);
	while (n < ARCH_NET_FDS && procfile_numbers_next(&fds, &fd) > 0) {
		snprintf(name, sizeof(name), "%d", fd);
		if (procfile_link(dir, name, link, sizeof(link)) > 0 &&
		    is_copy(h, pid, fd, link))
			ret[n++] = fd;
	}
	return n;
}

static int close_copies(struct visit *v, const struct facts *f, int procfd, const int *fds,
			unsigned int n)
{
	_close_ int pidfd = sys_pidfd_open(f->pid, 0);
	struct choose candidates;
	uint64_t stood;
	int r;

	v->shadow_stack = f->shadow_stack;
	v->self = f->own_pid;
	v->alone = f->threads == 1;
	v->patience = NSEC_PER_SEC;
	r = visit_prepare(v, procfd);
	if (!r)
		r = choose_threads(procfd, f->pid, &v->memory, &candidates);
	if (!r)
		r = visit_open(v, procfd, pidfd, f->start_time, &candidates);
	if (!r)
		r = net_hang(v);
	for (unsigned int i = 0; !r && i < n; i++)
		r = net_hold(v, i, fds[i]);
	for (unsigned int i = 0; !r && i < n; i++)
		r = remote_close(v, i);
	if (visit_close(v, &stood) < 0 && !r)
		r = -EIO;
	visit_done(v);
	return r;
}

/* How many copies there were. */
static unsigned int look_into(const struct handover *h, struct visit *v, pid_t pid, uint64_t since)
{
	struct facts f = { 0 };
	int fds[ARCH_NET_FDS];
	_close_ int procfd = -1;
	unsigned int n;
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d", pid);
	procfd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (procfd < 0 || facts_stat(procfd, &f) < 0 || f.start_time < since)
		return 0;
	n = find_copies(h, procfd, pid, fds);
	if (n && v && !facts_gather(procfd, pid, false, &f))
		close_copies(v, &f, procfd, fds, n);
	return n;
}

static unsigned int look_everywhere(const struct handover *h, struct visit *v, pid_t target,
				    uint64_t since)
{
	_close_ int dir = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct procfile_numbers pids;
	unsigned int n = look_into(h, NULL, target, 0);
	pid_t self = getpid();
	int pid;

	if (dir < 0)
		return n + 1;
	procfile_numbers_init(&pids, dir);
	while (procfile_numbers_next(&pids, &pid) > 0)
		if (pid != target && pid != self)
			n += look_into(h, v, pid, since);
	return n;
}

int sweep(const struct handover *h, struct visit *v, pid_t pid, uint64_t since)
{
	uint64_t until = clock_now() + SWEEP_MAX;
	struct pagetap_failure unused = { 0 }, *kept = v->failure;
	unsigned int found = 0;
	bool done;

	/* Failures in a child that exits meanwhile are none of the target's. */
	v->failure = &unused;
	v->progress->nested = true;
	while (!(done = hung_up(h, HANG_UP_MS)) && clock_now() < until) {
		unused.error = 0;
		found = look_everywhere(h, v, pid, since);
	}
	v->progress->nested = false;
	v->failure = kept;
	/*
	 * In nobody's table, and open all the same: close(2) leaves the rest to its thread's way
	 * back to user mode (task_work, fs/file_table.c), which may have no processor yet.
	 */
	return done || !found ? 0 : -EBUSY;
}
