/* SPDX-License-Identifier: MIT */
/*
 * Diff: what got hotter, what is new: one trace against another.
 *
 * pagetap-diff(1).
 */

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cmd-read.h"
#include "cmd.h"
#include "exit.h"
#include "pick-args.h"
#include "report/compare.h"
#include "report/loaded.h"
#include "report/pen.h"
#include "report/writers.h"
#include "sandbox.h"
#include "symbols-args.h"
#include "words.h"

#define TOP_UNSET UINT64_MAX
#define TOP_TEXT 40

struct diff_args {
	struct cmd_voice voice;
	struct pick_args pick;
	struct symbols_args symbols;
	const char *by;
	uint64_t top;
	bool json;
};

#define AT(member) .offset = offsetof(struct diff_args, member)

static const struct option_spec options[] = {
	{ .name = "by", .arg = "WHAT", .help = "mapping (the default) or symbol",
	  .type = OPTION_WORD, .words = "mapping\0symbol\0", AT(by) },
	{ .name = "top", .arg = "N", .help = "rows at most; 0: all", .type = OPTION_NUMBER,
	  AT(top) },
	PICK_ARGS_OPTIONS(struct diff_args, pick),
	SYMBOLS_ARGS_OPTIONS(struct diff_args, symbols),
	{ 'J', "json", NULL, "one JSON object instead of text", OPTION_FLAG, AT(json) },
	CMD_VOICE_OPTIONS(struct diff_args, voice),
	{ .name = NULL },
};

static const char *const examples[] = {
	"pagetap diff before.ndjson after.ndjson",
	"pagetap diff --by symbol before.ndjson after.ndjson",
	"pagetap diff --json a.ndjson b.ndjson | jq '.rows[] | select(.change==\"new\")'",
	NULL,
};

static const struct option_page page = {
	.command = "diff",
	.operands = "A B",
	.about = "Say what got hotter, cooler, new or is gone in trace B, against trace A.",
	.options = options,
	.examples = examples,
};

/* One of the two. */
struct side {
	const char *path;
	uint64_t ns, written, pages;
};

struct diff {
	const struct diff_args *args;
	struct pick *pick;
	struct symbols *symbols;
	struct compare *compare;
	struct side side[2];
	bool by_symbol;
};

/* ---- reading -------------------------------------------------------------------- */

static int on_record(void *arg, const struct reader_record *r)
{
	return writers_record(arg, &r->record);
}

static int add_mappings(struct diff *d, enum compare_side side, const struct loaded *l)
{
	const struct tally *t = l->tally;
	int r = 0;

	for (size_t i = 0; !r && i < t->nr_labels; i++) {
		const struct model_label *label = model_label(l->model, i);
		const struct model_text *name = label->name.len ? &label->name : &label->text;
		const struct tally_counts *c = &t->labels[i].c;
		uint64_t n = t->watches_writes ? c->written : c->faults;

		if (n)
			r = compare_add(d->compare, side, name->s, name->len,
					vma_kind_name(label->kind), n, c->pages);
	}
	return r;
}

static int add_functions(struct diff *d, enum compare_side side, const struct writers *w)
{
	struct chains *chains = NULL;
	int r = writers_chains(w, d->symbols, false, &chains);
	const struct chains_row *rows = NULL;
	size_t n = 0;

	if (!r)
		rows = chains_rows(chains, &n);
	for (size_t i = 0; !r && i < n; i++)
		if (rows[i].self)
			r = compare_add(d->compare, side, rows[i].name, strlen(rows[i].name),
					rows[i].module, rows[i].self, 0);
	chains_free(chains);
	return r;
}

/* From the first arming to the last record, within what was asked for. */
static uint64_t watched_ns(const struct loaded *l, const struct pick *p)
{
	const struct tally *t = l->tally;
	uint64_t begin = t->arm_ts == UINT64_MAX ? t->first_ts : t->arm_ts;
	uint64_t end = l->end.last_ts;

	begin = begin < p->since ? p->since : begin;
	end = p->until && p->until < end ? p->until : end;
	return end > begin ? end - begin : 0;
}

static int load(struct diff *d, enum compare_side which, struct loaded *l, struct writers **ret,
		struct reader_error *why)
{
	struct side *side = &d->side[which];
	struct cmd_read_name name;
	int r = loaded_open(l, side->path, why);

