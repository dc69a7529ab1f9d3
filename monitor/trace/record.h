/* SPDX-License-Identifier: MIT */
/*
 * Record: one line of the trace as a fixed-size struct, and its text.
 *
 * Pure: no fd, no clock, no log.  The fault thread fills the struct; the writer
 * thread gives it its seq and turns it into JSON.  The format is pagetap-trace(5).
 */
#ifndef TRACE_RECORD_H
#define TRACE_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pagetap/trace.h"

/*
 * Bytes chosen by the target, at most two strings (name; comm and exe; what and
 * msg).  One heap block; owned by the record, freed by record_release().
 */
struct record_text {
	uint32_t len[2];
	char bytes[];	/* both strings after one another, no NULs */
};

#define RECORD_UNKNOWN INT64_MIN	/* a count, code or pid nobody can tell: null */

struct record_stats {
	uint64_t faults;	/* fault records made: written + lost */
	uint64_t writes;	/* of those, write:true */
	uint64_t lost;		/* records that never reach the file, all reasons */
	uint64_t repeats;	/* messages that repeated a fault already reported */
	uint64_t dirty_pages;	/* pages written since they were last armed */
	int64_t distinct_pages;	/* of those found dirty, each counted once; or RECORD_UNKNOWN */
	int64_t unwitnessed;	/* of those found dirty, without a witness; or RECORD_UNKNOWN */
	int64_t slowdown_ppm;	/* of the targets, as estimated; or RECORD_UNKNOWN */
	uint32_t lat_p50_ns, lat_p99_ns, stop_p99_ns;
	uint32_t rss_kb;	/* of the monitor */
	bool final;
};

struct record {
	uint8_t kind;		/* enum record_kind */
	int32_t pid;		/* tgid as the monitor sees it */
	uint32_t mm;		/* never reused within a trace */
	uint64_t ts;		/* ns since the base of the trace */
	uint64_t ts0;		/* begin of the interval, where the kind has one */
	uint64_t addr;		/* span: first byte; fault: exact address */
	uint64_t npages;	/* span: length; 0 = the whole mm (gap) */
	union {
		struct {
			uint64_t stop_ns;
			uint64_t ip;		/* VIA_PERF: the instruction; 0 = unknown */
			uint32_t lat_ns;
			uint32_t vma;		/* vma id; 0 = unknown */
			uint32_t stack;		/* VIA_PERF: id of its stack; 0 = none */
			int32_t tid;
			int32_t ns_tid;		/* 0 = same as tid, not written */
			uint8_t kind, act, via;	/* enum fault_* */
			uint8_t src;		/* SRC_NONE: no restore, not written */
			bool write;
			bool unsure;		/* or only a read: write is null */
		} fault;		/* VIA_PERF: ts0 is when it happened; nobody waited */
		struct {
			uint64_t off, ino;
			uint32_t id;
			uint8_t op, kind, why;	/* enum vma_* */
			uint8_t prot;		/* RECORD_PROT_* */
			bool watch;
		} vma;				/* text: name, build id (raw) */
		struct {
			uint64_t stop_ns;
			int32_t ppid;
			int32_t image_pid;	/* of a restore; 0 = not written */
			uint32_t threads, vmas;
		} attach;			/* text: comm, exe */
		struct { uint8_t mode; } arm;
		struct { uint64_t epoch; uint32_t vma; } dirty;	/* text: see record_runs_new() */
		struct { int64_t child; uint32_t child_mm; bool followed; } fork;
		struct { uint32_t new_mm; } exec;	/* 0 = not followed; text: comm, exe */
		struct { int64_t code; int64_t signal; } exit;	/* RECORD_UNKNOWN = null */
		struct { uint64_t new_addr; } remap;
		struct { uint8_t reason; } gap;
		struct { int64_t n; int64_t faults; uint8_t reason; } lost;
		struct { int32_t error; } error;	/* text: what, msg */
		struct record_stats stats;
		struct { uint8_t reason; bool clean; } detach;
		struct { uint32_t id; } stack;	/* text: frames, 8 bytes each */
		struct { int32_t tid; } thread;	/* text: comm */
		struct {
			uint64_t budget_ppm, slowdown_ppm, epoch_ns;
			uint32_t cold_every;
			bool resting, sync;
		} budget;
	};
	struct record_text *text;	/* owned; NULL: the kind has none, or no memory (null) */
};

