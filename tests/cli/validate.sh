#!/bin/bash
# SPDX-License-Identifier: MIT
#
# validate: the verdict on good traces, on traces with one planted fault, and on what
# is no trace; the schema, the samples of the manual page and its recipes.
# limit: 180
set -u
# shellcheck source=tests/live/lib.sh
. "${SRC:?}/tests/live/lib.sh"

GOOD=$SRC/tests/data/trace/every-kind.ndjson
ASYNC=$SRC/tests/data/trace/async.ndjson
WHO=$SRC/tests/data/trace/who.ndjson
BUDGET=$SRC/tests/data/trace/budget.ndjson
RESTORE=$SRC/tests/data/trace/restore.ndjson
PAGE=$SRC/man/pagetap-trace.5

# validate STATUS ARGUMENT...: this status; the output is left in $D/v.out, v.err.
validate() {
	local status=$1 rc
	shift
	timeout 60 "$PAGETAP" validate "$@" >"$D/v.out" 2>"$D/v.err" </dev/null
	rc=$?
	[ $rc = "$status" ] || wrong "status $rc, not $status, of validate $*"
}
says() { grep -qxF -- "$1" "$D/v.out" || wrong "does not say: $1"; }
complains() { grep -qxF -- "$1" "$D/v.err" || wrong "no such error: $1"; }
silent() { [ ! -s "$1" ] || wrong "${1##*/} is not empty"; }

case_good() {
	cp "$GOOD" "$D/t.ndjson"
	cd "$D" || return
	validate 0 t.ndjson || return
	says 't.ndjson: valid: 34 records, 7 faults, 5 writes, 17 lost, 2 gaps' || return
	[ "$(wc -l <v.out)" = 1 ] || wrong 'more than a line' || return
	silent v.err || return
	validate 0 "$ASYNC" "$WHO" "$BUDGET" "$RESTORE" t.ndjson || return
	[ "$(wc -l <v.out)" = 5 ] || wrong 'not a line a file' || return
	"$PAGETAP" validate - <t.ndjson >v.out || return
	says '-: valid: 34 records, 7 faults, 5 writes, 17 lost, 2 gaps' || return
	validate 0 -q t.ndjson || return
	silent v.out || return
	silent v.err
}

# Two frames, as a recorder leaves them that writes for two seconds.
case_compressed() {
	cd "$D" || return
	head -n 20 "$GOOD" | zstd -q >first
	tail -n +21 "$GOOD" | zstd -q >second
	cat first second >t.any
	validate 0 t.any || return
	says 't.any: valid: 34 records, 7 faults, 5 writes, 17 lost, 2 gaps' || return
	{ cat first; head -c 100 second; } >cut.any
	validate 1 cut.any || return
	grep -q '^cut.any: not valid: .*cut off at byte [0-9]*, 2 complaints$' v.out ||
		wrong 'does not say that it is cut' || return
	validate 0 --allow-cut cut.any || return
	grep -q '^cut.any: valid: 19 records, ' v.out || wrong 'a whole frame is lost' || return
	{ cat first; head -c 100 second | tr '\0-\377' '\1-\377\0'; } >bad.any
	validate 1 bad.any || return
	complains 'pagetap: bad.any: the compressed data is damaged after line 20'
}

# planted SED LINE WORDS: the good trace, changed, is refused at that line with those words.
planted() {
	sed "$1" "$GOOD" >"$D/t.ndjson"
	! cmp -s "$GOOD" "$D/t.ndjson" || wrong "nothing planted by $1" || return
	(cd "$D" && validate 1 t.ndjson) || return
	grep -q "^t.ndjson:$2: .*$3" "$D/v.out" || wrong "$1: no '$3' at line $2" || return
	grep -q '^t.ndjson: not valid: ' "$D/v.out" || wrong "$1: no verdict"
}

case_planted_order() {
	planted 12d 12 'seq is 12 after 10' || return
	planted '3s/"seq":2/"seq":3/' 3 'seq is 3 after 1' || return
	planted '3s/"ts":613345/"ts":1/' 3 'ts goes back' || return
	planted '3s/"seq":2,"ts":613345/"ts":613345,"seq":2/' 3 'key 2 is "ts", not "seq"' || return
	planted '35d' 34 'no detach record' || return
	planted '34d' 34 'detach without final stats' || return
	planted '35p' 36 'a record after the detach' || return
	planted '1p' 2 'a second header'
}

