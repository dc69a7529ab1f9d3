/* SPDX-License-Identifier: MIT */
/*
 * Symbols, DWARF: the functions of one file, with what was inlined into them.
 *
 * Units and functions lie in tables by address, made when they are first wanted: a file may
 * have a hundred thousand functions, and .debug_aranges may be missing (clang).
 */

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "report/symbols-parts.h"

/* Namespaces and classes in one another. */
#define NESTING_MAX 32

struct span {
	uint64_t lo, hi;
	uint64_t what;		/* index of a unit; offset of a function's DIE */
};

struct spans {
	struct span *v;
	size_t n, room;
};

struct unit {
	Dwarf_Die lines, tree;	/* two where the tree is in a file of its own (split DWARF) */
	struct spans functions;
	bool read;
};

struct symbols_dwarf {
	struct lexicon *words;
	struct unit *units;
	size_t nunits, room;
	struct spans spans;	/* of the units */
};

static int spans_add(struct spans *s, uint64_t lo, uint64_t hi, uint64_t what)
{
	size_t room = s->room ? s->room * 2 : 16;
	void *v;

	if (hi <= lo)
		return 0;
	if (s->n == s->room) {
		v = realloc(s->v, room * sizeof(*s->v));
		if (!v)
			return -ENOMEM;
		s->v = v;
		s->room = room;
	}
	s->v[s->n++] = (struct span){ lo, hi, what };
	return 0;
}

static int by_begin(const void *a, const void *b)
{
	const struct span *x = a, *y = b;

	if (x->lo != y->lo)
		return x->lo < y->lo ? -1 : 1;
	return x->hi < y->hi ? 1 : x->hi > y->hi ? -1 : 0;
}

static void spans_sort(struct spans *s)
{
	if (s->n)
		qsort(s->v, s->n, sizeof(*s->v), by_begin);
}

