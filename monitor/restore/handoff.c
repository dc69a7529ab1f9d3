/* SPDX-License-Identifier: MIT */
/* Handoff: unix socket, SO_PEERCRED, SCM_RIGHTS.  See handoff.h. */

#include "restore/handoff.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"

/* After the last process; also CRIU's word for "lazy pages: restore finished". */
#define RESUME_WORD UINT32_C(0x52535446)
#define BACKLOG 10

__attribute__((format(printf, 3, 4)))
static int problem(struct handoff_problem *why, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why->text, sizeof(why->text), fmt, ap);
	va_end(ap);
	return err;
}

/* Who may write to the folder can put a socket of his own in the place of ours. */
static int check_folder(int folder, struct handoff_problem *why)
{
	struct stat st;

	if (fstat(folder, &st) < 0)
		return problem(why, -errno, "%s", strerror(errno));
	if (st.st_uid && st.st_uid != geteuid())
		return problem(why, -EPERM, "it belongs to another user (uid %u)", st.st_uid);
	if ((st.st_mode & (S_IWGRP | S_IWOTH)) && !(st.st_mode & S_ISVTX))
		return problem(why, -EPERM, "others may write to it (mode %03o)",
			       st.st_mode & 0777u);
	return 0;
}

/* A path that is short enough for sockaddr_un however long the folder's is. */
static void socket_address(int folder, struct sockaddr_un *ret)
{
	*ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
	snprintf(ret->sun_path, sizeof(ret->sun_path), "/proc/self/fd/%d/" HANDOFF_SOCKET,
		 folder);
}

/* Only a socket is taken away. */
static void remove_socket(int folder)
{
	struct stat st;

	if (!fstatat(folder, HANDOFF_SOCKET, &st, AT_SYMLINK_NOFOLLOW) && S_ISSOCK(st.st_mode))
		unlinkat(folder, HANDOFF_SOCKET, 0);
}

int handoff_listen(const char *path, struct handoff_problem *ret_why)
{
	_close_ int folder = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	_close_ int fd = -1;
	struct sockaddr_un addr;
	mode_t old;
	int r, on = 1;

	if (folder < 0)
		return problem(ret_why, -errno, "%s", strerror(errno));
	r = check_folder(folder, ret_why);
	if (r < 0)
		return r;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return problem(ret_why, -errno, "socket: %s", strerror(errno));
	/* Connections have it too; each process hands over its own memory. */
	setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on));
	remove_socket(folder);
	socket_address(folder, &addr);
	old = umask(0177);
	r = bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ? -errno : 0;
	umask(old);
	if (r < 0)
		return problem(ret_why, r, HANDOFF_SOCKET ": %s", strerror(-r));
	if (listen(fd, BACKLOG) < 0)
		return problem(ret_why, -errno, HANDOFF_SOCKET ": %s", strerror(errno));
	return steal_fd(&fd);
}

void handoff_unlink(const char *path)
{
	_close_ int folder = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (folder >= 0)
		remove_socket(folder);
}

int handoff_accept(int listener, struct handoff_peer *ret, struct handoff_problem *ret_why)
{
	_close_ int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct ucred who;
	socklen_t len = sizeof(who);

	if (fd < 0)
		return -EAGAIN;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) < 0)
		return problem(ret_why, -EPERM, "a connection of nobody");
	if (who.uid && who.uid != geteuid())
		return problem(ret_why, -EPERM, "process %d of uid %u may not hand over memory",
			       who.pid, who.uid);
	*ret = (struct handoff_peer){ .fd = steal_fd(&fd), .pid = who.pid };
	return 0;
}

void handoff_close(struct handoff_peer *p)
{
	close_fd(&p->fd);
}

static bool is_userfaultfd(int fd)
{
	char link[32], target[64];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, target, sizeof(target) - 1);
	if (n < 0)
		return false;
	target[n] = '\0';
	return !strcmp(target, "anon_inode:[userfaultfd]");
}

