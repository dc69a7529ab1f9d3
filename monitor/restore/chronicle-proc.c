/* SPDX-License-Identifier: MIT */
/* Chronicle: what /proc says of a process that begins to run, or has gone.  See chronicle.h. */

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "restore/chronicle-parts.h"

/* Of /proc/PID/stat, counted from the state, behind the name (proc_pid_stat(5)). */
#define FIELD_PPID 1
#define FIELD_THREADS 17

static size_t read_text(int dir, const char *name, char *buf, size_t size)
{
	_close_ int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, size - 1);

	if (n < 0)
		n = 0;
	buf[n] = '\0';
	return (size_t)n;
}

static long field(const char *stat, int n)
{
	const char *at = strrchr(stat, ')');

	at = at ? strchr(at, ' ') : NULL;
	for (int i = 0; at && i < n; i++)
		at = strchr(at + 1, ' ');
	return at ? strtol(at, NULL, 10) : 0;
}

void chronicle_facts(int32_t pid, struct chronicle_facts *ret)
{
	char path[32], stat[1024];
	_close_ int dir = -1;
	ssize_t n;

	memset(ret, 0, sizeof(*ret));
	if (pid <= 0)
		return;
	snprintf(path, sizeof(path), "/proc/%d", pid);
	dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return;
	/* Who has ended and is not waited for yet has none. */
	n = readlinkat(dir, "exe", ret->exe, sizeof(ret->exe));
	ret->there = n > 0;
	ret->exe_len = n > 0 ? (size_t)n : 0;
	ret->comm_len = read_text(dir, "comm", ret->comm, sizeof(ret->comm));
	if (ret->comm_len && ret->comm[ret->comm_len - 1] == '\n')
		ret->comm_len--;
	if (read_text(dir, "stat", stat, sizeof(stat))) {
		ret->ppid = (int32_t)field(stat, FIELD_PPID);
		ret->threads = (uint32_t)field(stat, FIELD_THREADS);
	}
}
