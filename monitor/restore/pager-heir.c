/* SPDX-License-Identifier: MIT */
/* Pager: going on where a dead one was.  See roster.h. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "restore/pager-parts.h"

static void take_handoff(struct pager *p)
{
	struct roster_shared *s = p->shared;
	int32_t pid;

	if (s->resumed_at) {
		p->resumed_at = s->resumed_at;
		p->resumed = true;
		pager_stop_listening(p);
		for (struct handoff_peer *q = p->peers; q < p->peers + PEERS_MAX; q++)
			handoff_close(q);
		return;
	}
	p->chosen = s->chosen >= 0 ? &p->peers[s->chosen] : NULL;
	for (struct handoff_peer *q = p->peers; q < p->peers + PEERS_MAX; q++)
		if (q->fd >= 0 && pager_watch_peer(p, q) < 0)
			handoff_close(q);
	/* It may have been entered, and not crossed out yet. */
	if (p->chosen && p->chosen->have >= sizeof(pid)) {
		memcpy(&pid, p->chosen->word, sizeof(pid));
		p->again = pid == INT32_MIN ? 0 : abs(pid);
	}
}

static int take_tenant(struct pager *p, struct roster_slot *s)
{
	const struct image_task *task = image_task(p->setup->image, s->pid);
	struct tenant *t;
	int r = task ? tenant_inherit(p->setup->roster, s, task, &t) : -EBADMSG;

	if (r < 0)
		return r;
	t->early = !p->resumed;
	t->leave = p->setup->leave;
	if (p->setup->prefetch)
		t->hot = prefetch_of(p->setup->prefetch, p->setup->image, t->pid);
	*(t->forked ? &p->children : &p->tasks) += 1;
	if (t->deaf)
		pager_say(p, PAGER_ERROR, "process %d is not served any more, and waits: "
			  "what it is owed is not known", t->pid);
	return pager_admit(p, t);
}

/* Messages that were read and perhaps not followed, or only some of them. */
static void follow_unread(struct pager *p, const struct roster_slot *s, unsigned int n)
{
	struct tenant_news news;
	struct tenant *t = p->tenants;
	int r;

	while (t && t->slot != s)
		t = t->next;
	if (!t)
		return;
	r = tenant_reread(t, n, &news);
	pager_news(p, t, &news, r, 0);
}

int pager_inherit(struct pager *p)
{
	struct roster *ro = p->setup->roster;
	struct roster_shared *s = p->shared;
	struct roster_slot *unread;
	uint64_t left = 0, one = 1;
	unsigned int n;
	int r = 0;

	p->lost_before = s->lost;
	p->poisoned_before = s->poisoned;
	roster_take_over(ro);
	unread = roster_unread(ro, &n);
	roster_leave_again(ro);
	take_handoff(p);
	for (uint32_t i = 0; !r && i < s->nslots; i++)
		if (s->slots[i].state == ROSTER_SERVED || s->slots[i].state == ROSTER_DEAF)
			r = take_tenant(p, &s->slots[i]);
	if (r < 0)
		return r;
	if (unread)
		follow_unread(p, unread, n);
	/* Who waits because of a fault that the dead one had read waits for nobody. */
	for (struct tenant *t = p->tenants; t; t = t->next) {
		left += tenant_owes(t);
		if (!t->deaf)
			tenant_wake(t);
	}
	/* Perhaps all of it had been done. */
	if (s->resumed_at && write(p->done, &one, sizeof(one)) < 0)
		return -errno;
	if (s->deaths)
		pager_say(p, PAGER_DETAIL, "took over %u processes, %llu pages owed",
			  p->tasks + p->children, (unsigned long long)left);
	return 0;
}
