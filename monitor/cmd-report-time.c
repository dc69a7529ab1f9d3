/* SPDX-License-Identifier: MIT */
/* Cmd report, time: rate and working set over time, and how long answers took. */

#include <stdlib.h>

#include "base/clock.h"
#include "cmd-report.h"
#include "report-times.h"
#include "words.h"

#define BAR_MAX 60u

static const char bar[BAR_MAX + 1] =
	"############################################################";

static void say_windows(const struct report_view *v, const struct report_times *t)
{
	static const char *const names[] = REPORT_TIMES_NAMES;
	bool writes = v->l->tally->watches_writes;
	uint64_t page = v->l->tally->page_size;
	struct words length, n;

	report_title(v, "%s, in %s windows of %s", writes ? "dirty rate and working set" :
		     "touches", words_count(t->n, &n), words_duration(t->window_ns, &length));
	printf("  %20s", "");
	for (unsigned int i = 0; i < REPORT_TIMES_NR; i++)
		printf(" %12s", names[i]);
	printf("\n  %20s", writes ? "writes/s" : "touches/s");
	for (unsigned int i = 0; i < REPORT_TIMES_NR; i++)
		printf(" %12s", words_count(t->rate[i], &n));
	printf("\n  %20s", writes ? "bytes/s" : "different pages");
	for (unsigned int i = 0; i < REPORT_TIMES_NR; i++)
		printf(" %12s", writes ? words_bytes(t->rate[i] * page, &n) :
					 words_count(t->pages[i], &n));
	if (writes) {
		printf("\n  %20s", "different pages");
		for (unsigned int i = 0; i < REPORT_TIMES_NR; i++)
			printf(" %12s", words_count(t->pages[i], &n));
		printf("\n  %20s", "working set");
		for (unsigned int i = 0; i < REPORT_TIMES_NR; i++)
			printf(" %12s", words_bytes(t->pages[i] * page, &n));
	}
	putchar('\n');
}

static void say_course(const struct report_view *v, const struct report_times *t)
{
	const struct course *c = &v->l->tally->course;
	uint64_t most = t->pages[REPORT_TIMES_NR - 1];
	struct words at, rate, pages, size;

	printf("\n  %12s %14s %14s %12s\n", "second", report_noun(v), "pages", "working set");
	for (uint32_t i = t->first; i < t->first + t->n; i++) {
		struct course_window w = course_window(c, t->level, i);

		snprintf(at.s, sizeof(at.s), "%.3f",
			 (double)(i * t->window_ns) / NSEC_PER_SEC);
		printf("  %12s %14s %14s %12s %.*s\n", at.s, words_count(w.writes, &rate),
		       words_count(w.pages, &pages),
		       words_bytes(w.pages * v->l->tally->page_size, &size),
		       most ? (int)(w.pages * (v->width > 62 + BAR_MAX ? BAR_MAX :
					       v->width > 72 ? v->width - 62 : 10) / most) : 0,
		       bar);
	}
}

void report_rate(const struct report_view *v, bool course)
{
	struct report_times t;

	if (!v->l->tally->course.used)
		return;
	report_times(v->l->tally, v->pick->since, &t);
	say_windows(v, &t);
	if (course)
		say_course(v, &t);
}

void report_latency(const struct report_view *v)
{
	const struct spread *s = &v->l->tally->latency;
	unsigned int lo = 0, hi = 63;
	uint64_t most = 0;
	struct words p50, p99, max, from, n;

	if (!s->n)
		return;
	for (unsigned int i = 0; i < 64; i++)
		most = spread_octave(s, i) > most ? spread_octave(s, i) : most;
	while (!spread_octave(s, lo))
		lo++;
	while (!spread_octave(s, hi))
		hi--;
	report_title(v, "answered in %s (p50), %s (p99), %s (longest)",
		     words_duration(spread_quantile(s, 500), &p50),
		     words_duration(spread_quantile(s, 990), &p99), words_duration(s->max, &max));
	for (unsigned int i = lo; i <= hi; i++) {
		uint64_t k = spread_octave(s, i);

		printf("  %12s %14s%s%.*s\n",
		       words_duration(i ? UINT64_C(1) << i : 0, &from), words_count(k, &n),
		       k ? "  " : "", (int)((k * 40 + most - 1) / most), bar);
	}
}
