/* SPDX-License-Identifier: MIT */
/* Procwatch: forks, execs and exits of our own children, and an overrun. */

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "suite.h"
#include "watch/procwatch.h"

#define CHILDREN 50

static struct procwatch *watch;
static pid_t children[CHILDREN];
static unsigned int seen[4], threads;
static uint32_t codes[CHILDREN];

static void on_event(void *arg, const struct procwatch_event *ev)
{
	(void)arg;
	if (ev->kind == PROCWATCH_THREAD && ev->tgid == getpid())
		threads++;
	for (int i = 0; i < CHILDREN; i++) {
		if (ev->kind == PROCWATCH_FORK && ev->tgid == getpid() &&
		    ev->child_tgid == children[i])
			seen[ev->kind]++;
		if (ev->kind == PROCWATCH_EXEC && ev->tgid == children[i])
			seen[ev->kind]++;
		if (ev->kind == PROCWATCH_EXIT && ev->tgid == children[i]) {
			seen[ev->kind]++;
			codes[i] = ev->exit_code;
		}
	}
}

/* Until the exits of n children have been told; the whole machine's events come too. */
static void drain(unsigned int n)
{
	struct pollfd p = { .fd = procwatch_fd(watch), .events = POLLIN };
	uint64_t limit = clock_now() + 5 * NSEC_PER_SEC;

	while (seen[PROCWATCH_EXIT] < n && clock_now() < limit && poll(&p, 1, 1000) == 1)
		CU_ASSERT_EQUAL_FATAL(procwatch_read(watch, on_event, NULL), 0);
}

static void test_open(void)
{
	CU_ASSERT_PTR_NOT_NULL_FATAL(watch);
	CU_ASSERT_EQUAL(procwatch_read(watch, on_event, NULL), 0);
}

static void test_all_told(void)
{
	uint64_t before = clock_now();

	for (int i = 0; i < CHILDREN; i++) {
		children[i] = fork();
		if (!children[i]) {
			if (i % 2)
				execl("/bin/sh", "sh", "-c", "exit 3", NULL);
			_exit(i);
		}
	}
	for (int i = 0; i < CHILDREN; i++)
		CU_ASSERT_EQUAL(waitpid(children[i], NULL, 0), children[i]);
	drain(CHILDREN);
	CU_ASSERT_EQUAL(seen[PROCWATCH_FORK], CHILDREN);
	CU_ASSERT_EQUAL(seen[PROCWATCH_EXEC], CHILDREN / 2);
	CU_ASSERT_EQUAL(seen[PROCWATCH_EXIT], CHILDREN);
	for (int i = 0; i < CHILDREN; i++)
		CU_ASSERT_EQUAL(WEXITSTATUS(codes[i]), i % 2 ? 3 : i);
	CU_ASSERT(clock_now() > before);
}

static void *idle(void *arg)
{
	return arg;
}

static void test_threads_are_no_processes(void)
{
	pthread_t t;

	memset(seen, 0, sizeof(seen));
	threads = 0;
	CU_ASSERT_EQUAL(pthread_create(&t, NULL, idle, NULL), 0);
	pthread_join(t, NULL);
	/* Events come in order: a child's exit after it says that the thread's are here. */
	children[0] = fork();
	if (!children[0])
		_exit(0);
	waitpid(children[0], NULL, 0);
	drain(1);
	CU_ASSERT_EQUAL(threads, 1);
	CU_ASSERT_EQUAL(seen[PROCWATCH_FORK], 1);
	CU_ASSERT_EQUAL(seen[PROCWATCH_EXIT], 1);
}

/* A buffer that nobody empties: the loss is told, and events flow again after it. */
static void test_overrun(void)
{
	int fd = procwatch_fd(watch), small = 4096, large = 4 << 20, r = 0;

	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	for (int i = 0; i < 400; i++) {
		pid_t pid = fork();

		if (!pid)
			_exit(0);
		waitpid(pid, NULL, 0);
	}
	r = procwatch_read(watch, on_event, NULL);
	CU_ASSERT_EQUAL(r, -ENOBUFS);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &large, sizeof(large));
	/* What was lost before the buffer grew is told once more at most. */
	procwatch_read(watch, on_event, NULL);
	memset(seen, 0, sizeof(seen));
	children[0] = fork();
	if (!children[0])
		_exit(0);
	waitpid(children[0], NULL, 0);
	drain(1);
	CU_ASSERT_EQUAL(seen[PROCWATCH_EXIT], 1);
}

/* In another pid namespace the kernel would take the wish and never tell anything. */
static void test_namespace(void)
{
	int status = -1;
	pid_t outer = fork(), inner;

	if (!outer) {
		struct procwatch *p = NULL;

		if (unshare(CLONE_NEWPID) < 0)
			_exit(100);
		inner = fork();
		if (!inner)
			_exit(procwatch_open(&p) == -EPERM ? 7 : 101);
		_exit(waitpid(inner, &status, 0) == inner ? WEXITSTATUS(status) : 102);
	}
	CU_ASSERT_EQUAL(waitpid(outer, &status, 0), outer);
	CU_ASSERT(WIFEXITED(status));
	CU_ASSERT_EQUAL(WEXITSTATUS(status), 7);
}

static void test_close(void)
{
	watch = procwatch_close(watch);
	CU_ASSERT_PTR_NULL(watch);
	CU_ASSERT_PTR_NULL(procwatch_close(NULL));
}

static const struct suite_test tests[] = {
	{ "open", test_open },
	{ "every child is told of", test_all_told },
	{ "threads are no processes", test_threads_are_no_processes },
	{ "an overrun is told", test_overrun },
	{ "another namespace", test_namespace },
	{ "close", test_close },
};

int main(void)
{
	int r = procwatch_open(&watch);

	/* EPERM: in a pid or user namespace of one's own; else there is no connector. */
	if (r < 0) {
		printf("SKIP no-netlink: the proc connector answers %s\n", strerror(-r));
		puts("0 passed, 0 failed, 1 skipped");
		return 0;
	}
	return suite_run("procwatch", tests, sizeof(tests) / sizeof(tests[0]));
}
