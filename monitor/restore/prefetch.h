/* SPDX-License-Identifier: MIT */
/*
 * Prefetch: which pages of a checkpoint an earlier run touched first, out of its trace.
 *
 * Pure, but for prefetch_read_apart().  The trace is of an earlier lazy restore, whose attach
 * records name the processes as the checkpoint does; or of `pagetap record`: then it is the
 * process of the same number, or the only one that the checkpoint has.  A forked child's
 * touches are its parent's.  What counts is the address, and the order of first touches: faults,
 * and what collections found written.  A trace may be anybody's: nothing comes of it but an
 * order of pages that are lazy in the checkpoint, each once.
 */
#ifndef RESTORE_PREFETCH_H
#define RESTORE_PREFETCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/range.h"
#include "restore/image.h"
#include "trace/record.h"

/* Addresses of whole pages; touched first come first, and what lies together is one. */
struct prefetch_list {
	struct range *v;
	size_t n, room;
};

struct prefetch {
	struct prefetch_list *lists;	/* one for each task of the image, in its order */
	size_t ntasks;
	uint64_t pages;			/* of all of them */
};
#define PREFETCH_NULL ((struct prefetch){ 0 })

struct prefetch_problem {
	char text[256];
};

/* Also of PREFETCH_NULL, which it is afterwards. */
void prefetch_free(struct prefetch *p);
/* That of a process; NULL: nothing of it. */
const struct prefetch_list *prefetch_of(const struct prefetch *p, const struct image *image,
					int32_t pid);

/* From records to lists.  The image is borrowed for as long as it is made. */
struct prefetch_maker;
int prefetch_maker_new(const struct image *image, struct prefetch_maker **ret);
void prefetch_maker_free(struct prefetch_maker *m);
/* The next record.  -ENOMEM. */
int prefetch_maker_add(struct prefetch_maker *m, const struct record *r);
/* All have come: the lists are the caller's. */
int prefetch_maker_end(struct prefetch_maker *m, struct prefetch *ret);

/*
 * The same may be said by hand, or by `export --to pages`: a list of lines, of which the first
 * is "# pagetap.pages/1", perhaps with "page_size=4096".  "PID ADDRESS NPAGES" are pages in the
 * order in which they are wanted, "child PID PARENT" says whose touches count for PARENT where
 * the checkpoint has no PID.  Other lines with # in front are for people.
 */
bool prefetch_is_list(const char *line, size_t len);
/* 0; -EBADMSG, -EPROTONOSUPPORT with the words. */
int prefetch_list_head(const char *line, size_t len, struct prefetch_problem *ret_why);
/* 1 and the record that it stands for; 0: for none; -EBADMSG with the words. */
int prefetch_list_line(const char *line, size_t len, struct record *ret,
		       struct prefetch_problem *ret_why);

/*
 * Out of an open file, a trace or a list, compressed or not, by a process that may do nothing
 * else (as in image-process.h); what it gives is held against the image.  0, or -errno with the
 * words why it is none: -EBADMSG a line is wrong, -EPROTONOSUPPORT of a later version.
 */
int prefetch_read_apart(int fd, const struct image *image, void (*confine)(void),
			struct prefetch *ret, struct prefetch_problem *ret_why);

#endif
