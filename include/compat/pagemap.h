/* SPDX-License-Identifier: MIT */
/*
 * PAGEMAP_SCAN of <linux/fs.h>, Linux 6.7: which pages of a range are in which state,
 * and in the same call write protection of those that match.
 *
 * Debian 12 ships the headers of Linux 6.1.  See PAGEMAP_SCAN(2const) and
 * Documentation/admin-guide/mm/pagemap.rst.
 */
#ifndef COMPAT_PAGEMAP_H
#define COMPAT_PAGEMAP_H

#include <assert.h>
#include <linux/fs.h>
#include <linux/types.h>
#include <stdint.h>
#include <sys/ioctl.h>

#ifndef PAGEMAP_SCAN
#define PAGE_IS_WPALLOWED (1 << 0)
#define PAGE_IS_WRITTEN (1 << 1)
#define PAGE_IS_FILE (1 << 2)
#define PAGE_IS_PRESENT (1 << 3)
#define PAGE_IS_SWAPPED (1 << 4)
#define PAGE_IS_PFNZERO (1 << 5)
#define PAGE_IS_HUGE (1 << 6)

struct page_region {
	__u64 start;
	__u64 end;
	__u64 categories;
};

#define PM_SCAN_WP_MATCHING (1 << 0)
#define PM_SCAN_CHECK_WPASYNC (1 << 1)

struct pm_scan_arg {
	__u64 size;
	__u64 flags;
	__u64 start, end;
	__u64 walk_end;
	__u64 vec, vec_len;
	__u64 max_pages;
	__u64 category_inverted;
	__u64 category_mask;
	__u64 category_anyof_mask;
	__u64 return_mask;
};

#define PAGEMAP_SCAN _IOWR('f', 16, struct pm_scan_arg)
#endif

#ifndef PAGE_IS_GUARD			/* 6.15 */
#define PAGE_IS_GUARD (1 << 8)
#endif

/* Of an entry of /proc/PID/pagemap: write-protected by userfaultfd (proc_pid_pagemap(5)). */
#define PAGEMAP_UFFD_WP (UINT64_C(1) << 57)

static_assert(sizeof(struct pm_scan_arg) == 96, "kernel ABI");
static_assert(sizeof(struct page_region) == 24, "kernel ABI");

#endif
