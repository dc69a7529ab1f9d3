/* SPDX-License-Identifier: MIT */
/* Witness: events on threads, rings on CPUs.  See witness.h. */

#include "watch/witness.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "watch/perf-points.h"
#include "watch/perf.h"
#include "watch/witness-open.h"

#define CPUS_MAX 4096
#define MAPS_RING (64u << 10)
#define TOUCHES_RING (256u << 10)
/*
 * With chains of 16 frames a sample is 190 bytes, and 300,000 a second fill 4 MiB in
 * 70 ms: long enough for a monitor that shares the CPU with its target.
 */
#define CHAINS_RING (4u << 20)
#define CHAINS_ALL (32u << 20)	/* of all CPUs together */
#define PASSES_MAX 16
/* So many events of threads that have gone may be kept, or as many as there are others. */
#define PRUNE_ALWAYS 2048
#define PRUNE_MIN 64
#define POLL_MAX 256

struct cpu {
	int nr;
	struct perf_ring maps, touches;
	uint64_t seen;		/* head of touches, when witness_busiest() was asked last */
};

struct event_pair {
	pid_t tid;
	int maps;		/* descriptors; -1: none */
	int touches[2];		/* all of them, or those of the program and of the kernel */
};

struct witness {
	struct cpu *cpus;
	unsigned int ncpus;
	struct event_pair *events;	/* a thread and CPU each */
	size_t nevents, room, prune_at;
	struct agent *agent;		/* borrowed; may be NULL */
	int epoll;
	enum witness_touches what;
	bool follow, full;
	bool points, unsure;	/* of page faults there are, and could not be used */
	uint64_t lost_maps, lost_touches;	/* told so far */
	uint64_t gone_maps, gone_touches;	/* lost by events that were closed */
};

/* "0-3,5": cpus(4) of sysfs, Documentation/admin-guide/cputopology.rst. */
static unsigned int online_cpus(int *ret, unsigned int max)
{
	FILE *f = fopen("/sys/devices/system/cpu/online", "re");
	unsigned int n = 0;
	int lo, hi;
	char sep;

	while (f && fscanf(f, "%d", &lo) == 1) {
		hi = lo;
		if (fscanf(f, "%c", &sep) == 1 && sep == '-') {
			if (fscanf(f, "%d", &hi) != 1 || fscanf(f, "%c", &sep) != 1)
				sep = '\n';
		}
		for (; lo <= hi && n < max; lo++)
			ret[n++] = lo;
		if (sep != ',')
			break;
	}
	if (f)
		fclose(f);
	if (!n)
		for (long i = 0; i < sysconf(_SC_NPROCESSORS_ONLN) && n < max; i++)
			ret[n++] = (int)i;
	return n;
}

static bool has_chains(const struct witness *w)
{
	return w->what == WITNESS_CHAINS || w->what == WITNESS_WRITES;
}

static size_t touches_ring(const struct witness *w)
{
	size_t bytes = CHAINS_RING;

	if (!has_chains(w))
		return TOUCHES_RING;
	while (bytes > TOUCHES_RING && bytes * w->ncpus > CHAINS_ALL)
		bytes /= 2;
	return bytes;
}

/* -EPERM: more than who has no CAP_IPC_LOCK may lock (perf_event_mlock_kb). */
static int open_touches(struct witness *w, struct cpu *c)
{
	size_t bytes = touches_ring(w);
	unsigned int share = has_chains(w) ? 4 : 2;
	int r;

	do {
		r = perf_ring_open(&c->touches, c->nr, bytes, (uint32_t)(bytes / share));
		bytes /= 2;
	} while (r == -EPERM && bytes >= TOUCHES_RING);
	return r;
}

static int open_cpu(struct witness *w, struct cpu *c)
{
	struct epoll_event ev = { .events = EPOLLIN };
	int r;

	r = perf_ring_open(&c->maps, c->nr, MAPS_RING, 1);
	if (!r)
		r = open_touches(w, c);
	if (!r && epoll_ctl(w->epoll, EPOLL_CTL_ADD, c->maps.fd, &ev) < 0)
		r = -errno;
	if (!r && epoll_ctl(w->epoll, EPOLL_CTL_ADD, c->touches.fd, &ev) < 0)
		r = -errno;
	return r;
}

int witness_open(struct witness **ret, bool follow, enum witness_touches touches,
		 struct agent *agent)
{
	struct witness *w = calloc(1, sizeof(*w));
	int *nrs = calloc(CPUS_MAX, sizeof(*nrs)), r = -ENOMEM;
	uint64_t config;

