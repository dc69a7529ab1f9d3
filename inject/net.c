/* SPDX-License-Identifier: MIT */
/* Net: what makes our own death harmless while a thread's registers are bent. */

#include "net.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "failure.h"
#include "remote.h"

#define MAPPED_SIZE (SCRATCH_HANDLER_ROOM * 2)
#define ALL_SIGNALS (~UINT64_C(0))
#define MODE_STRICT 1

static bool wants_net(const struct visit *v)
{
	/* A return that is not on the shadow stack would kill the thread. */
	return !(v->flags & PAGETAP_NO_NET) && !v->shadow_stack && arch_insns_all(&v->insns) &&
	       arch_net_size(&v->tracee.xstate);
}

static int block_signals(struct visit *v)
{
	int r;

	v->progress->bent = true;
	r = tracee_put_mask(&v->tracee, ALL_SIGNALS);
	v->mask_set = !r;
	return r;
}

/* Without a net: it is what the memory is for. */
static int map_scratch(struct visit *v, size_t len)
{
	long at;
	int r;

	v->was_bare = true;
	r = block_signals(v);
	if (!r)
		r = remote_call(v, &at, SYS_mmap, 0, MAPPED_SIZE, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS, ~UINT64_C(0), 0);
	if (r < 0)
		return r;
	if (at < 0 && at > -4096)
		return (int)at;
	scratch_use(&v->scratch, (struct range){ (uint64_t)at, (uint64_t)at + MAPPED_SIZE }, len);
	return 0;
}

/*
 * What the last frame loads: what the thread is to get back, but a call that goes on as
 * restart_syscall must be named, or the program would see EINTR.
 */
static struct arch_regs last_regs(const struct visit *v)
{
	struct arch_regs r = v->home;
	unsigned char text[16];
	long nr;

	if (!arch_regs_restarted(&r) ||
	    memory_read(&v->memory, arch_regs_ip(&r) - sizeof(text), text, sizeof(text)) < 0)
		return r;
	nr = arch_call_number(text, sizeof(text));
	if (choose_has_restart_block(nr))
		arch_regs_set_call(&r, nr);
	return r;
}

static int hang(struct visit *v)
{
	uint64_t at = v->scratch.at + VISIT_ARGS;
	struct arch_regs last = last_regs(v);
	const struct arch_net_plan plan = {
		.at = at,
		.insns = &v->insns,
		.regs = &last,
		.mask = v->tracee.mask,
		.xstate = &v->tracee.xstate,
		.self = v->self,
	};
	int r;

	r = arch_net_build(&v->net, v->room, sizeof(v->room), &plan);
	if (!r)
		r = memory_write(&v->memory, at, v->room, v->net.len);
	if (r < 0)
		return r;
	/*
	 * Without us seccomp is in force again.  Strict allows rt_sigreturn but kills on
	 * close, and a filter may kill on what is not everyday: leak rather than kill.
	 */
	if (v->seccomp == MODE_STRICT)
		v->net.sp = v->net.sp_last;
	else if (v->seccomp)
		v->net.sp = v->net.sp_close;
	if (v->seccomp)
		v->net.sp_result = 0;
	v->bent = v->home;
	arch_regs_returned(&v->bent, v->insns.call_return, v->net.sp);
	v->is_bent = true;
	v->progress->bent = v->progress->netted = true;
	r = tracee_put_regs(&v->tracee, &v->bent);
	if (r < 0)
		return r;
	v->has_net = true;
	return 0;
}

int net_hang(struct visit *v)
{
	bool wanted = wants_net(v);
	size_t len = VISIT_ARGS + (wanted ? arch_net_size(&v->tracee.xstate) : 0);
	int r;

	v->bent = v->home;
	arch_regs_returned(&v->bent, v->insns.call, arch_regs_sp(&v->home));
	r = dispatch_suspend(v->tracee.tid, &v->dispatch);
	if (r < 0)
		return r;
	if (v->dispatch.mode)		/* only we can switch it on again */
		v->was_bare = true;
	r = scratch_take(&v->scratch, &v->memory, arch_regs_sp(&v->home),
			 arch_regs_tls(&v->home), len);
	if (r == -ENOENT || r == -EIO)
		r = map_scratch(v, len);
	if (r < 0)
		return r;
	if (!wanted)
		v->was_bare = true;
	else
		r = hang(v);
	if (!r && !v->mask_set)
		r = block_signals(v);
	return r;
}

static int poke(struct visit *v, size_t at, const void *word, size_t len)
{
	return memory_write(&v->memory, v->scratch.at + VISIT_ARGS + at, word, len);
}

int net_hold(struct visit *v, unsigned int slot, int fd)
{
	int64_t word = fd;
	int r;

	v->fds[slot] = fd;
	if (!v->has_net)
		return 0;
	r = poke(v, v->net.hold_at[slot], &fd, sizeof(fd));
	return r < 0 ? r : poke(v, v->net.fd_at[slot], &word, sizeof(word));
}

int net_watch(struct visit *v, unsigned int slot, uint64_t at)
{
	if (!v->has_net)
		return 0;
	if (!at)
		at = net_holds(v, slot);
	return poke(v, v->net.source_at[slot], &at, sizeof(at));
}

uint64_t net_holds(const struct visit *v, unsigned int slot)
{
	if (!v->has_net)
		return v->scratch.at;
	return v->scratch.at + VISIT_ARGS + v->net.hold_at[slot];
}

static int unmap_scratch(struct visit *v)
{
	uint64_t at = v->scratch.mapped.lo;
	long result;
	int r;

	/* The chain hangs in what goes away: from here on without. */
	v->has_net = false;
	v->progress->netted = false;
	r = remote_call(v, &result, SYS_munmap, at, range_len(v->scratch.mapped), 0, 0, 0, 0);
	v->scratch.mapped = (struct range){ 0, 0 };
	if (r < 0)
		return r;
	return result < 0 ? (int)result : 0;
}

int net_take_down(struct visit *v)
{
	int first = 0, r;

	if (!range_empty(v->scratch.mapped))
		first = unmap_scratch(v);
	if (v->mask_set) {
		r = tracee_put_mask(&v->tracee, v->tracee.mask);
		v->mask_set = r < 0;
		first = first ? first : r;
	}
	/* Also when nothing was bent: the call may have to be issued again. */
	r = tracee_put_regs(&v->tracee, &v->home);
	if (!r) {
		v->is_bent = v->has_net = false;
		v->progress->bent = v->progress->netted = false;
	}
	first = first ? first : r;
	r = scratch_give_back(&v->scratch, &v->memory, v->tracee.tid);
	first = first ? first : r;
	r = dispatch_resume(v->tracee.tid, &v->dispatch);
	return first ? first : r;
}
