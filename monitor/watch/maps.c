/* SPDX-License-Identifier: MIT */
/* Maps: /proc/PID/maps, read in one go and parsed by fields.  See maps.h. */

#include "watch/maps.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "compat/procmap.h"
#include "trace/record.h"

/* A million mappings with long names; no process has more. */
#define TEXT_MAX (UINT64_C(256) << 20)
#define READ_CHUNK (256u << 10)
/* No name is longer: the kernel builds it in a page. */
#define QUERY_NAME_MAX 4096

/* A place in the text; every scanner stops at the end of the line. */
struct scan {
	const char *p, *end;
};

static bool scan_hex(struct scan *s, uint64_t *ret)
{
	const char *start = s->p;
	uint64_t v = 0;

	for (; s->p < s->end; s->p++) {
		unsigned int c = (unsigned char)*s->p, d;

		if (c >= '0' && c <= '9')
			d = c - '0';
		else if (c >= 'a' && c <= 'f')
			d = c - 'a' + 10;
		else
			break;
		if (v >> 60)
			return false;
		v = v << 4 | d;
	}
	*ret = v;
	return s->p > start;
}

static bool scan_decimal(struct scan *s, uint64_t *ret)
{
	const char *start = s->p;
	uint64_t v = 0;

	for (; s->p < s->end && *s->p >= '0' && *s->p <= '9'; s->p++)
		if (__builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(*s->p - '0'), &v))
			return false;
	*ret = v;
	return s->p > start;
}

static bool scan_char(struct scan *s, char c)
{
	if (s->p >= s->end || *s->p != c)
		return false;
	s->p++;
	return true;
}

static bool scan_prot(struct scan *s, uint32_t *ret)
{
	static const char on[] = "rwxs", off[] = "---p";
	static const uint32_t bit[] = {
		RECORD_PROT_READ, RECORD_PROT_WRITE, RECORD_PROT_EXEC, RECORD_PROT_SHARED,
	};

	*ret = 0;
	for (int i = 0; i < 4; i++) {
		if (scan_char(s, on[i]))
			*ret |= bit[i];
		else if (!scan_char(s, off[i]))
			return false;
	}
	return true;
}

/* "lo-hi prot off major:minor ino    name", proc_pid_maps(5). */
static bool scan_line(struct scan *s, struct map_entry *e)
{
	uint64_t major, minor;

	if (!scan_hex(s, &e->lo) || !scan_char(s, '-') || !scan_hex(s, &e->hi) ||
	    !scan_char(s, ' ') || !scan_prot(s, &e->prot) || !scan_char(s, ' ') ||
	    !scan_hex(s, &e->off) || !scan_char(s, ' ') || !scan_hex(s, &major) ||
	    !scan_char(s, ':') || !scan_hex(s, &minor) || !scan_char(s, ' ') ||
	    !scan_decimal(s, &e->ino))
		return false;
	e->dev_major = (uint32_t)major;
	e->dev_minor = (uint32_t)minor;
	while (scan_char(s, ' '))
		;
	e->name = s->p;
	e->name_len = (uint32_t)(s->end - s->p);
	return e->lo < e->hi;
}

static int add_entry(struct maps *m, const struct map_entry *e)
{
	if (m->n == m->room) {
		size_t room = m->room ? m->room * 2 : 256;
		struct map_entry *v = realloc(m->v, room * sizeof(*v));

		if (!v)
			return -ENOMEM;
		m->v = v;
		m->room = room;
	}
	m->v[m->n++] = *e;
	return 0;
}

/* The text lies in the arena, and the names point into it. */
static int parse_arena(struct maps *m)
{
	const char *p = m->arena, *end = m->arena + m->arena_len;
	uint64_t last = 0;

	m->n = 0;
	while (p < end) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));
		struct scan s = { p, nl ? nl : end };
		struct map_entry e;
		int r;

		/* A line without its end: the text was cut. */
		if (!nl || !scan_line(&s, &e) || e.lo < last)
			return -EBADMSG;
		last = e.hi;
		r = add_entry(m, &e);
		if (r < 0)
			return r;
		p = nl + 1;
	}
	return 0;
}

static int arena_reserve(struct maps *m, size_t room)
{
	char *p;

	if (m->arena_room >= room)
		return 0;
	if (room > TEXT_MAX)
		return -EFBIG;
	room = room < 2 * m->arena_room ? 2 * m->arena_room : room;
	p = realloc(m->arena, room);
	if (!p)
		return -ENOMEM;
	m->arena = p;
	m->arena_room = room;
	return 0;
}

int maps_parse(const char *buf, size_t len, struct maps *m)
{
	int r = arena_reserve(m, len ? len : 1);

	if (r < 0)
		return r;
	if (len)
		memcpy(m->arena, buf, len);
	m->arena_len = len;
	return parse_arena(m);
}

