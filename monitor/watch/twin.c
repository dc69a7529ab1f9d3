/* SPDX-License-Identifier: MIT */
/*
 * Twin: two userfaultfds on one address space, each with the mappings that it owns.
 *
 * A VMA belongs to the userfaultfd that has registered it, also after mremap(2); REMOVE
 * and REMAP go to that one.  munmap(2) tells each owner of the whole range, one after the
 * other (userfaultfd_unmap_prep()), so the second word of it is an echo.  FORK goes to
 * both.  UFFDIO_WRITEPROTECT does not ask who owns: each keeps to its own.
 */

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "watch/space.h"
#include "watch/uffd.h"

/* A thread may unmap again before the second word comes: then the oldest are forgotten. */
static void expect(struct space *main, struct range r, const struct space *of)
{
	if (main->nechoes == SPACE_ECHOES)
		memmove(main->echo, main->echo + 1, --main->nechoes * sizeof(main->echo[0]));
	main->echo[main->nechoes++] = (struct space_echo){ r, of };
}

static bool owns_in(const struct space *s, struct range r)
{
	for (struct region *g = layout_from(&s->layout, r.lo); g && g->r.lo < r.hi;
	     g = layout_next(&s->layout, g))
		if (g->modes)
			return true;
	return false;
}

bool twin_echoes(struct space *s, const struct event *ev)
{
	struct space *main = space_main(s);
	struct space *other = s->whole ? s->whole : s->twin;

	if (!other || ev->kind != EVENT_UNMAP)
		return false;
	for (unsigned int i = 0; i < main->nechoes; i++) {
		struct space_echo *e = &main->echo[i];

		if (e->of != s || e->r.lo != ev->span.lo || e->r.hi != ev->span.hi)
			continue;
		memmove(e, e + 1, (--main->nechoes - i) * sizeof(*e));
		return true;
	}
	if (owns_in(other, ev->span))
		expect(main, ev->span, other);
	return false;
}

static void tell(void *arg, enum vma_op op, struct region *g)
{
	space_tell_vma(arg, clock_now(), op, g);
}

/* What stayed in its layout would pass for known and declared, should it come anew. */
void twin_lost(struct space *twin, struct range r)
{
	struct space *s = twin->whole;
	struct region *g;

	while (s && (g = layout_from(&s->layout, r.lo)) && g->r.lo < r.hi) {
		struct range part = range_common(g->r, r);

		r.lo = part.hi;
		if (g->held && layout_cut(&s->layout, part, &s->shared->next_vma, tell, s) < 0)
			s->resync = true;
	}
}

bool twin_meets(struct space *twin, const struct region *g)
{
	struct space_fresh f = { .r = g->r, .first = clock_now(), .when = clock_now() };
	const struct region *own;

	/* Its first reading is still to come. */
	if (!twin->snapshot)
		return true;
	survey_here(twin, &f);
	own = layout_find(&twin->layout, g->r.lo);
	return own && own->modes && own->r.hi >= g->r.hi;
}

void twin_agree(struct space *s)
{
	if (!s->twin)
		return;
	s->resync = s->twin->resync |= s->resync;
}

static struct space *twin_of(struct space *whole, int uffd, uint64_t features)
{
	struct space *s = space_blank(whole->shared, uffd, features);

	if (!s) {
		close(uffd);
		return NULL;
	}
	/* It is no address space of its own. */
	s->shared->nspaces--;
	s->shared->next_mm--;
	s->mm = whole->mm;
	s->filter = s->shared->twin_filter;
	s->tids_plain = whole->tids_plain;
	s->born_at = whole->born_at;
	s->whole = whole;
	whole->twin = s;
	return s;
}

static void borrow(struct space *s, const struct space *whole)
{
	s->pid = whole->pid;
	s->pidfd = whole->pidfd;
	s->procfd = whole->procfd;
	s->pagemap = whole->pagemap;
	s->mapsfd = whole->mapsfd;
	s->memfd = whole->memfd;
	s->tids = whole->tids;
	s->tids_plain = whole->tids_plain;
	guard_name(s->shared->guard, s->slot, s->pid);
}

int twin_new(struct space **ret, struct space *whole, int uffd, uint64_t features)
{
	struct space *s = twin_of(whole, uffd, features);

	if (!s)
		return -ENOMEM;
	borrow(s, whole);
	s->spares.tid_word = whole->spares.tid_word;
	*ret = s;
	return 0;
}

static void not_told(void *arg, enum vma_op op, struct region *g)
{
	(void)arg;
	(void)op;
	(void)g;
}

int twin_fork(struct space *child, const struct space *parent, int uffd, uint64_t now)
{
	struct space *s = twin_of(child, uffd, parent->features);
	int r;

	if (!s)
		return -ENOMEM;
	s->follow = parent->follow;
	s->snapshot = true;
	s->surveyed = s->witnessed = now;
	r = cover_clone(&s->cover, &parent->cover);
	if (!r)
		r = layout_clone(&s->layout, &parent->layout, &s->shared->next_vma, not_told, s);
	if (!r)
		r = spare_clone(&s->spares, &parent->spares);
	if (r < 0) {
		twin_part(s);
		space_free(s);
	}
	return r;
}

void twin_named(struct space *twin)
{
	borrow(twin, twin->whole);
	twin->survey_due = clock_now();
	/* Memory that fork() wipes in the child (MADV_WIPEONFORK) is not armed there. */
	space_owe(twin, (struct range){ 0, align_down(UINT64_MAX, twin->shared->page_size) },
		  twin->survey_due, TODO_CHECK, twin->born_at);
}

void twin_release(struct space *twin)
{
	for (struct region *g = layout_from(&twin->layout, 0); g; g = layout_next(&twin->layout, g))
		if (g->modes)
			uffd_unregister(twin->uffd, g->r);
	/* No event comes after that; one that has been sent is lost with the descriptor. */
	serve(twin, clock_now());
}

void twin_part(struct space *twin)
{
	struct space *s = twin->whole;

	s->shared->nspaces++;	/* space_free() counts one less */
	twin->pidfd = twin->procfd = twin->pagemap = twin->mapsfd = twin->memfd = -1;
	twin->tids = NULL;
	twin->whole = NULL;
	s->twin = NULL;
	s->nechoes = 0;
	for (struct region *g = layout_from(&s->layout, 0); g; g = layout_next(&s->layout, g))
		g->again |= g->held;
	s->reread_due = clock_now();
}
