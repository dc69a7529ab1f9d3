# SPDX-License-Identifier: MIT
"""What programs lose while they are watched: redis, sqlite3, python.

Who watches redis attaches to a server that holds its data; sqlite3 and python are
started under the watcher, and read the clock themselves, so that starting is not counted.
"""
import os
import re
import signal
import socket
import statistics
import subprocess
import threading
import time

from first_write import perf_seen
from harness import Broken, Pagetap, memory, rounds, run_time, tool, totals, turned

KEYS, VALUE = 1000000, 900	# about 1 GiB as redis keeps it
REQUESTS, FEW = 200000, 10000	# for who slows little, and for who slows much
CENSUS = ["--engine", "async", "--epoch", "1000"]

SQL = """
.timer on
pragma journal_mode = memory;
create table t(a integer primary key, b text, c integer);
begin;
with recursive n(i) as (select 1 union all select i + 1 from n where i < 100000)
insert into t select i, hex(randomblob(20)), i * 7919 % 100003 from n;
commit;
create index i on t(c);
update t set b = b || c where c % 3 = 0;
select count(distinct b) from t;
"""

PYTHON = """
import time
begin = time.perf_counter()
d = {}
for i in range(900000):
    d[i * 7919 % 300007] = [i, str(i)]
s = sorted(d.values(), key=lambda v: v[1])
print("seconds", time.perf_counter() - begin)
"""


