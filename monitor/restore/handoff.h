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
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

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

/* What comes with a message; room for one descriptor more than there should be. */
union handoff_rights {
	char buf[CMSG_SPACE(sizeof(struct ucred)) + CMSG_SPACE(2 * sizeof(int))];
	struct cmsghdr align;
};

/*
 * One connection.  It may lie in memory that outlives the process: the kernel writes all of
 * an answer there before recvmsg(2) returns, and a process is killed on its way out of it
 * at the earliest.  So another one that goes on reading misses nothing, and gets the last
 * item once more if handoff_done() had not been called yet.
 */
struct handoff_peer {
	int fd;
	pid_t pid;		/* who connected, for words */
	uint8_t word[4];	/* of the item that comes */
	uint8_t byte;		/* ... and what carries its descriptor */
	uint32_t have;		/* bytes of the two */
	/* One reading; want is 0 when it has been seen to. */
	uint32_t want;		/* what `have` is after it */
	struct msghdr msg;
	struct iovec iov;
	union handoff_rights rights;
};

/* -EAGAIN: nobody; -EPERM: refused, with words. */
int handoff_accept(int listener, struct handoff_peer *ret, struct handoff_problem *ret_why);
/*
 * Is this a connection that the listener gave?  Then it is *ret, as if it had been accepted
 * just now.
 */
bool handoff_adopt(int listener, int fd, struct handoff_peer *ret);
void handoff_close(struct handoff_peer *p);
bool handoff_is_userfaultfd(int fd);

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
/*
 * 0; -EAGAIN: not here yet; -EPROTO with the words: not what CRIU says.  The same item
 * comes until handoff_done().
 */
int handoff_read(struct handoff_peer *p, struct handoff_item *ret,
		 struct handoff_problem *ret_why);
/* The item has been seen to. */
void handoff_done(struct handoff_peer *p);

#endif
