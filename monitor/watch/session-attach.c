/* SPDX-License-Identifier: MIT */
/*
 * Session, attaching: injections, and the first look at what they open.
 *
 * While one target is attached others may be waiting for answers, and a thread of
 * the new target in an event wait does not stop for ptrace: so injections run in
 * processes of their own (inject/), and the loop turns meanwhile.
 */

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "watch/pagescan.h"
#include "watch/procinfo.h"
#include "watch/session-state.h"
#include "watch/turnstile.h"
#include "watch/uffd.h"

#define BORROW_POLL (200 * NSEC_PER_USEC)
#define TURNSTILE_MAX (2 * NSEC_PER_SEC)
#define ARM_FIRST_MAX (5 * NSEC_PER_SEC)	/* the rest is armed while recording */
#define FIRST_READINGS_MAX 8

static bool finished(const struct pagetap_borrowing *b)
{
	struct pollfd p = { .fd = pagetap_borrow_fd(b), .events = POLLIN };

	return poll(&p, 1, 0) > 0;
}

static int fail(struct pagetap_failure *f, int error, const char *what)
{
	f->error = -error;
	f->phase = PAGETAP_PHASE_NONE;
	f->reason = error == -ESRCH ? PAGETAP_REASON_EXITED :
		    error == -EBUSY ? PAGETAP_REASON_MONITORED : PAGETAP_REASON_NONE;
	f->state = error == -ESRCH ? PAGETAP_TARGET_GONE : PAGETAP_TARGET_RESTORED;
	snprintf(f->text, sizeof(f->text), "%s: %s", what, strerror(-error));
	f->hint[0] = '\0';
	return error;
}

static void emit_attach(struct session *s, struct space *sp, uint64_t stop_ns)
{
	struct emit *e = &s->shared.emit;
	struct procinfo p;
	struct record r = {
		.kind = RECORD_ATTACH,
		.pid = sp->pid,
		.mm = sp->mm,
		.ts = emit_ts(e, clock_now()),
		.attach.stop_ns = stop_ns,
	};

	if (agent_about(s->opts.agent, sp->pid, &p) < 0)
		memset(&p, 0, sizeof(p));
	if (!maps_reread(sp->mapsfd, &sp->maps))
		r.attach.vmas = (uint32_t)sp->maps.n;
	r.attach.ppid = p.ppid;
	r.attach.threads = p.threads;
	r.text = record_text_new(p.comm, p.comm_len, p.exe, p.exe_len);
	emit_push(e, &r);
}

/* A turn of the loop may be the end of the space: it is freed then. */
static int turn_with(struct session *s, struct space *sp, pid_t pid, uint64_t until)
{
	int r = session_turn(s, until);

	if (r < 0)
		return r;
	return session_space_of(s, pid) != space_main(sp) || sp->dead || sp->gone ? -ESRCH : 0;
}

/* Readings of the maps until one finds nothing that the one before did not. */
static int settle(struct session *s, struct space *sp, pid_t pid)
{
	int64_t found = 1;
	int r = 0;

	for (int i = 0; r >= 0 && found && i < FIRST_READINGS_MAX; i++) {
		while ((r = survey(sp, clock_now(), &found)) > 0) {
			r = turn_with(s, sp, pid, clock_now());
			if (r < 0)
				break;
		}
	}
	return r;
}

static int prove(struct session *s, struct space *sp, pid_t pid)
{
	int r;

	while ((r = arm_prove(sp)) == -EAGAIN) {
		r = turn_with(s, sp, pid, clock_now() + BORROW_POLL);
		if (r < 0)
			break;
	}
	return r;
}

/* As inject/target.c judges before: no program has its own userfaultfd on these. */
static bool is_taken(const struct space *sp)
{
	for (struct region *g = layout_from(&sp->layout, 0); g; g = layout_next(&sp->layout, g))
		if ((g->kind == VMA_KIND_STACK || g->kind == VMA_KIND_HEAP) && g->why == WHY_BUSY)
			return true;
	return false;
}

