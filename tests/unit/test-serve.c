/* SPDX-License-Identifier: MIT */
/*
 * Serve: many threads wait while an answer is refused, and there is no memory.
 *
 * The memory is our own.
 * link: -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=strdup
 */

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>

#include "base/clock.h"
#include "starve.h"
#include "suite.h"
#include "watch/space.h"
#include "watch/uffd.h"

#define PAGE 4096u
/* More than there is room for in the beginning. */
#define WRITERS (SPACE_PENDING_MIN + 12)

static struct space_shared shared;
static struct space space;
static struct queue *queue;
static char *memory;
static pthread_t writers[WRITERS], remover;

static struct range page(unsigned int i)
{
	uint64_t lo = (uint64_t)(uintptr_t)memory + i * PAGE;

	return (struct range){ lo, lo + PAGE };
}

static void *write_main(void *arg)
{
	*(volatile char *)arg = 42;
	return NULL;
}

static void *remove_main(void *arg)
{
	madvise(arg, PAGE, MADV_DONTNEED);
	return NULL;
}

/* Writers' pages, one that is removed, and one to ask with. */
static void begin(void)
{
	const size_t len = (WRITERS + 2) * PAGE;
	uint64_t features;

	memory = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CU_ASSERT_FATAL(memory != MAP_FAILED);
	memset(memory, 1, len);
	CU_ASSERT_EQUAL_FATAL(queue_new(&queue, 1024), 0);
	shared = (struct space_shared){ .page_size = PAGE, .next_vma = 1 };
	CU_ASSERT_EQUAL_FATAL(emit_init(&shared.emit, queue, 0, PAGE), 0);
	space = (struct space){
		.shared = &shared, .pid = getpid(), .uffd = uffd_open_own(),
		.pending = calloc(SPACE_PENDING_MIN, sizeof(*space.pending)),
		.pending_room = SPACE_PENDING_MIN,
	};
	CU_ASSERT_FATAL(space.uffd >= 0 && space.pending);
	layout_init(&space.layout, 100);
	cover_init(&space.cover, PAGE);
	CU_ASSERT_EQUAL_FATAL(uffd_handshake(space.uffd, UFFD_WANTED, &features), 0);
	CU_ASSERT_EQUAL_FATAL(uffd_register(space.uffd, (struct range){ page(0).lo,
					    page(WRITERS + 1).hi }, WATCH_MODE_WRITE), 0);
	CU_ASSERT_EQUAL_FATAL(uffd_protect(space.uffd, (struct range){ page(0).lo,
					   page(WRITERS).lo }), 0);
}

static void finish(void)
{
	close(space.uffd);
	free(space.pending);
	free(space.todo);
	layout_done(&space.layout);
	cover_done(&space.cover);
	emit_done(&shared.emit);
	queue = queue_free(queue);
	munmap(memory, (WRITERS + 2) * PAGE);
}

/* How many wait to be read, of proc_pid_fdinfo(5). */
static unsigned long unread(void)
{
	unsigned long n = 0;
	char path[48], line[80];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", space.uffd);
	f = fopen(path, "re");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	while (fgets(line, sizeof(line), f))
		sscanf(line, "pending: %lu", &n);
	fclose(f);
	return n;
}

/* Every writer waits, and then an event that refuses every answer until it is read. */
static void all_wait(void)
{
	uint64_t until = clock_now() + 20 * NSEC_PER_SEC;

	for (unsigned int i = 0; i < WRITERS; i++)
		CU_ASSERT_EQUAL_FATAL(pthread_create(&writers[i], NULL, write_main,
						     memory + i * PAGE), 0);
	while (unread() < WRITERS && clock_now() < until)
		usleep(1000);
	CU_ASSERT_EQUAL_FATAL(unread(), WRITERS);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&remover, NULL, remove_main,
					     memory + WRITERS * PAGE), 0);
	while (uffd_protect(space.uffd, page(WRITERS + 1)) != -EAGAIN && clock_now() < until)
		usleep(1000);
	CU_ASSERT_EQUAL_FATAL(uffd_protect(space.uffd, page(WRITERS + 1)), -EAGAIN);
}

static void all_go_on(void)
{
	uint64_t until = clock_now() + 20 * NSEC_PER_SEC;

	while (shared.emit.repeats < WRITERS && clock_now() < until) {
		CU_ASSERT_FATAL(serve(&space, clock_now()) >= 0);
		CU_ASSERT_EQUAL_FATAL(serve_pending(&space), 0);
	}
	CU_ASSERT_EQUAL_FATAL(shared.emit.repeats, WRITERS);
	for (unsigned int i = 0; i < WRITERS; i++)
		pthread_join(writers[i], NULL);
	pthread_join(remover, NULL);
}

static void test_room(void)
{
	int64_t n;

	begin();
	all_wait();
	/* Without an allocation, as many as there is room for; the rest stays where it is. */
	starve_after(1);
	n = serve(&space, clock_now());
	CU_ASSERT(!starve_hit());
	CU_ASSERT_EQUAL(n, SPACE_PENDING_MIN);
	CU_ASSERT_EQUAL(space.npending, SPACE_PENDING_MIN);
	CU_ASSERT_EQUAL(unread(), WRITERS - SPACE_PENDING_MIN);
	/* No memory for more: nothing is read, and nothing lost. */
	starve_after(1);
	serve_make_room(&space);
	CU_ASSERT(starve_hit());
	CU_ASSERT_EQUAL(space.pending_room, SPACE_PENDING_MIN);
	CU_ASSERT_EQUAL(serve(&space, clock_now()), 0);
	CU_ASSERT_EQUAL(space.npending, SPACE_PENDING_MIN);
	serve_make_room(&space);
	CU_ASSERT_EQUAL(space.pending_room, 2 * SPACE_PENDING_MIN);
	all_go_on();
	CU_ASSERT_EQUAL(space.npending, 0);
	finish();
}

static const struct suite_test tests[] = {
	{ "room for those who must wait", test_room },
};

SUITE_MAIN("serve", tests)
