/* SPDX-License-Identifier: MIT */
/* Failure: words for what went wrong, put into the caller's struct. */

#include "failure.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const phases[PAGETAP_PHASE_NR] = {
	[PAGETAP_PHASE_NONE] = "none",
	[PAGETAP_PHASE_LOOK] = "look",
	[PAGETAP_PHASE_FORK] = "fork",
	[PAGETAP_PHASE_SEIZE] = "seize",
	[PAGETAP_PHASE_IDENTITY] = "identity",
	[PAGETAP_PHASE_STOP] = "stop",
	[PAGETAP_PHASE_SAVE] = "save",
	[PAGETAP_PHASE_SCRATCH] = "scratch",
	[PAGETAP_PHASE_SOCKET] = "socket",
	[PAGETAP_PHASE_GRAB] = "grab",
	[PAGETAP_PHASE_LEND] = "lend",
	[PAGETAP_PHASE_OPEN] = "open",
	[PAGETAP_PHASE_RETURN] = "return",
	[PAGETAP_PHASE_CLOSE] = "close",
	[PAGETAP_PHASE_RESTORE] = "restore",
	[PAGETAP_PHASE_DETACH] = "detach",
	[PAGETAP_PHASE_SWEEP] = "sweep",
	[PAGETAP_PHASE_REPORT] = "report",
};

/* Exit statuses as in pagetap(1). */
static const struct {
	const char *name;
	int error;
	int status;
} reasons[PAGETAP_REASON_NR] = {
	[PAGETAP_REASON_NONE] = { "none", EIO, 1 },
	[PAGETAP_REASON_NO_PROCESS] = { "no-process", ESRCH, 4 },
	[PAGETAP_REASON_ZOMBIE] = { "zombie", ESRCH, 4 },
	[PAGETAP_REASON_EXITED] = { "exited", ESRCH, 4 },
	[PAGETAP_REASON_KERNEL_THREAD] = { "kernel-thread", EINVAL, 5 },
	[PAGETAP_REASON_THREAD_ID] = { "thread-id", EINVAL, 4 },
	[PAGETAP_REASON_SELF] = { "self", EINVAL, 5 },
	[PAGETAP_REASON_TRACED] = { "traced", EBUSY, 3 },
	[PAGETAP_REASON_OTHER_USER] = { "other-user", EPERM, 3 },
	[PAGETAP_REASON_YAMA] = { "yama", EPERM, 3 },
	[PAGETAP_REASON_NO_CAPABILITY] = { "no-capability", EPERM, 3 },
	[PAGETAP_REASON_NOT_DUMPABLE] = { "not-dumpable", EPERM, 3 },
	[PAGETAP_REASON_SECCOMP] = { "seccomp", EPERM, 3 },
	[PAGETAP_REASON_WORD_SIZE] = { "word-size", ENOTSUP, 5 },
	[PAGETAP_REASON_MONITORED] = { "monitored", EBUSY, 5 },
	[PAGETAP_REASON_VFORK] = { "vfork", ETIMEDOUT, 1 },
	[PAGETAP_REASON_STUCK] = { "stuck", ETIMEDOUT, 1 },
	[PAGETAP_REASON_RECYCLED] = { "recycled", ESRCH, 4 },
	[PAGETAP_REASON_NO_SYSCALL_INSN] = { "no-syscall-insn", ENOTSUP, 5 },
	[PAGETAP_REASON_NO_UFFD] = { "no-uffd", ENOSYS, 5 },
	[PAGETAP_REASON_UFFD_FORBIDDEN] = { "uffd-forbidden", EPERM, 3 },
	[PAGETAP_REASON_FD_LIMIT] = { "fd-limit", EMFILE, 1 },
	[PAGETAP_REASON_PROC] = { "proc", ENOENT, 3 },
};

const char *pagetap_phase_name(unsigned int phase)
{
	return phase < PAGETAP_PHASE_NR ? phases[phase] : NULL;
}

const char *pagetap_reason_name(unsigned int reason)
{
	return reason < PAGETAP_REASON_NR ? reasons[reason].name : NULL;
}

int pagetap_failure_status(const struct pagetap_failure *f)
{
	if ((unsigned int)f->reason >= PAGETAP_REASON_NR)
		return 1;
	return reasons[f->reason].status;
}

void failure_clear(struct pagetap_failure *f)
{
	memset(f, 0, sizeof(*f));
}

static int fill(struct pagetap_failure *f, enum pagetap_phase phase, enum pagetap_reason reason,
		int error, const char *format, va_list ap)
{
	f->error = error ? error : reasons[reason].error;
	f->phase = phase;
	f->reason = reason;
	f->hint[0] = '\0';
	vsnprintf(f->text, sizeof(f->text), format, ap);
	return -f->error;
}

int failure_set(struct pagetap_failure *f, enum pagetap_phase phase, enum pagetap_reason reason,
		int error, const char *format, ...)
{
	va_list ap;

	if (f->error)
		return -f->error;
	va_start(ap, format);
	fill(f, phase, reason, error, format, ap);
	va_end(ap);
	return -f->error;
}

void failure_hint(struct pagetap_failure *f, const char *format, ...)
{
	va_list ap;

	if (f->hint[0])
		return;
	va_start(ap, format);
	vsnprintf(f->hint, sizeof(f->hint), format, ap);
	va_end(ap);
}

int failure_damage(struct pagetap_failure *f, enum pagetap_phase phase, int error,
		   const char *format, ...)
{
	va_list ap;

	if (f->state == PAGETAP_TARGET_DAMAGED)
		return -f->error;
	va_start(ap, format);
	fill(f, phase, PAGETAP_REASON_NONE, error ? error : EIO, format, ap);
	va_end(ap);
	f->state = PAGETAP_TARGET_DAMAGED;
	return -f->error;
}

void failure_conclude(struct pagetap_failure *f, enum pagetap_target_state state)
{
	size_t n = strlen(f->text);

	if (f->state == PAGETAP_TARGET_DAMAGED)
		return;
	f->state = state;
	if (state == PAGETAP_TARGET_RESTORED)
		snprintf(f->text + n, sizeof(f->text) - n,
			 ". Its registers and memory were restored; it runs on");
}

void failure_escape(char *to, size_t size, const char *from)
{
	size_t n = 0;

	for (; *from && n + 5 <= size; from++) {
		unsigned char c = (unsigned char)*from;

		if (c >= 0x20 && c < 0x7f && c != '\\') {
			to[n++] = (char)c;
			continue;
		}
		to[n++] = '\\';
		to[n++] = (char)('0' + (c >> 6));
		to[n++] = (char)('0' + ((c >> 3) & 7));
		to[n++] = (char)('0' + (c & 7));
	}
	to[n] = '\0';
}
