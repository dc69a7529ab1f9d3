/* SPDX-License-Identifier: MIT */
/*
 * Writer: every record is in the output, or the output says that it is not.
 *
 * link: -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=strdup
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "starve.h"
#include "suite.h"
#include "trace-samples.h"
#include "trace/reader-file.h"
#include "trace/reader.h"
#include "trace/writer.h"

static char path[] = "/tmp/pagetap-writer.XXXXXX";
static char path_zst[] = "/tmp/pagetap-writer-XXXXXX.zst";

struct rig {
	struct queue *queue;
	struct sink *sink;
	struct writer *writer;
};

static int start(struct rig *g, const char *to, uint32_t slots)
{
	int r;

	*g = (struct rig){ 0 };
	CU_ASSERT_EQUAL_FATAL(queue_new(&g->queue, slots), 0);
	if (to != path_zst)
		unlink(to == path ? path : "/nonexistent");
	CU_ASSERT_EQUAL_FATAL(sink_open(&g->sink, to), 0);
	r = writer_start(&g->writer, g->queue, g->sink, &sample_header);
	if (r < 0) {
		sink_close(g->sink);
		queue_free(g->queue);
	}
	return r;
}

static struct writer_result finish(struct rig *g, bool drop)
{
	struct writer_result res;

	queue_close(g->queue);
	writer_finish(g->writer, drop, &res);
	sink_close(g->sink);
	queue_free(g->queue);
	return res;
}

static bool push(struct rig *g, struct record r)
{
	bool ok = queue_push(g->queue, &r);

	queue_kick(g->queue);
	return ok;
}

static struct record fault(uint64_t n)
{
	return (struct record){
		.kind = RECORD_FAULT, .pid = 1, .mm = 1, .ts = n, .addr = 4096 * n, .npages = 1,
		.fault = { .tid = 1, .kind = FAULT_WP, .act = ACT_UNPROTECT, .write = true },
	};
}

/* What a trace holds, read back strictly. */
struct seen {
	uint64_t lines, faults, lost, lost_output, lost_faults;
	uint64_t last_seq;
	struct record_stats stats;
	uint8_t last_kind;
	bool header, bad;
};

static void see(struct seen *s, const struct reader_record *rec)
{
	const struct record *r = &rec->record;

	s->bad |= rec->seq != s->last_seq + 1;
	s->last_seq = rec->seq;
	s->last_kind = r->kind;
	s->faults += r->kind == RECORD_FAULT;
	if (r->kind == RECORD_LOST) {
		s->lost += (uint64_t)r->lost.n;
		s->lost_faults += (uint64_t)r->lost.faults;
		s->lost_output += r->lost.reason == LOST_OUTPUT ? (uint64_t)r->lost.n : 0;
	}
	if (r->kind == RECORD_STATS)
		s->stats = r->stats;
}

static struct seen look(const char *at)
{
	const struct reader rd = { .page_size = SAMPLE_PAGE, .strict = true };
	struct seen s = { 0 };
	struct reader_header h;
	struct reader_error e;
	struct reader_file *f;
	const char *line;
	size_t len;
	int r;

	if (reader_file_open(&f, at) < 0)
		return (struct seen){ .bad = true };
	while ((r = reader_file_next(f, &line, &len)) == 1) {
		struct reader_record rec = { 0 };

		if (!s.lines++) {
			s.header = !reader_header(line, len, &h, &e);
			reader_header_release(&h);
			continue;
		}
		if (reader_record(&rd, line, len, &rec, &e) < 0)
			s.bad = true;
		else
			see(&s, &rec);
		record_release(&rec.record);
	}
	s.bad |= r < 0;
	reader_file_close(f);
	return s;
}

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

static void limit_file_size(rlim_t bytes)
{
	struct rlimit rl;

	CU_ASSERT_EQUAL_FATAL(getrlimit(RLIMIT_FSIZE, &rl), 0);
	rl.rlim_cur = bytes ? bytes : rl.rlim_max;
	CU_ASSERT_EQUAL_FATAL(setrlimit(RLIMIT_FSIZE, &rl), 0);
}

/* The output fails: everybody learns of it, and the queue goes on being emptied. */
static void test_failing_output(void)
{
	struct pollfd p = { .events = POLLIN };
	struct writer_result res;
	struct stat st;
	struct seen s;
	struct rig g;

	CU_ASSERT_EQUAL(start(&g, "/dev/full", 64), -ENOSPC);
	CU_ASSERT_EQUAL_FATAL(start(&g, path, 1024), 0);
	limit_file_size(20000);
	for (uint64_t i = 1; i <= 500; i++)
		push(&g, fault(i));
	p.fd = writer_fd(g.writer);
	CU_ASSERT_EQUAL(poll(&p, 1, 20000), 1);
	for (uint64_t i = 1; i <= 20000; i++) {
		push(&g, fault(i));
		if (i % 500 == 0)
			usleep(1000);
	}
	res = finish(&g, false);
	limit_file_size(0);
	CU_ASSERT_EQUAL(res.error, -EFBIG);
	CU_ASSERT_EQUAL(stat(path, &st), 0);
	CU_ASSERT_EQUAL((uint64_t)st.st_size, res.bytes);
	s = look(path);
	CU_ASSERT(s.header && !s.bad);
	CU_ASSERT_EQUAL(s.faults, res.records);
	CU_ASSERT(res.records > 50);
}

