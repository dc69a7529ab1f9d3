/* SPDX-License-Identifier: MIT */
/* Code name: a function and its module.  See code-name.h. */

#include "code-name.h"

#include <inttypes.h>
#include <stdio.h>

/* The innermost function at ip, which lies in vma; NULL: none is known. */
static const struct symbol *function_at(struct symbols *symbols, const struct model_vma *vma,
					uint64_t ip)
{
	const struct symbol *found;
	size_t n;

	if (!symbols || !vma)
		return NULL;
	if (symbols_find(symbols, &(struct symbols_where){
		.name = vma->label->name.s, .name_len = vma->label->name.len,
		.build_id = vma->build_id ? (const uint8_t *)vma->build_id->s : NULL,
		.build_id_len = vma->build_id ? vma->build_id->len : 0,
		.lo = vma->lo, .off = vma->off, .ino = vma->ino, .pid = vma->pid,
	    }, ip, false, &found, &n) < 0)
		return NULL;
	return n && found->known ? found : NULL;
}

bool code_name_function(void *symbols, const struct model_vma *vma, uint64_t ip, char *buf,
			size_t cap)
{
	const struct symbol *f = function_at(symbols, vma, ip);

	if (!f)
		return false;
	snprintf(buf, cap, "%s (%s)", f->function, f->module);
	return true;
}

bool code_name(void *symbols, const struct model_vma *vma, uint64_t ip, char *buf, size_t cap)
{
	const struct symbol *f = function_at(symbols, vma, ip);

	if (!f)
		return false;
	if (f->offset)
		snprintf(buf, cap, "%s+0x%" PRIx64 " (%s)", f->function, f->offset, f->module);
	else
		snprintf(buf, cap, "%s (%s)", f->function, f->module);
	return true;
}
