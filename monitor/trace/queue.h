/* SPDX-License-Identifier: MIT */
/*
 * Queue: the bounded ring between the fault thread and the writer thread.
 *
 * One producer, one consumer (Concurrency Kit spsc ring).  Pushing never waits,
 * never allocates, never fails the caller: what does not fit is dropped and
 * counted, and the next record that fits is preceded by a `lost` record that says
 * how many (pid and mm 0: it is about nobody in particular).  The last eighth of the
 * ring is kept for records other than faults, and the last slots of that for the final
 * stats and the detach.  Records that stand for many lines (record_lines()) are as many
 * to the account, so that memory is bounded by the slots.  See eventfd(2),
 * ck_ring_spsc(3).
 */
#ifndef TRACE_QUEUE_H
#define TRACE_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "record.h"

struct queue;

/* slots: a power of two, 64 or more.  -EINVAL, -ENOMEM, -EMFILE. */
int queue_new(struct queue **ret, uint32_t slots);
/* NULL in, NULL out; releases every record still inside. */
struct queue *queue_free(struct queue *q);

/*
 * Producer.  Takes the record and its text, also when it drops them.  False: dropped.
 */
bool queue_push(struct queue *q, struct record *r);
/* Producer: once after a batch of pushes; wakes a sleeping consumer, else free. */
void queue_kick(struct queue *q);
/* Producer: no more records will come.  What is in the queue can still be popped. */
void queue_close(struct queue *q);
/* Producer: records dropped so far, and how many of them were faults. */
uint64_t queue_dropped(const struct queue *q, uint64_t *ret_faults);
/*
 * Producer: is half of the ring free, so that it is worth to begin anew after a loss?
 * A record that stands for many lines counts as many, though it takes one slot.
 */
bool queue_roomy(const struct queue *q);
/* Producer: lines that a record may stand for, so that it is not dropped now. */
uint32_t queue_room(const struct queue *q);

/*
 * Consumer.  Returns 1 with a record (its text is the caller's then), 0 when
 * timeout_ms passed without one (-1 waits for ever), -EPIPE when the queue was
 * closed and is empty.
 */
int queue_pop(struct queue *q, struct record *ret, int timeout_ms);
/*
 * Consumer: rest until timeout_ms has passed, a quarter of the ring is full or the
 * queue is closed.  Single records do not wake it, which spares the producer a
 * system call, and the CPU it shares with the target, for each of them.
 */
void queue_doze(struct queue *q, int timeout_ms);

#endif
