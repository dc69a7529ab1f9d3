#!/bin/bash
# SPDX-License-Identifier: MIT
#
# trace: lines for people, live - what they say, and whom they hold up: nobody.
# limit: 120
. "$(dirname "$0")/lib.sh"

load() { start_target "$D/target.out" "$T/writer" -T 60 -c "$D/count"; }
fine() { untouched "$TARGET" && runs_on "$D/count" && target_ends "$TARGET" "$D/target.out"; }

# trace OUT OPTIONS...: in the background; TRACER.
trace() {
	local out=$1
	shift
	"$PAGETAP" trace "$@" >"$out" 2>"$D/trace.err" </dev/null &
	TRACER=$!
	started "$TRACER"
}
attached_to() { grep -q '^pagetap: attached' "$D/trace.err"; }

case_lines_of_faults() {
	load || return
	trace "$D/lines" -p "$TARGET" --engine sync --rearm 20 -m heap -n 40
	end_of "$TRACER" 20 || return
	[ "$STATUS" = 0 ] || wrong "status $STATUS" || return
	[ "$(wc -l <"$D/lines")" = 40 ] || wrong "$(wc -l <"$D/lines") lines, not 40" || return
	local other
	other=$(grep -vE '^ +[0-9]+\.[0-9]{6} writer/[0-9]+ +(attach  /.*|write   (\[heap\]\+0x[0-9a-f]+|anon 0x[0-9a-f]+)  [0-9.]+ (ns|us|ms)|(gap|remap|map|unmap|remove|error) .*)$' "$D/lines")
	[ -z "$other" ] || wrong "$(head -n 3 <<<"$other")" || return
	[ "$(grep -c ' write   \[heap\]+0x' "$D/lines")" -gt 0 ] || wrong 'no write to the heap' || return
	grep -q "detached from $TARGET (writer), which runs on" "$D/trace.err" || wrong "$(tail -n 1 "$D/trace.err")" || return
	fine
}

# Five threads write 64 pages each in each of three rounds, each by a function of its own.
case_who_wrote() {
	local pen n
	mkfifo "$D/gate"
	# For root it lies where only its user may enter.
	mkdir -m 700 "$D/home"
	cp "$T/penmen" "$D/home/penmen" || return
	[ "$(id -u)" != 0 ] || chown nobody "$D/home" || return
	"$D/home/penmen" rounds 3 200 <"$D/gate" >"$D/says.out" 2>&1 &
	TARGET=$!
	started "$TARGET"
	exec 9>"$D/gate"
	within 10 grep -q '^ready' "$D/says.out" || wrong "the target is not ready" || return
	trace "$D/lines" -p "$TARGET" --epoch 100 -C
	within 10 attached_to || wrong "$(cat "$D/trace.err")" || return
	sleep 0.3
	echo >&9
	exec 9>&-
	end_of "$TARGET" 20 || return
	end_of "$TRACER" 20 || return
	if grep -q ' error   perf: ' "$D/lines"; then
		skip no-perf 'perf events are not permitted'
		return
	fi
	# And a page of the program itself, in which they all leave a mark.
	for pen in plain copy shared stray; do
		n=$(grep -cE " write   (anon 0x|memfd:penmen \(deleted\)\+0x).* at pen_$pen.* \(penmen\)$" "$D/lines")
		[ "$n" -ge 192 ] && [ "$n" -le 195 ] || wrong "$n lines of pen_$pen, not 192" || return
	done
	# The kernel's writes: by the call.
	[ "$(grep -c ' write   .* at .*read.* (libc' "$D/lines")" -ge 192 ] ||
		wrong 'read(2) is not named' || return
	# The table of threads: who wrote those, five in each round.
	n=$(sed -n '/ thread$/,$p' "$D/lines" |
		awk '$2 >= 64 && $2 <= 80 && $NF ~ /^(plain|copy|call|shared|stray)\//' | wc -l)
	[ "$n" = 15 ] || wrong "$n threads: $(tail -n 3 "$D/lines")"
}

case_census_alone() {
	load || return
	trace "$D/lines" -p "$TARGET" --engine async --no-who --epoch 100 -d 0.5 -t
	end_of "$TRACER" 20 || return
	[ "$STATUS" = 0 ] || wrong "status $STATUS" || return
	grep -qE '^[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6} writer/[0-9]+ +dirty   .*  within [0-9.]+ ' "$D/lines" ||
		wrong "$(tail -n 2 "$D/lines")" || return
	! grep -q ' write ' "$D/lines" || wrong 'writers although --no-who' || return
	fine
}

