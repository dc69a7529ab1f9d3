/* SPDX-License-Identifier: MIT */
/*
 * Tenant: on memory of our own, served by a thread of ours: faults, what the process does
 * with its memory before it has come, pages that cannot be read, answers from far away.
 */

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "restore/tenant.h"
#include "suite.h"
#include "watch/uffd.h"
#include "watch/watchable.h"

#define PAGE 4096u
#define PAGES 512u
#define IMAGE_AT UINT64_C(0x40000000)	/* where the image has it; the pieces say so */
#define WORDS (PAGE / sizeof(uint64_t))

/* The contents, and a source that has them here, or does not. */
static uint64_t *contents;
static bool far_away;

static const void *at(struct source *s, const struct source_want *want)
{
	(void)s;
	return far_away ? NULL : contents + (want->vaddr - IMAGE_AT) / sizeof(uint64_t);
}

static const struct source_ops ops = { .at = at };
static struct source source = { .ops = &ops };

static struct image_piece pieces[] = {
	{ .vaddr = IMAGE_AT, .npages = 100, .lazy = true },
	{ .vaddr = IMAGE_AT + 100 * PAGE, .npages = PAGES - 100, .lazy = true },
};
static const struct image_task task = {
	.pid = 7, .memory = true, .pieces = pieces, .npieces = 2, .lazy_pages = PAGES,
};

/* What is served: the one process, and a child of it. */
static struct tenant *tenants[4];
static _Atomic unsigned int ntenants;
static _Atomic bool stop;
static char *memory;
static pthread_t server;
/* What was said of it. */
static unsigned int deeds[TENANT_DID_REPEAT + 1], changes[EVENT_UNMAP + 1];

static uint64_t word_of(uint64_t page, uint64_t word)
{
	return page * UINT64_C(0x9e3779b97f4a7c15) + word + 1;
}

static void *serve(void *arg)
{
	struct source_want want;
	struct tenant_news news;

	(void)arg;
	while (!atomic_load(&stop)) {
		bool any = false;

		for (unsigned int i = 0; i < atomic_load(&ntenants); i++) {
			if (tenant_read(tenants[i], &news) < 0)
				return "cannot read";
			for (unsigned int k = 0; k < news.nchildren; k++) {
				tenants[ntenants] = news.children[k];
				atomic_fetch_add(&ntenants, 1);
			}
			for (unsigned int k = 0; k < news.nchanges; k++)
				changes[news.changes[k].ev.kind]++;
			for (unsigned int k = 0; k < news.nfaults; k++) {
				any = true;
				tenant_fault(tenants[i], &source, &news.faults[k], 1, &want);
				deeds[tenants[i]->deed]++;
			}
		}
		if (!any)
			usleep(20);
	}
	return NULL;
}