	if (!w || !nrs)
		goto out;
	w->follow = follow;
	w->what = touches;
	w->prune_at = PRUNE_MIN;
	if (touches == WITNESS_WRITES) {
		perf_points_look();
		w->points = perf_point_of(PERF_POINT_USER, &config);
	}
	w->agent = agent;
	w->ncpus = online_cpus(nrs, CPUS_MAX);
	w->cpus = calloc(w->ncpus, sizeof(*w->cpus));
	w->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (!w->cpus || w->epoll < 0) {
		r = w->cpus ? -errno : -ENOMEM;
		goto out;
	}
	for (unsigned int i = 0; i < w->ncpus; i++)
		w->cpus[i] = (struct cpu){ nrs[i], PERF_RING_NULL, PERF_RING_NULL, 0 };
	r = 0;
	for (unsigned int i = 0; i < w->ncpus && !r; i++)
		r = open_cpu(w, &w->cpus[i]);
out:
	free(nrs);
	if (r < 0) {
		witness_close(w);
		return r;
	}
	*ret = w;
	return 0;
}

static void close_pair(struct event_pair *p)
{
	close_fd(&p->maps);
	close_fd(&p->touches[0]);
	close_fd(&p->touches[1]);
}

struct witness *witness_close(struct witness *w)
{
	if (!w)
		return NULL;
	for (size_t i = 0; i < w->nevents; i++)
		close_pair(&w->events[i]);
	for (unsigned int i = 0; w->cpus && i < w->ncpus; i++) {
		perf_ring_close(&w->cpus[i].maps);
		perf_ring_close(&w->cpus[i].touches);
	}
	if (w->cpus)
		close_fd(&w->epoll);
	free(w->cpus);
	free(w->events);
	free(w);
	return NULL;
}

bool witness_unsure(const struct witness *w)
{
	return w->unsure;
}

int witness_fd(const struct witness *w)
{
	return w->epoll;
}

static int event_for(const struct witness *w, enum witness_what what, pid_t tid,
		     const struct cpu *c)
{
	const struct witness_want want = {
		.what = what, .tid = tid, .cpu = c->nr, .agent = w->agent, .follow = w->follow,
		.chains = has_chains(w),
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
	struct event_pair *v;

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
static int add_touches(struct witness *w, struct event_pair *p, const struct cpu *c)
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

static int add_pair(struct witness *w, pid_t tid, const struct cpu *c)
{
	struct event_pair p = { .tid = tid, .touches = { -1, -1 } };
	int r = room_for(w);

	if (r < 0)
		return r;
	p.maps = event_for(w, WHAT_MAPS, tid, c);
	if (p.maps < 0)
		return p.maps;
	r = add_touches(w, &p, c);
	if (r < 0) {
		close_pair(&p);
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

static uint64_t lost_touches(const struct event_pair *e)
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
		struct event_pair *e = &w->events[from + i];

		if (!is_over(&p[FDS * i])) {
			w->events[(*to)++] = *e;
			continue;
		}
		w->gone_maps += perf_event_lost(e->maps);
		w->gone_touches += lost_touches(e);
		close_pair(e);
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

struct taker {
	void (*take)(void *arg, const struct witness_event *ev);
	void *arg;
};

static void on_record(void *arg, const void *record, size_t len)
{
	const struct taker *t = arg;
	struct witness_event ev;

	if (!witness_decode(record, len, &ev) && ev.kind != WITNESS_OTHER)
		t->take(t->arg, &ev);
}

static void read_ring(struct witness *w, struct perf_ring *r, struct taker *t)
{
	/* A record with a path can take 4 KiB: with less room than that one may be lost. */
	if (perf_ring_read(r, on_record, t) > r->bytes - r->bytes / 8)
		w->full = true;
}

void witness_read(struct witness *w, void (*take)(void *arg, const struct witness_event *ev),
		  void *arg)
{
	struct taker t = { take, arg };

	for (unsigned int i = 0; i < w->ncpus; i++)
		read_ring(w, &w->cpus[i].maps, &t);
}

void witness_read_touches(struct witness *w,
			  void (*take)(void *arg, const struct witness_event *ev), void *arg)
{
	struct taker t = { take, arg };

	for (unsigned int i = 0; i < w->ncpus; i++)
		read_ring(w, &w->cpus[i].touches, &t);
}

int witness_busiest(struct witness *w)
{
	uint64_t all = 0, most = 0;
	int nr = -1;

	for (unsigned int i = 0; i < w->ncpus; i++) {
		struct cpu *c = &w->cpus[i];
		uint64_t head = perf_ring_head(&c->touches), bytes = head - c->seen;

		c->seen = head;
		all += bytes;
		if (bytes > most) {
			most = bytes;
			nr = c->nr;
		}
	}
	return most > all - most ? nr : -1;
}

uint64_t witness_lost(struct witness *w, bool sure, uint64_t *ret_maps)
{
	uint64_t maps = w->gone_maps, touches = w->gone_touches, before = w->lost_touches;

	*ret_maps = 0;
	if (!w->full && !sure)
		return 0;
	w->full = false;
	for (size_t i = 0; i < w->nevents; i++) {
		maps += perf_event_lost(w->events[i].maps);
		touches += lost_touches(&w->events[i]);
	}
	*ret_maps = maps - w->lost_maps;
	w->lost_maps = maps;
	w->lost_touches = touches;
	return touches - before;
}
