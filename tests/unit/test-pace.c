/* SPDX-License-Identifier: MIT */
/* Pace: the cheapest way is found, kept, left, and never forced on anybody. */

#include "suite.h"
#include "watch/pace.h"

/* A machine: what a fault costs in each way, and where the faults happen. */
struct machine {
	uint64_t cost[PACE_NR];
	int cpu;
	bool flees;		/* the faults go wherever we are not */
	uint64_t now;
	uint64_t spent[PACE_NR];	/* faults in each way */
	unsigned int moves;
};

static void faults(struct pace *p, struct machine *m, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		bool near = p->way == PACE_NEAR && p->cpu == m->cpu && !m->flees;

		m->now += p->way == PACE_NEAR && !near ? m->cost[PACE_REST] : m->cost[p->way];
		m->spent[p->way]++;
		if (m->flees && p->way == PACE_NEAR)
			m->cpu = !p->cpu;
		if (pace_served(p, 1, m->now) && pace_choose(p, m->now, m->cpu))
			m->moves++;
	}
}

static void rest(struct pace *p, struct machine *m, uint64_t ns)
{
	uint64_t due = pace_due(p);

	m->now += ns;
	if (due <= m->now)
		CU_ASSERT(pace_idle(p, m->now));
	CU_ASSERT_EQUAL(p->way, PACE_REST);
	CU_ASSERT_EQUAL(pace_due(p), UINT64_MAX);
}

static void test_near_is_found(void)
{
	struct machine m = { .cost = { 80000, 9000, 30000 }, .cpu = 3, .now = 1 };
	struct pace p;

	pace_init(&p, 4);
	faults(&p, &m, 10000);
	CU_ASSERT_EQUAL(p.way, PACE_NEAR);
	CU_ASSERT_EQUAL(p.cpu, 3);
	CU_ASSERT_EQUAL(pace_spin(&p), 0);
	/* It cost little to find out, and spinning was not even tried. */
	CU_ASSERT(m.spent[PACE_REST] < 40);
	CU_ASSERT_EQUAL(m.spent[PACE_SPIN], 0);
	/* They go somewhere else: we follow. */
	m.cpu = 1;
	faults(&p, &m, 1000);
	CU_ASSERT_EQUAL(p.way, PACE_NEAR);
	CU_ASSERT_EQUAL(p.cpu, 1);
}

static void test_rest_is_kept(void)
{
	struct machine m = { .cost = { 9000, 9500, 9000 }, .cpu = 0, .now = 1 };
	struct pace p;

	pace_init(&p, 2);
	faults(&p, &m, 1000);
	CU_ASSERT_EQUAL(p.way, PACE_REST);
	m.moves = 0;
	/* Ten minutes of faults: tried again, but ever more rarely. */
	faults(&p, &m, 66000000);
	CU_ASSERT(m.spent[PACE_NEAR] >= 16 && m.spent[PACE_NEAR] < 6000);
	CU_ASSERT(m.moves > 0 && m.moves < 400);
}

static void test_spin_where_it_pays(void)
{
	struct machine m = { .cost = { 80000, 9000, 25000 }, .cpu = 0, .flees = true, .now = 1 };
	struct pace p;

	pace_init(&p, 2);
	faults(&p, &m, 1000);
	CU_ASSERT_EQUAL(p.way, PACE_SPIN);
	CU_ASSERT_EQUAL(pace_spin(&p), PACE_SPIN_NS);
	/* Not after a pause, and never for long. */
	m.now += PACE_HOT_NS / 2;
	pace_served(&p, 1, m.now);
	CU_ASSERT_EQUAL(pace_spin(&p), 0);
	rest(&p, &m, PACE_HOT_NS);
	CU_ASSERT_EQUAL(pace_spin(&p), 0);
}

/* Spinning takes a CPU from somebody: a little better does not suffice. */
static void test_spin_has_its_price(void)
{
	struct machine m = { .cost = { 80000, 80000, 70000 }, .cpu = -1, .now = 1 };
	struct pace p;

	pace_init(&p, 2);
	faults(&p, &m, 1000);
	CU_ASSERT_EQUAL(p.way, PACE_REST);
	CU_ASSERT_EQUAL(m.spent[PACE_NEAR], 0);
}

