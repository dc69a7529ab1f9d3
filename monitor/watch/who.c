/* SPDX-License-Identifier: MIT */
/* Who: touches by page, oldest overwritten first.  See who.h. */

#include "watch/who.h"

#include <errno.h>
#include <stdlib.h>

#include "watch/stacks.h"

/* Touches of one page that are looked at; of more the last ones. */
#define CROWD 64
#define THREADS 4096u
#define NO_TIME UINT64_MAX

struct touch {
	uint64_t addr, ip, time;
	uint64_t over;		/* the fault had ended by then; NO_TIME: not known */
	uint64_t below;		/* the touch before it in its chain, as `next` counts */
	uint32_t stack;
	pid_t pid, tid;
	bool told;		/* a pass has asked for it */
};

struct last_of_thread {
	uint64_t touch;		/* as `next` counts */
	pid_t tid;
};

struct who {
	struct touch *v;	/* a ring: touch n is v[n & mask] */
	uint64_t *heads;	/* by page: the latest touch of a chain */
	struct last_of_thread threads[THREADS];
	struct stacks *stacks;
	uint64_t next, done;	/* of the ring: where to put, and until where passes are over */
	uint64_t lost_until, unwitnessed;
	uint32_t mask, page;
};

int who_new(struct who **ret, uint32_t touches, uint32_t base_page)
{
	struct who *w = calloc(1, sizeof(*w));

	if (!w)
		return -ENOMEM;
	w->mask = touches - 1;
	w->page = base_page;
	w->next = w->done = touches;	/* a chain ends where it leaves the ring: 0 does */
	w->v = calloc(touches, sizeof(*w->v));
	w->heads = calloc(touches, sizeof(*w->heads));
	if (!w->v || !w->heads || stacks_new(&w->stacks, WHO_CHAINS, WHO_FRAMES) < 0) {
		who_free(w);
		return -ENOMEM;
	}
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

static uint64_t *chain_of(const struct who *w, pid_t pid, uint64_t page)
{
	uint64_t h = (page / w->page + ((uint64_t)pid << 40)) * UINT64_C(0x9e3779b97f4a7c15);

	return &w->heads[h >> 32 & w->mask];
}

/* It has not been overwritten. */
static bool is_there(const struct who *w, uint64_t n)
{
	return n + w->mask + 1 > w->next - 1 && n < w->next && n > w->mask;
}

/* A thread's fault is over when it has another one; the rings are not in order of time. */
static void note_thread(struct who *w, struct touch *t, uint64_t n)
{
	struct last_of_thread *l = &w->threads[(uint32_t)t->tid % THREADS];
	struct touch *last;

	if (l->tid == t->tid && is_there(w, l->touch)) {
		last = &w->v[l->touch & w->mask];
		if (last->tid == t->tid && last->time > t->time) {
			t->over = last->time;
			return;
		}
		if (last->tid == t->tid && last->time < t->time)
			last->over = t->time;
	}
	*l = (struct last_of_thread){ n, t->tid };
}

void who_touch(struct who *w, const struct witness_event *ev)
{
	struct touch *t = &w->v[w->next & w->mask];
	uint64_t *head = chain_of(w, ev->pid, align_down(ev->touch.addr, w->page));

	/* No pass has asked for it yet: it is as good as lost. */
	if (w->next - w->done > w->mask) {
		who_lost(w, t->time);
		w->done++;
	}
	*t = (struct touch){
		.addr = ev->touch.addr,
		.ip = !ev->touch.kernel ? ev->touch.ip :
		      ev->touch.nframes ? witness_frame(ev, 0) : 0,
		.time = ev->time,
		.over = NO_TIME,
		.below = *head,
		.pid = ev->pid,
		.tid = ev->tid,
		.stack = stacks_number(w->stacks, (uint32_t)ev->pid, ev),
	};
	note_thread(w, t, w->next);
	*head = w->next++;
}

void who_lost(struct who *w, uint64_t time)
{
	if (time > w->lost_until)
		w->lost_until = time;
}

struct crowd {
	struct touch *v[CROWD];		/* by time, the last one first */
	unsigned int n;
	bool told;			/* there were such that have been told of */
};

static void put(struct crowd *c, struct touch *t)
{
	unsigned int at = c->n < CROWD ? c->n++ : CROWD - 1;

	if (at == CROWD - 1 && c->v[at] && c->v[at]->time > t->time)
		return;
	for (; at && c->v[at - 1]->time < t->time; at--)
		c->v[at] = c->v[at - 1];
	c->v[at] = t;
}

static void gather(struct who *w, const struct who_run *r, uint64_t page, struct crowd *c)
{
	for (uint64_t n = *chain_of(w, r->pid, page); is_there(w, n);) {
		struct touch *t = &w->v[n & w->mask];

		n = t->below;
		if (t->pid != r->pid || align_down(t->addr, w->page) != page || t->time <= r->t0 ||
		    t->time > r->t1)
			continue;
		c->told |= t->told;
		if (!t->told)
			put(c, t);
		t->told = true;
	}
}

static void say_stack(struct who *w, struct emit *e, const struct who_run *r, uint64_t now,
		      struct touch *t)
{
	struct record s = { .kind = RECORD_STACK, .pid = r->pid, .mm = r->mm };
	const uint64_t *frames;
	bool first = false;
	size_t n = 0;

	frames = stacks_frames(w->stacks, t->stack, &n, &first);
	if (!frames)
		t->stack = 0;
	if (!frames || !first)
		return;
	s.ts = emit_ts(e, now);
	s.stack.id = t->stack;
	s.text = record_frames_new(frames, n);
	emit_push(e, &s);
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
			.ip = t->ip,
			.vma = r->vma,
			.tid = t->tid,
			.kind = FAULT_WP,
			.act = ACT_NONE,
			.via = VIA_PERF,
			.write = sure,
			.unsure = !sure,
		},
	};

	say_stack(w, e, r, now, t);
	f.fault.stack = t->stack;
	emit_push(e, &f);
}

