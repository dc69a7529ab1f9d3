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
	struct pen *p;
	bool more;
};

static void list_words(void *arg, const char *words)
{
	struct list *l = arg;

	pen_text(l->p, l->more ? "," : "");
	pen_json_text(l->p, words);
	l->more = true;
}

static void list_total(void *arg, const char *words, const char *value)
{
	struct list *l = arg;

	pen_text(l->p, l->more ? ",[" : "[");
	pen_json_text(l->p, words);
	pen_text(l->p, ",");
	pen_json_text(l->p, value);
	pen_text(l->p, "]");
	l->more = true;
}

static void write_trace(struct pen *p, const struct html_report *r)
{
	pen_text(p, "{\"name\":");
	html_json_name(p, r->path, strlen(r->path));
	pen_text(p, ",\"page_size\":");
	pen_number(p, r->header->page_size);
	pen_text(p, ",\"records\":");
	pen_number(p, r->end->records);
	pen_text(p, r->asked ? ",\"part\":true}" : ",\"part\":false}");
}

static void write_data(struct pen *p, const void *arg)
{
	/* The page knows its parts as const; only the state of their making changes. */
	struct html_state *s = *(struct html_state *const *)arg;
	const struct html_report *r = s->r;
	struct list losses = { p, false }, totals = { p, false };
	char facts[HTML_FACTS_MAX];

	pen_text(p, "{\"schema\":\"pagetap.html/1\",\n\"trace\":");
	write_trace(p, r);
	pen_text(p, ",\n\"heat\":");
	html_write_heat(p, s);
	pen_text(p, ",\n\"blind\":");
	html_events_write_blind(p, r->events, r->header->page_size);
	pen_text(p, ",\n\"curves\":");
	html_write_curves(p, s);
	html_facts(r, facts);
	pen_text(p, ",\n\"facts\":");
	pen_json_text(p, facts);
	pen_text(p, ",\n\"losses\":[");
	html_losses(r, list_words, &losses);
	pen_text(p, "],\n\"totals\":[");
	html_totals(r, list_total, &totals);
	pen_text(p, "],\n\"maps\":");
	html_write_maps(p, s);
	pen_text(p, ",\n\"threads\":");
	html_write_threads(p, s);
	pen_text(p, ",\n\"events\":");
	html_events_write(p, r->events);
	pen_text(p, ",\n\"flame\":");
	html_write_flame(p, s);
	pen_text(p, ",\n\"made\":\"pagetap " PAGETAP_VERSION " made this page; "
		    "pagetap-report(1) explains it\"}");
}

/* ---- without scripts ---------------------------------------------------------------------- */

static void paragraph(void *arg, const char *words)
{
	pen_text(arg, "<li>");
	html_markup_words(arg, words);
	pen_text(arg, "</li>\n");
}

static void summary_total(void *arg, const char *words, const char *value)
{
	pen_text(arg, "<tr><td>");
	html_markup_words(arg, words);
	pen_text(arg, "</td><td>");
	html_markup_words(arg, value);
	pen_text(arg, "</td></tr>\n");
}

static void write_summary(struct pen *p, const void *arg)
{
	const struct html_state *s = *(struct html_state *const *)arg;
	char facts[HTML_FACTS_MAX];

	html_facts(s->r, facts);
	pen_text(p, "<p>");
	html_markup_words(p, facts);
	pen_text(p, "</p>\n<ul class=\"alert\">\n");
	html_losses(s->r, paragraph, p);
	pen_text(p, "</ul>\n<table>\n");
	html_totals(s->r, summary_total, p);
	pen_text(p, "</table>\n");
	html_write_summary_maps(p, s);
}

static void write_title(struct pen *p, const void *arg)
{
	const struct html_state *s = *(struct html_state *const *)arg;

	html_markup_name(p, s->r->path, strlen(s->r->path));
}

int html_write(struct pen *p, const struct html_report *r)
{
	struct html_state s = { .r = r }, *state = &s;
	const struct html_page page = {
		.title = write_title, .summary = write_summary, .data = write_data, .arg = &state,
	};
	int err = rank(&s);

	if (!err)
		err = html_page_write(p, &page);
	free(s.ranked);
	return err ? err : s.error;
}
