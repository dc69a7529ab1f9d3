/* SPDX-License-Identifier: MIT */
/* Random, regions: judged memory, and the shadow that it is held against. */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "random.h"

void region_error(struct worker *w, int call, int error)
{
	w->syscall_errors++;
	fprintf(stderr, "random: system call %d failed: %s\n", call, strerror(error));
	if (w->truth)
		truth_tell(w->truth, (struct truth_entry){
			.t0 = now_ns(), .t1 = now_ns(), .op = TRUTH_SYSCALL_ERROR,
			.aux = (uint64_t)error, .aux2 = (uint64_t)call,
		});
}

static void told(struct worker *w, enum truth_op op, const void *at, size_t len, uint64_t t0)
{
	uintptr_t first = (uintptr_t)at / PAGE, last = ((uintptr_t)at + len - 1) / PAGE;

	if (!len)
		return;
	w->writes++;
	w->pages += last - first + 1;
	truth_note(w->truth, op, t0, at, len, 0, 0);
}

void wrote(struct worker *w, const void *at, size_t len, uint64_t t0)
{
	told(w, TRUTH_WRITE, at, len, t0);
}

void kernel_wrote(struct worker *w, const void *at, size_t len, uint64_t t0)
{
	told(w, TRUTH_KWRITE, at, len, t0);
}

struct region *region_pick(struct worker *w)
{
	for (;;) {
		struct region *r = &w->r[random_below(w, REGIONS)];

		if (r->kind != REGION_NONE)
			return r;
	}
}

struct region *region_pick_kind(struct worker *w, enum region_kind kind)
{
	unsigned int start = (unsigned int)random_below(w, REGIONS);

	for (unsigned int i = 0; i < REGIONS; i++)
		if (w->r[(start + i) % REGIONS].kind == kind)
			return &w->r[(start + i) % REGIONS];
	return NULL;
}

struct region *region_free_slot(struct worker *w)
{
	return region_pick_kind(w, REGION_NONE);
}

/* Each slot has a stretch of addresses of its own, with room on both sides. */
unsigned char *region_place(struct worker *w, const struct region *r)
{
	uint64_t at = WINDOW + w->nr * STRIDE + (uint64_t)(r - w->r) * SLOT + SLOT / 4;

	return (unsigned char *)(uintptr_t)at;
}

void region_resize_shadow(struct region *r, size_t pages)
{
	unsigned char *old = r->shadow;
	size_t old_room = r->shadow_room, keep = r->pages < pages ? r->pages : pages;

	if (pages * PAGE <= r->shadow_room) {
		/* What comes in anew is zero. */
		if (pages > r->pages)
			memset(r->shadow + r->pages * PAGE, 0, (pages - r->pages) * PAGE);
		r->pages = pages;
		return;
	}
	r->shadow_room = pages * PAGE;
	r->shadow = hidden(r->shadow_room);
	if (old) {
		memcpy(r->shadow, old, keep * PAGE);
		munmap(old, old_room);
	}
	r->pages = pages;
}

static enum truth_kind truth_kind(enum region_kind kind)
{
	switch (kind) {
	case REGION_SHARED:
	case REGION_MEMFD:
		return TRUTH_KIND_SHARED;
	case REGION_COPY:
		return TRUTH_KIND_FILE_PRIVATE;
	case REGION_BRK:
		return TRUTH_KIND_BRK;
	case REGION_DOWN:
		return TRUTH_KIND_GROWSDOWN;
	case REGION_HUGETLB:
		return TRUTH_KIND_HUGE;
	default:
		return TRUTH_KIND_ANON;
	}
}

static void *map_kind(const struct worker *w, const struct region *r, enum region_kind kind,
		      size_t page, size_t n, int flags)
{
	unsigned char *at = r->at + page * PAGE;
	int fd = -1;

	switch (kind) {
	case REGION_SHARED:
		flags |= MAP_SHARED | MAP_ANONYMOUS;
		break;
	case REGION_MEMFD:
		fd = r->fd;
		flags |= MAP_SHARED;
		break;
	case REGION_COPY:
		fd = w->data;
		flags |= MAP_PRIVATE;
		break;
	case REGION_DOWN:
		flags |= MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN;
		break;
	case REGION_HUGETLB:
		flags |= MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB;
		break;
	default:
		flags |= MAP_PRIVATE | MAP_ANONYMOUS;
		break;
	}
	return mmap(at, n * PAGE, PROT_READ | PROT_WRITE, flags, fd,
		    fd < 0 ? 0 : (off_t)((r->from + page) * PAGE));
}

void region_reload(struct worker *w, struct region *r, size_t page, size_t n)
{
	if (pread(w->data, r->shadow + page * PAGE, n * PAGE,
		  (off_t)((r->from + page) * PAGE)) != (ssize_t)(n * PAGE))
		die("the data file");
}

bool region_make(struct worker *w, struct region *r, enum region_kind kind, size_t pages)
{
	uint64_t t0 = now_ns();
	void *p;

	*r = (struct region){ .fd = -1, .at = region_place(w, r) };
	if (kind == REGION_MEMFD) {
		r->fd = memfd_create("random", MFD_CLOEXEC);
		if (r->fd < 0 || ftruncate(r->fd, (off_t)(pages * PAGE)))
			die("a memfd");
	}
	p = map_kind(w, r, kind, 0, pages, MAP_FIXED_NOREPLACE);
	if (p == MAP_FAILED) {
		/* The pool of huge pages is everybody's. */
		if (kind != REGION_HUGETLB)
			region_error(w, SYS_mmap, errno);
		return false;
	}
	truth_note(w->truth, TRUTH_AREA, t0, p, pages * PAGE, PROT_READ | PROT_WRITE,
		   truth_kind(kind));
	r->kind = kind;
	region_resize_shadow(r, pages);
	if (kind == REGION_COPY)
		region_reload(w, r, 0, pages);
	return true;
}

