/* SPDX-License-Identifier: MIT */
/* Memory: stores of every kind, the kernel's, a debugger's.  See memory.h. */

#include <linux/aio_abi.h>
#include <linux/io_uring.h>
#include <sys/resource.h>
#include <sys/uio.h>

#include "memory.h"

/* ---- stores ---- */

struct unaligned {
	uint64_t word;
} __attribute__((packed));

/* Stores that touch more than one page. */
static void stores_case(void)
{
	char *p = map_anon(32);
	uint64_t word = mix(1);
	char *to = at_page(p, 5), *from = at_page(p, 20);
	size_t n = 7 * PAGE + 100;

	fill(p, 32);
	gate();
	((volatile struct unaligned *)(p + PAGE - 3))->word = word;
	must(!memcmp(p + PAGE - 3, &word, 8), "a word across two pages");
	fact_wrote(p, 2, self());
	__atomic_fetch_add((uint64_t *)at_page(p, 2), 5, __ATOMIC_SEQ_CST);
	__asm__ volatile("lock addl $1, %0" : "+m"(*(uint32_t *)at_page(p, 3)));
	must(*(uint64_t *)at_page(p, 2) == mix(2) + 5, "a locked addition");
	must(*(uint32_t *)at_page(p, 3) == (uint32_t)mix(3) + 1, "another locked addition");
	fact_wrote(at_page(p, 2), 2, self());
	fact_quiet(at_page(p, 4), 1);
	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
	must(!n && !memcmp(at_page(p, 5), at_page(p, 20), 7 * PAGE + 100), "a string move");
	fact_wrote(at_page(p, 5), 8, self());
	fact_quiet(at_page(p, 20), 8);
	__asm__ volatile("pcmpeqd %%xmm0, %%xmm0\n\tmovdqu %%xmm0, %0"
			 : "=m"(*(char(*)[16])(p + 15 * PAGE - 7)) : : "xmm0");
	must(*(volatile signed char *)(p + 15 * PAGE - 7) == -1 &&
	     *(volatile signed char *)(p + 15 * PAGE + 8) == -1, "a vector across two pages");
	fact_wrote(at_page(p, 14), 2, self());
	fact_quiet(at_page(p, 16), 4);
	fact_quiet(at_page(p, 28), 4);
}

/* ---- buffers of the kernel ---- */

static int data_file(unsigned int pages)
{
	char page[PAGE];
	int fd = memfd_create("data", MFD_CLOEXEC);

	for (unsigned int i = 0; fd >= 0 && i < pages; i++) {
		memset(page, 'a' + (int)i, sizeof(page));
		must(write(fd, page, PAGE) == PAGE, "write");
	}
	must(fd >= 0, "memfd_create");
	return fd;
}

struct ring {
	int fd;
	uint32_t *sq_tail, *sq_array, *cq_head, *cq_tail, sq_mask, cq_mask;
	struct io_uring_sqe *sqes;
	struct io_uring_cqe *cqes;
	bool polled;
};

static void ring_open(struct ring *r, bool polled)
{
	struct io_uring_params p = { .flags = polled ? IORING_SETUP_SQPOLL : 0 };
	char *q;

	p.sq_thread_idle = 2000;
	r->fd = (int)syscall(SYS_io_uring_setup, 8, &p);
	if (r->fd < 0)
		skip_case("no-io-uring", "io_uring_setup: %s", strerror(errno));
	must(p.features & IORING_FEAT_SINGLE_MMAP, "an old io_uring");
	q = mmap(NULL, PAGE * 4, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, r->fd,
		 IORING_OFF_SQ_RING);
	r->sqes = mmap(NULL, p.sq_entries * sizeof(*r->sqes), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_POPULATE, r->fd, IORING_OFF_SQES);
	if (q == MAP_FAILED)
		q = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd,
			 IORING_OFF_SQ_RING);
	must(q != MAP_FAILED && r->sqes != MAP_FAILED, "mapping the rings");
	r->sq_tail = (uint32_t *)(q + p.sq_off.tail);
	r->sq_array = (uint32_t *)(q + p.sq_off.array);
	r->sq_mask = *(uint32_t *)(q + p.sq_off.ring_mask);
	r->cq_head = (uint32_t *)(q + p.cq_off.head);
	r->cq_tail = (uint32_t *)(q + p.cq_off.tail);
	r->cq_mask = *(uint32_t *)(q + p.cq_off.ring_mask);
	r->cqes = (struct io_uring_cqe *)(q + p.cq_off.cqes);
	r->polled = polled;
}

