/* SPDX-License-Identifier: MIT */
/* Handover: the unix socket between a stopped thread and us. */

#include "handover.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "compat/sys.h"
#include "compat/uffd.h"
#include "failure.h"
#include "net.h"
#include "parcel.h"
#include "procfile.h"
#include "remote.h"

#define UFFD_FLAGS (O_CLOEXEC | O_NONBLOCK)
#define SOCKET_TYPE (SOCK_SEQPACKET | SOCK_CLOEXEC)

/* What failed in the target, with a reason where there is one to act on. */
static int fail_call(struct visit *v, const char *call, int error)
{
	enum pagetap_phase phase = (enum pagetap_phase)v->progress->phase;

	if (error == EMFILE) {
		failure_set(v->failure, phase, PAGETAP_REASON_FD_LIMIT, error,
			    "it has no free descriptor (%s in the target: EMFILE)", call);
		failure_hint(v->failure, "it needs four for a moment; raise its limit with "
					 "prlimit --pid PID --nofile=SOFT:HARD");
		return -error;
	}
	if (phase == PAGETAP_PHASE_OPEN && (error == EPERM || error == EACCES)) {
		failure_set(v->failure, phase, PAGETAP_REASON_UFFD_FORBIDDEN, error,
			    "it may not create a userfaultfd (%s in the target: %s)", call,
			    strerrorname_np(error));
		failure_hint(v->failure, "run as root (uses /dev/userfaultfd; a container wants "
					 "--device /dev/userfaultfd), or sudo sysctl "
					 "vm.unprivileged_userfaultfd=1");
		return -error;
	}
	if (phase == PAGETAP_PHASE_OPEN && error == ENOSYS)
		return failure_set(v->failure, phase, PAGETAP_REASON_NO_UFFD, error,
				   "this kernel has no userfaultfd (ENOSYS)");
	return failure_set(v->failure, phase, PAGETAP_REASON_NONE, error, "%s in the target: %s",
			   call, strerrorname_np(error));
}

static int fail_here(struct visit *v, const char *call, int error)
{
	return failure_set(v->failure, (enum pagetap_phase)v->progress->phase,
			   PAGETAP_REASON_NONE, error, "%s: %s", call, strerrorname_np(error));
}

/* Random, so that nobody can be listening there already. */
static int listen_abstract(struct handover *h)
{
	static const char digits[] = "0123456789abcdef";
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	unsigned char random[16];

	if (syscall(SYS_getrandom, random, sizeof(random), 0) != sizeof(random))
		return -errno;
	memcpy(h->name, "pagetap", 7);
	for (size_t i = 0; i < sizeof(random); i++) {
		h->name[7 + 2 * i] = digits[random[i] >> 4];
		h->name[8 + 2 * i] = digits[random[i] & 15];
	}
	memcpy(to.sun_path + 1, h->name, 39);
	h->listener = socket(AF_UNIX, SOCKET_TYPE | SOCK_NONBLOCK, 0);
	if (h->listener < 0)
		return -errno;
	if (bind(h->listener, (struct sockaddr *)&to,
		 (socklen_t)offsetof(struct sockaddr_un, sun_path) + 1 + 39) < 0 ||
	    listen(h->listener, 1) < 0)
		return -errno;
	return 0;
}

static bool has_thread_pidfd(void)
{
	_close_ int fd = sys_pidfd_open(getpid(), PIDFD_THREAD);

	return fd >= 0;
}

int handover_prepare(struct handover *h, struct pagetap_failure *failure, unsigned int flags,
		     bool lend, bool headless)
{
	int r = 0;

	*h = (struct handover)HANDOVER_NULL;
	h->lend = lend;
	/* EBADF: the call is there and allowed to us; ENOSYS before 5.6, EPERM in a box. */
	h->abstract = (flags & PAGETAP_NO_PIDFD_GETFD) || sys_pidfd_getfd(-1, -1) != -EBADF ||
		      (headless && !has_thread_pidfd());
	if (!(flags & PAGETAP_NO_DEVICE))
		h->device = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);
	if (h->device < 0)
		h->lend = false;
	if (h->abstract)
		r = listen_abstract(h);
	if (r < 0)
		return failure_set(failure, PAGETAP_PHASE_SOCKET, PAGETAP_REASON_NONE, -r,
				   "listening on a unix socket: %s", strerrorname_np(-r));
	return 0;
}

