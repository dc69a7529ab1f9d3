/* SPDX-License-Identifier: MIT */
/* Turnstile: one at a time, not for ever, and none for the dead. */

#include <signal.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "suite.h"
#include "watch/turnstile.h"

static void test_one_at_a_time(void)
{
	uint64_t t0 = clock_now();
	int fd = turnstile_enter(getpid(), 0), other;

	CU_ASSERT_TRUE_FATAL(fd >= 0);
	CU_ASSERT_EQUAL(turnstile_enter(getpid(), 20 * NSEC_PER_MSEC), -1);
	CU_ASSERT_TRUE(clock_now() - t0 >= 20 * NSEC_PER_MSEC);
	other = turnstile_enter(getppid(), 0);
	CU_ASSERT_TRUE(other >= 0);
	close(other);
	close(fd);
	fd = turnstile_enter(getpid(), 0);
	CU_ASSERT_TRUE(fd >= 0);
	close(fd);
}

static void test_waits_for_the_living(void)
{
	int in[2], fd;
	pid_t pid;
	char byte;

	CU_ASSERT_EQUAL_FATAL(pipe(in), 0);
	pid = fork();
	if (!pid) {
		fd = turnstile_enter(getppid(), 0);
		if (fd < 0 || write(in[1], "", 1) != 1)
			_exit(1);
		pause();
		_exit(2);
	}
	CU_ASSERT_EQUAL(read(in[0], &byte, 1), 1);
	CU_ASSERT_EQUAL(turnstile_enter(getpid(), 0), -1);
	kill(pid, SIGKILL);
	fd = turnstile_enter(getpid(), 5 * NSEC_PER_SEC);
	CU_ASSERT_TRUE(fd >= 0);
	close(fd);
	waitpid(pid, NULL, 0);
	close(in[0]);
	close(in[1]);
}

static const struct suite_test tests[] = {
	{ "one at a time", test_one_at_a_time },
	{ "the dead hold nobody up", test_waits_for_the_living },
};

SUITE_MAIN("turnstile", tests)
