/* SPDX-License-Identifier: MIT */
/* Top loop: records in, pictures out.  See top-loop.h. */

#include "top-loop.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "sandbox.h"
#include "top-paint.h"

/* How soon a key, another size and what has come are looked at. */
#define REST_MS 50
/* Records taken before the keys are looked at again. */
#define BATCH 16384

struct top_loop {
	struct top_loop_opts o;
	struct watched *watched;
	struct queue *queue;		/* borrowed */
	uint64_t base_ns;
	pthread_t thread;
	int stop, done;			/* eventfds */
	atomic_bool hurry;

	/* The thread's. */
	struct top_view view;
	struct screen screen;
	uint64_t due;			/* when the interval ends */
	uint64_t cpu_ns, cpu_at;	/* of this process, and when that was read */
	bool closed;			/* no more records */
	bool painting, away, dirty;
	int error;
};

static void signal_fd(int fd)
{
	uint64_t one = 1;

	/* Fails only when it is readable already. */
	if (write(fd, &one, sizeof(one)) < 0)
		return;
}

/* ---- what comes ------------------------------------------------------------------------ */

static void take(struct top_loop *l, struct record *r)
{
	size_t n = record_lines(r);

	for (size_t i = 0; i < n && !l->error; i++) {
		struct record one = n == 1 && !(r->kind == RECORD_DIRTY && r->text) ?
				    *r : record_line(r, i);

		l->error = watched_record(l->watched, &one);
	}
	record_release(r);
	if (l->error)
		signal_fd(l->stop);
}

static void drain(struct top_loop *l)
{
	struct record r;
	int got = 0;

	for (unsigned int i = 0; i < BATCH && (got = queue_pop(l->queue, &r, 0)) == 1; i++) {
		if (atomic_load(&l->hurry) || l->error)
			record_release(&r);
		else
			take(l, &r);
	}
	l->closed = got == -EPIPE;
}

static void measure(struct top_loop *l, uint64_t now)
{
	struct rusage ru;
	uint64_t cpu;

	if (getrusage(RUSAGE_SELF, &ru))
		return;
	cpu = (uint64_t)(ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) * NSEC_PER_SEC +
	      (uint64_t)(ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) * 1000;
	if (l->cpu_at && now > l->cpu_at)
		l->view.cpu_ppm = (cpu - l->cpu_ns) * 1000000 / (now - l->cpu_at);
	l->cpu_ns = cpu;
	l->cpu_at = now;
}

/* The interval is over, if there is something new to say of it. */
static bool tick(struct top_loop *l, uint64_t now)
{
	bool news;

	if (now < l->due)
		return false;
	news = watched_close(l->watched, now - l->base_ns);
	/* What a collection brings comes a little later than its time: look again soon. */
	l->view.ran_ns = now - l->base_ns;
	l->due = now + (news ? l->view.interval_ns : REST_MS * NSEC_PER_MSEC);
	if (news)
		measure(l, now);
	return news;
}

/* ---- the terminal ---------------------------------------------------------------------- */

static void draw(struct top_loop *l, uint64_t now)
{
	unsigned int rows, columns;

	top_paint_size(&rows, &columns);
	if (rows != l->screen.rows || columns != l->screen.columns) {
		screen_done(&l->screen);
		if (screen_init(&l->screen, rows, columns, top_paint_unicode()) < 0)
			return;
		l->dirty = true;
	}
	if (!l->dirty)
		return;
	l->dirty = false;
	l->view.ran_ns = now - l->base_ns;
	if (!top_view_draw(&l->view, l->watched, &l->screen))
		top_paint_screen(&l->screen);
}

static void press(struct top_loop *l, int key)
{
	unsigned int lines = top_view_lines(&l->view, l->watched);

	if (key == '\f')
		top_paint_anew();
	switch (top_view_key(&l->view, key, lines, l->screen.rows)) {
	case TOP_QUIT:
		signal_fd(l->stop);
		break;
	case TOP_REDRAW:
		l->dirty = true;
		break;
	case TOP_NOTHING:
		break;
	}
}

static void keys(struct top_loop *l)
{
	int key;

	for (unsigned int i = 0; i < 64 && (key = top_paint_key()) > 0; i++)
		press(l, key);
	if (key == -EIO) {
		/* Nobody will press q any more. */
		signal_fd(l->stop);
		l->painting = false;
	}
}

/*
 * Ctrl-Z: the terminal goes back to the shell, and all of us stands still until SIGCONT.  Whoever
 * waits for an answer meanwhile is let go by the guard, which the trace calls a stall.
 */
