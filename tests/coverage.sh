#!/bin/sh
# SPDX-License-Identifier: MIT
#
# coverage: which lines the tests reach, by room.  Run by `make coverage`.
#
#	O=build/cov sh tests/coverage.sh [PATTERN...]
#
# The counters lie in files that are mapped shared (clang's continuous mode), one for each
# program.  So those of a process count that is killed, ends by _exit(2), forks, has no
# descriptors left, or may not open a file any more: nothing needs to be written at its end.
set -u

cd "$(dirname "$0")/.." || exit 1
: "${O:=build/cov}"
O=$(cd "$O" && pwd) || exit 1
export O
# `make deps` has put one aside for all builds.
[ -x "$O/criu/criu" ] || export CRIU="${CRIU:-${O%/*}/criu/criu}"
profiles=$O/profiles found=$O/coverage

if ! command -v llvm-profdata >/dev/null || ! command -v llvm-cov >/dev/null; then
	echo 'coverage: llvm-profdata and llvm-cov are not installed'
	echo 'hint: apt install llvm'
	exit 1
fi

# Some tests run the program as a user that owns nothing, who may not make a file here: not
# sticky, as the kernel keeps others from files in such folders (fs.protected_regular).
rm -rf "$profiles" "$found"
mkdir -p "$found" "$profiles" && chmod 777 "$profiles" || exit 1
(umask 0 && "$O/pagetap" --version && "$O/pagetap-faults" --version) >/dev/null || exit 1
if [ -z "$(ls "$profiles")" ]; then
	echo "coverage: $O/pagetap counts nothing"
	echo "hint: make coverage builds it so"
	exit 1
fi

sh tests/run "$@" | tee "$found/tests.log"
if ! tail -n 1 "$found/tests.log" | grep -q '^[1-9][0-9]* passed'; then
	echo 'coverage: no test has run'
	exit 1
fi

llvm-profdata merge -sparse -o "$found/all.profdata" "$profiles"/*.profraw 2>"$found/profdata.log" &&
	llvm-cov export -format=lcov -instr-profile "$found/all.profdata" "$O/pagetap" \
		-object "$O/pagetap-faults" >"$found/lines.info" 2>"$found/cov.log" || {
	cat "$found/profdata.log" "$found/cov.log"
	exit 1
}
echo
exec python3 -B tests/coverage.py "$found"
