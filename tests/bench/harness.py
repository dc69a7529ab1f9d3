# SPDX-License-Identifier: MIT
"""What the measurements share: rows and their table, and the processes that are measured."""
import json
import os
import select
import shutil
import signal
import statistics
import subprocess
import time

PAGE = 4096
ROUNDS = int(os.environ.get("ROUNDS", "5"))	# fewer are for a quick look


def rounds(seconds, most=ROUNDS, least=3):
    """Counts to `most`; on a busy machine to fewer, so that the run ends in its time."""
    until = time.monotonic() + seconds
    for n in range(most):
        if n < least or time.monotonic() < until:
            yield n


def turned(ways, n):
    """Another one comes first in each round."""
    n %= len(ways)
    return ways[n:] + ways[:n]


class Broken(Exception):
    """A measurement that gave no figure."""


class Bench:
    """The rows of one run."""

    def __init__(self, out, work):
        self.out, self.work = out, work
        self.pagetap = os.environ.get("PAGETAP") or os.path.join(out, "pagetap")
        self.rows, self.bars, self.broken = [], [], []
        text = subprocess.run([self.pagetap, "record", "--help"], capture_output=True,
                              text=True, check=True).stdout
        self.has_async, self.has_who = "--epoch" in text, "--who" in text
        self.lines = open(os.path.join(out, "bench", "results.ndjson"), "w", encoding="utf-8")

    def program(self, name):
        return os.path.join(self.out, "tests", "bench", name)

    def scratch(self, name):
        return os.path.join(self.work, name)

    def add(self, group, row, unit, values, note="", **more):
        values = list(values)
        entry = {"group": group, "row": row, "unit": unit, "n": len(values),
                 "median": statistics.median(values), "min": min(values), "max": max(values),
                 "values": values, **more}
        if len(values) < ROUNDS and unit not in ("KiB", "records", "1/s"):
            note = f"{note}{', ' if note else ''}{len(values)} rounds"
        if note:
            entry["note"] = note
        self.keep(entry)

    def missing(self, group, row, why):
        self.keep({"group": group, "row": row, "missing": why})

    def keep(self, entry):
        self.rows.append(entry)
        self.lines.write(json.dumps(entry) + "\n")
        self.lines.flush()

    def median(self, group, row):
        for entry in self.rows:
            if entry["group"] == group and entry["row"] == row:
                return entry.get("median")
        return None

    def ratio(self, group, over, under):
        a, b = self.median(group, over), self.median(group, under)
        return a / b if a is not None and b else None

    def table(self, title, group, base=None):
        """The rows of a group; ratios are against the row `base`, or the first."""
        rows = [r for r in self.rows if r["group"] == group]
        if not rows:
            return
        unit = next((r["unit"] for r in rows if "unit" in r), "")
        base = self.median(group, base) if base else rows[0].get("median")
        print(f"{title:<44}{unit:>12}  {'min - max':>21}{'ratio':>9}")
        for r in rows:
            if "missing" in r:
                print(f"  {r['row']:<42}{'-':>12}  {r['missing']}")
                continue
            ratio = f"{r['median'] / base:.3g}" if base and r["unit"] == unit else ""
            spread = f"{figure(r['min'])} - {figure(r['max'])}"
            own = "" if r["unit"] == unit else " " + r["unit"]
            print(f"  {r['row']:<42}{figure(r['median']):>12}  {spread:>21}{ratio:>9}"
                  f"{own}{'  ' if r.get('note') else ''}{r.get('note', '')}")
        print(flush=True)

    def bar(self, what, bar, measured, met):
        """measured: words, or None where it was not measured."""
        self.bars.append({"what": what, "bar": bar, "measured": measured,
                          "met": None if measured is None else bool(met)})


def figure(x):
    if x == 0 or abs(x) >= 100:
        return f"{x:,.0f}"
    return f"{x:.3g}"


def tool(name):
    return shutil.which(name)


def run_time(pid):
    """Nanoseconds that the threads of a process have run: /proc/PID/task/*/schedstat."""
    total = 0
    for tid in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{tid}/schedstat", encoding="ascii") as f:
            total += int(f.read().split()[0])
    return total


def thread_time(pid):
    """The same of the main thread."""
    with open(f"/proc/{pid}/task/{pid}/schedstat", encoding="ascii") as f:
        return int(f.read().split()[0])


