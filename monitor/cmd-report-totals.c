/* SPDX-License-Identifier: MIT */
/* Cmd report, totals: whose trace it is, what is missing of it, and how much there is. */

#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "cmd-report.h"
#include "log.h"
#include "trace/record.h"
#include "words.h"

#define RED "\033[31m"
#define PLAIN "\033[0m"

static const char *red(const struct report_view *v)
{
	return v->color ? RED : "";
}

static const char *plain(const struct report_view *v)
{
	return v->color ? PLAIN : "";
}

static uint64_t first_ts(const struct report_view *v)
{
	const struct tally *t = v->l->tally;

	if (v->pick->since)
		return v->pick->since;
	return t->arm_ts != UINT64_MAX ? t->arm_ts : t->first_ts != UINT64_MAX ? t->first_ts : 0;
}

static uint64_t last_ts(const struct report_view *v)
{
	uint64_t last = v->l->end.last_ts;

	return v->pick->until && v->pick->until < last ? v->pick->until : last;
}

/* Who was watched, by whom, for how long. */
static void say_whose(const struct report_view *v)
{
	const struct reader_header *h = walk_header(v->l->walk);
	size_t n = model_spaces(v->l->model);
	const struct model_space *s = n ? model_space_at(v->l->model, 0) : NULL;
	uint64_t ns = last_ts(v) > first_ts(v) ? last_ts(v) - first_ts(v) : 0;
	struct words records, time, more;
	char comm[128];

	printf("%s: ", v->name);
	if (s)
		printf("%s (pid %" PRId32 ")%s%s%s, ",
		       log_escape(s->comm.s, s->comm.len, comm, sizeof(comm)), s->pid,
		       n > 1 ? " and " : "", n > 1 ? words_count(n - 1, &more) : "",
		       n > 2 ? " more address spaces" : n > 1 ? " more address space" : "");
	printf("engine %s, %s, %s records\n", h->engine, words_duration(ns, &time),
	       words_count(v->l->end.records, &records));
}

static void say_lost(const struct report_view *v)
{
	for (unsigned int i = 0; i < LOST_NR; i++) {
		const struct tally_lost *l = &v->l->tally->lost[i];
		struct words n;

		if (!l->records)
			continue;
		printf("  %s%s records lost (%s)%s%s\n", red(v),
		       l->n || !l->uncounted ? words_count(l->n, &n) : "an unknown number of",
		       lost_reason_name(i), l->n && l->uncounted ? ", and more uncounted" : "",
		       plain(v));
	}
}

static void say_gaps(const struct report_view *v)
{
	for (unsigned int i = 0; i < GAP_NR; i++) {
		const struct tally_gap *g = &v->l->tally->gap[i];
		struct words n, pages, longest, whole;

		if (!g->n)
			continue;
		printf("  %s%s gap%s (%s): ", red(v), words_count(g->n, &n), g->n == 1 ? "" : "s",
		       gap_reason_name(i));
		if (g->whole)
			printf("%s of a whole address space, ", words_count(g->whole, &whole));
		if (g->pages)
			printf("%s pages, ", words_count(g->pages, &pages));
		printf("%s%s%s\n", g->n > 1 ? "the longest " : "",
		       words_duration(g->longest_ns, &longest), plain(v));
	}
}

static void say_errors(const struct report_view *v)
{
	const struct tally *t = v->l->tally;
	uint64_t errors = t->records[RECORD_ERROR];
	char msg[4 * sizeof(t->first_error.msg) + 1];
	struct words n;

	if (!errors)
		return;
	log_escape(t->first_error.msg, t->first_error.len, msg, sizeof(msg));
	printf("  %s%s error%s while watching%s%s%s\n", red(v), words_count(errors, &n),
	       errors == 1 ? "" : "s", !*msg ? "" : errors == 1 ? ": " : ", the first: ", msg,
	       plain(v));
}

static void say_trouble(const struct report_view *v)
{
	const struct walk_end *e = &v->l->end;
	const struct tally *t = v->l->tally;
	uint64_t chains = model_stacks_left_out(v->l->model);
	struct words n;
	bool clean = !t->records[RECORD_GAP] && !t->records[RECORD_LOST] && !e->missing &&
		     !e->unreadable;

	say_lost(v);
	say_gaps(v);
	if (e->missing)
		printf("  %s%s records are missing in the file%s\n", red(v),
		       words_count(e->missing, &n), plain(v));
	if (e->unreadable)
		printf("  %s%s lines are no records%s\n", red(v), words_count(e->unreadable, &n),
		       plain(v));
	if (e->cut || e->damaged || !e->complete)
		printf("  %sthe end of the trace is missing%s\n", red(v), plain(v));
	else if (clean)
		printf("  nothing lost, no gaps\n");
	if (chains)
		printf("  %sthe frames of %s call chains are left out: there are too many%s\n",
		       red(v), words_count(chains, &n), plain(v));
	say_errors(v);
}

