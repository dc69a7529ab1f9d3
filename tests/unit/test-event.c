/* SPDX-License-Identifier: MIT */
/* Event: every kind decoded, everything else refused. */

#include <errno.h>
#include <string.h>

#include "compat/uffd.h"
#include "suite.h"
#include "watch/event.h"

static void test_fault(void)
{
	struct uffd_msg m = { .event = UFFD_EVENT_PAGEFAULT };
	struct event ev;

	m.arg.pagefault.address = 0x7f0000001234;
	m.arg.pagefault.flags = UFFD_PAGEFAULT_FLAG_WRITE | UFFD_PAGEFAULT_FLAG_WP;
	m.arg.pagefault.feat.ptid = 4711;
	CU_ASSERT_EQUAL(event_decode(&m, sizeof(m), &ev), 0);
	CU_ASSERT_EQUAL(ev.kind, EVENT_FAULT);
	CU_ASSERT_EQUAL(ev.fault.addr, 0x7f0000001234);
	CU_ASSERT_EQUAL(ev.fault.ptid, 4711);
	CU_ASSERT(ev.fault.write && ev.fault.wp && !ev.fault.minor);

	m.arg.pagefault.flags = UFFD_PAGEFAULT_FLAG_MINOR;
	CU_ASSERT_EQUAL(event_decode(&m, sizeof(m), &ev), 0);
	CU_ASSERT(!ev.fault.write && !ev.fault.wp && ev.fault.minor);
}

static void test_layout(void)
{
	struct uffd_msg m = { .event = UFFD_EVENT_REMAP };
	struct event ev;

	m.arg.remap.from = 0x10000;
	m.arg.remap.to = 0x90000;
	m.arg.remap.len = 0x8000;
	CU_ASSERT_EQUAL(event_decode(&m, sizeof(m), &ev), 0);
	CU_ASSERT_EQUAL(ev.kind, EVENT_REMAP);
	CU_ASSERT_EQUAL(ev.remap.from.lo, 0x10000);
	CU_ASSERT_EQUAL(ev.remap.from.hi, 0x18000);
	CU_ASSERT_EQUAL(ev.remap.to, 0x90000);

	m = (struct uffd_msg){ .event = UFFD_EVENT_REMOVE };
	m.arg.remove.start = 0x1000;
	m.arg.remove.end = 0x3000;
	CU_ASSERT_EQUAL(event_decode(&m, sizeof(m), &ev), 0);
	CU_ASSERT_EQUAL(ev.kind, EVENT_REMOVE);
	CU_ASSERT_EQUAL(range_len(ev.span), 0x2000);
	m.event = UFFD_EVENT_UNMAP;
	CU_ASSERT_EQUAL(event_decode(&m, sizeof(m), &ev), 0);
	CU_ASSERT_EQUAL(ev.kind, EVENT_UNMAP);

	m = (struct uffd_msg){ .event = UFFD_EVENT_FORK };
	m.arg.fork.ufd = 17;
	CU_ASSERT_EQUAL(event_decode(&m, sizeof(m), &ev), 0);
	CU_ASSERT_EQUAL(ev.kind, EVENT_FORK);
	CU_ASSERT_EQUAL(ev.fork.fd, 17);
}

static void test_refused(void)
{
	struct uffd_msg m = { .event = UFFD_EVENT_REMOVE };
	struct event ev;

	CU_ASSERT_EQUAL(event_decode(&m, sizeof(m) - 1, &ev), -EBADMSG);
	CU_ASSERT_EQUAL(event_decode(&m, 0, &ev), -EBADMSG);
	m.arg.remove.start = 2;
	m.arg.remove.end = 1;
	CU_ASSERT_EQUAL(event_decode(&m, sizeof(m), &ev), -EBADMSG);
	m.event = 0xff;
	CU_ASSERT_EQUAL(event_decode(&m, sizeof(m), &ev), -EBADMSG);

	m = (struct uffd_msg){ .event = UFFD_EVENT_REMAP };
	m.arg.remap.from = UINT64_MAX - 0xfff;
	m.arg.remap.len = 0x2000;
	CU_ASSERT_EQUAL(event_decode(&m, sizeof(m), &ev), -EBADMSG);
	m.arg.remap.from = 0x1000;
	m.arg.remap.to = UINT64_MAX - 0xfff;
	CU_ASSERT_EQUAL(event_decode(&m, sizeof(m), &ev), -EBADMSG);
}

/* Whatever the bytes, no answer is an inverted range. */
static void test_noise(void)
{
	unsigned char buf[EVENT_SIZE];
	struct event ev;
	unsigned int seed = 1, good = 0;

	for (int i = 0; i < 200000; i++) {
		for (size_t j = 0; j < sizeof(buf); j++)
			buf[j] = (unsigned char)rand_r(&seed);
		buf[0] = (unsigned char)(UFFD_EVENT_PAGEFAULT + rand_r(&seed) % 6);
		if (event_decode(buf, sizeof(buf), &ev) < 0)
			continue;
		good++;
		if (ev.kind == EVENT_REMOVE || ev.kind == EVENT_UNMAP)
			CU_ASSERT_FATAL(ev.span.lo <= ev.span.hi);
		if (ev.kind == EVENT_REMAP)
			CU_ASSERT_FATAL(ev.remap.from.lo <= ev.remap.from.hi);
	}
	CU_ASSERT(good > 1000);
}

static const struct suite_test tests[] = {
	{ "faults", test_fault },
	{ "layout events and forks", test_layout },
	{ "what is refused", test_refused },
	{ "random bytes", test_noise },
};

SUITE_MAIN("event", tests)
