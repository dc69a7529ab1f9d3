/* SPDX-License-Identifier: MIT */
/*
 * Writer: every record is in the output, or the output says that it is not.
 *
 * link: -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=strdup
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "starve.h"
#include "suite.h"
#include "writer-rig.h"

static void test_samples(void)
{
	static char want[RECORD_TEXT_LINE_MAX];
	struct writer_result res;
	struct rig g;
	FILE *f;

	CU_ASSERT_EQUAL_FATAL(start(&g, path, 64), 0);
	for (size_t i = 0; i < SAMPLES; i++)
		if (samples[i].r.kind != RECORD_STATS)
			push(&g, sample_record(&samples[i]));
	res = finish(&g, false);
	CU_ASSERT_EQUAL(res.error, 0);
	CU_ASSERT_EQUAL(res.records, SAMPLES - 1);
	f = fopen(path, "re");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	CU_ASSERT(fgets(want, sizeof(want), f) && !strncmp(want, "{\"ev\":\"header\"", 14));
	for (size_t i = 0, seq = 0; i < SAMPLES; i++) {
		static char got[RECORD_TEXT_LINE_MAX];
		struct record r = sample_record(&samples[i]);

		if (r.kind != RECORD_STATS) {
			int64_t n = record_format(&r, ++seq, SAMPLE_PAGE, want, sizeof(want) - 1);

			want[n] = '\0';
			CU_ASSERT_PTR_NOT_NULL(fgets(got, sizeof(got), f));
			CU_ASSERT_STRING_EQUAL(got, want);
		}
		record_release(&r);
	}
	CU_ASSERT_PTR_NULL(fgets(want, sizeof(want), f));
	CU_ASSERT_EQUAL((uint64_t)ftell(f), res.bytes);
	fclose(f);
}

/* A reader of the growing file sees a line soon, though nothing follows it. */
static void check_seen_soon(const char *at, unsigned int limit_ms)
{
	uint64_t before;
	struct seen s;
	struct rig g;

	CU_ASSERT_EQUAL_FATAL(start(&g, at, 1024), 0);
	for (unsigned int i = 1; i <= 3; i++) {
		usleep(20000);
		before = clock_now();
		push(&g, fault(i));
		do {
			usleep(5000);
			s = look(at);
		} while (s.faults < i && clock_now() - before < 20 * NSEC_PER_SEC);
		CU_ASSERT_EQUAL(s.faults, i);
		CU_ASSERT(!s.bad);
		CU_ASSERT(clock_now() - before < limit_ms * NSEC_PER_MSEC);
	}
	CU_ASSERT_EQUAL(finish(&g, false).records, 3);
}

static void test_seen_soon(void)
{
	/* 100 ms by design; the rest is for a loaded machine. */
	check_seen_soon(path, 1000);
	check_seen_soon(path_zst, 3000);
}

static void test_many(void)
{
	struct seen s;
	struct rig g;
	uint64_t pushed = 0, n = 300000;

	CU_ASSERT_EQUAL_FATAL(start(&g, path_zst, 4096), 0);
	for (uint64_t i = 1; i <= n; i++)
		pushed += push(&g, fault(i));
	push(&g, (struct record){ .kind = RECORD_STATS, .stats.final = true });
	push(&g, (struct record){ .kind = RECORD_DETACH });
	CU_ASSERT_EQUAL(finish(&g, false).error, 0);
	s = look(path_zst);
	CU_ASSERT(s.header && !s.bad);
	CU_ASSERT_EQUAL(s.faults, pushed);
	CU_ASSERT_EQUAL(s.faults + s.lost_faults, n);
	CU_ASSERT_EQUAL(s.stats.lost, s.lost);
	CU_ASSERT_EQUAL(s.last_kind, RECORD_DETACH);
}

/* One record for many lines: each has a number, and one that cannot be written is told. */
static void test_runs(void)
{
	struct record r = { .kind = RECORD_DIRTY, .pid = 1, .mm = 1, .ts = 9, .ts0 = 3 };
	struct record_run *runs;
	struct seen s;
	struct rig g;

	CU_ASSERT_EQUAL_FATAL(start(&g, path, 1024), 0);
	push(&g, fault(1));
	r.text = record_runs_new(500, &runs);
	CU_ASSERT_PTR_NOT_NULL_FATAL(r.text);
	for (uint64_t i = 0; i < 500; i++)
		runs[i] = (struct record_run){ .addr = (i + 1) * 65536, .npages = 1 + i % 3 };
	CU_ASSERT(push(&g, r));
	push(&g, fault(2));
	push(&g, (struct record){ .kind = RECORD_STATS, .stats.final = true });
	push(&g, (struct record){ .kind = RECORD_DETACH });
	CU_ASSERT_EQUAL(finish(&g, false).error, 0);
	s = look(path);
	CU_ASSERT(s.header && !s.bad);
	CU_ASSERT_EQUAL(s.faults, 2);
	CU_ASSERT_EQUAL(s.lost, 0);
	CU_ASSERT_EQUAL(s.last_seq, 504);
	CU_ASSERT_EQUAL(s.last_kind, RECORD_DETACH);
}

