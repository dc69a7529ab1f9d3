/* SPDX-License-Identifier: MIT */
/*
 * Fuzz: a page server that may send anything.
 *
 * The first bytes say the layout and what was asked, the rest is what comes.  Whatever it
 * is, no byte lands outside of the buffers (the sanitizer sees to that), pages count only
 * if the headers were right, and nothing is taken after a wrong one.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "restore/match.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ASKED 4u

static void feed(struct match *m, const uint8_t *data, size_t size, size_t step)
{
	while (size) {
		struct match_asked *done;
		struct match_error e;
		struct iovec room[2];
		int n = match_room(m, room), r;
		size_t now = 0;

		if (n < 1)
			abort();
		for (int i = 0; i < n && now < step && size; i++) {
			size_t k = room[i].iov_len;

			k = k < size ? k : size;
			k = k < step - now ? k : step - now;
			memcpy(room[i].iov_base, data, k);
			data += k;
			size -= k;
			now += k;
			if (k < room[i].iov_len)
				break;
		}
		r = match_take(m, now, &done, &e);
		if (done && (!done->got || done->got > done->npages))
			abort();
		if (r == -EPROTO && match_room(m, room))
			abort();
		if (r == -EPROTO)
			return;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct match_asked asked[ASKED];
	struct match m;
	size_t step;

	if (size < 2)
		return 0;
	match_init(&m, data[0] & 1 ? WIRE_WIDE : WIRE_NARROW);
	step = 1 + (size_t)data[1] * 64;
	for (unsigned int i = 0; i < ASKED; i++) {
		asked[i] = (struct match_asked){
			.pid = 1, .vaddr = 0x10000 + i * 0x1000, .npages = 1 + i % 2,
		};
		asked[i].data = malloc(asked[i].npages * WIRE_PAGE);
		match_ask(&m, &asked[i]);
	}
	feed(&m, data + 2, size - 2, step);
	for (unsigned int i = 0; i < ASKED; i++) {
		if (asked[i].got > asked[i].npages)
			abort();
		free(asked[i].data);
	}
	return 0;
}
