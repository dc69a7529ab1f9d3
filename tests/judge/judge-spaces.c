/* SPDX-License-Identifier: MIT */
/*
 * Judge, spaces: address spaces of the trace and programs of the truth.
 *
 * A program is told from others of its process id by when it began: process ids come
 * round within a run if the machine forks enough.  The child of a fork without a name is
 * the one that its parent had at that instant.
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "judge.h"

struct mm *mm_find(struct judge *j, uint32_t id)
{
	return id < j->nby_id ? j->by_id[id] : NULL;
}

static void make_room(struct judge *j, uint32_t id)
{
	uint32_t n = j->nby_id ? j->nby_id : 64;

	while (n <= id)
		n *= 2;
	if (n == j->nby_id)
		return;
	j->by_id = realloc(j->by_id, n * sizeof(*j->by_id));
	if (!j->by_id)
		abort();
	for (uint32_t i = j->nby_id; i < n; i++)
		j->by_id[i] = NULL;
	j->nby_id = n;
}

struct mm *mm_new(struct judge *j, uint32_t id, int32_t pid, uint64_t when)
{
	struct mm *mm = mm_find(j, id);

	if (mm)
		return mm;
	mm = calloc(1, sizeof(*mm));
	if (!mm)
		abort();
	make_room(j, id);
	*mm = (struct mm){ .id = id, .pid = pid, .begin = when, .end = FOREVER, .next = j->mms };
	j->mms = j->by_id[id] = mm;
	return mm;
}

static void join(struct mm *mm, struct process *p)
{
	if (!p || p->mm || mm->process)
		return;
	mm->process = p;
	p->mm = mm;
}

/* A loaded machine lets a program begin late, but not that late; nor does a trace tell later. */
#define START_NS UINT64_C(10000000000)

static uint64_t before(uint64_t ts, uint64_t by)
{
	return ts > by ? ts - by : 0;
}

/* Nobody's yet, and it began between them. */
static bool began(const struct process *p, uint64_t from, uint64_t to)
{
	return !p->mm && p->start + TRUTH_BIRTH_NS > from && p->start <= to;
}

/* The last thing that it says is that it ends. */
static bool over(const struct process *p, uint64_t ts)
{
	const struct truth_entry *e = p->nacts ? &p->acts[p->nacts - 1].e : NULL;

	return e && (e->op == TRUTH_EXIT || e->op == TRUTH_EXEC) && e->t1 < ts;
}

/* The program that ran when the process was attached, or was about to. */
static struct process *running(struct judge *j, const struct mm *mm, int32_t pid,
			       uint64_t ts)
{
	struct process *best = NULL, *p = NULL;

	while ((p = truth_process(j->truth, (uint32_t)pid, p)))
		if (began(p, mm->since, ts + START_NS) && !over(p, ts) &&
		    (!best || p->start <= ts))
			best = p;
	return best;
}

void take_attach(struct judge *j, const struct record *r, uint64_t ts)
{
	struct mm *mm = mm_new(j, r->mm, r->pid, ts);

	if (!j->first)
		j->first = ts;
	mm->begin = ts;
	if (!mm->process)
		join(mm, running(j, mm, r->pid, ts));
}

/* Acts are sorted by their begin; none that matters lasts longer than this. */
#define ACT_NS UINT64_C(3000000000)

static size_t acts_near(const struct process *p, uint64_t ts)
{
	return p ? truth_act(p, before(ts, ACT_NS)) : 0;
}

/* The parent goes on when its event is read; the record's time comes after the reading. */
#define FORK_LATE_NS UINT64_C(50000000)

/* In a stall nothing is read: what is told at its end may be as old as it. */
static uint64_t told_since(const struct mm *mm, uint64_t ts)
{
	uint64_t since = ts;

	for (size_t i = 0; i < mm->ngaps; i++) {
		const struct layout_record *g = &mm->gaps[i];

		if (g->to == GAP_STALL && g->ts <= ts && ts <= g->ts + FORK_LATE_NS &&
		    g->ts0 < since)
			since = g->ts0;
	}
	return since;
}

/* Whom did the process fork between them?  0: nobody, or one of several. */
static uint32_t forked_at(struct process *p, uint64_t since, uint64_t ts)
{
	struct truth_act *of[8];
	unsigned int n = 0;

	for (size_t i = acts_near(p, since); p && i < p->nacts && n < 8; i++) {
		const struct truth_entry *e = &p->acts[i].e;

		if (e->t0 > ts)
			break;
		if (e->op == TRUTH_FORK && e->aux && e->t1 + FORK_LATE_NS >= since &&
		    !p->acts[i].checked)
			of[n++] = &p->acts[i];
	}
	if (n == 1)
		return (uint32_t)of[0]->e.aux;
	for (unsigned int i = 0; i < n; i++)
		of[i]->nameless = true;
	if (n)
		p->nameless++;
	return 0;
}

/* The trace tells of it.  When it began; FOREVER: the truth does not know it. */
static uint64_t tick_off(struct process *p, enum truth_op op, uint64_t aux, uint64_t since,
			 uint64_t ts)
{
	uint64_t at = FOREVER;

	for (size_t i = acts_near(p, since); p && i < p->nacts; i++) {
		const struct truth_entry *e = &p->acts[i].e;

		if (e->t0 > ts)
			break;
		if (e->op != op || (op == TRUTH_FORK && e->aux != aux))
			continue;
		p->acts[i].checked = true;
		at = e->t0;
	}
	return at;
}

/* NULL: its truth begins with a program that it executes.  A parent may have no name yet: 0. */
static struct process *child_of(struct judge *j, uint32_t parent, uint32_t pid, uint64_t from,
				uint64_t to)
{
	struct process *p = NULL;

	while (pid && (p = truth_process(j->truth, pid, p)))
		if (p->forked && (!parent || p->parent == parent) && began(p, from, to))
			return p;
	return NULL;
}