static bool begin(void)
{
	int fd = uffd_open_own();
	uint64_t features;

	far_away = false;
	memset(deeds, 0, sizeof(deeds));
	memset(changes, 0, sizeof(changes));
	atomic_store(&stop, false);
	atomic_store(&ntenants, 0);
	memory = mmap(NULL, 2 * PAGES * PAGE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CU_ASSERT_FATAL(fd >= 0 && memory != MAP_FAILED);
	madvise(memory, 2 * PAGES * PAGE, MADV_NOHUGEPAGE);
	CU_ASSERT_EQUAL_FATAL(uffd_handshake(fd, UFFD_FEATURE_EVENT_FORK |
					     UFFD_FEATURE_EVENT_REMAP | UFFD_FEATURE_EVENT_REMOVE |
					     UFFD_FEATURE_EVENT_UNMAP, &features), 0);
	CU_ASSERT_EQUAL_FATAL(tenant_new(7, &task, fd, &tenants[0]), 0);
	/* The image's addresses are not free here: as if all had been moved before. */
	CU_ASSERT_EQUAL_FATAL(owed_remap(&tenants[0]->owed, (struct range){ IMAGE_AT, IMAGE_AT +
					 PAGES * PAGE }, (uint64_t)(uintptr_t)memory), 0);
	CU_ASSERT_EQUAL_FATAL(uffd_register(fd, (struct range){ (uint64_t)(uintptr_t)memory,
			      (uint64_t)(uintptr_t)memory + PAGES * PAGE }, WATCH_MODE_MISSING), 0);
	tenants[0]->early = false;
	atomic_store(&ntenants, 1);
	return features & UFFD_FEATURE_EVENT_FORK;
}

static void serve_begin(void)
{
	CU_ASSERT_EQUAL_FATAL(pthread_create(&server, NULL, serve, NULL), 0);
}

static void end(void)
{
	void *words = NULL;

	atomic_store(&stop, true);
	if (server)
		pthread_join(server, &words);
	server = 0;
	CU_ASSERT_PTR_NULL(words);
	for (unsigned int i = 0; i < ntenants; i++)
		tenant_free(tenants[i]);
	munmap(memory, 2 * PAGES * PAGE);
}

static unsigned int wrong(const char *from, unsigned int first, unsigned int n)
{
	unsigned int bad = 0;

	for (unsigned int i = 0; i < n; i++) {
		const uint64_t *p = (const uint64_t *)(const void *)(from + i * PAGE);

		for (unsigned int w = 0; w < WORDS; w += 73)
			if (p[w] != word_of(first + i, w)) {
				bad++;
				break;
			}
	}
	return bad;
}

static bool zeroes(const char *p)
{
	for (unsigned int i = 0; i < PAGE; i++)
		if (p[i])
			return false;
	return true;
}

static void fill_all(struct tenant *t)
{
	uint64_t until = clock_now() + 20 * NSEC_PER_SEC;

	while (!tenant_done(t) && clock_now() < until)
		if (tenant_fill(t, &source, 16 * PAGE, 16 * PAGE, 2) != TENANT_FILLED)
			usleep(50);
	CU_ASSERT(tenant_done(t));
}

static void test_faults(void)
{
	begin();
	serve_begin();
	CU_ASSERT_EQUAL(wrong(memory + 99 * PAGE, 99, 2), 0);
	CU_ASSERT_EQUAL(wrong(memory + 300 * PAGE, 300, 1), 0);
	CU_ASSERT(tenant_owes(tenants[0]) < PAGES);
	CU_ASSERT_EQUAL(wrong(memory, 0, PAGES), 0);
	end();
	CU_ASSERT(deeds[TENANT_DID_COPY] > PAGES / 8);
	CU_ASSERT_EQUAL(deeds[TENANT_DID_POISON] + deeds[TENANT_DID_ZERO], 0);
}

static void test_filling(void)
{
	begin();
	fill_all(tenants[0]);
	CU_ASSERT_EQUAL(wrong(memory, 0, PAGES), 0);
	CU_ASSERT_EQUAL(tenants[0]->owed.totals.ended[OWED_ARRIVED], PAGES);
	end();
}

static void test_layout(void)
{
	char *to;

	begin();
	serve_begin();
	to = mmap(NULL, 200 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CU_ASSERT_EQUAL(madvise(memory, 10 * PAGE, MADV_DONTNEED), 0);
	CU_ASSERT_EQUAL(munmap(memory + 10 * PAGE, 10 * PAGE), 0);
	CU_ASSERT_PTR_EQUAL(mremap(memory + 50 * PAGE, 100 * PAGE, 100 * PAGE, MREMAP_MAYMOVE |
				   MREMAP_FIXED, to), to);
	fill_all(tenants[0]);
	CU_ASSERT(zeroes(memory) && zeroes(memory + 9 * PAGE));
	CU_ASSERT_EQUAL(wrong(memory + 20 * PAGE, 20, 30), 0);
	CU_ASSERT_EQUAL(wrong(to, 50, 100), 0);
	CU_ASSERT_EQUAL(wrong(memory + 150 * PAGE, 150, PAGES - 150), 0);
	CU_ASSERT_EQUAL(tenants[0]->owed.totals.ended[OWED_REMOVED], 10);
	/* All of it was moved once, so an unmap is believed only when the kernel agrees. */
	CU_ASSERT_EQUAL(tenants[0]->owed.totals.ended[OWED_UNMAPPED], 10);
	CU_ASSERT_EQUAL(tenants[0]->owed.totals.ended[OWED_LOST], 0);
	end();
	CU_ASSERT(deeds[TENANT_DID_ZERO] == 2);
	CU_ASSERT(changes[EVENT_REMOVE] == 1 && changes[EVENT_REMAP] == 1);
	/* mremap tells of the old place once more, that it is unmapped. */
	CU_ASSERT_EQUAL(changes[EVENT_UNMAP], 2);
	munmap(to, 200 * PAGE);
}

static void test_fork(void)
{
	int status = -1;
	pid_t pid;

	if (!begin()) {
		printf("SKIP old-kernel: no fork events without CAP_SYS_PTRACE\n");
		end();
		return;
	}
	serve_begin();
	CU_ASSERT_EQUAL(wrong(memory, 0, 5), 0);
	/* fork(3) holds the locks of malloc(3), which the server needs to let it go on. */
	pid = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
	if (!pid)
		_exit(wrong(memory, 0, PAGES) ? 1 : 0);
	/* The fork is over as soon as its message has been read. */
	for (int i = 0; i < 10000 && ntenants < 2; i++)
		usleep(1000);
	CU_ASSERT_EQUAL_FATAL(ntenants, 2);
	CU_ASSERT(tenants[1]->forked);
	CU_ASSERT(tenant_probe(tenants[1]));
	fill_all(tenants[0]);
	fill_all(tenants[1]);
	CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
	CU_ASSERT_EQUAL(status, 0);
	CU_ASSERT(!tenant_probe(tenants[1]));
	CU_ASSERT(tenant_probe(tenants[0]));
	CU_ASSERT_EQUAL(wrong(memory, 0, PAGES), 0);
	end();
}

static sigjmp_buf back;

static void on_bus(int sig)
{
	siglongjmp(back, sig);
}

/* Pages of the source that cannot be read: SIGBUS, and their neighbours are right. */
static void test_unreadable(void)
{
	struct sigaction old, sa = { .sa_handler = on_bus };
	volatile unsigned int buses = 0;

	begin();
	serve_begin();
	sigaction(SIGBUS, &sa, &old);
	mprotect(contents + 40 * WORDS, 2 * PAGE, PROT_NONE);
	for (volatile unsigned int i = 40; i < 42; i++)
		if (sigsetjmp(back, 1))
			buses++;
		else
			(void)*(volatile char *)(memory + i * PAGE);
	fill_all(tenants[0]);
	mprotect(contents + 40 * WORDS, 2 * PAGE, PROT_READ | PROT_WRITE);
	sigaction(SIGBUS, &old, NULL);
	CU_ASSERT_EQUAL(buses, 2);
	CU_ASSERT_EQUAL(tenants[0]->counts.unreadable, 2);
	CU_ASSERT_EQUAL(tenants[0]->owed.totals.ended[OWED_POISONED], 2);
	CU_ASSERT_EQUAL(wrong(memory, 0, 40), 0);
	CU_ASSERT_EQUAL(wrong(memory + 42 * PAGE, 42, PAGES - 42), 0);
	end();
}

static void *touch(void *arg)
{
	return wrong(arg, (unsigned int)(((char *)arg - memory) / PAGE), 1) ? "wrong" : NULL;
}

static struct tenant_touch next_fault(struct tenant *t)
{
	struct pollfd p = { .fd = t->uffd, .events = POLLIN };
	struct tenant_news news = { .nfaults = 0 };

	CU_ASSERT_EQUAL_FATAL(poll(&p, 1, 10000), 1);
	CU_ASSERT_EQUAL_FATAL(tenant_read(t, &news), 0);
	CU_ASSERT_EQUAL_FATAL(news.nfaults, 1);
	return news.faults[0];
}

/* A page in a demand that fills up is asked for again with haste, and only once. */
static void test_far_away(void)
{
	struct source_want bulk, one, none;
	void *words = "none";
	pthread_t toucher;
	struct tenant_touch at;

	begin();
	far_away = true;
	CU_ASSERT_FATAL(tenant_next_want(tenants[0], 32, 10, &bulk));
	CU_ASSERT_EQUAL(bulk.vaddr, IMAGE_AT);
	CU_ASSERT_EQUAL(bulk.npages, 32);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&toucher, NULL, touch, memory + 5 * PAGE), 0);
	at = next_fault(tenants[0]);
	CU_ASSERT_EQUAL(tenant_fault(tenants[0], &source, &at, 11 | TENANT_URGENT, &one),
			TENANT_ASK);
	CU_ASSERT_EQUAL(one.vaddr, IMAGE_AT + 5 * PAGE);
	CU_ASSERT_EQUAL(one.npages, 1);
	CU_ASSERT(one.urgent);
	CU_ASSERT(!at.write && !at.wp && tenants[0]->deed == TENANT_DID_NOTHING);
	CU_ASSERT_EQUAL(tenant_fault(tenants[0], &source, &at, 12 | TENANT_URGENT, &none),
			TENANT_AWAITED);
	CU_ASSERT_EQUAL(tenant_arrived(tenants[0], &bulk, contents, NULL), TENANT_DID_NOTHING);
	CU_ASSERT_EQUAL(tenant_owes(tenants[0]), PAGES - 31);
	CU_ASSERT_EQUAL(tenant_arrived(tenants[0], &one, contents + 5 * WORDS, &at),
			TENANT_DID_COPY);
	pthread_join(toucher, &words);
	CU_ASSERT_PTR_NULL(words);
	CU_ASSERT_EQUAL(tenant_owes(tenants[0]), PAGES - 32);
	/* Not in flight: a block comes, cut at the end of the piece. */
	at.addr = (uint64_t)(uintptr_t)memory + 99 * PAGE;
	CU_ASSERT_EQUAL(tenant_fault(tenants[0], &source, &at, 13 | TENANT_URGENT, &one),
			TENANT_ASK);
	CU_ASSERT(one.vaddr <= IMAGE_AT + 99 * PAGE);
	CU_ASSERT_EQUAL(one.vaddr + one.npages * PAGE, IMAGE_AT + 100 * PAGE);
	tenant_refused(tenants[0], &one, TENANT_PARK);
	far_away = false;
	fill_all(tenants[0]);
	CU_ASSERT_EQUAL(wrong(memory, 0, PAGES), 0);
	end();
}

