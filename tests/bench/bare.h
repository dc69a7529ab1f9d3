/* SPDX-License-Identifier: MIT */
/* What the programs share that use the kernel's own means and make nothing of them. */
#ifndef TESTS_BENCH_BARE_H
#define TESTS_BENCH_BARE_H

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/range.h"
#include "compat/pagemap.h"
#include "compat/uffd.h"

#define PAGE 4096u
#define RUNS_MAX 8192u		/* of the pages that one call looks at each may be one */
#define SLICE ((uint64_t)RUNS_MAX * PAGE)

static void give_up(const char *what)
{
	fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what, strerror(errno));
	_exit(1);
}

/* Processor time: of a process or of a thread, as the clock is. */
static uint64_t cpu_now(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}

static int open_pagemap(pid_t pid)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/pagemap", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		give_up(path);
	return fd;
}

static void shake_hands(int uffd, uint64_t features)
{
	struct uffdio_api api = { .api = UFFD_API, .features = features };

	if (ioctl(uffd, UFFDIO_API, &api))
		give_up("UFFDIO_API");
}

/*
 * Protects what was written and returns how many pages that is; the plain mask, for which
 * the kernel has a short way.  A slice of which something is not registered any more is
 * left out.
 */
static uint64_t scan(int pagemap, struct range r, uint64_t *ret_runs)
{
	static struct page_region runs[RUNS_MAX];
	uint64_t pages = 0, n = 0;

	while (r.lo < r.hi) {
		struct pm_scan_arg a = {
			.size = sizeof(a), .flags = PM_SCAN_WP_MATCHING | PM_SCAN_CHECK_WPASYNC,
			.start = r.lo, .end = r.hi - r.lo > SLICE ? r.lo + SLICE : r.hi,
			.vec = (uintptr_t)runs, .vec_len = RUNS_MAX,
			.category_mask = PAGE_IS_WRITTEN, .return_mask = PAGE_IS_WRITTEN,
		};
		long got = ioctl(pagemap, PAGEMAP_SCAN, &a);

		if (got < 0 && errno != EPERM)
			give_up("PAGEMAP_SCAN");
		for (long i = 0; i < got; i++)
			pages += (runs[i].end - runs[i].start) / PAGE;
		n += got < 0 ? 0 : (uint64_t)got;
		r.lo = got < 0 ? a.end : a.walk_end;
	}
	*ret_runs = n;
	return pages;
}

#endif
