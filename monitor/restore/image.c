/* SPDX-License-Identifier: MIT */
/* Image: the run of bytes held against every rule, and what is asked of it after that. */

#include "restore/image.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "restore/image-parts.h"

/* Words only for who looks for a mistake of ours: what was parsed keeps to the rules. */
static int broken(struct image_problem *why, const char *words)
{
	snprintf(why->text, sizeof(why->text), "what was read of the images contradicts itself: %s",
		 words);
	return -EBADMSG;
}

/* ---- the checks ---------------------------------------------------------------- */

struct adopting {
	const struct image_flat *head;
	const struct image_pages *files;
	const struct image_flat_task *tasks;
	const struct image_vma *vmas;
	const struct image_piece *pieces;
	struct image_problem *why;
};

/* n of size bytes each, which go from *left. */
static bool take(size_t *left, uint64_t n, size_t size)
{
	if (n > *left / size)
		return false;
	*left -= (size_t)n * size;
	return true;
}

static int find_parts(struct adopting *a, void *bytes, size_t len)
{
	const struct image_flat *head = bytes;
	size_t left = len;

	if (!take(&left, 1, sizeof(*head)) || !take(&left, head->nfiles, sizeof(a->files[0])) ||
	    !take(&left, head->ntasks, sizeof(a->tasks[0])) ||
	    !take(&left, head->nvmas, sizeof(a->vmas[0])) ||
	    !take(&left, head->npieces, sizeof(a->pieces[0])) || left)
		return broken(a->why, "its length");
	a->head = head;
	a->files = (const void *)(head + 1);
	a->tasks = (const void *)(a->files + head->nfiles);
	a->vmas = (const void *)(a->tasks + head->ntasks);
	a->pieces = (const void *)(a->vmas + head->nvmas);
	return 0;
}

static int check_files(const struct adopting *a)
{
	if (a->head->nfiles >= IMAGE_REMOTE || a->head->wide > 1)
		return broken(a->why, "its head");
	for (uint64_t i = 0; i < a->head->nfiles; i++) {
		const struct image_pages *f = &a->files[i];

		if (f->level >= IMAGE_LEVELS || f->size % IMAGE_PAGE || f->size > IMAGE_TASK_SIZE)
			return broken(a->why, "a pages file");
		if (i && (f->level < f[-1].level || (f->level == f[-1].level && f->id <= f[-1].id)))
			return broken(a->why, "the order of the pages files");
	}
	return 0;
}

static int check_vmas(const struct adopting *a, const struct image_vma *vmas, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct image_vma *v = &vmas[i];

		if (v->start >= v->end || v->end > IMAGE_TASK_SIZE || v->start % IMAGE_PAGE ||
		    v->end % IMAGE_PAGE)
			return broken(a->why, "a mapping");
		if (i && v->start < v[-1].end)
			return broken(a->why, "the order of the mappings");
	}
	return 0;
}

static bool piece_is_whole(const struct adopting *a, const struct image_piece *p)
{
	uint8_t lazy;
	uint64_t size;

	/* A bool that is neither may not be looked at as one. */
	memcpy(&lazy, &p->lazy, sizeof(lazy));
	if (lazy > 1 || p->vaddr % IMAGE_PAGE || p->vaddr >= IMAGE_TASK_SIZE || !p->npages ||
	    p->npages > (IMAGE_TASK_SIZE - p->vaddr) / IMAGE_PAGE)
		return false;
	if (p->pages == IMAGE_REMOTE)
		return lazy && !p->offset;
	if (p->pages >= a->head->nfiles || p->offset % IMAGE_PAGE)
		return false;
	size = a->files[p->pages].size;
	return p->offset <= size && p->npages <= (size - p->offset) / IMAGE_PAGE;
}

static int check_pieces(const struct adopting *a, struct image_task *t)
{
	size_t at = 0;

	for (size_t i = 0; i < t->npieces; i++) {
		const struct image_piece *p = &t->pieces[i];
		uint64_t end;

		if (!piece_is_whole(a, p))
			return broken(a->why, "a piece");
		end = p->vaddr + p->npages * IMAGE_PAGE;
		if (i && p->vaddr < p[-1].vaddr + p[-1].npages * IMAGE_PAGE)
			return broken(a->why, "the order of the pieces");
		while (at < t->nvmas && t->vmas[at].end <= p->vaddr)
			at++;
		if (at == t->nvmas || p->vaddr < t->vmas[at].start || end > t->vmas[at].end)
			return broken(a->why, "a piece outside of its mapping");
		if (p->lazy && !image_vma_lazy(&t->vmas[at]))
			return broken(a->why, "a lazy piece in a mapping that cannot be lazy");
		t->pages += p->npages;
		t->lazy_pages += p->lazy ? p->npages : 0;
	}
	return 0;
}

