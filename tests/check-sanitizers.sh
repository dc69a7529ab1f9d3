#!/bin/sh
# SPDX-License-Identifier: MIT
#
# check-sanitizers: the unit suites again, watched by ASan and UBSan; those of rooms with
# threads by TSan.  A finding ends the program, so that it fails.
# limit: 1200
set -u

cd "$(dirname "$0")/.." || exit 1
: "${O:=build}" "${MAKE:=make}"
passed=0 failed=0

# suites KIND SANITIZERS SUITES...
suites() {
	kind=$1 sanitizers=$2
	shift 2
	programs=
	for s; do programs="$programs $O/$kind/tests/unit/$s"; done
	# shellcheck disable=SC2086
	if ! $MAKE -s -j"$(nproc)" O="$O/$kind" SAN="$sanitizers" CFLAGS='-O1 -g' $programs \
		>"$O/check/$kind-build.log" 2>&1; then
		failed=$((failed + 1))
		echo "FAIL  $kind does not build"
		tail -n 10 "$O/check/$kind-build.log"
		return
	fi
	for s; do
		log=$O/check/$kind-$s.log
		ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1:allocator_may_return_null=1 \
		UBSAN_OPTIONS=print_stacktrace=1 TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1 \
			timeout -k 5 120 "$O/$kind/tests/unit/$s" >"$log" 2>&1 </dev/null
		status=$?
		if [ "$status" = 0 ] && tail -n 1 "$log" | grep -q '^[1-9][0-9]* passed, 0 failed'; then
			passed=$((passed + 1))
			echo "ok    $kind $s"
		else
			failed=$((failed + 1))
			echo "FAIL  $kind $s: exit status $status"
			grep -m 1 -A 12 -E 'ERROR|WARNING|runtime error' "$log" || tail -n 12 "$log"
		fi
	done
}

mkdir -p "$O/check"
all=
for f in tests/unit/test-*.c; do
	all="$all $(basename "$f" .c)"
done
# shellcheck disable=SC2086
suites asan address,undefined $all
suites tsan thread test-queue test-writer test-writer-ends test-gate test-page-server test-tls \
	test-source-net
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
