#!/bin/bash
# SPDX-License-Identifier: MIT
#
# hostile: targets and surroundings that would rather not be watched, or read.
# limit: 120
. "$(dirname "$0")/lib.sh"

# plain FILE: UTF-8, and no control character but the end of a line.
plain() {
	iconv -f UTF-8 -t UTF-8 "$1" >/dev/null 2>&1 || wrong "${1##*/} is not UTF-8" || return
	! LC_ALL=C grep -qaP '[\x00-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f]' "$1" ||
		wrong "control bytes in ${1##*/}: $(LC_ALL=C grep -aP '[\x00-\x1f\x7f]' "$1" | head -n 1 | od -c | head -n 3)"
}

cat >"$W/names.py" <<'PY'
# Names of a process, of mapped files and of anonymous memory, all of its own choice.
import ctypes, mmap, os, sys
libc = ctypes.CDLL(None, use_errno=True)
folder = sys.argv[1].encode()
names = [b'new\nline "{\\', b'\033]0;title\007', b'\xff\xfe caf\xe9', b'x' * 255, b'a (deleted)',
         b'//anon', b'[heap]', b'{"ev":"fault"}', b'\xf0\x9f\x98\x80 \xed\xa0\x80', b'\x01\x1f\x7f\x80']
maps = []
for n in names:
    fd = os.open(folder + b'/' + n, os.O_RDWR | os.O_CREAT)
    os.ftruncate(fd, 8192)
    maps.append(mmap.mmap(fd, 8192))
    os.close(fd)
for n in names:
    if len(n) < 240:
        fd = os.memfd_create(n.replace(b'/', b'_'))
        os.ftruncate(fd, 8192)
        maps.append(mmap.mmap(fd, 8192))
