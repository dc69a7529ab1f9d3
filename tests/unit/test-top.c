/* SPDX-License-Identifier: MIT */
/*
 * Top: rates of intervals, what a session comes to, and the layout of the screen.
 *
 * link: -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=strdup
 */

#include <errno.h>
#include <string.h>

#include "report/pulse.h"
#include "report/watched.h"
#include "starve.h"
#include "suite.h"
#include "top-view.h"

#define SEC UINT64_C(1000000000)

static struct watched *w;
static struct screen screen;
static char text[8192];

static void begin(enum tally_engine engine, live_code code)
{
	struct watched_opts o = {
		.page_size = 4096, .engine = engine, .writes = true, .epoch_ns = SEC, .code = code,
	};

	w = watched_free(w);
	CU_ASSERT_EQUAL_FATAL(watched_new(&w, &o), 0);
}

/* Takes the text of r. */
static void tell(struct record r)
{
	CU_ASSERT_EQUAL(watched_record(w, &r), 0);
	record_release(&r);
}

static struct record of(uint8_t kind, uint64_t ts)
{
	return (struct record){ .kind = kind, .pid = 7, .mm = 1, .ts = ts };
}

static void tell_layout(void)
{
	static const struct {
		const char *name;
		uint64_t page, npages;
		uint8_t kind;
	} maps[] = {
		{ "[heap]", 16, 64, VMA_KIND_HEAP },
		{ "", 100, 50, VMA_KIND_ANON },
		{ "/tmp/\033[2Jevil", 200, 50, VMA_KIND_FILE },
	};
	struct record r = of(RECORD_ATTACH, 0);

	r.text = record_text_new("demo", 4, "/bin/demo", 9);
	tell(r);
	for (uint32_t i = 0; i < 3; i++) {
		r = of(RECORD_VMA, 0);
		r.addr = maps[i].page << 12;
		r.npages = maps[i].npages;
		r.vma.id = i + 1;
		r.vma.kind = maps[i].kind;
		r.vma.watch = true;
		r.text = record_text_new(maps[i].name, strlen(maps[i].name), NULL, 0);
		tell(r);
	}
}

static void tell_dirty(uint32_t id, uint64_t page, uint64_t npages, uint64_t t0, uint64_t ts)
{
	struct record r = of(RECORD_DIRTY, ts);

	r.ts0 = t0;
	r.addr = page << 12;
	r.npages = npages;
	r.dirty.vma = id;
	tell(r);
}

static void tell_fault(uint8_t via, int32_t tid, uint64_t ip)
{
	struct record r = of(RECORD_FAULT, SEC);

	r.addr = 16 << 12;
	r.npages = 1;
	r.fault.kind = FAULT_WP;
	r.fault.via = via;
	r.fault.write = true;
	r.fault.tid = tid;
	r.fault.vma = 1;
	r.fault.ip = ip;
	tell(r);
}

static void test_pulse(void)
{
	struct pulse p = { .closed = 0 };

	for (unsigned int i = 0; i < 10; i++)
		CU_ASSERT_EQUAL(pulse_add(&p, 1, 2, 5), 0);
	CU_ASSERT_EQUAL(pulse_add(&p, 3, 0, 1), 0);
	CU_ASSERT_EQUAL(p.rows[0].rate, 0);
	pulse_close(&p, SEC / 2);
	CU_ASSERT_EQUAL(p.rows[0].rate, 100);
	CU_ASSERT_EQUAL(p.rows[0].last, 50);
	CU_ASSERT_EQUAL(p.all.rate, 102);
	pulse_close(&p, SEC);
	CU_ASSERT_EQUAL(p.rows[0].rate, 0);
	CU_ASSERT_EQUAL(p.rows[0].total, 50);
	pulse_add(&p, 1, 2, 1);
	/* Once in ten seconds is more than never. */
	pulse_close(&p, 10 * SEC);
	CU_ASSERT_EQUAL(p.rows[0].rate, 1);
	CU_ASSERT_EQUAL(pulse_past(&p, &p.rows[0], 0), 1);
	CU_ASSERT_EQUAL(pulse_past(&p, &p.rows[0], 1), 0);
	CU_ASSERT_EQUAL(pulse_past(&p, &p.rows[0], 2), 100);
	CU_ASSERT_EQUAL(pulse_past(&p, &p.rows[0], 3), 0);
	CU_ASSERT_EQUAL(pulse_past(&p, &p.rows[0], PULSE_STRIP), 0);
	for (unsigned int i = 0; i < PULSE_STRIP; i++)
		pulse_close(&p, SEC);
	CU_ASSERT_EQUAL(pulse_past(&p, &p.rows[0], PULSE_STRIP - 1), 0);
	/* What is too much is one row, and none is lost. */
	for (uint64_t i = 0; i < 2 * PULSE_ROWS_MAX; i++)
		CU_ASSERT_EQUAL_FATAL(pulse_add(&p, i, 99, 1), 0);
	CU_ASSERT_EQUAL(p.keys.n, PULSE_ROWS_MAX + 1);
	CU_ASSERT_EQUAL(p.rows[PULSE_ROWS_MAX].now, PULSE_ROWS_MAX + 2);
	CU_ASSERT_EQUAL(p.all.now, 2 * PULSE_ROWS_MAX);
	pulse_done(&p);
}

