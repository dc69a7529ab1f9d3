/* SPDX-License-Identifier: MIT */
/*
 * Match: what a page server sends, held against what it was asked.
 *
 * Pure.  Requests go in in the order in which they were sent, bytes in the order in which
 * they came; each answer has to be the one to the oldest request.  The data goes from
 * the socket to where it was wanted: `match_room` says where the next bytes belong, and
 * `match_take` what they were.  Whatever a server sends, no byte lands anywhere
 * but in the buffer of the request at its turn, and a page counts as there only when it
 * is whole and its header named it.
 */
#ifndef RESTORE_MATCH_H
#define RESTORE_MATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "wire.h"

/* As many requests one connection has in flight at most. */
#define MATCH_MAX 512u

/* A request on its way.  The memory is the caller's, and stays while it is in flight. */
struct match_asked {
	int32_t pid;
	uint64_t vaddr;		/* of the first page */
	uint32_t npages;	/* at least 1 */
	uint8_t *data;		/* room for npages pages */
	uint32_t got;		/* what came of it: whole pages, from the first one on */
};

struct match {
	enum wire_layout layout;
	struct match_asked *ring[MATCH_MAX];
	unsigned int head, n;
	/* The header that is being read, and how much of it is here. */
	uint8_t buf[WIRE_WIDE_SIZE];
	size_t have;
	/* The data that is being read: bytes still to come, and where to. */
	uint64_t left;
	uint8_t *into;
	bool broken;
};

/* What a server did wrong; words that follow "page server ADDRESS: ". */
struct match_error {
	char words[160];
};

/* A new connection: nothing asked, nothing read. */
void match_init(struct match *m, enum wire_layout layout);
/* The request has been sent.  -EBUSY: MATCH_MAX are in flight. */
int match_ask(struct match *m, struct match_asked *asked);
/* The oldest request in flight; NULL: none. */
struct match_asked *match_oldest(const struct match *m);
/*
 * The oldest one whatever has come of it; it is not in flight any more.  For a
 * connection that has gone: only pages counted in `got` are there.  NULL: none.
 */
struct match_asked *match_drop(struct match *m);
/* Where the next bytes belong: 1 or 2 pieces, never more than may come. */
int match_room(struct match *m, struct iovec ret[2]);
/*
 * n bytes have come into what match_room said.  1 and *ret_done when the oldest request
 * has been answered (it is not in flight any more; a server may give fewer pages than it
 * was asked for, the rest is to be asked for again); 0: go on, *ret_done is NULL;
 * -EPROTO with the words: the server is wrong, nothing more that it sends may be used, and
 * *ret_done may be the last answer that was whole.  n must fit into the room.
 */
int match_take(struct match *m, size_t n, struct match_asked **ret_done,
	       struct match_error *ret_error);

#endif
