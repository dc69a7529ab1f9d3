/* SPDX-License-Identifier: MIT */
/*
 * HTML, page: the file around the data: its template, style sheets and scripts, which
 * the program carries, and the policy that allows these and nothing else.
 *
 * Pure.  Knows nothing of traces.
 */
#ifndef REPORT_HTML_PAGE_H
#define REPORT_HTML_PAGE_H

#include "report/html-text.h"

struct html_page {
	/* Each is called once, title twice. */
	void (*title)(struct pen *p, const void *arg);	/* as text between tags */
	void (*summary)(struct pen *p, const void *arg);	/* markup, without scripts */
	void (*data)(struct pen *p, const void *arg);	/* the JSON of page.js */
	const void *arg;
};

/* The whole file.  0, or the first error of p; -ENOTRECOVERABLE: no hash to be had. */
int html_page_write(struct pen *p, const struct html_page *page);

#endif
