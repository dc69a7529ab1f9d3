/* SPDX-License-Identifier: MIT */
/*
 * Cmd report: the pieces of a report, each a file; cmd-report.c puts them in order.
 *
 * Text goes to standard output.  Names of the target are escaped on their way.
 */
#ifndef MONITOR_CMD_REPORT_H
#define MONITOR_CMD_REPORT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "report/chains.h"
#include "report/loaded.h"

struct report_view {
	const struct loaded *l;
	const struct pick *pick;
	const char *name;	/* of the file, escaped */
	bool color;
	bool terminal;		/* names are cut to the width of a line */
	unsigned int width;	/* columns */
	bool heatmap;		/* with heat maps (JSON) */
	uint64_t top;		/* rows of a table at most; 0: all */
	const struct chains *chains;	/* of writes whose code is known; NULL: there are none */
};

/* The width of standard output: COLUMNS, else the terminal's, else 80. */
unsigned int report_width(void);

/* Totals, losses and gaps first. */
void report_totals(const struct report_view *v);

/* Tables.  0, -ENOMEM. */
int report_by_mapping(const struct report_view *v);
int report_by_thread(const struct report_view *v);
int report_by_page(const struct report_view *v);
int report_by_process(const struct report_view *v);
/* Asks for chains. */
int report_by_symbol(const struct report_view *v);
/* The nodes of the chain in which a function wrote most, itself first; how many. */
#define REPORT_CHAIN_MAX 256		/* deeper ones lose their outermost frames */
size_t report_chain(const struct chains *c, const struct chains_row *row, uint32_t *ret);

/* Rate and working set: percentiles, and with `course` window by window. */
void report_rate(const struct report_view *v, bool course);
/* How long answers took; nothing where nobody waited. */
void report_latency(const struct report_view *v);
/* Addresses against time, a map a mapping, at most v->top of them. */
int report_heat(const struct report_view *v);

/* All of it as one JSON object on one line: at most v->top rows of each kind.  0, -ENOMEM. */
int report_json(const struct report_view *v, const char *path);

/* What the pieces share. */

/* A part begins: an empty line and its title. */
void report_title(const struct report_view *v, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* A name of the target, escaped, and on a terminal cut to that many columns. */
const char *report_name(const struct report_view *v, struct model_text t, unsigned int columns,
			char *buf, size_t cap);
/* What a thread is called; "-" where nobody knows. */
struct model_text report_comm(const struct report_view *v, int32_t pid, uint32_t mm, int32_t tid);
/* part of all in 100, as "12.3 %"; "-" of nothing. */
struct report_share {
	char s[16];
};
const char *report_share(uint64_t part, uint64_t all, struct report_share *ret);
/* What the time and place of is counted: writes, or faults where writes are not watched. */
uint64_t report_weight(const struct report_view *v, const struct tally_counts *c);
const char *report_noun(const struct report_view *v);
/* How many rows a table has of n. */
size_t report_rows(const struct report_view *v, size_t n);
/* "... and 12 more (--top 0 shows all)" */
void report_more(size_t shown, size_t n);

#endif
