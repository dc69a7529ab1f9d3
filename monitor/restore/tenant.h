/* SPDX-License-Identifier: MIT */
/*
 * Tenant: one restored process, the userfaultfd of its memory, and what it is owed.
 *
 * Two kinds of threads use it.  The event thread reads the messages, follows the layout
 * and answers faults; it alone calls what is not marked otherwise.  Fillers copy in the
 * background, by tenant_fill() only.
 *
 * With a roster all that another pager needs is written down there, before anything that is
 * done can make it necessary (roster.h); without one it dies with the process.
 */
#ifndef RESTORE_TENANT_H
#define RESTORE_TENANT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "restore/gate.h"
#include "restore/image.h"
#include "restore/owed.h"
#include "restore/prefetch.h"
#include "restore/roster.h"
#include "restore/source.h"
#include "watch/event.h"

struct chronicle_space;

struct tenant_counts {
	uint64_t faults;	/* answered with a page of the image */
	uint64_t zeros;		/* ... with zeroes: nothing was owed there */
	uint64_t repeated;	/* the page was there already */
	uint64_t unreadable;	/* pages that the source could not give */
	uint64_t parked;	/* ... and that this kernel cannot poison */
};

/* A thread touched a page, and waits. */
struct tenant_touch {
	uint64_t addr;
	bool write;
	bool wp;		/* the page is there, and protected */
};

/* What was done about a touch. */
enum tenant_deed {
	TENANT_DID_NOTHING,	/* not yet; or it was woken, and touches the page again */
	TENANT_DID_COPY,
	TENANT_DID_ZERO,
	TENANT_DID_POISON,
	TENANT_DID_UNPROTECT,
	TENANT_DID_REPEAT,	/* the page was there already */
};

struct tenant {
	int uffd;			/* -1: over */
	int32_t pid;			/* as the image names it; a forked child its parent's */
	pid_t host_pid;			/* here; 0: not known */
	bool forked;			/* after the restore */
	const struct image_task *task;
	struct tenant *next;		/* the pager's list */
	struct gate gate;
	struct roster *roster;		/* NULL: nobody takes over */
	struct roster_slot *slot;
	_Atomic bool gone;		/* the address space */
	/* A message of it was lost: nothing is copied, and nothing ever closed while it lives. */
	_Atomic bool deaf;
	/* It does not run yet: its mappings are registered one by one, each in its place. */
	_Atomic bool early;
	/* What nobody touches stays where it is: nothing is filled. */
	_Atomic bool leave;
	_Atomic uint64_t fault_at;	/* CLOCK_MONOTONIC, when one was answered last */
	_Atomic uint64_t fault_gap;	/* ... and how long after the one before */
	enum tenant_deed deed;		/* about the last touch; the event thread's */
	struct chronicle_space *told;	/* what the trace knows of it; NULL: nothing */
	bool wp;			/* its pages come protected */
	/* The rest under the lock. */
	pthread_mutex_t lock;
	struct owed owed;
	uint64_t cursor;		/* where filling goes on */
	const struct prefetch_list *hot; /* but these first; NULL: nothing */
	size_t hot_at;			/* how far that is done */
	struct tenant_counts counts;
};

/*
 * Everything lazy of the task is owed, and it is early.  Takes uffd over if it succeeds.
 * -ENOMEM.
 */
int tenant_new(int32_t pid, const struct image_task *task, int uffd, struct tenant **ret);
/* The same for a slot of the roster, as a dead pager has left it.  Never early. */
int tenant_inherit(struct roster *r, struct roster_slot *s, const struct image_task *task,
		   struct tenant **ret);
/* From now on it is written down in this slot.  Before anything is read or copied. */
void tenant_enroll(struct tenant *t, struct roster *r, struct roster_slot *s);
/* Closes the userfaultfd: the kernel unregisters all, and wakes who waits. */
void tenant_free(struct tenant *t);
/* Close it as soon as nobody copies; the figures stay. */
void tenant_end(struct tenant *t);

/* One change of the layout, in order, or a fork: no descriptor, but the child. */
struct tenant_change {
	struct event ev;
	struct tenant *child;		/* NULL: there is no memory for it */
};

