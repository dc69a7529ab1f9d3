/* SPDX-License-Identifier: MIT */
/*
 * HTML, parts: what the files of the HTML report tell each other.
 *
 * Private to html*.c.  Each function writes the value of one key of the JSON object that
 * page.js describes.
 */
#ifndef REPORT_HTML_PARTS_H
#define REPORT_HTML_PARTS_H

#include "report/html.h"

#define HTML_MAPS_MAX 60	/* rows of the table of mappings */
#define HTML_STRIPS_MAX 40	/* of these, in the heat map */

struct html_state {
	const struct html_report *r;
	/* Labels with something to tell, the hottest first. */
	uint32_t *ranked;		/* owned */
	size_t n_ranked;
	int error;			/* -ENOMEM of a part */
};

/* What the heat map and the curves count: "write", or "fault" where writes are not watched. */
const char *html_unit(const struct html_report *r);
/* How often that was, for a label. */
uint64_t html_count(const struct html_report *r, uint32_t label);

/*
 * What was written between two collections is told all at once: in less time than this
 * nothing would be seen, or all.  0: each write is told as it happens.
 */
uint64_t html_collection_ns(const struct html_report *r);

/* Sentences of ours and of escaped names. */
void html_losses(const struct html_report *r, void (*say)(void *arg, const char *words), void *arg);
void html_totals(const struct html_report *r,
		 void (*say)(void *arg, const char *words, const char *value), void *arg);
#define HTML_FACTS_MAX (8 * HTML_PLAIN_MAX)
void html_facts(const struct html_report *r, char buf[HTML_FACTS_MAX]);

void html_write_maps(struct pen *p, struct html_state *s);
void html_write_threads(struct pen *p, struct html_state *s);
void html_write_summary_maps(struct pen *p, const struct html_state *s);
void html_write_heat(struct pen *p, struct html_state *s);
void html_write_curves(struct pen *p, const struct html_state *s);
void html_write_flame(struct pen *p, struct html_state *s);

#endif
