/* SPDX-License-Identifier: MIT */
/* Random, truth: what has been done, on its way to the judge. */

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "random.h"
#include "truth-file.h"

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

struct truth *truth_open(const char *dir, uint32_t birth)
{
	struct truth *t;

	if (!dir)
		return NULL;
	t = hidden(sizeof(*t));
	t->tid = (uint32_t)syscall(SYS_gettid);
	t->fd = truth_file_make(dir, birth, opt.execs, now_ns());
	if (t->fd < 0)
		die(dir);
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
