#!/bin/bash
# SPDX-License-Identifier: MIT
#
# restore-trace: what a lazy restore tells of itself, and what the next one makes of it.
#
# limit: 200
# lane: restore
. "$(dirname "$0")/lib.sh"
. "$SRC/tests/restore/rig.sh"
needs_criu

# cold VERB [OPTION...]: restored with nothing filled in the background until that has been
# done; the trace in $D/t.ndjson is valid.
cold() {
	rm -f "$D/t.ndjson"
	new_run
	start_pager --cold leave -o "$D/t.ndjson" "${@:2}" && start_restore "$1" && criu_content &&
		all_right || return
	# It may have ended by itself.
	kill -TERM "$PAGER_PID" 2>/dev/null
	pager_ends && end_run && is_valid
}
is_valid() {
	"$PAGETAP" validate "$D/t.ndjson" >"$D/verdict" 2>&1 || wrong "$(head -n 5 "$D/verdict")" || return
	! grep -q '^{"ev":"lost"' "$D/t.ndjson" || wrong "records were lost: $(cat "$D/verdict")" || return
	[ "$("$PAGETAP" report --json "$D/t.ndjson" | jq -c '.total | [.faults, .writes, .local + .remote]')" = \
		"$(jq -sc 'map(select(.ev == "fault")) | [length, (map(select(.write)) | length),
			(map(select(.src)) | length)]' "$D/t.ndjson")" ] || wrong 'report counts otherwise'
}
# number FILTER: of the trace's records, by jq.
number() { jq -s "$1" "$D/t.ndjson"; }
# holds FILTER: true of the trace.
holds() { jq -se "$1" "$D/t.ndjson" >/dev/null || wrong "not so: $1"; }
last_is() { holds "last | .ev == \"detach\" and .reason == \"$1\" and .clean"; }

# With nothing filled in the background every page is touched first by the process itself.
case_faults() {
	checkpoint plain 64 && cold random && last_is complete || return
	holds 'map(select(.ev == "attach")) | length == 1 and .[0].comm == "known" and
		.[0].image_pid > 4000 and (.[0].exe | endswith("/known"))' || return
	# The walk reads; a page of the stack may be written first, if the stack happens to cross it.
	holds 'map(select(.ev == "fault")) | length > 4000 and (map(select(.write)) | length) < 20' || return
	jq -sc '(map(select(.ev == "vma") | {(.id | tostring): .}) | add) as $vma | .[] |
		select(.ev == "fault") | select((.kind == "missing" and .tid == 0 and .lat_ns > 0 and
		.stop_ns >= .lat_ns and ((.act == "copy" and .src == "local") or
		(.act == "zeropage" and (has("src") | not))) and (.page as $p |
		$vma[.vma | tostring] | .page <= $p and $p < .page + .npages)) | not)' "$D/t.ndjson" >"$D/odd"
	[ ! -s "$D/odd" ] || wrong "$(wc -l <"$D/odd") odd faults, the first: $(head -n 1 "$D/odd")" || return
	holds '[.[] | select(.ev == "fault" and .act == "copy") | .page] | length == (unique | length)'
}

# All that can be done to a layout, each with a trace that is valid.
case_layout() {
	checkpoint single 32 || return
	cold unmap && holds 'any(.ev == "unmap") and any(.ev == "vma" and .op == "change")' || return
	cold mix && holds 'any(.ev == "fork" and .followed and .child == null) and
		any(.ev == "remap") and any(.ev == "remove") and any(.ev == "vma" and .op == "add")'
}
case_exits() {
	checkpoint children 32 && cold exit && holds 'any(.ev == "exit")' && last_is exit
}

# idle_at_first SECONDS: what nobody touches stays, and the pager with it.
idle_at_first() {
	checkpoint plain 64 || return
	new_run
	start_pager --cold leave -o "$D/t.ndjson" && start_restore idle && criu_content && all_right || return
	sleep "$1"
	! ended "$PAGER_PID" || wrong "the pager ended: $(pager_said)" || return
	holds 'map(select(.ev == "fault")) | length < 100'
}
case_cold_until_touched() {
	idle_at_first 1.2 && next_word check && end_run && pager_ends &&
		holds 'map(select(.ev == "fault")) | length > 4000'
}
case_cold_until_told() {
	idle_at_first 0.2 || return
	kill -TERM "$PAGER_PID"
	pager_ends && grep -q 'told to end: .* last 1[56][0-9]* pages' "$RUN/pager.log" ||
		wrong "it said: $(pager_said)" || return
	next_word check && end_run && is_valid && last_is complete
}
case_cold_until_they_end() {
	idle_at_first 0.2 || return
	kill -KILL "$RESTORE_PID"
	pager_ends && grep -q '1[56],[0-9]* of processes that ended' "$RUN/pager.log" ||
		wrong "it said: $(pager_said)" || return
	is_valid && last_is exit
}

