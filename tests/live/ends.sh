#!/bin/bash
# SPDX-License-Identifier: MIT
#
# ends: how a recording ends - limits, signals, filters, and an output that fails.
# limit: 300
. "$(dirname "$0")/lib.sh"

# load: a writer that runs; TARGET.
load() {
	start_target "$D/target.out" "$T/writer" -T 60 -c "$D/count" "$@"
}

# fine: the target runs on, is left alone, and ends well; the trace is valid.
fine() {
	untouched "$TARGET" || return
	runs_on "$D/count" || return
	target_ends "$TARGET" "$D/target.out" || return
	[ ! -e "$D/t.ndjson" ] || valid "$D/t.ndjson"
}

reason() { jq -r 'select(.ev == "detach") | .reason' "$D/t.ndjson"; }

case_duration() {
	load || return
	local begin=${EPOCHREALTIME/./} spent
	record "$D/record.err" -p "$TARGET" -o "$D/t.ndjson" -d 1.5
	end_of "$RECORDER" 10 || return
	spent=$(((${EPOCHREALTIME/./} - begin) / 1000))
	[ "$STATUS" = 0 ] || wrong "exit status $STATUS" || return
	[ "$spent" -ge 1500 ] && [ "$spent" -lt 4000 ] || wrong "1.5 s took $spent ms" || return
	fine || return
	[ "$(reason)" = duration ] || wrong "reason $(reason)"
}

case_number_of_faults() {
	load || return
	record "$D/record.err" -p "$TARGET" -o "$D/t.ndjson" -n 100 --rearm 20
	end_of "$RECORDER" 10 || return
	[ "$STATUS" = 0 ] || wrong "exit status $STATUS" || return
	fine || return
	[ "$(reason)" = limit ] || wrong "reason $(reason)" || return
	local n
	n=$(count "$D/t.ndjson" '.ev == "fault"')
	# Those that arrive together are all written.
	[ "$n" -ge 100 ] && [ "$n" -lt 200 ] || wrong "$n faults instead of about 100"
}

case_signals() {
	local s want
	for s in INT TERM HUP; do
		rm -f "$D"/t.ndjson*
		load || return
		record "$D/record.err" -p "$TARGET" -o "$D/t.ndjson" --rearm 50
		wait_attached "$TARGET" || return
		runs_on "$D/count" || return
		stop_record "$RECORDER" "$s" || return
		fine || return
		want=sig${s,,}
		[ "$(reason)" = "$want" ] || wrong "reason $(reason) after SIG$s" || return
	done
}

case_interim_summary() {
	load || return
	record "$D/record.err" -p "$TARGET" -o "$D/t.ndjson"
	wait_attached "$TARGET" || return
	within 5 grep -q attached "$D/record.err" || return
	local before
	before=$(wc -l <"$D/record.err")
	kill -USR1 "$RECORDER"
	sleep 0.5
	! ended "$RECORDER" || wrong "SIGUSR1 ended it" || return
	[ "$(wc -l <"$D/record.err")" -gt "$before" ] || wrong "no summary after SIGUSR1" || return
	stop_record "$RECORDER" || return
	fine
}

case_target_exits() {
	load -n 200000 || return
	record "$D/record.err" -p "$TARGET" -o "$D/t.ndjson" --rearm 50
	end_of "$RECORDER" 30 || return
	[ "$STATUS" = 0 ] || [ "$STATUS" = 4 ] || wrong "exit status $STATUS" || return
	end_of "$TARGET" 10 || return
	[ "$STATUS" = 0 ] || wrong "target exited with $STATUS"
}

