/* SPDX-License-Identifier: MIT */
/*
 * Resolve: every answer and every race, against the kernel itself.
 *
 * The memory is our own, a second thread touches it, and each errno that the
 * header promises is produced on purpose.
 */

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "resolve-rig.h"

static struct resolve_source source;

static void test_write_protected(void)
{
	struct resolve_place at = place(WATCH_MODE_WRITE, VMA_KIND_ANON);
	struct resolve_answer a;
	int fd = open_uffd();
	char *p = map_pages(1, MAP_PRIVATE);
	struct touch t;
	struct event ev;

	p[0] = 1;
	CU_ASSERT_EQUAL_FATAL(uffd_register(fd, pages(p, 1), WATCH_MODE_WRITE), 0);
	CU_ASSERT_EQUAL_FATAL(uffd_protect(fd, pages(p, 1)), 0);
	touch_start(&t, p + 123, true);
	ev = next_event(fd);
	CU_ASSERT(ev.fault.wp && ev.fault.write);
	CU_ASSERT_EQUAL(ev.fault.addr, (uint64_t)(uintptr_t)p + 123);
	CU_ASSERT_EQUAL(resolve_fault(fd, &ev, &at, &source, &a), 0);
	CU_ASSERT_EQUAL(a.act, ACT_UNPROTECT);
	CU_ASSERT_EQUAL(a.page.lo, (uint64_t)(uintptr_t)p);
	pthread_join(t.thread, NULL);
	CU_ASSERT_EQUAL(p[123], 42);
	/* A second answer to the same message harms nobody. */
	CU_ASSERT_EQUAL(resolve_fault(fd, &ev, &at, &source, &a), 0);
	close(fd);
	munmap(p, PAGE);
}

static bool asks(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 0) > 0;
}

/* One write frees a block; what the kernel refuses of it is done for the page alone. */
static void test_block(void)
{
	struct resolve_place at = place(WATCH_MODE_WRITE, VMA_KIND_ANON);
	struct resolve_answer a;
	int fd = open_uffd();
	char *p = map_pages(12, MAP_PRIVATE);
	struct touch t;
	struct event ev;

	memset(p, 1, 12 * PAGE);
	CU_ASSERT_EQUAL_FATAL(uffd_register(fd, pages(p, 10), WATCH_MODE_WRITE), 0);
	CU_ASSERT_EQUAL_FATAL(uffd_protect(fd, pages(p, 10)), 0);
	touch_start(&t, p + 5 * PAGE, true);
	ev = next_event(fd);
	at.block = pages(p, 8);
	CU_ASSERT_EQUAL(resolve_fault(fd, &ev, &at, &source, &a), 0);
	CU_ASSERT(a.act == ACT_UNPROTECT && a.supplied && !a.torn);
	CU_ASSERT(a.page.lo == at.block.lo && a.page.hi == at.block.hi);
	pthread_join(t.thread, NULL);
	for (unsigned int i = 0; i < 8; i++)
		p[i * PAGE] = 43;
	CU_ASSERT(!asks(fd));
	/* Not all of this one is registered. */
	touch_start(&t, p + 9 * PAGE, true);
	ev = next_event(fd);
	at.block = pages(p + 8 * PAGE, 4);
	CU_ASSERT_EQUAL(resolve_fault(fd, &ev, &at, &source, &a), 0);
	CU_ASSERT(a.act == ACT_UNPROTECT && a.supplied && a.torn);
	CU_ASSERT_EQUAL(a.page.lo, (uint64_t)(uintptr_t)p + 9 * PAGE);
	CU_ASSERT_EQUAL(a.page.hi, (uint64_t)(uintptr_t)p + 10 * PAGE);
	pthread_join(t.thread, NULL);
	/* A block that does not hold the page is none. */
	CU_ASSERT_EQUAL(uffd_protect(fd, pages(p, 10)), 0);
	touch_start(&t, p, true);
	ev = next_event(fd);
	CU_ASSERT_EQUAL(resolve_fault(fd, &ev, &at, &source, &a), 0);
	CU_ASSERT(!a.torn && a.page.hi - a.page.lo == PAGE);
	pthread_join(t.thread, NULL);
	close(fd);
	munmap(p, 12 * PAGE);
}

