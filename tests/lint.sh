#!/bin/sh
# SPDX-License-Identifier: MIT
#
# lint: what a reader should not have to look for.
#
#	sh tests/lint.sh		the quick checks, part of `make check`
#	sh tests/lint.sh --all		also clang-tidy and cppcheck: `make lint`
# limit: 900
set -u

cd "$(dirname "$0")/.." || exit 1
: "${O:=build}" "${CC:=cc}" "${MAKE:=make}"
passed=0 failed=0 skipped=0

report=$(mktemp) || exit 1
trap 'rm -f "$report"' EXIT
trap 'exit 130' INT TERM

# judge WORDS: passes if nothing was reported.
judge() {
	if [ -s "$report" ]; then
		failed=$((failed + 1))
		echo "FAIL  $1"
		sed 's/^/      /' "$report" | head -n 40
	else
		passed=$((passed + 1))
		echo "ok    $1"
	fi
	: >"$report"
}

sources() { find include inject monitor -name '*.[ch]' | LC_ALL=C sort; }
all_sources() { find include inject monitor tests -name '*.[ch]' | LC_ALL=C sort; }
scripts() {
	find tests .ci completions -type f 2>/dev/null | LC_ALL=C sort | while read -r f; do
		head -n 1 "$f" | grep -q '^#!.*sh$' && echo "$f"
	done
}

# forbid WORDS REGEX FILES...: REGEX as a whole word, comments aside.
forbid() {
	words=$1 regex=$2
	shift 2
	for f; do
		$CC -fpreprocessed -dD -E -w "$f" 2>/dev/null |
			grep -nE "(^|[^A-Za-z0-9_\"])($regex)" |
			grep -v '^[0-9]*:# ' | sed "s|^[0-9]*:|$f: |"
	done >>"$report"
	judge "$words"
}

# shellcheck disable=SC2046
{
	forbid 'no sprintf, strcpy, strcat, gets, atoi, strtok' \
		'(v?sprintf|str[pn]?cpy|strn?cat|gets|ato[ilf]|atoll|strtok) *\(' $(all_sources)
	forbid 'no alloca, no system, no popen in the program' \
		'(alloca|system|popen) *\(' $(sources)
}

grep -rn '<linux/userfaultfd\.h>' include inject monitor tests/unit |
	grep -v '^include/compat/uffd\.h:' | grep -v ': *\*' >"$report"
judge '<linux/userfaultfd.h> only through compat/uffd.h'

all_sources | while read -r f; do
	head -n 1 "$f" | grep -q 'SPDX-License-Identifier: MIT' || echo "$f: line 1 names no licence"
done >"$report"
for f in Makefile $(scripts); do
	[ "$f" = .ci/run ] || head -n 3 "$f" | grep -q 'SPDX-License-Identifier: MIT' ||
		echo "$f: names no licence"
done >>"$report"
judge 'every file names its licence'

all_sources | while read -r f; do
	grep -nE '[ 	]+$' "$f" | sed "s|^|$f: trailing space: |"
	# A tab is eight columns.
	expand -t 8 "$f" | awk -v f="$f" 'length > 100 { print f ":" NR ": " length " columns" }'
	$CC -fpreprocessed -dD -E -w "$f" 2>/dev/null | grep -nE '^ *//|[;{}] *//' | sed "s|^|$f: // comment: |"
done >"$report"
judge 'at most 100 columns, no // comments, no trailing space'

all_sources | while read -r f; do
	n=$(wc -l <"$f")
	[ "$n" -lt 500 ] || echo "$f: $n lines want a name for their second half"
	case $(basename "$f") in utils.? | util.? | common.? | defs.? | misc.? | helpers.?)
		echo "$f: the name says nothing" ;;
	esac
done >"$report"
judge 'files under 500 lines, with names that say something'