static void pair_came(struct visit *v, bool made, int64_t result)
{
	int pair[2] = { -1, -1 };

	if (made && !result && memory_read(&v->memory, net_holds(v, HANDOVER_NEAR), pair,
					   sizeof(pair)) < 0)
		pair[0] = pair[1] = -1;
	net_hold(v, HANDOVER_NEAR, pair[0]);
	net_hold(v, HANDOVER_FAR, pair[1]);
}

static void socket_came(struct visit *v, bool made, int64_t result)
{
	net_hold(v, HANDOVER_FAR, made && result >= 0 ? (int)result : -1);
}

static void device_came(struct visit *v, bool made, int64_t result)
{
	struct parcel p;
	int fd;

	if (made && result >= 0 && !memory_read(&v->memory, v->scratch.at, &p, sizeof(p)) &&
	    !parcel_arrived(&p, &fd))
		net_hold(v, HANDOVER_DEVICE, fd);
	net_watch(v, HANDOVER_DEVICE, 0);
}

static void uffd_came(struct visit *v, bool made, int64_t result)
{
	net_hold(v, HANDOVER_UFFD, made && result >= 0 ? (int)result : -1);
}

/* The kernel writes both numbers where the net reads them, before they are in use. */
static int make_pair(struct visit *v)
{
	uint64_t at = net_holds(v, HANDOVER_NEAR);
	int pair[2], r;
	long result;

	v->outcome = pair_came;
	r = remote_call(v, &result, SYS_socketpair, AF_UNIX, SOCKET_TYPE, 0, at, 0, 0);
	if (r < 0)
		return r;
	if (result < 0) {
		r = net_hold(v, HANDOVER_NEAR, -1);
		if (!r)
			r = net_hold(v, HANDOVER_FAR, -1);
		return r < 0 ? r : fail_call(v, "socketpair", (int)-result);
	}
	r = memory_read(&v->memory, at, pair, sizeof(pair));
	if (!r)
		r = net_hold(v, HANDOVER_NEAR, pair[0]);
	if (!r)
		r = net_hold(v, HANDOVER_FAR, pair[1]);
	return r;
}

/*
 * Is this end of ours?  Another thread may have put something else under the number,
 * and a stranger may have connected to the abstract socket.
 */
static int check_socket(const struct handover *h, struct visit *v, pid_t pid)
{
	socklen_t size = sizeof(int), len = sizeof(struct ucred);
	struct ucred peer = { 0 };
	int type = 0;

	if (getsockopt(h->socket, SOL_SOCKET, SO_TYPE, &type, &size) < 0 ||
	    getsockopt(h->socket, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
		return fail_here(v, "what was taken is no unix socket", errno);
	if (type != SOCK_SEQPACKET || peer.pid != pid)
		return fail_here(v, "the socket is not the target's", EACCES);
	return 0;
}

static int grab(const struct handover *h, struct visit *v, enum handover_slot slot)
{
	_close_ int thread = -1;
	int fd;

	fd = sys_pidfd_getfd(h->pidfd, v->fds[slot]);
	if (fd == -ESRCH) {
		/* The first thread has ended, and with it its use of the table. */
		thread = sys_pidfd_open(v->tracee.tid, PIDFD_THREAD);
		fd = sys_pidfd_getfd(thread, v->fds[slot]);
	}
	return fd < 0 ? fail_here(v, "pidfd_getfd", -fd) : fd;
}

static int grab_end(struct handover *h, struct visit *v, pid_t pid)
{
	struct stat st;
	int fd;

	fd = grab(h, v, HANDOVER_NEAR);
	if (fd < 0)
		return fd;
	h->socket = fd;
	/* Not kept: our end hangs up only when the last copy of the other is closed. */
	fd = grab(h, v, HANDOVER_FAR);
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) == 0)
		h->far = st.st_ino;
	close(fd);
	return check_socket(h, v, pid);
}

static int make_abstract(struct handover *h, struct visit *v)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	socklen_t len = (socklen_t)offsetof(struct sockaddr_un, sun_path) + 1 + 39;
	long result;
	int r;

	v->outcome = socket_came;
	r = remote_call_open(v, &result, SYS_socket, AF_UNIX, SOCKET_TYPE | SOCK_NONBLOCK, 0);
	if (r < 0)
		return r;
	if (result < 0)
		return fail_call(v, "socket", (int)-result);
	r = net_hold(v, HANDOVER_FAR, (int)result);
	memcpy(to.sun_path + 1, h->name, 39);
	if (!r)
		r = memory_write(&v->memory, v->scratch.at, &to, sizeof(to));
	if (!r)
		r = remote_call(v, &result, SYS_connect, (uint64_t)v->fds[HANDOVER_FAR],
				v->scratch.at, len, 0, 0, 0);
	if (r < 0)
		return r;
	return result < 0 ? fail_call(v, "connect", (int)-result) : 0;
}

