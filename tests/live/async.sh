#!/bin/bash
# SPDX-License-Identifier: MIT
#
# async: the engine whose targets wait for nobody.  Known pages are written, round by
# round: exactly those are told, in intervals that hold the writes.
# limit: 120
. "$(dirname "$0")/lib.sh"

needs_async

# watch CASE OPTION...: the target runs watched to its end; PID was its number.
watch() {
	local name=$1
	shift
	mkfifo "$D/gate"
	"$T/epochs" "$name" "$D/gate" >"$D/target.out" 2>&1 </dev/null &
	PID=$!
	started "$PID"
	within 20 grep -qE '^(ready|SKIP)' "$D/target.out" || wrong "the target is not ready" || return
	if grep -q '^SKIP' "$D/target.out"; then
		# shellcheck disable=SC2046
		skip $(sed -n 's/^SKIP //p' "$D/target.out")
		return
	fi
	record "$D/record.err" -p "$PID" -o "$D/t.ndjson" --engine async --epoch 50 "$@"
	within 10 grep -q attached "$D/record.err" || wrong "it does not say that it is attached" || return
	${BEFORE:-true} || return
	timeout 5 sh -c "echo >'$D/gate'" || wrong "the target does not begin" || return
	${MEANWHILE:-true} || return
	end_of "$PID" 60 || return
	[ "$STATUS" = 0 ] || wrong "the target: status $STATUS: $(tail -n 1 "$D/target.out")" || return
	record_ends "$D/t.ndjson"
}

# told PID KINDS: the records of that process agree with the facts of these kinds.
told() {
	sed -n 's/^fact //p' "$D/target.out" >"$D/facts"
	jq -n -r --argjson pid "$1" --arg from "$2" --slurpfile facts "$D/facts" \
		-f "$SRC/tests/live/epoch-facts.jq" "$D/t.ndjson" >"$D/facts.out" 2>&1 ||
		wrong "$(tail -n 3 "$D/facts.out")"
}

case_kinds() {
	watch kinds || return
	told "$PID" . || return
	jq -s -e '(map(select(.ev == "dirty") | range(.page; .page + .npages)) | unique | length) ==
		  (map(select(.ev == "stats"))[-1].distinct_pages)' "$D/t.ndjson" >/dev/null ||
		wrong "the working set is another" || return
	grep -q 'working set .* pages).*dirty rate' "$D/record.err" || wrong "no working set is told" || return
	grep -q 'of these .*shmem [0-9]* %' "$D/record.err" || wrong "nor of which memory" || return
	[ "$(jq -r .engine "$D/t.ndjson" | head -n 1)" = async ] || wrong "the header names another engine" || return
	[ "$(count "$D/t.ndjson" '.ev=="fault"')" = 0 ] || wrong "there are faults"
}

case_hugetlb() {
	local before
	before=$(cat /proc/sys/vm/nr_hugepages)
	echo $((before + 64)) 2>/dev/null >/proc/sys/vm/nr_hugepages
	watch hugetlb
	local rc=$?
	echo "$before" 2>/dev/null >/proc/sys/vm/nr_hugepages
	[ $rc = 0 ] || return $rc
	told "$PID" .
}

case_layout() {
	watch layout || return
	told "$PID" .
}

case_tables() {
	watch tables || return
	told "$PID" .
}

# A reader that is slow, and a ring that holds an eighth of what is found: each page is
# told, only later.  Some are twice, where a scan came between the fault and the store.
case_burst() {
	local lo n step
	mkfifo "$D/gate" "$D/pipe"
	"$T/epochs" burst "$D/gate" >"$D/target.out" 2>&1 </dev/null &
	PID=$!
	started "$PID"
	within 20 grep -q '^ready' "$D/target.out" || wrong "the target is not ready" || return
	(head -c 20000; sleep 0.7; exec cat) <"$D/pipe" >"$D/t.ndjson" &
	started $!
	record "$D/record.err" -p "$PID" -o "$D/pipe" --engine async --epoch 100 --ring 8192
	within 10 grep -q attached "$D/record.err" || wrong "it does not say that it is attached" || return
	timeout 5 sh -c "echo >'$D/gate'" || wrong "the target does not begin" || return
	end_of "$PID" 60 || return
	[ "$STATUS" = 0 ] || wrong "the target: status $STATUS" || return
	end_of "$RECORDER" 20 || return
	[ "$STATUS" = 0 ] || wrong "record exited with $STATUS" || return
	within 5 grep -q '^{"ev":"detach"' "$D/t.ndjson" || wrong "the trace has no end" || return
	valid "$D/t.ndjson" || return
	! grep -q '^{"ev":"lost"' "$D/t.ndjson" || wrong "records are lost" || return
	read -r lo n step _ < <(sed -n 's/^burst //p' "$D/target.out")
	jq -r 'select(.ev == "dirty") | "\(.page) \(.npages)"' "$D/t.ndjson" |
		awk -v lo="$lo" -v n="$n" -v step="$step" '
			$1 >= lo && $1 < lo + n * step { pages += $2; told += ($1 - lo) % step == 0 && !seen[$1]++ }
			END { if (told != n || pages > n + 16) { print pages, "pages told,", told, "of those written"; exit 1 } }' \
		>"$D/burst.out" || wrong "$(cat "$D/burst.out"): $n were written"
}

