/* SPDX-License-Identifier: MIT */
/*
 * Guard: a process that stands for the monitor holds a userfaultfd on its own memory
 * and never beats; a thread of it waits for an answer.
 */

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

#include "base/clock.h"
#include "compat/sys.h"
#include "suite.h"
#include "watch/guard.h"
#include "watch/uffd.h"
#include "watch/watchable.h"

#define PAGE 4096
#define LIMIT (100 * NSEC_PER_MSEC)

static struct {
	_Atomic bool waiting, through;
} *shared;

static void nap(uint64_t ms)
{
	struct timespec ts = { (time_t)(ms / 1000), (long)(ms % 1000 * 1000000) };

	nanosleep(&ts, NULL);
}

static void *write_page(void *page)
{
	shared->waiting = true;
	*(volatile char *)page = 1;
	shared->through = true;
	return NULL;
}

/* Returns the userfaultfd; -1 if there is none to be had. */
static int arm_own_page(void **ret_page)
{
	void *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct range r = { (uint64_t)(uintptr_t)page, (uint64_t)(uintptr_t)page + PAGE };
	int fd = uffd_open_own();
	uint64_t features;

	memset(page, 0, PAGE);
	if (fd < 0 || uffd_handshake(fd, UFFD_FEATURE_PAGEFAULT_FLAG_WP, &features) ||
	    uffd_register(fd, r, WATCH_MODE_WRITE) || uffd_protect(fd, r))
		return -1;
	*ret_page = page;
	return fd;
}

/*
 * The process that stands for the monitor.  told: the guard knows whose memory it is.
 * Exits with 0 if it was released and found out.
 */
static int stand_still(bool told)
{
	uint64_t begin = clock_now();
	struct guard_stall stall;
	pthread_t thread;
	struct guard *g;
	void *page;
	int fd;

	alarm(20);
	if (guard_new(&g, LIMIT, 4, NULL) < 0)
		return 10;
	fd = arm_own_page(&page);
	if (fd < 0)
		return 11;
	if (guard_tell(g, fd, told ? getpid() : 0) == GUARD_NO_SLOT)
		return 12;
	/* Unless a busy machine has kept us from coming so far in time. */
	if (guard_released(g) && clock_now() - begin < LIMIT)
		return 13;
	pthread_create(&thread, NULL, write_page, page);
	while (!shared->through)
		nap(1);
	pthread_join(thread, NULL);
	if (!guard_released(g) || guard_settle(g, &stall) != 1)
		return 14;
	if (!stall.since || stall.since > clock_now() || stall.again || guard_released(g))
		return 15;
	guard_free(g);
	return 0;
}

static int run(bool told)
{
	int status = -1;
	pid_t pid;

	shared->waiting = shared->through = false;
	pid = fork();
	if (!pid)
		_exit(stand_still(told));
	CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
	return status;
}

static void test_released(void)
{
	uint64_t t0 = clock_now();
	int status = run(true);

	CU_ASSERT_EQUAL(status, 0);
	CU_ASSERT_TRUE(shared->through);
	CU_ASSERT_TRUE(clock_now() - t0 >= LIMIT);
}

/* Nobody knows whose memory it is: all that is left is to end who holds it. */
static void test_hopeless(void)
{
	int status = run(false);

	CU_ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	CU_ASSERT_TRUE(shared->waiting);
	CU_ASSERT_FALSE(shared->through);
}

