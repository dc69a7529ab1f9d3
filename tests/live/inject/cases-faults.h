/* SPDX-License-Identifier: MIT */
/* Cases: the injector or its caller dies, or a phase fails. */
#ifndef LIVE_INJECT_CASES_FAULTS_H
#define LIVE_INJECT_CASES_FAULTS_H

#include <linux/sched.h>

#include "cases-places.h"
#include "cases-stacks.h"

enum {
	FAULT_DIE = 1,
	FAULT_FAIL = 2,
	FAULT_KILLPARENT = 3,
	FAULT_THREADS = 16,
};

#define EACH_PHASE 20

static const char *const fault_words[] = { "", "die", "fail", "killparent" };

static inline void set_fault(unsigned int phase, const char *what)
{
	char text[64];

	snprintf(text, sizeof(text), "%s:%s", pagetap_phase_name(phase), what);
	setenv("PAGETAP_FAULT", text, 1);
}

/* In a process of its own, which the fault may kill.  Its wait status. */
static inline int attach_in_fork(pid_t pid, unsigned int flags)
{
	struct attach a;
	pid_t child;
	int status = 0;

	fflush(stdout);
	child = fork();
	if (!child)
		_exit(attach(pid, flags, &a) < 0 ? 1 : 0);
	waitpid(child, &status, 0);
	return status;
}

/* After a death things settle within a moment; then all must be as before. */
static inline const char *settles(const struct target *t, const struct snapshot *before)
{
	static struct snapshot after;
	const char *w = "";

	for (int i = 0; w && i < 100; i++) {
		if (i)
			pause_ms(i < 10 ? 1 : 20);
		w = is_intact(t->pid);
		if (w)
			continue;
		snapshot_take(t->pid, &after);
		w = snapshot_differs(before, &after);
	}
	if (!w && t->shared->bad)
		w = why("self-check %d failed", t->shared->what);
	if (!w && t->shared->returned)
		w = why("a blocked call returned %d", t->shared->what);
	return w;
}

/* Each phase some times, with one kind of fault; but not in the phase but. */
static inline const char *all_phases(struct target *t, const char *what, unsigned int flags,
				     int times, unsigned int but)
{
	static struct snapshot before;
	int unharmed = 0;

	snapshot_take(t->pid, &before);
	for (unsigned int p = PAGETAP_PHASE_LOOK; p < PAGETAP_PHASE_NR; p++) {
		if (p == but)
			continue;
		set_fault(p, what);
		for (int i = 0; i < times; i++) {
			int status = attach_in_fork(t->pid, flags);
			const char *w = settles(t, &before);

			if (w)
				return why("%s:%s, time %d: %s", pagetap_phase_name(p), what, i, w);
			unharmed += !status;
		}
	}
	unsetenv("PAGETAP_FAULT");
	/* The phases in which nothing is lent are passed over, and no others. */
	if (unharmed > 2 * times)
		return why("%d attaches did not notice the fault", unharmed);
	return NULL;
}

static inline const char *case_phases(long arg)
{
	int threads = arg & FAULT_THREADS ? 4 : 1;
	struct target *t = target_start(shape_spin, threads, threads);
	const char *w;
	long rounds;

	if (!t)
		return "target not ready";
	w = all_phases(t, fault_words[arg & 15], 0, EACH_PHASE, 0);
	unsetenv("PAGETAP_FAULT");
	if (w)
		return w;
	rounds = t->shared->rounds;
	pause_ms(100);
	if (t->shared->rounds <= rounds)
		return "it made no progress";
	return target_ends_well(t, 5000);
}

static inline const char *case_blocked_die(long arg)
{
	static const int calls[] = { BLOCKED_NANOSLEEP, BLOCKED_FUTEX, BLOCKED_READ, BLOCKED_EPOLL,
				     BLOCKED_POLL, BLOCKED_SIGTIMEDWAIT, BLOCKED_RECV_TIMED };

	(void)arg;
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		struct target *t = target_start(shape_blocked, calls[i], 1);
		const char *w;

		if (!t)
			return "target not ready";
		pause_ms(20);
		/*
		 * Between the stop and the first look at the registers the kernel's EINTR
		 * stands in them: our death there shows it, as the manual says.
		 */
		w = all_phases(t, "die", 0, 2, calls[i] >= BLOCKED_EPOLL ? PAGETAP_PHASE_SAVE : 0);
		unsetenv("PAGETAP_FAULT");
		if (w)
			return why("%s: %s", blocked_names[calls[i]], w);
		targets_end();
	}
	return NULL;
}

static inline const char *case_lent_die(long threads)
{
	struct target *t = target_start(shape_place,
					threads == 1 ? PLACE_NOBODY_ALONE : PLACE_NOBODY,
					(int)threads);
	const char *w;

	if (!t)
		return "target not ready";
	w = all_phases(t, "die", 0, 5, 0);
	if (!w)
		w = all_phases(t, "die", PAGETAP_NO_PIDFD_GETFD, 3, 0);
	unsetenv("PAGETAP_FAULT");
	return w ? w : target_ends_well(t, 3000);
}

