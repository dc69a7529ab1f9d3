/* SPDX-License-Identifier: MIT */
/* Pager: the threads that copy in the background.  See pager.h. */

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "compat/sched.h"
#include "restore/pager-parts.h"

/*
 * Taken at once, and copied in steps: a fault waits for the end of one.  While there are any it is
 * short, and one processor is left to the process and to who answers it.
 */
#define TAKE_BYTES UINT64_C(262144)
#define STEP_BYTES UINT64_C(65536)
#define TAKE_BYTES_HOT UINT64_C(65536)
#define STEP_BYTES_HOT UINT64_C(8192)
#define TAKE_BYTES_AHEAD UINT64_C(32768)
#define HOT_NS (5 * NSEC_PER_MSEC)
/* A fault is followed by others, or it is over so soon; ... */
#define HOT_FIRST_NS NSEC_PER_MSEC
/* ... or, where they follow each other, so many times as late as usual. */
#define HOT_GAPS 64
/* Before the processes run their mappings come one by one; this many threads do not wait. */
#define EARLY 1
/* What is to come first, and that a fault has caught up with: so many copies. */
#define AHEAD 64
/* Faults that are so near are one after the other; then so many copies come first. */
#define CLOSE_NS (200 * NSEC_PER_USEC)
#define BEHIND 16
/* Copies for one process before the next one has its turn. */
#define TURN 16

/* A thread that fills, and how. */
struct filler {
	struct pager *pager;
	uint64_t id;
	int avoids;		/* a CPU; -1: none */
	bool polite;
};

#define NAP_NS (100 * NSEC_PER_USEC)
#define NAP_EARLY_NS NSEC_PER_MSEC
/* If the one that goes on has other things to do than to say that there are no more faults. */
#define STAND_BY_NS (20 * NSEC_PER_MSEC)
/* What is mapped beforehand: more than that and CRIU waits for the CPU longer than it is worth. */
#define WARM_MOST (UINT64_C(256) << 20)
#define IDLE_NS (5 * NSEC_PER_MSEC)

/* The first one behind `after` that has work; the list is never cut. */
static struct tenant *next_with_work(const struct pager *p, struct tenant *after)
{
	struct tenant *t = after ? after->next : NULL;

	for (; t; t = t->next)
		if (tenant_has_work(t))
			return t;
	for (t = p->tenants; t && after; t = t->next) {
		if (tenant_has_work(t))
			return t;
		if (t == after)
			return NULL;
	}
	for (; t; t = t->next)
		if (tenant_has_work(t))
			return t;
	return NULL;
}

static unsigned int number_of(const struct filler *f)
{
	return (unsigned int)(f->id - FLIGHT_FILLER);
}

static bool is_early(const struct filler *f)
{
	return number_of(f) < EARLY;
}

/* Nothing comes to be filled until that is said. */
static bool all_rest(const struct pager *p)
{
	for (struct tenant *t = p->tenants; t; t = t->next)
		if (!tenant_rests(t))
			return false;
	return true;
}

/* Until there is news, and no longer than is said; under the lock. */
static void wait_at_most(struct pager *p, uint64_t ns)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += (long)ns;
	until.tv_sec += until.tv_nsec / (long)NSEC_PER_SEC;
	until.tv_nsec %= (long)NSEC_PER_SEC;
	pthread_cond_timedwait(&p->work, &p->lock, &until);
}

/*
 * While there are faults.  Who wakes up on the CPU of a filler that is at work puts it aside,
 * in the middle of a copy as likely as not: so this is not found out by looking again.
 */
static void stand_by(struct pager *p)
{
	pthread_mutex_lock(&p->lock);
	p->standing_by++;
	if (!p->stop)
		wait_at_most(p, STAND_BY_NS);
	p->standing_by--;
	pthread_mutex_unlock(&p->lock);
}

/* The others are wanted again. */
static void call_all(struct pager *p)
{
	pthread_mutex_lock(&p->lock);
	pthread_cond_broadcast(&p->work);
	pthread_mutex_unlock(&p->lock);
}

/* NULL: it is time to end. */
static struct tenant *wait_for_work(const struct filler *f, struct tenant *after)
{
	struct pager *p = f->pager;
	struct tenant *t = NULL;

	pthread_mutex_lock(&p->lock);
	while (!p->stop) {
		t = p->resumed || is_early(f) ? next_with_work(p, after) : NULL;
		if (t)
			break;
		/* What another one gives back is not announced. */
		if (p->resumed && !all_rest(p))
			wait_at_most(p, IDLE_NS);
		else
			pthread_cond_wait(&p->work, &p->lock);
	}
	if (p->stop)
		t = NULL;
	pthread_mutex_unlock(&p->lock);
	return t;
}

static void tell_done(struct pager *p)
{
	uint64_t one = 1;

	/* Full only if it has been told four thousand million times. */
	if (write(p->done, &one, sizeof(one)) < 0)
		return;
}

/*
 * Each begins on a CPU of its own, and may go elsewhere from there: to find out that two are on
 * the same one takes the scheduler as long as a good part of the whole takes.
 */
static void spread(const struct filler *f)
{
	const cpu_set_t *home = &f->pager->home;
	unsigned int nth = number_of(f) % (unsigned int)CPU_COUNT(home);
	cpu_set_t one;

	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, home) || nth--)
			continue;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		sched_setaffinity(0, sizeof(one), &one);
		return;
	}
}

/*
 * Where faults happen and are answered, who fills would be put aside in the middle of a copy,
 * and the next fault would wait for it.  Nobody may place other threads than himself here.
 */
