/* SPDX-License-Identifier: MIT */
/* Memory: pages that are large, shared by content, swapped, moved, dumped.  See memory.h. */

#include <sys/resource.h>
#include <sys/wait.h>

#include "memory.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25	/* 6.1 */
#endif
#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif

#define PM_PRESENT (UINT64_C(1) << 63)

/* How many of n pages have this bit in pagemap. */
static unsigned int with_bit(void *p, unsigned int n, uint64_t bit)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	unsigned int found = 0;
	uint64_t e;

	must(fd >= 0, "pagemap");
	for (unsigned int i = 0; i < n; i++) {
		must(pread(fd, &e, 8, (off_t)(page_of(p) + i) * 8) == 8, "pagemap");
		found += !!(e & bit);
	}
	close(fd);
	return found;
}

/* Huge pages that a first write of 4 KiB splits, and that are not put together again. */
static void thp_case(void)
{
	char *p = map_alone(4 * HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
	unsigned int each = HUGE / PAGE, n = 4 * each;

	must(!madvise(p, 4 * HUGE, MADV_HUGEPAGE), "MADV_HUGEPAGE");
	fill(p, 2 * each);
	must(!madvise(at_page(p, 2 * each), 2 * HUGE, MADV_NOHUGEPAGE), "MADV_NOHUGEPAGE");
	fill(p, n);
	gate();
	write_pages(p, 1, 1);
	write_pages(at_page(p, 100), 2, 2);
	write_pages(at_page(p, 2 * each - 1), 2, 3);
	fact_wrote(p, 1, self());
	fact_wrote(at_page(p, 100), 2, self());
	fact_wrote(at_page(p, 2 * each - 1), 2, self());
	fact_quiet(at_page(p, 1), 99);
	fact_quiet(at_page(p, 2 * each + 1), each - 1);
	must(!madvise(p, 4 * HUGE, MADV_HUGEPAGE), "MADV_HUGEPAGE");
	/* Refused on armed pages; where it works nothing may be lost by it. */
	(void)!madvise(at_page(p, 3 * each), HUGE, MADV_COLLAPSE);
	write_pages(at_page(p, 3 * each + 7), 3, 4);
	fact_wrote(at_page(p, 3 * each + 7), 3, self());
	check_filled(p, n, "what was there");
	check_written(at_page(p, 100), 2, 2, "in a huge page");
	check_written(at_page(p, 2 * each - 1), 2, 3, "at the border");
	check_written(at_page(p, 3 * each + 7), 3, 4, "collapsed or not");
}

/* Pages of 2 MiB from the pool. */
static void hugetlb_case(void)
{
	unsigned int each = HUGE / PAGE;
	char *p = mmap(NULL, 2 * HUGE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
	char *q = mmap(NULL, 2 * HUGE, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);

	if (p == MAP_FAILED || q == MAP_FAILED)
		skip_case("no-hugepages", "MAP_HUGETLB: %s", strerror(errno));
	fill(p, 2 * each);
	fill(q, 2 * each);
	gate();
	write_pages(at_page(p, 5), 3, 1);
	write_pages(at_page(q, each + 5), 3, 2);
	check_filled(p, 2 * each, "private");
	check_filled(q, 2 * each, "shared");
	check_written(at_page(p, 5), 3, 1, "private");
	check_written(at_page(q, each + 5), 3, 2, "shared");
	printf("fact {\"is\":\"huge\",\"page\":%" PRIu64 ",\"n\":1,\"tid\":%d}\n",
	       page_of(at_page(p, 5)), self());
	printf("fact {\"is\":\"huge\",\"page\":%" PRIu64 ",\"n\":1,\"tid\":%d}\n",
	       page_of(at_page(q, each + 5)), self());
	fact_quiet(at_page(p, each), 1);
	fact_quiet(q, 1);
}

/* Pages of the same content become one, and many again when they are written. */
static void ksm_case(void)
{
	unsigned int n = 256;
	char *p = map_anon(n);

	for (unsigned int i = 0; i < n; i++)
		memset(at_page(p, i), 'k', PAGE);
	gate();
	if (madvise(p, (size_t)n * PAGE, MADV_MERGEABLE))
		skip_case("no-ksm", "MADV_MERGEABLE: %s", strerror(errno));
	for (int i = 0; i < 200; i++) {
		char text[32] = "0";
		int fd = open("/proc/self/ksm_merging_pages", O_RDONLY | O_CLOEXEC);

		must(fd >= 0 && read(fd, text, sizeof(text) - 1) > 0, "ksm_merging_pages");
		close(fd);
		if (strtoul(text, NULL, 10) >= n / 2)
			break;
		must(i < 199, "only %ld pages were merged", strtol(text, NULL, 10));
		usleep(20000);
	}
	write_pages(p, 64, 1);
	for (unsigned int i = 0; i < n; i++)
		must(*(char *)at_page(p, i) == 'k' && *((char *)at_page(p, i) + PAGE - 1) == 'k',
		     "page %u", i);
	check_written(p, 64, 1, "merged pages");
	must(*(uint64_t *)((char *)at_page(p, 64) + 8) == UINT64_C(0x6b6b6b6b6b6b6b6b),
	     "a page that was not written");
	/* Merging takes the protection off: what a watcher tells of p is left open. */
	fact_quiet(at_page(p, 64), n - 64);
}

/* Armed pages go to the swap and come back. */
static void swap_case(void)
{
	unsigned int n = 1024, out = 0;
	char *p = map_anon(n);

	fill(p, n);
	gate();
	for (int i = 0; i < 20 && out < n / 2; i++) {
		must(!madvise(p, (size_t)n * PAGE, MADV_PAGEOUT), "MADV_PAGEOUT");
		out = n - with_bit(p, n, PM_PRESENT);
		usleep(10000);
	}
	must(out >= n / 2, "only %u pages are out", out);
	write_pages(p, 256, 1);
	check_filled(p, n, "what was there");
	check_written(p, 256, 1, "swapped");
	fact_wrote(p, 256, self());
	fact_quiet(at_page(p, 256), 256);
	write_pages(at_page(p, 512), 64, 2);
	fact_wrote(at_page(p, 512), 64, self());
	check_written(at_page(p, 512), 64, 2, "read back, then written");
}

/* The kernel moves pages to make room for large ones; another file triggers it. */
static void moved_case(void)
{
	unsigned int n = 8192;
	char *p = map_anon(n), *q;
	int fd;

	fill(p, n);
	/* Holes between its pages, so that there is something to gain. */
	q = map_anon(n);
	fill(q, n);
	for (unsigned int i = 0; i < n; i += 2)
		must(!madvise(at_page(q, i), PAGE, MADV_DONTNEED), "MADV_DONTNEED");
	gate();
	fd = open("/proc/sys/vm/compact_memory", O_WRONLY | O_CLOEXEC);
	for (int i = 0; i < 2; i++)
		if (fd < 0 || write(fd, "1", 1) != 1)
			skip_case("no-compaction", "compact_memory: %s", strerror(errno));
	write_pages(p, 512, 1);
	check_filled(p, n, "what was there");
	check_written(p, 512, 1, "moved or not");
	fact_wrote(p, 512, self());
	fact_quiet(at_page(p, 512), n - 512);
}

/* Ends by a signal that dumps its memory; the pages are armed then. */
static void core_case(void)
{
	struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };
	char *p = map_anon(2048);

	for (unsigned int i = 0; i < 2048; i++)
		memset(at_page(p, i), 'c', PAGE);
	must(!setrlimit(RLIMIT_CORE, &all), "setrlimit");
	gate();
	memset(at_page(p, 1000), 'd', PAGE);
	fact_wrote(at_page(p, 1000), 1, self());
	printf("core %" PRIx64 "\n", (uint64_t)(uintptr_t)p);
	fflush(stdout);
	__asm__ volatile("ud2");
}

static const struct memory_case cases[] = {
	{ "thp", thp_case },
	{ "hugetlb", hugetlb_case },
	{ "ksm", ksm_case },
	{ "swap", swap_case },
	{ "moved", moved_case },
	{ "core", core_case },
};

MEMORY_MAIN(cases)
