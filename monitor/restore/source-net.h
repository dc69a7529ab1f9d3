/* SPDX-License-Identifier: MIT */
/*
 * Network source: pages from a page server, pagetap's or CRIU's.
 *
 * Many requests are in flight at once, each answer is held against its request
 * (match.h), and whoever waits for a page overtakes those who only fill up: where the server
 * takes two connections, those have one of their own; where it takes only one (CRIU's),
 * what is in flight on it without haste stays small.
 *
 * When a connection is lost, or its server stalls or says something wrong, the pages that
 * were whole are kept, and the rest is asked for again over a new one, for as long as
 * it takes: meanwhile whoever waits for a page waits.  A server that was connected to
 * anew must first prove, by the identity of its image, that it has the same.
 */
#ifndef RESTORE_SOURCE_NET_H
#define RESTORE_SOURCE_NET_H

#include "link.h"
#include "source.h"
#include "wire.h"

struct tls_credentials;

enum source_net_kind {
	SOURCE_NET_LOST,	/* no connection any more; trying again */
	SOURCE_NET_BACK,	/* answers come again */
	SOURCE_NET_GAVE_UP,	/* not tried any more */
};

/* Words follow "page server ADDRESS: ".  Told by the thread that asks or reads answers. */
typedef void (*source_net_told)(void *arg, enum source_net_kind kind, const char *words);

struct source_net_options {
	const char *address;
	uint16_t port;
	enum wire_layout layout;	/* of the CRIU that wrote the image: image.wide */
	const uint8_t *identity;	/* WIRE_IDENTITY_SIZE bytes of ours; NULL: not known */
	bool proof;			/* it has to say so, else it gets no further */
	const struct tls_credentials *tls;	/* NULL: plain */
	bool tls_any_name;		/* the certificate need not be of `address` */
	uint64_t connect_ns;		/* a connection has to be there by then; 0: 10 s */
	uint64_t stall_ns;		/* a page has to come by then; 0: 10 s */
	uint64_t give_up_ns;		/* without a server; 0: never */
	source_net_told told;		/* may be NULL */
	void *arg;
};

struct source_net_problem {
	char words[200];		/* follow "page server ADDRESS: " */
};

/* How it went so far. */
struct source_net_totals {
	uint64_t pages, answers;	/* that were right */
	uint64_t again;			/* requests sent a second time */
	unsigned int lost;		/* connections */
	unsigned int connections;	/* 1 or 2, that are used */
};

/*
 * Connect, and wait for that.  0, or -errno with words: of connect(2), -ESTALE the server
 * has another image, -EPROTO it is none or its certificate is not trusted.
 */
int source_net_open(const struct source_net_options *o, struct source **ret,
		    struct source_net_problem *ret_why);
/*
 * All has come: say so to the server (CRIU's dump ends only then) and wait for its answer,
 * at most as long as connecting may take.  0, -EBUSY if demands are in flight, -errno.
 */
int source_net_finish(struct source *s);
void source_net_totals(const struct source *s, struct source_net_totals *ret);

#endif
