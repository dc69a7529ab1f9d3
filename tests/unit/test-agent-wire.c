/* SPDX-License-Identifier: MIT */
/* Agent-wire: what is accepted of either side, and the descriptors that come along. */

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "agent-request.h"
#include "suite.h"

static bool valid(struct agent_request q)
{
	return agent_request_valid(&q, sizeof(q), q.op == AGENT_GUARD);
}

#define BAD(op, member, value)                        \
	do {                                          \
		struct agent_request bad = good(op);  \
		bad.member = (value);                 \
		CU_ASSERT(!valid(bad));               \
	} while (0)

static void test_requests(void)
{
	struct agent_request q = good(AGENT_OPEN);

	for (unsigned int op = AGENT_BORROW; op < AGENT_OP_NR; op++)
		CU_ASSERT(valid(good(op)));
	CU_ASSERT(!agent_request_valid(&q, sizeof(q) - 1, 0));
	CU_ASSERT(!agent_request_valid(&q, sizeof(q) + 1, 0));
	CU_ASSERT(!agent_request_valid(&q, 0, 0));
	CU_ASSERT(!agent_request_valid(&q, sizeof(q), 1));
	BAD(AGENT_OPEN, magic, 1);
	BAD(AGENT_OPEN, op, 0);
	BAD(AGENT_OPEN, op, AGENT_OP_NR);
	BAD(AGENT_OPEN, id, 0);
	BAD(AGENT_OPEN, pid, 0);
	BAD(AGENT_OPEN, pid, -1);
	BAD(AGENT_OPEN, hi, 4096);
	BAD(AGENT_OPEN, timeout_ms, 1);
	BAD(AGENT_OPEN, cpu, 1);
	BAD(AGENT_OPEN, attr.config, 1);
	BAD(AGENT_PERF, cpu, -1);
	BAD(AGENT_PERF, attr.type, PERF_TYPE_HARDWARE);
	BAD(AGENT_PERF, attr.type, PERF_TYPE_TRACEPOINT);
	BAD(AGENT_PERF, attr.config, PERF_COUNT_SW_BPF_OUTPUT);
	BAD(AGENT_PERF, attr.size, 8);
	BAD(AGENT_PERF, attr.sample_type, PERF_SAMPLE_STACK_USER);
	BAD(AGENT_PERF, attr.sample_type, PERF_SAMPLE_REGS_USER);
	q = good(AGENT_GUARD);
	CU_ASSERT(!agent_request_valid(&q, sizeof(q), 0));
	CU_ASSERT(!agent_request_valid(&q, sizeof(q), 2));
	BAD(AGENT_BORROW, timeout_ms, AGENT_TIMEOUT_MAX + 1);
	BAD(AGENT_FILESYSTEM, hi, 0);
	BAD(AGENT_FILESYSTEM, lo, 4096);
	BAD(AGENT_SHARES, lo, 0);
	BAD(AGENT_SHARES, lo, UINT64_C(1) << 31);
	BAD(AGENT_SHARES, hi, 1);
	BAD(AGENT_SHARES, timeout_ms, 1);
}

static struct agent_reply reply_to(const struct agent_request *q, uint32_t fds)
{
	return (struct agent_reply){
		.magic = AGENT_MAGIC, .op = q->op, .id = q->id, .fds = fds,
	};
}

static bool answers(const struct agent_reply *p, const struct agent_request *q)
{
	return agent_reply_valid(p, sizeof(*p), (unsigned int)__builtin_popcount(p->fds), q);
}

static void test_replies(void)
{
	struct agent_request open = good(AGENT_OPEN), borrow = good(AGENT_BORROW),
			     about = good(AGENT_ABOUT);
	struct agent_reply p = reply_to(&open, DOOR);

	CU_ASSERT(answers(&p, &open));
	CU_ASSERT(!answers(&p, &borrow));
	CU_ASSERT(!agent_reply_valid(&p, sizeof(p) - 1, 3, &open));
	CU_ASSERT(!agent_reply_valid(&p, sizeof(p), 2, &open));
	CU_ASSERT(!agent_reply_valid(&p, sizeof(p), 4, &open));
	p.fds |= AGENT_HAS_PAGEMAP;
	CU_ASSERT(answers(&p, &open));
	p.fds |= AGENT_HAS_UFFD;
	CU_ASSERT(!answers(&p, &open));
	p = reply_to(&open, DOOR);
	p.id++;
	CU_ASSERT(!answers(&p, &open));
	p = reply_to(&open, 0);
	CU_ASSERT(!answers(&p, &open));
	p.result = -EPERM;
	CU_ASSERT(answers(&p, &open));
	p.result = 1;
	CU_ASSERT(!answers(&p, &open));
	p = reply_to(&borrow, DOOR | AGENT_HAS_UFFD);
	CU_ASSERT(answers(&p, &borrow));
	memset(p.borrow.failure.text, 'x', sizeof(p.borrow.failure.text));
	CU_ASSERT(!answers(&p, &borrow));
	p = reply_to(&borrow, 0);
	p.result = -ESRCH;
	p.borrow.failure.reason = PAGETAP_REASON_NR;
	CU_ASSERT(!answers(&p, &borrow));
	p = reply_to(&about, 0);
	CU_ASSERT(answers(&p, &about));
	p.about.exe_len = sizeof(p.about.exe) + 1;
	CU_ASSERT(!answers(&p, &about));
}

