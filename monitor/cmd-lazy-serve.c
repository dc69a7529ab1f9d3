/* SPDX-License-Identifier: MIT */
/* Lazy serve: the pages of a checkpoint, from opening it to the last one.  See lazy-serve.h. */

#include "lazy-serve.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/limit.h"
#include "cmd.h"
#include "exit.h"
#include "restore/handoff.h"
#include "restore/keeper.h"
#include "restore/pager.h"
#include "sandbox.h"
#include "signals.h"
#include "watch/watchable.h"
#include "words.h"

#define FILLERS_MIN 2
#define FILLERS_MOST 4

static void say(void *arg, enum pager_tone tone, const char *words)
{
	(void)arg;
	switch (tone) {
	case PAGER_DETAIL:
		log_verbose("%s", words);
		break;
	case PAGER_NOTE:
		log_info("%s", words);
		break;
	case PAGER_WARNING:
		log_warn("%s", words);
		break;
	case PAGER_ERROR:
		log_error("%s", words);
		break;
	}
}

/* Of the checkpoint, or (then *ret_remote is one) of a page server. */
static int open_source(const struct lazy_options *o, struct lazy *l)
{
	int r;

	if (!o->remote.on)
		return images_source(&l->images, &l->source);
	r = remote_source_open(&o->remote, l->images.dir, &l->images.image, &l->remote);
	l->source = l->remote.source;
	return r;
}

