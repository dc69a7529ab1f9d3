#!/bin/bash
# SPDX-License-Identifier: MIT
#
# strain: a monitor short of memory, of processor time, of room for its file, or asked
# to end twice; the target must not mind, and the trace must say what it lost.
# limit: 240
. "$(dirname "$0")/lib.sh"

load() { start_target "$D/target.out" "$T/writer" -T 100 -c "$D/count"; }

# fine: the target runs on, is left alone, and ends well.
fine() {
	untouched "$TARGET" || return
	runs_on "$D/count" || return
	target_ends "$TARGET" "$D/target.out"
}

faults() { grep -c '^{"ev":"fault"' "$1"; }
reason() { tail -n 1 "$1" | jq -r .reason; }

# A group of memory of our own, under either version; GROUP is its folder.
make_group() {
	local top
	for top in /sys/fs/cgroup/memory /sys/fs/cgroup/unified /sys/fs/cgroup; do
		GROUP=$top/pagetap-test.$$
		mkdir "$GROUP" 2>/dev/null || continue
		LIMIT=$GROUP/memory.limit_in_bytes
		[ -e "$LIMIT" ] || LIMIT=$GROUP/memory.max
		[ ! -e "$LIMIT" ] || return 0
		rmdir "$GROUP"
	done
	return 1
}

# F07: the kernel kills the monitor for want of memory.  ROOM: so many times as much.
case_out_of_memory() {
	make_group || { skip no-cgroup "no memory cgroup can be made"; return; }
	out_of_memory
	local rc=$?
	cleanup
	within 5 rmdir "$GROUP" 2>/dev/null || say "$GROUP is left"
	return "$rc"
}

out_of_memory() {
	load || return
	echo "$((100 * ${ROOM:-1}))M" >"$LIMIT" || return
	(
		echo "$BASHPID" >"$GROUP/cgroup.procs"
		exec "$PAGETAP" record --engine sync -p "$TARGET" -o "$D/t.ndjson" --rearm 20 2>"$D/record.err" </dev/null
	) &
	RECORDER=$!
	started "$RECORDER"
	wait_attached "$TARGET" || return
	runs_on "$D/count" || return
	# Somebody else in the group takes all there is; the monitor is the one to go.
	echo 1000 >"/proc/$RECORDER/oom_score_adj"
	# shellcheck disable=SC2016
	timeout 20 bash -c 'echo $BASHPID >"$1"; echo -1000 >/proc/self/oom_score_adj
		head -c "$2" /dev/zero | tail -c "$2" | wc -c' - "$GROUP/cgroup.procs" "$((95 * ${ROOM:-1}))M" \
		>"$D/hog.out" 2>&1 &
	started $!
	end_of "$RECORDER" 20 || return
	[ "$STATUS" = 137 ] || wrong "exit status $STATUS, not killed: $(tail -n 2 "$D/record.err")" || return
	fine || return
	valid "$D/t.ndjson" --allow-cut
}

# F12: a reader of five lines a second; what it missed adds up.
case_slow_reader() {
	load || return
	mkfifo "$D/pipe"
	(
		exec <"$D/pipe" >"$D/t.ndjson"
		for _ in {1..15}; do
			IFS= read -r line
			printf '%s\n' "$line"
			sleep 0.2
		done
		exec cat
	) &
	started $!
	record "$D/record.err" -p "$TARGET" -o "$D/pipe" --rearm 5 --ring 512 -d 3
	wait_attached "$TARGET" || return
	runs_on "$D/count" || return
	end_of "$RECORDER" 30 || return
	[ "$STATUS" = 0 ] || wrong "exit status $STATUS" || return
	fine || return
	within 5 grep -q '"ev":"detach"' "$D/t.ndjson" || wrong 'the trace does not end' || return
	valid "$D/t.ndjson" || return
	[ "$(jq -s 'map(select(.ev == "lost") | .n) | add' "$D/t.ndjson")" -gt 0 ] || wrong 'nothing is said to be lost'
}

# F15: a limit of the size of files, and its signal.
case_limit_of_file_size() {
	local name
	load || return
	for name in t.ndjson t.ndjson.zst; do
		(
			ulimit -f 64
			exec "$PAGETAP" record --engine sync -p "$TARGET" -o "$D/$name" --rearm 5 -d 30 2>"$D/record.err" </dev/null
		) &
		RECORDER=$!
		started "$RECORDER"
		end_of "$RECORDER" 40 || return
		[ "$STATUS" = 1 ] || wrong "$name: exit status $STATUS instead of 1" || return
		grep -q 'File too large after [0-9,]* records' "$D/record.err" || wrong "words: $(cat "$D/record.err")" || return
		valid "$D/$name" || return
		[ "$(stat -c %s "$D/$name")" -le 65536 ] || wrong 'larger than it may be' || return
		[ "$(zstd -qdcf "$D/$name" | tail -n 1 | jq -r .reason)" = nospace ] || wrong "$name: no reason" || return
		[ "$(zstd -qdcf "$D/$name" | jq -s 'map(select(.ev == "lost") | .n) | add')" -gt 0 ] ||
			wrong "$name: nothing is said to be lost" || return
		untouched "$TARGET" || return
	done
	fine
}

