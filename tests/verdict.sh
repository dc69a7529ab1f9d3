# SPDX-License-Identifier: MIT
# shellcheck shell=sh
#
# verdict: how a check says what it found.  To be sourced; `verdict` is its last command.
passed=0 failed=0

# judge WORDS WANTED FOUND
judge() {
	if [ "$2" = "$3" ]; then
		passed=$((passed + 1))
		echo "ok    $1"
	else
		failed=$((failed + 1))
		echo "FAIL  $1"
		printf '%s\n' "${3:-nothing found}" | sed 's/^/      /' | head -n 20
	fi
}

verdict() {
	echo "$passed passed, $failed failed"
	[ "$failed" = 0 ]
}
