#!/bin/bash
# SPDX-License-Identifier: MIT
#
# output: where a trace may go, what is said of it, and what happens when it cannot.
# limit: 180
set -u
# shellcheck source=tests/live/lib.sh
. "${SRC:?}/tests/live/lib.sh"

load() { start_target "$D/target.out" "$T/writer" -T 120 -c "$D/count"; }
fine() { untouched "$TARGET" && runs_on "$D/count" && target_ends "$TARGET" "$D/target.out"; }

# says STATUS LINE COMMAND...: this status, and LINE among what is said.
says() {
	local status=$1 line=$2 rc
	shift 2
	timeout 30 "$@" >"$D/says.out" 2>"$D/says.err" </dev/null
	rc=$?
	[ $rc = "$status" ] || wrong "status $rc, not $status: $(head -n 3 "$D/says.err")" || return
	grep -qxF -- "$line" "$D/says.err" || wrong "no line '$line': $(head -n 4 "$D/says.err")"
}
like() { grep -qxE -- "$1" "$D/says.err" || wrong "no line like '$1': $(cat "$D/says.err")"; }

case_default_name() {
	load || return
	(cd "$D" && says 0 "pagetap: detached from $TARGET (writer), which runs on" \
		"$PAGETAP" record --engine sync -p "$TARGET" -d 0.5) || return
	[ -s "$D/pagetap-$TARGET.ndjson" ] || wrong 'not there' || return
	[ "$(stat -c %a "$D/pagetap-$TARGET.ndjson")" = 600 ] || wrong 'mode is not 600' || return
	like "pagetap: attached to $TARGET \\(writer\\) in [0-9.]+ [mu]?s \\(stopped [0-9.]+ [mun]?s\\), [0-9]+ of [0-9]+ mappings watched" || return
	like '  [0-9,]+ faults   [0-9,]+ writes   0 lost      handled in [0-9.]+ [mun]?s \(p50\), [0-9.]+ [mun]?s \(p99\)' || return
	like "trace:   pagetap-$TARGET.ndjson \\([0-9.]+ [KMG]iB, [0-9,]+ records\\)" || return
	like "look:    pagetap report pagetap-$TARGET.ndjson      jq 'select\\(.ev==\"fault\"\\)' pagetap-$TARGET.ndjson \\| less" || return
	[ ! -s "$D/says.out" ] || wrong 'something on stdout' || return
	valid "$D/pagetap-$TARGET.ndjson" || return
	fine
}

# Nobody waits in the asynchronous engine, and so nothing is said of how long.
case_of_async() {
	load || return
	says 0 "pagetap: detached from $TARGET (writer), which runs on" \
		"$PAGETAP" record --engine async -p "$TARGET" -d 0.3 -o "$D/t.ndjson" || return
	like '  [0-9,]+ pages written in [0-9,]+ epochs   0 lost' || return
	like "look:    pagetap report .*      jq 'select\\(.ev==\"dirty\"\\)' .* \\| less" || return
	says 0 "pagetap: detached from $TARGET (writer), which runs on" \
		"$PAGETAP" record --engine async --who -p "$TARGET" -d 0.3 -o "$D/t.ndjson" || return
	like '  [0-9,]+ pages written in [0-9,]+ epochs   0 lost      [0-9,]+ faults, [0-9,]+ pages without a witness' || return
	like "look:    pagetap report .*      jq 'select\\(.ev==\"fault\"\\)' .* \\| less" || return
	[ "$(sed -n 's/.*lost      \([0-9,]*\) faults.*/\1/p' "$D/says.err" | tr -d ,)" = \
		"$(count "$D/t.ndjson" '.ev == "fault"')" ] || wrong 'faults of the summary' || return
	fine
}

