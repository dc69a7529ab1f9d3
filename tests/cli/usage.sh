#!/bin/bash
# SPDX-License-Identifier: MIT
#
# usage: what is refused before anything happens, help, version, exit statuses.
# limit: 60
set -u
# shellcheck source=tests/live/lib.sh
. "${SRC:?}/tests/live/lib.sh"

# says STATUS TEXT ARGUMENTS...: this status, this first line, and nothing on stdout.
says() {
	local status=$1 text=$2 rc
	shift 2
	timeout 20 "$PAGETAP" "$@" >"$D/says.out" 2>"$D/says.err" </dev/null
	rc=$?
	[ $rc = "$status" ] || wrong "status $rc, not $status: pagetap $*" || return
	[ "$(head -n 1 "$D/says.err")" = "$text" ] ||
		wrong "'$(head -n 1 "$D/says.err")', not '$text': pagetap $*" || return
	[ ! -s "$D/says.out" ] || wrong "stdout is not empty: pagetap $*"
}

# usage TEXT ARGUMENTS...: the same, with the pointer to --help as second line.
usage() {
	local text=$1 first=${2-} hint
	shift
	says 2 "$text" "$@" || return
	case $first in
	record | map | check | validate | demo | restore | lazy-pages | page-server) hint="Try 'pagetap $first --help'." ;;
	*) hint="Try 'pagetap --help'." ;;
	esac
	[ "$(sed 1d "$D/says.err")" = "$hint" ] || wrong "second line: $(sed 1d "$D/says.err")"
}

case_no_command() {
	usage 'pagetap: no command given' || return
	usage "pagetap: unknown command 'frobnicate'" frobnicate || return
	usage 'pagetap: unknown option --frobnicate' --frobnicate || return
	usage 'pagetap: unknown option -p' -p 1
}

case_record() {
	usage 'pagetap: no process: -p PID, or -- COMMAND' record || return
	usage 'pagetap: either -p or a COMMAND, not both' record -p 1 -- true || return
	usage 'pagetap: option -p needs an argument' record -p || return
	usage "pagetap: option -p: '1x' is not a process id" record -p 1x || return
	usage "pagetap: option -p: '1,,2' is not a list of process ids" record -p 1,,2 || return
	usage "pagetap: option -e: 'writes' is not a kind (missing, wp, minor, fork, exit or map)" \
		record -e writes -p 1 || return
	usage "pagetap: option --mode: 'wp' is not a mode (write, missing or minor)" \
		record --mode wp -p 1 || return
	usage "pagetap: option --engine: 'fast' is none of auto, async, sync, both" \
		record --engine fast -p 1 || return
	usage 'pagetap: --rearm needs --engine sync' record --engine async --rearm 5 -p 1 || return
	usage 'pagetap: --count needs --engine sync' record --engine async -n 5 -p 1 || return
	usage 'pagetap: --epoch needs --engine async' record --engine sync --epoch 5 -p 1 || return
	usage 'pagetap: --sure needs --who' record --engine async --sure -p 1 || return
	usage "pagetap: option -a: '10' is not a range of addresses (such as 7f3c00000000-7f3c04000000)" \
		record -a 10 -p 1 || return
	usage "pagetap: option -d: 'x' is not a time in seconds (such as 10 or 0.5)" \
		record -d x -p 1 || return
	usage "pagetap: option -n: '0' is not a number of 1 or more" record -n 0 -p 1 || return
	usage "pagetap: option --ring: '8' is not a number from 64 to 16777216" \
		record --ring 8 -p 1 || return
	usage 'pagetap: --rearm needs --mode write' record --rearm 100 --mode missing -p 1 || return
	usage 'pagetap: --granularity needs --mode write' record --granularity 8 --mode missing -p 1 || return
	usage 'pagetap: --granularity needs --engine sync' record --granularity 8 --engine async -p 1 || return
	usage "pagetap: option --granularity: '24' is no power of two up to 512" record --granularity 24 -p 1 || return
	usage 'pagetap: --engine both needs -m or -a' record --engine both -p 1 || return
	usage 'pagetap: --mode missing or minor needs --engine sync' record --engine both -m heap --mode minor -p 1 || return
	usage 'pagetap: --budget needs --engine async' record --engine sync --budget 5 -p 1 || return
	usage 'pagetap: --budget does not go with --rearm' record --engine auto --budget 5 --rearm 10 -p 1 || return
	usage "pagetap: option --budget: '0' is no percentage from 0.1 to 100" record --budget 0 -p 1 || return
	usage "pagetap: option --budget: '5%' is no percentage from 0.1 to 100" record --budget 5% -p 1 || return
	usage "pagetap: option --color: 'red' is not auto, always or never" \
		record --color red -p 1 || return
	usage 'pagetap: -q and -v contradict each other' record -q -v -p 1
}

