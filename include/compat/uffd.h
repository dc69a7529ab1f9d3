/* SPDX-License-Identifier: MIT */
/*
 * The only door to <linux/userfaultfd.h>.
 *
 * Debian 12 ships the headers of Linux 6.1; what later kernels added is named
 * here with its number and its kernel.  Sizes are asserted, because they are
 * kernel ABI.  See userfaultfd(2) and Documentation/admin-guide/mm/userfaultfd.rst.
 */
#ifndef COMPAT_UFFD_H
#define COMPAT_UFFD_H

#include <assert.h>
#include <linux/userfaultfd.h>

#ifndef UFFD_FEATURE_WP_UNPOPULATED	/* 6.4 */
#define UFFD_FEATURE_WP_UNPOPULATED (1 << 13)
#endif
#ifndef UFFD_FEATURE_POISON		/* 6.6 */
#define UFFD_FEATURE_POISON (1 << 14)
#endif
#ifndef UFFD_FEATURE_WP_ASYNC		/* 6.7 */
#define UFFD_FEATURE_WP_ASYNC (1 << 15)
#endif
#ifndef UFFD_FEATURE_MOVE		/* 6.8 */
#define UFFD_FEATURE_MOVE (1 << 16)
#endif
#ifndef UFFD_USER_MODE_ONLY		/* 5.11 */
#define UFFD_USER_MODE_ONLY 1
#endif
#ifndef UFFDIO_CONTINUE_MODE_WP		/* 6.4 */
#define UFFDIO_CONTINUE_MODE_WP ((__u64)1 << 1)
#endif
#ifndef UFFDIO_POISON			/* 6.6 */
struct uffdio_poison {
	struct uffdio_range range;
	__u64 mode;
	__s64 updated;
};
#define UFFDIO_POISON _IOWR(UFFDIO, 0x08, struct uffdio_poison)
#endif
#ifndef USERFAULTFD_IOC_NEW		/* 6.1 */
#define USERFAULTFD_IOC 0xAA
#define USERFAULTFD_IOC_NEW _IO(USERFAULTFD_IOC, 0x00)
#endif

static_assert(sizeof(struct uffd_msg) == 32, "kernel ABI");
static_assert(sizeof(struct uffdio_api) == 24, "kernel ABI");
static_assert(sizeof(struct uffdio_register) == 32, "kernel ABI");
static_assert(sizeof(struct uffdio_copy) == 40, "kernel ABI");
static_assert(sizeof(struct uffdio_poison) == 32, "kernel ABI");
static_assert(sizeof(struct uffdio_writeprotect) == 24, "kernel ABI");

#endif
