/* SPDX-License-Identifier: MIT */
/* Pace: ways of waiting, tried and chosen.  See pace.h. */

#include "watch/pace.h"

#include <string.h>

/* Faults that tell what a way costs: few, as the worst way is one of those tried. */
#define WINDOW_TRYING 16
#define WINDOW 256
#define WINDOW_NS UINT64_C(20000000)
#define WINDOW_MIN 8
#define SETTLE 4		/* the first ones after a change pay for it */
#define CHASES 2
#define RETURN_AFTER 8		/* faults, until what was best is taken up again */
#define PREFER_AFTER 4		/* the same, of what was preferred from the beginning */
#define PAUSE_MIN UINT64_C(500000000)
#define PAUSE_MAX UINT64_C(16000000000)

static unsigned int bit(enum pace_way way)
{
	return 1u << way;
}

void pace_init(struct pace *p, unsigned int ncpus)
{
	*p = (struct pace){
		.allowed = ncpus > 1 ? bit(PACE_REST) | bit(PACE_NEAR) | bit(PACE_SPIN) :
				       bit(PACE_REST),
		.trying = true,
		.settling = SETTLE,
		.pause = PAUSE_MIN,
		.cpu = -1,
	};
}

void pace_prefer(struct pace *p, enum pace_way way)
{
	if (!(p->allowed & bit(way)))
		return;
	p->best = way;
	p->preferred = true;
	p->trying = false;
	p->settling = 0;
}

static bool window_full(const struct pace *p)
{
	return p->n >= (p->trying ? WINDOW_TRYING : WINDOW) ||
	       (p->n >= WINDOW_MIN && p->sum >= WINDOW_NS);
}

bool pace_served(struct pace *p, unsigned int n, uint64_t now)
{
	uint64_t gap = p->last ? now - p->last : PACE_HOT_NS;

	p->last = now;
	p->gap = gap;
	if (gap >= PACE_HOT_NS || p->allowed == bit(PACE_REST))
		return false;
	if (p->settling) {
		p->settling -= n < p->settling ? n : p->settling;
		return false;
	}
	p->n += n;
	p->sum += gap;
	/* What was chosen was left only because nothing came. */
	if (!p->trying && p->way != p->best && p->n >= (p->preferred ? PREFER_AFTER : RETURN_AFTER))
		return true;
	return window_full(p);
}

static bool turn_to(struct pace *p, enum pace_way way, int cpu)
{
	bool other = way != p->way || (way == PACE_NEAR && cpu != p->cpu);

	p->n = 0;
	p->sum = 0;
	p->way = way;
	p->cpu = way == PACE_NEAR ? cpu : -1;
	if (other)
		p->settling = SETTLE;
	return other;
}

static bool usable(const struct pace *p, enum pace_way way, int cpu)
{
	return p->allowed & bit(way) && (way != PACE_NEAR || cpu >= 0);
}

/* Others may want the CPU that a spinning thread takes: it has to be worth it. */
static uint64_t price(const struct pace *p, enum pace_way way)
{
	return way == PACE_SPIN ? p->cost[way] + p->cost[way] / 4 : p->cost[way];
}

static enum pace_way cheapest(const struct pace *p)
{
	enum pace_way best = PACE_REST;

	for (enum pace_way way = PACE_REST; way < PACE_NR; way++)
		if (p->cost[way] && (!p->cost[best] || price(p, way) < price(p, best)))
			best = way;
	return best;
}

static void begin_round(struct pace *p)
{
	p->trying = true;
	p->tried = p->chases = 0;
	memset(p->cost, 0, sizeof(p->cost));
}

static void end_round(struct pace *p, uint64_t now)
{
	enum pace_way before = p->best;

	p->trying = false;
	p->best = cheapest(p);
	p->pause = p->best != before ? PAUSE_MIN :
		   p->pause * 2 < PAUSE_MAX ? p->pause * 2 : PAUSE_MAX;
	p->next_round = now + p->pause;
}

static void note_cost(struct pace *p, uint64_t now)
{
	uint64_t cost = p->sum / p->n + 1;
	bool worse = p->way == p->best && cost > 2 * p->cost[p->way];

	if (p->preferred) {
		p->preferred = worse = false;
		p->cost[p->way] = cost;
		p->next_round = now + p->pause;
	}
	if (!p->trying && (worse || now >= p->next_round))
		begin_round(p);
	if (p->trying)
		p->cost[p->way] = cost;
	p->tried |= bit(p->way);
	/* What saves both wake-ups between CPUs leaves nothing for what saves one. */
	if (p->cost[PACE_NEAR] && p->cost[PACE_NEAR] < p->cost[PACE_REST] / 2)
		p->tried |= bit(PACE_SPIN);
}

bool pace_choose(struct pace *p, uint64_t now, int cpu)
{
	/* They have moved away while it was tried: this was no trial.  Once or twice. */
	if (p->trying && p->way == PACE_NEAR && cpu >= 0 && cpu != p->cpu && p->chases < CHASES) {
		p->chases++;
		return turn_to(p, PACE_NEAR, cpu);
	}
	if (window_full(p))
		note_cost(p, now);
	for (enum pace_way way = PACE_REST; p->trying && way < PACE_NR; way++) {
		if (p->tried & bit(way) || !(p->allowed & bit(way)))
			continue;
		if (usable(p, way, cpu))
			return turn_to(p, way, cpu);
		p->tried |= bit(way);
	}
	if (p->trying)
		end_round(p, now);
	return turn_to(p, usable(p, p->best, cpu) ? p->best : PACE_REST, cpu);
}

bool pace_idle(struct pace *p, uint64_t now)
{
	if (p->way == PACE_REST || now < p->last + PACE_HOT_NS)
		return false;
	/* A way on trial under which nothing more came has not shown that it is good. */
	if (p->trying) {
		p->cost[p->way] = PACE_HOT_NS;
		p->tried |= bit(p->way);
	}
	return turn_to(p, PACE_REST, -1);
}

uint64_t pace_due(const struct pace *p)
{
	return p->way == PACE_REST ? UINT64_MAX : p->last + PACE_HOT_NS;
}

uint64_t pace_spin(const struct pace *p)
{
	if (p->way != PACE_SPIN || p->gap > PACE_SPIN_NS * 4)
		return 0;
	return PACE_SPIN_NS;
}
