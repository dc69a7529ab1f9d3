/* SPDX-License-Identifier: MIT */
/* Chains: what begins alike is one, and nothing is counted twice. */

#include <string.h>

#include "base/cleanup.h"
#include "report/chains.h"
#include "suite.h"

/* "a;b;c:7" as frames of files f.c. */
static void add(struct chains *c, const char *folded, uint64_t count)
{
	_free_ char *text = strdup(folded);
	struct chains_frame frames[64];
	size_t n = 0;
	char *at = text, *next;

	for (; at && *at; at = next, n++) {
		char *colon;

		next = strchr(at, ';');
		if (next)
			*next++ = '\0';
		colon = strchr(at, ':');
		if (colon)
			*colon = '\0';
		frames[n] = (struct chains_frame){
			.name = at, .module = "m", .file = colon ? "f.c" : NULL,
			.line = colon ? (uint32_t)strtoul(colon + 1, NULL, 10) : 0,
		};
	}
	CU_ASSERT_EQUAL_FATAL(chains_add(c, frames, n, count), 0);
}

static struct chains *new(void)
{
	struct chains *c = NULL;

	CU_ASSERT_EQUAL_FATAL(chains_new(&c), 0);
	return c;
}

static const struct chains_row *row(struct chains *c, const char *name)
{
	size_t n;
	const struct chains_row *v = chains_rows(c, &n);

	for (size_t i = 0; i < n; i++)
		if (!strcmp(v[i].name, name))
			return &v[i];
	CU_FAIL_FATAL("no such row");
	return NULL;
}

static void test_tree(void)
{
	struct chains *c = new();
	const struct chains_node *n;

	add(c, "main;a;b:3", 10);
	add(c, "main;a;b:4", 5);
	add(c, "main;a", 1);
	add(c, "main;z;b:9", 100);
	add(c, "", 7);
	chains_sort(c);
	n = chains_node(c, 0);
	CU_ASSERT_EQUAL(n->total, 123);
	CU_ASSERT_EQUAL(n->self, 7);
	n = chains_node(c, n->child);
	CU_ASSERT_STRING_EQUAL(n->name, "main");
	CU_ASSERT_EQUAL(n->total, 116);
	CU_ASSERT_EQUAL(n->next, CHAINS_NONE);
	n = chains_node(c, n->child);
	CU_ASSERT_STRING_EQUAL(n->name, "z");
	n = chains_node(c, n->next);
	CU_ASSERT_STRING_EQUAL(n->name, "a");
	CU_ASSERT_TRUE(n->self == 1 && n->total == 16);
	CU_ASSERT_STRING_EQUAL(chains_node(c, n->child)->name, "b");
	CU_ASSERT_EQUAL(chains_node(c, n->child)->self, 15);
	CU_ASSERT_EQUAL(chains_nodes(c), 6);
	CU_ASSERT_PTR_NULL(chains_node(c, 6));
	chains_free(c);
}

static void test_rows(void)
{
	struct chains *c = new();
	_free_ struct chains_row *v = NULL;
	size_t n;

	add(c, "main;a;b:3", 10);
	add(c, "main;a;b:4", 5);
	add(c, "main;b:4", 6);
	add(c, "main;r;r;r:8", 2);
	CU_ASSERT_EQUAL(row(c, "main")->total, 23);
	CU_ASSERT_EQUAL(row(c, "main")->self, 0);
	CU_ASSERT_EQUAL(row(c, "b")->self, 21);
	/* 11 times at line 4, in two places of the tree. */
	CU_ASSERT_EQUAL(row(c, "b")->line, 4);
	CU_ASSERT_EQUAL(row(c, "b")->at_line, 11);
	n = chains_node(c, row(c, "b")->node)->parent;
	CU_ASSERT_STRING_EQUAL(chains_node(c, (uint32_t)n)->name, "a");
	CU_ASSERT_EQUAL(row(c, "r")->total, 2);
	v = chains_ranked(c, &n);
	CU_ASSERT_EQUAL_FATAL(n, 4);
	CU_ASSERT_STRING_EQUAL(v[0].name, "b");
	CU_ASSERT_STRING_EQUAL(v[1].name, "r");
	CU_ASSERT_STRING_EQUAL(v[2].name, "main");
	chains_free(c);
}

/* Against sums made apart from it; also with many children of one node. */
static void test_random(void)
{
	struct chains *c = new();
	uint64_t seed = 1, sum = 0, self = 0, last = UINT64_MAX;
	uint32_t n = 0;

	for (unsigned int i = 0; i < 20000; i++) {
		char text[64];

		seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
		snprintf(text, sizeof(text), "f%u;g%u;h%u", (unsigned int)(seed >> 33) % 3000,
			 (unsigned int)(seed >> 40) % 3, (unsigned int)(seed >> 50) % 5);
		add(c, text, i % 11);
		sum += i % 11;
	}
	chains_sort(c);
	CU_ASSERT_EQUAL(chains_node(c, 0)->total, sum);
	for (uint32_t i = 0; i < chains_nodes(c); i++) {
		const struct chains_node *x = chains_node(c, i);
		uint64_t below = x->self;

		self += x->self;
		for (uint32_t k = x->child; k != CHAINS_NONE; k = chains_node(c, k)->next)
			below += chains_node(c, k)->total;
		CU_ASSERT_EQUAL_FATAL(below, x->total);
	}
	CU_ASSERT_EQUAL(self, sum);
	for (uint32_t k = chains_node(c, 0)->child; k != CHAINS_NONE;
	     k = chains_node(c, k)->next) {
		CU_ASSERT_FATAL(chains_node(c, k)->total <= last);
		last = chains_node(c, k)->total;
		n++;
	}
	CU_ASSERT_TRUE(n > 2900 && n <= 3000);
	chains_free(c);
}

static void test_hostile(void)
{
	struct chains *c = new();
	char *longest = calloc(1, 5000);
	struct chains_frame f = { .name = "\x1b]0;x\x07 \xff\xe2\x80\xae" };

	CU_ASSERT_EQUAL(chains_add(c, &f, 1, 1), 0);
	CU_ASSERT_STRING_EQUAL(chains_node(c, 1)->name, "\\033]0;x\\007 \\377\\342\\200\\256");
	memset(longest, 'x', 4999);
	f.name = longest;
	CU_ASSERT_EQUAL(chains_add(c, &f, 1, 1), 0);
	CU_ASSERT_EQUAL(strlen(chains_node(c, 2)->name), 1024);
	free(longest);
	chains_free(c);
}

static const struct suite_test tests[] = {
	{ "one tree", test_tree },
	{ "a row for each function", test_rows },
	{ "sums of many", test_random },
	{ "names that give orders", test_hostile },
};

SUITE_MAIN("chains", tests)