/* It must be known before the first reading, which says what is whose. */
static int add_twin(struct session *s, struct space *sp, struct agent_loan *l, int error)
{
	struct space *twin;
	int r = twin_new(&twin, sp, l->loan.uffd, l->features);

	if (!r)
		r = session_add_space(s, twin);
	return error ? error : r;
}

/*
 * Register, read again, prove, and only then arm.  The loop serves this space from
 * the moment it is registered: its layout events hold threads of the target.
 */
static int open_space(struct session *s, struct agent_loan *l, struct agent_loan *twin,
		      uint32_t mm, uint64_t since, struct space **ret, const char **ret_what)
{
	uint64_t stop_ns = l->loan.stop_ns + (twin ? twin->loan.stop_ns : 0);
	pid_t pid = l->door.pid;
	struct space *sp;
	int r;

	*ret_what = "taking it over";
	r = space_new(&sp, &s->shared, &l->door, l->loan.uffd, l->features);
	if (r < 0) {
		if (twin)
			close(twin->loan.uffd);
		return r;
	}
	sp->spares.tid_word = l->loan.tid_word;
	sp->born_at = since;		/* an exec after this is one to follow */
	sp->declared = mm ? since : 0;	/* of a program after an exec the trace knows already */
	if (mm)
		sp->mm = mm;
	*ret_what = "registering its memory";
	emit_attach(s, sp, stop_ns);
	session_witness(s, sp);
	r = session_add_space(s, sp);
	if (twin)
		r = add_twin(s, sp, twin, r);
	if (!r)
		r = settle(s, sp, pid);
	if (!r && sp->twin)
		r = settle(s, sp->twin, pid);
	if (!r && is_taken(sp)) {
		*ret_what = "somebody else has begun to watch it just now";
		r = -EBUSY;
	}
	if (!r) {
		*ret_what = "the userfaultfd is of another address space";
		r = prove(s, sp, pid);
		if (!r && sp->twin)
			r = prove(s, sp->twin, pid);
	}
	if (r < 0) {
		if (session_space_of(s, pid) != sp)
			return s->any_attached ? 0 : r;
		/* It has executed another program, or it exits: the loop finds out which. */
		sp->dead = r == -ESRCH && s->any_attached;
		if (sp->dead)
			return 0;
		session_drop_space(s, sp);
		return r;
	}
	sp->proved = true;
	if (sp->twin)
		sp->twin->proved = true;
	sp->witnessed = clock_now();
	*ret = sp;
	return 0;
}

static bool owes(const struct space *sp, uint64_t since)
{
	return arm_owes(sp, since) || (sp->twin && arm_owes(sp->twin, since));
}

static int arm_first(struct session *s, pid_t pid)
{
	uint64_t begin = clock_now(), limit = begin + ARM_FIRST_MAX;
	struct space *sp;
	int r;

	for (;;) {
		sp = session_space_of(s, pid);
		if (!sp)
			return s->stop ? 0 : -ESRCH;
		/* What the target has mapped meanwhile is armed while recording. */
		if (!owes(sp, begin) || s->stop || clock_now() > limit)
			return 0;
		r = session_turn(s, limit);
		if (r < 0)
			return r;
	}
}

static void note_first(struct session *s, struct space *sp, uint64_t t0,
		       uint64_t stop_ns)
{
	struct session_summary *m = &s->summary;

	m->watched_bytes += census_armed(sp) + sp->cover.claimed * s->shared.page_size;
	if (sp->twin)
		m->watched_bytes += sp->twin->cover.claimed * s->shared.page_size;
	for (struct region *g = layout_from(&sp->layout, 0); g; g = layout_next(&sp->layout, g)) {
		m->vmas++;
		m->vmas_watched += (g->modes || g->held) && g->why == WHY_NONE;
	}
	m->attach_ns = clock_now() - t0;
	m->stop_ns = stop_ns;
	if (!s->first_pid)
		s->first_pid = sp->pid;
	s->any_attached = true;
}

