#!/bin/bash
# SPDX-License-Identifier: MIT
#
# kill: the monitor, or its injector, dies at any instant; the target must not mind.
# KILLS=1000 kills so often (100), PHASE_TIMES=20 repeats each phase so often (1);
# `make kills` does both.
# limit: 600
. "$(dirname "$0")/lib.sh"

: "${PAGETAP_FAULTS_PROGRAM:=$O/pagetap-faults}"
: "${KILLS:=100}" "${PHASE_TIMES:=1}"
RANDOM=${SEED:-$((10#$(date +%N) % 32768))}

unharmed() { untouched "$1" && runs_on "$2"; }

# at_phase PHASE ACTION: the monitor must really end by it, and the target go on.
at_phase() {
	local out=$D/target.out
	"$PAGETAP_FAULTS_PROGRAM" --version >/dev/null || wrong "no such program" || return
	PAGETAP_FAULT=$1:$2 "$PAGETAP_FAULTS_PROGRAM" record -p "$TARGET" -o /dev/null -d 0.2 \
		>"$D/record.err.out" 2>"$D/record.err" </dev/null &
	RECORDER=$!
	started "$RECORDER"
	end_of "$RECORDER" 20 || return
	# Root's own userfaultfd needs no device; the case below has a target that does.
	[ "$1" != lend ] || [ "$STATUS" != 0 ] || [ "${NEEDS_DEVICE:-}" ] || return 0
	case $2 in
	killparent)
		[ "$STATUS" = 137 ] || wrong "$1: the monitor was to be killed, exited with $STATUS" || return
		# Its injector may still be at work, for a moment.
		within 5 untouched_quietly || untouched "$TARGET" || return
		;;
	*)
		[ "$STATUS" != 0 ] || wrong "$1: a failure on purpose went unnoticed" || return
		# There is no injector yet at that phase: it is the monitor that dies.
		if [ "$1:$2" = fork:die ]; then
			[ "$STATUS" = 137 ] || wrong "$1: record ended with $STATUS" || return
		else
			[ "$STATUS" -lt 126 ] || wrong "$1: record ended with $STATUS" || return
			[ -s "$D/record.err" ] || wrong "$1: no words" || return
		fi
		;;
	esac
	unharmed "$TARGET" "$D/count" || wrong "after $2 at phase $1" || return
	! ended "$TARGET" || wrong "$1: $(tail -n 1 "$out")"
}

untouched_quietly() { untouched "$TARGET" >/dev/null; }

# Every phase, three targets under load.
phases() {
	local target phase i n=0
	for target in "writer -t 3" "forker" "mapper -t 2"; do
		# shellcheck disable=SC2086
		start_target "$D/target.out" "$T/"$target -T 200 -c "$D/count" || return
		for phase in $("$O/tests/live/phases"); do
			for ((i = 0; i < PHASE_TIMES; i++)); do
				at_phase "$phase" "$1" || wrong "target: $target" || return
				n=$((n + 1))
			done
		done
		target_ends "$TARGET" "$D/target.out" || return
	done
	chmod 711 "$W"
	chmod 777 "$D"
	# Whose home the tree lies in need not let everybody in.
	cp "$T/writer" "$D/writer" || return
	start_target "$D/target.out" setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all \
		"$D/writer" -T 60 -c "$D/count.nobody" || return
	ln -sf count.nobody "$D/count"
	for phase in lend open return close restore; do
		NEEDS_DEVICE=1 at_phase "$phase" "$1" || wrong "target of nobody" || return
		n=$((n + 1))
	done
	rm -f "$D/count"
	target_ends "$TARGET" "$D/target.out" || return
	say "$n times"
	[ "$n" -ge 30 ] || wrong "only $n phases"
}

case_monitor_killed_at_each_phase() { phases killparent; }
case_injector_dies_at_each_phase() { phases die; }
case_each_phase_fails() { phases fail; }

# wait_or_kill PID MS: SIGKILL after so many milliseconds.
kill_after() {
	sleep "$(printf '%d.%03d' $(($2 / 1000)) $(($2 % 1000)))"
	kill -KILL "$1" 2>/dev/null
	wait "$1" 2>/dev/null
}

# pauses FILE WHICH: what a writer -x says of itself: longest_us or over_100_ms.
pauses() { sed -n "s/^pauses.* $2=\([0-9]*\).*/\1/p" "$1"; }

# Whoever waited for the dead is free within 100 ms.  What else keeps a thread from
# running on a busy machine, it keeps from a thread that nobody watches, too.
short_pauses() {
	local longest control over
	longest=$(pauses "$1" longest_us) over=$(pauses "$1" over_100_ms)
	control=$(pauses "$2" longest_us)
	say "longest pause $((longest / 1000)) ms, $over over 100 ms; unmonitored" \
		"$((control / 1000)) ms, $(pauses "$2" over_100_ms) over 100 ms"
	[ "$longest" -lt 100000 ] || [ "$longest" -lt $((3 * control)) ] ||
		[ "$over" -le $((2 * $(pauses "$2" over_100_ms))) ] || wrong 'it was held too long'
}

case_hundred_random_kills() {
	local targets=("writer -t 3 -x" forker "mapper -t 2") i t ms pids=() control
	say "seed $RANDOM, $KILLS times"
	start_target "$D/control.out" "$T/writer" -t 3 -x -T 3000 || return
	control=$TARGET
	for t in 0 1 2; do
		# shellcheck disable=SC2086
		start_target "$D/target$t.out" "$T/"${targets[t]} -T 3000 -c "$D/count$t" || return
		pids[t]=$TARGET
	done
	for ((i = 0; i < KILLS; i++)); do
		t=$((RANDOM % 3))
		# Half of them within the attach, the others with faults in flight.
		ms=$((i % 2 ? RANDOM % 12 : RANDOM % 250))
		record "$D/record.err" -p "${pids[t]}" -f -o "$D/t.ndjson" \
			--mode "$( ((RANDOM % 2)) && echo write || echo write,missing)" --rearm $((RANDOM % 40 + 5))
		kill_after "$RECORDER" "$ms"
		TARGET=${pids[t]}
		# A killed monitor leaves an injector that finishes within a moment.
		within 5 untouched_quietly || untouched "$TARGET" || wrong "kill $i after $ms ms, ${targets[t]}" || return
		runs_on "$D/count$t" || wrong "kill $i after $ms ms, ${targets[t]}" || return
	done
	for t in 0 1 2; do
		target_ends "${pids[t]}" "$D/target$t.out" || wrong "${targets[t]}" || return
	done
	target_ends "$control" "$D/control.out" || return
	short_pauses "$D/target0.out" "$D/control.out" || return
	# And nothing of it hangs about: no child of a target is left.
	for t in 0 1 2; do
		[ -z "$(pgrep -P "${pids[t]}")" ] || wrong "children of ${targets[t]} are left" || return
	done
}

# What was written until the kill is whole to its last line.
case_trace_of_a_killed_monitor() {
	start_target "$D/target.out" "$T/writer" -T 60 -c "$D/count" || return
	record "$D/record.err" -p "$TARGET" -o "$D/t.ndjson" --rearm 20
	wait_attached "$TARGET" || return
	sleep 1
	kill_after "$RECORDER" 0
	untouched "$TARGET" || return
	target_ends "$TARGET" "$D/target.out" || return
	[ "$(wc -l <"$D/t.ndjson")" -gt 100 ] || wrong "hardly a line was written" || return
	[ "$(sed '$d' "$D/t.ndjson" | jq -c .ev | wc -l)" = "$(sed '$d' "$D/t.ndjson" | wc -l)" ] ||
		wrong "a line before the last one is no JSON" || return
	valid "$D/t.ndjson" --allow-cut
}

# The target that works at random, and sums up the same however it was watched.
case_random_target_killed() {
	local program=$O/tests/judge/random want seed=$RANDOM kills=0 until
	want=$(timeout 120 "$program" --seed "$seed" --ops 3000 --threads 2 2>"$D/plain.err" | tail -n 1)
	[[ $want == *" mismatches=0 "* ]] || wrong "unmonitored, seed $seed: $want" || return
	"$program" --seed "$seed" --ops 3000 --threads 2 --rate 2000 >"$D/target.out" 2>&1 &
	TARGET=$!
	started "$TARGET"
	within 5 grep -qx "${program##*/}" "/proc/$TARGET/comm" || return
	until=$((SECONDS + 120))
	while ! ended "$TARGET" && [ "$SECONDS" -lt "$until" ]; do
		record "$D/record.err" -p "$TARGET" -f -o "$D/t.ndjson" --rearm $((RANDOM % 40 + 5))
		kill_after "$RECORDER" $((RANDOM % 200))
		kills=$((kills + 1))
	done
	end_of "$TARGET" 60 || return
	say "seed $seed, $kills kills"
	[ "$STATUS" = 0 ] || wrong "exit status $STATUS: $(tail -n 2 "$D/target.out")" || return
	[ "$(tail -n 1 "$D/target.out")" = "$want" ] || wrong "$(tail -n 1 "$D/target.out"), not $want" || return
	[ "$kills" -ge 3 ] || wrong "only $kills kills"
}

# F03: with every thread parked at a fault, and some of them answered.  A monitor
# without a processor leaves them all waiting.
case_killed_with_faults_pending() {
	local i
	start_target "$D/target.out" "$T/writer" -t 8 -T 60 -c "$D/count" || return
	for i in {1..6}; do
		record "$D/record.err" -p "$TARGET" -o "$D/t.ndjson" --rearm 5 --watchdog 0
		wait_attached "$TARGET" || return
		stop_with_parked "$RECORDER" "$TARGET" 6 || wrong "hardly a thread waits ($i)" || return
		# Let it answer some, and no more.
		[ $((i % 2)) = 0 ] || { kill -CONT "$RECORDER"; sleep 0.003; }
		kill_after "$RECORDER" 0
		within 5 untouched_quietly || untouched "$TARGET" || return
		! parked "$TARGET" 1 || wrong "a thread still waits ($i)" || return
		runs_on "$D/count" || return
	done
	target_ends "$TARGET" "$D/target.out"
}

# stop_with_parked MONITOR PID N: at an instant when enough is armed for so many to wait.
stop_with_parked() {
	local i
	for i in {1..20}; do
		kill -STOP "$1"
		within 1 parked "$2" "$3" && return
		kill -CONT "$1"
		sleep 0.01
	done
	return 1
}

# parked PID N: so many of its threads wait at a fault.
parked() { [ "$(cat "/proc/$1"/task/*/wchan 2>/dev/null | grep -o handle_userfault | wc -l)" -ge "$2" ]; }

# F04: while forks, moves, unmappings and discards wait to be told of.
case_killed_while_the_layout_changes() {
	local target i
	for target in forker "mapper -t 4"; do
		# shellcheck disable=SC2086
		start_target "$D/target.out" "$T/"$target -T 100 -c "$D/count" || return
		for i in {1..6}; do
			record "$D/record.err" -p "$TARGET" -f -o "$D/t.ndjson" --rearm 5 --watchdog 0
			wait_attached "$TARGET" || return
			kill -STOP "$RECORDER"
			# They wait in the call now, until it is told of or the listener dies.
			within 3 waits_for_reader "$TARGET" || wrong "no call waits ($i, $target)" || return
			[ $((i % 2)) = 0 ] || { kill -CONT "$RECORDER"; sleep 0.002; }
			kill_after "$RECORDER" 0
			within 5 untouched_quietly || untouched "$TARGET" || wrong "$i, $target" || return
			runs_on "$D/count" || wrong "$i, $target" || return
		done
		target_ends "$TARGET" "$D/target.out" || wrong "$target" || return
	done
}

# waits_for_reader PID: a thread of it or of its descendants waits for the one who reads.
waits_for_reader() {
	local p
	! cat "/proc/$1"/task/*/wchan 2>/dev/null | grep -q userfault || return 0
	for p in $(pgrep -P "$1"); do
		waits_for_reader "$p" && return
	done
	return 1
}

# A monitor that stands still is not one that is dead: it holds the target, and
# killing it frees it at once.
case_stopped_then_killed() {
	start_target "$D/target.out" "$T/writer" -T 60 -c "$D/count" || return
	record "$D/record.err" -p "$TARGET" -o "$D/t.ndjson" --rearm 20
	wait_attached "$TARGET" || return
	kill -STOP "$RECORDER"
	sleep 0.5
	kill -KILL "$RECORDER"
	wait "$RECORDER" 2>/dev/null
	unharmed "$TARGET" "$D/count" || return
	target_ends "$TARGET" "$D/target.out"
}

run_cases "$@"
