# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034
#
# lib-load: real programs under load, watched and let go while they work.  To be
# sourced after lib.sh.
#
# The programs of tests/programs/ compare what they compute with what they computed
# before anybody watched; they rewrite a counter (see counter in lib.sh) and end when
# a file appears.  The name of the case's folder, $D, is where all that lies.

P=$SRC/tests/programs

# as USER COMMAND...: with its own ids alone; the pid is that of the command.
as() {
	local user=$1
	shift
	exec setpriv --reuid="$(id -u "$user")" --regid="$(id -g "$user")" --clear-groups \
		--inh-caps=-all "$@"
}

# rate FILE SECONDS: how much of its work a program does a second; in $RATE.
rate() {
	local n t0 t1
	n=$(counter "$1")
	t0=${EPOCHREALTIME/./}
	sleep "$2"
	t1=${EPOCHREALTIME/./}
	RATE=$((($(counter "$1") - n) * 1000000 / (t1 - t0)))
}

# share PART WHOLE: a percentage, for people.
share() { [ "$2" -gt 0 ] && echo "$(($1 * 100 / $2)) %" || echo "-"; }

faults() { grep -c '^{"ev":"fault"' "$1"; }

# honest TRACE WANTED [--allow-cut]: it validates, tells of that many faults at least, and
# of no error but programs that had ended before they could be attached to (ESRCH; EACCES
# where nobody could tell any more from whom they came), and those whose errno $ALLOWED
# matches.
honest() {
	valid "$1" "${@:3}" || return
	[ "$(faults "$1")" -ge "$2" ] || wrong "$(basename "$1"): only $(faults "$1") faults" || return
	! grep '^{"ev":"error"' "$1" |
		grep -vE "\"what\":\"(follow|perf)\",\"errno\":(3|13${ALLOWED:+|$ALLOWED})," >"$D/errors.out" ||
		wrong "$(basename "$1"): errors: $(head -n 2 "$D/errors.out")"
}

# watched_twice PID COUNTER [OPTIONS...]: watched while it works, the monitor killed in
# the middle, and watched again.
watched_twice() {
	local p=$1 counter=$2 alone first second
	shift 2
	record "$D/record.err" -p "$p" -f -o "$D/1.ndjson" "$@"
	wait_attached "$p" || return
	rate "$counter" 2
	first=$RATE
	[ "$first" -gt 0 ] || wrong "it stands still" || return
	kill -KILL "$RECORDER"
	end_of "$RECORDER" 5 || return
	untouched "$p" || return
	runs_on "$counter" || wrong "after the monitor was killed" || return

	record "$D/record.err" -p "$p" -f -o "$D/2.ndjson" "$@"
	wait_attached "$p" || return
	rate "$counter" 2
	second=$RATE
	[ "$second" -gt 0 ] || wrong "it stands still" || return
	stop_record "$RECORDER" || return
	untouched "$p" || return
	# Measured last: a compiler within the program had its time then.
	rate "$counter" 1
	alone=$RATE
	[ "$alone" -gt 0 ] || wrong "it stands still after the detach" || return
	honest "$D/1.ndjson" 50 --allow-cut && honest "$D/2.ndjson" 50 || return
	grep -q '^{"ev":"detach"' "$D/2.ndjson" || wrong "no detach in the second trace" || return
	say "$alone/s alone, watched $(share "$first" "$alone") and $(share "$second" "$alone") of that;" \
		"$(faults "$D/1.ndjson") and $(faults "$D/2.ndjson") faults"
}

# checks_itself PID OUT STOP: it ends when it is told to, with status 0 and `ok`.
checks_itself() {
	touch "$3"
	end_of "$1" 60 || return
	[ "$STATUS" = 0 ] || wrong "it ended with status $STATUS: $(tail -n 3 "$2")" || return
	tail -n 1 "$2" | grep -q '^ok ' || wrong "it says: $(tail -n 3 "$2")" || return
	[ "$(wc -l <"$2")" = 2 ] || wrong "it said more than it should: $(head -n 5 "$2")"
}

# A part of the first anonymous mapping of 1 MiB and more, for -a.
some_addresses() {
	local at rest lo hi
	while read -r at rest; do
		lo=$((16#${at%-*})) hi=$((16#${at#*-}))
		[[ $rest == "rw-"* ]] && [ $((hi - lo)) -ge 1048576 ] || continue
		printf '%x-%x' $((lo + 262144)) $((lo + 524288))
		return
	done <"/proc/$1/maps"
	return 1
}

# attached_often PID COUNTER: ATTACHES times, each way to watch in turn, for a moment.
attached_often() {
	local p=$1 i n=0 sum=0 options
	local -a ways=("" "-f" "--rearm 50" "-m heap" "-a $(some_addresses "$p")" "--mode missing"
		"--mode write,missing" "--mode write,missing --rearm 50 -f" "-e wp -m anon")
	for ((i = 0; i < ${ATTACHES:-9}; i++)); do
		options=${ways[i % ${#ways[@]}]}
		# shellcheck disable=SC2086
		timeout 30 "$PAGETAP" record --engine sync -p "$p" -o "$D/often.ndjson" -d 0.15 $options \
			>"$D/often.err.out" 2>"$D/often.err" </dev/null ||
			wrong "attach $i, with $options: status $?" || return
		runs_on "$2" || wrong "after attach $i, with $options" || return
		untouched "$p" || wrong "after attach $i, with $options" || return
		honest "$D/often.ndjson" 0 || wrong "attach $i, with $options" || return
		n=$(faults "$D/often.ndjson")
		sum=$((sum + n))
	done
	say "$i attaches, $sum faults"
	[ "$sum" -gt 100 ] || wrong "hardly a fault in all of them"
}
