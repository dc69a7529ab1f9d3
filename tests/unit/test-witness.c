/* SPDX-License-Identifier: MIT */
/* Witness: records of a perf ring, made by hand and by the kernel. */

#include <errno.h>
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "suite.h"
#include "watch/witness.h"

static unsigned char bytes[512];

/* A record of `n` words after its header, with pid 7, tid 8 and time 99 as sample_id. */
static size_t put(uint16_t type, uint16_t misc, const uint64_t *words, size_t n, bool tail)
{
	const uint64_t id[2] = { 7 | UINT64_C(8) << 32, 99 };
	struct perf_event_header h = {
		.type = type, .misc = misc,
		.size = (uint16_t)(sizeof(h) + n * 8 + (tail ? sizeof(id) : 0)),
	};

	memcpy(bytes, &h, sizeof(h));
	memcpy(bytes + sizeof(h), words, n * 8);
	if (tail)
		memcpy(bytes + sizeof(h) + n * 8, id, sizeof(id));
	return h.size;
}

static void test_sample(void)
{
	const uint64_t w[] = { 0x401000, 7 | UINT64_C(8) << 32, 1234, 0x7f0000001008 };
	struct witness_event ev;
	size_t n = put(PERF_RECORD_SAMPLE, PERF_RECORD_MISC_KERNEL, w, 4, false);

	CU_ASSERT_EQUAL_FATAL(witness_decode(bytes, n, &ev), 0);
	CU_ASSERT_EQUAL(ev.kind, WITNESS_TOUCH);
	CU_ASSERT(ev.pid == 7 && ev.tid == 8 && ev.time == 1234);
	CU_ASSERT(ev.touch.addr == 0x7f0000001008 && ev.touch.ip == 0x401000 && ev.touch.kernel);
	n = put(PERF_RECORD_SAMPLE, PERF_RECORD_MISC_USER, w, 4, false);
	CU_ASSERT_EQUAL_FATAL(witness_decode(bytes, n, &ev), 0);
	CU_ASSERT_FALSE(ev.touch.kernel);
}

/* Of the chain those frames that are of the user. */
static void test_chain(void)
{
	uint64_t w[] = {
		0xffffffff81000000, 7 | UINT64_C(8) << 32, 1234, 0x7f0000001008, 6,
		(uint64_t)PERF_CONTEXT_KERNEL, 0xffffffff81000000, (uint64_t)PERF_CONTEXT_USER,
		0x401000, 0x402000, (uint64_t)PERF_CONTEXT_GUEST,
	};
	struct witness_event ev;
	size_t n = put(PERF_RECORD_SAMPLE, PERF_RECORD_MISC_KERNEL, w, 11, false);

	CU_ASSERT_EQUAL_FATAL(witness_decode(bytes, n, &ev), 0);
	CU_ASSERT_EQUAL_FATAL(ev.touch.nframes, 2);
	CU_ASSERT(witness_frame(&ev, 0) == 0x401000 && witness_frame(&ev, 1) == 0x402000);
	/* No user frame; none at all; more than there are. */
	w[7] = 0x400000;
	n = put(PERF_RECORD_SAMPLE, 0, w, 11, false);
	CU_ASSERT(!witness_decode(bytes, n, &ev) && !ev.touch.nframes);
	w[4] = 0;
	n = put(PERF_RECORD_SAMPLE, 0, w, 5, false);
	CU_ASSERT(!witness_decode(bytes, n, &ev) && !ev.touch.nframes);
	w[4] = 7;
	n = put(PERF_RECORD_SAMPLE, 0, w, 11, false);
	CU_ASSERT_EQUAL(witness_decode(bytes, n, &ev), -EBADMSG);
	w[4] = UINT64_MAX;
	n = put(PERF_RECORD_SAMPLE, 0, w, 11, false);
	CU_ASSERT_EQUAL(witness_decode(bytes, n, &ev), -EBADMSG);
	w[4] = 1;
	w[5] = (uint64_t)PERF_CONTEXT_USER;
	n = put(PERF_RECORD_SAMPLE, 0, w, 6, false);
	CU_ASSERT(!witness_decode(bytes, n, &ev) && !ev.touch.nframes);
}

