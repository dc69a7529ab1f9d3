# SPDX-License-Identifier: MIT
#
# results: the cases in the output of a test program, one a line:
#
#	SUITE <tab> CASE <tab> passed|failed|skipped <tab> SECONDS or - <tab> WORDS
#
#	awk -v suite=live/kill -f tests/results.awk LOG
#
# A test says `ok CASE (N s)`, `FAIL CASE (N s)`, `not ok CASE: WORDS` or
# `SKIP id: CASE: WORDS`; a CUnit suite `  Test: CASE ...passed` or `...FAILED`, with
# what the test prints before that word.  The suite as a whole stands as the case `*`.

function tell(name, result, words,    seconds) {
	seconds = "-"
	if (match(name, / \([0-9.]+ s\)$/)) {
		seconds = substr(name, RSTART + 2, RLENGTH - 5)
		name = substr(name, 1, RSTART - 1)
	}
	print suite "\t" name "\t" result "\t" seconds "\t" words
}

# cut_at_colon LINE: into head and tail.
function cut_at_colon(line,    at) {
	at = index(line, ": ")
	head = at ? substr(line, 1, at - 1) : line
	tail = at ? substr(line, at + 2) : ""
}

/^  Test: / {
	sub(/^  Test: /, "")
	at = index($0, " ...")
	unit = substr($0, 1, at - 1)
}
unit != "" && /(passed|FAILED)$/ {
	tell(unit, /FAILED$/ ? "failed" : "passed", "")
	unit = ""
	next
}
/^ok +/ {
	sub(/^ok +/, "")
	tell($0, "passed", "")
	next
}
/^(FAIL|not ok) +/ {
	sub(/^(FAIL|not ok) +/, "")
	cut_at_colon($0)
	tell(head, "failed", tail)
	next
}
/^SKIP / {
	cut_at_colon(substr($0, 6))
	id = head
	cut_at_colon(tail)
	tell(head, "skipped", id (tail == "" ? "" : ": " tail))
	next
}
/^[0-9]+ passed, [0-9]+ failed/ {
	last = $0
}
END {
	if (last == "")
		tell("*", "failed", "no closing line")
	else
		tell("*", last ~ / 0 failed/ ? "passed" : "failed", last)
}
