/* SPDX-License-Identifier: MIT */
/* Symbols, demangle: names of C++ and Rust as people write them.  See symbols-parts.h. */

#include <libiberty/demangle.h>
#include <string.h>

#include "base/cleanup.h"
#include "report/symbols-parts.h"

/* Longer ones stay as they are: what they stand for can be very much longer. */
#define MANGLED_MAX 4096

char *symbols_demangle(const char *name)
{
	char *text = NULL;

	if (strncmp(name, "_Z", 2) && strncmp(name, "_R", 2))
		return NULL;
	if (strnlen(name, MANGLED_MAX + 1) > MANGLED_MAX)
		return NULL;
	/* Old Rust names look like C++, and end in a hash that only its own reader leaves out. */
	text = rust_demangle(name, DMGL_NO_OPTS);
	return text ? text : cplus_demangle_v3(name, DMGL_ANSI | DMGL_RET_DROP);
}

const char *symbols_word_of(struct lexicon *w, const char *mangled)
{
	_free_ char *text = mangled ? symbols_demangle(mangled) : NULL;
	const char *use = text ? text : mangled;

	return use ? lexicon_word(w, use, strlen(use)) : NULL;
}
