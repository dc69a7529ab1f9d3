/* SPDX-License-Identifier: MIT */
/* HTTP source, the parts: what its files share.  Not for others. */
#ifndef RESTORE_SOURCE_HTTP_PARTS_H
#define RESTORE_SOURCE_HTTP_PARTS_H

#include <stdatomic.h>
#include <sys/queue.h>

#include "restore/http-files.h"
#include "restore/source-http.h"

/* Demands that are known at once: with little data, and with as much as one may have. */
#define HTTP_SMALL 64
#define HTTP_LARGE 48
#define HTTP_SLOTS (HTTP_SMALL + HTTP_LARGE)
#define HTTP_SMALL_PAGES 16u
/* How much makes one range: a server needs about as long to find 1 MiB as to send it. */
#define HTTP_BULK_PAGES 256u
#define HTTP_BULK_BYTES (UINT64_C(2) << 20)
#define HTTP_URGENT_BYTES (UINT64_C(256) << 10)
#define HTTP_BULK_MAX 24u
/* Ranges asked for at once, each of a connection of its own where there is no HTTP/2. */
#define HTTP_URGENT_RANGES 6
#define HTTP_BULK_RANGES 4
#define HTTP_RANGES (HTTP_URGENT_RANGES + HTTP_BULK_RANGES)

enum http_slot_state {
	HTTP_FREE,
	HTTP_WAITING,	/* in a queue */
	HTTP_FLYING,	/* part of a range */
	HTTP_RIDING,	/* urgent, and about to come with a range that was asked for before */
	HTTP_READY,	/* it is here, and nobody was told yet */
	HTTP_GIVEN,	/* its answer has been handed over, its data is in use */
};

/* One demand. */
struct http_slot {
	TAILQ_ENTRY(http_slot) queue;
	/* GIVEN becomes FREE in any thread, all else happens in that of the source. */
	_Atomic enum http_slot_state state;
	_Atomic uint64_t id;
	bool urgent;
	uint32_t file;
	uint64_t from, len, have;	/* bytes of the file; whole pages have come */
	uint8_t *data;
	uint64_t room;
	const struct http_range *ride;		/* of RIDING: with which, and in whose data */
	const struct http_slot *host;
};
TAILQ_HEAD(http_queue, http_slot);

struct source_http;

/* One range under way, and whose parts it is made of. */
struct http_range {
	struct http_request q;
	struct source_http *source;
	bool used, urgent;
	struct http_slot *part[HTTP_SLOTS];
	size_t nparts, at;		/* at: the one that is being filled */
	uint64_t moved_at;		/* when bytes of it came last */
};

struct source_http {
	struct source base;
	struct source_http_options o;
	struct http_client *urgent_client, *bulk_client;
	int epoll, timer;
	struct http_file *files;
	size_t nfiles;
	struct http_slot slot[HTTP_SLOTS];
	struct http_queue urgent, bulk, ready;
	struct http_range range[HTTP_RANGES];
	struct http_request warm[2];	/* so that the first demand finds a connection */
	struct http_trouble trouble;
	bool warmed, busy, later, no_cache_told;	/* later: something waits to be asked for */
	source_answer answer;		/* while answers are handed over */
	void *answer_arg;
	struct source_http_totals totals;
};

/* source-http-range.c */

/* Ask for what waits, as far as it may be asked for. */
void http_pump(struct source_http *s);
/*
 * What is wanted now is among what another range has brought, or brings next: then it is not
 * asked for again.  True: it is RIDING or READY.
 */
bool http_ride(struct source_http *s, struct http_slot *slot);
/* When something that waits may be asked for again; 0: nothing has to wait for a time. */
uint64_t http_resume_at(const struct source_http *s);

/* source-http.c */

/* All of it has come: hand it over. */
void http_slot_done(struct source_http *s, struct http_slot *slot);

#endif