def last_cpu(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        return int(f.read().rsplit(") ", 1)[1].split()[36])


def memory(pid):
    """Proportional set size of a process and what it started, KiB."""
    total = 0
    for p in [pid] + children(pid):
        try:
            with open(f"/proc/{p}/smaps_rollup", encoding="ascii") as f:
                total += next(int(line.split()[1]) for line in f if line.startswith("Pss:"))
        except (OSError, StopIteration):
            pass
    return total


def children(pid):
    """And theirs; those that end meanwhile have none."""
    found = []
    try:
        for tid in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{tid}/children", encoding="ascii") as f:
                for child in f.read().split():
                    found += [int(child)] + children(int(child))
    except OSError:
        pass
    return found


class Talker:
    """A program of ours that answers lines with lines."""

    def __init__(self, argv, cpu=-1):
        self.name = os.path.basename(argv[0])
        if cpu >= 0:
            argv = ["taskset", "-c", str(cpu), *argv]
        self.process = subprocess.Popen([str(a) for a in argv], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, bufsize=0)
        self.pid = self.process.pid
        self.words = self.answer(200)

    def answer(self, seconds):
        line = b""
        until = time.monotonic() + seconds
        while not line.endswith(b"\n"):
            left = until - time.monotonic()
            if left <= 0 or not select.select([self.process.stdout], [], [], left)[0]:
                raise Broken(f"{self.name} has not answered after {seconds} s")
            byte = self.process.stdout.read(1)
            if not byte:
                raise Broken(f"{self.name} has ended with {self.process.wait(10)}")
            line += byte
        return line.decode().split()

    def ask(self, line, seconds=120):
        self.process.stdin.write(line.encode() + b"\n")
        return self.answer(seconds)[1:]

    def number(self, line):
        return int(self.ask(line)[0])

    def end(self):
        """What it says at last."""
        self.process.stdin.close()
        rest = self.process.stdout.read().decode().split()
        if self.process.wait(30):
            raise Broken(f"{self.name} ended with {self.process.returncode}")
        return rest

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.kill()


class Pages(Talker):
    """tests/bench/pages.c"""

    def __init__(self, bench, mib, npages, layout="window", order="random", threads=1):
        super().__init__([bench.program("pages"), mib, npages, layout, order, threads])
        self.lo, self.hi, self.instruction = self.words[1:]
        self.npages, self.threads = npages, threads

    def tids(self):
        return [t for t in os.listdir(f"/proc/{self.pid}/task") if int(t) != self.pid]

    def each(self, line, n):
        """Nanoseconds a page, as far as it comes in some seconds."""
        ns, pages = (int(word) for word in self.ask(f"{line} {n}"))
        return ns / pages

    def wait_armed(self, seconds=20):
        until = time.monotonic() + seconds
        while (left := self.number("armed")) > 0:
            if time.monotonic() > until:
                raise Broken(f"{left} of {self.npages} pages not protected after {seconds} s")
            time.sleep(0.005 + self.npages / 2 ** 24)


class Bare(Talker):
    """tests/bench/bare.c on a userfaultfd of `pages`."""

    def __init__(self, bench, what, pages, cpu=-1):
        fd = pages.number("uffd")
        super().__init__([bench.program("bare"), what, pages.pid, fd, pages.lo, pages.hi, cpu,
                          *pages.tids()])
        # While the process holds its own copy, the death of ours would not free it.
        pages.ask("close")


class Traced(Talker):
    """tests/bench/traced.c"""

    def __init__(self, bench, pages, cpu=-1):
        super().__init__([bench.program("traced"), pages.lo, pages.hi, pages.instruction, cpu,
                          *pages.tids()])


class Pagetap:
    """A recording of a running process."""

    def __init__(self, bench, pid, options, out="/dev/null", cpu=-1):
        argv = [bench.pagetap, "record", "--color", "never", "-p", str(pid), "-o", out, *options]
        if cpu >= 0:
            argv = ["taskset", "-c", str(cpu), *argv]
        self.out = out
        self.process = subprocess.Popen(argv, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL,
                                        bufsize=0)
        self.pid = self.process.pid
        self.said = b""
        until = time.monotonic() + 30
        while b"attached to" not in self.said:
            left = max(0, until - time.monotonic())
            if not select.select([self.process.stderr], [], [], left)[0]:
                raise Broken("pagetap is not attached after 30 s")
            more = os.read(self.process.stderr.fileno(), 4096)
            if not more:
                raise Broken("pagetap: " + self.said.decode(errors="replace").strip()[-200:])
            self.said += more

    def stop(self):
        """Ends it; its last totals, if it wrote a file."""
        self.process.send_signal(signal.SIGINT)
        try:
            self.said += self.process.communicate(timeout=60)[1]
        except subprocess.TimeoutExpired as e:
            raise Broken("pagetap does not end") from e
        if self.process.returncode:
            raise Broken(f"pagetap ended with {self.process.returncode}: "
                         + self.said.decode(errors="replace").strip()[-200:])
        return totals(self.out) if self.out != "/dev/null" else {}

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def totals(path):
    """The last `stats` record of a trace, and `records` of each kind; `unseen` is what was
    not told, or not by whom."""
    kinds, last = {}, {}
    with open(path, "rb") as f:
        for line in f:
            kind = line[7:line.index(b'"', 7)].decode()
            kinds[kind] = kinds.get(kind, 0) + 1
            if kind == "stats":
                last = json.loads(line)
    unseen = sum(last.get(key) or 0 for key in ("lost", "unwitnessed"))
    return {**last, "unseen": unseen, "records": kinds}
