/* SPDX-License-Identifier: MIT */
/*
 * Page server: gives the pages of one checkpoint to lazy restores, as many as come.
 *
 * A thread for each connection: a client that reads slowly, or a page that comes
 * from a slow disk, holds nobody else.  Header layouts are recognised by connection.  Speaks
 * to nobody: what people should know comes as events.
 */
#ifndef RESTORE_PAGE_SERVER_H
#define RESTORE_PAGE_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "link.h"
#include "wire.h"

/* In the place of a descriptor: shelf.fetch() brings them. */
#define SHELF_FETCHED (-2)

/* Where pages lie: so many in a row. */
struct shelf_run {
	int fd;			/* of a pages file; -1: they are zeroes; SHELF_FETCHED */
	uint32_t file;		/* of SHELF_FETCHED: the shelf's own number for it */
	uint64_t offset;
	uint64_t npages;
};

/* What is given away.  Called by several threads at once; answers never change. */
struct shelf {
	void *arg;
	/* The run that begins at this address of the image; false: it holds no such page. */
	bool (*find)(void *arg, int32_t pid, uint64_t vaddr, struct shelf_run *ret);
	/* Has this task a pagemap, in the image or (parent) in the one before it? */
	bool (*task)(void *arg, int32_t pid, bool parent);
	/*
	 * Bytes of a run that is SHELF_FETCHED, from `skip` on: may take as long as it takes.
	 * 0 or -errno.  NULL: no run is.
	 */
	int (*fetch)(void *arg, const struct shelf_run *run, uint64_t skip, void *to, size_t len);
	/* Whoever fetches is to give up, now and ever after; may be NULL. */
	void (*stop)(void *arg);
	uint8_t identity[WIRE_IDENTITY_SIZE];
};

struct tls_credentials;

struct page_server_options {
	struct shelf shelf;
	const struct tls_credentials *tls;	/* NULL: plain */
	unsigned int clients_max;	/* connections at the same time */
};

enum page_server_kind {
	PAGE_SERVER_CAME,	/* a connection */
	PAGE_SERVER_WENT,	/* it ended as it should */
	PAGE_SERVER_BROKE,	/* it ended otherwise: words */
	PAGE_SERVER_REFUSED,	/* too many, or no memory for one more: words */
};

struct page_server_event {
	enum page_server_kind kind;
	const char *peer;
	const char *words;
	uint64_t requests, pages;	/* that were answered, given */
};

struct page_server_totals {
	uint64_t clients;		/* connections ever */
	uint64_t requests, pages;	/* of those that have ended */
	unsigned int now;		/* connections at the moment */
};

typedef void (*page_server_told)(void *arg, const struct page_server_event *ev);

struct page_server;

/*
 * listener: a listening, non-blocking socket, which stays the caller's, and must be open
 * until page_server_free().  SIGPIPE is blocked by the caller.  0 or -errno.
 */
int page_server_new(const struct page_server_options *o, int listener, struct page_server **ret);
/* Readable when page_server_turn() has something to do. */
int page_server_fd(const struct page_server *s);
/*
 * Take new connections, tell what has ended.  0, or -errno if no more connections can be
 * taken at all.
 */
int page_server_turn(struct page_server *s, page_server_told told, void *arg);
/* Cuts every connection off and waits for its thread; takes no more. */
void page_server_cut(struct page_server *s, page_server_told told, void *arg);
void page_server_totals(const struct page_server *s, struct page_server_totals *ret);
/* Cuts off what has not been.  NULL is fine. */
void page_server_free(struct page_server *s);

#endif
