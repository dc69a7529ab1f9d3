/* SPDX-License-Identifier: MIT */
/* Limit: as many descriptors as this process may have at all, getrlimit(2). */
#ifndef BASE_LIMIT_H
#define BASE_LIMIT_H

#include <limits.h>
#include <sys/resource.h>

/* How many there may be from now on; INT_MAX also where nobody knows. */
static inline int limit_raise_descriptors(void)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l))
		return INT_MAX;
	l.rlim_cur = l.rlim_max;
	setrlimit(RLIMIT_NOFILE, &l);
	return l.rlim_cur < INT_MAX ? (int)l.rlim_cur : INT_MAX;
}

#endif
