/* SPDX-License-Identifier: MIT */
/* A record's line, held in `buf`, read back as the object that it is. */
#ifndef TESTS_TRACE_JSON_H
#define TESTS_TRACE_JSON_H

#include <jansson.h>
#include <string.h>

#include "suite.h"
#include "trace-samples.h"

static char buf[RECORD_TEXT_LINE_MAX];

/* The line as an object; checks that it is exactly one line. */
static json_t *parsed(const struct record *r, uint64_t seq)
{
	int64_t n = record_format(r, seq, SAMPLE_PAGE, buf, sizeof(buf));
	json_t *o;

	CU_ASSERT_FATAL(n > 2);
	CU_ASSERT_EQUAL(buf[n - 1], '\n');
	CU_ASSERT_PTR_EQUAL(memchr(buf, '\n', (size_t)n), buf + n - 1);
	o = json_loadb(buf, (size_t)n, JSON_REJECT_DUPLICATES, NULL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(o);
	return o;
}

static const char *string(json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	CU_ASSERT_PTR_NOT_NULL(s);
	return s ? s : "";
}

#endif
