/* SPDX-License-Identifier: MIT */
/* Tenant, filling: in steps, on memory of our own that nobody touches meanwhile. */

#include <string.h>
#include <sys/mman.h>

#include "restore/tenant.h"
#include "suite.h"
#include "watch/uffd.h"
#include "watch/watchable.h"

#define PAGE 4096u
#define PAGES 64u

static char contents[PAGES * PAGE], *memory;
static struct tenant *t;
/* Somebody wants to read as soon as somebody else is inside. */
static bool closes;

static const void *at(struct source *s, const struct source_want *want)
{
	(void)s;
	if (closes && atomic_load(&t->gate.inside))
		atomic_store(&t->gate.closed, true);
	return contents + (want->vaddr - (uint64_t)(uintptr_t)memory);
}

static const struct source_ops ops = { .at = at };
static struct source source = { .ops = &ops };

static struct image_piece piece = { .npages = PAGES, .lazy = true };
static const struct image_task task = {
	.pid = 7, .memory = true, .pieces = &piece, .npieces = 1, .lazy_pages = PAGES,
};

static void begin(void)
{
	int fd = uffd_open_own();
	struct range all;
	uint64_t features;

	memory = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		      -1, 0);
	CU_ASSERT_FATAL(fd >= 0 && memory != MAP_FAILED);
	for (unsigned int i = 0; i < PAGES; i++)
		memset(contents + i * PAGE, (int)i + 1, PAGE);
	piece.vaddr = (uint64_t)(uintptr_t)memory;
	all = (struct range){ piece.vaddr, piece.vaddr + PAGES * PAGE };
	CU_ASSERT_EQUAL_FATAL(uffd_handshake(fd, 0, &features), 0);
	CU_ASSERT_EQUAL_FATAL(uffd_register(fd, all, WATCH_MODE_MISSING), 0);
	CU_ASSERT_EQUAL_FATAL(tenant_new(7, &task, fd, &t), 0);
	t->early = closes = false;
}

static void end(void)
{
	tenant_free(t);
	munmap(memory, PAGES * PAGE);
}

static enum tenant_fill fill(unsigned int npages, unsigned int step)
{
	return tenant_fill(t, &source, npages * PAGE, step * PAGE, 2);
}

/* The step is finished, and the rest is free, and comes next. */
static void test_makes_way(void)
{
	begin();
	closes = true;
	CU_ASSERT_EQUAL(fill(16, 3), TENANT_FILLED);
	CU_ASSERT_EQUAL(t->owed.totals.free, PAGES - 3);
	CU_ASSERT_EQUAL(t->owed.totals.flight, 0);
	CU_ASSERT(!memcmp(memory, contents, 3 * PAGE));
	CU_ASSERT_EQUAL(fill(16, 3), TENANT_BUSY);
	closes = false;
	gate_open(&t->gate);
	CU_ASSERT_EQUAL(fill(4, 2), TENANT_FILLED);
	CU_ASSERT(!memcmp(memory, contents, 7 * PAGE));
	CU_ASSERT_EQUAL(tenant_owes(t), PAGES - 7);
	end();
}

static void test_steps(void)
{
	begin();
	/* They need not divide what is taken, nor be less. */
	CU_ASSERT_EQUAL(fill(16, 3), TENANT_FILLED);
	CU_ASSERT_EQUAL(tenant_owes(t), PAGES - 16);
	CU_ASSERT_EQUAL(fill(16, 64), TENANT_FILLED);
	CU_ASSERT_EQUAL(tenant_owes(t), PAGES - 32);
	/* A page is there, in the middle of a step: the others come. */
	CU_ASSERT_EQUAL(uffd_copy(t->uffd, (struct range){ piece.vaddr + 37 * PAGE,
				  piece.vaddr + 38 * PAGE }, contents, false), 0);
	while (fill(16, 4) == TENANT_FILLED)
		;
	CU_ASSERT(tenant_done(t));
	CU_ASSERT_EQUAL(t->owed.totals.ended[OWED_THERE], 1);
	CU_ASSERT_EQUAL(t->owed.totals.ended[OWED_ARRIVED], PAGES - 1);
	CU_ASSERT(!memcmp(memory + 37 * PAGE, contents, PAGE));
	memcpy(memory + 37 * PAGE, contents + 37 * PAGE, PAGE);
	CU_ASSERT(!memcmp(memory, contents, PAGES * PAGE));
	CU_ASSERT_EQUAL(fill(16, 4), TENANT_NOTHING);
	end();
}

static const struct suite_test tests[] = {
	{ "who fills makes way for who reads", test_makes_way },
	{ "steps", test_steps },
};

SUITE_MAIN("tenant-fill", tests)
