/* SPDX-License-Identifier: MIT */
/*
 * Export: a trace for other tools.
 *
 * What is exported goes to standard output or a file, what is said of the trace to standard
 * error.  pagetap-export(1).
 */

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "base/cleanup.h"
#include "cmd-read.h"
#include "cmd.h"
#include "exit.h"
#include "pick-args.h"
#include "report/export.h"
#include "report/model.h"
#include "report/walk.h"
#include "sandbox.h"
#include "symbols-args.h"
#include "trace/sink.h"

struct export_args {
	struct cmd_voice voice;
	struct pick_args pick;
	struct symbols_args symbols;
	const char *form, *output;
};

#define AT(member) .offset = offsetof(struct export_args, member)

static const struct option_spec options[] = {
	{ .name = "to", .arg = "FORM",
	  .help = "chrome, folded, speedscope, csv, openmetrics, pages", .type = OPTION_WORD,
	  .words = "chrome\0folded\0speedscope\0csv\0openmetrics\0pages\0", AT(form) },
	{ 'o', "output", "FILE", "default: standard output; .zst compresses", OPTION_TEXT,
	  AT(output) },
	PICK_ARGS_OPTIONS(struct export_args, pick),
	SYMBOLS_ARGS_OPTIONS(struct export_args, symbols),
	CMD_VOICE_OPTIONS(struct export_args, voice),
	{ .name = NULL },
};

static const char *const examples[] = {
	"pagetap export --to chrome -o t.json t.ndjson      # for ui.perfetto.dev",
	"pagetap export --to folded t.ndjson | flamegraph.pl > t.svg",
	"pagetap export --to pages -o t.pages t.ndjson      # for restore --prefetch",
	NULL,
};

static const struct option_page page = {
	.command = "export",
	.operands = "TRACE",
	.about = "Write a trace in the format of another tool.",
	.options = options,
	.examples = examples,
};

struct exporting {
	const char *path, *output;
	const struct export_form *form;
	struct export e;
	struct walk *walk;
	struct model *model;
	struct symbols *symbols;
	struct pick *pick;
	struct pen pen;
	struct sink *sink;
};

static int write_out(void *arg, const char *bytes, size_t len)
{
	struct exporting *x = arg;

	return sink_write(x->sink, bytes, len);
}

static int on_record(void *arg, const struct reader_record *rec)
{
	struct exporting *x = arg;
	int r = model_record(x->model, &rec->record);

	if (!r)
		r = x->form->record(&x->e, rec, pick_takes(x->pick, x->model, &rec->record));
	return r ? r : x->pen.error;
}

/* Without words where a reader has had enough. */
static int output_failed(const struct exporting *x, int r)
{
	struct cmd_read_name name;
	const char *path = strcmp(x->output, "-") ? x->output : "standard output";

	if (r == -EPIPE)
		return EXIT_RUNTIME;
	log_error("%s: %s", log_escape(path, strlen(path), name.s, sizeof(name.s)),
		  r == -EINVAL ? "not a regular file" :
		  r == -ENOTTY ? "refusing to write compressed data to a terminal" : strerror(-r));
	return EXIT_RUNTIME;
}

static int export_records(struct exporting *x)
{
	struct walk_end end;
	int r = x->form->begin(&x->e), status;

	if (!r)
		r = walk_run(x->walk, on_record, x, &end);
	if (!r)
		r = x->form->end(&x->e);
	x->form->done(&x->e);
	log_progress_clear();
	if (!x->pen.error && r < 0)
		return cmd_read_refused(x->path, r, &(struct reader_error){ "" });
	r = pen_end(&x->pen);
	if (r < 0)
		return output_failed(x, r);
	status = cmd_read_end(x->path, &end);
	symbols_args_tell(x->symbols);
	return status;
}

/* The trace is opened first: no file is made for one that cannot be read. */
static int export(struct exporting *x, const struct export_args *a)
{
	struct reader_error why = { "" };
	struct cmd_read_name name;
	int r = walk_open(&x->walk, x->path, &why), status;

	if (r < 0)
		return cmd_read_refused(x->path, r, &why);
	cmd_read_name(x->path, &name);
	cmd_read_bar(x->walk, &name);
	r = symbols_args_open(&a->symbols, &x->symbols);
	if (!r)
		r = model_new(&x->model, walk_header(x->walk)->page_size);
	if (r)
		return cmd_read_refused(x->path, r, &why);
	r = sink_open(&x->sink, x->output);
	if (r < 0)
		return output_failed(x, r);
	sandbox_reader();
	pen_begin(&x->pen, write_out, x);
	x->e = (struct export){ .header = walk_header(x->walk), .model = x->model,
				.symbols = x->symbols, .pen = &x->pen };
	status = export_records(x);
	r = sink_close(x->sink);
	return r < 0 && !x->pen.error ? output_failed(x, r) : status;
}

/* A reader that has gone ends us as it ends others, now that everything is in order. */
static void end_by_pipe(const struct exporting *x)
{
	if (x->pen.error != -EPIPE)
		return;
	signal(SIGPIPE, SIG_DFL);
	raise(SIGPIPE);
}

int cmd_export(int argc, char **argv)
{
	_free_ struct exporting *x = calloc(1, sizeof(*x));
	struct export_args a = { .output = "-" };
	struct options_error e;
	struct pick pick;
	int operand, status = EXIT_OK;

	if (!cmd_begin(&page, argc, argv, &a, &a.voice, &operand, &status))
		return status;
	if (!a.form)
		return cmd_usage(&page, "--to says what to make of it: none given");
	if (operand + 1 != argc)
		return cmd_usage(&page, operand == argc ? "no TRACE given" : "one TRACE only");
	if (pick_args_pick(&a.pick, &pick, &e) < 0)
		return cmd_usage(&page, "%s", e.text);
	if (!x) {
		log_error("out of memory");
		return EXIT_RUNTIME;
	}
	x->path = argv[operand];
	x->output = a.output;
	x->form = export_form(a.form);
	x->pick = &pick;
	status = EXIT_RUNTIME;
	if (!symbols_args_hold(&a.symbols))
		status = export(x, &a);
	model_free(x->model);
	symbols_free(x->symbols);
	walk_close(x->walk);
	pick_done(&pick);
	end_by_pipe(x);
	return status;
}
