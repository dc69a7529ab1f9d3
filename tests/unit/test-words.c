/* SPDX-License-Identifier: MIT */
/* Words: numbers as people read them. */

#include "words.h"

#include <signal.h>
#include <string.h>

#include "suite.h"

static struct words w;

static void test_count(void)
{
	CU_ASSERT_STRING_EQUAL(words_count(0, &w), "0");
	CU_ASSERT_STRING_EQUAL(words_count(999, &w), "999");
	CU_ASSERT_STRING_EQUAL(words_count(1000, &w), "1,000");
	CU_ASSERT_STRING_EQUAL(words_count(61204, &w), "61,204");
	CU_ASSERT_STRING_EQUAL(words_count(UINT64_MAX, &w), "18,446,744,073,709,551,615");
}

static void test_bytes(void)
{
	CU_ASSERT_STRING_EQUAL(words_bytes(0, &w), "0 bytes");
	CU_ASSERT_STRING_EQUAL(words_bytes(1023, &w), "1023 bytes");
	CU_ASSERT_STRING_EQUAL(words_bytes(4096, &w), "4.0 KiB");
	CU_ASSERT_STRING_EQUAL(words_bytes(132 << 10, &w), "132 KiB");
	CU_ASSERT_STRING_EQUAL(words_bytes(8 << 20, &w), "8.0 MiB");
	CU_ASSERT_STRING_EQUAL(words_bytes(64 << 20, &w), "64 MiB");
	CU_ASSERT_STRING_EQUAL(words_bytes(UINT64_MAX, &w), "16 EiB");
}

static void test_duration(void)
{
	CU_ASSERT_STRING_EQUAL(words_duration(0, &w), "0 ns");
	CU_ASSERT_STRING_EQUAL(words_duration(820, &w), "820 ns");
	CU_ASSERT_STRING_EQUAL(words_duration(6100, &w), "6.1 us");
	CU_ASSERT_STRING_EQUAL(words_duration(13200, &w), "13 us");
	CU_ASSERT_STRING_EQUAL(words_duration(1940000, &w), "1.9 ms");
	CU_ASSERT_STRING_EQUAL(words_duration(12400000000, &w), "12.4 s");
	CU_ASSERT_STRING_EQUAL(words_duration(UINT64_MAX, &w), "18446744073.7 s");
}

static void test_signal(void)
{
	CU_ASSERT_STRING_EQUAL(words_signal(SIGKILL, &w), "SIGKILL");
	CU_ASSERT_STRING_EQUAL(words_signal(60, &w), "signal 60");
}

static const struct suite_test tests[] = {
	{ "counts", test_count },
	{ "bytes", test_bytes },
	{ "durations", test_duration },
	{ "signals", test_signal },
};

SUITE_MAIN("words", tests)
