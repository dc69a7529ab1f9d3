/* SPDX-License-Identifier: MIT */
/* Who: touches by page, oldest overwritten first.  See who.h. */

#include "watch/who.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "watch/stacks.h"

/* Touches of one page that are looked at; of more the last ones. */
#define CROWD 64
#define THREADS 4096u
#define HUGE (2u << 20)

/*
 * Half a cache line: of a storm most of the time goes into waiting for memory.  Of the
 * way through user space 57 bits are used at most, of a pid 22 (PID_MAX_LIMIT).
 */
struct touch {
	uint64_t time;
	uint64_t addr : 57;
	uint64_t told : 1;	/* a pass has asked for it */
	uint64_t wrote : 1;	/* or meant to; else it is not known */
	uint64_t ahead : 1;	/* told with another of its page, and may be of the epoch after */
	uint64_t pid : 22, tid : 22;
	int64_t other : 20;	/* this far away is a later one of its thread; 0: not known */
	uint32_t below;		/* this far back is the one before it in its chain; 0: none */
	uint32_t stack;
};

_Static_assert(sizeof(struct touch) == 32, "two of them in a cache line");
#define TOUCHES_MAX (1u << 19)	/* of `other` */

struct last_of_thread {
	uint64_t touch;		/* as `next` counts */
	pid_t tid;
};

struct who {
	struct touch *v;	/* a ring: touch n is v[n & mask] */
	uint32_t *heads;	/* by page: the latest touch of a chain, its low bits */
	struct last_of_thread threads[THREADS];
	struct stacks *stacks;
	uint64_t next, done;	/* of the ring: where to put, and until where passes are over */
	uint64_t lost_until, unwitnessed;
	uint32_t mask, page;
};

/* In huge pages: what is looked for is anywhere, and a table walk is as dear as a miss. */
static void *table_new(size_t bytes)
{
	void *v = aligned_alloc(HUGE, align_up(bytes, HUGE));

	/* Refused where the kernel has none. */
	if (v)
		madvise(v, bytes, MADV_HUGEPAGE);
	return v;
}

int who_new(struct who **ret, uint32_t touches, uint32_t base_page)
{
	struct who *w = touches > TOUCHES_MAX ? NULL : calloc(1, sizeof(*w));

	if (!w)
		return touches > TOUCHES_MAX ? -EINVAL : -ENOMEM;
	w->mask = touches - 1;
	w->page = base_page;
	w->next = w->done = touches;	/* a chain ends at 0 */
	w->v = table_new(touches * sizeof(*w->v));
	w->heads = table_new(touches * sizeof(*w->heads));
	if (!w->v || !w->heads || stacks_new(&w->stacks, WHO_CHAINS, WHO_FRAMES) < 0) {
		who_free(w);
		return -ENOMEM;
	}
	memset(w->heads, 0, touches * sizeof(*w->heads));
	*ret = w;
	return 0;
}

struct who *who_free(struct who *w)
{
	if (!w)
		return NULL;
	stacks_free(w->stacks);
	free(w->v);
	free(w->heads);
	free(w);
	return NULL;
}

/*
 * Neighbours are neighbours here too: a pass asks for one after the other.  Each 4 GiB
 * of each process begin somewhere else.
 */
static uint32_t *chain_of(const struct who *w, pid_t pid, uint64_t page)
{
	uint64_t n = page / w->page;
	uint64_t far = (n >> 20 ^ (uint64_t)pid << 40) * UINT64_C(0x9e3779b97f4a7c15);

	return &w->heads[(n + (far >> 32)) & w->mask];
}

/* It has not been overwritten, and a pass may ask for it. */
static bool is_there(const struct who *w, uint64_t n)
{
	return n >= w->done && n < w->next;
}

/* The latest of a chain.  One of 2^32 touches ago may be taken for it: others pass it. */
static uint64_t latest(const struct who *w, uint32_t head)
{
	return w->next - (uint32_t)((uint32_t)w->next - head);
}

/* A thread's fault is over when it has another one; the rings are not in order of time. */
static void note_thread(struct who *w, struct touch *t, uint64_t n)
{
	struct last_of_thread *l = &w->threads[(uint32_t)t->tid % THREADS];
	struct touch *last = &w->v[l->touch & w->mask];

	if (l->tid == (pid_t)t->tid && is_there(w, l->touch)) {
		if (last->time > t->time) {
			t->other = (int64_t)(l->touch - n);
			return;
		}
		if (last->time < t->time)
			last->other = (int64_t)(n - l->touch);
	}
	*l = (struct last_of_thread){ n, (pid_t)t->tid };
}

