/* SPDX-License-Identifier: MIT */
/* Price: what a first write costs.  See price.h. */

#include "watch/price.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "watch/uffd.h"
#include "watch/watchable.h"

#define PAGES 4096u
/* The median of so many: others take the caches away in some of them. */
#define ROUNDS 5u
#define WANTED (UFFD_FEATURE_PAGEFAULT_FLAG_WP | UFFD_FEATURE_WP_ASYNC | \
		UFFD_FEATURE_WP_UNPOPULATED)

/* Running time: who else runs does not count. */
static uint64_t running(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * NSEC_PER_SEC + (uint64_t)t.tv_nsec;
}

static uint64_t write_all(volatile char *p, size_t page)
{
	uint64_t begin = running();

	for (size_t i = 0; i < PAGES; i++)
		p[i * page] = (char)i;
	return running() - begin;
}

static int by_size(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static uint64_t measure(int uffd, char *p, size_t page)
{
	struct range all = { (uint64_t)(uintptr_t)p, (uint64_t)(uintptr_t)p + PAGES * page };
	uint64_t extra[ROUNDS];

	if (uffd_register(uffd, all, WATCH_MODE_WRITE) < 0)
		return 0;
	for (unsigned int i = 0; i < ROUNDS; i++) {
		uint64_t with, without;

		if (uffd_protect(uffd, all) < 0)
			return 0;
		with = write_all(p, page);
		without = write_all(p, page);
		extra[i] = with > without ? with - without : 0;
	}
	qsort(extra, ROUNDS, sizeof(extra[0]), by_size);
	return extra[ROUNDS / 2] / PAGES;
}

uint64_t price_first_write(void)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	_close_ int uffd = uffd_open_own();
	uint64_t features, ns = 0;
	char *p;

	if (uffd < 0 || uffd_handshake(uffd, WANTED, &features) < 0 || features != WANTED)
		return PRICE_GUESS;
	p = mmap(NULL, PAGES * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return PRICE_GUESS;
	/* A huge page would be another thing. */
	madvise(p, PAGES * page, MADV_NOHUGEPAGE);
	write_all(p, page);
	ns = measure(uffd, p, page);
	munmap(p, PAGES * page);
	return ns ? ns : PRICE_GUESS;
}
