/* SPDX-License-Identifier: MIT */
/* Facts: what /proc says about a process; the parsers, and the reading of it. */

#include "facts.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "procfile.h"

static void copy_name(char *to, const char *from, size_t n)
{
	if (n > FACTS_NAME - 1)
		n = FACTS_NAME - 1;
	memcpy(to, from, n);
	to[n] = '\0';
}

static bool next_field(const char **p, int64_t *ret)
{
	bool negative;
	uint64_t v;

	while (**p == ' ')
		(*p)++;
	negative = **p == '-';
	if (!procfile_number(*p + negative, 10, &v, p))
		return false;
	*ret = negative ? -(int64_t)v : (int64_t)v;
	return true;
}

int facts_parse_stat(const char *text, struct facts *ret)
{
	const char *open = strchr(text, '('), *close = strrchr(text, ')');
	int64_t field[42];
	const char *p;

	if (!open || !close || close < open || close[1] != ' ' || !close[2])
		return -EBADMSG;
	copy_name(ret->comm, open + 1, (size_t)(close - open - 1));
	ret->state = close[2];
	p = close + 3;
	field[26] = field[39] = field[41] = -1;
	for (int i = 4; i <= 41; i++)
		if (!next_field(&p, &field[i]) && i <= 22)
			return -EBADMSG;
	ret->ppid = (pid_t)field[4];
	ret->flags = (uint32_t)field[9];
	ret->threads = (uint32_t)field[20];
	ret->start_time = (uint64_t)field[22];
	ret->has_program = field[26] != 0;
	ret->cpu = (int)field[39];
	ret->policy = (int)field[41];
	return 0;
}

static bool status_number(const char *text, const char *key, unsigned int base, uint64_t *ret)
{
	const char *v = procfile_value(text, key);

	return v && procfile_number(v, base, ret, NULL);
}

static bool status_ids(const char *text, const char *key, uint32_t *ret)
{
	const char *v = procfile_value(text, key);
	int64_t n;

	for (int i = 0; i < 3; i++) {
		if (!v)
			return false;
		v += strspn(v, "\t ");
		if (!next_field(&v, &n))
			return false;
		ret[i] = (uint32_t)n;
	}
	return true;
}

/* The last of NSpid (4.1), which lists a number for each namespace from ours down. */
static pid_t status_own_pid(const char *text, pid_t tgid)
{
	const char *v = procfile_value(text, "NSpid");
	uint64_t n = (uint64_t)tgid;

	while (v && procfile_number(v, 10, &n, &v))
		v += strspn(v, "\t ");
	return (pid_t)n;
}

int facts_parse_status(const char *text, struct facts *ret)
{
	uint64_t tgid, tracer, seccomp = 0;
	const char *features, *end;

	if (!status_number(text, "Tgid", 10, &tgid) ||
	    !status_number(text, "TracerPid", 10, &tracer) ||
	    !status_ids(text, "Uid", ret->uid) || !status_ids(text, "Gid", ret->gid) ||
	    !status_number(text, "CapPrm", 16, &ret->cap_permitted) ||
	    !status_number(text, "CapEff", 16, &ret->cap_effective))
		return -EBADMSG;
	/* Opened before the task was released: it has no ids any more. */
	if (!tgid)
		return -ESRCH;
	status_number(text, "Seccomp", 10, &seccomp);
	ret->tgid = (pid_t)tgid;
	ret->own_pid = status_own_pid(text, ret->tgid);
	ret->tracer = (pid_t)tracer;
	ret->seccomp = (int)seccomp;
	features = procfile_value(text, "x86_Thread_features");
	if (features) {
		const char *shstk = strstr(features, "shstk");

		end = strchr(features, '\n');
		ret->shadow_stack = shstk && (!end || shstk < end);
	}
	return 0;
}

int facts_parse_elf(const void *head, size_t len, struct facts *ret)
{
	const unsigned char *b = head;

	if (len < 20 || memcmp(b, ELFMAG, SELFMAG))
		return -EBADMSG;
	ret->elf_class = b[EI_CLASS];
	ret->machine = b[EI_DATA] == ELFDATA2MSB ? (unsigned int)b[18] << 8 | b[19] :
						   (unsigned int)b[19] << 8 | b[18];
	return 0;
}

bool facts_monitored_line(const char *line)
{
	static const char key[] = "VmFlags: ";

	if (strncmp(line, key, sizeof(key) - 1))
		return false;
	/* um missing, uw write-protect, ui minor: Documentation/filesystems/proc.rst */
	for (const char *p = line + sizeof(key) - 1; p[0] && p[1]; p += p[2] ? 3 : 2)
		if (p[0] == 'u' && (p[1] == 'm' || p[1] == 'w' || p[1] == 'i'))
			return true;
	return false;
}

bool facts_stack_line(const char *line)
{
	const char *name = strrchr(line, ' ');

	return name && (!strcmp(name, " [stack]") || !strcmp(name, " [heap]"));
}

int facts_stat(int procfd, struct facts *ret)
{
	char buf[1024];
	ssize_t n = procfile_read(procfd, "stat", buf, sizeof(buf));

	if (n < 0)
		return (int)n;
	return facts_parse_stat(buf, ret);
}

static void read_comm(pid_t pid, char *ret)
{
	char path[32], buf[FACTS_NAME];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	n = procfile_read(AT_FDCWD, path, buf, sizeof(buf));
	if (n > 0)
		copy_name(ret, buf, strcspn(buf, "\n"));
}

