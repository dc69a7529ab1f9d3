/* SPDX-License-Identifier: MIT */
/* Cases: registers, interrupted calls, times. */
#ifndef LIVE_INJECT_CASES_BASIC_H
#define LIVE_INJECT_CASES_BASIC_H

#include "shapes.h"

static inline const char *case_spin(long arg)
{
	long threads = arg & 255, before;
	struct target *t = target_start(shape_spin, threads, (int)threads);
	const char *w;

	if (!t)
		return "target not ready";
	before = t->shared->rounds;
	w = attach_times(t, (unsigned int)(arg >> 8), 60);
	pause_ms(50);
	if (!w && t->shared->rounds <= before)
		w = "it made no progress";
	return w ? w : target_ends_well(t, 5000);
}

static inline const char *case_blocked_all(long hard)
{
	struct target *t = target_start(shape_blocked_all, hard, BLOCKED_NR + 1);

	return t ? attach_times(t, 0, 200) : "target not ready";
}

static inline const char *blocked_one(int which, unsigned int flags)
{
	struct target *t = target_start(shape_blocked, which, 1);
	const char *w;

	if (!t)
		return "target not ready";
	pause_ms(20);
	w = attach_times(t, flags, 12);
	targets_end();
	return w;
}

static inline const char *case_blocked_each(long flags)
{
	for (int i = 0; i < BLOCKED_NR; i++) {
		const char *w = blocked_one(i, (unsigned int)flags);

		if (w)
			return why("%s: %s", blocked_names[i], w);
	}
	return NULL;
}

/*
 * Attach for some 250 ms of a sleep of 400 ms.  Had it begun anew after the last of
 * them it would end 400 ms later.
 */
static inline const char *timed_one(int which)
{
	struct target *t = target_start(shape_timed, which, 1);
	uint64_t t0 = clock_now(), last = 0;
	struct attach a;
	long us, limit;

	if (!t)
		return "target not ready";
	while (last < 240 * NSEC_PER_MSEC) {
		if (attach(t->pid, 0, &a) < 0)
			return say(&a);
		last = clock_now() - t0;
		pause_ms(20);
	}
	if (!wait_for(&t->shared->returned, 1, 3000))
		return "it did not come back";
	us = t->shared->count[0];
	limit = (long)(last / NSEC_PER_USEC) + 330000;
	if (t->shared->bad)
		return why("it returned %d", t->shared->what);
	if (us < 395000 || us > limit)
		return why("400 ms took %ld us, attached until %ld", us,
			   (long)(last / NSEC_PER_USEC));
	targets_end();
	return NULL;
}

static inline const char *case_timed(long arg)
{
	static const int calls[] = { BLOCKED_NANOSLEEP, BLOCKED_CLOCK_NANOSLEEP, BLOCKED_POLL,
				     BLOCKED_PPOLL, BLOCKED_SELECT, BLOCKED_FUTEX_TIMED };

	(void)arg;
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		const char *w = timed_one(calls[i]);

		if (w)
			return why("%s: %s", blocked_names[calls[i]], w);
	}
	return NULL;
}

/* After attaches a signal with a handler interrupts epoll_wait as it always did. */
static inline const char *case_real_eintr(long arg)
{
	struct target *t = target_start(shape_blocked, BLOCKED_EPOLL, 1);
	struct attach a;

	(void)arg;
	if (!t)
		return "target not ready";
	for (int i = 0; i < 5; i++)
		if (attach(t->pid, 0, &a) < 0)
			return say(&a);
	if (t->shared->returned)
		return "it came back early";
	kill(t->pid, SIGUSR1);
	if (!wait_for(&t->shared->returned, 1, 2000))
		return "the signal did not interrupt it";
	return t->shared->what == -EINTR ? NULL : why("it returned %d", t->shared->what);
}

/*
 * Signals with a handler all the while: each must end the call, also one that comes
 * while the thread stands still, or has not gone back into the call yet.
 */
