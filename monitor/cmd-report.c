/* SPDX-License-Identifier: MIT */
/*
 * Report: what a trace tells, in a terminal or as one JSON object.
 *
 * The report goes to standard output, what is said of the file to standard error.
 * pagetap-report(1).
 */

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

/* Rows of each table, where several are shown. */
#define TOP_OF_MANY 10
#define TOP_ALONE 40
#define TOP_JSON 1000
#define TOP_UNSET UINT64_MAX

struct report_args {
	struct cmd_voice voice;
	struct pick_args pick;
	const char *by, *html;
	uint64_t top;
	bool json, heatmap, wss;
};

#define AT(member) .offset = offsetof(struct report_args, member)

static const struct option_spec options[] = {
	{ .name = "by", .arg = "WHAT", .help = "mapping, thread, process or page: that table alone",
	  .type = OPTION_WORD, .words = "mapping\0thread\0process\0page\0", AT(by) },
	{ .name = "heatmap", .help = "addresses against time, mapping by mapping",
	  .type = OPTION_FLAG, AT(heatmap) },
	{ .name = "wss", .help = "dirty rate and working set, window by window",
	  .type = OPTION_FLAG, AT(wss) },
	{ .name = "html", .arg = "FILE", .help = "a page with pictures for any browser",
	  .type = OPTION_TEXT, AT(html) },
	{ .name = "top", .arg = "N", .help = "rows of each table at most; 0: all",
	  .type = OPTION_NUMBER, AT(top) },
	PICK_ARGS_OPTIONS(struct report_args, pick),
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

static int show(const struct report_args *a, const char *path, const struct loaded *l,
		const struct pick *pick)
{
	struct cmd_read_name name;
	bool alone = a->by || a->heatmap || a->wss;
	struct report_view v = {
		.l = l, .pick = pick, .name = cmd_read_name(path, &name),
		.color = log_color_on(STDOUT_FILENO), .terminal = isatty(STDOUT_FILENO),
		.width = report_width(),
		.heatmap = a->heatmap,
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

static int show_html(const char *file, const char *path, const struct loaded *l,
		       const struct pick *pick, struct report_html *html)
{
	const struct symbols_options looking = { .off = false };
	struct symbols *symbols = NULL;
	struct cmd_read_name name;
	int r = symbols_new(&symbols, &looking);

	if (r < 0) {
		log_error("%s: %s", cmd_read_name(path, &name), strerror(-r));
		return EXIT_RUNTIME;
	}
	r = report_html_write(html, l, pick, symbols, path, file);
	symbols_free(symbols);
	return r;
}

static int report(const struct report_args *a, const char *path, struct pick *pick)
{
	_cleanup_(loaded_done) struct loaded l = LOADED_NULL;
	struct report_html *html = NULL;
	struct cmd_read_name name;
	struct reader_error why = { "" };
	int r = loaded_open(&l, path, &why), status, shown;

	if (!r && a->html)
		r = report_html_new(&html, l.model);
	if (!r) {
		cmd_read_name(path, &name);
		cmd_read_bar(l.walk, &name);
		r = loaded_read(&l, pick, html ? report_html_record : NULL, html);
	}
	if (r < 0) {
		report_html_free(html);
		return cmd_read_refused(path, r, &why);
	}
	status = cmd_read_end(path, &l.end);
	shown = html ? show_html(a->html, path, &l, pick, html) : show(a, path, &l, pick);
	report_html_free(html);
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
	status = report(&a, argv[operand], &pick);
	pick_done(&pick);
	return status;
}
