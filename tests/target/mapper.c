/* SPDX-License-Identifier: MIT */
/*
 * Mapper: threads that map, unmap, move, grow, shrink, discard and protect memory
 * and keep a shadow of what each page should hold; one of them also moves the break.
 *
 * Each slot is one mapping.  A page of it holds words drawn from its version, or
 * zeros when the version is 0 (fresh, or discarded).  The digest depends on seed,
 * threads and work alone.
 */
#include <sys/mman.h>

#include "target.h"

#define SLOTS 16
#define PAGES_MAX 64u
#define STRIDE 32	/* words looked at: every 32nd */

struct slot {
	unsigned char *at;
	unsigned int pages;
	unsigned int limit;		/* a shared one cannot grow beyond its first size */
	bool shared, readonly;
	uint64_t version[PAGES_MAX];
};

struct mapper {
	pthread_t thread;
	uint64_t state, work, digest;
	_Atomic uint64_t done;
	struct slot slots[SLOTS];
	bool moves_break;
	unsigned char *heap;		/* begin of what this thread got from sbrk() */
	unsigned int heap_pages;
	uint64_t heap_version[PAGES_MAX];
};

static void write_page(unsigned char *at, uint64_t version)
{
	volatile uint64_t *w = (volatile uint64_t *)at;

	for (unsigned int i = 0; i < WORDS; i += STRIDE)
		w[i] = mix(version + i);
}

static void check_page(const unsigned char *at, uint64_t version, const char *what)
{
	const uint64_t *w = (const uint64_t *)at;

	for (unsigned int i = 0; i < WORDS; i += STRIDE)
		if (w[i] != (version ? mix(version + i) : 0))
			die("%s: the page at %p holds wrong data", what, (const void *)at);
}

static void check_slot(const struct slot *s, const char *what)
{
	for (unsigned int i = 0; i < s->pages; i++)
		check_page(s->at + (size_t)i * PAGE, s->version[i], what);
}

static void slot_map(struct slot *s, uint64_t r)
{
	s->pages = 1 + (unsigned int)(r % (PAGES_MAX / 2));
	s->shared = r >> 20 & 1;
	s->readonly = false;
	s->at = mmap(NULL, (size_t)s->pages * PAGE, PROT_READ | PROT_WRITE,
		     (s->shared ? MAP_SHARED : MAP_PRIVATE) | MAP_ANONYMOUS, -1, 0);
	if (s->at == MAP_FAILED)
		die("mmap: %s", strerror(errno));
	s->limit = s->shared ? s->pages : PAGES_MAX;
	memset(s->version, 0, sizeof(s->version));
}

static void slot_unmap(struct slot *s)
{
	if (munmap(s->at, (size_t)s->pages * PAGE))
		die("munmap: %s", strerror(errno));
	s->at = NULL;
	s->pages = 0;
}

static void slot_write(struct mapper *m, struct slot *s, uint64_t r)
{
	unsigned int n = 1 + (unsigned int)(r >> 8) % 8;

	for (unsigned int i = 0; i < n && !s->readonly; i++) {
		unsigned int p = (unsigned int)(draw(&m->state) % s->pages);

		s->version[p] = draw(&m->state) | 1;
		write_page(s->at + (size_t)p * PAGE, s->version[p]);
	}
}

/*
 * mremap(2) fails with EFAULT across two mappings, and a mapping of which only a
 * part is registered with a userfaultfd is two for the moment: pagetap(7) says so.
 * It must be over within a second, and is counted.
 */
#define TRIES 1000
static _Atomic unsigned int refused;

static bool is_refused(const void *p)
{
	if (p != MAP_FAILED || errno != EFAULT)
		return false;
	refused++;
	usleep(1000);
	return true;
}

static void slot_resize(struct slot *s, unsigned int pages, bool may_move)
{
	unsigned char *at = MAP_FAILED;

	if (pages > s->limit)
		pages = s->limit;
	for (unsigned int i = 0; i < TRIES; i++) {
		at = mremap(s->at, (size_t)s->pages * PAGE, (size_t)pages * PAGE,
			    may_move ? MREMAP_MAYMOVE : 0);
		if (!is_refused(at))
			break;
	}
	if (at == MAP_FAILED)
		die("mremap of %u to %u pages: %s", s->pages, pages, strerror(errno));
	/* What was cut off a shared mapping is still in its file, and comes back. */
	for (unsigned int i = s->pages; i < pages && !s->shared; i++)
		s->version[i] = 0;
	s->at = at;
	s->pages = pages;
}

/*
 * To a place of its own choice, as a garbage collector does.  Where it is refused, the
 * place may have been unmapped already, and be another thread's by now: a new one is taken.
 */
