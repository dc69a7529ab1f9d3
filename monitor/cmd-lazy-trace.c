/* SPDX-License-Identifier: MIT */
/* Lazy trace: queue, writer and file of a lazy restore's trace.  See lazy-trace.h. */

#include "lazy-trace.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "cmd-summary.h"
#include "cmd.h"
#include "compat/uffd.h"
#include "exit.h"
#include "sandbox.h"
#include "watch/watchable.h"
#include "words.h"

/* Records that may wait for the output: 10 MiB of them. */
#define SLOTS 65536
/* What CRIU asks for. */
#define FEATURES \
	(UFFD_FEATURE_EVENT_FORK | UFFD_FEATURE_EVENT_REMAP | UFFD_FEATURE_EVENT_REMOVE | \
	 UFFD_FEATURE_EVENT_UNMAP)

int lazy_trace_open(struct lazy_trace *t, const char *path)
{
	int r;

	*t = (struct lazy_trace){ .path = path };
	if (!path)
		return EXIT_OK;
	r = sink_open(&t->sink, path);
	return r < 0 ? summary_refused_output(path, r) : EXIT_OK;
}

int lazy_trace_start(struct lazy_trace *t, bool writes, const char *const *argv)
{
	uint32_t modes = WATCH_MODE_MISSING | (writes ? WATCH_MODE_WRITE : 0);
	struct chronicle_setup setup;
	int r;

	if (!t->sink)
		return EXIT_OK;
	r = queue_new(&t->queue, SLOTS);
	if (!r) {
		sandbox_prepare();
		head_fill(&t->head, "sync", modes, 0, FEATURES, argv);
		r = writer_start(&t->writer, t->queue, t->sink, &t->head.header,
				 sandbox_writer, NULL);
	}
	if (r < 0)
		return summary_refused_output(t->path, r);
	setup = (struct chronicle_setup){
		.queue = t->queue, .base_ns = t->head.header.base_mono_ns,
	};
	r = chronicle_new(&setup, &t->chronicle);
	if (!r)
		return EXIT_OK;
	log_error("%s: %s", t->path, strerror(-r));
	return EXIT_RUNTIME;
}

static void drain(struct lazy_trace *t, int signals)
{
	struct pollfd p[2] = {
		{ .fd = writer_done_fd(t->writer), .events = POLLIN },
		{ .fd = signals, .events = POLLIN },
	};
	char bytes[256];

	do {
		p[0].revents = p[1].revents = 0;
		if (poll(p, 2, -1) < 0 && errno != EINTR)
			return;
		if (p[1].revents && read(signals, bytes, sizeof(bytes)) > 0)
			writer_hurry(t->writer);
	} while (!p[0].revents);
}

static int end(struct lazy_trace *t, struct writer_result *ret)
{
	int r;

	writer_finish(t->writer, false, ret);
	t->writer = NULL;
	r = sink_close(t->sink);
	t->sink = NULL;
	return ret->error ? ret->error : r;
}

int lazy_trace_finish(struct lazy_trace *t, int signals)
{
	const char *name = t->path && strcmp(t->path, "-") ? t->path : "standard output";
	struct writer_result result;
	struct words records, bytes;
	uint64_t lost;
	int r;

	if (!t->writer)
		return EXIT_OK;
	lost = queue_dropped(t->queue, NULL);
	drain(t, signals);
	r = end(t, &result);
	if (r < 0) {
		if (r != -EPIPE)
			log_error("%s: %s after %s records (%s)", name, r == -ENOSPC ?
				  "no space left on device" : strerror(-r),
				  words_count(result.records, &records),
				  words_bytes(result.bytes, &bytes));
		return EXIT_RUNTIME;
	}
	if (lost)
		log_warn("%s records of the trace were lost: the output was too slow",
			 words_count(lost, &records));
	log_info("trace: %s (%s, %s records)", name, words_bytes(result.bytes, &bytes),
		 words_count(result.records, &records));
	return EXIT_OK;
}

void lazy_trace_close(struct lazy_trace *t)
{
	struct writer_result result;

	chronicle_free(t->chronicle);
	t->chronicle = NULL;
	if (t->writer) {
		queue_close(t->queue);
		end(t, &result);
	}
	sink_close(t->sink);
	t->sink = NULL;
	t->queue = queue_free(t->queue);
}
