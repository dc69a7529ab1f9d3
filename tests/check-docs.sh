#!/bin/bash
# SPDX-License-Identifier: MIT
#
# check-docs: --help, manual pages and completions name the same things.
#
# --help comes from the table that parses, so it is what the program does.  Every
# command and option of it stands in its manual page and in the completions of three
# shells, and nothing stands there that it does not have; then the completions are
# asked for real candidates.
# limit: 120
set -u

cd "$(dirname "$0")/.." || exit 1
: "${PAGETAP:?the program under test}"
passed=0 failed=0

# judge WORDS COMMAND...: passes if the command complains of nothing.
judge() {
	local words=$1 found
	shift
	found=$("$@" 2>&1)
	if [ -z "$found" ]; then
		passed=$((passed + 1))
		echo "ok    $words"
	else
		failed=$((failed + 1))
		echo "FAIL  $words"
		printf '%s\n' "$found" | head -20 | sed 's/^/      /'
	fi
}

commands=$("$PAGETAP" --help | sed -n 's/^  \([a-z][a-z-]*\)   *[a-z].*/\1/p')

# options_of COMMAND: "--name" and "-x" a line, of its --help.
options_of() {
	"$PAGETAP" "$1" --help | sed -n 's/^ *\(-.*\)$/\1/p' |
		grep -oE '^-[a-zA-Z], --[a-z-]+|^--[a-z-]+' | tr -d ' ' | tr , '\n' | sort -u
}

# valued COMMAND: options that take a value.
valued() {
	"$PAGETAP" "$1" --help | sed -nE 's/^ *(-[a-zA-Z], )?(--[a-z-]+) [A-Z].*/\2/p'
}

# man_options PAGE: of its `.It Fl` lines; .Fl x , Fl -long
man_options() {
	grep '^\.It Fl' "$1" | sed 's/^\.It//' | grep -oE 'Fl -?[a-zA-Z][a-z-]*' |
		sed 's/^Fl /-/' | sort -u
}

# differ LEFT RIGHT WORDS-LEFT WORDS-RIGHT: lines that only one of two lists has.
differ() {
	comm -23 <(sort -u <<<"$1") <(sort -u <<<"$2") | sed "s|\$| $3|"
	comm -13 <(sort -u <<<"$1") <(sort -u <<<"$2") | sed "s|\$| $4|"
}

man_agrees() {
	differ "$(options_of "$1")" "$(man_options "man/pagetap-$1.1")" \
		'is not in the manual page' 'is in the manual page alone'
}

help_fits() {
	"$PAGETAP" "$1" --help | awk '
		length > 80 { print "longer than 80 columns: " $0 }
		/^Examples:/ { e = NR }
		END {
			if (NR > 40)
				print NR " lines"
			if (NR - e != 3)
				print NR - e " examples, not 3"
		}'
}

man_sections() {
	local word
	for word in 'NAME' 'SYNOPSIS' 'DESCRIPTION' 'EXIT STATUS' 'EXAMPLES' 'SEE ALSO'; do
		grep -q "^\.Sh $word\$" "man/pagetap-$1.1" || echo "no section $word"
	done
}

commands_named() {
	local c
	[ "$(wc -w <<<"$commands")" -ge 5 ] || echo "commands in --help: $commands"
	for c in $commands; do
		grep -q "^\.It Cm $c\$" man/pagetap.1 || echo "$c is not in man/pagetap.1"
		grep -q "pagetap-$c 1" man/pagetap.1 || echo "pagetap.1 does not refer to pagetap-$c(1)"
		grep -q "pagetap $c" README.md || echo "$c is not in README.md"
	done
}

examples_everywhere() {
	local page
	for page in man/*.[1-9]; do
		grep -q '^\.Sh EXAMPLES$' "$page" || echo "$page has no examples"
	done
}

# Statuses: exit.h and pagetap(1).
statuses_named() {
	local n
	sed -nE 's/^\tEXIT_[A-Z_]+ = ([0-9]+).*/\1/p' monitor/exit.h | while read -r n; do
		grep -qE "^\.It $n\$|[ (]$n( |,|\$)" man/pagetap.1 || echo "status $n is not in pagetap.1"
	done
}

