/* SPDX-License-Identifier: MIT */
/* Memory: threads and children that share it, and the words that the kernel keeps in it. */

#include <linux/futex.h>
#include <sys/time.h>

#include "memory.h"

#define CROWD 64

static pthread_barrier_t crowd_barrier;
static _Atomic uint32_t *crowd_page;

static void *crowd_thread(void *arg)
{
	unsigned int i = (unsigned int)(uintptr_t)arg;

	pthread_barrier_wait(&crowd_barrier);
	crowd_page[i * 16] = i + 1;
	pthread_barrier_wait(&crowd_barrier);
	return NULL;
}

static void crowd_case(void)
{
	pthread_t th[CROWD];

	crowd_page = (_Atomic uint32_t *)map_anon(4);
	fill((void *)crowd_page, 4);
	pthread_barrier_init(&crowd_barrier, NULL, CROWD + 1);
	for (uintptr_t i = 0; i < CROWD; i++)
		must(!pthread_create(&th[i], NULL, crowd_thread, (void *)i), "thread %zu", i);
	gate();
	pthread_barrier_wait(&crowd_barrier);
	pthread_barrier_wait(&crowd_barrier);
	for (uint32_t i = 0; i < CROWD; i++)
		must(crowd_page[i * 16] == i + 1, "the word of thread %u", i);
	fact_wrote((void *)crowd_page, 1, 0);
	fact_quiet(at_page((void *)crowd_page, 1), 3);
	for (unsigned int i = 0; i < CROWD; i++)
		pthread_join(th[i], NULL);
}

/* A child that lives in its parent's memory until it ends. */
static void vfork_case(void)
{
	char *p = map_anon(8);
	volatile pid_t tid = 0;
	int status;
	pid_t pid;

	fill(p, 8);
	gate();
	pid = vfork();
	if (!pid) {
		tid = self();
		write_pages(p, 4, 1);
		_exit(5);
	}
	must(waitpid(pid, &status, 0) == pid, "the child");
	must(WEXITSTATUS(status) == 5, "child: 0x%x", status);
	check_written(p, 4, 1, "by the child");
	fact_wrote(p, 4, tid);
	write_pages(at_page(p, 4), 4, 2);
	fact_wrote(at_page(p, 4), 4, self());
}

static void on_alarm(int sig)
{
	(void)sig;
}

/* A signal makes a fork begin anew, after it has been announced. */
static void forksignal_case(void)
{
	struct sigaction sa = { .sa_handler = on_alarm, .sa_flags = SA_RESTART };
	struct itimerval every = { { 0, 700 }, { 0, 700 } }, never = { { 0, 0 }, { 0, 0 } };
	char *p = map_anon(2048);
	int status;

	fill(p, 2048);
	sigaction(SIGALRM, &sa, NULL);
	gate();
	setitimer(ITIMER_REAL, &every, NULL);
	for (int i = 0; i < 60; i++) {
		pid_t pid = fork();

		if (!pid) {
			signal(SIGALRM, SIG_IGN);
			check_filled(p, 16, "in the child");
			_exit(9);
		}
		must(pid > 0 && waitpid(pid, &status, 0) == pid, "fork %d", i);
		must(WIFEXITED(status) && WEXITSTATUS(status) == 9, "child %d: 0x%x", i, status);
		fact_child(pid);
	}
	setitimer(ITIMER_REAL, &never, NULL);
	check_filled(p, 2048, "parent");
	write_pages(p, 16, 1);
}

/* ---- words that the kernel keeps ---- */

static long futex(void *at, int op, uint32_t value, void *timeout)
{
	return syscall(SYS_futex, at, op, value, timeout, NULL, 0);
}

static char *words;
static pthread_mutex_t *robust;

static void *wakes(void *arg)
{
	(void)arg;
	usleep(50000);
	*(volatile uint32_t *)words = 1;
	while (futex(words, FUTEX_WAKE, 1, NULL) != 1)
		usleep(1000);
	/* Held while it ends: the kernel marks it so. */
	pthread_mutex_lock(robust);
	return NULL;
}

static volatile sig_atomic_t handled;
static volatile uint64_t handler_page;

static void on_stack(int sig)
{
	handler_page = page_of(__builtin_frame_address(0));
	handled = sig;
}

static void signal_on(char *stack, size_t len)
{
	stack_t alt = { .ss_sp = stack, .ss_size = len };
	struct sigaction sa = { .sa_handler = on_stack, .sa_flags = SA_ONSTACK };

	must(!sigaltstack(&alt, NULL) && !sigaction(SIGUSR1, &sa, NULL), "sigaltstack");
}

