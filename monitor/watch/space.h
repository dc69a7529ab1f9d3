/* SPDX-License-Identifier: MIT */
/*
 * Space: one watched address space - its userfaultfd, its layout, its cover.
 *
 * Born from an injection (attach, exec) or from a fork event; dead when the kernel
 * says ESRCH, the process has gone, or the session lets it go.  One thread, the
 * event thread, uses it.
 *
 *	survey.c	reads the maps, registers, asks for arming
 *	arm.c		arms what is owed, chunk by chunk, between events
 *	census.c	the same, and the passes, where nobody waits for an answer
 *	tables.c	keeps what that costs in page tables within bounds
 *	ksm.c		doubts what is armed, where the kernel takes it off
 *	serve.c		reads messages, resolves, follows, emits
 *	twin.c		a second userfaultfd on the same address space
 *	twin-fork.c	and on that of a child
 */
#ifndef WATCH_SPACE_H
#define WATCH_SPACE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "watch/agent.h"
#include "watch/budget.h"
#include "watch/census.h"
#include "watch/cover.h"
#include "watch/door.h"
#include "watch/emit.h"
#include "watch/event.h"
#include "watch/filesystem.h"
#include "watch/guard.h"
#include "watch/latency.h"
#include "watch/layout.h"
#include "watch/maps.h"
#include "watch/resolve.h"
#include "watch/spare.h"
#include "watch/tids.h"
#include "watch/watchable.h"
#include "watch/workset.h"

/*
 * Documentation/admin-guide/mm/ksm.rst: run is 1 while it may merge; pages_scanned (since
 * 6.6) counts each page that was up for it, and stands still while no process has
 * mergeable memory.
 */
struct ksm {
	uint64_t looked, scanned;	/* when it was last asked after, and pages_scanned */
	bool runs;
	bool merged;			/* maybe, since the last second */
};

/* What all spaces of a session share; borrowed by each. */
struct space_shared {
	struct emit emit;
	struct resolve_source source;
	struct maps now;		/* of enrol.c */
	const struct watch_filter *filter;
	const struct watch_filter *twin_filter;	/* what is a twin's; NULL: there are none */
	struct latency lat, stop;
	uint32_t next_vma, next_mm;
	uint32_t page_size, huge_size;
	unsigned int granularity;	/* pages that one write takes the protection off */
	uint64_t memory;		/* bytes of the machine's memory */
	uint64_t tabled;		/* tables.c: of all spaces */
	uint64_t max_mappings;		/* of a process: vm.max_map_count */
	uint32_t kinds;			/* WATCH_KIND_*: which records are kept */
	struct agent *agent;		/* what our own right does not open; may be NULL */
	struct guard *guard;		/* borrowed; NULL: none */
	uint64_t epoch_ns;		/* from one pass of the census to the next */
	bool guard_pages;		/* PAGEMAP_SCAN tells them */
	bool narrow;			/* slices of the census stay below CENSUS_WIDTH_EASY */
	census_dirty dirty;		/* whom the census tells, on the event thread */
	census_passed passed;		/* may be NULL */
	void *census_arg;
	unsigned int nspaces, max_spaces;
	int max_fds;			/* RLIMIT_NOFILE */
	bool full;			/* take no child now: there is no descriptor left */
	struct ksm ksm;
	bool procwatch;			/* forks that are not followed are told by it */
};

/* A mapping that the witness has told of; more at once, and everything is read again. */
struct space_fresh {
	struct range r;
	uint64_t first, when;		/* the first word of it, and the last */
	bool writable;
};
#define SPACE_FRESH_MAX 16

/* Root may set vm.max_map_count higher; beyond this we do not follow. */
#define SPACE_LAYOUT_LIMIT (1u << 20)

/* A fault that was answered with EAGAIN and waits for layout events. */
struct space_pending {
	struct event ev;
	uint64_t woke, read;		/* ns: poll returned, message read */
};
#define SPACE_PENDING_MIN 128	/* room from the beginning: most spaces have none */
#define SPACE_PENDING_MAX 4096

