/* SPDX-License-Identifier: MIT */
/*
 * HTML, events: what happened beside faults and writes, in words, and how many times.
 *
 * Pure.  Of each kind the first and the last are kept, and of the gaps the longest, however
 * many there are.  Fed with the records that were asked for, each after model_record().
 */
#ifndef REPORT_HTML_EVENTS_H
#define REPORT_HTML_EVENTS_H

#include "report/html-text.h"
#include "report/model.h"

struct html_events;

/* -ENOMEM. */
int html_events_new(struct html_events **ret);
/* -ENOMEM. */
int html_events_record(struct html_events *e, const struct model *m, const struct record *r);
/* NULL in, NULL out. */
struct html_events *html_events_free(struct html_events *e);

/* The values of `events` and of `blind`, see page.js. */
void html_events_write(struct pen *p, const struct html_events *e);
void html_events_write_blind(struct pen *p, const struct html_events *e, uint32_t page_size);

#endif
