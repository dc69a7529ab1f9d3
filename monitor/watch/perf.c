/* SPDX-License-Identifier: MIT */
/* Perf: the kernel's door.  See perf.h. */

#include "watch/perf.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define RECORD_MAX 65536	/* perf_event_header.size has 16 bits */

int perf_event_for(struct perf_event_attr *attr, pid_t tid, int cpu)
{
	long fd = syscall(SYS_perf_event_open, attr, tid, cpu, -1, PERF_FLAG_FD_CLOEXEC);

	return fd < 0 ? -errno : (int)fd;
}

int perf_ring_open(struct perf_ring *ret, int cpu, size_t bytes, uint32_t watermark)
{
	struct perf_ring r = { .bytes = bytes, .page = (size_t)sysconf(_SC_PAGESIZE) };
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_SW_DUMMY,
		.watermark = 1,
		.wakeup_watermark = watermark,
		.exclude_kernel = 1,
		.exclude_hv = 1,
		.use_clockid = 1,
		.clockid = CLOCK_MONOTONIC,
	};

	/*
	 * Of the whole CPU, if that is allowed (perf_event_paranoid; a dummy sees nothing): one
	 * on our own thread the kernel puts on and takes off at each switch to us.
	 */
	r.fd = perf_event_for(&attr, -1, cpu);
	if (r.fd == -EACCES || r.fd == -EPERM)
		r.fd = perf_event_for(&attr, 0, cpu);
	if (r.fd < 0)
		return r.fd;
	r.map = mmap(NULL, r.page + bytes, PROT_READ | PROT_WRITE, MAP_SHARED, r.fd, 0);
	if (r.map == MAP_FAILED) {
		int error = -errno;

		close(r.fd);
		return error;
	}
	*ret = r;
	return 0;
}

void perf_ring_close(struct perf_ring *r)
{
	if (r->fd < 0)
		return;
	munmap(r->map, r->page + r->bytes);
	close(r->fd);
	*r = (struct perf_ring)PERF_RING_NULL;
}

int perf_event_to_ring(int event, const struct perf_ring *out)
{
	return ioctl(event, PERF_EVENT_IOC_SET_OUTPUT, out->fd) < 0 ? -errno : 0;
}

int perf_event_filter(int event, const char *filter)
{
	return ioctl(event, PERF_EVENT_IOC_SET_FILTER, filter) < 0 ? -errno : 0;
}

uint64_t perf_ring_head(const struct perf_ring *r)
{
	const struct perf_event_mmap_page *p = r->map;

	return __atomic_load_n(&p->data_head, __ATOMIC_RELAXED);
}

/* A record may wrap around the end of the ring: then it is put together in `room`. */
static const void *record_at(const struct perf_ring *r, uint64_t at, size_t len, void *room)
{
	const char *data = (const char *)r->map + r->page;
	size_t off = at & (r->bytes - 1), first = r->bytes - off;

	if (len <= first)
		return data + off;
	memcpy(room, data + off, first);
	memcpy((char *)room + first, data, len - first);
	return room;
}

/* Head and tail: see the comment on data_head in <linux/perf_event.h>. */
size_t perf_ring_read(struct perf_ring *r,
		      void (*take)(void *arg, const void *record, size_t len), void *arg)
{
	struct perf_event_mmap_page *p = r->map;
	uint64_t head = __atomic_load_n(&p->data_head, __ATOMIC_ACQUIRE);
	uint64_t tail = p->data_tail, start = tail;
	_Alignas(8) char room[RECORD_MAX];

	while (head - tail >= sizeof(struct perf_event_header)) {
		struct perf_event_header h;

		memcpy(&h, record_at(r, tail, sizeof(h), room), sizeof(h));
		if (h.size < sizeof(h) || h.size > head - tail) {
			tail = head;		/* never seen; nothing to be made of it */
			break;
		}
		take(arg, record_at(r, tail, h.size, room), h.size);
		tail += h.size;
	}
	if (tail != start)
		__atomic_store_n(&p->data_tail, tail, __ATOMIC_RELEASE);
	return head - start;
}

uint64_t perf_event_lost(int fd)
{
	uint64_t v[2];	/* count, lost */

	return read(fd, v, sizeof(v)) == sizeof(v) ? v[1] : 0;
}
