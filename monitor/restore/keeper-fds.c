/* SPDX-License-Identifier: MIT */
/* Keeper: which descriptors there are, and whose.  See keeper.h. */

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "restore/keeper-parts.h"

static int by_number(const void *a, const void *b)
{
	const int *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

int keeper_fds_note(struct keeper_fds *ret)
{
	_closedir_ DIR *dir = opendir("/proc/self/fd");
	struct keeper_fds f = { 0 };
	unsigned int room = 0;
	struct dirent *d;
	int *more, fd;

	if (!dir)
		return -errno;
	while ((d = readdir(dir))) {
		fd = (int)strtol(d->d_name, NULL, 10);
		if (d->d_name[0] == '.' || fd == dirfd(dir))
			continue;
		if (f.n == room) {
			room = room ? 2 * room : 64;
			more = realloc(f.fd, room * sizeof(*f.fd));
			if (!more) {
				keeper_fds_free(&f);
				return -ENOMEM;
			}
			f.fd = more;
		}
		f.fd[f.n++] = fd;
	}
	if (f.n)
		qsort(f.fd, f.n, sizeof(*f.fd), by_number);
	*ret = f;
	return 0;
}

void keeper_fds_free(struct keeper_fds *f)
{
	free(f->fd);
	*f = (struct keeper_fds){ 0 };
}

static bool have(const struct keeper_fds *f, int fd)
{
	return f && f->n && bsearch(&fd, f->fd, f->n, sizeof(fd), by_number);
}

/* Does the roster name it?  In no order, but seldom. */
static bool named(struct roster_shared *s, int fd)
{
	if (fd == s->listener || fd == s->pager.pidfd || fd == s->keeper.pidfd ||
	    fd == s->next.pidfd)
		return true;
	for (size_t i = 0; i < ROSTER_PEERS; i++)
		if (s->peers[i].fd == fd)
			return true;
	for (uint32_t i = 0; i < s->nslots; i++)
		if (s->slots[i].state != ROSTER_FREE && s->slots[i].pidfd == fd)
			return true;
	/* All of them are somebody's memory, known or not. */
	return handoff_is_userfaultfd(fd);
}

/* It had been accepted, and not been written down yet. */
static bool adopted(struct roster_shared *s, int fd)
{
	struct handoff_peer new;

	if (s->listener < 0 || s->resumed_at || !handoff_adopt(s->listener, fd, &new))
		return false;
	for (struct handoff_peer *p = s->peers; p < s->peers + ROSTER_PEERS; p++)
		if (p->fd < 0) {
			*p = new;
			return true;
		}
	return false;
}

void keeper_sweep(const struct keeper_setup *k, const struct keeper_fds *at_start)
{
	struct roster_shared *s = roster_shared(k->roster);
	struct keeper_fds now = { 0 };

	/* Without it they stay open, which costs only their numbers. */
	if (keeper_fds_note(&now) < 0)
		return;
	for (unsigned int i = 0; i < now.n; i++) {
		int fd = now.fd[i];
		bool source = have(k->after, fd) && !have(k->before, fd);

		if (have(at_start, fd) && !source)
			continue;
		if (!named(s, fd) && !adopted(s, fd))
			close(fd);
	}
	keeper_fds_free(&now);
}
