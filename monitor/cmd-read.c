/* SPDX-License-Identifier: MIT */
/* Cmd read: what commands say that read a trace.  See cmd-read.h. */

#include "cmd-read.h"

#include <errno.h>
#include <string.h>

#include "exit.h"
#include "log.h"
#include "words.h"

#define BAR 30

const char *cmd_read_name(const char *path, struct cmd_read_name *ret)
{
	const char *name = strcmp(path, "-") ? path : "standard input";

	return log_escape(name, strlen(name), ret->s, sizeof(ret->s));
}

static void show(void *arg, uint64_t done, uint64_t total)
{
	static const char bar[BAR + 1] = "##############################";
	const struct cmd_read_name *name = arg;
	struct words have, all;
	int n;

	if (!total) {
		log_progress("reading %.40s: %s", name->s, words_bytes(done, &have));
		return;
	}
	n = done < total ? (int)(done * BAR / total) : BAR;
	log_progress("reading [%.*s%*s] %3u %% of %s", n, bar, BAR - n, "",
		     done < total ? (unsigned int)(done * 100 / total) : 100,
		     words_bytes(total, &all));
}

void cmd_read_bar(struct walk *w, const struct cmd_read_name *name)
{
	walk_watch(w, show, (void *)name);
}

int cmd_read_refused(const char *path, int r, const struct reader_error *why)
{
	struct cmd_read_name name;

	log_progress_clear();
	cmd_read_name(path, &name);
	if (r == -EPROTONOSUPPORT) {
		log_error("%s %s", name.s, why->text);
		return EXIT_UNSUPPORTED;
	}
	log_error("%s: %s", name.s, why->text[0] ? why->text : r == -EILSEQ ?
		  "its compressed data is damaged before the first record" : strerror(-r));
	if (r == -EBADMSG)
		log_hint("pagetap record -p PID -o FILE writes one");
	return EXIT_RUNTIME;
}

static void say_cut(const char *name, const struct walk_end *e)
{
	const char *detach = e->complete ? "" : "no detach record, ";
	struct words at, n;

	words_count(e->cut_offset, &at);
	words_count(e->records, &n);
	if (e->damaged)
		log_warn("%s: %scompressed data damaged behind byte %s; using the %s whole records",
			 name, detach, at.s, n.s);
	else if (e->cut)
		log_warn("%s: %slast line cut at byte %s; using the %s whole records", name, detach,
			 at.s, n.s);
	else if (!e->complete)
		log_warn("%s: no detach record, it ends at byte %s; using the %s whole records",
			 name, at.s, n.s);
}

int cmd_read_end(const char *path, const struct walk_end *e)
{
	struct cmd_read_name name;
	struct words n, holes, line;

	log_progress_clear();
	cmd_read_name(path, &name);
	say_cut(name.s, e);
	if (e->missing)
		log_warn("%s: %s record%s missing, in %s place%s", name.s,
			 words_count(e->missing, &n), e->missing == 1 ? " is" : "s are",
			 words_count(e->holes, &holes), e->holes == 1 ? "" : "s");
	if (e->unreadable)
		log_warn("%s: %s line%s no record; the first is line %s: %s", name.s,
			 words_count(e->unreadable, &n), e->unreadable == 1 ? " is" : "s are",
			 words_count(e->unreadable_line, &line), e->unreadable_why.text);
	if (e->unknown)
		log_info("%s: %s record%s of kinds that this version does not know", name.s,
			 words_count(e->unknown, &n), e->unknown == 1 ? "" : "s");
	return e->damaged ? EXIT_RUNTIME : EXIT_OK;
}