case_only_tables() {
	load || return
	trace "$D/lines" -p "$TARGET" --engine sync --rearm 50 -d 0.6 -c
	end_of "$TRACER" 20 || return
	[ "$(grep -c '^% pages ' "$D/lines")" = 3 ] || wrong "$(head -n 3 "$D/lines")" || return
	! grep -q '^ *[0-9]*\.[0-9]\{6\} ' "$D/lines" || wrong 'lines' || return
	# Shares add up, and threads have as many pages as mappings.
	awk '/^%/ { t++ } /^ *[0-9]+\.[0-9]/ { share[t] += $1; pages[t] += $2 }
		END { for (i = 1; i <= 3; i++) if (share[i] < 99.9 || share[i] > 100.1) exit 1
			exit !(pages[1] == pages[2] && pages[2] == pages[3] && pages[1] > 100) }' "$D/lines" ||
		wrong "$(cat "$D/lines")" || return
	fine
}

# What nobody reads is dropped and told; the target does not wait for it.
case_slow_reader() {
	load || return
	mkfifo "$D/pipe"
	"$PAGETAP" trace -p "$TARGET" --engine sync --rearm 10 --ring 64 -d 1.5 >"$D/pipe" 2>"$D/trace.err" </dev/null &
	TRACER=$!
	started "$TRACER"
	exec 8<"$D/pipe"
	within 10 attached_to || return
	sleep 0.7
	runs_on "$D/count" || return
	cat <&8 >"$D/lines"
	exec 8<&-
	end_of "$TRACER" 20 || return
	[ "$STATUS" = 0 ] || wrong "status $STATUS" || return
	grep -qE '^ +[0-9.]+ - +lost    [0-9]+ records?  \(ring\)$' "$D/lines" || wrong "$(tail -n 2 "$D/lines")" || return
	grep -q 'records lost (ring full)' "$D/trace.err" || wrong "$(cat "$D/trace.err")" || return
	fine
}

case_closed_pipe() {
	load || return
	"$PAGETAP" trace -p "$TARGET" --engine sync --rearm 20 2>"$D/trace.err" </dev/null | head -n 3 >"$D/lines"
	[ "${PIPESTATUS[0]}" = 141 ] || wrong "status ${PIPESTATUS[0]}" || return
	[ "$(wc -l <"$D/lines")" = 3 ] || return
	fine
}

case_full_disk() {
	load || return
	"$PAGETAP" trace -p "$TARGET" --engine sync --rearm 20 >/dev/full 2>"$D/trace.err" </dev/null
	[ $? = 1 ] || wrong 'the status' || return
	grep -q 'no space left on device' "$D/trace.err" || wrong "$(cat "$D/trace.err")" || return
	fine
}

case_command() {
	# shellcheck disable=SC2016 # the dollar sign is for that shell
	"$PAGETAP" trace -o "$D/lines" -f -- sh -c 'sleep 0.3; exit 7' 2>"$D/trace.err"
	[ $? = 7 ] || wrong 'not the status of the command' || return
	grep -q ' attach  /' "$D/lines" && grep -q ' fork    [0-9]' "$D/lines" &&
		grep -q ' exit    status 7$' "$D/lines" && grep -qE ' exit(    status 0)?$' "$D/lines" ||
		wrong "$(grep -E ' (attach|fork|exit) ' "$D/lines")"
}

# A name that would clear the screen does not.
case_hostile_name() {
	# shellcheck disable=SC2016 # the dollar signs are for that shell
	bash -c 'printf "\033[2J\233m\a<b>" >"/proc/$$/comm"; echo ready
		while :; do a+=$RANDOM; [ ${#a} -lt 99999 ] || a=; done' >"$D/target.out" &
	TARGET=$!
	started "$TARGET"
	within 10 grep -q ready "$D/target.out" || return
	trace "$D/lines" -p "$TARGET" --engine sync --rearm 50 -n 20 --color never -C
	end_of "$TRACER" 20 || return
	[ "$STATUS" = 0 ] || wrong "status $STATUS" || return
	grep -qF '\033[2J\233m\007<b>/' "$D/lines" || wrong "$(head -n 1 "$D/lines")" || return
	! LC_ALL=C grep -qP '[\x00-\x09\x0b-\x1f\x7f-\xff]' "$D/lines" "$D/trace.err" ||
		wrong 'a control character'
}

# Who makes the lines may do little.
case_thread_has_hardly_a_right() {
	load || return
	trace "$D/lines" -v -p "$TARGET" --engine sync --rearm 50
	within 10 grep -qE 'privileges given up|no seccomp filter' "$D/trace.err" || return
	local t n=0
	for t in "/proc/$TRACER"/task/*; do
		[ "$(cat "$t/comm")" = pagetap-writer ] || continue
		n=$((n + 1))
		# To read files wherever they lie, if root does it; and nothing else.
		grep -qE '^CapEff:	0+4?$' "$t/status" || wrong "$(grep CapEff "$t/status")" || return
		# Instrumented builds have none, and say so.
		grep -q '^Seccomp:	2$' "$t/status" || grep -q 'no seccomp filter' "$D/trace.err" ||
			wrong "$(grep Seccomp "$t/status")" || return
	done
	[ "$n" = 1 ] || wrong "$n writers" || return
	stop_record "$TRACER" || return
	fine
}

needs_async
run_cases "$@"
