/* SPDX-License-Identifier: MIT */
/* Pager: who connects, and what is handed over.  See pager.h. */

#include <errno.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "compat/sys.h"
#include "restore/pager-parts.h"

static void choose(struct pager *p, struct handoff_peer *peer)
{
	p->chosen = peer;
	p->shared->chosen = peer ? (int)(peer - p->peers) : -1;
}

static void drop_peer(struct handoff_peer *peer)
{
	/* A closed descriptor leaves the epoll set by itself. */
	handoff_close(peer);
}

/* A place for one more: an empty one, or that of one that has said nothing yet. */
static struct handoff_peer *place_for(struct pager *p)
{
	struct handoff_peer *other = NULL;

	for (struct handoff_peer *q = p->peers; q < p->peers + PEERS_MAX; q++) {
		if (q->fd < 0)
			return q;
		if (q != p->chosen && !other)
			other = q;
	}
	drop_peer(other);
	return other;
}

int pager_watch_peer(struct pager *p, struct handoff_peer *peer)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = peer };

	return epoll_ctl(p->epoll, EPOLL_CTL_ADD, peer->fd, &ev) < 0 ? -errno : 0;
}

/* False: nobody is there. */
static bool accept_one(struct pager *p)
{
	struct handoff_problem why;
	struct handoff_peer new, *peer;
	int r = handoff_accept(p->shared->listener, &new, &why);

	if (r == -EPERM)
		pager_say(p, PAGER_WARNING, "connection refused: %s", why.text);
	if (r < 0)
		return r == -EPERM;
	peer = place_for(p);
	*peer = new;
	if (pager_watch_peer(p, peer) < 0)
		drop_peer(peer);
	return true;
}

void pager_stop_listening(struct pager *p)
{
	int listener = p->shared->listener;

	/* In this order: the number may be another one's afterwards. */
	p->shared->listener = -1;
	close_fd(&listener);
}

void pager_accept(struct pager *p)
{
	accept_one(p);
}

/* A refused first item is somebody else's; a refused later one is the end of the restore. */
static void refuse(struct pager *p, struct handoff_peer *peer, const char *words)
{
	if (peer != p->chosen) {
		pager_say(p, PAGER_WARNING, "connection of process %d closed: %s", peer->pid,
			  words);
		drop_peer(peer);
		return;
	}
	pager_say(p, PAGER_ERROR, "the restore handed over something wrong: %s", words);
	p->over = true;
	p->end = PAGER_NO_RESTORE;
}

static void ended_early(struct pager *p)
{
	pager_say(p, p->setup->accompanied ? PAGER_DETAIL : PAGER_ERROR,
		  "the restore ended before all was handed over");
	p->over = true;
	p->end = PAGER_NO_RESTORE;
}

/* It is in the roster before it is in our list. */
static int enter(struct pager *p, const struct image_task *task, struct handoff_item *item)
{
	int pidfd = p->setup->pidfds ? sys_pidfd_open(item->host_pid, 0) : -1;
	struct roster_slot *slot;
	struct tenant *t;
	int r = tenant_new(item->pid, task, -1, &t);

	if (r < 0)
		return r;
	slot = roster_enter(p->setup->roster, item->pid, item->host_pid, item->uffd,
			    pidfd < 0 ? -1 : pidfd);
	if (!slot) {
		close_fd(&pidfd);
		tenant_free(t);
		return -ENOMEM;
	}
	t->uffd = steal_fd(&item->uffd);
	t->host_pid = item->host_pid;
	t->leave = p->setup->leave;
	if (p->setup->prefetch)
		t->hot = prefetch_of(p->setup->prefetch, p->setup->image, item->pid);
	tenant_enroll(t, p->setup->roster, slot);
	p->tasks++;
	return pager_admit(p, t);
}

static void take_task(struct pager *p, struct handoff_peer *peer, struct handoff_item *item)
{
	const struct image_task *task = image_task(p->setup->image, item->pid);
	const struct roster_slot *there = roster_find(p->setup->roster, item->pid);
	struct handoff_problem why;
	int r = 0;

	if (there && p->again == item->pid && peer == p->chosen && there->uffd == item->uffd)
		return;
	if (!task || there) {
		snprintf(why.text, sizeof(why.text), "process %d %s", item->pid, task ?
			 "comes twice" : "is not of this checkpoint");
		close_fd(&item->uffd);
		refuse(p, peer, why.text);
		return;
	}
	choose(p, peer);
	if (item->kind == HANDOFF_TASK)
		r = enter(p, task, item);
	else if (!roster_enter(p->setup->roster, item->pid, 0, -1, -1))
		r = -ENOMEM;
	if (r < 0) {
		close_fd(&item->uffd);
		refuse(p, peer, r == -ENOMEM ? "out of memory" :
		       "its userfaultfd cannot be polled");
		return;
	}
	pager_say(p, PAGER_DETAIL, "process %d (%d here) handed over, %llu pages owed", item->pid,
		  item->host_pid, (unsigned long long)task->lazy_pages);
}

/* The listener's time is over, too. */
static void all_handed(struct pager *p, struct handoff_peer *peer)
{
	if (peer != p->chosen || roster_handed(p->setup->roster) != p->setup->image->ntasks) {
		refuse(p, peer, "its processes run, but not all of them were handed over");
		return;
	}
	pager_resume(p);
	pager_stop_listening(p);
	for (struct handoff_peer *q = p->peers; q < p->peers + PEERS_MAX; q++)
		drop_peer(q);
	choose(p, NULL);
}

void pager_hear(struct pager *p, struct handoff_peer *peer)
{
	struct handoff_problem why;
	struct handoff_item item;
	int r = 0;

	while (!p->over && !p->resumed_at && peer->fd >= 0) {
		r = handoff_read(peer, &item, &why);
		if (r == -EAGAIN)
			return;
		if (r < 0) {
			refuse(p, peer, why.text);
			return;
		}
		switch (item.kind) {
		case HANDOFF_TASK:
		case HANDOFF_ZOMBIE:
			if (p->chosen && p->chosen != peer) {
				close_fd(&item.uffd);
				refuse(p, peer, "another one is handing over already");
				return;
			}
			take_task(p, peer, &item);
			p->again = 0;
			handoff_done(peer);
			break;
		case HANDOFF_RESUME:
			all_handed(p, peer);
			return;
		case HANDOFF_END:
			/* Unless it is us who have hung up. */
			if (peer == p->chosen && p->shared->listener >= 0)
				ended_early(p);
			else
				drop_peer(peer);
			return;
		}
	}
}

/*
 * Nobody can hand over anything any more; but what has been said already counts.  Behind
 * shutdown(2) whoever sends gets EPIPE, while what he sent before can still be read: so
 * either we read that the processes run, or CRIU cannot say it, and ends them.
 */
void pager_hang_up(struct pager *p)
{
	if (p->shared->listener >= 0) {
		shutdown(p->shared->listener, SHUT_RDWR);
		while (accept_one(p))
			;
		pager_stop_listening(p);
	}
	for (struct handoff_peer *q = p->peers; q < p->peers + PEERS_MAX; q++) {
		if (q->fd < 0)
			continue;
		shutdown(q->fd, SHUT_RD);
		pager_hear(p, q);
	}
}