/* What an earlier trace says was touched first. */
static int read_prefetch(const struct lazy_options *o, const struct image *image,
			 struct prefetch *ret)
{
	_close_ int fd = open(o->prefetch, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	struct prefetch_problem why;
	struct words words;
	int r;

	if (fd < 0) {
		log_error("%s: %s", o->prefetch, strerror(errno));
		return EXIT_RUNTIME;
	}
	r = prefetch_read_apart(fd, image, sandbox_parser, ret, &why);
	if (r < 0) {
		log_error("%s: %s", o->prefetch, why.text);
		return r == -EPROTONOSUPPORT ? EXIT_UNSUPPORTED : EXIT_RUNTIME;
	}
	if (!ret->pages)
		log_warn("%s: it touches no page of this checkpoint", o->prefetch);
	else
		log_verbose("%s: %s pages first", o->prefetch, words_count(ret->pages, &words));
	return EXIT_OK;
}

static unsigned int fillers(const struct lazy_options *o)
{
	cpu_set_t cpus;
	unsigned int n = FILLERS_MIN;

	if (o->threads)
		return (unsigned int)o->threads;
	if (!sched_getaffinity(0, sizeof(cpus), &cpus))
		n = (unsigned int)CPU_COUNT(&cpus);
	return n < FILLERS_MIN ? FILLERS_MIN : n > FILLERS_MOST ? FILLERS_MOST : n;
}

static void sum_up(const struct pager_result *r)
{
	const struct owed_totals *t = &r->totals;
	uint64_t came = t->ended[OWED_ARRIVED] + t->ended[OWED_THERE];
	struct words a, b, c, d;

	log_info("%s of %s pages in %s, %s of them for faults", words_count(came, &a),
		 words_count(t->added, &b), words_duration(r->took_ns, &c),
		 words_count(r->counts.faults, &d));
	if (came < t->added)
		log_info("not wanted any more: %s unmapped, %s dropped, %s of processes that ended",
			 words_count(t->ended[OWED_UNMAPPED], &a),
			 words_count(t->ended[OWED_REMOVED], &b),
			 words_count(t->ended[OWED_GONE], &c));
}

static int verdict(const struct lazy_options *o, const struct pager_result *r)
{
	const struct owed_totals *t = &r->totals;
	struct words a;

	if (r->end == PAGER_NO_RESTORE)
		return EXIT_RUNTIME;
	if (!o->accompanied)
		sum_up(r);
	if (t->ended[OWED_POISONED])
		log_error("%s pages could not be read: who touches one gets SIGBUS",
			  words_count(t->ended[OWED_POISONED], &a));
	if (t->ended[OWED_LOST])
		log_error("%s pages have no place: their addresses were not handed over",
			  words_count(t->ended[OWED_LOST], &a));
	return r->end == PAGER_COMPLETE ? EXIT_OK : EXIT_RUNTIME;
}

/* The pager has begun. */
static void confine(void *arg)
{
	const struct lazy_options *o = arg;

	sandbox_pager(o->trace, http_url_is(o->images.path));
}

static bool watches_writes(const struct lazy_options *o)
{
	return o->mode && !strcmp(o->mode, "write");
}

int lazy_check(const struct lazy_options *o, const struct option_page *page)
{
	if (o->remote.on && !o->remote.port)
		return cmd_usage(page, "--page-server needs a --port");
	if (!o->remote.on && (o->remote.address || o->remote.port || o->remote.tls.on))
		return cmd_usage(page, "options of a page server, but no --page-server");
	if (watches_writes(o) && !o->trace)
		return cmd_usage(page, "--mode write needs an output: -o FILE");
	return images_check(&o->images, page);
}

static int note_open(struct keeper_fds *ret)
{
	int r = keeper_fds_note(ret);

	if (r < 0)
		log_error("/proc/self/fd: %s", strerror(-r));
	return r < 0 ? EXIT_RUNTIME : EXIT_OK;
}

int lazy_open(const struct lazy_options *o, struct lazy *ret)
{
	struct handoff_problem why;
	uint64_t features;
	int status = watches_writes(o) ? cmd_probe(WATCH_MODE_WRITE, &features) : EXIT_OK;

	if (status == EXIT_OK)
		status = images_open(&o->images, &ret->images);

	if (status == EXIT_OK && o->prefetch)
		status = read_prefetch(o, &ret->images.image, &ret->prefetch);
	if (status == EXIT_OK)
		status = note_open(&ret->before);
	if (status == EXIT_OK)
		status = open_source(o, ret);
	if (status == EXIT_OK)
		status = note_open(&ret->after);
	if (status == EXIT_OK)
		status = lazy_trace_open(&ret->trace, o->trace);
	if (status != EXIT_OK)
		return status;
	/* Every process brings a descriptor, and every fork of one another. */
	limit_raise_descriptors();
	ret->listener = handoff_listen(o->work, &why);
	if (ret->listener >= 0)
		return EXIT_OK;
	log_error("%s: %s", o->work, why.text);
	return ret->listener == -EPERM ? EXIT_NOT_PERMITTED : EXIT_RUNTIME;
}

/* What the pager's process works with. */
struct serving {
	const struct lazy_options *o;
	struct lazy *l;
	struct roster *roster;
	int asked;
};

static bool kills(const struct lazy_options *o)
{
	return o->on_death && !strcmp(o->on_death, "kill");
}

/* Connections are of the process that died; what is mapped is here as well. */
static int reopen_source(const struct lazy_options *o, struct lazy *l)
{
	int r = EXIT_OK;

	if (o->remote.on) {
		r = remote_source_reopen(&o->remote, l->images.dir, &l->images.image, &l->remote);
		l->source = l->remote.source;
	} else if (l->images.site) {
		r = images_source(&l->images, &l->source);
	}
	return r;
}

static int run_pager(void *arg, bool again)
{
	struct serving *s = arg;
	struct lazy *l = s->l;
	struct pager_setup setup = {
		.image = &l->images.image, .source = l->source, .roster = s->roster,
		.signals = s->asked, .fillers = fillers(s->o), .figures = s->o->figures,
		.pidfds = kills(s->o), .accompanied = s->o->accompanied,
		.resumed = s->o->resumed, .writes = watches_writes(s->o),
		.prefetch = s->o->prefetch ? &l->prefetch : NULL,
		.leave = s->o->cold && !strcmp(s->o->cold, "leave"), .say = say,
		.confine = confine, .arg = (void *)(uintptr_t)s->o,
	};
	struct pager_result result;
	int r, status = EXIT_OK;

	if (!again)
		status = lazy_trace_start(&l->trace, setup.writes, s->o->argv);
	else if (s->o->trace)
		log_warn("%s: the trace ends where the pager died", s->o->trace);
	if (status != EXIT_OK)
		return status;
	setup.chronicle = l->trace.chronicle;
	if (again && reopen_source(s->o, l) != EXIT_OK)
		return -EAGAIN;
	setup.source = l->source;
	r = pager_run(&setup, &result);
	if (r == -EAGAIN)
		return r;
	if (r < 0) {
		log_error("cannot serve: %s", strerror(-r));
		return EXIT_RUNTIME;
	}
	status = verdict(s->o, &result);
	r = lazy_trace_finish(&l->trace, s->asked);
	status = status == EXIT_OK ? r : status;
	if (l->remote.source && status == EXIT_OK)
		remote_source_finish(&l->remote);
	else if (status == EXIT_OK)
		images_source_finish(&l->images, l->source);
	return status;
}

static int keep(struct serving *s, int *ret_status)
{
	_close_ int signals = -1, asked = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct keeper_setup setup = {
		.roster = s->roster, .kill = kills(s->o), .pager = run_pager,
		.before = &s->l->before, .after = &s->l->after, .say = say, .arg = s,
	};
	sigset_t old;
	int r = asked < 0 ? -errno : signals_take(&signals, &old);

	setup.signals = signals;
	setup.asked = s->asked = asked;
	return r ? r : keeper_run(&setup, ret_status);
}

int lazy_serve(const struct lazy_options *o, struct lazy *l)
{
	struct serving s = { .o = o, .l = l };
	int status, r = roster_new(&l->images.image, l->listener, &s.roster);

	l->listener = r ? l->listener : -1;
	if (!r)
		r = keep(&s, &status);
	roster_free(s.roster);
	handoff_unlink(o->work);
	if (r < 0)
		log_error("cannot serve: %s", strerror(-r));
	return r < 0 ? EXIT_RUNTIME : status;
}

void lazy_leave(struct lazy *l)
{
	l->source = NULL;
	l->remote = REMOTE_NULL;
	l->trace = (struct lazy_trace){ 0 };
}

void lazy_close(struct lazy *l)
{
	close_fd(&l->listener);
	lazy_trace_close(&l->trace);
	prefetch_free(&l->prefetch);
	if (l->remote.source || l->remote.tls)
		remote_source_close(&l->remote);
	else if (l->source)
		l->source->ops->free(l->source);
	l->source = NULL;
	images_close(&l->images);
	keeper_fds_free(&l->before);
	keeper_fds_free(&l->after);
}
