/* SPDX-License-Identifier: MIT */
/* Procinfo: who a process is.  See procinfo.h. */

#include "watch/procinfo.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"

static int64_t slurp(int dirfd, const char *name, char *buf, size_t cap)
{
	_close_ int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC);
	size_t len = 0;
	ssize_t n;

	if (fd < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	while (len < cap - 1) {
		n = read(fd, buf + len, cap - 1 - len);
		if (n < 0)
			return -errno;
		if (!n)
			break;
		len += (size_t)n;
	}
	buf[len] = '\0';
	return (int64_t)len;
}

/* The comm may hold anything, parentheses too: it ends at the last one. */
int procinfo_read(int procfd, struct procinfo *ret)
{
	char buf[2048], *open, *close;
	unsigned long long start;
	long long code = 0;
	int64_t n = slurp(procfd, "stat", buf, sizeof(buf));
	int ppid, got;
	ssize_t exe;
	long threads;

	if (n < 0)
		return (int)n;
	open = memchr(buf, '(', (size_t)n);
	close = memrchr(buf, ')', (size_t)n);
	if (!open || !close || close < open)
		return -EBADMSG;
	*ret = (struct procinfo){ 0 };
	ret->comm_len = (uint32_t)(close - open - 1);
	if (ret->comm_len > sizeof(ret->comm))
		ret->comm_len = sizeof(ret->comm);
	memcpy(ret->comm, open + 1, ret->comm_len);
	got = sscanf(close + 1,
		     " %c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %ld"
		     " %*d %llu %*u %*d %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u"
		     " %*d %*d %*u %*u"
		     " %*u %*u %*d %*u %*u %*u %*u %*u %*u %*u %lld",
		     &ret->state, &ppid, &threads, &start, &code);
	if (got < 4)
		return -EBADMSG;
	ret->ppid = ppid;
	ret->threads = (uint32_t)threads;
	ret->start_time = start;
	ret->exit_code = code;
	exe = readlinkat(procfd, "exe", ret->exe, sizeof(ret->exe));
	ret->exe_len = exe > 0 ? (uint32_t)exe : 0;
	return 0;
}

int procinfo_faults(int procfd, uint64_t *ret)
{
	char buf[2048], *close;
	unsigned long long minflt;
	int64_t n = slurp(procfd, "stat", buf, sizeof(buf));

	if (n < 0)
		return (int)n;
	close = memrchr(buf, ')', (size_t)n);
	if (!close || sscanf(close + 1, " %*c %*d %*d %*d %*d %*d %*u %llu", &minflt) != 1)
		return -EBADMSG;
	*ret = minflt;
	return 0;
}

/* The second field of statm, proc_pid_statm(5). */
int procinfo_resident(int procfd, uint64_t *ret)
{
	char buf[256];
	unsigned long long resident;
	int64_t n = slurp(procfd, "statm", buf, sizeof(buf));

	if (n < 0)
		return (int)n;
	if (sscanf(buf, "%*u %llu", &resident) != 1)
		return -EBADMSG;
	*ret = resident;
	return 0;
}

#define STAT_PROCESSOR 39		/* proc_pid_stat(5); the name is the second field */

int procinfo_cpu(int procfd, pid_t tid)
{
	char path[32], buf[2048], *p;
	int64_t n;

	snprintf(path, sizeof(path), "task/%d/stat", tid);
	n = slurp(procfd, path, buf, sizeof(buf));
	if (n < 0)
		return (int)n;
	p = memrchr(buf, ')', (size_t)n);
	for (int field = 2; p && field < STAT_PROCESSOR; field++)
		p = strchr(p + 1, ' ');
	return p ? (int)strtol(p, NULL, 10) : -EBADMSG;
}

int procinfo_of(pid_t pid, struct procinfo *ret)
{
	_close_ int fd = -1;
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d", pid);
	fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -ESRCH : procinfo_read(fd, ret);
}

pid_t procinfo_tgid(pid_t tid)
{
	char path[48], buf[4096], *line;
	int64_t n;

	snprintf(path, sizeof(path), "/proc/%d/status", tid);
	n = slurp(AT_FDCWD, path, buf, sizeof(buf));
	if (n < 0)
		return 0;
	line = strstr(buf, "\nTgid:");
	return line ? (pid_t)strtol(line + 6, NULL, 10) : 0;
}

static unsigned int add_children(int taskfd, const char *tid, pid_t *ret, unsigned int max)
{
	char path[300], buf[16384], *p = buf, *after;
	unsigned int n = 0;

	snprintf(path, sizeof(path), "%s/children", tid);
	if (slurp(taskfd, path, buf, sizeof(buf)) < 0)
		return 0;
	while (n < max) {
		long v = strtol(p, &after, 10);

		if (after == p)
			break;
		ret[n++] = (pid_t)v;
		p = after;
	}
	return n;
}

unsigned int procinfo_children(int procfd, pid_t *ret, unsigned int max)
{
	int fd = openat(procfd, "task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_closedir_ DIR *d = fd < 0 ? NULL : fdopendir(fd);
	unsigned int n = 0;
	struct dirent *e;

	if (!d) {
		if (fd >= 0)
			close(fd);
		return 0;
	}
	while (n < max && (e = readdir(d)))
		if (e->d_name[0] != '.')
			n += add_children(dirfd(d), e->d_name, ret + n, max - n);
	return n;
}
