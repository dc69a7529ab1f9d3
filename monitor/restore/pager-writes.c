/* SPDX-License-Identifier: MIT */
/* Pager: what is protected when the processes begin to run.  See pager.h. */

#include <errno.h>
#include <time.h>

#include "base/clock.h"
#include "restore/chronicle.h"
#include "restore/pager-parts.h"

/* While its layout changes nothing can be protected: its messages are read, and it runs. */
#define TRIES 200
#define NAP_NS (100 * NSEC_PER_USEC)

static int arm(struct pager *p, struct tenant *t, struct range r, unsigned int *tries)
{
	int e;

	while ((e = tenant_arm(t, r)) == -EAGAIN && *tries) {
		--*tries;
		pager_serve(p, t);
		nanosleep(&(struct timespec){ .tv_nsec = NAP_NS }, NULL);
	}
	return e;
}

/* Pieces that lie together are one. */
static size_t stretch(const struct image_task *task, size_t i, struct range *ret)
{
	ret->lo = ret->hi = task->pieces[i].vaddr;
	for (; i < task->npieces && task->pieces[i].vaddr == ret->hi; i++)
		ret->hi += task->pieces[i].npages * IMAGE_PAGE;
	return i;
}

/* What does not take it, or has gone already, is not armed, and so nothing is said of it. */
static void watch_writes(struct pager *p, struct tenant *t)
{
	unsigned int tries = TRIES;
	struct range r;
	uint64_t begin;

	if (tenant_writes(t)) {
		pager_say(p, PAGER_WARNING, "process %d: its memory cannot be protected; "
			  "first writes are not in the trace", t->pid);
		return;
	}
	for (size_t i = 0; i < t->task->npieces;) {
		i = stretch(t->task, i, &r);
		begin = clock_now();
		if (!arm(p, t, r, &tries))
			chronicle_arm(p->setup->chronicle, t, r, begin);
	}
}

void pager_watch_writes(struct pager *p)
{
	struct tenant *last = NULL;

	if (!p->setup->writes || !p->setup->chronicle)
		return;
	for (struct tenant *t = p->tenants; t; t = t->next)
		last = t;
	/* Children that come meanwhile have what their parents have. */
	for (struct tenant *t = p->tenants; t; t = t == last ? NULL : t->next)
		if (t->uffd >= 0 && !t->gone)
			watch_writes(p, t);
}
