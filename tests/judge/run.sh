#!/bin/bash
# SPDX-License-Identifier: MIT
#
# run: a target that tells the truth, watched by pagetap, and the judge's verdict.
#
#	O=build bash tests/judge/run.sh [--target PROGRAM] [--seeds N] [--first SEED]
#		[--threads N] [--ops N] [--rearm MS] [--require PCT] [--ambiguous-max PCT]
#		[--granularity N] [--plants N] [--keep DIR]
#		[--engine async|both [--epoch MS] [--who] [--budget PCT] [--held GLOB]] [-- TARGET-OPTION...]
#
# For each seed: the target alone, the target under `pagetap record -f`, equal
# digests, a valid trace, and no error of the judge.  One line a seed, then the sums.
# Status 0 only if every seed passed and the sums cover enough.
set -u

: "${O:=build}"
PAGETAP=${PAGETAP:-$O/pagetap}
JUDGE=$O/tests/judge/judge
target=$O/tests/judge/random
seeds=1 first=1 threads=4 ops=4000 rearm=10 require=60 ambiguous=2 plants=0 granularity=1 keep=
engine=sync epoch=20 who='' budget='' held=anon
# A seed's whole life, alone and watched, is bounded.
limit=${JUDGE_LIMIT:-300}

while [ $# -gt 0 ]; do
	case $1 in
	--target) target=$2 ;;
	--seeds) seeds=$2 ;;
	--first) first=$2 ;;
	--threads) threads=$2 ;;
	--ops) ops=$2 ;;
	--rearm) rearm=$2 ;;
	--engine) engine=$2 ;;
	--epoch) epoch=$2 ;;
	--who) who=--who; shift; continue ;;
	--budget) budget=$2 ;;
	--held) held=$2 ;;
	--require) require=$2 ;;
	--ambiguous-max) ambiguous=$2 ;;
	--granularity) granularity=$2 ;;
	--plants) plants=$2 ;;
	--keep) keep=$2 ;;
	--) shift; break ;;
	*) echo "run: what is $1?" >&2; exit 2 ;;
	esac
	shift 2
done

how=(--engine sync --rearm "$rearm" --granularity "$granularity")
[ "$engine" = sync ] || how=(--engine "$engine" --epoch "$epoch" ${who:+"$who"}
	${budget:+--budget "$budget"})
# With both, what is held is sync.
[ "$engine" = both ] && how+=(-m "$held" --rearm "$rearm")
how+=(-f)

work=$(mktemp -d "${TMPDIR:-/tmp}/judge.XXXXXX") || exit 2
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

# last_line FILE KEY: the value in the target's summary.
summary() { tail -n 1 "$1" | tr ' ' '\n' | sed -n "s/^$2=//p"; }

# What is wrong with the seed, in words; nothing if it passed.
check_seed() {
	local key
	for key in mismatches syscall_errors canary_errors eintr; do
		[ "$(summary "$work/watched" $key)" = 0 ] ||
			echo "$key=$(summary "$work/watched" $key)"
	done
	[ -n "$(summary "$work/alone" digest)" ] &&
		[ "$(summary "$work/alone" digest)" = "$(summary "$work/watched" digest)" ] ||
		echo "digest differs"
	"$PAGETAP" validate "$work/trace" >"$work/valid" 2>&1 ||
		echo "not valid: $(head -n 1 "$work/valid")"
	[ "$(jq .errors "$work/verdict")" = 0 ] || echo "errors"
	awk -v n="$(jq '.ambiguous * 100 / ([.checked, 1] | max)' "$work/verdict")" \
		-v most="$ambiguous" 'n > most { print "ambiguous " n " %" }' </dev/null
}

keep_seed() {
	[ -n "$keep" ] || return 0
	mkdir -p "$keep" && rm -rf "$keep/seed-$1" && cp -r "$work" "$keep/seed-$1"
}

