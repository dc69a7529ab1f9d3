/* SPDX-License-Identifier: MIT */
/*
 * Loaded: a whole trace, read once: who was who, and how much of what.
 *
 * Wires walk, model, pick and tally; decides nothing itself and prints nothing.
 */
#ifndef REPORT_LOADED_H
#define REPORT_LOADED_H

#include "report/model.h"
#include "report/pick.h"
#include "report/tally.h"
#include "report/walk.h"

struct loaded {
	struct walk *walk;	/* its header is good until loaded_done() */
	struct model *model;
	struct tally *tally;	/* of what was asked for */
	struct walk_end end;
};

#define LOADED_NULL { .walk = NULL }

/* As walk_open(). */
int loaded_open(struct loaded *ret, const char *path, struct reader_error *ret_why);
/*
 * Read it all.  `also`, if any, is called for each record that pick takes, after model and
 * tally have seen it.  As walk_run().
 */
int loaded_read(struct loaded *l, struct pick *pick, walk_record also, void *arg);
void loaded_done(struct loaded *l);

#endif
