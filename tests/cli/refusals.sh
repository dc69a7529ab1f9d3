#!/bin/bash
# SPDX-License-Identifier: MIT
#
# refusals: what cannot be attached to, with its words, its hint, its exit status -
# and nothing left behind, neither in the process nor on the disk.
# limit: 120
set -u
# shellcheck source=tests/live/lib.sh
. "${SRC:?}/tests/live/lib.sh"

# refused STATUS PATTERN COMMAND...: an extended regular expression for the whole first
# line; COMMAND runs record with "$@" appended by the caller.  No trace may be left.
refused() {
	local status=$1 pattern=$2 rc
	shift 2
	timeout 30 "$@" >"$D/refused.out" 2>"$D/refused.err" </dev/null
	rc=$?
	[ $rc = "$status" ] || wrong "status $rc, not $status: $(head -n 2 "$D/refused.err")" || return
	head -n 1 "$D/refused.err" | grep -qxE "pagetap: $pattern" ||
		wrong "words: $(head -n 1 "$D/refused.err")" || return
	[ ! -e "$D/t.ndjson" ] || wrong 'the output was created' || return
}

hinted() {
	sed -n 2p "$D/refused.err" | grep -qE "^hint: $1" || wrong "hint: $(sed -n 2p "$D/refused.err")"
}

rec() { refused "$1" "$2" "$PAGETAP" record --engine sync -o "$D/t.ndjson" "${@:3}"; }

# A copy that everybody may execute: the build directory may be private.
for_nobody() {
	chmod 755 "$W" "$D"
	cp "$PAGETAP" "$D/pagetap" && chmod 755 "$D/pagetap"
}
NOBODY=(setpriv --reuid 65534 --regid 65534 --clear-groups)

# sleeper [COMMAND...]: a sleep that has executed; its pid is $!.
sleeper() {
	"$@" sleep 60 &
	started $!
	within 5 grep -qx sleep "/proc/$!/comm"
}

# python_target SCRIPT: runs, says ready, sleeps; pid in TARGET.
python_target() {
	start_target "$D/python.out" "${@:2}" /usr/bin/python3 -c "
import ctypes, os, signal, sys, threading, time
libc = ctypes.CDLL(None, use_errno=True)
$1
print('ready', flush=True)
time.sleep(60)"
}

case_no_such_process() {
	rec 4 'cannot attach to 999999999: no such process' -p 999999999
}

case_one_of_several() {
	sleeper || return
	rec 4 'cannot attach to 999999999: no such process' -p $!,999999999 || return
	untouched $!
}

case_kernel_thread() {
	rec 5 'cannot attach to 2 \(kthreadd\): it is a kernel thread and has no user memory' -p 2
}

case_zombie() {
	python_target 'p = os.fork()
if not p: os._exit(0)
time.sleep(0.2); print(p, flush=True)' || return
	local z
	z=$(head -n 1 "$D/python.out")
	rec 4 "cannot attach to $z \\(python3\\): it has already exited \\(zombie of $TARGET, python3\\)" -p "$z"
}

case_thread_id() {
	python_target 't = threading.Thread(target=time.sleep, args=(60,), daemon=True); t.start()
print(t.native_id, flush=True)' || return
	local tid
	tid=$(head -n 1 "$D/python.out")
	rec 4 "cannot attach to $tid \\(python3\\): it is a thread of process $TARGET \\(python3\\), not a process" \
		-p "$tid" || return
	hinted "attach to the process, all its threads are watched: -p $TARGET" || return
	untouched "$TARGET"
}
case_itself() {
	# shellcheck disable=SC2016
	refused 5 'cannot attach to [0-9]+ \(pagetap\): it is this very process, which cannot watch itself' \
		sh -c 'exec "$0" record --engine sync -o "$1" -p $$' "$PAGETAP" "$D/t.ndjson"
}

