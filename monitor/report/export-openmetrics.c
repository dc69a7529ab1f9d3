/* SPDX-License-Identifier: MIT */
/*
 * Export, OpenMetrics: the sums of a trace as text that Prometheus and others take in.
 *
 * Two labels of equal words would be one series told twice, which no reader accepts: names
 * that look alike when escaped are summed.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "report/export.h"
#include "report/lexicon.h"
#include "report/tally.h"

struct metrics {
	struct tally *tally;
	struct lexicon *words;
	bool starved;		/* a word had no memory */
};


static void family(struct pen *p, const char *name, const char *type, const char *help)
{
	pen_format(p, "# TYPE %s %s\n# HELP %s %s\n", name, type, name, help);
}

static void label(struct pen *p, const char *key, const char *value)
{
	pen_format(p, "%s=", key);
	pen_label(p, value, strlen(value));
}

static const char *word(struct metrics *m, struct model_text t)
{
	const char *w = lexicon_word(m->words, t.s ? t.s : "", t.len);

	m->starved = m->starved || !w;
	return w ? w : "";
}

/* ---- mappings ------------------------------------------------------------------- */

struct mapping {
	const char *name, *kind;
	struct tally_counts c;
};

static int by_name(const void *a, const void *b)
{
	const struct mapping *x = a, *y = b;
	int order = strcmp(x->name, y->name);

	return order ? order : strcmp(x->kind, y->kind);
}

static void add(struct tally_counts *into, const struct tally_counts *c)
{
	for (size_t i = 0; i < FAULT_NR; i++)
		into->kind[i] += c->kind[i];
	into->writes += c->writes;
	into->written += c->written;
	into->pages += c->pages;
}

/* Sorted, and those of equal words summed; how many. */
static size_t mappings(struct export *e, struct mapping *v)
{
	struct metrics *m = e->state;
	size_t n = 0, kept = 0;

	for (size_t i = 0; i < m->tally->nr_labels; i++) {
		const struct model_label *l = model_label(e->model, i);
		const struct tally_counts *c = &m->tally->labels[i].c;

		if (l && (c->faults || c->dirty))
			v[n++] = (struct mapping){
				word(m, l->name.len ? l->name : l->text),
				vma_kind_name(l->kind), *c };
	}
	if (n)
		qsort(v, n, sizeof(*v), by_name);
	for (size_t i = 0; i < n; i++) {
		if (kept && !by_name(&v[kept - 1], &v[i]))
			add(&v[kept - 1].c, &v[i].c);
		else
			v[kept++] = v[i];
	}
	return kept;
}

static void series(struct pen *p, const char *name, const struct mapping *m)
{
	pen_format(p, "%s{", name);
	label(p, "mapping", m->name);
	pen_text(p, ",");
	label(p, "kind", m->kind);
}

static int write_mappings(struct export *e)
{
	struct metrics *m = e->state;
	struct mapping *v = calloc(m->tally->nr_labels + 1, sizeof(*v));
	size_t n = v ? mappings(e, v) : 0;
	struct pen *p = e->pen;

	if (!v)
		return -ENOMEM;
	family(p, "pagetap_faults", "counter", "Faults by mapping and what they were.");
	for (size_t i = 0; i < n; i++) {
		for (unsigned int k = 0; k < FAULT_NR; k++) {
			if (!v[i].c.kind[k])
				continue;
			series(p, "pagetap_faults_total", &v[i]);
			pen_format(p, ",fault=\"%s\"} %" PRIu64 "\n", fault_kind_name(k),
				   v[i].c.kind[k]);
		}
	}
	family(p, "pagetap_written_pages", "counter",
	       "Pages written, each once for each time it was watched.");
	for (size_t i = 0; i < n; i++) {
		series(p, "pagetap_written_pages_total", &v[i]);
		pen_format(p, "} %" PRIu64 "\n", v[i].c.written);
	}
	family(p, "pagetap_distinct_pages", "gauge", "Different pages among those written.");
	for (size_t i = 0; i < n; i++) {
		series(p, "pagetap_distinct_pages", &v[i]);
		pen_format(p, "} %" PRIu64 "\n", v[i].c.pages);
	}
	free(v);
	return 0;
}

/* ---- threads, gaps, losses ------------------------------------------------------ */

static void write_threads(struct export *e)
{
	struct metrics *m = e->state;
	const struct tally *t = m->tally;
	struct pen *p = e->pen;

	family(p, "pagetap_thread_writes", "counter", "Writes that are known to be of a thread.");
	for (size_t i = 0; i < t->nr_threads; i++) {
		const struct tally_thread *x = &t->threads[i];
		struct model_text comm = model_comm(e->model, x->pid, x->mm, x->tid);

		pen_format(p, "pagetap_thread_writes_total{pid=\"%d\",tid=\"%d\",", x->pid, x->tid);
		label(p, "comm", word(m, comm));
		pen_format(p, "} %" PRIu64 "\n", x->c.writes);
	}
	family(p, "pagetap_thread_stopped_seconds", "counter", "How long a thread stood still.");
	pen_text(p, "# UNIT pagetap_thread_stopped_seconds seconds\n");
	for (size_t i = 0; i < t->nr_threads; i++) {
		const struct tally_thread *x = &t->threads[i];

		pen_format(p, "pagetap_thread_stopped_seconds_total{pid=\"%d\",tid=\"%d\"} ",
			   x->pid, x->tid);
		pen_seconds(p, x->stop_ns);
		pen_text(p, "\n");
	}
}

