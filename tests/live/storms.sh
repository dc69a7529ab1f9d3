#!/bin/bash
# SPDX-License-Identifier: MIT
#
# storms: very many mappings, threads, children and moves; what the monitor takes then.
# limit: 500
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-load.sh"

# ---- what the monitor takes ----------------------------------------------------

descriptors() {
	set -- "/proc/$1"/fd/*
	echo $#
}

few_descriptors() { [ "$(descriptors "$1")" -le "$2" ]; }

# sample PID DESCRIPTORS [MEMORY]: the peaks, in files, until it ends.
sample() {
	local peak=0 n
	while ! ended "$1"; do
		n=$(descriptors "$1")
		[ "$n" -le "$peak" ] || echo "$((peak = n))" >"$2"
		[ -z "${3:-}" ] || ! n=$(status_kb "$1" VmHWM) || [ -z "$n" ] || echo "$n" >"$3"
		sleep 0.05
	done
}

# share_of_cpu PID SECONDS: per cent of one processor; in $SHARE.
share_of_cpu() {
	local n t0 t1
	n=$(ticks "$1")
	t0=${EPOCHREALTIME/./}
	sleep "$2"
	t1=${EPOCHREALTIME/./}
	SHARE=$((($(ticks "$1") - n) * 1000000 * 100 / $(getconf CLK_TCK) / (t1 - t0)))
}

status_kb() { awk -v key="$2:" '$1 == key { print $2 }' "/proc/$1/status" 2>/dev/null; }

# watch_storm SECONDS OPTIONS...: attaches to $TARGET while it works (its counter is
# $D/count), for that long; the monitor, $RECORDER, goes on.  CALM is the share of the
# processor that it wants once the target stands still.
watch_storm() {
	local seconds=$1 alone watched limit covered
	shift
	rate "$D/count" 1
	alone=$RATE
	record "$D/record.err" -p "$TARGET" -o "$D/t.ndjson" "$@"
	within 60 grep -q attached "$D/record.err" || wrong "not attached after 60 s" || return
	DESCRIPTORS=$(descriptors "$RECORDER")
	sample "$RECORDER" "$D/peak" &
	started $!
	rate "$D/count" 0.5
	watched=$(ticks "$RECORDER")
	rate "$D/count" "$seconds"
	SHARE=$((($(ticks "$RECORDER") - watched) * 100 / $(getconf CLK_TCK) / seconds))
	watched=$RATE
	say "$alone/s alone, watched $(share "$watched" "$alone") of that; the monitor took $SHARE % of a processor"
	[ "$watched" -gt 0 ] || wrong "the target stands still" || return

	! ended "$TARGET" || wrong "the target has ended: $(tail -n 1 "$D/target.out")" || return
	kill -STOP "$TARGET"
	AFTER=${EPOCHREALTIME/./}
	within 20 few_descriptors "$RECORDER" $((DESCRIPTORS + 2)) ||
		wrong "$(descriptors "$RECORDER") descriptors 20 s after the storm, $DESCRIPTORS before" || return
	AFTER=$(((${EPOCHREALTIME/./} - AFTER) / 1000))
	share_of_cpu "$RECORDER" 0.5
	kill -CONT "$TARGET"
	[ "$SHARE" -le 60 ] || wrong "it takes $SHARE % of a processor when nothing happens" || return

	covered=$(status_kb "$TARGET" VmSize)
	limit=$((65536 + covered / 1000))
	PEAK=$(status_kb "$RECORDER" VmHWM)
	say "memory $PEAK kB of $limit; $DESCRIPTORS descriptors, at most $(cat "$D/peak")," \
		"as before $AFTER ms after the storm"
	[ "$PEAK" -le "$limit" ] || wrong "the monitor took $PEAK kB, $limit are promised"
}

# calm_after [FAULTS [ERRNO]]: the monitor ends, the target checks itself, the trace
# validates, tells of so many faults, and of no error but that.
calm_after() {
	# shellcheck disable=SC2034
	ALLOWED=${2:-}
	stop_record "$RECORDER" || return
	untouched "$TARGET" || return
	runs_on "$D/count" || return
	target_ends "$TARGET" "$D/target.out" || return
	honest "$D/t.ndjson" "${1:-100}" || return
	say "$(faults "$D/t.ndjson") faults, $(count "$D/t.ndjson" '.ev == "lost"') losses," \
		"stopped for $(jq -r 'select(.ev == "attach") | .stop_ns' "$D/t.ndjson" | sort -n | tail -n 1) ns"
}

storm() { start_target "$D/target.out" "$T/$1" -T 200 -c "$D/count" "${@:2}"; }

# ---- mappings ------------------------------------------------------------------

case_65000_mappings() {
	storm mappings -p 65000 alternate || return
	watch_storm 2 && calm_after
}

case_65000_mappings_with_holes() {
	storm mappings -p 65000 holes || return
	watch_storm 2 && calm_after
}

# Registering a part of a mapping splits it; the target's own next one must be had.
case_as_many_mappings_as_the_kernel_allows() {
	storm mappings full || return
	watch_storm 2 && calm_after
}

case_100_gib_mostly_untouched() {
	storm mappings -p 100 sparse || return
	watch_storm 2 && calm_after
}

# A range of the user's lies within a mapping, and does not cut it.
case_a_range_does_not_cut_a_mapping() {
	local pieces at lo hi rest
	storm writer -t 2 -p 64 || return
	while read -r at rest; do
		lo=$((16#${at%-*})) hi=$((16#${at#*-}))
		[[ $rest == "rw-p 00000000 00:00 0 "* ]] && [ $((hi - lo)) -gt 131072 ] && break
	done <"/proc/$TARGET/maps"
	record "$D/record.err" -p "$TARGET" -o "$D/t.ndjson" \
		-a "$(printf '%x-%x' $((lo + 16384)) $((lo + 32768)))"
	wait_attached "$TARGET" || return
	sleep 0.5
	pieces=$(grep -cE "^($(printf '%x' "$lo")-|[0-9a-f]+-$(printf '%x' "$hi") )" "/proc/$TARGET/maps")
	[ "$pieces" = 1 ] || wrong "it is in $pieces pieces" || return
	calm_after 0
	[ "$(jq -r "select(.ev == \"arm\") | .npages" "$D/t.ndjson" | sort -u | paste -s)" = 4 ] ||
		wrong "another part was armed"
}

# ---- threads -------------------------------------------------------------------

# The promise: 100 ms and 50 us a thread.
case_2000_threads() {
	local ns
	storm crowd -t 2000 asleep || return
	watch_storm 3 && calm_after || return
	ns=$(jq -r 'select(.ev == "attach") | .stop_ns' "$D/t.ndjson")
	[ "$ns" -lt 200000000 ] || wrong "the target stood still for $ns ns"
}

case_64_threads_on_one_page() {
	storm crowd -t 64 page || return
	watch_storm 2 --rearm 20 && calm_after 20
}

case_2000_short_threads_a_second() {
	storm crowd -t 4 -p 2000 short || return
	watch_storm 3 -f && calm_after 10
}

# ---- children ------------------------------------------------------------------

case_1000_forks_a_second() {
	storm spawner -p 1000 fork || return
	watch_storm 3 -f && calm_after
}

case_1000_programs_a_second() {
	storm spawner -p 1000 spawn || return
	# More than can be attached to: those left out are told (EAGAIN), and those whom
	# the agent does not know yet, whose parents have gone (EACCES).
	watch_storm 3 -f && calm_after 1 '11|13'
}

# make_cgroup PIDS: one of our own that holds so many; in $GROUP.
make_cgroup() {
	local root
	for root in /sys/fs/cgroup/pids /sys/fs/cgroup /sys/fs/cgroup/unified; do
		GROUP=$root/pagetap-storm-$$
		mkdir "$GROUP" 2>/dev/null || continue
		{ echo "$1" >"$GROUP/pids.max"; } 2>/dev/null && return
		rmdir "$GROUP"
	done
	return 1
}

# Children of children, until their group may have no more.
case_a_fork_bomb() {
	local rc
	make_cgroup 400 || { skip no-cgroup "no pids cgroup can be made"; return; }
	bomb_in_group
	rc=$?
	cleanup
	within 10 rmdir "$GROUP" 2>/dev/null || wrong "its processes do not end" || return
	return $rc
}

bomb_in_group() {
	local limit
	mkfifo "$D/gate"
	: >"$D/target.out"
	(
		echo "$BASHPID" >"$GROUP/cgroup.procs"
		exec "$T/spawner" -n 3000 -T 60 -g "$D/gate" bomb
	) >"$D/target.out" 2>&1 </dev/null &
	TARGET=$!
	started "$TARGET"
	within 20 grep -q '^ready' "$D/target.out" || wrong "the target is not ready" || return
	record "$D/record.err" -p "$TARGET" -f -o "$D/t.ndjson"
	wait_attached "$TARGET" || return
	sample "$RECORDER" "$D/peak" "$D/memory" &
	started $!
	timeout 5 sh -c "echo >'$D/gate'" || return
	target_ends "$TARGET" "$D/target.out" '' || return
	end_of "$RECORDER" 20 || return
	[ "$STATUS" = 0 ] || wrong "record exited with $STATUS" || return
	limit=$((65536 + 1024))
	say "$(tail -n 1 "$D/target.out"); memory $(cat "$D/memory") kB of $limit," \
		"$(cat "$D/peak") descriptors, $(count "$D/t.ndjson" '.ev == "fork"') forks told"
	[ "$(cat "$D/memory")" -le "$limit" ] || wrong "the monitor took $(cat "$D/memory") kB" || return
	valid "$D/t.ndjson"
}

# ---- moves ---------------------------------------------------------------------

case_16_threads_that_move_their_memory() {
	storm mapper -t 16 || return
	watch_storm 3 && calm_after
}

run_cases "$@"
