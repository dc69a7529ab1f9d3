/* SPDX-License-Identifier: MIT */
/* Wire: both layouts of the page server's header, byte by byte. */

#include "restore/wire.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "suite.h"

static const struct wire_head get = {
	.cmd = WIRE_GET, .npages = 0x11223344, .vaddr = 0x7f0123456000, .dst = 0x1234,
};

static void test_narrow_bytes(void)
{
	static const uint8_t want[] = {
		0x07, 0, 0, 0, 0x44, 0x33, 0x22, 0x11,
		0x00, 0x60, 0x45, 0x23, 0x01, 0x7f, 0, 0,
		0x34, 0x12, 0, 0, 0, 0, 0, 0,
	};
	uint8_t buf[WIRE_WIDE_SIZE];

	CU_ASSERT_EQUAL(wire_put(WIRE_NARROW, &get, buf), 24);
	CU_ASSERT_EQUAL(memcmp(buf, want, sizeof(want)), 0);
}

static void test_wide_bytes(void)
{
	static const uint8_t want[] = {
		0x07, 0, 0, 0, 0, 0, 0, 0,
		0x44, 0x33, 0x22, 0x11, 0, 0, 0, 0,
		0x00, 0x60, 0x45, 0x23, 0x01, 0x7f, 0, 0,
		0x34, 0x12, 0, 0, 0, 0, 0, 0,
	};
	uint8_t buf[WIRE_WIDE_SIZE];

	memset(buf, 0xff, sizeof(buf));
	CU_ASSERT_EQUAL(wire_put(WIRE_WIDE, &get, buf), 32);
	CU_ASSERT_EQUAL(memcmp(buf, want, sizeof(want)), 0);
}

static void test_round_trip(void)
{
	const struct wire_head all = {
		.cmd = WIRE_FORCE_CLOSE, .flags = WIRE_PRESENT | WIRE_LAZY, .npages = UINT32_MAX,
		.vaddr = UINT64_MAX, .dst = UINT64_MAX - 1,
	};

	for (int layout = WIRE_NARROW; layout <= WIRE_WIDE; layout++) {
		uint8_t buf[WIRE_WIDE_SIZE];
		struct wire_head h;

		CU_ASSERT_EQUAL(wire_put((enum wire_layout)layout, &all, buf),
				(int)wire_size((enum wire_layout)layout));
		wire_get((enum wire_layout)layout, buf, &h);
		CU_ASSERT_EQUAL(h.cmd, all.cmd);
		CU_ASSERT_EQUAL(h.flags, all.flags);
		CU_ASSERT_EQUAL(h.npages, all.npages);
		CU_ASSERT_EQUAL(h.vaddr, all.vaddr);
		CU_ASSERT_EQUAL(h.dst, all.dst);
	}
}

static void test_too_many_for_narrow(void)
{
	struct wire_head h = get;
	uint8_t buf[WIRE_WIDE_SIZE];

	h.npages = UINT64_C(1) << 32;
	CU_ASSERT_EQUAL(wire_put(WIRE_NARROW, &h, buf), -ERANGE);
	CU_ASSERT_EQUAL(wire_put(WIRE_WIDE, &h, buf), 32);
}

/* What a server can tell from the first 24 bytes of a client. */
static void test_guess(void)
{
	static const struct wire_head first[] = {
		{ .cmd = WIRE_GET, .npages = 1, .vaddr = 0x10000, .dst = 1 },
		{ .cmd = WIRE_GET, .npages = 1024, .vaddr = 0x7ffffffff000, .dst = INT32_MAX },
		/* 4096 pages: the number of pages looks like an address */
		{ .cmd = WIRE_GET, .npages = 4096, .vaddr = 0x7f0000000000, .dst = 42 },
		{ .cmd = WIRE_OPEN2, .dst = 42 << 8 | 1 },
		{ .cmd = WIRE_PARENT, .dst = 42 << 8 | 1 },
		{ .cmd = WIRE_OPEN, .dst = 1 << 8 | 2 },
		{ .cmd = WIRE_IDENTITY, .dst = 1 },
	};

	for (size_t i = 0; i < sizeof(first) / sizeof(first[0]); i++) {
		uint8_t buf[WIRE_WIDE_SIZE];

		wire_put(WIRE_NARROW, &first[i], buf);
		CU_ASSERT_EQUAL(wire_guess(buf), WIRE_NARROW);
		wire_put(WIRE_WIDE, &first[i], buf);
		CU_ASSERT_EQUAL(wire_guess(buf), WIRE_WIDE);
		/* The compiler of a client may leave anything in the padding. */
		buf[4] = 1;
		if (first[i].cmd == WIRE_GET && first[i].npages < 4096)
			CU_ASSERT_EQUAL(wire_guess(buf), WIRE_WIDE);
	}
}

static void test_guess_of_a_close(void)
{
	const struct wire_head close = { .cmd = WIRE_CLOSE };
	uint8_t buf[WIRE_WIDE_SIZE];

	wire_put(WIRE_WIDE, &close, buf);
	CU_ASSERT_EQUAL(wire_guess(buf), WIRE_NARROW);
}

static const struct suite_test tests[] = {
	{ "the narrow header, byte by byte", test_narrow_bytes },
	{ "the wide header, byte by byte", test_wide_bytes },
	{ "every field goes and comes back", test_round_trip },
	{ "more pages than 32 bits can say", test_too_many_for_narrow },
	{ "the layout of a client from its first message", test_guess },
	{ "a close as the first message", test_guess_of_a_close },
};

SUITE_MAIN("wire", tests)
