#!/bin/bash
# SPDX-License-Identifier: MIT
#
# restore-killed: the pager of a lazy restore is killed, its keeper, or both; the pages still
# come, or the processes end, and no page is ever wrong.
#
# KILLS=20	so often each
# KILLS_AT='0 1 50 99 100'	when so many pages have come, in percent
# MESSAGES='1 2 3 5 8 13'	when it has read so many of forks and of the layout
# limit: 300
# lane: restore
. "$(dirname "$0")/lib.sh"
. "$SRC/tests/restore/rig.sh"
needs_criu
[ "$DAEMON" != criu ] || { echo 'SKIP criu: leaves zeroes'; echo '0 passed, 0 failed, 1 skipped'; exit 0; }
: "${MESSAGES:=1 6}" "${KILLS:=1}" "${KILLS_AT:=1 99}"

at_server=(--page-server --address 127.0.0.1 --port "$PORT")

# Once the pager has died it is said, and what is done about it.
said() { grep -q "$1" "$RUN/pager.log" || wrong "not said: $1: $(pager_said)"; }

# restored, but with a look at what was said before the folder goes.
restored() {
	local verb=$1
	shift
	new_run
	start_pager "$@" || return
	start_restore "$verb"
	criu_content && all_right && pager_ends && said 'killed by signal 9; started again' && end_run
}
# perished VERB [OPTION...]: the processes end with the pager, with nothing wrong before.
perished() {
	local verb=$1
	shift
	new_run
	start_pager --on-death kill "$@" || return
	start_restore "$verb"
	within "$PATIENCE" ended "$RESTORE_PID" || wrong "what was restored is still there: $(pager_said)" || return
	"$KNOWN" "$RUN/seat/control" show >"$RUN/slots" || wrong "$(cat "$RUN/slots")" || return
	end_of "$PAGER_PID" 20 || return
	[ "$STATUS" = 1 ] || wrong "the pager ended with $STATUS: $(pager_said)" || return
	said 'what was restored has been killed with it' && end_run
}
pages_at() {
	local pages
	pages=$("$KNOWN" "$CHECKPOINT/seat/control" where | cut -d ' ' -f 2)
	echo $((pages * $1 / 100))
}
# each COMMAND...: at each of the points, so often.
each() {
	local at i
	for at in $KILLS_AT; do
		for ((i = 0; i < KILLS; i++)); do
			PAGER_FAULT=die:$(pages_at "$at") "$@" || wrong "at $at %" || return
		done
	done
}
case_started_again() { checkpoint plain 16 && each restored check; }
case_processes_with_it() { checkpoint plain 16 && each perished check; }
case_with_8_threads_waiting() { checkpoint threads 16 && each restored check; }
case_remote_started_again() {
	checkpoint plain 16 && start_source && retold blank || return
	IMAGES=$IMAGES_TOLD each restored check "${at_server[@]}" && end_source
}
case_children_with_it() {
	checkpoint children 16 || return
	PAGER_FAULT=die:3000 perished mix
}

# Between a message that was read and what is done about it.  How many there are while pages
# are missing is not the same each time.
case_with_a_message_in_hand() {
	local n i struck=0
	checkpoint children 32 || return
	for n in $MESSAGES; do
		for ((i = 0; i < KILLS; i++)); do
			new_run
			PAGER_FAULT=event:$n start_pager || return
			start_restore mix
			criu_content && all_right && pager_ends || wrong "at message $n" || return
			! grep -q 'started again' "$RUN/pager.log" || struck=$((struck + 1))
			end_run || return
		done
	done
	[ "$struck" -ge 1 ] || wrong 'none was killed'
}
case_while_it_is_handed_over() {
	local what i
	checkpoint children 8 || return
	for what in accept:1 hand:2; do
		for ((i = 0; i < KILLS; i++)); do
			PAGER_FAULT=$what restored check || wrong "at $what" || return
		done
	done
}

# At no point in particular, while children are forked and memory moves; more than once.
kill_now_and_then() {
	local i p
	for ((i = 0; i < 4; i++)); do
		sleep "0.0$((RANDOM % 9))"
		p=$(pager_itself)
		[ "$p" = "$PAGER_PID" ] || kill -KILL "$p" 2>/dev/null
	done
}
case_again_and_again() {
	local i
	checkpoint children 32 || return
	for ((i = 0; i < KILLS; i++)); do
		new_run
		start_pager || return
		start_restore mix
		within "$PATIENCE" test -s "$RUN/restore.log"
		kill_now_and_then
		criu_content && all_right && pager_ends && end_run || return
	done
}

# stopped_half: a restore whose pager is stopped when half of the pages have come.
stopped_half() {
	checkpoint plain 16 || return
	new_run
	PAGER_FAULT=stop:$(pages_at 50) start_pager && start_restore check || return
	within 20 pager_stopped || wrong 'the pager is not stopped' || return
	PAGER=$(pager_itself)
	KEEPER=$(keeper_itself)
	[ -n "$KEEPER" ] || wrong 'no second keeper'
}
keeper_itself() {
	local p
	local children=
	{ read -r children <"/proc/$PAGER_PID/task/$PAGER_PID/children"; } 2>/dev/null
	for p in $children; do
		[ "$(cat "/proc/$p/comm" 2>/dev/null)" != pagetap-keeper ] || echo "$p"
	done
}
# The one that was started is dead, the others go on: without its exit status, so by what it said.
ends_without_it() {
	within "$PATIENCE" gone "$KEEPER" || wrong "process $KEEPER does not end: $(pager_said)" || return
	grep -q ' of 4,... pages in' "$RUN/pager.log" || wrong "it said: $(pager_said)"
}
case_keeper_killed() {
	stopped_half || return
	kill -KILL "$PAGER_PID"
	end_of "$PAGER_PID" 10
	within 10 grep -q "process $KEEPER is in its place" "$RUN/pager.log" || wrong "$(pager_said)" || return
	kill -CONT "$PAGER"
	criu_content && all_right && ends_without_it && end_run
}
case_keeper_killed_and_then_the_pager() {
	stopped_half || return
	kill -KILL "$PAGER_PID"
	end_of "$PAGER_PID" 10
	kill -KILL "$PAGER"
	criu_content && all_right && said 'the pager died; started again' && ends_without_it && end_run
}
case_pager_and_keeper_at_once() {
	stopped_half || return
	kill -KILL "$PAGER" "$PAGER_PID"
	end_of "$PAGER_PID" 10
	criu_content && all_right && ends_without_it && end_run
}
case_second_keeper_killed() {
	local was
	stopped_half || return
	was=$KEEPER
	kill -KILL "$KEEPER"
	within 10 another_keeper "$was" || wrong 'no other second keeper' || return
	kill -KILL "$PAGER"
	criu_content && all_right && pager_ends && end_run
}
another_keeper() {
	KEEPER=$(keeper_itself)
	[ -n "$KEEPER" ] && [ "$KEEPER" != "$1" ]
}
# Before anything is handed over there is nothing to keep.
case_keeper_killed_before_all() {
	checkpoint plain 16 || return
	new_run
	start_pager || return
	PAGER=$(pager_itself) KEEPER=
	within 10 another_keeper '' || wrong 'no second keeper' || return
	kill -KILL "$PAGER_PID"
	end_of "$PAGER_PID" 10
	within 10 gone "$PAGER" && within 10 gone "$KEEPER" || wrong 'somebody is left'
}

run_cases "$@"