judge 'every command in pagetap(1) and in the README' commands_named
judge 'every exit status in pagetap(1)' statuses_named
judge 'every manual page has examples' examples_everywhere
for c in $commands; do
	judge "$c: every option in the manual page, and no other" man_agrees "$c"
	judge "$c: --help fits a screen and ends with three examples" help_fits "$c"
	judge "$c: the manual page has its sections" man_sections "$c"
done

# ---- bash ------------------------------------------------------------------

judge 'bash reads its completion' bash -n completions/pagetap.bash
# shellcheck source=/dev/null
. completions/pagetap.bash
# Outside of a completion the real one only complains.
compopt() { :; }

# bash_complete WORD...: candidates for the last word, one a line.
bash_complete() {
	COMP_WORDS=(pagetap "$@")
	COMP_CWORD=$#
	COMPREPLY=()
	_pagetap
	printf '%s\n' "${COMPREPLY[@]}"
}

bash_options() {
	local c o
	differ "$commands" "$(bash_complete '' | grep -v '^-')" \
		'is not completed' 'is completed, and no command'
	for c in $commands; do
		differ "$(options_of "$c")" "$(bash_complete "$c" - | grep -vx -- --)" \
			"of $c is not completed" "of $c is completed, and no option"
		for o in $(valued "$c"); do
			case $o in
			--address | --duration | --interval | --count | --max-size | --epoch | --budget | --rearm | --ring | --max-processes | --watchdog | --threads | --status-fd | --port | --max-clients | --top | --since | --until) ;;
			*) [ -n "$(bash_complete "$c" "$o" '')" ] || echo "$c $o has no candidates" ;;
			esac
		done
	done
}

# What is offered is taken: the first complaint is that nothing is named to work on.
bash_values() {
	local c o v
	for c in $commands; do
		for o in $(valued "$c" | grep -xE -- '--(engine|mode|by|to|cold|on-death)'); do
			for v in $(bash_complete "$c" "$o" ''); do
				timeout 5 "$PAGETAP" "$c" "$o" "$v" 2>&1 </dev/null | grep -F "option $o"
			done
		done
	done
}

# offered WORD BEGINNING WORD...: among the candidates; with its name, if it is not the only one.
offered() {
	local word=$1 seen
	shift
	seen=$(bash_complete "$@")
	[ "$seen" = "$word" ] || { [[ $seen == *$'\n'* ]] && grep -qxF "$word (sleep)" <<<"$seen"; } ||
		echo "no $word for $*: $(head -n 3 <<<"$seen")"
}

# Numbers that begin like these are others'.
bash_pids() {
	local pid=$1
	offered "$pid" record -p "$pid"
	offered "$pid" record -p "${pid%?}"
	offered "1,$pid" record -p "1,$pid"
	offered "$pid" map --pid = "$pid"
	# kthreadd
	if bash_complete record -p 2 | grep -qE '^2( |$)'; then echo 'a kernel thread'; fi
}

# is_sleep PID: the shell that was forked has become another program.
is_sleep() {
	local i
	for ((i = 0; i < 1000; i++)); do
		[ "$(cat "/proc/$1/comm" 2>&1)" != sleep ] || return
		sleep 0.02
	done
	echo "$1 is $(cat "/proc/$1/comm" 2>&1)"
}

judge 'bash: every command, option and value' bash_options
judge 'bash: the values that are offered are taken' bash_values
sleep 60 &
pid=$!
judge 'a process to be completed' is_sleep "$pid"
judge 'bash: -p completes live processes with their names' bash_pids "$pid"

# ---- zsh and fish ----------------------------------------------------------
# Their words for options: as each shell writes them.

