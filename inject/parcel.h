/* SPDX-License-Identifier: MIT */
/*
 * Parcel: a message that carries one descriptor, unix(7) SCM_RIGHTS.
 *
 * struct parcel is the message as it lies in the target's memory, with the target's
 * addresses; the target is of our own word size.  Exactly one descriptor is accepted.
 */
#ifndef INJECT_PARCEL_H
#define INJECT_PARCEL_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

struct parcel {
	struct msghdr head;
	struct iovec data;
	char byte[8];
	union {
		struct cmsghdr head;
		unsigned char room[CMSG_SPACE(sizeof(int))];
	} control;
};

/* Offset in a parcel of the descriptor's number; -1 until one has arrived. */
extern const size_t parcel_fd_at;

/* Pure: a message at address at, that sends fd, or for -1 has room to receive one. */
void parcel_lay_out(struct parcel *p, uint64_t at, int fd);
/*
 * Pure: what recvmsg(2) has put there.  -EMSGSIZE: cut short, so that a descriptor is
 * missing; -EBADMSG: something else than one descriptor.
 */
int parcel_arrived(const struct parcel *p, int *ret);

/* Our own side; never blocks.  *ret_fd is the caller's, close-on-exec. */
int parcel_send(int sock, int fd);
int parcel_receive(int sock, int *ret_fd);

#endif
