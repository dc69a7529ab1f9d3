/* SPDX-License-Identifier: MIT */
/*
 * Symbols, ELF: one file, its table of names and its DWARF, by libdwfl.
 *
 * libdwfl is told where to find debug files by a function of ours, which looks in the local
 * directories alone: its own would ask servers where DEBUGINFOD_URLS is set.
 */

#include <elfutils/libdwelf.h>
#include <elfutils/libdwfl.h>
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "report/symbols-parts.h"

#define DEBUG_TOP "/usr/lib/debug"
#define BUILD_ID_MAX 64

struct name {
	uint64_t lo, hi;	/* hi == lo: of unknown length */
	const char *raw;	/* belongs to the ELF file */
	uint8_t rank;		/* of several at one place the greatest is used */
};

struct symbols_elf {
	const struct symbols_elf_file *file;
	struct lexicon *words;
	Dwfl *dwfl;
	Dwfl_Module *module;
	struct symbols_dwarf *dwarf;
	Dwarf_Addr dwarf_bias;
	struct name *names;
	size_t nnames;
};

/* ---- which file ----------------------------------------------------------------- */

static bool same_id(Elf *elf, const uint8_t *id, size_t len)
{
	const void *found;
	ssize_t n = elf ? dwelf_elf_gnu_build_id(elf, &found) : -1;

	return n > 0 && (size_t)n == len && !memcmp(found, id, len);
}

static int open_debug(const char *root, const char *path, const uint8_t *id, size_t len)
{
	struct stat st;
	int fd = symbols_open(root, path, SYMBOLS_LINKS, &st);
	Elf *elf;
	bool same;

	if (fd < 0)
		return fd;
	elf = elf_begin(fd, ELF_C_READ_MMAP_PRIVATE, NULL);
	same = same_id(elf, id, len);
	elf_end(elf);
	if (same)
		return fd;
	close(fd);
	return -ENOENT;
}

static char *hex_path(const char *top, const uint8_t *id, size_t len)
{
	char hex[2 * BUILD_ID_MAX + 1], *path;

	if (len < 2 || len > BUILD_ID_MAX)
		return NULL;
	for (size_t i = 0; i < len; i++)
		snprintf(hex + 2 * i, 3, "%02x", id[i]);
	return asprintf(&path, "%s/.build-id/%.2s/%s.debug", top, hex, hex + 2) < 0 ? NULL : path;
}

/* Beside the file and in the tree of debug files, by the name that the file gives. */
static int open_linked(const struct symbols_elf_file *f, const char *link, const uint8_t *id,
		       size_t len)
{
	static const char *const places[][2] = { { DEBUG_TOP, "" }, { "", "/.debug" }, { "", "" } };
	_free_ char *dir = strdup(f->path);
	int fd = -ENOENT;

	if (!dir || !link || strchr(link, '/'))
		return -ENOENT;
	*strrchr(dir, '/') = '\0';
	for (size_t i = 0; fd < 0 && i < sizeof(places) / sizeof(*places); i++) {
		_free_ char *path = NULL;

		if (asprintf(&path, "%s%s%s/%s", places[i][0], dir, places[i][1], link) < 0)
			return -ENOMEM;
		fd = open_debug(f->root, path, id, len);
	}
	return fd;
}

/* A debug file counts only if it has the build id of the file it is for. */
static int find_debug(Dwfl_Module *module, void **userdata, const char *name, Dwarf_Addr base,
		      const char *file_name, const char *link, GElf_Word crc, char **ret_name)
{
	const struct symbols_elf *e = *userdata;
	const unsigned char *id;
	GElf_Addr where;
	int len = dwfl_module_build_id(module, &id, &where);
	_free_ char *path = NULL;
	int fd = -1;

	(void)name, (void)base, (void)file_name, (void)crc;
	/* The second question is for what several debug files share; libdw finds that. */
	if (!e || len <= 0 || (link && strchr(link, '/')))
		return -1;
	path = hex_path(e->file->debug ? e->file->debug : DEBUG_TOP, id, (size_t)len);
	if (!path)
		return -1;
	fd = e->file->debug ? -1 : open_debug(e->file->root, path, id, (size_t)len);
	/* This machine's debug file is as good, if it is the one. */
	if (fd < 0)
		fd = open_debug("/", path, id, (size_t)len);
	if (fd < 0)
		fd = open_linked(e->file, link, id, (size_t)len);
	if (fd >= 0)
		*ret_name = steal_ptr(&path);
	return fd;
}

