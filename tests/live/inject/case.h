/* SPDX-License-Identifier: MIT */
/*
 * Case: the frame of the injector's live tests.
 *
 * A case is a function that returns NULL, or words for what went wrong.  It starts
 * targets with target_start(), each a fork that runs a shape; they share a page with
 * the test, and are killed by pid when the case is over.  Every wait is bounded.
 */
#ifndef LIVE_INJECT_CASE_H
#define LIVE_INJECT_CASE_H

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "pagetap/inject.h"
#include "snapshot.h"

struct shared {				/* between a target and the test */
	_Atomic int ready;		/* threads that are where they should be */
	_Atomic int stop;		/* asked to end */
	_Atomic int bad;		/* self-checks that failed */
	_Atomic int returned;		/* blocked calls that came back though nobody woke them */
	_Atomic int what;		/* errno or line of the first of either */
	_Atomic long rounds;		/* work done */
	_Atomic long count[8];
	_Atomic int tid;
};

struct target {
	pid_t pid;
	struct shared *shared;
};

typedef void (*shape_fn)(struct shared *s, long arg);
typedef const char *(*case_fn)(long arg);

struct live_case {
	const char *name;
	case_fn run;
	long arg;
};

#define CASE_TARGETS 8
static struct target case_targets[CASE_TARGETS];
static int case_ntargets;
static char case_words[600];

/* "SKIP id: words" instead of a failure. */
static inline const char *skip(const char *id)
{
	snprintf(case_words, sizeof(case_words), "SKIP %s", id);
	return case_words;
}

__attribute__((format(printf, 1, 2))) static inline const char *why(const char *format, ...)
{
	char words[sizeof(case_words)];
	va_list ap;

	va_start(ap, format);
	vsnprintf(words, sizeof(words), format, ap);
	va_end(ap);
	memcpy(case_words, words, sizeof(words));
	return case_words;
}

static inline void pause_ms(unsigned int ms)
{
	struct timespec t = { ms / 1000, (long)(ms % 1000) * 1000000 };

	while (nanosleep(&t, &t) < 0 && errno == EINTR)
		;
}

/* Until *v reaches want, at most ms. */
static inline bool wait_for(const _Atomic int *v, int want, unsigned int ms)
{
	uint64_t until = clock_now() + ms * NSEC_PER_MSEC;

	while (atomic_load(v) < want) {
		if (clock_now() > until)
			return false;
		pause_ms(1);
	}
	return true;
}

