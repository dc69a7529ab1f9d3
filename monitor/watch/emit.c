/* SPDX-License-Identifier: MIT */
/* Emit: the way of every record from the watcher to the queue.  See emit.h. */

#include "watch/emit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int emit_init(struct emit *e, struct queue *q, uint64_t base_ns, uint32_t page_size)
{
	*e = (struct emit){ .queue = q, .base_ns = base_ns, .page_size = page_size };
	e->held = calloc(EMIT_HOLD_MAX, sizeof(*e->held));
	return e->held ? 0 : -ENOMEM;
}

static void pass(struct emit *e, struct record *r)
{
	/* Stacks and names are lost with the faults that name them: no claim rests on them. */
	bool fault = r->kind == RECORD_FAULT || r->kind == RECORD_STACK ||
		     r->kind == RECORD_THREAD;

	if (!queue_push(e->queue, r) && !fault)
		e->dropped_layout = true;
}

/* Up to the first fork without a name that came after then. */
static void release_held(struct emit *e, uint64_t then)
{
	while (e->first < e->nheld && e->held[e->first].since <= then)
		pass(e, &e->held[e->first++].r);
	if (e->first == e->nheld)
		e->first = e->nheld = 0;
}

/* Always: where there is none, the one that has waited longest waits no more. */
static struct emit_held *room(struct emit *e)
{
	if (e->nheld == EMIT_HOLD_MAX && !e->first)
		release_held(e, e->held[0].since);
	if (e->nheld == EMIT_HOLD_MAX) {
		e->nheld -= e->first;
		memmove(e->held, e->held + e->first, e->nheld * sizeof(*e->held));
		e->first = 0;
	}
	return &e->held[e->nheld++];
}

void emit_done(struct emit *e)
{
	if (e->held)
		release_held(e, UINT64_MAX);
	free(e->held);
	e->held = NULL;
}

uint64_t emit_ts(const struct emit *e, uint64_t mono_ns)
{
	return mono_ns > e->base_ns ? mono_ns - e->base_ns : 0;
}

/* Some records are about an instant before their predecessor's; none goes back. */
static void keep_order(struct emit *e, struct record *r)
{
	if (r->ts < e->last_ts)
		r->ts = e->last_ts;
	e->last_ts = r->ts;
}

void emit_push(struct emit *e, struct record *r)
{
	keep_order(e, r);
	if (r->kind == RECORD_FAULT) {
		e->faults++;
		e->writes += r->fault.write;
	}
	if (e->first == e->nheld) {
		pass(e, r);
		return;
	}
	*room(e) = (struct emit_held){ .r = *r };
	/* The room may be that of the last one without a name. */
	release_held(e, 0);
}

void emit_hold(struct emit *e, struct record *r, uint64_t now)
{
	keep_order(e, r);
	*room(e) = (struct emit_held){ .r = *r, .since = now ? now : 1 };
}

void emit_named(struct emit *e, uint32_t child_mm, pid_t pid)
{
	for (unsigned int i = e->first; i < e->nheld; i++) {
		struct emit_held *h = &e->held[i];

		if (h->since && h->r.fork.child_mm == child_mm) {
			if (pid)
				h->r.fork.child = pid;
			h->since = 0;
		} else if (h->r.mm == child_mm && !h->r.pid) {
			h->r.pid = pid;
		}
	}
	release_held(e, 0);
}

void emit_expire(struct emit *e, uint64_t now)
{
	if (now >= emit_due(e))
		release_held(e, now - EMIT_HOLD_NS);
}

uint64_t emit_due(const struct emit *e)
{
	return e->first == e->nheld ? UINT64_MAX : e->held[e->first].since + EMIT_HOLD_NS;
}

void emit_kick(struct emit *e)
{
	queue_kick(e->queue);
}

static struct record blank(const struct emit *e, enum record_kind kind, pid_t pid, uint32_t mm,
			   uint64_t now)
{
	return (struct record){ .kind = kind, .pid = pid, .mm = mm, .ts = emit_ts(e, now) };
}

static void put_span(const struct emit *e, struct record *r, struct range span)
{
	r->addr = span.lo;
	r->npages = range_len(span) / e->page_size;
}

void emit_vma(struct emit *e, pid_t pid, uint32_t mm, uint64_t now, enum vma_op op,
	      const struct region *g)
{
	struct record r = blank(e, RECORD_VMA, pid, mm, now);

	put_span(e, &r, g->r);
	r.vma.id = g->id;
	r.vma.op = op;
	r.vma.kind = g->kind;
	r.vma.why = g->why;
	r.vma.prot = (uint8_t)g->prot;
	r.vma.watch = (g->modes || g->held) && g->why == WHY_NONE;
	r.vma.off = g->off;
	r.vma.ino = g->ino;
	r.text = record_text_new(g->name ? g->name : "", g->name_len,
				 (const char *)g->build_id, g->build_id_len);
	emit_push(e, &r);
}

void emit_arm(struct emit *e, pid_t pid, uint32_t mm, uint64_t t0, uint64_t now,
	      struct range span, enum arm_mode mode)
{
	struct record r = blank(e, RECORD_ARM, pid, mm, now);

	put_span(e, &r, span);
	r.ts0 = emit_ts(e, t0);
	r.arm.mode = mode;
	emit_push(e, &r);
}

void emit_dirty_runs(struct emit *e, pid_t pid, uint32_t mm, uint64_t t0, uint64_t now,
		     const struct range *runs, size_t n, uint32_t vma, uint64_t epoch)
{
	struct record r = blank(e, RECORD_DIRTY, pid, mm, now);
	unsigned int shift = (unsigned int)__builtin_ctz(e->page_size);
	struct record_run *to = NULL;

	r.ts0 = emit_ts(e, t0);
	r.dirty.vma = vma;
	r.dirty.epoch = epoch;
	put_span(e, &r, runs[0]);
	/* Without memory each has a record of its own. */
	if (n > 1)
		r.text = record_runs_new(n, &to);
	for (size_t i = 0; i < n; i++) {
		if (r.text) {
			to[i] = (struct record_run){ runs[i].lo, range_len(runs[i]) >> shift };
		} else {
			put_span(e, &r, runs[i]);
			emit_push(e, &r);
		}
	}
	if (r.text)
		emit_push(e, &r);
}

void emit_gap(struct emit *e, pid_t pid, uint32_t mm, uint64_t t0, uint64_t now,
	      struct range span, enum gap_reason reason)
{
	struct record r = blank(e, RECORD_GAP, pid, mm, now);

	put_span(e, &r, span);
	r.ts0 = emit_ts(e, t0);
	r.gap.reason = reason;
	emit_push(e, &r);
}

void emit_error(struct emit *e, pid_t pid, uint32_t mm, uint64_t now, int error,
		const char *what, const char *msg)
{
	struct record r = blank(e, RECORD_ERROR, pid, mm, now);

	r.error.error = error;
	r.text = record_text_new(what, strlen(what), msg, strlen(msg));
	emit_push(e, &r);
}