/*
 * By our own right, which the first targets are attached with: only what comes after
 * them is the agent's.
 */
static int borrow(struct session *s, pid_t pid, bool async, struct agent_loan *ret,
		  struct pagetap_failure *ret_failure)
{
	struct pagetap_opts o = { .size = sizeof(o), .timeout_ms = s->opts.inject_timeout_ms };
	struct pagetap_borrowing *b;
	int r;

	ret->loan = (struct pagetap_loan){ .size = sizeof(ret->loan) };
	r = pagetap_borrow_start(&b, pid, &o, ret_failure);
	if (r < 0)
		return r;
	while (!finished(b) && s->spaces && !r)
		r = session_turn(s, clock_now() + BORROW_POLL);
	r = pagetap_borrow_finish(b, &ret->loan, ret_failure);
	if (r < 0)
		return r;
	r = uffd_handshake(ret->loan.uffd, async ? UFFD_WANTED_ASYNC : UFFD_WANTED,
			   &ret->features);
	if (r < 0) {
		close(ret->loan.uffd);
		close(ret->loan.pidfd);
		return fail(ret_failure, r, "userfaultfd handshake");
	}
	r = door_open(&ret->door, pid, ret->loan.pidfd);
	if (r < 0) {
		close(ret->loan.uffd);
		return fail(ret_failure, r, "opening it in /proc");
	}
	return 0;
}

/* Nothing is registered yet, so it can be asked a second time. */
static int borrow_twin(struct session *s, pid_t pid, struct agent_loan *first,
		       struct agent_loan *ret, struct pagetap_failure *ret_failure)
{
	int r = borrow(s, pid, false, ret, ret_failure);

	if (!r) {
		door_close(&ret->door);
		return 0;
	}
	close(first->loan.uffd);
	door_close(&first->door);
	return r;
}

/* The turn of the loop goes on for those that are watched already. */
static int enter(struct session *s, pid_t pid)
{
	uint64_t until = clock_now() + TURNSTILE_MAX;
	int fd = turnstile_enter(pid, s->spaces ? 0 : TURNSTILE_MAX);

	while (fd < 0 && clock_now() < until && !session_turn(s, clock_now() + BORROW_POLL))
		fd = turnstile_enter(pid, 0);
	return fd;
}

int session_attach(struct session *s, pid_t pid, struct pagetap_failure *ret_failure)
{
	_close_ int turnstile __attribute__((unused)) = enter(s, pid);
	uint64_t t0 = clock_now();
	struct agent_loan l, twin;
	const char *what;
	struct space *sp;
	int r;

	r = borrow(s, pid, s->opts.async, &l, ret_failure);
	if (!r && s->opts.both)
		r = borrow_twin(s, pid, &l, &twin, ret_failure);
	if (r < 0)
		return r;
	r = open_space(s, &l, s->opts.both ? &twin : NULL, 0, t0, &sp, &what);
	if (r < 0)
		return fail(ret_failure, r, what);
	r = arm_first(s, pid);
	if (r < 0)
		return fail(ret_failure, r, "arming its memory");
	sp = session_space_of(s, pid);
	if (sp)
		note_first(s, sp, t0, l.loan.stop_ns + (s->opts.both ? twin.loan.stop_ns : 0));
	return 0;
}

struct session_adoption *session_adoption_of(struct session *s, pid_t pid)
{
	for (unsigned int i = 0; i < s->nadoptions; i++)
		if (s->adoptions[i].pid == pid)
			return &s->adoptions[i];
	return NULL;
}

