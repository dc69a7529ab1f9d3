/* SPDX-License-Identifier: MIT */
/*
 * Prefetch, list: lines of "PID ADDRESS NPAGES" in place of a trace.  See prefetch.h.
 *
 * A line becomes the record that would say the same, with the process for an address space.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "restore/prefetch.h"

#define HEAD "# pagetap.pages/"
#define PAGES_MAX (IMAGE_TASK_SIZE / IMAGE_PAGE)

struct cursor {
	const char *at, *end;
};

static bool skip_blanks(struct cursor *c)
{
	const char *begin = c->at;

	while (c->at < c->end && (*c->at == ' ' || *c->at == '\t'))
		c->at++;
	return c->at > begin;
}

static bool word(struct cursor *c, const char *text)
{
	size_t n = strlen(text);

	if ((size_t)(c->end - c->at) < n || memcmp(c->at, text, n))
		return false;
	c->at += n;
	return true;
}

static bool number(struct cursor *c, unsigned int base, uint64_t max, uint64_t *ret)
{
	const char *begin = c->at;

	for (*ret = 0; c->at < c->end; c->at++) {
		unsigned int d = (unsigned char)*c->at;

		d = d >= '0' && d <= '9' ? d - '0' : (d | 32) >= 'a' && (d | 32) <= 'f' ?
			(d | 32) - 'a' + 10 : 16;
		if (d >= base)
			break;
		if (*ret > (max - d) / base)
			return false;
		*ret = *ret * base + d;
	}
	return c->at > begin;
}

bool prefetch_is_list(const char *line, size_t len)
{
	return len >= strlen(HEAD) && !memcmp(line, HEAD, strlen(HEAD));
}

static int wrong(struct prefetch_problem *why, int err, const char *words)
{
	snprintf(why->text, sizeof(why->text), "%s", words);
	return err;
}

int prefetch_list_head(const char *line, size_t len, struct prefetch_problem *ret_why)
{
	struct cursor c = { line + strlen(HEAD), line + len };
	uint64_t version, size;

	if (!prefetch_is_list(line, len) || !number(&c, 10, UINT32_MAX, &version))
		return wrong(ret_why, -EBADMSG, "it is neither a trace nor a list of pages");
	if (version != 1)
		return wrong(ret_why, -EPROTONOSUPPORT, "it is of a later version");
	skip_blanks(&c);
	if (word(&c, "page_size=") && (!number(&c, 10, UINT32_MAX, &size) || size != IMAGE_PAGE))
		return wrong(ret_why, -EBADMSG, "its pages have another size");
	return 0;
}

static bool parse_child(struct cursor *c, struct record *ret)
{
	uint64_t child, parent;

	if (!skip_blanks(c) || !number(c, 10, INT32_MAX, &child) || !child || !skip_blanks(c) ||
	    !number(c, 10, INT32_MAX, &parent) || !parent)
		return false;
	*ret = (struct record){ .kind = RECORD_FORK, .pid = (int32_t)parent,
				.mm = (uint32_t)parent };
	ret->fork.child = (int64_t)child;
	ret->fork.child_mm = (uint32_t)child;
	return true;
}

static bool parse_pages(struct cursor *c, struct record *ret)
{
	uint64_t pid, addr, n;

	if (!number(c, 10, INT32_MAX, &pid) || !pid || !skip_blanks(c))
		return false;
	if (!word(c, "0x"))
		word(c, "0X");
	if (!number(c, 16, UINT64_MAX, &addr) || !skip_blanks(c) ||
	    !number(c, 10, PAGES_MAX, &n) || !n)
		return false;
	*ret = (struct record){ .kind = RECORD_DIRTY, .pid = (int32_t)pid, .mm = (uint32_t)pid,
				.addr = addr, .npages = n };
	return true;
}

int prefetch_list_line(const char *line, size_t len, struct record *ret,
		       struct prefetch_problem *ret_why)
{
	struct cursor c = { line, line + len };
	bool good;

	skip_blanks(&c);
	if (c.at == c.end || *c.at == '#')
		return 0;
	good = word(&c, "child") ? parse_child(&c, ret) : parse_pages(&c, ret);
	skip_blanks(&c);
	if (good && c.at == c.end)
		return 1;
	return wrong(ret_why, -EBADMSG, "it is not \"PID ADDRESS NPAGES\"");
}
