/* SPDX-License-Identifier: MIT */
/*
 * Validate: a right trace is left alone, and each rule that is broken is found.
 *
 * Every case is a good trace and one fault planted in it.
 *
 * link: -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=strdup
 */

#include <errno.h>

#include "starve.h"
#include "suite.h"
#include "trace-story.h"
#include "trace/spans.h"

static void test_good(void)
{
	begin(&s);
	stats(&s, 3, 3, 0);
	end(&s, 3, 3, 0);
	accept(&s);
}

static void test_seq(void)
{
	begin(&s);
	for (unsigned int i = 4; i < s.n; i++)
		s.r[i].seq++;
	end(&s, 3, 3, 0);
	s.r[s.n - 1].seq++;
	s.r[s.n - 2].seq++;
	refuse(&s, 6, "seq is 6 after 4");
	begin(&s);
	end(&s, 3, 3, 0);
	for (unsigned int i = 0; i < s.n; i++)
		s.r[i].seq++;
	refuse(&s, 2, "seq is 2 after 0");
	begin(&s);
	end(&s, 3, 3, 0);
	s.r[5].seq = 5;
	CU_ASSERT_EQUAL(run(&s, false), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(heard, "7:seq is 5 after 5"));
}

static void test_ts(void)
{
	begin(&s);
	end(&s, 3, 3, 0);
	s.r[6].record.ts = s.r[5].record.ts - 1;
	refuse(&s, 8, "ts goes back");
	/* Equal times are fine, and a gap is told when it is known. */
	begin(&s);
	s.r[6].record.ts = s.r[5].record.ts;
	tell_span(&s, RECORD_GAP, 1, 100, 1)->ts = 3;
	end(&s, 3, 3, 0);
	accept(&s);
}

static void test_end(void)
{
	begin(&s);
	refuse(&s, s.n + 1, "the trace was cut off");
	CU_ASSERT_EQUAL(run(&s, true), 0);
	CU_ASSERT_EQUAL(heard_n, 0);
	tell(&s, RECORD_DETACH, 100, 0);
	refuse(&s, s.n + 1, "without final stats");
	begin(&s);
	end(&s, 3, 3, 0);
	vma(&s, 1, VMA_OP_ADD, 9, 900, 1);
	refuse(&s, s.n + 1, "after the detach");
	begin(&s);
	stats(&s, 3, 3, 0)->stats.final = true;
	vma(&s, 1, VMA_OP_ADD, 9, 900, 1);
	tell(&s, RECORD_DETACH, 100, 0);
	refuse(&s, s.n, "after the final stats");
	begin(&s);
	stats(&s, 3, 3, 0)->stats.final = true;
	end(&s, 3, 3, 0);
	CU_ASSERT_EQUAL(run(&s, false), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(heard, "stats after the final stats"));
}

static void test_sums(void)
{
	begin(&s);
	end(&s, 4, 3, 0);
	refuse(&s, s.n, "stats.faults is 4, the records make it 3");
	begin(&s);
	end(&s, 3, 2, 0);
	refuse(&s, s.n, "stats.writes is 2");
	begin(&s);
	end(&s, 3, 3, 1);
	refuse(&s, s.n, "stats.lost is 1");
	begin(&s);
	tell(&s, RECORD_LOST, 0, 0)->lost.n = 5;
	s.r[s.n - 1].record.lost.faults = 5;
	end(&s, 8, 6, 5);
	accept(&s);
	s.r[s.n - 2].record.stats.writes = 9;
	refuse(&s, s.n, "stats.writes is 9, the records make it 3 to 8");
	begin(&s);
	tell(&s, RECORD_LOST, 0, 0)->lost.n = 5;
	s.r[s.n - 1].record.lost.faults = 6;
	end(&s, 9, 9, 5);
	refuse(&s, s.n - 1, "more faults are lost than records");
	/* An uncounted loss bounds nothing above. */
	begin(&s);
	tell(&s, RECORD_LOST, 0, 0)->lost.reason = LOST_PERF;
	s.r[s.n - 1].record.lost.n = s.r[s.n - 1].record.lost.faults = RECORD_UNKNOWN;
	end(&s, 1000, 500, 0);
	accept(&s);
	s.r[s.n - 2].record.stats.faults = 2;
	refuse(&s, s.n, "stats.faults is 2");
}

