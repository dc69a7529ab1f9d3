/* SPDX-License-Identifier: MIT */
/*
 * Symbols: an address of code and the mapping it lies in go in, a function and its source
 * line come out.
 *
 * Not pure: opens the files that a trace names, and debug files beside them; nothing else,
 * and nothing over a network.  The process may have gone long ago.  A file is believed only
 * if its build id is that of the trace, or, where the trace has none, if it has the inode of
 * the trace; else the code is called by its mapping.  Each file is opened once, each address
 * looked up once.  One thread.
 */
#ifndef REPORT_SYMBOLS_H
#define REPORT_SYMBOLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct symbols;

struct symbols_options {
	const char *root;	/* the files are below it, as in a container; NULL: "/" */
	const char *debug;	/* debug files are below it; NULL: "/usr/lib/debug" */
	bool off;		/* open nothing: everything is called by its mapping */
};

/* A mapping with code, as a vma record tells of it.  Borrowed for the call. */
struct symbols_where {
	const char *name;		/* bytes: a path, "[vdso]" or nothing */
	size_t name_len;
	const uint8_t *build_id;	/* raw */
	size_t build_id_len;		/* 0: not known */
	uint64_t lo, off, ino;		/* first address, its place in the file */
	int32_t pid;			/* for the perf map of code made at run time */
};

/*
 * All strings live as long as the symbols, have no control bytes and are valid UTF-8; the
 * same words are the same pointer, so that functions can be compared and counted by it.
 */
struct symbol {
	const char *function;	/* demangled; the module where no function is known */
	const char *module;	/* last part of the path, "[vdso]", "anon" */
	const char *file;	/* source, NULL: not known */
	uint32_t line;		/* 0: not known */
	uint64_t offset;	/* from the begin of the function; or in the file */
	bool known;		/* function is one */
	bool inlined;		/* into the next one of the list */
};

/* What became of a file. */
enum symbols_state {
	SYMBOLS_LINES,		/* functions and source lines */
	SYMBOLS_NAMES,		/* a table of names alone */
	SYMBOLS_NONE,		/* the file is the one, and has no names */
	SYMBOLS_DIFFERS,	/* another file is there now */
	SYMBOLS_GONE,		/* nothing is there, or not for us */
	SYMBOLS_NO_FILE,	/* code without a file */
};

struct symbols_module {
	const char *name;	/* as struct symbol's module */
	const char *path;	/* escaped */
	enum symbols_state state;
	uint64_t asked;		/* how many different addresses */
};

/* -ENOMEM. */
int symbols_new(struct symbols **ret, const struct symbols_options *options);
/* NULL in, NULL out. */
struct symbols *symbols_free(struct symbols *s);

/*
 * Innermost function first, then those that it was inlined into; at least one.  A caller is
 * known by the address that the call returns to: of it `caller` is true, and the instruction
 * before it is looked up.  *ret is good as long as the symbols.  0 or -ENOMEM.
 */
int symbols_find(struct symbols *s, const struct symbols_where *w, uint64_t addr, bool caller,
		 const struct symbol **ret, size_t *ret_n);

/* The i-th file that was asked for; false behind the last one. */
bool symbols_module(const struct symbols *s, size_t i, struct symbols_module *ret);

#endif
