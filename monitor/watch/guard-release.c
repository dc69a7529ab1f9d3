/* SPDX-License-Identifier: MIT */
/*
 * Guard, one round of releasing.
 *
 * The monitor's descriptor table says which userfaultfds there are, the shared page
 * whose memory each is on.  Reading lets go who waits for an event to be read (fork,
 * munmap, mremap, madvise); a fork's message installs the child's userfaultfd here,
 * the only copy, and closing it frees the child.  Unregistering lifts protection; a
 * last wake lets go who waits for an answer.  What moved meanwhile is found in the
 * next pass.  Allocates nothing: see guard-process.c.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "compat/sys.h"
#include "watch/event.h"
#include "watch/guard.h"
#include "watch/uffd.h"
#include "watch/watchable.h"

#define PASSES 8
#define BATCH 64
#define BATCHES 64
/* Threads in an event wait shall not wait for the end of a long list of mappings. */
#define DRAIN_EACH 64
#define STRANGERS 1024
#define ADDRESS_BITS_MAX 56
#define ADDRESS_BITS_MIN 38
#define LOWEST UINT64_C(65536)		/* vm.mmap_min_addr, as it is by default */

/* Processes that may be the ones of userfaultfds without a name; found once a round. */
static pid_t strangers[STRANGERS];
static unsigned int nstrangers;

struct round {
	struct guard_page *page;
	int monitor;
	int messages;
	bool have_strangers;
};

/* One userfaultfd of the monitor. */
struct held {
	struct round *round;
	struct guard_slot *slot;	/* NULL: not in the page */
	int fd;				/* our copy */
	pid_t pid;			/* 0: not known */
};

/* ---- directories of numbers -------------------------------------------------- */

struct numbers {
	int dir;
	char buf[4096] __attribute__((aligned(8)));
	long len, at;
};

/* 1 and a number, 0 at the end, or -errno. */
static int numbers_next(struct numbers *n, int *ret)
{
	for (;;) {
		struct dirent64 *d = (struct dirent64 *)(n->buf + n->at);
		char *end;
		long v;

		if (n->at >= n->len) {
			n->at = 0;
			n->len = syscall(SYS_getdents64, n->dir, n->buf, sizeof(n->buf));
			if (n->len <= 0)
				return n->len < 0 ? -errno : 0;
			continue;
		}
		n->at += d->d_reclen;
		v = strtol(d->d_name, &end, 10);
		if (*end || end == d->d_name)
			continue;
		*ret = (int)v;
		return 1;
	}
}

/* ---- processes --------------------------------------------------------------- */

static struct guard_slot *slot_of(struct guard_page *p, int number)
{
	for (unsigned int i = 0; i < p->nslots; i++)
		if (atomic_load(&p->slots[i].number) == number + 1)
			return &p->slots[i];
	return NULL;
}

static bool is_target(struct guard_page *p, pid_t pid)
{
	for (unsigned int i = 0; i < p->nslots; i++)
		if (atomic_load(&p->slots[i].number) && atomic_load(&p->slots[i].pid) == pid)
			return true;
	return false;
}

static bool any_target(struct guard_page *p)
{
	for (unsigned int i = 0; i < p->nslots; i++)
		if (atomic_load(&p->slots[i].number))
			return true;
	return false;
}

/* Field 4 of proc_pid_stat(5); 0 if it has gone. */
static pid_t parent_of(pid_t pid)
{
	char path[32], buf[512], *p;
	_close_ int fd = -1;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, buf, sizeof(buf) - 1);
	if (n <= 0)
		return 0;
	buf[n] = '\0';
	p = strrchr(buf, ')');
	return p && p[1] && p[2] ? (pid_t)strtol(p + 3, NULL, 10) : 0;
}

static bool is_stranger(pid_t pid)
{
	for (unsigned int i = 0; i < nstrangers; i++)
		if (strangers[i] == pid)
			return true;
	return false;
}

/* Descendants of targets that are none themselves.  Parents come first in /proc, mostly. */
static void find_strangers(struct round *r)
{
	_close_ int dir = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct numbers n = { .dir = dir };
	int pid;

	if (r->have_strangers)
		return;
	r->have_strangers = true;
	nstrangers = 0;
	while (dir >= 0 && nstrangers < STRANGERS && numbers_next(&n, &pid) > 0)
		if (!is_target(r->page, pid)) {
			pid_t parent = parent_of(pid);

			if (parent > 1 && (is_target(r->page, parent) || is_stranger(parent)))
				strangers[nstrangers++] = pid;
		}
}

/* ---- one userfaultfd --------------------------------------------------------- */

/* Reads what waits.  Returns the number of messages. */
static int drain(struct held *h)
{
	struct uffd_msg msgs[BATCH];
	struct event ev;
	int total = 0;

	for (int i = 0; i < BATCHES; i++) {
		int64_t n = uffd_read(h->fd, msgs, BATCH);

		if (n <= 0)
			break;
		n /= (int64_t)sizeof(msgs[0]);
		for (int64_t m = 0; m < n; m++) {
			if (event_decode(&msgs[m], sizeof(msgs[m]), &ev) < 0 ||
			    ev.kind != EVENT_FORK)
				continue;
			close(ev.fork.fd);
			if (h->slot)
				atomic_fetch_add(&h->slot->children, 1);
		}
		total += (int)n;
	}
	h->round->messages += total;
	return total;
}

