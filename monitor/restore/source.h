/* SPDX-License-Identifier: MIT */
/*
 * Source: where the pages of a checkpoint come from.
 *
 * A folder, a page server, or a web server: whoever fills memory asks for pages by
 * their address in the image and does not know which of them it is.  A page comes
 * either at once, from `at`, or later, as an answer to `ask`.
 *
 * One thread calls everything but `at` and `release`, which any thread may call.
 */
#ifndef RESTORE_SOURCE_H
#define RESTORE_SOURCE_H

#include <stdbool.h>
#include <stdint.h>

struct image_piece;
struct source;

/* What one demand may ask for: an answer has to fit into a buffer. */
#define SOURCE_PAGES_MAX 1024u

/* One demand: npages of the image of task `pid` at image address vaddr, in one piece. */
struct source_want {
	uint64_t id;		/* the caller's; no two in flight have the same */
	int32_t pid;		/* as the image names the task */
	uint64_t vaddr;
	uint32_t npages;	/* 1..SOURCE_PAGES_MAX */
	bool urgent;		/* somebody waits for it: it overtakes those that are not */
	const struct image_piece *piece;
};

/* One answer: all that was asked for, or an error. */
struct source_got {
	uint64_t id;
	const void *data;	/* npages pages; good until release(id) */
	uint32_t npages;
	int err;		/* 0, or -errno: not to be had; no data, nothing to release */
};

typedef void (*source_answer)(void *arg, const struct source_got *got);

struct source_ops {
	/* Pages that are here already, good as long as the source is; NULL: ask. */
	const void *(*at)(struct source *s, const struct source_want *want);
	/*
	 * Non-blocking; the want itself is copied.  -EAGAIN: too many in flight, ask again
	 * after an answer; -EINVAL: no such pages can be asked for; -ENOMEM.
	 */
	int (*ask)(struct source *s, const struct source_want *want);
	/* Readable when `answers` has something to do; -1: no answers ever come. */
	int (*fd)(struct source *s);
	/*
	 * Non-blocking: does what is to be done now and hands over what has arrived, in any
	 * order.  The callback may ask and release.  0, or -errno: no answers will come any
	 * more (those in flight have been answered with an error).
	 */
	int (*answers)(struct source *s, source_answer answer, void *arg);
	/* The data of this answer is not needed any more. */
	void (*release)(struct source *s, uint64_t id);
	/*
	 * Make some more of what is in memory already quicker to copy, from *at on, which is 0
	 * at first and then the source's own.  Any thread; false: there is no more.  May be NULL.
	 */
	bool (*warm)(struct source *s, uint64_t *at);
	/* Also with demands in flight, which are forgotten. */
	void (*free)(struct source *s);
};

/* The first member of every source. */
struct source {
	const struct source_ops *ops;
	/*
	 * How it likes demands that nobody waits for: so many pages each (up to
	 * SOURCE_PAGES_MAX), so many at once; 0: as the pager does.
	 */
	uint32_t bulk_pages, bulk_max;
};

#endif
