#!/bin/sh
# SPDX-License-Identifier: MIT
#
# check-exports: what leaves the tree - symbols, installed files, the archive.
#
# The library exports what its header declares and nothing else; a program that
# knows nothing but pkg-config is built against the installed tree, shared and
# static; uninstall leaves no file; `make dist` gives the same bytes twice.
# limit: 200
set -u

cd "$(dirname "$0")/.." || exit 1
: "${O:=build}" "${CC:=cc}" "${MAKE:=make}"
passed=0 failed=0

work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

ok() { passed=$((passed + 1)); echo "ok    $*"; }
bad() { failed=$((failed + 1)); echo "FAIL  $*"; }
# check WORDS COMMAND...: its output is shown only if it fails.
check() {
	words=$1
	shift
	if "$@" >"$work/out" 2>&1; then
		ok "$words"
	else
		bad "$words"
		sed 's/^/      /' "$work/out" | head -n 20
	fi
}

# Every function that the header declares: a name before a parenthesis.
$CC -fpreprocessed -dD -E -P -w include/pagetap/inject.h |
	grep -oE '\<pagetap_[a-z_]+ *\(' | tr -d ' (' | LC_ALL=C sort -u >"$work/declared"
nm -D --defined-only "$O/libpagetap.so" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' |
	LC_ALL=C sort -u >"$work/shared"
nm -g --defined-only "$O/libpagetap.a" | awk 'NF == 3 { print $3 }' | LC_ALL=C sort -u >"$work/static"

check "the header declares functions" [ -s "$work/declared" ]
check "the shared library exports what the header declares" diff "$work/declared" "$work/shared"
check "the archive exports the same" diff "$work/declared" "$work/static"
nm -D --defined-only "$O/libpagetap.so" | awk '$2 != "A"' | grep -v '@@PAGETAP_0$' >"$work/unversioned"
check "every symbol carries the version PAGETAP_0" [ ! -s "$work/unversioned" ]
check "the soname is libpagetap.so.0" \
	sh -c "readelf -d '$O/libpagetap.so' | grep -q 'SONAME.*\[libpagetap\.so\.0\]'"
nm -D --undefined-only "$O/libpagetap.so" | grep -E ' (v?f?printf|puts|exit|abort|perror)(@|$)' >"$work/rude"
check "the library neither prints nor exits" [ ! -s "$work/rude" ]

# An installed tree, by PREFIX alone and by DESTDIR.
prefix=$work/prefix
: >"$work/stamp"
check "install PREFIX=" "$MAKE" -s O="$O" PREFIX="$prefix" install
check "install DESTDIR=" "$MAKE" -s O="$O" PREFIX=/opt/p DESTDIR="$work/dest" install
find "$O" -maxdepth 1 -type f -newer "$work/stamp" >"$work/written"
check "who installs writes nothing where it was built" diff /dev/null "$work/written"
(cd "$prefix" && find . | LC_ALL=C sort) >"$work/by-prefix"
(cd "$work/dest/opt/p" && find . | LC_ALL=C sort) >"$work/by-destdir"
check "both install the same files" diff "$work/by-prefix" "$work/by-destdir"
check "the program, its pages, completions and schema are among them" sh -c "cd '$prefix' &&
	ls bin/pagetap share/man/man1/pagetap.1 share/man/man1/pagetap-record.1 \
	share/man/man5/pagetap-trace.5 share/man/man7/pagetap.7 share/man/man3/libpagetap.3 \
	share/bash-completion/completions/pagetap share/zsh/site-functions/_pagetap \
	share/fish/vendor_completions.d/pagetap.fish share/pagetap/trace-1.schema.json"
check "the installed program runs" "$prefix/bin/pagetap" --version
check "pagetap.pc does not speak of DESTDIR" \
	sh -c "! grep -q '$work' '$work/dest/opt/p/lib/pkgconfig/pagetap.pc' &&
		grep -q '^prefix=/opt/p$' '$work/dest/opt/p/lib/pkgconfig/pagetap.pc'"

# A stranger's program: pkg-config is all it knows.
stranger=tests/fresh/stranger.c
PKG_CONFIG_PATH=$prefix/lib/pkgconfig
export PKG_CONFIG_PATH
# shellcheck disable=SC2046
{
	check "a program compiles by pkg-config, shared" \
		$CC -Wall -Wextra -Werror -o "$work/shared-program" "$stranger" \
		$(pkg-config --cflags --libs pagetap)
	check "and runs" env LD_LIBRARY_PATH="$prefix/lib" "$work/shared-program"
	check "static" $CC -static -Wall -Wextra -Werror -o "$work/static-program" "$stranger" \
		$(pkg-config --cflags --libs --static pagetap)
	check "and runs" "$work/static-program"
	check "and as C++" g++ -x c++ -Wall -Wextra -Werror -o "$work/c++-program" "$stranger" \
		$(pkg-config --cflags --libs pagetap)
}
check "pkg-config knows the version" \
	sh -c "[ \"\$(pkg-config --modversion pagetap)\" = \"\$('$O/pagetap' --version | awk 'NR == 1 { print \$2 }')\" ]"

check "uninstall PREFIX=" "$MAKE" -s O="$O" PREFIX="$prefix" uninstall
# left FOLDER: what should not be there; what any system has may.
left() { find "$1" ! -type d -o -empty ! -name bin ! -name lib ! -name include ! -name man; }
left "$prefix" >"$work/left"
check "leaves nothing" diff /dev/null "$work/left"
check "uninstall DESTDIR=" "$MAKE" -s O="$O" PREFIX=/opt/p DESTDIR="$work/dest" uninstall
left "$work/dest" >"$work/left"
check "leaves nothing either" diff /dev/null "$work/left"

if git rev-parse --git-dir >/dev/null 2>&1; then
	check "make dist" "$MAKE" -s O="$work/one" dist
	check "make dist again" env TZ=Asia/Tokyo "$MAKE" -s O="$work/two" dist
	check "the same bytes" sh -c "cmp '$work'/one/*.tar.gz '$work'/two/*.tar.gz"
else
	check "make dist makes nothing of an unpacked archive" \
		sh -c "! '$MAKE' -s O='$work/one' dist && [ ! -e '$work/one' ]"
fi

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
