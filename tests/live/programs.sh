#!/bin/bash
# SPDX-License-Identifier: MIT
#
# programs: redis, python3 and sqlite3 do the same work watched and unwatched.
# limit: 300
. "$(dirname "$0")/lib.sh"

# ---- redis -------------------------------------------------------------------

# redis DIR SOCKET [OPTIONS...]: a server of our own, on no port; SERVER is its pid.
redis() {
	local dir=$1 socket=$2
	shift 2
	mkdir -p "$dir"
	redis-server --port 0 --unixsocket "$socket" --dir "$dir" --save '' --appendonly no \
		--daemonize no --enable-debug-command yes --logfile "$dir/log" "$@" \
		>"$dir/redis.out" 2>&1 </dev/null &
	SERVER=$!
	started "$SERVER"
	within 20 answers "$socket" || wrong "redis-server does not answer: $(tail -n 3 "$dir/log")"
}

cli() { timeout 60 redis-cli -s "$@"; }
answers() { [ "$(cli "$1" ping 2>/dev/null)" = PONG ]; }
saved() { cli "$1" info persistence | tr -d '\r' | grep -q '^rdb_bgsave_in_progress:0'; }

case_redis_across_a_bgsave() {
	local a=$D/a.sock b=$D/b.sock trace=$D/t.ndjson server bench child threads
	redis "$D/a" "$a" || return
	server=$SERVER
	timeout 60 redis-benchmark -s "$a" -q -t set,hset,lpush,sadd,zadd -n 20000 -r 20000 -d 200 \
		>"$D/before.out" 2>&1 || wrong "redis-benchmark, unwatched" || return
	threads=$(ls "/proc/$server/task")

	record "$D/record.err" -p "$server" -f -o "$trace" -d 10
	wait_attached "$server" || return
	timeout 60 sh -c "while [ ! -e '$D/enough' ]; do
		redis-benchmark -s '$a' -q -t set,get,hset,lpush,sadd,zadd -n 4000 -r 20000 -d 200 || exit 1
	done" >"$D/bench.out" 2>&1 &
	bench=$!
	started "$bench"
	sleep 3
	[[ "$(cli "$a" bgsave)" == *started* ]] || wrong "BGSAVE" || return
	end_of "$RECORDER" 40 || return
	[ "$STATUS" = 0 ] || wrong "record exited with $STATUS" || return
	touch "$D/enough"
	end_of "$bench" 30 || return
	[ "$STATUS" = 0 ] || wrong "redis-benchmark exited with $STATUS" || return
	! grep -qi error "$D/bench.out" || wrong "a client saw an error" || return
	[ -z "$(cli "$a" info errorstats | grep -v '^#' | tr -d '\r\n')" ] ||
		wrong "the server counted errors: $(cli "$a" info errorstats)" || return
	within 20 saved "$a" || wrong "BGSAVE never ended" || return
	cli "$a" info persistence | grep -q '^rdb_last_bgsave_status:ok' ||
		wrong "BGSAVE failed: $(tail -n 3 "$D/a/log")" || return
	untouched "$server" || return
	threads+=" $(ls "/proc/$server/task")"

	# An unwatched server that loads what this one holds now.
	cli "$a" save >/dev/null
	mkdir -p "$D/b"
	cp "$D/a/dump.rdb" "$D/b/"
	redis "$D/b" "$b" || return
	[ "$(cli "$a" debug digest)" = "$(cli "$b" debug digest)" ] ||
		wrong "the digests differ" || return
	[ "$(cli "$a" dbsize)" -gt 1000 ] || wrong "only $(cli "$a" dbsize) keys" || return

	valid "$trace" || return
	child=$(sed -n 's/.*Background saving started by pid \([0-9]*\).*/\1/p' "$D/a/log")
	[ "$(count "$trace" ".ev == \"fork\" and .pid == $server and .child == $child and .followed")" = 1 ] ||
		wrong "the trace does not tell of the fork of $child" || return
	local stranger mms
	stranger=$(jq -r "select(.ev == \"fault\" and .pid == $server) | .tid" "$trace" | sort -u |
		grep -vxF "$(echo "$threads" | tr ' ' '\n')")
	[ -z "$stranger" ] || wrong "faults of the server by threads $stranger" || return
	stranger=$(jq -r "select(.ev == \"fault\" and .pid == $child) | .tid" "$trace" | sort -u)
	[ "$stranger" = "$child" ] || wrong "faults of the child $child by threads '$stranger'" || return
	# Each address space belongs to one process.
	mms=$(jq -r 'select(.ev == "fault") | "\(.pid) \(.mm)"' "$trace" | sort -u | wc -l)
	[ "$mms" = "$(jq -r 'select(.ev == "fault") | .mm' "$trace" | sort -u | wc -l)" ] ||
		wrong "an address space is of two processes" || return
	say "$(grep -c '^{"ev":"fault"' "$trace") faults, $(count "$trace" ".ev == \"fault\" and .pid == $child") of them of the child"
}

