/* SPDX-License-Identifier: MIT */
/* Witness, threads: the events on each thread, from its first sight to its end. */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "watch/witness-open.h"
#include "watch/witness-parts.h"

#define PASSES_MAX 16
/* So many events of threads that have gone may be kept, or as many as there are others. */
#define PRUNE_ALWAYS 2048
#define PRUNE_MIN 64
#define POLL_MAX 256

void witness_pair_close(struct witness_pair *p)
{
	close_fd(&p->maps);
	close_fd(&p->touches[0]);
	close_fd(&p->touches[1]);
}

static int event_for(const struct witness *w, enum witness_what what, pid_t tid,
		     const struct witness_cpu *c)
{
	const struct witness_want want = {
		.what = what, .tid = tid, .cpu = c->nr, .agent = w->agent, .follow = w->follow,
		.chains = witness_has_chains(w),
	};
	int fd = witness_event_open(&want), r;

	if (fd < 0)
		return fd;
	r = perf_event_to_ring(fd, what == WHAT_MAPS ? &c->maps : &c->touches);
	if (r < 0) {
		close(fd);
		return r;
	}
	return fd;
}

static int room_for(struct witness *w)
{
	size_t room = w->room ? w->room * 2 : 64;
	struct witness_pair *v;

	if (w->nevents < w->room)
		return 0;
	v = realloc(w->events, room * sizeof(*v));
	if (!v)
		return -ENOMEM;
	w->events = v;
	w->room = room;
	return 0;
}

/* Who may not use the tracepoints has the other event: it does not say what was a write. */
static int add_touches(struct witness *w, struct witness_pair *p, const struct witness_cpu *c)
{
	if (w->what == WITNESS_NO_TOUCHES)
		return 0;
	if (w->points) {
		p->touches[0] = event_for(w, WHAT_POINT_USER, p->tid, c);
		p->touches[1] = p->touches[0] < 0 ? p->touches[0] :
				event_for(w, WHAT_POINT_KERNEL, p->tid, c);
		if (p->touches[1] >= 0)
			return 0;
		close_fd(&p->touches[0]);
	}
	w->unsure |= w->what == WITNESS_WRITES && p->touches[1] != -ESRCH;
	p->touches[1] = -1;
	p->touches[0] = event_for(w, WHAT_TOUCHES, p->tid, c);
	return p->touches[0] < 0 ? p->touches[0] : 0;
}

static int add_pair(struct witness *w, pid_t tid, const struct witness_cpu *c)
{
	struct witness_pair p = { .tid = tid, .touches = { -1, -1 } };
	int r = room_for(w);

	if (r < 0)
		return r;
	p.maps = event_for(w, WHAT_MAPS, tid, c);
	if (p.maps < 0)
		return p.maps;
	r = add_touches(w, &p, c);
	if (r < 0) {
		witness_pair_close(&p);
		return r;
	}
	w->events[w->nevents++] = p;
	return 0;
}

static bool has(const struct witness *w, size_t since, pid_t tid)
{
	/* Threads are listed in the order of their numbers: the last ones first. */
	for (size_t i = w->nevents; i > since; i--)
		if (w->events[i - 1].tid == tid)
			return true;
	return false;
}

/* ESRCH: the thread has gone meanwhile.  A CPU that has gone offline says ENODEV. */
static int add_thread(struct witness *w, pid_t tid)
{
	int r = 0;

	for (unsigned int i = 0; i < w->ncpus && !r; i++) {
		r = add_pair(w, tid, &w->cpus[i]);
		if (r == -ENODEV)
			r = 0;
	}
	return r == -ESRCH ? 0 : r;
}

/* One listing.  Returns the number of threads that were new. */
static int64_t add_listed(struct witness *w, DIR *d, size_t since)
{
	const struct dirent *e;
	int64_t added = 0;

	rewinddir(d);
	while ((e = readdir(d))) {
		pid_t tid = (pid_t)strtol(e->d_name, NULL, 10);
		int r;

		if (tid <= 0 || has(w, since, tid))
			continue;
		r = add_thread(w, tid);
		if (r < 0)
			return r;
		added++;
	}
	return added;
}

/*
 * A thread that was made by one that has its event inherits it, and may be listed all
 * the same: then each fault of it is told twice, at nearly the same time.  Whoever
 * takes the events must not mind.
 */
int witness_add(struct witness *w, int taskfd)
{
	int fd = openat(taskfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	size_t since = w->nevents;
	int64_t n = 1;

	if (!d) {
		if (fd >= 0)
			close(fd);
		return -ESRCH;
	}
	for (int i = 0; i < PASSES_MAX && n > 0; i++)
		n = add_listed(w, d, since);
	closedir(d);
	return n < 0 ? (int)n : 0;
}

#define FDS 3	/* of a pair of events */

/* Its thread has exited, and none that inherited it is left: nothing comes any more. */
static bool is_over(const struct pollfd *p)
{
	for (int i = 0; i < FDS; i++)
		if (p[i].fd >= 0 && !(p[i].revents & POLLHUP))
			return false;
	return true;
}

uint64_t witness_pair_lost(const struct witness_pair *e)
{
	return perf_event_lost(e->touches[0]) +
	       (e->touches[1] < 0 ? 0 : perf_event_lost(e->touches[1]));
}

/* Those of [from, from + n) that are not over move to *to. */
static int prune_some(struct witness *w, size_t from, size_t n, size_t *to)
{
	struct pollfd p[FDS * POLL_MAX];

	for (size_t i = 0; i < n; i++) {
		p[FDS * i] = (struct pollfd){ .fd = w->events[from + i].maps };
		p[FDS * i + 1] = (struct pollfd){ .fd = w->events[from + i].touches[0] };
		p[FDS * i + 2] = (struct pollfd){ .fd = w->events[from + i].touches[1] };
	}
	if (poll(p, FDS * n, 0) < 0)
		return -errno;
	for (size_t i = 0; i < n; i++) {
		struct witness_pair *e = &w->events[from + i];

		if (!is_over(&p[FDS * i])) {
			w->events[(*to)++] = *e;
			continue;
		}
		w->gone_maps += perf_event_lost(e->maps);
		w->gone_touches += witness_pair_lost(e);
		witness_pair_close(e);
	}
	return 0;
}

bool witness_prune(struct witness *w)
{
	size_t from = 0, to = 0, n;

	/* A poll of some thousand descriptors is quick; more are looked at when they doubled. */
	if (w->nevents > PRUNE_ALWAYS && w->nevents < w->prune_at)
		return false;
	for (; from < w->nevents; from += n) {
		n = w->nevents - from < POLL_MAX ? w->nevents - from : POLL_MAX;
		if (prune_some(w, from, n, &to) < 0)
			for (size_t i = 0; i < n; i++)
				w->events[to++] = w->events[from + i];
	}
	w->nevents = to;
	w->prune_at = 2 * to + PRUNE_MIN;
	return true;
}
