/* SPDX-License-Identifier: MIT */
/*
 * Session, hints: children that the proc connector has told of and that nobody has
 * recognised.
 *
 * One that is gone before it was recognised is told by elimination: its address space
 * was there until then and not later, and of all that were forked after the event was
 * read no other can have had it.  Where two can, it stays without a name.
 */

#include <stdlib.h>

#include "base/clock.h"
#include "watch/session-state.h"

/* By then the kernel has told of the end of who had a dead address space. */
#define OWNER_WAIT (500 * NSEC_PER_MSEC)

struct session_hint *session_hint_of(struct session *s, pid_t child)
{
	for (unsigned int i = 0; i < s->nhints; i++)
		if (s->hints[i].child == child)
			return &s->hints[i];
	return NULL;
}

void session_drop_hint(struct session *s, pid_t child)
{
	struct session_hint *h = session_hint_of(s, child);

	if (!h)
		return;
	session_who_guest_left(s, h);
	free(h->text);
	*h = s->hints[--s->nhints];
}

void session_emit_fork(struct session *s, pid_t parent, uint32_t mm, pid_t child,
		      uint32_t child_mm)
{
	struct record r = {
		.kind = RECORD_FORK,
		.pid = parent,
		.mm = mm,
		.ts = emit_ts(&s->shared.emit, clock_now()),
		.fork = { .child = child, .child_mm = child_mm, .followed = false },
	};

	if (s->opts.kinds & WATCH_KIND_FORK)
		emit_push(&s->shared.emit, &r);
}

void session_tell_fork(struct session *s, struct session_hint *h, uint32_t child_mm)
{
	if (h->told)
		return;
	session_emit_fork(s, h->parent, h->mm, h->child, child_mm);
	h->told = true;
}

/* Forked after the event was read, and with it as long as it was there. */
bool session_may_have(const struct session_hint *h, const struct space *sp)
{
	return h->what == HINT_OPEN && !sp->pid && !sp->failed && sp->parent == h->parent &&
	       sp->forked_after < h->since && (!h->ended || h->ended > sp->lived);
}

struct space *session_first_of(struct session *s, const struct session_hint *h)
{
	struct space *sp = s->spaces;

	while (sp && !session_may_have(h, sp))
		sp = sp->next;
	return sp;
}

static bool is_there(struct session *s, uint32_t mm)
{
	const struct space *sp = s->spaces;

	while (sp && sp->mm != mm)
		sp = sp->next;
	for (unsigned int i = 0; !sp && i < s->nadoptions; i++)
		if (s->adoptions[i].mm == mm)
			return true;
	return sp;
}

/* Nobody is the only one left, where one that came into question has left unrecognised. */
static void leave_orphans(struct session *s, const struct session_hint *h)
{
	for (struct space *sp = s->spaces; sp; sp = sp->next)
		sp->orphan |= session_may_have(h, sp);
}

/* No address space was its own, or none that could be recognised. */
void session_hint_close(struct session *s, struct session_hint *h)
{
	struct record_text *text = h->text;

	leave_orphans(s, h);
	/* By vfork(), as no memory can have been its own. */
	if (h->placed && !h->told)
		h->what = HINT_SETTLED;
	/* Of a parent that nobody knows, or has gone, only what an exec follows is told. */
	if ((h->placed && is_there(s, h->mm)) || h->new_mm)
		session_tell_fork(s, h, 0);
	h->text = NULL;
	if (h->new_mm)
		session_tell_exec(s, h->child, h->mm, h->new_mm, text);
	session_drop_hint(s, h->child);
}

void session_hint_settle(struct session *s, pid_t child)
{
	struct session_hint *h = session_hint_of(s, child);

	if (h && h->new_mm)
		session_hint_close(s, h);
}

void session_hints_settle(struct session *s)
{
	for (unsigned int i = s->nhints; i-- > 0;)
		if (s->hints[i].new_mm)
			session_hint_close(s, &s->hints[i]);
}

