/* SPDX-License-Identifier: MIT */
/*
 * Keeper, kill: who was handed over is dead behind it, with all descendants; and is so when
 * there is no memory to write down who that is.
 *
 * link: -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=strdup
 */

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "compat/sys.h"
#include "restore/keeper-parts.h"
#include "starve.h"
#include "suite.h"

#define HANDED 3
#define IN_TIME_MS 10000

static const struct image image;

static struct roster *r;
static pid_t handed[HANDED];
static int pidfds[HANDED], alive;	/* a pipe's end that ends with the last of them */

/* Each has a child, if wanted; they end with us, whatever happens. */
static pid_t begin_process(bool parent, int write_end)
{
	pid_t pid = fork();

	if (!pid) {
		if (parent)
			fork();
		alarm(60);
		/* As its only words: it runs, so the forks are over. */
		if (write(write_end, "r", 1) == 1)
			for (;;)
				pause();
		_exit(1);
	}
	return pid;
}

static void begin(bool parents)
{
	int ends[2];
	char word;

	CU_ASSERT_EQUAL_FATAL(pipe(ends), 0);
	CU_ASSERT_EQUAL_FATAL(roster_new(&image, -1, &r), 0);
	for (int i = 0; i < HANDED; i++) {
		handed[i] = begin_process(parents, ends[1]);
		CU_ASSERT_FATAL(handed[i] > 0);
		pidfds[i] = sys_pidfd_open(handed[i], 0);
		CU_ASSERT_FATAL(pidfds[i] >= 0);
		CU_ASSERT_PTR_NOT_NULL_FATAL(roster_enter(r, i + 1, handed[i], -1, pidfds[i]));
	}
	close(ends[1]);
	alive = ends[0];
	for (int i = 0; i < (parents ? 2 * HANDED : HANDED); i++)
		CU_ASSERT_EQUAL_FATAL(read(alive, &word, 1), 1);
}

static void kill_them(void)
{
	const struct keeper_setup setup = { .roster = r };
	unsigned int left = 1;

	CU_ASSERT_TRUE(keeper_kill(&setup, &left));
	CU_ASSERT_EQUAL(left, 0);
}

/* Killed, and by nothing else. */
static void end(void)
{
	int status;

	for (int i = 0; i < HANDED; i++) {
		CU_ASSERT_EQUAL(waitpid(handed[i], &status, 0), handed[i]);
		CU_ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		close(pidfds[i]);
	}
	roster_free(r);
	close(alive);
}

static void test_descendants(void)
{
	struct pollfd p;
	char word;

	begin(true);
	p = (struct pollfd){ .fd = alive, .events = POLLIN };
	kill_them();
	CU_ASSERT_EQUAL(poll(&p, 1, IN_TIME_MS), 1);
	CU_ASSERT_EQUAL(read(alive, &word, 1), 0);
	end();
}

static void test_without_memory(void)
{
	bool hit = true;

	for (long n = 1; hit; n++) {
		begin(false);
		starve_ours_after(n);
		kill_them();
		hit = starve_hit();
		end();
		CU_ASSERT_TRUE_FATAL(hit || n > 1);
	}
}

static const struct suite_test tests[] = {
	{ "all descendants", test_descendants },
	{ "without memory", test_without_memory },
};

SUITE_MAIN("keeper kill", tests)
