#!/bin/bash
# SPDX-License-Identifier: MIT
#
# truth: a program says which pages it wrote, once each; the trace must say the same.
# limit: 400
. "$(dirname "$0")/lib.sh"

# Compare the pages and threads of the trace with what the target says.
# agree OUT TRACE KIND
agree() {
	awk '/^pages/ { split($4, t, "="); for (i = 0; i < $3; i++) printf "%.0f %d\n", $2 + i, t[2] }' "$1" |
		LC_ALL=C sort >"$D/truth"
	# Other pages of the target (stack, libc's data) are its own business.
	# By sed, not by jq: this is the record whose keys have a fixed order.
	grep '^{"ev":"fault"' "$2" | grep "\"kind\":\"$3\",\"write\":true" |
		sed 's/.*"tid":\([0-9]*\),.*"page":\([0-9]*\),.*/\2 \1/' | LC_ALL=C sort >"$D/told"
	LC_ALL=C comm -23 "$D/truth" "$D/told" >"$D/unseen"
	[ ! -s "$D/unseen" ] || wrong "$(wc -l <"$D/unseen") writes are not in the trace, $(wc -l <"$D/truth") are true" || return
	# Exactly once, and by nobody else: no page of the truth twice.
	awk 'NR == FNR { true_[$1] = 1; next } $1 in true_' "$D/truth" "$D/told" >"$D/of-them"
	[ "$(wc -l <"$D/of-them")" = "$(wc -l <"$D/truth")" ] ||
		wrong "$(wc -l <"$D/of-them") records for $(wc -l <"$D/truth") writes"
}

final() { grep '^{"ev":"stats"' "$1" | jq -r "select(.final) | .$2"; }

# one TARGET-OPTIONS RECORD-OPTIONS KIND TRACE
one() {
	local fifo=$D/gate err=$D/record.err trace=$4
	mkfifo "$fifo"
	# shellcheck disable=SC2086
	start_target "$D/target.out" "$T/million" -T 250 -g "$fifo" $1 || return
	# shellcheck disable=SC2086
	record "$err" -p "$TARGET" -o "$trace" $2
	wait_attached "$TARGET" || return
	within 10 grep -q attached "$err" || wrong "it does not say that it is attached" || return
	timeout 5 sh -c "echo >'$fifo'" || return
	within 200 grep -q '^touched' "$D/target.out" || wrong "not all pages touched" || return
	stop_record "$RECORDER" || return
	untouched "$TARGET" || return
	target_ends "$TARGET" "$D/target.out" || return
	case $trace in
	*.zst) zstd -q -dc "$trace" >"$D/plain.ndjson" || return ;;
	*) ln -s "$trace" "$D/plain.ndjson" ;;
	esac
	"${AGREE:-agree}" "$D/target.out" "$D/plain.ndjson" "$3" || return
	[ "$(final "$D/plain.ndjson" lost)" = 0 ] || wrong "lost $(final "$D/plain.ndjson" lost)" || return
	valid "$trace"
}

case_first_writes_of_empty_pages() { one '-p 20000 -t 3' '' wp "$D/t.ndjson"; }
case_first_writes_of_full_pages() { one '-p 20000 -t 3 -x' '' wp "$D/t.ndjson"; }
case_missing_pages() { one '-p 20000 -t 3' '--mode missing' missing "$D/t.ndjson"; }
case_write_and_missing() {
	one '-p 20000 -t 3' '--mode write,missing' missing "$D/t.ndjson"
}

# Each page of the truth is in one fault's block, and in one only.
agree_in_blocks() {
	awk '/^pages/ { for (i = 0; i < $3; i++) printf "%.0f\n", $2 + i }' "$1" | LC_ALL=C sort >"$D/truth"
	grep '^{"ev":"fault"' "$2" | sed 's/.*"page":\([0-9]*\),"npages":\([0-9]*\),.*/\1 \2/' |
		awk '{ first = $1 - $1 % $2; for (i = 0; i < $2; i++) printf "%.0f\n", first + i }' |
		LC_ALL=C sort >"$D/told"
	LC_ALL=C comm -12 "$D/told" "$D/truth" >"$D/of-them"
	cmp -s "$D/truth" "$D/of-them" ||
		wrong "$(wc -l <"$D/of-them") pages in blocks, $(wc -l <"$D/truth") are true" || return
	LC_ALL=C join "$D/told" "$D/truth" | LC_ALL=C uniq -d >"$D/twice"
	[ ! -s "$D/twice" ] || wrong "$(wc -l <"$D/twice") pages are in two blocks" || return
	local faults pages
	faults=$(grep -c '^{"ev":"fault"' "$2") pages=$(wc -l <"$D/truth")
	say "$faults faults for $pages pages"
	[ "$((faults * 4))" -lt "$pages" ] || wrong "$faults faults for $pages pages"
}
case_blocks_of_pages() {
	AGREE=agree_in_blocks one '-p 20000 -t 3 -x' '--granularity 16' wp "$D/t.ndjson" || return
	[ "$(jq -r 'select(.ev == "header") | .granularity' "$D/t.ndjson")" = 16 ] ||
		wrong 'the header does not say granularity 16'
}