static void take_place(struct filler *f)
{
	int cpu = f->pager->avoid;
	cpu_set_t where = f->pager->home;

	if (cpu == f->avoids)
		return;
	f->avoids = cpu;
	if (cpu < 0)
		spread(f);
	if (cpu >= 0 && CPU_COUNT(&where) > 1)
		CPU_CLR(cpu, &where);
	/* Refused, it stays where it is, which costs time and nothing else. */
	sched_setaffinity(0, sizeof(where), &where);
}

/*
 * Who fills makes way for whoever wakes up: CRIU, which has still to let the process go, and then
 * the process, would else wait for the end of a time slice, 4 ms on many kernels.  A waking thread
 * need not wait for one whose slice is longer than its own (PREEMPT_SHORT, 6.12), and longer than
 * the longest there is none.  But who answers faults waits for a copy that has begun: as long as
 * there are any, nobody is to be put aside in the middle of one.
 */
static void make_way(struct filler *f, bool polite)
{
	struct sched_request a = {
		.size = sizeof(a), .policy = SCHED_OTHER, .nice = f->pager->niceness,
		.runtime = polite ? SLICE_MAX_NS : 0,
	};

	if (f->polite == polite)
		return;
	f->polite = polite;
	sys_sched_request(&a);
}

/* One now and then is none: nobody is kept waiting for what might come. */
static bool faults_go_on(const struct tenant *t)
{
	uint64_t gap = t->fault_gap, since = clock_now() - t->fault_at;

	return since < HOT_FIRST_NS ||
	       (since < HOT_NS && gap < HOT_NS && since < HOT_GAPS * gap);
}

static void fill_turn(struct filler *f, struct tenant *t)
{
	struct pager *p = f->pager;

	for (unsigned int i = 0; i < TURN; i++) {
		bool early = t->early, hot = early || faults_go_on(t);

		take_place(f);
		make_way(f, early || !hot);
		/* What is wanted first is wanted now: then nobody has to wait for it. */
		if (hot && number_of(f) >= p->hot_fillers && !tenant_is_hot(t)) {
			stand_by(p);
			continue;
		}
		if (!hot && p->standing_by)
			call_all(p);
		switch (tenant_fill(t, p->setup->source, hot ? TAKE_BYTES_HOT : TAKE_BYTES,
				    hot ? STEP_BYTES_HOT : STEP_BYTES, f->id)) {
		case TENANT_FILLED:
			continue;
		case TENANT_BUSY:
			nanosleep(&(struct timespec){ .tv_nsec = early ? NAP_EARLY_NS : NAP_NS },
				  NULL);
			continue;
		case TENANT_NOTHING:
		case TENANT_GONE:
			break;
		}
		break;
	}
	if (tenant_done(t))
		tell_done(p);
}

static bool nobody_is_here(struct pager *p)
{
	bool none;

	pthread_mutex_lock(&p->lock);
	none = !p->tenants && !p->stop;
	pthread_mutex_unlock(&p->lock);
	return none;
}

/* While CRIU restores all the rest. */
static void warm_up(struct filler *f)
{
	struct source *s = f->pager->setup->source;
	uint64_t at = 0;

	if (!s->ops->warm || f->pager->setup->leave)
		return;
	while (at < WARM_MOST && nobody_is_here(f->pager) && s->ops->warm(s, &at))
		;
}

static void *fill(void *arg)
{
	struct filler f = { .pager = arg, .avoids = -1 };
	struct tenant *t = NULL;

	/* A nap is a nap, not fifty microseconds more. */
	prctl(PR_SET_TIMERSLACK, 1000, 0, 0, 0);
	f.id = FLIGHT_FILLER + atomic_fetch_add(&f.pager->numbered, 1);
	/* Not before everybody else, as who answers faults is. */
	setpriority(PRIO_PROCESS, (id_t)gettid(), f.pager->niceness);
	spread(&f);
	if (is_early(&f))
		warm_up(&f);
	while ((t = wait_for_work(&f, t)))
		fill_turn(&f, t);
	return NULL;
}

void pager_catch_up(struct pager *p, struct tenant *t, const struct tenant_touch *touch)
{
	if (clock_now() - t->fault_at > CLOSE_NS || !tenant_is_hot(t) ||
	    !tenant_hold(t, touch->addr, FLIGHT_EVENT))
		return;
	for (unsigned int i = 0; i < BEHIND && tenant_is_hot(t); i++)
		if (tenant_fill(t, p->setup->source, TAKE_BYTES_AHEAD, TAKE_BYTES_AHEAD,
				FLIGHT_EVENT) != TENANT_FILLED)
			break;
	tenant_let_go(t, touch->addr, FLIGHT_EVENT);
}

void pager_run_ahead(struct pager *p, struct tenant *t)
{
	for (unsigned int i = 0; i < AHEAD && tenant_is_hot(t) && !tenant_has_news(t); i++)
		if (tenant_fill(t, p->setup->source, TAKE_BYTES_AHEAD, TAKE_BYTES_AHEAD,
				FLIGHT_EVENT) != TENANT_FILLED)
			return;
}

int pager_fillers_start(struct pager *p)
{
	unsigned int n = p->setup->fillers;
	int r;

	if (p->remote)
		return 0;
	for (; p->nthreads < n && p->nthreads < FILLERS_MAX; p->nthreads++) {
		r = pthread_create(&p->threads[p->nthreads], NULL, fill, p);
		if (r)
			return -r;
	}
	return 0;
}

void pager_fillers_stop(struct pager *p)
{
	pthread_mutex_lock(&p->lock);
	p->stop = true;
	pthread_cond_broadcast(&p->work);
	pthread_mutex_unlock(&p->lock);
	while (p->nthreads)
		pthread_join(p->threads[--p->nthreads], NULL);
}