static void test_layout(void)
{
	begin(&s);
	vma(&s, 1, VMA_OP_ADD, 3, 199, 2);
	end(&s, 3, 3, 0);
	refuse(&s, s.n - 1, "vma 3 overlaps vma 2");
	begin(&s);
	vma(&s, 1, VMA_OP_ADD, 3, 50, 500);
	end(&s, 3, 3, 0);
	CU_ASSERT_EQUAL(run(&s, false), 0);
	CU_ASSERT_EQUAL(heard_n, 2);
	begin(&s);
	vma(&s, 1, VMA_OP_CHANGE, 1, 100, 51);
	end(&s, 3, 3, 0);
	refuse(&s, s.n - 1, "vma 1 overlaps vma 2");
	/* Room is made first, used then. */
	begin(&s);
	vma(&s, 1, VMA_OP_CHANGE, 2, 160, 40);
	vma(&s, 1, VMA_OP_CHANGE, 1, 90, 70);
	vma(&s, 1, VMA_OP_GONE, 2, 160, 40);
	vma(&s, 1, VMA_OP_ADD, 3, 160, 40);
	end(&s, 3, 3, 0);
	accept(&s);
	begin(&s);
	vma(&s, 1, VMA_OP_ADD, 1, 500, 5);
	end(&s, 3, 3, 0);
	refuse(&s, s.n - 1, "vma id 1 is used a second time");
	begin(&s);
	vma(&s, 1, VMA_OP_GONE, 2, 150, 50);
	vma(&s, 1, VMA_OP_ADD, 2, 150, 50);
	end(&s, 3, 3, 0);
	refuse(&s, s.n - 1, "vma id 2 is used a second time");
	begin(&s);
	vma(&s, 1, VMA_OP_CHANGE, 7, 500, 5);
	end(&s, 3, 3, 0);
	refuse(&s, s.n - 1, "vma 7 changes, but is not in mm 1");
	begin(&s);
	vma(&s, 1, VMA_OP_GONE, 7, 500, 5);
	end(&s, 3, 3, 0);
	refuse(&s, s.n - 1, "vma 7 goes, but is not in mm 1");
	begin(&s);
	vma(&s, 1, VMA_OP_GONE, 2, 150, 49);
	end(&s, 3, 3, 0);
	refuse(&s, s.n - 1, "vma 2 goes from another place");
}

/* What a trace says that it does not know is not held against it. */
static void test_declared_ignorance(void)
{
	begin(&s);
	tell(&s, RECORD_LOST, 0, 0)->lost.n = 2;
	s.r[s.n - 1].record.lost.faults = 1;
	vma(&s, 1, VMA_OP_GONE, 77, 900, 1);
	wrote(&s, 1, 78, 100);
	wrote(&s, 8, 0, 100);
	end(&s, 6, 5, 2);
	accept(&s);
	/* But lost faults alone say nothing about the layout. */
	begin(&s);
	tell(&s, RECORD_LOST, 0, 0)->lost.n = 2;
	s.r[s.n - 1].record.lost.faults = 2;
	vma(&s, 1, VMA_OP_GONE, 77, 900, 1);
	end(&s, 5, 5, 2);
	refuse(&s, s.n - 1, "vma 77 goes");
	begin(&s);
	tell(&s, RECORD_LOST, 0, 0)->lost.reason = LOST_NETLINK;
	s.r[s.n - 1].record.lost.n = RECORD_UNKNOWN;
	s.r[s.n - 1].record.lost.faults = 0;
	vma(&s, 3, VMA_OP_SNAPSHOT, 31, 100, 5);
	end(&s, 3, 3, 0);
	accept(&s);
}

static void test_filters(void)
{
	static char wp[] = "wp", fork_word[] = "fork";
	static char *events[] = { wp, NULL, NULL };

	/* Without the layout events nobody can tell what was covered. */
	header.events = events;
	begin(&s);
	wrote(&s, 1, 1, 100);
	end(&s, 4, 4, 0);
	accept(&s);
	begin(&s);
	vma(&s, 7, VMA_OP_SNAPSHOT, 31, 100, 5);
	end(&s, 3, 3, 0);
	accept(&s);
	events[1] = fork_word;
	refuse(&s, s.n - 1, "mm 7 has not been introduced");
	header.events = NULL;
	header.engine = engine_async;
	begin(&s);
	wrote(&s, 1, 1, 100);
	tell_span(&s, RECORD_DIRTY, 1, 149, 1)->dirty.vma = 1;
	end(&s, 4, 4, 0);
	s.r[s.n - 2].record.stats.dirty_pages = 1;
	accept(&s);
	s.r[s.n - 3].record.dirty.vma = 2;
	refuse(&s, s.n - 1, "page 149 is not in vma 2");
	header.engine = engine_sync;
}

static void test_unknown_kind(void)
{
	begin(&s);
	tell(&s, RECORD_HEADER, 0, 0);
	s.r[s.n - 1].unknown = true;
	end(&s, 3, 3, 0);
	accept(&s);
}