bool region_map_part(struct worker *w, struct region *r, size_t page, size_t n, bool over)
{
	uint64_t t0 = now_ns();
	void *p = map_kind(w, r, r->kind, page, n, over ? MAP_FIXED : MAP_FIXED_NOREPLACE);

	if (p == MAP_FAILED) {
		region_error(w, SYS_mmap, errno);
		return false;
	}
	truth_note(w->truth, over ? TRUTH_REPLACE : TRUTH_AREA, t0, p, n * PAGE,
		   PROT_READ | PROT_WRITE, truth_kind(r->kind));
	if (r->kind == REGION_COPY)
		region_reload(w, r, page, n);
	else if (r->kind != REGION_MEMFD)
		memset(r->shadow + page * PAGE, 0, n * PAGE);
	r->patched = true;
	return true;
}

bool region_unmap(struct worker *w, unsigned char *at, size_t pages)
{
	uint64_t t0 = now_ns();

	if (munmap(at, pages * PAGE)) {
		region_error(w, SYS_munmap, errno);
		return false;
	}
	truth_note(w->truth, TRUTH_UNMAP, t0, at, pages * PAGE, 0, 0);
	return true;
}

void region_unjudge(struct worker *w, const void *at, size_t pages)
{
	truth_note(w->truth, TRUTH_UNMAP, now_ns(), at, pages * PAGE, 0, TRUTH_UNCERTAIN);
}

bool region_plain(const struct region *r)
{
	return (r->kind == REGION_ANON || r->kind == REGION_SHARED || r->kind == REGION_MEMFD ||
		r->kind == REGION_COPY) && !r->twin;
}

/* Of all threads: a child of fork(2) has them too. */
static unsigned char *stacks[THREADS_MAX];

void region_stack_begin(struct worker *w, unsigned char *room)
{
	struct region *r = &w->r[REGIONS - 2];
	uint64_t t0 = now_ns();

	*r = (struct region){ .kind = REGION_STACK, .fd = -1 };
	r->at = (unsigned char *)(((uintptr_t)room + PAGE - 1) / PAGE * PAGE);
	stacks[w->nr] = r->at;
	truth_note(w->truth, TRUTH_AREA, t0, r->at, STACK_PAGES * PAGE, PROT_READ | PROT_WRITE,
		   TRUTH_KIND_STACK);
	region_resize_shadow(r, STACK_PAGES);
	t0 = now_ns();
	memset(r->at, 0, STACK_PAGES * PAGE);
	wrote(w, r->at, STACK_PAGES * PAGE, t0);
}

/* The frame is about to go, and what comes there next is not ours to tell. */
void region_stack_end(struct worker *w)
{
	struct region *r = &w->r[REGIONS - 2];

	w->children = mix(w->children, region_digest(r));
	region_unjudge(w, r->at, r->pages);
	stacks[w->nr] = NULL;
	region_forget(r);
}

void region_stacks_of_others(struct worker *w)
{
	for (unsigned int i = 0; i < THREADS_MAX; i++)
		if (stacks[i] && i != w->nr)
			region_unjudge(w, stacks[i], STACK_PAGES);
}

void region_forget(struct region *r)
{
	if (r->shadow)
		munmap(r->shadow, r->shadow_room);
	if (r->fd >= 0)
		close(r->fd);
	*r = (struct region){ .fd = -1 };
}

void region_verify(struct worker *w, struct region *r)
{
	uint64_t t0 = now_ns();

	for (size_t i = 0; i < r->pages; i++) {
		if (!memcmp(r->at + i * PAGE, r->shadow + i * PAGE, PAGE))
			continue;
		w->mismatches++;
		fprintf(stderr, "random: page %zu of a region of kind %d differs\n", i, r->kind);
	}
	truth_note(w->truth, TRUTH_READ, t0, r->at, r->pages * PAGE, 0, 0);
}

void region_verify_all(struct worker *w)
{
	for (unsigned int i = 0; i < REGIONS; i++)
		if (w->r[i].kind != REGION_NONE)
			region_verify(w, &w->r[i]);
}

uint64_t region_digest(const struct region *r)
{
	uint64_t d = r->pages, word;

	for (size_t i = 0; i < r->pages * PAGE; i += sizeof(word)) {
		memcpy(&word, r->at + i, sizeof(word));
		d = mix(d, word);
	}
	return d;
}

void regions_start(struct worker *w)
{
	static const enum region_kind kinds[] = {
		REGION_ANON, REGION_ANON, REGION_ANON, REGION_SHARED, REGION_ANON, REGION_MEMFD,
		REGION_ANON, REGION_COPY,
	};
	size_t pages = opt.memory_mib * 256u / (REGIONS * 2 / 3);

	for (unsigned int i = 0; i < REGIONS; i++)
		w->r[i].fd = -1;
	for (unsigned int i = 0; i < REGIONS * 2 / 3; i++)
		if (!region_make(w, &w->r[i], kinds[i % 8], pages))
			die("the first mappings");
	region_make(w, &w->r[REGIONS - 1], REGION_DOWN, 4);
}
