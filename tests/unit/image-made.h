/* SPDX-License-Identifier: MIT */
/*
 * Image, made: a checkpoint in memory, written by protobuf-c, for the suites of the parser.
 *
 * made_good() gives one that is taken: task 100 with a lazy, an eager and a remote part,
 * task 101 that is a zombie.  A test changes one thing in it.
 */
#ifndef TESTS_IMAGE_MADE_H
#define TESTS_IMAGE_MADE_H

#include <criu.pb-c.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "restore/image.h"

#define MADE_FILES 512
#define MADE_ANON (MAP_PRIVATE | MAP_ANONYMOUS)
#define MADE_COMMON 0x54564319u

enum { PARENT = 1, LAZY = 2, PRESENT = 4, NO_FLAGS = 0x100, IN_PARENT = 0x200, WIDE = 0x400 };

struct made_file {
	struct image_name name;
	uint8_t *bytes;
	size_t len;
	uint64_t size;		/* of pages files, which have no bytes */
	int error;		/* what the folder says instead */
};

struct made {
	struct image_dir dir;
	struct made_file files[MADE_FILES];
	size_t n;
	uint32_t levels;	/* parents there are */
	int beyond;		/* what is said of the next one: -ENOENT */
	uint32_t version;
	struct made_file *pagemap;	/* that entries go to */
};

static inline struct made_file *made_find(struct made *m, enum image_kind kind, uint32_t id,
					  uint32_t level)
{
	for (size_t i = 0; i < m->n; i++)
		if (m->files[i].name.kind == kind && m->files[i].name.id == id &&
		    m->files[i].name.level == level)
			return &m->files[i];
	return NULL;
}

static inline int made_level(struct image_dir *dir, uint32_t level)
{
	struct made *m = (struct made *)dir;

	return level <= m->levels ? 0 : m->beyond;
}

static inline int made_size(struct image_dir *dir, const struct image_name *name, uint64_t *ret)
{
	struct made_file *f = made_find((struct made *)dir, name->kind, name->id, name->level);

	if (!f || f->error)
		return f ? f->error : -ENOENT;
	*ret = name->kind == IMAGE_PAGES ? f->size : f->len;
	return 0;
}

static inline int made_read(struct image_dir *dir, const struct image_name *name, void **ret,
			    size_t *ret_len)
{
	struct made_file *f = made_find((struct made *)dir, name->kind, name->id, name->level);

	if (!f || f->error)
		return f ? f->error : -ENOENT;
	/* Of just that length, so that ASan sees a step beyond. */
	*ret = malloc(f->len ? f->len : 1);
	if (!*ret)
		return -ENOMEM;
	if (f->len)
		memcpy(*ret, f->bytes, f->len);
	*ret_len = f->len;
	return 0;
}

static inline void made_free(struct image_dir *dir)
{
	struct made *m = (struct made *)dir;

	for (size_t i = 0; i < m->n; i++)
		free(m->files[i].bytes);
	m->n = 0;
}

static const struct image_dir_ops made_ops = {
	.level = made_level,
	.size = made_size,
	.read = made_read,
	.free = made_free,
};

static inline void made_init(struct made *m)
{
	memset(m, 0, sizeof(*m));
	m->dir.ops = &made_ops;
	m->beyond = -ENOENT;
	m->version = 2;
}

static inline void made_bytes(struct made_file *f, const void *bytes, size_t len)
{
	f->bytes = realloc(f->bytes, f->len + len + 1);
	if (!f->bytes)
		abort();
	if (len)
		memcpy(f->bytes + f->len, bytes, len);
	f->len += len;
}

static inline void made_word(struct made_file *f, uint32_t word)
{
	made_bytes(f, &word, sizeof(word));
}

/* Empty, but for its magic numbers; one that was there goes. */
static inline struct made_file *made_file(struct made *m, enum image_kind kind, uint32_t id,
					  uint32_t level)
{
	static const uint32_t magic[] = { 0x58313116u, 0x50273030u, 0x57492820u, 0x56084025u };
	struct made_file *f = made_find(m, kind, id, level);

	if (!f) {
		if (m->n == MADE_FILES)
			abort();
		f = &m->files[m->n++];
	}
	free(f->bytes);
	*f = (struct made_file){ .name = { kind, id, level } };
	if (kind == IMAGE_PAGES)
		return f;
	if (kind != IMAGE_INVENTORY && m->version == 2)
		made_word(f, MADE_COMMON);
	made_word(f, magic[kind]);
	return f;
}