case_others() {
	usage 'pagetap: no process: -p PID' map || return
	usage 'pagetap: option -p: one process only' map -p 1 -p 2 || return
	usage "pagetap: unexpected argument 'x'" map -p 1 x || return
	usage "pagetap: unexpected argument 'x'" check x || return
	usage "pagetap: unexpected argument 'x'" demo x || return
	usage 'pagetap: the demo reads its trace again: a plain FILE only' demo -o -
}

# What a page server, and who gets pages from one, cannot begin with.
case_page_servers() {
	local P=page-server
	mkdir "$D/empty"
	usage "pagetap: unexpected argument 'x'" $P x || return
	usage "pagetap: option --port: '70000' is not a number from 0 to 65535" $P --port 70000 || return
	usage 'pagetap: option --status-fd: 77 is not open' $P --status-fd 77 || return
	usage 'pagetap: --page-server needs a --port' lazy-pages -D "$D" --page-server || return
	usage 'pagetap: options of a page server, but no --page-server' lazy-pages -D "$D" --port 3 || return
	usage 'pagetap: options of a web server, but -D is not the address of one' lazy-pages -D "$D" --aws || return
	usage 'pagetap: options of a web server, but -D is not the address of one' page-server -D "$D" --cache "$D" || return
	says 2 'pagetap: certificates are given, but not --tls' $P --tls-cacert x || return
	says 1 "pagetap: TLS: $D/none: No such file or directory" $P --tls --tls-cacert "$D/none" || return
	says 1 "pagetap: $D/none: No such file or directory" $P -D "$D/none" || return
	says 1 "pagetap: $D/empty: inventory.img: there is no such file" $P -D "$D/empty"
}

# What a restore cannot begin with; nothing is made for it then.
case_restore() {
	local own=$D/own
	mkdir "$D/empty" "$own"
	usage "pagetap: unexpected argument 'x' (options of criu come after --)" restore x || return
	usage "pagetap: criu cannot be given -D: give it before --" restore -- -d -D "$D" || return
	usage "pagetap: criu cannot be given --lazy-pages: it is given anyway" restore -- --lazy-pages || return
	usage "pagetap: criu cannot be given -jSo: its parent is pagetap; use -d" restore -- -jSo x || return
	usage 'pagetap: -o - would mix with what is restored: give a file' restore -o - || return
	usage 'pagetap: criu reads no address: give it a folder with --criu-dir' restore -D http://localhost/ ||
		return
	usage 'pagetap: --criu-dir is for -D with an address' restore --criu-dir "$D" || return
	usage 'pagetap: --page-server needs a --port' restore -D "$D" --page-server || return
	export XDG_RUNTIME_DIR=$own
	says 1 "pagetap: $D/criu: no such program" restore --criu "$D/criu" || return
	grep -q '^hint: --criu PROGRAM names' "$D/says.err" || wrong "$(cat "$D/says.err")" || return
	: >"$D/criu"
	says 1 "pagetap: $D/criu: it may not be executed" restore --criu "$D/criu" || return
	says 1 'pagetap: criu-that-is-not-there: no such program' restore --criu criu-that-is-not-there || return
	says 1 "pagetap: $D/none: No such file or directory" restore --criu /bin/true -D "$D/none" || return
	says 1 "pagetap: $D/empty: inventory.img: there is no such file" restore --criu /bin/true -D "$D/empty" ||
		return
	[ -z "$(ls "$own")" ] || wrong "left behind: $(ls "$own")"
}

