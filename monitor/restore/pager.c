/* SPDX-License-Identifier: MIT */
/* Pager: the event thread.  See pager.h. */

#include "restore/pager.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "restore/pager-parts.h"

#define EVENTS_MAX 32
/* Whose end nobody notices, because nothing is copied to it, is asked for so often. */
#define PROBE_NS NSEC_PER_SEC

void pager_say(struct pager *p, enum pager_tone tone, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	p->setup->say(p->setup->arg, tone, text);
}

static int watch(struct pager *p, int fd, void *what)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = what };

	return epoll_ctl(p->epoll, EPOLL_CTL_ADD, fd, &ev) < 0 ? -errno : 0;
}

int pager_admit(struct pager *p, struct tenant *t)
{
	int r = t->deaf ? 0 : watch(p, t->uffd, t);

	/* In the list in any case: what it is owed belongs into the sums. */
	pthread_mutex_lock(&p->lock);
	*p->last = t;
	p->last = &t->next;
	pthread_cond_broadcast(&p->work);
	pthread_mutex_unlock(&p->lock);
	return r;
}

void pager_resume(struct pager *p)
{
	const uint64_t one = 1;

	p->resumed_at = clock_now();
	p->shared->resumed_at = p->resumed_at;
	pager_figures(p);
	/* Who does not look at it misses nothing that the figures do not say. */
	if (p->setup->resumed >= 0 && write(p->setup->resumed, &one, sizeof(one)) < 0)
		pager_say(p, PAGER_DETAIL, "nobody was told that the processes run");
	pager_say(p, PAGER_DETAIL, "the processes run");
	pager_tell_begin(p);
	pthread_mutex_lock(&p->lock);
	for (struct tenant *t = p->tenants; t; t = t->next)
		t->early = false;
	p->resumed = true;
	pthread_mutex_unlock(&p->lock);
	/* They write already; who fills up can wait, and would want the CPUs. */
	pager_watch_writes(p);
	pthread_mutex_lock(&p->lock);
	pthread_cond_broadcast(&p->work);
	pthread_mutex_unlock(&p->lock);
}

void pager_news(struct pager *p, struct tenant *t, struct tenant_news *news, int r, uint64_t since)
{
	for (unsigned int i = 0; i < news->nchildren; i++) {
		p->children++;
		if (pager_admit(p, news->children[i]) < 0)
			news->orphans++;
	}
	if (news->nfaults == 1 && t->hot && !p->remote)
		pager_catch_up(p, t, &news->faults[0]);
	for (unsigned int i = 0; i < news->nfaults; i++)
		pager_fault(p, t, &news->faults[i], since);
	pager_wait_served(p, t, news->nfaults);
	if (news->nfaults && t->hot && !p->remote)
		pager_run_ahead(p, t);
	if (news->orphans)
		pager_say(p, PAGER_ERROR, "a child of process %d cannot be served, and waits: "
			  "out of memory or descriptors", t->pid);
	if (r < 0) {
		pager_say(p, PAGER_ERROR, "process %d is not served any more, and waits: %s",
			  t->pid, r == -ENOMEM ? "out of memory" : "no message can be read");
		epoll_ctl(p->epoll, EPOLL_CTL_DEL, t->uffd, NULL);
	}
}

void pager_serve(struct pager *p, struct tenant *t)
{
	uint64_t since = pager_figures_wanted(p) ? clock_now() : 0;
	struct tenant_news news;
	int r;

	if (t->uffd < 0)
		return;
	r = tenant_read(t, &news);
	pager_tell_news(p, t, &news, since);
	pager_news(p, t, &news, r, since);
}

/* Its first writes are still to be told of. */
static bool stays(const struct pager *p, const struct tenant *t)
{
	return t->wp && !t->gone && !p->told_to_end;
}