/* The last that begins before addr and holds it.  Spans overlap only in damaged files. */
static const struct span *spans_find(const struct spans *s, uint64_t addr)
{
	size_t lo = 0, hi = s->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (s->v[mid].lo <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (size_t back = 0; lo-- && back < 8; back++)
		if (addr < s->v[lo].hi)
			return &s->v[lo];
	return NULL;
}

static int add_ranges(struct spans *s, Dwarf_Die *die, uint64_t what)
{
	Dwarf_Addr base, lo, hi;
	ptrdiff_t at = 0;
	int r = 0;

	while (!r && (at = dwarf_ranges(die, at, &base, &lo, &hi)) > 0)
		r = spans_add(s, lo, hi, what);
	return r;
}

static int add_unit(struct symbols_dwarf *d, Dwarf_Die *lines, Dwarf_Die *tree)
{
	size_t room = d->room ? d->room * 2 : 16;
	void *units;

	if (d->nunits == d->room) {
		units = realloc(d->units, room * sizeof(*d->units));
		if (!units)
			return -ENOMEM;
		d->units = units;
		d->room = room;
	}
	d->units[d->nunits] = (struct unit){ .lines = *lines, .tree = *tree };
	return add_ranges(&d->spans, lines, d->nunits++);
}

int symbols_dwarf_new(struct symbols_dwarf **ret, Dwarf *dwarf, struct lexicon *words)
{
	struct symbols_dwarf *d = calloc(1, sizeof(*d));
	Dwarf_CU *cu = NULL;
	Dwarf_Die lines, split;
	uint8_t type;
	int r = d ? 0 : -ENOMEM;

	if (!d)
		return r;
	d->words = words;
	while (!r && !dwarf_get_units(dwarf, cu, &cu, NULL, &type, &lines, &split)) {
		if (type != DW_UT_compile && type != DW_UT_skeleton)
			continue;
		if (type == DW_UT_skeleton && dwarf_tag(&split) == DW_TAG_compile_unit)
			r = add_unit(d, &lines, &split);
		else
			r = add_unit(d, &lines, &lines);
	}
	if (r) {
		symbols_dwarf_free(d);
		return r;
	}
	spans_sort(&d->spans);
	*ret = d;
	return 0;
}

struct symbols_dwarf *symbols_dwarf_free(struct symbols_dwarf *d)
{
	if (!d)
		return NULL;
	for (size_t i = 0; i < d->nunits; i++)
		free(d->units[i].functions.v);
	free(d->units);
	free(d->spans.v);
	free(d);
	return NULL;
}

static int read_functions(struct spans *s, Dwarf_Die *parent, unsigned int depth)
{
	Dwarf_Die die;
	int r = 0;

	if (depth > NESTING_MAX || dwarf_child(parent, &die))
		return 0;
	do {
		switch (dwarf_tag(&die)) {
		case DW_TAG_subprogram:
			r = add_ranges(s, &die, dwarf_dieoffset(&die));
			break;
		case DW_TAG_namespace:
		case DW_TAG_module:
		case DW_TAG_class_type:
		case DW_TAG_structure_type:
			r = read_functions(s, &die, depth + 1);
			break;
		}
	} while (!r && !dwarf_siblingof(&die, &die));
	return r;
}

static int unit_of(struct symbols_dwarf *d, uint64_t addr, struct unit **ret)
{
	const struct span *s = spans_find(&d->spans, addr);
	struct unit *u = s ? &d->units[s->what] : NULL;
	int r = 0;

	if (u && !u->read) {
		u->read = true;
		r = read_functions(&u->functions, &u->tree, 0);
		spans_sort(&u->functions);
	}
	*ret = u;
	return r;
}

/* The call that was replaced by what is inlined, or a block it may be in. */
static bool step_into(Dwarf_Die *in, uint64_t addr, Dwarf_Die *ret)
{
	if (dwarf_child(in, ret))
		return false;
	do {
		int tag = dwarf_tag(ret);

		if ((tag == DW_TAG_inlined_subroutine || tag == DW_TAG_lexical_block ||
		     tag == DW_TAG_try_block || tag == DW_TAG_catch_block) &&
		    dwarf_haspc(ret, addr) > 0)
			return true;
	} while (!dwarf_siblingof(ret, ret));
	return false;
}

static const char *name_of(struct symbols_dwarf *d, Dwarf_Die *die)
{
	_free_ char *text = NULL;
	const char *linkage = NULL;
	Dwarf_Attribute attr;

	if (dwarf_attr_integrate(die, DW_AT_linkage_name, &attr) ||
	    dwarf_attr_integrate(die, DW_AT_MIPS_linkage_name, &attr))
		linkage = dwarf_formstring(&attr);
	text = linkage ? symbols_demangle(linkage) : NULL;
	if (text)
		return lexicon_word(d->words, text, strlen(text));
	return symbols_word_of(d->words, dwarf_diename(die));
}

static uint64_t number_of(Dwarf_Die *die, unsigned int name)
{
	Dwarf_Attribute attr;
	Dwarf_Word value;

	if (!dwarf_attr(die, name, &attr) || dwarf_formudata(&attr, &value))
		return 0;
	return value;
}

/* Where the call stood that was replaced. */
static void call_site(struct symbols_dwarf *d, Dwarf_Die *inlined, struct symbol *ret)
{
	uint64_t file = number_of(inlined, DW_AT_call_file), line;
	const char *name;
	Dwarf_Files *files;
	Dwarf_Die unit;
	size_t n;

	if (!dwarf_diecu(inlined, &unit, NULL, NULL) || dwarf_getsrcfiles(&unit, &files, &n) ||
	    file >= n)
		return;
	name = dwarf_filesrc(files, file, NULL, NULL);
	ret->file = name ? lexicon_word(d->words, name, strlen(name)) : NULL;
	line = number_of(inlined, DW_AT_call_line);
	ret->line = ret->file && line <= UINT32_MAX ? (uint32_t)line : 0;
}

static void source_line(struct symbols_dwarf *d, struct unit *u, uint64_t addr,
			struct symbol *ret)
{
	Dwarf_Line *line = dwarf_getsrc_die(&u->lines, addr);
	const char *name = line ? dwarf_linesrc(line, NULL, NULL) : NULL;
	int number = 0;

	if (!name || dwarf_lineno(line, &number) || number < 0)
		return;
	ret->file = lexicon_word(d->words, name, strlen(name));
	ret->line = ret->file ? (uint32_t)number : 0;
}

int symbols_dwarf_line(struct symbols_dwarf *d, uint64_t addr, struct symbol *ret)
{
	struct unit *u;
	int r = unit_of(d, addr, &u);

	if (r)
		return r;
	ret->file = NULL;
	ret->line = 0;
	if (u)
		source_line(d, u, addr, ret);
	return ret->file ? 0 : -ENOENT;
}

/* Outermost first; what is beyond the bound is left out. */
static size_t descend(Dwarf_Die *function, uint64_t addr, Dwarf_Die *ret, size_t max)
{
	Dwarf_Die at = *function, in;
	size_t n = 0;

	ret[n++] = at;
	for (unsigned int depth = 0; depth < 4 * SYMBOLS_DEPTH_MAX && n < max; depth++) {
		if (!step_into(&at, addr, &in))
			break;
		if (dwarf_tag(&in) == DW_TAG_inlined_subroutine)
			ret[n++] = in;
		at = in;
	}
	return n;
}

int symbols_dwarf_find(struct symbols_dwarf *d, uint64_t addr, struct symbol *ret, size_t max)
{
	Dwarf_Die chain[SYMBOLS_DEPTH_MAX], function;
	const struct span *s = NULL;
	Dwarf_Addr begin;
	struct unit *u;
	size_t n;
	int r = unit_of(d, addr, &u);

	if (r)
		return r;
	s = u ? spans_find(&u->functions, addr) : NULL;
	if (!s || !max || !dwarf_offdie(dwarf_cu_getdwarf(u->tree.cu), s->what, &function))
		return 0;
	n = descend(&function, addr, chain, max < SYMBOLS_DEPTH_MAX ? max : SYMBOLS_DEPTH_MAX);
	for (size_t i = 0; i < n; i++) {
		Dwarf_Die *die = &chain[n - 1 - i];

		ret[i] = (struct symbol){ .function = name_of(d, die), .inlined = i + 1 < n };
		if (!ret[i].function)
			return 0;
		if (!dwarf_entrypc(die, &begin) && begin <= addr)
			ret[i].offset = addr - begin;
		if (!i)
			source_line(d, u, addr, &ret[i]);
		else
			call_site(d, &chain[n - i], &ret[i]);
	}
	return (int)n;
}