static int find_nothing(Dwfl_Module *module, void **userdata, const char *name, Dwarf_Addr base,
			char **ret_name, Elf **ret_elf)
{
	(void)module, (void)userdata, (void)name, (void)base, (void)ret_name, (void)ret_elf;
	return -1;
}

static const Dwfl_Callbacks callbacks = {
	.find_elf = find_nothing,
	.find_debuginfo = find_debug,
};

/* ---- names ---------------------------------------------------------------------- */

static int by_place(const void *a, const void *b)
{
	const struct name *x = a, *y = b;

	if (x->lo != y->lo)
		return x->lo < y->lo ? -1 : 1;
	return (int)x->rank - (int)y->rank;
}

static uint8_t rank_of(const GElf_Sym *sym, const char *raw)
{
	unsigned int bind = GELF_ST_BIND(sym->st_info);
	uint8_t rank = sym->st_size ? 8 : 0;

	rank += bind == STB_GLOBAL ? 4 : bind == STB_WEAK ? 2 : 1;
	/* Of aliases the one without underscores is what people know. */
	return (uint8_t)(2 * rank + (raw[0] != '_'));
}

static bool is_code(const GElf_Sym *sym, const char *raw)
{
	unsigned int type = GELF_ST_TYPE(sym->st_info);

	return raw && raw[0] && raw[0] != '$' && sym->st_shndx != SHN_UNDEF &&
	       (type == STT_FUNC || type == STT_GNU_IFUNC || type == STT_NOTYPE);
}

static int read_names(struct symbols_elf *e)
{
	int n = dwfl_module_getsymtab(e->module);

	if (n <= 1)
		return 0;
	e->names = calloc((size_t)n, sizeof(*e->names));
	if (!e->names)
		return -ENOMEM;
	for (int i = 1; i < n; i++) {
		GElf_Addr addr;
		GElf_Sym sym;
		const char *raw = dwfl_module_getsym_info(e->module, i, &sym, &addr, NULL, NULL,
							  NULL);
		uint64_t hi = addr + sym.st_size;

		if (raw && is_code(&sym, raw))
			e->names[e->nnames++] = (struct name){
				addr, hi < addr ? addr : hi, raw, rank_of(&sym, raw)
			};
	}
	qsort(e->names, e->nnames, sizeof(*e->names), by_place);
	return 0;
}

