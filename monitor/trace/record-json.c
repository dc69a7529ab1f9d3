/* SPDX-License-Identifier: MIT */
/* Record, JSON: foreign text and large numbers.  See record-json.h. */

#include "trace/record-json.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/utf8.h"
#include "trace/line.h"

#define REPLACEMENT "\xef\xbf\xbd"	/* U+FFFD */

int record_json_int(json_t *o, const char *key, uint64_t v)
{
	return json_object_set_new(o, key, json_integer((json_int_t)v));
}

int record_json_word(json_t *o, const char *key, const char *word)
{
	return json_object_set_new(o, key, json_string(word));
}

int record_json_hex(json_t *o, const char *key, uint64_t v)
{
	char room[24];
	struct line l = { .p = room };

	line_hex(&l, v);
	/* The library adds the quotes. */
	return json_object_set_new(o, key,
				   json_stringn(room + 1, (size_t)(l.p - room) - 2));
}

int record_json_large(json_t *o, const char *key, const char *key_hex, uint64_t v)
{
	if (v <= LINE_INT_MAX)
		return record_json_int(o, key, v);
	return json_object_set_new(o, key, json_null()) | record_json_hex(o, key_hex, v);
}

/* The sequence at s that may stand in a string as it is; 0: it may not. */
static size_t text_sequence(const char *s, size_t len)
{
	return len && *s ? utf8_sequence(s, len) : 0;
}

static bool is_text(const char *s, size_t len)
{
	size_t n;

	for (; len; s += n, len -= n) {
		n = text_sequence(s, len);
		if (!n)
			return false;
	}
	return true;
}

static json_t *replaced(const char *s, size_t len)
{
	_free_ char *room = malloc(len * 3 + 1);
	size_t n, used = 0;

	if (!room)
		return NULL;
	for (; len; s += n, len -= n) {
		n = text_sequence(s, len);
		memcpy(room + used, n ? s : REPLACEMENT, n ? n : 3);
		used += n ? n : 3;
		n += !n;
	}
	return json_stringn(room, used);
}

static json_t *raw_hex(const char *s, size_t len)
{
	_free_ char *room = malloc(len * 2 + 1);

	if (!room)
		return NULL;
	for (size_t i = 0; i < len; i++) {
		room[2 * i] = "0123456789abcdef"[(unsigned char)s[i] >> 4];
		room[2 * i + 1] = "0123456789abcdef"[s[i] & 15];
	}
	return json_stringn(room, len * 2);
}

int record_json_text(json_t *o, const char *key, const char *key_hex, const char *bytes,
		     size_t len)
{
	if (is_text(bytes, len))
		return json_object_set_new(o, key, json_stringn(bytes, len));
	return json_object_set_new(o, key, replaced(bytes, len)) |
	       json_object_set_new(o, key_hex, raw_hex(bytes, len));
}

int record_json_texts(json_t *o, const char *key, const char *key_hex, const char *const *list)
{
	json_t *texts = json_array(), *raws = NULL;
	bool plain = true;
	int err = 0;

	for (size_t i = 0; list && list[i]; i++) {
		plain &= is_text(list[i], strlen(list[i]));
		err |= json_array_append_new(texts, replaced(list[i], strlen(list[i])));
	}
	err |= json_object_set_new(o, key, texts);
	if (plain)
		return err;
	raws = json_array();
	for (size_t i = 0; list[i]; i++)
		err |= json_array_append_new(raws, raw_hex(list[i], strlen(list[i])));
	return err | json_object_set_new(o, key_hex, raws);
}

/* How many bytes more the escape of the character at s needs; 0: it needs none. */
static size_t escape_growth(const char *s, size_t len)
{
	if (*s == 0x7f)
		return 5;
	if ((unsigned char)s[0] == 0xc2 && len > 1 && (unsigned char)s[1] < 0xa0)
		return 4;
	return 0;
}

/* Such bytes stand in strings only, so the escape means the same wherever they are. */
static void escape_controls(char *buf, size_t len, size_t growth)
{
	char *src = buf + len, *dst = src + growth;

	while (src != dst) {
		unsigned char c = (unsigned char)*--src;

		if (c != 0x7f && (c >= 0xa0 || c < 0x80 || (unsigned char)src[-1] != 0xc2)) {
			*--dst = (char)c;
			continue;
		}
		dst -= 6;
		memcpy(dst, "\\u00", 4);
		dst[4] = "0123456789abcdef"[c >> 4];
		dst[5] = "0123456789abcdef"[c & 15];
		src -= c != 0x7f;
	}
}

int record_json_raw(json_t *o, const char *key, const char *bytes, size_t len)
{
	return json_object_set_new(o, key, raw_hex(bytes, len));
}

int64_t record_json_line(json_t *o, char *buf, size_t cap)
{
	size_t len = json_dumpb(o, buf, cap, JSON_COMPACT), growth = 0;

	if (!len)
		return -ENOMEM;
	if (len >= cap)
		return -ENOSPC;
	for (size_t i = 0; i < len; i++)
		growth += escape_growth(buf + i, len - i);
	if (len + growth >= cap)
		return -ENOSPC;
	escape_controls(buf, len, growth);
	buf[len + growth] = '\n';
	return (int64_t)(len + growth) + 1;
}
