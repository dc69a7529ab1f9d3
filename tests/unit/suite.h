/* SPDX-License-Identifier: MIT */
/*
 * Suite: the main() of a CUnit suite, one program a room.
 *
 *	static void test_cut(void) { CU_ASSERT_EQUAL(...); }
 *	static const struct suite_test tests[] = { { "cut in the middle", test_cut } };
 *	SUITE_MAIN("layout", tests)
 *
 * The last line it prints is `N passed, N failed` (tests, not assertions); the
 * exit status is 0 only if none failed.  A program runs at most SUITE_SECONDS.
 */
#ifndef TESTS_SUITE_H
#define TESTS_SUITE_H

#include <CUnit/Basic.h>
#include <CUnit/CUnit.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define SUITE_SECONDS 300

struct suite_test {
	const char *name;
	void (*run)(void);
};

static inline int suite_run(const char *name, const struct suite_test *tests, size_t n)
{
	unsigned int failed;
	CU_pSuite suite;

	alarm(SUITE_SECONDS);
	if (CU_initialize_registry() != CUE_SUCCESS)
		return 1;
	suite = CU_add_suite(name, NULL, NULL);
	for (size_t i = 0; suite && i < n; i++)
		CU_add_test(suite, tests[i].name, tests[i].run);
	/* A line a test: tests/results.awk reads them. */
	CU_basic_set_mode(CU_BRM_VERBOSE);
	CU_basic_run_tests();
	failed = CU_get_number_of_tests_failed();
	printf("%u passed, %u failed\n", CU_get_number_of_tests_run() - failed, failed);
	CU_cleanup_registry();
	return failed || !n;
}

#define SUITE_MAIN(name, tests)                                                \
	int main(void)                                                         \
	{                                                                      \
		return suite_run(name, tests, sizeof(tests) / sizeof((tests)[0])); \
	}

#endif
