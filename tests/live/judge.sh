#!/bin/bash
# SPDX-License-Identifier: MIT
#
# judge: traces held against the truth of their target, page by page; and faults that
# are planted into them, each of which the judge must find.
# limit: 400
. "$(dirname "$0")/lib.sh"

# judged SEEDS FIRST OPTIONS...: what run.sh says, in the log too.
judged() {
	local seeds=$1 first=$2
	shift 2
	TMPDIR=$D JUDGE_LIMIT=100 bash "$SRC/tests/judge/run.sh" --seeds "$seeds" --first "$first" "$@" \
		>"$D/judge.out" 2>&1
	local rc=$?
	sed 's/^/  /' "$D/judge.out"
	[ "$rc" = 0 ] || wrong "$(tail -n 1 "$D/judge.out")"
}

small=$O/tests/judge/small

case_writes_of_four_threads() { judged 2 1 --threads 4 --ops 1200; }
# Mappings come and go all the time, and little lives long enough to be covered.
case_changes_of_the_layout() { judged 1 11 --threads 4 --ops 400 --require 5 --ambiguous-max 10 -- --heavy; }
case_rearmed_all_the_time() { judged 1 21 --threads 3 --ops 5000 --rearm 2 --target "$small"; }
# One fault for up to 8 pages: each page of its block is spent, and no other.
case_blocks_of_pages() { judged 1 25 --threads 3 --ops 2500 --granularity 8 --require 10 --target "$small"; }
# Written faster than armed again: most writes are of pages that are spent.
case_rarely_rearmed() { judged 1 31 --threads 2 --ops 8000 --rearm 200 --require 10 --target "$small"; }
case_planted_faults_are_found() {
	judged 1 41 --threads 4 --ops 500 --plants 2 &&
		judged 1 42 --threads 4 --ops 4000 --plants 2 --target "$small"
}

# Nobody waits: which pages were written is told epoch by epoch, and by whom.
case_asynchronous() {
	judged 2 51 --engine async --threads 3 --ops 2500 --require 25 --ambiguous-max 10 --target "$small"
}
# Both engines: by each the pages that it has armed, and no others.
case_both() {
	judged 1 81 --engine both --threads 3 --ops 2500 --require 10 --target "$small" &&
		judged 1 81 --engine both --threads 3 --ops 1000 --require 10 --ambiguous-max 20 \
			--plants 1 -- --heavy &&
		judged 1 82 --engine both --epoch 5 --budget 3 --threads 3 --ops 2500 --require 0 \
			--ambiguous-max 50 --target "$small"
}
# All that a program can do to its memory, while nobody waits.
case_asynchronous_forks_and_all() {
	judged 2 71 --engine async --threads 4 --ops 1200 --require 10 --ambiguous-max 20
}
# Its watchdog lets the target go when it stands still, and everything begins anew.
case_stalls_while_nobody_waits() {
	mkdir "$D/truth"
	"$PAGETAP" record -q -f --engine async --epoch 20 --watchdog 0.2 --ring 2000000 -o "$D/t.ndjson" -- \
		"$O/tests/judge/random" --seed 81 --threads 3 --ops 2000 --truth "$D/truth" \
		>"$D/target.out" 2>"$D/record.err" </dev/null &
	RECORDER=$!
	started "$RECORDER"
	for _ in 1 2 3; do
		sleep 0.2
		kill -STOP "$RECORDER" 2>/dev/null || break
		sleep 0.5
		kill -CONT "$RECORDER"
	done
	end_of "$RECORDER" 60 || return
	[ "$STATUS" = 0 ] || wrong "status $STATUS" || return
	grep -q ' mismatches=0 ' "$D/target.out" || wrong "the target: $(tail -n 1 "$D/target.out")" || return
	grep -q '^{"ev":"gap".*"reason":"stall"' "$D/t.ndjson" || wrong "no stall is told" || return
	valid "$D/t.ndjson" || return
	timeout 60 "$O/tests/judge/judge" "$D/t.ndjson" "$D/truth" >"$D/judge.out" 2>&1
	sed 's/^/  /' "$D/judge.out" | tail -n 4
	grep -q '^errors: lost 0, late_arm 0, undeclared 0, phantom 0, .* trace 0$' "$D/judge.out" ||
		wrong "$(head -n 1 "$D/judge.out")"
}
case_witnessed_and_planted() {
	judged 3 61 --engine async --who --plants 2 --threads 3 --ops 6000 --require 25 \
		--ambiguous-max 10 --target "$small"
}

# One monitor, targets with ever new seeds.  Whether it grows is asked by `make soak`.
case_a_short_soak() {
	TMPDIR=$D bash "$SRC/tests/judge/soak.sh" 14 --every 2 --target "$small" --ops 2000 \
		--csv "$D/soak.csv" >"$D/soak.out" 2>&1
	local rc=$?
	sed 's/^/  /' "$D/soak.out"
	[ "$rc" = 0 ] || wrong "$(tail -n 1 "$D/soak.out")"
}

run_cases "$@"