case_help() {
	local c
	"$PAGETAP" --help >"$D/help.out" 2>"$D/help.err" || wrong "status $?" || return
	grep -q '^Usage: pagetap COMMAND' "$D/help.out" || wrong 'no usage line' || return
	[ ! -s "$D/help.err" ] || wrong 'help on stderr' || return
	for c in record map check validate demo restore lazy-pages page-server; do
		"$PAGETAP" $c -h >"$D/$c.out" || wrong "$c -h: status $?" || return
		"$PAGETAP" $c --help | cmp -s - "$D/$c.out" || wrong "$c: -h is not --help" || return
		head -n 1 "$D/$c.out" | grep -q "^Usage: pagetap $c " || wrong "$c: usage line" || return
	done
}

case_version() {
	"$PAGETAP" -V >"$D/v.out" || wrong "status $?" || return
	head -n 1 "$D/v.out" | grep -qE '^pagetap [0-9]+\.[0-9]+\.[0-9]+$' || wrong 'first line' || return
	grep -q 'MIT' "$D/v.out" || wrong 'no licence' || return
	grep -q '^Built with: engines async and sync; ' "$D/v.out" || wrong 'no engines' || return
	"$PAGETAP" --version | cmp -s - "$D/v.out" || wrong '-V is not --version'
}

# Output that cannot be written is no success.
case_stdout_full() {
	"$PAGETAP" --help >/dev/full 2>"$D/full.err"
	[ $? = 1 ] || wrong 'help to a full disk: status is not 1' || return
	grep -qx 'pagetap: standard output: No space left on device' "$D/full.err" ||
		wrong "$(cat "$D/full.err")" || return
	"$PAGETAP" check --json >/dev/full 2>"$D/full.err"
	[ $? = 1 ] || wrong 'check to a full disk: status is not 1'
}

# With descriptors closed nothing goes to a wrong place.
case_closed_descriptors() {
	"$PAGETAP" map -p $$ >"$D/map.out" 2>&- <&- || wrong "status $?" || return
	grep -q ' can be watched (--engine ' "$D/map.out" || wrong 'no table' || return
	(cd "$D" && "$PAGETAP" record -p 1x >&- 2>&- <&-)
	[ $? = 2 ] || wrong 'status is not 2'
}

case_check() {
	"$PAGETAP" check >"$D/check.out" 2>"$D/check.err" || wrong "$(tail -n 3 "$D/check.out")" || return
	head -n 1 "$D/check.out" | grep -qE '^kernel [^ ]+, x86_64, 4 KiB pages$' || wrong 'line 1' || return
	grep -qE '^  ok    userfaultfd  .*missing, wp' "$D/check.out" || wrong 'userfaultfd' || return
	# shellcheck disable=SC2016
	tail -n 1 "$D/check.out" | grep -qx 'Everything `pagetap record` needs is here.' ||
		wrong 'last line' || return
	"$PAGETAP" check --json -p $$ >"$D/check.json" || wrong "json: status $?" || return
	jq -e '.ready and .status == 0 and (.features | index("wp")) and .page_size == 4096 and
		(.checks | length) == 9 and .target.attachable and .target.watched > 0 and
		.target.watched <= .target.mappings' "$D/check.json" >/dev/null ||
		wrong "json: $(head -c 300 "$D/check.json")"
}

case_check_target() {
	"$PAGETAP" check -p 999999999 >"$D/c.out"
	[ $? = 4 ] || wrong 'no such process: status is not 4' || return
	grep -q 'no  *this process  *999999999: no such process' "$D/c.out" || wrong "$(tail -2 "$D/c.out")" || return
	"$PAGETAP" check -p 2 --json >"$D/c.json"
	[ $? = 5 ] || wrong 'kernel thread: status is not 5' || return
	jq -e '.ready == false and .target.attachable == false and .target.reason != null' \
		"$D/c.json" >/dev/null || wrong 'json'
}