/* Mappings that are, or were, watched; and of the others why not. */
static void say_covered(const struct report_view *v)
{
	const struct model *m = v->l->model;
	uint64_t watched = 0, bytes = 0, why[WHY_NR] = { 0 };
	const char *comma = ": ";
	struct words n, all, size, begin, end;

	for (size_t i = 0; i < model_vmas(m); i++) {
		const struct model_vma *a = model_vma(m, i);

		watched += a->watch;
		bytes += a->watch ? a->hi - a->lo : 0;
		if (!a->watch && a->why < WHY_NR)
			why[a->why]++;
	}
	printf("  covered   %s of %s mappings (%s), from %s to %s\n", words_count(watched, &n),
	       words_count(model_vmas(m), &all), words_bytes(bytes, &size),
	       words_duration(first_ts(v), &begin), words_duration(last_ts(v), &end));
	if (watched == model_vmas(m))
		return;
	printf("            not watched");
	for (unsigned int i = 0; i < WHY_NR; i++)
		if (why[i]) {
			printf("%s%s %s", comma, words_count(why[i], &n), vma_why_name(i));
			comma = ", ";
		}
	putchar('\n');
}

static void say_faults(const struct report_view *v)
{
	const struct tally *t = v->l->tally;
	const struct tally_counts *c = &t->total;
	const char *comma = ": ";
	struct words n, wait;

	if (!c->faults)
		return;
	printf("  faults    %s", words_count(c->faults, &n));
	for (unsigned int i = 0; i < FAULT_NR; i++)
		if (c->kind[i]) {
			printf("%s%s %s", comma, words_count(c->kind[i], &n), fault_kind_name(i));
			comma = ", ";
		}
	if (c->unsure)
		printf("; %s a write or a read", words_count(c->unsure, &n));
	if (c->witnesses && c->witnesses == c->writes)
		printf("; all of them witnesses");
	else if (c->witnesses)
		printf("; %s of them witnesses", words_count(c->witnesses, &n));
	if (t->src[SRC_LOCAL] || t->src[SRC_REMOTE])
		printf("; %s pages from here, %s from elsewhere",
		       words_count(t->src[SRC_LOCAL], &n), words_count(t->src[SRC_REMOTE], &wait));
	if (t->stop.sum)
		printf("; threads waited %s in all", words_duration(t->stop.sum, &wait));
	putchar('\n');
}

static void say_written(const struct report_view *v)
{
	const struct tally *t = v->l->tally;
	const struct tally_counts *c = &t->total;
	uint64_t ns = last_ts(v) > first_ts(v) ? last_ts(v) - first_ts(v) : 0;
	uint64_t rate = clock_rate((double)c->written, ns);
	struct report_share share;
	struct words n, pages, size, a_second, bytes;

	if (!t->watches_writes)
		return;
	printf("  written   %s pages at %s/s (%s/s); %s%s different ones (%s)\n",
	       words_count(c->written, &n), words_count(rate, &a_second),
	       words_bytes(rate * t->page_size, &bytes),
	       t->pages.left_out || t->unreported ? "at least " : "",
	       words_count(c->pages, &pages), words_bytes(c->pages * t->page_size, &size));
	if (c->witnesses && c->written > c->writes)
		printf("  witnessed %s of them\n", report_share(c->writes, c->written, &share));
	if (t->dropped_pages)
		printf("  dropped   %s pages were unmapped, or their contents given up\n",
		       words_count(t->dropped_pages, &n));
}

void report_totals(const struct report_view *v)
{
	const struct tally *t = v->l->tally;

	say_whose(v);
	say_trouble(v);
	say_covered(v);
	say_written(v);
	say_faults(v);
	if (t->has_stats && t->stats.slowdown_ppm != RECORD_UNKNOWN)
		printf("  slowed down by about %.1f %%\n", (double)t->stats.slowdown_ppm / 1e4);
}
