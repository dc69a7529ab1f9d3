/* SPDX-License-Identifier: MIT */
/*
 * Record, plain: the kinds that carry numbers and our own words only.
 *
 * Pure.  Allocates nothing, so that what must be said when memory is short (lost,
 * gap, detach) can be said.  A test parses every line with jansson.
 */

#include <errno.h>
#include <string.h>

#include "trace/names.h"
#include "trace/record-parts.h"

#define line_key(l, key) line_lit(l, ",\"" key "\":")

/* Division by a power of two that is not known before run time costs 20 ns a fault. */
static inline uint64_t page_of(uint64_t addr, uint32_t page_size)
{
	if (page_size & (page_size - 1))
		return addr / page_size;
	return addr >> __builtin_ctz(page_size);
}

static inline void put_common(struct line *l, const struct record *r, uint64_t seq)
{
	line_key(l, "seq");
	line_u64(l, seq);
	line_key(l, "ts");
	line_u64(l, r->ts);
	line_key(l, "pid");
	line_i64(l, r->pid);
	line_key(l, "mm");
	line_u64(l, r->mm);
}

static inline void put_place(struct line *l, const struct record *r, uint32_t page_size)
{
	line_key(l, "addr");
	line_hex(l, r->addr);
	line_key(l, "page");
	line_u64(l, page_of(r->addr, page_size));
	line_key(l, "npages");
	line_u64(l, r->npages);
}

static void put_ts0(struct line *l, const struct record *r)
{
	line_key(l, "ts0");
	line_u64(l, r->ts0);
}

/* False: the value has no word. */
static bool put_named(struct line *l, enum names_set set, unsigned int value)
{
	const char *word = names_word(set, value);

	if (word)
		line_word(l, word);
	return word;
}

/* The words of the hot record, in quotes, ready to be copied whole. */
struct quoted {
	char text[16];
	unsigned int len;
};

#define QUOTED(n, w) { "\"" w "\"", sizeof(w) + 1 },

static const struct quoted fault_kinds[] = { PAGETAP_FAULT_KINDS(QUOTED) };
static const struct quoted fault_acts[] = { PAGETAP_FAULT_ACTS(QUOTED) };
static const struct quoted fault_vias[] = { PAGETAP_FAULT_VIAS(QUOTED) };
static const struct quoted fault_srcs[] = { PAGETAP_FAULT_SRCS(QUOTED) };

static inline void put_quoted(struct line *l, const struct quoted *q)
{
	memcpy(l->p, q->text, sizeof(q->text));
	l->p += q->len;
}

static void put_maybe(struct line *l, int64_t v)
{
	if (v == RECORD_UNKNOWN)
		line_lit(l, "null");
	else
		line_i64(l, v);
}

int record_put_fault(struct line *l, const struct record *r, uint64_t seq, uint32_t page_size)
{
	if (r->fault.kind >= FAULT_NR || r->fault.act >= ACT_NR || r->fault.via >= VIA_NR ||
	    r->fault.src >= SRC_NR)
		return -EINVAL;
	line_lit(l, "{\"ev\":\"fault\"");
	put_common(l, r, seq);
	line_key(l, "tid");
	line_i64(l, r->fault.tid);
	line_key(l, "kind");
	put_quoted(l, &fault_kinds[r->fault.kind]);
	line_key(l, "write");
	if (r->fault.unsure)
		line_lit(l, "null");
	else
		line_bool(l, r->fault.write);
	put_place(l, r, page_size);
	line_key(l, "vma");
	line_u64(l, r->fault.vma);
	line_key(l, "act");
	put_quoted(l, &fault_acts[r->fault.act]);
	line_key(l, "via");
	put_quoted(l, &fault_vias[r->fault.via]);
	if (r->fault.via == VIA_PERF) {
		line_lit(l, ",\"lat_ns\":null,\"stop_ns\":null");
		put_ts0(l, r);
	} else {
		line_key(l, "lat_ns");
		line_u64(l, r->fault.lat_ns);
		line_key(l, "stop_ns");
		line_u64(l, r->fault.stop_ns);
	}
	if (r->fault.ns_tid) {
		line_key(l, "ns_tid");
		line_i64(l, r->fault.ns_tid);
	}
	if (r->fault.ip) {
		line_key(l, "ip");
		line_hex(l, r->fault.ip);
	}
	if (r->fault.stack) {
		line_key(l, "stack");
		line_u64(l, r->fault.stack);
	}
	if (r->fault.src) {
		line_key(l, "src");
		put_quoted(l, &fault_srcs[r->fault.src]);
	}
	line_lit(l, "}\n");
	return 0;
}

static void put_stats(struct line *l, const struct record_stats *s)
{
	line_key(l, "final");
	line_bool(l, s->final);
	line_key(l, "faults");
	line_u64(l, s->faults);
	line_key(l, "writes");
	line_u64(l, s->writes);
	line_key(l, "lost");
	line_u64(l, s->lost);
	line_key(l, "repeats");
	line_u64(l, s->repeats);
	line_key(l, "lat_p50_ns");
	line_u64(l, s->lat_p50_ns);
	line_key(l, "lat_p99_ns");
	line_u64(l, s->lat_p99_ns);
	line_key(l, "stop_p99_ns");
	line_u64(l, s->stop_p99_ns);
	line_key(l, "dirty_pages");
	line_u64(l, s->dirty_pages);
	line_key(l, "distinct_pages");
	put_maybe(l, s->distinct_pages);
	line_key(l, "unwitnessed");
	put_maybe(l, s->unwitnessed);
	line_key(l, "slowdown_ppm");
	put_maybe(l, s->slowdown_ppm);
	line_key(l, "rss_kb");
	line_u64(l, s->rss_kb);
}

