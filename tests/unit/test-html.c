/* SPDX-License-Identifier: MIT */
/*
 * HTML: the data of a page is what was counted, and bounded whatever that was.
 *
 * link: -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=strdup
 */

#include "html-made.h"

#include "starve.h"

/* ---- cells, unpacked on their own ------------------------------------------------------- */

static size_t unbase64(const char *s, unsigned char *to)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	uint32_t v = 0;
	size_t n = 0;
	int bits = 0;

	for (; *s && *s != '='; s++) {
		v = v << 6 | (uint32_t)(strchr(digits, *s) - digits);
		bits += 6;
		if (bits >= 8) {
			bits -= 8;
			to[n++] = (unsigned char)(v >> bits);
		}
	}
	return n;
}

static uint64_t unpack_number(const unsigned char **at)
{
	uint64_t v = 0;

	for (unsigned int shift = 0;; shift += 7) {
		v |= (uint64_t)(**at & 127) << shift;
		if (*(*at)++ < 128)
			return v;
	}
}

/* The sum of the strip's cells; those that a heat map of the tally has not are wrong. */
static uint64_t check_strip(json_t *heat, json_t *strip, const struct heat_map *map)
{
	const uint64_t pages_row = (uint64_t)number(strip, "pages_row");
	const char *cells = json_string_value(json_object_get(strip, "cells"));
	const uint64_t cols = (uint64_t)number(heat, "cols");
	unsigned char *packed = malloc(strlen(cells) + 1);
	const unsigned char *at = packed, *stop = packed + unbase64(cells, packed);
	json_t *runs = json_object_get(strip, "rows");
	uint64_t where = UINT64_MAX, sum = 0;

	while (at < stop) {
		uint64_t row, page = 0, n, told = 0;

		where += unpack_number(&at) + 1;
		n = unpack_number(&at);
		row = where / cols;
		for (size_t i = 0; i < json_array_size(runs); i++) {
			json_t *run = json_array_get(runs, i);
			const uint64_t many = (uint64_t)json_integer_value(json_array_get(run, 1));

			page = (uint64_t)json_integer_value(json_array_get(run, 0)) +
			       row * pages_row;
			if (row < many)
				break;
			row -= many;
		}
		for (size_t i = 0; i < map->n; i++)
			if (map->rows[i]->page >= page && map->rows[i]->page < page + pages_row)
				told += map->rows[i]->column[where % cols];
		CU_ASSERT_EQUAL(n, told);
		sum += n;
	}
	CU_ASSERT_PTR_EQUAL(at, stop);
	free(packed);
	return sum;
}

/* ---- tests ------------------------------------------------------------------------------ */

static uint64_t state;

static uint64_t random_below(uint64_t n)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state % n;
}

static void test_cells(void)
{
	json_t *o, *heat, *strips, *maps;

	begin();
	state = 88172645463325252u;
	add_vma(1, BASE, 1000, "/dev/shm/a", 10);
	add_vma(2, BASE + (UINT64_C(1) << 32), 1000, "/dev/shm/b", 10);
	for (unsigned int i = 0; i < 5000; i++)
		add_write(i % 4 ? 1 : 2, BASE + random_below(i % 3 ? 200 : 1000) * PAGE +
			  (i % 4 ? 0 : UINT64_C(1) << 32), i * UINT64_C(997000), 7);
	o = data();
	heat = json_object_get(o, "heat");
	strips = json_object_get(heat, "strips");
	maps = json_object_get(o, "maps");
	CU_ASSERT_EQUAL(number(heat, "step"), (int64_t)heat_column_ns(&tally->heat));
	CU_ASSERT_EQUAL(json_array_size(strips), 2);
	CU_ASSERT_EQUAL(json_array_size(maps), 2);
	for (size_t i = 0; i < json_array_size(strips); i++) {
		json_t *strip = json_array_get(strips, i);
		json_t *map = json_array_get(maps, (size_t)number(strip, "map"));
		/* Label 0 is the unknown one; the first mapping has more. */
		const struct heat_map *counted = &tally->heat.maps[1 + i];

		CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(map, "path")),
				       i ? "/dev/shm/b" : "/dev/shm/a");
		CU_ASSERT_EQUAL(check_strip(heat, strip, counted), counted->sum);
		CU_ASSERT_EQUAL(number(map, "n"), (int64_t)counted->sum);
	}
	json_decref(o);
	done();
}

