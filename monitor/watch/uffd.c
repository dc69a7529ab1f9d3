/* SPDX-License-Identifier: MIT */
/* Uffd: the userfaultfd ioctls.  See uffd.h. */

#include "watch/uffd.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "compat/sys.h"
#include "watch/watchable.h"

static int ioctl_retry(int fd, unsigned long request, void *arg)
{
	int r;

	do {
		r = ioctl(fd, request, arg);
	} while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : 0;
}

static struct uffdio_range span(struct range r)
{
	return (struct uffdio_range){ .start = r.lo, .len = range_len(r) };
}

/* A userfaultfd of our own: the device first, it needs no sysctl (6.1). */
int uffd_open_own(void)
{
	_close_ int dev = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);
	int fd;

	if (dev >= 0) {
		fd = ioctl(dev, USERFAULTFD_IOC_NEW, O_CLOEXEC | O_NONBLOCK);
		if (fd >= 0)
			return fd;
	}
	fd = sys_userfaultfd(O_CLOEXEC | O_NONBLOCK);
	if (fd == -EPERM)
		fd = sys_userfaultfd(O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY);
	return fd;
}

int uffd_probe(uint64_t *ret_features)
{
	struct uffdio_api api = { .api = UFFD_API };
	_close_ int fd = uffd_open_own();
	int r;

	if (fd < 0)
		return fd;
	r = ioctl_retry(fd, UFFDIO_API, &api);
	if (r < 0)
		return r;
	*ret_features = api.features;
	return 0;
}

/*
 * The kernel answers a handshake with its whole set of features, and refuses one
 * that asks for more; so the set is known before the real descriptor is spent.
 */
int uffd_handshake(int fd, uint64_t wanted, uint64_t *ret_features)
{
	struct uffdio_api api;
	uint64_t offered;
	int r;

	r = uffd_probe(&offered);
	if (r < 0)
		return r;
	wanted &= offered;
	for (;;) {
		api = (struct uffdio_api){ .api = UFFD_API, .features = wanted };
		r = ioctl_retry(fd, UFFDIO_API, &api);
		if (r != -EPERM || !(wanted & UFFD_FEATURE_EVENT_FORK))
			break;
		wanted &= ~(uint64_t)UFFD_FEATURE_EVENT_FORK;
	}
	if (r < 0)
		return r;
	*ret_features = wanted;
	return 0;
}

int uffd_register(int fd, struct range r, uint32_t modes)
{
	struct uffdio_register reg = { .range = span(r) };

	if (modes & WATCH_MODE_WRITE)
		reg.mode |= UFFDIO_REGISTER_MODE_WP;
	if (modes & WATCH_MODE_MISSING)
		reg.mode |= UFFDIO_REGISTER_MODE_MISSING;
	if (modes & WATCH_MODE_MINOR)
		reg.mode |= UFFDIO_REGISTER_MODE_MINOR;
	return ioctl_retry(fd, UFFDIO_REGISTER, &reg);
}

int uffd_unregister(int fd, struct range r)
{
	struct uffdio_range range = span(r);

	return ioctl_retry(fd, UFFDIO_UNREGISTER, &range);
}

int uffd_protect(int fd, struct range r)
{
	struct uffdio_writeprotect wp = {
		.range = span(r),
		.mode = UFFDIO_WRITEPROTECT_MODE_WP,
	};

	return ioctl_retry(fd, UFFDIO_WRITEPROTECT, &wp);
}

int uffd_unprotect(int fd, struct range r)
{
	struct uffdio_writeprotect wp = { .range = span(r) };

	return ioctl_retry(fd, UFFDIO_WRITEPROTECT, &wp);
}

int uffd_zeropage(int fd, struct range r)
{
	struct uffdio_zeropage z = { .range = span(r) };
	int e = ioctl_retry(fd, UFFDIO_ZEROPAGE, &z);

	/* A part that was done comes back as -EAGAIN with its length. */
	if (e == -EAGAIN && z.zeropage > 0)
		return uffd_zeropage(fd, (struct range){ r.lo + (uint64_t)z.zeropage, r.hi });
	return e;
}

int uffd_copy(int fd, struct range r, const void *src, bool wp)
{
	uint64_t done;
	int e = uffd_copy_some(fd, r, src, wp, &done);

	if (e == -EAGAIN && done)
		return uffd_copy(fd, (struct range){ r.lo + done, r.hi }, (const char *)src + done,
				 wp);
	return e;
}

int uffd_copy_some(int fd, struct range r, const void *src, bool wp, uint64_t *ret_done)
{
	struct uffdio_copy c = {
		.dst = r.lo,
		.src = (uint64_t)(uintptr_t)src,
		.len = range_len(r),
		.mode = wp ? UFFDIO_COPY_MODE_WP : 0,
	};
	int e = ioctl_retry(fd, UFFDIO_COPY, &c);

	*ret_done = !e ? range_len(r) : c.copy > 0 ? (uint64_t)c.copy : 0;
	return e;
}

int uffd_poison(int fd, struct range r)
{
	struct uffdio_poison p = { .range = span(r) };

	return ioctl_retry(fd, UFFDIO_POISON, &p);
}

int uffd_continue(int fd, struct range r, bool wp)
{
	struct uffdio_continue c = {
		.range = span(r),
		.mode = wp ? UFFDIO_CONTINUE_MODE_WP : 0,
	};

	return ioctl_retry(fd, UFFDIO_CONTINUE, &c);
}

int uffd_wake(int fd, struct range r)
{
	struct uffdio_range range = span(r);

	return ioctl_retry(fd, UFFDIO_WAKE, &range);
}

int64_t uffd_read(int fd, struct uffd_msg *msgs, size_t n)
{
	ssize_t r;

	do {
		r = read(fd, msgs, n * sizeof(*msgs));
	} while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : r;
}
