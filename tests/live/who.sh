#!/bin/bash
# SPDX-License-Identifier: MIT
#
# who: which thread wrote, where, and how it came there, told by record --who.
# limit: 120
. "$(dirname "$0")/lib.sh"

# penmen_watched EPOCH RECORD-OPTION... -- PENMEN-OPTION...
penmen_watched() {
	local epoch=$1 options=()
	shift
	while [ "$1" != -- ]; do options+=("$1"); shift; done
	shift
	mkfifo "$D/gate"
	"$T/penmen" "$@" <"$D/gate" >"$D/says.out" 2>&1 &
	TARGET=$!
	started "$TARGET"
	exec 9>"$D/gate"
	within 10 grep -q '^ready' "$D/says.out" || wrong "the target is not ready" || return
	record "$D/record.err" -p "$TARGET" --engine async --who --epoch "$epoch" \
		-o "$D/t.ndjson" "${options[@]}"
	within 10 grep -q attached "$D/record.err" || wrong "not attached: $(tail -n 2 "$D/record.err")"
}

begins() { echo >&9; exec 9>&-; }

ends() {
	end_of "$TARGET" 30 || return
	[ "$STATUS" = 0 ] || wrong "the target exited with $STATUS" || return
	record_ends "$D/t.ndjson"
}

last() { jq -r "select(.ev==\"stats\" and .final) | .$1" "$D/t.ndjson"; }

case_known_writers() {
	penmen_watched 100 -- rounds 6 300 || return
	sleep 0.3
	begins
	ends || return
	timeout 60 python3 "$SRC/tests/live/who-check.py" "$D/t.ndjson" "$D/says.out" "$T/penmen" 100 \
		>"$D/check.out" 2>&1
	local rc=$?
	sed 's/^/  /' "$D/check.out"
	[ "$rc" = 0 ] || wrong "$(tail -n 1 "$D/check.out")" || return
	[ "$(last lost)" = 0 ] || wrong "$(last lost) lost"
}

# Of a monitor that stands still the rings run over: what is lost is counted, the pages
# are all there, and nobody is named who may only have read.
case_a_storm_is_counted() {
	local pages=60000 dirty lost told
	penmen_watched 500 --watchdog 0 -- storm $pages 1500 || return
	sleep 0.2
	kill -STOP "$RECORDER"
	begins
	within 10 grep -q '^done' "$D/says.out"
	kill -CONT "$RECORDER"
	ends || return
	lost=$(jq -s 'map(select(.ev=="lost" and .reason=="perf") | .n) | add // 0' "$D/t.ndjson")
	read -r dirty told < <(sed -n 's/.*memory=\(0x[0-9a-f]*\) .*/\1/p' "$D/says.out" |
		{ read -r lo; python3 -c '
import json, sys
lo, pages, dirty, told = int(sys.argv[2], 16) // 4096, int(sys.argv[3]), set(), set()
for line in open(sys.argv[1]):
    r = json.loads(line)
    if r["ev"] == "dirty":
        dirty.update(range(max(r["page"], lo), min(r["page"] + r["npages"], lo + pages)))
    elif r["ev"] == "fault" and lo <= r["page"] < lo + pages:
        told.add(r["page"])
print(len(dirty), len(told & dirty))' "$D/t.ndjson" "$lo" $pages; })
	say "$pages pages: $dirty dirty, $told told, $lost lost, $(last unwitnessed) without a witness"
	[ "$dirty" = $pages ] || wrong "$dirty of $pages pages are dirty" || return
	[ "$lost" -gt 1000 ] || wrong "only $lost lost" || return
	[ $((told + lost)) -ge $pages ] || wrong "$told told and $lost lost of $pages" || return
	[ "$(last unwitnessed)" -ge $((pages - told)) ] || wrong "unwitnessed is $(last unwitnessed)" || return
	[ "$(last lost)" = "$lost" ] || wrong "stats.lost is $(last lost)"
}

# faults_on ADDR [COUNT]: who is told to have written there, or in COUNT pages from there.
faults_on() {
	local page=$(($1 / 4096))
	jq -r "select(.ev==\"fault\" and .page >= $page and .page < $((page + ${2:-1}))) |
		\"\(.pid) \(.tid) \(.write)\"" "$D/t.ndjson"
}
dirty_of() { # ADDR COUNT
	jq -s "map(select(.ev==\"dirty\") | [([.page, $(($1 / 4096))] | max),
		([.page + .npages, $(($1 / 4096 + $2))] | min)] | select(.[0] < .[1]) |
		.[1] - .[0]) | add // 0" "$D/t.ndjson"
}

