/* SPDX-License-Identifier: MIT */
/*
 * Network source: against our page server, against one that takes one client only, and
 * against servers that lie, stall, and go.  Whatever they do, each page comes, and is
 * right.
 */

#include "restore/source-net.h"

#include <stdio.h>

#include "base/clock.h"
#include "liar.h"
#include "suite.h"

/* The pages that all of them hold. */
#define PAGES 1000u
#define SECONDS_MAX 20

/* Who fills memory from a source, and looks at every page. */
struct filler {
	struct source *source;
	uint64_t salt;
	struct source_want want[PAGES];	/* by id */
	unsigned int nwants, next, answered, wrong, failed;
	unsigned int order[PAGES];	/* ids as they were answered */
	unsigned int lost, back, gave_up;
	char words[200];
};

static struct filler f;

static void told(void *arg, enum source_net_kind kind, const char *words)
{
	(void)arg;
	f.lost += kind == SOURCE_NET_LOST;
	f.back += kind == SOURCE_NET_BACK;
	f.gave_up += kind == SOURCE_NET_GAVE_UP;
	if (kind == SOURCE_NET_LOST && f.lost == 1)
		snprintf(f.words, sizeof(f.words), "%s", words);
}

static struct source_net_problem why;

static int open_source(uint16_t port, const struct source_net_options *more)
{
	struct source_net_options o = more ? *more : (struct source_net_options){ 0 };

	memset(&f, 0, sizeof(f));
	why.words[0] = '\0';
	signal(SIGPIPE, SIG_IGN);
	o.address = "127.0.0.1";
	o.port = port;
	o.told = told;
	return source_net_open(&o, &f.source, &why);
}

/* All pages, in demands of so many; each `urgent`th one has haste. */
static void want_all(uint32_t npages, unsigned int urgent)
{
	for (uint64_t at = 0; at < PAGES; at += npages, f.nwants++)
		f.want[f.nwants] = (struct source_want){
			.id = f.nwants, .pid = RIG_PID, .vaddr = RIG_BASE + at * WIRE_PAGE,
			.npages = PAGES - at < npages ? (uint32_t)(PAGES - at) : npages,
			.urgent = urgent && f.nwants % urgent == 0,
		};
}

static void on_answer(void *arg, const struct source_got *got)
{
	const struct source_want *w = &f.want[got->id];

	(void)arg;
	f.order[f.answered++] = (unsigned int)got->id;
	if (got->err) {
		f.failed++;
		return;
	}
	if (got->npages != w->npages || !rig_right(f.salt, w->vaddr, got->data, got->npages))
		f.wrong++;
	f.source->ops->release(f.source, got->id);
}

/* As many as it takes. */
static void ask_more(void)
{
	while (f.next < f.nwants) {
		int r = f.source->ops->ask(f.source, &f.want[f.next]);

		if (r == -EAGAIN && f.next > f.answered)
			return;
		if (r < 0) {
			CU_FAIL("ask");
			return;
		}
		f.next++;
	}
}

/* One turn of whoever fills; false: no answers will come any more. */
static bool turn(int ms)
{
	struct pollfd p = { .fd = f.source->ops->fd(f.source), .events = POLLIN };

	ask_more();
	return poll(&p, 1, ms) <= 0 || !f.source->ops->answers(f.source, on_answer, NULL);
}

static bool fill(void)
{
	uint64_t end = clock_now() + SECONDS_MAX * NSEC_PER_SEC;

	while (f.answered < f.nwants && clock_now() < end)
		if (!turn(1000))
			break;
	return f.answered == f.nwants && !f.wrong && !f.failed;
}

static void close_source(void)
{
	f.source->ops->free(f.source);
	f.source = NULL;
}

static struct rig rig;

static void test_pages(void)
{
	static const uint32_t sizes[] = { 1, 3, 16, 17, 100, 256, 1000 };

	CU_ASSERT_FATAL(rig_begin(&rig, 7) && rig_serve(&rig, 0));
	for (int layout = WIRE_NARROW; layout <= WIRE_WIDE; layout++)
		for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			struct source_net_options o = { .layout = (enum wire_layout)layout };
			struct source_net_totals t;

			CU_ASSERT_EQUAL_FATAL(open_source(rig.port, &o), 0);
			f.salt = 7;
			want_all(sizes[i], 3);
			CU_ASSERT(fill());
			source_net_totals(f.source, &t);
			CU_ASSERT_EQUAL(t.pages, PAGES);
			CU_ASSERT_EQUAL(t.connections, 2);
			CU_ASSERT_EQUAL(t.lost + t.again, 0);
			CU_ASSERT_EQUAL(source_net_finish(f.source), 0);
			close_source();
		}
	rig_stop(&rig);
	rig_end(&rig);
	CU_ASSERT_EQUAL(rig.broke, 0);
}

