/* SPDX-License-Identifier: MIT */
/* Event: what a userfaultfd says, decoded.  See event.h. */

#include "watch/event.h"

#include <errno.h>
#include <string.h>

#include "compat/uffd.h"

static_assert(EVENT_SIZE == sizeof(struct uffd_msg), "kernel ABI");

static int decode_fault(const struct uffd_msg *msg, struct event *ret)
{
	uint64_t flags = msg->arg.pagefault.flags;

	ret->kind = EVENT_FAULT;
	ret->fault.addr = msg->arg.pagefault.address;
	ret->fault.ptid = msg->arg.pagefault.feat.ptid;
	ret->fault.write = flags & UFFD_PAGEFAULT_FLAG_WRITE;
	ret->fault.wp = flags & UFFD_PAGEFAULT_FLAG_WP;
	ret->fault.minor = flags & UFFD_PAGEFAULT_FLAG_MINOR;
	return 0;
}

static int decode_remap(const struct uffd_msg *msg, struct event *ret)
{
	struct range to;

	ret->kind = EVENT_REMAP;
	ret->remap.to = msg->arg.remap.to;
	if (!range_make(msg->arg.remap.from, msg->arg.remap.len, &ret->remap.from) ||
	    !range_make(msg->arg.remap.to, msg->arg.remap.len, &to))
		return -EBADMSG;
	return 0;
}

int event_decode(const void *buf, size_t len, struct event *ret)
{
	struct uffd_msg msg;

	if (len != sizeof(msg))
		return -EBADMSG;
	memcpy(&msg, buf, sizeof(msg));
	*ret = (struct event){ 0 };
	switch (msg.event) {
	case UFFD_EVENT_PAGEFAULT:
		return decode_fault(&msg, ret);
	case UFFD_EVENT_FORK:
		ret->kind = EVENT_FORK;
		ret->fork.fd = (int)msg.arg.fork.ufd;
		return 0;
	case UFFD_EVENT_REMAP:
		return decode_remap(&msg, ret);
	case UFFD_EVENT_REMOVE:
	case UFFD_EVENT_UNMAP:
		ret->kind = msg.event == UFFD_EVENT_REMOVE ? EVENT_REMOVE : EVENT_UNMAP;
		ret->span = (struct range){ msg.arg.remove.start, msg.arg.remove.end };
		return ret->span.lo > ret->span.hi ? -EBADMSG : 0;
	}
	return -EBADMSG;
}
