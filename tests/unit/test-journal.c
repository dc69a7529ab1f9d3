/* SPDX-License-Identifier: MIT */
/*
 * Journal and settled bits: what they give back is what was owed, page by page, after any
 * order of layout messages, arrivals and forks, and after a writer that died in a batch.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "restore/journal.h"
#include "restore/settled.h"
#include "suite.h"

#define PAGE IMAGE_PAGE
#define BASE UINT64_C(0x10000000)
#define PAGES 400u
#define ROOM 64u
#define STEPS 60
#define SEEDS 400

static struct image_piece pieces[] = {
	{ .vaddr = BASE, .npages = 70, .lazy = true },
	{ .vaddr = BASE + 70 * PAGE, .npages = 5, .lazy = false },
	{ .vaddr = BASE + 75 * PAGE, .npages = 125, .lazy = true },
	{ .vaddr = BASE + 230 * PAGE, .npages = 64, .lazy = true },
	{ .vaddr = BASE + 300 * PAGE, .npages = 1, .lazy = true },
};
static const struct image_task task = {
	.pid = 7, .memory = true, .pieces = pieces, .npieces = 5, .lazy_pages = 70 + 125 + 64 + 1,
};

/* A process, what it is owed, and what a heir would find. */
struct process {
	struct owed owed;
	struct journal *journal;
	uint64_t *bits;
};

static struct settled_index *bits_of;

static struct journal *journal_of(enum journal_begin begin, const struct journal *parent)
{
	struct journal *j = malloc(journal_bytes(ROOM));

	CU_ASSERT_FATAL(j && journal_room(journal_bytes(ROOM)) == ROOM);
	journal_start(j, ROOM, begin, parent);
	return j;
}

static void process_begin(struct process *p)
{
	CU_ASSERT_EQUAL_FATAL(owed_init(&p->owed, PAGE), 0);
	CU_ASSERT_EQUAL_FATAL(journal_owe_task(&p->owed, &task), 0);
	p->journal = journal_of(JOURNAL_OF_TASK, NULL);
	p->bits = calloc(1, settled_bytes(bits_of));
}

static void process_fork(struct process *p, struct process *ret)
{
	CU_ASSERT_EQUAL_FATAL(owed_clone(&ret->owed, &p->owed), 0);
	ret->journal = journal_of(JOURNAL_OF_PARENT, p->journal);
	ret->bits = malloc(settled_bytes(bits_of));
	memcpy(ret->bits, p->bits, settled_bytes(bits_of));
}

static void process_end(struct process *p)
{
	owed_done(&p->owed);
	free(p->journal);
	free(p->bits);
}

static bool replayed(const struct process *p, struct owed *ret)
{
	return !journal_replay(p->journal, &task, ret) && !settled_close(bits_of, p->bits, ret);
}

static bool same(const struct owed *a, const struct owed *b)
{
	struct owed_part x, y;
	uint64_t at = 0;

	for (;; at = x.at.hi < y.at.hi ? x.at.hi : y.at.hi) {
		bool one = owed_run(a, at, &x), other = owed_run(b, at, &y);

		if (one != other || !one)
			return one == other;
		/* In how many runs it is said does not matter. */
		x.image += at > x.at.lo ? at - x.at.lo : 0;
		y.image += at > y.at.lo ? at - y.at.lo : 0;
		x.at.lo = at > x.at.lo ? at : x.at.lo;
		y.at.lo = at > y.at.lo ? at : y.at.lo;
		if (x.at.lo != y.at.lo || x.image != y.image || x.moved != y.moved ||
		    x.doubt != y.doubt)
			return false;
	}
}

static struct range any_range(void)
{
	uint64_t lo = (uint64_t)rand() % PAGES, n = 1 + (uint64_t)rand() % 60;

	return (struct range){ BASE + lo * PAGE, BASE + (lo + n) * PAGE };
}

static struct journal_entry any_entry(void)
{
	struct range r = any_range();

	return (struct journal_entry){
		.kind = (uint8_t)(JOURNAL_UNMAP + rand() % 3),
		.lo = r.lo, .hi = r.hi, .at = BASE + (uint64_t)rand() % PAGES * PAGE,
	};
}

