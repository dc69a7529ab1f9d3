/* SPDX-License-Identifier: MIT */
/* Witness: rings on CPUs, and what comes out of them. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "watch/perf-points.h"
#include "watch/witness-parts.h"

#define CPUS_MAX 4096
#define MAPS_RING (64u << 10)
#define TOUCHES_RING (256u << 10)
/*
 * With chains of 16 frames a sample is 190 bytes, and 300,000 a second fill 4 MiB in
 * 70 ms: long enough for a monitor that shares the CPU with its target.
 */
#define CHAINS_RING (4u << 20)
#define CHAINS_ALL (32u << 20)	/* of all CPUs together */

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

static size_t touches_ring(const struct witness *w)
{
	size_t bytes = CHAINS_RING;

	if (!witness_has_chains(w))
		return TOUCHES_RING;
	while (bytes > TOUCHES_RING && bytes * w->ncpus > CHAINS_ALL)
		bytes /= 2;
	return bytes;
}

/* -EPERM: more than who has no CAP_IPC_LOCK may lock (perf_event_mlock_kb). */
static int open_touches(struct witness *w, struct witness_cpu *c)
{
	size_t bytes = touches_ring(w);
	unsigned int share = witness_has_chains(w) ? 4 : 2;
	int r;

	do {
		r = perf_ring_open(&c->touches, c->nr, bytes, (uint32_t)(bytes / share));
		bytes /= 2;
	} while (r == -EPERM && bytes >= TOUCHES_RING);
	return r;
}

static int open_cpu(struct witness *w, struct witness_cpu *c)
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
		w->cpus[i] = (struct witness_cpu){ nrs[i], PERF_RING_NULL, PERF_RING_NULL, 0 };
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

struct witness *witness_close(struct witness *w)
{
	if (!w)
		return NULL;
	for (size_t i = 0; i < w->nevents; i++)
		witness_pair_close(&w->events[i]);
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
		struct witness_cpu *c = &w->cpus[i];
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
		touches += witness_pair_lost(&w->events[i]);
	}
	*ret_maps = maps - w->lost_maps;
	w->lost_maps = maps;
	w->lost_touches = touches;
	return touches - before;
}
