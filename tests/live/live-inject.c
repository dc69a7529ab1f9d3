/* SPDX-License-Identifier: MIT */
/*
 * The injector against real processes: what a target is, was and sees.
 *
 *	live-inject [PART-OF-A-NAME]
 *
 * limit: 280
 */

#include "inject/cases-basic.h"
#include "inject/cases-places.h"
#include "inject/cases-refused.h"
#include "inject/cases-stacks.h"
#include "inject/cases-storm.h"

static const struct live_case cases[] = {
	{ "registers of 4 spinning threads", case_spin, 4 },
	{ "registers of 1 spinning thread", case_spin, 1 },
	{ "registers, abstract socket", case_spin, 4 | PAGETAP_NO_PIDFD_GETFD << 8 },
	{ "registers, no net", case_spin, 4 | PAGETAP_NO_NET << 8 },
	{ "registers, user mode only", case_spin, 1 | PAGETAP_USER_MODE_ONLY << 8 },
	{ "0 EINTR over 200 attaches, every call", case_blocked_all, 0 },
	{ "0 EINTR over 200 attaches, none easy", case_blocked_all, 1 },
	{ "0 EINTR, one thread in each call", case_blocked_each, 0 },
	{ "0 EINTR, one thread in each call, no net", case_blocked_each, PAGETAP_NO_NET },
	{ "time-outs keep their remaining time", case_timed, 0 },
	{ "a real EINTR is still seen", case_real_eintr, 0 },
	{ "a real EINTR is seen also if it comes meanwhile", case_eintr_kept, 0 },
	{ "stop time, 1 thread", case_stop_time, 1 },
	{ "stop time, 10 threads", case_stop_time, 10 },
	{ "2000 threads", case_many_threads, 2000 },
	{ "nobody", case_place, PLACE_NOBODY },
	{ "network namespace", case_place, PLACE_NETNS },
	{ "mount namespace", case_place, PLACE_MOUNTNS },
	{ "pid namespace", case_place, PLACE_PIDNS },
	{ "user namespace", case_place, PLACE_USERNS },
	{ "nobody, all namespaces, empty chroot", case_place, PLACE_ALL },
	{ "seccomp filter that kills", case_place, PLACE_SECCOMP },
	{ "strict seccomp", case_place, PLACE_STRICT },
	{ "not dumpable", case_place, PLACE_NOT_DUMPABLE },
	{ "coroutine on the heap", case_coroutine, 0 },
	{ "coroutine on the heap, no net", case_coroutine, PAGETAP_NO_NET },
	{ "coroutine within a thread's stack", case_within_stack, 0 },
	{ "syscall user dispatch", case_dispatch, 0 },
	{ "another network namespace, abstract socket", case_other_netns, 0 },
	{ "handler on an alternate stack", case_altstack, 0 },
	{ "static program, glibc", case_static, 0 },
	{ "static program, musl", case_static, 1 },
	{ "the first thread has ended", case_zombie_leader, 0 },
	{ "stopped by SIGSTOP", case_stopped, 0 },
	{ "restartable sequence", case_rseq, 0 },
	{ "no free descriptor", case_fd_limit, 0 },
	{ "refusals", case_refusals, 0 },
	{ "refusals without privilege", case_unprivileged, 0 },
	{ "already traced", case_traced, 0 },
	{ "already traced by strace", case_strace, 0 },
	{ "already watched", case_monitored, 1 },
	{ "a userfaultfd of its own", case_monitored, 0 },
	{ "frozen", case_frozen, 0 },
	{ "vfork in progress", case_vfork, 0 },
	{ "handlers run meanwhile", case_signals, 0 },
	{ "SIGSTOP and SIGCONT meanwhile", case_stop_cont, 0 },
	{ "exits meanwhile", case_exit, 0 },
	{ "execs meanwhile", case_exec, 0 },
	{ "forks meanwhile", case_forks, 0 },
	{ "threads come and go", case_thread_storm, 0 },
	{ "closes what it finds meanwhile", case_closes, 0 },
	{ "two at once", case_two_at_once, 0 },
};

int main(int argc, char **argv)
{
	return cases_run(cases, sizeof(cases) / sizeof(cases[0]), argc, argv);
}
