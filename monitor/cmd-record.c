/* SPDX-License-Identifier: MIT */
/*
 * Record: attach to processes, or start one, and write what their memory does.
 *
 * Everything is parsed and refused before anything is touched; every target is
 * looked at before the output is opened; whatever happens then, the targets are
 * let go before the last line is said.  pagetap-record(1).
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "cmd-engine.h"
#include "cmd-summary.h"
#include "exit.h"
#include "filter-args.h"
#include "holder.h"
#include "launch.h"
#include "sandbox.h"
#include "signals.h"
#include "target-args.h"

#define RING_DEFAULT 131072
#define RING_MAX (UINT64_C(1) << 24)
#define WATCHDOG_MIN (50 * NSEC_PER_MSEC)
#define PROCESSES_MAX 65536

struct record_args {
	struct cmd_voice voice;
	struct target_args targets;
	struct filter_args filter;
	const char *output;
	uint64_t duration_ns, max_faults, max_bytes, rearm_ms, ring, watchdog_ns, max_processes;
	uint64_t epoch_ms, granularity, budget_ppm;
	bool follow, strict, who, sure, async;	/* async: what the engine came to */
	enum engine engine;
	char **command;			/* NULL: -p */
	const char *const *argv;
};

struct run {
	struct record_args a;
	struct launch launch;
	struct recording rec;
	struct cmd_name name[TARGET_ARGS_MAX];
	const char *path;		/* of the output */
	char default_path[64];
	sigset_t old_mask;
	int signal_fd;
	uint64_t features;
	bool attached;
};

/* Shorter ones would take the ordinary waits of a busy machine for a stall. */
static int parse_watchdog(void *member, const char *word, struct options_error *e)
{
	uint64_t ns = 0;

	if (strcmp(word, "0") && (!options_seconds(word, &ns) || ns < WATCHDOG_MIN))
		return options_wrong(e, "'%s' is neither 0 nor at least 0.05 seconds", word);
	*(uint64_t *)member = ns;
	return 0;
}

#define AT(member) .offset = offsetof(struct record_args, member)

static const struct option_spec options[] = {
	{ 'p', "pid", "PID[,PID...]", "attach to these processes; may be repeated",
	  OPTION_PARSE, AT(targets), .parse = target_args_parse },
	{ 'o', "output", "FILE", "where to write; - is stdout, .zst compresses",
	  OPTION_TEXT, AT(output) },
	{ 'f', "follow", NULL, "also watch children and programs they execute",
	  OPTION_FLAG, AT(follow) },
	{ 'e', "events", "KIND,...", "keep only missing, wp, minor, fork, exit, map",
	  OPTION_PARSE, AT(filter), .parse = filter_args_kinds },
	{ 'm', "mapping", "GLOB", "only mappings of this name; heap, stack, anon, ...",
	  OPTION_PARSE, AT(filter), .parse = filter_args_glob },
	{ 'a', "address", "LO-HI", "only mappings in this range of addresses",
	  OPTION_PARSE, AT(filter), .parse = filter_args_range },
	{ 'd', "duration", "SEC", "stop after so many seconds", OPTION_SECONDS, AT(duration_ns) },
	{ 'n', "count", "COUNT", "stop after so many faults", OPTION_NUMBER, AT(max_faults),
	  .min = 1 },
	{ 0, "max-size", "SIZE", "stop when the output is so large (10M, 2G)", OPTION_SIZE,
	  AT(max_bytes), .min = WRITER_LIMIT_MIN },
	{ 0, "engine", "ENGINE", "async: nobody waits; sync: each fault; both; auto",
	  OPTION_PARSE, AT(engine), .parse = engine_parse },
	{ 0, "epoch", "MS", "async: written pages each so many ms (1000)", OPTION_NUMBER,
	  AT(epoch_ms), .min = 1, .max = 3600000 },
	{ 0, "who", NULL, "async: also who wrote each page, and from where", OPTION_FLAG, AT(who) },
	{ 0, "sure", NULL, "--who: and tell writes from reads", OPTION_FLAG, AT(sure) },
	{ 0, "budget", "PCT", "async: slow the target by no more per cent", OPTION_PARSE,
	  AT(budget_ppm), .parse = engine_budget },
	{ 0, "mode", "MODE,...", "write, missing, minor (default: write)", OPTION_PARSE,
	  AT(filter), .parse = filter_args_modes },
	{ 0, "rearm", "MS", "protect written pages again each so many ms", OPTION_NUMBER,
	  AT(rearm_ms), .min = 1, .max = 3600000 },
	{ 0, "granularity", "N", "protect and tell of so many pages as one (1)", OPTION_PARSE,
	  AT(granularity), .parse = engine_granularity },
	{ 0, "ring", "N", "records that may wait for the output (131072)", OPTION_NUMBER,
	  AT(ring), .min = 64, .max = RING_MAX },
	{ 0, "max-processes", "N", "with -f: watch no more at a time (512)", OPTION_NUMBER,
	  AT(max_processes), .min = 1, .max = PROCESSES_MAX },
	{ 0, "watchdog", "SEC", "let go if pagetap itself stands still (1); 0: never",
	  OPTION_PARSE, AT(watchdog_ns), .parse = parse_watchdog },
	{ 0, "strict", NULL, "exit with status 6 if records were lost", OPTION_FLAG, AT(strict) },
	CMD_VOICE_OPTIONS(struct record_args, voice),
	{ .name = NULL },
};

