/* SPDX-License-Identifier: MIT */
/*
 * Reader, fields: a table of what each kind has, and one function that reads it.
 *
 * Pure.  The table is the twin of trace-1.schema.json; a test compares them.
 */

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "trace/line.h"
#include "trace/names.h"
#include "trace/reader-parts.h"

enum field_type {
	FIELD_U64,
	FIELD_U32,
	FIELD_I32,
	FIELD_PID,	/* int32_t, 0 is nobody */
	FIELD_BOOL,
	FIELD_UNSURE,	/* two bools: true or false, and whether it is null */
	FIELD_MAYBE,	/* int64_t, null is RECORD_UNKNOWN */
	FIELD_MAYBE_U32,	/* null is 0 */
	FIELD_LARGE,	/* uint64_t; null: look under key_hex */
	FIELD_HEX,
	FIELD_PAGE,	/* the address at the offset, divided by the page size */
	FIELD_PROT,
	FIELD_WORD,	/* uint8_t of `set` */
};

struct field {
	const char *key, *key_hex;
	enum field_type type;
	size_t offset;
	enum names_set set;
	bool optional, nullable;	/* null is 0 */
};

#define AT(m) .offset = offsetof(struct record, m)

static_assert(offsetof(struct record, fault.unsure) ==
	      offsetof(struct record, fault.write) + sizeof(bool), "FIELD_UNSURE");

#define SPAN                                                                           \
	{ "addr", .type = FIELD_HEX, AT(addr) },                                       \
	{ "page", .type = FIELD_PAGE, AT(addr) },                                      \
	{ "npages", .type = FIELD_U64, AT(npages) }
#define TS0 { "ts0", .type = FIELD_U64, AT(ts0) }

static const struct field common_fields[] = {
	{ "ts", .type = FIELD_U64, AT(ts) },
	{ "pid", .type = FIELD_PID, AT(pid) },
	{ "mm", .type = FIELD_U32, AT(mm) },
	{ .key = NULL },
};

static const struct field attach_fields[] = {
	{ "ppid", .type = FIELD_PID, AT(attach.ppid) },
	{ "threads", .type = FIELD_U32, AT(attach.threads) },
	{ "vmas", .type = FIELD_U32, AT(attach.vmas) },
	{ "stop_ns", .type = FIELD_U64, AT(attach.stop_ns) },
	{ "image_pid", .type = FIELD_PID, AT(attach.image_pid), .optional = true },
	{ .key = NULL },
};

static const struct field vma_fields[] = {
	{ "id", .type = FIELD_U32, AT(vma.id) },
	{ "op", .type = FIELD_WORD, AT(vma.op), .set = NAMES_VMA_OP },
	SPAN,
	{ "prot", .type = FIELD_PROT, AT(vma.prot) },
	{ "off", .key_hex = "off_hex", .type = FIELD_LARGE, AT(vma.off) },
	{ "ino", .key_hex = "ino_hex", .type = FIELD_LARGE, AT(vma.ino) },
	{ "kind", .type = FIELD_WORD, AT(vma.kind), .set = NAMES_VMA_KIND },
	{ "watch", .type = FIELD_BOOL, AT(vma.watch) },
	{ "why", .type = FIELD_WORD, AT(vma.why), .set = NAMES_VMA_WHY, .optional = true },
	{ .key = NULL },
};

static const struct field arm_fields[] = {
	TS0, SPAN,
	{ "mode", .type = FIELD_WORD, AT(arm.mode), .set = NAMES_ARM_MODE },
	{ .key = NULL },
};

static const struct field fault_fields[] = {
	{ "tid", .type = FIELD_PID, AT(fault.tid) },
	{ "kind", .type = FIELD_WORD, AT(fault.kind), .set = NAMES_FAULT_KIND },
	{ "write", .type = FIELD_UNSURE, AT(fault.write) },
	SPAN,
	{ "vma", .type = FIELD_U32, AT(fault.vma) },
	{ "act", .type = FIELD_WORD, AT(fault.act), .set = NAMES_FAULT_ACT },
	{ "via", .type = FIELD_WORD, AT(fault.via), .set = NAMES_FAULT_VIA },
	{ "lat_ns", .type = FIELD_U32, AT(fault.lat_ns), .nullable = true },
	{ "stop_ns", .type = FIELD_U64, AT(fault.stop_ns), .nullable = true },
	{ "ts0", .type = FIELD_U64, AT(ts0), .optional = true },
	{ "ns_tid", .type = FIELD_PID, AT(fault.ns_tid), .optional = true },
	{ "ip", .type = FIELD_HEX, AT(fault.ip), .optional = true },
	{ "stack", .type = FIELD_U32, AT(fault.stack), .optional = true },
	{ "src", .type = FIELD_WORD, AT(fault.src), .set = NAMES_FAULT_SRC, .optional = true },
	{ .key = NULL },
};

