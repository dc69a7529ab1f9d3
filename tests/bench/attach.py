# SPDX-License-Identifier: MIT
"""How long a thread that only counts stands still, as it sees it itself (still.c).

A run in which others had its CPU for a while is none: that is no stop.
"""
import mmap
import signal
import statistics
import struct
import subprocess
import time

from harness import Broken, Talker, rounds, tool

TIMES = 15
OTHERS = 200000			# ns it may wait for its CPU in a run, and a fiftieth of the gaps


class Still(Talker):
    """tests/bench/still.c"""

    def __init__(self, bench):
        path = bench.scratch("still")
        with open(path, "w+b") as f:
            f.truncate(4096)
            self.page = mmap.mmap(f.fileno(), 4096)
        self.asked = 0
        super().__init__([bench.program("still"), path])

    def gaps(self):
        """Nanoseconds in gaps, and the longest, since the last call."""
        self.asked += 1
        self.page[:8] = struct.pack("=Q", self.asked)
        until = time.monotonic() + 30
        while struct.unpack_from("=Q", self.page, 8)[0] != self.asked:
            if time.monotonic() > until:
                raise Broken("the counting thread does not answer")
            time.sleep(0.001)
        return struct.unpack_from("=QQ", self.page, 16)

    def waited(self):
        """Nanoseconds that it was ready and others had its CPU."""
        with open(f"/proc/{self.pid}/schedstat", encoding="ascii") as f:
            return int(f.read().split()[1])


def quiet(argv, pid, seconds, send=None):
    """A tool that attaches and lets go: by itself, or when it is told to after a while."""
    with subprocess.Popen(["taskset", "-c", "0", *argv, str(pid)], stdin=subprocess.DEVNULL,
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as p:
        try:
            if send:
                time.sleep(seconds)
                p.send_signal(send)
            p.wait(60)
        except subprocess.TimeoutExpired as e:
            p.kill()
            raise Broken(f"{argv[0]} does not end") from e
    return p.returncode


def tools(bench):
    record = [bench.pagetap, "record", "-q", "-o", "/dev/null", "-d", "0.1"]

    def pagetap(*options):
        return lambda pid: quiet([*record, *options, "-p"], pid, 0)

    def nothing(_pid):
        time.sleep(0.2)
        return 0

    yield "nothing, for 0.2 s", nothing, ""
    yield "pagetap sync", pagetap("--engine", "sync"), ""
    yield ("pagetap async", pagetap("--engine", "async") if bench.has_async else None,
           "not in this pagetap")
    yield ("pagetap async --who", pagetap("--engine", "async", "--who") if bench.has_who else None,
           "not in this pagetap")
    yield "strace, attach and detach", (lambda pid: quiet(
        ["strace", "-qq", "-p"], pid, 0.2, signal.SIGINT)) if tool("strace") else None, \
        "not installed"
    yield "gdb, attach and detach", (lambda pid: quiet(
        ["gdb", "-nx", "-batch", "-ex", "detach", "-p"], pid, 0)) if tool("gdb") else None, \
        "not installed"


def run(bench):
    # strace ends with a signal's status, gdb and pagetap with 0.
    with Still(bench) as still:
        for name, way, why in tools(bench):
            gaps, longest = [], []
            if not way:
                bench.missing("attach", name, why)
                continue
            for _ in rounds(20, TIMES * 3, 5):
                time.sleep(0.02)
                still.gaps()
                waited = still.waited()
                status = way(still.pid)
                if status and "strace" not in name:
                    raise Broken(f"{name} ended with {status}")
                total, most = still.gaps()
                if still.waited() - waited < OTHERS + total / 50:
                    gaps.append(total / 1000)
                    longest.append(most / 1000)
                if len(gaps) == TIMES:
                    break
            if len(gaps) < 5:
                bench.missing("attach", name, f"the machine is too busy: {len(gaps)} runs")
                continue
            bench.add("attach", name, "us", gaps,
                      f"the longest {statistics.median(longest):,.0f} us", longest=longest)
    bench.table("attach: a counting thread stands still for", "attach", "pagetap sync")
    pause = bench.median("attach", "pagetap async") or bench.median("attach", "pagetap sync")
    found = [bench.median("attach", f"{t}, attach and detach") for t in ("gdb", "strace")]
    if pause and None not in found:
        by = [f / pause for f in found]
        bench.bar("attach pause against gdb's, strace's", "10 x, 2 x below",
                  f"{by[0]:.1f} x, {by[1]:.1f} x", by[0] >= 10 and by[1] >= 2)
    else:
        bench.bar("attach pause against gdb's, strace's", "10 x, 2 x below", None, False)