/* Memory mapped for the net stays behind: that, and nothing else, may differ. */
static inline const char *case_coroutine_die(long arg)
{
	struct target *t = target_start(shape_coroutine, 0, 1);
	const char *w = NULL;

	(void)arg;
	if (!t)
		return "target not ready";
	for (unsigned int p = PAGETAP_PHASE_SEIZE; p < PAGETAP_PHASE_NR && !w; p++) {
		set_fault(p, "die");
		for (int i = 0; i < 5 && !w; i++) {
			attach_in_fork(t->pid, 0);
			pause_ms(3);
			w = is_intact(t->pid);
			if (!w && t->shared->bad)
				w = "bytes below its stack changed";
			if (w)
				w = why("%s: %s", pagetap_phase_name(p), w);
		}
	}
	unsetenv("PAGETAP_FAULT");
	return w ? w : target_ends_well(t, 3000);
}

/*
 * SIGKILL to the injector after a random time.  It may also have finished.  Debian's libc
 * has all instructions that the net can use, so that no descriptor may be left, either.
 */
static inline const char *case_random(long threads)
{
	struct target *t = target_start(shape_spin, threads, (int)threads);
	struct pagetap_opts o = { .size = sizeof(o) };
	static struct snapshot before;
	unsigned int seed = 11;
	int killed = 0;
	const char *w;

	if (!t)
		return "target not ready";
	snapshot_take(t->pid, &before);
	for (int i = 0; i < 300; i++) {
		struct pagetap_loan loan = { .size = sizeof(loan) };
		struct pagetap_borrowing *b;
		struct pagetap_failure f;

		if (pagetap_borrow_start(&b, t->pid, &o, &f) < 0)
			return why("start: %s", f.text);
		for (uint64_t until = clock_now() + (uint64_t)rand_r(&seed) % 2500000;
		     clock_now() < until;)
			;
		kill(b->injector, SIGKILL);
		if (!pagetap_borrow_finish(b, &loan, &f)) {
			close(loan.uffd);
			close(loan.pidfd);
		} else {
			killed++;
			if (f.state == PAGETAP_TARGET_DAMAGED)
				return why("%s", f.text);
		}
		w = settles(t, &before);
		if (w)
			return why("time %d, phase %s: %s", i, pagetap_phase_name(f.phase), w);
	}
	printf("   killed before it had finished: %d of 300\n", killed);
	if (killed < 30)
		return "hardly any was killed in time";
	return target_ends_well(t, 5000);
}

static inline const char *case_random_caller(long threads)
{
	struct target *t = target_start(shape_spin, threads, (int)threads);
	static struct snapshot before;
	unsigned int seed = 5;
	const char *w;

	if (!t)
		return "target not ready";
	snapshot_take(t->pid, &before);
	for (int i = 0; i < 100; i++) {
		struct attach a;
		pid_t caller = fork();

		if (!caller) {
			for (;;)
				attach(t->pid, 0, &a);
		}
		usleep(1000 + (unsigned int)rand_r(&seed) % 8000);
		kill(caller, SIGKILL);
		waitpid(caller, NULL, 0);
		w = settles(t, &before);
		if (w)
			return why("time %d: %s", i, w);
	}
	return target_ends_well(t, 5000);
}

/* ---- identity ---- */

static inline pid_t fork_as(pid_t want)
{
	struct clone_args args = {
		.exit_signal = SIGCHLD,
		.set_tid = (uint64_t)(uintptr_t)&want,
		.set_tid_size = 1,
	};

	return (pid_t)syscall(SYS_clone3, &args, sizeof(args));
}

static inline bool wait_state(pid_t pid, char state)
{
	for (int i = 0; i < 2000; i++) {
		if (thread_state(pid, pid) == state)
			return true;
		pause_ms(1);
	}
	return false;
}

/*
 * The injector stops itself before it seizes; meanwhile the target ends, and another
 * process is born with its pid.
 */
