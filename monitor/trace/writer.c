/* SPDX-License-Identifier: MIT */
/*
 * Writer: the loop of the thread behind the queue.  See writer.h.
 *
 * Lines are collected and handed on when there are many of them or when the oldest
 * has waited long enough for a reader to notice; so a busy trace costs few system
 * calls and a quiet one is never behind.
 */

#include "trace/writer.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "trace/account.h"

#define BATCH_BYTES (256u * 1024)
#define LINE_AGE_MAX (100 * NSEC_PER_MSEC)
/* A compressed file that is cut loses its last frame: a second at most. */
#define FLUSH_PERIOD NSEC_PER_SEC
/* With drop: how long a slow reader may still take over the last lines. */
#define HURRY_MS 500
/* `lost`, the final stats and `detach`, with room to spare. */
#define LAST_WORDS_MAX (4 * RECORD_LINE_MAX)

struct writer {
	struct queue *queue;	/* borrowed */
	struct sink *sink;	/* borrowed */
	uint32_t page_size;
	const struct writer_form *form;	/* borrowed; NULL: the trace */
	int failed, done, full;	/* eventfds */
	atomic_bool drop;
	_Atomic uint64_t limit;	/* 0: none */
	void (*begin)(void);	/* may be NULL */
	pthread_t thread;

	/* The thread's. */
	char *buf;
	size_t len;
	uint64_t oldest;	/* when the first line in buf was made */
	uint64_t flush_due;	/* UINT64_MAX: nothing to flush */
	uint64_t lines;		/* made, the header included */
	struct account account;
	uint64_t last_ts;
	bool at_limit;
	bool enough;		/* so many lines as the form wants */
	struct record final, detach;	/* last words, once the output has failed */
	int error;
};

static void signal_fd(int fd)
{
	uint64_t one = 1;

	/* Fails only when it is readable already. */
	if (write(fd, &one, sizeof(one)) < 0)
		return;
}

static void fail(struct writer *w, int error)
{
	w->error = error;
	w->len = 0;
	w->flush_due = UINT64_MAX;
	signal_fd(w->failed);
}

static void flush(struct writer *w)
{
	int r = w->error ? 0 : sink_flush(w->sink);

	w->flush_due = UINT64_MAX;
	if (r < 0)
		fail(w, r);
	else if (!w->error && sink_framed(w->sink))
		account_mark(&w->account, sink_bytes(w->sink), w->lines);
}

static void hand_over(struct writer *w)
{
	uint64_t now;
	int r;

	if (!w->len || w->error)
		return;
	r = sink_write(w->sink, w->buf, w->len);
	w->len = 0;
	if (r < 0) {
		fail(w, r);
		return;
	}
	now = clock_now();
	if (w->flush_due == UINT64_MAX)
		w->flush_due = now + FLUSH_PERIOD;
	else if (now >= w->flush_due)
		flush(w);
}

/* Where lines are bytes, each end of a line is one to go back to. */
static void mark(struct writer *w)
{
	uint64_t bytes = sink_bytes(w->sink) + w->len;

	if (!sink_framed(w->sink) && account_since_mark(&w->account, bytes) >= ACCOUNT_STEP)
		account_mark(&w->account, bytes, w->lines);
}

/* The two that tell how it ended. */
static bool is_last_word(const struct record *r)
{
	return r->kind == RECORD_DETACH || (r->kind == RECORD_STATS && r->stats.final);
}

/* Would a line of n bytes take the room of what is to be said at the end? */
static bool is_too_much(struct writer *w, const struct record *r, uint64_t n)
{
	uint64_t limit = atomic_load_explicit(&w->limit, memory_order_relaxed);

	/* What compression makes of the lines in hand is not known yet. */
	n = sink_framed(w->sink) ? 0 : n + w->len;
	if (!limit || is_last_word(r) || r->kind == RECORD_LOST)
		return false;
	if (!w->at_limit && sink_bytes(w->sink) + n + LAST_WORDS_MAX > limit) {
		w->at_limit = true;
		signal_fd(w->full);
	}
	return w->at_limit;
}

