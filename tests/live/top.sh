#!/bin/bash
# SPDX-License-Identifier: MIT
#
# top: a live screen - its columns against a target that is known, its keys, and the terminal
# given back on every way out.
# limit: 150
. "$(dirname "$0")/lib.sh"

# A Python that has pyte: Debian's, if the first one is another.
PY=python3
"$PY" -c 'import pyte' 2>/dev/null || PY=/usr/bin/python3

PAGES=400

# known: writes PAGES pages of a memory called "known" again and again; TARGET.
known() {
	"$PY" -c '
import mmap, os, sys, time
n = int(sys.argv[1])
fd = os.memfd_create("known")
os.ftruncate(fd, n * 4096)
m = mmap.mmap(fd, n * 4096)
print("ready", flush=True)
k, end = 0, time.monotonic() + 100
while time.monotonic() < end:
    k = (k + 1) & 255
    for i in range(0, n * 4096, 4096):
        m[i] = k
    time.sleep(0.03)
' "$PAGES" >"$D/target.out" 2>&1 </dev/null &
	TARGET=$!
	started "$TARGET"
	within 20 grep -q ready "$D/target.out" || wrong 'the target is not ready'
}

drive() { timeout 60 "$PY" "$SRC/tests/live/top-drive.py" "$1" "$PAGETAP" "$TARGET" "${@:2}"; }
fine() { untouched "$TARGET"; }

case_columns() {
	known && drive columns "$PAGES" memfd:known && fine
}

# Without perf events nobody is seen to write.
needs_witness() {
	"$PAGETAP" trace -p "$TARGET" --epoch 100 -d 0.3 >"$D/witness.out" 2>/dev/null </dev/null
	grep -q ' error   perf: ' "$D/witness.out" || return 0
	skip no-perf 'perf events are not permitted'
}

case_keys() {
	known || return
	needs_witness || return
	drive keys && fine
}

case_resize() {
	known && drive resize && fine
}

case_signals() {
	known && drive signals && fine
}

case_killed_target() {
	known && drive killed_target
}

case_suspend() {
	known && drive suspend && fine
}

case_hostile() {
	# shellcheck disable=SC2016 # the dollar signs are for that shell
	bash -c 'printf "\033c\233m\033]0;evil" >"/proc/$$/comm"; echo ready
		while :; do a+=$RANDOM; [ ${#a} -lt 99999 ] || a=; done' >"$D/target.out" &
	TARGET=$!
	started "$TARGET"
	within 10 grep -q ready "$D/target.out" && drive hostile
}

case_once() {
	known || return
	"$PAGETAP" top -p "$TARGET" --once --json --who >"$D/o.json" 2>"$D/top.err" </dev/null || wrong "status $?" || return
	# Each page once in a collection; a first one comes at once, and may have found some.
	jq -e --argjson n "$PAGES" --argjson pid "$TARGET" '
		.tool == "pagetap top" and .pids == [$pid] and .engine == "async --who" and .lost == 0 and
		.interval_s > 0.8 and
		(.mappings | map(select(.name | startswith("memfd:known")))[0] |
			.pages >= $n and .pages <= 2 * $n and .kind == "shmem" and .bytes == $n * 4096 and .pid == $pid) and
		(.pages == (.mappings | map(.pages) | add)) and
		(.mappings | map(.share) | add | . > 0.999 and . < 1.001) and
		.working_set_pages >= $n and
		(.threads == null or (.threads | length == 0 or (.[0].tid == $pid and .[0].pages >= $n)))' \
		"$D/o.json" >/dev/null || wrong "$(jq -c 'del(.mappings[3:])' "$D/o.json")" || return
	# Each write waits for its answer: then it is known who made it.
	"$PAGETAP" top -p "$TARGET" --once --json --engine sync -i 0.5 >"$D/o.json" 2>"$D/top.err" </dev/null || return
	jq -e --argjson n "$PAGES" --argjson pid "$TARGET" '
		.engine == "sync" and .pages >= $n and .threads[0].tid == $pid and
		.threads[0].pages >= $n and .working_set_pages == null' "$D/o.json" >/dev/null ||
		wrong "$(jq -c 'del(.mappings[3:])' "$D/o.json")" || return
	"$PAGETAP" top -p "$TARGET" --once -i 0.3 >"$D/o.out" 2>"$D/top.err" </dev/null || return
	grep -qE '^ +[0-9,]+ +[0-9.]+ [KM]iB +[0-9.]+ +[4-8][0-9][0-9] .* memfd:known \(deleted\)$' "$D/o.out" ||
		wrong "$(head -n 7 "$D/o.out")" || return
	fine
}

case_refusals() {
	"$PAGETAP" top -p $$ >"$D/o.out" 2>"$D/o.err" </dev/null
	[ $? = 2 ] && grep -q 'not a terminal' "$D/o.err" && grep -q '^hint: --once' "$D/o.err" ||
		wrong "$(cat "$D/o.err")" || return
	"$PAGETAP" top -p $$ --json 2>"$D/o.err"
	[ $? = 2 ] && grep -q -e '--json needs --once' "$D/o.err" || wrong "$(cat "$D/o.err")" || return
	# shellcheck disable=SC2016
	TERM=no-such timeout 20 script -qefc "$PAGETAP top -p $$; echo status=\$?" /dev/null >"$D/tty" 2>&1 </dev/null
	grep -q 'TERM names no terminal' "$D/tty" && grep -q '^status=2' "$D/tty" || wrong "$(cat "$D/tty")"
}

if ! "$PY" -c 'import pyte' 2>/dev/null; then
	echo 'FAIL  python3-pyte is not installed'
	echo '0 passed, 1 failed'
	exit 1
fi
needs_async
run_cases "$@"