/* What came with a message; room for one descriptor more than there should be. */
union rights {
	char buf[CMSG_SPACE(sizeof(struct ucred)) + CMSG_SPACE(2 * sizeof(int))];
	struct cmsghdr align;
};

/* Exactly one descriptor; any other number is closed again.  And who sent it. */
static int take_one(struct msghdr *msg, pid_t *ret_pid, struct handoff_problem *why)
{
	struct ucred who;
	struct cmsghdr *c;
	int fds[2], fd = -1;
	size_t n = 0, k;

	for (c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_CREDENTIALS) {
			memcpy(&who, CMSG_DATA(c), sizeof(who));
			*ret_pid = who.pid;
		}
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		k = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		k = k > 2 ? 2 : k;
		memcpy(fds, CMSG_DATA(c), k * sizeof(int));
		for (size_t i = 0; i < k; i++) {
			if (n++)
				close(fds[i]);
			else
				fd = fds[i];
		}
	}
	if (n == 1 && !(msg->msg_flags & MSG_CTRUNC))
		return fd;
	close_fd(&fd);
	return problem(why, -EPROTO, n || msg->msg_flags & MSG_CTRUNC ?
		       "more than one descriptor for a process" : "no descriptor for a process");
}

/* The byte that carries the descriptor. */
static int read_uffd(struct handoff_peer *p, pid_t *ret_pid, struct handoff_problem *why)
{
	union rights rights;
	char byte;
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = rights.buf, .msg_controllen = sizeof(rights.buf),
	};
	_close_ int fd = -1;
	ssize_t n = recvmsg(p->fd, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? -EAGAIN :
		       problem(why, -EPROTO, "%s", strerror(errno));
	if (!n)
		return problem(why, -EPROTO, "it ended in the middle of a process");
	fd = take_one(&msg, ret_pid, why);
	if (fd < 0)
		return fd;
	if (!is_userfaultfd(fd))
		return problem(why, -EPROTO, "the descriptor of a process is no userfaultfd");
	/* Else poll(2) of it is only POLLERR. */
	if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
		return problem(why, -EPROTO, "%s", strerror(errno));
	return steal_fd(&fd);
}

/* The word before it: 1 if it is whole, 0 if the connection ended between two items. */
static int read_word(struct handoff_peer *p, struct handoff_problem *why)
{
	ssize_t n;

	if (p->have == sizeof(p->word))
		return 1;
	n = recv(p->fd, p->word + p->have, sizeof(p->word) - p->have, MSG_DONTWAIT);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? -EAGAIN :
		       problem(why, -EPROTO, "%s", strerror(errno));
	if (!n)
		return p->have ? problem(why, -EPROTO, "it ended in the middle of a word") : 0;
	p->have += (unsigned int)n;
	return p->have == sizeof(p->word) ? 1 : -EAGAIN;
}

int handoff_read(struct handoff_peer *p, struct handoff_item *ret,
		 struct handoff_problem *ret_why)
{
	uint32_t word;
	int32_t pid;
	int r = read_word(p, ret_why);

	if (r < 0)
		return r;
	*ret = (struct handoff_item){ .kind = HANDOFF_END, .uffd = -1 };
	if (!r)
		return 0;
	memcpy(&word, p->word, sizeof(word));
	memcpy(&pid, p->word, sizeof(pid));
	if (word == RESUME_WORD) {
		ret->kind = HANDOFF_RESUME;
	} else if (pid < 0 && pid != INT32_MIN) {
		ret->kind = HANDOFF_ZOMBIE;
		ret->pid = -pid;
	} else if (pid > 0) {
		r = read_uffd(p, &ret->host_pid, ret_why);
		if (r < 0)
			return r;
		ret->kind = HANDOFF_TASK;
		ret->pid = pid;
		ret->uffd = r;
	} else {
		return problem(ret_why, -EPROTO, "a process of number %d", pid);
	}
	p->have = 0;
	return 0;
}