/* One read of a page of the file; its result. */
static int ring_read(struct ring *r, int op, int fd, void *to, unsigned int page)
{
	uint32_t flags = IORING_ENTER_GETEVENTS | (r->polled ? IORING_ENTER_SQ_WAKEUP : 0);
	uint32_t tail = *r->sq_tail, head = *r->cq_head;
	struct io_uring_sqe *e = &r->sqes[tail & r->sq_mask];
	int result;

	memset(e, 0, sizeof(*e));
	e->opcode = (uint8_t)op;
	e->fd = fd;
	e->addr = (uintptr_t)to;
	e->len = PAGE;
	e->off = (uint64_t)page * PAGE;
	r->sq_array[tail & r->sq_mask] = tail & r->sq_mask;
	__atomic_store_n(r->sq_tail, tail + 1, __ATOMIC_RELEASE);
	must(syscall(SYS_io_uring_enter, r->fd, r->polled ? 0 : 1, 1, flags, NULL, 0) >= 0,
	     "io_uring_enter");
	while (__atomic_load_n(r->cq_tail, __ATOMIC_ACQUIRE) == head)
		usleep(100);
	result = r->cqes[head & r->cq_mask].res;
	__atomic_store_n(r->cq_head, head + 1, __ATOMIC_RELEASE);
	return result;
}

static void check_read(const char *p, unsigned int page)
{
	for (unsigned int i = 0; i < PAGE; i++)
		must(((const volatile char *)p)[i] == (char)('a' + page), "byte %u of page %u", i,
		     page);
}

/* Buffers that are pinned once and written behind everybody's back afterwards. */
static void uring_case(void)
{
	char *p = map_anon(8);
	struct iovec iov = { p, 4 * PAGE };
	int fd = data_file(8);
	struct ring r;

	fill(p, 8);
	ring_open(&r, false);
	gate();
	must(!syscall(SYS_io_uring_register, r.fd, IORING_REGISTER_BUFFERS, &iov, 1), "pinning");
	for (unsigned int i = 0; i < 4; i++)
		must(ring_read(&r, IORING_OP_READ_FIXED, fd, at_page(p, i), i) == PAGE,
		     "a fixed read");
	for (unsigned int i = 4; i < 8; i++)
		must(ring_read(&r, IORING_OP_READ, fd, at_page(p, i), i) == PAGE, "a read");
	for (unsigned int i = 0; i < 8; i++)
		check_read(at_page(p, i), i);
	settle();
	/* Pinned already: nothing tells of these. */
	for (unsigned int i = 0; i < 4; i++)
		must(ring_read(&r, IORING_OP_READ_FIXED, fd, at_page(p, i), i + 1) == PAGE,
		     "a second fixed read");
	for (unsigned int i = 0; i < 4; i++)
		check_read(at_page(p, i), i + 1);
	fact_wrote(p, 8, 0);
}

/* A thread of the kernel does the work, in the target's memory. */
static void uringpoll_case(void)
{
	char *p = map_anon(64);
	int fd = data_file(8);
	struct ring r;

	fill(p, 64);
	ring_open(&r, true);
	gate();
	for (unsigned int i = 0; i < 64; i++) {
		must(ring_read(&r, IORING_OP_READ, fd, at_page(p, i), i % 8) == PAGE, "a read");
		check_read(at_page(p, i), i % 8);
	}
	fact_wrote(p, 64, 0);
}