static void read_elf(int procfd, struct facts *ret)
{
	_close_ int fd = openat(procfd, "exe", O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	unsigned char head[20];

	if (fd >= 0 && read(fd, head, sizeof(head)) == (ssize_t)sizeof(head))
		facts_parse_elf(head, sizeof(head), ret);
}

/* Without access to a process its /proc files belong to root: proc(5), "dumpable". */
static bool read_dumpable(int procfd, const struct facts *f)
{
	struct stat st;

	if (fstatat(procfd, "stat", &st, 0) < 0)
		return true;
	return st.st_uid == f->uid[1] || f->uid[1] == 0;
}

static bool read_same_user_ns(int procfd)
{
	char ours[64], theirs[64];

	if (procfile_link(AT_FDCWD, "/proc/self/ns/user", ours, sizeof(ours)) < 0 ||
	    procfile_link(procfd, "ns/user", theirs, sizeof(theirs)) < 0)
		return true;
	return !strcmp(ours, theirs);
}

static bool file_says(const char *root, const char *group, const char *file, const char *word)
{
	char path[512], text[256];

	snprintf(path, sizeof(path), "%s%s/%s", root, group, file);
	return procfile_read(AT_FDCWD, path, text, sizeof(text)) >= 0 && strstr(text, word);
}

/*
 * Version 2 says "frozen 1" in cgroup.events (its root lies deeper where both versions
 * are mounted); the freezer of version 1 has freezer.state.
 */
static void read_frozen(int procfd, struct facts *ret)
{
	char groups[2048];

	if (procfile_read(procfd, "cgroup", groups, sizeof(groups)) < 0)
		return;
	for (char *line = groups, *next; line && *line; line = next) {
		char *group = strchr(line, ':');
		bool v2 = !strncmp(line, "0::", 3), v1 = group && !strncmp(group, ":freezer:", 9);

		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		group = v2 ? line + 3 : v1 ? group + 9 : NULL;
		if (!group)
			continue;
		if ((v2 && (file_says("/sys/fs/cgroup", group, "cgroup.events", "frozen 1") ||
			    file_says("/sys/fs/cgroup/unified", group, "cgroup.events",
				      "frozen 1"))) ||
		    (v1 && file_says("/sys/fs/cgroup/freezer", group, "freezer.state", "FR")))
			snprintf(ret->frozen, sizeof(ret->frozen), "%.120s", group);
	}
}

static bool holds_uffd(int procfd)
{
	_close_ int dir = openat(procfd, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct procfile_numbers fds;
	char path[16], to[64];
	int fd;

	if (dir < 0)
		return false;
	procfile_numbers_init(&fds, dir);
	while (procfile_numbers_next(&fds, &fd) > 0) {
		snprintf(path, sizeof(path), "%d", fd);
		if (procfile_link(dir, path, to, sizeof(to)) >= 0 &&
		    !strcmp(to, "anon_inode:[userfaultfd]"))
			return true;
	}
	return false;
}

static void read_monitored(int procfd, struct facts *ret)
{
	_close_ int fd = openat(procfd, "smaps", O_RDONLY | O_CLOEXEC);
	struct procfile_lines lines;
	bool stack = false;
	char *line;

	if (fd < 0)
		return;
	procfile_lines_init(&lines, fd);
	while (procfile_lines_next(&lines, &line) > 0) {
		if (line[0] < 'A' || line[0] > 'Z') {
			stack = facts_stack_line(line);
		} else if (facts_monitored_line(line)) {
			ret->monitored++;
			ret->monitored_stack |= stack;
		}
	}
	ret->owns_uffd = ret->monitored && holds_uffd(procfd);
}

static bool find_live_thread(int procfd)
{
	_close_ int dir = openat(procfd, "task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct procfile_numbers tids;
	int tid;

	if (dir < 0)
		return false;
	procfile_numbers_init(&tids, dir);
	while (procfile_numbers_next(&tids, &tid) > 0) {
		struct facts t = { 0 };
		char path[32], buf[1024];

		snprintf(path, sizeof(path), "%d/stat", tid);
		if (procfile_read(dir, path, buf, sizeof(buf)) < 0 ||
		    facts_parse_stat(buf, &t) < 0)
			continue;
		if (t.state != 'Z' && t.state != 'X')
			return true;
	}
	return false;
}

int facts_gather(int procfd, pid_t pid, bool with_monitored, struct facts *ret)
{
	char status[4096];
	ssize_t n;
	int r;

	memset(ret, 0, sizeof(*ret));
	ret->pid = pid;
	r = facts_stat(procfd, ret);
	if (r < 0)
		return r;
	n = procfile_read(procfd, "status", status, sizeof(status));
	if (n < 0)
		return (int)n;
	r = facts_parse_status(status, ret);
	if (r < 0)
		return r;
	if (ret->state == 'Z')
		ret->live_thread = find_live_thread(procfd);
	ret->dumpable = read_dumpable(procfd, ret);
	ret->same_user_ns = read_same_user_ns(procfd);
	read_elf(procfd, ret);
	read_frozen(procfd, ret);
	if (ret->ppid)
		read_comm(ret->ppid, ret->parent_comm);
	if (ret->tracer)
		read_comm(ret->tracer, ret->tracer_comm);
	if (ret->tgid != pid)
		read_comm(ret->tgid, ret->leader_comm);
	else if (with_monitored)
		read_monitored(procfd, ret);
	return 0;
}