static int64_t form_line(struct writer *w, const struct record *r)
{
	char *at = w->buf + w->len;

	if (w->form)
		return w->form->line(w->form->arg, r, w->account.seq + 1, at,
				     RECORD_TEXT_LINE_MAX);
	return record_format(r, w->account.seq + 1, w->page_size, at, RECORD_TEXT_LINE_MAX);
}

static void put_line(struct writer *w, const struct record *r)
{
	int64_t n;

	if (w->enough)
		return;
	if (!w->len)
		w->oldest = clock_now();
	n = form_line(w, r);
	if (!n)
		return;
	if (n < 0 || is_too_much(w, r, (uint64_t)n)) {
		account_lose(&w->account, r);
		return;
	}
	w->account.seq++;
	w->lines++;
	w->len += (size_t)n;
	if (w->form && w->account.seq == w->form->most) {
		w->enough = true;
		signal_fd(w->full);
	}
	mark(w);
	if (w->len >= BATCH_BYTES)
		hand_over(w);
}

static void declare_lost(struct writer *w, uint64_t ts)
{
	struct record lost = account_declare(&w->account, ts);

	put_line(w, &lost);
}

/* The output has failed: count, and keep what is to be said at its end. */
static void take_last_word(struct writer *w, const struct record *r)
{
	if (!is_last_word(r))
		account_take(&w->account, r);
	else if (r->kind == RECORD_DETACH)
		w->detach = *r;
	else
		w->final = *r;
}

/* One line, or none. */
static void take_line(struct writer *w, struct record *r)
{
	struct account *a = &w->account;

	w->last_ts = r->ts;
	if (w->error) {
		take_last_word(w, r);
		record_release(r);
		return;
	}
	account_take(a, r);
	if ((atomic_load_explicit(&w->drop, memory_order_relaxed) ||
	     w->at_limit) &&
	    !is_last_word(r) && r->kind != RECORD_LOST) {
		account_lose(a, r);
		record_release(r);
		return;
	}
	/* At the limit once for all, when no more can be lost. */
	if (a->lost && (!w->at_limit || is_last_word(r)))
		declare_lost(w, r->ts);
	/* Whoever made it did not know what is lost behind the queue. */
	if (r->kind == RECORD_STATS)
		r->stats.lost = a->lost_total;
	put_line(w, r);
	record_release(r);
}

static void take(struct writer *w, struct record *r)
{
	size_t n = record_lines(r);
	struct record one;

	if (n == 1 && !(r->kind == RECORD_DIRTY && r->text)) {
		take_line(w, r);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		one = record_line(r, i);
		take_line(w, &one);
	}
	record_release(r);
}

/* What the session calls an error, by the name of the output's. */
static uint8_t reason_of(int error)
{
	switch (error) {
	case -ENOSPC:
	case -EDQUOT:
	case -EFBIG:
		return DETACH_NOSPACE;
	case -EPIPE:
		return DETACH_PIPE;
	default:
		return DETACH_ERROR;
	}
}

/*
 * The output has failed, and shall tell all the same what is missing and how it
 * ended.  A full disk has no room for that but what the last lines take: the words
 * are written over them.  Where that cannot be done the trace is one that was cut.
 */
static void last_words(struct writer *w)
{
	struct account_place at;

	if (w->final.kind != RECORD_STATS || w->detach.kind != RECORD_DETACH)
		return;
	at = account_back(&w->account, sink_room(w->sink), 3 * RECORD_LINE_MAX);
	w->len = 0;
	declare_lost(w, w->final.ts);
	w->final.stats.lost = w->account.lost_total;
	if (w->detach.detach.reason == DETACH_ERROR)
		w->detach.detach.reason = reason_of(w->error);
	put_line(w, &w->final);
	put_line(w, &w->detach);
	sink_amend(w->sink, at.bytes, at.lines, w->buf, w->len);
	w->len = 0;
}

