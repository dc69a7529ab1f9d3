/* SPDX-License-Identifier: MIT */
/* Reader: one line, from its braces to its kind.  See reader.h. */

#include "trace/reader.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "trace/names.h"
#include "trace/reader-parts.h"
#include "trace/record-json.h"

int reader_complain(struct reader_error *e, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	/* What was quoted from the line may hold anything. */
	for (char *p = e->text; *p; p++)
		if ((unsigned char)*p < ' ' || (unsigned char)*p > '~')
			*p = '?';
	return -EBADMSG;
}

static bool ends_with(const char *key, const char *tail)
{
	size_t n = strlen(key), m = strlen(tail);

	return n >= m && !strcmp(key + n - m, tail);
}

bool reader_key_allowed(const char *key)
{
	static const char *const words[] = {
		"end", "from", "to", "order", "group", "count", "size", "date",
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (!strcmp(key, words[i]))
			return false;
	return !ends_with(key, "_at") && !ends_with(key, "_time") &&
	       strncmp(key, "timestamp", 9);
}

json_t *reader_object(const char *line, size_t len, struct reader_error *ret_error)
{
	json_error_t e;
	json_t *o = json_loadb(line, len, JSON_REJECT_DUPLICATES, &e);

	/* Where memory runs out in the middle of an object no text is set. */
	if (!o && (!*e.text || json_error_code(&e) == json_error_out_of_memory))
		reader_complain(ret_error, READER_OUT_OF_MEMORY);
	else if (!o)
		reader_complain(ret_error, "no JSON: %s (byte %d)", e.text, e.position);
	if (!o)
		return NULL;
	if (!json_is_object(o)) {
		reader_complain(ret_error, "no JSON object");
		json_decref(o);
		return NULL;
	}
	return o;
}

int reader_no_object(const struct reader_error *e)
{
	return strcmp(e->text, READER_OUT_OF_MEMORY) ? -EBADMSG : -ENOMEM;
}

static int check_keys(json_t *o, struct reader_error *ret_error)
{
	static const char *const first[] = { "ev", "seq", "ts", "pid", "mm" };
	size_t i = 0, n = sizeof(first) / sizeof(first[0]);

	for (void *it = json_object_iter(o); it; it = json_object_iter_next(o, it), i++) {
		const char *key = json_object_iter_key(it);

		if (i < n && strcmp(key, first[i]))
			return reader_complain(ret_error, "key %zu is \"%s\", not \"%s\"", i + 1,
					       key, first[i]);
		if (!reader_key_allowed(key))
			return reader_complain(ret_error, "no key may be called \"%s\"", key);
	}
	return 0;
}

static int read_long_way(const struct reader *rd, const char *line, size_t len,
			 struct reader_record *ret, struct reader_error *ret_error)
{
	_json_ json_t *o = reader_object(line, len, ret_error);
	const char *ev;
	int kind, r = 0;

	*ret = (struct reader_record){ 0 };
	if (!o)
		return reader_no_object(ret_error);
	ev = json_string_value(json_object_get(o, "ev"));
	if (!ev)
		return reader_complain(ret_error, "key \"ev\" is missing or no string");
	kind = names_find(NAMES_RECORD_KIND, ev, strlen(ev));
	if (kind == RECORD_HEADER)
		return reader_complain(ret_error, "a second header");
	if (rd->strict)
		r = check_keys(o, ret_error);
	if (!r)
		r = reader_common(o, ret, ret_error);
	if (r < 0)
		return r;
	ret->unknown = kind < 0;
	if (ret->unknown)
		return 0;
	ret->record.kind = (uint8_t)kind;
	return reader_fields(o, rd->page_size, ret, ret_error);
}

int reader_record(const struct reader *rd, const char *line, size_t len,
		  struct reader_record *ret, struct reader_error *ret_error)
{
	if (!rd->slow && reader_short_cut(line, len, rd->page_size, ret))
		return 0;
	return read_long_way(rd, line, len, ret, ret_error);
}