case_already_traced() {
	sleeper || return
	local target=$!
	strace -qq -o "$D/strace.log" -p "$target" &
	started $!
	within 10 grep -q "^TracerPid:.*[1-9]" "/proc/$target/status" || wrong 'strace did not attach' || return
	rec 3 "cannot attach to $target \\(sleep\\): it is already traced by $! \\(strace\\)" -p "$target" || return
	hinted 'only one tracer at a time' || return
	grep -q "^TracerPid:.*$!" "/proc/$target/status" || wrong 'strace lost it'
}

case_already_monitored() {
	start_target "$D/target.out" "$T/writer" -T 60 || return
	record "$D/record.err" -p "$TARGET" -o "$D/first.ndjson"
	wait_attached "$TARGET" || return
	rec 5 "cannot attach to $TARGET \\(writer\\): it already has a userfaultfd on [0-9]+ of its mappings, and holds none itself .*" \
		-p "$TARGET" || return
	hinted '.' || return
	stop_record "$RECORDER" || return
	target_ends "$TARGET" "$D/target.out"
}

case_word_size() {
	timeout 1 "$T/word32" >/dev/null 2>&1
	[ $? = 124 ] || { skip no-32bit 'a 32-bit program does not start'; return; }
	start_target "$D/target.out" "$T/word32" || return
	rec 5 "cannot attach to $TARGET \\(word32\\): it is a 32-bit \\(i386\\) process; only x86-64 targets are supported" \
		-p "$TARGET"
}

case_other_user() {
	for_nobody || return
	sleeper || return
	refused 3 "cannot attach to $! \\(sleep\\): it belongs to user root and you are nobody without CAP_SYS_PTRACE" \
		"${NOBODY[@]}" "$D/pagetap" record --engine sync -o "$D/t.ndjson" -p $! || return
	hinted 'run with sudo, or start the program under pagetap: pagetap record -- COMMAND'
}

case_root_without_capability() {
	sleeper "${NOBODY[@]}" || return
	refused 3 "cannot attach to $! \\(sleep\\): CAP_SYS_PTRACE is missing although you are root \\(container\\?\\)" \
		setpriv --bounding-set -sys_ptrace "$PAGETAP" record --engine sync -o "$D/t.ndjson" -p $! || return
	hinted 'docker run --cap-add=SYS_PTRACE'
}

case_not_dumpable() {
	for_nobody || return
	chmod 777 "$D"
	python_target 'libc.prctl(4, 0, 0, 0, 0)' "${NOBODY[@]}" || return
	refused 3 "cannot attach to $TARGET \\(python3\\): it is set-user-ID, .*non-dumpable" \
		"${NOBODY[@]}" "$D/pagetap" record --engine sync -o "$D/t.ndjson" -p "$TARGET" || return
	hinted "needs CAP_SYS_PTRACE in the target's user namespace"
}

case_seccomp_without_capability() {
	python_target '
class F(ctypes.Structure): _fields_ = [("code", ctypes.c_ushort), ("jt", ctypes.c_ubyte), ("jf", ctypes.c_ubyte), ("k", ctypes.c_uint)]
class P(ctypes.Structure): _fields_ = [("len", ctypes.c_ushort), ("filter", ctypes.POINTER(F))]
f = (F * 1)(F(6, 0, 0, 0x7fff0000)); p = P(1, f)
libc.prctl(38, 1, 0, 0, 0)
if libc.prctl(22, 2, ctypes.byref(p), 0, 0): sys.exit("no seccomp")' || { skip no-seccomp 'PR_SET_SECCOMP fails'; return; }
	# The target may not hold more than we do.
	refused 3 "cannot attach to $TARGET \\(python3\\): .*(seccomp|CAP_SYS_PTRACE).*" \
		setpriv --bounding-set -sys_admin "$PAGETAP" record --engine sync -o "$D/t.ndjson" -p "$TARGET" || return
	grep -q 'runs under a seccomp filter; injecting a system call could kill it' "$D/refused.err" ||
		wrong "words: $(head -n 1 "$D/refused.err")" || return
	hinted 'as root \(CAP_SYS_ADMIN' || return
	untouched "$TARGET"
}

