/* SPDX-License-Identifier: MIT */
/*
 * Session: one recording.  Wires uffd, event, follow, resolve, arm, procwatch and
 * the queue together; it orders, it does not compute.
 *
 *	session_new(&s, &opts)		nothing touched yet
 *	session_attach(s, pid, &fail)	the target is watched from here on
 *	session_run(s)			until a stop condition, a signal or the last exit
 *	session_free(s)			everything unregistered, the target as it was
 *
 * One thread; the writer runs in another one.
 */
#ifndef WATCH_SESSION_H
#define WATCH_SESSION_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "pagetap/inject.h"
#include "trace/queue.h"
#include "watch/agent.h"
#include "watch/watchable.h"	/* struct watch_filter, WATCH_KIND_* */

#define SESSION_WATCHDOG_NS UINT64_C(1000000000)
#define SESSION_EPOCH_NS UINT64_C(1000000000)
#define SESSION_PROCESSES 512u

struct session;

struct session_opts {
	struct watch_filter filter;
	uint32_t kinds;			/* WATCH_KIND_* */
	bool async;			/* --engine async */
	bool both;			/* --engine both: async, and sync on what filter names */
	bool who;			/* async: and which thread wrote */
	bool sure;			/* who: and not only read */
	uint64_t epoch_ns;		/* async: from one pass to the next; 0 = SESSION_EPOCH_NS */
	uint64_t budget_ppm;		/* async: slowdown that is allowed; 0 = any */
	bool follow;			/* -f */
	uint64_t rearm_ns;		/* 0 = never */
	unsigned int granularity;	/* pages told of as one: a power of two; 0 = 1 */
	uint64_t duration_ns;		/* 0 = no limit, from the last attach on */
	uint64_t max_faults;		/* -n; 0 = no limit */
	void (*guard_settle)(void);	/* guard_new(); may be NULL */
	uint64_t watchdog_ns;		/* a stall longer than this frees the targets; 0 = never */
	unsigned int max_processes;	/* watched at a time, forks beyond are not followed; 0 =
					   SESSION_PROCESSES */
	uint64_t base_ns;		/* CLOCK_MONOTONIC base of the trace */
	unsigned int inject_timeout_ms;	/* 0 = default */
	struct queue *queue;		/* borrowed */
	struct agent *agent;		/* borrowed; NULL: programs after exec are not followed */
	int output_fd;			/* readable = output failed (writer_fd); -1 none */
	int limit_fd;			/* readable = it is as large as it may be; -1 none */
	int signal_fd;			/* the caller's: INT TERM HUP USR1 CHLD; -1 none */
};

/* What session_run() has seen; for the summary. */
struct session_summary {
	struct record_stats stats;
	enum detach_reason reason;
	bool clean;			/* everything unregistered and drained */
	bool at_once;			/* second Ctrl-C: do not drain the queue */
	bool asked;			/* this tick answers a SIGUSR1 */
	uint64_t lost_perf;		/* of stats.lost: by the rings of perf */
	int no_witness;			/* -errno: perf events are refused; 0: they are not */
	bool async, both;
	uint64_t dirty_by_kind[VMA_KIND_NR];	/* async: of stats.dirty_pages, by enum vma_kind */
	uint64_t epochs;		/* async: passes that were completed, of all processes */
	unsigned int processes;		/* watched in all */
	uint64_t attach_ns, stop_ns;	/* of the first target */
	uint64_t watched_bytes;		/* armed after the first attach */
	unsigned int vmas, vmas_watched;
	uint64_t ran_ns;
	int64_t exit_code, exit_signal;	/* of the last target to end; RECORD_UNKNOWN */
};

int session_new(struct session **ret, const struct session_opts *opts);
/*
 * Borrow a userfaultfd from pid, register, arm.  0, or -errno with the words in
 * ret_failure; the target is then as it was.
 */
int session_attach(struct session *s, pid_t pid, struct pagetap_failure *ret_failure);
/* Returns 0 after a clean end, -errno if the monitor itself failed. */
int session_run(struct session *s);
/* Called each second from within session_run, for the progress line; may be NULL. */
void session_on_tick(struct session *s, void (*tick)(void *arg, const struct session_summary *now),
		     void *arg);
void session_summary(const struct session *s, struct session_summary *ret);
struct session *session_free(struct session *s);

/* Has this kernel what the async engine needs?  features: as session_probe_features(). */
bool session_can_async(uint64_t features);
/* UFFD_FEATURE_* that this kernel offers, from a throw-away fd; -errno if none. */
int session_probe_features(uint64_t *ret_features);
/* Are we given the perf events that tell who writes, and of new mappings?  0, or -errno. */
int session_probe_witness(void);

#endif
