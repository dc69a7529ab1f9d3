/* SPDX-License-Identifier: MIT */
/* Session: a recording and its address spaces, and what it waits for. */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/limit.h"
#include "watch/session-state.h"

static int watch_fd(struct session *s, int fd, uint64_t tag)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.u64 = tag };

	return fd < 0 ? 0 : epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &ev) < 0 ? -errno : 0;
}

static int open_parts(struct session *s)
{
	uint32_t page = (uint32_t)sysconf(_SC_PAGESIZE);
	int r;

	/*
	 * A fork event installs a descriptor in whoever reads it, and the target's fork
	 * waits for that: it shall not wait for a limit of ours.
	 */
	s->shared.max_fds = limit_raise_descriptors();
	s->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (s->reserve < 0)
		return -errno;
	ksm_look(&s->shared.ksm);
	s->shared.page_size = page;
	s->shared.huge_size = 2u << 20;
	s->shared.memory = (uint64_t)sysconf(_SC_PHYS_PAGES) * page;
	s->shared.max_mappings = enrol_limit();
	s->shared.granularity = s->opts.granularity;
	s->shared.filter = &s->filter;
	s->shared.kinds = s->opts.kinds;
	session_census(s);
	s->shared.agent = s->opts.agent;
	s->shared.next_vma = s->shared.next_mm = 1;
	s->shared.max_spaces = s->opts.max_processes ? s->opts.max_processes : SESSION_PROCESSES;
	r = emit_init(&s->shared.emit, s->opts.queue, s->opts.base_ns, page);
	if (!r)
		r = session_who_open(s);
	if (!r)
		r = resolve_source_open(&s->shared.source, s->shared.huge_size);
	if (r < 0)
		return r;
	s->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (s->epoll < 0)
		return -errno;
	/* Without it forks, execs and exit codes are found later and told less of. */
	if (!procwatch_open(&s->procwatch))
		r = watch_fd(s, procwatch_fd(s->procwatch), SESSION_TAG_PROCWATCH);
	s->shared.procwatch = s->procwatch;
	if (!r)
		r = watch_fd(s, s->opts.signal_fd, SESSION_TAG_SIGNAL);
	if (!r)
		r = watch_fd(s, s->opts.output_fd, SESSION_TAG_OUTPUT);
	if (!r)
		r = watch_fd(s, s->opts.limit_fd, SESSION_TAG_LIMIT);
	if (!r)
		r = watch_fd(s, agent_fd(s->opts.agent), SESSION_TAG_AGENT);
	return r;
}

int session_new(struct session **ret, const struct session_opts *opts)
{
	struct session *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	s->opts = *opts;
	s->filter = opts->filter;
	s->epoll = s->reserve = -1;
	s->summary.exit_code = s->summary.exit_signal = RECORD_UNKNOWN;
	s->started = clock_now();
	s->ends = UINT64_MAX;
	s->next_tick = s->started + SESSION_TICK;
	s->next_epoch = opts->rearm_ns ? s->started + opts->rearm_ns : UINT64_MAX;
	r = open_parts(s);
	if (r < 0) {
		session_free(s);
		return r;
	}
	session_wait_begin(s);
	session_guard_start(s);
	*ret = s;
	return 0;
}

void session_on_tick(struct session *s, void (*tick)(void *arg, const struct session_summary *now),
		     void *arg)
{
	s->tick = tick;
	s->tick_arg = arg;
}

void session_stop(struct session *s, enum detach_reason why)
{
	if (s->stop)
		return;
	s->stop = true;
	s->reason = why;
}

struct space *session_space_of(struct session *s, pid_t pid)
{
	struct space *sp = s->spaces;

	while (sp && (sp->pid != pid || sp->whole))
		sp = sp->next;
	return sp;
}

int session_watch_witness(struct session *s)
{
	return watch_fd(s, witness_fd(s->witness), SESSION_TAG_WITNESS);
}

int session_watch_pidfd(struct session *s, struct space *sp)
{
	return watch_fd(s, sp->pidfd, (uint64_t)(uintptr_t)sp | SESSION_TAG_PIDFD);
}

int session_watch_guard(struct session *s)
{
	return watch_fd(s, guard_fd(s->guard), SESSION_TAG_GUARD);
}

void session_unwatch_guard(struct session *s)
{
	/* Closing does not suffice: an injector may hold a copy. */
	if (guard_fd(s->guard) >= 0)
		epoll_ctl(s->epoll, EPOLL_CTL_DEL, guard_fd(s->guard), NULL);
}

int session_add_space(struct session *s, struct space *sp)
{
	struct space **after = sp->whole ? &sp->whole->next : &s->spaces;
	int r;

	sp->follow = s->opts.follow;
	sp->next = *after;
	*after = sp;
	r = watch_fd(s, sp->uffd, (uint64_t)(uintptr_t)sp);
	if (sp->whole)
		return r;
	if (!r)
		r = session_watch_pidfd(s, sp);
	s->summary.processes++;
	return r;
}

void session_close_space(struct session *s, struct space *sp)
{
	/* Closing does not suffice: an injector that has not ended yet holds copies. */
	if (sp->uffd >= 0)
		epoll_ctl(s->epoll, EPOLL_CTL_DEL, sp->uffd, NULL);
	space_close(sp);
}

void session_drop_space(struct session *s, struct space *sp)
{
	struct space **p = &s->spaces;

	if (sp->twin)
		session_drop_twin(s, sp->twin);
	while (*p && *p != sp)
		p = &(*p)->next;
	if (*p)
		*p = sp->next;
	session_take_births(s, sp);	/* they live on */
	session_close_space(s, sp);
	if (sp->pidfd >= 0)
		epoll_ctl(s->epoll, EPOLL_CTL_DEL, sp->pidfd, NULL);
	space_free(sp);
}
