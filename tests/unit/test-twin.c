/* SPDX-License-Identifier: MIT */
/* Twin: what two spaces of one process share, tell of once, and give back. */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "compat/uffd.h"
#include "suite.h"
#include "watch/space.h"

#define PAGE 4096u

static struct space_shared shared;
static struct queue *queue;
static struct space *whole, *twin;

static const struct watch_filter everything = { .modes = WATCH_MODE_WRITE, .async = true };
static const char *const heap[] = { "heap" };
static const struct watch_filter only_heap = {
	.modes = WATCH_MODE_WRITE, .globs = heap, .nr_globs = 1,
};

/* Some descriptor: nothing is registered here. */
static int some_fd(void)
{
	return dup(STDERR_FILENO);
}

static void nothing(void *arg, enum vma_op op, struct region *r)
{
	(void)arg;
	(void)op;
	(void)r;
}

/* Mappings of one page each, at these addresses, registered by s. */
static void owns(struct space *s, uint64_t a, uint64_t b)
{
	struct map_entry v[] = {
		{ .lo = a, .hi = a + PAGE, .prot = 3, .name = "" },
		{ .lo = b, .hi = b + PAGE, .prot = 3, .name = "" },
	};
	const struct maps m = { .v = v, .n = a == b ? 1 : 2 };

	CU_ASSERT_EQUAL_FATAL(layout_reconcile(&s->layout, &m, true, &shared.next_vma, nothing,
					       NULL), 0);
	for (struct region *g = layout_from(&s->layout, 0); g; g = layout_next(&s->layout, g))
		g->modes = WATCH_MODE_WRITE;
}

static void begin(void)
{
	CU_ASSERT_EQUAL_FATAL(queue_new(&queue, 1024), 0);
	shared = (struct space_shared){
		.page_size = PAGE, .next_vma = 1, .next_mm = 1, .filter = &everything,
		.twin_filter = &only_heap,
	};
	CU_ASSERT_EQUAL_FATAL(emit_init(&shared.emit, queue, 0, PAGE), 0);
	whole = space_blank(&shared, some_fd(), UFFD_FEATURE_WP_ASYNC);
	CU_ASSERT_PTR_NOT_NULL_FATAL(whole);
	whole->pid = getpid();
	whole->procfd = some_fd();
	CU_ASSERT_EQUAL_FATAL(twin_new(&twin, whole, some_fd(), 0), 0);
}

static void finish(void)
{
	if (twin) {
		twin_part(twin);
		space_free(twin);
	}
	space_free(whole);
	CU_ASSERT_EQUAL(shared.nspaces, 0);
	emit_done(&shared.emit);
	queue = queue_free(queue);
}

/* One address space, one process; the descriptors of /proc are the other one's. */
static void test_shares(void)
{
	int procfd;

	begin();
	CU_ASSERT_EQUAL(twin->mm, whole->mm);
	CU_ASSERT_EQUAL(twin->pid, whole->pid);
	CU_ASSERT_EQUAL(shared.nspaces, 1);
	CU_ASSERT_EQUAL(shared.next_mm, 2);
	CU_ASSERT(whole->async && !twin->async);
	CU_ASSERT_PTR_EQUAL(twin->filter, &only_heap);
	CU_ASSERT_PTR_EQUAL(whole->filter, &everything);
	CU_ASSERT_PTR_EQUAL(space_main(twin), whole);
	CU_ASSERT_PTR_EQUAL(space_main(whole), whole);
	procfd = whole->procfd;
	twin_part(twin);
	space_free(twin);
	twin = NULL;
	CU_ASSERT_PTR_NULL(whole->twin);
	CU_ASSERT_EQUAL(write(procfd, "", 0), 0);
	finish();
}

/* Its mappings are judged anew when it goes, and no others. */
static void test_parts(void)
{
	begin();
	owns(whole, 0x10000, 0x20000);
	layout_find(&whole->layout, 0x20000)->held = true;
	whole->nechoes = 1;
	whole->reread_due = UINT64_MAX;
	twin_part(twin);
	space_free(twin);
	twin = NULL;
	CU_ASSERT(layout_find(&whole->layout, 0x20000)->again);
	CU_ASSERT(!layout_find(&whole->layout, 0x10000)->again);
	CU_ASSERT_EQUAL(whole->nechoes, 0);
	CU_ASSERT(whole->reread_due <= clock_now());
	finish();
}

