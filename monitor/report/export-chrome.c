/* SPDX-License-Identifier: MIT */
/*
 * Export, chrome: the trace event format, for Perfetto and chrome://tracing.
 *
 * A thread is a track.  A fault that a thread waited for lasts as long as it stood still; one
 * that was only seen is a point.  Gaps last from ts0 to ts, whatever else happens.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "report/export.h"
#include "report/keys.h"
#include "report/tally.h"

/* Of the synchronous engine: the rate of writes is told for each such time. */
#define BIN_NS UINT64_C(100000000)

/* What an address space wrote of late. */
struct rate {
	int32_t pid;
	uint64_t begin, end;	/* ns */
	uint64_t epoch;		/* of the asynchronous engine */
	uint64_t pages;
};

struct chrome {
	enum tally_engine engine;
	struct keys threads;	/* whose name has been told */
	struct keys spaces;
	struct rate *rates;
	size_t room;
	bool any;
};

static void next_event(struct export *e, const char *phase, const char *category)
{
	struct chrome *c = e->state;

	pen_text(e->pen, c->any ? ",\n" : "\n");
	pen_format(e->pen, "{\"ph\":\"%s\",\"cat\":\"%s\"", phase, category);
	c->any = true;
}

static void where(struct export *e, int32_t pid, int32_t tid, uint64_t ts)
{
	pen_format(e->pen, ",\"pid\":%d,\"tid\":%d,\"ts\":", pid, tid ? tid : pid);
	pen_micros(e->pen, ts);
}

static void string(struct pen *p, const char *key, struct model_text t)
{
	pen_format(p, "\"%s\":", key);
	pen_json(p, t.s ? t.s : "", t.len);
}

static void metadata(struct export *e, const char *what, int32_t pid, int32_t tid,
		     struct model_text name)
{
	next_event(e, "M", "__metadata");
	where(e, pid, tid, 0);
	pen_format(e->pen, ",\"name\":\"%s\",\"args\":{", what);
	string(e->pen, "name", name);
	pen_text(e->pen, "}}");
}

/* Before the first event of a track its name. */
static int introduce(struct export *e, const struct record *r, int32_t tid)
{
	struct chrome *c = e->state;
	char number[16];
	uint32_t index;
	int new = keys_index(&c->threads, (uint32_t)r->pid, UINT64_MAX, &index);

	if (new < 0)
		return new;
	if (new)
		metadata(e, "process_name", r->pid, r->pid,
			 export_comm(e, r, 0, number, sizeof(number)));
	tid = tid ? tid : r->pid;
	new = keys_index(&c->threads, (uint32_t)r->pid, (uint32_t)tid, &index);
	if (new > 0)
		metadata(e, "thread_name", r->pid, tid,
			 export_comm(e, r, tid, number, sizeof(number)));
	return new < 0 ? new : 0;
}

/* ---- rates ---------------------------------------------------------------------- */

static void write_rate(struct export *e, const struct rate *rate, uint64_t ts, uint64_t value)
{
	next_event(e, "C", "rate");
	where(e, rate->pid, 0, ts);
	pen_format(e->pen, ",\"name\":\"written pages/s\",\"args\":{\"pages\":%" PRIu64 "}}",
		   value);
}

static void close_rate(struct export *e, struct rate *rate)
{
	uint64_t ns = rate->end > rate->begin ? rate->end - rate->begin : 1;

	if (!rate->pages)
		return;
	/* Rounded. */
	write_rate(e, rate, rate->begin, clock_rate((double)rate->pages + (double)ns / 2e9, ns));
	rate->pages = 0;
}

static int count(struct export *e, const struct record *r)
{
	struct chrome *c = e->state;
	uint64_t n = tally_written(c->engine, r);
	bool dirty = r->kind == RECORD_DIRTY;
	struct rate *rate;
	uint32_t i;
	int new;

	if (!n)
		return 0;
	new = keys_index(&c->spaces, r->mm, (uint32_t)r->pid, &i);
	if (new < 0)
		return new;
	if (new) {
		rate = keys_room(c->rates, i, &c->room, sizeof(*rate));
		if (!rate)
			return -ENOMEM;
		c->rates = rate;
		c->rates[i] = (struct rate){ .pid = r->pid };
	}
	rate = &c->rates[i];
	if (dirty ? rate->epoch != r->dirty.epoch : r->ts >= rate->end) {
		close_rate(e, rate);
		/* Nothing in between is a rate, too. */
		if (rate->end && (dirty ? r->ts0 : r->ts / BIN_NS * BIN_NS) > rate->end)
			write_rate(e, rate, rate->end, 0);
		rate->begin = dirty ? r->ts0 : r->ts / BIN_NS * BIN_NS;
		rate->end = rate->begin + BIN_NS;
		rate->epoch = dirty ? r->dirty.epoch : 0;
	}
	if (dirty)
		rate->end = r->ts;
	rate->pages += n;
	return 0;
}

