/* SPDX-License-Identifier: MIT */
/* Match: honest answers in every cut, and each lie that a page server could tell. */

#include "restore/match.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "suite.h"

#define PID 77
#define BASE UINT64_C(0x7f0000400000)

/* What a server sends, byte after byte. */
struct script {
	uint8_t *v;
	size_t n;
};

static void say(struct script *s, enum wire_layout layout, const struct wire_head *h)
{
	uint8_t buf[WIRE_WIDE_SIZE];
	int n = wire_put(layout, h, buf);

	s->v = realloc(s->v, s->n + (size_t)n);
	memcpy(s->v + s->n, buf, (size_t)n);
	s->n += (size_t)n;
}

/* Page i of the answer says its own address. */
static void say_pages(struct script *s, uint64_t vaddr, uint64_t npages)
{
	s->v = realloc(s->v, s->n + npages * WIRE_PAGE);
	for (uint64_t i = 0; i < npages; i++)
		for (size_t w = 0; w < WIRE_PAGE; w += sizeof(uint64_t)) {
			uint64_t v = vaddr + i * WIRE_PAGE + w;

			memcpy(s->v + s->n + i * WIRE_PAGE + w, &v, sizeof(v));
		}
	s->n += npages * WIRE_PAGE;
}

static void answer(struct script *s, enum wire_layout layout, uint64_t vaddr, uint64_t npages)
{
	const struct wire_head h = {
		.cmd = WIRE_ADD_F, .flags = WIRE_PRESENT, .npages = npages, .vaddr = vaddr,
		.dst = PID,
	};

	say(s, layout, &h);
	say_pages(s, vaddr, npages);
}

static bool pages_right(const struct match_asked *a)
{
	for (uint64_t at = 0; at < a->got * WIRE_PAGE; at += sizeof(uint64_t)) {
		uint64_t v;

		memcpy(&v, a->data + at, sizeof(v));
		if (v != a->vaddr + at)
			return false;
	}
	return true;
}

static struct match m;
static struct match_error e;

static void asked(struct match_asked *a, uint64_t vaddr, uint32_t npages)
{
	*a = (struct match_asked){ .pid = PID, .vaddr = vaddr, .npages = npages };
	a->data = calloc(npages, WIRE_PAGE);
	CU_ASSERT_EQUAL(match_ask(&m, a), 0);
}

/* Feed the script, at most `step` bytes at a time; the number of answers, or -EPROTO. */
static int feed(const struct script *s, size_t step)
{
	int done = 0;

	for (size_t at = 0; at < s->n;) {
		struct match_asked *a;
		struct iovec room[2];
		int n = match_room(&m, room), r;
		size_t now = 0;

		CU_ASSERT_FATAL(n >= 1);
		for (int i = 0; i < n && at < s->n && now < step; i++) {
			size_t k = room[i].iov_len;

			CU_ASSERT_FATAL(k > 0);
			if (k > s->n - at)
				k = s->n - at;
			if (k > step - now)
				k = step - now;
			memcpy(room[i].iov_base, s->v + at, k);
			at += k;
			now += k;
			if (k < room[i].iov_len)
				break;
		}
		r = match_take(&m, now, &a, &e);
		if (a)
			done++;
		if (r < 0)
			return r;
		CU_ASSERT_EQUAL(r == 1, a != NULL);
	}
	return done;
}

static void test_every_cut(void)
{
	static const size_t steps[] = { 1, 7, 23, 24, 31, 32, 33, 4095, 4096, 4120, 9000, 1 << 20 };

	for (int layout = WIRE_NARROW; layout <= WIRE_WIDE; layout++)
		for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
			struct match_asked a[3];
			struct script s = { 0 };

			match_init(&m, (enum wire_layout)layout);
			asked(&a[0], BASE, 1);
			asked(&a[1], BASE + 0x100000, 5);
			asked(&a[2], BASE - 0x2000, 2);
			answer(&s, m.layout, BASE, 1);
			answer(&s, m.layout, BASE + 0x100000, 5);
			answer(&s, m.layout, BASE - 0x2000, 2);
			CU_ASSERT_EQUAL(feed(&s, steps[i]), 3);
			CU_ASSERT_PTR_NULL(match_oldest(&m));
			for (int k = 0; k < 3; k++) {
				CU_ASSERT_EQUAL(a[k].got, a[k].npages);
				CU_ASSERT(pages_right(&a[k]));
				free(a[k].data);
			}
			free(s.v);
		}
}