case_userfaultfd_forbidden() {
	[ "$(cat /proc/sys/vm/unprivileged_userfaultfd)" = 0 ] || { skip old-kernel 'vm.unprivileged_userfaultfd is not 0'; return; }
	for_nobody || return
	sleeper "${NOBODY[@]}" || return
	refused 3 "cannot attach to $! \\(sleep\\): it may not create a userfaultfd: vm.unprivileged_userfaultfd is 0 and /dev/userfaultfd is not open to you" \
		"${NOBODY[@]}" "$D/pagetap" record --engine sync -o "$D/t.ndjson" -p $! || return
	hinted 'run as root' || return
	"${NOBODY[@]}" "$D/pagetap" check >"$D/check.out"
	[ $? = 3 ] || wrong 'check: status is not 3' || return
	grep -q '^  no    full-mode fd ' "$D/check.out" || wrong 'check does not say so'
}

case_yama() {
	local scope=/proc/sys/kernel/yama/ptrace_scope
	[ -e $scope ] || { skip no-yama 'kernel.yama.ptrace_scope is not there'; return; }
	local was
	was=$(cat $scope)
	for_nobody || return
	sleeper "${NOBODY[@]}" || return
	echo 1 >$scope || { skip no-yama 'kernel.yama.ptrace_scope cannot be set'; return; }
	refused 3 "cannot attach to $! \\(sleep\\): kernel.yama.ptrace_scope is 1, .*" \
		"${NOBODY[@]}" "$D/pagetap" record --engine sync -o "$D/t.ndjson" -p $!
	local rc=$?
	echo "$was" >$scope
	return $rc
}

# Found out only when it was stopped: all undone, and the output is gone again.
case_no_free_descriptor() {
	python_target 'import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
try:
    while True: os.open("/dev/null", os.O_RDONLY)
except OSError: pass' || return
	local before
	before=$(ls "/proc/$TARGET/fd")
	refused 1 "could not set up $TARGET \\(python3\\): it has no free descriptor .* Its registers and memory were restored; it runs on" \
		"$PAGETAP" record --engine sync -o "$D/t.ndjson" -p "$TARGET" || return
	hinted '.*--nofile' || return
	[ "$(ls "/proc/$TARGET/fd")" = "$before" ] || wrong 'other descriptors than before' || return
	untouched "$TARGET"
}

# The name of a process is its own choice.
case_hostile_name() {
	python_target 'libc.prctl(15, b"x\033[31m\n\xff", 0, 0, 0)
p = os.fork()
if not p: os._exit(0)
time.sleep(0.2); print(p, flush=True)' || return
	local z
	z=$(head -n 1 "$D/python.out")
	rec 4 "cannot attach to $z \\(x\\\\033\\[31m\\\\012\\\\377\\): .*" -p "$z" || return
	[ "$(wc -l <"$D/refused.err")" = 1 ] || wrong 'more than a line'
}

# Who reads the trace cannot be recorded into it.
case_target_reads_the_output() {
	mkfifo "$D/pipe"
	/usr/bin/python3 -c 'import sys, time; f = open(sys.argv[1]); print("ready", flush=True); time.sleep(60)' \
		"$D/pipe" >"$D/reader.out" &
	started $!
	local reader=$!
	exec 7>"$D/pipe"
	within 10 grep -q ready "$D/reader.out" || return
	refused 2 "$reader \\(python3\\) reads what pagetap writes, so that each record would cause more of them" \
		"$PAGETAP" record --engine sync -o "$D/pipe" -p $reader || return
	# Standard output is the pipe itself this time, so the words come by another way.
	timeout 20 "$PAGETAP" record --engine sync -o - -p $reader >&7 2>"$D/refused.err"
	[ $? = 2 ] || wrong "by -o -: status is not 2" || return
	grep -q 'reads what pagetap writes' "$D/refused.err" || wrong "by -o -: $(cat "$D/refused.err")" || return
	exec 7>&-
	untouched $reader
}

run_cases "$@"
