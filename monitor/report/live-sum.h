/* SPDX-License-Identifier: MIT */
/*
 * Live sum: what the lines of a live trace come to, as the table of strace -c.
 *
 * Pure but for the stream that the table is put into.  By kind of event, by mapping and by
 * thread: how many events, how many pages they were about, the share of these, and how long
 * threads stood still.  Fed with each record that has a line, after model_record().
 */
#ifndef REPORT_LIVE_SUM_H
#define REPORT_LIVE_SUM_H

#include <stdio.h>

#include "report/model.h"

struct live_sum;

/* model: borrowed.  -ENOMEM. */
int live_sum_new(struct live_sum **ret, const struct model *model);
/* NULL in, NULL out. */
struct live_sum *live_sum_free(struct live_sum *s);
/* -ENOMEM. */
int live_sum_add(struct live_sum *s, const struct record *r);
/* The three tables, each with the most pages first.  -ENOMEM. */
int live_sum_print(const struct live_sum *s, FILE *out);

#endif
