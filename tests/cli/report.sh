#!/bin/bash
# SPDX-License-Identifier: MIT
#
# report: what it says of whole, cut and broken traces; its screens, options and JSON.
# limit: 60
set -u
# shellcheck source=tests/live/lib.sh
. "${SRC:?}/tests/live/lib.sh"

GOOD=$SRC/tests/data/trace/every-kind.ndjson
ASYNC=$SRC/tests/data/trace/async.ndjson
WHO=$SRC/tests/data/trace/who.ndjson
RESTORE=$SRC/tests/data/trace/restore.ndjson

# report STATUS ARGUMENT...: this status; the output is left in $D/r.out, r.err.
report() {
	local status=$1 rc
	shift
	timeout 60 "$PAGETAP" report "$@" >"$D/r.out" 2>"$D/r.err" </dev/null
	rc=$?
	[ $rc = "$status" ] || wrong "status $rc, not $status, of report $*: $(head -n 2 "$D/r.err")"
}
# says PATTERN...: a line of the report matches each.
says() {
	local p
	for p in "$@"; do
		grep -qE -- "$p" "$D/r.out" || wrong "does not say: $p" || return
	done
}
hushed() { ! grep -qE -- "$1" "$D/r.out" || wrong "says: $1"; }
complains() { grep -qxF -- "$1" "$D/r.err" || wrong "no such message: $1, but $(head -n 1 "$D/r.err")"; }
silent() { [ ! -s "$D/r.err" ] || wrong "it says: $(head -n 1 "$D/r.err")"; }
json() { [ "$(jq -c "$1" "$D/r.out")" = "$2" ] || wrong "$1 is $(jq -c "$1" "$D/r.out"), not $2"; }

case_overview() {
	report 0 "$GOOD" || return
	silent || return
	says '^  17 records lost \(ring\)$' '^  1 gap \(stall\): 1 of a whole address space' \
		'^  1 gap \(remove-race\): 2 pages, 500 ns$' \
		'^  written   5 pages at .*; 5 different ones \(20 KiB\)$' \
		'^  faults    7: 2 missing, 4 wp, 1 minor; threads waited ' \
		'^  1 error while watching: it has changed to another user$' \
		'not watched: 1 not-writable$' '^ +3 +60\.0 % +3 \(12 KiB\) +4 +1  anon x2$' \
		'^ +2 +40\.0 % .* \[heap\] x2$' ' caf\\351 \(deleted\)$' \
		'^answered in 6\.1 us \(p50\)' || return
	# Losses and gaps stand before every number.
	[ "$(grep -nE 'lost \(|gap \(' "$D/r.out" | cut -d: -f1 | tail -n 1)" -lt \
		"$(grep -n written "$D/r.out" | cut -d: -f1 | head -n 1)" ] || wrong 'losses come later' || return
	report 0 "$ASYNC" || return
	says '^  nothing lost, no gaps$' '^  written   4 pages .*; 3 different ones' || return
	hushed 'by thread|answered' || return
	# Two views of one write are one write.
	report 0 "$WHO" || return
	says '^  written   1 pages' '; all of them witnesses$' ' 4245  io_thd_1$'
}

case_tables() {
	report 0 --by thread "$GOOD" || return
	says '^by thread$' '^ +2 +40\.0 % +3 .* 4242  redis-server$' || return
	hushed 'by mapping' || return
	report 0 --by process "$GOOD" || return
	says ' redis-server 4300 \(2\)$' || return
	report 0 --by page --top 2 "$ASYNC" || return
	says '^ +2 +0 +0x55d0c8e1f000 +1  \[heap\]$' '^ +1 +0 +0x55d0c8e20000 ' \
		'^  \.\.\. and 1 more \(--top 0 shows all\)$' || return
	report 0 --by mapping --top 0 "$GOOD" || return
	says '^by mapping$' || return
	report 0 --wss "$ASYNC" || return
	says '^ +second +writes +pages +working set$' '^ +0\.000 +4 +3 +12 KiB  #+$'
}

