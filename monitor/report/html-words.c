/* SPDX-License-Identifier: MIT */
/* HTML, words: the sentences of the page: what is missing, what there is in all. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "report/html-parts.h"
#include "words.h"

#define SENTENCE_MAX 512

struct teller {
	void (*say)(void *arg, const char *words);
	void *arg;
};

static void tell(const struct teller *to, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
static void tell(const struct teller *to, const char *format, ...)
{
	char words[SENTENCE_MAX];
	va_list ap;

	va_start(ap, format);
	vsnprintf(words, sizeof(words), format, ap);
	va_end(ap);
	to->say(to->arg, words);
}

/* In a sentence: "3 gaps, 12 ms in all, the longest 8 ms: WORDS (REASON)". */
static const char *const gap_words[GAP_NR] = {
	[GAP_NEW_MAPPING] = "before a new mapping was watched",
	[GAP_PROTECTION] = "before a mapping that became writable was watched",
	[GAP_REMOVE_RACE] = "while pages were dropped",
	[GAP_REARM_RACE] = "between an answer and the next arming",
	[GAP_RESYNC] = "while the layout was read again",
	[GAP_RING] = "records of the layout did not fit the ring",
	[GAP_FORK] = "before a child was watched",
	[GAP_EXEC] = "before a new program was watched",
	[GAP_REGISTER] = "the kernel refused to watch it",
	[GAP_STALL] = "pagetap itself was held up",
	[GAP_THREAD_AREA] = "where the kernel writes when a thread ends",
	[GAP_LIMIT] = "too many processes, or no descriptor left",
	[GAP_KSM] = "pages merged with others of equal content",
	[GAP_EPOCH] = "gone before the next collection could look",
	[GAP_BUDGET] = "left alone for a while, to keep to the budget",
};

static const char *const lost_words[LOST_NR] = {
	[LOST_RING] = "the output was too slow",
	[LOST_OUTPUT] = "they could not be written, or were given up at the end",
	[LOST_NETLINK] = "the kernel had no room for events of processes",
	[LOST_PERF] = "the kernel had no room for events of faults",
};

static void lost_in_words(const struct teller *to, const struct tally *t)
{
	for (unsigned int i = 0; i < LOST_NR; i++) {
		const struct tally_lost *l = &t->lost[i];
		struct words n;

		if (!l->records)
			continue;
		tell(to, "%s%s record%s lost: %s (%s)", l->uncounted ? "at least " : "",
		     words_count(l->n, &n), l->n == 1 ? "" : "s", lost_words[i],
		     lost_reason_name(i));
	}
}

static void gaps_in_words(const struct teller *to, const struct tally *t)
{
	for (unsigned int i = 0; i < GAP_NR; i++) {
		const struct tally_gap *g = &t->gap[i];
		struct words n, sum, longest;

		if (g->n == 1)
			tell(to, "1 gap of %s: %s (%s)", words_duration(g->ns, &sum), gap_words[i],
			     gap_reason_name(i));
		else if (g->n)
			tell(to, "%s gaps, the longest of %s, %s in all: %s (%s)",
			     words_count(g->n, &n), words_duration(g->longest_ns, &longest),
			     words_duration(g->ns, &sum), gap_words[i], gap_reason_name(i));
	}
}

/* What the file lacks, and what the counting had no room for. */
static void limits_in_words(const struct teller *to, const struct html_report *r)
{
	const struct walk_end *e = r->end;
	const struct tally *t = r->tally;
	uint64_t chains = model_stacks_left_out(r->model);
	struct words n;

	if (e->cut || e->damaged)
		tell(to, "the trace is %s behind byte %s: this is about the %s records before",
		     e->damaged ? "damaged" : "cut off", words_count(e->cut_offset, &n),
		     words_count(e->records, &(struct words){ "" }));
	else if (!e->complete)
		tell(to, "the trace has no end: its last record is no detach");
	if (e->missing)
		tell(to, "%s records are missing in the file", words_count(e->missing, &n));
	if (e->unreadable)
		tell(to, "%s lines are no records and were left out, the first is line %" PRIu64,
		     words_count(e->unreadable, &n), e->unreadable_line);
	if (t->unreported)
		tell(to, "%s pages of records that name more than any memory are left out",
		     words_count(t->unreported, &n));
	if (t->pages.left_out)
		tell(to, "%s writes are of pages too many to count each: see pagetap-report(1)",
		     words_count(t->pages.left_out, &n));
	if (chains)
		tell(to, "the frames of %s call chains are left out: there are too many",
		     words_count(chains, &n));
	if (t->heat.left_out)
		tell(to, "%s %ss have no place in the heat map", words_count(t->heat.left_out, &n),
		     html_unit(r));
}

