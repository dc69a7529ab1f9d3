/* SPDX-License-Identifier: MIT */
/* Arguments: -p, -a, -m, -e, --mode, and the names of features. */

#include "filter-args.h"

#include <errno.h>
#include <string.h>

#include "compat/uffd.h"
#include "feature-names.h"
#include "suite.h"
#include "target-args.h"

static struct options_error error;

static void test_pids(void)
{
	struct target_args t = { .n = 0 };

	CU_ASSERT_EQUAL(target_args_parse(&t, "1,22,1", &error), 0);
	CU_ASSERT_EQUAL(target_args_parse(&t, "333", &error), 0);
	CU_ASSERT_EQUAL(t.n, 3);
	CU_ASSERT_EQUAL(t.pid[2], 333);
	CU_ASSERT_EQUAL(target_args_parse(&t, "0", &error), -EINVAL);
	CU_ASSERT_STRING_EQUAL(error.text, "'0' is not a process id");
	CU_ASSERT_EQUAL(target_args_parse(&t, "-5", &error), -EINVAL);
	CU_ASSERT_EQUAL(target_args_parse(&t, "2147483648", &error), -EINVAL);
	CU_ASSERT_EQUAL(target_args_parse(&t, "4,", &error), -EINVAL);
	CU_ASSERT_STRING_EQUAL(error.text, "'4,' is not a list of process ids");
}

static void test_pids_limit(void)
{
	struct target_args t = { .n = 0 };
	char word[16];

	for (int i = 1; i <= TARGET_ARGS_MAX; i++) {
		snprintf(word, sizeof(word), "%d", i);
		CU_ASSERT_EQUAL(target_args_parse(&t, word, &error), 0);
	}
	CU_ASSERT_EQUAL(target_args_parse(&t, "1", &error), 0);
	CU_ASSERT_EQUAL(target_args_parse(&t, "1000", &error), -EINVAL);
	CU_ASSERT_EQUAL(t.n, TARGET_ARGS_MAX);
}

static void test_one_pid(void)
{
	struct target_args t = { .n = 0 };

	CU_ASSERT_EQUAL(target_args_parse_one(&t, "7", &error), 0);
	CU_ASSERT_EQUAL(target_args_parse_one(&t, "7", &error), 0);
	CU_ASSERT_EQUAL(target_args_parse_one(&t, "8", &error), -EINVAL);
	CU_ASSERT_EQUAL(target_args_parse_one(&t, "7,8", &error), -EINVAL);
}

static void test_ranges(void)
{
	struct filter_args f = { .modes = 0 };
	static const char *const bad[] = { "", "-", "1000", "1000-", "-2000", "2000-1000",
					   "1000-1000", "g-h", "0x-0x1", "1000-2000-3000",
					   "00000000000000001-2", "0-ffffffffffffffff", " 1-2" };

	CU_ASSERT_EQUAL(filter_args_range(&f, "7f0000001234-7f0000002001", &error), 0);
	CU_ASSERT_EQUAL(f.ranges[0].lo, UINT64_C(0x7f0000001000));
	CU_ASSERT_EQUAL(f.ranges[0].hi, UINT64_C(0x7f0000003000));
	CU_ASSERT_EQUAL(filter_args_range(&f, "0xABCD000-0XABCE000", &error), 0);
	CU_ASSERT_EQUAL(f.ranges[1].lo, 0xabcd000);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CU_ASSERT_EQUAL(filter_args_range(&f, bad[i], &error), -EINVAL);
	CU_ASSERT_EQUAL(f.nr_ranges, 2);
}

static void test_sets(void)
{
	struct filter_args f = { .modes = 0 };
	const char *names[8];

	CU_ASSERT_EQUAL(filter_args_filter(&f).modes, WATCH_MODE_WRITE);
	CU_ASSERT_EQUAL(filter_args_modes(&f, "missing,minor", &error), 0);
	CU_ASSERT_EQUAL(filter_args_filter(&f).modes, WATCH_MODE_MISSING | WATCH_MODE_MINOR);
	filter_args_mode_names(f.modes, names);
	CU_ASSERT_STRING_EQUAL(names[0], "missing");
	CU_ASSERT_STRING_EQUAL(names[1], "minor");
	CU_ASSERT_PTR_NULL(names[2]);
	CU_ASSERT_EQUAL(filter_args_modes(&f, "wp", &error), -EINVAL);
	CU_ASSERT_EQUAL(filter_args_kinds(&f, "wp,fork,map", &error), 0);
	CU_ASSERT_EQUAL(f.kinds, WATCH_KIND_WP | WATCH_KIND_FORK | WATCH_KIND_MAP);
	CU_ASSERT_EQUAL(filter_args_kinds(&f, "write", &error), -EINVAL);
	CU_ASSERT_STRING_EQUAL(error.text, "'write' is not a kind (missing, wp, minor, fork, "
					   "exit or map)");
	filter_args_kind_names(WATCH_KIND_ALL, names);
	CU_ASSERT_STRING_EQUAL(names[5], "map");
	CU_ASSERT_PTR_NULL(names[6]);
}

static void test_globs(void)
{
	struct filter_args f = { .modes = 0 };

	CU_ASSERT_EQUAL(filter_args_glob(&f, "*.so", &error), 0);
	CU_ASSERT_EQUAL(filter_args_glob(&f, "", &error), -EINVAL);
	CU_ASSERT_EQUAL(filter_args_filter(&f).nr_globs, 1);
	CU_ASSERT_STRING_EQUAL(filter_args_filter(&f).globs[0], "*.so");
}

static void test_features(void)
{
	const char *names[FEATURES_MAX], *hint;
	uint64_t all = 0;
	size_t n = 0;

	for (const struct feature *f = feature_table; f->name; f++) {
		CU_ASSERT_EQUAL(all & f->bit, 0);
		all |= f->bit;
		n += f->used;
	}
	CU_ASSERT_TRUE(n < FEATURES_MAX);
	features_names(all, names);
	for (size_t i = 0; i < n; i++)
		CU_ASSERT_PTR_NOT_NULL(names[i]);
	CU_ASSERT_PTR_NULL(names[n]);
	CU_ASSERT_PTR_NULL(features_lacking(all, WATCH_MODE_WRITE, &hint));
	CU_ASSERT_PTR_NOT_NULL(features_lacking(0, WATCH_MODE_WRITE, &hint));
	CU_ASSERT_STRING_EQUAL(hint, "--mode missing still works");
	CU_ASSERT_PTR_NULL(features_lacking(0, WATCH_MODE_MISSING, &hint));
	CU_ASSERT_PTR_NOT_NULL(features_lacking(0, WATCH_MODE_MINOR, &hint));
	CU_ASSERT_PTR_NULL(features_lacking(UFFD_FEATURE_MINOR_SHMEM, WATCH_MODE_MINOR, &hint));
}

static const struct suite_test tests[] = {
	{ "lists of pids", test_pids },
	{ "too many pids", test_pids_limit },
	{ "one pid", test_one_pid },
	{ "ranges of addresses", test_ranges },
	{ "modes and kinds", test_sets },
	{ "names of mappings", test_globs },
	{ "features have names", test_features },
};

SUITE_MAIN("args", tests)