static void test_idle_and_back(void)
{
	struct machine m = { .cost = { 80000, 9000, 30000 }, .cpu = 1, .now = 1 };
	struct pace p;

	pace_init(&p, 2);
	faults(&p, &m, 200);
	CU_ASSERT_EQUAL(p.way, PACE_NEAR);
	CU_ASSERT(!pace_idle(&p, m.now + PACE_HOT_NS - 1));
	for (int i = 0; i < 10; i++) {
		rest(&p, &m, 50000000);
		/* Single faults tell nothing. */
		faults(&p, &m, 2);
		CU_ASSERT_EQUAL(p.way, PACE_REST);
		faults(&p, &m, 60);
		CU_ASSERT_EQUAL(p.way, PACE_NEAR);
	}
}

/* Near a thread that does not give the CPU away, nothing would come any more. */
static void test_dear_place_is_left(void)
{
	struct machine m = { .cost = { 20000, 20000000, 30000 }, .cpu = 1, .now = 1 };
	struct pace p;

	pace_init(&p, 2);
	for (int i = 0; i < 100; i++) {
		faults(&p, &m, 20);
		if (p.way == PACE_NEAR)
			rest(&p, &m, PACE_HOT_NS);
	}
	CU_ASSERT_EQUAL(p.way, PACE_REST);
	CU_ASSERT(m.spent[PACE_NEAR] < 40);
	/* And what was good may become bad. */
	m.cost[PACE_NEAR] = 5000;
	m.now += UINT64_C(1000000000);
	faults(&p, &m, 1000);
	CU_ASSERT_EQUAL(p.way, PACE_NEAR);
	m.cost[PACE_NEAR] = 1000000;
	faults(&p, &m, 1000);
	CU_ASSERT_EQUAL(p.way, PACE_REST);
}

static void test_preferred(void)
{
	struct machine m = { .cost = { 80000, 9000, 30000 }, .cpu = 3, .now = 1 };
	struct pace p;

	pace_init(&p, 4);
	pace_prefer(&p, PACE_NEAR);
	/* A few that are near each other, and it is taken; nothing else is tried for long. */
	faults(&p, &m, 10);
	CU_ASSERT_EQUAL(p.way, PACE_NEAR);
	faults(&p, &m, 20000);
	CU_ASSERT_EQUAL(p.way, PACE_NEAR);
	CU_ASSERT(m.spent[PACE_REST] < 10);
	CU_ASSERT_EQUAL(m.moves, 1);
	/* Away and back: at once again. */
	rest(&p, &m, PACE_HOT_NS);
	faults(&p, &m, 20);
	CU_ASSERT_EQUAL(p.way, PACE_NEAR);
}

static void test_preferred_in_vain(void)
{
	struct machine m = { .cost = { 20000, 90000, 90000 }, .cpu = 3, .now = 1 };
	struct pace p;

	pace_init(&p, 4);
	pace_prefer(&p, PACE_NEAR);
	faults(&p, &m, 50000);
	CU_ASSERT_EQUAL(p.way, PACE_REST);
	CU_ASSERT(m.spent[PACE_NEAR] < 12000);
	/* Nobody knows where: then it is not had, and with one CPU it is not wanted. */
	m.cpu = -1;
	pace_init(&p, 4);
	pace_prefer(&p, PACE_NEAR);
	faults(&p, &m, 20);
	CU_ASSERT_EQUAL(p.way, PACE_REST);
	pace_init(&p, 1);
	pace_prefer(&p, PACE_NEAR);
	CU_ASSERT_EQUAL(p.best, PACE_REST);
}

static void test_one_cpu(void)
{
	struct machine m = { .cost = { 80000, 9000, 30000 }, .cpu = 0, .now = 1 };
	struct pace p;

	pace_init(&p, 1);
	faults(&p, &m, 5000);
	CU_ASSERT_EQUAL(m.spent[PACE_REST], 5000);
	CU_ASSERT_EQUAL(pace_due(&p), UINT64_MAX);
}

static const struct suite_test tests[] = {
	{ "the near CPU is found, and followed", test_near_is_found },
	{ "what is good is kept", test_rest_is_kept },
	{ "spin where it pays", test_spin_where_it_pays },
	{ "spinning has its price", test_spin_has_its_price },
	{ "idle, and back", test_idle_and_back },
	{ "a dear place is left", test_dear_place_is_left },
	{ "preferred from the first faults on", test_preferred },
	{ "preferred in vain", test_preferred_in_vain },
	{ "one CPU: nothing to choose", test_one_cpu },
};

SUITE_MAIN("pace", tests)
