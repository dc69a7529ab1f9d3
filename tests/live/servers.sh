#!/bin/bash
# SPDX-License-Identifier: MIT
#
# servers: postgres and memcached as users of their own, watched while clients work.
# limit: 200
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-load.sh"

# ---- postgres ----------------------------------------------------------------

pg() { echo "$PGBIN/$1"; }
sql() { timeout 60 psql -X -q -A -t -v ON_ERROR_STOP=1 -h "$D/pg" -U postgres "$@"; }
serves() { sql -c 'select 1' postgres >/dev/null 2>&1; }

# postgres: a cluster of our own, with checksums on its pages; SERVER is the postmaster.
postgres() {
	PGBIN=$(printf '%s\n' /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
	[ -x "$(pg initdb)" ] || wrong "no initdb in $PGBIN" || return
	chmod 711 "$W" "$D"
	mkdir "$D/pg"
	chown postgres "$D/pg"
	(cd / && as postgres "$(pg initdb)" -D "$D/pg/data" -k --no-sync --locale=C -A trust) \
		>"$D/initdb.out" 2>&1 || wrong "initdb: $(tail -n 3 "$D/initdb.out")" || return
	# Crashes of the machine are not what this is about.
	(cd / && as postgres "$(pg postgres)" -D "$D/pg/data" -k "$D/pg" -c listen_addresses= \
		-c fsync=off -c shared_buffers=32MB -c autovacuum=off \
		-c log_min_messages=warning) >"$D/server.out" 2>&1 </dev/null &
	SERVER=$!
	started "$SERVER"
	within 20 serves || wrong "postgres does not answer: $(tail -n 3 "$D/server.out")" || return
	timeout 60 "$(pg pgbench)" -h "$D/pg" -U postgres -i -q -s 2 postgres >"$D/init.out" 2>&1 ||
		wrong "pgbench -i: $(tail -n 3 "$D/init.out")"
}

# bench OUT OPTIONS...: some seconds of transactions; adds what was done to TOTAL.
bench() {
	local out=$1
	shift
	timeout 60 "$(pg pgbench)" -h "$D/pg" -U postgres -n -c 4 -j 2 "$@" postgres >"$out" 2>&1 ||
		wrong "pgbench: $(tail -n 3 "$out")" || return
	grep -q '^number of failed transactions: 0 ' "$out" || wrong "transactions failed: $(cat "$out")" ||
		return
	TOTAL=$((TOTAL + $(sed -n 's/^number of transactions actually processed: \([0-9]*\).*/\1/p' "$out")))
	TPS=$(sed -n 's/^tps = \([0-9]*\).*/\1/p' "$out")
}

# Every sum is that of the history, which has a row for each transaction; the indexes
# agree with the tables, the pages with their checksums.
sound() {
	local sums
	sums=$(sql -F ' ' -c 'select (select sum(abalance) from pgbench_accounts),
		(select sum(tbalance) from pgbench_tellers), (select sum(bbalance) from pgbench_branches),
		(select sum(delta) from pgbench_history), (select count(*) from pgbench_history)' postgres) ||
		wrong "no sums" || return
	# shellcheck disable=SC2086
	set -- $sums
	[ "$1" = "$2" ] && [ "$2" = "$3" ] && [ "$3" = "$4" ] || wrong "the sums differ: $sums" || return
	[ "$5" = "$TOTAL" ] || wrong "$5 transactions in the history, $TOTAL made" || return
	timeout 60 "$(pg pg_amcheck)" -h "$D/pg" -U postgres --install-missing --heapallindexed \
		-t 'pgbench_*' postgres >"$D/amcheck.out" 2>&1 || wrong "amcheck: $(head -n 3 "$D/amcheck.out")"
}

# The postmaster and whom it has forked until now; without autovacuum none of them ends soon.
family_of() { echo "$1,$(pgrep -P "$1" | paste -sd ,)"; }

# The postmaster, and of its children those that still live.
family_untouched() {
	local p
	untouched "$SERVER" || return
	for p in $(pgrep -P "$SERVER"); do
		untouched "$p" >"$D/untouched.out" || ended "$p" || wrong "$(cat "$D/untouched.out")" || return
	done
}

case_postgres_under_pgbench() {
	local alone forking bench connects
	TOTAL=0
	postgres || return
	bench "$D/alone.out" -T 2 || return
	alone=$TPS
	bench "$D/alone.out" -C -T 1 || return
	forking=$TPS

	# Connections that stay, and the monitor killed among them.
	bench "$D/first.out" -T 5 -P 1 &
	bench=$!
	started "$bench"
	sleep 1
	record "$D/record.err" -p "$(family_of "$SERVER")" -f -o "$D/1.ndjson"
	wait_attached "$SERVER" || return
	sleep 2
	kill -KILL "$RECORDER"
	end_of "$RECORDER" 5 || return
	family_untouched || return
	end_of "$bench" 30 || return
	[ "$STATUS" = 0 ] || wrong "pgbench while watched: $(tail -n 3 "$D/first.out")" || return
	TOTAL=$((TOTAL + $(sed -n 's/^number of transactions actually processed: \([0-9]*\).*/\1/p' "$D/first.out")))

	# A new connection for each transaction, so a fork; then steady ones again.
	record "$D/record.err" -p "$(family_of "$SERVER")" -f -o "$D/2.ndjson"
	wait_attached "$SERVER" || return
	bench "$D/connects.out" -C -T 2 || return
	say "a connection each: $forking/s alone, watched $(share "$TPS" "$forking") of that"
	bench "$D/second.out" -T 3 || return
	say "$alone/s alone, watched $(share "$TPS" "$alone") of that"
	sql -c vacuum -c checkpoint postgres || wrong "vacuum" || return
	stop_record "$RECORDER" || return
	family_untouched || return
	honest "$D/1.ndjson" 100 --allow-cut && honest "$D/2.ndjson" 100 || return
	# A backend a transaction, with -C; some are told of as not followed under load.
	connects=$(sed -n 's/^number of transactions actually processed: \([0-9]*\).*/\1/p' "$D/connects.out")
	[ "$(count "$D/2.ndjson" ".ev == \"fork\" and .pid == $SERVER and .followed")" -gt $((connects / 2)) ] ||
		wrong "hardly a backend of $connects was followed" || return
	say "$(faults "$D/1.ndjson") and $(faults "$D/2.ndjson") faults," \
		"$(count "$D/2.ndjson" '.ev == "fork"') forks"

	sound || return
	kill -INT "$SERVER"
	end_of "$SERVER" 20 || return
	[ "$STATUS" = 0 ] || wrong "postgres ended with status $STATUS" || return
	(as postgres "$(pg pg_checksums)" -c -D "$D/pg/data") >"$D/checksums.out" 2>&1 ||
		wrong "checksums: $(tail -n 3 "$D/checksums.out")" || return
	# Who asks whether it is there yet is told that it is starting.
	! grep -E 'WARNING|ERROR|FATAL|PANIC' "$D/server.out" | grep -v 'is starting up' ||
		wrong "its log tells of errors"
}

# ---- memcached ---------------------------------------------------------------

answers_on() { [ -S "$1" ]; }

case_memcached_of_nobody() {
	local server client
	chmod 711 "$W"
	chmod 777 "$D"
	(as nobody memcached -s "$D/socket" -a 0777 -m 64 -t 4 -v) >"$D/server.out" 2>&1 </dev/null &
	server=$!
	started "$server"
	within 10 answers_on "$D/socket" || wrong "memcached does not listen" || return
	start_target "$D/client.out" /usr/bin/python3 "$P/memcached-client.py" "$D/socket" "$D/count" \
		"$D/stop" || return
	client=$TARGET
	watched_twice "$server" "$D/count" || return
	checks_itself "$client" "$D/client.out" "$D/stop" || return
	[ "$(awk '/^Uid/ { print $2 }' "/proc/$server/status")" != 0 ] || wrong "memcached runs as root" ||
		return
	kill -INT "$server"
	end_of "$server" 10 || return
	[ "$STATUS" = 0 ] || wrong "memcached ended with status $STATUS" || return
	! grep -iE 'error|fail' "$D/server.out" || wrong "its log tells of errors"
}

run_cases "$@"
