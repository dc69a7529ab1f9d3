/* SPDX-License-Identifier: MIT */
/*
 * Symbols, parts: what the files of symbols share.  Private to them.
 */
#ifndef REPORT_SYMBOLS_PARTS_H
#define REPORT_SYMBOLS_PARTS_H

#include <sys/stat.h>

#include "report/lexicon.h"
#include "report/symbols.h"

/* Functions inlined into one another at one address, at most. */
#define SYMBOLS_DEPTH_MAX 64u

/* A name of a symbol table or of DWARF, demangled if it is mangled. */
const char *symbols_word_of(struct lexicon *w, const char *mangled);
/* The readable form of a C++ or Rust name, to be freed; NULL: it is not mangled. */
char *symbols_demangle(const char *name);

/* ---- files ---------------------------------------------------------------------- */

/*
 * Open a regular file below root for reading, and nothing else: no device, no fifo is
 * touched.  Below another root than "/" links are followed as they are there.  -errno.
 */
enum symbols_follow { SYMBOLS_NO_LINK, SYMBOLS_LINKS };	/* may its last part be a link? */
int symbols_open(const char *root, const char *path, enum symbols_follow follow,
		 struct stat *ret);

/* ---- ELF and DWARF -------------------------------------------------------------- */

struct symbols_elf;

struct symbols_elf_file {
	const char *root, *debug;	/* live as long as the elf */
	const char *path;		/* within root */
	const uint8_t *build_id;
	size_t build_id_len;
	uint64_t ino;
};

/*
 * 0; *ret is NULL and *ret_state tells why unless the file is the one that is wanted and
 * has a name for anything.  -ENOMEM.
 */
int symbols_elf_open(struct symbols_elf **ret, const struct symbols_elf_file *f,
		     struct lexicon *words, enum symbols_state *ret_state);
struct symbols_elf *symbols_elf_close(struct symbols_elf *e);
/*
 * What lies at this offset of the file, innermost first; module and `known` are not set.
 * Returns how many, at most max; 0: nothing is known.  -ENOMEM.
 */
int symbols_elf_find(struct symbols_elf *e, uint64_t offset, struct symbol *ret, size_t max);

/* The functions of one file by its DWARF; borrows it. */
struct Dwarf;
struct symbols_dwarf;
int symbols_dwarf_new(struct symbols_dwarf **ret, struct Dwarf *dwarf,
		      struct lexicon *words);
struct symbols_dwarf *symbols_dwarf_free(struct symbols_dwarf *d);
/* As symbols_elf_find(), of an address as DWARF has it. */
int symbols_dwarf_find(struct symbols_dwarf *d, uint64_t addr, struct symbol *ret, size_t max);
/* The source line alone; -ENOENT. */
int symbols_dwarf_line(struct symbols_dwarf *d, uint64_t addr, struct symbol *ret);

/* ---- perf maps ------------------------------------------------------------------ */

/* The names that a run-time compiler has written for perf(1) of the code it made. */
struct symbols_perf;
/* 0; *ret is NULL: there is none, or none to be believed.  -ENOMEM. */
int symbols_perf_open(struct symbols_perf **ret, const char *root, int32_t pid,
		      struct lexicon *words);
struct symbols_perf *symbols_perf_close(struct symbols_perf *p);
/* The name of what lies there, and where it begins; NULL: nothing. */
const char *symbols_perf_find(const struct symbols_perf *p, uint64_t addr, uint64_t *ret_lo);
/* From the bytes of such a file; the part without descriptors. */
int symbols_perf_parse(struct symbols_perf **ret, const char *bytes, size_t len,
		       struct lexicon *words);

#endif
