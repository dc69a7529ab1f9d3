/* SPDX-License-Identifier: MIT */
/* Restore, what is said of it: the bar, the summary, JSON, and why criu failed. */

#include <fcntl.h>
#include <jansson.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "cmd-restore.h"
#include "exit.h"
#include "trace/record-json.h"
#include "words.h"

#define COLUMNS_DEFAULT 80
/* Of criu's log: so much of its end is looked at, and so many lines are shown. */
#define TAIL_BYTES 65536
#define LINES_MAX 4

static uint64_t bytes_of(uint64_t pages)
{
	return pages * IMAGE_PAGE;
}

static unsigned int columns(void)
{
	struct winsize w;

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &w) < 0 || !w.ws_col)
		return COLUMNS_DEFAULT;
	/* In the last one some terminals begin a new line. */
	return w.ws_col - 1u;
}

static void look(struct restore *r, struct bar *ret)
{
	const struct figures *f = r->figures;
	uint64_t of = figures_get(&f->added), left = figures_get(&f->left);

	ret->of = bytes_of(of);
	ret->bytes = bytes_of(of > left ? of - left : 0);
	ret->rate = bar_rate(&r->rate, clock_now(), bytes_of(figures_get(&f->came)));
	ret->faults = figures_get(&f->faults);
	ret->p99 = figures_quantile(f, 990);
}

void restore_draw(struct restore *r)
{
	char line[BAR_MAX];
	struct words w;
	struct bar b;

	if (!r->resumed_at)
		log_progress("criu restores the processes: %s",
			     words_duration(clock_now() - r->begun_at, &w));
	if (!r->resumed_at || r->told_at)
		return;
	look(r, &b);
	log_progress("%s", bar_draw(&b, columns(), line));
}

void restore_interim(struct restore *r)
{
	char line[BAR_MAX];
	struct bar b;

	if (!r->resumed_at) {
		log_info("the processes do not run yet");
		return;
	}
	look(r, &b);
	log_info("%s", bar_draw(&b, BAR_MAX, line));
}

static uint64_t took(const struct restore *r)
{
	uint64_t end = figures_get(&r->figures->ended_at);

	return end > r->resumed_at && r->resumed_at ? end - r->resumed_at : 0;
}

void restore_sum_up(struct restore *r)
{
	const struct figures *f = r->figures;
	uint64_t came = figures_get(&f->came), tasks = figures_get(&f->tasks), ns = took(r);
	uint64_t unwanted = figures_get(&f->unmapped) + figures_get(&f->dropped) +
			    figures_get(&f->of_ended);
	struct words a, b, c, d, e;

	log_info("restored %s process%s, running after %s; all pages were there %s later",
		 words_count(tasks, &a), tasks == 1 ? "" : "es",
		 words_duration(r->resumed_at - r->begun_at, &b), words_duration(ns, &c));
	log_result("%s", "");
	log_result("  %s pages (%s)   %s for faults   %s not wanted any more   %s/s",
		   words_count(came, &a), words_bytes(bytes_of(came), &b),
		   words_count(figures_get(&f->faults), &c), words_count(unwanted, &d),
		   words_bytes(ns ? (uint64_t)((double)bytes_of(came) * NSEC_PER_SEC /
					       (double)ns) : 0, &e));
	if (figures_get(&f->slowest))
		log_result("  faults answered in %s (p50), %s (p99), %s (slowest)",
			   words_duration(figures_quantile(f, 500), &a),
			   words_duration(figures_quantile(f, 990), &b),
			   words_duration(figures_get(&f->slowest), &c));
}

static int pages_json(const struct figures *f, json_t *o)
{
	int r = record_json_int(o, "added", figures_get(&f->added));

	r |= record_json_int(o, "came", figures_get(&f->came));
	r |= record_json_int(o, "left", figures_get(&f->left));
	r |= record_json_int(o, "unmapped", figures_get(&f->unmapped));
	r |= record_json_int(o, "dropped", figures_get(&f->dropped));
	r |= record_json_int(o, "of_ended", figures_get(&f->of_ended));
	r |= record_json_int(o, "unreadable", figures_get(&f->unreadable));
	return r | record_json_int(o, "placeless", figures_get(&f->placeless));
}

