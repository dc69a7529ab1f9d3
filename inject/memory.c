/* SPDX-License-Identifier: MIT */
/* Memory: the target's bytes through /proc/PID/mem, and its mappings. */

#include "memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "compat/procmap.h"
#include "procfile.h"

#define SEARCH_MAX (UINT64_C(64) << 20)
#define OVERLAP 16			/* no instruction sequence looked for is longer */

static int open_in(struct memory *ret, int dir)
{
	ret->maps = -1;
	ret->mem = openat(dir, "mem", O_RDWR | O_CLOEXEC);
	if (ret->mem < 0)
		return -errno;
	ret->maps = openat(dir, "maps", O_RDONLY | O_CLOEXEC);
	if (ret->maps < 0) {
		int r = -errno;

		close_fd(&ret->mem);
		return r;
	}
	return 0;
}

/* A zombie has no address space; its threads may still have the one it had. */
static int open_in_thread(struct memory *ret, int procfd)
{
	_close_ int dir = openat(procfd, "task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct procfile_numbers tids;
	int tid, r = -ESRCH;

	if (dir < 0)
		return -ESRCH;
	procfile_numbers_init(&tids, dir);
	while (r < 0 && procfile_numbers_next(&tids, &tid) > 0) {
		_close_ int task = -1;
		char name[16];

		snprintf(name, sizeof(name), "%d", tid);
		task = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (task >= 0)
			r = open_in(ret, task);
	}
	return r;
}

int memory_open(struct memory *ret, int procfd)
{
	int r = open_in(ret, procfd);

	return r == -ESRCH ? open_in_thread(ret, procfd) : r;
}

void memory_close(struct memory *m)
{
	close_fd(&m->mem);
	close_fd(&m->maps);
}

/* mem_rw() says 0 where the address space has gone: an exec took its threads with it. */
static int result(ssize_t done, size_t len)
{
	return (size_t)done == len ? 0 : done ? -EIO : -ESRCH;
}

int memory_read(const struct memory *m, uint64_t at, void *to, size_t len)
{
	ssize_t r = pread(m->mem, to, len, (off_t)at);

	if (r < 0)
		return -errno;
	return result(r, len);
}

int memory_write(const struct memory *m, uint64_t at, const void *from, size_t len)
{
	ssize_t r = pwrite(m->mem, from, len, (off_t)at);

	if (r < 0)
		return -errno;
	return result(r, len);
}

int memory_restore(const struct memory *m, pid_t tid, uint64_t at, const void *from, size_t len)
{
	struct iovec ours = { .iov_base = (void *)(uintptr_t)from, .iov_len = len };
	struct iovec theirs = { .iov_base = (void *)(uintptr_t)at, .iov_len = len };
	int r = memory_write(m, at, from, len);
	ssize_t n;

	if (r != -EIO)
		return r;
	n = process_vm_writev(tid, &ours, 1, &theirs, 1, 0);
	return n < 0 ? -errno : result(n, len);
}

bool memory_parse_mapping(const char *line, struct mapping *ret, const char **ret_name)
{
	const char *p = line, *flags;
	uint64_t lo, hi;

	if (!procfile_number(p, 16, &lo, &p) || *p++ != '-' ||
	    !procfile_number(p, 16, &hi, &p) || *p++ != ' ' || strlen(p) < 5 || hi < lo)
		return false;
	flags = p;
	/* offset, device, inode: three words, and then the name */
	p += 4;
	for (int i = 0; i < 3; i++) {
		p += strspn(p, " ");
		p += strcspn(p, " ");
	}
	p += strspn(p, " ");
	*ret = (struct mapping){
		.range = { lo, hi },
		.readable = flags[0] == 'r',
		.writable = flags[1] == 'w',
		.executable = flags[2] == 'x',
		.shared = flags[3] == 's',
		.is_stack = !strcmp(p, "[stack]"),
	};
	*ret_name = p;
	return true;
}

static int mapping_by_text(const struct memory *m, uint64_t addr, struct mapping *ret)
{
	struct procfile_lines lines;
	const char *name;
	char *line;
	int r;

	if (lseek(m->maps, 0, SEEK_SET) < 0)
		return -errno;
	procfile_lines_init(&lines, m->maps);
	while ((r = procfile_lines_next(&lines, &line)) > 0) {
		if (!memory_parse_mapping(line, ret, &name))
			return -EBADMSG;
		if (range_has(ret->range, addr))
			return 0;
	}
	return r < 0 ? r : -ENOENT;
}

int memory_mapping_at(const struct memory *m, uint64_t addr, struct mapping *ret)
{
	char name[16] = "";
	struct procmap_query q = {
		.size = sizeof(q),
		.query_addr = addr,
		.vma_name_size = sizeof(name),
		.vma_name_addr = (uint64_t)(uintptr_t)name,
	};

	if (ioctl(m->maps, PROCMAP_QUERY, &q) < 0) {
		if (errno == ENOENT)
			return -ENOENT;
		/* ENAMETOOLONG: longer than "[stack]", and so of no interest. */
		if (errno != ENAMETOOLONG)
			return mapping_by_text(m, addr, ret);
		q.vma_name_size = 0;
		q.vma_name_addr = 0;
		if (ioctl(m->maps, PROCMAP_QUERY, &q) < 0)
			return -errno;
		name[0] = '\0';
	}
	*ret = (struct mapping){
		.range = { q.vma_start, q.vma_end },
		.readable = q.vma_flags & PROCMAP_QUERY_VMA_READABLE,
		.writable = q.vma_flags & PROCMAP_QUERY_VMA_WRITABLE,
		.executable = q.vma_flags & PROCMAP_QUERY_VMA_EXECUTABLE,
		.shared = q.vma_flags & PROCMAP_QUERY_VMA_SHARED,
		.is_stack = !strcmp(name, "[stack]"),
	};
	return 0;
}

static void search(const struct memory *m, struct range range, void *room, size_t size,
		   uint64_t *io_left, struct arch_insns *io)
{
	for (uint64_t at = range.lo; at < range.hi && *io_left && !arch_insns_best(io);) {
		size_t n = range.hi - at < size ? (size_t)(range.hi - at) : size;

		if (memory_read(m, at, room, n) < 0)
			return;
		arch_insns_find(io, at, room, n);
		*io_left -= *io_left < n ? *io_left : n;
		at += n < size ? n : n - OVERLAP;
	}
}

static bool is_libc(const char *name)
{
	const char *base = strrchr(name, '/');

	return base && (!strncmp(base, "/libc.", 6) || !strncmp(base, "/libc-", 6) ||
			!strncmp(base, "/ld-musl", 8));
}

/*
 * libc is never unmapped, and has everything; then the program itself and the rest.
 * Anonymous text, of a JIT say, may vanish: only files and the vdso count.
 */
int memory_find_insns(const struct memory *m, void *room, size_t size, struct arch_insns *ret)
{
	struct procfile_lines lines;
	uint64_t left = SEARCH_MAX;
	struct mapping map;
	const char *name;
	size_t seen = 0;
	char *line;
	int r = 0;

	*ret = (struct arch_insns){ 0 };
	for (int pass = 0; pass < 2 && !arch_insns_all(ret); pass++) {
		if (lseek(m->maps, 0, SEEK_SET) < 0)
			return -errno;
		procfile_lines_init(&lines, m->maps);
		while ((r = procfile_lines_next(&lines, &line)) > 0) {
			if (!memory_parse_mapping(line, &map, &name))
				return -EBADMSG;
			seen++;
			if (!map.executable || !map.readable || map.writable)
				continue;
			if (name[0] != '/' && strcmp(name, "[vdso]"))
				continue;
			if (is_libc(name) == (pass == 0))
				search(m, map.range, room, size, &left, ret);
		}
	}
	/* No mapping at all: it is exiting. */
	return r < 0 || seen ? r : -ESRCH;
}

static bool has(const struct memory *m, uint64_t at, uint64_t (*pick)(const struct arch_insns *))
{
	struct arch_insns found = { 0 };
	unsigned char text[OVERLAP];
	ssize_t n;

	if (!at)
		return true;
	n = pread(m->mem, text, sizeof(text), (off_t)at);
	if (n <= 0)
		return false;
	arch_insns_find(&found, at, text, (size_t)n);
	return pick(&found) == at;
}

static uint64_t pick_call(const struct arch_insns *i)
{
	return i->call;
}

static uint64_t pick_call_return(const struct arch_insns *i)
{
	return i->call_return;
}

static uint64_t pick_move_result(const struct arch_insns *i)
{
	return i->move_result;
}

static uint64_t pick_close_return(const struct arch_insns *i)
{
	return i->close_return;
}

static uint64_t pick_sigreturn(const struct arch_insns *i)
{
	return i->sigreturn;
}

bool memory_has_insns(const struct memory *m, const struct arch_insns *insns)
{
	return has(m, insns->call, pick_call) && has(m, insns->call_return, pick_call_return) &&
	       has(m, insns->sigreturn, pick_sigreturn) &&
	       has(m, insns->move_result, pick_move_result) &&
	       has(m, insns->close_return, pick_close_return);
}