static inline const char *case_recycled(long gone)
{
	struct target *t = target_start(shape_doze, 1, 1);
	struct pagetap_loan loan = { .size = sizeof(loan) };
	struct pagetap_opts o = { .size = sizeof(o) };
	struct pagetap_borrowing *b;
	struct pagetap_failure f;
	pid_t pid;
	int r;

	if (!t)
		return "target not ready";
	pid = t->pid;
	set_fault(PAGETAP_PHASE_SEIZE, "stop");
	r = pagetap_borrow_start(&b, pid, &o, &f);
	unsetenv("PAGETAP_FAULT");
	if (r < 0)
		return why("start: %s", f.text);
	if (!wait_state(b->injector, 'T'))
		return "the injector did not stop";
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	t->pid = -1;
	if (!gone) {
		t->pid = fork_as(pid);
		if (!t->pid) {
			atomic_store(&t->shared->rounds, 0);
			shape_doze(t->shared, 1);
		}
		if (t->pid != pid)
			return why("could not make a process %d (%d)", pid, errno);
		pause_ms(60);
	}
	kill(b->injector, SIGCONT);
	r = pagetap_borrow_finish(b, &loan, &f);
	if (!r)
		return "it was attached to";
	if (f.reason != PAGETAP_REASON_EXITED && f.reason != PAGETAP_REASON_RECYCLED)
		return why("%s: %s (%s)", pagetap_phase_name(f.phase), f.text,
			   pagetap_reason_name(f.reason));
	if (f.state != PAGETAP_TARGET_GONE && f.state != PAGETAP_TARGET_UNTOUCHED)
		return why("state %d", f.state);
	if (gone)
		return NULL;
	if (is_intact(pid))
		return is_intact(pid);
	return target_ends_well(t, 3000);
}

static inline const char *case_stopped_injector(long arg)
{
	struct target *t = target_start(shape_spin, 2, 2);
	struct pagetap_loan loan = { .size = sizeof(loan) };
	struct pagetap_opts o = { .size = sizeof(o) };
	static struct snapshot before;
	struct pagetap_borrowing *b;
	struct pagetap_failure f;
	const char *w;
	int r;

	(void)arg;
	if (!t)
		return "target not ready";
	snapshot_take(t->pid, &before);
	set_fault(PAGETAP_PHASE_RETURN, "stop");
	r = pagetap_borrow_start(&b, t->pid, &o, &f);
	unsetenv("PAGETAP_FAULT");
	if (r < 0)
		return why("start: %s", f.text);
	b->limit = clock_now() + 300 * NSEC_PER_MSEC;
	r = pagetap_borrow_finish(b, &loan, &f);
	if (!r)
		return "it was attached to";
	if (f.state != PAGETAP_TARGET_RESTORED)
		return why("state %d: %s", f.state, f.text);
	w = settles(t, &before);
	return w ? w : target_ends_well(t, 3000);
}

/*
 * Its time to stop begins when it is asked to, however long it took to look at it.  This
 * one stops two seconds after its start, when its vfork child has gone.
 */
static inline const char *case_slow_look(long arg)
{
	struct target *t = target_start(shape_vfork, 0, 1);
	struct pagetap_loan loan = { .size = sizeof(loan) };
	struct pagetap_opts o = { .size = sizeof(o), .timeout_ms = 1000 };
	struct pagetap_borrowing *b;
	struct pagetap_failure f;
	int r;

	(void)arg;
	if (!t)
		return "target not ready";
	set_fault(PAGETAP_PHASE_IDENTITY, "stop");
	r = pagetap_borrow_start(&b, t->pid, &o, &f);
	unsetenv("PAGETAP_FAULT");
	if (r < 0)
		return why("start: %s", f.text);
	if (!wait_state(b->injector, 'T'))
		return "the injector did not stop";
	pause_ms(1400);
	kill(b->injector, SIGCONT);
	r = pagetap_borrow_finish(b, &loan, &f);
	if (r < 0)
		return why("%s: %s", pagetap_phase_name(f.phase), f.text);
	close(loan.uffd);
	close(loan.pidfd);
	return target_ends_well(t, 3000);
}

/* A call that is not over in time is given up on: what it opens must not stay open. */
enum { LATE_PLAIN, LATE_LENT, LATE_ALONE };

static inline const char *case_late(long how)
{
	static const char *const late[] = {
		"socket:late1", "lend:late1", "open:late1", "open:late2", "return:late1",
		"close:late1", "close:late2", "close:late3",
	};
	int threads = how == LATE_ALONE ? 1 : 2;
	struct target *t = how == LATE_LENT ? target_start(shape_place, PLACE_NOBODY, 2) :
					      target_start(shape_spin, threads, threads);
	static struct snapshot before;
	unsigned int given_up = 0;
	const char *w = NULL;
	struct attach a;

	if (!t)
		return "target not ready";
	snapshot_take(t->pid, &before);
	for (unsigned int i = 0; i < 5 * sizeof(late) / sizeof(late[0]) && !w; i++) {
		const char *fault = late[i / 5];

		setenv("PAGETAP_FAULT", fault, 1);
		if (attach(t->pid, i % 2 && how != LATE_LENT ? PAGETAP_NO_NET : 0, &a) < 0) {
			given_up++;
			w = a.failure.state == PAGETAP_TARGET_RESTORED ? NULL : say(&a);
		}
		if (!w)
			w = settles(t, &before);
		if (w)
			w = why("%s: %s", fault, w);
	}
	unsetenv("PAGETAP_FAULT");
	/* Not every phase has so many calls everywhere. */
	if (!w && given_up < (how == LATE_ALONE ? 10 : 20))
		w = why("given up only %u times", given_up);
	return w ? w : target_ends_well(t, 3000);
}

#endif