static void test_beats(void)
{
	uint64_t begin = clock_now(), longest = 0;
	struct guard_stall stall;
	struct guard *g = NULL;
	bool released;
	void *page;
	int fd;

	CU_ASSERT_EQUAL_FATAL(guard_new(&g, LIMIT, 2, NULL), 0);
	fd = arm_own_page(&page);
	CU_ASSERT_TRUE_FATAL(fd >= 0);
	CU_ASSERT_EQUAL(guard_tell(g, fd, getpid()), 0);
	for (int i = 0; i < 60; i++) {
		uint64_t last = begin;

		nap(5);
		begin = clock_now();
		guard_beat(g);
		longest = clock_now() - last > longest ? clock_now() - last : longest;
	}
	/* On a busy machine it did not beat in time, and was released rightly. */
	released = guard_released(g);
	longest = clock_now() - begin > longest ? clock_now() - begin : longest;
	CU_ASSERT(!released || longest >= LIMIT);
	CU_ASSERT_EQUAL(guard_settle(g, &stall), released);
	CU_ASSERT_TRUE(guard_period(g) <= LIMIT / 2);
	/* Nothing is held: standing still is nobody's business. */
	guard_forget(g, 0);
	nap(300);
	CU_ASSERT_FALSE(guard_released(g));
	close(fd);
	munmap(page, PAGE);
	CU_ASSERT_PTR_NULL(guard_free(g));
}

static void test_slots(void)
{
	struct guard *g = NULL;

	CU_ASSERT_EQUAL_FATAL(guard_new(&g, NSEC_PER_SEC, 2, NULL), 0);
	CU_ASSERT_EQUAL(guard_tell(g, 7, 1), 0);
	CU_ASSERT_EQUAL(guard_tell(g, 8, 0), 1);
	CU_ASSERT_EQUAL(guard_tell(g, 9, 0), GUARD_NO_SLOT);
	guard_name(g, GUARD_NO_SLOT, 5);
	guard_forget(g, GUARD_NO_SLOT);
	guard_forget(g, 0);
	CU_ASSERT_EQUAL(guard_tell(g, 9, 0), 0);
	CU_ASSERT_EQUAL(guard_children(g, 0), 0);
	CU_ASSERT_EQUAL(guard_children(g, GUARD_NO_SLOT), 0);
	guard_free(g);
	/* No guard at all. */
	guard_beat(NULL);
	CU_ASSERT_EQUAL(guard_tell(NULL, 3, 4), GUARD_NO_SLOT);
	CU_ASSERT_FALSE(guard_released(NULL));
	CU_ASSERT_EQUAL(guard_period(NULL), UINT64_MAX);
	CU_ASSERT_EQUAL(guard_fd(NULL), -1);
}

static void test_restart(void)
{
	struct guard *g = NULL;
	struct pollfd p = { .events = POLLIN };
	int first;

	CU_ASSERT_EQUAL_FATAL(guard_new(&g, NSEC_PER_SEC, 2, NULL), 0);
	p.fd = first = guard_fd(g);
	CU_ASSERT_TRUE(first >= 0);
	CU_ASSERT_EQUAL(poll(&p, 1, 50), 0);
	CU_ASSERT_EQUAL(guard_start(g), 0);
	CU_ASSERT_EQUAL(guard_fd(g), first);
	/* pidfd_send_signal(2) */
	CU_ASSERT_EQUAL(sys_pidfd_send_signal(first, SIGKILL), 0);
	CU_ASSERT_EQUAL(poll(&p, 1, 5000), 1);
	guard_reap(g);
	CU_ASSERT_EQUAL(guard_fd(g), -1);
	CU_ASSERT_EQUAL(guard_start(g), 0);
	p.fd = guard_fd(g);
	CU_ASSERT_TRUE(p.fd >= 0);
	CU_ASSERT_EQUAL(poll(&p, 1, 50), 0);
	guard_free(g);
	/* Nobody's child is left to be found by a wait for any. */
	CU_ASSERT_EQUAL(waitpid(-1, NULL, WNOHANG), -1);
	CU_ASSERT_EQUAL(errno, ECHILD);
}

static const struct suite_test tests[] = {
	{ "a slot for each userfaultfd", test_slots },
	{ "while it beats nothing happens", test_beats },
	{ "released, and told so", test_released },
	{ "what cannot be released", test_hopeless },
	{ "killed and started again", test_restart },
};

int main(void)
{
	shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		return 1;
	return suite_run("guard", tests, sizeof(tests) / sizeof(tests[0]));
}
