/* SPDX-License-Identifier: MIT */
/* Account: what a trace tells after its end was given up for its last words. */

#include "trace/account.h"
#include "suite.h"

static const struct record fault = { .kind = RECORD_FAULT }, vma = { .kind = RECORD_VMA };

/* One line: a record, and where it ends. */
static void line(struct account *a, const struct record *r, uint64_t end)
{
	account_take(a, r);
	a->seq++;
	account_mark(a, end, a->seq + 1);
}

static void test_nothing_lost(void)
{
	struct account a = { 0 };
	struct account_place at;

	account_mark(&a, 100, 1);
	line(&a, &fault, 200);
	line(&a, &vma, 300);
	at = account_back(&a, 300, 0);
	CU_ASSERT(at.bytes == 300 && at.lines == 3 && at.seq == 2);
	CU_ASSERT(!a.lost && !a.lost_faults && !a.lost_total && a.seq == 2);
}

static void test_room(void)
{
	struct account a = { 0 };
	struct account_place at;

	account_mark(&a, 100, 1);
	for (uint64_t i = 1; i <= 10; i++)
		line(&a, i % 2 ? &fault : &vma, 100 + 100 * i);
	/* Two more came when nothing could be written any more. */
	account_take(&a, &fault);
	account_take(&a, &fault);
	at = account_back(&a, 1100, 250);
	CU_ASSERT(at.bytes == 800 && at.seq == 7 && at.lines == 8);
	CU_ASSERT(a.lost == 3 + 2 && a.lost_faults == 1 + 2);
	CU_ASSERT_EQUAL(account_declare(&a, 5).lost.n, 5);
	CU_ASSERT_EQUAL(a.lost_total, 5);
	/* More than there is: the oldest place. */
	at = account_back(&a, 1100, 5000);
	CU_ASSERT(at.bytes == 100 && a.lost == 12 && !a.seq);
}

/* A `lost` line that goes takes with it what it told, and what was lost before stays told. */
static void test_lost_lines(void)
{
	struct record ring = { .kind = RECORD_LOST, .lost = { .n = 7, .faults = 6 } };
	struct record some = { .kind = RECORD_LOST,
			       .lost = { .n = RECORD_UNKNOWN, .faults = RECORD_UNKNOWN } };
	struct account a = { 0 };
	struct record told;

	account_mark(&a, 100, 1);
	line(&a, &ring, 200);
	CU_ASSERT_EQUAL(a.lost_total, 7);
	account_take(&a, &fault);
	account_lose(&a, &fault);
	told = account_declare(&a, 1);
	CU_ASSERT(told.lost.n == 1 && told.lost.faults == 1 && told.lost.reason == LOST_OUTPUT);
	a.seq++;
	account_mark(&a, 300, 3);
	line(&a, &ring, 400);
	line(&a, &some, 500);
	CU_ASSERT_EQUAL(a.lost_total, 15);
	account_back(&a, 500, 200);
	CU_ASSERT(a.lost == 8 && a.lost_faults == 6 && a.lost_total == 8);
	/* Not declared at the mark is not told there. */
	account_take(&a, &fault);
	account_lose(&a, &fault);
	account_mark(&a, 350, 4);
	account_back(&a, 350, 0);
	CU_ASSERT(a.lost == 9 && a.lost_faults == 7);
}

static void test_many(void)
{
	struct account a = { 0 };
	struct account_place at;

	account_mark(&a, 100, 1);
	for (uint64_t i = 1; i <= 10 * ACCOUNT_PLACES; i++)
		line(&a, &fault, 100 + 100 * i);
	CU_ASSERT_EQUAL(account_since_mark(&a, 100 + 1000 * ACCOUNT_PLACES + 40), 40);
	at = account_back(&a, 100 + 1000 * ACCOUNT_PLACES, UINT32_MAX);
	CU_ASSERT_EQUAL(at.lines, 9 * ACCOUNT_PLACES + 2);
	CU_ASSERT_EQUAL(a.lost, ACCOUNT_PLACES - 1);
}

static const struct suite_test tests[] = {
	{ "nothing lost", test_nothing_lost },
	{ "room for last words", test_room },
	{ "lost lines", test_lost_lines },
	{ "many places", test_many },
};

SUITE_MAIN("account", tests)
