/* SPDX-License-Identifier: MIT */
/*
 * Lexicon: words kept once, and harmless.
 *
 * Pure.  For names that somebody else chose, of functions, files, mappings and threads: what
 * a terminal obeys, and what is not UTF-8, becomes \ooo, and what is too long is cut off.  The
 * same words are the same pointer.
 */
#ifndef REPORT_LEXICON_H
#define REPORT_LEXICON_H

#include <stddef.h>

struct lexicon;

/* Longer words are cut, and end in "...". */
#define LEXICON_WORD_MAX 1024u

/* -ENOMEM. */
int lexicon_new(struct lexicon **ret);
/* NULL in, NULL out. */
struct lexicon *lexicon_free(struct lexicon *l);
/* Good as long as the lexicon; NULL without memory, and for NULL. */
const char *lexicon_word(struct lexicon *l, const char *bytes, size_t len);

#endif