zsh_options() {
	awk -v c="$1" '
		/^\tcommon=\(/ { common = 1 }
		common { print }
		/^\t\)/ { common = 0 }
		$0 ~ "^\t\t" c "\\)$" { inside = 1; next }
		inside { print }
		/;;/ { inside = 0 }' completions/_pagetap |
		grep -v "^[^-]*'\*:" | sed "s/_arguments -s -S//; s/\[.*//; s/([^)]*)//" |
		grep -oE -- '--?[a-zA-Z][a-z-]*' | sort -u
}

fish_options() {
	grep -E "^complete -c pagetap (-n \\\$(${1//-/_}|any) |-s h )" completions/pagetap.fish |
		grep -oE -- ' -[sl] [a-zA-Z-]+' | sed 's/ -s /-/; s/ -l /--/' | sort -u
}

others() {
	local c
	for c in $commands; do
		differ "$(options_of "$c")" "$("$1_options" "$c")" "of $c is not completed" \
			"of $c is completed, and no option"
	done
}

judge 'zsh: every option, and no other' others zsh
judge 'fish: every option, and no other' others fish
judge 'zsh reads its completion' zsh -n completions/_pagetap
judge 'fish reads its completion' fish --no-execute completions/pagetap.fish

# fish can be asked without a terminal.
ask_fish() {
	HOME=${TMPDIR:-/tmp} fish --no-config -c \
		"source completions/pagetap.fish; complete -C '$1'" 2>&1
}

fish_candidates() {
	local c
	for c in $commands; do
		ask_fish 'pagetap ' | grep -q "^$c" || echo "does not complete $c"
	done
	ask_fish 'pagetap record --r' | grep -q '^--rearm' || echo 'does not complete --rearm'
	if ask_fish 'pagetap check --m' | grep -q '^--mode'; then echo '--mode is not of check'; fi
	ask_fish "pagetap record -p $1" | grep -qP "^$1\tsleep" || echo "does not complete -p $1"
	ask_fish "pagetap record -p 1,$1" | grep -qP "^1,$1\t" || echo "does not complete -p 1,$1"
}

# zsh only completes at a terminal, so it gets one.
zsh_candidates() {
	local seen
	seen=$(python3 tests/ask-zsh.py completions "pagetap record -p ${1%?}" "$1" 2>&1)
	case $seen in *"$1"*) ;; *) echo "does not complete -p $1: $seen" ;; esac
	seen=$(python3 tests/ask-zsh.py completions "pagetap record --re" --rearm 2>&1)
	case $seen in *--rearm*) ;; *) echo "does not complete --rearm: $seen" ;; esac
}

judge 'fish completes commands, options and processes' fish_candidates "$pid"
judge 'zsh completes options and processes' zsh_candidates "$pid"
kill "$pid"
wait "$pid" 2>/dev/null

# ---- words in the documents ------------------------------------------------

records_exist() {
	local ev
	grep -ohE '\.ev ?== ?\\?"[a-z]+' ./*.md man/*.1 man/*.[57] | grep -oE '[a-z]+$' | sort -u |
		while read -r ev; do
			grep -q "\"$ev\"" include/pagetap/trace.h || echo "no record $ev"
		done
}

# What the documents say to type is a command with options that exist.
typed_exists() {
	local line words c o
	grep -ohE '^(\.Dl )?(\\?\$ )?(sudo )?(\./)?pagetap [a-z-]+( [^|#]*)?' ./*.md man/*.[157] |
		while read -r line; do
			words=${line#*pagetap }
			words=${words//\\-/-}
			c=${words%% *}
			for o in $(grep -oE -- '(^| )--?[a-z][a-z-]*' <<<"${words%% -- *}" | tr -d ' '); do
				options_of "$c" | grep -qx -- "$o" || echo "no option $o: $line"
			done
		done
}

judge 'records named in the documents exist' records_exist
judge 'commands and options in the documents exist' typed_exists

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