static void *read_word(void *arg)
{
	return *(volatile uint64_t *)arg ? "a word" : NULL;
}

static void *drop_page(void *arg)
{
	return madvise(arg, PAGE, MADV_DONTNEED) ? "not dropped" : NULL;
}

/* Who waits for a page that is dropped before it comes gets zeroes, and waits no longer. */
static void test_dropped_amidst(void)
{
	struct source_want one, none;
	struct tenant_news news;
	struct tenant_touch at;
	void *words = "none";
	pthread_t toucher, dropper;
	bool over = false, dropped = false;

	begin();
	far_away = true;
	CU_ASSERT_EQUAL_FATAL(pthread_create(&toucher, NULL, read_word, memory + 5 * PAGE), 0);
	at = next_fault(tenants[0]);
	CU_ASSERT_EQUAL(tenant_fault(tenants[0], &source, &at, 11 | TENANT_URGENT, &one),
			TENANT_ASK);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&dropper, NULL, drop_page, memory + 5 * PAGE), 0);
	for (unsigned int i = 0; i < 2000 && !over; i++) {
		CU_ASSERT_EQUAL_FATAL(tenant_read(tenants[0], &news), 0);
		for (unsigned int k = 0; k < news.nfaults; k++)
			CU_ASSERT_EQUAL(tenant_fault(tenants[0], &source, &news.faults[k],
						     12 | TENANT_URGENT, &none), TENANT_ANSWERED);
		dropped |= news.nchanges;
		if (dropped)
			tenant_arrived(tenants[0], &one, contents + 5 * WORDS, &at);
		over = !pthread_tryjoin_np(toucher, &words);
		usleep(1000);
	}
	CU_ASSERT(over);
	far_away = false;
	fill_all(tenants[0]);
	pthread_join(dropper, NULL);
	end();
	if (!over)
		pthread_join(toucher, NULL);
	CU_ASSERT_PTR_NULL(words);
}

