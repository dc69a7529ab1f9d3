/* SPDX-License-Identifier: MIT */
/* TLS: page server and network source, who is let in and who is not. */

#include "restore/tls.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "certs.h"
#include "page-server-rig.h"
#include "restore/source-net.h"
#include "suite.h"

#define PAGES 900u

static char dir[160];

static const char *in_dir(const char *name)
{
	static char path[4][320];
	static unsigned int i;

	i = (i + 1) % 4;
	snprintf(path[i], sizeof(path[i]), "%s/%s", dir, name);
	return path[i];
}

static struct tls_problem problem;

/* NAME.pem and NAME.key, who trusts CA. */
static struct tls_credentials *load(const char *name, const char *ca, const char *crl)
{
	char crt[64], key[64];
	struct tls_credentials *c = NULL;
	struct tls_files f = { .cacert = in_dir(ca), .cacrl = crl ? in_dir(crl) : NULL };

	snprintf(crt, sizeof(crt), "%s.pem", name);
	snprintf(key, sizeof(key), "%s.key", name);
	f.cert = in_dir(crt);
	f.key = in_dir(key);
	if (tls_load(&f, &c, &problem) < 0)
		printf("%s\n", problem.words);
	return c;
}

static struct rig rig;
static struct source_net_problem why;
static unsigned int answered, wrong;

static void on_answer(void *arg, const struct source_got *got)
{
	struct source *s = arg;

	answered++;
	if (got->err || !rig_right(7, RIG_BASE + got->id * WIRE_PAGE, got->data, got->npages))
		wrong++;
	if (!got->err)
		s->ops->release(s, got->id);
}

/* Every page, in demands of n pages, one third of them with haste; true: all were right. */
static bool fill(struct source *s, uint32_t n)
{
	struct pollfd p = { .fd = s->ops->fd(s), .events = POLLIN };
	unsigned int asked = 0, at = 0;

	answered = wrong = 0;
	while (at < PAGES || answered < asked) {
		struct source_want w = {
			.id = at, .pid = RIG_PID, .vaddr = RIG_BASE + at * WIRE_PAGE,
			.npages = PAGES - at < n ? PAGES - at : n, .urgent = asked % 3 == 0,
		};

		if (at < PAGES && !s->ops->ask(s, &w)) {
			asked++;
			at += w.npages;
			continue;
		}
		if (poll(&p, 1, 5000) <= 0 || s->ops->answers(s, on_answer, s) < 0)
			return false;
	}
	return !wrong;
}

static int connect_with(struct tls_credentials *c, bool any_name, struct source **ret)
{
	const struct source_net_options o = {
		.address = "127.0.0.1", .port = rig.port, .tls = c, .tls_any_name = any_name,
		.connect_ns = 5000000000,
	};

	why.words[0] = '\0';
	return source_net_open(&o, ret, &why);
}

static bool serve_with(struct tls_credentials *c)
{
	signal(SIGPIPE, SIG_IGN);
	if (!rig_begin(&rig, 7))
		return false;
	rig.tls = c;
	return rig_serve(&rig, 0);
}

static void test_pages(void)
{
	struct tls_credentials *s = load("server", "ca.pem", "crl.pem");
	struct tls_credentials *c = load("client", "ca.pem", "crl.pem");
	static const uint32_t sizes[] = { 1, 7, 100, 900 };
	struct source *source;

	CU_ASSERT_FATAL(s && c && serve_with(s));
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		CU_ASSERT_EQUAL_FATAL(connect_with(c, false, &source), 0);
		CU_ASSERT(fill(source, sizes[i]));
		CU_ASSERT_EQUAL(source_net_finish(source), 0);
		source->ops->free(source);
	}
	rig_stop(&rig);
	CU_ASSERT_EQUAL(rig.broke, 0);
	rig_end(&rig);
	tls_unload(s);
	tls_unload(c);
}

/* The server stops and comes back: the pages go on where they were. */
static void test_restarted(void)
{
	struct tls_credentials *s = load("server", "ca.pem", NULL);
	struct tls_credentials *c = load("client", "ca.pem", NULL);
	struct source *source;

	CU_ASSERT_FATAL(s && c && serve_with(s));
	CU_ASSERT_EQUAL_FATAL(connect_with(c, false, &source), 0);
	CU_ASSERT(fill(source, 10));
	rig_stop(&rig);
	CU_ASSERT_FATAL(rig_serve(&rig, rig.port));
	CU_ASSERT(fill(source, 10));
	source->ops->free(source);
	rig_stop(&rig);
	rig_end(&rig);
	tls_unload(s);
	tls_unload(c);
}

/* Who may not: what the client is told, or what the server tells. */
static const struct {
	const char *what, *server, *server_crl, *client, *client_ca, *client_crl;
	bool any_name;
	const char *client_words, *server_words;
} refused[] = {
	{ "a server of another name", "elsewhere", NULL, "client", "ca.pem", NULL, false,
	  "name in the certificate does not match", NULL },
	{ "a server of another authority", "stranger", NULL, "client", "ca.pem", NULL, true,
	  "issuer is unknown", NULL },
	{ "a server that is revoked", "revoked", NULL, "client", "ca.pem", "crl.pem", true,
	  "revoked", NULL },
	{ "a server that has expired", "expired", NULL, "client", "ca.pem", NULL, true,
	  "expired", NULL },
	{ "a client of another authority", "server", NULL, "stranger", "ca.pem", NULL, false,
	  "ertificate", "ertificate is required" },
	{ "a client that is revoked", "server", "crl.pem", "revoked", "ca.pem", NULL, false,
	  "ertificate", "revoked" },
	{ "a client that has expired", "server", NULL, "expired", "ca.pem", NULL, false,
	  "ertificate", "expired" },
};