void take_fork(struct judge *j, const struct record *r, uint64_t ts)
{
	struct mm *parent = mm_new(j, r->mm, r->pid, ts), *child;
	uint64_t told = told_since(parent, ts), since = before(told, FORK_LATE_NS), at;
	uint32_t pid = r->fork.child == RECORD_UNKNOWN ? forked_at(parent->process, told, ts) :
							 (uint32_t)r->fork.child;

	if (parent->process) {
		at = tick_off(parent->process, TRUTH_FORK, pid, told, ts);
		since = at < since ? at : since;
	} else {
		parent->nameless++;
	}
	if (!r->fork.followed)
		return;
	child = mm_new(j, r->fork.child_mm, (int32_t)pid, ts);
	child->since = since;
	child->forked = true;
	child->unnamed = r->fork.child == RECORD_UNKNOWN;
	pages_clone(j, child, parent);
	join(child, child_of(j, (uint32_t)(r->pid ? r->pid : parent->pid), pid, since,
			     ts + START_NS));
	j->unnamed += !pid;
}

static void end_mm(struct judge *j, struct mm *mm, uint64_t ts)
{
	if (mm->end != FOREVER)
		return;
	/* Taken for the program that began under its process id after it. */
	if (mm->process && mm->process->start > ts) {
		mm->process->mm = NULL;
		mm->process = NULL;
	}
	acts_until(j, mm, FOREVER);
	verdicts_end(j, mm, ts, true);
	mm->end = ts;
	pages_free(j, mm);
}

/* The first program of that process id that began between them, by an exec. */
static struct process *executed(struct judge *j, uint32_t pid, uint64_t from, uint64_t to)
{
	struct process *p = NULL;

	while ((p = truth_process(j->truth, pid, p)))
		if (!p->forked && began(p, from, to))
			return p;
	return NULL;
}

void take_exec(struct judge *j, const struct record *r, uint64_t ts)
{
	struct mm *old = mm_find(j, r->mm), *mm;
	uint64_t since = before(ts, START_NS);

	if (old)
		tick_off(old->process, TRUTH_EXEC, 0, told_since(old, ts), ts);
	if (old && (!old->pid || old->pid == r->pid)) {
		since = old->since > since ? old->since : since;
		end_mm(j, old, ts);
	}
	if (!r->exec.new_mm)
		return;
	mm = mm_new(j, r->exec.new_mm, r->pid, FOREVER);
	mm->since = since;
	join(mm, executed(j, (uint32_t)r->pid, since, ts + START_NS));
}

void take_exit(struct judge *j, const struct record *r, uint64_t ts)
{
	struct mm *mm = mm_find(j, r->mm);

	if (!mm || (mm->pid && mm->pid != r->pid))
		return;
	end_mm(j, mm, ts);
	mm->exit_told = true;
}

static void miss(struct judge *j, const struct mm *mm, enum judge_error what,
		 const struct truth_entry *e, const char *words)
{
	struct complaint c = {
		.what = what, .mm = mm->id, .pid = mm->pid, .tid = e->who, .t0 = e->t0,
		.t1 = e->t1, .seq = j->seq,
	};

	snprintf(c.words, sizeof(c.words), "%s (%" PRIu64 ")", words, e->aux);
	complain(j, &c);
}

/* Does the program that it made room for tell the truth as well? */
static bool goes_on(struct judge *j, struct process *p, const struct truth_entry *exec)
{
	const struct process *next = truth_process(j->truth, p->pid, p);

	return next && !next->forked && next->execs > p->execs &&
	       next->start <= exec->t1 + START_NS;
}

static void check_birth(struct judge *j, struct mm *mm, const struct truth_act *a)
{
	const struct truth_entry *e = &a->e;

	if (e->t0 < mm->begin || e->t1 > j->last)
		return;
	if (a->checked)
		return;
	/* It forked before it had a name. */
	if (e->op == TRUTH_FORK && mm->nameless) {
		mm->nameless--;
		return;
	}
	if (a->nameless && mm->process->nameless) {
		mm->process->nameless--;
		return;
	}
	if (e->op == TRUTH_FORK && e->aux)
		miss(j, mm, E_FORK, e, "a fork is not in the trace");
	/* Of a child without a name the trace tells no more than that it was there. */
	if (e->op == TRUTH_EXEC && !mm->unnamed && goes_on(j, mm->process, e))
		miss(j, mm, E_EXEC, e, "an exec is not in the trace");
}

/* Found after an exec that was told of later still: another's end is that of its program. */
static bool goes_on_as_next(const struct judge *j, const struct mm *mm)
{
	for (const struct mm *next = j->mms; next; next = next->next)
		if (next != mm && next->pid == mm->pid && next->exit_told &&
		    next->begin >= mm->end)
			return true;
	return false;
}

/* What ends within a second of the end of the trace may have been cut off. */
#define END_NS UINT64_C(1000000000)

void family_check(struct judge *j)
{
	for (struct mm *mm = j->mms; mm; mm = mm->next) {
		const struct process *p = mm->process;

		for (size_t i = 0; p && i < p->nacts; i++) {
			const struct truth_act *a = &p->acts[i];

			check_birth(j, mm, a);
			if (a->e.op == TRUTH_EXIT && !mm->exit_told && !mm->unnamed &&
			    a->e.t1 + END_NS < j->last && a->e.t0 > mm->begin &&
			    !goes_on_as_next(j, mm))
				miss(j, mm, E_EXIT, &a->e, "an exit is not in the trace");
		}
	}
}
