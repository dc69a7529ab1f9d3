#!/bin/bash
# SPDX-License-Identifier: MIT
#
# http: checkpoints behind a web server, restored lazily by range requests.
# limit: 200
. "$(dirname "$0")/lib.sh"
. "$SRC/tests/restore/rig.sh"
. "$SRC/tests/restore/web.sh"
needs_criu
needs_nginx

# A restore from there: ranges, and nothing else of pages.
web_restored() {
	restored "$@" && [ "$(sent 'GET.*pages-.*img')" -gt 0 ] && ! grep -q '^200 GET.*pages-' "$W/web/access.log"
}
case_every_page() { checkpoint plain 32 && start_web && at_web && web_restored check; }
case_forked_children() { checkpoint children 32 && start_web && at_web && web_restored mix; }
case_https() {
	checkpoint plain 32 && start_web && at_web https && web_restored check --cacert "$W/web/ca.pem" || return
	grep -q 'HTTP/2.0$' "$W/web/access.log" || wrong 'not HTTP/2'
}
run_cases "$@"
