/* SPDX-License-Identifier: MIT */
/*
 * Layout: cut, moved and reconciled beside a naive array of pages; out of memory.
 *
 * link: -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=strdup
 */

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "starve.h"
#include "suite.h"
#include "watch/layout.h"
#include "watch/watchable.h"

#define PAGE UINT64_C(4096)
#define N 400u
#define BASE UINT64_C(0x500000000000)

static unsigned char model[N];		/* 0 hole, else what kind of mapping */
static uint32_t next_id;
static struct layout *current;
static unsigned int overlaps;

static uint64_t at(uint64_t page)
{
	return BASE + page * PAGE;
}

static bool linked(struct region *g)
{
	return layout_find(current, g->r.lo) == g;
}

/* No notice may show a region that overlaps its neighbours. */
static void on_notice(void *arg, enum vma_op op, struct region *g)
{
	struct region *next;

	(void)arg;
	if (op == VMA_OP_GONE || !linked(g)) {
		overlaps += op != VMA_OP_GONE;
		return;
	}
	next = layout_next(current, g);
	overlaps += next && next->r.lo < g->r.hi;
}

/* Mapping of kind k: its name and position tell neighbours of equal kind apart. */
static void fill_entry(struct map_entry *e, unsigned int lo, unsigned int hi, unsigned char k)
{
	static const char *const names[] = { "", "[heap]", "/lib/a", "/lib/b", "[anon:x]" };

	*e = (struct map_entry){ .lo = at(lo), .hi = at(hi), .prot = 1u + k % 2 };
	e->name = names[k % 5];
	e->name_len = (uint32_t)strlen(e->name);
	if (e->name[0] == '/') {
		e->ino = k % 5;
		e->off = lo * PAGE;
		e->dev_major = 8;
	}
}

static void read_model(struct maps *m)
{
	static struct map_entry v[N];

	*m = (struct maps){ .v = v };
	for (unsigned int i = 0, j; i < N; i = j) {
		for (j = i; j < N && model[j] == model[i]; j++)
			;
		if (model[i])
			fill_entry(&v[m->n++], i, j, model[i]);
	}
}

/* Equal to the reading, ids unique, order kept, count right. */
static void check_equal(struct layout *l)
{
	struct region *g = layout_from(l, 0);
	struct maps m;
	size_t n = 0;

	read_model(&m);
	for (; g; g = layout_next(l, g), n++) {
		CU_ASSERT_FATAL(n < m.n);
		CU_ASSERT_EQUAL_FATAL(g->r.lo, m.v[n].lo);
		CU_ASSERT_EQUAL_FATAL(g->r.hi, m.v[n].hi);
		CU_ASSERT_EQUAL_FATAL(g->prot, m.v[n].prot);
		CU_ASSERT_EQUAL_FATAL(g->off, m.v[n].off);
		CU_ASSERT_EQUAL_FATAL(g->name_len, m.v[n].name_len);
		CU_ASSERT_FATAL(g->id > 0 && g->id < next_id);
	}
	CU_ASSERT_EQUAL_FATAL(n, m.n);
	CU_ASSERT_EQUAL_FATAL(l->n, m.n);
}

static void check_holes(struct layout *l)
{
	for (unsigned int i = 0; i < N; i++) {
		struct region *g = layout_find(l, at(i));

		CU_ASSERT_EQUAL_FATAL(g != NULL, model[i] != 0);
		if (g)
			CU_ASSERT_FATAL(range_has(g->r, at(i)));
	}
}

static void change_model(unsigned int *seed)
{
	unsigned int lo = (unsigned int)rand_r(seed) % N, hi = lo + 1 + rand_r(seed) % 40;

	if (hi > N)
		hi = N;
	memset(model + lo, rand_r(seed) % 3 ? 1 + rand_r(seed) % 9 : 0, hi - lo);
}

/* So wide that neither a region nor an entry crosses the bounds; the entries in it. */
static struct maps part_of(const struct layout *l, const struct maps *m, struct range *w)
{
	struct maps part = MAPS_NULL;

	for (bool wider = true; wider;) {
		wider = layout_widen(l, w);
		part = (struct maps){ .v = m->v };
		for (size_t i = 0; i < m->n; i++) {
			struct range e = { m->v[i].lo, m->v[i].hi };

			if (!range_overlaps(e, *w))
				continue;
			part.v = part.n ? part.v : &m->v[i];
			part.n++;
			wider |= !range_contains(*w, e);
			w->lo = e.lo < w->lo ? e.lo : w->lo;
			w->hi = e.hi > w->hi ? e.hi : w->hi;
		}
	}
	return part;
}

