/* SPDX-License-Identifier: MIT */
/* Space: one watched address space.  See space.h. */

#include "watch/space.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "watch/procinfo.h"
#include "watch/uffd.h"

#define DROP_PAGE 500u		/* ns */
/* Of more pages it is worth asking how many of them there can be. */
#define DROP_MANY 4096u

struct space *space_blank(struct space_shared *sh, int uffd, uint64_t features)
{
	struct space *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->pending_room = SPACE_PENDING_MIN;
	s->pending = calloc(SPACE_PENDING_MIN, sizeof(*s->pending));
	if (!s->pending) {
		free(s);
		return NULL;
	}
	s->shared = sh;
	s->filter = sh->filter;
	sh->nspaces++;
	s->slot = guard_tell(sh->guard, uffd, 0);
	s->mm = sh->next_mm++;
	s->uffd = uffd;
	s->features = features;
	s->async = features & UFFD_FEATURE_WP_ASYNC;
	s->pidfd = s->procfd = s->pagemap = s->mapsfd = s->memfd = -1;
	s->door = (struct door)DOOR_NULL;
	s->forked = -1;
	s->reread_due = UINT64_MAX;
	s->born_at = s->drained = s->surveyed = s->surveyed_before = clock_now();
	census_init(&s->census, sh->page_size, s->born_at);
	workset_init(&s->written, sh->page_size);
	layout_init(&s->layout, SPACE_LAYOUT_LIMIT);
	cover_init(&s->cover, sh->page_size);
	return s;
}

/*
 * From here on /proc is read through this directory: should the pid be recycled,
 * the reads fail with ESRCH and never show the wrong process.
 */
static int go_in(struct space *s, struct door *d)
{
	int r = tids_new(&s->tids, d->procfd, d->plain);

	if (r < 0) {
		door_close(d);
		return r;
	}
	s->pid = d->pid;
	guard_name(s->shared->guard, s->slot, s->pid);
	s->pidfd = d->pidfd;
	s->procfd = d->procfd;
	s->pagemap = d->pagemap;
	s->mapsfd = d->maps;
	s->memfd = d->mem;
	s->tids_plain = d->plain;
	*d = (struct door)DOOR_NULL;
	return 0;
}

int space_new(struct space **ret, struct space_shared *sh, struct door *door, int uffd,
	      uint64_t features)
{
	struct space *s = space_blank(sh, uffd, features);
	int r;

	if (!s) {
		close(uffd);
		door_close(door);
		return -ENOMEM;
	}
	r = go_in(s, door);
	if (r < 0) {
		space_free(s);
		return r;
	}
	*ret = s;
	return 0;
}

void space_tell_vma(struct space *s, uint64_t now, enum vma_op op, const struct region *g)
{
	if (!s->whole)
		emit_vma(&s->shared->emit, s->pid, s->mm, now, op, g);
}

static void notify_child(void *arg, enum vma_op op, struct region *r)
{
	space_tell_vma(arg, clock_now(), op, r);
}

/*
 * The kernel copies registrations and protection with the page tables (a VMA that
 * is registered for write protection is always copied), so the child is covered
 * where its parent was.  The fork record goes out first: it carries the cover over.
 */
int space_fork(struct space **ret, struct space *parent, int uffd, uint64_t woke, uint64_t now)
{
	struct space *s = space_blank(parent->shared, uffd, parent->features);
	struct record fork = {
		.kind = RECORD_FORK,
		.pid = parent->pid,
		.mm = parent->mm,
		.ts = emit_ts(&parent->shared->emit, now),
		.fork = { .child = RECORD_UNKNOWN, .followed = true },
	};
	int r;

	if (!s) {
		close(uffd);
		return -ENOMEM;
	}
	s->follow = parent->follow;
	s->parent = parent->pid;
	s->parent_mm = parent->mm;
	s->forked_after = s->lived = woke;
	s->tids_plain = parent->tids_plain;
	s->proved = true;
	s->witnessed = now;
	s->snapshot = true;
	s->surveyed = now;
	fork.fork.child_mm = s->mm;
	emit_hold(&s->shared->emit, &fork, now);
	census_clone(&s->census, &parent->census, now);
	r = cover_clone(&s->cover, &parent->cover);
	if (!r)
		r = layout_clone(&s->layout, &parent->layout, &s->shared->next_vma, notify_child,
				 s);
	if (!r && s->async)
		census_born(s);
	if (!r)
		r = spare_clone(&s->spares, &parent->spares);
	if (r < 0) {
		emit_gap(&s->shared->emit, 0, s->mm, now, now, (struct range){ 0, 0 }, GAP_FORK);
		emit_named(&s->shared->emit, s->mm, 0);
		space_free(s);
		return r;
	}
	*ret = s;
	return 0;
}