case_fork() {
	local child
	watch fork -f || return
	child=$(sed -n 's/^child //p' "$D/target.out")
	told "$PID" '^fork$' || return
	# Until the fork its memory was the parent's: what was written then may be told.
	told "$child" '^child$'
}

# A program after an exec is attached to by the agent, with the same engine.
case_exec() {
	mkfifo "$D/gate"
	sh -c 'read -r _ <"$1"; exec "$0" anon' "$T/epochs" "$D/gate" >"$D/target.out" 2>&1 </dev/null &
	PID=$!
	started "$PID"
	record "$D/record.err" -p "$PID" -o "$D/t.ndjson" -f --engine async --epoch 50
	within 10 grep -q attached "$D/record.err" || wrong "it does not say that it is attached" || return
	timeout 5 sh -c "echo >'$D/gate'" || wrong "the target does not begin" || return
	end_of "$PID" 60 || return
	[ "$STATUS" = 0 ] || wrong "the target: status $STATUS" || return
	end_of "$RECORDER" 20 || return
	valid "$D/t.ndjson" || return
	[ "$(count "$D/t.ndjson" '.ev=="gap" and .reason=="exec"')" = 1 ] || wrong "no gap until the new program was watched" || return
	told "$PID" .
}

page_tables() { awk '/^VmPTE/ { print $2 }' "/proc/$PID/status"; }
few_tables() {
	[ $(($(page_tables) - TABLES)) -lt 256 ] || wrong "page tables grew from $TABLES to $(page_tables) KiB"
}
measure_tables() { TABLES=$(page_tables); }
tables_later() { sleep 0.4; few_tables; }

# 200 GiB without pages: neither page tables nor time.
case_reserve() {
	BEFORE=few_tables MEANWHILE=tables_later
	TABLES=512
	watch reserve
	local rc=$?
	unset BEFORE MEANWHILE
	[ $rc = 0 ] || return $rc
	told "$PID" . || return
	[ "$(count "$D/t.ndjson" '.ev=="arm"')" -lt 400 ] || wrong "as many arms as there is memory" || return
	# 0.7 s of epochs of 50 ms: fewer would say that one takes that long.
	[ "$(jq -s 'map(select(.ev=="dirty").epoch) | max' "$D/t.ndjson")" -ge 5 ] || wrong "too few epochs"
}

# Nothing is left of a monitor that was killed, and the target runs on.
case_killed() {
	start_target "$D/target.out" "$T/pulse" || return
	record "$D/record.err" -p "$TARGET" -o "$D/t.ndjson" --engine async --epoch 20
	wait_attached "$TARGET" || return
	sleep 0.2
	kill -KILL "$RECORDER"
	end_of "$RECORDER" 10 || return
	untouched "$TARGET" || return
	sleep 0.1
	! ended "$TARGET" || wrong "the target has ended"
}

# The rule, and what an option makes of it: said, and in the header.
case_the_rule() {
	start_target "$D/target.out" "$T/writer" -t 1 -T 30 || return
	"$PAGETAP" record -q -p "$TARGET" -d 0.1 -o "$D/t.ndjson" || wrong "status $?" || return
	[ "$(head -n 1 "$D/t.ndjson" | jq -r '.engine + " " + (.engine_why // "-")')" = "async -" ] ||
		wrong "$(head -n 1 "$D/t.ndjson")" || return
	"$PAGETAP" record -p "$TARGET" -d 0.1 --rearm 20 -o "$D/r.ndjson" 2>"$D/r.err" || wrong "status $?" || return
	[ "$(head -n 1 "$D/r.ndjson" | jq -r '.engine + " " + .engine_why')" = "sync --rearm" ] ||
		wrong "$(head -n 1 "$D/r.ndjson")" || return
	grep -q '^pagetap: --rearm: writers wait for their answers (--engine sync)$' "$D/r.err" ||
		wrong "$(cat "$D/r.err")" || return
	valid "$D/t.ndjson" && valid "$D/r.ndjson"
}

run_cases "$@"