static void test_fewer_pages(void)
{
	struct match_asked a, b;
	struct script s = { 0 };

	match_init(&m, WIRE_NARROW);
	asked(&a, BASE, 8);
	asked(&b, BASE + 0x9000, 1);
	answer(&s, m.layout, BASE, 3);
	answer(&s, m.layout, BASE + 0x9000, 1);
	CU_ASSERT_EQUAL(feed(&s, SIZE_MAX), 2);
	CU_ASSERT_EQUAL(a.got, 3);
	CU_ASSERT_EQUAL(b.got, 1);
	CU_ASSERT(pages_right(&a) && pages_right(&b));
	free(a.data);
	free(b.data);
	free(s.v);
}

/* Cut off in the middle: only whole pages count. */
static void test_cut_off(void)
{
	struct match_asked a;
	struct script s = { 0 };

	match_init(&m, WIRE_WIDE);
	asked(&a, BASE, 8);
	answer(&s, m.layout, BASE, 8);
	s.n = WIRE_WIDE_SIZE + 3 * WIRE_PAGE + 4095;
	CU_ASSERT_EQUAL(feed(&s, 1000), 0);
	CU_ASSERT_PTR_EQUAL(match_drop(&m), &a);
	CU_ASSERT_EQUAL(a.got, 3);
	CU_ASSERT(pages_right(&a));
	CU_ASSERT_PTR_NULL(match_drop(&m));
	free(a.data);
	free(s.v);
}

/* Each row changes one thing of the right answer. */
static const struct {
	const char *what;
	struct wire_head h;
	const char *words;
} lies[] = {
	{ "another command", { WIRE_GET, WIRE_PRESENT, 4, BASE, PID }, "answered with command" },
	{ "no flag", { WIRE_ADD_F, 0, 4, BASE, PID }, "flags 0" },
	{ "another flag", { WIRE_ADD_F, WIRE_PRESENT | WIRE_LAZY, 4, BASE, PID }, "flags 0x6" },
	{ "another process", { WIRE_ADD_F, WIRE_PRESENT, 4, BASE, PID + 1 }, "sent those of 78" },
	{ "a type in the pid", { WIRE_ADD_F, WIRE_PRESENT, 4, BASE, PID << 8 | 1 }, "sent those" },
	{ "address one page on", { WIRE_ADD_F, WIRE_PRESENT, 4, BASE + 0x1000, PID }, "address" },
	{ "address one byte on", { WIRE_ADD_F, WIRE_PRESENT, 4, BASE + 1, PID }, "address" },
	{ "address of the kernel", { WIRE_ADD_F, WIRE_PRESENT, 4, 1ULL << 63, PID }, "address" },
	{ "no page", { WIRE_ADD_F, WIRE_PRESENT, 0, BASE, PID }, "asked for 4 pages and sent 0" },
	{ "one page more", { WIRE_ADD_F, WIRE_PRESENT, 5, BASE, PID }, "sent 5" },
	{ "2^32-1 pages", { WIRE_ADD_F, WIRE_PRESENT, UINT32_MAX, BASE, PID }, "sent 4294967295" },
};

static void test_lies(void)
{
	for (int layout = WIRE_NARROW; layout <= WIRE_WIDE; layout++)
		for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
			struct match_asked a;
			struct script s = { 0 };
			struct iovec room[2];

			match_init(&m, (enum wire_layout)layout);
			asked(&a, BASE, 4);
			say(&s, m.layout, &lies[i].h);
			say_pages(&s, BASE, 8);
			CU_ASSERT_EQUAL(feed(&s, SIZE_MAX), -EPROTO);
			if (!strstr(e.words, lies[i].words)) {
				CU_FAIL("words");
				printf("%s: %s\n", lies[i].what, e.words);
			}
			CU_ASSERT_EQUAL(a.got, 0);
			CU_ASSERT_EQUAL(match_room(&m, room), 0);
			/* Not one byte of it went to where the page was wanted. */
			for (size_t k = 0; k < 4 * WIRE_PAGE; k++)
				if (a.data[k]) {
					CU_FAIL("a byte was written");
					break;
				}
			free(a.data);
			free(s.v);
		}
}