case_heat() {
	report 0 --heatmap "$GOOD" || return
	says '^anon: 3 writes; a row is 4\.0 KiB, a column 1\.0 ms, the hottest cell 1$' \
		'^ +0x7f3c036df000 @$' '^~ +0x7f3c10001000  @$' '^ +0x55d0c8e1a000 @$' || return
	hushed $'\033' || return
	report 0 --heatmap --color always "$GOOD" || return
	says $'\033''\[48;5;228m ' || return
	NO_COLOR=1 report 0 --heatmap "$GOOD" || return
	hushed $'\033' || return
	report 0 --color always "$GOOD" || return
	says $'\033''\[31m17 records lost' || return
	COLUMNS=60 report 0 --heatmap "$GOOD" && COLUMNS=rubbish report 0 --heatmap "$GOOD"
}

# What a collection has found is drawn over its whole time, so that no column is empty.
case_heat_of_collections() {
	local i t
	{
		head -n 4 "$ASYNC"
		for i in 1 2 3 4 5 6 7 8; do
			# A little late, now more, now less.
			t=$((i * 1000000000 + i * i % 7 * 9000000))
			printf '{"ev":"dirty","seq":%d,"ts":%d,"pid":4242,"mm":1,"epoch":%d,"ts0":%d,"addr":"%s",%s\n' \
				$((i + 3)) $t "$i" $((t - 1000000000)) 0x55d0c8e1f000 \
				'"page":23035940383,"npages":1,"vma":1}'
		done
	} >"$D/t.ndjson"
	COLUMNS=80 report 0 --heatmap "$D/t.ndjson" || return
	says '; a row is 4\.0 KiB, a column 1\.[0-9]+ s, ' '^ +0x55d0c8e1f000 [.:=+*#%@-]{50,59}$'
}

# The root of a process, which only those may look at who may trace it.
case_root_of_a_process() {
	sleep 60 &
	started $!
	within 10 test -d "/proc/$!/root" || return
	report 0 --root "/proc/$!/root" --by symbol "$WHO" || return
	says '^by function$' || return
	report 1 --root "$D/none" "$WHO" && complains "pagetap: --root $D/none: No such file or directory" || return
	report 0 --root / --by symbol "$WHO"
}

case_parts() {
	report 0 --json -m heap "$GOOD" || return
	json '.total | [.written, .faults, .pages]' '[2,2,2]' || return
	json '[.mappings[].label]' '["[heap]"]' || return
	report 0 --json -m 'caf*' "$GOOD" || return
	json .total.faults 1 || return
	report 0 --json -a 7f3c036de000-0x7f3c036df000 "$GOOD" || return
	json '[.total.faults, .total.written]' '[1,1]' || return
	report 0 --json -e minor,fork "$GOOD" || return
	json '[.total.faults, .total.minor, .records.fork, .records.exit]' '[1,1,1,0]' || return
	report 0 --json -e missing "$ASYNC" || return
	json .total.dirty 0 || return
	report 0 --json -p 4300 "$GOOD" || return
	json '[.total.faults, .threads[0].tid]' '[1,4300]' || return
	report 0 --json --until 0.001 "$GOOD" || return
	json '[.total.faults, .records.detach]' '[4,0]' || return
	report 0 --json --since 0.001 "$GOOD" || return
	json '[.total.faults, .records.attach]' '[3,0]' || return
	report 0 --json --since 0.001 --until 0.0012 "$GOOD" || return
	json .total.faults 2 || return
	report 2 --since 2 --until 1 "$GOOD" || return
	complains 'pagetap: --since is not before --until'
}

