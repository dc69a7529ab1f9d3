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

	report_title(v, "%s, in %s window%s of %s", writes ? "dirty rate and working set" :
		     "touches", words_count(t->n, &n), t->n == 1 ? "" : "s",
		     words_duration(t->window_ns, &length));
	printf("  %15s", "");
	for (unsigned int i = 0; i < REPORT_TIMES_NR; i++)
		printf(" %11s", names[i]);
	printf("\n  %15s", writes ? "writes/s" : "touches/s");
	for (unsigned int i = 0; i < REPORT_TIMES_NR; i++)
		printf(" %11s", words_count(t->rate[i], &n));
	printf("\n  %15s", writes ? "bytes/s" : "different pages");
	for (unsigned int i = 0; i < REPORT_TIMES_NR; i++)
		printf(" %11s", writes ? words_bytes(t->rate[i] * page, &n) :
					 words_count(t->pages[i], &n));
	if (writes) {
		printf("\n  %15s", "different pages");
		for (unsigned int i = 0; i < REPORT_TIMES_NR; i++)
			printf(" %11s", words_count(t->pages[i], &n));
		printf("\n  %15s", "working set");
		for (unsigned int i = 0; i < REPORT_TIMES_NR; i++)
			printf(" %11s", words_bytes(t->pages[i] * page, &n));
	}
	putchar('\n');
}

/* Columns of a line of the course before its bar. */
#define BAR_AT 56u

static void say_course(const struct report_view *v, const struct report_times *t)
{
	const struct course *c = &v->l->tally->course;
	unsigned int room = v->width > BAR_AT + BAR_MAX ? BAR_MAX : v->width - BAR_AT;
	uint64_t most = t->pages[REPORT_TIMES_NR - 1];
	struct words writes, pages, size;

	printf("\n  %10s %12s %12s %12s\n", "second", report_noun(v), "pages", "working set");
	for (uint32_t i = t->first; i < t->first + t->n; i++) {
		struct course_window w = course_window(c, t->level, i);

		printf("  %10.3f %12s %12s %12s%s%.*s\n",
		       (double)(i * t->window_ns) / NSEC_PER_SEC, words_count(w.writes, &writes),
		       words_count(w.pages, &pages),
		       words_bytes(w.pages * v->l->tally->page_size, &size), w.pages ? "  " : "",
		       (int)(w.pages * room / (most ? most : 1)), bar);
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
