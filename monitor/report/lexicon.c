/* SPDX-License-Identifier: MIT */
/* Lexicon: a hash table of words.  See lexicon.h. */

#include "report/lexicon.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "trace/utf8.h"

struct word {
	struct word *next;
	uint64_t hash;
	char bytes[];
};

struct lexicon {
	struct word **slots;
	size_t n, mask;
};

int lexicon_new(struct lexicon **ret)
{
	struct lexicon *l = calloc(1, sizeof(*l));

	if (!l)
		return -ENOMEM;
	l->mask = 1023;
	l->slots = calloc(l->mask + 1, sizeof(*l->slots));
	if (!l->slots)
		return lexicon_free(l), -ENOMEM;
	*ret = l;
	return 0;
}

struct lexicon *lexicon_free(struct lexicon *l)
{
	struct word *x, *next;

	if (!l)
		return NULL;
	for (size_t i = 0; l->slots && i <= l->mask; i++) {
		for (x = l->slots[i]; x; x = next) {
			next = x->next;
			free(x);
		}
	}
	free(l->slots);
	free(l);
	return NULL;
}

static uint64_t hash_of(const char *s, size_t len)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < len; i++)
		h = (h ^ (unsigned char)s[i]) * UINT64_C(0x100000001b3);
	return h;
}

/* Control characters, C0 and C1, and those that turn the direction of writing. */
static bool gives_orders(const unsigned char *p, size_t n)
{
	uint32_t c = p[0];

	if (n == 2)
		c = (p[0] & 0x1fu) << 6 | (p[1] & 0x3fu);
	else if (n == 3)
		c = (p[0] & 0xfu) << 12 | (p[1] & 0x3fu) << 6 | (p[2] & 0x3fu);
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || (n == 3 && ((c >= 0x2028 && c <= 0x202e) ||
	       (c >= 0x2066 && c <= 0x2069) || c == 0x200e || c == 0x200f || c == 0xfeff));
}

/* At most LEXICON_WORD_MAX bytes into buf; the length. */
static size_t tame(const char *bytes, size_t len, char *buf)
{
	const unsigned char *p = (const unsigned char *)bytes;
	size_t at = 0;

	for (size_t i = 0, n; i < len; i += n) {
		bool raw;

		n = utf8_sequence(bytes + i, len - i);
		raw = n && !gives_orders(p + i, n);
		n = n ? n : 1;
		if (at + (raw ? n : 4 * n) > LEXICON_WORD_MAX - 3) {
			memcpy(buf + at, "...", 3);
			return at + 3;
		}
		if (raw) {
			memcpy(buf + at, p + i, n);
			at += n;
		}
		for (size_t k = 0; !raw && k < n; k++) {
			buf[at++] = '\\';
			buf[at++] = (char)('0' + (p[i + k] >> 6));
			buf[at++] = (char)('0' + (p[i + k] >> 3 & 7));
			buf[at++] = (char)('0' + (p[i + k] & 7));
		}
	}
	return at;
}

static void grow(struct lexicon *l)
{
	size_t mask = l->mask * 4 + 3;
	struct word **slots = calloc(mask + 1, sizeof(*slots)), *x, *next;

	/* Without memory it becomes slow, not wrong. */
	if (!slots)
		return;
	for (size_t i = 0; i <= l->mask; i++) {
		for (x = l->slots[i]; x; x = next) {
			next = x->next;
			x->next = slots[x->hash & mask];
			slots[x->hash & mask] = x;
		}
	}
	free(l->slots);
	l->slots = slots;
	l->mask = mask;
}

const char *lexicon_word(struct lexicon *l, const char *bytes, size_t len)
{
	char buf[LEXICON_WORD_MAX];
	struct word *x;
	uint64_t h;

	if (!bytes)
		return NULL;
	len = tame(bytes, len, buf);
	h = hash_of(buf, len);
	for (x = l->slots[h & l->mask]; x; x = x->next)
		if (x->hash == h && !strncmp(x->bytes, buf, len) && !x->bytes[len])
			return x->bytes;
	if (l->n++ > l->mask)
		grow(l);
	x = malloc(sizeof(*x) + len + 1);
	if (!x)
		return NULL;
	x->hash = h;
	memcpy(x->bytes, buf, len);
	x->bytes[len] = '\0';
	x->next = l->slots[h & l->mask];
	l->slots[h & l->mask] = x;
	return x->bytes;
}