#define SPACE_REFUSED_MAX 16

/* An unmapping that the other userfaultfd tells of, too. */
#define SPACE_ECHOES 8
struct space_echo {
	struct range r;
	const struct space *of;		/* who will tell of it again */
};

/* Something owed to a range, not before a time. */
struct space_todo {
	struct range r;
	uint64_t when;
	uint64_t armed;			/* CHECK: since when it is claimed; census: how far back
					 * the arming under way reaches without a hole */
	uint64_t since;			/* ARM: not told of since then; 0: nobody expects it */
	/* REARM_AFTER_REMOVE: armed is when the removal was told of; then a CHECK of it all. */
	enum { TODO_ARM, TODO_REARM_AFTER_REMOVE, TODO_CHECK } what;
	enum gap_reason why;		/* of what was not told since then */
};

/* Counters of a target when its budget was accounted last. */
struct space_toll {
	uint64_t when;			/* 0: not yet */
	uint64_t ran, faults, held, waited;
	uint64_t writes;		/* pages found written since */
};

struct space {
	struct space *next;		/* list of the session */
	struct space_shared *shared;
	pid_t pid;			/* 0 until a forked child is named */
	pid_t parent;			/* of a forked child: who forked it; 0: not named yet */
	uint32_t parent_mm;
	uint32_t mm;
	uint64_t features;
	int uffd, pidfd, procfd, pagemap, mapsfd, memfd;
	struct door door;		/* of an unnamed child: the candidate looked at last */
	struct layout layout;
	struct cover cover;		/* stays empty where async */
	struct census census;
	struct workset written;		/* async: all pages found written so far */
	uint64_t tabled;		/* tables.c: bytes armed at the cost of page tables */
	struct budget budget;		/* session-budget.c */
	struct space_toll toll;
	bool async;			/* faults wait for nobody: the census tells of writes */
	struct spares spares;
	struct maps maps;
	struct filesystems filesystems;
	struct tids *tids;
	struct space_pending *pending;
	unsigned int npending, pending_room;
	struct space_todo *todo;
	unsigned int nlooks;		/* of them not TODO_ARM: bare pages may pass for armed */
	uint64_t fenced;		/* what took the mmap lock before then has let it go */
	unsigned int todo_head, ntodo, todo_room;
	uint64_t arm_after;		/* a layout change is under way: not before */
	uint32_t refused[SPACE_REFUSED_MAX];	/* children let go, whose pids are to be told */
	unsigned int nrefused;
	const struct watch_filter *filter;
	struct space *twin;		/* beside an async one: the sync one; NULL: none */
	struct space *whole;		/* of a twin: whom it is beside */
	struct space_echo echo[SPACE_ECHOES];
	unsigned int nechoes;
	bool awaits;			/* of a twin: a fork, which the other one has told of */
	int forked;			/* of a twin: the descriptor that came of it; -1 */
	int strays;			/* of a twin: forks that only the other one has told of
					 * until now, less those that it alone has told of */
	uint64_t waited;		/* ns that threads have waited for answers, in all */
	struct space *born;		/* forked children, for the session to take over */
	uint32_t born_ptid;		/* of an unnamed child: who faulted first */
	uint64_t naming_due;		/* of an unnamed child: when to ask again */
	uint64_t forked_after;		/* of a forked child: its parent waited until then */
	uint64_t lived;			/* of an unnamed child: it was still there then */
	pid_t heir;			/* of an unnamed child that has gone: who had it; 0 */
	bool orphan;			/* who may have had it is not known of any more */
	struct range bare;		/* of an unnamed child: a page that is to be protected */
	uint64_t dead_since;
	unsigned int slot;		/* of the guard */
	uint32_t exit_status;		/* as wait(2) gives it, if exit_told */
	bool exit_told;
	bool tids_plain;		/* thread ids in messages are those of our namespace */
	uint64_t drained;		/* when the last read ended */
	pid_t faulted;			/* the thread whose fault was written down last; 0: none */
	uint64_t declared;		/* what came before it was opened is, until then; 0 */
	uint64_t surveyed;		/* begin of the last whole reading of the maps */
	uint64_t surveyed_before;	/* and of the one before */
	uint64_t survey_due;
	uint64_t pass_since;		/* begin of the reading under way; 0: none is */
	uint64_t pass_at, pass_cost;	/* how far it has come; what it has taken, ns */
	int64_t pass_found;		/* differences */
	uint64_t reread_due;		/* UINT64_MAX: no event asked for a reading */
	uint64_t born_at;
	bool snapshot;			/* the first reading has been made */
	bool follow;			/* take children */
	bool dead;			/* ESRCH: the address space has gone */
	bool gone;			/* the process has ended (pidfd) */
	uint64_t gone_since;		/* it waits to hear how; 0: not yet */
	bool failed;			/* it must be let go ... */
	enum gap_reason failed_for;	/* ... and this is why */
	bool proved;			/* the userfaultfd is of this address space; before
					 * that session-attach.c reads, and nothing is armed */
	bool resync;			/* follow failed: seed everything anew */
	bool text_only;			/* no PROCMAP_QUERY in this kernel */
	uint64_t trusted;		/* what was claimed then was protected: see ksm.c */
	uint64_t doubt_at;		/* the look that is owed began */
	bool doubting, doubt_again;	/* claims are still to be held against pagemap */
	uint64_t witnessed;		/* touches before that are not ours to tell */
	struct space_fresh fresh[SPACE_FRESH_MAX];
	unsigned int nfresh;
};