case_json() {
	report 0 --json --heatmap "$GOOD" || return
	silent || return
	[ "$(wc -l <"$D/r.out")" = 1 ] || wrong 'not one line' || return
	json .schema '"pagetap.report/1"' || return
	json '.trace | [.engine, .records, .complete, .cut, .detach]' '["sync",34,true,false,"sigint"]' || return
	json .lost '[{"reason":"ring","records":1,"n":17,"uncounted":false}]' || return
	json '[.gaps[] | [.reason, .whole, .pages]]' '[["remove-race",0,2],["stall",1,0]]' || return
	json '[.mappings[] | [.label, .kind, .written, .gaps]]' \
		'[["[heap]","heap",2,0],["anon","anon",3,1],["caf� (deleted)","shmem",0,0]]' || return
	json '.mappings[2].name_hex' '"2f6465762f73686d2f636166e9202864656c6574656429"' || return
	json '.latency | [.n, .octaves[12]]' '[7,5]' || return
	json '[.heat.maps[] | .sum]' '[2,3]' || return
	json '.threads | map(.writes) | add' 5 || return
	json '.rows | [.processes, .threads, .pages]' '[2,4,6]' || return
	report 0 --json --top 1 "$GOOD" || return
	json '[.processes, .mappings, .threads, .pages] | map(length)' '[1,1,1,1]' || return
	json '[.processes[0].mm, .mappings[0].kind, .threads[0].tid]' '[1,"anon",4242]' || return
	report 0 --json --heatmap "$GOOD" || return
	# Keys that other tools take for something else.
	jq -e '[paths | map(strings)[-1]] | any(test("^(end|from|to|order|group|count|size|date)$|_at$|_time$"))
		| not' "$D/r.out" >/dev/null || wrong 'a key with a forbidden name'
}

case_cut() {
	head -c -300 "$GOOD" >"$D/cut.ndjson"
	local whole lines
	lines=$(wc -l <"$D/cut.ndjson")
	whole=$(head -n "$lines" "$D/cut.ndjson" | wc -c)
	cd "$D" || return
	report 0 cut.ndjson || return
	complains "pagetap: cut.ndjson: no detach record, last line cut at byte $(printf "%'d" 0 |
		sed "s/.*/$(sed ':a;s/\B[0-9]\{3\}\>/,&/;ta' <<<"$whole")/"); using the $((lines - 1)) whole records" || return
	says '^  the end of the trace is missing$' '^  17 records lost' || return
	head -n 20 "$GOOD" >short.ndjson
	report 0 short.ndjson || return
	grep -q 'no detach record, it ends at byte .*; using the 19 whole records' r.err || wrong 'not said' || return
	sed '12d; 20s/.*/nonsense/' "$GOOD" >holes.ndjson
	report 0 --json holes.ndjson || return
	complains 'pagetap: holes.ndjson: 1 record is missing, in 1 place' || return
	grep -q '^pagetap: holes.ndjson: 1 line is no record; the first is line 19: no JSON' r.err ||
		wrong 'the line is not named' || return
	json '.trace | [.holes, .missing, .unreadable, .records]' '[1,1,1,32]'
}

case_compressed() {
	cd "$D" || return
	zstd -q <"$GOOD" >t.zst
	report 0 --json t.zst || return
	json .total.written 5 || return
	"$PAGETAP" report --json - <"$GOOD" >r.out || return
	json .file '"-"' || return
	json .total.written 5 || return
	head -n 20 "$GOOD" | zstd -q >bad.zst
	tail -n +21 "$GOOD" | zstd -q | tr '\0-\377' '\1-\377\0' >>bad.zst
	report 1 bad.zst || return
	grep -q '^pagetap: bad.zst: no detach record, compressed data damaged behind byte .*; using the 19 whole' \
		r.err || wrong "not said: $(cat r.err)" || return
	says '^by mapping$'
}

case_no_trace() {
	cd "$D" || return
	report 2 && complains 'pagetap: no FILE given' || return
	report 2 a b && complains 'pagetap: one FILE only' || return
	report 1 none && complains 'pagetap: none: No such file or directory' || return
	report 1 . && complains 'pagetap: .: Is a directory' || return
	: >empty
	report 1 empty && complains 'pagetap: empty: not a trace: there is no line in it' || return
	echo hello >text
	report 1 text || return
	grep -q '^pagetap: text: not a trace: ' r.err && grep -q '^hint: ' r.err || wrong "says: $(cat r.err)" || return
	sed '1s|pagetap.trace/1|pagetap.trace/2|' "$GOOD" >t.ndjson
	report 5 t.ndjson && complains 'pagetap: t.ndjson is pagetap.trace/2; this program reads /1' || return
	"$PAGETAP" report "$GOOD" >/dev/full 2>r.err
	[ $? = 1 ] || wrong 'a full disk is no failure' || return
	grep -q 'standard output: No space left' r.err || wrong "says: $(cat r.err)"
}