void html_losses(const struct html_report *r, void (*say)(void *arg, const char *words), void *arg)
{
	const struct teller to = { say, arg };

	lost_in_words(&to, r->tally);
	gaps_in_words(&to, r->tally);
	limits_in_words(&to, r);
}

void html_totals(const struct html_report *r,
		 void (*say)(void *arg, const char *words, const char *value), void *arg)
{
	const struct tally *t = r->tally;
	const uint64_t ns = t->last_ts > t->first_ts ? t->last_ts - t->first_ts : 0;
	const uint64_t n = t->watches_writes ? t->total.written : t->total.faults;
	char rate[64];
	struct words w;

	if (t->watches_writes)
		say(arg, "first writes of a page", words_count(t->total.written, &w));
	say(arg, "faults", words_count(t->total.faults, &w));
	say(arg, t->watches_writes ? "different pages written" : "different pages touched",
	    words_count(t->total.pages, &w));
	say(arg, t->watches_writes ? "memory written" : "memory touched",
	    words_bytes(t->total.pages * t->page_size, &w));
	say(arg, "time", words_duration(ns, &w));
	if (ns) {
		snprintf(rate, sizeof(rate), "%s /s",
			 words_count(clock_rate((double)n, ns), &w));
		say(arg, t->watches_writes ? "writes a second" : "faults a second", rate);
	}
	if (t->latency.n) {
		say(arg, "to answer a fault, median",
		    words_duration(spread_quantile(&t->latency, 500), &w));
		say(arg, "a thread waited, 99 % at most",
		    words_duration(spread_quantile(&t->stop, 990), &w));
	}
	if (t->total.witnesses)
		say(arg, "writes of a known writer", words_count(t->total.witnesses, &w));
}

static const char *plain(const char *words, char buf[HTML_PLAIN_MAX])
{
	return html_plain_name(words, strlen(words), buf);
}

/* Who was watched: "redis-server (4242) and 2 more address spaces". */
static size_t facts_who(const struct html_report *r, char buf[HTML_FACTS_MAX])
{
	const size_t n = model_spaces(r->model);
	const struct model_space *first = n ? model_space_at(r->model, 0) : NULL;
	char comm[HTML_PLAIN_MAX];
	struct words more;
	int used = 0;

	if (!first)
		return (size_t)snprintf(buf, HTML_FACTS_MAX, "nobody");
	html_plain_name(first->comm.s ? first->comm.s : "", first->comm.len, comm);
	used = snprintf(buf, HTML_FACTS_MAX, "%s (%d)", *comm ? comm : "process", first->pid);
	if (n > 1)
		used += snprintf(buf + used, HTML_FACTS_MAX - (size_t)used,
				 " and %s more address space%s", words_count(n - 1, &more),
				 n == 2 ? "" : "s");
	return (size_t)used;
}

void html_facts(const struct html_report *r, char buf[HTML_FACTS_MAX])
{
	const struct reader_header *h = r->header;
	char host[HTML_PLAIN_MAX], kernel[HTML_PLAIN_MAX], arch[HTML_PLAIN_MAX];
	char engine[HTML_PLAIN_MAX];
	const size_t used = facts_who(r, buf);
	struct words records;

	snprintf(buf + used, HTML_FACTS_MAX - used,
		 " on %s (%s, Linux %s), engine %s, %s records%s%s",
		 plain(h->host, host), plain(h->arch, arch), plain(h->kernel, kernel),
		 plain(h->engine, engine), words_count(r->end->records, &records),
		 r->asked ? "; shown is " : "", r->asked ? r->asked : "");
}
