/* SPDX-License-Identifier: MIT */
/*
 * Serve: read what the userfaultfd says; resolve first, record second.
 *
 * Whether a write fault is news is decided after its answer succeeded, never when
 * it was read: an answer succeeds only when no layout change is under way, so the
 * cover is then the one the fault happened under.  (read(2) delivers faults before
 * events: a fault at a moved page may be read before the move.)
 */

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "watch/follow.h"
#include "watch/space.h"
#include "watch/uffd.h"

#define BATCH 64
#define BATCHES_A_TURN 16
#define FDS_SPARE 16
/* REMOVE is told before the zap; arm again when it should be over, then check. */
#define REMOVE_DELAY (2 * NSEC_PER_MSEC)
#define REREAD_DELAY (1 * NSEC_PER_MSEC)

/* A fault that was answered, until it is written down. */
struct served {
	struct event ev;
	struct resolve_answer answer;
	struct range torn;		/* what of a block may be unprotected unseen; empty */
	uint64_t woke, read, answered;
	uint32_t vma;
	bool news;
};

struct served_batch {
	struct served v[BATCH];
	unsigned int n;
};

static struct resolve_place place_of(struct space *s, uint64_t addr, uint32_t *ret_vma)
{
	const struct region *g = layout_find(&s->layout, addr);
	struct resolve_place place;

	if (!g) {
		*ret_vma = 0;
		return (struct resolve_place){ .page_size = s->shared->page_size };
	}
	*ret_vma = g->id;
	if (s->whole) {
		const struct region *told = layout_find(&s->whole->layout, addr);

		*ret_vma = told ? told->id : 0;
	}
	place = (struct resolve_place){
		.modes = g->modes,
		.page_size = g->page_size ? g->page_size : s->shared->page_size,
		.kind = g->kind,
		.arm = g->arm,
	};
	if (s->shared->granularity > 1 && place.page_size == s->shared->page_size)
		place.block = cover_block(&s->cover, g->r, addr, s->shared->granularity);
	return place;
}

/* 0: answered and noted in *ret; -EAGAIN, -ENOMEM: the thread still waits. */
static int answer(struct space *s, const struct event *ev, uint64_t woke, uint64_t read_at,
		  struct served *ret)
{
	struct resolve_place place = place_of(s, ev->fault.addr, &ret->vma);
	uint64_t taken = 0;
	int r;

	r = resolve_fault(s->uffd, ev, &place, &s->shared->source, &ret->answer);
	if (r < 0)
		return r;
	ret->torn = (struct range){ 0, 0 };
	if (ret->answer.torn)
		ret->torn = place.block;
	ret->ev = *ev;
	ret->woke = woke;
	ret->read = read_at;
	ret->answered = clock_now();
	if (ret->answer.supplied && (ev->fault.wp || ev->fault.write))
		taken = cover_take(&s->cover, ret->answer.page);
	ret->news = ev->fault.wp ? taken > 0 : ret->answer.supplied;
	return 0;
}

static enum fault_kind kind_of(const struct event *ev)
{
	return ev->fault.wp ? FAULT_WP : ev->fault.minor ? FAULT_MINOR : FAULT_MISSING;
}

static bool kept(const struct space *s, enum fault_kind kind)
{
	static const uint32_t bit[FAULT_NR] = {
		[FAULT_WP] = WATCH_KIND_WP,
		[FAULT_MISSING] = WATCH_KIND_MISSING,
		[FAULT_MINOR] = WATCH_KIND_MINOR,
	};

	return s->shared->kinds & bit[kind];
}

static void name_thread(struct space *s, uint32_t ptid, struct record *r)
{
	r->fault.tid = (int32_t)ptid;
	if (!s->tids || tids_same_namespace(s->tids))
		return;
	r->fault.ns_tid = (int32_t)ptid;
	r->fault.tid = tids_host(s->tids, (pid_t)ptid);
}

static void note(struct space *s, const struct served *f)
{
	struct emit *e = &s->shared->emit;
	struct record r = {
		.kind = RECORD_FAULT,
		.pid = s->pid,
		.mm = s->mm,
		.ts = emit_ts(e, f->answered),
		.addr = f->ev.fault.addr,
		.npages = range_len(f->answer.page) / s->shared->page_size,
		.fault = {
			.kind = (uint8_t)kind_of(&f->ev),
			.act = (uint8_t)f->answer.act,
			.via = VIA_UFFD,
			.write = f->ev.fault.wp || f->ev.fault.write,
			.vma = f->vma,
			.lat_ns = (uint32_t)(f->answered - f->read),
			.stop_ns = f->answered - f->woke,
		},
	};

	latency_add(&s->shared->lat, f->answered - f->read);
	latency_add(&s->shared->stop, f->answered - f->woke);
	s->waited += f->answered - f->woke;
	if (!s->pid && !space_main(s)->born_ptid)
		space_main(s)->born_ptid = f->ev.fault.ptid;
	if (!f->news) {
		e->repeats++;
		return;
	}
	if (kept(s, (enum fault_kind)r.fault.kind)) {
		name_thread(s, f->ev.fault.ptid, &r);
		s->faulted = r.fault.tid;
		emit_push(e, &r);
	}
	if (f->answer.armed && !cover_armed_all(&s->cover, f->answer.page) &&
	    !cover_arm(&s->cover, f->answer.page))
		emit_arm(e, s->pid, s->mm, f->read, f->answered, f->answer.page, ARM_WP);
}

