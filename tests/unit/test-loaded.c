/* SPDX-License-Identifier: MIT */
/*
 * Loaded: whole traces, and what is left when memory runs out on the way.
 *
 * link: -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=strdup
 */

#include <errno.h>

#include "report/loaded.h"
#include "starve.h"
#include "suite.h"

static const char *const paths[] = {
	"tests/data/trace/every-kind.ndjson", "tests/data/trace/async.ndjson",
	"tests/data/trace/who.ndjson", "tests/data/trace/budget.ndjson",
	"tests/data/trace/restore.ndjson",
};

#define PATHS (sizeof(paths) / sizeof(paths[0]))

static const uint64_t written[PATHS] = { 5, 4, 1, 4, 1 };

static int count(void *arg, const struct reader_record *r)
{
	CU_ASSERT(r->seq > 0);
	++*(unsigned int *)arg;
	return 0;
}

static int load(const char *path, struct loaded *l, unsigned int *ret_records)
{
	struct pick all = { .kinds = 0 };
	struct reader_error why;
	int r = loaded_open(l, path, &why);

	*ret_records = 0;
	if (!r)
		r = loaded_read(l, &all, count, ret_records);
	pick_done(&all);
	return r;
}

static void test_whole(void)
{
	static const unsigned int records[PATHS] = { 34, 7, 10, 13, 13 };

	for (size_t i = 0; i < PATHS; i++) {
		struct loaded l = LOADED_NULL;
		unsigned int n;

		CU_ASSERT_EQUAL_FATAL(load(paths[i], &l, &n), 0);
		CU_ASSERT_EQUAL(n, records[i]);
		CU_ASSERT_EQUAL(l.end.records, records[i]);
		CU_ASSERT(l.end.complete);
		CU_ASSERT_EQUAL(l.tally->total.written, written[i]);
		CU_ASSERT(l.tally->detached);
		loaded_done(&l);
		loaded_done(&l);
	}
}

static void test_part(void)
{
	struct pick heap = { .globs = { "heap" }, .nr_globs = 1, .until = 1200000 };
	struct loaded l = LOADED_NULL;
	struct reader_error why;

	CU_ASSERT_EQUAL_FATAL(loaded_open(&l, paths[0], &why), 0);
	CU_ASSERT_EQUAL(loaded_read(&l, &heap, NULL, NULL), 0);
	CU_ASSERT_EQUAL(l.tally->total.faults, 1);
	CU_ASSERT(!l.tally->detached);
	/* The model has seen it all. */
	CU_ASSERT_EQUAL(model_spaces(l.model), 3);
	CU_ASSERT_EQUAL(l.end.records, 34);
	pick_done(&heap);
	loaded_done(&l);
}

static void test_no_memory(void)
{
	for (size_t i = 0; i < PATHS; i++) {
		long n = 0, failed = 0;
		bool hit;

		do {
			struct loaded l = LOADED_NULL;
			unsigned int records;
			int r;

			starve_ours_after(++n);
			r = load(paths[i], &l, &records);
			hit = starve_hit();
			/* A short cut that has no memory leaves it to the long way. */
			CU_ASSERT(r == -ENOMEM || !r);
			CU_ASSERT(hit || !r);
			failed += r == -ENOMEM;
			if (!r)
				CU_ASSERT_EQUAL(l.tally->total.written, written[i]);
			loaded_done(&l);
		} while (hit && n < 100000);
		CU_ASSERT(failed > 50 && n < 100000);
	}
}

static const struct suite_test tests[] = {
	{ "traces as a whole", test_whole },
	{ "a part of one", test_part },
	{ "the n-th allocation fails", test_no_memory },
};

SUITE_MAIN("loaded", tests)