static inline void made_record(struct made_file *f, const void *message)
{
	const size_t len = protobuf_c_message_get_packed_size(message);
	uint8_t *bytes = malloc(len + 1);

	if (!bytes)
		abort();
	protobuf_c_message_pack(message, bytes);
	made_word(f, (uint32_t)len);
	made_bytes(f, bytes, len);
	free(bytes);
}

static inline void made_inventory(struct made *m, uint32_t version)
{
	InventoryEntry e = INVENTORY_ENTRY__INIT;

	m->version = version;
	e.img_version = version;
	made_record(made_file(m, IMAGE_INVENTORY, 0, 0), &e);
}

static inline void made_task(struct made *m, uint32_t pid, uint32_t ppid)
{
	struct made_file *f = made_find(m, IMAGE_PSTREE, 0, 0);
	PstreeEntry e = PSTREE_ENTRY__INIT;

	e.pid = e.pgid = e.sid = pid;
	e.ppid = ppid;
	e.n_threads = 1;
	e.threads = &pid;
	made_record(f ? f : made_file(m, IMAGE_PSTREE, 0, 0), &e);
}

struct made_vma {
	uint64_t start, end;
	uint32_t flags, status;
};

static inline void made_mm(struct made *m, uint32_t pid, const struct made_vma *vmas, size_t n)
{
	MmEntry mm = MM_ENTRY__INIT;
	VmaEntry *v = calloc(n + 1, sizeof(*v)), **p = calloc(n + 1, sizeof(*p));

	if (!v || !p)
		abort();
	for (size_t i = 0; i < n; i++) {
		vma_entry__init(&v[i]);
		v[i].start = vmas[i].start;
		v[i].end = vmas[i].end;
		v[i].flags = vmas[i].flags;
		v[i].status = vmas[i].status;
		v[i].prot = PROT_READ | PROT_WRITE;
		v[i].fd = -1;
		p[i] = &v[i];
	}
	mm.n_vmas = n;
	mm.vmas = p;
	made_record(made_file(m, IMAGE_MM, pid, 0), &mm);
	free(v);
	free(p);
}

/* Then entries; at last made_pages(). */
static inline void made_pagemap(struct made *m, uint32_t pid, uint32_t level, uint32_t pages_id)
{
	PagemapHead head = PAGEMAP_HEAD__INIT;

	head.pages_id = pages_id;
	m->pagemap = made_file(m, IMAGE_PAGEMAP, pid, level);
	made_record(m->pagemap, &head);
}

static inline void made_entry(struct made *m, uint64_t vaddr, uint64_t npages, uint32_t flags)
{
	PagemapEntry e = PAGEMAP_ENTRY__INIT;

	e.vaddr = vaddr;
	if (flags & WIDE) {
		e.has_nr_pages = true;
		e.nr_pages = npages;
	} else {
		e.compat_nr_pages = (uint32_t)npages;
	}
	e.has_in_parent = e.in_parent = flags & IN_PARENT;
	e.has_flags = !(flags & NO_FLAGS);
	e.flags = flags & 0xff;
	made_record(m->pagemap, &e);
}

static inline void made_pages(struct made *m, uint32_t id, uint32_t level, uint64_t npages)
{
	made_file(m, IMAGE_PAGES, id, level)->size = npages * IMAGE_PAGE;
}

/* Text 0x400000+16, anonymous 0x10000000+256 and, right above it, +256, locked 0x20000000+16. */
static inline void made_good(struct made *m)
{
	static const struct made_vma vmas[] = {
		{ 0x400000, 0x410000, MAP_PRIVATE, 0x41 },
		{ 0x10000000, 0x10100000, MADE_ANON, 0x201 },
		{ 0x10100000, 0x10200000, MADE_ANON | MAP_NORESERVE, 0x201 },
		{ 0x20000000, 0x20010000, MADE_ANON | MAP_LOCKED, 0x201 },
		{ 0xffffffffff600000, 0xffffffffff601000, MADE_ANON, 0x4 | 1 },
	};

	made_init(m);
	made_inventory(m, 2);
	made_task(m, 100, 0);
	made_task(m, 101, 100);
	made_mm(m, 100, vmas, sizeof(vmas) / sizeof(vmas[0]));
	made_pagemap(m, 100, 0, 7);
	made_entry(m, 0x404000, 2, PRESENT);
	made_entry(m, 0x10000000, 10, LAZY | PRESENT);
	made_entry(m, 0x1000a000, 6, LAZY | PRESENT);
	made_entry(m, 0x100f0000, 32, LAZY | PRESENT);
	made_entry(m, 0x10180000, 4, LAZY);
	made_entry(m, 0x20000000, 1, PRESENT);
	made_pages(m, 7, 0, 2 + 10 + 6 + 32 + 1);
}

#endif