/* The fault had ended by then.  What has come to be there instead is later still. */
static uint64_t over(const struct who *w, const struct touch *t)
{
	const struct touch *o = &w->v[(uint64_t)(t - w->v + t->other) & w->mask];

	return t->other && o->tid == t->tid && o->time > t->time ? o->time : UINT64_MAX;
}

void who_touch(struct who *w, const struct witness_event *ev)
{
	struct touch *t = &w->v[w->next & w->mask];
	uint32_t *head = chain_of(w, ev->pid, align_down(ev->touch.addr, w->page));
	uint64_t before = latest(w, *head);

	if (ev->touch.access == WITNESS_READ)
		return;
	/* No pass has asked for it yet: it is as good as lost. */
	if (w->next - w->done > w->mask) {
		who_lost(w, t->time);
		w->done++;
	}
	*t = (struct touch){
		.addr = ev->touch.addr,
		.time = ev->time,
		.wrote = ev->touch.access == WITNESS_WRITE,
		.below = is_there(w, before) ? (uint32_t)(w->next - before) : 0,
		.pid = (uint32_t)ev->pid,
		.tid = (uint32_t)ev->tid,
		.stack = stacks_number(w->stacks, (uint32_t)ev->pid, ev),
	};
	note_thread(w, t, w->next);
	*head = (uint32_t)w->next++;
}

void who_lost(struct who *w, uint64_t time)
{
	if (time > w->lost_until)
		w->lost_until = time;
}

struct crowd {
	struct touch *v[CROWD];		/* by time, the last one first */
	struct touch *ahead;		/* told with the pass before; NULL: there is none */
	unsigned int n;
	bool any;			/* told or not */
};

static void put(struct crowd *c, struct touch *t)
{
	unsigned int at = c->n;

	if (c->n < CROWD)
		c->n++;
	else if (c->v[--at]->time > t->time)
		return;
	for (; at && c->v[at - 1]->time < t->time; at--)
		c->v[at] = c->v[at - 1];
	c->v[at] = t;
}

/* Of the base page, with those in their faults at r->t0 that had begun `flight` before. */
static void gather(struct who *w, const struct who_run *r, uint64_t page, uint64_t flight,
		   struct crowd *c)
{
	uint64_t n = latest(w, *chain_of(w, r->pid, page));
	uint64_t after = r->t0 > flight ? r->t0 - flight : 0;

	while (is_there(w, n)) {
		struct touch *t = &w->v[n & w->mask];

		n -= t->below ? t->below : n;
		if ((pid_t)t->pid != r->pid || align_down(t->addr, w->page) != page ||
		    t->time <= after || t->time > r->t1 || (flight && over(w, t) <= r->t0))
			continue;
		c->any = true;
		if (t->ahead && !flight)
			c->ahead = t;
		if (!t->told)
			put(c, t);
		t->told = true;
	}
}

static void gather_all(struct who *w, const struct who_run *r, uint64_t page, uint64_t flight,
		       struct crowd *c)
{
	for (uint64_t at = page; at < page + r->page_size; at += w->page)
		gather(w, r, at, flight, c);
}

/*
 * The last touch came while the pass was there, and is of this epoch or of the next one.  If
 * of the next, the one before the pass came is the write: both are told, and the page has
 * its witness when it is found dirty once more.
 */
static struct touch *look_ahead(struct crowd *c, uint64_t begun)
{
	struct touch *before = NULL;

	for (unsigned int i = 1; i < c->n && !before; i++)
		if (c->v[i]->time < begun)
			before = c->v[i];
	if (c->v[0]->time < begun || (!before && !c->ahead))
		return NULL;
	c->v[0]->ahead = true;
	if (c->ahead)
		c->ahead->ahead = false;
	return c->ahead ? NULL : before;
}

/*
 * The kernel follows frame pointers, and where a function keeps none it follows what it
 * finds in that register.  The first frame is the instruction itself.  A return address
 * may be the first byte after its function's mapping: the call is before it.
 */
static size_t in_code(const void *arg, const uint64_t *frames, size_t n)
{
	const struct layout *l = arg;
	const struct region *g;
	size_t i;

	for (i = 1; i < n && l; i++) {
		g = layout_find(l, frames[i] - 1);
		if (!g || !(g->prot & RECORD_PROT_EXEC))
			break;
	}
	return l ? i : n;
}

/* Its number in the trace, where it is before whoever names it. */
static uint32_t say_stack(struct who *w, struct emit *e, const struct who_run *r, uint64_t now,
			  uint32_t stack)
{
	struct record s = { .kind = RECORD_STACK, .pid = r->pid, .mm = r->mm };
	const uint64_t *frames;
	size_t n;

	stack = stacks_tell(w->stacks, stack, in_code, r->layout, &frames, &n);
	if (n) {
		s.ts = emit_ts(e, now);
		s.stack.id = stack;
		s.text = record_frames_new(frames, n);
		emit_push(e, &s);
	}
	return stack;
}

