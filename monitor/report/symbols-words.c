/* SPDX-License-Identifier: MIT */
/* Symbols, words: names kept once, readable and harmless.  See symbols-parts.h. */

#include <errno.h>
#include <libiberty/demangle.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "report/symbols-parts.h"
#include "trace/utf8.h"

struct word {
	struct word *next;
	uint64_t hash;
	char bytes[];
};

struct symbols_words {
	struct word **slots;
	size_t n, mask;
};

int symbols_words_new(struct symbols_words **ret)
{
	struct symbols_words *w = calloc(1, sizeof(*w));

	if (!w)
		return -ENOMEM;
	w->mask = 1023;
	w->slots = calloc(w->mask + 1, sizeof(*w->slots));
	if (!w->slots)
		return symbols_words_free(w), -ENOMEM;
	*ret = w;
	return 0;
}

struct symbols_words *symbols_words_free(struct symbols_words *w)
{
	struct word *x, *next;

	if (!w)
		return NULL;
	for (size_t i = 0; w->slots && i <= w->mask; i++) {
		for (x = w->slots[i]; x; x = next) {
			next = x->next;
			free(x);
		}
	}
	free(w->slots);
	free(w);
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

/* At most SYMBOLS_NAME_MAX bytes into buf; the length. */
static size_t tame(const char *bytes, size_t len, char *buf)
{
	const unsigned char *p = (const unsigned char *)bytes;
	size_t at = 0;

	for (size_t i = 0, n; i < len; i += n) {
		bool raw;

		n = utf8_sequence(bytes + i, len - i);
		raw = n && !gives_orders(p + i, n);
		n = n ? n : 1;
		if (at + (raw ? n : 4 * n) > SYMBOLS_NAME_MAX - 3) {
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

static void grow(struct symbols_words *w)
{
	size_t mask = w->mask * 4 + 3;
	struct word **slots = calloc(mask + 1, sizeof(*slots)), *x, *next;

	/* Without memory it becomes slow, not wrong. */
	if (!slots)
		return;
	for (size_t i = 0; i <= w->mask; i++) {
		for (x = w->slots[i]; x; x = next) {
			next = x->next;
			x->next = slots[x->hash & mask];
			slots[x->hash & mask] = x;
		}
	}
	free(w->slots);
	w->slots = slots;
	w->mask = mask;
}

const char *symbols_word(struct symbols_words *w, const char *bytes, size_t len)
{
	char buf[SYMBOLS_NAME_MAX];
	struct word *x;
	uint64_t h;

	if (!bytes)
		return NULL;
	len = tame(bytes, len, buf);
	h = hash_of(buf, len);
	for (x = w->slots[h & w->mask]; x; x = x->next)
		if (x->hash == h && !strncmp(x->bytes, buf, len) && !x->bytes[len])
			return x->bytes;
	if (w->n++ > w->mask)
		grow(w);
	x = malloc(sizeof(*x) + len + 1);
	if (!x)
		return NULL;
	x->hash = h;
	memcpy(x->bytes, buf, len);
	x->bytes[len] = '\0';
	x->next = w->slots[h & w->mask];
	w->slots[h & w->mask] = x;
	return x->bytes;
}

char *symbols_demangle(const char *name)
{
	char *text = NULL;

	if (strncmp(name, "_Z", 2) && strncmp(name, "_R", 2))
		return NULL;
	if (strnlen(name, 4097) > 4096)
		return NULL;
	/* Old Rust names look like C++, and end in a hash that only its own reader leaves out. */
	text = rust_demangle(name, DMGL_NO_OPTS);
	return text ? text : cplus_demangle_v3(name, DMGL_ANSI | DMGL_RET_DROP);
}

const char *symbols_word_of(struct symbols_words *w, const char *mangled)
{
	_free_ char *text = mangled ? symbols_demangle(mangled) : NULL;
	const char *use = text ? text : mangled;

	return use ? symbols_word(w, use, strlen(use)) : NULL;
}
