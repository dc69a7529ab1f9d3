/* SPDX-License-Identifier: MIT */
/* Summary: while recording and afterwards.  See cmd-summary.h. */

#include "cmd-summary.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "exit.h"
#include "launch.h"
#include "watch/procinfo.h"
#include "words.h"

void summary_attached(const struct cmd_name *who, const struct session_summary *before,
		      const struct session_summary *now)
{
	struct words took, stopped, of, watched, size;

	log_info("attached to %s in %s (stopped %s), %s of %s mappings watched", who->s,
		 words_duration(now->attach_ns, &took), words_duration(now->stop_ns, &stopped),
		 words_count(now->vmas_watched - before->vmas_watched, &watched),
		 words_count(now->vmas - before->vmas, &of));
	log_verbose("%s covered", words_bytes(now->watched_bytes - before->watched_bytes, &size));
}

void summary_tick(void *unused, const struct session_summary *now)
{
	struct words ran, faults, writes, lost, n;
	char line[160];

	(void)unused;
	if (now->async)
		snprintf(line, sizeof(line), "%s: %s pages written in %s epochs, %s lost, "
			 "%s process%s", words_duration(now->ran_ns, &ran),
			 words_count(now->stats.dirty_pages, &writes),
			 words_count(now->epochs, &faults),
			 words_count(now->stats.lost, &lost),
			 words_count(now->processes, &n), now->processes == 1 ? "" : "es");
	else
		snprintf(line, sizeof(line), "%s: %s faults, %s of them writes, %s lost, "
			 "%s process%s",
		 words_duration(now->ran_ns, &ran), words_count(now->stats.faults, &faults),
		 words_count(now->stats.writes, &writes), words_count(now->stats.lost, &lost),
		 words_count(now->processes, &n), now->processes == 1 ? "" : "es");
	if (now->asked)
		log_plain("pagetap: %s", line);
	else
		log_progress("%s", line);
}

/* " with status 0", " of SIGKILL", or nothing where it cannot be told. */
static const char *exit_words(const struct session_summary *s, char *buf, size_t cap)
{
	struct words w;

	if (s->exit_signal != RECORD_UNKNOWN)
		snprintf(buf, cap, "was killed by %s",
			 words_signal((int)s->exit_signal, &w));
	else if (s->exit_code != RECORD_UNKNOWN)
		snprintf(buf, cap, "exited with status %d", (int)s->exit_code);
	else
		snprintf(buf, cap, "exited");
	return buf;
}

static bool runs(pid_t pid)
{
	static struct procinfo p;	/* large: exe is a whole path */

	return !procinfo_of(pid, &p) && p.state != 'Z';
}

void summary_ending(const struct cmd_name *first, pid_t pid, unsigned int targets,
		    const struct recording *rec)
{
	const struct session_summary *s = &rec->summary;
	struct words ran;
	char how[64];

	words_duration(s->ran_ns, &ran);
	if (s->reason == DETACH_EXIT && s->processes <= 1)
		log_info("%s %s after %s", first->s, exit_words(s, how, sizeof(how)), ran.s);
	else if (s->reason == DETACH_EXIT)
		log_info("the last of %u processes %s after %s", s->processes,
			 exit_words(s, how, sizeof(how)), ran.s);
	else if (s->reason == DETACH_EXEC)
		log_info("%s executed another program after %s; it runs on unwatched "
			 "(-f follows it)", first->s, ran.s);
	else if (targets > 1)
		log_info("detached from %s and %u more, which run on", first->s, targets - 1);
	else if (runs(pid))
		log_info("detached from %s, which runs on", first->s);
	else
		log_info("%s has ended; detached from its children", first->s);
}

/* Nobody waited for an answer: so nothing is said of how long that took. */
static void async_numbers(const struct session_summary *s)
{
	const struct record_stats *t = &s->stats;
	struct words pages, epochs, lost, faults, unseen;

	if (t->unwitnessed == RECORD_UNKNOWN)
		log_result("  %s pages written in %s epochs   %s lost",
			   words_count(t->dirty_pages, &pages), words_count(s->epochs, &epochs),
			   words_count(t->lost, &lost));
	else
		log_result("  %s pages written in %s epochs   %s lost      %s faults, %s pages "
			   "without a witness",
			   words_count(t->dirty_pages, &pages), words_count(s->epochs, &epochs),
			   words_count(t->lost, &lost), words_count(t->faults, &faults),
			   words_count((uint64_t)t->unwitnessed, &unseen));
}

/* " anon 93 %, heap 7 %", the larger ones first; what is below one in a hundred is left out. */
static void say_kinds(const struct session_summary *s)
{
	uint64_t left[VMA_KIND_NR], all = s->stats.dirty_pages;
	char line[128] = "";
	size_t at = 0;

	memcpy(left, s->dirty_by_kind, sizeof(left));
	for (;;) {
		unsigned int most = 0;

		for (unsigned int i = 1; i < VMA_KIND_NR; i++)
			most = left[i] > left[most] ? i : most;
		if (!left[most] || left[most] * 100 < all || at > sizeof(line) - 32)
			break;
		at += (size_t)snprintf(line + at, sizeof(line) - at, "%s%s %.0f %%",
				       at ? ", " : "", vma_kind_name(most),
				       (double)left[most] * 100 / (double)all);
		left[most] = 0;
	}
	log_result("  of these %s", line);
}