void session_hint_ends(struct session *s, pid_t child, uint64_t when, uint32_t status)
{
	struct session_hint *h = session_hint_of(s, child);

	/* Of the program that it runs now others tell. */
	if (!h || h->ended)
		return;
	h->ended = when;
	h->status = status;
	if (h->what != HINT_OPEN)
		session_hint_close(s, h);
}

void session_hint_runs(struct session *s, pid_t child, uint64_t when, struct record_text *text)
{
	struct session_hint *h = session_hint_of(s, child);

	/* Twice, before it was known whose memory it had at first. */
	if (h->new_mm) {
		session_tell_fork(s, h, 0);
		session_tell_exec(s, child, h->mm, h->new_mm, h->text);
		h->mm = h->new_mm;
		h->what = HINT_SETTLED;
	}
	h->ended = when;
	h->new_mm = s->shared.next_mm++;
	h->text = text;
	if (h->what != HINT_OPEN)
		session_hint_close(s, h);
}

bool session_has_heirs(const struct session *s, const struct space *sp)
{
	bool waits = clock_now() < sp->dead_since + OWNER_WAIT;

	for (unsigned int i = 0; waits && i < s->nhints; i++)
		if (session_may_have(&s->hints[i], sp) && !s->hints[i].ended)
			return true;
	return false;
}

/* Its fork was told of without a name: so that of the one was that can have had it. */
void session_unnamed_goes(struct session *s, const struct space *sp)
{
	struct session_hint *only = NULL;
	unsigned int n = 0;

	for (unsigned int i = 0; i < s->nhints; i++) {
		struct session_hint *h = &s->hints[i];

		if (!session_may_have(h, sp))
			continue;
		n++;
		only = h;
		if (!h->ended)
			h->what = HINT_SETTLED;
	}
	if (n == 1 && !sp->orphan)
		only->told = true;
}

/* The only one that can have had it, and has it no more; NULL: nobody, or one of several. */
static struct session_hint *heir_to(struct session *s, const struct space *sp, uint64_t now)
{
	bool late = sp->dead_since && now > sp->dead_since + OWNER_WAIT;
	struct session_hint *only = sp->heir ? session_hint_of(s, sp->heir) : NULL;

	if (only || sp->orphan)
		return only && only->ended ? only : NULL;
	for (unsigned int i = 0; i < s->nhints; i++) {
		struct session_hint *h = &s->hints[i];

		if (!session_may_have(h, sp) || (late && !h->ended))
			continue;
		if (only)
			return NULL;
		only = h;
	}
	return only && only->ended ? only : NULL;
}

static void inherit(struct session *s, struct space *sp, struct session_hint *h)
{
	uint32_t new_mm = h->new_mm;

	arm_confess(sp);
	emit_named(&s->shared.emit, sp->mm, h->child);
	sp->pid = h->child;
	if (sp->twin)
		sp->twin->pid = sp->pid;
	sp->exit_status = h->status;
	session_name_parent(s, sp);
	session_forks_end(s, sp);
	h = session_hint_of(s, sp->pid);
	if (new_mm) {
		session_tell_exec(s, sp->pid, sp->mm, new_mm, h->text);
		h->text = NULL;
	}
	session_drop_hint(s, sp->pid);
	sp->exit_told = sp->gone = !new_mm;
	if (new_mm)
		session_drop_space(s, sp);
}

/* Each that is told may leave another with only one that can have had it. */
void session_name_dead(struct session *s, uint64_t now)
{
	struct space *sp = s->spaces;

	while (sp) {
		struct session_hint *h = sp->dead && !sp->pid && !sp->failed ?
						 heir_to(s, sp, now) : NULL;

		if (h)
			inherit(s, sp, h);
		sp = h ? s->spaces : sp->next;
	}
}

/* Those that no address space can be of any more. */
void session_look_at_open(struct session *s)
{
	for (unsigned int i = s->nhints; i-- > 0;) {
		struct session_hint *h = &s->hints[i], *parent = session_hint_of(s, h->parent);

		if (h->what != HINT_OPEN || (parent && parent->what == HINT_OPEN) ||
		    session_first_of(s, h))
			continue;
		if (h->ended)
			session_hint_close(s, h);
		else if (session_space_of(s, h->parent))
			h->what = HINT_APART;
	}
}
