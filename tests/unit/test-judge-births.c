/* SPDX-License-Identifier: MIT */
/* Judge, births: forks, programs executed, and process ids that come round. */

#include <sys/mman.h>
#include "../judge/truth-file.h"
#include "judge-story.h"

static void test_children(void)
{
	struct record fork = {
		.kind = RECORD_FORK, .fork = { .child = 200, .child_mm = 2, .followed = true },
	};
	struct record r = { .kind = RECORD_FAULT, .pid = 200, .mm = 2, .fault = {
		.tid = 200, .kind = FAULT_WP, .write = true, .act = ACT_UNPROTECT,
		.via = VIA_UFFD, .lat_ns = 2, .stop_ns = 3 } };

	/* Covered where its parent was: one write told, one lost. */
	begin();
	say(0, 100, TRUTH_FORK, 40, 50, 0, 0, 200, 0);
	truth_file(2, 200, 200);
	say(2, 200, TRUTH_CHILD, 45, 45, 0, 0, 100, 0);
	say(2, 200, TRUTH_WRITE, 52, 60, P, 1, 0, 0);
	say(2, 200, TRUTH_WRITE, 62, 64, P + 1, 1, 0, 0);
	tell(fork, 0, 47, 0, 0);
	tell(r, 0, 57, P, 1);
	tell((struct record){ .kind = RECORD_EXIT, .pid = 200, .mm = 2 }, 0, 70, 0, 0);
	judge_it();
	CU_ASSERT_EQUAL(c.judge.verdicts[V_FOUND], 1);
	CU_ASSERT_EQUAL(c.judge.verdicts[V_LOST], 1);
	CU_ASSERT_EQUAL(judge_errors(&c.judge), 1);
	done();
	/* Nobody told of the fork. */
	begin();
	say(0, 100, TRUTH_FORK, 40, 50, 0, 0, 200, 0);
	wrote(100, 52, 60, P);
	fault(100, 57, P);
	expect(V_FOUND, E_FORK);
}

#define S UINT64_C(1000000000)

/* Of a child that had gone when the monitor moved again. */
static void test_fork_in_a_stall(void)
{
	for (int stall = 0; stall < 2; stall++) {
		begin();
		wrote(100, 31, 34, P + 9);
		fault(100, 33, P + 9);
		say(0, 100, TRUTH_FORK, 40, S, 0, 0, 200, 0);
		if (stall)
			declare(GAP_STALL, S / 2, 5 * S, 0, 0);
		tell((struct record){ .kind = RECORD_FORK, .fork = {
			.child = RECORD_UNKNOWN, .child_mm = 2 } }, 0, 5 * S, 0, 0);
		expect(V_FOUND, stall ? E_NR : E_FORK);
	}
}

/* What a child did not get from its parent has no events: its first reading says so. */
static void test_memory_without_its_child(void)
{
	const struct record fork = {
		.kind = RECORD_FORK, .fork = { .child = 200, .child_mm = 2, .followed = true },
	};
	const struct record write = { .kind = RECORD_FAULT, .pid = 200, .mm = 2, .fault = {
		.tid = 200, .kind = FAULT_WP, .write = true, .act = ACT_UNPROTECT,
		.via = VIA_UFFD, .lat_ns = 2, .stop_ns = 3 } };
	struct record gap = { .kind = RECORD_GAP, .pid = 200, .mm = 2 };

	/* Not declared; from its birth on; from later on; the same of all of it, as it ends. */
	for (int way = 0; way < 5; way++) {
		gap.gap.reason = way < 3 ? GAP_REMOVE_RACE : GAP_FORK;
		begin();
		say(0, 100, TRUTH_FORK, 40, 50, 0, 0, 200, 0);
		truth_file(2, 200, 200);
		say(2, 200, TRUTH_CHILD, 45, 45, 0, 0, 100, 0);
		say(2, 200, TRUTH_WRITE, 52, 60, P, 1, 0, 0);
		say(2, 200, TRUTH_UNMAP, 3 * S, 3 * S + 10, P + 8, 4, 0, 0);
		tell(fork, 0, 47, 0, 0);
		tell(write, 0, 57, P, 1);
		if (way)
			tell(gap, way % 2 ? 48 : 2 * S, 4 * S, way < 3 ? P + 8 : 0,
			     way < 3 ? 4 : 0);
		tell((struct record){ .kind = RECORD_EXIT, .pid = 200, .mm = 2 }, 0, 5 * S, 0, 0);
		expect(V_FOUND, way % 2 ? E_NR : E_LAYOUT_MISSING);
	}
}