case_target_killed() {
	load || return
	record "$D/record.err" -p "$TARGET" -o "$D/t.ndjson" --rearm 50
	wait_attached "$TARGET" || return
	# One that is killed while it is attached to could not be attached to.
	within 10 grep -q attached "$D/record.err" || return
	runs_on "$D/count" || return
	kill -KILL "$TARGET"
	record_ends "$D/t.ndjson" 10 || return
	[ "$(reason)" = exit ] || wrong "reason $(reason)" || return
	[ "$(count "$D/t.ndjson" ".ev == \"exit\" and .signal == 9")" = 1 ] ||
		wrong "exit record: $(jq -c 'select(.ev == "exit")' "$D/t.ndjson")"
}

# ---- filters -----------------------------------------------------------------

# Reaped at once, and only then it is told how it ended.
case_target_killed_and_told_late() {
	local target
	start_target "$D/target.out" bash -c '"$0" -T 60 & echo $! >"$1"; wait $!' "$T/writer" "$D/pid" || return
	target=$(cat "$D/pid")
	LD_PRELOAD=$O/tests/preload/late.so record "$D/record.err" -p "$target" -o "$D/t.ndjson"
	within 10 grep -q attached "$D/record.err" || wrong 'not attached' || return
	kill -KILL "$target"
	record_ends "$D/t.ndjson" 10 || return
	[ "$(count "$D/t.ndjson" '.ev == "exit" and .signal == 9')" = 1 ] ||
		wrong "exit record: $(jq -c 'select(.ev == "exit")' "$D/t.ndjson")" || return
	grep -q 'was killed by SIGKILL after' "$D/record.err" || wrong "$(tail -n 3 "$D/record.err")"
}

case_only_a_range() {
	mkfifo "$D/gate"
	start_target "$D/target.out" "$T/million" -T 60 -g "$D/gate" -p 300 -t 2 || return
	local first n
	read -r _ first n _ < <(grep '^pages' "$D/target.out")
	record "$D/record.err" -p "$TARGET" -o "$D/t.ndjson" \
		-a "$(printf '0x%x-0x%x' $((first * 4096)) $(((first + n / 2) * 4096)))"
	wait_attached "$TARGET" || return
	within 5 grep -q attached "$D/record.err" || return
	timeout 5 sh -c "echo >'$D/gate'"
	within 20 grep -q '^touched' "$D/target.out" || return
	stop_record "$RECORDER" || return
	untouched "$TARGET" || return
	target_ends "$TARGET" "$D/target.out" || return
	valid "$D/t.ndjson" || return
	[ "$(count "$D/t.ndjson" ".ev == \"fault\" and .page >= $first and .page < $first + $((n / 2))")" = $((n / 2)) ] ||
		wrong "not every write in the range" || return
	[ "$(count "$D/t.ndjson" ".ev == \"fault\" and (.page < $first or .page >= $first + $((n / 2)))")" = 0 ] ||
		wrong "writes outside the range"
}