# Of a name that nothing has, and of a family that was there before: said, with what to do.
case_of_nothing() {
	load || return
	says 0 'hint: pagetap map -p '"$TARGET"' lists them' \
		"$PAGETAP" record -p "$TARGET" -d 0.1 -m 'no-such-*' -o "$D/t.ndjson" || return
	like 'pagetap: no mapping is watched: none that is there is of that name or range' || return
	says 0 "pagetap: detached from $TARGET (writer), which runs on" \
		"$PAGETAP" record -f -p "$TARGET" -d 0.1 -o "$D/t.ndjson" || return
	! grep -q '^hint' "$D/says.err" || wrong "a hint: $(cat "$D/says.err")" || return
	fine
}
# Who writes is not to be had: that is said at once, and check says it before.
case_of_nobody_seen() {
	local less=(capsh '--drop=cap_perfmon,cap_sys_admin' '--' -c 'exec "$0" "$@"') told
	load || return
	told=$("${less[@]}" "$PAGETAP" check --json |
		jq -r '.checks[] | select(.name == "perf events") | .state') || wrong 'no check' || return
	says 0 "pagetap: detached from $TARGET (writer), which runs on" \
		"${less[@]}" "$PAGETAP" record --who -p "$TARGET" -d 0.2 -o "$D/t.ndjson" || return
	if [ "$told" = warn ]; then
		like 'pagetap: nobody will be seen to write: no perf events \(.*\)' &&
			like 'hint: needs CAP_PERFMON, or sysctl kernel.perf_event_paranoid=1' || return
		[ "$(count "$D/t.ndjson" '.ev == "error" and .what == "perf"')" -ge 1 ] || wrong 'not in the trace' ||
			return
	fi
	says 0 "pagetap: detached from $TARGET (writer), which runs on" \
		"$PAGETAP" record --who -p "$TARGET" -d 0.2 -o "$D/t.ndjson" || return
	[ "$("$PAGETAP" check --json | jq -r '.checks[] | select(.name == "perf events") | .state')" = warn ] ||
		! grep -q 'nobody will be seen' "$D/says.err" || wrong 'said of what is there' || return
	fine
}
case_of_a_family() {
	local parent child
	sh -c 'sleep 60 & echo $!; sleep 60 & wait' >"$D/child" &
	parent=$!
	started "$parent"
	within 10 test -s "$D/child" || return
	child=$(cat "$D/child")
	sleep 0.2
	says 0 "hint: -p $parent,\$(pgrep -d, -P $parent) names them as well" \
		"$PAGETAP" record -f -p "$parent" -d 0.1 -o "$D/t.ndjson" || return
	like "pagetap: $parent \\(sh\\) has 2 children that were already there and are not watched" || return
	says 0 "hint: -p $parent,\$(pgrep -d, -P $parent) names them as well" \
		"$PAGETAP" record -f -p "$parent,$child" -d 0.1 -o "$D/t.ndjson" || return
	like "pagetap: $parent \\(sh\\) has 1 child that was already there and is not watched" || return
	says 0 "pagetap: detached from $parent (sh) and 2 more, which run on" \
		"$PAGETAP" record -f -p "$parent,$(pgrep -d, -P "$parent")" -d 0.1 -o "$D/t.ndjson" || return
	! grep -q '^hint' "$D/says.err" || wrong "a hint: $(cat "$D/says.err")" || return
	pgrep -P "$parent" | xargs kill
}

# The numbers of the summary are those of the trace.
case_summary_is_true() {
	load || return
	says 0 "pagetap: detached from $TARGET (writer), which runs on" \
		"$PAGETAP" record --engine sync -p "$TARGET" -d 1 --rearm 200 -o "$D/t.ndjson" || return
	local faults records
	faults=$(sed -n 's/^  \([0-9,]*\) faults .*/\1/p' "$D/says.err" | tr -d ,)
	[ "$faults" = "$(count "$D/t.ndjson" '.ev == "fault"')" ] || wrong "$faults faults?" || return
	records=$(sed -n 's/^trace: .*, \([0-9,]*\) records)$/\1/p' "$D/says.err" | tr -d ,)
	[ "$records" = $(($(wc -l <"$D/t.ndjson") - 1)) ] || wrong "$records records?" || return
	fine
}

case_old_is_kept() {
	load || return
	echo precious >"$D/t.ndjson"
	# Somebody has guessed the name, and means to have it written through.
	ln -s "$D/elsewhere" "$D/t.ndjson.old"
	"$PAGETAP" record --engine sync -q -p "$TARGET" -d 0.3 -o "$D/t.ndjson" 2>"$D/q.err" || return
	[ ! -s "$D/q.err" ] || wrong "-q says: $(cat "$D/q.err")" || return
	[ "$(cat "$D/t.ndjson.old")" = precious ] || wrong 'the old one is lost' || return
	[ ! -e "$D/elsewhere" ] || wrong 'a link was followed' || return
	fine
}

