/* SPDX-License-Identifier: MIT */
/* Symbols, files: what a trace names is opened with care.  See symbols-parts.h. */

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "report/symbols-parts.h"

static bool is_top(const char *root)
{
	return !root || !root[0] || !strcmp(root, "/");
}

static int look_at(const char *root, const char *path, enum symbols_follow follow)
{
	int flags = O_PATH | O_CLOEXEC | (follow == SYMBOLS_NO_LINK ? O_NOFOLLOW : 0);
	struct open_how how = { .flags = (uint64_t)flags, .resolve = RESOLVE_IN_ROOT };
	_close_ int dir = -1;
	long fd;

	if (is_top(root)) {
		fd = open(path, flags);
	} else {
		dir = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (dir < 0)
			return -errno;
		fd = syscall(SYS_openat2, dir, path, &how, sizeof(how));
	}
	return fd < 0 ? -errno : (int)fd;
}

/* A device may act when it is opened; a descriptor by O_PATH touches nothing. */
int symbols_open(const char *root, const char *path, enum symbols_follow follow,
		 struct stat *ret)
{
	char self[32];
	_close_ int at = -1;
	int fd;

	if (path[0] != '/')
		return -ENOENT;
	at = look_at(root, path, follow);
	if (at < 0)
		return at;
	if (fstat(at, ret) < 0)
		return -errno;
	if (!S_ISREG(ret->st_mode))
		return -EINVAL;
	snprintf(self, sizeof(self), "/proc/self/fd/%d", at);
	fd = open(self, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	return fd < 0 ? -errno : fd;
}
