/* SPDX-License-Identifier: MIT */
/*
 * Top loop: the thread that takes the records of a session and shows them, in the place of a
 * writer (struct recording_taker).
 *
 * It never touches the target, and what it has no time for is dropped and counted by the
 * queue.  The terminal is its from the first record on, and given back before it ends.
 */
#ifndef MONITOR_TOP_LOOP_H
#define MONITOR_TOP_LOOP_H

#include "recording.h"
#include "top-view.h"

struct top_loop;

struct top_loop_opts {
	struct top_view view;		/* how it begins */
	struct watched_opts watched;
	bool once;			/* no terminal: end after one interval */
	bool color;
};

/* ret_taker: to be given to a recording; borrows the loop.  -ENOMEM, -errno of eventfd(2). */
int top_loop_new(struct top_loop **ret, const struct top_loop_opts *opts,
		 struct recording_taker *ret_taker);
/* What was seen, for who looks at it after the end; borrowed. */
const struct watched *top_loop_watched(const struct top_loop *l);
const struct top_view *top_loop_view(const struct top_loop *l);
/* Ended by its taker before.  NULL in, NULL out. */
struct top_loop *top_loop_free(struct top_loop *l);

#endif
