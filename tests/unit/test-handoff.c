/* SPDX-License-Identifier: MIT */
/* Handoff: who may connect, what is believed, and what comes in pieces. */

#include "restore/handoff.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "suite.h"
#include "watch/uffd.h"

static char folder[64];
static struct handoff_problem why;

static void make_folder(void)
{
	snprintf(folder, sizeof(folder), "/tmp/pagetap-handoff.XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(folder));
}

static void drop_folder(int listener)
{
	struct stat st;
	char path[100];

	if (listener >= 0)
		close(listener);
	handoff_unlink(folder);
	snprintf(path, sizeof(path), "%s/" HANDOFF_SOCKET, folder);
	CU_ASSERT_EQUAL(stat(path, &st), -1);
	CU_ASSERT_EQUAL(rmdir(folder), 0);
}

/* As criu restore does. */
static int connect_to(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/" HANDOFF_SOCKET, folder);
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		close_fd(&fd);
	return fd;
}

static void test_folders(void)
{
	struct stat st;
	char path[100];
	int fd, again;

	make_folder();
	chmod(folder, 0777);
	CU_ASSERT_EQUAL(handoff_listen(folder, &why), -EPERM);
	CU_ASSERT_PTR_NOT_NULL(strstr(why.text, "777"));
	chmod(folder, 01777);
	fd = handoff_listen(folder, &why);
	CU_ASSERT_FATAL(fd >= 0);
	snprintf(path, sizeof(path), "%s/" HANDOFF_SOCKET, folder);
	CU_ASSERT_EQUAL(stat(path, &st), 0);
	CU_ASSERT_EQUAL(st.st_mode, S_IFSOCK | 0600);
	/* One that was left behind is replaced; a file is not. */
	again = handoff_listen(folder, &why);
	CU_ASSERT(again >= 0);
	close(again);
	handoff_unlink(folder);
	close(open(path, O_CREAT | O_WRONLY, 0600));
	CU_ASSERT_EQUAL(handoff_listen(folder, &why), -EADDRINUSE);
	unlink(path);
	drop_folder(fd);
	CU_ASSERT_EQUAL(handoff_listen("/nonexistent", &why), -ENOENT);
	if (!geteuid()) {
		make_folder();
		CU_ASSERT_EQUAL_FATAL(chown(folder, 65534, 65534), 0);
		CU_ASSERT_EQUAL(handoff_listen(folder, &why), -EPERM);
		drop_folder(-1);
	}
}

static void send_fds(int fd, const int *fds, size_t n)
{
	char buf[CMSG_SPACE(8 * sizeof(int))] = { 0 };
	struct iovec iov = { .iov_base = "", .iov_len = 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *c;

	if (n) {
		msg.msg_control = buf;
		msg.msg_controllen = CMSG_SPACE(n * sizeof(int));
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(n * sizeof(int));
		memcpy(CMSG_DATA(c), fds, n * sizeof(int));
	}
	CU_ASSERT_EQUAL(sendmsg(fd, &msg, 0), 1);
}

static void send_word(int fd, int32_t word)
{
	CU_ASSERT_EQUAL(send(fd, &word, sizeof(word), 0), sizeof(word));
}

static int listener;

static void begin(int *ret_client, struct handoff_peer *ret)
{
	make_folder();
	listener = handoff_listen(folder, &why);
	CU_ASSERT_FATAL(listener >= 0);
	CU_ASSERT_EQUAL(handoff_accept(listener, ret, &why), -EAGAIN);
	*ret_client = connect_to();
	CU_ASSERT_FATAL(*ret_client >= 0);
	CU_ASSERT_EQUAL_FATAL(handoff_accept(listener, ret, &why), 0);
	CU_ASSERT_EQUAL(ret->pid, getpid());
}

static void end(int client, struct handoff_peer *p)
{
	close(client);
	handoff_close(p);
	drop_folder(listener);
}

static void test_all_of_it(void)
{
	struct handoff_item item, again;
	struct handoff_peer p;
	int client, uffd = uffd_open_own();
	int32_t pid = 4242;

	CU_ASSERT_FATAL(uffd >= 0);
	fcntl(uffd, F_SETFL, 0);
	begin(&client, &p);
	CU_ASSERT_EQUAL(handoff_read(&p, &item, &why), -EAGAIN);
	/* A word in two pieces, and the descriptor later. */
	CU_ASSERT_EQUAL(send(client, &pid, 3, 0), 3);
	CU_ASSERT_EQUAL(handoff_read(&p, &item, &why), -EAGAIN);
	CU_ASSERT_EQUAL(send(client, (char *)&pid + 3, 1, 0), 1);
	CU_ASSERT_EQUAL(handoff_read(&p, &item, &why), -EAGAIN);
	send_fds(client, &uffd, 1);
	send_word(client, -4243);
	send_word(client, 0x52535446);
	close(client);
	CU_ASSERT_EQUAL_FATAL(handoff_read(&p, &item, &why), 0);
	CU_ASSERT_EQUAL(item.kind, HANDOFF_TASK);
	CU_ASSERT_EQUAL(item.pid, 4242);
	CU_ASSERT_EQUAL(item.host_pid, getpid());
	/* Without O_NONBLOCK it could not be polled. */
	CU_ASSERT(fcntl(item.uffd, F_GETFL) & O_NONBLOCK);
	CU_ASSERT(fcntl(item.uffd, F_GETFD) & FD_CLOEXEC);
	/* Until it has been seen to it is the same one. */
	again = item;
	CU_ASSERT_EQUAL_FATAL(handoff_read(&p, &again, &why), 0);
	CU_ASSERT_EQUAL(again.kind, HANDOFF_TASK);
	CU_ASSERT_EQUAL(again.uffd, item.uffd);
	CU_ASSERT_EQUAL(again.host_pid, getpid());
	handoff_done(&p);
	close(item.uffd);
	CU_ASSERT_EQUAL_FATAL(handoff_read(&p, &item, &why), 0);
	CU_ASSERT_EQUAL(item.kind, HANDOFF_ZOMBIE);
	CU_ASSERT_EQUAL(item.pid, 4243);
	handoff_done(&p);
	CU_ASSERT_EQUAL_FATAL(handoff_read(&p, &item, &why), 0);
	CU_ASSERT_EQUAL(item.kind, HANDOFF_RESUME);
	handoff_done(&p);
	CU_ASSERT_EQUAL_FATAL(handoff_read(&p, &item, &why), 0);
	CU_ASSERT_EQUAL(item.kind, HANDOFF_END);
	close(uffd);
	end(-1, &p);
}

/* How many descriptors we hold. */
static unsigned int held(void)
{
	unsigned int n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void test_wrong_descriptors(void)
{
	static const struct {
		size_t n;
		bool uffd;
		const char *words;
	} cases[] = {
		{ 0, false, "no descriptor" },
		{ 1, false, "no userfaultfd" },
		{ 2, true, "more than one" },
		{ 8, true, "more than one" },
	};
	struct handoff_item item;
	struct handoff_peer p;
	int client, uffd = uffd_open_own(), fds[8], ends[2];

	CU_ASSERT_FATAL(uffd >= 0 && !pipe(ends));
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		unsigned int before;

		for (size_t k = 0; k < 8; k++)
			fds[k] = cases[i].uffd ? uffd : ends[0];
		begin(&client, &p);
		before = held();
		send_word(client, 1);
		send_fds(client, fds, cases[i].n);
		CU_ASSERT_EQUAL(handoff_read(&p, &item, &why), -EPROTO);
		CU_ASSERT_PTR_NOT_NULL(strstr(why.text, cases[i].words));
		CU_ASSERT_EQUAL(held(), before);
		end(client, &p);
	}
	close(uffd);
	close(ends[0]);
	close(ends[1]);
}

static void test_wrong_words(void)
{
	struct handoff_item item;
	struct handoff_peer p;
	int client;

	begin(&client, &p);
	send_word(client, 0);
	CU_ASSERT_EQUAL(handoff_read(&p, &item, &why), -EPROTO);
	end(client, &p);
	begin(&client, &p);
	send_word(client, INT32_MIN);
	CU_ASSERT_EQUAL(handoff_read(&p, &item, &why), -EPROTO);
	end(client, &p);
	/* It ends in the middle of a word, and of a process. */
	begin(&client, &p);
	CU_ASSERT_EQUAL(send(client, "ab", 2, 0), 2);
	close(client);
	CU_ASSERT_EQUAL(handoff_read(&p, &item, &why), -EAGAIN);
	CU_ASSERT_EQUAL(handoff_read(&p, &item, &why), -EPROTO);
	end(-1, &p);
	begin(&client, &p);
	send_word(client, 5);
	close(client);
	CU_ASSERT_EQUAL(handoff_read(&p, &item, &why), -EPROTO);
	end(-1, &p);
}

static const struct suite_test tests[] = {
	{ "folders that others write to", test_folders },
	{ "processes, a zombie, the last word", test_all_of_it },
	{ "no descriptor, several, another one", test_wrong_descriptors },
	{ "wrong words", test_wrong_words },
};

SUITE_MAIN("handoff", tests)
