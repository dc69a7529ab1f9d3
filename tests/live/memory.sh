#!/bin/bash
# SPDX-License-Identifier: MIT
#
# memory: small targets that each do one thing to their memory, unwatched and watched:
# the same end, the same words, and a trace that tells what they did.
# limit: 300
. "$(dirname "$0")/lib.sh"

# same KIND CASE [RECORD-OPTION...]: PID is the target's when it has ended.
same() {
	local program=$T/memory-$1 name=$2 status
	shift 2
	if [ "${ALONE:-yes}" = yes ]; then
		(cd "$D" && timeout 60 "$program" "$name" >alone.out 2>&1 </dev/null)
		status=$?
	else
		: >"$D/alone.out"
		status=${ENDS:-0}
	fi
	if [ "$status" = 77 ]; then
		# shellcheck disable=SC2046
		skip $(sed -n 's/^SKIP //p' "$D/alone.out")
		return
	fi
	[ "$status" = "${ENDS:-0}" ] || wrong "unwatched: exit status $status" || return
	mkfifo "$D/gate"
	start_target "$D/target.out" "$program" "$name" "$D/gate" || return
	PID=$TARGET
	record "$D/record.err" -p "$PID" -o "$D/t.ndjson" "$@"
	wait_attached "$PID" || return
	within 10 grep -q attached "$D/record.err" || wrong "it does not say that it is attached" || return
	watched_well || return
	${BEFORE:-true} || return
	timeout 5 sh -c "echo >'$D/gate'" || wrong "the target does not begin" || return
	${MEANWHILE:-true} || return
	end_of "$PID" 60 || return
	[ "$STATUS" = "${ENDS:-0}" ] || wrong "watched: exit status $STATUS: $(tail -n 1 "$D/target.out")" || return
	end_of "$RECORDER" 20 || return
	[ "$STATUS" = 0 ] || wrong "record exited with $STATUS" || return
	diff <(grep '^says' "$D/alone.out") <(grep '^says' "$D/target.out") >"$D/difference.out" ||
		wrong "it sees other things: $(grep '^[<>]' "$D/difference.out" | head -n 3)" || return
	valid "$D/t.ndjson" || return
	facts "$@"
}

