/* SPDX-License-Identifier: MIT */
/* Keys: an index for each pair, in the order they came, and no other. */

#include "report/keys.h"
#include "suite.h"

static void test_order(void)
{
	struct keys k = KEYS_NULL;
	uint32_t i = 7;

	CU_ASSERT(!keys_find(&k, 0, 0, &i));
	CU_ASSERT_EQUAL(i, 7);
	CU_ASSERT_EQUAL(keys_index(&k, 0, 0, &i), 1);
	CU_ASSERT_EQUAL(i, 0);
	CU_ASSERT_EQUAL(keys_index(&k, 0, 1, &i), 1);
	CU_ASSERT_EQUAL(i, 1);
	CU_ASSERT_EQUAL(keys_index(&k, 0, 0, &i), 0);
	CU_ASSERT_EQUAL(i, 0);
	CU_ASSERT(!keys_find(&k, 1, 0, &i));
	keys_done(&k);
	CU_ASSERT(!keys_find(&k, 0, 0, &i));
}

/* Many, so that it grows; pairs that differ in one half alone. */
static void test_many(void)
{
	struct keys k = KEYS_NULL;
	uint32_t i;

	for (uint64_t n = 0; n < 100000; n++) {
		CU_ASSERT_EQUAL(keys_index(&k, n / 7 << 40, n % 7, &i), 1);
		CU_ASSERT_EQUAL(i, n);
	}
	CU_ASSERT_EQUAL(k.n, 100000);
	for (uint64_t n = 0; n < 100000; n++) {
		CU_ASSERT(keys_find(&k, n / 7 << 40, n % 7, &i));
		CU_ASSERT_EQUAL(i, n);
	}
	keys_done(&k);
}

static void test_room(void)
{
	size_t room = 0;
	uint32_t *v = NULL;

	for (size_t n = 0; n < 1000; n++) {
		v = keys_room(v, n, &room, sizeof(*v));
		CU_ASSERT_PTR_NOT_NULL_FATAL(v);
		CU_ASSERT(room > n);
		CU_ASSERT_EQUAL(v[n], 0);
		v[n] = (uint32_t)n;
	}
	for (size_t n = 0; n < 1000; n++)
		CU_ASSERT_EQUAL(v[n], n);
	free(v);
}

static const struct suite_test tests[] = {
	{ "an index each, in order", test_order },
	{ "a hundred thousand", test_many },
	{ "room in an array", test_room },
};

SUITE_MAIN("keys", tests)
