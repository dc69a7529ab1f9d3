/* SPDX-License-Identifier: MIT */
/*
 * Guard, the process: is there a beat?
 *
 * Runs in the memory image of a program that had threads, so nothing here allocates
 * or takes a lock of libc's.  It ends with the monitor.
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "compat/sys.h"
#include "watch/guard.h"

#define LOOKS 16			/* within the limit */
#define LOOK_MIN (5 * NSEC_PER_MSEC)
/* After a release: does anybody wait all the same? */
#define AGAIN (20 * NSEC_PER_MSEC)
#define AGAIN_ROUNDS 25
/*
 * Somebody waited in so many rounds in a row, and for this part of the limit: it cannot
 * be released.  Where thousands of processes fork, one round is not enough.
 */
#define HOPELESS 5
#define HOPELESS_PART(limit) ((limit) * 2 / 5)

struct watch {
	struct guard_page *page;
	int monitor;
	uint64_t beat;			/* the last one seen */
	uint64_t quiet;			/* how long there has been none */
	uint64_t looked;
	unsigned int rounds, waited;
	uint64_t waits_since;		/* of the first of these rounds */
};

/* Nothing of the monitor's but its pidfd: a copy of a userfaultfd would hold a target. */
static int keep_only(int fd)
{
	int null;

	fd = fcntl(fd, F_DUPFD, 4);
	if (fd < 0 || dup2(fd, 3) < 0)
		return -errno;
	null = open("/dev/null", O_RDWR);
	for (int i = 0; i < 3; i++)
		if (null >= 0 && dup2(null, i) < 0)
			return -errno;
	if (close_range(4, ~0U, 0) < 0)
		for (int i = 4; i < 1 << 16; i++)
			close(i);
	return 3;
}

/* All that is left: the death of the monitor closes its userfaultfds. */
static void kill_monitor(struct watch *w)
{
	sys_pidfd_send_signal(w->monitor, SIGKILL);
}

/*
 * One round.  The mark goes up first and the beat is looked at again after it, while
 * the monitor beats first and looks for the mark after it: so one of the two sees the
 * other.
 */
static void round_of(struct watch *w)
{
	struct guard_page *p = w->page;
	int r = 1;

	if (w->rounds)
		r = guard_waiting(p, w->monitor);
	if (!r) {
		w->waited = 0;
		w->rounds++;
		return;
	}
	if (r > 0) {
		if (atomic_load(&p->releases) == atomic_load(&p->settled))
			atomic_store(&p->since, w->beat);
		atomic_fetch_add(&p->releases, 1);
		if (atomic_load(&p->beat) != w->beat) {
			atomic_fetch_sub(&p->releases, 1);
			return;
		}
		r = guard_release(p, w->monitor);
		/* Without a userfaultfd nothing was done, and nothing is to be told. */
		if (r == -ENOENT) {
			atomic_fetch_sub(&p->releases, 1);
			return;
		}
		atomic_fetch_add(&p->releases, 1);
	}
	if (!w->rounds++ || r <= 0)
		w->waited = 0;
	else if (!w->waited++)
		w->waits_since = w->looked;
	if ((r < 0 && r != -ESRCH) ||
	    (w->waited >= HOPELESS &&
	     w->looked - w->waits_since >= HOPELESS_PART(p->limit_ns)))
		kill_monitor(w);
}

/*
 * Only time that this process was awake in counts, and of a long sleep no more than
 * two looks: when the whole machine stood still, so did we, and that is no stall.
 */
static void look(struct watch *w, uint64_t period)
{
	uint64_t now = clock_now(), beat = atomic_load(&w->page->beat);
	uint64_t slept = now - w->looked;

	w->looked = now;
	if (beat != w->beat) {
		w->beat = beat;
		w->quiet = 0;
		w->rounds = w->waited = 0;
		return;
	}
	w->quiet += slept < 2 * period ? slept : 2 * period;
	if (w->quiet >= w->page->limit_ns)
		round_of(w);
}

_Noreturn void guard_main(struct guard_page *page, int monitor, void (*settle)(void))
{
	struct watch w = { .page = page, .looked = clock_now() };
	uint64_t period = page->limit_ns / LOOKS;
	struct pollfd p = { .events = POLLIN };

	prctl(PR_SET_NAME, "pagetap-guard");
	/* Neither ^C nor a stop of the monitor's process group is for us. */
	setsid();
	setpriority(PRIO_PROCESS, 0, -10);
	if (settle)
		settle();
	w.monitor = p.fd = keep_only(monitor);
	if (period < LOOK_MIN)
		period = LOOK_MIN;
	while (p.fd >= 0) {
		bool again = w.rounds && w.rounds < AGAIN_ROUNDS && period > AGAIN;

		if (poll(&p, 1, (int)((again ? AGAIN : period) / NSEC_PER_MSEC)) > 0)
			break;
		look(&w, period);
	}
	_exit(0);
}