# Those who write in memory of others: told where the kernel tells of them, else counted.
case_guests() {
	local n=20 mm child vfork uring
	penmen_watched 100 --sure -f -- guests $n 300 || return
	sleep 0.2
	echo >&9
	within 10 grep -q ^reads "$D/says.out" || wrong 'it does not come to its reads' || return
	sleep 0.3
	read -r _ _ mm < <(grep ^reads "$D/says.out")
	timeout 10 "$T/penmen" poke "$TARGET" "$mm" $n || wrong 'poke' || return
	begins
	ends || return
	[ "$(dirty_of "$mm" $((2 * n)))" = $((2 * n)) ] || wrong "$(dirty_of "$mm" $((2 * n))) pages are dirty" || return
	if grep -q 'no tracepoints' "$D/t.ndjson"; then
		say 'no tracepoints of page faults here'
	else
		[ -z "$(faults_on "$mm" $((2 * n)))" ] || wrong "who read is named: $(faults_on "$mm" $((2 * n)) | head -n 1)" || return
		[ "$(last unwitnessed)" -ge $((2 * n)) ] || wrong "unwitnessed is $(last unwitnessed)" || return
	fi
	read -r _ child vfork < <(grep ^vfork "$D/says.out")
	[ "$(faults_on "$vfork")" = "$TARGET $child true" ] ||
		wrong "by vfork child $child of $TARGET: $(faults_on "$vfork")" || return
	read -r _ child uring < <(grep ^io_uring "$D/says.out")
	[ "$child" = no ] || [ "$(faults_on "$uring" | sed "s/^$TARGET [0-9]* true$/good/")" = good ] ||
		wrong "by io_uring: $(faults_on "$uring")"
}

# A thread has another number where it lives: both are told.
case_pid_namespace() {
	local inner first n tid all
	unshare -pf --mount-proc true 2>/dev/null || { skip no-pidns 'unshare -p fails'; return; }
	mkfifo "$D/gate"
	unshare -pf --kill-child --mount-proc "$T/million" -T 60 -p 500 -t 3 -g "$D/gate" >"$D/target.out" 2>&1 &
	started $!
	within 10 grep -q '^ready pid=1$' "$D/target.out" || wrong 'not ready' || return
	inner=$(cat "/proc/$!/task/$!/children")
	inner=${inner% }
	started "$inner"
	record "$D/record.err" -p "$inner" --engine async --who --epoch 50 -o "$D/t.ndjson"
	within 10 grep -q attached "$D/record.err" || wrong 'not attached' || return
	all=$(ls "/proc/$inner/task")
	timeout 5 sh -c "echo >'$D/gate'"
	within 20 grep -q '^touched' "$D/target.out" || wrong 'it stands still' || return
	sleep 0.2
	stop_record "$RECORDER" || return
	valid "$D/t.ndjson" || return
	while read -r _ first n tid; do
		tid=$(jq -r "select(.ev == \"fault\" and .page >= $first and .page < $first + $n) |
			\"\(.ns_tid) \(.tid)\"" "$D/t.ndjson" | sort -u | sed "s/^${tid#tid=} //")
		grep -qxF "$tid" <<<"$all" || wrong "told of $first: $tid" || return
	done < <(grep '^pages' "$D/target.out")
}

# A page that is written all the time is in a fault when the first pass goes over it: of
# fifteen attaches about half.
case_writing_all_the_time() {
	local i
	start_target "$D/target.out" "$T/writer" -t 1 -T 60 || return
	for i in {1..15}; do
		record "$D/record.$i.err" -p "$TARGET" -m heap --engine async --who -o "$D/t.ndjson"
		within 10 grep -q attached "$D/record.$i.err" || wrong "not attached" || return
		within 20 has_worked "$TARGET" $(($(ticks "$TARGET") + 5)) ||
			wrong "the target stands still" || return
		stop_record "$RECORDER" && valid "$D/t.ndjson" || return
		[ "$(last dirty_pages)" -ge 1 ] || wrong "$i: nothing is dirty" || return
		[ "$(last unwitnessed)" = 0 ] || wrong "$i: $(last unwitnessed) without a witness" || return
	done
	target_ends "$TARGET" "$D/target.out"
}

# A tenth of a second of epochs, and nothing at all is asked of perf without --who.
case_not_asked_for() {
	penmen_watched 100 -- rounds 1 10 || return
	begins
	ends || return
	"$PAGETAP" record -q --engine async -o "$D/plain.ndjson" -- "$T/penmen" rounds 1 10 \
		<<<go >"$D/plain.out" 2>&1 || wrong "without --who it failed" || return
	[ "$(count "$D/plain.ndjson" '.ev=="fault" or .ev=="stack"')" = 0 ] ||
		wrong "faults are told without --who" || return
	[ "$(jq -c 'select(.ev=="stats" and .final) | .unwitnessed' "$D/plain.ndjson")" = null ] ||
		wrong "unwitnessed is counted"
}

run_cases "$@"
