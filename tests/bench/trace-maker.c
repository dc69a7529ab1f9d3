/* SPDX-License-Identifier: MIT */
/*
 * Trace-maker: a large trace, by the writer that writes all traces.
 *
 *	trace-maker sync|async|who|churn RECORDS FILE
 *
 * sync: faults of four threads; async: runs of pages found written, epoch by epoch; who:
 * these, and for each page a witness with its instruction and stack; churn: short-lived
 * children, one after the other, with mappings of their own.  RECORDS is how many lines
 * there are in all, about.  The same each time.
 */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "trace/writer.h"

#define PAGE 4096u
#define PID 30619
#define MAPPINGS 40u
#define MAPPING_PAGES 32768u
#define BASE UINT64_C(0x7f3c00000000)
#define TEXT UINT64_C(0x55d0c8a00000)
#define EPOCH_NS 100000000u
#define STACKS 2000u

static struct queue *queue;
static uint64_t made, now = 1000000, state = 88172645463325252u;
static uint32_t mm = 1, last_id = MAPPINGS + 1;

static uint64_t random_below(uint64_t n)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state % n;
}

/* The ring drops what it has no room for: here nothing may be missing. */
static void push(struct record r)
{
	r.pid = PID + (int32_t)(mm - 1) % 30000;
	r.mm = mm;
	r.ts = now;
	made++;
	while (!queue_roomy(queue)) {
		queue_kick(queue);
		sched_yield();
	}
	if (!queue_push(queue, &r))
		exit(1);
	if (made % 64 == 0)
		queue_kick(queue);
}

static void push_mapping(uint32_t id, uint64_t addr, const char *name, enum vma_kind kind,
			 uint8_t prot)
{
	push((struct record){ .kind = RECORD_VMA, .addr = addr, .npages = MAPPING_PAGES,
		.vma = { .id = id, .kind = kind, .watch = true,
			 .prot = RECORD_PROT_READ | prot },
		.text = record_text_new(name, strlen(name), NULL, 0) });
	push((struct record){ .kind = RECORD_ARM, .addr = addr, .npages = MAPPING_PAGES,
			      .ts0 = now });
}

static uint64_t place(uint32_t id, uint64_t page)
{
	return BASE + ((uint64_t)id * 2 * MAPPING_PAGES + page) * PAGE;
}

static void push_begin(void)
{
	char name[64];

	push((struct record){ .kind = RECORD_ATTACH,
		.attach = { .ppid = 1, .threads = 4, .vmas = MAPPINGS },
		.text = record_text_new("maker", 5, "/usr/bin/maker", 14) });
	push_mapping(MAPPINGS + 1, TEXT, "/usr/bin/maker", VMA_KIND_FILE, RECORD_PROT_EXEC);
	for (uint32_t i = 1; i <= MAPPINGS; i++) {
		name[0] = '\0';
		if (i % 3 == 0)
			snprintf(name, sizeof(name), "/dev/shm/part-%u", i);
		push_mapping(i, place(i, 0), name, i % 3 ? VMA_KIND_ANON : VMA_KIND_SHMEM,
			     RECORD_PROT_WRITE);
	}
}

/* Some mappings are hot, some pages of each hotter than others. */
static uint32_t mapping(void)
{
	return 1 + (uint32_t)(random_below(MAPPINGS) * random_below(MAPPINGS) / MAPPINGS);
}

static uint64_t page_of_mapping(void)
{
	return random_below(MAPPING_PAGES) * random_below(MAPPING_PAGES) / MAPPING_PAGES;
}

static struct record fault(uint32_t id, uint64_t page)
{
	uint64_t n = random_below(1000);

	return (struct record){ .kind = RECORD_FAULT, .addr = place(id, page) + n, .npages = 1,
		.fault = { .stop_ns = 24000 + n * n, .lat_ns = 6100 + (uint32_t)(n * n / 7),
			   .vma = id, .tid = PID + (int32_t)random_below(4), .kind = FAULT_WP,
			   .act = ACT_UNPROTECT, .write = true } };
}

static void make_sync(uint64_t records)
{
	while (made < records) {
		now += 2000 + random_below(9000);
		push(fault(mapping(), page_of_mapping()));
	}
}

