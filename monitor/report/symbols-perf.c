/* SPDX-License-Identifier: MIT */
/*
 * Symbols, perf maps: /tmp/perf-PID.map, "BEGIN LENGTH NAME" a line, both hexadecimal.
 *
 * Anybody may make such a file, so it counts only if it belongs to root, to us, or to the
 * one whose process has that number now.  Code is thrown away and made anew at the same
 * place: then the later line is right.
 */

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "report/symbols-parts.h"

#define BYTES_MAX (UINT64_C(256) << 20)
#define LINES_MAX (1u << 20)
/* Others that begin before it and reach over it, at most. */
#define BACK_MAX 64u

struct piece {
	uint64_t lo, hi;
	const char *name;
	uint32_t line;
};

struct symbols_perf {
	struct piece *v;
	size_t n, room;
};

static int by_begin(const void *a, const void *b)
{
	const struct piece *x = a, *y = b;

	if (x->lo != y->lo)
		return x->lo < y->lo ? -1 : 1;
	return x->line < y->line ? -1 : x->line > y->line;
}

static bool number(const char **at, const char *end, uint64_t *ret)
{
	const char *s = *at;
	unsigned int digits = 0;

	*ret = 0;
	if (end - s > 2 && s[0] == '0' && (s[1] == 'x' || s[1] == 'X'))
		s += 2;
	for (; s < end && isxdigit((unsigned char)*s); s++, digits++) {
		unsigned int c = (unsigned char)*s;

		if (digits == 16)
			return false;
		*ret = *ret << 4 | (c <= '9' ? c - '0' : (c | 32) - 'a' + 10);
	}
	if (!digits || s == end || *s != ' ')
		return false;
	*at = s + 1;
	return true;
}

static int add(struct symbols_perf *p, const struct piece *piece)
{
	size_t room = p->room ? p->room * 2 : 256;
	void *v;

	if (p->n == p->room) {
		v = realloc(p->v, room * sizeof(*p->v));
		if (!v)
			return -ENOMEM;
		p->v = v;
		p->room = room;
	}
	p->v[p->n++] = *piece;
	return 0;
}

/* A line that is none is passed over: the last one may be half written. */
static int add_line(struct symbols_perf *p, const char *at, const char *end,
		    struct lexicon *words)
{
	struct piece piece = { .line = (uint32_t)p->n };
	uint64_t len;

	if (!number(&at, end, &piece.lo) || !number(&at, end, &len) || at == end || !len ||
	    piece.lo + len < piece.lo)
		return 0;
	piece.hi = piece.lo + len;
	piece.name = lexicon_word(words, at, (size_t)(end - at));
	return piece.name ? add(p, &piece) : -ENOMEM;
}

int symbols_perf_parse(struct symbols_perf **ret, const char *bytes, size_t len,
		       struct lexicon *words)
{
	struct symbols_perf *p = calloc(1, sizeof(*p));
	const char *end = bytes + len, *at = bytes, *newline;
	int r = p ? 0 : -ENOMEM;

	for (; !r && at < end && p->n < LINES_MAX; at = newline + 1) {
		newline = memchr(at, '\n', (size_t)(end - at));
		if (!newline)
			break;
		r = add_line(p, at, newline, words);
	}
	if (r) {
		symbols_perf_close(p);
		return r;
	}
	if (p->n)
		qsort(p->v, p->n, sizeof(*p->v), by_begin);
	*ret = p;
	return 0;
}

static bool is_believed(const struct stat *st, int32_t pid)
{
	char proc[32];
	struct stat owner;

	if (st->st_uid == 0 || st->st_uid == geteuid())
		return true;
	snprintf(proc, sizeof(proc), "/proc/%d", pid);
	return !stat(proc, &owner) && owner.st_uid == st->st_uid;
}

/* Read, not mapped: whoever cuts it off meanwhile would kill us. */
static size_t read_whole(int fd, char *bytes, size_t len)
{
	size_t at = 0;

	while (at < len) {
		ssize_t n = read(fd, bytes + at, len - at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		at += (size_t)n;
	}
	return at;
}

int symbols_perf_open(struct symbols_perf **ret, const char *root, int32_t pid,
		      struct lexicon *words)
{
	_close_ int fd = -1;
	char path[48];
	struct stat st;
	_free_ char *bytes = NULL;

	*ret = NULL;
	if (pid <= 0)
		return 0;
	snprintf(path, sizeof(path), "/tmp/perf-%d.map", pid);
	fd = symbols_open(root, path, SYMBOLS_NO_LINK, &st);
	if (fd < 0 || !is_believed(&st, pid) || st.st_size <= 0 ||
	    (uint64_t)st.st_size > BYTES_MAX)
		return 0;
	bytes = malloc((size_t)st.st_size);
	if (!bytes)
		return -ENOMEM;
	return symbols_perf_parse(ret, bytes, read_whole(fd, bytes, (size_t)st.st_size), words);
}

struct symbols_perf *symbols_perf_close(struct symbols_perf *p)
{
	if (p)
		free(p->v);
	free(p);
	return NULL;
}

const char *symbols_perf_find(const struct symbols_perf *p, uint64_t addr, uint64_t *ret_lo)
{
	const struct piece *best = NULL;
	size_t lo = 0, hi = p->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (p->v[mid].lo <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (size_t back = 0; lo-- && back < BACK_MAX; back++)
		if (addr < p->v[lo].hi && (!best || p->v[lo].line > best->line))
			best = &p->v[lo];
	if (!best)
		return NULL;
	*ret_lo = best->lo;
	return best->name;
}