# The scripts of a report's page keep the same measure.
if command -v node >/dev/null; then
	for f in monitor/report/page/*.js; do
		node --check "$f" 2>&1 | sed "s|^|$f: |"
	done >"$report"
	judge 'node --check of the page'
else
	skipped=$((skipped + 1))
	echo 'SKIP no-node: not installed'
fi
for f in monitor/report/page/*; do
	head -n 3 "$f" | grep -q 'SPDX-License-Identifier: MIT' || echo "$f: names no licence"
	grep -nE '[ 	]+$' "$f" | sed "s|^|$f: trailing space: |"
	expand -t 8 "$f" | awk -v f="$f" 'length > 100 && !/Content-Security-Policy/ {
		print f ":" NR ": " length " columns" } END { if (NR >= 500) print f ": " NR " lines" }'
	# It ends the script it stands in, or the comment.
	grep -niE '</(script|style)|<!--' "$f" | sed "s|^|$f: |" |
		grep -v '^monitor/report/page/page\.html: '
	# Text of the target is text: nothing may parse it.
	grep -nE 'innerHTML|outerHTML|insertAdjacent|document\.write|DOMParser|\beval\b|Function\(' "$f" |
		sed "s|^|$f: |"
done >"$report"
judge 'the page: licence, columns, nothing that parses markup'

# A function begins with { in column 1 and ends with }.
sources | while read -r f; do
	awk -v f="$f" '/^{/ { at = NR } /^}/ { if (at && NR - at - 1 > 60)
		print f ":" at ": a function of " NR - at - 1 " lines"; at = 0 }' "$f"
done >"$report"
judge 'functions of at most 60 lines'

# What is committed belongs to everybody: no machine, no account, no registry.  In an
# unpacked archive that is what it came with.
{ git ls-files 2>/dev/null || find . -path "./${O#"$PWD/"}" -prune -o -type f -printf '%P\n'; } |
	grep -v '^third_party/' | tr '\n' '\0' |
	xargs -0 -r grep -nIE '(^|[^A-Za-z0-9_./-])/(work|root|home/[a-z]+)/|https?://(deb|ftp|security)\.[a-z.]*debian\.org' \
		-- 2>/dev/null | grep -v '^tests/lint\.sh:' >"$report"
judge 'no path of a machine, no host of a mirror'

targets=$(sed -n 's/^\.PHONY: //p' Makefile)
help=$($MAKE -s help)
for t in $targets; do
	case $t in all | unit | help) continue ;; esac
	echo "$help" | grep -qE "^make ([a-z ]* )?$t( |\$)" || echo "make $t is not in make help"
done >"$report"
for t in $(echo "$help" | sed -n 's/^make \([a-z][a-z-]*\) .*/\1/p'); do
	echo "$targets" | tr ' ' '\n' | grep -qx -- "$t" || echo "make $t is in make help alone"
done >>"$report"
judge 'make help names what there is'

if command -v shellcheck >/dev/null; then
	scripts | xargs -r shellcheck -S warning -e SC1090,SC1091 >"$report" 2>&1
	judge 'shellcheck'
else
	skipped=$((skipped + 1))
	echo 'SKIP no-shellcheck: not installed'
fi

for f in man/*.[1357]; do
	[ -e "$f" ] || continue
	mandoc -T lint -W warning "$f" 2>&1 | grep -v 'referenced manual not found'
done >"$report"
judge 'manual pages: mandoc -T lint'

# Both compilers, every warning an error.  -fsyntax-only knows nothing of data flow,
# so gcc really compiles.
version='-DPAGETAP_VERSION="0"'
flags="-std=gnu11 -D_GNU_SOURCE -Iinclude -Imonitor -Iinject -Itests/unit -I$O/generated
	-Wall -Wextra -Wshadow -Wvla -Wmissing-prototypes -Wstrict-prototypes -Werror"
pkg=$(pkg-config --cflags jansson libnl-3.0 libnl-genl-3.0 libcap libzstd libprotobuf-c gnutls 2>/dev/null)
compile_all() {
	for f in $(all_sources | grep '\.c$'); do
		case $f in
		inject/arch-"$(uname -m)".c) ;;
		inject/arch-*.c | tests/fuzz/*) continue ;;
		esac
		# shellcheck disable=SC2086
		"$@" "$version" $flags $pkg "$f" 2>&1
	done
}
compile_all clang -fsyntax-only >"$report"
judge 'clang compiles everything without a warning'
compile_all gcc -O2 -c -o /dev/null >"$report"
judge 'gcc compiles everything without a warning'
find include inject monitor -name '*.h' | while read -r f; do
	# shellcheck disable=SC2086
	echo "#include \"$f\"" | clang -fsyntax-only "$version" $flags $pkg -I. -x c - 2>&1
done >"$report"
judge 'every header stands alone'

compiled() {
	all_sources | grep '\.c$' | grep -v -e "^inject/arch-" -e '^tests/fuzz/'
	echo "inject/arch-$(uname -m).c"
}

# each TOOL ARGUMENTS...: for every source, where {} stands; as many at once as there are CPUs.
# What it finds is the report, or that it failed without a finding.
each() {
	compiled | xargs -P "$(nproc)" -I '{}' sh -c '
		said=$("$@" 2>&1) && exit
		echo "$said" | grep -E "(error|warning|portability): " || echo "$*: $said"
	' sh "$@" >"$report"
	judge "$1"
}

# .clang-tidy says which checks, and why not the others.
if [ "${1:-}" = --all ]; then
	# shellcheck disable=SC2086
	each clang-tidy --quiet '{}' -- "$version" ${flags%-Werror} $pkg
	each cppcheck -q --enable=warning,portability --inline-suppr --std=c11 --error-exitcode=1 \
		--suppress=missingIncludeSystem --suppressions-list=tests/cppcheck.suppressions \
		--library=tests/cppcheck.cfg -Iinclude -Imonitor -Iinject -Itests/unit '{}'
fi

if [ "$skipped" = 0 ]; then
	echo "$passed passed, $failed failed"
else
	echo "$passed passed, $failed failed, $skipped skipped"
fi
[ "$failed" = 0 ]
