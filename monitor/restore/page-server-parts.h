/* SPDX-License-Identifier: MIT */
/* Page server, the parts: what its files share.  Not for others. */
#ifndef RESTORE_PAGE_SERVER_PARTS_H
#define RESTORE_PAGE_SERVER_PARTS_H

#include <stdatomic.h>

#include "page-server.h"

/* Requests that came with one read. */
#define CLIENT_BUFFER 4096u

/* One connection, its thread's own but for what is said to be shared. */
struct client {
	const struct page_server_options *o;
	struct link link;
	enum wire_layout layout;
	uint8_t buf[CLIENT_BUFFER];
	size_t at, have;	/* what of buf has not been looked at */
	uint8_t *copy;		/* room for small answers */
	uint8_t *fetched;	/* room for what has to be fetched */
	uint64_t requests, pages;
	int err;		/* 0: it ended as it should */
	char words[160];
};

/* Serve one connection to its end; what came of it stays in c->err and c->words. */
void client_serve(struct client *c);

#endif