# What was touched first comes first: hardly anybody has to wait for it then.  Here a list says
# it; the trace itself does in others.
case_prefetch() {
	local first second
	checkpoint plain 64 && cold random || return
	first=$(number 'map(select(.ev == "fault")) | length')
	mv "$D/t.ndjson" "$D/first.ndjson"
	"$PAGETAP" export -q --to pages -o "$D/first.pages" "$D/first.ndjson" || return
	cold random --prefetch "$D/first.pages" || return
	second=$(number 'map(select(.ev == "fault")) | length')
	say "faults: $first, then $second"
	[ "$first" -gt 4000 ] && [ $((second * 10)) -le "$first" ] || wrong "too many: $first, then $second"
}
case_prefetch_of_what_is_no_trace() {
	checkpoint plain 64 || return
	head -c 5000 /dev/urandom >"$D/bad"
	timeout 10 "$PAGETAP" lazy-pages -D "$CHECKPOINT/images" -W "$D" --prefetch "$D/bad" >"$D/said" 2>&1
	[ $? = 1 ] && grep -q '/bad: not a trace' "$D/said" && [ ! -e "$D/lazy-pages.socket" ] ||
		wrong "it said: $(cat "$D/said")"
}

# The first write of each page, once, wherever the page came from and went to.
written_once() {
	holds '[.[] | select(.ev == "fault" and .write) | .page] | length == (unique | length)'
}
case_first_writes() {
	checkpoint plain 64 || return
	new_run
	start_pager --mode write -o "$D/t.ndjson" && start_restore stamp && criu_content && all_right || return
	sleep 0.3
	! ended "$PAGER_PID" || wrong "the pager ended: $(pager_said)" || return
	next_word check
	kill -TERM "$PAGER_PID"
	pager_ends && next_word check && end_run && is_valid && last_is complete && written_once || return
	# All 16384 of them, unless the process had begun before we could protect anything.
	holds '[.[] | select(.ev == "fault" and .write)] | length >= 8000 and any(.kind == "wp" and .act == "unprotect")'
}
case_first_writes_of_what_stays() {
	checkpoint single 32 && cold stamp --mode write && written_once &&
		holds 'any(.ev == "fault" and .write and .kind == "missing" and .act == "copy") and
			any(.ev == "fault" and .write and .kind == "wp")'
}

case_compressed_to_a_pipe() {
	checkpoint plain 64 || return
	mkfifo "$D/fifo.zst"
	timeout 60 zstdcat <"$D/fifo.zst" >"$D/t.ndjson" &
	started $!
	restored check -o "$D/fifo.zst" || return
	end_of "${PIDS[-1]}" 20
	is_valid && last_is complete
}
# Nobody reads it: the restore does not wait for that, and its end not for ever.
case_nobody_reads() {
	checkpoint plain 64 || return
	mkfifo "$D/fifo"
	exec 8<>"$D/fifo"
	new_run
	start_pager --cold leave -o "$D/fifo" && start_restore random && criu_content && all_right || return
	kill -TERM "$PAGER_PID"
	sleep 0.3
	# It has ended, but for the trace.
	kill -TERM "$PAGER_PID"
	end_of "$PAGER_PID" 20
	[ "$STATUS" = 1 ] && grep -q '/fifo: Connection timed out after .* records' "$RUN/pager.log" ||
		wrong "ended with $STATUS: $(pager_said)" || return
	exec 8>&-
	end_run
}
case_a_full_disk() {
	checkpoint plain 64 || return
	new_run
	start_pager -o /dev/full
	end_of "$PAGER_PID" 10
	[ "$STATUS" = 1 ] && grep -q '/dev/full: no space' "$RUN/pager.log" ||
		wrong "it ended with $STATUS: $(pager_said)" || return
	[ ! -e "$RUN/lazy-pages.socket" ] || wrong 'it listens'
}

case_remote() {
	checkpoint children 32 && start_source && retold blank || return
	set -- --page-server --address 127.0.0.1 --port "$PORT"
	IMAGES=$IMAGES_TOLD cold mix --mode write "$@" || return
	holds 'map(select(.ev == "fault" and .src == "remote")) | length > 20 and all(.act == "copy")' || return
	mv "$D/t.ndjson" "$D/first.ndjson"
	IMAGES=$IMAGES_TOLD cold mix --prefetch "$D/first.ndjson" "$@" && end_source
}

run_cases "$@"
