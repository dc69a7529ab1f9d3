/* SPDX-License-Identifier: MIT */
/*
 * Pager: the daemon of a lazy restore, from the first connection to the last page.
 *
 * One thread reads every userfaultfd and answers faults; several fillers copy the rest
 * in the background, once the processes run.  Pages that are not on this machine are
 * asked for by the event thread, several at once, and put in place as they come.
 *
 * It never gives up a process that runs: closing a userfaultfd with pages missing would
 * give zeroes for them.  For the same reason it runs in a process of its own, beside one
 * that has the same descriptors (keeper.h): what another pager needs to go on, if this one
 * dies, is in the roster, and pager_run() begins wherever that says that it was.
 */
#ifndef RESTORE_PAGER_H
#define RESTORE_PAGER_H

#include <stdbool.h>
#include <stdint.h>

#include "restore/figures.h"
#include "restore/image.h"
#include "restore/owed.h"
#include "restore/roster.h"
#include "restore/source.h"
#include "restore/tenant.h"

struct chronicle;

enum pager_tone { PAGER_DETAIL, PAGER_NOTE, PAGER_WARNING, PAGER_ERROR };

struct pager_setup {
	const struct image *image;
	struct source *source;
	struct roster *roster;
	bool pidfds;			/* of those who are handed over are wanted */
	int signals;			/* readable: somebody wants us to end; -1 */
	unsigned int fillers;		/* at least 1 */
	struct figures *figures;	/* kept up to date; NULL: nobody wants them */
	struct chronicle *chronicle;	/* the trace; NULL: none */
	const struct prefetch *prefetch; /* what is filled first; NULL: nothing is */
	bool writes;			/* first writes are in the trace, too */
	bool leave;			/* what nobody touches stays where it is */
	int resumed;			/* an eventfd, told when the processes run; -1 */
	bool accompanied;		/* the end of the restore is told of by somebody else */
	/* Once all is open, before there are threads: what it needs no more; NULL: nothing. */
	void (*confine)(void *arg);
	/* One line; called by the thread that runs the pager. */
	void (*say)(void *arg, enum pager_tone tone, const char *words);
	void *arg;
};

enum pager_end {
	PAGER_COMPLETE,		/* every page came, or is not wanted any more */
	PAGER_INCOMPLETE,	/* all is over, and some pages could not be had or placed */
	PAGER_NO_RESTORE,	/* the restore failed, or we were told to end before it */
};

struct pager_result {
	enum pager_end end;
	struct owed_totals totals;	/* of all processes */
	struct tenant_counts counts;
	unsigned int tasks, children;	/* handed over, forked since */
	uint64_t took_ns;		/* from the word that they run to the end */
};

/*
 * 0, or -errno: it could not be started; -EAGAIN if processes wait for one that can.
 * Returns when all is over.
 */
int pager_run(const struct pager_setup *setup, struct pager_result *ret);

#endif
