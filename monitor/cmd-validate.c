/* SPDX-License-Identifier: MIT */
/*
 * Validate: does a trace keep every promise of pagetap-trace(5)?
 *
 * The verdict goes to standard output, what hinders a verdict to standard error.
 * pagetap-validate(1).
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "cmd.h"
#include "exit.h"
#include "sandbox.h"
#include "trace/validate-file.h"

/* So many complaints say what is wrong; -v says all. */
#define SHOWN_MAX 20

struct validate_args {
	struct cmd_voice voice;
	bool json, allow_cut;
};

#define AT(member) .offset = offsetof(struct validate_args, member)

static const struct option_spec options[] = {
	{ .name = "allow-cut", .help = "a trace without an end is no fault",
	  .type = OPTION_FLAG, AT(allow_cut) },
	{ 'J', "json", NULL, "one JSON object a file instead of text", OPTION_FLAG, AT(json) },
	CMD_VOICE_OPTIONS(struct validate_args, voice),
	{ .name = NULL },
};

static const char *const examples[] = {
	"pagetap validate t.ndjson",
	"pagetap validate --allow-cut *.ndjson.zst",
	"zstdcat t.ndjson.zst | pagetap validate --json - | jq .complaints",
	NULL,
};

static const struct option_page page = {
	.command = "validate",
	.operands = "FILE...",
	.about = "Read traces strictly and say at which line which rule is broken.",
	.options = options,
	.examples = examples,
};

struct listener {
	const struct validate_args *args;
	const char *name;		/* of the file, escaped */
	struct validate_complaint kept[SHOWN_MAX];
	unsigned int n;
};

static void on_complaint(void *arg, uint64_t line, const char *words)
{
	struct listener *l = arg;

	if (l->args->json) {
		if (l->n == SHOWN_MAX)
			return;
		l->kept[l->n].line = line;
		snprintf(l->kept[l->n].words, sizeof(l->kept[l->n].words), "%s", words);
	} else if (!l->args->voice.quiet && (l->n < SHOWN_MAX || l->args->voice.verbose)) {
		printf("%s:%" PRIu64 ": %s\n", l->name, line, words);
	}
	l->n++;
}

static void print_verdict(const struct listener *l, const struct validate_outcome *o)
{
	const struct validate_totals *t = &o->totals;

	if (l->args->voice.quiet)
		return;
	if (t->complaints > SHOWN_MAX && !l->args->voice.verbose)
		printf("%s: %" PRIu64 " more complaints; -v shows them\n", l->name,
		       t->complaints - SHOWN_MAX);
	printf("%s: %s: %" PRIu64 " records, %" PRIu64 " faults, %" PRIu64 " writes, %" PRIu64
	       " lost%s, %" PRIu64 " gaps", l->name, t->complaints ? "not valid" : "valid",
	       t->records, t->faults, t->writes, t->lost,
	       t->lost_unknown ? " and an uncounted number more" : "", t->gaps);
	if (o->cut)
		printf(", the last line cut off at byte %" PRIu64, o->cut_offset);
	else if (!t->complete)
		printf(", without an end");
	if (t->complaints)
		printf(", %" PRIu64 " complaint%s", t->complaints, t->complaints > 1 ? "s" : "");
	printf("\n");
}

static int print_json(const struct listener *l, const char *path, int r,
		      const struct validate_outcome *o)
{
	_free_ char *line = validate_json_line(path, r, o, l->kept, l->n);

	if (!line) {
		log_error("%s: out of memory", l->name);
		return EXIT_RUNTIME;
	}
	fputs(line, stdout);
	return EXIT_OK;
}

static int validate_one(const struct validate_args *a, const char *path)
{
	struct validate_outcome o;
	char name[512];
	struct listener l = {
		.args = a,
		.name = log_escape(path, strlen(path), name, sizeof(name)),
	};
	int r = validate_file(path, a->allow_cut, on_complaint, &l, &o);
	int status = EXIT_OK;

	if (a->json)
		status = print_json(&l, path, r, &o);
	if (r == -EPROTONOSUPPORT) {
		log_error("%s %s", l.name, o.words);
		return EXIT_UNSUPPORTED;
	}
	if (r < 0) {
		log_error("%s: %s", l.name, o.words);
		return EXIT_RUNTIME;
	}
	if (!a->json)
		print_verdict(&l, &o);
	return o.totals.complaints ? EXIT_RUNTIME : status;
}

int cmd_validate(int argc, char **argv)
{
	struct validate_args a = { 0 };
	int operand, status = EXIT_OK, one;

	if (!cmd_begin(&page, argc, argv, &a, &a.voice, &operand, &status))
		return status;
	if (operand == argc)
		return cmd_usage(&page, "no FILE given");
	sandbox_reader();
	for (; operand < argc; operand++) {
		one = validate_one(&a, argv[operand]);
		if (one > status)
			status = one;
	}
	if (fflush(stdout) || ferror(stdout)) {
		log_error("standard output: %s", strerror(errno));
		return EXIT_RUNTIME;
	}
	return status;
}