/* A page supplied for a read comes protected: the write after it is seen. */
static void test_missing_read_then_write(void)
{
	struct resolve_place at = place(WATCH_MODE_WRITE | WATCH_MODE_MISSING, VMA_KIND_ANON);
	struct resolve_answer a;
	int fd = open_uffd();
	char *p = map_pages(1, MAP_PRIVATE);
	struct touch t;
	struct event ev;

	CU_ASSERT_EQUAL_FATAL(uffd_register(fd, pages(p, 1), at.modes), 0);
	touch_start(&t, p, false);
	ev = next_event(fd);
	CU_ASSERT(!ev.fault.wp && !ev.fault.write);
	CU_ASSERT_EQUAL(resolve_fault(fd, &ev, &at, &source, &a), 0);
	CU_ASSERT_EQUAL(a.act, ACT_COPY);
	CU_ASSERT(a.supplied && a.armed);
	pthread_join(t.thread, NULL);
	CU_ASSERT_EQUAL(t.seen, 0);
	touch_start(&t, p, true);
	ev = next_event(fd);
	CU_ASSERT(ev.fault.wp);
	CU_ASSERT_EQUAL(resolve_fault(fd, &ev, &at, &source, &a), 0);
	pthread_join(t.thread, NULL);
	CU_ASSERT_EQUAL(p[0], 42);
	close(fd);
	munmap(p, PAGE);
}

static void test_missing_write(void)
{
	struct resolve_place at = place(WATCH_MODE_WRITE | WATCH_MODE_MISSING, VMA_KIND_ANON);
	struct resolve_answer a;
	int fd = open_uffd();
	char *p = map_pages(1, MAP_PRIVATE);
	struct touch t;
	struct event ev;

	CU_ASSERT_EQUAL_FATAL(uffd_register(fd, pages(p, 1), at.modes), 0);
	CU_ASSERT_EQUAL_FATAL(uffd_protect(fd, pages(p, 1)), 0);
	touch_start(&t, p + 8, true);
	ev = next_event(fd);
	CU_ASSERT(ev.fault.write);
	CU_ASSERT(!ev.fault.wp);
	CU_ASSERT_EQUAL(resolve_fault(fd, &ev, &at, &source, &a), 0);
	CU_ASSERT(a.supplied && !a.armed);
	pthread_join(t.thread, NULL);
	CU_ASSERT_EQUAL(p[8], 42);
	close(fd);
	munmap(p, PAGE);
}

/* Without write protection a read gets the shared zero page, no memory. */
static void test_missing_only(void)
{
	struct resolve_place at = place(WATCH_MODE_MISSING, VMA_KIND_ANON);
	struct resolve_answer a;
	int fd = open_uffd();
	char *p = map_pages(1, MAP_PRIVATE);
	struct touch t;
	struct event ev;

	CU_ASSERT_EQUAL_FATAL(uffd_register(fd, pages(p, 1), at.modes), 0);
	touch_start(&t, p, false);
	ev = next_event(fd);
	CU_ASSERT_EQUAL(resolve_fault(fd, &ev, &at, &source, &a), 0);
	CU_ASSERT_EQUAL(a.act, ACT_ZEROPAGE);
	pthread_join(t.thread, NULL);
	CU_ASSERT_EQUAL(t.seen, 0);
	close(fd);
	munmap(p, PAGE);
}

/*
 * The marker of an empty, protected page is no hole for ZEROPAGE, and a thread woken
 * without a page would fault for ever.
 */
