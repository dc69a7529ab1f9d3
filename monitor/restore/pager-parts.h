/* SPDX-License-Identifier: MIT */
/* What the files of the pager share; nobody else does. */
#ifndef RESTORE_PAGER_PARTS_H
#define RESTORE_PAGER_PARTS_H

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "restore/handoff.h"
#include "restore/pager.h"
#include "watch/pace.h"

#define PEERS_MAX ROSTER_PEERS
#define FILLERS_MAX 16
/* The event thread's own flight while it copies; fillers have those after it. */
#define FLIGHT_EVENT 1u
#define FLIGHT_FILLER 2u
#define FLIGHT_ASKED 1024u	/* ids of demands begin here */

/* Demands in flight: those that nobody waits for, and all. */
#define BULK_MAX 6u
#define ASKED_MAX 64u
#define BULK_PAGES 32u
#define SMALL_MAX 32u		/* demands that nobody waits for, however small */
/* What a source that likes more of them leaves for those that somebody waits for. */
#define URGENT_MIN 32u
#define WAITING_MAX 256u

struct asked {
	struct tenant *tenant;		/* NULL: free */
	uint64_t since;			/* when the fault was read; 0: nobody asks */
	bool touched;			/* somebody waits: */
	struct tenant_touch touch;
	struct source_want want;
};

/* A fault that could not be asked for yet. */
struct waiting {
	struct tenant *tenant;
	struct tenant_touch touch;
	uint64_t since;
};

struct pager {
	const struct pager_setup *setup;
	int epoll, done;		/* done: an eventfd, somebody is owed nothing more */
	/* Who hands over; of one of them (chosen) it is for real. */
	struct roster_shared *shared;
	struct handoff_peer *peers, *chosen;
	int32_t again;			/* a dead pager may have taken this item; 0: no */
	uint64_t resumed_at;
	bool over;
	enum pager_end end;
	/* Under the lock: the list grows at its end, and nothing leaves it. */
	pthread_mutex_t lock;
	pthread_cond_t work;
	struct tenant *tenants, **last;
	bool resumed, stop;
	pthread_t threads[FILLERS_MAX];
	unsigned int nthreads;
	_Atomic unsigned int numbered;
	_Atomic unsigned int standing_by;	/* fillers, until there are no more faults */
	unsigned int hot_fillers;	/* so many fill while there are faults */
	int niceness;			/* this process had */
	/* Demands. */
	struct asked asked[ASKED_MAX];
	unsigned int nasked, nbulk, bulk_in_flight;	/* the last in pages */
	unsigned int bulk_max;
	uint32_t bulk_pages;
	uint64_t bulk_asked_at;		/* when nobody waited for it, last */
	uint64_t more_at;		/* when more is to be asked for; UINT64_MAX */
	uint64_t asked_at, way_ns;	/* somebody waits: since when, and how long it took last */
	uint64_t serial;
	struct waiting waiting[WAITING_MAX];
	unsigned int nwaiting;
	struct tenant *turn;		/* whose pages are asked for next */
	bool remote, dead;
	bool told_to_end;
	unsigned int tasks, children;
	uint64_t read_at;		/* when messages were read last, for the trace */
	uint64_t lost_before, poisoned_before;	/* pages, of pagers that died */
	uint64_t figures_at;		/* when the sums are due; UINT64_MAX: never */
	/* Where and how the event thread waits; CPUs it may run on; where no filler is to be. */
	struct pace pace;
	_Atomic int avoid;		/* -1: anywhere */
	cpu_set_t home;
};

struct epoll_event;

__attribute__((format(printf, 3, 4)))
void pager_say(struct pager *p, enum pager_tone tone, const char *fmt, ...);
/* What a reading of t gave, at `since` (0: that is not wanted); r: its result. */
void pager_news(struct pager *p, struct tenant *t, struct tenant_news *news, int r,
		uint64_t since);
/* A process is ours from now on.  -errno: it is not. */
int pager_admit(struct pager *p, struct tenant *t);

/* For the next messages, or until due (CLOCK_MONOTONIC), or somewhat less. */
void pager_wait_begin(struct pager *p);
void pager_wait_end(struct pager *p);
int pager_wait(struct pager *p, uint64_t due, struct epoll_event *ev, int max);
void pager_wait_served(struct pager *p, const struct tenant *t, unsigned int nfaults);

/* Connections: the listener is readable, a peer is. */
void pager_accept(struct pager *p);
void pager_stop_listening(struct pager *p);
void pager_hear(struct pager *p, struct handoff_peer *peer);
/* Messages of t: followed, and its faults answered. */
void pager_serve(struct pager *p, struct tenant *t);
/* The processes run, and their first writes are to be told of. */
void pager_watch_writes(struct pager *p);
/* No more of that; p->resumed_at afterwards says whether the processes run. */
void pager_hang_up(struct pager *p);
/* The processes run, the fillers may begin. */
void pager_resume(struct pager *p);

/* A dead pager has been here: go on where it was. */
int pager_inherit(struct pager *p);
int pager_watch_peer(struct pager *p, struct handoff_peer *peer);
int pager_fillers_start(struct pager *p);
void pager_fillers_stop(struct pager *p);
/*
 * A fault of t has been answered.  If fillers are behind with what is to come first, go on with
 * that until somebody waits again.
 */
void pager_run_ahead(struct pager *p, struct tenant *t);
/*
 * The same before the fault is answered, if one follows the other: who waits is quicker than we
 * are, and would wait for the next page, and the next one, and longer in all.
 */
void pager_catch_up(struct pager *p, struct tenant *t, const struct tenant_touch *touch);

/* A fault of t, read at `since` (0: that is not wanted); the demanded page only. */
void pager_fault(struct pager *p, struct tenant *t, const struct tenant_touch *touch,
		 uint64_t since);
/* Demands: take what has come, ask for more. */
void pager_answers(struct pager *p);
void pager_ask_more(struct pager *p);

/* The sums of now, for who reads the figures; if they are due; for the last time. */
void pager_figures(struct pager *p);
void pager_figures_turn(struct pager *p);
void pager_figures_end(struct pager *p);
/* A fault that was read then has been answered. */
void pager_figures_answered(struct pager *p, uint64_t since);
static inline bool pager_figures_wanted(const struct pager *p)
{
	return p->setup->figures || p->setup->chronicle;
}

/* What goes into the trace, if there is one: the processes run; messages were read. */
void pager_tell_begin(struct pager *p);
void pager_tell_news(struct pager *p, struct tenant *t, const struct tenant_news *news,
		     uint64_t since);
/* A touch was answered; its page has been asked for, if there is room to remember that. */
void pager_tell_touch(struct pager *p, const struct tenant *t, const struct tenant_touch *touch,
		      uint64_t since);
bool pager_tell_room(const struct pager *p);
void pager_tell_wait(struct pager *p, struct tenant *t, const struct tenant_touch *touch,
		     uint64_t since);
/* A demand was answered, and this was done for who had touched its page. */
void pager_tell_came(struct pager *p, const struct asked *a, enum tenant_deed deed);
/* It has gone, if it has. */
void pager_tell_gone(struct pager *p, const struct tenant *t);
void pager_tell_turn(struct pager *p);
void pager_tell_end(struct pager *p, const struct pager_result *result);

#endif
