/* SPDX-License-Identifier: MIT */
/*
 * Trace samples: at least one record of every kind, with the values at the edges.
 *
 * What the tests of record, reader, writer and validate share.
 */
#ifndef TESTS_TRACE_SAMPLES_H
#define TESTS_TRACE_SAMPLES_H

#include <string.h>

#include "trace/record.h"

#define SAMPLE_PAGE 4096u
#define SAMPLE_INT_MAX ((UINT64_C(1) << 53) - 1)

struct sample {
	struct record r;
	const char *a, *b;	/* its text; NULL: none */
};

#define SAMPLE_COMMON .pid = 4242, .mm = 3, .ts = 123456789
#define SAMPLE_SPAN .addr = 0x7f3c036db000, .npages = 17

static const struct sample samples[] = {
	{ { .kind = RECORD_ATTACH, SAMPLE_COMMON,
	    .attach = { .stop_ns = 612345, .ppid = 1, .threads = 6, .vmas = 65530 } },
	  "redis-server", "/usr/bin/redis-server" },
	{ { .kind = RECORD_VMA, SAMPLE_COMMON, SAMPLE_SPAN,
	    .vma = { .off = 4096, .ino = 77, .id = 9, .op = VMA_OP_SNAPSHOT,
		     .kind = VMA_KIND_HEAP, .prot = RECORD_PROT_READ | RECORD_PROT_WRITE,
		     .watch = true } }, "[heap]", NULL },
	{ { .kind = RECORD_VMA, SAMPLE_COMMON, SAMPLE_SPAN,
	    .vma = { .off = UINT64_MAX - 4095, .ino = UINT64_MAX, .id = UINT32_MAX,
		     .op = VMA_OP_ADD, .kind = VMA_KIND_FILE, .why = WHY_FILE_BACKED,
		     .prot = RECORD_PROT_READ | RECORD_PROT_EXEC | RECORD_PROT_SHARED } },
	  "/lib/libc.so.6 (deleted)", NULL },
	{ { .kind = RECORD_VMA, SAMPLE_COMMON, SAMPLE_SPAN,
	    .vma = { .off = SAMPLE_INT_MAX, .ino = SAMPLE_INT_MAX + 1, .id = 1,
		     .op = VMA_OP_CHANGE, .kind = VMA_KIND_ANON, .why = WHY_NOT_WRITABLE } },
	  "", NULL },
	{ { .kind = RECORD_VMA, SAMPLE_COMMON, SAMPLE_SPAN,
	    .vma = { .id = 2, .op = VMA_OP_GONE, .kind = VMA_KIND_STACK, .why = WHY_MODE } },
	  NULL, NULL },
	{ { .kind = RECORD_ARM, SAMPLE_COMMON, SAMPLE_SPAN, .ts0 = 123400000,
	    .arm.mode = ARM_MISSING }, NULL, NULL },
	{ { .kind = RECORD_FAULT, SAMPLE_COMMON, .addr = 0x7f3c036db123, .npages = 1,
	    .fault = { .stop_ns = 91000, .lat_ns = 6100, .vma = 9, .tid = 4243,
		       .kind = FAULT_WP, .act = ACT_UNPROTECT, .via = VIA_UFFD,
		       .write = true } }, NULL, NULL },
	{ { .kind = RECORD_FAULT, .pid = 0, .mm = 0, .ts = 0, .addr = 0, .npages = 512,
	    .fault = { .tid = 1, .ns_tid = 7, .kind = FAULT_MINOR, .act = ACT_CONTINUE,
		       .via = VIA_PERF } }, NULL, NULL },
	{ { .kind = RECORD_FAULT, .pid = INT32_MAX, .mm = UINT32_MAX, .ts = SAMPLE_INT_MAX,
	    .addr = UINT64_MAX - 4095, .npages = 1,
	    .fault = { .stop_ns = SAMPLE_INT_MAX, .lat_ns = UINT32_MAX, .vma = UINT32_MAX,
		       .tid = INT32_MAX, .kind = FAULT_MISSING, .act = ACT_ZEROPAGE } },
	  NULL, NULL },
	{ { .kind = RECORD_DIRTY, SAMPLE_COMMON, SAMPLE_SPAN, .ts0 = 5,
	    .dirty = { .epoch = 12, .vma = 9 } }, NULL, NULL },
	{ { .kind = RECORD_FORK, SAMPLE_COMMON,
	    .fork = { .child = 4300, .child_mm = 4, .followed = true } }, NULL, NULL },
	{ { .kind = RECORD_FORK, SAMPLE_COMMON,
	    .fork = { .child = RECORD_UNKNOWN, .child_mm = 0 } }, NULL, NULL },
	{ { .kind = RECORD_EXEC, SAMPLE_COMMON, .exec.new_mm = 5 }, "sh", "/usr/bin/dash" },
	{ { .kind = RECORD_EXEC, SAMPLE_COMMON }, NULL, NULL },
	{ { .kind = RECORD_EXIT, SAMPLE_COMMON,
	    .exit = { .code = 3, .signal = RECORD_UNKNOWN } }, NULL, NULL },
	{ { .kind = RECORD_EXIT, SAMPLE_COMMON,
	    .exit = { .code = RECORD_UNKNOWN, .signal = 9 } }, NULL, NULL },
	{ { .kind = RECORD_REMAP, SAMPLE_COMMON, SAMPLE_SPAN, .ts0 = 1,
	    .remap.new_addr = 0x10000 }, NULL, NULL },
	{ { .kind = RECORD_REMOVE, SAMPLE_COMMON, SAMPLE_SPAN, .ts0 = 1 }, NULL, NULL },
	{ { .kind = RECORD_UNMAP, SAMPLE_COMMON, SAMPLE_SPAN, .ts0 = 123456789 }, NULL, NULL },
	{ { .kind = RECORD_GAP, SAMPLE_COMMON, SAMPLE_SPAN, .ts0 = 1,
	    .gap.reason = GAP_REMOVE_RACE }, NULL, NULL },
	{ { .kind = RECORD_GAP, SAMPLE_COMMON, .ts0 = 1, .gap.reason = GAP_RESYNC }, NULL, NULL },
	{ { .kind = RECORD_LOST, SAMPLE_COMMON,
	    .lost = { .n = 17, .faults = 16, .reason = LOST_RING } }, NULL, NULL },
	{ { .kind = RECORD_LOST, SAMPLE_COMMON,
	    .lost = { .n = RECORD_UNKNOWN, .faults = RECORD_UNKNOWN, .reason = LOST_PERF } },
	  NULL, NULL },
	{ { .kind = RECORD_ERROR, SAMPLE_COMMON, .error.error = 11 }, "read", "uffd: again" },
	{ { .kind = RECORD_STATS, SAMPLE_COMMON,
	    .stats = { .faults = 61204, .writes = 36720, .lost = 17, .repeats = 2,
		       .dirty_pages = 300, .distinct_pages = 120, .unwitnessed = RECORD_UNKNOWN,
		       .slowdown_ppm = RECORD_UNKNOWN, .lat_p50_ns = 6100,
		       .lat_p99_ns = 13200,
		       .stop_p99_ns = 95000, .rss_kb = 9000, .final = true } }, NULL, NULL },
	{ { .kind = RECORD_DETACH, SAMPLE_COMMON,
	    .detach = { .reason = DETACH_DURATION, .clean = true } }, NULL, NULL },
	{ { .kind = RECORD_FAULT, SAMPLE_COMMON, .ts0 = 123456780, .addr = 0x7f3c036db123,
	    .npages = 1, .fault = { .tid = 4243, .vma = 9, .via = VIA_PERF, .unsure = true } },
	  NULL, NULL },
	{ { .kind = RECORD_STACK, SAMPLE_COMMON, .stack.id = 3 },
	  "\x01\x10\x40\x01\x01\x01\x01\x01" "\x02\x10\x40\x01\x01\x01\x01\x01", NULL },
	{ { .kind = RECORD_STACK, SAMPLE_COMMON, .stack.id = UINT32_MAX }, "", NULL },
	{ { .kind = RECORD_THREAD, SAMPLE_COMMON, .thread.tid = 4245 }, "io_thd_\xff\n", NULL },
	{ { .kind = RECORD_THREAD, SAMPLE_COMMON, .thread.tid = INT32_MAX }, NULL, NULL },
	{ { .kind = RECORD_BUDGET, SAMPLE_COMMON, .ts0 = 123400000,
	    .budget = { .budget_ppm = 50000, .slowdown_ppm = 48123, .epoch_ns = 4000000000,
			.cold_every = 2, .sync = true } }, NULL, NULL },
	{ { .kind = RECORD_BUDGET, SAMPLE_COMMON, .ts0 = 0,
	    .budget = { .budget_ppm = 1, .slowdown_ppm = SAMPLE_INT_MAX,
			.epoch_ns = SAMPLE_INT_MAX, .cold_every = UINT32_MAX, .resting = true } },
	  NULL, NULL },
	{ { .kind = RECORD_FAULT, SAMPLE_COMMON, .ts0 = 123456780, .addr = 0x7f3c036db123,
	    .npages = 1, .fault = { .tid = 4243, .ns_tid = 3, .kind = FAULT_WP, .vma = 9,
				    .via = VIA_PERF, .write = true, .ip = 0x401000, .stack = 3 } },
	  NULL, NULL },
	{ { .kind = RECORD_VMA, SAMPLE_COMMON, SAMPLE_SPAN,
	    .vma = { .id = 10, .op = VMA_OP_SNAPSHOT, .kind = VMA_KIND_FILE, .why = WHY_MODE,
		     .prot = RECORD_PROT_READ | RECORD_PROT_EXEC } },
	  "/usr/bin/redis-server", "\x0f\xa9\x01\xff" },
	{ { .kind = RECORD_ATTACH, SAMPLE_COMMON,
	    .attach = { .ppid = 1, .image_pid = 4001, .threads = 1, .vmas = 30 } }, "known", NULL },
	{ { .kind = RECORD_FAULT, SAMPLE_COMMON, .addr = 0x7f3c036db000, .npages = 1,
	    .fault = { .stop_ns = 9100, .lat_ns = 6100, .vma = 9, .kind = FAULT_MISSING,
		       .act = ACT_COPY, .via = VIA_UFFD, .src = SRC_REMOTE } }, NULL, NULL },
	{ { .kind = RECORD_DETACH, SAMPLE_COMMON,
	    .detach = { .reason = DETACH_COMPLETE, .clean = true } }, NULL, NULL },
};

#define SAMPLES (sizeof(samples) / sizeof(samples[0]))

/* A copy with text of its own, to record_release(). */
static inline struct record sample_record(const struct sample *s)
{
	struct record r = s->r;

	if (s->a)
		r.text = record_text_new(s->a, strlen(s->a), s->b, s->b ? strlen(s->b) : 0);
	return r;
}

static const char *const sample_modes[] = { "write", "missing", NULL };
static const char *const sample_features[] = { "thread-id", "event-fork", NULL };
static const char *const sample_events[] = {
	"missing", "wp", "minor", "fork", "exit", "map", NULL
};
static const char *const sample_argv[] = { "pagetap", "record", "-p", "4242", NULL };

static const struct record_header sample_header = {
	.version = "0.1.0", .host = "host", .kernel = "6.18.0", .arch = "x86_64",
	.engine = "sync", .base_mono_ns = 1234567890123, .base_real_ns = 1772366400000000001,
	.page_size = SAMPLE_PAGE, .modes = sample_modes, .features = sample_features,
	.events = sample_events, .argv = sample_argv,
};

#endif
