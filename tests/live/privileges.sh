#!/bin/bash
# SPDX-License-Identifier: MIT
#
# privileges: what the running monitor, its threads and its agent hold, and that
# following forks, execs and other users works with no more than that.
# limit: 120
. "$(dirname "$0")/lib.sh"

# The agent's: PTRACE, ADMIN, NET_ADMIN, DAC_OVERRIDE, KILL, PERFMON, CHECKPOINT_RESTORE.
AGENT_CAPS=$((1 << 19 | 1 << 21 | 1 << 12 | 1 << 1 | 1 << 5 | 1 << 38 | 1 << 40))
GUARD_CAPS=$((1 << 19 | 1 << 1 | 1 << 5))
CAP_KILL=$((1 << 5))
CAP_DAC_READ_SEARCH=$((1 << 2))

[ "$(id -u)" = 0 ] || { echo "SKIP no-root: all: not root"; echo "0 passed, 0 failed, 1 skipped"; exit 0; }

field() { awk -v k="$2:" '$1 == k { print $2 }' "$1/status" 2>/dev/null; }
held() { echo $((16#$(field "$1" "$2"))); }
children() { cat "/proc/$1"/task/*/children 2>/dev/null; }

# agent_of MONITOR: the process that keeps the privileges.
agent_of() {
	local p
	for p in $(children "$1"); do
		[ "$(cat "/proc/$p/comm")" = pagetap-agent ] && echo "$p"
	done
}

# confined TASK CAPS: holds these capabilities and no others, and is under a filter.
confined() {
	local c
	for c in CapPrm CapEff; do
		[ "$(held "$1" $c)" = "$2" ] || wrong "$1: $c is $(field "$1" $c)" || return
	done
	for c in CapInh CapAmb CapBnd; do
		[ "$(held "$1" $c)" = 0 ] || wrong "$1: $c is $(field "$1" $c)" || return
	done
	[ "$(field "$1" NoNewPrivs)" = 1 ] || wrong "$1: new privileges are possible" || return
	[ "$(field "$1" Seccomp)" = 2 ] || wrong "$1: seccomp mode $(field "$1" Seccomp)"
}

# settled: the recording has begun, and its privileges are given up.
settled() { within 10 grep -q 'privileges given up' "$1" || wrong "still privileged: $(cat "$1")"; }

# monitor_confined MONITOR CAPS: all its tasks; its agent.
monitor_confined() {
	local t a w caps
	for t in "/proc/$1"/task/*; do
		# The writer has none in any case.
		case $(cat "$t/comm") in *writer) caps=0 ;; *) caps=$2 ;; esac
		confined "$t" "$caps" || return
	done
	[ "$(grep -c . <(ls "/proc/$1/task"))" -ge 2 ] || wrong "one task only" || return
	# What belongs to a process that is not dumpable is root's, with mode 0 for others.
	[ "$(grep -h 'Max core' "/proc/$1/limits" | awk '{ print $5 $6 }')" = 00 ] ||
		wrong "a core file is possible" || return
	a=$(agent_of "$1")
	[ -n "$a" ] || wrong "no agent" || return
	[ "$(held "/proc/$a" CapPrm)" = $((AGENT_CAPS & HELD)) ] ||
		wrong "agent: CapPrm is $(field "/proc/$a" CapPrm)" || return
	[ "$(held "/proc/$a" CapBnd)" = 0 ] || wrong "agent: CapBnd" || return
	[ "$(field "/proc/$a" NoNewPrivs)$(field "/proc/$a" Seccomp)" = 10 ] || wrong "agent: bits" || return
	w=$(pgrep -P "$1" -x pagetap-guard)
	[ "$(held "/proc/$w" CapPrm)" = $((GUARD_CAPS & HELD)) ] ||
		wrong "watchdog $w: CapPrm is $(field "/proc/$w" CapPrm)" || return
	[ "$(held "/proc/$w" CapBnd)$(field "/proc/$w" NoNewPrivs)" = 01 ] || wrong "watchdog: bits" || return
	# A pipe of ours that it held would never come to its end.
	within 5 holds_nothing "$a" || wrong "agent holds $(readlink "/proc/$a"/fd/*)"
}

# But while an injection of its is under way.
holds_nothing() { ! readlink "/proc/$1"/fd/* | grep -qvE '^(/dev/null|socket:.*|anon_inode:.pidfd.)$'; }

HELD=$((16#$(field /proc/self CapPrm)))

case_monitor_and_agent() {
	local agent
	start_target "$D/target.out" "$T/writer" -t 2 -T 60 -c "$D/count" || return
	record "$D/record.err" -v -f --rearm 50 -p "$TARGET" -o "$D/t.ndjson.zst"
	settled "$D/record.err" || return
	monitor_confined "$RECORDER" 0 || return
	agent=$(agent_of "$RECORDER")
	runs_on "$D/count" || return
	kill -USR1 "$RECORDER"
	stop_record "$RECORDER" || return
	within 2 ended "$agent" || wrong "the agent has outlived the monitor" || return
	target_ends "$TARGET" "$D/target.out" || return
	valid "$D/t.ndjson.zst"
}

# The COMMAND is as free as its user, and signals still reach it, also as somebody else.
case_command() {
	local bits
	record "$D/record.err" -v -f -o "$D/t.ndjson" -- setpriv --reuid=65534 --regid=65534 \
		--clear-groups sh -c 'echo ready $$; grep -E "^(NoNewPrivs|Seccomp):" /proc/self/status
		trap "exit 7" TERM; while :; do sleep 0.05; done'
	within 10 grep -q '^Seccomp' "$D/record.err.out" || wrong "the command does not run" || return
	bits=$(awk '/^(NoNewPrivs|Seccomp):/ { printf "%s", $2 }' "$D/record.err.out")
	[ "$bits" = 00 ] || wrong "the command is confined: $bits" || return
	settled "$D/record.err" || return
	monitor_confined "$RECORDER" $((CAP_KILL & HELD)) || return
	kill -TERM "$RECORDER"
	end_of "$RECORDER" 20 || return
	[ "$STATUS" = 7 ] || wrong "status $STATUS: the command did not get the signal" || return
	valid "$D/t.ndjson"
}

# programs TRACE NAME...: each was attached to.  An exec that follows another at once is
# not told of by itself.
programs() {
	local t=$1 n
	shift
	for n; do
		[ "$(count "$t" ".ev == \"attach\" and (.exe | endswith(\"/$n\"))")" -ge 1 ] ||
			wrong "no attach to $n: $(jq -c 'select(.ev == "error")' "$t" | head -n 3)" || return
	done
}

# work NAME COMMANDS SHELL...: a target that does this once its gate opens; PID_NAME.
work() {
	mkfifo "$D/gate.$1"
	chmod 666 "$D/gate.$1"
	printf 'echo ready\nread -r line <%s\n%s\necho ok 1\n' "$D/gate.$1" "$2" >"$D/$1.sh"
	start_target "$D/$1.out" "${@:3}" "$D/$1.sh" || return
	printf -v "PID_$1" %s "$TARGET"
}

# Execs by forked children, of several users, set-user-ID, in namespaces; a daemon whose
# parents have gone.
case_following() {
	local name PID_root PID_nobody PID_spaces
	cp "$(command -v sleep)" "$W/sleep-suid"
	cp "$(command -v sleep)" "$W/sleep-daemon"
	cp "$(command -v sleep)" "$W/sleep-nobody"
	cp "$(command -v sleep)" "$W/sleep-spaces"
	chmod 755 "$W" "$D" && chmod 4755 "$W/sleep-suid"
	work root "{ sleep 0.4; { sleep 0.5; exec $W/sleep-daemon 0.5; } & sleep 0.2; } & sleep 2" sh || return
	work nobody "$W/sleep-nobody 0.5; $W/sleep-suid 0.5; true" \
		setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all sh || return
	work spaces "$W/sleep-spaces 0.5; true" unshare -m -n -i sh || return
	record "$D/record.err" -v -f -p "$PID_root,$PID_nobody,$PID_spaces" -o "$D/t.ndjson"
	settled "$D/record.err" || return
	for name in root nobody spaces; do
		timeout 5 sh -c "echo >'$D/gate.$name'"
	done
	monitor_confined "$RECORDER" 0 || return
	end_of "$PID_root" 20 || return
	for name in root nobody spaces; do
		within 5 grep -q '^ok' "$D/$name.out" || wrong "$name did not finish" || return
	done
	record_ends "$D/t.ndjson" || return
	programs "$D/t.ndjson" sleep-nobody sleep-suid sleep-spaces sleep-daemon || return
	# A program may have ended before its turn came (ESRCH); nothing is refused.
	[ "$(count "$D/t.ndjson" '.ev == "error" and .errno != 3')" = 0 ] ||
		wrong "errors: $(jq -c 'select(.ev == "error")' "$D/t.ndjson" | head -n 3)"
}

case_forking_server() {
	local sock=$D/redis.sock
	redis-server --port 0 --unixsocket "$sock" --save '' --dir "$D" --daemonize no >"$D/redis.out" 2>&1 &
	TARGET=$!
	started "$TARGET"
	within 20 test -S "$sock" || wrong "redis does not start" || return
	record "$D/record.err" -v -f -p "$TARGET" -o "$D/t.ndjson"
	settled "$D/record.err" || return
	seq 20000 | sed 's/.*/SET key& value&/' | redis-cli -s "$sock" >/dev/null
	redis-cli -s "$sock" bgsave >/dev/null
	within 10 test -s "$D/dump.rdb" || wrong "no snapshot" || return
	monitor_confined "$RECORDER" 0 || return
	stop_record "$RECORDER" || return
	[ "$(redis-cli -s "$sock" dbsize)" = 20000 ] || wrong "keys are missing" || return
	[ "$(count "$D/t.ndjson" '.ev == "fork" and .followed and .child')" -ge 1 ] || wrong "no child" || return
	valid "$D/t.ndjson"
}

# Its own user can neither trace it nor look into it: only as somebody else than root.
case_out_of_reach() {
	local monitor
	chmod 755 "$W" && chmod 777 "$D"
	cp "$PAGETAP" "$D/pagetap"
	setcap cap_sys_ptrace,cap_dac_override,cap_setpcap+ep "$D/pagetap" 2>/dev/null ||
		{ skip no-filecaps "no capabilities of files here"; return; }
	local nobody=(setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all)
	"${nobody[@]}" "$T/writer" -t 1 -T 60 -c "$D/count" >"$D/target.out" 2>&1 &
	TARGET=$!
	started "$TARGET"
	within 20 grep -q '^ready' "$D/target.out" || return
	"${nobody[@]}" "$D/pagetap" record --engine sync -v -f -p "$TARGET" -o "$D/t.ndjson" >"$D/record.err.out" 2>"$D/record.err" &
	RECORDER=$!
	started "$RECORDER"
	settled "$D/record.err" || return
	for monitor in "$RECORDER" "$(agent_of "$RECORDER")"; do
		[ "$(stat -c %u "/proc/$monitor/mem")" = 0 ] || wrong "/proc/$monitor is its user's" || return
		! "${nobody[@]}" cat "/proc/$monitor/maps" >/dev/null 2>&1 || wrong "$monitor can be read" || return
		! "${nobody[@]}" timeout 5 gdb -batch -nx -p "$monitor" 2>&1 | grep -q 'Inferior 1' ||
			wrong "$monitor can be traced" || return
	done
	stop_record "$RECORDER"
}

# kinds TRACE|MAP KIND NAME: so are the mappings of the file.
kinds() {
	jq -se --arg kind "$2" --arg name "/$3" '
		[(.[0].mappings // .)[] | select(.kind and (.name // "" | endswith($name)))] as $own |
		($own | length) >= 3 and ($own | all(.kind == $kind))' "$1" >/dev/null ||
		wrong "$3 is no $2: $(grep -m 1 -A 1 "/$3" "$1")"
}

# Who may not look at the file of a mapping is told by the mounts: a device 0:x is not always
# memory.  Containers have overlayfs; here it is ramfs.
case_files_without_a_disk() {
	local fs kind
	for fs in ramfs:file tmpfs:shmem; do
		kind=${fs#*:} fs=${fs%:*}
		mkdir -p "$D/$fs"
		start_target "$D/$fs.out" unshare -m sh -c 'mount -t "$0" "$0" "$1" && cp "$2" "$1/on-$0" &&
			exec "$1/on-$0" -T 60 -c "$3"' "$fs" "$D/$fs" "$T/writer" "$D/count" || return
		for ENGINE in async sync; do
			timeout 30 setpriv --bounding-set -sys_admin,-checkpoint_restore "$PAGETAP" record -q \
				--engine "$ENGINE" -p "$TARGET" -d 0.2 -o "$D/$fs.ndjson" 2>"$D/record.err" ||
				wrong "record: $(head -n 1 "$D/record.err")" || return
			valid "$D/$fs.ndjson" || return
			kinds "$D/$fs.ndjson" "$kind" "on-$fs" || return
		done
		setpriv --bounding-set -sys_admin,-checkpoint_restore "$PAGETAP" map --json -p "$TARGET" \
			>"$D/map.out" 2>"$D/map.err" || wrong "map failed" || return
		kinds "$D/map.out" "$kind" "on-$fs" || return
		target_ends "$TARGET" "$D/$fs.out" || return
	done
}

# SIGQUIT and abort leave nothing behind, in whatever way the machine takes cores.
case_no_core() {
	local sig before
	start_target "$D/target.out" "$T/writer" -t 1 -T 60 -c "$D/count" || return
	before=$(find "$D" /var/lib/systemd/coredump /var/crash 2>/dev/null)
	for sig in QUIT ABRT SEGV; do
		(
			cd "$D" || exit
			ulimit -c unlimited
			exec "$PAGETAP" record --engine sync -v -p "$TARGET" -o /dev/null >/dev/null 2>"$D/record.err"
		) &
		RECORDER=$!
		started "$RECORDER"
		settled "$D/record.err" || return
		kill "-$sig" "$RECORDER"
		end_of "$RECORDER" 10 || return
		[ "$STATUS" -gt 128 ] || wrong "$sig: status $STATUS" || return
		rm -f "$D/record.err"
	done
	[ "$(find "$D" /var/lib/systemd/coredump /var/crash 2>/dev/null)" = "$before" ] ||
		wrong "left behind: $(ls "$D")" || return
	untouched "$TARGET" || return
	target_ends "$TARGET" "$D/target.out"
}

# Without its agent it goes on, and says what it cannot follow.
case_agent_killed() {
	cat >"$D/work.sh" <<-SH
	echo ready
	read -r line <"$D/gate"
	/bin/true
	sleep 0.5
	echo ok 1
	SH
	mkfifo "$D/gate"
	start_target "$D/target.out" sh "$D/work.sh" || return
	record "$D/record.err" -v -f -p "$TARGET" -o "$D/t.ndjson"
	settled "$D/record.err" || return
	kill -KILL "$(agent_of "$RECORDER")"
	timeout 5 sh -c "echo >'$D/gate'"
	end_of "$TARGET" 20 || return
	end_of "$RECORDER" 20 || return
	[ "$STATUS" = 0 ] || wrong "record exited with $STATUS" || return
	[ "$(count "$D/t.ndjson" '.ev == "error" and .what == "follow"')" -ge 1 ] || wrong "no error record" || return
	[ "$(count "$D/t.ndjson" '.ev == "exit" and .code == 0')" -ge 1 ] || wrong "no exit record" || return
	valid "$D/t.ndjson"
}

filtered() { [ "$(field "/proc/$1" Seccomp)" = 2 ]; }

# reads COMMAND...: who reads a trace from a fifo keeps no more than reading takes.
reads() {
	local reader
	rm -f "$D/fifo"
	mkfifo "$D/fifo"
	"$PAGETAP" "$@" "$D/fifo" >"$D/reader.out" 2>"$D/reader.err" </dev/null &
	reader=$!
	started "$reader"
	exec 9<>"$D/fifo"
	head -n 1 "$SRC/tests/data/trace/every-kind.ndjson" >&9
	within 10 filtered "$reader" || wrong "$1: no filter" || return
	confined "/proc/$reader" $((CAP_DAC_READ_SEARCH & HELD)) || return
	tail -n +2 "$SRC/tests/data/trace/every-kind.ndjson" >&9
	exec 9>&-
	end_of "$reader" 20 || return
	[ "$STATUS" = 0 ] || wrong "$1 exited with $STATUS"
}

case_who_reads_a_trace() {
	reads report || return
	reads report --html "$D/page.html" || return
	grep -q '^<!DOCTYPE html>' "$D/page.html" || wrong "no page was made" || return
	reads validate || return
	reads export --to csv -o "$D/t.csv" || return
	reads diff "$SRC/tests/data/trace/async.ndjson"
}

run_cases "$@"