static unsigned int open_fds(void)
{
	unsigned int n = 0;

	for (int i = 0; i < 256; i++)
		n += fcntl(i, F_GETFD) >= 0;
	return n;
}

static void test_descriptors(void)
{
	int pair[2], many[200], fds[AGENT_FDS_MAX], in[AGENT_FDS_MAX];
	char byte = 1, room[sizeof(struct agent_request)];
	union {
		struct cmsghdr head;
		unsigned char room[CMSG_SPACE(sizeof(many))];
	} c = { .head = { .cmsg_len = CMSG_LEN(sizeof(many)), .cmsg_level = SOL_SOCKET,
			  .cmsg_type = SCM_RIGHTS } };
	struct iovec data = { &byte, 1 };
	struct msghdr m = { .msg_iov = &data, .msg_iovlen = 1, .msg_control = &c,
			    .msg_controllen = sizeof(c) };
	unsigned int n, before;

	CU_ASSERT_FATAL(!socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair));
	before = open_fds();
	for (int i = 0; i < 200; i++)
		many[i] = 0;
	memcpy(CMSG_DATA(&c.head), many, sizeof(many));
	CU_ASSERT_EQUAL(sendmsg(pair[0], &m, 0), 1);
	CU_ASSERT_EQUAL(agent_receive(pair[1], room, sizeof(room), fds, &n, MSG_DONTWAIT), 1);
	CU_ASSERT_EQUAL(n, AGENT_FDS_MAX + 1);
	CU_ASSERT_EQUAL(open_fds(), before);
	for (int i = 0; i < AGENT_FDS_MAX; i++)
		in[i] = 0;
	CU_ASSERT_EQUAL(agent_send(pair[0], room, sizeof(room), in, AGENT_FDS_MAX, 0), 0);
	CU_ASSERT_EQUAL(agent_send(pair[0], room, sizeof(room), in, AGENT_FDS_MAX + 1, 0), -E2BIG);
	CU_ASSERT_EQUAL(agent_receive(pair[1], room, 4, fds, &n, MSG_DONTWAIT), sizeof(room));
	CU_ASSERT_EQUAL(n, AGENT_FDS_MAX);
	for (unsigned int i = 0; i < n; i++) {
		CU_ASSERT_EQUAL(fcntl(fds[i], F_GETFD), FD_CLOEXEC);
		close(fds[i]);
	}
	CU_ASSERT_EQUAL(agent_receive(pair[1], room, 4, fds, &n, MSG_DONTWAIT), -EAGAIN);
	close(pair[0]);
	CU_ASSERT_EQUAL(agent_receive(pair[1], room, 4, fds, &n, MSG_DONTWAIT), -EPIPE);
	CU_ASSERT_EQUAL(agent_send(pair[1], room, 4, NULL, 0, 0), -EPIPE);
	close(pair[1]);
}

/* How many descriptors may be open; 0: as many as there may be at all. */
static void limit_descriptors(rlim_t n)
{
	struct rlimit rl;

	CU_ASSERT_EQUAL_FATAL(getrlimit(RLIMIT_NOFILE, &rl), 0);
	rl.rlim_cur = n ? n : rl.rlim_max;
	CU_ASSERT_EQUAL_FATAL(setrlimit(RLIMIT_NOFILE, &rl), 0);
}

/* One of three has room here: the reply has failed, and that is all. */
static void test_no_room_for_descriptors(void)
{
	struct agent_request q = good(AGENT_OPEN);
	struct agent_reply p;
	int pair[2], fds[AGENT_FDS_MAX], in[3] = { 0, 0, 0 }, next;
	unsigned int n, before;

	CU_ASSERT_FATAL(!socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair));
	before = open_fds();
	next = dup(0);
	close(next);
	for (int i = 0; i < 2; i++) {
		q.op = i ? AGENT_BORROW : AGENT_OPEN;
		p = (struct agent_reply){
			.magic = AGENT_MAGIC, .op = q.op, .id = q.id, .fds = DOOR,
		};
		CU_ASSERT_EQUAL(agent_send(pair[0], &p, sizeof(p), in, 3, 0), 0);
		limit_descriptors((rlim_t)next + 1);
		CU_ASSERT_EQUAL(agent_receive_reply(pair[1], &p, fds, &n), sizeof(p));
		limit_descriptors(0);
		CU_ASSERT_EQUAL(n, 0);
		CU_ASSERT_EQUAL(p.result, -EMFILE);
		CU_ASSERT(agent_reply_valid(&p, sizeof(p), n, &q));
		CU_ASSERT_EQUAL(open_fds(), before);
	}
	CU_ASSERT_STRING_EQUAL(p.borrow.failure.text, "pagetap has no free descriptor");
	close(pair[0]);
	CU_ASSERT_EQUAL(agent_receive_reply(pair[1], &p, fds, &n), -EPIPE);
	close(pair[1]);
}

static const struct suite_test tests[] = {
	{ "requests", test_requests },
	{ "replies", test_replies },
	{ "descriptors in a message", test_descriptors },
	{ "no room for the descriptors of a message", test_no_room_for_descriptors },
};

SUITE_MAIN("agent-wire", tests)