/* One run of what is owed, and more than one mapping. */
static void test_split(void)
{
	begin();
	CU_ASSERT_EQUAL(mprotect(memory + 203 * PAGE, 5 * PAGE, PROT_READ), 0);
	CU_ASSERT_EQUAL(mprotect(memory + 300 * PAGE, PAGE, PROT_READ), 0);
	serve_begin();
	CU_ASSERT_EQUAL(wrong(memory + 300 * PAGE, 300, 1), 0);
	fill_all(tenants[0]);
	CU_ASSERT_EQUAL(tenants[0]->owed.totals.ended[OWED_LOST], 0);
	CU_ASSERT_EQUAL(wrong(memory, 0, PAGES), 0);
	end();
}

/* Before it runs: what is not registered yet is not lost. */
static void test_early(void)
{
	struct tenant *t;
	struct range rest;
	unsigned int n = 0;

	begin();
	t = tenants[0];
	t->early = true;
	rest.lo = (uint64_t)(uintptr_t)memory + PAGES / 2 * PAGE;
	rest.hi = rest.lo + PAGES / 2 * PAGE;
	CU_ASSERT_EQUAL_FATAL(uffd_unregister(t->uffd, rest), 0);
	while (n < 2 * PAGES && tenant_fill(t, &source, 16 * PAGE, 16 * PAGE, 2) == TENANT_FILLED)
		n++;
	CU_ASSERT_EQUAL(tenant_fill(t, &source, 16 * PAGE, 16 * PAGE, 2), TENANT_BUSY);
	CU_ASSERT_EQUAL(tenant_owes(t), PAGES / 2);
	CU_ASSERT_EQUAL(wrong(memory, 0, PAGES / 2), 0);
	CU_ASSERT_EQUAL_FATAL(uffd_register(t->uffd, rest, WATCH_MODE_MISSING), 0);
	serve_begin();
	/* The page that is touched only: the next ones need not be registered. */
	CU_ASSERT_EQUAL(wrong(memory + (PAGES / 2 + 1) * PAGE, PAGES / 2 + 1, 1), 0);
	/* It is written down after it has been copied. */
	for (n = 0; n < 20000 && tenant_owes(t) == PAGES / 2; n++)
		usleep(50);
	CU_ASSERT_EQUAL(tenant_owes(t), PAGES / 2 - 1);
	t->early = false;
	fill_all(t);
	CU_ASSERT_EQUAL(wrong(memory, 0, PAGES), 0);
	CU_ASSERT_EQUAL(t->owed.totals.ended[OWED_LOST], 0);
	end();
}

