/* SPDX-License-Identifier: MIT */
/* Place: UFFDIO_COPY, UFFDIO_ZEROPAGE, UFFDIO_POISON, and what they answer.  See place.h. */

#include "restore/place.h"

#include <errno.h>

#include "watch/uffd.h"
#include "watch/watchable.h"

/* No mapping lies lower, or can be larger; no one is smaller. */
#define WAKE_FROM UINT64_C(65536)
#define WAKE_MOST (UINT64_C(1) << 56)
#define WAKE_LEAST UINT64_C(4096)

#define PAGE UINT64_C(4096)

static enum place_end end_of(int r)
{
	switch (r) {
	case 0:
		return PLACE_ALL;
	case -EEXIST:
		return PLACE_THERE;
	case -EAGAIN:
		return PLACE_BUSY;
	case -ENOENT:
		return PLACE_NOWHERE;
	case -EFAULT:
		return PLACE_UNREADABLE;
	case -ENOMEM:
		return PLACE_NO_MEMORY;
	case -ESRCH:
	case -ENOSPC:	/* older kernels, for an address space on its way out */
		return PLACE_GONE;
	}
	return PLACE_REFUSED;
}

/*
 * UFFDIO_COPY looks whether the layout is changing, and then at the mapping: -ENOENT may
 * mean that a munmap came between.  Asked again, it would say -EAGAIN until the message
 * has been read.  Or it means that not all of it lies in one mapping (uffd_mfill_lock() in
 * mm/userfaultfd.c): an mprotect(2) is enough, of which no message tells.  Then less is
 * tried.  What was copied before an error comes with -EAGAIN, so the reason is asked for
 * where it stopped.
 */
enum place_end place_copy(int uffd, struct range r, const void *src, bool wp, uint64_t *ret_done)
{
	const char *from = src;
	uint64_t done = 0, some, most = range_len(r);
	bool again = false;
	int e;

	for (;;) {
		struct range part = { r.lo + done, r.hi };

		if (range_len(part) > most)
			part.hi = part.lo + most;
		e = uffd_copy_some(uffd, part, from + done, wp, &some);
		done += some;
		if (!e && part.hi == r.hi)
			break;
		if (!e)
			most *= 2;
		/* A mapping that is not registered for it: better than not at all. */
		if (e == -EINVAL && wp) {
			wp = false;
			continue;
		}
		if (!e || some) {
			again = false;
			continue;
		}
		if (e != -ENOENT || (again && most == PAGE))
			break;
		again = most == PAGE;
		most = align_up(most / 2, PAGE);
	}
	*ret_done = done;
	return end_of(e);
}

enum place_end place_zero(int uffd, struct range page)
{
	int e = uffd_zeropage(uffd, page);

	if (e)
		uffd_wake(uffd, page);
	return end_of(e);
}

int place_watch_writes(int uffd, struct range r)
{
	return uffd_register(uffd, r, WATCH_MODE_MISSING | WATCH_MODE_WRITE);
}

int place_protect(int uffd, struct range r)
{
	return uffd_protect(uffd, r);
}

enum place_end place_unprotect(int uffd, struct range page)
{
	return end_of(uffd_unprotect(uffd, page));
}

enum place_end place_poison(int uffd, struct range page)
{
	return end_of(uffd_poison(uffd, page));
}

/*
 * Lifting a write protection that nobody has set changes nothing wherever it is tried, and
 * the kernel looks for the address space before it looks for the mapping.
 */
bool place_alive(int uffd)
{
	return end_of(uffd_unprotect(uffd, (struct range){ 0, PAGE })) != PLACE_GONE;
}

void place_wake(int uffd, struct range r)
{
	uffd_wake(uffd, r);
}

/*
 * The kernel refuses a range that is not all of it below the end of that address space
 * (and above vm.mmap_min_addr), which nothing tells: so in steps that get smaller.
 */
void place_wake_all(int uffd)
{
	uint64_t lo = WAKE_FROM;

	for (uint64_t len = WAKE_MOST; len >= WAKE_LEAST; len /= 2)
		if (!uffd_wake(uffd, (struct range){ lo, lo + len }))
			lo += len;
}
