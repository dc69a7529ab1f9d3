/* SPDX-License-Identifier: MIT */
/*
 * Map: the layout of a process, and which parts of it can be watched.
 *
 * Reads /proc only; stops nothing, touches nothing.  pagetap-map(1).
 */

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "cmd-engine.h"
#include "cmd.h"
#include "exit.h"
#include "filter-args.h"
#include "target-args.h"
#include "trace/record-json.h"
#include "watch/filesystem.h"
#include "watch/maps.h"
#include "watch/procinfo.h"
#include "watch/session.h"
#include "words.h"

#define NAME_SHOWN 256

struct map_args {
	struct cmd_voice voice;
	struct target_args target;
	struct filter_args filter;
	const char *engine;	/* NULL: auto */
	bool json;
};

#define AT(member) .offset = offsetof(struct map_args, member)

static const struct option_spec options[] = {
	{ 'p', "pid", "PID", "the process", OPTION_PARSE, AT(target),
	  .parse = target_args_parse_one },
	{ 'm', "mapping", "GLOB", "only mappings of this name; heap, stack, anon, ...",
	  OPTION_PARSE, AT(filter), .parse = filter_args_glob },
	{ 'a', "address", "LO-HI", "only mappings in this range of addresses",
	  OPTION_PARSE, AT(filter), .parse = filter_args_range },
	{ 0, "mode", "MODE,...", "for write, missing, minor (default: write)", OPTION_PARSE,
	  AT(filter), .parse = filter_args_modes },
	{ 0, "engine", "ENGINE", "async or sync (default: auto, as record does)",
	  OPTION_WORD, AT(engine), .words = "auto\0async\0sync\0" },
	{ 'J', "json", NULL, "one JSON object instead of the table", OPTION_FLAG, AT(json) },
	CMD_VOICE_OPTIONS(struct map_args, voice),
	{ .name = NULL },
};

static const char *const examples[] = {
	"pagetap map -p 4242",
	"pagetap map -p 4242 -m heap --mode write,missing",
	"pagetap map -p 4242 --json | jq '.mappings[] | select(.watch)'",
	NULL,
};

static const struct option_page page = {
	.command = "map",
	.operands = "-p PID",
	.about = "Show the mappings of a process and which of them can be watched, or why not.",
	.options = options,
	.examples = examples,
};

/* Everything that is shown of the process. */
struct view {
	pid_t pid;
	struct procinfo who;
	int procfd;
	struct maps maps;
	struct filesystems filesystems;
	struct watch_filter filter;
	uint64_t features;
	size_t shown, watched;
	uint64_t bytes, watched_bytes;
};

static int read_process(struct view *v)
{
	char path[32];
	int r;

	snprintf(path, sizeof(path), "/proc/%d", (int)v->pid);
	v->procfd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (v->procfd < 0)
		return -errno;
	r = procinfo_read(v->procfd, &v->who);
	return r < 0 ? r : maps_read(v->procfd, &v->maps);
}

struct judged {
	enum vma_kind kind;
	struct watch_verdict w;
};

/* False: filtered out, and not part of any total. */
static bool judge(struct view *v, const struct map_entry *m, struct judged *ret)
{
	uint64_t bytes = m->hi - m->lo;

	ret->kind = filesystem_look(v->procfd, m, &v->filesystems);
	ret->w = watchable(m, ret->kind, &v->filter, v->features);
	if (ret->w.why == WHY_FILTERED)
		return false;
	v->shown++;
	v->bytes += bytes;
	if (ret->w.why == WHY_NONE) {
		v->watched++;
		v->watched_bytes += bytes;
	}
	return true;
}

/* What "x" of a map line looks like, proc_pid_maps(5). */
static const char *prot_words(uint32_t prot, char buf[5])
{
	buf[0] = prot & RECORD_PROT_READ ? 'r' : '-';
	buf[1] = prot & RECORD_PROT_WRITE ? 'w' : '-';
	buf[2] = prot & RECORD_PROT_EXEC ? 'x' : '-';
	buf[3] = prot & RECORD_PROT_SHARED ? 's' : 'p';
	buf[4] = '\0';
	return buf;
}

