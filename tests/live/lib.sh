# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# lib: what the live tests share.  To be sourced by bash; a test then defines
# functions case_NAME and calls `run_cases`.
#
# A case passes if its function returns 0.  Everything it starts is told to
# `started` (or comes from start_target and record) and is killed by pid when the
# case is over; nothing waits without a bound; files lie in $W, which goes away.
set -u

: "${PAGETAP:?the program under test}" "${O:?}" "${SRC:?}"
# shellcheck disable=SC2034
T=$O/tests/target
W=$(mktemp -d)
PIDS=()
passed=0 failed=0 skipped=0

# ours PID: still a child of this shell.  Numbers come round, and one that was waited
# for may be somebody else's by now, such as that of a shell running another test.
ours() {
	local stat
	read -r stat 2>/dev/null <"/proc/$1/stat" || return 1
	stat=${stat##*) }
	stat=${stat#* }
	[ "${stat%% *}" = "$BASHPID" ]
}

cleanup() {
	local p
	for p in "${PIDS[@]}"; do
		ours "$p" || continue
		kill -KILL "$p" 2>/dev/null
		wait "$p" 2>/dev/null
	done
	PIDS=()
}
trap 'cleanup; rm -rf "$W"' EXIT
trap 'exit 130' INT TERM

say() { printf '  %s\n' "$*"; }
# wrong WORDS: what the case found; returns 1, so that `|| return` follows.
wrong() { printf '  wrong: %s\n' "$*"; return 1; }
started() { PIDS+=("$1"); }
# skip ID WORDS: for facts of the machine; see tests/skips.txt.
skip() { skip_id=$1 skip_words=${*:2}; return 77; }

# needs_async: the suite is over where the kernel cannot.
needs_async() {
	"$PAGETAP" record --engine async -p $$ -d 0.001 -o /dev/null >/dev/null 2>&1
	[ $? = 4 ] || return 0
	echo "SKIP no-async: this kernel has no asynchronous write protection"
	echo "0 passed, 0 failed, 1 skipped"
	exit 0
}

# run_cases: every case_*, in the order of the file, or those named in the arguments.
run_cases() {
	local name begin rc
	for name in $(sed -n 's/^case_\([a-z0-9_]*\)().*/\1/p' "$0"); do
		[ $# = 0 ] || [[ " $* " == *" $name "* ]] || continue
		begin=$SECONDS
		skip_id='' skip_words=''
		mkdir -p "$W/$name"
		D=$W/$name
		# bash tells of every process that was killed: here it always does.
		exec 3>&2 2>"$D/stderr"
		case_"$name"
		rc=$?
		cleanup
		exec 2>&3 3>&-
		case $rc in
		0) passed=$((passed + 1)); echo "ok    $name ($((SECONDS - begin)) s)" ;;
		77) skipped=$((skipped + 1)); echo "SKIP $skip_id: $name: $skip_words" ;;
		*) failed=$((failed + 1)); echo "FAIL  $name ($((SECONDS - begin)) s)"; show_case ;;
		esac
		rm -rf "$D"
	done
	if [ "$skipped" = 0 ]; then
		echo "$passed passed, $failed failed"
	else
		echo "$passed passed, $failed failed, $skipped skipped"
	fi
	[ "$failed" = 0 ]
}

# What a failed case leaves for its reader.
show_case() {
	local f
	sed -i '/: *[0-9]* \(Killed\|Terminated\) /d' "$D/stderr"
	for f in "$D/stderr" "$D"/*.err "$D"/*.out; do
		[ -s "$f" ] || continue
		echo "    --- ${f##*/}"
		tail -n 12 "$f" | cut -c 1-300 | sed 's/^/    /'
	done
}

# within SECONDS COMMAND...: until it succeeds; 1 if it never did.
within() {
	local until=$((${EPOCHREALTIME/./} + $1 * 1000000))
	shift
	until "$@"; do
		[ "${EPOCHREALTIME/./}" -lt "$until" ] || return 1
		sleep 0.02
	done
}

