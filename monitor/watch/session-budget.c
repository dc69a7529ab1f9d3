/* SPDX-License-Identifier: MIT */
/*
 * Session, the budget: what watching costs each target is accounted, and what follows
 * from that is done, and told.
 */

#include <time.h>

#include "base/clock.h"
#include "watch/price.h"
#include "watch/procinfo.h"
#include "watch/session-state.h"

#define LOOK (50 * NSEC_PER_MSEC)
/* A sample of the perf ring with its call chain costs as much as the fault, as measured. */
#define WHO_FACTOR 2

void session_budget_begin(struct session *s)
{
	s->next_look = s->opts.budget_ppm ? clock_now() + LOOK : UINT64_MAX;
	if (!s->opts.budget_ppm)
		return;
	s->first_write_ns = price_first_write();
	if (s->opts.who)
		s->first_write_ns *= WHO_FACTOR;
}

/*
 * Of all its threads, also of those that have ended; no finer than a tick while they run.
 * The clock is that of clock_getcpuclockid(3), which asks for more than the sandbox allows.
 */
static uint64_t ran(const struct space *sp)
{
	struct timespec t;
	clockid_t clock = (clockid_t)(~(uint32_t)sp->pid << 3 | 2);

	if (clock_gettime(clock, &t))
		return sp->toll.ran;
	return (uint64_t)t.tv_sec * NSEC_PER_SEC + (uint64_t)t.tv_nsec;
}

static struct budget_sample sample(const struct space *sp, const struct space_toll *now)
{
	const struct space_toll *t = &sp->toll;

	return (struct budget_sample){
		.wall = now->when - t->when,
		.ran = now->ran > t->ran ? now->ran - t->ran : 0,
		.scanned = now->held - t->held,
		.writes = now->writes,
		.faults = now->faults > t->faults ? now->faults - t->faults : 0,
		.waited = now->waited - t->waited,
	};
}

static struct space_toll toll_now(const struct space *sp)
{
	struct space_toll t = { .when = clock_now(), .held = sp->census.held };

	t.ran = ran(sp);
	t.writes = sp->toll.writes;
	t.waited = sp->twin ? sp->twin->waited : sp->toll.waited;
	if (procinfo_faults(sp->procfd, &t.faults) < 0)
		t.faults = sp->toll.faults;
	return t;
}

static void mark(struct space *sp, const struct space_toll *now)
{
	sp->toll = *now;
	sp->toll.writes = 0;
}

static void tell(struct session *s, const struct space *sp, uint64_t since)
{
	const struct budget *b = &sp->budget;
	struct record r = {
		.kind = RECORD_BUDGET,
		.pid = sp->pid,
		.mm = sp->mm,
		.ts = emit_ts(&s->shared.emit, clock_now()),
		.ts0 = emit_ts(&s->shared.emit, since),
		.budget = {
			.budget_ppm = b->share_ppm,
			.slowdown_ppm = b->slowdown_ppm,
			.epoch_ns = budget_epoch(b),
			.cold_every = budget_cold_every(b),
			.resting = b->resting,
			.sync = sp->twin,
		},
	};

	emit_push(&s->shared.emit, &r);
}

/* What the account of one target has come to is that of all. */
static void add_up(struct session *s, struct space *sp)
{
	s->ran += sp->budget.ran;
	s->taken += sp->budget.taken;
	sp->budget.ran = sp->budget.taken = 0;
}

/*
 * What was held is watched like all the rest, once it is registered anew.  What of it the
 * twin has not read of yet, it can declare no more.
 */
static void release(struct session *s, struct space *sp)
{
	uint64_t since = sp->twin->surveyed, now;

	twin_release(sp->twin);
	now = clock_now();
	for (struct region *g = layout_from(&sp->layout, 0); g; g = layout_next(&sp->layout, g))
		if (g->held)
			emit_gap(&s->shared.emit, sp->pid, sp->mm, since, now, g->r, GAP_BUDGET);
	session_drop_twin(s, sp->twin);
}

static void obey(struct session *s, struct space *sp, enum budget_verdict v, uint64_t since)
{
	uint64_t now = clock_now();

	if (v == BUDGET_HASTEN)
		census_hasten(sp);
	if (v == BUDGET_HASTEN || v == BUDGET_KEEP)
		return;
	/* A touch of something that is not looked at for long would be forgotten. */
	if (!s->who)
		sp->census.cold_every = budget_cold_every(&sp->budget);
	if (v == BUDGET_RELEASE)
		release(s, sp);
	tell(s, sp, since);
	if (v == BUDGET_REST)
		census_rest(sp, now);
	if (v == BUDGET_RESUME)
		census_resume(sp, now);
}

void session_budget_passed(struct session *s, struct space *sp)
{
	struct space_toll now;
	struct budget_sample all;
	uint64_t since = sp->toll.when;

	if (!s->opts.budget_ppm || !since)
		return;
	now = toll_now(sp);
	all = sample(sp, &now);
	/* A hastened one, or that after the arming: too short a time to judge by. */
	if (all.wall >= s->shared.epoch_ns / 2) {
		mark(sp, &now);
		obey(s, sp, budget_pass(&sp->budget, &all), since);
		add_up(s, sp);
	}
	sp->census.due += budget_epoch(&sp->budget) - s->shared.epoch_ns;
}

static void look(struct session *s, struct space *sp)
{
	struct space_toll now = toll_now(sp);
	uint64_t since = sp->toll.when;
	struct budget_sample all;

	if (!since) {
		budget_init(&sp->budget, s->opts.budget_ppm, s->first_write_ns,
			    s->shared.epoch_ns);
		/* The child of a parent that rests: it has an account of its own. */
		sp->budget.resting = sp->census.rest_since;
		now.held = 0;
		mark(sp, &now);
		return;
	}
	if (sp->census.begun)
		return;
	all = sample(sp, &now);
	if (sp->budget.resting)
		mark(sp, &now);
	obey(s, sp, budget_look(&sp->budget, &all), since);
	add_up(s, sp);
}

void session_budget_look(struct session *s)
{
	uint64_t now = clock_now();

	if (now < s->next_look)
		return;
	s->next_look = now + LOOK;
	for (struct space *sp = s->spaces; sp; sp = sp->next)
		if (sp->async && sp->pid && !sp->dead && !sp->gone && !s->mute)
			look(s, sp);
}

int64_t session_slowdown(const struct session *s)
{
	return s->opts.budget_ppm ? (int64_t)budget_slowdown(s->ran, s->taken) : RECORD_UNKNOWN;
}
