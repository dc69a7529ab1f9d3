#!/bin/bash
# SPDX-License-Identifier: MIT
#
# budget: a target at full speed is slowed down by no more than it may be, as its own
# running time tells; and where nothing else helps it is left alone, and watched again.
# limit: 120
. "$(dirname "$0")/lib.sh"

needs_async

# hurry NAME MIB: HURRIED is its pid; it waits at the gate $D/NAME.
hurry() {
	mkfifo "$D/$1"
	start_target "$D/$1.out" "$T/hurry" "$D/$1" "$2" || return
	HURRIED=$TARGET
}

# spent FILE: for 100 of its own time so much in the kernel.
spent() {
	sed -n 's/^ok pages=.* user=\(.*\) kernel=\(.*\)/\1 \2/p' "$1" | awk '{ printf "%d", 100 * $2 / $1 }'
}

# at_full_speed SECONDS OPTION...: two that do the same, one of them watched.  RATIO is what
# that one spends in the kernel: about half of what a fault costs it, and nothing of what it
# may lose of its caches to others.  The other one shows what else there is.
at_full_speed() {
	local seconds=$1 watched free
	shift
	hurry watched 64 || return
	watched=$HURRIED
	hurry free 64 || return
	free=$HURRIED
	record "$D/record.err" -p "$watched" -o "$D/t.ndjson" --engine async --epoch 20 "$@"
	within 10 grep -q attached "$D/record.err" || wrong "it does not say that it is attached" || return
	timeout 5 sh -c "echo >'$D/watched'; echo >'$D/free'" || wrong "they do not begin" || return
	sleep "$seconds"
	target_ends "$watched" "$D/watched.out" || return
	target_ends "$free" "$D/free.out" || return
	record_ends "$D/t.ndjson" || return
	RATIO=$(spent "$D/watched.out")
	say "$RATIO % in the kernel with ${*:-no budget}, $(spent "$D/free.out") % without us"
	[ "$(spent "$D/free.out")" -lt 5 ] || wrong 'the one that is not watched, too' || return
	rm -f "$D/watched" "$D/free"
}

slowdown() { jq 'select(.ev=="stats" and .final).slowdown_ppm' "$D/t.ndjson"; }

# 50 epochs a second would cost many times what the work itself does.
case_keeps_to_it() {
	at_full_speed 2 --budget 5 || return
	# The first round is paid for afterwards, and a busy machine lets it run little.
	[ "$RATIO" -lt 25 ] || wrong "$RATIO % in the kernel" || return
	[ "$(slowdown)" -gt 0 ] && [ "$(slowdown)" -lt 400000 ] || wrong "estimated: $(slowdown) ppm" || return
	[ "$(count "$D/t.ndjson" '.ev=="budget" and .epoch_ns > 20e6 and .budget_ppm == 50000')" -gt 0 ] ||
		wrong "no epoch was stretched" || return
	grep -q 'slowed down by about' "$D/record.err" || wrong "the summary does not tell" || return
	at_full_speed 1 || return
	[ "$RATIO" -gt 30 ] || wrong "without a budget $RATIO % only: nothing is shown" || return
	[ "$(slowdown)" = null ] || wrong "an estimate that nobody asked for"
}

# A rest has been told, and an arming after it.
resumed() {
	sed -n '/"ev":"budget".*"resting":true/,$p' "$D/t.ndjson" | grep -q '"ev":"arm"'
}

# One round of so much memory costs more than the horizon pays off.
case_rests() {
	hurry watched 256 || return
	record "$D/record.err" -p "$HURRIED" -o "$D/t.ndjson" --engine async --epoch 50 --budget 2
	within 10 grep -q attached "$D/record.err" || wrong "it does not say that it is attached" || return
	timeout 5 sh -c "echo >'$D/watched'" || wrong "it does not begin" || return
	within 40 resumed || wrong "it is not watched again" || return
	target_ends "$HURRIED" "$D/watched.out" || return
	record_ends "$D/t.ndjson" || return
	# From one rest to the arming nothing is told of but the gap.
	jq -e -n '[inputs] | (map(.ev=="budget" and .resting) | index(true)) as $a
		| (.[$a:] | map(.ev=="budget" and (.resting | not)) | index(true)) as $n
		| .[$a:$a + $n] | (map(select(.ev=="gap" and .reason=="budget" and (has("addr") | not)))
		| length) == 1 and (map(select(.ev=="dirty" or .ev=="arm")) | length) == 0' \
		"$D/t.ndjson" >/dev/null || wrong "the rest is not one" || return
	[ "$(count "$D/t.ndjson" '.ev=="gap" and .reason=="budget"')" -ge 2 ] || wrong "too few gaps"
}

run_cases "$@"