/*
 * Registering again tells whose a mapping is: EBUSY, another's, and kernels before
 * 6.15 would let us unregister that one; EINVAL, nobody's.  Where it was ours it
 * changes nothing.
 */
static void unregister(int fd, struct range r)
{
	int e = uffd_register(fd, r, WATCH_MODE_WRITE);

	if (e == -EINVAL)
		e = uffd_register(fd, r, WATCH_MODE_MISSING);
	if (!e)
		uffd_unregister(fd, r);
}

/* "lo-hi ..." of one line of the maps; false: no such line, or not of user space. */
static bool parse_line(const char *line, struct range *ret)
{
	char *end;

	ret->lo = strtoull(line, &end, 16);
	if (*end != '-')
		return false;
	ret->hi = strtoull(end + 1, &end, 16);
	return *end == ' ' && !range_empty(*ret) && !(ret->hi >> 63);
}

/*
 * Wake all who wait for an answer, wherever.  The kernel takes no range beyond the end
 * of user space, which differs by machine.  Who was read and not woken would never be
 * seen again; who is woken and not released faults again, and is.
 */
static void wake_all(int fd)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);

	for (int bits = ADDRESS_BITS_MAX; bits >= ADDRESS_BITS_MIN; bits--)
		if (!uffd_wake(fd, (struct range){ LOWEST, (UINT64_C(1) << bits) - page }))
			break;
}

/* Unregister what the maps of `pid` show. */
static void unregister_all(struct held *h, pid_t pid)
{
	char buf[16384], path[32], *line, *next;
	struct range r;
	_close_ int fd = -1;
	unsigned int count = 0;
	size_t have = 0;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	while (fd >= 0 && (n = read(fd, buf + have, sizeof(buf) - 1 - have)) > 0) {
		have += (size_t)n;
		buf[have] = '\0';
		for (line = buf; (next = strchr(line, '\n')); line = next + 1) {
			if (!parse_line(line, &r))
				continue;
			unregister(h->fd, r);
			if (++count % DRAIN_EACH == 0)
				drain(h);
		}
		have -= (size_t)(line - buf);
		memmove(buf, line, have);
		if (have == sizeof(buf) - 1)
			have = 0;	/* no path is that long */
	}
}

static void release_one(struct held *h)
{
	drain(h);
	for (int pass = 0; pass < PASSES; pass++) {
		if (h->pid)
			unregister_all(h, h->pid);
		else
			find_strangers(h->round);
		for (unsigned int i = 0; !h->pid && i < nstrangers; i++)
			unregister_all(h, strangers[i]);
		wake_all(h->fd);
		/* Nobody came while we were at it: so nothing is registered any more. */
		if (!drain(h))
			return;
	}
	wake_all(h->fd);
}

/* ---- the monitor ------------------------------------------------------------- */

static bool is_uffd(const char *dir, int fd)
{
	char path[64], to[64];
	ssize_t n;

	snprintf(path, sizeof(path), "%s/%d", dir, fd);
	n = readlink(path, to, sizeof(to) - 1);
	if (n <= 0)
		return false;
	to[n] = '\0';
	return !strcmp(to, "anon_inode:[userfaultfd]");
}

/* The monitor may be running again: what the copy is counts, not what the number was. */
static int copy_of(struct round *r, int number, struct held *ret)
{
	int fd = sys_pidfd_getfd(r->monitor, number);

	if (fd < 0)
		return fd;
	if (!is_uffd("/proc/self/fd", fd)) {
		close(fd);
		return -EBADF;
	}
	*ret = (struct held){ .round = r, .fd = fd, .slot = slot_of(r->page, number) };
	if (ret->slot)
		ret->pid = atomic_load(&ret->slot->pid);
	return 0;
}

/* Calls `with` for each userfaultfd of the monitor.  -ENOENT: it watches nobody. */
static int each_held(struct round *r, void (*with)(struct held *))
{
	struct numbers n = { .dir = -1 };
	_close_ int dir = -1;
	char path[32];
	int number, e;

	if (!any_target(r->page))
		return -ENOENT;
	snprintf(path, sizeof(path), "/proc/%d/fd", r->page->monitor);
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	n.dir = dir;
	while ((e = numbers_next(&n, &number)) > 0) {
		struct held h;

		if (!is_uffd(path, number))
			continue;
		e = copy_of(r, number, &h);
		if (e == -EBADF)
			continue;
		if (e < 0)
			return e;
		with(&h);
		close(h.fd);
	}
	return e;
}

int guard_release(struct guard_page *page, int monitor)
{
	struct round r = { .page = page, .monitor = monitor };
	int e = each_held(&r, release_one);

	return e < 0 ? e : r.messages;
}

static void look_at(struct held *h)
{
	struct pollfd p = { .fd = h->fd, .events = POLLIN };

	if (poll(&p, 1, 0) > 0 && (p.revents & POLLIN))
		h->round->messages++;
}

int guard_waiting(struct guard_page *page, int monitor)
{
	struct round r = { .page = page, .monitor = monitor };
	int e = each_held(&r, look_at);

	return e < 0 ? e : r.messages > 0;
}
