/* SPDX-License-Identifier: MIT */
/*
 * Lazy serve: what each command that brings the pages of a checkpoint does.
 *
 *	lazy_open(&o, &l)	checkpoint, pages and socket are there, or it is said why not
 *	lazy_serve(&o, &l)	until all is over
 *	lazy_close(&l)		in every case
 *
 * A struct lazy stays where it is from the first to the last.
 */
#ifndef MONITOR_LAZY_SERVE_H
#define MONITOR_LAZY_SERVE_H

#include "images-args.h"
#include "lazy-trace.h"
#include "remote-args.h"
#include "restore/figures.h"
#include "restore/keeper.h"
#include "restore/prefetch.h"

struct lazy_options {
	struct images_args images;	/* the checkpoint */
	const char *work;		/* where the socket is */
	struct remote_args remote;
	uint64_t threads;		/* that copy; 0: as many as seems right */
	const char *on_death;		/* of the pager: "kill" what was restored, else go on */
	/* Memory that is shared with who wants to know how far it is; NULL: nobody does. */
	struct figures *figures;
	const char *mode;		/* "missing" (NULL: that) or "write" */
	const char *cold;		/* "fill" (NULL: that) or "leave" */
	const char *prefetch;		/* a trace that says what is filled first; NULL: none */
	const char *trace;		/* the file of it; NULL: none */
	const char *const *argv;	/* how we were called, for the trace */
	int resumed;			/* an eventfd, told when the processes run; -1 */
	/* Somebody else sees how the restore ends, and says so, and the sums of it. */
	bool accompanied;
};

struct lazy {
	struct images images;
	struct source *source;
	struct remote remote;
	struct lazy_trace trace;
	struct prefetch prefetch;
	int listener;			/* -1: not yet, or not any more */
	struct keeper_fds before, after;	/* what was open around opening the source */
};

#define LAZY_NULL ((struct lazy){ .listener = -1 })

/* Do these go together?  EXIT_OK, or EXIT_USAGE after it has been said what does not. */
int lazy_check(const struct lazy_options *o, const struct option_page *page);
/* EXIT_OK, or the exit status after it has been said what is wrong. */
int lazy_open(const struct lazy_options *o, struct lazy *ret);
/*
 * The exit status, after the result has been said.  Takes the signals of this thread and of
 * those that it makes; the file of the socket is gone afterwards.  The pager runs in a
 * process of its own, which may die (keeper.h), and this may return in another process
 * than it was called in, if that one has died.
 */
int lazy_serve(const struct lazy_options *o, struct lazy *l);
/* A child goes on with it: a page server is not told goodbye from here, no trace ended. */
void lazy_leave(struct lazy *l);
/* Also of LAZY_NULL. */
void lazy_close(struct lazy *l);

#endif