/* ---- events --------------------------------------------------------------------- */

static void write_place(struct export *e, const struct record *r)
{
	const struct model_vma *v = model_place(e->model, r);

	pen_format(e->pen, "\"addr\":\"0x%" PRIx64 "\",\"npages\":%" PRIu64, r->addr, r->npages);
	if (!v)
		return;
	pen_text(e->pen, ",");
	string(e->pen, "mapping", v->label->text);
	if (r->addr >= v->lo)
		pen_format(e->pen, ",\"offset\":\"0x%" PRIx64 "\"", r->addr - v->lo);
}

static int write_fault(struct export *e, const struct record *r)
{
	const char *kind = fault_kind_name(r->fault.kind);
	bool waited = r->fault.via != VIA_PERF;
	uint64_t stop = r->fault.stop_ns < r->ts ? r->fault.stop_ns : r->ts;
	struct pen *p = e->pen;
	const struct symbol *s;
	int err = introduce(e, r, r->fault.tid);

	if (!err)
		err = export_function(e, r, &s);
	if (err)
		return err;
	next_event(e, waited ? "X" : "i", "fault");
	where(e, r->pid, r->fault.tid, waited ? r->ts - stop : r->ts0);
	if (waited) {
		pen_text(p, ",\"dur\":");
		pen_micros(p, stop);
	} else {
		pen_text(p, ",\"s\":\"t\"");
	}
	pen_format(p, ",\"name\":\"%s\",\"args\":{", r->fault.write ? "write" : kind);
	write_place(e, r);
	pen_format(p, ",\"kind\":\"%s\",\"act\":\"%s\"", kind, fault_act_name(r->fault.act));
	if (waited) {
		pen_text(p, ",\"lat_us\":");
		pen_micros(p, r->fault.lat_ns);
	}
	if (r->fault.ip)
		pen_format(p, ",\"ip\":\"0x%" PRIx64 "\"", r->fault.ip);
	if (s) {
		pen_text(p, ",");
		string(p, "function", (struct model_text){ strlen(s->function), s->function });
	}
	if (s && s->file) {
		pen_text(p, ",");
		string(p, "source", (struct model_text){ strlen(s->file), s->file });
		pen_format(p, ",\"line\":%u", s->line);
	}
	pen_text(p, "}}");
	return 0;
}

/* A blind spot: two events that belong together by their id. */
static void write_gap(struct export *e, const struct reader_record *rec)
{
	const struct record *r = &rec->record;

	for (int half = 0; half < 2; half++) {
		next_event(e, half ? "e" : "b", "gap");
		where(e, r->pid, 0, half ? r->ts : r->ts0);
		pen_format(e->pen, ",\"id\":\"0x%" PRIx64 "\",\"name\":\"gap: %s\",\"args\":{",
			   rec->seq, gap_reason_name(r->gap.reason));
		if (!half && r->npages)
			write_place(e, r);
		pen_text(e->pen, "}}");
	}
}

/* An event of the process (p) or of all (g), which lasts no time; args is left open. */
static void instant(struct export *e, const struct record *r, char scope, const char *category,
		    const char *name)
{
	next_event(e, "i", category);
	where(e, r->pid, 0, r->ts);
	pen_format(e->pen, ",\"s\":\"%c\",\"name\":\"%s\",\"args\":{", scope, name);
}

static void write_text(struct export *e, const struct record *r, const char *key)
{
	if (r->text)
		string(e->pen, key, (struct model_text){ r->text->len[0], r->text->bytes });
}

static void write_layout(struct export *e, const struct record *r)
{
	instant(e, r, 'p', "layout", record_kind_name(r->kind));
	write_place(e, r);
	if (r->kind == RECORD_REMAP)
		pen_format(e->pen, ",\"new_addr\":\"0x%" PRIx64 "\"", r->remap.new_addr);
	pen_text(e->pen, "}}");
}