static void write_gaps(struct pen *p, const struct tally *t)
{
	family(p, "pagetap_gaps", "counter", "Declared blind spots.");
	for (unsigned int i = 0; i < GAP_NR; i++)
		if (t->gap[i].n)
			pen_format(p, "pagetap_gaps_total{reason=\"%s\"} %" PRIu64 "\n",
				   gap_reason_name(i), t->gap[i].n);
	family(p, "pagetap_gap_seconds", "counter", "How long they were, summed.");
	pen_text(p, "# UNIT pagetap_gap_seconds seconds\n");
	for (unsigned int i = 0; i < GAP_NR; i++) {
		if (!t->gap[i].n)
			continue;
		pen_format(p, "pagetap_gap_seconds_total{reason=\"%s\"} ", gap_reason_name(i));
		pen_seconds(p, t->gap[i].ns);
		pen_text(p, "\n");
	}
	family(p, "pagetap_lost_records", "counter", "Records that never reached the trace.");
	for (unsigned int i = 0; i < LOST_NR; i++)
		pen_format(p, "pagetap_lost_records_total{reason=\"%s\"} %" PRIu64 "\n",
			   lost_reason_name(i), t->lost[i].n);
	family(p, "pagetap_lost_uncounted", "gauge", "1: more were lost than could be counted.");
	for (unsigned int i = 0; i < LOST_NR; i++)
		pen_format(p, "pagetap_lost_uncounted{reason=\"%s\"} %d\n", lost_reason_name(i),
			   t->lost[i].uncounted);
}

static void write_latency(struct pen *p, const struct spread *s, const char *name,
			  const char *help)
{
	uint64_t sum = 0;

	family(p, name, "histogram", help);
	pen_format(p, "# UNIT %s seconds\n", name);
	for (unsigned int i = 0; i < 40; i++) {
		sum += spread_octave(s, i);
		/* From 1 us to 17 s; what is below or above is in the next one. */
		if (i < 9 || i > 33)
			continue;
		pen_format(p, "%s_bucket{le=\"", name);
		pen_seconds(p, (UINT64_C(2) << i) - 1);
		pen_format(p, "\"} %" PRIu64 "\n", sum);
	}
	pen_format(p, "%s_bucket{le=\"+Inf\"} %" PRIu64 "\n%s_count %" PRIu64 "\n%s_sum ", name,
		   s->n, name, s->n, name);
	pen_seconds(p, s->sum);
	pen_text(p, "\n");
}

static void write_about(struct export *e)
{
	const struct reader_header *h = e->header;
	const struct tally *t = ((struct metrics *)e->state)->tally;
	struct pen *p = e->pen;

	family(p, "pagetap_trace", "info", "Where the trace was made.");
	pen_text(p, "pagetap_trace_info{");
	label(p, "version", h->version);
	pen_text(p, ",");
	label(p, "engine", h->engine);
	pen_text(p, ",");
	label(p, "host", h->host);
	pen_text(p, ",");
	label(p, "kernel", h->kernel);
	pen_text(p, "} 1\n");
	family(p, "pagetap_trace_seconds", "gauge", "From the first record to the last.");
	pen_text(p, "# UNIT pagetap_trace_seconds seconds\npagetap_trace_seconds ");
	pen_seconds(p, t->last_ts > t->first_ts ? t->last_ts - t->first_ts : 0);
	pen_text(p, "\n");
	family(p, "pagetap_page_size_bytes", "gauge", "Bytes a page.");
	pen_format(p, "# UNIT pagetap_page_size_bytes bytes\npagetap_page_size_bytes %u\n",
		   h->page_size);
	family(p, "pagetap_trace_complete", "gauge",
	       "0: the trace has no end, so more is missing.");
	pen_format(p, "pagetap_trace_complete %d\n", t->detached);
}

/* ---- the form ------------------------------------------------------------------- */

static int begin(struct export *e)
{
	struct metrics *m = calloc(1, sizeof(*m));

	if (!m)
		return -ENOMEM;
	e->state = m;
	return lexicon_new(&m->words) ? -ENOMEM : tally_new(&m->tally, e->header, e->model);
}

static int record(struct export *e, const struct reader_record *r, bool picked)
{
	struct metrics *m = e->state;

	return picked ? tally_record(m->tally, &r->record) : 0;
}

static int end(struct export *e)
{
	const struct tally *t = ((struct metrics *)e->state)->tally;
	int r;

	write_about(e);
	r = write_mappings(e);
	if (r)
		return r;
	write_threads(e);
	write_gaps(e->pen, t);
	write_latency(e->pen, &t->latency, "pagetap_answer_seconds",
		      "From reading a fault to its answer.");
	write_latency(e->pen, &t->stop, "pagetap_stop_seconds",
		      "How long threads stood still for a fault, at least.");
	pen_text(e->pen, "# EOF\n");
	return ((struct metrics *)e->state)->starved ? -ENOMEM : 0;
}

static void done(struct export *e)
{
	struct metrics *m = e->state;

	if (!m)
		return;
	tally_free(m->tally);
	lexicon_free(m->words);
	free(m);
}

const struct export_form export_openmetrics = { "openmetrics", begin, record, end, done };
