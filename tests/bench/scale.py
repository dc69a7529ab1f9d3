# SPDX-License-Identifier: MIT
"""What costs grow with: the census of large memory, and small work in large mappings."""
import statistics
import time

from harness import (PAGE, ROUNDS, Bare, Broken, Pages, Pagetap, figure, memory,
                     rounds, thread_time)

GIB_PAGES = 2 ** 30 // PAGE
CLEAN_EPOCH = 50		# ms
RESTS = 0.3			# seconds from the writing to the scan, half an epoch or so
CHUNK = 1 << 16			# pages written at one command
DEPTH = 12			# calls of who writes in the storm
WRITTEN = 65536			# of growth: the same work in every mapping


def available():
    """GiB that may be filled without pushing anybody out."""
    with open("/proc/meminfo", encoding="ascii") as f:
        kib = next(int(line.split()[1]) for line in f if line.startswith("MemAvailable"))
    return kib / 2 ** 20 * 0.8


def dirty(pages, n):
    for first in range(0, n, CHUNK):
        chunk = min(CHUNK, n - first)
        if int(pages.ask(f"write {chunk} {first}")[1]) != chunk:
            raise Broken("writing takes too long")


class Census(Pagetap):
    """A recording by census, and the processor time of its event thread."""

    def __init__(self, bench, pages, epoch, idle=0):
        super().__init__(bench, pages.pid, ["--engine", "async", "--epoch", str(epoch)])
        self.pages, self.idle = pages, idle
        pages.wait_armed(60)
        time.sleep(0.2)

    def spent(self, work):
        """Nanoseconds of CPU while work() lasts, without what it takes to do nothing."""
        begin, cpu = time.monotonic(), thread_time(self.pid)
        work()
        spent = thread_time(self.pid) - cpu
        spent -= self.idle * (time.monotonic() - begin)
        if spent < 0:
            raise Broken("pagetap took less to work than to do nothing")
        return spent


def idle_rate(bench, pages):
    """Nanoseconds of CPU a second while no census is due."""
    with Census(bench, pages, 60000) as p:
        # Some of them have the end of attaching in them.
        rate = min(p.spent(lambda: time.sleep(0.5)) * 2 for _ in range(5))
        p.stop()
    return rate


def sizes():
    for gib, most in ((1, ROUNDS), (4, ROUNDS), (16, min(3, ROUNDS))):
        yield gib, most, gib <= available()


def levels(gib):
    yield "clean", 0
    yield "10 % dirty", gib * GIB_PAGES // 10
    yield "all dirty", gib * GIB_PAGES


def census(bench):
    for gib, most, fits in sizes():
        if not fits:
            bench.missing("census", f"{gib} GiB", "not enough free memory")
            continue
        with Pages(bench, gib * 1024, gib * GIB_PAGES, threads=2) as pages:
            with Bare(bench, "async", pages) as bare:
                for what, n in levels(gib):
                    values = []
                    for _ in rounds(10, most):
                        dirty(pages, n)
                        # A pass finds the page tables cold; scans in a row do not.
                        time.sleep(RESTS if n else CLEAN_EPOCH / 1000)
                        ns, found, _runs = (int(word) for word in bare.ask("scan"))
                        if found != n:
                            raise Broken(f"the bare scan found {found} of {n} pages")
                        values.append(ns / 1e6 / gib)
                    bench.add("census", f"{gib} GiB, {what}, bare ioctl", "ms a GiB", values)
                bare.end()
            idle = idle_rate(bench, pages) if bench.has_async else 0
            for what, n in levels(gib):
                if bench.has_async:
                    census_of(bench, pages, gib, what, n, most, idle)
                else:
                    bench.missing("census", f"{gib} GiB, {what}, pagetap", "not in this pagetap")
    bench.table("census: CPU of who scans", "census")