static int ms_until(uint64_t due)
{
	uint64_t now = clock_now();

	if (due == UINT64_MAX)
		return -1;
	return now >= due ? 0 : (int)((due - now + NSEC_PER_MSEC - 1) / NSEC_PER_MSEC);
}

/* Nothing is queued: rest, or bring out what is old enough. */
static void idle(struct writer *w)
{
	int ms = w->len ? ms_until(w->oldest + LINE_AGE_MAX) : 0;

	if (ms) {
		queue_doze(w->queue, ms);
		return;
	}
	hand_over(w);
	if (!ms_until(w->flush_due))
		flush(w);
}

static void *writer_main(void *arg)
{
	struct writer *w = arg;
	struct record r;
	int got;

	if (w->begin)
		w->begin();
	while ((got = queue_pop(w->queue, &r, w->len ? 0 : ms_until(w->flush_due))) >= 0) {
		if (got)
			take(w, &r);
		else
			idle(w);
	}
	if (w->account.lost && !w->error)
		declare_lost(w, w->last_ts);
	hand_over(w);
	flush(w);
	if (w->error)
		last_words(w);
	signal_fd(w->done);
	return NULL;
}

static struct writer *writer_free(struct writer *w)
{
	close_fd(&w->failed);
	close_fd(&w->done);
	close_fd(&w->full);
	free(w->buf);
	free(w);
	return NULL;
}

static int write_header(struct writer *w, const struct record_header *h)
{
	const size_t cap = BATCH_BYTES + RECORD_TEXT_LINE_MAX;
	int64_t n = w->form ? w->form->head(w->form->arg, h, w->buf, cap) :
			      record_format_header(h, w->buf, cap);
	int r;

	if (n <= 0)
		return (int)n;
	r = sink_write(w->sink, w->buf, (size_t)n);
	if (!r)
		r = sink_flush(w->sink);
	w->lines = 1;
	account_mark(&w->account, sink_bytes(w->sink), w->lines);
	return r;
}

/* Signals are for the threads that expect them. */
static int start_thread(struct writer *w)
{
	sigset_t all, before;
	int r;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	r = -pthread_create(&w->thread, NULL, writer_main, w);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (!r)
		pthread_setname_np(w->thread, "pagetap-writer");
	return r;
}

int writer_start(struct writer **ret, struct queue *q, struct sink *s,
		 const struct record_header *h, void (*begin)(void),
		 const struct writer_form *form)
{
	struct writer *w = calloc(1, sizeof(*w));
	int r;

	if (!w)
		return -ENOMEM;
	w->queue = q;
	w->sink = s;
	w->begin = begin;
	w->form = form;
	w->page_size = h->page_size;
	w->flush_due = UINT64_MAX;
	w->buf = malloc(BATCH_BYTES + RECORD_TEXT_LINE_MAX);
	w->failed = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	w->done = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	w->full = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (w->failed < 0 || w->done < 0 || w->full < 0 || !w->buf)
		r = w->buf ? -errno : -ENOMEM;
	else
		r = write_header(w, h);
	if (!r)
		r = start_thread(w);
	if (r < 0) {
		writer_free(w);
		return r;
	}
	*ret = w;
	return 0;
}

void writer_limit(struct writer *w, uint64_t bytes)
{
	atomic_store(&w->limit, bytes);
}

int writer_full_fd(const struct writer *w)
{
	return w->full;
}

int writer_fd(const struct writer *w)
{
	return w->failed;
}

int writer_done_fd(const struct writer *w)
{
	return w->done;
}

void writer_hurry(struct writer *w)
{
	atomic_store(&w->drop, true);
	sink_hurry(w->sink, HURRY_MS);
}

void writer_finish(struct writer *w, bool drop, struct writer_result *ret)
{
	uint64_t lines;

	if (drop)
		writer_hurry(w);
	pthread_join(w->thread, NULL);
	lines = sink_lines(w->sink);
	*ret = (struct writer_result){
		.records = lines ? lines - 1 : 0,
		.bytes = sink_bytes(w->sink),
		.error = w->error,
		.gone = sink_gone(w->sink),
	};
	writer_free(w);
}