/* A span that claims all memory costs no more than another. */
static void test_huge_claims(void)
{
	begin(&s);
	vma(&s, 1, VMA_OP_ADD, 3, 1 << 20, (UINT64_C(1) << 50));
	arm(&s, 1, 1 << 20, UINT64_C(1) << 50);
	wrote(&s, 1, 3, UINT64_C(1) << 49);
	end(&s, 4, 4, 0);
	accept(&s);
}

static void test_starving(void)
{
	long hits = 0;

	begin(&s);
	fork_to(&s, 2, true);
	vma(&s, 2, VMA_OP_SNAPSHOT, 11, 100, 50);
	tell_span(&s, RECORD_GAP, 1, 130, 2);
	tell_span(&s, RECORD_REMAP, 1, 100, 20)->remap.new_addr = 1000 * PAGE;
	wrote(&s, 2, 11, 101);
	end(&s, 4, 4, 0);
	for (long n = 1;; n++) {
		int r;

		starve_after(n);
		r = run(&s, false);
		if (!starve_hit()) {
			CU_ASSERT_EQUAL(r, 0);
			CU_ASSERT_EQUAL(heard_n, 0);
			break;
		}
		hits++;
		CU_ASSERT_EQUAL(r, -ENOMEM);
	}
	CU_ASSERT(hits > 12);
}

/* Spans against a plain array of flags. */

#define MODEL 256

static void check_model(const struct spans *set, const bool *model)
{
	uint64_t runs = 0;

	for (uint64_t i = 0; i < MODEL; i++) {
		CU_ASSERT_EQUAL(spans_has(set, i), model[i]);
		runs += model[i] && (!i || !model[i - 1]);
	}
	/* Neighbours have melted. */
	CU_ASSERT_EQUAL(set->n, runs);
}

static void check_ranges(const struct spans *set, const bool *model, uint64_t lo, uint64_t hi)
{
	bool any = false, all = true;

	for (uint64_t i = lo; i < hi; i++) {
		any |= model[i];
		all &= model[i];
	}
	CU_ASSERT_EQUAL(spans_any(set, lo, hi), any);
	CU_ASSERT_EQUAL(spans_all(set, lo, hi), all);
}

static void test_spans(void)
{
	bool model[MODEL] = { false }, moved[MODEL];
	struct spans set, copy;
	unsigned int seed = 42;

	spans_init(&set);
	for (unsigned int i = 0; i < 20000; i++) {
		uint64_t lo = (uint64_t)rand_r(&seed) % MODEL, len = (uint64_t)rand_r(&seed) % 20;
		uint64_t hi = lo + len > MODEL ? MODEL : lo + len, to;

		switch (rand_r(&seed) % 5) {
		case 0:
		case 1:
			CU_ASSERT_EQUAL(spans_add(&set, lo, hi), 0);
			memset(model + lo, true, hi - lo);
			break;
		case 2:
		case 3:
			CU_ASSERT_EQUAL(spans_remove(&set, lo, hi), 0);
			memset(model + lo, false, hi - lo);
			break;
		default:
			to = (uint64_t)rand_r(&seed) % (MODEL - (hi - lo));
			CU_ASSERT_EQUAL(spans_move(&set, lo, hi, to), 0);
			memcpy(moved, model + lo, hi - lo);
			memset(model + lo, false, hi - lo);
			memcpy(model + to, moved, hi - lo);
		}
		check_model(&set, model);
		check_ranges(&set, model, lo, hi);
	}
	spans_init(&copy);
	CU_ASSERT_EQUAL(spans_copy(&copy, &set), 0);
	check_model(&copy, model);
	spans_done(&copy);
	CU_ASSERT_EQUAL(spans_add(&set, 0, UINT64_MAX), 0);
	CU_ASSERT_EQUAL(set.n, 1);
	CU_ASSERT(spans_has(&set, UINT64_MAX - 1));
	spans_done(&set);
	CU_ASSERT_EQUAL(set.n, 0);
}

static void test_header_engine(void)
{
	header.engine = engine_sync;
	CU_ASSERT_PTR_NULL(validate_free(NULL));
}

static const struct suite_test tests[] = {
	{ "engine", test_header_engine },
	{ "spans against a model", test_spans },
	{ "a good trace", test_good },
	{ "seq", test_seq },
	{ "ts", test_ts },
	{ "the end", test_end },
	{ "sums", test_sums },
	{ "layout", test_layout },
	{ "declared ignorance", test_declared_ignorance },
	{ "filters", test_filters },
	{ "a kind of a later version", test_unknown_kind },
	{ "huge claims", test_huge_claims },
	{ "the n-th allocation fails", test_starving },
};

SUITE_MAIN("validate", tests)
