/* SPDX-License-Identifier: MIT */
/* Chronicle: what happens, as records on the queue.  See chronicle.h. */

#include "restore/chronicle.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "restore/chronicle-parts.h"

static uint64_t page_of(uint64_t addr)
{
	return align_down(addr, IMAGE_PAGE);
}

struct record chronicle_record(const struct chronicle *c, const struct chronicle_space *s,
			       enum record_kind kind)
{
	return (struct record){
		.kind = (uint8_t)kind,
		.pid = s ? s->pid : 0,
		.mm = s ? s->mm : 0,
		.ts = clock_now() - c->base_ns,
	};
}

void chronicle_push(struct chronicle *c, struct record *r)
{
	queue_push(c->queue, r);
}

int chronicle_new(const struct chronicle_setup *setup, struct chronicle **ret)
{
	struct chronicle *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->queue = setup->queue;
	c->base_ns = setup->base_ns;
	c->stats_at = clock_now() + NSEC_PER_SEC;
	*ret = c;
	return 0;
}

void chronicle_free(struct chronicle *c)
{
	struct chronicle_space *s;

	if (!c)
		return;
	while ((s = c->spaces)) {
		c->spaces = s->next;
		chronicle_space_free(s);
	}
	free(c);
}

/* What cannot be followed for want of memory: nothing is claimed of it any more. */
static void give_up(struct chronicle *c, struct chronicle_space *s)
{
	struct record r = chronicle_record(c, s, RECORD_GAP);

	r.ts0 = r.ts;
	r.gap.reason = GAP_RESYNC;
	chronicle_push(c, &r);
	spans_done(&s->covered);
	spans_init(&s->covered);
}

static void tell_attach(struct chronicle *c, const struct chronicle_space *s,
			const struct tenant *t)
{
	struct record r = chronicle_record(c, s, RECORD_ATTACH);
	struct chronicle_facts f;

	chronicle_facts(s->pid, &f);
	r.attach.ppid = f.ppid;
	r.attach.threads = f.threads;
	r.attach.vmas = (uint32_t)t->task->nvmas;
	r.attach.image_pid = t->pid;
	if (f.there)
		r.text = record_text_new(f.comm, f.comm_len, f.exe, f.exe_len);
	chronicle_push(c, &r);
}

void chronicle_begin(struct chronicle *c, struct tenant *t)
{
	struct chronicle_space *s = chronicle_space_new(c, t->host_pid);

	t->told = s;
	if (!s)
		return;
	tell_attach(c, s, t);
	chronicle_space_map(c, s, t->task);
}

void chronicle_arm(struct chronicle *c, struct tenant *t, struct range span, uint64_t ts0)
{
	struct chronicle_space *s = t->told;
	struct record r;

	if (!s || s->over ||
	    spans_add(&s->covered, span.lo / IMAGE_PAGE, span.hi / IMAGE_PAGE))
		return;
	r = chronicle_record(c, s, RECORD_ARM);
	r.ts0 = ts0 - c->base_ns;
	r.addr = span.lo;
	r.npages = range_len(span) / IMAGE_PAGE;
	r.arm.mode = ARM_WP;
	chronicle_push(c, &r);
}

static void begin_child(struct chronicle *c, struct chronicle_space *parent,
			struct tenant *child)
{
	struct record r = chronicle_record(c, parent, RECORD_FORK);
	struct chronicle_space *s = child ? chronicle_space_new(c, 0) : NULL;

	r.fork.child = RECORD_UNKNOWN;
	r.fork.child_mm = s ? s->mm : 0;
	r.fork.followed = s;
	chronicle_push(c, &r);
	if (!s)
		return;
	child->told = s;
	if (chronicle_space_copy(c, s, parent))
		give_up(c, s);
}

static void tell_span(struct chronicle *c, const struct chronicle_space *s, enum record_kind kind,
		      struct range span, uint64_t ts0, uint64_t to)
{
	struct record r = chronicle_record(c, s, kind);

	r.ts0 = ts0 > c->base_ns ? ts0 - c->base_ns : 0;
	r.addr = span.lo;
	r.npages = range_len(span) / IMAGE_PAGE;
	if (kind == RECORD_REMAP)
		r.remap.new_addr = to;
	chronicle_push(c, &r);
}

/* Whose page has no place any more waits for nothing that could be told. */
static void forget_waiters(struct chronicle *c, const struct tenant *t, struct range r)
{
	for (unsigned int i = 0; i < c->nwaiters;)
		if (c->waiters[i].tenant == t && range_has(r, c->waiters[i].touch.addr))
			c->waiters[i] = c->waiters[--c->nwaiters];
		else
			i++;
}