# one SEED TARGET-OPTION...: 0 if it passed; its verdict is added to all.
one() {
	local seed=$1 wrong
	shift
	rm -rf "${work:?}"/*
	mkdir "$work/truth"
	set -- --seed "$seed" --threads "$threads" --ops "$ops" "$@"
	timeout -k 5 "$limit" "$target" "$@" >"$work/alone" 2>"$work/alone.err"
	# The ring holds what a slow disk cannot take yet; a lost record would be an error.
	timeout -k 5 "$limit" "$PAGETAP" record -q "${how[@]}" --ring 2000000 \
		-o "$work/trace" -- "$target" "$@" --truth "$work/truth" \
		>"$work/watched" 2>"$work/watched.err" </dev/null
	timeout -k 5 "$limit" "$JUDGE" --json "$work/trace" "$work/truth" >"$work/verdict" 2>"$work/judge.err"
	[ -s "$work/verdict" ] || echo '{"errors":1}' >"$work/verdict"
	wrong=$(check_seed | tr '\n' ';')
	jq -r --arg seed "$seed" --arg wrong "${wrong:-ok}" '
		def share(a): (a // 0) * 1000 / ([.checked // 0, 1] | max) | round / 10;
		"seed \($seed): checked \(.checked), covered \(share(.covered)) %, found \(.found), " +
		"lost \(.lost), late \(.late_arm), undeclared \(.undeclared), phantom \(.phantom), " +
		"wrong thread \(.wrong_thread), layout missing \(.layout_missing), " +
		"ambiguous \(.ambiguous), via perf \(.perf): \($wrong)"' "$work/verdict"
	cat "$work/verdict" >>"$all"
	[ -z "$wrong" ] && [ "$plants" -gt 0 ] && plant
	[ -n "$wrong" ] || return 0
	keep_seed "$seed"
	tail -n 3 "$work/watched.err" "$work/judge.err"
	timeout "$limit" "$JUDGE" "$work/trace" "$work/truth" 2>&1 | cut -c 1-240 | head -n 40
	return 1
}

# Each kind of planted fault must be found in this trace.
plant() {
	timeout -k 5 "$limit" "$JUDGE" --plants "$plants" "$work/trace" "$work/truth" >"$work/plants" 2>&1 ||
		wrong="a planted fault was not found"
	sed -n 's/^plant:/  plant:/p' "$work/plants"
	awk '/^plant [^:]*places/ { s = s sprintf(", %s %d of %d", $2, $8, $6) } END { print "  planted" substr(s, 2) }' \
		"$work/plants"
	cat "$work/plants" >>"$all.plants"
}

all=$(mktemp "${TMPDIR:-/tmp}/judge-all.XXXXXX") || exit 2
trap 'rm -rf "$work" "$all" "$all.plants"' EXIT
bad=0
for ((s = first; s < first + seeds; s++)); do
	one "$s" "$@" || bad=$((bad + 1))
done

# A kind that had no place in any of the traces has proved nothing.  While KSM merges what
# `random` offers it, gaps lie over the whole life of most of its processes.
if [ "$plants" -gt 0 ] && ! { [ "${target##*/}" = random ] && grep -qs 1 /sys/kernel/mm/ksm/run; }; then
	barren=$(awk '/^plant [^:]*places/ { n[$2] += $6 } END { for (k in n) if (!n[k]) print k }' "$all.plants")
	[ -z "$barren" ] || { echo "nowhere to plant: $barren"; bad=$((bad + 1)); }
fi
jq -rs --arg bad "$bad" --argjson require "$require" --argjson most "$ambiguous" '
	def sum(k): map(.[k] // 0) | add;
	sum("checked") as $n | (sum("covered") * 10000 / ([$n, 1] | max) | round / 100) as $covered |
	(sum("ambiguous") * 10000 / ([$n, 1] | max) | round / 100) as $ambiguous |
	"all: \(length) seeds, \($n) page writes checked, \($covered) % covered, \(sum("found")) found, " +
	"lost \(sum("lost") + sum("late_arm")), undeclared \(sum("undeclared")), phantom \(sum("phantom")), " +
	"wrong thread \(sum("wrong_thread")), layout missing \(sum("layout_missing")), " +
	"ambiguous \($ambiguous) %, \($bad) seeds failed: " +
	(if $bad == "0" and $covered >= $require and $ambiguous <= $most then "passed" else "failed" end)' \
	"$all" >"$work/sum"
cat "$work/sum"
grep -q ': passed$' "$work/sum"