/* CRIU's server takes one connection and none after it. */
static void *serve_one_only(void *arg)
{
	struct liar *l = arg;
	struct pollfd p = { .fd = l->listener, .events = POLLIN };
	struct liar_client *c = malloc(sizeof(*c));

	poll(&p, 1, 5000);
	*c = (struct liar_client){ l, accept4(l->listener, NULL, NULL, SOCK_CLOEXEC) };
	l->fd[0] = c->fd;
	close(l->listener);
	liar_client(c);
	close(l->fd[0]);
	return NULL;
}

static void test_one_connection(void)
{
	struct liar l = { 0 };
	struct source_net_totals t;

	l.port = rig_listen(0, &l.listener);
	pthread_create(&l.thread, NULL, serve_one_only, &l);
	CU_ASSERT_EQUAL_FATAL(open_source(l.port, NULL), 0);
	want_all(256, 3);
	CU_ASSERT(fill());
	source_net_totals(f.source, &t);
	CU_ASSERT_EQUAL(t.connections, 1);
	/* Those without haste come in small parts, so that nobody waits behind much. */
	CU_ASSERT(t.answers >= 8);
	CU_ASSERT_EQUAL(source_net_finish(f.source), 0);
	close_source();
	pthread_join(l.thread, NULL);
}

/* Where the word says what is told of the first loss. */
static const struct {
	enum lie lie;
	unsigned int at;
	const char *words;
} lies[] = {
	{ LIE_ADDRESS, 0, "was asked for address" },
	{ LIE_ADDRESS, 3, "was asked for address" },
	{ LIE_PROCESS, 1, "was asked for pages of 4242 and sent those of 4243" },
	{ LIE_COMMAND, 2, "answered with command 0x7" },
	{ LIE_FLAGS, 1, "flags 0" },
	{ LIE_MORE, 2, "and sent" },
	{ LIE_ZERO, 0, "and sent 0" },
	{ LIE_ORDER, 0, "was asked for address" },
	{ LIE_TWICE, 1, "" },
	{ LIE_EXTRA, 1, "" },
	{ LIE_RUBBISH, 1, "answered with command 0xa5a5" },
	{ LIE_STALL, 1, "sent no page for 150 ms" },
	{ LIE_TRICKLE, 1, "" },
	{ LIE_SILENT, 0, "sent no page for 150 ms" },
	{ LIE_RESET, 1, "onnection" },
	{ LIE_END, 1, "onnection" },
	{ LIE_END_HEAD, 1, "onnection" },
};

static void test_lies(void)
{
	static const struct source_net_options o = { .stall_ns = 150 * NSEC_PER_MSEC };

	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		struct source_net_totals t;
		struct liar l;

		CU_ASSERT_FATAL(liar_begin(&l, lies[i].lie, lies[i].at, 2));
		CU_ASSERT_EQUAL_FATAL(open_source(l.port, &o), 0);
		want_all(20, 2);
		if (!fill() || !strstr(f.words, lies[i].words) || !f.lost || !f.back) {
			CU_FAIL("lie");
			printf("lie %d: %u of %u, %u wrong, %u failed; lost %u, back %u: %s\n",
			       lies[i].lie, f.answered, f.nwants, f.wrong, f.failed, f.lost,
			       f.back, f.words);
		}
		source_net_totals(f.source, &t);
		CU_ASSERT(t.lost >= 1);
		close_source();
		liar_end(&l);
	}
}