static int accept_abstract(struct handover *h, struct visit *v, pid_t pid)
{
	/* Connected already, and the listener does not block. */
	h->socket = accept4(h->listener, NULL, NULL, SOCK_CLOEXEC);
	if (h->socket < 0)
		return fail_here(v, "accept", errno);
	return check_socket(h, v, pid);
}

/*
 * Without a socket: nothing has to go in, what comes out can be taken, nobody can have
 * copied it, and the net closes what it has not been told of.
 */
static bool needs_none(const struct handover *h, const struct visit *v)
{
	return v->alone && !h->abstract && !h->lend && (!v->has_net || v->net.sp_result);
}

/* The phases are passed in any case, so that a test that fails in each finds each. */
static int connect_both(struct handover *h, struct visit *v, pid_t pid)
{
	bool none = needs_none(h, v);
	int r = progress_enter(v->progress, PAGETAP_PHASE_SOCKET);

	if (!r && !none)
		r = h->abstract ? make_abstract(h, v) : make_pair(v);
	if (!r)
		r = progress_enter(v->progress, PAGETAP_PHASE_GRAB);
	if (!r && !none)
		r = h->abstract ? accept_abstract(h, v, pid) : grab_end(h, v, pid);
	return r;
}

static int lend_device(struct handover *h, struct visit *v)
{
	struct parcel p;
	long result;
	int fd, r;

	r = progress_enter(v->progress, PAGETAP_PHASE_LEND);
	if (!r)
		r = parcel_send(h->socket, h->device);
	if (r < 0)
		return fail_here(v, "sending /dev/userfaultfd", -r);
	parcel_lay_out(&p, v->scratch.at, -1);
	r = memory_write(&v->memory, v->scratch.at, &p, sizeof(p));
	if (!r)
		r = net_watch(v, HANDOVER_DEVICE, v->scratch.at + parcel_fd_at);
	v->outcome = device_came;
	if (!r)
		r = remote_call(v, &result, SYS_recvmsg, (uint64_t)v->fds[HANDOVER_FAR],
				v->scratch.at, MSG_DONTWAIT | MSG_CMSG_CLOEXEC, 0, 0, 0);
	if (r < 0)
		return r;
	if (result < 0)
		return fail_call(v, "recvmsg", (int)-result);
	r = memory_read(&v->memory, v->scratch.at, &p, sizeof(p));
	if (!r)
		r = parcel_arrived(&p, &fd);
	/* The kernel cuts the message short when there is no free descriptor. */
	if (r == -EMSGSIZE)
		return fail_call(v, "recvmsg", EMFILE);
	if (r < 0)
		return fail_call(v, "recvmsg", -r);
	h->lent = true;
	r = net_hold(v, HANDOVER_DEVICE, fd);
	return r < 0 ? r : net_watch(v, HANDOVER_DEVICE, 0);
}

/*
 * The near end has been grabbed, the target's own is not needed any more.  With nobody else
 * in this table the lowest free number is the next to be given out: so a net that cannot
 * close the result of a call closes the userfaultfd before we have seen its number.
 */
static int drop_near(struct visit *v)
{
	int fd = v->fds[HANDOVER_NEAR], r;

	if (fd < 0 || !v->alone || !v->has_net || v->net.sp_result)
		return 0;
	r = remote_close(v, HANDOVER_NEAR);
	if (!r)
		r = net_hold(v, HANDOVER_UFFD, fd);
	return r;
}

static int open_uffd(struct handover *h, struct visit *v)
{
	uint64_t flags = UFFD_FLAGS;
	long result;
	int r;

	if (v->flags & PAGETAP_USER_MODE_ONLY)
		flags |= UFFD_USER_MODE_ONLY;
	v->outcome = uffd_came;
	if (h->lent)
		r = remote_call_open(v, &result, SYS_ioctl, (uint64_t)v->fds[HANDOVER_DEVICE],
				     USERFAULTFD_IOC_NEW, flags);
	else
		r = remote_call_open(v, &result, SYS_userfaultfd, flags, 0, 0);
	if (r < 0)
		return r;
	if (result >= 0 && needs_none(h, v)) {
		/* The net closes the result still, and then our next call, which closes it. */
		v->fds[HANDOVER_UFFD] = (int)result;
		return 0;
	}
	if (result >= 0)
		return net_hold(v, HANDOVER_UFFD, (int)result);
	r = net_hold(v, HANDOVER_UFFD, -1);
	return r < 0 ? r : (int)result;
}