static void told_of_200(enum record_kind kind, uint32_t mm, uint64_t ts)
{
	tell((struct record){ .kind = (uint8_t)kind, .pid = 200, .mm = mm }, 0, ts, 0, 0);
}

/* Process 200 writes to a page that is covered, and the trace says so. */
static void written_by_200(unsigned int i, uint32_t mm, uint64_t at)
{
	say(i, 200, TRUTH_WRITE, at, at + 10, P, 1, 0, 0);
	tell((struct record){ .kind = RECORD_FAULT, .pid = 200, .mm = mm, .fault = {
		.tid = 200, .kind = FAULT_WP, .write = true, .act = ACT_UNPROTECT,
		.via = VIA_UFFD, .lat_ns = 2, .stop_ns = 3 } }, 0, at + 6, P, 1);
}

/* Forked as process 200, in the truth and in the trace. */
static void forked(uint32_t mm, uint64_t at)
{
	say(0, 100, TRUTH_FORK, at, at + 20, 0, 0, 200, 0);
	tell((struct record){ .kind = RECORD_FORK, .fork = {
		.child = 200, .child_mm = mm, .followed = true } }, 0, at + 10, 0, 0);
}

static void execs(uint32_t mm, uint64_t at)
{
	tell((struct record){ .kind = RECORD_EXEC, .pid = 200, .mm = mm, .exec.new_mm = mm + 1 },
	     0, at, 0, 0);
}

/* Forked, executes a program, and ends: all of it told by both. */
static void life(unsigned int i, uint32_t mm, uint64_t at)
{
	forked(mm, at);
	truth_began(i, 200, 200, 0, at + 15);
	say(i, 200, TRUTH_CHILD, at + 16, at + 17, 0, 0, 100, 0);
	written_by_200(i, mm, at + 30);
	say(i, 200, TRUTH_EXEC, at + 50, at + 50, 0, 0, 0, 0);
	execs(mm, at + 60);
	truth_began(i + 1, 200, 200, 1, at + 70);
	say(i + 1, 200, TRUTH_AREA, at + 72, at + 74, P, 64, 3, 0);
	told_of_200(RECORD_ATTACH, mm + 1, at + 80);
	tell((struct record){ .kind = RECORD_ARM, .pid = 200, .mm = mm + 1, .arm.mode = ARM_WP },
	     at + 81, at + 82, P, 64);
	written_by_200(i + 1, mm + 1, at + 90);
	say(i + 1, 200, TRUTH_UNMAP, at + 110, at + 120, P, 64, 0, 0);
	tell((struct record){ .kind = RECORD_UNMAP, .pid = 200, .mm = mm + 1 }, at + 105,
	     at + 115, P, 64);
	say(i + 1, 200, TRUTH_EXIT, at + 130, at + 130, 0, 0, 0, 0);
	told_of_200(RECORD_EXIT, mm + 1, at + 140);
}

/* So many writes were told, so many nobody's to judge, and one error `e` (E_NR: none). */
static void told(uint64_t found, uint64_t unseen, enum judge_error e)
{
	span(RECORD_REMOVE, 400 * S, 400 * S, 4096, 1);
	judge_it();
	CU_ASSERT_EQUAL(c.judge.verdicts[V_FOUND], found);
	CU_ASSERT_EQUAL(c.judge.verdicts[V_UNSEEN], unseen);
	CU_ASSERT_EQUAL(judge_errors(&c.judge), e == E_NR ? 0 : 1);
	if (e != E_NR)
		CU_ASSERT_EQUAL(c.judge.errors[e], 1);
	done();
}

/* Process ids came round: 200 was one process, and then another. */
static void test_one_pid(void)
{
	begin();
	life(2, 2, 283 * S);
	life(4, 4, 321 * S);
	told(4, 0, E_NR);
	/* The first, and what it executed, had no time to say anything. */
	begin();
	forked(2, 283 * S);
	execs(2, 284 * S);
	told_of_200(RECORD_ATTACH, 3, 284 * S + 10);
	told_of_200(RECORD_EXIT, 3, 285 * S);
	life(4, 4, 321 * S);
	told(2, 0, E_NR);
	/* It came round at once. */
	begin();
	forked(2, 283 * S);
	execs(2, 283 * S + 100);
	told_of_200(RECORD_EXIT, 3, 283 * S + 200);
	life(4, 4, 284 * S);
	told(2, 0, E_NR);
	/* The same, and the second is another parent's. */
	begin();
	tell((struct record){ .kind = RECORD_FORK, .pid = 300, .mm = 7, .fork = {
		.child = 200, .child_mm = 2, .followed = true } }, 0, 283 * S, 0, 0);
	truth_began(2, 200, 200, 0, 284 * S);
	say(2, 200, TRUTH_CHILD, 284 * S, 284 * S, 0, 0, 100, 0);
	say(2, 200, TRUTH_WRITE, 284 * S, 284 * S + 10, P, 1, 0, 0);
	told(0, 1, E_NR);
}