case_not_a_file() {
	load || return
	ln -s "$D/elsewhere" "$D/link"
	says 1 "pagetap: $D/link: it is no regular file (symbolic links are not followed)" \
		"$PAGETAP" record --engine sync -p "$TARGET" -o "$D/link" || return
	[ ! -e "$D/elsewhere" ] || wrong 'the link was followed' || return
	says 1 "pagetap: $D: it is no regular file (symbolic links are not followed)" \
		"$PAGETAP" record --engine sync -p "$TARGET" -o "$D" || return
	says 1 "pagetap: $D/no/t.ndjson: No such file or directory" \
		"$PAGETAP" record --engine sync -p "$TARGET" -o "$D/no/t.ndjson" || return
	not_attached "$TARGET" || wrong 'it was attached to' || return
	fine
}

# Nothing is attached until a FIFO has a reader, and one may tire of waiting.
case_fifo() {
	load || return
	mkfifo "$D/fifo"
	record "$D/tired.err" -p "$TARGET" -o "$D/fifo"
	waits() { grep -q wait_for_partner "/proc/$RECORDER/wchan"; }
	within 10 waits || wrong 'it does not wait' || return
	untouched "$TARGET" || return
	kill -TERM "$RECORDER"
	end_of "$RECORDER" 5 || return
	[ "$STATUS" = 143 ] || wrong "status $STATUS" || return
	cat "$D/fifo" >"$D/t.ndjson" &
	started $!
	says 0 "pagetap: detached from $TARGET (writer), which runs on" \
		"$PAGETAP" record --engine sync -p "$TARGET" -d 0.3 -o "$D/fifo" || return
	within 5 grep -q '"ev":"detach"' "$D/t.ndjson" || wrong 'the trace does not end' || return
	valid "$D/t.ndjson" || return
	fine
}

case_standard_output() {
	load || return
	"$PAGETAP" record --engine sync -p "$TARGET" -d 0.5 -o - >"$D/t.ndjson" 2>"$D/record.err" || return
	valid "$D/t.ndjson" || return
	if grep -q '^trace:\|^look:' "$D/record.err"; then wrong 'names a file' || return; fi
	fine
}

case_compressed() {
	load || return
	"$PAGETAP" record --engine sync -p "$TARGET" -d 0.5 -o "$D/t.ndjson.zst" 2>"$D/says.err" || return
	valid "$D/t.ndjson.zst" || return
	zstd -qdc "$D/t.ndjson.zst" | tail -n 1 | jq -e '.ev == "detach" and .clean' >/dev/null ||
		wrong 'no end' || return
	like "look:    pagetap report $D/t.ndjson.zst      zstdcat .* \\| less" || return
	fine
}

# No larger than it may be, and told how it ended.
case_max_size() {
	load || return
	says 0 "pagetap: detached from $TARGET (writer), which runs on" \
		"$PAGETAP" record --engine sync -p "$TARGET" --rearm 10 --max-size 300K -d 60 -o "$D/t.ndjson" || return
	local size
	size=$(stat -c %s "$D/t.ndjson")
	[ "$size" -le 307200 ] && [ "$size" -gt 200000 ] || wrong "$size bytes" || return
	[ "$(tail -n 1 "$D/t.ndjson" | jq -c '[.ev, .reason, .clean]')" = '["detach","limit",true]' ] ||
		wrong "the end: $(tail -n 1 "$D/t.ndjson")" || return
	valid "$D/t.ndjson" || return
	says 0 "pagetap: detached from $TARGET (writer), which runs on" \
		"$PAGETAP" record --engine sync -p "$TARGET" --rearm 10 --max-size 16K -d 60 -o "$D/c.ndjson.zst" || return
	size=$(stat -c %s "$D/c.ndjson.zst")
	[ "$size" -gt 10000 ] && [ "$size" -lt 300000 ] || wrong "$size bytes, compressed" || return
	valid "$D/c.ndjson.zst" || return
	fine
}

# A name that a shell would take apart is quoted in what to run next.
case_awkward_name() {
	load || return
	(cd "$D" && "$PAGETAP" record --engine sync -p "$TARGET" -d 0.3 -o "it's here.ndjson" 2>"$D/says.err") || return
	local next
	next=$(sed -n 's/^look:    pagetap \(report .*ndjson.\)  .*/\1/p' "$D/says.err")
	(cd "$D" && eval "\"\$PAGETAP\" $next" >/dev/null) || wrong "what to run next fails: $next" || return
	fine
}

case_full_device() {
	load || return
	says 1 'pagetap: /dev/full: no space left on device; nothing was attached' \
		"$PAGETAP" record --engine sync -p "$TARGET" --rearm 20 -o /dev/full || return
	fine
}

