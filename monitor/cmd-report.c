/* SPDX-License-Identifier: MIT */
/*
 * Report: what a trace tells, in a terminal or as one JSON object.
 *
 * The report goes to standard output, what is said of the file to standard error.
 * pagetap-report(1).
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cmd-read.h"
#include "cmd-report-html.h"
#include "cmd-report.h"
#include "cmd.h"
#include "exit.h"
#include "pick-args.h"
#include "report/writers.h"
#include "sandbox.h"
#include "symbols-args.h"

/* Rows of each table, where several are shown. */
#define TOP_OF_MANY 10
#define TOP_ALONE 40
#define TOP_JSON 1000
#define TOP_UNSET UINT64_MAX

struct report_args {
	struct cmd_voice voice;
	struct pick_args pick;
	struct symbols_args symbols;
	const char *by, *html;
	uint64_t top;
	bool json, heatmap, wss;
};

#define AT(member) .offset = offsetof(struct report_args, member)

static const struct option_spec options[] = {
	{ .name = "by", .arg = "WHAT", .help = "mapping, thread, process, symbol, page: that alone",
	  .type = OPTION_WORD, .words = "mapping\0thread\0process\0symbol\0page\0", AT(by) },
	{ .name = "heatmap", .help = "addresses against time, mapping by mapping",
	  .type = OPTION_FLAG, AT(heatmap) },
	{ .name = "wss", .help = "dirty rate and working set, window by window",
	  .type = OPTION_FLAG, AT(wss) },
	{ .name = "html", .arg = "FILE", .help = "a page with pictures for any browser",
	  .type = OPTION_TEXT, AT(html) },
	{ .name = "top", .arg = "N", .help = "rows of each table at most; 0: all",
	  .type = OPTION_NUMBER, AT(top) },
	PICK_ARGS_OPTIONS(struct report_args, pick),
	SYMBOLS_ARGS_OPTIONS(struct report_args, symbols),
	{ 'J', "json", NULL, "one JSON object instead of text", OPTION_FLAG, AT(json) },
	CMD_VOICE_OPTIONS(struct report_args, voice),
	{ .name = NULL },
};

static const char *const examples[] = {
	"pagetap report t.ndjson",
	"pagetap report --heatmap -m heap --since 2 --until 4.5 t.ndjson.zst",
	"pagetap report --html t.html t.ndjson",
	NULL,
};

static const struct option_page page = {
	.command = "report",
	.operands = "FILE",
	.about = "Say what a trace tells: who wrote what, where and when.",
	.options = options,
	.examples = examples,
};

static int report_by(const struct report_view *v, const char *what)
{
	if (!strcmp(what, "thread"))
		return report_by_thread(v);
	if (!strcmp(what, "page"))
		return report_by_page(v);
	if (!strcmp(what, "process"))
		return report_by_process(v);
	if (!strcmp(what, "symbol") && v->chains)
		return report_by_symbol(v);
	if (!strcmp(what, "symbol")) {
		log_info("no fault of it says which code wrote");
		log_hint("pagetap record --who writes that down");
		return 0;
	}
	return report_by_mapping(v);
}

/* Of a restore nobody knows whose touch it was. */
static bool knows_threads(const struct tally *t)
{
	for (size_t i = 0; i < t->nr_threads; i++)
		if (t->threads[i].tid)
			return true;
	return false;
}

/* Of each something. */
static int report_overview(const struct report_view *v)
{
	int r = report_by_mapping(v);

	if (!r && v->l->tally->nr_spaces > 1)
		r = report_by_process(v);
	if (!r && knows_threads(v->l->tally))
		r = report_by_thread(v);
	if (!r && v->chains)
		r = report_by_symbol(v);
	if (!r) {
		report_rate(v, false);
		report_latency(v);
	}
	return r;
}

/* What was asked for by name is shown alone, and in full. */
static int report_text(const struct report_args *a, const struct report_view *v)
{
	int r = 0;

	report_totals(v);
	if (!a->by && !a->heatmap && !a->wss)
		return report_overview(v);
	if (a->by)
		r = report_by(v, a->by);
	if (!r && a->wss)
		report_rate(v, true);
	if (!r && a->heatmap)
		r = report_heat(v);
	return r;
}

/* Only a write of which the code is known asks for symbols. */
static int on_record(void *arg, const struct reader_record *rec)
{
	const struct record *r = &rec->record;

	if (r->kind != RECORD_FAULT || !(r->fault.ip || r->fault.stack))
		return 0;
	return writers_record(arg, r);
}

