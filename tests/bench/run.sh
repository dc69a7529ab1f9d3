#!/bin/bash
# SPDX-License-Identifier: MIT
#
# bench: what watching costs, side by side with not watching, in one run.
#
# Prints a table; the same figures as JSON objects are in $O/bench/results.ndjson.
# Take ratios: absolute figures are those of this machine, today.
set -u

cd "$(dirname "$0")/../.." || exit 1
: "${O:=build}"
PAGETAP=$O/pagetap
results=$O/bench/results.ndjson
mkdir -p "$O/bench"
work=$(mktemp -d)
target=
trap '[ -z "$target" ] || kill -KILL "$target" 2>/dev/null; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
: >"$results"

value() { sed -n "s/.*\"$1\":\([0-9.]*\).*/\1/p" <<<"$2"; }
row() { printf '%-46s %12s %s\n' "$1" "$2" "$3"; }

printf '%s, %s CPUs, Linux %s\n\n' "$(uname -m)" "$(nproc)" "$(uname -r)"

# ---- the first write to a page -------------------------------------------------

for pages in 2000 20000; do
	r=$(timeout 300 "$O/tests/bench/first-write" "$PAGETAP" "$pages" 7) || exit 1
	echo "$r" >>"$results"
	base=$(value untraced_ns "$r")
	row "first write to each of $pages pages" 'ns a page' 'ratio'
	for way in untraced_ns mprotect_sigsegv_ns pagetap_sync_ns pagetap_second_write_ns; do
		ns=$(value $way "$r")
		row "  ${way%_ns}" "$ns" "$(awk -v a="$ns" -v b="$base" 'BEGIN { printf "%.1f", a / (b ? b : 1) }')"
	done
	echo
done

# ---- how long the target stands still ------------------------------------------

row 'attach: the target stands still for' 'median us' 'p95 us, max us, of 50'
for threads in 1 10 100; do
	mkfifo "$work/gate$threads"
	"$O/tests/target/million" -T 250 -t "$threads" -p 10 -g "$work/gate$threads" >"$work/out" 2>&1 &
	target=$!
	for _ in {1..100}; do
		grep -q '^ready' "$work/out" && break
		sleep 0.05
	done
	: >"$work/stops"
	for _ in {1..50}; do
		rm -f "$work"/t.ndjson*
		timeout 20 "$PAGETAP" record -q -p "$target" -o "$work/t.ndjson" -d 0.02 || exit 1
		sed -n 's/^{"ev":"attach".*"stop_ns":\([0-9]*\).*/\1/p' "$work/t.ndjson" >>"$work/stops"
	done
	kill -KILL "$target"
	wait "$target" 2>/dev/null
	target=
	sort -n "$work/stops" | awk -v threads="$threads" '
		{ v[NR] = $1 / 1000 }
		END { printf "{\"bench\":\"attach\",\"threads\":%d,\"n\":%d,\"stop_p50_us\":%.1f,\"stop_p95_us\":%.1f,\"stop_max_us\":%.1f}\n",
			threads, NR, v[int((NR + 1) / 2)], v[int(NR * 0.95)], v[NR] }' >"$work/line"
	cat "$work/line" >>"$results"
	r=$(cat "$work/line")
	row "  $threads threads" "$(value stop_p50_us "$r")" "$(value stop_p95_us "$r"), $(value stop_max_us "$r")"
done
echo

# ---- from fault to file ----------------------------------------------------------

mkfifo "$work/gate"
"$O/tests/target/million" -T 250 -p 100000 -t 2 -x -g "$work/gate" >"$work/out" 2>&1 &
target=$!
for _ in {1..200}; do
	grep -q '^ready' "$work/out" && break
	sleep 0.05
done
rm -f "$work"/t.ndjson*
"$PAGETAP" record -p "$target" -o "$work/t.ndjson" >"$work/said" 2>&1 &
recorder=$!
for _ in {1..200}; do
	grep -q attached "$work/said" && break
	sleep 0.05
done
begin=${EPOCHREALTIME/./}
timeout 5 sh -c "echo >'$work/gate'"
for _ in {1..2000}; do
	grep -q '^touched' "$work/out" && break
	sleep 0.05
done
spent=$((${EPOCHREALTIME/./} - begin))
kill -INT "$recorder"
wait "$recorder"
kill -TERM "$target"
wait "$target"
target=
faults=$(grep -c '^{"ev":"fault"' "$work/t.ndjson")
last=$(grep '^{"ev":"stats"' "$work/t.ndjson" | tail -n 1)
echo "{\"bench\":\"throughput\",\"faults\":$faults,\"lost\":$(value lost "$last"),\"seconds\":$(awk "BEGIN { print $spent / 1e6 }"),\"lat_p50_ns\":$(value lat_p50_ns "$last"),\"lat_p99_ns\":$(value lat_p99_ns "$last")}" >>"$results"
row 'two threads fault on 200,000 pages' 'faults/s' 'lost; handled in p50, p99 ns'
row '  pagetap sync' "$((faults * 1000000 / spent))" "$(value lost "$last"); $(value lat_p50_ns "$last"), $(value lat_p99_ns "$last")"
echo
echo "as JSON: $results"
