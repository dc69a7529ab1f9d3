/* SPDX-License-Identifier: MIT */
/*
 * Code name: what code is called in one short word, for lines and columns.
 *
 * Not pure: looks into the files of the mapping (report/symbols.h).
 */
#ifndef REPORT_CODE_NAME_H
#define REPORT_CODE_NAME_H

#include "report/model.h"
#include "report/symbols.h"

/*
 * A live_code of report/live.h, whose argument is a struct symbols:
 * "dictAdd+0x12 (redis-server)".
 */
bool code_name(void *symbols, const struct model_vma *vma, uint64_t ip, char *buf, size_t cap);
/* The same without the place in the function: "dictAdd (redis-server)". */
bool code_name_function(void *symbols, const struct model_vma *vma, uint64_t ip, char *buf,
			size_t cap);

#endif
