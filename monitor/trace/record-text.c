/* SPDX-License-Identifier: MIT */
/*
 * Record, text: the kinds that carry bytes chosen by somebody else.
 *
 * Pure.  Always through jansson: escaping is where home-made writers go wrong.
 */

#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "base/clock.h"
#include "trace/record-json.h"
#include "trace/record-parts.h"

/* A text of the record and how much of it fits a line. */
struct text {
	const char *bytes;	/* NULL: it could not be kept */
	size_t len;
	bool cut;
};

/*
 * A byte becomes eight at worst ("\u001b" and two digits of name_hex), so this
 * many bytes of text, both strings together, always fit RECORD_TEXT_LINE_MAX.
 */
static struct text text_of(const struct record *r, unsigned int which)
{
	size_t limit = RECORD_TEXT_MAX / 2;
	struct text t = { 0 };

	if (!r->text)
		return t;
	t.bytes = r->text->bytes + (which ? r->text->len[0] : 0);
	t.len = r->text->len[which];
	if (r->text->len[!which] < limit)
		limit = RECORD_TEXT_MAX - r->text->len[!which];
	if (t.len > limit) {
		t.len = limit;
		t.cut = true;
	}
	return t;
}

static int put_text(json_t *o, const char *key, const char *key_hex, struct text t)
{
	if (!t.bytes)
		return json_object_set_new(o, key, json_null());
	return record_json_text(o, key, key_hex, t.bytes, t.len);
}

static int put_names(json_t *o, const struct record *r)
{
	struct text comm = text_of(r, 0), exe = text_of(r, 1);
	int err = put_text(o, "comm", "comm_hex", comm) | put_text(o, "exe", "exe_hex", exe);

	if (comm.cut || exe.cut)
		err |= json_object_set_new(o, "cut", json_true());
	return err;
}

static int put_vma(json_t *o, const struct record *r, uint32_t page_size)
{
	const unsigned int prot = r->vma.prot;
	const char rights[] = {
		prot & RECORD_PROT_READ ? 'r' : '-',
		prot & RECORD_PROT_WRITE ? 'w' : '-',
		prot & RECORD_PROT_EXEC ? 'x' : '-',
		prot & RECORD_PROT_SHARED ? 's' : 'p',
		'\0',
	};
	struct text name = text_of(r, 0), build_id = text_of(r, 1);
	int err;

	err = record_json_int(o, "id", r->vma.id) |
	      record_json_word(o, "op", vma_op_name(r->vma.op)) |
	      record_json_hex(o, "addr", r->addr) |
	      record_json_int(o, "page", r->addr / page_size) |
	      record_json_int(o, "npages", r->npages) |
	      record_json_word(o, "prot", rights) |
	      put_text(o, "name", "name_hex", name) |
	      record_json_large(o, "off", "off_hex", r->vma.off) |
	      record_json_large(o, "ino", "ino_hex", r->vma.ino) |
	      record_json_word(o, "kind", vma_kind_name(r->vma.kind)) |
	      json_object_set_new(o, "watch", json_boolean(r->vma.watch));
	if (!r->vma.watch)
		err |= record_json_word(o, "why", vma_why_name(r->vma.why));
	if (build_id.len)
		err |= record_json_raw(o, "build_id", build_id.bytes, build_id.len);
	if (name.cut)
		err |= json_object_set_new(o, "cut", json_true());
	return err;
}

static int put_attach(json_t *o, const struct record *r)
{
	int err = put_names(o, r) |
		  json_object_set_new(o, "ppid", json_integer(r->attach.ppid)) |
		  record_json_int(o, "threads", r->attach.threads) |
		  record_json_int(o, "vmas", r->attach.vmas) |
		  record_json_int(o, "stop_ns", r->attach.stop_ns);

	if (!r->attach.image_pid)
		return err;
	return err | json_object_set_new(o, "image_pid", json_integer(r->attach.image_pid));
}

static int put_exec(json_t *o, const struct record *r)
{
	int err = put_names(o, r);

	if (!r->exec.new_mm)
		return err | json_object_set_new(o, "new_mm", json_null());
	return err | record_json_int(o, "new_mm", r->exec.new_mm);
}

static int put_thread(json_t *o, const struct record *r)
{
	struct text comm = text_of(r, 0);
	int err = json_object_set_new(o, "tid", json_integer(r->thread.tid)) |
		  put_text(o, "comm", "comm_hex", comm);

	if (comm.cut)
		err |= json_object_set_new(o, "cut", json_true());
	return err;
}

