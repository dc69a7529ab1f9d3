/* SPDX-License-Identifier: MIT */
/* Cases: things that happen while the injector is at work. */
#ifndef LIVE_INJECT_CASES_STORM_H
#define LIVE_INJECT_CASES_STORM_H

#include <spawn.h>
#include <sys/rseq.h>
#include <sys/time.h>

#include "shapes.h"

/* ---- a restartable sequence ---- */

/* clang-format off */
/*
 * One long sequence: 0 if it was committed, 1 if the kernel aborted it.  The signature
 * before the abort handler is the one that libc registers.
 */
int rseq_round(void *area, uint64_t loops);
__asm__(
	"	.text\n	.globl rseq_round\n	.type rseq_round, @function\nrseq_round:\n"
	"	lea 7f(%rip), %rax\n	mov %rax, 8(%rdi)\n"
	"1:	dec %rsi\n	jnz 1b\n	nop\n"
	"2:	movq $0, 8(%rdi)\n	xor %eax, %eax\n	ret\n"
	"	.byte 0x0f, 0xb9, 0x3d\n	.long 0x53053053\n"
	"3:	mov $1, %eax\n	ret\n"
	"	.size rseq_round, . - rseq_round\n"
	"	.pushsection .data.rel, \"aw\"\n	.balign 32\n"
	"7:	.long 0, 0\n	.quad 1b, 2b - 1b, 3b\n"
	"	.popsection\n"
);
/* clang-format on */

static inline void shape_rseq(struct shared *s, long arg)
{
	(void)arg;
	if (!__rseq_size)
		_exit(77);
	atomic_fetch_add(&s->ready, 1);
	while (!atomic_load(&s->stop)) {
		/* About 50 ms; whoever stops it stops it in there. */
		if (rseq_round((char *)__builtin_thread_pointer() + __rseq_offset, 100000000))
			atomic_fetch_add(&s->count[0], 1);
		else
			atomic_fetch_add(&s->count[1], 1);
	}
}

/* Each attach is a preemption, and must abort the sequence as any other does. */
static inline const char *case_rseq(long arg)
{
	struct target *t = target_start(shape_rseq, 0, 1);
	struct attach a;
	int missed = 0;

	(void)arg;
	if (!t)
		return skip("no-rseq");
	for (int i = 0; i < 20; i++) {
		long aborts = t->shared->count[0];

		if (attach(t->pid, 0, &a) < 0)
			return say(&a);
		pause_ms(3);
		/* Between two sequences there is nothing to abort: rarely. */
		missed += t->shared->count[0] == aborts;
	}
	if (missed > 3)
		return why("%d of 20 sequences went on after an attach", missed);
	return target_ends_well(t, 3000);
}

/* ---- signals ---- */

static struct shared *signal_shared;

static inline void count_signal(int sig)
{
	(void)sig;
	atomic_fetch_add(&signal_shared->count[0], 1);
}

static inline void shape_signals(struct shared *s, long arg)
{
	struct sigaction sa = { .sa_handler = count_signal, .sa_flags = SA_RESTART };
	struct itimerval every = { { 0, 500 }, { 0, 500 } };
	struct spinner sp = { s, 1 };

	(void)arg;
	signal_shared = s;
	sigaction(SIGALRM, &sa, NULL);
	setitimer(ITIMER_REAL, &every, NULL);
	spin(&sp);
	_exit(s->bad != 0);
}

static inline const char *case_signals(long arg)
{
	struct target *t = target_start(shape_signals, 0, 1);
	long before;
	const char *w;

	(void)arg;
	if (!t)
		return "target not ready";
	before = t->shared->count[0];
	w = attach_times(t, 0, 150);
	if (!w && t->shared->count[0] < before + 100)
		w = "its handler hardly ran";
	return w ? w : target_ends_well(t, 5000);
}

static inline const char *case_stop_cont(long arg)
{
	struct target *t = target_start(shape_spin, 3, 3);
	struct attach a;
	const char *w = NULL;
	pid_t storm;

	(void)arg;
	if (!t)
		return "target not ready";
	storm = fork();
	if (!storm) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (unsigned int i = 0; i < 3000; i++) {
			kill(t->pid, i & 1 ? SIGCONT : SIGSTOP);
			usleep(200 + i % 7 * 150);
		}
		_exit(0);
	}
	for (int i = 0; i < 100 && !w; i++)
		if (attach(t->pid, 0, &a) < 0)
			w = say(&a);
	kill(storm, SIGKILL);
	waitpid(storm, NULL, 0);
	kill(t->pid, SIGCONT);
	pause_ms(30);
	if (!w)
		w = is_intact(t->pid);
	return w ? w : target_ends_well(t, 5000);
}

/* ---- coming and going ---- */

