/* SPDX-License-Identifier: MIT */
/*
 * Record, JSON: objects of jansson that keep the rules of the trace format.
 *
 * Private to the record room.  Every function that sets a key returns 0, or -1
 * when memory ran out, so that results can be or-ed and looked at once.
 */
#ifndef TRACE_RECORD_JSON_H
#define TRACE_RECORD_JSON_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

static inline void record_json_decref_p(json_t **j)
{
	json_decref(*j);
}

#define _json_ __attribute__((cleanup(record_json_decref_p)))

int record_json_int(json_t *o, const char *key, uint64_t v);
int record_json_word(json_t *o, const char *key, const char *word);
/* A hex string, as every address. */
int record_json_hex(json_t *o, const char *key, uint64_t v);
/* An integer; one that readers would round is null, and its hex string follows. */
int record_json_large(json_t *o, const char *key, const char *key_hex, uint64_t v);
/*
 * Foreign bytes.  What is not UTF-8 (or NUL) becomes U+FFFD, and the raw bytes
 * follow under key_hex.
 */
int record_json_text(json_t *o, const char *key, const char *key_hex, const char *bytes,
		     size_t len);
/* The same for an array of strings: all of them raw if one of them needs it. */
int record_json_texts(json_t *o, const char *key, const char *key_hex, const char *const *list);
/* Bytes as pairs of hex digits. */
int record_json_raw(json_t *o, const char *key, const char *bytes, size_t len);

/*
 * One line with its newline.  Control bytes that JSON would let pass (DEL, C1) are
 * escaped as well: a trace shown on a terminal gives no orders to it.  Returns the
 * length, -ENOSPC, -ENOMEM.
 */
int64_t record_json_line(json_t *o, char *buf, size_t cap);

#endif
