/* SPDX-License-Identifier: MIT */
/*
 * Handoff: how `criu restore --lazy-pages` gives the daemon its userfaultfds.
 *
 * A listening unix socket in the working directory, and connections of which each is
 * believed as far as it can be checked: that nobody but this user and root can have put
 * the socket there or connected to it; that each item is a process of the checkpoint,
 * once, with exactly one descriptor, which is a userfaultfd.  One that breaks this is
 * closed, and the socket goes on listening.
 *
 * Nothing here waits.
 */
#ifndef RESTORE_HANDOFF_H
#define RESTORE_HANDOFF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define HANDOFF_SOCKET "lazy-pages.socket"

struct handoff_problem {
	char text[160];
};

/*
 * Listen in this folder, in the place of a socket that an earlier one left.  The
 * descriptor, or -errno with the words: -EPERM if others could put one there instead.
 */
int handoff_listen(const char *folder, struct handoff_problem *ret_why);
/* The socket file goes, and with it the folder's descriptor.  Also of -1. */
void handoff_unlink(const char *folder);

struct handoff_peer {
	int fd;
	pid_t pid;		/* who connected, for words */
	uint8_t word[4];	/* of the item that comes */
	unsigned int have;
};

/* -EAGAIN: nobody; -EPERM: refused, with words. */
int handoff_accept(int listener, struct handoff_peer *ret, struct handoff_problem *ret_why);
void handoff_close(struct handoff_peer *p);

enum handoff_kind {
	HANDOFF_TASK,		/* pid and its userfaultfd */
	HANDOFF_ZOMBIE,		/* pid; it has no memory */
	HANDOFF_RESUME,		/* all have been handed over, and run from now on */
	HANDOFF_END,		/* the connection was closed */
};
struct handoff_item {
	enum handoff_kind kind;
	int32_t pid;
	int uffd;		/* the caller's from now on */
	pid_t host_pid;		/* who sent it, by the kernel's word; 0: not to be seen here */
};
/* 0; -EAGAIN: not here yet; -EPROTO with the words: not what CRIU says. */
int handoff_read(struct handoff_peer *p, struct handoff_item *ret,
		 struct handoff_problem *ret_why);

#endif
