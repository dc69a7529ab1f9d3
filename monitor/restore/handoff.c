/* SPDX-License-Identifier: MIT */
/* Handoff: unix socket, SO_PEERCRED, SCM_RIGHTS.  See handoff.h. */

#include "restore/handoff.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
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

/* Who is at the other end; anybody but root and ourselves is refused. */
static int check_peer(int fd, struct handoff_peer *ret, struct handoff_problem *why)
{
	struct ucred who;
	socklen_t len = sizeof(who);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) < 0)
		return problem(why, -EPERM, "a connection of nobody");
	if (who.uid && who.uid != geteuid())
		return problem(why, -EPERM, "process %d of uid %u may not hand over memory",
			       who.pid, who.uid);
	*ret = (struct handoff_peer){ .fd = fd, .pid = who.pid };
	return 0;
}

int handoff_accept(int listener, struct handoff_peer *ret, struct handoff_problem *ret_why)
{
	_close_ int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	int r;

	if (fd < 0)
		return -EAGAIN;
	r = check_peer(fd, ret, ret_why);
	if (r < 0)
		return r;
	steal_fd(&fd);
	return 0;
}

bool handoff_adopt(int listener, int fd, struct handoff_peer *ret)
{
	struct sockaddr_un ours = { 0 }, its = { 0 };
	socklen_t ours_len = sizeof(ours), its_len = sizeof(its), len = sizeof(int);
	struct handoff_problem why;
	int listens = 1;

	if (getsockname(fd, (struct sockaddr *)&its, &its_len) < 0 ||
	    getsockname(listener, (struct sockaddr *)&ours, &ours_len) < 0 ||
	    its_len != ours_len || memcmp(&its, &ours, its_len) ||
	    getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) < 0 || listens)
		return false;
	return !check_peer(fd, ret, &why);
}

void handoff_close(struct handoff_peer *p)
{
	int fd = p->fd;

	/* In this order: the number may be somebody else's afterwards. */
	p->fd = -1;
	atomic_signal_fence(memory_order_seq_cst);
	close_fd(&fd);
}

bool handoff_is_userfaultfd(int fd)
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

/* The kernel sets other flags than this one in any case, also by none at all. */
#define UNTOUCHED (-1)

/* What an earlier reading gave, here or in a process that is dead. */
static void settle(struct handoff_peer *p)
{
	if (p->want && p->msg.msg_flags != UNTOUCHED)
		p->have = p->want;
	atomic_signal_fence(memory_order_seq_cst);
	p->want = 0;
}

/* n bytes, which are here or not.  As of recvmsg(2). */
static ssize_t take(struct handoff_peer *p, void *to, size_t n)
{
	ssize_t r;

	p->iov = (struct iovec){ .iov_base = to, .iov_len = n };
	p->rights.align = (struct cmsghdr){ 0 };
	p->msg = (struct msghdr){
		.msg_iov = &p->iov, .msg_iovlen = 1,
		.msg_control = p->rights.buf, .msg_controllen = sizeof(p->rights.buf),
		.msg_flags = UNTOUCHED,
	};
	atomic_signal_fence(memory_order_seq_cst);
	p->want = p->have + (uint32_t)n;
	atomic_signal_fence(memory_order_seq_cst);
	r = recvmsg(p->fd, &p->msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	if (r <= 0)
		p->want = 0;
	settle(p);
	return r;
}

/* What came with the byte: exactly one descriptor, and who sent it. */
struct cargo {
	int fds[2];
	size_t n;
	pid_t pid;
};

static void unpack(struct msghdr *msg, struct cargo *ret)
{
	struct ucred who;
	struct cmsghdr *c;
	size_t k;

	*ret = (struct cargo){ .n = 0 };
	for (c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_CREDENTIALS) {
			memcpy(&who, CMSG_DATA(c), sizeof(who));
			ret->pid = who.pid;
		}
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		k = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		k = k > 2 ? 2 : k;
		memcpy(ret->fds, CMSG_DATA(c), k * sizeof(int));
		ret->n = k;
	}
}

static int check_cargo(const struct handoff_peer *p, const struct cargo *c,
		       struct handoff_problem *why)
{
	if (c->n > 1 || p->msg.msg_flags & MSG_CTRUNC)
		return problem(why, -EPROTO, "more than one descriptor for a process");
	if (!c->n)
		return problem(why, -EPROTO, "no descriptor for a process");
	if (!handoff_is_userfaultfd(c->fds[0]))
		return problem(why, -EPROTO, "the descriptor of a process is no userfaultfd");
	/* Else poll(2) of it is only POLLERR. */
	if (fcntl(c->fds[0], F_SETFL, O_NONBLOCK) < 0)
		return problem(why, -EPROTO, "%s", strerror(errno));
	return 0;
}

/* The byte that carries the descriptor. */
static int read_uffd(struct handoff_peer *p, struct handoff_item *ret,
		     struct handoff_problem *why)
{
	bool fresh = p->have == sizeof(p->word);
	struct cargo c;
	ssize_t n;
	int r;

	if (fresh) {
		n = take(p, &p->byte, 1);
		if (n < 0)
			return errno == EAGAIN || errno == EINTR ? -EAGAIN :
			       problem(why, -EPROTO, "%s", strerror(errno));
		if (!n)
			return problem(why, -EPROTO, "it ended in the middle of a process");
	}
	unpack(&p->msg, &c);
	r = check_cargo(p, &c, why);
	/* What a dead process may have closed already are other ones now. */
	for (size_t i = 0; r < 0 && fresh && i < c.n; i++)
		close(c.fds[i]);
	if (r < 0)
		return r;
	ret->uffd = c.fds[0];
	ret->host_pid = c.pid;
	return 0;
}

/*
 * The word before it: 1 if it is whole, 0 if the connection ended between two items.  How
 * much is there is asked first, so that the reading gives just that.
 */
static int read_word(struct handoff_peer *p, struct handoff_problem *why)
{
	uint8_t ahead[sizeof(p->word)];
	ssize_t n;

	if (p->have >= sizeof(p->word))
		return 1;
	n = recv(p->fd, ahead, sizeof(p->word) - p->have, MSG_PEEK | MSG_DONTWAIT);
	if (n > 0)
		n = take(p, p->word + p->have, (size_t)n);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? -EAGAIN :
		       problem(why, -EPROTO, "%s", strerror(errno));
	if (!n)
		return p->have ? problem(why, -EPROTO, "it ended in the middle of a word") : 0;
	return p->have == sizeof(p->word) ? 1 : -EAGAIN;
}

int handoff_read(struct handoff_peer *p, struct handoff_item *ret,
		 struct handoff_problem *ret_why)
{
	uint32_t word;
	int32_t pid;
	int r;

	settle(p);
	r = read_word(p, ret_why);
	if (r < 0)
		return r;
	*ret = (struct handoff_item){ .kind = HANDOFF_END, .uffd = -1 };
	if (!r)
		return 0;
	memcpy(&word, p->word, sizeof(word));
	memcpy(&pid, p->word, sizeof(pid));
	if (word == RESUME_WORD) {
		ret->kind = HANDOFF_RESUME;
		return 0;
	}
	if (pid < 0 && pid != INT32_MIN) {
		ret->kind = HANDOFF_ZOMBIE;
		ret->pid = -pid;
		return 0;
	}
	if (pid <= 0)
		return problem(ret_why, -EPROTO, "a process of number %d", pid);
	ret->kind = HANDOFF_TASK;
	ret->pid = pid;
	return read_uffd(p, ret, ret_why);
}

void handoff_done(struct handoff_peer *p)
{
	p->have = 0;
}