static const char *const examples[] = {
	"pagetap record -p 4242 -o t.ndjson        (Ctrl-C ends it; 4242 goes on)",
	"pagetap record -p 4242 -d 10 -m heap --rearm 1000",
	"pagetap record -f -o t.ndjson.zst -- make -j2",
	NULL,
};

static const struct option_page page = {
	.command = "record",
	.operands = "{-p PID[,PID...] | -- COMMAND [ARG...]}",
	.about = "Attach to processes and write down every fault and first write as NDJSON.",
	.options = options,
	.examples = examples,
};

/* What only faults that wait can give; NULL: nothing of the kind is asked for. */
static const char *wants_sync(const struct record_args *a)
{
	return a->rearm_ms ? "--rearm" :
	       a->granularity > 1 ? "--granularity" :
	       a->max_faults ? "--count" :
	       filter_args_filter(&a->filter).modes != WATCH_MODE_WRITE ?
	       "--mode missing or minor" : NULL;
}

static const char *wants_async(const struct record_args *a)
{
	return a->who ? "--who" : a->epoch_ms ? "--epoch" : a->budget_ppm ? "--budget" : NULL;
}

static int check_args(struct run *run, int argc, char **argv, int operand)
{
	struct record_args *a = &run->a;

	if (operand < argc && a->targets.n)
		return cmd_usage(&page, "either -p or a COMMAND, not both");
	if (operand >= argc && !a->targets.n)
		return cmd_usage(&page, "no process: -p PID, or -- COMMAND");
	if (!(filter_args_filter(&a->filter).modes & WATCH_MODE_WRITE) &&
	    (a->rearm_ms || a->granularity > 1))
		return cmd_usage(&page, "%s needs --mode write",
				 a->rearm_ms ? "--rearm" : "--granularity");
	if (engine_check(&page, a->engine, wants_sync(a), wants_async(a)))
		return EXIT_USAGE;
	if (a->sure && !a->who)
		return cmd_usage(&page, "--sure needs --who");
	if (a->engine == ENGINE_BOTH && filter_args_filter(&a->filter).modes != WATCH_MODE_WRITE)
		return cmd_usage(&page, "--mode missing or minor needs --engine sync");
	if (a->engine == ENGINE_BOTH && !(a->filter.nr_ranges + a->filter.nr_globs))
		return cmd_usage(&page, "--engine both needs -m or -a");
	a->command = operand < argc ? argv + operand : NULL;
	a->argv = (const char *const *)argv - 1;	/* with the name of the program */
	return EXIT_OK;
}

static void choose_output(struct run *run)
{
	run->path = run->a.output;
	if (run->path)
		return;
	snprintf(run->default_path, sizeof(run->default_path), "pagetap-%d.ndjson",
		 (int)run->a.targets.pid[0]);
	run->path = run->default_path;
}

static bool reads_output(const struct run *run, pid_t pid)
{
	return strcmp(run->path, "-") ? holder_reads_path(pid, run->path) :
					holder_reads(pid, STDOUT_FILENO);
}

/* Look before touching; remembers the names, for later they may be gone. */
static int look(struct run *run)
{
	struct target_args *t = &run->a.targets;

	choose_output(run);
	for (unsigned int i = 0; i < t->n; i++) {
		struct pagetap_failure f = { 0 };
		int r = pagetap_look(t->pid[i], NULL, &f);

		cmd_name_of(t->pid[i], &run->name[i]);
		if (r < 0)
			return cmd_attach_failed(&run->name[i], &f);
		if (reads_output(run, t->pid[i])) {
			log_error("%s reads what pagetap writes, so that each record would cause "
				  "more of them", run->name[i].s);
			log_hint("-o FILE");
			return EXIT_USAGE;
		}
	}
	return EXIT_OK;
}

static int start_agent(struct run *run)
{
	const struct target_args *t = &run->a.targets;
	int r;

	/* The COMMAND, if there is one, exists: its limits are those of its user. */
	sandbox_begin();
	r = recording_agent(&run->rec, t->pid, t->n);

	if (r < 0)
		log_error("cannot start recording: %s", strerror(-r));
	return r < 0 ? EXIT_RUNTIME : EXIT_OK;
}