/* Rates are those from one collection to the next, whenever somebody looks. */
static void test_collections(void)
{
	begin(TALLY_ASYNC, NULL);
	tell_layout();
	CU_ASSERT_FALSE(watched_close(w, SEC));
	/* The first comes at once: of a tenth of a millisecond nobody makes a rate. */
	tell_dirty(1, 16, 0, SEC / 10, SEC / 10 + 100000);
	CU_ASSERT_FALSE(watched_close(w, SEC));
	tell_dirty(1, 16, 30, SEC / 10, SEC + SEC / 10);
	tell_dirty(2, 100, 10, SEC / 10, SEC + SEC / 10);
	/* It may not be done yet. */
	CU_ASSERT_FALSE(watched_close(w, SEC + SEC / 10 + SEC / 50));
	CU_ASSERT(watched_close(w, SEC + SEC / 5));
	CU_ASSERT_EQUAL(w->mappings.all.rate, 40);
	CU_ASSERT_EQUAL(w->mappings.covered_ns, SEC);
	CU_ASSERT_FALSE(watched_close(w, 2 * SEC));
	CU_ASSERT_EQUAL(w->mappings.all.rate, 40);
	/* Two of them between two looks. */
	tell_dirty(1, 16, 30, SEC + SEC / 10, 2 * SEC + SEC / 10);
	tell_dirty(1, 16, 30, 2 * SEC + SEC / 10, 3 * SEC + SEC / 10);
	CU_ASSERT(watched_close(w, 3 * SEC + SEC / 2));
	CU_ASSERT_EQUAL(w->mappings.all.rate, 30);
	/* A silence that lasts is one. */
	CU_ASSERT_FALSE(watched_close(w, 5 * SEC));
	CU_ASSERT(watched_close(w, 6 * SEC));
	CU_ASSERT_EQUAL(w->mappings.all.rate, 0);
	CU_ASSERT_EQUAL(w->mappings.all.total, 100);
}

static bool a_name(void *arg, const struct model_vma *v, uint64_t ip, char *buf, size_t cap)
{
	(void)arg;
	(void)v;
	snprintf(buf, cap, "%s (demo)", ip & 0x100 ? "push" : "pop\033");
	return true;
}

/* A witness tells who, and not once more what. */
static void test_witnesses(void)
{
	begin(TALLY_ASYNC, a_name);
	tell_layout();
	tell_dirty(1, 16, 4, 0, SEC);
	tell_fault(VIA_PERF, 7, 0x100);
	tell_fault(VIA_PERF, 8, 0x104);
	tell_fault(VIA_PERF, 8, 0x200);
	CU_ASSERT(watched_close(w, SEC + SEC / 10));
	CU_ASSERT_EQUAL(w->mappings.all.last, 4);
	CU_ASSERT_EQUAL(w->threads.keys.n, 2);
	CU_ASSERT_EQUAL(w->threads.rows[1].last, 2);
	CU_ASSERT_EQUAL(w->code.keys.n, 2);
	CU_ASSERT_STRING_EQUAL(watched_code(&w->code.rows[0]), "push (demo)");
	CU_ASSERT_EQUAL(w->code.rows[0].last, 2);
	CU_ASSERT_STRING_EQUAL(watched_code(&w->code.rows[1]), "pop\\033 (demo)");
	watched_thread(w, &w->threads.rows[1], text, sizeof(text));
	CU_ASSERT_STRING_EQUAL(text, "demo/8");

	begin(TALLY_SYNC, NULL);
	tell_layout();
	tell_fault(VIA_UFFD, 8, 0);
	CU_ASSERT(watched_close(w, 2 * SEC));
	CU_ASSERT_EQUAL(w->mappings.all.last, 1);
	CU_ASSERT_EQUAL(w->threads.all.last, 1);
	CU_ASSERT_EQUAL(w->code.keys.n, 0);
}

static const char *draw(const struct top_view *v, unsigned int rows, unsigned int columns)
{
	size_t at = 0;

	screen_done(&screen);
	CU_ASSERT_EQUAL_FATAL(screen_init(&screen, rows, columns, false), 0);
	CU_ASSERT_EQUAL(top_view_draw(v, w, &screen), 0);
	for (unsigned int i = 0; i < rows && at + columns + 2 < sizeof(text); i++) {
		at += screen_row(&screen, i, text + at, sizeof(text) - at - 2);
		text[at++] = '\n';
	}
	text[at] = '\0';
	return text;
}

