/* SPDX-License-Identifier: MIT */
/*
 * Random, kernel: writes that the kernel makes, through every call that fills memory.
 *
 * What a call gives that is not the same in every run is written over at once.
 */

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "random.h"

#define CHUNK_MAX (4 * PAGE)
#define DATA_MAX ((size_t)4 << 20)

/* A place in a region for at most `len` bytes; *ret_len is what fits. */
static unsigned char *place(struct worker *w, struct region **ret, size_t *io_len)
{
	struct region *r = *ret = region_pick(w);

	if (*io_len > r->pages * PAGE)
		*io_len = r->pages * PAGE;
	return r->at + random_below(w, r->pages * PAGE - *io_len + 1);
}

static unsigned char *shadow_of(struct region *r, const unsigned char *at)
{
	return r->shadow + (at - r->at);
}

static bool failed(struct worker *w, int call, ssize_t n)
{
	if (n >= 0)
		return false;
	if (errno == EINTR)
		w->eintr++;
	region_error(w, call, errno);
	return true;
}

void kernel_read(struct worker *w)
{
	struct region *r;
	size_t len = 1 + random_below(w, CHUNK_MAX);
	unsigned char *at = place(w, &r, &len);
	off_t from = (off_t)random_below(w, DATA_MAX - CHUNK_MAX);
	uint64_t t0 = now_ns();
	ssize_t n;
	int call;

	if (random_below(w, 2)) {
		call = SYS_pread64;
		n = pread(w->data, at, len, from);
	} else {
		call = SYS_read;
		n = lseek(w->data, from, SEEK_SET) < 0 ? -1 : read(w->data, at, len);
	}
	if (failed(w, call, n))
		return;
	kernel_wrote(w, at, (size_t)n, t0);
	if (pread(w->data, shadow_of(r, at), (size_t)n, from) != n)
		die("the data file");
}

/* Two pieces in two regions. */
void kernel_vectors(struct worker *w)
{
	struct region *a, *b;
	size_t alen = 1 + random_below(w, CHUNK_MAX), blen = 1 + random_below(w, CHUNK_MAX);
	unsigned char *at = place(w, &a, &alen), *bt = place(w, &b, &blen);
	struct iovec v[2] = { { at, alen }, { bt, blen } };
	off_t from = (off_t)random_below(w, DATA_MAX - 2 * CHUNK_MAX);
	bool two = random_below(w, 2);
	uint64_t t0;
	ssize_t n;

	if (at < bt + blen && bt < at + alen)	/* which piece comes last nobody says */
		return;
	t0 = now_ns();
	n = two ? preadv2(w->data, v, 2, from, 0) : preadv(w->data, v, 2, from);
	if (failed(w, two ? SYS_preadv2 : SYS_preadv, n))
		return;
	if ((size_t)n != alen + blen)
		die("a short read of the data file");
	kernel_wrote(w, at, alen, t0);
	kernel_wrote(w, bt, blen, t0);
	if (pread(w->data, shadow_of(a, at), alen, from) != (ssize_t)alen ||
	    pread(w->data, shadow_of(b, bt), blen, from + (off_t)alen) != (ssize_t)blen)
		die("the data file");
}

static void fill(struct worker *w, unsigned char *buf, size_t len)
{
	for (size_t i = 0; i < len; i++)
		buf[i] = (unsigned char)random_next(w);
}

void kernel_pipe(struct worker *w)
{
	unsigned char buf[3000];
	struct region *r;
	size_t len = 1 + random_below(w, sizeof(buf));
	unsigned char *at = place(w, &r, &len);
	uint64_t t0;
	ssize_t n;

	fill(w, buf, len);
	if (write(w->pipe[1], buf, len) != (ssize_t)len)
		die("a pipe");
	t0 = now_ns();
	n = read(w->pipe[0], at, len);
	if (failed(w, SYS_read, n))
		return;
	kernel_wrote(w, at, (size_t)n, t0);
	memcpy(shadow_of(r, at), buf, (size_t)n);
}

void kernel_socket(struct worker *w)
{
	unsigned char buf[2000];
	struct region *r;
	size_t len = 1 + random_below(w, sizeof(buf));
	unsigned char *at = place(w, &r, &len);
	struct iovec v = { at, len };
	struct msghdr msg = { .msg_iov = &v, .msg_iovlen = 1 };
	uint64_t how = random_below(w, 3), t0;
	ssize_t n;

	fill(w, buf, len);
	if (send(w->pair[1], buf, len, 0) != (ssize_t)len)
		die("a socket");
	t0 = now_ns();
	if (how == 0)
		n = recv(w->pair[0], at, len, 0);
	else if (how == 1)
		n = recvfrom(w->pair[0], at, len, 0, NULL, NULL);
	else
		n = recvmsg(w->pair[0], &msg, 0);
	if (failed(w, how == 2 ? SYS_recvmsg : SYS_recvfrom, n))
		return;
	kernel_wrote(w, at, (size_t)n, t0);
	memcpy(shadow_of(r, at), buf, (size_t)n);
}

