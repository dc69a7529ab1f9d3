/* SPDX-License-Identifier: MIT */
/*
 * Bare census: what the kernel's own means cost a running program, with nothing made of
 * what they tell.  The limit of what `pagetap record --engine async` can be.
 *
 *	bare-census MS PID
 *
 * Borrows a userfaultfd from PID, protects its private anonymous memory as WP_ASYNC has
 * it, and each MS milliseconds collects and protects again what was written, 32 MiB a
 * call.  Ends at SIGINT, and says `passes N PAGES NS`, the time that of the processor.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/range.h"
#include "compat/pagemap.h"
#include "compat/uffd.h"
#include "pagetap/inject.h"

#define PAGE 4096u
#define SLICE (UINT64_C(32) << 20)
#define RUNS (SLICE / PAGE)
#define MAPPINGS 4096u

static struct range mappings[MAPPINGS];
static unsigned int nmappings;
static int uffd, pagemap;
static volatile sig_atomic_t over;

static void end(int sig)
{
	(void)sig;
	over = 1;
}

static void give_up(const char *what)
{
	fprintf(stderr, "bare-census: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t cpu_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}

static void adopt(pid_t pid)
{
	struct uffdio_api api = {
		.api = UFFD_API,
		.features = UFFD_FEATURE_WP_ASYNC | UFFD_FEATURE_WP_UNPOPULATED,
	};
	struct pagetap_loan loan = { .size = sizeof(loan) };
	struct pagetap_failure f = { 0 };

	if (pagetap_borrow(pid, NULL, &loan, &f) < 0) {
		errno = f.error;
		give_up(f.text);
	}
	uffd = loan.uffd;
	if (ioctl(uffd, UFFDIO_API, &api))
		give_up("UFFDIO_API");
}

static void register_all(pid_t pid)
{
	char path[64], line[512], prot[8];
	unsigned long inode;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	f = fopen(path, "re");
	if (!f)
		give_up(path);
	while (nmappings < MAPPINGS && fgets(line, sizeof(line), f)) {
		struct range r;
		struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_WP };

		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %7s %*s %*s %lu", &r.lo, &r.hi, prot,
			   &inode) != 4 || inode || strcmp(prot, "rw-p"))
			continue;
		reg.range = (struct uffdio_range){ r.lo, r.hi - r.lo };
		if (!ioctl(uffd, UFFDIO_REGISTER, &reg))
			mappings[nmappings++] = r;
	}
	fclose(f);
}

/* Returns written pages.  What has been unmapped meanwhile is left out. */
static uint64_t scan(struct range r)
{
	static struct page_region runs[RUNS];
	uint64_t pages = 0;

	while (r.lo < r.hi) {
		struct pm_scan_arg a = {
			.size = sizeof(a), .flags = PM_SCAN_WP_MATCHING | PM_SCAN_CHECK_WPASYNC,
			.start = r.lo, .end = r.hi - r.lo > SLICE ? r.lo + SLICE : r.hi,
			.vec = (uintptr_t)runs, .vec_len = RUNS,
			.category_mask = PAGE_IS_WRITTEN, .return_mask = PAGE_IS_WRITTEN,
		};
		long got = ioctl(pagemap, PAGEMAP_SCAN, &a);

		if (got < 0 && errno != EPERM)
			give_up("PAGEMAP_SCAN");
		for (long i = 0; i < got; i++)
			pages += (runs[i].end - runs[i].start) / PAGE;
		r.lo = got < 0 ? a.end : a.walk_end;
	}
	return pages;
}

int main(int argc, char **argv)
{
	uint64_t epoch, due = clock_now(), begin = 0, pages = 0, passes = 0;
	struct sigaction sa = { .sa_handler = end };
	char path[64];
	pid_t pid;

	if (argc != 3)
		return 2;
	epoch = strtoul(argv[1], NULL, 10) * NSEC_PER_MSEC;
	pid = (pid_t)strtol(argv[2], NULL, 10);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigaction(SIGINT, &sa, NULL);
	snprintf(path, sizeof(path), "/proc/%d/pagemap", pid);
	pagemap = open(path, O_RDONLY | O_CLOEXEC);
	if (pagemap < 0)
		give_up(path);
	adopt(pid);
	register_all(pid);
	for (; !over; due += epoch) {
		uint64_t now = clock_now(), found = 0;

		if (now < due)
			poll(NULL, 0, (int)((due - now) / NSEC_PER_MSEC));
		for (unsigned int i = 0; i < nmappings; i++)
			found += scan(mappings[i]);
		/* The first finds everything. */
		if (!begin)
			begin = cpu_now();
		else
			passes++;
		pages += passes ? found : 0;
	}
	printf("passes %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", passes, pages, cpu_now() - begin);
	return 0;
}
