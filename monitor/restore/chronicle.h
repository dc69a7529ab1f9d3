/* SPDX-License-Identifier: MIT */
/*
 * Chronicle: a lazy restore, told as a trace (pagetap-trace(5), LAZY RESTORES).
 *
 * The thread that serves is the one that calls.  Nothing here waits: what is told goes on the
 * queue, and a fault does so after its answer, as one struct.  Memory is asked for when a
 * process begins to run and when its layout changes.
 */
#ifndef RESTORE_CHRONICLE_H
#define RESTORE_CHRONICLE_H

#include <stdbool.h>
#include <stdint.h>

#include "pagetap/trace.h"
#include "restore/tenant.h"
#include "trace/queue.h"

struct chronicle;

struct chronicle_setup {
	struct queue *queue;	/* borrowed; this is its producer */
	uint64_t base_ns;	/* of every ts, CLOCK_MONOTONIC */
};

/* -ENOMEM. */
int chronicle_new(const struct chronicle_setup *setup, struct chronicle **ret);
/* NULL is fine.  Tenants that were told of are of no use to it afterwards. */
void chronicle_free(struct chronicle *c);

/* This process begins to run: attach, its mappings, and what is armed. */
void chronicle_begin(struct chronicle *c, struct tenant *t);
/* First writes of these pages are told of from now on; that began at ts0. */
void chronicle_arm(struct chronicle *c, struct tenant *t, struct range r, uint64_t ts0);
/* Its layout has changed, as one reading of messages told, which began at ts0. */
void chronicle_changes(struct chronicle *c, struct tenant *t, const struct tenant_news *news,
		       uint64_t ts0);
/*
 * A touch has been answered, and this was done.  since: when we woke up for it; read: when
 * its message had been read (both CLOCK_MONOTONIC).  remote: the page had to be asked for.
 */
void chronicle_touch(struct chronicle *c, const struct tenant *t,
		     const struct tenant_touch *touch, enum tenant_deed deed, bool remote,
		     uint64_t since, uint64_t read);

/*
 * Touches whose pages have been asked for.  False: too many wait already; then its thread is
 * to touch the page again, which is not lost so.
 */
bool chronicle_room(const struct chronicle *c);
void chronicle_wait(struct chronicle *c, struct tenant *t, const struct tenant_touch *touch,
		    uint64_t since, uint64_t read);
/*
 * Pages of this process have come: those who waited for them are told of.  deed: what was
 * done about `first`, for whom they had been asked; NULL: nobody.
 */
void chronicle_came(struct chronicle *c, struct tenant *t, const struct tenant_touch *first,
		    enum tenant_deed deed);

/* Its address space has gone. */
void chronicle_gone(struct chronicle *c, const struct tenant *t);
/* Once in a while: stats, each second. */
void chronicle_turn(struct chronicle *c);
/* After what was told: the writer may go on. */
void chronicle_kick(struct chronicle *c);
/* The last lines.  Closes the queue. */
void chronicle_end(struct chronicle *c, enum detach_reason reason, bool clean);

#endif
