/* SPDX-License-Identifier: MIT */
/*
 * HTML: a whole report as one file that needs nothing but a browser.
 *
 * Pure: what was counted goes in, bytes go out through a callback.  Everything in it is
 * bounded, so that the file stays below HTML_BYTES_MAX however long the trace was: cells of
 * the heat map are merged, tables and names are cut, and it says so.
 */
#ifndef REPORT_HTML_H
#define REPORT_HTML_H

#include "report/chains.h"
#include "report/html-events.h"
#include "report/html-text.h"
#include "report/model.h"
#include "report/tally.h"
#include "report/walk.h"

#define HTML_BYTES_MAX (UINT64_C(2) << 20)

struct html_report {
	const char *path;			/* what the reader calls the trace */
	const struct reader_header *header;
	const struct walk_end *end;
	const struct model *model;
	struct tally *tally;			/* its heat maps are sorted; else not changed */
	const struct chains *chains;		/* sorted; NULL: there are no chains of calls */
	const struct html_events *events;
	const char *asked;			/* what part of the trace it is about; NULL: all */
};

/* 0, or the first error of p; -ENOMEM; -ENOTRECOVERABLE: no hash to be had. */
int html_write(struct pen *p, const struct html_report *r);

#endif
