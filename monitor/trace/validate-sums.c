/* SPDX-License-Identifier: MIT */
/* Validate, sums: stats against the records that are there and those said to be lost. */

#include <inttypes.h>

#include "trace/validate-parts.h"

/* With a record of the layout gone nobody can tell what is covered and what is where. */
static bool concerns_layout(const struct record *r)
{
	if (r->lost.reason != LOST_RING && r->lost.reason != LOST_OUTPUT)
		return false;
	return r->lost.n == RECORD_UNKNOWN || r->lost.faults == RECORD_UNKNOWN ||
	       r->lost.n > r->lost.faults;
}

void validate_lost(struct validator *v, const struct record *r)
{
	if (r->lost.n == RECORD_UNKNOWN)
		v->totals.lost_unknown = true;
	else
		v->totals.lost += (uint64_t)r->lost.n;
	if (r->lost.faults == RECORD_UNKNOWN)
		v->lost_faults_unknown = true;
	else
		v->lost_faults += (uint64_t)r->lost.faults;
	if (r->lost.n != RECORD_UNKNOWN && r->lost.faults > r->lost.n)
		validate_complain_about(v, "more faults are lost than records");
	if (concerns_layout(r))
		v->blind = true;
	if (r->lost.reason == LOST_NETLINK)
		v->processes_blind = true;
}

static void compare(struct validator *v, const char *key, uint64_t told, uint64_t least,
		    uint64_t most)
{
	if (told >= least && told <= most)
		return;
	if (least == most)
		validate_complain_about(v, "stats.%s is %" PRIu64 ", the records make it %" PRIu64,
					key, told, least);
	else
		validate_complain_about(v, "stats.%s is %" PRIu64 ", the records make it %" PRIu64
					" to %" PRIu64, key, told, least, most);
}

void validate_stats(struct validator *v, const struct record *r)
{
	const struct record_stats *s = &r->stats;
	const struct validate_totals *t = &v->totals;
	uint64_t most = v->lost_faults_unknown ? UINT64_MAX : t->faults + v->lost_faults;

	if (v->final)
		validate_complain_about(v, "stats after the final stats");
	v->final |= s->final;
	compare(v, "faults", s->faults, t->faults + v->lost_faults, most);
	/* Whether a lost fault was a write is lost with it. */
	compare(v, "writes", s->writes, t->writes,
		v->lost_faults_unknown ? UINT64_MAX : t->writes + v->lost_faults);
	if (v->async && !v->blind)
		compare(v, "dirty_pages", s->dirty_pages, t->dirty_pages, t->dirty_pages);
	if (s->distinct_pages != RECORD_UNKNOWN)
		compare(v, "distinct_pages", (uint64_t)s->distinct_pages, 0, s->dirty_pages);
	compare(v, "lost", s->lost, t->lost, t->lost);
}
