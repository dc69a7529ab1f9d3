/* SPDX-License-Identifier: MIT */
/* Arm: what is said of what goes before it was armed, or held against pagemap. */

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "compat/pagemap.h"
#include "suite.h"
#include "watch/space.h"
#include "watch/uffd.h"

#define PAGE 4096u
#define PAGES(n) ((uint64_t)(n) * PAGE)

static struct space_shared shared;
static struct queue *queue;
static struct space *s;

/* Claimed are pages 16 to 31; nothing is registered. */
static void begin(pid_t pid)
{
	CU_ASSERT_EQUAL_FATAL(queue_new(&queue, 1024), 0);
	shared = (struct space_shared){ .page_size = PAGE, .next_vma = 1, .next_mm = 1 };
	CU_ASSERT_EQUAL_FATAL(emit_init(&shared.emit, queue, 0, PAGE), 0);
	s = space_blank(&shared, dup(STDERR_FILENO), 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	s->pid = pid;
	CU_ASSERT_EQUAL_FATAL(cover_arm(&s->cover, (struct range){ PAGES(16), PAGES(32) }), 0);
}

static void finish(void)
{
	space_free(s);
	emit_done(&shared.emit);
	queue = queue_free(queue);
}

/* The next record is this gap. */
static void gap(uint64_t first, uint64_t n, uint64_t since, enum gap_reason why)
{
	struct record r;

	CU_ASSERT_EQUAL_FATAL(queue_pop(queue, &r, 0), 1);
	CU_ASSERT_EQUAL(r.kind, RECORD_GAP);
	CU_ASSERT_EQUAL(r.addr, PAGES(first));
	CU_ASSERT_EQUAL(r.npages, n);
	CU_ASSERT_EQUAL(r.ts0, emit_ts(&shared.emit, since));
	CU_ASSERT_EQUAL(r.gap.reason, why);
}

static void no_more(void)
{
	struct record r;

	CU_ASSERT_EQUAL(queue_pop(queue, &r, 0), 0);
}

static void test_checked(void)
{
	uint64_t now;

	begin(getpid());
	now = clock_now();
	CU_ASSERT(!arm_confess_part(s, (struct range){ PAGES(0), PAGES(64) }, now));
	CU_ASSERT(cover_armed_all(&s->cover, (struct range){ PAGES(16), PAGES(32) }));
	no_more();
	finish();
}

/* Only what the check was of, and of that what goes. */
static void test_check_pending(void)
{
	uint64_t now;

	begin(getpid());
	now = clock_now();
	space_owe(s, (struct range){ PAGES(20), PAGES(24) }, now, TODO_CHECK, now - 1000);
	CU_ASSERT(!arm_confess_part(s, (struct range){ PAGES(24), PAGES(64) }, now));
	no_more();
	CU_ASSERT(arm_confess_part(s, (struct range){ PAGES(22), PAGES(64) }, now));
	gap(22, 2, now - 1000, GAP_REMOVE_RACE);
	no_more();
	CU_ASSERT(cover_armed_all(&s->cover, (struct range){ PAGES(16), PAGES(22) }));
	CU_ASSERT(!cover_armed_any(&s->cover, (struct range){ PAGES(22), PAGES(24) }));
	CU_ASSERT(cover_armed_all(&s->cover, (struct range){ PAGES(24), PAGES(32) }));
	finish();
}

/* What was armed in the parent while it forked may not be in the child. */
static void test_forked(void)
{
	uint64_t now;

	begin(getpid());
	now = clock_now();
	space_owe(s, (struct range){ 0, PAGES(1024) }, now, TODO_CHECK, s->born_at);
	CU_ASSERT(arm_confess_part(s, (struct range){ PAGES(16), PAGES(18) }, now));
	gap(16, 2, s->born_at, GAP_FORK);
	finish();
}

/* What cannot be held against pagemap is not believed, and armed anew. */
static void test_no_pagemap(void)
{
	uint64_t now;

	begin(getpid());
	now = clock_now();
	cover_take(&s->cover, (struct range){ PAGES(20), PAGES(21) });
	space_owe(s, (struct range){ 0, PAGES(1024) }, now, TODO_CHECK, s->born_at);
	while (s->nlooks)
		CU_ASSERT_EQUAL_FATAL(arm_step(s), 1);
	gap(16, 4, s->born_at, GAP_FORK);
	gap(21, 11, s->born_at, GAP_FORK);
	no_more();
	CU_ASSERT(!cover_armed_any(&s->cover, (struct range){ PAGES(16), PAGES(32) }));
	CU_ASSERT_EQUAL(s->ntodo - s->todo_head, 2);
	finish();
}

/* Two checks of the same pages: each says since when. */
static void test_two_checks(void)
{
	uint64_t now;

	begin(getpid());
	now = clock_now();
	space_owe(s, (struct range){ PAGES(20), PAGES(24) }, now, TODO_CHECK, now - 1000);
	space_owe(s, (struct range){ PAGES(18), PAGES(22) }, now, TODO_CHECK, now - 9000);
	CU_ASSERT(arm_confess_part(s, (struct range){ PAGES(20), PAGES(21) }, now));
	gap(20, 1, now - 1000, GAP_REMOVE_RACE);
	gap(20, 1, now - 9000, GAP_REMOVE_RACE);
	no_more();
	finish();
}

static void test_nameless(void)
{
	uint64_t now;

	begin(0);
	now = clock_now();
	CU_ASSERT(arm_confess_part(s, (struct range){ PAGES(30), PAGES(34) }, now));
	gap(30, 4, s->born_at, GAP_FORK);
	CU_ASSERT(cover_armed_all(&s->cover, (struct range){ PAGES(16), PAGES(30) }));
	CU_ASSERT(!cover_armed_any(&s->cover, (struct range){ PAGES(30), PAGES(34) }));
	CU_ASSERT(!arm_confess_part(s, (struct range){ PAGES(30), PAGES(34) }, now));
	no_more();
	finish();
}

static void nothing(void *arg, enum vma_op op, struct region *r)
{
	(void)arg;
	(void)op;
	(void)r;
}

/* Of pages 8 to 40 there are 16 to 32, and they are not watched: all of it is declared. */
static void test_owed_to_nobody(void)
{
	struct map_entry v = { .lo = PAGES(16), .hi = PAGES(32), .prot = 3, .name = "" };
	const struct maps m = { .v = &v, .n = 1 };
	uint64_t now;

	begin(getpid());
	now = clock_now();
	CU_ASSERT_EQUAL_FATAL(layout_reconcile(&s->layout, &m, true, &shared.next_vma, nothing,
					       NULL), 0);
	CU_ASSERT_EQUAL_FATAL(space_owe_since(s, (struct range){ PAGES(8), PAGES(40) }, now,
					      now - 5000, GAP_NEW_MAPPING), 0);
	CU_ASSERT_EQUAL(census_arm_step(s, &s->todo[s->todo_head]), 1);
	gap(8, 8, now - 5000, GAP_NEW_MAPPING);
	gap(16, 16, now - 5000, GAP_NEW_MAPPING);
	gap(32, 8, now - 5000, GAP_NEW_MAPPING);
	no_more();
	CU_ASSERT_EQUAL(s->ntodo, s->todo_head);
	finish();
}

/* Neighbours are one thing to do only if the same is to be said of them. */
static void test_owed_by_neighbours(void)
{
	uint64_t now;

	begin(getpid());
	now = clock_now();
	space_owe_since(s, (struct range){ PAGES(8), PAGES(10) }, now, now - 5000, GAP_NEW_MAPPING);
	space_owe_since(s, (struct range){ PAGES(10), PAGES(12) }, now, now - 5000,
			GAP_NEW_MAPPING);
	space_owe_since(s, (struct range){ PAGES(12), PAGES(13) }, now, 0, GAP_NEW_MAPPING);
	space_owe_since(s, (struct range){ PAGES(13), PAGES(13) }, now, now - 1, GAP_NEW_MAPPING);
	CU_ASSERT_EQUAL_FATAL(s->ntodo, 2);
	CU_ASSERT_EQUAL(s->todo[0].r.hi, PAGES(12));
	CU_ASSERT_EQUAL(s->todo[0].since, now - 5000);
	CU_ASSERT_EQUAL(s->todo[1].since, 0);
	CU_ASSERT(census_owes_since(s) <= now - 5000);
	finish();
}

/* A large removal is over later than a small one beside it that was told of after it. */
static void test_looks_by_neighbours(void)
{
	uint64_t now;

	begin(getpid());
	now = clock_now();
	space_owe(s, (struct range){ PAGES(18), PAGES(20) }, now, TODO_CHECK, now - 1000);
	space_owe(s, (struct range){ PAGES(20), PAGES(28) }, now, TODO_CHECK, now - 9000);
	space_owe(s, (struct range){ PAGES(28), PAGES(30) }, now, TODO_CHECK, now - 2000);
	CU_ASSERT_EQUAL_FATAL(s->ntodo, 1);
	CU_ASSERT(arm_confess_part(s, (struct range){ PAGES(22), PAGES(23) }, now));
	gap(22, 1, now - 9000, GAP_REMOVE_RACE);
	no_more();
	finish();
}

#define OWN 64u

/* How many pages of our own memory are protected. */
static unsigned int protected(int pagemap, struct range r)
{
	uint64_t entry[OWN];
	unsigned int n = 0;
	ssize_t got = pread(pagemap, entry, range_len(r) / PAGE * 8, (off_t)(r.lo / PAGE * 8));

	CU_ASSERT_EQUAL_FATAL(got, (ssize_t)(range_len(r) / PAGE * 8));
	for (ssize_t i = 0; i < got / 8; i++)
		n += !!(entry[i] & PAGEMAP_UFFD_WP);
	return n;
}

/* Pages of our own, all written, registered and known; none is armed.  All that is watched. */
static struct range begin_own(void)
{
	static const struct watch_filter everything = { .modes = WATCH_MODE_WRITE };
	char *at = mmap(NULL, PAGES(OWN), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			-1, 0);
	uint64_t features, lo = (uint64_t)(uintptr_t)at;
	struct range all = { lo, lo + PAGES(OWN) };
	struct map_entry v = { .lo = all.lo, .hi = all.hi, .prot = 3, .name = "" };
	const struct maps m = { .v = &v, .n = 1 };

	CU_ASSERT_FATAL(at != MAP_FAILED);
	memset(at, 1, PAGES(OWN));
	begin(getpid());
	close(s->uffd);
	s->uffd = uffd_open_own();
	s->filter = &everything;
	s->pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	CU_ASSERT_FATAL(s->uffd >= 0 && s->pagemap >= 0);
	CU_ASSERT_EQUAL_FATAL(uffd_handshake(s->uffd, UFFD_WANTED, &features), 0);
	CU_ASSERT_EQUAL_FATAL(uffd_register(s->uffd, all, WATCH_MODE_WRITE), 0);
	CU_ASSERT_EQUAL_FATAL(layout_reconcile(&s->layout, &m, true, &shared.next_vma, nothing,
					       NULL), 0);
	layout_find(&s->layout, lo)->modes = WATCH_MODE_WRITE;
	layout_find(&s->layout, lo)->arm = true;
	layout_find(&s->layout, lo)->page_size = PAGE;
	return all;
}

static void finish_own(struct range all)
{
	finish();
	munmap((void *)(uintptr_t)all.lo, range_len(all));
}

static struct range part_of(struct range all, uint64_t first, uint64_t end)
{
	return (struct range){ all.lo + PAGES(first), all.lo + PAGES(end) };
}

static void arm_what_is_due(void)
{
	while (arm_step(s) == 1)
		;
}

/* Claimed and bare, and still to be looked at: arming what is around it must not hide that. */
static void test_arms_around_a_look(void)
{
	static const int looks[] = { TODO_CHECK, TODO_REARM_AFTER_REMOVE };

	for (unsigned int i = 0; i < sizeof(looks) / sizeof(looks[0]); i++) {
		struct range all = begin_own(), bare = part_of(all, 20, 24);
		uint64_t now = clock_now();

		cover_arm(&s->cover, bare);
		space_owe(s, bare, now + 1000 * NSEC_PER_SEC, looks[i], now);
		space_owe(s, all, now, TODO_ARM, 0);
		arm_what_is_due();
		CU_ASSERT_EQUAL(protected(s->pagemap, all), OWN - 4);
		CU_ASSERT_EQUAL(protected(s->pagemap, bare), 0);
		/* Nothing to be looked at: then one call takes it along. */
		cover_done(&s->cover);
		s->todo_head = s->ntodo = s->nlooks = 0;
		cover_arm(&s->cover, bare);
		space_owe(s, all, now, TODO_ARM, 0);
		arm_what_is_due();
		CU_ASSERT_EQUAL(protected(s->pagemap, all), OWN);
		finish_own(all);
	}
}

/* A new mapping is written before it is armed: until then is declared, of an old one nothing. */
static void test_declared_until_armed(void)
{
	struct range all = begin_own(), young = part_of(all, 8, 16);
	uint64_t now = clock_now();
	struct record gap, arm;

	space_owe(s, part_of(all, 0, 8), now, TODO_ARM, 0);
	space_owe_since(s, young, now, now - 5000, GAP_PROTECTION);
	arm_what_is_due();
	CU_ASSERT_EQUAL_FATAL(queue_pop(queue, &arm, 0), 1);
	CU_ASSERT_EQUAL(arm.kind, RECORD_ARM);
	CU_ASSERT_EQUAL_FATAL(queue_pop(queue, &gap, 0), 1);
	CU_ASSERT_EQUAL_FATAL(queue_pop(queue, &arm, 0), 1);
	CU_ASSERT(gap.kind == RECORD_GAP && gap.gap.reason == GAP_PROTECTION);
	CU_ASSERT(gap.addr == young.lo && gap.npages == range_len(young) / PAGE);
	CU_ASSERT_EQUAL(gap.ts0, emit_ts(&shared.emit, now - 5000));
	CU_ASSERT(arm.kind == RECORD_ARM && arm.addr == young.lo && arm.ts == gap.ts);
	no_more();
	finish_own(all);
}

static void gap_over(struct range r, uint64_t since, enum gap_reason why)
{
	gap(r.lo / PAGE, range_len(r) / PAGE, since, why);
}

/* It went, or cannot be armed, or the trace ends before: it is declared until then. */
static void test_declared_and_never_armed(void)
{
	struct range all = begin_own(), refused = part_of(all, OWN, OWN + 2);
	struct range gone = part_of(all, OWN + 2, OWN + 4), late = part_of(all, 8, 16);
	uint64_t now = clock_now();

	space_owe_since(s, gone, now, now - 5000, GAP_NEW_MAPPING);
	arm_what_is_due();
	gap_over(gone, now - 5000, GAP_NEW_MAPPING);
	no_more();

	layout_find(&s->layout, all.lo)->r.hi = refused.hi;
	space_owe_since(s, refused, now, now - 7000, GAP_NEW_MAPPING);
	arm_what_is_due();
	gap_over(refused, now - 7000, GAP_REGISTER);
	no_more();

	space_owe_since(s, late, now, now - 9000, GAP_PROTECTION);
	arm_confess(s);
	gap_over(late, now - 9000, GAP_PROTECTION);
	no_more();
	arm_confess(s);
	no_more();
	finish_own(all);
}

/* The next gap; the page where it begins, how many, and since when. */
static void find_gap(struct range r, uint64_t since)
{
	struct record got = { .kind = RECORD_ARM };

	while (got.kind != RECORD_GAP)
		CU_ASSERT_EQUAL_FATAL(queue_pop(queue, &got, 0), 1);
	CU_ASSERT_EQUAL(got.addr, r.lo);
	CU_ASSERT_EQUAL(got.npages, range_len(r) / PAGE);
	CU_ASSERT_EQUAL(got.ts0, emit_ts(&shared.emit, since));
	CU_ASSERT_EQUAL(got.gap.reason, GAP_REMOVE_RACE);
}

/*
 * A removal was told of, the next epoch arms its pages, and then they go: when it should be
 * over, and again some time later, all of them are looked at, not only what was bare then.
 */
static void test_armed_while_it_is_dropped(void)
{
	struct range all = begin_own(), gone = part_of(all, 20, 28);
	uint64_t told = clock_now() - 3 * NSEC_PER_MSEC, due;

	space_owe(s, all, told, TODO_ARM, 0);
	arm_what_is_due();
	cover_drop(&s->cover, part_of(all, 24, 26));
	space_owe(s, gone, told + 2 * NSEC_PER_MSEC, TODO_REARM_AFTER_REMOVE, told);
	CU_ASSERT_EQUAL_FATAL(uffd_unprotect(s->uffd, part_of(all, 21, 26)), 0);
	due = clock_now();
	arm_what_is_due();
	CU_ASSERT_EQUAL(protected(s->pagemap, part_of(all, 21, 24)), 0);
	CU_ASSERT_EQUAL(protected(s->pagemap, part_of(all, 24, 26)), 2);
	CU_ASSERT_EQUAL_FATAL(s->nlooks, 1);
	CU_ASSERT_EQUAL(s->todo[s->todo_head].r.lo, gone.lo);
	CU_ASSERT_EQUAL(s->todo[s->todo_head].r.hi, gone.hi);
	CU_ASSERT(s->todo[s->todo_head].when >= due + 20 * NSEC_PER_MSEC);
	s->todo[s->todo_head].when = due;
	arm_what_is_due();
	CU_ASSERT(s->fenced > due);
	find_gap(part_of(all, 21, 24), told);
	CU_ASSERT_EQUAL(protected(s->pagemap, all), OWN);
	CU_ASSERT_EQUAL(s->nlooks, 0);
	finish_own(all);
}

/* As before, but it is moved, or dropped again, before that look: then nobody knows. */
static void test_goes_on_while_it_is_dropped(void)
{
	uint64_t now;

	begin(getpid());
	now = clock_now();
	space_owe(s, (struct range){ PAGES(20), PAGES(24) }, now, TODO_REARM_AFTER_REMOVE,
		  now - 1000);
	CU_ASSERT(arm_confess_part(s, (struct range){ PAGES(22), PAGES(64) }, now));
	gap(22, 2, now - 1000, GAP_REMOVE_RACE);
	no_more();
	arm_confess(s);
	gap(20, 4, now - 1000, GAP_REMOVE_RACE);
	no_more();
	finish();
}

/* Everything is looked at anew: what may be bare after that is looked at all the same. */
static void test_disclaims_while_it_is_dropped(void)
{
	uint64_t now;

	begin(getpid());
	now = clock_now();
	space_owe(s, (struct range){ PAGES(6), PAGES(7) }, now, TODO_ARM, 0);
	space_owe(s, (struct range){ PAGES(8), PAGES(9) }, now, TODO_CHECK, now - 1000);
	space_owe(s, (struct range){ PAGES(12), PAGES(13) }, now, TODO_ARM, 0);
	space_owe(s, (struct range){ PAGES(10), PAGES(11) }, now, TODO_REARM_AFTER_REMOVE, now);
	ksm_doubt(s, now);
	space_disclaim(s);
	CU_ASSERT_EQUAL(s->cover.claimed, 0);
	CU_ASSERT_EQUAL_FATAL(s->ntodo - s->todo_head, 3);
	CU_ASSERT_EQUAL(s->nlooks, 3);
	CU_ASSERT_EQUAL(s->todo[s->todo_head].r.lo, PAGES(8));
	CU_ASSERT_EQUAL(s->todo[s->todo_head + 1].r.lo, PAGES(10));
	/* One that waits for its end would wait for ever. */
	CU_ASSERT(s->doubting && ksm_is_check(s, &s->todo[s->todo_head + 2]));
	finish();
}

/* A wide range that is hardly there has little to drop. */
static void test_drop_takes(void)
{
	struct range wide = { 0, PAGES(UINT64_C(1) << 30) };

	begin(getpid());
	CU_ASSERT_EQUAL(space_drop_takes(s, (struct range){ 0, PAGES(4096) }), 4096 * 500);
	shared.memory = PAGES(1 << 20);
	CU_ASSERT_EQUAL(space_drop_takes(s, wide), 500ULL << 20);
	s->procfd = open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC);
	CU_ASSERT(space_drop_takes(s, wide) > 0);
	CU_ASSERT(space_drop_takes(s, wide) < NSEC_PER_SEC);
	CU_ASSERT_EQUAL(space_drop_takes(s, (struct range){ 0, PAGES(4096) }), 4096 * 500);
	finish();
}

static const struct suite_test tests[] = {
	{ "nothing is to be checked", test_checked },
	{ "goes before it was checked", test_check_pending },
	{ "goes from a child before it was checked", test_forked },
	{ "a check without a pagemap", test_no_pagemap },
	{ "two checks of the same", test_two_checks },
	{ "goes from a child without a name", test_nameless },
	{ "owed to what is not watched", test_owed_to_nobody },
	{ "owed by neighbours", test_owed_by_neighbours },
	{ "looks owed by neighbours", test_looks_by_neighbours },
	{ "declared until it is armed", test_declared_until_armed },
	{ "declared and never armed", test_declared_and_never_armed },
	{ "arms around what is to be looked at", test_arms_around_a_look },
	{ "armed while it is dropped", test_armed_while_it_is_dropped },
	{ "goes on while it is dropped", test_goes_on_while_it_is_dropped },
	{ "looks anew while it is dropped", test_disclaims_while_it_is_dropped },
	{ "what a drop takes", test_drop_takes },
};

SUITE_MAIN("arm", tests)
