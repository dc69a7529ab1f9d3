/* SPDX-License-Identifier: MIT */
/*
 * Check: what this kernel, these privileges and this process allow.
 *
 * Attaches to nothing, changes nothing.  pagetap-check(1).
 */

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "base/cleanup.h"
#include "cmd.h"
#include "exit.h"
#include "feature-names.h"
#include "filter-args.h"
#include "machine.h"
#include "target-args.h"
#include "trace/record-json.h"
#include "watch/filesystem.h"
#include "watch/maps.h"
#include "watch/procinfo.h"
#include "watch/session.h"
#include "words.h"

struct check_args {
	struct cmd_voice voice;
	struct target_args target;
	bool json;
};

#define AT(member) .offset = offsetof(struct check_args, member)

static const struct option_spec options[] = {
	{ 'p', "pid", "PID", "also look at this process", OPTION_PARSE, AT(target),
	  .parse = target_args_parse_one },
	{ 'J', "json", NULL, "one JSON object instead of the table", OPTION_FLAG, AT(json) },
	CMD_VOICE_OPTIONS(struct check_args, voice),
	{ .name = NULL },
};

static const char *const examples[] = {
	"pagetap check",
	"pagetap check -p 4242",
	"pagetap check --json | jq .ready",
	NULL,
};

static const struct option_page page = {
	.command = "check",
	.about = "Say what this kernel, these privileges and this process allow.",
	.options = options,
	.examples = examples,
};

/* The process of -p. */
struct target {
	pid_t pid;
	struct cmd_name name;
	struct pagetap_failure failure;
	int status;
	size_t mappings, watched;
	uint64_t watched_bytes;
};

struct findings {
	struct utsname uts;
	uint64_t features;
	struct machine_finding machine[MACHINE_FINDINGS];
	struct target target;		/* pid 0: none */
	int status;
};

static void count_mappings(struct target *t, uint64_t features)
{
	/* By the engine that record chooses. */
	struct watch_filter filter = { .modes = WATCH_MODE_WRITE,
				       .async = session_can_async(features) };
	struct filesystems known = { 0 };
	struct maps maps = MAPS_NULL;
	char path[32];
	_close_ int procfd = -1;

	snprintf(path, sizeof(path), "/proc/%d", (int)t->pid);
	procfd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (procfd < 0 || maps_read(procfd, &maps) < 0)
		return;
	for (size_t i = 0; i < maps.n; i++) {
		enum vma_kind kind = filesystem_look(procfd, &maps.v[i], &known);

		if (watchable(&maps.v[i], kind, &filter, features).why != WHY_NONE)
			continue;
		t->watched++;
		t->watched_bytes += maps.v[i].hi - maps.v[i].lo;
	}
	t->mappings = maps.n;
	maps_done(&maps);
}

static void look(struct target *t, uint64_t features)
{
	cmd_name_of(t->pid, &t->name);
	if (pagetap_look(t->pid, NULL, &t->failure) < 0)
		t->status = pagetap_failure_status(&t->failure);
	else
		count_mappings(t, features);
}

/* What no privilege can give is worse than what a privilege can. */
static int worst(const struct findings *f)
{
	int status = EXIT_OK;

	for (unsigned int i = 0; i < MACHINE_FINDINGS; i++)
		if (f->machine[i].status > status)
			status = f->machine[i].status;
	return status ? status : f->target.status;
}

static void print_line(enum machine_state state, const char *name, const char *text)
{
	static const char *const words[] = { "ok", "warn", "no" };
	static const char *const colors[] = { "\033[32m", "\033[33m", "\033[31m" };
	bool color = log_color_on(STDOUT_FILENO);

	printf("  %s%-4s%s  %-20s  %s\n", color ? colors[state] : "", words[state],
	       color ? "\033[m" : "", name, text);
}

