/* SPDX-License-Identifier: MIT */
/*
 * Procwatch: fork, exec and exit as the kernel's proc connector tells them.
 *
 * The only user of libnl (libnl-3 over NETLINK_CONNECTOR, CN_IDX_PROC; see
 * Documentation/driver-api/connector.rst).  Events arrive as NLMSG_DONE, so the
 * handler sits on NL_CB_FINISH; an overrun (ENOBUFS) shows as NLE_NOMEM and means
 * lost events.  Pids are those of the initial pid namespace.
 */
#ifndef WATCH_PROCWATCH_H
#define WATCH_PROCWATCH_H

#include <stdint.h>
#include <sys/types.h>

enum procwatch_kind {
	PROCWATCH_FORK,		/* a process: child is a thread-group leader */
	PROCWATCH_THREAD,	/* a thread: child is in the same group */
	PROCWATCH_EXEC,
	PROCWATCH_EXIT,		/* the leading thread; others may live on: ask a pidfd */
};

struct procwatch_event {
	enum procwatch_kind kind;
	pid_t tid, tgid;	/* who: fork's parent, exec's and exit's process */
	pid_t child_tid, child_tgid;
	uint32_t exit_code;	/* as wait(2) gives it */
	uint64_t ts;		/* CLOCK_MONOTONIC ns, taken by the kernel */
};

struct procwatch;

/*
 * -EPERM (no CAP_NET_ADMIN, or not in the initial pid and user namespaces, where the
 * kernel would say nothing for ever), -EPROTONOSUPPORT (no connector), -ENOMEM.
 * Non-blocking.
 */
int procwatch_open(struct procwatch **ret);
/* For poll: POLLIN. */
int procwatch_fd(const struct procwatch *p);
/*
 * Deliver what is queued.  0, or -ENOBUFS if events were lost (how many cannot be
 * told, or there was no memory to receive them); what follows the loss is delivered
 * all the same, now or by the next call.
 */
int procwatch_read(struct procwatch *p, void (*on)(void *arg, const struct procwatch_event *ev),
		   void *arg);
/* Stops the flow and closes.  NULL in, NULL out. */
struct procwatch *procwatch_close(struct procwatch *p);

#endif
