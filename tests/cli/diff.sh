#!/bin/bash
# SPDX-License-Identifier: MIT
#
# diff: what changed between two traces, and what cannot be compared.
# limit: 60
set -u
# shellcheck source=tests/live/lib.sh
. "${SRC:?}/tests/live/lib.sh"

WHO=$SRC/tests/data/trace/who.ndjson

# differ STATUS ARGUMENT...: the answer is left in $D/x.out, what was said in $D/x.err.
differ() {
	local status=$1 rc
	shift
	timeout 60 "$PAGETAP" diff "$@" >"$D/x.out" 2>"$D/x.err" </dev/null
	rc=$?
	[ $rc = "$status" ] || wrong "status $rc, not $status, of diff $*: $(head -n 1 "$D/x.err")"
}

# rates OUT SECONDS NAME=COUNT...: a trace of so long, in which pages of mappings were written.
rates() {
	python3 - "$WHO" "$@" <<-'EOF'
		import json, sys
		out, seconds, names = open(sys.argv[2], 'w'), float(sys.argv[3]), sys.argv[4:]
		seq, page, ident = 0, 1000, 10
		def tell(**r):
		    global seq
		    seq += 1
		    r = {'ev': r.pop('ev'), 'seq': seq, **r}
		    out.write(json.dumps(r) + '\n')
		out.write(open(sys.argv[1]).readline())
		last = int(seconds * 1e9) + 1000
		tell(ev='attach', ts=1000, pid=7, mm=1, comm='x', exe='/x', ppid=1, threads=1, vmas=1,
		     stop_ns=1)
		for n in names:
		    name, count = n.split('=')
		    span = dict(addr=hex(page * 4096), page=page, npages=int(count))
		    ident += 1
		    tell(ev='vma', ts=1000, pid=7, mm=1, id=ident, op='snapshot', **span, prot='rw-p',
		         name=name, off=0, ino=1, kind='file', watch=True)
		    tell(ev='arm', ts=1000, pid=7, mm=1, ts0=900, **span, mode='async')
		    tell(ev='dirty', ts=last, pid=7, mm=1, epoch=1, ts0=1000, **span, vma=ident)
		    page += 10000
		tell(ev='detach', ts=last, pid=7, mm=0, reason='exit', clean=True)
	EOF
}

case_rates() {
	rates "$D/a" 1 /hot=100 /cool=100 /gone=50 /same=10 || return
	rates "$D/b" 2 /hot=1000 /cool=100 /new=40 /same=20 || return
	differ 0 --json "$D/a" "$D/b" || return
	jq -r '.rows[] | "\(.name) \(.change) \(.per_second[0]) \(.per_second[1]) \(.pages[1])"' \
		"$D/x.out" >"$D/rows.out"
	cat >"$D/expected" <<-EOF
		/hot hotter 100 500 1000
		/cool cooler 100 50 100
		/gone gone 50 0 0
		/new new 0 20 40
		/same same 10 10 20
	EOF
	cmp -s "$D/rows.out" "$D/expected" || wrong "rows: $(tr '\n' '|' <"$D/rows.out")" || return
	[ "$(jq .a.watched_ns "$D/x.out")" = 1000000000 ] || wrong 'how long' || return
	differ 0 --top 1 "$D/a" "$D/b" || return
	grep -q '^hotter  *100.0  *500.0  *+400.0  *x5.0  *100  *1,000  /hot (file)$' "$D/x.out" ||
		wrong "text: $(tail -n 2 "$D/x.out")" || return
	grep -q 'and 4 more' "$D/x.out" || wrong 'does not say what is left out' || return
	differ 0 --json -m /new "$D/a" "$D/b" || return
	[ "$(jq -c '[.rows[].name]' "$D/x.out")" = '["/new"]' ] || wrong "filtered: $(cat "$D/x.out")"
}

case_functions() {
	differ 0 --json --by symbol "$WHO" "$WHO" || return
	[ "$(jq -c '.rows[] | [.change, .written]' "$D/x.out")" = '["same",[1,1]]' ] ||
		wrong "rows: $(cat "$D/x.out")" || return
	differ 0 --by symbol "$SRC/tests/data/trace/async.ndjson" "$WHO" || return
	grep -q 'no fault of it says which code wrote' "$D/x.err" || wrong 'no word of that'
}

case_refusals() {
	differ 2 "$WHO" || return
	differ 2 "$WHO" "$WHO" "$WHO" || return
	differ 2 --by colour "$WHO" "$WHO" || return
	differ 1 "$WHO" "$D/none" || return
	[ ! -s "$D/x.out" ] || wrong 'compares with nothing' || return
	sed '1s,pagetap.trace/1,pagetap.trace/2,' "$WHO" >"$D/new"
	differ 5 "$WHO" "$D/new" || return
	head -c 1200 "$WHO" >"$D/cut"
	differ 0 "$D/cut" "$WHO" || return
	grep -q 'last line cut at byte' "$D/x.err" || wrong 'the cut is not told'
}

run_cases "$@"