/* Without a process; for space.c and twin.c.  NULL: no memory. */
struct space *space_blank(struct space_shared *sh, int uffd, uint64_t features);
/* Takes uffd, after its handshake, and the door, on failure too. */
int space_new(struct space **ret, struct space_shared *sh, struct door *door, int uffd,
	      uint64_t features);
/*
 * The child of a fork event; layout and cover are the parent's at this instant.  Its
 * thread has waited for the reading, which began after `woke`.
 */
int space_fork(struct space **ret, struct space *parent, int uffd, uint64_t woke, uint64_t now);
/* A forked child gets its name, and a door.  -EAGAIN: ask again (agent_open()); -ESRCH. */
int space_name(struct space *s, pid_t pid);
/* Does the address space still exist?  Asked of the userfaultfd, without a pid. */
bool space_alive(const struct space *s);
/*
 * What dropping the pages of r may take after the word of it was read, ns: 0.2 us a page that
 * is there, as measured where nobody else wants the processor; here with a margin.
 */
uint64_t space_drop_takes(struct space *s, struct range r);
/* Has its process ended?  Asked of the pidfd, by which an event may not have come yet. */
bool space_ended(const struct space *s);
/* The one of its process that the session knows: itself, but for a twin. */
static inline struct space *space_main(struct space *s)
{
	return s->whole ? s->whole : s;
}
/* A mapping's record; of a twin's layout nothing is told. */
void space_tell_vma(struct space *s, uint64_t now, enum vma_op op, const struct region *g);
/*
 * Is a layout change under way?  The kernel counts one, for each userfaultfd, from before
 * it is made until its event was read and its thread has run, and refuses everything
 * meanwhile, also what makes no sense (userfaultfd_writeprotect()).
 */
bool space_changing(const struct space *s);
/* Let it go at the end of this turn. */
void space_fail(struct space *s, enum gap_reason reason);
/* A fork that is not followed, and why: its child is free already, and in s->refused. */
void space_refuse_child(struct space *s, uint64_t now, enum gap_reason reason);
/* Unregisters everything (by closing). */
void space_close(struct space *s);
/* Closes what is open, frees. */
struct space *space_free(struct space *s);

