/* SPDX-License-Identifier: MIT */
/*
 * Roster: what the next pager has to know if this one dies at any instant.
 *
 * Shared memory that is made before the first pager's process, at the same address in all
 * of them, and a descriptor table that they share.  Each change becomes good by one store,
 * and each order of stores is one from whose middle another process can go on.
 *
 * A reading of messages is the hard part: what the kernel has told once it does not tell
 * again.  It writes them here, before read(2) returns, and a process is killed on its way
 * out of that at the earliest.  A batch:
 *
 *	roster_read_begin()	which process, and how long its journal is
 *	read(2)			into roster.messages
 *	roster_follow(), roster_birth()	behind the end of the journal; slots that do not count
 *	roster_read_end()	the journal's length, the slots, the messages forgotten
 *
 * A pager that finds a batch whose journal has grown only has to do the last step; one that
 * finds another begins anew with the messages.  Faults are not written down: who waits is
 * woken, and faults again.
 *
 * Slots are changed by the event thread alone; arrivals by all, each process's under the
 * lock of its tenant.  Without memory: -ENOMEM, and the tenant is to be served no more
 * (roster_deafen()), for its journal is not whole.
 */
#ifndef RESTORE_ROSTER_H
#define RESTORE_ROSTER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "compat/uffd.h"
#include "restore/handoff.h"
#include "restore/image.h"
#include "restore/journal.h"
#include "restore/settled.h"

#define ROSTER_PEERS 8
#define ROSTER_MESSAGES 32u
#define ROSTER_SLOTS 65536u

enum roster_state {
	ROSTER_FREE,
	ROSTER_UNBORN,		/* of a batch that is not over */
	ROSTER_SERVED,
	ROSTER_DEAF,		/* not served, nor ever closed: it waits */
	ROSTER_CLOSING,		/* owed nothing; its descriptor may be closed or not */
	ROSTER_ENDED,		/* also of a process without memory */
};

struct roster_slot {
	_Atomic uint32_t state;
	bool forked;
	int32_t pid;		/* in the image */
	pid_t host_pid;		/* here; 0: not known */
	int uffd;
	int pidfd;		/* -1: none */
	struct journal *journal;
	uint64_t *settled;	/* bits of settled.h; NULL: none */
};

/* One of the three; -1: there is none. */
struct roster_process {
	_Atomic int pidfd;
};

/* How it ended, if it did. */
enum roster_end { ROSTER_GOES_ON, ROSTER_COMPLETE, ROSTER_FAILED, ROSTER_STATUS };

struct roster_shared {
	/* The handing over. */
	_Atomic int listener;			/* -1: over */
	_Atomic int chosen;			/* of peers; -1: none */
	struct handoff_peer peers[ROSTER_PEERS];
	_Atomic uint64_t resumed_at;		/* CLOCK_MONOTONIC; 0: not yet */
	/* The batch. */
	_Atomic uint32_t reading;		/* slot + 1; 0: none */
	uint64_t reading_count;
	struct uffd_msg messages[ROSTER_MESSAGES];
	/* The guard's. */
	struct roster_process pager, keeper, next;
	_Atomic uint32_t end;			/* enum roster_end */
	_Atomic int status;			/* of ROSTER_STATUS */
	_Atomic bool told;			/* somebody wants us to end */
	_Atomic uint64_t deaths;		/* of pagers */
	_Atomic bool progress;			/* pages have come since the last one */
	_Atomic uint64_t lost, poisoned;	/* pages, of all pagers */
	/* The memory. */
	_Atomic uint64_t top;			/* bytes of the arena that were ever used */
	_Atomic uint32_t nslots;		/* that were ever used */
	struct roster_slot slots[ROSTER_SLOTS];
};

struct roster;

/* Before any other process; the image outlives it.  -ENOMEM. */
int roster_new(const struct image *image, int listener, struct roster **ret);
void roster_free(struct roster *r);
struct roster_shared *roster_shared(struct roster *r);
/* A process has been cloned to be a pager: nothing of the memory that is free is known. */
void roster_take_over(struct roster *r);

/* A process is handed over, or a zombie (uffd -1).  NULL: no memory. */
struct roster_slot *roster_enter(struct roster *r, int32_t pid, pid_t host_pid, int uffd,
				 int pidfd);
/* Of a process that was handed over; NULL: it was not. */
struct roster_slot *roster_find(struct roster *r, int32_t pid);
/* Is there anybody whose memory somebody has to bring? */
bool roster_serves(struct roster *r);
/* Processes that were, zombies included. */
size_t roster_handed(struct roster *r);

struct uffd_msg *roster_read_begin(struct roster *r, struct roster_slot *s);
/* -ENOMEM: the journal is not whole any more. */
int roster_follow(struct roster *r, struct roster_slot *s, const struct journal_entry *e);
/* A child with this userfaultfd, which is owed what its parent is now.  NULL: no memory. */
struct roster_slot *roster_birth(struct roster *r, struct roster_slot *parent, int uffd,
				 const struct owed *now);
/* n: messages that there were. */
void roster_read_end(struct roster *r, struct roster_slot *s, unsigned int n);
/*
 * Of a dead one's batch: the slot and how many messages there are to be followed once more;
 * NULL: none.  All that can be done without them has been.
 */
struct roster_slot *roster_unread(struct roster *r, unsigned int *ret_n);
/* A child of that batch that has been seen to by the dead one; NULL: not. */
struct roster_slot *roster_born(struct roster *r, int uffd);

/* Long: it may be written anew as what is owed now.  For between two batches. */
bool roster_long(const struct roster_slot *s, uint64_t nruns);
/* It is; nothing changes if there is no memory. */
void roster_shorten(struct roster *r, struct roster_slot *s, const struct owed *o);

/* These pages of the image have come, or will not. */
void roster_settle(struct roster *r, struct roster_slot *s, uint64_t image, uint64_t npages);
/* What is owed to it, by all that is written down.  As journal_replay(). */
int roster_owed(struct roster *r, const struct roster_slot *s, struct owed *ret);

void roster_deafen(struct roster_slot *s);
/* Closes the descriptor. */
void roster_leave(struct roster *r, struct roster_slot *s);
/* Of a dead one: what it was about to close.  Only what is a userfaultfd still. */
void roster_leave_again(struct roster *r);

#endif
