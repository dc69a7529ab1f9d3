/* SPDX-License-Identifier: MIT */
/*
 * Calendar: to be preloaded; the wall clock is set anew before each reading of it, to
 * and fro by decades.  The monotonic clock is left alone, as by clock_settime(2).
 */
#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define DECADE 315576000

static atomic_int readings;

static time_t set_anew(void)
{
	int n = readings++;

	return (time_t)DECADE * (n % 2 ? 1 : 8) + n;
}

int clock_gettime(clockid_t clock, struct timespec *ts)
{
	if (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE)
		return (int)syscall(SYS_clock_gettime, clock, ts);
	*ts = (struct timespec){ .tv_sec = set_anew() };
	return 0;
}

int gettimeofday(struct timeval *restrict tv, void *restrict zone)
{
	(void)zone;
	*tv = (struct timeval){ .tv_sec = set_anew() };
	return 0;
}

time_t time(time_t *ret)
{
	time_t now = set_anew();

	if (ret)
		*ret = now;
	return now;
}
