#!/bin/sh
# SPDX-License-Identifier: MIT
#
# sanitize-live: suites of live processes by a program that watches itself.
#
#	O=build/asan sh tests/sanitize-live.sh PATTERN...
#
# A report is a failure, also that of a process whose end no case minds: they are collected.
set -u

cd "$(dirname "$0")/.." || exit 1
: "${O:?}"
mkdir -p "$O/reports" || exit 1
# `make deps` has put one aside for all builds.
[ -x "$O/criu/criu" ] || export CRIU="${CRIU:-$(cd "$O/.." && pwd)/criu/criu}"
reports=$(cd "$O/reports" && pwd)
rm -f "$reports"/*
chmod 777 "$reports"

# Leaks are looked for by ptrace(2), which a thread that gave up its rights may not.
all="log_path=$reports/report:abort_on_error=1"
# Some pagers run with a library that was preloaded, before the sanitizer's.
export ASAN_OPTIONS="$all:detect_leaks=0:verify_asan_link_order=0" UBSAN_OPTIONS="$all:print_stacktrace=1"
export TSAN_OPTIONS="$all:halt_on_error=1:print_suppressions=0:suppressions=$PWD/tests/tsan.supp"

# A program with a shadow of its memory takes several times as much.
export ROOM=8
sh tests/run "$@"
status=$?
for r in "$reports"/*; do
	[ -e "$r" ] || break
	echo
	head -n 40 "$r"
	status=1
done
exit $status