static inline void shape_exit(struct shared *s, long us)
{
	struct timespec t = { 0, us * 1000 };
	pthread_t th;

	if (us & 1)
		pthread_create(&th, NULL, outlive, s);
	atomic_fetch_add(&s->ready, 1);
	pause_ms(16);
	nanosleep(&t, NULL);
	_exit(42);
}

/* Its own status in every case; "exited", or attached just in time. */
static inline const char *case_exit(long arg)
{
	int attached = 0;

	(void)arg;
	for (int i = 0; i < 120; i++) {
		struct target *t = target_start(shape_exit, i * 25, 1);
		struct attach a;
		int status, r;

		if (!t)
			return "target not ready";
		r = attach(t->pid, 0, &a);
		if (r < 0 && a.failure.reason != PAGETAP_REASON_EXITED &&
		    a.failure.reason != PAGETAP_REASON_ZOMBIE &&
		    a.failure.reason != PAGETAP_REASON_NO_PROCESS)
			return say(&a);
		attached += !r;
		if (waitpid(t->pid, &status, 0) != t->pid || !WIFEXITED(status) ||
		    WEXITSTATUS(status) != 42)
			return why("it ended with 0x%x (i = %d)", status, i);
		t->pid = -1;
		targets_end();
	}
	printf("   attached in time to %d of 120\n", attached);
	return NULL;
}

static inline void *exec_thread(void *arg)
{
	struct timespec t = { 0, (long)(intptr_t)arg * 1000 };

	pause_ms(16);
	nanosleep(&t, NULL);
	execl("/bin/sh", "sh", "-c", "for f in /proc/$$/fd/*; do case $(readlink $f) in "
	      "*userfaultfd*|socket:*) exit 9;; esac; done; exit 43", (char *)NULL);
	_exit(1);
}

/* Even: by its only thread; odd: by another than the first, which takes over its id. */
static inline void shape_exec(struct shared *s, long us)
{
	pthread_t th;

	atomic_fetch_add(&s->ready, 1);
	if (us / 25 & 1) {
		pthread_create(&th, NULL, exec_thread, (void *)(intptr_t)us);
		for (;;)
			pause();
	}
	exec_thread((void *)(intptr_t)us);
}

static inline const char *case_exec(long arg)
{
	int attached = 0;

	(void)arg;
	for (int i = 0; i < 100; i++) {
		struct target *t = target_start(shape_exec, i * 25, 1);
		struct attach a;
		int status, r;

		if (!t)
			return "target not ready";
		r = attach(t->pid, 0, &a);
		if (r < 0 && a.failure.reason != PAGETAP_REASON_EXITED &&
		    a.failure.reason != PAGETAP_REASON_ZOMBIE)
			return say(&a);
		attached += !r;
		if (waitpid(t->pid, &status, 0) != t->pid || !WIFEXITED(status) ||
		    WEXITSTATUS(status) != 43)
			return why("it ended with 0x%x (i = %d)", status, i);
		t->pid = -1;
		targets_end();
	}
	printf("   attached to %d of 100\n", attached);
	return NULL;
}

/* ---- forks ---- */

/* Sockets and userfaultfds among the first descriptors; there should be none. */
static inline int foreign_fds(void)
{
	char path[32], link[64];
	int n = 0;

	for (int fd = 3; fd < 64; fd++) {
		ssize_t len;

		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		len = readlink(path, link, sizeof(link) - 1);
		if (len <= 0)
			continue;
		link[len] = '\0';
		n += !strncmp(link, "socket:", 7) || strstr(link, "userfaultfd");
	}
	return n;
}

static inline void *fork_thread(void *arg)
{
	struct shared *s = arg;

	atomic_fetch_add(&s->ready, 1);
	while (!atomic_load(&s->stop)) {
		pid_t child = fork();

		if (!child) {
			if (foreign_fds())
				atomic_fetch_add(&s->count[3], 1);
			for (int i = 0; foreign_fds() && i < 300; i++)
				pause_ms(10);
			if (foreign_fds())
				atomic_fetch_add(&s->count[1], 1);
			_exit(7);
		}
		if (child < 0)
			continue;
		for (int status = 0; waitpid(child, &status, 0) == child;)
			if (!WIFEXITED(status) || WEXITSTATUS(status) != 7)
				shape_bad(s, 400 + WTERMSIG(status));
		atomic_fetch_add(&s->count[2], 1);
	}
	return NULL;
}

static inline void shape_forks(struct shared *s, long arg)
{
	/* Some memory, so that a fork takes a while and overlaps. */
	size_t size = 16u << 20;
	char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pthread_t th[4];

	(void)arg;
	memset(p, 1, size);
	for (int i = 0; i < 4; i++)
		pthread_create(&th[i], NULL, fork_thread, s);
	for (int i = 0; i < 4; i++)
		pthread_join(th[i], NULL);
	_exit(s->bad != 0);
}