# A line of how far it is, at a terminal; erased, and never in a file.
case_terminal() {
	local esc=$'\033' long
	long=$(printf 'x%.0s' {1..200})
	sed "s|\"/dev/shm/caf[^}]*\"off\"|\"/$long\",\"off\"|" "$GOOD" | head -n 10 >"$D/t.ndjson"
	awk 'BEGIN { for (i = 10; i < 9000; i++) printf "{\"ev\":\"fault\",\"seq\":%d,\"ts\":%d," \
		"\"pid\":4242,\"mm\":1,\"tid\":4242,\"kind\":\"wp\",\"write\":true,\"addr\":\"0x7f3c20000000\"," \
		"\"page\":34154348544,\"npages\":1,\"vma\":4,\"act\":\"unprotect\",\"via\":\"uffd\"," \
		"\"lat_ns\":6100,\"stop_ns\":9100}\n", i, 700000 + i }' >>"$D/t.ndjson"
	timeout 30 env TERM=xterm COLUMNS=100 SHELL=/bin/sh script -qefc "cd $D; $PAGETAP report t.ndjson" /dev/null \
		>"$D/tty" 2>&1 </dev/null || return
	grep -qE "$esc\\[Kreading \\[#+ *\\] +[0-9]+ % of [0-9.]+ [KM]iB" "$D/tty" || wrong 'no line of progress' || return
	tr '\r' '\n' <"$D/tty" | grep -A1 '% of' | tail -n 1 | grep -q "^$esc\\[K" || wrong 'it is not erased' || return
	grep -q 'xxx\.\.\.' "$D/tty" || wrong 'the name is not cut' || return
	! tr -d '\r' <"$D/tty" | grep -v 'pagetap: ' | sed "s/.*$esc\\[K//; s/$esc\\[[0-9;]*m//g" | grep -qE '^.{101}' ||
		wrong 'a line is too long' || return
	report 0 "$D/t.ndjson" || return
	! grep -q '% of' "$D/r.err" || wrong 'progress in a file' || return
	says "$long"
}

# What lazy-pages writes: touches, of threads that nobody knows.
case_restore() {
	report 0 "$RESTORE" || return
	silent || return
	says '^  nothing lost, no gaps$' '^ +touches +share ' '^ +1 +25\.0 % .* unknown$' \
		'; 2 pages from here, 1 from elsewhere; threads waited 128 us in all$' || return
	hushed 'by thread' || return
	report 0 --json "$RESTORE" || return
	json '.total | [.faults, .written, .pages, .local, .remote]' '[4,1,4,2,1]' || return
	json .trace.detach '"complete"' || return
	report 0 --by thread "$RESTORE" || return
	says ' 0  \(not known\)$'
}

# Names that give orders to a terminal, or are longer than a line.
case_hostile() {
	local long
	long=$(printf 'A%.0s' {1..4000})
	sed -e 's|"\[heap\]"|"/tmp/\\u001b]0;x\\u0007\\u202e<b>"|' -e 's|"comm":"redis-server"|"comm":"\\u001b[2J"|' \
		-e "s|\"name\":\"/dev/shm/caf[^\"]*\",\"name_hex\":\"[0-9a-f]*\"|\"name\":\"/$long\"|" "$GOOD" >"$D/t.ndjson"
	for o in '' --by=mapping --by=thread --by=page --heatmap --json; do
		report 0 ${o:+"$o"} --color never "$D/t.ndjson" || return
		LC_ALL=C grep -q $'[\001-\010\013-\037\177]' "$D/r.out" && { wrong "control bytes with '$o'" || return; }
		LC_ALL=C grep -q $'\342\200\256' "$D/r.out" && [ "$o" != --json ] && { wrong 'text turned round' || return; }
	done
	jq -e '.mappings | length == 3' "$D/r.out" >/dev/null || wrong 'no JSON'
}

run_cases "$@"