static const struct field dirty_fields[] = {
	{ "epoch", .type = FIELD_U64, AT(dirty.epoch) },
	TS0, SPAN,
	{ "vma", .type = FIELD_U32, AT(dirty.vma) },
	{ .key = NULL },
};

static const struct field fork_fields[] = {
	{ "child", .type = FIELD_MAYBE, AT(fork.child) },
	{ "child_mm", .type = FIELD_U32, AT(fork.child_mm) },
	{ "followed", .type = FIELD_BOOL, AT(fork.followed) },
	{ .key = NULL },
};

static const struct field exec_fields[] = {
	{ "new_mm", .type = FIELD_MAYBE_U32, AT(exec.new_mm) },
	{ .key = NULL },
};

static const struct field exit_fields[] = {
	{ "code", .type = FIELD_MAYBE, AT(exit.code) },
	{ "signal", .type = FIELD_MAYBE, AT(exit.signal) },
	{ .key = NULL },
};

static const struct field remap_fields[] = {
	TS0, SPAN,
	{ "new_addr", .type = FIELD_HEX, AT(remap.new_addr) },
	{ "new_page", .type = FIELD_PAGE, AT(remap.new_addr) },
	{ .key = NULL },
};

static const struct field span_fields[] = { TS0, SPAN, { .key = NULL } };

/* One of the whole address space has no span, or all of it. */
static const struct field gap_fields[] = {
	TS0,
	{ "addr", .type = FIELD_HEX, AT(addr), .optional = true },
	{ "page", .type = FIELD_PAGE, AT(addr), .optional = true },
	{ "npages", .type = FIELD_U64, AT(npages), .optional = true },
	{ "reason", .type = FIELD_WORD, AT(gap.reason), .set = NAMES_GAP_REASON },
	{ .key = NULL },
};

static const struct field lost_fields[] = {
	{ "reason", .type = FIELD_WORD, AT(lost.reason), .set = NAMES_LOST_REASON },
	{ "n", .type = FIELD_MAYBE, AT(lost.n) },
	{ "faults", .type = FIELD_MAYBE, AT(lost.faults) },
	{ .key = NULL },
};

static const struct field error_fields[] = {
	{ "errno", .type = FIELD_I32, AT(error.error) },
	{ .key = NULL },
};

static const struct field stats_fields[] = {
	{ "final", .type = FIELD_BOOL, AT(stats.final) },
	{ "faults", .type = FIELD_U64, AT(stats.faults) },
	{ "writes", .type = FIELD_U64, AT(stats.writes) },
	{ "lost", .type = FIELD_U64, AT(stats.lost) },
	{ "repeats", .type = FIELD_U64, AT(stats.repeats) },
	{ "lat_p50_ns", .type = FIELD_U32, AT(stats.lat_p50_ns) },
	{ "lat_p99_ns", .type = FIELD_U32, AT(stats.lat_p99_ns) },
	{ "stop_p99_ns", .type = FIELD_U32, AT(stats.stop_p99_ns) },
	{ "dirty_pages", .type = FIELD_U64, AT(stats.dirty_pages) },
	{ "distinct_pages", .type = FIELD_MAYBE, AT(stats.distinct_pages), .optional = true },
	{ "unwitnessed", .type = FIELD_MAYBE, AT(stats.unwitnessed), .optional = true },
	{ "slowdown_ppm", .type = FIELD_MAYBE, AT(stats.slowdown_ppm), .optional = true },
	{ "rss_kb", .type = FIELD_U32, AT(stats.rss_kb) },
	{ .key = NULL },
};

static const struct field detach_fields[] = {
	{ "reason", .type = FIELD_WORD, AT(detach.reason), .set = NAMES_DETACH_REASON },
	{ "clean", .type = FIELD_BOOL, AT(detach.clean) },
	{ .key = NULL },
};

static const struct field stack_fields[] = {
	{ "id", .type = FIELD_U32, AT(stack.id) },
	{ .key = NULL },
};

static const struct field thread_fields[] = {
	{ "tid", .type = FIELD_PID, AT(thread.tid) },
	{ .key = NULL },
};

