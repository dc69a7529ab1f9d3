#!/bin/sh
# SPDX-License-Identifier: MIT
#
# check-aarch64: the library compiles for the other architecture, without a warning.
# It is not run: see HACKING.md.
set -u

cd "$(dirname "$0")/.." || exit 1
: "${O:=build}" "${MAKE:=make}"

if $MAKE -s O="$O" aarch64 2>&1; then
	n=$(find "$O/aarch64" -name '*.o' -exec readelf -h {} + | grep -c 'Machine: *AArch64')
	if [ "$n" -gt 5 ] && [ -e "$O/aarch64/inject/arch-aarch64.o" ]; then
		echo "ok    $n objects"
		echo '1 passed, 0 failed'
		exit 0
	fi
	echo "FAIL  $n objects"
fi
echo '0 passed, 1 failed'
exit 1
