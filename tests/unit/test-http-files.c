/* SPDX-License-Identifier: MIT */
/* HTTP files: what is said of trouble with them, and how long they rest. */

#include "restore/http-files.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "suite.h"

#define NOW (1000 * NSEC_PER_SEC)

static struct http_request failed(int err, const char *words)
{
	struct http_request q = { .err = err };

	snprintf(q.why.words, sizeof(q.why.words), "%s", words);
	return q;
}

/* Once for each reason, and once that it is over. */
static void test_told_once(void)
{
	const struct http_request gone = failed(-ECONNREFUSED, "gone");
	const struct http_request other = failed(-EACCES, "not for us");
	struct http_trouble t = { 0 };

	CU_ASSERT(http_trouble_begin(&t, &gone, NOW));
	CU_ASSERT_STRING_EQUAL(t.words, "gone");
	CU_ASSERT(!http_trouble_begin(&t, &gone, NOW + NSEC_PER_SEC));
	CU_ASSERT(http_trouble_begin(&t, &other, NOW + 2 * NSEC_PER_SEC));
	CU_ASSERT_STRING_EQUAL(t.words, "not for us");
	CU_ASSERT(http_trouble_end(&t));
	CU_ASSERT(!http_trouble_end(&t));
	CU_ASSERT(http_trouble_begin(&t, &other, NOW + 3 * NSEC_PER_SEC));
}

/* What passes by itself is told when it has not, the third time. */
static void test_passes(void)
{
	const struct http_request busy = failed(-EAGAIN, "cannot now");
	struct http_trouble t = { 0 };

	CU_ASSERT(!http_trouble_begin(&t, &busy, NOW));
	CU_ASSERT(!http_trouble_end(&t));
	CU_ASSERT(!http_trouble_begin(&t, &busy, NOW + NSEC_PER_SEC));
	CU_ASSERT(!http_trouble_begin(&t, &busy, NOW + 2 * NSEC_PER_SEC));
	CU_ASSERT(http_trouble_begin(&t, &busy, NOW + 3 * NSEC_PER_SEC));
}

/* Ever longer, but those that fail together count once; the server may ask for more. */
static void test_rests(void)
{
	const struct http_request gone = failed(-ECONNREFUSED, "gone");
	const struct http_request stale = failed(-ESTALE, "replaced");
	struct http_request busy = failed(-EAGAIN, "cannot now");
	struct http_trouble t = { 0 };
	uint64_t now = NOW, first;

	http_trouble_begin(&t, &gone, now);
	first = t.until;
	CU_ASSERT(first > now && first < now + NSEC_PER_SEC);
	for (int i = 0; i < 8; i++)
		http_trouble_begin(&t, &gone, now);
	CU_ASSERT_EQUAL(t.until, first);
	for (int i = 0; i < 20; i++) {
		now = t.until;
		http_trouble_begin(&t, &gone, now);
	}
	CU_ASSERT_EQUAL(t.until, now + HTTP_REST_SERVER);
	now = t.until;
	http_trouble_begin(&t, &stale, now);
	CU_ASSERT_EQUAL(t.until, now + HTTP_REST_FILE);
	http_trouble_end(&t);
	now = t.until;
	busy.retry_ns = 20 * NSEC_PER_SEC;
	http_trouble_begin(&t, &busy, now);
	CU_ASSERT_EQUAL(t.until, now + 20 * NSEC_PER_SEC);
	/* But not to stay away for ever. */
	busy.retry_ns = 7200 * NSEC_PER_SEC;
	now = t.until;
	http_trouble_begin(&t, &busy, now);
	CU_ASSERT_EQUAL(t.until, now + 60 * NSEC_PER_SEC);
}

static void test_errors(void)
{
	CU_ASSERT(http_err_is_of_file(-ESTALE) && http_err_is_of_file(-ENOENT));
	CU_ASSERT(!http_err_is_of_file(-EACCES) && !http_err_is_of_file(-ECONNREFUSED));
	CU_ASSERT(http_err_passes(-EAGAIN) && http_err_passes(-ECONNRESET));
	CU_ASSERT(!http_err_passes(-ESTALE) && !http_err_passes(-EKEYREJECTED));
}

static const struct suite_test tests[] = {
	{ "told once for each reason", test_told_once },
	{ "what passes by itself", test_passes },
	{ "ever longer", test_rests },
	{ "errors", test_errors },
};
SUITE_MAIN("http-files", tests)