static void watch_words(const struct watch_verdict *w, char *buf, size_t cap)
{
	const char *names[8];
	size_t at = 0;

	if (w->why != WHY_NONE) {
		snprintf(buf, cap, "no: %s", vma_why_name(w->why));
		return;
	}
	filter_args_mode_names(w->modes, names);
	buf[0] = '\0';
	for (unsigned int i = 0; names[i] && at < cap; i++)
		at += (size_t)snprintf(buf + at, cap - at, "%s%s", i ? "," : "", names[i]);
}

static const char *engine_of(const struct view *v)
{
	return v->filter.async ? "async" : "sync";
}

static void print_table(struct view *v)
{
	const char *dim = log_color_on(STDOUT_FILENO) ? "\033[2m" : "";
	const char *plain = *dim ? "\033[m" : "";
	char prot[5], watch[64], name[NAME_SHOWN], comm[4 * sizeof(v->who.comm)];
	struct words size, bytes, watched;
	struct judged j;

	printf("%d (%s)\n%-33s %-4s %-8s %9s  %-22s %s\n", (int)v->pid,
	       log_escape(v->who.comm, v->who.comm_len, comm, sizeof(comm)), "ADDRESSES", "PROT",
	       "KIND", "SIZE", "WATCH", "NAME");
	for (size_t i = 0; i < v->maps.n; i++) {
		const struct map_entry *m = &v->maps.v[i];

		if (!judge(v, m, &j))
			continue;
		watch_words(&j.w, watch, sizeof(watch));
		printf("%s%016llx-%016llx %-4s %-8s %9s  %-22s %s%s\n",
		       j.w.why == WHY_NONE ? "" : dim, (unsigned long long)m->lo,
		       (unsigned long long)m->hi, prot_words(m->prot, prot),
		       vma_kind_name(j.kind), words_bytes(m->hi - m->lo, &size), watch,
		       log_escape(m->name, m->name_len, name, sizeof(name)),
		       j.w.why == WHY_NONE ? "" : plain);
	}
	printf("%zu mapping%s of %s; %zu of %s can be watched (--engine %s)\n", v->shown,
	       v->shown == 1 ? "" : "s", words_bytes(v->bytes, &bytes), v->watched,
	       words_bytes(v->watched_bytes, &watched), engine_of(v));
}

static json_t *words_json(const char *const *list)
{
	json_t *a = json_array();

	for (; a && *list; list++)
		if (json_array_append_new(a, json_string(*list)) < 0)
			return json_decref(a), NULL;
	return a;
}

static int mapping_json(const struct map_entry *m, const struct judged *j, uint32_t page_size,
			json_t *list)
{
	const struct watch_verdict *w = &j->w;
	json_t *o = json_object();
	const char *names[8];
	char prot[5];
	int r;

	filter_args_mode_names(w->why == WHY_NONE ? w->modes : 0, names);
	r = record_json_hex(o, "addr", m->lo);
	r |= record_json_int(o, "page", m->lo / page_size);
	r |= record_json_int(o, "npages", (m->hi - m->lo) / page_size);
	r |= record_json_word(o, "prot", prot_words(m->prot, prot));
	r |= record_json_word(o, "kind", vma_kind_name(j->kind));
	r |= record_json_text(o, "name", "name_hex", m->name, m->name_len);
	r |= record_json_int(o, "off", m->off);
	r |= record_json_large(o, "ino", "ino_hex", m->ino);
	r |= json_object_set_new(o, "watch", json_boolean(w->why == WHY_NONE));
	r |= json_object_set_new(o, "modes", words_json(names));
	if (w->why != WHY_NONE)
		r |= record_json_word(o, "why", vma_why_name(w->why));
	return r | json_array_append_new(list, o);
}

