#!/bin/bash
# SPDX-License-Identifier: MIT
#
# limits: more children than we may or can watch; two monitors on one target.
# limit: 200
. "$(dirname "$0")/lib.sh"

# told TRACE JQ-CONDITION: is there such a record?
told() { [ "$(count "$1" "$2")" -gt 0 ]; }

# Each child that is not followed has a number, and a gap of that number says why: "fork" of
# one that was let go before it could be told whose it was.  One that was followed first,
# until there was no descriptor for its files in /proc, has a gap, too.
gap_for_each_refusal() {
	local forks gaps limits
	jq -r 'select(.ev == "fork" and .followed == false and .child_mm > 0) | .child_mm' "$1" | sort >"$D/refused"
	jq -r 'select(.ev == "gap" and (.reason | IN("limit", "fork"))) | .mm' "$1" | sort -u >"$D/gaps"
	forks=$(wc -l <"$D/refused")
	gaps=$(comm -12 "$D/refused" "$D/gaps" | wc -l)
	limits=$(jq -r 'select(.ev == "gap" and .reason == "limit") | .mm' "$1" | sort -u | wc -l)
	say "$forks children were not followed, $((limits - gaps)) more for want of room"
	[ "$limits" -ge "$2" ] || wrong "only $limits gaps" || return
	[ "$forks" = "$gaps" ] || wrong "$forks forks refused, $gaps of them with a gap"
}

longest() { tail -n 1 "$1" | sed 's/.* fork=\([0-9]*\).*/\1/'; }

# A fork waits until its event is read, and reading it needs a descriptor.
case_few_descriptors() {
	start_target "$D/target.out" "$T/pulse" -x -T 60 -c "$D/count" || return
	(
		exec 3>&-
		ulimit -n 22
		exec "$PAGETAP" record --engine sync -p "$TARGET" -f -o "$D/t.ndjson" --rearm 20
	) >"$D/record.err.out" 2>"$D/record.err" </dev/null &
	RECORDER=$!
	started "$RECORDER"
	wait_attached "$TARGET" || return
	sleep 3
	runs_on "$D/count" || return
	stop_record "$RECORDER" || return
	untouched "$TARGET" || return
	target_ends "$TARGET" "$D/target.out" || return
	say "longest fork: $(longest "$D/target.out") ms"
	[ "$(longest "$D/target.out")" -lt 3000 ] || wrong "a fork was held up for $(longest "$D/target.out") ms" || return
	gap_for_each_refusal "$D/t.ndjson" 20 || return
	valid "$D/t.ndjson"
}

# lowest_free PID: the first number that it has had no descriptor of, in a while.
lowest_free() {
	local n lowest=9999
	for _ in {1..100}; do
		n=0
		while [ "$n" -lt "$lowest" ] && [ -e "/proc/$1/fd/$n" ]; do n=$((n + 1)); done
		lowest=$n
		sleep 0.005
	done
	echo "$lowest"
}

# Not one is left: what was kept in reserve lets the event be read all the same.
case_no_descriptor_left() {
	local n old free
	start_target "$D/target.out" "$T/pulse" -x -T 60 -c "$D/count" || return
	record "$D/record.err" -p "$TARGET" -f -o "$D/t.ndjson" --rearm 20
	wait_attached "$TARGET" || return
	within 10 grep -q attached "$D/record.err" || return
	old=$(prlimit --pid "$RECORDER" --nofile --noheadings --output HARD | tr -d ' ')
	free=$(lowest_free "$RECORDER")
	prlimit --pid "$RECORDER" --nofile="$free:$old"
	sleep 2
	runs_on "$D/count" || return
	n=$(counter "$D/count")
	sleep 1
	moved_on "$D/count" "$n" || wrong "the target stands still" || return
	prlimit --pid "$RECORDER" --nofile="$old:$old"
	sleep 1
	stop_record "$RECORDER" || return
	untouched "$TARGET" || return
	target_ends "$TARGET" "$D/target.out" || return
	say "longest fork: $(longest "$D/target.out") ms"
	[ "$(longest "$D/target.out")" -lt 3000 ] || wrong "a fork was held up for $(longest "$D/target.out") ms" || return
	told "$D/t.ndjson" '.ev == "gap" and .reason == "limit"' || wrong "no gap" || return
	# And when there are some again, children are followed again, and whose they are is known.
	jq -r 'select(.ev == "fork") | "\(.followed) \(.child)"' "$D/t.ndjson" | tail -n 50 >"$D/last"
	[ "$(grep -cE '^true [0-9]+$' "$D/last")" -ge 40 ] || wrong "children were not followed later" || return
	valid "$D/t.ndjson"
}

