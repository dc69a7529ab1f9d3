/* SPDX-License-Identifier: MIT */
/* Recording: one run from the output to the last line.  See recording.h. */

#include "recording.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>

#include "filter-args.h"
#include "sandbox.h"

#define SLOTS_MIN 64

int recording_agent(struct recording *rec, const pid_t *pids, unsigned int n)
{
	return agent_new(&rec->agent, pids, n, sandbox_agent);
}

int recording_output(struct recording *rec, const char *path)
{
	return sink_open(&rec->sink, path);
}

static uint32_t power_of_two(uint64_t n)
{
	uint32_t p = SLOTS_MIN;

	while (p < n && p < UINT32_C(1) << 31)
		p <<= 1;
	return p;
}

/* Whoever empties the queue. */
static int start_reader(struct recording *rec, bool *ret_output)
{
	int r;

	if (rec->taker) {
		r = rec->taker->start(rec->taker->arg, rec->queue, &rec->head.header);
		rec->taking = r >= 0;
		return r;
	}
	r = writer_start(&rec->writer, rec->queue, rec->sink, &rec->head.header,
			 rec->begin ? rec->begin : sandbox_writer, rec->form);
	*ret_output = r < 0 && r != -ENOMEM && r != -EAGAIN;
	return r;
}

static void hurry(struct recording *rec)
{
	if (rec->taker)
		rec->taker->hurry(rec->taker->arg);
	else
		writer_hurry(rec->writer);
}

int recording_start(struct recording *rec, const struct session_opts *opts, uint64_t slots,
		    uint64_t max_bytes, uint64_t features, const char *const *argv,
		    bool *ret_output)
{
	struct session_opts o = *opts;
	int r;

	*ret_output = false;
	r = queue_new(&rec->queue, power_of_two(slots));
	if (r < 0)
		return r;
	sandbox_prepare();
	head_fill(&rec->head, o.both ? "both" : o.async ? "async" : "sync", o.filter.modes,
		  o.kinds, features, argv);
	rec->head.header.granularity = o.granularity;
	rec->head.header.engine_why = rec->engine_why;
	r = start_reader(rec, ret_output);
	if (r < 0)
		return r;
	rec->signal_fd = o.signal_fd;
	o.guard_settle = sandbox_guard;
	o.queue = rec->queue;
	o.agent = rec->agent;
	o.base_ns = rec->head.header.base_mono_ns;
	o.output_fd = rec->taker ? -1 : writer_fd(rec->writer);
	o.limit_fd = rec->taker ? rec->taker->stop_fd : writer_full_fd(rec->writer);
	if (rec->writer)
		writer_limit(rec->writer, max_bytes);
	return session_new(&rec->session, &o);
}

static void finish_reader(struct recording *rec)
{
	int r;

	if (rec->taker) {
		rec->result.error = rec->taker->finish(rec->taker->arg);
		rec->taking = false;
		return;
	}
	writer_finish(rec->writer, false, &rec->result);
	rec->writer = NULL;
	r = sink_close(rec->sink);
	rec->sink = NULL;
	if (!rec->result.error)
		rec->result.error = r;
}

/*
 * The signal that asks to end, and now: SIGINT or SIGTERM.  SIGHUP alone is none, some
 * send it together with the first one.  0: nothing of the kind.
 */
static int impatience(int signal_fd)
{
	struct signalfd_siginfo si;

	while (read(signal_fd, &si, sizeof(si)) == sizeof(si))
		if (si.ssi_signo == SIGINT || si.ssi_signo == SIGTERM)
			return (int)si.ssi_signo;
	return 0;
}

/*
 * Until everything is written.  The reader of a pipe may take its time, or stand
 * still: at the second Ctrl-C what is queued is dropped, and the writer has half a
 * second for its last words.  A third one is for a device that lets no write(2) end.
 */
static int drain(struct recording *rec)
{
	struct pollfd p[2] = {
		{ .events = POLLIN },
		{ .fd = rec->signal_fd, .events = POLLIN },
	};
	int sig;

	p[0].fd = rec->taker ? rec->taker->done_fd : writer_done_fd(rec->writer);
	if (rec->summary.at_once)
		hurry(rec);
	for (;;) {
		if (poll(p, 2, -1) < 0 && errno != EINTR)
			return 0;	/* finish_reader() waits as well */
		if (p[0].revents)
			return 0;
		sig = p[1].revents ? impatience(rec->signal_fd) : 0;
		if (sig && rec->summary.at_once)
			return -EINTR;
		if (sig) {
			rec->summary.at_once = true;
			rec->ended_by = sig;
			hurry(rec);
		}
	}
}

int recording_finish(struct recording *rec)
{
	int r;

	session_summary(rec->session, &rec->summary);
	rec->session = session_free(rec->session);
	queue_close(rec->queue);
	rec->ended_by = SIGINT;
	r = drain(rec);
	if (!r)
		finish_reader(rec);
	return r;
}

void recording_end(struct recording *rec)
{
	session_free(rec->session);
	rec->session = NULL;
	if (rec->writer || rec->taking) {
		queue_close(rec->queue);
		finish_reader(rec);
	}
	sink_close(rec->sink);
	rec->sink = NULL;
	rec->queue = queue_free(rec->queue);
	rec->agent = agent_free(rec->agent);
}