/* A server with another image is not even asked, however often. */
static void test_another_image(void)
{
	uint8_t identity[WIRE_IDENTITY_SIZE];
	struct source_net_options o = { .identity = identity };
	struct liar l;

	memset(identity, 0, sizeof(identity));
	CU_ASSERT_FATAL(liar_begin(&l, LIE_IMAGE, 0, 1));
	CU_ASSERT_EQUAL(open_source(l.port, &o), -ESTALE);
	CU_ASSERT_STRING_EQUAL(why.words, "has another image");
	/* The lies are used up. */
	CU_ASSERT_EQUAL_FATAL(open_source(l.port, &o), 0);
	close_source();
	liar_end(&l);
}

/* Gone in the middle; in its place one with another image; then itself again. */
static void test_restarted(void)
{
	static struct rig other;

	CU_ASSERT_FATAL(rig_begin(&rig, 7) && rig_serve(&rig, 0) && rig_begin(&other, 9));
	CU_ASSERT_EQUAL_FATAL(open_source(rig.port, NULL), 0);
	f.salt = 7;
	want_all(1, 2);
	while (f.answered < PAGES / 3)
		turn(100);
	rig_stop(&rig);
	for (int i = 0; i < 20; i++)
		turn(10);
	CU_ASSERT(f.lost);
	CU_ASSERT_FATAL(rig_serve(&other, rig.port));
	for (int i = 0; i < 30; i++)
		turn(10);
	CU_ASSERT(f.answered < PAGES);
	rig_stop(&other);
	CU_ASSERT_EQUAL(other.totals.pages, 0);
	CU_ASSERT(other.totals.clients > 0);
	CU_ASSERT_FATAL(rig_serve(&rig, rig.port));
	CU_ASSERT(fill());
	CU_ASSERT(f.back);
	close_source();
	rig_stop(&rig);
	rig_end(&rig);
	rig_end(&other);
}

/* Stopped and started ten times under load. */
static void test_restarted_often(void)
{
	CU_ASSERT_FATAL(rig_begin(&rig, 7) && rig_serve(&rig, 0));
	CU_ASSERT_EQUAL_FATAL(open_source(rig.port, NULL), 0);
	f.salt = 7;
	want_all(1, 5);
	for (unsigned int i = 1; i <= 10; i++) {
		while (f.answered < i * PAGES / 11)
			turn(100);
		rig_stop(&rig);
		CU_ASSERT_FATAL(rig_serve(&rig, rig.port));
	}
	CU_ASSERT(fill());
	close_source();
	rig_stop(&rig);
	rig_end(&rig);
}

/* While those without haste get nothing, a single page with haste comes. */
static void test_haste(void)
{
	struct liar l;

	CU_ASSERT_FATAL(liar_begin(&l, LIE_SILENT, 0, 1));
	CU_ASSERT_EQUAL_FATAL(open_source(l.port, NULL), 0);
	want_all(100, 0);
	for (f.next = 0; f.next < 5; f.next++)
		CU_ASSERT_EQUAL(f.source->ops->ask(f.source, &f.want[f.next]), 0);
	for (int i = 0; i < 500 && l.left > 0; i++)
		usleep(10000);
	CU_ASSERT_EQUAL(l.left, 0);
	f.nwants = 6;
	f.want[5].urgent = true;
	for (int i = 0; i < 5 && !f.answered; i++)
		turn(1000);
	CU_ASSERT_EQUAL(f.answered, 1);
	CU_ASSERT_EQUAL(f.order[0], 5);
	CU_ASSERT_EQUAL(f.wrong, 0);
	close_source();
	liar_end(&l);
}

/* With one connection for all it overtakes what has not been sent yet. */
static void test_haste_on_one(void)
{
	struct liar l = { 0 };

	l.port = rig_listen(0, &l.listener);
	pthread_create(&l.thread, NULL, serve_one_only, &l);
	CU_ASSERT_EQUAL_FATAL(open_source(l.port, NULL), 0);
	want_all(200, 0);
	f.want[4].urgent = true;
	CU_ASSERT(fill());
	/* Of the others none was whole before: so little of them is in flight. */
	CU_ASSERT_EQUAL(f.order[0], 4);
	CU_ASSERT_EQUAL(source_net_finish(f.source), 0);
	close_source();
	pthread_join(l.thread, NULL);
}

static void hold_answer(void *arg, const struct source_got *got)
{
	(void)arg;
	(void)got;
	f.answered++;
}

