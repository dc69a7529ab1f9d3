/* SPDX-License-Identifier: MIT */
/* Tids: thread ids of another pid namespace as ours.  See tids.h. */

#include "watch/tids.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"

/* Of threads that have gone pairs are kept too, until all are read anew. */
#define KEPT_MAX 4096

struct pair {
	pid_t inner, host;
};

struct tids {
	int procfd;
	bool same;
	struct pair *v;		/* sorted by inner */
	size_t n, room;
	uint64_t read_at;
};

static int namespace_of(int dirfd, const char *path, ino_t *ret)
{
	struct stat st;

	if (fstatat(dirfd, path, &st, 0) < 0)
		return errno == ENOENT ? -ESRCH : errno == EPERM ? -EACCES : -errno;
	*ret = st.st_ino;
	return 0;
}

int tids_same(int procfd, bool *ret)
{
	ino_t theirs = 0, ours = 0;
	int r;

	r = namespace_of(procfd, "ns/pid", &theirs);
	if (!r)
		r = namespace_of(AT_FDCWD, "/proc/self/ns/pid", &ours);
	if (!r)
		*ret = theirs == ours;
	return r;
}

int tids_new(struct tids **ret, int procfd, bool same)
{
	struct tids *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->procfd = procfd;
	t->same = same;
	*ret = t;
	return 0;
}

struct tids *tids_free(struct tids *t)
{
	if (t)
		free(t->v);
	free(t);
	return NULL;
}

bool tids_same_namespace(const struct tids *t)
{
	return t->same;
}

void tids_forget(struct tids *t)
{
	t->n = 0;
	t->read_at = 0;
}

/*
 * The last number of NSpid is the id in the innermost namespace, the thread's own.
 * The line comes after Groups, which may name 65,536 of them (NGROUPS_MAX).
 */
static pid_t inner_of(int taskfd, const char *tid)
{
	char path[300], *last;
	_free_ char *line = NULL;
	_fclose_ FILE *f = NULL;
	size_t room = 0;
	int fd;

	snprintf(path, sizeof(path), "%s/status", tid);
	fd = openat(taskfd, path, O_RDONLY | O_CLOEXEC);
	f = fd < 0 ? NULL : fdopen(fd, "r");
	if (!f) {
		if (fd >= 0)
			close(fd);
		return 0;
	}
	while (getline(&line, &room, f) > 0) {
		if (strncmp(line, "NSpid:", 6))
			continue;
		last = strrchr(line, '\t');
		return (pid_t)strtol(last ? last : line + 6, NULL, 10);
	}
	return 0;
}

static int by_inner(const void *a, const void *b)
{
	const struct pair *x = a, *y = b;

	return x->inner < y->inner ? -1 : x->inner > y->inner;
}

static int add_pair(struct tids *t, pid_t inner, pid_t host)
{
	struct pair *v;

	if (t->n == t->room) {
		t->room = t->room ? t->room * 2 : 32;
		v = realloc(t->v, t->room * sizeof(*v));
		if (!v) {
			t->room = t->n;
			return -ENOMEM;
		}
		t->v = v;
	}
	t->v[t->n++] = (struct pair){ inner, host };
	return 0;
}

static void read_all(struct tids *t)
{
	int fd = openat(t->procfd, "task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_closedir_ DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (!d) {
		if (fd >= 0)
			close(fd);
		return;
	}
	t->n = 0;
	while ((e = readdir(d))) {
		pid_t inner = e->d_name[0] == '.' ? 0 : inner_of(dirfd(d), e->d_name);

		if (inner && add_pair(t, inner, (pid_t)strtol(e->d_name, NULL, 10)) < 0)
			break;
	}
	qsort(t->v, t->n, sizeof(*t->v), by_inner);
}

static pid_t find(const struct tids *t, pid_t ns_tid)
{
	struct pair want = { .inner = ns_tid }, *hit;

	hit = t->n ? bsearch(&want, t->v, t->n, sizeof(want), by_inner) : NULL;
	return hit ? hit->host : 0;
}

void tids_born(struct tids *t, pid_t host)
{
	char name[16];
	int fd;
	pid_t inner;

	/* Nothing is known yet, so nothing of it is wrong. */
	if (t->same || !t->n)
		return;
	fd = openat(t->procfd, "task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	snprintf(name, sizeof(name), "%d", host);
	inner = fd < 0 ? 0 : inner_of(fd, name);
	if (fd >= 0)
		close(fd);
	/* So was the id that it has here. */
	for (size_t i = 0; i < t->n; i++)
		if (t->v[i].host == host)
			memmove(&t->v[i], &t->v[i + 1], (--t->n - i) * sizeof(*t->v));
	if (!inner) {
		/* It was too quick; whose id it had cannot be told any more. */
		tids_forget(t);
		return;
	}
	for (size_t i = 0; i < t->n; i++) {
		if (t->v[i].inner == inner) {
			t->v[i].host = host;
			return;
		}
	}
	/* Known before its first fault asks for it, when it may have gone; but not without end. */
	if (t->n < KEPT_MAX && !add_pair(t, inner, host))
		qsort(t->v, t->n, sizeof(*t->v), by_inner);
}

/* True: they have been read anew. */
static bool read_again(struct tids *t)
{
	uint64_t now = clock_now();

	if (t->read_at && now - t->read_at < NSEC_PER_MSEC)
		return false;
	t->read_at = now;
	read_all(t);
	return true;
}

pid_t tids_host(struct tids *t, pid_t ns_tid)
{
	pid_t host;

	if (t->same)
		return ns_tid;
	host = find(t, ns_tid);
	return host || !read_again(t) ? host : find(t, ns_tid);
}

static pid_t find_inner(const struct tids *t, pid_t host)
{
	for (size_t i = 0; i < t->n; i++)
		if (t->v[i].host == host)
			return t->v[i].inner;
	return 0;
}

pid_t tids_inner(struct tids *t, pid_t host)
{
	pid_t inner;

	if (t->same)
		return host;
	inner = find_inner(t, host);
	return inner || !read_again(t) ? inner : find_inner(t, host);
}