static void *filler(void *arg)
{
	while (!atomic_load(&stop) && !tenant_done(arg))
		tenant_fill(arg, &source, 8 * PAGE, 2 * PAGE, 3);
	return NULL;
}

/*
 * What is dropped reads as zeroes ever after, however near a filler was to copying
 * it: without the gate a late copy would bring it back.
 */
static void test_late_copies(void)
{
	unsigned int late = 0;
	pthread_t other;

	for (int round = 0; round < 30; round++) {
		begin();
		serve_begin();
		CU_ASSERT_EQUAL_FATAL(pthread_create(&other, NULL, filler, tenants[0]), 0);
		for (unsigned int i = 0; i < PAGES; i += 4)
			madvise(memory + i * PAGE, 2 * PAGE, MADV_DONTNEED);
		fill_all(tenants[0]);
		pthread_join(other, NULL);
		for (unsigned int i = 0; i < PAGES; i += 4)
			late += !zeroes(memory + i * PAGE) + !zeroes(memory + (i + 1) * PAGE) +
				wrong(memory + (i + 2) * PAGE, i + 2, 2);
		end();
	}
	CU_ASSERT_EQUAL(late, 0);
}

static const struct suite_test tests[] = {
	{ "faults", test_faults },
	{ "filling", test_filling },
	{ "dropped, unmapped, moved", test_layout },
	{ "a forked child", test_fork },
	{ "pages that cannot be read", test_unreadable },
	{ "pages that are far away", test_far_away },
	{ "a page dropped while it is asked for", test_dropped_amidst },
	{ "several mappings", test_split },
	{ "before it runs", test_early },
	{ "no copy comes late", test_late_copies },
};

int main(void)
{
	contents = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			-1, 0);
	for (uint64_t i = 0; i < PAGES * WORDS; i++)
		contents[i] = word_of(i / WORDS, i % WORDS);
	return suite_run("tenant", tests, sizeof(tests) / sizeof(*tests));
}