static void slot_move(struct slot *s)
{
	size_t len = (size_t)s->pages * PAGE;
	void *to, *at = MAP_FAILED;

	for (unsigned int i = 0; i < TRIES; i++) {
		to = mmap(NULL, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (to == MAP_FAILED)
			die("mmap: %s", strerror(errno));
		at = mremap(s->at, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, to);
		if (!is_refused(at))
			break;
	}
	if (at == MAP_FAILED)
		die("mremap: %s", strerror(errno));
	s->at = at;
}

static void slot_discard(struct slot *s, uint64_t r)
{
	unsigned int first = (unsigned int)(r % s->pages);
	unsigned int n = 1 + (unsigned int)((r >> 16) % (s->pages - first));
	/* Shared pages stay in the page cache unless they are removed from it. */
	int how = s->shared ? MADV_REMOVE : MADV_DONTNEED;

	if (s->shared && s->readonly)
		return;
	if (madvise(s->at + (size_t)first * PAGE, (size_t)n * PAGE, how))
		die("madvise: %s", strerror(errno));
	for (unsigned int i = first; i < first + n; i++)
		s->version[i] = 0;
}

static void slot_protect(struct slot *s)
{
	s->readonly = !s->readonly;
	if (mprotect(s->at, (size_t)s->pages * PAGE,
		     s->readonly ? PROT_READ : PROT_READ | PROT_WRITE))
		die("mprotect: %s", strerror(errno));
}

/* The thread that does this is the only one that may: malloc() is not called here. */
static void move_break(struct mapper *m, uint64_t r)
{
	unsigned int pages = (unsigned int)(r % PAGES_MAX);

	if (sbrk(((intptr_t)pages - (intptr_t)m->heap_pages) * (intptr_t)PAGE) == (void *)-1)
		die("sbrk: %s", strerror(errno));
	for (unsigned int i = m->heap_pages; i < pages; i++) {
		m->heap_version[i] = draw(&m->state) | 1;
		check_page(m->heap + (size_t)i * PAGE, 0, "break");
		write_page(m->heap + (size_t)i * PAGE, m->heap_version[i]);
	}
	m->heap_pages = pages;
	for (unsigned int i = 0; i < pages; i++)
		check_page(m->heap + (size_t)i * PAGE, m->heap_version[i], "break");
}

static void one_operation(struct mapper *m)
{
	uint64_t r = draw(&m->state);
	struct slot *s = &m->slots[r >> 50 & 15];

	if (!s->at) {
		slot_map(s, r);
		return;
	}
	switch (r >> 40 & 15) {
	case 0: slot_unmap(s); return;
	case 1: slot_resize(s, 1 + (unsigned int)(r % (PAGES_MAX - 1)), true); break;
	case 2: slot_resize(s, 1 + (unsigned int)(r % s->pages), false); break;
	case 3: slot_move(s); break;
	case 4: slot_discard(s, r); break;
	case 5: slot_protect(s); break;
	case 6:
		if (m->moves_break)
			move_break(m, r);
		break;
	case 7: case 8: check_slot(s, "check"); break;
	default: slot_write(m, s, r); break;
	}
}

static void *work(void *arg)
{
	struct mapper *m = arg;

	while (!target_stopped && (!m->work || m->done < m->work)) {
		one_operation(m);
		m->done++;
	}
	for (unsigned int i = 0; i < SLOTS; i++) {
		check_slot(&m->slots[i], "end");
		for (unsigned int p = 0; p < m->slots[i].pages; p++)
			m->digest = mix(m->digest ^ m->slots[i].version[p]);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	struct target t = { .seed = 1, .threads = 2 };
	uint64_t done = 0, digest = 0;
	struct mapper *mappers;
	unsigned int running;
	char *brk_now;
	int counter;

	target_options(&t, argc, argv);
	counter = target_counter(&t);
	mappers = mmap(NULL, t.threads * sizeof(*mappers), PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (mappers == MAP_FAILED || !t.threads)
		die("no memory");
	target_ready(&t);
	for (unsigned int i = 0; i < t.threads; i++) {
		mappers[i].state = mix(t.seed + i);
		mappers[i].work = t.work ? t.work / t.threads : 0;
		mappers[i].moves_break = !i;
	}
	brk_now = sbrk(0);
	if (sbrk((intptr_t)(PAGE - (uintptr_t)brk_now % PAGE)) == (void *)-1)
		die("sbrk: %s", strerror(errno));
	mappers[0].heap = sbrk(0);
	for (unsigned int i = 0; i < t.threads; i++)
		if (pthread_create(&mappers[i].thread, NULL, work, &mappers[i]))
			die("cannot start a thread");
	for (running = t.threads; running && !target_stopped;) {
		running = 0;
		done = 0;
		for (unsigned int i = 0; i < t.threads; i++) {
			done += mappers[i].done;
			running += !mappers[i].work || mappers[i].done < mappers[i].work;
		}
		target_count(counter, done);
		usleep(20000);
	}
	done = 0;
	for (unsigned int i = 0; i < t.threads; i++) {
		pthread_join(mappers[i].thread, NULL);
		done += mappers[i].done;
		digest = mix(digest ^ mappers[i].digest);
	}
	target_count(counter, done);
	if (refused)
		printf("mremap refused %u times for a moment\n", refused);
	printf("ok operations=%" PRIu64 " digest=%016" PRIx64 "\n", done, digest);
	return 0;
}
