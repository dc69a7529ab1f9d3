# What the target says it wrote, against the dirty records: each write is told in a
# record whose interval holds it, and no record tells of a page that was not written in
# its interval.  A write that was dropped afterwards is told or declared as a gap.
# $facts: lines of the target; $pid: whose; $from: whose kinds must be told.
def overlap($r; $f): $r.t0 <= $f.end and $r.t1 >= $f.begin;

[inputs] as $all
| $all[0].base_mono_ns as $base
| [$all[] | select((.ev == "dirty" or .ev == "gap") and .pid == $pid)
	| {ev, t0: (.ts0 + $base), t1: (.ts + $base), lo: (.page // 0),
	   hi: (if .page then .page + .npages else 1e18 end)}] as $told
| [$facts[] | .] as $wrote
| ([$wrote[] | select(.kind | test($from)) | . as $f | .pages[] | . as $p
	| select(any($told[]; .lo <= $p and $p < .hi and overlap(.; $f)
		and (.ev == "dirty" or $f.is == "lost"
		     or any($wrote[]; .is == "lost" and .begin <= $f.begin and $f.end <= .end
				      and any(.pages[]; . == $p))
		     or ($f.kind | test("gone")))) | not)
	| "\($f.kind): page \($p), written at \($f.begin - $base), is not told"]
   + [$told[] | select(.ev == "dirty") | . as $d
	| $wrote[] | select(.is == "round") | . as $r
	| range([$d.lo, $r.page] | max; [$d.hi, $r.page + $r.n] | min) as $p
	| ($p - ($p - $r.page) % $r.step) as $first
	| select(any($wrote[]; any(.pages[]; . == $first) and overlap($d; .)) | not)
	| "\($r.kind): page \($p) was not written between \($d.t0 - $base) and \($d.t1 - $base)"])
| unique | if . == [] then "\($wrote | length) facts" else error(.[0:5] | join("; ")) end