/* Those to whom nothing is owed are on their own. */
static void see_who_is_done(struct pager *p)
{
	bool all = true;

	if (!p->resumed_at)
		return;
	for (struct tenant *t = p->tenants; t; t = t->next) {
		if (t->uffd < 0)
			continue;
		if (!tenant_done(t) || stays(p, t)) {
			all = false;
			continue;
		}
		pager_tell_gone(p, t);
		tenant_end(t);
	}
	p->over = all;
}

static void hear_done(struct pager *p)
{
	uint64_t n;

	if (read(p->done, &n, sizeof(n)) == sizeof(n))
		see_who_is_done(p);
}

/* An address space that ends says nothing; the kernel says so to who asks for something. */
static void probe(struct pager *p)
{
	for (struct tenant *t = p->tenants; t; t = t->next)
		if (t->uffd >= 0 && !tenant_probe(t))
			pager_say(p, PAGER_DETAIL, "process %d has ended", t->pid);
	see_who_is_done(p);
}

/* Also what was to stay where it is: somebody wants us to end. */
static void fill_after_all(struct pager *p)
{
	pthread_mutex_lock(&p->lock);
	for (struct tenant *t = p->tenants; t; t = t->next)
		t->leave = false;
	pthread_cond_broadcast(&p->work);
	pthread_mutex_unlock(&p->lock);
}

static void asked_to_end(struct pager *p)
{
	uint64_t left = 0;

	if (!p->resumed_at)
		pager_hang_up(p);
	if (!p->resumed_at) {
		pager_say(p, p->setup->accompanied ? PAGER_DETAIL : PAGER_ERROR,
			  "told to end before the restore was over");
		p->over = true;
		p->end = PAGER_NO_RESTORE;
		return;
	}
	for (struct tenant *t = p->tenants; t; t = t->next)
		left += tenant_owes(t);
	p->told_to_end = true;
	fill_after_all(p);
	if (!left) {
		see_who_is_done(p);
		return;
	}
	pager_say(p, PAGER_WARNING, "told to end: it will, when the last %llu pages have come; "
		  "without them the processes would read zeroes", (unsigned long long)left);
}

static void dispatch(struct pager *p, void *what)
{
	char bytes[256];

	if (what == &p->shared->listener)
		pager_accept(p);
	else if (what == &p->done)
		hear_done(p);
	else if (what == &p->asked)
		pager_answers(p);
	else if (what >= (void *)p->peers && what < (void *)(p->peers + PEERS_MAX))
		pager_hear(p, what);
	else if (what != p)
		pager_serve(p, what);
	else if (read(p->setup->signals, bytes, sizeof(bytes)) > 0)
		asked_to_end(p);
}

static void loop(struct pager *p)
{
	struct epoll_event evs[EVENTS_MAX];
	uint64_t probe_at = clock_now() + PROBE_NS;

	while (!p->over) {
		uint64_t due = p->figures_at < probe_at ? p->figures_at : probe_at;
		bool faults = false;
		int n = pager_wait(p, due, evs, EVENTS_MAX);

		for (int i = 0; i < n && !p->over; i++) {
			void *what = evs[i].data.ptr;

			dispatch(p, what);
			faults |= what != &p->done && what != &p->shared->listener;
		}
		pager_ask_more(p);
		if (p->resumed_at && (p->remote || faults))
			see_who_is_done(p);
		pager_figures_turn(p);
		pager_tell_turn(p);
		if (clock_now() < probe_at)
			continue;
		probe_at = clock_now() + PROBE_NS;
		if (p->resumed_at && !p->over)
			probe(p);
	}
}

/* How many demands in flight, and of how many pages. */
static void choose_bulk(struct pager *p)
{
	const struct source *s = p->setup->source;

	p->bulk_pages = s->bulk_pages ? s->bulk_pages : BULK_PAGES;
	p->bulk_max = s->bulk_max ? s->bulk_max : BULK_MAX;
	if (p->bulk_max > ASKED_MAX - URGENT_MIN)
		p->bulk_max = ASKED_MAX - URGENT_MIN;
}

