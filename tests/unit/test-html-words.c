/* SPDX-License-Identifier: MIT */
/*
 * HTML, words: what a page says of each kind of event, and of what the trace lacks.
 */

#include <signal.h>

#include "html-made.h"

/* The words of the i-th event, whether it is a bad one, and its process. */
static void event_is(json_t *o, size_t i, const char *words, bool bad, const char *process)
{
	json_t *e = json_array_get(json_object_get(json_object_get(o, "events"), "list"), i);

	CU_ASSERT_STRING_EQUAL(json_string_value(json_array_get(e, 3)), words);
	CU_ASSERT_EQUAL(json_is_true(json_array_get(e, 4)), bad);
	CU_ASSERT_STRING_EQUAL(json_string_value(json_array_get(e, 1)), process);
}

static void test_ends_of_processes(void)
{
	json_t *o;

	begin();
	feed((struct record){ .kind = RECORD_ATTACH, .ts = 1,
			      .attach = { .stop_ns = 612000, .threads = 6, .vmas = 65 },
			      .text = record_text_new("redis", 5, "/usr/bin/re\033dis", 15) });
	feed((struct record){ .kind = RECORD_EXEC, .ts = 2, .mm = 9,
			      .text = record_text_new("cat", 3, "/bin/cat", 8) });
	feed((struct record){ .kind = RECORD_FORK, .ts = 3,
			      .fork = { .child = RECORD_UNKNOWN } });
	feed((struct record){ .kind = RECORD_EXIT, .ts = 4, .pid = 4300, .mm = 2,
			      .exit = { .signal = SIGKILL, .code = RECORD_UNKNOWN } });
	feed((struct record){ .kind = RECORD_EXIT, .ts = 5, .pid = 4301, .mm = 3,
			      .exit = { .signal = RECORD_UNKNOWN, .code = 3 } });
	feed((struct record){ .kind = RECORD_EXIT, .ts = 6, .pid = 4302, .mm = 4,
			      .exit = { .signal = RECORD_UNKNOWN, .code = RECORD_UNKNOWN } });
	feed((struct record){ .kind = RECORD_DETACH, .ts = 7,
			      .detach = { .reason = DETACH_EXIT, .clean = true } });
	feed((struct record){ .kind = RECORD_DETACH, .ts = 8,
			      .detach = { .reason = DETACH_ERROR } });
	o = data();
	CU_ASSERT_EQUAL(number(json_object_get(o, "events"), "left_out"), 0);
	event_is(o, 0, "6 threads, 65 mappings, stopped 612 us: /usr/bin/re\\x1bdis", false,
		 "redis 4242");
	event_is(o, 1, "/bin/cat", false, "4242");
	event_is(o, 2, "a child, not watched", true, "redis 4242");
	event_is(o, 3, "killed by SIGKILL", false, "4300");
	event_is(o, 4, "status 3", false, "4301");
	event_is(o, 5, "nobody knows with which status", false, "4302");
	event_is(o, 6, "exit", false, "redis 4242");
	event_is(o, 7, "error, not in order", true, "redis 4242");
	json_decref(o);
	done();
}