static bool unmap(struct space *s, uint64_t lo, uint64_t hi)
{
	return twin_echoes(s, &(struct event){ .kind = EVENT_UNMAP, .span = { lo, hi } });
}

/* An unmapping of memory of both is told by both; whoever comes first. */
static void test_echoes(void)
{
	begin();
	owns(whole, 0x10000, 0x30000);
	owns(twin, 0x20000, 0x40000);
	/* Of one alone. */
	CU_ASSERT(!unmap(whole, 0x10000, 0x11000));
	CU_ASSERT(!unmap(twin, 0x10000, 0x11000));
	CU_ASSERT(!unmap(whole, 0x10000, 0x22000));
	CU_ASSERT(unmap(twin, 0x10000, 0x22000));
	CU_ASSERT(!unmap(twin, 0x10000, 0x22000));
	CU_ASSERT(unmap(whole, 0x10000, 0x22000));
	/* Twice at a time, by two threads, and another range in between. */
	CU_ASSERT(!unmap(whole, 0x10000, 0x22000));
	CU_ASSERT(!unmap(whole, 0x30000, 0x41000));
	CU_ASSERT(!unmap(whole, 0x10000, 0x22000));
	CU_ASSERT(unmap(twin, 0x10000, 0x22000));
	CU_ASSERT(unmap(twin, 0x10000, 0x22000));
	CU_ASSERT(!unmap(twin, 0x10000, 0x21000));
	CU_ASSERT(unmap(twin, 0x30000, 0x41000));
	/* Other events are of one owner. */
	CU_ASSERT(!twin_echoes(whole, &(struct event){ .kind = EVENT_REMOVE,
						      .span = { 0x10000, 0x22000 } }));
	CU_ASSERT(!twin_echoes(twin, &(struct event){ .kind = EVENT_REMOVE,
						     .span = { 0x10000, 0x22000 } }));
	/* More than are remembered: then it is told twice. */
	for (uint64_t i = 0; i < SPACE_ECHOES + 3; i++)
		CU_ASSERT(!unmap(whole, 0x1000 + i * PAGE, 0x30000));
	CU_ASSERT_EQUAL(whole->nechoes, SPACE_ECHOES);
	finish();
}

static void test_alone(void)
{
	begin();
	owns(whole, 0x10000, 0x30000);
	twin_part(twin);
	space_free(twin);
	twin = NULL;
	CU_ASSERT(!unmap(whole, 0x10000, 0x31000));
	CU_ASSERT_EQUAL(whole->nechoes, 0);
	twin_agree(whole);
	finish();
}

static void test_agree(void)
{
	begin();
	twin->resync = true;
	twin_agree(twin);
	CU_ASSERT(!whole->resync);
	twin_agree(whole);
	CU_ASSERT(whole->resync);
	finish();
}

/* The word of an unmapping came to it alone: the other one keeps what is its own. */
static void test_lost(void)
{
	begin();
	owns(whole, 0x10000, 0x20000);
	layout_find(&whole->layout, 0x20000)->held = true;
	twin_lost(twin, (struct range){ 0x0, 0x20000 });
	CU_ASSERT_PTR_NOT_NULL(layout_find(&whole->layout, 0x20000));
	twin_lost(twin, (struct range){ 0x8000, 0x40000 });
	CU_ASSERT_PTR_NULL(layout_find(&whole->layout, 0x20000));
	CU_ASSERT_PTR_NOT_NULL(layout_find(&whole->layout, 0x10000));
	CU_ASSERT(!whole->resync);
	finish();
}

/*
 * Each owns from its address on.  The twin reads from a pipe, whose other end is given back,
 * what the kernel would say; nothing is ever changing.
 */
static int begin_words(uint64_t whole_lo, uint64_t twin_lo)
{
	int p[2];

	begin();
	owns(whole, whole_lo, 0x40000);
	owns(twin, twin_lo, 0x30000);
	CU_ASSERT_EQUAL_FATAL(pipe2(p, O_NONBLOCK | O_CLOEXEC), 0);
	close(twin->uffd);
	twin->uffd = p[0];
	twin->follow = whole->follow = true;
	return p[1];
}

