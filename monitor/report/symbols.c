/* SPDX-License-Identifier: MIT */
/* Symbols: which file an address is of, and what was found there before.  See symbols.h. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "report/symbols-parts.h"

/* Different addresses; those beyond are called by their mapping, so that memory is bounded. */
#define PLACES_MAX (1u << 20)
#define MODULES_MAX 65536u

/* A file, or the code of one process that has none. */
struct module {
	struct module *next;
	uint64_t hash, ino;
	char *name, *path;		/* as the trace has it; NULL path: no file */
	uint8_t *build_id;
	size_t name_len, build_id_len;
	int32_t pid;			/* 0: a file */
	struct symbols_elf_file file;
	struct symbols_elf *elf;
	struct symbols_perf *perf;
	const char *called, *shown_path;
	enum symbols_state state;
	uint64_t asked;
	uint32_t index;
};

/* What was found at an offset of a module. */
struct place {
	uint64_t offset;
	uint32_t module, n;
	struct symbol *found;
};

struct symbols {
	struct lexicon *words;
	char *root, *debug;
	bool off;
	struct module **modules, *recent;
	size_t nmodules, room;
	struct module *slots[1024];
	struct place *places;
	size_t nplaces, mask;
};

int symbols_new(struct symbols **ret, const struct symbols_options *options)
{
	struct symbols *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	s->off = options->off;
	s->mask = 4095;
	s->places = calloc(s->mask + 1, sizeof(*s->places));
	s->root = strdup(options->root ? options->root : "/");
	s->debug = options->debug ? strdup(options->debug) : NULL;
	r = lexicon_new(&s->words);
	if (r || !s->places || !s->root || (options->debug && !s->debug)) {
		symbols_free(s);
		return -ENOMEM;
	}
	*ret = s;
	return 0;
}

static void module_free(struct module *m)
{
	symbols_elf_close(m->elf);
	symbols_perf_close(m->perf);
	free(m->name);
	free(m->path);
	free(m->build_id);
	free(m);
}

struct symbols *symbols_free(struct symbols *s)
{
	if (!s)
		return NULL;
	for (size_t i = 0; s->places && i <= s->mask; i++)
		free(s->places[i].found);
	for (size_t i = 0; i < s->nmodules; i++)
		module_free(s->modules[i]);
	free(s->places);
	free(s->modules);
	free(s->root);
	free(s->debug);
	lexicon_free(s->words);
	free(s);
	return NULL;
}

/* ---- modules -------------------------------------------------------------------- */

static uint64_t mix(uint64_t h, const void *bytes, size_t len)
{
	const unsigned char *p = bytes;

	for (size_t i = 0; i < len; i++)
		h = (h ^ p[i]) * UINT64_C(0x100000001b3);
	return h;
}

/* Code without a file is each process's own. */
static bool has_file(const struct symbols_where *w)
{
	return w->name_len > 1 && w->name[0] == '/' && w->name[1] != '/' &&
	       !memchr(w->name, '\0', w->name_len) &&
	       !(w->name_len > 7 && !memcmp(w->name, "/memfd:", 7));
}

static bool is_module(const struct module *m, const struct symbols_where *w, int32_t pid)
{
	return m->pid == pid && m->name_len == w->name_len && m->ino == w->ino &&
	       m->build_id_len == w->build_id_len &&
	       !memcmp(m->name, w->name, w->name_len) &&
	       (!w->build_id_len || !memcmp(m->build_id, w->build_id, w->build_id_len));
}

static const char *last_part(const char *path, size_t len, size_t *ret_len)
{
	const char *slash = memrchr(path, '/', len);
	const char *part = slash && slash + 1 < path + len ? slash + 1 : path;

	*ret_len = len - (size_t)(part - path);
	return part;
}