/* Faults that one reading told of, what became of the layout, and the children. */
#define TENANT_BATCH 32
struct tenant_news {
	struct tenant_touch faults[TENANT_BATCH];
	unsigned int nfaults;
	struct tenant_change changes[TENANT_BATCH];
	unsigned int nchanges;
	struct tenant *children[TENANT_BATCH];
	unsigned int nchildren;
	unsigned int orphans;		/* children for which there is no memory; they wait */
};

/*
 * Read what is there and follow the layout; faults are for the caller to answer, after
 * all of it.  0 (also if there was nothing), or -errno: messages cannot be read.
 */
int tenant_read(struct tenant *t, struct tenant_news *ret);
/* The same for n messages that a dead pager has read, and perhaps followed in part. */
int tenant_reread(struct tenant *t, unsigned int n, struct tenant_news *ret);

/* What is to be done about a fault. */
enum tenant_answer {
	TENANT_ANSWERED,	/* nothing more */
	TENANT_ASK,		/* its page is not here: *ret_want is in flight, to be asked for */
	TENANT_AWAITED,		/* its page is in flight already, and somebody waits for it */
};
/* Of the ids of flights that somebody waits for. */
#define TENANT_URGENT (UINT64_C(1) << 63)
/*
 * Answer at once if the page is here, with a few around it; `id` is for the while of
 * copying then.  Else it and more around it are flight `id`, which is urgent; if the page is
 * under way in a flight that is not, it leaves that one.
 */
enum tenant_answer tenant_fault(struct tenant *t, struct source *s,
				const struct tenant_touch *touch, uint64_t id,
				struct source_want *ret_want);
enum tenant_fill {
	TENANT_FILLED,		/* some pages, or some found not to be owed */
	TENANT_NOTHING,		/* nothing is free */
	TENANT_BUSY,		/* not now */
	TENANT_GONE,
};
/*
 * Copy the next free pages, at most so many bytes of them, in steps: after each it makes way for
 * who wants to read messages.  Any thread; id is the thread's own, not 0.  The source must have
 * the pages (`at`).
 */
enum tenant_fill tenant_fill(struct tenant *t, struct source *s, uint64_t most, uint64_t step,
			     uint64_t id);

/*
 * The next free pages, at most npages and of one piece, are flight `id` now, to be asked
 * for.  False: none.
 */
bool tenant_next_want(struct tenant *t, uint32_t npages, uint64_t id, struct source_want *ret);
/*
 * The answer: to wherever the pages have moved meanwhile.  What became of the page that was
 * touched, if there is one.
 */
enum tenant_deed tenant_arrived(struct tenant *t, const struct source_want *want,
				const void *data, const struct tenant_touch *touch);
enum tenant_refusal {
	TENANT_LOST,		/* the pages cannot be had: poisoned */
	TENANT_AGAIN,		/* free again, and who waits faults again */
	TENANT_PARK,		/* free again, and who waits waits */
};
/* There is no answer. */
void tenant_refused(struct tenant *t, const struct source_want *want, enum tenant_refusal how);
/* Who waits for this page faults again. */
void tenant_again(struct tenant *t, uint64_t addr);
/* Whoever waits for any page does. */
void tenant_wake(struct tenant *t);

/* False: its address space has gone, and with it all that was owed. */
bool tenant_probe(struct tenant *t);
/*
 * First writes are told of as well: its mappings take protection, and what is copied from now
 * on comes protected.  -errno: none takes it.
 */
int tenant_writes(struct tenant *t);
/* Protect what is there of r.  -EAGAIN: messages have to be read first; -errno: not all. */
int tenant_arm(struct tenant *t, struct range r);
/* Is there something to be filled; will there be nothing, as it is?  Any thread. */
bool tenant_has_work(struct tenant *t);
bool tenant_rests(struct tenant *t);
/* Is some of what is to come first still to come? */
bool tenant_is_hot(struct tenant *t);
/*
 * The page of addr is left alone by all who fill until it is let go.  False: it is not free.
 * The event thread's.
 */
bool tenant_hold(struct tenant *t, uint64_t addr, uint64_t id);
void tenant_let_go(struct tenant *t, uint64_t addr, uint64_t id);
/* Is there a message to be read? */
bool tenant_has_news(const struct tenant *t);
/* Is nothing owed?  Any thread. */
bool tenant_done(struct tenant *t);
/* Pages owed.  Any thread. */
uint64_t tenant_owes(struct tenant *t);

#endif