/* One process's memory into its own, as a debugger would. */
void kernel_process_vm(struct worker *w)
{
	unsigned char buf[3000];
	struct region *r;
	size_t len = 1 + random_below(w, sizeof(buf));
	unsigned char *at = place(w, &r, &len);
	struct iovec here = { buf, len }, there = { at, len };
	bool reading = random_below(w, 2);
	uint64_t t0;
	ssize_t n;

	fill(w, buf, len);
	t0 = now_ns();
	if (reading)
		n = process_vm_readv(getpid(), &there, 1, &here, 1, 0);
	else
		n = process_vm_writev(getpid(), &here, 1, &there, 1, 0);
	if (failed(w, reading ? SYS_process_vm_readv : SYS_process_vm_writev, n))
		return;
	kernel_wrote(w, at, (size_t)n, t0);
	memcpy(shadow_of(r, at), buf, (size_t)n);
}

static ssize_t ready_events(void *at)
{
	struct epoll_event ev = { .events = EPOLLOUT };
	int ep = epoll_create1(EPOLL_CLOEXEC), fd = eventfd(0, EFD_CLOEXEC), n;

	if (ep < 0 || fd < 0 || epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev) < 0)
		die("epoll");
	n = epoll_wait(ep, at, 1, 100);
	close(ep);
	close(fd);
	return n < 0 ? n : n * (ssize_t)sizeof(ev);
}

struct dirent64_head {
	uint64_t ino;
	int64_t off;
	uint16_t len;
	uint8_t type;
	char name[];
} __attribute__((packed));

/* The last entry is padded to eight bytes, and what is behind its NUL is not written. */
static ssize_t written_entries(const unsigned char *at, ssize_t n)
{
	const struct dirent64_head *last = NULL;

	for (ssize_t i = 0; i < n; i += last->len)
		last = (const struct dirent64_head *)(const void *)(at + i);
	return last ? (const unsigned char *)last->name + strlen(last->name) + 1 - at : n;
}

static ssize_t directory_entries(void *at, size_t len)
{
	int fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		die("/");
	n = syscall(SYS_getdents64, fd, at, len);
	close(fd);
	return written_entries(at, n);
}

/* How many bytes from `at` on the call has filled. */
static ssize_t answer(int call, void *at, size_t len)
{
	ssize_t n;

	switch (call) {
	case SYS_uname:
		return uname(at) ? -1 : (ssize_t)sizeof(struct utsname);
	case SYS_clock_gettime:
		return syscall(call, CLOCK_REALTIME, at) ? -1 : (ssize_t)sizeof(struct timespec);
	case SYS_getrandom:
		return getrandom(at, len, 0);
	case SYS_fstat:
		n = syscall(SYS_newfstatat, AT_FDCWD, "/", at, 0);
		return n ? -1 : (ssize_t)sizeof(struct stat);
	case SYS_getcwd:
		return syscall(call, at, len);
	case SYS_epoll_wait:
		return ready_events(at);
	default:
		return directory_entries(at, len);
	}
}

void kernel_answers(struct worker *w)
{
	static const int calls[] = {
		SYS_uname, SYS_clock_gettime, SYS_getrandom, SYS_fstat, SYS_getcwd,
		SYS_epoll_wait, SYS_getdents64,
	};
	int call = calls[random_below(w, sizeof(calls) / sizeof(calls[0]))];
	struct region *r;
	size_t len = PAGE;
	unsigned char *at = place(w, &r, &len), value = (unsigned char)random_next(w);
	uint64_t t0;
	ssize_t n;

	/* An answer that is put together from parts is told as one write of its begin. */
	t0 = now_ns();
	n = answer(call, at, len);
	if (failed(w, call, n) || !n)
		return;
	kernel_wrote(w, at, (size_t)n, t0);
	t0 = now_ns();
	memset(at, value, len);
	wrote(w, at, len, t0);
	memset(shadow_of(r, at), value, len);
}

/* MADV_POPULATE_WRITE: a write fault on each page that is not writable yet. */
void kernel_populate(struct worker *w)
{
	struct region *r = region_pick(w);
	size_t page = random_below(w, r->pages), n = 1 + random_below(w, 8);
	uint64_t t0 = now_ns();

	if (r->kind == REGION_DOWN)
		return;
	if (n > r->pages - page)
		n = r->pages - page;
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
	if (madvise(r->at + page * PAGE, n * PAGE, MADV_POPULATE_WRITE)) {
		if (errno != EINVAL)		/* before Linux 5.14 */
			region_error(w, SYS_madvise, errno);
		return;
	}
	kernel_wrote(w, r->at + page * PAGE, n * PAGE, t0);
}