# ---- python3 -----------------------------------------------------------------

write_python() {
	cat >"$D/work.py" <<'PY'
import hashlib, os, sys, threading

N = 6
results = [None] * N
print("ready pid=%d" % os.getpid(), flush=True)
if len(sys.argv) > 1:
    with open(sys.argv[1], "rb") as gate:
        gate.read(1)

def work(me):
    h = hashlib.sha256(b"%d" % me)
    keep, table = [], {}
    for i in range(8000):
        block = bytearray(h.digest() * 64)
        block[i % len(block)] ^= me
        h.update(block)
        keep.append(bytes(block))
        table[h.hexdigest()] = [i] * (i % 50)
        if len(keep) > 300:
            h.update(keep.pop((i * 7) % 200))
    h.update(repr(sorted((k, len(v)) for k, v in table.items())).encode())
    results[me] = h.hexdigest()

threads = [threading.Thread(target=work, args=(i,)) for i in range(N)]
for t in threads:
    t.start()
pid = os.fork()
if pid == 0:
    os._exit(17 if hashlib.sha256(b"x" * 100000).hexdigest()[:2] == "d6" else 18)
for t in threads:
    t.join()
print("child", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
for r in results:
    print(r)
PY
}

case_python_with_six_threads() {
	local p
	write_python
	timeout 60 /usr/bin/python3 "$D/work.py" >"$D/alone.out" 2>&1 || wrong "unwatched run" || return
	mkfifo "$D/gate"
	start_target "$D/watched.out" /usr/bin/python3 "$D/work.py" "$D/gate" || return
	p=$TARGET
	record "$D/record.err" -p "$p" -f -o "$D/t.ndjson"
	wait_attached "$p" || return
	timeout 5 sh -c "echo >'$D/gate'" || return
	end_of "$p" 100 || return
	[ "$STATUS" = 0 ] || wrong "python exited with $STATUS" || return
	end_of "$RECORDER" 20 || return
	[ "$STATUS" = 0 ] || wrong "record exited with $STATUS" || return
	diff <(tail -n +2 "$D/alone.out") <(tail -n +2 "$D/watched.out") >"$D/difference.out" ||
		wrong "its output is another one" || return
	[ "$(wc -l <"$D/watched.out")" = 8 ] || wrong "no results" || return
	valid "$D/t.ndjson" || return
	[ "$(jq -r "select(.ev == \"fault\" and .pid == $p) | .tid" "$D/t.ndjson" | sort -u | wc -l)" -ge 7 ] ||
		wrong "not all seven threads are seen to write" || return
	say "$(grep -c '^{"ev":"fault"' "$D/t.ndjson") faults"
}

# ---- sqlite3 -----------------------------------------------------------------

write_sql() {
	cat <<'SQL'
pragma page_size = 4096;
pragma cache_size = 4000;
create table t(id integer primary key, k text, v blob);
create index t_k on t(k);
begin;
with recursive n(i) as (select 1 union all select i + 1 from n where i < 300000)
	insert into t select i, printf('%08x', (i * 2654435761) % 4294967296), zeroblob(i % 97) from n;
commit;
update t set v = k || v where id % 3 = 0;
delete from t where id % 7 = 0;
create table s as select substr(k, 1, 2) p, count(*) c, sum(length(v)) l from t group by p;
select count(*), sum(c), sum(l) from s;
pragma integrity_check;
.dump s
select hex(sum(length(k) * id)), total(id) from t;
.quit
SQL
}

case_sqlite() {
	local p
	write_sql >"$D/script.sql"
	timeout 60 sqlite3 "$D/alone.db" <"$D/script.sql" >"$D/alone.out" 2>&1 || wrong "unwatched run" || return
	mkfifo "$D/in"
	sqlite3 "$D/watched.db" <"$D/in" >"$D/watched.out" 2>&1 &
	p=$!
	started "$p"
	exec 9>"$D/in"
	record "$D/record.err" -p "$p" -o "$D/t.ndjson" 9>&-
	wait_attached "$p" || return
	timeout 60 cat "$D/script.sql" >&9
	exec 9>&-
	end_of "$p" 100 || return
	[ "$STATUS" = 0 ] || wrong "sqlite3 exited with $STATUS" || return
	end_of "$RECORDER" 20 || return
	[ "$STATUS" = 0 ] || wrong "record exited with $STATUS" || return
	cmp "$D/alone.out" "$D/watched.out" || wrong "its output is another one" || return
	grep -q '^ok$' "$D/watched.out" || wrong "the database is damaged" || return
	cmp <(sqlite3 "$D/alone.db" .dump) <(sqlite3 "$D/watched.db" .dump) ||
		wrong "the databases differ" || return
	valid "$D/t.ndjson" || return
	[ "$(count "$D/t.ndjson" '.ev == "fault" and .write')" -gt 100 ] || wrong "hardly a write seen" || return
	say "$(grep -c '^{"ev":"fault"' "$D/t.ndjson") faults"
}

run_cases "$@"