/* No file is written to twice, whoever asks. */
static void test_files(void)
{
	struct process *p = NULL;
	int fd[3];

	begin();
	fd[0] = truth_file_make(c.dir, truth_birth(2 * S), 0, 2 * S + 1);
	fd[1] = truth_file_make(c.dir, truth_birth(40 * S), 0, 40 * S + 1);
	fd[2] = truth_file_make(c.dir, truth_birth(40 * S + S / 2), 1, 41 * S);
	for (unsigned int i = 0; i < 3; i++)
		CU_ASSERT_EQUAL(lseek(fd[i], 0, SEEK_CUR), sizeof(struct truth_header));
	judge_it();
	CU_ASSERT_EQUAL_FATAL(c.truths.nprocesses, 4);
	for (unsigned int i = 0; i < 3; i++) {
		do
			p = truth_process(&c.truths, (uint32_t)getpid(), p);
		while (p && !p->start);
		CU_ASSERT_PTR_NOT_NULL_FATAL(p);
		CU_ASSERT_EQUAL(p->start, (i ? 40 : 2) * S + (i == 2 ? S / 2 : 0));
		CU_ASSERT_EQUAL(p->execs, i == 2);
		CU_ASSERT_EQUAL(p->nthreads, 1);
		close(fd[i]);
	}
	done();
}

/* Forked and written to; it says that it executes, and the trace does not. */
static void exec_untold(uint64_t at)
{
	begin();
	forked(2, at);
	truth_began(2, 200, 200, 0, at + 15);
	say(2, 200, TRUTH_CHILD, at + 16, at + 17, 0, 0, 100, 0);
	written_by_200(2, 2, at + 30);
	say(2, 200, TRUTH_EXEC, at + 50, at + 50, 0, 0, 0, 0);
}

static void test_execs(void)
{
	exec_untold(283 * S);
	truth_began(3, 200, 200, 1, 283 * S + 70);
	told(1, 0, E_EXEC);
	/* Nothing that tells the truth came of it: the program is another process's. */
	exec_untold(283 * S);
	told_of_200(RECORD_EXIT, 2, 284 * S);
	life(4, 4, 321 * S);
	told(3, 0, E_NR);
}

/* A child that is found after its exec, of which the trace hears later still. */
static void test_exec_told_late(void)
{
	for (int ends = 0; ends < 2; ends++) {
		begin();
		say(0, 100, TRUTH_FORK, S, S + 20, 0, 0, 200, 0);
		tell((struct record){ .kind = RECORD_FORK, .fork = {
			.child = 200, .child_mm = 2 } }, 0, S + 10, 0, 0);
		truth_began(2, 200, 200, 0, S + 15);
		say(2, 200, TRUTH_CHILD, S + 16, S + 17, 0, 0, 100, 0);
		say(2, 200, TRUTH_EXEC, S + 50, S + 50, 0, 0, 0, 0);
		truth_began(3, 200, 200, 1, S + 70);
		told_of_200(RECORD_ATTACH, 2, S + 80);
		execs(2, S + 90);
		told_of_200(RECORD_ATTACH, 3, S + 100);
		say(3, 200, TRUTH_EXIT, S + 130, S + 130, 0, 0, 0, 0);
		if (ends)
			told_of_200(RECORD_EXIT, 3, S + 140);
		tell((struct record){ .kind = RECORD_STATS }, 0, 3 * S, 0, 0);
		told(0, 0, ends ? E_NR : E_EXIT);
	}
}

static const struct suite_test tests[] = {
	{ "a forked child", test_children },
	{ "a fork in a stall", test_fork_in_a_stall },
	{ "memory that a child did not get", test_memory_without_its_child },
	{ "processes of one pid", test_one_pid },
	{ "files of the truth", test_files },
	{ "execs that nobody tells of", test_execs },
	{ "an exec that is told of late", test_exec_told_late },
};

SUITE_MAIN("judge-births", tests)
