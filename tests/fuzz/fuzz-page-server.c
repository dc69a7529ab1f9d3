/* SPDX-License-Identifier: MIT */
/*
 * Fuzz: a client of the page server that may send anything.
 *
 * The input is the whole of what it sends, and it reads nothing.  Whatever that is, the
 * connection ends, nothing but what the shelf has is looked up, and no more pages are
 * given than were asked for.
 */

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "restore/page-server-parts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PAGES 64u

static bool find(void *arg, int32_t pid, uint64_t vaddr, struct shelf_run *ret)
{
	uint64_t page = vaddr / WIRE_PAGE;

	(void)arg;
	if (vaddr % WIRE_PAGE)
		abort();
	/* In runs of eight; those from 40 to 47 are not there. */
	if (pid <= 0 || pid > 3 || page >= PAGES || page / 8 == 5)
		return false;
	*ret = (struct shelf_run){ .fd = -1, .npages = 8 - page % 8 };
	return true;
}

static bool task(void *arg, int32_t pid, bool parent)
{
	(void)arg;
	return pid == 1 && parent;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct page_server_options o = { .shelf = { .find = find, .task = task } };
	struct client c = { .o = &o, .link = LINK_NULL };
	int sv[2];

	if (size > 4096 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sv))
		return 0;
	if (write(sv[1], data, size) != (ssize_t)size || shutdown(sv[1], SHUT_WR))
		abort();
	c.link.fd = sv[0];
	client_serve(&c);
	if (c.at > c.have || c.have > sizeof(c.buf) || c.pages > c.requests * PAGES || c.copy)
		abort();
	close(sv[0]);
	close(sv[1]);
	return 0;
}
