#!/bin/bash
# SPDX-License-Identifier: MIT
#
# export: every form of every sample held against its format and the trace itself; names that
# mean harm; outputs and refusals.
# limit: 120
set -u
# shellcheck source=tests/live/lib.sh
. "${SRC:?}/tests/live/lib.sh"

DATA=$SRC/tests/data/trace
FORMS='chrome folded speedscope csv openmetrics pages'

# exported STATUS ARGUMENT...: the export is left in $D/x.out, what was said in $D/x.err.
exported() {
	local status=$1 rc
	shift
	timeout 60 "$PAGETAP" export "$@" >"$D/x.out" 2>"$D/x.err" </dev/null
	rc=$?
	[ $rc = "$status" ] || wrong "status $rc, not $status, of export $*: $(head -n 1 "$D/x.err")"
}

# every_form TRACE: all forms of it, each held against the trace.
every_form() {
	local form
	for form in $FORMS; do
		exported 0 --to "$form" "$1" || return
		cp "$D/x.out" "$D/x.$form"
	done
	# That of the system: the packages of `make deps` are for it.
	# shellcheck disable=SC2086
	timeout 60 /usr/bin/python3 "$SRC/tests/cli/export-check.py" "$1" "$D" $FORMS \
		>"$D/check.out" 2>&1 || wrong "${1##*/}: $(tail -n 1 "$D/check.out")"
}

case_every_sample() {
	local trace
	for trace in "$DATA"/*.ndjson; do
		every_form "$trace" || return
	done
}

# Names that give orders to terminals, pages, spreadsheets and parsers.
case_hostile_names() {
	python3 - "$DATA/who.ndjson" "$D/t.ndjson" <<-'EOF' || return
		import json, sys
		evil = '</script><img src=x onerror=alert(1)>\x1b]0;x\x07"\\,;={}\n# EOF\n\u202e'
		with open(sys.argv[2], 'w') as out:
		    for line in open(sys.argv[1]):
		        r = json.loads(line)
		        if r['ev'] == 'attach':
		            r['comm'], r['exe'] = '=cmd|x!A1', '/' + 'x' * 4000
		        elif r['ev'] == 'vma':
		            r['name'] = ('/' + evil) * (1 if 'x' in r['prot'] else 20)
		        elif r['ev'] == 'thread':
		            r['comm'], r['comm_hex'] = '@\ufffd;"', '40ff3b22'
		        out.write(json.dumps(r, separators=(',', ':')) + '\n')
	EOF
	every_form "$D/t.ndjson" || return
	exported 0 --to csv "$D/t.ndjson" || return
	grep -q "'=cmd|x!A1" "$D/x.out" || wrong 'a formula is none any more'
}

# The filters mean what they mean elsewhere.
case_part_of_it() {
	exported 0 --to csv -e fork,exit "$DATA/every-kind.ndjson" || return
	[ "$(grep -c ',fault,' "$D/x.out")" = 0 ] || wrong 'faults are not left out' || return
	grep -q ',exit,' "$D/x.out" || wrong 'the exit is left out' || return
	exported 0 --to csv -m heap "$DATA/every-kind.ndjson" || return
	[ "$(grep ',fault,' "$D/x.out" | grep -vc ',\[heap\],')" = 0 ] || wrong 'other mappings' || return
	exported 0 --to pages --since 0.001 "$DATA/every-kind.ndjson" || return
	[ "$(sed -n 2p "$D/x.out")" = '4242 0x7f3c20200000 512' ] || wrong "first is $(sed -n 2p "$D/x.out")"
}

# A trace may claim any number of pages.
case_claims() {
	sed 's/^\({"ev":"dirty".*"npages":\)[0-9]*/\168719476736/' \
		"$DATA/async.ndjson" >"$D/t.ndjson"
	exported 0 --to pages "$D/t.ndjson" || return
	[ "$(tail -n 1 "$D/x.out")" = '# more was touched than is listed' ] ||
		wrong "ends with $(tail -n 1 "$D/x.out")" || return
	[ "$(wc -l <"$D/x.out")" -lt 10 ] || wrong 'is long'
}

case_outputs() {
	cd "$D" || return
	exported 0 --to folded -o x.folded "$DATA/who.ndjson" || return
	exported 0 --to folded -o x.folded "$DATA/who.ndjson" || return
	[ -s x.folded ] && [ -s x.folded.old ] || wrong 'no file, or no .old' || return
	[ "$(stat -c %a x.folded)" = 600 ] || wrong "mode $(stat -c %a x.folded)" || return
	exported 0 --to csv -o x.csv.zst "$DATA/who.ndjson" || return
	zstd -qdc x.csv.zst | grep -q '^seq,' || wrong 'not compressed' || return
	exported 1 --to csv -o /dev/full "$DATA/who.ndjson" || return
	grep -q 'No space left' x.err || wrong "says $(head -n 1 x.err)" || return
	ln -s x.folded link
	exported 1 --to csv -o link "$DATA/who.ndjson" || return
	# A reader that has had enough is no trouble.
	{ timeout 20 "$PAGETAP" export --to csv "$DATA/every-kind.ndjson"; echo $? >status; } 2>x.err |
		: ; sleep 0.1
	[ "$(cat status)" = 0 ] || [ "$(cat status)" = 141 ] || wrong "status $(cat status)" || return
	! grep -q . x.err || wrong "says $(cat x.err)"
}

case_refusals() {
	cd "$D" || return
	exported 2 "$DATA/who.ndjson" || return
	exported 2 --to perl "$DATA/who.ndjson" || return
	exported 2 --to csv || return
	exported 2 --to csv "$DATA/who.ndjson" "$DATA/who.ndjson" || return
	exported 1 --to csv --root "$D/none" "$DATA/who.ndjson" || return
	exported 1 --to csv nothing.ndjson || return
	echo hello >no.ndjson
	exported 1 --to csv -o made.csv no.ndjson || return
	[ ! -e made.csv ] || wrong 'a file was made of nothing' || return
	sed '1s,pagetap.trace/1,pagetap.trace/2,' "$DATA/who.ndjson" >new.ndjson
	exported 5 --to csv new.ndjson || return
	head -c 3000 "$DATA/every-kind.ndjson" >cut.ndjson
	exported 0 --to csv cut.ndjson || return
	grep -q 'last line cut at byte' x.err || wrong 'the cut is not told'
}

run_cases "$@"
