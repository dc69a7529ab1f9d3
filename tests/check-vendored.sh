#!/bin/sh
# SPDX-License-Identifier: MIT
#
# check-vendored: what is in third_party/ is what its authors published, no more, and
# has its licence.
set -u

cd "$(dirname "$0")/.." || exit 1
passed=0 failed=0

# judge WORDS COMMAND...: passes if the command complains of nothing.
judge() {
	words=$1
	shift
	if found=$("$@" 2>&1) && [ -z "$found" ]; then
		passed=$((passed + 1))
		echo "ok    $words"
	else
		failed=$((failed + 1))
		echo "FAIL  $words"
		echo "$found" | sed 's/^/      /'
	fi
}

# A sum for each file, and no file without one.
all_summed() {
	(cd "$1" && find . -type f ! -name SHA256SUMS | sed 's|^\./||' | while read -r f; do
		grep -qx "[0-9a-f]\{64\}  $f" SHA256SUMS || echo "$f has no checksum"
	done)
}
sums_hold() { (cd "$1" && sha256sum -c --strict --quiet SHA256SUMS); }
has_licence() { [ -s "$1/LICENSE" ] || echo 'no LICENSE'; }

for room in third_party/*/; do
	room=${room%/}
	judge "$room: the checksums hold" sums_hold "$room"
	judge "$room: every file has one" all_summed "$room"
	judge "$room: its licence is there" has_licence "$room"
done

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