static int open_output(struct run *run)
{
	int r;

	r = recording_output(&run->rec, run->path);
	return r < 0 ? summary_refused_output(run->path, r) : EXIT_OK;
}

static int start(struct run *run)
{
	struct record_args *a = &run->a;
	struct session_opts o = {
		.filter = filter_args_filter(&a->filter),
		.kinds = a->filter.kinds ? a->filter.kinds : WATCH_KIND_ALL,
		.async = a->async,
		.both = a->engine == ENGINE_BOTH,
		.who = a->who,
		.sure = a->sure,
		.epoch_ns = a->epoch_ms * NSEC_PER_MSEC,
		.budget_ppm = a->budget_ppm,
		.follow = a->follow,
		.rearm_ns = a->rearm_ms * NSEC_PER_MSEC,
		.granularity = (unsigned int)a->granularity,
		.duration_ns = a->duration_ns,
		.max_faults = a->max_faults,
		.watchdog_ns = a->watchdog_ns,
		.max_processes = (unsigned int)a->max_processes,
		.output_fd = -1,
		.limit_fd = -1,
	};
	bool output = false;
	int r;

	r = signals_take(&run->signal_fd, &run->old_mask);
	o.signal_fd = run->signal_fd;
	if (!r)
		r = recording_start(&run->rec, &o, a->ring, a->max_bytes,
				    run->features, a->argv, &output);
	if (!r)
		session_on_tick(run->rec.session, summary_tick, NULL);
	if (r < 0 && output)
		return summary_refused_output(run->path, r);
	if (r < 0)
		log_error("cannot start recording: %s", strerror(-r));
	return r < 0 ? EXIT_RUNTIME : EXIT_OK;
}

static int attach_one(struct run *run, unsigned int i, struct pagetap_failure *f)
{
	struct session_summary before, now;
	int r;

	session_summary(run->rec.session, &before);
	r = session_attach(run->rec.session, run->a.targets.pid[i], f);
	if (r < 0)
		return r;
	run->attached = true;
	session_summary(run->rec.session, &now);
	summary_attached(&run->name[i], &before, &now);
	return 0;
}

static int attach(struct run *run)
{
	for (unsigned int i = 0; i < run->a.targets.n; i++) {
		struct pagetap_failure f = { 0 };

		if (attach_one(run, i, &f) < 0)
			return cmd_attach_failed(&run->name[i], &f);
	}
	return EXIT_OK;
}

/* What is not to be had here (a container, an old kernel) is done without. */
static void give_up_privileges(struct run *run)
{
	struct sandbox_report r;

	sandbox_enter(run->a.targets.pid[0], run->a.command, &r);
	if (r.kept_ptrace)
		log_verbose("/proc hides processes here (hidepid): CAP_SYS_PTRACE is kept");
	if (r.caps)
		log_verbose("capabilities could not be given up: %s", strerror(-r.caps));
	if (r.filter == -EOPNOTSUPP)
		log_verbose("no seccomp filter in this build");
	else if (r.filter)
		log_verbose("no seccomp filter: %s", strerror(-r.filter));
	if (!r.caps && !r.filter)
		log_verbose("privileges given up; what following takes is kept by process %d",
			    (int)agent_pid(run->rec.agent));
}

/* What the recording alone would end with. */
static int ending(struct run *run, int session_error)
{
	struct recording *rec = &run->rec;

	if (rec->result.error) {
		summary_output_error(run->path, rec);
		if (rec->result.error == -EPIPE)
			launch_die_by(SIGPIPE);
		log_info("recording stopped, %s was detached and runs on; the file ends with a "
			 "whole record", run->name[0].s);
		return EXIT_RUNTIME;
	}
	if (rec->result.gone)
		log_warn("%s was removed while it was written; nothing of the trace is left",
			 run->path);
	if (session_error < 0)
		log_error("recording stopped: %s", strerror(-session_error));
	else
		summary_ending(&run->name[0], run->a.targets.pid[0], run->a.targets.n, rec);
	summary_numbers(rec);
	summary_losses(rec, run->a.ring);
	if (!rec->result.gone)
		summary_next(run->path, rec);
	if (session_error < 0 || rec->result.gone)
		return EXIT_RUNTIME;
	return run->a.strict && rec->summary.stats.lost ? EXIT_LOSSES : EXIT_OK;
}

static int record(struct run *run)
{
	int error, r;

	error = session_run(run->rec.session);
	log_progress_clear();
	r = recording_finish(&run->rec);
	if (r == -EINTR || run->rec.summary.at_once) {
		log_error("stopping at once; buffered records dropped%s; target detached",
			  r == -EINTR || run->rec.result.error ? "" : " (said in the trace)");
		launch_die_by(run->rec.ended_by);
	}
	return ending(run, error);
}

