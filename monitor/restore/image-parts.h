/* SPDX-License-Identifier: MIT */
/*
 * Image, the parts: what the files of the parser share.  Not for others.
 *
 * The bytes between image_parse() and image_adopt() are a struct image_flat, then its
 * files (struct image_pages), tasks (struct image_flat_task), mappings (struct image_vma)
 * and pieces (struct image_piece), those of one task after those of the other.
 */
#ifndef RESTORE_IMAGE_PARTS_H
#define RESTORE_IMAGE_PARTS_H

#include <protobuf-c/protobuf-c.h>

#include "base/cleanup.h"
#include "restore/image.h"

struct image_flat {
	uint64_t nfiles, ntasks, nvmas, npieces;
	uint64_t wide;
};

struct image_flat_task {
	int32_t pid, ppid;
	uint64_t memory;
	uint64_t nvmas, npieces;
};

/* image-file.c: one file, as the folder gives it. */

struct image_file {
	struct image_name name;
	const uint8_t *at;	/* what has not been read */
	size_t left;
	uint64_t nrecords;	/* read so far */
	void *bytes;
};

struct image_record {
	const uint8_t *p;
	size_t len;
};

/* Words for why it is refused, after the name of the file.  Returns err. */
int image_refuse(struct image_problem *why, const struct image_name *name, int err,
		 const char *format, ...) __attribute__((format(printf, 4, 5)));
/* The same, for what the folder answered. */
int image_refuse_file(struct image_problem *why, const struct image_name *name, int err);

/*
 * Read a file and look at its magic numbers; common: the format of CRIU 2.0 and later,
 * with one of them before that of the kind.  Who has got 0 closes it.
 */
int image_file_open(struct image_dir *dir, const struct image_name *name, bool common,
		    struct image_file *ret, struct image_problem *why);
/* The next record: 1; the end: 0. */
int image_file_next(struct image_file *f, struct image_record *ret, struct image_problem *why);
/* The one record of a file that has one. */
int image_file_only(struct image_file *f, struct image_record *ret, struct image_problem *why);
void image_file_close(struct image_file *f);
/*
 * What the record says, to be given back by protobuf_c_message_free_unpacked(m, NULL); NULL:
 * refused, with words and *ret_err, which tells what cannot be decoded from no memory.
 */
void *image_unpack(const struct image_file *f, const struct image_record *record,
		   const ProtobufCMessageDescriptor *kind, int *ret_err,
		   struct image_problem *why);
#define _image_file_ _cleanup_(image_file_close)

/* image-pagemap.c: what one task has. */

/* Pieces, one after the other. */
struct image_pieces {
	struct image_piece *v;
	size_t n, max;
};

/* Pages files as they come; a number of one of them, again and again, is a new one. */
struct image_seen {
	struct image_pages *v;
	size_t n, max;
};

struct image_reading {
	struct image_dir *dir;
	struct image_problem *why;
	bool common;
	bool wide;
	struct image_seen files;
};

/*
 * Append the pieces of a task to *ret, from its pagemap and those of the parents, cut to
 * its mappings; piece.pages is an index in r->files.
 */
int image_pagemap(struct image_reading *r, int32_t pid, const struct image_vma *vmas, size_t nvmas,
		  struct image_pieces *ret);
/* One more at the end of an array of n with room for *max; NULL: no memory. */
void *image_grow(void *array, size_t n, size_t *max, size_t size);

#endif
