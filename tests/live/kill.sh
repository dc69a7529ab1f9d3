#!/bin/bash
# SPDX-License-Identifier: MIT
#
# kill: the monitor, or its injector, dies at any instant; the target must not mind.
# limit: 400
. "$(dirname "$0")/lib.sh"

: "${PAGETAP_FAULTS_PROGRAM:=$O/pagetap-faults}"
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
	local target phase n=0
	for target in "writer -t 3" "forker" "mapper -t 2"; do
		# shellcheck disable=SC2086
		start_target "$D/target.out" "$T/"$target -T 200 -c "$D/count" || return
		for phase in $("$O/tests/live/phases"); do
			at_phase "$phase" "$1" || wrong "target: $target" || return
			n=$((n + 1))
		done
		target_ends "$TARGET" "$D/target.out" || return
	done
	chmod 711 "$W"
	chmod 777 "$D"
	start_target "$D/target.out" setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all \
		"$T/writer" -T 60 -c "$D/count.nobody" || return
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

case_hundred_random_kills() {
	local targets=("writer -t 3" forker "mapper -t 2") i t ms pids=()
	say "seed $RANDOM"
	for t in 0 1 2; do
		# shellcheck disable=SC2086
		start_target "$D/target$t.out" "$T/"${targets[t]} -T 300 -c "$D/count$t" || return
		pids[t]=$TARGET
	done
	for i in {1..100}; do
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
	# And nothing of it hangs about: no child of a target is left.
	for t in 0 1 2; do
		[ -z "$(pgrep -P "${pids[t]}")" ] || wrong "children of ${targets[t]} are left" || return
	done
	# What was written until the kill is whole to its last line.
	rm -f "$D"/t.ndjson*
	start_target "$D/target.out" "$T/writer" -T 60 -c "$D/count" || return
	record "$D/record.err" -p "$TARGET" -o "$D/t.ndjson" --rearm 20
	wait_attached "$TARGET" || return
	sleep 1
	kill_after "$RECORDER" 0
	untouched "$TARGET" || return
	target_ends "$TARGET" "$D/target.out" || return
	[ "$(wc -l <"$D/t.ndjson")" -gt 100 ] || wrong "hardly a line was written" || return
	[ "$(sed '$d' "$D/t.ndjson" | jq -c .ev | wc -l)" = "$(sed '$d' "$D/t.ndjson" | wc -l)" ] ||
		wrong "a line before the last one is no JSON"
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