static void reconcile_in_parts(struct layout *l, const struct maps *m, unsigned int *seed)
{
	struct range w = { at(0), at(0) };

	for (; w.lo < at(N); w.lo = w.hi) {
		struct maps part;

		w.hi = w.lo + (1 + rand_r(seed) % 60) * PAGE;
		part = part_of(l, m, &w);
		CU_ASSERT_FATAL(layout_reconcile_part(l, w, &part, false, &next_id, on_notice,
						      NULL) == 0);
	}
}

static void one_world(unsigned int seed)
{
	struct layout l;
	struct maps m;

	memset(model, 0, sizeof(model));
	layout_init(&l, 10000);
	current = &l;
	next_id = 1;
	for (int i = 0; i < 300; i++) {
		unsigned int lo = (unsigned int)rand_r(&seed) % N, hi = lo + rand_r(&seed) % 30;
		unsigned int to = (unsigned int)rand_r(&seed) % N;

		if (hi > N)
			hi = N;
		if (rand_r(&seed) % 2) {
			CU_ASSERT_EQUAL_FATAL(layout_cut(&l, (struct range){ at(lo), at(hi) },
							 &next_id, on_notice, NULL), 0);
			memset(model + lo, 0, hi - lo);
		} else if (to + (hi - lo) <= N && (to >= hi || to + (hi - lo) <= lo)) {
			CU_ASSERT_EQUAL_FATAL(layout_move(&l, (struct range){ at(lo), at(hi) },
							  at(to), &next_id, on_notice, NULL), 0);
			memcpy(model + to, model + lo, hi - lo);
			memset(model + lo, 0, hi - lo);
		}
		check_holes(&l);
		for (unsigned int n = (unsigned int)rand_r(&seed) % 6; n; n--)
			change_model(&seed);
		read_model(&m);
		if (rand_r(&seed) % 2)
			reconcile_in_parts(&l, &m, &seed);
		else
			CU_ASSERT_FATAL(layout_reconcile(&l, &m, i == 0, &next_id, on_notice,
							 NULL) == 0);
		check_equal(&l);
		CU_ASSERT_EQUAL_FATAL(overlaps, 0);
	}
	layout_done(&l);
}

static void test_model(void)
{
	overlaps = 0;
	for (unsigned int seed = 1; seed <= 40; seed++)
		one_world(seed);
}

static unsigned int heard[VMA_OP_NR];

static void listen(void *arg, enum vma_op op, struct region *g)
{
	(void)arg;
	(void)g;
	heard[op]++;
}

/* A growing heap keeps its id; two that merge keep the lower one's. */
static void test_identity(void)
{
	struct map_entry v[3];
	struct maps m = { .v = v, .n = 1 };
	struct layout l;
	uint32_t id;

	next_id = 1;
	layout_init(&l, 100);
	fill_entry(&v[0], 0, 4, 1);
	layout_reconcile(&l, &m, true, &next_id, listen, NULL);
	id = layout_find(&l, at(0))->id;
	memset(heard, 0, sizeof(heard));
	fill_entry(&v[1], 4, 8, 1);
	m.n = 2;
	layout_reconcile(&l, &m, false, &next_id, listen, NULL);
	CU_ASSERT_EQUAL(heard[VMA_OP_ADD], 1);
	CU_ASSERT_EQUAL(heard[VMA_OP_CHANGE], 0);
	fill_entry(&v[0], 0, 8, 1);
	m.n = 1;
	layout_reconcile(&l, &m, false, &next_id, listen, NULL);
	CU_ASSERT_EQUAL(heard[VMA_OP_GONE], 1);
	CU_ASSERT_EQUAL(heard[VMA_OP_CHANGE], 1);
	CU_ASSERT_EQUAL(layout_find(&l, at(7))->id, id);
	memset(heard, 0, sizeof(heard));
	layout_reconcile(&l, &m, false, &next_id, listen, NULL);
	CU_ASSERT_EQUAL(heard[VMA_OP_ADD] + heard[VMA_OP_CHANGE] + heard[VMA_OP_GONE], 0);
	/* Whoever could not register it wants to be asked again. */
	layout_find(&l, at(7))->again = true;
	layout_reconcile(&l, &m, false, &next_id, listen, NULL);
	CU_ASSERT_EQUAL(heard[VMA_OP_CHANGE], 1);
	CU_ASSERT_EQUAL(heard[VMA_OP_ADD] + heard[VMA_OP_GONE], 0);
	layout_done(&l);
}

