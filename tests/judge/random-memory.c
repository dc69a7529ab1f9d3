/* SPDX-License-Identifier: MIT */
/*
 * Random, memory: of other kinds, and at unusual addresses: huge pages, one memory at two
 * places, the thread's own stack, places that threads take from one another.
 */

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "random.h"

#define HUGE_PAGES ((size_t)512)	/* in one huge page */

static void store_word(struct worker *w, struct region *r, size_t off, unsigned char *base)
{
	uint64_t t0 = now_ns(), v = random_next(w);

	*(volatile uint64_t *)(void *)(base + off) = v;
	wrote(w, base + off, 8, t0);
	memcpy(r->shadow + off, &v, 8);
}

static void store_words(struct worker *w, struct region *r, unsigned char *base)
{
	for (uint64_t n = 1 + random_below(w, 8); n; n--)
		store_word(w, r, random_below(w, r->pages * PAGE / 8) * 8, base);
}

/* One for each thread. */
bool memory_hugetlb_there(void)
{
	FILE *f = fopen("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "re");
	unsigned int n = 0;

	if (!f)
		return false;
	if (fscanf(f, "%u", &n) != 1)
		n = 0;
	fclose(f);
	return n >= opt.threads;
}

static void hugetlb_make(struct worker *w)
{
	struct region *r = region_free_slot(w);
	uint64_t t0;

	if (!r || !region_make(w, r, REGION_HUGETLB, HUGE_PAGES))
		return;
	/* A child whose parent writes first loses its page where the pool is empty. */
	t0 = now_ns();
	if (madvise(r->at, r->pages * PAGE, MADV_DONTFORK))
		region_error(w, SYS_madvise, errno);
	truth_note(w->truth, TRUTH_ADVISE, t0, r->at, r->pages * PAGE, 0, MADV_DONTFORK);
	r->no_fork = true;
}

void memory_hugetlb(struct worker *w)
{
	struct region *r = region_pick_kind(w, REGION_HUGETLB);
	uint64_t t0;

	if (w->depth != opt.depth)
		return;
	if (!r) {
		hugetlb_make(w);
		return;
	}
	switch (random_below(w, 16)) {
	case 0:
		if (region_unmap(w, r->at, r->pages))
			region_forget(r);
		return;
	case 1:
		t0 = now_ns();
		if (madvise(r->at, r->pages * PAGE, MADV_DONTNEED)) {
			region_error(w, SYS_madvise, errno);
			return;
		}
		truth_note(w->truth, TRUTH_ADVISE, t0, r->at, r->pages * PAGE, 0, MADV_DONTNEED);
		memset(r->shadow, 0, r->pages * PAGE);
		break;
	default:
		break;
	}
	store_words(w, r, r->at);
}

/* Room for two transparent huge pages, which all other acts then split. */
void memory_huge(struct worker *w)
{
	struct region *r = NULL;
	uint64_t t0;

	for (unsigned int i = 0; i < REGIONS; i++)
		if (w->r[i].kind == REGION_ANON && w->r[i].pages >= HUGE_PAGES)
			r = &w->r[i];
	if (!r) {
		r = region_free_slot(w);
		if (!r || !region_make(w, r, REGION_ANON, 2 * HUGE_PAGES))
			return;
		t0 = now_ns();
		if (!madvise(r->at, r->pages * PAGE, MADV_HUGEPAGE))
			truth_note(w->truth, TRUTH_ADVISE, t0, r->at, r->pages * PAGE, 0,
				   MADV_HUGEPAGE);
	}
	store_words(w, r, r->at);
	if (random_below(w, 32) == 0 && region_plain(r) && region_unmap(w, r->at, r->pages))
		region_forget(r);
}

/* A shared file at a second address: stores there are seen here. */
void memory_alias(struct worker *w)
{
	struct region *r = region_pick_kind(w, REGION_MEMFD);
	uint64_t t0 = now_ns(), way = random_below(w, 16);
	void *p;

	if (!r)
		return;
	if (!r->twin) {
		p = mmap(r->at + SLOT / 8, r->pages * PAGE, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_FIXED_NOREPLACE, r->fd, (off_t)(r->from * PAGE));
		if (p == MAP_FAILED) {
			region_error(w, SYS_mmap, errno);
			return;
		}
		r->twin = p;
		truth_note(w->truth, TRUTH_AREA, t0, p, r->pages * PAGE, PROT_READ | PROT_WRITE,
			   TRUTH_KIND_SHARED);
	} else if (way == 0) {
		if (region_unmap(w, r->twin, r->pages))
			r->twin = NULL;
		return;
	}
	store_words(w, r, r->twin);
	store_words(w, r, r->at);
	t0 = now_ns();
	w->mismatches += memcmp(r->twin, r->at, r->pages * PAGE) != 0;
	truth_note(w->truth, TRUTH_READ, t0, r->twin, r->pages * PAGE, 0, 0);
	truth_note(w->truth, TRUTH_READ, t0, r->at, r->pages * PAGE, 0, 0);
}

void memory_stack(struct worker *w)
{
	struct region *r = region_pick_kind(w, REGION_STACK);

	if (r)
		store_words(w, r, r->at);
}

/*
 * Places of all threads: one unmaps what another has mapped, and maps there at once.  As
 * in the common memory a word depends on its place alone.
 */
#define PLACES 4
#define PLACE_PAGES ((size_t)32)

static struct place {
	pthread_mutex_t lock;
	bool mapped;
} places[PLACES] = {
	{ .lock = PTHREAD_MUTEX_INITIALIZER }, { .lock = PTHREAD_MUTEX_INITIALIZER },
	{ .lock = PTHREAD_MUTEX_INITIALIZER }, { .lock = PTHREAD_MUTEX_INITIALIZER },
};

static unsigned char *place_of(uint64_t k)
{
	return (unsigned char *)(uintptr_t)(WINDOW - STRIDE + (1 + k) * SLOT);
}

static void check_place(struct worker *w, const unsigned char *at)
{
	uint64_t t0 = now_ns(), word;

	for (size_t off = 0; off < PLACE_PAGES * PAGE; off += 8) {
		memcpy(&word, at + off, 8);
		w->mismatches += word && word != mix(opt.seed, off);
	}
	truth_note(w->truth, TRUTH_READ, t0, at, PLACE_PAGES * PAGE, 0, 0);
}

static void take_over(struct worker *w, struct place *l, unsigned char *at, int flags)
{
	uint64_t t0;

	if (l->mapped) {
		check_place(w, at);
		if (!region_unmap(w, at, PLACE_PAGES))
			return;
	}
	t0 = now_ns();
	l->mapped = mmap(at, PLACE_PAGES * PAGE, PROT_READ | PROT_WRITE,
			 flags | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == at;
	if (l->mapped)
		truth_note(w->truth, TRUTH_AREA, t0, at, PLACE_PAGES * PAGE,
			   PROT_READ | PROT_WRITE, TRUTH_KIND_ANON);
	else
		region_error(w, SYS_mmap, errno);
}

void memory_handover(struct worker *w)
{
	uint64_t k = random_below(w, PLACES), n = 1 + random_below(w, 16);
	bool stay = random_below(w, 4);
	int flags = random_below(w, 2) ? MAP_PRIVATE : MAP_SHARED;
	struct place *l = &places[k];
	unsigned char *at = place_of(k);

	/* A child may have the lock of a thread that it does not have. */
	if (w->depth != opt.depth)
		return;
	pthread_mutex_lock(&l->lock);
	if (!stay || !l->mapped)
		take_over(w, l, at, flags);
	for (; n; n--) {
		size_t off = random_below(w, PLACE_PAGES * PAGE / 8) * 8;
		uint64_t t0 = now_ns();

		if (!l->mapped)
			continue;
		*(volatile uint64_t *)(void *)(at + off) = mix(opt.seed, off);
		wrote(w, at + off, 8, t0);
	}
	pthread_mutex_unlock(&l->lock);
}

void memory_verify(struct worker *w)
{
	for (uint64_t k = 0; k < PLACES; k++) {
		pthread_mutex_lock(&places[k].lock);
		if (places[k].mapped)
			check_place(w, place_of(k));
		pthread_mutex_unlock(&places[k].lock);
	}
}
