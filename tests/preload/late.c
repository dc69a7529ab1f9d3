/* SPDX-License-Identifier: MIT */
/*
 * Late: to be preloaded into a monitor; what the proc connector tells is heard 30 ms later,
 * as if the thread that tells it had been put aside in between.
 */
#include <netlink/errno.h>
#include <netlink/netlink.h>
#include <stdint.h>
#include <time.h>

#define LATE UINT64_C(30000000)	/* ns */

int nl_recvmsgs_default(struct nl_sock *sock)
{
	static uint64_t first;
	struct timespec ts;
	struct nl_cb *cb;
	uint64_t now;
	int r;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	now = (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
	if (!first)
		first = now;
	if (now - first < LATE)
		return -NLE_AGAIN;
	cb = nl_socket_get_cb(sock);
	r = nl_recvmsgs(sock, cb);
	nl_cb_put(cb);
	if (r < 0)
		first = 0;
	return r;
}