static int fork_word(int to)
{
	struct uffd_msg m = { .event = UFFD_EVENT_FORK };
	int fd = some_fd();

	m.arg.fork.ufd = (uint32_t)fd;
	CU_ASSERT_EQUAL(write(to, &m, sizeof(m)), (ssize_t)sizeof(m));
	return fd;
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

/* The next word of a fork is of the fork that the other one has told of. */
static void test_pairs(void)
{
	int to = begin_words(0x10000, 0x20000), fd;

	fd = fork_word(to);
	CU_ASSERT_EQUAL(twin_await(whole), fd);
	close(fd);
	CU_ASSERT(!twin->awaits);
	CU_ASSERT_EQUAL(twin->strays, 0);
	/* Nothing of the twin's was copied. */
	CU_ASSERT_EQUAL(twin_await(whole), -ENOENT);
	CU_ASSERT_EQUAL(twin->strays, 0);
	close(to);
	finish();
}

/* Two at once: one of them was told of by the twin first, and nobody knows which. */
static void test_pairs_nothing_unsure(void)
{
	int to = begin_words(0x10000, 0x20000), a, b;

	a = fork_word(to);
	b = fork_word(to);
	CU_ASSERT_EQUAL(twin_await(whole), -ENOENT);
	CU_ASSERT(!is_open(a) && !is_open(b));
	CU_ASSERT_EQUAL(twin->strays, -1);
	/* The other one tells of the second; then all is as it was. */
	CU_ASSERT_EQUAL(twin_await(whole), -ENOENT);
	CU_ASSERT_EQUAL(twin->strays, 0);
	a = fork_word(to);
	CU_ASSERT_EQUAL(twin_await(whole), a);
	close(a);
	/* One comes late: the word after it is not taken for it. */
	twin->strays = 1;
	a = fork_word(to);
	CU_ASSERT_EQUAL(serve(twin, clock_now()), 1);
	CU_ASSERT(!is_open(a));
	CU_ASSERT_EQUAL(twin->strays, 0);
	close(to);
	finish();
}

/* The lowest mapping is the twin's: it is told of each fork first. */
static void test_pairs_nothing_out_of_order(void)
{
	int to = begin_words(0x20000, 0x10000), fd;

	fd = fork_word(to);
	CU_ASSERT_EQUAL(serve(twin, clock_now()), 1);
	CU_ASSERT(!is_open(fd));
	CU_ASSERT_EQUAL(twin->strays, -1);
	CU_ASSERT_EQUAL(twin_await(whole), -ENOENT);
	CU_ASSERT_EQUAL(twin->strays, 0);
	close(to);
	finish();
}

/* A child: its twin has what its parent's has, and what has none is the other one's again. */
static void test_children(void)
{
	const struct range page = { 0x20000, 0x21000 };
	struct space *a, *b;

	begin();
	whole->follow = twin->follow = true;
	owns(whole, 0x10000, 0x20000);
	layout_find(&whole->layout, 0x20000)->held = true;
	owns(twin, 0x20000, 0x20000);
	CU_ASSERT_EQUAL(cover_arm(&twin->cover, page), 0);
	CU_ASSERT_EQUAL_FATAL(space_fork(&a, whole, some_fd(), clock_now(), clock_now()), 0);
	CU_ASSERT_EQUAL_FATAL(twin_fork(a, twin, some_fd(), clock_now()), 0);
	CU_ASSERT_EQUAL_FATAL(space_fork(&b, whole, some_fd(), clock_now(), clock_now()), 0);
	twin_orphaned(b, clock_now(), clock_now());
	CU_ASSERT_EQUAL(shared.nspaces, 3);
	CU_ASSERT_PTR_EQUAL(a->twin->whole, a);
	CU_ASSERT_EQUAL(a->twin->mm, a->mm);
	CU_ASSERT(!a->twin->proved);
	CU_ASSERT(cover_armed_all(&a->twin->cover, page));
	CU_ASSERT(layout_find(&a->twin->layout, 0x20000)->modes);
	CU_ASSERT(layout_find(&a->layout, 0x20000)->held);
	CU_ASSERT_PTR_NULL(b->twin);
	CU_ASSERT(!layout_find(&b->layout, 0x20000)->held);
	CU_ASSERT(layout_find(&b->layout, 0x20000)->again);
	a->next = b;
	whole->born = a;
	finish();
}

static const struct suite_test tests[] = {
	{ "shares what is known of the process", test_shares },
	{ "parts", test_parts },
	{ "an unmapping that both tell of", test_echoes },
	{ "an unmapping that only it is told of", test_lost },
	{ "alone", test_alone },
	{ "agree to begin anew", test_agree },
	{ "the two words of a fork", test_pairs },
	{ "two words at once, or one late", test_pairs_nothing_unsure },
	{ "the lowest mapping is its own", test_pairs_nothing_out_of_order },
	{ "children", test_children },
};

SUITE_MAIN("twin", tests)