static int adopt_tasks(struct adopting *a, struct image *image)
{
	size_t vmas = a->head->nvmas, pieces = a->head->npieces;
	int err = 0;

	for (size_t i = 0; i < image->ntasks && !err; i++) {
		const struct image_flat_task *from = &a->tasks[i];
		struct image_task *t = &image->tasks[i];

		if (from->pid <= 0 || from->memory > 1 || (i && from->pid <= from[-1].pid) ||
		    from->nvmas > vmas || from->npieces > pieces ||
		    (!from->memory && (from->nvmas || from->npieces)))
			return broken(a->why, "a task");
		*t = (struct image_task){
			.pid = from->pid,
			.ppid = from->ppid,
			.memory = from->memory,
			.pieces = a->pieces,
			.vmas = a->vmas,
			.npieces = from->npieces,
			.nvmas = from->nvmas,
		};
		vmas -= t->nvmas;
		pieces -= t->npieces;
		a->vmas += t->nvmas;
		a->pieces += t->npieces;
		err = check_vmas(a, t->vmas, t->nvmas);
		if (!err)
			err = check_pieces(a, t);
		image->pages += t->pages;
		image->lazy_pages += t->lazy_pages;
	}
	if (!err && (vmas || pieces))
		err = broken(a->why, "more than the tasks have");
	return err;
}

int image_adopt(void *bytes, size_t len, struct image *ret, struct image_problem *ret_why)
{
	struct adopting a = { .why = ret_why };
	struct image image = IMAGE_NULL;
	int err = find_parts(&a, bytes, len);

	if (!err)
		err = check_files(&a);
	if (err)
		return err;
	/* One more than there are: calloc(3) of none may give NULL. */
	image.tasks = calloc(a.head->ntasks + 1, sizeof(image.tasks[0]));
	if (!image.tasks) {
		broken(ret_why, "no memory for it");
		return -ENOMEM;
	}
	image.ntasks = a.head->ntasks;
	image.files = a.files;
	image.nfiles = a.head->nfiles;
	image.wide = a.head->wide;
	err = adopt_tasks(&a, &image);
	if (err) {
		free(image.tasks);
		return err;
	}
	image.bytes = bytes;
	*ret = image;
	return 0;
}

int image_read(struct image_dir *dir, struct image *ret, struct image_problem *ret_why)
{
	_free_ void *bytes = NULL;
	size_t len;
	int err = image_parse(dir, &bytes, &len, ret_why);

	if (!err)
		err = image_adopt(bytes, len, ret, ret_why);
	if (!err)
		bytes = NULL;
	return err;
}

void image_free(struct image *image)
{
	free(image->tasks);
	free(image->bytes);
	*image = IMAGE_NULL;
}

/* ---- questions ------------------------------------------------------------------ */

const struct image_task *image_task(const struct image *image, int32_t pid)
{
	size_t lo = 0, hi = image->ntasks;

	while (lo < hi) {
		const size_t mid = lo + (hi - lo) / 2;

		if (image->tasks[mid].pid < pid)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < image->ntasks && image->tasks[lo].pid == pid ? &image->tasks[lo] : NULL;
}

size_t image_seek(const struct image_task *task, uint64_t vaddr)
{
	size_t lo = 0, hi = task->npieces;

	while (lo < hi) {
		const size_t mid = lo + (hi - lo) / 2;
		const struct image_piece *p = &task->pieces[mid];

		if (p->vaddr + p->npages * IMAGE_PAGE <= vaddr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

const struct image_piece *image_find(const struct image_task *task, uint64_t vaddr)
{
	const size_t i = image_seek(task, vaddr);

	return i < task->npieces && task->pieces[i].vaddr <= vaddr ? &task->pieces[i] : NULL;
}

const struct image_vma *image_vma(const struct image_task *task, uint64_t vaddr)
{
	size_t lo = 0, hi = task->nvmas;

	while (lo < hi) {
		const size_t mid = lo + (hi - lo) / 2;

		if (task->vmas[mid].end <= vaddr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < task->nvmas && task->vmas[lo].start <= vaddr ? &task->vmas[lo] : NULL;
}

/* userfaultfd takes more, but restore registers these alone. */
bool image_vma_lazy(const struct image_vma *vma)
{
	return (vma->flags & MAP_ANONYMOUS) && (vma->flags & MAP_PRIVATE) &&
	       !(vma->flags & (MAP_LOCKED | MAP_HUGETLB)) &&
	       !(vma->status & (IMAGE_VMA_VDSO | IMAGE_VMA_VVAR | IMAGE_VMA_VSYSCALL));
}
