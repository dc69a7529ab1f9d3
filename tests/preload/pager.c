/* SPDX-License-Identifier: MIT */
/*
 * Pager: to be preloaded into one; the kernel treats its UFFDIO_COPY as seldom happens.
 *
 * PAGER_FAULT=die:N	killed when N pages have been copied; 0: before the first one
 * PAGER_FAULT=stop:N	stopped then
 * PAGER_FAULT=half:N	of every N-th call only half the pages are copied, then EAGAIN
 * PAGER_FAULT=there:N	before every N-th call a page of its range is put there
 * PAGER_FAULT=memory:N	every N-th call fails with ENOMEM
 *
 * Counted in all threads together.
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
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE UINT64_C(4096)

enum fault { FAULT_NONE, FAULT_DIE, FAULT_STOP, FAULT_HALF, FAULT_THERE, FAULT_MEMORY };

static enum fault fault;
static unsigned long every;
static atomic_ulong pages, calls;
static atomic_flag struck = ATOMIC_FLAG_INIT;

__attribute__((constructor)) static void read_fault(void)
{
	static const char *const names[] = { "", "die:", "stop:", "half:", "there:", "memory:" };
	const char *words = getenv("PAGER_FAULT");

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
	if (!atomic_flag_test_and_set(&struck))
		raise(fault == FAULT_DIE ? SIGKILL : SIGSTOP);
}

static int copy_until(int fd, struct uffdio_copy *copy)
{
	int r;

	if (!every)
		strike();
	r = call(fd, UFFDIO_COPY, copy);
	if (copy->copy > 0 && atomic_fetch_add(&pages, (unsigned long)copy->copy / PAGE) +
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
	if (!every || (atomic_fetch_add(&calls, 1) + 1) % every)
		return call(fd, request, copy);
	if (fault == FAULT_HALF)
		return copy_half(fd, copy);
	if (fault == FAULT_THERE)
		return copy_there(fd, copy);
	copy->copy = -ENOMEM;
	errno = ENOMEM;
	return -1;
}