static void put_remap_target(struct line *l, const struct record *r, uint32_t page_size)
{
	line_key(l, "new_addr");
	line_hex(l, r->remap.new_addr);
	line_key(l, "new_page");
	line_u64(l, page_of(r->remap.new_addr, page_size));
}

/* Without memory for them there are none. */
static void put_stack(struct line *l, const struct record *r)
{
	size_t n = r->text ? r->text->len[0] / sizeof(uint64_t) : 0;
	uint64_t frame;

	line_key(l, "id");
	line_u64(l, r->stack.id);
	line_lit(l, ",\"frames\":[");
	for (size_t i = 0; i < n && i < RECORD_FRAMES_MAX; i++) {
		if (i)
			line_lit(l, ",");
		memcpy(&frame, r->text->bytes + i * sizeof(frame), sizeof(frame));
		line_hex(l, frame);
	}
	line_lit(l, "]");
}

static void put_budget(struct line *l, const struct record *r)
{
	put_ts0(l, r);
	line_key(l, "budget_ppm");
	line_u64(l, r->budget.budget_ppm);
	line_key(l, "slowdown_ppm");
	line_u64(l, r->budget.slowdown_ppm);
	line_key(l, "epoch_ns");
	line_u64(l, r->budget.epoch_ns);
	line_key(l, "cold_every");
	line_u64(l, r->budget.cold_every);
	line_key(l, "resting");
	line_bool(l, r->budget.resting);
	line_key(l, "sync");
	line_bool(l, r->budget.sync);
}

static void put_fork(struct line *l, const struct record *r)
{
	line_key(l, "child");
	put_maybe(l, r->fork.child);
	line_key(l, "child_mm");
	line_u64(l, r->fork.child_mm);
	line_key(l, "followed");
	line_bool(l, r->fork.followed);
}

static void put_exit(struct line *l, const struct record *r)
{
	line_key(l, "code");
	put_maybe(l, r->exit.code);
	line_key(l, "signal");
	put_maybe(l, r->exit.signal);
}

static bool put_lost(struct line *l, const struct record *r)
{
	bool ok;

	line_key(l, "reason");
	ok = put_named(l, NAMES_LOST_REASON, r->lost.reason);
	line_key(l, "n");
	put_maybe(l, r->lost.n);
	line_key(l, "faults");
	put_maybe(l, r->lost.faults);
	return ok;
}

/* The span with its interval; a gap of the whole address space has no span. */
static void put_span(struct line *l, const struct record *r, uint32_t page_size)
{
	put_ts0(l, r);
	if (r->kind != RECORD_GAP || r->npages)
		put_place(l, r, page_size);
}

static bool put_body(struct line *l, const struct record *r, uint32_t page_size)
{
	switch ((enum record_kind)r->kind) {
	case RECORD_ARM:
		put_span(l, r, page_size);
		line_key(l, "mode");
		return put_named(l, NAMES_ARM_MODE, r->arm.mode);
	case RECORD_DIRTY:
		line_key(l, "epoch");
		line_u64(l, r->dirty.epoch);
		put_span(l, r, page_size);
		line_key(l, "vma");
		line_u64(l, r->dirty.vma);
		return true;
	case RECORD_FORK:
		put_fork(l, r);
		return true;
	case RECORD_EXIT:
		put_exit(l, r);
		return true;
	case RECORD_REMAP:
		put_span(l, r, page_size);
		put_remap_target(l, r, page_size);
		return true;
	case RECORD_REMOVE:
	case RECORD_UNMAP:
		put_span(l, r, page_size);
		return true;
	case RECORD_GAP:
		put_span(l, r, page_size);
		line_key(l, "reason");
		return put_named(l, NAMES_GAP_REASON, r->gap.reason);
	case RECORD_LOST:
		return put_lost(l, r);
	case RECORD_STATS:
		put_stats(l, &r->stats);
		return true;
	case RECORD_STACK:
		put_stack(l, r);
		return true;
	case RECORD_BUDGET:
		put_budget(l, r);
		return true;
	case RECORD_DETACH:
		line_key(l, "reason");
		if (!put_named(l, NAMES_DETACH_REASON, r->detach.reason))
			return false;
		line_key(l, "clean");
		line_bool(l, r->detach.clean);
		return true;
	default:
		return false;
	}
}

int record_put_plain(struct line *l, const struct record *r, uint64_t seq, uint32_t page_size)
{
	const char *ev = record_kind_name(r->kind);

	if (!ev)
		return -EINVAL;
	line_lit(l, "{\"ev\":");
	line_word(l, ev);
	put_common(l, r, seq);
	if (!put_body(l, r, page_size))
		return -EINVAL;
	line_lit(l, "}\n");
	return 0;
}