static uint64_t sum_of(json_t *list)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < json_array_size(list); i++)
		sum += (uint64_t)json_integer_value(json_array_get(list, i));
	return sum;
}

/* A collection of 200 ms tells all at once: no column and no step is shorter. */
static void test_collections(void)
{
	json_t *o, *heat, *curves, *rates;

	begin();
	add_vma(1, BASE, 1000, "x", 1);
	for (uint64_t i = 1; i <= 20; i++) {
		struct record r = { .kind = RECORD_DIRTY, .ts0 = (i - 1) * 200000000,
				    .ts = i * 200000000, .addr = BASE, .npages = 10 };

		r.dirty.epoch = i;
		r.dirty.vma = 1;
		feed(r);
	}
	o = data();
	heat = json_object_get(o, "heat");
	CU_ASSERT(heat_column_ns(&tally->heat) < 20000000);
	CU_ASSERT(number(heat, "step") >= 200000000 && number(heat, "step") < 400000000);
	CU_ASSERT(number(heat, "cols") * number(heat, "step") >= INT64_C(4000000000));
	CU_ASSERT(number(heat, "cols") <= 20);
	curves = json_object_get(o, "curves");
	CU_ASSERT(number(curves, "step") >= 200000000);
	rates = json_array_get(json_object_get(curves, "rates"), 0);
	CU_ASSERT_EQUAL(sum_of(json_object_get(rates, "n")), 200);
	json_decref(o);
	done();
}

static void test_curves(void)
{
	json_t *o, *curves, *rates, *sets, *so_far;
	size_t n;

	begin();
	state = 88172645463325252u;
	add_vma(1, BASE, 1000, "x", 1);
	for (unsigned int i = 0; i < 3000; i++)
		add_write(1, BASE + random_below(500) * PAGE, i * UINT64_C(1997000), 7);
	o = data();
	curves = json_object_get(o, "curves");
	n = json_array_size(json_object_get(curves, "times"));
	CU_ASSERT(n > 100 && n <= 400);
	rates = json_array_get(json_object_get(curves, "rates"), 0);
	CU_ASSERT_EQUAL(sum_of(json_object_get(rates, "n")), 3000);
	sets = json_object_get(curves, "sets");
	CU_ASSERT_EQUAL(json_array_size(sets), 2);
	so_far = json_object_get(json_array_get(sets, 0), "pages");
	CU_ASSERT_EQUAL(json_array_size(so_far), n);
	CU_ASSERT_EQUAL(json_integer_value(json_array_get(so_far, n - 1)),
			(int64_t)tally->total.pages);
	json_decref(o);
	done();
}

static void add_gap(uint64_t ts, uint64_t ns)
{
	struct record r = { .kind = RECORD_GAP, .ts0 = ts, .ts = ts + ns, .addr = BASE,
			    .npages = 2 };

	r.gap.reason = GAP_REMOVE_RACE;
	feed(r);
}

