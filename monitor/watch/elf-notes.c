/* SPDX-License-Identifier: MIT */
/* ELF notes.  See elf-notes.h. */

#include "watch/elf-notes.h"

#include <elf.h>
#include <stdbool.h>
#include <string.h>

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define OWN_ORDER ELFDATA2LSB
#else
#define OWN_ORDER ELFDATA2MSB
#endif

struct bytes {
	const unsigned char *p;
	size_t len;
};

/* A struct out of the bytes, which need not be aligned. */
static bool take(const struct bytes *b, uint64_t at, void *ret, size_t size)
{
	if (at > b->len || size > b->len - at)
		return false;
	memcpy(ret, b->p + at, size);
	return true;
}

/* What is asked of both kinds of headers. */
struct table {
	uint64_t at;
	unsigned int n, size;
	bool wide;
};

static bool find_table(const struct bytes *b, struct table *ret)
{
	unsigned char id[EI_NIDENT];
	Elf64_Ehdr wide;
	Elf32_Ehdr narrow;

	if (!take(b, 0, id, sizeof(id)) || memcmp(id, ELFMAG, SELFMAG) || id[EI_DATA] != OWN_ORDER)
		return false;
	if (id[EI_CLASS] == ELFCLASS64 && take(b, 0, &wide, sizeof(wide)))
		*ret = (struct table){ wide.e_phoff, wide.e_phnum, wide.e_phentsize, true };
	else if (id[EI_CLASS] == ELFCLASS32 && take(b, 0, &narrow, sizeof(narrow)))
		*ret = (struct table){ narrow.e_phoff, narrow.e_phnum, narrow.e_phentsize, false };
	else
		return false;
	return ret->size == (ret->wide ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr));
}

static bool note_span(const struct bytes *b, const struct table *t, uint64_t at, struct range *ret)
{
	Elf64_Phdr wide;
	Elf32_Phdr narrow;

	if (t->wide)
		return take(b, at, &wide, sizeof(wide)) && wide.p_type == PT_NOTE &&
		       range_make(wide.p_offset, wide.p_filesz, ret);
	return take(b, at, &narrow, sizeof(narrow)) && narrow.p_type == PT_NOTE &&
	       range_make(narrow.p_offset, narrow.p_filesz, ret);
}

size_t elf_notes(const void *head, size_t len, struct range *ret, size_t max)
{
	const struct bytes b = { head, len };
	struct table t;
	size_t n = 0;

	if (!find_table(&b, &t) || t.at > len)
		return 0;
	for (unsigned int i = 0; i < t.n && n < max; i++)
		n += note_span(&b, &t, t.at + (uint64_t)i * t.size, &ret[n]);
	return n;
}

size_t elf_build_id(const void *notes, size_t len, unsigned char ret[ELF_BUILD_ID_MAX])
{
	const struct bytes b = { notes, len };
	uint64_t at = 0, desc;
	Elf64_Nhdr h;			/* that of 32 bits is the same */
	char name[4];

	while (take(&b, at, &h, sizeof(h))) {
		at += sizeof(h);
		desc = at + align_up(h.n_namesz, 4);
		if (h.n_type == NT_GNU_BUILD_ID && h.n_namesz == sizeof(name) && h.n_descsz &&
		    h.n_descsz <= ELF_BUILD_ID_MAX && take(&b, at, name, sizeof(name)) &&
		    !memcmp(name, "GNU", sizeof(name)) && take(&b, desc, ret, h.n_descsz))
			return h.n_descsz;
		at = desc + align_up(h.n_descsz, 4);
	}
	return 0;
}
