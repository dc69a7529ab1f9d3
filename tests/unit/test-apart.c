/* SPDX-License-Identifier: MIT */
/* Apart: a child that talks, one that has gone, and one that is silent. */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "restore/apart.h"
#include "suite.h"

#define MUCH (4u << 20)		/* more than a socket holds */

static char much[MUCH];
static bool confined;

static void confine(void)
{
	confined = true;
}

/* One word back, and it has what it should have, and nothing of ours. */
static void echo(void *arg)
{
	int word, *kept = arg;

	apart_take(&word, sizeof(word));
	if (confined && fcntl(*kept, F_GETFD) < 0 && !isatty(0))
		word++;
	apart_give(&word, sizeof(word));
}

static void test_talk(void)
{
	int kept = fcntl(STDERR_FILENO, F_DUPFD, 40), word = 41;
	struct apart a;

	CU_ASSERT_EQUAL_FATAL(apart_begin(&a, confine, echo, &kept), 0);
	CU_ASSERT_FALSE(confined);
	CU_ASSERT_EQUAL(apart_send(&a, &word, sizeof(word)), 0);
	CU_ASSERT_EQUAL(apart_receive(&a, &word, sizeof(word)), 0);
	CU_ASSERT_EQUAL(word, 42);
	CU_ASSERT_EQUAL(apart_receive(&a, &word, sizeof(word)), -EPIPE);
	apart_end(&a);
	CU_ASSERT_EQUAL(waitpid(-1, NULL, 0), -1);
	close(kept);
}

static void die(void *arg)
{
	(void)arg;
	raise(SIGSEGV);
}

static void test_gone(void)
{
	struct apart a;
	char c;
	int status;

	signal(SIGSEGV, SIG_DFL);
	CU_ASSERT_EQUAL_FATAL(apart_begin(&a, NULL, die, NULL), 0);
	CU_ASSERT_EQUAL(apart_receive(&a, &c, 1), -EPIPE);
	CU_ASSERT_EQUAL(apart_send(&a, much, MUCH), -EPIPE);
	status = apart_end(&a);
	CU_ASSERT(WIFSIGNALED(status));
}

static void sleep_on(void *arg)
{
	(void)arg;
	for (;;)
		pause();
}

/* It neither takes nor gives: that has an end. */
static void test_silent(void)
{
	const uint64_t old = apart_silence_ns, begin = clock_now();
	struct apart a;
	char c;
	int status;

	apart_silence_ns = 50 * NSEC_PER_MSEC;
	CU_ASSERT_EQUAL_FATAL(apart_begin(&a, NULL, sleep_on, NULL), 0);
	CU_ASSERT_EQUAL(apart_receive(&a, &c, 1), -ETIMEDOUT);
	CU_ASSERT_EQUAL(apart_send(&a, much, MUCH), -ETIMEDOUT);
	CU_ASSERT(clock_now() - begin >= 100 * NSEC_PER_MSEC);
	status = apart_end(&a);
	CU_ASSERT(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	apart_silence_ns = old;
}

static void test_clean(void)
{
	char words[8] = "a\x1b[1m\n\xc3\xa4";

	apart_clean(words, sizeof(words));
	CU_ASSERT_STRING_EQUAL(words, "a?[1m??");
}

static const struct suite_test tests[] = {
	{ "it talks, and has nothing of ours", test_talk },
	{ "it dies", test_gone },
	{ "it is silent", test_silent },
	{ "what it says is printable", test_clean },
};

SUITE_MAIN("apart", tests)