/* The fields of a tracepoint behind the chain: address, ip, error code. */
static void test_point(void)
{
	uint64_t w[] = {
		0xffffffff81000000, 7 | UINT64_C(8) << 32, 1234, 0, 2,
		(uint64_t)PERF_CONTEXT_USER, 0x401000,
		36 | UINT64_C(0x1234) << 32, 0x5678, 0, 0, 0,
	};
	const uint64_t fields[] = { 0x7f0000001008, 0x402000, 6 };
	struct witness_event ev;
	size_t n;

	/* They begin behind the size, which has 4 bytes, and 8 that all tracepoints have. */
	memcpy((char *)w + 7 * 8 + 12, fields, sizeof(fields));
	n = put(PERF_RECORD_SAMPLE, PERF_RECORD_MISC_KERNEL, w, 12, false);
	CU_ASSERT_EQUAL_FATAL(witness_decode(bytes, n, &ev), 0);
	CU_ASSERT(ev.touch.addr == fields[0] && ev.touch.ip == fields[1] && !ev.touch.kernel);
	CU_ASSERT(ev.touch.access == WITNESS_WRITE && ev.touch.nframes == 1);
	/* A read, by the kernel; then no more than there is. */
	w[10] = 0;
	n = put(PERF_RECORD_SAMPLE, PERF_RECORD_MISC_KERNEL, w, 12, false);
	CU_ASSERT(!witness_decode(bytes, n, &ev) && ev.touch.access == WITNESS_READ);
	CU_ASSERT(ev.touch.kernel);
	w[7] = 37;
	n = put(PERF_RECORD_SAMPLE, PERF_RECORD_MISC_KERNEL, w, 12, false);
	CU_ASSERT_EQUAL(witness_decode(bytes, n, &ev), -EBADMSG);
	w[7] = 28;
	n = put(PERF_RECORD_SAMPLE, PERF_RECORD_MISC_KERNEL, w, 10, false);
	CU_ASSERT_EQUAL(witness_decode(bytes, n, &ev), -EBADMSG);
	w[7] = 0;
	n = put(PERF_RECORD_SAMPLE, PERF_RECORD_MISC_KERNEL, w, 8, false);
	CU_ASSERT(!witness_decode(bytes, n, &ev) && ev.touch.access == WITNESS_UNKNOWN);
}

static void test_map(void)
{
	uint64_t w[9] = { 70 | UINT64_C(80) << 32, 0x7f0000000000, 0x4000, 0, 0, 0, 0,
			  PROT_READ | PROT_WRITE };
	struct witness_event ev;
	size_t n = put(PERF_RECORD_MMAP2, 0, w, 9, true);

	CU_ASSERT_EQUAL_FATAL(witness_decode(bytes, n, &ev), 0);
	CU_ASSERT_EQUAL(ev.kind, WITNESS_MAP);
	CU_ASSERT(ev.pid == 7 && ev.tid == 8 && ev.time == 99);
	CU_ASSERT(ev.map.span.lo == 0x7f0000000000 && ev.map.span.hi == 0x7f0000004000);
	CU_ASSERT(ev.map.writable);
	w[2] = UINT64_MAX;	/* a range that wraps */
	n = put(PERF_RECORD_MMAP2, 0, w, 9, true);
	CU_ASSERT_EQUAL(witness_decode(bytes, n, &ev), -EBADMSG);
}

