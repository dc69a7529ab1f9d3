/* SPDX-License-Identifier: MIT */
/*
 * Lazy trace: the output of a lazy restore's trace, put together and taken apart.
 *
 *	lazy_trace_open(&t, path)	the file exists
 *	lazy_trace_start(&t, ...)	line 1 is written, a thread writes the rest
 *	lazy_trace_finish(&t, signals)	everything is written, or it is said why not
 *	lazy_trace_close(&t)		in every case
 */
#ifndef MONITOR_LAZY_TRACE_H
#define MONITOR_LAZY_TRACE_H

#include <stdbool.h>

#include "head.h"
#include "restore/chronicle.h"
#include "trace/sink.h"
#include "trace/writer.h"

struct lazy_trace {
	const char *path;
	struct sink *sink;
	struct queue *queue;
	struct writer *writer;
	struct chronicle *chronicle;	/* for the pager; NULL: there is no trace */
	struct head head;
};

/* path: as sink_open() takes it; NULL: no trace.  The exit status, after words. */
int lazy_trace_open(struct lazy_trace *t, const char *path);
/*
 * In the process that will serve, while it has one thread.  writes: first writes are told of
 * as well.  argv: how we were called, borrowed until the end.  The exit status, after words.
 */
int lazy_trace_start(struct lazy_trace *t, bool writes, const char *const *argv);
/*
 * After the pager has told the last of it.  A reader of a pipe may take its time, or stand
 * still: a signal (signals: readable for one) drops what is queued.  The exit status.
 */
int lazy_trace_finish(struct lazy_trace *t, int signals);
/* Also of one that was never opened: all zero. */
void lazy_trace_close(struct lazy_trace *t);

#endif