/* What cannot be written as a line is told, and so are the sums. */
static void test_unwritable(void)
{
	struct record bad = fault(1), layout = { .kind = RECORD_VMA, .vma.op = VMA_OP_NR };
	struct seen s;
	struct rig g;

	bad.fault.act = ACT_NR;
	CU_ASSERT_EQUAL_FATAL(start(&g, path, 64), 0);
	push(&g, fault(1));
	push(&g, bad);
	push(&g, layout);
	push(&g, fault(2));
	push(&g, (struct record){ .kind = RECORD_STATS, .stats.final = true });
	push(&g, bad);
	CU_ASSERT_EQUAL(finish(&g, false).error, 0);
	s = look(path);
	CU_ASSERT(!s.bad);
	CU_ASSERT_EQUAL(s.faults, 2);
	CU_ASSERT_EQUAL(s.lost_output, 3);
	CU_ASSERT_EQUAL(s.lost_faults, 2);
	CU_ASSERT_EQUAL(s.stats.lost, 2);
	CU_ASSERT_EQUAL(s.last_kind, RECORD_LOST);
}

/* Signals are for the thread that reads them. */
static void test_signals(void)
{
	unsigned long long blocked = 0;
	char name[300], line[128];
	bool found = false;
	struct dirent *d;
	struct rig g;
	DIR *tasks;

	CU_ASSERT_EQUAL_FATAL(start(&g, path, 64), 0);
	tasks = opendir("/proc/self/task");
	CU_ASSERT_PTR_NOT_NULL_FATAL(tasks);
	while (!found && (d = readdir(tasks))) {
		FILE *f;

		snprintf(name, sizeof(name), "/proc/self/task/%s/status", d->d_name);
		f = fopen(name, "re");
		while (f && fgets(line, sizeof(line), f)) {
			found |= !strcmp(line, "Name:\tpagetap-writer\n");
			if (found && sscanf(line, "SigBlk: %llx", &blocked) == 1)
				break;
		}
		if (f)
			fclose(f);
	}
	closedir(tasks);
	CU_ASSERT(found);
	for (int sig = 1; sig < 32; sig++)
		CU_ASSERT(sig == SIGKILL || sig == SIGSTOP || blocked >> (sig - 1) & 1);
	finish(&g, false);
}

static void test_starving(void)
{
	long hits = 0;

	for (long n = 1;; n++) {
		struct writer_result res;
		struct writer *w = NULL;
		struct queue *q;
		struct sink *s;
		int r;

		CU_ASSERT_EQUAL_FATAL(queue_new(&q, 64), 0);
		CU_ASSERT_EQUAL_FATAL(sink_open(&s, "/dev/null"), 0);
		starve_after(n);
		r = writer_start(&w, q, s, &sample_header, NULL, NULL);
		if (starve_hit()) {
			hits++;
			CU_ASSERT(r == -ENOMEM || !r);
		}
		queue_close(q);
		if (!r)
			writer_finish(w, false, &res);
		sink_close(s);
		queue_free(q);
		if (!starve_was_hit)
			break;
	}
	CU_ASSERT(hits > 10);
}

static int64_t short_head(void *arg, const struct record_header *h, char *buf, size_t cap)
{
	(void)arg;
	return snprintf(buf, cap, "page %u\n", h->page_size);
}

/* Every second fault has a line; a gap cannot be written. */
static int64_t short_line(void *arg, const struct record *r, uint64_t seq, char *buf, size_t cap)
{
	unsigned int *faults = arg;

	if (r->kind == RECORD_GAP)
		return -ENOMEM;
	if (r->kind == RECORD_LOST)
		return snprintf(buf, cap, "%" PRIu64 " lost %" PRId64 "\n", seq, r->lost.n);
	if (r->kind != RECORD_FAULT || (*faults)++ % 2)
		return 0;
	return snprintf(buf, cap, "%" PRIu64 " at %" PRIu64 "\n", seq, r->ts);
}

static void test_form(void)
{
	unsigned int faults = 0;
	struct writer_form form = { &faults, 0, short_head, short_line };
	char got[256] = { 0 };
	struct writer_result res;
	struct rig g;
	FILE *f;

	CU_ASSERT_EQUAL_FATAL(start_form(&g, path, 64, &form), 0);
	for (uint64_t n = 1; n < 5; n++)
		push(&g, fault(n));
	push(&g, (struct record){ .kind = RECORD_GAP, .ts = 5 });
	push(&g, (struct record){ .kind = RECORD_DETACH, .ts = 6 });
	res = finish(&g, false);
	CU_ASSERT_EQUAL(res.error, 0);
	f = fopen(path, "re");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	got[fread(got, 1, sizeof(got) - 1, f)] = '\0';
	fclose(f);
	CU_ASSERT_STRING_EQUAL(got, "page 4096\n1 at 1\n2 at 3\n3 lost 1\n");
	CU_ASSERT_EQUAL(res.bytes, strlen(got));

	/* So many lines, and it says that it wants no more. */
	form.most = 2;
	CU_ASSERT_EQUAL_FATAL(start_form(&g, path, 64, &form), 0);
	for (uint64_t n = 1; n < 9; n++)
		push(&g, fault(n));
	CU_ASSERT_EQUAL(poll(&(struct pollfd){ writer_full_fd(g.writer), POLLIN, 0 }, 1, 5000), 1);
	res = finish(&g, false);
	CU_ASSERT_EQUAL(res.bytes, strlen("page 4096\n1 at 1\n2 at 3\n"));
}

static const struct suite_test tests[] = {
	{ "files", test_files },
	{ "every kind", test_samples },
	{ "seen soon", test_seen_soon },
	{ "many, compressed", test_many },
	{ "one for many lines", test_runs },
	{ "what cannot be written", test_unwritable },
	{ "signals", test_signals },
	{ "lines of another form", test_form },
	{ "no memory", test_starving },
	{ "nothing is left over", test_remove_files },
};

SUITE_MAIN("writer", tests)
