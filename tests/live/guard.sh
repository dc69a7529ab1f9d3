#!/bin/bash
# SPDX-License-Identifier: MIT
#
# guard: the monitor stands still; its targets must not, and the trace must say so.
# limit: 200
. "$(dirname "$0")/lib.sh"
RANDOM=${SEED:-$((10#$(date +%N) % 32768))}

# guard_of RECORDER: the pid of its watchdog.
guard_of() {
	local p
	# One that was started later is the child of the agent.
	for p in $(pgrep -P "$1") $(pgrep -P "$(pgrep -d , -P "$1")"); do
		[ "$(cat "/proc/$p/comm" 2>/dev/null)" != pagetap-guard ] || { echo "$p"; return; }
	done
}
has_guard() { [ -n "$(guard_of "$1")" ]; }
stall_told() { [ "$(grep -c '"reason":"stall"' "$1")" -ge "$2" ]; }

# longest OUT: the longest pause that a pulse saw, in ms.
longest() { tail -n 1 "$1" | grep -o '[a-z]*=[0-9]*' | grep -v steps | cut -d = -f 2 | sort -n | tail -n 1; }

# stop_for RECORDER SECONDS
stop_for() {
	kill -STOP "$1"
	sleep "$2"
	kill -CONT "$1"
}

# later_faults TRACE: faults after the last stall was declared.
later_faults() {
	local at
	at=$(grep '"reason":"stall"' "$1" | tail -n 1 | sed 's/.*"ts":\([0-9]*\),"pid.*/\1/')
	sed -n 's/^{"ev":"fault",.*"ts":\([0-9]*\),"pid.*/\1/p' "$1" | awk -v at="$at" '$1 > at' | wc -l
}

# The promise itself: ten seconds, under load of every kind, with children.
case_stopped_for_ten_seconds() {
	local pids=() i ms t=("pulse -x" "writer -t 2" "mapper -t 2" forker)
	for i in 0 1 2 3; do
		# shellcheck disable=SC2086
		start_target "$D/target$i.out" "$T/"${t[i]} -T 100 -c "$D/count$i" || return
		pids[i]=$TARGET
	done
	record "$D/record.err" -p "$(IFS=,; echo "${pids[*]}")" -f -o "$D/t.ndjson" --rearm 20
	for i in 0 1 2 3; do wait_attached "${pids[i]}" || return; done
	within 10 grep -q "${pids[3]}.*mappings watched" "$D/record.err" || wrong "not all attached" || return
	sleep 1
	kill -STOP "$RECORDER"
	sleep 1.6
	for i in 0 1 2 3; do
		runs_on "$D/count$i" || wrong "${t[i]} stands still" || return
		within 2 not_attached "${pids[i]}" || wrong "${t[i]} is still registered" || return
	done
	sleep 8.5
	for i in 0 1 2 3; do runs_on "$D/count$i" || wrong "${t[i]} stands still, later" || return; done
	kill -CONT "$RECORDER"
	within 10 stall_told "$D/t.ndjson" 4 || wrong "no gap in the trace" || return
	for i in 0 1 2 3; do within 5 attached "${pids[i]}" || wrong "${t[i]} is not watched again" || return; done
	sleep 2
	stop_record "$RECORDER" || return
	grep -q 'stood still for 1[0-9]\.[0-9] s' "$D/record.err" || wrong "nothing was said of it" || return
	for i in 0 1 2 3; do
		untouched "${pids[i]}" || return
		target_ends "${pids[i]}" "$D/target$i.out" || wrong "${t[i]}" || return
	done
	ms=$(longest "$D/target0.out")
	say "longest pause of a thread: $ms ms ($(tail -n 1 "$D/target0.out"))"
	[ "$ms" -le 1500 ] || wrong "a thread was held up for $ms ms" || return
	[ "$ms" -ge 300 ] || wrong "nobody was held up: it shows nothing" || return
	[ "$(later_faults "$D/t.ndjson")" -ge 100 ] || wrong "hardly a write was seen afterwards" || return
	valid "$D/t.ndjson"
}

# At random instants, also while it attaches; two stalls in a row now and then.
case_twenty_random_stops() {
	local i pids=() seen=0 t=("pulse -x" "mapper -t 2" "forker")
	say "seed $RANDOM"
	for i in 0 1 2; do
		# shellcheck disable=SC2086
		start_target "$D/target$i.out" "$T/"${t[i]} -T 150 -c "$D/count$i" || return
		pids[i]=$TARGET
	done
	for i in {1..20}; do
		TARGET=${pids[i % 3]}
		record "$D/record.err" -p "$TARGET" -f -o "$D/t.ndjson" --rearm 5 --watchdog 0.1
		((i % 2)) || wait_attached "$TARGET" || return
		sleep "0.$(printf %03d $((RANDOM % 120)))"
		stop_for "$RECORDER" "0.$((RANDOM % 3 + 2))"
		((i % 4)) || stop_for "$RECORDER" 0.3
		# Stopped in its first instants it does not even take signals yet.
		within 10 grep -q attached "$D/record.err" || wrong "stop $i: never attached" || return
		sleep 0.05
		stop_record "$RECORDER" || wrong "stop $i" || return
		untouched "$TARGET" || wrong "stop $i" || return
		runs_on "$D/count$((i % 3))" || wrong "stop $i" || return
		valid "$D/t.ndjson" || wrong "stop $i" || return
		stall_told "$D/t.ndjson" 1 && seen=$((seen + 1))
	done
	say "$seen of 20 stalls had something to let go"
	[ "$seen" -ge 8 ] || wrong "hardly a stall was seen: $seen" || return
	for i in 0 1 2; do
		target_ends "${pids[i]}" "$D/target$i.out" || wrong "${t[i]}" || return
	done
}

case_guard_killed() {
	local guard
	start_target "$D/target.out" "$T/pulse" -T 60 -c "$D/count" || return
	record "$D/record.err" -p "$TARGET" -v -o "$D/t.ndjson" --rearm 20
	wait_attached "$TARGET" || return
	within 5 has_guard "$RECORDER" || wrong "there is no guard" || return
	sleep 0.3
	guard=$(guard_of "$RECORDER")
	[ "$(ps -o sid= -p "$guard" | tr -d ' ')" = "$guard" ] || wrong "not in a session of its own" || return
	kill -KILL "$guard"
	another() { has_guard "$RECORDER" && [ "$(guard_of "$RECORDER")" != "$guard" ]; }
	within 2 another || wrong "no new guard" || return
	stop_for "$RECORDER" 1.6
	within 5 stall_told "$D/t.ndjson" 1 || wrong "the new guard did nothing" || return
	# Both stand still: the monitor that goes on must not wait for a guard that does not.
	guard=$(guard_of "$RECORDER")
	kill -STOP "$guard"
	stop_for "$RECORDER" 1
	runs_on "$D/count" || return
	kill -CONT "$guard"
	stop_record "$RECORDER" || return
	within 2 ended "$guard" || wrong "the guard is left" || return
	untouched "$TARGET" || return
	target_ends "$TARGET" "$D/target.out" || return
	valid "$D/t.ndjson"
}

case_killed_while_stopped() {
	local guard
	start_target "$D/target.out" "$T/pulse" -x -T 60 -c "$D/count" || return
	record "$D/record.err" -p "$TARGET" -f -o "$D/t.ndjson" --rearm 20
	wait_attached "$TARGET" || return
	sleep 0.5
	guard=$(guard_of "$RECORDER")
	kill -STOP "$RECORDER"
	# About when the guard is at work.
	sleep "1.$(printf %03d $((RANDOM % 250)))"
	kill -KILL "$RECORDER"
	wait "$RECORDER" 2>/dev/null
	untouched "$TARGET" || return
	runs_on "$D/count" || return
	within 2 ended "$guard" || wrong "the guard is left" || return
	target_ends "$TARGET" "$D/target.out"
}

# Without one the target waits, and is none the worse for it.
case_without_a_guard() {
	local n
	start_target "$D/target.out" "$T/writer" -t 2 -T 60 -c "$D/count" || return
	record "$D/record.err" -p "$TARGET" -o "$D/t.ndjson" --rearm 10 --watchdog 0
	wait_attached "$TARGET" || return
	sleep 0.5
	! has_guard "$RECORDER" || wrong "there is a guard" || return
	kill -STOP "$RECORDER"
	sleep 1
	n=$(counter "$D/count")
	sleep 1.5
	[ "$(counter "$D/count")" = "$n" ] || wrong "the target does not even wait: the test shows nothing" || return
	kill -CONT "$RECORDER"
	runs_on "$D/count" || return
	stop_record "$RECORDER" || return
	untouched "$TARGET" || return
	target_ends "$TARGET" "$D/target.out" || return
	! stall_told "$D/t.ndjson" 1 || wrong "a gap for a stall" || return
	valid "$D/t.ndjson"
}

# A debugger on the monitor is a stop as any other.
case_held_by_a_debugger() {
	start_target "$D/target.out" "$T/pulse" -T 60 -c "$D/count" || return
	record "$D/record.err" -p "$TARGET" -o "$D/t.ndjson" --rearm 20
	wait_attached "$TARGET" || return
	timeout 20 gdb -q -batch -nx -p "$RECORDER" -ex 'shell sleep 2' -ex detach >"$D/gdb.out" 2>&1
	within 5 stall_told "$D/t.ndjson" 1 || wrong "no gap: $(tail -n 2 "$D/gdb.out")" || return
	stop_record "$RECORDER" || return
	untouched "$TARGET" || return
	target_ends "$TARGET" "$D/target.out" || return
	[ "$(longest "$D/target.out")" -le 1500 ] || wrong "held up for $(longest "$D/target.out") ms" || return
	valid "$D/t.ndjson"
}

run_cases "$@"
