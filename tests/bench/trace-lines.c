/* SPDX-License-Identifier: MIT */
/*
 * Trace-lines: what a record costs on its way to the file and back.
 *
 *	trace-lines ROUNDS
 *
 * The time counted is the processor's, of all threads together: what one CPU can do,
 * whatever else the machine does meanwhile.  The median of ROUNDS rounds counts.
 * Prints one JSON object: million records a second, and bytes a record.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "trace/reader.h"
#include "trace/writer.h"

#define PAGE 4096u
#define RECORDS 200000u
#define ROUNDS_MAX 101

static uint64_t cpu_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}

static struct record fault(uint64_t n)
{
	return (struct record){
		.kind = RECORD_FAULT, .pid = 30619, .mm = 1, .ts = 5000000000 + n * 9000,
		.addr = 0x7f3c036db000 + n % 5003 * PAGE + 123, .npages = 1,
		.fault = {
			.stop_ns = 24000 + n % 999, .lat_ns = 6100 + (uint32_t)(n % 777),
			.vma = 27, .tid = 30622, .kind = FAULT_WP, .act = ACT_UNPROTECT,
			.write = true,
		},
	};
}

static char *lines;
static size_t line_at[RECORDS + 1];

static uint64_t format_faults(void)
{
	uint64_t begin = cpu_now();
	size_t at = 0;

	for (uint32_t i = 0; i < RECORDS; i++) {
		struct record r = fault(i);
		int64_t n = record_format(&r, i + 1, PAGE, lines + at, RECORD_LINE_MAX);

		line_at[i] = at;
		at += n > 0 ? (size_t)n : 0;
	}
	line_at[RECORDS] = at;
	return cpu_now() - begin;
}

static uint64_t format_mappings(void)
{
	struct record r = {
		.kind = RECORD_VMA, .pid = 30619, .mm = 1, .addr = 0x7f3c036db000, .npages = 20,
		.vma = { .id = 7, .kind = VMA_KIND_FILE, .watch = true },
		.text = record_text_new("/usr/lib/x86_64-linux-gnu/libc.so.6", 35, NULL, 0),
	};
	char buf[RECORD_LINE_MAX];
	uint64_t begin = cpu_now();

	for (uint32_t i = 0; i < RECORDS / 10; i++)
		if (record_format(&r, i + 1, PAGE, buf, sizeof(buf)) < 0)
			exit(1);
	begin = cpu_now() - begin;
	record_release(&r);
	return begin;
}

static uint64_t read_lines(bool slow, uint32_t n)
{
	const struct reader rd = { .page_size = PAGE, .strict = true, .slow = slow };
	uint64_t begin = cpu_now();

	for (uint32_t i = 0; i < n; i++) {
		struct reader_record rec;
		struct reader_error e;

		if (reader_record(&rd, lines + line_at[i], line_at[i + 1] - line_at[i] - 1, &rec,
				  &e) < 0)
			exit(1);
	}
	return cpu_now() - begin;
}

static uint64_t read_short(void)
{
	return read_lines(false, RECORDS);
}

static uint64_t read_long(void)
{
	return read_lines(true, RECORDS / 10);
}

/* All the way: queue, thread, lines, sink. */
static uint64_t write_to(const char *to, uint64_t *ret_bytes)
{
	static const char *const none[] = { NULL };
	const struct record_header h = {
		.version = "", .host = "", .kernel = "", .arch = "", .engine = "sync",
		.page_size = PAGE, .modes = none, .features = none, .events = none, .argv = none,
	};
	struct writer_result res;
	struct writer *w;
	struct queue *q;
	struct sink *s;
	uint64_t begin;

	if (queue_new(&q, 1u << 18) || sink_open(&s, to) || writer_start(&w, q, s, &h, NULL, NULL))
		exit(1);
	begin = cpu_now();
	for (uint32_t i = 0; i < RECORDS; i++) {
		struct record r = fault(i);

		queue_push(q, &r);
		if (i % 64 == 63)
			queue_kick(q);
	}
	queue_close(q);
	writer_finish(w, false, &res);
	begin = cpu_now() - begin;
	if (sink_close(s) || res.records != RECORDS)
		exit(1);
	queue_free(q);
	*ret_bytes = res.bytes;
	return begin;
}

static char path[64], path_zst[72];
static uint64_t bytes_plain, bytes_zst;

static uint64_t write_file(void)
{
	unlink(path);
	return write_to(path, &bytes_plain);
}

static uint64_t write_zstd(void)
{
	unlink(path_zst);
	return write_to(path_zst, &bytes_zst);
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void measure(const char *name, uint64_t (*way)(void), uint32_t n, int rounds)
{
	uint64_t ns[ROUNDS_MAX], median;

	for (int i = 0; i < rounds; i++)
		ns[i] = way();
	qsort(ns, (size_t)rounds, sizeof(ns[0]), compare);
	median = ns[rounds / 2];
	printf(",\"%s\":%.2f", name, n * 1e3 / (double)median);
}

int main(int argc, char **argv)
{
	int rounds = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 7;
	const char *tmp = getenv("TMPDIR");

	lines = malloc((size_t)(RECORDS + 1) * 256 + RECORD_LINE_MAX);
	if (!lines || rounds < 1 || rounds > ROUNDS_MAX)
		return 1;
	snprintf(path, sizeof(path), "%.30s/trace-lines.%d", tmp ? tmp : "/tmp", (int)getpid());
	snprintf(path_zst, sizeof(path_zst), "%s.zst", path);
	printf("{\"bench\":\"trace-lines\",\"records\":%u", RECORDS);
	measure("format_fault", format_faults, RECORDS, rounds);
	measure("format_vma", format_mappings, RECORDS / 10, rounds);
	measure("read_fault", read_short, RECORDS, rounds);
	measure("read_by_library", read_long, RECORDS / 10, rounds);
	measure("write_file", write_file, RECORDS, rounds);
	measure("write_zst", write_zstd, RECORDS, rounds);
	printf(",\"bytes_plain\":%.1f,\"bytes_zst\":%.1f}\n", (double)bytes_plain / RECORDS,
	       (double)bytes_zst / RECORDS);
	unlink(path);
	unlink(path_zst);
	free(lines);
	return 0;
}