/* What of a block may have been written since it was refused: declare, arm again. */
static void note_torn(struct space *s, const struct served *f)
{
	if (range_empty(f->torn))
		return;
	cover_drop(&s->cover, f->torn);
	emit_gap(&s->shared->emit, s->pid, s->mm, f->read, f->answered, f->torn, GAP_REARM_RACE);
	space_owe(s, f->torn, f->answered, TODO_ARM, 0);
}

static void note_all(struct space *s, struct served_batch *b)
{
	for (unsigned int i = 0; i < b->n; i++)
		note(s, &b->v[i]);
	for (unsigned int i = 0; i < b->n; i++)
		note_torn(s, &b->v[i]);
	b->n = 0;
}

static void follow_notify(void *arg, enum vma_op op, struct region *g)
{
	space_tell_vma(arg, clock_now(), op, g);
}

static void emit_layout_event(struct space *s, const struct event *ev, uint64_t now)
{
	struct range span = ev->kind == EVENT_REMAP ? ev->remap.from : ev->span;
	struct record r = {
		.kind = ev->kind == EVENT_REMAP ? RECORD_REMAP :
			ev->kind == EVENT_REMOVE ? RECORD_REMOVE : RECORD_UNMAP,
		.pid = s->pid,
		.mm = s->mm,
		.ts0 = emit_ts(&s->shared->emit, s->drained),
		.ts = emit_ts(&s->shared->emit, now),
	};

	if (twin_echoes(s, ev) || !(s->shared->kinds & WATCH_KIND_MAP))
		return;
	r.addr = align_down(span.lo, s->shared->page_size);
	r.npages = (align_up(span.hi, s->shared->page_size) - r.addr) / s->shared->page_size;
	if (ev->kind == EVENT_REMAP)
		r.remap.new_addr = ev->remap.to;
	emit_push(&s->shared->emit, &r);
}

static void on_layout(struct space *s, const struct event *ev, uint64_t now)
{
	struct range span = ev->kind == EVENT_REMAP ? ev->remap.from : ev->span, to;
	bool unsure = arm_confess_part(s, span, now);
	struct follow_change change;
	int r;

	emit_layout_event(s, ev, now);
	if (s->snapshot && ev->kind != EVENT_REMOVE)
		survey_admit(space_main(s), span, UINT64_MAX);
	if (s->async)
		census_before_event(s, ev, now);
	r = follow_apply(&s->layout, &s->cover, ev, &s->shared->next_vma, follow_notify, s,
			 &change);
	if (r < 0)
		s->resync = true;
	if (s->async)
		census_after_event(s, ev);
	if (change.reread)
		space_reread(s, now, REREAD_DELAY);
	if (change.reread && s->whole) {
		twin_lost(s, change.span);
		space_reread(s->whole, now, REREAD_DELAY);
	}
	if (unsure && ev->kind == EVENT_REMAP &&
	    range_make(change.to, range_len(change.span), &to))
		space_owe(s, to, now, TODO_ARM, 0);
	if (change.rearm && !s->async)
		space_owe(s, change.span, now + REMOVE_DELAY + space_drop_takes(s, change.span),
			  TODO_REARM_AFTER_REMOVE, now);
}

/*
 * Descriptors are given out from the lowest number on, so the number tells how many
 * are left; the last ones are for readings of /proc and injections.
 */
static bool room_for_child(const struct space *s, int uffd)
{
	const struct space_shared *sh = s->shared;

	return !sh->full && sh->nspaces < sh->max_spaces && uffd < sh->max_fds - FDS_SPARE;
}

static void take_child(struct space *s, struct space *child)
{
	child->next = s->born;
	s->born = child;
}

/* Of a process that two watch: each has a userfaultfd of the child, or one has. */
static void on_fork_of_two(struct space *s, int uffd, uint64_t woke)
{
	int twin = twin_await(s);
	uint64_t now = clock_now();
	struct space *child;

	if ((twin < 0 && twin != -ENOENT) || !room_for_child(s, twin > uffd ? twin : uffd)) {
		space_refuse_child(s, now,
				   twin == -EAGAIN || twin == -ESRCH ? GAP_FORK : GAP_LIMIT);
		close_fd(&twin);
		close(uffd);
		return;
	}
	if (space_fork(&child, s, uffd, woke, now) < 0) {
		close_fd(&twin);
		return;
	}
	take_child(s, child);
	if (twin < 0 || twin_fork(child, s->twin, twin, now) < 0)
		twin_orphaned(child, woke, now);
}

