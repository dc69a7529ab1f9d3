/* SPDX-License-Identifier: MIT */
/*
 * A story for the judge: a truth and a trace written by hand, and its verdict on them.
 *
 * Page 512 and what follows is judged, one process (100) with two threads (100, 101).
 * Times are short numbers: the base of the trace is 0.
 */
#ifndef TESTS_JUDGE_STORY_H
#define TESTS_JUDGE_STORY_H

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../judge/judge.h"
#include "suite.h"

#define PAGE 4096u
#define P 512u
#define TO (P + 1024)		/* where it is moved */
#define FILES 8

static struct {
	char dir[64], path[80];
	FILE *trace, *truth[FILES];
	uint64_t seq;
	struct truth truths;
	struct judge judge;
} c;

/* Of a program that began at that time; each file has a name of its own. */
static void truth_began(unsigned int i, uint32_t pid, uint32_t tid, uint32_t execs, uint64_t at)
{
	struct truth_header h = {
		.pid = pid, .tid = tid, .parent_pid = pid == 100 ? 1 : 100, .page_size = PAGE,
		.birth = truth_birth(at), .start_ns = at + 1,
	};
	char path[128], exec[16] = "";

	memcpy(h.magic, TRUTH_MAGIC, 8);
	if (execs)
		snprintf(exec, sizeof(exec), "-e%u", execs);
	snprintf(path, sizeof(path), "%s/%u-%u%s.%u.truth", c.dir, pid, tid, exec, i);
	c.truth[i] = fopen(path, "w");
	CU_ASSERT_FATAL(c.truth[i] && fwrite(&h, sizeof(h), 1, c.truth[i]) == 1);
}

static void truth_file(unsigned int i, uint32_t pid, uint32_t tid)
{
	truth_began(i, pid, tid, 0, 0);
}

static void say(unsigned int i, uint32_t who, enum truth_op op, uint64_t t0, uint64_t t1,
		uint64_t page, uint64_t npages, uint64_t aux, uint16_t flags)
{
	struct truth_entry e = {
		.t0 = t0, .t1 = t1, .addr = page * PAGE, .len = npages * PAGE, .aux = aux,
		.aux2 = npages * PAGE, .op = (uint16_t)op, .flags = flags, .who = who,
	};

	CU_ASSERT_FATAL(fwrite(&e, sizeof(e), 1, c.truth[i]) == 1);
}

static void wrote(uint32_t tid, uint64_t t0, uint64_t t1, uint64_t page)
{
	say(tid - 100, tid, TRUTH_WRITE, t0, t1, page, 1, 0, 0);
}

static void tell(struct record r, uint64_t ts0, uint64_t ts, uint64_t page, uint64_t npages)
{
	char line[RECORD_LINE_MAX];
	int64_t n;

	r.pid = r.pid ? r.pid : 100;
	r.mm = r.mm ? r.mm : 1;
	r.ts0 = ts0;
	r.ts = ts;
	r.addr = page * PAGE;
	r.npages = npages;
	n = record_format(&r, ++c.seq, PAGE, line, sizeof(line));
	CU_ASSERT_FATAL(n > 0 && fwrite(line, (size_t)n, 1, c.trace) == 1);
}

static void arm(uint64_t ts0, uint64_t ts, uint64_t page, uint64_t npages)
{
	tell((struct record){ .kind = RECORD_ARM, .arm.mode = ARM_WP }, ts0, ts, page, npages);
}

static void fault(int32_t tid, uint64_t ts, uint64_t page)
{
	tell((struct record){ .kind = RECORD_FAULT, .fault = {
		.tid = tid, .kind = FAULT_WP, .write = true, .act = ACT_UNPROTECT,
		.via = VIA_UFFD, .lat_ns = 2, .stop_ns = 3 } }, 0, ts, page, 1);
}

static void span(enum record_kind kind, uint64_t ts0, uint64_t ts, uint64_t page, uint64_t npages)
{
	tell((struct record){ .kind = (uint8_t)kind }, ts0, ts, page, npages);
}

static const char *engine = "sync";

static void begin(void)
{
	static const char *const none[] = { NULL };
	struct record_header h = {
		.version = "1", .host = "h", .kernel = "k", .arch = "a", .engine = engine,
		.page_size = PAGE, .modes = none, .features = none, .events = none, .argv = none,
	};
	char line[RECORD_TEXT_LINE_MAX];
	int64_t n;

	memset(&c, 0, sizeof(c));
	snprintf(c.dir, sizeof(c.dir), "/tmp/test-judge.XXXXXX");
	CU_ASSERT_FATAL(mkdtemp(c.dir) != NULL);
	snprintf(c.path, sizeof(c.path), "%s/trace", c.dir);
	c.trace = fopen(c.path, "w");
	n = record_format_header(&h, line, sizeof(line));
	CU_ASSERT_FATAL(c.trace && n > 0 && fwrite(line, (size_t)n, 1, c.trace) == 1);
	truth_file(0, 100, 100);
	truth_file(1, 100, 101);
	say(0, 100, TRUTH_AREA, 5, 6, P, 64, 3, 0);
	tell((struct record){ .kind = RECORD_ATTACH }, 0, 10, 0, 0);
	arm(20, 30, P, 64);
}

static void judge_it(void)
{
	fclose(c.trace);
	for (unsigned int i = 0; i < FILES; i++)
		if (c.truth[i])
			fclose(c.truth[i]);
	CU_ASSERT_EQUAL_FATAL(truth_load(&c.truths, c.dir), 0);
	judge_begin(&c.judge, &c.truths, c.path);
	CU_ASSERT_EQUAL(trace_read(&c.judge), 0);
	judge_end(&c.judge);
}

static void done(void)
{
	DIR *d = opendir(c.dir);
	struct dirent *e;

	judge_free(&c.judge);
	truth_free(&c.truths);
	CU_ASSERT_FATAL(d != NULL);
	while ((e = readdir(d)))
		if (e->d_name[0] != '.')
			unlinkat(dirfd(d), e->d_name, 0);
	closedir(d);
	CU_ASSERT_EQUAL(rmdir(c.dir), 0);
}

/* A gap; without pages, of everything. */
static void declare(enum gap_reason why, uint64_t t0, uint64_t t1, uint64_t page, uint64_t n)
{
	tell((struct record){ .kind = RECORD_GAP, .gap.reason = why }, t0, t1, page, n);
}

/* The verdict `v` on one write, and one error `e` (E_NR: none). */
static void expect(enum verdict v, enum judge_error e)
{
	declare(GAP_STALL, UINT32_MAX - 1, UINT32_MAX, 4096, 1);
	for (unsigned int i = 0; i < 2; i++)
		say(i, 100 + i, TRUTH_THREAD_END, 100000, 100000, 0, 0, 0, 0);
	judge_it();
	CU_ASSERT_EQUAL(c.judge.verdicts[v], 1);
	if (c.judge.verdicts[v] != 1)
		report_json(&c.judge);
	CU_ASSERT_EQUAL(judge_errors(&c.judge), e == E_NR ? 0 : 1);
	if (e != E_NR)
		CU_ASSERT_EQUAL(c.judge.errors[e], 1);
	done();
}

#endif
