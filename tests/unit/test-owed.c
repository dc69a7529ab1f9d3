/* SPDX-License-Identifier: MIT */
/*
 * Owed: against a naive array of pages, forks and moves, the cost of many runs, without
 * memory.
 *
 * link: -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=strdup
 */

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "restore/owed.h"
#include "starve.h"
#include "suite.h"

#define PAGE UINT64_C(4096)
#define N 600u			/* pages of the model */
#define BASE (UINT64_C(0x7f0000000000) / PAGE)

/* What each page of the address space is owed. */
struct naive {
	uint64_t image;		/* page number in the image + 1; 0: nothing */
	uint64_t id;
	bool moved, doubt;
};

static struct naive model[N];

static uint64_t page(unsigned int i)
{
	return (BASE + i) * PAGE;
}

static struct range span(unsigned int lo, unsigned int hi)
{
	return (struct range){ page(lo), page(hi) };
}

static unsigned int count(unsigned int lo, unsigned int hi, bool flight)
{
	unsigned int n = 0;

	for (unsigned int i = lo; i < hi; i++)
		n += model[i].image && flight == !!model[i].id;
	return n;
}

static void compare_page(const struct owed *o, unsigned int i)
{
	struct owed_part got;
	bool there = owed_find(o, page(i) + 77, &got);

	CU_ASSERT_EQUAL_FATAL(there, model[i].image != 0);
	if (!there)
		return;
	CU_ASSERT_FATAL(range_has(got.at, page(i)));
	CU_ASSERT_EQUAL_FATAL(got.image + (page(i) - got.at.lo), (model[i].image - 1) * PAGE);
	CU_ASSERT_EQUAL_FATAL(got.id, model[i].id);
	CU_ASSERT_EQUAL_FATAL(got.doubt, model[i].doubt);
}

static void compare(const struct owed *o)
{
	const struct owed_totals *t = &o->totals;
	uint64_t sum = t->free + t->flight;

	for (unsigned int i = 0; i < N; i++)
		compare_page(o, i);
	CU_ASSERT_EQUAL_FATAL(t->free, count(0, N, false));
	CU_ASSERT_EQUAL_FATAL(t->flight, count(0, N, true));
	for (int i = 0; i < OWED_ENDS; i++)
		sum += t->ended[i];
	CU_ASSERT_EQUAL_FATAL(sum, t->added);
	CU_ASSERT_EQUAL_FATAL(owed_none(o), !count(0, N, false) && !count(0, N, true));
}

/* What owed_next gives is free, begins at the first free page and is as long as may be. */
static void compare_next(const struct owed *o, unsigned int from, unsigned int most)
{
	struct owed_part got;
	unsigned int i = from, n;

	while (i < N && (!model[i].image || model[i].id))
		i++;
	CU_ASSERT_EQUAL_FATAL(owed_next(o, page(from), most * PAGE, &got), i < N);
	if (i == N)
		return;
	CU_ASSERT_EQUAL_FATAL(got.at.lo, page(i));
	CU_ASSERT_EQUAL_FATAL(got.image, (model[i].image - 1) * PAGE);
	n = (unsigned int)(range_len(got.at) / PAGE);
	CU_ASSERT_FATAL(n >= 1 && n <= most);
	CU_ASSERT_EQUAL_FATAL(count(i, i + n, false), n);
}

/* Every page of a flight is found by its image address, in order, once. */
static void compare_flight(const struct owed *o, uint64_t id)
{
	struct owed_part got;
	uint64_t image = 0, n = 0;
	unsigned int want = 0;

	while (owed_flight(o, id, image, &got)) {
		CU_ASSERT_EQUAL_FATAL(got.id, id);
		CU_ASSERT_FATAL(got.image >= image);
		image = got.image + range_len(got.at);
		n += range_len(got.at) / PAGE;
	}
	for (unsigned int i = 0; i < N; i++)
		want += model[i].image && model[i].id == id;
	CU_ASSERT_EQUAL_FATAL(n, want);
}

static void act_take(struct owed *o, unsigned int lo, unsigned int hi, uint64_t id)
{
	bool all = hi > lo && count(lo, hi, false) == hi - lo;
	int r = owed_take(o, span(lo, hi), id);

	CU_ASSERT_EQUAL_FATAL(r, hi == lo ? -EINVAL : all ? 0 : -ENOENT);
	for (unsigned int i = lo; all && i < hi; i++)
		model[i].id = id;
}

static void act_drop(struct owed *o, unsigned int lo, unsigned int hi, unsigned int how)
{
	int64_t want = 0, got;

	for (unsigned int i = lo; i < hi; i++) {
		if (!model[i].image)
			continue;
		if (how == OWED_UNMAPPED && model[i].moved) {
			model[i].doubt = true;
			continue;
		}
		model[i] = (struct naive){ 0 };
		want++;
	}
	got = how == OWED_UNMAPPED ? owed_unmap(o, span(lo, hi)) :
				     owed_close(o, span(lo, hi), (enum owed_end)how);
	CU_ASSERT_EQUAL_FATAL(got, want);
}

