/* SPDX-License-Identifier: MIT */
/*
 * Session, births: forks, the names of children, and those that no fork event tells of.
 *
 * A fork event comes before the child has a pid; the proc connector's word of the same
 * fork comes after it has been read (copy_process() in kernel/fork.c: dup_userfaultfd()
 * waits for the reader).  So a child that the connector tells of, and that no address
 * space can claim then, has none of ours: it came by vfork(), or its parent had nothing
 * registered at that instant.
 */

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "watch/family.h"
#include "watch/procinfo.h"
#include "watch/session-state.h"

#define NAMING_RETRY (2 * NSEC_PER_MSEC)
/* A layout change is under way, and nothing can be asked until its thread has run. */
#define CHANGE_RETRY (200 * NSEC_PER_USEC)
#define CANDIDATES 64
/* A vfork child executes its program within this time, as a rule, and need not be asked about. */
#define APART_REST (5 * NSEC_PER_MSEC)

/* The unnamed children of `parent`: their number, and the last one. */
static unsigned int unnamed_of(struct session *s, pid_t parent, struct space **ret)
{
	unsigned int n = 0;

	for (struct space *sp = s->spaces; sp; sp = sp->next) {
		if (sp->pid || sp->parent != parent)
			continue;
		*ret = sp;
		n++;
	}
	return n;
}

static unsigned int open_hints_of(const struct session *s, pid_t parent)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < s->nhints; i++)
		n += s->hints[i].parent == parent && s->hints[i].what == HINT_OPEN;
	return n;
}

static void take_all_births(struct session *s)
{
	for (struct space *sp = s->spaces; sp; sp = sp->next)
		session_take_births(s, sp);
}

/* Whose child it is, as the trace knows the parent; 0: nobody's of ours. */
static uint32_t mm_of(struct session *s, pid_t parent, bool *ret_named)
{
	struct space *sp = session_space_of(s, parent);
	struct session_adoption *a = session_adoption_of(s, parent);
	struct session_hint *h = session_hint_of(s, parent);

	/* What an unnamed parent's child is called, only its name will tell. */
	*ret_named = !h || h->what != HINT_OPEN;
	if (sp || a || !h)
		return sp ? sp->mm : a ? a->mm : 0;
	/* But where there is one only, it will be that one's. */
	if (!*ret_named && open_hints_of(s, h->parent) == 1 && unnamed_of(s, h->parent, &sp) == 1)
		return sp->mm;
	return h->mm;
}

/* Until now these were children of a child in the memory of its parent. */
static void place_children(struct session *s, pid_t parent, uint32_t mm)
{
	for (unsigned int i = 0; i < s->nhints; i++) {
		if (s->hints[i].parent != parent)
			continue;
		s->hints[i].mm = mm;
		s->hints[i].placed = true;
	}
}

/*
 * Forked while nothing of its parent was registered: its memory is its own, and no
 * userfaultfd is on it.  So it is attached to, as a program after an exec is.
 */
static void adopt_apart(struct session *s, struct session_hint h)
{
	uint32_t mm = s->shared.next_mm++;

	place_children(s, h.child, mm);
	session_tell_fork(s, &h, mm);
	session_drop_hint(s, h.child);
	session_adopt(s, h.child, mm, h.since, GAP_FORK);
}

/*
 * Who has ended has no memory to compare with, and the agent does not know it any more: then
 * see session_forks_end().  Another errno: nobody knows.
 */
static int shares_with(struct session *s, pid_t child, pid_t parent)
{
	const struct space *sp = session_space_of(s, parent);
	int r = agent_shares(s->opts.agent, child, parent);

	return r == -ESRCH && sp && space_ended(sp) ? 0 : r;
}

static void look_at_apart(struct session *s, struct session_hint *h, int shares)
{
	h->what = HINT_SETTLED;
	h->own = !shares;
	if (!shares)
		adopt_apart(s, *h);
}

/* It is one that was let go, and told of without a name. */
static bool takes_refused(struct session *s, struct session_hint *h)
{
	struct space *sp = session_space_of(s, h->parent);

	if (!sp || !sp->nrefused)
		return false;
	h->mm = sp->refused[0];
	h->told = h->own = true;
	memmove(sp->refused, sp->refused + 1, --sp->nrefused * sizeof(sp->refused[0]));
	return true;
}