/* The COMMAND's own end is ours, whatever the recording came to. */
static int command_end(struct run *run, int status)
{
	struct launch *l = &run->launch;
	int own;

	if (!l->pid)
		return status;
	/* What ended the recording was meant for the COMMAND as well. */
	if (run->rec.summary.reason == DETACH_SIGTERM)
		launch_signal(l, SIGTERM);
	else if (run->rec.summary.reason == DETACH_SIGHUP)
		launch_signal(l, SIGHUP);
	if (!launch_ended(l))
		log_verbose("waiting for %s to end", run->name[0].s);
	if (launch_wait(l, run->signal_fd) == -EINTR)
		launch_die_by(SIGINT);
	own = launch_finish_like(l->status);
	return own ? own : status;
}

static int prepare_command(struct run *run)
{
	struct record_args *a = &run->a;
	int r = launch_find(a->command[0]);

	if (!r) {
		sigprocmask(SIG_SETMASK, NULL, &run->old_mask);
		r = launch_fork(&run->launch, a->command, &run->old_mask);
	}
	if (r == -ENOENT)
		log_error("%s: command not found", a->command[0]);
	else if (r < 0)
		log_error("%s: %s", a->command[0], strerror(-r));
	else
		a->targets = (struct target_args){ .pid = { run->launch.pid }, .n = 1 };
	choose_output(run);
	return r < 0 ? launch_status(r) : EXIT_OK;
}

/* Attached within its first instructions, or - if that fails - not run at all. */
static int attach_command(struct run *run)
{
	struct pagetap_failure f = { 0 };
	struct launch *l = &run->launch;
	bool held = l->hold >= 0;
	int r = launch_exec(l);

	if (r < 0) {
		log_error("%s: %s", run->a.command[0], strerror(-r));
		l->pid = 0;
		return launch_status(r);
	}
	cmd_name_of(l->pid, &run->name[0]);
	r = pagetap_look(l->pid, NULL, &f);
	if (!r)
		r = attach_one(run, 0, &f);
	if (!r) {
		log_verbose("%s was %s", run->name[0].s,
			    held ? "held at its first instruction" :
				   "stopped after its start; what it did before is not covered");
		launch_go(l);
		return EXIT_OK;
	}
	if (launch_ended(l)) {
		log_info("%s ended while pagetap was attaching; nothing was recorded",
			 run->name[0].s);
		return launch_finish_like(l->status);
	}
	cmd_attach_failed(&run->name[0], &f);
	log_info("%s was ended before it did anything", run->name[0].s);
	launch_signal(l, SIGKILL);
	launch_wait(l, -1);
	return EXIT_COMMAND_FAILED;
}

/* A trace of nothing: the file that was made for it goes. */
static void discard_output(struct run *run)
{
	struct stat st;

	recording_end(&run->rec);
	if (strcmp(run->path, "-") && !lstat(run->path, &st) && S_ISREG(st.st_mode))
		unlink(run->path);
}

static int run_all(struct run *run)
{
	enum engine asked = wants_async(&run->a) && run->a.engine == ENGINE_AUTO ? ENGINE_ASYNC :
										   run->a.engine;
	bool command = run->a.command;
	int status;

	status = cmd_probe(filter_args_filter(&run->a.filter).modes, &run->features);
	if (!status)
		status = engine_choose(asked, wants_sync(&run->a), run->features, &run->a.async,
				       &run->rec.engine_why);
	if (status)
		return command ? EXIT_COMMAND_FAILED : status;
	status = command ? prepare_command(run) : look(run);
	if (status)
		return status;
	status = start_agent(run);
	if (!status)
		status = open_output(run);
	if (!status)
		status = start(run);
	if (status)
		return command ? EXIT_COMMAND_FAILED : status;
	status = command ? attach_command(run) : attach(run);
	if (!run->attached)
		discard_output(run);
	if (status || !run->attached)
		return status;
	give_up_privileges(run);
	return command_end(run, record(run));
}

int cmd_record(int argc, char **argv)
{
	static struct run run = {
		.a.ring = RING_DEFAULT,
		.a.watchdog_ns = SESSION_WATCHDOG_NS,
		.a.max_processes = SESSION_PROCESSES,
		.launch = LAUNCH_NULL,
		.rec = RECORDING_NULL,
		.signal_fd = -1,
	};
	int operand, status;

	if (!cmd_begin(&page, argc, argv, &run.a, &run.a.voice, &operand, &status))
		return status;
	status = check_args(&run, argc, argv, operand);
	if (!status)
		status = run_all(&run);
	recording_end(&run.rec);
	launch_end(&run.launch);
	close_fd(&run.signal_fd);
	return status;
}
