/* SPDX-License-Identifier: MIT */
/*
 * Enrol: mappings that change between being asked for and being registered stay whole.
 * link: -Wl,--wrap=uffd_register
 */

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "suite.h"
#include "watch/space.h"
#include "watch/uffd.h"

#define PAGE UINT64_C(4096)
#define ARENA 64

int __real_uffd_register(int fd, struct range r, uint32_t modes);
int __wrap_uffd_register(int fd, struct range r, uint32_t modes);

static const struct watch_filter everything;
static struct space_shared shared;
static struct space *s;
static unsigned char *arena;
static unsigned int calls;
/* What another thread does to the target right before the first registration. */
static void (*meanwhile)(void);

int __wrap_uffd_register(int fd, struct range r, uint32_t modes)
{
	if (!calls++ && meanwhile)
		meanwhile();
	return __real_uffd_register(fd, r, modes);
}

static unsigned char *at(unsigned int page)
{
	return arena + page * PAGE;
}

static void map(unsigned int page, unsigned int n)
{
	void *p = mmap(at(page), n * PAGE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	CU_ASSERT_PTR_EQUAL_FATAL(p, at(page));
}

static void unmap(unsigned int page, unsigned int n)
{
	CU_ASSERT_EQUAL_FATAL(munmap(at(page), n * PAGE), 0);
}

static struct range pages(unsigned int page, unsigned int n)
{
	return (struct range){ (uintptr_t)at(page), (uintptr_t)at(page + n) };
}

/* Nothing is mapped in the arena, and nothing next to it. */
static void begin(void)
{
	uint64_t features;
	int fd = uffd_open_own();

	CU_ASSERT_FATAL(fd >= 0);
	arena = mmap(NULL, (ARENA + 32) * PAGE, PROT_NONE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	CU_ASSERT_PTR_NOT_EQUAL_FATAL(arena, MAP_FAILED);
	arena += 16 * PAGE;
	unmap(0, ARENA);
	CU_ASSERT_EQUAL_FATAL(uffd_handshake(fd, UFFD_FEATURE_PAGEFAULT_FLAG_WP, &features), 0);
	shared = (struct space_shared){
		.page_size = (uint32_t)PAGE, .next_vma = 1, .next_mm = 1,
		.filter = &everything, .max_mappings = 65530,
	};
	s = space_blank(&shared, fd, 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	s->filter = &everything;
	s->mapsfd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	CU_ASSERT_FATAL(s->mapsfd >= 0);
	calls = 0;
}

static void finish(void)
{
	meanwhile = NULL;
	space_free(s);
	maps_done(&shared.now);
	munmap(arena - 16 * PAGE, (ARENA + 32) * PAGE);
}

static int enrol_pages(unsigned int page, unsigned int n)
{
	struct region g = {
		.r = pages(page, n), .page_size = (uint32_t)PAGE,
		.prot = RECORD_PROT_READ | RECORD_PROT_WRITE,
	};

	return enrol(s, &g, WATCH_MODE_WRITE);
}

/* One mapping, no less and no more; and it can be moved as one, after it was written. */
static void is_whole(unsigned int page, unsigned int n)
{
	struct maps m = MAPS_NULL;
	void *p;

	CU_ASSERT_EQUAL(maps_query(s->mapsfd, pages(page, n), SIZE_MAX, &m), 0);
	CU_ASSERT_EQUAL_FATAL(m.n, 1);
	CU_ASSERT(m.v[0].lo == pages(page, n).lo && m.v[0].hi == pages(page, n).hi);
	maps_done(&m);
	memset(at(page), 7, n * PAGE);
	p = mremap(at(page), n * PAGE, (n + 1) * PAGE, MREMAP_MAYMOVE);
	CU_ASSERT_PTR_NOT_EQUAL_FATAL(p, MAP_FAILED);
	CU_ASSERT_EQUAL(munmap(p, (n + 1) * PAGE), 0);
}

static void test_quiet(void)
{
	begin();
	map(16, 8);
	CU_ASSERT_EQUAL(enrol_pages(16, 8), 0);
	CU_ASSERT_EQUAL(calls, 1);
	/* What it is not: a part, more, nothing. */
	CU_ASSERT_EQUAL(enrol_pages(18, 6), -ESTALE);
	CU_ASSERT_EQUAL(enrol_pages(16, 6), -ESTALE);
	CU_ASSERT_EQUAL(enrol_pages(16, 9), -ESTALE);
	CU_ASSERT_EQUAL(enrol_pages(30, 4), -ESTALE);
	CU_ASSERT_EQUAL(calls, 1);
	is_whole(16, 8);
	finish();
}

static void grow(void)
{
	CU_ASSERT_PTR_EQUAL_FATAL(mremap(at(16), 8 * PAGE, 12 * PAGE, 0), at(16));
}

static void test_grown(void)
{
	begin();
	map(16, 8);
	meanwhile = grow;
	CU_ASSERT_EQUAL(enrol_pages(16, 8), -ESTALE);
	is_whole(16, 12);
	finish();
}

static void replace(void)
{
	unmap(16, 8);
	map(12, 20);
}

/* Another one stands there, and reaches beyond it to both sides. */
static void test_replaced(void)
{
	begin();
	map(16, 8);
	meanwhile = replace;
	CU_ASSERT_EQUAL(enrol_pages(16, 8), -ESTALE);
	is_whole(12, 20);
	finish();
}

static void replace_two(void)
{
	unmap(16, 8);
	map(12, 6);
	mprotect(at(12), 6 * PAGE, PROT_READ);
	map(20, 8);
}

/* Two, of which one cannot be written: each is one again. */
static void test_replaced_by_two(void)
{
	struct maps m = MAPS_NULL;

	begin();
	map(16, 8);
	meanwhile = replace_two;
	CU_ASSERT_EQUAL(enrol_pages(16, 8), -ESTALE);
	CU_ASSERT_EQUAL(maps_query(s->mapsfd, pages(12, 16), SIZE_MAX, &m), 0);
	CU_ASSERT_EQUAL_FATAL(m.n, 2);
	CU_ASSERT(m.v[0].lo == pages(12, 6).lo && m.v[0].hi == pages(12, 6).hi);
	CU_ASSERT(m.v[1].lo == pages(20, 8).lo && m.v[1].hi == pages(20, 8).hi);
	maps_done(&m);
	unmap(12, 6);
	is_whole(20, 8);
	finish();
}

static void vanish(void)
{
	unmap(16, 8);
}

/* It has gone: that is no refusal. */
static void test_gone(void)
{
	begin();
	map(16, 8);
	meanwhile = vanish;
	CU_ASSERT_EQUAL(enrol_pages(16, 8), -ESTALE);
	finish();
}

/* What adjoins it and is of another kind is left as it is. */
static void test_neighbours(void)
{
	begin();
	map(16, 8);
	map(24, 8);
	mprotect(at(24), 8 * PAGE, PROT_READ);
	CU_ASSERT_EQUAL(enrol_pages(16, 8), 0);
	CU_ASSERT_EQUAL(calls, 1);
	CU_ASSERT_EQUAL(uffd_protect(s->uffd, pages(24, 8)), -ENOENT);
	is_whole(16, 8);
	finish();
}

static const struct suite_test tests[] = {
	{ "a mapping that stays", test_quiet },
	{ "one that grows meanwhile", test_grown },
	{ "one that is replaced by a larger one", test_replaced },
	{ "one that is replaced by two", test_replaced_by_two },
	{ "one that goes meanwhile", test_gone },
	{ "neighbours of another kind", test_neighbours },
};

SUITE_MAIN("enrol", tests)
