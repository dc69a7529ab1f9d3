/* SPDX-License-Identifier: MIT */
/*
 * Watched: what a live screen shows of a session, brought up to date record by record.
 *
 * Pure.  Pages written, by the rule of report/tally.h, for each mapping; first writes with
 * somebody to them, for each thread and each piece of code; what is missing; what it costs.
 */
#ifndef REPORT_WATCHED_H
#define REPORT_WATCHED_H

#include <stdbool.h>
#include <stdint.h>

#include "report/lexicon.h"
#include "report/live.h"
#include "report/model.h"
#include "report/pulse.h"
#include "report/tally.h"

struct watched_opts {
	uint32_t page_size;
	enum tally_engine engine;
	bool writes;			/* these are watched; else faults of other kinds count */
	uint64_t epoch_ns;		/* of the asynchronous engine */
	live_code code;			/* may be NULL */
	void *code_arg;
};

/* Everything is for reading. */
struct watched {
	struct watched_opts o;
	struct model *model;
	struct pulse mappings;		/* a: index of the mapping in the model, + 1; 0: unknown */
	struct pulse threads;		/* a: pid, b: tid */
	struct pulse code;		/* a: address of a word of the lexicon */
	uint64_t faults_who;		/* that told who */
	uint64_t gaps, lost;
	bool uncounted;			/* of a loss nobody knows how much it was */
	struct record_stats stats;
	bool has_stats;
	unsigned int spaces;		/* attached to, forked, executed */
	/* Private. */
	struct lexicon *words;
	struct keys ips;
	const char **names;		/* of ips */
	size_t names_room;
	uint64_t covered;		/* ts up to which dirty records have told */
	uint64_t told;			/* the latest ts of them */
};

/* -ENOMEM. */
int watched_new(struct watched **ret, const struct watched_opts *opts);
/* -ENOMEM.  The record stays the caller's. */
int watched_record(struct watched *w, const struct record *r);
/*
 * Time has come for an interval to end; ts: now.  False: nothing new has been collected since
 * the last one, and the rates are still those.
 */
bool watched_close(struct watched *w, uint64_t ts);
/* NULL in, NULL out. */
struct watched *watched_free(struct watched *w);

/* Which mapping a row is of; NULL: unknown, or all those that are too many. */
const struct model_vma *watched_vma(const struct watched *w, const struct pulse_row *row);
/* What a row is called, into buf, not harmless.  Returns buf. */
const char *watched_thread(const struct watched *w, const struct pulse_row *row, char *buf,
			   size_t cap);
const char *watched_mapping(const struct watched *w, const struct pulse_row *row, char *buf,
			    size_t cap);
const char *watched_code(const struct pulse_row *row);

#endif
