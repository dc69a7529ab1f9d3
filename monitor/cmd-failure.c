/* SPDX-License-Identifier: MIT */
/* Cmd: the words for a process that cannot be attached to.  See cmd.h. */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

#include "cmd.h"
#include "exit.h"
#include "feature-names.h"
#include "watch/procinfo.h"
#include "watch/session.h"

const char *cmd_name_of(pid_t pid, struct cmd_name *ret)
{
	static struct procinfo p;	/* large: exe is a whole path */
	char comm[4 * sizeof(p.comm)];

	if (procinfo_of(pid, &p) < 0)
		snprintf(ret->s, sizeof(ret->s), "%d", (int)pid);
	else
		snprintf(ret->s, sizeof(ret->s), "%d (%s)", (int)pid,
			 log_escape(p.comm, p.comm_len, comm, sizeof(comm)));
	return ret->s;
}

int cmd_attach_failed(const struct cmd_name *who, const struct pagetap_failure *f)
{
	switch (f->state) {
	case PAGETAP_TARGET_UNTOUCHED:
		log_error("cannot attach to %s: %s", who->s, f->text);
		break;
	case PAGETAP_TARGET_GONE:
		/* The words are "it exited ...". */
		log_error("%s %s", who->s, strncmp(f->text, "it ", 3) ? f->text : f->text + 3);
		break;
	case PAGETAP_TARGET_RESTORED:
		log_error("could not set up %s: %s", who->s, f->text);
		break;
	case PAGETAP_TARGET_DAMAGED:
		log_error("setting up %s failed and could not be undone: %s", who->s, f->text);
		break;
	}
	if (f->hint[0])
		log_hint("%s", f->hint);
	return pagetap_failure_status(f);
}

int cmd_probe(uint32_t modes, uint64_t *ret_features)
{
	const char *lacking, *hint;
	int r = session_probe_features(ret_features);

	if (r == -ENOSYS) {
		log_error("this kernel has no userfaultfd (ENOSYS)");
		log_hint("needs CONFIG_USERFAULTFD=y; check: zgrep USERFAULTFD /proc/config.gz "
			 "/boot/config-$(uname -r)");
		return EXIT_UNSUPPORTED;
	}
	if (r < 0) {
		log_error("cannot open a userfaultfd: %s", strerror(-r));
		log_hint(prctl(PR_GET_SECCOMP) > 0 ?
			 "a seccomp filter is on pagetap itself, as in containers: run it on the "
			 "host, or with --cap-add SYS_PTRACE --security-opt seccomp=unconfined" :
			 "run as root, or see 'pagetap check'");
		return r == -EPERM || r == -EACCES ? EXIT_NOT_PERMITTED : EXIT_UNSUPPORTED;
	}
	lacking = features_lacking(*ret_features, modes, &hint);
	if (!lacking)
		return EXIT_OK;
	log_error("%s", lacking);
	log_hint("%s", hint);
	return EXIT_UNSUPPORTED;
}