/* Start a shape in a fork and wait until it says that want threads are ready. */
static inline struct target *target_start(shape_fn shape, long arg, int want)
{
	struct target *t = &case_targets[case_ntargets];

	if (case_ntargets == CASE_TARGETS)
		abort();
	t->shared = mmap(NULL, sizeof(*t->shared), PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (t->shared == MAP_FAILED)
		abort();
	fflush(stdout);
	t->pid = fork();
	if (!t->pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		shape(t->shared, arg);
		_exit(0);
	}
	case_ntargets++;
	if (!wait_for(&t->shared->ready, want, 10000))
		return NULL;
	pause_ms(15);			/* into the call that follows */
	return t;
}

static inline void targets_end(void)
{
	while (case_ntargets > 0) {
		struct target *t = &case_targets[--case_ntargets];

		if (t->pid > 0) {
			kill(t->pid, SIGKILL);
			waitpid(t->pid, NULL, __WALL);
		}
		munmap(t->shared, sizeof(*t->shared));
	}
}

/* Ask it to end, and see that it does so of its own accord. */
static inline const char *target_ends_well(struct target *t, unsigned int ms)
{
	uint64_t until = clock_now() + ms * NSEC_PER_MSEC;
	int status;

	atomic_store(&t->shared->stop, 1);
	for (;;) {
		pid_t p = waitpid(t->pid, &status, WNOHANG);

		if (p == t->pid)
			break;
		if (clock_now() > until)
			return why("target %d did not end", t->pid);
		pause_ms(2);
	}
	t->pid = -1;
	if (t->shared->bad)
		return why("%d self-checks failed, first %d", t->shared->bad, t->shared->what);
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		return why("target ended with wait status 0x%x", status);
	return NULL;
}

struct attach {
	struct pagetap_opts opts;
	struct pagetap_loan loan;
	struct pagetap_failure failure;
};

/* Borrow, check what came, give it back. */
static inline int attach(pid_t pid, unsigned int flags, struct attach *a)
{
	int r;

	*a = (struct attach){ .opts = { .size = sizeof(a->opts), .flags = flags },
			      .loan = { .size = sizeof(a->loan) } };
	r = pagetap_borrow(pid, &a->opts, &a->loan, &a->failure);
	if (!r) {
		close(a->loan.uffd);
		close(a->loan.pidfd);
	}
	return r;
}

static inline const char *say(const struct attach *a)
{
	return why("attach: %s: %s (%s, errno %d, state %d)",
		   pagetap_phase_name(a->failure.phase), a->failure.text,
		   pagetap_reason_name(a->failure.reason), a->failure.error, a->failure.state);
}

/* No thread of it is stopped or traced, no userfaultfd is in it. */
static inline const char *is_intact(pid_t pid)
{
	char path[64];
	struct dirent *e;
	const char *w = NULL;
	DIR *d;

	if (holds_uffd(pid))
		return why("a descriptor of ours is left in %d", pid);
	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	d = opendir(path);
	if (!d)
		return why("process %d is gone", pid);
	while (!w && (e = readdir(d))) {
		pid_t tid = (pid_t)strtol(e->d_name, NULL, 10);
		char state = tid ? thread_state(pid, tid) : 'S';

		if (state == 't' || state == 'T')
			w = why("thread %d is in state %c", tid, state);
	}
	closedir(d);
	return w;
}

/* Attach n times; before and after must be equal. */
static inline const char *attach_times(struct target *t, unsigned int flags, int n)
{
	static struct snapshot before, after;
	struct attach a;
	const char *w;

	snapshot_take(t->pid, &before);
	for (int i = 0; i < n; i++) {
		if (attach(t->pid, flags, &a) < 0)
			return say(&a);
		if (t->shared->bad)
			return why("self-check %d failed after attach %d", t->shared->what, i);
		if (t->shared->returned)
			return why("a blocked call returned (errno %d) after attach %d",
				   t->shared->what, i);
	}
	/* A thread in ppoll(2) and its like has its mask only once it is back in there. */
	for (int i = 0; i < 100; i++) {
		if (i)
			pause_ms(5);
		w = is_intact(t->pid);
		if (w)
			return w;
		snapshot_take(t->pid, &after);
		w = snapshot_differs(&before, &after);
		if (!w)
			break;
	}
	return w ? why("%s differ after %d attaches", w, n) : NULL;
}

static inline int cases_run(const struct live_case *cases, size_t n, int argc, char **argv)
{
	int passed = 0, failed = 0, skipped = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (size_t i = 0; i < n; i++) {
		uint64_t t0 = clock_now();
		const char *w;

		if (argc > 1 && !strstr(cases[i].name, argv[1]))
			continue;
		w = cases[i].run(cases[i].arg);
		targets_end();
		if (w && !strncmp(w, "SKIP ", 5)) {
			printf("%s: %s\n", w, cases[i].name);
			skipped++;
		} else if (w) {
			printf("not ok %s: %s\n", cases[i].name, w);
			failed++;
		} else {
			printf("ok %s (%.2f s)\n", cases[i].name,
			       (double)(clock_now() - t0) / NSEC_PER_SEC);
			passed++;
		}
	}
	printf("%d passed, %d failed", passed, failed);
	if (skipped)
		printf(", %d skipped", skipped);
	printf("\n");
	return failed || !passed;
}

#endif
