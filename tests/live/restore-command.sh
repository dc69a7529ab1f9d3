#!/bin/bash
# SPDX-License-Identifier: MIT
#
# restore-command: `pagetap restore`, which runs criu and the pager; every page must be right,
# and whatever happens before the processes run leaves nothing behind.
#
# What its options are and refuse is in tests/cli/usage.sh, its line in tests/unit/test-restore-bar.c.
# limit: 120
# lane: restore
. "$(dirname "$0")/lib.sh"
export DAEMON=pagetap
. "$SRC/tests/restore/rig.sh"
. "$SRC/tests/restore/web.sh"
needs_criu
needs_nginx

# start_command VERB [OPTION...] [-- CRIU-OPTION...]: of CHECKPOINT, in a namespace of its own.
# AT_TERMINAL=1: at a terminal, whose keys come from descriptor 8.  before: shell commands.
start_command() {
	local verb=$1 ours=(restore -D "${IMAGES:-$CHECKPOINT/images}" --criu "$CRIU")
	shift
	new_run
	mkdir -m 700 "$RUN/own"
	"$KNOWN" "$RUN/seat/control" tell "$verb"
	while [ $# -gt 0 ] && [ "$1" != -- ]; do
		ours+=("$1")
		shift
	done
	ours+=(-- --no-default-config "${@:2}")
	set -- "$PAGETAP" "${ours[@]}"
	[ -z "${before:-}" ] || set -- sh -c "$before exec ${*@Q}"
	if [ -n "${AT_TERMINAL:-}" ]; then
		set -- env TERM=xterm SHELL=/bin/sh script -qefc "stty cols 90; exec ${*@Q}" /dev/null
		mkfifo "$RUN/keys"
		exec 8<>"$RUN/keys"
	else
		: >"$RUN/keys"
	fi
	(XDG_RUNTIME_DIR=$RUN/own inside command "$CHECKPOINT" "$RUN" "$@" 8>&-) \
		<"$RUN/keys" >"$RUN/out" 2>"$RUN/err" &
	RESTORE_PID=$!
	started "$RESTORE_PID"
}

# command_ends STATUS: with this, and without a folder of its own.
command_ends() {
	within "$PATIENCE" test -e "$RUN/status" || wrong "it does not end: $(tail -n 5 "$RUN/err" "$RUN/out")" || return
	[ "$(cat "$RUN/status")" = "$1" ] || wrong "status $(cat "$RUN/status"): $(cat "$RUN/err")" || return
	[ -z "$(ls "$RUN/own")" ] || wrong "left behind: $(find "$RUN/own")"
}
so_far() { cat -v "$RUN/err" "$RUN/out" | tail -c 600; }
has_said() { grep -qaE "$1" "$RUN/err" "$RUN/out"; }
said() { has_said "$1" || wrong "no '$1': $(so_far)"; }
says() { within 10 has_said "$1" || wrong "no '$1': $(so_far)"; }
not_said() { ! has_said "$1" || wrong "'$1': $(so_far)"; }

# the_command: its pid out here.
the_command() {
	local parent
	parent=$(first_inside)
	[ -z "${AT_TERMINAL:-}" ] || parent=$(pgrep -P "$parent" -x script)
	pgrep -P "$parent" -x pagetap
}
first_inside() { pgrep -P "$RESTORE_PID"; }
# No process is in the namespace but the first, once that has reaped them.
is_alone() { ! pgrep -P "$(first_inside)" -l >"$D/inside.out"; }
nobody_inside() { within 5 is_alone || wrong "left: $(cat "$D/inside.out")"; }
case_detached() {
	checkpoint children 32 || return
	start_command check -- -d
	all_right && command_ends 0 || return
	said '^pagetap: restored [0-9]+ processes, running after .* all pages were there .* later$' || return
	said '^  [0-9,]+ pages \(.*iB\)   [0-9,]+ for faults   0 not wanted any more   .*/s$' || return
	not_said 'waiting' && end_run
}

# criu waits for the processes, and we do: they are its children, and end as they do.
case_attached() {
	checkpoint plain 16 || return
	start_command check
	all_right && says '^pagetap: waiting for the restored processes' || return
	[ ! -e "$RUN/status" ] || wrong 'it has not waited' || return
	next_word exit
	command_ends 0 && end_run
}
case_attached_and_let_alone() {
	checkpoint plain 16 || return
	start_command check
	all_right && says '^pagetap: waiting' || return
	kill -TERM "$(the_command)"
	command_ends 0 && said 'the processes run on$' && next_word check && end_run
}

case_json() {
	checkpoint plain 16 || return
	start_command check --json -- -d
	all_right && command_ends 0 || return
	jq -e '.complete and .status == 0 and .tasks == 1 and .page_size == 4096 and .pages.left == 0 and
		.pages.came == .pages.added and .pages.came >= 4096 and .resume_ns > 0 and .fill_ns > 0 and
		.faults.p50_ns <= .faults.p99_ns and .faults.p99_ns <= .faults.slowest_ns' \
		"$RUN/out" >"$D/jq.out" || wrong "not so: $(cat "$RUN/out")" || return
	[ ! -s "$RUN/err" ] || wrong "said: $(cat "$RUN/err")" || return
	end_run
}

# held_up: a restore whose processes run while no page comes, for the server stands still; until
# goes_on.  criu waits in this script when all is made and nothing runs yet.  OPTION...: of ours.
held_up() {
	checkpoint plain 64 && start_source || return
	rm -f "$D/made" "$D/go"
	cat >"$D/gate" <<-SH
	#!/bin/sh
	[ "\$CRTOOLS_SCRIPT_ACTION" = post-restore ] || exit 0
	: >"$D/made"
	for i in \$(seq 500); do [ ! -e "$D/go" ] || exit 0; sleep 0.02; done
	SH
	chmod 755 "$D/gate"
	start_command check --page-server --port "$PORT" -v "$@" -- -d --action-script "$D/gate"
	within 20 test -e "$D/made" || wrong "criu has not come so far: $(so_far)" || return
	kill -STOP "$SOURCE_PID"
	: >"$D/go"
	says 'the processes run after'
}
goes_on() { kill -CONT "$SOURCE_PID"; }

# The line is drawn, fits, and is erased.
case_terminal() {
	local AT_TERMINAL=1
	held_up && says '^.*. % \[[#-]+\] .* of 64 MiB  .*/s  .* fault' || return
	goes_on && all_right && command_ends 0 || return
	[ "$(tr '\r' '\n' <"$RUN/out" | grep -a ' % \[' | sed 's/^.\[K//' | wc -L)" -le 89 ] ||
		wrong "longer than the terminal is wide: $(so_far)" || return
	said $'\033\\[Kpagetap: (page server|restored) ' && end_run && end_source
}

# A failure of criu: its words, and nothing stays but the log that they point to.
case_criu_fails() {
	checkpoint plain 16 || return
	before='echo 4000 >/proc/sys/kernel/ns_last_pid; sleep 60 &' start_command check -- -d
	within "$PATIENCE" test -e "$RUN/status" || wrong "it does not end: $(so_far)" || return
	[ "$(cat "$RUN/status")" = 1 ] || wrong "status $(cat "$RUN/status")" || return
	said '^pagetap: criu restore failed with status [0-9]+$' && said '^  .*Error .* 4001: File exists$' &&
		said '^hint: a process has that number already' && not_said 'handed over' || return
	[ "$(find "$RUN/own" -mindepth 2 -printf '%f ')" = 'restore.log ' ] || wrong "left: $(find "$RUN/own")" || return
	end_run
}

# A criu that does not go on when all is made and nothing runs yet.
slow_criu() {
	cat >"$D/slow" <<-SH
	#!/bin/sh
	[ "\$CRTOOLS_SCRIPT_ACTION" != post-restore ] || { : >"$D/made"; exec sleep 20; }
	SH
	chmod 755 "$D/slow"
	rm -f "$D/made"
}
case_ended_before_they_run() {
	checkpoint children 32 && slow_criu || return
	start_command check -- -d --action-script "$D/slow"
	within 20 test -e "$D/made" || wrong "criu has not come so far: $(so_far)" || return
	kill -INT "$(the_command)"
	command_ends 1 && nobody_inside && said '^pagetap: ended before the processes ran; nothing of them is left$' &&
		end_run
}
case_criu_killed_before_they_run() {
	checkpoint children 32 && slow_criu || return
	start_command check -- -d --action-script "$D/slow"
	within 20 test -e "$D/made" || wrong "criu has not come so far: $(so_far)" || return
	pgrep -P "$(the_command)" | while read -r p; do
		[ "$(cat "/proc/$p/comm")" = pagetap ] || kill -KILL "$p"
	done
	within "$PATIENCE" test -e "$RUN/status" && said 'criu restore was ended by signal 9' && nobody_inside || return
	[ "$(cat "$RUN/status")" = 1 ] || wrong "status $(cat "$RUN/status")" || return
	end_run
}

# Ctrl-C when they run: what is missing comes first.
case_ctrl_c_when_they_run() {
	local AT_TERMINAL=1
	held_up && printf '\003' >&8 && says 'told to end: it will, when the last [0-9]+ pages have come' || return
	goes_on && all_right && command_ends 0 && said 'restored 1 process' && end_run && end_source
}

# A folder that is given stays, with the log; pages may come from a page server.
case_work_dir_and_page_server() {
	checkpoint plain 32 && start_source && mkdir "$D/given" || return
	start_command check -W "$D/given" --page-server --port "$PORT" -- -d -v4
	all_right && command_ends 0 || return
	[ -s "$D/given/restore.log" ] || wrong 'no log' || return
	[ ! -e "$D/given/lazy-pages.socket" ] || wrong 'the socket is still there' || return
	end_run && end_source
}

# Every task of who brings the pages: no capability, none to be had, and a filter; but for the
# keepers, which would begin another one.
# Instrumented builds have no filter.
FILTER=2
! grep -q '__[at]san_init' "$PAGETAP" || FILTER=0
confined() {
	local t n=0
	for t in /proc/"$1"/task/*; do
		n=$((n + 1))
		[ "$(awk '/^(CapPrm|CapEff|CapInh|CapAmb|NoNewPrivs|Seccomp):/ { printf "%s ", $2 }' "$t/status")" = \
			'0000000000000000 0000000000000000 0000000000000000 0000000000000000 1 '"$FILTER " ] ||
			wrong "task $t: $(grep -E '^(Cap|NoNew|Seccomp)' "$t/status" | tr '\n' ' ')" || return
	done
}
descendants() {
	local p
	for p in $(pgrep -P "$1"); do
		echo "$p"
		descendants "$p"
	done
}
case_privileges() {
	local p pagers=0
	held_up || return
	for p in $(descendants "$(the_command)"); do
		[ "$(awk '/^NoNewPrivs:/ { print $2 }' "/proc/$p/status")" = 1 ] || continue
		pagers=$((pagers + 1))
		confined "$p" || return
	done
	[ "$pagers" = 1 ] || wrong "$pagers processes are confined" || return
	for p in $(awk '/^(CapPrm|NoNewPrivs|Seccomp):/ { printf "%s ", $2 }' "/proc/$SOURCE_PID/status"); do
		case $p in 0000000000000000 | 1 | "$FILTER") ;; *) wrong "the server: $p"; return ;; esac
	done
	goes_on && all_right && command_ends 0 && end_run && end_source
}

# Killed itself, it takes nothing along: the pages come.
case_killed() {
	held_up && kill -KILL "$(the_command)" && goes_on && all_right && end_run && end_source
}

# faults_of TRACE: whole, and how many in it.
faults_of() {
	"$PAGETAP" validate "$1" >"$D/verdict" 2>&1 || wrong "$(head -n 3 "$D/verdict")" >&2 || return
	jq -s 'map(select(.ev == "fault")) | length' "$1"
}
# Once with every page touched first by the process; then what it has touched comes first.
case_traced_and_prefetched() {
	local first second
	checkpoint plain 32 || return
	start_command random --cold leave -o "$D/first.ndjson" -- -d
	all_right || return
	kill -TERM "$(the_command)" 2>/dev/null # it may have ended by itself
	command_ends 0 && end_run && first=$(faults_of "$D/first.ndjson") || return
	start_command random --prefetch "$D/first.ndjson" -o "$D/second.ndjson" -- -d
	all_right && command_ends 0 && end_run && second=$(faults_of "$D/second.ndjson") || return
	[ "$first" -gt 1000 ] && [ $((second * 10)) -le "$first" ] || wrong "faults: $first, then $second"
}
case_first_writes() {
	checkpoint plain 16 || return
	start_command idle --mode write -o "$D/t.ndjson" -- -d
	all_right && within 10 grep -q '"ev":"arm"' "$D/t.ndjson" || return
	next_word stamp && sleep 0.3 || return
	[ ! -e "$RUN/status" ] || wrong 'nobody watches any more' || return
	next_word check
	kill -TERM "$(the_command)"
	# Each of the 4,096 pages once; and a few of the program itself.
	command_ends 0 && next_word check && end_run && [ "$(faults_of "$D/t.ndjson")" -ge 4096 ] ||
		wrong "few faults: $(cat "$D/verdict")"
}

# The descriptions that criu reads itself are here, all pages behind a web server.
case_https() {
	local IMAGES
	checkpoint children 16 && start_web && at_web https || return
	start_command check --criu-dir "$CHECKPOINT/images" --cacert "$W/web/ca.pem" -- -d
	all_right && command_ends 0 && end_run || return
	grep -q '^206 GET.*pages-' "$W/web/access.log" || wrong 'no page came from there' || return
	stop_web
}

# Who brings the pages is killed, and what was restored with it.
case_killed_with_the_pager() {
	local p
	held_up --on-death kill || return
	for p in $(descendants "$(the_command)"); do
		[ "$(cat "/proc/$p/comm")" != pagetap-pager ] || kill -KILL "$p"
	done
	command_ends 1 && said 'what was restored has been killed with it' && nobody_inside &&
		goes_on && end_run && end_source
}

run_cases "$@"
