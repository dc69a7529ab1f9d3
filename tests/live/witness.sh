#!/bin/bash
# SPDX-License-Identifier: MIT
#
# witness: memory that comes into being while it is watched.
# limit: 120
. "$(dirname "$0")/lib.sh"

# young_run OPTIONS...: the target makes memory of six kinds, five times.
young_run() {
	start_target "$D/target.out" "$T/young" -n 5 || return
	"$@" record --engine sync -f -p "$TARGET" -o "$D/t.ndjson" >"$D/record.out" 2>"$D/record.err" </dev/null &
	RECORDER=$!
	started "$RECORDER"
	within 15 grep -q '^pagetap: attached' "$D/record.err" || wrong "not attached" || return
	kill -USR1 "$TARGET"
	end_of "$TARGET" 30 || return
	[ "$STATUS" = 0 ] || wrong "target exited with $STATUS" || return
	record_ends "$D/t.ndjson" || return
	grep -v ready "$D/target.out" >"$D/made"
	[ "$(wc -l <"$D/made")" = 30 ] || wrong "$(wc -l <"$D/made") mappings made"
}

# faults VIA: thread, address and time of those seen by VIA (a pattern).  Who waited for the
# userfaultfd did so since lat_ns before.
faults() {
	jq -r --arg via "^($1)$" 'if .ev == "header" then .base_mono_ns as $b | {$b}
		else select(.ev == "fault" and (.via | test($via)) and .write != false) end' "$D/t.ndjson" |
		jq -rn 'input.b as $base | inputs |
			"\(.tid) \(.addr) \((.ts0 // (.ts - .lat_ns)) + $base)"' >"$D/faults"
}

# seen_first VIA: first writes that have a fault of that thread, there and then.  The others are
# in missed: an address may come again.
seen_first() {
	faults "$1"
	awk '
	NR == FNR { at[$1 " " $2] = at[$1 " " $2] " " $3; next }
	{
		known = 0
		for (i = split(at[$2 " " $3], when, " "); i; i--)
			known += $5 <= when[i] && when[i] <= $6
		if (known)
			n++
		else
			print >"/dev/stderr"
	}
	END { print n + 0 }' "$D/faults" "$D/made" 2>"$D/missed"
}

# seen_later: later writes that the userfaultfd has told of; each fault stands for one.
seen_later() {
	faults uffd
	awk '
	NR == FNR { known[$1 " " $2]++; next }
	known[$2 " " $4]-- > 0 { n++; next }
	{ print >"/dev/stderr" }
	END { print n + 0 }' "$D/faults" "$D/made" 2>"$D/missed"
}

# missed_in_gaps: the first writes in missed fell where and when the trace says that it saw
# nothing.
missed_in_gaps() {
	local first begin end
	jq -rn 'input.base_mono_ns as $base | inputs | select(.ev == "gap") |
		"\(.page) \(.npages) \(.ts0 + $base) \(.ts + $base)"' "$D/t.ndjson" >"$D/gaps"
	while read -r _ _ first _ begin end; do
		awk -v page="$((first / 4096))" -v begin="$begin" -v end="$end" '
			$1 <= page && page < $1 + $2 && $3 <= end && $4 >= begin { found = 1 }
			END { exit !found }' "$D/gaps" || return
	done <"$D/missed"
}

# What comes into being is armed before it is written again: every later write is seen.
case_every_kind_of_new_memory() {
	local later first either
	young_run "$PAGETAP" || return
	later=$(seen_later)
	[ "$later" = 30 ] || wrong "$later of 30 later writes were seen: $(head -n 3 "$D/missed")" || return
	first=$(seen_first perf)
	either=$(seen_first 'perf|uffd')
	say "of 30 first writes $first were seen by perf, $((either - first)) by the userfaultfd"
	# Some fall between registration and arming: that is the gap that is declared.
	missed_in_gaps || wrong "neither seen nor in a gap, of: $(head -n 3 "$D/missed")" || return
	[ "$first" -gt 0 ] || wrong "perf has seen none" || return
	# What perf has seen says so: nobody waited, nobody knows whether it was a write.
	[ "$(count "$D/t.ndjson" '.ev == "fault" and .via == "perf" and
		(.write != null or .lat_ns != null or .ts0 > .ts or .act != "none")')" = 0 ] ||
		wrong "a record of perf claims too much" || return
	[ "$(count "$D/t.ndjson" '.ev == "lost"')" = 0 ] || wrong "something was lost"
}

# From the kernel's word to the arming, in the trace's own times.
case_new_memory_is_armed_at_once() {
	local slow
	young_run "$PAGETAP" || return
	jq -r 'select(.ev == "fault" and .via == "perf") | "\(.ts - .ts0)"' "$D/t.ndjson" |
		sort -n >"$D/waits"
	[ -s "$D/waits" ] || wrong "perf has seen nothing" || return
	slow=$(sed -n "$((($(wc -l <"$D/waits") + 1) / 2))p" "$D/waits")
	say "first touch to registration, median: $((slow / 1000)) us"
	[ "$slow" -lt 20000000 ] || wrong "it took $slow ns: no better than reading the maps"
}

# Without perf the maps are read every so often; the difference is declared.
case_perf_is_not_allowed() {
	young_run strace -f -qq -o /dev/null -e trace=perf_event_open \
		-e inject=perf_event_open:error=EACCES "$PAGETAP" || return
	[ "$(count "$D/t.ndjson" '.ev == "error" and .what == "perf"')" = 1 ] ||
		wrong "the trace does not say that there is no witness" || return
	[ "$(count "$D/t.ndjson" '.ev == "fault" and .via == "perf"')" = 0 ] ||
		wrong "a record of perf without perf" || return
	[ "$(count "$D/t.ndjson" '.ev == "gap" and .reason == "new-mapping"')" -gt 0 ] ||
		wrong "no gap was declared"
}

run_cases "$@"
