/* SPDX-License-Identifier: MIT */
/*
 * Live: a record as a line for people, in the manner of strace and perf trace.
 *
 *	0.412345 redis-server/4243  write   [heap]+0x1f000  at dictAdd+0x12 (redis-server)  6.1 us
 *
 * Time, thread, what happened, where, and what else there is to say: how many pages, by which
 * code, how long the thread stood still.  Records that only explain others have no line.
 * Pure; to be called after model_record() has seen the record.  Names are made harmless.
 */
#ifndef REPORT_LIVE_H
#define REPORT_LIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "report/model.h"

struct live;

/*
 * What the code at ip is called, into buf, NUL-terminated and harmless.  vma: what lies there,
 * NULL: nobody knows.  False: there is no better name than the mapping's.
 */
typedef bool (*live_code)(void *arg, const struct model_vma *vma, uint64_t ip, char *buf,
			  size_t cap);

struct live_opts {
	const struct model *model;	/* borrowed */
	bool color;
	bool who;		/* faults tell who wrote; so dirty records have no lines */
	bool maps;		/* new mappings have lines */
	bool wall;		/* the time of day, else since the base of the trace */
	uint64_t base_real_ns;	/* of the header; for wall */
	int64_t utc_offset_s;	/* of local time; for wall */
	live_code code;		/* NULL: mappings */
	void *code_arg;
};

/* -ENOMEM. */
int live_new(struct live **ret, const struct live_opts *opts);
/* NULL in, NULL out. */
struct live *live_free(struct live *l);

/* The longest line, its newline included. */
#define LIVE_LINE_MAX 4096
/* The line into buf, not NUL-terminated; its length, 0: it has none.  -ENOMEM. */
int64_t live_line(struct live *l, const struct record *r, char buf[LIVE_LINE_MAX]);

/*
 * Where an address is: "[heap]+0x1f000", "libc.so.6+0x1c2000" (the place in the file),
 * "anon 0x7f3c036db000" for what has no name of its own, "0x7f3c036db000".
 */
const char *live_place(const struct model_vma *vma, uint64_t addr, char *buf, size_t cap);
/* What happened, in one word: "write", "missing", "dirty", "gap". */
const char *live_kind(const struct record *r);

#endif