static void test_events_of_memory(void)
{
	json_t *o;

	begin();
	add_vma(1, BASE, 1000, "x", 1);
	feed((struct record){ .kind = RECORD_REMAP, .ts = 2, .addr = BASE, .npages = 1,
			      .remap.new_addr = BASE + 5000 * (uint64_t)PAGE });
	feed((struct record){ .kind = RECORD_GAP, .ts0 = 1000, .ts = 3000,
			      .gap.reason = GAP_STALL });
	feed((struct record){ .kind = RECORD_LOST, .ts = 4,
			      .lost = { .n = 1, .reason = LOST_RING } });
	feed((struct record){ .kind = RECORD_LOST, .ts = 5,
			      .lost = { .n = RECORD_UNKNOWN, .reason = LOST_NETLINK } });
	feed((struct record){ .kind = RECORD_BUDGET, .ts = 6, .budget = { .budget_ppm = 50000,
			      .slowdown_ppm = 125000, .epoch_ns = 400000000 } });
	feed((struct record){ .kind = RECORD_BUDGET, .ts = 7, .budget = { .budget_ppm = 50000,
			      .slowdown_ppm = 300000, .resting = true } });
	feed((struct record){ .kind = RECORD_ERROR, .ts = 8,
			      .text = record_text_new("register", 8, "no\n", 3) });
	o = data();
	event_is(o, 0, "1 page at 0x7f0000000000 of x moved to 0x7f0001388000", false, "4242");
	event_is(o, 1, "stall, 2.0 us: the whole address space", true, "4242");
	event_is(o, 2, "1 record: ring", true, "4242");
	event_is(o, 3, "nobody can tell how many records: netlink", true, "4242");
	event_is(o, 4, "slower by 12.5 %, allowed are 5.0 %; a collection each 400 ms", false,
		 "4242");
	event_is(o, 5, "slower by 30.0 %, allowed are 5.0 %; nothing is watched for a while",
		 false, "4242");
	event_is(o, 6, "register: no\\x0a", true, "4242");
	json_decref(o);
	done();
}

/* The page says so in one of its losses; without words: there are none. */
static void loses(const char *words)
{
	json_t *o = data(), *losses = json_object_get(o, "losses");
	bool found = false;

	for (size_t i = 0; i < json_array_size(losses); i++) {
		const char *s = json_string_value(json_array_get(losses, i));

		found |= words && !strcmp(s, words);
		if (!words)
			printf("%s\n", s);
	}
	CU_ASSERT_EQUAL(found, words != NULL);
	CU_ASSERT(words || !json_array_size(losses));
	json_decref(o);
}

static void test_what_the_file_lacks(void)
{
	begin();
	add_vma(1, BASE, 1000, "x", 1);
	add_write(1, BASE, 1000, 7);
	loses(NULL);
	end.cut = true;
	end.cut_offset = 12345;
	loses("the trace is cut off behind byte 12,345: this is about the 2 records before");
	end.damaged = true;
	loses("the trace is damaged behind byte 12,345: this is about the 2 records before");
	end.cut = end.damaged = end.complete = false;
	loses("the trace has no end: its last record is no detach");
	end.complete = true;
	end.missing = 1000;
	loses("1,000 records are missing in the file");
	end.unreadable = 3;
	end.unreadable_line = 77;
	loses("3 lines are no records and were left out, the first is line 77");
	done();
}

static void test_what_was_too_much(void)
{
	begin();
	add_vma(1, BASE, 1000, "x", 1);
	add_write(1, BASE, 1000, 7);
	/* More than a process can have. */
	feed((struct record){ .kind = RECORD_DIRTY, .ts = 2000, .addr = BASE,
			      .npages = UINT64_C(1) << 52, .dirty.vma = 1 });
	CU_ASSERT(tally->unreported > 0);
	loses("4,503,599,627,370,496 pages of records that name more than any memory are left "
	      "out");
	tally->pages.left_out = 2;
	loses("2 writes are of pages too many to count each: see pagetap-report(1)");
	tally->heat.left_out = 5;
	loses("5 writes have no place in the heat map");
	feed((struct record){ .kind = RECORD_GAP, .ts0 = 1000, .ts = 3000,
			      .gap.reason = GAP_STALL });
	loses("1 gap of 2.0 us: pagetap itself was held up (stall)");
	feed((struct record){ .kind = RECORD_LOST, .ts = 5,
			      .lost = { .n = 1, .reason = LOST_RING } });
	loses("1 record lost: the output was too slow (ring)");
	feed((struct record){ .kind = RECORD_LOST, .ts = 5,
			      .lost = { .n = RECORD_UNKNOWN, .reason = LOST_RING } });
	loses("at least 1 record lost: the output was too slow (ring)");
	done();
}

static const struct suite_test tests[] = {
	{ "processes and their ends", test_ends_of_processes },
	{ "events of memory", test_events_of_memory },
	{ "what the file lacks", test_what_the_file_lacks },
	{ "what was too much", test_what_was_too_much },
};

SUITE_MAIN("html words", tests)