static void follow(struct owed *o, const struct journal_entry *e)
{
	struct range r = { e->lo, e->hi };
	int64_t err = -EINVAL;

	if (e->kind == JOURNAL_UNMAP)
		err = owed_unmap(o, r);
	else if (e->kind == JOURNAL_REMOVE)
		err = owed_close(o, r, OWED_REMOVED);
	else if (e->kind == JOURNAL_REMAP)
		err = owed_remap(o, r, e->at);
	CU_ASSERT_FATAL(err >= 0);
}

static void some_come(struct process *p)
{
	struct range r = any_range(), here;
	struct owed_part part;

	for (uint64_t at = r.lo; owed_run(&p->owed, at, &part) && part.at.lo < r.hi; at = here.hi) {
		here = range_common(part.at, r);
		settled_set(bits_of, p->bits, part.image + (here.lo - part.at.lo),
			    range_len(here) / PAGE);
		CU_ASSERT_EQUAL(owed_close(&p->owed, here, OWED_ARRIVED),
				(int64_t)(range_len(here) / PAGE));
	}
}

static void step(struct process *p)
{
	struct journal_entry e = any_entry();

	if (rand() % 3) {
		some_come(p);
		return;
	}
	CU_ASSERT_EQUAL_FATAL(journal_append(p->journal, &e), 0);
	journal_commit(p->journal);
	follow(&p->owed, &e);
}

static void compare(const struct process *p)
{
	struct owed o;

	CU_ASSERT_FATAL(replayed(p, &o));
	CU_ASSERT_FATAL(same(&o, &p->owed));
	CU_ASSERT_FATAL(same(&p->owed, &o));
	owed_done(&o);
}

static void test_random(void)
{
	struct process p[3];

	for (unsigned int seed = 0; seed < SEEDS; seed++) {
		srand(seed);
		process_begin(&p[0]);
		for (int i = 0; i < STEPS; i++)
			step(&p[0]);
		process_fork(&p[0], &p[1]);
		for (int i = 0; i < STEPS / 2; i++) {
			step(&p[0]);
			step(&p[1]);
		}
		process_fork(&p[1], &p[2]);
		for (int i = 0; i < STEPS; i++)
			step(&p[i % 3 == 1 ? 2 : 1]);
		for (int i = 0; i < 3; i++)
			compare(&p[i]);
		for (int i = 0; i < 3; i++)
			process_end(&p[i]);
	}
}

static void test_batches(void)
{
	struct journal_entry e = { .kind = JOURNAL_REMOVE, .lo = BASE, .hi = BASE + 10 * PAGE };
	struct process p;
	struct owed o;

	process_begin(&p);
	CU_ASSERT_EQUAL(journal_append(p.journal, &e), 0);
	CU_ASSERT_FATAL(replayed(&p, &o));
	CU_ASSERT_EQUAL(o.totals.free, task.lazy_pages);
	owed_done(&o);
	journal_forget(p.journal);
	e.hi = BASE + 3 * PAGE;
	CU_ASSERT_EQUAL(journal_append(p.journal, &e), 0);
	journal_commit(p.journal);
	CU_ASSERT_FATAL(replayed(&p, &o));
	CU_ASSERT_EQUAL(o.totals.free, task.lazy_pages - 3);
	CU_ASSERT_EQUAL(o.totals.ended[OWED_REMOVED], 3);
	owed_done(&o);
	process_end(&p);
}

/* Longer, or as what is owed now. */
static void test_room(void)
{
	struct journal *big = malloc(journal_bytes(2 * ROOM)), *was;
	struct process p;

	srand(1);
	process_begin(&p);
	for (unsigned int i = 0; i < ROOM; i++) {
		struct journal_entry e = any_entry();

		CU_ASSERT_EQUAL_FATAL(journal_append(p.journal, &e), 0);
		follow(&p.owed, &e);
	}
	journal_commit(p.journal);
	CU_ASSERT_EQUAL(journal_append(p.journal, &p.journal->entries[0]), -ENOSPC);
	CU_ASSERT_EQUAL(journal_copy(big, ROOM - 1, p.journal), -ENOSPC);
	CU_ASSERT_EQUAL_FATAL(journal_copy(big, 2 * ROOM, p.journal), 0);
	was = p.journal;
	p.journal = big;
	compare(&p);
	some_come(&p);
	CU_ASSERT_EQUAL(journal_save(was, 0, &p.owed), p.owed.nruns ? -ENOSPC : 0);
	CU_ASSERT_EQUAL_FATAL(journal_save(was, ROOM, &p.owed), 0);
	p.journal = was;
	compare(&p);
	p.journal = big;
	free(was);
	process_end(&p);
}