# Nothing of ours is in a process that is watched, but the protection of its memory.
watched_well() {
	local f
	[ "$(awk '/^TracerPid/ { print $2 }' "/proc/$PID/status")" = 0 ] || wrong "it has a tracer" || return
	for f in "/proc/$PID"/fd/*; do
		case $(readlink "$f") in *userfaultfd*) wrong "it holds a userfaultfd" || return ;; esac
	done
}

facts() {
	local follow=false
	[[ " $* " == *" -f "* ]] && follow=true
	sed -n 's/^fact //p' "$D/target.out" >"$D/facts"
	jq -n -r --argjson pid "$PID" --argjson followed $follow --slurpfile facts "$D/facts" \
		-f "$SRC/tests/live/memory-facts.jq" "$D/t.ndjson" >"$D/facts.out" 2>&1 ||
		wrong "jq: $(head -n 2 "$D/facts.out")" || return
	[ ! -s "$D/facts.out" ] || wrong "$(wc -l <"$D/facts.out") facts: $(head -n 3 "$D/facts.out")"
}

# ---- mappings ----------------------------------------------------------------

case_removed_and_punched() { same maps remove; }
case_two_addresses() { same maps alias; }
case_advice_for_forks() { same maps forkadvice; }
case_advice_for_followed_forks() { same maps forkadvice -f; }
case_stacks_that_grow() { same maps grows; }
case_write_barrier_by_signals() { same maps segv; }
case_write_barrier_armed_again() { same maps segv --rearm 5; }
case_shared_memory() { same maps shm; }
case_sealed_memory() { same maps seal; }
case_written_by_another_process() { same maps foreign; }
case_locked_memory() { same maps mlock; }
case_unwatchable_memory() { same maps unwatchable; }
case_sparse_memory() { same maps sparse; }

# Which of the moves are refused is a matter of time, but not that of a neighbour that has
# been watched for long.
case_moved_with_a_newer_neighbour() {
	same maps merge || return
	say "watched: $(grep ^moved "$D/target.out")"
	grep -qx 'moved at once 1, later 1, written before 1' "$D/alone.out" || wrong "unwatched: $(grep ^moved "$D/alone.out")" || return
	grep -q 'later 1' "$D/target.out" || wrong "refused although both are watched"
}

# ---- who writes --------------------------------------------------------------

case_stores_across_pages() { same kernel stores; }
case_crowd_on_one_page() { same threads crowd; }
case_child_in_its_parents_memory() { same threads vfork; }
case_forks_interrupted_by_signals() { same threads forksignal -f; }
case_words_of_the_kernel() { same threads kernelwords; }
case_threads_end_on_armed_pages() { same threads threadends --rearm 1; }

# musl has one word for all threads, and it is the lock of their list.
case_threads_end_with_musl() {
	command -v musl-gcc >/dev/null || { skip no-musl 'musl-gcc is not installed'; return; }
	cat >"$D/musl.c" <<-'C'
	#include <pthread.h>
	#include <stdio.h>
	#include <time.h>
	static void *ends(void *arg) { return arg; }
	int main(void) {
		time_t until;
		long n = 0;
		puts("ready"); fflush(stdout); getchar();
		for (until = time(NULL) + 4; time(NULL) < until; n++) {
			pthread_t th;
			if (pthread_create(&th, NULL, ends, NULL) || pthread_join(th, NULL))
				return 1;
		}
		return printf("ok %ld\n", n) < 0;
	}
	C
	musl-gcc -static -O1 -pthread -o "$D/musl" "$D/musl.c" 2>"$D/cc.err" || wrong "it does not compile" || return
	mkfifo "$D/gate"
	"$D/musl" <"$D/gate" >"$D/target.out" 2>&1 &
	PID=$!
	started "$PID"
	exec 8>"$D/gate"
	within 10 grep -q ready "$D/target.out" || return
	record "$D/record.err" -p "$PID" -o "$D/t.ndjson" --rearm 1 8>&-
	wait_attached "$PID" || return
	within 10 grep -q attached "$D/record.err" || return
	echo >&8
	exec 8>&-
	end_of "$PID" 40 || return
	[ "$STATUS" = 0 ] || wrong "exit status $STATUS" || return
	end_of "$RECORDER" 20 || return
	valid "$D/t.ndjson"
}
case_locks_of_threads_that_end() { same threads robustends --rearm 5; }
case_io_uring_buffers() { same kernel uring; }
case_io_uring_polled() { same kernel uringpoll; }
case_aio_and_vmsplice() { same kernel aio; }

# A write by /proc/PID/mem to a protected page fails: the manual says so.
case_proc_mem() {
	same kernel procmem || return
	grep -q '^procmem written' "$D/alone.out" || wrong "unwatched: $(tail -n 2 "$D/alone.out")"
}

# gdb sets a word and unmaps a mapping by a call that it makes the target do.
debugger() {
	timeout 40 gdb -q -batch -nx -iex 'set auto-load no' -p "$PID" \
		-ex 'set var debug.word = 1000000' \
		-ex 'print ((int (*)(void *, unsigned long))munmap)((void *)debug.map, 65536)' \
		-ex 'set var debug.done = 1' >"$D/gdb.out" 2>&1 ||
		wrong "gdb: $(tail -n 3 "$D/gdb.out")"
}
case_unmapped_by_a_debugger() {
	MEANWHILE=debugger ALONE=no same kernel debugged
}

# ---- large, merged, swapped, moved, dumped -----------------------------------

case_huge_pages() { same huge thp; }
case_moved_pages() { same huge moved; }

# set_file FILE VALUE: until the case is over; 1 if it cannot be set.
set_file() {
	local was
	was=$(cat "$1") || return
	RESTORE+=("$1" "${was##*[}")
	echo "$2" 2>/dev/null >"$1"
}
restore_files() {
	while [ "${#RESTORE[@]}" -gt 0 ]; do
		echo "${RESTORE[-1]%]*}" 2>/dev/null >"${RESTORE[-2]}"
		unset 'RESTORE[-1]' 'RESTORE[-1]'
	done
}
RESTORE=()
trap 'restore_files; swap_off; cleanup; rm -rf "$W"' EXIT

case_huge_pages_of_the_pool() {
	local rc
	set_file /proc/sys/vm/nr_hugepages $(($(cat /proc/sys/vm/nr_hugepages) + 8)) ||
		{ skip no-hugepages 'vm.nr_hugepages cannot be set'; return; }
	same huge hugetlb
	rc=$?
	restore_files
	return $rc
}

case_merged_pages() {
	local rc
	set_file /sys/kernel/mm/ksm/run 1 && set_file /sys/kernel/mm/ksm/sleep_millisecs 5 &&
		set_file /sys/kernel/mm/ksm/pages_to_scan 2000 ||
		{ restore_files; skip no-ksm '/sys/kernel/mm/ksm cannot be set'; return; }
	same huge ksm
	rc=$?
	restore_files
	[ $rc = 0 ] && merged_pages_told
}

# The random target offers and takes back pages all the time.
case_merged_and_judged() {
	local rc
	set_file /sys/kernel/mm/ksm/run 1 && set_file /sys/kernel/mm/ksm/sleep_millisecs 5 &&
		set_file /sys/kernel/mm/ksm/pages_to_scan 2000 ||
		{ restore_files; skip no-ksm '/sys/kernel/mm/ksm cannot be set'; return; }
	TMPDIR=$D JUDGE_LIMIT=100 bash "$SRC/tests/judge/run.sh" --first 902 --ops 2400 --require 10 \
		>"$D/judge.out" 2>&1
	rc=$?
	restore_files
	[ $rc = 0 ] || wrong "$(tail -n 1 "$D/judge.out")"
}

# Each of 64 merged pages that were written is in the trace, as a write or in a gap.
merged_pages_told() {
	local first
	first=$(sed -n 's/^fact {"is":"quiet","page":\([0-9]*\),"n":192.*/\1/p' "$D/target.out")
	[ -n "$first" ] || wrong "no fact of 192 pages: $(grep ^fact "$D/target.out")" || return
	jq -rn --argjson first $((first - 64)) '
		(reduce (inputs | select(.ev == "fault" or .ev == "gap")) as $r ({};
			if $r.ev == "fault" then .[$r.page | tostring] = 1
			else reduce range(64) as $i (.;
				if $r.page == null or
					($first + $i >= $r.page and $first + $i < $r.page + $r.npages)
				then .[$first + $i | tostring] = 1 else . end) end)) as $told |
		[range(64) | select($told[$first + . | tostring] | not)] | length' "$D/t.ndjson" >"$D/untold" ||
		return
	[ "$(cat "$D/untold")" = 0 ] || wrong "of $(cat "$D/untold") merged pages that were written nothing is told"
}