case_planted_shape() {
	planted '11s/"tid":4242,//' 11 'key "tid" is missing' || return
	planted '11s/"tid":4242/"tid":"4242"/' 11 '"tid" has no value that it may have' || return
	planted '11s/"kind":"wp"/"kind":"ww"/' 11 '"kind" has no value' || return
	planted '11s/"vma":2/"vma":2.5/' 11 '"vma" has no value' || return
	planted '11s/"lat_ns":6100/"lat_ns":99999999999/' 11 '"lat_ns" has no value' || return
	planted '11s/23035940378/23035940379/' 11 'divided by the page size' || return
	planted '11s/"vma":2/"vma":2,"count":1/' 11 'no key may be called "count"' || return
	planted '11s/"vma":2/"vma":2,"vma":2/' 11 'duplicate' || return
	planted '11s/}$//' 11 'no JSON' || return
	planted '3s/,"why":"not-writable"//' 3 'has no "why"' || return
	planted '7s/"ts0":616845/"ts0":617346/' 7 'ends before it begins' || return
	planted '7s/"npages":64/"npages":0/' 7 '"npages"' || return
	planted '10s/^/x/' 10 'no JSON'
}

case_planted_meaning() {
	planted '11{p;s/"seq":10/"seq":11/}' 12 'page 23035940378 is not covered' || return
	planted '7s/"mode":"wp"/"mode":"missing"/' 11 'is not covered' || return
	planted '11s/"vma":2/"vma":3/' 11 'is not in vma 3' || return
	planted '11s/"vma":2/"vma":77/' 11 'vma 77 is not in mm 1' || return
	planted '11s/"mm":1/"mm":9/' 11 'mm 9 has not been introduced' || return
	planted '11s/"pid":4242/"pid":4243/' 11 'mm 1 is that of process 4242' || return
	planted '5s/"id":3/"id":2/' 5 'vma id 2 is used a second time' || return
	planted '20s/0x7f3c10000000","page":34154283008/0x7f3c036db000","page":34154231515/' 20 \
		'vma 5 overlaps vma 3' || return
	planted '31s/"npages":8/"npages":9/' 31 'vma 3 goes from another place' || return
	planted '34s/"faults":24/"faults":25/' 34 'stats.faults is 25, the records make it 24' || return
	planted '34s/"lost":17/"lost":16/' 34 'stats.lost is 16, the records make it 17' || return
	planted '34s/"writes":20/"writes":4/' 34 'stats.writes is 4' || return
	planted '32s/"faults":17/"faults":18/' 32 'more faults are lost than records'
}

case_cut() {
	head -c -20 "$GOOD" >"$D/t.ndjson"
	cd "$D" || return
	validate 1 t.ndjson || return
	grep -qE '^t.ndjson:35: the last line is cut off at byte [0-9]+$' v.out ||
		wrong 'the cut is not told' || return
	validate 0 --allow-cut t.ndjson || return
	grep -qE '^t.ndjson: valid: 33 records, .*, the last line cut off at byte [0-9]+$' v.out ||
		wrong 'the cut is not told' || return
	head -n 30 "$GOOD" >t.ndjson
	validate 0 --allow-cut t.ndjson || return
	grep -q ', without an end$' v.out || wrong 'the missing end is not told'
}

case_no_trace() {
	cd "$D" || return
	: >empty
	validate 1 empty || return
	complains 'pagetap: empty: not a trace: there is no line in it' || return
	echo 'hello' >text
	validate 1 text || return
	complains 'pagetap: text: not a trace: line 1 is no header of pagetap.trace/1' || return
	validate 1 missing || return
	complains 'pagetap: missing: No such file or directory' || return
	validate 1 . || return
	complains 'pagetap: .: Is a directory' || return
	head -c 200000 /dev/zero | tr '\0' x >long
	validate 1 long || return
	complains 'pagetap: long: not a trace: line 1 is too long for a header' || return
	silent v.out || return
	# A bad one among good ones decides, and does not hide them.
	validate 1 "$GOOD" missing "$ASYNC" || return
	[ "$(grep -c ': valid: ' v.out)" = 2 ] || wrong 'the good ones are not told'
}

case_later_format() {
	sed '1s,pagetap.trace/1,pagetap.trace/2,' "$GOOD" >"$D/t.ndjson"
	cd "$D" || return
	validate 5 t.ndjson || return
	complains 'pagetap: t.ndjson is pagetap.trace/2; this program reads /1' || return
	silent v.out
}

# A later writer of /1 may add keys; and kinds, which are counted.
case_additions() {
	sed '11s/"vma":2/"vma":2,"mood":"fine"/' "$GOOD" |
		sed '28s/"ev":"error"/"ev":"mood"/' >"$D/t.ndjson"
	validate 0 "$D/t.ndjson"
}