class Redis:
    """A server with a data set, on a socket of its own."""

    def __init__(self, bench):
        self.dir = bench.scratch("redis")
        os.makedirs(self.dir, exist_ok=True)
        self.path = os.path.join(self.dir, "socket")
        self.process = subprocess.Popen(
            ["redis-server", "--port", "0", "--unixsocket", self.path, "--dir", self.dir,
             "--save", "", "--appendonly", "no", "--enable-debug-command", "yes"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.pid = self.process.pid
        until = time.monotonic() + 20
        while not os.path.exists(self.path):
            if time.monotonic() > until or self.process.poll() is not None:
                raise Broken("redis-server does not start")
            time.sleep(0.05)
        self.say(f"DEBUG POPULATE {KEYS} key {VALUE}")

    def say(self, line):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(120)
            s.connect(self.path)
            s.sendall(line.encode() + b"\r\n")
            if not (answer := s.recv(4096)).startswith(b"+"):
                raise Broken(f"redis: {answer!r}")

    def load(self, requests):
        """{"SET": (requests a second, p99 ms), "GET": ...}"""
        p = subprocess.run(
            ["redis-benchmark", "-s", self.path, "-t", "set,get", "-r", str(KEYS), "-d",
             str(VALUE), "-n", str(requests), "-c", "20", "--csv"], capture_output=True,
            text=True, timeout=300, check=False, stdin=subprocess.DEVNULL)
        found = {}
        for line in p.stdout.splitlines()[1:]:
            words = line.replace('"', "").split(",")
            found[words[0]] = (float(words[1]), float(words[6]))
        if set(found) != {"SET", "GET"}:
            raise Broken(f"redis-benchmark: {p.stdout[-200:]}{p.stderr[-200:]}")
        return found

    def end(self):
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Monitor:
    """Samples what a monitor takes while `with` lasts."""

    def __init__(self, pid):
        self.pid, self.kib, self.over = pid, 0, threading.Event()
        self.thread = threading.Thread(target=self.sample)

    def sample(self):
        while not self.over.wait(0.25):
            self.kib = max(self.kib, memory(self.pid))

    def __enter__(self):
        self.begin, self.ran = time.monotonic(), run_time(self.pid)
        self.thread.start()
        return self

    def __exit__(self, *exc):
        self.kib = max(self.kib, memory(self.pid))
        self.cpu = (run_time(self.pid) - self.ran) / 1e7 / (time.monotonic() - self.begin)
        self.over.set()
        self.thread.join()


class Other:
    """Another tool on a running process."""

    def __init__(self, argv, pid, out=None):
        self.out = out
        self.process = subprocess.Popen([*argv, str(pid)], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(0.7)		# they do not say when they are ready
        if self.process.poll() is not None:
            raise Broken(f"{argv[0]} ended with {self.process.returncode}")

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired as e:
            self.process.kill()
            raise Broken("a tool does not end") from e


def redis_ways(bench):
    trace, data = bench.scratch("redis.ndjson"), bench.scratch("redis.data")
    perf = ["perf", "record", "-q", "-e", "page-faults", "-c", "1", "-d", "-g", "-o", data, "-p"]
    strace = ["strace", "-qq", "-f", "-o", "/dev/null", "-p"]
    watch = lambda *options: lambda pid: Pagetap(bench, pid, options, out=trace)
    bare = [bench.program("bare-census"), "1000"]
    return [
        ("untraced", REQUESTS, lambda pid: None),
        ("bare WP_ASYNC, 1 Hz", REQUESTS,
         (lambda pid: Other(bare, pid)) if bench.has_async else None),
        ("pagetap async, census 1 Hz", REQUESTS, watch(*CENSUS) if bench.has_async else None),
        ("pagetap async --who", REQUESTS, watch(*CENSUS, "--who") if bench.has_who else None),
        ("pagetap sync", FEW, watch("--engine", "sync")),
        ("perf record -e page-faults -d -g", REQUESTS,
         (lambda pid: Other(perf, pid, data)) if tool("perf") else None),
        ("strace -f", FEW, (lambda pid: Other(strace, pid)) if tool("strace") else None),
    ]


def seen_by(way):
    """(writes seen, lost) of a watcher that has stopped."""
    if isinstance(way, Pagetap):
        last = totals(way.out)
        return (last["records"].get("fault", 0) or last.get("dirty_pages", 0),
                last["unseen"])
    if isinstance(way, Other) and way.out:
        return perf_seen(way.out)
    return None


def redis_round(server, way, requests, notes):
    watcher = way(server.pid)
    try:
        if isinstance(watcher, Pagetap):
            time.sleep(0.5)	# until all is armed
            with Monitor(watcher.pid) as m:
                found = server.load(requests)
            notes["kib"].append(m.kib)
            notes["cpu"].append(m.cpu)
        else:
            found = server.load(requests)
    finally:
        if watcher:
            watcher.stop()
    if seen := seen_by(watcher):
        notes["seen"].append(seen[0])
        notes["lost"].append(seen[1])
    if watcher and watcher.out:
        for path in (watcher.out, watcher.out + ".old"):
            if os.path.exists(path):
                os.unlink(path)
    return found


def redis(bench):
    if not tool("redis-server") or not tool("redis-benchmark"):
        bench.missing("redis SET", "redis", "not installed")
        bench.table("redis", "redis SET")
        return
    ways = redis_ways(bench)
    found = {name: [] for name, _, _ in ways}
    notes = {name: {"kib": [], "cpu": [], "seen": [], "lost": []} for name, _, _ in ways}
    server = Redis(bench)
    try:
        server.load(REQUESTS)	# every page is there before the first round
        with open(f"/proc/{server.pid}/status", encoding="ascii") as f:
            rss = next(int(line.split()[1]) for line in f if line.startswith("VmRSS"))
        for n in rounds(180):
            for name, requests, way in turned(ways, n):
                if way:
                    found[name].append(redis_round(server, way, requests, notes[name]))
    finally:
        server.end()
    for name, _, way in ways:
        note, more = notes[name], {}
        if not way:
            bench.missing("redis SET", name, "not here")
            continue
        if note["seen"]:
            more = {"seen": statistics.median(note["seen"]), "lost": sum(note["lost"])}
        words = f"saw {more['seen']:.0f}, lost {more['lost']:.0f}" if more else ""
        for what in ("SET", "GET"):
            bench.add(f"redis {what}", name, "requests/s", [f[what][0] for f in found[name]],
                      words, **more)
            bench.add(f"redis {what} p99", name, "ms", [f[what][1] for f in found[name]])
        if note["kib"]:
            bench.add("monitor", f"{name}, on redis", "KiB", note["kib"],
                      f"CPU {statistics.median(note['cpu']):.1f} % of one",
                      cpu=note["cpu"], covered_kib=rss)
    for what in ("SET", "GET"):
        bench.table(f"redis-benchmark {what}, {rss / 2 ** 20:.1f} GiB", f"redis {what}")
        bench.table(f"redis-benchmark {what}, p99", f"redis {what} p99")
    bench.table("monitor: memory", "monitor")


def launched(bench, name, argv, parse):
    """A command under each watcher; seconds that it says itself."""
    data = bench.scratch("launched")
    sync = ["--engine", "sync"]
    record = [bench.pagetap, "record", "-q", "-f", "-o", "/dev/null"]
    ways = [
        ("untraced", []),
        ("pagetap async, census 1 Hz", [*record, *CENSUS, "--"] if bench.has_async else None),
        ("pagetap async --who",
         [*record, *CENSUS, "--who", "--"] if bench.has_who else None),
        ("pagetap sync", [*record, *sync, "--"]),
        ("perf record -e page-faults -d -g",
         ["perf", "record", "-q", "-e", "page-faults", "-c", "1", "-d", "-g", "-o", data, "--"]
         if tool("perf") else None),
        ("strace -f", ["strace", "-f", "-o", "/dev/null"] if tool("strace") else None),
    ]
    seconds = {way: [] for way, _ in ways}
    for n in rounds(40):
        for way, before in turned(ways, n):
            if before is None:
                continue
            p = subprocess.run([*before, *argv], capture_output=True, text=True, timeout=300,
                               check=False, stdin=subprocess.DEVNULL)
            if p.returncode:
                raise Broken(f"{name} under {way} ended with {p.returncode}: {p.stderr[-200:]}")
            seconds[way].append(parse(p.stdout))
    for way, before in ways:
        if before is None:
            bench.missing(name, way, "not here")
        else:
            bench.add(name, way, "s", seconds[way])
    bench.table(name, name)


def run(bench):
    redis(bench)
    if tool("sqlite3"):
        script = bench.scratch("script.sql")
        with open(script, "w", encoding="ascii") as f:
            f.write(SQL)
        launched(bench, "sqlite3", ["sqlite3", "-batch", "-init", script, ":memory:", ".quit"],
                 lambda out: sum(float(x) for x in re.findall(r"real (\S+)", out)))
    else:
        bench.missing("sqlite3", "sqlite3", "not installed")
    launched(bench, "python", ["/usr/bin/env", "python3", "-c", PYTHON],
             lambda out: float(out.split()[-1]))
    bars(bench)


def bars(bench):
    census, who = "pagetap async, census 1 Hz", "pagetap async --who"
    perf = "perf record -e page-faults -d -g"
    rate = bench.ratio("redis SET", census, "untraced")
    p99 = bench.ratio("redis SET p99", census, "untraced")
    limit = bench.ratio("redis SET p99", "bare WP_ASYNC, 1 Hz", "untraced")
    bench.bar("redis SET under a 1 Hz census, 1 GiB", "0.97 x, p99 at most 1.1 x",
              None if rate is None else f"{rate:.3f} x, p99 {p99:.2f} x (bare {limit:.2f} x)",
              rate is not None and rate >= 0.97 and p99 <= 1.1)
    rate = bench.ratio("redis SET", who, perf)
    seen = {e["row"]: e.get("seen", 0) for e in bench.rows if e["group"] == "redis SET"}
    bench.bar("redis SET under --who against perf record", "above 1, more writes seen",
              None if rate is None else f"{rate:.2f} x, {seen[who]:.0f} against {seen[perf]:.0f}",
              rate is not None and rate > 1 and seen[who] > seen[perf])
    watched = [e for e in bench.rows if e["group"] == "monitor" and "covered_kib" in e]
    if watched:
        e = max(watched, key=lambda r: r["max"])
        limit = 64 * 1024 + e["covered_kib"] / 1000
        bench.bar("monitor memory", f"at most {limit / 1024:.0f} MiB", f"{e['max'] / 1024:.0f} MiB"
                  f" ({e['row']})", e["max"] <= limit)
    else:
        bench.bar("monitor memory", "64 MiB + 0.1 %", None, False)
