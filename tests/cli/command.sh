#!/bin/bash
# SPDX-License-Identifier: MIT
#
# command: record -- COMMAND: from its first instruction to its exit status.
# limit: 120
set -u
# shellcheck source=tests/live/lib.sh
. "${SRC:?}/tests/live/lib.sh"

# ends STATUS RECORD-ARGUMENTS...
ends() {
	local status=$1 rc
	shift
	timeout 30 "$PAGETAP" record --engine sync -o "$D/t.ndjson" "$@" >"$D/cmd.out" 2>"$D/cmd.err" </dev/null
	rc=$?
	[ $rc = "$status" ] || wrong "status $rc, not $status: record $* : $(head -n 3 "$D/cmd.err")"
}
says() { grep -qxE -- "pagetap: $1" "$D/cmd.err" || wrong "no '$1': $(cat "$D/cmd.err")"; }

case_statuses() {
	ends 0 -- true || return
	ends 7 -- sh -c 'exit 7' || return
	says '[0-9]+ \(sh\) exited with status 7 after [0-9.]+ [mu]?s' || return
	ends 127 -- no-such-command-at-all || return
	says 'no-such-command-at-all: command not found' || return
	printf 'no program' >"$D/plain"
	ends 126 -- "$D/plain" || return
	says "$D/plain: Permission denied" || return
	printf '#!/no/such/interpreter\n' >"$D/script" && chmod 755 "$D/script"
	ends 127 -- "$D/script" || return
	says "$D/script: No such file or directory" || return
	ends 0 true || return
	timeout 30 "$PAGETAP" record --engine sync -o "$D/no/t.ndjson" -- touch "$D/ran" 2>"$D/cmd.err"
	[ $? = 125 ] || wrong 'a bad output: status is not 125' || return
	[ ! -e "$D/ran" ] || wrong 'the command ran all the same'
}

# Its signal is ours, without a core of ours.
case_killed() {
	local rc
	(
		ulimit -c unlimited
		cd "$D" && exec "$PAGETAP" record --engine sync -q -o t.ndjson -- sh -c 'ulimit -c 0; kill -SEGV $$'
	) &
	started $!
	end_of $! 20 || return
	[ "$STATUS" = 139 ] || wrong "status $STATUS, not 139" || return
	[ -z "$(find "$D" -name 'core*')" ] || wrong 'a core' || return
	[ "$(head -n 1 "$D/t.ndjson" | jq -r '.argv[:5] | join(" ")')" = "$PAGETAP record --engine sync -q" ] ||
		wrong "called as $(head -n 1 "$D/t.ndjson" | jq -c .argv)" || return
	[ "$(count "$D/t.ndjson" '.ev == "exit" and .signal == 11 and .code == null')" = 1 ] ||
		wrong 'the trace says otherwise' || return
	rc=$(jq -r 'select(.ev == "detach") | .reason' "$D/t.ndjson")
	[ "$rc" = exit ] || wrong "reason $rc"
}

case_streams_are_its_own() {
	local out
	# shellcheck disable=SC2016
	out=$(echo in | timeout 30 "$PAGETAP" record --engine sync -q -o "$D/t.ndjson" -- sh -c 'read x; echo "$x-out"; echo err >&2' 2>"$D/err") ||
		wrong "status $?" || return
	[ "$out" = in-out ] || wrong "stdout: $out" || return
	[ "$(cat "$D/err")" = err ] || wrong "stderr: $(cat "$D/err")" || return
	# Nothing of ours is inherited: descriptors, blocked or ignored signals.
	same ls /proc/self/fd || return
	same grep -E '^Sig(Blk|Ign)' /proc/self/status
}
same() {
	timeout 30 "$PAGETAP" record --engine sync -q -o "$D/t.ndjson" -- "$@" >"$D/ours" </dev/null || return
	timeout 30 "$@" >"$D/plain" </dev/null || return
	cmp -s "$D/ours" "$D/plain" || wrong "$*: $(cat "$D/ours") instead of $(cat "$D/plain")"
}

# It is attached to before its dynamic linker has mapped anything.
case_from_the_first_instruction() {
	ends 0 -v -- sh -c ':' || return
	says '[0-9]+ \(sh\) was held at its first instruction' || return
	valid "$D/t.ndjson" || return
	[ "$(count "$D/t.ndjson" '.ev == "vma" and .op == "snapshot" and (.name | test("libc"))')" = 0 ] ||
		wrong 'libc was mapped already' || return
	[ "$(count "$D/t.ndjson" '.ev == "fault" and .write')" -gt 0 ] || wrong 'no write seen'
}

case_short_ones() {
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		ends 0 -- true || return
		[ "$(count "$D/t.ndjson" '.ev == "exit" and .code == 0')" = 1 ] || wrong 'its exit is not told' || return
	done
	valid "$D/t.ndjson"
}

# The recording ends, the command goes on and is waited for.
case_outlives_the_recording() {
	local begin=${EPOCHREALTIME/./}
	ends 3 -d 0.3 -- sh -c 'sleep 1.5; exit 3' || return
	[ $((${EPOCHREALTIME/./} - begin)) -ge 1500000 ] || wrong 'it was not waited for' || return
	says 'detached from [0-9]+ \(sh\), which runs on'
}

case_signals_are_passed_on() {
	record "$D/record.err" -o "$D/t.ndjson" -- sh -c 'trap "exit 9" TERM; while :; do sleep 0.05; done'
	within 10 test -s "$D/t.ndjson" || return
	sleep 0.5
	kill -TERM "$RECORDER"
	end_of "$RECORDER" 10 || return
	[ "$STATUS" = 9 ] || wrong "status $STATUS, not 9"
}

run_cases "$@"
