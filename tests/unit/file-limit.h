/* SPDX-License-Identifier: MIT */
/* How large a file of this process may become; 0: as large as it may be made at all. */
#ifndef TESTS_FILE_LIMIT_H
#define TESTS_FILE_LIMIT_H

#include <sys/resource.h>

#include "suite.h"

static void limit_file_size(rlim_t bytes)
{
	struct rlimit rl;

	CU_ASSERT_EQUAL_FATAL(getrlimit(RLIMIT_FSIZE, &rl), 0);
	rl.rlim_cur = bytes ? bytes : rl.rlim_max;
	CU_ASSERT_EQUAL_FATAL(setrlimit(RLIMIT_FSIZE, &rl), 0);
}

#endif
