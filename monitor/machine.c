/* SPDX-License-Identifier: MIT */
/* Machine: kernel and privileges.  See machine.h. */

#include "machine.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

#include "base/cleanup.h"
#include "caps.h"
#include "compat/sys.h"
#include "compat/uffd.h"
#include "exit.h"
#include "feature-names.h"
#include "sandbox.h"
#include "watch/procwatch.h"
#include "watch/session.h"

#define YAMA "/proc/sys/kernel/yama/ptrace_scope"
#define SYSCTL "/proc/sys/vm/unprivileged_userfaultfd"
#define DEVICE "/dev/userfaultfd"

static void find(struct machine_finding *f, enum machine_state state, int status, const char *fmt,
		 ...) __attribute__((format(printf, 4, 5)));

static void find(struct machine_finding *f, enum machine_state state, int status, const char *fmt,
		 ...)
{
	va_list ap;

	f->state = state;
	f->status = status;
	va_start(ap, fmt);
	vsnprintf(f->text, sizeof(f->text), fmt, ap);
	va_end(ap);
}

/* A sysctl of one digit; -1 if there is none. */
static int read_digit(const char *path)
{
	_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	char c;

	return fd >= 0 && read(fd, &c, 1) == 1 && c >= '0' && c <= '9' ? c - '0' : -1;
}

static void add(char *buf, size_t cap, bool have, const char *word)
{
	size_t at = strlen(buf);

	if (have)
		snprintf(buf + at, cap - at, "%s%s", at ? ", " : "", word);
}

static void probe_uffd(struct machine_finding *f, uint64_t *ret_features)
{
	const uint64_t events = UFFD_FEATURE_EVENT_FORK | UFFD_FEATURE_EVENT_REMAP |
				UFFD_FEATURE_EVENT_REMOVE | UFFD_FEATURE_EVENT_UNMAP;
	int r = session_probe_features(ret_features);
	uint64_t b = *ret_features;
	char have[160] = "", lack[160] = "";

	if (r == -ENOSYS) {
		find(f, MACHINE_NO, EXIT_UNSUPPORTED, "not in this kernel (CONFIG_USERFAULTFD)");
		return;
	}
	if (r < 0) {
		find(f, MACHINE_NO, EXIT_NOT_PERMITTED, "cannot be opened: %s%s", strerror(-r),
		     prctl(PR_GET_SECCOMP) > 0 ? " (a seccomp filter is on pagetap: a container?)" :
						  "");
		return;
	}
	add(have, sizeof(have), true, "missing");
	add(have, sizeof(have), b & UFFD_FEATURE_PAGEFAULT_FLAG_WP, "wp");
	add(have, sizeof(have), b & UFFD_FEATURE_MINOR_SHMEM, "minor");
	add(have, sizeof(have), b & UFFD_FEATURE_THREAD_ID, "thread-id");
	add(have, sizeof(have), b & UFFD_FEATURE_EXACT_ADDRESS, "exact-address");
	add(have, sizeof(have), (b & events) == events, "fork/remap/remove/unmap events");
	for (const struct feature *n = feature_table; n->name; n++)
		add(lack, sizeof(lack), n->used && !(b & n->bit), n->name);
	if (!(b & UFFD_FEATURE_PAGEFAULT_FLAG_WP))
		find(f, MACHINE_NO, EXIT_UNSUPPORTED,
		     "%s; no write-protect faults (Linux 5.7): only --mode missing works", have);
	else if (*lack)
		find(f, MACHINE_WARN, EXIT_OK, "%s; without %s", have, lack);
	else
		find(f, MACHINE_OK, EXIT_OK, "%s", have);
}

static void probe_ptrace(struct machine_finding *f)
{
	bool cap = caps_hold(CAPS_SYS_PTRACE);
	int scope = read_digit(YAMA);
	char yama[64] = "Yama not present";

	if (scope >= 0)
		snprintf(yama, sizeof(yama), "kernel.yama.ptrace_scope is %d", scope);
	if (scope >= 3)
		find(f, MACHINE_NO, EXIT_NOT_PERMITTED,
		     "%s: no process may be traced until reboot", yama);
	else if (cap)
		find(f, MACHINE_OK, EXIT_OK, "%s; CAP_SYS_PTRACE held", yama);
	else if (scope == 2)
		find(f, MACHINE_NO, EXIT_NOT_PERMITTED, "%s and CAP_SYS_PTRACE is missing", yama);
	else if (scope == 1)
		find(f, MACHINE_WARN, EXIT_OK,
		     "%s and CAP_SYS_PTRACE is missing: only pagetap record -- COMMAND", yama);
	else
		find(f, MACHINE_WARN, EXIT_OK,
		     "%s; CAP_SYS_PTRACE is missing: only processes of your own", yama);
}