static void print_target(const struct target *t)
{
	char text[600], why[4 * sizeof(t->failure.text)];
	struct words bytes;

	if (t->status)
		snprintf(text, sizeof(text), "%.150s: %.430s", t->name.s,
			 log_escape(t->failure.text, strlen(t->failure.text), why, sizeof(why)));
	else
		snprintf(text, sizeof(text), "%s: %zu of %zu mappings can be watched (%s)",
			 t->name.s, t->watched, t->mappings,
			 words_bytes(t->watched_bytes, &bytes));
	print_line(t->status ? MACHINE_NO : MACHINE_OK, "this process", text);
	if (t->status && t->failure.hint[0])
		printf("%28s  hint: %s\n", "", t->failure.hint);
}

static void print_table(const struct findings *f)
{
	printf("kernel %s, %s, %ld KiB pages\n", f->uts.release, f->uts.machine,
	       sysconf(_SC_PAGESIZE) / 1024);
	for (unsigned int i = 0; i < MACHINE_FINDINGS; i++)
		print_line(f->machine[i].state, f->machine[i].name, f->machine[i].text);
	if (f->target.pid)
		print_target(&f->target);
	puts(f->status ? "`pagetap record` cannot work as things are." :
			 "Everything `pagetap record` needs is here.");
}

static int target_json(json_t *o, const struct target *t)
{
	int r = record_json_int(o, "pid", (uint64_t)t->pid);

	r |= record_json_text(o, "name", "name_hex", t->name.s, strlen(t->name.s));
	r |= json_object_set_new(o, "attachable", json_boolean(!t->status));
	if (t->status) {
		r |= record_json_word(o, "reason", pagetap_reason_name(t->failure.reason));
		r |= record_json_text(o, "text", "text_hex", t->failure.text,
				      strlen(t->failure.text));
		return r;
	}
	r |= record_json_int(o, "mappings", t->mappings);
	r |= record_json_int(o, "watched", t->watched);
	return r | record_json_int(o, "watched_bytes", t->watched_bytes);
}

static int machine_json(json_t *list, const struct machine_finding *m)
{
	static const char *const words[] = { "ok", "warn", "no" };
	json_t *o = json_object();
	int r;

	r = record_json_word(o, "name", m->name);
	r |= record_json_word(o, "state", words[m->state]);
	r |= record_json_word(o, "text", m->text);
	return r | json_array_append_new(list, o);
}

static int print_json(const struct findings *f)
{
	_json_ json_t *o = json_object();
	json_t *list = json_array(), *names = json_array(), *target = json_object();
	const char *features[FEATURES_MAX];
	int r;

	features_names(f->features, features);
	r = record_json_word(o, "kernel", f->uts.release);
	r |= record_json_word(o, "arch", f->uts.machine);
	r |= record_json_int(o, "page_size", (uint64_t)sysconf(_SC_PAGESIZE));
	for (const char **n = features; *n; n++)
		r |= json_array_append_new(names, json_string(*n));
	r |= json_object_set_new(o, "features", names);
	for (unsigned int i = 0; i < MACHINE_FINDINGS; i++)
		r |= machine_json(list, &f->machine[i]);
	r |= json_object_set_new(o, "checks", list);
	if (f->target.pid)
		r |= target_json(target, &f->target) | json_object_set(o, "target", target);
	json_decref(target);
	r |= json_object_set_new(o, "ready", json_boolean(!f->status));
	r |= record_json_int(o, "status", (uint64_t)f->status);
	if (r)
		return -ENOMEM;
	json_dumpf(o, stdout, JSON_INDENT(1) | JSON_ENSURE_ASCII);
	putchar('\n');
	return 0;
}

int cmd_check(int argc, char **argv)
{
	static struct check_args a;
	static struct findings f;
	int operand, status;

	if (!cmd_begin(&page, argc, argv, &a, &a.voice, &operand, &status))
		return status;
	if (operand < argc)
		return cmd_usage(&page, "unexpected argument '%s'", argv[operand]);
	uname(&f.uts);
	machine_probe(f.machine, &f.features);
	if (a.target.n) {
		f.target.pid = a.target.pid[0];
		look(&f.target, f.features);
	}
	f.status = worst(&f);
	if (!a.json) {
		print_table(&f);
	} else if (print_json(&f) < 0) {
		log_error("out of memory");
		return EXIT_RUNTIME;
	}
	return f.status;
}