static int put_error(json_t *o, const struct record *r)
{
	struct text what = text_of(r, 0), msg = text_of(r, 1);
	int err;

	err = put_text(o, "what", "what_hex", what) |
	      json_object_set_new(o, "errno", json_integer(r->error.error)) |
	      put_text(o, "msg", "msg_hex", msg);
	if (what.cut || msg.cut)
		err |= json_object_set_new(o, "cut", json_true());
	return err;
}

static bool words_exist(const struct record *r)
{
	return r->kind != RECORD_VMA ||
	       (vma_op_name(r->vma.op) && vma_kind_name(r->vma.kind) &&
		vma_why_name(r->vma.why));
}

static bool numbers_fit(const struct record *r, uint64_t seq)
{
	return seq <= LINE_INT_MAX && r->ts <= LINE_INT_MAX && r->npages <= LINE_INT_MAX &&
	       (r->kind != RECORD_ATTACH || r->attach.stop_ns <= LINE_INT_MAX);
}

int64_t record_format_text(const struct record *r, uint64_t seq, uint32_t page_size, char *buf,
			   size_t cap)
{
	_json_ json_t *o = NULL;
	int err;

	if (!words_exist(r) || !numbers_fit(r, seq))
		return -EINVAL;
	o = json_object();
	err = record_json_word(o, "ev", record_kind_name(r->kind)) |
	      record_json_int(o, "seq", seq) |
	      record_json_int(o, "ts", r->ts) |
	      json_object_set_new(o, "pid", json_integer(r->pid)) |
	      record_json_int(o, "mm", r->mm);
	if (r->kind == RECORD_ATTACH)
		err |= put_attach(o, r);
	else if (r->kind == RECORD_VMA)
		err |= put_vma(o, r, page_size);
	else if (r->kind == RECORD_EXEC)
		err |= put_exec(o, r);
	else if (r->kind == RECORD_THREAD)
		err |= put_thread(o, r);
	else
		err |= put_error(o, r);
	return err ? -ENOMEM : record_json_line(o, buf, cap);
}

/* RFC 3339 in UTC with nanoseconds: 2026-03-01T12:00:00.000000001Z */
static int put_wall_clock(json_t *o, const char *key, uint64_t real_ns)
{
	time_t sec = (time_t)(real_ns / NSEC_PER_SEC);
	char day[32], text[64];
	struct tm tm;

	if (!gmtime_r(&sec, &tm) || !strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &tm))
		return -1;
	snprintf(text, sizeof(text), "%s.%09uZ", day, (unsigned int)(real_ns % NSEC_PER_SEC));
	return record_json_word(o, key, text);
}

static int put_header_text(json_t *o, const char *key, const char *key_hex, const char *text)
{
	return record_json_text(o, key, key_hex, text ? text : "", text ? strlen(text) : 0);
}

int64_t record_format_header(const struct record_header *h, char *buf, size_t cap)
{
	_json_ json_t *o = NULL;
	int err;

	if (!h->page_size)
		return -EINVAL;
	o = json_object();
	err = record_json_word(o, "ev", record_kind_name(RECORD_HEADER)) |
	      record_json_word(o, "schema", PAGETAP_TRACE_SCHEMA) |
	      record_json_word(o, "tool", "pagetap") |
	      put_header_text(o, "version", "version_hex", h->version) |
	      record_json_word(o, "clock", "CLOCK_MONOTONIC") |
	      /* Passes 2^53 after 104 days of uptime. */
	      record_json_large(o, "base_mono_ns", "base_mono_hex", h->base_mono_ns) |
	      put_wall_clock(o, "base_real", h->base_real_ns) |
	      record_json_int(o, "page_size", h->page_size) |
	      put_header_text(o, "host", "host_hex", h->host) |
	      put_header_text(o, "kernel", "kernel_hex", h->kernel) |
	      put_header_text(o, "arch", "arch_hex", h->arch) |
	      put_header_text(o, "engine", "engine_hex", h->engine) |
	      (h->engine_why ? put_header_text(o, "engine_why", "engine_why_hex", h->engine_why) :
			       0) |
	      (h->granularity > 1 ? record_json_int(o, "granularity", h->granularity) : 0) |
	      record_json_texts(o, "modes", "modes_hex", h->modes) |
	      record_json_texts(o, "features", "features_hex", h->features) |
	      record_json_texts(o, "events", "events_hex", h->events) |
	      record_json_texts(o, "argv", "argv_hex", h->argv);
	return err ? -ENOMEM : record_json_line(o, buf, cap);
}