static void lock_pi(void)
{
	uint32_t *pi = at_page(words, 2);
	struct timespec soon = { 0, 50000000 };

	must(!futex(pi, FUTEX_LOCK_PI, 0, NULL) && (*pi & FUTEX_TID_MASK) == (uint32_t)self(),
	     "FUTEX_LOCK_PI");
	must(!futex(pi, FUTEX_UNLOCK_PI, 0, NULL) && !*pi, "FUTEX_UNLOCK_PI");
	*(volatile uint32_t *)words = 0;
	must(futex(words, FUTEX_WAIT, 0, &soon) < 0 && errno == ETIMEDOUT, "FUTEX_WAIT");
}

static void kernelwords_case(void)
{
	size_t stack_len = 16 * PAGE;
	char *stack = map_anon(16);
	pthread_mutexattr_t attr;
	pthread_t th;
	cpu_set_t set;

	words = map_anon(8);
	fill(words, 8);
	*(uint32_t *)words = 0;
	*(uint32_t *)at_page(words, 2) = 0;
	robust = (pthread_mutex_t *)at_page(words, 1);
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(robust, &attr);
	signal_on(stack, stack_len);
	gate();
	must(!pthread_create(&th, NULL, wakes, NULL), "thread");
	must(!futex(words, FUTEX_WAIT, 0, NULL) || errno == EAGAIN, "futex");
	pthread_join(th, NULL);
	must(*(volatile uint32_t *)words == 1, "the futex word");
	must(pthread_mutex_lock(robust) == EOWNERDEAD, "the robust mutex");
	must(!pthread_mutex_consistent(robust) && !pthread_mutex_unlock(robust), "the mutex");
	lock_pi();
	must(!raise(SIGUSR1) && handled == SIGUSR1, "a handler on another stack");
	must(handler_page >= page_of(stack) && handler_page < page_of(stack) + 16, "its stack");
	printf("fact {\"is\":\"wrote\",\"page\":%" PRIu64 ",\"n\":1,\"tid\":%d}\n", handler_page,
	       self());
	/* From one processor to another: the kernel notes it in the thread's rseq area. */
	for (int cpu = 0; cpu < 8; cpu++) {
		CPU_ZERO(&set);
		CPU_SET(cpu % 2, &set);
		if (!sched_setaffinity(0, sizeof(set), &set))
			must(sched_getcpu() == cpu % 2, "the processor is %d", sched_getcpu());
	}
	fact_wrote(at_page(words, 2), 1, self());
	fact_quiet(at_page(words, 3), 5);
}

/* Thread after thread: each end clears a word that the one who joins waits for. */
static void *ends(void *arg)
{
	volatile char deep[5 * PAGE];

	for (unsigned int i = 0; i < 5; i++)
		deep[i * PAGE] = (char)i;
	must(deep[4 * PAGE] == 4, "its stack");
	return arg;
}

static void threadends_case(void)
{
	struct timespec t0, now;
	pthread_t th;
	long n = 0;
	void *r;

	gate();
	clock_gettime(CLOCK_MONOTONIC, &t0);
	do {
		must(!pthread_create(&th, NULL, ends, (void *)n), "thread %ld", n);
		must(!pthread_join(th, &r) && r == (void *)n, "joining %ld", n);
		n++;
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (now.tv_sec < t0.tv_sec + 3);
	printf("%ld threads\n", n);
}

/* A lock in memory that is armed again and again, held by a thread when it ends. */
static atomic_bool holds;

static void *ends_holding(void *arg)
{
	struct timespec rest = { 0, 60000000 };

	must(!pthread_mutex_lock(arg), "lock");
	holds = true;
	nanosleep(&rest, NULL);
	return NULL;
}

static void robustends_case(void)
{
	char *p = map_anon(8);
	pthread_mutexattr_t attr;
	struct timespec until;
	pthread_t th;

	fill(p, 8);
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	robust = (pthread_mutex_t *)at_page(p, 3);
	must(!pthread_mutex_init(robust, &attr), "mutex");
	gate();
	for (int i = 0; i < 20; i++) {
		must(!pthread_create(&th, NULL, ends_holding, robust), "thread");
		while (!atomic_exchange(&holds, false))
			usleep(1000);
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_sec += 5;
		must(pthread_mutex_timedlock(robust, &until) == EOWNERDEAD, "lock %d", i);
		must(!pthread_mutex_consistent(robust) && !pthread_mutex_unlock(robust), "unlock");
		pthread_join(th, NULL);
	}
}

static const struct memory_case cases[] = {
	{ "crowd", crowd_case },
	{ "vfork", vfork_case },
	{ "forksignal", forksignal_case },
	{ "kernelwords", kernelwords_case },
	{ "threadends", threadends_case },
	{ "robustends", robustends_case },
};

MEMORY_MAIN(cases)
