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

#define RECEIVE_BUFFER (4 << 20)

struct procwatch {
	struct nl_sock *sock;
	void (*on)(void *arg, const struct procwatch_event *ev);
	void *arg;
};

/* The words of a subscription as they travel: connector header, then the wish. */
static int subscribe(struct nl_sock *sock, enum proc_cn_mcast_op op)
{
	struct cn_msg head = { .id = { CN_IDX_PROC, CN_VAL_PROC }, .len = sizeof(op) };
	struct nl_msg *msg = nlmsg_alloc_simple(NLMSG_DONE, 0);
	int r;

	if (!msg)
		return -ENOMEM;
	r = nlmsg_append(msg, &head, sizeof(head), 0);
	if (!r)
		r = nlmsg_append(msg, &op, sizeof(op), NLMSG_ALIGNTO);
	if (!r)
		r = nl_send_auto(sock, msg);
	nlmsg_free(msg);
	return r < 0 ? -EPROTONOSUPPORT : 0;
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
	struct procwatch *p = calloc(1, sizeof(*p));
	int r = 0;

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
	if (nl_connect(p->sock, NETLINK_CONNECTOR) < 0)
		r = -EPROTONOSUPPORT;
	if (!r && nl_socket_set_nonblocking(p->sock) < 0)
		r = -EPROTONOSUPPORT;
	if (!r) {
		enlarge_buffer(p->sock);
		r = subscribe(p->sock, PROC_CN_MCAST_LISTEN);
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
	int r, lost = 0;

	p->on = on;
	p->arg = arg;
	for (;;) {
		r = nl_recvmsgs_default(p->sock);
		/* ENOBUFS comes out of libnl as "Out of memory", and means an overrun. */
		if (r == -NLE_NOMEM)
			lost = -ENOBUFS;
		else if (r < 0)
			break;
	}
	p->on = NULL;
	return lost;
}

struct procwatch *procwatch_close(struct procwatch *p)
{
	if (!p)
		return NULL;
	subscribe(p->sock, PROC_CN_MCAST_IGNORE);
	nl_socket_free(p->sock);
	free(p);
	return NULL;
}