# The totals are those of the lines, and the lines those of /proc.
case_map() {
	sleep 60 &
	started $!
	local pid=$!
	within 5 grep -q sleep "/proc/$pid/comm" || return
	sleep 0.1
	"$PAGETAP" map -p $pid >"$D/map.out" || wrong "status $?" || return
	head -n 1 "$D/map.out" | grep -qx "$pid (sleep)" || wrong 'line 1' || return
	[ "$(sed -n '3,$p' "$D/map.out" | grep -c -- '^[0-9a-f]*-')" = "$(wc -l <"/proc/$pid/maps")" ] ||
		wrong 'another number of mappings' || return
	grep -qE '^[0-9a-f]+-[0-9a-f]+ rw-p heap .* write  *\[heap\]$' "$D/map.out" || wrong 'no heap' || return
	"$PAGETAP" map -p $pid -J >"$D/map.json" || wrong "json: status $?" || return
	jq -e '(.mappings | length) == .totals.mappings and
		([.mappings[] | select(.watch)] | length) == .totals.watched and
		([.mappings[] | .npages] | add) * .page_size == .totals.bytes and
		all(.mappings[]; .watch != has("why"))' "$D/map.json" >/dev/null || wrong 'json' || return
	"$PAGETAP" map -p $pid -J -m heap |
		jq -e '[.mappings[] | select(.watch)] | length == 1 and .[0].name == "[heap]"' >/dev/null ||
		wrong '-m heap' || return
	# As record would watch it; the synchronous engine leaves files alone.
	local engines
	engines=$("$PAGETAP" record -p $pid -d 0.1 -o - 2>"$D/record.err" | head -n 1 | jq -r .engine)
	tail -n 1 "$D/map.out" | grep -q " can be watched (--engine $engines)\$" ||
		wrong "record has $engines: $(tail -n 1 "$D/map.out")" || return
	"$PAGETAP" map -p $pid -J --engine sync | jq -e '.engine == "sync" and
		all(.mappings[] | select(.kind == "file"); .watch == false)' >/dev/null || wrong 'sync' || return
	"$PAGETAP" map -p $pid -J -q --mode missing | jq -e '.engine == "sync"' >/dev/null || wrong 'missing' || return
	if [ "$engines" = async ]; then
		"$PAGETAP" map -p $pid -J --engine async | jq -e '.engine == "async" and
			all(.mappings[] | select(.kind == "file"); .watch)' >/dev/null || wrong 'async' || return
	fi
	says 2 'pagetap: --mode missing or minor needs --engine sync' map -p $pid --engine async --mode minor || return
	local range
	range=$(sed -n 's/^\([0-9a-f]*-[0-9a-f]*\) .*\[heap\]$/\1/p' "/proc/$pid/maps")
	"$PAGETAP" map -p $pid -J -a "$range" | jq -e '[.mappings[] | select(.watch)] | length == 1' >/dev/null ||
		wrong '-a'
}

case_map_refused() {
	says 4 'pagetap: cannot read 999999999: no such process' map -p 999999999 || return
	says 5 'pagetap: 2 (kthreadd) has no user memory (a zombie or a kernel thread)' map -p 2
}

# Names of mappings come from the target: nothing of them may reach a terminal raw.
case_hostile_names() {
	local dir name
	dir=$D/$(printf 'a\033]0;x\007\377b')
	mkdir "$dir" && head -c 8192 /dev/zero >"$dir/f" || return
	python3 -c 'import mmap, sys, time
f = open(sys.argv[1], "r+b"); m = mmap.mmap(f.fileno(), 0)
print("ready", flush=True); time.sleep(60)' "$dir/f" >"$D/py.out" &
	started $!
	name=$!
	within 10 grep -q ready "$D/py.out" || wrong 'no python3' || return
	"$PAGETAP" map -p $name >"$D/hostile.out" || wrong "status $?" || return
	grep -qF 'a\033]0;x\007\377b' "$D/hostile.out" || wrong 'not escaped' || return
	if LC_ALL=C grep -q "$(printf '[\001-\010\013-\037\177-\377]')" "$D/hostile.out"; then
		wrong 'raw bytes' || return
	fi
	"$PAGETAP" map -p $name -J >"$D/hostile.json" || return
	python3 - "$D/hostile.json" <<-'PY' || wrong 'json: name_hex'
		import json, sys
		m = json.load(open(sys.argv[1]))["mappings"]
		raw = [bytes.fromhex(x["name_hex"]) for x in m if "name_hex" in x]
		sys.exit(not any(b"a\033]0;x\007\377b" in r for r in raw))
	PY
}

run_cases "$@"