int space_name(struct space *s, pid_t pid)
{
	int r = 0;

	/* Who recognised the child has been in already, as a rule. */
	if (s->door.pid != pid) {
		door_close(&s->door);
		r = agent_open(s->shared->agent, pid, &s->door);
		if (r == -EAGAIN)
			return r;
	}
	if (!r)
		r = go_in(s, &s->door);
	emit_named(&s->shared->emit, s->mm, r < 0 ? 0 : pid);
	if (r < 0)
		return r;
	s->survey_due = clock_now();
	if (s->twin)
		twin_named(s->twin);
	if (s->async)
		return 0;
	/* Memory that fork() wipes in the child (MADV_WIPEONFORK) is not armed there. */
	space_owe(s, (struct range){ 0, align_down(UINT64_MAX, s->shared->page_size) },
		  s->survey_due, TODO_CHECK, s->born_at);
	return 0;
}

/* What is being dropped now may take with it what is armed from now on. */
static void owe_looks_only(struct space *s)
{
	unsigned int n = 0;

	for (unsigned int i = s->todo_head; i < s->ntodo; i++)
		if (s->todo[i].what != TODO_ARM)
			s->todo[n++] = s->todo[i];
	s->todo_head = 0;
	s->ntodo = s->nlooks = n;
}

void space_disclaim(struct space *s)
{
	cover_done(&s->cover);
	owe_looks_only(s);
	census_forget(s);
}

/*
 * Unregistering a page where nothing can be mapped (vm.mmap_min_addr) changes
 * nothing: EINVAL from a living address space, ENOMEM from a dead one.
 */
bool space_alive(const struct space *s)
{
	uint64_t page = s->shared->page_size;
	int r = uffd_unregister(s->uffd, (struct range){ page, 2 * page });

	return r != -ENOMEM && r != -ESRCH;
}

uint64_t space_drop_takes(struct space *s, struct range r)
{
	uint64_t page = s->shared->page_size, pages = range_len(r) / page;
	uint64_t most = s->shared->memory / page;

	if (pages > DROP_MANY) {
		procinfo_resident(space_main(s)->procfd, &most);
		pages = pages < most ? pages : most;
	}
	return pages * DROP_PAGE;
}

bool space_ended(const struct space *s)
{
	struct pollfd p = { .fd = s->pidfd, .events = POLLIN };

	return poll(&p, 1, 0) > 0;
}

bool space_changing(const struct space *s)
{
	uint64_t page = s->shared->page_size;

	return uffd_protect(s->uffd, (struct range){ page, 2 * page }) == -EAGAIN;
}

void space_fail(struct space *s, enum gap_reason reason)
{
	s->failed = true;
	s->failed_for = reason;
}

void space_refuse_child(struct space *s, uint64_t now, enum gap_reason reason)
{
	struct emit *e = &s->shared->emit;
	struct record r = {
		.kind = RECORD_FORK,
		.pid = s->pid,
		.mm = s->mm,
		.ts = emit_ts(e, now),
		.fork = { .child = RECORD_UNKNOWN, .child_mm = s->shared->next_mm++ },
	};
	uint32_t child_mm = r.fork.child_mm;

	emit_push(e, &r);
	emit_gap(e, 0, child_mm, now, now, (struct range){ 0, 0 }, reason);
	if (s->nrefused < SPACE_REFUSED_MAX)
		s->refused[s->nrefused++] = child_mm;
}

void space_close(struct space *s)
{
	if (s->uffd < 0)
		return;
	guard_forget(s->shared->guard, s->slot);
	s->slot = GUARD_NO_SLOT;
	/* Closing the last copy unregisters all, disarms all and wakes all waiters. */
	close_fd(&s->uffd);
	close_fd(&s->forked);
}

struct space *space_free(struct space *s)
{
	if (!s)
		return NULL;
	space_close(s);
	s->shared->nspaces--;
	s->shared->tabled -= s->tabled;
	for (struct space *child = s->born, *after; child; child = after) {
		struct space *twin = child->twin;

		after = child->next;
		if (twin)
			twin_part(twin);
		space_free(twin);
		space_free(child);
	}
	if (s->pidfd >= 0)
		close(s->pidfd);
	if (s->procfd >= 0)
		close(s->procfd);
	if (s->pagemap >= 0)
		close(s->pagemap);
	if (s->memfd >= 0)
		close(s->memfd);
	if (s->mapsfd >= 0)
		close(s->mapsfd);
	door_close(&s->door);
	layout_done(&s->layout);
	census_done(&s->census);
	workset_done(&s->written);
	cover_done(&s->cover);
	spare_done(&s->spares);
	maps_done(&s->maps);
	tids_free(s->tids);
	free(s->pending);
	free(s->todo);
	free(s);
	return NULL;
}