def census_of(bench, pages, gib, what, n, most, idle):
    # Clean passes are many and near; else writing is over before the next one.
    clean = CLEAN_EPOCH if gib < 16 else 4 * CLEAN_EPOCH
    with Census(bench, pages, clean if not n else max(1000, n * 3 // 2000), idle) as p:
        values = []
        for _ in rounds(10, most):
            if n:
                def work():
                    dirty(pages, n)
                    pages.wait_armed(60)
                spent = p.spent(work)
            else:
                spent = p.spent(lambda: time.sleep(1)) * clean / 1000
            values.append(spent / 1e6 / gib)
        kib = memory(p.pid)
        p.stop()
    bench.add("census", f"{gib} GiB, {what}, pagetap", "ms a GiB", values)
    bench.add("monitor", f"census of {gib} GiB, {what}", "KiB", [kib],
              covered_kib=gib * 2 ** 20)


def growth(bench):
    if not bench.has_async:
        bench.missing("growth", "pagetap async", "not in this pagetap")
        bench.table("growth", "growth")
        return
    for layout in ("window", "scattered"):
        for gib in (1, 4, 16):
            target, monitor = [], []
            with Pages(bench, gib * 1024, WRITTEN, layout) as pages:
                free = [pages.each("write", WRITTEN) for _ in range(ROUNDS)]
                idle = idle_rate(bench, pages)
                with Census(bench, pages, 1000, idle) as p:
                    for _ in rounds(8):
                        def work():
                            target.append(pages.each("write", WRITTEN))
                            pages.wait_armed()
                        monitor.append(p.spent(work) / WRITTEN)
                    p.stop()
            bench.add("growth", f"{layout}, {gib} GiB, untraced", "ns a page", free)
            bench.add("growth", f"{layout}, {gib} GiB, target", "ns a page", target)
            bench.add("growth", f"{layout}, {gib} GiB, monitor", "ns a page", monitor)
    bench.table(f"growth: {WRITTEN:,} written pages in a mapping", "growth")


def census_bars(bench):
    clean = bench.median("census", "1 GiB, clean, pagetap")
    tenth = bench.median("census", "1 GiB, 10 % dirty, pagetap")
    by = [bench.ratio("census", f"1 GiB, {what}, pagetap", f"1 GiB, {what}, bare ioctl")
          for what in ("clean", "10 % dirty", "all dirty")]
    words = None
    if clean and tenth:
        words = f"{figure(clean)}, {figure(tenth)} ms; " + ", ".join(f"{b:.2f}" for b in by) + " x"
    bench.bar("census of 1 GiB: clean, 10 % dirty, against bare", "1 ms, 4 ms, 1.2 x", words,
              words and clean <= 1 and tenth <= 4 and max(by) <= 1.2)


def growth_bars(bench):
    found = {}
    for layout in ("window", "scattered"):
        cost = []
        for gib in (1, 16):
            parts = [bench.median("growth", f"{layout}, {gib} GiB, {who}")
                     for who in ("target", "monitor")]
            cost.append(sum(parts) if None not in parts else None)
        if None not in cost:
            found[layout] = cost[1] / cost[0]
    bench.bar("growth: cost a written page, 16 GiB against 1 GiB", "within 1.2 x",
              ", ".join(f"{k} {v:.2f}" for k, v in found.items()) or None,
              found and max(found.values()) <= 1.2)


def storm(bench):
    """--who at 300,000 first writes a second, for five seconds."""
    if not bench.has_who:
        bench.missing("storm", "pagetap async --who", "not in this pagetap")
        bench.bar("async --who at 300,000 writes/s", "0 lost", None, False)
        return
    seconds, rates, lost, seen = 5, [], [], []
    npages = GIB_PAGES * 3 // 2
    with Pages(bench, 1536, npages, threads=2) as pages:
        for _ in rounds(40, min(3, ROUNDS)):
            out = bench.scratch("storm.ndjson")
            with Pagetap(bench, pages.pid, ["--engine", "async", "--epoch", "1000", "--who"],
                         out=out) as p:
                pages.wait_armed()
                written = pages.number(f"pace 300 {seconds * 1000} {DEPTH}")
                last = p.stop()
            rates.append(written / seconds)
            seen.append(last["records"].get("fault", 0))
            lost.append(last["unseen"])
    bench.add("storm", "writes a second", "1/s", rates)
    bench.add("storm", "attributed", "records", seen)
    bench.add("storm", "lost or without a witness", "records", lost)
    bench.table(f"async --who in a storm of {seconds} s", "storm")
    bench.bar("async --who at 300,000 writes/s", "0 lost",
              f"{max(lost)} at {statistics.median(rates):,.0f}/s",
              max(lost) == 0 and statistics.median(rates) > 270000)


def run_census(bench):
    census(bench)
    census_bars(bench)


def run_growth(bench):
    growth(bench)
    growth_bars(bench)