/* What it is called, once. */
static void say_thread(struct emit *e, const struct who_run *r, uint64_t now, pid_t tid)
{
	struct record t = { .kind = RECORD_THREAD, .pid = r->pid, .mm = r->mm, .thread.tid = tid };
	size_t len = 0;
	const char *comm = r->threads ? threads_tell(r->threads, tid, r->mm, &len) : NULL;

	if (!comm)
		return;
	t.ts = emit_ts(e, now);
	t.text = record_text_new(comm, len, NULL, 0);
	emit_push(e, &t);
}

static void say(struct who *w, struct emit *e, const struct who_run *r, uint64_t now,
		struct touch *t, bool sure)
{
	struct record f = {
		.kind = RECORD_FAULT,
		.pid = r->pid,
		.mm = r->mm,
		.ts = emit_ts(e, now),
		.ts0 = emit_ts(e, t->time),
		.addr = t->addr,
		.npages = r->page_size / w->page,
		.fault = {
			.ip = stacks_ip(w->stacks, t->stack),
			.vma = r->vma,
			.tid = (int32_t)t->tid,
			.kind = FAULT_WP,
			.act = ACT_NONE,
			.via = VIA_PERF,
			.write = sure,
			.unsure = !sure,
		},
	};

	say_thread(e, r, now, f.fault.tid);
	if (r->inner)
		f.fault.ns_tid = (int32_t)r->inner(r->inner_arg, f.fault.tid);
	f.fault.stack = say_stack(w, e, r, now, t->stack);
	emit_push(e, &f);
}

/* Another touch by a thread that has a later one: that is where it wrote, if it did. */
static bool has_later(const struct crowd *c, unsigned int n, uint64_t tid)
{
	while (n)
		if (c->v[--n]->tid == tid)
			return true;
	return false;
}

/*
 * Those who have written, or may have, are moved to the front.  A thread that faults to
 * write does write, as soon as it may, even if somebody else was first.
 */
static void leave_suspects(const struct who *w, struct crowd *c)
{
	unsigned int n = 1;

	for (unsigned int i = 1; i < c->n; i++)
		if ((c->v[i]->wrote || over(w, c->v[i]) > c->v[0]->time) &&
		    !has_later(c, n, c->v[i]->tid))
			c->v[n++] = c->v[i];
	c->n = n;
}

static void page_dirty(struct who *w, struct emit *e, const struct who_run *r, uint64_t page,
		       uint64_t now)
{
	struct touch *before;
	struct crowd c;
	bool sure;

	c.ahead = NULL;
	c.any = false;
	c.n = 0;
	gather_all(w, r, page, 0, &c);
	sure = c.any && !r->came;
	if (!c.any)
		gather_all(w, r, page, WHO_FLIGHT, &c);
	if (!c.n && c.ahead) {
		c.ahead->ahead = false;
		return;
	}
	if (!c.n) {
		/* Or whoever it was has been told of with the pass before, which found it, too. */
		w->unwitnessed += r->page_size / w->page;
		return;
	}
	before = look_ahead(&c, r->begun);
	leave_suspects(w, &c);
	sure = sure && c.n == 1 && c.v[0]->time > w->lost_until;
	for (unsigned int i = 0; i < c.n; i++)
		before = c.v[i] == before ? NULL : before;
	if (before)
		say(w, e, r, now, before, before->wrote);
	while (c.n--)
		say(w, e, r, now, c.v[c.n], sure || c.v[c.n]->wrote);
}

void who_dirty(struct who *w, struct emit *e, const struct who_run *r, uint64_t now)
{
	for (uint64_t page = align_down(r->run.lo, r->page_size); page < r->run.hi;
	     page += r->page_size)
		page_dirty(w, e, r, page, now);
}

void who_passed(struct who *w, uint64_t before)
{
	while (w->done < w->next && w->v[w->done & w->mask].time + WHO_FLIGHT < before)
		w->done++;
	/* The few touches that are left lose theirs. */
	if (stacks_crowded(w->stacks))
		stacks_forget(w->stacks);
}

void who_exec(struct who *w)
{
	stacks_forget(w->stacks);
}

bool who_crowded(const struct who *w)
{
	return w->next - w->done > w->mask / 2 || stacks_crowded(w->stacks);
}

uint64_t who_unwitnessed(const struct who *w)
{
	return w->unwitnessed;
}
