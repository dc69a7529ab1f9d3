#!/bin/bash
# SPDX-License-Identifier: MIT
#
# shapes: programs that are built, owned, stopped or traced in unusual ways.
# limit: 120
. "$(dirname "$0")/lib.sh"

NOBODY=(setpriv --reuid 65534 --regid 65534 --clear-groups)
export NOBODY

# recorded PID: half a second of recording that leaves it untouched.
recorded() {
	timeout 30 "$PAGETAP" record --engine sync -q -p "$1" -o "$D/t.ndjson" -d 0.5 --rearm 20 2>"$D/record.err" ||
		wrong "record: status $?: $(head -n 1 "$D/record.err")" || return
	untouched "$1" || return
	valid "$D/t.ndjson" || return
	rm -f "$D/t.ndjson"*
}

case_stripped_with_full_relro() {
	"${CC:-cc}" -std=gnu11 -D_GNU_SOURCE -O2 -pthread -fPIE -pie -s -Wl,-z,relro,-z,now \
		-o "$D/writer" "$SRC/tests/target/writer.c" 2>"$D/cc.err" || wrong "it does not compile" || return
	start_target "$D/target.out" "$D/writer" -T 60 -c "$D/count" || return
	recorded "$TARGET" || return
	runs_on "$D/count" || return
	target_ends "$TARGET" "$D/target.out"
}

# Run by nobody, it has root's rights: nobody may not touch it, root may.
case_set_user_id() {
	chmod 711 "$W"
	chmod 777 "$D"
	cp "$PAGETAP" "$D/pagetap"
	cp "$T/writer" "$D/writer"
	chmod 755 "$D/pagetap"
	chmod 4755 "$D/writer"
	start_target "$D/target.out" "${NOBODY[@]}" "$D/writer" -T 60 -c "$D/count" || return
	[ "$(awk '/^Uid/ { print $2 "," $3 }' "/proc/$TARGET/status")" = 65534,0 ] ||
		{ skip no-mount 'the file system ignores set-user-ID bits'; return; }
	timeout 30 "${NOBODY[@]}" "$D/pagetap" record --engine sync -q -p "$TARGET" -o "$D/n.ndjson" -d 0.2 2>"$D/nobody.err"
	[ $? = 3 ] || wrong "of nobody: $(cat "$D/nobody.err")" || return
	[ ! -e "$D/n.ndjson" ] || wrong "nobody's trace was begun" || return
	untouched "$TARGET" || return
	recorded "$TARGET" || return
	runs_on "$D/count" || return
	target_ends "$TARGET" "$D/target.out"
}

# A job of a shell that was stopped by its terminal: still stopped, still a job.
case_job_stopped_by_its_terminal() {
	local rc
	set -m
	stopped_job
	rc=$?
	set +m
	return $rc
}
stopped_job() {
	local state='^State:.T'
	start_target "$D/target.out" "$T/writer" -T 60 -c "$D/count" || return
	kill -TSTP "$TARGET"
	# A shell whose job is stopped by SIGTSTP leaves the loop it is in: not its subshell.
	(within 5 grep -q "$state" "/proc/$TARGET/status") || wrong "SIGTSTP does not stop it" || return
	timeout 30 "$PAGETAP" record --engine sync -q -p "$TARGET" -o "$D/t.ndjson" -d 0.5 2>"$D/record.err" ||
		wrong "record: $(head -n 1 "$D/record.err")" || return
	grep -q "$state" "/proc/$TARGET/status" || wrong "it runs" || return
	jobs -s >"$D/jobs"
	grep -q Stopped "$D/jobs" || wrong "the shell does not count it as stopped: $(cat "$D/jobs")" || return
	kill -CONT "$TARGET"
	runs_on "$D/count" || return
	target_ends "$TARGET" "$D/target.out" || return
	valid "$D/t.ndjson"
}

# A tracer is a program as any other; whom it traces does not notice.
case_target_that_traces_another() {
	strace -qq -f -e trace=read,write -o "$D/strace.log" "$T/writer" -T 60 -c "$D/count" >"$D/target.out" 2>&1 &
	local tracer=$! child
	started "$tracer"
	within 10 grep -q '^ready' "$D/target.out" || return
	timeout 30 "$PAGETAP" record --engine sync -q -p "$tracer" -o "$D/t.ndjson" -d 0.7 --rearm 20 2>"$D/record.err" ||
		wrong "record: $(head -n 1 "$D/record.err")" || return
	valid "$D/t.ndjson" || return
	child=$(sed -n 's/^ready pid=//p' "$D/target.out")
	started "$child"
	runs_on "$D/count" || return
	kill -TERM "$child"
	end_of "$tracer" 60 || return
	[ "$STATUS" = 0 ] || wrong "strace ended with $STATUS" || return
	tail -n 1 "$D/target.out" | grep -q '^ok writes=' || wrong "$(tail -n 1 "$D/target.out")" || return
	[ "$(grep -c 'read(' "$D/strace.log")" -gt 1000 ] || wrong "strace saw hardly a call"
}

# A parent that is told of every change of its child is told of none by us.
case_parent_that_counts() {
	cat >"$D/parent.py" <<-'PY'
	import os, signal, sys, time
	told, child = [], 0
	def on_child(sig, frame):
	    told.append(1)
	signal.signal(signal.SIGCHLD, on_child)
	child = os.fork()
	if not child:
	    os.execv(sys.argv[1], sys.argv[1:])
	print("child %d" % child, flush=True)
	changes = []
	while True:
	    p, status = os.waitpid(-1, os.WUNTRACED | os.WCONTINUED)
	    changes.append(status)
	    if os.WIFEXITED(status) or os.WIFSIGNALED(status):
	        break
	print("ok told %d changes %s" % (len(told), changes), flush=True)
	PY
	/usr/bin/python3 "$D/parent.py" "$T/writer" -T 60 -c "$D/count" >"$D/parent.out" 2>&1 &
	local parent=$! child i
	started "$parent"
	within 10 grep -q '^ready' "$D/parent.out" || wrong "not ready" || return
	child=$(sed -n 's/^child //p' "$D/parent.out")
	started "$child"
	for i in 1 2 3 4; do
		recorded "$child" || wrong "time $i" || return
	done
	recorded "$parent" || return
	runs_on "$D/count" || return
	kill -TERM "$child"
	end_of "$parent" 20 || return
	grep -qx 'ok told 1 changes \[0\]' "$D/parent.out" || wrong "$(tail -n 1 "$D/parent.out")"
}

# It may watch who started it.
case_own_parent() {
	# shellcheck disable=SC2016
	timeout 30 bash -c '"$0" record --engine sync -q -p $$ -o "$1" -d 0.3 --rearm 20 2>"$2"; echo status=$?
		x=; for i in {1..2000}; do x=$x$i; done; echo ${#x}' "$PAGETAP" "$D/t.ndjson" "$D/record.err" >"$D/shell.out" 2>&1
	[ "$(tr '\n' ' ' <"$D/shell.out")" = 'status=0 6893 ' ] || wrong "$(cat "$D/shell.out" "$D/record.err")" || return
	valid "$D/t.ndjson"
}

run_cases "$@"
