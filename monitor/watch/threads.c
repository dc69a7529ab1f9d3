/* SPDX-License-Identifier: MIT */
/* Threads.  See threads.h. */

#include "watch/threads.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define PLACES 8192u	/* a power of two */

struct thread {
	uint64_t since;
	pid_t tid;		/* 0: nobody */
	uint32_t told;		/* the address space; 0: in none */
	uint8_t len;
	char comm[THREADS_COMM_MAX];
};

struct threads {
	struct thread v[PLACES];
};

int threads_new(struct threads **ret)
{
	struct threads *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	*ret = t;
	return 0;
}

struct threads *threads_free(struct threads *t)
{
	free(t);
	return NULL;
}

static struct thread *place_of(struct threads *t, pid_t tid)
{
	return &t->v[(uint32_t)tid & (PLACES - 1)];
}

/* The rings of several CPUs are not in order of time. */
static bool is_late(const struct thread *x, pid_t tid, uint64_t since)
{
	return x->tid == tid && x->since > since;
}

void threads_name(struct threads *t, pid_t tid, uint64_t since, const char *comm, size_t len)
{
	struct thread *x = place_of(t, tid);

	if (is_late(x, tid, since))
		return;
	if (len > THREADS_COMM_MAX)
		len = THREADS_COMM_MAX;
	*x = (struct thread){ .since = since, .tid = tid, .len = (uint8_t)len };
	memcpy(x->comm, comm, len);
}

void threads_born(struct threads *t, pid_t tid, uint64_t since, pid_t parent)
{
	const struct thread *p = place_of(t, parent);
	struct thread *x = place_of(t, tid);

	if (is_late(x, tid, since))
		return;
	if (p->tid != parent) {
		/* Whoever had this id has gone. */
		if (x->tid == tid)
			x->tid = 0;
		return;
	}
	*x = *p;
	x->since = since;
	x->tid = tid;
	x->told = 0;
}

const char *threads_tell(struct threads *t, pid_t tid, uint32_t mm, size_t *ret_len)
{
	struct thread *x = place_of(t, tid);

	if (x->tid != tid || x->told == mm)
		return NULL;
	x->told = mm;
	*ret_len = x->len;
	return x->comm;
}
