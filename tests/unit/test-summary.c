/* SPDX-License-Identifier: MIT */
/* Summary: what is said of losses, and whose they are. */

#include "cmd-summary.h"

#include <string.h>
#include <sys/mman.h>

#include "suite.h"

static char said[4096];

/* Standard error into a file for the time of one call. */
static const char *said_by(void (*say)(const struct recording *), const struct recording *rec)
{
	int fd = memfd_create("said", MFD_CLOEXEC), old = dup(STDERR_FILENO);
	ssize_t n;

	CU_ASSERT_FATAL(fd >= 0 && old >= 0);
	log_setup(0, LOG_COLOR_NEVER);
	dup2(fd, STDERR_FILENO);
	say(rec);
	dup2(old, STDERR_FILENO);
	n = pread(fd, said, sizeof(said) - 1, 0);
	said[n > 0 ? n : 0] = '\0';
	close(fd);
	close(old);
	return said;
}

static void say_losses(const struct recording *rec)
{
	summary_losses(rec, 64);
}

static void say_numbers(const struct recording *rec)
{
	summary_numbers(rec);
}

static const char *losses_of(uint64_t all, uint64_t perf, int64_t unwitnessed)
{
	struct recording rec = { .summary = {
		.stats = { .lost = all, .unwitnessed = unwitnessed }, .lost_perf = perf,
	} };

	return said_by(say_losses, &rec);
}

static const char *losses(uint64_t all, uint64_t perf)
{
	return losses_of(all, perf, RECORD_UNKNOWN);
}

/* Of the asynchronous engine: what the census alone has found. */
static const char *numbers(uint64_t pages, int64_t distinct)
{
	struct recording rec = {
		.summary = {
			.stats = { .dirty_pages = pages, .distinct_pages = distinct,
				   .unwitnessed = RECORD_UNKNOWN, .slowdown_ppm = RECORD_UNKNOWN },
			.async = true, .epochs = 9, .ran_ns = 2000000000,
			.dirty_by_kind = { [VMA_KIND_ANON] = pages / 4,
					   [VMA_KIND_HEAP] = pages - pages / 4 },
		},
	};

	return said_by(say_numbers, &rec);
}

static void test_working_set(void)
{
	CU_ASSERT_STRING_EQUAL(numbers(0, 0), "  0 pages written in 9 epochs   0 lost\n");
	CU_ASSERT_STRING_EQUAL(numbers(2048, 512),
			       "  2,048 pages written in 9 epochs   0 lost\n"
			       "  working set 2.0 MiB (512 pages)   "
			       "dirty rate 4.0 MiB/s (1,024 pages/s)\n"
			       "  of these heap 75 %, anon 25 %\n");
}

#define OF_PERF "lost by the kernel; first touches of new mappings may be missing\n"
#define OF_RING "lost (ring full); counts are still exact, the page list is not\n" \
		"hint: --ring 256, or -m heap to watch less\n"

static void test_losses(void)
{
	CU_ASSERT_STRING_EQUAL(losses(0, 0), "");
	CU_ASSERT_STRING_EQUAL(losses(2000, 0), "pagetap: 2,000 records " OF_RING);
	CU_ASSERT_STRING_EQUAL(losses(1, 0), "pagetap: 1 record " OF_RING);
	CU_ASSERT_STRING_EQUAL(losses(1, 1), "pagetap: 1 perf event " OF_PERF);
	CU_ASSERT_STRING_EQUAL(losses(9, 7),
			       "pagetap: 7 perf events " OF_PERF "pagetap: 2 records " OF_RING);
	/* With --who the rings tell who wrote. */
	CU_ASSERT_STRING_EQUAL(losses_of(7, 7, 0), "pagetap: 7 perf events lost by the kernel; "
			       "who wrote some of the pages may be missing\n");
}

static const struct suite_test tests[] = {
	{ "working set", test_working_set },
	{ "losses by whose they are", test_losses },
};

SUITE_MAIN("summary", tests)