static void test_events(void)
{
	json_t *o, *list, *first, *last;
	char losses[256];

	begin();
	add_vma(1, BASE, 1000, "x", 1);
	for (unsigned int i = 0; i < 1000; i++)
		add_gap(i * UINT64_C(1000000), 1000 + i);
	feed((struct record){ .kind = RECORD_FORK, .ts = 2000000000,
			      .fork = { .child = 4300, .child_mm = 2, .followed = true } });
	o = data();
	list = json_object_get(json_object_get(o, "events"), "list");
	CU_ASSERT_EQUAL(json_array_size(list), 61);
	CU_ASSERT_EQUAL(number(json_object_get(o, "events"), "left_out"), 940);
	first = json_array_get(list, 0);
	CU_ASSERT_STRING_EQUAL(json_string_value(json_array_get(first, 3)),
			       "remove-race, 1.0 us: 2 pages at 0x7f0000000000 of x");
	CU_ASSERT(json_is_true(json_array_get(first, 4)));
	last = json_array_get(list, 60);
	CU_ASSERT_STRING_EQUAL(json_string_value(json_array_get(last, 3)), "child 4300, watched");
	CU_ASSERT(json_is_false(json_array_get(last, 4)));
	/* The 300 longest, and one sentence for all. */
	CU_ASSERT_EQUAL(json_array_size(json_object_get(o, "blind")), 300);
	for (size_t i = 0; i < 300; i++) {
		json_t *b = json_array_get(json_object_get(o, "blind"), i);

		CU_ASSERT(json_integer_value(json_array_get(b, 1)) -
			  json_integer_value(json_array_get(b, 0)) >= 1700);
	}
	snprintf(losses, sizeof(losses), "%s",
		 json_string_value(json_array_get(json_object_get(o, "losses"), 0)));
	CU_ASSERT_STRING_EQUAL(losses, "1,000 gaps, the longest of 2.0 us, 1.5 ms in all: "
				       "while pages were dropped (remove-race)");
	CU_ASSERT_EQUAL(json_array_size(json_object_get(o, "losses")), 1);
	json_decref(o);
	done();
}

/* A tree of so many leaves below so many branches. */
static void grow(unsigned int branches, unsigned int leaves, const char *prefix)
{
	CU_ASSERT_EQUAL_FATAL(chains_new(&chains), 0);
	for (unsigned int b = 0; b < branches; b++)
		for (unsigned int l = 0; l < leaves; l++) {
			char names[2][1100];
			const struct chains_frame frames[] = {
				{ "main", "prog", NULL, 0 }, { names[0], "prog", NULL, 0 },
				{ names[1], "lib", NULL, 0 },
			};

			snprintf(names[0], sizeof(names[0]), "%s branch %u", prefix, b);
			snprintf(names[1], sizeof(names[1]), "%s leaf %u of %u", prefix, l, b);
			CU_ASSERT_EQUAL_FATAL(chains_add(chains, frames, 3, 1 + b + l), 0);
		}
	chains_sort(chains);
}

/* The nodes told, all of whose parents come before them; *ret_sum is that of their selves. */
static size_t check_flame(json_t *flame, uint64_t *ret_sum)
{
	json_t *nodes = json_object_get(flame, "nodes");
	const size_t names = json_array_size(json_object_get(flame, "names"));
	const size_t n = json_array_size(nodes);

	*ret_sum = 0;
	CU_ASSERT_EQUAL(n % 4, 0);
	for (size_t i = 0; i < n; i += 4) {
		const json_int_t up = json_integer_value(json_array_get(nodes, i + 2));

		CU_ASSERT((size_t)json_integer_value(json_array_get(nodes, i)) < names);
		CU_ASSERT((size_t)json_integer_value(json_array_get(nodes, i + 1)) < names);
		CU_ASSERT(i ? (size_t)up < i / 4 : !up);
		*ret_sum += (uint64_t)json_integer_value(json_array_get(nodes, i + 3));
	}
	return n / 4;
}

static void test_flame(void)
{
	uint64_t sum;
	json_t *o;

	begin();
	o = data();
	CU_ASSERT(json_is_null(json_object_get(o, "flame")));
	json_decref(o);
	grow(3, 4, "f");
	o = data();
	/* The root, main, branches and leaves. */
	CU_ASSERT_EQUAL(check_flame(json_object_get(o, "flame"), &sum), 2 + 3 + 12);
	CU_ASSERT_EQUAL(sum, chains_node(chains, 0)->total);
	CU_ASSERT_EQUAL(number(json_object_get(o, "flame"), "left_out"), 0);
	json_decref(o);
	chains = chains_free(chains);
	/* Too many: nothing gets lost, the rare ones are summed up. */
	grow(100, 100, "f");
	o = data();
	CU_ASSERT(check_flame(json_object_get(o, "flame"), &sum) <= 3101);
	CU_ASSERT_EQUAL(sum, chains_node(chains, 0)->total);
	CU_ASSERT(number(json_object_get(o, "flame"), "left_out") > 6000);
	json_decref(o);
	done();
}