/* A few names further back: assembler's labels stand inside of functions. */
static const struct name *name_at(const struct symbols_elf *e, uint64_t addr)
{
	size_t lo = 0, hi = e->nnames;
	const struct name *open = NULL;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (e->names[mid].lo <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (size_t back = 0; lo-- && back < 16; back++) {
		const struct name *n = &e->names[lo];

		if (addr < n->hi)
			return n;
		/* One that has an end lies between: then nothing open reaches so far. */
		if (n->hi > n->lo)
			break;
		open = open ? open : n;
	}
	return open;
}

/* ---- the file ------------------------------------------------------------------- */

static bool is_wanted(struct symbols_elf *e, const struct stat *st)
{
	const struct symbols_elf_file *f = e->file;
	const unsigned char *id;
	GElf_Addr where;
	int len;

	if (!f->build_id_len)
		return f->ino && f->ino == st->st_ino;
	len = dwfl_module_build_id(e->module, &id, &where);
	return len > 0 && (size_t)len == f->build_id_len && !memcmp(id, f->build_id, (size_t)len);
}

static enum symbols_state open_module(struct symbols_elf *e, struct stat *st)
{
	int fd = symbols_open(e->file->root, e->file->path, SYMBOLS_LINKS, st);
	void **userdata;

	if (fd < 0)
		return SYMBOLS_GONE;
	e->dwfl = dwfl_begin(&callbacks);
	if (e->dwfl) {
		dwfl_report_begin(e->dwfl);
		e->module = dwfl_report_elf(e->dwfl, e->file->path, e->file->path, fd, 0, true);
		dwfl_report_end(e->dwfl, NULL, NULL);
	}
	if (!e->module) {
		close(fd);
		return e->file->build_id_len ? SYMBOLS_DIFFERS : SYMBOLS_NONE;
	}
	dwfl_module_info(e->module, &userdata, NULL, NULL, NULL, NULL, NULL, NULL);
	*userdata = e;
	return is_wanted(e, st) ? SYMBOLS_NAMES : SYMBOLS_DIFFERS;
}

static int read_module(struct symbols_elf *e, enum symbols_state *ret_state)
{
	Dwarf *dwarf = dwfl_module_getdwarf(e->module, &e->dwarf_bias);
	int r = dwarf ? symbols_dwarf_new(&e->dwarf, dwarf, e->words) : 0;

	if (!r)
		r = read_names(e);
	*ret_state = e->dwarf ? SYMBOLS_LINES : e->nnames ? SYMBOLS_NAMES : SYMBOLS_NONE;
	return r;
}

int symbols_elf_open(struct symbols_elf **ret, const struct symbols_elf_file *f,
		     struct lexicon *words, enum symbols_state *ret_state)
{
	struct symbols_elf *e = calloc(1, sizeof(*e));
	struct stat st;
	int r = 0;

	*ret = NULL;
	if (!e)
		return -ENOMEM;
	elf_version(EV_CURRENT);
	e->file = f;
	e->words = words;
	*ret_state = open_module(e, &st);
	if (*ret_state == SYMBOLS_NAMES)
		r = read_module(e, ret_state);
	if (r || *ret_state > SYMBOLS_NAMES)
		symbols_elf_close(e);
	else
		*ret = e;
	return r;
}

struct symbols_elf *symbols_elf_close(struct symbols_elf *e)
{
	if (!e)
		return NULL;
	symbols_dwarf_free(e->dwarf);
	if (e->dwfl)
		dwfl_end(e->dwfl);
	free(e->names);
	free(e);
	return NULL;
}

static bool address_of(const struct symbols_elf *e, uint64_t offset, uint64_t *ret)
{
	GElf_Addr bias;
	Elf *elf = dwfl_module_getelf(e->module, &bias);
	GElf_Phdr ph;
	size_t n;

	if (!elf || elf_getphdrnum(elf, &n))
		return false;
	for (size_t i = 0; i < n && i < 65536; i++) {
		if (!gelf_getphdr(elf, (int)i, &ph) || ph.p_type != PT_LOAD)
			continue;
		if (offset >= ph.p_offset && offset - ph.p_offset < ph.p_filesz) {
			*ret = ph.p_vaddr + (offset - ph.p_offset) + bias;
			return true;
		}
	}
	return false;
}

int symbols_elf_find(struct symbols_elf *e, uint64_t offset, struct symbol *ret, size_t max)
{
	const struct name *n;
	uint64_t addr;
	int found;

	if (!max || !address_of(e, offset, &addr))
		return 0;
	found = e->dwarf ? symbols_dwarf_find(e->dwarf, addr - e->dwarf_bias, ret, max) : 0;
	if (found)
		return found;
	n = name_at(e, addr);
	if (!n)
		return 0;
	*ret = (struct symbol){ .function = symbols_word_of(e->words, n->raw),
				.offset = addr - n->lo };
	if (!ret->function)
		return -ENOMEM;
	/* Assembler has lines, and no functions in DWARF. */
	if (e->dwarf && symbols_dwarf_line(e->dwarf, addr - e->dwarf_bias, ret) == -ENOMEM)
		return -ENOMEM;
	return 1;
}