static int call_module(struct symbols *s, struct module *m)
{
	static const char differs[] = " (build id differs)";
	const char *name = m->path ? m->path : m->name;
	_free_ char *text = NULL;
	size_t len;

	name = last_part(name, strlen(name), &len);
	if (!len) {
		name = "anon";
		len = 4;
	}
	if (m->state == SYMBOLS_DIFFERS && m->build_id_len) {
		if (asprintf(&text, "%.*s%s", (int)len, name, differs) < 0)
			return -ENOMEM;
		name = text;
		len = strlen(text);
	}
	m->called = lexicon_word(s->words, name, len);
	m->shown_path = lexicon_word(s->words, m->name, m->name_len);
	return m->called && m->shown_path ? 0 : -ENOMEM;
}

static int open_file(struct symbols *s, struct module *m)
{
	static const char gone[] = " (deleted)";
	size_t len = m->name_len;

	/* What has its name now may be the same build all the same. */
	if (len > sizeof(gone) - 1 && !memcmp(m->name + len - (sizeof(gone) - 1), gone,
					      sizeof(gone) - 1))
		len -= sizeof(gone) - 1;
	m->path = strndup(m->name, len);
	if (!m->path)
		return -ENOMEM;
	m->state = SYMBOLS_GONE;
	m->file = (struct symbols_elf_file){
		.root = s->root, .debug = s->debug, .path = m->path, .build_id = m->build_id,
		.build_id_len = m->build_id_len, .ino = m->ino,
	};
	return s->off ? 0 : symbols_elf_open(&m->elf, &m->file, s->words, &m->state);
}

static int open_module(struct symbols *s, struct module *m)
{
	int r = 0;

	if (!m->pid)
		r = open_file(s, m);
	else if (!s->off && m->name[0] != '[')
		r = symbols_perf_open(&m->perf, s->root, m->pid, s->words);
	if (m->pid)
		m->state = m->perf ? SYMBOLS_NAMES : SYMBOLS_NO_FILE;
	return r ? r : call_module(s, m);
}

static int add_module(struct symbols *s, const struct symbols_where *w, int32_t pid,
		      uint64_t hash, struct module **ret)
{
	size_t room = s->room ? s->room * 2 : 16;
	struct module *m;
	void *v;
	int r;

	if (s->nmodules == s->room) {
		v = realloc(s->modules, room * sizeof(*s->modules));
		if (!v)
			return -ENOMEM;
		s->modules = v;
		s->room = room;
	}
	m = calloc(1, sizeof(*m));
	if (!m)
		return -ENOMEM;
	m->name = malloc(w->name_len + 1);
	m->build_id = malloc(w->build_id_len + 1);
	if (!m->name || !m->build_id) {
		module_free(m);
		return -ENOMEM;
	}
	if (w->name_len)
		memcpy(m->name, w->name, w->name_len);
	m->name[w->name_len] = '\0';
	if (w->build_id_len)
		memcpy(m->build_id, w->build_id, w->build_id_len);
	m->name_len = w->name_len;
	m->build_id_len = w->build_id_len;
	m->ino = w->ino;
	m->pid = pid;
	m->hash = hash;
	m->index = (uint32_t)s->nmodules;
	r = open_module(s, m);
	if (r) {
		module_free(m);
		return r;
	}
	m->next = s->slots[hash & 1023];
	s->slots[hash & 1023] = m;
	s->modules[s->nmodules++] = m;
	*ret = m;
	return 0;
}

/* *ret NULL: there are too many. */
static int module_of(struct symbols *s, const struct symbols_where *w, struct module **ret)
{
	int32_t pid = has_file(w) ? 0 : w->pid ? w->pid : -1;
	struct module *m = s->recent;
	uint64_t hash;

	*ret = m;
	if (m && is_module(m, w, pid))
		return 0;
	hash = mix(UINT64_C(0xcbf29ce484222325), w->name, w->name_len);
	hash = mix(hash, &pid, sizeof(pid));
	hash ^= hash >> 32;
	for (m = s->slots[hash & 1023]; m; m = m->next)
		if (m->hash == hash && is_module(m, w, pid))
			break;
	*ret = m;
	if (!m && s->nmodules < MODULES_MAX) {
		int r = add_module(s, w, pid, hash, ret);

		if (r)
			return r;
	}
	s->recent = *ret;
	return 0;
}

