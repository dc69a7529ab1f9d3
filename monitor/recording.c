/* SPDX-License-Identifier: MIT */
/* Recording: one run from the output to the last line.  See recording.h. */

#include "recording.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>

#include "base/cleanup.h"
#include "filter-args.h"

#define SLOTS_MIN 64

int recording_agent(struct recording *rec, const pid_t *pids, unsigned int n)
{
	return agent_new(&rec->agent, pids, n, NULL);
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

int recording_start(struct recording *rec, const struct session_opts *opts, uint64_t slots,
		    uint64_t features, const char *const *argv, bool *ret_output)
{
	struct session_opts o = *opts;
	int r;

	*ret_output = false;
	r = queue_new(&rec->queue, power_of_two(slots));
	if (r < 0)
		return r;
	head_fill(&rec->head, o.filter.modes, o.kinds, features, argv);
	r = writer_start(&rec->writer, rec->queue, rec->sink, &rec->head.header);
	if (r < 0) {
		*ret_output = r != -ENOMEM && r != -EAGAIN;
		return r;
	}
	rec->signal_fd = o.signal_fd;
	o.queue = rec->queue;
	o.agent = rec->agent;
	o.base_ns = rec->head.header.base_mono_ns;
	o.output_fd = writer_fd(rec->writer);
	return session_new(&rec->session, &o);
}

struct finishing {
	struct recording *rec;
	int done;		/* eventfd */
	bool drop;
};

static void finish_writer(struct recording *rec, bool drop)
{
	int r;

	writer_finish(rec->writer, drop, &rec->result);
	rec->writer = NULL;
	r = sink_close(rec->sink);
	rec->sink = NULL;
	if (!rec->result.error)
		rec->result.error = r;
}

static void *finish_thread(void *arg)
{
	struct finishing *f = arg;
	uint64_t one = 1;

	finish_writer(f->rec, f->drop);
	if (write(f->done, &one, sizeof(one)) != sizeof(one))
		return NULL;	/* cannot be: an eventfd at 0 has room */
	return NULL;
}

/* True: SIGINT is among what has come. */
static bool interrupted(int signal_fd)
{
	struct signalfd_siginfo si;

	while (read(signal_fd, &si, sizeof(si)) == sizeof(si))
		if (si.ssi_signo == SIGINT)
			return true;
	return false;
}

static int wait_done(struct finishing *f)
{
	struct pollfd p[2] = {
		{ .fd = f->done, .events = POLLIN },
		{ .fd = f->rec->signal_fd, .events = POLLIN },
	};

	for (;;) {
		if (poll(p, 2, -1) < 0 && errno != EINTR)
			return -errno;
		if (p[0].revents)
			return 0;
		if (p[1].revents && interrupted(f->rec->signal_fd))
			return -EINTR;
	}
}

/*
 * A reader that has stopped reading holds the writer in write(2).  It is left there
 * in a thread of its own, so that Ctrl-C ends the program all the same.
 */
static int drain(struct recording *rec, bool drop)
{
	static struct finishing f;	/* outlives this call if it is interrupted */
	pthread_t thread;
	int r;

	f = (struct finishing){ .rec = rec, .done = eventfd(0, EFD_CLOEXEC), .drop = drop };
	if (f.done < 0 || pthread_create(&thread, NULL, finish_thread, &f)) {
		close_fd(&f.done);
		finish_writer(rec, drop);
		return 0;
	}
	r = wait_done(&f);
	if (r < 0)
		return r;
	pthread_join(thread, NULL);
	close_fd(&f.done);
	return 0;
}

int recording_finish(struct recording *rec)
{
	session_summary(rec->session, &rec->summary);
	rec->session = session_free(rec->session);
	queue_close(rec->queue);
	return drain(rec, rec->summary.at_once);
}

void recording_end(struct recording *rec)
{
	session_free(rec->session);
	rec->session = NULL;
	if (rec->writer) {
		queue_close(rec->queue);
		finish_writer(rec, false);
	}
	sink_close(rec->sink);
	rec->sink = NULL;
	rec->queue = queue_free(rec->queue);
	rec->agent = agent_free(rec->agent);
}
