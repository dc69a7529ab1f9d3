/* SPDX-License-Identifier: MIT */
/*
 * Image, the files of a checkpoint read into one run of bytes: which tasks, which mappings,
 * and what image-pagemap.c says of their pages.
 */

#include <criu.pb-c.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "restore/image-parts.h"

/* img_version: 1 has a magic number a file, 2 a common one before it. */
#define VERSION_PLAIN 1
#define VERSION_COMMON 2
/* As of the kernel, PID_MAX_LIMIT. */
#define PID_LIMIT (4u << 20)

struct parse {
	struct image_reading reading;
	struct image_pieces pieces;	/* of all tasks */
	struct image_vma *vmas;
	size_t nvmas, max_vmas;
	struct image_flat_task *tasks;
	size_t ntasks, max_tasks;
};

static void parse_done(struct parse *p)
{
	free(p->reading.files.v);
	free(p->pieces.v);
	free(p->vmas);
	free(p->tasks);
}

static int check_inventory(struct parse *p, const struct image_name *name,
			   const InventoryEntry *e)
{
	if (e->img_version != VERSION_PLAIN && e->img_version != VERSION_COMMON)
		return image_refuse(p->reading.why, name, -EOPNOTSUPP,
				    "it says format %u; 1 and 2 are read", e->img_version);
	if (e->compress)
		return image_refuse(p->reading.why, name, -EOPNOTSUPP,
				    "compressed pages, which are not read; "
				    "dump without --compress");
	p->reading.common = e->img_version == VERSION_COMMON;
	return 0;
}

static int read_inventory(struct parse *p)
{
	const struct image_name name = { .kind = IMAGE_INVENTORY };
	_image_file_ struct image_file f = { 0 };
	struct image_record record;
	InventoryEntry *e;
	int err = image_file_open(p->reading.dir, &name, false, &f, p->reading.why);

	if (!err)
		err = image_file_only(&f, &record, p->reading.why);
	if (err)
		return err;
	e = image_unpack(&f, &record, &inventory_entry__descriptor, &err, p->reading.why);
	if (!e)
		return err;
	err = check_inventory(p, &name, e);
	inventory_entry__free_unpacked(e, NULL);
	return err;
}

/* ---- tasks ------------------------------------------------------------------- */

static int add_task(struct parse *p, const struct image_file *f, const PstreeEntry *e)
{
	struct image_flat_task *tasks;

	if (!e->pid || e->pid > PID_LIMIT || e->ppid > PID_LIMIT)
		return image_refuse(p->reading.why, &f->name, -EBADMSG,
				    "record %" PRIu64 ": %u, child of %u, is no process",
				    f->nrecords, e->pid, e->ppid);
	tasks = image_grow(p->tasks, p->ntasks, &p->max_tasks, sizeof(*tasks));
	if (!tasks)
		return image_refuse_file(p->reading.why, &f->name, -ENOMEM);
	p->tasks = tasks;
	tasks[p->ntasks++] = (struct image_flat_task){
		.pid = (int32_t)e->pid,
		.ppid = (int32_t)e->ppid,
	};
	return 0;
}

static int by_pid(const void *a, const void *b)
{
	const struct image_flat_task *x = a, *y = b;

	return (x->pid > y->pid) - (x->pid < y->pid);
}

static int read_tree(struct parse *p)
{
	const struct image_name name = { .kind = IMAGE_PSTREE };
	_image_file_ struct image_file f = { 0 };
	struct image_record record;
	int err = image_file_open(p->reading.dir, &name, p->reading.common, &f, p->reading.why);

	while (!err && (err = image_file_next(&f, &record, p->reading.why)) > 0) {
		PstreeEntry *e = image_unpack(&f, &record, &pstree_entry__descriptor, &err,
					      p->reading.why);

		if (!e)
			return err;
		err = add_task(p, &f, e);
		pstree_entry__free_unpacked(e, NULL);
	}
	if (err)
		return err;
	if (!p->ntasks)
		return image_refuse(p->reading.why, &name, -EBADMSG, "it is empty");
	qsort(p->tasks, p->ntasks, sizeof(p->tasks[0]), by_pid);
	for (size_t i = 1; i < p->ntasks; i++)
		if (p->tasks[i].pid == p->tasks[i - 1].pid)
			return image_refuse(p->reading.why, &name, -EBADMSG,
					    "process %d is there twice", p->tasks[i].pid);
	return 0;
}

