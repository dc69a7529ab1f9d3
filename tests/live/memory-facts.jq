# SPDX-License-Identifier: MIT
#
# memory-facts: what tests/target/memory-*.c say, held against a trace.
#
#	jq -n -r --argjson pid PID --argjson followed true --slurpfile facts FACTS -f ... TRACE
#
# Prints a line for every fact that the trace does not tell as it should.

def spans($p): .page != null and .page <= $p and $p < .page + (.npages // 1);

[inputs] as $all
| [$all[] | select(.ev == "fault" and .write == true)] as $writes
# By process and page, for there may be many of both.
| (reduce $writes[] as $w ({};
	.["\($w.pid) \($w.page)"] += [$w])) as $by_page
| [$all[] | select(.ev == "gap")] as $gaps
| [$all[] | select(.ev == "fork") | .child] as $children
| [$facts[] | select(.is == "child") | .pid] as $real
| (if ($facts | any(.is == "child")) then
	# null: it ended before it could be told which one it was.
	($children - $real | map(select(. != null) | "process \(.) is a ghost")[]),
	(if ($children | length) != ($real | length) then
		"\($real | length) children, \($children | length) told of" else empty end)
   else empty end),
  ($facts[]
  | . as $f
  | ($f.pid // $pid) as $who
  | select(($f.followed // false | not) or $followed)
  | range($f.page; $f.page + $f.n) as $p
  | ($by_page["\($who) \($p)"] // []) as $told
  | if $f.is == "wrote" or $f.is == "huge" then
	if ($told | length) != 1 then
		"page \($p) (of \($f.n) from \($f.page)): written once, told \($told | length) times"
	elif $f.tid != 0 and $told[0].tid != $f.tid then
		"page \($p): written by \($f.tid), told by \($told[0].tid)"
	elif $f.is == "huge" and $told[0].npages != 512 then
		"page \($p): a huge page, told with \($told[0].npages) pages"
	else empty end
  elif $f.is == "quiet" then
	if $told != [] then "page \($p) (of \($f.n) from \($f.page)): not written, but told" else empty end
  elif $f.is == "declared" then
	if $told == [] and ([$gaps[] | select(.pid == $who and (.page == null or spans($p)))] == []) then
		"page \($p) (of \($f.n) from \($f.page)): neither told nor declared"
	else empty end
  elif $f.is == "why" then
	([$all[] | select(.ev == "vma" and .pid == $who and spans($p) and .op != "gone")] | last) as $v
	| if $v == null then "page \($p): no mapping is told of"
	  elif $v.watch or $v.why != $f.why then "page \($p): watch \($v.watch), why \($v.why), not \($f.why)"
	  else empty end
  elif $f.is == "event" then
	if [$all[] | select(.ev == $f.ev and .pid == $who and spans($p))] == [] then
		"page \($p): no \($f.ev) is told of"
	else empty end
  else empty end)
