/* SPDX-License-Identifier: MIT */
/*
 * Fuzz: a trace that may say anything of who touched what.
 *
 * Each 24 bytes are a record.  Whatever they are, the lists name pages that are lazy in the
 * checkpoint, each once, and as many as they say.
 */

#include <stdlib.h>
#include <string.h>

#include "restore/prefetch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define AT UINT64_C(0x7f0000000000)
#define PAGES 900u
#define FAR 1u		/* the address as it is, not near the checkpoint's */
#define LONG 2u		/* the length, too */

struct told {
	uint8_t kind, mm, child, flags;
	int32_t pid;
	uint64_t addr, npages;
};

static const struct image_piece pieces[] = {
	{ .vaddr = AT, .npages = 301, .lazy = true },
	{ .vaddr = AT + 301 * IMAGE_PAGE, .npages = 7 },
	{ .vaddr = AT + 308 * IMAGE_PAGE, .npages = 100, .lazy = true },
	{ .vaddr = AT + 500 * IMAGE_PAGE, .npages = 400, .lazy = true },
};
static struct image_task tasks[] = {
	{ .pid = 1, .memory = true, .pieces = pieces, .npieces = 4, .lazy_pages = 801 },
	{ .pid = 2, .memory = true, .pieces = pieces, .npieces = 3, .lazy_pages = 401 },
	{ .pid = 3 },
};

static struct record record_of(const struct told *t)
{
	static const enum record_kind kinds[] = {
		RECORD_FAULT, RECORD_DIRTY, RECORD_ATTACH, RECORD_FORK, RECORD_EXEC, RECORD_UNMAP,
	};
	struct record r = { .kind = (uint8_t)kinds[t->kind % 6], .mm = t->mm, .pid = t->pid };

	r.addr = t->flags & FAR ? t->addr : AT + t->addr % (2 * PAGES * IMAGE_PAGE);
	r.npages = t->flags & LONG ? t->npages : t->npages % 64;
	if (r.kind == RECORD_ATTACH)
		r.attach.image_pid = t->child % 5;
	else if (r.kind == RECORD_FORK)
		r.fork.child_mm = t->child;
	else if (r.kind == RECORD_EXEC)
		r.exec.new_mm = t->child;
	return r;
}

static void check(const struct image_task *task, const struct prefetch_list *l, uint64_t *sum)
{
	bool seen[PAGES] = { false };

	for (size_t i = 0; i < l->n; i++) {
		if (range_empty(l->v[i]) || (l->v[i].lo | l->v[i].hi) % IMAGE_PAGE)
			abort();
		for (uint64_t a = l->v[i].lo; a < l->v[i].hi; a += IMAGE_PAGE) {
			const struct image_piece *p = image_find(task, a);
			uint64_t n = (a - AT) / IMAGE_PAGE;

			if (!p || !p->lazy || n >= PAGES || seen[n])
				abort();
			seen[n] = true;
			++*sum;
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct image image = { .tasks = tasks, .ntasks = size % 2 ? 1 : 3 };
	struct prefetch_maker *m;
	struct prefetch p;
	struct told t;
	uint64_t sum = 0;

	if (prefetch_maker_new(&image, &m))
		abort();
	for (; size >= sizeof(t); data += sizeof(t), size -= sizeof(t)) {
		struct record r;

		memcpy(&t, data, sizeof(t));
		r = record_of(&t);
		if (prefetch_maker_add(m, &r))
			abort();
	}
	if (prefetch_maker_end(m, &p))
		abort();
	prefetch_maker_free(m);
	for (size_t i = 0; i < p.ntasks; i++)
		check(&image.tasks[i], &p.lists[i], &sum);
	if (sum != p.pages)
		abort();
	prefetch_free(&p);
	return 0;
}
