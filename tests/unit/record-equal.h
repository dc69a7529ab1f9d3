/* SPDX-License-Identifier: MIT */
/* Are two records the same? */
#ifndef TESTS_RECORD_EQUAL_H
#define TESTS_RECORD_EQUAL_H

#include <string.h>

#include "trace/record.h"

/* To the byte, also where nothing is: both have been made out of zeroes. */
static inline bool record_equal(const struct record *x, const struct record *y)
{
	struct record a = *x, b = *y;

	if (!a.text != !b.text)
		return false;
	if (a.text && (memcmp(a.text->len, b.text->len, sizeof(a.text->len)) ||
		       memcmp(a.text->bytes, b.text->bytes, a.text->len[0] + a.text->len[1])))
		return false;
	a.text = b.text = NULL;
	/* NOLINTNEXTLINE(bugprone-suspicious-memory-comparison) */
	return !memcmp(&a, &b, sizeof(a));
}

#endif
