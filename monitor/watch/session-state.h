/* SPDX-License-Identifier: MIT */
/*
 * The inside of a session, shared by session*.c alone.
 *
 *	session.c		its address spaces, and what it waits for
 *	session-loop.c		the loop: wait, serve, arm, survey
 *	session-attach.c	injections: the first targets, and programs after exec
 *	session-proc.c		execs and exits
 *	session-births.c	forks, and the names of children
 *	session-hints.c		children that were told of, and whose memory is not known
 *	session-witness.c	what the perf rings tell: new mappings, and who touched them
 *	session-census.c	what the passes of the async engine find
 *	session-budget.c	what that costs them, and what follows
 *	session-who.c		which thread wrote what the passes find
 *	session-guard.c		the watchdog, and what it has let go
 *	session-wait.c		waiting, where the answer is quickest
 *	session-end.c		counters, summary, letting go
 */
#ifndef WATCH_SESSION_STATE_H
#define WATCH_SESSION_STATE_H

#include <sched.h>

#include "base/clock.h"
#include "watch/guard.h"
#include "watch/pace.h"
#include "watch/procwatch.h"
#include "watch/session.h"
#include "watch/space.h"
#include "watch/who.h"
#include "watch/witness.h"

#define SESSION_TICK NSEC_PER_SEC
#define SESSION_HINTS 256
#define SESSION_ADOPTIONS 64

/* A child the proc connector has told of and no address space claims yet. */
struct session_hint {
	pid_t parent, child;
	uint32_t mm;		/* of the parent: a vfork child lives there until exec */
	uint64_t since;
	uint64_t ended;		/* since then it has gone, or runs another program; 0: neither */
	uint32_t new_mm;	/* that program's memory; 0: it has gone ... */
	uint32_t status;	/* ... with this, as wait(2) gives it */
	struct record_text *text;	/* of that program, owned until it is told of */
	bool placed;		/* mm is known to be its parent's, or so it was told */
	bool told;		/* its fork is in the trace */
	bool own;		/* its memory is its own, and not watched yet, or never */
	enum {
		HINT_OPEN,	/* an unnamed address space may be its own */
		HINT_APART,	/* none can: by vfork, or unseen; it is to be asked which */
		HINT_SETTLED,	/* it shares its parent's memory, or nobody knows */
	} what;
};

/* A program to be watched (again): an injection waiting or under way. */
struct session_adoption {
	pid_t pid;
	uint32_t mm;		/* the address space's name in the trace, reserved */
	uint64_t since;
	enum gap_reason why;
	uint32_t loan;		/* asked of the agent; 0: not yet */
	uint32_t stale;		/* this loan may be of the program before */
	bool halved;		/* both engines: one of two has come, the next is the twin's */
	struct agent_loan half;
};

/* The first touch of a page before its mapping was registered, so told once. */
struct session_touch {
	uint32_t mm;
	uint64_t page, registered;
};
#define SESSION_TOUCHES 256

/* A child that had the memory of another process on loan, by vfork(2), until then. */
struct session_guest {
	pid_t child, host;
	uint64_t until;
};
#define SESSION_GUESTS 1024		/* a power of two */

struct session {
	struct session_opts opts;
	struct watch_filter filter, twin_filter;
	struct space_shared shared;
	struct space *spaces;
	struct procwatch *procwatch;
	struct witness *witness;	/* NULL: not tried yet, or perf is not allowed */
	bool witness_tried, told_unsure;
	uint64_t witness_rest;		/* until then mappings told of have to wait */
	uint64_t witness_lost;
	struct session_touch touches[SESSION_TOUCHES];
	struct who *who;	/* NULL: nobody asks who wrote */
	struct threads *threads;	/* the same; what they are called */
	uint64_t who_asked;	/* t1 of the run that was looked at last */
	struct session_guest guests[SESSION_GUESTS];	/* by the child's pid */
	struct guard *guard;	/* NULL: none */
	uint64_t guard_started;
	int epoll;
	struct pace pace;
	cpu_set_t home;		/* where we may run */
	unsigned int served;	/* messages answered in this turn */
	pid_t served_pid;	/* whose, the last of them */
	int reserve;		/* a descriptor to give up when there is no other */
	struct session_hint hints[SESSION_HINTS];
	unsigned int nhints;
	struct session_adoption adoptions[SESSION_ADOPTIONS];
	unsigned int nadoptions;
	pid_t first_pid;
	uint64_t started, ends, next_tick, next_epoch;
	uint64_t next_look;		/* of the budget; UINT64_MAX: there is none */
	uint64_t first_write_ns;
	double ran, taken;		/* of all targets, see budget.h */
	uint64_t dirty_pages;		/* in dirty records, all epochs together */
	uint64_t distinct_pages;	/* of those, each once */
	struct session_summary summary;
	bool stop, any_attached, at_once;
	bool mute;		/* the queue is full: nothing is claimed until it has room */
	enum detach_reason reason;
	void (*tick)(void *arg, const struct session_summary *now);
	void *tick_arg;
};

