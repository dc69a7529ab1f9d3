/* SPDX-License-Identifier: MIT */
/*
 * Image: which memory a CRIU checkpoint holds, and where in its files the contents lie.
 *
 * Pure: the files come through struct image_dir, a folder or something else.  Nothing in
 * them is believed: what image_read() gives has been held against every rule below, and
 * what breaks one is refused whole, with words.
 *
 * - A piece is a run of pages of one mapping, one of: in a row in one pages file, or in
 *   none of them and at the page server (IMAGE_REMOTE).  Parents are resolved.
 * - Pieces and mappings of a task are sorted and disjoint, of whole pages, and end at or
 *   below IMAGE_TASK_SIZE.  Each piece lies in one mapping.  Pages without a piece are
 *   those that were never there: zeroes, or the file's.
 * - A lazy piece lies in private anonymous memory that restore may leave to be filled.
 * - Each piece lies within its pages file, and that file is as long as its pagemap says.
 *
 * An image does not change once read; threads may share it.
 */
#ifndef RESTORE_IMAGE_H
#define RESTORE_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The unit of the format, on x86-64. */
#define IMAGE_PAGE UINT64_C(4096)
/* Of user space with five levels of page tables (TASK_SIZE_MAX); nothing is mapped above. */
#define IMAGE_TASK_SIZE ((UINT64_C(1) << 56) - IMAGE_PAGE)
/* A checkpoint upon a checkpoint, and so on: at most so many folders. */
#define IMAGE_LEVELS 128
/* In the place of a pages file: the contents are not here, a page server has them. */
#define IMAGE_REMOTE UINT32_MAX

/* The files that are read; all but the first two have a number in their name. */
enum image_kind {
	IMAGE_INVENTORY,	/* inventory.img */
	IMAGE_PSTREE,		/* pstree.img */
	IMAGE_MM,		/* mm-PID.img */
	IMAGE_PAGEMAP,		/* pagemap-PID.img */
	IMAGE_PAGES,		/* pages-ID.img */
	IMAGE_KINDS,
};

struct image_name {
	enum image_kind kind;
	uint32_t id;		/* PID or ID; 0 where there is none */
	uint32_t level;		/* 0: the checkpoint itself; 1: its parent; ... */
};

/* "pagemap-4242.img", "parent/pages-1.img", "pages-1.img of parent 7"; returns buf. */
const char *image_name_words(const struct image_name *name, char *buf, size_t size);

/*
 * Where the files are.  All return 0 or -errno: ENOENT there is none; ELOOP a symbolic
 * link; EISDIR a folder; ENODEV neither folder nor file; ESTALE not as it was before.
 */
struct image_dir;
struct image_dir_ops {
	/*
	 * Is there such a parent?  Asked in order, from 1 on.  ELOOP: it is one of the
	 * levels before it.
	 */
	int (*level)(struct image_dir *dir, uint32_t level);
	/* How long is it? */
	int (*size)(struct image_dir *dir, const struct image_name *name, uint64_t *ret);
	/* All of it, by malloc(3); EFBIG: too long for that.  Never of a pages file. */
	int (*read)(struct image_dir *dir, const struct image_name *name, void **ret,
		    size_t *ret_len);
	/* The whole of struct image_dir goes. */
	void (*free)(struct image_dir *dir);
};
struct image_dir {
	const struct image_dir_ops *ops;
};

/* A mapping, as it was. */
struct image_vma {
	uint64_t start, end;
	uint64_t shmid;		/* of shared memory: which */
	uint32_t prot, flags;	/* as of mmap(2) */
	uint32_t status;	/* CRIU's: IMAGE_VMA_... and others */
	uint32_t reserved;	/* 0 */
};

enum {
	IMAGE_VMA_VSYSCALL = 1u << 2,
	IMAGE_VMA_VDSO = 1u << 3,
	IMAGE_VMA_ANON_SHARED = 1u << 8,
	IMAGE_VMA_ANON_PRIVATE = 1u << 9,
	IMAGE_VMA_VVAR = 1u << 12,
};

struct image_piece {
	uint64_t vaddr, npages;
	uint64_t offset;	/* in the pages file, in bytes; IMAGE_REMOTE: 0 */
	uint32_t pages;		/* index in image.files, or IMAGE_REMOTE */
	bool lazy;		/* restore leaves it to us; the others it reads itself */
};

struct image_task {
	int32_t pid, ppid;	/* ppid is what the image says, and not looked up */
	bool memory;		/* false: it had none (a zombie), and there is nothing here */
	const struct image_piece *pieces;
	const struct image_vma *vmas;
	size_t npieces, nvmas;
	uint64_t lazy_pages, pages;	/* sums over the pieces: lazy ones, all */
};

/* A pages file that some piece lies in. */
struct image_pages {
	uint32_t id, level;
	uint64_t size;		/* bytes */
};

struct image {
	struct image_task *tasks;	/* sorted by pid */
	size_t ntasks;
	const struct image_pages *files; /* sorted by level, then id */
	size_t nfiles;
	uint64_t lazy_pages, pages;	/* sums over the tasks */
	bool wide;	/* its page server speaks the 32-byte header: CRIU 4.2 and later */
	void *bytes;	/* what all of the above points into */
};
#define IMAGE_NULL ((struct image){ 0 })

/* Why an image was refused: one line, with what it is about; not yet escaped. */
struct image_problem {
	char text[240];
};

/*
 * Read and check all of it.  0, or -errno with words in *ret_why: EBADMSG damaged,
 * EOPNOTSUPP not of a kind that is read, ENOENT a file is missing, ELOOP and others of
 * the folder, ENOMEM.
 */
int image_read(struct image_dir *dir, struct image *ret, struct image_problem *ret_why);
/* Also of IMAGE_NULL, which it is afterwards. */
void image_free(struct image *image);

/* The task of this pid; NULL: none.  O(log n). */
const struct image_task *image_task(const struct image *image, int32_t pid);
/* The piece that this address lies in; NULL: none.  O(log n). */
const struct image_piece *image_find(const struct image_task *task, uint64_t vaddr);
/* The first piece that ends above this address; its number, npieces: none.  O(log n). */
size_t image_seek(const struct image_task *task, uint64_t vaddr);
/* The mapping that this address lies in; NULL: none.  O(log n). */
const struct image_vma *image_vma(const struct image_task *task, uint64_t vaddr);
/* May restore leave pages of this mapping to be filled later? */
bool image_vma_lazy(const struct image_vma *vma);

/*
 * The two halves of image_read(): the first may be done by a process that is trusted
 * with nothing, and gives all in one run of bytes (malloc(3)); the second believes none
 * of them, and takes them over if it succeeds.
 */
int image_parse(struct image_dir *dir, void **ret, size_t *ret_len, struct image_problem *ret_why);
int image_adopt(void *bytes, size_t len, struct image *ret, struct image_problem *ret_why);

#endif
