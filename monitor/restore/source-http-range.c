/* SPDX-License-Identifier: MIT */
/* HTTP source: ranges, and what to do when there is no answer.  See source-http.h. */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/range.h"
#include "restore/source-http-parts.h"

/*
 * Who wants what comes next on a connection that brings something has it as soon as if it were
 * asked for alone.
 */
#define RIDE_BYTES UINT64_C(65536)
#define RIDE_NS (50 * NSEC_PER_MSEC)

/* ---- trouble ------------------------------------------------------------------ */

static void tell(const struct source_http *s, enum source_http_kind kind, const char *name,
		 const char *words)
{
	char text[320];

	snprintf(text, sizeof(text), "%.100s%s%s", name ? name : "", name ? ": " : "", words);
	if (s->o.told)
		s->o.told(s->o.arg, kind, text);
}

static void have_trouble(struct source_http *s, const struct http_request *q,
			 struct http_file *f)
{
	bool of_file = http_err_is_of_file(q->err);
	struct http_trouble *t = of_file ? &f->trouble : &s->trouble;

	s->totals.failed++;
	if (http_trouble_begin(t, q, clock_now()))
		tell(s, SOURCE_HTTP_LOST, of_file ? f->name : NULL, t->words);
}

static void be_well(const struct source_http *s, struct http_trouble *t, const char *name)
{
	if (http_trouble_end(t))
		tell(s, SOURCE_HTTP_BACK, name, "answers again");
}

static bool rests(const struct source_http *s, const struct http_slot *slot, uint64_t now)
{
	return s->trouble.until > now || s->files[slot->file].trouble.until > now;
}

uint64_t http_resume_at(const struct source_http *s)
{
	const struct http_queue *queues[] = { &s->urgent, &s->bulk };
	uint64_t now = clock_now(), at = 0, until;
	const struct http_slot *slot;

	for (size_t i = 0; i < 2; i++)
		TAILQ_FOREACH(slot, queues[i], queue) {
			until = s->files[slot->file].trouble.until;
			if (until < s->trouble.until)
				until = s->trouble.until;
			/* What has rested waits for a range that is over. */
			if (until > now && (!at || until < at))
				at = until;
		}
	return at;
}

/* ---- riders ------------------------------------------------------------------- */

static void get_ready(struct source_http *s, struct http_slot *slot)
{
	memcpy(slot->data, slot->host->data + (slot->from - slot->host->from), slot->len);
	slot->have = slot->len;
	slot->state = HTTP_READY;
	TAILQ_INSERT_TAIL(&s->ready, slot, queue);
}

/* The part of this range that holds all of it; NULL: none does. */
static const struct http_slot *find_host(const struct http_range *r, const struct http_slot *slot)
{
	for (size_t i = 0; i < r->nparts; i++)
		if (slot->file == r->part[i]->file && slot->from >= r->part[i]->from &&
		    slot->from + slot->len <= r->part[i]->from + r->part[i]->len)
			return r->part[i];
	return NULL;
}

bool http_ride(struct source_http *s, struct http_slot *slot)
{
	uint64_t now = clock_now(), end = slot->from + slot->len, at;

	for (size_t i = 0; i < HTTP_RANGES; i++) {
		const struct http_range *r = &s->range[i];

		/* One that has come to a halt is no help. */
		if (!r->used || now - r->moved_at > RIDE_NS)
			continue;
		at = r->q.asked.from + r->q.taken;
		slot->host = find_host(r, slot);
		if (!slot->host || end > at + RIDE_BYTES)
			continue;
		slot->ride = r;
		slot->state = HTTP_RIDING;
		if (end <= at)
			get_ready(s, slot);
		return true;
	}
	return false;
}

/* Its bytes before `at` have come. */
static void serve_riders(struct source_http *s, const struct http_range *r, uint64_t at)
{
	for (size_t i = 0; i < HTTP_SLOTS; i++)
		if (s->slot[i].state == HTTP_RIDING && s->slot[i].ride == r &&
		    s->slot[i].from + s->slot[i].len <= at)
			get_ready(s, &s->slot[i]);
}

/* It is over: they are asked for by themselves. */
static void leave_riders(struct source_http *s, const struct http_range *r)
{
	for (size_t i = 0; i < HTTP_SLOTS; i++)
		if (s->slot[i].state == HTTP_RIDING && s->slot[i].ride == r) {
			s->slot[i].state = HTTP_WAITING;
			TAILQ_INSERT_HEAD(&s->urgent, &s->slot[i], queue);
		}
}

/* ---- ranges ------------------------------------------------------------------- */

