/* SPDX-License-Identifier: MIT */
/* Session, who: the touches of the witness meet the pages of the census. */

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "watch/session-state.h"

/* A child by vfork(2) of a child by vfork(2), and so on. */
#define GUESTS_DEEP 4

int session_who_open(struct session *s)
{
	int r = s->opts.who ? threads_new(&s->threads) : 0;

	return s->opts.who && !r ? who_new(&s->who, WHO_TOUCHES, s->shared.page_size) : r;
}

/*
 * In whose memory a process was at that time.  The rings are read now and then: by then a
 * guest may have executed its program, or ended.
 */
static pid_t host_of(struct session *s, pid_t pid, uint64_t time)
{
	for (int i = 0; i < GUESTS_DEEP; i++) {
		const struct session_guest *g = &s->guests[(unsigned int)pid % SESSION_GUESTS];
		const struct session_hint *h = session_hint_of(s, pid);

		if (h && h->what != HINT_OPEN && !h->own)
			pid = h->parent;
		else if (g->child == pid && time <= g->until)
			pid = g->host;
		else
			break;
	}
	return pid;
}

void session_who_guest_left(struct session *s, const struct session_hint *h)
{
	if (s->who && h->what != HINT_OPEN && !h->own)
		s->guests[(unsigned int)h->child % SESSION_GUESTS] =
			(struct session_guest){ h->child, h->parent, clock_now() };
}

/* Those that are there; of later ones the rings tell. */
void session_who_threads(struct session *s, int taskfd)
{
	int fd = openat(taskfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_closedir_ DIR *d = fd < 0 ? NULL : fdopendir(fd);
	uint64_t begin = clock_now();
	const struct dirent *e;
	char comm[32];

	if (!d && fd >= 0)
		close(fd);
	while (d && (e = readdir(d))) {
		_close_ int one = openat(dirfd(d), e->d_name, O_PATH | O_DIRECTORY | O_CLOEXEC);
		_close_ int file = one < 0 || e->d_name[0] == '.' ? -1 :
				   openat(one, "comm", O_RDONLY | O_CLOEXEC);
		ssize_t n = file < 0 ? -1 : read(file, comm, sizeof(comm));

		if (n > 0)
			threads_name(s->threads, (pid_t)strtol(e->d_name, NULL, 10), begin, comm,
				     (size_t)n - (comm[n - 1] == '\n'));
	}
}

void session_who_thread(struct session *s, const struct witness_event *ev)
{
	if (s->threads && ev->kind == WITNESS_FORK)
		threads_born(s->threads, ev->tid, ev->time, ev->parent_tid);
	else if (s->threads)
		threads_name(s->threads, ev->tid, ev->time, ev->name, ev->len);
}

static void on_touch(void *arg, const struct witness_event *ev)
{
	struct session *s = arg;
	struct witness_event by = *ev;

	if (ev->kind == WITNESS_TOUCH && ev->pid) {
		by.pid = host_of(s, ev->pid, ev->time);
		who_touch(s->who, &by);
	}
	else if (ev->kind == WITNESS_LOST)
		who_lost(s->who, ev->time);
}

void session_who_read(struct session *s)
{
	witness_read_touches(s->witness, on_touch, s);
	if (!who_crowded(s->who))
		return;
	for (struct space *sp = s->spaces; sp; sp = sp->next)
		if (sp->async && !sp->dead)
			census_hasten(sp);
}

static pid_t inner_tid(void *tids, pid_t tid)
{
	return tids_inner(tids, tid);
}

/*
 * The kernel writes the sample of a fault before it handles the fault, so whatever a
 * scan has found is in the rings when it returns.  One scan gives many runs.
 */
void session_who_dirty(struct session *s, const struct space *sp, const struct region *g,
		       struct range run, uint64_t t0, uint64_t t1)
{
	struct who_run r = {
		.pid = sp->pid, .mm = sp->mm, .vma = g->id, .page_size = g->page_size,
		.layout = &sp->layout, .run = run, .t0 = t0, .t1 = t1,
		.begun = sp->census.scanned, .threads = s->threads,
		.came = g->moved || sp->born_at > t0,
	};

	if (sp->tids && !tids_same_namespace(sp->tids)) {
		r.inner = inner_tid;
		r.inner_arg = sp->tids;
	}
	if (!r.page_size)
		r.page_size = s->shared.page_size;
	if (s->witness && t1 != s->who_asked) {
		s->who_asked = t1;
		session_who_read(s);
		session_witness_count(s, false);
	}
	who_dirty(s->who, &s->shared.emit, &r, clock_now());
}

void session_who_passed(struct session *s)
{
	uint64_t before = UINT64_MAX;

	for (const struct space *sp = s->spaces; sp; sp = sp->next)
		if (sp->async && !sp->dead && census_all_told_until(sp) < before)
			before = census_all_told_until(sp);
	who_passed(s->who, before);
}
