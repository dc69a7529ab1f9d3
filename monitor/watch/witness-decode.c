/* SPDX-License-Identifier: MIT */
/* Witness, decoding.  See witness-decode.h. */

#include "watch/witness-decode.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

/* Of each kind what comes before the file name or the sample_id. */
struct body_sample {
	uint64_t ip;
	uint32_t pid, tid;
	uint64_t time, addr;
};

struct body_mmap2 {
	uint32_t pid, tid;
	uint64_t addr, len, pgoff;
	uint64_t identity[3];
	uint32_t prot, flags;
};

struct body_fork {
	uint32_t pid, ppid, tid, ptid;
	uint64_t time;
};

struct body_comm {
	uint32_t pid, tid;
};

struct body_lost {
	uint64_t id, lost;
};

/* The tail of all but samples, with WITNESS_SAMPLE. */
struct sample_id {
	uint32_t pid, tid;
	uint64_t time;
};

struct bytes {
	const unsigned char *p;
	size_t len;
};

static bool take(const struct bytes *b, size_t tail, void *ret, size_t size)
{
	if (b->len < size + tail)
		return false;
	memcpy(ret, b->p, size);
	return true;
}

static void take_id(const struct bytes *b, struct witness_event *ret)
{
	struct sample_id id;

	memcpy(&id, b->p + b->len - sizeof(id), sizeof(id));
	ret->pid = (pid_t)id.pid;
	ret->tid = (pid_t)id.tid;
	ret->time = id.time;
}

uint64_t witness_frame(const struct witness_event *ev, uint32_t i)
{
	uint64_t v;

	memcpy(&v, (const char *)ev->touch.frames + i * sizeof(v), sizeof(v));
	return v;
}

/* Markers are the highest addresses: enum perf_callchain_context. */
static bool is_marker(uint64_t frame)
{
	return frame >= (uint64_t)PERF_CONTEXT_MAX;
}

/*
 * What follows PERF_CONTEXT_USER; the count is all that says that there is a chain.  What
 * comes behind it is left in b.
 */
static bool decode_chain(struct bytes *b, struct witness_event *ret)
{
	struct witness_event all = { .kind = WITNESS_TOUCH };
	const unsigned char *chain = b->p + sizeof(uint64_t);
	uint64_t n;
	uint32_t i = 0;

	if (!take(b, 0, &n, sizeof(n)))
		return true;
	if (n > (b->len - sizeof(n)) / sizeof(n))
		return false;
	all.touch.frames = chain;
	*b = (struct bytes){ chain + n * sizeof(n), b->len - (n + 1) * sizeof(n) };
	while (i < n && witness_frame(&all, i) != (uint64_t)PERF_CONTEXT_USER)
		i++;
	if (i == n)
		return true;
	ret->touch.frames = chain + sizeof(n) * (i + 1);
	while (i + 1 + ret->touch.nframes < n &&
	       !is_marker(witness_frame(ret, ret->touch.nframes)))
		ret->touch.nframes++;
	return true;
}

/* Error codes of page faults: Intel SDM volume 3, 4.7. */
#define ERROR_WRITE 2u
#define ERROR_USER 4u

/* PERF_SAMPLE_RAW: the size, then the fields of the tracepoint, see perf-points.c. */
static bool decode_point(const struct bytes *b, struct witness_event *ret)
{
	struct { uint64_t common, addr, ip, error; } f;
	struct bytes rest;
	uint32_t size;

	if (!take(b, 0, &size, sizeof(size)))
		return true;
	rest = (struct bytes){ b->p + sizeof(size), b->len - sizeof(size) };
	if (!size)
		return true;
	if (size > rest.len || !take(&rest, 0, &f, sizeof(f)))
		return false;
	ret->touch.addr = f.addr;
	ret->touch.ip = f.ip;
	ret->touch.kernel = !(f.error & ERROR_USER);
	ret->touch.access = f.error & ERROR_WRITE ? WITNESS_WRITE : WITNESS_READ;
	return true;
}