static void change(struct chronicle *c, const struct tenant *t, const struct tenant_change *ch,
		   uint64_t ts0)
{
	struct chronicle_space *s = t->told;
	struct range from = ch->ev.kind == EVENT_REMAP ? ch->ev.remap.from : ch->ev.span;
	uint64_t lo = from.lo / IMAGE_PAGE, hi = from.hi / IMAGE_PAGE;
	int r;

	if (range_empty(from))
		return;
	forget_waiters(c, t, from);
	switch (ch->ev.kind) {
	case EVENT_UNMAP:
		tell_span(c, s, RECORD_UNMAP, from, ts0, 0);
		chronicle_space_cut(c, s, from);
		r = spans_remove(&s->covered, lo, hi);
		break;
	case EVENT_REMOVE:
		tell_span(c, s, RECORD_REMOVE, from, ts0, 0);
		r = spans_remove(&s->covered, lo, hi);
		break;
	default:
		tell_span(c, s, RECORD_REMAP, from, ts0, ch->ev.remap.to);
		chronicle_space_move(c, s, from, ch->ev.remap.to);
		r = spans_move(&s->covered, lo, hi, ch->ev.remap.to / IMAGE_PAGE);
	}
	if (r)
		give_up(c, s);
}

void chronicle_changes(struct chronicle *c, struct tenant *t, const struct tenant_news *news,
		       uint64_t ts0)
{
	for (unsigned int i = 0; t->told && i < news->nchanges; i++) {
		if (news->changes[i].ev.kind == EVENT_FORK)
			begin_child(c, t->told, news->changes[i].child);
		else
			change(c, t, &news->changes[i], ts0);
	}
}

static const struct {
	uint8_t act;
	bool told;
} acts[] = {
	[TENANT_DID_NOTHING] = { ACT_NONE, false },
	[TENANT_DID_COPY] = { ACT_COPY, true },
	[TENANT_DID_ZERO] = { ACT_ZEROPAGE, true },
	[TENANT_DID_POISON] = { ACT_POISON, true },
	[TENANT_DID_UNPROTECT] = { ACT_UNPROTECT, true },
	[TENANT_DID_REPEAT] = { ACT_WAKE, false },
};

/* Is it the first write of a page that is armed?  Then it is not, any more. */
static bool first_write(struct chronicle *c, struct chronicle_space *s, uint64_t addr)
{
	uint64_t page = addr / IMAGE_PAGE;

	if (!spans_has(&s->covered, page))
		return false;
	c->written++;
	if (spans_remove(&s->covered, page, page + 1))
		give_up(c, s);
	return true;
}

void chronicle_touch(struct chronicle *c, const struct tenant *t,
		     const struct tenant_touch *touch, enum tenant_deed deed, bool remote,
		     uint64_t since, uint64_t read)
{
	struct chronicle_space *s = t->told;
	uint64_t now = clock_now();
	struct record r = {
		.kind = RECORD_FAULT, .ts = now - c->base_ns, .npages = 1,
		.addr = page_of(touch->addr),
	};
	bool first = false;

	if (!s || s->over)
		return;
	if (touch->write && acts[deed].told)
		first = first_write(c, s, touch->addr);
	/* Two threads wrote the page at once, and both were told of: one is. */
	if (!acts[deed].told || (touch->wp && !first)) {
		c->repeats += deed != TENANT_DID_NOTHING;
		return;
	}
	r.pid = s->pid;
	r.mm = s->mm;
	r.fault.kind = touch->wp ? FAULT_WP : FAULT_MISSING;
	r.fault.act = acts[deed].act;
	r.fault.via = VIA_UFFD;
	r.fault.write = touch->write;
	if (deed == TENANT_DID_COPY)
		r.fault.src = remote ? SRC_REMOTE : SRC_LOCAL;
	r.fault.vma = chronicle_space_find(s, touch->addr);
	r.fault.stop_ns = now - since;
	r.fault.lat_ns = now - read < UINT32_MAX ? (uint32_t)(now - read) : UINT32_MAX;
	c->faults++;
	c->writes += touch->write;
	latency_add(&c->lat, now - read);
	latency_add(&c->stop, now - since);
	chronicle_push(c, &r);
}

bool chronicle_room(const struct chronicle *c)
{
	return c->nwaiters < CHRONICLE_WAITERS;
}

