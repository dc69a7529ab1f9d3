/* SPDX-License-Identifier: MIT */
/*
 * Recording: output, queue, writer and session put together and taken apart.
 *
 *	recording_agent(&rec, pids, n)	its helper runs
 *	recording_output(&rec, path)	the file exists
 *	recording_start(&rec, ...)	line 1 is written, nothing is attached yet
 *	session_attach(rec.session, ..), session_run(rec.session)
 *	recording_finish(&rec, ...)	the targets are free, everything is written
 *	recording_end(&rec)		in every case
 *
 * Says nothing: cmd-record.c and cmd-demo.c have the words.
 */
#ifndef MONITOR_RECORDING_H
#define MONITOR_RECORDING_H

#include "head.h"
#include "trace/queue.h"
#include "trace/sink.h"
#include "trace/writer.h"
#include "watch/session.h"

/*
 * Who takes the records from the queue instead of a writer, and shows them.  stop_fd becomes
 * readable when it wants no more, done_fd when it has ended after queue_close().
 */
struct recording_taker {
	void *arg;
	/* Begins; q and h are borrowed until finish().  0, -errno. */
	int (*start)(void *arg, struct queue *q, const struct record_header *h);
	void (*hurry)(void *arg);	/* as writer_hurry() */
	int (*finish)(void *arg);	/* waits; the error that stopped it, or 0 */
	int stop_fd, done_fd;		/* valid after start() */
};

struct recording {
	struct agent *agent;
	struct sink *sink;
	struct queue *queue;
	struct writer *writer;
	struct session *session;
	struct head head;
	const char *engine_why;		/* of the header; NULL: nothing to say */
	const struct writer_form *form;	/* borrowed; NULL: a trace is written */
	void (*begin)(void);		/* of the writer's thread; NULL: sandbox_writer() */
	struct recording_taker *taker;	/* borrowed; NULL: there is an output, and a writer */
	bool taking;			/* it has started */
	int signal_fd;			/* borrowed; -1 none */
	int ended_by;			/* with summary.at_once: the signal that said so */
	struct session_summary summary;	/* recording_finish() fills these */
	struct writer_result result;
};

#define RECORDING_NULL { .signal_fd = -1 }

/*
 * Start the process that keeps the privileges (watch/agent.h), for these targets.
 * First of all: it shall inherit no descriptor, and no thread's locks.  0, -errno.
 */
int recording_agent(struct recording *rec, const pid_t *pids, unsigned int n);

/* What sink_open() answers. */
int recording_output(struct recording *rec, const char *path);

/*
 * opts: filter, kinds and limits; queue, base and descriptors are set here.
 * slots: of the queue, rounded up to a power of two.  max_bytes: of the output, 0 as
 * many as it takes.  features: of this kernel.
 * *ret_output: the error is one of the output, not of the monitor.
 * Call with every signal that signal_fd gives blocked.
 */
int recording_start(struct recording *rec, const struct session_opts *opts, uint64_t slots,
		    uint64_t max_bytes, uint64_t features, const char *const *argv,
		    bool *ret_output);

/*
 * Free the targets, then write what is queued; after a second SIGINT, or a SIGTERM
 * while the output stands still, drop it, which summary.at_once tells and ended_by of
 * whom.  0; -EINTR: yet another one came while a write did not end - the targets are
 * free, the writer is stuck, and nothing is left to do but to die.
 */
int recording_finish(struct recording *rec);
/* Frees what is left of it; harmless after recording_finish(). */
void recording_end(struct recording *rec);

#endif
