#!/bin/bash
# SPDX-License-Identifier: MIT
#
# writers: who wrote it, by function: a program that says so itself, redis and sqlite.
# limit: 120
. "$(dirname "$0")/lib.sh"
needs_async

# recorded EPOCH PID: from now on; ends with the target, or by stop_record.
recorded() {
	record "$D/record.err" -p "$2" --engine async --who --sure --epoch "$1" -o "$D/t.ndjson"
	within 10 grep -q attached "$D/record.err" || wrong "not attached: $(tail -n 2 "$D/record.err")"
}

# exports_hold: every form of the trace, held against its format and the trace.
exports_hold() {
	local form forms='chrome folded speedscope csv openmetrics pages'
	for form in $forms; do
		timeout 60 "$PAGETAP" export -q --to "$form" "$D/t.ndjson" >"$D/x.$form" ||
			wrong "export --to $form" || return
	done
	# shellcheck disable=SC2086
	timeout 60 /usr/bin/python3 "$SRC/tests/cli/export-check.py" "$D/t.ndjson" "$D" $forms \
		>"$D/check.out" 2>&1 || wrong "$(tail -n 1 "$D/check.out")"
}

reported() {
	timeout 60 "$PAGETAP" report -q --json "$D/t.ndjson" >"$D/report.json" || wrong 'report'
}