static void read_marked(struct resolve_place at, bool armed)
{
	const uint32_t modes = WATCH_MODE_WRITE | WATCH_MODE_MISSING;
	struct resolve_answer a;
	int fd = open_uffd();
	char *p = map_pages(1, MAP_PRIVATE);
	struct touch t;
	struct event ev;

	at.arm = false;
	CU_ASSERT_EQUAL_FATAL(uffd_register(fd, pages(p, 1), modes), 0);
	CU_ASSERT_EQUAL_FATAL(uffd_protect(fd, pages(p, 1)), 0);
	CU_ASSERT_EQUAL_FATAL(mprotect(p, PAGE, PROT_READ), 0);
	touch_start(&t, p, false);
	ev = next_event(fd);
	CU_ASSERT_EQUAL(resolve_fault(fd, &ev, &at, &source, &a), 0);
	CU_ASSERT_EQUAL(a.act, ACT_COPY);
	CU_ASSERT(a.supplied);
	CU_ASSERT_EQUAL(a.armed, armed);
	pthread_join(t.thread, NULL);
	CU_ASSERT_EQUAL(t.seen, 0);
	close(fd);
	munmap(p, PAGE);
}

/* Armed while it could be written, now read-only. */
static void test_missing_read_only(void)
{
	read_marked(place(WATCH_MODE_WRITE | WATCH_MODE_MISSING, VMA_KIND_ANON), true);
}

/* The layout is behind: it was not registered when it was asked for. */
static void test_missing_unknown(void)
{
	read_marked(place(0, VMA_KIND_ANON), false);
}

/* Minor: the page cache has the page, this mapping has not. */
static void test_minor(void)
{
	struct resolve_place at = place(WATCH_MODE_MINOR | WATCH_MODE_WRITE, VMA_KIND_SHMEM);
	struct resolve_answer a;
	int fd = open_uffd(), mem = memfd_create("minor", MFD_CLOEXEC);
	struct touch t;
	struct event ev;
	char *p;

	CU_ASSERT_FATAL(mem >= 0);
	CU_ASSERT_EQUAL_FATAL(ftruncate(mem, PAGE), 0);
	CU_ASSERT_EQUAL_FATAL(pwrite(mem, "x", 1, 0), 1);
	p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, mem, 0);
	CU_ASSERT_FATAL(p != MAP_FAILED);
	CU_ASSERT_EQUAL_FATAL(uffd_register(fd, pages(p, 1), at.modes), 0);
	touch_start(&t, p, false);
	ev = next_event(fd);
	CU_ASSERT(ev.fault.minor);
	CU_ASSERT_EQUAL(resolve_fault(fd, &ev, &at, &source, &a), 0);
	CU_ASSERT_EQUAL(a.act, ACT_CONTINUE);
	CU_ASSERT(a.armed);
	pthread_join(t.thread, NULL);
	CU_ASSERT_EQUAL(t.seen, 'x');
	touch_start(&t, p, true);
	ev = next_event(fd);
	CU_ASSERT(ev.fault.wp);
	CU_ASSERT_EQUAL(resolve_fault(fd, &ev, &at, &source, &a), 0);
	pthread_join(t.thread, NULL);
	close(fd);
	munmap(p, PAGE);
	close(mem);
}

/* EEXIST: the page came another way; the kernel does not wake, so we must. */
static void test_eexist(void)
{
	struct resolve_place at = place(WATCH_MODE_MISSING, VMA_KIND_ANON);
	struct range r;
	struct resolve_answer a;
	int fd = open_uffd();
	char *p = map_pages(1, MAP_PRIVATE);
	struct touch t;
	struct event ev;
	struct uffdio_copy quiet;
	static char ones[PAGE] __attribute__((aligned(4096)));

	memset(ones, 1, sizeof(ones));
	r = pages(p, 1);
	CU_ASSERT_EQUAL_FATAL(uffd_register(fd, r, at.modes), 0);
	touch_start(&t, p, false);
	ev = next_event(fd);
	quiet = (struct uffdio_copy){
		.dst = r.lo, .src = (uint64_t)(uintptr_t)ones, .len = PAGE,
		.mode = UFFDIO_COPY_MODE_DONTWAKE,
	};
	CU_ASSERT_EQUAL_FATAL(ioctl(fd, UFFDIO_COPY, &quiet), 0);
	CU_ASSERT_EQUAL(resolve_fault(fd, &ev, &at, &source, &a), 0);
	CU_ASSERT_EQUAL(a.act, ACT_WAKE);
	CU_ASSERT(!a.supplied);
	pthread_join(t.thread, NULL);
	CU_ASSERT_EQUAL(t.seen, 1);
	close(fd);
	munmap(p, PAGE);
}

