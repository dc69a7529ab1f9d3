#!/bin/sh
# SPDX-License-Identifier: MIT
#
# check-catalogue: tests/catalogue.txt lists every case once and names suites that
# there are.  Whether a suite has the cases is seen when it has run: tests/run.
# limit: 60
set -u

cd "$(dirname "$0")/.." || exit 1
. tests/verdict.sh
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

judge 'the list is whole' '' "$(sh tests/catalogue.sh complain)"

# spoilt SED-SCRIPT: what is said of a list that was changed so.
spoilt() {
	sed "$1" tests/catalogue.txt >"$work/list"
	CATALOGUE=$work/list sh tests/catalogue.sh complain
}
judge 'a missing id is found' 'S17: not listed' "$(spoilt '/^S17 /d')"
judge 'a double id is found' 'M09: listed twice' "$(spoilt '/^M09 /p')"
judge 'a wrong id is found' 'H99: no such id' "$(spoilt '/^H01 /{p;s/01/99/;}')"
judge 'a wrong suite is found' 'S17: no suite live/nothing' \
	"$(spoilt '/^S17 /s,live/[a-z-]*: .*,live/nothing: x,')"
judge 'an empty field is found' 'yes' "$(spoilt 's/^\(S17 .*|\).*/\1/' | grep -q 'not `id' && echo yes)"

# The reading of results, on output as tests write it.
mkdir "$work/check"
cat >"$work/log" <<-END
	ok    one (3 s)
	ok two, and more (0.25 s)
	FAIL  three (1 s)
	  wrong: that does not count
	not ok four: it went: wrong
	SKIP no-mount: five: mount(2) fails
	2 passed, 2 failed, 1 skipped
END
awk -v suite=x/y -f tests/results.awk "$work/log" >"$work/check/x-y.results"
judge 'results are read' "$(printf 'x/y\t%s\n' 'one	passed	3	' 'two, and more	passed	0.25	' \
	'three	failed	1	' 'four	failed	-	it went: wrong' \
	'five	skipped	-	no-mount: mount(2) fails' '*	failed	2 passed, 2 failed, 1 skipped' |
	sed 's/\*	failed	/*	failed	-	/')" "$(cat "$work/check/x-y.results")"
cat >"$work/list" <<-END
	S01 | by name | x/y: one
	S02 | by beginning | x/y: t*
	S03 | unknown | x/y: six
END
judge 'a case that there is not is found' "S03: x/y has no case 'six'" \
	"$(O=$work CATALOGUE=$work/list sh tests/catalogue.sh unmet x/y)"

verdict