static bool decode_sample(const struct bytes *b, uint16_t misc, struct witness_event *ret)
{
	struct body_sample s;
	struct bytes rest;

	if (!take(b, 0, &s, sizeof(s)))
		return false;
	rest = (struct bytes){ b->p + sizeof(s), b->len - sizeof(s) };
	*ret = (struct witness_event){
		.kind = WITNESS_TOUCH, .pid = (pid_t)s.pid, .tid = (pid_t)s.tid, .time = s.time,
		.touch = {
			.addr = s.addr, .ip = s.ip,
			.kernel = (misc & PERF_RECORD_MISC_CPUMODE_MASK) == PERF_RECORD_MISC_KERNEL,
		},
	};
	return decode_chain(&rest, ret) && decode_point(&rest, ret);
}

static bool decode_mmap2(const struct bytes *b, struct witness_event *ret)
{
	struct body_mmap2 m;

	if (!take(b, sizeof(struct sample_id), &m, sizeof(m)))
		return false;
	ret->kind = WITNESS_MAP;
	ret->map.writable = m.prot & PROT_WRITE;
	return range_make(m.addr, m.len, &ret->map.span);
}

static bool decode_fork(const struct bytes *b, struct witness_event *ret)
{
	struct body_fork f;

	if (!take(b, sizeof(struct sample_id), &f, sizeof(f)))
		return false;
	/* sample_id is that of the parent, which makes the child. */
	*ret = (struct witness_event){
		.kind = WITNESS_FORK, .pid = (pid_t)f.pid, .tid = (pid_t)f.tid, .time = f.time,
		.parent = (pid_t)f.ppid, .parent_tid = (pid_t)f.ptid,
	};
	return true;
}

static bool decode_comm(const struct bytes *b, uint16_t misc, struct witness_event *ret)
{
	struct body_comm c;

	if (!take(b, sizeof(struct sample_id), &c, sizeof(c)))
		return false;
	ret->kind = misc & PERF_RECORD_MISC_COMM_EXEC ? WITNESS_EXEC : WITNESS_NAME;
	ret->name = (const char *)b->p + sizeof(c);
	ret->len = strnlen(ret->name, b->len - sizeof(c) - sizeof(struct sample_id));
	return true;
}

static bool decode_lost(const struct bytes *b, struct witness_event *ret)
{
	struct body_lost l;

	if (!take(b, sizeof(struct sample_id), &l, sizeof(l)))
		return false;
	ret->kind = WITNESS_LOST;
	ret->n = l.lost;
	return true;
}

int witness_decode(const void *record, size_t len, struct witness_event *ret)
{
	struct perf_event_header h;
	struct witness_event e = { .kind = WITNESS_OTHER };
	struct bytes b;
	bool good = true;

	if (len < sizeof(h))
		return -EBADMSG;
	memcpy(&h, record, sizeof(h));
	if (h.size != len)
		return -EBADMSG;
	b = (struct bytes){ (const unsigned char *)record + sizeof(h), len - sizeof(h) };
	if (h.type != PERF_RECORD_SAMPLE && b.len >= sizeof(struct sample_id))
		take_id(&b, &e);
	switch (h.type) {
	case PERF_RECORD_SAMPLE:
		good = decode_sample(&b, h.misc, &e);
		break;
	case PERF_RECORD_MMAP2:
		good = decode_mmap2(&b, &e);
		break;
	case PERF_RECORD_FORK:
		good = decode_fork(&b, &e);
		break;
	case PERF_RECORD_COMM:
		good = decode_comm(&b, h.misc, &e);
		break;
	case PERF_RECORD_LOST:
		good = decode_lost(&b, &e);
		break;
	default:
		break;
	}
	if (!good)
		return -EBADMSG;
	*ret = e;
	return 0;
}
