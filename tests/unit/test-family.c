/* SPDX-License-Identifier: MIT */
/*
 * Family: a child is recognised by bit 57 of a page that its userfaultfd protects, also
 * where a process that shares its parent's memory is asked while the parent drops pages.
 *
 * The parent is this program; pagemap is read through a wrapper, so that something may
 * happen between one reading and the next.
 * link: -Wl,--wrap=pread
 */

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "suite.h"
#include "watch/event.h"
#include "watch/family.h"
#include "watch/uffd.h"

#define PAGE 4096u

ssize_t __real_pread(int fd, void *buf, size_t len, off_t at);
ssize_t __wrap_pread(int fd, void *buf, size_t len, off_t at);

static struct space_shared shared;
static struct space child;
static struct queue *queue;
static char *memory;
static int uffd;		/* of this program, which is the parent */
static unsigned int readings;
static void (*meanwhile)(void);	/* after the first reading */

ssize_t __wrap_pread(int fd, void *buf, size_t len, off_t at)
{
	ssize_t n = __real_pread(fd, buf, len, at);

	if (readings++ == 0 && meanwhile)
		meanwhile();
	return n;
}

static struct range page(void)
{
	uint64_t lo = (uint64_t)(uintptr_t)memory;

	return (struct range){ lo, lo + PAGE };
}

/* The event of a fork holds it up until it is read. */
static void *take_child(void *arg)
{
	unsigned char msg[EVENT_SIZE];
	struct pollfd p = { .fd = uffd, .events = POLLIN };
	struct event ev;

	(void)arg;
	CU_ASSERT_EQUAL_FATAL(poll(&p, 1, 20000), 1);
	CU_ASSERT_EQUAL_FATAL(read(uffd, msg, sizeof(msg)), (ssize_t)sizeof(msg));
	CU_ASSERT_EQUAL_FATAL(event_decode(msg, sizeof(msg), &ev), 0);
	child.uffd = ev.fork.fd;
	return NULL;
}

static void ignore(void *arg, enum vma_op op, struct region *r)
{
	(void)arg;
	(void)op;
	r->modes = WATCH_MODE_WRITE;
}

static void know_page(void)
{
	struct maps m = { 0 };
	char line[80];
	int n = snprintf(line, sizeof(line), "%llx-%llx rw-p 00000000 00:00 0\n",
			 (unsigned long long)page().lo, (unsigned long long)page().hi);

	CU_ASSERT_EQUAL_FATAL(maps_parse(line, (size_t)n, &m), 0);
	layout_init(&child.layout, 10);
	CU_ASSERT_EQUAL_FATAL(layout_reconcile(&child.layout, &m, true, &shared.next_vma, ignore,
					       NULL), 0);
	maps_done(&m);
	cover_init(&child.cover, PAGE);
	CU_ASSERT_EQUAL_FATAL(cover_arm(&child.cover, page()), 0);
}

static pid_t begin(void)
{
	uint64_t features;
	pthread_t t;
	pid_t pid;

	memory = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CU_ASSERT_FATAL(memory != MAP_FAILED);
	memory[0] = 1;
	CU_ASSERT_EQUAL_FATAL(queue_new(&queue, 1024), 0);
	shared = (struct space_shared){ .page_size = PAGE, .next_vma = 1 };
	CU_ASSERT_EQUAL_FATAL(emit_init(&shared.emit, queue, 0, PAGE), 0);
	child = (struct space){ .shared = &shared, .mm = 2, .door = DOOR_NULL, .uffd = -1 };
	uffd = uffd_open_own();
	CU_ASSERT_FATAL(uffd >= 0);
	CU_ASSERT_EQUAL_FATAL(uffd_handshake(uffd, UFFD_FEATURE_PAGEFAULT_FLAG_WP |
					     UFFD_FEATURE_EVENT_FORK, &features), 0);
	CU_ASSERT_EQUAL_FATAL(uffd_register(uffd, page(), WATCH_MODE_WRITE), 0);
	CU_ASSERT_EQUAL_FATAL(uffd_protect(uffd, page()), 0);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&t, NULL, take_child, NULL), 0);
	pid = fork();
	if (!pid) {
		alarm(60);
		for (;;)
			pause();
	}
	pthread_join(t, NULL);
	CU_ASSERT_FATAL(pid > 0 && child.uffd >= 0);
	know_page();
	return pid;
}

static void finish(pid_t pid)
{
	kill(pid, SIGKILL);
	CU_ASSERT_EQUAL(waitpid(pid, NULL, 0), pid);
	close(child.uffd);
	close(uffd);
	free(child.todo);
	door_close(&child.door);
	layout_done(&child.layout);
	cover_done(&child.cover);
	emit_done(&shared.emit);
	queue = queue_free(queue);
	munmap(memory, PAGE);
}

/* As if the door of that process were open already. */
static int asked(pid_t pid, void (*between)(void))
{
	char path[48];

	door_close(&child.door);
	child.door = (struct door)DOOR_NULL;
	snprintf(path, sizeof(path), "/proc/%d/pagemap", pid);
	child.door.pid = pid;
	child.door.pagemap = open(path, O_RDONLY | O_CLOEXEC);
	CU_ASSERT_FATAL(child.door.pagemap >= 0);
	readings = 0;
	meanwhile = between;
	return family_match(&child, pid);
}

static void test_child_and_parent(void)
{
	pid_t pid = begin();

	CU_ASSERT_EQUAL(asked(getpid(), NULL), 0);
	CU_ASSERT_EQUAL(asked(pid, NULL), 1);
	/* Its page is covered as before. */
	CU_ASSERT(cover_armed_all(&child.cover, page()));
	CU_ASSERT_EQUAL(asked(pid, NULL), 1);
	finish(pid);
}

static void drop(void)
{
	madvise(memory, PAGE, MADV_DONTNEED);
}

/* A child of vfork(2) shows its parent's pagemap, where the bit goes with the page. */
static void test_parent_drops_the_page(void)
{
	pid_t pid = begin();

	CU_ASSERT_EQUAL(asked(getpid(), drop), 0);
	CU_ASSERT_EQUAL(readings, 3);
	CU_ASSERT_EQUAL(asked(pid, NULL), 1);
	finish(pid);
}

static const struct suite_test tests[] = {
	{ "the child, and not its parent", test_child_and_parent },
	{ "not who shares the parent's memory", test_parent_drops_the_page },
};
SUITE_MAIN("family", tests)
