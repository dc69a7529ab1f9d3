#!/bin/bash
# SPDX-License-Identifier: MIT
#
# report: its totals are those that sqlite3 computes from the same lines, of real recordings.
# limit: 120
. "$(dirname "$0")/lib.sh"

# told SINCE UNTIL REPORT-OPTION...: both say the same of $D/t.ndjson; what report said is
# left in $D/report.json.
told() {
	local since=$1 until=$2 window
	shift 2
	timeout 60 "$PAGETAP" report --json --heatmap --top 0 "$@" "$D/t.ndjson" >"$D/report.json" \
		2>"$D/report.err" || wrong "report fails: $(tail -n 2 "$D/report.err")" || return
	[ ! -s "$D/report.err" ] || wrong "report says: $(head -n 1 "$D/report.err")" || return
	window=$(jq .course.window_ns "$D/report.json")
	jq -cS -f "$SRC/tests/live/report.jq" "$D/report.json" | LC_ALL=C sort >"$D/ours"
	(cd "$D" && timeout 60 sqlite3 -cmd ".parameter set :since $since" -cmd ".parameter set :until $until" \
		-cmd ".parameter set :window $window" :memory: <"$SRC/tests/live/report-totals.sql" |
		jq -cS . | LC_ALL=C sort >theirs)
	[ "$(wc -l <"$D/theirs")" -ge 54 ] || wrong "sqlite3 computed nothing" || return
	diff "$D/theirs" "$D/ours" >"$D/difference.out" ||
		wrong "sqlite3 (<) and report (>) disagree: $(grep -m 4 '^[<>]' "$D/difference.out")" || return
	# Every cell of the maps together: each write once.
	[ "$(jq '[.heat.maps[].rows[].cells[]] | add // 0' "$D/report.json")" = \
		"$(jq 'if [.course.writes[]] | add then [.course.writes[]] | add else 0 end' "$D/report.json")" ] ||
		wrong "the heat maps do not sum up"
}

ALL=9007199254740991

# And of a part of the time, and of one mapping.
told_of_parts() {
	local last half name
	told 0 $ALL || return
	last=$(jq .trace.last_ns "$D/report.json")
	half=$((last / 2000000))	# ms
	name=$(jq -r '[.mappings[] | select(.kind == "anon" and .name == "")][0].written // 0' "$D/report.json")
	told 0 $((half * 1000000)) --until "$((half / 1000)).$(printf %03d $((half % 1000)))" || return
	told $((half * 1000000)) $ALL --since "$((half / 1000)).$(printf %03d $((half % 1000)))" || return
	[ "$("$PAGETAP" report --json -m anon "$D/t.ndjson" | jq .total.written)" = "$name" ] ||
		wrong "-m anon is not its row"
}

case_sync() {
	start_target "$D/target.out" "$T/writer" 3 500 || return
	record "$D/record.err" -p "$TARGET" --mode write,missing --rearm 50 -d 0.4 -o "$D/t.ndjson"
	end_of "$RECORDER" 20 || return
	target_ends "$TARGET" "$D/target.out" || return
	told_of_parts || return
	[ "$(jq .total.written "$D/report.json")" -gt 500 ] || wrong 'hardly anything was written'
}

case_async() {
	start_target "$D/target.out" "$T/writer" 3 500 || return
	record "$D/record.err" --engine async -p "$TARGET" --epoch 20 -d 0.4 -o "$D/t.ndjson"
	end_of "$RECORDER" 20 || return
	target_ends "$TARGET" "$D/target.out" || return
	told 0 $ALL || return
	[ "$(jq .total.dirty "$D/report.json")" -gt 500 ] || wrong 'hardly anything was written'
}

# Two views of the same writes: never added together.
case_who() {
	local written
	start_target "$D/target.out" "$T/writer" 3 500 || return
	record "$D/record.err" --engine async --who -p "$TARGET" --epoch 20 -d 0.4 -o "$D/t.ndjson"
	end_of "$RECORDER" 20 || return
	target_ends "$TARGET" "$D/target.out" || return
	told 0 $ALL || return
	written=$(jq 'select(.ev == "stats" and .final) | .dirty_pages' "$D/t.ndjson")
	[ "$(jq .total.written "$D/report.json")" = "$written" ] || wrong "not $written written" || return
	[ "$(jq .total.pages "$D/report.json")" = "$(jq 'select(.ev == "stats" and .final) |
		.distinct_pages' "$D/t.ndjson")" ] || wrong 'the working set is not that of the recorder' || return
	[ "$(jq .total.witnesses "$D/report.json")" -gt 100 ] || wrong 'hardly any witness'
}

# Children, their programs, and mappings that come and go.
case_family() {
	record "$D/record.err" --engine async -f --epoch 10 -o "$D/t.ndjson" -- /bin/sh -c \
		'i=0; while [ $i -lt 6 ]; do /usr/bin/sort </dev/null; (x=$(seq 2000); :); i=$((i + 1)); done'
	end_of "$RECORDER" 30 || return
	[ "$STATUS" = 0 ] || wrong "record ended with $STATUS" || return
	told 0 $ALL || return
	[ "$(jq '.processes | length' "$D/report.json")" -gt 5 ] || wrong 'hardly any process'
}

run_cases "$@"