# ended PID: not running any more (it may be a zombie).
ended() {
	local stat
	read -r stat 2>/dev/null <"/proc/$1/stat" || return 0
	stat=${stat##*) }
	[ "${stat%% *}" = Z ]
}

# end_of PID SECONDS: waits for a child of ours; its status in $STATUS.
end_of() {
	if ! within "$2" ended "$1"; then
		wrong "process $1 has not ended after $2 s ($(cat "/proc/$1/wchan" 2>/dev/null))"
		return
	fi
	# Without the words of bash for a process that was killed.
	wait "$1" 2>/dev/null
	STATUS=$?
}

# start_target OUT COMMAND...: in the background; TARGET is its pid once it is ready.
start_target() {
	local out=$1
	shift
	: >"$out"
	"$@" >"$out" 2>&1 </dev/null &
	TARGET=$!
	started "$TARGET"
	within 20 grep -q '^ready' "$out" || wrong "the target is not ready: $*"
}

# target_ends PID OUT [SIGNAL]: asks it to end; its self-check must pass.
target_ends() {
	[ -n "${3-TERM}" ] && kill "-${3-TERM}" "$1" 2>/dev/null
	end_of "$1" 60 || return
	[ "$STATUS" = 0 ] || wrong "target exited with $STATUS: $(tail -n 1 "$2")" || return
	tail -n 1 "$2" | grep -q '^ok ' || wrong "target says: $(tail -n 1 "$2")"
}

# record OUT OPTIONS...: in the background; RECORDER is its pid.  Writers wait for their answers,
# unless the options say otherwise.
record() {
	local err=$1
	shift
	# What is used after it was freed shall be noticed (mallopt(3)).
	MALLOC_PERTURB_=165 "$PAGETAP" record --engine "${ENGINE:-sync}" "$@" >"$err.out" 2>"$err" </dev/null &
	RECORDER=$!
	started "$RECORDER"
}

# attached PID: a userfaultfd stands on mappings of the process (smaps says so).
attached() { grep -qE '^VmFlags:.* (um|uw|ui)( |$)' "/proc/$1/smaps" 2>/dev/null; }
not_attached() { ! attached "$1"; }
wait_attached() { within 10 attached "$1" || wrong "not attached to $1 after 10 s: $(cat "$D"/*.err | tail -n 3)"; }

# Ticks of processor time that a process has used, utime and stime of proc_pid_stat(5).
ticks() {
	local stat
	read -r stat 2>/dev/null <"/proc/$1/stat" || { echo 0; return; }
	# shellcheck disable=SC2086
	set -- ${stat##*) }
	echo $((${12} + ${13}))
}
# has_worked PID TICKS: so many it has used.
has_worked() { [ "$(ticks "$1")" -ge "$2" ]; }

# stop_record PID [SIGNAL]: ends a recording; status 0 is wanted.
stop_record() {
	kill "-${2:-INT}" "$1" 2>/dev/null
	end_of "$1" 20 || return
	[ "$STATUS" = 0 ] || wrong "record exited with $STATUS"
}

# valid TRACE [--allow-cut]: pagetap validate accepts it.
valid() {
	timeout 300 "$PAGETAP" validate "${@:2}" "$1" >"$D/validate.out" 2>&1 ||
		wrong "validate refuses $(basename "$1"): $(head -n 5 "$D/validate.out")"
}

# record_ends TRACE [SECONDS]: the recording ends by itself, in order, and what it wrote is valid.
record_ends() {
	end_of "$RECORDER" "${2:-20}" || return
	[ "$STATUS" = 0 ] || wrong "record exited with $STATUS" || return
	valid "$1"
}

# count TRACE JQ-CONDITION: how many records fulfil it.
count() { jq -c "select($2)" "$1" | wc -l; }

# counter FILE: the work done, a number.
counter() { local n; read -r n 2>/dev/null <"$1" || n=0; echo "$((10#$n))"; }
moved_on() { [ "$(counter "$1")" -gt "$2" ]; }
# runs_on FILE: the target's counter moves.
runs_on() {
	local n
	n=$(counter "$1")
	within 10 moved_on "$1" "$n" || wrong "the target stands still at $n"
}

# untouched PID: nothing of ours is in the process.
untouched() {
	local p=$1 f t
	! ended "$p" || wrong "process $p has ended" || return
	[ "$(awk '/^TracerPid/ { print $2 }' "/proc/$p/status" 2>/dev/null)" = 0 ] ||
		wrong "process $p has a tracer" || return
	for f in "/proc/$p"/fd/*; do
		case $(readlink "$f") in *userfaultfd*)
			wrong "process $p holds a userfaultfd" || return ;;
		esac
	done
	for t in "/proc/$p"/task/*; do
		case $(sed 's/.*) //' "$t/stat" 2>/dev/null) in
		[tT]' '*) wrong "thread ${t##*/} of $p is stopped" || return ;;
		esac
	done
	within 3 not_attached "$p" || wrong "mappings of $p still have a userfaultfd"
}

# picture PID FILE: all that attaching must leave as it was.
picture() {
	local p=$1 f t
	{
		for f in "/proc/$p"/fd/*; do
			echo "fd ${f##*/} $(readlink "$f") $(grep -hE '^(pos|flags)' "/proc/$p/fdinfo/${f##*/}" | tr '\n' ' ')"
		done
		echo "cwd $(readlink "/proc/$p/cwd") root $(readlink "/proc/$p/root")"
		grep -hE '^(TracerPid|Uid|Gid|Cap|Seccomp|NoNewPrivs|FDSize|Threads)' "/proc/$p/status"
		cat "/proc/$p/limits"
		for t in "/proc/$p"/task/*; do
			grep -hE '^(State|SigPnd|ShdPnd|SigBlk|SigIgn|SigCgt)' "$t/status"
			# Call, arguments, stack and instruction pointer of a waiting thread.
			cat "$t/syscall"
		done
		merged_maps "$p"
	} >"$2" 2>&1
}

# The mappings, neighbours of one kind put together: watching may keep them apart.
merged_maps() {
	awk '
	function flush() { if (lo != "") print "map", lo "-" hi, perms, name }
	{
		split($1, r, "-")
		n = $6
		for (i = 7; i <= NF; i++) n = n " " $i
		if (r[1] == hi && $2 == perms && n == name && (n == "" || n ~ /^\[/)) {
			hi = r[2]
			next
		}
		flush()
		lo = r[1]; hi = r[2]; perms = $2; name = n
	}
	END { flush() }' "/proc/$1/maps"
}

# compare BEFORE AFTER: two pictures.
compare() {
	diff "$1" "$2" >"$D/difference.out" || wrong "not as before: $(grep '^[<>]' "$D/difference.out" | head -n 4)"
}
