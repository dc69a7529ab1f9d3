/* SPDX-License-Identifier: MIT */
/* Account: sums and places.  See account.h. */

#include "trace/account.h"

static uint64_t known(int64_t n)
{
	return n == RECORD_UNKNOWN ? 0 : (uint64_t)n;
}

void account_take(struct account *a, const struct record *r)
{
	if (r->kind == RECORD_LOST && r->lost.n != RECORD_UNKNOWN) {
		a->taken += known(r->lost.n);
		a->taken_faults += known(r->lost.faults);
		a->lost_total += known(r->lost.n);
		return;
	}
	a->taken++;
	a->taken_faults += r->kind == RECORD_FAULT;
}

void account_lose(struct account *a, const struct record *r)
{
	a->lost++;
	a->lost_faults += r->kind == RECORD_FAULT;
}

struct record account_declare(struct account *a, uint64_t ts)
{
	struct record lost = {
		.kind = RECORD_LOST,
		.ts = ts,
		.lost = {
			.n = (int64_t)a->lost,
			.faults = (int64_t)a->lost_faults,
			.reason = LOST_OUTPUT,
		},
	};

	a->lost_total += a->lost;
	a->lost = a->lost_faults = 0;
	return lost;
}

void account_mark(struct account *a, uint64_t bytes, uint64_t lines)
{
	a->places[a->nplaces++ % ACCOUNT_PLACES] = (struct account_place){
		.bytes = bytes,
		.lines = lines,
		.seq = a->seq,
		.told = a->taken - a->lost,
		.told_faults = a->taken_faults - a->lost_faults,
		.lost_total = a->lost_total,
	};
}

uint64_t account_since_mark(const struct account *a, uint64_t bytes)
{
	return a->nplaces ? bytes - a->places[(a->nplaces - 1) % ACCOUNT_PLACES].bytes : bytes;
}

struct account_place account_back(struct account *a, uint64_t bytes, uint64_t room)
{
	unsigned int kept = a->nplaces < ACCOUNT_PLACES ? a->nplaces : ACCOUNT_PLACES;
	struct account_place at = { 0 };

	for (unsigned int i = 0; i < kept; i++) {
		at = a->places[(a->nplaces - 1 - i) % ACCOUNT_PLACES];
		if (at.bytes + room <= bytes)
			break;
	}
	a->seq = at.seq;
	a->lost = a->taken - at.told;
	a->lost_faults = a->taken_faults - at.told_faults;
	a->lost_total = at.lost_total;
	return at;
}