static int set_up(struct pager *p)
{
	int fd = p->setup->source->ops->fd(p->setup->source);
	pthread_condattr_t attr;
	int r;

	p->last = &p->tenants;
	p->figures_at = p->setup->figures ? 0 : UINT64_MAX;
	p->remote = fd >= 0;
	pager_wait_begin(p);
	choose_bulk(p);
	p->shared = roster_shared(p->setup->roster);
	p->peers = p->shared->peers;
	pthread_mutex_init(&p->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&p->work, &attr);
	pthread_condattr_destroy(&attr);
	p->epoll = epoll_create1(EPOLL_CLOEXEC);
	p->done = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (p->epoll < 0 || p->done < 0)
		return -errno;
	r = watch(p, p->done, &p->done);
	if (!r && p->shared->listener >= 0)
		r = watch(p, p->shared->listener, &p->shared->listener);
	if (!r && p->setup->signals >= 0)
		r = watch(p, p->setup->signals, p);
	if (!r && p->remote)
		r = watch(p, fd, &p->asked);
	if (!r)
		r = pager_inherit(p);
	if (!r && p->setup->confine)
		p->setup->confine(p->setup->arg);
	return r ? r : pager_fillers_start(p);
}

static void add_up(struct pager *p, struct pager_result *ret)
{
	struct owed_totals *sum = &ret->totals;
	uint64_t lost = 0;

	*ret = (struct pager_result){ .tasks = p->tasks, .children = p->children };
	for (const struct tenant *t = p->tenants; t; t = t->next) {
		const struct owed_totals *o = &t->owed.totals;

		sum->added += o->added;
		sum->free += o->free;
		sum->flight += o->flight;
		for (int i = 0; i < OWED_ENDS; i++)
			sum->ended[i] += o->ended[i];
		ret->counts.faults += t->counts.faults;
		ret->counts.zeros += t->counts.zeros;
		ret->counts.repeated += t->counts.repeated;
		ret->counts.unreadable += t->counts.unreadable;
		ret->counts.parked += t->counts.parked;
	}
	/* And those of pagers that died. */
	sum->ended[OWED_LOST] += p->lost_before;
	sum->ended[OWED_POISONED] += p->poisoned_before;
	lost = sum->ended[OWED_LOST] + sum->ended[OWED_POISONED] + sum->free + sum->flight;
	ret->end = p->end == PAGER_NO_RESTORE ? p->end : lost ? PAGER_INCOMPLETE : PAGER_COMPLETE;
	if (p->resumed_at)
		ret->took_ns = clock_now() - p->resumed_at;
}

int pager_run(const struct pager_setup *setup, struct pager_result *ret)
{
	struct pager p = { .setup = setup, .epoll = -1, .done = -1 };
	struct tenant *t;
	int r = set_up(&p);

	if (!r)
		loop(&p);
	pager_fillers_stop(&p);
	pager_wait_end(&p);
	/* Not even begun: what a dead one has left stays as it is, for the next one. */
	if (r < 0 && roster_serves(setup->roster))
		return -EAGAIN;
	pager_figures_end(&p);
	add_up(&p, ret);
	pager_tell_end(&p, ret);
	/* Nothing is owed to anybody, or all that was handed over is given up. */
	p.shared->end = !r && ret->end == PAGER_COMPLETE ? ROSTER_COMPLETE : ROSTER_FAILED;
	for (size_t i = 0; i < PEERS_MAX; i++)
		handoff_close(&p.peers[i]);
	pager_stop_listening(&p);
	close_fd(&p.done);
	close_fd(&p.epoll);
	while ((t = p.tenants)) {
		p.tenants = t->next;
		tenant_free(t);
	}
	pthread_cond_destroy(&p.work);
	pthread_mutex_destroy(&p.lock);
	return r;
}