void session_on_fork(struct session *s, const struct procwatch_event *ev)
{
	struct session_hint h = { .parent = ev->tgid, .child = ev->child_tgid, .since = ev->ts };
	struct session_hint *parent = session_hint_of(s, ev->tgid);
	bool named;

	/* Before its children: the trace tells of it first. */
	if (parent && parent->what == HINT_APART)
		look_at_apart(s, parent, shares_with(s, ev->tgid, parent->parent));
	take_all_births(s);
	parent = session_hint_of(s, ev->tgid);
	if (parent && parent->what == HINT_SETTLED)
		session_tell_fork(s, parent, 0);
	h.mm = mm_of(s, ev->tgid, &named);
	if (!h.mm)
		return;
	h.placed = named && (!parent || parent->placed);
	if (!s->opts.follow) {
		session_emit_fork(s, h.parent, h.mm, h.child, 0);
		return;
	}
	if (session_space_of(s, h.child))
		return;
	if (takes_refused(s, &h))
		h.what = HINT_SETTLED;
	else if (named && !session_first_of(s, &h))
		h.what = HINT_APART;
	/* The oldest is the least likely. */
	if (s->nhints == SESSION_HINTS)
		session_hint_close(s, &s->hints[0]);
	s->hints[s->nhints++] = h;
	for (struct space *sp = s->spaces; sp; sp = sp->next)
		if (session_may_have(&h, sp))
			sp->naming_due = 0;
}

static void look_again(struct session *s, pid_t child, pid_t parent)
{
	int shares = shares_with(s, child, parent);
	struct session_hint *h;

	/* An exec may have been told of since. */
	if (!shares)
		session_read_procwatch(s);
	h = session_hint_of(s, child);
	if (h && h->what == HINT_APART)
		look_at_apart(s, h, shares);
	session_check_empty(s, DETACH_EXIT);
}

/*
 * Nothing of a program is told after its end; so its forks are, as far as can be known.  Of a
 * child that nobody has looked at, whose memory it has cannot be asked any more: the parent
 * has none.  That the parent's is still there says nothing, as whoever reads /proc of it, or
 * runs in it, holds it.  So the child counts as one with memory of its own: it is attached
 * to, and if it was in its parent's, it is the one that has it now.
 */
void session_forks_end(struct session *s, const struct space *parent)
{
	for (unsigned int i = s->nhints; i-- > 0;) {
		struct session_hint *h = &s->hints[i];
		pid_t child = h->child;

		if (h->parent != parent->pid || !h->placed)
			continue;
		if (h->what == HINT_APART && !h->ended)
			look_at_apart(s, h, false);
		h = session_hint_of(s, child);
		if (h && h->ended)
			session_hint_close(s, h);
		else if (h && h->what == HINT_SETTLED)
			session_tell_fork(s, h, 0);
	}
}

static void look_at_hints(struct session *s, uint64_t now)
{
	for (unsigned int i = 0; i < s->nhints; i++) {
		const struct session_hint *h = &s->hints[i];

		if (h->what != HINT_APART || now < h->since + APART_REST)
			continue;
		look_again(s, h->child, h->parent);
		return;			/* the hints have moved */
	}
}

uint64_t session_births_due(const struct session *s)
{
	uint64_t due = UINT64_MAX;

	for (unsigned int i = 0; i < s->nhints; i++)
		if (s->hints[i].what == HINT_APART && s->hints[i].since + APART_REST < due)
			due = s->hints[i].since + APART_REST;
	return due;
}

static unsigned int candidates_of(struct session *s, const struct space *child, pid_t *ret)
{
	struct space *parent = session_space_of(s, child->parent);
	pid_t all[CANDIDATES];
	unsigned int n = 0, nall;

	for (unsigned int i = 0; i < s->nhints && n < CANDIDATES; i++)
		if (session_may_have(&s->hints[i], child) && !s->hints[i].ended)
			ret[n++] = s->hints[i].child;
	if (n || s->procwatch || !parent)
		return n;
	nall = procinfo_children(parent->procfd, all, CANDIDATES);
	for (unsigned int i = 0; i < nall; i++)
		if (!session_space_of(s, all[i]))
			ret[n++] = all[i];
	return n;
}

/* Its children, who may have been born before it had a name. */
void session_name_parent(struct session *s, const struct space *parent)
{
	for (struct space *sp = s->spaces; sp; sp = sp->next)
		if (!sp->pid && !sp->parent && sp->parent_mm == parent->mm)
			sp->parent = parent->pid;
	place_children(s, parent->pid, parent->mm);
}