case_full_file_system() {
	load || return
	mkdir "$D/small"
	mount -t tmpfs -o size=128k tmpfs "$D/small" 2>/dev/null || { skip no-mount 'mount(2) fails'; return; }
	full_file_system
	local rc=$?
	umount "$D/small"
	return $rc
}
full_file_system() {
	says 1 "pagetap: recording stopped, $TARGET (writer) was detached and runs on; the file ends with a whole record" \
		"$PAGETAP" record --engine sync -p "$TARGET" --rearm 20 -o "$D/small/t.ndjson" || return
	like "pagetap: $D/small/t.ndjson: no space left on device after [0-9,]+ records \\([0-9.]+ KiB\\)" || return
	local said
	said=$(sed -n 's/.* after \([0-9,]*\) records .*/\1/p' "$D/says.err" | tr -d ,)
	[ "$said" = $(($(wc -l <"$D/small/t.ndjson") - 1)) ] || wrong "$said records?" || return
	tail -n 1 "$D/small/t.ndjson" | jq -e .seq >/dev/null || wrong 'the last line is cut' || return
	fine
}

case_reader_gone() {
	load || return
	# shellcheck disable=SC2016
	timeout 30 bash -c '"$0" record --engine sync -p "$1" --rearm 20 -o - 2>"$2/gone.err" | head -n 1 >"$2/one"
		echo "${PIPESTATUS[0]}" >"$2/status"' "$PAGETAP" "$TARGET" "$D"
	[ "$(cat "$D/status")" = 141 ] || wrong "status $(cat "$D/status"), not 141" || return
	if grep -qi 'pipe\|error' "$D/gone.err"; then wrong "it says: $(cat "$D/gone.err")" || return; fi
	fine
}

# A reader that stands still: nothing waits for it but the writer.
stalled() {
	mkfifo "$D/pipe"
	sleep 60 <>"$D/pipe" &
	started $!
	within 5 test -e "/proc/$!/fd/0" || return
}

case_losses_are_told() {
	load || return
	mkfifo "$D/pipe"
	(exec <"$D/pipe"; sleep 1; exec cat >"$D/t.ndjson") &
	started $!
	timeout 30 "$PAGETAP" record --engine sync -p "$TARGET" --rearm 10 -d 3 --ring 64 --strict --color always -o - \
		>"$D/pipe" 2>"$D/says.err"
	[ $? = 6 ] || wrong 'status is not 6' || return
	grep -qE $'^\033\[31mpagetap: [0-9,]+ records lost \(ring full\); counts are still exact, the page list is not\033\[m$' \
		"$D/says.err" || wrong "losses: $(cat "$D/says.err")" || return
	grep -q 'hint: .*--ring 256, or -m heap to watch less$' "$D/says.err" || wrong 'no hint' || return
	valid "$D/t.ndjson" || return
	[ "$(count "$D/t.ndjson" '.ev == "lost"')" -gt 0 ] || wrong 'the trace does not tell' || return
	fine
}

case_interrupted_twice() {
	load || return
	stalled || return
	record "$D/record.err" -p "$TARGET" --rearm 10 --ring 64 -o "$D/pipe"
	wait_attached "$TARGET" || return
	sleep 1
	kill -INT "$RECORDER"
	within 10 not_attached "$TARGET" || wrong 'the first Ctrl-C does not free it' || return
	kill -0 "$RECORDER" || wrong 'it does not wait for its reader' || return
	kill -INT "$RECORDER"
	end_of "$RECORDER" 3 || return
	[ "$STATUS" = 130 ] || wrong "status $STATUS, not 130" || return
	grep -q '^pagetap: stopping at once; buffered records dropped.*; target detached$' "$D/record.err" ||
		wrong "words: $(cat "$D/record.err")" || return
	fine
}

case_demo() {
	(cd "$D" && timeout 60 "$PAGETAP" demo -d 1 >demo.out 2>demo.err) || wrong "status $?: $(tail -n 3 "$D/demo.err")" || return
	grep -qE '^  [0-9,]{5,} faults   [0-9,]+ writes   [0-9,]+ write-protect   [0-9,]+ missing   0 lost$' \
		"$D/demo.out" || wrong "$(cat "$D/demo.out")" || return
	grep -qE '^  \[heap\]  .*\|[ .:=+*#%@-]{32}\|  *[0-9,]+ faults on  *[0-9]+ % of its pages$' "$D/demo.out" ||
		wrong 'no picture of the heap' || return
	grep -qx 'pagetap: detached cleanly, target exited with 0' "$D/demo.err" || wrong "$(cat "$D/demo.err")" || return
	valid "$(echo "$D"/pagetap-*.ndjson)"
}

run_cases "$@"
