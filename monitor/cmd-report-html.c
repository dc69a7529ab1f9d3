/* SPDX-License-Identifier: MIT */
/*
 * Cmd report, html: the report as one file for a browser.
 *
 * It is made in memory, where it has its bounds, so that no file is touched for a page
 * that could not be made; a file that could not be written whole is removed again.
 */

#include "cmd-report-html.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "cmd-read.h"
#include "exit.h"
#include "launch.h"
#include "log.h"
#include "report/html.h"
#include "report/symbols.h"
#include "report/writers.h"
#include "words.h"

struct report_html {
	const struct model *model;
	struct html_events *events;
	struct writers *writers;
};

int report_html_new(struct report_html **ret, const struct model *m)
{
	struct report_html *h = calloc(1, sizeof(*h));
	int r = h ? html_events_new(&h->events) : -ENOMEM;

	if (!r)
		r = writers_new(&h->writers, m);
	if (r) {
		report_html_free(h);
		return r;
	}
	h->model = m;
	*ret = h;
	return 0;
}

struct report_html *report_html_free(struct report_html *h)
{
	if (!h)
		return NULL;
	html_events_free(h->events);
	writers_free(h->writers);
	free(h);
	return NULL;
}

int report_html_record(void *arg, const struct reader_record *r)
{
	struct report_html *h = arg;
	int err = html_events_record(h->events, h->model, &r->record);

	return err ? err : writers_record(h->writers, &r->record);
}

/* ---- the file ----------------------------------------------------------------------------- */

struct made {
	char *bytes;
	size_t len, room;
};

static int keep(void *to, const char *bytes, size_t len)
{
	struct made *m = to;

	if (len > m->room - m->len) {
		size_t room = 2 * (m->room + len);
		char *more = realloc(m->bytes, room);

		if (!more)
			return -ENOMEM;
		m->bytes = more;
		m->room = room;
	}
	memcpy(m->bytes + m->len, bytes, len);
	m->len += len;
	return 0;
}

/* Which part of the trace it is about; NULL: all. */
static const char *asked(const struct pick *p, char *buf, size_t cap)
{
	static const char *const kinds[] = { "missing", "wp", "minor", "fork", "exit", "map" };
	char name[HTML_PLAIN_MAX];
	FILE *f = pick_is_empty(p) ? NULL : fmemopen(buf, cap, "w");

	if (!f)
		return NULL;
	fputs("only", f);
	for (unsigned int i = 0; i < p->nr_pids; i++)
		fprintf(f, " process %d", p->pids[i]);
	for (unsigned int i = 0; i < p->nr_globs; i++)
		fprintf(f, " mapping %s", html_plain_name(p->globs[i], strlen(p->globs[i]), name));
	for (unsigned int i = 0; i < p->nr_ranges; i++)
		fprintf(f, " 0x%" PRIx64 "-0x%" PRIx64, p->ranges[i].lo, p->ranges[i].hi);
	for (unsigned int i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (p->kinds & 1u << i)
			fprintf(f, " %s", kinds[i]);
	if (p->since)
		fprintf(f, " from %g s on", (double)p->since / 1e9);
	if (p->until)
		fprintf(f, " up to %g s", (double)p->until / 1e9);
	/* What does not fit is left out. */
	fclose(f);
	buf[cap - 1] = '\0';
	return buf;
}

static int make(struct report_html *h, const struct loaded *l, const struct pick *pick,
		struct symbols *symbols, const char *trace, struct made *ret)
{
	char part[1024];
	_free_ struct pen *p = malloc(sizeof(*p));
	struct html_report report = {
		.path = trace, .header = walk_header(l->walk), .end = &l->end,
		.model = l->model, .tally = l->tally, .events = h->events,
		.asked = asked(pick, part, sizeof(part)),
	};
	struct chains *chains = NULL;
	int r = p ? writers_chains(h->writers, symbols, true, &chains) : -ENOMEM;

	if (!r) {
		report.chains = chains;
		pen_begin(p, keep, ret);
		r = html_write(p, &report);
	}
	chains_free(chains);
	return r;
}

int report_html_write(struct report_html *h, const struct loaded *l, const struct pick *pick,
		      struct symbols *symbols, const char *trace, const char *path,
		      const struct apart *scribe)
{
	struct made m = { .len = 0 };
	struct cmd_read_name name;
	struct words bytes;
	int r = make(h, l, pick, symbols, trace, &m);

	if (r < 0) {
		log_error("%s: %s", cmd_read_name(trace, &name), strerror(-r));
		free(m.bytes);
		return EXIT_RUNTIME;
	}
	log_escape(path, strlen(path), name.s, sizeof(name.s));
	r = scribe_write(scribe, path, m.bytes, m.len);
	if (r == -EPIPE)
		launch_die_by(SIGPIPE);
	if (r < 0)
		log_error("%s: %s", name.s, r == -EINVAL ?
			  "it is no regular file (symbolic links are not followed)" : strerror(-r));
	else if (strcmp(path, "-") != 0)
		log_info("%s: %s, for any browser", name.s, words_bytes(m.len, &bytes));
	free(m.bytes);
	return r < 0 ? EXIT_RUNTIME : EXIT_OK;
}
