/* SPDX-License-Identifier: MIT */
/* Random, truth: what has been done, on its way to the judge. */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "random.h"

#define ENTRIES 1024

struct truth {
	int fd;
	uint32_t tid;
	unsigned int n;
	struct truth_entry v[ENTRIES];
};

uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/*
 * Private mappings of a file of a disk cannot be registered with a userfaultfd for
 * write protection, so what lies here is neither slowed down nor told of; and fork()
 * copies it.  In a file system without a disk it is merely slower.
 */
void *hidden(size_t bytes)
{
	char path[] = "./random.XXXXXX";
	int fd = mkstemp(path);
	void *p;

	bytes = (bytes + PAGE - 1) / PAGE * PAGE;
	if (fd < 0 || unlink(path) || ftruncate(fd, (off_t)bytes))
		die("a file for hidden memory");
	p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	close(fd);
	if (p == MAP_FAILED)
		die("hidden memory");
	return p;
}

static int create(const char *dir, pid_t tid)
{
	struct truth_header h = {
		.pid = (uint32_t)getpid(), .tid = (uint32_t)tid, .page_size = PAGE,
		.parent_pid = (uint64_t)getppid(), .start_ns = now_ns(),
	};
	char path[4096], exec[16] = "";
	int fd;

	if (opt.execs)
		snprintf(exec, sizeof(exec), "-e%u", opt.execs);
	snprintf(path, sizeof(path), "%s/%d-%d%s.truth", dir, getpid(), tid, exec);
	/* Process ids come round in a long run: the file is the same thread's then no more. */
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	if (fd < 0)
		die(path);
	memcpy(h.magic, TRUTH_MAGIC, sizeof(h.magic));
	if (lseek(fd, 0, SEEK_END) == 0 && write(fd, &h, sizeof(h)) != sizeof(h))
		die(path);
	return fd;
}

struct truth *truth_open(const char *dir)
{
	struct truth *t;

	if (!dir)
		return NULL;
	t = hidden(sizeof(*t));
	t->tid = (uint32_t)syscall(SYS_gettid);
	t->fd = create(dir, (pid_t)t->tid);
	return t;
}

void truth_flush(struct truth *t)
{
	const char *p = t ? (const char *)t->v : NULL;
	size_t left = t ? t->n * sizeof(t->v[0]) : 0;

	while (left) {
		ssize_t n = write(t->fd, p, left);

		if (n < 0 && errno != EINTR)
			die("truth");
		if (n > 0) {
			p += n;
			left -= (size_t)n;
		}
	}
	if (t)
		t->n = 0;
}

void truth_close(struct truth *t)
{
	if (!t)
		return;
	truth_flush(t);
	close(t->fd);
	munmap(t, (sizeof(*t) + PAGE - 1) / PAGE * PAGE);
}

void truth_tell(struct truth *t, struct truth_entry e)
{
	if (!t)
		return;
	t->v[t->n++] = e;
	if (t->n == ENTRIES)
		truth_flush(t);
}

void truth_note(struct truth *t, enum truth_op op, uint64_t t0, const void *at, size_t len,
		uint64_t aux, unsigned int flags)
{
	if (!t)
		return;
	truth_tell(t, (struct truth_entry){
		.t0 = t0, .t1 = now_ns(), .addr = (uint64_t)(uintptr_t)at, .len = len,
		.aux = aux, .op = (uint16_t)op, .flags = (uint16_t)flags, .who = t->tid,
	});
}