# Ten thousand children, of which one at a time may be watched beside their parent.
case_ten_thousand_children() {
	local peak=0 n rss=0
	mkfifo "$D/gate"
	start_target "$D/target.out" "$T/spawner" -n 10000 -p 2000 -T 100 -g "$D/gate" fork || return
	record "$D/record.err" -p "$TARGET" -f -o "$D/t.ndjson" --max-processes 2
	wait_attached "$TARGET" || return
	within 10 grep -q attached "$D/record.err" || return
	timeout 5 sh -c "echo >'$D/gate'" || return
	while ! ended "$TARGET"; do
		set -- "/proc/$RECORDER"/fd/*
		n=$#
		[ "$n" -le "$peak" ] || peak=$n
		[ ! -e "/proc/$RECORDER/status" ] || rss=$(awk '/^VmHWM/ { print $2 }' "/proc/$RECORDER/status")
		sleep 0.1
	done
	end_of "$TARGET" 10 || return
	[ "$STATUS" = 0 ] || wrong "target exited with $STATUS: $(tail -n 1 "$D/target.out")" || return
	end_of "$RECORDER" 30 || return
	say "at most $peak descriptors and $rss kB"
	[ "$peak" -le 100 ] || wrong "$peak descriptors for 2 processes" || return
	[ "$rss" -le 131072 ] || wrong "the monitor took $rss kB" || return
	gap_for_each_refusal "$D/t.ndjson" 100 || return
	valid "$D/t.ndjson"
}

# As many at once as there can be, each with children of its own: the monitor may stand
# still for want of a processor, and is let alone then; nobody is harmed.
case_fork_bomb() {
	mkfifo "$D/gate"
	start_target "$D/target.out" "$T/spawner" -n 3000 -T 100 -g "$D/gate" bomb || return
	record "$D/record.err" -p "$TARGET" -f -o "$D/t.ndjson" --max-processes 16
	wait_attached "$TARGET" || return
	within 10 grep -q attached "$D/record.err" || return
	timeout 5 sh -c "echo >'$D/gate'" || return
	end_of "$TARGET" 60 || return
	[ "$STATUS" = 0 ] || wrong "target exited with $STATUS: $(tail -n 1 "$D/target.out")" || return
	end_of "$RECORDER" 30 || return
	[ "$STATUS" = 0 ] || wrong "record exited with $STATUS" || return
	told "$D/t.ndjson" '.ev == "gap" and (.reason == "limit" or .reason == "stall")' ||
		wrong "all of 3000 were watched?" || return
	valid "$D/t.ndjson"
}

# ---- two monitors ----------------------------------------------------------------

# The second is refused before anything runs in the target; the first goes on.
case_second_monitor() {
	local first before
	start_target "$D/target.out" "$T/writer" -t 2 -T 60 -c "$D/count" || return
	record "$D/first.err" -p "$TARGET" -o "$D/t.ndjson" --rearm 20
	first=$RECORDER
	wait_attached "$TARGET" || return
	within 10 grep -q attached "$D/first.err" || return
	for _ in 1 2 3; do
		timeout 20 "$PAGETAP" record --engine sync -p "$TARGET" -o "$D/second.ndjson" -d 1 >"$D/second.out" 2>"$D/second.err"
		STATUS=$?
		[ "$STATUS" = 5 ] || wrong "the second exited with $STATUS" || return
		grep -q 'already.*userfaultfd' "$D/second.err" || wrong "it says: $(cat "$D/second.err")" || return
		[ ! -e "$D/second.ndjson" ] || wrong "it left a file" || return
	done
	runs_on "$D/count" || return
	# It grows faster than jq can read where processors are scarce.
	before=$(stat -c %s "$D/t.ndjson")
	sleep 0.5
	stop_record "$first" || return
	tail -c "+$before" "$D/t.ndjson" | grep -q '"ev":"fault"' || wrong "the first sees nothing any more" || return
	valid "$D/t.ndjson" || return
	# The first has gone, and so the other may.
	timeout 20 "$PAGETAP" record --engine sync -p "$TARGET" -o "$D/second.ndjson" -d 0.3 >"$D/second.out" 2>"$D/second.err" ||
		wrong "refused afterwards: $(cat "$D/second.err")" || return
	valid "$D/second.ndjson" || return
	untouched "$TARGET" || return
	target_ends "$TARGET" "$D/target.out"
}

# Two that begin at the same time: one of them may win, and none harms the target.
case_two_at_the_same_time() {
	local i a b both=0 one=0
	start_target "$D/target.out" "$T/pulse" -T 100 -c "$D/count" || return
	for i in {1..8}; do
		"$PAGETAP" record --engine sync -p "$TARGET" -o "$D/a.ndjson" -d 0.5 >"$D/a.out" 2>"$D/a.err" </dev/null &
		a=$!
		started "$a"
		"$PAGETAP" record --engine sync -p "$TARGET" -o "$D/b.ndjson" -d 0.5 >"$D/b.out" 2>"$D/b.err" </dev/null &
		b=$!
		started "$b"
		end_of "$a" 20 || return
		a=$STATUS
		end_of "$b" 20 || return
		b=$STATUS
		case $a:$b in
		0:[35] | [35]:0) one=$((one + 1)) ;;
		# One after the other; or each has seen the other.
		0:0 | [35]:[35]) both=$((both + 1)) ;;
		*) wrong "round $i: $a and $b: $(cat "$D/a.err" "$D/b.err")" || return ;;
		esac
		untouched "$TARGET" || wrong "round $i" || return
		runs_on "$D/count" || return
	done
	say "one of the two won in $one of 8 rounds, otherwise both or none"
	target_ends "$TARGET" "$D/target.out"
}

# A program with a userfaultfd of its own keeps it, and its ranges are told as such.
case_own_userfaultfd() {
	start_target "$D/target.out" "$T/pager" -T 60 -c "$D/count" || return
	record "$D/record.err" -p "$TARGET" -o "$D/t.ndjson" --rearm 20
	within 10 grep -q attached "$D/record.err" || wrong "not attached: $(cat "$D/record.err")" || return
	sleep 0.5
	# And a second monitor is not taken for the program's own.
	timeout 20 "$PAGETAP" record --engine sync -p "$TARGET" -o "$D/second.ndjson" -d 1 >"$D/second.out" 2>"$D/second.err"
	STATUS=$?
	[ "$STATUS" = 5 ] || wrong "the second exited with $STATUS: $(cat "$D/second.err")" || return
	runs_on "$D/count" || return
	sleep 1
	# A watchdog that lets the program go leaves it what is its own.
	kill -STOP "$RECORDER"
	sleep 1.5
	runs_on "$D/count" || return
	kill -CONT "$RECORDER"
	runs_on "$D/count" || return
	sleep 0.5
	stop_record "$RECORDER" || return
	runs_on "$D/count" || return
	target_ends "$TARGET" "$D/target.out" || return
	told "$D/t.ndjson" '.ev == "vma" and .why == "other-userfaultfd" and .npages == 64' ||
		wrong "its own range is not told" || return
	[ "$(count "$D/t.ndjson" '.ev == "fault"')" -ge 100 ] || wrong "hardly a write was seen" || return
	told "$D/t.ndjson" '.ev == "gap" and .reason == "stall"' || wrong "no stall" || return
	valid "$D/t.ndjson"
}

run_cases "$@"