static void write_process(struct export *e, const struct record *r)
{
	instant(e, r, 'p', "process", record_kind_name(r->kind));
	if (r->kind == RECORD_FORK && r->fork.child > 0)
		pen_format(e->pen, "\"child\":%" PRId64, r->fork.child);
	if (r->kind == RECORD_EXEC || r->kind == RECORD_ATTACH)
		write_text(e, r, "comm");
	if (r->kind == RECORD_EXIT && r->exit.code != RECORD_UNKNOWN)
		pen_format(e->pen, "\"code\":%" PRId64, r->exit.code);
	else if (r->kind == RECORD_EXIT && r->exit.signal != RECORD_UNKNOWN)
		pen_format(e->pen, "\"signal\":%" PRId64, r->exit.signal);
	pen_text(e->pen, "}}");
}

static void write_trouble(struct export *e, const struct record *r)
{
	instant(e, r, 'g', "trouble", record_kind_name(r->kind));
	if (r->kind == RECORD_LOST && r->lost.n >= 0)
		pen_format(e->pen, "\"n\":%" PRId64 ",", r->lost.n);
	if (r->kind == RECORD_LOST)
		pen_format(e->pen, "\"reason\":\"%s\"", lost_reason_name(r->lost.reason));
	if (r->kind == RECORD_ERROR)
		write_text(e, r, "what");
	if (r->kind == RECORD_DETACH)
		pen_format(e->pen, "\"reason\":\"%s\"", detach_reason_name(r->detach.reason));
	pen_text(e->pen, "}}");
}

static int record(struct export *e, const struct reader_record *rec, bool picked)
{
	const struct record *r = &rec->record;
	int err = 0;

	if (!picked)
		return 0;
	switch ((enum record_kind)r->kind) {
	case RECORD_FAULT:
		err = write_fault(e, r);
		return err ? err : count(e, r);
	case RECORD_DIRTY:
		err = introduce(e, r, 0);
		return err ? err : count(e, r);
	case RECORD_GAP:
		err = introduce(e, r, 0);
		write_gap(e, rec);
		return err;
	case RECORD_REMAP:
	case RECORD_REMOVE:
	case RECORD_UNMAP:
		write_layout(e, r);
		return 0;
	case RECORD_ATTACH:
	case RECORD_FORK:
	case RECORD_EXEC:
	case RECORD_EXIT:
		err = introduce(e, r, 0);
		write_process(e, r);
		return err;
	case RECORD_LOST:
	case RECORD_ERROR:
	case RECORD_DETACH:
		write_trouble(e, r);
		return 0;
	default:
		return 0;
	}
}

static int begin(struct export *e)
{
	const struct reader_header *h = e->header;
	struct chrome *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	e->state = c;
	c->engine = tally_engine_of(h);
	pen_text(e->pen, "{\"displayTimeUnit\":\"ms\",\"otherData\":{");
	string(e->pen, "tool", (struct model_text){ strlen(h->tool), h->tool });
	pen_text(e->pen, ",");
	string(e->pen, "host", (struct model_text){ strlen(h->host), h->host });
	pen_text(e->pen, ",");
	string(e->pen, "kernel", (struct model_text){ strlen(h->kernel), h->kernel });
	pen_text(e->pen, ",");
	string(e->pen, "engine", (struct model_text){ strlen(h->engine), h->engine });
	pen_format(e->pen, ",\"base_mono_ns\":\"%" PRIu64 "\"},\n\"traceEvents\":[",
		   h->base_mono_ns);
	return 0;
}

static int end(struct export *e)
{
	struct chrome *c = e->state;

	for (size_t i = 0; i < c->spaces.n; i++) {
		uint64_t at = c->rates[i].end;

		close_rate(e, &c->rates[i]);
		write_rate(e, &c->rates[i], at, 0);
	}
	pen_text(e->pen, "\n]}\n");
	return 0;
}

static void done(struct export *e)
{
	struct chrome *c = e->state;

	if (!c)
		return;
	keys_done(&c->threads);
	keys_done(&c->spaces);
	free(c->rates);
	free(c);
}

const struct export_form export_chrome = { "chrome", begin, record, end, done };