SWAP=
swap_off() {
	[ -z "$SWAP" ] || swapoff "$SWAP"
	SWAP=
}
case_swapped_pages() {
	local rc
	dd if=/dev/zero of="$W/swap" bs=1M count=32 2>"$D/dd.err" && chmod 600 "$W/swap" &&
		mkswap "$W/swap" >"$D/mkswap.out" 2>&1 && swapon "$W/swap" 2>"$D/swapon.err" ||
		{ rm -f "$W/swap"; skip no-swap "$(tail -n 1 "$D/swapon.err")"; return; }
	SWAP=$W/swap
	same huge swap
	rc=$?
	swap_off
	rm -f "$W/swap"
	return $rc
}

# The dump of a target that is watched holds what it would hold otherwise.
dump_of() {
	local at core
	core=$(echo "$D"/core*)
	[ -s "$core" ] || wrong "no dump" || return
	at=$(sed -n 's/^core //p' "$D/$1")
	gdb -q -batch -nx -iex 'set auto-load no' "$T/memory-huge" "$core" \
		-ex "dump binary memory $D/part 0x$at (0x$at + 2048 * 4096)" >"$D/gdb.out" 2>&1
	[ "$(stat -c %s "$D/part")" = $((2048 * 4096)) ] || wrong "a part is missing: $(tail -n 2 "$D/gdb.out")" || return
	[ "$(tr -d c <"$D/part" | wc -c)" = 4096 ] && [ "$(tr -d cd <"$D/part" | wc -c)" = 0 ] ||
		wrong "the dump holds something else" || return
	rm -f "$D/part" "$core"
}
dumps() {
	[ "$(cat /proc/sys/kernel/core_pattern)" = core ] || { skip no-core 'kernel.core_pattern is not core'; return; }
	# As sudo(8) leaves it, and a container its root without CAP_SYS_RESOURCE.
	(ulimit -c unlimited) 2>/dev/null || { skip no-core 'the limit of dumps cannot be raised'; return; }
	local at
	ENDS=132 BEFORE='dump_of alone.out' same huge core "$@" || return
	dump_of target.out
}
case_dumped_memory() { cd "$D" && dumps; }
case_dumped_memory_and_missing_pages() { cd "$D" && dumps --mode write,missing; }

run_cases "$@"
