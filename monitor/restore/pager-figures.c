/* SPDX-License-Identifier: MIT */
/* Pager: what is told of it in shared memory.  See figures.h. */

#include "base/clock.h"
#include "restore/pager-parts.h"

#define EVERY_NS (100 * NSEC_PER_MSEC)

static void add(struct owed_totals *sum, const struct owed_totals *o)
{
	sum->added += o->added;
	sum->free += o->free;
	sum->flight += o->flight;
	for (int i = 0; i < OWED_ENDS; i++)
		sum->ended[i] += o->ended[i];
}

void pager_figures(struct pager *p)
{
	struct figures *f = p->setup->figures;
	uint64_t faults = 0, zeros = 0;
	struct owed_totals sum = { 0 };

	if (!f)
		return;
	for (struct tenant *t = p->tenants; t; t = t->next) {
		pthread_mutex_lock(&t->lock);
		add(&sum, &t->owed.totals);
		faults += t->counts.faults;
		zeros += t->counts.zeros;
		pthread_mutex_unlock(&t->lock);
	}
	figures_set(&f->added, sum.added);
	figures_set(&f->came, sum.ended[OWED_ARRIVED] + sum.ended[OWED_THERE]);
	figures_set(&f->left, sum.free + sum.flight);
	figures_set(&f->unmapped, sum.ended[OWED_UNMAPPED]);
	figures_set(&f->dropped, sum.ended[OWED_REMOVED]);
	figures_set(&f->of_ended, sum.ended[OWED_GONE]);
	figures_set(&f->unreadable, sum.ended[OWED_POISONED]);
	figures_set(&f->placeless, sum.ended[OWED_LOST]);
	figures_set(&f->faults, faults);
	figures_set(&f->zeros, zeros);
	figures_set(&f->tasks, p->tasks);
	figures_set(&f->children, p->children);
	figures_set(&f->resumed_at, p->resumed_at);
}

void pager_figures_turn(struct pager *p)
{
	uint64_t now;

	if (p->figures_at == UINT64_MAX)
		return;
	now = clock_now();
	if (now < p->figures_at)
		return;
	pager_figures(p);
	p->figures_at = now + EVERY_NS;
}

void pager_figures_end(struct pager *p)
{
	pager_figures(p);
	if (p->setup->figures && p->resumed_at)
		figures_set(&p->setup->figures->ended_at, clock_now());
}

void pager_figures_answered(struct pager *p, uint64_t since)
{
	if (since && p->setup->figures)
		figures_answered(p->setup->figures, clock_now() - since);
}
