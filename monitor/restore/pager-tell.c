/* SPDX-License-Identifier: MIT */
/* Pager: what goes into the trace, if there is one.  See chronicle.h. */

#include "base/clock.h"
#include "restore/chronicle.h"
#include "restore/pager-parts.h"

void pager_tell_begin(struct pager *p)
{
	struct chronicle *c = p->setup->chronicle;

	for (struct tenant *t = p->tenants; c && t; t = t->next)
		if (!t->told && t->uffd >= 0)
			chronicle_begin(c, t);
}

void pager_tell_news(struct pager *p, struct tenant *t, const struct tenant_news *news,
		     uint64_t since)
{
	struct chronicle *c = p->setup->chronicle;

	if (!c)
		return;
	p->read_at = clock_now();
	if (news->nchanges)
		chronicle_changes(c, t, news, since);
}

void pager_tell_touch(struct pager *p, const struct tenant *t, const struct tenant_touch *touch,
		      uint64_t since)
{
	struct chronicle *c = p->setup->chronicle;

	if (c)
		chronicle_touch(c, t, touch, t->deed, false, since, p->read_at);
}

bool pager_tell_room(const struct pager *p)
{
	struct chronicle *c = p->setup->chronicle;

	return !c || chronicle_room(c);
}

void pager_tell_wait(struct pager *p, struct tenant *t, const struct tenant_touch *touch,
		     uint64_t since)
{
	struct chronicle *c = p->setup->chronicle;

	if (c)
		chronicle_wait(c, t, touch, since, p->read_at);
}

void pager_tell_came(struct pager *p, const struct asked *a, enum tenant_deed deed)
{
	struct chronicle *c = p->setup->chronicle;

	if (c)
		chronicle_came(c, a->tenant, a->touched ? &a->touch : NULL, deed);
}

void pager_tell_gone(struct pager *p, const struct tenant *t)
{
	struct chronicle *c = p->setup->chronicle;

	if (c && t->gone)
		chronicle_gone(c, t);
}

void pager_tell_turn(struct pager *p)
{
	struct chronicle *c = p->setup->chronicle;

	if (!c)
		return;
	chronicle_turn(c);
	chronicle_kick(c);
}

static enum detach_reason why(const struct pager *p, const struct pager_result *result)
{
	bool lives = false;

	if (result->end != PAGER_COMPLETE)
		return DETACH_ERROR;
	for (const struct tenant *t = p->tenants; t; t = t->next)
		lives |= !t->gone;
	return lives ? DETACH_COMPLETE : DETACH_EXIT;
}

void pager_tell_end(struct pager *p, const struct pager_result *result)
{
	struct chronicle *c = p->setup->chronicle;

	if (!c)
		return;
	for (const struct tenant *t = p->tenants; t; t = t->next)
		pager_tell_gone(p, t);
	chronicle_end(c, why(p, result), result->end == PAGER_COMPLETE);
}