int space_owe(struct space *s, struct range r, uint64_t when, int what, uint64_t armed);
/* An arming, and what is to be declared when it is done. */
int space_owe_since(struct space *s, struct range r, uint64_t when, uint64_t since,
		    enum gap_reason why);

/* What is owed and due, moved to the head of the list; or NULL. */
struct space_todo *space_todo_due(struct space *s, uint64_t now);
/*
 * Nobody will look at what is owed below `addr`: it is not there any more, or not watched, or
 * this is the end.  What is not told since then is declared.  False: nothing is owed there.
 */
bool space_todo_skip(struct space *s, struct space_todo *t, uint64_t addr);
/* The head of the list is done. */
void space_todo_done(struct space *s);
/* When the first is due; UINT64_MAX. */
uint64_t space_todo_first(const struct space *s);

/* Ask for a reading of the maps, `delay` after now, or as soon as one is due again. */
void space_reread(struct space *s, uint64_t now, uint64_t delay);

/* enrol.c */

/*
 * Register a region.  0; -ESTALE: its mapping is not what it was, read again;
 * else what UFFDIO_REGISTER says, and -ENOMEM if the target has hardly room for
 * the mappings that cutting this one would make.
 */
int enrol(struct space *s, const struct region *g, uint32_t modes);
/* enrol() has said so. */
enum vma_why enrol_refusal(int error);
/* vm.max_map_count, or its default. */
uint64_t enrol_limit(void);

/* tables.c: arming fills the page tables of the target */

/* May the region be watched, and armed?  Then it counts, instead of what it was before. */
bool tables_admit(struct space *s, struct region *g, bool arm);
/* It counts no more. */
void tables_forget(struct space *s, struct region *g);
/* Layout events have cut and moved regions: count anew. */
void tables_recount(struct space *s);

/* twin.c */

/*
 * Sync beside async in one address space: a twin has a userfaultfd, a layout and a cover
 * of its own, borrows what is known of the process, and registers what its filter names
 * and it can watch; whoever it is beside leaves that alone.  Each follows the events of
 * its own mappings.  Takes uffd, on failure too.
 */
int twin_new(struct space **ret, struct space *whole, int uffd, uint64_t features);
/*
 * The other one has read of a fork: the descriptor of the same fork's twin, if it is
 * certain which.  -ENOENT: the child's has no twin; -EAGAIN: it may have one, and nobody
 * knows which; else what serve() says.  Reads and answers what comes to the twin meanwhile.
 */
int twin_await(struct space *whole);
/* A fork event of the twin: its descriptor, taken. */
void twin_forked(struct space *twin, int uffd);
/* The child's twin, a copy of its parent's at this instant.  Takes uffd, on failure too. */
int twin_fork(struct space *child, const struct space *parent, int uffd, uint64_t now);
/* The child has none: what was held is not watched, until the other one has registered it. */
void twin_orphaned(struct space *child, uint64_t since, uint64_t now);
/* The other one has got its name, and what is open of the process. */
void twin_named(struct space *twin);
/*
 * Is it of the same address space as the other one, which has a name?  0; -EXDEV: no;
 * -EAGAIN: ask again; -ESRCH.  May move the cover of one page, and says so in the trace.
 */
int twin_prove(struct space *twin);
/* Nothing is registered any more, and what it had been told of until then is in the trace. */
void twin_release(struct space *twin);
/* Before it is freed: what was borrowed goes back, and its mappings to the other one. */
void twin_part(struct space *twin);
/* A mapping of its has come or changed: it looks, too.  False: it is not there any more. */
bool twin_meets(struct space *twin, const struct region *g);
/* What is gone over anew, is so by both: their gaps are of the whole address space. */
void twin_agree(struct space *s);
/* The twin was told that its mappings there are gone: the other one knows of none now. */
void twin_lost(struct space *twin, struct range r);
/* The other one has told of this unmapping already. */
bool twin_echoes(struct space *s, const struct event *ev);