/* ENOENT: the range was unregistered between the message and the answer. */
static void test_enoent(void)
{
	struct resolve_place at = place(WATCH_MODE_WRITE, VMA_KIND_ANON);
	struct resolve_answer a;
	int fd = open_uffd();
	char *p = map_pages(1, MAP_PRIVATE);
	struct touch t;
	struct event ev;

	p[0] = 1;
	CU_ASSERT_EQUAL_FATAL(uffd_register(fd, pages(p, 1), WATCH_MODE_WRITE), 0);
	CU_ASSERT_EQUAL_FATAL(uffd_protect(fd, pages(p, 1)), 0);
	touch_start(&t, p, true);
	ev = next_event(fd);
	CU_ASSERT_EQUAL_FATAL(uffd_unregister(fd, pages(p, 1)), 0);
	CU_ASSERT_EQUAL(resolve_fault(fd, &ev, &at, &source, &a), 0);
	CU_ASSERT_EQUAL(a.act, ACT_WAKE);
	pthread_join(t.thread, NULL);
	CU_ASSERT_EQUAL(p[0], 42);
	close(fd);
	munmap(p, PAGE);
}

static void *dontneed_main(void *arg)
{
	madvise(arg, PAGE, MADV_DONTNEED);
	return NULL;
}

/* EAGAIN: while a layout event is unread nothing is answered; afterwards it is. */
static void test_eagain(void)
{
	struct resolve_place at = place(WATCH_MODE_WRITE, VMA_KIND_ANON);
	struct resolve_answer a;
	int fd = open_uffd(), r;
	char *p = map_pages(2, MAP_PRIVATE);
	pthread_t other;
	struct touch t;
	struct event ev, removed;
	uint64_t limit;

	p[0] = p[PAGE] = 1;
	CU_ASSERT_EQUAL_FATAL(uffd_register(fd, pages(p, 2), WATCH_MODE_WRITE), 0);
	CU_ASSERT_EQUAL_FATAL(uffd_protect(fd, pages(p, 2)), 0);
	touch_start(&t, p, true);
	ev = next_event(fd);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&other, NULL, dontneed_main, p + PAGE), 0);
	for (limit = clock_now() + 5 * NSEC_PER_SEC; clock_now() < limit;) {
		struct pollfd pfd = { .fd = fd, .events = POLLIN };

		if (poll(&pfd, 1, 100) == 1)
			break;
	}
	CU_ASSERT_EQUAL(resolve_fault(fd, &ev, &at, &source, &a), -EAGAIN);
	removed = next_event(fd);
	CU_ASSERT_EQUAL(removed.kind, EVENT_REMOVE);
	limit = clock_now() + 5 * NSEC_PER_SEC;
	do {
		r = resolve_fault(fd, &ev, &at, &source, &a);
	} while (r == -EAGAIN && clock_now() < limit);
	CU_ASSERT_EQUAL(r, 0);
	pthread_join(t.thread, NULL);
	pthread_join(other, NULL);
	CU_ASSERT_EQUAL(p[0], 42);
	close(fd);
	munmap(p, 2 * PAGE);
}

static pid_t forked;

static void *fork_main(void *arg)
{
	int *go = arg;
	char c;

	forked = fork();
	if (!forked) {
		if (read(go[0], &c, 1) != 1)
			_exit(1);
		_exit(0);
	}
	return NULL;
}

