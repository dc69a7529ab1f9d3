/* SPDX-License-Identifier: MIT */
/*
 * Roster: what another pager finds in it, whatever the first one was doing: long journals,
 * deep families, batches that were not over, slots that are used again.
 */

#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "restore/roster.h"
#include "suite.h"
#include "watch/uffd.h"

#define BASE UINT64_C(0x10000000)
#define PAGES 2000u

static struct image_piece piece = { .vaddr = BASE, .npages = PAGES, .lazy = true };
static struct image_task task = {
	.pid = 7, .memory = true, .pieces = &piece, .npieces = 1, .lazy_pages = PAGES,
};
static const struct image image = { .tasks = &task, .ntasks = 1 };

static struct roster *r;
static struct roster_slot *first;

static void begin(void)
{
	int fd = uffd_open_own();

	CU_ASSERT_FATAL(fd >= 0);
	CU_ASSERT_EQUAL_FATAL(roster_new(&image, -1, &r), 0);
	CU_ASSERT_FALSE(roster_serves(r));
	first = roster_enter(r, 7, 1, fd, -1);
	CU_ASSERT_PTR_NOT_NULL_FATAL(first);
	CU_ASSERT_PTR_EQUAL(roster_find(r, 7), first);
	CU_ASSERT_EQUAL(roster_handed(r), 1);
}

static void end(void)
{
	struct roster_shared *s = roster_shared(r);

	for (uint32_t i = 0; i < s->nslots; i++)
		if (s->slots[i].state == ROSTER_SERVED)
			roster_leave(r, &s->slots[i]);
	CU_ASSERT_FALSE(roster_serves(r));
	roster_free(r);
}

static uint64_t owed_to(struct roster_slot *s)
{
	struct owed o;
	uint64_t n;

	CU_ASSERT_EQUAL_FATAL(roster_owed(r, s, &o), 0);
	n = o.totals.free;
	owed_done(&o);
	return n;
}

/* Page i is dropped. */
static void drop(struct roster_slot *s, unsigned int i)
{
	const struct journal_entry e = {
		.kind = JOURNAL_REMOVE,
		.lo = BASE + i * IMAGE_PAGE, .hi = BASE + (i + 1) * IMAGE_PAGE,
	};

	CU_ASSERT_EQUAL_FATAL(roster_follow(r, s, &e), 0);
}

static struct uffd_msg *read_begin(struct roster_slot *s, unsigned int n, uint8_t event)
{
	struct uffd_msg *m = roster_read_begin(r, s);

	for (unsigned int i = 0; i < n; i++)
		m[i].event = event;
	return m;
}

static void test_long(void)
{
	struct owed o;

	begin();
	for (unsigned int i = 0; i < 40000; i++) {
		read_begin(first, 1, UFFD_EVENT_REMOVE);
		drop(first, i % 1000);
		roster_read_end(r, first, 1);
	}
	roster_settle(r, first, BASE + 1000 * IMAGE_PAGE, 10);
	CU_ASSERT_EQUAL(owed_to(first), PAGES - 1010);
	CU_ASSERT_EQUAL_FATAL(roster_owed(r, first, &o), 0);
	CU_ASSERT(roster_long(first, o.nruns));
	roster_shorten(r, first, &o);
	CU_ASSERT_FALSE(roster_long(first, o.nruns));
	owed_done(&o);
	CU_ASSERT_EQUAL(owed_to(first), PAGES - 1010);
	roster_take_over(r);
	CU_ASSERT_EQUAL(owed_to(first), PAGES - 1010);
	end();
}

/* Each drops a page and forks; all but the last end. */
static void test_deep(void)
{
	struct roster_slot *s, *child;
	struct owed o;

	begin();
	s = first;
	for (unsigned int i = 0; i < 100; i++) {
		read_begin(s, 2, UFFD_EVENT_FORK);
		drop(s, i);
		journal_commit(s->journal);
		CU_ASSERT_EQUAL_FATAL(roster_owed(r, s, &o), 0);
		child = roster_birth(r, s, uffd_open_own(), &o);
		owed_done(&o);
		CU_ASSERT_PTR_NOT_NULL_FATAL(child);
		CU_ASSERT_EQUAL(child->state, ROSTER_UNBORN);
		roster_read_end(r, s, 2);
		CU_ASSERT_EQUAL(child->state, ROSTER_SERVED);
		roster_settle(r, s, BASE + 1500 * IMAGE_PAGE, 1);
		if (i % 7 == 3)
			roster_take_over(r);
		CU_ASSERT_EQUAL(owed_to(child), PAGES - 1 - i);
		roster_leave(r, s);
		CU_ASSERT_EQUAL(owed_to(child), PAGES - 1 - i);
		s = child;
	}
	CU_ASSERT_EQUAL(roster_handed(r), 1);
	/* Slots of those that have ended are used again. */
	CU_ASSERT(roster_shared(r)->nslots < 5);
	end();
}

/* The pager dies before the batch counts, and when it does. */
static void test_batches(void)
{
	struct roster_slot *child;
	unsigned int n = 9;
	struct owed o;

	begin();
	CU_ASSERT_PTR_NULL(roster_unread(r, &n));
	CU_ASSERT_EQUAL(n, 0);
	CU_ASSERT_EQUAL_FATAL(roster_owed(r, first, &o), 0);
	read_begin(first, 3, UFFD_EVENT_REMOVE);
	drop(first, 1);
	child = roster_birth(r, first, uffd_open_own(), &o);
	CU_ASSERT_PTR_NOT_NULL_FATAL(child);
	roster_take_over(r);
	CU_ASSERT_PTR_EQUAL(roster_unread(r, &n), first);
	CU_ASSERT_EQUAL(n, 3);
	CU_ASSERT_EQUAL(child->state, ROSTER_FREE);
	close(child->uffd);
	CU_ASSERT_EQUAL(owed_to(first), PAGES);
	/* Once more, by who took over; and it dies after the journal counts. */
	drop(first, 1);
	child = roster_birth(r, first, uffd_open_own(), &o);
	owed_done(&o);
	CU_ASSERT_PTR_NOT_NULL_FATAL(child);
	journal_commit(first->journal);
	roster_take_over(r);
	CU_ASSERT_PTR_NULL(roster_unread(r, &n));
	CU_ASSERT_EQUAL(child->state, ROSTER_SERVED);
	CU_ASSERT_PTR_EQUAL(roster_born(r, child->uffd), child);
	CU_ASSERT_EQUAL(owed_to(first), PAGES - 1);
	CU_ASSERT_EQUAL(owed_to(child), PAGES - 1);
	CU_ASSERT_PTR_NULL(roster_unread(r, &n));
	end();
}

/* About to close one: whatever has that number now, only a userfaultfd is closed. */
static void test_closing(void)
{
	int fd;

	begin();
	fd = first->uffd;
	first->state = ROSTER_CLOSING;
	roster_leave_again(r);
	CU_ASSERT_EQUAL(first->state, ROSTER_ENDED);
	CU_ASSERT_FALSE(handoff_is_userfaultfd(fd));
	CU_ASSERT_EQUAL(dup2(STDERR_FILENO, fd), fd);
	first->state = ROSTER_CLOSING;
	first->uffd = fd;
	roster_leave_again(r);
	CU_ASSERT_EQUAL(close(fd), 0);
	end();
}

static const struct suite_test tests[] = {
	{ "a long journal", test_long },
	{ "a deep family", test_deep },
	{ "batches that were not over", test_batches },
	{ "a slot that was being closed", test_closing },
};

SUITE_MAIN("roster", tests)