/* Without it, system calls of the target into an armed page would fail with EFAULT. */
static void probe_full_mode(struct machine_finding *f)
{
	_close_ int dev = open(DEVICE, O_RDWR | O_CLOEXEC);
	_close_ int fd = -1;
	int sysctl = read_digit(SYSCTL);

	if (dev >= 0) {
		find(f, MACHINE_OK, EXIT_OK, "via " DEVICE " (vm.unprivileged_userfaultfd=%d)",
		     sysctl);
		return;
	}
	fd = sys_userfaultfd(O_CLOEXEC | O_NONBLOCK);
	if (fd >= 0)
		find(f, MACHINE_OK, EXIT_OK, "via userfaultfd(2) (vm.unprivileged_userfaultfd=%d)",
		     sysctl);
	else
		find(f, MACHINE_NO, EXIT_NOT_PERMITTED,
		     "vm.unprivileged_userfaultfd is %d and " DEVICE " is not open to you",
		     sysctl);
}

/* Of a kernel that lets us open none nobody knows what it offers. */
static bool known(struct machine_finding *f, uint64_t features)
{
	if (!features)
		find(f, MACHINE_WARN, EXIT_OK, "not known without a userfaultfd");
	return features;
}

static void probe_follow(struct machine_finding *f, uint64_t features)
{
	if (!known(f, features))
		return;
	if (!(features & UFFD_FEATURE_EVENT_FORK))
		find(f, MACHINE_WARN, EXIT_OK, "not in this kernel (Linux 4.11): no -f");
	else if (!caps_hold(CAPS_SYS_PTRACE))
		find(f, MACHINE_WARN, EXIT_OK, "CAP_SYS_PTRACE is missing: no -f");
	else
		find(f, MACHINE_OK, EXIT_OK, "CAP_SYS_PTRACE held");
}

static void probe_async(struct machine_finding *f, uint64_t features)
{
	if (!known(f, features))
		return;
	if (session_can_async(features))
		find(f, MACHINE_OK, EXIT_OK, "no thread waits for an answer (--engine async)");
	else
		find(f, MACHINE_WARN, EXIT_OK,
		     "not in this kernel (Linux 6.7): only --engine sync");
}

static void probe_seccomp(struct machine_finding *f)
{
	if (prctl(PR_GET_SECCOMP) > 0)
		find(f, MACHINE_WARN, EXIT_OK,
		     "pagetap itself runs under seccomp: targets that do are refused");
	else if (!caps_hold(CAPS_SYS_ADMIN))
		find(f, MACHINE_WARN, EXIT_OK,
		     "CAP_SYS_ADMIN is missing: targets under seccomp are refused");
	else
		find(f, MACHINE_OK, EXIT_OK, "CAP_SYS_ADMIN held");
}

static void probe_events(struct machine_finding *f)
{
	struct procwatch *p;
	int r = procwatch_open(&p);

	if (r < 0) {
		find(f, MACHINE_WARN, EXIT_OK,
		     "no proc connector (%s); using pidfd: execs are told late", strerror(-r));
		return;
	}
	procwatch_close(p);
	find(f, MACHINE_OK, EXIT_OK, "proc connector");
}

static void probe_perf(struct machine_finding *f)
{
	int r = session_probe_witness();

	if (r < 0)
		find(f, MACHINE_WARN, EXIT_OK,
		     "%s (CAP_PERFMON): nobody is seen to write (--who), and new mappings are "
		     "found late", strerror(-r));
	else
		find(f, MACHINE_OK, EXIT_OK, "who writes (--who), and new mappings at once");
}

static void probe_sandbox(struct machine_finding *f)
{
	int r = sandbox_filter_probe();

	if (r < 0)
		find(f, MACHINE_WARN, EXIT_OK,
		     "no seccomp filter (%s): a running record gives up its capabilities only",
		     strerror(-r));
	else
		find(f, MACHINE_OK, EXIT_OK, "a running record gives up its capabilities, and "
		     "runs under a seccomp filter");
}

void machine_probe(struct machine_finding f[MACHINE_FINDINGS], uint64_t *ret_features)
{
	static const char *const names[MACHINE_FINDINGS] = {
		"userfaultfd", "attach by ptrace", "full-mode fd",
		"following forks", "seccomp targets", "process events", "own sandbox",
		"async engine", "perf events",
	};

	*ret_features = 0;
	for (unsigned int i = 0; i < MACHINE_FINDINGS; i++)
		f[i] = (struct machine_finding){ .name = names[i] };
	probe_uffd(&f[0], ret_features);
	probe_ptrace(&f[1]);
	probe_full_mode(&f[2]);
	probe_follow(&f[3], *ret_features);
	probe_seccomp(&f[4]);
	probe_events(&f[5]);
	probe_sandbox(&f[6]);
	probe_async(&f[7], *ret_features);
	probe_perf(&f[8]);
}