case_many_complaints() {
	{ head -n 1 "$GOOD"; yes '{"ev":"x"}' | head -n 50; } >"$D/t.ndjson"
	cd "$D" || return
	validate 1 t.ndjson || return
	[ "$(grep -c '^t.ndjson:[0-9]*: ' v.out)" = 20 ] || wrong 'not 20 shown' || return
	says 't.ndjson: 31 more complaints; -v shows them' || return
	validate 1 -v t.ndjson || return
	[ "$(grep -c '^t.ndjson:[0-9]*: ' v.out)" = 51 ] || wrong 'not all shown'
}

case_json() {
	cp "$GOOD" "$D/t.ndjson"
	cd "$D" || return
	validate 0 --json t.ndjson || return
	jq -e '.file == "t.ndjson" and .valid and .records == 34 and .faults == 7 and .writes == 5
		and .lost == 17 and .gaps == 2 and .complete and (.cut | not)
		and .ncomplaints == 0 and .complaints == []' v.out >/dev/null || wrong 'values' || return
	sed 12d "$GOOD" >t.ndjson
	validate 1 -J t.ndjson "$ASYNC" missing || return
	[ "$(wc -l <v.out)" = 3 ] || wrong 'not one object a file' || return
	jq -es '.[0].valid == false and (.[0].complaints[0] | .line == 12 and (.words | test("seq")))
		and .[1].valid and .[2].valid == false and (.[2].error | test("No such file"))' \
		v.out >/dev/null || wrong 'values of a bad one'
}

case_foreign_names() {
	cp "$GOOD" "$D/"$'a\e[2J\xff.ndjson'
	cd "$D" || return
	validate 0 ./a* || return
	! grep -q "$(printf '\033')" v.out || wrong 'an escape got through' || return
	validate 0 -J ./a* || return
	jq -e .file_hex v.out >/dev/null || wrong 'the raw name is missing'
}

case_full_output() {
	timeout 20 "$PAGETAP" validate "$GOOD" >/dev/full 2>"$D/v.err"
	[ $? = 1 ] || wrong 'no error' || return
	complains 'pagetap: standard output: No space left on device'
}

case_schema() {
	/usr/bin/python3 - "$SRC/monitor/trace/trace-1.schema.json" "$GOOD" "$ASYNC" "$WHO" "$BUDGET" "$RESTORE" >"$D/s.out" 2>&1 <<-'END'
	import copy, json, sys, jsonschema

	schema = json.load(open(sys.argv[1]))
	jsonschema.Draft7Validator.check_schema(schema)
	v = jsonschema.Draft7Validator(schema)
	kinds = set()
	for path in sys.argv[2:]:
	    for line in open(path):
	        o = json.loads(line)
	        kinds.add(o["ev"])
	        assert v.is_valid(o), (line, next(v.iter_errors(o)).message)
	        needed = schema["definitions"][o["ev"]]["required"]
	        for key in needed:
	            less = {k: o[k] for k in o if k != key}
	            assert not v.is_valid(less), ("without", key, line)
	            other = copy.deepcopy(o)
	            other[key] = {}
	            assert not v.is_valid(other), ("with an odd", key, line)
	        for bad in "size", "start_time", "timestamp_ns":
	            assert not v.is_valid({**o, bad: 1}), (bad, line)
	        assert v.is_valid({**o, "mood": [1]}), line
	assert kinds == {d for d in schema["definitions"] if "ev" in
	                 schema["definitions"][d].get("properties", {})}, kinds
	print("fine")
	END
	[ "$(tail -n 1 "$D/s.out")" = fine ] || wrong "$(tail -n 3 "$D/s.out")"
}

# The samples of the manual page are lines of the sample traces, and of every kind.
case_manual_samples() {
	/usr/bin/python3 - "$PAGE" "$GOOD" "$ASYNC" "$WHO" "$BUDGET" "$RESTORE" \
		>"$D/m.out" 2>&1 <<-'END'
	import json, re, sys

	page = open(sys.argv[1]).read()
	lines = [json.loads(l) for p in sys.argv[2:] for l in open(p)]
	blocks = re.findall(r'^\.Bd -literal -compact\n(\{"ev".*?)^\.Ed$', page, re.S | re.M)
	shown = [json.loads(b.replace("\\e", "\\")) for b in blocks]
	for s in shown:
	    assert s in lines, s
	    heading = re.findall(r"^\.Ss (\w+)$", page, re.M)
	    assert s["ev"] in heading, s["ev"]
	assert {s["ev"] for s in shown} == {l["ev"] for l in lines}
	# And each key of a line is named in the page.
	for l in lines:
	    for key in l:
	        assert re.search(r"\b%s\b" % key, page), key
	print("fine", len(shown))
	END
	grep -q '^fine ' "$D/m.out" || wrong "$(tail -n 3 "$D/m.out")"
}

