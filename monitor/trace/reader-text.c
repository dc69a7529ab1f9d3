/* SPDX-License-Identifier: MIT */
/*
 * Reader, text: strings, and the raw bytes that stand beside those that are none.
 *
 * Pure.  "name_hex" wins over "name": it is what the target really has.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "trace/reader-parts.h"

static int nibble(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

bool reader_hex(json_t *j, uint64_t *ret)
{
	const char *s = json_string_value(j);
	size_t len = s ? json_string_length(j) : 0;
	uint64_t v = 0;

	if (len < 3 || len > 18 || s[0] != '0' || s[1] != 'x' || (s[2] == '0' && len > 3))
		return false;
	for (size_t i = 2; i < len; i++) {
		if (nibble(s[i]) < 0)
			return false;
		v = v << 4 | (uint64_t)nibble(s[i]);
	}
	*ret = v;
	return true;
}

/* One of the strings of a record: borrowed from the line, or own bytes. */
struct string {
	const char *bytes;
	size_t len;
	char *raw;	/* to free */
	bool null;
};

static void string_done(struct string *s)
{
	free(s->raw);
}

static int read_raw(const json_t *j, const char *key, struct string *ret,
		    struct reader_error *ret_error)
{
	const char *hex = json_string_value(j);
	size_t len = hex ? json_string_length(j) : 1;

	if (len % 2)
		return reader_complain(ret_error, "\"%s\" is not pairs of hex digits", key);
	ret->raw = malloc(len / 2 + 1);
	if (!ret->raw)
		return -ENOMEM;
	for (size_t i = 0; i < len / 2; i++) {
		int hi = nibble(hex[2 * i]), lo = nibble(hex[2 * i + 1]);

		if (hi < 0 || lo < 0)
			return reader_complain(ret_error, "\"%s\" is not pairs of hex digits",
					       key);
		ret->raw[i] = (char)(hi << 4 | lo);
	}
	ret->bytes = ret->raw;
	ret->len = len / 2;
	return 0;
}

static int read_string(const json_t *o, const char *key, const char *key_hex,
		       struct string *ret, struct reader_error *ret_error)
{
	const json_t *j = json_object_get(o, key), *raw = json_object_get(o, key_hex);

	*ret = (struct string){ .bytes = "" };
	if (!j)
		return reader_complain(ret_error, "key \"%s\" is missing", key);
	if (json_is_null(j)) {
		ret->null = true;
		return 0;
	}
	if (!json_is_string(j))
		return reader_complain(ret_error, "\"%s\" is neither a string nor null", key);
	if (raw)
		return read_raw(raw, key_hex, ret, ret_error);
	ret->bytes = json_string_value(j);
	ret->len = json_string_length(j);
	return 0;
}

static int read_two(const json_t *o, const char *const keys[4], struct record *r,
		    struct reader_error *ret_error)
{
	_cleanup_(string_done) struct string a = { 0 };
	_cleanup_(string_done) struct string b = { 0 };
	int err = read_string(o, keys[0], keys[1], &a, ret_error);

	if (!err)
		err = read_string(o, keys[2], keys[3], &b, ret_error);
	if (err)
		return err;
	/* The writer has either all of a record's text or none of it. */
	if (a.null != b.null)
		return reader_complain(ret_error, "only one of \"%s\" and \"%s\" is null", keys[0],
				       keys[2]);
	if (a.null)
		return 0;
	r->text = record_text_new(a.bytes, a.len, b.bytes, b.len);
	return r->text ? 0 : -ENOMEM;
}

/* The name, and behind it the build id, where there is one. */
static int read_mapping(const json_t *o, struct record *r, struct reader_error *ret_error)
{
	_cleanup_(string_done) struct string name = { 0 };
	_cleanup_(string_done) struct string id = { 0 };
	const json_t *j = json_object_get(o, "build_id");
	int err = read_string(o, "name", "name_hex", &name, ret_error);

	if (!err && j)
		err = read_raw(j, "build_id", &id, ret_error);
	if (err || name.null)
		return err;
	r->text = record_text_new(name.bytes, name.len, id.bytes, id.len);
	return r->text ? 0 : -ENOMEM;
}

static int read_thread(const json_t *o, struct record *r, struct reader_error *ret_error)
{
	_cleanup_(string_done) struct string comm = { 0 };
	int err = read_string(o, "comm", "comm_hex", &comm, ret_error);

	if (err || comm.null)
		return err;
	r->text = record_text_new(comm.bytes, comm.len, NULL, 0);
	return r->text ? 0 : -ENOMEM;
}

static int read_frames(const json_t *o, struct record *r, struct reader_error *ret_error)
{
	json_t *list = json_object_get(o, "frames");
	uint64_t frames[RECORD_FRAMES_MAX];
	size_t n = json_array_size(list);

	if (!json_is_array(list) || n > RECORD_FRAMES_MAX)
		return reader_complain(ret_error, "\"frames\" is no array of at most %d addresses",
				       RECORD_FRAMES_MAX);
	for (size_t i = 0; i < n; i++)
		if (!reader_hex(json_array_get(list, i), &frames[i]))
			return reader_complain(ret_error, "\"frames\" holds what is no address");
	r->text = record_frames_new(frames, n);
	return r->text ? 0 : -ENOMEM;
}

int reader_text(json_t *o, struct record *r, struct reader_error *ret_error)
{
	static const char *const names[] = { "comm", "comm_hex", "exe", "exe_hex" };
	static const char *const error[] = { "what", "what_hex", "msg", "msg_hex" };

	switch (r->kind) {
	case RECORD_ATTACH:
	case RECORD_EXEC:
		return read_two(o, names, r, ret_error);
	case RECORD_VMA:
		return read_mapping(o, r, ret_error);
	case RECORD_STACK:
		return read_frames(o, r, ret_error);
	case RECORD_THREAD:
		return read_thread(o, r, ret_error);
	case RECORD_ERROR:
		return read_two(o, error, r, ret_error);
	default:
		return 0;
	}
}
