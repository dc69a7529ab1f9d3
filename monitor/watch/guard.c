/* SPDX-License-Identifier: MIT */
/* Guard, the monitor's side.  See guard.h. */

#include "watch/guard.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "compat/sys.h"

/* The monitor beats at least so often within the limit. */
#define BEATS 4
#define SETTLE_MAX (2 * NSEC_PER_SEC)
#define SETTLE_STEP NSEC_PER_MSEC

struct guard {
	struct guard_page *page;
	size_t len;
	int fd;				/* of the page */
	void (*settle)(void);
	pid_t pid;
	int pidfd;
};

int guard_new(struct guard **ret, uint64_t limit_ns, unsigned int slots, void (*settle)(void))
{
	struct guard *g = calloc(1, sizeof(*g));
	void *p;
	int r;

	if (!g)
		return -ENOMEM;
	g->pidfd = -1;
	g->settle = settle;
	g->len = sizeof(*g->page) + slots * sizeof(g->page->slots[0]);
	g->fd = memfd_create("pagetap-guard", MFD_CLOEXEC);
	if (g->fd < 0 || ftruncate(g->fd, (off_t)g->len) < 0 ||
	    (p = mmap(NULL, g->len, PROT_READ | PROT_WRITE, MAP_SHARED, g->fd, 0)) == MAP_FAILED) {
		r = -errno;
		close_fd(&g->fd);
		free(g);
		return r;
	}
	g->page = p;
	g->page->monitor = getpid();
	g->page->limit_ns = limit_ns;
	g->page->nslots = slots;
	guard_beat(g);
	r = guard_start(g);
	if (r < 0) {
		guard_free(g);
		return r;
	}
	*ret = g;
	return 0;
}

/*
 * A plain clone: no exit signal, so that it never shows in the wait(2) of somebody
 * who waits for a COMMAND, and none of the handlers that other threads' locks would
 * hang.  Every signal stays blocked in it.
 */
int guard_spawn(struct guard_page *page, int monitor, void (*settle)(void), pid_t *ret_pid)
{
	sigset_t all, before;
	int pidfd = -1;
	pid_t pid;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pid = (pid_t)syscall(SYS_clone, CLONE_PIDFD, NULL, &pidfd, NULL, NULL);
	if (!pid)
		guard_main(page, monitor, settle);
	if (pid < 0)
		pid = -errno;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (pid < 0)
		return pid;
	*ret_pid = pid;
	return pidfd;
}

int guard_start(struct guard *g)
{
	_close_ int self = -1;
	int pidfd;
	pid_t pid;

	if (g->pidfd >= 0)
		return 0;
	self = sys_pidfd_open(getpid(), 0);
	if (self < 0)
		return self;
	pidfd = guard_spawn(g->page, self, g->settle, &pid);
	if (pidfd < 0)
		return pidfd;
	guard_adopt(g, pid, pidfd);
	return 0;
}

int guard_page_fd(const struct guard *g)
{
	return g->fd;
}

void guard_adopt(struct guard *g, pid_t pid, int pidfd)
{
	g->pid = pid;
	g->pidfd = pidfd;
	/* Where Yama allows tracing of children only, the child may look at us all the same. */
	prctl(PR_SET_PTRACER, (unsigned long)pid, 0, 0, 0);
}

int guard_fd(const struct guard *g)
{
	return g ? g->pidfd : -1;
}

void guard_reap(struct guard *g)
{
	struct pollfd p = { .fd = guard_fd(g), .events = POLLIN };

	if (p.fd < 0)
		return;
	/* One that another process has started is that one's to reap: we wait all the same. */
	poll(&p, 1, -1);
	close_fd(&g->pidfd);
	/* __WALL: it has no exit signal. */
	while (waitpid(g->pid, NULL, __WALL) < 0 && errno == EINTR)
		;
	/* Its copies have gone with it: what it had begun is over. */
	if (atomic_load(&g->page->releases) & 1)
		atomic_fetch_add(&g->page->releases, 1);
}

static void end_process(struct guard *g)
{
	if (g->pidfd < 0)
		return;
	sys_pidfd_send_signal(g->pidfd, SIGKILL);
	guard_reap(g);
}

struct guard *guard_free(struct guard *g)
{
	if (!g)
		return NULL;
	end_process(g);
	munmap(g->page, g->len);
	close_fd(&g->fd);
	free(g);
	return NULL;
}

void guard_beat(struct guard *g)
{
	if (g)
		atomic_store(&g->page->beat, clock_now());
}

uint64_t guard_period(const struct guard *g)
{
	return g ? g->page->limit_ns / BEATS : UINT64_MAX;
}

unsigned int guard_tell(struct guard *g, int uffd, pid_t pid)
{
	for (unsigned int i = 0; g && i < g->page->nslots; i++) {
		struct guard_slot *slot = &g->page->slots[i];

		if (atomic_load(&slot->number))
			continue;
		atomic_store(&slot->pid, pid);
		atomic_store(&slot->children, 0);
		atomic_store(&slot->number, uffd + 1);
		return i;
	}
	return GUARD_NO_SLOT;
}

void guard_name(struct guard *g, unsigned int slot, pid_t pid)
{
	if (g && slot < g->page->nslots)
		atomic_store(&g->page->slots[slot].pid, pid);
}

void guard_forget(struct guard *g, unsigned int slot)
{
	if (g && slot < g->page->nslots)
		atomic_store(&g->page->slots[slot].number, 0);
}

unsigned int guard_children(struct guard *g, unsigned int slot)
{
	return g && slot < g->page->nslots ?
	       atomic_exchange(&g->page->slots[slot].children, 0) : 0;
}

bool guard_released(const struct guard *g)
{
	return g && atomic_load(&g->page->releases) != atomic_load(&g->page->settled);
}

static bool has_died(const struct guard *g)
{
	struct pollfd p = { .fd = g->pidfd, .events = POLLIN };

	return g->pidfd < 0 || poll(&p, 1, 0) > 0;
}

int guard_settle(struct guard *g, struct guard_stall *ret)
{
	const struct timespec step = { .tv_nsec = SETTLE_STEP };
	uint64_t until = clock_now() + SETTLE_MAX, n;

	*ret = (struct guard_stall){ 0 };
	if (!g)
		return 0;
	while ((n = atomic_load(&g->page->releases)) & 1) {
		guard_beat(g);
		if (has_died(g)) {
			guard_reap(g);
		} else if (clock_now() > until) {
			/* It is stopped itself: with it go the copies that it holds. */
			end_process(g);
			ret->again = true;
		} else {
			nanosleep(&step, NULL);
		}
	}
	if (n == atomic_load(&g->page->settled))
		return 0;
	ret->since = atomic_load(&g->page->since);
	atomic_store(&g->page->settled, n);
	return 1;
}