static bool server_said(const char *words)
{
	for (int i = 0; i < 300 && !rig.broke; i++)
		usleep(10000);
	return rig.broke && rig_said(&rig, words);
}

static void test_refused(void)
{
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		struct tls_credentials *s = load(refused[i].server, "ca.pem",
						 refused[i].server_crl);
		struct tls_credentials *c = load(refused[i].client, refused[i].client_ca,
						 refused[i].client_crl);
		struct source *source = NULL;
		int r;

		CU_ASSERT_FATAL(s && c && serve_with(s));
		r = connect_with(c, refused[i].any_name, &source);
		CU_ASSERT_EQUAL(r, -EPROTO);
		if (!r)
			source->ops->free(source);
		if ((refused[i].client_words && !strstr(why.words, refused[i].client_words)) ||
		    (refused[i].server_words && !server_said(refused[i].server_words))) {
			CU_FAIL("refused");
			printf("%s: %s; %s\n", refused[i].what, why.words, rig.words);
		}
		rig_stop(&rig);
		CU_ASSERT_EQUAL(rig.totals.pages, 0);
		rig_end(&rig);
		tls_unload(s);
		tls_unload(c);
	}
}

static void test_any_name(void)
{
	struct tls_credentials *s = load("elsewhere", "ca.pem", NULL);
	struct tls_credentials *c = load("client", "ca.pem", NULL);
	struct source *source;

	CU_ASSERT_FATAL(s && c && serve_with(s));
	CU_ASSERT_EQUAL_FATAL(connect_with(c, true, &source), 0);
	CU_ASSERT(fill(source, 100));
	source->ops->free(source);
	rig_stop(&rig);
	rig_end(&rig);
	tls_unload(s);
	tls_unload(c);
}

/* One end with TLS, the other one without. */
static void test_one_sided(void)
{
	struct tls_credentials *s = load("server", "ca.pem", NULL);
	struct tls_credentials *c = load("client", "ca.pem", NULL);
	const struct wire_head h = {
		.cmd = WIRE_GET, .npages = 1, .vaddr = RIG_BASE, .dst = RIG_PID,
	};
	struct source *source;
	uint8_t buf[4096];
	ssize_t n;
	int fd;

	CU_ASSERT_FATAL(s && c && serve_with(s));
	fd = rig_connect(rig.port);
	CU_ASSERT(rig_say(fd, WIRE_NARROW, &h));
	/* An alert at most, no page. */
	n = recv(fd, buf, sizeof(buf), MSG_WAITALL);
	CU_ASSERT(n < (ssize_t)sizeof(buf));
	close(fd);
	CU_ASSERT(server_said("TLS: "));
	rig_stop(&rig);
	rig_end(&rig);

	CU_ASSERT_FATAL(serve_with(NULL));
	CU_ASSERT(connect_with(c, false, &source) < 0);
	CU_ASSERT(why.words[0]);
	rig_stop(&rig);
	rig_end(&rig);
	tls_unload(s);
	tls_unload(c);
}

static void test_files(void)
{
	struct tls_files f = {
		.cacert = in_dir("none.pem"), .cert = in_dir("server.pem"),
		.key = in_dir("server.key"),
	};
	struct tls_credentials *c;

	CU_ASSERT_EQUAL(tls_load(&f, &c, &problem), -ENOENT);
	CU_ASSERT(strstr(problem.words, "none.pem: No such file or directory") != NULL);
	f.cacert = in_dir("server.key");
	CU_ASSERT_EQUAL(tls_load(&f, &c, &problem), -EBADMSG);
	CU_ASSERT(strstr(problem.words, "server.key: ") != NULL);
	f.cacert = in_dir("ca.pem");
	f.key = in_dir("client.key");
	CU_ASSERT_EQUAL(tls_load(&f, &c, &problem), -EBADMSG);
	f.key = in_dir("server.key");
	f.cacrl = in_dir("ca.pem");
	CU_ASSERT_EQUAL(tls_load(&f, &c, &problem), -EBADMSG);
}

static const struct suite_test tests[] = {
	{ "every page", test_pages },
	{ "a server that was restarted", test_restarted },
	{ "who is not let in", test_refused },
	{ "any name", test_any_name },
	{ "one end without TLS", test_one_sided },
	{ "files that are not there, or something else", test_files },
};

static void remove_dir(void)
{
	DIR *d = opendir(dir);

	for (struct dirent *e; d && (e = readdir(d));)
		unlinkat(dirfd(d), e->d_name, 0);
	if (d)
		closedir(d);
	rmdir(dir);
}

int main(void)
{
	const char *tmp = getenv("TMPDIR");
	int r;

	snprintf(dir, sizeof(dir), "%s/certs.XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(dir) || !certs_make(dir)) {
		printf("no certificates in %s\n0 passed, 1 failed\n", dir);
		return 1;
	}
	r = suite_run("tls", tests, sizeof(tests) / sizeof(tests[0]));
	remove_dir();
	return r;
}