static void test_wide_lies(void)
{
	const struct wire_head h = {
		.cmd = WIRE_ADD_F, .flags = WIRE_PRESENT, .npages = (UINT64_C(1) << 52) + 1,
		.vaddr = BASE, .dst = PID,
	};
	struct match_asked a;
	struct script s = { 0 };

	/* Times 4096 this is one page in 64 bits. */
	match_init(&m, WIRE_WIDE);
	asked(&a, BASE, 4);
	say(&s, m.layout, &h);
	CU_ASSERT_EQUAL(feed(&s, SIZE_MAX), -EPROTO);
	free(a.data);
	free(s.v);
}

static void test_wrong_order(void)
{
	struct match_asked a, b;
	struct script s = { 0 };

	match_init(&m, WIRE_NARROW);
	asked(&a, BASE, 1);
	asked(&b, BASE + 0x1000, 1);
	answer(&s, m.layout, BASE + 0x1000, 1);
	answer(&s, m.layout, BASE, 1);
	CU_ASSERT_EQUAL(feed(&s, SIZE_MAX), -EPROTO);
	CU_ASSERT_EQUAL(a.got + b.got, 0);
	free(a.data);
	free(b.data);
	free(s.v);
}

static void test_twice(void)
{
	struct match_asked a;
	struct script s = { 0 };

	match_init(&m, WIRE_NARROW);
	asked(&a, BASE, 1);
	answer(&s, m.layout, BASE, 1);
	answer(&s, m.layout, BASE, 1);
	/* The first one is good, the second is one that nobody asked for. */
	CU_ASSERT_EQUAL(feed(&s, SIZE_MAX), -EPROTO);
	CU_ASSERT_STRING_EQUAL(e.words, "sent an answer that nobody asked for");
	CU_ASSERT_EQUAL(a.got, 1);
	CU_ASSERT(pages_right(&a));
	free(a.data);
	free(s.v);
}

static void test_unasked(void)
{
	struct script s = { 0 };

	match_init(&m, WIRE_NARROW);
	answer(&s, m.layout, BASE, 1);
	CU_ASSERT_EQUAL(feed(&s, 5), -EPROTO);
	free(s.v);
}

/* More data than the header said is the header of the next answer, and a wrong one. */
static void test_extra_data(void)
{
	struct match_asked a, b;
	struct script s = { 0 };

	match_init(&m, WIRE_WIDE);
	asked(&a, BASE, 1);
	asked(&b, BASE + 0x1000, 1);
	answer(&s, m.layout, BASE, 1);
	say_pages(&s, BASE, 1);
	CU_ASSERT_EQUAL(feed(&s, 4096), -EPROTO);
	CU_ASSERT_EQUAL(a.got, 1);
	CU_ASSERT_EQUAL(b.got, 0);
	free(a.data);
	free(b.data);
	free(s.v);
}

static void test_full(void)
{
	static struct match_asked many[MATCH_MAX + 1];

	match_init(&m, WIRE_NARROW);
	for (unsigned int i = 0; i < MATCH_MAX; i++)
		CU_ASSERT_EQUAL(match_ask(&m, &many[i]), 0);
	CU_ASSERT_EQUAL(match_ask(&m, &many[MATCH_MAX]), -EBUSY);
	for (unsigned int i = 0; i < MATCH_MAX; i++)
		CU_ASSERT_PTR_EQUAL(match_drop(&m), &many[i]);
	CU_ASSERT_EQUAL(match_ask(&m, &many[MATCH_MAX]), 0);
	CU_ASSERT_PTR_EQUAL(match_oldest(&m), &many[MATCH_MAX]);
}

static const struct suite_test tests[] = {
	{ "answers in pieces of every size", test_every_cut },
	{ "fewer pages than asked for", test_fewer_pages },
	{ "a connection cut off", test_cut_off },
	{ "lies of a header", test_lies },
	{ "numbers that overflow", test_wide_lies },
	{ "answers in the wrong order", test_wrong_order },
	{ "an answer twice", test_twice },
	{ "an answer to nothing", test_unasked },
	{ "more data than announced", test_extra_data },
	{ "as many requests as fit", test_full },
};

SUITE_MAIN("match", tests)
