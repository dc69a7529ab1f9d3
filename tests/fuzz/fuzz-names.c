/* SPDX-License-Identifier: MIT */
/*
 * Fuzz: names that others chose: perf maps, lists of pages, and what export makes of words.
 *
 * The first byte chooses.  What is looked up in a map lies in a line of it; a word is text
 * without orders to a terminal; what is quoted cannot break out of its quotes.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "report/lexicon.h"
#include "report/pen.h"
#include "report/symbols-parts.h"
#include "restore/prefetch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool fact)
{
	if (!fact)
		abort();
}

static void is_tame(const char *s, size_t len)
{
	for (size_t i = 0, n; i < len; i += n) {
		n = utf8_sequence(s + i, len - i);
		must(n && (n > 1 || ((unsigned char)s[i] >= 0x20 && s[i] != 0x7f)));
		must(n != 2 || (unsigned char)s[i] != 0xc2 || (unsigned char)s[i + 1] >= 0xa0);
	}
}

static void perf_map(const char *text, size_t size)
{
	struct lexicon *words = NULL;
	struct symbols_perf *p = NULL;
	uint64_t addr = 0, lo;

	must(!lexicon_new(&words) && !symbols_perf_parse(&p, text, size, words));
	for (size_t i = 0; i + 8 <= size; i += 8) {
		const char *name;

		memcpy(&addr, text + i, sizeof(addr));
		name = symbols_perf_find(p, addr, &lo);
		must(!name || lo <= addr);
		if (name)
			is_tame(name, strlen(name));
	}
	for (addr = 0; addr < 4096; addr += 16) {
		const char *name = symbols_perf_find(p, addr, &lo);

		must(!name || lo <= addr);
	}
	symbols_perf_close(p);
	lexicon_free(words);
}

static void list(const char *text, size_t size)
{
	struct prefetch_problem why;
	struct record r;

	for (const char *at = text, *end; at < text + size; at = end + 1) {
		int got;

		end = memchr(at, '\n', (size_t)(text + size - at));
		end = end ? end : text + size;
		if (prefetch_is_list(at, (size_t)(end - at)))
			prefetch_list_head(at, (size_t)(end - at), &why);
		got = prefetch_list_line(at, (size_t)(end - at), &r, &why);
		must(got == 0 || got == 1 || got == -EBADMSG);
		must(got != 1 || (r.pid > 0 && (r.kind == RECORD_DIRTY ? r.npages > 0 :
						r.kind == RECORD_FORK && r.fork.child > 0)));
	}
}

struct paper {
	char text[1 << 16];
	size_t n;
};

static int take(void *arg, const char *bytes, size_t len)
{
	struct paper *p = arg;

	must(len <= sizeof(p->text) - p->n);
	memcpy(p->text + p->n, bytes, len);
	p->n += len;
	return 0;
}

/* Quotes at both ends, and none between that is not escaped. */
static void is_quoted(const struct paper *p)
{
	must(p->n >= 2 && p->text[0] == '"' && p->text[p->n - 1] == '"');
	for (size_t i = 1; i + 1 < p->n; i++) {
		must(p->text[i] != '"');
		i += p->text[i] == '\\';
	}
	is_tame(p->text, p->n);
}

static void words(const char *text, size_t size)
{
	static struct paper paper;
	static struct pen pen;
	struct lexicon *l = NULL;
	const char *word;

	size = size < 2000 ? size : 2000;
	must(!lexicon_new(&l));
	word = lexicon_word(l, text, size);
	must(word && word == lexicon_word(l, text, size) && strlen(word) <= LEXICON_WORD_MAX);
	is_tame(word, strlen(word));
	lexicon_free(l);
	for (int kind = 0; kind < 4; kind++) {
		paper.n = 0;
		pen_begin(&pen, take, &paper);
		if (kind == 0)
			pen_json(&pen, text, size);
		else if (kind == 1)
			pen_label(&pen, text, size);
		else if (kind == 2)
			pen_csv(&pen, text, size);
		else
			pen_frame(&pen, text, size);
		must(!pen_end(&pen));
		is_tame(paper.text, paper.n);
		if (kind < 2)
			is_quoted(&paper);
	}
}

static void mangled(const char *text, size_t size)
{
	char *name = strndup(text, size < 200 ? size : 200), *plain;

	must(name);
	plain = symbols_demangle(name);
	free(plain);
	free(name);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const what[])(const char *, size_t) = { perf_map, list, words, mangled };

	if (size > 1)
		what[data[0] % 4]((const char *)data + 1, size - 1);
	return 0;
}
