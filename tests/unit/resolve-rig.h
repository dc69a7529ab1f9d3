/* SPDX-License-Identifier: MIT */
/*
 * Resolve-rig: memory of our own under a userfaultfd, and a thread that touches it.
 */
#ifndef RESOLVE_RIG_H
#define RESOLVE_RIG_H

#include <poll.h>
#include <pthread.h>
#include <sys/mman.h>

#include "suite.h"
#include "watch/resolve.h"
#include "watch/uffd.h"
#include "watch/watchable.h"

#define PAGE 4096u

static int open_uffd(void)
{
	uint64_t features;
	int fd = uffd_open_own();

	CU_ASSERT_FATAL(fd >= 0);
	CU_ASSERT_EQUAL_FATAL(uffd_handshake(fd, UFFD_WANTED, &features), 0);
	CU_ASSERT_FATAL(features & UFFD_FEATURE_PAGEFAULT_FLAG_WP);
	return fd;
}

static char *map_pages(unsigned int n, int flags)
{
	char *p = mmap(NULL, n * PAGE, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);

	CU_ASSERT_FATAL(p != MAP_FAILED);
	return p;
}

static struct range pages(const char *p, unsigned int n)
{
	return (struct range){ (uint64_t)(uintptr_t)p, (uint64_t)(uintptr_t)p + n * PAGE };
}

/* A thread that touches one byte, and what it saw. */
struct touch {
	pthread_t thread;
	volatile char *at;
	bool write;
	char seen;
};

static void *touch_main(void *arg)
{
	struct touch *t = arg;

	if (t->write)
		*t->at = 42;
	t->seen = *t->at;
	return NULL;
}

static void touch_start(struct touch *t, char *at, bool write)
{
	*t = (struct touch){ .at = at, .write = write };
	CU_ASSERT_EQUAL_FATAL(pthread_create(&t->thread, NULL, touch_main, t), 0);
}

/* The next message, waited for at most five seconds. */
static struct event next_event(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	struct uffd_msg m;
	struct event ev;

	CU_ASSERT_EQUAL_FATAL(poll(&p, 1, 5000), 1);
	CU_ASSERT_EQUAL_FATAL(uffd_read(fd, &m, 1), (int64_t)sizeof(m));
	CU_ASSERT_EQUAL_FATAL(event_decode(&m, sizeof(m), &ev), 0);
	return ev;
}

static struct resolve_place place(uint32_t modes, enum vma_kind kind)
{
	return (struct resolve_place){
		.modes = modes, .page_size = PAGE, .kind = kind, .arm = true,
	};
}

#endif
