/* SPDX-License-Identifier: MIT */
/*
 * Mappings: one process with very many of them, which checks what they hold, and
 * that it can always make a few more.
 *
 *	mappings [options] KIND
 *
 *	alternate	neighbours of different protection
 *	holes		neighbours with a hole between them
 *	full		as many as vm.max_map_count allows but a few
 *	sparse		-p GiB of reserved memory, a page touched in each 2 MiB of the first
 *
 * -p says how many (sparse: GiB, in mappings of 10).  Each round of the work writes
 * to a mapping, checks another one, and makes and removes two.
 */
#include <sys/mman.h>

#include "target.h"

#define SPARE 6u	/* `full`: mappings left */
#define PROBES 2u	/* made and removed in each round */
#define GIB (UINT64_C(1) << 30)
#define SPARSE_STEP (UINT64_C(2) << 20)

struct mappings {
	struct target t;
	unsigned char **at;	/* the writable ones */
	uint64_t *version;
	size_t n;
	uint64_t state;
};

static unsigned char *map(size_t len, int prot, int flags)
{
	void *p = mmap(NULL, len, prot, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static void keep(struct mappings *m, unsigned char *at)
{
	static size_t room;

	if (m->n == room) {
		room = room ? room * 2 : 1024;
		m->at = realloc(m->at, room * sizeof(*m->at));
		m->version = realloc(m->version, room * sizeof(*m->version));
		if (!m->at || !m->version)
			die("out of memory");
	}
	m->version[m->n] = 0;
	m->at[m->n++] = at;
}

static void make_alternate(struct mappings *m, size_t count)
{
	unsigned char *p = map(count * PAGE, PROT_READ | PROT_WRITE, 0);

	if (!p)
		die("mmap: %s", strerror(errno));
	for (size_t i = 0; i < count; i += 2) {
		keep(m, p + i * PAGE);
		if (i + 1 < count && mprotect(p + (i + 1) * PAGE, PAGE, PROT_READ))
			die("mprotect: %s", strerror(errno));
	}
}

static void make_holes(struct mappings *m, size_t count)
{
	unsigned char *p = map(count * 2 * PAGE, PROT_READ | PROT_WRITE, 0);

	if (!p)
		die("mmap: %s", strerror(errno));
	for (size_t i = 0; i < count; i++) {
		keep(m, p + i * 2 * PAGE);
		if (munmap(p + (i * 2 + 1) * PAGE, PAGE))
			die("munmap: %s", strerror(errno));
	}
}

/* Two mappings to a call, until the kernel refuses; then a few are given back. */
static void make_full(struct mappings *m)
{
	size_t room = 200000, i = 1;
	unsigned char *p = map(room * PAGE, PROT_READ | PROT_WRITE, MAP_NORESERVE);

	if (!p)
		die("mmap: %s", strerror(errno));
	/* What keep() will need, before the last mapping is taken. */
	for (size_t n = 0; n < room / 2; n++)
		keep(m, p);
	m->n = 0;
	for (keep(m, p); i + 1 < room; i += 2) {
		if (mprotect(p + i * PAGE, PAGE, PROT_READ))
			break;
		keep(m, p + (i + 1) * PAGE);
	}
	if (errno != ENOMEM || i + 1 >= room)
		die("the kernel refused no mapping: %s", strerror(errno));
	for (unsigned int n = 0; n < SPARE / 2; n++, m->n--) {
		i -= 2;
		if (mprotect(p + i * PAGE, PAGE, PROT_READ | PROT_WRITE))
			die("mprotect back: %s", strerror(errno));
	}
}

static void make_sparse(struct mappings *m, uint64_t gib)
{
	unsigned char *first = NULL;

	for (uint64_t i = 0; i < gib; i += 10) {
		uint64_t len = (gib - i < 10 ? gib - i : 10) * GIB;
		/* A page between them, so that they stay apart. */
		unsigned char *p = map(len + PAGE, PROT_READ | PROT_WRITE, MAP_NORESERVE);

		if (!p || munmap(p + len, PAGE))
			die("mmap of %" PRIu64 " bytes: %s", len, strerror(errno));
		if (madvise(p, len, MADV_NOHUGEPAGE))
			die("madvise: %s", strerror(errno));
		first = first ? first : p;
	}
	for (uint64_t at = 0; at < GIB; at += SPARSE_STEP)
		keep(m, first + at);
}

static void write_one(struct mappings *m, size_t i)
{
	m->version[i] = draw(&m->state) | 1;
	for (unsigned int w = 0; w < WORDS; w += 64)
		((volatile uint64_t *)m->at[i])[w] = mix(m->version[i] + w);
}

static void check_one(const struct mappings *m, size_t i)
{
	for (unsigned int w = 0; w < WORDS; w += 64) {
		uint64_t want = m->version[i] ? mix(m->version[i] + w) : 0;

		if (((volatile uint64_t *)m->at[i])[w] != want)
			die("mapping %zu at %p holds wrong data", i, (void *)m->at[i]);
	}
}

/* New mappings must be had, hold zeros, and take what is written. */
static void probe(struct mappings *m)
{
	volatile unsigned char *p[PROBES];

	for (unsigned int i = 0; i < PROBES; i++) {
		/* No neighbour has this protection: it merges with none. */
		p[i] = map(PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_NORESERVE);
		if (!p[i])
			die("no new mapping: %s", strerror(errno));
		if (p[i][0])
			die("a new mapping is not empty");
		p[i][0] = (unsigned char)draw(&m->state);
	}
	for (unsigned int i = 0; i < PROBES; i++)
		if (munmap((void *)(uintptr_t)p[i], PAGE))
			die("munmap: %s", strerror(errno));
}

int main(int argc, char **argv)
{
	struct mappings m = { .t = { .seed = 1, .pages = 65000 } };
	uint64_t done = 0;
	const char *kind;
	int counter;

	target_options(&m.t, argc, argv);
	kind = optind < argc ? argv[optind] : "alternate";
	counter = target_counter(&m.t);
	m.state = mix(m.t.seed);
	if (!strcmp(kind, "alternate"))
		make_alternate(&m, m.t.pages);
	else if (!strcmp(kind, "holes"))
		make_holes(&m, m.t.pages);
	else if (!strcmp(kind, "full"))
		make_full(&m);
	else if (!strcmp(kind, "sparse"))
		make_sparse(&m, m.t.pages);
	else
		die("no such kind: %s", kind);
	if (!m.n)
		die("no pages, no mappings");
	for (size_t i = 0; i < m.n; i += 7)
		write_one(&m, i);
	probe(&m);
	target_ready(&m.t);
	for (; !target_stopped && (!m.t.work || done < m.t.work); done++) {
		write_one(&m, draw(&m.state) % m.n);
		check_one(&m, draw(&m.state) % m.n);
		if (done % 16 == 0)
			probe(&m);
		if (done % 64 == 0)
			target_count(counter, done);
		/* So that a second is some thousands of rounds, watched or not. */
		if (done % 16 == 0)
			usleep(1000);
	}
	for (size_t i = 0; i < m.n; i++)
		check_one(&m, i);
	printf("ok rounds=%" PRIu64 " mappings=%zu\n", done, m.n);
	return 0;
}