static bool is_unnamed(const struct session *s, uint32_t mm)
{
	const struct space *sp = s->spaces;

	while (sp && (sp->mm != mm || sp->dead))
		sp = sp->next;
	return sp && !sp->pid;
}

/*
 * The first fault in an address space may be that of a vfork() child, which has it on
 * loan: then it is of the nearest ancestor that its parent has forked.
 */
static pid_t owner_of(struct session *s, const struct space *sp, pid_t pid)
{
	const struct session_hint *h = session_hint_of(s, pid);
	struct procinfo p, q;

	for (; h && h->parent != sp->parent; h = session_hint_of(s, pid))
		pid = h->parent;
	if (!s->procwatch && !procinfo_of(pid, &p) && p.ppid != sp->parent &&
	    !procinfo_of(p.ppid, &q) && q.ppid == sp->parent)
		pid = p.ppid;
	return pid;
}

static void name_child(struct session *s, struct space *sp, uint64_t now)
{
	pid_t candidates[CANDIDATES], pid;
	const struct session_hint *h;
	int r;

	if (!sp->born_ptid && now < sp->naming_due)
		return;
	if (!sp->parent && is_unnamed(s, sp->parent_mm))
		return;
	sp->naming_due = now + NAMING_RETRY;
	pid = family_find(sp, candidates, candidates_of(s, sp, candidates));
	if (pid == -ESRCH)
		sp->dead = true;
	if (pid == -EAGAIN)
		sp->naming_due = now + CHANGE_RETRY;
	if (pid < 0)
		return;
	if (pid && sp->parent)
		pid = owner_of(s, sp, pid);
	if (!pid || session_space_of(s, pid))
		return;
	h = session_hint_of(s, pid);
	if (h && h->ended) {		/* another program is there now, or nobody */
		sp->heir = pid;
		sp->dead = true;
		return;
	}
	r = space_name(sp, pid);
	if (r == -EAGAIN)
		return;
	session_drop_hint(s, pid);
	if (r == -EMFILE || r == -ENFILE)
		space_fail(sp, GAP_LIMIT);
	else if (r < 0)
		sp->dead = true;
	if (r < 0)
		return;
	sp->resync |= !range_empty(sp->bare);
	session_name_parent(s, sp);
	session_watch_pidfd(s, sp);
}

void session_take_births(struct session *s, struct space *sp)
{
	struct space *child;

	while ((child = sp->born)) {
		sp->born = child->next;
		if (session_add_space(s, child) < 0 ||
		    (child->twin && session_add_space(s, child->twin) < 0))
			session_drop_space(s, child);
	}
}

/* What is seen to be dead now was so before the kernel's word is read. */
static bool look_at_unnamed(struct session *s)
{
	bool any = false;

	for (struct space *sp = s->spaces; sp; sp = sp->next) {
		uint64_t now = clock_now();

		if (sp->pid)
			continue;
		any = true;
		if (!sp->dead && space_alive(sp))
			sp->lived = now;
		else
			sp->dead = true;
	}
	return any;
}

/*
 * Which two are one child's is told by the order of their events, and that by which of the
 * mappings stands lowest; should it ever tell wrong, this does not.
 */
static void prove_twins(struct session *s)
{
	for (struct space *sp = s->spaces; sp; sp = sp->next) {
		int r;

		if (!sp->twin || sp->twin->proved || !sp->proved || !sp->pid || sp->dead ||
		    sp->failed)
			continue;
		r = twin_prove(sp->twin);
		sp->twin->proved = !r;
		sp->dead |= r == -ESRCH;
		if (r != -EXDEV)
			continue;
		sp->drained = sp->forked_after;
		space_fail(sp, GAP_FORK);
	}
}

void session_on_births(struct session *s)
{
	uint64_t now = clock_now();

	take_all_births(s);
	/* Whose child is whose was told before any of them could fault. */
	if (look_at_unnamed(s))
		session_read_procwatch(s);
	for (struct space *sp = s->spaces; sp; sp = sp->next)
		if (!sp->pid && !sp->whole && !sp->dead && !sp->failed)
			name_child(s, sp, now);
	prove_twins(s);
	session_name_dead(s, now);
	session_look_at_open(s);
	look_at_hints(s, now);
}
