/* SPDX-License-Identifier: MIT */
/* Build id: which build of a file a mapping of code is of. */
#ifndef WATCH_BUILD_ID_H
#define WATCH_BUILD_ID_H

#include <stddef.h>

#include "watch/layout.h"

/*
 * Of the file behind region g, by PROCMAP_QUERY (Linux 6.11) or from the notes in the
 * memory of the process itself, where the beginning of the same file is mapped below g:
 * that needs no path, and no right but that by which memfd (/proc/PID/mem) was opened.
 * Either descriptor may be -1.  The length; 0: there is none, or none was found.
 */
size_t build_id_of(const struct layout *l, int mapsfd, int memfd, const struct region *g,
		   unsigned char ret[MAPS_BUILD_ID_MAX]);

#endif