# Every word of the format stands in the manual page and in the schema.
case_manual_words() {
	local word
	grep -oE 'X\([A-Z_0-9]+, "[a-z-]+"\)' "$SRC/include/pagetap/trace.h" |
		sed 's/.*"\(.*\)".*/\1/' >"$D/words"
	[ "$(wc -l <"$D/words")" -gt 60 ] || wrong 'few words' || return
	while read -r word; do
		grep -qE "(^|[^a-z-])$word([^a-z-]|\$)" "$PAGE" || wrong "$word is not in the page" || return
		grep -q "\"$word\"" "$SRC/monitor/trace/trace-1.schema.json" ||
			wrong "$word is not in the schema" || return
	done <"$D/words"
}

case_recipes() {
	cp "$GOOD" "$D/t.ndjson"
	cd "$D" || return
	[ "$(jq -c 'select(.ev=="stats" and .final)' t.ndjson | wc -l)" = 1 ] || wrong 'jq' || return
	[ "$(grep '^{"ev":"fault"' t.ndjson | jq -s 'map(.stop_ns) | add')" = \
		"$(jq -s '[.[] | select(.ev=="fault") | .stop_ns] | add' t.ndjson)" ] ||
		wrong 'jq after grep' || return
	jq -r 'select(.ev=="fault" and .write) | .page' t.ndjson | sort | uniq -c >pages
	[ "$(wc -l <pages)" = 5 ] || wrong 'pages' || return
	# As it stands in the page.
	sed -n '/^create table t/,/^\.Ed/p' "$PAGE" |
		sed -e '/^\.Ed/d' -e 's/^\\&//' -e 's/\\e/\\/g' >recipe.sql
	sqlite3 t.db <recipe.sql >rows || wrong 'sqlite3' || return
	[ "$(tr '\037' '|' <rows | grep -c .)" = 4 ] || wrong "rows: $(cat rows)" || return
	[ "$(sqlite3 t.db 'select count(*) from t')" = 35 ] || wrong 'sqlite3 lost lines'
}

# A fault line costs well below the microseconds of a JSON library.
case_fast() {
	awk -v n=300000 '
		NR == 1 { print; next }
		NR == 2 { print; next }
		END {
			printf "{\"ev\":\"vma\",\"seq\":2,\"ts\":700000,\"pid\":4242,\"mm\":1,\"id\":1,\"op\":\"snapshot\",\"addr\":\"0x10000000\",\"page\":65536,\"npages\":%d,\"prot\":\"rw-p\",\"name\":\"\",\"off\":0,\"ino\":0,\"kind\":\"anon\",\"watch\":true}\n", n
			printf "{\"ev\":\"arm\",\"seq\":3,\"ts\":700000,\"pid\":4242,\"mm\":1,\"ts0\":1,\"addr\":\"0x10000000\",\"page\":65536,\"npages\":%d,\"mode\":\"wp\"}\n", n
			for (i = 0; i < n; i++) {
				page = i * 7919 % n
				printf "{\"ev\":\"fault\",\"seq\":%d,\"ts\":%d,\"pid\":4242,\"mm\":1,\"tid\":4242,\"kind\":\"wp\",\"write\":true,\"addr\":\"0x%x\",\"page\":%d,\"npages\":1,\"vma\":1,\"act\":\"unprotect\",\"via\":\"uffd\",\"lat_ns\":6100,\"stop_ns\":91000}\n", i + 4, 700000 + i, 268435456 + page * 4096, 65536 + page
			}
			printf "{\"ev\":\"stats\",\"seq\":%d,\"ts\":99999999,\"pid\":4242,\"mm\":0,\"final\":true,\"faults\":%d,\"writes\":%d,\"lost\":0,\"repeats\":0,\"lat_p50_ns\":0,\"lat_p99_ns\":0,\"stop_p99_ns\":0,\"dirty_pages\":0,\"rss_kb\":0}\n", n + 4, n, n
			printf "{\"ev\":\"detach\",\"seq\":%d,\"ts\":99999999,\"pid\":4242,\"mm\":0,\"reason\":\"limit\",\"clean\":true}\n", n + 5
		}' "$GOOD" >"$D/t.ndjson"
	local begin=${EPOCHREALTIME/./} spent
	validate 0 "$D/t.ndjson" || return
	spent=$((${EPOCHREALTIME/./} - begin))
	grep -q ': valid: 300005 records, 300000 faults, 300000 writes, 0 lost' "$D/v.out" ||
		wrong 'counts' || return
	say "300,000 faults in $((spent / 1000)) ms"
	# A JSON library alone would need more than two seconds.
	[ $spent -lt 2000000 ] || wrong 'slow'
}

run_cases "$@"
