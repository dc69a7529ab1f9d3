#!/bin/bash
# SPDX-License-Identifier: MIT
#
# sql: the typed views for sqlite3 say what jq and the report say.
# limit: 60
set -u
# shellcheck source=tests/live/lib.sh
. "${SRC:?}/tests/live/lib.sh"

DATA=$SRC/tests/data/trace

# ask SQL: of the data base, columns separated by blanks.
ask() { timeout 30 sqlite3 -batch -separator ' ' "$D/t.db" "$1" 2>>"$D/sql.err"; }

# loaded TRACE: as the manual page says.
loaded() {
	rm -f "$D/t.db"
	sed 's/^  *//' >"$D/load" <<-EOF
		create table trace (line text);
		.mode ascii
		.separator "\037" "\n"
		.import $1 trace
		.read $O/sqlite.sql
	EOF
	timeout 30 sqlite3 -batch "$D/t.db" <"$D/load" >"$D/load.out" 2>&1 || wrong 'sqlite3' || return
	[ ! -s "$D/load.out" ] || wrong "sqlite3 says $(head -n 1 "$D/load.out")"
}

# same WHAT LEFT RIGHT
same() { [ "$2" = "$3" ] || wrong "$1: ${2//$'\n'/ | } in SQL, ${3//$'\n'/ | } in jq"; }

every_view() {
	local views
	views=$(ask "select 'select * from ' || name || ';' from sqlite_schema where type = 'view'")
	[ "$(wc -l <<<"$views")" -ge 19 ] || wrong "views: $views" || return
	: >"$D/sql.err"
	ask "$views" >"$D/view.out"
	[ ! -s "$D/sql.err" ] || wrong "a view: $(head -n 1 "$D/sql.err")"
}

agrees() {
	loaded "$1" || return
	every_view || return
	"$PAGETAP" report -q --json --top 0 "$1" >"$D/report.json" || wrong 'report' || return
	same "writes of ${1##*/}" "$(ask 'select coalesce(sum(n), 0) from writes')" \
		"$(jq .total.written "$D/report.json")" || return
	same "writes by thread of ${1##*/}" "$(ask 'select pid, tid, writes from writes_by_thread order by 1, 2')" \
		"$(jq -r '.threads[] | select(.writes > 0) | [.pid, .tid, .writes] | @tsv' "$D/report.json" |
			tr '\t' ' ' | sort -n -k1,1 -k2,2)" || return
	same "kinds of ${1##*/}" "$(ask "select ev, count(*), count(ts), sum(page), sum(npages) from records group by ev order by ev")" \
		"$(jq -rs 'group_by(.ev)[] | [.[0].ev, length, (map(select(.ts)) | length),
			(map(.page // empty) | if length > 0 then add else "" end),
			(map(.npages // empty) | if length > 0 then add else "" end)] | join(" ")' "$1")" || return
	# Where writes are not watched the report counts the faults of a page.
	jq -se '.[0].modes | index("write")' "$1" >/dev/null || return 0
	same "pages of ${1##*/}" "$(ask 'select mm, page * 4096, writes from hot_pages order by 1, 2')" \
		"$(jq -r '.pages[] | select(.written > 0) | [.mm, .page * 4096, .written] | @tsv' "$D/report.json" |
			tr '\t' ' ' | sort -n -k1,1 -k2,2)"
}

case_samples() {
	local trace
	for trace in "$DATA"/*.ndjson; do
		agrees "$trace" || return
	done
}

case_types() {
	loaded "$DATA/every-kind.ndjson" || return
	same 'types' "$(ask 'select distinct typeof(ts), typeof(page), typeof("write"), typeof(lat_ns), typeof(addr) from faults where via = '"'uffd'")" \
		'integer integer integer integer text' || return
	same 'frames' "$(ask 'select stack, depth, addr from frames order by 1, 2')" \
		"$(jq -r 'select(.ev=="stack") | .id as $i | .frames | to_entries[] | "\($i) \(.key) \(.value)"' "$DATA/every-kind.ndjson")"
}

run_cases "$@"