enum {
	RECORD_PROT_READ = 1,
	RECORD_PROT_WRITE = 2,
	RECORD_PROT_EXEC = 4,
	RECORD_PROT_SHARED = 8,
};

/* What line 1 says.  Strings are borrowed. */
struct record_header {
	const char *version, *host, *kernel, *arch, *engine;
	const char *engine_why;		/* why it is not the one that is the rule; NULL: it is */
	uint64_t base_mono_ns;		/* the base of every ts, CLOCK_MONOTONIC */
	uint64_t base_real_ns;		/* the same instant, CLOCK_REALTIME */
	uint32_t page_size;
	uint32_t granularity;		/* pages told of as one; 0 and 1 are not written */
	const char *const *modes;	/* NULL-terminated lists */
	const char *const *features;
	const char *const *events;	/* kinds kept by -e */
	const char *const *argv;
};

/* The word for a value of an enum of pagetap/trace.h; NULL out of range. */
const char *record_kind_name(unsigned int v);
const char *fault_kind_name(unsigned int v);
const char *fault_act_name(unsigned int v);
const char *fault_via_name(unsigned int v);
const char *vma_op_name(unsigned int v);
const char *vma_kind_name(unsigned int v);
const char *vma_why_name(unsigned int v);
const char *arm_mode_name(unsigned int v);
const char *gap_reason_name(unsigned int v);
const char *lost_reason_name(unsigned int v);
const char *detach_reason_name(unsigned int v);

/* One heap block with one or two strings (b may be NULL); NULL when out of memory. */
struct record_text *record_text_new(const char *a, size_t alen, const char *b, size_t blen);

/*
 * The text of a stack: n addresses, innermost first, RECORD_FRAMES_MAX at most (what
 * is beyond is left out).  NULL when out of memory.
 */
#define RECORD_FRAMES_MAX 127
struct record_text *record_frames_new(const uint64_t *frames, size_t n);

/*
 * A dirty record may stand for many, which differ in their span alone: they are its text.
 * So what a scan of memory finds goes its way as one.  NULL when out of memory.
 */
struct record_run {
	uint64_t addr, npages;
};
#define RECORD_RUNS_MAX 65536
struct record_text *record_runs_new(size_t n, struct record_run **ret_runs);
/* For how many lines it stands; and which record is that of line i, without text. */
size_t record_lines(const struct record *r);
struct record record_line(const struct record *r, size_t i);

/* Free what the record owns. */
void record_release(struct record *r);

/*
 * Bytes of text, both strings together, that a line can hold; what is beyond is cut
 * off and the line says `cut`.  No path of the kernel's is longer than 4,096.
 */
#define RECORD_TEXT_MAX 7680

/*
 * The line of one record, newline included, written to buf.  Returns its length,
 * -ENOSPC if cap is too small (RECORD_LINE_MAX always suffices for kinds without
 * text), -ENOMEM, or -EINVAL for a record that breaks the format.
 */
#define RECORD_LINE_MAX 1024
#define RECORD_STACK_LINE_MAX \
	(RECORD_LINE_MAX + RECORD_FRAMES_MAX * sizeof("\"0x0123456789abcdef\","))
#define RECORD_TEXT_LINE_MAX (64 * 1024)
int64_t record_format(const struct record *r, uint64_t seq, uint32_t page_size,
		      char *buf, size_t cap);
int64_t record_format_header(const struct record_header *h, char *buf, size_t cap);

#endif