static struct top_view view(void)
{
	return (struct top_view){
		.interval_ns = SEC, .interval_min_ns = SEC / 10, .target = "7 (demo)",
		.engine = "async", .ran_ns = 12 * SEC, .cpu_ppm = 5000,
	};
}

static void fill(void)
{
	struct record r;

	begin(TALLY_ASYNC, a_name);
	tell_layout();
	for (uint64_t i = 0; i < 3; i++) {
		tell_dirty(1, 16, 30 * (i + 1), i * SEC, (i + 1) * SEC);
		tell_dirty(3, 200, 10, i * SEC, (i + 1) * SEC);
		CU_ASSERT(watched_close(w, (i + 1) * SEC + SEC / 10));
	}
	r = of(RECORD_STATS, 3 * SEC);
	r.stats.distinct_pages = 100;
	r.stats.slowdown_ppm = 12345;
	r.stats.unwitnessed = RECORD_UNKNOWN;
	tell(r);
}

static void test_layout(void)
{
	struct top_view v = view();
	struct record r;

	fill();
	draw(&v, 10, 80);
	CU_ASSERT_STRING_EQUAL(text,
		"pagetap top  7 (demo)  async, every 1.0 s  12.0 s\n"
		"written 100 pages/s (400 KiB/s)   working set 400 KiB (100 pages)   in all 210\n"
		"slowed down by 1.2 %   pagetap's CPU 0.5 %   lost 0   gaps 0\n"
		"\n"
		"    PAGES/S     SIZE/S      %        PAGES  LAST 12.0 s   MAPPING\n"
		"         90    360 KiB   90.0          180           -*@  [heap]\n"
		"         10     40 KiB   10.0           30           ...  ?[2Jevil\n"
		"\n"
		"\n"
		"q quit  space pause  s sort (rate)  m mappings  t threads  "
		"w writers  + - inter~\n");
	CU_ASSERT_EQUAL(screen_at(&screen, 4, 79)->tone, SCREEN_HEAD);
	CU_ASSERT_EQUAL(screen_at(&screen, 2, 50)->tone, SCREEN_PLAIN);
	/* What is missing is red. */
	r = of(RECORD_GAP, 3 * SEC);
	tell(r);
	r = of(RECORD_LOST, 3 * SEC);
	r.lost.n = 5;
	tell(r);
	r.lost.n = RECORD_UNKNOWN;
	tell(r);
	draw(&v, 10, 80);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "lost 5 and more   gaps 1"));
	CU_ASSERT_EQUAL(screen_at(&screen, 2, 50)->tone, SCREEN_ALARM);
	v.sort = TOP_BY_NAME;
	draw(&v, 10, 80);
	CU_ASSERT(strstr(text, "evil") < strstr(text, "[heap]"));
	v.what = TOP_THREADS;
	CU_ASSERT_PTR_NOT_NULL(strstr(draw(&v, 10, 80), "Who writes is not asked for"));
	v.help = true;
	CU_ASSERT_PTR_NOT_NULL(strstr(draw(&v, 30, 80), "hold the picture"));
	/* No size is too small, or too large. */
	for (unsigned int rows = 1; rows < 12; rows++)
		for (unsigned int columns = 1; columns < 150; columns += 7) {
			v.help = rows % 2;
			draw(&v, rows, columns);
		}
}

static void test_keys(void)
{
	struct top_view v = view();

	CU_ASSERT_EQUAL(top_view_key(&v, 'q', 100, 16), TOP_QUIT);
	CU_ASSERT_EQUAL(top_view_key(&v, 'x', 100, 16), TOP_NOTHING);
	CU_ASSERT_EQUAL(top_view_key(&v, ' ', 100, 16), TOP_REDRAW);
	CU_ASSERT(v.paused);
	top_view_key(&v, TOP_KEY_UP, 100, 16);
	CU_ASSERT_EQUAL(v.scroll, 0);
	top_view_key(&v, TOP_KEY_PAGE_DOWN, 100, 16);
	CU_ASSERT_EQUAL(v.scroll, 9);
	top_view_key(&v, TOP_KEY_END, 100, 16);
	CU_ASSERT_EQUAL(v.scroll, 90);
	top_view_key(&v, TOP_KEY_DOWN, 100, 16);
	CU_ASSERT_EQUAL(v.scroll, 90);
	top_view_key(&v, TOP_KEY_UP, 100, 16);
	CU_ASSERT_EQUAL(v.scroll, 89);
	top_view_key(&v, 'w', 100, 16);
	CU_ASSERT(v.what == TOP_CODE && !v.scroll);
	top_view_key(&v, TOP_KEY_END, 5, 16);
	CU_ASSERT_EQUAL(v.scroll, 0);
	for (unsigned int i = 0; i < 20; i++)
		top_view_key(&v, '+', 5, 16);
	CU_ASSERT_EQUAL(v.interval_ns, 32 * SEC);
	for (unsigned int i = 0; i < 20; i++)
		top_view_key(&v, '-', 5, 16);
	CU_ASSERT(v.interval_ns >= SEC / 10 && v.interval_ns < SEC / 5);
	top_view_key(&v, 'h', 5, 16);
	CU_ASSERT(v.help);
	/* Of the keys that close the help, q quits all the same. */
	CU_ASSERT_EQUAL(top_view_key(&v, 's', 5, 16), TOP_REDRAW);
	CU_ASSERT(!v.help && v.sort == TOP_BY_RATE);
	screen_done(&screen);
	w = watched_free(w);
}