int maps_reread(int mapsfd, struct maps *m)
{
	ssize_t n;
	int r;

	m->n = m->arena_len = 0;
	if (lseek(mapsfd, 0, SEEK_SET) < 0)
		return -errno;
	do {
		r = arena_reserve(m, m->arena_len + READ_CHUNK);
		if (r < 0)
			return r;
		n = read(mapsfd, m->arena + m->arena_len, READ_CHUNK);
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0)
			m->arena_len += (size_t)n;
	} while (n);
	/* An exiting process has no mappings any more, a living one always has. */
	return m->arena_len ? parse_arena(m) : -ESRCH;
}

int maps_read(int procfd, struct maps *m)
{
	_close_ int fd = openat(procfd, "maps", O_RDONLY | O_CLOEXEC);

	m->n = m->arena_len = 0;
	if (fd < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	return maps_reread(fd, m);
}

/* As the text shows it: "\n" in a path is written as \012 (seq_path() in fs/seq_file.c). */
static int add_name(struct maps *m, const char *name, size_t len, uint32_t *ret_len)
{
	size_t at = m->arena_len;
	int r = arena_reserve(m, at + 4 * len);

	if (r < 0)
		return r;
	for (size_t i = 0; i < len; i++) {
		if (name[i] == '\n') {
			memcpy(m->arena + at, "\\012", 4);
			at += 4;
		} else {
			m->arena[at++] = name[i];
		}
	}
	*ret_len = (uint32_t)(at - m->arena_len);
	m->arena_len = at;
	return 0;
}

static uint32_t prot_of_query(uint64_t flags)
{
	return (flags & PROCMAP_QUERY_VMA_READABLE ? RECORD_PROT_READ : 0) |
	       (flags & PROCMAP_QUERY_VMA_WRITABLE ? RECORD_PROT_WRITE : 0) |
	       (flags & PROCMAP_QUERY_VMA_EXECUTABLE ? RECORD_PROT_EXEC : 0) |
	       (flags & PROCMAP_QUERY_VMA_SHARED ? RECORD_PROT_SHARED : 0);
}

/* The mapping at or after addr. */
static int query_one(int mapsfd, uint64_t addr, struct maps *m, struct map_entry *ret)
{
	char name[QUERY_NAME_MAX];
	struct procmap_query q = {
		.size = sizeof(q),
		.query_flags = PROCMAP_QUERY_COVERING_OR_NEXT_VMA,
		.query_addr = addr,
		.vma_name_size = sizeof(name),
		.vma_name_addr = (uint64_t)(uintptr_t)name,
	};
	int r;

	do
		r = ioctl(mapsfd, PROCMAP_QUERY, &q);
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return -errno;
	*ret = (struct map_entry){
		.lo = q.vma_start, .hi = q.vma_end, .off = q.vma_offset, .ino = q.inode,
		.dev_major = q.dev_major, .dev_minor = q.dev_minor,
		.prot = prot_of_query(q.vma_flags),
	};
	return q.vma_name_size ? add_name(m, name, q.vma_name_size - 1, &ret->name_len) : 0;
}

int maps_query(int mapsfd, struct range within, size_t max, struct maps *m)
{
	struct map_entry e;
	const char *name;
	int r = 0;

	m->n = m->arena_len = 0;
	for (uint64_t at = within.lo; at < within.hi && m->n < max; at = e.hi) {
		r = query_one(mapsfd, at, m, &e);
		if (r < 0 || e.lo >= within.hi)
			break;
		/* It has swallowed a part of the one before since that was asked for. */
		r = m->n && e.lo < at ? -EAGAIN : add_entry(m, &e);
		if (r < 0)
			break;
	}
	if (r < 0 && r != -ENOENT)
		return r;
	/* The arena may have moved while it grew: the names get their places now. */
	name = m->arena;
	for (size_t i = 0; i < m->n; i++) {
		m->v[i].name = m->v[i].name_len ? name : "";
		/* Without any name there is no arena. */
		if (m->v[i].name_len)
			name += m->v[i].name_len;
	}
	return 0;
}

int64_t maps_build_id(int mapsfd, uint64_t addr, unsigned char ret[MAPS_BUILD_ID_MAX])
{
	struct procmap_query q = {
		.size = sizeof(q),
		.query_addr = addr,
		.build_id_size = MAPS_BUILD_ID_MAX,
		.build_id_addr = (uint64_t)(uintptr_t)ret,
	};

	if (mapsfd < 0 || ioctl(mapsfd, PROCMAP_QUERY, &q) < 0)
		return mapsfd < 0 ? -EBADF : -errno;
	return q.build_id_size <= MAPS_BUILD_ID_MAX ? q.build_id_size : 0;
}

void maps_done(struct maps *m)
{
	free(m->v);
	free(m->arena);
	*m = (struct maps)MAPS_NULL;
}
