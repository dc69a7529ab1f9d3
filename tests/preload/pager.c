/* SPDX-License-Identifier: MIT */
/*
 * Pager: to be preloaded into one; the kernel treats its UFFDIO_COPY as seldom happens.
 *
 * PAGER_FAULT=die:N	killed when N pages have been copied; 0: before the first one
 * PAGER_FAULT=event:N	killed when it has read the N-th change of a layout, or fork
 * PAGER_FAULT=hand:N	killed when it has received the N-th userfaultfd
 * PAGER_FAULT=accept:N	killed when it has accepted the N-th connection
 * PAGER_FAULT=stop:N	stopped then
 * PAGER_FAULT=half:N	of every N-th call only half the pages are copied, then EAGAIN
 * PAGER_FAULT=there:N	before every N-th call a page of its range is put there
 * PAGER_FAULT=memory:N	every N-th call fails with ENOMEM
 *
 * Counted in all threads together, and those of all processes that are forked; killed or
 * stopped is only one of them, once.
 */
#include <errno.h>
#include <linux/userfaultfd.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE UINT64_C(4096)

enum fault {
	FAULT_NONE, FAULT_DIE, FAULT_STOP, FAULT_HALF, FAULT_THERE, FAULT_MEMORY, FAULT_EVENT,
	FAULT_HAND, FAULT_ACCEPT,
};

static enum fault fault;
static unsigned long every;

/* Of all processes. */
static struct {
	atomic_ulong pages, calls;
	atomic_flag struck;
} *all;

__attribute__((constructor)) static void read_fault(void)
{
	static const char *const names[] = {
		"", "die:", "stop:", "half:", "there:", "memory:", "event:", "hand:", "accept:",
	};
	const char *words = getenv("PAGER_FAULT");

	all = mmap(NULL, sizeof(*all), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (all == MAP_FAILED)
		abort();
	for (unsigned int i = 1; words && i < sizeof(names) / sizeof(names[0]); i++)
		if (!strncmp(words, names[i], strlen(names[i]))) {
			every = strtoul(words + strlen(names[i]), NULL, 10);
			fault = i;
		}
}

static int call(int fd, unsigned long request, void *arg)
{
	return (int)syscall(SYS_ioctl, fd, request, arg);
}

static void strike(void)
{
	if (!atomic_flag_test_and_set(&all->struck))
		raise(fault == FAULT_STOP ? SIGSTOP : SIGKILL);
}

static int copy_until(int fd, struct uffdio_copy *copy)
{
	int r;

	if (!every)
		strike();
	r = call(fd, UFFDIO_COPY, copy);
	if (copy->copy > 0 && atomic_fetch_add(&all->pages, (unsigned long)copy->copy / PAGE) +
				(unsigned long)copy->copy / PAGE >= every)
		strike();
	return r;
}

/* As when the layout changes meanwhile: what was done is said, and -1 with EAGAIN. */
static int copy_half(int fd, struct uffdio_copy *copy)
{
	struct uffdio_copy half = *copy;

	half.len = copy->len / 2 / PAGE * PAGE;
	half.copy = 0;
	if (half.len && call(fd, UFFDIO_COPY, &half)) {
		copy->copy = half.copy;
		return -1;
	}
	copy->copy = half.len ? half.copy : -EAGAIN;
	errno = EAGAIN;
	return -1;
}

/* As when another thread was quicker: one page in the middle is there already. */
static int copy_there(int fd, struct uffdio_copy *copy)
{
	struct uffdio_copy one = *copy;
	uint64_t at = copy->len / PAGE / 2 * PAGE;

	one.dst += at;
	one.src += at;
	one.len = PAGE;
	call(fd, UFFDIO_COPY, &one);
	return call(fd, UFFDIO_COPY, copy);
}

int ioctl(int fd, unsigned long request, ...)
{
	struct uffdio_copy *copy;
	va_list args;

	va_start(args, request);
	copy = va_arg(args, void *);
	va_end(args);
	if (request != UFFDIO_COPY || fault == FAULT_NONE)
		return call(fd, request, copy);
	if (fault == FAULT_DIE || fault == FAULT_STOP)
		return copy_until(fd, copy);
	if (fault >= FAULT_EVENT || !every || (atomic_fetch_add(&all->calls, 1) + 1) % every)
		return call(fd, request, copy);
	if (fault == FAULT_HALF)
		return copy_half(fd, copy);
	if (fault == FAULT_THERE)
		return copy_there(fd, copy);
	copy->copy = -ENOMEM;
	errno = ENOMEM;
	return -1;
}

/* The one that it was to be. */
static void count_one(void)
{
	if (atomic_fetch_add(&all->calls, 1) + 1 == every)
		strike();
}

/* Messages of a userfaultfd are read into room for many of them. */
ssize_t read(int fd, void *buf, size_t size)
{
	ssize_t n = syscall(SYS_read, fd, buf, size);
	const struct uffd_msg *msg = buf;

	if (fault != FAULT_EVENT || size != 32 * sizeof(*msg))
		return n;
	for (ssize_t i = 0; i < n / (ssize_t)sizeof(*msg); i++)
		if (msg[i].event > UFFD_EVENT_PAGEFAULT && msg[i].event <= UFFD_EVENT_UNMAP)
			count_one();
	return n;
}

ssize_t recvmsg(int fd, struct msghdr *msg, int flags)
{
	ssize_t n = syscall(SYS_recvmsg, fd, msg, flags);
	struct cmsghdr *c;

	if (fault != FAULT_HAND || n < 0)
		return n;
	for (c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
			count_one();
	return n;
}

int accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags)
{
	int r = (int)syscall(SYS_accept4, fd, addr, len, flags);

	if (fault == FAULT_ACCEPT && r >= 0)
		count_one();
	return r;
}
