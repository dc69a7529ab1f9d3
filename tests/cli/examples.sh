#!/bin/bash
# SPDX-License-Identifier: MIT
#
# examples: what the manual pages and README tell people to type is typed.
#
# Each command of their EXAMPLES has its lines in examples.txt: what it shows, or why it
# cannot be run here.  It runs in a folder of its own with the traces and the checkpoint
# that it speaks of; process 4242 is a small one of ours.
# limit: 150
# shellcheck source=tests/live/lib.sh
. "${SRC:?}/tests/live/lib.sh"
export DAEMON=pagetap
export PATIENCE=30
# shellcheck source=tests/restore/rig.sh
. "$SRC/tests/restore/rig.sh"

TABLE=$SRC/tests/cli/examples.txt
SAMPLES=$SRC/tests/data/trace

# examples: every one once, with PID for the process.
examples() {
	python3 "$SRC/tests/cli/examples.py" "$SRC"/man/*.[1357] "$SRC/README.md" |
		cut -f 2 | sed -E 's/\b4242\b|\$\(pidof [a-z-]+\)/PID/g' | LC_ALL=C sort -u
}
# The table, by the command.
declare -A TOLD
while IFS= read -r line; do
	case $line in
	'' | '#'*) ;;
	'	'*) TOLD[$command]+=${line#?}$'\n' ;;
	*) command=$line ;;
	esac
done <"$TABLE"
# told COMMAND [WORD]: its lines in the table, or what follows this word in them.
told() {
	local line
	while IFS= read -r line; do
		[ -n "$line" ] || continue
		[ $# -gt 1 ] || echo "$line"
		[[ $# -lt 2 || $line != "$2 "* ]] || echo "${line#"$2 "}"
	done <<<"${TOLD[$1]:-}"
}
asks() { told "$1" | grep -qx "$2"; }

case_each_has_its_lines() {
	examples >"$D/typed"
	[ "$(wc -l <"$D/typed")" -gt 40 ] || wrong "only $(wc -l <"$D/typed") examples found" || return
	grep -v '^#\|^	\|^$' "$TABLE" | LC_ALL=C sort >"$D/told"
	[ -z "$(uniq -d "$D/told")" ] || wrong "twice: $(uniq -d "$D/told")" || return
	LC_ALL=C diff "$D/typed" "$D/told" >"$D/diff.out" ||
		wrong "documents (<) and examples.txt (>): $(grep '^[<>]' "$D/diff.out")" || return
	while read -r command; do
		told "$command" | grep -qE '^(shows|file|not-run) .' || wrong "nothing is expected of: $command" || return
		! told "$command" | grep -vE '^(shows|not-run|given|then|status|file) .|^(ctrl-c|terminal)$' ||
			wrong "what is that, of: $command" || return
	done <"$D/typed"
}

# kind COMMAND: which of the cases below runs it.
kind() {
	case $1 in
	*' restore '* | *lazy-pages* | *page-server*) echo restores ;;
	*PID* | *' demo'* | *' -- make'* | *'pagetap check'*) echo live ;;
	*) echo reading ;;
	esac
}
# all_of KIND: types those that can be.
all_of() {
	local command bad=0
	while read -r command <&9; do
		[ "$(kind "$command")" = "$1" ] || continue
		[ -z "$(told "$command" not-run)" ] || continue
		"type_$1" "$command" || bad=1
	done 9< <(examples)
	return $bad
}

# furnish COMMAND: HERE is a folder with all that the examples name, and what this one needs.
furnish() {
	local given
	HERE=$(mktemp -d "$D/here.XXXX")
	cp "$SAMPLES"/*.ndjson "$HERE"
	cp "$SAMPLES/who.ndjson" "$HERE/t.ndjson"
	cp "$SAMPLES/async.ndjson" "$HERE/before.ndjson"
	cp "$SAMPLES/who.ndjson" "$HERE/after.ndjson"
	# Of some seconds, by one that was killed.
	jq -c 'if .ts then .ts *= 4000 else . end | if .ts0 then .ts0 *= 4000 else . end | select(.ev != "detach")' \
		"$SAMPLES/async.ndjson" | zstd -q >"$HERE/t.ndjson.zst"
	# shellcheck disable=SC2016
	printf 'all: a b\na b:\n\techo $@ | cat >$@.out\n' >"$HERE/Makefile"
	mkdir "$HERE/run"
	[ -n "${BIN:-}" ] || programs
	given=$(told "$1" given)
	[ -z "$given" ] || (cd "$HERE" && eval "$given") || wrong "given: $given"
}
# programs: in BIN, what the examples call.
programs() {
	BIN=$W/bin
	mkdir "$BIN"
	# Who it is, for Ctrl-C.
	printf '#!/bin/sh\necho $$ >>"$PIDS_OF_PAGETAP"\nexec "%s" "$@"\n' "$PAGETAP" >"$BIN/pagetap"
	printf '#!/bin/sh\n[ "$1" != -E ] || shift\nexec "$@"\n' >"$BIN/sudo"
	printf '#!/bin/sh\nexec "%s" "$@"\n' "$CRIU" >"$BIN/criu"
	# In the place of the one that draws: "a;b;c 12" is all that it reads.
	printf '#!/bin/sh\ngrep -vE "^[^;]+(;[^;]+)* [0-9]+$" && exit 1\necho "<svg/>"\n' >"$BIN/flamegraph.pl"
	chmod 755 "$BIN"/*
}

# line_of COMMAND: as it is typed here.
line_of() {
	local line=$1 after
	after=$(told "$1" "then")
	line="${line// & / & sleep 0.5; }${after:+; $after}"
	sed -E "s/\bPID\b/${TARGET:-PID}/g; s|/run/restore|$HERE/run|g; s/\b2727\b/$PORT/g" <<<"$line"
}

# typed COMMAND: what it says is in HERE/said; TYPED is its process, whose status is that of
# the first in a pipe.
typed() {
	local line
	line=$(line_of "$1")
	! asks "$1" terminal || line="TERM=xterm SHELL=/bin/sh script -qefc ${line@Q} /dev/null"
	export PIDS_OF_PAGETAP=$HERE/pids
	: >"$PIDS_OF_PAGETAP"
	(cd "$HERE" && PATH=$BIN:$PATH exec timeout 60 bash -c "$line"$'\nexit ${PIPESTATUS[0]}') \
		>"$HERE/said" 2>&1 </dev/null &
	started $!
	TYPED=$!
}
# as_told COMMAND STATUS: what it should, and its files.
as_told() {
	local command=$1 pattern file
	status=$(told "$1" status)
	[ "$2" = "${status:-0}" ] || wrong "status $2 of: $command: $(tail -n 3 "$HERE/said")" || return
	while read -r pattern <&8; do
		tr -d '\r' <"$HERE/said" | grep -qE -- "$pattern" || wrong "no '$pattern' of: $command: $(head -n 5 "$HERE/said")" || return
	done 8< <(told "$1" shows)
	for file in $(told "$1" file); do
		sound "$HERE"/$file || wrong "$file of: $command" || return
	done
}
# sound FILE: what its name says.
sound() {
	[ -s "$1" ] || wrong "$1 is empty" || return
	case $1 in
	*.ndjson | *.zst) "$PAGETAP" validate -q "$1" ;;
	*.json) jq -e . "$1" >/dev/null ;;
	*.html) grep -q '</html>' "$1" ;;
	esac
}

type_reading() {
	furnish "$1" && typed "$1" || return
	end_of "$TYPED" 30 && as_told "$1" "$STATUS"
}

type_live() {
	local worked
	furnish "$1" || return
	start_target "$HERE/target.out" nice "$T/writer" -t 1 -T 60 || return
	typed "$1" || return
	if asks "$1" ctrl-c; then
		wait_attached "$TARGET" || return
		worked=$(($(ticks "$TARGET") + 10))
		within 20 has_worked "$TARGET" "$worked" || wrong "the target stands still: $1" || return
		xargs kill -INT <"$PIDS_OF_PAGETAP"
	fi
	end_of "$TYPED" 30 && as_told "$1" "$STATUS" || return
	# Whatever it was, the process has not noticed.
	untouched "$TARGET" && target_ends "$TARGET" "$HERE/target.out"
}

# In a namespace, where the process numbers of the checkpoint are free.
type_restores() {
	local line
	checkpoint plain 16 || return
	furnish "$1" && new_run || return
	ln -s "$CHECKPOINT/images" "$HERE/checkpoint"
	ln -s "$CHECKPOINT/images" "$HERE/images"
	ln -s "$CHECKPOINT/images" "$HERE/copy"
	"$KNOWN" "$RUN/seat/control" tell check
	line=$(line_of "$1")
	export PIDS_OF_PAGETAP=$HERE/pids
	# The last command is no exec of this bash: criu would wait for what runs beside it.
	(cd "$HERE" && PATH=$BIN:$PATH inside command "$CHECKPOINT" "$RUN" bash -c \
		"$line"$'\nexit ${PIPESTATUS[0]}') \
		>"$HERE/said" 2>&1 </dev/null &
	RESTORE_PID=$!
	started "$RESTORE_PID"
	# Every page was right; then the processes end, and who waits for them.
	all_right && next_word exit || wrong "of: $1: $(tail -n 3 "$HERE/said")" || return
	within 20 test -e "$RUN/status" || wrong "it does not end: $1" || return
	as_told "$1" "$(cat "$RUN/status")" && end_run
}

# The one in C, as it stands there between other lines.
case_library() {
	local manual
	{
		printf '#include <err.h>\n#include <stdio.h>\n#include <stdlib.h>\n#include <unistd.h>\n'
		printf '#include "pagetap/inject.h"\nint main(int argc, char **argv)\n{\n'
		printf 'pid_t pid = argc > 1 ? atoi(argv[1]) : 0;\n'
		manual=$(sed -n '/^\.Sh EXAMPLES/,/^\.Sh SEE/p' "$SRC/man/libpagetap.3" |
			sed '1,/^\.Bd/d; /^\.Ed/,$d; s/^\\&\.\.\./printf("%d\\n", loan.uffd);/')
		printf '%s\nreturn 0;\n}\n' "$manual"
	} >"$D/example.c"
	${CC:-cc} -Wall -Werror -I"$SRC/include" -o "$D/example" "$D/example.c" "$O/libpagetap.a" -pthread \
		${SAN:+-fsanitize="$SAN"} >"$D/cc.out" 2>&1 || wrong "it does not compile: $(head -n 3 "$D/cc.out")" || return
	start_target "$D/target.out" "$T/writer" -t 2 -T 60 || return
	timeout 20 "$D/example" "$TARGET" >"$D/example.out" 2>&1 || wrong "status $?: $(cat "$D/example.out")" || return
	grep -qE '^[0-9]+$' "$D/example.out" || wrong "no descriptor: $(cat "$D/example.out")" || return
	untouched "$TARGET" && target_ends "$TARGET" "$D/target.out" || return
	timeout 20 "$D/example" 999999999 >"$D/example.out" 2>&1
	[ $? = 4 ] && grep -q 'no such process' "$D/example.out" || wrong "of nobody: $(cat "$D/example.out")"
}

case_reading() { all_of reading; }
case_live() { all_of live; }
case_restores() {
	[ -x "$CRIU" ] || skip no-criu 'make deps puts one into $(O)/criu' || return
	all_of restores
}

run_cases "$@"