static void test_others(void)
{
	const uint64_t fork[] = { 20 | UINT64_C(7) << 32, 21 | UINT64_C(8) << 32, 500 };
	const uint64_t comm[] = { 7 | UINT64_C(8) << 32, 0x6c6c6568 };
	const uint64_t lost[] = { 3, 4501 };
	struct witness_event ev;

	CU_ASSERT_EQUAL(witness_decode(bytes, put(PERF_RECORD_FORK, 0, fork, 3, true), &ev), 0);
	CU_ASSERT(ev.kind == WITNESS_FORK && ev.pid == 20 && ev.tid == 21 && ev.parent == 7 &&
		  ev.parent_tid == 8 &&
		  ev.time == 500);
	CU_ASSERT_EQUAL(witness_decode(bytes, put(PERF_RECORD_COMM, PERF_RECORD_MISC_COMM_EXEC,
						  comm, 2, true), &ev), 0);
	CU_ASSERT(ev.kind == WITNESS_EXEC && ev.pid == 7);
	CU_ASSERT_EQUAL(witness_decode(bytes, put(PERF_RECORD_COMM, 0, comm, 2, true), &ev), 0);
	CU_ASSERT(ev.kind == WITNESS_NAME && ev.tid == 8 && ev.len == 4 &&
		  !memcmp(ev.name, "hell", 4));
	CU_ASSERT_EQUAL(witness_decode(bytes, put(PERF_RECORD_LOST, 0, lost, 2, true), &ev), 0);
	CU_ASSERT(ev.kind == WITNESS_LOST && ev.n == 4501);
	CU_ASSERT_EQUAL(witness_decode(bytes, put(4711, 0, lost, 2, true), &ev), 0);
	CU_ASSERT_EQUAL(ev.kind, WITNESS_OTHER);
}

/* However short a record is, nothing beyond it is read (the sanitizers look on). */
static void test_short(void)
{
	static const uint16_t types[] = {
		PERF_RECORD_SAMPLE, PERF_RECORD_MMAP2, PERF_RECORD_FORK, PERF_RECORD_COMM,
		PERF_RECORD_LOST, PERF_RECORD_EXIT,
	};
	/* Header, body and sample_id of each: what is shorter cannot be. */
	static const size_t least[] = { 40, 88, 48, 32, 40, 8 };

	for (unsigned int i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		for (size_t len = 0; len < 96; len++) {
			struct perf_event_header h = { .type = types[i], .size = (uint16_t)len };
			unsigned char *exact = malloc(len ? len : 1);
			struct witness_event ev;
			int r;

			CU_ASSERT_PTR_NOT_NULL_FATAL(exact);
			memset(exact, 0, len);
			memcpy(exact, &h, len < sizeof(h) ? len : sizeof(h));
			r = witness_decode(exact, len, &ev);
			CU_ASSERT_EQUAL(r, len < least[i] ? -EBADMSG : 0);
			if (len >= sizeof(h))
				CU_ASSERT_EQUAL(witness_decode(exact, len - 1, &ev), -EBADMSG);
			free(exact);
		}
	}
}

/* What a real child does, seen by the kernel. */

struct seen {
	pid_t pid, touch_tid;
	uint32_t frames;
	bool chain_begins_there;	/* with the instruction that touched */
	uint64_t lo, touch_time, map_time;
	unsigned int maps, touches, reads, forks;
};

static void take(void *arg, const struct witness_event *ev)
{
	struct seen *s = arg;

	if (ev->kind == WITNESS_FORK && ev->parent == s->pid)
		s->forks++;
	if (ev->pid != s->pid)
		return;
	if (ev->kind == WITNESS_MAP && range_has(ev->map.span, s->lo)) {
		s->maps++;
		s->map_time = ev->time;
	} else if (ev->kind == WITNESS_TOUCH && ev->touch.addr == s->lo + 4096) {
		s->reads++;
	} else if (ev->kind == WITNESS_TOUCH && ev->touch.addr == s->lo + 24) {
		s->touches++;
		s->touch_tid = ev->tid;
		s->frames = ev->touch.nframes;
		s->chain_begins_there = s->frames && witness_frame(ev, 0) == ev->touch.ip;
		s->touch_time = ev->time;
	}
}

static void *touch_there(void *arg)
{
	volatile char *m = arg;

	m[24] = m[4096];
	return NULL;
}

