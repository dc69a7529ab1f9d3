/* SPDX-License-Identifier: MIT */
/* Reader, header: line 1 into strings of its own.  Pure.  See reader.h. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "trace/line.h"
#include "trace/reader-parts.h"
#include "trace/record-json.h"

#define SCHEMA_FAMILY "pagetap.trace/"
#define SCHEMA_OURS 1

static void free_list(char **list)
{
	for (char **p = list; p && *p; p++)
		free(*p);
	free(list);
}

void reader_header_release(struct reader_header *h)
{
	free(h->tool);
	free(h->version);
	free(h->host);
	free(h->kernel);
	free(h->arch);
	free(h->engine);
	free_list(h->modes);
	free_list(h->features);
	free_list(h->events);
	free_list(h->argv);
	*h = (struct reader_header){ 0 };
}

static int read_string(const json_t *o, const char *key, char **ret, struct reader_error *e)
{
	const char *s = json_string_value(json_object_get(o, key));

	if (!s)
		return reader_complain(e, "header: \"%s\" is missing or no string", key);
	*ret = strdup(s);
	return *ret ? 0 : -ENOMEM;
}

static int read_list(const json_t *o, const char *key, char ***ret, struct reader_error *e)
{
	const json_t *j = json_object_get(o, key);
	size_t n = json_array_size(j);

	if (!json_is_array(j))
		return reader_complain(e, "header: \"%s\" is missing or no array", key);
	*ret = calloc(n + 1, sizeof(**ret));
	if (!*ret)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		const char *s = json_string_value(json_array_get(j, i));

		if (!s)
			return reader_complain(e, "header: \"%s\" holds what is no string", key);
		(*ret)[i] = strdup(s);
		if (!(*ret)[i])
			return -ENOMEM;
	}
	return 0;
}

/* A power of two, or `page` would be no shift of the address. */
static int read_numbers(const json_t *o, struct reader_header *ret, struct reader_error *e)
{
	const json_t *base = json_object_get(o, "base_mono_ns");
	const char *clock = json_string_value(json_object_get(o, "clock"));
	int64_t page = json_integer_value(json_object_get(o, "page_size"));

	if (page < 512 || page > INT32_MAX || page & (page - 1))
		return reader_complain(e, "header: \"page_size\" is no page size");
	ret->page_size = (uint32_t)page;
	if (!clock || strcmp(clock, "CLOCK_MONOTONIC"))
		return reader_complain(e, "header: \"clock\" is missing or another clock");
	if (json_is_null(base))
		return reader_hex(json_object_get(o, "base_mono_hex"), &ret->base_mono_ns) ?
		       0 : reader_complain(e, "header: \"base_mono_hex\" is no hex string");
	if (!json_is_integer(base) || json_integer_value(base) < 0 ||
	    json_integer_value(base) > (json_int_t)LINE_INT_MAX)
		return reader_complain(e, "header: \"base_mono_ns\" is missing or no time");
	ret->base_mono_ns = (uint64_t)json_integer_value(base);
	return 0;
}

/* A power of two: a fault is about an aligned block. */
static int read_granularity(const json_t *o, struct reader_header *ret, struct reader_error *e)
{
	const json_t *j = json_object_get(o, "granularity");
	int64_t n = j ? json_integer_value(j) : 1;

	if (n < 1 || n > READER_GRANULARITY_MAX || n & (n - 1))
		return reader_complain(e, "header: \"granularity\" is no power of two");
	ret->granularity = (uint32_t)n;
	return 0;
}

static int read_schema(const json_t *o, struct reader_header *ret, struct reader_error *e)
{
	const char *schema = json_string_value(json_object_get(o, "schema")), *digit;
	const char *ev = json_string_value(json_object_get(o, "ev"));

	if (!ev || strcmp(ev, "header") || !schema ||
	    strncmp(schema, SCHEMA_FAMILY, strlen(SCHEMA_FAMILY)))
		return reader_complain(e, "not a trace: line 1 is no header of " SCHEMA_FAMILY "1");
	digit = schema + strlen(SCHEMA_FAMILY);
	for (; *digit >= '0' && *digit <= '9' && ret->schema < 100000; digit++)
		ret->schema = ret->schema * 10 + (unsigned int)(*digit - '0');
	if (*digit || !ret->schema)
		return reader_complain(e, "not a trace: schema \"%.40s\"", schema);
	if (ret->schema == SCHEMA_OURS)
		return 0;
	reader_complain(e, "is " SCHEMA_FAMILY "%u; this program reads /1", ret->schema);
	return -EPROTONOSUPPORT;
}

static int read_wall_clock(const json_t *o, struct reader_error *e)
{
	const char *s = json_string_value(json_object_get(o, "base_real"));
	static const char shape[] = "0000-00-00T00:00:00";

	if (!s || strlen(s) <= strlen(shape) || s[strlen(s) - 1] != 'Z')
		return reader_complain(e, "header: \"base_real\" is missing or not RFC 3339");
	for (size_t i = 0; shape[i]; i++)
		if (shape[i] == '0' ? s[i] < '0' || s[i] > '9' : s[i] != shape[i])
			return reader_complain(e, "header: \"base_real\" is not RFC 3339");
	return 0;
}

static int read_rest(const json_t *o, struct reader_header *ret, struct reader_error *e)
{
	int r = read_numbers(o, ret, e);

	if (!r)
		r = read_granularity(o, ret, e);
	if (!r)
		r = read_wall_clock(o, e);
	if (!r)
		r = read_string(o, "tool", &ret->tool, e);
	if (!r)
		r = read_string(o, "version", &ret->version, e);
	if (!r)
		r = read_string(o, "host", &ret->host, e);
	if (!r)
		r = read_string(o, "kernel", &ret->kernel, e);
	if (!r)
		r = read_string(o, "arch", &ret->arch, e);
	if (!r)
		r = read_string(o, "engine", &ret->engine, e);
	if (!r)
		r = read_list(o, "modes", &ret->modes, e);
	if (!r)
		r = read_list(o, "features", &ret->features, e);
	if (!r)
		r = read_list(o, "events", &ret->events, e);
	if (!r)
		r = read_list(o, "argv", &ret->argv, e);
	return r;
}

int reader_header(const char *line, size_t len, struct reader_header *ret,
		  struct reader_error *ret_error)
{
	_json_ json_t *o = NULL;
	unsigned int schema;
	int r;

	*ret = (struct reader_header){ 0 };
	o = reader_object(line, len, ret_error);
	if (!o)
		return reader_no_object(ret_error) == -ENOMEM ? -ENOMEM :
		       reader_complain(ret_error, "not a trace: line 1 is no header of "
				       SCHEMA_FAMILY "1");
	r = read_schema(o, ret, ret_error);
	if (!r)
		r = read_rest(o, ret, ret_error);
	schema = ret->schema;
	if (r < 0) {
		reader_header_release(ret);
		ret->schema = schema;
	}
	return r;
}