static const struct field budget_fields[] = {
	TS0,
	{ "budget_ppm", .type = FIELD_U64, AT(budget.budget_ppm) },
	{ "slowdown_ppm", .type = FIELD_U64, AT(budget.slowdown_ppm) },
	{ "epoch_ns", .type = FIELD_U64, AT(budget.epoch_ns) },
	{ "cold_every", .type = FIELD_U32, AT(budget.cold_every) },
	{ "resting", .type = FIELD_BOOL, AT(budget.resting) },
	{ "sync", .type = FIELD_BOOL, AT(budget.sync) },
	{ .key = NULL },
};

static const struct field *const fields_of[RECORD_NR] = {
	[RECORD_ATTACH] = attach_fields, [RECORD_VMA] = vma_fields,
	[RECORD_ARM] = arm_fields, [RECORD_FAULT] = fault_fields,
	[RECORD_DIRTY] = dirty_fields, [RECORD_FORK] = fork_fields,
	[RECORD_EXEC] = exec_fields, [RECORD_EXIT] = exit_fields,
	[RECORD_REMAP] = remap_fields, [RECORD_REMOVE] = span_fields,
	[RECORD_UNMAP] = span_fields, [RECORD_GAP] = gap_fields,
	[RECORD_LOST] = lost_fields, [RECORD_ERROR] = error_fields,
	[RECORD_STATS] = stats_fields, [RECORD_DETACH] = detach_fields,
	[RECORD_STACK] = stack_fields, [RECORD_BUDGET] = budget_fields,
	[RECORD_THREAD] = thread_fields,
};

/* An integer from lo to hi. */
static bool integer(const json_t *j, int64_t lo, int64_t hi, int64_t *ret)
{
	if (!json_is_integer(j))
		return false;
	*ret = json_integer_value(j);
	return *ret >= lo && *ret <= hi;
}

static bool read_prot(const json_t *j, uint8_t *ret)
{
	static const char letters[] = "rwx";
	const char *s = json_string_value(j);
	uint8_t prot = 0;

	if (!s || json_string_length(j) != 4)
		return false;
	for (unsigned int i = 0; i < 3; i++) {
		if (s[i] != letters[i] && s[i] != '-')
			return false;
		prot |= (uint8_t)((s[i] != '-') << i);
	}
	if (s[3] != 's' && s[3] != 'p')
		return false;
	*ret = prot | (s[3] == 's' ? RECORD_PROT_SHARED : 0);
	return true;
}

static bool read_word(const json_t *j, enum names_set set, uint8_t *ret)
{
	int v = -1;

	if (json_is_string(j))
		v = names_find(set, json_string_value(j), json_string_length(j));
	*ret = (uint8_t)v;
	return v >= 0;
}

static bool read_large(const json_t *o, const struct field *f, const json_t *j, uint64_t *ret)
{
	int64_t v = 0;

	if (json_is_null(j))
		return reader_hex(json_object_get(o, f->key_hex), ret) && *ret > LINE_INT_MAX;
	if (!integer(j, 0, (int64_t)LINE_INT_MAX, &v))
		return false;
	*ret = (uint64_t)v;
	return true;
}

static bool read_maybe(const json_t *j, int64_t *ret)
{
	if (!json_is_null(j))
		return integer(j, -(int64_t)LINE_INT_MAX, (int64_t)LINE_INT_MAX, ret);
	*ret = RECORD_UNKNOWN;
	return true;
}

/* False: not of its type, or out of its range. */
static bool read_field(json_t *o, const struct field *f, json_t *j, uint32_t page_size,
		       struct record *r)
{
	void *at = (char *)r + f->offset;
	int64_t v = 0;
	bool ok;

	switch (f->type) {
	case FIELD_U64:
		ok = integer(j, 0, (int64_t)LINE_INT_MAX, &v);
		*(uint64_t *)at = (uint64_t)v;
		return ok;
	case FIELD_MAYBE_U32:
	case FIELD_U32:
		ok = (f->type == FIELD_MAYBE_U32 && json_is_null(j)) ||
		     integer(j, f->type == FIELD_MAYBE_U32, UINT32_MAX, &v);
		*(uint32_t *)at = (uint32_t)v;
		return ok;
	case FIELD_PID:
	case FIELD_I32:
		ok = integer(j, f->type == FIELD_PID ? 0 : INT32_MIN, INT32_MAX, &v);
		*(int32_t *)at = (int32_t)v;
		return ok;
	case FIELD_UNSURE:
		((bool *)at)[0] = json_is_true(j);
		((bool *)at)[1] = json_is_null(j);
		return json_is_boolean(j) || json_is_null(j);
	case FIELD_BOOL:
		*(bool *)at = json_is_true(j);
		return json_is_boolean(j);
	case FIELD_MAYBE:
		return read_maybe(j, at);
	case FIELD_LARGE:
		return read_large(o, f, j, at);
	case FIELD_HEX:
		return reader_hex(j, at);
	case FIELD_PAGE:
		return integer(j, 0, (int64_t)LINE_INT_MAX, &v) &&
		       (uint64_t)v == *(uint64_t *)at / page_size;
	case FIELD_PROT:
		return read_prot(j, at);
	case FIELD_WORD:
		return read_word(j, f->set, at);
	}
	return false;
}

