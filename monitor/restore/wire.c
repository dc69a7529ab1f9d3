/* SPDX-License-Identifier: MIT */
/* Wire: headers of the page server's protocol.  See wire.h. */

#include "wire.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

/* As the compiler lays out CRIU's struct; the sizes are the contract. */
struct narrow {
	uint32_t cmd;
	uint32_t npages;
	uint64_t vaddr;
	uint64_t dst;
};

struct wide {
	uint32_t cmd;
	uint32_t padding;
	uint64_t npages;
	uint64_t vaddr;
	uint64_t dst;
};

_Static_assert(sizeof(struct narrow) == WIRE_NARROW_SIZE, "header of CRIU up to 4.1");
_Static_assert(sizeof(struct wide) == WIRE_WIDE_SIZE, "header of CRIU since 4.2");

int wire_put(enum wire_layout layout, const struct wire_head *head, uint8_t buf[WIRE_WIDE_SIZE])
{
	uint32_t cmd = (uint32_t)head->cmd | (uint32_t)head->flags << 16;

	if (layout == WIRE_WIDE) {
		struct wide w = {
			.cmd = cmd, .npages = head->npages, .vaddr = head->vaddr, .dst = head->dst,
		};

		memcpy(buf, &w, sizeof(w));
		return sizeof(w);
	}
	if (head->npages > UINT32_MAX)
		return -ERANGE;
	struct narrow n = {
		.cmd = cmd, .npages = (uint32_t)head->npages, .vaddr = head->vaddr,
		.dst = head->dst,
	};

	memcpy(buf, &n, sizeof(n));
	return sizeof(n);
}

void wire_get(enum wire_layout layout, const uint8_t *buf, struct wire_head *ret)
{
	struct wire_head h = { 0 };
	uint32_t cmd;

	memcpy(&cmd, buf, sizeof(cmd));
	h.cmd = (uint16_t)cmd;
	h.flags = (uint16_t)(cmd >> 16);
	if (layout == WIRE_WIDE) {
		struct wide w;

		memcpy(&w, buf, sizeof(w));
		h.npages = w.npages;
		h.vaddr = w.vaddr;
		h.dst = w.dst;
	} else {
		struct narrow n;

		memcpy(&n, buf, sizeof(n));
		h.npages = n.npages;
		h.vaddr = n.vaddr;
		h.dst = n.dst;
	}
	*ret = h;
}

/* Could somebody mean this by a header of the narrow layout? */
static bool narrow_makes_sense(const struct wire_head *h)
{
	if (h->cmd == WIRE_GET)
		return h->npages && h->vaddr && !(h->vaddr % WIRE_PAGE) && h->dst <= INT32_MAX;
	/* Of a wide one these are the number of pages (none) and the address (none). */
	if (h->cmd == WIRE_OPEN || h->cmd == WIRE_OPEN2 || h->cmd == WIRE_PARENT ||
	    h->cmd == WIRE_IDENTITY)
		return h->dst != 0;
	return true;
}

enum wire_layout wire_guess(const uint8_t buf[WIRE_NARROW_SIZE])
{
	struct wire_head h;

	wire_get(WIRE_NARROW, buf, &h);
	return narrow_makes_sense(&h) ? WIRE_NARROW : WIRE_WIDE;
}