/* Collections come as often as the budget says; resting, nothing is said of it. */
static void test_budget(void)
{
	struct record r = of(RECORD_BUDGET, SEC);

	begin(TALLY_ASYNC, NULL);
	r.budget.epoch_ns = 3 * SEC;
	tell(r);
	CU_ASSERT_EQUAL(w->o.epoch_ns, 3 * SEC);
	r.budget.epoch_ns = 0;
	r.budget.resting = true;
	tell(r);
	CU_ASSERT_EQUAL(w->o.epoch_ns, 3 * SEC);
	w = watched_free(w);
}

/* More threads and mappings than there are rows for have one together. */
static void test_others(void)
{
	begin(TALLY_ASYNC, NULL);
	tell_layout();
	tell_dirty(0, 5000, 1, 0, SEC);
	CU_ASSERT_STRING_EQUAL(watched_mapping(w, &w->mappings.rows[0], text, sizeof(text)),
			       "(unknown)");
	for (uint32_t i = 0; i < PULSE_ROWS_MAX + 10; i++) {
		struct record r = of(RECORD_VMA, SEC);

		r.addr = (UINT64_C(1) << 32) + ((uint64_t)i << 13);
		r.npages = 1;
		r.vma.id = 10 + i;
		r.vma.watch = true;
		r.text = record_text_new("", 0, NULL, 0);
		tell(r);
		tell_dirty(10 + i, (1 << 20) + 2 * i, 1, 0, SEC);
		tell_fault(VIA_PERF, (int32_t)(100 + i), 0x100);
	}
	CU_ASSERT_EQUAL(w->mappings.rows[PULSE_ROWS_MAX].now, 11);
	CU_ASSERT_EQUAL(w->threads.rows[PULSE_ROWS_MAX].now, 10);
	CU_ASSERT_PTR_NULL(watched_vma(w, &w->mappings.rows[PULSE_ROWS_MAX]));
	CU_ASSERT_STRING_EQUAL(watched_mapping(w, &w->mappings.rows[PULSE_ROWS_MAX], text,
					       sizeof(text)), "(others)");
	CU_ASSERT_STRING_EQUAL(watched_thread(w, &w->threads.rows[PULSE_ROWS_MAX], text,
					      sizeof(text)), "(others)");
	w = watched_free(w);
}

/* Threads and code that write to one mapping. */
static int see_writes(unsigned int n)
{
	struct watched_opts o = { .page_size = 4096, .engine = TALLY_SYNC, .writes = true };
	struct record r = of(RECORD_VMA, 0);
	int err = watched_new(&w, &o);

	r.addr = 16 << 12;
	r.npages = 64;
	r.vma.id = 1;
	r.vma.watch = true;
	if (!err)
		err = watched_record(w, &r);
	r = of(RECORD_FAULT, SEC);
	r.addr = 16 << 12;
	r.npages = 1;
	r.fault.write = true;
	r.fault.vma = 1;
	for (unsigned int i = 0; i < n && !err; i++) {
		r.fault.tid = (int32_t)(10 + i);
		r.fault.ip = 0x1000 + i;
		err = watched_record(w, &r);
	}
	return err;
}

/* Each allocation fails once: it says so, or does without. */
static void test_no_memory(void)
{
	bool hit = true;
	long n;

	for (n = 1; hit; n++) {
		int err;

		starve_ours_after(n);
		err = see_writes(100);
		hit = starve_hit();
		CU_ASSERT(!err || (hit && err == -ENOMEM));
		if (!err)
			CU_ASSERT_EQUAL(w->threads.keys.n, 100);
		w = watched_free(w);
	}
	CU_ASSERT(n > 10);
}

static const struct suite_test tests[] = {
	{ "rates", test_pulse },
	{ "collections and looks", test_collections },
	{ "witnesses", test_witnesses },
	{ "layout", test_layout },
	{ "keys", test_keys },
	{ "a budget", test_budget },
	{ "more than there are rows", test_others },
	{ "no memory", test_no_memory },
};

SUITE_MAIN("top", tests)