bool symbols_module(const struct symbols *s, size_t i, struct symbols_module *ret)
{
	const struct module *m;

	if (i >= s->nmodules)
		return false;
	m = s->modules[i];
	*ret = (struct symbols_module){ m->called, m->shown_path, m->state, m->asked };
	return true;
}

/* ---- places --------------------------------------------------------------------- */

static size_t slot_of(const struct symbols *s, uint32_t module, uint64_t offset)
{
	uint64_t h = (offset ^ (uint64_t)module << 40) * UINT64_C(0x9e3779b97f4a7c15);
	size_t at = (size_t)(h >> 32) & s->mask;

	while (s->places[at].found &&
	       (s->places[at].offset != offset || s->places[at].module != module))
		at = (at + 1) & s->mask;
	return at;
}

static int grow(struct symbols *s)
{
	struct place *old = s->places, *v = calloc(4 * (s->mask + 1), sizeof(*v));
	size_t n = s->mask + 1;

	if (!v)
		return -ENOMEM;
	s->places = v;
	s->mask = 4 * n - 1;
	for (size_t i = 0; i < n; i++)
		if (old[i].found)
			s->places[slot_of(s, old[i].module, old[i].offset)] = old[i];
	free(old);
	return 0;
}

static int look_up(struct module *m, uint64_t offset, uint64_t addr, struct symbol *ret,
		   size_t max)
{
	const char *name;
	uint64_t lo;
	int n = 0;

	if (m->elf)
		n = symbols_elf_find(m->elf, offset, ret, max);
	if (m->perf && (name = symbols_perf_find(m->perf, addr, &lo))) {
		ret[0] = (struct symbol){ .function = name, .offset = addr - lo };
		n = 1;
	}
	for (int i = 0; i < n; i++) {
		ret[i].module = m->called;
		ret[i].known = true;
	}
	if (!n) {
		ret[0] = (struct symbol){ .function = m->called, .module = m->called,
					  .offset = offset };
		n = 1;
	}
	return n;
}

static int add_place(struct symbols *s, struct module *m, uint64_t offset, uint64_t addr,
		     const struct place **ret)
{
	struct symbol found[SYMBOLS_DEPTH_MAX];
	struct place *p;
	int n;

	if (2 * s->nplaces > s->mask && grow(s))
		return -ENOMEM;
	n = look_up(m, offset, addr, found, SYMBOLS_DEPTH_MAX);
	if (n < 0)
		return n;
	p = &s->places[slot_of(s, m->index, offset)];
	p->found = calloc((size_t)n, sizeof(*found));
	if (!p->found)
		return -ENOMEM;
	memcpy(p->found, found, (size_t)n * sizeof(*found));
	p->n = (uint32_t)n;
	p->offset = offset;
	p->module = m->index;
	m->asked++;
	s->nplaces++;
	*ret = p;
	return 0;
}

static const struct symbol too_many = { .function = "?", .module = "?" };

int symbols_find(struct symbols *s, const struct symbols_where *w, uint64_t addr, bool caller,
		 const struct symbol **ret, size_t *ret_n)
{
	uint64_t at = addr - (caller && addr > w->lo), offset;
	const struct place *p;
	struct module *m;
	int r = module_of(s, w, &m);

	if (r)
		return r;
	*ret = &too_many;
	*ret_n = 1;
	if (!m)
		return 0;
	/* Without a file the address is what a place is known by. */
	offset = m->pid ? at : at - w->lo + w->off;
	p = &s->places[slot_of(s, m->index, offset)];
	if (!p->found && s->nplaces == PLACES_MAX)
		return 0;
	if (!p->found)
		r = add_place(s, m, offset, at, &p);
	if (r)
		return r;
	*ret = p->found;
	*ret_n = p->n;
	return 0;
}