/* What the census alone tells of how the memory is used. */
static void working_set(const struct session_summary *s)
{
	const struct record_stats *t = &s->stats;
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	struct words set, bytes, rate, speed;
	double seconds = (double)s->ran_ns / NSEC_PER_SEC;
	uint64_t a_second = seconds > 0 ? (uint64_t)((double)t->dirty_pages / seconds) : 0;

	if (t->distinct_pages == RECORD_UNKNOWN || !t->dirty_pages)
		return;
	log_result("  working set %s (%s pages)   dirty rate %s/s (%s pages/s)",
		   words_bytes((uint64_t)t->distinct_pages * page, &bytes),
		   words_count((uint64_t)t->distinct_pages, &set),
		   words_bytes(a_second * page, &speed), words_count(a_second, &rate));
	say_kinds(s);
}

static void sync_numbers(const struct record_stats *t)
{
	struct words faults, writes, lost, p50, p99;

	if (t->lat_p99_ns)
		log_result("  %s faults   %s writes   %s lost      handled in %s (p50), %s (p99)",
			   words_count(t->faults, &faults), words_count(t->writes, &writes),
			   words_count(t->lost, &lost), words_duration(t->lat_p50_ns, &p50),
			   words_duration(t->lat_p99_ns, &p99));
	else
		log_result("  %s faults   %s writes   %s lost", words_count(t->faults, &faults),
			   words_count(t->writes, &writes), words_count(t->lost, &lost));
}

void summary_numbers(const struct recording *rec)
{
	const struct record_stats *t = &rec->summary.stats;

	if (rec->summary.async) {
		async_numbers(&rec->summary);
		working_set(&rec->summary);
	}
	if (!rec->summary.async || rec->summary.both)
		sync_numbers(t);
	if (t->slowdown_ppm != RECORD_UNKNOWN)
		log_result("  slowed down by about %.1f %%", (double)t->slowdown_ppm / 1e4);
}

/* With --who every touch comes by the rings; else only those of new mappings. */
static void perf_losses(const struct recording *rec)
{
	uint64_t perf = rec->summary.lost_perf;
	bool who = rec->summary.stats.unwitnessed != RECORD_UNKNOWN;
	struct words n;

	if (perf)
		log_warn("%s perf event%s lost by the kernel; %s may be missing",
			 words_count(perf, &n), perf == 1 ? "" : "s",
			 who ? "who wrote some of the pages" : "first touches of new mappings");
}

void summary_losses(const struct recording *rec, uint64_t slots)
{
	uint64_t perf = rec->summary.lost_perf, lost = rec->summary.stats.lost;
	struct words n;

	lost -= perf < lost ? perf : lost;
	perf_losses(rec);
	if (!lost)
		return;
	log_warn("%s record%s lost (ring full); counts are still exact, the page list is not",
		 words_count(lost, &n), lost == 1 ? "" : "s");
	log_hint("--ring %llu, or -m heap to watch less", (unsigned long long)slots * 4);
}

/* A name that a shell takes as it stands, or quoted so that it does. */
static const char *quoted(const char *path, char *buf, size_t cap)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789_./,:@%+-";
	size_t at = 0;

	if (path[strspn(path, plain)] == '\0' && path[0] != '-')
		return path;
	if (cap < 4 * strlen(path) + 6)
		return path;
	if (path[0] == '-') {
		buf[at++] = '.';
		buf[at++] = '/';
	}
	buf[at++] = '\'';
	for (; *path; path++) {
		if (*path == '\'') {
			memcpy(buf + at, "'\\'", 3);
			at += 3;
		}
		buf[at++] = *path;
	}
	buf[at++] = '\'';
	buf[at] = '\0';
	return buf;
}

/* Else written pages are told of by dirty records alone. */
static bool tells_faults(const struct session_summary *s)
{
	return !s->async || s->both || s->stats.unwitnessed != RECORD_UNKNOWN;
}

void summary_next(const char *path, const struct recording *rec)
{
	struct words bytes, records;
	char buf[1024];
	size_t len = strlen(path);
	bool compressed = len > 4 && !strcmp(path + len - 4, ".zst");
	const char *name, *kind = tells_faults(&rec->summary) ? "fault" : "dirty";

	if (!strcmp(path, "-"))
		return;
	log_result("trace:   %s (%s, %s records)", path, words_bytes(rec->result.bytes, &bytes),
		   words_count(rec->result.records, &records));
	name = quoted(path, buf, sizeof(buf));
	if (compressed)
		log_result("look:    pagetap report %s      zstdcat %s | jq "
			   "'select(.ev==\"%s\")' | less", name, name, kind);
	else
		log_result("look:    pagetap report %s      jq 'select(.ev==\"%s\")' %s | "
			   "less", name, kind, name);
}

void summary_output_error(const char *path, const struct recording *rec)
{
	const char *name = strcmp(path, "-") ? path : "standard output";
	int error = -rec->result.error;
	struct words records, bytes;

	if (!error || error == EPIPE)
		return;
	log_error("%s: %s after %s records (%s)", name,
		  error == ENOSPC ? "no space left on device" : strerror(error),
		  words_count(rec->result.records, &records),
		  words_bytes(rec->result.bytes, &bytes));
}

int summary_refused_output(const char *path, int r)
{
	const char *name = strcmp(path, "-") ? path : "standard output";

	if (r == -EPIPE)
		launch_die_by(SIGPIPE);
	if (r == -ENOTTY) {
		log_error("refusing to write compressed data to a terminal; use -o FILE");
		return EXIT_USAGE;
	}
	if (r == -EINVAL)
		log_error("%s: it is no regular file (symbolic links are not followed)", name);
	else if (r == -ENOSPC)
		log_error("%s: no space left on device; nothing was attached", name);
	else
		log_error("%s: %s", name, strerror(-r));
	return EXIT_RUNTIME;
}
