/* SPDX-License-Identifier: MIT */
/*
 * Queue: a ring of Concurrency Kit, a reserve, an account of what was dropped, and
 * a consumer that sleeps.  See queue.h.
 *
 * The sleeping: each side first says what it has done (a record in the ring; asleep),
 * then a full fence, then it looks at what the other has said.  So one of them sees
 * the other, and a record is never left behind with a sleeper.
 */

#include "trace/queue.h"

#include <ck_pr.h>
#include <ck_ring.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "trace/queue-tsan.h"

CK_RING_PROTOTYPE(record, record)

#define SLOTS_MIN 64
#define RESERVE_SHARE 8		/* of the ring, for records that are no faults */
#define LAST_WORDS 4		/* slots for what ends a trace, whatever is in the ring */
#define DOZE_SHARE 4		/* a quarter full wakes who dozes */

enum { AWAKE, DOZING, SLEEPING };

struct queue {
	struct ck_ring ring;
	struct record *slots;
	unsigned int room;	/* records that fit: a ring keeps one slot free */
	unsigned int fault_room;
	int wake;		/* eventfd */
	unsigned int sleeper;	/* AWAKE, DOZING, SLEEPING; by ck_pr_* alone */
	unsigned int closed;	/* by ck_pr_* alone */
	uint64_t more_in;	/* lines beyond one a record: pushed ... */
	uint64_t more_out;	/* ... and popped; by ck_pr_* alone */

	/* The producer's; the consumer's once `closed` is seen. */
	uint64_t dropped, dropped_faults;
	uint64_t undeclared, undeclared_faults;
	uint64_t undeclared_ts;
};

int queue_new(struct queue **ret, uint32_t slots)
{
	struct queue *q;
	int r;

	if (slots < SLOTS_MIN || slots & (slots - 1))
		return -EINVAL;
	q = calloc(1, sizeof(*q));
	if (!q)
		return -ENOMEM;
	q->room = slots - 1;
	q->fault_room = slots - 1 - slots / RESERVE_SHARE;
	q->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	q->slots = malloc(sizeof(*q->slots) * slots);
	if (q->wake < 0 || !q->slots) {
		r = q->slots ? -errno : -ENOMEM;
		queue_free(q);
		return r;
	}
	/* Touched now: a page fault is not to be taken while a target waits. */
	memset(q->slots, 0xa5, sizeof(*q->slots) * slots);
	ck_ring_init(&q->ring, slots);
	*ret = q;
	return 0;
}

/* Lines inside.  Of the two sides' sums the one is read first that may be behind. */
static uint64_t lines_inside(const struct queue *q)
{
	uint64_t out = ck_pr_load_64(&q->more_out), in;

	ck_pr_fence_load();
	in = ck_pr_load_64(&q->more_in);
	return ck_ring_size(&q->ring) + (in - out);
}

/* Consumer. */
static bool take(struct queue *q, struct record *ret)
{
	bool got;

	queue_tsan_ring_begin();
	got = ck_ring_dequeue_spsc_record(&q->ring, q->slots, ret);
	queue_tsan_ring_end();
	if (!got)
		return false;
	queue_tsan_take(q);
	ck_pr_store_64(&q->more_out, q->more_out + record_lines(ret) - 1);
	return true;
}

struct queue *queue_free(struct queue *q)
{
	struct record r;

	if (!q)
		return NULL;
	while (q->ring.size && take(q, &r))
		record_release(&r);
	if (q->wake >= 0)
		close(q->wake);
	free(q->slots);
	free(q);
	return NULL;
}

/* Producer; the caller has seen that there is room. */
static void put(struct queue *q, struct record *r)
{
	ck_pr_store_64(&q->more_in, q->more_in + record_lines(r) - 1);
	queue_tsan_give(q);
	queue_tsan_ring_begin();
	ck_ring_enqueue_spsc_record(&q->ring, q->slots, r);
	queue_tsan_ring_end();
}

static void drop(struct queue *q, struct record *r)
{
	bool fault = r->kind == RECORD_FAULT;
	uint64_t lines = record_lines(r);

	q->dropped += lines;
	q->dropped_faults += fault;
	q->undeclared += lines;
	q->undeclared_faults += fault;
	q->undeclared_ts = r->ts;
	record_release(r);
}

static struct record declare(struct queue *q, uint64_t ts)
{
	struct record lost = {
		.kind = RECORD_LOST,
		.ts = ts,
		.lost = {
			.n = (int64_t)q->undeclared,
			.faults = (int64_t)q->undeclared_faults,
			.reason = LOST_RING,
		},
	};

	q->undeclared = q->undeclared_faults = 0;
	return lost;
}