static void test_wrong(void)
{
	struct journal_entry e = { .kind = JOURNAL_REMOVE, .lo = BASE, .hi = BASE };
	struct journal *deep[JOURNAL_DEPTH + 2];
	struct process p;
	struct owed o;

	process_begin(&p);
	CU_ASSERT_EQUAL(journal_append(p.journal, &e), 0);
	journal_commit(p.journal);
	CU_ASSERT_EQUAL(journal_replay(p.journal, &task, &o), -EBADMSG);
	p.journal->entries[0] = (struct journal_entry){ .kind = 9, .lo = BASE, .hi = BASE + PAGE };
	CU_ASSERT_EQUAL(journal_replay(p.journal, &task, &o), -EBADMSG);
	/* A run that is owed already, an image address that wraps, a move that does. */
	p.journal->entries[0] = (struct journal_entry){ .kind = JOURNAL_RUN, .lo = BASE,
							.hi = BASE + PAGE, .at = BASE };
	CU_ASSERT_EQUAL(journal_replay(p.journal, &task, &o), -EBADMSG);
	p.journal->entries[0] = (struct journal_entry){ .kind = JOURNAL_REMAP, .lo = BASE,
							.hi = BASE + 2 * PAGE,
							.at = UINT64_MAX - PAGE + 1 };
	CU_ASSERT_EQUAL(journal_replay(p.journal, &task, &o), -EBADMSG);
	atomic_store(&p.journal->count, ROOM + 1);
	CU_ASSERT_EQUAL(journal_replay(p.journal, &task, &o), -EBADMSG);
	process_end(&p);
	deep[0] = journal_of(JOURNAL_OF_TASK, NULL);
	for (unsigned int i = 1; i < JOURNAL_DEPTH + 2; i++)
		deep[i] = journal_of(JOURNAL_OF_PARENT, deep[i - 1]);
	CU_ASSERT_EQUAL_FATAL(journal_replay(deep[JOURNAL_DEPTH], &task, &o), 0);
	owed_done(&o);
	CU_ASSERT_EQUAL(journal_replay(deep[JOURNAL_DEPTH + 1], &task, &o), -EBADMSG);
	for (unsigned int i = 0; i < JOURNAL_DEPTH + 2; i++)
		free(deep[i]);
}

static void test_bits(void)
{
	uint64_t *bits = calloc(1, settled_bytes(bits_of));
	struct owed o;

	CU_ASSERT_EQUAL(settled_bytes(bits_of), (task.lazy_pages + 63) / 64 * 8);
	/* What is not lazy, lies between pieces, or beyond them. */
	settled_set(bits_of, bits, BASE + 70 * PAGE, 5);
	settled_set(bits_of, bits, BASE + 200 * PAGE, 30);
	settled_set(bits_of, bits, BASE + 301 * PAGE, 1000);
	for (size_t i = 0; i < settled_bytes(bits_of) / 8; i++)
		CU_ASSERT_EQUAL(bits[i], 0);
	settled_set(bits_of, bits, BASE, 1000);
	CU_ASSERT_EQUAL_FATAL(owed_init(&o, PAGE), 0);
	CU_ASSERT_EQUAL_FATAL(journal_owe_task(&o, &task), 0);
	CU_ASSERT_EQUAL_FATAL(settled_close(bits_of, bits, &o), 0);
	CU_ASSERT(owed_none(&o));
	CU_ASSERT_EQUAL(o.totals.ended[OWED_ARRIVED], task.lazy_pages);
	owed_done(&o);
	free(bits);
}

static void test_begin(void)
{
	CU_ASSERT_EQUAL_FATAL(settled_index_new(&task, &bits_of), 0);
}

static void test_end(void)
{
	settled_index_free(bits_of);
	bits_of = NULL;
	CU_ASSERT_PTR_NULL(bits_of);
}

static const struct suite_test tests[] = {
	{ "an index of a task", test_begin },
	{ "any messages, arrivals, forks", test_random },
	{ "a batch that was not committed", test_batches },
	{ "more room, or a new beginning", test_room },
	{ "what nobody can have written", test_wrong },
	{ "bits", test_bits },
	{ "its end", test_end },
};

SUITE_MAIN("journal", tests)