static void test_limit(void)
{
	struct map_entry v[2];
	struct maps m = { .v = v, .n = 1 };
	struct layout l;

	next_id = 1;
	layout_init(&l, 1);
	fill_entry(&v[0], 0, 9, 1);
	CU_ASSERT_EQUAL(layout_reconcile(&l, &m, true, &next_id, listen, NULL), 0);
	CU_ASSERT_EQUAL(layout_cut(&l, (struct range){ at(3), at(4) }, &next_id, listen, NULL),
			-EOVERFLOW);
	CU_ASSERT_EQUAL(range_len(layout_find(&l, at(3))->r), 9 * PAGE);
	fill_entry(&v[1], 20, 21, 2);
	m.n = 2;
	CU_ASSERT_EQUAL(layout_reconcile(&l, &m, false, &next_id, listen, NULL), -EOVERFLOW);
	CU_ASSERT_EQUAL(l.n, 1);
	layout_done(&l);
}

static void test_clone(void)
{
	struct map_entry v[2];
	struct maps m = { .v = v, .n = 2 };
	struct layout l, twin;

	next_id = 1;
	layout_init(&l, 100);
	fill_entry(&v[0], 0, 9, 1);
	fill_entry(&v[1], 20, 21, 2);
	layout_reconcile(&l, &m, true, &next_id, listen, NULL);
	layout_find(&l, at(0))->modes = 5;
	memset(heard, 0, sizeof(heard));
	CU_ASSERT_EQUAL_FATAL(layout_clone(&twin, &l, &next_id, listen, NULL), 0);
	CU_ASSERT_EQUAL(heard[VMA_OP_SNAPSHOT], 2);
	CU_ASSERT_EQUAL(twin.n, 2);
	CU_ASSERT_EQUAL(layout_find(&twin, at(0))->modes, 5);
	CU_ASSERT_NOT_EQUAL(layout_find(&twin, at(0))->id, layout_find(&l, at(0))->id);
	layout_done(&l);
	CU_ASSERT_EQUAL(layout_find(&twin, at(20))->name_len, 6);
	layout_done(&twin);
}

/* 65,000 mappings: an event is a walk down the tree, a reading a walk along it. */
static void test_many(void)
{
	static struct map_entry v[65000];
	struct maps m = { .v = v, .n = 65000 };
	uint64_t t0, t1, t2;
	struct layout l;

	for (unsigned int i = 0; i < m.n; i++)
		fill_entry(&v[i], 2 * i, 2 * i + 1, 1);
	next_id = 1;
	layout_init(&l, 1 << 20);
	t0 = clock_now();
	CU_ASSERT_EQUAL(layout_reconcile(&l, &m, true, &next_id, listen, NULL), 0);
	t1 = clock_now();
	for (unsigned int i = 0; i < m.n; i += 2)
		layout_cut(&l, (struct range){ at(2 * i), at(2 * i + 1) }, &next_id, listen, NULL);
	t2 = clock_now();
	CU_ASSERT_EQUAL(l.n, 32500);
	CU_ASSERT_EQUAL(layout_reconcile(&l, &m, false, &next_id, listen, NULL), 0);
	CU_ASSERT_EQUAL(l.n, 65000);
	printf("seed %.1f ms, cut %.0f ns, reconcile %.1f ms ", (double)(t1 - t0) / 1e6,
	       (double)(t2 - t1) / 32500, (double)(clock_now() - t2) / 1e6);
	layout_done(&l);
}

/* Disjoint, in order, ids alone, the count right; returns the pages mapped. */
static uint64_t check_sound(struct layout *l)
{
	uint64_t end = 0, pages = 0;
	size_t n = 0;

	for (struct region *g = layout_from(l, 0); g; g = layout_next(l, g), n++) {
		CU_ASSERT_FATAL(g->r.lo >= end && g->r.hi > g->r.lo);
		CU_ASSERT_FATAL(g->id > 0 && g->id < next_id);
		CU_ASSERT_FATAL(!g->name_len == !g->name);
		end = g->r.hi;
		pages += range_len(g->r) / PAGE;
	}
	CU_ASSERT_EQUAL_FATAL(n, l->n);
	return pages;
}

