/* SPDX-License-Identifier: MIT */
/* Network source, the parts: what its files share.  Not for others. */
#ifndef RESTORE_SOURCE_NET_PARTS_H
#define RESTORE_SOURCE_NET_PARTS_H

#include <stdatomic.h>
#include <sys/queue.h>

#include "match.h"
#include "source-net.h"

/* Demands that are known at once: with little data, and with as much as one may have. */
#define NET_SMALL 192
#define NET_LARGE 48
#define NET_SLOTS (NET_SMALL + NET_LARGE)
#define NET_SMALL_PAGES 16u

enum slot_state {
	SLOT_FREE,
	SLOT_WAITING,	/* in a queue */
	SLOT_FLYING,	/* in the match of a lane */
	SLOT_GIVEN,	/* its answer has been handed over, its data is in use */
};

/* One demand. */
struct net_slot {
	TAILQ_ENTRY(net_slot) queue;
	struct match_asked asked;	/* the part that is in flight */
	/* GIVEN becomes FREE in any thread, all else happens in that of the source. */
	_Atomic enum slot_state state;
	_Atomic uint64_t id;
	bool urgent;
	uint64_t vaddr;
	int32_t pid;
	uint32_t npages, have;		/* have: that have come */
	uint8_t *data;
	uint32_t room;			/* pages */
};
TAILQ_HEAD(slot_queue, net_slot);

enum lane_state {
	LANE_OFF,		/* not used */
	LANE_RESTING,		/* until its deadline, then connects */
	LANE_CONNECTING,
	LANE_SHAKING,		/* TLS */
	LANE_ASKING,		/* for the identity of the image */
	LANE_UP,
};

/* One connection. */
struct net_lane {
	struct source_net *net;
	unsigned int index;
	enum lane_state state;
	struct link link;
	const struct addrinfo *to;
	struct match match;
	uint64_t flying;	/* pages of those without haste */
	uint8_t out[4096];	/* requests not yet sent */
	size_t out_n;
	uint8_t in[WIRE_WIDE_SIZE + WIRE_IDENTITY_SIZE];	/* identity, as it comes */
	size_t in_n;
	uint64_t deadline;	/* 0: none */
	uint64_t rest;		/* how long the next time */
	uint32_t events;	/* what the epoll set has of it */
	bool leftover;		/* TLS has bytes that no poll tells of */
	int err;		/* of the last failure */
};

struct source_net {
	struct source base;
	struct source_net_options o;
	struct addrinfo *addresses;
	char *address;
	struct net_lane lane[2];
	int epoll, timer;
	uint64_t timer_at;
	struct net_slot slot[NET_SLOTS];
	struct slot_queue urgent, rest;
	uint64_t flying;		/* demands not answered */
	bool identified;		/* identity is set */
	uint8_t identity[WIRE_IDENTITY_SIZE];
	bool opening;			/* nobody is told, nothing tried again */
	bool busy;			/* answers are being handed over */
	bool gave_up;
	bool down_told;
	uint64_t down_since;		/* 0: a connection is there */
	struct source_net_totals totals;
	struct source_net_problem why;	/* of the last failure */
};

/* source-lane.c: a connection, from its first byte to its last. */

/* Begin to connect; a failure is dealt with. */
void lane_start(struct net_lane *l, uint64_t now);
/* Something has happened to its descriptor. */
void lane_ready(struct net_lane *l, uint32_t events, source_answer answer, void *arg);
/* Its deadline has passed. */
void lane_late(struct net_lane *l, uint64_t now);
/* Send what waits, as far as it may be in flight. */
void lane_pump(struct net_lane *l);
/* End the connection, keep what is whole, put the rest back; err 0: it is not used any more. */
void lane_fail(struct net_lane *l, int err, const char *words);
/* Ask for the identity of the image next. */
void lane_identify(struct net_lane *l, uint64_t now);
/* Hold an identity against ours, or learn it.  False: it is another one. */
bool net_identity_agrees(struct source_net *n, const uint8_t *identity);

/* source-net.c */

/* The part of this demand that was in flight has been answered. */
void net_part_done(struct source_net *n, struct net_slot *slot, source_answer answer, void *arg);
/* What is missing of it is to be asked for before all others. */
void net_put_back(struct source_net *n, struct net_slot *slot);
/* A connection is there, or is gone. */
void net_lane_up(struct net_lane *l);
void net_lane_down(struct net_lane *l, const char *words);
/* Wake up for the next deadline. */
void net_set_timer(struct source_net *n);
/* Of struct source_ops. */
int net_ask(struct source *s, const struct source_want *want);
int net_answers(struct source *s, source_answer answer, void *arg);
void net_release(struct source *s, uint64_t id);

#endif
