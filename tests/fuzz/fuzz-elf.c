/* SPDX-License-Identifier: MIT */
/* Fuzz: the headers and notes of an ELF file. */

#include <stdlib.h>
#include <string.h>

#include "watch/elf-notes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned char id[ELF_BUILD_ID_MAX];
	struct range notes[8];
	size_t n = elf_notes(data, size, notes, 8);

	if (n > 8)
		abort();
	for (size_t i = 0; i < n; i++) {
		struct range part = range_common(notes[i], (struct range){ 0, size });

		if (notes[i].lo > notes[i].hi)
			abort();
		/* Notes may be said to lie behind the end. */
		if (!range_empty(part) &&
		    elf_build_id(data + part.lo, range_len(part), id) > sizeof(id))
			abort();
	}
	if (elf_build_id(data, size, id) > sizeof(id))
		abort();
	return 0;
}
