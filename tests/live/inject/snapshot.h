/* SPDX-License-Identifier: MIT */
/*
 * Snapshot: what must be the same of a process before and after an attach.
 *
 * Descriptors (what each is), mappings, and of every thread the blocked signals and
 * the tracer.  Taken from outside, of a process at rest.
 */
#ifndef LIVE_INJECT_SNAPSHOT_H
#define LIVE_INJECT_SNAPSHOT_H

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

struct snapshot {
	char fds[16384];
	char maps[65536];
	char threads[65536];
};

static inline void snapshot_add(char *to, size_t size, const char *text)
{
	size_t n = strlen(to);

	if (n + 1 < size)
		snprintf(to + n, size - n, "%s", text);
}

static inline void snapshot_fds(pid_t pid, struct snapshot *s)
{
	char path[64], link[256], line[400];

	for (int fd = 0; fd < 64; fd++) {
		ssize_t n;

		snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, fd);
		n = readlink(path, link, sizeof(link) - 1);
		if (n < 0)
			continue;
		link[n] = '\0';
		snprintf(line, sizeof(line), "%d %s\n", fd, link);
		snapshot_add(s->fds, sizeof(s->fds), line);
	}
	/* Numbers above are shown by their count. */
	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	DIR *d = opendir(path);
	int count = 0;

	while (d && readdir(d))
		count++;
	if (d)
		closedir(d);
	snprintf(line, sizeof(line), "%d in all\n", count);
	snapshot_add(s->fds, sizeof(s->fds), line);
}

static inline void snapshot_maps(pid_t pid, struct snapshot *s)
{
	char path[64], line[600];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f)) {
		/* Grows by itself. */
		if (!strstr(line, "[stack]"))
			snapshot_add(s->maps, sizeof(s->maps), line);
	}
	if (f)
		fclose(f);
}

static inline void snapshot_thread(pid_t pid, pid_t tid, struct snapshot *s)
{
	static const char *const keys[] = { "TracerPid:", "SigBlk:", "SigIgn:", "SigCgt:" };
	char path[64], line[300], out[400];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/status", pid, tid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
			if (!strncmp(line, keys[i], strlen(keys[i]))) {
				snprintf(out, sizeof(out), "%d %s", tid, line);
				snapshot_add(s->threads, sizeof(s->threads), out);
			}
	if (f)
		fclose(f);
}

static inline void snapshot_take(pid_t pid, struct snapshot *s)
{
	char path[64];
	struct dirent *e;
	DIR *d;

	memset(s, 0, sizeof(*s));
	snapshot_fds(pid, s);
	snapshot_maps(pid, s);
	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	d = opendir(path);
	while (d && (e = readdir(d)))
		if (e->d_name[0] != '.')
			snapshot_thread(pid, (pid_t)strtol(e->d_name, NULL, 10), s);
	if (d)
		closedir(d);
}

/* NULL, or what differs. */
static inline const char *snapshot_differs(const struct snapshot *a, const struct snapshot *b)
{
	if (strcmp(a->fds, b->fds))
		return "descriptors";
	if (strcmp(a->maps, b->maps))
		return "mappings";
	if (strcmp(a->threads, b->threads))
		return "signal masks or tracer";
	return NULL;
}

/* One word of a line of /proc/PID/task/TID/status; 0 if there is none. */
static inline char thread_state(pid_t pid, pid_t tid)
{
	char path[64], text[512], state = '?';
	const char *p;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", pid, tid);
	f = fopen(path, "re");
	if (!f)
		return 0;
	if (fgets(text, sizeof(text), f)) {
		p = strrchr(text, ')');
		if (p && p[1])
			state = p[2];
	}
	fclose(f);
	return state;
}

/* Does any process but ourselves hold a userfaultfd, of those in the tree of pid? */
static inline bool holds_uffd(pid_t pid)
{
	char path[300], link[128];
	struct dirent *e;
	bool found = false;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	d = opendir(path);
	while (d && (e = readdir(d))) {
		ssize_t n;

		snprintf(path, sizeof(path), "/proc/%d/fd/%s", pid, e->d_name);
		n = readlink(path, link, sizeof(link) - 1);
		if (n <= 0)
			continue;
		link[n] = '\0';
		found |= !strcmp(link, "anon_inode:[userfaultfd]") ||
			 !strcmp(link, "/dev/userfaultfd");
	}
	if (d)
		closedir(d);
	return found;
}

#endif
