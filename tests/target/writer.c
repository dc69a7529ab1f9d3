/* SPDX-License-Identifier: MIT */
/*
 * Writer: threads that write words to pages of anonymous, shared, heap and stack
 * memory, by themselves and through read(2), and check page by page that what
 * they wrote is there and nothing else.  With -x they say how long they stood still.
 *
 * The digest is of what the memory holds in the end: it depends on seed, threads,
 * pages and work alone.
 */
#include <alloca.h>
#include <malloc.h>
#include <sys/mman.h>
#include <time.h>

#include "target.h"

enum { ANON, SHARED, HEAP, STACK, KINDS };

struct worker {
	pthread_t thread;
	uint64_t state;
	uint64_t work;
	_Atomic uint64_t done;
	uint64_t digest;
	unsigned int pages;	/* of each kind */
	int pipe[2];
	bool times;
	uint64_t pause, pauses;	/* -x: the longest, and how many of 100 ms and more */
};

struct segment {
	uint64_t *memory;
	uint64_t *sums;		/* of each page: what its words should add up to */
};

/* A word's part in the sum of its page: position and value both matter. */
static uint64_t weight(unsigned int word, uint64_t value)
{
	return value ? mix(value ^ mix(word)) : 0;
}

static void check_page(const struct segment *s, unsigned int kind, unsigned int page)
{
	const uint64_t *p = s->memory + (size_t)page * WORDS;
	uint64_t sum = 0;

	for (unsigned int i = 0; i < WORDS; i++)
		sum += weight(i, p[i]);
	if (sum != s->sums[page])
		die("page %u of kind %u at %p holds wrong data", page, kind, (const void *)p);
}

/* The kernel writes to the page, as it does for every read(2) of a program. */
static void write_by_kernel(struct worker *w, uint64_t *at, uint64_t value)
{
	if (write(w->pipe[1], &value, sizeof(value)) != sizeof(value))
		die("write to a pipe: %s", strerror(errno));
	if (read(w->pipe[0], at, sizeof(value)) != sizeof(value))
		die("read into %p: %s", (void *)at, strerror(errno));
}

static void one_write(struct worker *w, struct segment *segments)
{
	uint64_t r = draw(&w->state), value = draw(&w->state);
	unsigned int kind = r % KINDS, page = (r >> 8) % w->pages;
	unsigned int word = (r >> 40) % WORDS;
	struct segment *s = &segments[kind];
	uint64_t *at = s->memory + (size_t)page * WORDS + word;

	s->sums[page] += weight(word, value) - weight(word, *at);
	if ((r >> 56) % 16 == 0)
		write_by_kernel(w, at, value);
	else
		*(volatile uint64_t *)at = value;
	if ((r >> 52) % 16 == 0)
		check_page(s, kind, page);
}

static void *map_pages(size_t len, int how)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE, how | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		die("mmap: %s", strerror(errno));
	return p;
}

/* -x: how long it is since the last write. */
static void note_pause(struct worker *w, uint64_t *last)
{
	struct timespec ts;
	uint64_t now, pause;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	now = (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
	pause = *last ? now - *last : 0;
	*last = now;
	w->pauses += pause >= 100000;
	if (pause > w->pause)
		w->pause = pause;
}

static void *work(void *arg)
{
	struct worker *w = arg;
	size_t len = (size_t)w->pages * PAGE;
	struct segment segments[KINDS] = {
		[ANON] = { .memory = map_pages(len, MAP_PRIVATE) },
		[SHARED] = { .memory = map_pages(len, MAP_SHARED) },
		[HEAP] = { .memory = calloc(1, len) },
		[STACK] = { .memory = alloca(len) },
	};
	uint64_t digest = 0, last = 0;

	memset(segments[STACK].memory, 0, len);
	for (unsigned int k = 0; k < KINDS; k++) {
		segments[k].sums = calloc(w->pages, sizeof(uint64_t));
		if (!segments[k].memory || !segments[k].sums)
			die("no memory");
	}
	while (!target_stopped && (!w->work || w->done < w->work)) {
		one_write(w, segments);
		w->done++;
		if (w->times)
			note_pause(w, &last);
	}
	for (unsigned int k = 0; k < KINDS; k++)
		for (unsigned int p = 0; p < w->pages; p++) {
			check_page(&segments[k], k, p);
			digest = mix(digest ^ segments[k].sums[p]);
		}
	w->digest = digest;
	return NULL;
}

static bool all_done(struct worker *w, unsigned int n, uint64_t *ret_done)
{
	bool done = true;

	*ret_done = 0;
	for (unsigned int i = 0; i < n; i++) {
		*ret_done += w[i].done;
		done = done && w[i].work && w[i].done >= w[i].work;
	}
	return done || target_stopped;
}

static void print_pauses(const struct worker *w, unsigned int n)
{
	uint64_t longest = 0, pauses = 0;

	for (unsigned int i = 0; i < n; i++) {
		pauses += w[i].pauses;
		if (w[i].pause > longest)
			longest = w[i].pause;
	}
	printf("pauses longest_us=%" PRIu64 " over_100_ms=%" PRIu64 "\n", longest, pauses);
}

int main(int argc, char **argv)
{
	struct target t = { .seed = 1, .threads = 2, .pages = 256 };
	struct worker *workers;
	uint64_t done, digest = 0;
	pthread_attr_t attr;
	int counter;

	target_options(&t, argc, argv);
	counter = target_counter(&t);
	/* On the heap, not in a mapping of its own. */
	mallopt(M_MMAP_THRESHOLD, 1 << 30);
	workers = calloc(t.threads, sizeof(*workers));
	if (!workers || !t.pages || !t.threads)
		die("nothing to do");
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, (size_t)t.pages * PAGE + (1 << 20));
	target_ready(&t);
	for (unsigned int i = 0; i < t.threads; i++) {
		workers[i].state = mix(t.seed + i);
		workers[i].work = t.work ? t.work / t.threads : 0;
		workers[i].pages = t.pages;
		workers[i].times = t.flag;
		if (pipe(workers[i].pipe) ||
		    pthread_create(&workers[i].thread, &attr, work, &workers[i]))
			die("cannot start a thread");
	}
	while (!all_done(workers, t.threads, &done)) {
		target_count(counter, done);
		usleep(20000);
	}
	for (unsigned int i = 0; i < t.threads; i++) {
		pthread_join(workers[i].thread, NULL);
		digest = mix(digest ^ workers[i].digest);
	}
	if (t.flag)
		print_pauses(workers, t.threads);
	all_done(workers, t.threads, &done);
	target_count(counter, done);
	printf("ok writes=%" PRIu64 " digest=%016" PRIx64 "\n", done, digest);
	return 0;
}
