#!/bin/bash
# SPDX-License-Identifier: MIT
#
# follow: forks, execs, exits, namespaces, and a COMMAND of one's own.
# limit: 300
. "$(dirname "$0")/lib.sh"

cat >"$W/forks.py" <<'PY'
# Forks and, in the child, writes to memory of its own; then execs as asked.
import ctypes, mmap, os, sys
m = mmap.mmap(-1, 4096 * 100, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
base = ctypes.addressof(ctypes.c_char.from_buffer(m))
for i in range(100):
    m[i * 4096] = 1
print("ready pid=%d" % os.getpid(), flush=True)
open(sys.argv[1], "rb").read(1)
pid = os.fork()
if pid == 0:
    for i in range(0, 100, 2):
        m[i * 4096] = 2
    os._exit(sum(m[i * 4096] for i in range(100)))
print("child %d status %d first %d" % (pid, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]),
                                       base // 4096), flush=True)
for i in range(1, 100, 2):
    m[i * 4096] = 3
print("ok sum %d" % sum(m[i * 4096] for i in range(100)), flush=True)
if len(sys.argv) > 2:
    os.execv(sys.argv[2], sys.argv[2:])
PY

# forks RECORD-OPTIONS [COMMAND...]: TARGET has forked and ended; trace in $D/t.ndjson.
forks() {
	local options=$1
	shift
	mkfifo "$D/gate"
	start_target "$D/target.out" /usr/bin/python3 "$W/forks.py" "$D/gate" "$@" || return
	# shellcheck disable=SC2086
	record "$D/record.err" -p "$TARGET" -o "$D/t.ndjson" $options
	wait_attached "$TARGET" || return
	within 10 grep -q attached "$D/record.err" || return
	timeout 5 sh -c "echo >'$D/gate'"
	within 30 grep -q '^ok' "$D/target.out" || wrong "it stands still" || return
	read -r _ CHILD _ CHILD_STATUS _ FIRST < <(grep '^child' "$D/target.out")
	[ "$CHILD_STATUS" = 150 ] || wrong "the child counted $CHILD_STATUS" || return
	grep -qx 'ok sum 200' "$D/target.out" || wrong "the parent's memory: $(grep ok "$D/target.out")"
}

# writes PID: pages of the python mapping that the trace says PID wrote.
writes() {
	jq -r "select(.ev == \"fault\" and .write and .pid == $1 and .page >= $FIRST and .page < $FIRST + 100) | .page" \
		"$D/t.ndjson" | sort -u | wc -l
}

case_followed_child() {
	forks -f || return
	end_of "$TARGET" 10 || return
	record_ends "$D/t.ndjson" || return
	[ "$(count "$D/t.ndjson" ".ev == \"fork\" and .pid == $TARGET and .child == $CHILD and .followed")" = 1 ] ||
		wrong "no fork record: $(jq -c 'select(.ev == "fork")' "$D/t.ndjson")" || return
	[ "$(writes "$CHILD")" = 50 ] || wrong "child: 50 pages written, $(writes "$CHILD") told" || return
	[ "$(writes "$TARGET")" = 50 ] || wrong "parent: 50 pages written, $(writes "$TARGET") told" || return
	# Null: the address space had gone, and its end was waited for, before the kernel told of it.
	[ "$(count "$D/t.ndjson" ".ev == \"exit\" and .pid == $CHILD and (.code == 150 or .code == null)")" = 1 ] ||
		wrong "child: $(jq -c 'select(.ev == "exit")' "$D/t.ndjson")" || return
	[ "$(count "$D/t.ndjson" ".ev == \"exit\" and .pid == $TARGET and (.code == 0 or .code == null)")" = 1 ] ||
		wrong "parent: $(jq -c 'select(.ev == "exit")' "$D/t.ndjson")"
}

case_child_not_followed_runs_free() {
	forks '' || return
	end_of "$TARGET" 10 || return
	record_ends "$D/t.ndjson" || return
	[ "$(count "$D/t.ndjson" '.ev == "fork" and (.followed | not)')" = 1 ] || wrong "no fork record" || return
	[ "$(writes "$CHILD")" = 0 ] || wrong "writes of a child that is not followed" || return
	[ "$(writes "$TARGET")" = 50 ] || wrong "parent: 50 pages written, $(writes "$TARGET") told"
}

case_exec_followed() {
	forks -f "$T/writer" -n 2000000 -T 60 -c "$D/count" || return
	end_of "$TARGET" 60 || return
	[ "$STATUS" = 0 ] || wrong "the program it executes exited with $STATUS: $(tail -n 1 "$D/target.out")" || return
	end_of "$RECORDER" 20 || return
	[ "$STATUS" = 0 ] || wrong "record exited with $STATUS" || return
	[ "$(tail -n 1 "$D/target.out")" = "$("$T/writer" -n 2000000 -T 60 | tail -n 1)" ] ||
		wrong "it did other work" || return
	valid "$D/t.ndjson" || return
	[ "$(count "$D/t.ndjson" ".ev == \"exec\" and .pid == $TARGET and .comm == \"writer\"")" = 1 ] ||
		wrong "no exec record: $(jq -c 'select(.ev == "exec")' "$D/t.ndjson")" || return
	local mm
	mm=$(jq -r 'select(.ev == "exec") | .new_mm' "$D/t.ndjson")
	[ "$(count "$D/t.ndjson" ".ev == \"fault\" and .mm == $mm")" -gt 100 ] ||
		wrong "hardly a fault of the new program"
}

# The child has both from its first instant; of the page that it is known by a gap may tell.
case_two_engines() {
	local told new ev
	forks '-f --engine both -m anon --epoch 20' "$T/writer" -n 2000000 -T 60 || return
	end_of "$TARGET" 60 || return
	[ "$STATUS" = 0 ] || wrong "the program it executes exited with $STATUS" || return
	record_ends "$D/t.ndjson" || return
	told=$(writes "$CHILD")
	[ "$told" = 50 ] || [ "$told" = 49 ] || wrong "child: 50 pages written, $told told" || return
	[ "$(writes "$TARGET")" = 50 ] || wrong "parent: 50 pages written, $(writes "$TARGET") told" || return
	new=$(jq -r 'select(.ev == "exec") | .new_mm' "$D/t.ndjson")
	for ev in '.ev == "arm" and .mode == "wp"' '.ev == "arm" and .mode == "async"' \
		'.ev == "fault"' '.ev == "dirty"'; do
		[ "$(count "$D/t.ndjson" "$ev and .mm == $new")" -gt 0 ] ||
			wrong "of the new program nothing with $ev" || return
	done
}

case_exec_not_followed() {
	forks '' "$T/writer" -n 100000 -T 60 || return
	end_of "$TARGET" 30 || return
	[ "$STATUS" = 0 ] || wrong "the program it executes exited with $STATUS" || return
	record_ends "$D/t.ndjson" || return
	[ "$(jq -r 'select(.ev == "detach") | .reason' "$D/t.ndjson")" = exec ] ||
		wrong "it ended because of $(jq -r 'select(.ev == "detach") | .reason' "$D/t.ndjson")"
}

case_pid_namespace() {
	local inner
	unshare -pf --mount-proc true 2>/dev/null || { skip no-pidns "unshare -p fails"; return; }
	: >"$D/target.out"
	mkfifo "$D/gate"
	unshare -pf --kill-child --mount-proc "$T/million" -T 60 -p 500 -t 3 -g "$D/gate" >"$D/target.out" 2>&1 &
	started $!
	within 10 grep -q '^ready' "$D/target.out" || wrong "not ready" || return
	inner=$(pgrep -P $!)
	started "$inner"
	grep -q '^ready pid=1$' "$D/target.out" || wrong "not in a pid namespace" || return
	record "$D/record.err" -p "$inner" -o "$D/t.ndjson"
	wait_attached "$inner" || return
	within 10 grep -q attached "$D/record.err" || return
	local threads
	threads=$(ls "/proc/$inner/task")
	timeout 5 sh -c "echo >'$D/gate'"
	within 20 grep -q '^touched' "$D/target.out" || wrong "it stands still" || return
	stop_record "$RECORDER" || return
	untouched "$inner" || return
	valid "$D/t.ndjson" || return
	# The target says the numbers it knows itself by: 2, 3, 4; the trace the host's.
	[ "$(jq -r 'select(.ev == "fault") | .tid' "$D/t.ndjson" | sort -u |
		grep -vxF "$(echo "$threads" | tr ' ' '\n')")" = "" ] || wrong "tids that are not the host's" || return
	local first n tid
	while read -r _ first n tid; do
		[ "$(jq -r "select(.ev == \"fault\" and .page >= $first and .page < $first + $n) | .ns_tid" "$D/t.ndjson" | sort -u)" = "${tid#tid=}" ] ||
			wrong "pages of its thread ${tid#tid=}: ns_tid is $(jq -r "select(.ev == \"fault\" and .page >= $first and .page < $first + $n) | .ns_tid" "$D/t.ndjson" | sort -u | tr '\n' ' ')" || return
	done < <(grep '^pages' "$D/target.out")
}

# A program that forks before it can be attached to: its children are found all the same.
case_forks_before_it_is_attached() {
	timeout 20 "$PAGETAP" record --engine sync -f -o "$D/t.ndjson" -- \
		env sh -c '(sleep 0.5; exit 3) & wait $!; exit 6' >"$D/out" 2>"$D/record.err"
	[ "$?" = 6 ] || wrong "not the status of the command: $(cat "$D/record.err")" || return
	valid "$D/t.ndjson" || return
	# env is sh after an exec; sh has one child, and that child has one: sleep.
	[ "$(count "$D/t.ndjson" '.ev == "fork"')" = 2 ] ||
		wrong "not two forks: $(jq -c 'select(.ev == "fork")' "$D/t.ndjson")" || return
	[ "$(count "$D/t.ndjson" '.ev == "exec" and (.comm == "sh" or .comm == "sleep")')" = 2 ] ||
		wrong "not two execs: $(jq -c 'select(.ev == "exec")' "$D/t.ndjson")" || return
	[ "$(jq -s -c '[.[] | select(.ev == "exit") | .code] | sort' "$D/t.ndjson")" = '[0,3,6]' ] ||
		wrong "not three exits: $(jq -c 'select(.ev == "exit")' "$D/t.ndjson")"
}

case_two_targets() {
	local a b
	start_target "$D/a.out" "$T/writer" -T 60 -c "$D/a.count" || return
	a=$TARGET
	start_target "$D/b.out" "$T/mapper" -T 60 -c "$D/b.count" || return
	b=$TARGET
	record "$D/record.err" -p "$a,$b" -o "$D/t.ndjson"
	wait_attached "$a" || return
	wait_attached "$b" || return
	runs_on "$D/a.count" || return
	runs_on "$D/b.count" || return
	sleep 0.5
	# One of them ends; the recording of the other goes on.
	target_ends "$a" "$D/a.out" || return
	runs_on "$D/b.count" || return
	! ended "$RECORDER" || wrong "the recording ended with the first of two" || return
	stop_record "$RECORDER" || return
	untouched "$b" || return
	target_ends "$b" "$D/b.out" || return
	valid "$D/t.ndjson" || return
	[ "$(count "$D/t.ndjson" '.ev == "attach"')" = 2 ] || wrong "not two attach records" || return
	[ "$(count "$D/t.ndjson" ".ev == \"fault\" and .pid == $b")" -gt 10 ] || wrong "no faults of the second"
}

# ---- COMMAND -----------------------------------------------------------------

# command WANTED ARGUMENTS...: record -- ARGUMENTS exits with WANTED.
command_status() {
	local wanted=$1
	shift
	timeout 60 "$PAGETAP" record --engine sync -o "$D/t.ndjson" -- "$@" >"$D/command.out" 2>"$D/command.err" </dev/null
	STATUS=$?
	[ "$STATUS" = "$wanted" ] || wrong "record -- $*: exit status $STATUS instead of $wanted"
}

case_command() {
	command_status 0 "$T/writer" -n 2000000 -T 30 || return
	grep -q '^ok writes=2000000 digest=da2a2f3aca79731c$' "$D/command.out" || wrong "it did other work" || return
	valid "$D/t.ndjson" || return
	[ "$(count "$D/t.ndjson" '.ev == "fault" and .write')" -gt 500 ] || wrong "hardly a write seen" || return
	[ "$(jq -r 'select(.ev == "detach") | .reason' "$D/t.ndjson")" = exit ] || wrong "it ended otherwise"
}

case_command_statuses() {
	command_status 7 sh -c 'sleep 0.3; exit 7' || return
	command_status 127 "$D/no-such-program" || return
	: >"$D/not-executable"
	command_status 126 "$D/not-executable" || return
	command_status 143 sh -c 'sleep 0.3; kill -TERM $$' || return
	command_status 137 sh -c 'sleep 0.3; kill -KILL $$' || return
	# So short that it may be gone before anything was attached: its own status all the same.
	command_status 0 true || return
	command_status 1 false
}

attached_again() { [ "$(grep -c '"ev":"attach"' "$1")" -ge 2 ]; }

# Of a fork that no event tells of, what is to be told comes before the parent's end.
case_parent_that_ends_after_its_fork() {
	local parent i
	mkfifo "$D/gate" "$D/end"
	for i in 1 2 3 4; do
		# shellcheck disable=SC2016
		bash -c 'read -r _ <"$0"; timeout 30 cat "$1" & exit 0' "$D/gate" "$D/end" &
		parent=$!
		started "$parent"
		# Nothing is mapped there, and so nothing of it is registered.
		record "$D/record.$i" -f -a 0x10000-0x11000 -p "$parent" -o "$D/t$i.ndjson"
		within 10 grep -q attached "$D/record.$i" || wrong "not attached" || return
		timeout 5 sh -c "echo >'$D/gate'"
		within 10 attached_again "$D/t$i.ndjson" || wrong "the child was not attached to" || return
		timeout 5 sh -c "echo >'$D/end'"
		end_of "$RECORDER" 20 || return
		valid "$D/t$i.ndjson" || return
		[ "$(count "$D/t$i.ndjson" '.ev == "exit"')" -ge 2 ] || wrong "the child was not followed" || return
	done
}

# Also where its memory is still there, because somebody else is in it, or looks at it.
case_parent_whose_memory_outlives_it() {
	local child
	mkfifo "$D/gate" "$D/end"
	start_target "$D/target.out" "$T/heirs" "$D/gate" "$D/end" || return
	record "$D/record.err" -f -a 0x10000-0x11000 -p "$TARGET" -o "$D/t.ndjson"
	within 10 grep -q attached "$D/record.err" || wrong "not attached" || return
	timeout 5 sh -c "echo >'$D/gate'"
	end_of "$TARGET" 10 || return
	read -r _ _ child < <(grep '^children' "$D/target.out")
	within 10 grep -q "\"ev\":\"attach\".*\"pid\":$child," "$D/t.ndjson" ||
		wrong "the child was not attached to" || return
	timeout 5 sh -c "printf xx >'$D/end'"
	record_ends "$D/t.ndjson" || return
	[ "$(count "$D/t.ndjson" ".ev == \"exit\" and .pid == $child and .code == 0")" = 1 ] ||
		wrong "no exit record of the child"
}

# One ends while another begins anew, again and again.
case_children_that_execute_and_exit_at_once() {
	MALLOC_PERTURB_=165 timeout 60 "$PAGETAP" record --engine sync -q -f --rearm 10 -o "$D/t.ndjson" -- \
		"$T/spawner" -n 1200 -T 50 mixed >"$D/command.out" 2>"$D/command.err" </dev/null
	STATUS=$?
	[ "$STATUS" = 0 ] || wrong "exit status $STATUS: $(tail -n 1 "$D/command.err")" || return
	grep -q '^ok children=1200$' "$D/command.out" || wrong "the children did other work" || return
	valid "$D/t.ndjson" || return
	[ "$(count "$D/t.ndjson" '.ev == "exec"')" -gt 500 ] || wrong "few executions are told"
}

run_cases "$@"