	if (r < 0)
		return r;
	cmd_read_name(side->path, &name);
	cmd_read_bar(l->walk, &name);
	r = writers_new(ret, l->model);
	if (!r)
		r = loaded_read(l, d->pick, d->by_symbol ? on_record : NULL, *ret);
	if (!r)
		r = d->by_symbol ? add_functions(d, which, *ret) : add_mappings(d, which, l);
	if (r)
		return r;
	side->ns = watched_ns(l, d->pick);
	side->written = l->tally->watches_writes ? l->tally->total.written :
						   l->tally->total.faults;
	side->pages = l->tally->total.pages;
	if (d->by_symbol && !writers_sums(*ret)->with_code)
		log_warn("%s: no fault of it says which code wrote (record --who does)",
			 name.s);
	return 0;
}

static int read_side(struct diff *d, enum compare_side which)
{
	_cleanup_(loaded_done) struct loaded l = LOADED_NULL;
	struct reader_error why = { "" };
	struct writers *w = NULL;
	int r = load(d, which, &l, &w, &why), status;

	writers_free(w);
	log_progress_clear();
	if (r < 0)
		return cmd_read_refused(d->side[which].path, r, &why);
	status = cmd_read_end(d->side[which].path, &l.end);
	/* What was found out about its mappings holds for this trace alone. */
	pick_done(d->pick);
	return status;
}

/* ---- telling -------------------------------------------------------------------- */

static void show_side(const char *letter, const struct side *s)
{
	struct cmd_read_name name;
	struct words written, pages, ns;
	double seconds = s->ns ? (double)s->ns / 1e9 : 1;

	printf("%s  %s: %s pages written (%s different) in %s, %.1f a second\n", letter,
	       cmd_read_name(s->path, &name), words_count(s->written, &written),
	       words_count(s->pages, &pages), words_duration(s->ns, &ns),
	       (double)s->written / seconds);
}

/* "x1.5", "+12 %": what a person would say. */
static const char *times(const struct compare_row *r, char *buf, size_t cap)
{
	double ratio = r->rate[0] > 0 ? r->rate[1] / r->rate[0] : 0;

	if (r->change == COMPARE_NEW || r->change == COMPARE_GONE || r->change == COMPARE_SAME)
		snprintf(buf, cap, "-");
	else if (ratio >= 2)
		snprintf(buf, cap, "x%.1f", ratio);
	else
		snprintf(buf, cap, "%+.1f %%", (ratio - 1) * 100);
	return buf;
}

static const char *paint(const struct compare_row *r)
{
	switch (r->change) {
	case COMPARE_NEW:
	case COMPARE_HOTTER:
		return "\033[31m";
	case COMPARE_GONE:
	case COMPARE_COOLER:
		return "\033[34m";
	default:
		return "";
	}
}

static void show_row(const struct diff *d, const struct compare_row *r, bool color)
{
	struct words before, after;
	bool told = r->kind[0] && strcmp(r->kind, r->name) != 0;
	char ratio[32], pages[80] = "";

	if (!d->by_symbol)
		snprintf(pages, sizeof(pages), " %11s %11s", words_count(r->pages[0], &before),
			 words_count(r->pages[1], &after));
	printf("%s%-7s%s %12.1f %12.1f %+13.1f %9s%s  %s%s%s%s\n", color ? paint(r) : "",
	       compare_word(r->change), color && *paint(r) ? "\033[0m" : "", r->rate[0],
	       r->rate[1], r->rate[1] - r->rate[0], times(r, ratio, sizeof(ratio)), pages, r->name,
	       told ? " (" : "", told ? r->kind : "", told ? ")" : "");
}

static void show_text(const struct diff *d, const struct compare_row *rows, size_t n)
{
	uint64_t top = d->args->top == TOP_UNSET ? TOP_TEXT : d->args->top;
	size_t shown = top && top < n ? (size_t)top : n;
	bool color = log_color_on(STDOUT_FILENO);
	struct words more;

	show_side("A", &d->side[0]);
	show_side("B", &d->side[1]);
	printf("\n%-7s %12s %12s %13s %9s%s  %s\n", "", "A, a second", "B, a second", "change",
	       "by", d->by_symbol ? "" : "     A pages     B pages",
	       d->by_symbol ? "function" : "mapping");
	for (size_t i = 0; i < shown; i++)
		show_row(d, &rows[i], color);
	if (n > shown)
		printf("... and %s more (--top 0 shows all)\n", words_count(n - shown, &more));
}

