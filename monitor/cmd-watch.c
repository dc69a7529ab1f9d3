/* SPDX-License-Identifier: MIT */
/* Watch: one session, whoever reads it.  See cmd-watch.h. */

#include "cmd-watch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cmd-summary.h"
#include "exit.h"
#include "holder.h"
#include "sandbox.h"
#include "signals.h"
#include "watch/procinfo.h"

/* More are not counted. */
#define CHILDREN_MAX 1024

bool watch_parse(const struct option_page *page, int argc, char **argv, void *into,
		 const struct cmd_voice *voice, struct cmd_watch *w, int *ret_status)
{
	struct options_error e;
	int operand;

	if (!cmd_begin(page, argc, argv, into, voice, &operand, ret_status))
		return false;
	if (watch_args_check(&w->a, argv, argc, operand, &e) < 0) {
		*ret_status = cmd_usage(page, "%s", e.text);
		return false;
	}
	return true;
}

static void choose_output(struct cmd_watch *w)
{
	if (w->path)
		return;
	snprintf(w->default_path, sizeof(w->default_path), "pagetap-%d.ndjson",
		 (int)w->a.targets.pid[0]);
	w->path = w->default_path;
}

static bool reads_output(const struct cmd_watch *w, pid_t pid)
{
	return strcmp(w->path, "-") ? holder_reads_path(pid, w->path) :
				      holder_reads(pid, STDOUT_FILENO);
}

/* Look before touching; remembers the names, for later they may be gone. */
static int look(struct cmd_watch *w)
{
	struct target_args *t = &w->a.targets;

	choose_output(w);
	for (unsigned int i = 0; i < t->n; i++) {
		struct pagetap_failure f = { 0 };
		int r = pagetap_look(t->pid[i], NULL, &f);

		cmd_name_of(t->pid[i], &w->name[i]);
		if (r < 0)
			return cmd_attach_failed(&w->name[i], &f);
		if (reads_output(w, t->pid[i])) {
			log_error("%s reads what pagetap writes, so that each record would cause "
				  "more of them", w->name[i].s);
			log_hint("-o FILE");
			return EXIT_USAGE;
		}
	}
	return EXIT_OK;
}

static int prepare_command(struct cmd_watch *w)
{
	struct watch_args *a = &w->a;
	int r = launch_find(a->command[0]);

	if (!r) {
		sigprocmask(SIG_SETMASK, NULL, &w->old_mask);
		r = launch_fork(&w->launch, a->command, &w->old_mask);
	}
	if (r == -ENOENT)
		log_error("%s: command not found", a->command[0]);
	else if (r < 0)
		log_error("%s: %s", a->command[0], strerror(-r));
	else
		a->targets = (struct target_args){ .pid = { w->launch.pid }, .n = 1 };
	choose_output(w);
	return r < 0 ? launch_status(r) : EXIT_OK;
}

static int cannot_start(int r)
{
	log_error("cannot start recording: %s", strerror(-r));
	return EXIT_RUNTIME;
}

/* What goes wrong before a COMMAND runs has a status of its own. */
static int before_command(const struct cmd_watch *w, int status)
{
	return status && w->a.command ? EXIT_COMMAND_FAILED : status;
}

int watch_begin(struct cmd_watch *w)
{
	const char *sync = watch_args_wants_sync(&w->a), *async = watch_args_wants_async(&w->a);
	enum engine asked = async && w->a.engine == ENGINE_AUTO ? ENGINE_ASYNC : w->a.engine;
	int status, r;

	status = cmd_probe(filter_args_filter(&w->a.filter).modes, &w->features);
	if (!status)
		status = engine_choose(asked, sync, w->features, &w->async, &w->rec.engine_why);
	if (status)
		return before_command(w, status);
	status = w->a.command ? prepare_command(w) : look(w);
	if (status)
		return status;
	/* The COMMAND, if there is one, exists: its limits are those of its user. */
	sandbox_begin();
	r = recording_agent(&w->rec, w->a.targets.pid, w->a.targets.n);
	return r < 0 ? before_command(w, cannot_start(r)) : EXIT_OK;
}

int watch_start(struct cmd_watch *w, uint64_t max_bytes,
		void (*tick)(void *arg, const struct session_summary *now), void *arg)
{
	struct session_opts o = watch_args_opts(&w->a, w->async);
	bool output = false;
	int r;

	r = signals_take(&w->signal_fd, &w->old_mask);
	o.signal_fd = w->signal_fd;
	if (!r)
		r = recording_start(&w->rec, &o, w->a.ring, max_bytes, w->features, w->a.argv,
				    &output);
	if (!r)
		session_on_tick(w->rec.session, tick, arg);
	if (r < 0 && output)
		return before_command(w, summary_refused_output(w->path, r));
	return r < 0 ? before_command(w, cannot_start(r)) : EXIT_OK;
}

static int attach_one(struct cmd_watch *w, unsigned int i, bool say, struct pagetap_failure *f)
{
	struct session_summary before, now;
	int r;

	session_summary(w->rec.session, &before);
	r = session_attach(w->rec.session, w->a.targets.pid[i], f);
	if (r < 0)
		return r;
	w->attached = true;
	session_summary(w->rec.session, &now);
	if (say)
		summary_attached(&w->name[i], &before, &now);
	return 0;
}

/* Otherwise there are faults of nobody, and no word of why. */
static void say_who_is_not_seen(const struct cmd_watch *w)
{
	struct session_summary now;

	session_summary(w->rec.session, &now);
	if (!w->a.who || !now.no_witness)
		return;
	log_warn("nobody will be seen to write: no perf events (%s)", strerror(-now.no_witness));
	log_hint("needs CAP_PERFMON, or sysctl kernel.perf_event_paranoid=1");
}