static void suspend(struct top_loop *l)
{
	const struct timespec now = { 0 };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTSTP);
	if (sigtimedwait(&set, NULL, &now) != SIGTSTP)
		return;
	top_paint_leave();
	l->away = true;
	syscall(SYS_tgkill, getpid(), gettid(), SIGSTOP);
}

static void look(struct top_loop *l, uint64_t now, bool news)
{
	suspend(l);
	/* In the background the terminal is somebody else's. */
	if (!top_paint_in_front()) {
		if (!l->away)
			top_paint_leave();
		l->away = true;
		return;
	}
	if (l->away) {
		top_paint_return();
		l->away = false;
		l->dirty = true;
	}
	keys(l);
	if (news && !l->view.paused)
		l->dirty = true;
	if (l->painting)
		draw(l, now);
}

/* ---- the thread ------------------------------------------------------------------------ */

static void rest(struct top_loop *l)
{
	struct pollfd p = { .fd = l->painting && !l->away ? STDIN_FILENO : -1, .events = POLLIN };

	if (poll(&p, 1, REST_MS) < 0)
		return;
}

static void run(struct top_loop *l)
{
	while (!l->closed) {
		uint64_t now;
		bool news;

		drain(l);
		now = clock_now();
		news = !l->view.paused && tick(l, now);
		if (l->painting)
			look(l, now, news);
		if (news && l->o.once)
			break;
		if (!l->closed)
			rest(l);
	}
}

/* What still comes goes, so that nobody waits for it. */
static void finish(struct top_loop *l)
{
	struct record r;

	signal_fd(l->stop);
	while (!l->closed) {
		int got = queue_pop(l->queue, &r, -1);

		/* The last word on what it cost. */
		if (got == 1 && r.kind == RECORD_STATS)
			take(l, &r);
		else if (got == 1)
			record_release(&r);
		l->closed = got < 0;
	}
}

static void *top_main(void *arg)
{
	struct top_loop *l = arg;
	struct record r;
	int got = 0;

	/* Attached: the first record says so.  Before, there is nothing to see. */
	while (!got)
		got = queue_pop(l->queue, &r, -1);
	if (got == 1 && !l->o.once) {
		l->error = top_paint_begin(l->o.color);
		l->painting = !l->error;
	}
	/* The description of the terminal has been read. */
	sandbox_viewer();
	if (got == 1) {
		take(l, &r);
		measure(l, clock_now());
		l->due = clock_now() + l->view.interval_ns;
		l->dirty = true;
		if (!l->error)
			run(l);
		top_paint_end();
		finish(l);
	}
	signal_fd(l->done);
	return NULL;
}

static int start(void *arg, struct queue *q, const struct record_header *h)
{
	struct top_loop *l = arg;
	sigset_t all, before;
	int r;

	l->queue = q;
	l->base_ns = h->base_mono_ns;
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	r = -pthread_create(&l->thread, NULL, top_main, l);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (!r)
		pthread_setname_np(l->thread, "pagetap-top");
	return r;
}

static void hurry(void *arg)
{
	struct top_loop *l = arg;

	atomic_store(&l->hurry, true);
}

static int join(void *arg)
{
	struct top_loop *l = arg;

	pthread_join(l->thread, NULL);
	return l->error;
}

int top_loop_new(struct top_loop **ret, const struct top_loop_opts *opts,
		 struct recording_taker *ret_taker)
{
	struct top_loop *l = calloc(1, sizeof(*l));
	int r = l ? watched_new(&l->watched, &opts->watched) : -ENOMEM;

	if (r < 0) {
		free(l);
		return r;
	}
	l->o = *opts;
	l->view = opts->view;
	l->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	l->done = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (l->stop < 0 || l->done < 0) {
		r = -errno;
		top_loop_free(l);
		return r;
	}
	*ret_taker = (struct recording_taker){
		.arg = l, .start = start, .hurry = hurry, .finish = join,
		.stop_fd = l->stop, .done_fd = l->done,
	};
	*ret = l;
	return 0;
}

const struct watched *top_loop_watched(const struct top_loop *l)
{
	return l->watched;
}

const struct top_view *top_loop_view(const struct top_loop *l)
{
	return &l->view;
}

struct top_loop *top_loop_free(struct top_loop *l)
{
	if (!l)
		return NULL;
	close_fd(&l->stop);
	close_fd(&l->done);
	screen_done(&l->screen);
	watched_free(l->watched);
	free(l);
	return NULL;
}