/* Data that nobody releases bounds what one may ask for. */
static void test_bound(void)
{
	unsigned int asked = 0;
	struct pollfd p = { .events = POLLIN };

	CU_ASSERT_FATAL(rig_begin(&rig, 7) && rig_serve(&rig, 0));
	CU_ASSERT_EQUAL_FATAL(open_source(rig.port, NULL), 0);
	f.salt = 7;
	want_all(17, 0);
	while (asked < f.nwants - 1 && f.source->ops->ask(f.source, &f.want[asked]) == 0)
		asked++;
	CU_ASSERT_EQUAL(f.source->ops->ask(f.source, &f.want[asked]), -EAGAIN);
	p.fd = f.source->ops->fd(f.source);
	while (f.answered < asked && poll(&p, 1, 2000) > 0)
		CU_ASSERT_EQUAL(f.source->ops->answers(f.source, hold_answer, NULL), 0);
	CU_ASSERT_EQUAL(f.answered, asked);
	CU_ASSERT_EQUAL(f.source->ops->ask(f.source, &f.want[asked]), -EAGAIN);
	f.source->ops->release(f.source, 3);
	CU_ASSERT_EQUAL(f.source->ops->ask(f.source, &f.want[asked]), 0);
	/* What is in flight is forgotten. */
	close_source();
	rig_stop(&rig);
	rig_end(&rig);
}

static void test_wrong_questions(void)
{
	static const struct source_want wrong[] = {
		{ .pid = RIG_PID, .vaddr = RIG_BASE },
		{ .pid = RIG_PID, .vaddr = RIG_BASE, .npages = SOURCE_PAGES_MAX + 1 },
		{ .pid = RIG_PID, .vaddr = RIG_BASE + 1, .npages = 1 },
		{ .pid = RIG_PID, .vaddr = UINT64_MAX - 4095, .npages = 2 },
		{ .pid = 0, .vaddr = RIG_BASE, .npages = 1 },
	};

	CU_ASSERT_FATAL(rig_begin(&rig, 7) && rig_serve(&rig, 0));
	CU_ASSERT_EQUAL_FATAL(open_source(rig.port, NULL), 0);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		CU_ASSERT_EQUAL(f.source->ops->ask(f.source, &wrong[i]), -EINVAL);
	CU_ASSERT_PTR_NULL(f.source->ops->at(f.source, &wrong[0]));
	close_source();
	rig_stop(&rig);
	rig_end(&rig);
}

static void test_give_up(void)
{
	static const struct source_net_options o = { .give_up_ns = 200 * NSEC_PER_MSEC };

	CU_ASSERT_FATAL(rig_begin(&rig, 7) && rig_serve(&rig, 0));
	CU_ASSERT_EQUAL_FATAL(open_source(rig.port, &o), 0);
	f.salt = 7;
	rig_stop(&rig);
	want_all(50, 3);
	CU_ASSERT_FALSE(fill());
	CU_ASSERT_EQUAL(f.answered, f.nwants);
	CU_ASSERT_EQUAL(f.failed, f.nwants);
	CU_ASSERT_EQUAL(f.gave_up, 1);
	CU_ASSERT_EQUAL(f.source->ops->ask(f.source, &f.want[0]), -ETIMEDOUT);
	CU_ASSERT_EQUAL(f.source->ops->answers(f.source, on_answer, NULL), -ETIMEDOUT);
	close_source();
	rig_end(&rig);
}

static void test_no_server(void)
{
	int fd;
	uint16_t port = rig_listen(0, &fd);

	close(fd);
	CU_ASSERT_EQUAL(open_source(port, NULL), -ECONNREFUSED);
	CU_ASSERT_STRING_EQUAL(why.words, "Connection refused");
}

static const struct suite_test tests[] = {
	{ "every page, in demands of each size", test_pages },
	{ "a server that takes one connection", test_one_connection },
	{ "a server that lies, stalls or goes", test_lies },
	{ "a server with another image", test_another_image },
	{ "restarted, with another image first", test_restarted },
	{ "restarted ten times", test_restarted_often },
	{ "haste does not wait for the others", test_haste },
	{ "haste overtakes on one connection", test_haste_on_one },
	{ "as much in flight as there is room for", test_bound },
	{ "what cannot be asked for", test_wrong_questions },
	{ "giving up", test_give_up },
	{ "no server there", test_no_server },
};

SUITE_MAIN("source-net", tests)