/* A trace without its final stats and its detach would count as cut. */
static bool ends_trace(const struct record *r)
{
	return r->kind == RECORD_DETACH || (r->kind == RECORD_STATS && r->stats.final);
}

bool queue_push(struct queue *q, struct record *r)
{
	unsigned int room = r->kind == RECORD_FAULT ? q->fault_room :
			    ends_trace(r) ? q->room : q->room - LAST_WORDS;
	unsigned int need = q->undeclared ? 2 : 1;
	size_t lines = record_lines(r);
	struct record lost;

	if (ck_ring_size(&q->ring) + need > room || (lines > 1 && lines > queue_room(q))) {
		drop(q, r);
		return false;
	}
	if (q->undeclared) {
		lost = declare(q, r->ts);
		put(q, &lost);
	}
	put(q, r);
	r->text = NULL;
	return true;
}

static void wake(struct queue *q)
{
	uint64_t one = 1;

	ck_pr_store_uint(&q->sleeper, AWAKE);
	/* Only fails when 2^64 - 2 wake-ups are unread: awake it is. */
	if (write(q->wake, &one, sizeof(one)) < 0)
		return;
}

void queue_kick(struct queue *q)
{
	unsigned int sleeper;

	ck_pr_fence_memory();
	sleeper = ck_pr_load_uint(&q->sleeper);
	if (sleeper == AWAKE)
		return;
	if (sleeper == DOZING && lines_inside(q) < q->room / DOZE_SHARE)
		return;
	wake(q);
}

void queue_close(struct queue *q)
{
	queue_tsan_give(q);
	ck_pr_fence_store();
	ck_pr_store_uint(&q->closed, 1);
	ck_pr_fence_memory();
	wake(q);
}

uint64_t queue_dropped(const struct queue *q, uint64_t *ret_faults)
{
	if (ret_faults)
		*ret_faults = q->dropped_faults;
	return q->dropped;
}

bool queue_roomy(const struct queue *q)
{
	return lines_inside(q) <= q->room / 2;
}

uint32_t queue_room(const struct queue *q)
{
	uint64_t inside = lines_inside(q) + 1;	/* a `lost` may go first */

	return inside < q->fault_room ? (uint32_t)(q->fault_room - inside) : 0;
}

static bool is_closed(struct queue *q)
{
	bool closed = ck_pr_load_uint(&q->closed);

	/* What was pushed before the close is seen after it. */
	ck_pr_fence_load();
	if (closed)
		queue_tsan_take(q);
	return closed;
}

/* Consumer: returns early when a wake-up comes, and at once if it came before. */
static void fall_asleep(struct queue *q, unsigned int how, int timeout_ms)
{
	struct pollfd p = { .fd = q->wake, .events = POLLIN };
	unsigned int enough = how == SLEEPING ? 1 : q->room / DOZE_SHARE;
	uint64_t wakes;

	ck_pr_store_uint(&q->sleeper, how);
	ck_pr_fence_memory();
	if (lines_inside(q) < enough && !ck_pr_load_uint(&q->closed) &&
	    poll(&p, 1, timeout_ms) > 0) {
		/* Fails only if nothing is there to read: nothing to forget then. */
		if (read(q->wake, &wakes, sizeof(wakes)) < 0)
			wakes = 0;
	}
	ck_pr_store_uint(&q->sleeper, AWAKE);
}

/* What could not be declared, because nothing was pushed after it. */
static int pop_closed(struct queue *q, struct record *ret)
{
	if (take(q, ret))
		return 1;
	if (!q->undeclared)
		return -EPIPE;
	*ret = declare(q, q->undeclared_ts);
	return 1;
}

static int left_ms(uint64_t deadline)
{
	uint64_t now = clock_now();

	return now >= deadline ? 0 : (int)((deadline - now + NSEC_PER_MSEC - 1) / NSEC_PER_MSEC);
}

int queue_pop(struct queue *q, struct record *ret, int timeout_ms)
{
	uint64_t deadline;
	int left = timeout_ms;

	if (take(q, ret))
		return 1;
	if (is_closed(q))
		return pop_closed(q, ret);
	if (!timeout_ms)
		return 0;
	deadline = timeout_ms < 0 ? 0 : clock_now() + (uint64_t)timeout_ms * NSEC_PER_MSEC;
	do {
		fall_asleep(q, SLEEPING, left);
		if (take(q, ret))
			return 1;
		if (is_closed(q))
			return pop_closed(q, ret);
		if (timeout_ms > 0)
			left = left_ms(deadline);
	} while (left);
	return 0;
}

void queue_doze(struct queue *q, int timeout_ms)
{
	fall_asleep(q, DOZING, timeout_ms);
}