static bool is_target(const struct cmd_watch *w, pid_t pid)
{
	for (unsigned int i = 0; i < w->a.targets.n; i++)
		if (w->a.targets.pid[i] == pid)
			return true;
	return false;
}

/* Children that were there before us, and have not been named. */
static unsigned int children_left_out(const struct cmd_watch *w, pid_t parent)
{
	pid_t child[CHILDREN_MAX];
	_close_ int procfd = -1;
	unsigned int n, left = 0;
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d", (int)parent);
	procfd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (procfd < 0)
		return 0;
	n = procinfo_children(procfd, child, CHILDREN_MAX);
	for (unsigned int i = 0; i < n; i++)
		left += child[i] != getpid() && !is_target(w, child[i]);
	return left;
}

/* A recording of nothing, or of the one who has others do the work, is hardly what was meant. */
static void say_what_is_left_out(const struct cmd_watch *w, const unsigned int *children)
{
	const struct watch_args *a = &w->a;
	struct session_summary now;

	session_summary(w->rec.session, &now);
	if (!now.vmas_watched && a->filter.nr_ranges + a->filter.nr_globs) {
		log_warn("no mapping is watched: none that is there is of that name or range");
		log_hint("pagetap map -p %d lists them", (int)a->targets.pid[0]);
	}
	for (unsigned int i = 0; i < a->targets.n; i++) {
		pid_t pid = a->targets.pid[i];
		unsigned int n = children[i];

		if (!n)
			continue;
		log_warn("%s has %u child%s that %s already there and %s not watched", w->name[i].s,
			 n, n == 1 ? "" : "ren", n == 1 ? "was" : "were", n == 1 ? "is" : "are");
		log_hint("-p %d,$(pgrep -d, -P %d) names them as well", (int)pid, (int)pid);
	}
}

static int attach_all(struct cmd_watch *w, bool say)
{
	unsigned int children[TARGET_ARGS_MAX];

	for (unsigned int i = 0; i < w->a.targets.n; i++)
		children[i] = w->a.follow ? children_left_out(w, w->a.targets.pid[i]) : 0;
	for (unsigned int i = 0; i < w->a.targets.n; i++) {
		struct pagetap_failure f = { 0 };

		if (attach_one(w, i, say, &f) < 0)
			return cmd_attach_failed(&w->name[i], &f);
	}
	if (say)
		say_what_is_left_out(w, children);
	return EXIT_OK;
}

/* Attached within its first instructions, or - if that fails - not run at all. */
static int attach_command(struct cmd_watch *w, bool say)
{
	struct pagetap_failure f = { 0 };
	struct launch *l = &w->launch;
	bool held = l->hold >= 0;
	int r = launch_exec(l);

	if (r < 0) {
		log_error("%s: %s", w->a.command[0], strerror(-r));
		l->pid = 0;
		return launch_status(r);
	}
	cmd_name_of(l->pid, &w->name[0]);
	r = pagetap_look(l->pid, NULL, &f);
	if (!r)
		r = attach_one(w, 0, say, &f);
	if (!r) {
		log_verbose("%s was %s", w->name[0].s,
			    held ? "held at its first instruction" :
				   "stopped after its start; what it did before is not covered");
		launch_go(l);
		return EXIT_OK;
	}
	if (launch_ended(l)) {
		log_info("%s ended while pagetap was attaching; nothing was recorded",
			 w->name[0].s);
		return launch_finish_like(l->status);
	}
	cmd_attach_failed(&w->name[0], &f);
	log_info("%s was ended before it did anything", w->name[0].s);
	launch_signal(l, SIGKILL);
	launch_wait(l, -1);
	return EXIT_COMMAND_FAILED;
}

/* What is not to be had here (a container, an old kernel) is done without. */
static void give_up_privileges(struct cmd_watch *w)
{
	struct sandbox_report r;

	sandbox_enter(w->a.targets.pid[0], w->a.command, &r);
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
			    (int)agent_pid(w->rec.agent));
}

int watch_attach(struct cmd_watch *w, bool say)
{
	int status = w->a.command ? attach_command(w, say) : attach_all(w, say);

	if (!status && w->attached && say)
		say_who_is_not_seen(w);
	if (!status && w->attached)
		give_up_privileges(w);
	return status;
}

bool watch_run(struct cmd_watch *w, int *ret_error)
{
	int r;

	*ret_error = session_run(w->rec.session);
	log_progress_clear();
	r = recording_finish(&w->rec);
	if (r != -EINTR && !w->rec.summary.at_once)
		return true;
	log_error("stopping at once; buffered records dropped%s; target detached",
		  r == -EINTR || w->rec.result.error || w->rec.form || w->rec.taker ? "" :
		  " (said in the trace)");
	return false;
}

int watch_end(struct cmd_watch *w, int status)
{
	struct launch *l = &w->launch;
	int own;

	if (!l->pid)
		return status;
	/* What ended the recording was meant for the COMMAND as well. */
	if (w->rec.summary.reason == DETACH_SIGTERM)
		launch_signal(l, SIGTERM);
	else if (w->rec.summary.reason == DETACH_SIGHUP)
		launch_signal(l, SIGHUP);
	if (!launch_ended(l))
		log_verbose("waiting for %s to end", w->name[0].s);
	if (launch_wait(l, w->signal_fd) == -EINTR)
		launch_die_by(SIGINT);
	own = launch_finish_like(l->status);
	return own ? own : status;
}

void watch_free(struct cmd_watch *w)
{
	recording_end(&w->rec);
	launch_end(&w->launch);
	close_fd(&w->signal_fd);
}