static void seed_world(struct layout *l, struct maps *m)
{
	layout_init(l, 1000);
	next_id = 1;
	memset(model, 0, sizeof(model));
	memset(model, 2, 50);
	memset(model + 60, 3, 40);
	memset(model + 100, 4, 9);
	read_model(m);
	CU_ASSERT_EQUAL_FATAL(layout_reconcile(l, m, true, &next_id, listen, NULL), 0);
}

/* What the kernel tells to have moved is registered: where it was not known to be, ask. */
static void test_moved_unknown(void)
{
	struct layout l;
	struct maps m;
	struct region *g;

	seed_world(&l, &m);
	for (g = layout_from(&l, 0); g; g = layout_next(&l, g))
		g->modes = g->r.lo < at(80) ? WATCH_MODE_WRITE : 0;
	CU_ASSERT_EQUAL_FATAL(layout_move(&l, (struct range){ at(65), at(105) }, at(10), &next_id,
					  listen, NULL), 0);
	for (g = layout_from(&l, 0); g; g = layout_next(&l, g))
		CU_ASSERT_EQUAL(g->again, g->r.lo >= at(10) && g->r.hi <= at(50) && !g->modes);
	g = layout_find(&l, at(45));
	CU_ASSERT_FATAL(g && g->again);
	layout_done(&l);
}

/* A cut that fails for want of memory has changed nothing. */
static void test_starved_cut(void)
{
	struct layout l;
	struct maps m;
	long n;
	int r;

	for (n = 1;; n++) {
		seed_world(&l, &m);
		memset(heard, 0, sizeof(heard));
		starve_after(n);
		r = layout_cut(&l, (struct range){ at(70), at(75) }, &next_id, listen, NULL);
		if (!starve_hit())
			break;
		CU_ASSERT_EQUAL(r, -ENOMEM);
		check_equal(&l);
		CU_ASSERT_EQUAL(heard[VMA_OP_CHANGE] + heard[VMA_OP_ADD] + heard[VMA_OP_GONE], 0);
		layout_done(&l);
	}
	CU_ASSERT_EQUAL(r, 0);
	CU_ASSERT_EQUAL(n, 3);
	CU_ASSERT_EQUAL(check_sound(&l), 94);
	layout_done(&l);
}

/* The others may stop half way, but what stands is sound, and the next reading mends it. */
static int try_one(struct layout *l, const struct maps *m, int what)
{
	struct layout twin;
	int r;

	switch (what) {
	case 0:
		return layout_move(l, (struct range){ at(65), at(105) }, at(10), &next_id, listen,
				   NULL);
	case 1:
		return layout_reconcile(l, m, false, &next_id, listen, NULL);
	default:
		r = layout_clone(&twin, l, &next_id, listen, NULL);
		if (!r)
			CU_ASSERT_EQUAL(check_sound(&twin), check_sound(l));
		layout_done(&twin);
		return r;
	}
}

static void test_starved(void)
{
	struct layout l;
	struct maps m;
	int r;

	for (int what = 0; what < 3; what++) {
		for (long n = 1;; n++) {
			bool hit;

			seed_world(&l, &m);
			memset(model + 20, 8, 10);
			memset(model + 80, 0, 100);
			memset(model + 200, 5, 100);
			read_model(&m);
			starve_after(n);
			r = try_one(&l, &m, what);
			hit = starve_hit();
			CU_ASSERT_EQUAL(r, hit ? -ENOMEM : 0);
			check_sound(&l);
			CU_ASSERT_EQUAL(layout_reconcile(&l, &m, false, &next_id, listen, NULL), 0);
			check_equal(&l);
			layout_done(&l);
			if (!hit) {
				CU_ASSERT(n > 2);
				break;
			}
		}
	}
}

static const struct suite_test tests[] = {
	{ "against a naive model", test_model },
	{ "who keeps the id", test_identity },
	{ "the limit", test_limit },
	{ "clone", test_clone },
	{ "what is moved is registered", test_moved_unknown },
	{ "a cut without memory", test_starved_cut },
	{ "the others without memory", test_starved },
	{ "65,000 mappings", test_many },
};

SUITE_MAIN("layout", tests)
