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
	(cd "$D" && timeout 60 "$program" "$name" >alone.out 2>&1 </dev/null)
	status=$?
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
case_shared_memory() { same maps shm; }
case_sealed_memory() { same maps seal; }
case_written_by_another_process() { same maps foreign; }
case_locked_memory() { same maps mlock; }
case_unwatchable_memory() { same maps unwatchable; }
case_sparse_memory() { same maps sparse; }

# ---- who writes --------------------------------------------------------------

case_stores_across_pages() { same kernel stores; }
case_crowd_on_one_page() { same threads crowd; }
case_child_in_its_parents_memory() { same threads vfork; }
case_forks_interrupted_by_signals() { same threads forksignal -f; }
case_words_of_the_kernel() { same threads kernelwords; }
case_threads_end_on_armed_pages() { same threads threadends --rearm 1; }
case_locks_of_threads_that_end() { same threads robustends --rearm 5; }
case_io_uring_buffers() { same kernel uring; }
case_io_uring_polled() { same kernel uringpoll; }
case_aio_and_vmsplice() { same kernel aio; }

# A write by /proc/PID/mem to a protected page fails: the manual says so.
case_proc_mem() {
	same kernel procmem || return
	grep -q '^procmem written' "$D/alone.out" || wrong "unwatched: $(tail -n 2 "$D/alone.out")"
}

run_cases "$@"