static void aio_case(void)
{
	char *p = map_anon(8), buf[PAGE];
	struct iovec gift = { at_page(p, 4), 2 * PAGE };
	struct iocb cb = { .aio_lio_opcode = IOCB_CMD_PREAD, .aio_nbytes = 4 * PAGE };
	struct iocb *list = &cb;
	struct io_event done;
	aio_context_t ctx = 0;
	int fd = data_file(8), fds[2];

	fill(p, 8);
	must(!pipe(fds), "pipe");
	if (syscall(SYS_io_setup, 1, &ctx))
		skip_case("no-aio", "io_setup: %s", strerror(errno));
	gate();
	cb.aio_fildes = (uint32_t)fd;
	cb.aio_buf = (uintptr_t)p;
	must(syscall(SYS_io_submit, ctx, 1, &list) == 1, "io_submit");
	must(syscall(SYS_io_getevents, ctx, 1, 1, &done, NULL) == 1 && done.res == 4 * PAGE,
	     "io_getevents");
	for (unsigned int i = 0; i < 4; i++)
		check_read(at_page(p, i), i);
	fact_wrote(p, 4, self());
	must(vmsplice(fds[1], &gift, 1, SPLICE_F_GIFT) == 2 * PAGE, "vmsplice");
	must(read(fds[0], buf, PAGE) == PAGE && *(uint64_t *)buf == mix(4), "the first gift");
	must(read(fds[0], buf, PAGE) == PAGE && *(uint64_t *)buf == mix(5), "the second gift");
	write_pages(at_page(p, 6), 2, 1);
	fact_wrote(at_page(p, 6), 2, self());
	fact_quiet(at_page(p, 4), 2);
}

/* ---- other ways in ---- */

/*
 * A write by /proc/self/mem or a debugger does not park, it fails, where a fault of
 * the same thread would wait; so only here a watcher shows.
 */
static void procmem_case(void)
{
	char *p = map_anon(8);
	int fd = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	uint64_t v = mix(77), old;
	ssize_t n;

	fill(p, 8);
	gate();
	must(fd >= 0, "/proc/self/mem");
	must(pread(fd, &old, 8, (off_t)(uintptr_t)p) == 8 && old == mix(0), "reading");
	n = pwrite(fd, &v, 8, (off_t)(uintptr_t)p);
	if (n < 0)
		must(errno == EIO && *(volatile uint64_t *)p == mix(0), "it fails with EIO");
	else
		must(n == 8 && *(volatile uint64_t *)p == v, "it writes %zd bytes", n);
	printf("%s\n", n < 0 ? "procmem refused" : "procmem written");
	/* Once the thread itself has written there it works again. */
	write_pages(at_page(p, 1), 1, 1);
	must(pwrite(fd, &v, 8, (off_t)(uintptr_t)at_page(p, 1)) == 8, "where it had written");
	must(*(volatile uint64_t *)at_page(p, 1) == v, "what was written there");
	fact_wrote(at_page(p, 1), 1, self());
}

/* For a debugger: it sets the word, unmaps the mapping, and says that it is done. */
static struct {
	volatile uint64_t word;
	char *volatile map;
	volatile int done;
} debug __attribute__((aligned(PAGE)));

static void debugged_case(void)
{
	debug.map = map_anon(16);
	fill(debug.map, 16);
	debug.word = 1;
	gate();
	for (int i = 0; i < 3000 && !debug.done; i++) {
		debug.word++;		/* so that its page is not armed */
		usleep(5000);
	}
	must(debug.done, "no debugger came");
	must(debug.word >= 1000000, "the debugger did not set the word");
	fact_event(debug.map, 16, "unmap");
	must(mmap(debug.map, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1,
		  0) == debug.map, "it is still mapped");
}

static const struct memory_case cases[] = {
	{ "stores", stores_case },
	{ "uring", uring_case },
	{ "uringpoll", uringpoll_case },
	{ "aio", aio_case },
	{ "procmem", procmem_case },
	{ "debugged", debugged_case },
};

MEMORY_MAIN(cases)