# F17: the same signal twice, fast; a whole trace all the same.
case_signals_twice() {
	local s begin
	load || return
	for s in INT TERM HUP; do
		rm -f "$D"/t.ndjson*
		record "$D/record.err" -p "$TARGET" -o "$D/t.ndjson" --rearm 20
		wait_attached "$TARGET" || return
		within 10 grep -q attached "$D/record.err" || return
		runs_on "$D/count" || return
		begin=${EPOCHREALTIME/./}
		kill "-$s" "$RECORDER"
		kill "-$s" "$RECORDER" 2>/dev/null
		end_of "$RECORDER" 5 || return
		say "SIG$s twice: status $STATUS after $(((${EPOCHREALTIME/./} - begin) / 1000)) ms"
		case $s:$STATUS in
		*:0 | INT:130 | TERM:143) ;;
		*) wrong "SIG$s twice: status $STATUS" || return ;;
		esac
		untouched "$TARGET" || return
		valid "$D/t.ndjson" || return
		[ "$(reason "$D/t.ndjson")" = "sig${s,,}" ] || wrong "reason $(reason "$D/t.ndjson")" || return
		grep -q '^trace: \|^pagetap: stopping at once' "$D/record.err" || wrong 'no summary' || return
	done
	fine
}

# F18: the wall clock is set all the time; no time but that of the header is of it.
case_clock_set() {
	local year
	load || return
	LD_PRELOAD=$O/tests/preload/calendar.so timeout 30 "$PAGETAP" record --engine sync -p "$TARGET" -o "$D/t.ndjson" \
		--rearm 20 -d 0.5 2>"$D/record.err" || wrong "record: status $?" || return
	year=$(jq -r 'select(.ev == "header") | .base_real[0:4]' "$D/t.ndjson")
	case $year in 1979 | 1980 | 2049 | 2050) ;; *) wrong "it is $year: the test shows nothing" || return ;; esac
	[ "$(jq -s 'map(.ts // 0) | max < 20000000000' "$D/t.ndjson")" = true ] || wrong 'a ts of another clock' || return
	[ "$(faults "$D/t.ndjson")" -gt 100 ] || wrong 'hardly a write was seen' || return
	fine || return
	valid "$D/t.ndjson"
}

# F18: a machine that is suspended stops all, and wakes them in any order.
all_of() {
	local p
	for p; do
		echo "$p"
		# shellcheck disable=SC2046
		all_of $(cat "/proc/$p"/task/*/children 2>/dev/null)
	done
}
case_everything_stopped() {
	local all p
	load || return
	record "$D/record.err" -p "$TARGET" -f -o "$D/t.ndjson" --rearm 20
	wait_attached "$TARGET" || return
	within 10 grep -q attached "$D/record.err" || return
	sleep 0.3
	all=$(all_of "$TARGET" "$RECORDER")
	# shellcheck disable=SC2086
	kill -STOP $all
	sleep 1.5
	for p in $(echo "$all" | shuf); do kill -CONT "$p"; done
	runs_on "$D/count" || return
	within 10 attached "$TARGET" || wrong 'it is not watched any more' || return
	stop_record "$RECORDER" || return
	fine || return
	valid "$D/t.ndjson"
}

# F19: the least of the processor, and others who want all of it.
case_hardly_any_processor_time() {
	load || return
	for _ in 1 2; do
		# Of itself: who is killed cannot end another.  SECONDS begins with each shell.
		# shellcheck disable=SC2016
		bash -c 'while [ "$SECONDS" -lt 6 ]; do :; done' &
		started $!
	done
	nice -n 19 "$PAGETAP" record --engine sync -p "$TARGET" -o "$D/t.ndjson" --rearm 20 -d 2 2>"$D/record.err" </dev/null &
	RECORDER=$!
	started "$RECORDER"
	end_of "$RECORDER" 90 || return
	[ "$STATUS" = 0 ] || wrong "exit status $STATUS" || return
	fine || return
	valid "$D/t.ndjson" || return
	jq -c 'select(.ev == "stats" and .final) | "p99 \(.stop_p99_ns / 1000 | floor) us stopped"' "$D/t.ndjson"
}

# F20: the folder of the trace goes while it is written.
case_folder_removed() {
	load || return
	mkdir "$D/gone"
	record "$D/record.err" -p "$TARGET" -o "$D/gone/t.ndjson" --rearm 20
	wait_attached "$TARGET" || return
	rm -r "$D/gone"
	runs_on "$D/count" || return
	kill -INT "$RECORDER"
	end_of "$RECORDER" 10 || return
	[ "$STATUS" = 1 ] || wrong "exit status $STATUS instead of 1" || return
	grep -q 'was removed while it was written' "$D/record.err" || wrong "words: $(cat "$D/record.err")" || return
	fine
}

run_cases "$@"