void chronicle_wait(struct chronicle *c, struct tenant *t, const struct tenant_touch *touch,
		    uint64_t since, uint64_t read)
{
	for (unsigned int i = 0; i < c->nwaiters; i++)
		if (c->waiters[i].tenant == t &&
		    page_of(c->waiters[i].touch.addr) == page_of(touch->addr)) {
			c->repeats++;
			return;
		}
	if (t->told && chronicle_room(c))
		c->waiters[c->nwaiters++] = (struct chronicle_waiter){ t, *touch, since, read };
}

static bool is_owed(struct tenant *t, uint64_t addr)
{
	struct owed_part part;
	bool owed;

	pthread_mutex_lock(&t->lock);
	owed = owed_find(&t->owed, addr, &part);
	pthread_mutex_unlock(&t->lock);
	return owed;
}

void chronicle_came(struct chronicle *c, struct tenant *t, const struct tenant_touch *first,
		    enum tenant_deed deed)
{
	for (unsigned int i = 0; i < c->nwaiters;) {
		struct chronicle_waiter *w = &c->waiters[i], old = *w;
		enum tenant_deed what = deed;

		if (w->tenant != t || (!t->gone && is_owed(t, page_of(w->touch.addr)))) {
			i++;
			continue;
		}
		*w = c->waiters[--c->nwaiters];
		/*
		 * Who reads a page that came along with another's has what he wants; who writes
		 * to one that is protected comes again, and is told of then.
		 */
		if (deed != TENANT_DID_POISON &&
		    (!first || page_of(first->addr) != page_of(old.touch.addr)))
			what = t->wp && old.touch.write ? TENANT_DID_REPEAT : TENANT_DID_COPY;
		chronicle_touch(c, t, &old.touch, what, true, old.since, old.read);
	}
}

void chronicle_gone(struct chronicle *c, const struct tenant *t)
{
	struct chronicle_space *s = t->told;
	struct chronicle_facts f;
	struct record r;

	if (!s || s->over)
		return;
	forget_waiters(c, t, (struct range){ 0, UINT64_MAX });
	chronicle_facts(s->pid, &f);
	r = chronicle_record(c, s, f.there ? RECORD_EXEC : RECORD_EXIT);
	if (f.there)
		r.text = record_text_new(f.comm, f.comm_len, f.exe, f.exe_len);
	else
		r.exit.code = r.exit.signal = RECORD_UNKNOWN;
	s->over = true;
	chronicle_push(c, &r);
}

static uint32_t to_u32(uint64_t n)
{
	return n < UINT32_MAX ? (uint32_t)n : UINT32_MAX;
}

/* Memory of this process, statm of proc_pid_statm(5). */
static uint32_t rss_kb(void)
{
	unsigned long size, resident = 0;
	FILE *f = fopen("/proc/self/statm", "re");

	if (!f)
		return 0;
	if (fscanf(f, "%lu %lu", &size, &resident) != 2)
		resident = 0;
	fclose(f);
	return to_u32(resident * (uint64_t)sysconf(_SC_PAGESIZE) / 1024);
}

static void tell_stats(struct chronicle *c, bool final)
{
	struct record r = chronicle_record(c, NULL, RECORD_STATS);

	r.stats = (struct record_stats){
		.faults = c->faults, .writes = c->writes, .repeats = c->repeats,
		.dirty_pages = c->written, .distinct_pages = RECORD_UNKNOWN,
		.unwitnessed = RECORD_UNKNOWN, .slowdown_ppm = RECORD_UNKNOWN,
		.lat_p50_ns = to_u32(latency_quantile(&c->lat, 500)),
		.lat_p99_ns = to_u32(latency_quantile(&c->lat, 990)),
		.stop_p99_ns = to_u32(latency_quantile(&c->stop, 990)),
		.rss_kb = rss_kb(), .final = final,
	};
	chronicle_push(c, &r);
}

void chronicle_turn(struct chronicle *c)
{
	uint64_t now = clock_now();

	if (now < c->stats_at)
		return;
	c->stats_at = now + NSEC_PER_SEC;
	tell_stats(c, false);
	queue_kick(c->queue);
}

void chronicle_kick(struct chronicle *c)
{
	queue_kick(c->queue);
}

void chronicle_end(struct chronicle *c, enum detach_reason reason, bool clean)
{
	struct record r;

	tell_stats(c, true);
	r = chronicle_record(c, NULL, RECORD_DETACH);
	r.detach.reason = (uint8_t)reason;
	r.detach.clean = clean;
	chronicle_push(c, &r);
	queue_close(c->queue);
}
