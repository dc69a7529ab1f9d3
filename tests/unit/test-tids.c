/* SPDX-License-Identifier: MIT */
/* Tids: our own namespace, and a child in one of its own. */

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>

#include "suite.h"
#include "watch/procinfo.h"
#include "watch/tids.h"

#define GROUPS 3000

static gid_t many[GROUPS];

static int open_proc(pid_t pid)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d", pid);
	return open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static void test_same(void)
{
	int fd = open_proc(getpid());
	bool same = false;
	struct tids *t;

	CU_ASSERT_EQUAL_FATAL(tids_same(fd, &same), 0);
	CU_ASSERT_EQUAL_FATAL(tids_new(&t, fd, same), 0);
	CU_ASSERT(tids_same_namespace(t));
	CU_ASSERT_EQUAL(tids_host(t, 4711), 4711);
	tids_free(t);
	close(fd);
}

/*
 * A process that unshares may not fork once its new namespace's first child has
 * died: so another process does it, and lives until the pipe closes.
 */
static pid_t start_inner(int *ret_hold)
{
	int hold[2], tell[2];
	pid_t pid = 0;
	char c;

	CU_ASSERT_FATAL(!pipe(hold) && !pipe(tell));
	if (!fork()) {
		close(hold[1]);
		if (unshare(CLONE_NEWPID) < 0)
			_exit(1);
		/* Its status becomes longer than any page: the ids come after the groups. */
		for (gid_t i = 0; i < GROUPS; i++)
			many[i] = 100000 + i;
		if (setgroups(GROUPS, many) < 0)
			_exit(1);
		pid = fork();
		if (!pid) {
			pause();
			_exit(0);
		}
		if (write(tell[1], &pid, sizeof(pid)) != sizeof(pid) || read(hold[0], &c, 1))
			_exit(1);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		_exit(0);
	}
	close(hold[0]);
	close(tell[1]);
	if (read(tell[0], &pid, sizeof(pid)) != sizeof(pid))
		pid = 0;
	close(tell[0]);
	*ret_hold = hold[1];
	return pid;
}

static void test_other(void)
{
	struct tids *t;
	bool same = true;
	int fd, hold;
	pid_t pid = start_inner(&hold);

	CU_ASSERT_FATAL(pid > 0);
	fd = open_proc(pid);
	CU_ASSERT_FATAL(fd >= 0);
	CU_ASSERT_EQUAL_FATAL(tids_same(fd, &same), 0);
	CU_ASSERT_EQUAL_FATAL(tids_new(&t, fd, same), 0);
	CU_ASSERT(!tids_same_namespace(t));
	CU_ASSERT_EQUAL(tids_host(t, 1), pid);
	CU_ASSERT_EQUAL(tids_host(t, 1), pid);
	CU_ASSERT_EQUAL(tids_host(t, 999), 0);
	tids_forget(t);
	usleep(2000);
	CU_ASSERT_EQUAL(tids_host(t, 1), pid);
	close(hold);
	wait(NULL);
	tids_forget(t);
	usleep(2000);
	CU_ASSERT_EQUAL(tids_host(t, 1), 0);
	tids_free(t);
	close(fd);
}

static void test_gone(void)
{
	pid_t pid = fork();
	bool same;
	int fd;

	if (!pid)
		_exit(0);
	fd = open_proc(pid);
	waitpid(pid, NULL, 0);
	CU_ASSERT_EQUAL(tids_same(fd, &same), -ESRCH);
	close(fd);
}

static const struct suite_test tests[] = {
	{ "our namespace", test_same },
	{ "a process that has gone", test_gone },
	{ "another namespace", test_other },
};

SUITE_MAIN("tids", tests)