static void push_stack(uint32_t id)
{
	uint64_t frames[20];

	for (unsigned int i = 0; i < 20; i++)
		frames[i] = TEXT + random_below(MAPPING_PAGES * (uint64_t)PAGE);
	push((struct record){ .kind = RECORD_STACK, .stack.id = id,
			      .text = record_frames_new(frames, 20) });
}

static void push_witness(uint32_t id, uint64_t page)
{
	struct record r = fault(id, page);
	uint32_t stack = 1 + (uint32_t)random_below(STACKS);

	r.ts0 = now - random_below(EPOCH_NS / 2);
	r.fault.stop_ns = r.fault.lat_ns = 0;
	r.fault.act = ACT_NONE;
	r.fault.via = VIA_PERF;
	r.fault.ip = TEXT + stack * 16;
	r.fault.stack = stack;
	push(r);
}

static void make_async(uint64_t records, bool who)
{
	for (uint32_t i = 1; who && i <= STACKS; i++)
		push_stack(i);
	for (uint64_t epoch = 1; made < records; epoch++) {
		uint64_t begin = now;

		now += EPOCH_NS;
		for (unsigned int i = 0; i < 5000 && made < records; i++) {
			uint32_t id = mapping();
			uint64_t page = page_of_mapping(), run = 1 + random_below(8);

			run = run < MAPPING_PAGES - page ? run : MAPPING_PAGES - page;
			push((struct record){ .kind = RECORD_DIRTY, .addr = place(id, page),
				.npages = run, .ts0 = begin,
				.dirty = { .epoch = epoch, .vma = id } });
			for (uint64_t k = 0; who && k < run; k++)
				push_witness(id, page + k);
		}
	}
}

/* A child, what it maps and writes, and its end. */
static void push_child(uint32_t child_mm)
{
	uint64_t begin = now;

	mm = 1;
	push((struct record){ .kind = RECORD_FORK,
		.fork = { .child = PID + (int32_t)(child_mm - 1) % 30000, .child_mm = child_mm,
			  .followed = true } });
	mm = child_mm;
	for (uint32_t i = 0; i < 25; i++)
		push_mapping(++last_id, place(i + random_below(1000), 0),
			     i % 3 ? "" : "/usr/lib/libc.so.6", VMA_KIND_ANON, RECORD_PROT_WRITE);
	now += EPOCH_NS / 100;
	for (uint32_t i = 0; i < 40; i++)
		push((struct record){ .kind = RECORD_DIRTY,
			.addr = place(random_below(1000), random_below(100)), .npages = 2,
			.ts0 = begin, .dirty = { .epoch = 1, .vma = last_id - i % 25 } });
	push((struct record){ .kind = RECORD_EXIT,
			      .exit = { .code = 0, .signal = RECORD_UNKNOWN } });
}

static void make_churn(uint64_t records)
{
	for (uint32_t child_mm = 2; made < records; child_mm++)
		push_child(child_mm);
	mm = 1;
}

int main(int argc, char **argv)
{
	static const char *const modes[] = { "write", NULL }, *const none[] = { NULL };
	uint64_t records = argc == 4 ? strtoull(argv[2], NULL, 10) : 0;
	struct record_header h = {
		.version = "0", .host = "bench", .kernel = "0", .arch = "x86_64",
		.engine = "async", .page_size = PAGE, .modes = modes, .features = none,
		.events = none, .argv = none,
	};
	struct writer_result res;
	struct writer *w;
	struct sink *s;

	if (!records)
		return 2;
	h.engine = strcmp(argv[1], "sync") ? "async" : "sync";
	if (queue_new(&queue, 1u << 16) || sink_open(&s, argv[3]) ||
	    writer_start(&w, queue, s, &h, NULL, NULL))
		return 1;
	push_begin();
	if (!strcmp(h.engine, "sync"))
		make_sync(records);
	else if (!strcmp(argv[1], "churn"))
		make_churn(records);
	else
		make_async(records, !strcmp(argv[1], "who"));
	push((struct record){ .kind = RECORD_STATS, .stats = { .final = true,
			.distinct_pages = RECORD_UNKNOWN, .unwitnessed = RECORD_UNKNOWN,
			.slowdown_ppm = RECORD_UNKNOWN } });
	push((struct record){ .kind = RECORD_DETACH,
			      .detach = { .reason = DETACH_DURATION, .clean = true } });
	queue_close(queue);
	writer_finish(w, false, &res);
	if (sink_close(s) || res.records != made)
		return 1;
	queue_free(queue);
	return 0;
}