static void act_give_back(struct owed *o, unsigned int lo, unsigned int hi)
{
	int64_t want = count(lo, hi, true);

	CU_ASSERT_EQUAL_FATAL(owed_give_back(o, span(lo, hi)), want);
	for (unsigned int i = lo; i < hi; i++)
		model[i].id = 0;
}

static void act_remap(struct owed *o, unsigned int lo, unsigned int hi, unsigned int to)
{
	struct naive moved[N];

	CU_ASSERT_EQUAL_FATAL(owed_remap(o, span(lo, hi), page(to)), lo == hi ? -EINVAL : 0);
	memcpy(moved, model + lo, (hi - lo) * sizeof(*model));
	memset(model + lo, 0, (hi - lo) * sizeof(*model));
	for (unsigned int i = 0; i < hi - lo; i++) {
		model[to + i] = moved[i];
		model[to + i].moved = moved[i].image != 0;
		model[to + i].doubt = false;
	}
}

/* A page of the image is owed in one place at most, as in life. */
static uint64_t next_image = 1;

static void act_add(struct owed *o, unsigned int lo, unsigned int hi)
{
	bool none = !count(lo, hi, false) && !count(lo, hi, true);
	int r = owed_add(o, span(lo, hi), (next_image - 1) * PAGE);

	CU_ASSERT_EQUAL_FATAL(r, lo == hi ? -EINVAL : none ? 0 : -EEXIST);
	if (r)
		return;
	for (unsigned int i = lo; i < hi; i++)
		model[i] = (struct naive){ .image = next_image++ };
}

static unsigned int random_below(unsigned int *seed, unsigned int n)
{
	return (unsigned int)rand_r(seed) % n;
}

static void fork_it(struct owed *o)
{
	struct owed child;

	CU_ASSERT_EQUAL_FATAL(owed_clone(&child, o), 0);
	compare(o);
	owed_done(o);
	*o = child;
	for (unsigned int i = 0; i < N; i++)
		model[i].id = 0;
}

static void step(struct owed *o, unsigned int *seed)
{
	unsigned int lo = random_below(seed, N);
	unsigned int hi = lo + random_below(seed, random_below(seed, 4) ? 6 : 200);
	uint64_t id = 1 + random_below(seed, 5);

	if (hi > N)
		hi = N;
	switch (random_below(seed, 13)) {
	case 0: case 1: case 2:
		act_add(o, lo, hi);
		break;
	case 3: case 4: case 5: case 6:
		act_take(o, lo, hi, id);
		break;
	case 7: case 8:
		act_drop(o, lo, hi, random_below(seed, OWED_ENDS));
		break;
	case 9: case 10:
		act_give_back(o, lo, hi);
		break;
	case 11:
		if (hi <= N / 2)
			act_remap(o, lo, hi, N / 2 + random_below(seed, N / 2 - (hi - lo) + 1));
		else if (lo >= N / 2)
			act_remap(o, lo, hi, random_below(seed, N / 2 - (hi - lo) + 1));
		break;
	default:
		if (!random_below(seed, 20))
			fork_it(o);
	}
	compare_next(o, random_below(seed, N), 1 + random_below(seed, 20));
	compare_flight(o, id);
}

static void test_model(void)
{
	struct owed o;

	for (unsigned int round = 1; round <= 20; round++) {
		unsigned int seed = round;

		memset(model, 0, sizeof(model));
		CU_ASSERT_EQUAL_FATAL(owed_init(&o, PAGE), 0);
		for (unsigned int i = 0; i < 800; i++) {
			step(&o, &seed);
			compare(&o);
		}
		owed_done(&o);
	}
}

static void test_wrong(void)
{
	struct owed o;

	CU_ASSERT_EQUAL_FATAL(owed_init(&o, PAGE), 0);
	CU_ASSERT_EQUAL(owed_add(&o, (struct range){ PAGE + 1, 3 * PAGE }, 0), -EINVAL);
	CU_ASSERT_EQUAL(owed_add(&o, (struct range){ PAGE, 3 * PAGE }, 5), -EINVAL);
	CU_ASSERT_EQUAL(owed_add(&o, (struct range){ PAGE, 3 * PAGE }, -PAGE), -EINVAL);
	CU_ASSERT_EQUAL_FATAL(owed_add(&o, (struct range){ PAGE, 3 * PAGE }, 0), 0);
	CU_ASSERT_EQUAL(owed_remap(&o, (struct range){ PAGE, 3 * PAGE }, -PAGE), -EINVAL);
	CU_ASSERT_EQUAL(owed_take(&o, (struct range){ PAGE, 2 * PAGE }, 0), -EINVAL);
	CU_ASSERT_EQUAL(owed_close(&o, (struct range){ PAGE, PAGE + 8 }, OWED_ARRIVED), 0);
	CU_ASSERT_EQUAL(o.totals.free, 2);
	owed_done(&o);
}

