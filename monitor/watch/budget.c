/* SPDX-License-Identifier: MIT */
/* Budget: what watching costs a target, and what follows.  See budget.h. */

#include "watch/budget.h"

#define PPM 1e6
/* A target that sleeps is taken to run one part in this many of the time. */
#define IDLE_SHARE 100
/* What was not spent may be spent later: as much as may be owed.  A rest ends with half of it. */
#define CREDIT_TO_RESUME 0.5
#define STRETCH_MAX 16
#define COLD_MAX 6
/* Down again when the half would do, so often one after the other, with this to spare. */
#define CALM_PASSES 2
#define SPARE 0.8
/* Passes over what is cold may take one part in so many of the share, or less of them. */
#define SCAN_SHARE 2
#define SCAN_LITTLE 8
#define WRITES_A_FAULT_MIN (1.0 / 64)

void budget_init(struct budget *b, uint64_t share_ppm, uint64_t write_ns, uint64_t epoch_ns)
{
	*b = (struct budget){
		.share_ppm = share_ppm, .write_ns = write_ns, .epoch_ns = epoch_ns,
		.horizon_ns = epoch_ns * BUDGET_EPOCHS > BUDGET_HORIZON_MIN ?
				      epoch_ns * BUDGET_EPOCHS : BUDGET_HORIZON_MIN,
		.writes_a_fault = 1,
	};
}

/* Of the time it ran, with what was taken from it. */
static double allowed(const struct budget *b)
{
	double share = (double)b->share_ppm / PPM;

	return share / (1 + share);
}

uint64_t budget_slowdown(double ran, double taken)
{
	double rest = ran - taken;

	if (taken <= 0)
		return 0;
	/* More than it ran: the cost of a write is too high, or the clock too coarse. */
	return (uint64_t)(taken / (rest > ran / 100 ? rest : ran / 100 + 1) * PPM);
}

static double ran_of(const struct budget_sample *s)
{
	double least = (double)s->wall / IDLE_SHARE, ran = (double)(s->ran + s->waited);

	return ran > least ? ran : least;
}

/* A pass holds the target's locks: it may stop whatever runs. */
static double taken_of(const struct budget *b, const struct budget_sample *s)
{
	double taken = (double)s->writes * (double)b->write_ns + (double)s->waited;

	if (s->wall)
		taken += (double)s->scanned * ran_of(s) / (double)s->wall;
	return taken;
}

/* What the horizon pays off. */
static double limit(const struct budget *b)
{
	return allowed(b) * b->rate * (double)b->horizon_ns;
}

static void account(struct budget *b, const struct budget_sample *s)
{
	double ran = ran_of(s), taken = taken_of(b, s);
	double rate = s->wall ? ran / (double)s->wall : 0;

	b->ran += ran;
	b->taken += taken;
	b->slowdown_ppm = budget_slowdown(ran, taken);
	b->debt += taken - allowed(b) * ran;
	/* Who begins to run may be owed more at once; who pauses, little by little less. */
	if (s->wall)
		b->rate = rate > b->rate ? rate : (b->rate + rate) / 2;
	if (b->debt < -limit(b))
		b->debt = -limit(b);
}

uint64_t budget_epoch(const struct budget *b)
{
	return b->epoch_ns << b->stretch;
}

unsigned int budget_cold_every(const struct budget *b)
{
	return 1u << b->cold;
}

/* The next pass costs what the last one did; the debt is paid off by then as well. */
static bool set_stretch(struct budget *b, double taken)
{
	double debt = b->debt > 0 ? b->debt : 0;
	double need = (debt + taken) / (allowed(b) * b->rate);
	unsigned int was = b->stretch;

	while (b->stretch < STRETCH_MAX && (double)budget_epoch(b) < need &&
	       budget_epoch(b) < b->horizon_ns)
		b->stretch++;
	if (b->stretch != was) {
		b->calm = 0;
		return true;
	}
	if (!b->stretch || need > SPARE * (double)budget_epoch(b) / 2) {
		b->calm = 0;
		return false;
	}
	if (++b->calm < CALM_PASSES)
		return false;
	b->calm = 0;
	b->stretch--;
	return true;
}

/* Once all has been looked at: passes in between take next to nothing. */
static bool set_cold(struct budget *b, const struct budget_sample *s)
{
	unsigned int was = b->cold;
	double share;

	b->round_scanned += (double)s->scanned;
	b->round_wall += (double)s->wall;
	if (++b->round < budget_cold_every(b))
		return false;
	share = b->round_scanned / (b->round_wall + 1) / allowed(b);
	b->round = 0;
	b->round_scanned = b->round_wall = 0;
	if (share > 1.0 / SCAN_SHARE && b->cold < COLD_MAX)
		b->cold++;
	else if (share < 1.0 / SCAN_LITTLE && b->cold)
		b->cold--;
	return b->cold != was;
}

enum budget_verdict budget_pass(struct budget *b, const struct budget_sample *s)
{
	bool changed;

	account(b, s);
	if (s->faults)
		b->writes_a_fault = (double)s->writes / (double)s->faults;
	if (b->writes_a_fault < WRITES_A_FAULT_MIN)
		b->writes_a_fault = WRITES_A_FAULT_MIN;
	if (b->writes_a_fault > 1)
		b->writes_a_fault = 1;
	if (!b->share_ppm)
		return BUDGET_KEEP;
	if (b->debt > limit(b) && (double)s->waited > taken_of(b, s) / 2)
		return BUDGET_RELEASE;
	if (b->debt > limit(b)) {
		b->resting = true;
		return BUDGET_REST;
	}
	changed = set_stretch(b, taken_of(b, s));
	changed |= set_cold(b, s);
	return changed ? BUDGET_CHANGE : BUDGET_KEEP;
}

enum budget_verdict budget_look(struct budget *b, const struct budget_sample *s)
{
	double taken = (double)s->faults * b->writes_a_fault * (double)b->write_ns +
		       (double)s->waited;

	if (b->resting) {
		account(b, s);
		if (b->debt > -CREDIT_TO_RESUME * limit(b))
			return BUDGET_KEEP;
		b->resting = false;
		return BUDGET_RESUME;
	}
	if (!b->share_ppm || !b->rate || s->wall < b->epoch_ns)
		return BUDGET_KEEP;
	return b->debt + taken - allowed(b) * ran_of(s) > limit(b) ? BUDGET_HASTEN : BUDGET_KEEP;
}
