/* SPDX-License-Identifier: MIT */
/* Cmd report, html: what the report needs beside the tally, and the file it makes of it. */
#ifndef MONITOR_CMD_REPORT_HTML_H
#define MONITOR_CMD_REPORT_HTML_H

#include "report/loaded.h"
#include "report/symbols.h"
#include "scribe.h"

struct report_html;

/* The model is borrowed until report_html_free().  -ENOMEM. */
int report_html_new(struct report_html **ret, const struct model *m);
/* For loaded_read(), arg is the struct.  -ENOMEM. */
int report_html_record(void *arg, const struct reader_record *r);
/* NULL in, NULL out. */
struct report_html *report_html_free(struct report_html *h);

/*
 * Write the page of that trace to path, as the outputs of other commands are opened.  Says
 * what went wrong; the exit status.
 */
int report_html_write(struct report_html *h, const struct loaded *l, const struct pick *pick,
		      struct symbols *symbols, const char *trace, const char *path,
		      const struct apart *scribe);

#endif
