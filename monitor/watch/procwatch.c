/* SPDX-License-Identifier: MIT */
/* Procwatch: the proc connector through libnl.  See procwatch.h. */

#include "watch/procwatch.h"

#include <errno.h>
#include <linux/cn_proc.h>
#include <linux/connector.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define RECEIVE_BUFFER (32 << 20)
/* In one reading; with so many of them nobody is the wiser for the next. */
#define OVERRUNS_MAX 16

struct procwatch {
	struct nl_sock *sock;
	void (*on)(void *arg, const struct procwatch_event *ev);
	void *arg;
};

/* struct proc_input of Linux 6.6 and later, whose header Debian 12 does not have. */
struct wish {
	uint32_t op, events;
};

/*
 * A wish as it travels: connector header, then the operation alone, or with the
 * events wanted.  Kernels before 6.6 ignore a wish of the longer form.
 */
static int subscribe(struct nl_sock *sock, struct wish wish)
{
	uint16_t len = wish.events ? sizeof(wish) : sizeof(wish.op);
	struct cn_msg head = { .id = { CN_IDX_PROC, CN_VAL_PROC }, .len = len };
	struct nl_msg *msg = nlmsg_alloc_simple(NLMSG_DONE, 0);
	int r;

	if (!msg)
		return -ENOMEM;
	r = nlmsg_append(msg, &head, sizeof(head), 0);
	if (!r)
		r = nlmsg_append(msg, &wish, len, NLMSG_ALIGNTO);
	if (!r)
		r = nl_send_auto(sock, msg);
	nlmsg_free(msg);
	return r < 0 ? -EPROTONOSUPPORT : 0;
}

/*
 * The plain form first: it is what every kernel knows.  Where the other is known
 * too, it spares us uid, session, name, trace and dump events.
 */
static int subscribe_wanted(struct nl_sock *sock)
{
	int r = subscribe(sock, (struct wish){ .op = PROC_CN_MCAST_LISTEN });

	if (r < 0)
		return r;
	return subscribe(sock, (struct wish){
		.op = PROC_CN_MCAST_LISTEN,
		.events = PROC_EVENT_FORK | PROC_EVENT_EXEC | (uint32_t)PROC_EVENT_EXIT,
	});
}

/* Their inode numbers are fixed: PROC_PID_INIT_INO and PROC_USER_INIT_INO. */
static bool in_initial_namespaces(void)
{
	struct stat pid, user;

	return !stat("/proc/self/ns/pid", &pid) && !stat("/proc/self/ns/user", &user) &&
	       pid.st_ino == 0xeffffffc && user.st_ino == 0xeffffffd;
}

static bool translate(const struct proc_event *e, struct procwatch_event *ret)
{
	*ret = (struct procwatch_event){ .ts = e->timestamp_ns };
	switch (e->what) {
	case PROC_EVENT_FORK:
		ret->tid = e->event_data.fork.parent_pid;
		ret->tgid = e->event_data.fork.parent_tgid;
		ret->child_tid = e->event_data.fork.child_pid;
		ret->child_tgid = e->event_data.fork.child_tgid;
		ret->kind = PROCWATCH_FORK;
		if (ret->child_tid == ret->child_tgid)
			return true;
		/* A thread's "parent" is that of its group: not who made it. */
		ret->kind = PROCWATCH_THREAD;
		ret->tid = ret->child_tid;
		ret->tgid = ret->child_tgid;
		return true;
	case PROC_EVENT_EXEC:
		ret->kind = PROCWATCH_EXEC;
		ret->tid = e->event_data.exec.process_pid;
		ret->tgid = e->event_data.exec.process_tgid;
		return true;
	case PROC_EVENT_EXIT:
		/* One per thread; the leader's carries the status of the group. */
		if (e->event_data.exit.process_pid != e->event_data.exit.process_tgid)
			return false;
		ret->kind = PROCWATCH_EXIT;
		ret->tid = e->event_data.exit.process_pid;
		ret->tgid = e->event_data.exit.process_tgid;
		ret->exit_code = e->event_data.exit.exit_code;
		return true;
	default:
		return false;
	}
}

/* Connector messages have the type NLMSG_DONE, so libnl calls this one for them. */
static int on_message(struct nl_msg *msg, void *arg)
{
	const struct nlmsghdr *h = nlmsg_hdr(msg);
	const struct cn_msg *cn = nlmsg_data(h);
	struct procwatch *p = arg;
	struct procwatch_event ev;
	struct proc_event e;

	if (nlmsg_datalen(h) < (int)(sizeof(*cn) + offsetof(struct proc_event, event_data)) ||
	    cn->id.idx != CN_IDX_PROC || cn->id.val != CN_VAL_PROC)
		return NL_OK;
	memset(&e, 0, sizeof(e));
	memcpy(&e, cn->data, cn->len < sizeof(e) ? cn->len : sizeof(e));
	if (p->on && translate(&e, &ev))
		p->on(p->arg, &ev);
	return NL_OK;
}

static void enlarge_buffer(struct nl_sock *sock)
{
	int size = RECEIVE_BUFFER;

	if (setsockopt(nl_socket_get_fd(sock), SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)))
		nl_socket_set_buffer_size(sock, size, 0);
}

int procwatch_open(struct procwatch **ret)
{
	struct procwatch *p;
	int r;

	/* cn_proc_mcast_ctl() drops a wish from elsewhere without a word. */
	if (!in_initial_namespaces())
		return -EPERM;
	p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	p->sock = nl_socket_alloc();
	if (!p->sock) {
		free(p);
		return -ENOMEM;
	}
	nl_socket_disable_seq_check(p->sock);
	nl_socket_disable_auto_ack(p->sock);
	nl_socket_modify_cb(p->sock, NL_CB_FINISH, NL_CB_CUSTOM, on_message, p);
	nl_socket_modify_cb(p->sock, NL_CB_VALID, NL_CB_CUSTOM, on_message, p);
	nl_join_groups(p->sock, CN_IDX_PROC);
	r = nl_connect(p->sock, NETLINK_CONNECTOR);
	if (r < 0)
		r = r == -NLE_PERM || r == -NLE_NOACCESS ? -EPERM : -EPROTONOSUPPORT;
	if (!r && nl_socket_set_nonblocking(p->sock) < 0)
		r = -EPROTONOSUPPORT;
	if (!r) {
		enlarge_buffer(p->sock);
		r = subscribe_wanted(p->sock);
	}
	if (r < 0) {
		nl_socket_free(p->sock);
		free(p);
		return r;
	}
	*ret = p;
	return 0;
}

int procwatch_fd(const struct procwatch *p)
{
	return nl_socket_get_fd(p->sock);
}

int procwatch_read(struct procwatch *p, void (*on)(void *arg, const struct procwatch_event *ev),
		   void *arg)
{
	int r, overruns = 0;

	p->on = on;
	p->arg = arg;
	/*
	 * ENOBUFS comes out of libnl as "Out of memory", and means an overrun; or it is
	 * out of memory, and then the next try would be no better, nor ever end.
	 */
	do {
		r = nl_recvmsgs_default(p->sock);
		overruns += r == -NLE_NOMEM;
	} while (r >= 0 || (r == -NLE_NOMEM && overruns < OVERRUNS_MAX));
	p->on = NULL;
	return overruns ? -ENOBUFS : 0;
}

struct procwatch *procwatch_close(struct procwatch *p)
{
	if (!p)
		return NULL;
	subscribe(p->sock, (struct wish){ .op = PROC_CN_MCAST_IGNORE });
	nl_socket_free(p->sock);
	free(p);
	return NULL;
}
