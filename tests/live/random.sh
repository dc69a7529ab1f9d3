#!/bin/bash
# SPDX-License-Identifier: MIT
#
# random: each act of the random target by itself, told by the trace page by page.  What
# the mixture of them does is in live/judge.
# limit: 300
. "$(dirname "$0")/lib.sh"

random=$O/tests/judge/random
judge=$O/tests/judge/judge

# So many acts a thread: those that make processes take longer, one in twenty is enough.
ops_of() {
	case $1 in
	fork | kill | vfork | exec | spawn) echo 8 ;;
	thread | timer | sleep | verify) echo 40 ;;
	*) echo 150 ;;
	esac
}

# act NAME: what is wrong with it, in words; nothing if it passed.
act() {
	local d=$D/$1 key
	mkdir -p "$d/truth"
	# Children of children would be thousands where they do nothing else.
	timeout -k 5 40 "$PAGETAP" record --engine sync -q -f --rearm 5 -o "$d/trace" -- "$random" --seed 7 \
		--threads 2 --depth 1 --ops "$(ops_of "$1")" --only "$1" --truth "$d/truth" \
		>"$d/said" 2>"$d/err" </dev/null || echo "status $?: $(tail -n 1 "$d/err")"
	for key in mismatches syscall_errors canary_errors eintr; do
		tail -n 1 "$d/said" | grep -q " $key=0\( \|$\)" || echo "$key: $(tail -n 1 "$d/said")"
	done
	"$PAGETAP" validate "$d/trace" >"$d/valid" 2>&1 || echo "not valid: $(head -n 1 "$d/valid")"
	timeout 40 "$judge" "$d/trace" "$d/truth" >"$d/verdict" 2>&1 || grep -h '^error ' "$d/verdict"
	grep -q '^writes checked [1-9]' "$d/verdict" || echo 'nothing was checked'
}

# acts NAME...: all of them, and then which of them failed.
acts() {
	local name bad=
	for name; do
		act "$name" >"$D/words"
		[ -s "$D/words" ] || { rm -rf "${D:?}/$name"; continue; }
		say "$name: $(head -n 5 "$D/words" | cut -c 1-240)"
		bad+=" $name"
	done
	[ -z "$bad" ] || wrong "acts that are not told as they were:$bad"
}

case_each_act_alone() {
	local names
	names=$("$random" --list | grep -vx hugetlb) && [ "$(wc -w <<<"$names")" -gt 40 ] ||
		wrong "only these acts: $names" || return
	# shellcheck disable=SC2086
	acts $names
}

# A pool is made for it, as large as the target asks for.
case_huge_pages_of_the_pool() {
	local pool=/proc/sys/vm/nr_hugepages before rc
	before=$(cat "$pool")
	# shellcheck disable=SC2064
	trap "echo $before 2>/dev/null >$pool; cleanup; rm -rf '$W'" EXIT
	echo $((before + 8)) 2>/dev/null >"$pool"
	if "$random" --threads 2 --list | grep -qx hugetlb; then
		acts hugetlb
	else
		skip no-hugepages 'vm.nr_hugepages cannot be raised'
	fi
	rc=$?
	echo "$before" 2>/dev/null >"$pool"
	return $rc
}

case_an_act_that_there_is_not() {
	"$random" --only scattered,nonsense >"$D/said" 2>"$D/err"
	[ $? = 2 ] && grep -q 'no nonsense here' "$D/err" || wrong "it says: $(head -n 1 "$D/err")"
}

run_cases "$@"
