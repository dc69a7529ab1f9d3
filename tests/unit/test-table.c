/* SPDX-License-Identifier: MIT */
/* Table: who else uses the descriptors of a process. */

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "suite.h"
#include "table.h"

static pid_t start(unsigned long flags)
{
	pid_t pid = (pid_t)syscall(SYS_clone, flags | SIGCHLD, NULL, NULL, NULL, NULL);

	if (!pid) {
		alarm(60);
		for (;;)
			pause();
	}
	return pid;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static bool is_shared(pid_t pid, pid_t parent)
{
	char path[32];
	bool shared;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d", pid);
	fd = open(path, O_RDONLY | O_DIRECTORY);
	CU_ASSERT_FATAL(fd >= 0);
	shared = table_is_shared(fd, pid, parent);
	close(fd);
	return shared;
}

static void test_children(void)
{
	pid_t plain = start(0), sharing;

	CU_ASSERT_FATAL(plain > 0);
	CU_ASSERT_FALSE(is_shared(getpid(), 0));
	CU_ASSERT_FALSE(is_shared(plain, getpid()));
	sharing = start(CLONE_FILES);
	CU_ASSERT_FATAL(sharing > 0);
	CU_ASSERT_TRUE(is_shared(getpid(), 0));
	CU_ASSERT_TRUE(is_shared(sharing, getpid()));
	CU_ASSERT_FALSE(is_shared(plain, getpid()));
	end(sharing);
	CU_ASSERT_FALSE(is_shared(getpid(), 0));
	end(plain);
}

/* More than are asked: nobody knows. */
static void test_many_children(void)
{
	pid_t child[64];

	for (int i = 0; i < 64; i++)
		child[i] = start(0);
	CU_ASSERT_TRUE(is_shared(getpid(), 0));
	for (int i = 0; i < 64; i++)
		end(child[i]);
}

static void test_parent_gone(void)
{
	pid_t gone = start(0);

	end(gone);
	CU_ASSERT_FALSE(is_shared(getpid(), gone));
}

static void *wait_for_end(void *lock)
{
	pthread_mutex_lock(lock);
	pthread_mutex_unlock(lock);
	return NULL;
}

static void test_threads(void)
{
	pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	int dir = open("/proc/self/task", O_RDONLY | O_DIRECTORY);
	pthread_t t;

	CU_ASSERT_FATAL(dir >= 0);
	CU_ASSERT_FALSE(table_has_threads(dir));
	pthread_mutex_lock(&lock);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&t, NULL, wait_for_end, &lock), 0);
	CU_ASSERT_TRUE(table_has_threads(dir));
	pthread_mutex_unlock(&lock);
	pthread_join(t, NULL);
	close(dir);
	CU_ASSERT_TRUE(table_has_threads(dir));
}

static const struct suite_test tests[] = {
	{ "children and parent", test_children },
	{ "more children than are asked", test_many_children },
	{ "parent gone", test_parent_gone },
	{ "threads", test_threads },
};

SUITE_MAIN("table", tests)