static inline const char *case_forks(long arg)
{
	struct target *t = target_start(shape_forks, 0, 4);
	struct attach a;
	const char *w;

	(void)arg;
	if (!t)
		return "target not ready";
	for (int i = 0; i < 100; i++)
		if (attach(t->pid, 0, &a) < 0)
			return say(&a);
	w = is_intact(t->pid);
	if (!w)
		w = target_ends_well(t, 8000);
	printf("   %ld forks, %ld of them copied a descriptor of ours\n", t->shared->count[2],
	       t->shared->count[3]);
	if (!w && t->shared->count[1])
		w = why("%ld children kept descriptors of ours", t->shared->count[1]);
	return w;
}

static inline void *short_thread(void *arg)
{
	atomic_fetch_add(&((struct shared *)arg)->rounds, 1);
	return NULL;
}

static inline void *breed_thread(void *arg)
{
	struct shared *s = arg;
	pthread_t th;

	atomic_fetch_add(&s->ready, 1);
	while (!atomic_load(&s->stop))
		if (!pthread_create(&th, NULL, short_thread, s))
			pthread_join(th, NULL);
	return NULL;
}

static inline void shape_breed(struct shared *s, long arg)
{
	pthread_t th;

	(void)arg;
	pthread_create(&th, NULL, breed_thread, s);
	breed_thread(s);
	pthread_join(th, NULL);
	_exit(s->bad != 0);
}

static inline const char *case_thread_storm(long arg)
{
	struct target *t = target_start(shape_breed, 0, 2);
	struct attach a;
	const char *w;

	(void)arg;
	if (!t)
		return "target not ready";
	for (int i = 0; i < 150; i++)
		if (attach(t->pid, 0, &a) < 0)
			return say(&a);
	w = is_intact(t->pid);
	return w ? w : target_ends_well(t, 5000);
}

/* One thread closes whatever it finds, and puts a pipe under every number. */
static inline void *close_thread(void *arg)
{
	struct shared *s = arg;
	int p[2];

	if (pipe2(p, O_CLOEXEC) || dup3(p[0], 900, O_CLOEXEC) < 0)
		shape_bad(s, errno);
	close(p[0]);
	close(p[1]);
	atomic_fetch_add(&s->ready, 1);
	while (!atomic_load(&s->stop)) {
		for (int fd = 3; fd < 40; fd++)
			if (atomic_load(&s->rounds) & 1)
				close(fd);
			else
				dup3(900, fd, O_CLOEXEC);
		atomic_fetch_add(&s->rounds, 1);
	}
	return NULL;
}

static inline void shape_closes(struct shared *s, long arg)
{
	pthread_t th;

	(void)arg;
	pthread_create(&th, NULL, close_thread, s);
	doze(s);
	pthread_join(th, NULL);
	_exit(s->bad != 0);
}

/* It may be attached to or not, but never take a wrong descriptor, nor be harmed. */
static inline const char *case_closes(long arg)
{
	struct target *t = target_start(shape_closes, 0, 2);
	int attached = 0;
	const char *w;

	(void)arg;
	if (!t)
		return "target not ready";
	for (int i = 0; i < 200; i++) {
		struct attach a;

		attached += !attach(t->pid, i & 1 ? PAGETAP_NO_PIDFD_GETFD : 0, &a);
		if (a.failure.state == PAGETAP_TARGET_DAMAGED)
			return say(&a);
	}
	printf("   attached %d of 200 times\n", attached);
	w = is_intact(t->pid);
	return w ? w : target_ends_well(t, 5000);
}

/* Two borrowings of one target overlap: one may find it traced, none may harm it. */
static inline const char *case_two_at_once(long arg)
{
	struct target *t = target_start(shape_spin, 2, 2);
	struct pagetap_opts o = { .size = sizeof(o) };
	int done = 0, traced = 0;
	const char *w;

	(void)arg;
	if (!t)
		return "target not ready";
	for (int i = 0; i < 60; i++) {
		struct pagetap_borrowing *b[2] = { NULL, NULL };
		struct pagetap_failure f[2];

		for (int k = 0; k < 2; k++)
			if (pagetap_borrow_start(&b[k], t->pid, &o, &f[k]) < 0)
				traced += f[k].reason == PAGETAP_REASON_TRACED;
		for (int k = 0; k < 2; k++) {
			struct pagetap_loan loan = { .size = sizeof(loan) };

			if (!b[k])
				continue;
			if (!pagetap_borrow_finish(b[k], &loan, &f[k])) {
				close(loan.uffd);
				close(loan.pidfd);
				done++;
			} else if (f[k].reason == PAGETAP_REASON_TRACED) {
				traced++;
			} else {
				return why("%s: %s", pagetap_phase_name(f[k].phase), f[k].text);
			}
		}
	}
	printf("   %d attached, %d found it traced\n", done, traced);
	if (done + traced != 120 || done < 60)
		return "not each ended in one or the other";
	w = is_intact(t->pid);
	return w ? w : target_ends_well(t, 5000);
}

#endif
