/* SPDX-License-Identifier: MIT */
/* Stacks: call chains by number, and the names of threads that go with them. */

#include <string.h>

#include "suite.h"
#include "watch/stacks.h"
#include "watch/threads.h"

static struct witness_event with_frames(const uint64_t *frames, uint32_t n)
{
	return (struct witness_event){
		.kind = WITNESS_TOUCH, .touch = { .frames = frames, .nframes = n },
	};
}

static size_t all_good(const void *arg, const uint64_t *frames, size_t n)
{
	(void)arg;
	(void)frames;
	return n;
}

static size_t two_good(const void *arg, const uint64_t *frames, size_t n)
{
	(void)arg;
	(void)frames;
	return n < 2 ? n : 2;
}

static void test_stacks(void)
{
	uint64_t frames[] = { 1, 2, 3, 4 };
	struct witness_event ev = with_frames(frames, 3), shorter = with_frames(frames, 2);
	struct witness_event none = with_frames(frames, 0);
	struct stacks *s;
	const uint64_t *v;
	uint32_t a, b;
	size_t n;

	CU_ASSERT_EQUAL_FATAL(stacks_new(&s, 4, 9), 0);
	a = stacks_number(s, 1, &ev);
	b = stacks_number(s, 1, &shorter);
	CU_ASSERT(a && b && a != b);
	CU_ASSERT_EQUAL(stacks_number(s, 1, &ev), a);
	none.touch.kernel = true;
	CU_ASSERT_EQUAL(stacks_number(s, 1, &none), 0);
	CU_ASSERT(stacks_ip(s, a) == 1 && stacks_ip(s, 0) == 0);
	CU_ASSERT_EQUAL(stacks_tell(s, a, all_good, NULL, &v, &n), a);
	CU_ASSERT(n == 3 && v[0] == 1 && v[2] == 3);
	CU_ASSERT_EQUAL(stacks_tell(s, a, all_good, NULL, &v, &n), a);
	CU_ASSERT_EQUAL(n, 0);
	CU_ASSERT(stacks_number(s, 2, &ev) > b);	/* another process */
	CU_ASSERT_EQUAL(stacks_number(s, 3, &ev), 0);	/* no room: 8 frames of 9 are taken */
	CU_ASSERT(stacks_crowded(s));
	stacks_forget(s);
	CU_ASSERT_FALSE(stacks_crowded(s));
	CU_ASSERT_EQUAL(stacks_tell(s, a, all_good, NULL, &v, &n), 0);
	CU_ASSERT_EQUAL(n, 0);
	CU_ASSERT(stacks_number(s, 1, &ev) > b + 1);
	stacks_free(s);
}

/* Those that differ only in what is cut off are told as one. */
static void test_stacks_cut(void)
{
	uint64_t frames[] = { 1, 2, 3 }, other[] = { 1, 2, 4 };
	struct witness_event ev = with_frames(frames, 3), ev2 = with_frames(other, 3);
	struct witness_event alone = { .kind = WITNESS_TOUCH, .touch = { .ip = 9 } };
	struct stacks *s;
	const uint64_t *v;
	uint32_t a, b, as;
	size_t n;

	CU_ASSERT_EQUAL_FATAL(stacks_new(&s, 4, 9), 0);
	a = stacks_number(s, 1, &ev);
	b = stacks_number(s, 1, &ev2);
	CU_ASSERT(a != b);
	as = stacks_tell(s, a, two_good, NULL, &v, &n);
	CU_ASSERT(as && as != a && as != b && n == 2 && v[0] == 1 && v[1] == 2);
	CU_ASSERT_EQUAL(stacks_tell(s, b, two_good, NULL, &v, &n), as);
	CU_ASSERT_EQUAL(n, 0);
	/* Without a chain there is the instruction. */
	a = stacks_number(s, 1, &alone);
	CU_ASSERT_EQUAL(stacks_ip(s, a), 9);
	CU_ASSERT(stacks_tell(s, a, two_good, NULL, &v, &n) == a && n == 1 && v[0] == 9);
	stacks_free(s);
}

/* What a thread is called is told once an address space, and when it is new. */
static void test_names(void)
{
	struct threads *t;
	size_t len;

	CU_ASSERT_EQUAL_FATAL(threads_new(&t), 0);
	CU_ASSERT_PTR_NULL(threads_tell(t, 10, 1, &len));
	threads_name(t, 10, 100, "one", 3);
	CU_ASSERT(!strncmp(threads_tell(t, 10, 1, &len), "one", 3) && len == 3);
	CU_ASSERT_PTR_NULL(threads_tell(t, 10, 1, &len));
	CU_ASSERT_PTR_NOT_NULL(threads_tell(t, 10, 2, &len));
	/* A thread of it has its name, until it gets another; the order is that of time. */
	threads_name(t, 11, 120, "a name that is too long", 23);
	threads_born(t, 11, 110, 10);
	CU_ASSERT(!strncmp(threads_tell(t, 11, 1, &len), "a name that is ", 15) && len == 15);
	threads_born(t, 12, 130, 10);
	CU_ASSERT(!strncmp(threads_tell(t, 12, 1, &len), "one", 3) && len == 3);
	/* Of a stranger's thread nothing is known, and not what had its id before. */
	threads_born(t, 12, 140, 13);
	CU_ASSERT_PTR_NULL(threads_tell(t, 12, 2, &len));
	threads_free(t);
}

static const struct suite_test tests[] = {
	{ "equal ones have one number", test_stacks },
	{ "cut", test_stacks_cut },
	{ "names of threads", test_names },
};

SUITE_MAIN("stacks", tests)