/* survey.c */

/*
 * Read a slice of the maps, make the layout equal to it, register what is new and
 * watchable, emit the differences.  What is new and writable is declared as a gap
 * since the last reading (not at the first) and owed an arming.  1: there is more to
 * read; 0: that was the last slice, *ret_differences is their number in all; -ESRCH
 * (the space is dead then), -ENOMEM.
 */
int survey(struct space *s, uint64_t now, int64_t *ret_differences);
/* The same for the mappings in f->r alone, which became what they are at f->when. */
int survey_here(struct space *s, const struct space_fresh *f);
/*
 * There was memory in span: declare what the layout knows nothing of, since the last
 * reading, or since then if that is earlier.  (It grew in place, or came and went.)
 */
void survey_admit(struct space *s, struct range span, uint64_t since);
/* Promise nothing more: what was claimed may not have reached the trace. */
void space_disclaim(struct space *s);
/* What was written before that has been told, or been declared. */
uint64_t survey_told_until(const struct space *s);
/* Forget layout and cover, declare a gap over everything, begin anew. */
int survey_resync(struct space *s, enum gap_reason reason);
/* The same, where the gap has been declared.  Nothing may be armed in between. */
int survey_anew(struct space *s);

/* arm.c */

/*
 * Do one piece of what is owed and due: at most ARM_CHUNK bytes.  1: something was
 * done, 0: nothing is due, -EAGAIN: read events first, -ESRCH: dead.
 */
int arm_step(struct space *s);
/* What of `r` the user's ranges (-a) allow, from its beginning; a twin arms mappings whole. */
struct range arm_allowed(const struct space *s, struct range r);
/* When the next owed piece is due; UINT64_MAX if none. */
uint64_t arm_due(const struct space *s);
/* The end: declare what is claimed and has not been held against the kernel's word. */
void arm_confess(struct space *s);
/*
 * Pages of `r` go or move: the same of them, which are claimed no more.  True: there were
 * some, and where they move to they are to be armed anew.
 */
bool arm_confess_part(struct space *s, struct range r, uint64_t now);
/* Is something still owed that was due at `since`? */
bool arm_owes(const struct space *s, uint64_t since);
/* --rearm: owe every spent page an arming.  Returns pages. */
uint64_t arm_epoch(struct space *s, uint64_t now);
/* Is the userfaultfd of this very address space?  0, -EXDEV, -EAGAIN: try later. */
int arm_prove(struct space *s);

/* ksm.c: pages that KSM merges lose their protection without a word */

/* Has it scanned since the last look? */
void ksm_look(struct ksm *k);
/* Once a second: hold the claims of all against pagemap, if it has. */
void ksm_tick(struct space_shared *sh, struct space *spaces, uint64_t now);
/* Owe a look at everything that is claimed. */
void ksm_doubt(struct space *s, uint64_t now);
/* Is it that look?  When it is over: what was claimed when it began is trusted. */
bool ksm_is_check(const struct space *s, const struct space_todo *t);
void ksm_checked(struct space *s);
/* Could a claimed page lack its protection?  Then it must not be armed unseen. */
bool ksm_may_hide(const struct space *s);
/* Claimed pages go, and no look is under way: declare what cannot be looked at any more. */
bool ksm_confess(struct space *s, struct range r, uint64_t now);

/* serve.c */

/*
 * Read and answer what has come, at most a bounded number of messages.  woke: when
 * poll returned.  Returns the number of messages, or a negative errno that ends
 * the space (-ESRCH) or the session.
 */
int64_t serve(struct space *s, uint64_t woke);
/* Try the pending ones again. */
int serve_pending(struct space *s);
/*
 * Room for more pending ones, if it runs short; between two turns, as it allocates and
 * serve() does not: that reads fewer messages at a time where there is little.
 */
void serve_make_room(struct space *s);

#endif
