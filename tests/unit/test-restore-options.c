/* SPDX-License-Identifier: MIT */
/* Restore options: what criu may not be given, however it is written. */

#include <stdint.h>

#include "restore-options.h"
#include "suite.h"

static const char *refused(char *a, char *b)
{
	char *const options[] = { a, b, NULL };
	const char *why = NULL, *r = restore_refused_option(options, &why);

	CU_ASSERT(!r == !why);
	return r;
}

static char *text(const char *s)
{
	return (char *)(uintptr_t)s;
}

static void test_refused(void)
{
	static const char *const all[] = {
		"-D", "-Dfolder", "-dD", "-W", "-dW", "-o", "-jo", "-S", "-dS",
		"--images-dir", "--images-dir=x", "--images", "--work-dir", "--log-file=x",
		"--log-f", "--lazy-pages", "--lazy", "--page-server", "--address", "--port=3",
		"--restore-sibling",
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		CU_ASSERT_PTR_NOT_NULL(refused(text(all[i]), NULL));
		CU_ASSERT_PTR_NOT_NULL(refused(text("-d"), text(all[i])));
	}
}

static void test_allowed(void)
{
	static const char *const all[] = {
		"-d", "-j", "-v4", "-vD", "-rDir", "-djl", "--shell-job", "--tcp-established",
		"--log-pid", "--link-remap", "--restore-detached", "--pidfile", "--inherit-fd",
		"--action-script", "--libdir", "folder", "-", "D", "--no-default-config",
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		CU_ASSERT_PTR_NULL(refused(text(all[i]), NULL));
	/* Behind a second -- a command of --exec-cmd has its own. */
	CU_ASSERT_PTR_NULL(refused(text("--"), text("-D")));
	CU_ASSERT_PTR_NULL(refused(NULL, NULL));
}

static const struct suite_test tests[] = {
	{ "ours to say", test_refused },
	{ "criu's", test_allowed },
};

SUITE_MAIN("restore-options", tests)
