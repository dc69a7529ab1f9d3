/* SPDX-License-Identifier: MIT */
/* Parcel: a message that carries one descriptor. */

#include "parcel.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

const size_t parcel_fd_at = offsetof(struct parcel, control) + CMSG_LEN(0);

void parcel_lay_out(struct parcel *p, uint64_t at, int fd)
{
	memset(p, 0, sizeof(*p));
	p->data.iov_base = (void *)(uintptr_t)(at + offsetof(struct parcel, byte));
	p->data.iov_len = 1;
	p->head.msg_iov = (void *)(uintptr_t)(at + offsetof(struct parcel, data));
	p->head.msg_iovlen = 1;
	p->head.msg_control = (void *)(uintptr_t)(at + offsetof(struct parcel, control));
	p->head.msg_controllen = sizeof(p->control);
	memcpy(CMSG_DATA(&p->control.head), &fd, sizeof(fd));
	if (fd < 0)
		return;
	p->control.head.cmsg_len = CMSG_LEN(sizeof(int));
	p->control.head.cmsg_level = SOL_SOCKET;
	p->control.head.cmsg_type = SCM_RIGHTS;
}

int parcel_arrived(const struct parcel *p, int *ret)
{
	const struct cmsghdr *c = &p->control.head;

	if (p->head.msg_flags & (MSG_CTRUNC | MSG_TRUNC))
		return -EMSGSIZE;
	if (p->head.msg_controllen < CMSG_LEN(sizeof(int)) || c->cmsg_level != SOL_SOCKET ||
	    c->cmsg_type != SCM_RIGHTS || c->cmsg_len != CMSG_LEN(sizeof(int)))
		return -EBADMSG;
	memcpy(ret, CMSG_DATA(c), sizeof(*ret));
	return *ret < 0 ? -EBADMSG : 0;
}

int parcel_send(int sock, int fd)
{
	struct parcel p;

	parcel_lay_out(&p, (uint64_t)(uintptr_t)&p, fd);
	return sendmsg(sock, &p.head, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* More than one may come from a hostile sender: the room holds several, all closed. */
#define ROOM 16

int parcel_receive(int sock, int *ret_fd)
{
	union {
		struct cmsghdr head;
		unsigned char room[CMSG_SPACE(ROOM * sizeof(int))];
	} control;
	char byte;
	struct iovec data = { &byte, 1 };
	struct msghdr m = {
		.msg_iov = &data,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	int fds[ROOM], n = 0;

	if (recvmsg(sock, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) < 0)
		return -errno;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t at = CMSG_LEN(0); at + sizeof(int) <= c->cmsg_len && n < ROOM;
		     at += sizeof(int))
			memcpy(&fds[n++], (char *)c + at, sizeof(int));
	}
	if (n == 1 && !(m.msg_flags & MSG_CTRUNC)) {
		*ret_fd = fds[0];
		return 0;
	}
	while (n > 0)
		close(fds[--n]);
	return -EBADMSG;
}