/* The child's pid does not exist yet; the session finds it. */
static void on_fork(struct space *s, int uffd, uint64_t woke, uint64_t now)
{
	struct space *child;
	struct record r = {
		.kind = RECORD_FORK,
		.pid = s->pid,
		.mm = s->mm,
		.ts = emit_ts(&s->shared->emit, now),
		.fork = { .child = RECORD_UNKNOWN },
	};

	if (s->follow && s->whole) {
		twin_forked(s, uffd);
		return;
	}
	if (s->follow && s->twin) {
		on_fork_of_two(s, uffd, woke);
		return;
	}
	if (s->follow && !room_for_child(s, uffd)) {
		close(uffd);
		space_refuse_child(s, now, GAP_LIMIT);
		return;
	}
	if (s->follow && !space_fork(&child, s, uffd, woke, now)) {
		take_child(s, child);
		return;
	}
	if (!s->follow)
		close(uffd);
	/* Its twin tells of the same fork. */
	if (s->whole)
		return;
	if (!s->shared->procwatch && (s->shared->kinds & WATCH_KIND_FORK))
		emit_push(&s->shared->emit, &r);
}

static int on_fault(struct space *s, const struct event *ev, uint64_t woke, uint64_t now,
		    struct served_batch *b)
{
	int r = answer(s, ev, woke, now, &b->v[b->n]);

	if (!r) {
		b->n++;
		return 0;
	}
	if (r == -EAGAIN || r == -ENOMEM) {
		s->pending[s->npending++] = (struct space_pending){ *ev, woke, now };
		return 0;
	}
	return r;
}

static int serve_batch(struct space *s, const struct uffd_msg *msgs, size_t n, uint64_t woke,
		       struct served_batch *b)
{
	uint64_t now = clock_now();
	struct event ev;
	int r = 0;

	for (size_t i = 0; i < n && !r; i++) {
		if (event_decode(&msgs[i], sizeof(msgs[i]), &ev) < 0) {
			s->resync = true;
			continue;
		}
		if (ev.kind == EVENT_FAULT) {
			r = on_fault(s, &ev, woke, now, b);
			continue;
		}
		note_all(s, b);
		if (ev.kind == EVENT_FORK)
			on_fork(s, ev.fork.fd, woke, clock_now());
		else
			on_layout(s, &ev, clock_now());
	}
	note_all(s, b);
	s->drained = now;
	return r;
}

int serve_pending(struct space *s)
{
	struct served_batch b = { .n = 0 };
	unsigned int left = 0;
	int r = 0;

	for (unsigned int i = 0; i < s->npending; i++) {
		struct space_pending *p = &s->pending[i];

		r = answer(s, &p->ev, p->woke, p->read, &b.v[b.n]);
		if (r == -ESRCH)
			break;
		if (r < 0)
			s->pending[left++] = *p;
		else
			b.n++;
		if (b.n == BATCH)
			note_all(s, &b);
	}
	note_all(s, &b);
	s->npending = r == -ESRCH ? 0 : left;
	return r == -ESRCH ? r : 0;
}

void serve_make_room(struct space *s)
{
	unsigned int room = s->pending_room * 2;
	struct space_pending *v;

	if (s->npending + BATCH <= s->pending_room || room > SPACE_PENDING_MAX)
		return;
	v = realloc(s->pending, room * sizeof(*v));
	if (!v)
		return;
	s->pending = v;
	s->pending_room = room;
}

/*
 * As many as there is room for, should each have to wait: afterwards it would be too late.
 * Before a second fork is read, it is known which the twin's of the first is.
 */
static unsigned int batch_now(const struct space *s)
{
	unsigned int room = s->pending_room - s->npending;

	if (s->twin && s->follow)
		return 1;
	return room < BATCH ? room : BATCH;
}

int64_t serve(struct space *s, uint64_t woke)
{
	static_assert(SPACE_PENDING_MIN >= 2 * BATCH, "room for a batch");
	struct uffd_msg msgs[BATCH];
	struct served_batch b = { .n = 0 };
	int64_t total = 0, n;
	unsigned int room;
	int r = 0;

	for (int i = 0; i < BATCHES_A_TURN && !r && (room = batch_now(s)); i++) {
		n = uffd_read(s->uffd, msgs, room);
		if (n == -EAGAIN)
			break;
		if (n < 0)
			return n;
		n /= (int64_t)sizeof(msgs[0]);
		r = serve_batch(s, msgs, (size_t)n, woke, &b);
		total += n;
		if (!r && s->npending)
			r = serve_pending(s);
		if (n < room)
			break;
	}
	if (r == -ESRCH)
		s->dead = true;
	return r < 0 ? r : total;
}
