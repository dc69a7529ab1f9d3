#!/bin/bash
# SPDX-License-Identifier: MIT
#
# quiet: what a target is before, while and after it is watched.
# limit: 300
. "$(dirname "$0")/lib.sh"

# A target at rest: its threads wait, nothing of it changes by itself.
at_rest() {
	mkfifo "$D/gate"
	start_target "$D/target.out" "$T/million" -T 100 -g "$D/gate" -p 200 -t 5
	# The main thread is in open(2) of the gate, the others at a barrier.
	sleep 0.2
}

case_twenty_attaches_leave_no_difference() {
	at_rest || return
	picture "$TARGET" "$D/before"
	for _ in {1..20}; do
		record "$D/record.err" -p "$TARGET" -o /dev/null
		wait_attached "$TARGET" || return
		within 10 grep -q attached "$D/record.err" || wrong "it does not say so" || return
		stop_record "$RECORDER" || return
		untouched "$TARGET" || return
		picture "$TARGET" "$D/after"
		compare "$D/before" "$D/after" || return
	done
	timeout 5 sh -c "echo >'$D/gate'"
	within 20 grep -q '^touched' "$D/target.out" || wrong "it does not go on" || return
	target_ends "$TARGET" "$D/target.out"
}

case_no_tracer_while_recording() {
	at_rest || return
	picture "$TARGET" "$D/before"
	record "$D/record.err" -p "$TARGET" -o /dev/null
	wait_attached "$TARGET" || return
	within 10 grep -q attached "$D/record.err" || return
	sleep 0.2
	# Descriptors, mask, calls, tracer: even now as before; only the mappings tell.
	picture "$TARGET" "$D/while"
	compare "$D/before" "$D/while" || return
	stop_record "$RECORDER" || return
	timeout 5 sh -c "echo >'$D/gate'"
	within 20 grep -q '^touched' "$D/target.out" || wrong "it does not go on" || return
	target_ends "$TARGET" "$D/target.out"
}

case_a_stopped_target_stays_stopped() {
	start_target "$D/target.out" "$T/writer" -T 60 -c "$D/count" || return
	kill -STOP "$TARGET"
	within 5 grep -q '^State:.T' "/proc/$TARGET/status" || return
	record "$D/record.err" -p "$TARGET" -o "$D/t.ndjson"
	wait_attached "$TARGET" || return
	within 10 grep -q attached "$D/record.err" || return
	sleep 0.3
	grep -q '^State:.T' "/proc/$TARGET/status" || wrong "it runs: $(grep State "/proc/$TARGET/status")" || return
	local n
	n=$(counter "$D/count")
	sleep 0.3
	[ "$(counter "$D/count")" = "$n" ] || wrong "it works although stopped" || return
	kill -CONT "$TARGET"
	runs_on "$D/count" || return
	kill -STOP "$TARGET"
	within 5 grep -q '^State:.T' "/proc/$TARGET/status" || return
	stop_record "$RECORDER" || return
	grep -q '^State:.T' "/proc/$TARGET/status" || wrong "detaching let it run" || return
	kill -CONT "$TARGET"
	runs_on "$D/count" || return
	target_ends "$TARGET" "$D/target.out" || return
	valid "$D/t.ndjson"
}

# same_digest PROGRAM OPTIONS...: watched and unwatched end with the same words.
same_digest() {
	local program=$1 alone
	shift
	alone=$("$T/$program" -T 60 "$@" | tail -n 1)
	[[ "$alone" == ok* ]] || wrong "unwatched: $alone" || return
	mkfifo "$D/gate"
	start_target "$D/target.out" "$T/$program" -T 100 -g "$D/gate" "$@" || return
	# shellcheck disable=SC2086
	record "$D/record.err" -p "$TARGET" -o "$D/t.ndjson" $RECORD_OPTIONS
	wait_attached "$TARGET" || return
	within 10 grep -q attached "$D/record.err" || return
	timeout 5 sh -c "echo >'$D/gate'"
	end_of "$TARGET" 90 || return
	[ "$STATUS" = 0 ] || wrong "target exited with $STATUS: $(tail -n 1 "$D/target.out")" || return
	[ "$(tail -n 1 "$D/target.out")" = "$alone" ] ||
		wrong "watched: $(tail -n 1 "$D/target.out"), unwatched: $alone" || return
	record_ends "$D/t.ndjson" || return
	rm -f "$D/gate" "$D/t.ndjson"
}

case_writer_does_the_same_work() {
	RECORD_OPTIONS='' same_digest writer -n 1000000 -s 3 -t 4 || return
	RECORD_OPTIONS='--mode write,missing' same_digest writer -n 1000000 -s 4 -t 4 || return
	RECORD_OPTIONS='--mode write,missing,minor --rearm 50' same_digest writer -n 1000000 -s 5 -t 4
}

case_forker_does_the_same_work() {
	local seed
	for seed in {1..5}; do
		RECORD_OPTIONS='' same_digest forker -n 60 -s "$seed" || return
		RECORD_OPTIONS='-f' same_digest forker -n 60 -s "$seed" || return
		RECORD_OPTIONS='-f --mode write,missing --rearm 20' same_digest forker -n 60 -s "$seed" || return
	done
}

# A change of the layout races with the monitor in more ways than one run meets.
case_mapper_does_the_same_work() {
	local seed
	for seed in {1..8}; do
		RECORD_OPTIONS='' same_digest mapper -n 6000 -s "$seed" || return
		RECORD_OPTIONS='--mode write,missing' same_digest mapper -n 6000 -s "$seed" -t 3 || return
		RECORD_OPTIONS='--rearm 20' same_digest mapper -n 6000 -s "$seed" || return
		RECORD_OPTIONS='-f --mode write,missing,minor --rearm 5' same_digest mapper -n 6000 -s "$seed" || return
	done
}

run_cases "$@"