static int read_all(json_t *o, const struct field *f, uint32_t page_size, struct record *r,
		    struct reader_error *ret_error)
{
	for (; f->key; f++) {
		json_t *j = json_object_get(o, f->key);

		if ((!j && f->optional) || (f->nullable && json_is_null(j)))
			continue;
		if (!j)
			return reader_complain(ret_error, "key \"%s\" is missing", f->key);
		if (read_field(o, f, j, page_size, r))
			continue;
		if (f->type == FIELD_PAGE)
			return reader_complain(ret_error, "\"%s\" is not its address divided by "
					       "the page size", f->key);
		return reader_complain(ret_error, "\"%s\" has no value that it may have", f->key);
	}
	return 0;
}

/* Spans are whole pages and do not wrap; a fault may be anywhere in its page. */
static int check_span(const json_t *o, const struct record *r, uint32_t page_size,
		      struct reader_error *ret_error)
{
	bool addr = json_object_get(o, "addr"), npages = json_object_get(o, "npages");
	bool page = json_object_get(o, "page");
	uint64_t bytes, hi;

	if (r->kind == RECORD_GAP && (addr != page || addr != npages))
		return reader_complain(ret_error, "half a span");
	if (!addr || !npages)
		return 0;
	if (r->kind != RECORD_FAULT && r->addr % page_size)
		return reader_complain(ret_error, "\"addr\" is not the begin of a page");
	if (!r->npages || __builtin_mul_overflow(r->npages, page_size, &bytes) ||
	    __builtin_add_overflow(r->addr, bytes - 1, &hi))
		return reader_complain(ret_error, "\"npages\" is no length for that address");
	if (r->kind == RECORD_REMAP && (r->remap.new_addr % page_size ||
					__builtin_add_overflow(r->remap.new_addr, bytes - 1, &hi)))
		return reader_complain(ret_error, "\"new_addr\" cannot hold the span");
	return 0;
}

static bool negative(int64_t v)
{
	return v < 0 && v != RECORD_UNKNOWN;
}

static int check_meaning(const json_t *o, const struct record *r, struct reader_error *ret_error)
{
	if (r->kind == RECORD_VMA && !r->vma.watch && !json_object_get(o, "why"))
		return reader_complain(ret_error, "a mapping that is not watched has no \"why\"");
	if (r->kind == RECORD_VMA && !r->vma.id)
		return reader_complain(ret_error, "\"id\" is 0, which is no mapping");
	if (r->kind == RECORD_STACK && !r->stack.id)
		return reader_complain(ret_error, "\"id\" is 0, which is no stack");
	if (r->kind == RECORD_LOST && (negative(r->lost.n) || negative(r->lost.faults)))
		return reader_complain(ret_error, "a negative number of records was lost");
	if (json_object_get(o, "ts0") && r->ts0 > r->ts)
		return reader_complain(ret_error, "the interval ends before it begins");
	return 0;
}

int reader_common(json_t *o, struct reader_record *ret, struct reader_error *ret_error)
{
	int64_t seq;

	if (!integer(json_object_get(o, "seq"), 1, (int64_t)LINE_INT_MAX, &seq))
		return reader_complain(ret_error, "\"seq\" is missing or no number from 1 on");
	ret->seq = (uint64_t)seq;
	return read_all(o, common_fields, 1, &ret->record, ret_error);
}

int reader_fields(json_t *o, uint32_t page_size, struct reader_record *ret,
		  struct reader_error *ret_error)
{
	struct record *r = &ret->record;
	int err = read_all(o, fields_of[r->kind], page_size, r, ret_error);

	if (!err)
		err = check_span(o, r, page_size, ret_error);
	if (!err)
		err = check_meaning(o, r, ret_error);
	if (!err)
		err = reader_text(o, r, ret_error);
	return err;
}
