/* SPDX-License-Identifier: MIT */
/* Match: answers held against requests.  See match.h. */

#include "match.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void match_init(struct match *m, enum wire_layout layout)
{
	*m = (struct match){ .layout = layout };
}

int match_ask(struct match *m, struct match_asked *asked)
{
	if (m->n == MATCH_MAX)
		return -EBUSY;
	asked->got = 0;
	m->ring[(m->head + m->n++) % MATCH_MAX] = asked;
	return 0;
}

struct match_asked *match_oldest(const struct match *m)
{
	return m->n ? m->ring[m->head] : NULL;
}

struct match_asked *match_drop(struct match *m)
{
	struct match_asked *a = match_oldest(m);

	if (!a)
		return NULL;
	m->head = (m->head + 1) % MATCH_MAX;
	m->n--;
	return a;
}

int match_room(struct match *m, struct iovec ret[2])
{
	int n = 0;

	if (m->broken)
		return 0;
	if (m->left)
		ret[n++] = (struct iovec){ m->into, m->left };
	ret[n++] = (struct iovec){ m->buf + m->have, wire_size(m->layout) - m->have };
	return n;
}

static int wrong(struct match *m, struct match_error *e, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static int wrong(struct match *m, struct match_error *e, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(e->words, sizeof(e->words), fmt, ap);
	va_end(ap);
	m->broken = true;
	return -EPROTO;
}

/* A whole header is here: is it the answer to the oldest request? */
static int begin_answer(struct match *m, struct match_error *e)
{
	struct match_asked *a = match_oldest(m);
	struct wire_head h;

	wire_get(m->layout, m->buf, &h);
	m->have = 0;
	if (!a)
		return wrong(m, e, "sent an answer that nobody asked for");
	if (h.cmd != WIRE_ADD_F || h.flags != WIRE_PRESENT)
		return wrong(m, e, "answered with command %#x, flags %#x", h.cmd, h.flags);
	if (h.dst != (uint64_t)(uint32_t)a->pid)
		return wrong(m, e, "was asked for pages of %" PRId32 " and sent those of %" PRIu64,
			     a->pid, h.dst);
	if (h.vaddr != a->vaddr)
		return wrong(m, e, "was asked for address %#" PRIx64 " and sent %#" PRIx64,
			     a->vaddr, h.vaddr);
	if (!h.npages || h.npages > a->npages)
		return wrong(m, e, "was asked for %" PRIu32 " pages and sent %" PRIu64, a->npages,
			     h.npages);
	m->left = h.npages * WIRE_PAGE;
	m->into = a->data;
	return 0;
}

int match_take(struct match *m, size_t n, struct match_asked **ret_done,
	       struct match_error *ret_error)
{
	struct match_asked *a = match_oldest(m);
	size_t now;

	*ret_done = NULL;
	if (m->left) {
		now = n < m->left ? n : m->left;
		m->into += now;
		m->left -= now;
		n -= now;
		a->got = (uint32_t)((uint64_t)(m->into - a->data) / WIRE_PAGE);
		if (!m->left)
			*ret_done = match_drop(m);
	}
	m->have += n;
	if (!n || m->have < wire_size(m->layout))
		return *ret_done ? 1 : 0;
	return begin_answer(m, ret_error) < 0 ? -EPROTO : *ret_done ? 1 : 0;
}
