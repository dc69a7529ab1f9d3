/* SPDX-License-Identifier: MIT */
/*
 * Symbols, files: what a trace names is opened with care.  See symbols-parts.h.
 *
 * Below a root of its own openat2(2) could do it, with RESOLVE_IN_ROOT; but whether that
 * opens for writing no seccomp filter can see, and who reads a trace is under one.
 */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "report/symbols-parts.h"

#define DEPTH_MAX 64
#define LINKS_MAX 40		/* as of the kernel: MAXSYMLINKS */

static bool is_top(const char *root)
{
	return !root || !root[0] || !strcmp(root, "/");
}

/* On the way to a file. */
struct descent {
	int dirs[DEPTH_MAX];		/* from the root to where we are */
	unsigned int depth, links;
	char left[PATH_MAX];		/* to go from there */
};

static void climb_to(struct descent *d, unsigned int depth)
{
	while (d->depth > depth)
		close(d->dirs[--d->depth]);
}

static void descent_done(struct descent *d)
{
	climb_to(d, 0);
}

/* The next part of what is left; 0: there is none. */
static int next_part(struct descent *d, char part[NAME_MAX + 1])
{
	const char *at = d->left + strspn(d->left, "/");
	size_t len = strcspn(at, "/");

	if (len > NAME_MAX)
		return -ENAMETOOLONG;
	memcpy(part, at, len);
	part[len] = '\0';
	at += len;
	memmove(d->left, at, strlen(at) + 1);
	return len > 0;
}

/* What the link says comes before what is left; the root is ours. */
static int take_link(struct descent *d, int link)
{
	char to[PATH_MAX];
	const size_t left = strlen(d->left);
	ssize_t n = readlinkat(link, "", to, sizeof(to));

	if (n <= 0)
		return n < 0 ? -errno : -ENOENT;
	if (++d->links > LINKS_MAX)
		return -ELOOP;
	if ((size_t)n + left >= sizeof(d->left))
		return -ENAMETOOLONG;
	memmove(d->left + n, d->left, left + 1);
	memcpy(d->left, to, (size_t)n);
	if (to[0] == '/')
		climb_to(d, 1);
	return 0;
}

/* A descriptor by O_PATH, wherever one part after the other has led. */
static int descend(struct descent *d, enum symbols_follow follow)
{
	char part[NAME_MAX + 1];
	int r;

	while ((r = next_part(d, part)) > 0) {
		const bool last = !d->left[strspn(d->left, "/")];
		_close_ int fd = -1;
		struct stat st;

		if (!strcmp(part, "..")) {
			climb_to(d, d->depth > 1 ? d->depth - 1 : 1);
			continue;
		}
		fd = openat(d->dirs[d->depth - 1], part, O_PATH | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0 || fstat(fd, &st) < 0)
			return -errno;
		if (S_ISLNK(st.st_mode) && (!last || follow == SYMBOLS_LINKS)) {
			r = take_link(d, fd);
			if (r < 0)
				return r;
			continue;
		}
		if (last)
			return steal_fd(&fd);
		if (d->depth == DEPTH_MAX)
			return -ELOOP;
		d->dirs[d->depth++] = steal_fd(&fd);
	}
	return r < 0 ? r : -EISDIR;
}

static int look_at(const char *root, const char *path, enum symbols_follow follow)
{
	_cleanup_(descent_done) struct descent d = { .depth = 0 };
	const int flags = O_PATH | O_CLOEXEC;
	int fd;

	if (is_top(root)) {
		fd = open(path, flags | (follow == SYMBOLS_NO_LINK ? O_NOFOLLOW : 0));
		return fd < 0 ? -errno : fd;
	}
	if (strlen(path) >= sizeof(d.left))
		return -ENAMETOOLONG;
	memcpy(d.left, path, strlen(path) + 1);
	d.dirs[0] = open(root, flags | O_DIRECTORY);
	if (d.dirs[0] < 0)
		return -errno;
	d.depth = 1;
	return descend(&d, follow);
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
