/* SPDX-License-Identifier: MIT */
/*
 * Keeper: the end of what was restored.  Its processes are held by descriptors from before
 * they ran, their descendants are found in /proc while they stand still; no number is
 * believed that might be another process's by now.
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "compat/sys.h"
#include "restore/keeper-parts.h"
#include "restore/place.h"

/* For what was killed to be gone: memory of many GiB takes its time. */
#define GONE_NS (20 * NSEC_PER_SEC)
#define NAP_NS (2 * NSEC_PER_MSEC)
/* For criu to notice that it has failed, and to undo what it has done. */
#define GRACE_MS 3000

struct member {
	pid_t pid;
	int pidfd;
	bool ours;		/* its descriptor: to be closed again */
};

struct family {
	struct member *m;
	size_t n, room;
};

static bool has(const struct family *f, pid_t pid)
{
	for (size_t i = 0; i < f->n; i++)
		if (f->m[i].pid == pid)
			return true;
	return false;
}

/*
 * It stands still from now on, or is dead; without memory it is killed now, and may leave children:
 * those that are served are seen by count_alive().
 */
static int add(struct family *f, pid_t pid, int pidfd, bool ours)
{
	const size_t room = f->room ? 2 * f->room : 64;
	struct member *more;

	if (f->n == f->room) {
		more = realloc(f->m, room * sizeof(*f->m));
		if (!more) {
			sys_pidfd_send_signal(pidfd, SIGKILL);
			return -ENOMEM;
		}
		f->m = more;
		f->room = room;
	}
	f->m[f->n++] = (struct member){ .pid = pid, .pidfd = pidfd, .ours = ours };
	sys_pidfd_send_signal(pidfd, SIGSTOP);
	return 0;
}

static ssize_t read_text(const char *path, char *buf, size_t size)
{
	_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t have = 0;
	ssize_t n = 0;

	while (fd >= 0 && have < size - 1 && (n = read(fd, buf + have, size - 1 - have)) > 0)
		have += (size_t)n;
	buf[have] = '\0';
	return fd < 0 || n < 0 ? -1 : (ssize_t)have;
}

/* The fourth field, behind the name, which may hold anything (proc_pid_stat(5)). */
static pid_t parent_of(pid_t pid)
{
	char path[40], text[1024], *at;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	if (read_text(path, text, sizeof(text)) <= 0)
		return -1;
	at = strrchr(text, ')');
	return at && strlen(at) > 4 ? (pid_t)strtol(at + 4, NULL, 10) : -1;
}

/* That it is the child is asked after it has been got hold of. */
static void add_child(struct family *f, pid_t parent, pid_t pid)
{
	int fd;

	if (pid <= 0 || has(f, pid))
		return;
	fd = sys_pidfd_open(pid, 0);
	if (fd < 0)
		return;
	if (parent_of(pid) != parent || add(f, pid, fd, true) < 0)
		close(fd);
}

static void add_children_of(struct family *f, pid_t pid)
{
	char path[300], text[65536];
	_closedir_ DIR *dir = NULL;
	struct dirent *d;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = opendir(path);
	while (dir && (d = readdir(dir))) {
		char *at = text, *end;

		if (d->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/proc/%d/task/%s/children", pid, d->d_name);
		if (read_text(path, text, sizeof(text)) <= 0)
			continue;
		for (long n; (n = strtol(at, &end, 10)) > 0 && end != at; at = end)
			add_child(f, pid, (pid_t)n);
	}
}

static void gather(struct roster_shared *s, struct family *f)
{
	size_t before;

	for (uint32_t i = 0; i < s->nslots; i++) {
		struct roster_slot *slot = &s->slots[i];

		if (slot->state != ROSTER_FREE && slot->pidfd >= 0)
			add(f, slot->host_pid, slot->pidfd, false);
	}
	/* Who had forked before it stood still is found by the next round. */
	do {
		before = f->n;
		for (size_t i = 0; i < f->n; i++)
			add_children_of(f, f->m[i].pid);
	} while (f->n != before);
}

static unsigned int count_alive(struct roster_shared *s)
{
	unsigned int n = 0;

	for (uint32_t i = 0; i < s->nslots; i++) {
		uint32_t state = s->slots[i].state;

		n += (state == ROSTER_SERVED || state == ROSTER_DEAF) &&
		     place_alive(s->slots[i].uffd);
	}
	return n;
}

/*
 * CRIU 4.1 may wait for ever for a process that is killed while it attaches to it.  Whoever
 * is still at the other end is who has connected, so his number is his.
 */
static void end_restore(struct roster_shared *s)
{
	struct handoff_peer *peer = s->chosen >= 0 ? &s->peers[s->chosen] : NULL;
	struct pollfd p = { .events = POLLRDHUP };
	_close_ int fd = -1;

	if (s->resumed_at || !peer || peer->fd < 0)
		return;
	fd = sys_pidfd_open(peer->pid, 0);
	p.fd = peer->fd;
	if (!poll(&p, 1, GRACE_MS) && fd >= 0)
		sys_pidfd_send_signal(fd, SIGKILL);
}

bool keeper_kill(const struct keeper_setup *k, unsigned int *ret_left)
{
	struct roster_shared *s = roster_shared(k->roster);
	struct family f = { 0 };
	uint64_t until;

	gather(s, &f);
	for (size_t i = 0; i < f.n; i++)
		sys_pidfd_send_signal(f.m[i].pidfd, SIGKILL);
	until = clock_now() + GONE_NS;
	/* Only then may a userfaultfd be closed: what is left would read zeroes. */
	while ((*ret_left = count_alive(s)) && clock_now() < until)
		nanosleep(&(struct timespec){ .tv_nsec = NAP_NS }, NULL);
	if (!*ret_left)
		end_restore(s);
	for (size_t i = 0; i < f.n; i++)
		if (f.m[i].ours)
			close(f.m[i].pidfd);
	free(f.m);
	return !*ret_left;
}
