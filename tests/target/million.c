/* SPDX-License-Identifier: MIT */
/*
 * Million: each of its threads writes once to each of its pages, in random order,
 * after the gate has opened; then it waits for SIGTERM.
 *
 * It says which pages are whose, so that a trace can be compared with the truth:
 * `pages FIRST COUNT tid=TID` a thread, FIRST being an address / 4096.  With -x the
 * pages hold data before (they are populated), else they are empty.
 */
#include <sys/mman.h>
#include <sys/syscall.h>

#include "target.h"

struct part {
	pthread_t thread;
	struct target *t;
	uint64_t state;
	unsigned char *memory;
	uint32_t *order;
	pthread_barrier_t *ready, *go;
};

static void *touch(void *arg)
{
	struct part *p = arg;
	unsigned int n = p->t->pages;

	printf("pages %" PRIuPTR " %u tid=%ld\n", (uintptr_t)p->memory / PAGE, n,
	       syscall(SYS_gettid));
	pthread_barrier_wait(p->ready);
	pthread_barrier_wait(p->go);
	for (unsigned int i = 0; i < n; i++)
		*(volatile uint32_t *)(p->memory + (size_t)p->order[i] * PAGE) = p->order[i] + 1;
	for (unsigned int i = 0; i < n; i++)
		if (*(uint32_t *)(p->memory + (size_t)i * PAGE) != i + 1)
			die("page %u holds wrong data", i);
	return NULL;
}

static void prepare(struct part *p)
{
	size_t len = (size_t)p->t->pages * PAGE;
	unsigned int n = p->t->pages;

	p->memory = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	p->order = malloc(n * sizeof(*p->order));
	if (p->memory == MAP_FAILED || !p->order)
		die("no memory");
	/* Pages, not huge pages: one fault each. */
	madvise(p->memory, len, MADV_NOHUGEPAGE);
	for (unsigned int i = 0; i < n; i++) {
		unsigned int j = (unsigned int)(draw(&p->state) % (i + 1));

		p->order[i] = p->order[j];
		p->order[j] = i;
		if (p->t->flag)
			*(volatile uint32_t *)(p->memory + (size_t)i * PAGE) = 0;
	}
}

int main(int argc, char **argv)
{
	struct target t = { .seed = 1, .threads = 4, .pages = 250000 };
	pthread_barrier_t ready, go;
	struct part *parts;
	sigset_t term;
	int sig;

	target_options(&t, argc, argv);
	/* Blocked in every thread: SIGTERM is waited for, not handled. */
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &term, NULL);
	parts = calloc(t.threads, sizeof(*parts));
	if (!parts || pthread_barrier_init(&ready, NULL, t.threads + 1) ||
	    pthread_barrier_init(&go, NULL, t.threads + 1))
		die("no memory");
	for (unsigned int i = 0; i < t.threads; i++) {
		parts[i].t = &t;
		parts[i].state = mix(t.seed + i);
		parts[i].ready = &ready;
		parts[i].go = &go;
		prepare(&parts[i]);
		if (pthread_create(&parts[i].thread, NULL, touch, &parts[i]))
			die("cannot start a thread");
	}
	pthread_barrier_wait(&ready);
	target_ready(&t);
	pthread_barrier_wait(&go);
	for (unsigned int i = 0; i < t.threads; i++)
		pthread_join(parts[i].thread, NULL);
	printf("touched %u\n", t.threads * t.pages);
	while (sigwait(&term, &sig))
		;
	printf("ok touched=%u\n", t.threads * t.pages);
	return 0;
}