# within_one_per_cent WHAT TOLD KNOWN ALL
within_one_per_cent() {
	local off=$(($2 - $3))
	[ $((${off#-} * 100)) -le "$4" ] || wrong "$1: $2 told, $3 known, of $4"
}

# 70, 20 and 10 of 100 pages, in random order.
case_known_shares() {
	local name known told all
	mkfifo "$D/gate"
	"$T/quills" 2000 4 250 <"$D/gate" >"$D/says.out" 2>&1 &
	TARGET=$!
	started "$TARGET"
	exec 9>"$D/gate"
	within 10 grep -q '^ready' "$D/says.out" || wrong 'the target is not ready' || return
	recorded 100 "$TARGET" || return
	sleep 0.2
	echo >&9
	exec 9>&-
	end_of "$TARGET" 20 && end_of "$RECORDER" 20 || return
	valid "$D/t.ndjson" || return
	reported || return
	all=$(jq .total.written "$D/report.json")
	for name in write_often write_some write_seldom; do
		known=$(sed -n "s/^wrote .*$name=\([0-9]*\).*/\1/p" "$D/says.out")
		told=$(jq ".functions | map(select(.name==\"$name\")) | .[0].writes_below // 0" "$D/report.json")
		say "$name: $told told, $known known, of $all"
		within_one_per_cent "$name" "$told" "$known" "$all" || return
	done
	# What was inlined is told by itself, with where it was called.
	[ "$(jq -c '.functions[0] | [.name, .chain[-2], (.file | split("/")[-1])]' "$D/report.json")" = \
		'["put_byte","write_often","quills.c"]' ] || wrong "first is $(jq -c '.functions[0]' "$D/report.json")" || return
	name=$(grep -n '\*(volatile unsigned char \*)p += 1;' "$SRC/tests/target/quills.c" | cut -d: -f1)
	[ "$(jq '.functions[0].line' "$D/report.json")" = "$name" ] || wrong "line $(jq '.functions[0].line' "$D/report.json"), not $name" || return
	timeout 60 "$PAGETAP" report -q --by symbol "$D/t.ndjson" >"$D/text.out" || wrong 'report --by symbol' || return
	grep -q "put_byte (quills) quills.c:$name\$" "$D/text.out" || wrong 'no line of put_byte' || return
	grep -q '< write_often < one_page < one_round < main$' "$D/text.out" || wrong 'no chain of it' || return
	# Of another program of that name nothing is believed, and without symbols nothing asked.
	mkdir -p "$D/root$T" && cp "$T/penmen" "$D/root$T/quills" || return
	timeout 60 "$PAGETAP" report --by symbol --root "$D/root" "$D/t.ndjson" >"$D/other.out" 2>"$D/other.err" || return
	grep -q 'quills (build id differs)' "$D/other.out" || wrong 'does not say that the build differs' || return
	grep -q 'is another build than in the trace' "$D/other.err" || wrong 'no warning' || return
	[ "$(timeout 60 "$PAGETAP" export -q --no-symbols --to folded "$D/t.ndjson" | grep -c write_often)" = 0 ] ||
		wrong 'names without symbols' || return
	exports_hold
}

redis_answers() { redis-cli -s "$D/redis.sock" ping 2>/dev/null | grep -q PONG; }

case_redis() {
	redis-server --port 0 --unixsocket "$D/redis.sock" --save '' --appendonly no \
		>"$D/redis.out" 2>&1 &
	TARGET=$!
	started "$TARGET"
	within 10 redis_answers || wrong 'redis does not answer' || return
	recorded 50 "$TARGET" || return
	timeout 20 redis-benchmark -s "$D/redis.sock" -q -n 8000 -r 8000 -d 300 -t set,lpush \
		>"$D/bench.out" 2>&1 || wrong "redis-benchmark: $(tail -n 1 "$D/bench.out")" || return
	stop_record "$RECORDER" || return
	reported || return
	timeout 60 python3 "$SRC/tests/live/writers-check.py" "$D/t.ndjson" "$D/report.json" \
		"$(basename "$(readlink -f "$(command -v redis-server)")")" \
		>"$D/check.out" 2>&1 || wrong "$(tail -n 1 "$D/check.out")" || return
	say "$(tail -n 1 "$D/check.out")"
	exports_hold
}

# Its library has names of what others may call, no more.
case_sqlite() {
	mkfifo "$D/in"
	sqlite3 "$D/db" <"$D/in" >"$D/sql.out" 2>&1 &
	TARGET=$!
	started "$TARGET"
	exec 9>"$D/in"
	echo 'create table t (a integer primary key, b text);' >&9
	within 10 test -s "$D/db" || wrong 'no data base' || return
	# Who else holds the pipe keeps its end from being seen.
	recorded 50 "$TARGET" 9>&- || return
	echo "pragma cache_size = 8000; with recursive n(i) as (select 1 union all select i + 1 from n
		where i < 60000) insert into t select i, hex(randomblob(50)) from n;
		select count(*) from t;" >&9
	exec 9>&-
	end_of "$TARGET" 20 && end_of "$RECORDER" 20 || return
	grep -qx 60000 "$D/sql.out" || wrong "sqlite says $(tail -n 1 "$D/sql.out")" || return
	reported || return
	timeout 60 python3 "$SRC/tests/live/writers-check.py" "$D/t.ndjson" "$D/report.json" \
		libsqlite3.so.0.8.6 >"$D/check.out" 2>&1 || wrong "$(tail -n 1 "$D/check.out")" || return
	say "$(tail -n 1 "$D/check.out")"
}

javascript() {
	cat >"$D/x.js" <<-'EOF'
		const pages = Buffer.alloc(4096 * 2000);
		let round = 0;
		function scribble(k) { for (let i = 0; i < 2000; i++) pages[i * 4096 + k % 50] = k; }
		function again() { scribble(round++); if (round < 2000) setTimeout(again, 5); }
		again();
	EOF
	# It leaves a log where it runs.
	(cd "$D" && exec node --perf-basic-prof --interpreted-frames-native-stack x.js >node.out 2>&1) &
	TARGET=$!
	started "$TARGET"
	within 10 grep -q scribble "/tmp/perf-$TARGET.map" 2>/dev/null || wrong 'no perf map' || return
	recorded 100 "$TARGET" || return
	sleep 0.7
	stop_record "$RECORDER" || return
	reported || return
	jq -c '.functions[0] | [.name, .writes]' "$D/report.json" >"$D/first.out"
	say "$(cat "$D/first.out")"
	jq -e '.total.writes as $all | .functions | map(select(.name | test("scribble .*x[.]js:3"))) |
		map(.writes) | add * 10 > $all * 9' "$D/report.json" >/dev/null ||
		wrong 'it is not told who wrote'
}

# Code that is made at run time has the names that its maker left for perf(1).
case_javascript() {
	local rc
	javascript
	rc=$?
	rm -f "/tmp/perf-$TARGET.map"
	return $rc
}

run_cases "$@"