anon = mmap.mmap(-1, 8192, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
at = ctypes.addressof(ctypes.c_char.from_buffer(anon))
libc.prctl(0x53564d41, 0, ctypes.c_ulong(at), ctypes.c_ulong(8192), b'named {"ev":1}')
libc.prctl(15, b'\033]0;x\007"\n{\xff', 0, 0, 0)
print('ready', flush=True)
sys.stdin.buffer.read(1)
for m in maps:
    m[0] = 1
    m[4096] = 2
anon[0] = 3
print('ok', flush=True)
sys.stdin.buffer.read(1)
PY

cat >"$W/strict.py" <<'PY'
# Every line one strict JSON object; names come back as the bytes they were.
import json, sys
def once(pairs):
    keys = [k for k, v in pairs]
    assert len(keys) == len(set(keys)), keys
    return dict(pairs)
def refuse(word):
    raise ValueError(word)
found = set()
with open(sys.argv[1], 'rb') as f:
    for line in f.read().split(b'\n')[:-1]:
        assert all(b >= 32 for b in line), line
        r = json.loads(line.decode('utf-8', 'strict'), object_pairs_hook=once, parse_constant=refuse)
        for key in ('name', 'comm'):
            if key in r:
                found.add(bytes.fromhex(r[key + '_hex']) if key + '_hex' in r else r[key].encode())
base = {n.rsplit(b'/', 1)[-1] for n in found}
for want in (b'\033]0;title\007', b'\xff\xfe caf\xe9', b'x' * 255, b'a (deleted)', b'{"ev":"fault"}',
             b'\x01\x1f\x7f\x80', b'\033]0;x\007"\n{\xff'):
    assert want in base or want in found, (want, sorted(base))
# The kernel writes a newline and a backslash of a path as octal digits.
assert any(b'new\\012line "{' in n or b'new\nline "{' in n for n in found), found
PY

case_hostile_names() {
	mkdir "$D/files"
	mkfifo "$D/gate"
	/usr/bin/python3 "$W/names.py" "$D/files" <"$D/gate" >"$D/target.out" 2>&1 &
	TARGET=$!
	started "$TARGET"
	exec 8>"$D/gate"
	within 10 grep -q ready "$D/target.out" || wrong "$(cat "$D/target.out")" || return
	record "$D/record.err" -p "$TARGET" -o "$D/t.ndjson" 8>&-
	wait_attached "$TARGET" || return
	within 10 grep -q attached "$D/record.err" || return
	printf x >&8
	within 10 grep -q ok "$D/target.out" || wrong "it stands still" || return
	"$PAGETAP" map -p "$TARGET" >"$D/map.out" 2>&1 || wrong "map" || return
	"$PAGETAP" map --json -p "$TARGET" | jq -e '.mappings | length > 20' >/dev/null || wrong "map --json" || return
	exec 8>&-
	end_of "$TARGET" 20 || return
	end_of "$RECORDER" 20 || return
	[ "$STATUS" = 0 ] || wrong "record exited with $STATUS" || return
	plain "$D/record.err" || return
	plain "$D/map.out" || return
	valid "$D/t.ndjson" || return
	/usr/bin/python3 "$W/strict.py" "$D/t.ndjson" 2>"$D/strict.err" || wrong "$(tail -n 1 "$D/strict.err")"
}

# No instruction to make a system call with: nothing can be done, and nothing is.
case_no_system_call_instruction() {
	"$T/bare" "$D/count.bin" >"$D/target.out" 2>&1 &
	TARGET=$!
	started "$TARGET"
	within 10 grep -q ready "$D/target.out" || return
	counted() { od -An -tu8 -N8 "$D/count.bin" | tr -d ' '; }
	has_begun() { [ "$(counted)" -gt 0 ]; }
	within 5 has_begun || wrong "it does not run" || return
	timeout 20 "$PAGETAP" record --engine sync -p "$TARGET" -o "$D/t.ndjson" 2>"$D/record.err"
	[ $? = 5 ] || wrong "status is not 5: $(cat "$D/record.err")" || return
	grep -q 'no system call instruction was found' "$D/record.err" || wrong "$(cat "$D/record.err")" || return
	[ ! -e "$D/t.ndjson" ] || wrong "a trace was begun" || return
	untouched "$TARGET" || return
	local n
	n=$(counted)
	sleep 0.1
	[ "$(counted)" -gt "$n" ] || wrong "it stands still"
}

# No byte of its text is written: no page of it becomes its own, no file changes.
text_of() {
	awk '/^[0-9a-f]+-[0-9a-f]+ / { x = $2 ~ /x/ && $6 ~ /^\// } x && /^Private_Dirty/ { n += $2 } END { print n + 0 }' \
		"/proc/$1/smaps"
	awk '$2 ~ /x/ && $6 ~ /^\// { print $6 }' "/proc/$1/maps" | sort -u | xargs sha256sum
}
case_text_is_not_written() {
	start_target "$D/target.out" "$T/writer" -T 60 -c "$D/count" || return
	text_of "$TARGET" >"$D/before"
	[ "$(head -n 1 "$D/before")" = 0 ] || wrong "its text is private already" || return

	for _ in 1 2 3 4 5; do
		timeout 20 "$PAGETAP" record --engine sync -q -p "$TARGET" -o /dev/null -d 0.1 2>"$D/record.err" || wrong "record" || return
	done
	text_of "$TARGET" >"$D/after"
	compare "$D/before" "$D/after" || return
	target_ends "$TARGET" "$D/target.out"
}

# ---- surroundings --------------------------------------------------------------

# refused STATUS WORDS COMMAND...
refused() {
	local status=$1 words=$2 rc
	shift 2
	timeout 20 "$@" >"$D/refused.out" 2>"$D/refused.err"
	rc=$?
	[ $rc = "$status" ] || wrong "status $rc, not $status: $(head -n 2 "$D/refused.err")" || return
	grep -q -- "$words" "$D/refused.err" || wrong "words: $(head -n 2 "$D/refused.err")"
}

case_no_proc() {
	start_target "$D/target.out" "$T/writer" -T 60 -c "$D/count" || return
	# shellcheck disable=SC2016
	unshare -m sh -c 'umount -l /proc' 2>"$D/unshare.err" || { skip no-mount 'unshare(2) or umount(2) fails'; return; }
	# shellcheck disable=SC2016
	refused 3 '/proc is not mounted' unshare -m sh -c 'umount -l /proc && exec "$0" record --engine sync -p "$1" -o "$2"' \
		"$PAGETAP" "$TARGET" "$D/t.ndjson" || return
	[ ! -e "$D/t.ndjson" ] || wrong "a trace was begun" || return
	untouched "$TARGET" || return
	target_ends "$TARGET" "$D/target.out"
}

case_hidden_proc() {
	start_target "$D/target.out" "$T/writer" -T 60 -c "$D/count" || return
	chmod 711 "$W"
	chmod 777 "$D"
	cp "$PAGETAP" "$D/pagetap" && chmod 755 "$D/pagetap"
	# shellcheck disable=SC2016
	unshare -m sh -c 'mount -t proc -o hidepid=2 proc /proc' 2>"$D/mount.err" || { skip no-mount 'mount(2) fails'; return; }
	# shellcheck disable=SC2016
	refused 3 'hidepid' unshare -m sh -c 'mount -t proc -o hidepid=2 proc /proc && exec setpriv --reuid 65534 --regid 65534 --clear-groups "$0" record --engine sync -p "$1" -o "$2"' \
		"$D/pagetap" "$TARGET" "$D/t.ndjson" || return
	untouched "$TARGET" || return
	target_ends "$TARGET" "$D/target.out"
}

case_proc_of_another_namespace() {
	start_target "$D/target.out" "$T/writer" -T 60 -c "$D/count" || return
	unshare -pf --mount-proc true 2>"$D/unshare.err" || { skip no-pidns 'unshare(2) fails'; return; }
	refused 4 'no such process' unshare -pf --kill-child --mount-proc "$PAGETAP" record --engine sync -p "$TARGET" -o "$D/t.ndjson" || return
	# A number of here that means another process there.
	refused 5 'cannot attach to 1' unshare -pf --kill-child --mount-proc "$PAGETAP" record --engine sync -p 1 -o "$D/t.ndjson" || return
	# The files of one namespace, the numbers of another.
	timeout 20 unshare -pf --kill-child "$PAGETAP" record --engine sync -p "$TARGET" -o "$D/t.ndjson" 2>"$D/mixed.err"
	[ $? != 0 ] || wrong "it was attached to" || return
	untouched "$TARGET" || return
	target_ends "$TARGET" "$D/target.out"
}

case_hostile_environment() {
	start_target "$D/target.out" "$T/writer" -T 60 -c "$D/count" || return
	timeout 30 env -i PATH=/nonexistent TMPDIR=/nonexistent HOME=/nonexistent TERM="$(printf '\033[31m')" \
		LC_ALL=xx_XX.nothing LANGUAGE=../../x LOCPATH=/nonexistent NLSPATH=/nonexistent NO_COLOR= \
		MALLOC_ARENA_MAX=1 PAGETAP_FAULT=seize:die "$PAGETAP" record --engine sync -p "$TARGET" -o "$D/t.ndjson" -d 0.5 \
		2>"$D/record.err" || wrong "status $?: $(head -n 2 "$D/record.err")" || return
	plain "$D/record.err" || return
	valid "$D/t.ndjson" || return
	untouched "$TARGET" || return
	target_ends "$TARGET" "$D/target.out"
}

# A target that knows who watches it, and may send it signals.
cat >"$W/spiteful.py" <<'PY'
import mmap, os, signal, sys, time
memory = mmap.mmap(-1, 64 * 4096)
def send_and_write(signal, n):
    begin = time.monotonic()
    os.kill(monitor, signal)
    for page in range(64):
        memory[page * 4096] = n
    print('held', int(1000 * (time.monotonic() - begin)), flush=True)
for page in range(64):
    memory[page * 4096] = 1
print('ready', flush=True)
monitor = int(sys.stdin.readline())
send_and_write(signal.SIGSTOP, 2)
time.sleep(0.3)
os.kill(monitor, signal.SIGCONT)
sys.stdin.readline()
send_and_write(signal.SIGKILL, 3)
assert all(memory[page * 4096] == 3 for page in range(64))
print('ok 1', flush=True)
sys.stdin.readline()
PY

case_target_that_stops_and_kills_its_monitor() {
	mkfifo "$D/gate"
	start_target "$D/target.out" sh -c 'exec /usr/bin/python3 "$0" <>"$1"' "$W/spiteful.py" "$D/gate" || return
	record "$D/record.err" -p "$TARGET" -o "$D/t.ndjson"
	wait_attached "$TARGET" || return
	within 10 grep -q attached "$D/record.err" || return
	echo "$RECORDER" >"$D/gate"
	within 20 grep -q '"reason":"stall"' "$D/t.ndjson" || wrong "no gap: $(cat "$D/target.out")" || return
	within 10 attached "$TARGET" || wrong "it is not watched again" || return
	echo >"$D/gate"
	end_of "$RECORDER" 10 || return
	[ "$STATUS" = 137 ] || wrong "status $STATUS, not killed" || return
	within 10 grep -q '^ok' "$D/target.out" || wrong "it stands still: $(cat "$D/target.out")" || return
	untouched "$TARGET" || return
	say "$(grep held "$D/target.out" | tr '\n' ' ')ms"
	[ "$(awk '/^held/ && $2 > 1500' "$D/target.out")" = '' ] || wrong "it was held up" || return
	[ "$(awk '/^held/ && $2 > 300' "$D/target.out" | wc -l)" -ge 1 ] || wrong "it was not: it shows nothing" || return
	valid "$D/t.ndjson" --allow-cut || return
	echo >"$D/gate"
	end_of "$TARGET" 10 || return
	[ "$STATUS" = 0 ] || wrong "the target exited with $STATUS"
}

# With privileges of its file, run by a user that may say what is around it.
case_hostile_environment_of_a_privileged_program() {
	chmod 755 "$W" && chmod 777 "$D"
	cp "$PAGETAP" "$D/pagetap"
	setcap cap_sys_ptrace,cap_dac_override,cap_setpcap+ep "$D/pagetap" 2>/dev/null ||
		{ skip no-filecaps 'no capabilities of files here'; return; }
	printf '%s\n' '#include <fcntl.h>' '__attribute__((constructor)) static void come(void)' \
		"{ open(\"$D/came\", O_CREAT | O_WRONLY, 0666); }" >"$D/evil.c"
	${CC:-cc} -shared -fPIC -w -o "$D/evil.so" "$D/evil.c" 2>"$D/cc.err" || wrong "it does not compile" || return
	chmod 755 "$D/evil.so"
	LD_PRELOAD=$D/evil.so /bin/true
	[ -e "$D/came" ] || wrong "it is loaded nowhere: the test shows nothing" || return
	rm "$D/came"
	start_target "$D/target.out" setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all \
		"$T/writer" -T 60 -c "$D/count" || return
	# No standard descriptor, few others, and a trace that must not take their numbers.
	(
		ulimit -n 64 -c unlimited
		exec timeout 30 setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all \
			env -i LD_PRELOAD="$D/evil.so" LD_LIBRARY_PATH="$D" LD_AUDIT="$D/evil.so" GCONV_PATH="$D" \
			LOCPATH="$D" TMPDIR="$D" MALLOC_TRACE="$D/came" PAGETAP_FAULT=seize:die \
			"$D/pagetap" record --engine sync -p "$TARGET" -o "$D/t.ndjson" -d 0.5 <&- >&- 2>&-
	)
	[ $? = 0 ] || wrong "record: status is not 0" || return
	[ ! -e "$D/came" ] || wrong "what its user named was loaded or written" || return
	valid "$D/t.ndjson" || return
	[ "$(stat -c %u "$D/t.ndjson")" = 65534 ] || wrong "the trace is not its user's" || return
	untouched "$TARGET" || return
	target_ends "$TARGET" "$D/target.out"
}

# All processors are taken by threads of real-time priority; what is left is throttling.
case_real_time_threads() {
	[ "$(cat /proc/sys/kernel/sched_rt_runtime_us)" -gt 0 ] && chrt -r 1 true 2>/dev/null ||
		{ skip no-realtime 'no SCHED_RR, or it is not throttled'; return; }
	# It must outlive the recording, which has its own limit.
	start_target "$D/target.out" chrt -r 1 "$T/writer" -t "$(nproc)" -T 80 -c "$D/count" || return
	local rc
	timeout 60 "$PAGETAP" record --engine sync -q -p "$TARGET" -o "$D/t.ndjson" -d 1 --rearm 100 2>"$D/record.err"
	rc=$?
	# It may not come to run in time to stop a thread: then it says so, and that is all.
	[ $rc = 0 ] || { [ $rc = 1 ] && grep -qE 'did not stop within|ETIMEDOUT. Its registers and memory were restored' "$D/record.err"; } ||
		wrong "record: status $rc: $(head -n 1 "$D/record.err")" || return
	untouched "$TARGET" || return
	runs_on "$D/count" || return
	target_ends "$TARGET" "$D/target.out" || return
	[ $rc != 0 ] || valid "$D/t.ndjson"
}

run_cases "$@"
