/* SPDX-License-Identifier: MIT */
/*
 * Sandbox child: a case in a process of its own, which gives something up and then tries what
 * it must not be able to do, and what it must.
 */
#ifndef TESTS_SANDBOX_CHILD_H
#define TESTS_SANDBOX_CHILD_H

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sandbox.h"
#include "suite.h"

#define WRONG 1
#define NO_FILTER 77

/* Where the child found something wrong; shared with it. */
static struct where {
	int line, error;
} *where;

/* In the child. */
#define WANT(condition)                                               \
	do {                                                          \
		if (!(condition)) {                                   \
			*where = (struct where){ __LINE__, errno };   \
			_exit(WRONG);                                 \
		}                                                     \
	} while (0)
#define DENIED(call)                                                  \
	do {                                                          \
		errno = 0;                                            \
		WANT((long)(call) < 0 && errno == EPERM);             \
	} while (0)

/* A build with a sanitizer has no filter, and says so; nor has a kernel without seccomp. */
static inline bool filter_expected(void)
{
	int r = 0;
	pid_t pid = fork();

	if (!pid) {
		sandbox_prepare();
		_exit(sandbox_filter_events() ? NO_FILTER : 0);
	}
	waitpid(pid, &r, 0);
	return !WEXITSTATUS(r);
}

static inline void in_child(void (*body)(void))
{
	int status = 0;
	pid_t pid;

	where = mmap(NULL, sizeof(*where), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		     0);
	CU_ASSERT_FATAL(where != MAP_FAILED);
	pid = fork();
	CU_ASSERT_FATAL(pid >= 0);
	if (!pid) {
		body();
		_exit(0);
	}
	CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
	CU_ASSERT(WIFEXITED(status));
	if (where->line)
		printf("  wrong: line %d, %s\n", where->line, strerror(where->error));
	if (WEXITSTATUS(status) == NO_FILTER) {
		CU_ASSERT(!filter_expected());
	} else {
		CU_ASSERT(!WEXITSTATUS(status));
	}
	munmap(where, sizeof(*where));
}

#endif
