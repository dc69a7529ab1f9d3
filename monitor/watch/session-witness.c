/* SPDX-License-Identifier: MIT */
/*
 * Session, the witness: what the perf rings tell.
 *
 * A new mapping is registered and armed at once, and not only when the maps are read
 * next; who touched it before that is written down with via:"perf".  The userfaultfd
 * remains the one who tells of every page that is covered.
 */

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "watch/procinfo.h"
#include "watch/session-state.h"

/* Looking at mappings told of may take one part in this many of the time. */
#define WITNESS_SHARE 4

static void refuse(struct session *s, struct space *sp, int error)
{
	s->summary.no_witness = s->summary.no_witness ? s->summary.no_witness : error;
	emit_error(&s->shared.emit, sp->pid, sp->mm, clock_now(), -error, "perf",
		   "no witness: new mappings are found by reading the maps");
}

int session_probe_witness(void)
{
	_close_ int task = open("/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct witness *w = NULL;
	int r = task < 0 ? -errno : witness_open(&w, false, WITNESS_CHAINS, NULL);

	if (!r)
		r = witness_add(w, task);
	witness_close(w);
	return r;
}

/* Of faults nothing is told where nobody asks: each would cost the target a microsecond. */
static enum witness_touches touches_of(const struct session *s)
{
	if (s->who)
		return s->opts.sure ? WITNESS_WRITES : WITNESS_CHAINS;
	return s->opts.async || !(s->opts.kinds & WATCH_KIND_MISSING) ? WITNESS_NO_TOUCHES :
								       WITNESS_TOUCHES;
}

int session_busiest_cpu(struct session *s)
{
	const struct space *sp;

	if (s->witness && touches_of(s) != WITNESS_NO_TOUCHES)
		return witness_busiest(s->witness);
	sp = session_space_of(s, s->served_pid);
	return sp && sp->procfd >= 0 && sp->faulted ? procinfo_cpu(sp->procfd, sp->faulted) : -1;
}

void session_witness(struct session *s, struct space *sp)
{
	int task, r = 0;

	if (!s->witness_tried) {
		s->witness_tried = true;
		r = witness_open(&s->witness, s->opts.follow, touches_of(s), s->opts.agent);
		if (!r)
			r = session_watch_witness(s);
		if (r < 0) {
			s->witness = witness_close(s->witness);
			refuse(s, sp, r);
		}
	}
	if (!s->witness)
		return;
	task = openat(sp->procfd, "task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	r = task < 0 ? -errno : witness_add(s->witness, task);
	if (task >= 0 && s->who)
		session_who_threads(s, task);
	if (task >= 0)
		close(task);
	/* A process that has gone meanwhile needs no witness; its end will be told. */
	if (r < 0 && r != -ENOENT && r != -ESRCH)
		refuse(s, sp, r);
	/* Its threads, before they are gone. */
	if (s->who && sp->tids)
		tids_inner(sp->tids, sp->pid);
	if (!r && !s->told_unsure && witness_unsure(s->witness)) {
		s->told_unsure = true;
		emit_error(&s->shared.emit, sp->pid, sp->mm, clock_now(), ENOTSUP, "perf",
			   "no tracepoints of page faults: writes are not told from reads");
	}
}

static void add_fresh(struct space *sp, struct range r, uint64_t when, bool writable)
{
	struct space_fresh *last = sp->nfresh ? &sp->fresh[sp->nfresh - 1] : NULL;

	if (last && r.lo <= last->r.hi && last->r.lo <= r.hi) {
		last->r.lo = r.lo < last->r.lo ? r.lo : last->r.lo;
		last->r.hi = r.hi > last->r.hi ? r.hi : last->r.hi;
		last->first = when < last->first ? when : last->first;
		last->when = when > last->when ? when : last->when;
		last->writable |= writable;
	} else if (sp->nfresh < SPACE_FRESH_MAX) {
		sp->fresh[sp->nfresh++] = (struct space_fresh){ r, when, when, writable };
	} else {
		/* What has gone again by then, the next reading of the maps cannot show. */
		if (sp->snapshot)
			survey_admit(sp, r, when);
		sp->reread_due = clock_now();
	}
}

/* Only where the proc connector is silent; it knows more (exit codes). */
static void on_process(struct session *s, const struct witness_event *ev)
{
	struct procwatch_event p = { .ts = ev->time, .tid = ev->tid, .tgid = ev->pid };

	if (s->procwatch || !ev->pid)
		return;
	if (ev->kind == WITNESS_EXEC) {
		p.kind = PROCWATCH_EXEC;
	} else if (ev->pid != ev->parent) {
		p.kind = PROCWATCH_FORK;
		p.tgid = ev->parent;
		p.child_tid = p.child_tgid = ev->pid;
	} else {
		return;
	}
	session_on_process(s, &p);
}

static void on_event(void *arg, const struct witness_event *ev)
{
	struct session *s = arg;
	struct space *sp;

	switch (ev->kind) {
	case WITNESS_MAP:
		sp = ev->pid ? session_space_of(s, ev->pid) : NULL;
		if (sp && sp->proved)
			add_fresh(sp, ev->map.span, ev->time, ev->map.writable);
		break;
	case WITNESS_LOST:
		for (sp = s->spaces; sp; sp = sp->next)
			sp->reread_due = clock_now();
		break;
	case WITNESS_NAME:
		session_who_thread(s, ev);
		break;
	case WITNESS_FORK:
	case WITNESS_EXEC:
		session_who_thread(s, ev);
		on_process(s, ev);
		break;
	default:
		break;
	}
}

/* False: of this page it has been told. */
static bool first_touch(struct session *s, const struct space *sp, const struct region *g,
			uint64_t page)
{
	struct session_touch *t = &s->touches[(page / g->page_size + sp->mm) % SESSION_TOUCHES];

	if (t->mm == sp->mm && t->page == page && t->registered == g->registered)
		return false;
	*t = (struct session_touch){ sp->mm, page, g->registered };
	return true;
}

/*
 * A touch that nobody else tells of: of a page in a mapping that could not be watched
 * yet when it happened.  What the userfaultfd has answered is claimed by then.
 */
static void on_touch(void *arg, const struct witness_event *ev)
{
	struct session *s = arg;
	struct emit *e = &s->shared.emit;
	struct space *sp = ev->pid ? session_space_of(s, ev->pid) : NULL;
	const struct region *g;
	struct range page, run;
	struct record r = { .kind = RECORD_FAULT };

	if (ev->kind != WITNESS_TOUCH || !sp || sp->async || !sp->snapshot ||
	    ev->time < sp->witnessed)
		return;
	g = layout_find(&sp->layout, ev->touch.addr);
	if (!g || !g->modes || !g->told || ev->time < g->told || ev->time >= g->registered)
		return;
	page.lo = align_down(ev->touch.addr, g->page_size);
	page.hi = page.lo + g->page_size;
	if (!cover_next_unclaimed(&sp->cover, page, &run) || !first_touch(s, sp, g, page.lo))
		return;
	if (!(s->opts.kinds & WATCH_KIND_MISSING))
		return;
	r.pid = sp->pid;
	r.mm = sp->mm;
	r.ts = emit_ts(e, clock_now());
	r.ts0 = emit_ts(e, ev->time);
	r.addr = ev->touch.addr;
	r.npages = range_len(page) / s->shared.page_size;
	r.fault.vma = g->id;
	r.fault.tid = ev->tid;
	r.fault.kind = FAULT_MISSING;
	r.fault.act = ACT_NONE;
	r.fault.via = VIA_PERF;
	r.fault.unsure = true;
	emit_push(e, &r);
}

static void look_at_fresh(struct session *s)
{
	uint64_t t0 = clock_now(), t1;

	for (struct space *sp = s->spaces; sp; sp = sp->next) {
		for (unsigned int i = 0; i < sp->nfresh && !sp->dead && !sp->gone; i++) {
			survey_here(sp, &sp->fresh[i]);
			if (sp->twin)
				survey_here(sp->twin, &sp->fresh[i]);
			/* It was there, and is there no more. */
			if (sp->fresh[i].writable && sp->snapshot)
				survey_admit(sp, sp->fresh[i].r, sp->fresh[i].first);
		}
		sp->nfresh = 0;
	}
	t1 = clock_now();
	s->witness_rest = t1 + (t1 - t0) * (WITNESS_SHARE - 1);
}

/*
 * Mappings first: a touch counts as seen by perf alone if it came before the mapping
 * was registered, and that is known only now.
 */
void session_read_witness(struct session *s)
{
	uint64_t due;

	if (!s->witness)
		return;
	if (s->who)
		session_who_read(s);
	witness_read(s->witness, on_event, s);
	due = session_witness_due(s);
	if (s->mute || (due != UINT64_MAX && clock_now() < due))
		return;
	look_at_fresh(s);
	if (!s->who)
		witness_read_touches(s->witness, on_touch, s);
}

uint64_t session_witness_due(const struct session *s)
{
	for (const struct space *sp = s->spaces; s->witness && !s->mute && sp; sp = sp->next)
		if (sp->nfresh)
			return s->witness_rest;
	return UINT64_MAX;
}

bool session_witness_count(struct session *s, bool sure)
{
	struct record r = {
		.kind = RECORD_LOST,
		.pid = s->first_pid,
		.lost = { .faults = 0, .reason = LOST_PERF },
	};
	uint64_t maps = 0, n = witness_lost(s->witness, sure, &maps);

	for (struct space *sp = s->spaces; maps && sp; sp = sp->next)
		sp->reread_due = clock_now();
	if (!(n + maps))
		return false;
	if (n && s->who)
		who_lost(s->who, clock_now());
	s->witness_lost += n + maps;
	r.lost.n = (int64_t)(n + maps);
	r.ts = emit_ts(&s->shared.emit, clock_now());
	emit_push(&s->shared.emit, &r);
	return true;
}

void session_witness_lost(struct session *s, bool sure)
{
	if (!s->witness)
		return;
	if (witness_prune(s->witness))
		session_read_witness(s);
	session_witness_count(s, sure);
}