static int take(struct http_request *q, const void *bytes, size_t n)
{
	struct http_range *r = q->arg;
	const uint8_t *from = bytes;
	uint64_t at = q->asked.from + q->taken + n;

	while (n) {
		struct http_slot *slot = r->part[r->at];
		size_t some = n < slot->len - slot->have ? n : (size_t)(slot->len - slot->have);

		memcpy(slot->data + slot->have, from, some);
		slot->have += some;
		from += some;
		n -= some;
		if (slot->have == slot->len)
			r->at++;
	}
	r->moved_at = clock_now();
	serve_riders(r->source, r, at);
	return 0;
}

/* What is missing of it is to be asked for before all others. */
static void put_back(struct source_http *s, struct http_slot *slot)
{
	slot->have = align_down(slot->have, IMAGE_PAGE);
	slot->state = HTTP_WAITING;
	TAILQ_INSERT_HEAD(slot->urgent ? &s->urgent : &s->bulk, slot, queue);
}

static void keep(struct source_http *s, const struct http_slot *slot)
{
	int r = http_cache_put(s->files[slot->file].cache, slot->from, slot->data, slot->len);

	if (r && !s->no_cache_told)
		tell(s, SOURCE_HTTP_NO_CACHE, NULL, strerror(-r));
	s->no_cache_told |= r;
}

static void end_range(struct http_request *q)
{
	struct http_range *r = q->arg;
	struct source_http *s = r->source;
	struct http_file *f = &s->files[r->part[0]->file];

	r->used = false;
	leave_riders(s, r);
	if (q->err) {
		have_trouble(s, q, f);
	} else {
		be_well(s, &s->trouble, NULL);
		be_well(s, &f->trouble, f->name);
	}
	s->totals.pages += q->taken / IMAGE_PAGE;
	for (size_t i = r->nparts; i-- > 0;)
		if (r->part[i]->have < r->part[i]->len)
			put_back(s, r->part[i]);
	for (size_t i = 0; i < r->nparts; i++)
		if (r->part[i]->state == HTTP_FLYING) {
			keep(s, r->part[i]);
			http_slot_done(s, r->part[i]);
		}
}

/* So that all connections have something to do: a server may be slow on each of them. */
static uint64_t bulk_bytes(uint64_t waiting)
{
	uint64_t share = waiting / HTTP_BULK_RANGES;

	return share < HTTP_URGENT_BYTES ? HTTP_URGENT_BYTES :
	       share > HTTP_BULK_BYTES ? HTTP_BULK_BYTES : share;
}

/* The first that need not rest, and those that go with it, leave the queue. */
static bool fill_range(struct source_http *s, struct http_range *r, struct http_queue *queue)
{
	struct http_span spans[HTTP_SLOTS];
	struct http_slot *slots[HTTP_SLOTS], *slot;
	uint32_t which[HTTP_SLOTS];
	uint64_t now = clock_now(), bytes = 0;
	size_t n = 0;

	TAILQ_FOREACH(slot, queue, queue)
		if (!rests(s, slot, now)) {
			bytes += slot->len - slot->have;
			slots[n] = slot;
			spans[n++] = (struct http_span){ slot->file, slot->from + slot->have,
							 slot->len - slot->have };
		}
	r->nparts = http_join(spans, n, r->urgent ? HTTP_URGENT_BYTES : bulk_bytes(bytes), which,
			      HTTP_SLOTS);
	r->at = 0;
	for (size_t i = 0; i < r->nparts; i++) {
		r->part[i] = slots[which[i]];
		TAILQ_REMOVE(queue, r->part[i], queue);
		r->part[i]->state = HTTP_FLYING;
	}
	return r->nparts;
}

static void start_range(struct source_http *s, struct http_range *r)
{
	const struct http_slot *first = r->part[0], *last = r->part[r->nparts - 1];
	const struct http_file *f = &s->files[first->file];
	uint64_t from = first->from + first->have;

	r->used = true;
	r->moved_at = 0;
	r->source = s;
	r->q = (struct http_request){
		.name = f->name, .take = take, .done = end_range, .arg = r,
		.asked = { .ranged = true, .from = from, .len = last->from + last->len - from,
			   .version = &f->version },
	};
	s->totals.requests++;
	/* Without memory or a token: as if it had been asked for in vain. */
	if (http_client_start(r->urgent ? s->urgent_client : s->bulk_client, &r->q))
		end_range(&r->q);
}

void http_pump(struct source_http *s)
{
	for (size_t i = 0; i < HTTP_RANGES; i++) {
		struct http_range *r = &s->range[i];

		r->urgent = i < HTTP_URGENT_RANGES;
		if (!r->used && fill_range(s, r, r->urgent ? &s->urgent : &s->bulk))
			start_range(s, r);
	}
}
