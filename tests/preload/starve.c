/* SPDX-License-Identifier: MIT */
/*
 * Starve: to be preloaded; the n-th allocation of a process fails, for live-sweep.
 *
 * SWEEP_ALLOC=N	the N-th allocation fails, counted in each process by itself
 * SWEEP_ON=1		... and all that come after it
 * SWEEP_REPORT=FILE	one line is added: `hit N`, or `end COUNT` when the process exits
 *
 * Counting begins when the libraries are loaded, which a system call that cannot be
 * meant seriously tells a tracer: close(SWEEP_MARK).
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SWEEP_MARK (-0x5eed)

/* What glibc exports for those who stand in front of it. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *old, size_t size);

static atomic_long count, fails_at = -1;
static bool on;
static const char *report;
static int kept = -1;		/* the same, from before a filter allowed no open for writing */

static void tell(const char *what, long n)
{
	char line[64];
	int len = snprintf(line, sizeof(line), "%s %ld\n", what, n), saved = errno;
	int fd = report ? open(report, O_WRONLY | O_APPEND | O_CLOEXEC) : -1;

	if (write(fd < 0 ? kept : fd, line, (size_t)len) != len && report)
		abort();
	if (fd >= 0)
		close(fd);
	errno = saved;
}

/*
 * libseccomp 2.5.4 does not survive want of memory: it frees twice, or loops.  Nothing
 * of ours could be learnt from that.
 */
static bool is_spared(const void *caller)
{
	Dl_info info;

	return dladdr(caller, &info) && info.dli_fname && strstr(info.dli_fname, "libseccomp");
}

static bool fails(const void *caller)
{
	long n, at = atomic_load(&fails_at);

	if (at < 0)
		return false;
	n = atomic_fetch_add(&count, 1) + 1;
	if (n == at)
		tell("hit", n);
	if ((n != at && !(on && n > at)) || is_spared(caller))
		return false;
	errno = ENOMEM;
	return true;
}

void *malloc(size_t size)
{
	return fails(__builtin_return_address(0)) ? NULL : __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
	return fails(__builtin_return_address(0)) ? NULL : __libc_calloc(n, size);
}

void *realloc(void *old, size_t size)
{
	return fails(__builtin_return_address(0)) ? NULL : __libc_realloc(old, size);
}

__attribute__((constructor)) static void begin(void)
{
	const char *at = getenv("SWEEP_ALLOC");

	report = getenv("SWEEP_REPORT");
	on = getenv("SWEEP_ON");
	if (report)
		kept = open(report, O_WRONLY | O_APPEND | O_CLOEXEC);
	close(SWEEP_MARK);
	if (at)
		atomic_store(&fails_at, strtol(at, NULL, 10));
}

__attribute__((destructor)) static void end(void)
{
	if (atomic_exchange(&fails_at, -1) >= 0)
		tell("end", atomic_load(&count));
}
