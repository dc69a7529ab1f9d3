/* SPDX-License-Identifier: MIT */
/*
 * Account: which records have come, which of them the output tells, and how far back
 * one may go in it.
 *
 * Private to writer.c; pure.  A record is told by its own line or by the `lost` line
 * that counts it.  When an output fails, lines at its end make room for the last
 * words of the trace; the account then says how many records went with them.
 */
#ifndef TRACE_ACCOUNT_H
#define TRACE_ACCOUNT_H

#include <stdbool.h>
#include <stdint.h>

#include "record.h"

/* More of them than a batch of the writer has room for, at a place each STEP bytes. */
#define ACCOUNT_PLACES 128
#define ACCOUNT_STEP 4096

/* An end of a line in the output, and what all lines up to it tell. */
struct account_place {
	uint64_t bytes, lines;		/* of the output up to here, the header included */
	uint64_t seq;			/* of the last line */
	uint64_t told, told_faults;
	uint64_t lost_total;
};

struct account {
	uint64_t seq;			/* of the last line */
	uint64_t lost, lost_faults;	/* to be declared */
	uint64_t lost_total;		/* declared, whatever the reason */
	uint64_t taken, taken_faults;	/* have come, those that others lost included */
	struct account_place places[ACCOUNT_PLACES];	/* the last of them, a ring */
	unsigned int nplaces;
};

/* A record has come. */
void account_take(struct account *a, const struct record *r);
/* ... and will have no line of its own. */
void account_lose(struct account *a, const struct record *r);
/* The `lost` record that declares what is to be declared; it is then. */
struct record account_declare(struct account *a, uint64_t ts);
/* All that has a line until now ends at `bytes` of the output. */
void account_mark(struct account *a, uint64_t bytes, uint64_t lines);
/* Bytes since the last mark, if the output has `bytes` now. */
uint64_t account_since_mark(const struct account *a, uint64_t bytes);
/*
 * Back to the latest place that leaves `room` bytes of `bytes`, or to the oldest one
 * that is known: what came after it is to be declared again.
 */
struct account_place account_back(struct account *a, uint64_t bytes, uint64_t room);

#endif