# seq_whole FILE: 1, 2, 3 ... without a hole.
seq_whole() {
	tail -n +2 "$1" | sed 's/^[^,]*,"seq":\([0-9]*\),.*/\1/' |
		awk '$1 != NR { print "line " NR + 1 ": seq " $1; exit 1 }' ||
		wrong "seq has a hole"
}

# Recorded compressed; what jq and sqlite read is what zstd makes of it.
case_a_million_faults() {
	local plain=$D/plain.ndjson faults records told
	one '-p 250000 -t 4' '' wp "$D/m.ndjson.zst" || return
	seq_whole "$plain" || return
	faults=$(grep -c '^{"ev":"fault"' "$plain")
	records=$(($(wc -l <"$plain") - 1))
	[ "$faults" -ge 1000000 ] || wrong "$faults faults" || return
	say "$faults faults in $(wc -c <"$plain") bytes, compressed $(wc -c <"$D/m.ndjson.zst")"
	# jq reads every line and finds the same sum.
	[ "$(jq -n 'reduce inputs as $r (0; if $r.ev == "fault" then . + 1 else . end)' "$plain")" = "$faults" ] ||
		wrong "jq counts differently" || return
	[ "$(final "$plain" faults)" = "$faults" ] || wrong "stats count differently" || return
	# So does sqlite, a line a row.
	cat >"$D/load.sql" <<-SQL
	create table raw(line text);
	.mode ascii
	.separator "\037" "\n"
	.import $plain raw
	select count(*), count(distinct line ->> 'seq'), max(line ->> 'seq'),
		sum(line ->> 'ev' = 'fault') from raw;
	SQL
	told=$(sqlite3 "$D/m.db" <"$D/load.sql" 2>&1 | tr '\037\n' '| ')
	[ "${told% }" = "$((records + 1))|$records|$records|$faults" ] ||
		wrong "sqlite: $told for $records records, $faults faults"
}

# With --rearm each page is told again when it is written again.
case_rearm() {
	start_target "$D/target.out" "$T/writer" -T 60 -t 1 -p 16 -c "$D/count" || return
	record "$D/record.err" -p "$TARGET" -o "$D/t.ndjson" --rearm 100 -d 2
	wait_attached "$TARGET" || return
	end_of "$RECORDER" 20 || return
	[ "$STATUS" = 0 ] || wrong "record exited with $STATUS" || return
	runs_on "$D/count" || return
	target_ends "$TARGET" "$D/target.out" || return
	valid "$D/t.ndjson" || return
	local most
	most=$(jq -r 'select(.ev == "fault" and .write) | .page' "$D/t.ndjson" | sort | uniq -c | sort -rn |
		awk 'NR == 1 { print $1 }')
	[ "$most" -ge 10 ] || wrong "a page written all the time was told $most times in 20 epochs"
}

# dropped HOW: what is given back in one call takes longer to go than to be told of, and what is
# armed before it has gone goes with it.
dropped() {
	rm -f "$D/gate"
	mkfifo "$D/gate"
	"$T/dropper" "$D/gate" 1024 "$1" >"$D/target.out" 2>&1 </dev/null &
	TARGET=$!
	started "$TARGET"
	within 20 grep -q ^ready "$D/target.out" || wrong "the target is not ready" || return
	record "$D/record.err" -p "$TARGET" --engine sync -o "$D/t.ndjson" --rearm 10
	within 10 grep -q attached "$D/record.err" || wrong "it does not say that it is attached" || return
	sleep 0.5
	timeout 5 sh -c "echo >'$D/gate'" || wrong "the target does not begin" || return
	end_of "$TARGET" 60 || return
	[ "$STATUS" = 0 ] || wrong "the target: status $STATUS" || return
	end_of "$RECORDER" 30 || return
	[ "$STATUS" = 0 ] || wrong "record exited with $STATUS" || return
	valid "$D/t.ndjson" || return
	jq -r 'select(.ev == "remove") | "remove"' "$D/t.ndjson" | grep -q . || wrong "no removal is told" || return
	sed -n '/^{"ev":"remove"/,$p' "$D/t.ndjson" |
		jq -r 'if .ev == "fault" and .write then "w \(.page) 1"
			elif .ev == "gap" and has("page") then "g \(.page) \(.npages)" else empty end' >"$D/after"
	# Numbers of pages are no whole numbers to awk, and its keys are words.
	awk 'NR == FNR { if (/^pages/) { lo = $2; n = $3; step = $4 } next }
		{ for (p = $2 + 0; p < $2 + $3; p++) is[$1 sprintf("%.0f", p)] = 1 }
		END { for (i = 0; i < n; i++) { p = sprintf("%.0f", lo + i * step)
				told += ("w" p) in is; open += !(("w" p) in is) && !(("g" p) in is) }
			print n, "written,", told, "told,", open, "neither told nor in a gap"; exit !n || open }' \
		"$D/target.out" "$D/after" >"$D/sum" || wrong "$1: $(cat "$D/sum")" || return
	say "$1: $(cat "$D/sum")"
}
case_large_removals() { dropped dontneed && dropped free && dropped remove; }

run_cases "$@"
