/* SPDX-License-Identifier: MIT */
/*
 * Known: a program whose memory is known, page by page, before and after a restore.
 *
 *	known.c			the command line; the file by which it is spoken to
 *	known-pages.c		what every page holds, and the check of it
 *	known-shapes.c		the memory and the processes of a checkpoint
 *	known-acts.c		what is done with it, the first thing after the restore
 *
 * Knows nothing of who brings its pages back.  It is spoken to by a shared mapping of a
 * file, which no checkpoint holds: what was told before the restore is done by the first
 * instructions after it.  Each thread of each process has a slot there to say what it saw.
 */
#ifndef RESTORE_KNOWN_H
#define RESTORE_KNOWN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PAGE ((size_t)4096)
#define WORDS (PAGE / sizeof(uint64_t))
#define SLOTS 96
#define REGIONS 12
#define THREADS_MAX 8
#define VERB 24
/* Times of single touches that the file has room for: 4 GiB of pages. */
#define TOUCHES (UINT32_C(1) << 20)
/* What is dropped, unmapped or moved, is so in runs of so many pages. */
#define RUN 16

/* A region's pages, beside those that hold data. */
enum region_look {
	LOOK_FULL,	/* data in every page */
	LOOK_HOLES,	/* some never touched, some written with zeroes */
	LOOK_FIRST,	/* data in the first pages only: region.filled */
};

struct region {
	unsigned char *at;
	size_t pages, filled;
	uint64_t salt;		/* what tells its data from another region's */
	enum region_look look;
	bool fixed;		/* no act changes its layout: shared, or not a mapping of its own */
	bool shared;
	/* What acts did to it. */
	bool stamped;		/* the second word of each page is the stamp */
	bool dropped;		/* every other run is gone: zero */
	bool unmapped;		/* every fourth run is no memory any more */
};

/* What one thread says; times are of CLOCK_REALTIME, in ns. */
struct slot {
	_Atomic uint32_t used;
	uint32_t pid;
	_Atomic uint32_t answered;	/* control.serial of the last act that is over */
	_Atomic uint32_t failed;	/* acts that could not be done: `words` */
	uint64_t resumed;		/* the first instruction after the first word */
	uint64_t ended;
	uint64_t checked, bad;		/* pages */
	uint64_t first_bad;
	char words[80];
};

struct control {
	_Atomic uint32_t ready;		/* threads that wait for the first word */
	_Atomic uint32_t wanted;	/* so many there are */
	_Atomic uint32_t serial;	/* raised with each word */
	char verb[VERB];
	uint64_t at, pages;		/* the first region */
	struct slot slots[SLOTS];
	_Atomic uint32_t ntouches;
	uint32_t touches[TOUCHES] __attribute__((aligned(4096)));	/* ns each */
};

/* One process, as each of its threads sees it. */
struct task {
	struct control *control;
	uint32_t owners;		/* bit k: child k, or of child k, and its pages with it */
	uint32_t threads;
	uint32_t nregions;
	struct region regions[REGIONS];
};

/* One thread of it. */
struct worker {
	struct task *task;
	uint32_t number;		/* of task->threads */
	struct slot *slot;
};

uint64_t time_now(void);
/* A slot of its own for the calling thread. */
struct slot *slot_take(struct control *control);
/* Waits for words and does them; ends with the process. */
void worker_run(struct worker *worker);
void slot_complain(struct slot *slot, const char *words, int err);

/* Fills a region as its look says; `owner` 0 all of it, child k only its own pages. */
void region_fill(const struct region *region, uint32_t owner);
/* Is page i there at all? */
bool region_has(const struct region *region, size_t i);
/* Holds the pages of this worker's share against what must be there. */
void worker_check(struct worker *worker);
/* One page; for the order of others. */
void page_check(struct worker *worker, const struct region *region, size_t i);
void page_stamp(const struct region *region, size_t i);
/* The first word of page i as it must be, without looking. */
uint64_t page_first_word(const struct task *task, const struct region *region, size_t i);

/* Makes the memory and the processes; returns in each process, with its task. */
int shape_make(const char *name, size_t mib, struct task *task);

/* Does one word; 0, or -EINVAL for a word that there is not. */
int act_do(struct worker *worker, const char *verb);

#endif