/* Waits for a byte, then a thread of it touches memory that is new. */
static pid_t start_child(int *ret_go, void *at)
{
	int p[2];
	pid_t pid;

	CU_ASSERT_EQUAL_FATAL(pipe(p), 0);
	pid = fork();
	if (!pid) {
		pthread_t t;
		char c, *m;

		close(p[1]);
		if (read(p[0], &c, 1) != 1)
			_exit(1);
		m = mmap(at, 8 * 4096, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
		if (m != at || pthread_create(&t, NULL, touch_there, m))
			_exit(1);
		pthread_join(t, NULL);
		usleep(200000);
		_exit(0);
	}
	close(p[0]);
	*ret_go = p[1];
	return pid;
}

static void see_a_child(enum witness_touches what)
{
	void *at = mmap(NULL, 64 * 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct seen s = { .lo = (uint64_t)(uintptr_t)at };
	struct witness *w;
	uint64_t before, maps;
	struct pollfd p = { .events = POLLIN };
	char path[32];
	int go, task, status;
	int r = witness_open(&w, true, what, NULL);

	if (r == -EACCES || r == -EPERM || r == -ENOSYS) {
		printf("\nSKIP no-perf: perf events are not allowed here\n");
		return;
	}
	CU_ASSERT_EQUAL_FATAL(r, 0);
	s.pid = start_child(&go, at);
	snprintf(path, sizeof(path), "/proc/%d/task", s.pid);
	task = open(path, O_RDONLY | O_DIRECTORY);
	CU_ASSERT_EQUAL_FATAL(witness_add(w, task), 0);
	close(task);
	before = clock_now();
	CU_ASSERT_EQUAL(write(go, "x", 1), 1);
	p.fd = witness_fd(w);
	/* The mapping wakes us: nothing else is waited for. */
	CU_ASSERT_EQUAL(poll(&p, 1, 5000), 1);
	waitpid(s.pid, &status, 0);
	CU_ASSERT_EQUAL(status, 0);
	witness_read(w, take, &s);
	witness_read_touches(w, take, &s);
	CU_ASSERT(s.maps >= 1);
	CU_ASSERT_EQUAL(s.touches, what != WITNESS_NO_TOUCHES);
	CU_ASSERT(s.forks >= 1);
	CU_ASSERT(s.map_time > before);
	if (what != WITNESS_NO_TOUCHES) {
		CU_ASSERT(s.touch_tid > 0 && s.touch_tid != s.pid);
		CU_ASSERT(s.touch_time > s.map_time && s.touch_time < clock_now());
	}
	CU_ASSERT_EQUAL(s.reads, what != WITNESS_NO_TOUCHES &&
				 (what != WITNESS_WRITES || witness_unsure(w)));
	CU_ASSERT_EQUAL(s.chain_begins_there, what == WITNESS_CHAINS || what == WITNESS_WRITES);
	CU_ASSERT_EQUAL(witness_lost(w, true, &maps), 0);
	CU_ASSERT_EQUAL(maps, 0);
	witness_close(w);
	close(go);
	munmap(at, 64 * 4096);
}

static void test_a_child(void)
{
	see_a_child(WITNESS_TOUCHES);
	see_a_child(WITNESS_NO_TOUCHES);
	see_a_child(WITNESS_CHAINS);
	see_a_child(WITNESS_WRITES);
}

/* More touches than a ring holds, and nobody reads: the kernel's count comes out. */
static void test_lost(void)
{
	const size_t pages = 40000;
	struct witness *w;
	struct seen s = { 0 };
	uint64_t maps, lost;
	int task, status, r = witness_open(&w, true, WITNESS_TOUCHES, NULL);
	char path[32], c = 0;
	int go[2];
	pid_t pid;

	if (r == -EACCES || r == -EPERM || r == -ENOSYS) {
		printf("\nSKIP no-perf: perf events are not allowed here\n");
		return;
	}
	CU_ASSERT_EQUAL_FATAL(r, 0);
	CU_ASSERT_EQUAL_FATAL(pipe(go), 0);
	pid = fork();
	if (!pid) {
		char *m = mmap(NULL, pages * 4096, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (m == MAP_FAILED || read(go[0], &c, 1) != 1)
			_exit(1);
		for (size_t i = 0; i < pages; i++)
			m[i * 4096] = 1;
		_exit(0);
	}
	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	task = open(path, O_RDONLY | O_DIRECTORY);
	CU_ASSERT_EQUAL_FATAL(witness_add(w, task), 0);
	close(task);
	CU_ASSERT_EQUAL(write(go[1], "x", 1), 1);
	waitpid(pid, &status, 0);
	CU_ASSERT_EQUAL(status, 0);
	/* Two rings of 256 KiB hold 13,000 samples of 40 bytes. */
	witness_read_touches(w, take, &s);
	lost = witness_lost(w, false, &maps);
	if (lost || maps)	/* the count is there since Linux 6.0 */
		CU_ASSERT(lost >= pages - 2 * (256u << 10) / 40 - 1000 && lost < pages + 1000);
	CU_ASSERT_EQUAL(witness_lost(w, true, &maps), 0);
	witness_close(w);
	close(go[0]);
	close(go[1]);
}

static unsigned int descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned int n = 0;

	while (d && readdir(d))
		n++;
	if (d)
		closedir(d);
	return n;
}

static pid_t start_waiter(const int *go)
{
	pid_t pid = fork();
	char c;

	if (!pid) {
		close(go[1]);
		_exit(read(go[0], &c, 1) != 0);
	}
	return pid;
}

static void add_process(struct witness *w, pid_t pid)
{
	char path[32];
	int task;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	task = open(path, O_RDONLY | O_DIRECTORY);
	CU_ASSERT_EQUAL_FATAL(witness_add(w, task), 0);
	close(task);
}

/* Processes come and go: their events do not stay, that of a living one does. */
static void test_prune(void)
{
	void *at = mmap(NULL, 64 * 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct seen s = { .lo = (uint64_t)(uintptr_t)at };
	struct witness *w;
	unsigned int before, after;
	int r = witness_open(&w, true, WITNESS_TOUCHES, NULL), go[2], stay, status;
	pid_t pid;

	if (r == -EACCES || r == -EPERM || r == -ENOSYS) {
		printf("\nSKIP no-perf: perf events are not allowed here\n");
		return;
	}
	CU_ASSERT_EQUAL_FATAL(r, 0);
	s.pid = start_child(&stay, at);
	add_process(w, s.pid);
	before = descriptors();
	for (int i = 0; i < 300; i++) {
		CU_ASSERT_EQUAL_FATAL(pipe(go), 0);
		pid = start_waiter(go);
		add_process(w, pid);
		close(go[0]);
		close(go[1]);
		waitpid(pid, &status, 0);
		if (witness_prune(w))
			witness_read(w, take, &s);
		/* What they touch, and more of it with instruments, must not fill the ring. */
		witness_read_touches(w, take, &s);
	}
	after = descriptors();
	CU_ASSERT(after >= before && after - before <= 2 * (64 + 64));
	/* Of the one that lives on it is told as before. */
	CU_ASSERT_EQUAL(write(stay, "x", 1), 1);
	waitpid(s.pid, &status, 0);
	CU_ASSERT_EQUAL(status, 0);
	witness_read(w, take, &s);
	witness_read_touches(w, take, &s);
	CU_ASSERT(s.maps >= 1 && s.touches == 1);
	witness_close(w);
	close(stay);
	munmap(at, 64 * 4096);
}

static const struct suite_test tests[] = {
	{ "a touch", test_sample },
	{ "a call chain", test_chain },
	{ "a tracepoint of a page fault", test_point },
	{ "a mapping", test_map },
	{ "fork, exec, loss, and what is new to us", test_others },
	{ "short records", test_short },
	{ "a child that maps and touches", test_a_child },
	{ "what did not fit is counted", test_lost },
	{ "events of those that have gone", test_prune },
};

SUITE_MAIN("witness", tests)
