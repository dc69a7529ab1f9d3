/* SPDX-License-Identifier: MIT */
/* Table: who uses the descriptors of a process. */

#include "table.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "procfile.h"

#define KCMP_FILES 2			/* <linux/kcmp.h> */
#define LINKS 2				/* of a directory without directories in it */

static bool is_same(pid_t pid, pid_t other)
{
	/* ESRCH: the other has exited, and uses nothing any more. */
	long r = syscall(SYS_kcmp, pid, other, KCMP_FILES, 0, 0);

	return r == 0 || (r < 0 && errno != ESRCH);
}

bool table_is_shared(int procfd, pid_t pid, pid_t parent)
{
	const char *p;
	char path[48], text[256];
	uint64_t child;
	ssize_t n;

	if (parent && is_same(pid, parent))
		return true;
	snprintf(path, sizeof(path), "task/%d/children", pid);
	n = procfile_read(procfd, path, text, sizeof(text));
	/* Cut off: too many to be asked. */
	if (n < 0 || n == (ssize_t)sizeof(text) - 1)
		return true;
	p = text;
	while (procfile_number(p, 10, &child, &p)) {
		if (is_same(pid, (pid_t)child))
			return true;
		p += *p == ' ';
	}
	return false;
}

bool table_has_threads(int taskdir)
{
	struct stat st;

	/* A link for each (proc_task_getattr(), fs/proc/base.c); no path is walked for it. */
	return fstat(taskdir, &st) < 0 || st.st_nlink != LINKS + 1;
}