/* *ret NULL: there are none, or they are not shown. */
static int name_writers(const struct report_args *a, const struct writers *w,
			struct symbols *symbols, struct chains **ret)
{
	bool other = a->heatmap || a->wss || (a->by && strcmp(a->by, "symbol") != 0);

	if (!writers_sums(w)->with_code || (other && !a->json))
		return 0;
	return writers_chains(w, symbols, false, ret);
}

static int show(const struct report_args *a, const char *path, const struct loaded *l,
		const struct pick *pick, const struct chains *chains)
{
	struct cmd_read_name name;
	bool alone = a->by || a->heatmap || a->wss;
	struct report_view v = {
		.l = l, .pick = pick, .name = cmd_read_name(path, &name),
		.color = log_color_on(STDOUT_FILENO), .terminal = isatty(STDOUT_FILENO),
		.width = report_width(),
		.heatmap = a->heatmap, .chains = chains,
		.top = a->top != TOP_UNSET ? a->top : a->json ? TOP_JSON :
		       alone ? TOP_ALONE : TOP_OF_MANY,
	};
	int r = a->json ? report_json(&v, path) : report_text(a, &v);

	if (r < 0) {
		log_error("%s: %s", name.s, strerror(-r));
		return EXIT_RUNTIME;
	}
	return EXIT_OK;
}

/* What is read beside the tally: for a page in a browser, or for the table of functions. */
struct beside {
	struct report_html *html;
	struct writers *writers;
	struct symbols *symbols;
	struct chains *chains;
	struct apart scribe;
};

static void beside_done(struct beside *b)
{
	report_html_free(b->html);
	writers_free(b->writers);
	chains_free(b->chains);
	symbols_free(b->symbols);
	scribe_end(&b->scribe);
}

static int show_all(const struct report_args *a, const char *path, const struct loaded *l,
		    const struct pick *pick, struct beside *b)
{
	struct cmd_read_name name;
	int r = symbols_args_open(&a->symbols, &b->symbols);

	if (!r && b->writers)
		r = name_writers(a, b->writers, b->symbols, &b->chains);
	if (r) {
		log_error("%s: %s", cmd_read_name(path, &name), strerror(-r));
		return EXIT_RUNTIME;
	}
	r = b->html ? report_html_write(b->html, l, pick, b->symbols, path, a->html,
					&b->scribe) :
		      show(a, path, l, pick, b->chains);
	symbols_args_tell(b->symbols);
	return r;
}

static int report(const struct report_args *a, const char *path, struct pick *pick)
{
	_cleanup_(loaded_done) struct loaded l = LOADED_NULL;
	_cleanup_(beside_done) struct beside b = { .scribe.fd = -1 };
	struct cmd_read_name name;
	struct reader_error why = { "" };
	int r = a->html ? scribe_begin(&b.scribe, a->html) : 0, status, shown;

	sandbox_reader();
	if (!r)
		r = loaded_open(&l, path, &why);
	if (!r)
		r = a->html ? report_html_new(&b.html, l.model) : writers_new(&b.writers, l.model);
	if (!r) {
		cmd_read_name(path, &name);
		cmd_read_bar(l.walk, &name);
		r = b.html ? loaded_read(&l, pick, report_html_record, b.html) :
			     loaded_read(&l, pick, on_record, b.writers);
	}
	if (r < 0)
		return cmd_read_refused(path, r, &why);
	status = cmd_read_end(path, &l.end);
	shown = show_all(a, path, &l, pick, &b);
	return shown ? shown : status;
}

int cmd_report(int argc, char **argv)
{
	struct report_args a = { .top = TOP_UNSET };
	struct options_error e;
	struct pick pick;
	int operand, status = EXIT_OK;

	if (!cmd_begin(&page, argc, argv, &a, &a.voice, &operand, &status))
		return status;
	if (operand + 1 != argc)
		return cmd_usage(&page, operand == argc ? "no FILE given" : "one FILE only");
	if (pick_args_pick(&a.pick, &pick, &e) < 0)
		return cmd_usage(&page, "%s", e.text);
	status = EXIT_RUNTIME;
	if (!symbols_args_hold(&a.symbols))
		status = report(&a, argv[operand], &pick);
	pick_done(&pick);
	return status;
}