/* Another touch by a thread that has a later one: that is where it wrote, if it did. */
static bool has_later(const struct crowd *c, unsigned int n, pid_t tid)
{
	while (n)
		if (c->v[--n]->tid == tid)
			return true;
	return false;
}

/* Those who may have written are moved to the front. */
static void leave_suspects(struct crowd *c)
{
	unsigned int n = 1;

	for (unsigned int i = 1; i < c->n; i++)
		if (c->v[i]->over > c->v[0]->time && !has_later(c, n, c->v[i]->tid))
			c->v[n++] = c->v[i];
	c->n = n;
}

static void page_dirty(struct who *w, struct emit *e, const struct who_run *r, uint64_t page,
		       uint64_t now)
{
	struct crowd c = { .n = 0 };
	bool sure;

	for (uint64_t at = page; at < page + r->page_size; at += w->page)
		gather(w, r, at, &c);
	if (!c.n) {
		w->unwitnessed += c.told ? 0 : r->page_size / w->page;
		return;
	}
	leave_suspects(&c);
	sure = !r->came && c.n == 1 && c.v[0]->time > w->lost_until;
	while (c.n)
		say(w, e, r, now, c.v[--c.n], sure);
}

void who_dirty(struct who *w, struct emit *e, const struct who_run *r, uint64_t now)
{
	for (uint64_t page = align_down(r->run.lo, r->page_size); page < r->run.hi;
	     page += r->page_size)
		page_dirty(w, e, r, page, now);
}

void who_passed(struct who *w, uint64_t before)
{
	while (w->done < w->next && w->v[w->done & w->mask].time < before)
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
	return w->next - w->done > w->mask / 4u * 3 || stacks_crowded(w->stacks);
}

uint64_t who_unwitnessed(const struct who *w)
{
	return w->unwitnessed;
}
