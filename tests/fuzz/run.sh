#!/bin/sh
# SPDX-License-Identifier: MIT
#
# fuzz: each fuzzer for SECONDS_EACH, from the seeds in tests/data and its own corpus.
#
# What it finds stays in $O/fuzz/NAME/; a finding worth keeping becomes a file in
# tests/fuzz/corpus/NAME/ and is run again ever after.
set -u

cd "$(dirname "$0")/../.." || exit 1
: "${O:=build}" "${SECONDS_EACH:=30}"
# What is undefined is a finding, too: the fuzzers are built to go on after it.
export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
passed=0 failed=0

for program in "$O"/tests/fuzz/fuzz-*; do
	case $program in *.d | *'*') continue ;; esac
	name=$(basename "$program")
	name=${name#fuzz-}
	found=$O/fuzz/$name
	mkdir -p "$found/corpus"
	set -- "$found/corpus"
	for seeds in "tests/data/$name" "tests/fuzz/corpus/$name"; do
		[ ! -d "$seeds" ] || set -- "$@" "$seeds"
	done
	if timeout -k 10 $((SECONDS_EACH + 60)) "$program" -max_total_time="$SECONDS_EACH" \
		-timeout=10 -rss_limit_mb=2048 -print_final_stats=1 -verbosity=1 \
		-artifact_prefix="$found/" "$@" >"$found/log" 2>&1; then
		passed=$((passed + 1))
		echo "ok    fuzz-$name: $(sed -n 's/^stat::number_of_executed_units: *//p' "$found/log") runs"
	else
		failed=$((failed + 1))
		echo "FAIL  fuzz-$name: see $found/log"
		tail -n 20 "$found/log"
	fi
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
