/* SPDX-License-Identifier: MIT */
/*
 * Handover: the userfaultfd that a stopped thread opens, on its way to us.
 *
 *	target: socketpair                 ours: one end by pidfd_getfd(2), 5.6
 *	ours:   send /dev/userfaultfd      target: recvmsg, ioctl(USERFAULTFD_IOC_NEW)
 *	        or                         target: userfaultfd(2)
 *	ours:   take the new fd by pidfd_getfd(2)
 *	target: close all copies
 *
 * The socket carries the device in, and shows by its hang-up when copies of all this that
 * a concurrent fork made are closed (sweep.h).  Where neither is needed there is none:
 * then two calls are all.  Before 5.6 the new fd comes out through it.
 *
 * No call blocks, on either side: who waits for the other while a thread's registers
 * are bent can lose it.  Works in any namespace and root directory, because no name is
 * looked up; the abstract socket (PAGETAP_NO_PIDFD_GETFD) does not cross network
 * namespaces.
 */
#ifndef INJECT_HANDOVER_H
#define INJECT_HANDOVER_H

#include <stdbool.h>
#include <sys/types.h>

#include "visit.h"

/* Slots of the net. */
enum handover_slot {
	HANDOVER_NEAR,			/* the end that becomes ours; later the userfaultfd */
	HANDOVER_FAR,			/* the end that the target uses */
	HANDOVER_DEVICE,
	HANDOVER_UFFD,
};

/* Our own descriptors; -1: none.  Those of files that a fork may have copied. */
struct handover {
	int pidfd;			/* of the target; the caller's */
	int device;			/* /dev/userfaultfd, opened before the target stops */
	int listener;			/* abstract socket */
	int socket;			/* our end */
	ino_t far;			/* inode of the other end, to know copies of it by */
	int uffd;			/* what it is all for; the caller's */
	bool lend;			/* the target's credentials do not suffice */
	bool lent;
	bool abstract;
	char name[40];			/* of the abstract socket */
};

#define HANDOVER_NULL { .pidfd = -1, .device = -1, .listener = -1, .socket = -1, .uffd = -1 }

/*
 * Before the target is stopped: open what may take time.  lend: the target may not open
 * a userfaultfd itself; headless: its first thread has ended.
 */
int handover_prepare(struct handover *h, struct pagetap_failure *failure, unsigned int flags,
		     bool lend, bool headless);
/* On a visited thread with its net up.  Closes the target's copies also if it fails. */
int handover_run(struct handover *h, struct visit *v, pid_t pid, int pidfd);
/*
 * Is it one that was taken?  Another thread may have put something else under its number.
 * To be asked when the target runs on: /proc takes its time.
 */
int handover_check(const struct handover *h, struct pagetap_failure *failure);
/* Close everything of ours but uffd. */
void handover_done(struct handover *h);

#endif