/*
 * Readings that events ask for take a quarter of the time at most: threads of the
 * target wait for their events to be read meanwhile.
 */
void space_reread(struct space *s, uint64_t now, uint64_t delay)
{
	uint64_t due = now + delay, earliest = s->surveyed + 4 * s->pass_cost;

	if (due < earliest)
		due = earliest;
	if (due < s->reread_due)
		s->reread_due = due;
}

static int make_todo_room(struct space *s)
{
	unsigned int room = s->todo_room ? s->todo_room * 2 : 64;
	struct space_todo *v;

	assert(s->todo || !s->todo_room);
	if (s->ntodo == s->todo_room && s->todo_head >= s->todo_room / 2 && s->todo_head) {
		s->ntodo -= s->todo_head;
		memmove(s->todo, s->todo + s->todo_head, s->ntodo * sizeof(*s->todo));
		s->todo_head = 0;
	}
	if (s->ntodo < s->todo_room)
		return 0;
	v = realloc(s->todo, room * sizeof(*v));
	if (!v) {
		/* Not armed is not claimed: nothing is lost but coverage. */
		s->resync = true;
		return -ENOMEM;
	}
	s->todo = v;
	s->todo_room = room;
	return 0;
}

static int owe(struct space *s, const struct space_todo *more)
{
	struct space_todo *t = s->ntodo > s->todo_head ? &s->todo[s->ntodo - 1] : NULL;
	int r;

	if (range_empty(more->r))
		return 0;
	if (t && t->what == more->what && t->since == more->since && t->why == more->why &&
	    t->r.hi == more->r.lo && t->when + NSEC_PER_MSEC >= more->when) {
		t->r.hi = more->r.hi;
		t->when = more->when > t->when ? more->when : t->when;
		if (more->what != TODO_ARM && more->armed < t->armed)
			t->armed = more->armed;
		return 0;
	}
	r = make_todo_room(s);
	if (r < 0)
		return r;
	s->todo[s->ntodo++] = *more;
	s->nlooks += more->what != TODO_ARM;
	return 0;
}

int space_owe(struct space *s, struct range r, uint64_t when, int what, uint64_t armed)
{
	return owe(s, &(struct space_todo){ .r = r, .when = when, .what = (unsigned int)what,
					    .armed = armed });
}

int space_owe_since(struct space *s, struct range r, uint64_t when, uint64_t since,
		    enum gap_reason why)
{
	return owe(s, &(struct space_todo){ .r = r, .when = when, .what = TODO_ARM,
					    .since = since, .why = why });
}

/* Entries come almost in the order of their time: the due ones are not far. */
#define LOOK_AHEAD 16

struct space_todo *space_todo_due(struct space *s, uint64_t now)
{
	unsigned int n = s->ntodo - s->todo_head;

	for (unsigned int i = 0; i < n && i < LOOK_AHEAD; i++) {
		struct space_todo *t = &s->todo[s->todo_head + i], *head = &s->todo[s->todo_head];

		if (t->when <= now) {
			struct space_todo due = *t;

			*t = *head;
			*head = due;
			return head;
		}
	}
	return NULL;
}

void space_todo_done(struct space *s)
{
	s->nlooks -= s->todo[s->todo_head].what != TODO_ARM;
	if (++s->todo_head == s->ntodo)
		s->todo_head = s->ntodo = 0;
}

bool space_todo_skip(struct space *s, struct space_todo *t, uint64_t addr)
{
	struct range part = { t->r.lo, addr < t->r.hi ? addr : t->r.hi };

	if (range_empty(part))
		return false;
	if (t->since)
		emit_gap(&s->shared->emit, s->pid, s->mm, t->since, clock_now(), part, t->why);
	t->r.lo = part.hi;
	return true;
}

uint64_t space_todo_first(const struct space *s)
{
	unsigned int n = s->ntodo - s->todo_head;
	uint64_t due = UINT64_MAX;

	for (unsigned int i = 0; i < n && i < LOOK_AHEAD; i++)
		if (s->todo[s->todo_head + i].when < due)
			due = s->todo[s->todo_head + i].when;
	return due;
}