/* session-loop.c */

/* One turn: wait at most until `until`, then whatever has come and is due. */
int session_turn(struct session *s, uint64_t until);

/* session.c */

/* What a descriptor in the epoll set is; the space's own two are told by its address. */
enum {
	SESSION_TAG_SIGNAL = 1, SESSION_TAG_OUTPUT, SESSION_TAG_LIMIT, SESSION_TAG_PROCWATCH,
	SESSION_TAG_AGENT, SESSION_TAG_WITNESS, SESSION_TAG_GUARD, SESSION_TAG_NR,
};
#define SESSION_TAG_PIDFD UINT64_C(1)

void session_stop(struct session *s, enum detach_reason why);
struct space *session_space_of(struct session *s, pid_t pid);
/* Take a space into the loop. */
int session_add_space(struct session *s, struct space *sp);
/* Take the witness into the loop. */
int session_watch_witness(struct session *s);

/* A twin goes, and the other one takes its mappings over. */
void session_drop_twin(struct session *s, struct space *twin);

/* Its userfaultfd out of the loop, and closed: nothing is watched any more. */
void session_close_space(struct session *s, struct space *sp);
/* Out of the loop, and free. */
void session_drop_space(struct session *s, struct space *sp);

/* The watchdog's end wakes the loop. */
int session_watch_guard(struct session *s);
void session_unwatch_guard(struct session *s);

/* session-witness.c */

/* Witness every thread of a space; if that cannot be, say so in the trace. */
void session_witness(struct session *s, struct space *sp);
void session_read_witness(struct session *s);
/* Where faults happen now; -1: nobody knows, or at more than one. */
int session_busiest_cpu(struct session *s);
/* When mappings that have been told of are due to be looked at; UINT64_MAX. */
uint64_t session_witness_due(const struct session *s);
void session_witness_lost(struct session *s, bool sure);
/* The same, without a look at which events are over; if something was lost, true. */
bool session_witness_count(struct session *s, bool sure);

/* session-who.c */

int session_who_open(struct session *s);
/* Touches that have come: the rings are emptied, and a crowd is passed on. */
void session_who_read(struct session *s);
/* The census has found these pages dirty: who was it? */
void session_who_dirty(struct session *s, const struct space *sp, const struct region *g,
		       struct range run, uint64_t t0, uint64_t t1);
void session_who_passed(struct session *s);
/* What the threads in /proc/PID/task are called; then a WITNESS_NAME, _EXEC, _FORK. */
void session_who_threads(struct session *s, int taskfd);
void session_who_thread(struct session *s, const struct witness_event *ev);
/* The child of a hint executes a program, or ends, or got a name. */
void session_who_guest_left(struct session *s, const struct session_hint *h);

/* session-census.c */

/* Whom the census of each space tells. */
void session_census(struct session *s);

/* session-budget.c */

void session_budget_begin(struct session *s);
/* Once in a while. */
void session_budget_look(struct session *s);
/* A pass has ended. */
void session_budget_passed(struct session *s, struct space *sp);
/* Of all targets, ppm; RECORD_UNKNOWN. */
int64_t session_slowdown(const struct session *s);

/* session-guard.c */

/* The recording goes on without one, if it cannot be started. */
void session_guard_start(struct session *s);
/* It is gone: start another. */
void session_guard_died(struct session *s);
/* At the beginning of a turn: we move on; had we stood still, say so. */
void session_guard_turn(struct session *s);
/* Before anything that rests on what was claimed until now. */
void session_guard_settle(struct session *s);