static int get_uffd(struct handover *h, struct visit *v, pid_t pid)
{
	int r = connect_both(h, v, pid);

	if (!r && h->lend)
		r = lend_device(h, v);
	if (!r)
		r = progress_enter(v->progress, PAGETAP_PHASE_OPEN);
	if (!r)
		r = drop_near(v);
	if (!r)
		r = open_uffd(h, v);
	if (r == -EPERM && !h->lent && h->device >= 0) {
		h->lend = true;
		r = h->socket < 0 ? connect_both(h, v, pid) : 0;
		if (!r)
			r = lend_device(h, v);
		if (!r)
			r = progress_enter(v->progress, PAGETAP_PHASE_OPEN);
		if (!r)
			r = open_uffd(h, v);
	}
	if (r < 0 && r != -ESRCH && !v->failure->error && v->tracee.stopped)
		fail_call(v, h->lent ? "ioctl(USERFAULTFD_IOC_NEW)" : "userfaultfd", -r);
	return r;
}

/* As a message, where it cannot be taken. */
static int have_it_sent(struct handover *h, struct visit *v)
{
	struct parcel p;
	long result;
	int r;

	parcel_lay_out(&p, v->scratch.at, v->fds[HANDOVER_UFFD]);
	r = memory_write(&v->memory, v->scratch.at, &p, sizeof(p));
	if (!r)
		r = remote_call(v, &result, SYS_sendmsg, (uint64_t)v->fds[HANDOVER_FAR],
				v->scratch.at, MSG_DONTWAIT | MSG_NOSIGNAL, 0, 0, 0);
	if (r < 0)
		return r;
	if (result < 0)
		return fail_call(v, "sendmsg", (int)-result);
	r = parcel_receive(h->socket, &h->uffd);
	return r < 0 ? fail_here(v, "receiving the userfaultfd", -r) : 0;
}

static int take_uffd(struct handover *h, struct visit *v)
{
	int r = progress_enter(v->progress, PAGETAP_PHASE_RETURN);

	if (!r && h->abstract)
		r = have_it_sent(h, v);
	else if (!r)
		r = h->uffd = grab(h, v, HANDOVER_UFFD);
	return r < 0 ? r : 0;
}

/* The far end last: while it is open a fork copies it too, and that is what shows. */
static int close_theirs(struct visit *v)
{
	static const enum handover_slot order[] = { HANDOVER_NEAR, HANDOVER_DEVICE, HANDOVER_UFFD,
						    HANDOVER_FAR };
	int fault = progress_enter(v->progress, PAGETAP_PHASE_CLOSE);
	int first = remote_close_range(v);

	/* One that has not come back from a call can make no other: visit_close() goes on. */
	for (int i = 0; i < ARCH_NET_FDS && (v->tracee.stopped || !first); i++) {
		int r = remote_close(v, order[i]);

		first = first ? first : r;
	}
	return first ? first : fault;
}

int handover_run(struct handover *h, struct visit *v, pid_t pid, int pidfd)
{
	int r;

	h->pidfd = pidfd;
	r = get_uffd(h, v, pid);
	if (!r)
		r = take_uffd(h, v);
	if (!r)
		r = close_theirs(v);
	if (r < 0)
		close_fd(&h->uffd);
	return r;
}

int handover_check(const struct handover *h, struct pagetap_failure *failure)
{
	char path[32] = "/proc/self/fd/", link[64];
	size_t n = strlen(path);
	char digits[12];
	int i = 0;

	for (int v = h->uffd; v || !i; v /= 10)
		digits[i++] = (char)('0' + v % 10);
	while (i)
		path[n++] = digits[--i];
	path[n] = '\0';
	if (procfile_link(AT_FDCWD, path, link, sizeof(link)) > 0 &&
	    !strcmp(link, "anon_inode:[userfaultfd]"))
		return 0;
	return failure_set(failure, PAGETAP_PHASE_RETURN, PAGETAP_REASON_NONE, EBADF,
			   "what came back is no userfaultfd");
}

void handover_done(struct handover *h)
{
	close_fd(&h->device);
	close_fd(&h->listener);
	close_fd(&h->socket);
}
