/* SPDX-License-Identifier: MIT */
/*
 * Writer: the thread that turns records into lines and lines into bytes.
 *
 * It alone knows seq, and how many lines were lost in all: it sets `lost` of every
 * stats record.  A line is in the sink 100 ms after its record was queued, a frame
 * of a compressed file is closed each second.  It never touches the target; when the
 * sink fails (no space, reader gone) it keeps draining the queue, so that nobody
 * waits for it, and says so by writer_fd() and `error`.  In a regular file the last
 * lines then make room for a `lost` that counts them and all that came after them, the
 * final stats, and the detach, whose reason `error` becomes `nospace` where it was
 * room.  It takes no signals.
 *
 * Lines are those of pagetap-trace(5), or what a form makes of the records: then the
 * account, the batches and what is done about an output that fails are the same.
 */
#ifndef TRACE_WRITER_H
#define TRACE_WRITER_H

#include <stdbool.h>
#include <stdint.h>

#include "queue.h"
#include "sink.h"

struct writer;

struct writer_result {
	uint64_t records;	/* whole records in the output, header not counted */
	uint64_t bytes;		/* bytes in the output (compressed, if it is) */
	int error;		/* 0, or the negative errno that stopped the output */
	bool gone;		/* its file was removed meanwhile, and nobody can open it */
};

/*
 * Lines of another kind.  Both return the bytes written to buf, 0 for no line, or a negative
 * errno, which counts as lost.  cap is at least RECORD_TEXT_LINE_MAX.
 */
struct writer_form {
	void *arg;
	uint64_t most;		/* after so many lines writer_full_fd() becomes readable, and no
				   more are made; 0: any */
	int64_t (*head)(void *arg, const struct record_header *h, char *buf, size_t cap);
	/* In the writer's thread; stats.lost is set, dirty records stand for one line each. */
	int64_t (*line)(void *arg, const struct record *r, uint64_t seq, char *buf, size_t cap);
};

/*
 * Write the header, in the caller's thread, and start the writer's.  Borrows queue
 * and sink until writer_finish(), h only during the call.  -errno of the first
 * write, of pthread_create(3), eventfd(2), -ENOMEM.  begin: what the thread does first,
 * before it has seen a record; may be NULL.  form: borrowed, NULL for the trace.
 */
int writer_start(struct writer **ret, struct queue *q, struct sink *s,
		 const struct record_header *h, void (*begin)(void),
		 const struct writer_form *form);
/* An eventfd that becomes readable when the output has failed. */
int writer_fd(const struct writer *w);
/*
 * The output shall not grow beyond so many bytes (0: as far as it likes), what is
 * said at the end included.  When it is almost there writer_full_fd() becomes readable,
 * and from then on only the last words are written; the others are said to be lost.
 * Compressed, the bytes count that have come out, so that it may grow by a frame.
 */
#define WRITER_LIMIT_MIN (16u << 10)
void writer_limit(struct writer *w, uint64_t bytes);
int writer_full_fd(const struct writer *w);
/*
 * An eventfd that becomes readable when the queue has been closed and everything is
 * written (or has failed): a caller that must stay responsive while a slow reader
 * takes its time waits for it before writer_finish().
 */
int writer_done_fd(const struct writer *w);
/*
 * Any thread, also more than once: what is queued is thrown away from now on and said
 * in a `lost` record, but for the final stats and the detach, and a slow reader gets
 * half a second more (-ETIMEDOUT after that).
 */
void writer_hurry(struct writer *w);
/*
 * Queue must be closed before.  Waits until everything is written, flushes the
 * sink, ends the thread, frees w; the sink is still to be closed.  With drop it hurries.
 */
void writer_finish(struct writer *w, bool drop, struct writer_result *ret);

#endif