case_only_a_mapping() {
	load || return
	record "$D/record.err" -p "$TARGET" -o "$D/t.ndjson" -m heap -d 1 --rearm 100
	end_of "$RECORDER" 10 || return
	[ "$STATUS" = 0 ] || wrong "exit status $STATUS" || return
	fine || return
	[ "$(count "$D/t.ndjson" '.ev == "fault"')" -gt 0 ] || wrong "no fault" || return
	local kinds
	kinds=$(jq -rn '[inputs] | (map(select(.ev == "vma") | {key: (.id | tostring), value: .kind}) | from_entries) as $k
		| map(select(.ev == "fault") | $k[.vma | tostring]) | unique | join(" ")' "$D/t.ndjson")
	[ "$kinds" = heap ] || wrong "faults of kinds: $kinds"
}

case_only_some_kinds() {
	start_target "$D/target.out" "$T/mapper" -T 60 -c "$D/count" || return
	record "$D/record.err" -p "$TARGET" -o "$D/t.ndjson" -e wp -d 1
	end_of "$RECORDER" 10 || return
	[ "$STATUS" = 0 ] || wrong "exit status $STATUS" || return
	fine || return
	[ "$(count "$D/t.ndjson" '.ev == "remap" or .ev == "unmap" or .ev == "remove"')" = 0 ] ||
		wrong "records of kinds nobody asked for" || return
	[ "$(count "$D/t.ndjson" '.ev == "fault" and .kind == "wp"')" -gt 0 ] || wrong "no faults"
}

# ---- outputs that fail -------------------------------------------------------

case_reader_goes_away() {
	load || return
	# head takes one line and leaves; the status of record is asked of bash.
	timeout 20 bash -c "'$PAGETAP' record -p $TARGET -o - --rearm 20 2>'$D/record.err' | head -n 1 >'$D/head.out'
		exit \${PIPESTATUS[0]}" &
	started $!
	end_of $! 20 || return
	[ "$STATUS" = 141 ] || wrong "exit status $STATUS instead of 141" || return
	grep -q '^{"ev":"header"' "$D/head.out" || wrong "no header" || return
	! grep -qiE 'pipe|error|fail' "$D/record.err" || wrong "it complains: $(cat "$D/record.err")" || return
	fine
}

case_full_device() {
	load || return
	"$PAGETAP" record --engine sync -p "$TARGET" -o - --rearm 20 >/dev/full 2>"$D/record.err" </dev/null &
	started $!
	end_of $! 20 || return
	[ "$STATUS" = 1 ] || wrong "exit status $STATUS instead of 1" || return
	grep -q 'No space left\|no space left' "$D/record.err" || wrong "no words" || return
	fine
}

case_full_file_system() {
	mkdir "$D/small"
	mount -t tmpfs -o size=64k tmpfs "$D/small" 2>/dev/null || { skip no-mount "mount(2) fails"; return; }
	full_file_system
	local rc=$?
	cleanup
	umount "$D/small"
	return "$rc"
}

full_file_system() {
	load || return
	record "$D/record.err" -p "$TARGET" -o "$D/small/t.ndjson" --rearm 20
	end_of "$RECORDER" 20 || return
	[ "$STATUS" = 1 ] || wrong "exit status $STATUS instead of 1" || return
	grep -q 'no space left' "$D/record.err" || wrong "no words: $(cat "$D/record.err")" || return
	valid "$D/small/t.ndjson" || return
	[ "$(tail -n 1 "$D/small/t.ndjson" | jq -r .reason)" = nospace ] || wrong 'it does not say how it ended' || return
	[ "$(jq -s 'map(select(.ev == "lost") | .n) | add' "$D/small/t.ndjson")" -gt 0 ] || wrong 'it does not say what it lost' || return
	# Whole records to the last byte.
	[ "$(tail -c 1 "$D/small/t.ndjson" | od -An -c | tr -d ' ')" = '\n' ] || wrong "it ends within a line" || return
	[ "$(jq -c .ev "$D/small/t.ndjson" | wc -l)" = "$(wc -l <"$D/small/t.ndjson")" ] || wrong "a line is no JSON" || return
	[ "$(wc -l <"$D/small/t.ndjson")" -gt 50 ] || wrong "hardly a record" || return
	fine
}

# A reader that does not read holds the writer, never the target.
case_reader_that_sleeps() {
	load || return
	mkfifo "$D/pipe"
	# shellcheck disable=SC2217
	sleep 30 <"$D/pipe" &
	started $!
	"$PAGETAP" record --engine sync -p "$TARGET" -o - --rearm 20 --ring 1024 >"$D/pipe" 2>"$D/record.err" </dev/null &
	RECORDER=$!
	started "$RECORDER"
	wait_attached "$TARGET" || return
	sleep 1
	runs_on "$D/count" || return
	sleep 1
	runs_on "$D/count" || return
	kill -INT "$RECORDER"
	sleep 0.5
	kill -INT "$RECORDER" 2>/dev/null
	end_of "$RECORDER" 10 || return
	[ "$STATUS" = 130 ] || wrong "exit status $STATUS instead of 130 after the second SIGINT" || return
	fine
}

run_cases "$@"