/* session-attach.c */

/* Attach to what is there since then; until it is done, that is a gap. */
void session_adopt(struct session *s, pid_t pid, uint32_t mm, uint64_t since, enum gap_reason why);
struct session_adoption *session_adoption_of(struct session *s, pid_t pid);
/* Another program runs there, or nobody waits for it any more: what has come goes back. */
void session_adoption_void(struct session_adoption *a);
void session_adoptions_step(struct session *s);

/* session-proc.c */

void session_read_procwatch(struct session *s);
/* A fork, an exec or an exit, whoever has told of it. */
void session_on_process(struct session *s, const struct procwatch_event *ev);
/* Stop when nobody is watched any more, and nobody waits to be. */
void session_check_empty(struct session *s, enum detach_reason why);
/* Put a named space's pidfd into the loop. */
int session_watch_pidfd(struct session *s, struct space *sp);
/* Tell of an exec; takes the text. */
void session_tell_exec(struct session *s, pid_t pid, uint32_t mm, uint32_t new_mm,
		       struct record_text *text);
/* Drop the spaces that have ended: exited, executed another program, failed. */
void session_endings(struct session *s);
/* The same of those that have exited, at the end of the session: nothing is waited for. */
void session_endings_last(struct session *s);

/* session-hints.c */

struct session_hint *session_hint_of(struct session *s, pid_t child);
void session_drop_hint(struct session *s, pid_t child);
/* Can it be that process's?  Forked after its event was read, and there as long as it was. */
bool session_may_have(const struct session_hint *h, const struct space *sp);
/* The first that can be; NULL. */
struct space *session_first_of(struct session *s, const struct session_hint *h);
void session_emit_fork(struct session *s, pid_t parent, uint32_t mm, pid_t child,
		       uint32_t child_mm);
/* Once: it is not followed; child_mm 0, or what its gap, and perhaps an attach, are of. */
void session_tell_fork(struct session *s, struct session_hint *h, uint32_t child_mm);
/* The child of a hint has gone, at that time and with that status. */
void session_hint_ends(struct session *s, pid_t child, uint64_t when, uint32_t status);
/* It runs another program, which is to be told of with that text (taken). */
void session_hint_runs(struct session *s, pid_t child, uint64_t when, struct record_text *text);
/* Whatever was its memory until now: tell at once of the program that it runs. */
void session_hint_settle(struct session *s, pid_t child);
void session_hints_settle(struct session *s);
/* What it was, is not to be known any more: tell what there is to tell, and drop it. */
void session_hint_close(struct session *s, struct session_hint *h);
/* May one that has not ended yet have had it?  An exec takes its time to be told of. */
bool session_has_heirs(const struct session *s, const struct space *sp);
/* A child that was never named is let go: it may have been one of those. */
void session_unnamed_goes(struct session *s, const struct space *sp);
/* Address spaces that have died without a name get one, if one only comes into question. */
void session_name_dead(struct session *s, uint64_t now);
/* Children that no address space can be of any more. */
void session_look_at_open(struct session *s);

/* session-births.c */

void session_on_fork(struct session *s, const struct procwatch_event *ev);
/* Its children, who may have been born before it had a name. */
void session_name_parent(struct session *s, const struct space *parent);
/* Take over the children that fork events have brought to this space. */
void session_take_births(struct session *s, struct space *sp);
/* The same of every space, name them, and look for those that came without an event. */
void session_on_births(struct session *s);
/* A parent goes, or executes another program: tell of its forks before. */
void session_forks_end(struct session *s, const struct space *parent);
/* When there is one to be looked at; UINT64_MAX. */
uint64_t session_births_due(const struct session *s);

/* session-wait.c */

struct epoll_event;
/* By the thread that will wait. */
void session_wait_begin(struct session *s);
/* Until something has come, or `due`.  As epoll_wait(2), errors negative. */
int session_wait(struct session *s, uint64_t due, struct epoll_event *ev, int max);
/* n messages have been answered, and written down. */
void session_wait_served(struct session *s, unsigned int n);
/* Back to where the user has put us. */
void session_wait_end(struct session *s);

/* session-end.c */

void session_emit_stats(struct session *s, bool final);
void session_let_go(struct session *s);

#endif