static int faults_json(const struct figures *f, json_t *o)
{
	int r = record_json_int(o, "pages", figures_get(&f->faults));

	r |= record_json_int(o, "zeroes", figures_get(&f->zeros));
	r |= record_json_int(o, "p50_ns", figures_quantile(f, 500));
	r |= record_json_int(o, "p99_ns", figures_quantile(f, 990));
	return r | record_json_int(o, "slowest_ns", figures_get(&f->slowest));
}

int restore_print_json(struct restore *r, int status)
{
	const struct figures *f = r->figures;
	_json_ json_t *o = json_object();
	json_t *pages = json_object(), *faults = json_object();
	int e;

	e = json_object_set_new(o, "complete", json_boolean(figures_get(&f->ended_at) &&
							    status == EXIT_OK));
	e |= record_json_int(o, "status", (uint64_t)status);
	e |= record_json_int(o, "page_size", IMAGE_PAGE);
	e |= record_json_int(o, "tasks", figures_get(&f->tasks));
	e |= record_json_int(o, "children", figures_get(&f->children));
	if (r->resumed_at)
		e |= record_json_int(o, "resume_ns", r->resumed_at - r->begun_at);
	if (took(r))
		e |= record_json_int(o, "fill_ns", took(r));
	e |= pages_json(f, pages);
	e |= json_object_set_new(o, "pages", pages);
	e |= faults_json(f, faults);
	e |= json_object_set_new(o, "faults", faults);
	if (e) {
		log_error("out of memory");
		return EXIT_RUNTIME;
	}
	json_dumpf(o, stdout, JSON_INDENT(1) | JSON_ENSURE_ASCII);
	fputc('\n', stdout);
	fflush(stdout);
	return EXIT_OK;
}

/* The end of criu's log.  False: there is none. */
static bool read_tail(const struct restore *r, char buf[TAIL_BYTES + 1])
{
	_close_ int folder = open(r->work, O_PATH | O_DIRECTORY | O_CLOEXEC), fd = -1;
	ssize_t n = 0;
	off_t size;

	buf[0] = '\0';
	fd = openat(folder, RESTORE_LOG, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return false;
	size = lseek(fd, 0, SEEK_END);
	n = pread(fd, buf, TAIL_BYTES, size > TAIL_BYTES ? size - TAIL_BYTES : 0);
	buf[n > 0 ? n : 0] = '\0';
	return true;
}

/* The first errors: what follows them follows from them. */
static unsigned int show_errors(char *text)
{
	unsigned int n = 0;
	char *line;

	while (n < LINES_MAX && (line = strsep(&text, "\n"))) {
		if (!strstr(line, "Error"))
			continue;
		log_plain("  %s", line);
		n++;
	}
	return n;
}

void restore_criu_failed(struct restore *r, int wait_status)
{
	char tail[TAIL_BYTES + 1];
	bool taken, none;

	log_progress_clear();
	if (WIFSIGNALED(wait_status))
		log_error("criu restore was ended by signal %d", WTERMSIG(wait_status));
	else if (WEXITSTATUS(wait_status))
		log_error("criu restore failed with status %d", WEXITSTATUS(wait_status));
	else
		log_error("criu restore has restored nothing lazily");
	r->log_told = read_tail(r, tail);
	/* What is meant by the error of fork(2) is that of clone3(2) with set_tid. */
	taken = strstr(tail, "File exists") && strstr(tail, "fork");
	none = !show_errors(tail);
	if (taken)
		log_hint("a process has that number already; restore in a pid namespace: "
			 "unshare -p -f --mount-proc pagetap restore ...");
	else if (r->log_told && none)
		log_hint("see %s/" RESTORE_LOG "; more is there with -v4 after --", r->work);
	else if (r->log_told)
		log_hint("its whole log is %s/" RESTORE_LOG, r->work);
}