/* ESRCH: a forked child's userfaultfd outlives its address space. */
static void test_esrch(void)
{
	struct resolve_place at = place(WATCH_MODE_WRITE, VMA_KIND_ANON);
	struct event ev, wp = { .kind = EVENT_FAULT };
	struct resolve_answer a;
	int fd = open_uffd(), go[2], status;
	char *p = map_pages(1, MAP_PRIVATE);
	pthread_t thread;

	p[0] = 1;
	CU_ASSERT_EQUAL_FATAL(pipe(go), 0);
	CU_ASSERT_EQUAL_FATAL(uffd_register(fd, pages(p, 1), WATCH_MODE_WRITE), 0);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, fork_main, go), 0);
	ev = next_event(fd);
	CU_ASSERT_EQUAL_FATAL(ev.kind, EVENT_FORK);
	pthread_join(thread, NULL);
	CU_ASSERT_EQUAL(uffd_protect(ev.fork.fd, pages(p, 1)), 0);
	CU_ASSERT_EQUAL(write(go[1], "x", 1), 1);
	CU_ASSERT_EQUAL(waitpid(forked, &status, 0), forked);
	CU_ASSERT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	wp.fault.addr = (uint64_t)(uintptr_t)p;
	wp.fault.wp = wp.fault.write = true;
	CU_ASSERT_EQUAL(resolve_fault(ev.fork.fd, &wp, &at, &source, &a), -ESRCH);
	CU_ASSERT_EQUAL(uffd_register(ev.fork.fd, pages(p, 1), WATCH_MODE_WRITE), -ENOMEM);
	close(ev.fork.fd);
	close(fd);
	close(go[0]);
	close(go[1]);
	munmap(p, PAGE);
}

static void on_usr1(int sig)
{
	(void)sig;
}

/* A signal to a parked thread repeats its message: the second answer is as good. */
static void test_signal_repeats(void)
{
	struct resolve_place at = place(WATCH_MODE_WRITE, VMA_KIND_ANON);
	struct sigaction sa = { .sa_handler = on_usr1 };
	struct resolve_answer a;
	int fd = open_uffd();
	char *p = map_pages(1, MAP_PRIVATE);
	struct touch t;
	struct event first, again;

	p[0] = 1;
	sigaction(SIGUSR1, &sa, NULL);
	CU_ASSERT_EQUAL_FATAL(uffd_register(fd, pages(p, 1), WATCH_MODE_WRITE), 0);
	CU_ASSERT_EQUAL_FATAL(uffd_protect(fd, pages(p, 1)), 0);
	touch_start(&t, p, true);
	first = next_event(fd);
	pthread_kill(t.thread, SIGUSR1);
	again = next_event(fd);
	CU_ASSERT_EQUAL(first.fault.addr, again.fault.addr);
	CU_ASSERT_EQUAL(first.fault.ptid, again.fault.ptid);
	CU_ASSERT_EQUAL(resolve_fault(fd, &first, &at, &source, &a), 0);
	CU_ASSERT_EQUAL(resolve_fault(fd, &again, &at, &source, &a), 0);
	pthread_join(t.thread, NULL);
	CU_ASSERT_EQUAL(p[0], 42);
	close(fd);
	munmap(p, PAGE);
}

static void test_no_memory_to_supply(void)
{
	struct resolve_place at = place(WATCH_MODE_MISSING, VMA_KIND_HUGETLB);
	struct resolve_source small = { .zeros = source.zeros, .len = PAGE };
	struct event ev = { .kind = EVENT_FAULT };
	struct resolve_answer a;

	at.page_size = 2u << 20;
	CU_ASSERT_EQUAL(resolve_fault(-1, &ev, &at, &small, &a), -ENOMEM);
}

static void test_source(void)
{
	CU_ASSERT_EQUAL_FATAL(resolve_source_open(&source, 2u << 20), 0);
	CU_ASSERT_EQUAL(source.len, 2u << 20);
	CU_ASSERT_EQUAL(((const char *)source.zeros)[source.len - 1], 0);
}

static const struct suite_test tests[] = {
	{ "zeros to supply", test_source },
	{ "write-protected page", test_write_protected },
	{ "a block of pages", test_block },
	{ "missing: read, then write", test_missing_read_then_write },
	{ "missing: write", test_missing_write },
	{ "missing alone: the zero page", test_missing_only },
	{ "missing: read of what became read-only", test_missing_read_only },
	{ "missing: read of what is not known to be armed", test_missing_unknown },
	{ "minor", test_minor },
	{ "EEXIST wakes", test_eexist },
	{ "ENOENT wakes", test_enoent },
	{ "EAGAIN until the event is read", test_eagain },
	{ "ESRCH after exit", test_esrch },
	{ "a signal repeats the message", test_signal_repeats },
	{ "a page larger than the source", test_no_memory_to_supply },
};

SUITE_MAIN("resolve", tests)
