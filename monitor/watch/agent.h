/* SPDX-License-Identifier: MIT */
/*
 * Agent: the process that keeps the privileges after the monitor has given up its own.
 *
 * What following forks and execs needs is rare and small: a userfaultfd borrowed from
 * a new program, and what the kernel shows of a process only to who may trace it.  The
 * agent does these and nothing else, and only for processes that descend from the
 * targets it was started with (kin.h).  It holds no userfaultfd but in transit, so that
 * its life is nothing to the targets, and it ends with the monitor (end of file).
 *
 *	agent.c, agent-ask.c	the monitor's side; one thread, the event thread
 *	agent-process.c		the process
 *	agent-wire.c		the messages
 *
 * Everything that is answered at once is tried by the monitor's own right first.
 */
#ifndef WATCH_AGENT_H
#define WATCH_AGENT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/range.h"
#include "pagetap/inject.h"
#include "watch/door.h"
#include "watch/filesystem.h"
#include "watch/perf.h"
#include "watch/procinfo.h"

struct agent;

/* A userfaultfd after its handshake, and the door to whom it is of. */
struct agent_loan {
	struct pagetap_loan loan;	/* its pidfd is the door's */
	uint64_t features;
	struct door door;
};

/*
 * Start the process.  Call before there are threads or descriptors that it must not
 * keep for an instant; it closes what it inherits.  settle: called in it first, to
 * give up what it needs not; may be NULL.  0 or -errno.
 */
int agent_new(struct agent **ret, const pid_t *targets, unsigned int n, void (*settle)(void));
/* Ends the process, waits for it, closes what had come.  NULL in, NULL out. */
struct agent *agent_free(struct agent *a);
/* For poll: POLLIN, then agent_read(); -1 when there is none any more. */
int agent_fd(const struct agent *a);
pid_t agent_pid(const struct agent *a);
/* Take what has come.  -EPIPE: the agent has gone. */
int agent_read(struct agent *a);

/*
 * Ask for a loan from a process; *ret_id names it.  At most AGENT_LOANS at a time.
 * -EPIPE: there is no agent; -EBUSY, -EPERM as in libpagetap.
 */
#define AGENT_LOANS 4
int agent_borrow(struct agent *a, pid_t pid, bool async, unsigned int timeout_ms,
		 uint32_t *ret_id);
/* Has it come, or failed? */
bool agent_finished(const struct agent *a, uint32_t id);
/* Ends it: 0 and the caller's descriptors, or -errno and the words. */
int agent_finish(struct agent *a, uint32_t id, struct agent_loan *ret,
		 struct pagetap_failure *ret_failure);

/* All of these take NULL: by our own right alone. */

/*
 * -EAGAIN: asked for, and not come within 2 ms; the loop is woken when it has, and who
 * asks for it again gets it.  -ESRCH, -EACCES (no right, or no kin), -EPIPE, -EMFILE.
 */
int agent_open(struct agent *a, pid_t pid, struct door *ret);
/* Once a second or so: close doors that were asked for and never fetched.  NULL: nothing. */
void agent_expire(struct agent *a, uint64_t now);
/*
 * As procinfo_of(), with what an unprivileged reader is not told (exe, exit code).  Between two
 * readings it may have been waited for: then its exit code is not known.
 */
int agent_about(struct agent *a, pid_t pid, struct procinfo *ret);
/* As filesystem_at(), by the agent's right where ours is not enough; NULL: by ours. */
int agent_filesystem(struct agent *a, pid_t pid, int procfd, struct range r,
		     struct filesystem *ret);
/*
 * Do two processes share one address space (vfork(2), CLONE_VM)?  By kcmp(2): 1, 0, -ESRCH,
 * -EPERM, -ENOSYS.
 */
int agent_shares(struct agent *a, pid_t pid, pid_t other);
/*
 * A perf event of the kinds the witness uses on a thread and a CPU; never by our own
 * right, which perf.c has tried.  A descriptor; -EPIPE without an agent.
 */
int agent_perf(struct agent *a, const struct perf_event_attr *attr, pid_t tid, int cpu);
/*
 * Start a watchdog (guard.h) on the page that this memfd holds.  Its pidfd, and its pid;
 * it is the agent's child, not ours.  -EPIPE without an agent.
 */
int agent_guard(struct agent *a, int page, pid_t *ret_pid);

/* agent-process.c: all there is to the process. */
_Noreturn void agent_main(int sock, const pid_t *targets, unsigned int n, void (*settle)(void));

#endif