/* ---- mappings ---------------------------------------------------------------- */

static int add_vma(struct parse *p, const struct image_name *name, const VmaEntry *e)
{
	struct image_vma *vmas;

	if (e->start >= e->end || e->start % IMAGE_PAGE || e->end % IMAGE_PAGE)
		return image_refuse(p->reading.why, name, -EBADMSG,
				    "0x%" PRIx64 "-0x%" PRIx64 " is no mapping", e->start, e->end);
	/* The page of vsyscalls is at the end of the kernel's half, and nobody's memory. */
	if (e->status & IMAGE_VMA_VSYSCALL)
		return 0;
	if (e->end > IMAGE_TASK_SIZE)
		return image_refuse(p->reading.why, name, -EBADMSG,
				    "0x%" PRIx64 "-0x%" PRIx64 " is where no process has memory",
				    e->start, e->end);
	vmas = image_grow(p->vmas, p->nvmas, &p->max_vmas, sizeof(*vmas));
	if (!vmas)
		return image_refuse_file(p->reading.why, name, -ENOMEM);
	p->vmas = vmas;
	vmas[p->nvmas++] = (struct image_vma){ e->start, e->end, e->shmid, e->prot, e->flags,
					       e->status, 0 };
	return 0;
}

static int add_vmas(struct parse *p, const struct image_name *name, const MmEntry *mm)
{
	const size_t first = p->nvmas;
	int err = 0;

	for (size_t i = 0; i < mm->n_vmas && !err; i++)
		err = add_vma(p, name, mm->vmas[i]);
	for (size_t i = first + 1; i < p->nvmas && !err; i++)
		if (p->vmas[i].start < p->vmas[i - 1].end)
			err = image_refuse(p->reading.why, name, -EBADMSG,
					   "the mapping at 0x%" PRIx64
					   " begins before the end of the one before",
					   p->vmas[i].start);
	return err;
}

static int read_mm(struct parse *p, const struct image_file *opened)
{
	struct image_file f = *opened;
	struct image_record record;
	MmEntry *mm;
	int err = image_file_only(&f, &record, p->reading.why);

	if (err)
		return err;
	mm = image_unpack(&f, &record, &mm_entry__descriptor, &err, p->reading.why);
	if (!mm)
		return err;
	err = add_vmas(p, &f.name, mm);
	mm_entry__free_unpacked(mm, NULL);
	return err;
}

/* A zombie has neither mm nor pagemap; with one of them alone something is missing. */
static bool has_no_memory(struct parse *p, int32_t pid)
{
	const struct image_name pagemap = { IMAGE_PAGEMAP, (uint32_t)pid, 0 };
	uint64_t size;

	return p->reading.dir->ops->size(p->reading.dir, &pagemap, &size) == -ENOENT;
}

static int read_task(struct parse *p, struct image_flat_task *task)
{
	const struct image_name name = { IMAGE_MM, (uint32_t)task->pid, 0 };
	const size_t vmas = p->nvmas, pieces = p->pieces.n;
	_image_file_ struct image_file f = { 0 };
	int err = image_file_open(p->reading.dir, &name, p->reading.common, &f, p->reading.why);

	if (err == -ENOENT && has_no_memory(p, task->pid))
		return 0;
	if (!err)
		err = read_mm(p, &f);
	if (!err)
		err = image_pagemap(&p->reading, task->pid, p->vmas ? p->vmas + vmas : NULL,
				    p->nvmas - vmas, &p->pieces);
	task->memory = 1;
	task->nvmas = p->nvmas - vmas;
	task->npieces = p->pieces.n - pieces;
	return err;
}

/* ---- the pages files that pieces are in ---------------------------------------- */

