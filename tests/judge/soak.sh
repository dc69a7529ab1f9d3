#!/bin/bash
# SPDX-License-Identifier: MIT
#
# soak: one monitor, targets with ever new seeds under it, for as long as one likes.
#
#	O=build bash tests/judge/soak.sh SECONDS [--target PROGRAM] [--threads N] [--ops N]
#		[--rearm MS] [--every SECONDS] [--csv FILE] [--keep DIR] [-- TARGET-OPTION...]
#
# The trace goes through a pipe and is cut into one slice a target, judged and removed,
# so the disk holds some slices at most.  The monitor's memory and descriptors are
# sampled into a CSV; it ends with their slopes and a verdict: status 0 if no slice
# had an error, and neither grew.  Slices that had stay in DIR.
set -u

: "${O:=build}"
PAGETAP=${PAGETAP:-$O/pagetap}
B=$O/tests/judge
duration=${1:?seconds}
shift
target=$B/small threads=4 ops=20000 rearm=10 every=10 csv=soak.csv keep=
while [ $# -gt 0 ]; do
	case $1 in
	--target) target=$2 ;;
	--threads) threads=$2 ;;
	--ops) ops=$2 ;;
	--rearm) rearm=$2 ;;
	--every) every=$2 ;;
	--csv) csv=$2 ;;
	--keep) keep=$2 ;;
	--) shift; break ;;
	*) echo "soak: what is $1?" >&2; exit 2 ;;
	esac
	shift 2
done

work=$(mktemp -d "${TMPDIR:-/tmp}/soak.XXXXXX") || exit 2
monitor='' slicer=''
stop() {
	# The monitor lets its targets go; they end by themselves.
	[ -z "$monitor" ] || kill -TERM "$monitor" 2>/dev/null
	[ -z "$monitor" ] || wait "$monitor" 2>/dev/null
	[ -z "$slicer" ] || kill "$slicer" 2>/dev/null
	rm -rf "$work"
}
trap stop EXIT
trap 'exit 130' INT TERM
mkfifo "$work/pipe"
mkdir "$work/runs"

"$B/slice" "$work/runs" <"$work/pipe" &
slicer=$!
"$PAGETAP" record --engine sync -q -f --rearm "$rearm" --ring 500000 -o - -- \
	"$B/driver" "$duration" 1 "$work/runs" 4 "$target" --threads "$threads" --ops "$ops" "$@" \
	>"$work/pipe" 2>"$work/monitor.err" </dev/null &
monitor=$!

# family PID: it and the processes of the same program below it.
family() {
	local p child
	echo "$1"
	for p in "/proc/$1/task"/*/children; do
		# shellcheck disable=SC2013
		for child in $(cat "$p" 2>/dev/null); do
			[ "/proc/$child/exe" -ef "/proc/$1/exe" ] && family "$child"
		done
	done
}

sample() {
	local p rss=0 fds=0 n
	for p in $(family "$monitor"); do
		n=$(awk '/^VmRSS/ { print $2 }' "/proc/$p/status" 2>/dev/null)
		rss=$((rss + ${n:-0}))
		n=$(find "/proc/$p/fd" -mindepth 1 2>/dev/null | wc -l)
		fds=$((fds + n))
	done
	[ "$rss" = 0 ] || echo "$((SECONDS - begin)),$rss,$fds,$judged" >>"$csv"
}

judge_next() {
	local d=$work/runs/$judged
	[ -e "$d/trace" ] || return 1
	if "$B/judge" --json "$d/trace" "$d" >"$work/verdict" 2>"$work/judge.err"; then
		cat "$work/verdict" >>"$work/all"
	else
		bad=$((bad + 1))
		cat "$work/verdict" >>"$work/all"
		echo "run $judged:"
		"$B/judge" "$d/trace" "$d" 2>&1 | cut -c 1-240 | head -n 40
		[ -z "$keep" ] || cp -r "$d" "$keep"
	fi
	rm -rf "$d"
	judged=$((judged + 1))
}

begin=$SECONDS judged=0 bad=0 next=$every
: >"$work/all"
echo 'seconds,rss_kb,fds,runs' >"$csv"
while kill -0 "$monitor" 2>/dev/null; do
	judge_next || sleep 0.2
	[ $((SECONDS - begin)) -lt "$next" ] || { sample; next=$((next + every)); }
	[ $((SECONDS - begin)) -lt $((duration + 300)) ] || { echo "the monitor does not end"; bad=$((bad + 1)); break; }
done
wait "$monitor"
status=$?
monitor=
wait "$slicer"
slicer=
while judge_next; do :; done

[ "$status" = 0 ] || { echo "record ended with $status: $(tail -n 2 "$work/monitor.err")"; bad=$((bad + 1)); }
read -r _ failed <"$work/runs/runs" || failed=unknown
jq -rs --arg failed "$failed" --arg bad "$bad" '
	def sum(k): map(.[k] // 0) | add;
	"\(length) runs, \(sum("checked")) page writes checked, \(sum("covered")) covered, \(sum("found")) found, " +
	"lost \(sum("lost") + sum("late_arm")), undeclared \(sum("undeclared")), phantom \(sum("phantom")), " +
	"wrong thread \(sum("wrong_thread")), layout missing \(sum("layout_missing")), " +
	"ambiguous \(sum("ambiguous")); \($failed) targets and \($bad) judgements failed"' "$work/all"

# Descriptors of what has gone are closed in batches, so their number goes up and down: the
# greatest of the last third is held against that of the second, given enough samples.
# The slopes are those of the same two thirds.
awk -F, -v bad="$bad" -v failed="$failed" '
NR > 1 { t[n] = $1; rss[n] = $2; fd[n] = $3; n++ }
function slope(v,   i, st, sv, stt, stv, k) {
	for (i = int(n / 3); i < n; i++) {
		k++; st += t[i]; sv += v[i]; stt += t[i] * t[i]; stv += t[i] * v[i]
	}
	return k * stt == st * st ? 0 : (k * stv - st * sv) / (k * stt - st * st)
}
function most(v, from, to,   i, m) {
	for (i = int(from); i < to; i++)
		if (v[i] > m) m = v[i]
	return m
}
function growth(v) { return most(v, n * 2 / 3, n) - most(v, n / 3, n * 2 / 3) }
END {
	if (n < 30) { print n + 0, "samples: too few to see growth"; exit bad > 0 || failed != "0" }
	printf "memory %d KiB at most, slope %.1f KiB/h; descriptors %d at most, slope %.2f/h\n", \
		most(rss, 0, n), slope(rss) * 3600, most(fd, 0, n), slope(fd) * 3600
	flat = growth(rss) < 2048 && growth(fd) < 64
	good = flat && !bad && failed == "0"
	print (flat ? "flat" : "it grows") ": " (good ? "passed" : "failed")
	exit !good
}' "$csv"
