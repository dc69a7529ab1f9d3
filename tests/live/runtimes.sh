#!/bin/bash
# SPDX-License-Identifier: MIT
#
# runtimes: virtual machines and collectors move their memory while they are watched.
# limit: 400
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-load.sh"

WATCH=watched_twice

# selfchecking COMMAND...: a program of tests/programs/, started, watched as $WATCH says,
# ended.
selfchecking() {
	local p
	start_target "$D/target.out" "$@" "$D/count" "$D/stop" || return
	p=$TARGET
	"$WATCH" "$p" "$D/count" || return
	checks_itself "$p" "$D/target.out" "$D/stop"
}

# jvm OPTIONS...: compiled and run from its source; its crash reports lie in $D.
jvm() {
	selfchecking java -Xmx192m -XX:ErrorFile="$D/hs_err.out" -Xlog:disable -Xlog:all=error:stderr \
		"$@" "$P/Selfcheck.java" || return
	[ ! -e "$D/hs_err.out" ] || wrong "the machine crashed"
}

# Null pointers are found by SIGSEGV, safepoints by a page that is made unreadable.
case_java_g1() { jvm -XX:+UseG1GC; }
case_java_serial() { jvm -XX:+UseSerialGC; }
case_java_parallel() { jvm -XX:+UseParallelGC; }
# Its heap is one memfd, mapped at several addresses at a time.
case_java_z() { jvm -XX:+UseZGC; }

case_node() { selfchecking node "$P/selfcheck.js"; }

case_go() {
	GOCACHE=$D/cache GOPATH=$D/go GO111MODULE=off \
		timeout 100 go build -o "$D/selfcheck" "$P/selfcheck.go" >"$D/build.out" 2>&1 ||
		wrong "go build: $(tail -n 3 "$D/build.out")" || return
	selfchecking "$D/selfcheck"
}

case_python_threads_that_fork() { selfchecking /usr/bin/python3 "$P/selfcheck.py"; }

# ATTACHES=50 and more for those who have the time.
case_java_attached_often() { ATTACHES=${ATTACHES:-3} WATCH=attached_often jvm "-XX:+Use${COLLECTOR:-G1}GC"; }
case_node_attached_often() { WATCH=attached_often selfchecking node "$P/selfcheck.js"; }

run_cases "$@"
