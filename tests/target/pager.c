/* SPDX-License-Identifier: MIT */
/*
 * Pager: a program that handles faults of its own memory with a userfaultfd, as a
 * virtual machine does that is moving in.
 *
 * One thread supplies pages, others touch them in rounds and check what they find, and
 * write to ordinary memory besides.  In a kernel that does not give it a full
 * userfaultfd it takes one for user mode.
 */
#include <linux/userfaultfd.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "target.h"

#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY 1
#endif

struct pager {
	struct target t;
	int uffd;
	unsigned char *memory;		/* registered */
	_Atomic uint64_t supplied, rounds;
};

static uint64_t word_of(const struct pager *p, uint64_t page)
{
	return mix(p->t.seed + page);
}

static void *supply(void *arg)
{
	static uint64_t page[WORDS] __attribute__((aligned(PAGE)));
	struct pager *p = arg;
	struct uffd_msg msg;

	while (!target_stopped) {
		struct pollfd f = { .fd = p->uffd, .events = POLLIN };
		struct uffdio_copy copy = { .src = (uint64_t)(uintptr_t)page, .len = PAGE };

		if (poll(&f, 1, 100) <= 0 || read(p->uffd, &msg, sizeof(msg)) != sizeof(msg))
			continue;
		if (msg.event != UFFD_EVENT_PAGEFAULT)
			die("event %#x", msg.event);
		copy.dst = msg.arg.pagefault.address & ~(uint64_t)(PAGE - 1);
		page[0] = word_of(p, (copy.dst - (uint64_t)(uintptr_t)p->memory) / PAGE);
		if (ioctl(p->uffd, UFFDIO_COPY, &copy) && errno != EEXIST)
			die("UFFDIO_COPY: %s", strerror(errno));
		p->supplied++;
	}
	return NULL;
}

static void take(struct pager *p)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	size_t len = (size_t)p->t.pages * PAGE;

	p->uffd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (p->uffd < 0)
		p->uffd = (int)syscall(SYS_userfaultfd,
				       O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY);
	p->memory = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p->uffd < 0 || p->memory == MAP_FAILED || ioctl(p->uffd, UFFDIO_API, &api))
		die("no userfaultfd: %s", strerror(errno));
	reg.range.start = (uint64_t)(uintptr_t)p->memory;
	reg.range.len = len;
	if (ioctl(p->uffd, UFFDIO_REGISTER, &reg))
		die("UFFDIO_REGISTER: %s", strerror(errno));
}

static void one_round(struct pager *p, uint64_t *ordinary)
{
	for (unsigned int i = 0; i < p->t.pages && !target_stopped; i++) {
		volatile uint64_t *at = (volatile uint64_t *)(p->memory + (size_t)i * PAGE);

		if (*at != word_of(p, i))
			die("page %u holds %#" PRIx64, i, *at);
		*at = 0;
		ordinary[i * WORDS] = p->rounds;
	}
	if (madvise(p->memory, (size_t)p->t.pages * PAGE, MADV_DONTNEED))
		die("madvise: %s", strerror(errno));
	for (unsigned int i = 0; i < p->t.pages && !target_stopped; i++)
		if (ordinary[i * WORDS] != p->rounds)
			die("page %u of ordinary memory is wrong", i);
	p->rounds++;
}

int main(int argc, char **argv)
{
	struct pager p = { .t = { .seed = 1, .pages = 64 } };
	pthread_t thread;
	uint64_t *ordinary;
	int counter;

	target_options(&p.t, argc, argv);
	counter = target_counter(&p.t);
	take(&p);
	ordinary = calloc(p.t.pages, PAGE);
	if (!ordinary || pthread_create(&thread, NULL, supply, &p))
		die("cannot start");
	target_ready(&p.t);
	while (!target_stopped) {
		one_round(&p, ordinary);
		target_count(counter, p.rounds);
		usleep(1000);
	}
	pthread_join(thread, NULL);
	printf("ok rounds=%" PRIu64 " supplied=%" PRIu64 "\n", p.rounds, p.supplied);
	return 0;
}