void session_adopt(struct session *s, pid_t pid, uint32_t mm, uint64_t since, enum gap_reason why)
{
	if (s->shared.nspaces + s->nadoptions >= s->shared.max_spaces) {
		uint64_t now = clock_now();

		session_hint_settle(s, pid);
		emit_gap(&s->shared.emit, pid, mm, now, now, (struct range){ 0, 0 }, GAP_LIMIT);
		return;
	}
	if (s->nadoptions == SESSION_ADOPTIONS) {
		session_hint_settle(s, pid);
		emit_error(&s->shared.emit, pid, mm, clock_now(), EAGAIN, "follow",
			   "too many programs to attach to at once");
		return;
	}
	s->adoptions[s->nadoptions++] = (struct session_adoption){
		.pid = pid, .mm = mm, .since = since, .why = why,
	};
}

static void drop_adoption(struct session *s, unsigned int i)
{
	s->adoptions[i] = s->adoptions[--s->nadoptions];
}

static void return_loan(struct agent_loan *l)
{
	close(l->loan.uffd);
	door_close(&l->door);
}

void session_adoption_void(struct session_adoption *a)
{
	if (a->halved)
		return_loan(&a->half);
	a->halved = false;
}

/* What has come of it: r, and l or the words; with both engines it is the second time. */
static void finish_adoption(struct session *s, struct session_adoption *a, int r,
			    struct agent_loan *l, const char *what)
{
	struct emit *e = &s->shared.emit;
	bool halved = a->halved, came = !r;
	struct space *sp;

	session_hint_settle(s, a->pid);
	emit_gap(e, a->pid, a->mm, a->since, clock_now(), (struct range){ 0, 0 }, a->why);
	if (came && halved)
		door_close(&l->door);
	if (!came)
		emit_error(e, a->pid, a->mm, clock_now(), -r, "follow", what);
	if (!came && !halved)
		return;
	r = open_space(s, halved ? &a->half : l, halved && came ? l : NULL, a->mm, a->since, &sp,
		       &what);
	if (r < 0 && came)
		emit_error(e, a->pid, a->mm, clock_now(), -r, "follow", what);
}

/* Another program runs by now: ask once more. */
static void give_back(struct session *s, struct session_adoption *a)
{
	struct pagetap_failure f;
	struct agent_loan l;

	if (!agent_finish(s->opts.agent, a->loan, &l, &f))
		return_loan(&l);
	a->loan = a->stale = 0;
}

/* One injection at a time: each is a process, and they come in storms. */
void session_adoptions_step(struct session *s)
{
	struct session_adoption *a = &s->adoptions[0];
	struct pagetap_failure f = { 0 };
	struct session_adoption done;
	struct agent_loan l;
	int r;

	if (!s->nadoptions)
		return;
	if (!a->loan) {
		r = agent_borrow(s->opts.agent, a->pid, s->opts.async && !a->halved,
				 s->opts.inject_timeout_ms, &a->loan);
		if (r < 0) {
			session_hint_settle(s, a->pid);
			emit_error(&s->shared.emit, a->pid, a->mm, clock_now(), -r, "follow",
				   "the agent process cannot be asked");
			session_adoption_void(a);
			drop_adoption(s, 0);
			session_check_empty(s, DETACH_EXIT);
		}
		return;
	}
	if (!agent_finished(s->opts.agent, a->loan))
		return;
	if (a->stale == a->loan) {
		give_back(s, a);
		return;
	}
	r = agent_finish(s->opts.agent, a->loan, &l, &f);
	if (!r && s->opts.both && !a->halved) {
		a->half = l;
		a->halved = true;
		a->loan = 0;
		return;
	}
	done = *a;
	drop_adoption(s, 0);
	finish_adoption(s, &done, r, &l, f.text);
	/* Whom it was for may have gone meanwhile. */
	session_check_empty(s, DETACH_EXIT);
}

bool session_can_async(uint64_t features)
{
	const uint64_t needs = UFFD_FEATURE_PAGEFAULT_FLAG_WP | UFFD_FEATURE_WP_ASYNC |
			       UFFD_FEATURE_WP_UNPOPULATED;

	return (features & needs) == needs && pagescan_probe().scan;
}

int session_probe_features(uint64_t *ret_features)
{
	return uffd_probe(ret_features);
}