static inline void shape_counts_eintr(struct shared *s, long arg)
{
	struct blocked_fds fds;
	struct timespec ts = { LONG_S, 0 };

	blocked_open(&fds);
	blocked_signals(BLOCKED_READ);
	atomic_fetch_add(&s->ready, 1);
	while (!atomic_load(&s->stop)) {
		long r = blocked_call((enum blocked)arg, &fds, &ts);

		if (r != -EINTR)
			shape_bad(s, (int)r);
		atomic_fetch_add(&s->returned, 1);
	}
}

static inline const char *no_eintr_lost(int which)
{
	struct target *t = target_start(shape_counts_eintr, which, 1);
	unsigned int seed = 3;

	if (!t)
		return "target not ready";
	for (int i = 0; i < 60; i++) {
		struct pagetap_opts o = { .size = sizeof(o) };
		struct pagetap_loan loan = { .size = sizeof(loan) };
		struct pagetap_borrowing *b;
		struct pagetap_failure f;

		if (pagetap_borrow_start(&b, t->pid, &o, &f) < 0)
			return why("start: %s", f.text);
		usleep((unsigned int)rand_r(&seed) % 4000);
		kill(t->pid, SIGUSR1);
		if (pagetap_borrow_finish(b, &loan, &f) < 0)
			return why("%s", f.text);
		close(loan.uffd);
		close(loan.pidfd);
		if (!wait_for(&t->shared->returned, i + 1, 2000))
			return why("signal %d did not end the call", i);
		if (t->shared->bad)
			return why("it returned %d", t->shared->what);
		/* Back into the call, so that the next one counts. */
		pause_ms(2);
	}
	targets_end();
	return NULL;
}

static inline const char *case_eintr_kept(long arg)
{
	static const int calls[] = { BLOCKED_EPOLL, BLOCKED_RECV_TIMED, BLOCKED_SEMTIMEDOP,
				     BLOCKED_SIGTIMEDWAIT, BLOCKED_POLL, BLOCKED_NANOSLEEP };

	(void)arg;
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		const char *w = no_eintr_lost(calls[i]);

		if (w)
			return why("%s: %s", blocked_names[calls[i]], w);
	}
	return NULL;
}

static inline int by_time(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* 1 ms for one thread, 5 ms for ten; three times that here, where others work too. */
static inline const char *case_stop_time(long threads)
{
	struct target *t = target_start(shape_doze, threads, (int)threads);
	uint64_t ns[200], limit = (threads == 1 ? 3 : 15) * NSEC_PER_MSEC;
	const int n = 200;
	struct attach a;

	if (!t)
		return "target not ready";
	for (int i = 0; i < n; i++) {
		if (attach(t->pid, 0, &a) < 0)
			return say(&a);
		ns[i] = a.loan.stop_ns;
	}
	qsort(ns, (size_t)n, sizeof(ns[0]), by_time);
	printf("   stopped for %.0f us (median of %d), %.0f us (p90), %.0f us (longest); "
	       "%u calls\n",
	       (double)ns[n / 2] / 1000, n, (double)ns[n * 9 / 10] / 1000,
	       (double)ns[n - 1] / 1000, a.loan.calls);
	if (!a.loan.net)
		return "there was no net";
	if (ns[n / 2] > limit)
		return why("median %lu ns", (unsigned long)ns[n / 2]);
	return target_ends_well(t, 5000);
}

static inline const char *case_many_threads(long threads)
{
	struct target *t = target_start(shape_doze, threads, (int)threads);
	struct attach a;

	if (!t)
		return "target not ready";
	for (int i = 0; i < 5; i++)
		if (attach(t->pid, 0, &a) < 0)
			return say(&a);
	printf("   %ld threads: stopped for %.0f us\n", threads, (double)a.loan.stop_ns / 1000);
	return is_intact(t->pid);
}

#endif
