/* SPDX-License-Identifier: MIT */
/* Session, who: the touches of the witness meet the pages of the census. */

#include "base/clock.h"
#include "watch/session-state.h"

int session_who_open(struct session *s)
{
	return s->opts.who ? who_new(&s->who, WHO_TOUCHES, s->shared.page_size) : 0;
}

static void on_touch(void *arg, const struct witness_event *ev)
{
	struct session *s = arg;

	if (ev->kind == WITNESS_TOUCH && ev->pid)
		who_touch(s->who, ev);
	else if (ev->kind == WITNESS_LOST)
		who_lost(s->who, ev->time);
}

void session_who_read(struct session *s)
{
	witness_read_touches(s->witness, on_touch, s);
	if (!who_crowded(s->who))
		return;
	for (struct space *sp = s->spaces; sp; sp = sp->next)
		if (sp->async && !sp->dead)
			census_hasten(sp);
}

/*
 * The kernel writes the sample of a fault before it handles the fault, so whatever a
 * scan has found is in the rings when it returns.  One scan gives many runs.
 */
void session_who_dirty(struct session *s, const struct space *sp, const struct region *g,
		       struct range run, uint64_t t0, uint64_t t1)
{
	struct who_run r = {
		.pid = sp->pid, .mm = sp->mm, .vma = g->id, .page_size = g->page_size,
		.layout = &sp->layout, .run = run, .t0 = t0, .t1 = t1,
		.came = g->seen || sp->born_at > t0,
	};

	if (!r.page_size)
		r.page_size = s->shared.page_size;
	if (s->witness && t1 != s->who_asked) {
		s->who_asked = t1;
		session_who_read(s);
		session_witness_count(s, false);
	}
	who_dirty(s->who, &s->shared.emit, &r, clock_now());
}

void session_who_passed(struct session *s)
{
	uint64_t before = UINT64_MAX;

	for (const struct space *sp = s->spaces; sp; sp = sp->next)
		if (sp->async && !sp->dead && sp->census.before < before)
			before = sp->census.before;
	who_passed(s->who, before);
}