/* As much of everything as there can be, and every name as bad as it can be. */
static void test_bounded(void)
{
	static char bad[4096], prefix[1001];
	uint64_t all = 0, told = 0, sum;
	json_t *o, *heat, *strips;

	begin();
	state = 88172645463325252u;
	for (size_t i = 0; i < sizeof(bad); i++)
		bad[i] = "<\033&\xff"[i % 4];
	memset(prefix, '<', sizeof(prefix) - 1);
	for (uint32_t id = 1; id <= 70; id++) {
		memcpy(bad, &id, sizeof(id));
		add_vma(id, BASE + id * (UINT64_C(1) << 32), 1 << 20, bad, sizeof(bad));
	}
	for (uint64_t i = 0; i < 2000000; i++)
		add_write(1 + i % 70, BASE + (1 + i % 70) * (UINT64_C(1) << 32) +
			  random_below(600) * PAGE, i * 128000, (int32_t)(1 + i % 400));
	for (unsigned int i = 0; i < 100; i++)
		for (unsigned int kind = 0; kind < RECORD_NR; kind++)
			if (kind == RECORD_ERROR || kind == RECORD_EXEC)
				feed((struct record){ .kind = (uint8_t)kind, .ts = i,
					.text = record_text_new(bad, 2000, bad, 2000) });
	grow(60, 60, prefix);
	o = data();
	CU_ASSERT(file_len < HTML_BYTES_MAX);
	printf("%zu bytes ", file_len);
	heat = json_object_get(o, "heat");
	strips = json_object_get(heat, "strips");
	CU_ASSERT_EQUAL(json_array_size(strips), 40);
	CU_ASSERT_EQUAL(number(heat, "left_out"), 30);
	for (size_t i = 0; i < json_array_size(strips); i++) {
		json_t *strip = json_array_get(strips, i);
		json_t *map = json_array_get(json_object_get(o, "maps"),
					     (size_t)number(strip, "map"));

		told += check_strip(heat, strip, &tally->heat.maps[1 + i]);
		all += (uint64_t)number(map, "n");
	}
	CU_ASSERT_EQUAL(told, all);
	CU_ASSERT_EQUAL(number(o, "maps_left_out"), 10);
	CU_ASSERT_EQUAL(number(o, "threads_left_out"), 200);
	check_flame(json_object_get(o, "flame"), &sum);
	CU_ASSERT_EQUAL(sum, chains_node(chains, 0)->total);
	json_decref(o);
	done();
}

/* Each allocation fails once: -ENOMEM, or the whole page. */
static void test_no_memory(void)
{
	size_t whole;
	long n;

	begin();
	add_vma(1, BASE, 1000, "x", 1);
	add_write(1, BASE, 1000, 7);
	add_gap(2000, 10);
	grow(3, 3, "f");
	CU_ASSERT_EQUAL_FATAL(write_page(), 0);
	whole = file_len;
	for (n = 1;; n++) {
		int r;

		starve_ours_after(n);
		r = write_page();
		if (!starve_hit())
			break;
		CU_ASSERT(r == -ENOMEM || (!r && file_len == whole));
	}
	CU_ASSERT(n > 5);
	done();
}

static const struct suite_test tests[] = {
	{ "cells of the heat map", test_cells },
	{ "curves", test_curves },
	{ "collections", test_collections },
	{ "events, and the longest gaps", test_events },
	{ "flame graph", test_flame },
	{ "as much as there can be", test_bounded },
	{ "no memory", test_no_memory },
};

SUITE_MAIN("html", tests)
