#!/bin/sh
# SPDX-License-Identifier: MIT
#
# catalogue: what was seen of each case of tests/catalogue.txt.
#
#	sh tests/catalogue.sh			the table; runs what was not run with this build
#	sh tests/catalogue.sh complain		what is wrong with the list itself
#	sh tests/catalogue.sh unmet SUITE	cases that the list names and SUITE does not have
#
# The results are those that tests/run left in $O/check/, read from the tests' own
# output.  Nothing is known here of any case.
set -u

cd "$(dirname "$0")/.." || exit 1
: "${O:=build}"
list=${CATALOGUE:-tests/catalogue.txt}
mkdir -p "$O/check"

# Each reference a line: ID <tab> SUITE <tab> CASE.  `-` as the suite: not here.
references() {
	awk -F ' *[|] *' '!/^#/ && NF == 3 {
		if ($3 ~ /^not here: /) {
			print $1 "\t-\t" substr($3, 11)
			next
		}
		n = split($3, part, / *; */)
		for (i = 1; i <= n; i++) {
			at = index(part[i], ": ")
			print $1 "\t" (at ? substr(part[i], 1, at - 1) : part[i]) "\t" \
				(at ? substr(part[i], at + 2) : "*")
		}
	}' "$list"
}

results_of() { echo "$O/check/$(echo "$1" | tr / -).results"; }

complain() {
	awk -F ' *[|] *' '
	/^#/ || /^$/ { next }
	NF != 3 || $2 == "" || $3 == "" { print "line " NR ": not `id | words | tests`"; next }
	seen[$1]++ { print $1 ": listed twice" }
	END {
		split("S 40 M 34 F 24 H 16 L 20", want, " ")
		for (i = 1; i < 10; i += 2)
			for (n = 1; n <= want[i + 1]; n++) {
				id = sprintf("%s%02d", want[i], n)
				if (!seen[id])
					print id ": not listed"
				delete seen[id]
			}
		for (id in seen)
			print id ": no such id"
	}' "$list"
	suites=$(sh tests/run --list)
	references | while IFS='	' read -r id suite _; do
		[ "$suite" = - ] || echo "$suites" | grep -qxF -- "$suite" || echo "$id: no suite $suite"
	done
}

# A case is named in full, or by a beginning that ends in `*`.
match='function matches(pattern, name) {
	if (pattern ~ /[*]$/)
		return index(name, substr(pattern, 1, length(pattern) - 1)) == 1
	return name == pattern
}'

unmet() {
	references | awk -F '\t' -v suite="$1" '$2 == suite' | while IFS='	' read -r id _ name; do
		awk -F '\t' -v name="$name" "$match"'
			!/^#/ && matches(name, $2) { found = 1 } END { exit !found }' "$(results_of "$1")" ||
			echo "$id: $1 has no case '$name'"
	done
}

# The results of a suite are those of this build, of whole runs.
run_what_is_missing() {
	references | cut -f 2 | grep -vxF -- - | sort -u | while read -r suite; do
		file=$(results_of "$suite")
		[ -e "$file" ] && [ "$(head -n 1 "$file")" = "# $(sh tests/run --stamp "$suite")" ] ||
			echo "$suite"
	done
}

table() {
	references | cut -f 2 | grep -vxF -- - | sort -u | while read -r suite; do
		cat "$(results_of "$suite")"
	done >"$O/check/all-results"
	references >"$O/check/references"
	awk "$match"'
	BEGIN { FS = "\t" }
	FILENAME ~ /all-results$/ {
		if (!/^#/) {
			n++
			suite[n] = $1; name[n] = $2; result[n] = $3; took[n] = $4; why[n] = $5
		}
		next
	}
	FILENAME ~ /references$/ { refs[$1] = refs[$1] $2 "\t" $3 "\n"; next }
	function judge(id,    i, k, m, line, part, found) {
		verdict = ""; seconds = 0; words = ""
		m = split(refs[id], line, "\n")
		for (i = 1; i < m; i++) {
			split(line[i], part, "\t")
			if (part[1] == "-") {
				verdict = "not here"; words = part[2]
				return
			}
			found = 0
			for (k = 1; k <= n; k++) {
				if (suite[k] != part[1] || !matches(part[2], name[k]))
					continue
				found = 1
				seconds += took[k]
				if (result[k] == "failed" || (result[k] == "skipped" && verdict != "failed")) {
					verdict = result[k]
					words = name[k] ": " why[k]
				} else if (verdict == "") {
					verdict = "passed"
				}
			}
			if (!found) {
				verdict = "failed"; words = part[1] " has no case " part[2]
				return
			}
		}
	}
	{ split($0, col, / *[|] */) }
	/^#/ || /^$/ { next }
	{
		judge(col[1])
		sum[verdict]++
		printf "%-4s %-9s %7s  %s%s\n", col[1], verdict, \
			verdict == "not here" ? "" : sprintf("%.1f s", seconds), col[2], \
			words == "" || verdict == "passed" ? "" : " (" words ")"
	}
	END {
		printf "\n%d cases: %d passed, %d failed, %d skipped, %d not here\n", \
			sum["passed"] + sum["failed"] + sum["skipped"] + sum["not here"], \
			sum["passed"], sum["failed"], sum["skipped"], sum["not here"]
		exit sum["failed"] > 0
	}' "$O/check/all-results" "$O/check/references" "$list"
}

case ${1:-} in
complain) complain ;;
unmet) unmet "$2" ;;
*)
	missing=$(run_what_is_missing)
	# shellcheck disable=SC2086
	[ -z "$missing" ] || sh tests/run $missing >&2 || true
	table
	;;
esac
