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
	default:
		return TRUTH_KIND_ANON;
	}
}

static void *map_kind(struct worker *w, struct region *r, enum region_kind kind, size_t len)
{
	int flags = MAP_FIXED_NOREPLACE, fd = -1;
	void *p;

	switch (kind) {
	case REGION_SHARED:
	case REGION_COMMON:
		flags |= MAP_SHARED | MAP_ANONYMOUS;
		break;
	case REGION_MEMFD:
		fd = r->fd = memfd_create("random", MFD_CLOEXEC);
		if (fd < 0 || ftruncate(fd, (off_t)len))
			return MAP_FAILED;
		flags |= MAP_SHARED;
		break;
	case REGION_COPY:
		fd = w->data;
		flags |= MAP_PRIVATE;
		break;
	case REGION_DOWN:
		flags |= MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN;
		break;
	default:
		flags |= MAP_PRIVATE | MAP_ANONYMOUS;
		break;
	}
	p = mmap(region_place(w, r), len, PROT_READ | PROT_WRITE, flags, fd, 0);
	return p;
}

bool region_make(struct worker *w, struct region *r, enum region_kind kind, size_t pages)
{
	uint64_t t0 = now_ns();
	void *p;

	*r = (struct region){ .fd = -1 };
	p = map_kind(w, r, kind, pages * PAGE);
	if (p == MAP_FAILED) {
		region_error(w, SYS_mmap, errno);
		return false;
	}
	truth_note(w->truth, TRUTH_AREA, t0, p, pages * PAGE, PROT_READ | PROT_WRITE,
		   truth_kind(kind));
	r->kind = kind;
	r->at = p;
	region_resize_shadow(r, pages);
	if (kind == REGION_COPY && pread(w->data, r->shadow, pages * PAGE, 0) < 0)
		die("the data file");
	return true;
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