/* Pieces that follow one another are one run again when all is given back. */
static void test_joins(void)
{
	struct owed o;

	CU_ASSERT_EQUAL_FATAL(owed_init(&o, PAGE), 0);
	for (unsigned int i = 0; i < 256; i++)
		CU_ASSERT_EQUAL_FATAL(owed_add(&o, span(i, i + 1), i * PAGE), 0);
	CU_ASSERT_EQUAL(o.nruns, 1);
	for (unsigned int i = 0; i < 256; i += 2)
		CU_ASSERT_EQUAL_FATAL(owed_take(&o, span(i, i + 1), i + 1), 0);
	CU_ASSERT_EQUAL(o.nruns, 256);
	CU_ASSERT_EQUAL(owed_give_back(&o, span(0, 256)), 128);
	CU_ASSERT_EQUAL(o.nruns, 1);
	owed_done(&o);
}

/* Every other page of 1 GiB by a walk that jumps, then the rest in order. */
static void test_many_runs(void)
{
	const unsigned int n = 262144;
	struct owed_part part;
	struct owed o;
	uint64_t t0 = clock_now(), t1;

	CU_ASSERT_EQUAL_FATAL(owed_init(&o, PAGE), 0);
	CU_ASSERT_EQUAL_FATAL(owed_add(&o, span(0, n), 0), 0);
	for (unsigned int i = 0; i < n / 2; i++) {
		unsigned int at = (unsigned int)(i * UINT64_C(48271) % (n / 2)) * 2;

		CU_ASSERT_EQUAL_FATAL(owed_close(&o, span(at, at + 1), OWED_ARRIVED), 1);
	}
	CU_ASSERT_EQUAL(o.nruns, n / 2);
	t1 = clock_now();
	while (owed_next(&o, 0, 16 * PAGE, &part)) {
		CU_ASSERT_EQUAL_FATAL(owed_take(&o, part.at, 1), 0);
		CU_ASSERT_EQUAL_FATAL(owed_close(&o, part.at, OWED_ARRIVED), 1);
	}
	printf("a fault %.0f ns, a fill %.0f ns ", 2.0 * (double)(t1 - t0) / n,
	       2.0 * (double)(clock_now() - t1) / n);
	CU_ASSERT(owed_none(&o));
	CU_ASSERT_EQUAL(o.totals.ended[OWED_ARRIVED], n);
	CU_ASSERT(clock_now() - t0 < 5 * NSEC_PER_SEC);
	owed_done(&o);
}

static int try_one(struct owed *o, unsigned int what)
{
	int64_t r;

	switch (what) {
	case 0:
		return owed_add(o, span(400, 410), 4000 * PAGE);
	case 1:
		return owed_take(o, span(50, 60), 3);
	case 2:
		return owed_remap(o, span(10, 200), page(300));
	case 3:
		r = owed_give_back(o, span(110, 120));
		break;
	case 4:
		r = owed_unmap(o, span(20, 30));
		break;
	default:
		r = owed_close(o, span(70, 80), OWED_REMOVED);
	}
	return r < 0 ? (int)r : 0;
}

static void make_some(struct owed *o)
{
	memset(model, 0, sizeof(model));
	next_image = 1;
	CU_ASSERT_EQUAL_FATAL(owed_init(o, PAGE), 0);
	act_add(o, 0, 250);
	act_take(o, 100, 150, 7);
}

/* What fails has changed nothing, and what forgets does not fail for one lack. */
static void test_starved(void)
{
	struct owed o, twin;
	int r;
	long n;

	for (unsigned int what = 0; what < 6; what++) {
		make_some(&o);
		for (n = 1; starve_after(n), r = try_one(&o, what), starve_hit(); n++) {
			CU_ASSERT(r == -ENOMEM || !r);
			if (!r)
				break;
			compare(&o);
		}
		starve_after(0);
		owed_done(&o);
	}
	make_some(&o);
	for (n = 1; starve_after(n), r = owed_clone(&twin, &o), starve_hit(); n++) {
		CU_ASSERT(r == -ENOMEM || !r);
		CU_ASSERT_EQUAL(twin.totals.free, r ? 0 : 250);
		if (!r)
			owed_done(&twin);
	}
	CU_ASSERT(n > 1);
	owed_done(&twin);
	starve_after(1);
	CU_ASSERT_EQUAL(owed_close(&o, span(30, 40), OWED_REMOVED), 10);
	starve_after(1);
	CU_ASSERT_EQUAL(owed_unmap(&o, span(110, 120)), 10);
	starve_after(0);
	owed_done(&o);
}

static const struct suite_test tests[] = {
	{ "against a naive model", test_model },
	{ "what is refused", test_wrong },
	{ "neighbours become one again", test_joins },
	{ "many runs", test_many_runs },
	{ "without memory", test_starved },
};

SUITE_MAIN("owed", tests)
