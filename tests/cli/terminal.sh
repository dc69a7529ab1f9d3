#!/bin/bash
# SPDX-License-Identifier: MIT
#
# terminal: colour, the progress line, Ctrl-C, and what a terminal must not get.
# limit: 120
set -u
# shellcheck source=tests/live/lib.sh
. "${SRC:?}/tests/live/lib.sh"

load() { start_target "$D/target.out" "$T/writer" -T 60 -c "$D/count"; }
fine() { untouched "$TARGET" && runs_on "$D/count" && target_ends "$TARGET" "$D/target.out"; }

ESC=$'\033'

# at_terminal OUT COMMAND: what a shell command writes to a terminal of its own; what is
# on standard input is typed.
at_terminal() {
	timeout 30 env TERM="${TERM_SHOWN-xterm}" SHELL=/bin/sh script -qefc "$2" /dev/null >"$1" 2>&1
}

case_colour_rules() {
	local say="$PAGETAP record --engine sync -p 999999999"
	at_terminal "$D/tty" "$say" </dev/null
	grep -q "$ESC\[1;31mpagetap: $ESC\[m" "$D/tty" || wrong 'no colour on a terminal' || return
	NO_COLOR=1 at_terminal "$D/tty" "$say" </dev/null
	! grep -q "$ESC" "$D/tty" || wrong 'colour although NO_COLOR' || return
	NO_COLOR='' at_terminal "$D/tty" "$say" </dev/null
	grep -q "$ESC" "$D/tty" || wrong 'an empty NO_COLOR counts' || return
	NO_COLOR=1 at_terminal "$D/tty" "$say --color=always" </dev/null
	grep -q "$ESC" "$D/tty" || wrong '--color=always loses to NO_COLOR' || return
	TERM_SHOWN=dumb at_terminal "$D/tty" "$say" </dev/null
	! grep -q "$ESC" "$D/tty" || wrong 'colour on a dumb terminal' || return
	at_terminal "$D/tty" "$say --color=never" </dev/null
	! grep -q "$ESC" "$D/tty" || wrong 'colour although never' || return
	"$PAGETAP" record --engine sync -p 999999999 2>"$D/file.err"
	! grep -q "$ESC" "$D/file.err" || wrong 'colour in a file'
}

# The line is there, is erased, and never goes to a file.
case_progress() {
	load || return
	at_terminal "$D/tty" "$PAGETAP record --engine sync -p $TARGET -d 2.5 --rearm 50 -o $D/t.ndjson" </dev/null
	grep -qE "$ESC\[K[0-9.]+ s: [0-9,]+ faults, [0-9,]+ of them writes, 0 lost, 1 process" "$D/tty" ||
		wrong 'no progress line' || return
	[ "$(grep -oE "$ESC\[K[0-9.]+ s: " "$D/tty" | wc -l)" -le 10 ] || wrong 'more than 4 a second' || return
	# After the last of them, an erased line comes before the next word.
	tr '\r' '\n' <"$D/tty" | grep -A1 ' s: [0-9,]* faults' | tail -n 1 | grep -q "^$ESC\[K" ||
		wrong 'it is not erased' || return
	"$PAGETAP" record --engine sync -p "$TARGET" -d 1.5 --rearm 50 -o "$D/t.ndjson" 2>"$D/record.err" || return
	! grep -q ' s: ' "$D/record.err" || wrong 'progress in a file' || return
	at_terminal "$D/tty" "$PAGETAP record --engine sync -q -p $TARGET -d 1.5 -o $D/t.ndjson" </dev/null
	[ ! -s "$D/tty" ] || wrong "-q says: $(cat "$D/tty")" || return
	fine
}

case_ctrl_c() {
	load || return
	{
		within 10 attached "$TARGET"
		sleep 0.5
		printf '\003'
		sleep 3
	} | at_terminal "$D/tty" "trap : INT; $PAGETAP record --engine sync -p $TARGET -o $D/t.ndjson; echo status=\$?"
	grep -q "pagetap: detached from $TARGET (writer), which runs on" "$D/tty" || wrong "$(cat "$D/tty")" || return
	grep -q '^status=0' "$D/tty" || wrong "$(grep status "$D/tty")" || return
	valid "$D/t.ndjson" || return
	fine
}

# Ctrl-Z would leave the target waiting.
case_ctrl_z() {
	load || return
	{
		within 10 attached "$TARGET"
		sleep 0.3
		printf '\032'
		sleep 1.5
	} | at_terminal "$D/tty" "$PAGETAP record --engine sync -p $TARGET -d 1 -o $D/t.ndjson; echo status=\$?"
	grep -q '^status=0' "$D/tty" || wrong "$(cat "$D/tty")" || return
	valid "$D/t.ndjson" || return
	fine
}

case_no_compressed_data() {
	load || return
	# The terminal under a name that asks for compression.
	mknod "$D/tty.zst" c 5 0 2>/dev/null || { skip no-mount 'mknod(2) fails'; return; }
	at_terminal "$D/tty" "$PAGETAP record --engine sync -p $TARGET -d 0.2 -o $D/tty.zst; echo status=\$?" </dev/null
	grep -q 'pagetap: .*refusing to write compressed data to a terminal; use -o FILE' "$D/tty" ||
		wrong "$(head -c 300 "$D/tty")" || return
	grep -q '^status=2' "$D/tty" || wrong 'status is not 2' || return
	# Lines are another matter: people look at them.
	at_terminal "$D/tty" "$PAGETAP record --engine sync -q -p $TARGET -d 0.3 -o -; echo status=\$?" </dev/null
	grep -q '^status=0' "$D/tty" || wrong "$(tail -c 300 "$D/tty")" || return
	grep -q '^{"ev":"header"' "$D/tty" || wrong 'no lines' || return
	fine
}

run_cases "$@"