static int print_json(struct view *v)
{
	uint32_t page_size = (uint32_t)sysconf(_SC_PAGESIZE);
	_json_ json_t *o = json_object();
	json_t *list = json_array(), *totals = json_object();
	const char *modes[8];
	struct judged j;
	int r;

	filter_args_mode_names(v->filter.modes, modes);
	r = record_json_int(o, "pid", (uint64_t)v->pid);
	r |= record_json_text(o, "comm", "comm_hex", v->who.comm, v->who.comm_len);
	r |= record_json_int(o, "page_size", page_size);
	r |= json_object_set_new(o, "modes", words_json(modes));
	r |= record_json_word(o, "engine", engine_of(v));
	r |= json_object_set_new(o, "mappings", list);
	for (size_t i = 0; i < v->maps.n && !r; i++)
		if (judge(v, &v->maps.v[i], &j))
			r |= mapping_json(&v->maps.v[i], &j, page_size, list);
	r |= record_json_int(totals, "mappings", v->shown);
	r |= record_json_int(totals, "bytes", v->bytes);
	r |= record_json_int(totals, "watched", v->watched);
	r |= record_json_int(totals, "watched_bytes", v->watched_bytes);
	r |= json_object_set_new(o, "totals", totals);
	if (r)
		return -ENOMEM;
	json_dumpf(o, stdout, JSON_INDENT(1) | JSON_ENSURE_ASCII);
	putchar('\n');
	return 0;
}

static int read_failed(const struct view *v, int r)
{
	struct cmd_name who;

	cmd_name_of(v->pid, &who);
	switch (-r) {
	case ENOENT:
		log_error("cannot read %d: no such process", (int)v->pid);
		return EXIT_NO_PROCESS;
	case ESRCH:
		log_error("%s has no user memory (a zombie or a kernel thread)", who.s);
		return EXIT_UNSUPPORTED;
	case EACCES:
	case EPERM:
		log_error("cannot read the mappings of %s: %s", who.s, strerror(-r));
		log_hint("run with sudo");
		return EXIT_NOT_PERMITTED;
	default:
		log_error("cannot read the mappings of %s: %s", who.s, strerror(-r));
		return EXIT_RUNTIME;
	}
}

static int choose_engine(struct view *v, const char *word)
{
	const char *wants_sync = v->filter.modes == WATCH_MODE_WRITE ? NULL :
				 "--mode missing or minor";
	enum engine asked = ENGINE_AUTO;
	struct options_error e;
	const char *why;
	int status;

	if (word && strcmp(word, "auto"))
		asked = strcmp(word, "async") ? ENGINE_SYNC : ENGINE_ASYNC;
	if (engine_check(asked, wants_sync, NULL, &e))
		return cmd_usage(&page, "%s", e.text);
	status = cmd_probe(v->filter.modes, &v->features);
	return status ? status :
	       engine_choose(asked, wants_sync, v->features, &v->filter.async, &why);
}

int cmd_map(int argc, char **argv)
{
	static struct map_args a;
	static struct view v;
	int operand, status, r;

	if (!cmd_begin(&page, argc, argv, &a, &a.voice, &operand, &status))
		return status;
	if (operand < argc)
		return cmd_usage(&page, "unexpected argument '%s'", argv[operand]);
	if (!a.target.n)
		return cmd_usage(&page, "no process: -p PID");
	v.pid = a.target.pid[0];
	v.filter = filter_args_filter(&a.filter);
	status = choose_engine(&v, a.engine);
	if (status)
		return status;
	r = read_process(&v);
	if (r < 0) {
		status = read_failed(&v, r);
	} else if (a.json) {
		r = print_json(&v);
		if (r < 0)
			log_error("%s", strerror(-r));
		status = r < 0 ? EXIT_RUNTIME : EXIT_OK;
	} else {
		print_table(&v);
	}
	maps_done(&v.maps);
	close_fd(&v.procfd);
	return status;
}
