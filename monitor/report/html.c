/* SPDX-License-Identifier: MIT */
/*
 * HTML.  See html.h.
 *
 * The heat map comes first in the data: it has a measure of its own, and what follows is
 * shortened when the file has grown (html_json_name()).
 */
#include "report/html.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "report/html-page.h"
#include "report/html-parts.h"

const char *html_unit(const struct html_report *r)
{
	return r->tally->watches_writes ? "write" : "fault";
}

uint64_t html_count(const struct html_report *r, uint32_t label)
{
	const struct tally_counts *c = &r->tally->labels[label].c;

	return r->tally->watches_writes ? c->written : c->faults;
}

uint64_t html_collection_ns(const struct html_report *r)
{
	return spread_quantile(&r->tally->interval, 500);
}

struct ranked {
	uint64_t count;
	uint32_t label;
};

static int by_count(const void *a, const void *b)
{
	const struct ranked *x = a, *y = b;

	if (x->count != y->count)
		return x->count < y->count ? 1 : -1;
	return (x->label > y->label) - (x->label < y->label);
}

static int rank(struct html_state *s)
{
	const struct tally *t = s->r->tally;
	struct ranked *all = calloc(t->nr_labels + 1, sizeof(*all));
	size_t n = 0;

	s->ranked = calloc(t->nr_labels + 1, sizeof(*s->ranked));
	if (!all || !s->ranked) {
		free(all);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < t->nr_labels; i++)
		if (t->labels[i].c.faults || t->labels[i].c.written || t->labels[i].gaps)
			all[n++] = (struct ranked){ html_count(s->r, i), i };
	qsort(all, n, sizeof(*all), by_count);
	for (size_t i = 0; i < n; i++)
		s->ranked[i] = all[i].label;
	s->n_ranked = n;
	free(all);
	return 0;
}

/* ---- JSON ------------------------------------------------------------------------------- */

struct list {
	struct html_out *o;
	bool more;
};

static void list_words(void *arg, const char *words)
{
	struct list *l = arg;

	html_words(l->o, l->more ? "," : "");
	html_json_words(l->o, words);
	l->more = true;
}

static void list_total(void *arg, const char *words, const char *value)
{
	struct list *l = arg;

	html_words(l->o, l->more ? ",[" : "[");
	html_json_words(l->o, words);
	html_words(l->o, ",");
	html_json_words(l->o, value);
	html_words(l->o, "]");
	l->more = true;
}

static void write_trace(struct html_out *o, const struct html_report *r)
{
	html_words(o, "{\"name\":");
	html_json_name(o, r->path, strlen(r->path));
	html_words(o, ",\"page_size\":");
	html_number(o, r->header->page_size);
	html_words(o, ",\"records\":");
	html_number(o, r->end->records);
	html_words(o, r->asked ? ",\"part\":true}" : ",\"part\":false}");
}

static void write_data(struct html_out *o, const void *arg)
{
	/* The page knows its parts as const; only the state of their making changes. */
	struct html_state *s = *(struct html_state *const *)arg;
	const struct html_report *r = s->r;
	struct list losses = { o, false }, totals = { o, false };
	char facts[HTML_FACTS_MAX];

	html_words(o, "{\"schema\":\"pagetap.html/1\",\n\"trace\":");
	write_trace(o, r);
	html_words(o, ",\n\"heat\":");
	html_write_heat(o, s);
	html_words(o, ",\n\"blind\":");
	html_events_write_blind(o, r->events, r->header->page_size);
	html_words(o, ",\n\"curves\":");
	html_write_curves(o, s);
	html_facts(r, facts);
	html_words(o, ",\n\"facts\":");
	html_json_words(o, facts);
	html_words(o, ",\n\"losses\":[");
	html_losses(r, list_words, &losses);
	html_words(o, "],\n\"totals\":[");
	html_totals(r, list_total, &totals);
	html_words(o, "],\n\"maps\":");
	html_write_maps(o, s);
	html_words(o, ",\n\"threads\":");
	html_write_threads(o, s);
	html_words(o, ",\n\"events\":");
	html_events_write(o, r->events);
	html_words(o, ",\n\"flame\":");
	html_write_flame(o, s);
	html_words(o, ",\n\"made\":\"pagetap " PAGETAP_VERSION " made this page; "
		      "pagetap-report(1) explains it\"}");
}

/* ---- without scripts ---------------------------------------------------------------------- */

static void paragraph(void *arg, const char *words)
{
	html_words(arg, "<li>");
	html_markup_words(arg, words);
	html_words(arg, "</li>\n");
}

static void summary_total(void *arg, const char *words, const char *value)
{
	html_words(arg, "<tr><td>");
	html_markup_words(arg, words);
	html_words(arg, "</td><td>");
	html_markup_words(arg, value);
	html_words(arg, "</td></tr>\n");
}

static void write_summary(struct html_out *o, const void *arg)
{
	const struct html_state *s = *(struct html_state *const *)arg;
	char facts[HTML_FACTS_MAX];

	html_facts(s->r, facts);
	html_words(o, "<p>");
	html_markup_words(o, facts);
	html_words(o, "</p>\n<ul class=\"alert\">\n");
	html_losses(s->r, paragraph, o);
	html_words(o, "</ul>\n<table>\n");
	html_totals(s->r, summary_total, o);
	html_words(o, "</table>\n");
	html_write_summary_maps(o, s);
}

static void write_title(struct html_out *o, const void *arg)
{
	const struct html_state *s = *(struct html_state *const *)arg;

	html_markup_name(o, s->r->path, strlen(s->r->path));
}

int html_write(struct html_out *o, const struct html_report *r)
{
	struct html_state s = { .r = r }, *state = &s;
	const struct html_page page = {
		.title = write_title, .summary = write_summary, .data = write_data, .arg = &state,
	};
	int err = rank(&s);

	if (!err)
		err = html_page_write(o, &page);
	free(s.ranked);
	return err ? err : s.error;
}
