/* SPDX-License-Identifier: MIT */
/*
 * Writer: the thread that turns records into lines and lines into bytes.
 *
 * It alone knows seq.  It never touches the target; when the sink fails (no
 * space, reader gone) it keeps draining the queue, so that nobody waits for it,
 * cuts the file back to its last whole record, and says so by `failed`.
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
};

/*
 * Write the header and start the thread.  Borrows queue and sink until
 * writer_finish().  -errno of the first write, of pthread_create, -ENOMEM.
 */
int writer_start(struct writer **ret, struct queue *q, struct sink *s,
		 const struct record_header *h);
/* An eventfd that becomes readable when the output has failed. */
int writer_fd(const struct writer *w);
/*
 * Queue must be closed before.  Waits until everything is written, flushes the
 * sink, ends the thread, frees w.  With drop, what is still queued is thrown away.
 */
void writer_finish(struct writer *w, bool drop, struct writer_result *ret);

#endif