static int to_stdout(void *arg, const char *bytes, size_t len)
{
	(void)arg;
	return fwrite(bytes, 1, len, stdout) == len ? 0 : -errno;
}

static void write_side(struct pen *p, const char *key, const struct side *s)
{
	pen_format(p, "\"%s\":{\"file\":", key);
	pen_json_text(p, s->path);
	pen_format(p, ",\"watched_ns\":%" PRIu64 ",\"written\":%" PRIu64 ",\"pages\":%" PRIu64 "},",
		   s->ns, s->written, s->pages);
}

static void write_row(struct pen *p, const struct diff *d, const struct compare_row *r)
{
	pen_format(p, "{\"change\":\"%s\",\"name\":", compare_word(r->change));
	pen_json_text(p, r->name);
	pen_text(p, d->by_symbol ? ",\"module\":" : ",\"kind\":");
	pen_json_text(p, r->kind);
	pen_format(p, ",\"written\":[%" PRIu64 ",%" PRIu64 "],\"per_second\":[%.3f,%.3f]",
		   r->written[0], r->written[1], r->rate[0], r->rate[1]);
	if (!d->by_symbol)
		pen_format(p, ",\"pages\":[%" PRIu64 ",%" PRIu64 "]", r->pages[0], r->pages[1]);
	pen_text(p, "}");
}

static int show_json(const struct diff *d, const struct compare_row *rows, size_t n)
{
	uint64_t top = d->args->top == TOP_UNSET ? 0 : d->args->top;
	_free_ struct pen *p = malloc(sizeof(*p));
	size_t shown = top && top < n ? (size_t)top : n;

	if (!p)
		return -ENOMEM;
	pen_begin(p, to_stdout, NULL);
	pen_text(p, "{");
	write_side(p, "a", &d->side[0]);
	write_side(p, "b", &d->side[1]);
	pen_format(p, "\"by\":\"%s\",\"left_out\":%zu,\"rows\":[",
		   d->by_symbol ? "symbol" : "mapping", n - shown);
	for (size_t i = 0; i < shown; i++) {
		pen_text(p, i ? "," : "");
		write_row(p, d, &rows[i]);
	}
	pen_text(p, "]}\n");
	return pen_end(p);
}

static int show(struct diff *d)
{
	const uint64_t ns[2] = { d->side[0].ns, d->side[1].ns };
	const struct compare_row *rows;
	size_t n;
	int r = 0;

	rows = compare_end(d->compare, ns, &n);
	if (d->args->json)
		r = show_json(d, rows, n);
	else
		show_text(d, rows, n);
	if (fflush(stdout) || ferror(stdout) || r) {
		log_error("standard output: %s", strerror(r ? -r : errno));
		return EXIT_RUNTIME;
	}
	return EXIT_OK;
}

static int diff(struct diff *d)
{
	int r, status = EXIT_OK, one;

	sandbox_reader();
	r = symbols_args_open(&d->args->symbols, &d->symbols);
	if (!r)
		r = compare_new(&d->compare);
	if (r) {
		if (r == -ENOMEM)
			log_error("out of memory");
		return EXIT_RUNTIME;
	}
	for (int i = 0; i < 2; i++) {
		one = read_side(d, i ? COMPARE_B : COMPARE_A);
		/* Of a damaged one the whole records are compared all the same. */
		if (one && !d->side[i].written && !d->side[i].ns)
			return one;
		status = one ? one : status;
	}
	if (d->by_symbol)
		symbols_args_tell(d->symbols);
	one = show(d);
	return one ? one : status;
}

int cmd_diff(int argc, char **argv)
{
	struct diff_args a = { .top = TOP_UNSET };
	struct options_error e;
	struct diff d = { .args = &a };
	struct pick pick;
	int operand, status = EXIT_OK;

	if (!cmd_begin(&page, argc, argv, &a, &a.voice, &operand, &status))
		return status;
	if (operand + 2 != argc)
		return cmd_usage(&page, "two traces are compared, not %d", argc - operand);
	if (pick_args_pick(&a.pick, &pick, &e) < 0)
		return cmd_usage(&page, "%s", e.text);
	d.pick = &pick;
	d.by_symbol = a.by && !strcmp(a.by, "symbol");
	d.side[0].path = argv[operand];
	d.side[1].path = argv[operand + 1];
	status = EXIT_RUNTIME;
	if (!symbols_args_hold(&a.symbols))
		status = diff(&d);
	compare_free(d.compare);
	symbols_free(d.symbols);
	pick_done(&pick);
	return status;
}
