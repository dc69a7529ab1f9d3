/* SPDX-License-Identifier: MIT */
/* Uffd: the handshake, and registration's refusals, against the kernel itself. */

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "suite.h"
#include "watch/uffd.h"
#include "watch/watchable.h"

#define PAGE 4096u

static struct range at(void *p, uint64_t len)
{
	return (struct range){ (uint64_t)(uintptr_t)p, (uint64_t)(uintptr_t)p + len };
}

static void test_probe(void)
{
	uint64_t features = 0;

	CU_ASSERT_EQUAL_FATAL(uffd_probe(&features), 0);
	CU_ASSERT(features & UFFD_FEATURE_EVENT_UNMAP);
	CU_ASSERT(features & UFFD_FEATURE_THREAD_ID);
}

/* What is asked beyond the kernel's set is left out, not refused; and only once. */
static void test_handshake(void)
{
	uint64_t features = 0, offered = 0;
	int fd = uffd_open_own();

	CU_ASSERT_FATAL(fd >= 0);
	uffd_probe(&offered);
	CU_ASSERT_EQUAL(uffd_handshake(fd, UINT64_MAX & ~(uint64_t)UFFD_FEATURE_SIGBUS &
				       ~(uint64_t)UFFD_FEATURE_WP_ASYNC, &features), 0);
	CU_ASSERT(features);
	CU_ASSERT_EQUAL(features & ~offered, 0);
	CU_ASSERT_EQUAL(uffd_handshake(fd, 0, &features), -EINVAL);
	close(fd);
}

static void test_register_refusals(void)
{
	int fd = uffd_open_own(), other = uffd_open_own();
	uint64_t features;
	char *p = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CU_ASSERT_FATAL(p != MAP_FAILED);
	CU_ASSERT_EQUAL(uffd_register(fd, at(p, PAGE), WATCH_MODE_WRITE), -EINVAL);
	CU_ASSERT_EQUAL_FATAL(uffd_handshake(fd, UFFD_WANTED, &features), 0);
	CU_ASSERT_EQUAL_FATAL(uffd_handshake(other, UFFD_WANTED, &features), 0);
	CU_ASSERT_EQUAL(uffd_protect(fd, at(p, PAGE)), -ENOENT);
	CU_ASSERT_EQUAL(uffd_register(fd, at(p, 2 * PAGE), WATCH_MODE_WRITE), 0);
	CU_ASSERT_EQUAL(uffd_register(fd, at(p, 2 * PAGE), WATCH_MODE_WRITE), 0);
	CU_ASSERT_EQUAL(uffd_register(other, at(p, 2 * PAGE), WATCH_MODE_WRITE), -EBUSY);
	CU_ASSERT_EQUAL(uffd_protect(fd, at(p, 4 * PAGE)), -ENOENT);
	CU_ASSERT_EQUAL(uffd_register(fd, at(p + 1, PAGE), WATCH_MODE_WRITE), -EINVAL);
	CU_ASSERT_EQUAL(uffd_unregister(fd, at(p, 2 * PAGE)), 0);
	CU_ASSERT_EQUAL(uffd_register(other, at(p, 2 * PAGE), WATCH_MODE_WRITE), 0);
	close(fd);
	close(other);
	munmap(p, 4 * PAGE);
}

static void test_nothing_to_read(void)
{
	int fd = uffd_open_own();
	uint64_t features;
	struct uffd_msg m;

	CU_ASSERT_EQUAL_FATAL(uffd_handshake(fd, UFFD_WANTED, &features), 0);
	CU_ASSERT_EQUAL(uffd_read(fd, &m, 1), -EAGAIN);
	close(fd);
}

static const struct suite_test tests[] = {
	{ "probe", test_probe },
	{ "handshake", test_handshake },
	{ "registration and its refusals", test_register_refusals },
	{ "nothing to read", test_nothing_to_read },
};

SUITE_MAIN("uffd", tests)
