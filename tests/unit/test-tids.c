/* SPDX-License-Identifier: MIT */
/* Tids: our own namespace, and a child in one of its own. */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
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
	CU_ASSERT_EQUAL(tids_inner(t, 4711), 4711);
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
	CU_ASSERT_EQUAL(tids_inner(t, pid), 1);
	CU_ASSERT_EQUAL(tids_inner(t, pid + 100000), 0);
	tids_forget(t);
	usleep(2000);
	CU_ASSERT_EQUAL(tids_inner(t, pid), 1);
	tids_forget(t);
	usleep(2000);
	CU_ASSERT_EQUAL(tids_host(t, 1), pid);
	/* Another thread has that id now: here it is the same, and stays known. */
	tids_born(t, pid);
	CU_ASSERT_EQUAL(tids_host(t, 1), pid);
	/* One that has gone before it could be asked makes all of them doubtful. */
	tids_born(t, pid + 100000);
	usleep(2000);
	CU_ASSERT_EQUAL(tids_host(t, 1), pid);
	close(hold);
	wait(NULL);
	tids_born(t, pid);
	usleep(2000);
	CU_ASSERT_EQUAL(tids_host(t, 1), 0);
	tids_free(t);
	close(fd);
}

struct inner {
	int order[2], answer[2];
	int answers;
};

static void *rest(void *arg)
{
	(void)arg;
	pause();
	return NULL;
}

static void *answer_id(void *arg)
{
	struct inner *in = arg;
	pid_t me = gettid();

	/* The last thread of this id was joined, which is not yet gone. */
	if (me != 77)
		return NULL;
	in->answers++;
	if (write(in->answer[1], &me, sizeof(me)) == sizeof(me) && !read(in->order[0], &me, 1))
		pause();
	return NULL;
}

/* Twice a thread of id 77 in a namespace of our own; a byte ends the first one. */
static void be_inner(struct inner *in)
{
	pthread_t other, t;

	if (pthread_create(&other, NULL, rest, NULL))
		_exit(1);
	while (in->answers < 2) {
		int fd = open("/proc/sys/kernel/ns_last_pid", O_WRONLY | O_CLOEXEC);

		if (fd < 0 || write(fd, "76", 2) != 2 || close(fd) ||
		    pthread_create(&t, NULL, answer_id, in) || pthread_join(t, NULL))
			_exit(1);
	}
	_exit(0);
}

/* The last number of NSpid. */
static long inner_id(pid_t pid, const char *tid)
{
	char path[300], line[256];
	long last = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/task/%s/status", pid, tid);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, "NSpid:", 6) && strrchr(line, '\t'))
			last = strtol(strrchr(line, '\t'), NULL, 10);
	if (f)
		fclose(f);
	return last;
}

/* The id in our namespace of the thread that is 77 in its own. */
static pid_t thread_77(pid_t pid)
{
	char path[32];
	struct dirent *e;
	long found = 0;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	d = opendir(path);
	while (d && (e = readdir(d)))
		if (e->d_name[0] != '.' && inner_id(pid, e->d_name) == 77)
			found = strtol(e->d_name, NULL, 10);
	if (d)
		closedir(d);
	return (pid_t)found;
}

static void test_reused(void)
{
	struct inner in = { .answers = 0 };
	struct tids *t;
	pid_t pid, first, inner;
	bool same;
	int fd;

	CU_ASSERT_FATAL(!pipe(in.order) && !pipe(in.answer));
	pid = (pid_t)syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, 0, 0, 0, 0);
	if (!pid)
		be_inner(&in);
	CU_ASSERT_FATAL(pid > 0);
	fd = open_proc(pid);
	CU_ASSERT_EQUAL_FATAL(tids_same(fd, &same), 0);
	CU_ASSERT_EQUAL_FATAL(tids_new(&t, fd, same), 0);
	CU_ASSERT_FATAL(read(in.answer[0], &inner, sizeof(inner)) == sizeof(inner));
	CU_ASSERT_EQUAL(inner, 77);
	first = thread_77(pid);
	CU_ASSERT_EQUAL(tids_host(t, 77), first);
	CU_ASSERT_FATAL(write(in.order[1], "x", 1) == 1);
	CU_ASSERT_FATAL(read(in.answer[0], &inner, sizeof(inner)) == sizeof(inner));
	CU_ASSERT_EQUAL(inner, 77);
	CU_ASSERT_NOT_EQUAL(thread_77(pid), first);
	tids_born(t, thread_77(pid));
	CU_ASSERT_EQUAL(tids_host(t, 77), thread_77(pid));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
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
	{ "an id that comes back", test_reused },
};

SUITE_MAIN("tids", tests)