/* Second Ctrl-C while a reader does not read: gone in a second, though not in order. */
static void test_drop_stuck(void)
{
	struct writer_result res;
	uint64_t before;
	struct rig g;
	char name[32];
	int p[2];

	CU_ASSERT_EQUAL_FATAL(pipe(p), 0);
	snprintf(name, sizeof(name), "/dev/fd/%d", p[1]);
	CU_ASSERT_EQUAL_FATAL(start(&g, name, 4096), 0);
	for (uint64_t i = 1; i <= 3000; i++)
		push(&g, fault(i));
	usleep(200000);
	before = clock_now();
	res = finish(&g, true);
	CU_ASSERT(clock_now() - before < 10 * NSEC_PER_SEC);
	CU_ASSERT_EQUAL(res.error, -ETIMEDOUT);
	close(p[0]);
	close(p[1]);
}

struct copy {
	int from;
	const char *to;
};

/* Wakes up late, then reads everything. */
static void *late_reader(void *arg)
{
	struct copy *c = arg;
	int fd = open(c->to, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
	char buf[65536];
	ssize_t n;

	usleep(150000);
	while ((n = read(c->from, buf, sizeof(buf))) > 0)
		if (write(fd, buf, (size_t)n) != n)
			break;
	close(fd);
	return NULL;
}

/* What is thrown away is told, and how it ended is there all the same. */
static void test_drop_is_told(void)
{
	uint64_t pushed = 0;
	struct copy c = { .to = path };
	pthread_t thread;
	struct seen s;
	struct rig g;
	char name[32];
	int p[2];

	CU_ASSERT_EQUAL_FATAL(pipe(p), 0);
	snprintf(name, sizeof(name), "/dev/fd/%d", p[1]);
	CU_ASSERT_EQUAL_FATAL(start(&g, name, 8192), 0);
	close(p[1]);
	c.from = p[0];
	/* More than a batch, so that the thread sits in a write with a full queue behind. */
	for (uint64_t i = 1; i <= 6000; i++)
		pushed += push(&g, fault(i));
	usleep(50000);
	push(&g, (struct record){ .kind = RECORD_STATS, .ts = 6001,
				  .stats = { .final = true, .faults = pushed } });
	push(&g, (struct record){ .kind = RECORD_DETACH, .ts = 6002 });
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, late_reader, &c), 0);
	CU_ASSERT_EQUAL(finish(&g, true).error, 0);
	pthread_join(thread, NULL);
	close(p[0]);
	s = look(path);
	CU_ASSERT(s.header && !s.bad);
	CU_ASSERT(s.lost_output > 0);
	CU_ASSERT_EQUAL(s.faults + s.lost_output, pushed);
	CU_ASSERT_EQUAL(s.lost_faults, s.lost_output);
	CU_ASSERT_EQUAL(s.stats.lost, s.lost_output);
	CU_ASSERT_EQUAL(s.last_kind, RECORD_DETACH);
}

static void test_done_fd(void)
{
	struct pollfd p = { .events = POLLIN };
	struct rig g;

	CU_ASSERT_EQUAL_FATAL(start(&g, path, 64), 0);
	p.fd = writer_done_fd(g.writer);
	push(&g, fault(1));
	CU_ASSERT_EQUAL(poll(&p, 1, 200), 0);
	queue_close(g.queue);
	CU_ASSERT_EQUAL(poll(&p, 1, 20000), 1);
	CU_ASSERT_EQUAL(finish(&g, false).records, 1);
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
		r = writer_start(&w, q, s, &sample_header);
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

static void test_files(void)
{
	int a = mkstemp(path), b = mkstemps(path_zst, 4);

	CU_ASSERT_FATAL(a >= 0 && b >= 0);
	close(a);
	close(b);
}

static void test_remove_files(void)
{
	char old[64];

	snprintf(old, sizeof(old), "%s.old", path_zst);
	CU_ASSERT_EQUAL(unlink(path), 0);
	CU_ASSERT_EQUAL(unlink(path_zst), 0);
	CU_ASSERT_EQUAL(unlink(old), 0);
}

static const struct suite_test tests[] = {
	{ "files", test_files },
	{ "every kind", test_samples },
	{ "seen soon", test_seen_soon },
	{ "many, compressed", test_many },
	{ "what cannot be written", test_unwritable },
	{ "the output fails", test_failing_output },
	{ "dropping before a stuck reader", test_drop_stuck },
	{ "dropping is told", test_drop_is_told },
	{ "done", test_done_fd },
	{ "signals", test_signals },
	{ "no memory", test_starving },
	{ "nothing is left over", test_remove_files },
};

SUITE_MAIN("writer", tests)
