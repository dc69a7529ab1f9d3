/* SPDX-License-Identifier: MIT */
/* Gate: a count, a flag, and a futex for who waits long.  See gate.h. */

#include "restore/gate.h"

#include <limits.h>
#include <linux/futex.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#define GATE_WAITED 0x80000000u
/*
 * 20 to 100 us.  Sixteen pages are copied in 3 to 20 us; longer, and the other one has lost its
 * CPU.
 */
#define SPINS 2000

static void futex(struct gate *g, int op, uint32_t val)
{
	syscall(SYS_futex, &g->inside, op | FUTEX_PRIVATE_FLAG, val, NULL, NULL, 0);
}

void gate_leave(struct gate *g)
{
	/* The last one out, and somebody sleeps. */
	if (atomic_fetch_sub(&g->inside, 1) == (GATE_WAITED | 1))
		futex(g, FUTEX_WAKE, INT_MAX);
}

static void relax(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#else
	atomic_signal_fence(memory_order_seq_cst);
#endif
}

/* It is opened again after a read, in a microsecond or two, and is passed as soon as that. */
bool gate_enter(struct gate *g)
{
	for (unsigned int i = 0; i < SPINS; i++) {
		if (atomic_load(&g->closed)) {
			relax();
			continue;
		}
		atomic_fetch_add(&g->inside, 1);
		/* In this order, both: who closes sets the flag and then looks at the count. */
		if (!atomic_load(&g->closed))
			return true;
		gate_leave(g);
	}
	return false;
}

void gate_close(struct gate *g)
{
	uint32_t inside;

	atomic_store(&g->closed, true);
	for (unsigned int i = 0; i < SPINS; i++) {
		if (!atomic_load(&g->inside))
			return;
		relax();
	}
	while ((inside = atomic_fetch_or(&g->inside, GATE_WAITED) | GATE_WAITED) != GATE_WAITED)
		futex(g, FUTEX_WAIT, inside);
	atomic_fetch_and(&g->inside, ~GATE_WAITED);
}

void gate_open(struct gate *g)
{
	atomic_store(&g->closed, false);
}
