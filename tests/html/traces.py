# SPDX-License-Identifier: MIT
"""Traces whose every write is known, and one whose every name is hostile.

	traces.py known FILE
	traces.py hostile FILE LIBRARY BUILD_ID SYMBOL_OFFSET

The known one: three seconds; a heap of 64 pages, page k written k % 4 + 1 times in the
first second and once in the third; 64 pages of memory in two places far from each
other, written one after another in the second second, seven of ten by liba.so and three
by libb.so; a gap, a loss, a fork.
"""
import json
import sys

PAGE = 4096
HEAP, NEAR, FAR, CODE = 0x560000000000, 0x7f0000000000, 0x7f5500000000, 0x7fff00000000


class Trace:
    def __init__(self, path, **header):
        self.file = open(path, "w", encoding="utf-8")
        self.seq = 0
        line = {"ev": "header", "schema": "pagetap.trace/1", "tool": "pagetap", "version": "0",
                "clock": "CLOCK_MONOTONIC", "base_mono_ns": 0,
                "base_real": "2026-03-01T12:00:00.000000001Z", "page_size": PAGE,
                "host": "db1", "kernel": "6.18.0", "arch": "x86_64", "engine": "sync",
                "modes": ["write"], "features": [], "events": [], "argv": []}
        self.write({**line, **header})

    def write(self, line):
        self.file.write(json.dumps(line, separators=(",", ":")) + "\n")

    def record(self, ev, ts, mm=1, pid=4242, **keys):
        self.seq += 1
        self.write({"ev": ev, "seq": self.seq, "ts": int(ts), "pid": pid, "mm": mm, **keys})

    def vma(self, number, addr, npages, name, kind, prot="rw-p", **keys):
        self.record("vma", 1000, id=number, op="snapshot", addr=hex(addr), page=addr // PAGE,
                    npages=npages, prot=prot, name=name, **{"off": 0, "ino": 0, **keys},
                    kind=kind, watch=True)

    def fault(self, ts, vma, addr, tid=4242, stack=None, ip=None):
        more = {"via": "uffd", "lat_ns": 6100, "stop_ns": 9100, "act": "unprotect"}
        if stack:
            more = {"via": "perf", "lat_ns": None, "stop_ns": None, "act": "none",
                    "ts0": int(ts), "ip": hex(ip), "stack": stack}
        act, via = more.pop("act"), more.pop("via")
        self.record("fault", ts, tid=tid, kind="wp", write=True, addr=hex(addr),
                    page=addr // PAGE, npages=1, vma=vma, act=act, via=via, **more)

    def close(self):
        self.file.close()


def heap_writes():
    """(ts, page of the heap)"""
    for k in range(64):
        for n in range(k % 4 + 1):
            yield 10_000_000 + k * 15_000_000 + n * 100, k
    for k in range(64):
        yield 2_000_000_000 + k * 15_000_000, k


def known(path):
    t = Trace(path)
    t.record("attach", 500, comm="known", exe="/opt/known", ppid=1, threads=2, vmas=6, stop_ns=9)
    t.vma(1, HEAP, 64, "[heap]", "heap")
    t.vma(2, NEAR, 32, "", "anon")
    t.vma(3, FAR, 32, "", "anon")
    for i, name in enumerate(("known", "liba.so", "libb.so")):
        t.vma(10 + i, CODE + i * 16 * PAGE, 16, "/nowhere/" + name, "file", "r-xp")
    lines = [(ts, "heap", k) for ts, k in heap_writes()]
    lines += [(1_000_000_000 + k * 15_600_000, "anon", k) for k in range(64)]
    told = set()
    for ts, what, k in sorted(lines):
        if what == "heap":
            t.fault(ts, 1, HEAP + k * PAGE + 8)
            continue
        who = 1 if k % 10 < 7 else 2
        frames = [CODE + who * 16 * PAGE + 64, CODE + 64]
        if who not in told:
            t.record("stack", ts, id=who, frames=[hex(f) for f in frames])
            told.add(who)
        addr = NEAR + k * PAGE if k < 32 else FAR + (k - 32) * PAGE
        t.fault(ts, 2 if k < 32 else 3, addr, 4243, who, frames[0])
    t.record("gap", 2_970_000_000, ts0=2_100_000_000, addr=hex(HEAP), page=HEAP // PAGE,
             npages=16, reason="budget")
    t.record("lost", 2_980_000_000, 0, 0, reason="ring", n=17, faults=17)
    t.record("fork", 2_990_000_000, child=4300, child_mm=0, followed=False)
    t.record("detach", 3_000_000_000, 0, reason="sigint", clean=True)
    t.close()


BAD = "</script><img src=x onerror=\"window.hacked=1;alert(1)\">"


def hostile(path, library, build_id, offset):
    t = Trace(path, host=BAD, kernel=BAD, arch="<b>")
    raw = BAD.encode() + b"\xff\xfe\x1b]0;owned\x07\x1b[31m"
    t.record("attach", 500, comm=BAD, exe="/" + BAD, ppid=1, threads=2, vmas=6, stop_ns=9)
    names = [BAD, "/tmp/\u202egpj.exe", "/" + 800 * "<img>x" + "/" + 4000 * "<",
             "--><!--<script>alert(1)</script>", "&lt;img src=x onerror=alert(1)&gt;",
             "\x1b[2J\x1b]0;owned\x07", "\u2028alert(1)\u2029", "]]>\"'`${alert(1)}"]
    for i, name in enumerate(names):
        t.vma(1 + i, NEAR + i * 64 * PAGE, 64, name, "file")
    t.vma(50, NEAR + 50 * 64 * PAGE, 64, raw.decode(errors="replace"), "file",
          name_hex=raw.hex())
    t.vma(60, CODE, 16, library, "file", "r-xp", build_id=build_id)
    ip = CODE + offset
    t.record("stack", 900_000, id=1, frames=[hex(ip)])
    for i in [*range(len(names)), 49]:
        t.record("thread", 900_000, tid=5000 + i, comm=names[i % len(names)][:15])
        t.fault(1_000_000 + i * 1_000_000, 1 + i, NEAR + i * 64 * PAGE, 5000 + i, 1, ip)
    t.record("error", 90_000_000, what=BAD, errno=1, msg=BAD)
    t.record("exec", 91_000_000, comm=BAD, exe=BAD, new_mm=None)
    t.record("detach", 92_000_000, 0, reason="sigint", clean=True)
    t.close()


if sys.argv[1] == "known":
    known(sys.argv[2])
else:
    hostile(sys.argv[2], sys.argv[3], sys.argv[4], int(sys.argv[5], 16))