static int by_file(const void *a, const void *b)
{
	const struct image_pages *x = *(const struct image_pages *const *)a;
	const struct image_pages *y = *(const struct image_pages *const *)b;

	if (x->level != y->level)
		return x->level < y->level ? -1 : 1;
	return (x->id > y->id) - (x->id < y->id);
}

/* Which of them are used, in order; new_index is by the old ones. */
static size_t sort_files(struct parse *p, const struct image_pages **sorted, uint32_t *new_index,
			 struct image_pages *ret)
{
	const struct image_pages *files = p->reading.files.v;
	size_t n = 0, kept = 0;

	for (size_t i = 0; i < p->pieces.n; i++)
		if (p->pieces.v[i].pages != IMAGE_REMOTE)
			new_index[p->pieces.v[i].pages] = 1;
	for (size_t i = 0; i < p->reading.files.n; i++)
		if (new_index[i])
			sorted[n++] = &files[i];
	qsort(sorted, n, sizeof(sorted[0]), by_file);
	for (size_t i = 0; i < n; i++) {
		if (!i || by_file(&sorted[i], &sorted[i - 1]))
			ret[kept++] = *sorted[i];
		new_index[sorted[i] - files] = (uint32_t)kept - 1;
	}
	return kept;
}

static int settle_files(struct parse *p)
{
	const size_t n = p->reading.files.n;
	_free_ const struct image_pages **sorted = calloc(n + 1, sizeof(sorted[0]));
	_free_ uint32_t *new_index = calloc(n + 1, sizeof(new_index[0]));
	struct image_pages *kept = calloc(n + 1, sizeof(kept[0]));

	if (!sorted || !new_index || !kept) {
		free(kept);
		return -ENOMEM;
	}
	if (n) {
		p->reading.files.n = sort_files(p, sorted, new_index, kept);
		for (size_t i = 0; i < p->pieces.n; i++)
			if (p->pieces.v[i].pages != IMAGE_REMOTE)
				p->pieces.v[i].pages = new_index[p->pieces.v[i].pages];
	}
	free(p->reading.files.v);
	p->reading.files.v = kept;
	return 0;
}

/* ---- one run of bytes ---------------------------------------------------------- */

static void put(uint8_t **at, const void *array, size_t bytes)
{
	if (bytes)
		memcpy(*at, array, bytes);
	*at += bytes;
}

/* Everything is in memory already, so that no sum of sizes wraps. */
static int flatten(const struct parse *p, void **ret, size_t *ret_len)
{
	const struct image_flat head = {
		.nfiles = p->reading.files.n,
		.ntasks = p->ntasks,
		.nvmas = p->nvmas,
		.npieces = p->pieces.n,
		.wide = p->reading.wide,
	};
	const size_t files = head.nfiles * sizeof(struct image_pages);
	const size_t tasks = head.ntasks * sizeof(struct image_flat_task);
	const size_t vmas = head.nvmas * sizeof(struct image_vma);
	const size_t pieces = head.npieces * sizeof(struct image_piece);
	const size_t len = sizeof(head) + files + tasks + vmas + pieces;
	uint8_t *bytes = malloc(len), *at = bytes;

	if (!bytes)
		return -ENOMEM;
	put(&at, &head, sizeof(head));
	put(&at, p->reading.files.v, files);
	put(&at, p->tasks, tasks);
	put(&at, p->vmas, vmas);
	put(&at, p->pieces.v, pieces);
	*ret = bytes;
	*ret_len = len;
	return 0;
}

int image_parse(struct image_dir *dir, void **ret, size_t *ret_len, struct image_problem *ret_why)
{
	_cleanup_(parse_done) struct parse p = { .reading = { .dir = dir, .why = ret_why } };
	const struct image_name name = { .kind = IMAGE_INVENTORY };
	int err = read_inventory(&p);

	if (!err)
		err = read_tree(&p);
	for (size_t i = 0; i < p.ntasks && !err; i++)
		err = read_task(&p, &p.tasks[i]);
	if (err)
		return err;
	err = settle_files(&p);
	if (!err)
		err = flatten(&p, ret, ret_len);
	return err ? image_refuse_file(ret_why, &name, err) : 0;
}
