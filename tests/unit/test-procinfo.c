/* SPDX-License-Identifier: MIT */
/* Procinfo: ourselves, a child with a hostile name, a zombie. */

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "suite.h"
#include "watch/procinfo.h"

static void test_ourselves(void)
{
	struct procinfo p;
	char exe[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe));

	CU_ASSERT_EQUAL_FATAL(procinfo_of(getpid(), &p), 0);
	CU_ASSERT_EQUAL(p.ppid, getppid());
	CU_ASSERT_EQUAL(p.threads, 1);
	CU_ASSERT_EQUAL(p.state, 'R');
	CU_ASSERT(p.start_time > 0);
	CU_ASSERT_EQUAL_FATAL(p.exe_len, n);
	CU_ASSERT(!memcmp(p.exe, exe, (size_t)n));
	CU_ASSERT_EQUAL(procinfo_tgid(getpid()), getpid());
	CU_ASSERT_EQUAL(procinfo_of(0x3fffffff, &p), -ESRCH);
	CU_ASSERT_EQUAL(procinfo_tgid(0x3fffffff), 0);
}

/* A comm may hold parentheses and line ends; it may not move the fields after it. */
static void test_hostile_name(void)
{
	static const char name[] = ") R 1 (\n\033x";
	struct procinfo p;
	pid_t pid = fork(), list[16];
	unsigned int n;
	bool listed = false;
	int fd;

	if (!pid) {
		prctl(PR_SET_NAME, name);
		kill(getpid(), SIGSTOP);
		_exit(5);
	}
	waitpid(pid, NULL, WUNTRACED);
	CU_ASSERT_EQUAL_FATAL(procinfo_of(pid, &p), 0);
	CU_ASSERT_EQUAL_FATAL(p.comm_len, strlen(name));
	CU_ASSERT(!memcmp(p.comm, name, strlen(name)));
	CU_ASSERT_EQUAL(p.ppid, getpid());
	CU_ASSERT_EQUAL(p.state, 'T');
	fd = open("/proc/self", O_PATH | O_DIRECTORY);
	n = procinfo_children(fd, list, 16);
	for (unsigned int i = 0; i < n; i++)
		listed = listed || list[i] == pid;
	CU_ASSERT(listed);
	close(fd);
	kill(pid, SIGCONT);
	/* A zombie still tells how it ended. */
	for (int i = 0; i < 2000; i++) {
		CU_ASSERT_EQUAL_FATAL(procinfo_of(pid, &p), 0);
		if (p.state == 'Z')
			break;
		usleep(1000);
	}
	CU_ASSERT_EQUAL(p.state, 'Z');
	CU_ASSERT_EQUAL(WEXITSTATUS((int)p.exit_code), 5);
	waitpid(pid, NULL, 0);
	CU_ASSERT_EQUAL(procinfo_of(pid, &p), -ESRCH);
}

/* Behind a name that looks like fields. */
static void test_cpu(void)
{
	int dir = open("/proc/self", O_RDONLY | O_DIRECTORY);
	cpu_set_t home, one;

	CU_ASSERT_FATAL(dir >= 0);
	CU_ASSERT_EQUAL_FATAL(sched_getaffinity(0, sizeof(home), &home), 0);
	prctl(PR_SET_NAME, ") R 1 2 3 (");
	for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &home))
			continue;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		CU_ASSERT_EQUAL_FATAL(sched_setaffinity(0, sizeof(one), &one), 0);
		CU_ASSERT_EQUAL(procinfo_cpu(dir, getpid()), (int)cpu);
	}
	sched_setaffinity(0, sizeof(home), &home);
	CU_ASSERT_EQUAL(procinfo_cpu(dir, 0x3fffffff), -ESRCH);
	close(dir);
}

static const struct suite_test tests[] = {
	{ "the CPU of a thread", test_cpu },
	{ "ourselves", test_ourselves },
	{ "a hostile name, a zombie", test_hostile_name },
};

SUITE_MAIN("procinfo", tests)
