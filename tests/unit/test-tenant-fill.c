/* SPDX-License-Identifier: MIT */
/* Tenant, copying: in steps, and in which order, on memory of our own that nobody touches. */

#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

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
/* Its pages have to be asked for. */
static bool far_away;

static const void *at(struct source *s, const struct source_want *want)
{
	(void)s;
	if (far_away)
		return NULL;
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
	t->early = closes = far_away = false;
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

/* An answer, each page of which comes only when it is looked at. */
struct answer {
	struct source_want want;
	struct tenant_touch touch;
	char *data;
	enum tenant_deed deed;
};

static void *arrive(void *arg)
{
	struct answer *a = arg;

	a->deed = tenant_arrived(t, &a->want, a->data, &a->touch);
	return NULL;
}

/* Puts the pages of an answer there; which one was wanted first. */
static unsigned int give_pages(const struct answer *a, int fd)
{
	unsigned int first = PAGES;
	struct pollfd p = { .fd = fd, .events = POLLIN };

	for (unsigned int i = 0; i < a->want.npages; i++) {
		struct uffd_msg msg;
		uint64_t page;

		CU_ASSERT_FATAL(poll(&p, 1, 10000) == 1);
		CU_ASSERT_FATAL(uffd_read(fd, &msg, 1) == sizeof(msg));
		page = (msg.arg.pagefault.address - (uint64_t)(uintptr_t)a->data) / PAGE;
		first = i ? first : (unsigned int)page;
		CU_ASSERT_EQUAL_FATAL(uffd_copy(fd, (struct range){
				      (uint64_t)(uintptr_t)a->data + page * PAGE,
				      (uint64_t)(uintptr_t)a->data + (page + 1) * PAGE },
				      contents + (a->want.vaddr + page * PAGE - piece.vaddr),
				      false), 0);
	}
	return first;
}

/* Of all that comes along with it, the page that somebody waits for is copied first. */
static void test_touched_first(void)
{
	struct answer a = { .touch = { .addr = 0 } };
	int fd = uffd_open_own();
	pthread_t thread;
	uint64_t features, size;

	begin();
	far_away = true;
	a.touch.addr = piece.vaddr + 37 * PAGE + 5;
	CU_ASSERT_EQUAL_FATAL(tenant_fault(t, &source, &a.touch, 9 | TENANT_URGENT, &a.want),
			      TENANT_ASK);
	CU_ASSERT_FATAL(a.want.npages > 1);
	size = a.want.npages * PAGE;
	a.data = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CU_ASSERT_FATAL(fd >= 0 && a.data != MAP_FAILED);
	CU_ASSERT_EQUAL_FATAL(uffd_handshake(fd, 0, &features), 0);
	CU_ASSERT_EQUAL_FATAL(uffd_register(fd, (struct range){ (uint64_t)(uintptr_t)a.data,
			      (uint64_t)(uintptr_t)a.data + size }, WATCH_MODE_MISSING), 0);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, arrive, &a), 0);
	CU_ASSERT_EQUAL(a.want.vaddr + give_pages(&a, fd) * PAGE, piece.vaddr + 37 * PAGE);
	pthread_join(thread, NULL);
	CU_ASSERT_EQUAL(a.deed, TENANT_DID_COPY);
	CU_ASSERT_EQUAL(tenant_owes(t), PAGES - a.want.npages);
	CU_ASSERT(!memcmp((char *)(uintptr_t)a.want.vaddr,
			  contents + (a.want.vaddr - piece.vaddr), size));
	close(fd);
	munmap(a.data, size);
	end();
}

static const struct suite_test tests[] = {
	{ "who fills makes way for who reads", test_makes_way },
	{ "steps", test_steps },
	{ "the touched page comes first", test_touched_first },
};

SUITE_MAIN("tenant-fill", tests)
